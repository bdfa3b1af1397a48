//! Streams at rest: their machines are not asked while packets come, and know nothing of those
//! packets until something else happens.

use changeover::{
    Condition, DriverCall, EngineConfig, EventKind, HandEngine, InputsUpdate, Recorder, Verdict,
};

use crate::{PACKET, S, active, cold, hand_with, hot, ms, stream};

fn a_second() -> EngineConfig {
    EngineConfig { packet_timeout_ms: 1_000, ..EngineConfig::default() }
}

fn deliver(hand: &HandEngine, times: usize, inputs: &mut [&mut Recorder]) {
    for _ in 0..times {
        for input in &mut *inputs {
            assert_ne!(input.record(PACKET), Verdict::Stale);
        }
        hand.advance(ms(50));
    }
}

#[test]
fn the_first_packet_by_id_of_a_standby_makes_nobody_else_silent() {
    let hand = hand_with(a_second(), [hot(0, "a"), hot(1, "b"), hot(2, "c")]);
    let [mut a, mut b] = [0, 1].map(|n| hand.recorder(S, n, None).unwrap());
    deliver(&hand, 60, &mut [&mut a, &mut b]);
    let events = hand.subscribe(0);
    let _ = hand.record_packet(S, 2);
    deliver(&hand, 2, &mut [&mut a, &mut b]);
    let degraded = |kind: &EventKind| matches!(kind, EventKind::InputDegraded { .. });
    let seen = events.drain();
    assert!(!seen.iter().any(|event| degraded(&event.kind)), "{seen:?}");
    assert_eq!(active(&hand), Some(0));
}

#[test]
fn packets_by_id_of_an_epoch_before_count_for_nothing() {
    let hand = hand_with(a_second(), [hot(0, "a"), hot(1, "b")]);
    let mut b = hand.recorder(S, 1, None).unwrap();
    for _ in 0..20 {
        deliver(&hand, 1, &mut [&mut b]);
        let _ = hand.record_packet(S, 0);
    }
    let now = hand.now_ns();
    let mut a = hand.recorder(S, 0, None).unwrap();
    let _ = a.record_at(PACKET, now - 900_000_000);
    deliver(&hand, 1, &mut [&mut b]);
    assert_eq!(active(&hand), Some(0));
    deliver(&hand, 1, &mut [&mut b]);
    assert_eq!(active(&hand), Some(1), "a second after the one packet of its epoch");
}

#[test]
fn a_renumbered_input_is_not_kept_alive_by_its_numbers_former_owner() {
    let hand = hand_with(a_second(), [hot(0, "a"), hot(1, "b"), hot(2, "c")]);
    let [mut b, mut c] = [1, 2].map(|n| hand.recorder(S, n, None).unwrap());
    deliver(&hand, 20, &mut [&mut b, &mut c]);
    assert_eq!(active(&hand), Some(1));
    // B falls silent; packets by id go on for A, which has failed to please so far.
    for _ in 0..16 {
        let _ = hand.record_packet(S, 0);
        deliver(&hand, 1, &mut [&mut c]);
    }
    let update =
        InputsUpdate { removed: vec![1], updated: vec![hot(0, "b")], ..InputsUpdate::default() };
    hand.update_inputs(S, update).unwrap();
    assert_eq!(active(&hand), Some(0), "the same source under another number");
    deliver(&hand, 5, &mut [&mut c]);
    assert_eq!(active(&hand), Some(2), "a second after its own last packet");
}

#[test]
fn all_that_is_due_is_done_in_one_call_by_hand() {
    const STREAMS: usize = 3_000;
    let hand = HandEngine::new_for_testing(a_second());
    let id = |n: usize| format!("s{n}");
    let mut recorders = Vec::new();
    for n in 0..STREAMS {
        hand.register(stream(&id(n), [hot(0, "a"), hot(1, "b")])).unwrap();
        let pair = [0, 1].map(|priority| hand.recorder(&id(n), priority, None).unwrap());
        recorders.extend(pair);
    }
    let mut record = |from: usize| {
        for recorder in recorders.iter_mut().skip(from).step_by(1 + from) {
            let _ = recorder.record(PACKET);
        }
    };
    record(0);
    hand.advance(ms(500));
    record(1);
    hand.advance(ms(497));
    // Too short to be taken for a stall of the monitor.
    hand.stall(ms(8));
    // Any call that wakes it.
    hand.report_input_error(&id(0), 0, None, "").unwrap();
    let on_backup = (0..STREAMS)
        .filter(|n| hand.runtime_status(&id(*n)).unwrap().active_input_priority == Some(1));
    assert_eq!(on_backup.count(), STREAMS);
}

#[test]
fn a_move_that_waits_for_a_cooldown_is_made_when_that_ends() {
    let config = EngineConfig {
        failback_cooldown_ms: 5_000,
        failback_stable_ms: 100,
        probe_cooldown_ms: 500,
        ..a_second()
    };
    let hand = hand_with(config, [hot(0, "a"), cold(1, "b"), hot(2, "c")]);
    let events = hand.subscribe(0);
    let mut recorders = vec![hand.recorder(S, 2, None).unwrap()];
    let run = |times: usize, recorders: &mut Vec<Recorder>, is_good: bool| {
        for _ in 0..times {
            for recorder in recorders.iter_mut() {
                let _ = recorder.record(PACKET);
            }
            hand.advance(ms(50));
            for call in hand.calls() {
                match call {
                    DriverCall::Start(call) if is_good => {
                        call.token().done();
                        let epoch = call.epoch;
                        let opened = hand.recorder(S, call.input.priority, epoch).unwrap();
                        recorders.push(opened);
                    }
                    DriverCall::Start(call) => call.token().failed("no"),
                    DriverCall::Probe(call) if is_good => call.token().done(),
                    DriverCall::Probe(call) => call.token().failed("no"),
                    _ => {}
                }
            }
        }
    };
    run(30, &mut recorders, false);
    run(150, &mut recorders, true);
    assert_eq!(active(&hand), Some(1), "a failback to the cold one");
    // It dies young: the next move there is damped.
    let at = recorders.iter().position(|recorder| recorder.priority() == 1).unwrap();
    recorders.swap_remove(at).report_error("boom");
    recorders.push(hand.recorder(S, 0, None).unwrap());
    run(120, &mut recorders, true);
    assert_eq!(active(&hand), Some(0));
    drop(events.drain());
    hand.raise_condition(S, 0, Condition::new("black").hold_ms(1).clear_ms(1)).unwrap();
    run(2, &mut recorders, true);
    let remaining = events.drain().into_iter().find_map(|event| match event.kind {
        EventKind::SwitchRefused { rule: "failback_cooldown", remaining_ms, .. } => {
            Some(remaining_ms)
        }
        _ => None,
    });
    let steps = remaining.expect("a refusal with its end") as usize / 50;
    run(steps - 3, &mut recorders, true);
    assert_eq!(active(&hand), Some(0));
    run(6, &mut recorders, true);
    assert_eq!(active(&hand), Some(1), "when the cooldown is over");
}
