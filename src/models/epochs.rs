//! Epochs: a producer of a dead one counts in nobody else's life, whenever it comes, and once told
//! that it is stale it stays so.

use loom::thread;

use super::{Lab, S, explore, packet};
use crate::monitor::Monitor;
use crate::publish::PublishLog;
use crate::sync::Arc;
use crate::types::{Epoch, Verdict};

/// What an open epoch of a stream has counted.
fn counted(lab: &Lab, id: &str, epoch: Option<Epoch>) -> u64 {
    let stream = lab.core.by_id(id).expect("registered");
    let inner = stream.inner.lock();
    let mut samples = Vec::new();
    inner.plane.sample(&lab.core.cells, &PublishLog::new(true), &mut samples);
    let of = |(found, _): &&(Epoch, crate::machine::Sample)| epoch.is_none_or(|e| e == *found);
    samples.iter().filter(of).map(|(_, sample)| sample.counts.packets).sum()
}

/// A recorder is opened in the place of another, whose producer goes on and then lets go; its cell
/// goes to another stream as soon as it may.
#[test]
fn a_stale_recorder_counts_in_nobody_elses_life() {
    explore(2, || {
        let lab = Arc::new(Lab::with_hot(1));
        let mut monitor = Monitor::new(Arc::clone(&lab.core));
        let mut former = lab.recorder(0);
        monitor.turn(None);
        let straggler = thread::spawn(move || {
            let verdicts = [former.record(packet()), former.record(packet())];
            if verdicts[0] == Verdict::Stale {
                assert_eq!(verdicts[1], Verdict::Stale, "alive again");
            }
        });
        let mut heir = lab.recorder(0);
        let _ = heir.record(packet());
        monitor.turn(None);
        monitor.turn(None);
        lab.register("other", 1);
        let mut other = lab.engine.recorder("other", 0, None).expect("opens");
        let _ = other.record(packet());
        straggler.join().unwrap();
        assert_eq!(counted(&lab, S, Some(heir.epoch())), 1);
        assert_eq!(counted(&lab, "other", Some(other.epoch())), 1);
    });
}

/// A call by id found its cell before the stream was unregistered; the cell goes to another
/// stream's by-id packets when no look-up can have it in hand.
#[test]
fn a_late_call_by_id_counts_in_no_other_stream() {
    explore(2, || {
        let lab = Arc::new(Lab::with_hot(1));
        let mut monitor = Monitor::new(Arc::clone(&lab.core));
        let _ = lab.engine.record_packet(S, 0);
        monitor.turn(None);
        let theirs = Arc::clone(&lab);
        let caller = thread::spawn(move || {
            let _ = theirs.engine.record_packet(S, 0);
        });
        lab.engine.unregister(S).expect("registered");
        monitor.turn(None);
        monitor.turn(None);
        lab.register("heir", 1);
        let _ = lab.engine.record_packet("heir", 0);
        monitor.turn(None);
        caller.join().unwrap();
        let cells = lab.core.by_id("heir").expect("registered").inner.lock().declared[0].by_id();
        let cell = lab.core.cells.get(cells.expect("one packet came"));
        assert_eq!(cell.packets.load(crate::sync::Ordering::Acquire), 1);
    });
}

/// An epoch ends by an error report while its producer records: every packet up to the end may
/// count, none after it does.
#[test]
fn after_stale_nothing_counts() {
    explore(3, || {
        let lab = Arc::new(Lab::with_hot(1));
        let mut monitor = Monitor::new(Arc::clone(&lab.core));
        let mut recorder = lab.recorder(0);
        monitor.turn(None);
        let epoch = recorder.epoch();
        let ours = Arc::clone(&lab);
        let control = thread::spawn(move || {
            let stream = ours.stream();
            let mut inner = stream.inner.lock();
            inner.plane.supersede(&ours.core.cells, 0, None);
        });
        let mut counts = 0;
        let mut is_over = false;
        for _ in 0..3 {
            match recorder.record(packet()) {
                Verdict::Stale => is_over = true,
                _ => {
                    assert!(!is_over, "alive again");
                    counts += 1;
                }
            }
        }
        control.join().unwrap();
        assert_eq!(counted(&lab, S, Some(epoch)), counts);
    });
}
