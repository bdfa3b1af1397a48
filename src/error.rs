//! The one error type: typed, and each text tells what to do.

use crate::types::{Epoch, MAX_STREAM_ID_BYTES, Priority};

/// What an operation of the public API answers when it refuses. Nothing was changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The stream id is empty.
    #[error("stream id is empty: use 1 to {MAX_STREAM_ID_BYTES} bytes of UTF-8")]
    EmptyStreamId,
    /// The stream id is too long or has control characters.
    #[error(
        "stream id is not usable ({reason}): use 1 to {MAX_STREAM_ID_BYTES} bytes of UTF-8 without control characters"
    )]
    BadStreamId {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A stream of this id is registered.
    #[error("stream '{stream}' is already registered: unregister it first, or use update_inputs")]
    AlreadyRegistered {
        /// The id.
        stream: String,
    },
    /// No stream of this id is registered.
    #[error("stream '{stream}' is not registered: register it first")]
    UnknownStream {
        /// The id.
        stream: String,
    },
    /// The stream has no input of this priority.
    #[error(
        "stream '{stream}' has no input with priority {priority}: see its status for those it has"
    )]
    UnknownInput {
        /// The stream's id.
        stream: String,
        /// The priority asked for.
        priority: Priority,
    },
    /// Two inputs have the same priority.
    #[error("priority {priority} is given twice: priorities are unique within a stream")]
    DuplicatePriority {
        /// The priority.
        priority: Priority,
    },
    /// A duration is negative.
    #[error(
        "{field} is negative ({value_ms} ms): use 0 for the inherited default, or a positive number of milliseconds"
    )]
    NegativeDuration {
        /// The field's name.
        field: &'static str,
        /// Its value in milliseconds.
        value_ms: i64,
    },
    /// A number is not finite, negative, or too large for what it says.
    #[error(
        "{field} is not usable: use 0 for inherited or off, or a finite number (percent: at most 100)"
    )]
    BadNumber {
        /// The field's name.
        field: &'static str,
    },
    /// The name of a condition is not usable.
    #[error(
        "the condition's name is not usable ({why}): use 1 to 64 bytes of UTF-8 without control characters"
    )]
    BadCondition {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The input has as many conditions raised as it may have.
    #[error("input {priority} of stream '{stream}' has 16 conditions raised: clear one first")]
    TooManyConditions {
        /// The stream's id.
        stream: String,
        /// The input's priority.
        priority: Priority,
    },
    /// The input has failed and is not eligible.
    #[error(
        "input {priority} of stream '{stream}' is degraded ({why}): wait until it has recovered, or choose another"
    )]
    InputDegraded {
        /// The stream's id.
        stream: String,
        /// The input's priority.
        priority: Priority,
        /// The text of its failure.
        why: String,
    },
    /// The operator switched the input off.
    #[error("input {priority} of stream '{stream}' is stopped: enable it first")]
    InputStopped {
        /// The stream's id.
        stream: String,
        /// The input's priority.
        priority: Priority,
    },
    /// The epoch is over, or was never this input's.
    #[error("epoch {} is not the open epoch of input {priority}: use the epoch given to the latest start", epoch.map_or_else(|| "(none)".to_owned(), |e| e.to_string()))]
    StaleEpoch {
        /// The input's priority.
        priority: Priority,
        /// The epoch asked for, if one was given.
        epoch: Option<Epoch>,
    },
    /// The epoch's recorder is open already.
    #[error(
        "epoch {epoch} of input {priority} has a recorder: open further producers as its siblings"
    )]
    RecorderOpen {
        /// The input's priority.
        priority: Priority,
        /// The epoch.
        epoch: Epoch,
    },
    /// The call would have to wait where waiting is not possible: inside one of the engine's own
    /// callbacks or driver calls, or on the hand-driven engine.
    #[error("this call would have to wait, which is not possible {place}")]
    WouldBlock {
        /// Where the caller stands.
        place: &'static str,
    },
    /// The time given to a waiting call is over.
    #[error("not finished after {waited_ms} ms")]
    TimedOut {
        /// How long the call waited, in milliseconds.
        waited_ms: u64,
    },
    /// The switch was not carried out.
    #[error("the switch failed: {why}")]
    SwitchFailed {
        /// Why.
        why: String,
    },
    /// What metric names are to begin with is not usable.
    #[error(
        "'{prefix}' cannot begin metric names: use letters, digits, _ and :, not a digit first"
    )]
    BadMetricsPrefix {
        /// The prefix.
        prefix: String,
    },
    /// The engine has been shut down.
    #[error("the engine is shut down")]
    ShutDown,
    /// The operating system refused a thread.
    #[error("cannot start the thread '{name}': {why}")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// The system's answer.
        why: String,
    },
}
