//! What a review found of measuring: what is not known, what a stall hides, and steps of other
//! lengths.

use std::time::Duration;

use changeover::{
    BitrateRule, EngineConfig, EventKind, HandEngine, HealthConfig, InputConfig, Packet,
    StreamConfig,
};

use crate::lab::{Lab, STREAM, config, kbps, ms, s};

fn with(health: HealthConfig, config: EngineConfig) -> EngineConfig {
    EngineConfig { health: Some(health.into()), ..config }
}

/// Finding 14: the hold time of a rule went on through a stall of the engine, of which nobody
/// knows what the input delivered.
#[test]
fn a_rules_hold_time_begins_anew_after_a_stall() {
    let bitrate = BitrateRule { min_kbps: 1_000.0, hold_ms: 5_000, ..Default::default() };
    let health = HealthConfig { bitrate, ..Default::default() };
    let mut lab = Lab::new(2, with(health, EngineConfig { packet_timeout_ms: 30_000, ..config() }));
    lab.feed(0, [kbps(6000)]);
    lab.feed(1, [kbps(6000)]);
    lab.run_to(s(5));
    lab.feed(0, [kbps(600)]);
    lab.run_to(s(7));
    // Four seconds in which the input delivers all that it should.
    for _ in 0..400 {
        lab.send(0, Packet::new(7500));
        lab.send(1, Packet::new(7500));
        lab.engine.stall(Duration::from_millis(10));
    }
    assert_eq!(lab.now(), s(11));
    lab.feed(0, [kbps(600)]);
    lab.feed(1, [kbps(6000)]);
    lab.run_to(s(30));
    let impaired = lab.all(|kind| match kind {
        EventKind::InputImpaired { input_priority, .. } => Some(*input_priority),
        _ => None,
    });
    let [(at, 0)] = impaired[..] else { panic!("{impaired:?}") };
    // A window of a second has to be full first.
    assert!((s(17)..=ms(17_200)).contains(&at), "{at}");
}

/// Finding 17: a least bitrate acted on an input whose packets are reported by id, without their
/// size: "0 kbit/s".
#[test]
fn an_input_whose_sizes_nobody_tells_has_no_bitrate() {
    let bitrate = BitrateRule { min_kbps: 1_000.0, min_percent: 70.0, ..Default::default() };
    let health = HealthConfig { bitrate, ..Default::default() };
    let engine = HandEngine::new_for_testing(with(health, config()));
    let stream = StreamConfig::new(STREAM)
        .input(InputConfig::hot(0, "udp://0"))
        .input(InputConfig::hot(1, "udp://1"));
    engine.register(stream).expect("registers");
    let mut backup = engine.recorder(STREAM, 1, None).expect("opens");
    for _ in 0..2_000 {
        let _ = engine.record_packet(STREAM, 0);
        let _ = backup.record(Packet::new(5000));
        engine.advance(Duration::from_millis(10));
    }
    let status = engine.runtime_status(STREAM).expect("is registered");
    assert_eq!((status.active_input_priority, status.failovers_total), (Some(0), 0));
    let [by_id, sized] = &status.inputs[..] else { panic!("{:?}", status.inputs) };
    assert_eq!((&by_id.impaired[..], by_id.reference_kbps), (&[][..], None));
    assert_eq!(sized.reference_kbps, Some(4_000.0));
}

/// Finding 18: the reference was a number of windows, not a time: known after 1.5 s with steps of
/// 10 ms, and after 110 s with steps of 1 s.
#[test]
fn the_reference_is_known_after_ten_seconds_whatever_the_step() {
    for (step_ms, least, most) in
        [(10, 10_000, 11_500), (100, 10_000, 12_500), (1_000, 10_000, 21_500)]
    {
        let bitrate = BitrateRule { min_percent: 70.0, ..Default::default() };
        let health = HealthConfig { step_ms, bitrate, ..Default::default() };
        let mut lab = Lab::new(1, with(health, config()));
        lab.feed(0, [kbps(1000)]);
        let mut known = None;
        while known.is_none() && lab.now() < s(200) {
            lab.run(ms(500));
            known = lab.input(0).reference_kbps.map(|_| lab.now() / ms(1));
        }
        assert!(known.is_some_and(|at| (least..=most).contains(&at)), "{step_ms}: {known:?}");
    }
}

/// Finding 18, its other end: with steps of 10 ms it had forgotten all after 6 s, so that a slow
/// fade became the usual rate.
#[test]
fn the_reference_remembers_a_minute_whatever_the_step() {
    for step_ms in [10, 100, 1_000] {
        let bitrate = BitrateRule { min_percent: 10.0, ..Default::default() };
        let health = HealthConfig { step_ms, bitrate, ..Default::default() };
        let mut lab = Lab::new(1, with(health, config()));
        lab.feed(0, [kbps(1000)]);
        lab.run_to(s(100));
        assert_eq!(lab.input(0).reference_kbps, Some(1_000.0), "{step_ms}");
        lab.feed(0, [kbps(800)]);
        lab.run_to(s(120));
        assert_eq!(lab.input(0).reference_kbps, Some(1_000.0), "{step_ms}: most of the minute");
        lab.run_to(s(160));
        assert_eq!(lab.input(0).reference_kbps, Some(800.0), "{step_ms}");
    }
}

/// Finding 19: a step of absurd length, which saturates, overflowed in `runtime_status`: a panic
/// in the host's own thread.
#[test]
fn an_absurd_step_does_not_overflow() {
    let health = HealthConfig { step_ms: i64::MAX, ..Default::default() };
    let mut lab = Lab::new(2, with(health, config()));
    lab.feed(0, [kbps(1000)]);
    lab.run_to(s(5));
    let _ = lab.status();
    lab.run_to(s(8));
    let input = lab.input(0);
    assert_eq!((input.packets, input.bitrate_kbps), (800, 0.0), "no window was ever whole");
}

/// Finding 23: the first status of an input that no rule samples showed a bitrate of 0.
#[test]
fn the_first_status_shows_the_bitrate() {
    let mut lab = Lab::new(1, config());
    lab.feed(0, [kbps(1000)]);
    lab.run_to(s(30));
    let (first, second) = (lab.input(0).bitrate_kbps, lab.input(0).bitrate_kbps);
    assert!((990.0..=1_010.0).contains(&first), "{first}");
    assert_eq!(first, second);
}
