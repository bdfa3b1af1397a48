//! The C ABI: header, exports, and programs in C and C++ that use it.

#[path = "capi/header.rs"]
mod header;
