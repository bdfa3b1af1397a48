//! What happens to a stream, and what the engine is to do.

use crate::config::{InputConfig, InputsUpdate};
use crate::events::EventKind;
use crate::rules::{Condition, Hold};
use crate::sync::Arc;
use crate::types::{Epoch, Nanos, Priority};

/// What happens to a stream.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Nothing but time and packets: a deadline, a look at what is watched, a changed policy.
    Look,
    /// A recorder was opened on a hot input (or its first by-id packet came): a new epoch.
    Opened {
        priority: Priority,
        epoch: Epoch,
        by_id: bool,
    },
    /// The last recorder of an epoch is gone.
    Closed {
        epoch: Epoch,
    },
    Started {
        epoch: Epoch,
        outcome: Result<(), String>,
    },
    Probed {
        priority: Priority,
        ticket: u64,
        outcome: ProbeOutcome,
    },
    /// A source has failed. No priority: whichever input the epoch now belongs to; no epoch:
    /// whatever is current.
    Error {
        priority: Option<Priority>,
        epoch: Option<Epoch>,
        message: String,
    },
    Switch {
        priority: Priority,
        ticket: u64,
    },
    ClearOverride,
    Hold {
        priority: Priority,
        hold: Hold,
        ticket: u64,
    },
    ReleaseHold,
    /// The host raises a condition, or clears it.
    Condition {
        priority: Priority,
        condition: Condition,
        raise: bool,
    },
    Enable {
        priority: Priority,
        enabled: bool,
    },
    Update(InputsUpdate),
    Buffer(Arc<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeOutcome {
    Good,
    Bad,
    Unsupported,
}

/// What the engine is to do, in this order.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Start {
        input: Arc<InputConfig>,
        epoch: Epoch,
        buffer: Arc<str>,
        deadline: Nanos,
    },
    Stop {
        priority: Priority,
        epoch: Epoch,
    },
    Probe {
        input: Arc<InputConfig>,
        ticket: u64,
        deadline: Nanos,
    },
    Rebind {
        from: Priority,
        input: Arc<InputConfig>,
        epoch: Epoch,
    },
    /// A cut waits for a keyframe of this input.
    RequestKeyframe {
        input: Arc<InputConfig>,
        epoch: Epoch,
    },
    /// The epoch is over: its recorders answer *stale*.
    Close {
        epoch: Epoch,
    },
    Emit(EventKind),
    /// The exhausted callback.
    Exhausted,
    /// The restored callback.
    Restored,
    Ticket {
        ticket: u64,
        outcome: Result<(), String>,
    },
}
