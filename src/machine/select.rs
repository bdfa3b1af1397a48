//! Who may carry the stream, and who is best.

use super::{Cx, Input, Machine};
use crate::types::{Nanos, Priority};

/// A failback that lasts for so long was a good one.
const CLEAN_NS: Nanos = 60_000_000_000;
/// No damping beyond this.
const MOST_DAMPED_NS: Nanos = 300_000_000_000;

/// How far a better input is from a failback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    /// It waits for this moment.
    Until(Nanos),
    /// It waits for its next packet.
    NextPacket,
    /// Evidence is missing.
    Unproved,
}

impl Machine {
    /// The active input is in the list, eligible, and running (or, hot, the host's to run). One
    /// whose activation has ended is not, though a probe may have proved it again, nor while it
    /// is being started anew.
    pub(super) fn active_is_eligible(&self) -> bool {
        let restarting = self.pending.as_ref().is_some_and(|p| Some(p.target) == self.active);
        !restarting
            && self.active_input().is_some_and(|input| {
                input.is_candidate() && (input.config.hot || input.run.is_some())
            })
    }

    pub(super) fn active_delivers(&self, cx: &Cx<'_>) -> bool {
        self.active_is_eligible() && self.active_input().is_some_and(|input| cx.delivers(input))
    }

    /// What is on the air still delivers, so that a successor may take its time.
    pub(super) fn air_delivers(&self, cx: &Cx<'_>) -> bool {
        match self.leaving_run() {
            Some((config, run)) => cx.run_delivers(config, run),
            None => self.active_delivers(cx) || self.trust_deadline(cx).is_some(),
        }
    }

    /// The active input is suspected because of what was learned of it: until its packet timeout
    /// it stays on the air, as long as nobody else delivers.
    pub(super) fn trust_deadline(&self, cx: &Cx<'_>) -> Option<Nanos> {
        let active = self.active_input()?;
        let suspected = active.failure.as_ref().is_some_and(|failure| failure.suspected);
        let run = active.run.as_ref().filter(|_| suspected)?;
        Some(cx.timeout_deadline(&active.config, run)).filter(|at| cx.now < *at)
    }

    /// Delivering, and after a move forced by silence, later than the one that is left.
    pub(super) fn known_to_deliver(&self, cx: &Cx<'_>, input: &Input) -> bool {
        let left = self.active_input().and_then(|input| input.failure.as_ref());
        let after = left.and_then(|failure| failure.silent_after);
        let stamp = input.run.as_ref().and_then(|run| run.stamp);
        cx.delivers(input) && (after.is_none() || stamp > after)
    }

    /// It has been silent for longer than the one that is left because of its silence.
    fn known_to_be_worse(&self, input: &Input) -> bool {
        let left = self.active_input().filter(|active| active.priority() != input.priority());
        let after = left.and_then(|left| left.failure.as_ref()?.silent_after);
        match (after, input.run.as_ref().and_then(|run| run.stamp)) {
            (Some(after), Some(stamp)) => stamp < after,
            _ => false,
        }
    }

    /// The best input for a move that failure forces: the override, then one that delivers, then
    /// (when everything was lost) one that is proved, then one that was not started in vain on the
    /// word of a probe since its last packet (or was so longest ago: two that answer probes and
    /// never deliver would keep the stream between them for ever), then the lowest number.
    pub(super) fn best_forced(&self, cx: &Cx<'_>) -> Option<Priority> {
        let candidates = || self.inputs.iter().filter(|input| input.is_candidate());
        let held = self.hold.map(|hold| hold.priority);
        // The latest order first.
        if let Some(chosen) = self.manual_target().or(self.override_).or(held)
            && candidates().any(|input| input.priority() == chosen)
        {
            return Some(chosen);
        }
        // Nothing has failed yet: the best is the lowest number, whoever happens to be first.
        let beginning = self.active.is_none()
            && !self.exhausted
            && self.inputs.iter().all(|input| input.failure.is_none());
        // One that is only suspected may well go on: better than to give up.
        let suspected = |input: &&Input| {
            input.enabled && input.is_suspected() && self.active != Some(input.priority())
        };
        candidates()
            .chain(self.inputs.iter().filter(suspected))
            .filter(|input| !self.known_to_be_worse(input))
            .min_by_key(|input| {
                let silent = !beginning && !self.known_to_deliver(cx, input);
                // An impaired one that delivers is a last resort, and better than none.
                let unproved = self.exhausted && silent && !input.proved;
                let suspected = input.failure.is_some();
                let vain_at = input.troubles.vain_at.filter(|_| !self.known_to_deliver(cx, input));
                (suspected, silent, input.is_impaired(), unproved, vain_at, input.priority())
            })
            .map(Input::priority)
    }

    pub(super) fn manual_target(&self) -> Option<Priority> {
        self.pending.as_ref().filter(|pending| pending.manual).map(|pending| pending.target)
    }

    /// Inputs strictly better than the active one, best first, where a voluntary move upwards is
    /// allowed at all.
    pub(super) fn better_inputs(&self) -> &[Input] {
        let bound = self.override_.is_some() || self.hold.is_some();
        if bound { &[] } else { self.higher_inputs() }
    }

    /// Inputs strictly better than the active one, best first.
    pub(super) fn higher_inputs(&self) -> &[Input] {
        match self.active {
            Some(active) if self.active_is_eligible() => {
                let end = self.inputs.partition_point(|input| input.priority() < active);
                &self.inputs[..end]
            }
            _ => &[],
        }
    }

    /// Whether an input is proved enough for a failback, cooldown aside.
    pub(super) fn readiness(&self, cx: &Cx<'_>, input: &Input) -> Readiness {
        if !input.is_candidate() || !input.proved || input.is_impaired() {
            return Readiness::Unproved;
        }
        if !input.config.hot {
            return Readiness::Ready;
        }
        let Some(run) = input.run.as_ref().filter(|_| cx.delivers(input)) else {
            return Readiness::Unproved;
        };
        let (Some(since), Some(stamp)) = (input.steady_since, run.stamp) else {
            return Readiness::Unproved;
        };
        let until = since.saturating_add(self.required_stability(cx, input));
        if stamp >= until {
            Readiness::Ready
        } else if cx.now < until {
            Readiness::Until(until)
        } else {
            Readiness::NextPacket
        }
    }

    /// When the failback cooldown ends.
    pub(super) fn cooldown_end(&self, cx: &Cx<'_>) -> Nanos {
        self.last_switch.map_or(0, |at| at.saturating_add(cx.policy.failback_cooldown_ns))
    }

    /// The same for a failback to this input: a cold one that flaps waits longer.
    pub(super) fn cooldown_end_for(&self, cx: &Cx<'_>, input: &Input) -> Nanos {
        if input.config.hot {
            return self.cooldown_end(cx);
        }
        let cooldown = self.damped(cx, input, cx.policy.failback_cooldown_ns);
        self.last_switch.map_or(0, |at| at.saturating_add(cooldown))
    }

    /// What a failback to the input has to wait for, as damped: stability of a hot one, the
    /// cooldown for a cold one.
    pub(super) fn failback_wait(&self, cx: &Cx<'_>, input: &Input) -> Nanos {
        if input.config.hot {
            self.required_stability(cx, input)
        } else {
            self.damped(cx, input, cx.policy.failback_cooldown_ns)
        }
    }

    /// How long a better hot input must have delivered without a gap.
    pub(super) fn required_stability(&self, cx: &Cx<'_>, input: &Input) -> Nanos {
        let own = self.failback_stable_ns;
        let stable = if own == 0 { cx.policy.failback_stable_ns } else { own };
        self.damped(cx, input, stable)
    }

    /// Doubled for each failback to the input that died young, up to five minutes.
    fn damped(&self, cx: &Cx<'_>, input: &Input, span: Nanos) -> Nanos {
        let clean = self.active == Some(input.priority())
            && input.damping.since.is_some_and(|since| cx.now - since >= CLEAN_NS);
        let level = if clean { 0 } else { u32::from(input.damping.level) };
        span.saturating_mul(1 << level.min(32)).min(MOST_DAMPED_NS.max(span))
    }

    /// The input that carries the stream has failed: was the failback to it in vain?
    pub(super) fn note_death(&mut self, cx: &Cx<'_>, i: usize) {
        let damping = &mut self.inputs[i].damping;
        if let Some(since) = damping.since.take() {
            let young = cx.now - since < CLEAN_NS;
            match (young, damping.by_failback) {
                (true, true) => damping.level = damping.level.saturating_add(1),
                (true, false) => {}
                (false, _) => damping.level = 0,
            }
        }
    }
}

/// A failback of that time has lasted long enough.
pub(super) fn was_clean(cx: &Cx<'_>, since: Nanos) -> bool {
    cx.now - since >= CLEAN_NS
}
