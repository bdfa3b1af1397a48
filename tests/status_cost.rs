//! What the first look at a stream costs for good: counted by the allocator, so a program of its
//! own.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use changeover::{EngineConfig, HandEngine, InputConfig, Packet, StreamConfig};

/// Bytes that are allocated now.
static LIVE: AtomicI64 = AtomicI64::new(0);

struct Counting;

// SAFETY: everything is the system's allocator's, unchanged; only sizes are counted.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: the caller's promise is passed on; `block` came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Finding 30 of a review: the two marks that a look at an unsampled input leaves behind came with
/// a whole window's meter, 1.1 KB an input, for good.
#[test]
fn the_first_status_of_a_stream_without_rules_costs_little() {
    const STREAMS: i64 = 200;
    const INPUTS: i64 = 2;
    let engine = HandEngine::new_for_testing(EngineConfig::default());
    let ids: Vec<_> = (0..STREAMS).map(|n| format!("s{n}")).collect();
    let mut recorders = Vec::new();
    for id in &ids {
        let stream = (0..INPUTS as i32).fold(StreamConfig::new(id), |stream, priority| {
            stream.input(InputConfig::hot(priority, "udp://feed"))
        });
        engine.register(stream).expect("registers");
        for priority in 0..INPUTS as i32 {
            recorders.push(engine.recorder(id, priority, None).expect("opens"));
        }
    }
    for _ in 0..100 {
        for recorder in &mut recorders {
            let _ = recorder.record(Packet::new(1316));
        }
        engine.advance(Duration::from_millis(20));
    }
    let look = || {
        for id in &ids {
            drop(engine.runtime_status(id).expect("is registered"));
        }
        LIVE.load(Relaxed)
    };
    let before = LIVE.load(Relaxed);
    let first = (look() - before) / (STREAMS * INPUTS);
    assert!((1..=400).contains(&first), "{first} bytes an input");
    let again = look();
    assert_eq!(look(), again, "nothing more for another look");
}
