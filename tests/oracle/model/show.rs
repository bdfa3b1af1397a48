//! §9.1: the status, as lines of text that [`crate::view`] makes of the engine's status, too.

use changeover::{InputStatus, StreamStatus};

use super::{Input, MS, Model};

impl Model {
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.first_line()];
        lines.extend(self.inputs.values().map(|input| self.input_line(input)));
        lines.extend(self.switches.iter().map(|s| {
            format!(
                "switch {} {:?}>{} {} '{}' decided {} first {:?} stall {:?}",
                s.at, s.from, s.to, s.reason, s.detail, s.decided_at, s.first_packet, s.stall_us
            )
        }));
        lines.extend(self.notes.iter().map(|n| {
            let left = n.until.map(|until| until.saturating_sub(self.now) / MS);
            format!(
                "note {} {} {:?}>{:?} {} {:?} {left:?} '{}'",
                n.at, n.what, n.from, n.to, n.reason, n.rule, n.detail
            )
        }));
        lines
    }

    fn first_line(&self) -> String {
        let all_stopped =
            !self.inputs.is_empty() && self.inputs.values().all(|input| !input.enabled);
        let status = if self.air_delivers() {
            StreamStatus::Active
        } else if all_stopped {
            StreamStatus::Stopped
        } else if self.exhausted {
            StreamStatus::Degraded
        } else {
            StreamStatus::Idle
        };
        let runs = self.inputs.values().any(is_running) || self.leaving.is_some();
        let dead = self.kept_in_death().is_some() && !self.is_settled();
        let hold = self.hold.map(|hold| (hold.priority, hold.until, dead));
        format!(
            "{status:?} runs {runs} active {:?} override {:?} exhausted {} pending {:?} leaving {:?} \
             usable {} failovers {} buffer {} hold {hold:?}",
            self.active,
            self.override_,
            self.exhausted,
            self.pending.as_ref().map(|pending| pending.target),
            self.leaving_run().map(|(config, _)| config.priority),
            self.usable(),
            self.failovers,
            self.buffer,
        )
    }

    pub(crate) fn status_of(&self, input: &Input) -> InputStatus {
        let carries = self.left.is_none() && self.active == Some(input.config.priority);
        match () {
            () if !input.enabled => InputStatus::Stopped,
            () if input.failure.is_some() => InputStatus::Degraded,
            () if carries && self.delivers(input) => InputStatus::Active,
            () if carries => InputStatus::Idle,
            () if input.is_impaired() => InputStatus::Degraded,
            () => InputStatus::Idle,
        }
    }

    fn input_line(&self, input: &Input) -> String {
        let p = input.config.priority;
        let own = |l: &&super::Leaving| !l.removed && l.config.priority == p;
        let leaving = self.leaving.as_ref().filter(own).map(|leaving| &leaving.run);
        let runs = input.run.iter().chain(leaving);
        let packets = input.packets_before + runs.map(|run| run.packets).sum::<u64>();
        let wait = if input.config.hot {
            self.required_stability(input)
        } else {
            self.damped(input, self.failback_cooldown())
        };
        let raised = input.conditions.iter().filter(|known| known.raised);
        let raised: Vec<&str> = raised.map(|known| known.condition.name.as_str()).collect();
        let wrong: Vec<String> = self.wrongs(p).iter().map(|wrong| wrong.shown()).collect();
        format!(
            "{p} {:?} hot {} running {} proved {} e{:?} last {:?} packets {packets} errors {:?} \
             failure {:?} raised {raised:?} wrong {wrong:?} wait {}",
            self.status_of(input),
            input.config.hot,
            is_running(input),
            input.proved,
            input.epoch(),
            input.last_packet,
            input.errors,
            input.last_failure.as_ref().map(|(at, why, _)| (at, why)),
            wait / MS,
        )
    }

    /// Every open epoch, with the number of its input: what producers may record for.
    pub(crate) fn epochs(&self) -> Vec<(i32, u64)> {
        let inputs = self.inputs.values().filter_map(|i| Some((i.config.priority, i.epoch()?)));
        let leaving = self.leaving.iter().map(|l| (l.config.priority, l.run.epoch));
        inputs.chain(leaving).collect()
    }

    /// Whether anything keeps the engine's clock ticking, so that a stall is noticed.
    pub(crate) fn ticks(&self) -> bool {
        let ticks = |input: &Input| {
            let counts = input.enabled || self.active == Some(input.config.priority);
            input.run.as_ref().is_some_and(|run| {
                !input.config.hot || (counts && run.open) || input.is_candidate()
            })
        };
        self.leaving.is_some() || self.inputs.values().any(ticks)
    }

    /// Nothing is under way, and the stream is on the air.
    pub(crate) fn is_at_rest(&self) -> bool {
        let moves = self.pending.is_some() || self.left.is_some() || self.entry.is_some();
        !moves && self.active_delivers()
    }

    /// Nothing waits for this input's next packet.
    pub(crate) fn is_steady(&self, p: i32) -> bool {
        let rests = self.pending.is_none() && self.entry.is_none() && self.is_settled();
        self.inputs.get(&p).is_some_and(|input| {
            let flows = input.is_candidate() && self.delivers(input);
            rests && flows && self.readiness(input) != super::select::Readiness::NextPacket
        })
    }

    /// No failback is made by itself.
    pub(crate) fn failback_is_off(&self) -> bool {
        self.failback_never()
    }

    /// What unregistering stops: every activation that the driver knows of.
    pub(crate) fn activations(&self) -> Vec<u64> {
        let cold = self.inputs.values().filter(|input| !input.config.hot);
        let leaving = self.leaving.iter().filter(|l| !l.config.hot && !l.stopped);
        cold.filter_map(Input::epoch).chain(leaving.map(|l| l.run.epoch)).collect()
    }
}

/// §1 *running*.
fn is_running(input: &Input) -> bool {
    let runs = |run: &super::Run| match input.config.hot {
        true => run.open || run.last.is_some(),
        false => run.accepted,
    };
    input.run.as_ref().is_some_and(runs)
}
