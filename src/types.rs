//! The vocabulary: ids, time, epochs, states and reasons. One word per thing, the same in Rust,
//! JSON, log and docs.

use std::fmt;

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
pub struct Epoch(u64);

impl Epoch {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The epoch's number, 1 or higher.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
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

/// What the recorder is told of one packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Packet {
    /// The packet's size in bytes.
    pub bytes: u32,
}

impl Packet {
    /// A packet of `bytes` bytes; a size above `u32::MAX` saturates.
    #[must_use]
    #[inline]
    pub const fn new(bytes: usize) -> Self {
        Self { bytes: if bytes > u32::MAX as usize { u32::MAX } else { bytes as u32 } }
    }
}
