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
mod hand;
#[cfg(all(loom, test))]
mod models;
mod operator;
mod owed;
mod record;
mod slots;
mod status;
mod tenant;
mod timeline;
mod version;

use serde::Serialize;
use serde::de::DeserializeOwned;

use self::codes::Refusal;
use self::engine::changeover_engine;

fn json<T: DeserializeOwned>(text: &str) -> Result<T, Refusal> {
    // An array would be taken for the fields in their order.
    if !text.trim_start().starts_with('{') {
        return Err(Refusal::BadJson("it does not begin with {".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| Refusal::BadJson(error.to_string()))
}

fn to_json<T: Serialize>(value: &T) -> Result<String, Refusal> {
    serde_json::to_string(value).map_err(|error| Refusal::BadJson(error.to_string()))
}
