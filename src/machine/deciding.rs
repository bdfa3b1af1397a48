//! Deciding where the stream belongs, and what stands against going there.

use super::hold::HOLD_RELEASED;
use super::ledger::{Decision, Gate, Wish};
use super::select::Readiness;
use super::{Action, Cx, Input, Machine, Pending};
use crate::events::EventKind;
use crate::rules::Hold;
use crate::types::{Nanos, Priority, SwitchReason};

impl Machine {
    /// Puts the stream where it belongs, given the facts. A level, not an edge: called after
    /// every event, and asking nothing of what the event was.
    pub(super) fn decide(&mut self, cx: &mut Cx<'_>) {
        self.note_restored_by_packets(cx);
        self.stop_what_is_only_observed(cx);
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
        let impaired = self.active_input().is_some_and(Input::is_impaired);
        let still_better = self.pending_is_still_better(cx);
        let kept = self.pending.as_ref().filter(|pending| {
            let target = self.index_of(pending.target).map(|i| &self.inputs[i]);
            let fit = target.is_some_and(|target| !target.is_impaired());
            pending.manual
                || (pending.soft && still_better)
                || (pending.upward
                    && fit
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
        if impaired {
            match self.leave_impaired(cx) {
                Ok(true) => return,
                Ok(false) => {}
                Err(wish) => refused = Some(wish),
            }
        }
        let reason =
            if self.hold_ended { SwitchReason::HoldReleased } else { SwitchReason::Failback };
        let mut target = None;
        for input in self.higher_inputs() {
            if kept.is_some_and(|(target, _)| target <= input.priority()) {
                break;
            }
            let readiness = self.readiness(cx, input);
            let remaining = match self.standing_against_failback(cx, input, readiness) {
                Ok(None) => {
                    target = Some(input.priority());
                    break;
                }
                Ok(Some(remaining)) => remaining,
                Err(()) => continue,
            };
            let (rule, until) = remaining;
            let (to, detail) = (Some(input.priority()), String::new());
            refused.get_or_insert(Wish { to, reason, rule, until, detail });
        }
        if let Some(target) = target {
            self.begin(cx, target, Begin::upward(reason));
        } else {
            self.note_refused(cx, refused);
        }
    }

    /// The rule that stands against a failback to a better input, and until when; an error where
    /// there is no evidence for it.
    fn standing_against_failback(
        &self,
        cx: &Cx<'_>,
        input: &Input,
        readiness: Readiness,
    ) -> Result<Option<(&'static str, Option<Nanos>)>, ()> {
        let cooldown_end = self.cooldown_end_for(cx, input);
        let first_packet = input.troubles.vain_at.and_then(|_| self.first_packet_due(cx));
        let standing = match readiness {
            Readiness::Unproved => return Err(()),
            _ if self.override_.is_some() => ("override", None),
            _ if self.hold.is_some() => ("held", self.hold.map(|hold| hold.expires_at)),
            _ if self.failback.is_never(cx.policy.failback) => ("failback_never", None),
            _ if first_packet.is_some() => ("first_packet", first_packet),
            Readiness::Ready if cx.now >= cooldown_end => return Ok(None),
            Readiness::Ready => ("failback_cooldown", Some(cooldown_end)),
            Readiness::Until(until) if until > cooldown_end => ("failback_stable", Some(until)),
            Readiness::Until(_) => ("failback_cooldown", Some(cooldown_end)),
            Readiness::NextPacket if cx.now < cooldown_end => {
                ("failback_cooldown", Some(cooldown_end))
            }
            // Its next packet will do; still the same refusal.
            Readiness::NextPacket => ("failback_stable", Some(cx.now)),
        };
        Ok(Some(standing))
    }

    /// The active input is still to deliver its first packet, and has time until then. An input
    /// that has not delivered either, when it was tried, does not take that chance from it: two
    /// such would never let it have it.
    fn first_packet_due(&self, cx: &Cx<'_>) -> Option<Nanos> {
        let active = self.active_input().filter(|active| active.is_candidate())?;
        let run = active.run.as_ref().filter(|run| run.counts.packets == 0)?;
        Some(cx.silence_deadline(&active.config, run).0)
    }

    fn decide_forced(&mut self, cx: &mut Cx<'_>) {
        // An order of the operator's that came later is stronger than the hold.
        if let Some(kept) = self.kept_in_death().filter(|_| self.manual_target().is_none()) {
            let back = self.index_of(kept).is_some_and(|i| self.inputs[i].is_candidate());
            if !back {
                // Dead and held: nothing but its own return, or the end of the hold, matters.
                self.supersede_pending(cx, "the stream is held");
                let to = self.best_forced(cx);
                let (reason, detail) = self.forced_reason();
                let until = self.hold.map(|hold| hold.expires_at);
                let wish = Wish { to, reason, rule: "held", until, detail };
                return self.note_refused(cx, Some(wish));
            }
        }
        let Some(best) = self.best_forced(cx) else {
            if self.trust_deadline(cx).is_some() {
                // Only suspected: with nobody to go to, it may as well go on.
                return;
            }
            self.supersede_pending(cx, "no usable input is left");
            return self.nothing_left(cx);
        };
        match &self.pending {
            Some(pending) if pending.target == best => {}
            _ => self.begin(cx, best, Begin::default()),
        }
    }

    /// Observe-only came while a switch was on its way: it is not carried out.
    fn stop_what_is_only_observed(&mut self, cx: &mut Cx<'_>) {
        let Some(pending) = &self.pending else { return };
        let run = self.index_of(pending.target).and_then(|i| self.inputs[i].run.as_ref());
        let made = run.is_some_and(|run| run.cut);
        let elsewhere = self.active.is_some_and(|active| active != pending.target);
        if self.is_observed(cx) && elsewhere && self.left.is_none() && !made {
            self.supersede_pending(cx, "observe-only: nothing is moved");
        }
    }

    /// Whether moves are only to be reported.
    pub(super) fn is_observed(&self, cx: &Cx<'_>) -> bool {
        self.observe.unwrap_or(cx.policy.observe)
    }

    /// Decides a switch and brings its target up.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>, target: Priority, how: Begin) {
        let Some(i) = self.index_of(target) else { return };
        let (reason, detail) = match how.reason {
            Some(reason) => (reason, how.detail),
            None => self.forced_reason(),
        };
        let elsewhere = self.left.is_none() && self.active.is_some_and(|active| active != target);
        if self.is_observed(cx) && elsewhere {
            return self.only_report(cx, target, reason, detail, how.ticket);
        }
        let waited = self.waited_for_keyframe(cx, target);
        self.supersede_pending(cx, "superseded by a later decision");
        self.refused = None;
        if reason != SwitchReason::Initial {
            self.report_decided(cx, target, reason, &detail);
        }
        // Nothing is cut where nothing was, or where the same input goes on.
        let moves = match self.active {
            Some(active) => active != target,
            None => !self.switches.is_empty(),
        };
        let max_wait = moves.then(|| self.cut.max_wait_ns(cx.policy.cut)).flatten();
        self.pending = Some(Box::new(Pending {
            target,
            reason,
            detail,
            decided_at: cx.now,
            upward: how.upward,
            soft: how.soft,
            manual: how.ticket.is_some(),
            forced: !self.active_is_eligible(),
            tickets: how.ticket.into_iter().collect(),
            override_set: false,
            hold: how.hold,
            armed: false,
            gate: max_wait.map(|max_wait| Gate::new(max_wait, waited)),
        }));
        let input = &mut self.inputs[i];
        match &mut input.run {
            Some(run) => run.trial = false,
            None if input.config.hot => {
                input.wanted_since.get_or_insert(cx.now);
            }
            None => self.start_run(cx, i, false),
        }
    }

    fn report_decided(
        &mut self,
        cx: &mut Cx<'_>,
        target: Priority,
        reason: SwitchReason,
        detail: &str,
    ) {
        let (from, to) = (self.active, target);
        cx.emit(EventKind::SwitchDecided { from, to, reason });
        let (at, to, detail) = (cx.now, Some(to), detail.to_owned());
        let decision =
            Decision { at, what: "decided", from, to, reason, rule: None, until: None, detail };
        self.enter(cx, decision);
    }

    /// Observe-only: the decision is reported, and that it is not carried out.
    fn only_report(
        &mut self,
        cx: &mut Cx<'_>,
        target: Priority,
        reason: SwitchReason,
        detail: String,
        ticket: Option<u64>,
    ) {
        let rule = "observe";
        if let Some(ticket) = ticket {
            let outcome = Err("observe-only: nothing is moved".to_owned());
            cx.act(Action::Ticket { ticket, outcome });
            let to = Some(target);
            return self.report_refused(cx, Wish { to, reason, rule, until: None, detail });
        }
        if !self.is_refused(Some(target), reason, rule) {
            self.report_decided(cx, target, reason, &detail);
        }
        let to = Some(target);
        self.note_refused(cx, Some(Wish { to, reason, rule, until: None, detail }));
    }

    /// Why the stream has to leave where it is.
    pub(super) fn forced_reason(&self) -> (SwitchReason, String) {
        if self.exhausted {
            return (SwitchReason::Recovery, String::new());
        }
        if let Some((reason, detail)) = self.left {
            return (reason, detail.to_owned());
        }
        let Some(active) = self.active_input() else {
            return (SwitchReason::Initial, String::new());
        };
        if self.hold_ended {
            return (SwitchReason::HoldReleased, String::new());
        }
        match (&active.failure, &active.troubles.last_failure) {
            (Some(failure), _) => (failure.cause, failure.message.clone()),
            // Proved again meanwhile, but its activation had ended with that failure.
            (None, Some((_, why, cause))) => (*cause, why.clone()),
            (None, None) => (SwitchReason::Error, String::new()),
        }
    }

    /// The same, for a move that becomes effective now.
    pub(super) fn effective_reason(
        &self,
        pending: &Pending,
        forced: bool,
    ) -> (SwitchReason, String) {
        if self.exhausted {
            return (SwitchReason::Recovery, String::new());
        }
        if self.active.is_none() {
            return (SwitchReason::Initial, String::new());
        }
        let given = (pending.reason, pending.detail.clone());
        if !forced
            || (pending.manual && pending.forced)
            || pending.reason == SwitchReason::HoldReleased
        {
            return given;
        }
        // The trigger that made it effective: the old one's end, unless it had come before.
        let (reason, detail) = self.forced_reason();
        if self.hold_died == self.active {
            return (reason, HOLD_RELEASED.to_owned());
        }
        (reason, detail)
    }
}

/// How a switch is decided.
#[derive(Debug, Default)]
pub(super) struct Begin {
    /// `None`: whatever forces it.
    reason: Option<SwitchReason>,
    detail: String,
    /// Only as long as the target is better than the active one.
    upward: bool,
    /// Only as long as the active one is impaired.
    soft: bool,
    ticket: Option<u64>,
    hold: Option<Hold>,
}

impl Begin {
    pub(super) fn upward(reason: SwitchReason) -> Self {
        Self { reason: Some(reason), upward: true, ..Self::default() }
    }

    pub(super) fn soft(reason: SwitchReason, detail: String) -> Self {
        Self { reason: Some(reason), detail, soft: true, ..Self::default() }
    }

    pub(super) fn manual(ticket: u64, hold: Option<Hold>) -> Self {
        let reason = Some(SwitchReason::Manual);
        Self { reason, ticket: Some(ticket), hold, ..Self::default() }
    }
}
