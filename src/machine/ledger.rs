//! The ledger of decisions and refusals, with their numbers, and what became of the latest move:
//! armed, effective, first packet forwarded.

use std::collections::VecDeque;

use super::{Action, Cx, Machine};
use crate::events::EventKind;
use crate::types::{Epoch, Nanos, Priority, SwitchReason};

/// One decision or refusal.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) at: Nanos,
    /// `decided`, `effective`, `refused` or `failed`.
    pub(crate) what: &'static str,
    pub(crate) from: Option<Priority>,
    pub(crate) to: Option<Priority>,
    pub(crate) reason: SwitchReason,
    /// What stands against it.
    pub(crate) rule: Option<&'static str>,
    /// Until when that rule holds, where that is known.
    pub(crate) until: Option<Nanos>,
    pub(crate) detail: String,
}

/// A move that would be made, and is not.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Wish {
    pub(crate) to: Option<Priority>,
    pub(crate) reason: SwitchReason,
    pub(crate) rule: &'static str,
    pub(crate) until: Option<Nanos>,
    pub(crate) detail: String,
}

/// The refusal that was last reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refused {
    to: Option<Priority>,
    reason: SwitchReason,
    rule: &'static str,
    /// Until when that rule holds, where that is known.
    until: Option<Nanos>,
}

/// A move that is effective, until the target's first packet goes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// When it became effective: names its entry in the history.
    at: Nanos,
    /// What was on the air, and stays there until the cut, and its last packet.
    old: Option<Epoch>,
    old_stamp: Option<Nanos>,
    /// Packets of the target before the move.
    before: (Option<Epoch>, u64),
    /// The cut waits for a keyframe.
    pub(super) gate: Option<Gate>,
}

/// A cut that waits for a keyframe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    pub(super) max_wait: Nanos,
    /// Armed, and the target delivers: the wait counts from here.
    pub(super) since: Option<Nanos>,
    /// The wait is over: any packet cuts.
    pub(super) relaxed: bool,
    /// The activation whose encoder was asked for a keyframe.
    asked: Option<Epoch>,
}

impl Gate {
    /// `since`: what has been waited already counts.
    pub(super) fn new(max_wait: Nanos, since: Option<Nanos>) -> Self {
        Self { max_wait, since, relaxed: false, asked: None }
    }

    pub(super) fn deadline(&self) -> Option<Nanos> {
        self.since.filter(|_| !self.relaxed).map(|since| since.saturating_add(self.max_wait))
    }
}

/// What the packet plane is to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Air {
    /// Its packets go out.
    pub(crate) on: Option<Epoch>,
    /// Its next packet makes the cut.
    pub(crate) armed: Option<Epoch>,
    /// Only one that begins a keyframe does.
    pub(crate) gated: bool,
}

/// One more in a history, newest first. The first ones are made room for one by one: most streams
/// have few.
pub(super) fn push_first<T>(history: &mut VecDeque<T>, newest: T, most: usize) {
    if history.len() == history.capacity() && history.len() < 2 {
        history.reserve_exact(1);
    }
    history.push_front(newest);
    history.truncate(most);
}

impl Machine {
    /// Enters something into the ledger.
    pub(super) fn enter(&mut self, cx: &Cx<'_>, decision: Decision) {
        push_first(&mut self.decisions, decision, cx.policy.switch_history);
    }

    /// Reports what stands against a move; once, until something else does.
    pub(super) fn note_refused(&mut self, cx: &mut Cx<'_>, wish: Option<Wish>) {
        let Some(wish) = wish else {
            self.refused = None;
            return;
        };
        let Wish { to, reason, rule, until, .. } = wish;
        if self.is_refused(to, reason, rule) {
            // The rule may hold longer, or less long, than it did.
            self.refused.iter_mut().for_each(|refused| refused.until = until);
            return;
        }
        self.refused = Some(Box::new(Refused { to, reason, rule, until }));
        self.report_refused(cx, wish);
    }

    /// Whether this is the refusal that stands.
    pub(super) fn is_refused(
        &self,
        to: Option<Priority>,
        reason: SwitchReason,
        rule: &'static str,
    ) -> bool {
        // A failback that the end of a hold would have allowed is a failback a moment later.
        let level = |reason| match reason {
            SwitchReason::HoldReleased => SwitchReason::Failback,
            other => other,
        };
        let key = |refused: &Refused| (refused.to, level(refused.reason), refused.rule);
        self.refused.as_deref().map(key) == Some((to, level(reason), rule))
    }

    /// When what stands against a move ends by time: it is to be decided anew then.
    pub(super) fn refusal_deadline(&self, cx: &Cx<'_>) -> Option<Nanos> {
        self.refused.as_ref().and_then(|refused| refused.until).filter(|until| *until > cx.now)
    }

    pub(super) fn report_refused(&mut self, cx: &mut Cx<'_>, wish: Wish) {
        let Wish { to, reason, rule, until, detail } = wish;
        let remaining_ms = until.map_or(0, |until| until.saturating_sub(cx.now) / 1_000_000);
        let kind =
            EventKind::SwitchRefused { to, reason, rule, remaining_ms, detail: detail.clone() };
        cx.emit(kind);
        let (at, from, rule) = (cx.now, self.active, Some(rule));
        self.enter(cx, Decision { at, what: "refused", from, to, reason, rule, until, detail });
    }

    /// The latest move, if its cut waits for a keyframe.
    fn gated_entry(&self) -> Option<Entry> {
        self.entry.as_deref().copied().filter(|entry| entry.gate.is_some())
    }

    /// What the packet plane is to do.
    pub(crate) fn air(&self) -> Air {
        let active = self.active_input().and_then(super::Input::epoch);
        // A move that is effective and waits for its keyframe: the old one's word stands. Also
        // when the one that waits is to be left: it never was on the air.
        let waiting = self.gated_entry();
        let on = match (self.leaving_run(), &waiting) {
            (_, Some(entry)) => entry.old.filter(|old| self.index_of_epoch(*old).is_some()),
            (Some((_, run)), None) => Some(run.epoch),
            (None, None) => active,
        };
        let (armed, gate) = match &self.pending {
            _ if self.active_cuts_first() => (active, waiting.and_then(|entry| entry.gate)),
            Some(pending) => {
                let target = self.index_of(pending.target);
                (target.and_then(|i| self.inputs[i].epoch()), pending.gate)
            }
            None => (None, None),
        };
        let armed = armed.filter(|epoch| Some(*epoch) != on);
        Air { on, armed, gated: gate.is_some_and(|gate| !gate.relaxed) }
    }

    /// The active input has not been on the air yet, and is fit to be: it makes its cut before
    /// the target of a later move makes another, or nobody might be heard meanwhile.
    fn active_cuts_first(&self) -> bool {
        let waits = self.gated_entry().is_some();
        waits && (self.pending.is_none() || self.active_is_eligible())
    }

    /// Since when a keyframe has been waited for, where a new decision is to go on with that wait:
    /// it is for the same target, or nobody has been on the air meanwhile.
    pub(super) fn waited_for_keyframe(&self, cx: &Cx<'_>, target: Priority) -> Option<Nanos> {
        let pending = self.pending.as_ref();
        if let Some(same) = pending.filter(|pending| pending.target == target) {
            return same.gate.and_then(|gate| gate.since);
        }
        let entry = self.gated_entry()?;
        let on_air = self.air().on.and_then(|on| self.index_of_epoch(on));
        let dark = on_air.is_none_or(|i| !cx.delivers(&self.inputs[i]));
        entry.gate.filter(|_| dark)?.since
    }

    /// The target never left the air: the move away from it still waits for its keyframe.
    pub(super) fn stayed_on_air(&self, target: &super::Input) -> bool {
        let waiting = self.gated_entry();
        let old = waiting.and_then(|entry| entry.old);
        old.is_some() && old == target.epoch()
    }

    /// An input that is still on the air while another waits for its keyframe goes off.
    pub(super) fn take_off_the_air(&mut self, i: usize) {
        if self.stayed_on_air(&self.inputs[i])
            && let Some(entry) = self.entry.as_mut()
        {
            entry.old = None;
        }
    }

    /// Whether the cut to this epoch waits for a keyframe of a target that is known to deliver:
    /// its packets are of no interest until the cut, which tells by itself.
    pub(super) fn waits_for_keyframe(&self, epoch: Epoch) -> bool {
        let air = self.air();
        air.gated && air.armed == Some(epoch)
    }

    /// Arms what is to be armed: the wait for a keyframe begins, or is over.
    pub(super) fn tend_gate(&mut self, cx: &mut Cx<'_>) {
        if self.active.is_none() {
            self.entry = None;
        }
        // By time alone: a target without packets is not forced by it.
        let wait = self.cut.max_wait_ns(cx.policy.cut);
        let waiting = self.entry.as_mut().and_then(|entry| entry.gate.as_mut());
        let pending = self.pending.as_mut().and_then(|pending| pending.gate.as_mut());
        for gate in waiting.into_iter().chain(pending) {
            gate.max_wait = wait.unwrap_or(0);
            gate.relaxed |= wait.is_none() || gate.deadline().is_some_and(|until| cx.now >= until);
        }
        let first = self.active_cuts_first();
        let target = match &self.pending {
            Some(pending) if !first => self.index_of(pending.target),
            _ => self.active.and_then(|active| self.index_of(active)),
        };
        let Some(i) = target else { return };
        let run = self.inputs[i].run.as_ref();
        let (epoch, delivers) = (run.map(|run| run.epoch), run.is_some_and(|r| r.last.is_some()));
        let to = self.inputs[i].priority();
        let from = self.active;
        if let Some(pending) = self.pending.as_mut().filter(|_| !first)
            && !pending.armed
            && epoch.is_some()
            && delivers
        {
            pending.armed = true;
            let max_wait_ms = pending.gate.map_or(0, |gate| gate.max_wait / 1_000_000);
            let keyframe = pending.gate.is_some();
            cx.emit(EventKind::SwitchArmed { from, to, keyframe, max_wait_ms });
        }
        let gate = match &mut self.pending {
            Some(pending) if !first => pending.gate.as_mut(),
            _ => self.entry.as_mut().and_then(|entry| entry.gate.as_mut()),
        };
        let Some(gate) = gate else { return };
        let Some(epoch) = epoch.filter(|_| delivers && !gate.relaxed) else { return };
        let begins = gate.asked.is_none();
        gate.since.get_or_insert(cx.now);
        let until = gate.deadline();
        let max_wait_ms = gate.max_wait / 1_000_000;
        if gate.asked.replace(epoch) == Some(epoch) {
            return;
        }
        if begins && (first || self.pending.is_none()) {
            // The old one is dead: effective before it was armed.
            let from = self.switches.front().and_then(|switch| switch.from);
            cx.emit(EventKind::SwitchArmed { from, to, keyframe: true, max_wait_ms });
        }
        let input = self.inputs[i].config.clone();
        cx.act(Action::RequestKeyframe { input, epoch });
        let reason = self.pending.as_ref().map(|pending| pending.reason);
        let reason = reason.or_else(|| self.switches.front().map(|switch| switch.reason));
        let reason = reason.unwrap_or(SwitchReason::Manual);
        let (to, rule, detail) = (Some(to), "awaiting_keyframe", String::new());
        self.report_refused(cx, Wish { to, reason, rule, until, detail });
    }

    pub(super) fn gate_deadline(&self) -> Option<Nanos> {
        let waiting = self.entry.as_ref().and_then(|entry| entry.gate);
        let pending = self.pending.as_ref().and_then(|pending| pending.gate);
        [waiting, pending].iter().flatten().filter_map(Gate::deadline).min()
    }

    /// What is on the air now, and the last packet that it is known to have had there.
    pub(super) fn on_the_air(&self) -> (Option<Epoch>, Option<Nanos>) {
        let on = self.air().on;
        match &self.entry {
            // The move before has not had a packet yet.
            Some(entry) => (on, entry.old_stamp),
            // An error has ended its activation: its last packet was the stream's all the same.
            None => {
                let active = self.active.and_then(|active| self.index_of(active));
                let last = active.and_then(|i| self.inputs[i].last_stamp);
                (on, on.and_then(|on| self.stamp_of(on)).or(last))
            }
        }
    }

    /// A move is effective: its first packet is awaited, and the keyframe, where the cut waits
    /// for one. `cut`: that packet has come already.
    pub(super) fn open_entry(
        &mut self,
        cx: &mut Cx<'_>,
        i: usize,
        (old, old_stamp): (Option<Epoch>, Option<Nanos>),
        gate: Option<Gate>,
        cut: bool,
    ) {
        let run = self.inputs[i].run.as_ref();
        let before = (run.map(|run| run.epoch), run.map_or(0, |run| run.counts.packets));
        let awaited = gate.filter(|_| !cut);
        self.entry = Some(Box::new(Entry { at: cx.now, old, old_stamp, before, gate: awaited }));
        if cut {
            self.close_entry(cx, i, gate.is_some());
        }
    }

    fn stamp_of(&self, epoch: Epoch) -> Option<Nanos> {
        let leaving = self.leaving_run().map(|(_, run)| run).filter(|run| run.epoch == epoch);
        let run = match leaving {
            Some(run) => Some(run),
            None => self.index_of_epoch(epoch).and_then(|i| self.inputs[i].run.as_ref()),
        };
        run.and_then(|run| run.stamp)
    }

    /// Looks whether the first packet after the move has come.
    pub(super) fn await_first_packet(&mut self, cx: &mut Cx<'_>) {
        let Some(entry) = self.entry.as_deref().copied() else { return };
        let Some(i) = self.active.and_then(|active| self.index_of(active)) else { return };
        let Some(run) = self.inputs[i].run.as_ref() else { return };
        let gated = entry.gate.is_some();
        let (epoch, packets) = entry.before;
        let before = if epoch == Some(run.epoch) { packets } else { 0 };
        let has_come = if gated { run.cut } else { run.counts.packets > before };
        if has_come {
            self.close_entry(cx, i, gated);
        }
    }

    /// Whether the first packet after the latest move is still to come.
    pub(super) fn awaits_first_packet(&self) -> bool {
        self.entry.is_some()
    }

    fn close_entry(&mut self, cx: &mut Cx<'_>, i: usize, gated: bool) {
        let Some(entry) = self.entry.take() else { return };
        let Some(run) = self.inputs[i].run.as_ref() else { return };
        let Some(at) = run.stamp else { return };
        // One that stayed on the air until the keyframe may have gone on.
        let later = entry.old.filter(|_| entry.gate.is_some()).and_then(|old| self.stamp_of(old));
        let old = entry.old_stamp.max(later);
        let stall_us = old.map(|old| at.saturating_sub(old) / 1000);
        let aligned = gated.then_some(run.aligned);
        let made =
            |switch: &&mut super::Switch| switch.at == entry.at && switch.from != Some(switch.to);
        if let Some(switch) = self.switches.iter_mut().find(made) {
            switch.first_packet_at = Some(at);
            switch.stall_us = stall_us;
            switch.aligned = aligned;
        }
        let input_priority = self.inputs[i].priority();
        cx.emit(EventKind::FirstPacket { input_priority, stall_us, aligned });
    }
}
