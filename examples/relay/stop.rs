//! The one flag that ends everything, why it was raised, and a wait that it cuts short.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Why the relay ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Ctrl-C or SIGTERM.
    Signal,
    /// The operator asked for it.
    Quit,
    /// `--duration` is over.
    Duration,
    /// No input can ever deliver again.
    InputsEnded,
    /// The reader of the output has gone.
    ReaderGone,
    /// The output cannot be written any more.
    OutputFailed(String),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal => f.write_str("stopped by a signal"),
            Self::Quit => f.write_str("ended by the operator"),
            Self::Duration => f.write_str("the duration is over"),
            Self::InputsEnded => f.write_str("all inputs have ended"),
            Self::ReaderGone => f.write_str("the reader of the output has gone"),
            Self::OutputFailed(why) => write!(f, "the output failed: {why}"),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Stop {
    /// Read by the packet path; says no more than that there is a reason.
    raised: AtomicBool,
    reason: Mutex<Option<End>>,
    wake: Condvar,
}

impl Stop {
    /// The first reason stands. Answers whether this was it.
    pub(crate) fn raise(&self, end: End) -> bool {
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        let first = reason.is_none();
        reason.get_or_insert(end);
        // Relaxed: nothing is published by the flag; the reason is read under the lock.
        self.raised.store(true, Ordering::Relaxed);
        self.wake.notify_all();
        first
    }

    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Relaxed)
    }

    pub(crate) fn reason(&self) -> Option<End> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sleeps until then, or until the end if that is earlier; answers whether the end has come.
    pub(crate) fn sleep_until(&self, until: Instant) -> bool {
        let mut reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if reason.is_some() {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            reason = self.wake.wait_timeout(reason, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn sleep(&self, time: Duration) -> bool {
        self.sleep_until(Instant::now() + time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_stands_and_cuts_a_sleep_short() {
        let stop = Stop::default();
        assert!(!stop.sleep(Duration::from_millis(1)));
        std::thread::scope(|threads| {
            let sleeper = threads.spawn(|| stop.sleep(Duration::from_secs(3600)));
            assert!(stop.raise(End::Quit));
            assert!(!stop.raise(End::Signal));
            assert!(sleeper.join().unwrap());
        });
        assert!(stop.is_raised());
        assert_eq!(stop.reason(), Some(End::Quit));
    }
}
