//! Live edits: inputs added, removed, updated, switched off and on, and a new buffer.

use super::deciding::Begin;
use super::{Action, Cx, Input, Leaving, Machine};
use crate::config::{InputConfig, InputsUpdate};
use crate::events::EventKind;
use crate::sync::Arc;
use crate::types::{Priority, SwitchReason};

impl Machine {
    /// One atomic change of the inputs; the caller has validated it. At most one move results.
    pub(super) fn on_update(&mut self, cx: &mut Cx<'_>, update: InputsUpdate) {
        let InputsUpdate { added, removed, mut updated } = update;
        let (replacing, added): (Vec<_>, Vec<_>) =
            added.into_iter().partition(|input| removed.contains(&input.priority));
        let replaced: Vec<Priority> = replacing.iter().map(|input| input.priority).collect();
        let gone: Vec<Priority> =
            removed.into_iter().filter(|priority| !replaced.contains(priority)).collect();
        updated.extend(replacing);

        // The source on the air may live on under another number.
        let heir = self.find_heir(&gone, &added, &updated, &replaced);
        let bequest = heir.and_then(|_| self.take_bequest());

        for priority in gone {
            let goes_on = bequest.as_ref().is_some_and(|(from, _)| *from == priority);
            self.remove(cx, priority, goes_on);
        }
        // Neither end of a bequest is brought up by itself: the run goes from one to the other.
        let passed_on = [bequest.as_ref().and(heir), bequest.as_ref().map(|(from, _)| *from)];
        for config in updated {
            let (priority, bring_up) =
                (config.priority, !passed_on.contains(&Some(config.priority)));
            self.reconfigure(cx, config, bring_up, replaced.contains(&priority));
        }
        let mut best_added: Option<Priority> = None;
        for config in added {
            let priority = config.priority;
            let at = self.inputs.partition_point(|input| input.priority() < priority);
            self.inputs.insert(at, Input::new(config));
            best_added = Some(best_added.map_or(priority, |best| best.min(priority)));
        }

        if let (Some(heir), Some((from, run))) = (heir, bequest) {
            self.adopt(cx, heir, from, run);
        }
        if let Some(added) = best_added
            && self.better_inputs().iter().any(|input| input.priority() == added)
            && !self.failback.is_never(cx.policy.failback)
            && self.pending.as_ref().is_none_or(|p| !p.manual && added < p.target)
        {
            self.begin(cx, added, Begin::upward(SwitchReason::InputAdded));
        }
    }

    /// The best of the added and updated inputs that describes the source on the air, where that
    /// one is leaving, is removed, or gets another address now.
    fn find_heir(
        &self,
        gone: &[Priority],
        added: &[InputConfig],
        updated: &[InputConfig],
        replaced: &[Priority],
    ) -> Option<Priority> {
        let old = match &self.leaving {
            Some(leaving) => &leaving.config,
            None => {
                // One that has failed neither plays nor delivers: nobody inherits that.
                let good = |input: &Input| input.failure.is_none() || input.is_suspected();
                let plays = |input: &&Input| input.run.is_some() && good(input);
                let input = self.active_input().filter(plays)?;
                let (priority, address) = (input.priority(), &input.config.address);
                let leaves = gone.contains(&priority)
                    || updated
                        .iter()
                        .any(|new| new.priority == priority && new.address != *address);
                leaves.then_some(&input.config)?
            }
        };
        let usable = |new: &&InputConfig| {
            let known = self.index_of(new.priority).map(|i| &self.inputs[i]);
            replaced.contains(&new.priority) || known.is_none_or(|input| input.enabled)
        };
        let candidates = added.iter().chain(updated.iter().filter(usable));
        candidates
            .filter(|new| new.address == old.address && new.hot == old.hot)
            .map(|new| new.priority)
            .min()
    }

    /// The run on the air, and the number it had.
    fn take_bequest(&mut self) -> Option<(Priority, super::Run)> {
        if let Some(leaving) = self.leaving.take() {
            return Some((leaving.config.priority, leaving.run));
        }
        let i = self.active.and_then(|active| self.index_of(active))?;
        let from = self.inputs[i].priority();
        self.inputs[i].run.take().map(|run| (from, run))
    }

    /// `goes_on`: its source lives on under another number, and with it the operator's word.
    fn remove(&mut self, cx: &mut Cx<'_>, priority: Priority, goes_on: bool) {
        let Some(i) = self.index_of(priority) else { return };
        if self.pending.as_ref().is_some_and(|pending| pending.target == priority) {
            self.supersede_pending(cx, "the target was removed");
        }
        if !goes_on {
            self.drop_override_of(cx, priority, "removed");
            self.drop_hold_of(cx, priority, "removed");
        }
        self.leave(cx, i, SwitchReason::InputRemoved, "");
        self.end_run(cx, i);
        self.inputs.remove(i);
    }

    /// If this is the active input: it is to be left, but stays on the air while it delivers,
    /// until its successor does. A hot one that is only disabled keeps its run: its producer
    /// goes on.
    fn leave(&mut self, cx: &mut Cx<'_>, i: usize, reason: SwitchReason, detail: &'static str) {
        if self.left.is_some() || self.active != Some(self.inputs[i].priority()) {
            return;
        }
        self.left = Some((reason, detail));
        let removed = reason == SwitchReason::InputRemoved;
        let input = &mut self.inputs[i];
        if (removed || !input.config.hot) && cx.delivers(input) {
            let config = input.config.clone();
            let run = input.run.take();
            let leaving = |run| Box::new(Leaving { config, run, removed, stopped: false });
            self.leaving = run.map(leaving);
        }
    }

    /// A new configuration under an old number. Another address is another source.
    fn reconfigure(
        &mut self,
        cx: &mut Cx<'_>,
        config: InputConfig,
        bring_up: bool,
        replacement: bool,
    ) {
        let Some(i) = self.index_of(config.priority) else { return };
        let old = Arc::clone(&self.inputs[i].config);
        if replacement {
            self.drop_override_of(cx, config.priority, "removed");
            self.drop_hold_of(cx, config.priority, "removed");
        }
        // A removed input takes its failure with it; one that is fine runs on.
        let fresh_start = replacement && !self.inputs[i].is_candidate();
        let same_source = old.address == config.address && old.hot == config.hot;
        if same_source && !fresh_start {
            self.inputs[i].config = Arc::new(config);
            return;
        }
        self.inputs[i].enabled |= replacement;
        if let Some(leaving) =
            self.leaving.as_mut().filter(|l| l.config.priority == config.priority)
        {
            // What is still on the air is another source than this one from now on.
            leaving.removed = true;
        }
        self.end_run(cx, i);
        self.inputs[i].reset_health();
        self.inputs[i].wanted_since = None;
        self.inputs[i].config = Arc::new(config);
        let priority = Some(self.inputs[i].priority());
        let carries = priority == self.active && self.left.is_none();
        if !bring_up {
            return;
        }
        if carries || priority == self.pending.as_ref().map(|pending| pending.target) {
            self.bring_up(cx, i);
        }
    }

    /// Makes an input run that the stream wants: the driver's work, or the host's.
    fn bring_up(&mut self, cx: &mut Cx<'_>, i: usize) {
        if self.inputs[i].config.hot {
            self.inputs[i].wanted_since = Some(cx.now);
        } else {
            self.start_run(cx, i, false);
        }
    }

    /// The source on the air has another number now: no start, no stop, the same epoch.
    fn adopt(&mut self, cx: &mut Cx<'_>, heir: Priority, from: Priority, run: super::Run) {
        let Some(i) = self.index_of(heir) else { return };
        if self.pending.as_ref().is_some_and(|pending| pending.target == heir) {
            self.supersede_pending(cx, "the source on the air took its number");
        }
        self.end_run(cx, i);
        let input = &mut self.inputs[i];
        input.reset_health();
        input.wanted_since = None;
        input.proved = run.last.is_some();
        input.last_stamp = run.stamp;
        input.steady_since = run.stamp;
        let epoch = run.epoch;
        input.run = Some(run);
        let input = Arc::clone(&input.config);
        cx.act(Action::Rebind { from, input, epoch });
        if let Some(hold) = self.hold.as_mut().filter(|hold| hold.priority == from) {
            hold.priority = heir;
        }
        if self.override_ == Some(from) {
            // The operator chose the source, which has this number now.
            self.set_override(cx, heir);
        }
        self.active = Some(heir);
        self.left = None;
        let (reason, now) = (SwitchReason::InputRemoved, cx.now);
        self.record_switch(cx, Some(from), heir, reason, String::new(), now);
    }

    /// The operator switches an input off or on.
    pub(super) fn on_enable(&mut self, cx: &mut Cx<'_>, priority: Priority, enabled: bool) {
        let Some(i) = self.index_of(priority) else { return };
        if self.inputs[i].enabled == enabled {
            return;
        }
        if enabled {
            let flows = cx.delivers(&self.inputs[i]);
            let input = &mut self.inputs[i];
            input.enabled = true;
            input.proved = false;
            input.steady_since = None;
            input.probe.there().into_iter().for_each(|probe| probe.cooling_since = None);
            let is_left = self.left.is_some() && self.active == Some(priority);
            if is_left && let Some(leaving) = self.leaving.take_if(|leaving| !leaving.removed) {
                // It was to be left, and is still the one: nothing happens to it.
                input.run = Some(leaving.run);
                self.left = None;
            } else if is_left && self.leaving.is_none() && input.run.is_some() {
                // The same for a hot one.
                self.left = None;
            } else if let Some(run) = input.run.as_mut().filter(|_| !flows) {
                // A hot input that has been silent meanwhile: its clocks start anew.
                (run.since, run.reconnects, run.last) = (cx.now, false, None);
            }
            if input.failure.take().is_some() {
                cx.emit(EventKind::InputRecovered {
                    input_priority: priority,
                    evidence: "enabled",
                });
            }
            return;
        }
        if self.pending.as_ref().is_some_and(|pending| pending.target == priority) {
            self.supersede_pending(cx, "the target was disabled");
        }
        self.drop_override_of(cx, priority, "disabled");
        self.drop_hold_of(cx, priority, "disabled");
        self.take_off_the_air(i);
        self.leave(cx, i, SwitchReason::Manual, "disabled");
        if !self.inputs[i].config.hot {
            self.end_run(cx, i);
        }
        let input = &mut self.inputs[i];
        input.enabled = false;
        input.proved = false;
        input.wanted_since = None;
        input.probe.there().into_iter().for_each(|probe| probe.in_flight = None);
    }

    /// Ingest writes elsewhere from now on: what runs for the stream restarts.
    pub(super) fn on_buffer(&mut self, cx: &mut Cx<'_>, buffer: Arc<str>) {
        if buffer == self.buffer_write_id {
            return;
        }
        self.buffer_write_id = buffer;
        for i in 0..self.inputs.len() {
            let input = &self.inputs[i];
            if input.config.hot || input.run.is_none() {
                continue;
            }
            // A degraded one that is kept running restarts too, and stays degraded until its
            // packets come.
            let trial = input.failure.is_some() || input.run.as_ref().is_some_and(|run| run.trial);
            self.end_run(cx, i);
            self.start_run(cx, i, trial);
        }
    }
}
