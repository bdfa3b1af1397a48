//! What holds after every step: the status, the events, the history and the driver agree.

use changeover::{InputHealthSnapshot, InputStatus, RuntimeStatus};

use crate::world::{LONGEST_TIMEOUT_MS, S, Start, World};

/// How much later than its deadline a silence may still be unjudged: the attack's own steps.
const SLACK_MS: u64 = 500;
/// From a start to its first packet: no connect timeout is longer, whatever stalls.
const LONGEST_CONNECT_NS: u64 = 5_000_000_000;

impl World {
    /// Takes what the driver and the subscriber were told, and compares it with the status.
    pub(crate) fn check(&mut self) -> RuntimeStatus {
        self.take_calls();
        self.take_events();
        let Ok(status) = self.engine.runtime_status(S) else {
            self.fail("the registered stream is gone")
        };
        let actives = status.inputs.iter().filter(|input| input.status == InputStatus::Active);
        self.demand(actives.count() <= 1, "two inputs are active");
        self.demand(status.exhausted == self.exhausted, "the flag and the events disagree");
        self.history_is_told(&status);
        self.what_is_active_is_wanted(&status);
        self.the_driver_runs_what_is_reported(&status);
        for input in &status.inputs {
            self.times_are_packet_times(input);
            self.silence_is_judged(input);
        }
        status
    }

    /// Every entry that is a failover has its event, in order, and is counted.
    fn history_is_told(&self, status: &RuntimeStatus) {
        // The history is bounded, the events are not: the latest of both are compared.
        let kept: Vec<_> = status
            .switches
            .iter()
            .filter_map(|entry| {
                let from = entry.from.filter(|from| *from != entry.to)?;
                Some((from, entry.to, entry.reason))
            })
            .collect();
        let told = self.failovers.iter().rev().take(kept.len());
        self.demand(kept.iter().eq(told), "the history and the events disagree");
        let counted = status.failovers_total == self.failovers.len() as u64;
        self.demand(counted, "the failovers counted are not those told");
    }

    /// At rest nothing that the operator switched off is on the air.
    fn what_is_active_is_wanted(&self, status: &RuntimeStatus) {
        let active = status.active_input_priority.and_then(|priority| status.input(priority));
        let stopped = active.is_some_and(|input| input.status == InputStatus::Stopped);
        let at_rest =
            status.leaving_input_priority.is_none() && status.pending_input_priority.is_none();
        self.demand(!(stopped && at_rest), "a stopped input is active at rest");
    }

    /// What the driver was told to run is what the status shows, and one that leaves the air.
    fn the_driver_runs_what_is_reported(&self, status: &RuntimeStatus) {
        let cold = status.inputs.iter().filter(|input| !input.hot);
        for input in cold.clone() {
            let Some(epoch) = input.epoch else { continue };
            let Some(activation) = self.activations.get(&epoch.get()) else {
                self.fail("an open epoch that was never started")
            };
            self.demand(activation.runs(), "an open epoch that the driver does not run");
            let early = activation.start == Start::Called && input.last_packet_at.is_none();
            self.demand(!(input.running && early), "running before its start was accepted");
        }
        let reported = cold.filter(|input| input.epoch.is_some()).count();
        let run = self.activations.values().filter(|activation| activation.runs()).count();
        let leaving = usize::from(status.leaving_input_priority.is_some());
        let agree = (reported..=reported + leaving).contains(&run);
        self.demand(agree, "the driver runs what the status does not show");
    }

    /// No time is shown at which no packet came.
    fn times_are_packet_times(&self, input: &InputHealthSnapshot) {
        if let Some(at) = input.last_packet_at {
            let known = self.packet_times.contains(&self.engine_ns(at));
            self.demand(known, "a packet time at which no packet came");
        }
    }

    /// What has been silent for long is not shown as delivering, and what never delivers does not
    /// run for ever.
    fn silence_is_judged(&self, input: &InputHealthSnapshot) {
        let priority = input.input_priority;
        let own_ms = match self.engine.input_health(S, priority) {
            Ok(health) => health.input.packet_timeout_ms as u64,
            Err(error) => self.fail(&error.to_string()),
        };
        let limit_ns = (LONGEST_TIMEOUT_MS.max(own_ms) + SLACK_MS) * 1_000_000;
        let now = self.engine.now_ns();
        let last = input.last_packet_at.map(|at| self.engine_ns(at));
        let silent = last.is_none_or(|last| now - last > limit_ns);
        if now <= self.last_stall_ns + limit_ns || !silent {
            return;
        }
        self.demand(input.status != InputStatus::Active, "active, and silent for long");
        let activation = input.epoch.and_then(|epoch| self.activations.get(&epoch.get()));
        if let (InputStatus::Idle, true, Some(activation)) =
            (input.status, input.running, activation)
        {
            let old = now - activation.begun_ns > LONGEST_CONNECT_NS + limit_ns;
            self.demand(!old, "runs without a packet, and nobody minds");
        }
    }
}
