//! What is told: history entries with their times, decisions, and who is told of them.

use changeover::{Condition, EngineConfig, EventKind, SwitchReason};

use crate::lab::{Lab, STREAM, config, kbps, ms, s};

#[test]
fn a_failover_is_told_from_decision_to_first_packet() {
    let mut lab = Lab::new(2, config());
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000).first(ms(3))]);
    lab.run_to(s(10));
    lab.silence(0);
    lab.run_to(s(12));
    let status = lab.status();
    let entry = &status.switches[0];
    assert_eq!((entry.from, entry.to, entry.reason), (Some(0), 1, SwitchReason::Timeout));
    assert_eq!(entry.aligned, None);
    let (decided, first) = (entry.decided_at.unwrap(), entry.first_packet_at.unwrap());
    // From the last packet of the old one (10 s) to the first of the new one.
    let cut = lab.cuts[1];
    assert_eq!((cut.input, cut.at), (1, s(10) + ms(503)), "the packet after the deadline");
    assert_eq!(entry.stall_us, Some(503_000));
    assert_eq!(first.duration_since(decided).unwrap().as_millis(), 3);
    let told = lab.all(|kind| match kind {
        EventKind::SwitchDecided { .. } => Some("decided"),
        EventKind::InputFailover { .. } => Some("failover"),
        EventKind::FirstPacket { .. } => Some("first packet"),
        EventKind::InputDegraded { .. } => Some("degraded"),
        _ => None,
    });
    let told: Vec<_> = told.into_iter().filter(|(at, _)| *at >= s(10)).collect();
    let decision = s(10) + ms(500);
    assert_eq!(
        told,
        [
            (decision, "degraded"),
            (decision, "decided"),
            (decision, "failover"),
            (cut.at, "first packet"),
        ]
    );
    // The ledger has the same, newest first.
    let what: Vec<_> = status.decisions.iter().map(|entry| entry.what.as_str()).collect();
    assert_eq!(what[..2], ["effective", "decided"]);
    assert_eq!((status.decisions[0].from, status.decisions[0].to), (Some(0), Some(1)));
}

#[test]
fn the_ledger_keeps_as_much_as_the_history() {
    let mut lab = Lab::new(2, EngineConfig { switch_history: 3, ..config() });
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    for turn in 0..10 {
        lab.run(s(1));
        lab.engine.switch_input(STREAM, turn % 2).expect("is eligible");
    }
    lab.run(s(1));
    let status = lab.status();
    assert_eq!((status.switches.len(), status.decisions.len()), (3, 3));
}

#[test]
fn a_refusal_is_told_once_and_again_when_its_rule_changes() {
    let mut lab = Lab::new(2, EngineConfig { failback_cooldown_ms: 20_000, ..config() });
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(10));
    lab.silence(0);
    lab.run_to(s(12));
    lab.feed(0, [kbps(1000)]);
    lab.run_to(s(40));
    let refusals = lab.refusals();
    let mut rules: Vec<_> = refusals.iter().map(|refusal| refusal.2).collect();
    let told = rules.len();
    rules.sort_unstable();
    rules.dedup();
    assert_eq!(rules.len(), told, "each rule once: {refusals:#?}");
    assert_eq!(lab.active(), Some(0));
    let made = &lab.moves()[1];
    assert!((ms(30_500)..=ms(30_520)).contains(&made.at), "{made:?}");
}

#[test]
fn conditions_are_checked() {
    let lab = Lab::new(2, config());
    for name in ["", &"x".repeat(65), "a\nb"] {
        assert!(lab.engine.raise_condition(STREAM, 0, Condition::new(name)).is_err(), "{name:?}");
    }
    let negative = Condition::new("black").hold_ms(-1);
    assert!(lab.engine.raise_condition(STREAM, 0, negative).is_err());
    assert!(lab.engine.raise_condition(STREAM, 7, Condition::new("black")).is_err());
    assert!(lab.engine.raise_condition("nobody", 0, Condition::new("black")).is_err());
    for n in 0..changeover::MAX_CONDITIONS {
        lab.engine.raise_condition(STREAM, 0, Condition::new(format!("c{n}"))).expect("fits");
    }
    assert!(lab.engine.raise_condition(STREAM, 0, Condition::new("one more")).is_err());
    lab.engine.raise_condition(STREAM, 0, Condition::new("c3")).expect("is known already");
    assert_eq!(lab.input(0).conditions.len(), changeover::MAX_CONDITIONS);
    assert_eq!(lab.input(1).conditions.len(), 0);
}
