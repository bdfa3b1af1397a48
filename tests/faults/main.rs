//! Faults in the real thing: an engine with its threads, on a machine that starves it, stops it,
//! refuses it threads and memory; host code that hangs, panics and calls back in; ends of the
//! process at any moment. `README.md` beside this file has the table: what is here, and what the
//! other tests have.
//!
//! What would end or harm the test program runs in a process of its own: this program again.
#![cfg(target_os = "linux")]

#[allow(dead_code)] // of the relay's own tests
#[path = "../relay_cli/bench.rs"]
mod bench;
mod callbacks;
mod child;
mod cycles;
mod driver;
mod exits;
#[path = "../support/gate.rs"]
mod gate;
mod hogs;
mod limits;
mod memory;
mod scene;
mod stopped;
mod subscriber;
mod threads_refused;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Held by tests that need the machine, or that the machine's load would make worthless: one after
/// the other.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}
