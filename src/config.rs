//! Plain policy data: units in the names, defaults with their reason, validation.
//!
//! All durations are milliseconds as `i64`: 0 means the inherited default (input <- stream <-
//! engine <- the default named here), a negative one is an error, and one above 2^63-1 ns
//! saturates. The smallest effective value is 1 ms.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::rules::{Cut, Failback, HealthConfig};
use crate::spans::{duration_ms, ms_to_ns, not_negative};
use crate::sync::Arc;
use crate::types::{MAX_STREAM_ID_BYTES, Nanos, Priority};

/// Packet timeout: silence of this length is a failure (the seed's default).
pub const DEFAULT_PACKET_TIMEOUT_MS: i64 = 30_000;
/// Pause from a degradation, or a failed probe, to the next probe (the seed's default).
pub const DEFAULT_PROBE_COOLDOWN_MS: i64 = 8_000;
/// Longest probe (the seed's default).
pub const DEFAULT_PROBE_TIMEOUT_MS: i64 = 3_000;
/// Longest `stop` before its worker is given up.
pub const DEFAULT_STOP_TIMEOUT_MS: i64 = 5_000;
/// Pause between a switch and the next voluntary move (the seed's default).
pub const DEFAULT_FAILBACK_COOLDOWN_MS: i64 = 12_000;
/// How long a better *hot* input must have delivered without a gap before a failback. A cold
/// input's successful probe is its proof.
pub const DEFAULT_FAILBACK_STABLE_MS: i64 = 5_000;
/// Errors kept per input (the seed's default).
pub const DEFAULT_ERROR_HISTORY: usize = 5;
/// Switches kept per stream (the seed's default).
pub const DEFAULT_SWITCH_HISTORY: usize = 20;

/// The engine's policy. Live: [`Engine::set_config`](crate::Engine::set_config) changes it at
/// once for every stream.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Silence of a running input after which it is degraded, ms. Default 30,000.
    pub packet_timeout_ms: i64,
    /// Longest time from an activation to its first packet, ms. Default: the packet timeout.
    pub connect_timeout_ms: i64,
    /// Pause from a degradation, or a failed probe, to the next probe, ms. Default 8,000.
    pub probe_cooldown_ms: i64,
    /// Longest probe, ms. Default 3,000.
    pub probe_timeout_ms: i64,
    /// Longest `stop`, ms. Default 5,000.
    pub stop_timeout_ms: i64,
    /// Pause between a switch and the next failback, ms. Default 12,000.
    pub failback_cooldown_ms: i64,
    /// How long a better hot input must have delivered without a gap before a failback, ms.
    /// Default 5,000. It does not concern cold inputs.
    pub failback_stable_ms: i64,
    /// Errors kept per input. 0 = default 5.
    pub error_history: usize,
    /// Switches kept per stream, and decisions and refusals. 0 = default 20.
    pub switch_history: usize,
    /// Whether better inputs get the stream back. Default: automatically.
    pub failback: Failback,
    /// Where cuts may fall. Default: immediately.
    pub cut: Cut,
    /// Decide and report everything, move nothing (but for a stream's first activation).
    /// Default: off.
    pub observe: Option<bool>,
    /// Health rules of every stream and input. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Arc<HealthConfig>>,
}

impl EngineConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::NegativeDuration`] for the first negative one.
    pub fn validate(&self) -> Result<(), Error> {
        not_negative("packet_timeout_ms", self.packet_timeout_ms)?;
        not_negative("connect_timeout_ms", self.connect_timeout_ms)?;
        not_negative("probe_cooldown_ms", self.probe_cooldown_ms)?;
        not_negative("probe_timeout_ms", self.probe_timeout_ms)?;
        not_negative("stop_timeout_ms", self.stop_timeout_ms)?;
        not_negative("failback_cooldown_ms", self.failback_cooldown_ms)?;
        not_negative("failback_stable_ms", self.failback_stable_ms)?;
        self.cut.validate()?;
        self.health.as_ref().map_or(Ok(()), |health| health.validate())
    }

    /// The same with every default filled in, in nanoseconds.
    pub(crate) fn resolve(&self) -> Policy {
        let ns = |ms: i64, default_ms: i64| ms_to_ns(if ms == 0 { default_ms } else { ms });
        let count = |n: usize, default: usize| if n == 0 { default } else { n };
        Policy {
            packet_timeout_ns: ns(self.packet_timeout_ms, DEFAULT_PACKET_TIMEOUT_MS),
            connect_timeout_ns: ms_to_ns(self.connect_timeout_ms),
            probe_cooldown_ns: ns(self.probe_cooldown_ms, DEFAULT_PROBE_COOLDOWN_MS),
            probe_timeout_ns: ns(self.probe_timeout_ms, DEFAULT_PROBE_TIMEOUT_MS),
            stop_timeout_ns: ns(self.stop_timeout_ms, DEFAULT_STOP_TIMEOUT_MS),
            failback_cooldown_ns: ns(self.failback_cooldown_ms, DEFAULT_FAILBACK_COOLDOWN_MS),
            failback_stable_ns: ns(self.failback_stable_ms, DEFAULT_FAILBACK_STABLE_MS),
            error_history: count(self.error_history, DEFAULT_ERROR_HISTORY),
            switch_history: count(self.switch_history, DEFAULT_SWITCH_HISTORY),
            failback: self.failback,
            cut: self.cut,
            observe: self.observe == Some(true),
            health: self.health.clone(),
        }
    }
}

/// One input of a stream.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputConfig {
    /// Unique in the stream, lower is better, negative is legal.
    pub priority: Priority,
    /// Where the source is; travels to the driver as it is. Two inputs with byte-equal addresses
    /// are the same source (a renumbering keeps it on the air).
    pub address: String,
    /// Whether its producer runs all the time (hot), or only after the driver's `start` (cold).
    pub hot: bool,
    /// This input's packet timeout, ms. 0 = the stream's.
    pub packet_timeout_ms: i64,
    /// This input's connect timeout, ms. 0 = the stream's.
    pub connect_timeout_ms: i64,
    /// Health rules of its own; what they leave at 0 is the stream's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Arc<HealthConfig>>,
}

impl InputConfig {
    /// An input that the driver starts and stops.
    #[must_use]
    pub fn cold(priority: Priority, address: impl Into<String>) -> Self {
        Self { priority, address: address.into(), ..Self::default() }
    }

    /// An input whose producer runs all the time.
    #[must_use]
    pub fn hot(priority: Priority, address: impl Into<String>) -> Self {
        Self { hot: true, ..Self::cold(priority, address) }
    }

    /// The same with a packet timeout of its own (rounded up to whole milliseconds).
    #[must_use]
    pub fn with_packet_timeout(mut self, timeout: Duration) -> Self {
        self.packet_timeout_ms = duration_ms(timeout);
        self
    }

    /// The same with a connect timeout of its own (rounded up to whole milliseconds).
    #[must_use]
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout_ms = duration_ms(timeout);
        self
    }

    /// The same with health rules of its own.
    #[must_use]
    pub fn with_health(mut self, health: impl Into<Arc<HealthConfig>>) -> Self {
        self.health = Some(health.into());
        self
    }

    fn validate(&self) -> Result<(), Error> {
        not_negative("packet_timeout_ms", self.packet_timeout_ms)?;
        not_negative("connect_timeout_ms", self.connect_timeout_ms)?;
        self.health.as_ref().map_or(Ok(()), |health| health.validate())
    }
}

/// A stream and its inputs.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamConfig {
    /// 1..=128 bytes of UTF-8, no control characters.
    pub id: String,
    /// Where ingest writes; travels to the driver with each start. Empty = the id.
    pub buffer_write_id: String,
    /// The stream's packet timeout, ms. 0 = the engine's.
    pub packet_timeout_ms: i64,
    /// The stream's connect timeout, ms. 0 = the engine's.
    pub connect_timeout_ms: i64,
    /// How long a better hot input must have delivered without a gap, and with no health rule
    /// true, before a failback, ms. 0 = the engine's.
    pub failback_stable_ms: i64,
    /// Whether better inputs get the stream back.
    pub failback: Failback,
    /// Where its cuts may fall.
    pub cut: Cut,
    /// Decide and report everything, move nothing. `None` = as the engine.
    pub observe: Option<bool>,
    /// Health rules of its inputs; what they leave at 0 is the engine's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<Arc<HealthConfig>>,
    /// The inputs, in any order. An empty list is legal.
    pub inputs: Vec<InputConfig>,
}

impl StreamConfig {
    /// A stream without inputs yet.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), ..Self::default() }
    }

    /// The same with one more input.
    #[must_use]
    pub fn input(mut self, input: InputConfig) -> Self {
        self.inputs.push(input);
        self
    }

    /// The same with a buffer write id of its own.
    #[must_use]
    pub fn buffer_write_id(mut self, id: impl Into<String>) -> Self {
        self.buffer_write_id = id.into();
        self
    }

    /// The same with a packet timeout of its own (rounded up to whole milliseconds).
    #[must_use]
    pub fn with_packet_timeout(mut self, timeout: Duration) -> Self {
        self.packet_timeout_ms = duration_ms(timeout);
        self
    }

    /// The same with health rules for its inputs.
    #[must_use]
    pub fn with_health(mut self, health: impl Into<Arc<HealthConfig>>) -> Self {
        self.health = Some(health.into());
        self
    }

    /// The same with a cut policy of its own.
    #[must_use]
    pub fn with_cut(mut self, cut: Cut) -> Self {
        self.cut = cut;
        self
    }

    /// The same with a failback policy of its own.
    #[must_use]
    pub fn with_failback(mut self, failback: Failback) -> Self {
        self.failback = failback;
        self
    }

    /// Checks id, priorities, durations and health rules.
    ///
    /// # Errors
    /// The first thing that is wrong: a bad id, a negative duration, a duplicate priority.
    pub fn validate(&self) -> Result<(), Error> {
        validate_id(&self.id)?;
        if !self.buffer_write_id.is_empty() {
            validate_id(&self.buffer_write_id)?;
        }
        not_negative("packet_timeout_ms", self.packet_timeout_ms)?;
        not_negative("connect_timeout_ms", self.connect_timeout_ms)?;
        not_negative("failback_stable_ms", self.failback_stable_ms)?;
        self.cut.validate()?;
        self.health.as_ref().map_or(Ok(()), |health| health.validate())?;
        validate_inputs(&self.inputs)
    }
}

/// One atomic change of a stream's inputs.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputsUpdate {
    /// New inputs. A priority that is also in `removed` is a replacement.
    pub added: Vec<InputConfig>,
    /// Priorities of inputs that go.
    pub removed: Vec<Priority>,
    /// Inputs that stay under their priority with a new configuration.
    pub updated: Vec<InputConfig>,
}

/// The engine's policy with every default filled in, in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Policy {
    pub(crate) packet_timeout_ns: Nanos,
    /// 0 = the packet timeout of the input.
    pub(crate) connect_timeout_ns: Nanos,
    pub(crate) probe_cooldown_ns: Nanos,
    pub(crate) probe_timeout_ns: Nanos,
    pub(crate) stop_timeout_ns: Nanos,
    pub(crate) failback_cooldown_ns: Nanos,
    pub(crate) failback_stable_ns: Nanos,
    pub(crate) error_history: usize,
    pub(crate) switch_history: usize,
    pub(crate) failback: Failback,
    pub(crate) cut: Cut,
    pub(crate) observe: bool,
    pub(crate) health: Option<Arc<HealthConfig>>,
}

pub(crate) fn validate_id(id: &str) -> Result<(), Error> {
    if id.is_empty() {
        return Err(Error::EmptyStreamId);
    }
    if id.len() > MAX_STREAM_ID_BYTES {
        return Err(Error::BadStreamId { reason: "too long" });
    }
    if id.chars().any(char::is_control) {
        return Err(Error::BadStreamId { reason: "it has a control character" });
    }
    Ok(())
}

/// Durations and uniqueness within one list.
pub(crate) fn validate_inputs(inputs: &[InputConfig]) -> Result<(), Error> {
    inputs.iter().try_for_each(InputConfig::validate)?;
    // Without memory of its own: registering a stream is mostly waiting for that.
    let mut few = [0; 8];
    if let Some(few) = few.get_mut(..inputs.len()) {
        few.iter_mut().zip(inputs).for_each(|(place, input)| *place = input.priority);
        return first_duplicate(few);
    }
    first_duplicate(&mut inputs.iter().map(|input| input.priority).collect::<Vec<_>>())
}

/// Sorts, and answers the first priority that stands twice.
pub(crate) fn first_duplicate(priorities: &mut [Priority]) -> Result<(), Error> {
    priorities.sort_unstable();
    match priorities.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::DuplicatePriority { priority: pair[0] }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::FOREVER_NS;

    #[test]
    fn zero_inherits_negative_refuses_absurd_saturates() {
        let policy = EngineConfig::default().resolve();
        assert_eq!(policy.packet_timeout_ns, 30_000_000_000);
        assert_eq!(policy.failback_cooldown_ns, 12_000_000_000);
        let absurd = EngineConfig { packet_timeout_ms: 9_300_000_000_000, ..Default::default() };
        assert!(absurd.validate().is_ok());
        assert_eq!(absurd.resolve().packet_timeout_ns, FOREVER_NS);
        let negative = EngineConfig { stop_timeout_ms: -1, ..Default::default() };
        assert_eq!(
            negative.validate(),
            Err(Error::NegativeDuration { field: "stop_timeout_ms", value_ms: -1 })
        );
    }

    #[test]
    fn ids_are_checked() {
        assert_eq!(validate_id(""), Err(Error::EmptyStreamId));
        assert!(validate_id(&"x".repeat(128)).is_ok());
        assert!(validate_id(&"x".repeat(129)).is_err());
        assert!(validate_id("a\nb").is_err());
        assert!(validate_id("канал-1").is_ok());
    }
}
