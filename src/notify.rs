//! The exhausted, restored and event callbacks, and the log lines: one thread, in order, and a slow
//! one delays nobody's decisions.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use crate::events::{Event, EventKind};
use crate::hostcall;
use crate::sync::{Arc, AtomicBool, Condvar, Mutex, Ordering};
use crate::types::StreamKey;

/// A host's callback: it is given the stream's id.
pub(crate) type Callback = Arc<dyn Fn(&str) + Send + Sync>;

/// A host's callback for events.
pub(crate) type EventCallback = Arc<dyn Fn(&Event) + Send + Sync>;

/// Events that may wait for the log and the callback.
const LOG_CAPACITY: usize = 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    Exhausted,
    Restored,
}

pub(crate) struct Notifier {
    state: Mutex<State>,
    changed: Condvar,
    inline: bool,
    /// There is a callback for events.
    wants_events: AtomicBool,
}

/// Whether the event callback is to hear of an event: it concerns the engine, or a stream.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Heard {
    #[default]
    Never,
    Of(Option<StreamKey>),
}

#[derive(Default)]
struct State {
    queue: VecDeque<(StreamKey, Arc<str>, Notice)>,
    /// How many of the queue are a stream's.
    waiting: HashMap<StreamKey, usize>,
    running: Option<StreamKey>,
    /// Events for the log and the callback, with the stream that the callback hears of; the oldest
    /// are lost where they are slow.
    log: VecDeque<(Event, Heard)>,
    /// Whether somebody is still to hear of the event that was taken from it last, and who.
    in_hand: Heard,
    hearers: Vec<EventCallback>,
    on_event: Vec<EventCallback>,
    on_exhausted: Option<Callback>,
    on_restored: Option<Callback>,
    closed: bool,
    thread_ended: bool,
}

impl Notifier {
    /// For a thread that calls [`Notifier::run`].
    pub(crate) fn threaded() -> Self {
        let wants_events = AtomicBool::new(false);
        Self { state: Mutex::default(), changed: Condvar::new(), inline: false, wants_events }
    }

    /// For a caller of [`Notifier::drain`].
    pub(crate) fn inline() -> Self {
        Self { inline: true, ..Self::threaded() }
    }

    pub(crate) fn set_exhausted(&self, callback: Option<Callback>) {
        let old = std::mem::replace(&mut self.state.lock().on_exhausted, callback);
        drop(old);
    }

    pub(crate) fn set_restored(&self, callback: Option<Callback>) {
        let old = std::mem::replace(&mut self.state.lock().on_restored, callback);
        drop(old);
    }

    /// They are called one after the other, each only if the stream is still there.
    pub(crate) fn set_event(&self, callbacks: Vec<EventCallback>) {
        // Relaxed: an event that is published at this moment may be heard or not.
        self.wants_events.store(!callbacks.is_empty(), Ordering::Relaxed);
        let old = std::mem::replace(&mut self.state.lock().on_event, callbacks);
        drop(old);
    }

    pub(crate) fn wants_events(&self) -> bool {
        self.wants_events.load(Ordering::Relaxed)
    }

    /// Queues a notice. Waiting ones of a stream that cancel each other out are dropped in
    /// pairs, so the queue never holds more than two of a stream.
    pub(crate) fn push(&self, key: StreamKey, id: &Arc<str>, notice: Notice) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let waiting = state.waiting.entry(key).or_default();
        if *waiting >= 2 {
            *waiting -= 1;
            let latest = state.queue.iter().rposition(|(waiting, ..)| *waiting == key);
            latest.and_then(|latest| state.queue.remove(latest));
            return;
        }
        *waiting += 1;
        state.queue.push_back((key, Arc::clone(id), notice));
        drop(state);
        self.changed.notify_all();
    }

    /// Queues an event for the log and the callback.
    pub(crate) fn log(&self, event: Event, stream: Option<StreamKey>) {
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        if state.log.len() >= LOG_CAPACITY {
            state.log.pop_front();
        }
        let heard = if !state.on_event.is_empty() { Heard::Of(stream) } else { Heard::Never };
        state.log.push_back((event, heard));
        drop(state);
        self.changed.notify_all();
    }

    fn write_log(&self) {
        loop {
            let mut state = self.state.lock();
            let Some((event, heard)) = state.log.pop_front() else { return };
            state.in_hand = heard;
            state.hearers = state.on_event.clone();
            drop(state);
            let _ = hostcall::run(|| log_line(&event));
            let mut at = 0;
            while let Some(callback) = self.next_to_hear(at) {
                self.ended(hostcall::run(|| callback(&event)));
                at += 1;
            }
            // Dropped outside the lock: they may be the last of their kind.
            let heard = std::mem::take(&mut self.state.lock().hearers);
            drop(heard);
        }
    }

    /// The callback that hears of the event in hand as the `at`th one. It has begun then.
    fn next_to_hear(&self, at: usize) -> Option<EventCallback> {
        let mut state = self.state.lock();
        let Heard::Of(stream) = state.in_hand else { return None };
        let callback = state.hearers.get(at).cloned()?;
        state.running = stream;
        Some(callback)
    }

    /// A callback has returned.
    fn ended(&self, outcome: Result<(), String>) {
        if let Err(panic) = outcome {
            tracing::error!(target: "changeover", panic, "a callback panicked");
        }
        self.state.lock().running = None;
        self.changed.notify_all();
    }

    /// The stream is gone: what has not begun never begins.
    pub(crate) fn forget(&self, key: StreamKey) {
        let mut state = self.state.lock();
        if state.waiting.remove(&key).is_some() {
            state.queue.retain(|(waiting, ..)| *waiting != key);
        }
        let State { log, in_hand, .. } = &mut *state;
        for heard in log.iter_mut().map(|(_, heard)| heard).chain([in_hand]) {
            if *heard == Heard::Of(Some(key)) {
                *heard = Heard::Never;
            }
        }
    }

    /// Waits until no callback of the stream runs; false when the time is over.
    pub(crate) fn wait_idle(&self, key: StreamKey, until: Instant) -> bool {
        let mut state = self.state.lock();
        while state.running == Some(key) {
            if self.changed.wait_until(&mut state, until) {
                return state.running != Some(key);
            }
        }
        true
    }

    /// Runs what is queued, on this thread; answers whether there was anything.
    pub(crate) fn drain(&self) -> bool {
        debug_assert!(self.inline);
        self.write_log();
        let mut any = false;
        while let Some(next) = self.begin() {
            any = true;
            self.call(next);
        }
        any
    }

    /// The notifier thread's life.
    pub(crate) fn run(&self) {
        loop {
            self.write_log();
            while let Some(next) = self.begin() {
                self.call(next);
            }
            let mut state = self.state.lock();
            if state.closed && state.queue.is_empty() && state.log.is_empty() {
                state.thread_ended = true;
                drop(state);
                return self.changed.notify_all();
            }
            if state.queue.is_empty() && state.log.is_empty() {
                self.changed.wait(&mut state);
            }
        }
    }

    fn begin(&self) -> Option<(Arc<str>, Option<Callback>)> {
        let mut state = self.state.lock();
        let (key, id, notice) = state.queue.pop_front()?;
        state.running = Some(key);
        match state.waiting.get_mut(&key) {
            Some(waiting) if *waiting > 1 => *waiting -= 1,
            _ => drop(state.waiting.remove(&key)),
        }
        let callback = match notice {
            Notice::Exhausted => state.on_exhausted.clone(),
            Notice::Restored => state.on_restored.clone(),
        };
        Some((id, callback))
    }

    fn call(&self, (id, callback): (Arc<str>, Option<Callback>)) {
        self.ended(callback.map_or(Ok(()), |callback| hostcall::run(move || callback(&id))));
    }

    /// Nothing is queued any more, and the thread ends after what it runs.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        let callbacks = (state.on_exhausted.take(), state.on_restored.take());
        let events = (std::mem::take(&mut state.on_event), std::mem::take(&mut state.hearers));
        state.in_hand = Heard::Never;
        drop(state);
        // Host code may go here: what it calls must not wait for the end that this is part of.
        let _ = hostcall::run(move || drop((callbacks, events)));
        self.changed.notify_all();
    }

    /// Waits for the thread's end; false when the time is over (a callback is stuck).
    pub(crate) fn wait_ended(&self, until: Instant) -> bool {
        let mut state = self.state.lock();
        while !state.thread_ended {
            if self.changed.wait_until(&mut state, until) {
                return state.thread_ended;
            }
        }
        true
    }
}

fn log_line(event: &Event) {
    let stream = event.stream.as_deref();
    match &event.kind {
        EventKind::Exhausted | EventKind::InputDegraded { .. } | EventKind::Stall { .. } => {
            tracing::warn!(target: "changeover", stream, event = ?event.kind);
        }
        kind => tracing::info!(target: "changeover", stream, event = ?kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> StreamKey {
        StreamKey { slot, generation: 0 }
    }

    #[test]
    fn notices_come_in_order_and_pairs_collapse() {
        let notifier = Notifier::inline();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (a, b) = (Arc::clone(&seen), Arc::clone(&seen));
        notifier.set_exhausted(Some(Arc::new(move |id: &str| a.lock().push(format!("-{id}")))));
        notifier.set_restored(Some(Arc::new(move |id: &str| b.lock().push(format!("+{id}")))));
        let (x, y): (Arc<str>, Arc<str>) = (Arc::from("x"), Arc::from("y"));
        for _ in 0..3 {
            notifier.push(key(1), &x, Notice::Exhausted);
            notifier.push(key(1), &x, Notice::Restored);
        }
        notifier.push(key(2), &y, Notice::Exhausted);
        notifier.push(key(3), &y, Notice::Exhausted);
        notifier.forget(key(3));
        assert!(notifier.drain());
        assert_eq!(*seen.lock(), ["-x", "+x", "-y"]);
        assert!(!notifier.drain());
    }

    #[test]
    fn the_event_callback_hears_nothing_of_a_stream_that_is_gone() {
        let notifier = Arc::new(Notifier::inline());
        assert!(!notifier.wants_events());
        let at = std::time::SystemTime::UNIX_EPOCH;
        let event = |id| Event { id, at, at_ns: 0, stream: None, kind: EventKind::Exhausted };
        notifier.log(event(1), Some(key(1)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&seen);
        let forgets = Arc::new(Mutex::new(None::<Arc<Notifier>>));
        let also = Arc::clone(&forgets);
        notifier.set_event(vec![
            Arc::new(move |event: &Event| {
                heard.lock().push(event.id);
                if let (Some(notifier), 6) = (&*also.lock(), event.id) {
                    notifier.forget(key(2));
                }
            }),
            Arc::new(|event: &Event| assert_ne!(event.id, 6, "its stream is gone by now")),
        ]);
        assert!(notifier.wants_events());
        notifier.log(event(2), Some(key(1)));
        notifier.log(event(3), Some(key(2)));
        notifier.log(event(4), None);
        notifier.forget(key(1));
        notifier.drain();
        assert_eq!(*seen.lock(), [3, 4], "1 was published before the callback was there");
        *forgets.lock() = Some(Arc::clone(&notifier));
        notifier.log(event(6), Some(key(2)));
        notifier.drain();
        assert_eq!(*seen.lock(), [3, 4, 6]);
        *forgets.lock() = None;
        notifier.set_event(vec![Arc::new(|_: &Event| panic!("host"))]);
        notifier.log(event(5), Some(key(2)));
        notifier.drain();
        assert!(notifier.wait_idle(key(2), Instant::now()));
    }

    #[test]
    fn a_panicking_callback_ends_nothing() {
        let notifier = Notifier::inline();
        notifier.set_exhausted(Some(Arc::new(|_: &str| panic!("host"))));
        let id: Arc<str> = Arc::from("x");
        notifier.push(key(1), &id, Notice::Exhausted);
        notifier.push(key(1), &id, Notice::Exhausted);
        assert!(notifier.drain());
        assert!(notifier.wait_idle(key(1), Instant::now()));
    }
}
