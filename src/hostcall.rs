//! Running host code on the engine's own threads: marks the thread, so that calls which would
//! wait can refuse instead of deadlocking, and turns a panic into a text.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

crate::sync::thread_local! {
    static DEPTH: Cell<u32> = const { Cell::new(0) };
}

/// What a refused call says of where it was made.
pub(crate) const PLACE: &str = "inside one of the engine's callbacks or driver calls";

/// Whether the calling thread is inside a callback or driver call of some engine.
pub(crate) fn inside() -> bool {
    DEPTH.with(|depth| depth.get() > 0)
}

/// Runs host code; a panic becomes an error with its text.
pub(crate) fn run<T>(host: impl FnOnce() -> T) -> Result<T, String> {
    DEPTH.with(|depth| depth.set(depth.get() + 1));
    let outcome = catch_unwind(AssertUnwindSafe(host));
    DEPTH.with(|depth| depth.set(depth.get() - 1));
    outcome.map_err(|panic| panic_text(&*panic))
}

pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_the_thread_and_catches() {
        assert!(!inside());
        assert_eq!(run(inside), Ok(true));
        assert_eq!(run(|| panic!("boom {}", 1)), Err::<(), _>("boom 1".to_owned()));
        assert!(!inside());
    }
}
