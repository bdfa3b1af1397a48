//! An engine's life: its threads, and its end.

use std::time::{Duration, Instant};

use crate::config::StreamConfig;
use crate::core::{Core, Msg};
use crate::driver::{IngestDriver, Job, JobDeadline};
use crate::error::Error;
use crate::hostcall;
use crate::machine::Machine;
use crate::monitor::{self, Monitor};
use crate::stream::{Inner, Stream};
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use crate::types::{Priority, StreamKey};
use crate::workers::{Workers, spawn};

/// An idle notifier thread ends within this, also where hung calls have used the time up.
const NOTIFIER_END: Duration = Duration::from_millis(250);

/// What keeps an engine going.
pub(crate) struct Life {
    pub(crate) core: Arc<Core>,
    /// None on the hand-driven engine.
    pub(crate) workers: Option<Arc<Workers>>,
    threads: Mutex<Option<Threads>>,
    /// Held for the whole end: a second caller returns when it is over, too, with its report.
    ended: Mutex<Option<ShutdownReport>>,
    stop: Arc<AtomicBool>,
    shutdown_timeout: Duration,
}

struct Threads {
    monitor: JoinHandle<()>,
    notifier: JoinHandle<()>,
}

/// What a shutdown left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Host calls (driver calls and callbacks) that had not returned, or could not begin, within
    /// the shutdown timeout. Their threads were left to themselves.
    pub detached_calls: usize,
}

/// The monitor thread's life.
pub(crate) fn monitor_thread(core: Arc<Core>, workers: &Arc<Workers>, stop: &AtomicBool) {
    crate::clock::sharpen_sleep();
    let mut monitor = Monitor::new(Arc::clone(&core));
    while !stop.load(Ordering::Acquire) {
        workers.expire(core.clock.now());
        match monitor.turn(workers.next_deadline()) {
            None => thread::park(),
            Some(at) => {
                let ahead = at.saturating_sub(core.clock.now());
                if ahead > 0 {
                    thread::park_timeout(Duration::from_nanos(ahead));
                }
            }
        }
    }
}

impl Life {
    /// Starts the threads of an engine on the machine's clock.
    pub(crate) fn start(
        core: Arc<Core>,
        driver: Arc<dyn IngestDriver>,
        driver_workers: usize,
        max_stuck_calls: usize,
        shutdown_timeout: Duration,
    ) -> Result<Self, Error> {
        let workers =
            Arc::new(Workers::new(Arc::downgrade(&core), driver, driver_workers, max_stuck_calls));
        core.set_runner(Some(Arc::new(Arc::clone(&workers))));
        let stop = Arc::new(AtomicBool::new(false));

        let notices = Arc::clone(&core);
        let notifier = spawn("changeover-cb", move || notices.notifier.run())?;
        let (shared, pool, ended) = (Arc::clone(&core), Arc::clone(&workers), Arc::clone(&stop));
        let monitor = spawn("changeover-mon", move || monitor_thread(shared, &pool, &ended));
        let monitor = match monitor {
            Ok(monitor) => monitor,
            Err(error) => {
                core.notifier.close();
                let _ = notifier.join();
                return Err(error);
            }
        };
        core.waker.set_thread(monitor.thread().clone());
        core.waker.wake();
        let threads = Mutex::new(Some(Threads { monitor, notifier }));
        let ended = Mutex::default();
        Ok(Self { core, workers: Some(workers), threads, ended, stop, shutdown_timeout })
    }

    /// An engine without threads.
    pub(crate) fn by_hand(core: Arc<Core>) -> Self {
        Self {
            core,
            workers: None,
            threads: Mutex::new(None),
            ended: Mutex::default(),
            stop: Arc::new(AtomicBool::new(false)),
            shutdown_timeout: Duration::ZERO,
        }
    }

    /// Takes a stream off, and stops what runs for it.
    pub(crate) fn unregister(&self, id: &str) -> Result<StreamKey, Error> {
        let core = &self.core;
        let Some(stream) = core.leave(id) else {
            return Err(if core.is_closed() { Error::ShutDown } else { unknown_stream(id) });
        };
        let gone = {
            let mut inner = stream.inner.lock();
            stream.set_gone();
            core.notifier.forget(stream.key);
            core.change_spans(&inner.spans(), &[]);
            for ticket in inner.machine.open_tickets() {
                core.resolve_ticket(ticket, Err("the stream was unregistered".to_owned()));
            }
            self.stop_all(&stream, &inner);
            inner.plane.close_all(&core.cells);
            let priorities: Vec<Priority> = inner.declared.iter().map(|d| d.priority).collect();
            for priority in priorities {
                // The id leads nowhere since `leave`.
                if let Some(cell) = inner.withdraw(&core.cells, priority) {
                    core.cells.release(cell);
                }
            }
            // The shell may live on in a recorder: nothing heavy stays in it.
            inner.machine = Machine::new(Arc::clone(&stream.id), StreamConfig::default());
            Msg::Gone {
                stream: stream.key,
                ticking: std::mem::take(&mut inner.ticking),
                watches: std::mem::take(&mut inner.watched).len(),
            }
        };
        core.post(gone);
        core.vacate(stream.key);
        Ok(stream.key)
    }

    /// One final `stop` for each activation still running.
    fn stop_all(&self, stream: &Stream, inner: &Inner) {
        let core = &self.core;
        let Some(runner) = core.runner() else { return };
        let never_begun = runner.forget(stream.key);
        let deadline = JobDeadline::AfterBegin(core.policy().stop_timeout_ns);
        for (priority, epoch, hot) in inner.machine.runs() {
            if !hot && !never_begun.contains(&epoch) {
                let call = monitor::stop(stream, priority, epoch);
                runner.submit(Job { stream: stream.key, call, deadline });
            }
        }
    }

    /// Ends the engine; a second call waits for that, and answers the same. Not inside host calls,
    /// which it waits for.
    pub(crate) fn end(&self) -> ShutdownReport {
        let core = &self.core;
        let mut ended = self.ended.lock();
        if let Some(report) = *ended {
            return report;
        }
        core.close();
        for id in core.ids() {
            // One that is unregistered meanwhile is gone all the same.
            let _ = self.unregister(&id);
        }
        let until = deadline_in(self.shutdown_timeout);
        let workers = self.workers.as_ref();
        let mut detached_calls = workers.map_or(0, |workers| workers.shut_down(until));
        self.stop.store(true, Ordering::Release);
        core.waker.wake();
        core.notifier.close();
        if let Some(threads) = self.threads.lock().take() {
            // The monitor runs no host code, so it ends.
            let _ = threads.monitor.join();
            if core.notifier.wait_ended(until.max(deadline_in(NOTIFIER_END))) {
                let _ = threads.notifier.join();
            } else {
                detached_calls += 1;
            }
        }
        core.close_tickets();
        let _ = hostcall::run(|| core.set_runner(None));
        core.bus.close();
        *ended.insert(ShutdownReport { detached_calls })
    }
}

pub(crate) fn deadline_in(timeout: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(timeout).unwrap_or(now + Duration::from_secs(365 * 24 * 3600))
}

pub(crate) fn unknown_stream(id: &str) -> Error {
    Error::UnknownStream { stream: id.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::InputConfig;
    use crate::machine::Event;
    use crate::types::Packet;
    use crate::{EngineConfig, HandEngine};

    /// The monitor's own line of a stream goes with the slot: nothing of the former stream may be
    /// asked once another has it.
    #[test]
    fn a_slot_is_free_when_the_monitor_hears_of_its_streams_end() {
        let config = EngineConfig { packet_timeout_ms: 1_000, ..EngineConfig::default() };
        let hand = HandEngine::new_for_testing(config);
        let stream = |id: &str| {
            let inputs = [0, 1].map(|priority| InputConfig::hot(priority, "somewhere"));
            StreamConfig { inputs: inputs.into(), ..StreamConfig::new(id) }
        };
        let slot = |id: &str| hand.core().by_id(id).expect("registered").key.slot;
        hand.register(stream("old")).expect("registers");
        let former = slot("old");
        // As `unregister` begins; its thread is held up then.
        let old = hand.core().leave("old").expect("was registered");
        hand.register(stream("new")).expect("registers");
        assert_ne!(slot("new"), former);
        let mut inputs = [0, 1].map(|n| hand.recorder("new", n, None).expect("opens"));
        let deliver = |input: &mut crate::Recorder| {
            let _ = input.record(Packet::new(1316));
            hand.advance(Duration::from_millis(100));
        };
        inputs.iter_mut().for_each(deliver);
        hand.core().post(Msg::Stream(old, Event::Look));
        (0..20).for_each(|_| deliver(&mut inputs[1]));
        let active = hand.runtime_status("new").expect("registered").active_input_priority;
        assert_eq!(active, Some(1), "the silence of the first one was seen");

        hand.unregister("new").expect("was registered");
        hand.register(stream("heir")).expect("registers");
        assert_ne!(slot("heir"), former, "still that of the stream that never ended");
    }
}
