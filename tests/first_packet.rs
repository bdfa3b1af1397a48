//! The very first packet of a stream goes out: a source that is short loses nothing to the
//! engine's beginning. On the real clock, because the race is between real threads.

use std::time::Duration;

use changeover::{Engine, EventKind, InputConfig, Packet, Recorder, StreamConfig, Verdict};

const PACKET: Packet = Packet::new(1316);

fn engine(id: &str) -> Engine {
    let engine = Engine::builder().build().expect("builds");
    let stream = StreamConfig::new(id)
        .input(InputConfig::hot(0, "main"))
        .input(InputConfig::hot(1, "backup"));
    engine.register(stream).expect("registers");
    engine
}

/// Records for long enough that the monitor has had its say; answers the verdicts' cut numbers.
fn all_forwarded(recorder: &mut Recorder) -> Vec<u32> {
    let mut cuts: Vec<u32> = Vec::new();
    for _ in 0..300 {
        match recorder.record(PACKET) {
            Verdict::Forward(cut) => cuts.push(cut),
            other => panic!("{other:?} after {} forwards", cuts.len()),
        }
        std::thread::sleep(Duration::from_micros(20));
    }
    cuts
}

#[test]
fn of_the_best_input_at_once_and_without_a_break() {
    for _ in 0..20 {
        let engine = engine("s");
        let events = engine.subscribe(0);
        let mut main = engine.recorder("s", 0, None).expect("opens");
        let cuts = all_forwarded(&mut main);
        assert!(cuts.is_sorted(), "cut numbers only grow");
        let started = |event: changeover::Event| {
            matches!(event.kind, EventKind::InputStarted { input_priority: 0, .. })
        };
        assert_eq!(events.drain().into_iter().filter(|e| started(e.clone())).count(), 1);
    }
}

#[test]
fn of_a_reopened_active_input_too_and_never_of_the_old_one() {
    let engine = engine("s");
    let mut main = engine.recorder("s", 0, None).expect("opens");
    let mut last = *all_forwarded(&mut main).last().expect("some");
    for _ in 0..50 {
        let mut again = engine.recorder("s", 0, None).expect("opens");
        assert_eq!(main.record(PACKET), Verdict::Stale);
        let cuts = all_forwarded(&mut again);
        assert!(cuts[0] > last, "another cut");
        last = cuts[cuts.len() - 1];
        main = again;
    }
}

#[test]
fn of_a_standby_does_not() {
    for _ in 0..20 {
        let engine = engine("s");
        // Opened first, but the stream belongs to the better one as long as that may come.
        let mut backup = engine.recorder("s", 1, None).expect("opens");
        for _ in 0..200 {
            assert_eq!(backup.record(PACKET), Verdict::Drop);
            std::thread::sleep(Duration::from_micros(20));
        }
        let status = engine.runtime_status("s").expect("registered");
        assert_eq!(status.active_input_priority, Some(0));
    }
}
