//! How much silence of one input is improbable, learned from the longest gap of each block of
//! about a second. Pure: no clock, time is counted in blocks.
//!
//! An accrual failure detector: not "silent, yes or no", but phi = -log10 of the probability that
//! a regular input is silent for so long [N. Hayashibara, X. Defago, R. Yared, T. Katayama: The
//! phi accrual failure detector, SRDS 2004]. They fit a normal distribution to all inter-arrival
//! times. Media comes in bursts (frames, segments), where that says nothing: what counts is how
//! long the *longest* gap of a second gets. Maxima of many tend to a Gumbel distribution, whose
//! tail is exponential [R. A. Fisher, L. H. C. Tippett 1928; E. J. Gumbel: Statistics of Extremes,
//! 1958]; it is fitted here by its moments, with exponential forgetting (about two minutes).
//!
//! Two things are added, since no real feed keeps to one distribution:
//!
//! * The scale never goes below the clock's tick, nor below a 16th of the usual longest gap: at
//!   phi 8 one whole burst may fail to come, however regular the feed has been.
//! * A memory of the last hour: no silence that the input has come back from within that hour is
//!   held against it again, with a quarter on top (at phi 8); right after a surprise longer than
//!   the floor, with as much again on top. What lasted beyond the ceiling was an outage by the
//!   operator's own word: it counts for five minutes only, at the ceiling.
//!
//! Phi 8, the default, is one false alarm in 10^8 blocks (3.4 years) for an input that keeps to
//! what it did in the last minutes. What comes out for recorded feeds stands in
//! `tests/cadence/README.md`.

mod memory;
#[cfg(test)]
mod tests;

use std::f64::consts::{LOG10_E, PI};

use self::memory::{Memory, UNIT_NS, units};
use crate::types::Nanos;

/// The rule, resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Learned {
    pub(crate) floor_ns: Nanos,
    pub(crate) ceiling_ns: Nanos,
    pub(crate) confidence: f64,
}

/// What is known of one input's gaps.
#[derive(Clone, Debug)]
pub(crate) struct Cadence {
    /// Blocks still to be passed over.
    skip: u8,
    /// The last block's longest gap, if it was a long one.
    long: u16,
    /// Blocks in the fit, or as if so many were: at most `HORIZON`, fewer after surprises.
    blocks: u16,
    /// Of the blocks' longest gaps, in milliseconds.
    mean: f64,
    variance: f64,
    /// The longest gap that was a surprise lately, in milliseconds, and for how many more blocks
    /// it counts.
    shock: f64,
    shaken: u8,
    memory: Memory,
}

// One to an input.
const _: () = assert!(size_of::<Cadence>() <= 600);

/// The first blocks of a feed say nothing: the first is cut, and a source starts with a hiccup.
const SKIP: u8 = 2;
/// Gaps of half a block and more are long: such a feed comes in segments.
const LONG: u16 = 1 << 12;
/// Blocks in the fit before it is believed.
const ENOUGH: u16 = 16;
/// Blocks that the fit remembers.
const HORIZON: u16 = 128;
/// As if so few had been seen, when block after block is a surprise: it learns anew.
const AFRESH: u16 = 8;
/// Standard deviations from the mean beyond which a block surprises.
const SURPRISE: f64 = 6.0;
/// Blocks for which a surprise counts twice.
const SHAKEN: u8 = 16;
/// The smallest scale: gaps are known to about a tick (1 ms) on either side.
const MIN_SCALE_MS: f64 = 0.78;
/// The smallest scale as a part of the usual longest gap.
const MIN_SCALE_PART: f64 = 1.0 / 16.0;
/// Phi of a silence as long as the longest remembered one; it grows in proportion. A quarter more
/// makes 8.
const PHI_REMEMBERED: f64 = 6.4;
/// Standard deviations to a Gumbel distribution's scale.
const DEVIATIONS: f64 = PI / 2.449_489_742_783_178; // pi / sqrt 6
const EULER_GAMMA: f64 = 0.577_215_664_901_532_9;
const MS: f64 = 1e6;

impl Cadence {
    pub(crate) fn new() -> Self {
        Self {
            skip: SKIP,
            long: 0,
            blocks: 0,
            mean: 0.0,
            variance: 0.0,
            shock: 0.0,
            shaken: 0,
            memory: Memory::new(),
        }
    }

    /// One finished block: the longest gap that ended in it, ns.
    pub(crate) fn block(&mut self, longest_gap_ns: Nanos) {
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        let gap = units(longest_gap_ns);
        // It may hold no more than the rest of a segment that came across the blocks' border.
        let rest = gap < self.long / 2;
        self.long = if gap < LONG { 0 } else { gap };
        if rest {
            return;
        }
        self.memory.block(gap);
        self.fit(f64::from(gap) * UNIT_NS as f64 / MS);
    }

    /// How much silence is improbable enough, clamped to [floor, ceiling]; `None` while too
    /// little is known (then the fixed timeout applies).
    pub(crate) fn timeout(&self, rule: &Learned) -> Option<Nanos> {
        let gumbel = self.gumbel()?;
        let Some(longest) = self.memory.longest(rule.ceiling_ns) else {
            return Some(rule.ceiling_ns);
        };
        let mut remembered = longest as f64;
        // A surprise below the floor was no alarm, and widens nothing.
        if self.shaken > 0 && self.shock * MS > rule.floor_ns as f64 {
            remembered = remembered.max(2.0 * self.shock * MS);
        }
        let silence = (gumbel.silence(rule.confidence) * MS)
            .max(remembered * rule.confidence / PHI_REMEMBERED);
        Some((silence as Nanos).max(rule.floor_ns).min(rule.ceiling_ns))
    }

    /// phi = -log10 of the probability that a regular input is silent for this long; 0 while
    /// nothing is known. Of the fit alone: floor and memory may still hold an alarm back.
    pub(crate) fn suspicion(&self, silence_ns: Nanos) -> f64 {
        self.gumbel().map_or(0.0, |gumbel| gumbel.phi(silence_ns as f64 / MS))
    }

    /// Takes a block over. A block far off the rest moves the fit no further than the edge of
    /// the probable (one hiccup says little), but makes it learn faster; after four in a row it
    /// learns anew (the feed is another one now), on the fixed timeout meanwhile.
    fn fit(&mut self, gap: f64) {
        let mut off = gap - self.mean;
        self.shaken = self.shaken.saturating_sub(1);
        if let Some(gumbel) = self.gumbel() {
            let edge = SURPRISE * gumbel.scale * DEVIATIONS;
            if off.abs() > edge {
                off = off.clamp(-edge, edge);
                self.blocks = (self.blocks / 2).max(AFRESH);
                self.shock = if self.shaken > 0 { self.shock.max(gap) } else { gap };
                self.shaken = SHAKEN;
            }
        }
        self.blocks = (self.blocks + 1).min(HORIZON);
        let weight = 1.0 / f64::from(self.blocks);
        self.mean += weight * off;
        self.variance = (1.0 - weight) * (self.variance + weight * off * off);
    }

    fn gumbel(&self) -> Option<Gumbel> {
        if self.blocks < ENOUGH {
            return None;
        }
        let scale =
            (self.variance.sqrt() / DEVIATIONS).max(MIN_SCALE_MS).max(MIN_SCALE_PART * self.mean);
        Some(Gumbel {
            location: self.mean - EULER_GAMMA * self.variance.sqrt() / DEVIATIONS,
            scale,
        })
    }
}

/// The distribution of a block's longest gap, in milliseconds.
struct Gumbel {
    location: f64,
    scale: f64,
}

impl Gumbel {
    /// -log10 of the probability of a longer gap than this.
    fn phi(&self, gap: f64) -> f64 {
        let z = (gap - self.location) / self.scale;
        // Far out the probability is too small for a number, but its logarithm is not.
        if z > 30.0 { z * LOG10_E } else { (-(-(-z).exp()).exp_m1()).log10().abs() }
    }

    /// The gap whose phi this is.
    fn silence(&self, phi: f64) -> f64 {
        let z = if phi > 15.0 { phi / LOG10_E } else { -(-(-10f64.powf(-phi)).ln_1p()).ln() };
        self.location + self.scale * z
    }
}
