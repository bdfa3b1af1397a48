//! Which free cell a thread gets: one on a page that no other thread opens cells on.
//!
//! Cores prefetch the lines beside those that they write. Two threads whose cells alternate pull
//! each other's lines away: two do together what one does alone (`benches/README.md`). A page is
//! as far as a prefetcher goes. Threads share a fixed number of lanes; a lane has pages of its own.

use std::collections::VecDeque;
use std::ops::Range;

use super::{CellIndex, count_of};
#[cfg(not(loom))]
use crate::sync::{AtomicU32, Ordering};

/// Cells on a page.
pub(super) const PAGE_CELLS: CellIndex = if cfg!(loom) { 4 } else { 64 };
const LANES: usize = 8;
/// Free cells of other lanes that are worth being taken before new pages are.
const MANY: usize = 4096;

/// A thread's lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneNumber(u8);

/// The calling thread's. (In a model all are in the first: lanes are about caches.)
#[cfg(loom)]
pub(super) fn mine() -> LaneNumber {
    LaneNumber(0)
}

/// The calling thread's.
#[cfg(not(loom))]
pub(super) fn mine() -> LaneNumber {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    thread_local! {
        // Relaxed: only the number counts.
        static LANE: LaneNumber =
            LaneNumber((NEXT.fetch_add(1, Ordering::Relaxed) % LANES as u32) as u8);
    }
    LANE.try_with(|lane| *lane).unwrap_or(LaneNumber(0))
}

/// The free cells.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: [Lane; LANES],
    of_page: Vec<LaneNumber>,
    /// Cells that were used before, over all lanes.
    used_before: usize,
}

#[derive(Debug, Default)]
struct Lane {
    /// First in, first out: a cell rests as long as possible before it is used again.
    free: VecDeque<CellIndex>,
    /// Of the lane's latest page, not yet used.
    fresh: Range<CellIndex>,
}

impl Lanes {
    /// A free cell, if there is one on the lane's pages (or very many elsewhere).
    pub(super) fn take(&mut self, lane: LaneNumber) -> Option<CellIndex> {
        let own = &mut self.lanes[usize::from(lane.0)];
        let mut found = own.free.pop_front();
        if found.is_none() {
            if let Some(fresh) = own.fresh.next() {
                return Some(fresh);
            }
            if self.used_before >= MANY {
                let richest = self.lanes.iter_mut().max_by_key(|lane| lane.free.len())?;
                found = richest.free.pop_front();
            }
        }
        self.used_before -= usize::from(found.is_some());
        found
    }

    /// A new page for the lane: these are its cells.
    pub(super) fn add_page(&mut self, lane: LaneNumber, cells: Range<CellIndex>) {
        self.of_page.push(lane);
        self.lanes[usize::from(lane.0)].fresh = cells;
    }

    pub(super) fn put(&mut self, cells: impl IntoIterator<Item = CellIndex>) {
        for cell in cells {
            let lane = self.of_page[count_of(cell) / PAGE_CELLS as usize];
            self.lanes[usize::from(lane.0)].free.push_back(cell);
            self.used_before += 1;
        }
    }

    /// Every free cell.
    #[cfg(any(feature = "capi", test))]
    pub(super) fn all(&self) -> impl Iterator<Item = CellIndex> + '_ {
        self.lanes.iter().flat_map(|lane| lane.free.iter().copied().chain(lane.fresh.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Cells;
    use crate::types::StreamKey;

    const KEY: StreamKey = StreamKey { slot: 7, generation: 1 };

    #[test]
    fn threads_that_take_turns_share_no_page() {
        let cells = Cells::new();
        let page = |cell: CellIndex| cell / PAGE_CELLS;
        let mut pages = Vec::new();
        std::thread::scope(|scope| {
            let (ours, theirs) = std::sync::mpsc::sync_channel(0);
            let (answers, heard) = std::sync::mpsc::sync_channel(0);
            let cells = &cells;
            scope.spawn(move || {
                for () in theirs {
                    answers.send(cells.acquire(KEY)).unwrap();
                }
            });
            for _ in 0..200 {
                let own = page(cells.acquire(KEY));
                ours.send(()).unwrap();
                pages.push((own, page(heard.recv().unwrap())));
            }
            drop(ours);
        });
        assert!(pages.iter().all(|(_, theirs)| pages.iter().all(|(ours, _)| ours != theirs)));
        assert!(pages.iter().all(|(ours, _)| *ours < 8), "pages are used up one after the other");
    }

    #[test]
    fn what_was_used_before_comes_before_new_pages() {
        let (mut lanes, lane) = (Lanes::default(), LaneNumber(3));
        assert_eq!(lanes.take(lane), None);
        lanes.add_page(lane, 1..3);
        assert_eq!(
            [lanes.take(lane), lanes.take(lane), lanes.take(lane)],
            [Some(1), Some(2), None]
        );
        lanes.put([2, 1]);
        assert_eq!(lanes.take(LaneNumber(4)), None, "another's");
        assert_eq!(
            [lanes.take(lane), lanes.take(lane), lanes.take(lane)],
            [Some(2), Some(1), None]
        );
        for page in 1..=MANY as CellIndex / PAGE_CELLS {
            lanes.add_page(lane, 0..0);
            lanes.put(page * PAGE_CELLS..(page + 1) * PAGE_CELLS);
        }
        assert_eq!(lanes.take(LaneNumber(4)), Some(PAGE_CELLS), "when there are very many");
        assert_eq!(lanes.take(LaneNumber(4)), None);
        assert_eq!(lanes.all().count(), MANY - 1);
    }
}
