//! The engine's own counters, and the lateness of its monitor.

use serde::Serialize;

use crate::sync::{AtomicU64, Ordering::Relaxed, unmodelled};
use crate::types::Nanos;

/// Four buckets to an octave: a percentile is at most 25 % above the true value.
const BUCKETS: usize = 64 * 4;

#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) wakes: AtomicU64,
    pub(crate) stalls: AtomicU64,
    pub(crate) deadlines: AtomicU64,
    pub(crate) failovers: AtomicU64,
    pub(crate) stuck_calls: AtomicU64,
    late_last: AtomicU64,
    late_max: AtomicU64,
    late: Box<[unmodelled::AtomicU64; BUCKETS]>,
}

/// The engine's counters at one moment. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct EngineStats {
    /// Registered streams.
    pub streams: u64,
    /// The clock tick in force.
    pub tick_ns: u64,
    /// Times the monitor has woken.
    pub wakes_total: u64,
    /// Wake-ups so late that silence was not judged by them.
    pub stalls_total: u64,
    /// Deadlines that were looked at.
    pub deadlines_total: u64,
    /// How late the monitor was for the last deadline it slept for.
    pub lateness_last_ns: u64,
    /// The worst such lateness since the engine was built.
    pub lateness_max_ns: u64,
    /// The median such lateness (to 25 %).
    pub lateness_p50_ns: u64,
    /// The 99th percentile of such lateness (to 25 %).
    pub lateness_p99_ns: u64,
    /// Events lost by slow subscribers.
    pub events_dropped_total: u64,
    /// Driver calls that are past their deadline and have not returned.
    pub stuck_calls: u64,
    /// Failovers, over all streams.
    pub failovers_total: u64,
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            wakes: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            deadlines: AtomicU64::new(0),
            failovers: AtomicU64::new(0),
            stuck_calls: AtomicU64::new(0),
            late_last: AtomicU64::new(0),
            late_max: AtomicU64::new(0),
            late: Box::new([const { unmodelled::AtomicU64::new(0) }; BUCKETS]),
        }
    }
}

impl Stats {
    /// A deadline was looked at `late` after its time. The monitor only: one writer, so that no look
    /// waits for a locked addition.
    pub(crate) fn looked(&self, late: Nanos) {
        self.deadlines.store(self.deadlines.load(Relaxed) + 1, Relaxed);
        self.late_last.store(late, Relaxed);
        if self.late_max.load(Relaxed) < late {
            self.late_max.store(late, Relaxed);
        }
        let count = &self.late[bucket(late)];
        count.store(count.load(Relaxed) + 1, Relaxed);
    }

    pub(crate) fn snapshot(&self, streams: u64, tick_ns: u64, dropped: u64) -> EngineStats {
        EngineStats {
            streams,
            tick_ns,
            wakes_total: self.wakes.load(Relaxed),
            stalls_total: self.stalls.load(Relaxed),
            deadlines_total: self.deadlines.load(Relaxed),
            lateness_last_ns: self.late_last.load(Relaxed),
            lateness_max_ns: self.late_max.load(Relaxed),
            lateness_p50_ns: self.percentile(50),
            lateness_p99_ns: self.percentile(99),
            events_dropped_total: dropped,
            stuck_calls: self.stuck_calls.load(Relaxed),
            failovers_total: self.failovers.load(Relaxed),
        }
    }

    fn percentile(&self, percent: u64) -> Nanos {
        let counts: Vec<u64> = self.late.iter().map(|count| count.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let wanted = (total * percent).div_ceil(100);
        let mut seen = 0;
        for (i, count) in counts.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return upper_bound(i).min(self.late_max.load(Relaxed));
            }
        }
        0
    }
}

fn bucket(value: Nanos) -> usize {
    if value < 4 {
        return value as usize;
    }
    let octave = value.ilog2();
    (octave * 4 + (value >> (octave - 2) & 3) as u32) as usize
}

/// The highest value that falls into a bucket.
fn upper_bound(index: usize) -> Nanos {
    if index < 8 {
        return index as Nanos;
    }
    let (octave, quarter) = (index as u32 / 4, index as u64 % 4);
    (1 << octave) + ((quarter + 1) << (octave - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_their_values() {
        for value in [0, 1, 3, 4, 5, 7, 8, 100, 999, 1_000_000, 4_123_456_789] {
            let high = upper_bound(bucket(value));
            assert!(high >= value && high <= value + value / 4 + 1, "{value} -> {high}");
        }
    }

    #[test]
    fn percentiles_are_under_their_own_names() {
        let stats = Stats::default();
        for i in 1..=100_u64 {
            stats.looked(i * 1_000);
        }
        let seen = stats.snapshot(0, 0, 0);
        assert_eq!((seen.lateness_max_ns, seen.lateness_last_ns), (100_000, 100_000));
        assert!((50_000..=62_500).contains(&seen.lateness_p50_ns), "{}", seen.lateness_p50_ns);
        assert!((99_000..=100_000).contains(&seen.lateness_p99_ns));
    }
}
