//! Policy data beyond silence: health rules, the failback and cut policies, the operator's hold,
//! host conditions; their inheritance and validation.
//!
//! As in [`crate::config`]: durations are `i64` milliseconds, and 0 of anything means "inherited"
//! (input <- stream <- engine <- off, or the default named here).

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::spans::{ms_to_ns, not_negative};
use crate::types::Nanos;

/// Sampling step of the health estimators; a window is ten steps.
pub const DEFAULT_HEALTH_STEP_MS: i64 = 100;
/// How long a rule must be true without a pause before it acts: MediaLive waits as long
/// ("unhealthy 3 s"), the field's complaints are about less.
pub const DEFAULT_RULE_HOLD_MS: i64 = 3_000;
/// How long a rule must be false without a pause before the input is good again.
pub const DEFAULT_RULE_CLEAR_MS: i64 = 5_000;
/// Longest wait for a keyframe before any packet makes the cut.
pub const DEFAULT_CUT_MAX_WAIT_MS: i64 = 3_000;
/// Life of an operator's hold.
pub const DEFAULT_HOLD_TTL_MS: i64 = 600_000;
/// Learned silence is never shorter than this: below it the scheduling of a busy machine looks
/// like a dead source.
pub const DEFAULT_LEARNED_FLOOR_MS: i64 = 25;
/// Learned silence: the suspicion at which an input has failed (phi, the negative decimal
/// logarithm of the probability that a regular input is silent for so long).
pub const DEFAULT_LEARNED_CONFIDENCE: f64 = 8.0;
/// Longest name of a condition, in bytes of UTF-8.
pub const MAX_CONDITION_NAME_BYTES: usize = 64;
/// Conditions that one input may have raised at a time.
pub const MAX_CONDITIONS: usize = 16;

/// Whether a better input that has proved itself gets the stream back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failback {
    /// As the engine says; there it means `Automatic`.
    #[default]
    Inherited,
    /// By itself, after stability (hot) or a good probe (cold), and the cooldown.
    Automatic,
    /// Never: only the operator or a failure moves the stream.
    Never,
}

/// Where a cut may fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// As the engine says; there it means `Immediate`.
    #[default]
    Inherited,
    /// On the target's next packet.
    Immediate,
    /// On the target's next packet that begins a *video* keyframe
    /// ([`Packet::is_cut_point`](crate::Packet::is_cut_point)).
    Keyframe {
        /// After this the target's next packet of any class makes the cut, marked unaligned, ms.
        /// 0 = default 3,000.
        #[serde(default)]
        max_wait_ms: i64,
    },
}

/// Health rules of an engine, a stream or an input: all off unless set.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HealthConfig {
    /// Sampling step, ms; the sliding window is ten steps. Default 100.
    pub step_ms: i64,
    /// Least bitrate.
    pub bitrate: BitrateRule,
    /// Least frame rate.
    pub fps: FpsRule,
    /// Greatest packet loss.
    pub loss: LossRule,
    /// Video that is silent while audio flows.
    pub track_silence: TrackSilenceRule,
    /// How silence is judged.
    pub silence: Silence,
}

/// Least bitrate: absolute, or of what the input usually delivers; the stricter one counts.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BitrateRule {
    /// kbit/s. 0 = inherited, or off.
    pub min_kbps: f64,
    /// Percent of the learned reference: the median of the last 60 s of windows in which no rule
    /// was true, known from 10 s on. Kept until the address is edited. 0 = inherited, or off.
    pub min_percent: f64,
    /// True for so long before it acts, ms. Default 3,000.
    pub hold_ms: i64,
    /// False for so long before the input is good again, ms. Default 5,000.
    pub clear_ms: i64,
}

/// Least frame rate. Judged from the first reported frame on.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FpsRule {
    /// Frames per second. 0 = inherited, or off.
    pub min: f64,
    /// True for so long before it acts, ms. Default 3,000.
    pub hold_ms: i64,
    /// False for so long before the input is good again, ms. Default 5,000.
    pub clear_ms: i64,
}

/// Greatest packet loss: lost / (lost + recorded), as far as the host knows of it. RTP numbers tell
/// it exactly; MPEG-TS without RTP has 4-bit counters, which bursts of three full datagrams or
/// more run round, so that too little is told.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossRule {
    /// Percent. 0 = inherited, or off; 100 is never exceeded.
    pub max_percent: f64,
    /// True for so long before it acts, ms. Default 3,000.
    pub hold_ms: i64,
    /// False for so long before the input is good again, ms. Default 5,000.
    pub clear_ms: i64,
}

/// "Audio alive, video dead". Needs packets with [`Tracks`](crate::Tracks).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrackSilenceRule {
    /// No video for so long while audio flows, ms: its hold time. 0 = inherited, or off.
    pub video_ms: i64,
    /// Video back for so long before the input is good again, ms. Default 5,000.
    pub clear_ms: i64,
}

/// How the silence of an input is judged.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Silence {
    /// As the stream, then the engine, says; there it means `Fixed`.
    #[default]
    Inherited,
    /// By the packet timeout.
    Fixed,
    /// By what is improbable for this input: an accrual failure detector (Hayashibara et al.,
    /// "The phi accrual failure detector", 2004) on its longest gaps. Until enough is learned
    /// (about 19 s of packets), and for inputs that are not regular, the packet timeout holds; it
    /// stays the upper bound. 1,000 packets/s with 5 ms of jitter learn 25 ms, feeds of FFmpeg
    /// over UDP 70 to 100 ms, HLS twice its segments (`tests/cadence/README.md`).
    ///
    /// A suspected input stays on the air until another one's packet makes the cut, or its packet
    /// timeout is over; its own next packet clears it. Packets by id are not learned from.
    Learned {
        /// Never shorter than this, ms. 0 = default 25.
        #[serde(default)]
        floor_ms: i64,
        /// Never longer than this, ms. 0 = the packet timeout.
        #[serde(default)]
        ceiling_ms: i64,
        /// The suspicion (phi) that is a failure. 0 = default 8.
        #[serde(default)]
        confidence: f64,
    },
}

/// An operator's hold: the stream goes to an input and stays, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hold {
    /// Its life from acceptance on, ms. 0 = default 600,000.
    pub ttl_ms: i64,
    /// What follows when the held input dies.
    pub when_dead: WhenDead,
}

/// What follows when a held input dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenDead {
    /// The hold ends, the normal rules apply.
    #[default]
    Release,
    /// The stream stays with the dead input until the hold ends.
    Keep,
}

/// Something that the host sees in an input and the engine cannot: black picture, frozen
/// picture, silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// 1..=64 bytes of UTF-8, no control characters.
    pub name: String,
    /// Raised for so long before it acts, ms. 0 = default 3,000.
    #[serde(default)]
    pub hold_ms: i64,
    /// Cleared for so long before the input is good again, ms. 0 = default 5,000.
    #[serde(default)]
    pub clear_ms: i64,
}

impl Condition {
    /// A condition with the default times.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), hold_ms: 0, clear_ms: 0 }
    }

    /// The same with a hold time of its own.
    #[must_use]
    pub fn hold_ms(mut self, ms: i64) -> Self {
        self.hold_ms = ms;
        self
    }

    /// The same with a clear time of its own.
    #[must_use]
    pub fn clear_ms(mut self, ms: i64) -> Self {
        self.clear_ms = ms;
        self
    }

    pub(crate) fn validate(&self) -> Result<(), Error> {
        let why = if self.name.is_empty() {
            "it is empty"
        } else if self.name.len() > MAX_CONDITION_NAME_BYTES {
            "it is longer than 64 bytes"
        } else if self.name.chars().any(char::is_control) {
            "it has control characters"
        } else {
            not_negative("hold_ms", self.hold_ms)?;
            return not_negative("clear_ms", self.clear_ms);
        };
        Err(Error::BadCondition { why })
    }

    pub(crate) fn hold_ns(&self) -> Nanos {
        ms_to_ns(or(self.hold_ms, DEFAULT_RULE_HOLD_MS))
    }

    pub(crate) fn clear_ns(&self) -> Nanos {
        ms_to_ns(or(self.clear_ms, DEFAULT_RULE_CLEAR_MS))
    }
}

impl Hold {
    pub(crate) fn ttl_ns(&self) -> Nanos {
        ms_to_ns(or(self.ttl_ms, DEFAULT_HOLD_TTL_MS))
    }
}

impl Cut {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        match self {
            Self::Keyframe { max_wait_ms } => not_negative("max_wait_ms", *max_wait_ms),
            Self::Inherited | Self::Immediate => Ok(()),
        }
    }

    /// How long a cut may wait for a keyframe; `None` = it does not wait.
    pub(crate) fn max_wait_ns(self, inherited: Self) -> Option<Nanos> {
        let cut = if self == Self::Inherited { inherited } else { self };
        match cut {
            Self::Keyframe { max_wait_ms } => {
                Some(ms_to_ns(or(max_wait_ms, DEFAULT_CUT_MAX_WAIT_MS)))
            }
            Self::Inherited | Self::Immediate => None,
        }
    }
}

impl Failback {
    pub(crate) fn is_never(self, inherited: Self) -> bool {
        let failback = if self == Self::Inherited { inherited } else { self };
        failback == Self::Never
    }
}

impl HealthConfig {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::NegativeDuration`], [`Error::BadNumber`] for the first field that is wrong.
    pub fn validate(&self) -> Result<(), Error> {
        let Self { step_ms, bitrate, fps, loss, track_silence, silence } = self;
        let durations = [
            ("step_ms", *step_ms),
            ("bitrate.hold_ms", bitrate.hold_ms),
            ("bitrate.clear_ms", bitrate.clear_ms),
            ("fps.hold_ms", fps.hold_ms),
            ("fps.clear_ms", fps.clear_ms),
            ("loss.hold_ms", loss.hold_ms),
            ("loss.clear_ms", loss.clear_ms),
            ("track_silence.video_ms", track_silence.video_ms),
            ("track_silence.clear_ms", track_silence.clear_ms),
        ];
        for (field, ms) in durations {
            not_negative(field, ms)?;
        }
        let numbers = [
            ("bitrate.min_kbps", bitrate.min_kbps, f64::MAX),
            ("bitrate.min_percent", bitrate.min_percent, 100.0),
            ("fps.min", fps.min, f64::MAX),
            ("loss.max_percent", loss.max_percent, 100.0),
        ];
        for (field, value, most) in numbers {
            number(field, value, most)?;
        }
        if let Silence::Learned { floor_ms, ceiling_ms, confidence } = *silence {
            not_negative("silence.floor_ms", floor_ms)?;
            not_negative("silence.ceiling_ms", ceiling_ms)?;
            number("silence.confidence", confidence, 1_000.0)?;
        }
        Ok(())
    }

    /// This level's word where it has one, else the other's.
    fn over(&self, below: &Self) -> Self {
        Self {
            step_ms: or(self.step_ms, below.step_ms),
            bitrate: BitrateRule {
                min_kbps: orf(self.bitrate.min_kbps, below.bitrate.min_kbps),
                min_percent: orf(self.bitrate.min_percent, below.bitrate.min_percent),
                hold_ms: or(self.bitrate.hold_ms, below.bitrate.hold_ms),
                clear_ms: or(self.bitrate.clear_ms, below.bitrate.clear_ms),
            },
            fps: FpsRule {
                min: orf(self.fps.min, below.fps.min),
                hold_ms: or(self.fps.hold_ms, below.fps.hold_ms),
                clear_ms: or(self.fps.clear_ms, below.fps.clear_ms),
            },
            loss: LossRule {
                max_percent: orf(self.loss.max_percent, below.loss.max_percent),
                hold_ms: or(self.loss.hold_ms, below.loss.hold_ms),
                clear_ms: or(self.loss.clear_ms, below.loss.clear_ms),
            },
            track_silence: TrackSilenceRule {
                video_ms: or(self.track_silence.video_ms, below.track_silence.video_ms),
                clear_ms: or(self.track_silence.clear_ms, below.track_silence.clear_ms),
            },
            silence: if self.silence == Silence::Inherited { below.silence } else { self.silence },
        }
    }

    /// What holds for an input: its own word over the stream's over the engine's. `None` where
    /// nobody says anything.
    pub(crate) fn inherit(levels: [Option<&Self>; 3]) -> Option<Self> {
        levels.into_iter().flatten().copied().reduce(|own, below| own.over(&below))
    }

    pub(crate) fn step_ns(&self) -> Nanos {
        ms_to_ns(or(self.step_ms, DEFAULT_HEALTH_STEP_MS))
    }

    /// Whether an input under it has to be sampled.
    pub(crate) fn needs_samples(&self) -> bool {
        self.bitrate.min_kbps > 0.0
            || self.bitrate.min_percent > 0.0
            || self.fps.min > 0.0
            || self.loss.max_percent > 0.0
            || self.track_silence.video_ms > 0
            || self.learns()
    }

    pub(crate) fn learns(&self) -> bool {
        matches!(self.silence, Silence::Learned { .. })
    }
}

/// A duration or count, or what is below it.
pub(crate) fn or(own: i64, below: i64) -> i64 {
    if own == 0 { below } else { own }
}

fn orf(own: f64, below: f64) -> f64 {
    if own == 0.0 { below } else { own }
}

fn number(field: &'static str, value: f64, most: f64) -> Result<(), Error> {
    let fine = value.is_finite() && (0.0..=most).contains(&value);
    if fine { Ok(()) } else { Err(Error::BadNumber { field }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_is_inherited_by_itself() {
        let engine = HealthConfig {
            loss: LossRule { max_percent: 5.0, hold_ms: 1000, clear_ms: 0 },
            ..Default::default()
        };
        let input = HealthConfig {
            loss: LossRule { max_percent: 0.0, hold_ms: 250, clear_ms: 9 },
            ..Default::default()
        };
        let held = HealthConfig::inherit([Some(&input), None, Some(&engine)]).unwrap();
        assert_eq!(held.loss, LossRule { max_percent: 5.0, hold_ms: 250, clear_ms: 9 });
        assert_eq!(HealthConfig::inherit([None, None, None]), None);
        assert!(held.needs_samples() && !HealthConfig::default().needs_samples());
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for wrong in [f64::NAN, f64::INFINITY, -1.0, 101.0] {
            let rule = LossRule { max_percent: wrong, ..Default::default() };
            let config = HealthConfig { loss: rule, ..Default::default() };
            assert!(matches!(config.validate(), Err(Error::BadNumber { .. })), "{wrong}");
        }
        let rule = FpsRule { hold_ms: -1, ..Default::default() };
        let config = HealthConfig { fps: rule, ..Default::default() };
        assert!(matches!(config.validate(), Err(Error::NegativeDuration { .. })));
        assert!(Condition::new("").validate().is_err());
        assert!(Condition::new("a\nb").validate().is_err());
        assert!(Condition::new("x".repeat(65)).validate().is_err());
        assert!(Condition::new("black").hold_ms(-1).validate().is_err());
        assert_eq!(Condition::new("black").validate(), Ok(()));
    }

    #[test]
    fn rules_are_read_from_json_and_slips_are_refused() {
        let text = r#"{"bitrate":{"min_percent":70,"hold_ms":5000},"track_silence":{"video_ms":2000},
            "silence":{"learned":{"ceiling_ms":400}}}"#;
        let health: HealthConfig = serde_json::from_str(text).unwrap();
        let bitrate = BitrateRule { min_percent: 70.0, hold_ms: 5_000, ..Default::default() };
        let learned = Silence::Learned { floor_ms: 0, ceiling_ms: 400, confidence: 0.0 };
        assert_eq!((health.bitrate, health.silence), (bitrate, learned));
        assert_eq!((health.track_silence.video_ms, health.loss), (2_000, LossRule::default()));
        let again = serde_json::to_string(&health).unwrap();
        assert_eq!(serde_json::from_str::<HealthConfig>(&again).unwrap(), health);
        assert!(serde_json::from_str::<HealthConfig>(r#"{"bitrate":{"min_kbit":9}}"#).is_err());
        let fixed: HealthConfig = serde_json::from_str(r#"{"silence":"fixed"}"#).unwrap();
        assert_eq!(fixed.silence, Silence::Fixed);
        let hold: Hold = serde_json::from_str(r#"{"ttl_ms":9,"when_dead":"keep"}"#).unwrap();
        assert_eq!(hold, Hold { ttl_ms: 9, when_dead: WhenDead::Keep });
    }

    #[test]
    fn policies_are_inherited() {
        let keyframe = Cut::Keyframe { max_wait_ms: 0 };
        assert_eq!(Cut::Inherited.max_wait_ns(keyframe), Some(3_000_000_000));
        assert_eq!(Cut::Immediate.max_wait_ns(keyframe), None);
        assert_eq!(Cut::Inherited.max_wait_ns(Cut::Inherited), None);
        assert!(Failback::Inherited.is_never(Failback::Never));
        assert!(!Failback::Automatic.is_never(Failback::Never));
        assert_eq!(
            serde_json::from_str::<Cut>(r#"{"keyframe":{"max_wait_ms":500}}"#).unwrap(),
            Cut::Keyframe { max_wait_ms: 500 }
        );
    }
}
