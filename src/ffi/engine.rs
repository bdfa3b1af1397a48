//! Engines and streams: create and destroy, register and unregister, edits, policy, text output.

use std::ffi::c_char;
use std::time::Duration;

use super::boundary::{
    give, give_sized, give_text, guard, guard_or, opt_read, opt_text, room, sized, text, wanted,
};
use super::codes::Refusal;
use super::config::{
    changeover_engine_config, changeover_inputs_update, changeover_stream_config, engine_config,
    flag, inputs_update, stream_config, unused,
};
use super::driver::{CDriver, changeover_driver};
use super::foreign::{Host, changeover_callbacks};
use super::hand::run_calls;
use super::json;
use super::slots::{self, Parts};
use super::tenant::{self, Tenant};
use crate::engine::Engine;
use crate::error::Error;
use crate::hostcall;
use crate::spans::not_negative;
use crate::sync::Arc;

/// An engine. 0 = none. Like all handles a number, not a pointer: copy it, store it, pass it to
/// other threads.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_engine {
    /// Not for you.
    pub raw: u64,
}

/// How an engine is to be. Everything may stay 0. Make it with `changeover_engine_options_init()`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_engine_options {
    /// sizeof(changeover_engine_options).
    pub size: usize,
    /// The policy; NULL = every default.
    pub config: *const changeover_engine_config,
    /// Who brings cold inputs up and down; NULL where all inputs are hot.
    pub driver: *const changeover_driver,
    /// What you want to be told; NULL = nothing (there is also `changeover_events_open`).
    pub callbacks: *const changeover_callbacks,
    /// What metric names begin with. NULL = `changeover`.
    pub metrics_prefix: *const c_char,
    /// How long a shutdown waits for driver calls and callbacks, ms. 0 = default 5,000.
    pub shutdown_timeout_ms: i64,
    /// Driver calls that may run at once. 0 = default 256.
    pub driver_workers: u32,
    /// Driver calls past their deadline whose workers are replaced. 0 = default 256.
    pub max_stuck_calls: u32,
    /// 1: no threads; a clock that moves by `changeover_hand_advance` alone. For tests.
    pub hand_driven: u32,
    /// 0.
    pub reserved: u32,
}

/// The engine's counters, and how late its monitor has been. Make it with
/// `changeover_engine_stats_init()` before it is written to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_engine_stats {
    /// sizeof(changeover_engine_stats).
    pub size: usize,
    /// Registered streams.
    pub streams: u64,
    /// The clock tick in force, ns.
    pub tick_ns: u64,
    /// Times the monitor has woken.
    pub wakes_total: u64,
    /// Wake-ups so late that silence was not judged by them.
    pub stalls_total: u64,
    /// Deadlines that were looked at.
    pub deadlines_total: u64,
    /// How late the monitor was for the last deadline it slept for, ns.
    pub lateness_last_ns: u64,
    /// The worst, ns.
    pub lateness_max_ns: u64,
    /// The median (to 25 %), ns.
    pub lateness_p50_ns: u64,
    /// The 99th percentile (to 25 %), ns.
    pub lateness_p99_ns: u64,
    /// Events lost by slow subscribers.
    pub events_dropped_total: u64,
    /// Driver calls that are past their deadline and have not returned.
    pub stuck_calls: u64,
    /// Failovers, over all streams.
    pub failovers_total: u64,
}

sized!(changeover_engine_options: 64, changeover_engine_stats: 104);

/// Makes an engine and starts its threads. `options` NULL = every default.
///
/// Any thread. The first one in a process takes about a millisecond (it calibrates its clock).
/// Everything that `options` points to is copied, but for the `user_data`s, which are yours until
/// their `destroy` is called. On error `*out` is not written, and no `destroy` is called:
/// CHANGEOVER_TOO_MANY_ENGINES (256), _THREAD, _FORKED, and what is wrong with the options.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_engine_create(
    options: *const changeover_engine_options,
    out: *mut changeover_engine,
) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let options = opt_read(options)?;
        if slots::is_forked() {
            return Err(Refusal::Forked);
        }
        let (claim, memory) = slots::claim().ok_or(Refusal::TooManyEngines)?;
        let raw = claim.handle();
        let mut builder = Engine::builder().memory(memory);
        let (mut driver, mut callbacks, mut hand_driven) = (None, None, false);
        if let Some(o) = options {
            unused(o.reserved)?;
            hand_driven = flag("hand_driven", o.hand_driven)?;
            if !o.config.is_null() {
                builder = builder.config(engine_config(o.config)?);
            }
            driver = opt_read(o.driver)?;
            callbacks = opt_read(o.callbacks)?;
            if let Some(prefix) = opt_text("metrics_prefix", o.metrics_prefix)? {
                builder = builder.metrics_prefix(prefix);
            }
            not_negative("shutdown_timeout_ms", o.shutdown_timeout_ms)?;
            if let ms @ 1.. = o.shutdown_timeout_ms.unsigned_abs() {
                builder = builder.shutdown_timeout(Duration::from_millis(ms));
            }
            if o.driver_workers > 0 {
                builder = builder.driver_workers(o.driver_workers as usize);
            }
            if o.max_stuck_calls > 0 {
                builder = builder.max_stuck_calls(o.max_stuck_calls as usize);
            }
        }
        let driver = driver.map(|driver| Arc::new(CDriver::new(driver, raw)));
        let host = Host::new(callbacks, raw);
        let (engine, hand) = if hand_driven {
            let hand = builder.build_hand_driven()?;
            let none = || Arc::new(CDriver::none(raw));
            (Engine::clone(&hand), Some((hand, driver.clone().unwrap_or_else(none))))
        } else {
            if let Some(driver) = &driver {
                builder = builder.driver(Arc::clone(driver));
            }
            (builder.build()?, None)
        };
        // From here on nothing fails.
        host.listen(&engine);
        host.own();
        driver.iter().for_each(|driver| driver.own());
        let tenant = Arc::new(Tenant::new(Parts::of(raw), engine, hand, host));
        claim.settle(tenant);
        give("out", out, changeover_engine { raw })
    })
}

/// Ends an engine: unregisters every stream, lets the final stops run, ends the threads, closes
/// everything that was opened on it. Notices that wait to be told are lost. Handles of it answer
/// CHANGEOVER_INVALID_HANDLE from then on. `detached_calls` may be NULL; otherwise it gets the
/// number of driver calls and callbacks that had not returned, or could not begin, within the
/// shutdown timeout: their threads were left to themselves, and they must not use the engine any
/// more.
///
/// Any thread but the engine's own: inside a callback or driver call it answers
/// CHANGEOVER_WOULD_BLOCK, and nothing is changed. May block. Other threads may be in any call on
/// the engine meanwhile. Destroying twice answers CHANGEOVER_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_engine_destroy(
    engine: changeover_engine,
    detached_calls: *mut u64,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        if hostcall::inside() {
            return Err(Error::WouldBlock { place: hostcall::PLACE }.into());
        }
        tenant.begin_end()?;
        let report = tenant.engine.shutdown()?;
        run_calls(&tenant);
        let parts = tenant.handle;
        let evicted = slots::evict(parts);
        tenant.close_all();
        // Its `destroy` is called now, though a call on another thread may still hold the engine.
        let host = std::mem::replace(&mut *tenant.host.lock(), Host::new(None, 0));
        drop(host);
        drop((evicted, tenant));
        slots::vacate(parts);
        if !detached_calls.is_null() {
            give("detached_calls", detached_calls, report.detached_calls as u64)?;
        }
        Ok(())
    })
}

/// The same without letting go of the handles: afterwards calls that would change something answer
/// CHANGEOVER_SHUT_DOWN, recorders CHANGEOVER_STALE; event queues can be read to their end, and
/// what was opened can be closed. Destroy it all the same.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_engine_shutdown(
    engine: changeover_engine,
    detached_calls: *mut u64,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        let report = tenant.engine.shutdown()?;
        run_calls(&tenant);
        if !detached_calls.is_null() {
            give("detached_calls", detached_calls, report.detached_calls as u64)?;
        }
        Ok(())
    })
}

/// Takes other callbacks in the place of those in force; NULL = none. Those replaced may still
/// be running (on the notifier thread) when this returns; their `destroy` is called after that.
///
/// Any thread, also inside a callback.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_set_callbacks(
    engine: changeover_engine,
    callbacks: *const changeover_callbacks,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        let host = Host::new(opt_read(callbacks)?, engine.raw);
        let replaced = {
            let mut in_force = tenant.host.lock();
            host.listen(&tenant.engine);
            std::mem::replace(&mut *in_force, Arc::clone(&host))
        };
        host.own();
        // Outside the lock: its `destroy` may be due.
        drop(replaced);
        Ok(())
    })
}

/// Starts supervising a stream. Its best input is started (or, hot, awaited); this call waits for
/// nobody. Everything is copied.
///
/// Any thread. On error nothing is changed: CHANGEOVER_ALREADY_REGISTERED, _EMPTY_STREAM_ID,
/// _BAD_STREAM_ID, _DUPLICATE_PRIORITY, _NEGATIVE_DURATION, _BAD_NUMBER, _SHUT_DOWN.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_register(
    engine: changeover_engine,
    stream: *const changeover_stream_config,
) -> i32 {
    guard(|| Ok(tenant::engine(engine.raw)?.engine.register(stream_config(stream)?)?))
}

/// The same from a JSON text; what it leaves out is 0. The names are those of the struct, but that
/// rules stand in groups, and `cut`, `failback`, `silence` and `observe` are words:
///   {"id": "news", "packet_timeout_ms": 200, "failback_stable_ms": 5000, "failback": "never",
///    "cut": {"keyframe": {"max_wait_ms": 3000}}, "observe": false,
///    "health": {"step_ms": 100,
///               "bitrate": {"min_kbps": 500, "min_percent": 70, "hold_ms": 3000,
///                           "clear_ms": 5000},
///               "fps": {"min": 20}, "loss": {"max_percent": 5},
///               "track_silence": {"video_ms": 2000},
///               "silence": {"learned": {"floor_ms": 25}}},
///    "inputs": [{"priority": 0, "hot": true, "address": "udp://main"},
///               {"priority": 1, "address": "udp://backup", "health": {"fps": {"min": 10}}}]}
#[unsafe(no_mangle)]
pub extern "C" fn changeover_register_json(
    engine: changeover_engine,
    stream: *const c_char,
) -> i32 {
    guard(|| Ok(tenant::engine(engine.raw)?.engine.register(json(text("stream", stream)?)?)?))
}

/// Ends supervision of a stream. After this returns no event, callback or driver call of it
/// begins, except one final stop for each activation still running. Those that run, or that
/// another thread is just about to enter, may finish (`changeover_unregister_and_wait` waits for
/// them). Its recorders answer CHANGEOVER_STALE (close them all the same).
///
/// Any thread, also inside callbacks of the same stream.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_unregister(engine: changeover_engine, stream: *const c_char) -> i32 {
    guard(|| {
        let (tenant, stream) = (tenant::engine(engine.raw)?, text("stream", stream)?);
        let gone = tenant.engine.core().by_id(stream);
        tenant.engine.unregister(stream)?;
        gone.iter().for_each(|gone| tenant.answers.unregistered(&gone.id));
        Ok(())
    })
}

/// The same, and waits until every driver call and callback of the stream has returned: up to
/// `timeout_ms` milliseconds. CHANGEOVER_TIMED_OUT: it is unregistered, but a call has not
/// returned. CHANGEOVER_WOULD_BLOCK (inside a callback or driver call; driven by hand): nothing
/// is changed. May block.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_unregister_and_wait(
    engine: changeover_engine,
    stream: *const c_char,
    timeout_ms: u32,
) -> i32 {
    guard(|| {
        let (tenant, stream) = (tenant::engine(engine.raw)?, text("stream", stream)?);
        let timeout = Duration::from_millis(timeout_ms.into());
        let gone = tenant.engine.core().by_id(stream);
        let waited = tenant.engine.unregister_and_wait(stream, timeout);
        if matches!(waited, Ok(()) | Err(Error::TimedOut { .. })) {
            gone.iter().for_each(|gone| tenant.answers.unregistered(&gone.id));
        }
        Ok(waited?)
    })
}

/// Whether a stream of this id is registered: 1 or 0; negative: a code. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_is_registered(
    engine: changeover_engine,
    stream: *const c_char,
) -> i32 {
    guard_or(|| {
        let tenant = tenant::engine(engine.raw)?;
        Ok(i32::from(tenant.engine.is_registered(text("stream", stream)?)))
    })
}

/// The ids of all registered streams, sorted, one to a line (ids have no control characters).
/// `count` may be NULL. Free the text with `changeover_string_free`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_registered_streams(
    engine: changeover_engine,
    out: *mut *mut c_char,
    count: *mut usize,
) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let ids = tenant::engine(engine.raw)?.engine.registered_streams();
        if !count.is_null() {
            give("count", count, ids.len())?;
        }
        give_text("out", out, ids.iter().map(|id| format!("{id}\n")).collect())
    })
}

/// Adds, removes and updates inputs in one atomic step; at most one move results.
///
/// Any thread. On error nothing is changed: CHANGEOVER_DUPLICATE_PRIORITY for one that is added
/// though it exists, or named twice; _UNKNOWN_INPUT for one that is removed or updated though it
/// does not exist; _NEGATIVE_DURATION, _BAD_NUMBER, _UNKNOWN_STREAM.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_update_inputs(
    engine: changeover_engine,
    stream: *const c_char,
    update: *const changeover_inputs_update,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        Ok(tenant.engine.update_inputs(text("stream", stream)?, inputs_update(update)?)?)
    })
}

/// The same from a JSON text: `{"added": [...], "removed": [2], "updated": [...]}`.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_update_inputs_json(
    engine: changeover_engine,
    stream: *const c_char,
    update: *const c_char,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        Ok(tenant.engine.update_inputs(text("stream", stream)?, json(text("update", update)?)?)?)
    })
}

/// Has ingest write elsewhere: the active input (and one being started) restarts on the new
/// buffer. NULL or empty = the stream's own id. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_update_buffer_write_id(
    engine: changeover_engine,
    stream: *const c_char,
    buffer_write_id: *const c_char,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        let buffer = opt_text("buffer_write_id", buffer_write_id)?.unwrap_or_default();
        Ok(tenant.engine.update_buffer_write_id(text("stream", stream)?, buffer)?)
    })
}

/// Changes the policy, at once, for every stream. Inputs that are degraded stay so. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_set_config(
    engine: changeover_engine,
    config: *const changeover_engine_config,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        if config.is_null() {
            return Err(Refusal::Null("config"));
        }
        Ok(tenant.engine.set_config(engine_config(config)?)?)
    })
}

/// The same from a JSON text, as `changeover_config_json` gives it. What it leaves out is the
/// default, not what was before.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_set_config_json(
    engine: changeover_engine,
    config: *const c_char,
) -> i32 {
    guard(|| {
        let tenant = tenant::engine(engine.raw)?;
        Ok(tenant.engine.set_config(json(text("config", config)?)?)?)
    })
}

/// The policy as it was set, as a JSON text. Free it with `changeover_string_free`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_config_json(engine: changeover_engine, out: *mut *mut c_char) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let config = tenant::engine(engine.raw)?.engine.config();
        give_text("out", out, super::to_json(&config)?)
    })
}

/// The engine's counters. `out->size` must be set. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_stats(
    engine: changeover_engine,
    out: *mut changeover_engine_stats,
) -> i32 {
    guard(|| {
        room(out)?;
        let stats = tenant::engine(engine.raw)?.engine.stats();
        let stats = changeover_engine_stats {
            size: size_of::<changeover_engine_stats>(),
            streams: stats.streams,
            tick_ns: stats.tick_ns,
            wakes_total: stats.wakes_total,
            stalls_total: stats.stalls_total,
            deadlines_total: stats.deadlines_total,
            lateness_last_ns: stats.lateness_last_ns,
            lateness_max_ns: stats.lateness_max_ns,
            lateness_p50_ns: stats.lateness_p50_ns,
            lateness_p99_ns: stats.lateness_p99_ns,
            events_dropped_total: stats.events_dropped_total,
            stuck_calls: stats.stuck_calls,
            failovers_total: stats.failovers_total,
        };
        give_sized(out, &stats)
    })
}

/// Everything in OpenMetrics text. Free it with `changeover_string_free`. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_metrics_text(engine: changeover_engine, out: *mut *mut c_char) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let text = tenant::engine(engine.raw)?.engine.metrics_text();
        give_text("out", out, text)
    })
}

/// The engine's precise clock: nanoseconds since it was made. On error `*out` is not written.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_now_ns(engine: changeover_engine, out: *mut u64) -> i32 {
    guard(|| give("out", out, tenant::engine(engine.raw)?.engine.now_ns()))
}
