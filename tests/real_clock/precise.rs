//! Packets that are stamped by clock readings need a slow tick only; those that are not, a quick one.

use std::time::{Duration, Instant};

use changeover::{Engine, EngineConfig, EventKind, InputConfig, Packet, StreamConfig};

const T: Duration = Duration::from_millis(1_000);

/// Two producers of one input for a second and a half; answers how often the monitor woke
/// meanwhile, and how long after their last packets the silence was noticed.
fn deliver_and_stop(precise: [bool; 2]) -> (u64, Duration) {
    let config = EngineConfig { packet_timeout_ms: T.as_millis() as i64, ..Default::default() };
    let engine = Engine::builder().config(config).build().expect("builds");
    let events = engine.subscribe(0);
    engine.register(StreamConfig::new("s").input(InputConfig::hot(0, "a"))).expect("registers");
    let mut first = engine.recorder("s", 0, None).expect("opens");
    let mut second = first.sibling().expect("opens");
    let (began, mut woken) = (Instant::now(), 0);
    while began.elapsed() < T * 3 / 2 {
        for (recorder, precise) in [&mut first, &mut second].into_iter().zip(precise) {
            let packet = Packet::new(1316);
            let _ = if precise { recorder.record_precise(packet) } else { recorder.record(packet) };
        }
        std::thread::sleep(Duration::from_millis(10));
        if began.elapsed() < T / 2 {
            // By then it has seen what they do.
            woken = engine.stats().wakes_total;
        }
    }
    let (stopped, woken) = (Instant::now(), engine.stats().wakes_total - woken);
    while stopped.elapsed() < 10 * T {
        if events
            .recv_timeout(Duration::from_millis(20))
            .is_some_and(|event| matches!(event.kind, EventKind::InputDegraded { .. }))
        {
            return (woken, stopped.elapsed());
        }
    }
    panic!("the silence was never noticed");
}

#[test]
fn precise_packets_keep_only_the_slow_tick_going() {
    let (woken, after) = deliver_and_stop([true, true]);
    assert!(woken < 130, "{woken} wake-ups: a tick would make 250");
    assert!(after > T * 9 / 10 && after < T * 3 / 2, "{after:?}");
}

#[test]
fn one_producer_without_the_clock_is_enough_for_a_tick() {
    let (woken, after) = deliver_and_stop([true, false]);
    assert!(woken > 130, "{woken} wake-ups");
    assert!(after > T * 9 / 10 && after < T * 3 / 2, "{after:?}");
}
