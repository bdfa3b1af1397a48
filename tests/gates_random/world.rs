//! The stream, its producers and its operator, all of them moved by one seed.

use std::time::Duration;

use changeover::{
    BitrateRule, Condition, Cut, EngineConfig, HandEngine, HealthConfig, Hold, InputConfig, Packet,
    Recorder, Silence, StreamConfig, Subscription, Tracks, Verdict, WhenDead,
};

use crate::judge::{Forwarded, Judge, ROUND_MS};

const STREAM: &str = "s";
const FRAME: Packet = Packet::new(2500).tracks(Tracks::VIDEO).frames(1);
/// Flagged as key by a careless host; no cut point all the same.
const AUDIO: Packet = Packet::new(200).tracks(Tracks::AUDIO).keyframe(true);

/// Small, fast, and the same everywhere (xorshift64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn heads(&mut self) -> bool {
        self.below(2) == 0
    }

    /// From 1 ms up to so many.
    fn ms(&mut self, most: u64) -> i64 {
        1 + i64::try_from(self.below(most)).expect("is small")
    }
}

/// One input's producers: a recorder, and up to two siblings of it.
struct Source {
    recorders: Vec<Recorder>,
    up: bool,
    starved: bool,
    enabled: bool,
}

/// See the module's documentation.
pub(crate) struct World {
    dice: Dice,
    engine: HandEngine,
    events: Subscription,
    sources: Vec<Source>,
    judge: Judge,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            dice.heads();
        }
        let inputs = 2 + dice.below(2) as usize;
        let max_wait_ms = [50, 300, 2_000][dice.below(3) as usize];
        let learned = dice.below(3) == 0;
        let min_kbps = if dice.heads() { 800.0 } else { 0.0 };
        let bitrate = BitrateRule { min_kbps, hold_ms: 200, clear_ms: 300, ..Default::default() };
        let mut health = HealthConfig { bitrate, ..Default::default() };
        if learned {
            health.silence = Silence::Learned { floor_ms: 0, ceiling_ms: 0, confidence: 0.0 };
        }
        let engine = HandEngine::new_for_testing(EngineConfig {
            packet_timeout_ms: 400,
            failback_cooldown_ms: dice.ms(500),
            failback_stable_ms: dice.ms(500),
            cut: Cut::Keyframe { max_wait_ms },
            health: Some(health.into()),
            ..Default::default()
        });
        let events = engine.subscribe(10_000);
        let stream = (0..inputs).fold(StreamConfig::new(STREAM), |stream, input| {
            stream.input(InputConfig::hot(input as i32, format!("udp://{input}")))
        });
        engine.register(stream).expect("registers");
        let open = |input: usize| Source {
            recorders: vec![engine.recorder(STREAM, input as i32, None).expect("opens")],
            up: true,
            starved: false,
            enabled: true,
        };
        let sources = (0..inputs).map(open).collect();
        let about = format!("seed {seed}: {inputs} inputs, wait {max_wait_ms} ms, {learned}");
        let judge = Judge::new(about, max_wait_ms.unsigned_abs());
        Self { dice, engine, events, sources, judge }
    }

    fn now_ms(&self) -> u64 {
        self.engine.now_ns() / 1_000_000
    }

    /// Now and then an operation, a packet of each input that is up, and 5 ms.
    pub(crate) fn step(&mut self) {
        if self.dice.below(25) == 0 {
            let done = self.operate();
            self.judge.note(self.now_ms(), done);
        }
        let forwarded: Vec<_> =
            (0..self.sources.len()).filter_map(|input| self.deliver(input)).collect();
        let status = self.engine.runtime_status(STREAM).expect("is registered");
        let delivers: Vec<_> =
            self.sources.iter().map(|source| source.up && source.enabled).collect();
        let events = self.events.drain();
        self.judge.round(self.now_ms(), &forwarded, &delivers, &status, &events);
        if self.dice.below(100) == 0 {
            serde_json::to_string(&status).expect("can be written");
        }
        self.engine.advance(Duration::from_millis(ROUND_MS));
    }

    /// One packet, of any of the input's producers; answers what became of it, if it went out.
    fn deliver(&mut self, input: usize) -> Option<Forwarded> {
        let Self { dice, engine, sources, .. } = self;
        let source = &mut sources[input];
        if !source.up {
            return None;
        }
        let which = dice.below(source.recorders.len() as u64) as usize;
        let packet = match dice.below(60) {
            0 => FRAME.keyframe(true),
            1..=20 => AUDIO,
            _ => FRAME,
        };
        let small = Packet::new(100).tracks(packet.tracks).frames(packet.frames);
        let packet = if source.starved { small.keyframe(packet.keyframe) } else { packet };
        match source.recorders[which].record(packet) {
            Verdict::Forward(cut) => Some(Forwarded { input, cut, aligned: packet.is_cut_point() }),
            Verdict::Drop => None,
            Verdict::Stale => {
                let fresh = engine.recorder(STREAM, input as i32, None).expect("opens");
                source.recorders = vec![fresh];
                None
            }
        }
    }

    /// Anything that a producer or an operator may do; answers what it was. What is refused is
    /// refused: the engine says why, and here it does not matter.
    fn operate(&mut self) -> String {
        let Self { dice, engine, sources, .. } = self;
        let input = dice.below(sources.len() as u64) as usize;
        let (source, priority) = (&mut sources[input], input as i32);
        match dice.below(12) {
            0 => {
                source.up = !source.up;
                format!("up {input}: {}", source.up)
            }
            1 => format!("switch {input}: {}", engine.switch_input(STREAM, priority).is_ok()),
            2 => {
                let when_dead = if dice.heads() { WhenDead::Keep } else { WhenDead::Release };
                let hold = Hold { ttl_ms: dice.ms(1_000), when_dead };
                let set = engine.hold_input(STREAM, priority, hold).is_ok();
                format!("hold {input} {hold:?}: {set}")
            }
            3 => {
                source.recorders[0].report_error("killed");
                format!("error {input}")
            }
            4 => {
                source.recorders.clear();
                let fresh = engine.recorder(STREAM, priority, None).expect("opens");
                source.recorders.push(fresh);
                format!("reopen {input}")
            }
            5 => {
                if source.recorders.len() < 3 {
                    let sibling = source.recorders[0].sibling();
                    source.recorders.extend(sibling.ok());
                }
                format!("siblings of {input}: {}", source.recorders.len())
            }
            6 => {
                source.enabled = !source.enabled;
                engine.set_input_enabled(STREAM, priority, source.enabled).expect("is there");
                format!("enabled {input}: {}", source.enabled)
            }
            7 => {
                let black = Condition::new("black").hold_ms(dice.ms(200)).clear_ms(dice.ms(200));
                engine.raise_condition(STREAM, priority, black).expect("is valid");
                format!("black {input}")
            }
            8 => {
                let cleared = engine.clear_condition(STREAM, priority, "black").is_ok();
                format!("not black {input}: {cleared}")
            }
            9 => {
                source.starved = !source.starved;
                format!("starved {input}: {}", source.starved)
            }
            10 => {
                let released = engine.release_hold(STREAM).is_ok();
                format!("free: {} {released}", engine.clear_override(STREAM).is_ok())
            }
            _ => {
                let span = if dice.below(3) == 0 { dice.below(600) } else { 0 };
                engine.stall(Duration::from_millis(span));
                format!("stall {span}")
            }
        }
    }
}
