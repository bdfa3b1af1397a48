//! Bad input of every public operation: each is refused with its own error, and nothing changes.

use std::time::Duration;

use changeover::{
    Engine, EngineConfig, Epoch, Error, HandEngine, InputConfig, InputsUpdate, Packet,
    StreamConfig, Verdict,
};

const DAY: Duration = Duration::from_secs(86_400);

fn hand() -> HandEngine {
    HandEngine::new_for_testing(EngineConfig::default())
}

fn cold(priority: i32) -> InputConfig {
    InputConfig::cold(priority, format!("a{priority}"))
}

/// A stream "s" with a delivering cold 0, a cold 1 and a hot 2. Answers the epoch of 0.
fn registered(hand: &HandEngine) -> Epoch {
    let stream = StreamConfig::new("s").input(cold(0)).input(cold(1));
    hand.register(stream.input(InputConfig::hot(2, "a2"))).expect("registers");
    let call = match hand.next_call().expect("a start") {
        changeover::DriverCall::Start(call) => call,
        other => panic!("{other:?}"),
    };
    call.token().done();
    assert!(hand.record_packet("s", 0).is_forward());
    call.epoch
}

fn unknown_stream(stream: &str) -> Error {
    Error::UnknownStream { stream: stream.to_owned() }
}

fn unknown_input(priority: i32) -> Error {
    Error::UnknownInput { stream: "s".to_owned(), priority }
}

#[test]
fn register_refuses_bad_ids() {
    let hand = hand();
    let register = |id: &str| hand.register(StreamConfig::new(id).input(cold(0)));
    assert_eq!(register(""), Err(Error::EmptyStreamId));
    for bad in ["a\nb", "\0", "tab\t", "del\u{7f}", "c1\u{85}", &"x".repeat(129), &"ж".repeat(65)]
    {
        assert!(matches!(register(bad), Err(Error::BadStreamId { .. })), "{bad:?}");
    }
    let buffer = StreamConfig::new("s").buffer_write_id("a\u{1b}b").input(cold(0));
    assert!(matches!(hand.register(buffer), Err(Error::BadStreamId { .. })));
    assert!(hand.registered_streams().is_empty() && hand.calls().is_empty());
    // The longest id, and one with spaces and quotes, are fine.
    let longest = "ж".repeat(64);
    assert_eq!(register(&longest), Ok(()));
    assert_eq!(register("a \"quoted\" \\ id"), Ok(()));
    assert!(hand.is_registered(&longest) && hand.calls().len() == 2);
    let text = hand.metrics_text();
    assert!(text.contains(r#"stream="a \"quoted\" \\ id""#), "labels are escaped: {text}");
}

#[test]
fn register_refuses_duplicates_and_negative_durations() {
    let hand = hand();
    let twice = StreamConfig::new("s").input(cold(4)).input(cold(-4)).input(cold(4));
    assert_eq!(hand.register(twice), Err(Error::DuplicatePriority { priority: 4 }));
    let negative = |field, value_ms| Err(Error::NegativeDuration { field, value_ms });
    let stream = StreamConfig { packet_timeout_ms: -1, ..StreamConfig::new("s") };
    assert_eq!(hand.register(stream), negative("packet_timeout_ms", -1));
    let stream = StreamConfig { connect_timeout_ms: i64::MIN, ..StreamConfig::new("s") };
    assert_eq!(hand.register(stream), negative("connect_timeout_ms", i64::MIN));
    let input = InputConfig { connect_timeout_ms: -5, ..cold(0) };
    let stream = StreamConfig::new("s").input(input);
    assert_eq!(hand.register(stream), negative("connect_timeout_ms", -5));
    assert!(hand.registered_streams().is_empty() && hand.calls().is_empty());
}

#[test]
fn absurd_timeouts_saturate() {
    let hand = hand();
    let absurd =
        InputConfig { packet_timeout_ms: i64::MAX, connect_timeout_ms: i64::MAX, ..cold(0) };
    let stream = StreamConfig::new("s").input(absurd.with_packet_timeout(Duration::MAX));
    hand.register(stream.with_packet_timeout(Duration::MAX)).expect("registers");
    let Some(changeover::DriverCall::Start(call)) = hand.next_call() else { panic!("no start") };
    call.token().done();
    hand.advance(DAY * 10_000);
    let _ = hand.record_packet("s", 0);
    hand.advance(DAY * 10_000);
    let status = hand.runtime_status("s").expect("registered");
    assert_eq!((status.active_input_priority, status.exhausted), (Some(0), false));
    assert!(status.input(0).expect("is there").errors.is_empty());
}

#[test]
fn every_operation_refuses_unknown_streams() {
    let hand = hand();
    registered(&hand);
    drop(hand.calls());
    let long = "x".repeat(4096);
    for id in ["nowhere", "", "S", "s ", "a\nb", &long] {
        let unknown = Err(unknown_stream(id));
        assert_eq!(hand.unregister(id), unknown);
        assert_eq!(hand.clear_override(id), unknown);
        assert_eq!(hand.set_input_enabled(id, 0, false), unknown);
        assert_eq!(hand.update_inputs(id, InputsUpdate::default()), unknown);
        assert_eq!(hand.update_buffer_write_id(id, "B"), unknown);
        assert_eq!(hand.switch_input(id, 0).err(), Some(unknown_stream(id)));
        assert_eq!(hand.input_health(id, 0).err(), Some(unknown_stream(id)));
        assert_eq!(hand.runtime_status(id).err(), Some(unknown_stream(id)));
        assert_eq!(hand.recorder(id, 0, None).err(), Some(unknown_stream(id)));
        assert_eq!(hand.report_input_error(id, 0, None, "x"), unknown);
        assert_eq!(hand.record_packet(id, 0), Verdict::Stale);
        assert!(!hand.is_registered(id));
        let barrier = hand.unregister_and_wait(id, Duration::from_secs(1));
        assert!(matches!(barrier, Err(Error::UnknownStream { .. } | Error::WouldBlock { .. })));
    }
    assert_eq!(hand.registered_streams(), ["s"]);
    assert!(hand.calls().is_empty());
}

#[test]
fn every_operation_refuses_unknown_inputs() {
    let hand = hand();
    registered(&hand);
    let before = hand.runtime_status("s").expect("registered");
    for priority in [3, -1, i32::MIN, i32::MAX] {
        let unknown = Err(unknown_input(priority));
        assert_eq!(hand.set_input_enabled("s", priority, true), unknown);
        assert_eq!(hand.report_input_error("s", priority, None, "x"), unknown);
        assert_eq!(hand.switch_input("s", priority).err(), Some(unknown_input(priority)));
        assert_eq!(hand.input_health("s", priority).err(), Some(unknown_input(priority)));
        assert_eq!(hand.recorder("s", priority, None).err(), Some(unknown_input(priority)));
        assert_eq!(hand.record_packet("s", priority), Verdict::Stale);
    }
    assert_eq!(hand.runtime_status("s").expect("registered"), before);
    assert!(hand.calls().is_empty());
}

#[test]
fn an_update_with_one_fault_changes_nothing() {
    let hand = hand();
    registered(&hand);
    let before = hand.runtime_status("s").expect("registered");
    let duplicate = |priority| Err(Error::DuplicatePriority { priority });
    let good = || vec![cold(9)];
    let update = |added: Vec<InputConfig>, removed: &[i32], updated: Vec<InputConfig>| {
        hand.update_inputs("s", InputsUpdate { added, removed: removed.to_vec(), updated })
    };
    assert_eq!(update(vec![cold(9), cold(9)], &[], vec![]), duplicate(9));
    assert_eq!(update(vec![cold(9), cold(1)], &[], vec![]), duplicate(1));
    assert_eq!(update(good(), &[1, 1], vec![]), duplicate(1));
    assert_eq!(update(good(), &[], vec![cold(0), cold(0)]), duplicate(0));
    assert_eq!(update(good(), &[0, 7], vec![]), Err(unknown_input(7)));
    assert_eq!(update(good(), &[0], vec![cold(7)]), Err(unknown_input(7)));
    let both = update(good(), &[1], vec![cold(1)]);
    assert!(matches!(both, Err(Error::UnknownInput { .. } | Error::DuplicatePriority { .. })));
    let negative = InputConfig { packet_timeout_ms: -2, ..cold(5) };
    let refused = Err(Error::NegativeDuration { field: "packet_timeout_ms", value_ms: -2 });
    assert_eq!(update(vec![cold(9), negative.clone()], &[0], vec![]), refused);
    let negative = InputConfig { priority: 1, ..negative };
    assert_eq!(update(good(), &[0], vec![negative]), refused);
    assert_eq!(hand.runtime_status("s").expect("registered"), before);
    // An update without content is one.
    assert_eq!(update(vec![], &[], vec![]), Ok(()));
    assert_eq!(hand.runtime_status("s").expect("registered"), before);
    assert!(hand.calls().is_empty());
    // The same priority removed and added is a replacement.
    let replacement = InputConfig::cold(1, "another");
    assert_eq!(update(vec![replacement], &[1], vec![]), Ok(()));
    assert_eq!(hand.input_health("s", 1).expect("is there").input.address, "another");
}

#[test]
fn recorders_want_the_open_epoch() {
    let hand = hand();
    let epoch = registered(&hand);
    let stale = |priority, epoch| Some(Error::StaleEpoch { priority, epoch });
    // A cold input's epoch is the one given to its start.
    assert_eq!(hand.recorder("s", 0, None).err(), stale(0, None));
    assert_eq!(hand.recorder("s", 1, None).err(), stale(1, None));
    assert_eq!(hand.recorder("s", 1, epoch).err(), stale(1, Some(epoch)));
    assert_eq!(hand.recorder("s", 2, epoch).err(), stale(2, Some(epoch)));
    let mut recorder = hand.recorder("s", 0, epoch).expect("the open epoch");
    let second = hand.recorder("s", 0, epoch).err();
    assert_eq!(second, Some(Error::RecorderOpen { priority: 0, epoch }));
    let mut sibling = recorder.sibling().expect("a further producer");
    assert!(sibling.record(Packet::new(usize::MAX)).is_forward());
    assert!(recorder.record(Packet::default()).is_forward());
    assert_eq!((recorder.stream(), recorder.priority(), recorder.epoch()), ("s", 0, epoch));
    // A hot one's is its own, and a new recorder ends the old one.
    let mut hot = hand.recorder("s", 2, None).expect("opens");
    assert_eq!(hot.record(Packet::new(1)), Verdict::Drop);
    let mut newer = hand.recorder("s", 2, None).expect("opens");
    assert!(newer.epoch() > hot.epoch());
    assert_eq!(hot.record(Packet::new(1)), Verdict::Stale);
    assert_eq!(hot.sibling().err(), stale(2, Some(hot.epoch())));
    assert_eq!(newer.record(Packet::new(1)), Verdict::Drop);
    // A report for an epoch that never was changes nothing.
    let before = hand.runtime_status("s").expect("registered");
    let _ = hand.report_input_error("s", 1, newer.epoch(), "x");
    let _ = hand.report_input_error("s", 2, hot.epoch(), "x");
    assert_eq!(hand.runtime_status("s").expect("registered"), before);
}

#[test]
fn given_packet_times_are_clamped() {
    let hand = hand();
    let epoch = registered(&hand);
    let mut recorder = hand.recorder("s", 0, epoch).expect("the open epoch");
    hand.advance(Duration::from_secs(20));
    let stamp = |hand: &HandEngine| {
        hand.runtime_status("s").expect("there").input(0).expect("there").last_packet_at
    };
    let _ = recorder.record(Packet::new(1));
    let now = stamp(&hand).expect("a packet came");
    // From the future: now. From before the last packet: that packet's time.
    let _ = recorder.record_at(Packet::new(1), u64::MAX);
    assert_eq!(stamp(&hand), Some(now));
    let _ = recorder.record_at(Packet::new(1), 0);
    assert_eq!(stamp(&hand), Some(now));
    hand.advance(Duration::from_secs(20));
    let _ = recorder.record_at(Packet::new(1), hand.now_ns() - 5_000_000_000);
    assert_eq!(stamp(&hand), Some(now + Duration::from_secs(15)));
}

#[test]
fn policies_are_checked() {
    let good = EngineConfig { packet_timeout_ms: 7000, ..Default::default() };
    let hand = HandEngine::new_for_testing(good.clone());
    let bad = EngineConfig { probe_cooldown_ms: -8, ..Default::default() };
    let refused = Error::NegativeDuration { field: "probe_cooldown_ms", value_ms: -8 };
    assert_eq!(hand.set_config(bad.clone()), Err(refused.clone()));
    assert_eq!(hand.config(), good, "unchanged");
    assert_eq!(Engine::builder().config(bad.clone()).build().err(), Some(refused.clone()));
    assert_eq!(Engine::builder().config(bad).build_hand_driven().err(), Some(refused));
    let ms = i64::MAX;
    let absurd = EngineConfig {
        packet_timeout_ms: ms,
        connect_timeout_ms: ms,
        probe_cooldown_ms: ms,
        probe_timeout_ms: ms,
        stop_timeout_ms: ms,
        failback_cooldown_ms: ms,
        failback_stable_ms: ms,
        error_history: 1,
        switch_history: 1,
        ..EngineConfig::default()
    };
    assert_eq!(hand.set_config(absurd.clone()), Ok(()));
    assert_eq!(hand.config(), absurd);
}

#[test]
fn after_shutdown_every_operation_says_so() {
    let hand = hand();
    let epoch = registered(&hand);
    let mut recorder = hand.recorder("s", 0, epoch).expect("the open epoch");
    let events = hand.subscribe(0);
    assert_eq!(hand.shutdown().expect("shuts down").detached_calls, 0);
    let gone = Err(Error::ShutDown);
    assert_eq!(hand.register(StreamConfig::new("t")), gone);
    assert_eq!(hand.unregister("s"), gone);
    assert_eq!(hand.clear_override("s"), gone);
    assert_eq!(hand.set_input_enabled("s", 0, true), gone);
    assert_eq!(hand.update_inputs("s", InputsUpdate::default()), gone);
    assert_eq!(hand.update_buffer_write_id("s", "B"), gone);
    assert_eq!(hand.report_input_error("s", 0, None, "x"), gone);
    assert_eq!(hand.set_config(EngineConfig::default()), gone);
    assert_eq!(hand.switch_input("s", 0).err(), Some(Error::ShutDown));
    assert_eq!(hand.recorder("s", 2, None).err(), Some(Error::ShutDown));
    assert_eq!(hand.runtime_status("s").err(), Some(Error::ShutDown));
    assert_eq!(hand.input_health("s", 0).err(), Some(Error::ShutDown));
    assert_eq!(recorder.record(Packet::new(1)), Verdict::Stale);
    recorder.report_error("late");
    assert_eq!(hand.record_packet("s", 0), Verdict::Stale);
    hand.set_exhausted_callback(Some(Box::new(|_| panic!("no callback any more"))));
    hand.set_exhausted_callback(None);
    hand.advance(DAY);
    hand.stall(DAY);
    assert!(events.is_closed() && hand.subscribe(1).is_closed());
    let stops: Vec<_> = hand.calls();
    assert!(stops.iter().all(|c| matches!(c, changeover::DriverCall::Stop(_))), "{stops:?}");
    assert!(!hand.is_registered("s") && hand.registered_streams().is_empty());
    let _ = (hand.metrics_text(), hand.stats(), hand.config(), hand.now_ns());
    assert!(hand.shutdown().is_ok(), "a second one is harmless");
}
