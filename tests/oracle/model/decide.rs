//! §5, §6: where the stream belongs, given the facts. A level, not an edge.

use changeover::SwitchReason;

use super::select::Readiness;
use super::{Input, Kind, Model, Noted, Ordered, Pending, Wish};

impl Model {
    pub(super) fn decide(&mut self) {
        self.restored_by_packets();
        if self.is_settled() && !self.off_air_with_a_choice() {
            self.decide_voluntary();
        } else {
            self.decide_forced();
        }
        self.progress();
        self.stop_what_nobody_wants();
        self.note_redundancy();
    }

    /// Exhausted, waiting for the first packet of an unproved start, and another candidate has
    /// appeared that is better (§6.4: any candidate that appears starts at once).
    fn off_air_with_a_choice(&self) -> bool {
        self.exhausted
            && !self.active_delivers()
            && self.best().is_some_and(|best| Some(best) != self.active)
            && self.active_input().is_some_and(|input| !input.proved)
    }

    fn decide_voluntary(&mut self) {
        let stands = self.pending.as_ref().is_some_and(|pending| match pending.kind {
            Kind::Manual => true,
            Kind::Soft => self.soft_target_is_better(pending.target),
            Kind::Upward => {
                let target = &self.inputs[&pending.target];
                self.is_upward(pending.target) && !target.is_impaired()
            }
            Kind::Forced => false,
        });
        if !stands {
            self.supersede("the input on the air is good again");
        }
        let kept = self.pending.as_ref().map(|pending| (pending.target, pending.kind));
        if kept.is_some_and(|(_, kind)| kind == Kind::Manual) {
            return;
        }
        let mut refused = None;
        if self.active_input().is_some_and(Input::is_impaired) {
            match self.leave_impaired() {
                Ok(true) => return,
                Ok(false) => {}
                Err(wish) => refused = Some(wish),
            }
        }
        let reason =
            if self.hold_ended { SwitchReason::HoldReleased } else { SwitchReason::Failback };
        for p in self.priorities() {
            if !self.is_higher(p) || kept.is_some_and(|(target, _)| target <= p) {
                break;
            }
            match self.against_failback(p) {
                None => {}
                Some(None) => {
                    return self.begin(p, Kind::Upward, Some((reason, String::new())), None, None);
                }
                Some(Some((rule, until))) => {
                    let (to, detail) = (Some(p), String::new());
                    refused.get_or_insert(Wish { to, reason, rule, until, detail });
                }
            }
        }
        self.note_refused(refused);
    }

    /// What stands against a failback to a better input, and until when (`Some(None)`: nothing);
    /// `None` where there is no evidence for it.
    #[allow(clippy::option_option)]
    fn against_failback(&self, p: i32) -> Option<Option<(&'static str, Option<u64>)>> {
        let input = &self.inputs[&p];
        let ready = self.readiness(input);
        let cool = self.cooldown_end_for(input);
        Some(match ready {
            Readiness::Unproved => return None,
            _ if self.override_.is_some() => Some(("override", None)),
            _ if self.hold.is_some() => Some(("held", self.hold.map(|hold| hold.until))),
            _ if self.failback_never() => Some(("failback_never", None)),
            Readiness::Ready if self.now >= cool => None,
            Readiness::Until(until) if until > cool => Some(("failback_stable", Some(until))),
            Readiness::NextPacket if self.now >= cool => Some(("failback_stable", Some(self.now))),
            _ => Some(("failback_cooldown", Some(cool))),
        })
    }

    fn decide_forced(&mut self) {
        if let Some(kept) = self.kept_in_death()
            && self.ordered_target().is_none()
            && !self.is_candidate(kept)
        {
            self.supersede("the stream is held");
            let (reason, detail) = self.forced_reason();
            let until = self.hold.map(|hold| hold.until);
            let wish = Wish { to: self.best(), reason, rule: "held", until, detail };
            return self.note_refused(Some(wish));
        }
        let Some(best) = self.best() else {
            self.supersede("no usable input is left");
            return self.nothing_left();
        };
        if self.pending.as_ref().is_none_or(|pending| pending.target != best) {
            self.begin(best, Kind::Forced, None, None, None);
        }
    }

    /// §5.2: decided. Brings the target up.
    pub(super) fn begin(
        &mut self,
        target: i32,
        kind: Kind,
        why: Option<(SwitchReason, String)>,
        ticket: Option<usize>,
        hold: Option<Ordered>,
    ) {
        let (reason, detail) = why.unwrap_or_else(|| self.forced_reason());
        self.supersede("superseded by a later decision");
        self.refused = None;
        let from = self.active;
        if reason != SwitchReason::Initial {
            self.event(format!("decided {from:?}>{target} {reason}"));
            let (at, to, detail) = (self.now, Some(target), detail.clone());
            self.note(Noted {
                at,
                what: "decided",
                from,
                to,
                reason,
                rule: None,
                until: None,
                detail,
            });
        }
        self.pending = Some(Pending {
            target,
            reason,
            detail,
            decided_at: self.now,
            kind,
            forced: !self.is_settled(),
            tickets: ticket.into_iter().collect(),
            accepted: false,
            hold,
            armed: false,
        });
        let now = self.now;
        let input = self.inputs.get_mut(&target).expect("known");
        match &mut input.run {
            Some(run) => run.trial = false,
            None if input.config.hot => {
                input.wanted_since.get_or_insert(now);
            }
            None => self.start(target, false),
        }
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
        match (&active.failure, &active.last_failure) {
            (Some(failure), _) => (failure.cause, failure.why.clone()),
            // Proved again meanwhile, but its activation had ended with that failure.
            (None, Some((_, why, cause))) => (*cause, why.clone()),
            (None, None) => (SwitchReason::Error, String::new()),
        }
    }

    /// Reports what stands against a move; once, until something else does.
    pub(super) fn note_refused(&mut self, wish: Option<Wish>) {
        let Some(wish) = wish else {
            self.refused = None;
            return;
        };
        // A failback that the end of a hold would have allowed is a failback a moment later.
        let level = |reason| match reason {
            SwitchReason::HoldReleased => SwitchReason::Failback,
            other => other,
        };
        if let Some(known) = self.refused.as_mut()
            && (known.to, level(known.reason), known.rule)
                == (wish.to, level(wish.reason), wish.rule)
        {
            known.until = wish.until;
            return;
        }
        self.refused = Some(wish.clone());
        let Wish { to, reason, rule, until, detail } = wish;
        let left = until.map_or(0, |until| until.saturating_sub(self.now) / super::MS);
        self.event(format!("refused {to:?} {reason} {rule} {left} '{detail}'"));
        let (at, from, rule) = (self.now, self.active, Some(rule));
        self.note(Noted { at, what: "refused", from, to, reason, rule, until, detail });
    }

    /// §5.3: the driver stops what is no longer wanted.
    fn stop_what_nobody_wants(&mut self) {
        for p in self.priorities() {
            let input = &self.inputs[&p];
            let Some(run) = input.run.as_ref().filter(|_| !input.config.hot) else { continue };
            let wanted = (self.active == Some(p) && self.left.is_none())
                || self.pending.as_ref().is_some_and(|pending| pending.target == p)
                || (run.trial && run.last.is_none() && self.is_trial_worth_it(p));
            if !wanted {
                self.end_run(p);
            }
        }
    }

    /// §6.6.
    fn note_redundancy(&mut self) {
        let usable = self.usable();
        match (self.redundant.replace(usable >= 2), usable >= 2) {
            (Some(true), false) => self.event(format!("redundancy lost {usable}")),
            (Some(false), true) => self.event(format!("redundancy regained {usable}")),
            _ => {}
        }
    }
}
