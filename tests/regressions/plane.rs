//! The packet plane: by hand where one order of things is enough, with real threads where not.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use changeover::{
    DriverCall, Engine, EngineConfig, Error, EventKind, HandEngine, Recorder, Verdict,
};

use crate::{PACKET, S, active, cold, hand, hot, ms, stream};

fn engine(config: EngineConfig) -> Engine {
    Engine::builder().config(config).build().expect("builds")
}

fn two_hot() -> [changeover::InputConfig; 2] {
    [hot(0, "a"), hot(1, "b")]
}

// §5.2: a switch to an input that is heard by id only is made by its next packet.
#[test]
fn a_by_id_packet_makes_the_cut() {
    let engine = hand(two_hot());
    for _ in 0..2 {
        let _ = (engine.record_packet(S, 0), engine.record_packet(S, 1));
    }
    engine.switch_input(S, 1).unwrap();
    assert_eq!(active(&engine), Some(0));
    for _ in 0..5 {
        assert!(engine.record_packet(S, 1).is_forward());
        assert_eq!(engine.record_packet(S, 0), Verdict::Drop, "never two at once");
        engine.advance(ms(10));
    }
    assert_eq!(active(&engine), Some(1));
}

/// A stream's recorder with a sibling, both used, and the stream is gone.
fn recorders_of_a_gone_stream(engine: &HandEngine) -> [Recorder; 2] {
    engine.register(stream("victim", [hot(0, "a")])).unwrap();
    let mut first = engine.recorder("victim", 0, None).unwrap();
    let mut sibling = first.sibling().unwrap();
    let _ = (first.record(PACKET), sibling.record(PACKET));
    engine.unregister("victim").unwrap();
    [first, sibling]
}

// §3.6: recorders of a stream that is gone answer stale, whoever has got their memory since.
#[test]
fn recorders_of_a_gone_stream_stay_stale() {
    let engine = hand([]);
    let mut gone = recorders_of_a_gone_stream(&engine);
    let mut others = Vec::new();
    for i in 0..50 {
        let id = format!("other{i}");
        engine.register(stream(&id, [hot(0, "x")])).unwrap();
        let mut recorder = engine.recorder(&id, 0, None).unwrap();
        let _ = recorder.record(PACKET);
        others.push(recorder);
        engine.advance(ms(1));
        for recorder in &mut gone {
            assert_eq!(recorder.record(PACKET), Verdict::Stale, "after {id}");
        }
    }
}

// §3.6, §5.2: nor do they make another stream's cut.
#[test]
fn recorders_of_a_gone_stream_cut_for_nobody() {
    let engine = hand([]);
    engine.register(stream("other", two_hot())).unwrap();
    let mut on_air = engine.recorder("other", 1, None).unwrap();
    engine.switch_input("other", 1).unwrap();
    assert!(on_air.record(PACKET).is_forward());
    let mut gone = recorders_of_a_gone_stream(&engine);
    assert_eq!(gone[0].record(PACKET), Verdict::Stale);
    for _ in 0..5 {
        engine.advance(ms(1));
    }
    let _silent = engine.recorder("other", 0, None).unwrap(); // may take the victim's memory
    engine.switch_input("other", 0).unwrap();
    for recorder in &mut gone {
        assert_eq!(recorder.record(PACKET), Verdict::Stale);
    }
    assert_eq!(engine.runtime_status("other").unwrap().active_input_priority, Some(1));
    assert!(on_air.record(PACKET).is_forward());
}

// §7.3: off and on again before the successor delivers: the input is heard all the time.
#[test]
fn a_by_id_input_switched_off_and_on_stays_on_the_air() {
    let engine = hand([cold(0, "a"), cold(1, "b")]);
    let Some(DriverCall::Start(start)) = engine.next_call() else { panic!("0 is started") };
    start.token().done();
    let _ = engine.record_packet(S, 0);
    engine.set_input_enabled(S, 0, false).unwrap();
    engine.set_input_enabled(S, 0, true).unwrap();
    for call in engine.calls() {
        if let DriverCall::Start(start) = call {
            start.token().done();
        }
    }
    for _ in 0..10 {
        engine.advance(ms(100));
        assert!(engine.record_packet(S, 0).is_forward());
    }
    assert_eq!(active(&engine), Some(0));
}

// §5.2: while a target is armed the input on the air may change; the cut ends the new one, too.
#[test]
fn a_cut_ends_the_input_that_came_on_the_air_meanwhile() {
    let engine = hand([cold(0, "a"), hot(1, "b")]);
    let Some(DriverCall::Start(start)) = engine.next_call() else { panic!("0 is started") };
    start.token().failed("no");
    engine.set_input_enabled(S, 0, false).unwrap();
    engine.set_input_enabled(S, 0, true).unwrap();
    let _ = engine.switch_input(S, 0);
    let starts = engine.calls().into_iter().filter_map(|call| match call {
        DriverCall::Start(start) => Some(start.epoch),
        _ => None,
    });
    let epoch = starts.last().expect("0 is started again");
    let (mut a, mut b) =
        (engine.recorder(S, 0, epoch).unwrap(), engine.recorder(S, 1, None).unwrap());
    let _ = (b.record(PACKET), b.record(PACKET), a.record(PACKET));
    for _ in 0..3 {
        engine.advance(ms(10));
        let on_air = [a.record(PACKET), b.record(PACKET)].map(Verdict::is_forward);
        assert_eq!(on_air, [true, false]);
    }
    assert_eq!(active(&engine), Some(0));
}

// §5.2, §5.3: an error in the breath after the cut leaves nobody's stream without an input.
#[test]
fn an_error_right_after_the_cut_is_no_black_hole() {
    let engine = engine(EngineConfig { packet_timeout_ms: 5_000, ..Default::default() });
    let mut tries = 0;
    for i in 0..40 {
        let id = format!("s{i}");
        engine.register(stream(&id, two_hot())).unwrap();
        let (mut a, mut b) =
            (engine.recorder(&id, 0, None).unwrap(), engine.recorder(&id, 1, None).unwrap());
        for _ in 0..20 {
            let _ = b.record(PACKET);
            if a.record(PACKET).is_forward() {
                break;
            }
            thread::sleep(ms(1));
        }
        engine.switch_input(&id, 1).unwrap();
        thread::sleep(ms(3));
        if b.record(PACKET).is_forward() {
            tries += 1;
            b.report_error("end of stream");
            let back = (0..500).any(|_| {
                thread::sleep(ms(2));
                a.record(PACKET).is_forward()
            });
            assert!(back, "nobody forwards: {:?}", engine.runtime_status(&id));
        }
        engine.unregister(&id).unwrap();
    }
    assert!(tries > 0, "no cut was made");
}

// Introduction, §4.2: silence is never declared early, however long the turn it falls into.
#[test]
fn silence_is_never_early_beside_a_busy_stream() {
    const T_MS: u64 = 300;
    let engine = engine(EngineConfig { packet_timeout_ms: T_MS as i64, ..Default::default() });
    engine.register(stream("heavy", (0..400).map(|i| hot(i, "h")))).unwrap();
    engine.register(stream(S, two_hot())).unwrap();
    let mut a = engine.recorder(S, 0, None).unwrap();
    for round in 0..11 {
        let events = engine.subscribe(0);
        for _ in 0..5 {
            let _ = a.record(PACKET);
            thread::sleep(ms(5));
        }
        for _ in 0..20 + 10 * round {
            engine.clear_override("heavy").unwrap(); // a long turn of the monitor
        }
        let until = engine.now_ns() + if round % 2 == 0 { 4_000_000 } else { 8_000_000 };
        while engine.now_ns() < until {
            std::hint::spin_loop();
        }
        let last_packet = engine.now_ns();
        let _ = a.record(PACKET);
        engine.clear_override(S).unwrap(); // a look within that turn
        let declared = std::iter::from_fn(|| events.recv_timeout(ms(5_000))).find(|event| {
            let kind = matches!(event.kind, EventKind::InputDegraded { input_priority: 0, .. });
            kind && event.stream.as_deref() == Some(S)
        });
        let at = declared.expect("declared silent at last").at_ns;
        let after_ns = at - last_packet;
        assert!(after_ns >= T_MS * 1_000_000, "round {round}: {after_ns} ns after the packet");
    }
}

/// This process's resident memory.
#[cfg(target_os = "linux")]
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("has VmRSS");
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[cfg(not(target_os = "linux"))]
fn resident_kib() -> u64 {
    0
}

// §3.6: nothing of a stream is left behind: no memory, and no deadline that wakes the monitor.
#[test]
fn ten_thousand_streams_that_came_and_went_leave_nothing() {
    let engine = engine(EngineConfig::default());
    let mut after_the_first = 0;
    for i in 0..10_000_u64 {
        let id = format!("s{}", i % 977);
        let config = stream(&id, two_hot()).with_packet_timeout(ms(1_000 + i % 50));
        engine.register(config).unwrap();
        let mut a = engine.recorder(&id, 0, None).unwrap();
        let _ = a.record(PACKET);
        let _ = engine.record_packet(&id, 1);
        engine.unregister(&id).unwrap();
        assert_eq!(a.record(PACKET), Verdict::Stale);
        if i == 1_000 {
            after_the_first = resident_kib();
        }
    }
    thread::sleep(ms(300));
    let grown = resident_kib().saturating_sub(after_the_first);
    assert!(grown < 64 * 1024, "{grown} KiB more than after the first thousand");
    let before = engine.stats();
    assert_eq!(before.streams, 0);
    thread::sleep(ms(1_500));
    let woken = engine.stats().wakes_total - before.wakes_total;
    assert!(woken < 200, "{woken} wake-ups of an engine without streams");
}

// §3.1: two threads that fight for one id do not spoil what the engine knows of other streams.
#[test]
fn a_fight_for_one_id_leaves_the_tick_alone() {
    let engine = engine(EngineConfig::default());
    let fast = |id| stream(id, [hot(0, "a")]).with_packet_timeout(ms(64));
    engine.register(fast("fast")).unwrap();
    let tick = engine.stats().tick_ns;
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                let _ = engine.register(fast("x"));
            }
        });
        scope.spawn(|| {
            while !stop.load(Relaxed) {
                let _ = engine.unregister("x");
            }
        });
        thread::sleep(ms(1_500));
        stop.store(true, Relaxed);
    });
    let _ = engine.unregister("x");
    assert_eq!(engine.stats().tick_ns, tick);
}

// §7.1: a ticket is decided, also when the engine is shut down in the same moment.
#[test]
fn no_ticket_is_left_open_by_a_shutdown() {
    for _ in 0..100 {
        let engine = engine(EngineConfig::default());
        engine.register(stream(S, two_hot())).unwrap();
        let tickets = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for i in 0.. {
                        let Ok(ticket) = engine.switch_input(S, i & 1) else { return };
                        tickets.lock().unwrap().push(ticket);
                    }
                });
            }
            thread::sleep(ms(2));
            engine.shutdown().unwrap();
        });
        for ticket in tickets.into_inner().unwrap() {
            let outcome = ticket.wait(ms(5_000));
            assert!(!matches!(outcome, Err(Error::TimedOut { .. })), "never decided");
        }
    }
}

// Packets by id count while an epoch is open: also the first of them, for which there is no cell yet.
#[test]
fn the_first_packets_by_id_after_an_epoch_are_stale() {
    for heard_before in [false, true] {
        let hand = hand([hot(0, "a")]);
        let mut recorder = hand.recorder(S, 0, None).unwrap();
        let _ = recorder.record(PACKET);
        if heard_before {
            assert_ne!(hand.record_packet(S, 0), Verdict::Stale);
        }
        recorder.report_error("dead");
        assert_eq!(recorder.record(PACKET), Verdict::Stale);
        assert_eq!([hand.record_packet(S, 0), hand.record_packet(S, 0)], [Verdict::Stale; 2]);
    }
}
