//! Random faults, conditions and orders, with every rule on: the stream never goes without packets
//! longer than the rules allow while an input delivers, and all is well again after the storm.

use changeover::{
    BitrateRule, Condition, Cut, EngineConfig, FpsRule, HealthConfig, Hold, LossRule, Packet,
    Silence, StreamStatus, TrackSilenceRule, Tracks, WhenDead,
};

use crate::lab::{Lab, Lane, STREAM, config, each, ms, s};

const AUDIO: Packet = Packet::new(200).tracks(Tracks::AUDIO).keyframe(true);
const FRAME: Packet = Packet::new(25_000).tracks(Tracks::VIDEO).frames(1);
const INPUTS: usize = 3;
const MAX_WAIT_MS: i64 = 700;

/// Small, fast, and the same everywhere (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn input(&mut self) -> usize {
        self.below(INPUTS as u64) as usize
    }
}

fn everything() -> EngineConfig {
    let health = HealthConfig {
        bitrate: BitrateRule { min_percent: 60.0, hold_ms: 1_000, clear_ms: 2_000, min_kbps: 0.0 },
        fps: FpsRule { min: 15.0, hold_ms: 1_000, clear_ms: 2_000 },
        loss: LossRule { max_percent: 5.0, hold_ms: 1_000, clear_ms: 2_000 },
        track_silence: TrackSilenceRule { video_ms: 800, clear_ms: 1_000 },
        silence: Silence::Learned { floor_ms: 0, ceiling_ms: 0, confidence: 0.0 },
        step_ms: 0,
    };
    let cut = Cut::Keyframe { max_wait_ms: MAX_WAIT_MS };
    EngineConfig { health: Some(health.into()), cut, failback_stable_ms: 2_000, ..config() }
}

fn healthy() -> Vec<Lane> {
    vec![each(ms(21), AUDIO), each(ms(40), FRAME), each(s(1), FRAME.keyframe(true)).first(ms(7))]
}

/// One of several ways to be bad, or good.
fn feed_of(dice: &mut Dice) -> Vec<Lane> {
    match dice.below(8) {
        0 => vec![each(ms(21), AUDIO)],
        1 => vec![each(ms(21), AUDIO), each(ms(200), FRAME)],
        2 => vec![each(ms(21), AUDIO.lost(1)), each(ms(40), FRAME)],
        3 => vec![each(ms(40), Packet::new(2_000).tracks(Tracks::VIDEO).frames(1))],
        4 => vec![each(ms(200), FRAME)],
        _ => healthy(),
    }
}

struct Storm {
    lab: Lab,
    dice: Dice,
    /// Since when each input delivers at least each 400 ms; `None` = it is silent or off.
    up: [Option<u64>; INPUTS],
    enabled: [bool; INPUTS],
    /// A hold has kept the stream with a dead input.
    kept_until: u64,
    log: Vec<String>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut lab = Lab::new(INPUTS as i32, everything());
        (0..INPUTS).for_each(|input| lab.feed(input, healthy()));
        lab.run(s(30));
        let up = [Some(0); INPUTS];
        Self { lab, dice: Dice(seed), up, enabled: [true; INPUTS], kept_until: 0, log: Vec::new() }
    }

    fn act(&mut self) {
        let (what, input) = (self.dice.below(16), self.dice.input());
        let (engine, priority) = (&self.lab.engine, input as i32);
        let name = ["black", "frozen"][self.dice.below(2) as usize];
        self.log.push(format!("{} ms: {what} on {input} {name}", self.lab.now() / ms(1)));
        match what {
            0..3 => {
                self.lab.silence(input);
                self.up[input] = None;
            }
            3..7 => {
                let lanes = feed_of(&mut self.dice);
                self.lab.feed(input, lanes);
                self.up[input].get_or_insert(self.lab.now());
            }
            7 | 8 => {
                let hold = Condition::new(name).hold_ms(300).clear_ms(500);
                engine.raise_condition(STREAM, priority, hold).expect("is valid");
            }
            9 | 10 => {
                let _ = engine.clear_condition(STREAM, priority, name);
            }
            11 => {
                let _ = engine.switch_input(STREAM, priority);
            }
            12 => {
                let when_dead = [WhenDead::Release, WhenDead::Keep][self.dice.below(2) as usize];
                let _ = engine.hold_input(STREAM, priority, Hold { ttl_ms: 5_000, when_dead });
            }
            13 => {
                let enabled = !self.enabled[input];
                self.enabled[input] = enabled;
                // It counts from here.
                self.up[input] = self.up[input].map(|_| self.lab.now());
                engine.set_input_enabled(STREAM, priority, enabled).expect("is known");
            }
            14 => {
                self.lab.fail(input);
                self.lab.reopen(input);
                self.up[input] = self.up[input].map(|_| self.lab.now());
            }
            _ => {
                engine.clear_override(STREAM).expect("is registered");
                engine.release_hold(STREAM).expect("is registered");
            }
        }
    }

    /// Somebody delivers for long enough: so the stream does.
    fn check(&mut self) {
        let (now, status) = (self.lab.now(), self.lab.status());
        let inputs = || (0..INPUTS).filter(|input| self.enabled[*input]);
        let longest = inputs().filter_map(|input| self.up[input]).min();
        let kept = status.hold.as_ref().is_some_and(|hold| hold.dead);
        // T, the wait for a keyframe, and a packet.
        let bound = ms(500 + MAX_WAIT_MS as u64 + 350);
        if kept {
            self.kept_until = now;
        }
        // Each move has a wait of its own.
        let moved = self.lab.moves().last().map_or(0, |made| made.at);
        let Some(since) = longest.map(|since| since.max(self.kept_until).max(moved)) else {
            return;
        };
        let last = self.lab.last_forwarded.iter().max().copied().unwrap_or(0);
        let quiet = now - last.max(since).min(now);
        assert!(quiet <= bound, "{quiet} ns without a packet\n{:#?}\n{status:#?}", self.log);
        if now - since > bound {
            assert!(!status.exhausted, "{:#?}\n{status:#?}", self.log);
        }
    }

    fn calm(mut self) {
        for input in 0..INPUTS {
            for name in ["black", "frozen"] {
                let _ = self.lab.engine.clear_condition(STREAM, input as i32, name);
            }
            self.lab.engine.set_input_enabled(STREAM, input as i32, true).expect("is known");
            self.lab.feed(input, healthy());
        }
        self.lab.engine.clear_override(STREAM).expect("is registered");
        self.lab.engine.release_hold(STREAM).expect("is registered");
        // Damping ends at five minutes.
        self.lab.run(s(310));
        let status = self.lab.status();
        let told = format!("{:#?}\n{status:#?}", self.log);
        assert_eq!(status.active_input_priority, Some(0), "{told}");
        assert_eq!((status.status, status.usable_inputs), (StreamStatus::Active, INPUTS), "{told}");
        assert!(status.hold.is_none() && status.pending_input_priority.is_none(), "{told}");
        for input in &status.inputs {
            assert!(input.impaired.is_empty() && input.conditions.is_empty(), "{told}");
        }
        assert_eq!(self.lab.last_forwarded.iter().max(), Some(&self.lab.last_forwarded[0]));
    }
}

#[test]
fn after_every_storm_the_sun_shines() {
    let seeds = if cfg!(debug_assertions) { 8 } else { 100 };
    for seed in 1..=seeds {
        let mut storm = Storm::new(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
        for _ in 0..200 {
            storm.act();
            let span = ms(20 << storm.dice.below(8));
            for _ in 0..span.div_ceil(ms(100)) {
                storm.lab.run(span.min(ms(100)));
                storm.check();
            }
        }
        storm.calm();
    }
}
