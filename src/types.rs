//! The vocabulary: ids, time, epochs, states and reasons. One word per thing, the same in Rust,
//! JSON, log and docs.

use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// Longest stream id, in bytes of UTF-8.
pub const MAX_STREAM_ID_BYTES: usize = 128;

/// An input's rank in its stream: unique there, lower is better, negative is legal.
pub type Priority = i32;

/// Nanoseconds since the engine was built, on the engine's clock.
pub type Nanos = u64;

/// A span that no deadline ever reaches: what absurdly long timeouts saturate to (2^63-1 ns).
pub(crate) const FOREVER_NS: Nanos = i64::MAX as u64;

/// One life of one input: each start, and each recorder opened on a hot input, begins a new one.
///
/// Packets and reports of an older epoch never count. Epochs of one stream are handed out in
/// ascending order; the first is 1. 0 is never an epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(NonZeroU64);

impl Epoch {
    /// `number` is 1 or higher.
    pub(crate) const fn new(number: u64) -> Self {
        match NonZeroU64::new(number) {
            Some(number) => Self(number),
            None => panic!("0 is never an epoch"),
        }
    }

    /// The epoch's number, 1 or higher.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({})", self.0)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Names one registered stream for the engine's lifetime: a slot and the slot's generation, so
/// that a late result for a stream that is gone finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StreamKey {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// The state of one input; in JSON exactly `idle`, `active`, `degraded`, `stopped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputStatus {
    /// Eligible, but not (yet) the delivering active input.
    Idle,
    /// The stream's active input, delivering. At most one per stream.
    Active,
    /// Failed, and not eligible until the evidence that fits its failure is in.
    Degraded,
    /// Switched off by the operator.
    Stopped,
}

/// The state of a stream; the same words as [`InputStatus`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamStatus {
    /// Waiting for its first packets, or without inputs.
    Idle,
    /// The active input delivers.
    Active,
    /// Exhausted: no usable input is left.
    Degraded,
    /// Every input is switched off by the operator.
    Stopped,
}

/// Why the active input changed. A closed set; every history entry carries exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SwitchReason {
    /// The stream's first activation.
    Initial,
    /// A source reported an error, or its start failed.
    Error,
    /// No packet for the packet timeout, or no first packet within the connect timeout.
    Timeout,
    /// The operator switched, or disabled the active input.
    Manual,
    /// A better input has proved itself.
    Failback,
    /// The stream was exhausted and something came back.
    Recovery,
    /// A better input was added.
    InputAdded,
    /// The active input was removed.
    InputRemoved,
    /// Its bitrate fell below the rule's minimum.
    Bitrate,
    /// Its frame rate fell below the rule's minimum.
    Fps,
    /// Its packet loss rose above the rule's maximum.
    Loss,
    /// Its video fell silent while its audio went on.
    TrackSilence,
    /// The host raised a condition (black picture, say); the detail names it.
    Condition,
    /// The operator's hold has ended, and a better input was waiting.
    HoldReleased,
}

impl SwitchReason {
    /// The reason's name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Manual => "manual",
            Self::Failback => "failback",
            Self::Recovery => "recovery",
            Self::InputAdded => "input_added",
            Self::InputRemoved => "input_removed",
            Self::Bitrate => "bitrate",
            Self::Fps => "fps",
            Self::Loss => "loss",
            Self::TrackSilence => "track_silence",
            Self::Condition => "condition",
            Self::HoldReleased => "hold_released",
        }
    }
}

impl fmt::Display for SwitchReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the recorder answers for a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "the verdict says whether to forward the packet"]
pub enum Verdict {
    /// Forward it. The number is that of the cut that put this input on the air: it only ever
    /// grows, so a host with several producer threads drops at its output whatever carries a
    /// lower number than the last one it wrote.
    Forward(u32),
    /// Do not forward it; it was counted.
    Drop,
    /// This recorder's epoch is over: stop, and open a new recorder. Nothing was counted.
    Stale,
}

impl Verdict {
    /// Whether the packet is to be forwarded.
    #[must_use]
    pub const fn is_forward(self) -> bool {
        matches!(self, Self::Forward(_))
    }
}

/// What the recorder is told of one packet (or datagram: whatever the host records at once).
///
/// Everything but the size is optional: what the host does not know stays zero, and the rules
/// that need it are not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Packet {
    /// The packet's size in bytes.
    pub bytes: u32,
    /// Video frames that begin in it.
    pub frames: u16,
    /// Packets that were lost right before it, by the host's own sequence or continuity check,
    /// in the unit in which it records.
    pub lost: u16,
    /// What it carries.
    pub tracks: Tracks,
    /// A keyframe begins in it. Counts for *video* only: see [`Packet::is_cut_point`].
    pub keyframe: bool,
}

impl Packet {
    /// A packet of `bytes` bytes; a size above `u32::MAX` saturates.
    #[must_use]
    #[inline]
    pub const fn new(bytes: usize) -> Self {
        Self {
            bytes: if bytes > u32::MAX as usize { u32::MAX } else { bytes as u32 },
            frames: 0,
            lost: 0,
            tracks: Tracks::NONE,
            keyframe: false,
        }
    }

    /// The same, carrying these tracks too.
    #[must_use]
    #[inline]
    pub const fn tracks(mut self, tracks: Tracks) -> Self {
        self.tracks = self.tracks.and(tracks);
        self
    }

    /// The same, with a keyframe beginning in it (or not).
    #[must_use]
    #[inline]
    pub const fn keyframe(mut self, keyframe: bool) -> Self {
        self.keyframe = keyframe;
        self
    }

    /// The same, with so many video frames beginning in it.
    #[must_use]
    #[inline]
    pub const fn frames(mut self, frames: u16) -> Self {
        self.frames = frames;
        self
    }

    /// The same, after so many lost packets.
    #[must_use]
    #[inline]
    pub const fn lost(mut self, lost: u16) -> Self {
        self.lost = lost;
        self
    }

    /// Whether a keyframe cut may fall on it: a keyframe in a packet that carries video, or of
    /// which the host says nothing. Audio and data never count, however they are flagged.
    #[must_use]
    #[inline]
    pub const fn is_cut_point(self) -> bool {
        // Without a branch: packets differ, and a wrong guess costs more than all the counting.
        self.keyframe & (self.tracks.is_empty() | self.tracks.contains(Tracks::VIDEO))
    }

    /// All but the size in one register: frames and losses in 16 bits each, then the tracks in
    /// three bits and the keyframe in one. 0 = there is no more to count. (A packet that is
    /// passed by reference would have to be written to memory first, on every call.)
    #[inline]
    pub(crate) const fn pack_more(self) -> u64 {
        self.frames as u64
            | (self.lost as u64) << 16
            | (self.tracks.0 as u64) << 32
            | (self.keyframe as u64) << 35
    }

    pub(crate) const fn unpack(bytes: u32, more: u64) -> Self {
        Self {
            bytes,
            frames: more as u16,
            lost: (more >> 16) as u16,
            tracks: Tracks((more >> 32) as u8 & 7),
            keyframe: more >> 35 & 1 != 0,
        }
    }
}

/// A set of track classes. A transport stream datagram may carry several.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Tracks(u8);

impl Tracks {
    /// The host does not know, or does not say.
    pub const NONE: Self = Self(0);
    /// Video.
    pub const VIDEO: Self = Self(1);
    /// Audio.
    pub const AUDIO: Self = Self(2);
    /// Something else: data, tables, padding.
    pub const OTHER: Self = Self(4);

    /// The classes that these bits stand for; others are ignored.
    #[cfg(feature = "capi")]
    #[inline]
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits & 7)
    }

    #[cfg(feature = "capi")]
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// Both sets together.
    #[must_use]
    #[inline]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    #[must_use]
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is known.
    #[must_use]
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for Tracks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl fmt::Debug for Tracks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(Self::VIDEO, "VIDEO"), (Self::AUDIO, "AUDIO"), (Self::OTHER, "OTHER")];
        let held = names.iter().filter(|(track, _)| self.contains(*track)).map(|(_, name)| *name);
        let held: Vec<_> = held.collect();
        f.write_str(if held.is_empty() { "NONE" } else { "" })?;
        f.write_str(&held.join("|"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_video_is_a_cut_point() {
        let key = Packet::new(1316).keyframe(true);
        assert!(key.is_cut_point(), "nothing is said of its class");
        assert!(key.tracks(Tracks::VIDEO).is_cut_point());
        assert!(key.tracks(Tracks::VIDEO | Tracks::AUDIO).is_cut_point(), "a mixed datagram");
        assert!(
            !key.tracks(Tracks::AUDIO).is_cut_point() && !key.tracks(Tracks::OTHER).is_cut_point()
        );
        assert!(!Packet::new(1316).tracks(Tracks::VIDEO).is_cut_point());
        assert!(Packet::new(1316).pack_more() == 0 && key.pack_more() != 0);
        let full = key.tracks(Tracks::AUDIO | Tracks::OTHER).frames(u16::MAX).lost(513);
        assert_eq!(Packet::unpack(full.bytes, full.pack_more()), full);
        assert_eq!(
            format!("{:?} {:?}", Tracks::NONE, Tracks::VIDEO | Tracks::OTHER),
            "NONE VIDEO|OTHER"
        );
    }
}
