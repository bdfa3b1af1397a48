//! The wake-up of the monitor: what a producer or a caller has left for it is seen, by the wake
//! itself or at the next tick, whatever the interleaving.
//!
//! The monitor here is the real one, in a loop of turns and parks without any time-out: a wake that
//! is lost shows as a deadlock.

use std::time::Duration;

use loom::thread;

use super::{Lab, S, explore, packet};
use crate::config::EngineConfig;
use crate::machine::Machine;
use crate::monitor::Monitor;
use crate::recorder::Recorder;
use crate::sync::Arc;
use crate::sync::thread as parking;
use crate::types::Verdict;

const T_MS: u64 = 1_000;
/// T / 64, but no more than this.
const TICK_MS: u64 = 4;

struct Watching {
    lab: Arc<Lab>,
    monitor: Monitor,
}

impl Watching {
    /// Hot inputs that have delivered one packet each, long ago.
    fn silent(inputs: i32) -> (Self, Vec<Recorder>) {
        let config = EngineConfig { packet_timeout_ms: T_MS as i64, ..EngineConfig::default() };
        let lab = Lab::new(config);
        lab.core.waker.set_thread(parking::current());
        let mut monitor = Monitor::new(Arc::clone(&lab.core));
        lab.register(S, inputs);
        let mut recorders: Vec<_> = (0..inputs).map(|priority| lab.recorder(priority)).collect();
        monitor.turn(None);
        for recorder in &mut recorders {
            let _ = recorder.record(packet());
        }
        monitor.turn(None);
        (Self { lab: Arc::new(lab), monitor }, recorders)
    }

    /// Time goes on, and the monitor looks when it meant to.
    fn at(&mut self, ahead_ms: u64) {
        let clock = &self.lab.core.clock;
        clock.step(Duration::from_millis(ahead_ms).as_nanos() as u64);
        self.monitor.expect_at(clock.now());
        self.monitor.turn(None);
    }

    /// What the machine itself knows. (A status would look at the packets by itself.)
    fn knows<T>(&self, of: impl Fn(&Machine) -> T) -> T {
        of(&self.lab.stream().inner.lock().machine)
    }

    /// The monitor thread's life, until this holds.
    fn run_until(&mut self, holds: impl Fn(&Machine) -> bool) {
        loop {
            self.monitor.turn(None);
            if self.knows(&holds) {
                return;
            }
            parking::park();
        }
    }
}

/// The watch bit is set: the packet itself wakes the monitor.
#[test]
fn a_watched_packet_wakes() {
    explore(2, || {
        let (mut watching, mut recorders) = Watching::silent(1);
        watching.at(T_MS);
        assert!(watching.knows(Machine::is_exhausted));
        let mut recorder = recorders.remove(0);
        let producer = thread::spawn(move || {
            assert!(matches!(recorder.record(packet()), Verdict::Forward(_)));
            recorder
        });
        watching.run_until(|machine| !machine.is_exhausted());
        drop(producer.join().unwrap());
    });
}

/// Two producers tell at the same moment, and only the first of them is to wake.
#[test]
fn two_packets_at_once_are_both_heard() {
    explore(1, || {
        let (mut watching, mut recorders) = Watching::silent(2);
        watching.at(T_MS);
        assert!(watching.knows(Machine::is_exhausted));
        let producers: Vec<_> = recorders
            .drain(..)
            .map(|mut recorder| {
                thread::spawn(move || {
                    let _ = recorder.record(packet());
                    recorder
                })
            })
            .collect();
        watching.run_until(|machine| machine.usable() == 2);
        producers.into_iter().for_each(|producer| drop(producer.join().unwrap()));
    });
}

/// The packet comes while the monitor declares silence and sets the watch bit: it may miss the
/// bit, and the monitor may miss the packet. At the next tick it is seen.
/// (What it was seen to find is a packet that is seen before its stamp; without the look at the tick
/// it holds as well, as far as loom goes: `tests/mutants` has no defect of that kind.)
#[test]
fn a_packet_that_misses_its_bit_is_seen_at_the_next_tick() {
    explore(3, || {
        let (mut watching, mut recorders) = Watching::silent(1);
        watching.at(T_MS - TICK_MS);
        let mut recorder = recorders.remove(0);
        let producer = thread::spawn(move || {
            let _ = recorder.record(packet());
            recorder
        });
        // Not on the model's first thread: loom would always have it go first.
        let monitor = thread::spawn(move || {
            watching.at(TICK_MS);
            watching
        });
        drop(producer.join().unwrap());
        let mut watching = monitor.join().unwrap();
        watching.at(TICK_MS);
        assert!(
            !watching.knows(Machine::is_exhausted),
            "its packet was counted, and nobody has looked"
        );
    });
}

/// The packet that makes a cut is the last one that anybody hears of: no tick is needed.
#[test]
fn a_cut_wakes() {
    explore(2, || {
        let (mut watching, mut recorders) = Watching::silent(2);
        let ticket = watching.lab.engine.switch_input(S, 1).expect("a candidate");
        watching.monitor.turn(None);
        let mut target = recorders.remove(1);
        let epoch = target.epoch();
        let producer = thread::spawn(move || {
            assert!(matches!(target.record(packet()), Verdict::Forward(_)));
            target
        });
        watching.run_until(|machine| machine.air().on == Some(epoch));
        assert_eq!(ticket.outcome(), Some(Ok(())));
        drop(producer.join().unwrap());
    });
}

/// A command that is posted while the monitor is about to sleep.
#[test]
fn a_command_wakes() {
    explore(2, || {
        let (mut watching, recorders) = Watching::silent(2);
        let lab = Arc::clone(&watching.lab);
        let operator = thread::spawn(move || {
            lab.engine.set_input_enabled(S, 0, false).expect("known");
        });
        watching.run_until(|machine| machine.usable() == 1);
        operator.join().unwrap();
        drop(recorders);
    });
}
