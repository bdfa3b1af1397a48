//! The command line: options, their help, and what is refused before anything is opened.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::Styles;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser};

use crate::policy::{CutAt, Policy};
use crate::relay::Settings;
use crate::url::{self, Endpoint};

const EXAMPLES: &str = "\
EXAMPLES
  Two encoders, the first preferred:
    relay --input udp://127.0.0.1:5001 --input udp://127.0.0.1:5002 --output udp://127.0.0.1:6000
  Two multicast groups and a looped slate, to a multicast group:
    relay -i udp://@239.1.1.1:5000 -i 'udp://@239.1.1.2:5000?localaddr=192.0.2.7' \\
          -i slate.ts --loop -o 'udp://239.1.1.9:6000?ttl=4'
  A channel that is judged by more than silence, and cut cleanly:
    relay -i udp://@:5001 -i udp://@:5002 -o udp://10.0.0.9:6000 --cut keyframe --lookback 500 \\
          --min-percent 60 --max-loss 2 --min-fps 20 --video-silence-ms 2000
  Into a player:
    relay -i udp://@:5001 -i udp://@:5002 -o - | ffplay -
  See it work, with feeds of its own, in ten seconds:
    relay --demo

ADDRESSES
  udp://HOST:PORT     MPEG-TS in UDP, any number of packets per datagram. As an input, HOST is an
                      address of this machine to listen on (udp://@:PORT: all of them), or a
                      multicast group to join, there with ?localaddr=IP to choose the interface.
                      RTP is recognised and taken off. An output may have ?ttl=N.
  PATH, file://PATH   As an input, played at the speed of its PCR. As the output, overwritten.
  -                   stdin as an input, passed on as it comes; stdout as the output.
  Media goes out as it came in, without RTP: continuity counters, PCR and time stamps leap at a
  switch. With --rewrite on (or --cut keyframe) they go on, and pictures are never cut in two.
  Pictures of an open group that refer to the old input are left out. Of H.264 use closed groups:
  an open one begins with no IDR, and decoders complain once per switch.

NO MEDIA LOST
  --lookback 500 keeps the last 500 ms of every UDP input. A backup then goes on where the dead
  input stopped: exactly, if both carry the same RTP numbers or the same datagrams, otherwise by
  PCR, otherwise by the time of arrival. It sends 4 times as fast until it is live again. Choose
  more than --timeout-ms and the time that the backup is ahead (64 MB an input are the most). With
  --cut keyframe a backup that is not exactly the same begins with the keyframe nearest to that
  place: up to half a group of pictures is missing, or comes twice and makes the output that much
  later. It waits for the next one only if none is kept.

WHILE IT RUNS
  In the live view press an input's number, a (automatic), h (hold what is on the air), r
  (release) or q (end). Without one, type as lines on stdin: a number, auto, hold N [SECONDS],
  release, or q. Ctrl-C and SIGTERM end it with a summary.

EXIT CODE
  0 ended as asked; 1 the output failed, or the demo did not see what it must; 2 a usage error,
  a busy port, or another end that cannot be opened.";

/// One output from the best of several live inputs: a changeover unit in software.
///
/// All inputs are received all the time. The output carries the first one that is alive; when it
/// falls silent for the timeout, the next one takes over, and the better one comes back when it
/// has been stable for a while.
#[derive(Debug, Parser)]
#[command(name = "relay", version, after_long_help = EXAMPLES, styles = Styles::plain())]
#[command(override_usage = "relay --input URL [--input URL ...] --output URL [OPTIONS]")]
#[command(after_help = "More with --help: addresses, examples, keys.")]
struct Args {
    /// An input; give several, the best one first
    #[arg(short, long = "input", value_name = "URL", allow_hyphen_values = true)]
    inputs: Vec<String>,

    /// The output
    #[arg(short, long, value_name = "URL", allow_hyphen_values = true)]
    output: Option<String>,

    /// Silence after which an input has failed
    #[arg(long, value_name = "MS", default_value_t = 200, value_parser = ms(1))]
    timeout_ms: i64,

    /// How long an input may take for its first packet
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = ms(1))]
    connect_timeout_ms: i64,

    /// Time without a gap that brings a better input back on the output; 0 = its first packet
    #[arg(long, value_name = "MS", default_value_t = 5000, value_parser = ms(0))]
    failback_stable_ms: i64,

    /// Shortest time between a switch and the next failback
    #[arg(long, value_name = "MS", default_value_t = 1, value_parser = ms(0))]
    failback_cooldown_ms: i64,

    /// Play input files again and again
    #[arg(long = "loop")]
    looped: bool,

    /// End after so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    duration: Option<Duration>,

    /// A status line in the log every so many seconds; 0 = none
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    status_every: Duration,

    /// Log lines on stderr instead of the live view
    #[arg(long)]
    plain: bool,

    /// Write down every packet and command, for `scripts/sim --replay FILE`
    #[arg(long, value_name = "FILE")]
    packet_log: Option<PathBuf>,

    /// Show a failover and a failback with feeds of its own on loopback, then end
    #[arg(long, exclusive = true)]
    demo: bool,

    #[command(flatten)]
    policy: Policy,
}

/// What the user wants.
#[derive(Debug)]
pub(crate) enum Job {
    Relay(Box<Run>),
    Demo,
}

/// A relay, and how to show it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) settings: Settings,
    pub(crate) duration: Option<Duration>,
    pub(crate) status_every: Duration,
    pub(crate) plain: bool,
}

pub(crate) fn ms(least: i64) -> clap::builder::RangedI64ValueParser<i64> {
    // A day: longer ones are slips of the hand.
    clap::value_parser!(i64).range(least..=86_400_000)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "it is not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|why| why.to_string())
}

/// Reads the command line. An error prints itself, and knows its exit code; so does a wish for
/// help.
pub(crate) fn parse() -> Result<Job, clap::Error> {
    let job = Args::try_parse()?.job();
    job.map_err(|why| Args::command().error(ErrorKind::ValueValidation, why))
}

impl Args {
    fn job(self) -> Result<Job, String> {
        if self.demo {
            return Ok(Job::Demo);
        }
        if self.inputs.is_empty() {
            return Err("no input: give at least one --input URL (or try --demo)".to_owned());
        }
        let Some(output) = self.output else {
            return Err("no output: give an --output URL".to_owned());
        };
        let inputs = self
            .inputs
            .iter()
            .map(|text| Endpoint::input(text).map_err(|why| format!("input '{text}': {why}")))
            .collect::<Result<Vec<_>, _>>()?;
        let output =
            Endpoint::output(&output).map_err(|why| format!("output '{output}': {why}"))?;
        url::check_together(&inputs, &output)?;
        if inputs.iter().any(Endpoint::is_pipe) && std::io::stdin().is_terminal() {
            return Err("input '-': stdin is a terminal; send media into it with a pipe".to_owned());
        }
        if output.is_pipe() && std::io::stdout().is_terminal() {
            return Err("output '-': stdout is a terminal; send it on with a pipe".to_owned());
        }
        if let Some(of) = &self.policy.hold
            && !(1..=inputs.len() as i32).contains(&of.input)
        {
            return Err(format!("--hold {}: the inputs are 1 to {}", of.input, inputs.len()));
        }
        if self.policy.cut_max_wait_ms.is_some() && self.policy.cut != CutAt::Keyframe {
            return Err(
                "--cut-max-wait-ms says how long --cut keyframe waits: give both".to_owned()
            );
        }
        let settings = Settings {
            inputs,
            output,
            looped: self.looped,
            timeout_ms: self.timeout_ms,
            connect_timeout_ms: self.connect_timeout_ms,
            failback_stable_ms: self.failback_stable_ms.max(1),
            failback_cooldown_ms: self.failback_cooldown_ms.max(1),
            policy: self.policy,
            packet_log: self.packet_log,
        };
        let Self { duration, status_every, plain, .. } = self;
        Ok(Job::Relay(Box::new(Run { settings, duration, status_every, plain })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::parse_hold;
    use changeover::{Cut, EngineConfig, Failback, Silence};

    fn job(line: &str) -> Result<Job, String> {
        Args::try_parse_from(line.split_whitespace()).map_err(|why| why.to_string())?.job()
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn defaults_and_zeros() {
        let line = "relay -i udp://127.0.0.1:1 -i udp://127.0.0.1:2 -o udp://127.0.0.1:3";
        let Ok(Job::Relay(run)) = job(line) else { panic!() };
        let Settings { timeout_ms, failback_stable_ms, failback_cooldown_ms, .. } = run.settings;
        assert_eq!((timeout_ms, failback_stable_ms, failback_cooldown_ms), (200, 5000, 1));
        assert_eq!(run.status_every, Duration::from_secs(10));
        let line = format!("{line} --failback-stable-ms 0 --duration 1.5 --status-every 0");
        let Ok(Job::Relay(run)) = job(&line) else { panic!() };
        assert_eq!(run.settings.failback_stable_ms, 1);
        assert_eq!(run.duration, Some(Duration::from_millis(1500)));
        assert!(run.status_every.is_zero());
    }

    #[test]
    fn policies_reach_the_settings() {
        let line = "relay -i udp://127.0.0.1:1 -i udp://127.0.0.1:2 -o udp://127.0.0.1:3 \
                    --cut keyframe --cut-max-wait-ms 900 --lookback 400 --min-kbps 250.5 \
                    --min-percent 60% --max-loss 2 --min-fps 20 --video-silence-ms 1500 \
                    --failback never --hold 2:60:keep --rewrite off --silence learned --observe";
        let Ok(Job::Relay(run)) = job(line) else { panic!() };
        let policy = run.settings.policy;
        let config = policy.apply(EngineConfig::default());
        assert_eq!(config.cut, Cut::Keyframe { max_wait_ms: 900 });
        assert_eq!((config.failback, config.observe), (Failback::Never, Some(true)));
        let health = config.health.unwrap();
        assert_eq!((health.bitrate.min_kbps, health.bitrate.min_percent), (250.5, 60.0));
        assert_eq!((health.loss.max_percent, health.fps.min), (2.0, 20.0));
        assert_eq!(health.track_silence.video_ms, 1500);
        let learned = Silence::Learned { floor_ms: 0, ceiling_ms: 0, confidence: 0.0 };
        assert_eq!(health.silence, learned);
        assert_eq!(policy.hold, Some(parse_hold("2:60:keep").unwrap()));
        assert_eq!(policy.lookback().unwrap().0, Duration::from_millis(1300));
        assert!(!policy.rewrites());
    }

    #[test]
    fn what_is_wrong_is_said() {
        assert!(job("relay").unwrap_err().contains("no input"));
        assert!(job("relay -i udp://127.0.0.1:1").unwrap_err().contains("no output"));
        let end = "-o udp://127.0.0.1:3";
        assert!(job(&format!("relay -i x://y {end}")).unwrap_err().contains("input 'x://y'"));
        let base = format!("relay -i udp://127.0.0.1:1 {end}");
        for wrong in ["--timeout-ms 0", "--timeout-ms -5", "--duration soon", "--duration -1"] {
            assert!(job(&format!("{base} {wrong}")).is_err(), "{wrong}");
        }
        for wrong in ["--hold 2", "--hold 1:x", "--cut now", "--max-loss 101", "--min-fps 0"] {
            assert!(job(&format!("{base} {wrong}")).is_err(), "{wrong}");
        }
        let alone = job(&format!("{base} --cut-max-wait-ms 900")).unwrap_err();
        assert!(alone.contains("--cut keyframe"), "{alone}");
        assert!(job(&format!("{base} --demo")).is_err(), "the demo has ends of its own");
        assert!(matches!(job("relay --demo"), Ok(Job::Demo)));
    }
}
