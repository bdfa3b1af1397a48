//! The host's ingest as a struct of callbacks, and the answers that come later.

use std::ffi::{CString, c_char, c_void};
use std::fmt;

use super::boundary::{Foreign, guard, message, sized};
use super::changeover_engine;
use super::codes::Refusal;
use super::owed::Pending;
use super::slots::{Kind, Parts};
use super::tenant::{self, find};
use crate::config::InputConfig;
use crate::driver::{
    Answer, DriverCall, IngestDriver, KeyframeCall, ProbeCall, RebindCall, StartCall, StopCall,
};
use crate::sync::Arc;

/// A driver call's answer: it worked.
pub const CHANGEOVER_ANSWER_DONE: i32 = 0;
/// It did not.
pub const CHANGEOVER_ANSWER_FAILED: i32 = 1;
/// There is no such operation (probes only; a start counts as failed).
pub const CHANGEOVER_ANSWER_UNSUPPORTED: i32 = 2;
/// The answer comes later, from any thread, by `changeover_answer`.
pub const CHANGEOVER_ANSWER_LATER: i32 = 3;

/// The right to answer one driver call. 0 = none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_answer_token {
    /// Not for you.
    pub raw: u64,
}

/// One driver call. Everything it points to is valid until the callback returns.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_driver_call {
    /// sizeof(changeover_driver_call), as the library knows it: fields beyond are not there.
    pub size: usize,
    /// The engine that calls.
    pub engine: changeover_engine,
    /// The stream's id.
    pub stream: *const c_char,
    /// The activation (start, stop, rebind, request_keyframe): packets of it are recorded by a
    /// recorder that is opened with it. 0 for a probe.
    pub epoch: u64,
    /// The input. For stop: its priority when it was started or last rebound.
    pub input_priority: i32,
    /// Rebind: the priority that the activation had. Otherwise 0.
    pub from_priority: i32,
    /// Where the source is. NULL for stop.
    pub address: *const c_char,
    /// Where to write. Start only; otherwise NULL.
    pub buffer_write_id: *const c_char,
    /// Start and probe: for `changeover_answer`. Otherwise 0.
    pub answer: changeover_answer_token,
    /// 1 for a hot input (request_keyframe is called for those, too).
    pub hot: u32,
    /// 0.
    pub reserved: u32,
}

/// What a driver does with one call, and answers (`CHANGEOVER_ANSWER_*`). One that fails may say
/// why: `changeover_answer(call->answer, CHANGEOVER_ANSWER_FAILED, "no route")`, and then return
/// the same; the first answer counts.
pub type changeover_driver_fn =
    Option<extern "C" fn(call: *const changeover_driver_call, user_data: *mut c_void) -> i32>;
/// What a driver does with a call that needs no answer.
pub type changeover_driver_note_fn =
    Option<extern "C" fn(call: *const changeover_driver_call, user_data: *mut c_void)>;

/// Who brings cold inputs up and down. Make it with `changeover_driver_init()`. An engine whose
/// inputs are all hot needs none.
///
/// Calls come on worker threads of the engine, never on its monitor: each may block, take seconds,
/// or call back into the API; none may throw or longjmp out. Calls for one input come in order
/// and never overlap; a call past its deadline counts as failed, and what it answers later is
/// ignored. A host that does not want to block answers CHANGEOVER_ANSWER_LATER, at once, keeps
/// `call->answer`, and calls `changeover_answer` when it knows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_driver {
    /// sizeof(changeover_driver).
    pub size: usize,
    /// Handed to every callback.
    pub user_data: *mut c_void,
    /// Called once with `user_data` when no call runs or will run any more; on any thread but
    /// never a packet's. May be NULL. Not called if `changeover_engine_create` failed.
    pub destroy: Option<extern "C" fn(user_data: *mut c_void)>,
    /// Bring the input up, so that its packets are recorded under `call->epoch`. Deadline: the
    /// input's connect timeout. NULL: every start fails.
    pub start: changeover_driver_fn,
    /// Take the activation of `call->epoch` down; it is finished when this returns. Exactly one
    /// for each start that was made, but for those that failed. Deadline: the stop timeout.
    pub stop: changeover_driver_note_fn,
    /// Say whether the source would deliver, without bringing it on the air. Deadline: the probe
    /// timeout. NULL: unsupported; the engine takes packets as evidence, and starts as probes.
    pub probe: changeover_driver_fn,
    /// A running activation has another priority now: note it. May be NULL.
    pub rebind: changeover_driver_note_fn,
    /// A cut to this input waits for a keyframe: ask its encoder for one. May be NULL.
    pub request_keyframe: changeover_driver_note_fn,
}

sized!(changeover_driver: 64);

/// The engine's view of a C driver.
pub(super) struct CDriver {
    driver: changeover_driver,
    data: Foreign,
    engine: changeover_engine,
}

// SAFETY: functions, which are shared, and the host's data, for which `Foreign` answers.
unsafe impl Send for CDriver {}
// SAFETY: as above.
unsafe impl Sync for CDriver {}

impl fmt::Debug for CDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CDriver").field("data", &self.data).finish_non_exhaustive()
    }
}

/// A call on its way, with the texts that it points to.
struct Outgoing {
    call: changeover_driver_call,
    _texts: [CString; 3],
}

fn c(text: &str) -> CString {
    // Addresses may hold a NUL, which a C host cannot see beyond.
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}

impl CDriver {
    pub(super) fn new(driver: changeover_driver, engine: u64) -> Self {
        let data = Foreign::new(driver.user_data, driver.destroy);
        Self { driver, data, engine: changeover_engine { raw: engine } }
    }

    /// A driver that can do nothing: for an engine that is driven by hand, without one.
    pub(super) fn none(engine: u64) -> Self {
        let driver = changeover_driver {
            size: size_of::<changeover_driver>(),
            user_data: std::ptr::null_mut(),
            destroy: None,
            start: None,
            stop: None,
            probe: None,
            rebind: None,
            request_keyframe: None,
        };
        Self::new(driver, engine)
    }

    pub(super) fn own(&self) {
        self.data.own();
    }

    fn outgoing(
        &self,
        stream: &str,
        input: Option<&InputConfig>,
        buffer: Option<&str>,
    ) -> Outgoing {
        let texts =
            [c(stream), c(input.map_or("", |input| &input.address)), c(buffer.unwrap_or_default())];
        let shown = |there: bool, text: &CString| {
            if there { text.as_ptr() } else { std::ptr::null() }
        };
        let call = changeover_driver_call {
            size: size_of::<changeover_driver_call>(),
            engine: self.engine,
            stream: texts[0].as_ptr(),
            epoch: 0,
            input_priority: input.map_or(0, |input| input.priority),
            from_priority: 0,
            address: shown(input.is_some(), &texts[1]),
            buffer_write_id: shown(buffer.is_some(), &texts[2]),
            answer: changeover_answer_token { raw: 0 },
            hot: u32::from(input.is_some_and(|input| input.hot)),
            reserved: 0,
        };
        Outgoing { call, _texts: texts }
    }

    /// Makes a call that is to be answered. Its answer goes through the token, now or later.
    fn ask(&self, ask: changeover_driver_fn, mut out: Outgoing, pending: Pending) -> Answer {
        let Some(ask) = ask else { return Answer::Unsupported };
        let Ok(tenant) = tenant::engine(self.engine.raw) else {
            // Its slot is empty already: nobody waits for the answer.
            return Answer::Failed("the engine is ending".to_owned());
        };
        let Ok(handle) = tenant.answers.put(pending) else {
            return Answer::Failed("too many answers are owed".to_owned());
        };
        out.call.answer = changeover_answer_token { raw: handle };
        let answer = match ask(&out.call, self.data.user_data) {
            CHANGEOVER_ANSWER_DONE => Answer::Done,
            CHANGEOVER_ANSWER_FAILED => Answer::Failed("the driver answered: failed".to_owned()),
            CHANGEOVER_ANSWER_UNSUPPORTED => Answer::Unsupported,
            CHANGEOVER_ANSWER_LATER => return Answer::Later,
            other => {
                Answer::Failed(format!("the driver answered {other}, which stands for nothing"))
            }
        };
        // Where the host has answered through the token before, that counts.
        if let Ok(pending) = tenant.answers.take(Parts::of(handle)) {
            pending.answer(answer);
        }
        Answer::Later
    }

    fn tell(&self, tell: changeover_driver_note_fn, out: &Outgoing) {
        if let Some(tell) = tell {
            tell(&out.call, self.data.user_data);
        }
    }

    /// Carries out a call of an engine that is driven by hand.
    pub(super) fn carry_out(&self, call: &DriverCall) {
        match call {
            DriverCall::Start(call) => call.slip.answer(self.start(call)),
            DriverCall::Probe(call) => call.slip.answer(self.probe(call)),
            DriverCall::Stop(call) => self.stop(call),
            DriverCall::Rebind(call) => self.rebind(call),
            DriverCall::RequestKeyframe(call) => self.request_keyframe(call),
        }
    }
}

impl IngestDriver for CDriver {
    fn start(&self, call: &StartCall) -> Answer {
        let mut out = self.outgoing(&call.stream, Some(&call.input), Some(&call.buffer_write_id));
        out.call.epoch = call.epoch.get();
        let (stream, priority) = (Arc::clone(&call.stream), call.input.priority);
        let epoch = Some(call.epoch.get());
        let pending = Pending { token: call.token(), stream, priority, epoch };
        self.ask(self.driver.start, out, pending)
    }

    fn stop(&self, call: &StopCall) {
        let mut out = self.outgoing(&call.stream, None, None);
        out.call.epoch = call.epoch.get();
        out.call.input_priority = call.input_priority;
        if let Ok(tenant) = tenant::engine(self.engine.raw) {
            tenant.answers.stopped(&call.stream, call.input_priority, call.epoch.get());
        }
        self.tell(self.driver.stop, &out);
    }

    fn probe(&self, call: &ProbeCall) -> Answer {
        let out = self.outgoing(&call.stream, Some(&call.input), None);
        let (stream, priority) = (Arc::clone(&call.stream), call.input.priority);
        let pending = Pending { token: call.token(), stream, priority, epoch: None };
        self.ask(self.driver.probe, out, pending)
    }

    fn rebind(&self, call: &RebindCall) {
        let mut out = self.outgoing(&call.stream, Some(&call.input), None);
        out.call.epoch = call.epoch.get();
        out.call.from_priority = call.from_priority;
        if let Ok(tenant) = tenant::engine(self.engine.raw) {
            let (from, to) = (call.from_priority, call.input.priority);
            tenant.answers.rebound(&call.stream, from, to, call.epoch.get());
        }
        self.tell(self.driver.rebind, &out);
    }

    fn request_keyframe(&self, call: &KeyframeCall) {
        let mut out = self.outgoing(&call.stream, Some(&call.input), None);
        out.call.epoch = call.epoch.get();
        self.tell(self.driver.request_keyframe, &out);
    }
}

/// Answers a driver call that was answered CHANGEOVER_ANSWER_LATER (or is still running; the
/// first answer counts). `answer` is one of the other `CHANGEOVER_ANSWER_*`; `why` is for people,
/// may be NULL, and is used where it failed.
///
/// Any thread, also inside callbacks. Never blocks. The token is used up, whether or not the
/// answer came in time (what comes too late is ignored). Answers CHANGEOVER_INVALID_HANDLE for
/// one that is used up: by an answer, by the stop of its activation, by a later call of its kind
/// for the same input, or by the end of the stream or the engine.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_answer(
    token: changeover_answer_token,
    answer: i32,
    why: *const c_char,
) -> i32 {
    guard(|| {
        let answer = match answer {
            CHANGEOVER_ANSWER_DONE => Answer::Done,
            CHANGEOVER_ANSWER_FAILED => Answer::Failed(message(why)),
            CHANGEOVER_ANSWER_UNSUPPORTED => Answer::Unsupported,
            other => {
                return Err(Refusal::BadArgument { name: "answer", value: i64::from(other) });
            }
        };
        let (tenant, parts) = find(token.raw, Kind::Answer)?;
        tenant.answers.take(parts)?.answer(answer);
        Ok(())
    })
}
