//! From a packet's stamp to the latest moment at which it can have arrived, and what a stall of
//! the monitor means for deadlines.
//!
//! A stamp is a published value `s`, so the packet came before the next value published after
//! `s`: silence counted from that value is never declared early, and late by at most one
//! publishing interval. The monitor logs what it published. A stamp taken from a clock reading
//! ([`PRECISE`]) is its own moment.
//!
//! A monitor that wakes much later than it planned was starved, or the whole process was
//! stopped: that time says nothing about the sources (behaviour.md §4.7).

use std::cell::Cell;
use std::collections::VecDeque;

use crate::types::Nanos;

/// Marks a stamp that was read from the precise clock. Engine times never reach this bit.
pub(crate) const PRECISE: u64 = 1 << 63;

/// Publications kept: 32 s of 4 ms ticks, 128 KiB. An older stamp is judged by the widest
/// interval ever forgotten: later by at most that, never early.
const KEPT: usize = 16_384;
const KNOWN: usize = 64;

/// Stalls kept on the hand-driven clock.
const STALLS_KEPT: usize = 1024;

/// Deadlines are moved at most this far past a stalled monitor's waking.
const STALL_GRACE_NS: Nanos = 200_000_000;

#[derive(Debug)]
pub(crate) struct PublishLog {
    /// Published values, ascending, each with a time by which it was surely visible: whoever
    /// still read its predecessor did so before that.
    values: VecDeque<(Nanos, Nanos)>,
    widest_forgotten: Nanos,
    /// What stamps settled to: those of one moment are many, and one is found in 16,000 values.
    known: [Cell<(Nanos, Nanos)>; KNOWN],
    /// On the hand-driven clock the published time moves with the precise one: a stamp is its
    /// own moment, but for one taken right before a stall. These are the stalls.
    stalls: VecDeque<(Nanos, Nanos)>,
    by_hand: bool,
    last: Nanos,
    stall: Stall,
}

/// The latest stalls: each from the last publication before it to the wake-up that ended it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stall {
    /// Oldest first; `(0, 0)` for none. An older one than these has no deadline left to move.
    recent: [(Nanos, Nanos); 4],
}

impl Stall {
    fn add(&mut self, began: Nanos, wake: Nanos) {
        self.recent.rotate_left(1);
        self.recent[3] = (began, wake);
    }

    /// The effective deadline: one that was not due when a stall began waits for
    /// `min(span, 200 ms)` after the wake-up, so that what the sources sent meanwhile is heard.
    pub(crate) fn extend(self, deadline: Nanos, span: Nanos) -> Nanos {
        self.recent.iter().filter(|(_, wake)| *wake != 0).fold(deadline, |deadline, stall| {
            let (began, wake) = *stall;
            let grace = wake.saturating_add(span.min(STALL_GRACE_NS));
            if deadline <= began { deadline } else { deadline.max(grace) }
        })
    }

    /// The wake-up that ended the stall in which this moment lies.
    fn wake_after(&self, stamp: Nanos) -> Option<Nanos> {
        let within = self.recent.iter().find(|(began, wake)| *began <= stamp && stamp < *wake);
        within.map(|(_, wake)| *wake)
    }
}

impl PublishLog {
    pub(crate) fn new(by_hand: bool) -> Self {
        Self {
            values: VecDeque::new(),
            widest_forgotten: 0,
            known: [const { Cell::new((0, 0)) }; KNOWN],
            stalls: VecDeque::new(),
            by_hand,
            last: 0,
            stall: Stall::default(),
        }
    }

    /// Notes that `now` was published, and that it was surely visible at `visible`; `stalled` =
    /// the wake-up was late beyond the limit.
    pub(crate) fn published(&mut self, now: Nanos, visible: Nanos, stalled: bool) {
        if stalled {
            self.stall.add(self.last, now);
            self.slipped(now);
        }
        if now > self.last && !self.by_hand {
            self.keep(now, visible);
        }
        self.last = self.last.max(now);
    }

    /// By hand: time has passed unseen since the last publication, be it too short for a stall.
    pub(crate) fn slipped(&mut self, now: Nanos) {
        if !self.by_hand {
            return;
        }
        if self.stalls.len() == STALLS_KEPT {
            self.stalls.pop_front();
        }
        self.stalls.push_back((self.last, now));
    }

    fn keep(&mut self, value: Nanos, visible: Nanos) {
        if self.values.len() == KEPT
            && let (Some((oldest, _)), Some((_, visible))) =
                (self.values.pop_front(), self.values.front())
        {
            self.widest_forgotten = self.widest_forgotten.max(visible.saturating_sub(oldest));
        }
        self.values.push_back((value, visible.max(value)));
    }

    pub(crate) fn stall(&self) -> Stall {
        self.stall
    }

    /// The end of the latest stall; 0 before the first.
    pub(crate) fn latest_wake(&self) -> Nanos {
        self.stall.recent[3].1
    }

    /// The latest moment at which a packet of this raw stamp can have arrived.
    pub(crate) fn settled(&self, raw: u64) -> Nanos {
        let stamp = raw & !PRECISE;
        if raw & PRECISE != 0 {
            // Within a stall the packet came while nobody looked: it counts from the waking.
            return self.stall.wake_after(stamp).unwrap_or(stamp);
        }
        if self.by_hand {
            // Within one, too: somebody may have refreshed the published time meanwhile.
            let after = self.stalls.partition_point(|(began, _)| *began <= stamp);
            let stall = after.checked_sub(1).map(|at| self.stalls[at].1);
            return stall.filter(|wake| stamp < *wake).unwrap_or(stamp);
        }
        let known = &self.known[(stamp.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 58) as usize];
        if known.get().0 == stamp && stamp != 0 {
            return known.get().1;
        }
        let after = self.values.partition_point(|(value, _)| *value <= stamp);
        match self.values.get(after) {
            Some((_, visible)) if after == 0 => {
                (*visible).min(stamp.saturating_add(self.widest_forgotten)).max(stamp)
            }
            Some((_, visible)) => {
                known.set((stamp, *visible));
                *visible
            }
            // Its next value is not published yet: the next look finds it.
            None => stamp.max(self.last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_judged_from_the_next_publication() {
        let mut log = PublishLog::new(false);
        for value in [1_000, 2_000, 3_500] {
            log.published(value, value + 1, false);
        }
        assert_eq!(log.settled(1_000), 2_001, "when that was surely visible");
        assert_eq!(log.settled(2_000), 3_501);
        assert_eq!(log.settled(2_700), 3_501, "a value that somebody else refreshed");
        assert_eq!(log.settled(3_500), 3_500, "its next is not published yet");
        assert_eq!(log.settled(2_700 | PRECISE), 2_700);
    }

    #[test]
    fn forgotten_publications_never_make_a_deadline_early() {
        let mut log = PublishLog::new(false);
        log.published(10, 10, false);
        log.published(5_010, 5_010, false);
        for i in 1..=(KEPT as u64) {
            let value = 5_010 + i * 1_000;
            log.published(value, value, false);
        }
        assert_eq!(log.values.len(), KEPT);
        assert_eq!(log.settled(10), 5_010, "the interval it stood before");
        assert!(log.settled(5_010) >= 6_010);
    }

    #[test]
    fn by_hand_a_stamp_is_its_own_moment_except_before_a_stall() {
        let mut log = PublishLog::new(true);
        log.published(100, 100, false);
        log.published(200, 200, false);
        log.published(900, 900, true);
        assert_eq!((log.settled(100), log.settled(150)), (100, 150));
        assert_eq!(log.settled(200), 900, "it may have come at any time of the stall");
        assert_eq!(log.settled(900), 900);
        log.published(1_000, 1_000, false);
        assert_eq!(log.settled(950), 950);
        assert_eq!(log.stall().wake_after(200), Some(900));
        assert_eq!(log.settled(500 | PRECISE), 900, "nobody looked then");
        log.published(5_000, 5_000, true);
        assert_eq!((log.settled(1_000), log.settled(900)), (5_000, 900));
        assert_eq!(log.settled(200), 900);
    }

    #[test]
    fn a_stall_moves_what_was_not_yet_due() {
        let mut stall = Stall::default();
        stall.add(1_000_000_000, 9_000_000_000);
        assert_eq!(stall.extend(900_000_000, u64::MAX), 900_000_000, "was due before");
        assert_eq!(stall.extend(5_000_000_000, 30_000_000_000), 9_200_000_000);
        assert_eq!(stall.extend(5_000_000_000, 50_000_000), 9_050_000_000);
        assert_eq!(stall.extend(20_000_000_000, 30_000_000_000), 20_000_000_000);
        assert_eq!(Stall::default().extend(5, 5), 5);
        // A second stall within the grace of the first: the moved deadline was not due either.
        stall.add(9_100_000_000, 9_900_000_000);
        assert_eq!(stall.extend(5_000_000_000, 30_000_000_000), 10_100_000_000);
    }
}
