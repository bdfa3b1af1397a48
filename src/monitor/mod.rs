//! The control loop: publish the time, hear the inbox, look at what is due or watched, step the
//! machines, carry their actions out, sleep to the next deadline or tick.
//!
//! Everything happens in [`Monitor::turn`], which the monitor thread and the hand-driven engine
//! both call. It never waits for host code.

mod actions;
mod due;
mod watched;

use std::collections::VecDeque;

pub(crate) use self::actions::stop;
use self::due::Due;
use self::watched::Watch;
use crate::config::Policy;
use crate::core::{Answers, Core, Msg};
use crate::deadlines::Deadlines;
use crate::driver::{AnswerSink, CallRunner};
use crate::events::EventKind;
use crate::machine::{Action, Event, Sample, Ticking};
use crate::publish::{PublishLog, Stall};
use crate::sentry::{Point, Sentries};
use crate::slab::CellIndex;
use crate::stream::{Inner, Stream};
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::types::{Epoch, Nanos};

/// A wake-up this late is a stall, whatever the tick.
const STALL_MIN_NS: Nanos = 20_000_000;
/// The tick where every packet is stamped by a clock reading: nobody waits for the published time,
/// but a process that was stopped is to be told from sources that are silent.
const SLOW_TICK_NS: Nanos = 16_000_000;
/// Looks at one stream in a row, where packets keep coming between sample and watch bit.
const LOOKS: usize = 3;
/// Void entries in the queue of deadlines, or in the list of watched cells, beyond which it is
/// tidied.
const TIDY_AT: usize = 64;

/// Messages heard before the time is published again.
const MESSAGES_A_TURN: usize = 128;

pub(crate) struct Monitor {
    core: Arc<Core>,
    answers: Arc<dyn AnswerSink>,
    log: PublishLog,
    deadlines: Deadlines,
    /// Cells whose next packet matters, with what they had counted.
    watch: Vec<Watch>,
    /// How many of them are void.
    void_watches: usize,
    /// Where the next look at them begins.
    watch_from: usize,
    sentries: Sentries,
    /// Inputs that keep the clock ticking, over all streams.
    ticking: Ticking,
    /// Batches of cells that nobody owns, by the time since which.
    resting: VecDeque<(Nanos, Vec<CellIndex>)>,
    /// Those that wait until no look-up can be reading them.
    in_grace: Arc<AtomicU64>,
    /// When the watched cells are looked at next.
    next_scan: Nanos,
    /// When the monitor meant to wake next.
    plan: Option<Nanos>,
    now: Nanos,
    policy: Arc<Policy>,
    runner: Option<Arc<dyn CallRunner>>,
    // Kept for their memory.
    samples: Vec<(Epoch, Sample)>,
    actions: Vec<Action>,
    due: Due,
    points: Vec<Point>,
    told: Vec<CellIndex>,
    epochs: Vec<Epoch>,
    cells: Vec<(CellIndex, u64)>,
}

impl Monitor {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self {
            answers: Arc::new(Answers(Arc::downgrade(&core))),
            log: PublishLog::new(core.clock.is_hand_driven()),
            deadlines: Deadlines::new(),
            watch: Vec::new(),
            void_watches: 0,
            watch_from: 0,
            sentries: Sentries::default(),
            ticking: Ticking::default(),
            resting: VecDeque::new(),
            in_grace: Arc::new(AtomicU64::new(0)),
            next_scan: 0,
            plan: None,
            now: 0,
            policy: core.policy(),
            runner: None,
            samples: Vec::new(),
            actions: Vec::new(),
            due: Due::default(),
            points: Vec::new(),
            told: Vec::new(),
            epochs: Vec::new(),
            cells: Vec::new(),
            core,
        }
    }

    /// The next deadline, ticks aside.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        if self.due.is_empty() { self.deadlines.next() } else { Some(self.now) }
    }

    /// Whether there is more that is due than one turn does.
    pub(crate) fn is_behind(&self) -> bool {
        !self.due.is_empty()
    }

    /// A wake-up at this time is punctual (the hand-driven clock was moved there on purpose).
    pub(crate) fn expect_at(&mut self, at: Nanos) {
        self.plan = Some(at);
    }

    /// Does everything that there is to do now; answers when to come back (`None`: when woken).
    pub(crate) fn turn(&mut self, calls_deadline: Option<Nanos>) -> Option<Nanos> {
        let core = Arc::clone(&self.core);
        core.stats.wakes.fetch_add(1, Ordering::Relaxed);
        let tick = core.tick_ns();
        self.now = core.clock.now().max(self.now);
        // The next tick, on the same beat as the looks at streams at rest.
        let beat = self.now - self.now % tick + tick;
        let late = self.plan.map_or(0, |plan| self.now.saturating_sub(plan));
        let stalled = late > (4 * tick).max(STALL_MIN_NS);
        core.clock.publish(self.now);
        if late > 0 && !stalled {
            self.log.slipped(self.now);
        }
        // Read after the store: whoever stamped with the value before did so before this.
        self.log.published(self.now, core.clock.now(), stalled);
        if stalled {
            core.set_stall(self.log.stall());
            core.stats.stalls.fetch_add(1, Ordering::Relaxed);
            core.publish(self.now, None, EventKind::Stall { late_ms: late / 1_000_000 });
        }
        self.policy = core.policy();
        self.runner = core.runner();

        // A flood of commands must not keep what is due from being looked at.
        for _ in 0..MESSAGES_A_TURN {
            let Some(msg) = core.inbox.pop() else { break };
            self.hear(msg);
        }
        self.hear_packets();
        if self.now >= self.next_scan {
            self.next_scan = beat;
            self.look_at_watched();
        }
        self.look_at_due();
        self.tidy();

        let slow_beat = self.now - self.now % SLOW_TICK_NS + SLOW_TICK_NS;
        let tick_at = match self.ticking {
            Ticking { published: 1.., .. } => Some(beat),
            Ticking { precise: 1.., .. } => Some(slow_beat),
            _ => None,
        };
        let more = (!core.inbox.is_empty()).then_some(self.now);
        let next = [more, tick_at, self.next_deadline()].into_iter().flatten().min();
        // The monitor's own work is not a stall, and neither is a driver call that is over time.
        self.plan = next.map(|next| next.max(core.clock.now()));
        [next, calls_deadline].into_iter().flatten().min()
    }

    fn hear(&mut self, msg: Msg) {
        match msg {
            Msg::Stream(stream, event) => self.process(&stream, event),
            Msg::Command(stream, event) => {
                self.process(&stream, event);
                stream.queued.fetch_sub(1, Ordering::Relaxed);
            }
            Msg::Answered(key, call, answer) => {
                if let Some(stream) = self.core.by_key(key) {
                    self.process(&stream, actions::answered(call, answer));
                }
            }
            Msg::Policy => {
                self.policy = self.core.policy();
                let core = Arc::clone(&self.core);
                core.for_each_stream(|stream| self.process(stream, Event::Look));
            }
            Msg::Gone { stream, ticking, watches } => {
                self.count_ticking(ticking, Ticking::default());
                self.void_watches += watches;
                self.sentries.forget(stream);
            }
        }
    }

    /// One step of one stream.
    fn process(&mut self, stream: &Arc<Stream>, event: Event) {
        let mut inner = stream.inner.lock();
        if stream.is_gone() {
            if let Event::Switch { ticket, .. } | Event::Hold { ticket, .. } = event {
                let why = "the stream was unregistered".to_owned();
                self.core.resolve_ticket(ticket, Err(why));
            }
            return;
        }
        let inner = &mut *inner;
        if let Event::Opened { epoch, .. } = event {
            inner.plane.heard_of(epoch);
        }
        self.open_by_id(inner);
        self.step(stream, inner, event);
        // A packet that came between the sample and the watch bit is seen by the second look.
        for _ in 0..LOOKS {
            if !self.watch(stream, inner) {
                break;
            }
            self.step(stream, inner, Event::Look);
        }
        self.arrange(stream, inner);
    }

    /// A hot input without a recorder that was heard by id: its packets open an epoch.
    fn open_by_id(&mut self, inner: &mut Inner) {
        let core = Arc::clone(&self.core);
        for i in 0..inner.declared.len() {
            let stranger = inner.machine.stranger();
            let declared = &mut inner.declared[i];
            if !declared.hot
                || declared.had_recorder
                || inner.plane.epoch_of_but(declared.priority, stranger).is_some()
            {
                continue;
            }
            let Some(by_id) = declared.by_id() else { continue };
            let counted = core.cells.get(by_id).packets.load(Ordering::Acquire);
            if counted == declared.heard {
                continue;
            }
            let (priority, before) = (declared.priority, declared.heard);
            declared.heard = counted;
            // The machine of a stream at rest has not heard of packets for long: it is to know
            // of them before it judges anything.
            self.samples.clear();
            inner.plane.sample(&core.cells, &self.log, &mut self.samples);
            let epoch = inner.machine.new_epoch();
            inner.plane.open_by_id(&core.cells, priority, epoch, by_id, before);
            let event = Event::Opened { priority, epoch, by_id: true };
            let (policy, stall) = (Arc::clone(&self.policy), self.log.stall());
            let samples = &self.samples;
            inner.machine.step(self.now, &policy, stall, samples, event, &mut self.actions);
        }
    }

    fn step(&mut self, stream: &Arc<Stream>, inner: &mut Inner, event: Event) {
        let core = Arc::clone(&self.core);
        let (policy, stall) = (Arc::clone(&self.policy), self.log.stall());
        let begin = self.actions.len();
        // While a cut is armed, the target's packet may make it between the sample and what is
        // decided without it. Then the cut stands, and all is decided anew with it.
        let armed = inner.plane.is_armed().then(|| (inner.machine.clone(), event.clone()));
        self.decide(inner, &policy, stall, event);
        if let Some((before, event)) = armed
            && !inner.plane.disarm(&core.cells, inner.machine.air())
        {
            inner.machine = before;
            self.actions.truncate(begin);
            self.decide(inner, &policy, stall, event);
        }
        self.carry_out(stream, inner);
        inner.plane.reconcile(&core.cells, inner.machine.air());
        let machine = &inner.machine;
        inner.plane.set_learning(&core.cells, |epoch| machine.learns(epoch, &policy));
    }

    /// Samples, and has the machine decide. Nothing is carried out yet.
    fn decide(&mut self, inner: &mut Inner, policy: &Policy, stall: Stall, event: Event) {
        self.samples.clear();
        inner.plane.sample(&self.core.cells, &self.log, &mut self.samples);
        inner.machine.step(self.now, policy, stall, &self.samples, event, &mut self.actions);
    }

    /// Cells that rest are handed to the collector; void deadlines are dropped when they are
    /// many.
    fn tidy(&mut self) {
        let resting = self.core.cells.take_resting();
        if !resting.is_empty() {
            self.resting.push_back((self.now, resting));
        }
        let rested = self.now.checked_sub(self.core.rest_ns);
        while self.resting.front().is_some_and(|(since, _)| Some(*since) <= rested) {
            let Some((_, resting)) = self.resting.pop_front() else { break };
            let (core, waiting) = (Arc::downgrade(&self.core), Arc::clone(&self.in_grace));
            waiting.fetch_add(1, Ordering::Relaxed);
            self.core.routes.after_grace(move || {
                waiting.fetch_sub(1, Ordering::Relaxed);
                if let Some(core) = core.upgrade() {
                    core.cells.recycle(&resting);
                }
            });
        }
        if self.in_grace.load(Ordering::Relaxed) > 0 {
            self.core.routes.collect();
        }
        self.tidy_deadlines();
        self.tidy_watched();
    }
}
