//! One output track: where it ends, how long its frames are, and on which clock it is.

/// How many DTS steps are remembered.
const STEPS: usize = 3;

/// A clock of an input, as one track or the whole timeline has seen it last. In output ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source {
    /// Counts the clocks; two tracks with the same number are on the same one.
    pub(super) generation: u64,
    /// What is added to the clock's times.
    pub(super) offset: i64,
    /// The latest time seen.
    pub(super) at: i64,
    /// The same, when another clock was first seen on another track.
    pub(super) left: i64,
}

/// What was sent of one track.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Track {
    /// The last DTS.
    pub(super) last: i64,
    /// The highest PTS.
    shown: i64,
    /// How long that packet was said to last; 0 = not known.
    hint: i64,
    /// How much later than decoded a frame is shown at most, as far as was seen. 0: nothing is
    /// reordered.
    delay: i64,
    /// When the next frame is decoded, where its DTS is not known.
    slot: i64,
    /// The latest DTS steps inside a turn, 0 where there is none yet.
    steps: [i64; STEPS],
    /// `None` since the last cut.
    pub(super) source: Option<Source>,
    /// The offset of the last packet, also since a cut.
    pub(super) ahead: i64,
}

impl Track {
    /// Where the next frame belongs.
    pub(super) fn end(&self) -> i64 {
        self.last.saturating_add(self.length())
    }

    /// When what was sent has been shown.
    pub(super) fn shown_end(&self) -> i64 {
        self.shown.saturating_add(self.length())
    }

    /// When a frame that is shown at `pts` is decoded, where nobody says: then, if this track's
    /// frames are not reordered; else one frame behind the one before, and in time.
    pub(super) fn decoded(&self, pts: i64) -> i64 {
        let slot = self.slot_of(pts);
        if self.is_reordered() { pts.min(slot.max(self.last.saturating_add(1))) } else { slot }
    }

    fn slot_of(&self, pts: i64) -> i64 {
        pts.min(self.slot.max(pts.saturating_sub(self.delay)))
    }

    pub(super) fn is_reordered(&self) -> bool {
        self.delay > 0
    }

    /// A frame is shown so much later than it is decoded.
    pub(super) fn is_delayed(&mut self, delay: i64) {
        self.delay = self.delay.max(delay);
    }

    /// A frame of unknown DTS came too late for its PTS: were those before it decoded earlier, it
    /// would have had its place. No fall is deeper than `deepest`.
    pub(super) fn fell_to(&mut self, pts: i64, deepest: i64) {
        let fall = self.shown.saturating_sub(pts);
        if (0..=deepest).contains(&fall) {
            // Between the highest one and this one, at most those were decoded that are shown then.
            self.is_delayed(fall.saturating_mul(2).clamp(1, deepest));
            self.slot = self.slot_of(pts).saturating_add(self.length());
            // These were from one frame to the next one that is decoded, not shown.
            self.steps = [0; STEPS];
        }
    }

    /// How long the last frame is.
    fn length(&self) -> i64 {
        if self.hint > 0 { self.hint } else { self.step() }
    }

    /// The usual step: the middle one, so that neither a loss nor jitter counts for much. 1 tick
    /// while none is known: that is behind the last one, and no gap.
    fn step(&self) -> i64 {
        let mut known: Vec<i64> = self.steps.iter().copied().filter(|&step| step > 0).collect();
        known.sort_unstable();
        known.get(known.len().saturating_sub(1) / 2).copied().unwrap_or(1)
    }

    /// A packet was sent; `step` behind the one before, if they are of the same turn and that is
    /// known.
    pub(super) fn sent(
        &mut self,
        dts: i64,
        pts: i64,
        duration: i64,
        source: Source,
        step: Option<i64>,
        is_dated: bool,
    ) {
        let is_first = *self == Self::default();
        self.shown = if is_first { pts } else { self.shown.max(pts) };
        self.last = dts;
        self.hint = duration;
        (self.source, self.ahead) = (Some(source), source.offset);
        let slot = if is_dated { dts } else { self.slot_of(pts) };
        self.slot = slot.saturating_add(self.length());
        if let Some(step) = step {
            self.steps.rotate_left(1);
            self.steps[STEPS - 1] = step;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: Source = Source { generation: 1, offset: 0, at: 0, left: 0 };

    #[test]
    fn a_frame_is_as_long_as_most_were() {
        let mut track = Track::default();
        track.sent(100, 100, 0, SOURCE, None, true);
        assert_eq!(track.end(), 101, "nothing is known");
        track.sent(140, 140, 0, SOURCE, Some(40), true);
        assert_eq!(track.end(), 180);
        track.sent(540, 540, 0, SOURCE, Some(400), true);
        assert_eq!(track.end(), 580, "the shorter of two");
        track.sent(579, 579, 0, SOURCE, Some(39), true);
        assert_eq!(track.end(), 619, "neither the loss nor the short one");
        track.sent(619, 699, 20, SOURCE, Some(40), true);
        assert_eq!(track.end(), 639, "what is said counts more");
        assert_eq!(track.shown_end(), 719);
        track.sent(i64::MAX - 5, 0, 20, SOURCE, None, true);
        assert_eq!(track.end(), i64::MAX);
    }
}
