//! The real clock: an [`IngestDriver`] that spawns a thread per activation; the threads record
//! the packets.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use changeover::{Answer, Engine, Epoch, IngestDriver, ProbeCall, RebindCall, StartCall, StopCall};

use super::activation::{Activation, Next};
use super::stage::{Clock, Stage, Started};

/// What the driver knows of one activation.
#[derive(Debug)]
struct Worker {
    ended: AtomicBool,
    priority: AtomicI32,
}

/// The driver's state.
#[derive(Debug)]
pub(crate) struct Troupe {
    stage: Arc<Stage>,
    /// Set right after the engine is built, before the first call.
    engine: OnceLock<(Engine, Clock)>,
    workers: Mutex<BTreeMap<(String, Epoch), Arc<Worker>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// The driver that the engine owns.
#[derive(Clone, Debug)]
pub(crate) struct Driver(pub(crate) Arc<Troupe>);

impl Troupe {
    pub(crate) fn new(stage: Arc<Stage>) -> Arc<Self> {
        let (workers, threads) = (Mutex::default(), Mutex::default());
        Arc::new(Self { stage, engine: OnceLock::new(), workers, threads })
    }

    pub(crate) fn open(&self, engine: Engine, clock: Clock) {
        assert!(self.engine.set((engine, clock)).is_ok(), "opened twice");
    }

    /// Ends the threads and waits for them.
    pub(crate) fn close(&self) {
        self.stage.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A source thread that panicked has printed its reason; `finish` looks at effects.
            let _ = thread.join();
        }
    }

    fn at(&self) -> (&Engine, Clock) {
        let (engine, clock) = self.engine.get().expect("opened before the first call");
        (engine, *clock)
    }

    fn real(&self, scenario_ns: u64) -> Duration {
        Duration::from_nanos(scenario_ns.div_ceil(self.at().1.scale))
    }

    fn worker(&self, stream: &str, epoch: Epoch) -> Option<Arc<Worker>> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.get(&(stream.to_owned(), epoch)).cloned()
    }

    /// A source thread's life.
    fn perform(self: &Arc<Self>, mut activation: Activation, worker: &Worker) {
        let (engine, clock) = self.at();
        while !worker.ended.load(Ordering::Relaxed) && !self.stage.is_closing() {
            activation.priority = worker.priority.load(Ordering::Relaxed);
            match activation.step(engine, &self.stage, clock) {
                Next::Ended => return,
                Next::At(at) => {
                    let wait = at.saturating_sub(clock.now(engine)).min(super::s(60));
                    self.stage.pause(self.real(wait), &worker.ended);
                }
            }
        }
    }
}

impl IngestDriver for Driver {
    fn start(&self, call: &StartCall) -> Answer {
        let troupe = &self.0;
        let (engine, clock) = troupe.at();
        let (stage, now) = (&troupe.stage, clock.now(engine));
        let address = &call.input.address;
        stage.lock().starts.push(Started::new(now, call));
        stage.called(now, &call.stream, &format!("start {} {address}", call.input.priority));
        let (answer, accept, first) =
            stage.source(address, |src| (src.start_answer(now), src.accept, src.first));
        stage.spend(troupe.real(accept));
        let Some(answer) = answer else {
            // No answer while the test lasts; the worker is free for the other calls.
            stage.spend(Duration::from_secs(3600));
            return Answer::Failed("the test is over".to_owned());
        };
        stage.start_answered(call.epoch, &call.stream, answer.is_ok());
        if let Err(why) = answer {
            return Answer::Failed(why.to_owned());
        }
        let activation = Activation::new(call, clock.now(engine) + first);
        let priority = AtomicI32::new(call.input.priority);
        let worker = Arc::new(Worker { ended: AtomicBool::new(false), priority });
        let key = (call.stream.to_string(), call.epoch);
        let mut workers = troupe.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.insert(key, Arc::clone(&worker));
        drop(workers);
        let performer = Arc::clone(troupe);
        let thread = thread::spawn(move || performer.perform(activation, &worker));
        troupe.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Answer::Done
    }

    fn probe(&self, call: &ProbeCall) -> Answer {
        let troupe = &self.0;
        let (engine, clock) = troupe.at();
        let (stage, now) = (&troupe.stage, clock.now(engine));
        let (address, priority) = (&call.input.address, call.input.priority);
        stage.probe_began(&call.stream, priority);
        stage.called(now, &call.stream, &format!("probe {priority} {address}"));
        let Some((takes, good)) = stage.source(address, |src| src.probe_answer(now)) else {
            stage.probe_returned(&call.stream, priority);
            return Answer::Unsupported;
        };
        stage.spend(troupe.real(takes));
        stage.probe_returned(&call.stream, priority);
        if good { Answer::Done } else { Answer::Failed("no data".to_owned()) }
    }

    fn stop(&self, call: &StopCall) {
        let troupe = &self.0;
        let (engine, clock) = troupe.at();
        let text = format!("stop {}", call.input_priority);
        troupe.stage.lock().stops.push((call.stream.to_string(), call.epoch));
        troupe.stage.called(clock.now(engine), &call.stream, &text);
        if let Some(worker) = troupe.worker(&call.stream, call.epoch) {
            worker.ended.store(true, Ordering::Relaxed);
        }
        troupe.stage.wake();
    }

    fn rebind(&self, call: &RebindCall) {
        let troupe = &self.0;
        let (engine, clock) = troupe.at();
        let (from, to) = (call.from_priority, call.input.priority);
        let text = format!("rebind {from}>{to}");
        troupe.stage.called(clock.now(engine), &call.stream, &text);
        if let Some(worker) = troupe.worker(&call.stream, call.epoch) {
            worker.priority.store(to, Ordering::Relaxed);
        }
    }
}
