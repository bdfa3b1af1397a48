//! The worker threads that driver calls run on: as many as are needed, up to a limit.
//!
//! Calls for one input begin in order and never overlap; calls for different inputs wait for
//! nobody. A call past its deadline has failed: its lane goes on, its worker is written off and
//! replaced, up to a limit of such workers, and when it returns after all it ends.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::core::Core;
use crate::driver::{Answer, CallRunner, DriverCall, IngestDriver, Job, JobDeadline};
use crate::error::Error;
use crate::hostcall;
use crate::sync::{Arc, Condvar, Mutex, Ordering, Weak};
use crate::types::{Epoch, Nanos, Priority, StreamKey};

/// A worker without work ends after this.
const IDLE_END: Duration = Duration::from_secs(10);

pub(crate) struct Workers {
    core: Weak<Core>,
    state: Mutex<State>,
    changed: Condvar,
    max_workers: usize,
    max_stuck: usize,
}

type LaneKey = (StreamKey, Priority);

struct State {
    driver: Option<Arc<dyn IngestDriver>>,
    lanes: HashMap<LaneKey, Lane>,
    /// Lanes whose next call may begin.
    ready: VecDeque<LaneKey>,
    running: HashMap<u64, Running>,
    next_call: u64,
    /// Worker threads that are not written off.
    workers: usize,
    idle: usize,
    closed: bool,
}

#[derive(Default)]
struct Lane {
    queue: VecDeque<Job>,
    /// The call that is running, unless it was written off.
    busy: Option<u64>,
}

struct Running {
    lane: LaneKey,
    deadline: Nanos,
    written_off: bool,
}

impl Workers {
    pub(crate) fn new(
        core: Weak<Core>,
        driver: Arc<dyn IngestDriver>,
        max_workers: usize,
        max_stuck: usize,
    ) -> Self {
        Self {
            core,
            state: Mutex::new(State {
                driver: Some(driver),
                lanes: HashMap::new(),
                ready: VecDeque::new(),
                running: HashMap::new(),
                next_call: 0,
                workers: 0,
                idle: 0,
                closed: false,
            }),
            changed: Condvar::new(),
            max_workers: max_workers.max(1),
            max_stuck,
        }
    }

    /// When the next running call is over time.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        let state = self.state.lock();
        state.running.values().filter(|call| !call.written_off).map(|call| call.deadline).min()
    }

    /// Writes calls off that are over time at `now`.
    pub(crate) fn expire(self: &Arc<Self>, now: Nanos) {
        let mut state = self.state.lock();
        let stuck = state.running.values().filter(|call| call.written_off).count();
        let over: Vec<u64> = state
            .running
            .iter()
            .filter(|(_, call)| !call.written_off && call.deadline <= now)
            .map(|(id, _)| *id)
            .take(self.max_stuck.saturating_sub(stuck))
            .collect();
        for id in &over {
            let Some(call) = state.running.get_mut(id) else { continue };
            call.written_off = true;
            let lane = call.lane;
            state.workers -= 1;
            state.free_lane(lane, *id);
        }
        self.engage(&mut state);
        drop(state);
        if let Some(core) = self.core.upgrade().filter(|_| !over.is_empty()) {
            core.stats.stuck_calls.fetch_add(over.len() as u64, Ordering::Relaxed);
        }
    }

    /// Sees to it that somebody takes what is ready.
    fn engage(self: &Arc<Self>, state: &mut State) {
        let wanted = state.ready.len();
        for _ in 0..wanted.min(state.idle) {
            self.changed.notify_one();
        }
        let more = wanted
            .saturating_sub(state.idle)
            .min(self.max_workers - state.workers.min(self.max_workers));
        for _ in 0..more {
            let workers = Arc::clone(self);
            let spawned = std::thread::Builder::new()
                .name("changeover-drv".to_owned())
                .spawn(move || workers.work());
            match spawned {
                Ok(_) => state.workers += 1,
                // Those that run take it over; where none does, the machine's deadline finds the
                // call unanswered.
                Err(_) => break,
            }
        }
    }

    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            let Some(lane) = state.ready.pop_front() else {
                if state.closed {
                    state.workers -= 1;
                    drop(state);
                    return self.changed.notify_all();
                }
                state.idle += 1;
                let timed_out = self.changed.wait_until(&mut state, Instant::now() + IDLE_END);
                state.idle -= 1;
                if timed_out && state.ready.is_empty() {
                    state.workers -= 1;
                    drop(state);
                    return self.changed.notify_all();
                }
                continue;
            };
            let Some(core) = self.core.upgrade() else {
                state.workers -= 1;
                return;
            };
            let driver = state.driver.clone();
            let id = state.next_call;
            let Some(job) = state.lanes.get_mut(&lane).and_then(|found| {
                let job = found.queue.pop_front()?;
                found.busy = Some(id);
                Some(job)
            }) else {
                continue;
            };
            state.next_call += 1;
            let deadline = match job.deadline {
                JobDeadline::At(at) => at,
                JobDeadline::AfterBegin(span) => core.clock.now().saturating_add(span),
            };
            state.running.insert(id, Running { lane, deadline, written_off: false });
            drop(state);
            // The monitor plans with the new deadline.
            core.waker.wake();
            drop(core);

            if let Some(driver) = driver {
                carry_out(&*driver, &job.call);
            }
            drop(job);

            state = self.state.lock();
            let written_off = state.running.remove(&id).is_some_and(|call| call.written_off);
            if written_off {
                drop(state);
                if let Some(core) = self.core.upgrade() {
                    core.stats.stuck_calls.fetch_sub(1, Ordering::Relaxed);
                }
                return self.changed.notify_all();
            }
            state.free_lane(lane, id);
            self.changed.notify_all();
        }
    }

    /// Waits until no call of the stream is queued or running; false when the time is over.
    pub(crate) fn wait_idle(&self, stream: StreamKey, until: Instant) -> bool {
        let mut state = self.state.lock();
        loop {
            let busy = state.lanes.keys().any(|(key, _)| *key == stream)
                || state.running.values().any(|call| call.lane.0 == stream);
            if !busy {
                return true;
            }
            if self.changed.wait_until(&mut state, until) {
                return false;
            }
        }
    }

    /// Carries out what is queued, then ends the workers. Answers how many calls were still
    /// running, or had not begun, when the time was over; those are left to themselves.
    pub(crate) fn shut_down(self: &Arc<Self>, until: Instant) -> usize {
        let mut state = self.state.lock();
        state.closed = true;
        self.engage(&mut state);
        self.changed.notify_all();
        // Calls that were written off are given this time too.
        while state.workers > 0 || !state.running.is_empty() {
            if self.changed.wait_until(&mut state, until) {
                break;
            }
        }
        let queued: usize = state.lanes.values().map(|lane| lane.queue.len()).sum();
        let left = state.running.len() + queued;
        state.ready.clear();
        let lanes = std::mem::take(&mut state.lanes);
        let driver = state.driver.take();
        drop(state);
        drop((lanes, driver));
        left
    }
}

impl State {
    /// The call `id` occupies its lane no longer.
    fn free_lane(&mut self, key: LaneKey, id: u64) {
        let Some(lane) = self.lanes.get_mut(&key).filter(|lane| lane.busy == Some(id)) else {
            return;
        };
        lane.busy = None;
        if lane.queue.is_empty() {
            self.lanes.remove(&key);
        } else {
            self.ready.push_back(key);
        }
    }
}

impl CallRunner for Arc<Workers> {
    fn submit(&self, job: Job) {
        let mut state = self.state.lock();
        if state.driver.is_none() {
            return;
        }
        let key = (job.stream, job.call.input_priority());
        let lane = state.lanes.entry(key).or_default();
        lane.queue.push_back(job);
        if lane.busy.is_none() && lane.queue.len() == 1 {
            state.ready.push_back(key);
        }
        self.engage(&mut state);
    }

    fn forget(&self, stream: StreamKey) -> Vec<Epoch> {
        let mut never_begun = Vec::new();
        let mut state = self.state.lock();
        for lane in state.lanes.iter_mut().filter(|((key, _), _)| *key == stream).map(|(_, l)| l) {
            lane.queue.retain(|job| match &job.call {
                DriverCall::Start(call) => {
                    never_begun.push(call.epoch);
                    false
                }
                DriverCall::Probe(_) | DriverCall::Rebind(_) => false,
                DriverCall::Stop(_) => true,
            });
            lane.queue.retain(|job| {
                !matches!(&job.call, DriverCall::Stop(call) if never_begun.contains(&call.epoch))
            });
        }
        state.lanes.retain(|(key, _), lane| {
            *key != stream || lane.busy.is_some() || !lane.queue.is_empty()
        });
        let State { lanes, ready, .. } = &mut *state;
        ready.retain(|key| lanes.contains_key(key));
        drop(state);
        self.changed.notify_all();
        never_begun
    }
}

fn carry_out(driver: &dyn IngestDriver, call: &DriverCall) {
    let (slip, answered) = match call {
        DriverCall::Start(call) => (Some(&call.slip), hostcall::run(|| driver.start(call))),
        DriverCall::Probe(call) => (Some(&call.slip), hostcall::run(|| driver.probe(call))),
        DriverCall::Stop(call) => {
            (None, hostcall::run(|| driver.stop(call)).map(|()| Answer::Done))
        }
        DriverCall::Rebind(call) => {
            (None, hostcall::run(|| driver.rebind(call)).map(|()| Answer::Done))
        }
    };
    let answer = answered.unwrap_or_else(|panic| {
        tracing::error!(target: "changeover", panic, "a driver call panicked");
        Answer::Failed(format!("the driver panicked: {panic}"))
    });
    if let Some(slip) = slip {
        slip.answer(answer);
    }
}

/// The driver of an engine that was given none: a cold input cannot be started.
pub(crate) struct NoDriver;

impl IngestDriver for NoDriver {
    fn start(&self, _call: &crate::driver::StartCall) -> Answer {
        let why = "this engine has no ingest driver: give EngineBuilder one, or make the input hot";
        Answer::Failed(why.to_owned())
    }

    fn stop(&self, _call: &crate::driver::StopCall) {}
}

/// Starts a thread of the engine's own.
pub(crate) fn spawn(
    name: &'static str,
    life: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, Error> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(life)
        .map_err(|error| Error::Thread { name, why: error.to_string() })
}
