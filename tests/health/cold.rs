//! Conditions of inputs that do not run: a probe proves that a source is there, not that its
//! picture is good.

use std::time::Duration;

use changeover::{
    Condition, DriverCall, EngineConfig, Epoch, HandEngine, InputConfig, InputStatus, Packet,
    Recorder, StreamConfig,
};

use crate::lab::{STREAM, config};

/// Two cold inputs; the primary has gone silent, the backup runs.
fn failed_over() -> (HandEngine, Recorder) {
    let engine = HandEngine::new_for_testing(EngineConfig { probe_cooldown_ms: 1_000, ..config() });
    let stream = StreamConfig::new(STREAM)
        .input(InputConfig::cold(0, "udp://0"))
        .input(InputConfig::cold(1, "udp://1"));
    engine.register(stream).expect("registers");
    let [(0, epoch)] = answer(&engine)[..] else { panic!("the primary is started") };
    let mut primary = engine.recorder(STREAM, 0, epoch).expect("opens");
    assert!(primary.record(Packet::new(1316)).is_forward());
    engine.advance(Duration::from_millis(500));
    let started = answer(&engine);
    let Some((1, epoch)) = started.last() else { panic!("the backup is started: {started:?}") };
    let mut backup = engine.recorder(STREAM, 1, *epoch).expect("opens");
    assert!(backup.record(Packet::new(1316)).is_forward());
    (engine, backup)
}

/// Says yes to every start and every probe; answers the starts.
fn answer(engine: &HandEngine) -> Vec<(i32, Epoch)> {
    let mut started = Vec::new();
    while let Some(call) = engine.next_call() {
        match call {
            DriverCall::Start(call) => {
                started.push((call.input.priority, call.epoch));
                call.token().done();
            }
            DriverCall::Probe(call) => call.token().done(),
            _ => {}
        }
    }
    started
}

/// The backup goes on for so many tenths of a second; answers which inputs were started meanwhile.
fn go_on(engine: &HandEngine, backup: &mut Recorder, tenths: usize) -> Vec<i32> {
    let mut started = Vec::new();
    for _ in 0..tenths {
        engine.advance(Duration::from_millis(100));
        let _ = backup.record(Packet::new(1316));
        started.extend(answer(engine).into_iter().map(|(priority, _)| priority));
    }
    started
}

#[test]
fn a_good_probe_brings_the_stream_back() {
    let (engine, mut backup) = failed_over();
    assert_eq!(go_on(&engine, &mut backup, 20).first(), Some(&0));
}

#[test]
fn a_good_probe_does_not_clear_a_condition() {
    let (engine, mut backup) = failed_over();
    let black = Condition::new("black").hold_ms(100).clear_ms(2_000);
    engine.raise_condition(STREAM, 0, black).expect("is valid");
    assert_eq!(go_on(&engine, &mut backup, 200), [0i32; 0]);
    let status = engine.runtime_status(STREAM).expect("is registered");
    assert_eq!((status.inputs[0].status, status.inputs[0].proved), (InputStatus::Degraded, true));
    assert_eq!(status.usable_inputs, 1);
    engine.clear_condition(STREAM, 0, "black").expect("is raised");
    assert_eq!(go_on(&engine, &mut backup, 19), [0i32; 0], "its clear time");
    assert_eq!(go_on(&engine, &mut backup, 2).first(), Some(&0));
}
