//! When every source is good and every answer comes at once, the stream finds its best input and
//! stays there.

use std::collections::BTreeMap;

use changeover::{
    EngineConfig, Failback, InputConfig, InputStatus, InputsUpdate, Packet, Recorder,
    RuntimeStatus, StreamStatus, Tracks, Verdict,
};

use crate::world::{S, Start, World, ms};

/// Packets come this often.
const PACE_MS: u64 = 50;
/// Long enough for every cooldown in play, one after the other; as long again it must be steady.
const HALF_NS: u64 = 20_000_000_000;
/// A required stability beyond this is not waited for.
const PATIENCE_MS: u64 = 4_000;
/// Starts that a steady stream may still make: trials of what cannot be probed.
const LATE_STARTS: usize = 3;

/// A packet that keeps every rule.
fn good() -> Packet {
    Packet::new(1_000).tracks(Tracks::VIDEO | Tracks::AUDIO).keyframe(true).frames(1)
}

impl World {
    pub(crate) fn heal(&mut self) {
        self.tell("=== all sources are good from now on".to_owned());
        self.something_is_there_to_heal();
        self.recorders.clear();
        self.check();
        let mut producers = BTreeMap::new();
        self.run_well(&mut producers, |_, _| {});
        let starts = self.activations.len();
        self.run_well(&mut producers, |world, status| {
            world.demand(status.status == StreamStatus::Active, "off the air after healing");
        });
        let late = self.activations.len() - starts;
        self.demand(late <= LATE_STARTS, "it goes on starting inputs");
        self.is_healed(&mut producers);
        drop(producers);
        self.check();
    }

    fn something_is_there_to_heal(&mut self) {
        let status = self.engine.runtime_status(S).expect("is registered");
        if status.inputs.is_empty() {
            let added = vec![InputConfig::cold(0, "z")];
            let update = InputsUpdate { added, ..Default::default() };
            self.engine.update_inputs(S, update).expect("a valid update");
        }
        let stopped = |status: &RuntimeStatus| {
            status.inputs.iter().all(|input| input.status == InputStatus::Stopped)
        };
        if stopped(&status) || self.rng.chance(50) {
            for input in &status.inputs {
                self.engine.set_input_enabled(S, input.input_priority, true).expect("is known");
            }
        }
        if self.rng.chance(70) {
            self.engine.clear_override(S).expect("is registered");
        }
        self.engine.release_hold(S).expect("is registered");
        for input in &status.inputs {
            for name in ["black", "frozen"] {
                let _ = self.engine.clear_condition(S, input.input_priority, name);
            }
        }
        let (observe, failback) = (None, Failback::Automatic);
        let config = EngineConfig { observe, failback, ..self.engine.config() };
        self.engine.set_config(config).expect("a valid policy");
    }

    /// Half of the healing: everything is answered well, and whatever has an epoch delivers.
    fn run_well(
        &mut self,
        producers: &mut BTreeMap<i32, Recorder>,
        look: impl Fn(&Self, &RuntimeStatus),
    ) {
        let until = self.engine.now_ns() + HALF_NS;
        while self.engine.now_ns() < until {
            self.answer_all_well();
            let status = self.engine.runtime_status(S).expect("is registered");
            for input in &status.inputs {
                self.deliver(producers, input.input_priority, input.hot, input.epoch);
            }
            let status = self.check();
            look(self, &status);
            self.engine.advance(ms(PACE_MS));
        }
    }

    fn answer_all_well(&mut self) {
        for _ in 0..50 {
            self.take_calls();
            let starts = std::mem::take(&mut self.starts);
            let probes = std::mem::take(&mut self.probes);
            if starts.is_empty() && probes.is_empty() {
                return;
            }
            for (epoch, token) in starts {
                if let Some(activation) = self.activations.get_mut(&epoch) {
                    activation.start = Start::Accepted;
                }
                token.done();
            }
            for (priority, token) in probes {
                if self.unprobed {
                    self.unsupported.insert(priority);
                    token.unsupported();
                } else {
                    token.done();
                }
            }
        }
        self.fail("good answers bring questions for ever");
    }

    fn deliver(
        &mut self,
        producers: &mut BTreeMap<i32, Recorder>,
        priority: i32,
        hot: bool,
        epoch: Option<changeover::Epoch>,
    ) {
        if let Some(producer) = producers.get_mut(&priority)
            && Some(producer.epoch()) == epoch
        {
            let verdict = producer.record(good());
            self.heard(verdict);
            if verdict != Verdict::Stale {
                return;
            }
        }
        producers.remove(&priority);
        if !hot && epoch.is_none() {
            return;
        }
        match self.engine.recorder(S, priority, if hot { None } else { epoch }) {
            Ok(mut producer) => {
                let verdict = producer.record(good());
                self.heard(verdict);
                producers.insert(priority, producer);
            }
            Err(_) => {
                let verdict = self.engine.record_packet(S, priority);
                self.heard(verdict);
            }
        }
    }

    fn is_healed(&mut self, producers: &mut BTreeMap<i32, Recorder>) {
        let status = self.engine.runtime_status(S).expect("is registered");
        let Some(active) = status.active_input_priority else { self.fail("nothing is active") };
        self.demand(!status.exhausted, "exhausted after healing");
        let at_rest =
            status.pending_input_priority.is_none() && status.leaving_input_priority.is_none();
        self.demand(at_rest, "a switch is pending after healing");
        self.every_ticket_is_decided();
        for (priority, producer) in producers {
            let forwards = producer.record(good());
            self.heard(forwards);
            let right = forwards.is_forward() == (*priority == active);
            self.demand(right, "not the active input, and it alone, is forwarded");
        }
        let mut usable = status.inputs.iter().filter(|i| i.status != InputStatus::Stopped);
        let wanted = match status.override_input_priority {
            Some(priority) => Some(priority),
            None => usable.next().map(|best| best.input_priority),
        };
        let best = wanted.and_then(|wanted| status.input(wanted));
        // One that has flapped waits for longer than this looks.
        let damped = best.is_some_and(|best| best.required_stable_ms > PATIENCE_MS);
        let right = wanted == Some(active) || damped;
        self.demand(right, "not on the best input, or not on the operator's");
        for input in &status.inputs {
            // What cannot be probed and would not be taken anyway stays as it is.
            let priority = input.input_priority;
            let idle_by_design = self.unsupported.contains(&priority)
                && (priority > active || status.override_input_priority.is_some());
            let degraded = input.status == InputStatus::Degraded;
            self.demand(!degraded || idle_by_design, "degraded after healing");
        }
    }
}
