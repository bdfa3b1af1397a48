//! The hand-driven clock: the test's own loop advances time, answers driver calls and plays the
//! sources.

use std::sync::Arc;
use std::time::Duration;

use changeover::{AnswerToken, DriverCall, Epoch, HandEngine};

use super::activation::{Activation, Next};
use super::script::ms;
use super::stage::{Clock, Stage, Started};

/// How far time moves at most before driver calls are looked at again.
pub(crate) const STEP: u64 = ms(10);

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Hand {
    pub(crate) engine: HandEngine,
    stage: Arc<Stage>,
    clock: Clock,
    live: Vec<Activation>,
    due: Vec<Due>,
    /// Calls that are never answered.
    unanswered: Vec<AnswerToken>,
    pub(crate) step: u64,
}

/// An answer that a driver call gets later.
#[derive(Debug)]
struct Due {
    at: u64,
    token: AnswerToken,
    what: Answering,
}

#[derive(Debug)]
enum Answering {
    Start { activation: Box<Activation>, answer: Result<(), &'static str> },
    Probe { stream: String, priority: i32, good: Option<bool> },
}

impl Hand {
    pub(crate) fn new(engine: HandEngine, stage: Arc<Stage>, clock: Clock) -> Self {
        let (live, due, unanswered) = (Vec::new(), Vec::new(), Vec::new());
        Self { engine, stage, clock, live, due, unanswered, step: STEP }
    }

    fn now(&self) -> u64 {
        self.clock.now(&self.engine)
    }

    /// Moves time, in steps that end wherever a source or an answer is due.
    pub(crate) fn run_until(&mut self, until: u64) {
        self.pump();
        while self.now() < until {
            let now = self.now();
            let next = self.next_due(now).min(until).min(now + self.step);
            self.engine.advance(Duration::from_nanos(next - now));
            self.pump();
        }
    }

    /// Activations that the harness runs, by priority.
    pub(crate) fn running(&self) -> Vec<i32> {
        let mut running: Vec<i32> = self.live.iter().map(|a| a.priority).collect();
        running.sort_unstable();
        running
    }

    fn next_due(&mut self, now: u64) -> u64 {
        let mut next = self.due.iter().map(|due| due.at).min().unwrap_or(u64::MAX);
        for activation in &mut self.live {
            // Nothing is due now: the pump has just run.
            if let Next::At(at) = activation.step(&self.engine, &self.stage, self.clock) {
                next = next.min(at);
            }
        }
        next.max(now + 1)
    }

    /// Carries out everything that is due now, until nothing is.
    pub(crate) fn pump(&mut self) {
        loop {
            let mut quiet = true;
            while let Some(call) = self.engine.next_call() {
                self.carry_out(call);
                quiet = false;
            }
            let now = self.now();
            if let Some(at) = self.due.iter().position(|due| due.at <= now) {
                let due = self.due.remove(at);
                self.answer(due);
                continue;
            }
            let mut live = std::mem::take(&mut self.live);
            live.retain_mut(|activation| {
                match activation.step(&self.engine, &self.stage, self.clock) {
                    Next::At(at) => {
                        quiet &= at > now;
                        true
                    }
                    Next::Ended => {
                        quiet = false;
                        false
                    }
                }
            });
            self.live = live;
            // A packet or a report may have made the engine call the driver.
            if quiet {
                match self.engine.next_call() {
                    Some(call) => self.carry_out(call),
                    None => return,
                }
            }
        }
    }

    fn carry_out(&mut self, call: DriverCall) {
        let now = self.now();
        let stage = Arc::clone(&self.stage);
        match call {
            DriverCall::Start(call) => {
                let address = &call.input.address;
                let text = format!("start {} {address}", call.input.priority);
                stage.called(now, &call.stream, &text);
                stage.lock().starts.push(Started::new(now, &call));
                let (answer, accept, first) =
                    stage.source(address, |src| (src.start_answer(now), src.accept, src.first));
                let activation = Box::new(Activation::new(&call, now + accept + first));
                match answer {
                    Some(answer) => self.due.push(Due {
                        at: now + accept,
                        token: call.token(),
                        what: Answering::Start { activation, answer },
                    }),
                    None => self.unanswered.push(call.token()),
                }
            }
            DriverCall::Probe(call) => {
                let (address, priority) = (&call.input.address, call.input.priority);
                stage.called(now, &call.stream, &format!("probe {priority} {address}"));
                stage.probe_began(&call.stream, priority);
                let answer = stage.source(address, |src| src.probe_answer(now));
                let (takes, good) = match answer {
                    Some((takes, good)) => (takes, Some(good)),
                    None => (0, None),
                };
                let stream = call.stream.to_string();
                self.due.push(Due {
                    at: now + takes,
                    token: call.token(),
                    what: Answering::Probe { stream, priority, good },
                });
            }
            DriverCall::Stop(call) => {
                let text = format!("stop {}", call.input_priority);
                stage.called(now, &call.stream, &text);
                stage.lock().stops.push((call.stream.to_string(), call.epoch));
                self.live.retain(|a| !(a.epoch == call.epoch && *a.stream == *call.stream));
            }
            DriverCall::Rebind(call) => {
                let (from, to) = (call.from_priority, call.input.priority);
                stage.called(now, &call.stream, &format!("rebind {from}>{to}"));
                for activation in &mut self.live {
                    if activation.epoch == call.epoch && *activation.stream == *call.stream {
                        activation.priority = to;
                    }
                }
            }
            other => {
                let text = format!("keyframe {}", other.input_priority());
                stage.called(now, other.stream(), &text);
            }
        }
    }

    fn answer(&mut self, due: Due) {
        match due.what {
            Answering::Start { activation, answer } => {
                let (stream, epoch) = (activation.stream.clone(), activation.epoch);
                self.stage.start_answered(epoch, &stream, answer.is_ok());
                match answer {
                    Ok(()) => {
                        if !self.stopped(&stream, epoch) {
                            self.live.push(*activation);
                        }
                        due.token.done();
                    }
                    Err(why) => due.token.failed(why),
                }
            }
            Answering::Probe { stream, priority, good } => {
                self.stage.probe_returned(&stream, priority);
                match good {
                    Some(true) => due.token.done(),
                    Some(false) => due.token.failed("no data"),
                    None => due.token.unsupported(),
                }
            }
        }
    }

    fn stopped(&self, stream: &str, epoch: Epoch) -> bool {
        self.stage.lock().stops.iter().any(|(of, stopped)| of == stream && *stopped == epoch)
    }
}
