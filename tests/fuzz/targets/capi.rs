//! The C ABI, called as C calls it: the calls, and what they must keep to, are in `capi/`.
#![no_main]

use std::ffi::{CStr, c_char, c_int};

// What the C code calls is in it.
use changeover as _;
use libfuzzer_sys::fuzz_target;

unsafe extern "C" {
    fn fuzz_one(data: *const u8, len: usize) -> c_int;
}

fn text<'a>(text: *const c_char) -> Option<&'a str> {
    // SAFETY: the C code gives a terminated text that stays as it is for the call.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

/// For C: whether a text is UTF-8.
#[unsafe(no_mangle)]
extern "C" fn fuzz_is_utf8(what: *const c_char) -> i32 {
    text(what).is_some().into()
}

/// For C: whether a text is JSON.
#[unsafe(no_mangle)]
extern "C" fn fuzz_is_json(what: *const c_char) -> i32 {
    let json = text(what).map(serde_json::from_str::<serde::de::IgnoredAny>);
    matches!(json, Some(Ok(_))).into()
}

fuzz_target!(|data: &[u8]| {
    // SAFETY: the bytes are there for the call.
    unsafe { fuzz_one(data.as_ptr(), data.len()) };
});
