//! The hand-over between two producers: revoke before grant, in the target's own call.
//!
//! Only *forward*, or the call that makes the cut, lets a packet out. The control plane arms the
//! target; the target's producer, on its first packet, claims the cut, revokes the old one, then
//! grants itself. Whoever finds a claimed cut completes it, so a preempted producer holds nobody
//! up.
//!
//! What it guarantees: a total order of verdicts in which all forwards of the old precede all of
//! the new; no old forward begins after the new one's answer has been observed; no packet of the
//! target from the cutting one on is dropped. A verdict already answered may still be in the
//! host's hands: each forward carries its cut number, which only grows.
//!
//! # Orderings
//! Every operation here is SeqCst: it runs once a cut, and "revoke before grant" is a statement
//! about two words. Records load their word with acquire, which pairs with the granting
//! exchange: whoever answers *forward(n)* has the revoke behind it, so a host thread that learns
//! of that answer can no longer find the old word at *forward* (a relaxed load would not give
//! that where the monitor made the grant).
//!
//! | from | by | to |
//! |---|---|---|
//! | drop | control plane: [`arm`] | armed(n), or armed-key(n): for keyframes only |
//! | armed-key(n) | control plane: [`relax`] | armed(n) |
//! | armed(n), armed-key(n) | control plane: [`cancel`] | drop |
//! | armed(n) | target's producer: [`cut`] | cutting(n) |
//! | armed-key(n) | target's producer, with a keyframe: [`cut`] | cutting(n), aligned |
//! | cutting(n) | anyone: [`cut`], after the peer was revoked | forward(n) |
//! | forward(m) | whoever completes cut n > m, or control plane: [`revoke`] | drop |
//! | any | control plane: [`close`] | stale |
//! | any | [`move_home`] (a sibling is opened) | moved |

use crate::cell::{Flags, Gate};
use crate::slab::{CellIndex, Cells};
use crate::sync::Ordering::{Acquire, Release, SeqCst};

/// Changes the word that counts for `index` by `change` until it sticks or `change` declines;
/// answers the word found last (which is the replaced one where it stuck).
fn update(
    cells: &Cells,
    index: CellIndex,
    mut change: impl FnMut(Flags) -> Option<Flags>,
) -> Result<Flags, Flags> {
    let mut at = cells.home_of(index);
    loop {
        let word = &cells.get(at).flags;
        let seen = word.load(SeqCst);
        if seen.gate() == Gate::Moved {
            at = seen.cut();
            continue;
        }
        let Some(changed) = change(seen) else { return Err(seen) };
        if word.compare_exchange(seen, changed, SeqCst, SeqCst).is_ok() {
            return Ok(seen);
        }
    }
}

/// The word that counts for `index`.
pub(crate) fn flags(cells: &Cells, index: CellIndex) -> Flags {
    match update(cells, index, |_| None) {
        Ok(seen) | Err(seen) => seen,
    }
}

/// Takes the air from the cell of this tag, where its grant is older than cut `below`.
pub(crate) fn revoke(cells: &Cells, index: CellIndex, tag: u32, below: u32) {
    // The outcome does not matter: a word that is not this tag's forward needs no revoking.
    let _ = update(cells, index, |seen| {
        let on_air = seen.tag() == tag && seen.gate() == Gate::Forward && seen.cut() < below;
        on_air.then(|| seen.with(Gate::Drop, seen.cut()))
    });
}

/// Arms the target: its next packet (with `key`, its next keyframe) makes cut `n` and takes the
/// air from `old`. The target must not be armed. Answers false where its epoch is over.
///
/// A keyframe may be seconds away, and each packet until then looks at the word: so the watch bit
/// is left to whoever waits for more than the cut, which tells by itself.
pub(crate) fn arm(
    cells: &Cells,
    target: CellIndex,
    old: Option<CellIndex>,
    n: u32,
    key: bool,
) -> bool {
    let peer = old.map_or(0, |old| {
        let tag = cells.get(old).flags.load(SeqCst).tag();
        u64::from(old) << 32 | u64::from(tag)
    });
    // Release: whoever sees the armed word sees the peer that belongs to it.
    cells.get(cells.home_of(target)).peer.store(peer, Release);
    update(cells, target, |seen| {
        let gate = if key { Gate::ArmedKey } else { Gate::Armed };
        let watch = seen.is_watched() || !key;
        (seen.gate() == Gate::Drop).then(|| seen.with(gate, n).watched(watch).aligned(false))
    })
    .is_ok()
}

/// The wait for a keyframe is over: the next packet makes the cut.
pub(crate) fn relax(cells: &Cells, target: CellIndex) {
    // Where it does not stick, the cut was made, or the arming is gone.
    let _ = update(cells, target, |seen| {
        (seen.gate() == Gate::ArmedKey).then(|| seen.with(Gate::Armed, seen.cut()).watched(true))
    });
}

/// Takes the arming back. Answers false where the cut has been made (it is completed then).
pub(crate) fn cancel(cells: &Cells, target: CellIndex) -> bool {
    let taken = update(cells, target, |seen| {
        matches!(seen.gate(), Gate::Armed | Gate::ArmedKey).then(|| seen.with(Gate::Drop, 0))
    });
    match taken {
        Ok(_) => true,
        Err(seen) if seen.gate() == Gate::Cutting => {
            cut(cells, target, false);
            false
        }
        Err(seen) => seen.gate() != Gate::Forward,
    }
}

/// Makes the armed cut, or completes one that was claimed. `key`: the packet that makes it begins
/// a video keyframe. Answers the word afterwards.
pub(crate) fn cut(cells: &Cells, target: CellIndex, key: bool) -> Flags {
    loop {
        let home = cells.home_of(target);
        let cell = cells.get(home);
        let seen = cell.flags.load(SeqCst);
        match seen.gate() {
            Gate::ArmedKey if !key => return seen,
            Gate::Armed | Gate::ArmedKey => {
                let claimed = seen.with(Gate::Cutting, seen.cut()).aligned(key);
                // Lost: another producer claimed it, or it was cancelled: look again.
                let _ = cell.flags.compare_exchange(seen, claimed, SeqCst, SeqCst);
            }
            Gate::Cutting => {
                let peer = cell.peer.load(Acquire);
                // The peer belongs to this arming only if the word is still this cut's.
                let still = cell.flags.load(SeqCst);
                if still.gate() == Gate::Cutting && still.cut() == seen.cut() {
                    if peer != 0 {
                        revoke(cells, (peer >> 32) as CellIndex, peer as u32, seen.cut());
                    }
                    let granted = still.with(Gate::Forward, seen.cut());
                    let _ = cell.flags.compare_exchange(still, granted, SeqCst, SeqCst);
                }
            }
            Gate::Moved => {}
            Gate::Stale | Gate::Drop | Gate::Forward => return seen,
        }
    }
}

/// Puts a cell on the air with no packet of its own: nobody else may be. Answers false where its
/// epoch is over.
pub(crate) fn grant(cells: &Cells, target: CellIndex, n: u32) -> bool {
    update(cells, target, |seen| {
        matches!(seen.gate(), Gate::Drop | Gate::Forward).then(|| seen.with(Gate::Forward, n))
    })
    .is_ok()
}

/// Opens a cell's gate at *drop*, before its recorder exists.
pub(crate) fn open(cells: &Cells, index: CellIndex) {
    let word = &cells.get(index).flags;
    word.store(word.load(SeqCst).with(Gate::Drop, 0).watched(true), SeqCst);
}

/// Ends the epoch: its recorders answer *stale* from now on. A cut that was claimed is completed
/// first, so that the old one is off the air exactly once. Answers whether it was on the air.
pub(crate) fn close(cells: &Cells, index: CellIndex) -> bool {
    loop {
        let closed = update(cells, index, |seen| {
            (seen.gate() != Gate::Cutting)
                .then(|| seen.with(Gate::Stale, seen.cut()).watched(false))
        });
        match closed {
            Ok(was) => return was.gate() == Gate::Forward,
            Err(_) => cut(cells, index, false),
        };
    }
}

/// Sets or clears the watch bit.
pub(crate) fn watch(cells: &Cells, index: CellIndex, on: bool) {
    let _ = update(cells, index, |seen| {
        (seen.is_watched() != on && seen.gate() != Gate::Stale).then(|| seen.watched(on))
    });
}

/// Sets or clears the learn bit.
pub(crate) fn learn(cells: &Cells, index: CellIndex, on: bool) {
    let _ = update(cells, index, |seen| {
        (seen.learns() != on && seen.gate() != Gate::Stale).then(|| seen.learning(on))
    });
}

/// Clears the watch bit; answers whether it was set.
pub(crate) fn unwatch(cells: &Cells, index: CellIndex) -> bool {
    update(cells, index, |seen| seen.is_watched().then(|| seen.watched(false))).is_ok()
}

/// Moves the word that counts from `index` to `line`, a cell of the same tag that no producer
/// writes, so that several producers can read it without sharing a written line. Answers where
/// the word stands now.
pub(crate) fn move_home(cells: &Cells, index: CellIndex, line: CellIndex) -> CellIndex {
    let (old, new) = (cells.get(index), cells.get(line));
    loop {
        let seen = old.flags.load(SeqCst);
        match seen.gate() {
            Gate::Moved => return seen.cut(),
            // So that the peer word is not needed at the new place while it is in use here.
            Gate::Cutting => {
                cut(cells, index, false);
            }
            _ => {
                // The copy counts from the moment the exchange below sticks, and not before:
                // nobody is sent here yet.
                new.peer.store(old.peer.load(Acquire), Release);
                new.flags.store(seen, SeqCst);
                let moved = seen.with(Gate::Moved, line).watched(false);
                if old.flags.compare_exchange(seen, moved, SeqCst, SeqCst).is_ok() {
                    return line;
                }
            }
        }
    }
}

/// Sends a fresh cell to a word that counts already: for a further producer, before its recorder
/// exists.
pub(crate) fn follow(cells: &Cells, index: CellIndex, line: CellIndex) {
    let word = &cells.get(index).flags;
    word.store(word.load(SeqCst).with(Gate::Moved, line), SeqCst);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::StreamKey;

    const KEY: StreamKey = StreamKey { slot: 0, generation: 0 };

    fn pair() -> (Cells, CellIndex, CellIndex) {
        let cells = Cells::new();
        let (old, new) = (cells.acquire(KEY), cells.acquire(KEY));
        open(&cells, old);
        open(&cells, new);
        assert!(grant(&cells, old, 1));
        (cells, old, new)
    }

    fn gates(cells: &Cells, a: CellIndex, b: CellIndex) -> (Gate, Gate) {
        (flags(cells, a).gate(), flags(cells, b).gate())
    }

    #[test]
    fn the_targets_packet_cuts_and_the_old_one_is_off() {
        let (cells, old, new) = pair();
        assert!(arm(&cells, new, Some(old), 2, false));
        assert_eq!(gates(&cells, old, new), (Gate::Forward, Gate::Armed));
        assert_eq!(cut(&cells, new, false).cut(), 2);
        assert_eq!(gates(&cells, old, new), (Gate::Drop, Gate::Forward));
        assert!(!cancel(&cells, new), "too late");
    }

    #[test]
    fn only_a_keyframe_cuts_until_the_wait_is_over() {
        let (cells, old, new) = pair();
        assert!(arm(&cells, new, Some(old), 2, true));
        assert_eq!(cut(&cells, new, false).gate(), Gate::ArmedKey);
        assert_eq!(gates(&cells, old, new), (Gate::Forward, Gate::ArmedKey));
        let made = cut(&cells, new, true);
        assert!(made.gate() == Gate::Forward && made.is_aligned());
        assert_eq!(gates(&cells, old, new), (Gate::Drop, Gate::Forward));
        assert!(arm(&cells, old, Some(new), 3, true));
        relax(&cells, old);
        let made = cut(&cells, old, false);
        assert!(made.gate() == Gate::Forward && !made.is_aligned() && made.cut() == 3);
        relax(&cells, old);
        assert_eq!(gates(&cells, old, new), (Gate::Forward, Gate::Drop), "nothing to relax");
        assert!(arm(&cells, new, Some(old), 4, true) && cancel(&cells, new));
        assert_eq!(cut(&cells, new, true).gate(), Gate::Drop);
    }

    #[test]
    fn a_cancelled_arming_leaves_the_old_one_on() {
        let (cells, old, new) = pair();
        assert!(arm(&cells, new, Some(old), 2, false));
        assert!(cancel(&cells, new));
        assert_eq!(cut(&cells, new, false).gate(), Gate::Drop);
        assert_eq!(gates(&cells, old, new), (Gate::Forward, Gate::Drop));
    }

    #[test]
    fn a_late_helper_cannot_revoke_a_newer_grant() {
        let (cells, old, _) = pair();
        let tag = flags(&cells, old).tag();
        assert!(grant(&cells, old, 5));
        revoke(&cells, old, tag, 3);
        assert_eq!(flags(&cells, old).gate(), Gate::Forward, "granted by a later cut than 3");
        revoke(&cells, old, tag + 1, 9);
        assert_eq!(flags(&cells, old).gate(), Gate::Forward, "another epoch's tag");
        revoke(&cells, old, tag, 9);
        assert_eq!(flags(&cells, old).gate(), Gate::Drop);
    }

    #[test]
    fn a_closed_epoch_is_stale_whatever_it_was_doing() {
        let (cells, old, new) = pair();
        assert!(arm(&cells, new, Some(old), 2, false));
        close(&cells, new);
        assert_eq!(gates(&cells, old, new), (Gate::Forward, Gate::Stale));
        assert!(!arm(&cells, new, Some(old), 3, false) && !grant(&cells, new, 3));
        close(&cells, old);
        assert_eq!(cut(&cells, old, false).gate(), Gate::Stale);
    }

    #[test]
    fn a_moved_word_takes_its_state_along() {
        let (cells, old, new) = pair();
        assert!(arm(&cells, new, Some(old), 2, false));
        for cell in [old, new] {
            let line = cells.acquire_tagged(KEY, Some(flags(&cells, cell).tag()));
            assert_eq!(move_home(&cells, cell, line), line);
            assert_eq!(move_home(&cells, cell, 99), line, "it moves once");
        }
        assert_eq!(gates(&cells, old, new), (Gate::Forward, Gate::Armed));
        assert_eq!(cut(&cells, new, false).gate(), Gate::Forward);
        assert_eq!(gates(&cells, old, new), (Gate::Drop, Gate::Forward));
    }

    #[test]
    fn a_further_producer_follows_the_word_and_leaves_it_as_it_is() {
        let (cells, old, _) = pair();
        let tag = flags(&cells, old).tag();
        let (line, sibling) = (cells.acquire_tagged(KEY, Some(tag)), cells.acquire(KEY));
        move_home(&cells, old, line);
        follow(&cells, sibling, line);
        assert_eq!(gates(&cells, old, sibling), (Gate::Forward, Gate::Forward));
        revoke(&cells, old, tag, 9);
        assert_eq!(gates(&cells, old, sibling), (Gate::Drop, Gate::Drop));
    }

    #[test]
    fn watching_is_a_bit_beside_the_gate() {
        let (cells, old, _) = pair();
        assert!(unwatch(&cells, old) && !unwatch(&cells, old));
        watch(&cells, old, true);
        assert!(flags(&cells, old).is_watched());
        assert_eq!(flags(&cells, old).gate(), Gate::Forward);
        close(&cells, old);
        watch(&cells, old, true);
        assert!(!flags(&cells, old).is_watched(), "a dead epoch is not watched");
    }
}
