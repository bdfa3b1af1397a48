//! The machine against an oracle (behaviour.md, once more and naively: `oracle/model`): random
//! schedules are done to both, and after every step all that they say is compared: driver calls,
//! events, callbacks, verdicts, the outcomes of orders, the whole status. Beside that, invariants
//! that need no oracle (`oracle/invariants.rs`), and liveness (`oracle/healing.rs`).
//!
//! Deterministic: a seed is a schedule. `SEED` (the first, default 1), `COUNT` (how many) and
//! `STEPS` (ops of the longest) in the environment make it another or a longer run, as in
//! `SEED=1000 COUNT=20000 cargo test --release --test oracle`. A failure names its seed, and the
//! schedule shrunk to what it takes (`SHRINKS`: in so many tries); `COUNT=1` with that seed brings
//! it again. `COVERAGE=1` shows how often the run has reached what; with `ALONE=1` the invariants
//! judge alone.

#[path = "oracle/apply.rs"]
mod apply;
#[path = "oracle/coverage.rs"]
mod coverage;
#[path = "oracle/healing.rs"]
mod healing;
#[path = "oracle/invariants.rs"]
mod invariants;
#[path = "oracle/model/mod.rs"]
mod model;
#[path = "oracle/neighbour.rs"]
mod neighbour;
#[path = "oracle/ops.rs"]
mod ops;
#[path = "oracle/view.rs"]
mod view;
#[path = "oracle/world.rs"]
mod world;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use coverage::Coverage;
use ops::{Op, PolicySpec, StreamSpec};
use world::World;

/// Schedules of the default run, and ops of the longest.
const COUNT: u64 = 400;
const STEPS: u64 = 80;
/// Runs of ever smaller schedules, once one has failed.
const SHRINKS: u64 = 20_000;

#[derive(Clone, Debug)]
struct Schedule {
    policy: PolicySpec,
    stream: StreamSpec,
    ops: Vec<Op>,
    heal: bool,
}

fn schedule(steps: usize) -> impl Strategy<Value = Schedule> {
    let ops = vec(ops::op(), 1..=steps);
    (ops::policy(), ops::stream(), ops, prop::bool::weighted(0.25))
        .prop_map(|(policy, stream, ops, heal)| Schedule { policy, stream, ops, heal })
}

/// Plays one schedule; answers what it reached, or what went wrong and how it came to that.
fn play(schedule: &Schedule) -> Result<Coverage, String> {
    let mut world = World::new(&schedule.policy, &schedule.stream)?;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        schedule.ops.iter().try_for_each(|op| world.apply(op))?;
        if schedule.heal { world.heal() } else { Ok(()) }
    }));
    match outcome {
        Ok(Ok(())) => Ok(std::mem::take(&mut world.coverage)),
        Ok(Err(why)) => Err(format!("{}\n{why}", world.story())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
            Err(format!("{}\npanic: {}", world.story(), text.unwrap_or_default()))
        }
    }
}

fn from_environment(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not '{text}'"))
}

#[test]
fn the_engine_does_what_the_oracle_says() {
    let first = from_environment("SEED", 1);
    let count = from_environment("COUNT", COUNT);
    let steps = from_environment("STEPS", STEPS) as usize;
    let all = RefCell::new(Coverage::default());
    // Panics are told by the failure that they make of a schedule.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let failed = (first..first + count).find_map(|seed| run_seed(seed, steps, &all).err());
    std::panic::set_hook(hook);
    if let Some(why) = failed {
        panic!("{why}");
    }
    let all = all.into_inner();
    if std::env::var("COVERAGE").is_ok() {
        println!("{all:#?}");
    }
    println!("SEED={first} COUNT={count} STEPS={steps}: the engine and the oracle agree");
    if count >= COUNT {
        let missing = all.missing();
        assert!(missing.is_empty(), "the schedules never reached {missing:?}");
    }
}

fn run_seed(seed: u64, steps: usize, all: &RefCell<Coverage>) -> Result<(), String> {
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: from_environment("SHRINKS", SHRINKS) as u32,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let outcome = runner.run(&schedule(steps), |schedule| {
        let reached = play(&schedule).map_err(TestCaseError::fail)?;
        all.borrow_mut().add(reached);
        Ok(())
    });
    match outcome {
        Ok(()) => Ok(()),
        Err(TestError::Fail(why, schedule)) => Err(format!(
            "SEED={seed} COUNT=1 STEPS={steps} brings it again; the schedule as shrunk:\n\
             {schedule:#?}\n{why}"
        )),
        Err(TestError::Abort(why)) => Err(format!("SEED={seed}: {why}")),
    }
}
