//! The C ABI: header, exports, and programs in C and C++ that use it.

#[cfg(target_os = "linux")]
#[path = "capi/abi.rs"]
mod abi;
#[path = "capi/header.rs"]
mod header;
#[cfg(target_os = "linux")]
#[path = "capi/programs.rs"]
mod programs;
