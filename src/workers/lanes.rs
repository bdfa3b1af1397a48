//! The workers' bookkeeping: which calls wait in which lane, which run, and what may begin.

use std::collections::{HashMap, VecDeque};

use crate::driver::{Answer, DriverCall, IngestDriver, Job, JobDeadline, ProbeCall, StartCall};
use crate::sync::Arc;
use crate::types::{Epoch, Nanos, Priority, StreamKey};

pub(super) struct State {
    pub(super) driver: Option<Arc<dyn IngestDriver>>,
    pub(super) streams: HashMap<StreamKey, StreamLanes>,
    /// Lanes whose next call may begin. An entry may be void: whoever takes it looks.
    pub(super) ready: VecDeque<(StreamKey, Priority)>,
    pub(super) running: HashMap<u64, Running>,
    pub(super) next_call: u64,
    /// Worker threads that are not written off.
    pub(super) workers: usize,
    /// Of these: waiting, and not yet at work.
    pub(super) idle: usize,
    pub(super) starting: usize,
    pub(super) closed: bool,
}

#[derive(Default)]
pub(super) struct StreamLanes {
    pub(super) lanes: Vec<(Priority, Lane)>,
    /// A renumbered activation's calls stay in the lane in which it was started.
    pub(super) moved: Vec<(Priority, Priority)>,
    /// Calls that run, written off or not.
    pub(super) running: usize,
}

/// The calls for one input, in order.
#[derive(Default)]
pub(super) struct Lane {
    pub(super) queue: VecDeque<Job>,
    /// The call that is running, unless it was written off.
    pub(super) busy: Option<u64>,
}

pub(super) struct Running {
    pub(super) stream: StreamKey,
    pub(super) lane: Priority,
    pub(super) deadline: Nanos,
    pub(super) written_off: bool,
}

impl State {
    pub(super) fn new(driver: Arc<dyn IngestDriver>) -> Self {
        Self {
            driver: Some(driver),
            streams: HashMap::new(),
            ready: VecDeque::new(),
            running: HashMap::new(),
            next_call: 0,
            workers: 0,
            idle: 0,
            starting: 0,
            closed: false,
        }
    }

    pub(super) fn written_off(&self) -> usize {
        self.running.values().filter(|call| call.written_off).count()
    }

    /// Takes the next call of a lane, if one may begin.
    pub(super) fn begin(
        &mut self,
        stream: StreamKey,
        priority: Priority,
        now: Nanos,
    ) -> Option<(u64, Job)> {
        let lanes = self.streams.get_mut(&stream)?;
        let lane = lanes.lane(priority);
        if lane.busy.is_some() {
            return None;
        }
        let mut job = lane.queue.pop_front();
        // Whoever asked has given it up: it never begins.
        while let Some(late) = job.take_if(|job| job.is_over(now)) {
            late.answer_late();
            job = lane.queue.pop_front();
        }
        let Some(job) = job else {
            self.tidy(stream);
            return None;
        };
        let id = self.next_call;
        lane.busy = Some(id);
        lanes.running += 1;
        self.next_call += 1;
        let deadline = match job.deadline {
            JobDeadline::At(at) => at,
            JobDeadline::AfterBegin(span) => now.saturating_add(span),
        };
        let running = Running { stream, lane: priority, deadline, written_off: false };
        self.running.insert(id, running);
        Some((id, job))
    }

    /// A call has returned; answers whether it had been written off.
    pub(super) fn end(&mut self, stream: StreamKey, lane: Priority, id: u64) -> bool {
        let written_off = self.running.remove(&id).is_some_and(|call| call.written_off);
        if let Some(lanes) = self.streams.get_mut(&stream) {
            lanes.running -= 1;
        }
        self.free_lane(stream, lane, id);
        self.tidy(stream);
        written_off
    }

    /// The call `id` occupies its lane no longer.
    pub(super) fn free_lane(&mut self, stream: StreamKey, priority: Priority, id: u64) {
        let Some(lanes) = self.streams.get_mut(&stream) else { return };
        let lane = lanes.lane(priority);
        if lane.busy == Some(id) {
            lane.busy = None;
            if !lane.queue.is_empty() {
                self.ready.push_back((stream, priority));
            }
        }
    }

    /// A stream without calls is forgotten, and what was renumbered with it.
    pub(super) fn tidy(&mut self, stream: StreamKey) {
        let idle = self.streams.get(&stream).is_some_and(|lanes| {
            lanes.running == 0 && lanes.lanes.iter().all(|(_, lane)| lane.queue.is_empty())
        });
        if idle {
            self.streams.remove(&stream);
        }
    }
}

impl StreamLanes {
    pub(super) fn lane(&mut self, priority: Priority) -> &mut Lane {
        let at = match self.lanes.iter().position(|(known, _)| *known == priority) {
            Some(at) => at,
            None => {
                self.lanes.push((priority, Lane::default()));
                self.lanes.len() - 1
            }
        };
        &mut self.lanes[at].1
    }

    /// The lane that calls for an input go to.
    pub(super) fn lane_of(&self, priority: Priority) -> Priority {
        let moved = self.moved.iter().find(|(to, _)| *to == priority);
        moved.map_or(priority, |(_, lane)| *lane)
    }
}

impl Job {
    pub(super) fn is_over(&self, now: Nanos) -> bool {
        matches!(self.deadline, JobDeadline::At(at) if at <= now)
    }

    /// Its deadline passed before a worker was free.
    pub(super) fn answer_late(&self) {
        let (DriverCall::Start(StartCall { slip, .. }) | DriverCall::Probe(ProbeCall { slip, .. })) =
            &self.call
        else {
            return;
        };
        slip.answer(Answer::Failed("no driver worker was free in time".to_owned()));
    }

    pub(super) fn rebinds(&self, epoch: Epoch) -> bool {
        matches!(&self.call, DriverCall::Rebind(call) if call.epoch == epoch)
    }

    pub(super) fn starts(&self, epoch: Epoch) -> bool {
        matches!(&self.call, DriverCall::Start(call) if call.epoch == epoch)
    }
}
