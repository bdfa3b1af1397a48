//! What the scripted sources and the driver share with the test: the script, the log of driver
//! calls and callbacks, and the scenario clock.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use changeover::{Engine, Epoch};

use super::script::Source;
use super::{Ctx, Form, REAL_SCALE, STARVED_NS};

/// The stream of all single-stream scenarios; its name is left out of log lines.
pub(crate) const STREAM: &str = "s";

/// One thing seen, and when (scenario time).
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: u64,
    pub(crate) text: String,
    /// Whether an expectation has taken it.
    pub(crate) taken: bool,
}

/// One `start` call.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub(crate) at: u64,
    pub(crate) stream: String,
    pub(crate) priority: i32,
    pub(crate) address: String,
    pub(crate) epoch: Epoch,
    pub(crate) buffer: String,
    /// The answer given: accepted, failed, or none yet.
    pub(crate) accepted: Option<bool>,
}

/// Scenario time from engine time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) origin_ns: u64,
    pub(crate) scale: u64,
}

impl Clock {
    pub(crate) fn new(engine: &Engine, form: Form) -> Self {
        let scale = if form == Form::Hand { 1 } else { REAL_SCALE };
        Self { origin_ns: engine.now_ns(), scale }
    }

    pub(crate) fn now(&self, engine: &Engine) -> u64 {
        self.scenario(engine.now_ns())
    }

    pub(crate) fn scenario(&self, engine_ns: u64) -> u64 {
        engine_ns.saturating_sub(self.origin_ns).saturating_mul(self.scale)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) sources: BTreeMap<String, Source>,
    pub(crate) calls: Vec<Entry>,
    pub(crate) callbacks: Vec<Entry>,
    pub(crate) starts: Vec<Started>,
    /// Stopped activations.
    pub(crate) stops: Vec<(String, Epoch)>,
    /// Probes that have begun and not returned, by stream and priority.
    pub(crate) probing: BTreeMap<(String, i32), u32>,
    /// Probes that began while another one of the same input had not returned.
    pub(crate) overlapping_probes: u32,
    pub(crate) closing: bool,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Stage {
    inner: Mutex<Inner>,
    changed: Condvar,
    starved: Arc<AtomicBool>,
}

impl Stage {
    pub(crate) fn new(ctx: &Ctx) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            changed: Condvar::new(),
            starved: Arc::clone(&ctx.starved),
        })
    }

    /// A failed assertion elsewhere does not keep the threads from ending.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at or changes a source; an unknown address is a good source.
    pub(crate) fn source<R>(&self, address: &str, f: impl FnOnce(&mut Source) -> R) -> R {
        let result = f(self.lock().sources.entry(address.to_owned()).or_default());
        self.changed.notify_all();
        result
    }

    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// Wakes whoever pauses. The caller has changed what they look at.
    pub(crate) fn wake(&self) {
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Real clock: waits until something changes, at most this long.
    pub(crate) fn pause(&self, at_most: Duration, ended: &AtomicBool) {
        let inner = self.lock();
        if !inner.closing && !ended.load(Ordering::Relaxed) {
            drop(self.changed.wait_timeout(inner, at_most));
        }
    }

    /// Real clock: spends this time, or less when the world closes.
    pub(crate) fn spend(&self, time: Duration) {
        let inner = self.lock();
        drop(self.changed.wait_timeout_while(inner, time, |inner| !inner.closing));
    }

    /// Notes how late (scenario time) a thread of the harness ran.
    pub(crate) fn ran_late(&self, late: u64, clock: Clock) {
        if clock.scale > 1 && late / clock.scale > STARVED_NS {
            self.starved.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn called(&self, at: u64, stream: &str, text: &str) {
        let text = named(stream, text);
        self.lock().calls.push(Entry { at, text, taken: false });
    }

    pub(crate) fn callback(&self, at: u64, stream: &str, text: &str) {
        let text = named(stream, text);
        self.lock().callbacks.push(Entry { at, text, taken: false });
    }

    pub(crate) fn probe_began(&self, stream: &str, priority: i32) {
        let mut inner = self.lock();
        let running = inner.probing.entry((stream.to_owned(), priority)).or_default();
        *running += 1;
        let overlaps = *running > 1;
        inner.overlapping_probes += u32::from(overlaps);
    }

    pub(crate) fn probe_returned(&self, stream: &str, priority: i32) {
        if let Some(running) = self.lock().probing.get_mut(&(stream.to_owned(), priority)) {
            *running -= 1;
        }
    }

    /// Before a stream is registered again: its epochs begin anew.
    pub(crate) fn forget_activations(&self) {
        let mut inner = self.lock();
        inner.starts.clear();
        inner.stops.clear();
    }

    pub(crate) fn start_answered(&self, epoch: Epoch, stream: &str, accepted: bool) {
        let mut inner = self.lock();
        let start = inner.starts.iter_mut().find(|s| s.epoch == epoch && s.stream == stream);
        start.expect("the start was logged").accepted = Some(accepted);
    }
}

/// The text, with the stream's name unless it is the usual one.
pub(crate) fn named(stream: &str, text: &str) -> String {
    if stream == STREAM { text.to_owned() } else { format!("{stream}: {text}") }
}

impl Started {
    pub(crate) fn new(at: u64, call: &changeover::StartCall) -> Self {
        Self {
            at,
            stream: call.stream.to_string(),
            priority: call.input.priority,
            address: call.input.address.clone(),
            epoch: call.epoch,
            buffer: call.buffer_write_id.to_string(),
            accepted: None,
        }
    }
}
