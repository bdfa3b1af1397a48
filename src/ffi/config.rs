//! Policy, streams, inputs and health rules as C structs.

use std::ffi::c_char;

use super::boundary::{opt_read, opt_text, read, read_list, sized, text};
use super::codes::Refusal;
use crate::config::{EngineConfig, InputConfig, InputsUpdate, StreamConfig};
use crate::rules::{
    BitrateRule, Cut, Failback, FpsRule, HealthConfig, LossRule, Silence, TrackSilenceRule,
};
use crate::sync::Arc;

/// Failback: as the level above says; for an engine, automatic.
pub const CHANGEOVER_FAILBACK_INHERITED: u32 = 0;
/// A better input that has proved itself gets the stream back.
pub const CHANGEOVER_FAILBACK_AUTOMATIC: u32 = 1;
/// Only the operator or a failure moves the stream.
pub const CHANGEOVER_FAILBACK_NEVER: u32 = 2;

/// Where a cut may fall: as the level above says; for an engine, immediately.
pub const CHANGEOVER_CUT_INHERITED: u32 = 0;
/// On the new input's next packet.
pub const CHANGEOVER_CUT_IMMEDIATE: u32 = 1;
/// On the new input's next packet that begins a video keyframe (`changeover_packet.keyframe`).
pub const CHANGEOVER_CUT_KEYFRAME: u32 = 2;

/// Observe: as the level above says; for an engine, off.
pub const CHANGEOVER_OBSERVE_INHERITED: u32 = 0;
/// Decide and report everything, move nothing.
pub const CHANGEOVER_OBSERVE_ON: u32 = 1;
/// Decisions are carried out.
pub const CHANGEOVER_OBSERVE_OFF: u32 = 2;

/// How silence is judged: as the level above says; for an engine, fixed.
pub const CHANGEOVER_SILENCE_INHERITED: u32 = 0;
/// By the packet timeout.
pub const CHANGEOVER_SILENCE_FIXED: u32 = 1;
/// By what is improbable for this input; the packet timeout stays the upper bound.
pub const CHANGEOVER_SILENCE_LEARNED: u32 = 2;

/// Health rules: all off unless set. 0 of anything means inherited (input, then stream, then
/// engine), and at the engine off, or the default named here. Make it with
/// `changeover_health_config_init()`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_health_config {
    /// sizeof(changeover_health_config).
    pub size: usize,
    /// Sampling step, ms; the sliding window is ten steps. Default 100.
    pub step_ms: i64,
    /// Least bitrate, kbit/s.
    pub bitrate_min_kbps: f64,
    /// Least bitrate in percent of what the input usually delivers (known after 10 s).
    pub bitrate_min_percent: f64,
    /// Too low for so long before it acts, ms. Default 3,000.
    pub bitrate_hold_ms: i64,
    /// Good for so long before the input is good again, ms. Default 5,000.
    pub bitrate_clear_ms: i64,
    /// Least frames per second.
    pub fps_min: f64,
    /// As for the bitrate, ms. Default 3,000.
    pub fps_hold_ms: i64,
    /// As for the bitrate, ms. Default 5,000.
    pub fps_clear_ms: i64,
    /// Greatest packet loss, percent.
    pub loss_max_percent: f64,
    /// As for the bitrate, ms. Default 3,000.
    pub loss_hold_ms: i64,
    /// As for the bitrate, ms. Default 5,000.
    pub loss_clear_ms: i64,
    /// No video for so long while audio flows, ms.
    pub video_silence_ms: i64,
    /// Video back for so long before the input is good again, ms. Default 5,000.
    pub video_silence_clear_ms: i64,
    /// `CHANGEOVER_SILENCE_*`: how silence is judged.
    pub silence: u32,
    /// 0.
    pub reserved: u32,
    /// Learned silence: never shorter than this, ms. Default 25.
    pub learned_floor_ms: i64,
    /// Learned silence: never longer than this, ms. Default: the packet timeout.
    pub learned_ceiling_ms: i64,
    /// Learned silence: the suspicion (phi) that is a failure. Default 8.
    pub learned_confidence: f64,
}

/// The engine's policy. 0 of anything means the default named here. Make it with
/// `changeover_engine_config_init()`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_engine_config {
    /// sizeof(changeover_engine_config).
    pub size: usize,
    /// Silence of a running input after which it is degraded, ms. Default 30,000.
    pub packet_timeout_ms: i64,
    /// Longest time from a start to the first packet, ms. Default: the packet timeout.
    pub connect_timeout_ms: i64,
    /// Pause from a degradation, or a failed probe, to the next probe, ms. Default 8,000.
    pub probe_cooldown_ms: i64,
    /// Longest probe, ms. Default 3,000.
    pub probe_timeout_ms: i64,
    /// Longest stop, ms. Default 5,000.
    pub stop_timeout_ms: i64,
    /// Pause between a switch and the next failback, ms. Default 12,000.
    pub failback_cooldown_ms: i64,
    /// How long a better hot input must have delivered without a gap before a failback, ms.
    /// Default 5,000.
    pub failback_stable_ms: i64,
    /// Errors kept per input. Default 5.
    pub error_history: u32,
    /// Switches, decisions and refusals kept per stream. Default 20.
    pub switch_history: u32,
    /// `CHANGEOVER_FAILBACK_*`.
    pub failback: u32,
    /// `CHANGEOVER_CUT_*`.
    pub cut: u32,
    /// Longest wait for a keyframe, ms; then any packet makes the cut. Default 3,000.
    pub cut_max_wait_ms: i64,
    /// `CHANGEOVER_OBSERVE_*`.
    pub observe: u32,
    /// 0.
    pub reserved: u32,
    /// Health rules of every stream and input; NULL = none.
    pub health: *const changeover_health_config,
}

/// One input of a stream. Make it with `changeover_input_config_init()`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_input_config {
    /// sizeof(changeover_input_config): the same in every element of an array.
    pub size: usize,
    /// Unique in the stream; lower is better; negative is legal.
    pub priority: i32,
    /// 1: its producer runs all the time (hot). 0: the driver starts and stops it (cold).
    pub hot: u32,
    /// Where the source is: travels to the driver as it is. NULL = empty. Two inputs with equal
    /// addresses are the same source (a renumbering keeps it on the air).
    pub address: *const c_char,
    /// This input's packet timeout, ms. 0 = the stream's.
    pub packet_timeout_ms: i64,
    /// This input's connect timeout, ms. 0 = the stream's.
    pub connect_timeout_ms: i64,
    /// Health rules of its own; NULL = the stream's.
    pub health: *const changeover_health_config,
}

/// A stream and its inputs. Make it with `changeover_stream_config_init()`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_stream_config {
    /// sizeof(changeover_stream_config).
    pub size: usize,
    /// 1 to 128 bytes of UTF-8 without control characters.
    pub id: *const c_char,
    /// Where ingest writes; travels to the driver with each start. NULL or empty = the id.
    pub buffer_write_id: *const c_char,
    /// The stream's packet timeout, ms. 0 = the engine's.
    pub packet_timeout_ms: i64,
    /// The stream's connect timeout, ms. 0 = the engine's.
    pub connect_timeout_ms: i64,
    /// As in `changeover_engine_config`, ms. 0 = the engine's.
    pub failback_stable_ms: i64,
    /// `CHANGEOVER_FAILBACK_*`.
    pub failback: u32,
    /// `CHANGEOVER_CUT_*`.
    pub cut: u32,
    /// Longest wait for a keyframe, ms, where `cut` is CHANGEOVER_CUT_KEYFRAME. Default 3,000.
    pub cut_max_wait_ms: i64,
    /// `CHANGEOVER_OBSERVE_*`.
    pub observe: u32,
    /// 0.
    pub reserved: u32,
    /// Health rules of its inputs; NULL = the engine's.
    pub health: *const changeover_health_config,
    /// The inputs, in any order. None is legal.
    pub inputs: *const changeover_input_config,
    /// How many.
    pub input_count: usize,
}

/// One atomic change of a stream's inputs. Make it with `changeover_inputs_update_init()`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_inputs_update {
    /// sizeof(changeover_inputs_update).
    pub size: usize,
    /// New inputs. A priority that is also in `removed` is a replacement.
    pub added: *const changeover_input_config,
    /// How many.
    pub added_count: usize,
    /// Priorities of inputs that go.
    pub removed: *const i32,
    /// How many.
    pub removed_count: usize,
    /// Inputs that stay under their priority with a new configuration.
    pub updated: *const changeover_input_config,
    /// How many.
    pub updated_count: usize,
}

sized!(
    changeover_health_config: 144,
    changeover_engine_config: 104,
    changeover_input_config: 48,
    changeover_stream_config: 96,
    changeover_inputs_update: 56
);

fn bad(name: &'static str, value: u32) -> Refusal {
    Refusal::BadArgument { name, value: i64::from(value) }
}

/// A flag that is 0 or 1.
pub(super) fn flag(name: &'static str, value: u32) -> Result<bool, Refusal> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(bad(name, other)),
    }
}

/// A field for later.
pub(super) fn unused(value: u32) -> Result<(), Refusal> {
    if value == 0 { Ok(()) } else { Err(bad("reserved", value)) }
}

fn failback(value: u32) -> Result<Failback, Refusal> {
    match value {
        CHANGEOVER_FAILBACK_INHERITED => Ok(Failback::Inherited),
        CHANGEOVER_FAILBACK_AUTOMATIC => Ok(Failback::Automatic),
        CHANGEOVER_FAILBACK_NEVER => Ok(Failback::Never),
        other => Err(bad("failback", other)),
    }
}

fn cut(value: u32, max_wait_ms: i64) -> Result<Cut, Refusal> {
    match value {
        CHANGEOVER_CUT_INHERITED => Ok(Cut::Inherited),
        CHANGEOVER_CUT_IMMEDIATE => Ok(Cut::Immediate),
        CHANGEOVER_CUT_KEYFRAME => Ok(Cut::Keyframe { max_wait_ms }),
        other => Err(bad("cut", other)),
    }
}

fn observe(value: u32) -> Result<Option<bool>, Refusal> {
    match value {
        CHANGEOVER_OBSERVE_INHERITED => Ok(None),
        CHANGEOVER_OBSERVE_ON => Ok(Some(true)),
        CHANGEOVER_OBSERVE_OFF => Ok(Some(false)),
        other => Err(bad("observe", other)),
    }
}

fn health(from: *const changeover_health_config) -> Result<Option<Arc<HealthConfig>>, Refusal> {
    let Some(c) = opt_read(from)? else { return Ok(None) };
    unused(c.reserved)?;
    let silence = match c.silence {
        CHANGEOVER_SILENCE_INHERITED => Silence::Inherited,
        CHANGEOVER_SILENCE_FIXED => Silence::Fixed,
        CHANGEOVER_SILENCE_LEARNED => Silence::Learned {
            floor_ms: c.learned_floor_ms,
            ceiling_ms: c.learned_ceiling_ms,
            confidence: c.learned_confidence,
        },
        other => return Err(bad("silence", other)),
    };
    Ok(Some(Arc::new(HealthConfig {
        step_ms: c.step_ms,
        bitrate: BitrateRule {
            min_kbps: c.bitrate_min_kbps,
            min_percent: c.bitrate_min_percent,
            hold_ms: c.bitrate_hold_ms,
            clear_ms: c.bitrate_clear_ms,
        },
        fps: FpsRule { min: c.fps_min, hold_ms: c.fps_hold_ms, clear_ms: c.fps_clear_ms },
        loss: LossRule {
            max_percent: c.loss_max_percent,
            hold_ms: c.loss_hold_ms,
            clear_ms: c.loss_clear_ms,
        },
        track_silence: TrackSilenceRule {
            video_ms: c.video_silence_ms,
            clear_ms: c.video_silence_clear_ms,
        },
        silence,
    })))
}

pub(super) fn engine_config(
    from: *const changeover_engine_config,
) -> Result<EngineConfig, Refusal> {
    let c = read(from)?;
    unused(c.reserved)?;
    Ok(EngineConfig {
        packet_timeout_ms: c.packet_timeout_ms,
        connect_timeout_ms: c.connect_timeout_ms,
        probe_cooldown_ms: c.probe_cooldown_ms,
        probe_timeout_ms: c.probe_timeout_ms,
        stop_timeout_ms: c.stop_timeout_ms,
        failback_cooldown_ms: c.failback_cooldown_ms,
        failback_stable_ms: c.failback_stable_ms,
        error_history: c.error_history as usize,
        switch_history: c.switch_history as usize,
        failback: failback(c.failback)?,
        cut: cut(c.cut, c.cut_max_wait_ms)?,
        observe: observe(c.observe)?,
        health: health(c.health)?,
    })
}

fn inputs(
    name: &'static str,
    first: *const changeover_input_config,
    count: usize,
) -> Result<Vec<InputConfig>, Refusal> {
    let read = read_list(name, first, count)?;
    read.into_iter()
        .map(|c| {
            Ok(InputConfig {
                priority: c.priority,
                address: opt_text("address", c.address)?.unwrap_or_default().to_owned(),
                hot: flag("hot", c.hot)?,
                packet_timeout_ms: c.packet_timeout_ms,
                connect_timeout_ms: c.connect_timeout_ms,
                health: health(c.health)?,
            })
        })
        .collect()
}

pub(super) fn stream_config(
    from: *const changeover_stream_config,
) -> Result<StreamConfig, Refusal> {
    let c = read(from)?;
    unused(c.reserved)?;
    Ok(StreamConfig {
        id: text("id", c.id)?.to_owned(),
        buffer_write_id: opt_text("buffer_write_id", c.buffer_write_id)?
            .unwrap_or_default()
            .to_owned(),
        packet_timeout_ms: c.packet_timeout_ms,
        connect_timeout_ms: c.connect_timeout_ms,
        failback_stable_ms: c.failback_stable_ms,
        failback: failback(c.failback)?,
        cut: cut(c.cut, c.cut_max_wait_ms)?,
        observe: observe(c.observe)?,
        health: health(c.health)?,
        inputs: inputs("inputs", c.inputs, c.input_count)?,
    })
}

pub(super) fn inputs_update(
    from: *const changeover_inputs_update,
) -> Result<InputsUpdate, Refusal> {
    let c = read(from)?;
    Ok(InputsUpdate {
        added: inputs("added", c.added, c.added_count)?,
        removed: super::boundary::list("removed", c.removed, c.removed_count)?.to_vec(),
        updated: inputs("updated", c.updated, c.updated_count)?,
    })
}
