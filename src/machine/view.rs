//! What others may read of a machine: status, health, and the facts that calls are checked
//! against.

use std::time::SystemTime;

use super::{Cx, Input, Machine, Sample};
use crate::config::Policy;
use crate::publish::Stall;
use crate::status::{ErrorEntry, InputHealth, InputHealthSnapshot, RuntimeStatus, SwitchEvent};
use crate::types::{Epoch, InputStatus, Nanos, Priority, StreamStatus};

/// Why an input cannot be switched to.
pub(crate) enum NotEligible {
    Unknown,
    Stopped,
    Degraded(String),
}

impl Machine {
    pub(crate) fn check_switch(&self, priority: Priority) -> Result<(), NotEligible> {
        let i = self.index_of(priority).ok_or(NotEligible::Unknown)?;
        let input = &self.inputs[i];
        if !input.enabled {
            return Err(NotEligible::Stopped);
        }
        match &input.failure {
            Some(failure) => Err(NotEligible::Degraded(failure.message.clone())),
            None => Ok(()),
        }
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
                })
                .collect(),
            stream: stream.to_owned(),
            buffer_write_id: self.buffer_write_id.to_string(),
            pending_input_priority: self.pending.as_ref().map(|pending| pending.target),
            leaving_input_priority: self.leaving_run().map(|(config, _)| config.priority),
            usable_inputs: self.usable_inputs(),
            failovers_total: self.failovers,
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
        let runs = input.run.iter().chain(leaving.map(|leaving| &leaving.run));
        let (packets, bytes) =
            runs.fold((0, 0), |sum: (u64, u64), run| (sum.0 + run.packets, sum.1 + run.bytes));
        InputHealthSnapshot {
            input_priority: input.priority(),
            last_packet_at: input.last_stamp.map(wall),
            bitrate_kbps: 0.0,
            packet_loss: 0.0,
            status: self.input_status(cx, input),
            errors: input.errors.iter().map(entry).collect(),
            last_failure: input
                .last_failure
                .as_ref()
                .map(|(at, message, _)| ErrorEntry { message: message.clone(), at: wall(*at) }),
            hot: input.config.hot,
            running: is_running(input),
            proved: input.proved,
            epoch: input.epoch(),
            packets: input.past_packets + packets,
            bytes: input.past_bytes + bytes,
        }
    }

    fn input_status(&self, cx: &Cx<'_>, input: &Input) -> InputStatus {
        if !input.enabled {
            InputStatus::Stopped
        } else if input.failure.is_some() {
            InputStatus::Degraded
        } else if self.left.is_none() && self.active == Some(input.priority()) && cx.delivers(input)
        {
            InputStatus::Active
        } else {
            InputStatus::Idle
        }
    }

    /// Health as the gauge shows it: 1 for every input that is not degraded or stopped.
    #[cfg(feature = "metrics")]
    pub(crate) fn gauges(&self) -> impl Iterator<Item = (Priority, bool)> {
        self.inputs.iter().map(|input| (input.priority(), input.is_candidate()))
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
    /// open, and hot ones that were heard by id less than T ago.
    pub(crate) fn ticking(&self) -> usize {
        let inputs = self.inputs.iter().filter(|input| {
            input.run.as_ref().is_some_and(|run| {
                !input.config.hot || run.open || (input.failure.is_none() && input.enabled)
            })
        });
        inputs.count() + usize::from(self.leaving.is_some())
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
