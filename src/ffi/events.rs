//! Events as C structs, and the queue that a C event loop reads them from.

use std::ffi::c_char;
use std::time::Duration;

use super::bell::EventFd;
use super::boundary::{fill, give, give_sized, give_text, guard, guard_or, room, sized, wanted};
use super::changeover_engine;
use super::codes::Refusal;
use super::slots::Kind;
use super::status::{reason_to_c, unix_ns};
use super::tenant::{self, find};
use crate::error::Error;
use crate::events::{Event, EventKind, Subscription};
use crate::hostcall;
use crate::sync::Arc;
use crate::types::Priority;

/// An input failed: `input_priority`, `reason` (its class), `detail`.
pub const CHANGEOVER_EVENT_INPUT_DEGRADED: u32 = 1;
/// A health rule or a condition acts: `input_priority`, `reason` (the rule), `value`, `limit`,
/// `detail`.
pub const CHANGEOVER_EVENT_INPUT_IMPAIRED: u32 = 2;
/// It is clear again: `input_priority`, `reason` (the rule).
pub const CHANGEOVER_EVENT_INPUT_CLEARED: u32 = 3;
/// A failed input is eligible again: `input_priority`, `detail` (`packets`, `probe`, `health`,
/// `enabled`).
pub const CHANGEOVER_EVENT_INPUT_RECOVERED: u32 = 4;
/// The driver accepted a start: `input_priority`, `epoch`.
pub const CHANGEOVER_EVENT_INPUT_STARTED: u32 = 5;
/// A switch is decided: `from_priority`, `to_priority`, `reason`.
pub const CHANGEOVER_EVENT_SWITCH_DECIDED: u32 = 6;
/// A switch is effective, for whatever reason: `from_priority`, `to_priority`, `reason`, `detail`.
/// (Whose packets go out tells CHANGEOVER_EVENT_FIRST_PACKET: later where the old input is dead and
/// the new one is waited for, at the same time otherwise.)
pub const CHANGEOVER_EVENT_INPUT_FAILOVER: u32 = 7;
/// The target delivers; its next packet (`keyframe` 1: its next keyframe) makes the cut:
/// `from_priority`, `to_priority`, `keyframe`, `duration_ms` (longest wait).
pub const CHANGEOVER_EVENT_SWITCH_ARMED: u32 = 8;
/// The first packet of the new input went out: `input_priority`, `stall_us`, `aligned`.
pub const CHANGEOVER_EVENT_FIRST_PACKET: u32 = 9;
/// A move that was wanted is not made now: `to_priority`, `reason`, `duration_ms` (how long the
/// rule still holds), `detail` (the rule, and its numbers).
pub const CHANGEOVER_EVENT_SWITCH_REFUSED: u32 = 10;
/// A decided switch failed: `from_priority`, `to_priority`, `reason`, `detail`.
pub const CHANGEOVER_EVENT_SWITCH_FAILED: u32 = 11;
/// The operator's override is in force: `input_priority`.
pub const CHANGEOVER_EVENT_OVERRIDE_SET: u32 = 12;
/// It is gone: `input_priority`, `detail` (why).
pub const CHANGEOVER_EVENT_OVERRIDE_CLEARED: u32 = 13;
/// The operator's hold is in force: `input_priority`, `duration_ms` (its life).
pub const CHANGEOVER_EVENT_HOLD_SET: u32 = 14;
/// It has ended: `input_priority`, `detail` (why).
pub const CHANGEOVER_EVENT_HOLD_RELEASED: u32 = 15;
/// No usable input is left.
pub const CHANGEOVER_EVENT_EXHAUSTED: u32 = 16;
/// An exhausted stream is back: `input_priority`.
pub const CHANGEOVER_EVENT_RESTORED: u32 = 17;
/// Fewer than two usable inputs remain: `usable_inputs`.
pub const CHANGEOVER_EVENT_REDUNDANCY_LOST: u32 = 18;
/// Two or more are there again: `usable_inputs`.
pub const CHANGEOVER_EVENT_REDUNDANCY_REGAINED: u32 = 19;
/// The monitor woke much later than planned (`duration_ms`); silence is not judged by that time.
/// It concerns the engine: `stream` is empty.
pub const CHANGEOVER_EVENT_STALL: u32 = 20;

/// `changeover_event.fields`: `from_priority` is there (otherwise: from none).
pub const CHANGEOVER_EVENT_HAS_FROM: u32 = 1;
/// `to_priority` is there.
pub const CHANGEOVER_EVENT_HAS_TO: u32 = 2;
/// `input_priority` is there.
pub const CHANGEOVER_EVENT_HAS_INPUT: u32 = 4;
/// `stall_us` is known.
pub const CHANGEOVER_EVENT_HAS_STALL: u32 = 8;
/// `aligned` is there: the cut waited for a keyframe.
pub const CHANGEOVER_EVENT_HAS_ALIGNED: u32 = 16;

/// Something that happened. What a kind does not say is 0. Make it with `changeover_event_init()`
/// before it is written to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_event {
    /// sizeof(changeover_event).
    pub size: usize,
    /// Ascending within the engine, from 1.
    pub id: u64,
    /// When, on the engine's clock, ns.
    pub at_ns: u64,
    /// When, ns since 1970-01-01 UTC.
    pub at_unix_ns: i64,
    /// `CHANGEOVER_EVENT_*`.
    pub kind: u32,
    /// `CHANGEOVER_REASON_*`, or 0.
    pub reason: u32,
    /// `CHANGEOVER_EVENT_HAS_*`: which of the fields below are there that could be 0.
    pub fields: u32,
    /// The input left.
    pub from_priority: i32,
    /// The input taken or wanted.
    pub to_priority: i32,
    /// The input concerned.
    pub input_priority: i32,
    /// Usable inputs.
    pub usable_inputs: u32,
    /// The cut waits for a keyframe: 1.
    pub keyframe: u32,
    /// The cut fell on a keyframe: 1.
    pub aligned: u32,
    /// 0.
    pub reserved: u32,
    /// The activation.
    pub epoch: u64,
    /// A time that the kind names, ms.
    pub duration_ms: u64,
    /// From the last packet of the old input to the first of the new one, us.
    pub stall_us: u64,
    /// What was measured: kbit/s, frames/s, percent, or ms.
    pub value: f64,
    /// The rule's limit, in the same unit.
    pub limit: f64,
    /// The stream's id; empty where it concerns the engine.
    pub stream: [c_char; 136],
    /// For people; cut short where it is longer (the JSON form has all of it).
    pub detail: [c_char; 256],
}

sized!(changeover_event: 504);

/// An event queue. 0 = none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_events {
    /// Not for you.
    pub raw: u64,
}

pub(super) fn to_c(event: &Event) -> changeover_event {
    let mut out = changeover_event {
        size: size_of::<changeover_event>(),
        id: event.id,
        at_ns: event.at_ns,
        at_unix_ns: unix_ns(event.at),
        kind: 0,
        reason: 0,
        fields: 0,
        from_priority: 0,
        to_priority: 0,
        input_priority: 0,
        usable_inputs: 0,
        keyframe: 0,
        aligned: 0,
        reserved: 0,
        epoch: 0,
        duration_ms: 0,
        stall_us: 0,
        value: 0.0,
        limit: 0.0,
        stream: [0; 136],
        detail: [0; 256],
    };
    fill(&mut out.stream, event.stream.as_deref().unwrap_or_default());
    out.say(&event.kind);
    out
}

impl changeover_event {
    fn is(&mut self, kind: u32) -> &mut Self {
        self.kind = kind;
        self
    }

    fn from(&mut self, from: Option<Priority>) -> &mut Self {
        self.fields |= if from.is_some() { CHANGEOVER_EVENT_HAS_FROM } else { 0 };
        self.from_priority = from.unwrap_or(0);
        self
    }

    fn to(&mut self, to: Option<Priority>) -> &mut Self {
        self.fields |= if to.is_some() { CHANGEOVER_EVENT_HAS_TO } else { 0 };
        self.to_priority = to.unwrap_or(0);
        self
    }

    fn input(&mut self, input: Priority) -> &mut Self {
        self.fields |= CHANGEOVER_EVENT_HAS_INPUT;
        self.input_priority = input;
        self
    }

    fn because(&mut self, reason: crate::types::SwitchReason) -> &mut Self {
        self.reason = reason_to_c(reason);
        self
    }

    fn detail(&mut self, text: &str) -> &mut Self {
        fill(&mut self.detail, text);
        self
    }

    fn usable(&mut self, inputs: usize) {
        self.usable_inputs = u32::try_from(inputs).unwrap_or(u32::MAX);
    }

    /// Exhaustive: a new kind cannot ship without a number.
    fn say(&mut self, kind: &EventKind) {
        use EventKind as E;
        match kind {
            E::InputDegraded { input_priority, reason, cause } => {
                self.is(CHANGEOVER_EVENT_INPUT_DEGRADED).input(*input_priority);
                self.because(*cause).detail(reason);
            }
            E::InputImpaired { input_priority, rule, value, limit, detail } => {
                self.is(CHANGEOVER_EVENT_INPUT_IMPAIRED).input(*input_priority);
                self.because(*rule).detail(detail);
                (self.value, self.limit) = (*value, *limit);
            }
            E::InputCleared { input_priority, rule } => {
                self.is(CHANGEOVER_EVENT_INPUT_CLEARED).input(*input_priority).because(*rule);
            }
            E::InputRecovered { input_priority, evidence } => {
                self.is(CHANGEOVER_EVENT_INPUT_RECOVERED).input(*input_priority).detail(evidence);
            }
            E::InputStarted { input_priority, epoch } => {
                self.is(CHANGEOVER_EVENT_INPUT_STARTED).input(*input_priority);
                self.epoch = epoch.get();
            }
            E::SwitchDecided { from, to, reason } => {
                self.is(CHANGEOVER_EVENT_SWITCH_DECIDED).from(*from).to(Some(*to)).because(*reason);
            }
            E::InputFailover { from, to, reason, detail } => {
                self.is(CHANGEOVER_EVENT_INPUT_FAILOVER).from(Some(*from)).to(Some(*to));
                self.because(*reason).detail(detail);
            }
            E::SwitchArmed { from, to, keyframe, max_wait_ms } => {
                self.is(CHANGEOVER_EVENT_SWITCH_ARMED).from(*from).to(Some(*to));
                (self.keyframe, self.duration_ms) = (u32::from(*keyframe), *max_wait_ms);
            }
            E::FirstPacket { input_priority, stall_us, aligned } => {
                self.is(CHANGEOVER_EVENT_FIRST_PACKET).input(*input_priority);
                self.fields |= stall_us.map_or(0, |_| CHANGEOVER_EVENT_HAS_STALL);
                self.fields |= aligned.map_or(0, |_| CHANGEOVER_EVENT_HAS_ALIGNED);
                self.stall_us = stall_us.unwrap_or(0);
                self.aligned = u32::from(*aligned == Some(true));
            }
            E::SwitchRefused { to, reason, rule, remaining_ms, detail } => {
                self.is(CHANGEOVER_EVENT_SWITCH_REFUSED).to(*to).because(*reason);
                self.duration_ms = *remaining_ms;
                let sep = if detail.is_empty() { "" } else { ": " };
                self.detail(&format!("{rule}{sep}{detail}"));
            }
            E::SwitchFailed { from, to, reason, message } => {
                self.is(CHANGEOVER_EVENT_SWITCH_FAILED).from(*from).to(Some(*to));
                self.because(*reason).detail(message);
            }
            E::OverrideSet { input_priority } => {
                self.is(CHANGEOVER_EVENT_OVERRIDE_SET).input(*input_priority);
            }
            E::OverrideCleared { input_priority, why } => {
                self.is(CHANGEOVER_EVENT_OVERRIDE_CLEARED).input(*input_priority).detail(why);
            }
            E::HoldSet { input_priority, ttl_ms } => {
                self.is(CHANGEOVER_EVENT_HOLD_SET).input(*input_priority);
                self.duration_ms = *ttl_ms;
            }
            E::HoldReleased { input_priority, why } => {
                self.is(CHANGEOVER_EVENT_HOLD_RELEASED).input(*input_priority).detail(why);
            }
            E::Exhausted => {
                self.is(CHANGEOVER_EVENT_EXHAUSTED);
            }
            E::Restored { input_priority } => {
                self.is(CHANGEOVER_EVENT_RESTORED).input(*input_priority);
            }
            E::RedundancyLost { usable_inputs } => {
                self.is(CHANGEOVER_EVENT_REDUNDANCY_LOST).usable(*usable_inputs);
            }
            E::RedundancyRegained { usable_inputs } => {
                self.is(CHANGEOVER_EVENT_REDUNDANCY_REGAINED).usable(*usable_inputs);
            }
            E::Stall { late_ms } => {
                self.is(CHANGEOVER_EVENT_STALL);
                self.duration_ms = *late_ms;
            }
        }
    }
}

/// A subscription with the descriptor that tells of it.
#[derive(Debug)]
pub(super) struct Reader {
    queue: Subscription,
    bell: Arc<EventFd>,
}

fn reader(events: changeover_events) -> Result<Arc<Reader>, Refusal> {
    let (tenant, parts) = find(events.raw, Kind::Events)?;
    tenant.events.get(parts)
}

/// The name of an event's kind, as in the JSON (`input.degraded`, ...): a constant text, not to be
/// freed; NULL for a number that stands for none. Any thread; wait-free.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_event_name(kind: u32) -> *const c_char {
    let name = match kind {
        CHANGEOVER_EVENT_INPUT_DEGRADED => c"input.degraded",
        CHANGEOVER_EVENT_INPUT_IMPAIRED => c"input.impaired",
        CHANGEOVER_EVENT_INPUT_CLEARED => c"input.cleared",
        CHANGEOVER_EVENT_INPUT_RECOVERED => c"input.recovered",
        CHANGEOVER_EVENT_INPUT_STARTED => c"input.started",
        CHANGEOVER_EVENT_SWITCH_DECIDED => c"input.decided",
        CHANGEOVER_EVENT_INPUT_FAILOVER => c"input.failover",
        CHANGEOVER_EVENT_SWITCH_ARMED => c"input.armed",
        CHANGEOVER_EVENT_FIRST_PACKET => c"input.first_packet",
        CHANGEOVER_EVENT_SWITCH_REFUSED => c"input.refused",
        CHANGEOVER_EVENT_SWITCH_FAILED => c"input.switch_failed",
        CHANGEOVER_EVENT_OVERRIDE_SET => c"input.override_set",
        CHANGEOVER_EVENT_OVERRIDE_CLEARED => c"input.override_cleared",
        CHANGEOVER_EVENT_HOLD_SET => c"input.hold_set",
        CHANGEOVER_EVENT_HOLD_RELEASED => c"input.hold_released",
        CHANGEOVER_EVENT_EXHAUSTED => c"stream.exhausted",
        CHANGEOVER_EVENT_RESTORED => c"stream.restored",
        CHANGEOVER_EVENT_REDUNDANCY_LOST => c"stream.redundancy_lost",
        CHANGEOVER_EVENT_REDUNDANCY_REGAINED => c"stream.redundancy_regained",
        CHANGEOVER_EVENT_STALL => c"engine.stall",
        _ => return std::ptr::null(),
    };
    name.as_ptr()
}

/// Opens a queue of the engine's events from now on: `capacity` of them at most (0 = 1,024). A full
/// one loses its oldest events, with a count, and delays nobody. Any number of queues; each has
/// every event.
///
/// Any thread. Close it with `changeover_events_close`; it ends with its engine. On error
/// `*out` is not written; CHANGEOVER_NO_DESCRIPTOR: the process has none left.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_events_open(
    engine: changeover_engine,
    capacity: usize,
    out: *mut changeover_events,
) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let tenant = tenant::engine(engine.raw)?;
        let bell = Arc::new(EventFd::new().ok_or(Refusal::NoDescriptor)?);
        let queue = tenant.engine.subscribe_with(capacity, Box::new(Arc::clone(&bell)));
        let raw = tenant.events.put(Arc::new(Reader { queue, bell }))?;
        give("out", out, changeover_events { raw })
    })
}

/// Closes a queue, and its descriptor. Events in it are lost.
///
/// Any thread; a call that waits in it returns at its time. Closing twice answers
/// CHANGEOVER_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_events_close(events: changeover_events) -> i32 {
    guard(|| {
        let (tenant, parts) = find(events.raw, Kind::Events)?;
        tenant.events.take(parts).map(drop)
    })
}

/// The queue's descriptor, for poll, select, epoll: readable while there is something to read, and
/// for ever once the engine is shut down. Do not read from it or close it: it is the queue's, and
/// ends with it. Negative: a code (CHANGEOVER_UNSUPPORTED on other systems than Linux).
#[unsafe(no_mangle)]
pub extern "C" fn changeover_events_fd(events: changeover_events) -> i32 {
    guard_or(|| {
        let none = Refusal::Unsupported("event descriptors are there on Linux only");
        reader(events)?.bell.descriptor().ok_or(none)
    })
}

/// Takes the next event out of the queue: 1 if there is one (in `*out`), 0 if there is none.
/// CHANGEOVER_SHUT_DOWN: none, and none will come any more. `out->size` must be set.
///
/// Any thread; several that read one queue share its events between them. Does not wait.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_events_next(
    events: changeover_events,
    out: *mut changeover_event,
) -> i32 {
    changeover_events_wait(events, 0, out)
}

/// The same, and waits for one up to `timeout_ms` milliseconds. May block; answers
/// CHANGEOVER_WOULD_BLOCK where that cannot be (inside a callback; on an engine that is driven
/// by hand), unless `timeout_ms` is 0 or there is an event.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_events_wait(
    events: changeover_events,
    timeout_ms: u32,
    out: *mut changeover_event,
) -> i32 {
    guard_or(|| {
        room(out)?;
        match next(events, timeout_ms)? {
            Some(event) => give_sized(out, &to_c(&event)).map(|()| 1),
            None => Ok(0),
        }
    })
}

/// As `changeover_events_next`, with everything that the event says, as a JSON text. Free it with
/// `changeover_string_free`.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_events_next_json(
    events: changeover_events,
    out: *mut *mut c_char,
) -> i32 {
    guard_or(|| {
        wanted("out", out)?;
        match next(events, 0)? {
            Some(event) => {
                let json = serde_json::to_string(&event);
                give_text("out", out, json.map_err(|e| Refusal::BadJson(e.to_string()))?)?;
                Ok(1)
            }
            None => Ok(0),
        }
    })
}

/// How many events the queue has lost because it was full. On error `*out` is not written.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_events_dropped(events: changeover_events, out: *mut u64) -> i32 {
    guard(|| give("out", out, reader(events)?.queue.dropped()))
}

fn next(events: changeover_events, timeout_ms: u32) -> Result<Option<Event>, Refusal> {
    let (tenant, parts) = find(events.raw, Kind::Events)?;
    let reader = tenant.events.get(parts)?;
    let is_hand_driven = tenant.hand.is_some();
    // Nothing that is held here keeps the engine from ending meanwhile.
    drop(tenant);
    if let Some(event) = reader.queue.try_recv() {
        return Ok(Some(event));
    }
    if reader.queue.is_closed() {
        // What came between the two looks was there before it was closed.
        return reader.queue.try_recv().map(Some).ok_or(Refusal::Engine(Error::ShutDown));
    }
    if timeout_ms == 0 {
        return Ok(None);
    }
    if hostcall::inside() || is_hand_driven {
        let place =
            if is_hand_driven { "on an engine that is driven by hand" } else { hostcall::PLACE };
        return Err(Refusal::Engine(Error::WouldBlock { place }));
    }
    match reader.queue.recv_timeout(Duration::from_millis(timeout_ms.into())) {
        // As above: what was there before it was closed comes first.
        None if reader.queue.is_closed() => {
            reader.queue.try_recv().map(Some).ok_or(Refusal::Engine(Error::ShutDown))
        }
        got => Ok(got),
    }
}
