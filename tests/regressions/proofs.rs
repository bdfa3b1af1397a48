//! Defects that the proofs found (the oracle, the models, the fuzzers), driven by hand.

use std::time::{SystemTime, UNIX_EPOCH};

use changeover::{
    Condition, EngineConfig, EventKind, HandEngine, Hold, InputStatus, Subscription, Verdict,
    WhenDead,
};

use crate::{
    PACKET, Probes, S, active, cold, hand, hand_with, hot, ms, pump, secs, status, update,
};

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
    let engine = hand_with(config, [hot(0, "a"), hot(1, "b").with_connect_timeout(ms(500))]);
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

// Richer health: who was told that an input is degraded is told that it is not, also where that
// has taken the air as a last resort meanwhile.
#[test]
fn a_recovery_is_told_when_the_condition_of_the_active_input_clears() {
    let engine = hand([cold(0, "a")]);
    engine.report_input_error(S, 0, None, "boom").unwrap();
    engine.raise_condition(S, 0, Condition::new("black").hold_ms(1).clear_ms(1)).unwrap();
    engine.advance(secs(9));
    pump(&engine, Probes::Unsupported);
    assert!(!status(&engine).inputs[0].impaired.is_empty());
    let events = engine.subscribe(0);
    let _ = engine.record_packet(S, 0);
    let now = status(&engine);
    assert_eq!((now.exhausted, now.inputs[0].status), (false, InputStatus::Active));
    engine.clear_condition(S, 0, "black").unwrap();
    engine.advance(ms(1));
    assert_eq!(recovered(&events), [(0, "health")]);
}

// A refusal that stands when a hold ends is told once, with the hold's end as its reason.
#[test]
fn a_refusal_after_the_end_of_a_hold_is_told_once() {
    let engine = hand([hot(0, "a"), hot(1, "b")]);
    let mut main = engine.recorder(S, 0, None).unwrap();
    let mut backup = engine.recorder(S, 1, None).unwrap();
    let mut both = |engine: &HandEngine| {
        let _ = (main.record(PACKET), backup.record(PACKET));
        engine.advance(ms(500));
    };
    (0..20).for_each(|_| both(&engine));
    let hold = Hold { ttl_ms: 1_000, when_dead: WhenDead::Release };
    engine.hold_input(S, 1, hold).unwrap();
    (0..4).for_each(|_| both(&engine));
    assert_eq!(active(&engine), Some(1));
    let told = status(&engine).decisions;
    let told = told.iter().filter(|d| d.rule.as_deref() == Some("failback_cooldown"));
    assert_eq!(told.count(), 1);
}

// §5.1, §5.3: while a cold input is being started for a dead one, a hot one that delivers takes the
// air.
#[test]
fn who_delivers_first_overtakes_a_start() {
    let timeouts = EngineConfig { packet_timeout_ms: 2_000, ..EngineConfig::default() };
    let backup = hot(2, "c").with_packet_timeout(secs(60));
    let engine = hand_with(timeouts, [cold(0, "a"), cold(1, "b"), backup]);
    pump(&engine, Probes::Good);
    let mut backup = engine.recorder(S, 2, None).unwrap();
    // Their last packets come in the same moment.
    let _ = (engine.record_packet(S, 0), backup.record(PACKET));
    engine.advance(secs(2));
    assert_eq!(status(&engine).pending_input_priority, Some(1));
    engine.advance(ms(10));
    let _ = backup.record(PACKET);
    assert_eq!(active(&engine), Some(2));
}

// §4.1, §8.3: a source that is heard by id only is heard on under its new number, also after a
// failure, whoever had that number before.
#[test]
fn an_adopted_source_that_is_heard_by_id_comes_back() {
    let engine = hand([hot(0, "a"), hot(3, "b")]);
    let recorder = engine.recorder(S, 3, None).unwrap();
    let _ = engine.record_packet(S, 0);
    update(&engine, &[], &[0], &[hot(3, "a")]);
    assert!(engine.record_packet(S, 3).is_forward());
    engine.report_input_error(S, 3, None, "boom").unwrap();
    assert!(status(&engine).exhausted);
    let _ = engine.record_packet(S, 3);
    assert!(engine.record_packet(S, 3).is_forward(), "and not dropped for ever");
    assert!(!status(&engine).exhausted);
    drop(recorder);
}

// §8.2: what is leaving stays on the air until its successor delivers, also when the producer of
// another source comes under its number.
#[test]
fn a_producer_under_the_number_of_what_is_leaving_cuts_nothing() {
    let engine = hand([cold(0, "a")]);
    let Some(changeover::DriverCall::Start(start)) = engine.next_call() else {
        panic!("0 is started")
    };
    start.token().done();
    let mut old = engine.recorder(S, 0, start.epoch).unwrap();
    assert!(old.record(PACKET).is_forward());
    update(&engine, &[hot(1, "b")], &[0], &[]);
    update(&engine, &[hot(0, "c")], &[], &[]);
    let mut new = engine.recorder(S, 0, None).unwrap();
    assert!(old.record(PACKET).is_forward(), "it delivers, and nobody else does yet");
    assert!(new.record(PACKET).is_forward());
    assert_eq!(old.record(PACKET), Verdict::Stale);
    assert_eq!(active(&engine), Some(0));
}

// §4.1: a hot input without a recorder gets an epoch from its packets by id, also when they began
// while another source was leaving under its number.
#[test]
fn packets_by_id_under_the_number_of_what_is_leaving_come_through_in_the_end() {
    let engine = hand([cold(0, "a"), hot(1, "b")]);
    pump(&engine, Probes::Good);
    let mut backup = engine.recorder(S, 1, None).unwrap();
    assert!(engine.record_packet(S, 0).is_forward());
    update(&engine, &[], &[0], &[]);
    update(&engine, &[hot(0, "c")], &[], &[]);
    let _ = engine.record_packet(S, 0);
    let _ = backup.record(PACKET);
    for _ in 0..3 {
        engine.advance(ms(10));
        let _ = engine.record_packet(S, 0);
    }
    let new = status(&engine).input(0).cloned().unwrap();
    assert!(new.epoch.is_some() && new.packets > 0, "{new:?}");
}
