//! Cells that are lent to foreign callers, who hold numbers instead of references; and a slab that
//! goes from one engine to the next.

use std::collections::VecDeque;

use super::lanes::Lanes;
use super::{CHUNKS, CellIndex, Cells, DOUBLINGS, END, FIRST_CHUNK, count_of, locate, nth};
#[cfg(not(loom))]
use super::{allocation, chunk_layout};
use crate::cell::Cell;
use crate::flags::Gate;
use crate::sync::{AtomicU32, Ordering};
use crate::types::Nanos;

/// Cells of chunks beyond are not lent: a foreign caller's number has 26 bits for the index.
const LENT_CHUNKS: usize = 1 << 10;
const FIRST_BITS: u32 = FIRST_CHUNK.ilog2();

/// Loans are numbered in so many bits.
pub(crate) const LOAN_BITS: u32 = 26;

impl Cells {
    /// The mark of the cell at this place of a chunk whose first cell is `first`.
    #[inline]
    fn mark_at(first: *mut Cell, offset: usize) -> *const AtomicU32 {
        first.cast::<AtomicU32>().wrapping_sub(offset + 1)
    }

    fn mark(&self, index: CellIndex) -> &AtomicU32 {
        let (chunk, offset) = locate(index);
        let first = self.chunks[chunk].load(Ordering::Acquire);
        assert!(!first.is_null(), "a cell index that was never handed out");
        // SAFETY: `locate` keeps the offset below the count of the chunk's cells, and before its
        // first cell stand as many marks, zeroed as they are.
        unsafe { &*Self::mark_at(first, offset) }
    }

    /// Lends a cell to a foreign caller, who will name it by its index and the mark that this
    /// answers: `kind`, and a number that comes again after 2^26 loans. `None` beyond 67 million
    /// cells.
    pub(crate) fn lend(&self, index: CellIndex, kind: u32) -> Option<u32> {
        if locate(index).0 >= LENT_CHUNKS {
            return None;
        }
        let mut book = self.book.lock();
        let mark = kind << LOAN_BITS | book.next_loan;
        book.next_loan = (book.next_loan + 1) & ((1 << LOAN_BITS) - 1);
        // Release pairs with the acquire in `lent`: who finds the mark finds the cell opened.
        self.mark(index).store(mark, Ordering::Release);
        Some(mark)
    }

    /// The loan is over.
    pub(crate) fn take_back(&self, index: CellIndex) {
        self.mark(index).store(0, Ordering::Release);
    }

    /// The cell that is lent at this place under this mark. Any two numbers get an answer.
    #[inline]
    pub(crate) fn lent(&self, index: CellIndex, mark: u32) -> Option<&Cell> {
        let (chunk, offset) = locate(index);
        let chunk = chunk & (LENT_CHUNKS - 1);
        // Acquire pairs with the release of `ensure_chunk`.
        let first = self.chunks[chunk].load(Ordering::Acquire);
        // Beyond the chunk's cells: more than 10 bits in the first one, and never in the large ones.
        let is_beyond = offset >> (FIRST_BITS + (chunk as u32).min(DOUBLINGS)) != 0;
        if first.is_null() || mark == 0 || is_beyond {
            return None;
        }
        // SAFETY: as in `mark`.
        let found = unsafe { &*Self::mark_at(first, offset) }.load(Ordering::Acquire);
        // SAFETY: as in `get`.
        (found == mark).then(|| unsafe { &*first.add(offset) })
    }

    /// Goes to the next engine at the system's time `now`, without those cells that foreign callers
    /// may still be writing to: they rest for `rest`. Only while no engine uses it.
    pub(crate) fn pass_on(&self, now: Nanos, rest: Nanos) {
        let mut guard = self.book.lock();
        let book = &mut *guard;
        while book.passed.front().is_some_and(|(since, _)| now.saturating_sub(*since) >= rest) {
            let rested = book.passed.pop_front();
            book.free.put(rested.into_iter().flat_map(|(_, cells)| cells));
        }
        let mut unused = vec![false; book.entries.len()];
        let at_rest = book.passed.iter().flat_map(|(_, cells)| cells);
        let at_rest = at_rest.copied().chain(book.free.all());
        at_rest.for_each(|index| unused[count_of(index)] = true);
        let used = (1..book.entries.len()).filter(|n| !unused[*n]);
        let used: Vec<_> = used.map(nth).collect();
        for index in &used {
            book.entries[count_of(*index)].owners = 0;
            let cell = self.get(*index);
            let flags = cell.flags.load(Ordering::Relaxed);
            cell.flags.store(flags.with(Gate::Stale, 0), Ordering::SeqCst);
            cell.next.store(0, Ordering::Relaxed);
            self.take_back(*index);
        }
        book.passed.push_back((now, used));
        book.resting = Vec::new();
        self.told.store(END, Ordering::Relaxed);
        self.published.store(0, Ordering::Relaxed);
    }

    /// Makes it as new, for the next engine, and gives its pages back to the system. Numbers that
    /// were lent stay void. Only while no engine uses it. A foreign caller that is late by an
    /// engine's life may still count into a cell meanwhile.
    pub(crate) fn clear(&self) {
        let mut book = self.book.lock();
        book.entries.truncate(1);
        book.free = Lanes::default();
        book.resting = Vec::new();
        book.passed = VecDeque::new();
        self.told.store(END, Ordering::Relaxed);
        self.published.store(0, Ordering::Relaxed);
        drop(book);
        self.give_back();
    }

    /// Gives its pages back to the system: all cells and marks are zero. Only while no engine uses
    /// it.
    pub(crate) fn give_back(&self) {
        for chunk in 0..CHUNKS {
            let first = self.chunks[chunk].load(Ordering::Relaxed);
            if !first.is_null() {
                zero(first, chunk);
            }
        }
    }
}

/// All cells and marks of an installed chunk become zero, as they were made. Not by writing, where
/// the system does it by taking the pages back.
#[cfg(not(loom))]
fn zero(first: *mut Cell, chunk: usize) {
    let (base, bytes) = (allocation(first, chunk), chunk_layout(chunk).size());
    #[cfg(target_os = "linux")]
    {
        // SAFETY: whole pages of one allocation of our own, which the system replaces by zeroes.
        // All of it is atomics, so that a late writer sees either.
        if unsafe { libc::madvise(base.cast(), bytes, libc::MADV_DONTNEED) } == 0 {
            return;
        }
    }
    let words = base.cast::<AtomicU32>();
    for word in 0..bytes / size_of::<AtomicU32>() {
        // SAFETY: within the chunk, which is made of atomic words.
        unsafe { &*words.add(word) }.store(0, Ordering::Relaxed);
    }
}

/// loom's words are not zeroed as memory: those that late callers look at are, one by one.
#[cfg(loom)]
fn zero(first: *mut Cell, chunk: usize) {
    for at in 0..super::cells_in(chunk) {
        // SAFETY: within an installed chunk, and its marks before.
        let (cell, mark) = unsafe { (&*first.add(at), &*Cells::mark_at(first, at)) };
        mark.store(0, Ordering::Relaxed);
        cell.flags.store(crate::flags::Flags::default(), Ordering::Relaxed);
        cell.packets.store(0, Ordering::Relaxed);
        cell.last.store(0, Ordering::Relaxed);
        cell.next.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::Flags;
    use crate::types::StreamKey;

    const KEY: StreamKey = StreamKey { slot: 7, generation: 1 };

    #[test]
    fn a_loan_is_found_under_its_mark_until_it_is_over() {
        let cells = Cells::new();
        let index = cells.acquire(KEY);
        let (place, mark) = (index, cells.lend(index, 5).unwrap());
        assert_eq!(mark >> LOAN_BITS, 5);
        assert!(std::ptr::eq(cells.lent(place, mark).unwrap(), cells.get(index)));
        assert!(cells.lent(place, mark + 1).is_none() && cells.lent(place + 1, mark).is_none());
        assert!(cells.lent(place, 0).is_none() && cells.lent(place + 1, 0).is_none());
        for garbage in [1024, 0xFFFF, 1 << 16, (1 << 26) - 1, u32::MAX] {
            assert!(cells.lent(garbage, mark).is_none());
        }
        cells.take_back(index);
        assert!(cells.lent(place, mark).is_none());
        let mark = cells.lend(index, 5).unwrap();
        cells.get(index).packets.store(3, Ordering::Relaxed);
        let tag = cells.get(index).flags.load(Ordering::SeqCst).tag();
        cells.clear();
        assert!(cells.lent(place, mark).is_none(), "void for the next engine");
        assert_eq!(cells.get(index).packets.load(Ordering::Relaxed), 0);
        assert_eq!((cells.usage(), cells.acquire(KEY)), ((0, 0), 1));
        assert_ne!(cells.get(1).flags.load(Ordering::SeqCst).tag(), tag);
        assert_ne!(cells.lend(1, 5).unwrap(), mark);
    }

    #[test]
    fn what_is_passed_on_rests_and_comes_again() {
        let cells = Cells::new();
        let index = cells.acquire(KEY);
        let (place, mark) = (index, cells.lend(index, 2).unwrap());
        cells.get(index).flags.store(Flags::new(Gate::Forward, true, 9, 1), Ordering::SeqCst);
        assert!(cells.tell(index));
        cells.pass_on(100, 10);
        assert!(cells.lent(place, mark).is_none() && !cells.has_told());
        assert_eq!(cells.get(index).flags.load(Ordering::SeqCst).gate(), Gate::Stale);
        assert_eq!((cells.acquire(KEY), cells.take_resting()), (2, vec![]));
        cells.pass_on(109, 10);
        assert_eq!(cells.acquire(KEY), 3, "1 and 2 rest");
        cells.pass_on(110, 10);
        assert_eq!(cells.acquire(KEY), 1, "has rested; and it is not put to rest without use");
        cells.pass_on(119, 10);
        assert_eq!(cells.acquire(KEY), 2);
        assert!(cells.tell(1));
    }

    #[test]
    fn a_place_is_that_of_its_cell() {
        let cells = Cells::new();
        for index in (0..200_000).map(|_| cells.acquire(KEY)).step_by(997) {
            let mark = cells.lend(index, 2).unwrap();
            assert!(std::ptr::eq(cells.lent(index, mark).unwrap(), cells.get(index)));
        }
    }
}
