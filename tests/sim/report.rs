//! What a run says: its figures, or the seed and the shortest log of its failure.

use std::time::Duration;

use crate::replay;
use crate::rig::Violation;
use crate::run::{Plan, resident_mib, run_caught};

/// So many seconds a failure's log is shortened.
const PATIENCE_S: u64 = 60;

/// Runs plan after plan; panics at the first failure.
pub(crate) fn run_all(plans: impl Iterator<Item = Plan>) {
    let mut hours = 0.0;
    for plan in plans {
        println!(
            "seed {} {:?}: {} streams, {:.0} stream-hours",
            plan.seed,
            plan.mix,
            plan.streams,
            plan.hours()
        );
        let mut outcome = match run_caught(Plan { told: true, ..plan }) {
            Ok(outcome) => outcome,
            Err(violation) => fail(plan, &violation),
        };
        if let Some(violation) = outcome.rig.violation.take() {
            fail(plan, &violation);
        }
        let took = outcome.took.as_secs_f64();
        for (what, count) in &outcome.rig.counts.0 {
            println!("  {count:>10}  {what}");
        }
        println!("  {:>10}  packets", outcome.rig.packets);
        println!("  {:>10}  events", outcome.rig.last_event);
        println!(
            "seed {}: ok, {:.0} stream-hours in {took:.1} s ({:.0} a second), resident {:.1} MiB, \
             sum {:016x}",
            plan.seed,
            plan.hours(),
            plan.hours() / took.max(1e-9),
            resident_mib(),
            outcome.rig.sum
        );
        hours += plan.hours();
    }
    assert!(hours > 0.0, "nothing was simulated");
    println!("all well: {hours:.0} stream-hours");
}

fn fail(plan: Plan, found: &Violation) -> ! {
    let Violation { stream, at, check, text } = found;
    println!("FAILED: {check}: s{stream} at {at} ns: {text}");
    println!(
        "SEED={} HOURS={} STREAMS={} MIX={:?} brings it again",
        plan.seed,
        plan.hours(),
        plan.streams,
        plan.mix
    );
    let patience = crate::from_environment("SIM_PATIENCE", PATIENCE_S);
    let (log, alone) = replay::explain(plan, found, Duration::from_secs(patience));
    let body = replay::render(&log);
    let folder =
        std::env::var("SIM_OUT").unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").to_owned());
    let path = format!("{folder}/sim-seed{}-s{stream}.log", plan.seed);
    let head = format!("# seed {}, {check}: {text}\n", plan.seed);
    std::fs::write(&path, format!("{head}{body}")).expect("the log can be written");
    if alone {
        println!("the shortest log that shows it has {} lines: {path}", log.len());
        let rig = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| replay::replay(&log)));
        println!("{body}");
        for line in rig.iter().flat_map(|rig| &rig.told) {
            println!("    {line}");
        }
    } else {
        println!("alone it does not happen; the stream's whole log: {path}");
    }
    println!("replay it: scripts/sim --replay {path}");
    panic!("{check}: {text} (SEED={})", plan.seed);
}

/// Carries a log out, and tells what came of it.
pub(crate) fn replay_file(path: &str) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{path}: {why}"));
    let log = replay::parse(&text).unwrap_or_else(|why| panic!("{path}: {why}"));
    let rig = replay::replay(&log);
    for line in &rig.told {
        println!("{line}");
    }
    println!("{} lines, {} packets, sum {:016x}", log.len(), rig.packets, rig.sum);
    if let Some(Violation { at, check, text, .. }) = &rig.violation {
        panic!("{check}: at {at} ns: {text}");
    }
    compare_failovers(&replay::remarked(&text), &rig.failovers);
    println!("replayed: every check holds");
}

/// A relay's log says what its engine did: here it does the same, and never later. (The relay's
/// engine has a real clock, and threads that may wake late; it is never early.)
pub(crate) fn compare_failovers(real: &[replay::Failover], here: &[replay::Failover]) {
    if real.is_empty() {
        return;
    }
    for ((real_at, real), (here_at, here)) in real.iter().zip(here) {
        assert_eq!(real, here, "the relay's engine did {real} at {real_at} ns");
        let late_ms = (*real_at as f64 - *here_at as f64) / 1e6;
        println!("{real}: at {here_at} ns; {late_ms:.3} ms later in the relay");
        assert!(late_ms > -1.0, "{real} was {late_ms:.3} ms early in the relay");
    }
    assert_eq!(real.len(), here.len(), "failovers of the relay, and here");
}
