//! A packet's times, and what becomes of them.

/// A timestamp that is not there: FFmpeg's `AV_NOPTS_VALUE`.
pub const NO_TIMESTAMP: i64 = i64::MIN;

/// A packet's times, in ticks of the timebase that they are given with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// When it is decoded, or [`NO_TIMESTAMP`].
    pub dts: i64,
    /// When it is shown, or [`NO_TIMESTAMP`].
    pub pts: i64,
    /// How long it lasts; 0 or less: not known.
    pub duration: i64,
}

impl Stamps {
    /// These times, for a packet of unknown duration.
    #[must_use]
    pub const fn new(dts: i64, pts: i64) -> Self {
        Self { dts, pts, duration: 0 }
    }

    /// A packet that is decoded when it is shown, such as a PES packet of MPEG-TS that has a PTS
    /// alone. Where the DTS is merely not known, give [`NO_TIMESTAMP`] instead of it.
    #[must_use]
    pub const fn pts_only(pts: i64) -> Self {
        Self::new(pts, pts)
    }

    /// The same, for a packet that lasts so many ticks.
    #[must_use]
    pub const fn lasting(mut self, duration: i64) -> Self {
        self.duration = duration;
        self
    }
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "it says whether to send the packet, and with which times"]
pub enum Mapped {
    /// Send it with these times, in ticks of the output timebase, not wrapped. The DTS is always
    /// there (the PTS stands in for one that is missing), the PTS if there was one that a clock can
    /// show; the duration is 0 where none was given.
    At(Stamps),
    /// It has no time (or one that no clock can show). Nothing was changed; send it or not.
    Untimed,
    /// Its time on the output has been filled already: drop it.
    Overlap,
    /// It belongs to an older cut: drop it.
    Stale,
}
