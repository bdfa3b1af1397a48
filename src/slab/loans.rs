//! Cells that are lent to foreign callers, who hold numbers instead of references; and a slab that
//! goes from one engine to the next.

use std::collections::VecDeque;
use std::mem::size_of;

use super::{CHUNKS, CellIndex, Cells, END, Memory, cells_in, chunk_layout, locate};
use crate::cell::Cell;
use crate::sync::{Arc, AtomicU32, Ordering};

/// Loans are numbered in so many bits.
pub(crate) const LOAN_BITS: u32 = 26;

impl Memory {
    /// No engine uses it: the caller holds the only copy.
    pub(crate) fn is_idle(&self) -> bool {
        Arc::strong_count(&self.cells) == 1 && Arc::strong_count(&self.published) == 1
    }

    /// Makes it as new, for the next engine, and gives its pages back to the system. Numbers that
    /// were lent stay void. Only while it is idle. A foreign caller that is late by an engine's
    /// life may still count into a cell meanwhile.
    pub(crate) fn clear(&self) {
        debug_assert!(self.is_idle());
        self.cells.clear();
        self.published.store(0, Ordering::Relaxed);
    }
}

impl Cells {
    /// The mark of a cell in an installed chunk.
    #[inline]
    fn mark_at(base: *mut Cell, chunk: usize, offset: usize) -> *const AtomicU32 {
        base.wrapping_add(cells_in(chunk)).cast::<AtomicU32>().wrapping_add(offset)
    }

    fn mark(&self, index: CellIndex) -> &AtomicU32 {
        let (chunk, offset) = locate(index);
        let base = self.chunks[chunk].load(Ordering::Acquire);
        assert!(!base.is_null(), "a cell index that was never handed out");
        // SAFETY: as in `get`; the marks stand behind the chunk's cells, zeroed as they are.
        unsafe { &*Self::mark_at(base, chunk, offset) }
    }

    /// Lends a cell to a foreign caller, who will name it by index and the mark that this
    /// answers: `kind`, and a number that comes again after 2^26 loans.
    pub(crate) fn lend(&self, index: CellIndex, kind: u32) -> u32 {
        let mut book = self.book.lock();
        let mark = kind << LOAN_BITS | book.next_loan;
        book.next_loan = (book.next_loan + 1) & ((1 << LOAN_BITS) - 1);
        // Release pairs with the acquire in `lent`: who finds the mark finds the cell opened.
        self.mark(index).store(mark, Ordering::Release);
        mark
    }

    /// The loan is over.
    pub(crate) fn take_back(&self, index: CellIndex) {
        self.mark(index).store(0, Ordering::Release);
    }

    /// The cell that is lent under this mark. Any two numbers get an answer.
    #[inline]
    pub(crate) fn lent(&self, index: CellIndex, mark: u32) -> Option<&Cell> {
        let (chunk, offset) = locate(index);
        // Acquire pairs with the release of `ensure_chunk`.
        let base = self.chunks.get(chunk)?.load(Ordering::Acquire);
        if base.is_null() || mark == 0 {
            return None;
        }
        // SAFETY: as in `mark`.
        let found = unsafe { &*Self::mark_at(base, chunk, offset) }.load(Ordering::Acquire);
        // SAFETY: as in `get`.
        (found == mark).then(|| unsafe { &*base.add(offset) })
    }

    /// See [`Memory::clear`].
    fn clear(&self) {
        let mut book = self.book.lock();
        book.entries.truncate(1);
        book.free = VecDeque::new();
        book.resting = Vec::new();
        self.told.store(END, Ordering::Relaxed);
        for chunk in 0..CHUNKS {
            let base = self.chunks[chunk].load(Ordering::Relaxed);
            if !base.is_null() {
                zero(base, chunk);
            }
        }
    }
}

/// All cells and marks of an installed chunk become zero, as they were made. Not by writing, where
/// the system does it by taking the pages back.
fn zero(base: *mut Cell, chunk: usize) {
    let bytes = chunk_layout(chunk).size();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::StreamKey;

    const KEY: StreamKey = StreamKey { slot: 7, generation: 1 };

    #[test]
    fn a_loan_is_found_under_its_mark_until_it_is_over() {
        let memory = Memory::new();
        let cells = &memory.cells;
        let index = cells.acquire(KEY);
        let mark = cells.lend(index, 5);
        assert_eq!(mark >> LOAN_BITS, 5);
        assert!(std::ptr::eq(cells.lent(index, mark).unwrap(), cells.get(index)));
        assert!(cells.lent(index, mark + 1).is_none() && cells.lent(index + 1, mark).is_none());
        assert!(cells.lent(index, 0).is_none() && cells.lent(index + 1, 0).is_none());
        assert!(cells.lent((1 << 26) - 1, mark).is_none() && cells.lent(u32::MAX, mark).is_none());
        cells.take_back(index);
        assert!(cells.lent(index, mark).is_none());
        let mark = cells.lend(index, 5);
        cells.get(index).packets.store(3, Ordering::Relaxed);
        let tag = cells.get(index).flags.load(Ordering::SeqCst).tag();
        assert!(memory.is_idle());
        memory.clear();
        assert!(cells.lent(index, mark).is_none(), "void for the next engine");
        assert_eq!(cells.get(index).packets.load(Ordering::Relaxed), 0);
        assert_eq!((cells.usage(), cells.acquire(KEY)), ((0, 0), 1));
        assert_ne!(cells.get(1).flags.load(Ordering::SeqCst).tag(), tag);
        assert_ne!(cells.lend(1, 5), mark);
        let copy = memory.clone();
        assert!(!memory.is_idle());
        drop(copy);
    }
}
