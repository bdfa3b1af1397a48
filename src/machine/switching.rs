//! Deciding a switch, bringing it about, and what follows from it: exhausted and restored.

use super::select::Readiness;
use super::{Action, Cx, Input, Machine, Pending, Run, Switch};
use crate::events::EventKind;
use crate::types::{Priority, SwitchReason};

impl Machine {
    /// Puts the stream where it belongs, given the facts. A level, not an edge: called after
    /// every event, and asking nothing of what the event was.
    pub(super) fn decide(&mut self, cx: &mut Cx<'_>) {
        self.note_restored_by_packets(cx);
        if self.active_is_eligible() && !self.off_air_with_a_choice(cx) {
            self.decide_voluntary(cx);
        } else {
            self.decide_forced(cx);
        }
        self.progress(cx);
        self.sweep(cx);
        self.note_redundancy(cx);
    }

    /// Exhausted, waiting for the first packet of an unproved start, and somebody else is known
    /// to be better: nothing is on the air, so nothing speaks for waiting.
    fn off_air_with_a_choice(&self, cx: &Cx<'_>) -> bool {
        self.exhausted
            && !self.active_delivers(cx)
            && self.best_forced(cx).is_some_and(|best| Some(best) != self.active)
            && self.active_input().is_some_and(|input| !input.proved)
    }

    fn decide_voluntary(&mut self, cx: &mut Cx<'_>) {
        let kept = self.pending.as_ref().filter(|pending| {
            pending.manual
                || (pending.upward
                    && self.better_inputs().iter().any(|i| i.priority() == pending.target))
        });
        let kept = kept.map(|pending| (pending.target, pending.manual));
        if kept.is_none() {
            let why = "the input on the air is good again";
            self.supersede_pending(cx, why);
        }
        if kept.is_some_and(|(_, manual)| manual) {
            return;
        }
        let mut refused = None;
        let mut target = None;
        let cooldown_end = self.cooldown_end(cx);
        for input in self.better_inputs() {
            if kept.is_some_and(|(target, _)| target <= input.priority()) {
                break;
            }
            let remaining = match self.readiness(cx, input) {
                Readiness::Ready if cx.now >= cooldown_end => {
                    target = Some(input.priority());
                    break;
                }
                Readiness::Ready => ("failback_cooldown", cooldown_end),
                Readiness::Until(until) if until > cooldown_end => ("failback_stable", until),
                Readiness::Until(_) => ("failback_cooldown", cooldown_end),
                // Its next packet will do; still the same refusal.
                Readiness::NextPacket => ("failback_stable", cx.now),
                Readiness::Unproved => continue,
            };
            refused.get_or_insert((input.priority(), remaining.0, remaining.1));
        }
        if let Some(target) = target {
            self.refused = None;
            self.begin(cx, target, Begin::upward(SwitchReason::Failback));
        } else {
            self.note_refused(cx, refused);
        }
    }

    fn note_refused(
        &mut self,
        cx: &mut Cx<'_>,
        refused: Option<(Priority, &'static str, crate::types::Nanos)>,
    ) {
        let key = refused.map(|(to, rule, _)| (to, rule));
        if self.refused == key {
            return;
        }
        self.refused = key;
        if let Some((to, rule, until)) = refused {
            let remaining_ms = until.saturating_sub(cx.now) / 1_000_000;
            cx.emit(EventKind::SwitchRefused { to, rule, remaining_ms });
        }
    }

    fn decide_forced(&mut self, cx: &mut Cx<'_>) {
        self.refused = None;
        let Some(best) = self.best_forced(cx) else {
            self.supersede_pending(cx, "no usable input is left");
            return self.nothing_left(cx);
        };
        match &self.pending {
            Some(pending) if pending.target == best => {}
            _ => self.begin(cx, best, Begin::default()),
        }
    }

    /// Decides a switch and brings its target up.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>, target: Priority, how: Begin) {
        self.supersede_pending(cx, "superseded by a later decision");
        let Some(i) = self.index_of(target) else { return };
        let (reason, detail) = match how.reason {
            Some(reason) => (reason, String::new()),
            None => self.forced_reason(),
        };
        if reason != SwitchReason::Initial {
            cx.emit(EventKind::SwitchDecided { from: self.active, to: target, reason });
        }
        self.pending = Some(Pending {
            target,
            reason,
            detail,
            upward: how.upward,
            manual: how.reason == Some(SwitchReason::Manual),
            forced: !self.active_is_eligible(),
            tickets: how.ticket.into_iter().collect(),
            override_set: false,
        });
        let input = &mut self.inputs[i];
        match &mut input.run {
            Some(run) => run.trial = false,
            None if input.config.hot => {
                input.wanted_since.get_or_insert(cx.now);
            }
            None => self.start_run(cx, i, false),
        }
    }

    /// Why the stream has to leave where it is.
    fn forced_reason(&self) -> (SwitchReason, String) {
        if self.exhausted {
            return (SwitchReason::Recovery, String::new());
        }
        if let Some((reason, detail)) = self.left {
            return (reason, detail.to_owned());
        }
        let Some(active) = self.active_input() else {
            return (SwitchReason::Initial, String::new());
        };
        match (&active.failure, &active.last_failure) {
            (Some(failure), _) => (failure.cause, failure.message.clone()),
            // Proved again meanwhile, but its activation had ended with that failure.
            (None, Some((_, why, cause))) => (*cause, why.clone()),
            (None, None) => (SwitchReason::Error, String::new()),
        }
    }

    /// Carries the pending switch as far as it can go now.
    pub(super) fn progress(&mut self, cx: &mut Cx<'_>) {
        let Some(pending) = &self.pending else { return };
        let Some(i) = self.index_of(pending.target) else { return };
        let input = &self.inputs[i];
        let accepted = input.config.hot || input.run.as_ref().is_some_and(|run| run.accepted);
        let cut = input.run.as_ref().is_some_and(|run| run.cut);
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
        pending.override_set = true;
        for ticket in std::mem::take(&mut pending.tickets) {
            cx.act(Action::Ticket { ticket, outcome: Ok(()) });
        }
        self.set_override(cx, target);
    }

    pub(super) fn set_override(&mut self, cx: &mut Cx<'_>, target: Priority) {
        if self.override_.replace(target) != Some(target) {
            cx.emit(EventKind::OverrideSet { input_priority: target });
        }
    }

    /// The stream carries the pending target from now on.
    fn take_effect(&mut self, cx: &mut Cx<'_>, i: usize) {
        let forced = !self.active_is_eligible();
        let (why_forced, why_detail) = self.forced_reason();
        let Some(pending) = self.pending.take() else { return };
        let (from, to) = (self.active, pending.target);
        let (reason, detail) = if self.exhausted {
            (SwitchReason::Recovery, String::new())
        } else if from.is_none() {
            (SwitchReason::Initial, String::new())
        } else if forced && !(pending.manual && pending.forced) {
            // The trigger that made it effective: the old one's end, unless it had come before.
            (why_forced, why_detail)
        } else {
            (pending.reason, pending.detail)
        };
        self.active = Some(to);
        self.left = None;
        self.end_leaving(cx);
        self.record_switch(cx, from, to, reason, detail);
        if self.exhausted {
            if self.inputs[i].proved {
                self.restore(cx, to);
            } else {
                self.recovery_recorded = true;
            }
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
    ) {
        if from == Some(to) && reason != SwitchReason::Recovery {
            return;
        }
        self.switches.push_front(Switch { at: cx.now, from, to, reason, detail: detail.clone() });
        self.switches.truncate(cx.policy.switch_history);
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
        cx.emit(EventKind::SwitchFailed {
            from: self.active,
            to: pending.target,
            reason: pending.reason,
            message: message.to_owned(),
        });
        if pending.override_set {
            self.drop_override_of(cx, pending.target, override_gone);
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
    fn nothing_left(&mut self, cx: &mut Cx<'_>) {
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
        cx.emit(EventKind::Exhausted);
        cx.act(Action::Exhausted);
    }

    fn note_restored_by_packets(&mut self, cx: &mut Cx<'_>) {
        if !self.exhausted || !self.active_delivers(cx) {
            return;
        }
        let Some(active) = self.active else { return };
        if !self.recovery_recorded {
            let detail = "ingest auto-reconnect".to_owned();
            self.record_switch(cx, Some(active), active, SwitchReason::Recovery, detail);
        }
        self.restore(cx, active);
    }

    fn restore(&mut self, cx: &mut Cx<'_>, input_priority: Priority) {
        self.exhausted = false;
        self.recovery_recorded = false;
        cx.emit(EventKind::Restored { input_priority });
        cx.act(Action::Restored);
    }

    fn note_redundancy(&mut self, cx: &mut Cx<'_>) {
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
        input.probe.in_flight = None;
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
            self.inputs[i].past_packets += leaving.run.packets;
            self.inputs[i].past_bytes += leaving.run.bytes;
        }
    }

    /// Stops every cold run that nobody wants any more.
    fn sweep(&mut self, cx: &mut Cx<'_>) {
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

/// How a switch is decided.
#[derive(Debug, Default)]
pub(super) struct Begin {
    /// `None`: whatever forces it.
    reason: Option<SwitchReason>,
    /// Only as long as the target is better than the active one.
    upward: bool,
    ticket: Option<u64>,
}

impl Begin {
    pub(super) fn upward(reason: SwitchReason) -> Self {
        Self { reason: Some(reason), upward: true, ticket: None }
    }

    pub(super) fn manual(ticket: u64) -> Self {
        Self { reason: Some(SwitchReason::Manual), upward: false, ticket: Some(ticket) }
    }
}
