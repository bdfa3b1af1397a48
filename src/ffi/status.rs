//! The state of streams and inputs: as JSON, and as structs for the hot questions; the numbers of
//! states and reasons.

use std::ffi::c_char;
use std::time::SystemTime;

use super::boundary::{
    fill, give, give_sized, give_text, guard, guard_or, room, sized, text, wanted,
};
use super::{changeover_engine, tenant};
use crate::types::{InputStatus, StreamStatus, SwitchReason};

/// A state. Input: eligible, but not the delivering active one. Stream: waiting for its first
/// packets, or without inputs.
pub const CHANGEOVER_STATUS_IDLE: u32 = 0;
/// Input: the stream's active one, delivering; at most one. Stream: its active input delivers.
pub const CHANGEOVER_STATUS_ACTIVE: u32 = 1;
/// Input: failed, not eligible. Stream: exhausted, no usable input is left.
pub const CHANGEOVER_STATUS_DEGRADED: u32 = 2;
/// Switched off by the operator (a stream: all of its inputs).
pub const CHANGEOVER_STATUS_STOPPED: u32 = 3;

/// Why the active input changed: the stream's first activation.
pub const CHANGEOVER_REASON_INITIAL: u32 = 1;
/// A source reported an error, or its start failed.
pub const CHANGEOVER_REASON_ERROR: u32 = 2;
/// No packet for the packet timeout, or no first packet within the connect timeout.
pub const CHANGEOVER_REASON_TIMEOUT: u32 = 3;
/// The operator switched, or disabled the active input.
pub const CHANGEOVER_REASON_MANUAL: u32 = 4;
/// A better input has proved itself.
pub const CHANGEOVER_REASON_FAILBACK: u32 = 5;
/// The stream was exhausted and something came back.
pub const CHANGEOVER_REASON_RECOVERY: u32 = 6;
/// A better input was added.
pub const CHANGEOVER_REASON_INPUT_ADDED: u32 = 7;
/// The active input was removed.
pub const CHANGEOVER_REASON_INPUT_REMOVED: u32 = 8;
/// Its bitrate fell below the rule's minimum.
pub const CHANGEOVER_REASON_BITRATE: u32 = 9;
/// Its frame rate fell below the rule's minimum.
pub const CHANGEOVER_REASON_FPS: u32 = 10;
/// Its packet loss rose above the rule's maximum.
pub const CHANGEOVER_REASON_LOSS: u32 = 11;
/// Its video fell silent while its audio went on.
pub const CHANGEOVER_REASON_TRACK_SILENCE: u32 = 12;
/// The host raised a condition; the detail names it.
pub const CHANGEOVER_REASON_CONDITION: u32 = 13;
/// The operator's hold has ended, and a better input was waiting.
pub const CHANGEOVER_REASON_HOLD_RELEASED: u32 = 14;

/// One stream at one moment. Make it with `changeover_stream_status_init()` before it is written
/// to. The histories are in the JSON form.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_stream_status {
    /// sizeof(changeover_stream_status).
    pub size: usize,
    /// `CHANGEOVER_STATUS_*`.
    pub status: u32,
    /// No usable input is left: 1.
    pub exhausted: u32,
    /// Anything runs for it: 1.
    pub pipeline_active: u32,
    /// Decisions are only reported: 1.
    pub observe: u32,
    /// Whether the four priorities below are there: 1.
    pub has_active: u32,
    /// See above.
    pub has_override: u32,
    /// See above.
    pub has_pending: u32,
    /// See above.
    pub has_hold: u32,
    /// The input that the stream carries.
    pub active_input_priority: i32,
    /// The operator's override.
    pub override_input_priority: i32,
    /// The target of a switch that is decided and not effective yet.
    pub pending_input_priority: i32,
    /// The operator's hold.
    pub hold_input_priority: i32,
    /// Inputs.
    pub input_count: u32,
    /// Inputs that are neither degraded nor stopped.
    pub usable_inputs: u32,
    /// Effective switches since registration, for whatever reason (the operator's and failbacks
    /// too); the first activation is none.
    pub failovers_total: u64,
}

/// One input's health at one moment. Make it with `changeover_input_health_init()` before it is
/// written to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_input_health {
    /// sizeof(changeover_input_health).
    pub size: usize,
    /// The input.
    pub priority: i32,
    /// `CHANGEOVER_STATUS_*`.
    pub status: u32,
    /// Its producer runs all the time: 1.
    pub hot: u32,
    /// It runs: an accepted start or an open recorder, and no stop since: 1.
    pub running: u32,
    /// A packet or a probe has proved it since its last failure or edit: 1.
    pub proved: u32,
    /// Health rules and conditions that act.
    pub impaired_count: u32,
    /// When its last packet came, ns since 1970-01-01 UTC; 0 = never.
    pub last_packet_unix_ns: i64,
    /// Its open epoch; 0 = none.
    pub epoch: u64,
    /// Bitrate, kbit/s.
    pub bitrate_kbps: f64,
    /// Packet loss, percent.
    pub packet_loss: f64,
    /// Frames per second.
    pub fps: f64,
    /// Packets since registration or the last edit of its address.
    pub packets: u64,
    /// Bytes since then (by-id packets carry none).
    pub bytes: u64,
    /// Video frames since then, as far as you said.
    pub frames: u64,
    /// Packets lost since then, as far as you said.
    pub lost: u64,
    /// Packets on which a keyframe cut may fall.
    pub keyframes: u64,
    /// What it usually delivers, kbit/s; 0 = not learned yet.
    pub reference_kbps: f64,
    /// Learned silence: so long a silence is a failure, ms; 0 = not learned (yet).
    pub learned_timeout_ms: f64,
    /// How improbable the present silence is: phi.
    pub suspicion: f64,
    /// What a failback to it has to wait for, ms.
    pub required_stable_ms: u64,
    /// The latest failure, also after it was cleared; empty = none. Cut short where it is longer.
    pub last_failure: [c_char; 256],
}

sized!(changeover_stream_status: 72, changeover_input_health: 400);

/// Nanoseconds since 1970; saturates in 1677 and 2262.
pub(super) fn unix_ns(at: SystemTime) -> i64 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
    }
}

pub(super) fn reason_to_c(reason: SwitchReason) -> u32 {
    match reason {
        SwitchReason::Initial => CHANGEOVER_REASON_INITIAL,
        SwitchReason::Error => CHANGEOVER_REASON_ERROR,
        SwitchReason::Timeout => CHANGEOVER_REASON_TIMEOUT,
        SwitchReason::Manual => CHANGEOVER_REASON_MANUAL,
        SwitchReason::Failback => CHANGEOVER_REASON_FAILBACK,
        SwitchReason::Recovery => CHANGEOVER_REASON_RECOVERY,
        SwitchReason::InputAdded => CHANGEOVER_REASON_INPUT_ADDED,
        SwitchReason::InputRemoved => CHANGEOVER_REASON_INPUT_REMOVED,
        SwitchReason::Bitrate => CHANGEOVER_REASON_BITRATE,
        SwitchReason::Fps => CHANGEOVER_REASON_FPS,
        SwitchReason::Loss => CHANGEOVER_REASON_LOSS,
        SwitchReason::TrackSilence => CHANGEOVER_REASON_TRACK_SILENCE,
        SwitchReason::Condition => CHANGEOVER_REASON_CONDITION,
        SwitchReason::HoldReleased => CHANGEOVER_REASON_HOLD_RELEASED,
    }
}

fn input_status(status: InputStatus) -> u32 {
    match status {
        InputStatus::Idle => CHANGEOVER_STATUS_IDLE,
        InputStatus::Active => CHANGEOVER_STATUS_ACTIVE,
        InputStatus::Degraded => CHANGEOVER_STATUS_DEGRADED,
        InputStatus::Stopped => CHANGEOVER_STATUS_STOPPED,
    }
}

fn stream_status(status: StreamStatus) -> u32 {
    match status {
        StreamStatus::Idle => CHANGEOVER_STATUS_IDLE,
        StreamStatus::Active => CHANGEOVER_STATUS_ACTIVE,
        StreamStatus::Degraded => CHANGEOVER_STATUS_DEGRADED,
        StreamStatus::Stopped => CHANGEOVER_STATUS_STOPPED,
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// A reason's name, as in the JSON (`timeout`, `failback`, ...): a constant text, not to be freed;
/// NULL for a number that stands for none. Any thread; wait-free.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_reason_name(reason: u32) -> *const c_char {
    let name = match reason {
        CHANGEOVER_REASON_INITIAL => c"initial",
        CHANGEOVER_REASON_ERROR => c"error",
        CHANGEOVER_REASON_TIMEOUT => c"timeout",
        CHANGEOVER_REASON_MANUAL => c"manual",
        CHANGEOVER_REASON_FAILBACK => c"failback",
        CHANGEOVER_REASON_RECOVERY => c"recovery",
        CHANGEOVER_REASON_INPUT_ADDED => c"input_added",
        CHANGEOVER_REASON_INPUT_REMOVED => c"input_removed",
        CHANGEOVER_REASON_BITRATE => c"bitrate",
        CHANGEOVER_REASON_FPS => c"fps",
        CHANGEOVER_REASON_LOSS => c"loss",
        CHANGEOVER_REASON_TRACK_SILENCE => c"track_silence",
        CHANGEOVER_REASON_CONDITION => c"condition",
        CHANGEOVER_REASON_HOLD_RELEASED => c"hold_released",
        _ => return std::ptr::null(),
    };
    name.as_ptr()
}

/// The name of a `CHANGEOVER_STATUS_*`, as in the JSON (`idle`, ...); otherwise as
/// `changeover_reason_name`.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_status_name(status: u32) -> *const c_char {
    let name = match status {
        CHANGEOVER_STATUS_IDLE => c"idle",
        CHANGEOVER_STATUS_ACTIVE => c"active",
        CHANGEOVER_STATUS_DEGRADED => c"degraded",
        CHANGEOVER_STATUS_STOPPED => c"stopped",
        _ => return std::ptr::null(),
    };
    name.as_ptr()
}

/// One stream with its inputs and histories, as a JSON text. Free it with
/// `changeover_string_free`.
///
/// Any thread; takes short locks, and stops no packet.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_status_json(
    engine: changeover_engine,
    stream: *const c_char,
    out: *mut *mut c_char,
) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let status = tenant::engine(engine.raw)?.engine.runtime_status(text("stream", stream)?)?;
        give_text("out", out, super::to_json(&status)?)
    })
}

/// One stream, in short. `out->size` must be set. On error nothing else of it is written. Any
/// thread; takes short locks.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_status(
    engine: changeover_engine,
    stream: *const c_char,
    out: *mut changeover_stream_status,
) -> i32 {
    guard(|| {
        room(out)?;
        let s = tenant::engine(engine.raw)?.engine.runtime_status(text("stream", stream)?)?;
        let hold = s.hold.as_ref().map(|hold| hold.priority);
        let status = changeover_stream_status {
            size: size_of::<changeover_stream_status>(),
            status: stream_status(s.status),
            exhausted: s.exhausted.into(),
            pipeline_active: s.pipeline_active.into(),
            observe: s.observe.into(),
            has_active: s.active_input_priority.is_some().into(),
            has_override: s.override_input_priority.is_some().into(),
            has_pending: s.pending_input_priority.is_some().into(),
            has_hold: hold.is_some().into(),
            active_input_priority: s.active_input_priority.unwrap_or(0),
            override_input_priority: s.override_input_priority.unwrap_or(0),
            pending_input_priority: s.pending_input_priority.unwrap_or(0),
            hold_input_priority: hold.unwrap_or(0),
            input_count: count(s.inputs.len()),
            usable_inputs: count(s.usable_inputs),
            failovers_total: s.failovers_total,
        };
        give_sized(out, &status)
    })
}

/// The input that the stream carries: 1, with its priority in `*priority`; 0: none; negative: a
/// code. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_active_input(
    engine: changeover_engine,
    stream: *const c_char,
    priority: *mut i32,
) -> i32 {
    guard_or(|| {
        wanted("priority", priority)?;
        let status = tenant::engine(engine.raw)?.engine.runtime_status(text("stream", stream)?)?;
        match status.active_input_priority {
            Some(active) => give("priority", priority, active).map(|()| 1),
            None => Ok(0),
        }
    })
}

/// Whether the stream is exhausted (no usable input is left): 1 or 0; negative: a code. Any
/// thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_is_exhausted(engine: changeover_engine, stream: *const c_char) -> i32 {
    guard_or(|| {
        let status = tenant::engine(engine.raw)?.engine.runtime_status(text("stream", stream)?)?;
        Ok(status.exhausted.into())
    })
}

/// One input's configuration and health, as a JSON text. Free it with `changeover_string_free`.
/// Any thread; takes short locks.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_input_health_json(
    engine: changeover_engine,
    stream: *const c_char,
    priority: i32,
    out: *mut *mut c_char,
) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let tenant = tenant::engine(engine.raw)?;
        let health = tenant.engine.input_health(text("stream", stream)?, priority)?;
        give_text("out", out, super::to_json(&health)?)
    })
}

/// One input's health. `out->size` must be set. On error nothing else of it is written. Any
/// thread; takes short locks.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_input_health_of(
    engine: changeover_engine,
    stream: *const c_char,
    priority: i32,
    out: *mut changeover_input_health,
) -> i32 {
    guard(|| {
        room(out)?;
        let tenant = tenant::engine(engine.raw)?;
        let h = tenant.engine.input_health(text("stream", stream)?, priority)?.health;
        let mut health = changeover_input_health {
            size: size_of::<changeover_input_health>(),
            priority: h.input_priority,
            status: input_status(h.status),
            hot: h.hot.into(),
            running: h.running.into(),
            proved: h.proved.into(),
            impaired_count: count(h.impaired.len()),
            last_packet_unix_ns: h.last_packet_at.map_or(0, unix_ns),
            epoch: h.epoch.map_or(0, |epoch| epoch.get()),
            bitrate_kbps: h.bitrate_kbps,
            packet_loss: h.packet_loss,
            fps: h.fps,
            packets: h.packets,
            bytes: h.bytes,
            frames: h.frames,
            lost: h.lost,
            keyframes: h.keyframes,
            reference_kbps: h.reference_kbps.unwrap_or(0.0),
            learned_timeout_ms: h.learned.map_or(0.0, |learned| learned.timeout_ms),
            suspicion: h.learned.map_or(0.0, |learned| learned.suspicion),
            required_stable_ms: h.required_stable_ms,
            last_failure: [0; 256],
        };
        fill(&mut health.last_failure, h.last_failure.as_ref().map_or("", |f| &f.message));
        give_sized(out, &health)
    })
}
