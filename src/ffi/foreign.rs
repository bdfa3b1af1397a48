//! The host's callbacks: exhausted, restored, every event, the log.

use std::ffi::{CString, c_char, c_void};
use std::fmt;

use super::boundary::{Foreign, sized};
use super::changeover_engine;
use super::events::{changeover_event, to_c};
use crate::engine::Engine;
use crate::events::{Event, EventKind};
use crate::notify::EventCallback;
use crate::sync::Arc;

/// Log level: something needs attention.
pub const CHANGEOVER_LOG_WARNING: i32 = 1;
/// Log level: what happens.
pub const CHANGEOVER_LOG_INFO: i32 = 2;

/// What the host wants to be told. Make it with `changeover_callbacks_init()`.
///
/// All are called on one thread of the engine (its notifier), one at a time, in the order of what
/// happened; a slow one delays nobody's decisions (but the callbacks behind it). They may call
/// back into the API, `changeover_unregister` included; what would have to wait (among it
/// `changeover_engine_destroy`) answers CHANGEOVER_WOULD_BLOCK there. They must not throw or
/// longjmp out. After `changeover_unregister` has returned none begins for that stream (one that
/// the notifier is just about to enter may still come; `changeover_unregister_and_wait` waits for
/// it), after `changeover_engine_destroy` none at all. On an engine that is driven by hand they run
/// inside the call that causes them.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_callbacks {
    /// sizeof(changeover_callbacks).
    pub size: usize,
    /// Handed to every callback.
    pub user_data: *mut c_void,
    /// Called once with `user_data`, when no callback runs or will run any more: when others
    /// have taken their place, or the engine ends; on any thread but never a packet's. May be
    /// NULL. Not called if the call that brought it failed.
    pub destroy: Option<extern "C" fn(user_data: *mut c_void)>,
    /// A stream has no usable input left.
    pub on_exhausted: Option<
        extern "C" fn(engine: changeover_engine, stream: *const c_char, user_data: *mut c_void),
    >,
    /// An exhausted stream is back.
    pub on_restored: Option<
        extern "C" fn(engine: changeover_engine, stream: *const c_char, user_data: *mut c_void),
    >,
    /// Anything has happened. Where it is slow, the oldest of 1,024 waiting events are lost;
    /// `changeover_events_open` counts what it loses. `event` is valid until it returns.
    pub on_event: Option<
        extern "C" fn(
            engine: changeover_engine,
            event: *const changeover_event,
            user_data: *mut c_void,
        ),
    >,
    /// A line for the log: the same in one line of text, for people who read JSON. `level` is
    /// `CHANGEOVER_LOG_*`.
    pub on_log: Option<
        extern "C" fn(
            engine: changeover_engine,
            level: i32,
            line: *const c_char,
            user_data: *mut c_void,
        ),
    >,
}

sized!(changeover_callbacks: 56);

/// The callbacks of one engine, and their data.
pub(super) struct Host {
    callbacks: changeover_callbacks,
    data: Foreign,
    engine: changeover_engine,
}

// SAFETY: functions, which are shared, and the host's data, for which `Foreign` answers.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("data", &self.data).finish_non_exhaustive()
    }
}

impl Host {
    pub(super) fn new(callbacks: Option<changeover_callbacks>, engine: u64) -> Arc<Self> {
        let none = changeover_callbacks {
            size: 0,
            user_data: std::ptr::null_mut(),
            destroy: None,
            on_exhausted: None,
            on_restored: None,
            on_event: None,
            on_log: None,
        };
        let callbacks = callbacks.unwrap_or(none);
        let data = Foreign::new(callbacks.user_data, callbacks.destroy);
        Arc::new(Self { callbacks, data, engine: changeover_engine { raw: engine } })
    }

    /// The call that brought them has worked.
    pub(super) fn own(&self) {
        self.data.own();
    }

    /// Has the engine call them.
    pub(super) fn listen(self: &Arc<Self>, engine: &Engine) {
        let c = &self.callbacks;
        engine.set_exhausted_callback(c.on_exhausted.map(|call| self.stream_callback(call)));
        engine.set_restored_callback(c.on_restored.map(|call| self.stream_callback(call)));
        let mut events: Vec<EventCallback> = Vec::new();
        if let Some(call) = c.on_event {
            let host = Arc::clone(self);
            events
                .push(Arc::new(move |event| call(host.engine, &to_c(event), host.data.user_data)));
        }
        if let Some(call) = c.on_log {
            let host = Arc::clone(self);
            events.push(Arc::new(move |event| host.log(call, event)));
        }
        engine.set_event_callbacks(events);
    }

    fn stream_callback(
        self: &Arc<Self>,
        call: extern "C" fn(changeover_engine, *const c_char, *mut c_void),
    ) -> crate::engine::StreamCallback {
        let host = Arc::clone(self);
        Box::new(move |stream: &str| {
            // Ids have no control characters.
            let stream = CString::new(stream).unwrap_or_default();
            call(host.engine, stream.as_ptr(), host.data.user_data);
        })
    }

    fn log(&self, call: LogFn, event: &Event) {
        let level = match event.kind {
            EventKind::Exhausted | EventKind::InputDegraded { .. } | EventKind::Stall { .. } => {
                CHANGEOVER_LOG_WARNING
            }
            _ => CHANGEOVER_LOG_INFO,
        };
        let stream = event.stream.as_deref().unwrap_or("-");
        let what = serde_json::to_string(&event.kind).unwrap_or_default();
        let line = CString::new(format!("changeover: {stream}: {what}")).unwrap_or_default();
        call(self.engine, level, line.as_ptr(), self.data.user_data);
    }
}

type LogFn = extern "C" fn(changeover_engine, i32, *const c_char, *mut c_void);
