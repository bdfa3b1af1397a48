//! One continuous, monotonic output timeline for the timestamps of many inputs.
//!
//! Every input has a clock of its own: another epoch, another timebase, a counter that wraps at
//! another moment. A [`Timeline`] (one per output stream) maps them all onto one output timebase:
//!
//! * **The first input is not touched** but for its timebase (or begins where you want it to:
//!   [`Timeline::start_at`]).
//! * **At a cut** the first packet of the new input continues its track: its DTS becomes the
//!   track's last DTS plus one frame, however many hours the clocks are apart. The frame's length
//!   is the duration that was given with the last packet, or what the track's DTS have shown.
//!   Where frames are reordered and the cut leaves out B-frames, DTS pauses for these, so that
//!   nothing new is shown before something old ([`Timeline::by_dts_alone`] does without). An input
//!   that goes on exactly where the other stopped, on the same clock (two paths of one feed), keeps
//!   its times.
//! * **One offset for all tracks** of an input between two cuts: the A/V offset of the new input
//!   is kept to the tick. The offset is a whole number of output ticks, added after each time is
//!   rounded by itself: nothing drifts.
//! * **DTS strictly rises, per track.** Where the new input's other tracks begin with times that
//!   the old input has filled (the cut falls on a video keyframe, and audio of a little earlier
//!   comes after it), these packets are refused ([`Mapped::Overlap`]) until the output's end is
//!   reached: the hole is shorter than one frame. (Where they begin later than the old input's
//!   ended, that hole stays: closing it would move sound against picture.) PTS follow their DTS,
//!   and may fall where frames are reordered.
//! * **Stragglers of an older cut** are refused ([`Mapped::Stale`]).
//! * **A clock that leaps inside an input** (an encoder restarts) is met like a cut: forward by
//!   more than [`Timeline::max_jump_ms`] (10 s), back by more than 1 s. What leaps back less is
//!   refused until it has caught up; what leaps forward less is a hole in the output.
//!
//! Begin an input's turn with its video keyframe ([`Packet::is_cut_point`]), since the first
//! packet is what is continued: if a turn begins with audio, the video behind it may be refused.
//! Where groups of pictures are open, leave out those behind the keyframe that have a lower PTS:
//! they refer to pictures of another input, and would be shown among the old one's.
//!
//! The module is pure: no clock, no I/O, no locks. The number that orders the inputs' turns is
//! the one in [`Verdict::Forward`], or any `u32` of yours that only ever grows.
//!
//! # FFmpeg: PTS and DTS of packets
//! Give each packet the timebase of its input stream; `i64::MIN` is `AV_NOPTS_VALUE` in both
//! directions. Here the backup's clock is 20 s behind, in another timebase:
//!
//! ```
//! use changeover::timeline::{Mapped, NO_TIMESTAMP, Stamps, Timebase, Timeline};
//!
//! // The output stream's AVRational, and those of the two inputs.
//! let mut timeline = Timeline::new(Timebase::new(1, 90_000)?);
//! let (main, backup) = (Timebase::new(1, 90_000)?, Timebase::new(1, 1000)?);
//! let video = 0; // the output stream's index
//!
//! // pkt->dts, pkt->pts, pkt->duration
//! let packet = Stamps::new(1_800_000, 1_803_600).lasting(3600);
//! assert_eq!(timeline.map(1, video, main, packet), Mapped::At(packet));
//! // The cut: the verdict's number has changed.
//! let packet = Stamps::new(0, 40).lasting(40);
//! let continued = Stamps::new(1_803_600, 1_807_200).lasting(3600);
//! assert_eq!(timeline.map(2, video, backup, packet), Mapped::At(continued));
//! // A DTS that is missing is stood in for. Something of the old input comes too late.
//! let mapped = timeline.map(2, video, backup, Stamps::new(NO_TIMESTAMP, 80));
//! assert_eq!(mapped, Mapped::At(Stamps::new(1_807_200, 1_810_800)));
//! assert_eq!(timeline.map(1, video, main, Stamps::new(1_803_600, 1_807_200)), Mapped::Stale);
//! # Ok::<(), changeover::timeline::BadTimebase>(())
//! ```
//!
//! FFmpeg does not know every DTS: those of the first packets of a Matroska file or of an RTSP
//! session are missing where frames are reordered. The PTS stands in for such a one; or, on a track
//! whose frames were seen to be reordered, the moment one frame behind the packet before, so that
//! at a cut nothing is refused. But the first such packets of a track cannot know: a few of those
//! behind them have a lower DTS, and are refused. To prevent that, fill the gap as FFmpeg's own
//! tools do: the first packet's DTS is its PTS less `has_b_frames` frames, the next one's a frame
//! later, and so on.
//!
//! # MPEG-TS: 33-bit PTS, DTS and the PCR
//! The PCR gets the same offset as the tracks, or decoders would lose their buffers' levels.
//! Fold the results into 33 bits when you write them:
//!
//! ```
//! use changeover::timeline::{Mapped, Stamps, Timebase, Timeline};
//!
//! const TS: Timebase = Timebase::MPEG_TS;
//! let mut timeline = Timeline::new(TS);
//! // Two frames of a feed, just before its counter wraps.
//! let top = (1_i64 << 33) - 1;
//! let first = timeline.map(1, 0x100, TS, Stamps::pts_only(top - 3600));
//! let second = timeline.map(1, 0x100, TS, Stamps::pts_only(top));
//! assert_eq!(second, Mapped::At(Stamps::new(top, top)));
//! // The next feed's: one frame later, whatever its own clock says. The wrap is yours.
//! let Mapped::At(third) = timeline.map(2, 0x100, TS, Stamps::pts_only(55_000)) else { panic!() };
//! assert_eq!((third.pts, TS.fold(third.pts)), (top + 3600, 3599));
//! // Its PCR, in 27 MHz ticks (base * 300 + extension), 0.5 s before the picture's time.
//! let pcr = timeline.pcr(2, Timebase::PCR, (55_000 - 45_000) * 300 + 7);
//! assert_eq!(pcr, Some((top + 3600 - 45_000) * 300 + 7));
//! // Or in 90 kHz ticks.
//! assert_eq!(timeline.pcr(2, TS, 55_000 - 45_000), Some(top + 3600 - 45_000));
//! ```
//!
//! [`Packet::is_cut_point`]: crate::Packet::is_cut_point
//! [`Verdict::Forward`]: crate::Verdict::Forward

mod stamps;
mod timebase;
mod track;

use std::collections::BTreeMap;

pub use self::stamps::{Mapped, NO_TIMESTAMP, Stamps};
pub use self::timebase::{BadTimebase, Timebase};
use self::track::{Source, Track};

/// What [`Timeline::max_jump_ms`] is without being set, in milliseconds.
pub const DEFAULT_MAX_JUMP_MS: u32 = 10_000;

/// A clock that goes back by more has leaped. It is also how far tracks may lie apart at a cut,
/// and how long a track may stay on the old clock after a leap.
const BACK_MS: i64 = 1000;

/// An overlap at a cut that is no overlap: rounding, jitter.
const SLACK_MS: i64 = 1;

/// Maps the timestamps of the inputs of one output stream; see the [module](self).
///
/// Its owner's alone, like any data structure: several threads need a lock around it, best the
/// one that orders their writes to the output.
#[derive(Clone, Debug)]
pub struct Timeline {
    output: Timebase,
    start: Option<i64>,
    by_dts_alone: bool,
    max_jump: i64,
    cut: u32,
    /// Where the clock that is on the air stands; `None` until its first packet.
    anchor: Option<Source>,
    generations: u64,
    tracks: BTreeMap<u32, Track>,
}

impl Timeline {
    /// A timeline with this output timebase, for all tracks. Its wrap, if it has one, is not
    /// applied: output times go on rising, and [`Timebase::fold`] is for the writer.
    #[must_use]
    pub fn new(output: Timebase) -> Self {
        let timeline = Self {
            output,
            start: None,
            by_dts_alone: false,
            max_jump: 0,
            cut: 0,
            anchor: None,
            generations: 0,
            tracks: BTreeMap::new(),
        };
        timeline.max_jump_ms(DEFAULT_MAX_JUMP_MS)
    }

    /// The same, with the very first packet at this DTS, in output ticks, instead of its own (at
    /// most 2^61 from 0, that there be room to go on).
    #[must_use]
    pub fn start_at(mut self, dts: i64) -> Self {
        self.start = Some(dts.clamp(-timebase::FURTHEST, timebase::FURTHEST));
        self
    }

    /// The same, continuing every track one frame behind its last DTS, even if a frame of the new
    /// input is then shown at the time of one of the old input, or before it (B-frames).
    #[must_use]
    pub fn by_dts_alone(mut self) -> Self {
        self.by_dts_alone = true;
        self
    }

    /// The same, taking a longer leap forward (in ms, at least 1 s) for another clock.
    #[must_use]
    pub fn max_jump_ms(mut self, jump: u32) -> Self {
        self.max_jump = self.ticks(i64::from(jump).max(BACK_MS));
        self
    }

    /// Maps one packet of output track `track` (any number: the output stream's index, the PID),
    /// whose times are in ticks of `timebase`, and that was let through under `cut`. A number
    /// above all before it begins a new turn. Call it in the order in which packets are sent; what
    /// it answers is taken as sent.
    ///
    /// Takes time in proportion to the logarithm of the number of tracks.
    pub fn map(&mut self, cut: u32, track: u32, timebase: Timebase, packet: Stamps) -> Mapped {
        if cut < self.cut {
            return Mapped::Stale;
        }
        if cut > self.cut {
            self.cut = cut;
            self.restart();
        }
        let known = self.tracks.get(&track);
        let before = known.and_then(|known| known.source);
        let near = before.or(self.anchor).map(|source| source.at);
        let resumed = self.resumed(known, timebase, packet);
        let read = resumed.or_else(|| self.read(timebase, packet, near));
        let Some((lead, pts)) = read else { return Mapped::Untimed };
        let is_dated = packet.dts != NO_TIMESTAMP;

        let (place, fresh) = match self.place(before, lead) {
            Place::Stays(source) => (source, false),
            Place::Joins(source) => (source, true),
            Place::Leaps if resumed.is_some() => {
                (self.clock(known.map_or(0, |k| k.ahead), lead), true)
            }
            Place::Leaps => (self.anchor_for(known, lead, pts, is_dated), true),
        };
        let lead = lead.saturating_add(place.offset);
        let pts = pts.map(|pts| pts.saturating_add(place.offset));
        let guess = known.filter(|_| !is_dated).map(|known| known.decoded(lead));
        let dts = guess.unwrap_or(lead);
        let (slack, back) = (self.ticks(SLACK_MS), self.ticks(BACK_MS));
        let delay = pts.map(|pts| pts.saturating_sub(dts));
        let delay = delay.filter(|delay| is_dated && (1..=back).contains(delay));
        // Within a turn, times are the input's business as long as they rise.
        let is_taken =
            |known: &Track| dts <= known.last || fresh && dts < known.end().saturating_sub(slack);
        if known.is_some_and(is_taken) {
            if let Some(known) = self.tracks.get_mut(&track) {
                known.is_delayed(delay.unwrap_or(0));
                if !is_dated && !fresh {
                    known.fell_to(lead, back);
                }
            }
            return Mapped::Overlap;
        }

        let duration = timebase.convert(packet.duration.max(0), self.output).unwrap_or(0);
        let duration = duration.min(self.max_jump);
        let is_known = is_dated || !known.is_some_and(Track::is_reordered);
        let at = dts.saturating_sub(place.offset);
        let source = self.take_place(place, at);
        let step = before.filter(|_| is_known).map(|before| at - before.at);
        let step = step.filter(|step| (1..=self.max_jump).contains(step));
        let sent = self.tracks.entry(track).or_default();
        sent.sent(dts, pts.unwrap_or(dts), duration, source, step, is_dated);
        sent.is_delayed(delay.unwrap_or(0));
        let pts = pts.unwrap_or(NO_TIMESTAMP);
        Mapped::At(Stamps { dts, pts, duration })
    }

    /// Maps a program clock reference of the input that is on the air under `cut`: in ticks of
    /// [`Timebase::PCR`] (27 MHz) or of [`Timebase::MPEG_TS`] (its 90 kHz base alone), and back
    /// in the same, folded. Exact if the output timebase is 90 kHz.
    ///
    /// `None`: do not send it. The cut is another one, or no packet with a time has come since,
    /// or the value has nothing to do with the tracks' times: the clock is about to leap.
    #[must_use]
    pub fn pcr(&self, cut: u32, timebase: Timebase, value: i64) -> Option<i64> {
        let on_air = self.anchor.filter(|_| cut == self.cut)?;
        let others = self.tracks.values().filter_map(|track| track.source);
        std::iter::once(on_air).chain(others).find_map(|source| {
            let near = self.output.convert(source.at, timebase)?;
            let value = timebase.unfold(value, near)?;
            let at = timebase.convert(value, self.output)?;
            let offset = self.output.convert(source.offset, timebase)?;
            self.is_near(at, source.at).then(|| timebase.fold(value.saturating_add(offset)))
        })
    }

    /// The next packet begins a new turn, as after a cut, under the same number: the host knows
    /// that its input has connected anew.
    pub fn restart(&mut self) {
        self.anchor = None;
        self.tracks.values_mut().for_each(|track| track.source = None);
    }

    fn ticks(&self, ms: i64) -> i64 {
        // At most i32::MAX * u32::MAX: it always fits.
        Timebase::MILLIS.convert(ms, self.output).unwrap_or(i64::MAX).max(1)
    }

    /// Decoding and presentation time in output ticks on the input's own clock, read close to
    /// `near` where the counter wraps.
    fn read(
        &self,
        base: Timebase,
        packet: Stamps,
        near: Option<i64>,
    ) -> Option<(i64, Option<i64>)> {
        let lead = if packet.dts == NO_TIMESTAMP { packet.pts } else { packet.dts };
        if lead == NO_TIMESTAMP {
            return None;
        }
        let lead = match near {
            Some(near) => base.unfold(lead, self.output.convert(near, base)?)?,
            None => base.fold(lead),
        };
        let pts = Some(packet.pts).filter(|&pts| pts != NO_TIMESTAMP);
        let pts = pts.and_then(|pts| base.convert(base.unfold(pts, lead)?, self.output));
        Some((base.convert(lead, self.output)?, pts))
    }

    /// Which clock a packet of time `at` is on, if its track stood there before.
    fn place(&self, before: Option<Source>, at: i64) -> Place {
        let Some(on_air) = self.anchor else { return Place::Leaps };
        let is_near = self.is_near(at, on_air.at);
        let Some(before) = before else {
            return if is_near { Place::Joins(on_air) } else { Place::Leaps };
        };
        let back = self.ticks(BACK_MS);
        let step = at - before.at;
        let goes_on = (-back..=self.max_jump).contains(&step);
        if before.generation == on_air.generation {
            // A sparse track: it paused, the clock did not.
            let sparse = step > 0 && is_near;
            if goes_on || sparse { Place::Stays(before) } else { Place::Leaps }
        } else if goes_on && (at - before.left <= back || !is_near) {
            // Sent before the leap, and interleaved behind it.
            Place::Stays(before)
        } else if is_near {
            Place::Joins(on_air)
        } else {
            Place::Leaps
        }
    }

    fn is_near(&self, at: i64, other: i64) -> bool {
        (at - other).abs() <= self.max_jump
    }

    /// A new clock, on which a packet of time `at`, shown at `pts`, continues its track.
    fn anchor_for(
        &self,
        known: Option<&Track>,
        at: i64,
        pts: Option<i64>,
        is_dated: bool,
    ) -> Source {
        let back = self.ticks(BACK_MS);
        let furthest = self.tracks.values().map(Track::end).max();
        let next = match (known, furthest) {
            // Not where a track ended that has been silent for long: the others would have to wait.
            (Some(known), Some(furthest)) if furthest.saturating_sub(known.end()) <= back => {
                // The old clock's frames were shown longer after their decoding than the new
                // one's are: these are not shown before those.
                let delay = pts.unwrap_or(at) - at;
                let shown = known.shown_end().saturating_sub(delay);
                let is_usual = shown.saturating_sub(known.end()) <= back;
                let by_dts = self.by_dts_alone && is_dated;
                if is_usual && !by_dts { known.end().max(shown) } else { known.end() }
            }
            (_, furthest) => furthest.or(self.start).unwrap_or(at),
        };
        self.clock(next.saturating_sub(at), at)
    }

    /// A clock that was not seen yet.
    fn clock(&self, offset: i64, at: i64) -> Source {
        Source { generation: self.generations + 1, offset, at, left: at }
    }

    /// The times of a turn's first packet, if on the clock of the turn before it comes just where
    /// its track goes on: two paths of one feed. Then nothing is to be moved, though frames that
    /// are reordered may be shown before those of the old turn.
    fn resumed(
        &self,
        known: Option<&Track>,
        base: Timebase,
        packet: Stamps,
    ) -> Option<(i64, Option<i64>)> {
        let known = known.filter(|_| self.anchor.is_none() && packet.dts != NO_TIMESTAMP)?;
        let expected = known.end().saturating_sub(known.ahead);
        let read = self.read(base, packet, Some(expected))?;
        (read.0.abs_diff(expected) <= self.ticks(SLACK_MS).unsigned_abs()).then_some(read)
    }

    /// A packet of time `at` was sent on this clock.
    fn take_place(&mut self, mut place: Source, at: i64) -> Source {
        place.at = at;
        if place.generation > self.generations {
            self.generations = place.generation;
            let sources = self.tracks.values_mut().filter_map(|track| track.source.as_mut());
            sources.for_each(|source| source.left = source.at);
            self.anchor = Some(place);
        } else if let Some(on_air) = &mut self.anchor
            && on_air.generation == place.generation
        {
            on_air.at = at;
        }
        place
    }
}

/// Where a packet stands.
enum Place {
    /// On its track's clock.
    Stays(Source),
    /// On the clock that is on the air, new to its track.
    Joins(Source),
    /// On a clock that was not seen yet.
    Leaps,
}
