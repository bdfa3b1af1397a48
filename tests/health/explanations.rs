//! What a review found of explanations: moves and refusals that nobody was told of, words that did
//! not pair up, and observe-only.

use changeover::{
    BitrateRule, Cut, EngineConfig, Error, EventKind, HealthConfig, Hold, InputStatus, Packet,
    SwitchReason, Tracks, WhenDead,
};

use crate::lab::{Lab, STREAM, config, each, kbps, ms, s};

const FRAME: Packet = Packet::new(5000).tracks(Tracks::VIDEO).frames(1);
const IDR: Packet = FRAME.keyframe(true);

/// Finding 9: observe-only, switched on while a switch waited for its keyframe, did not stop it.
#[test]
fn observe_only_stops_what_is_on_its_way() {
    let gated = EngineConfig { cut: Cut::Keyframe { max_wait_ms: 10_000 }, ..config() };
    let mut lab = Lab::new(2, gated.clone());
    for input in 0..2 {
        lab.feed(input, [each(ms(10), FRAME)]);
    }
    lab.run_to(s(5));
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run(ms(100));
    lab.engine.set_config(EngineConfig { observe: Some(true), ..gated }).expect("is valid");
    lab.run(ms(100));
    lab.send(1, IDR);
    lab.run(s(1));
    assert_eq!((lab.active(), lab.moves(), lab.cuts.len()), (Some(0), vec![], 1));
    let failed = lab.all(|kind| match kind {
        EventKind::SwitchFailed { to, message, .. } => Some((*to, message.clone())),
        _ => None,
    });
    assert_eq!(failed, [(ms(5_100), (1, "observe-only: nothing is moved".to_owned()))]);
}

/// Finding 20a: a switch whose old input was dead waited for its keyframe, and nobody was told.
#[test]
fn a_forced_switch_tells_that_it_waits_for_a_keyframe() {
    let mut lab =
        Lab::new(2, EngineConfig { cut: Cut::Keyframe { max_wait_ms: 3_000 }, ..config() });
    for input in 0..2 {
        lab.feed(input, [each(ms(10), FRAME)]);
    }
    lab.run_to(s(5));
    lab.fail(0);
    lab.silence(0);
    lab.run_to(s(6));
    lab.send(1, IDR);
    lab.run(ms(10));
    let told = lab.all(|kind| match kind {
        EventKind::SwitchDecided { .. } => Some("decided"),
        EventKind::InputFailover { .. } => Some("failover"),
        EventKind::SwitchArmed { from: Some(0), to: 1, keyframe: true, max_wait_ms: 3_000 } => {
            Some("armed")
        }
        EventKind::FirstPacket { .. } => Some("first packet"),
        _ => None,
    });
    let told: Vec<_> = told.into_iter().filter(|(at, _)| *at >= s(5)).collect();
    let expected = [(s(5), "decided"), (s(5), "failover"), (s(5), "armed"), (s(6), "first packet")];
    assert_eq!(told, expected);
}

/// Finding 20b: the move that the death of a kept input asked for was refused without a word, just
/// when an operator asks why nothing moves.
#[test]
fn a_hold_that_keeps_a_dead_input_tells_what_it_refuses() {
    let mut lab = Lab::new(2, config());
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(10));
    let hold = Hold { ttl_ms: 60_000, when_dead: WhenDead::Keep };
    lab.engine.hold_input(STREAM, 1, hold).expect("is eligible");
    lab.run_to(s(20));
    lab.silence(1);
    lab.run_to(s(25));
    let wanted = lab.all(|kind| match kind {
        EventKind::SwitchRefused { to, reason, rule, remaining_ms, .. } => {
            Some((*to, *reason, *rule, *remaining_ms))
        }
        _ => None,
    });
    let died = s(20) + ms(500);
    let refused: Vec<_> = wanted.into_iter().filter(|(at, _)| *at >= s(20)).collect();
    assert_eq!(refused, [(died, (Some(0), SwitchReason::Timeout, "held", 49_500))]);
    let entry = &lab.status().decisions[0];
    assert_eq!(
        (entry.what.as_str(), entry.rule.as_deref(), entry.to),
        ("refused", Some("held"), Some(0))
    );
    assert_eq!(entry.remaining_ms, Some(45_000), "as of now");
}

/// Finding 20c: a rule that the host took away turned a degraded standby idle without a word.
#[test]
fn a_rule_that_is_taken_away_is_cleared_with_a_word() {
    let bitrate = BitrateRule { min_kbps: 1_000.0, ..Default::default() };
    let health = HealthConfig { bitrate, ..Default::default() };
    let mut lab = Lab::new(2, EngineConfig { health: Some(health.into()), ..config() });
    lab.feed(0, [kbps(6000)]);
    lab.feed(1, [kbps(500)]);
    lab.run_to(s(10));
    assert_eq!(lab.input(1).status, InputStatus::Degraded);
    lab.engine.set_config(config()).expect("is valid");
    lab.run_to(s(20));
    assert_eq!(lab.input(1).status, InputStatus::Idle);
    let told = lab.all(|kind| match kind {
        EventKind::InputImpaired { input_priority: 1, .. } => Some("impaired"),
        EventKind::InputDegraded { input_priority: 1, .. } => Some("degraded"),
        EventKind::InputCleared { input_priority: 1, .. } => Some("cleared"),
        EventKind::InputRecovered { input_priority: 1, .. } => Some("recovered"),
        _ => None,
    });
    let told: Vec<_> = told.into_iter().map(|(_, what)| what).collect();
    assert_eq!(told, ["impaired", "degraded", "cleared", "recovered"]);
}

/// Finding 20d: with observe-only an operator's refused switch left neither event nor entry.
#[test]
fn an_order_that_observe_only_refuses_is_told() {
    let mut lab = Lab::new(2, EngineConfig { observe: Some(true), ..config() });
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(5));
    let ticket = lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run_to(s(6));
    assert!(matches!(ticket.outcome(), Some(Err(Error::SwitchFailed { .. }))), "{ticket:?}");
    let refused = lab.all(|kind| match kind {
        EventKind::SwitchRefused { to, reason, rule, .. } => Some((*to, *reason, *rule)),
        _ => None,
    });
    assert_eq!(refused, [(s(5), (Some(1), SwitchReason::Manual, "observe"))]);
    let entry = &lab.status().decisions[0];
    assert_eq!((entry.what.as_str(), entry.rule.as_deref()), ("refused", Some("observe")));
}

/// Finding 32: the error report of an encoder that was suspected already (as it nearly always is
/// by then) was swallowed: the history said "timeout".
#[test]
fn an_error_is_recorded_though_the_input_was_suspected_first() {
    let mut lab = crate::guesses::learned();
    lab.fail(1);
    lab.silence(1);
    lab.run(ms(5));
    lab.silence(0);
    lab.run(ms(40));
    assert!(!lab.status().exhausted, "only suspected");
    lab.fail(0);
    let input = lab.input(0);
    let errors: Vec<_> = input.errors.iter().map(|error| error.message.as_str()).collect();
    assert_eq!(errors[0], "killed", "{errors:?}");
    assert_eq!(input.last_failure.map(|failure| failure.message), Some("killed".to_owned()));
    assert!(lab.status().exhausted, "an error is no suspicion");
}

/// Finding 8 of the scenario tests: after an error report the stall was not known, for the run
/// that had the last packet was over.
#[test]
fn the_stall_is_told_after_an_error_too() {
    let mut lab = Lab::new(2, config());
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000).first(ms(3))]);
    lab.run_to(s(10));
    lab.fail(0);
    lab.silence(0);
    lab.run(s(1));
    assert_eq!(lab.status().switches[0].stall_us, Some(3_000));
}
