//! Recorded and made feeds, as the packet plane would tell of them, and many days of one.

use super::super::{Cadence, Learned};
use super::MS;
use crate::types::Nanos;

/// The coarse clock's tick: stamps are rounded down to it.
const TICK: Nanos = MS;

/// Small, fast, and the same everywhere (xorshift64*).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// In (0, 1].
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() + 1) as f64 / (1u64 << 53) as f64
    }

    pub(super) fn exponential(&mut self, mean: Nanos) -> Nanos {
        (-self.unit().ln() * mean as f64) as Nanos
    }
}

/// The longest gap of each block of arrivals (ascending), as the packet plane counts it: by
/// coarse stamps, in the block in which it ends.
pub(super) fn blocks(arrivals: &[Nanos]) -> Vec<Nanos> {
    let mut longest: Vec<Option<Nanos>> = Vec::new();
    for pair in arrivals.windows(2) {
        let [from, to] = [pair[0] / TICK * TICK, pair[1] / TICK * TICK];
        let block = (to >> 30) as usize;
        if longest.len() <= block {
            longest.resize(block + 1, None);
        }
        longest[block] = longest[block].max(Some(to - from));
    }
    longest.into_iter().flatten().collect()
}

/// The arrivals of a recorded trace: gaps in microseconds, LEB128.
fn recorded(trace: &[u8]) -> Vec<Nanos> {
    let (mut at, mut number, mut shift) = (0, 0, 0);
    let mut arrivals = vec![0];
    for byte in trace {
        number |= u64::from(byte & 0x7F) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            at += number * 1000;
            arrivals.push(at);
            (number, shift) = (0, 0);
        }
    }
    arrivals
}

/// `seconds` of packets each `period`, each late by up to `jitter` (so the order holds as sorted).
pub(super) fn regular(period: Nanos, jitter: Nanos, seconds: u64, dice: &mut Dice) -> Vec<Nanos> {
    let packets = seconds * 1000 * MS / period;
    let mut arrivals: Vec<Nanos> =
        (0..packets).map(|n| n * period + dice.below(jitter.max(1))).collect();
    arrivals.sort_unstable();
    arrivals
}

macro_rules! recorded {
    ($name:literal) => {
        recorded(include_bytes!(concat!("../../../../tests/cadence/", $name, ".gaps")))
    };
}

/// What thirty days of one feed came to.
#[derive(Debug, Default)]
pub(super) struct Month {
    pub(super) alarms: u64,
    /// Blocks for which nothing was learned.
    pub(super) unknown: u64,
    pub(super) longest: Nanos,
    pub(super) least: Nanos,
    pub(super) most: Nanos,
}

/// So many days of a feed: its blocks in runs of 1 to 64 from anywhere, each longest gap longer by
/// a jitter of 1 ms in the mean (and so, in a month, by up to 15).
pub(super) fn days(days: u64, blocks: &[Nanos], rule: &Learned, dice: &mut Dice) -> Month {
    let mut cadence = Cadence::new();
    let mut month = Month { least: Nanos::MAX, ..Month::default() };
    let (mut at, mut left) = (0, 0);
    for _ in 0..(days * 86_400_000 * MS) >> 30 {
        if left == 0 {
            (at, left) = (dice.below(blocks.len() as u64) as usize, 1 << dice.below(7));
        }
        let gap = blocks[at] + dice.exponential(MS);
        (at, left) = ((at + 1) % blocks.len(), left - 1);
        month.longest = month.longest.max(gap);
        month.take(cadence.timeout(rule), gap);
        cadence.block(gap);
    }
    month
}

impl Month {
    pub(super) fn take(&mut self, timeout: Option<Nanos>, gap: Nanos) {
        let Some(timeout) = timeout else {
            self.unknown += 1;
            return;
        };
        self.alarms += u64::from(gap > timeout);
        self.least = self.least.min(timeout);
        self.most = self.most.max(timeout);
    }
}

/// The feeds, and between which values their timeout is to stay for thirty days, in ms.
pub(super) fn feeds() -> Vec<(&'static str, Vec<Nanos>, [Nanos; 2])> {
    let dice = &mut Dice(7);
    let feeds = [
        ("1,000/s, jitter 5 ms", regular(MS, 5 * MS, 600, dice), [25, 40]),
        ("40 packets each 40 ms", bursts(600), [80, 100]),
        ("cbr25", recorded!("cbr25"), [80, 119]),
        ("vbr25", recorded!("vbr25"), [80, 119]),
        ("vbr30", recorded!("vbr30"), [66, 119]),
        ("paced25", recorded!("paced25"), [25, 119]),
        ("cbr25-loaded", recorded!("cbr25-loaded"), [80, 400]),
        ("vbr30-loaded", recorded!("vbr30-loaded"), [66, 500]),
        ("hls2", recorded!("hls2"), [2500, 20_000]),
        ("hls4", recorded!("hls4"), [5000, 20_000]),
        ("hls6", recorded!("hls6"), [7500, 20_000]),
    ];
    feeds.map(|(name, arrivals, range)| (name, blocks(&arrivals), range)).into()
}

/// A feed whose encoder got a quarter of the time that it needed: 40 ms mostly, 421 ms once.
pub(super) fn starved() -> Vec<Nanos> {
    blocks(&recorded!("vbr30-starved"))
}

/// 40 packets at once, each 40 ms.
fn bursts(seconds: u64) -> Vec<Nanos> {
    (0..seconds * 1000).map(|n| n / 40 * 40 * MS).collect()
}
