//! What commands do: to the engine, and to the book of the stream.

use std::time::Duration;

use changeover::{Condition, Hold, WhenDead};

use crate::command::{Command, Reply};
use crate::rig::Rig;
use crate::rng::fold;
use crate::shadow::{Activation, GOOD_ANSWER_NS, Input, Line, MS, ProbeCalled, Stream};

impl Rig {
    pub(crate) fn carry_out(&mut self, i: usize, command: &Command) {
        let now = self.now;
        let id = self.streams[i].id.clone();
        match *command {
            Command::Packet(_) | Command::Mark | Command::Take => {}
            Command::Look => self.look(i),
            Command::Stall => {
                self.stalled = true;
                if self.stall_from.is_none() {
                    self.stall_from = Some(now);
                    self.stalls.begin(now);
                }
            }
            Command::Wake => {
                self.stalled = false;
                self.engine.advance(Duration::ZERO);
                self.settle();
                self.stall_from = None;
            }
            Command::Register(ref config) => {
                let done = self.engine.register((**config).clone());
                if done.is_ok() {
                    let (cut, epoch) = (0, 0);
                    let fresh =
                        Stream { cut, cut_epoch: epoch, ..Stream::of(config, &self.config, now) };
                    self.streams[i] = Stream { last_event: self.last_event, ..fresh };
                    self.settle();
                    self.compare(i);
                } else if !self.streams[i].registered {
                    self.fail(i, "register", format!("{done:?}"));
                }
            }
            Command::Unregister => {
                let done = self.engine.unregister(&id).is_ok();
                if done != self.streams[i].registered {
                    self.fail(i, "unregister", "what is registered is not");
                }
                if done {
                    self.is_gone(i);
                }
            }
            Command::Open(p) => self.open(i, p),
            Command::Close(p) => {
                if let Some(input) = self.streams[i].input(p) {
                    input.cur = None;
                    input.bad_at = now;
                }
            }
            Command::Fail(p) | Command::OldFail(p) => {
                let old = matches!(command, Command::OldFail(_));
                let Some(input) = self.streams[i].input(p) else { return };
                let line = if old { &mut input.old } else { &mut input.cur };
                let Some(line) = line else { return };
                line.recorder.report_error("it broke");
                if Some(line.epoch) == input.epoch {
                    input.error_at = Some(now);
                    input.bad_at = now;
                    input.ends(now);
                }
            }
            Command::Error(p) => {
                let known = self.engine.report_input_error(&id, p, None, "reported").is_ok();
                self.compare_known(i, p, known);
                self.input_is_reported(i, p);
            }
            Command::Start(p, reply) => self.answer_start(i, p, reply),
            Command::Probe(p, reply) => self.answer_probe(i, p, reply),
            Command::Switch(p) => {
                self.streams[i].word_at = Some(now);
                if let Ok(ticket) = self.engine.switch_input(&id, p) {
                    self.streams[i].tickets.push(ticket);
                }
            }
            Command::Hold(p, ttl_ms, keep) => {
                self.streams[i].word_at = Some(now);
                let when_dead = if keep { WhenDead::Keep } else { WhenDead::Release };
                if let Ok(ticket) = self.engine.hold_input(&id, p, Hold { ttl_ms, when_dead }) {
                    self.streams[i].tickets.push(ticket);
                }
            }
            Command::ClearOverride => _ = self.engine.clear_override(&id),
            Command::Release => _ = self.engine.release_hold(&id),
            Command::Enable(p, on) => {
                let known = self.engine.set_input_enabled(&id, p, on).is_ok();
                self.compare_known(i, p, known);
                let stream = &mut self.streams[i];
                (stream.word_at, stream.free_since) = (Some(now), now);
                if let Some(input) = stream.input(p).filter(|input| input.enabled != on) {
                    input.enabled = on;
                    (input.bad_at, input.edited_at) = (now, now);
                    // Its clocks begin anew, if it had left the air.
                    let before = input.stamp.take().or(input.adopted_stamp);
                    (input.since, input.since_least, input.adopted_stamp) = (now, now, before);
                }
                self.settle();
                self.compare(i);
            }
            Command::Condition(p, on) => {
                let condition = Condition::new("black").hold_ms(500).clear_ms(1_000);
                let _ = if on {
                    self.engine.raise_condition(&id, p, condition)
                } else {
                    self.engine.clear_condition(&id, p, "black")
                };
                let stream = &mut self.streams[i];
                stream.soft = true;
                (stream.free_since, stream.soft_until) = (now, now + 3_000 * MS);
                if let Some(input) = stream.input(p) {
                    input.black = on;
                    input.bad_at = now + 1_600 * MS;
                }
            }
            Command::Buffer(n) => {
                let _ = self.engine.update_buffer_write_id(&id, &format!("b{n}"));
                self.streams[i].inputs.iter_mut().for_each(|input| input.bad_at = now);
            }
            Command::Config(ref config) => {
                if self.engine.set_config((**config).clone()).is_ok() {
                    self.config = (**config).clone();
                }
            }
            Command::Arm(prank) => {
                self.callbacks.lock().expect("no panic inside").pranks.insert(id, prank);
            }
            Command::Update(ref update) => self.update(i, update),
        }
    }

    fn compare_known(&mut self, i: usize, p: i32, known: bool) {
        if known != (self.streams[i].registered && self.streams[i].at(p).is_some()) {
            self.fail(i, "known inputs", format!("input {p} is known: {known}"));
        }
    }

    /// An error without an epoch was reported.
    pub(crate) fn input_is_reported(&mut self, i: usize, p: i32) {
        let now = self.now;
        if let Some(input) = self.streams[i].input(p) {
            (input.error_at, input.bad_at) = (Some(now), now);
            input.ends(now);
        }
    }

    fn open(&mut self, i: usize, p: i32) {
        let now = self.now;
        let stream = &mut self.streams[i];
        let Some(at) = stream.at(p) else { return };
        let (hot, wanted) = (stream.inputs[at].hot, stream.inputs[at].epoch);
        let epoch = match (hot, wanted) {
            (true, _) => None,
            (false, Some(number)) => {
                let open = self.engine.input_health(&stream.id, p).ok();
                let open = open.and_then(|input| input.health.epoch);
                match open.filter(|epoch| epoch.get() == number) {
                    Some(epoch) => Some(epoch),
                    None => return,
                }
            }
            (false, None) => return,
        };
        let Ok(recorder) = self.engine.recorder(&stream.id, p, epoch) else { return };
        let input = &mut stream.inputs[at];
        let line = Line { epoch: recorder.epoch().get(), recorder, stamp: 0, dead: false };
        if hot {
            input.ends(now);
            (input.epoch, input.since, input.since_least) = (Some(line.epoch), now, now);
        }
        input.old = input.cur.replace(line);
    }

    fn answer_start(&mut self, i: usize, p: i32, reply: Reply) {
        let now = self.now;
        let stream = &mut self.streams[i];
        let waits = |a: &&mut Activation| a.p == p && a.token.is_some();
        // The newest: one that was never answered stays so.
        let Some(activation) = stream.activations.iter_mut().rfind(waits) else { return };
        let (token, spare) = (activation.token.take(), activation.spare.take());
        let Some(token) = token else { return };
        let good = matches!(reply, Reply::Done | Reply::Twice);
        let (epoch, since) = (activation.epoch, activation.since);
        if activation.runs() {
            activation.accepted |= good;
            activation.failed |= !good;
        }
        if let Some(input) = stream.input(p).filter(|input| input.epoch == Some(epoch)) {
            if !good {
                (input.error_at, input.bad_at) = (Some(now), now);
                input.ends(now);
            } else if now > since + GOOD_ANSWER_NS {
                input.bad_at = now;
            }
        }
        self.sum = fold(self.sum, now ^ epoch);
        match reply {
            Reply::Done => token.done(),
            Reply::Failed => token.failed("no such source"),
            Reply::Unsupported => token.unsupported(),
            Reply::Dropped => drop(token),
            Reply::Twice => {
                token.done();
                spare.into_iter().for_each(|spare| spare.failed("too late"));
                return;
            }
        }
        // The first answer counts: this one is nobody's any more.
        spare.into_iter().for_each(|spare| spare.done());
    }

    fn answer_probe(&mut self, i: usize, p: i32, reply: Reply) {
        let now = self.now;
        let stream = &mut self.streams[i];
        let Some(at) = stream.probes.iter().position(|probe| probe.p == p) else { return };
        let probe_timeout_ns = stream.spans.probe_timeout_ns;
        let ProbeCalled { token, at: since, at_least, .. } = stream.probes.remove(at);
        if let Some(input) = stream.input(p) {
            match reply {
                Reply::Done | Reply::Twice if now <= since + GOOD_ANSWER_NS => {
                    input.probe_good_at = Some(now);
                }
                Reply::Done | Reply::Twice => {
                    (input.probe_good_at, input.bad_at) = (Some(now), now);
                }
                Reply::Unsupported => input.unsupported = true,
                _ => {
                    let over = at_least + probe_timeout_ns;
                    input.bad_at = now;
                    // What was edited or started meanwhile is not concerned.
                    if input.since < at_least && input.edited_at < at_least {
                        input.probe_bad_at = Some(now.min(over));
                    }
                }
            }
        }
        match reply {
            Reply::Done | Reply::Twice => token.done(),
            Reply::Failed => token.failed("dead"),
            Reply::Unsupported => token.unsupported(),
            Reply::Dropped => drop(token),
        }
    }

    fn update(&mut self, i: usize, update: &changeover::InputsUpdate) {
        let now = self.now;
        let stream = &mut self.streams[i];
        if self.engine.update_inputs(&stream.id, update.clone()).is_err() {
            return;
        }
        (stream.edit_at, stream.free_since) = (Some(now), now);
        for p in &update.removed {
            let Some(at) = stream.at(*p) else { continue };
            let mut input = stream.inputs.remove(at);
            stream.gone.extend(input.cur.take().map(|line| (*p, line)));
            stream.gone_stamps.retain(|(gone, _)| gone != p);
            stream.gone_stamps.extend(input.any_stamp.map(|stamp| (*p, stamp)));
            stream.probes.retain(|probe| probe.p != *p);
        }
        let timeout = stream.defaults_ms;
        for config in &update.updated {
            let Some(input) = stream.input(config.priority) else { continue };
            // The old lines may stay on the air for a while.
            let fresh = Input::of(config, timeout, now);
            let mut before = std::mem::replace(input, fresh);
            input.enabled = before.enabled;
            (input.cur, input.old) = (None, None);
            stream.gone.retain(|(p, _)| *p != config.priority);
            stream.gone.extend(before.cur.take().map(|line| (config.priority, line)));
        }
        for config in &update.added {
            let p = config.priority;
            let stamp = stream.gone_stamps.iter().find(|(gone, _)| *gone == p);
            let adopted_stamp = stamp.map(|(_, stamp)| *stamp);
            stream.inputs.push(Input { adopted_stamp, ..Input::of(config, timeout, now) });
        }
        stream.inputs.sort_by_key(|input| input.p);
        self.settle();
        self.compare(i);
    }
}
