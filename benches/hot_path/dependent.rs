//! Comparisons over single lines: the latency of a record on which the next one depends,
//! what the parts of a record cost, written out by hand, and each verdict by itself.

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

use changeover::{InputConfig, Recorder, StreamConfig, Verdict};

use super::measure::{Case, over};
use super::support::shuffled;
use super::world::{PACKET, World, floor_of};

// --- Dependent latency ---

/// One step of a walk: who comes next is known when this answer is (0 or 1).
fn walk(len: usize, at: &mut usize, ops: usize, mut call: impl FnMut(usize) -> usize) -> usize {
    let (mut i, mut ones) = (*at, 0);
    for _ in 0..ops {
        let answer = call(i);
        ones += answer;
        i += 1 + answer;
        // A branch that is guessed right: the chain goes through the answers alone.
        if i >= len {
            i -= len;
        }
    }
    *at = i;
    ones
}

/// A store and one load that depends on where it went, beside `Recorder::record`; a verdict of
/// *forward* skips one input. The lines answer in the order in which the recorders do.
pub(crate) fn dependent_cases(world: &World) -> Vec<Case<'_>> {
    let len = 2 * world.streams;
    let forward: Vec<usize> = {
        let mut recorders = world.recorders.borrow_mut();
        world.recorded.set(world.recorded.get() + len as u64);
        recorders.iter_mut().map(|r| usize::from(r.record(PACKET).is_forward())).collect()
    };
    assert_eq!(forward.iter().sum::<usize>(), world.streams, "one input of two is on the air");
    let lines: &'static [Cell] = cells(len);
    let order: Vec<&Cell> = shuffled(len, 1).into_iter().map(|n| &lines[n]).collect();
    for (cell, answer) in order.iter().zip(&forward) {
        cell.flags.store(*answer as u64, Relaxed);
    }
    let now = black_box(world.engine.now_ns());
    let (mut at, mut recorder_at) = (0, 0);
    let floor = move |ops| {
        walk(len, &mut at, ops, |i| {
            let cell = order[i];
            cell.last.store(now, Relaxed);
            cell.flags.load(Relaxed) as usize
        })
    };
    let record = move |ops| {
        world.recorded.set(world.recorded.get() + ops as u64);
        let recorders = &mut world.recorders.borrow_mut()[..];
        walk(len, &mut recorder_at, ops, |i| usize::from(recorders[i].record(PACKET).is_forward()))
    };
    let (mut floor, mut record) = (floor, record);
    assert_eq!(floor(3 * len), record(3 * len), "the same walk");
    vec![Case::new("dependent_floor", floor), Case::new("dependent", record)]
}

// --- The price breakdown ---

/// A cell of the bench's own, laid out as the engine's are.
#[derive(Default)]
#[repr(C, align(64))]
struct Cell {
    last: AtomicU64,
    packets: AtomicU64,
    bytes: AtomicU64,
    flags: AtomicU64,
}

fn cells(count: usize) -> &'static [Cell] {
    Box::leak((0..count).map(|_| Cell::default()).collect())
}

/// Gate *drop* and *forward* as the engine's flag word has them, and its bits for the longer way.
const DROP: u64 = 0;
const FORWARD: u64 = 1;
const LOW: u64 = 0x2e;

impl Cell {
    #[inline]
    fn count(&self) {
        self.packets.store(self.packets.load(Relaxed) + 1, Relaxed);
        self.bytes.store(self.bytes.load(Relaxed) + u64::from(PACKET.bytes), Relaxed);
    }

    #[inline]
    fn record(&self, now: u64) -> Verdict {
        let flags = self.flags.load(Acquire);
        if flags & LOW != DROP {
            return Verdict::Stale;
        }
        self.count();
        self.last.store(now, Release);
        if flags & 1 != 0 { Verdict::Forward((flags >> 32) as u32) } else { Verdict::Drop }
    }
}

/// Cells that are found by a number with a mark, as a C caller's are.
struct Slab {
    cells: &'static [Cell],
    marks: Vec<AtomicU32>,
}

impl Slab {
    #[inline]
    fn record(&self, handle: u64, now: u64) -> Verdict {
        let (index, mark) = (handle as u32 as usize, (handle >> 32) as u32);
        match (self.cells.get(index), self.marks.get(index)) {
            (Some(cell), Some(known)) if known.load(Acquire) == mark => cell.record(now),
            _ => Verdict::Stale,
        }
    }
}

#[inline(never)]
fn called(slab: &Slab, handle: u64, now: u64) -> Verdict {
    slab.record(handle, now)
}

/// Each case does what the one before it does, and one thing more; but for the two of the clock.
pub(crate) fn breakdown_cases(world: &World) -> Vec<Case<'_>> {
    let len = 2 * world.streams;
    let lines = cells(len);
    for (n, cell) in lines.iter().enumerate() {
        cell.flags.store(if n % 2 == 0 { FORWARD | 1 << 32 } else { DROP }, Relaxed);
    }
    let order = shuffled(len, 1);
    let pointers: Vec<&'static Cell> = order.iter().map(|&n| &lines[n]).collect();
    let marks: Vec<AtomicU32> = (0..len).map(|n| AtomicU32::new(n as u32 | 1 << 31)).collect();
    let handle = |&n: &usize| n as u64 | u64::from(n as u32 | 1 << 31) << 32;
    let handles: Vec<u64> = order.iter().map(handle).collect();
    let slab: &'static Slab = Box::leak(Box::new(Slab { cells: lines, marks }));
    let now = black_box(world.engine.now_ns());
    let published: &'static AtomicU64 = Box::leak(Box::new(AtomicU64::new(now)));
    let engine = &world.engine;

    macro_rules! case {
        ($key:literal, $items:expr, $call:expr) => {{
            let (mut items, mut cursor) = ($items.clone(), 0);
            Case::new($key, move |ops| over(&mut items, &mut cursor, ops, $call))
        }};
    }
    vec![
        case!("store", pointers, |cell: &mut &Cell| {
            cell.last.store(now, Relaxed);
            false
        }),
        case!("quanta", pointers, |cell: &mut &Cell| {
            cell.last.store(engine.now_ns(), Relaxed);
            false
        }),
        case!("coarse", pointers, |cell: &mut &Cell| {
            cell.last.store(published.load(Relaxed), Relaxed);
            false
        }),
        case!("counters", pointers, |cell: &mut &Cell| {
            cell.count();
            cell.last.store(published.load(Relaxed), Relaxed);
            false
        }),
        case!("verdict", pointers, |cell: &mut &Cell| {
            cell.record(published.load(Relaxed)).is_forward()
        }),
        case!("handle", handles, |handle: &mut u64| {
            slab.record(*handle, published.load(Relaxed)).is_forward()
        }),
        case!("call", handles, |handle: &mut u64| {
            called(slab, *handle, published.load(Relaxed)).is_forward()
        }),
        world.record_case(),
    ]
}

// --- Verdicts ---

/// `record` where every verdict is the same: forward, drop, stale.
pub(crate) fn verdict_cases(world: &World) -> Vec<Case<'_>> {
    let all = world.recorders.take();
    world.recorded.set(world.recorded.get() + all.len() as u64);
    let (mut forward, mut drop) = (Vec::new(), Vec::new());
    for mut recorder in all {
        let verdict = recorder.record(PACKET);
        if verdict.is_forward() { forward.push(recorder) } else { drop.push(recorder) }
    }
    assert_eq!((forward.len(), drop.len()), (world.streams, world.streams));
    let mut stale: Vec<Recorder> = (0..world.streams)
        .map(|n| {
            let id = format!("gone-{n}");
            let config = StreamConfig::new(id.as_str()).input(InputConfig::hot(0, "udp://gone"));
            world.engine.register(config).expect("registers");
            let recorder = world.engine.recorder(&id, 0, None).expect("opens");
            world.engine.unregister(&id).expect("unregisters");
            recorder
        })
        .collect();
    let said = |recorders: &mut [Recorder], verdict: fn(&Verdict) -> bool| {
        recorders.iter_mut().all(|r| verdict(&r.record(PACKET)))
    };
    assert!(said(&mut stale, |verdict| *verdict == Verdict::Stale), "their streams are gone");
    assert!(said(&mut drop, |verdict| *verdict == Verdict::Drop), "they stand by");
    world.recorded.set(world.recorded.get() + drop.len() as u64);
    let case = |key, mut recorders: Vec<Recorder>, counted: bool| {
        let mut cursor = 0;
        Case::new(key, move |ops| {
            world.recorded.set(world.recorded.get() + if counted { ops as u64 } else { 0 });
            over(&mut recorders, &mut cursor, ops, |r| r.record(PACKET).is_forward())
        })
    };
    let mut floor = floor_of(world.streams);
    let now = black_box(world.engine.now_ns());
    let mut cursor = 0;
    let floor = Case::new("verdict_floor", move |ops| {
        over(&mut floor, &mut cursor, ops, |cell| {
            cell.store(now, Relaxed);
            false
        })
    });
    vec![
        floor,
        case("all_forward", forward, true),
        case("all_drop", drop, true),
        case("all_stale", stale, false),
    ]
}
