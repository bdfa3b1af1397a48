//! The C ABI: what `include/changeover.h` declares, one file to a line of work.
//!
//! The header is generated from these files (`tests/capi/header.rs`), so their documentation is
//! written for C readers. Every export runs inside [`boundary::guard`]; pointers are followed in
//! [`boundary`] alone; handles are looked up in [`slots`]. Exports are not `unsafe fn`: nothing in
//! Rust can name them (the module is private), and what C must keep to is the header's text.
#![allow(non_camel_case_types, unreachable_pub, clippy::not_unsafe_ptr_arg_deref)]

mod bell;
mod boundary;
mod codes;
mod config;
mod driver;
mod engine;
mod events;
mod eyes;
mod foreign;
mod operator;
mod record;
mod slots;
mod status;
mod tenant;
mod timeline;

use std::ffi::{CStr, c_char};

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::codes::Refusal;

/// An engine. 0 = none. Like all handles a number, not a pointer: copy it, store it, pass it to
/// other threads.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_engine {
    /// Not for you.
    pub raw: u64,
}

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

fn json<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    serde_json::from_str(text).map_err(|error| Refusal::BadJson(error.to_string()))
}

fn to_json<T: Serialize>(value: &T) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|error| Refusal::BadJson(error.to_string()))
}
