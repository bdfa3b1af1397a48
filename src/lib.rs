//! A failover engine for live media inputs.
//!
//! A stream has several redundant inputs: a main encoder, a backup, another path, a slate.
//! changeover watches every packet of every input, notices at the deadline that the active one
//! is silent, starved, lossy, without picture or reported bad, and moves the stream to the best
//! input, without restarting anything downstream. It moves back when the better input has proved itself, obeys the
//! operator, and explains every move and every refusal.
//!
//! # Two planes
//! The *packet plane*: each producer thread holds a [`Recorder`] and calls
//! [`record`](Recorder::record) for every packet. That writes one 64-byte line of its own, reads
//! the published time, and answers a [`Verdict`]: forward (with the number of the cut), drop, or
//! stale. Wait-free; no lock, no system call, no allocation.
//!
//! The *control plane*: one monitor thread per [`Engine`] sleeps to the next deadline, looks at
//! the cells, and feeds a pure state machine per stream; host code (the [`IngestDriver`], the
//! callbacks) runs on threads of its own, and nobody waits for it.
//!
//! ```
//! use changeover::{Engine, InputConfig, Packet, StreamConfig, Verdict};
//!
//! let engine = Engine::builder().build()?;
//! let news = StreamConfig::new("news")
//!     .input(InputConfig::hot(0, "udp://main"))
//!     .input(InputConfig::hot(1, "udp://backup"));
//! engine.register(news)?;
//! let mut main = engine.recorder("news", 0, None)?; // one per producer thread
//! # let datagram = [0_u8; 1316];
//! match main.record(Packet::new(datagram.len())) {
//!     Verdict::Forward(_cut) => { /* send it */ }
//!     Verdict::Drop => {}
//!     Verdict::Stale => { /* open a new recorder */ }
//! }
//! # Ok::<(), changeover::Error>(())
//! ```
//!
//! # Progress and threads
//! | call | progress | thread |
//! |---|---|---|
//! | [`Recorder::record`] and its kin | wait-free | its owner's |
//! | [`Engine::record_packet`] | lock-free | any |
//! | [`Recorder::report_error`], token answers | lock-free but for a wake | any |
//! | everything else of [`Engine`] | takes short locks, waits for no host code | any |
//! | [`SwitchTicket::wait`], [`Engine::unregister_and_wait`], [`Engine::shutdown`] | may block | any but the engine's own |
//!
//! A failed allocation aborts the process, as everywhere in Rust; `record` and its kin make none. A
//! thread that the system refuses is an error of [`EngineBuilder::build`].
//!
//! # Health beyond silence
//! All of it is off until asked for: rules on bitrate, frame rate, loss and silent video, and
//! learned silence ([`HealthConfig`]), conditions that the host sees
//! ([`Engine::raise_condition`]), cuts on keyframes ([`Cut`]), the operator's hold
//! ([`Engine::hold_input`]), observe-only ([`EngineConfig::observe`]). Rules act on what the host
//! says of its packets ([`Packet`]); `eyes` reads that from MPEG-TS and RTP. [`timeline`] keeps
//! timestamps continuous across cuts.
//!
//! # From C and C++
//! `include/changeover.h` (feature `capi`, on by default) has all of it for C, and
//! `include/changeover.hpp` for C++17; `make install` puts them in place.
//!
//! # Reading order
//! `types`, `config`, `machine` (the decisions; its documentation is the state x event table),
//! `cell`, `handover`, `recorder` (the packet plane), `routes` (by-id look-up), `deadlines`,
//! `publish`, `monitor` (the loop), `driver`, `workers`, `engine`; `ffi` (the C ABI).

mod builder;
mod cell;
mod clock;
mod config;
mod core;
mod deadlines;
mod driver;
mod engine;
mod error;
mod events;
#[cfg(feature = "mpegts")]
pub mod eyes;
#[cfg(feature = "capi")]
mod ffi;
mod flags;
mod hand;
mod handover;
mod hostcall;
mod life;
mod machine;
#[cfg(feature = "metrics")]
mod metrics;
#[cfg(all(loom, test))]
mod models;
mod monitor;
mod notify;
mod plane;
mod publish;
mod recorder;
mod routes;
mod rules;
mod sentry;
mod slab;
mod spans;
mod stats;
mod status;
mod stream;
mod sync;
mod ticket;
pub mod timeline;
mod types;
mod workers;

pub use crate::builder::EngineBuilder;
pub use crate::config::{
    DEFAULT_ERROR_HISTORY, DEFAULT_FAILBACK_COOLDOWN_MS, DEFAULT_FAILBACK_STABLE_MS,
    DEFAULT_PACKET_TIMEOUT_MS, DEFAULT_PROBE_COOLDOWN_MS, DEFAULT_PROBE_TIMEOUT_MS,
    DEFAULT_STOP_TIMEOUT_MS, DEFAULT_SWITCH_HISTORY, EngineConfig, InputConfig, InputsUpdate,
    StreamConfig,
};
pub use crate::driver::{
    Answer, AnswerToken, DriverCall, IngestDriver, KeyframeCall, ProbeCall, RebindCall, StartCall,
    StopCall,
};
pub use crate::engine::{Engine, EventCallback, StreamCallback};
pub use crate::error::Error;
pub use crate::events::{DEFAULT_EVENT_CAPACITY, Event, EventKind, Subscription};
pub use crate::hand::HandEngine;
pub use crate::life::ShutdownReport;
pub use crate::recorder::Recorder;
pub use crate::rules::{
    BitrateRule, Condition, Cut, DEFAULT_CUT_MAX_WAIT_MS, DEFAULT_HEALTH_STEP_MS,
    DEFAULT_HOLD_TTL_MS, DEFAULT_LEARNED_CONFIDENCE, DEFAULT_LEARNED_FLOOR_MS,
    DEFAULT_RULE_CLEAR_MS, DEFAULT_RULE_HOLD_MS, Failback, FpsRule, HealthConfig, Hold, LossRule,
    MAX_CONDITION_NAME_BYTES, MAX_CONDITIONS, Silence, TrackSilenceRule, WhenDead,
};
pub use crate::stats::EngineStats;
pub use crate::status::{
    DecisionEntry, ErrorEntry, HoldStatus, ImpairedEntry, InputHealth, InputHealthSnapshot,
    LearnedStatus, RuntimeStatus, SwitchEvent,
};
pub use crate::ticket::SwitchTicket;
pub use crate::types::{
    Epoch, InputStatus, MAX_STREAM_ID_BYTES, Nanos, Packet, Priority, StreamStatus, SwitchReason,
    Tracks, Verdict,
};

/// The README's example, compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[derive(Debug)]
pub struct Readme;
