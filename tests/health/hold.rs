//! H6: the operator's hold.

use changeover::{Error, EventKind, Hold, InputStatus, StreamStatus, SwitchReason, WhenDead};

use crate::lab::{Lab, STREAM, config, kbps, ms, s};

/// Both inputs up; the hold to the backup is set at 10 s.
fn held(when_dead: WhenDead) -> Lab {
    let mut lab = Lab::new(2, config());
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(10));
    let hold = Hold { ttl_ms: 60_000, when_dead };
    lab.engine.hold_input(STREAM, 1, hold).expect("is eligible");
    lab
}

fn released(lab: &mut Lab) -> Vec<(u64, (i32, &'static str))> {
    lab.all(|kind| match kind {
        EventKind::HoldReleased { input_priority, why } => Some((*input_priority, *why)),
        _ => None,
    })
}

#[test]
fn h6_a_hold_lasts_for_its_life() {
    let mut lab = held(WhenDead::Release);
    lab.run_to(s(70) - ms(1));
    assert_eq!(lab.reasons(), [(1, SwitchReason::Manual)]);
    let status = lab.status();
    let hold = status.hold.expect("is held");
    assert_eq!((hold.priority, hold.dead, status.active_input_priority), (1, false, Some(1)));
    // What the primary would like is on record, with the rule that stands against it.
    let refused = status.decisions.iter().find(|entry| entry.what == "refused").expect("is there");
    assert_eq!((refused.rule.as_deref(), refused.to), (Some("held"), Some(0)));
    assert!(refused.remaining_ms.is_some_and(|left| left > 0 && left <= 60_000), "{refused:?}");
    lab.run_to(s(80));
    let moves = lab.moves();
    assert_eq!((moves.len(), moves[1].to), (2, 0));
    assert_eq!(moves[1].reason, SwitchReason::HoldReleased);
    assert!((s(70)..=s(70) + ms(10)).contains(&moves[1].at), "{}", moves[1].at);
    assert_eq!(released(&mut lab), [(s(70), (1, "expired"))]);
    assert_eq!(lab.status().hold, None);
}

#[test]
fn h6_a_held_input_that_dies_releases_the_hold() {
    let mut lab = held(WhenDead::Release);
    lab.run_to(s(30));
    lab.silence(1);
    lab.run_to(s(30) + ms(499));
    assert_eq!(lab.active(), Some(1));
    lab.run_to(s(40));
    let moves = lab.moves();
    assert_eq!((moves.len(), moves[1].to), (2, 0));
    assert!((ms(30_500)..=ms(30_510)).contains(&moves[1].at), "{}", moves[1].at);
    assert_eq!(released(&mut lab), [(ms(30_500), (1, "dead"))]);
    assert_eq!(lab.status().hold, None);
}

#[test]
fn h6_a_hold_that_is_kept_stays_with_the_dead() {
    let mut lab = held(WhenDead::Keep);
    lab.run_to(s(30));
    lab.silence(1);
    lab.run_to(s(70) - ms(1));
    assert_eq!(lab.reasons(), [(1, SwitchReason::Manual)]);
    let status = lab.status();
    let hold = status.hold.clone().expect("is held");
    assert_eq!((hold.priority, hold.dead, status.active_input_priority), (1, true, Some(1)));
    assert_eq!((status.exhausted, lab.input(1).status), (false, InputStatus::Degraded));
    assert_ne!(status.status, StreamStatus::Degraded);
    // It ends like any other.
    lab.run_to(s(80));
    let moves = lab.moves();
    assert_eq!((moves.len(), moves[1].to), (2, 0));
    assert!((s(70)..=s(70) + ms(10)).contains(&moves[1].at), "{}", moves[1].at);
}

#[test]
fn a_kept_hold_goes_on_when_the_dead_comes_back() {
    let mut lab = held(WhenDead::Keep);
    lab.run_to(s(30));
    lab.silence(1);
    lab.run_to(s(40));
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(50));
    let hold = lab.status().hold.expect("is held");
    assert_eq!((lab.active(), hold.dead), (Some(1), false));
    assert_eq!(lab.input(1).status, InputStatus::Active);
    assert_eq!(lab.last_forwarded[1], s(50), "its packets go out");
    assert_eq!(lab.reasons(), [(1, SwitchReason::Manual)]);
}

#[test]
fn the_operator_ends_a_hold() {
    let mut lab = held(WhenDead::Release);
    lab.run_to(s(20));
    lab.engine.release_hold(STREAM).expect("is registered");
    lab.run_to(s(30));
    let moves = lab.moves();
    assert_eq!((moves.len(), moves[1].to), (2, 0));
    assert!((s(20)..=s(20) + ms(10)).contains(&moves[1].at), "{}", moves[1].at);
    assert_eq!(moves[1].reason, SwitchReason::HoldReleased);
    assert_eq!(released(&mut lab), [(s(20), (1, "operator"))]);
}

#[test]
fn a_hold_to_what_is_active_moves_nothing() {
    let mut lab = Lab::new(2, config());
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(10));
    lab.engine.hold_input(STREAM, 0, Hold::default()).expect("is eligible");
    lab.run_to(s(20));
    assert_eq!((lab.moves(), lab.cuts.len()), (vec![], 1));
    let hold = lab.status().hold.expect("is held");
    let left = hold.expires_at.duration_since(lab.status().inputs[0].last_packet_at.unwrap());
    assert_eq!((hold.priority, left.unwrap().as_secs()), (0, 590), "ten minutes by default");
}

#[test]
fn override_and_hold_take_each_others_place() {
    let mut lab = held(WhenDead::Release);
    lab.run_to(s(20));
    lab.engine.switch_input(STREAM, 0).expect("is eligible");
    lab.run_to(s(21));
    let status = lab.status();
    assert_eq!((status.hold, status.override_input_priority), (None, Some(0)));
    assert_eq!((status.active_input_priority, released(&mut lab)[0].1), (Some(0), (1, "override")));
    lab.engine.hold_input(STREAM, 1, Hold::default()).expect("is eligible");
    lab.run_to(s(22));
    let status = lab.status();
    assert_eq!(status.hold.map(|hold| hold.priority), Some(1));
    assert_eq!((status.override_input_priority, status.active_input_priority), (None, Some(1)));
    let cleared = lab.all(|kind| match kind {
        EventKind::OverrideCleared { input_priority, why } => Some((*input_priority, *why)),
        _ => None,
    });
    assert_eq!(cleared, [(s(21), (0, "hold"))]);
}

#[test]
fn what_cannot_be_held_is_refused_at_once() {
    let mut lab = held(WhenDead::Release);
    let hold = Hold::default();
    let order = |lab: &Lab, stream: &str, priority, hold| {
        lab.engine.hold_input(stream, priority, hold).map(|_| ()).expect_err("is refused")
    };
    assert!(matches!(order(&lab, "nobody", 0, hold), Error::UnknownStream { .. }));
    assert!(matches!(order(&lab, STREAM, 7, hold), Error::UnknownInput { .. }));
    let negative = Hold { ttl_ms: -1, ..hold };
    assert!(matches!(order(&lab, STREAM, 0, negative), Error::NegativeDuration { .. }));
    lab.silence(0);
    lab.run(s(1));
    assert!(matches!(order(&lab, STREAM, 0, hold), Error::InputDegraded { .. }));
    lab.engine.set_input_enabled(STREAM, 0, false).expect("is known");
    assert!(matches!(order(&lab, STREAM, 0, hold), Error::InputStopped { .. }));
    assert_eq!(lab.status().hold.map(|hold| hold.priority), Some(1), "the old one stands");
}

#[test]
fn a_held_input_that_is_switched_off_is_held_no_more() {
    for when_dead in [WhenDead::Release, WhenDead::Keep] {
        let mut lab = held(when_dead);
        lab.run_to(s(20));
        lab.engine.set_input_enabled(STREAM, 1, false).expect("is known");
        lab.run_to(s(21));
        assert_eq!((lab.active(), lab.status().hold), (Some(0), None));
        assert_eq!(released(&mut lab), [(s(20), (1, "disabled"))]);
    }
}

#[test]
fn a_hold_is_prolonged_by_another_to_the_same_input() {
    let mut lab = held(WhenDead::Release);
    lab.run_to(s(60));
    let hold = Hold { ttl_ms: 60_000, when_dead: WhenDead::Release };
    lab.engine.hold_input(STREAM, 1, hold).expect("is eligible");
    lab.run_to(s(120) - ms(1));
    assert_eq!((lab.active(), lab.moves().len()), (Some(1), 1));
    lab.run_to(s(121));
    assert_eq!(lab.reasons()[1..], [(0, SwitchReason::HoldReleased)]);
}

/// A hold stands against soft rules too, and the refusal says until when.
#[test]
fn a_hold_stands_against_soft_rules() {
    let mut lab = held(WhenDead::Release);
    let black = changeover::Condition::new("black").hold_ms(1_000);
    lab.engine.raise_condition(STREAM, 1, black).expect("is valid");
    lab.run_to(s(70) - ms(1));
    assert_eq!(lab.reasons(), [(1, SwitchReason::Manual)]);
    let told = lab.refusals().into_iter().filter(|told| told.0 >= s(11)).collect::<Vec<_>>();
    assert_eq!((told.len(), told[0].1, told[0].2), (1, Some(0), "held"), "{told:#?}");
    assert!(told[0].3.contains("black"), "{told:#?}");
    lab.run_to(s(71));
    assert_eq!(lab.active(), Some(0));
}
