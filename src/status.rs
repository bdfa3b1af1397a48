//! What a host is shown of a stream: plain serialisable copies.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::config::InputConfig;
use crate::types::{Epoch, InputStatus, Priority, StreamStatus, SwitchReason};

/// One stream at one moment: a copy, taken without stopping the packet path.
///
/// Serialised, this is the envelope of the seed's API: times are RFC 3339 in UTC, "never" is
/// `null`, "none" is `null` or left out. `status` and `pipeline_active` may be overwritten by the
/// host; `transcoder` and `publisher` are the host's own sections.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RuntimeStatus {
    /// `active` (delivering), `degraded` (exhausted), `idle` (waiting), `stopped` (all stopped).
    pub status: StreamStatus,
    /// Whether anything runs for this stream.
    pub pipeline_active: bool,
    /// The input that the stream carries, if any.
    pub active_input_priority: Option<Priority>,
    /// The operator's override, if one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_input_priority: Option<Priority>,
    /// No usable input is left.
    pub exhausted: bool,
    /// The inputs, ascending by priority.
    pub inputs: Vec<InputHealthSnapshot>,
    /// The latest switches, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub switches: Vec<SwitchEvent>,
    /// The stream's id.
    pub stream: String,
    /// Where ingest writes.
    pub buffer_write_id: String,
    /// The target of a switch that is decided and not effective yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_input_priority: Option<Priority>,
    /// A removed or disabled input that stays on the air until its successor delivers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving_input_priority: Option<Priority>,
    /// Inputs that are neither degraded nor stopped.
    pub usable_inputs: usize,
    /// Failovers since registration.
    pub failovers_total: u64,
    /// The operator's hold, if one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldStatus>,
    /// Decisions are only reported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observe: bool,
    /// The latest decisions and refusals, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<DecisionEntry>,
    /// The host's transcoder section, passed through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transcoder: Option<serde_json::Value>,
    /// The host's publisher section, passed through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publisher: Option<serde_json::Value>,
}

impl RuntimeStatus {
    /// The input of this priority.
    #[must_use]
    pub fn input(&self, priority: Priority) -> Option<&InputHealthSnapshot> {
        self.inputs.iter().find(|input| input.input_priority == priority)
    }
}

/// One input's health at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InputHealthSnapshot {
    /// The input's priority.
    pub input_priority: Priority,
    /// When its last packet came; never = `null`. Only ever a packet's time.
    #[serde(with = "rfc3339::option")]
    pub last_packet_at: Option<SystemTime>,
    /// Bitrate in kbit/s: over the sliding window where a health rule has the stream sampled;
    /// elsewhere the mean since the look before, at least a window ago.
    pub bitrate_kbps: f64,
    /// Packet loss in percent, over the same span.
    pub packet_loss: f64,
    /// Frames per second, over the same span.
    #[serde(default)]
    pub fps: f64,
    /// `idle`, `active`, `degraded` or `stopped`.
    pub status: InputStatus,
    /// Uncleared failures, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ErrorEntry>,
    /// The latest failure, also after it was cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<ErrorEntry>,
    /// Whether its producer runs all the time.
    pub hot: bool,
    /// Whether it runs: an accepted start or an open recorder, and no stop since.
    pub running: bool,
    /// Whether a packet or a probe has proved it since its last failure or edit.
    pub proved: bool,
    /// Its open epoch, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// Packets since registration or the last edit of the address.
    pub packets: u64,
    /// Bytes since registration or the last edit of the address (by-id packets carry none).
    pub bytes: u64,
    /// Video frames begun, as far as the host says; since then too.
    #[serde(default)]
    pub frames: u64,
    /// Packets lost, as far as the host says.
    #[serde(default)]
    pub lost: u64,
    /// Packets on which a keyframe cut may fall. 0 with a keyframe cut policy means that every
    /// cut will be unaligned.
    #[serde(default)]
    pub keyframes: u64,
    /// Health rules and conditions that act, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub impaired: Vec<ImpairedEntry>,
    /// Conditions that the host has raised, whether or not they act yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
    /// What it usually delivers, kbit/s, once learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference_kbps: Option<f64>,
    /// Learned silence, where it is on and enough is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<LearnedStatus>,
    /// What a failback to it has to wait for, longer if it flaps, ms: how long it must have been
    /// healthy (hot), or the cooldown since the last switch (cold).
    #[serde(default)]
    pub required_stable_ms: u64,
}

/// A health rule or condition that acts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImpairedEntry {
    /// `bitrate`, `fps`, `loss`, `track_silence` or `condition`.
    pub rule: SwitchReason,
    /// What is measured now: kbit/s, frames/s, percent, or ms.
    pub value: f64,
    /// The rule's limit, in the same unit.
    pub limit: f64,
    /// The condition's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Since when it acts.
    #[serde(with = "rfc3339")]
    pub since: SystemTime,
}

/// What is learned of an input's silences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LearnedStatus {
    /// So long a silence is a failure, ms.
    pub timeout_ms: f64,
    /// How improbable the present silence is: phi, the negative decimal logarithm. By the fitted
    /// distribution alone: floor and memory may hold an alarm back although it is above the
    /// rule's confidence.
    pub suspicion: f64,
}

/// The operator's hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HoldStatus {
    /// The input held.
    pub priority: Priority,
    /// When it ends.
    #[serde(with = "rfc3339")]
    pub expires_at: SystemTime,
    /// The held input is dead, and the stream stays with it.
    pub dead: bool,
}

/// One decision or refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DecisionEntry {
    /// When.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    /// `decided`, `effective`, `refused` or `failed`.
    pub what: String,
    /// The active input at that time.
    pub from: Option<Priority>,
    /// The input it was about, if any.
    pub to: Option<Priority>,
    /// Why the move was wanted.
    pub reason: SwitchReason,
    /// What stood against it (refusals; see the event `input.refused`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How long the rule still holds from now, ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining_ms: Option<u64>,
    /// The numbers, for people; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// One input's configuration and live health.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct InputHealth {
    /// The configuration in force.
    pub input: InputConfig,
    /// The live health.
    #[serde(flatten)]
    pub health: InputHealthSnapshot,
}

/// One failure, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorEntry {
    /// A diagnostic text, not a code.
    pub message: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
}

/// One change of the active input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "SwitchEventJson", into = "SwitchEventJson")]
#[non_exhaustive]
pub struct SwitchEvent {
    /// When it became effective.
    pub at: SystemTime,
    /// The input left; `None` = there was none (JSON: `-1` with `from_none: true`).
    pub from: Option<Priority>,
    /// The input taken.
    pub to: Priority,
    /// Why.
    pub reason: SwitchReason,
    /// More about why; may be empty.
    pub detail: String,
    /// When it was decided.
    pub decided_at: Option<SystemTime>,
    /// When the first packet of the input taken went out; `None` = it has not.
    pub first_packet_at: Option<SystemTime>,
    /// The stall: from the last packet of the input left to the first of the one taken, us. To
    /// the clock's tick, unless packets carry precise times.
    pub stall_us: Option<u64>,
    /// Where the cut waited for a keyframe: whether it fell on one.
    pub aligned: Option<bool>,
}

#[derive(Serialize, Deserialize)]
struct SwitchEventJson {
    #[serde(with = "rfc3339")]
    at: SystemTime,
    from: Priority,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    from_none: bool,
    to: Priority,
    reason: SwitchReason,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    decided_at: Option<SystemTime>,
    #[serde(default, with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    first_packet_at: Option<SystemTime>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stall_us: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    aligned: Option<bool>,
}

impl From<SwitchEvent> for SwitchEventJson {
    fn from(event: SwitchEvent) -> Self {
        Self {
            at: event.at,
            from: event.from.unwrap_or(-1),
            from_none: event.from.is_none(),
            to: event.to,
            reason: event.reason,
            detail: event.detail,
            decided_at: event.decided_at,
            first_packet_at: event.first_packet_at,
            stall_us: event.stall_us,
            aligned: event.aligned,
        }
    }
}

impl From<SwitchEventJson> for SwitchEvent {
    fn from(json: SwitchEventJson) -> Self {
        Self {
            at: json.at,
            from: if json.from_none { None } else { Some(json.from) },
            to: json.to,
            reason: json.reason,
            detail: json.detail,
            decided_at: json.decided_at,
            first_packet_at: json.first_packet_at,
            stall_us: json.stall_us,
            aligned: json.aligned,
        }
    }
}

/// `SystemTime` as RFC 3339 text in UTC.
pub(crate) mod rfc3339 {
    use std::time::SystemTime;

    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer};

    pub(crate) fn serialize<S: Serializer>(at: &SystemTime, out: S) -> Result<S::Ok, S::Error> {
        Timestamp::try_from(*at).map_err(serde::ser::Error::custom)?.serialize(out)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        Ok(Timestamp::deserialize(from)?.into())
    }

    pub(crate) mod option {
        use super::{Deserializer, Serializer, SystemTime, Timestamp};
        use serde::{Deserialize as _, Serialize as _};

        pub(crate) fn serialize<S: Serializer>(
            at: &Option<SystemTime>,
            out: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, out),
                None => Option::<Timestamp>::None.serialize(out),
            }
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<SystemTime>, D::Error> {
            Ok(Option::<Timestamp>::deserialize(from)?.map(Into::into))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_from_none_has_the_seeds_form() {
        let at = SystemTime::UNIX_EPOCH;
        let event = SwitchEvent {
            at,
            from: None,
            to: -1,
            reason: SwitchReason::Initial,
            detail: String::new(),
            decided_at: None,
            first_packet_at: None,
            stall_us: None,
            aligned: None,
        };
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(
            json,
            r#"{"at":"1970-01-01T00:00:00Z","from":-1,"from_none":true,"to":-1,"reason":"initial"}"#
        );
        assert_eq!(serde_json::from_str::<SwitchEvent>(&json).unwrap(), event);
        let real = SwitchEvent { from: Some(-1), ..event };
        let json = serde_json::to_string(&real).unwrap();
        assert!(!json.contains("from_none"));
        assert_eq!(serde_json::from_str::<SwitchEvent>(&json).unwrap(), real);
    }
}
