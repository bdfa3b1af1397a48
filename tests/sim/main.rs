//! The simulator: the whole engine on a virtual clock, thousands of streams, sources that fail in
//! every way, a hostile driver and a busy operator; and checks of what the behaviour contract
//! promises. A seed is a run.
//!
//! `scripts/sim` runs it for long; what it needs stands in the environment: `SIM_SEED`, `SIM_HOURS`
//! (of all streams together), `SIM_STREAMS`, `SIM_MIX` (`dense` or `long`), `SIM_RUNS` (so many
//! seeds from the first), `SIM_REPLAY` (a log), `SIM_OUT` (where a failure's log goes),
//! `SIM_PATIENCE` (so many seconds it is shortened). Without
//! them it is a short run. A failure names its seed and the shortest log that shows it.

mod actors;
mod callbacks;
mod command;
mod faults;
mod hands;
mod judge;
mod liveness;
mod operator;
mod profile;
mod relay_run;
mod replay;
mod report;
mod rig;
mod rng;
mod run;
mod schedule;
mod shadow;
mod verdicts;

use profile::Mix;
use run::Plan;

fn from_environment<T: std::str::FromStr>(name: &str, default: T) -> T {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is not to be '{text}'"))
}

/// The run that the environment asks for, or a short one.
#[test]
fn simulation() {
    if let Ok(path) = std::env::var("SIM_REPLAY") {
        return report::replay_file(&path);
    }
    let mix: String = from_environment("SIM_MIX", "dense".to_owned());
    let mix = if mix == "long" { Mix::Long } else { Mix::Dense };
    let seed = from_environment("SIM_SEED", 1);
    let hours = from_environment("SIM_HOURS", 20.0);
    let streams = from_environment("SIM_STREAMS", 40);
    let runs: u64 = from_environment("SIM_RUNS", 1);
    report::run_all((0..runs).map(|n| Plan::new(seed + n, hours, streams, mix)));
}

#[test]
fn the_same_seed_is_the_same_run() {
    let plan = |seed| Plan::new(seed, 3.0, 12, Mix::Dense);
    let sum = |plan| run::run_caught(plan).expect("does not panic").rig.sum;
    assert_eq!(sum(plan(7)), sum(plan(7)));
    assert_ne!(sum(plan(7)), sum(plan(8)));
}

/// What is written down of one stream, replayed alone, is the same story.
#[test]
fn a_log_tells_the_same_story_alone() {
    for recorded in [Some(1), Some(4), Some(6)] {
        let plan = Plan { recorded, ..Plan::new(3, 20.0, 10, Mix::Dense) };
        let rig = run::run_caught(plan).expect("does not panic").rig;
        assert_eq!(rig.violation, None);
        let log = replay::parse(&replay::lines_of(&rig.log)).expect("what is written can be read");
        let alone = replay::replay(&log);
        assert_eq!(alone.violation, None);
        let differs = alone.told.iter().zip(&rig.told).position(|(a, b)| a != b);
        let context = differs.map(|at| (&alone.told[at], &rig.told[at]));
        assert!(differs.is_none() && alone.told.len() == rig.told.len(), "{differs:?} {context:?}");
        assert!(alone.told.len() > 20, "something happens");
    }
}
