//! What happened, for people and programs: event types.

mod bus;

use std::time::SystemTime;

use serde::Serialize;

#[cfg(feature = "capi")]
pub(crate) use self::bus::Bell;
pub(crate) use self::bus::Bus;
pub use self::bus::{DEFAULT_EVENT_CAPACITY, Subscription};
use crate::status::rfc3339;
use crate::sync::Arc;
use crate::types::{Epoch, Nanos, Priority, SwitchReason};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// Ascending within the engine, from 1.
    pub id: u64,
    /// When, on the wall clock.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    /// When, on the engine's clock, ns.
    pub at_ns: Nanos,
    /// The stream it concerns; `None` for the engine itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Arc<str>>,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of events. Serialised as `kind` and `payload`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", content = "payload")]
#[non_exhaustive]
pub enum EventKind {
    /// An input failed.
    #[serde(rename = "input.degraded")]
    InputDegraded {
        /// The input.
        input_priority: Priority,
        /// The failure's text.
        reason: String,
        /// Its class: `timeout` or `error`; `bitrate`, `fps`, `loss`, `track_silence` or
        /// `condition` where a health rule acts on an input that does not carry the stream.
        cause: SwitchReason,
    },
    /// A health rule or a condition acts: the input is impaired. One that carries the stream
    /// stays active.
    #[serde(rename = "input.impaired")]
    InputImpaired {
        /// The input.
        input_priority: Priority,
        /// `bitrate`, `fps`, `loss`, `track_silence` or `condition`.
        rule: SwitchReason,
        /// What was measured: kbit/s, frames/s, percent, or ms.
        value: f64,
        /// The rule's limit, in the same unit.
        limit: f64,
        /// The same for people, with the condition's name.
        detail: String,
    },
    /// A health rule or a condition has been false for its clear time.
    #[serde(rename = "input.cleared")]
    InputCleared {
        /// The input.
        input_priority: Priority,
        /// Which.
        rule: SwitchReason,
    },
    /// A failed input is eligible again.
    #[serde(rename = "input.recovered")]
    InputRecovered {
        /// The input.
        input_priority: Priority,
        /// The evidence: `packets`, `probe`, `health` (its rules are clear) or `enabled`.
        evidence: &'static str,
    },
    /// The driver accepted a start.
    #[serde(rename = "input.started")]
    InputStarted {
        /// The input.
        input_priority: Priority,
        /// The activation's epoch.
        epoch: Epoch,
    },
    /// A switch is decided; the target is being brought up.
    #[serde(rename = "input.decided")]
    SwitchDecided {
        /// The input being left.
        from: Option<Priority>,
        /// The target.
        to: Priority,
        /// Why.
        reason: SwitchReason,
    },
    /// A switch is effective: the stream carries the target.
    #[serde(rename = "input.failover")]
    InputFailover {
        /// The input left.
        from: Priority,
        /// The input taken.
        to: Priority,
        /// Why.
        reason: SwitchReason,
        /// More about why; may be empty.
        #[serde(skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    /// The target of a decided switch delivers, and its next packet (or keyframe) makes the cut.
    #[serde(rename = "input.armed")]
    SwitchArmed {
        /// The input on the air.
        from: Option<Priority>,
        /// The target.
        to: Priority,
        /// The cut waits for a keyframe.
        keyframe: bool,
        /// For so long, ms; 0 where it does not.
        max_wait_ms: u64,
    },
    /// The first packet of the new input went out.
    #[serde(rename = "input.first_packet")]
    FirstPacket {
        /// The input.
        input_priority: Priority,
        /// From the last packet of the old one to this one, us.
        #[serde(skip_serializing_if = "Option::is_none")]
        stall_us: Option<u64>,
        /// Where the cut waited for a keyframe: whether it fell on one.
        #[serde(skip_serializing_if = "Option::is_none")]
        aligned: Option<bool>,
    },
    /// A move that was wanted is not made now.
    #[serde(rename = "input.refused")]
    SwitchRefused {
        /// The input that it would go to; none where there is no other.
        to: Option<Priority>,
        /// Why it was wanted.
        reason: SwitchReason,
        /// What stands against it: `failback_cooldown`, `failback_stable`, `failback_never`,
        /// `first_packet` (of the active input, which comes before one that was tried in vain),
        /// `override`, `held`, `not_better`, `no_other_input`, `awaiting_keyframe`, `observe`.
        rule: &'static str,
        /// How long the rule still holds, ms; 0 where that is not known.
        remaining_ms: u64,
        /// The numbers, for people; may be empty.
        #[serde(skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    /// A decided switch failed before it was effective; the stream never left the old input.
    #[serde(rename = "input.switch_failed")]
    SwitchFailed {
        /// The input the stream stays on, if any.
        from: Option<Priority>,
        /// The target that failed.
        to: Priority,
        /// Why the switch had been decided.
        reason: SwitchReason,
        /// Why it failed.
        message: String,
    },
    /// The operator's override is in force.
    #[serde(rename = "input.override_set")]
    OverrideSet {
        /// The input.
        input_priority: Priority,
    },
    /// The operator's override is gone.
    #[serde(rename = "input.override_cleared")]
    OverrideCleared {
        /// The input it named.
        input_priority: Priority,
        /// Why: `operator`, `degraded`, `removed`, `disabled`, `exhausted`, `switch_failed` or
        /// `hold`.
        why: &'static str,
    },
    /// The operator's hold is in force.
    #[serde(rename = "input.hold_set")]
    HoldSet {
        /// The input.
        input_priority: Priority,
        /// Its life, ms.
        ttl_ms: u64,
    },
    /// The operator's hold has ended.
    #[serde(rename = "input.hold_released")]
    HoldReleased {
        /// The input it named.
        input_priority: Priority,
        /// Why: `expired`, `dead`, `operator`, `override`, `hold` (another one), `removed`,
        /// `disabled`, `exhausted`, `superseded` or `switch_failed`.
        why: &'static str,
    },
    /// No usable input is left.
    #[serde(rename = "stream.exhausted")]
    Exhausted,
    /// An exhausted stream is back.
    #[serde(rename = "stream.restored")]
    Restored {
        /// The input that carries it.
        input_priority: Priority,
    },
    /// Fewer than two usable inputs remain.
    #[serde(rename = "stream.redundancy_lost")]
    RedundancyLost {
        /// How many remain.
        usable_inputs: usize,
    },
    /// Two or more usable inputs are there again.
    #[serde(rename = "stream.redundancy_regained")]
    RedundancyRegained {
        /// How many there are.
        usable_inputs: usize,
    },
    /// The monitor woke much later than planned; silence is not judged by that time.
    #[serde(rename = "engine.stall")]
    Stall {
        /// How much later, ms.
        late_ms: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_events_keep_their_names_and_payload() {
        let kind = EventKind::InputFailover {
            from: 0,
            to: 1,
            reason: SwitchReason::Error,
            detail: "boom".into(),
        };
        let event = Event { id: 7, at: SystemTime::UNIX_EPOCH, at_ns: 0, stream: None, kind };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"id":7,"at":"1970-01-01T00:00:00Z","at_ns":0,"kind":"input.failover","payload":{"from":0,"to":1,"reason":"error","detail":"boom"}}"#
        );
    }
}
