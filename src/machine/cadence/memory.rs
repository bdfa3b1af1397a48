//! The gaps of the last hour, by length: when was one this long last seen? Time is counted in
//! blocks, so an hour is one of blocks in which packets came.

use crate::types::Nanos;

/// Gaps are known in units of this.
pub(super) const UNIT_NS: Nanos = 1 << 17;
/// Classes of length: eight to an octave, from a millisecond (8 units) up.
const CLASSES: usize = 8 * 13;
/// Blocks to a period, about 69 s.
const PERIOD: u8 = 64;
/// How long a gap is remembered, in periods: an hour and a bit, so that what comes every hour
/// finds its predecessor.
const HOUR: u8 = 60;
/// How long an outage is.
const FIVE_MINUTES: u8 = 5;

/// See the module's documentation.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// The longest gap of each class, in units.
    longest: [u16; CLASSES],
    /// For how many more periods it counts.
    left: [u8; CLASSES],
    /// Blocks left in the period.
    blocks: u8,
}

/// A gap in units, rounded up; `u16::MAX` = too long to say.
pub(super) fn units(gap_ns: Nanos) -> u16 {
    u16::try_from(gap_ns.div_ceil(UNIT_NS)).unwrap_or(u16::MAX)
}

impl Memory {
    pub(super) fn new() -> Self {
        Self { longest: [0; CLASSES], left: [0; CLASSES], blocks: PERIOD }
    }

    /// One block's longest gap, in units.
    pub(super) fn block(&mut self, gap: u16) {
        self.blocks -= 1;
        if self.blocks == 0 {
            self.blocks = PERIOD;
            for left in &mut self.left {
                *left = left.saturating_sub(1);
            }
        }
        // Below a millisecond there is nothing to remember.
        let Some(octave) = gap.checked_ilog2().and_then(|octave| octave.checked_sub(3)) else {
            return;
        };
        let class = (octave * 8 + (u32::from(gap) >> octave & 7)) as usize;
        let known = if self.left[class] > 0 { self.longest[class] } else { 0 };
        self.longest[class] = known.max(gap);
        self.left[class] = HOUR;
    }

    /// The longest gap of the last hour that is shorter than the ceiling; `None` if one was not,
    /// within the last five minutes.
    pub(super) fn longest(&self, ceiling_ns: Nanos) -> Option<Nanos> {
        for (&gap, &left) in self.longest.iter().zip(&self.left).rev() {
            let outage = gap == u16::MAX || Nanos::from(gap) * UNIT_NS >= ceiling_ns;
            if left > 0 && !outage {
                return Some(Nanos::from(gap) * UNIT_NS);
            }
            if outage && left > HOUR - FIVE_MINUTES {
                return None;
            }
        }
        Some(0)
    }
}
