//! Liveness: no stream stays off the air while a usable input exists. After whatever has
//! happened, every source is good and every call is answered: within the stated delays the stream
//! is on the air, and on its best input.

use changeover::{InputConfig, InputStatus, InputsUpdate, RuntimeStatus, StreamStatus};

use crate::world::{Outcome, S, World};

/// Packets come this often: less than every timeout in play.
const PACE_MS: u64 = 40;
/// The longest damping that is waited for.
const PATIENCE_MS: u64 = 4_000;

fn or(own_ms: i64, default_ms: u64) -> u64 {
    if own_ms == 0 { default_ms } else { own_ms as u64 }
}

impl World {
    pub(crate) fn heal(&mut self) -> Outcome {
        self.tell("=== all sources are good from now on");
        let status = self.status()?;
        if status.inputs.is_empty() {
            let added = vec![InputConfig::cold(0, "z")];
            self.send(InputsUpdate { added, ..InputsUpdate::default() })?;
        }
        let all_stopped = status.inputs.iter().all(|i| i.status == InputStatus::Stopped);
        for input in &status.inputs {
            let p = input.input_priority;
            if all_stopped {
                self.enable(p, true)?;
            }
            self.clear(p, "black")?;
            self.clear(p, "frozen")?;
        }
        self.engine.release_hold(S).map_err(|error| error.to_string())?;
        self.model.release_hold();
        self.compare()?;
        // §6: a probe cooldown, a probe that nobody answers any more, a start; two of them, for
        // a probe may have been let go just now.
        let policy = self.engine.config();
        let probe = or(policy.probe_cooldown_ms, 8_000) + or(policy.probe_timeout_ms, 3_000);
        let back = 2 * (probe + PACE_MS) + 1_000;
        self.run_well(back, false)?;
        let stable = self.status()?.inputs.iter().map(|i| i.required_stable_ms).max();
        let cooldown = or(policy.failback_cooldown_ms, 12_000);
        let wait = stable.unwrap_or(0).min(PATIENCE_MS) + cooldown + 2 * probe;
        self.run_well(wait, true)?;
        let status = self.status()?;
        self.is_healed(&status)?;
        self.coverage.healed();
        Ok(())
    }

    fn run_well(&mut self, for_ms: u64, on_air: bool) -> Outcome {
        for _ in 0..for_ms.div_ceil(PACE_MS) {
            let now = self.engine.now_ns();
            self.witness.begin(now);
            self.answer_all(true)?;
            for input in self.status()?.inputs {
                if input.hot && input.epoch.is_none() {
                    self.open(input.input_priority);
                }
            }
            for (p, epoch) in self.epochs() {
                if !self.epochs().contains(&(p, epoch)) {
                    continue;
                }
                if self.recorder(p, epoch) {
                    self.packet(epoch, false)?;
                } else {
                    // Opened by packets by id: its producer takes a recorder now.
                    self.open(p);
                }
            }
            self.compare()?;
            let status = self.status()?.status;
            if on_air && status != StreamStatus::Active {
                return Err(format!("invariant: off the air while inputs are usable: {status:?}"));
            }
            self.advance(PACE_MS * 1_000_000);
            self.compare()?;
        }
        Ok(())
    }

    fn is_healed(&self, status: &RuntimeStatus) -> Outcome {
        let usable = status.inputs.iter().filter(|input| input.status != InputStatus::Stopped);
        let mut usable = usable.map(|input| input.input_priority);
        let best = status.override_input_priority.or_else(|| usable.next());
        let wait = best.and_then(|best| status.input(best)).map_or(0, |i| i.required_stable_ms);
        let waits = wait > PATIENCE_MS || self.model.failback_is_off();
        let at_rest = status.pending_input_priority.or(status.leaving_input_priority).is_none();
        if !at_rest {
            return Err("invariant: a switch is pending after healing".to_owned());
        }
        if status.active_input_priority != best && !waits {
            let active = status.active_input_priority;
            return Err(format!("invariant: on {active:?} after healing, and not on {best:?}"));
        }
        Ok(())
    }
}
