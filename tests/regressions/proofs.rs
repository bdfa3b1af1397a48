//! Defects that the proofs found (the oracle, the models, the fuzzers), driven by hand.

use std::time::{SystemTime, UNIX_EPOCH};

use changeover::{
    Condition, EngineConfig, EventKind, HandEngine, Hold, InputStatus, Subscription, Verdict,
    WhenDead,
};

use crate::{PACKET, Probes, S, active, cold, hand, hand_with, hot, ms, pump, secs, status, update};

/// The wall time that the hand-driven clock begins at.
const BEGIN_S: u64 = 1_767_225_600;

fn engine_ms(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH).unwrap().as_millis() - u128::from(BEGIN_S) * 1_000
}

fn recovered(events: &Subscription) -> Vec<(i32, &'static str)> {
    let of = |event: changeover::Event| match event.kind {
        EventKind::InputRecovered { input_priority, evidence } => Some((input_priority, evidence)),
        _ => None,
    };
    events.drain().into_iter().filter_map(of).collect()
}

// §1 *epoch*, §8.3: packets by id that counted for a source that was renumbered twice are not the
// next source's.
#[test]
fn a_renumbered_sources_packets_by_id_are_nobody_elses() {
    let engine = hand([hot(0, "a"), hot(1, "b")]);
    let _ = engine.record_packet(S, 0);
    update(&engine, &[hot(2, "a")], &[0], &[]);
    assert!(engine.record_packet(S, 2).is_forward());
    update(&engine, &[hot(0, "a")], &[], &[hot(2, "spare")]);
    engine.advance(secs(1));
    let spare = status(&engine).input(2).cloned().unwrap();
    assert_eq!((spare.packets, spare.epoch, spare.running), (0, None, false));
    assert_ne!(engine.record_packet(S, 2), Verdict::Stale, "its own open an epoch");
    assert_eq!(status(&engine).input(2).unwrap().packets, 1);
}

// §4.1: the last-packet time of an input that was switched off moves as long as it is on the air.
#[test]
fn what_is_switched_off_and_still_on_the_air_has_packet_times() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    pump(&engine, Probes::Good);
    assert!(engine.record_packet(S, 0).is_forward());
    engine.set_input_enabled(S, 0, false).unwrap();
    engine.advance(secs(2));
    assert!(engine.record_packet(S, 0).is_forward());
    let last = status(&engine).inputs[0].last_packet_at.map(engine_ms);
    assert_eq!(last, Some(2_000));
}

// §8.3: the activation of an input that has failed is not adopted: the new number is started.
#[test]
fn a_dead_source_is_not_adopted() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    pump(&engine, Probes::Good);
    let _ = engine.record_packet(S, 0);
    engine.advance(secs(30));
    assert_eq!(status(&engine).inputs[0].status, InputStatus::Degraded);
    update(&engine, &[], &[0], &[cold(1, "a")]);
    assert_eq!(pump(&engine, Probes::Good), ["start 1 b", "stop 0", "stop 1", "start 1 a"]);
    let _ = engine.record_packet(S, 1);
    let now = status(&engine);
    assert_eq!((now.active_input_priority, now.exhausted), (Some(1), false));
}

// §4.2: a hot input that has delivered while it was switched off is judged by its packet timeout.
#[test]
fn who_delivers_while_it_is_off_gets_no_connect_timeout() {
    let config = EngineConfig { packet_timeout_ms: 2_000, ..EngineConfig::default() };
    let engine = hand_with(config, [hot(0, "a").with_connect_timeout(ms(500)), hot(1, "b")]);
    let mut main = engine.recorder(S, 0, None).unwrap();
    let mut backup = engine.recorder(S, 1, None).unwrap();
    let _ = (main.record(PACKET), backup.record(PACKET));
    engine.set_input_enabled(S, 1, false).unwrap();
    engine.advance(secs(1));
    let _ = (main.record(PACKET), backup.record(PACKET));
    engine.set_input_enabled(S, 1, true).unwrap();
    engine.advance(ms(1_999));
    assert_eq!(status(&engine).inputs[1].status, InputStatus::Idle);
    engine.advance(ms(1));
    assert_eq!(status(&engine).inputs[1].status, InputStatus::Degraded);
}
