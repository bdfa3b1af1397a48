//! A stream that its operator moves to and fro while its inputs deliver.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::{Duration, Instant};

use changeover::{Cut, Engine, InputConfig, Packet, Recorder, StreamConfig, Tracks, Verdict};

use super::calls::PATIENCE;

/// Moves that are made: each arms a cut, which falls on a keyframe.
const MOVES: usize = 20;

const STREAM: &str = "s";

/// What the operator and the producer know of each other.
pub(crate) struct Stage {
    /// The newest cut's number, as the producer got it.
    newest: AtomicU32,
    stop: AtomicBool,
}

pub(crate) fn engine() -> Engine {
    let engine = Engine::builder().build().expect("builds");
    let stream = StreamConfig::new(STREAM)
        .with_packet_timeout(PATIENCE)
        .with_cut(Cut::Keyframe { max_wait_ms: 1_000 })
        .input(InputConfig::hot(0, "main"))
        .input(InputConfig::hot(1, "backup"));
    engine.register(stream).expect("registers");
    engine
}

pub(crate) fn feeds(engine: &Engine) -> [Recorder; 2] {
    [0, 1].map(|priority| engine.recorder(STREAM, priority, None).expect("opens"))
}

impl Stage {
    pub(crate) const fn new() -> Self {
        Self { newest: AtomicU32::new(0), stop: AtomicBool::new(false) }
    }

    /// Orders all moves, each when the producer has made the cut of the one before; then the
    /// producer may stop.
    pub(crate) fn operate(&self, engine: &Engine) {
        let until = Instant::now() + Duration::from_secs(30);
        let mut seen = 0;
        for made in 0..=MOVES {
            let wait = || {
                assert!(Instant::now() < until, "{made} moves only");
                std::thread::sleep(Duration::from_millis(1));
            };
            // The first cut is the engine's own, to the better input. The other one is refused
            // until it has delivered.
            while made > 0 && engine.switch_input(STREAM, made as i32 % 2).is_err() {
                wait();
            }
            while self.newest.load(SeqCst) == seen {
                wait();
            }
            seen = self.newest.load(SeqCst);
        }
        self.stop.store(true, SeqCst);
    }

    /// Delivers on both inputs until all is over.
    pub(crate) fn produce(&self, feeds: &mut [Recorder; 2]) {
        let frame = Packet::new(1316).tracks(Tracks::VIDEO).frames(1);
        let mut n = 0_u32;
        while !self.stop.load(SeqCst) {
            n = n.wrapping_add(1);
            for feed in &mut *feeds {
                if let Verdict::Forward(cut) = feed.record(frame.keyframe(n.is_multiple_of(16))) {
                    self.newest.fetch_max(cut, SeqCst);
                }
            }
        }
    }
}
