//! What the parts of one engine share: clock, cells, routes, the registry of streams, the
//! monitor's inbox and its wake-up, the policy in force, counters.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::config::{EngineConfig, Policy};
use crate::driver::{Answer, AnswerSink, CallId, CallRunner};
use crate::error::Error;
use crate::events::{Bus, EventKind};
use crate::machine::{Event, Ticking};
use crate::notify::Notifier;
use crate::publish::Stall;
use crate::routes::Routes;
use crate::slab::Cells;
use crate::spans::ms_to_ns;
use crate::stats::Stats;
use crate::stream::{Stream, learned_floor_ms};
use crate::sync::thread::Thread;
use crate::sync::{Arc, AtomicBool, AtomicU64, Condvar, Mutex, OnceLock, Ordering, SegQueue, Weak};
use crate::types::{Nanos, StreamKey};

pub(crate) struct Core {
    pub(crate) clock: Clock,
    pub(crate) cells: Arc<Cells>,
    /// How long a cell that nobody owns rests at least before it is used again.
    pub(crate) rest_ns: Nanos,
    pub(crate) routes: Routes,
    pub(crate) bus: Bus,
    pub(crate) notifier: Notifier,
    pub(crate) stats: Stats,
    pub(crate) waker: Waker,
    pub(crate) inbox: SegQueue<Msg>,
    registry: Mutex<Registry>,
    policy: Mutex<PolicyInForce>,
    /// Who carries driver calls out; gone after the shutdown, and the host's driver with it.
    runner: Mutex<Option<Arc<dyn CallRunner>>>,
    tickets: Mutex<Tickets>,
    /// The monitor's tick, ns.
    tick_ns: AtomicU64,
    /// The latest stall, for readers outside the monitor.
    stall: Mutex<Stall>,
    closed: AtomicBool,
}

/// What reaches the monitor.
pub(crate) enum Msg {
    Stream(Arc<Stream>, Event),
    /// The same, counted in the stream's `queued`.
    Command(Arc<Stream>, Event),
    Answered(StreamKey, CallId, Answer),
    /// The policy has changed: every stream is to be looked at.
    Policy,
    /// A stream was unregistered: what it had kept ticking, and watched.
    Gone {
        stream: StreamKey,
        ticking: Ticking,
        watches: usize,
    },
}

#[derive(Default)]
struct Registry {
    slots: Vec<Slot>,
    free: Vec<u32>,
    registered: usize,
}

struct Slot {
    generation: u32,
    stream: Option<Arc<Stream>>,
}

struct PolicyInForce {
    config: EngineConfig,
    policy: Arc<Policy>,
    /// Timeouts that streams and inputs have of their own, with how many have each.
    spans: BTreeMap<Nanos, usize>,
}

#[derive(Default)]
struct Tickets {
    last: u64,
    open: HashMap<u64, Arc<TicketState>>,
    closed: bool,
}

/// The state behind a [`SwitchTicket`](crate::SwitchTicket).
#[derive(Debug, Default)]
pub(crate) struct TicketState {
    pub(crate) outcome: Mutex<Option<Result<(), Error>>>,
    pub(crate) decided: Condvar,
}

impl Core {
    pub(crate) fn new(
        cells: Arc<Cells>,
        rest_ns: Nanos,
        clock: Clock,
        config: EngineConfig,
        notifier: Notifier,
    ) -> Self {
        let policy = Arc::new(config.resolve());
        let core = Self {
            clock,
            cells,
            rest_ns,
            routes: Routes::new(),
            bus: Bus::default(),
            notifier,
            stats: Stats::default(),
            waker: Waker::default(),
            inbox: SegQueue::new(),
            registry: Mutex::default(),
            policy: Mutex::new(PolicyInForce { config, policy, spans: BTreeMap::new() }),
            runner: Mutex::new(None),
            tickets: Mutex::default(),
            tick_ns: AtomicU64::new(0),
            stall: Mutex::default(),
            closed: AtomicBool::new(false),
        };
        core.set_tick(&core.policy.lock());
        core
    }

    // --- Messages ---

    /// Puts a message into the inbox and wakes the monitor. Call it with no lock held: on the
    /// hand-driven engine the monitor runs inside this call.
    pub(crate) fn post(&self, msg: Msg) {
        self.inbox.push(msg);
        self.waker.wake();
    }

    /// Puts an operator's or host's command into the inbox, without a wake-up.
    pub(crate) fn queue(&self, stream: &Arc<Stream>, event: Event) {
        stream.queued.fetch_add(1, Ordering::Relaxed);
        self.inbox.push(Msg::Command(Arc::clone(stream), event));
    }

    /// The same, and wakes the monitor. Call it with no lock held.
    pub(crate) fn command(&self, stream: &Arc<Stream>, event: Event) {
        self.queue(stream, event);
        self.waker.wake();
    }

    pub(crate) fn runner(&self) -> Option<Arc<dyn CallRunner>> {
        self.runner.lock().clone()
    }

    pub(crate) fn set_runner(&self, runner: Option<Arc<dyn CallRunner>>) {
        // Dropped outside the lock: it may be the last owner of the host's driver.
        let old = std::mem::replace(&mut *self.runner.lock(), runner);
        drop(old);
    }

    /// Tells subscribers, and the log, what has happened.
    pub(crate) fn publish(&self, at_ns: Nanos, stream: Option<&Stream>, kind: EventKind) {
        let id = stream.map(|stream| &stream.id);
        let event = self.bus.publish(self.clock.wall(at_ns), at_ns, id, kind);
        // The static level only: the host's own filter runs where the line is written.
        let is_logged = tracing::level_filters::LevelFilter::current() >= tracing::Level::INFO;
        if is_logged || self.notifier.wants_events() {
            self.notifier.log(event, stream.map(|stream| stream.key));
        }
    }

    // --- Streams ---

    /// Enters a new stream; `make` builds it for its key.
    pub(crate) fn enter(
        &self,
        id: &Arc<str>,
        make: impl FnOnce(StreamKey) -> Arc<Stream>,
    ) -> Result<Arc<Stream>, Error> {
        let mut registry = self.registry.lock();
        if self.is_closed() {
            return Err(Error::ShutDown);
        }
        let slot = match registry.free.pop() {
            Some(slot) => slot,
            None => {
                registry.slots.push(Slot { generation: 0, stream: None });
                (registry.slots.len() - 1) as u32
            }
        };
        let entry = &mut registry.slots[slot as usize];
        let key = StreamKey { slot, generation: entry.generation };
        let stream = make(key);
        entry.stream = Some(Arc::clone(&stream));
        let (route, spans) = {
            let inner = stream.inner.lock();
            (inner.route(), inner.spans())
        };
        // Before anybody can find the stream, and so before anybody can take them back.
        self.change_spans(&[], &spans);
        if !self.routes.insert(id, key, route) {
            self.change_spans(&spans, &[]);
            // Nobody has seen it.
            registry.slots[slot as usize].stream = None;
            registry.free.push(slot);
            return Err(Error::AlreadyRegistered { stream: id.to_string() });
        }
        registry.registered += 1;
        Ok(stream)
    }

    /// Takes a stream off. Its slot stays its own until [`vacate`](Self::vacate).
    pub(crate) fn leave(&self, id: &str) -> Option<Arc<Stream>> {
        let mut registry = self.registry.lock();
        let key = self.routes.remove(id)?;
        let entry = &mut registry.slots[key.slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        let stream = entry.stream.take();
        registry.registered -= 1;
        stream
    }

    /// Another stream may have the slot: to be called when [`Msg::Gone`] is in the inbox, so that
    /// the monitor hears of the end of the one before it hears of the other.
    pub(crate) fn vacate(&self, key: StreamKey) {
        self.registry.lock().free.push(key.slot);
    }

    pub(crate) fn by_id(&self, id: &str) -> Option<Arc<Stream>> {
        self.by_key(self.routes.stream(id)?)
    }

    pub(crate) fn by_key(&self, key: StreamKey) -> Option<Arc<Stream>> {
        let registry = self.registry.lock();
        let slot = registry.slots.get(key.slot as usize)?;
        slot.stream.clone().filter(|_| slot.generation == key.generation)
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        self.for_each_stream(|stream| ids.push(stream.id.to_string()));
        ids.sort_unstable();
        ids
    }

    /// Every stream at this moment, in batches, so that the registry is not locked for long.
    pub(crate) fn for_each_stream(&self, mut each: impl FnMut(&Arc<Stream>)) {
        let mut from = 0;
        loop {
            let batch: Vec<Arc<Stream>> = {
                let registry = self.registry.lock();
                if from >= registry.slots.len() {
                    return;
                }
                let to = (from + 4096).min(registry.slots.len());
                registry.slots[from..to].iter().filter_map(|slot| slot.stream.clone()).collect()
            };
            batch.iter().for_each(&mut each);
            from += 4096;
        }
    }

    pub(crate) fn stream_count(&self) -> usize {
        self.registry.lock().registered
    }

    // --- Policy ---

    pub(crate) fn config(&self) -> EngineConfig {
        self.policy.lock().config.clone()
    }

    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.lock().policy)
    }

    pub(crate) fn set_config(&self, config: EngineConfig) {
        let mut in_force = self.policy.lock();
        in_force.policy = Arc::new(config.resolve());
        in_force.config = config;
        self.set_tick(&in_force);
    }

    /// A stream's or input's own timeouts come and go.
    pub(crate) fn change_spans(&self, gone: &[Nanos], come: &[Nanos]) {
        if gone.is_empty() && come.is_empty() {
            return;
        }
        let mut in_force = self.policy.lock();
        for span in come {
            *in_force.spans.entry(*span).or_default() += 1;
        }
        for span in gone {
            if let Some(count) = in_force.spans.get_mut(span) {
                *count -= 1;
                if *count == 0 {
                    in_force.spans.remove(span);
                }
            }
        }
        self.set_tick(&in_force);
    }

    fn set_tick(&self, in_force: &PolicyInForce) {
        let policy = &in_force.policy;
        let connect = Some(policy.connect_timeout_ns).filter(|span| *span > 0);
        let own = in_force.spans.keys().next().copied();
        let learned = ms_to_ns(learned_floor_ms(policy.health.as_deref()));
        let learned = Some(learned).filter(|floor| *floor > 0);
        let spans = [Some(policy.packet_timeout_ns), connect, own, learned];
        let shortest = spans.into_iter().flatten().min();
        self.tick_ns.store(tick_for(shortest.unwrap_or(0)), Ordering::Relaxed);
    }

    pub(crate) fn tick_ns(&self) -> Nanos {
        self.tick_ns.load(Ordering::Relaxed)
    }

    pub(crate) fn stall(&self) -> Stall {
        *self.stall.lock()
    }

    pub(crate) fn set_stall(&self, stall: Stall) {
        *self.stall.lock() = stall;
    }

    // --- Tickets ---

    pub(crate) fn new_ticket(&self) -> Result<(u64, Arc<TicketState>), Error> {
        let mut tickets = self.tickets.lock();
        if tickets.closed {
            return Err(Error::ShutDown);
        }
        tickets.last += 1;
        let (id, state) = (tickets.last, Arc::new(TicketState::default()));
        tickets.open.insert(id, Arc::clone(&state));
        Ok((id, state))
    }

    /// The monitor has ended: nobody decides a ticket any more.
    pub(crate) fn close_tickets(&self) {
        let open: Vec<u64> = {
            let mut tickets = self.tickets.lock();
            tickets.closed = true;
            tickets.open.keys().copied().collect()
        };
        for id in open {
            self.resolve_ticket(id, Err("the engine was shut down".to_owned()));
        }
        while self.inbox.pop().is_some() {}
    }

    pub(crate) fn resolve_ticket(&self, id: u64, outcome: Result<(), String>) {
        let Some(state) = self.tickets.lock().open.remove(&id) else { return };
        *state.outcome.lock() = Some(outcome.map_err(|why| Error::SwitchFailed { why }));
        state.decided.notify_all();
    }

    // --- End ---

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// After this nothing new begins.
    pub(crate) fn close(&self) {
        let _no_entry = self.registry.lock();
        self.closed.store(true, Ordering::Release);
    }
}

/// tick = clamp(T/64, 1 ms, 4 ms) of the shortest timeout in use.
fn tick_for(shortest: Nanos) -> Nanos {
    (shortest / 64).clamp(1_000_000, 4_000_000)
}

/// The engine's end of driver answers: weak, so that a token kept for ever keeps nothing alive.
pub(crate) struct Answers(pub(crate) Weak<Core>);

impl AnswerSink for Answers {
    fn answered(&self, stream: StreamKey, call: CallId, answer: Answer) {
        if let Some(core) = self.0.upgrade() {
            core.post(Msg::Answered(stream, call, answer));
        }
    }
}

/// How the monitor is told that there is something to do.
#[derive(Default)]
pub(crate) struct Waker {
    thread: OnceLock<Thread>,
    inline: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Waker {
    /// The monitor is this thread.
    pub(crate) fn set_thread(&self, thread: Thread) {
        let _ = self.thread.set(thread);
    }

    /// The monitor runs inside the waking call (the hand-driven engine).
    pub(crate) fn set_inline(&self, run: Box<dyn Fn() + Send + Sync>) {
        let _ = self.inline.set(run);
    }

    /// One wake. A thread that is awake is not woken again: `unpark` leaves a mark that its next
    /// sleep finds, and makes a system call only for a thread that sleeps.
    pub(crate) fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        } else if let Some(run) = self.inline.get() {
            run();
        }
    }
}

impl TicketState {
    /// Waits for the outcome; `None` when the time is over.
    pub(crate) fn wait(&self, timeout: Duration) -> Option<Result<(), Error>> {
        let until = Instant::now().checked_add(timeout);
        let mut outcome = self.outcome.lock();
        while outcome.is_none() {
            match until {
                Some(until) => {
                    if self.decided.wait_until(&mut outcome, until) {
                        break;
                    }
                }
                None => self.decided.wait(&mut outcome),
            }
        }
        outcome.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tick_follows_the_shortest_timeout() {
        assert_eq!(tick_for(30_000_000_000), 4_000_000);
        assert_eq!(tick_for(200_000_000), 3_125_000);
        assert_eq!(tick_for(1_000_000), 1_000_000);
        let (cells, config) = (Arc::new(Cells::new()), EngineConfig::default());
        let clock = Clock::by_hand(&cells);
        let core = Core::new(cells, 0, clock, config, Notifier::inline());
        assert_eq!(core.tick_ns(), 4_000_000);
        core.change_spans(&[], &[128_000_000, 128_000_000]);
        core.change_spans(&[128_000_000], &[]);
        assert_eq!(core.tick_ns(), 2_000_000, "one of the two is still there");
        core.change_spans(&[128_000_000], &[]);
        assert_eq!(core.tick_ns(), 4_000_000);
    }
}
