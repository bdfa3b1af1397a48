//! The policies that the user can choose: when an input is bad, where cuts fall, who comes back,
//! what is held, and what is looked back to. As options, and as the engine's configuration.

use std::sync::Arc;
use std::time::Duration;

use changeover::{
    BitrateRule, Cut, DEFAULT_CUT_MAX_WAIT_MS, EngineConfig, Failback, FpsRule, HealthConfig, Hold,
    LossRule, Silence, TrackSilenceRule, WhenDead,
};
use clap::{Args, ValueEnum};

use crate::align::Wish;

/// What `hold` takes, on the command line and as a typed line.
const HOLD: &str = "INPUT[:SECONDS[:release|keep]]";

/// The options about policies. What is not given stays as the engine has it.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Policies")]
pub(crate) struct Policy {
    /// Where a cut may fall: on any packet, or only where a keyframe begins
    #[arg(long, value_enum, default_value_t)]
    pub(crate) cut: CutAt,

    /// With --cut keyframe: after this any packet will do [default: 3000]
    #[arg(long, value_name = "MS", value_parser = super::cli::ms(1))]
    pub(crate) cut_max_wait_ms: Option<i64>,

    /// An input below this bitrate for 3 s is bad
    #[arg(long, value_name = "KBPS", value_parser = amount)]
    pub(crate) min_kbps: Option<f64>,

    /// The same, in percent of what the input usually delivers (known after 10 s)
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) min_percent: Option<f64>,

    /// An input that loses more than this for 3 s is bad (without RTP, losses of three datagrams in
    /// a row and more are counted too low)
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub(crate) max_loss: Option<f64>,

    /// An input with fewer pictures a second for 3 s is bad
    #[arg(long, value_name = "FPS", value_parser = amount)]
    pub(crate) min_fps: Option<f64>,

    /// An input whose video is silent for so long, while its audio goes on, is bad
    #[arg(long, value_name = "MS", value_parser = super::cli::ms(1))]
    pub(crate) video_silence_ms: Option<i64>,

    /// How silence is judged: by --timeout-ms, or learned from each input's own gaps (never
    /// longer than --timeout-ms)
    #[arg(long, value_enum, default_value_t)]
    pub(crate) silence: SilenceBy,

    /// Whether a better input that is stable again gets the output back
    #[arg(long, value_enum, default_value_t)]
    pub(crate) failback: FailbackWhen,

    /// Begin with this input, and stay there for so long (600 s), whatever the others do; if it
    /// dies, the hold ends (release) or the output waits for it (keep)
    #[arg(long, value_name = HOLD, value_parser = parse_hold)]
    pub(crate) hold: Option<HoldOf>,

    /// Keep this much of each standby, and go on where the old input stopped instead of where the
    /// new one is by now; 0 = do not. More than --timeout-ms and the time that the standby is
    /// ahead. Exact where both carry the same RTP numbers or datagrams; else by PCR or arrival, and
    /// with --cut keyframe at the keyframe that is nearest to that place
    #[arg(long = "lookback", value_name = "MS", default_value_t = 0, value_parser = super::cli::ms(0))]
    pub(crate) lookback_ms: i64,

    /// Rewrite continuity counters, PCR and time stamps so that they go on over a switch; auto:
    /// with --cut keyframe
    #[arg(long, value_enum, default_value_t)]
    pub(crate) rewrite: Rewrite,

    /// Decide and report, but switch nothing by itself
    #[arg(long)]
    pub(crate) observe: bool,
}

/// `--cut`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum CutAt {
    #[default]
    Immediate,
    Keyframe,
}

/// `--silence`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum SilenceBy {
    #[default]
    Fixed,
    Learned,
}

/// `--failback`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum FailbackWhen {
    #[default]
    Auto,
    Never,
}

/// `--rewrite`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Rewrite {
    #[default]
    Auto,
    On,
    Off,
}

/// `--hold`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HoldOf {
    pub(crate) input: i32,
    pub(crate) hold: Hold,
}

fn amount(text: &str) -> Result<f64, String> {
    let amount: f64 = text.parse().map_err(|_| "it is not a number".to_owned())?;
    let is_one = amount.is_finite() && amount > 0.0;
    if is_one { Ok(amount) } else { Err("it has to be above 0".to_owned()) }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = amount(text.trim_end_matches('%'))?;
    if percent <= 100.0 { Ok(percent) } else { Err("it is more than 100 %".to_owned()) }
}

/// `2`, `2:60`, `2:60:keep`
pub(crate) fn parse_hold(text: &str) -> Result<HoldOf, String> {
    let mut parts = text.split(':').map(str::trim);
    let number = parts.next().and_then(|part| part.parse().ok());
    let input = number.ok_or_else(|| format!("write {HOLD}, as in 2:60:keep"))?;
    let mut hold = Hold::default();
    if let Some(part) = parts.next() {
        let seconds = amount(part).map_err(|why| format!("seconds '{part}': {why}"))?;
        if seconds > 86_400.0 {
            return Err("a hold lasts 86400 seconds (a day) at most".to_owned());
        }
        // At least one millisecond: 0 is the engine's word for its default.
        hold.ttl_ms = (seconds * 1e3).ceil() as i64;
    }
    hold.when_dead = match parts.next() {
        None | Some("release") => WhenDead::Release,
        Some("keep") => WhenDead::Keep,
        Some(other) => return Err(format!("'{other}' is neither release nor keep")),
    };
    match parts.next() {
        None => Ok(HoldOf { input, hold }),
        Some(more) => Err(format!("'{more}' is too much: write {HOLD}")),
    }
}

impl Policy {
    /// The engine's configuration with these policies.
    pub(crate) fn apply(&self, config: EngineConfig) -> EngineConfig {
        let cut = match self.cut {
            CutAt::Immediate => Cut::Immediate,
            CutAt::Keyframe => Cut::Keyframe { max_wait_ms: self.max_wait_ms() },
        };
        let failback = match self.failback {
            FailbackWhen::Auto => Failback::Automatic,
            FailbackWhen::Never => Failback::Never,
        };
        let silence = match self.silence {
            SilenceBy::Fixed => Silence::Fixed,
            SilenceBy::Learned => Silence::Learned { floor_ms: 0, ceiling_ms: 0, confidence: 0.0 },
        };
        let health = HealthConfig {
            bitrate: BitrateRule {
                min_kbps: self.min_kbps.unwrap_or(0.0),
                min_percent: self.min_percent.unwrap_or(0.0),
                ..BitrateRule::default()
            },
            fps: FpsRule { min: self.min_fps.unwrap_or(0.0), ..FpsRule::default() },
            loss: LossRule { max_percent: self.max_loss.unwrap_or(0.0), ..LossRule::default() },
            track_silence: TrackSilenceRule {
                video_ms: self.video_silence_ms.unwrap_or(0),
                ..TrackSilenceRule::default()
            },
            silence,
            ..HealthConfig::default()
        };
        let health = Some(Arc::new(health));
        EngineConfig { cut, failback, observe: Some(self.observe), health, ..config }
    }

    fn max_wait_ms(&self) -> i64 {
        self.cut_max_wait_ms.unwrap_or(DEFAULT_CUT_MAX_WAIT_MS)
    }

    /// Whether the output rewrites counters and times.
    pub(crate) fn rewrites(&self) -> bool {
        match self.rewrite {
            Rewrite::Auto => self.cut == CutAt::Keyframe,
            Rewrite::On => true,
            Rewrite::Off => false,
        }
    }

    /// How much each input keeps, and what a takeover begins with; `None`: no lookback. A cut that
    /// waits for a keyframe keeps what comes meanwhile, too.
    pub(crate) fn lookback(&self) -> Option<(Duration, Wish)> {
        let keyframe = self.cut == CutAt::Keyframe;
        let wait_ms = if keyframe { self.max_wait_ms() } else { 0 };
        let span = Duration::from_millis((self.lookback_ms + wait_ms).unsigned_abs());
        let reach = Duration::from_millis(self.lookback_ms.unsigned_abs());
        (self.lookback_ms > 0).then_some((span, Wish { frame: self.rewrites(), keyframe, reach }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_is_read_or_explained() {
        let of = |input, ttl_ms, when_dead| Ok(HoldOf { input, hold: Hold { ttl_ms, when_dead } });
        assert_eq!(parse_hold("2"), of(2, 0, WhenDead::Release));
        assert_eq!(parse_hold("2:0.0001"), of(2, 1, WhenDead::Release));
        assert_eq!(parse_hold("1:90:keep"), of(1, 90_000, WhenDead::Keep));
        assert_eq!(parse_hold("1:86400"), of(1, 86_400_000, WhenDead::Release));
        assert_eq!(parse_hold("1:90:release"), of(1, 90_000, WhenDead::Release));
        for wrong in ["", "x", "2:", "2:-1", "2:nan", "2:0", "2:5:stay", "2:5:keep:7", "2:86401"] {
            assert!(parse_hold(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn nothing_chosen_is_the_engine_as_it_was() {
        let config = Policy::default().apply(EngineConfig::default());
        let health = HealthConfig { silence: Silence::Fixed, ..HealthConfig::default() };
        let expected = EngineConfig {
            cut: Cut::Immediate,
            failback: Failback::Automatic,
            observe: Some(false),
            health: Some(Arc::new(health)),
            ..EngineConfig::default()
        };
        assert_eq!(config, expected);
        assert_eq!(Policy::default().lookback(), None);
        assert!(!Policy::default().rewrites());
    }

    #[test]
    fn a_keyframe_cut_rewrites_and_keeps_what_comes_while_it_waits() {
        let mut policy = Policy { cut: CutAt::Keyframe, lookback_ms: 400, ..Policy::default() };
        let reach = Duration::from_millis(400);
        let both = Wish { frame: true, keyframe: true, reach };
        assert_eq!(policy.lookback(), Some((Duration::from_millis(3400), both)));
        (policy.rewrite, policy.cut_max_wait_ms) = (Rewrite::Off, Some(100));
        let key = Wish { frame: false, keyframe: true, reach };
        assert_eq!(policy.lookback(), Some((Duration::from_millis(500), key)));
        policy.cut = CutAt::Immediate;
        assert_eq!(policy.lookback(), Some((reach, Wish { reach, ..Wish::default() })));
        policy.rewrite = Rewrite::On;
        assert!(policy.rewrites());
    }
}
