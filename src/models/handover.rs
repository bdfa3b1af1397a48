//! The verdict, and the hand-over of the air from one producer to another.
//!
//! Properties, whatever the interleaving:
//! * never two: who has learned of a forward with cut *n* finds no older one any more (the witness
//!   is a word that hosts would share: read before a packet is recorded, written after a forward);
//! * never none: the packet that makes the cut goes out, and so does each of its producer from then
//!   on; when all is quiet exactly one word says *forward*, that of whom the plane means;
//! * an arming that was taken back, or a cut that a helper completes late, changes no later grant.

use loom::thread;

use super::{Lab, armed, cut_of, explore, on, packet};
use crate::handover;
use crate::machine::Air;
use crate::recorder::Recorder;
use crate::sync::{Arc, AtomicU32, Ordering};
use crate::types::Verdict;

/// What hosts know of each other's forwards.
struct Witness(AtomicU32);

impl Witness {
    /// Records one packet; a forward that is older than one that was known before is the defect.
    fn record(&self, recorder: &mut Recorder, key: bool) -> Verdict {
        let known = self.0.load(Ordering::Acquire);
        let verdict = recorder.record(packet().keyframe(key).tracks(crate::Tracks::VIDEO));
        if let Some(cut) = cut_of(verdict) {
            assert!(cut >= known, "two forwards: {cut} after {known}");
            self.0.fetch_max(cut, Ordering::AcqRel);
        }
        verdict
    }
}

struct Pair {
    lab: Arc<Lab>,
    old: Recorder,
    new: Recorder,
    witness: Arc<Witness>,
}

/// Two hot inputs, the first one on the air.
fn pair() -> Pair {
    let lab = Lab::with_hot(2);
    let (old, new) = (lab.recorder(0), lab.recorder(1));
    lab.reconcile(on(&old));
    Pair { lab: Arc::new(lab), old, new, witness: Arc::new(Witness(AtomicU32::new(0))) }
}

impl Pair {
    /// When all is quiet: one word forwards at most, and which.
    fn on_air(lab: &Lab) -> Option<u32> {
        let stream = lab.stream();
        let inner = stream.inner.lock();
        let mut on_air = inner.plane.homes().into_iter().filter_map(|home| {
            let word = handover::flags(&lab.core.cells, home);
            (word.gate() == crate::cell::Gate::Forward).then(|| word.cut())
        });
        let first = on_air.next();
        assert_eq!(on_air.next(), None, "two words forward");
        first
    }
}

#[test]
fn a_cut_is_one_moment_for_all() {
    explore(3, || {
        let Pair { lab, mut old, mut new, witness } = pair();
        lab.reconcile(armed(&old, &new, false));
        let theirs = Arc::clone(&witness);
        let leaving = thread::spawn(move || {
            let first = theirs.record(&mut old, false);
            let second = theirs.record(&mut old, false);
            assert!(cut_of(first).is_some() || cut_of(second).is_none(), "back on the air");
            old
        });
        let cut = cut_of(witness.record(&mut new, false)).expect("the cutting packet goes out");
        let next = cut_of(witness.record(&mut new, false)).expect("and the one after it");
        assert_eq!((cut, next), (2, 2));
        let old = leaving.join().unwrap();
        assert_eq!(Pair::on_air(&lab), Some(2));
        drop((old, new));
    });
}

#[test]
fn only_a_keyframe_cuts_and_then_at_once() {
    explore(3, || {
        let Pair { lab, mut old, mut new, witness } = pair();
        lab.reconcile(armed(&old, &new, true));
        let theirs = Arc::clone(&witness);
        let leaving = thread::spawn(move || {
            let _ = theirs.record(&mut old, true);
            old
        });
        assert_eq!(witness.record(&mut new, false), Verdict::Drop, "no keyframe");
        assert_eq!(witness.record(&mut new, true), Verdict::Forward(2));
        assert_eq!(witness.record(&mut new, false), Verdict::Forward(2));
        let old = leaving.join().unwrap();
        assert_eq!(Pair::on_air(&lab), Some(2));
        drop(old);
    });
}

#[test]
fn a_wait_for_a_keyframe_may_end_as_the_keyframe_comes() {
    explore(3, || {
        let Pair { lab, old, mut new, witness } = pair();
        lab.reconcile(armed(&old, &new, true));
        let (ours, want) = (Arc::clone(&lab), armed(&old, &new, false));
        let monitor = thread::spawn(move || ours.reconcile(want));
        let first = witness.record(&mut new, false);
        let second = witness.record(&mut new, true);
        assert_eq!(second, Verdict::Forward(2), "a keyframe, or the wait is over");
        assert!(matches!(first, Verdict::Drop | Verdict::Forward(2)));
        monitor.join().unwrap();
        assert_eq!(Pair::on_air(&lab), Some(2));
    });
}

/// The monitor wants the old one after all, while the target's packet comes.
#[test]
fn an_arming_is_taken_back_or_the_cut_stands() {
    explore(3, || {
        let Pair { lab, mut old, mut new, witness } = pair();
        lab.reconcile(armed(&old, &new, false));
        let (ours, back) = (Arc::clone(&lab), on(&old));
        let monitor = thread::spawn(move || ours.reconcile(back));
        let verdict = witness.record(&mut new, false);
        assert!(matches!(verdict, Verdict::Drop | Verdict::Forward(2)));
        monitor.join().unwrap();
        let (stays, target) = (witness.record(&mut old, false), witness.record(&mut new, false));
        assert_eq!(target, Verdict::Drop);
        // Where the cut was faster, the old one got the air back under a newer number (and the
        // packet that had claimed the cut may have been overtaken by that, too).
        let cut = cut_of(stays).expect("the old one is on the air");
        assert!(cut == 3 || (cut == 1 && verdict == Verdict::Drop));
        assert_eq!(Pair::on_air(&lab), Some(cut));
    });
}

/// A producer stops half-way through its cut; the monitor completes it, and moves the air back by
/// another cut, before the first one goes on.
#[test]
fn a_late_helper_takes_nothing_from_a_newer_grant() {
    explore(3, || {
        let Pair { lab, mut old, mut new, witness } = pair();
        lab.reconcile(armed(&old, &new, false));
        let theirs = Arc::clone(&witness);
        let target = thread::spawn(move || {
            let _ = theirs.record(&mut new, false);
            new
        });
        // It takes the arming back or completes the cut, then arms the old one against the new.
        lab.reconcile(on(&old));
        let before = Pair::on_air(&lab).expect("one is on the air");
        assert!(before == 1 || before == 3);
        let verdict = witness.record(&mut old, false);
        assert_eq!(verdict, Verdict::Forward(before));
        let new = target.join().unwrap();
        assert_eq!(witness.record(&mut old, false), Verdict::Forward(before), "it stays on");
        assert_eq!(Pair::on_air(&lab), Some(before));
        drop(new);
    });
}

/// Two producers of one epoch: both may find the arming.
#[test]
fn siblings_make_one_cut() {
    explore(2, || {
        let Pair { lab, mut old, mut new, witness } = pair();
        let mut sibling = new.sibling().expect("its epoch is open");
        lab.reconcile(armed(&old, &new, false));
        let theirs = Arc::clone(&witness);
        let other = thread::spawn(move || {
            assert_eq!(theirs.record(&mut sibling, false), Verdict::Forward(2));
            sibling
        });
        assert_eq!(witness.record(&mut new, false), Verdict::Forward(2));
        assert_eq!(witness.record(&mut old, false), Verdict::Drop, "one forward was answered");
        drop(other.join().unwrap());
        assert_eq!(Pair::on_air(&lab), Some(2));
    });
}

/// The word moves to another line (a second producer is opened) while it is cut.
#[test]
fn a_word_moves_without_losing_a_cut() {
    explore(2, || {
        let Pair { lab, mut old, mut new, witness } = pair();
        lab.reconcile(armed(&old, &new, false));
        let theirs = Arc::clone(&witness);
        let opening = thread::spawn(move || {
            let mut sibling = old.sibling().expect("its epoch is open");
            let verdict = theirs.record(&mut sibling, false);
            (old, sibling, verdict)
        });
        assert_eq!(witness.record(&mut new, false), Verdict::Forward(2));
        let (mut old, sibling, _) = opening.join().unwrap();
        assert_eq!(witness.record(&mut old, false), Verdict::Drop);
        assert_eq!(Pair::on_air(&lab), Some(2));
        drop(sibling);
    });
}

/// The armed word itself moves, with whom it takes the air from.
#[test]
fn an_armed_word_moves_with_its_arming() {
    explore(2, || {
        let Pair { lab, mut old, mut new, witness } = pair();
        lab.reconcile(armed(&old, &new, false));
        let theirs = Arc::clone(&witness);
        let opening = thread::spawn(move || {
            let mut sibling = new.sibling().expect("its epoch is open");
            assert_eq!(theirs.record(&mut sibling, false), Verdict::Forward(2));
            (new, sibling)
        });
        let _ = witness.record(&mut old, false);
        drop(opening.join().unwrap());
        assert_eq!(witness.record(&mut old, false), Verdict::Drop);
        assert_eq!(Pair::on_air(&lab), Some(2));
    });
}

/// The target's epoch ends as its packet makes the cut.
#[test]
fn an_epoch_that_ends_in_its_cut_leaves_the_air_to_nobody_or_the_old_one() {
    explore(3, || {
        let Pair { lab, mut old, mut new, witness } = pair();
        lab.reconcile(armed(&old, &new, false));
        let (ours, epoch) = (Arc::clone(&lab), new.epoch());
        let monitor = thread::spawn(move || {
            let stream = ours.stream();
            let mut inner = stream.inner.lock();
            inner.plane.close(&ours.core.cells, epoch);
        });
        let verdict = witness.record(&mut new, false);
        monitor.join().unwrap();
        assert_eq!(witness.record(&mut new, false), Verdict::Stale);
        // What the machine wants next: the old one, under a newer number if the cut was made.
        lab.reconcile(Air { on: Some(old.epoch()), armed: None, gated: false });
        let cut = cut_of(witness.record(&mut old, false)).expect("somebody is on the air");
        match verdict {
            Verdict::Forward(made) => assert!(made == 2 && cut == 3),
            // Where it found the end between its two looks, the cut may have been completed.
            _ => assert!(cut == 1 || cut == 3),
        }
    });
}

/// The monitor moves the air by itself (a forced move): its grant is learned of by a plain look at
/// the word, and the old one's end with it.
#[test]
fn a_grant_by_the_monitor_is_one_moment_for_all() {
    explore(2, || {
        let Pair { lab, mut old, mut new, witness } = pair();
        // Nobody waits for their first packets, so that the plain path is taken.
        for recorder in [&old, &new] {
            let home = lab.core.cells.home_of(recorder.index());
            handover::watch(&lab.core.cells, home, false);
        }
        let (ours, forced) = (Arc::clone(&lab), on(&new));
        let monitor = thread::spawn(move || ours.reconcile(forced));
        let theirs = Arc::clone(&witness);
        let leaving = thread::spawn(move || {
            let _ = theirs.record(&mut old, false);
            old
        });
        // Not on the model's first thread: loom would always have it go first.
        let ours = Arc::clone(&witness);
        let taking = thread::spawn(move || {
            let _ = ours.record(&mut new, false);
            new
        });
        monitor.join().unwrap();
        drop(leaving.join().unwrap());
        let mut new = taking.join().unwrap();
        assert_eq!(witness.record(&mut new, false), Verdict::Forward(2));
        assert_eq!(Pair::on_air(&lab), Some(2));
    });
}
