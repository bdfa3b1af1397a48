//! The decisions of one stream, driven by hand: switches, trials, stalls, timeouts and tickets.

use changeover::{DriverCall, EngineConfig, EventKind, InputStatus, StreamStatus, SwitchReason};

use crate::{
    PACKET, Probes, S, active, cold, degraded, hand, hand_with, hot, ms, pump, secs, show, status,
    update,
};

/// T = 5 s.
fn five_seconds() -> EngineConfig {
    EngineConfig { packet_timeout_ms: 5_000, ..Default::default() }
}

// §5.2: make before break holds for every switch, not only for the first one of an epoch.
#[test]
fn the_second_switch_to_an_input_waits_for_its_packet_too() {
    let engine = hand([hot(0, "a"), hot(1, "b")]);
    let (mut a, mut b) =
        (engine.recorder(S, 0, None).unwrap(), engine.recorder(S, 1, None).unwrap());
    let _ = (a.record(PACKET), b.record(PACKET));
    engine.switch_input(S, 1).unwrap();
    assert!(b.record(PACKET).is_forward());
    engine.switch_input(S, 0).unwrap();
    assert!(a.record(PACKET).is_forward());
    engine.advance(secs(20));
    assert!(a.record(PACKET).is_forward());

    engine.switch_input(S, 1).unwrap();
    let now = status(&engine);
    assert_eq!((now.active_input_priority, now.pending_input_priority), (Some(0), Some(1)));
    assert!(a.record(PACKET).is_forward(), "b's last packet is 20 s old");
    assert!(b.record(PACKET).is_forward());
    assert_eq!(active(&engine), Some(1));
    assert!(!a.record(PACKET).is_forward());
}

// §5.2: so does a failback to an input that has been on the air before.
#[test]
fn a_failback_to_an_earlier_active_input_waits_for_its_packet_too() {
    let engine = hand([hot(0, "a"), hot(1, "b")]);
    let (mut a, mut b) =
        (engine.recorder(S, 0, None).unwrap(), engine.recorder(S, 1, None).unwrap());
    let _ = (a.record(PACKET), b.record(PACKET));
    for (to, recorder) in [(1, &mut b), (0, &mut a)] {
        engine.switch_input(S, to).unwrap();
        assert!(recorder.record(PACKET).is_forward());
    }
    engine.switch_input(S, 1).unwrap();
    assert!(b.record(PACKET).is_forward());
    engine.clear_override(S).unwrap();
    for _ in 0..11 {
        engine.advance(secs(1));
        let _ = (a.record(PACKET), b.record(PACKET));
    }
    assert_eq!(active(&engine), Some(1), "the cooldown runs");
    engine.advance(ms(1_500));
    assert_eq!(active(&engine), Some(1), "the cooldown is over, and a has not delivered since");
    assert!(b.record(PACKET).is_forward());
    assert!(a.record(PACKET).is_forward());
    assert_eq!(active(&engine), Some(0));
    assert_eq!(status(&engine).switches[0].reason, SwitchReason::Failback);
}

// §6.1: a start as a probe comes once a cooldown, also if it reports an error in its first breath.
#[test]
fn failing_trial_starts_come_once_a_cooldown() {
    let engine = hand([cold(0, "a")]);
    pump(&engine, Probes::Unsupported);
    engine.report_input_error(S, 0, None, "boom").unwrap();
    let mut starts = Vec::new();
    for second in 0..=60 {
        while let Some(call) = engine.next_call() {
            match call {
                DriverCall::Start(call) => {
                    starts.push(second);
                    call.token().done();
                    engine.report_input_error(S, 0, Some(call.epoch), "still dead").unwrap();
                }
                DriverCall::Probe(call) => call.token().unsupported(),
                _ => {}
            }
            assert!(starts.len() < 20, "a storm of starts: {starts:?}");
        }
        engine.advance(secs(1));
    }
    assert!(starts.len() >= 5, "it is tried again and again: {starts:?}");
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= 8), "{starts:?}");
}

// §4.7: a second stall moves a deadline that the first one had moved.
#[test]
fn a_short_second_stall_moves_the_deadline_again() {
    let engine = hand_with(five_seconds(), [hot(0, "a"), hot(1, "b")]);
    let events = engine.subscribe(0);
    let mut a = engine.recorder(S, 0, None).unwrap();
    engine.advance(secs(1));
    let _ = a.record(PACKET);
    engine.advance(ms(100));
    engine.stall(secs(6));
    engine.advance(ms(0)); // wakes at 7.1 s: 6 s became 7.3 s
    engine.advance(ms(50));
    engine.stall(ms(60));
    engine.advance(ms(0)); // wakes at 7.21 s: 7.3 s becomes 7.41 s
    engine.set_config(engine.config()).unwrap(); // any look
    engine.advance(ms(500));
    assert_eq!(degraded(&events), [(7_410, 0)]);
}

// §4.7: also when the moved deadline passed within the second stall.
#[test]
fn a_long_second_stall_moves_the_deadline_again() {
    let engine = hand_with(five_seconds(), [hot(0, "a"), hot(1, "b")]);
    let events = engine.subscribe(0);
    let mut a = engine.recorder(S, 0, None).unwrap();
    engine.advance(secs(1));
    let _ = a.record(PACKET);
    engine.advance(ms(100));
    engine.stall(secs(6));
    engine.advance(ms(0)); // wakes at 7.1 s
    engine.advance(ms(50));
    engine.stall(secs(1));
    engine.advance(ms(0)); // wakes at 8.15 s
    engine.advance(ms(500));
    assert_eq!(degraded(&events), [(8_350, 0)]);
}

// §4.2, §4.3: a recorder opened anew gives its input the connect timeout from then.
#[test]
fn a_reopened_recorder_is_not_judged_by_the_old_ones_silence() {
    let config = EngineConfig { connect_timeout_ms: 2_000, ..Default::default() };
    let engine = hand_with(config, [hot(0, "a"), cold(1, "b")]);
    let mut first = engine.recorder(S, 0, None).unwrap();
    engine.advance(secs(1));
    let _ = first.record(PACKET);
    engine.advance(secs(4));
    assert_eq!(status(&engine).inputs[0].status, InputStatus::Active);
    let mut second = engine.recorder(S, 0, None).unwrap();
    assert_ne!(status(&engine).inputs[0].status, InputStatus::Degraded, "at once");
    engine.advance(ms(1_900));
    assert!(second.record(PACKET).is_forward(), "within its connect timeout");
    engine.advance(secs(5));
    assert_eq!(status(&engine).inputs[0].status, InputStatus::Active);
}

// §7.1, §7.2: a second switch to the target that is coming up supersedes nothing.
#[test]
fn two_tickets_for_one_pending_switch_are_both_accepted() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    pump(&engine, Probes::Good);
    let _ = engine.record_packet(S, 0);
    let events = engine.subscribe(0);
    let tickets = [engine.switch_input(S, 1).unwrap(), engine.switch_input(S, 1).unwrap()];
    assert_eq!(tickets[0].outcome(), None, "not decided by the second");
    assert_eq!(pump(&engine, Probes::Good), ["start 1 b"]);
    let _ = engine.record_packet(S, 1);
    for ticket in &tickets {
        assert_eq!(ticket.outcome(), Some(Ok(())));
    }
    assert_eq!(status(&engine).override_input_priority, Some(1));
    assert_eq!(status(&engine).failovers_total, 1);
    let failed = |kind: &EventKind| matches!(kind, EventKind::SwitchFailed { .. });
    assert!(!events.drain().iter().any(|event| failed(&event.kind)));
}

// §6.4: an exhausted stream keeps trying what it has while an unproved input is waited for.
#[test]
fn trials_go_on_while_an_unproved_input_connects() {
    let engine = hand([cold(0, "a")]);
    pump(&engine, Probes::Unsupported);
    engine.report_input_error(S, 0, None, "boom").unwrap();
    pump(&engine, Probes::Unsupported);
    engine.advance(secs(8)); // the probe; unsupported: a start is the probe
    let mut tried = false;
    while let Some(call) = engine.next_call() {
        match call {
            DriverCall::Probe(call) => call.token().unsupported(),
            DriverCall::Start(call) => {
                tried = true;
                call.token().failed("not yet");
            }
            _ => {}
        }
    }
    assert!(tried);
    update(&engine, &[cold(-1, "dead")], &[], &[]);
    assert_eq!(pump(&engine, Probes::Unsupported), ["start -1 dead"]);
    assert!(status(&engine).exhausted, "nothing has delivered");
    engine.advance(secs(8));
    assert_eq!(pump(&engine, Probes::Unsupported), ["start 0 a"], "-1 has 22 s left");
    let _ = engine.record_packet(S, 0);
    assert_eq!((status(&engine).exhausted, active(&engine)), (false, Some(0)));
}

// §8.5: a shorter probe cooldown holds at once for inputs that are cooling down.
#[test]
fn a_shorter_probe_cooldown_is_effective_at_once() {
    let config = EngineConfig { probe_cooldown_ms: 3_600_000, ..Default::default() };
    let engine = hand_with(config, [cold(0, "a")]);
    pump(&engine, Probes::Good);
    engine.report_input_error(S, 0, None, "boom").unwrap();
    assert_eq!(pump(&engine, Probes::Good), ["stop 0"]);
    engine.advance(secs(20));
    assert_eq!(pump(&engine, Probes::Good), [""; 0]);
    engine.set_config(EngineConfig::default()).unwrap();
    engine.advance(ms(0));
    assert_eq!(pump(&engine, Probes::Good), ["probe 0", "start 0 a"]);
}

// §5.1: no move from an input that is silent to one that has been silent for longer.
#[test]
fn no_move_to_an_input_that_is_silent_for_longer() {
    let late = hot(1, "b").with_packet_timeout(secs(60));
    let engine = hand_with(five_seconds(), [hot(0, "a"), late]);
    let events = engine.subscribe(0);
    let (mut a, mut b) =
        (engine.recorder(S, 0, None).unwrap(), engine.recorder(S, 1, None).unwrap());
    let _ = (a.record(PACKET), b.record(PACKET));
    engine.advance(secs(4));
    let _ = a.record(PACKET);
    engine.advance(secs(10));
    assert_eq!(degraded(&events), [(9_000, 0)]);
    assert_eq!((active(&engine), status(&engine).failovers_total), (Some(0), 0));
    let _ = b.record(PACKET); // not forwarded itself, but it is what makes b the better one
    assert!(b.record(PACKET).is_forward());
    assert_eq!((active(&engine), status(&engine).failovers_total), (Some(1), 1));
}

// §7.3: what is enabled again while it is still on the air stays there until the next delivers.
#[test]
fn an_input_enabled_again_while_leaving_stays_on_the_air() {
    let engine = hand([cold(0, "a"), hot(1, "b")]);
    let mut b = engine.recorder(S, 1, None).unwrap();
    let Some(DriverCall::Start(start)) = engine.next_call() else { panic!("0 is started") };
    start.token().failed("no");
    let _ = b.record(PACKET);
    engine.advance(secs(8));
    let _ = b.record(PACKET);
    let Some(DriverCall::Probe(probe)) = engine.next_call() else { panic!("0 is probed") };
    probe.token().done();
    engine.set_input_enabled(S, 1, false).unwrap();
    let waiting = engine.calls();
    assert_eq!(waiting.iter().map(show).collect::<Vec<_>>(), ["start 0 a"]);
    assert_eq!(status(&engine).leaving_input_priority, Some(1));
    assert!(b.record(PACKET).is_forward());
    engine.set_input_enabled(S, 1, true).unwrap();
    let now = status(&engine);
    assert_eq!((now.active_input_priority, now.leaving_input_priority), (Some(1), None));
    assert_eq!(now.inputs[1].status, InputStatus::Active);
    engine.advance(secs(20));
    assert!(b.record(PACKET).is_forward(), "while 0 comes up");
    assert_eq!(status(&engine).status, StreamStatus::Active);
}

// §4.2: the packets of a producer that is gone count for its input.
#[test]
fn a_closed_siblings_packets_count() {
    let engine = hand([hot(0, "a"), hot(1, "b")]);
    let events = engine.subscribe(0);
    let mut first = engine.recorder(S, 0, None).unwrap();
    let _ = first.record(PACKET);
    let mut sibling = first.sibling().unwrap();
    for _ in 0..29 {
        engine.advance(secs(1));
        let _ = sibling.record(PACKET);
    }
    drop(sibling);
    engine.advance(ms(29_900));
    assert_eq!(degraded(&events), []);
    engine.advance(secs(1));
    assert_eq!(degraded(&events), [(59_000, 0)], "its last packet came at 29 s");
}

// §7.3: a hot input that is switched off keeps its recorder.
#[test]
fn a_disabled_hot_input_keeps_its_recorder() {
    let engine = hand([hot(0, "a"), hot(1, "b")]);
    let (mut a, mut b) =
        (engine.recorder(S, 0, None).unwrap(), engine.recorder(S, 1, None).unwrap());
    let _ = (a.record(PACKET), b.record(PACKET));
    for (off, verdict_of_a) in [(1, true), (0, true)] {
        engine.set_input_enabled(S, off, false).unwrap();
        assert_eq!(a.record(PACKET).is_forward(), verdict_of_a);
        assert_ne!(b.record(PACKET), changeover::Verdict::Stale);
        assert_ne!(a.record(PACKET), changeover::Verdict::Stale);
        engine.set_input_enabled(S, off, true).unwrap();
        let _ = (a.record(PACKET), b.record(PACKET));
    }
    assert_eq!(status(&engine).inputs[0].packets, 7);
    assert_eq!(status(&engine).inputs[1].packets, 5);
    assert!(b.record(PACKET).is_forward(), "it took over when 0 was switched off");
}
