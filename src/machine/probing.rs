//! Probes of cold inputs that do not run, and starts that take a probe's place.

use super::select::Readiness;
use super::{Action, Cx, Input, Machine, ProbeOutcome};
use crate::types::{Nanos, Priority};

impl Machine {
    /// Probes that are over time have failed; probes and trials that are due begin.
    pub(super) fn run_probes(&mut self, cx: &mut Cx<'_>) {
        for i in 0..self.inputs.len() {
            if let Some((_, deadline)) = self.inputs[i].probe.in_flight
                && cx.now >= cx.stall.extend(deadline, cx.policy.probe_timeout_ns)
            {
                self.probe_failed(cx, i);
            }
            if !self.probe_wanted(i) || cx.now < cx.probe_due(&self.inputs[i].probe) {
                continue;
            }
            let input = &self.inputs[i];
            if input.can_probe() {
                let ticket = self.next_probe;
                self.next_probe += 1;
                let deadline = cx.now.saturating_add(cx.policy.probe_timeout_ns);
                let input = &mut self.inputs[i];
                input.probe.in_flight = Some((ticket, deadline));
                input.probe.outstanding = Some(ticket);
                cx.act(Action::Probe { input: input.config.clone(), ticket, deadline });
            } else if input.only_start_proves()
                && self.trial_is_worth_it(input)
                && (self.is_urgent(input) || cx.now >= self.cooldown_end(cx))
            {
                self.start_run(cx, i, true);
            }
        }
    }

    /// Whether evidence about this input is wanted: it has failed, or it is better than the
    /// active one and nothing is known of it.
    pub(super) fn probe_wanted(&self, i: usize) -> bool {
        let input = &self.inputs[i];
        let is_target = self.pending.as_ref().is_some_and(|p| p.target == input.priority());
        if input.config.hot
            || !input.enabled
            || input.run.is_some()
            || is_target
            || input.probe.in_flight.is_some()
        {
            return false;
        }
        input.failure.is_some() || (!input.proved && self.is_better(input.priority()))
    }

    fn is_better(&self, priority: Priority) -> bool {
        self.active_is_eligible() && self.active.is_some_and(|active| priority < active)
    }

    /// The stream is off the air until this input is back.
    fn is_urgent(&self, input: &Input) -> bool {
        self.exhausted || self.kept_in_death() == Some(input.priority())
    }

    /// A start in a probe's place: whenever the stream is exhausted; otherwise only as a
    /// failback in the making, where no probe exists.
    pub(super) fn trial_is_worth_it(&self, input: &Input) -> bool {
        let settled = self.active_is_eligible() && self.active_input().is_some_and(|a| a.proved);
        if self.is_urgent(input) && !settled {
            return true;
        }
        let upward =
            self.better_inputs().iter().any(|better| better.priority() == input.priority());
        upward && self.pending.is_none() && input.probe.unsupported
    }

    fn probe_failed(&mut self, cx: &mut Cx<'_>, i: usize) {
        let probe = &mut self.inputs[i].probe;
        probe.in_flight = None;
        probe.cooling_since = Some(cx.now);
    }

    /// A probe has come back. Its result counts only if it is the one in flight: the input was
    /// not edited, removed or started meanwhile, has not delivered by itself, and the probe was
    /// not over time.
    pub(super) fn on_probed(
        &mut self,
        cx: &mut Cx<'_>,
        priority: Priority,
        ticket: u64,
        outcome: ProbeOutcome,
    ) {
        let Some(i) = self.index_of(priority) else { return };
        let probe = &mut self.inputs[i].probe;
        if probe.outstanding == Some(ticket) {
            probe.outstanding = None;
        }
        if probe.in_flight.is_none_or(|(in_flight, _)| in_flight != ticket) {
            return;
        }
        probe.in_flight = None;
        match outcome {
            ProbeOutcome::Good => self.prove(cx, i, cx.now, "probe"),
            ProbeOutcome::Bad => self.probe_failed(cx, i),
            // The cooldown is over, and stays so: a start may follow at once.
            ProbeOutcome::Unsupported => probe.unsupported = true,
        }
    }

    /// The next moment at which probing has something to do.
    pub(super) fn probe_deadline(&self, cx: &Cx<'_>, i: usize) -> Option<Nanos> {
        let input = &self.inputs[i];
        if let Some((_, deadline)) = input.probe.in_flight {
            return Some(cx.stall.extend(deadline, cx.policy.probe_timeout_ns));
        }
        if !self.probe_wanted(i) {
            return None;
        }
        let due = cx.probe_due(&input.probe);
        if input.can_probe() {
            Some(due)
        } else if input.only_start_proves() && self.trial_is_worth_it(input) {
            Some(if self.is_urgent(input) { due } else { due.max(self.cooldown_end(cx)) })
        } else {
            None
        }
    }

    /// The next moment at which a failback may become possible by time alone.
    pub(super) fn failback_deadline(&self, cx: &Cx<'_>) -> Option<Nanos> {
        let moments =
            self.better_inputs().iter().filter_map(|input| match self.readiness(cx, input) {
                Readiness::Ready => Some(self.cooldown_end_for(cx, input)),
                Readiness::Until(until) => Some(until),
                // Its next packet will do then: another refusal than before.
                Readiness::NextPacket => Some(self.cooldown_end_for(cx, input)),
                Readiness::Unproved => None,
            });
        moments.filter(|at| *at > cx.now).min()
    }
}
