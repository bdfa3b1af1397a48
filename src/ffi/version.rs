//! Which version this library is, at run time.

use std::ffi::{CStr, c_char};

/// Which ABI this library has: the number in its SONAME, and the one that the header was made for
/// (CHANGEOVER_ABI_VERSION). Within one ABI, functions are only added and structs only grow.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_abi_version() -> u32 {
    ABI_VERSION
}

/// The library's version, as `MAJOR << 16 | MINOR << 8 | PATCH`: compare it with
/// CHANGEOVER_VERSION_NUMBER, the header's. Wait-free, async-signal-safe.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_version() -> u32 {
    let parts = [
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    ];
    parts.iter().fold(0, |number, part| number << 8 | part.parse().unwrap_or(0))
}

/// The library's version as a text, `0.1.0`. Not to be freed. Wait-free, async-signal-safe.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_version_text() -> *const c_char {
    const TEXT: &CStr =
        match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
            Ok(text) => text,
            Err(_) => panic!("a version has no NUL"),
        };
    TEXT.as_ptr()
}

/// The number in the SONAME. Its one source is `package.metadata.capi.library` in Cargo.toml; a
/// test compares them.
const ABI_VERSION: u32 = 0;
