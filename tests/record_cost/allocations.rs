//! Counts what each thread asks of the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::switches::{self, Stage};

thread_local! {
    /// Without a destructor, and known at compile time: a look at it allocates nothing.
    static COUNT: Cell<Count> = const { Cell::new(Count { allocated: 0, freed: 0 }) };
}

/// How often a thread asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// For memory, or for more or less of it.
    pub(crate) allocated: u64,
    pub(crate) freed: u64,
}

fn note(allocated: u64, freed: u64) {
    let count = COUNT.get();
    COUNT.set(Count { allocated: count.allocated + allocated, freed: count.freed + freed });
}

struct Counting;

// SAFETY: everything is the system's allocator's, unchanged; calls are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, 0);
        // SAFETY: the caller's promise is passed on; `block` came from `System`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(0, 1);
        // SAFETY: the caller's promise is passed on; `block` came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread asked in there.
pub(crate) fn counted(work: impl FnOnce()) -> Count {
    let before = COUNT.get();
    work();
    let after = COUNT.get();
    Count { allocated: after.allocated - before.allocated, freed: after.freed - before.freed }
}

/// The same of the producer of a stream that is moved to and fro.
pub(crate) fn across_switches() -> Count {
    let (engine, stage) = (switches::engine(), Stage::new());
    let mut feeds = switches::feeds(&engine);
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| counted(|| stage.produce(&mut feeds)));
        stage.operate(&engine);
        producer.join().expect("produces")
    })
}
