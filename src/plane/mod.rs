//! One stream's packet plane as the control plane sees it: which cells belong to which epoch,
//! who is on the air, who is armed. Used under the stream's lock only.

mod counted;
mod epoch;

use self::epoch::{EpochCells, attach, counts};
use crate::cell::Gate;
use crate::handover;
use crate::machine::{Air, Counts};
use crate::slab::{CellIndex, Cells};
use crate::sync::Ordering::{Acquire, Release};
use crate::types::{Epoch, Priority, StreamKey};

#[derive(Debug, Default)]
pub(crate) struct Plane {
    epochs: Vec<EpochCells>,
    on_air: Option<Epoch>,
    armed: Option<Epoch>,
    /// Only a keyframe of the armed one cuts.
    gated: bool,
    /// Put on the air when it was opened; the machine has not heard of it yet.
    ahead: Option<Epoch>,
    /// The latest cut number.
    cuts: u32,
}

impl Plane {
    fn find(&self, epoch: Epoch) -> Option<&EpochCells> {
        self.epochs.iter().find(|cells| cells.epoch == epoch)
    }

    /// Opens an epoch with a fresh home cell, and points the input's by-id cell at it.
    pub(crate) fn open(
        &mut self,
        cells: &Cells,
        stream: StreamKey,
        priority: Priority,
        epoch: Epoch,
        by_id: Option<CellIndex>,
    ) -> CellIndex {
        let home = cells.acquire(stream);
        handover::open(cells, home);
        self.push(cells, priority, epoch, home, by_id, false);
        home
    }

    /// Opens an epoch for a hot input that is only heard by id: the by-id cell is its home.
    /// `heard_from`: what that cell had counted before the packet that opens it.
    pub(crate) fn open_by_id(
        &mut self,
        cells: &Cells,
        priority: Priority,
        epoch: Epoch,
        by_id: CellIndex,
        heard_from: u64,
    ) {
        self.push(cells, priority, epoch, by_id, Some(by_id), true);
        if let Some(opened) = self.epochs.last_mut() {
            opened.by_id = Some((by_id, heard_from));
        }
    }

    fn push(
        &mut self,
        cells: &Cells,
        priority: Priority,
        epoch: Epoch,
        home: CellIndex,
        by_id: Option<CellIndex>,
        by_id_only: bool,
    ) {
        if let Some(by_id) = by_id {
            self.detach_by_id(cells, by_id);
        }
        let by_id = by_id.map(|by_id| attach(cells, by_id, home));
        if self.epochs.len() == self.epochs.capacity() {
            // Most streams have one or two at a time.
            self.epochs.reserve_exact(1);
        }
        self.epochs.push(EpochCells {
            epoch,
            priority,
            home,
            line: None,
            by_id_only,
            keeps_by_id: false,
            taken: false,
            siblings: Vec::new(),
            by_id,
            gone: None,
            learns: false,
        });
    }

    /// The open epoch of an input, if any.
    pub(crate) fn epoch_of(&self, priority: Priority) -> Option<Epoch> {
        self.epoch_of_but(priority, None)
    }

    /// The same, leaving one out: another source under that number.
    pub(crate) fn epoch_of_but(&self, priority: Priority, but: Option<Epoch>) -> Option<Epoch> {
        let own = |cells: &&EpochCells| cells.priority == priority && but != Some(cells.epoch);
        self.epochs.iter().rev().find(own).map(|cells| cells.epoch)
    }

    /// The input's previous epochs are over at once: their recorders answer *stale*. Their counts
    /// stay until the machine has read them and closes them.
    pub(crate) fn supersede(&mut self, cells: &Cells, priority: Priority, but: Option<Epoch>) {
        let by_id =
            self.epochs.iter().find(|found| found.priority == priority && found.by_id.is_some());
        if let Some((by_id, _)) = by_id.and_then(|found| found.by_id) {
            self.detach_by_id(cells, by_id);
        }
        for at in 0..self.epochs.len() {
            let EpochCells { epoch, priority: of, by_id_only, .. } = self.epochs[at];
            if of == priority && !by_id_only && but != Some(epoch) {
                self.end_word(cells, at);
            }
        }
    }

    /// Where the words of the open epochs stand.
    #[cfg(all(loom, test))]
    pub(crate) fn homes(&self) -> Vec<CellIndex> {
        self.epochs.iter().map(|found| found.home).collect()
    }

    /// Whether an epoch was opened by packets by id, and no recorder is to be had for it.
    pub(crate) fn is_by_id_only(&self, epoch: Epoch) -> bool {
        self.find(epoch).is_some_and(|found| found.by_id_only)
    }

    /// Whether an open epoch's word stands in this cell.
    pub(crate) fn is_home(&self, cell: CellIndex) -> bool {
        self.epochs.iter().any(|found| found.home == cell)
    }

    /// Takes the home cell for a recorder; `None` where one holds it.
    pub(crate) fn take_home(&mut self, cells: &Cells, epoch: Epoch) -> Option<CellIndex> {
        let found = self.epochs.iter_mut().find(|found| found.epoch == epoch)?;
        if found.by_id_only || std::mem::replace(&mut found.taken, true) {
            return None;
        }
        // The recorder owns what it reads: a line that outlived its epoch only in a recorder's
        // pointer would be recycled under it.
        for cell in [Some(found.home), found.line].into_iter().flatten() {
            cells.retain(cell);
        }
        Some(found.home)
    }

    /// Opens one more producer of an epoch; answers its cell.
    pub(crate) fn open_sibling(
        &mut self,
        cells: &Cells,
        stream: StreamKey,
        epoch: Epoch,
    ) -> Option<CellIndex> {
        let found = self.epochs.iter_mut().find(|found| found.epoch == epoch)?;
        let tag = cells.get(found.home).flags.load(Acquire).tag();
        if found.line.is_none() {
            let line = cells.acquire_tagged(stream, Some(tag));
            handover::move_home(cells, found.home, line);
            found.line = Some(line);
            // For the recorder of the home, which is the one that asks.
            cells.retain(line);
            if let Some((by_id, _)) = found.by_id {
                cells.get(by_id).home().store(u64::from(line), Release);
            }
        }
        let sibling = cells.acquire_tagged(stream, Some(tag));
        let line = found.line?;
        handover::follow(cells, sibling, line);
        for cell in [sibling, line] {
            cells.retain(cell);
        }
        found.siblings.push(sibling);
        Some(sibling)
    }

    /// A recorder is gone. Answers whether it was the epoch's last one.
    pub(crate) fn recorder_closed(&mut self, cells: &Cells, epoch: Epoch, cell: CellIndex) -> bool {
        let Some(found) = self.epochs.iter_mut().find(|found| found.epoch == epoch) else {
            return false;
        };
        if found.home == cell {
            found.taken = false;
        } else if let Some(at) = found.siblings.iter().position(|sibling| *sibling == cell) {
            found.siblings.swap_remove(at);
            let last = cells.get(cell).last.load(Acquire);
            found.keep(last, &counts(cells.get(cell)));
            cells.release(cell);
        }
        !found.taken && found.siblings.is_empty()
    }

    /// Ends an epoch: its recorders answer *stale* from now on. Answers the by-id cell whose next
    /// packet opens a new one, where the input is heard by id only, and what it had counted.
    pub(crate) fn close(&mut self, cells: &Cells, epoch: Epoch) -> Option<(CellIndex, u64)> {
        let at = self.epochs.iter().position(|found| found.epoch == epoch)?;
        self.end_word(cells, at);
        let closed = self.epochs.remove(at);
        let mut reopened = None;
        if let Some((by_id, _)) = closed.by_id {
            let cell = cells.get(by_id);
            if closed.by_id_only {
                // Read first: a packet that comes after the opening is not yet accounted for.
                reopened = Some((by_id, cell.packets.load(Acquire)));
                handover::open(cells, by_id);
                cell.home().store(u64::from(by_id), Release);
            } else {
                cell.home().store(0, Release);
            }
        }
        if !closed.by_id_only || closed.keeps_by_id {
            cells.release(closed.home);
        }
        for cell in closed.siblings.into_iter().chain(closed.line) {
            cells.release(cell);
        }
        reopened
    }

    /// The epoch's word goes to *stale*. If its own packet had made a cut meanwhile, the old one
    /// is off the air, and now nobody is on it.
    fn end_word(&mut self, cells: &Cells, at: usize) {
        let (epoch, home) = (self.epochs[at].epoch, self.epochs[at].home);
        let was_on_air = handover::close(cells, home);
        if self.armed == Some(epoch) {
            self.armed = None;
            if was_on_air {
                self.on_air = None;
            }
        }
        if self.on_air == Some(epoch) {
            self.on_air = None;
        }
    }

    pub(crate) fn close_all(&mut self, cells: &Cells) {
        while let Some(epoch) = self.epochs.last().map(|open| open.epoch) {
            self.close(cells, epoch);
        }
    }

    /// An input gets its by-id cell while it runs. Answers false where it does not run.
    pub(crate) fn attach_by_id(
        &mut self,
        cells: &Cells,
        priority: Priority,
        by_id: CellIndex,
        but: Option<Epoch>,
    ) -> bool {
        let Some(epoch) = self.epoch_of_but(priority, but) else { return false };
        let Some(found) = self.epochs.iter_mut().find(|found| found.epoch == epoch) else {
            return false;
        };
        found.by_id = Some(attach(cells, by_id, found.line.unwrap_or(found.home)));
        true
    }

    /// A by-id cell goes its own way: what it counted stays counted, and its packets reach no
    /// epoch of this stream until it is attached again.
    pub(crate) fn detach_by_id(&mut self, cells: &Cells, by_id: CellIndex) {
        for found in &mut self.epochs {
            let Some((_, before)) = found.by_id.filter(|(cell, _)| *cell == by_id) else {
                continue;
            };
            let cell = cells.get(by_id);
            cell.home().store(0, Release);
            let heard = cell.packets.load(Acquire).wrapping_sub(before);
            if heard > 0 {
                let heard = Counts { packets: heard, ..Counts::default() };
                found.keep(cell.last.load(Acquire), &heard);
            }
            found.by_id = None;
            if found.by_id_only && !std::mem::replace(&mut found.keeps_by_id, true) {
                cells.retain(by_id);
            }
        }
    }

    /// An activation has another priority now; so by-id packets for that one are its own.
    pub(crate) fn rebind(
        &mut self,
        cells: &Cells,
        epoch: Epoch,
        to: Priority,
        by_id: Option<CellIndex>,
    ) {
        let Some(at) = self.epochs.iter().position(|found| found.epoch == epoch) else { return };
        if let Some((old, _)) = self.epochs[at].by_id {
            self.detach_by_id(cells, old);
        }
        if let Some(by_id) = by_id {
            self.detach_by_id(cells, by_id);
        }
        let found = &mut self.epochs[at];
        found.priority = to;
        let home = found.line.unwrap_or(found.home);
        found.by_id = by_id.map(|by_id| attach(cells, by_id, home));
    }

    /// Puts a fresh epoch on the air in the place of its input's previous one (which is over), or
    /// of nobody.
    pub(crate) fn take_over(&mut self, cells: &Cells, epoch: Epoch, priority: Priority) {
        let vacant = self
            .on_air
            .and_then(|air| self.find(air))
            .is_none_or(|air| air.priority == priority && air.epoch != epoch && !air.by_id_only);
        if !vacant || self.armed.is_some() {
            return;
        }
        let Some(home) = self.find(epoch).map(|found| found.home) else { return };
        self.cuts += 1;
        if handover::grant(cells, home, self.cuts) {
            self.on_air = Some(epoch);
            self.ahead = Some(epoch);
        }
    }

    /// The machine hears of an epoch that was opened.
    pub(crate) fn heard_of(&mut self, epoch: Epoch) {
        self.ahead = self.ahead.filter(|ahead| *ahead != epoch);
    }

    /// The machine's wish stands behind what a recorder's opening has done: it still means the
    /// input's previous epoch, or none.
    fn is_ahead_of(&self, want_air: Option<Epoch>) -> bool {
        let Some(ahead) = self.ahead.filter(|ahead| self.on_air == Some(*ahead)) else {
            return false;
        };
        let priority = self.find(ahead).map(|cells| cells.priority);
        want_air.is_none_or(|want| self.find(want).map(|cells| cells.priority) == priority)
    }

    pub(crate) fn is_armed(&self) -> bool {
        self.armed.is_some()
    }

    /// Takes the arming back where the machine wants something else now. Answers false where the
    /// cut has been made: nothing is changed then, and the next sample tells of it.
    pub(crate) fn disarm(&mut self, cells: &Cells, want: Air) -> bool {
        let Some(armed) = self.armed else { return true };
        let stands = want.armed == Some(armed) && want.on == self.on_air;
        if stands || want.on == Some(armed) {
            return true;
        }
        let cell = self.find(armed).map(|found| found.home);
        if want.armed == Some(armed) {
            // It will be armed anew, under another number: `reconcile` does both at once, for in
            // between its keyframe may come.
            return cell.is_none_or(|cell| handover::flags(cells, cell).gate() != Gate::Forward);
        }
        if cell.is_some_and(|cell| !handover::cancel(cells, cell)) {
            return false;
        }
        self.armed = None;
        true
    }

    /// Makes the flag words agree with what the machine wants.
    pub(crate) fn reconcile(&mut self, cells: &Cells, want: Air) {
        let Air { on: want_air, armed: want_armed, gated } = want;
        let air_changes =
            self.on_air != want_air && !(want_armed.is_none() && self.is_ahead_of(want_air));
        // An armed cell names the one that it will take the air from: a change of air under it
        // needs a new arming, with a new number.
        if let Some(armed) = self.armed
            && (want_armed != Some(armed) || air_changes)
        {
            let cell = self.find(armed).map(|found| found.home);
            let was_faster = cell.is_some_and(|cell| !handover::cancel(cells, cell));
            if was_faster && want_armed == Some(armed) {
                // It has what it is to get; the next sample tells the machine.
                return;
            }
            self.armed = None;
            if was_faster {
                // The air is its own, and the old one's has been taken.
                self.on_air = Some(armed);
            }
        }
        if self.on_air != want_air && !(want_armed.is_none() && self.is_ahead_of(want_air)) {
            if let Some(old) = self.on_air.take().and_then(|old| self.find(old)) {
                let tag = handover::flags(cells, old.home).tag();
                handover::revoke(cells, old.home, tag, u32::MAX);
            }
            let granted = want_air.and_then(|air| self.find(air)).map(|air| air.home);
            if let Some(home) = granted {
                self.cuts += 1;
                if handover::grant(cells, home, self.cuts) {
                    self.on_air = want_air;
                }
            }
        }
        if let Some(epoch) = want_armed
            && self.armed.is_none()
            && let Some(home) = self.find(epoch).map(|found| found.home)
        {
            let old = self.on_air.and_then(|air| self.find(air)).map(|air| air.home);
            self.cuts += 1;
            if handover::arm(cells, home, old, self.cuts, gated) {
                self.armed = Some(epoch);
                self.gated = gated;
            }
        }
        if let Some(armed) = self.armed.filter(|_| self.gated && !gated) {
            self.gated = false;
            if let Some(found) = self.find(armed) {
                handover::relax(cells, found.home);
            }
        }
    }

    /// Has the gaps noted of exactly the epochs for which this answers true.
    pub(crate) fn set_learning(&mut self, cells: &Cells, learns: impl Fn(Epoch) -> bool) {
        for found in &mut self.epochs {
            let wanted = learns(found.epoch);
            if found.learns != wanted {
                found.learns = wanted;
                handover::learn(cells, found.home, wanted);
            }
        }
    }

    /// Sets the watch bits of exactly these epochs, and of the armed one whose next packet cuts.
    pub(crate) fn watch(&self, cells: &Cells, epochs: &[Epoch]) {
        for found in &self.epochs {
            let cuts_next = self.armed == Some(found.epoch) && !self.gated;
            let on = epochs.contains(&found.epoch) || cuts_next;
            handover::watch(cells, found.home, on);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::PublishLog;

    #[test]
    fn a_target_that_is_armed_anew_is_never_without_its_arming() {
        let (cells, mut plane) = (Cells::new(), Plane::default());
        let stream = StreamKey { slot: 1, generation: 0 };
        let (old, new) = (Epoch::new(1), Epoch::new(2));
        plane.open(&cells, stream, 0, old, None);
        let home = plane.open(&cells, stream, 1, new, None);
        let gate = || handover::flags(&cells, home).gate();
        plane.reconcile(&cells, Air { on: Some(old), armed: Some(new), gated: true });
        assert_eq!(gate(), Gate::ArmedKey);
        // The old one is off, the target is the same.
        let want = Air { on: None, armed: Some(new), gated: true };
        assert!(plane.disarm(&cells, want));
        assert_eq!(gate(), Gate::ArmedKey, "its keyframe may come while the step is carried out");
        handover::cut(&cells, home, true);
        assert!(!plane.disarm(&cells, want), "and then all is decided anew");
        plane.reconcile(&cells, want);
        assert_eq!(gate(), Gate::Forward, "or the next sample tells of it");
        let mut samples = Vec::new();
        plane.sample(&cells, &PublishLog::new(true), &mut samples);
        assert!(samples.iter().any(|(epoch, sample)| *epoch == new && sample.cut));
    }
}
