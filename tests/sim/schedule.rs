//! What is due when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum What {
    /// Engine-wide, before everything else of its moment.
    SiteFault,
    StallBegin,
    StallEnd,
    /// Of one source.
    FaultEnd,
    AnswerStart,
    AnswerProbe,
    Connect,
    Flap,
    Straggle,
    Tick,
    /// Of one stream.
    NextFault,
    DriverEnd,
    Word,
    TakeBack,
    Look,
}

/// Its order is that of the fields: what concerns one stream comes in the same order whatever
/// other streams there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) at: u64,
    /// 0 = the engine's, n + 1 = that of stream n.
    pub(crate) whose: u32,
    pub(crate) what: What,
    pub(crate) source: u8,
    pub(crate) arg: u32,
}

impl Entry {
    pub(crate) fn new(at: u64, stream: usize, what: What, source: usize, arg: u32) -> Self {
        Self { at, whose: stream as u32 + 1, what, source: source as u8, arg }
    }

    pub(crate) fn engine_wide(at: u64, what: What, arg: u32) -> Self {
        Self { at, whose: 0, what, source: 0, arg }
    }
}

#[derive(Debug)]
pub(crate) struct Schedule {
    heap: BinaryHeap<Reverse<Entry>>,
    grid_ns: u64,
}

impl Schedule {
    pub(crate) fn new(grid_ns: u64) -> Self {
        Self { heap: BinaryHeap::new(), grid_ns }
    }

    /// At the next moment of the grid.
    pub(crate) fn push(&mut self, mut entry: Entry) {
        entry.at = entry.at.div_ceil(self.grid_ns) * self.grid_ns;
        self.heap.push(Reverse(entry));
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|entry| entry.0.at)
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.heap.pop().map(|entry| entry.0)
    }
}
