//! What a configuration may say, once more, as the documentation puts it: what `validate` answers
//! is compared with this.

use std::collections::BTreeSet;

use changeover::{Cut, EngineConfig, HealthConfig, InputConfig, Silence, StreamConfig};

fn all_positive(durations: &[i64]) -> bool {
    durations.iter().all(|ms| *ms >= 0)
}

fn cut(cut: &Cut) -> bool {
    !matches!(cut, Cut::Keyframe { max_wait_ms: ..0 })
}

fn number(value: f64, most: f64) -> bool {
    (0.0..=most).contains(&value)
}

pub fn health(health: &HealthConfig) -> bool {
    let HealthConfig { step_ms, bitrate, fps, loss, track_silence, silence } = health;
    let durations = [
        *step_ms,
        bitrate.hold_ms,
        bitrate.clear_ms,
        fps.hold_ms,
        fps.clear_ms,
        loss.hold_ms,
        loss.clear_ms,
        track_silence.video_ms,
        track_silence.clear_ms,
    ];
    let learned = match *silence {
        Silence::Learned { floor_ms, ceiling_ms, confidence } => {
            all_positive(&[floor_ms, ceiling_ms]) && number(confidence, 1000.0)
        }
        _ => true,
    };
    all_positive(&durations)
        && learned
        && number(bitrate.min_kbps, f64::MAX)
        && number(bitrate.min_percent, 100.0)
        && number(fps.min, f64::MAX)
        && number(loss.max_percent, 100.0)
}

pub fn engine(engine: &EngineConfig) -> bool {
    let durations = [
        engine.packet_timeout_ms,
        engine.connect_timeout_ms,
        engine.probe_cooldown_ms,
        engine.probe_timeout_ms,
        engine.stop_timeout_ms,
        engine.failback_cooldown_ms,
        engine.failback_stable_ms,
    ];
    all_positive(&durations) && cut(&engine.cut) && engine.health.as_deref().is_none_or(health)
}

pub fn id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && !id.chars().any(char::is_control)
}

pub fn input(input: &InputConfig) -> bool {
    all_positive(&[input.packet_timeout_ms, input.connect_timeout_ms])
        && input.health.as_deref().is_none_or(health)
}

pub fn inputs(inputs: &[InputConfig]) -> bool {
    let priorities: BTreeSet<i32> = inputs.iter().map(|input| input.priority).collect();
    priorities.len() == inputs.len() && inputs.iter().all(input)
}

pub fn stream(stream: &StreamConfig) -> bool {
    let durations =
        [stream.packet_timeout_ms, stream.connect_timeout_ms, stream.failback_stable_ms];
    id(&stream.id)
        && (stream.buffer_write_id.is_empty() || id(&stream.buffer_write_id))
        && all_positive(&durations)
        && cut(&stream.cut)
        && stream.health.as_deref().is_none_or(health)
        && inputs(&stream.inputs)
}
