//! The engine-wide queue of deadlines that the monitor sleeps on: a hierarchical timing wheel of
//! exact times.
//!
//! One entry per stream: the stream machine's next deadline. Re-arming is lazy. A deadline that
//! moves later leaves its entry, which fires, finds nothing due and is armed anew: an input that
//! delivers costs one look per timeout. One that moves earlier gets a new entry and the old one
//! is recognised as void by its sequence number. A slot is 2^20 ns wide, but entries keep their
//! exact time and are handed out at that time, not at the slot's.

use crate::types::{Nanos, StreamKey};

const SLOT_BITS: u32 = 20;
const LEVEL_BITS: u32 = 8;
const SLOTS: usize = 1 << LEVEL_BITS;
/// 2^(20+32) ns = 52 days; what is later waits in `far`.
const LEVELS: usize = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Nanos,
    pub(crate) stream: StreamKey,
    pub(crate) seq: u32,
}

#[derive(Debug)]
pub(crate) struct Deadlines {
    levels: Vec<Level>,
    far: Vec<Entry>,
    /// The slot number that has been reached.
    base: u64,
    len: usize,
    /// A slot's memory, for the next one that is emptied.
    spare: Vec<Entry>,
}

/// The earliest time is kept: very many streams may stand in one slot.
#[derive(Debug)]
struct Slot {
    entries: Vec<Entry>,
    earliest: Nanos,
}

impl Slot {
    const EMPTY: Self = Self { entries: Vec::new(), earliest: Nanos::MAX };
}

#[derive(Debug)]
struct Level {
    slots: Vec<Slot>,
    occupied: [u64; SLOTS / 64],
}

impl Level {
    fn new() -> Self {
        Self { slots: (0..SLOTS).map(|_| Slot::EMPTY).collect(), occupied: [0; SLOTS / 64] }
    }

    fn push(&mut self, index: usize, entry: Entry) {
        let slot = &mut self.slots[index];
        slot.entries.push(entry);
        slot.earliest = slot.earliest.min(entry.at);
        self.occupied[index / 64] |= 1 << (index % 64);
    }

    /// Empties a slot, which gets `spare` instead of its memory.
    fn take(&mut self, index: usize, spare: Vec<Entry>) -> Vec<Entry> {
        self.occupied[index / 64] &= !(1 << (index % 64));
        let empty = Slot { entries: spare, ..Slot::EMPTY };
        std::mem::replace(&mut self.slots[index], empty).entries
    }

    /// The first occupied slot at or after `from`.
    fn first(&self, from: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut bits = self.occupied.get(word)? & (u64::MAX << (from % 64));
        loop {
            if bits != 0 {
                return Some(word * 64 + bits.trailing_zeros() as usize);
            }
            word += 1;
            bits = *self.occupied.get(word)?;
        }
    }
}

impl Deadlines {
    pub(crate) fn new() -> Self {
        Self {
            levels: (0..LEVELS).map(|_| Level::new()).collect(),
            far: Vec::new(),
            base: 0,
            len: 0,
            spare: Vec::new(),
        }
    }

    /// Entries, void ones included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn insert(&mut self, entry: Entry) {
        self.len += 1;
        self.place(entry);
    }

    fn place(&mut self, entry: Entry) {
        let slot = (entry.at >> SLOT_BITS).max(self.base);
        let differ = slot ^ self.base;
        let level = if differ == 0 { 0 } else { (63 - differ.leading_zeros()) / LEVEL_BITS };
        match self.levels.get_mut(level as usize) {
            Some(wheel) => {
                let index = (slot >> (LEVEL_BITS * level)) as usize % SLOTS;
                wheel.push(index, entry);
            }
            None => self.far.push(entry),
        }
    }

    /// The first occupied slot: its level, its index, its first slot number.
    fn first(&self) -> Option<(usize, usize, u64)> {
        for (level, wheel) in self.levels.iter().enumerate() {
            let shift = LEVEL_BITS * level as u32;
            let here = (self.base >> shift) as usize % SLOTS;
            if let Some(index) = wheel.first(here) {
                let above = (self.base >> shift) & !(SLOTS as u64 - 1);
                return Some((level, index, ((above | index as u64) << shift).max(self.base)));
            }
        }
        None
    }

    /// When to look again: the exact time of the earliest entry where it is near, else a moment
    /// before it at which the wheel has to be turned.
    pub(crate) fn next(&self) -> Option<Nanos> {
        match self.first() {
            Some((0, index, _)) => Some(self.levels[0].slots[index].earliest),
            Some((_, _, slot)) => Some(slot << SLOT_BITS),
            None if self.far.is_empty() => None,
            None => Some(self.far_turn() << SLOT_BITS),
        }
    }

    fn far_turn(&self) -> u64 {
        let bits = LEVEL_BITS * LEVELS as u32;
        ((self.base >> bits) + 1) << bits
    }

    /// Moves everything that is due at `now` into `due`, earliest slot first.
    pub(crate) fn take_due(&mut self, now: Nanos, due: &mut Vec<Entry>) {
        let reached = now >> SLOT_BITS;
        loop {
            match self.first() {
                Some((0, index, slot)) if slot <= reached => {
                    self.base = slot;
                    let spare = std::mem::take(&mut self.spare);
                    let mut entries = self.levels[0].take(index, spare);
                    let before = due.len();
                    entries.retain(|entry| {
                        let later = entry.at > now;
                        if !later {
                            due.push(*entry);
                        }
                        later
                    });
                    self.len -= due.len() - before;
                    // The slot being lived through: its later entries wait.
                    let waits = !entries.is_empty();
                    for entry in entries.drain(..) {
                        self.levels[0].push(index, entry);
                    }
                    self.spare = entries;
                    if waits {
                        return;
                    }
                }
                Some((level, index, slot)) if level > 0 && slot <= reached => {
                    self.base = slot;
                    let spare = std::mem::take(&mut self.spare);
                    let mut entries = self.levels[level].take(index, spare);
                    for entry in entries.drain(..) {
                        self.place(entry);
                    }
                    self.spare = entries;
                }
                None if !self.far.is_empty() && self.far_turn() <= reached => {
                    self.base = self.far_turn();
                    for entry in std::mem::take(&mut self.far) {
                        self.place(entry);
                    }
                }
                _ => {
                    // Nothing occupied stands before `reached`, so the window may move there,
                    // but not past a turn that `far` still waits for.
                    if self.far.is_empty() || reached < self.far_turn() {
                        self.base = self.base.max(reached);
                    }
                    return;
                }
            }
        }
    }

    /// Drops what `keep` refuses: void entries, when they have become many.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        let mut all = std::mem::take(&mut self.far);
        for level in &mut self.levels {
            for index in 0..SLOTS {
                all.extend(level.take(index, Vec::new()));
            }
        }
        all.retain(&mut keep);
        self.len = all.len();
        for entry in all {
            self.place(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: Nanos, slot: u32) -> Entry {
        Entry { at, stream: StreamKey { slot, generation: 0 }, seq: 0 }
    }

    /// Runs the wheel as the monitor does: sleep to `next`, take what is due.
    fn run(wheel: &mut Deadlines) -> Vec<(Nanos, Nanos)> {
        let (mut seen, mut due) = (Vec::new(), Vec::new());
        while let Some(at) = wheel.next() {
            wheel.take_due(at, &mut due);
            seen.extend(due.drain(..).map(|entry| (at, entry.at)));
        }
        seen
    }

    #[test]
    fn every_entry_comes_out_exactly_at_its_time() {
        let mut wheel = Deadlines::new();
        // A fixed multiplicative sequence: all levels, many to a slot, and far ones.
        let mut times: Vec<Nanos> = (0..4_000_u64)
            .map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (8 + i % 48))
            .map(|t| t.min(1 << 58))
            .collect();
        for (i, at) in times.iter().enumerate() {
            wheel.insert(entry(*at, i as u32));
        }
        times.sort_unstable();
        let seen = run(&mut wheel);
        assert!(seen.iter().all(|(taken, at)| taken == at), "taken at its own time");
        let mut out: Vec<Nanos> = seen.iter().map(|(_, at)| *at).collect();
        assert!(out.is_sorted());
        out.sort_unstable();
        assert_eq!(out, times);
        assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn a_late_wake_takes_all_that_is_due_and_nothing_else() {
        let mut wheel = Deadlines::new();
        for at in [5, 1_000_000, 400_000_000, 90_000_000_000, 90_000_000_001] {
            wheel.insert(entry(at, 0));
        }
        let mut due = Vec::new();
        wheel.take_due(90_000_000_000, &mut due);
        assert_eq!(due.len(), 4);
        assert_eq!(wheel.next(), Some(90_000_000_001));
        wheel.insert(entry(7, 0));
        assert_eq!(wheel.next(), Some(7), "what is already due is next");
    }

    #[test]
    fn insertion_after_a_long_sleep_is_relative_to_the_present() {
        let mut wheel = Deadlines::new();
        let mut due = Vec::new();
        wheel.take_due(3_600_000_000_000, &mut due);
        wheel.insert(entry(3_600_000_500_000, 1));
        wheel.insert(entry(3_610_000_000_000, 2));
        assert_eq!(run(&mut wheel).len(), 2);
    }

    #[test]
    fn void_entries_can_be_dropped() {
        let mut wheel = Deadlines::new();
        for i in 0..100 {
            wheel.insert(entry(u64::from(i) << 30, i));
        }
        wheel.retain(|entry| entry.stream.slot % 10 == 0);
        assert_eq!((wheel.len(), run(&mut wheel).len()), (10, 10));
    }
}
