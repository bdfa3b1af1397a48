//! Engines that are driven by hand: their clock, and the driver calls that wait on them.

use std::time::Duration;

use super::boundary::{guard, guard_or};
use super::changeover_engine;
use super::codes::Refusal;
use super::driver::CDriver;
use super::tenant::{self, Tenant};
use crate::hand::HandEngine;
use crate::hostcall;
use crate::sync::Arc;

/// Moves the clock of an engine that is driven by hand forward, and fires every deadline on the
/// way at its exact time. 0 is a wake-up of the monitor and nothing else.
/// CHANGEOVER_UNSUPPORTED: it is not driven by hand.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_hand_advance(engine: changeover_engine, by_ns: u64) -> i32 {
    guard(|| {
        hand(&*tenant::engine(engine.raw)?)?.0.advance(Duration::from_nanos(by_ns));
        Ok(())
    })
}

/// Lets time pass unseen by an engine that is driven by hand: as when its monitor is starved of
/// the processor. The next wake-up is a late one.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_hand_stall(engine: changeover_engine, by_ns: u64) -> i32 {
    guard(|| {
        hand(&*tenant::engine(engine.raw)?)?.0.stall(Duration::from_nanos(by_ns));
        Ok(())
    })
}

/// Carries out the driver calls that wait on an engine that is driven by hand, on this thread,
/// and those that come of it; answers how many (at most 10,000 at a time).
#[unsafe(no_mangle)]
pub extern "C" fn changeover_hand_run_calls(engine: changeover_engine) -> i32 {
    guard_or(|| {
        let tenant = tenant::engine(engine.raw)?;
        hand(&tenant)?;
        Ok(run_calls(&tenant))
    })
}

/// What waits on an engine that is driven by hand; nothing on another one.
pub(super) fn run_calls(tenant: &Tenant) -> i32 {
    let Some((hand, driver)) = &tenant.hand else { return 0 };
    let mut calls = 0;
    while calls < 10_000
        && let Some(call) = hand.next_call()
    {
        let _ = hostcall::run(|| driver.carry_out(&call));
        calls += 1;
        // The calls that an answer leads to are queued by then.
        hand.advance(Duration::ZERO);
    }
    calls
}

fn hand(tenant: &Tenant) -> Result<&(HandEngine, Arc<CDriver>), Refusal> {
    tenant.hand.as_ref().ok_or(Refusal::Unsupported("the engine is not driven by hand"))
}
