//! What others may read of a machine: status, health, and the facts that calls are checked
//! against.

use std::time::SystemTime;

use super::Totals;
use super::meter::Rates;
use super::soft::window_of;
use super::{Cx, Input, Machine, Sample};
use crate::config::Policy;
use crate::publish::Stall;
use crate::status::{
    DecisionEntry, ErrorEntry, HoldStatus, ImpairedEntry, InputHealth, InputHealthSnapshot,
    LearnedStatus, RuntimeStatus, SwitchEvent,
};
use crate::types::{Epoch, InputStatus, Nanos, Priority, StreamStatus};

/// Why an input cannot be switched to.
pub(crate) enum NotEligible {
    Unknown,
    Stopped,
    Degraded(String),
}

/// Inputs that keep the engine's clock ticking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticking {
    /// By packets that are stamped with the published time.
    pub(crate) published: usize,
    /// By packets that their producers stamp by the clock.
    pub(crate) precise: usize,
}

impl Machine {
    pub(crate) fn check_switch(&self, priority: Priority) -> Result<(), NotEligible> {
        let i = self.index_of(priority).ok_or(NotEligible::Unknown)?;
        let input = &self.inputs[i];
        if !input.enabled {
            return Err(NotEligible::Stopped);
        }
        let why = match &input.failure {
            Some(failure) => Some(failure.message.clone()),
            None => self.soft_refusal(priority),
        };
        why.map_or(Ok(()), |why| Err(NotEligible::Degraded(why)))
    }

    /// What is wrong with a standby that is impaired, and so degraded.
    pub(crate) fn soft_refusal(&self, priority: Priority) -> Option<String> {
        let i = self.index_of(priority)?;
        let carries = self.left.is_none() && self.active == Some(priority);
        let soft = self.inputs[i].soft.as_ref().filter(|soft| !carries && soft.is_failed())?;
        Some(soft.what_failed())
    }

    /// The samples' counts and times, without any decision: for a copy that is shown.
    pub(crate) fn refreshed(
        &self,
        now: Nanos,
        policy: &Policy,
        stall: Stall,
        samples: &[(Epoch, Sample)],
    ) -> Self {
        let mut copy = self.clone();
        let mut nothing = Vec::new();
        let mut cx = self.cx(now, policy, stall, &mut nothing);
        for (epoch, sample) in samples {
            copy.observe(&mut cx, *epoch, sample);
        }
        copy
    }

    pub(crate) fn status(
        &self,
        stream: &str,
        now: Nanos,
        policy: &Policy,
        stall: Stall,
        wall: impl Fn(Nanos) -> SystemTime,
    ) -> RuntimeStatus {
        let mut nothing = Vec::new();
        let cx = self.cx(now, policy, stall, &mut nothing);
        let wall = &wall;
        let all_stopped = !self.inputs.is_empty() && self.inputs.iter().all(|input| !input.enabled);
        let status = if self.air_delivers(&cx) {
            StreamStatus::Active
        } else if all_stopped {
            StreamStatus::Stopped
        } else if self.exhausted {
            StreamStatus::Degraded
        } else {
            StreamStatus::Idle
        };
        let runs = self.inputs.iter().any(is_running) || self.leaving.is_some();
        RuntimeStatus {
            status,
            pipeline_active: runs,
            active_input_priority: self.active,
            override_input_priority: self.override_,
            exhausted: self.exhausted,
            inputs: self.inputs.iter().map(|input| self.snapshot(&cx, input, wall)).collect(),
            switches: self
                .switches
                .iter()
                .map(|switch| SwitchEvent {
                    at: wall(switch.at),
                    from: switch.from,
                    to: switch.to,
                    reason: switch.reason,
                    detail: switch.detail.clone(),
                    decided_at: Some(wall(switch.decided_at)),
                    first_packet_at: switch.first_packet_at.map(wall),
                    stall_us: switch.stall_us,
                    aligned: switch.aligned,
                })
                .collect(),
            stream: stream.to_owned(),
            buffer_write_id: self.buffer_write_id.to_string(),
            pending_input_priority: self.pending.as_ref().map(|pending| pending.target),
            leaving_input_priority: self.leaving_run().map(|(config, _)| config.priority),
            usable_inputs: self.usable_inputs(),
            failovers_total: self.failovers,
            hold: self.hold.map(|hold| HoldStatus {
                priority: hold.priority,
                expires_at: wall(hold.expires_at),
                dead: self.kept_in_death().is_some() && !self.active_is_eligible(),
            }),
            observe: self.is_observed(&cx),
            decisions: self.shown_decisions(now, wall),
            transcoder: None,
            publisher: None,
        }
    }

    pub(crate) fn health(
        &self,
        priority: Priority,
        now: Nanos,
        policy: &Policy,
        stall: Stall,
        wall: impl Fn(Nanos) -> SystemTime,
    ) -> Option<InputHealth> {
        let mut nothing = Vec::new();
        let cx = self.cx(now, policy, stall, &mut nothing);
        let input = &self.inputs[self.index_of(priority)?];
        let health = self.snapshot(&cx, input, &wall);
        Some(InputHealth { input: (*input.config).clone(), health })
    }

    fn snapshot(
        &self,
        cx: &Cx<'_>,
        input: &Input,
        wall: &impl Fn(Nanos) -> SystemTime,
    ) -> InputHealthSnapshot {
        let entry = |(at, message): &(Nanos, String)| ErrorEntry {
            message: message.clone(),
            at: wall(*at),
        };
        let leaving = self
            .leaving
            .as_ref()
            .filter(|leaving| !leaving.removed && leaving.config.priority == input.priority());
        let mut totals = *input.past;
        for run in input.run.iter().chain(leaving.map(|leaving| &leaving.run)) {
            totals.add(&run.totals());
        }
        let Totals { packets, bytes, frames, lost, keyframes } = totals;
        let rates = self.shown_rates(cx, input);
        let soft = input.soft.as_ref();
        let at = self.index_of(input.priority());
        InputHealthSnapshot {
            input_priority: input.priority(),
            last_packet_at: input.last_stamp.map(wall),
            bitrate_kbps: rates.kbps,
            packet_loss: rates.loss_percent,
            fps: rates.fps,
            status: self.input_status(cx, input),
            errors: input.troubles.errors.iter().map(entry).collect(),
            last_failure: input
                .troubles
                .last_failure
                .as_ref()
                .map(|(at, message, _)| ErrorEntry { message: message.clone(), at: wall(*at) }),
            hot: input.config.hot,
            running: is_running(input),
            proved: input.proved,
            epoch: input.epoch(),
            packets,
            bytes,
            frames,
            lost,
            keyframes,
            impaired: at.map_or_else(Vec::new, |at| {
                let shown = |found: super::Impairment| ImpairedEntry {
                    rule: found.rule,
                    value: found.value,
                    limit: found.limit,
                    name: found.name,
                    since: wall(found.since),
                };
                self.impairments(cx, at).into_iter().map(shown).collect()
            }),
            conditions: soft.map_or_else(Vec::new, |soft| soft.raised()),
            reference_kbps: soft.and_then(|soft| soft.meter.as_ref()?.reference_kbps()),
            learned: learned_status(cx, input),
            required_stable_ms: self.failback_wait(cx, input) / 1_000_000,
        }
    }

    /// The window's estimates; where nothing is sampled, those since the look before.
    fn shown_rates(&self, cx: &Cx<'_>, input: &Input) -> Rates {
        let Some(run) = &input.run else { return Rates::default() };
        if input.soft.as_ref().is_some_and(|soft| soft.meter.is_some()) {
            return input.rates().unwrap_or_default();
        }
        let rules = self.rules_of(cx, input).unwrap_or_default();
        let glance = input.soft.as_ref().map(|soft| soft.glance).unwrap_or_default();
        glance.rates(cx.now, run, window_of(&rules))
    }

    /// The host looks at the stream: inputs that no rule samples are measured from look to look.
    pub(crate) fn glance(
        &mut self,
        now: Nanos,
        policy: &Policy,
        stall: Stall,
        samples: &[(Epoch, Sample)],
    ) {
        let mut nothing = Vec::new();
        let cx = self.cx(now, policy, stall, &mut nothing);
        for (epoch, sample) in samples {
            let Some(i) = self.index_of_epoch(*epoch) else { continue };
            let rules = self.rules_of(&cx, &self.inputs[i]).unwrap_or_default();
            let Input { run: Some(run), soft, .. } = &mut self.inputs[i] else { continue };
            let soft = soft.get_or_insert_with(Box::default);
            if soft.meter.is_none() {
                soft.glance.look(now, run.since, &sample.counts, window_of(&rules));
            }
        }
    }

    fn shown_decisions(
        &self,
        now: Nanos,
        wall: &impl Fn(Nanos) -> SystemTime,
    ) -> Vec<DecisionEntry> {
        let shown = |decision: &super::Decision| DecisionEntry {
            at: wall(decision.at),
            what: decision.what.to_owned(),
            from: decision.from,
            to: decision.to,
            reason: decision.reason,
            rule: decision.rule.map(str::to_owned),
            remaining_ms: decision.until.map(|until| until.saturating_sub(now) / 1_000_000),
            detail: decision.detail.clone(),
        };
        self.decisions.iter().map(shown).collect()
    }

    pub(super) fn input_status(&self, cx: &Cx<'_>, input: &Input) -> InputStatus {
        if !input.enabled {
            InputStatus::Stopped
        } else if input.failure.is_some() {
            InputStatus::Degraded
        } else if self.left.is_none() && self.active == Some(input.priority()) {
            if cx.delivers(input) { InputStatus::Active } else { InputStatus::Idle }
        } else if input.is_impaired() {
            InputStatus::Degraded
        } else {
            InputStatus::Idle
        }
    }

    /// Which deadlines are in the past: for a failure's text.
    pub(crate) fn undone(&self, now: Nanos, policy: &Policy, stall: Stall) -> String {
        let mut nothing = Vec::new();
        let cx = self.cx(now, policy, stall, &mut nothing);
        let late = |at: Option<Nanos>| at.filter(|at| *at <= now);
        let inputs: Vec<_> = (0..self.inputs.len())
            .map(|i| {
                let run = late(self.run_deadline(&cx, i).map(|(at, _)| at));
                (run, late(self.probe_deadline(&cx, i)), late(self.health_deadline(&cx, i)))
            })
            .collect();
        let hold = late(self.hold.map(|hold| hold.expires_at));
        let (gate, failback) = (late(self.gate_deadline()), late(self.failback_deadline(&cx)));
        format!(
            "at {now}: run, probe, health {inputs:?}, hold {hold:?}, gate {gate:?}, {failback:?}"
        )
    }

    /// Health as the gauges show it: 1 for every input that is not degraded (beyond suspicion) or
    /// stopped; and whether a rule or condition acts.
    #[cfg(feature = "metrics")]
    pub(crate) fn gauges(&self) -> impl Iterator<Item = (Priority, bool, bool)> {
        let shown = |input: &Input| (input.priority(), self.is_usable(input), input.is_impaired());
        self.inputs.iter().map(shown)
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn failovers(&self) -> u64 {
        self.failovers
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn usable(&self) -> usize {
        self.usable_inputs()
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// The tickets of a switch that is not decided yet.
    pub(crate) fn open_tickets(&self) -> impl Iterator<Item = u64> {
        self.pending.iter().flat_map(|pending| pending.tickets.iter().copied())
    }

    /// Every activation that the driver knows of and has not been told to stop, and every open
    /// epoch of a hot input.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (Priority, Epoch, bool)> {
        let inputs = self.inputs.iter().filter_map(|input| {
            input.epoch().map(|epoch| (input.priority(), epoch, input.config.hot))
        });
        let leaving = self.leaving.iter().map(|l| (l.config.priority, l.run.epoch, l.config.hot));
        inputs.chain(leaving)
    }

    /// How many inputs keep the engine's clock ticking: cold ones that run, hot ones that are
    /// open, and hot ones that were heard by id less than T ago. Not those that are switched off,
    /// but for one that is still on the air.
    pub(crate) fn ticking(&self) -> Ticking {
        let inputs = self.inputs.iter().filter(|input| {
            let counts = input.enabled || self.active == Some(input.priority());
            input.run.as_ref().is_some_and(|run| {
                !input.config.hot
                    || (counts && run.open)
                    || (input.failure.is_none() && input.enabled)
            })
        });
        let all = inputs.count() + usize::from(self.leaving.is_some());
        let mut runs = self.inputs.iter().filter_map(|input| input.run.as_ref());
        if self.leaving.is_none() && runs.all(|run| run.precise) {
            return Ticking { published: 0, precise: all };
        }
        Ticking { published: all, precise: 0 }
    }
}

/// From an accepted start, or an opened recorder, to the end of the activation.
fn is_running(input: &Input) -> bool {
    let hot = input.config.hot;
    input
        .run
        .as_ref()
        .is_some_and(|run| if hot { run.open || run.last.is_some() } else { run.accepted })
}

fn learned_status(cx: &Cx<'_>, input: &Input) -> Option<LearnedStatus> {
    let run = input.run.as_ref()?;
    let (learned, last) = (run.learned?, run.last?);
    let cadence = input.soft.as_ref()?.cadence.as_ref()?;
    let suspicion = cadence.suspicion(cx.now.saturating_sub(last));
    Some(LearnedStatus { timeout_ms: learned as f64 / 1e6, suspicion })
}
