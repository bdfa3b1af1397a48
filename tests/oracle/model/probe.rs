//! §6.1: probes of cold inputs that do not run, and starts that take a probe's place.

use super::{Input, Model};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probed {
    Good,
    Bad,
    Unsupported,
}

impl Model {
    pub(super) fn probe(&mut self) {
        for p in self.priorities() {
            let input = &self.inputs[&p];
            let over = |(_, deadline)| self.now >= self.moved(deadline, self.probe_timeout());
            if input.in_flight.is_some_and(over) {
                self.probe_failed(p);
            }
            let input = &self.inputs[&p];
            let cooled =
                input.cooling_since.is_none_or(|at| self.now >= at + self.probe_cooldown());
            if !cooled || !self.wants_evidence(p) {
                continue;
            }
            // §10: no second probe until an abandoned one has returned; an exhausted stream
            // starts it instead.
            if !input.unsupported && input.outstanding.is_none() {
                self.last_probe += 1;
                let (ticket, deadline) = (self.last_probe, self.now + self.probe_timeout());
                let input = self.inputs.get_mut(&p).expect("known");
                (input.in_flight, input.outstanding) = (Some((ticket, deadline)), Some(ticket));
                let call = format!("probe {p} {}", input.config.address);
                self.call(call);
            } else if self.is_trial_worth_it(p)
                && (self.is_urgent(p) || self.now >= self.cooldown_end())
            {
                self.start(p, true);
            }
        }
    }

    /// A cold input that does not run and either has failed, or is better than the active one
    /// and unproved; one probe at a time.
    fn wants_evidence(&self, p: i32) -> bool {
        let Input { config, enabled, failure, proved, run, in_flight, .. } = &self.inputs[&p];
        let is_target = self.pending.as_ref().is_some_and(|pending| pending.target == p);
        !config.hot
            && *enabled
            && run.is_none()
            && in_flight.is_none()
            && !is_target
            && (failure.is_some() || (!proved && self.is_higher(p)))
    }

    /// The stream is off the air until this one is back.
    fn is_urgent(&self, p: i32) -> bool {
        self.exhausted || self.kept_in_death() == Some(p)
    }

    /// §6.1: where probing is unsupported, a start is the probe: every cooldown while exhausted,
    /// otherwise as a make-before-break failback.
    pub(super) fn is_trial_worth_it(&self, p: i32) -> bool {
        let served = self.is_settled() && self.active_input().is_some_and(|input| input.proved);
        if self.is_urgent(p) && !served {
            return true;
        }
        self.is_upward(p) && self.pending.is_none() && self.inputs[&p].unsupported
    }

    fn probe_failed(&mut self, p: i32) {
        let now = self.now;
        let input = self.inputs.get_mut(&p).expect("known");
        (input.in_flight, input.cooling_since) = (None, Some(now));
    }

    /// A probe has come back. `ticket`: the how-manieth of the stream it was.
    pub(crate) fn probed(&mut self, p: i32, ticket: u64, outcome: Probed) {
        self.hold_ended = false;
        if let Some(input) = self.inputs.get_mut(&p) {
            if input.outstanding == Some(ticket) {
                input.outstanding = None;
            }
            if input.in_flight.is_some_and(|(known, _)| known == ticket) {
                input.in_flight = None;
                match outcome {
                    Probed::Good => self.prove(p, "probe"),
                    Probed::Bad => self.probe_failed(p),
                    Probed::Unsupported => input.unsupported = true,
                }
            }
        }
        self.settle();
    }
}
