//! A usable input is tried in the end, and old news prove nothing.

use changeover::{EngineConfig, Packet};

use crate::{PACKET, Probes, S, active, cold, degraded, hand_with, hot, pump, secs, status};

fn config() -> EngineConfig {
    EngineConfig { packet_timeout_ms: 17_000, ..Default::default() }
}

// Issue 6, liveness (found by the simulator): encoders 0 and 1 hang behind an open port, so that
// probes and starts of them succeed; 2 would deliver. The stream went 0 > 1 > 0 > 1 for ever.
#[test]
fn two_that_answer_and_never_deliver_do_not_keep_the_stream_from_a_third() {
    let engine = hand_with(config(), [cold(0, "hangs"), cold(1, "hangs"), cold(2, "good")]);
    let mut started = Vec::new();
    for _ in 0..120 {
        let calls = pump(&engine, Probes::Good);
        started.extend(calls.into_iter().filter(|call| call.starts_with("start")));
        engine.advance(secs(1));
        if started.contains(&"start 2 good".to_owned()) {
            assert!(engine.record_packet(S, 2).is_forward());
        }
    }
    // Afterwards failbacks to 0 and 1 are tried, and the stream stays on 2 meanwhile.
    assert_eq!(started[..3], ["start 0 hangs", "start 1 hangs", "start 2 good"]);
    assert_eq!(active(&engine), Some(2));
    assert!(status(&engine).switches.iter().filter(|switch| switch.to == 2).count() == 1);
}

// One that was tried in vain is tried again, longest ago first: it may have come back.
#[test]
fn those_that_were_tried_in_vain_take_turns() {
    let engine = hand_with(config(), [cold(0, "a"), cold(1, "b"), cold(2, "c")]);
    let mut started = Vec::new();
    for _ in 0..17 * 7 {
        let calls = pump(&engine, Probes::Good);
        started.extend(calls.into_iter().filter(|call| call.starts_with("start")));
        engine.advance(secs(1));
    }
    started.truncate(6);
    assert_eq!(
        started,
        ["start 0 a", "start 1 b", "start 2 c", "start 0 a", "start 1 b", "start 2 c"]
    );
}

// A packet whose own time is T ago (a sender whose clock is behind) brought a recovery and a
// degradation each.
#[test]
fn a_packet_that_was_too_old_when_it_came_ends_no_silence() {
    let engine = hand_with(config(), [hot(0, "a")]);
    let mut a = engine.recorder(S, 0, None).expect("opens");
    let _ = a.record(PACKET);
    let events = engine.subscribe(0);
    engine.advance(secs(60));
    assert_eq!(degraded(&events).len(), 1);
    for _ in 0..10 {
        engine.advance(secs(1));
        let _ = a.record_at(Packet::new(1), engine.now_ns() - secs(20).as_nanos() as u64);
    }
    assert!(status(&engine).exhausted);
    assert_eq!(events.drain(), [], "nothing has changed");
    let _ = a.record_at(Packet::new(1), engine.now_ns() - secs(16).as_nanos() as u64);
    assert!(!status(&engine).exhausted);
}
