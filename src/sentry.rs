//! What the monitor keeps of each stream for its own use: the stream's valid entry in the queue of
//! deadlines, and, while the stream is at rest, the few words that tell whether anything is to be
//! done about it.
//!
//! A stream is at rest when nothing but silence can make anything of it: its only deadlines are
//! "a packet of this activation within its timeout". When such a deadline is due and the packets
//! have come, the machine would find nothing to do; so it is not asked, and neither the stream nor
//! its lock is touched. Its place here is one line, and the looks of many streams read their cells
//! side by side: what costs at many streams is waiting for memory. Whatever else happens to a
//! stream goes through its machine, which says anew what is to be looked at.

use crate::deadlines::Entry;
use crate::publish::{PRECISE, PublishLog};
use crate::slab::{CellIndex, Cells};
use crate::sync::Ordering::Acquire;
use crate::sync::prefetch;
use crate::types::{Nanos, StreamKey};

/// One activation that has to deliver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Point {
    /// Where its packets are counted; 0 for nowhere.
    pub(crate) cell: CellIndex,
    pub(crate) by_id: CellIndex,
    /// How much silence is a failure, ns.
    pub(crate) span: Nanos,
}

/// Looks that are under way at the same time: as many misses as a core overlaps.
const ABREAST: usize = 32;
const IN_PLACE: usize = 2;

/// What an entry that is due is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// It was replaced, or its stream is gone.
    Void,
    /// Packets have come: look again then.
    Rests(Nanos),
    /// The machine is to be asked.
    Due,
}

#[derive(Clone, Debug, Default)]
#[repr(align(64))]
struct Sentry {
    generation: u32,
    /// Of the valid entry.
    seq: u32,
    /// The valid entry's time; 0 where there is none.
    at: Nanos,
    /// Empty unless the stream is at rest.
    points: [Point; IN_PLACE],
    more: Option<Box<Box<[Point]>>>,
    /// Which of the stream's entries in the list of watched cells are valid.
    watch_version: u32,
    /// It is content with the slow tick, because its packets are stamped by clock readings. One
    /// that is not is for the machine to know.
    precise: bool,
    /// Looks at it, wrapping. At 0 the machine is asked all the same: it adds up what wraps in the
    /// packet plane's counts.
    looks: u8,
}

const _: () = assert!(size_of::<Sentry>() == 64);

/// By the slots of the streams' keys.
#[derive(Debug, Default)]
pub(crate) struct Sentries {
    slots: Vec<Sentry>,
    /// Entries in the queue of deadlines that are void.
    pub(crate) void: usize,
}

impl Sentries {
    fn of(&mut self, key: StreamKey) -> &mut Sentry {
        let slot = key.slot as usize;
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, Sentry::default);
        }
        let sentry = &mut self.slots[slot];
        if sentry.generation != key.generation {
            // The slot's former stream left its entry behind, and is not asked about any more
            // (`Core::vacate`).
            self.void += usize::from(sentry.at != 0);
            *sentry = Sentry {
                generation: key.generation,
                seq: sentry.seq,
                watch_version: sentry.watch_version.wrapping_add(1),
                // Not all of them in the same round.
                looks: key.slot as u8,
                ..Sentry::default()
            };
        }
        sentry
    }

    fn known(&mut self, key: StreamKey) -> Option<&mut Sentry> {
        let sentry = self.slots.get_mut(key.slot as usize)?;
        (sentry.generation == key.generation).then_some(sentry)
    }

    /// The stream's next deadline. Answers the entry to be queued, unless one stands that comes
    /// first: that finds out, and asks again.
    pub(crate) fn arm(&mut self, stream: StreamKey, at: Nanos) -> Option<Entry> {
        let sentry = self.of(stream);
        if sentry.at != 0 && sentry.at <= at {
            return None;
        }
        let replaced = sentry.at != 0;
        sentry.seq = sentry.seq.wrapping_add(1);
        sentry.at = at.max(1);
        let entry = Entry { at: sentry.at, stream, seq: sentry.seq };
        self.void += usize::from(replaced);
        Some(entry)
    }

    /// The stream is at rest as long as each of these delivers; with none of them it is not at
    /// rest. `precise`: by packets that are stamped by clock readings.
    pub(crate) fn rest(&mut self, stream: StreamKey, points: &[Point], precise: bool) {
        let sentry = self.of(stream);
        sentry.precise = precise;
        for (at, place) in sentry.points.iter_mut().enumerate() {
            *place = points.get(at).copied().unwrap_or_default();
        }
        let more = points.get(IN_PLACE..).unwrap_or_default();
        if sentry.more.as_ref().map_or(&[][..], |boxed| boxed) != more {
            sentry.more = (!more.is_empty()).then(|| Box::new(more.into()));
        }
    }

    /// A stream is gone.
    pub(crate) fn forget(&mut self, stream: StreamKey) {
        if let Some(sentry) = self.known(stream) {
            let left = std::mem::take(&mut sentry.at) != 0;
            (sentry.points, sentry.more) = (Default::default(), None);
            sentry.watch_version = sentry.watch_version.wrapping_add(1);
            self.void += usize::from(left);
        }
    }

    /// The stream's watched cells are others now: entries of theirs before this are void. Answers
    /// the version of the new ones.
    pub(crate) fn watch_anew(&mut self, stream: StreamKey) -> u32 {
        let sentry = self.of(stream);
        sentry.watch_version = sentry.watch_version.wrapping_add(1);
        sentry.watch_version
    }

    /// Whether an entry of a watched cell is of its stream's present version.
    pub(crate) fn is_watched(&self, stream: StreamKey, version: u32) -> bool {
        self.slots.get(stream.slot as usize).is_some_and(|sentry| {
            sentry.generation == stream.generation && sentry.watch_version == version
        })
    }

    /// Whether an entry is its stream's valid one.
    pub(crate) fn is_valid(&self, entry: &Entry) -> bool {
        self.slots.get(entry.stream.slot as usize).is_some_and(|sentry| sentry.holds(entry))
    }

    /// An entry that was due comes again at another time.
    pub(crate) fn rearm(&mut self, entry: Entry, at: Nanos) -> Entry {
        self.of(entry.stream).at = at;
        Entry { at, ..entry }
    }

    /// Looks at entries that are due, in their order, some at a time.
    pub(crate) fn look(
        &mut self,
        now: Nanos,
        due: &[Entry],
        cells: &Cells,
        log: &PublishLog,
        found: &mut Vec<Found>,
    ) {
        found.clear();
        for some in due.chunks(ABREAST) {
            let mut stamps = [[[0; 2]; IN_PLACE]; ABREAST];
            // Their places here first, then the cells that those name: none waits for another's.
            for entry in some {
                self.slots.get(entry.stream.slot as usize).map(prefetch);
            }
            for entry in some {
                let sentry = self.slots.get(entry.stream.slot as usize);
                let points = sentry.map(|sentry| sentry.points).unwrap_or_default();
                for point in points.iter().filter(|point| point.cell != 0) {
                    prefetch(cells.get(point.cell));
                }
            }
            for (entry, stamps) in some.iter().zip(&mut stamps) {
                let Some(sentry) = self.slots.get(entry.stream.slot as usize) else { continue };
                for (point, stamps) in sentry.points.iter().zip(stamps) {
                    if point.cell != 0 {
                        *stamps = point.stamps(cells);
                    }
                }
            }
            for (entry, stamps) in some.iter().zip(&stamps) {
                let sentry = self.slots.get_mut(entry.stream.slot as usize);
                let Some(sentry) = sentry.filter(|sentry| sentry.holds(entry)) else {
                    self.void = self.void.saturating_sub(1);
                    found.push(Found::Void);
                    continue;
                };
                sentry.looks = sentry.looks.wrapping_add(1);
                let next = sentry.next(now, stamps, cells, log).filter(|_| sentry.looks != 0);
                sentry.at = 0;
                found.push(next.map_or(Found::Due, Found::Rests));
            }
        }
    }
}

impl Sentry {
    fn holds(&self, entry: &Entry) -> bool {
        self.generation == entry.stream.generation && self.seq == entry.seq && self.at == entry.at
    }

    /// When to look again at a stream that is at rest; `None` where it is not, or one of its
    /// activations is silent.
    fn next(
        &self,
        now: Nanos,
        stamps: &[[u64; 2]; IN_PLACE],
        cells: &Cells,
        log: &PublishLog,
    ) -> Option<Nanos> {
        let until = |stamps: &[u64; 2], span: Nanos| {
            let settled = stamps.iter().filter(|raw| **raw & !PRECISE != 0);
            if self.precise && settled.clone().any(|raw| raw & PRECISE == 0) {
                return None;
            }
            let last = settled.map(|raw| log.settled(*raw)).max()?;
            // What a stall did to the time of a packet, the machine is to know.
            let until = Some(last.saturating_add(span)).filter(|until| *until > now);
            until.filter(|_| last > log.latest_wake())
        };
        let mut next = until(&stamps[0], self.points[0].span).filter(|_| self.is_at_rest())?;
        if self.points[1].cell != 0 {
            next = next.min(until(&stamps[1], self.points[1].span)?);
        }
        for point in self.more.iter().flat_map(|more| more.iter()) {
            next = next.min(until(&point.stamps(cells), point.span)?);
        }
        Some(next)
    }

    fn is_at_rest(&self) -> bool {
        self.points[0].cell != 0
    }
}

impl Point {
    fn stamps(&self, cells: &Cells) -> [u64; 2] {
        // Acquire, as wherever the monitor reads a stamp; nothing is counted here.
        let stamp = |cell| cells.get(cell).last.load(Acquire);
        [stamp(self.cell), if self.by_id == 0 { 0 } else { stamp(self.by_id) }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::Ordering::Release;

    const KEY: StreamKey = StreamKey { slot: 3, generation: 7 };

    fn look(sentries: &mut Sentries, now: Nanos, entry: Entry, cells: &Cells) -> Found {
        let mut found = Vec::new();
        sentries.look(now, &[entry], cells, &PublishLog::new(true), &mut found);
        found[0]
    }

    #[test]
    fn a_stream_at_rest_is_looked_at_again_a_span_after_its_oldest_packet() {
        let (cells, mut sentries) = (Cells::new(), Sentries::default());
        let [a, b, c] = [(); 3].map(|()| cells.acquire(KEY));
        let points = [a, b, c].map(|cell| Point { cell, by_id: 0, span: 100 });
        for (cell, at) in [(a, 950), (b, 930), (c, 990)] {
            cells.get(cell).last.store(at, Release);
        }
        let entry = sentries.arm(KEY, 1_000).unwrap();
        sentries.rest(KEY, &points, false);
        assert_eq!(look(&mut sentries, 1_000, entry, &cells), Found::Rests(1_030));
        let entry = sentries.rearm(entry, 1_030);
        assert!(sentries.is_valid(&entry));
        assert_eq!(look(&mut sentries, 1_030, entry, &cells), Found::Due, "b is silent");
        assert!(!sentries.is_valid(&entry), "who is asked arms it anew");
        // The third one is silent, which does not stand in place.
        cells.get(a).last.store(2_000, Release);
        cells.get(b).last.store(2_000 | PRECISE, Release);
        let entry = sentries.arm(KEY, 2_050).unwrap();
        assert_eq!(look(&mut sentries, 2_050, entry, &cells), Found::Due);
        cells.get(c).last.store(2_049, Release);
        let entry = sentries.arm(KEY, 2_050).unwrap();
        assert_eq!(look(&mut sentries, 2_050, entry, &cells), Found::Rests(2_100));
    }

    #[test]
    fn the_machine_is_asked_now_and_then_though_packets_come() {
        let (cells, mut sentries) = (Cells::new(), Sentries::default());
        let cell = cells.acquire(KEY);
        sentries.rest(KEY, &[Point { cell, by_id: 0, span: 100 }], false);
        let mut entry = sentries.arm(KEY, 100).unwrap();
        let mut looks = 0;
        loop {
            cells.get(cell).last.store(entry.at, Release);
            looks += 1;
            match look(&mut sentries, entry.at, entry, &cells) {
                Found::Rests(at) => entry = sentries.rearm(entry, at),
                found => break assert_eq!((found, looks), (Found::Due, 256 - 3)),
            }
        }
    }

    #[test]
    fn packets_by_id_count_for_the_activation() {
        let (cells, mut sentries) = (Cells::new(), Sentries::default());
        let [home, by_id] = [(); 2].map(|()| cells.acquire(KEY));
        cells.get(home).last.store(10, Release);
        sentries.rest(KEY, &[Point { cell: home, by_id, span: 50 }], false);
        let entry = sentries.arm(KEY, 60).unwrap();
        assert_eq!(look(&mut sentries, 60, entry, &cells), Found::Due);
        cells.get(by_id).last.store(30, Release);
        let entry = sentries.arm(KEY, 60).unwrap();
        assert_eq!(look(&mut sentries, 60, entry, &cells), Found::Rests(80));
        // They keep no quick tick going, and one of them is stamped without the clock.
        sentries.rest(KEY, &[Point { cell: home, by_id, span: 50 }], true);
        let entry = sentries.rearm(entry, 80);
        cells.get(home).last.store(40 | PRECISE, Release);
        cells.get(by_id).last.store(50, Release);
        assert_eq!(look(&mut sentries, 80, entry, &cells), Found::Due);
        cells.get(by_id).last.store(50 | PRECISE, Release);
        let entry = sentries.arm(KEY, 80).unwrap();
        assert_eq!(look(&mut sentries, 80, entry, &cells), Found::Rests(100));
    }

    #[test]
    fn one_entry_is_valid_and_the_others_are_counted() {
        let (cells, mut sentries) = (Cells::new(), Sentries::default());
        let first = sentries.arm(KEY, 500).unwrap();
        assert_eq!(sentries.arm(KEY, 600), None, "the one at 500 finds out");
        let earlier = sentries.arm(KEY, 400).unwrap();
        assert_eq!((sentries.is_valid(&first), sentries.void), (false, 1));
        assert_eq!(look(&mut sentries, 500, first, &cells), Found::Void);
        assert_eq!(sentries.void, 0);
        assert_eq!(look(&mut sentries, 500, earlier, &cells), Found::Due, "not at rest");
        // The slot's next stream.
        let left = sentries.arm(KEY, 900).unwrap();
        let heir = StreamKey { generation: 8, ..KEY };
        let entry = sentries.arm(heir, 950).unwrap();
        assert_eq!((sentries.is_valid(&left), sentries.void), (false, 1));
        sentries.forget(KEY);
        assert!(sentries.is_valid(&entry), "another stream's end is nothing to it");
        sentries.forget(heir);
        assert_eq!((sentries.is_valid(&entry), sentries.void), (false, 2));
    }
}
