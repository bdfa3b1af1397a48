//! The engine's clock: nanoseconds since the engine was built, in two forms.
//!
//! *Precise*: a quanta reading. *Published*: a word that the monitor keeps fresh (one store per
//! tick) and that the packet path loads instead of reading a clock. A packet stamped `s` from
//! the published word arrived before the next value published after `s`
//! ([`crate::publish`] turns that into deadlines that are never early).
//!
//! Nothing here is shared between engines, but for quanta's own calibration of the CPU counter.
//! The hand-driven form runs on quanta's mock.

use std::time::{Duration, SystemTime};

use crate::slab::Cells;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};
use crate::types::{FOREVER_NS, Nanos};

/// A drift between the wall clock and ours above which times are re-anchored. quanta drifts by
/// about 1-2 ppm here (50 ppm were seen on a loaded VM, whose wall clock is slewed); a step of the
/// wall clock is taken over too.
const ANCHOR_TOLERANCE: Duration = Duration::from_millis(20);
/// How often that is looked at.
const ANCHOR_EVERY_NS: Nanos = 10_000_000_000;

pub(crate) struct Clock {
    source: quanta::Clock,
    start: u64,
    /// Whose published word it keeps: written by the monitor once per tick, and by whoever
    /// refreshes it; every packet reads it.
    cells: Arc<Cells>,
    anchor: Mutex<Anchor>,
    hand: Option<Arc<quanta::Mock>>,
}

struct Anchor {
    /// The wall-clock time at engine time 0.
    zero: SystemTime,
    checked_at: Nanos,
}

impl Clock {
    /// The machine's clock. The first one in a process calibrates for about a millisecond
    /// (quanta; at most 200 ms).
    pub(crate) fn real(cells: &Arc<Cells>) -> Self {
        Self::new(cells, quanta::Clock::new(), None, SystemTime::now())
    }

    /// A clock that only moves by hand; its wall time starts at 2026-01-01T00:00:00Z.
    pub(crate) fn by_hand(cells: &Arc<Cells>) -> Self {
        let (source, mock) = quanta::Clock::mock();
        let zero = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        Self::new(cells, source, Some(mock), zero)
    }

    fn new(
        cells: &Arc<Cells>,
        source: quanta::Clock,
        hand: Option<Arc<quanta::Mock>>,
        zero: SystemTime,
    ) -> Self {
        let start = source.raw();
        let cells = Arc::clone(cells);
        let anchor = Mutex::new(Anchor { zero, checked_at: 0 });
        Self { source, start, cells, anchor, hand }
    }

    /// The precise time.
    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        self.source.delta_as_nanos(self.start, self.source.raw())
    }

    /// The word that the packet path loads.
    #[inline]
    pub(crate) fn published_word(&self) -> &AtomicU64 {
        &self.cells.published
    }

    /// Publishes `now`. Relaxed: the word carries a time and nothing else; a reader that sees an
    /// older value stamps earlier, and the value it misses is the "next value after" by which
    /// its silence is judged. `fetch_max`, because a refresher may be ahead of the monitor.
    pub(crate) fn publish(&self, now: Nanos) {
        self.cells.published.fetch_max(now, Ordering::Relaxed);
    }

    /// Publishes the present time: for those who are about to record after the engine slept.
    pub(crate) fn refresh(&self) -> Nanos {
        let now = self.now();
        self.publish(now);
        now
    }

    /// The wall-clock time of an engine time.
    pub(crate) fn wall(&self, at: Nanos) -> SystemTime {
        let mut anchor = self.anchor.lock();
        if self.hand.is_none() {
            let now = self.now();
            if now.saturating_sub(anchor.checked_at) > ANCHOR_EVERY_NS {
                anchor.checked_at = now;
                let zero = SystemTime::now().checked_sub(Duration::from_nanos(now));
                if let Some(zero) = zero.filter(|zero| differ(*zero, anchor.zero)) {
                    anchor.zero = zero;
                }
            }
        }
        anchor.zero.checked_add(Duration::from_nanos(at)).unwrap_or(anchor.zero)
    }

    /// Moves a hand-driven clock; does nothing to a real one.
    pub(crate) fn step(&self, by: Nanos) {
        if let Some(mock) = &self.hand {
            // It would wrap back to the past.
            mock.increment(by.min(FOREVER_NS.saturating_sub(self.now())));
        }
    }

    pub(crate) fn is_hand_driven(&self) -> bool {
        self.hand.is_some()
    }
}

/// A clock of the system that only goes forward, ns: for what outlives engines.
#[cfg(feature = "capi")]
pub(crate) fn system_ns() -> Nanos {
    #[cfg(target_os = "linux")]
    {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a timespec of ours.
        unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
        now.tv_sec as Nanos * 1_000_000_000 + now.tv_nsec as Nanos
    }
    #[cfg(not(target_os = "linux"))]
    {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_nanos() as Nanos)
    }
}

/// Asks the system to wake this thread when it said, and not up to 50 us later (measured at the
/// median of a quiet machine: 38 us late instead of 94).
pub(crate) fn sharpen_sleep() {
    #[cfg(target_os = "linux")]
    {
        let slack_ns: libc::c_ulong = 1;
        // SAFETY: PR_SET_TIMERSLACK takes one unsigned long and concerns this thread only. Where
        // it fails, sleeps are as coarse as before.
        unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, slack_ns) };
    }
}

fn differ(a: SystemTime, b: SystemTime) -> bool {
    a.duration_since(b).unwrap_or_else(|early| early.duration()) > ANCHOR_TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_hand_only_the_hand_moves_it() {
        let clock = Clock::by_hand(&Arc::new(Cells::new()));
        assert_eq!(clock.now(), 0);
        clock.step(5_000);
        assert_eq!((clock.now(), clock.published_word().load(Ordering::Relaxed)), (5_000, 0));
        assert_eq!(clock.refresh(), 5_000);
        assert_eq!(clock.published_word().load(Ordering::Relaxed), 5_000);
        clock.publish(3_000);
        assert_eq!(clock.published_word().load(Ordering::Relaxed), 5_000, "never backwards");
    }

    #[test]
    fn the_real_one_runs_and_two_know_nothing_of_each_other() {
        let first = Clock::real(&Arc::new(Cells::new()));
        std::thread::sleep(Duration::from_millis(5));
        let second = Clock::real(&Arc::new(Cells::new()));
        assert!(first.now() >= 5_000_000);
        assert!(second.now() < first.now());
        let skew = differ(first.wall(first.now()), SystemTime::now());
        assert!(!skew, "wall time follows the system's");
    }
}
