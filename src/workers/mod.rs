//! The worker threads that driver calls run on: as many as are needed, up to a limit.
//!
//! Calls for one input begin in order and never overlap; calls for different inputs wait for
//! nobody. A call past its deadline has failed: its lane goes on, its worker is written off and
//! replaced, up to a limit of such workers, and when it returns after all it ends.

mod lanes;

use std::time::{Duration, Instant};

use self::lanes::State;
use crate::core::Core;
use crate::driver::{Answer, CallRunner, DriverCall, IngestDriver, Job, StartCall};
use crate::error::Error;
use crate::hostcall;
use crate::sync::{Arc, Condvar, Mutex, Ordering, Weak, thread};
use crate::types::{Epoch, Nanos, StreamKey};

/// A worker without work ends after this.
const IDLE_END: Duration = Duration::from_secs(10);

pub(crate) struct Workers {
    core: Weak<Core>,
    state: Mutex<State>,
    /// For workers: there is a call to take, or nothing more to wait for.
    work: Condvar,
    /// For those who wait for an end: a call has returned, a worker has ended.
    changed: Condvar,
    max_workers: usize,
    max_stuck: usize,
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
            state: Mutex::new(State::new(driver)),
            work: Condvar::new(),
            changed: Condvar::new(),
            max_workers: max_workers.max(1),
            max_stuck,
        }
    }

    /// When the next running call is over time; `None` also where none can be written off any
    /// more (the next one that returns wakes the monitor).
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        let state = self.state.lock();
        if state.written_off() >= self.max_stuck {
            return None;
        }
        state.running.values().filter(|call| !call.written_off).map(|call| call.deadline).min()
    }

    /// Writes calls off that are over time at `now`.
    pub(crate) fn expire(self: &Arc<Self>, now: Nanos) {
        let mut state = self.state.lock();
        let room = self.max_stuck.saturating_sub(state.written_off());
        let over: Vec<u64> = state
            .running
            .iter()
            .filter(|(_, call)| !call.written_off && call.deadline <= now)
            .map(|(id, _)| *id)
            .take(room)
            .collect();
        for id in &over {
            let Some(call) = state.running.get_mut(id) else { continue };
            call.written_off = true;
            let (stream, lane) = (call.stream, call.lane);
            state.workers -= 1;
            state.free_lane(stream, lane, *id);
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
            self.work.notify_one();
        }
        let free = self.max_workers.saturating_sub(state.workers);
        for _ in 0..wanted.saturating_sub(state.idle + state.starting).min(free) {
            let workers = Arc::clone(self);
            let spawned = thread::Builder::new()
                .name("changeover-drv".to_owned())
                .spawn(move || workers.work());
            match spawned {
                Ok(_) => {
                    state.workers += 1;
                    state.starting += 1;
                }
                // Those that run take it over; where none does, the machine's deadline finds the
                // call unanswered.
                Err(_) => break,
            }
        }
    }

    /// A worker thread's life.
    fn work(&self) {
        let mut state = self.state.lock();
        state.starting -= 1;
        loop {
            let Some((stream, lane)) = state.ready.pop_front() else {
                let ends = state.closed || {
                    state.idle += 1;
                    let late = self.work.wait_until(&mut state, Instant::now() + IDLE_END);
                    state.idle -= 1;
                    late && state.ready.is_empty()
                };
                if ends && state.ready.is_empty() {
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
            let now = core.clock.now();
            let Some((id, job)) = state.begin(stream, lane, now) else { continue };
            let driver = state.driver.clone();
            drop(state);
            // The monitor plans with the new deadline.
            core.waker.wake();

            if let Some(driver) = driver {
                carry_out(&*driver, &job.call);
            }
            drop(job);

            state = self.state.lock();
            let written_off = state.end(stream, lane, id);
            self.changed.notify_all();
            if written_off {
                drop(state);
                core.stats.stuck_calls.fetch_sub(1, Ordering::Relaxed);
                // There may be room to write another one off.
                return core.waker.wake();
            }
        }
    }

    /// Waits until no call of the stream is queued or running; false when the time is over.
    pub(crate) fn wait_idle(&self, stream: StreamKey, until: Instant) -> bool {
        let mut state = self.state.lock();
        while state.streams.contains_key(&stream) {
            if self.changed.wait_until(&mut state, until) {
                return !state.streams.contains_key(&stream);
            }
        }
        true
    }

    /// Carries out what is queued, then ends the workers. Answers how many calls were still
    /// running, or had not begun, when the time was over; those are left to themselves.
    pub(crate) fn shut_down(self: &Arc<Self>, until: Instant) -> usize {
        let mut state = self.state.lock();
        state.closed = true;
        self.engage(&mut state);
        self.work.notify_all();
        // Calls that were written off are given this time too.
        while state.workers > 0 || !state.running.is_empty() {
            if self.changed.wait_until(&mut state, until) {
                break;
            }
        }
        let lanes = state.streams.values().flat_map(|stream| &stream.lanes);
        let left = state.running.len() + lanes.map(|(_, lane)| lane.queue.len()).sum::<usize>();
        state.ready.clear();
        let streams = std::mem::take(&mut state.streams);
        let driver = state.driver.take();
        drop(state);
        // The host's driver may go here: what it calls must not wait for this end.
        let _ = hostcall::run(move || drop((streams, driver)));
        left
    }
}

impl CallRunner for Arc<Workers> {
    fn submit(&self, job: Job) {
        let mut state = self.state.lock();
        if state.driver.is_none() {
            return;
        }
        let stream = job.stream;
        let State { streams, ready, .. } = &mut *state;
        let lanes = streams.entry(stream).or_default();
        if let DriverCall::Rebind(call) = &job.call {
            let lane = lanes.lane_of(call.from_priority);
            let to = call.input.priority;
            lanes.moved.retain(|(known, _)| *known != to);
            lanes.moved.push((to, lane));
        }
        let priority = lanes.lane_of(job.call.input_priority());
        let lane = lanes.lane(priority);
        if let DriverCall::Stop(call) = &job.call
            && let Some(at) = lane.queue.iter().position(|queued| queued.starts(call.epoch))
        {
            // It never began, and so needs no stop; nor is anybody to hear of its renumbering.
            lane.queue.remove(at);
            lane.queue.retain(|queued| !queued.rebinds(call.epoch));
            return state.tidy(stream);
        }
        lane.queue.push_back(job);
        if lane.busy.is_none() && lane.queue.len() == 1 {
            ready.push_back((stream, priority));
        }
        self.engage(&mut state);
    }

    fn forget(&self, stream: StreamKey) -> Vec<Epoch> {
        let mut never_begun = Vec::new();
        let mut state = self.state.lock();
        let Some(lanes) = state.streams.get_mut(&stream) else { return never_begun };
        for (_, lane) in &mut lanes.lanes {
            lane.queue.retain(|job| match &job.call {
                DriverCall::Start(call) => {
                    never_begun.push(call.epoch);
                    false
                }
                DriverCall::Probe(_) | DriverCall::Rebind(_) | DriverCall::RequestKeyframe(_) => {
                    false
                }
                DriverCall::Stop(_) => true,
            });
        }
        for (_, lane) in &mut lanes.lanes {
            lane.queue.retain(|job| {
                !matches!(&job.call, DriverCall::Stop(call) if never_begun.contains(&call.epoch))
            });
        }
        state.tidy(stream);
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
        DriverCall::RequestKeyframe(call) => {
            (None, hostcall::run(|| driver.request_keyframe(call)).map(|()| Answer::Done))
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
    fn start(&self, _call: &StartCall) -> Answer {
        let why =
            "this engine has no ingest driver: give it one when it is made, or make the input hot";
        Answer::Failed(why.to_owned())
    }

    fn stop(&self, _call: &crate::driver::StopCall) {}
}

/// Starts a thread of the engine's own.
pub(crate) fn spawn(
    name: &'static str,
    life: impl FnOnce() + Send + 'static,
) -> Result<thread::JoinHandle<()>, Error> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(life)
        .map_err(|error| Error::Thread { name, why: error.to_string() })
}
