//! The soak: a relay between real FFmpeg feeders that are killed, stopped and ended every few
//! seconds, and one FFmpeg behind it that has to decode on. `scripts/soak` runs it:
//!
//! ```text
//! soak run --seconds 60 --relay target/release/examples/relay --out target/soak [--seed N]
//! ```
//!
//! Without `run`, as under `cargo test`, it checks only its own judging, on records made up.

mod children;
mod feeds;
mod judge;
mod killer;
mod record;
mod relay;
mod report;
mod samples;
mod tap;
mod usage;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use children::Downstream;
use feeds::Feeds;
use killer::Killer;
use record::{Record, now_us};
use relay::Relay;
use tap::Tap;
use usage::Sampler;

/// What a run is asked for.
struct Plan {
    seconds: u64,
    seed: u64,
    relay: PathBuf,
    out: PathBuf,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().map(String::as_str) != Some("run") {
        return samples::check();
    }
    let plan = match plan(&args[1..]) {
        Ok(plan) => plan,
        Err(why) => {
            eprintln!("soak: {why}");
            return ExitCode::from(2);
        }
    };
    let record = run(&plan);
    let verdict = judge::judge(&record);
    let text = report::text(&record, &verdict, plan.seed);
    report::keep(&plan.out, &record, &text);
    print!("{text}");
    if verdict.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn plan(args: &[String]) -> Result<Plan, String> {
    let (mut seconds, mut seed, mut relay, mut out) = (60, 1, None, None);
    let mut args = args.iter();
    while let Some(option) = args.next() {
        let value = args.next().ok_or_else(|| format!("{option} needs a value"))?;
        let number = || value.parse().map_err(|_| format!("{option}: '{value}' is no number"));
        match option.as_str() {
            "--seconds" => seconds = number()?,
            "--seed" => seed = number()?,
            "--relay" => relay = Some(PathBuf::from(value)),
            "--out" => out = Some(PathBuf::from(value)),
            _ => return Err(format!("unknown option '{option}'")),
        }
    }
    if seconds < 20 {
        return Err("--seconds: fewer than 20 show nothing".to_owned());
    }
    let relay = relay.ok_or("--relay is missing")?;
    Ok(Plan { seconds, seed, relay, out: out.ok_or("--out is missing")? })
}

/// One run, from the first feeder's start to the relay's summary.
fn run(plan: &Plan) -> Record {
    std::fs::create_dir_all(&plan.out).expect("the directory for what is recorded");
    // Feeders before the relay, so that none counts as absent; the taps take what they send.
    let (taps, relay_ports) = taps();
    let mut feeds = Feeds::start(taps.iter().map(|tap| tap.port), &plan.out);
    for (n, tap) in taps.iter().enumerate() {
        wait_for(&format!("feeder {} to send", n + 1), || tap.datagrams() > 10);
    }
    let downstream_port = tap::free_port();
    let output = Tap::start(downstream_port);
    let mut downstream = Downstream::start(downstream_port, &plan.out);
    let mut relay = Relay::start(&plan.relay, &relay_ports, output.port, &plan.out);
    wait_for("the decoder to show pictures", || downstream.progress().frames > 25);

    let (began, media_before_us) = (now_us(), downstream.progress().media_us);
    let mut sampler = Sampler::new(relay.id());
    let mut killer = Killer::new(plan.seed);
    let until = Instant::now() + Duration::from_secs(plan.seconds);
    while Instant::now() < until && relay.is_running() && downstream.is_running() {
        killer.turn(&mut feeds, &taps, &relay);
        sampler.turn();
        std::thread::sleep(Duration::from_millis(20));
    }
    // What was done last is decided, and shows at the output.
    killer.settle(&mut feeds, Duration::from_secs(3));

    let ended = now_us();
    let (alive, decoding) = (relay.is_running(), downstream.is_running());
    let progress = downstream.progress();
    let summary = relay.end();
    let complaints = downstream.end();
    drop(feeds);
    Record {
        began,
        ended,
        silences: taps.iter().map(|tap| tap.end(ended)).collect(),
        output: output.end(ended),
        kills: killer.kills,
        lines: relay.lines(),
        samples: sampler.samples,
        ticks_per_s: sampler.ticks_per_s,
        relay_alive: alive,
        downstream_alive: decoding,
        complaints,
        media_before_us,
        media_us: progress.media_us,
        frames: progress.frames,
        summary,
    }
}

/// A tap before each input of the relay, and the inputs' ports.
fn taps() -> (Vec<Tap>, Vec<u16>) {
    let ports: Vec<u16> = (0..record::INPUTS).map(|_| tap::free_port()).collect();
    (ports.iter().map(|&port| Tap::start(port)).collect(), ports)
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A file of the run.
fn file(dir: &Path, name: &str) -> std::fs::File {
    let path = dir.join(name);
    std::fs::File::create(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}
