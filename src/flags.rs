//! The flag word of a cell: what the control plane, or a cut, says of a producer's packets.

use bytemuck::NoUninit;

/// What a cell's flag word says of its producer's packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Gate {
    /// The epoch is over.
    Stale = 2,
    /// Count, do not forward. (So says memory that was never used, but nobody is led there: a cell
    /// is *stale* before it is handed out.)
    Drop = 0,
    /// Count and forward.
    Forward = 1,
    /// The next packet makes the cut.
    Armed = 3,
    /// A cut is being made; whoever finds it completes it.
    Cutting = 4,
    /// The word that counts is that of another cell, named in the cut field.
    Moved = 5,
    /// The next packet that begins a video keyframe makes the cut.
    ArmedKey = 6,
}

/// The flag word: gate (3 bits), watch bit, aligned bit (the cut fell on a keyframe), learn bit
/// (its gaps are wanted), tag (26 bits: names the epoch, engine-wide), cut number (32 bits).
#[derive(Clone, Copy, PartialEq, Eq, Debug, NoUninit)]
#[cfg_attr(loom, derive(Default))]
#[repr(transparent)]
pub(crate) struct Flags(u64);

const WATCH: u64 = 1 << 3;
const ALIGNED: u64 = 1 << 4;
const LEARN: u64 = 1 << 5;
const TAG_SHIFT: u32 = 6;
pub(crate) const TAG_MASK: u64 = (1 << 26) - 1;
const CUT_SHIFT: u32 = 32;

impl Flags {
    pub(crate) fn new(gate: Gate, watch: bool, tag: u32, cut: u32) -> Self {
        Self(
            gate as u64
                | if watch { WATCH } else { 0 }
                | (u64::from(tag) & TAG_MASK) << TAG_SHIFT
                | u64::from(cut) << CUT_SHIFT,
        )
    }

    #[inline]
    pub(crate) fn gate(self) -> Gate {
        match self.0 & 7 {
            0 => Gate::Drop,
            1 => Gate::Forward,
            3 => Gate::Armed,
            4 => Gate::Cutting,
            5 => Gate::Moved,
            6 => Gate::ArmedKey,
            _ => Gate::Stale,
        }
    }

    /// Drop or forward, unwatched, no gaps wanted: nothing to do but to count and to answer.
    #[inline]
    pub(crate) fn is_plain(self) -> bool {
        // One test against zero: of a cell that is not in a cache, everything waits for this word
        // (`benches/README.md`: 13 ns instead of 18).
        self.0 & (6 | WATCH | LEARN) == 0
    }

    /// What a plain word says: forward, or drop.
    #[inline]
    pub(crate) fn forwards(self) -> bool {
        self.0 & 1 != 0
    }

    #[inline]
    pub(crate) fn is_watched(self) -> bool {
        self.0 & WATCH != 0
    }

    #[inline]
    pub(crate) fn tag(self) -> u32 {
        (self.0 >> TAG_SHIFT & TAG_MASK) as u32
    }

    #[inline]
    pub(crate) fn cut(self) -> u32 {
        (self.0 >> CUT_SHIFT) as u32
    }

    /// Whether the latest cut to it fell on a keyframe.
    pub(crate) fn is_aligned(self) -> bool {
        self.0 & ALIGNED != 0
    }

    /// Whether the gaps between its packets are to be noted.
    #[inline]
    pub(crate) fn learns(self) -> bool {
        self.0 & LEARN != 0
    }

    /// The same word with another gate and cut number; all else stays.
    pub(crate) fn with(self, gate: Gate, cut: u32) -> Self {
        let kept = self.0 & (WATCH | ALIGNED | LEARN | TAG_MASK << TAG_SHIFT);
        Self(kept | gate as u64 | u64::from(cut) << CUT_SHIFT)
    }

    pub(crate) fn aligned(self, aligned: bool) -> Self {
        Self(if aligned { self.0 | ALIGNED } else { self.0 & !ALIGNED })
    }

    pub(crate) fn learning(self, learn: bool) -> Self {
        Self(if learn { self.0 | LEARN } else { self.0 & !LEARN })
    }

    pub(crate) fn watched(self, watch: bool) -> Self {
        Self(if watch { self.0 | WATCH } else { self.0 & !WATCH })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_keeps_its_parts_apart() {
        let flags = Flags::new(Gate::Armed, true, 0x02BC_DEF1, 0xFFFF_FFFF);
        assert_eq!((flags.gate(), flags.is_watched()), (Gate::Armed, true));
        assert_eq!((flags.tag(), flags.cut()), (0x02BC_DEF1, 0xFFFF_FFFF));
        let forward = flags.with(Gate::Forward, 3).watched(false);
        assert_eq!((forward.tag(), forward.cut()), (0x02BC_DEF1, 3));
        let learning = forward.learning(true).aligned(true);
        assert!(learning.learns() && learning.is_aligned() && !learning.is_plain());
        assert!(learning.learning(false).is_plain());
        assert_eq!(learning.with(Gate::Drop, 9).learning(false).aligned(false).tag(), 0x02BC_DEF1);
        assert!(learning.with(Gate::Drop, 9).learns());
        let all = [Gate::Stale, Gate::Drop, Gate::Forward, Gate::Armed, Gate::Cutting, Gate::Moved];
        for gate in all.into_iter().chain([Gate::ArmedKey]) {
            let word = forward.with(gate, 7);
            assert_eq!((word.gate(), word.cut()), (gate, 7));
            assert_eq!(word.is_plain(), matches!(gate, Gate::Drop | Gate::Forward));
            assert!(!word.is_plain() || word.forwards() == (gate == Gate::Forward));
        }
        assert!(forward.is_plain() && !forward.watched(true).is_plain() && !flags.is_plain());
    }
}
