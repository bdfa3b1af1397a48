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

const WHATS: [What; 15] = [
    What::SiteFault,
    What::StallBegin,
    What::StallEnd,
    What::FaultEnd,
    What::AnswerStart,
    What::AnswerProbe,
    What::Connect,
    What::Flap,
    What::Straggle,
    What::Tick,
    What::NextFault,
    What::DriverEnd,
    What::Word,
    What::TakeBack,
    What::Look,
];

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

impl Entry {
    /// One number of the same order: whole entries are slow to compare.
    fn pack(self) -> u128 {
        let Self { at, whose, what, source, arg } = self;
        let rest = u64::from(whose) << 40
            | (what as u64) << 36
            | u64::from(source & 15) << 32
            | u64::from(arg);
        u128::from(at) << 64 | u128::from(rest)
    }

    fn unpack(key: u128) -> Self {
        let (at, rest) = ((key >> 64) as u64, key as u64);
        let what = WHATS[(rest >> 36) as usize & 15];
        let source = (rest >> 32) as u8 & 15;
        Self { at, whose: (rest >> 40) as u32, what, source, arg: rest as u32 }
    }
}

#[derive(Debug)]
pub(crate) struct Schedule {
    heap: BinaryHeap<Reverse<u128>>,
    /// The engine's, and of each stream.
    grids_ns: Vec<u64>,
}

impl Schedule {
    pub(crate) fn new(engine_ns: u64, streams_ns: impl Iterator<Item = u64>) -> Self {
        let grids_ns = std::iter::once(engine_ns).chain(streams_ns).collect();
        Self { heap: BinaryHeap::new(), grids_ns }
    }

    /// At the next moment of its grid.
    pub(crate) fn push(&mut self, mut entry: Entry) {
        let grid_ns = self.grids_ns[entry.whose as usize];
        entry.at = entry.at.div_ceil(grid_ns) * grid_ns;
        self.heap.push(Reverse(entry.pack()));
    }

    pub(crate) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|key| (key.0 >> 64) as u64)
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.heap.pop().map(|key| Entry::unpack(key.0))
    }
}

#[test]
fn entries_are_packed_in_their_order() {
    for (n, what) in WHATS.into_iter().enumerate() {
        assert_eq!(what as usize, n);
        let entry = Entry::new(1 << 60, 9_999, what, 3, u32::MAX);
        assert_eq!(Entry::unpack(entry.pack()), entry);
    }
    let (a, b) = (Entry::new(5, 1, What::Look, 3, 9), Entry::new(5, 2, What::Tick, 0, 0));
    assert!(a.pack() < b.pack() && a < b);
}
