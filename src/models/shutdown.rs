//! The end of an engine against those who still use it: recorders answer *stale*, callers get an
//! error or an answer, nobody is left waiting, and nothing is kept.

use std::time::Duration;

use loom::thread;

use super::{Lab, S, explore, packet};
use crate::error::Error;
use crate::life::monitor_thread;
use crate::monitor::Monitor;
use crate::sync::thread as parking;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::types::Verdict;
use crate::workers::Workers;

#[test]
fn recorders_outlive_the_engine_and_nothing_is_kept() {
    explore(2, || {
        let lab = Lab::with_hot(1);
        let mut recorder = lab.recorder(0);
        Monitor::new(Arc::clone(&lab.core)).turn(None);
        let kept = Arc::downgrade(&lab.core);
        let producer = thread::spawn(move || {
            let first = recorder.record(packet());
            let second = recorder.record(packet());
            assert!(first != Verdict::Stale || second == Verdict::Stale, "alive again");
            recorder
        });
        lab.engine.shutdown().expect("not inside a callback");
        drop(lab);
        let mut recorder = producer.join().unwrap();
        assert_eq!(recorder.record(packet()), Verdict::Stale);
        assert!(kept.upgrade().is_some(), "the recorder keeps what it reads");
        drop(recorder);
        assert!(kept.upgrade().is_none(), "something is kept for ever");
    });
}

#[test]
fn packets_by_id_and_a_last_drop_meet_the_end() {
    explore(2, || {
        let lab = Arc::new(Lab::with_hot(1));
        let recorder = lab.recorder(0);
        let _ = lab.engine.record_packet(S, 0);
        Monitor::new(Arc::clone(&lab.core)).turn(None);
        let kept = Arc::downgrade(&lab.core);
        let ours = Arc::clone(&lab);
        let caller = thread::spawn(move || {
            let _ = ours.engine.record_packet(S, 0);
            drop(recorder);
        });
        lab.engine.shutdown().expect("not inside a callback");
        caller.join().unwrap();
        assert_eq!(lab.engine.record_packet(S, 0), Verdict::Stale);
        drop(lab);
        assert!(kept.upgrade().is_none(), "something is kept for ever");
    });
}

/// A command that comes in at the end is refused, or its ticket is decided: nobody waits for ever.
#[test]
fn a_ticket_is_decided_whatever_comes_first() {
    explore(2, || {
        let lab = Arc::new(Lab::with_hot(2));
        let recorders = [lab.recorder(0), lab.recorder(1)];
        let mut monitor = Monitor::new(Arc::clone(&lab.core));
        monitor.turn(None);
        let ours = Arc::clone(&lab);
        let operator = thread::spawn(move || match ours.engine.switch_input(S, 1) {
            Ok(ticket) => Some(ticket),
            Err(Error::ShutDown | Error::UnknownStream { .. }) => None,
            Err(other) => panic!("{other}"),
        });
        lab.engine.shutdown().expect("not inside a callback");
        monitor.turn(None);
        let ticket = operator.join().unwrap();
        lab.core.close_tickets();
        if let Some(ticket) = ticket {
            assert!(ticket.outcome().is_some(), "nobody decides it any more");
        }
        drop(recorders);
    });
}

/// The monitor thread's loop: told to stop while it is about to sleep.
#[test]
fn the_monitor_hears_of_the_end() {
    explore(3, || {
        let lab = Lab::with_hot(1);
        let stop = Arc::new(AtomicBool::new(false));
        let (core, ended) = (Arc::clone(&lab.core), Arc::clone(&stop));
        let driver = Arc::new(crate::workers::NoDriver);
        let workers = Workers::new(Arc::downgrade(&core), driver, 1, 1);
        let life = move || monitor_thread(core, &Arc::new(workers), &ended);
        let monitor = parking::Builder::new().spawn(life).expect("spawns");
        lab.core.waker.set_thread(monitor.thread());
        lab.core.waker.wake();
        stop.store(true, Ordering::Release);
        lab.core.waker.wake();
        monitor.join().unwrap();
    });
}

/// Subscribers and a closed bus: they read what is left, and then the end.
#[test]
fn subscribers_hear_of_the_end() {
    explore(2, || {
        let lab = Lab::with_hot(1);
        let queue = lab.engine.subscribe(4);
        let reader = thread::spawn(move || while queue.recv_timeout(Duration::MAX).is_some() {});
        lab.engine.shutdown().expect("not inside a callback");
        reader.join().unwrap();
    });
}
