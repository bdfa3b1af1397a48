//! What the host and the operator order: no failback, observation only, override against rules.

use changeover::{
    BitrateRule, Condition, EngineConfig, EventKind, Failback, HealthConfig, InputConfig,
    StreamConfig, SwitchReason,
};

use crate::lab::{Lab, STREAM, config, kbps, ms, s};

fn black() -> Condition {
    Condition::new("black").hold_ms(1_000).clear_ms(1_000)
}

fn up(mut lab: Lab) -> Lab {
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(10));
    lab
}

/// The primary is silent for two seconds, and back for a minute.
fn blink(lab: &mut Lab, input: usize) {
    lab.silence(input);
    lab.run(s(2));
    lab.feed(input, [kbps(1000)]);
    lab.run(s(60));
}

#[test]
fn without_failback_only_failures_and_the_operator_move() {
    let mut lab = up(Lab::new(2, EngineConfig { failback: Failback::Never, ..config() }));
    blink(&mut lab, 0);
    assert_eq!(lab.reasons(), [(1, SwitchReason::Timeout)]);
    let refusals = lab.refusals();
    assert_eq!(refusals.len(), 1, "{refusals:#?}");
    assert_eq!((refusals[0].1, refusals[0].2), (Some(0), "failback_never"));
    blink(&mut lab, 1);
    assert_eq!(lab.reasons()[1..], [(0, SwitchReason::Timeout)]);
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run(ms(20));
    lab.engine.clear_override(STREAM).expect("is registered");
    lab.run(s(60));
    assert_eq!((lab.active(), lab.moves().len()), (Some(1), 3));
}

#[test]
fn the_stream_has_its_own_word_on_failback() {
    for (engine, stream, last) in [
        (Failback::Never, Failback::Automatic, 0),
        (Failback::Automatic, Failback::Never, 1),
        (Failback::Never, Failback::Inherited, 1),
        (Failback::Inherited, Failback::Inherited, 0),
    ] {
        let inputs = StreamConfig::new(STREAM)
            .input(InputConfig::hot(0, "udp://0"))
            .input(InputConfig::hot(1, "udp://1"));
        let config = EngineConfig { failback: engine, ..config() };
        let mut lab = up(Lab::with_stream(inputs.with_failback(stream), config));
        blink(&mut lab, 0);
        assert_eq!(lab.active(), Some(last), "{engine:?} {stream:?}");
    }
}

#[test]
fn failback_can_be_allowed_later() {
    let mut lab = up(Lab::new(2, EngineConfig { failback: Failback::Never, ..config() }));
    blink(&mut lab, 0);
    assert_eq!(lab.active(), Some(1));
    lab.engine.set_config(config()).expect("is valid");
    lab.run(ms(30));
    assert_eq!(lab.reasons()[1..], [(0, SwitchReason::Failback)]);
}

fn observing() -> EngineConfig {
    EngineConfig { observe: Some(true), ..config() }
}

#[test]
fn observation_decides_everything_and_moves_nothing() {
    let mut lab = up(Lab::new(2, observing()));
    assert!(lab.status().observe);
    assert_eq!((lab.active(), lab.cuts.len()), (Some(0), 1), "the first activation is made");
    lab.engine.raise_condition(STREAM, 0, black()).expect("is valid");
    lab.run(s(5));
    lab.silence(0);
    lab.run(s(5));
    assert_eq!((lab.active(), lab.cuts.len(), lab.last_forwarded[1]), (Some(0), 1, 0));
    assert_eq!(lab.moves(), []);
    // What it would have done, and when.
    let told = lab.all(|kind| match kind {
        EventKind::SwitchRefused { to, reason, rule: "observe", .. } => Some((*to, *reason)),
        _ => None,
    });
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0], (s(11), (Some(1), SwitchReason::Condition)));
    assert_eq!(told[1], (s(15) + ms(500), (Some(1), SwitchReason::Timeout)));
    let degraded = lab.all(|kind| match kind {
        EventKind::InputDegraded { input_priority: 0, cause, .. } => Some(*cause),
        _ => None,
    });
    assert_eq!(degraded, [(s(15) + ms(500), SwitchReason::Timeout)]);
}

#[test]
fn observation_ends_live() {
    let mut lab = up(Lab::new(2, observing()));
    lab.silence(0);
    lab.run(s(5));
    assert_eq!(lab.last_forwarded[1], 0);
    lab.engine.set_config(config()).expect("is valid");
    lab.run(ms(20));
    assert_eq!(lab.reasons(), [(1, SwitchReason::Timeout)]);
    assert_eq!(lab.last_forwarded[1], lab.now());
}

#[test]
fn an_override_stands_against_soft_rules() {
    let mut lab = up(Lab::new(2, config()));
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run(s(1));
    lab.engine.raise_condition(STREAM, 1, black()).expect("is valid");
    lab.run(s(10));
    assert_eq!(lab.reasons(), [(1, SwitchReason::Manual)]);
    assert_eq!(lab.status().override_input_priority, Some(1));
    let refusals = lab.refusals();
    let told = refusals.last().expect("it is told");
    assert_eq!((told.0, told.1, told.2), (s(12), Some(0), "override"));
    // Without it the rule acts at once.
    lab.engine.clear_override(STREAM).expect("is registered");
    lab.run(ms(20));
    assert_eq!(lab.reasons()[1..].len(), 1);
    assert_eq!(lab.active(), Some(0));
}

#[test]
fn rules_changed_live_hold_at_once() {
    let mut lab = up(Lab::new(2, config()));
    let bitrate = BitrateRule { min_kbps: 2_000.0, hold_ms: 1_000, ..Default::default() };
    let health = HealthConfig { bitrate, ..Default::default() };
    lab.feed(1, [kbps(3000)]);
    lab.run(s(5));
    let at = lab.now();
    lab.engine.set_config(EngineConfig { health: Some(health.into()), ..config() }).expect("valid");
    lab.run(s(5));
    let made = lab.only_move();
    assert_eq!((made.to, made.reason), (1, SwitchReason::Bitrate));
    assert!((at + s(1)..=at + ms(2_200)).contains(&made.at), "{}", made.at - at);
    assert_eq!(lab.input(0).impaired.len(), 1);
    lab.engine.set_config(config()).expect("is valid");
    lab.run(s(10));
    assert!(lab.input(0).impaired.is_empty(), "the rule is gone, and what it found");
    assert_eq!(lab.active(), Some(0));
}

/// Each level says what the one above it leaves open, rule by rule and field by field.
#[test]
fn rules_are_inherited_by_field() {
    let bitrate = |min_kbps: f64, hold_ms: i64| HealthConfig {
        bitrate: BitrateRule { min_kbps, hold_ms, ..Default::default() },
        ..Default::default()
    };
    let strict =
        InputConfig { health: Some(bitrate(0.0, 2_000).into()), ..InputConfig::hot(0, "a") };
    let lax = InputConfig { health: Some(bitrate(100.0, 0).into()), ..InputConfig::hot(1, "b") };
    let stream =
        StreamConfig::new(STREAM).input(strict).input(lax).with_health(bitrate(1_500.0, 0));
    let config = EngineConfig { health: Some(bitrate(0.0, 7_000).into()), ..config() };
    let mut lab = Lab::with_stream(stream, config);
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1200)]);
    lab.run_to(s(20));
    let made = lab.only_move();
    // Input 0: the stream's 1,500 kbit/s for its own 2 s; input 1: its own 100.
    assert!((s(3)..=ms(3_200)).contains(&made.at), "{made:?}");
    assert!(made.detail.contains("1500"), "{}", made.detail);
    assert_eq!(lab.input(1).impaired.len(), 0);
}
