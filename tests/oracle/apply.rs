//! One op, done to the engine and to the oracle.

use changeover::{Condition, Hold, InputConfig, InputsUpdate, Packet, Verdict, WhenDead};

use crate::model::{Ordered, Probed};
use crate::ops::{How, InputSpec, Op, Said, Span};
use crate::view;
use crate::world::{Outcome, S, World, inputs, ms, policy, priority};

fn pick(which: u8, len: usize) -> Option<usize> {
    (len > 0).then(|| usize::from(which) % len)
}

impl World {
    pub(crate) fn apply(&mut self, op: &Op) -> Outcome {
        self.tell(&format!("{op:?}"));
        self.coverage.op(op);
        self.witness.begin(self.engine.now_ns());
        match op {
            Op::Advance(span) => {
                let next = self.model.next_moment().map(|at| at - self.model.now);
                self.advance(match *span {
                    Span::Ms(by) => u64::from(by) * 1_000_000,
                    Span::ToNext => next.unwrap_or(1_000_000).min(5_000_000_000),
                    Span::BeforeNext => next.unwrap_or(2).min(5_000_000_000) - 1,
                });
            }
            Op::Flow { who, step_ms, steps, how } => {
                self.flow(*who, u64::from(*step_ms), *steps, *how)?;
            }
            Op::Packets { who, many, precise } => {
                let epochs = self.epochs();
                if let Some((p, epoch)) = pick(*who, epochs.len()).map(|at| epochs[at])
                    && self.recorder(p, epoch)
                {
                    for _ in 0..*many {
                        if self.epochs().contains(&(p, epoch)) {
                            self.packet(epoch, *precise)?;
                        }
                    }
                }
            }
            Op::Straggler(who) => self.straggler(*who)?,
            Op::ById(p) => self.by_id(priority(*p))?,
            Op::Open(p) => self.open(priority(*p)),
            Op::Close(who) => {
                let open: Vec<u64> = self.recorders.keys().copied().collect();
                if let Some(at) = pick(*who, open.len()) {
                    drop(self.recorders.remove(&open[at]));
                    self.model.closed(open[at]);
                }
            }
            Op::Error { p, said } => self.error(priority(*p), *said)?,
            Op::RecorderError(who) => {
                let open: Vec<u64> = self.recorders.keys().copied().collect();
                if let Some(at) = pick(*who, open.len()) {
                    let recorder = self.recorders.get_mut(&open[at]).expect("listed");
                    recorder.report_error("lost");
                    self.model.error(None, Some(open[at]), "lost");
                }
            }
            Op::AnswerStart { which, good } => {
                if let Some(at) = pick(*which, self.starts.len()) {
                    self.answer_start(at, *good);
                }
            }
            Op::AnswerProbe { which, how } => {
                if let Some(at) = pick(*which, self.probes.len()) {
                    let how = match how % 8 {
                        0..4 => Probed::Good,
                        4..7 => Probed::Bad,
                        _ => Probed::Unsupported,
                    };
                    self.answer_probe(at, how);
                }
            }
            Op::AnswerAll { good } => self.answer_all(*good)?,
            Op::Update { added, removed, updated } => self.update(added, removed, updated)?,
            Op::Renumber { to, keep } => self.renumber(priority(*to), *keep)?,
            Op::Buffer(n) => {
                let buffer = if *n == 0 { S.to_owned() } else { format!("b{n}") };
                let sent = if *n == 0 { "" } else { &buffer };
                self.engine.update_buffer_write_id(S, sent).map_err(|e| e.to_string())?;
                self.model.write_to(&buffer);
            }
            Op::Configure(spec) => {
                self.engine.set_config(policy(spec)).map_err(|e| e.to_string())?;
                self.model.configure(policy(spec));
            }
            Op::Switch(p) => self.order(priority(*p), None)?,
            Op::Hold { p, ttl_ms, keep } => {
                let hold = Ordered { ttl_ms: i64::from(*ttl_ms), keep: *keep };
                self.order(priority(*p), Some(hold))?;
            }
            Op::ClearOverride => {
                self.engine.clear_override(S).map_err(|e| e.to_string())?;
                self.model.clear_override();
            }
            Op::Release => {
                self.engine.release_hold(S).map_err(|e| e.to_string())?;
                self.model.release_hold();
            }
            Op::Enable { p, on } => self.enable(priority(*p), *on)?,
            Op::Raise { p, name, hold_ms, clear_ms } => {
                let condition = Condition::new(if *name { "black" } else { "frozen" });
                let condition =
                    condition.hold_ms(i64::from(*hold_ms)).clear_ms(i64::from(*clear_ms));
                let p = priority(*p);
                let done = self.engine.raise_condition(S, p, condition.clone()).is_ok();
                self.known(p, done)?;
                if done {
                    self.model.raise(p, condition, true);
                }
            }
            Op::Clear { p, name } => {
                self.clear(priority(*p), if *name { "black" } else { "frozen" })?
            }
            Op::Stall { by_ms, who } => self.stall(u64::from(*by_ms), *who)?,
            Op::Reregister(spec) => self.reregister(spec)?,
        }
        self.compare()
    }

    /// Whether a command was refused because the input is unknown is the same for both.
    fn known(&self, p: i32, done: bool) -> Outcome {
        self.same("known inputs", &[done], &[self.model.inputs.contains_key(&p)])
    }

    fn flow(&mut self, who: u8, step_ms: u64, steps: u8, how: How) -> Outcome {
        for _ in 0..steps {
            let epochs = self.epochs();
            for (at, (p, epoch)) in epochs.into_iter().enumerate() {
                if who >> (at % 8) & 1 == 0 || !self.epochs().contains(&(p, epoch)) {
                    continue;
                }
                if how != How::ById && self.recorder(p, epoch) {
                    self.packet(epoch, how == How::Precise)?;
                } else {
                    self.by_id(p)?;
                }
            }
            self.advance(step_ms * 1_000_000);
            self.compare()?;
        }
        self.coverage.flowed(self.model.is_at_rest());
        Ok(())
    }

    /// The monitor sleeps, and sources go on: their packets bear the time of its last look.
    fn stall(&mut self, by_ms: u64, who: u8) -> Outcome {
        if !self.model.ticks() {
            return Ok(());
        }
        self.engine.stall(ms(by_ms / 2));
        for (at, (p, epoch)) in self.epochs().into_iter().enumerate() {
            // A packet that something waits for would wake the monitor.
            let heard = who >> (at % 8) & 1 == 1 && self.model.is_steady(p);
            if heard && self.recorders.contains_key(&epoch) {
                self.packet(epoch, false)?;
                self.coverage.heard_in_a_stall();
            }
        }
        self.engine.stall(ms(by_ms - by_ms / 2));
        self.engine.advance(ms(0));
        self.model.stall(by_ms * 1_000_000);
        self.coverage.stalled();
        Ok(())
    }

    /// A packet of an epoch that is over changes nothing.
    fn straggler(&mut self, who: u8) -> Outcome {
        let Some(at) = pick(who, self.old.len()) else { return Ok(()) };
        let before = view::lines(&self.status()?);
        if self.old[at].record(Packet::new(9)) != Verdict::Stale {
            return Err("a straggler counts".to_owned());
        }
        self.same("a straggler: status", &view::lines(&self.status()?), &before)
    }

    pub(crate) fn by_id(&mut self, p: i32) -> Outcome {
        // Those of a source that was edited away while it was leaving cannot be told from those of
        // its successor (§4.1).
        let edited = |l: &crate::model::Leaving| l.config.priority == p && l.is_edited();
        if self.model.leaving.as_ref().is_some_and(edited) {
            return Ok(());
        }
        let verdict = self.engine.record_packet(S, p);
        let expected = self.model.packet_by_id(p);
        self.same_verdict(verdict, expected)?;
        if verdict != Verdict::Stale {
            let epoch = self.model.inputs.get(&p).and_then(|input| Some(input.run.as_ref()?.epoch));
            self.witness.packet(epoch.unwrap_or(0), self.engine.now_ns(), verdict)?;
        }
        Ok(())
    }

    /// A producer comes to a hot input.
    pub(crate) fn open(&mut self, p: i32) {
        if self.model.inputs.get(&p).is_some_and(|input| input.config.hot)
            && let Ok(recorder) = self.engine.recorder(S, p, None)
        {
            self.recorders.insert(recorder.epoch().get(), recorder);
            self.model.opened(p, false);
        }
    }

    fn error(&mut self, p: i32, said: Said) -> Outcome {
        let current = self.epochs().into_iter().find(|(q, _)| *q == p).map(|(_, e)| e);
        let epoch = match said {
            Said::Current => current,
            Said::Stale => Some(current.map_or(1, |current| current + 100)),
            Said::NoEpoch => None,
        };
        let sent = epoch.map(Self::epoch);
        let done = self.engine.report_input_error(S, p, sent, "boom").is_ok();
        self.known(p, done)?;
        if done {
            self.model.error(Some(p), epoch, "boom");
        }
        Ok(())
    }

    pub(crate) fn answer_start(&mut self, at: usize, good: bool) {
        let (life, epoch, token) = self.starts.remove(at);
        if good {
            token.done()
        } else {
            token.failed("nope")
        }
        if life == self.life {
            self.witness.answered(epoch, good);
            self.model.started(epoch, if good { Ok(()) } else { Err("nope") });
        }
    }

    pub(crate) fn answer_probe(&mut self, at: usize, how: Probed) {
        let (life, p, ticket, token) = self.probes.remove(at);
        let how = if self.unprobed { Probed::Unsupported } else { how };
        match how {
            Probed::Good => token.done(),
            Probed::Bad => token.failed("dead"),
            Probed::Unsupported => token.unsupported(),
        }
        if life == self.life {
            self.model.probed(p, ticket, how);
        }
    }

    pub(crate) fn answer_all(&mut self, good: bool) -> Outcome {
        for _ in 0..4 {
            while !self.starts.is_empty() {
                self.answer_start(0, good);
                self.compare()?;
            }
            while !self.probes.is_empty() {
                self.answer_probe(0, if good { Probed::Good } else { Probed::Bad });
                self.compare()?;
            }
        }
        Ok(())
    }

    fn update(&mut self, added: &[InputSpec], removed: &[u8], updated: &[InputSpec]) -> Outcome {
        let mut removed: Vec<i32> = removed.iter().map(|p| priority(*p)).collect();
        removed.sort_unstable();
        removed.dedup();
        let update = InputsUpdate { added: inputs(added), removed, updated: inputs(updated) };
        // Half of what comes up would be refused for one slip: mended, but not always.
        let update = if added.len() + updated.len() == 4 { update } else { self.mended(update) };
        self.send(update)
    }

    fn mended(&self, mut update: InputsUpdate) -> InputsUpdate {
        let known = |p: i32| self.model.inputs.contains_key(&p);
        update.removed.retain(|p| known(*p));
        let removed = update.removed.clone();
        update.updated.retain(|input| known(input.priority) && !removed.contains(&input.priority));
        let free =
            |input: &InputConfig| !known(input.priority) || removed.contains(&input.priority);
        update.added.retain(free);
        update
    }

    pub(crate) fn send(&mut self, update: InputsUpdate) -> Outcome {
        let done = self.engine.update_inputs(S, update.clone()).is_ok();
        let valid = self.model.check_update(&update);
        self.tell(&format!("  update {update:?} {done}"));
        self.same("an update's validity", &[done], &[valid])?;
        if done {
            self.witness.edited(&update);
        }
        if valid {
            self.model.update(update);
        }
        Ok(())
    }

    /// §8.3: the source on the air gets the number `to`. `keep`: its old number stays, with
    /// another address; else it is removed.
    fn renumber(&mut self, to: i32, keep: bool) -> Outcome {
        let active = self.model.active.filter(|active| *active != to);
        let source = active.and_then(|active| self.model.inputs.get(&active));
        let Some(source) = source.map(|input| input.config.clone()) else { return Ok(()) };
        let from = source.priority;
        let heir = InputConfig { priority: to, ..source.clone() };
        let mut update = InputsUpdate::default();
        if self.model.inputs.contains_key(&to) {
            update.updated.push(heir);
        } else {
            update.added.push(heir);
        }
        if keep {
            update.updated.push(InputConfig { address: "spare".to_owned(), ..source });
        } else {
            update.removed.push(from);
        }
        self.send(update)
    }

    fn order(&mut self, p: i32, hold: Option<Ordered>) -> Outcome {
        let done = match hold {
            None => self.engine.switch_input(S, p),
            Some(Ordered { ttl_ms, keep }) => {
                let when_dead = if keep { WhenDead::Keep } else { WhenDead::Release };
                self.engine.hold_input(S, p, Hold { ttl_ms, when_dead })
            }
        };
        let refused = done.as_ref().err().map(|error| match error {
            changeover::Error::UnknownInput { .. } => "unknown",
            changeover::Error::InputStopped { .. } => "stopped",
            changeover::Error::InputDegraded { .. } => "degraded",
            _ => "otherwise",
        });
        self.same("refusal of an order", &[refused], &[self.model.refusal(p)])?;
        if let Ok(ticket) = done {
            self.tickets.push(ticket);
            self.model.order(p, hold, self.tickets.len() - 1);
        }
        Ok(())
    }

    pub(crate) fn enable(&mut self, p: i32, on: bool) -> Outcome {
        let done = self.engine.set_input_enabled(S, p, on).is_ok();
        self.known(p, done)?;
        if done {
            self.witness.enabled(p, on);
            self.model.enable(p, on);
        }
        Ok(())
    }

    pub(crate) fn clear(&mut self, p: i32, name: &str) -> Outcome {
        let done = self.engine.clear_condition(S, p, name).is_ok();
        self.known(p, done)?;
        if done {
            self.model.raise(p, Condition::new(name), false);
        }
        Ok(())
    }
}
