//! Bringing a decided switch about, and what follows from it: exhausted and restored.

use super::ledger::{Decision, push_first};
use super::{Action, Cx, Input, Machine, Run, Switch};
use crate::events::EventKind;
use crate::types::{Nanos, Priority, SwitchReason};

impl Machine {
    /// Carries the pending switch as far as it can go now.
    pub(super) fn progress(&mut self, cx: &mut Cx<'_>) {
        let Some(pending) = &self.pending else { return };
        let Some(i) = self.index_of(pending.target) else { return };
        let input = &self.inputs[i];
        let accepted = input.config.hot || input.run.as_ref().is_some_and(|run| run.accepted);
        let cut = input.run.as_ref().is_some_and(|run| run.cut) || self.stayed_on_air(input);
        if accepted {
            self.accept_ticket(cx);
        }
        if cut || (accepted && !self.air_delivers(cx)) {
            self.take_effect(cx, i);
        }
    }

    /// The start was accepted: the operator's override is in force.
    fn accept_ticket(&mut self, cx: &mut Cx<'_>) {
        let Some(pending) = self.pending.as_mut().filter(|pending| pending.manual) else { return };
        let target = pending.target;
        let first = !std::mem::replace(&mut pending.override_set, true);
        let hold = pending.hold;
        for ticket in std::mem::take(&mut pending.tickets) {
            cx.act(Action::Ticket { ticket, outcome: Ok(()) });
        }
        match hold {
            Some(hold) if first => self.set_hold(cx, target, hold),
            Some(_) => {}
            None => self.set_override(cx, target),
        }
    }

    pub(super) fn set_override(&mut self, cx: &mut Cx<'_>, target: Priority) {
        self.drop_hold(cx, "override");
        if self.override_.replace(target) != Some(target) {
            cx.emit(EventKind::OverrideSet { input_priority: target });
        }
    }

    /// The stream carries the pending target from now on.
    fn take_effect(&mut self, cx: &mut Cx<'_>, i: usize) {
        let forced = !self.active_is_eligible();
        let Some(pending) = self.pending.take() else { return };
        let (from, to) = (self.active, pending.target);
        let old = from.and_then(|from| self.index_of(from)).filter(|old| *old != i);
        if let Some(old) = old.filter(|old| self.inputs[*old].failure.is_some()) {
            // What was only suspected is a fact now.
            self.end_of(cx, old);
        }
        let (reason, detail) = self.effective_reason(&pending, forced);
        let stayed = self.stayed_on_air(&self.inputs[i]);
        let mut was = self.on_the_air();
        if stayed {
            // Nothing was cut, and nothing is: its own last packet was the stream's.
            self.entry = None;
            was.1 = self.inputs[i].run.as_ref().and_then(|run| run.stamp);
        }
        self.active = Some(to);
        self.left = None;
        self.hold_died = None;
        self.end_leaving(cx);
        self.record_switch(cx, from, to, reason, detail, pending.decided_at);
        if from != Some(to) {
            let cut = self.inputs[i].run.as_ref().is_some_and(|run| run.cut);
            let gate = pending.gate.filter(|_| !stayed);
            self.open_entry(cx, i, was, gate, cut && !stayed);
        }
        if let Some(old) = old {
            self.note_left(cx, old, reason);
        }
        // A soft move to a cold input is a guess, until it is measured.
        let guess = pending.soft && !self.inputs[i].config.hot;
        let back = matches!(reason, SwitchReason::Failback | SwitchReason::HoldReleased)
            && from.is_some_and(|from| to < from);
        if from != Some(to) {
            self.inputs[i].damping.since = Some(cx.now);
            self.inputs[i].damping.by_failback = guess || back;
        }
        if self.exhausted {
            if self.inputs[i].proved {
                self.restore(cx, to);
            } else {
                self.recovery_recorded = true;
            }
        }
    }

    /// The stream has left an input: an impaired one is degraded from now on.
    fn note_left(&mut self, cx: &mut Cx<'_>, old: usize, reason: SwitchReason) {
        let wrong = self.impairments(cx, old);
        if wrong.iter().any(|wrong| wrong.rule == reason) {
            self.note_death(cx, old);
        }
        // Left alive, after long enough: the failback to it was a good one.
        let input = &mut self.inputs[old];
        if let Some(since) = input.damping.since.take()
            && super::select::was_clean(cx, since)
        {
            input.damping.level = 0;
        }
        if let Some(wrong) = wrong.first().filter(|_| input.failure.is_none() && input.enabled) {
            let (input_priority, cause) = (input.priority(), wrong.rule);
            input.steady_since = None;
            cx.emit(EventKind::InputDegraded { input_priority, reason: wrong.text(), cause });
            self.owe_recovery(old);
        }
    }

    /// One history entry and, for a change from somewhere to somewhere else, exactly one
    /// failover event and count.
    pub(super) fn record_switch(
        &mut self,
        cx: &mut Cx<'_>,
        from: Option<Priority>,
        to: Priority,
        reason: SwitchReason,
        detail: String,
        decided_at: Nanos,
    ) {
        if from == Some(to) && reason != SwitchReason::Recovery {
            return;
        }
        let at = cx.now;
        let switch = Switch {
            at,
            from,
            to,
            reason,
            detail: detail.clone(),
            decided_at,
            first_packet_at: None,
            stall_us: None,
            aligned: None,
        };
        push_first(&mut self.switches, switch, cx.policy.switch_history);
        let decision = Decision {
            at,
            what: "effective",
            from,
            to: Some(to),
            reason,
            rule: None,
            until: None,
            detail: detail.clone(),
        };
        self.enter(cx, decision);
        if let Some(from) = from.filter(|from| *from != to) {
            self.failovers += 1;
            self.last_switch = Some(cx.now);
            self.refused = None;
            cx.emit(EventKind::InputFailover { from, to, reason, detail });
        }
    }

    /// A switch has failed before it was effective.
    pub(super) fn fail_pending(&mut self, cx: &mut Cx<'_>, why: &str) {
        self.abort_pending(cx, why, "switch_failed");
        // The input that was leaving had stayed for this target only.
        self.end_leaving(cx);
    }

    /// A decision is overtaken by another, or has lost its ground.
    pub(super) fn supersede_pending(&mut self, cx: &mut Cx<'_>, why: &str) {
        self.abort_pending(cx, why, "superseded");
    }

    fn abort_pending(&mut self, cx: &mut Cx<'_>, message: &str, override_gone: &'static str) {
        let Some(pending) = self.pending.take() else { return };
        for ticket in pending.tickets {
            cx.act(Action::Ticket { ticket, outcome: Err(message.to_owned()) });
        }
        if let Some(input) = self.index_of(pending.target).map(|i| &mut self.inputs[i])
            && input.config.hot
        {
            input.wanted_since = None;
        }
        let (from, to, reason, detail) =
            (self.active, pending.target, pending.reason, message.to_owned());
        cx.emit(EventKind::SwitchFailed { from, to, reason, message: detail.clone() });
        let (at, what, to) = (cx.now, "failed", Some(to));
        self.enter(cx, Decision { at, what, from, to, reason, rule: None, until: None, detail });
        if pending.override_set {
            self.drop_override_of(cx, pending.target, override_gone);
            self.drop_hold_of(cx, pending.target, override_gone);
        }
    }

    pub(super) fn drop_override_of(
        &mut self,
        cx: &mut Cx<'_>,
        priority: Priority,
        why: &'static str,
    ) {
        if self.override_ == Some(priority) {
            self.override_ = None;
            cx.emit(EventKind::OverrideCleared { input_priority: priority, why });
        }
    }

    /// No candidate: exhausted, unless the operator has stopped every input, or there never was
    /// one.
    pub(super) fn nothing_left(&mut self, cx: &mut Cx<'_>) {
        if self.inputs.iter().any(Input::is_candidate) {
            // Nobody who is known to be better off than the one on the air: it stays, until one
            // of them delivers.
            return;
        }
        let lost_the_last = self.inputs.is_empty() && self.active.is_some();
        let a_failed_one = self.inputs.iter().any(|input| input.enabled && input.failure.is_some());
        self.end_leaving(cx);
        if self.left.take().is_some() {
            self.active = None;
        }
        // Whatever had been recorded of a recovery came to nothing.
        self.recovery_recorded = false;
        if self.exhausted || !(lost_the_last || a_failed_one) {
            return;
        }
        self.exhausted = true;
        if let Some(priority) = self.override_ {
            self.drop_override_of(cx, priority, "exhausted");
        }
        self.drop_hold(cx, "exhausted");
        cx.emit(EventKind::Exhausted);
        cx.act(Action::Exhausted);
    }

    pub(super) fn note_restored_by_packets(&mut self, cx: &mut Cx<'_>) {
        if !self.exhausted || !self.active_delivers(cx) {
            return;
        }
        let Some(active) = self.active else { return };
        if !self.recovery_recorded {
            let detail = "ingest auto-reconnect".to_owned();
            if let Some(i) = self.index_of(active) {
                let damping = &mut self.inputs[i].damping;
                (damping.since, damping.by_failback) = (Some(cx.now), false);
            }
            let (reason, now) = (SwitchReason::Recovery, cx.now);
            self.record_switch(cx, Some(active), active, reason, detail, now);
        }
        self.restore(cx, active);
    }

    fn restore(&mut self, cx: &mut Cx<'_>, input_priority: Priority) {
        self.exhausted = false;
        self.recovery_recorded = false;
        cx.emit(EventKind::Restored { input_priority });
        cx.act(Action::Restored);
    }

    pub(super) fn note_redundancy(&mut self, cx: &mut Cx<'_>) {
        let usable_inputs = self.usable_inputs();
        let redundant = usable_inputs >= 2;
        match self.redundant.replace(redundant) {
            Some(true) if !redundant => cx.emit(EventKind::RedundancyLost { usable_inputs }),
            Some(false) if redundant => cx.emit(EventKind::RedundancyRegained { usable_inputs }),
            _ => {}
        }
    }

    /// Brings a cold input up under a new epoch.
    pub(super) fn start_run(&mut self, cx: &mut Cx<'_>, i: usize, trial: bool) {
        let epoch = self.new_epoch();
        let buffer = self.buffer_write_id.clone();
        let input = &mut self.inputs[i];
        let deadline = cx.now.saturating_add(cx.connect_timeout(&input.config));
        // What a probe in flight finds says nothing about this start.
        input.probe.there().into_iter().for_each(|probe| probe.in_flight = None);
        input.run = Some(Run { trial, ..Run::new(epoch, cx.now) });
        let input = input.config.clone();
        cx.act(Action::Start { input, epoch, buffer, deadline });
    }

    /// Ends an input's activation: its epoch is over, and the driver is told where it runs one.
    pub(super) fn end_run(&mut self, cx: &mut Cx<'_>, i: usize) {
        let input = &mut self.inputs[i];
        let Some(run) = input.take_run() else { return };
        cx.act(Action::Close { epoch: run.epoch });
        if !input.config.hot {
            cx.act(Action::Stop { priority: input.priority(), epoch: run.epoch });
        }
    }

    pub(super) fn end_leaving(&mut self, cx: &mut Cx<'_>) {
        let Some(leaving) = self.leaving.take() else { return };
        let (priority, epoch) = (leaving.config.priority, leaving.run.epoch);
        cx.act(Action::Close { epoch });
        if !leaving.config.hot && !leaving.stopped {
            cx.act(Action::Stop { priority, epoch });
        }
        if let Some(i) = self.index_of(priority).filter(|_| !leaving.removed) {
            self.inputs[i].past.add(&leaving.run.totals());
        }
    }

    /// Stops every cold run that nobody wants any more.
    pub(super) fn sweep(&mut self, cx: &mut Cx<'_>) {
        for i in 0..self.inputs.len() {
            let input = &self.inputs[i];
            let priority = Some(input.priority());
            let Some(run) = input.run.as_ref().filter(|_| !input.config.hot) else { continue };
            let wanted = (priority == self.active && self.left.is_none())
                || priority == self.pending.as_ref().map(|pending| pending.target)
                || (run.trial && run.last.is_none() && self.trial_is_worth_it(input));
            if !wanted {
                self.end_run(cx, i);
            }
        }
    }
}
