//! What a machine wants to be called for: its next deadline, packets that matter at once, and
//! whether it is at rest until then.

use super::select::Readiness;
use super::{Input, Machine};
use crate::config::Policy;
use crate::publish::Stall;
use crate::types::{Epoch, FOREVER_NS, Nanos};

impl Machine {
    /// When to call again, if nothing happens before.
    pub(crate) fn next_deadline(&self, now: Nanos, policy: &Policy, stall: Stall) -> Option<Nanos> {
        let mut nothing = Vec::new();
        let cx = self.cx(now, policy, stall, &mut nothing);
        let per_input = (0..self.inputs.len()).flat_map(|i| {
            [
                self.run_deadline(&cx, i).map(|(at, _)| at),
                self.probe_deadline(&cx, i),
                self.health_deadline(&cx, i),
            ]
        });
        let hold = self.hold.map(|hold| hold.expires_at);
        let (trust, refusal) = (self.trust_deadline(&cx), self.refusal_deadline(&cx));
        let moments = [hold, self.gate_deadline(), trust, refusal];
        let leaving = self.leaving_run().map(|(config, run)| cx.silence_deadline(config, run).0);
        let leaving = leaving.filter(|at| *at > now);
        per_input
            .chain([leaving, self.failback_deadline(&cx)])
            .chain(moments)
            .flatten()
            .filter(|at| *at < FOREVER_NS)
            .min()
    }

    /// Whether nothing but silence can make anything of the stream by time: calls `each` with
    /// every activation that has to deliver, and how much silence is its failure. As long as
    /// `each` answers true, and they deliver, a look would find nothing to do.
    pub(crate) fn rests_while(
        &self,
        now: Nanos,
        policy: &Policy,
        stall: Stall,
        mut each: impl FnMut(Epoch, Nanos) -> bool,
    ) -> bool {
        let mut nothing = Vec::new();
        let cx = self.cx(now, policy, stall, &mut nothing);
        let moves = self.pending.is_some() || self.leaving_run().is_some() || self.left.is_some();
        if moves
            || self.entry.is_some()
            || self.hold.is_some()
            || self.failback_deadline(&cx).is_some()
            || self.trust_deadline(&cx).is_some()
            || self.refusal_deadline(&cx).is_some()
            || self.is_sampled(&cx)
        {
            return false;
        }
        (0..self.inputs.len()).all(|i| {
            let input = &self.inputs[i];
            if self.probe_deadline(&cx, i).is_some() || self.health_deadline(&cx, i).is_some() {
                return false;
            }
            match (self.run_deadline(&cx, i), &input.run) {
                (None, _) => true,
                (Some((_, span)), Some(run)) if run.last.is_some() && input.failure.is_none() => {
                    let learns = self.rules_of(&cx, input).is_some_and(|rules| rules.learns());
                    !learns && run.learned.is_none() && each(run.epoch, span)
                }
                _ => false,
            }
        })
    }

    /// The epochs whose next packet matters at once.
    pub(crate) fn watched(&self, now: Nanos, policy: &Policy, stall: Stall, out: &mut Vec<Epoch>) {
        let mut nothing = Vec::new();
        let cx = self.cx(now, policy, stall, &mut nothing);
        // Degraded, but nothing is known to be better: whoever delivers first gets the stream.
        let open_choice = !self.active_is_eligible() && self.pending.is_none();
        // One that was switched off before it delivered is still on the air.
        let awaited =
            |input: &Input| self.active == Some(input.priority()) && self.awaits_first_packet();
        for input in self.inputs.iter().filter(|input| input.enabled || awaited(input)) {
            let Some(run) = &input.run else { continue };
            let next_packet_is_ripe = || {
                self.better_inputs().iter().any(|better| better.priority() == input.priority())
                    && self.readiness(&cx, input) == Readiness::NextPacket
            };
            let carries = self.active == Some(input.priority());
            // Dead, and the successor is still to come: who delivers before it is the better one.
            let may_overtake = self.pending.is_some()
                && !self.active_is_eligible()
                && !self.known_to_deliver(&cx, input);
            let is_target = self.pending.as_ref().is_some_and(|p| p.target == input.priority());
            // One that waits for its keyframe only tells of the cut, by itself.
            let next_packet_counts =
                is_target || (carries && self.awaits_first_packet()) || next_packet_is_ripe();
            if open_choice
                || may_overtake
                || input.failure.is_some()
                || !input.proved
                || run.last.is_none()
                || (next_packet_counts && !self.waits_for_keyframe(run.epoch))
            {
                out.push(run.epoch);
            }
        }
    }
}
