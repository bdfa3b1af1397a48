//! The scenario harness: one description of each scenario, played on the hand-driven clock with
//! exact assertions and on the real clock with every time scaled 1:50.

// Each test crate that includes the harness uses its own part of it.
#![allow(dead_code)]

pub(crate) mod activation;
pub(crate) mod book;
pub(crate) mod gate;
pub(crate) mod hand;
pub(crate) mod real;
pub(crate) mod render;
pub(crate) mod rules;
pub(crate) mod script;
pub(crate) mod stage;
pub(crate) mod world;

pub(crate) use script::{Feed, Probe, ms, s};
pub(crate) use world::World;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Which clock a scenario is played on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `HandEngine`: scenario time is engine time, and every assertion is exact.
    Hand,
    /// The real clock: engine time is scenario time divided by [`REAL_SCALE`]; order and "never
    /// early" are exact, lateness is bounded by [`REAL_LATE_NS`].
    Real,
}

/// Scenario time per engine time on the real clock.
pub(crate) const REAL_SCALE: u64 = 50;
/// How late something may be on the real clock: 500 ms, in scenario time.
pub(crate) const REAL_LATE_NS: u64 = 500_000_000 * REAL_SCALE;
/// A source or the test itself this late (engine time) is starved: the scenario's premise, that
/// a good source delivers without gaps, does not hold then.
pub(crate) const STARVED_NS: u64 = 40_000_000;

/// What a scenario is played in.
#[derive(Clone, Debug)]
pub(crate) struct Ctx {
    pub(crate) form: Form,
    /// Set when the machine did not let a scripted source run in time.
    pub(crate) starved: Arc<AtomicBool>,
}

/// Plays one scenario. On the real clock a failed run is repeated, at most three times, but only
/// if the machine starved the scripted sources meanwhile: then the run says nothing of the engine.
pub(crate) fn play(form: Form, scenario: fn(&Ctx)) {
    for attempt in 1.. {
        let ctx = Ctx { form, starved: Arc::new(AtomicBool::new(false)) };
        let Err(panic) = catch_unwind(AssertUnwindSafe(|| scenario(&ctx))) else { return };
        if attempt > 3 || !ctx.starved.load(Ordering::Relaxed) {
            resume_unwind(panic);
        }
        eprintln!("run {attempt}: the machine starved the sources, playing again");
    }
}
