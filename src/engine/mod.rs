//! The public handle: every operation of a running engine.

mod operator;

use std::fmt;
use std::time::Duration;

use crate::config::{
    EngineConfig, InputsUpdate, StreamConfig, first_duplicate, validate_id, validate_inputs,
};
use crate::core::{Core, Msg};
use crate::error::Error;
#[cfg(feature = "capi")]
use crate::events::Bell;
use crate::events::Subscription;
use crate::hostcall;
use crate::life::{Life, ShutdownReport, deadline_in, unknown_stream};
use crate::machine::{Event, Machine};
use crate::publish::PublishLog;
use crate::recorder::{Recorder, record_by_id};
use crate::stats::EngineStats;
use crate::status::{InputHealth, RuntimeStatus};
use crate::stream::{Declared, Stream, learned_floor_ms, own_spans, unknown_input};
use crate::sync::Arc;
use crate::types::{Epoch, Nanos, Priority, Verdict};
use crate::workers::spawn;

/// A callback that is given an event.
pub type EventCallback = Box<dyn Fn(&crate::events::Event) + Send + Sync>;

/// A callback that is given a stream's id.
pub type StreamCallback = Box<dyn Fn(&str) + Send + Sync>;

/// The failover engine: a cheap handle, `Clone`, usable from any thread.
///
/// Dropping the last handle shuts the engine down ([`Engine::shutdown`]). Engines in one process
/// know nothing of each other. Unless a function says otherwise, it takes short locks, never
/// waits for host code, and may be called from callbacks and driver calls.
#[derive(Clone)]
pub struct Engine {
    handle: Arc<Handle>,
}

/// What all handles share. The last one to go ends the engine.
struct Handle {
    life: Arc<Life>,
    #[cfg_attr(not(feature = "metrics"), allow(dead_code))]
    metrics_prefix: String,
}

impl Engine {
    pub(crate) fn new(life: Life, metrics_prefix: String) -> Self {
        Self { handle: Arc::new(Handle { life: Arc::new(life), metrics_prefix }) }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.handle.life.core
    }

    fn stream(&self, id: &str) -> Result<Arc<Stream>, Error> {
        match self.core().by_id(id) {
            Some(stream) => Ok(stream),
            None => Err(self.gone(id)),
        }
    }

    /// What a call for a stream that is not there answers.
    fn gone(&self, id: &str) -> Error {
        if self.core().is_closed() { Error::ShutDown } else { unknown_stream(id) }
    }

    /// Starts supervising a stream. Its best input is started (or, hot, awaited) by the monitor;
    /// this call waits for nobody.
    ///
    /// # Errors
    /// A bad or empty id, duplicate priorities, negative durations, [`Error::AlreadyRegistered`],
    /// [`Error::ShutDown`]. Nothing is changed then.
    pub fn register(&self, stream: StreamConfig) -> Result<(), Error> {
        stream.validate()?;
        let core = self.core();
        let id: Arc<str> = Arc::from(stream.id.as_str());
        let learned = learned_floor_ms(stream.health.as_deref());
        let spans = own_spans(&[stream.packet_timeout_ms, stream.connect_timeout_ms, learned]);
        let stream = core.enter(&id, |key| {
            let declared = Declared::all(&stream.inputs);
            let machine = Machine::new(Arc::clone(&id), stream);
            Arc::new(Stream::new(Arc::clone(&id), key, machine, declared, spans))
        })?;
        core.post(Msg::Stream(stream, Event::Look));
        Ok(())
    }

    /// Ends supervision of a stream. After this returns no event, callback, metric or driver
    /// call of it begins, except one final `stop` for each activation still running. Calls that
    /// run, or that another thread is just about to enter, may finish
    /// ([`unregister_and_wait`](Self::unregister_and_wait) waits for them); their results are
    /// ignored. Its recorders answer *stale*.
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::ShutDown`].
    pub fn unregister(&self, stream: &str) -> Result<(), Error> {
        self.handle.life.unregister(stream).map(|_| ())
    }

    /// The same, and waits until every driver call and callback of the stream has returned.
    /// May block.
    ///
    /// # Errors
    /// As [`unregister`](Self::unregister); [`Error::WouldBlock`] inside a callback or driver
    /// call and on the hand-driven engine (nothing is changed then); [`Error::TimedOut`] (the
    /// stream is unregistered then, but a call has not returned).
    pub fn unregister_and_wait(&self, stream: &str, timeout: Duration) -> Result<(), Error> {
        if hostcall::inside() {
            return Err(Error::WouldBlock { place: hostcall::PLACE });
        }
        let Some(workers) = &self.handle.life.workers else {
            return Err(Error::WouldBlock { place: "on the hand-driven engine" });
        };
        let key = self.handle.life.unregister(stream)?;
        let until = deadline_in(timeout);
        let idle = workers.wait_idle(key, until) && self.core().notifier.wait_idle(key, until);
        let waited_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        if idle { Ok(()) } else { Err(Error::TimedOut { waited_ms }) }
    }

    /// Whether a stream of this id is registered.
    #[must_use]
    pub fn is_registered(&self, stream: &str) -> bool {
        self.core().by_id(stream).is_some()
    }

    /// The ids of all registered streams, sorted: a copy.
    #[must_use]
    pub fn registered_streams(&self) -> Vec<String> {
        self.core().ids()
    }

    /// Opens the recorder of one producer.
    ///
    /// A cold input takes the epoch that the driver's `start` was given. On a hot input (epoch
    /// `None`) each call begins a new epoch and makes the previous recorder stale. May block for
    /// a moment; not for the packet path.
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::UnknownInput`]; [`Error::StaleEpoch`] for an epoch
    /// that is not the input's open one; [`Error::RecorderOpen`] where the epoch has a recorder
    /// (open siblings from it).
    pub fn recorder(
        &self,
        stream: &str,
        priority: Priority,
        epoch: impl Into<Option<Epoch>>,
    ) -> Result<Recorder, Error> {
        let (core, id, epoch) = (self.core(), stream, epoch.into());
        let stream = self.stream(id)?;
        let mut guard = stream.inner.lock();
        let inner = &mut *guard;
        if stream.is_gone() {
            return Err(unknown_stream(id));
        }
        let at = inner.declared.iter().position(|declared| declared.priority == priority);
        let Some(at) = at else { return Err(unknown_input(id, priority)) };
        let hot = inner.declared[at].hot;
        let current = inner.plane.epoch_of(priority);
        let cells = &core.cells;
        // Nothing may have run for a while: packets are about to come.
        core.clock.refresh();
        let begins_anew = hot && epoch.is_none();
        let opened = if begins_anew {
            let declared = &mut inner.declared[at];
            declared.had_recorder = true;
            let by_id = declared.by_id();
            let opened = inner.machine.new_epoch();
            // What is leaving under that number is another source, and still on the air.
            inner.plane.supersede(cells, priority, inner.machine.leaving_epoch());
            inner.plane.open(cells, stream.key, priority, opened, by_id);
            if inner.machine.carries(priority, core.clock.now(), &core.policy()) {
                // Its very first packet goes out; the monitor finds it so.
                inner.plane.take_over(cells, opened, priority);
            }
            opened
        } else {
            match epoch.filter(|epoch| current == Some(*epoch)) {
                Some(epoch) => epoch,
                None => return Err(Error::StaleEpoch { priority, epoch }),
            }
        };
        let Some(cell) = inner.plane.take_home(cells, opened) else {
            return Err(Error::RecorderOpen { priority, epoch: opened });
        };
        if begins_anew {
            // Under the lock: the machine hears of epochs in the order of their numbers.
            let event = Event::Opened { priority, epoch: opened, by_id: false };
            core.inbox.push(Msg::Stream(Arc::clone(&stream), event));
        }
        drop(guard);
        core.waker.wake();
        Ok(Recorder::new(Arc::clone(core), stream, cell, opened, priority))
    }

    /// Records one packet by id and priority: the seed's call. Any thread; lock-free, and slower
    /// than a [`Recorder`]. It carries no size, so it counts packets only.
    ///
    /// The first such packet of an input takes the stream's lock for a moment: it makes room for
    /// the counts of those that follow.
    ///
    /// Counts while the input has an open epoch (a hot input without a recorder gets one from
    /// its first packet). By-id packets cannot be told from those of a dead connection. Answers
    /// [`Verdict::Stale`], with no other effect, for an unknown id or priority.
    pub fn record_packet(&self, stream: &str, priority: Priority) -> Verdict {
        let core = self.core();
        core.routes.with_input(stream, priority, |cell| match cell {
            Some(0) => self.record_first(stream, priority),
            Some(cell) => record_by_id(core, cell),
            None => Verdict::Stale,
        })
    }

    #[cold]
    fn record_first(&self, id: &str, priority: Priority) -> Verdict {
        let core = self.core();
        if let Some(stream) = core.by_id(id) {
            let mut inner = stream.inner.lock();
            if !stream.is_gone() && inner.make_by_id(&core.cells, stream.key, priority) {
                core.routes.replace(id, stream.key, inner.route());
            }
        }
        core.routes.with_input(id, priority, |cell| match cell {
            Some(cell) if cell != 0 => record_by_id(core, cell),
            // Gone, or declared anew, at this very moment.
            _ => Verdict::Stale,
        })
    }

    /// Reports that a source has failed. With an epoch, a report about another one than the
    /// open one is ignored; `None` means whatever is current. An empty message is legal. An
    /// input that is already degraded or stopped is not degraded again.
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::UnknownInput`].
    pub fn report_input_error(
        &self,
        stream: &str,
        priority: Priority,
        epoch: impl Into<Option<Epoch>>,
        message: &str,
    ) -> Result<(), Error> {
        let known = self.known_input(stream, priority)?;
        let (priority, epoch, message) = (Some(priority), epoch.into(), message.to_owned());
        let event = Event::Error { priority, epoch, message };
        self.core().command(&known, event);
        Ok(())
    }

    /// Adds, removes and updates inputs in one atomic step; at most one move results.
    ///
    /// # Errors
    /// [`Error::UnknownStream`]; [`Error::DuplicatePriority`] for a priority that is added though
    /// it exists, or named twice; [`Error::UnknownInput`] for one that is removed or updated
    /// though it does not exist; [`Error::NegativeDuration`]. Nothing is changed then.
    pub fn update_inputs(&self, stream: &str, update: InputsUpdate) -> Result<(), Error> {
        let (core, id) = (self.core(), stream);
        validate_inputs(&update.added)?;
        validate_inputs(&update.updated)?;
        first_duplicate(&mut update.removed.clone())?;
        let stream = self.stream(id)?;
        {
            let mut inner = stream.inner.lock();
            if stream.is_gone() {
                return Err(unknown_stream(id));
            }
            inner.check_update(id, &update)?;
            let before = inner.spans();
            // One that is removed and added again keeps its by-id cell.
            let replaced = |priority| update.added.iter().any(|new| new.priority == priority);
            let mut released = Vec::new();
            for priority in update.removed.iter().filter(|priority| !replaced(**priority)) {
                released.extend(inner.withdraw(&core.cells, *priority));
            }
            for input in update.added.iter().chain(&update.updated) {
                if inner.declared(input.priority).is_some() {
                    released.extend(inner.redeclare(&core.cells, input));
                } else {
                    inner.declare(input);
                }
            }
            core.change_spans(&before, &inner.spans());
            core.routes.replace(id, stream.key, inner.route());
            // Only now does no look-up that begins lead to them.
            released.into_iter().for_each(|cell| core.cells.release(cell));
            // In the inbox before another update can be: the machine hears them in this order.
            core.queue(&stream, Event::Update(update));
        }
        core.waker.wake();
        Ok(())
    }

    /// Has ingest write elsewhere: the active input (and one being started) restarts on the new
    /// buffer. An empty id means the stream's own.
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::BadStreamId`].
    pub fn update_buffer_write_id(&self, stream: &str, id: &str) -> Result<(), Error> {
        let buffer = if id.is_empty() { stream } else { id };
        validate_id(buffer)?;
        let found = self.stream(stream)?;
        self.core().command(&found, Event::Buffer(Arc::from(buffer)));
        Ok(())
    }

    /// Changes the policy, at once, for every stream. Inputs that are degraded stay so.
    ///
    /// # Errors
    /// [`Error::NegativeDuration`], [`Error::ShutDown`].
    pub fn set_config(&self, config: EngineConfig) -> Result<(), Error> {
        config.validate()?;
        if self.core().is_closed() {
            return Err(Error::ShutDown);
        }
        self.core().set_config(config);
        self.core().post(Msg::Policy);
        Ok(())
    }

    /// The policy as it was set.
    #[must_use]
    pub fn config(&self) -> EngineConfig {
        self.core().config()
    }

    /// One stream at this moment: a copy, taken without stopping the packet path.
    ///
    /// # Errors
    /// [`Error::UnknownStream`].
    pub fn runtime_status(&self, stream: &str) -> Result<RuntimeStatus, Error> {
        let core = self.core();
        self.view(stream, |machine, now, policy| {
            machine.status(stream, now, policy, core.stall(), |at| core.clock.wall(at))
        })
    }

    /// One input's configuration and live health.
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::UnknownInput`].
    pub fn input_health(&self, stream: &str, priority: Priority) -> Result<InputHealth, Error> {
        let core = self.core();
        let health = self.view(stream, |machine, now, policy| {
            machine.health(priority, now, policy, core.stall(), |at| core.clock.wall(at))
        })?;
        health.ok_or_else(|| unknown_input(stream, priority))
    }

    /// Shows a copy of the machine that knows the latest packets.
    fn view<T>(
        &self,
        id: &str,
        show: impl FnOnce(&Machine, Nanos, &crate::config::Policy) -> T,
    ) -> Result<T, Error> {
        let core = self.core();
        let stream = self.stream(id)?;
        let (policy, stall) = (core.policy(), core.stall());
        let mut samples = Vec::new();
        let machine = {
            let mut inner = stream.inner.lock();
            if stream.is_gone() {
                return Err(unknown_stream(id));
            }
            // What a stamp settles to is the monitor's to say; for showing, the stamp will do.
            inner.plane.sample(&core.cells, &PublishLog::new(true), &mut samples);
            for (_, sample) in &mut samples {
                sample.cut = false;
            }
            let now = core.clock.now();
            let machine = inner.machine.refreshed(now, &policy, stall, &samples);
            inner.machine.glance(now, &policy, stall, &samples);
            machine
        };
        Ok(show(&machine, core.clock.now(), &policy))
    }

    /// A bounded subscription to the engine's events (0 = 1,024). A full one loses its oldest
    /// events, with a count, and delays nobody.
    #[must_use]
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.core().bus.subscribe(capacity)
    }

    /// The same, with something that rings while there are events.
    #[cfg(feature = "capi")]
    pub(crate) fn subscribe_with(&self, capacity: usize, bell: Box<dyn Bell>) -> Subscription {
        self.core().bus.subscribe_with(capacity, Some(bell))
    }

    /// Sets or clears the callback for a stream that has no usable input left. Called with the
    /// stream's id on the notifier thread, in order with the restored callback of the stream.
    pub fn set_exhausted_callback(&self, callback: Option<StreamCallback>) {
        self.core().notifier.set_exhausted(callback.map(Arc::from));
    }

    /// Sets or clears the callback for an exhausted stream that is back.
    pub fn set_restored_callback(&self, callback: Option<StreamCallback>) {
        self.core().notifier.set_restored(callback.map(Arc::from));
    }

    /// Sets or clears the callback for events, on the notifier thread. Where it is slow, the oldest
    /// of 1,024 waiting events are lost; [`subscribe`](Self::subscribe) counts what it loses.
    pub fn set_event_callback(&self, callback: Option<EventCallback>) {
        self.core().notifier.set_event(callback.map(Arc::from).into_iter().collect());
    }

    /// The same with several, each of which hears of an event only if its stream is still there.
    #[cfg(feature = "capi")]
    pub(crate) fn set_event_callbacks(&self, callbacks: Vec<crate::notify::EventCallback>) {
        self.core().notifier.set_event(callbacks);
    }

    /// The engine's counters, and how late its monitor has been.
    #[must_use]
    pub fn stats(&self) -> EngineStats {
        let core = self.core();
        core.stats.snapshot(core.stream_count() as u64, core.tick_ns(), core.bus.dropped())
    }

    /// Everything in OpenMetrics text.
    #[cfg(feature = "metrics")]
    #[must_use]
    pub fn metrics_text(&self) -> String {
        crate::metrics::text(self.core(), self.stats(), &self.handle.metrics_prefix)
    }

    /// The engine's precise clock: nanoseconds since it was built.
    #[must_use]
    pub fn now_ns(&self) -> Nanos {
        self.core().clock.now()
    }

    /// Unregisters every stream, lets the final `stop` calls run, ends and joins the engine's
    /// threads. Host calls that have not returned within the shutdown timeout are left to
    /// themselves and counted. Afterwards calls answer [`Error::ShutDown`] and recorders answer
    /// *stale*. Notices that wait to be told are lost. May block; a second call waits for the first,
    /// and answers the same.
    ///
    /// # Errors
    /// [`Error::WouldBlock`] inside a callback or driver call; nothing is changed then.
    pub fn shutdown(&self) -> Result<ShutdownReport, Error> {
        if hostcall::inside() {
            return Err(Error::WouldBlock { place: hostcall::PLACE });
        }
        Ok(self.handle.life.end())
    }

    fn known_input(&self, id: &str, priority: Priority) -> Result<Arc<Stream>, Error> {
        let stream = self.stream(id)?;
        {
            let inner = stream.inner.lock();
            if stream.is_gone() {
                // Unregistered since it was found: it has no inputs any more.
                return Err(self.gone(id));
            }
            inner.declared(priority).ok_or_else(|| unknown_input(id, priority))?;
        }
        Ok(stream)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.life.core.is_closed() {
            return;
        }
        if hostcall::inside() {
            // Nothing can be waited for here: the end is another thread's work.
            let life = Arc::clone(&self.life);
            if spawn("changeover-end", move || {
                let _ = life.end();
            })
            .is_ok()
            {
                return;
            }
        }
        self.life.end();
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("streams", &self.core().stream_count())
            .finish_non_exhaustive()
    }
}
