//! §5.1, §6.2: who may carry the stream, and who is best.

use super::{Input, Model, Run};
use changeover::InputConfig;

/// How far a better input is from a failback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readiness {
    Ready,
    Until(u64),
    NextPacket,
    Unproved,
}

impl Model {
    pub(super) fn priorities(&self) -> Vec<i32> {
        self.inputs.keys().copied().collect()
    }

    pub(super) fn input_of(&self, epoch: u64) -> Option<i32> {
        let has = |input: &&Input| input.epoch() == Some(epoch);
        self.inputs.values().find(has).map(|input| input.config.priority)
    }

    /// The active input, unless it is being left.
    pub(super) fn active_input(&self) -> Option<&Input> {
        self.active.filter(|_| self.left.is_none()).and_then(|p| self.inputs.get(&p))
    }

    /// The stream is with an input that is a candidate and runs (hot: that is the host's to do),
    /// and is not just being started anew.
    pub(super) fn is_settled(&self) -> bool {
        let restarts = self.pending.as_ref().is_some_and(|p| Some(p.target) == self.active);
        let fit = |input: &Input| input.is_candidate() && (input.config.hot || input.run.is_some());
        !restarts && self.active_input().is_some_and(fit)
    }

    pub(super) fn active_delivers(&self) -> bool {
        self.is_settled() && self.active_input().is_some_and(|input| self.delivers(input))
    }

    /// What stays on the air though it is to be left. open: a hot input that was only switched
    /// off keeps its run, for its producer goes on.
    pub(super) fn leaving_run(&self) -> Option<(&InputConfig, &Run)> {
        if let Some(leaving) = &self.leaving {
            return Some((&leaving.config, &leaving.run));
        }
        let input =
            self.active.filter(|_| self.left.is_some()).and_then(|p| self.inputs.get(&p))?;
        let run = input.run.as_ref().filter(|_| input.config.hot && !input.enabled)?;
        Some((&input.config, run))
    }

    /// The epoch whose packets go out.
    pub(super) fn on_air(&self) -> Option<u64> {
        match self.leaving_run() {
            Some((_, run)) => Some(run.epoch),
            None => self.active_input().and_then(Input::epoch),
        }
    }

    /// What is on the air still delivers, so that a successor may take its time (§5.2).
    pub(super) fn air_delivers(&self) -> bool {
        match self.leaving_run() {
            Some((config, run)) => self.run_delivers(config, run),
            None => self.active_delivers(),
        }
    }

    /// §1 *delivering*: after a move forced by silence, also newer than the input left.
    fn known_to_deliver(&self, input: &Input) -> bool {
        let left = self.active_input().and_then(|left| left.failure.as_ref()?.silent_after);
        let stamp = input.run.as_ref().and_then(|run| run.stamp);
        self.delivers(input) && left.is_none_or(|left| stamp > Some(left))
    }

    /// §5.1: a move is never made to an input known to be worse off than the one left.
    fn known_to_be_worse(&self, input: &Input) -> bool {
        let left = self.active_input().filter(|l| l.config.priority != input.config.priority);
        let left = left.and_then(|left| left.failure.as_ref()?.silent_after);
        let stamp = input.run.as_ref().and_then(|run| run.stamp);
        left.zip(stamp).is_some_and(|(left, stamp)| stamp < left)
    }

    /// §5.1 for a move that failure forces.
    pub(super) fn best(&self) -> Option<i32> {
        let chosen = self.ordered_target().or(self.override_).or(self.hold.map(|h| h.priority));
        if let Some(chosen) = chosen.filter(|p| self.is_candidate(*p)) {
            return Some(chosen);
        }
        let nothing_failed = self.inputs.values().all(|input| input.failure.is_none());
        let beginning = self.active.is_none() && !self.exhausted && nothing_failed;
        let candidates = self.inputs.values().filter(|input| input.is_candidate());
        let rank = |input: &&Input| {
            let silent = !beginning && !self.known_to_deliver(input);
            // open: when everything was lost, one that a probe has proved goes first.
            let unproved = self.exhausted && silent && !input.proved;
            // open: of those not known to deliver, one that was started in vain on the word of a
            // probe comes after the others, and of several such the one of longest ago first.
            let vain_at = input.vain_at.filter(|_| !self.known_to_deliver(input));
            (silent, input.is_impaired(), unproved, vain_at, input.config.priority)
        };
        let fit = candidates.filter(|input| !self.known_to_be_worse(input));
        fit.min_by_key(rank).map(|input| input.config.priority)
    }

    pub(super) fn is_candidate(&self, p: i32) -> bool {
        self.inputs.get(&p).is_some_and(Input::is_candidate)
    }

    /// The target of an operator's order that is under way.
    pub(super) fn ordered_target(&self) -> Option<i32> {
        let pending = self.pending.as_ref();
        pending.filter(|p| p.kind == super::Kind::Manual).map(|pending| pending.target)
    }

    /// Strictly better than the active one.
    pub(super) fn is_higher(&self, p: i32) -> bool {
        self.is_settled() && self.active.is_some_and(|active| p < active)
    }

    /// The same, where no override or hold says otherwise.
    pub(super) fn is_upward(&self, p: i32) -> bool {
        self.override_.is_none() && self.hold.is_none() && self.is_higher(p)
    }

    /// §6.2: proved enough for a failback, cooldown aside.
    pub(super) fn readiness(&self, input: &Input) -> Readiness {
        if !input.is_candidate() || !input.proved || input.is_impaired() {
            return Readiness::Unproved;
        }
        if !input.config.hot {
            return Readiness::Ready;
        }
        let stamp = input.run.as_ref().and_then(|run| run.stamp);
        let Some((since, stamp)) = input.steady_since.zip(stamp) else {
            return Readiness::Unproved;
        };
        if !self.delivers(input) {
            return Readiness::Unproved;
        }
        let until = since.saturating_add(self.required_stability(input));
        match () {
            () if stamp >= until => Readiness::Ready,
            () if self.now < until => Readiness::Until(until),
            () => Readiness::NextPacket,
        }
    }

    pub(super) fn cooldown_end(&self) -> u64 {
        self.last_switch.map_or(0, |at| at.saturating_add(self.failback_cooldown()))
    }

    /// open: a cold input that flaps waits longer; a hot one has its stability for that.
    pub(super) fn cooldown_end_for(&self, input: &Input) -> u64 {
        if input.config.hot {
            return self.cooldown_end();
        }
        let cooldown = self.damped(input, self.failback_cooldown());
        self.last_switch.map_or(0, |at| at.saturating_add(cooldown))
    }

    pub(super) fn required_stability(&self, input: &Input) -> u64 {
        self.damped(input, self.failback_stable())
    }

    /// §6.6: usable = neither degraded nor stopped; an impaired one only while it carries.
    pub(super) fn usable(&self) -> usize {
        let usable = |input: &&Input| {
            let carries = self.left.is_none() && self.active == Some(input.config.priority);
            input.is_candidate() && (carries || !input.is_impaired())
        };
        self.inputs.values().filter(usable).count()
    }

    /// The input that a hold keeps the stream with though it is dead.
    pub(super) fn kept_in_death(&self) -> Option<i32> {
        let hold = self.hold.filter(|hold| hold.keep)?;
        (self.active == Some(hold.priority) && self.left.is_none()).then_some(hold.priority)
    }
}
