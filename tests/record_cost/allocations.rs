//! Counts what each thread asks of the allocator.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use super::switches::{self, Stage};

thread_local! {
    /// Without a destructor, and known at compile time: a look at it allocates nothing.
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

fn note() {
    COUNT.set(COUNT.get() + 1);
}

struct Counting;

// SAFETY: everything is the system's allocator's, unchanged; calls are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: the caller's promise is passed on; `block` came from `System`.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note();
        // SAFETY: the caller's promise is passed on; `block` came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread allocated or freed in there.
pub(crate) fn counted(work: impl FnOnce()) -> u64 {
    let before = COUNT.get();
    work();
    COUNT.get() - before
}

/// The same of the producer of a stream that is moved to and fro.
pub(crate) fn across_switches() -> u64 {
    let (engine, stage) = (switches::engine(), Stage::new());
    let mut feeds = switches::feeds(&engine);
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| counted(|| stage.produce(&mut feeds)));
        stage.operate(&engine);
        producer.join().expect("produces")
    })
}
