//! §8: live edits.

use changeover::{EngineConfig, InputConfig, InputsUpdate, SwitchReason};

use super::{Input, Kind, Leaving, Model, Run};

impl Model {
    /// Whether an update is valid as a whole (§8.1).
    pub(crate) fn check_update(&self, update: &InputsUpdate) -> bool {
        let numbers =
            |inputs: &[InputConfig]| inputs.iter().map(|i| i.priority).collect::<Vec<_>>();
        let unique = |mut all: Vec<i32>| {
            let many = all.len();
            all.sort_unstable();
            all.dedup();
            all.len() == many
        };
        let known = |p: &i32| self.inputs.contains_key(p);
        let (added, updated) = (numbers(&update.added), numbers(&update.updated));
        unique(added.clone())
            && unique(updated.clone())
            && unique(update.removed.clone())
            && update.removed.iter().all(known)
            && added.iter().all(|p| !known(p) || update.removed.contains(p))
            && updated.iter().all(|p| known(p) && !update.removed.contains(p))
    }

    pub(crate) fn update(&mut self, update: InputsUpdate) {
        self.hold_ended = false;
        let InputsUpdate { added, removed, mut updated } = update;
        // §8.1: the same priority removed and added in one call is a replacement.
        let (replacing, added): (Vec<_>, Vec<_>) =
            added.into_iter().partition(|input| removed.contains(&input.priority));
        let replaced: Vec<i32> = replacing.iter().map(|input| input.priority).collect();
        let gone: Vec<i32> = removed.into_iter().filter(|p| !replaced.contains(p)).collect();
        updated.extend(replacing);

        // §8.3: the source on the air may live on under another number.
        let heir = self.find_heir(&gone, &added, &updated, &replaced);
        let bequest = heir.and_then(|heir| Some((heir, self.take_bequest()?)));
        let testator = bequest.as_ref().map(|(_, (from, _))| *from);
        for p in gone {
            self.remove(p, testator == Some(p));
        }
        for config in updated {
            let p = config.priority;
            let involved =
                bequest.as_ref().is_some_and(|(heir, (from, _))| p == *heir || p == *from);
            self.reconfigure(config, !involved, replaced.contains(&p));
        }
        let best_added = added.iter().map(|input| input.priority).min();
        for config in added {
            self.inputs.insert(config.priority, Input::new(config));
        }
        if let Some((heir, (from, run))) = bequest {
            self.adopt(heir, from, run);
        }
        // §8.2: added better than the active (no override): starts at once.
        if let Some(p) = best_added
            && self.is_upward(p)
            && !self.failback_never()
            && self.pending.as_ref().is_none_or(|q| q.kind != Kind::Manual && p < q.target)
        {
            let why = Some((SwitchReason::InputAdded, String::new()));
            self.begin(p, Kind::Upward, why, None, None);
        }
        self.settle();
    }

    /// Who describes the source on the air, where that is leaving, or is removed or edited now.
    fn find_heir(
        &self,
        gone: &[i32],
        added: &[InputConfig],
        updated: &[InputConfig],
        replaced: &[i32],
    ) -> Option<i32> {
        let source = match &self.leaving {
            Some(leaving) => &leaving.config,
            None => {
                // (One that has failed neither plays nor delivers.)
                let plays = |input: &&Input| input.run.is_some() && input.failure.is_none();
                let input = self.active_input().filter(plays)?;
                let p = input.config.priority;
                let elsewhere =
                    |new: &InputConfig| new.priority == p && new.address != input.config.address;
                if !gone.contains(&p) && !updated.iter().any(elsewhere) {
                    return None;
                }
                &input.config
            }
        };
        // open: one that the operator has switched off inherits nothing.
        let usable = |new: &&InputConfig| {
            replaced.contains(&new.priority)
                || self.inputs.get(&new.priority).is_none_or(|input| input.enabled)
        };
        let heirs = added.iter().chain(updated.iter().filter(usable));
        heirs
            .filter(|new| new.address == source.address && new.hot == source.hot)
            .map(|new| new.priority)
            .min()
    }

    fn take_bequest(&mut self) -> Option<(i32, Run)> {
        if let Some(leaving) = self.leaving.take() {
            return Some((leaving.config.priority, leaving.run));
        }
        let p = self.active?;
        let run = self.inputs.get_mut(&p)?.run.take()?;
        Some((p, run))
    }

    /// `goes_on`: its source lives on under another number, and the operator's word with it.
    fn remove(&mut self, p: i32, goes_on: bool) {
        if self.pending.as_ref().is_some_and(|pending| pending.target == p) {
            self.supersede("the target was removed");
        }
        if !goes_on {
            self.drop_override_of(p, "removed");
            self.drop_hold_of(p, "removed");
        }
        self.leave(p, SwitchReason::InputRemoved, "");
        self.end_run(p);
        self.inputs.remove(&p);
    }

    /// §8.2: if this is the active input, it is to be left; while it delivers it stays on the air.
    pub(super) fn leave(&mut self, p: i32, reason: SwitchReason, detail: &'static str) {
        if self.left.is_some() || self.active != Some(p) {
            return;
        }
        self.left = Some((reason, detail));
        let removed = reason == SwitchReason::InputRemoved;
        let delivers = self.delivers(&self.inputs[&p]);
        let input = self.inputs.get_mut(&p).expect("known");
        if (removed || !input.config.hot) && delivers {
            let config = input.config.clone();
            let leaving = |run| Leaving { config, run, removed, gone: removed, stopped: false };
            self.leaving = input.run.take().map(leaving);
        }
    }

    /// A new configuration under an old number. Another address is another source (§4.6).
    fn reconfigure(&mut self, config: InputConfig, bring_up: bool, replacement: bool) {
        let p = config.priority;
        if replacement {
            self.drop_override_of(p, "removed");
            self.drop_hold_of(p, "removed");
        }
        let old = &self.inputs[&p];
        // open: a replacement that describes the same source, and is fine, runs on.
        let same = old.config.address == config.address && old.config.hot == config.hot;
        if same && (!replacement || old.is_candidate()) {
            self.inputs.get_mut(&p).expect("known").config = config;
            return;
        }
        if let Some(leaving) = self.leaving.as_mut().filter(|l| l.config.priority == p) {
            leaving.removed = true;
        }
        self.end_run(p);
        let now = self.now;
        let carries = self.active == Some(p) && self.left.is_none();
        let is_target = self.pending.as_ref().is_some_and(|pending| pending.target == p);
        let input = self.inputs.get_mut(&p).expect("known");
        input.enabled |= replacement;
        input.had_recorder &= input.config.hot == config.hot;
        input.config = config;
        input.forget();
        if bring_up && (carries || is_target) {
            // §8.2: updated active: restarted on the new address, no history.
            if input.config.hot {
                input.wanted_since = Some(now);
            } else {
                self.start(p, false);
            }
        }
    }

    /// §8.3: adopted: no start, no stop, the same epoch, `rebind`, history `input_removed`.
    fn adopt(&mut self, heir: i32, from: i32, run: Run) {
        if self.pending.as_ref().is_some_and(|pending| pending.target == heir) {
            self.supersede("the source on the air took its number");
        }
        self.end_run(heir);
        let input = self.inputs.get_mut(&heir).expect("known");
        input.forget();
        input.proved = run.last.is_some();
        (input.last_packet, input.steady_since) = (run.stamp, run.stamp);
        let (epoch, hot) = (run.epoch, input.config.hot);
        // Whether its packets by id open an epoch is the source's to take along.
        input.had_recorder = !run.by_id_only;
        input.run = Some(run);
        if !hot {
            self.call(format!("rebind {from}>{heir} e{epoch}"));
        }
        // open: the operator chose the source, which has this number now.
        if let Some(hold) = self.hold.as_mut().filter(|hold| hold.priority == from) {
            hold.priority = heir;
        }
        if self.override_ == Some(from) {
            self.set_override(heir);
        }
        self.active = Some(heir);
        self.left = None;
        let (reason, now) = (SwitchReason::InputRemoved, self.now);
        self.record(Some(from), heir, reason, String::new(), now);
    }

    /// §8.4: what runs restarts on the new buffer, no history.
    pub(crate) fn write_to(&mut self, buffer: &str) {
        self.hold_ended = false;
        if buffer != self.buffer {
            buffer.clone_into(&mut self.buffer);
            for p in self.priorities() {
                let input = &self.inputs[&p];
                let Some(run) = input.run.as_ref().filter(|_| !input.config.hot) else { continue };
                // open: a degraded one that is kept running restarts too.
                let trial = input.failure.is_some() || run.trial;
                self.end_run(p);
                self.start(p, trial);
            }
        }
        self.settle();
    }

    /// §8.5.
    pub(crate) fn configure(&mut self, policy: EngineConfig) {
        self.hold_ended = false;
        self.policy = policy;
        self.settle();
    }
}

impl Input {
    /// Another source stands behind the number: health and history are forgotten. A probe call
    /// that has not come back has not come back (§10).
    fn forget(&mut self) {
        let fresh = Self::new(self.config.clone());
        let (enabled, outstanding, had_recorder) =
            (self.enabled, self.outstanding, self.had_recorder);
        *self = Self { enabled, outstanding, had_recorder, ..fresh };
    }
}
