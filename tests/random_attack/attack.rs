//! One random step: an operator, a source, the driver, or the machine itself does something.

use changeover::{Condition, Hold, InputConfig, InputsUpdate, Packet, Verdict, WhenDead};

use crate::world::{PRIORITIES, S, Start, World, ms};

impl World {
    pub(crate) fn step(&mut self) {
        // In tenths of a percent.
        match self.rng.below(1_000) {
            0..200 => self.time_passes(),
            200..350 => self.a_start_is_answered(),
            350..420 => self.a_probe_is_answered(),
            420..640 => self.packets_come(),
            640..690 => self.an_error_is_reported(),
            690..710 => self.a_recorder_reports_an_error(),
            710..760 => self.the_operator_switches(),
            760..775 => {
                self.tell("clear the override".to_owned());
                self.engine.clear_override(S).expect("is registered");
            }
            775..820 => {
                let (priority, on) = (self.rng.priority(), self.rng.chance(60));
                self.tell(format!("enable {priority} {on}"));
                let _ = self.engine.set_input_enabled(S, priority, on);
            }
            820..880 => self.inputs_are_updated(),
            880..890 => {
                let buffer = format!("b{}", self.rng.below(3));
                self.tell(format!("buffer {buffer}"));
                self.engine.update_buffer_write_id(S, &buffer).expect("is registered");
            }
            890..895 => {
                self.packet_timeout_ms = 200 + self.rng.below(2_000);
                let config = self.rng.config(self.packet_timeout_ms);
                self.tell(format!("{config:?}"));
                self.engine.set_config(config).expect("a valid policy");
            }
            895..965 => {
                let priority = self.rng.priority();
                self.open(priority, false);
            }
            965..985 => {
                if let Some(i) = self.rng.pick(self.recorders.len()) {
                    let gone = self.recorders.swap_remove(i);
                    self.tell(format!("close {} e{}", gone.priority(), gone.epoch()));
                }
            }
            985..990 => self.the_machine_stalls(),
            990..993 => self.the_operator_holds(),
            993..995 => {
                self.tell("release the hold".to_owned());
                self.engine.release_hold(S).expect("is registered");
            }
            995..999 => self.the_host_sees_something(),
            _ => self.the_stream_ends_and_begins(),
        }
        self.check();
    }

    fn time_passes(&mut self) {
        let by = match self.rng.below(5) {
            0 => 0,
            1 => 1 + self.rng.below(5),
            2 => self.rng.below(100),
            3 => self.rng.below(self.packet_timeout_ms),
            _ => self.rng.below(2 * self.packet_timeout_ms),
        };
        self.tell(format!("advance {by} ms"));
        self.engine.advance(ms(by));
    }

    fn the_machine_stalls(&mut self) {
        let by = 30 + self.rng.below(3_000);
        self.tell(format!("stall {by} ms"));
        self.engine.stall(ms(by));
        self.engine.advance(ms(0));
        self.last_stall_ns = self.engine.now_ns();
    }

    fn a_start_is_answered(&mut self) {
        let Some(i) = self.rng.pick(self.starts.len()) else { return };
        let (epoch, token) = self.starts.swap_remove(i);
        let good = self.rng.chance(75);
        self.tell(format!("answer start e{epoch} {good}"));
        let Some(activation) = self.activations.get_mut(&epoch) else { return };
        let priority = activation.priority;
        if good {
            activation.start = Start::Accepted;
            token.done();
            if self.rng.chance(50) {
                self.open(priority, true);
            }
            return;
        }
        if !activation.stopped {
            activation.start = Start::Failed;
        }
        if self.rng.chance(50) {
            token.failed("nope");
        } else {
            drop(token);
        }
    }

    fn a_probe_is_answered(&mut self) {
        let Some(i) = self.rng.pick(self.probes.len()) else { return };
        let (priority, token) = self.probes.swap_remove(i);
        let draw = if self.unprobed { 99 } else { self.rng.below(100) };
        self.tell(format!("answer probe {priority} {draw}"));
        match draw {
            0..50 => token.done(),
            50..95 => token.failed("dead"),
            _ => {
                self.unsupported.insert(priority);
                token.unsupported();
            }
        }
    }

    fn packets_come(&mut self) {
        for _ in 0..=self.rng.below(3) {
            let by_id = self.by_id && (self.recorders.is_empty() || self.rng.chance(50));
            if by_id {
                let priority = self.rng.priority();
                let verdict = self.engine.record_packet(S, priority);
                if verdict != Verdict::Stale {
                    self.tell(format!("packet {priority} by id {verdict:?}"));
                }
                self.heard(verdict);
            } else if let Some(i) = self.rng.pick(self.recorders.len()) {
                self.record(i);
            }
        }
    }

    fn an_error_is_reported(&mut self) {
        let priority = self.rng.priority();
        let open = self.engine.input_health(S, priority).ok();
        let epoch = open.and_then(|input| input.health.epoch).filter(|_| self.rng.chance(67));
        self.tell(format!("error {priority} {epoch:?}"));
        let _ = self.engine.report_input_error(S, priority, epoch, "boom");
    }

    fn a_recorder_reports_an_error(&mut self) {
        let Some(i) = self.rng.pick(self.recorders.len()) else { return };
        let (priority, epoch) = (self.recorders[i].priority(), self.recorders[i].epoch());
        self.tell(format!("recorder's error {priority} e{epoch}"));
        self.recorders[i].report_error("recorder");
    }

    fn the_operator_switches(&mut self) {
        let priority = self.rng.priority();
        self.tell(format!("switch {priority}"));
        if let Ok(ticket) = self.engine.switch_input(S, priority) {
            self.tickets.push(ticket);
        }
    }

    fn the_operator_holds(&mut self) {
        let (priority, ttl_ms) = (self.rng.priority(), 1 + self.rng.below(5_000) as i64);
        let when_dead = if self.rng.chance(50) { WhenDead::Keep } else { WhenDead::Release };
        self.tell(format!("hold {priority} {ttl_ms} ms {when_dead:?}"));
        if let Ok(ticket) = self.engine.hold_input(S, priority, Hold { ttl_ms, when_dead }) {
            self.tickets.push(ticket);
        }
    }

    fn the_host_sees_something(&mut self) {
        let (priority, raise) = (self.rng.priority(), self.rng.chance(60));
        let name = if self.rng.chance(50) { "black" } else { "frozen" };
        self.tell(format!("condition {priority} {name} {raise}"));
        let _ = if raise {
            let (hold, clear) = (1 + self.rng.below(900), 1 + self.rng.below(900));
            let condition = Condition::new(name).hold_ms(hold as i64).clear_ms(clear as i64);
            self.engine.raise_condition(S, priority, condition)
        } else {
            self.engine.clear_condition(S, priority, name)
        };
    }

    fn inputs_are_updated(&mut self) {
        let status = self.engine.runtime_status(S).expect("is registered");
        let mut update = InputsUpdate::default();
        for priority in PRIORITIES {
            let known = status.input(priority).is_some();
            if known && self.rng.chance(15) {
                update.removed.push(priority);
                if self.rng.chance(30) {
                    update.added.push(self.rng.input(priority));
                }
            } else if known && self.rng.chance(20) {
                update.updated.push(self.rng.input(priority));
            } else if !known && self.rng.chance(if status.inputs.len() < 3 { 25 } else { 8 }) {
                update.added.push(self.rng.input(priority));
            }
        }
        let brief = |inputs: &[InputConfig]| {
            let brief = |i: &InputConfig| (i.priority, i.address.clone(), i.hot);
            inputs.iter().map(brief).collect::<Vec<_>>()
        };
        let (added, updated) = (brief(&update.added), brief(&update.updated));
        self.tell(format!("update +{added:?} -{:?} ~{updated:?}", update.removed));
        self.engine.update_inputs(S, update).expect("a valid update");
    }

    /// Unregister ends everything: each activation is stopped, each ticket is decided, nothing
    /// follows, and every recorder is stale.
    fn the_stream_ends_and_begins(&mut self) {
        self.tell("unregister".to_owned());
        self.engine.unregister(S).expect("is registered");
        self.take_calls();
        self.take_events();
        let left = self.activations.values().any(|activation| activation.runs());
        self.demand(!left, "unregistered, and something was never stopped");
        self.every_ticket_is_decided();
        let starts = self.starts.drain(..).map(|(_, token)| token);
        let probes = self.probes.drain(..).map(|(_, token)| token);
        for late in starts.chain(probes) {
            late.done();
        }
        self.engine.advance(ms(1_000));
        let events = self.events.drain();
        let silent = self.engine.calls().is_empty() && events.iter().all(|e| e.stream.is_none());
        self.demand(silent, "a sign of life after unregister");
        for i in 0..self.recorders.len() {
            let stale = self.recorders[i].record(Packet::new(1)) == Verdict::Stale;
            self.demand(stale, "a recorder of a stream that is gone");
        }
        self.register();
    }

    pub(crate) fn every_ticket_is_decided(&self) {
        let decided = self.tickets.iter().all(|ticket| ticket.outcome().is_some());
        self.demand(decided, "a ticket was never decided");
    }
}
