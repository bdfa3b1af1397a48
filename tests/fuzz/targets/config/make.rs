//! Configurations of whatever the input says: most fields plain, some absurd.

use std::sync::Arc;

use changeover::{
    BitrateRule, Cut, EngineConfig, Failback, FpsRule, HealthConfig, InputConfig, InputsUpdate,
    LossRule, Silence, StreamConfig, TrackSilenceRule,
};

use crate::bytes::Bytes;
use crate::run::Case;

/// Mostly a duration that something happens within, seldom any number at all.
fn ms(input: &mut Bytes<'_>) -> i64 {
    match input.byte() {
        0..96 => 0,
        96..200 => input.pick(&[1, 2, 20, 100, 200, 500, 1_000, 2_000, 3_000, 30_000]),
        200..230 => i64::from(input.u16()),
        230..250 => input.number() & i64::MAX,
        _ => input.number(),
    }
}

fn float(input: &mut Bytes<'_>) -> f64 {
    const EDGES: [f64; 10] = [
        f64::NAN,
        f64::INFINITY,
        -1.0,
        -0.0,
        f64::MAX,
        f64::MIN_POSITIVE,
        5e-324,
        100.000_001,
        1000.0,
        1e-9,
    ];
    match input.byte() {
        0..128 => 0.0,
        128..220 => f64::from(input.byte()),
        220..250 => f64::from(input.u16()) / 16.0,
        250..253 => input.pick(&EDGES),
        _ => f64::from_bits(input.u64()),
    }
}

pub fn health(input: &mut Bytes<'_>) -> Option<Arc<HealthConfig>> {
    if !input.flag() {
        return None;
    }
    let health = HealthConfig {
        step_ms: ms(input),
        bitrate: BitrateRule {
            min_kbps: float(input),
            min_percent: float(input),
            hold_ms: ms(input),
            clear_ms: ms(input),
        },
        fps: FpsRule { min: float(input), hold_ms: ms(input), clear_ms: ms(input) },
        loss: LossRule { max_percent: float(input), hold_ms: ms(input), clear_ms: ms(input) },
        track_silence: TrackSilenceRule { video_ms: ms(input), clear_ms: ms(input) },
        silence: match input.byte() & 3 {
            0 => Silence::Inherited,
            1 => Silence::Fixed,
            _ => Silence::Learned {
                floor_ms: ms(input),
                ceiling_ms: ms(input),
                confidence: float(input),
            },
        },
    };
    Some(Arc::new(health))
}

fn failback(input: &mut Bytes<'_>) -> Failback {
    input.pick(&[Failback::Inherited, Failback::Automatic, Failback::Never])
}

fn cut(input: &mut Bytes<'_>) -> Cut {
    match input.byte() % 3 {
        0 => Cut::Inherited,
        1 => Cut::Immediate,
        _ => Cut::Keyframe { max_wait_ms: ms(input) },
    }
}

fn observe(input: &mut Bytes<'_>) -> Option<bool> {
    match input.byte() {
        0..200 => None,
        200..228 => Some(false),
        _ => Some(true),
    }
}

/// An id: mostly a good one.
pub fn id(input: &mut Bytes<'_>) -> String {
    match input.byte() {
        0..200 => "news".to_owned(),
        200..230 => input.pick(&["", "a", "\u{7f}", "канал", "a\nb", "\u{85}"]).to_owned(),
        230..240 => "x".repeat(usize::from(input.byte())),
        _ => {
            let length = input.below(64);
            String::from_utf8_lossy(input.take(length)).into_owned()
        }
    }
}

fn priority(input: &mut Bytes<'_>) -> i32 {
    match input.byte() {
        small @ 0..200 => i32::from(small % 6),
        200..230 => input.pick(&[-1, i32::MIN, i32::MAX]),
        _ => input.number() as i32,
    }
}

pub fn input_config(input: &mut Bytes<'_>) -> InputConfig {
    InputConfig {
        priority: priority(input),
        address: input.pick(&["a", "b", "a", "", "\0"]).to_owned(),
        hot: input.flag(),
        packet_timeout_ms: ms(input),
        connect_timeout_ms: ms(input),
        health: health(input),
    }
}

pub fn update(input: &mut Bytes<'_>) -> InputsUpdate {
    InputsUpdate {
        added: (0..input.below(3)).map(|_| input_config(input)).collect(),
        removed: (0..input.below(3)).map(|_| priority(input)).collect(),
        updated: (0..input.below(3)).map(|_| input_config(input)).collect(),
    }
}

pub fn engine(input: &mut Bytes<'_>) -> EngineConfig {
    let count = |input: &mut Bytes<'_>| match input.byte() {
        0..128 => 0,
        128..240 => input.below(30),
        _ => input.number() as usize,
    };
    EngineConfig {
        packet_timeout_ms: ms(input),
        connect_timeout_ms: ms(input),
        probe_cooldown_ms: ms(input),
        probe_timeout_ms: ms(input),
        stop_timeout_ms: ms(input),
        failback_cooldown_ms: ms(input),
        failback_stable_ms: ms(input),
        error_history: count(input),
        switch_history: count(input),
        failback: failback(input),
        cut: cut(input),
        observe: observe(input),
        health: health(input),
    }
}

/// Everything plain, but for one field.
pub fn spoiled(input: &mut Bytes<'_>) -> Case {
    let mut case = Case::default();
    let (which, value) = (input.byte(), input.number());
    let (engine, stream) = (&mut case.engine, &mut case.stream);
    let mut rules = HealthConfig::default();
    let (mut floor_ms, mut ceiling_ms, mut max_wait_ms) = (0, 0, 0);
    let field = match which % 24 {
        0 => &mut engine.packet_timeout_ms,
        1 => &mut engine.connect_timeout_ms,
        2 => &mut engine.probe_cooldown_ms,
        3 => &mut engine.probe_timeout_ms,
        4 => &mut engine.stop_timeout_ms,
        5 => &mut engine.failback_cooldown_ms,
        6 => &mut engine.failback_stable_ms,
        7 => &mut stream.packet_timeout_ms,
        8 => &mut stream.connect_timeout_ms,
        9 => &mut stream.failback_stable_ms,
        10 => &mut stream.inputs[0].packet_timeout_ms,
        11 => &mut stream.inputs[1].connect_timeout_ms,
        12 => &mut rules.step_ms,
        13 => &mut rules.bitrate.hold_ms,
        14 => &mut rules.bitrate.clear_ms,
        15 => &mut rules.fps.hold_ms,
        16 => &mut rules.fps.clear_ms,
        17 => &mut rules.loss.hold_ms,
        18 => &mut rules.loss.clear_ms,
        19 => &mut rules.track_silence.video_ms,
        20 => &mut rules.track_silence.clear_ms,
        21 => &mut floor_ms,
        22 => &mut ceiling_ms,
        _ => &mut max_wait_ms,
    };
    *field = value;
    if input.flag() {
        rules.silence = Silence::Learned { floor_ms, ceiling_ms, confidence: float(input) };
    }
    if input.flag() {
        rules.bitrate.min_percent = float(input);
        rules.loss.max_percent = float(input);
    }
    let rules = Some(Arc::new(rules));
    match input.byte() % 4 {
        0 => case.engine.health = rules,
        1 => case.stream.health = rules,
        2 => case.stream.inputs[2].health = rules,
        _ => {}
    }
    match input.byte() % 4 {
        0 => case.engine.cut = Cut::Keyframe { max_wait_ms },
        1 => case.stream.cut = Cut::Keyframe { max_wait_ms },
        _ => {}
    }
    case
}

pub fn case(input: &mut Bytes<'_>) -> Case {
    let mut stream = StreamConfig {
        id: id(input),
        buffer_write_id: if input.flag() { id(input) } else { String::new() },
        packet_timeout_ms: ms(input),
        connect_timeout_ms: ms(input),
        failback_stable_ms: ms(input),
        failback: failback(input),
        cut: cut(input),
        observe: observe(input),
        health: health(input),
        ..StreamConfig::default()
    };
    stream.inputs = (0..input.below(6)).map(|_| input_config(input)).collect();
    Case { engine: engine(input), stream, update: update(input) }
}
