//! H1: an input that flaps gets the stream back later and later.

use changeover::{Condition, EngineConfig, SwitchReason};

use crate::lab::{Lab, STREAM, config, kbps, ms, s};

/// Both inputs up, stability 5 s.
fn lab() -> Lab {
    let mut lab = Lab::new(2, EngineConfig { failback_stable_ms: 5_000, ..config() });
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    lab.run(s(1));
    lab
}

/// The primary is up and down so often; answers after how long up each failback came.
fn flap(lab: &mut Lab, times: usize, up: u64, down: u64) -> Vec<u64> {
    let mut failbacks = Vec::new();
    for _ in 0..times {
        // The first packet comes after 10 ms.
        let (from, known) = (lab.now() + ms(10), lab.moves().len());
        lab.feed(0, [kbps(1000)]);
        lab.run(up);
        lab.silence(0);
        lab.run(down);
        let new = lab.moves().split_off(known);
        let backs = new.iter().filter(|made| made.to == 0);
        failbacks.extend(backs.map(|made| {
            assert_eq!(made.reason, SwitchReason::Failback);
            made.at - from
        }));
    }
    failbacks
}

/// The packet that completes the time decides, the next one, 10 ms later, makes the cut.
fn about(expected: u64, failback: u64) {
    assert!((s(expected)..=s(expected) + ms(10)).contains(&failback), "{failback} ns");
}

#[test]
fn h1_a_flapping_primary_is_damped() {
    let mut lab = lab();
    assert_eq!(lab.active(), Some(0));
    lab.silence(0);
    lab.run(s(2));
    assert_eq!(lab.only_move().reason, SwitchReason::Timeout);

    // Up 4 s, down 2 s, for ten minutes: 5 s are never reached.
    assert!(flap(&mut lab, 100, s(4), s(2)).is_empty());
    assert_eq!(lab.active(), Some(1));

    // Up 20 s, down 2 s.
    let failbacks = flap(&mut lab, 10, s(20), s(2));
    assert_eq!(failbacks.len(), 2, "{failbacks:?}");
    about(5, failbacks[0]);
    about(10, failbacks[1]);
    assert_eq!(lab.input(0).required_stable_ms, 20_000);

    // Up for good.
    let failbacks = flap(&mut lab, 1, s(75), 0);
    assert_eq!(failbacks.len(), 1, "{failbacks:?}");
    about(20, failbacks[0]);
    assert_eq!(lab.input(0).required_stable_ms, 20_000, "55 s on it");
    lab.feed(0, [kbps(1000)]);
    lab.run(s(10));
    assert_eq!(lab.input(0).required_stable_ms, 5_000, "65 s on it");
    lab.silence(0);
    lab.run(s(2));
    let failbacks = flap(&mut lab, 1, s(8), 0);
    assert_eq!(failbacks.len(), 1, "{failbacks:?}");
    about(5, failbacks[0]);
}

#[test]
fn damping_ends_at_five_minutes() {
    let mut lab = lab();
    lab.silence(0);
    lab.run(s(2));
    let mut required = Vec::new();
    for _ in 0..9 {
        let wait = lab.input(0).required_stable_ms;
        required.push(wait / 1000);
        assert_eq!(flap(&mut lab, 1, ms(wait) + s(1), s(2)).len(), 1);
    }
    assert_eq!(required, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
}

/// The status says what a flapping input waits for.
#[test]
fn a_damped_failback_is_a_refusal_with_its_numbers() {
    let mut lab = lab();
    lab.silence(0);
    lab.run(s(2));
    flap(&mut lab, 1, s(6), s(2));
    let known = lab.refusals().len();
    lab.feed(0, [kbps(1000)]);
    lab.run(s(6));
    let new = lab.refusals().split_off(known);
    assert_eq!(new.len(), 1, "{new:?}");
    assert_eq!((new[0].1, new[0].2), (Some(0), "failback_stable"));
    let status = lab.status();
    let refused = status.decisions.iter().find(|entry| entry.what == "refused").expect("is there");
    assert_eq!(refused.rule.as_deref(), Some("failback_stable"));
    assert_eq!(refused.remaining_ms, Some(4_010), "10 s from its first packet on");
}

/// A picture that comes and goes is no better than packets that do.
#[test]
fn a_flapping_condition_is_damped_too() {
    let mut lab = lab();
    let black = || Condition::new("black").hold_ms(500).clear_ms(1_000);
    let mut failbacks = Vec::new();
    for _ in 0..3 {
        lab.engine.raise_condition(STREAM, 0, black()).expect("is valid");
        lab.run(s(2));
        assert_eq!(lab.active(), Some(1));
        lab.engine.clear_condition(STREAM, 0, "black").expect("is raised");
        let (from, known) = (lab.now(), lab.moves().len());
        lab.run(s(25));
        let back = &lab.moves()[known];
        assert_eq!((back.to, back.reason), (0, SwitchReason::Failback));
        failbacks.push((back.at - from) / s(1));
    }
    assert_eq!(failbacks, [6, 11, 21], "the clear time, and 5, 10, 20 s");
}
