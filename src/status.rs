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
    /// Bitrate in kbit/s. Reserved, as in the seed: 0 until the health estimators land.
    pub bitrate_kbps: f64,
    /// Packet loss in percent. Reserved, as in the seed: 0 until the health estimators land.
    pub packet_loss: f64,
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
}

impl From<SwitchEvent> for SwitchEventJson {
    fn from(event: SwitchEvent) -> Self {
        let SwitchEvent { at, from, to, reason, detail } = event;
        Self { at, from: from.unwrap_or(-1), from_none: from.is_none(), to, reason, detail }
    }
}

impl From<SwitchEventJson> for SwitchEvent {
    fn from(json: SwitchEventJson) -> Self {
        let from = if json.from_none { None } else { Some(json.from) };
        Self { at: json.at, from, to: json.to, reason: json.reason, detail: json.detail }
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
