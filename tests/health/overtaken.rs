//! What a review found of races with the monitor, on the real clock: cuts that a decision
//! overtakes, recorders that open and streams that go before it has looked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use changeover::{
    Cut, Engine, EngineConfig, Error, Hold, InputConfig, Packet, Recorder, StreamConfig, Tracks,
    Verdict,
};

use crate::lab::STREAM;

const FRAME: Packet = Packet::new(2500).tracks(Tracks::VIDEO).frames(1);
/// So many frames from keyframe to keyframe.
const GOP: u64 = 500;
const SPAN: Duration = Duration::from_millis(2_500);
const LONGEST: Duration = Duration::from_secs(40);

/// One forwarded cut number: of whom, and whether its first packet was a keyframe.
type Firsts = HashMap<u32, (i32, bool)>;

/// Delivers frames as fast as it can; answers what each new cut number of its own began with.
fn produce(mut recorder: Recorder, input: i32, over: &AtomicBool, cuts: &AtomicUsize) -> Firsts {
    let (mut firsts, mut latest) = (Firsts::new(), None);
    for frame in 1.. {
        if over.load(Relaxed) {
            break;
        }
        let keyframe = frame % GOP == 0;
        if let Verdict::Forward(cut) = recorder.record(FRAME.keyframe(keyframe))
            && latest.replace(cut) != Some(cut)
        {
            firsts.insert(cut, (input, keyframe));
            cuts.fetch_add(1, Relaxed);
        }
        if frame % 16 == 0 {
            std::thread::yield_now();
        }
    }
    firsts
}

/// Finding 24. Two inputs deliver, each cut waits for a keyframe, and the operator goes to and fro, now and
/// then while a cut is just being made. The monitor took such a cut back: the old input went on,
/// in mid-picture, unmarked; so every cut but the first falls on a keyframe now, and no number
/// belongs to two inputs.
#[test]
fn every_cut_falls_on_a_keyframe_though_orders_overtake_it() {
    let config = EngineConfig {
        cut: Cut::Keyframe { max_wait_ms: 60_000 },
        packet_timeout_ms: 10_000,
        failback_cooldown_ms: 1,
        failback_stable_ms: 1,
        ..Default::default()
    };
    let engine = Engine::builder().config(config).build().expect("builds");
    let stream = StreamConfig::new(STREAM)
        .input(InputConfig::hot(0, "udp://0"))
        .input(InputConfig::hot(1, "udp://1"));
    engine.register(stream).expect("registers");
    let (over, cuts) = (AtomicBool::new(false), AtomicUsize::new(0));
    let [zero, one] = std::thread::scope(|scope| {
        let producers = [0, 1].map(|input| {
            let recorder = engine.recorder(STREAM, input, None).expect("opens");
            let (over, cuts) = (&over, &cuts);
            scope.spawn(move || produce(recorder, input, over, cuts))
        });
        let begun = Instant::now();
        // Pauses that look random and are the same in each run.
        let (mut seed, mut to) = (12_345u64, 0);
        // A busy machine gets more time for as many cuts.
        let enough = || begun.elapsed() >= SPAN && cuts.load(Relaxed) > 100;
        while !enough() && begun.elapsed() < LONGEST {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            to = 1 - to;
            // Refused where the input was just found silent: an order of no consequence.
            let _ = engine.switch_input(STREAM, to);
            if seed.is_multiple_of(3) {
                engine.clear_override(STREAM).expect("is registered");
            }
            std::thread::sleep(Duration::from_micros(200 + seed % 3_000));
        }
        over.store(true, Relaxed);
        producers.map(|producer| producer.join().expect("no panic"))
    });
    let shared: Vec<_> = zero.keys().filter(|cut| one.contains_key(cut)).collect();
    assert!(shared.is_empty(), "cut numbers of two inputs: {shared:?}");
    let all = zero.iter().chain(&one);
    let initial = all.clone().map(|(cut, _)| *cut).min();
    let unaligned: Vec<_> =
        all.clone().filter(|(cut, (_, keyframe))| Some(**cut) != initial && !keyframe).collect();
    assert!(unaligned.is_empty(), "in mid-picture: {unaligned:?}");
    assert!(all.count() > 100, "it was about cuts: {} and {}", zero.len(), one.len());
}

/// Finding 25: an input that was effective, but still waited for its keyframe, and opened a new
/// recorder was on the air at once, in mid-picture, until the monitor had heard of it.
#[test]
fn a_target_that_reconnects_before_its_cut_goes_on_waiting() {
    let config = EngineConfig {
        packet_timeout_ms: 10_000,
        cut: Cut::Keyframe { max_wait_ms: 60_000 },
        ..Default::default()
    };
    let engine = Engine::builder().config(config).build().expect("builds");
    for turn in 0..50 {
        let id = format!("{STREAM}{turn}");
        let stream = StreamConfig::new(&id)
            .input(InputConfig::hot(0, "udp://0"))
            .input(InputConfig::hot(1, "udp://1"));
        engine.register(stream).expect("registers");
        let mut main = engine.recorder(&id, 0, None).expect("opens");
        let mut backup = engine.recorder(&id, 1, None).expect("opens");
        for _ in 0..3 {
            let _ = (main.record(FRAME), backup.record(FRAME));
            std::thread::sleep(Duration::from_millis(1));
        }
        main.report_error("killed");
        let begun = Instant::now();
        let moved =
            || engine.runtime_status(&id).expect("is registered").active_input_priority == Some(1);
        while !moved() {
            assert!(begun.elapsed() < Duration::from_secs(5), "the backup takes over");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(!backup.record(FRAME).is_forward(), "it waits for its keyframe");
        let mut backup = engine.recorder(&id, 1, None).expect("opens");
        for _ in 0..20 {
            assert!(!backup.record(FRAME).is_forward(), "in mid-picture");
        }
        engine.unregister(&id).expect("is registered");
    }
}

/// Finding 7: the ticket of a hold was never answered when its stream went before the monitor had
/// looked at it; a host that waited for it hung for ever.
#[test]
fn the_ticket_of_a_hold_is_answered_though_the_stream_goes_first() {
    let engine = Engine::builder().build().expect("builds");
    for turn in 0..50 {
        let id = format!("{STREAM}{turn}");
        let stream = StreamConfig::new(&id)
            .input(InputConfig::hot(0, "udp://0"))
            .input(InputConfig::hot(1, "udp://1"));
        engine.register(stream).expect("registers");
        let hold = engine.hold_input(&id, 1, Hold::default()).expect("is eligible");
        engine.unregister(&id).expect("is registered");
        let outcome = hold.wait(Duration::from_secs(3));
        let answered = matches!(outcome, Ok(()) | Err(Error::SwitchFailed { .. }));
        assert!(answered, "{turn}: {outcome:?}");
    }
}
