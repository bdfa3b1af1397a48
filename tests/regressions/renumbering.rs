//! Sources that change their number or keep their address, driven by hand.

use std::time::{SystemTime, UNIX_EPOCH};

use changeover::{DriverCall, HandEngine, InputStatus, StreamStatus, SwitchReason, Verdict};

use crate::{
    PACKET, Probes, S, active, cold, degraded, hand, hot, ms, pump, secs, show, status, update,
};

/// The wall time that the hand-driven clock begins at.
const BEGIN_S: u64 = 1_767_225_600;

fn engine_second(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).unwrap().as_secs() - BEGIN_S
}

fn waiting(engine: &HandEngine) -> Vec<String> {
    engine.calls().iter().map(show).collect()
}

// §8.3: a replacement with the same address goes on, also for by-id packets.
#[test]
fn a_replacement_with_the_same_address_is_still_heard_by_id() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    pump(&engine, Probes::Good);
    assert!(engine.record_packet(S, 0).is_forward());
    update(&engine, &[cold(0, "a")], &[0], &[]);
    assert_eq!(pump(&engine, Probes::Good), [""; 0], "its activation is adopted");
    assert!(engine.record_packet(S, 0).is_forward());
}

// §8.3: the same for a hot input that is heard by id only.
#[test]
fn a_hot_replacement_with_the_same_address_is_still_heard_by_id() {
    let engine = hand([hot(0, "a")]);
    for _ in 0..4 {
        let _ = engine.record_packet(S, 0);
    }
    update(&engine, &[hot(0, "a")], &[0], &[]);
    for second in 0..100 {
        engine.advance(secs(1));
        assert!(engine.record_packet(S, 0).is_forward(), "second {second}");
    }
    let now = status(&engine);
    assert_eq!((now.inputs[0].status, now.exhausted), (InputStatus::Active, false));
}

// §7.3, §8.3: a disabled input inherits no activation: what is stopped does not run.
#[test]
fn a_disabled_input_inherits_no_activation() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    pump(&engine, Probes::Good);
    engine.set_input_enabled(S, 0, false).unwrap();
    pump(&engine, Probes::Good);
    let _ = engine.record_packet(S, 1);
    assert_eq!(active(&engine), Some(1));
    update(&engine, &[], &[1], &[cold(0, "b")]);
    assert_eq!(pump(&engine, Probes::Good), ["stop 1"]);
    let now = status(&engine);
    assert_eq!((now.active_input_priority, now.status), (None, StreamStatus::Stopped));
    assert_eq!((now.inputs[0].status, now.inputs[0].running), (InputStatus::Stopped, false));
    assert_eq!(engine.record_packet(S, 0), Verdict::Stale);
}

// §8.3: a leaving input's activation is adopted by a later call, too.
#[test]
fn a_leaving_inputs_source_is_adopted_by_the_next_update() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    pump(&engine, Probes::Good);
    let _ = engine.record_packet(S, 0);
    update(&engine, &[], &[0], &[]);
    assert_eq!(waiting(&engine), ["start 1 b"]);
    assert_eq!(status(&engine).leaving_input_priority, Some(0));
    update(&engine, &[cold(2, "a")], &[], &[]);
    let calls = waiting(&engine);
    assert_eq!(calls[..2], ["rebind 0>2", "stop 1"], "{calls:?}");
    let now = status(&engine);
    assert_eq!((now.active_input_priority, now.leaving_input_priority), (Some(2), None));
    assert_eq!(now.switches[0].reason, SwitchReason::InputRemoved);
    assert!(engine.record_packet(S, 2).is_forward(), "it never left the air");
}

// §5.5: the time of an adopted input's last packet is that packet's time.
#[test]
fn an_adopted_input_keeps_the_time_of_its_last_packet() {
    let engine = hand([hot(1, "a")]);
    engine.advance(secs(5));
    for _ in 0..25 {
        engine.advance(secs(1));
        let _ = engine.record_packet(S, 1);
    }
    update(&engine, &[hot(3, "a")], &[1], &[]);
    assert_eq!(status(&engine).inputs[0].last_packet_at.map(engine_second), Some(30));
    engine.advance(secs(10));
    assert_eq!(status(&engine).inputs[0].last_packet_at.map(engine_second), Some(30));
}

// §4.2: its silence is counted from that packet, not from an older one.
#[test]
fn an_adopted_input_is_not_declared_silent_early() {
    let engine = hand([hot(1, "a"), hot(2, "b")]);
    let events = engine.subscribe(0);
    for _ in 0..25 {
        engine.advance(secs(1));
        let _ = engine.record_packet(S, 1);
    }
    update(&engine, &[hot(3, "a")], &[1], &[]);
    engine.advance(ms(29_999));
    assert_eq!(degraded(&events), []);
    engine.advance(secs(1));
    assert_eq!(degraded(&events), [(55_000, 3)]);
}

// §7.2, §8.3: the operator chose the source: the override goes where the source goes.
#[test]
fn an_override_follows_its_renumbered_source() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    pump(&engine, Probes::Good);
    let _ = engine.record_packet(S, 0);
    engine.switch_input(S, 1).unwrap();
    pump(&engine, Probes::Good);
    assert!(engine.record_packet(S, 1).is_forward());
    assert_eq!(status(&engine).override_input_priority, Some(1));

    update(&engine, &[], &[], &[cold(0, "b"), cold(1, "a")]);
    assert!(waiting(&engine).contains(&"rebind 1>0".to_owned()));
    let now = status(&engine);
    assert_eq!((now.active_input_priority, now.override_input_priority), (Some(0), Some(0)));
    assert!(engine.record_packet(S, 0).is_forward());
}

// §4.1, §8.3: after a swap of addresses the cold input that was not started is not heard.
#[test]
fn swapped_addresses_leave_no_old_route_by_id() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    let Some(DriverCall::Start(start)) = engine.next_call() else { panic!("0 is started") };
    start.token().done();
    assert!(engine.record_packet(S, 0).is_forward());
    update(&engine, &[], &[], &[cold(0, "b"), cold(1, "a")]);
    assert_eq!(active(&engine), Some(1));
    assert_eq!(engine.record_packet(S, 0), Verdict::Stale);
    assert!(engine.record_packet(S, 1).is_forward());
}

// §3.6, §8.3: nor does it forward into, or cut for, another stream.
#[test]
fn swapped_addresses_never_reach_another_stream() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    let Some(DriverCall::Start(start)) = engine.next_call() else { panic!("0 is started") };
    start.token().done();
    let _ = engine.record_packet(S, 0);
    update(&engine, &[], &[], &[cold(0, "b"), cold(1, "a")]);
    engine.set_input_enabled(S, 0, false).unwrap();
    engine.report_input_error(S, 1, None, "gone").unwrap();
    let mut others = Vec::new();
    for i in 0..200 {
        let id = format!("other{i}");
        engine.register(crate::stream(&id, [hot(0, "x"), hot(1, "y")])).unwrap();
        let (mut x, mut y) =
            (engine.recorder(&id, 0, None).unwrap(), engine.recorder(&id, 1, None).unwrap());
        let _ = (x.record(PACKET), y.record(PACKET));
        engine.advance(ms(1));
        engine.switch_input(&id, 1).unwrap();
        assert_eq!(engine.record_packet(S, 0), Verdict::Stale, "after {id}");
        if i % 3 == 0 {
            engine.unregister(&id).unwrap();
        }
        others.push((x, y));
    }
}

// §8.3: hot inputs heard by id only are heard on, under their new numbers, also after a failure.
#[test]
fn swapped_hot_inputs_are_heard_by_id() {
    let engine = hand([hot(0, "a"), hot(1, "b")]);
    for _ in 0..2 {
        let _ = engine.record_packet(S, 0);
    }
    update(&engine, &[], &[], &[hot(0, "b"), hot(1, "a")]);
    assert_eq!(active(&engine), Some(1));
    assert!(engine.record_packet(S, 1).is_forward());
    engine.report_input_error(S, 1, None, "gone").unwrap();
    let mut last = false;
    for _ in 0..10 {
        engine.advance(ms(10));
        let (v0, v1) = (engine.record_packet(S, 0), engine.record_packet(S, 1));
        assert!(!(v0.is_forward() && v1.is_forward()), "one input at a time");
        last = v0.is_forward() || v1.is_forward();
    }
    assert!(last, "somebody is heard");
    assert!(status(&engine).inputs.iter().all(|input| input.packets >= 9), "and both are counted");
}

// §7.3, §8.2: an address edited while the input is off, and still on the air, is the one that
// runs when it is enabled again.
#[test]
fn an_edit_made_while_it_is_leaving_holds_when_it_is_enabled_again() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    pump(&engine, Probes::Good);
    assert!(engine.record_packet(S, 0).is_forward());
    engine.set_input_enabled(S, 0, false).unwrap();
    assert_eq!(pump(&engine, Probes::Good), ["start 1 b"], "a successor is brought up");
    update(&engine, &[], &[], &[cold(0, "new")]);
    engine.set_input_enabled(S, 0, true).unwrap();
    let calls = pump(&engine, Probes::Good);
    assert!(calls.contains(&"start 0 new".to_owned()), "{calls:?}");
    assert!(engine.record_packet(S, 0).is_forward());
    let calls = pump(&engine, Probes::Good);
    assert!(calls.contains(&"stop 0".to_owned()), "its old source ends: {calls:?}");
    let now = status(&engine);
    assert_eq!((now.active_input_priority, now.leaving_input_priority), (Some(0), None));
}
