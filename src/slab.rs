//! The slab that the hot cells live in: who owns which, when one may be used again, and the list of
//! those that have something to tell.
//!
//! Cells are never freed or moved while the slab lives: an index, once handed out, always names
//! readable memory. A slab may outlive its engine (the C ABI keeps it for the next one): a foreign
//! caller that comes too late finds a dead cell, and never freed memory.

mod lanes;
#[cfg(feature = "capi")]
mod loans;

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::collections::VecDeque;
use std::mem::size_of;

use crossbeam_utils::CachePadded;

use self::lanes::{Lanes, PAGE_CELLS};
#[cfg(feature = "capi")]
pub(crate) use self::loans::LOAN_BITS;
use crate::cell::Cell;
use crate::flags::{Flags, Gate, TAG_MASK};
use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Mutex, Ordering};
use crate::types::{Nanos, StreamKey};

/// A cell's number in its engine: its chunk, and which one it is there (16 bits). 0 is no cell.
pub(crate) type CellIndex = u32;

const OFFSET_BITS: u32 = 16;

/// Chunks double from 64 KiB to 4 MiB: making a chunk writes it, and no registration is to pay
/// for more than that.
const FIRST_CHUNK: u32 = if cfg!(loom) { 4 } else { 1024 };
const DOUBLINGS: u32 = if cfg!(loom) { 0 } else { 6 };
const LARGEST_CHUNK: u32 = FIRST_CHUNK << DOUBLINGS;
/// The cells in the chunks that are smaller than that.
const IN_SMALLER: u32 = FIRST_CHUNK * ((1 << DOUBLINGS) - 1);
/// For 268 million cells. (A model has a few: loom keeps a book on each word.)
const CHUNKS: usize = DOUBLINGS as usize + if cfg!(loom) { 4 } else { 4096 };
const END: u32 = u32::MAX;
const PAGE: usize = 4096;

/// The slab, and the one word that every packet reads. Chunks are never freed or moved while it
/// lives.
pub(crate) struct Cells {
    /// The published time ([`crate::clock`]), on a line of its own.
    pub(crate) published: CachePadded<AtomicU64>,
    /// In place: a packet of a foreign caller takes one load less.
    chunks: [AtomicPtr<Cell>; CHUNKS],
    /// Cells whose producer has something to tell: a stack that producers push to and the
    /// monitor takes whole.
    told: AtomicU32,
    book: Mutex<Book>,
}

/// The control plane's record of the cells. Locked at open and close, never per packet.
struct Book {
    entries: Vec<Entry>,
    /// Where the chunks begin: for leak checkers, who take a pointer into their middle for lost.
    allocations: Vec<AtomicPtr<u8>>,
    free: Lanes,
    /// Let go, but not yet known to be unread.
    resting: Vec<CellIndex>,
    /// Cells of engines before this one that rest, by the system's time since when.
    #[cfg_attr(not(feature = "capi"), allow(dead_code))]
    passed: VecDeque<(Nanos, Vec<CellIndex>)>,
    next_tag: u32,
    #[cfg_attr(not(feature = "capi"), allow(dead_code))]
    next_loan: u32,
}

#[derive(Clone, Copy)]
struct Entry {
    owners: u32,
    stream: StreamKey,
}

fn cells_in(chunk: usize) -> usize {
    (FIRST_CHUNK as usize) << chunk.min(DOUBLINGS as usize)
}

/// A chunk's cells, and before them a mark for each (for cells that are lent), backwards: a cell's
/// mark is found from the first cell alone.
fn chunk_layout(chunk: usize) -> Layout {
    let bytes = marks_size(chunk) + cells_in(chunk) * size_of::<Cell>();
    // Whole pages, so that no other data shares a page with cells.
    Layout::from_size_align(bytes, PAGE).expect("a chunk's layout is valid")
}

/// Whole pages: a chunk holds 1,024 cells or a multiple.
fn marks_size(chunk: usize) -> usize {
    (cells_in(chunk) * size_of::<AtomicU32>()).next_multiple_of(PAGE)
}

#[cfg(not(loom))]
const _: () = assert!((FIRST_CHUNK as usize * size_of::<AtomicU32>()).is_multiple_of(PAGE));

/// Which chunk a cell stands in, and where.
#[inline]
fn locate(index: CellIndex) -> (usize, usize) {
    ((index >> OFFSET_BITS) as usize, (index & ((1 << OFFSET_BITS) - 1)) as usize)
}

/// The n-th cell that was made.
fn nth(n: usize) -> CellIndex {
    let n = u32::try_from(n).unwrap_or(u32::MAX);
    let (chunk, offset) = if n >= IN_SMALLER {
        let beyond = n - IN_SMALLER;
        (DOUBLINGS + beyond / LARGEST_CHUNK, beyond % LARGEST_CHUNK)
    } else {
        let chunk = (n / FIRST_CHUNK + 1).ilog2();
        (chunk, n - FIRST_CHUNK * ((1 << chunk) - 1))
    };
    chunk << OFFSET_BITS | offset
}

/// As how many-th a cell was made: its place in the book.
fn count_of(index: CellIndex) -> usize {
    let (chunk, offset) = locate(index);
    let before = match chunk.checked_sub(DOUBLINGS as usize) {
        Some(beyond) => IN_SMALLER as usize + beyond * LARGEST_CHUNK as usize,
        None => FIRST_CHUNK as usize * ((1 << chunk) - 1),
    };
    before + offset
}

#[cfg(not(loom))]
const _: () = assert!(LARGEST_CHUNK == 1 << OFFSET_BITS);

impl Cells {
    pub(crate) fn new() -> Self {
        // Entry 0 is never handed out: index 0 means none.
        let nobody = Entry { owners: 0, stream: StreamKey { slot: 0, generation: 0 } };
        let cells = Self {
            published: CachePadded::new(AtomicU64::new(0)),
            #[cfg(not(loom))]
            chunks: [const { AtomicPtr::new(std::ptr::null_mut()) }; CHUNKS],
            #[cfg(loom)]
            chunks: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())),
            told: AtomicU32::new(END),
            book: Mutex::new(Book {
                entries: vec![nobody],
                allocations: Vec::new(),
                free: Lanes::default(),
                resting: Vec::new(),
                passed: VecDeque::new(),
                next_tag: 1,
                next_loan: 1,
            }),
        };
        cells.ensure_chunk(&mut cells.book.lock(), 0);
        cells
    }

    fn ensure_chunk(&self, book: &mut Book, chunk: usize) {
        if self.chunks[chunk].load(Ordering::Acquire).is_null() {
            let layout = chunk_layout(chunk);
            // SAFETY: the layout has a size above zero.
            let memory = unsafe { alloc_zeroed(layout) };
            if memory.is_null() {
                handle_alloc_error(layout);
            }
            let first = memory.wrapping_add(marks_size(chunk)).cast::<Cell>();
            book.allocations.push(AtomicPtr::new(memory));
            #[cfg(loom)]
            model::make(first, cells_in(chunk));
            // Release pairs with the acquire in `get`. The book is locked, so nobody else installs
            // this chunk.
            self.chunks[chunk].store(first, Ordering::Release);
        }
    }

    /// The cell of an index that was handed out by `acquire`.
    #[inline]
    pub(crate) fn get(&self, index: CellIndex) -> &Cell {
        let (chunk, offset) = locate(index);
        // Acquire pairs with the release of `ensure_chunk`: the chunk's zeroes are visible.
        let base = self.chunks[chunk].load(Ordering::Acquire);
        assert!(!base.is_null(), "a cell index that was never handed out");
        // SAFETY: an installed chunk holds the zeroed cells of `chunk_layout` (a `Cell` is atomics
        // only, for which zero is valid) and stays until `self` is dropped; `locate` keeps the
        // offset below their count.
        unsafe { &*base.add(offset) }
    }

    /// A fresh cell with one owner, gate *stale*; its tag is new.
    pub(crate) fn acquire(&self, stream: StreamKey) -> CellIndex {
        self.acquire_tagged(stream, None)
    }

    /// The same with the tag of an epoch that exists: for its further producers.
    pub(crate) fn acquire_tagged(&self, stream: StreamKey, tag: Option<u32>) -> CellIndex {
        let mut book = self.book.lock();
        let lane = lanes::mine();
        let index = match book.free.take(lane) {
            Some(index) => index,
            None => {
                // A page for this thread; the first one has no cell 0.
                let index = nth(book.entries.len());
                assert!(locate(index).0 < CHUNKS, "more than 268 million cells in one engine");
                self.ensure_chunk(&mut book, locate(index).0);
                let end = (index | (PAGE_CELLS - 1)) + 1;
                let made = book.entries.len() + (end - index) as usize;
                book.entries.resize(made, Entry { owners: 0, stream });
                book.free.add_page(lane, index..end);
                book.free.take(lane).unwrap_or(index)
            }
        };
        book.entries[count_of(index)] = Entry { owners: 1, stream };
        let tag = tag.unwrap_or_else(|| {
            let tag = book.next_tag;
            book.next_tag = tag.wrapping_add(1) & TAG_MASK as u32;
            tag
        });
        let cell = self.get(index);
        let counts = [&cell.packets, &cell.bytes, &cell.frames_lost, &cell.keys_tracks];
        for word in counts.into_iter().chain([&cell.last, &cell.peer]) {
            word.store(0, Ordering::Relaxed);
        }
        cell.gaps.store(0, Ordering::Relaxed);
        cell.flags.store(Flags::new(Gate::Stale, false, tag, 0), Ordering::SeqCst);
        index
    }

    /// One more owner.
    pub(crate) fn retain(&self, index: CellIndex) {
        self.book.lock().entries[count_of(index)].owners += 1;
    }

    /// One owner less; after the last one the cell rests until it is known to be unread.
    pub(crate) fn release(&self, index: CellIndex) {
        let mut book = self.book.lock();
        let entry = &mut book.entries[count_of(index)];
        debug_assert!(entry.owners > 0, "a cell released once too often");
        entry.owners -= 1;
        if entry.owners == 0 {
            let flags = &self.get(index).flags;
            flags.store(flags.load(Ordering::SeqCst).with(Gate::Stale, 0), Ordering::SeqCst);
            book.resting.push(index);
        }
    }

    /// Cells that nobody owns any more, and that by-id look-ups may still be reading.
    pub(crate) fn take_resting(&self) -> Vec<CellIndex> {
        std::mem::take(&mut self.book.lock().resting)
    }

    /// Cells that nobody can be reading any more: ready for use.
    pub(crate) fn recycle(&self, cells: &[CellIndex]) {
        self.book.lock().free.put(cells.iter().copied());
    }

    /// The stream that a cell in use belongs to.
    pub(crate) fn stream_of(&self, index: CellIndex) -> Option<StreamKey> {
        let book = self.book.lock();
        book.entries.get(count_of(index)).filter(|entry| entry.owners > 0).map(|entry| entry.stream)
    }

    /// Where the word that counts stands, for a cell of tag `tag`: the cell itself, or the one
    /// that it was moved to.
    pub(crate) fn home_of(&self, index: CellIndex) -> CellIndex {
        let flags = self.get(index).flags.load(Ordering::SeqCst);
        if flags.gate() == Gate::Moved { flags.cut() } else { index }
    }

    /// Puts the cell on the monitor's list; answers whether the list was empty, so that one wake
    /// is due. Wait-free but for the retry when two producers push at the same moment.
    pub(crate) fn tell(&self, index: CellIndex) -> bool {
        let cell = self.get(index);
        // Claims the node: 0 = not listed. Relaxed: the push below publishes. A node that is
        // listed already is one that the monitor has not taken yet: it will read this cell.
        if cell.next.compare_exchange(0, END, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return false;
        }
        let mut head = self.told.load(Ordering::Relaxed);
        loop {
            cell.next.store(head, Ordering::Relaxed);
            // Release pairs with the acquire swap of `drain_told`: what the producer counted
            // before is visible to the monitor.
            match self.told.compare_exchange_weak(head, index, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return head == END,
                Err(now) => head = now,
            }
        }
    }

    /// Takes the whole list. The monitor only.
    pub(crate) fn drain_told(&self, out: &mut Vec<CellIndex>) {
        let mut index = self.told.swap(END, Ordering::Acquire);
        while index != END {
            out.push(index);
            // 0 lets the next tell claim the node again.
            index = self.get(index).next.swap(0, Ordering::AcqRel);
        }
    }

    pub(crate) fn has_told(&self) -> bool {
        self.told.load(Ordering::Relaxed) != END
    }

    /// Cells in use, and cells ever made.
    #[cfg(test)]
    pub(crate) fn usage(&self) -> (usize, usize) {
        let book = self.book.lock();
        let made = book.entries.len() - 1;
        (made - book.free.all().count() - book.resting.len(), made)
    }
}

/// loom's words are not made by zeroes.
#[cfg(loom)]
mod model {
    use super::{AtomicU32, Cell};

    pub(super) fn make(first: *mut Cell, cells: usize) {
        for at in 0..cells {
            // SAFETY: within the allocation of a chunk of so many cells, which nobody else has; and
            // a mark stands before the first cell for each.
            unsafe {
                first.add(at).write(Cell::default());
                first.cast::<AtomicU32>().sub(at + 1).write(AtomicU32::new(0));
            }
        }
    }
}

/// Where the allocation of a chunk begins whose first cell this is.
fn allocation(first: *mut Cell, chunk: usize) -> *mut u8 {
    first.cast::<u8>().wrapping_sub(marks_size(chunk))
}

impl Drop for Cells {
    fn drop(&mut self) {
        for (chunk, base) in self.chunks.iter().enumerate() {
            let base = base.load(Ordering::Relaxed);
            if !base.is_null() {
                // SAFETY: allocated in `ensure_chunk` with this layout; whoever holds a cell
                // holds the engine's shared part and so keeps `self` alive.
                unsafe { dealloc(allocation(base, chunk), chunk_layout(chunk)) };
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const KEY: StreamKey = StreamKey { slot: 7, generation: 1 };

    #[test]
    fn indexes_find_their_chunk() {
        let smaller = IN_SMALLER as usize;
        let largest = LARGEST_CHUNK as usize;
        for (n, place) in [
            (0, (0, 0)),
            (1023, (0, 1023)),
            (1024, (1, 0)),
            (3071, (1, 2047)),
            (3072, (2, 0)),
            (smaller - 1, (5, 32_767)),
            (smaller, (6, 0)),
            (smaller + largest, (7, 0)),
            (smaller + 3 * largest - 1, (8, 65_535)),
        ] {
            assert_eq!(locate(nth(n)), place);
            assert_eq!(count_of(nth(n)), n);
        }
    }

    #[test]
    fn a_cell_returns_when_its_last_owner_lets_go() {
        let cells = Cells::new();
        let first = cells.acquire(KEY);
        let tag = cells.get(first).flags.load(Ordering::SeqCst).tag();
        cells.retain(first);
        cells.release(first);
        assert_eq!(cells.stream_of(first), Some(KEY), "its recorder still holds it");
        assert_ne!(cells.acquire(KEY), first);
        cells.release(first);
        assert_eq!(cells.stream_of(first), None);
        assert_eq!(cells.take_resting(), [first]);
        cells.recycle(&[first]);
        let again = cells.acquire(KEY);
        assert_eq!(again, first, "reused");
        assert_ne!(cells.get(again).flags.load(Ordering::SeqCst).tag(), tag, "under a new tag");
    }

    #[test]
    fn many_cells_stay_where_they_are() {
        let cells = Cells::new();
        let all: Vec<_> = (0..10_000).map(|_| cells.acquire(KEY)).collect();
        for index in &all {
            cells.get(*index).packets.store(u64::from(*index), Ordering::Relaxed);
        }
        assert!(all.iter().all(|i| cells.get(*i).packets.load(Ordering::Relaxed) == u64::from(*i)));
        assert_eq!(cells.usage(), (10_000, 10_047), "whole pages");
    }

    #[test]
    fn a_cell_tells_once_until_it_was_heard() {
        let cells = Cells::new();
        let (a, b) = (cells.acquire(KEY), cells.acquire(KEY));
        assert!(cells.tell(a), "the list was empty: wake");
        assert!(!cells.tell(b) && !cells.tell(a));
        let mut heard = Vec::new();
        cells.drain_told(&mut heard);
        heard.sort_unstable();
        assert_eq!(heard, [a, b]);
        assert!(cells.tell(a));
    }
}
