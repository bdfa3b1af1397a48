//! The engine under test, many streams in it, and the hand that carries commands out on both the
//! engine and the book that is kept of each stream.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use changeover::{
    Condition, DriverCall, Engine, EngineConfig, Event, HandEngine, Hold, Subscription, Verdict,
    WhenDead,
};

use crate::command::{Command, Prank, Reply, Sent};
use crate::rng::fold;
use crate::shadow::{Activation, Input, Line, MS, ProbeCalled, Stream};

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) stream: usize,
    pub(crate) at: u64,
    /// Names the check: a shorter log has to fail the same one.
    pub(crate) check: &'static str,
    pub(crate) text: String,
}

/// The driver was called: somebody should answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Called {
    pub(crate) stream: usize,
    pub(crate) input: i32,
    pub(crate) probe: bool,
}

/// What happened how often.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts(pub(crate) std::collections::BTreeMap<&'static str, u64>);

impl Counts {
    pub(crate) fn add(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

/// What the callbacks share with the rig.
#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) pranks: HashMap<String, Prank>,
    pub(crate) told: Vec<(String, bool)>,
    pub(crate) unregistered: Vec<String>,
    pub(crate) reported: Vec<(String, i32)>,
}

pub(crate) struct Rig {
    pub(crate) engine: HandEngine,
    pub(crate) events: Subscription,
    /// Reads seldom: what it loses is counted.
    slow: Subscription,
    slow_read: u64,
    pub(crate) callbacks: Arc<Mutex<Callbacks>>,
    pub(crate) streams: Vec<Stream>,
    config: EngineConfig,
    pub(crate) now: u64,
    /// The moment before: what is found now has happened since then.
    pub(crate) before: u64,
    pub(crate) stalled: bool,
    /// The latest wake-up from a stall, and the beginning of the present stall.
    pub(crate) last_wake: u64,
    pub(crate) stall_from: Option<u64>,
    pub(crate) calls: Vec<Called>,
    pub(crate) violation: Option<Violation>,
    pub(crate) counts: Counts,
    pub(crate) packets: u64,
    pub(crate) last_event: u64,
    pub(crate) sum: u64,
    pub(crate) touched: Vec<usize>,
    /// The stream whose commands are written down.
    pub(crate) recorded: Option<usize>,
    pub(crate) log: Vec<(u64, String)>,
    /// The latest events of the recorded stream, for people.
    pub(crate) told: Vec<String>,
    pub(crate) failovers: Vec<(u64, String)>,
    /// The stream that is being acted on.
    pub(crate) current: usize,
}

thread_local! {
    static PRANK: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Panics that are pranks of a callback are not told; others are.
pub(crate) fn hush_pranks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !PRANK.with(std::cell::Cell::get) {
                usual(info);
            }
        }));
    });
}

impl Rig {
    pub(crate) fn new(streams: usize, recorded: Option<usize>) -> Self {
        hush_pranks();
        let engine = HandEngine::new_for_testing(EngineConfig::default());
        let (events, slow) = (engine.subscribe(1 << 20), engine.subscribe(4));
        let callbacks = Arc::new(Mutex::new(Callbacks::default()));
        for exhausted in [true, false] {
            let (shared, handle) = (Arc::clone(&callbacks), Engine::clone(&engine));
            let called = move |id: &str| called_back(&shared, &handle, id, exhausted);
            if exhausted {
                engine.set_exhausted_callback(Some(Box::new(called)));
            } else {
                engine.set_restored_callback(Some(Box::new(called)));
            }
        }
        Self {
            engine,
            events,
            slow,
            slow_read: 0,
            callbacks,
            streams: (0..streams).map(|_| Stream::default()).collect(),
            config: EngineConfig::default(),
            now: 0,
            before: 0,
            stalled: false,
            last_wake: 0,
            stall_from: None,
            calls: Vec::new(),
            violation: None,
            counts: Counts::default(),
            packets: 0,
            last_event: 0,
            sum: 0,
            touched: Vec::new(),
            recorded,
            log: Vec::new(),
            told: Vec::new(),
            failovers: Vec::new(),
            current: 0,
        }
    }

    /// A check has failed. The first failure counts.
    pub(crate) fn fail(&mut self, stream: usize, check: &'static str, text: impl Into<String>) {
        if self.violation.is_none() {
            self.violation = Some(Violation { stream, at: self.now, check, text: text.into() });
        }
    }

    /// Time passes, and everything that is due on the way happens.
    pub(crate) fn advance_to(&mut self, at: u64) {
        if at <= self.now {
            return;
        }
        let by = Duration::from_nanos(at - self.now);
        if self.stalled {
            self.engine.stall(by);
            // Any command wakes the monitor.
            self.last_wake = at;
        } else {
            self.engine.advance(by);
        }
        (self.before, self.now) = (self.now, at);
        self.settle();
        self.before = at;
    }

    /// Carries a command out, and takes what comes of it.
    pub(crate) fn exec(&mut self, i: usize, command: &Command) -> Option<Verdict> {
        self.current = i;
        self.note(i, command);
        if let Command::Packet(sent) = command {
            return self.packet(i, sent);
        }
        self.carry_out(i, command);
        self.settle();
        None
    }

    fn note(&mut self, i: usize, command: &Command) {
        let engine_wide = matches!(command, Command::Stall | Command::Wake);
        if self.recorded == Some(i) || (engine_wide && self.recorded.is_some()) {
            self.log.push((self.now, command.to_string()));
        }
    }

    /// One packet. Almost all of the time goes here.
    pub(crate) fn packet(&mut self, i: usize, sent: &Sent) -> Option<Verdict> {
        self.packets += 1;
        let (now, stream) = (self.now, &mut self.streams[i]);
        let at = stream.at(sent.input);
        let line = match at {
            Some(at) if sent.old => stream.inputs[at].old.as_mut(),
            Some(at) => stream.inputs[at].cur.as_mut(),
            None => stream.gone.iter_mut().find(|(p, _)| *p == sent.input).map(|(_, line)| line),
        };
        let line = line?;
        let packet = sent.packet();
        let stamp = sent.offset_ns.map_or(now, |by| now.saturating_add_signed(by));
        let verdict = match sent.offset_ns {
            None => line.recorder.record(packet),
            Some(_) => line.recorder.record_at(packet, stamp),
        };
        let (epoch, dead) = (line.epoch, line.dead);
        let stamp = stamp.min(now).max(line.stamp);
        line.stamp = stamp;
        let word = match verdict {
            Verdict::Forward(cut) => u64::from(cut) << 2 | 1,
            Verdict::Drop => 2,
            Verdict::Stale => 3,
        };
        self.sum = fold(self.sum, word ^ now);
        if verdict == Verdict::Stale {
            if let Some(input) = at.map(|at| &mut stream.inputs[at]).filter(|i| i.epoch == Some(epoch)) {
                input.ends();
            }
            return Some(verdict);
        }
        let mut wrong = None;
        if dead {
            wrong = Some(("stale", format!("a packet of input {} e{epoch} counts, whose epoch was over", sent.input)));
        }
        if let Some(input) = at.map(|at| &mut stream.inputs[at]).filter(|i| i.epoch == Some(epoch)) {
            let last = input.stamp.replace(stamp);
            let gap = last.is_none_or(|last| now.saturating_sub(last) >= input.packet_timeout_ns);
            if gap || input.steady_since.is_none() {
                input.steady_since = Some(now);
            }
            let waited = now.saturating_sub(last.unwrap_or(input.since));
            let usual = if last.is_some() { input.packet_timeout_ns } else { input.connect_timeout_ns / 2 };
            if waited > usual {
                input.bad_at = now;
            }
            input.any_stamp = Some(stamp);
            input.arrival = Some(now);
            (input.wanted_at, input.adopted_stamp) = (None, None);
        }
        if let Verdict::Forward(cut) = verdict {
            stream.last_forward = now;
            if cut < stream.cut {
                wrong = Some(("one on the air", format!("input {} e{epoch} forwards under cut {cut}, after cut {}", sent.input, stream.cut)));
            } else if cut == stream.cut && stream.cut_epoch != epoch && cut != 0 {
                wrong = Some(("one on the air", format!("input {} e{epoch} forwards under cut {cut}, which is that of e{}", sent.input, stream.cut_epoch)));
            }
            (stream.cut, stream.cut_epoch) = (cut, epoch);
        }
        if let Some((check, text)) = wrong {
            self.fail(i, check, text);
        }
        Some(verdict)
    }

    fn carry_out(&mut self, i: usize, command: &Command) {
        let now = self.now;
        let id = self.streams[i].id.clone();
        match *command {
            Command::Packet(_) | Command::Mark | Command::Take => {}
            Command::Look => {
                self.settle();
                self.look(i);
            }
            Command::Stall => {
                self.stalled = true;
                self.stall_from.get_or_insert(now);
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
                    let fresh = Stream { cut, cut_epoch: epoch, ..Stream::of(config, &self.config, now) };
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
                    input.ends();
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
                stream.free_since = now;
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
            input.ends();
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
            input.ends();
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
                input.ends();
            } else if now > since + crate::shadow::GOOD_ANSWER_NS {
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
                Reply::Done | Reply::Twice if now <= since + crate::shadow::GOOD_ANSWER_NS => {
                    input.probe_good_at = Some(now);
                }
                Reply::Done | Reply::Twice => {
                    (input.probe_good_at, input.bad_at) = (Some(now), now);
                }
                Reply::Unsupported => input.unsupported = true,
                _ => {
                    let over = at_least + probe_timeout_ns;
                    (input.probe_bad_at, input.bad_at) = (Some(now.min(over)), now);
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

    /// Takes driver calls, events and callbacks until there are none.
    pub(crate) fn settle(&mut self) {
        // A call can tell of a change that an event of the same moment explains.
        let events: Vec<Event> = self.events.drain();
        if !events.is_empty() {
            self.take_reports();
        }
        for event in &events {
            self.take_event(event);
        }
        for call in self.engine.calls() {
            self.take_call(call);
        }
        if events.is_empty() {
            return;
        }
        self.take_callbacks();
        while let Some(i) = self.touched.pop() {
            self.streams[i].touched = false;
            self.compare(i);
        }
    }

    /// Nothing was lost to a subscriber that reads, and what a slow one lost is counted.
    pub(crate) fn check_subscribers(&mut self) {
        if self.events.dropped() > 0 {
            self.fail(0, "no event lost", "a subscriber that reads in time lost events");
        }
        self.slow_read += self.slow.drain().len() as u64;
        if self.slow_read + self.slow.dropped() != self.last_event {
            self.fail(0, "no event lost", "a slow subscriber's losses are not all counted");
        }
    }

    pub(crate) fn take_call(&mut self, call: DriverCall) {
        let (before, now) = (self.before, self.now);
        let Some(i) = index_of(call.stream()) else { return };
        if self.recorded == Some(i) {
            self.log.push((before, Command::Mark.to_string()));
            self.log.push((now, Command::Take.to_string()));
        }
        self.sum = fold(self.sum, now ^ (call.input_priority() as u64) << 8);
        self.judge_call(i, &call);
        let stream = &mut self.streams[i];
        match call {
            DriverCall::Start(call) => {
                let (p, epoch) = (call.input.priority, call.epoch.get());
                stream.last_epoch = stream.last_epoch.max(epoch);
                if let Some(input) = stream.input(p) {
                    (input.epoch, input.since, input.stamp) = (Some(epoch), now, None);
                    (input.since_least, input.steady_since) = (before, None);
                }
                stream.activations.push(Activation {
                    epoch,
                    p,
                    since: now,
                    token: Some(call.token()),
                    spare: Some(call.token()),
                    accepted: false,
                    failed: false,
                    stopped: false,
                });
                self.counts.add("driver: start");
                self.calls.push(Called { stream: i, input: p, probe: false });
            }
            DriverCall::Stop(call) => {
                let epoch = call.epoch.get();
                let found = stream.activations.iter_mut().find(|a| a.epoch == epoch);
                let unheard = found.and_then(|found| {
                    found.stopped = true;
                    (!found.failed).then_some((found.p, found.since))
                });
                // It was started, had its time, and never came.
                if let Some((p, since)) = unheard
                    && let Some(input) = stream.input(p).filter(|i| i.epoch == Some(epoch))
                    && input.stamp.is_none()
                    && now >= since + input.connect_timeout_ns / 2
                {
                    input.bad_at = now;
                }
                stream.activations.retain(|a| a.runs() || a.token.is_some());
                let ended = stream.inputs.iter_mut().find(|input| input.epoch == Some(epoch));
                ended.into_iter().for_each(Input::ends);
                self.counts.add("driver: stop");
            }
            DriverCall::Probe(call) => {
                let (p, token) = (call.input.priority, call.token());
                stream.probes.push(ProbeCalled { p, at: now, at_least: before, token });
                self.counts.add("driver: probe");
                self.calls.push(Called { stream: i, input: p, probe: true });
            }
            DriverCall::Rebind(call) => {
                self.counts.add("driver: rebind");
                let (from, to, epoch) = (call.from_priority, call.input.priority, call.epoch.get());
                if let Some(found) = stream.activations.iter_mut().find(|a| a.epoch == epoch) {
                    found.p = to;
                }
                let line = stream.gone.iter().position(|(p, line)| *p == from && line.epoch == epoch);
                let line = line.map(|at| stream.gone.swap_remove(at).1);
                if let Some(input) = stream.input(to) {
                    (input.epoch, input.since) = (Some(epoch), now);
                    input.cur = line;
                }
            }
            _ => self.counts.add("driver: keyframe"),
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        // They hold the engine that holds them.
        self.engine.set_exhausted_callback(None);
        self.engine.set_restored_callback(None);
    }
}

/// The host's callback: what it was told, and what it was armed with.
fn called_back(shared: &Mutex<Callbacks>, engine: &Engine, id: &str, exhausted: bool) {
    let prank = {
        let mut shared = shared.lock().expect("no panic inside");
        shared.told.push((id.to_owned(), exhausted));
        shared.pranks.remove(id)
    };
    match prank {
        None => {}
        Some(Prank::Panic) => {
            PRANK.with(|prank| prank.set(true));
            // The engine catches it, and the flag is down again before the next one.
            let _down = Down;
            panic!("a prank");
        }
        Some(Prank::Error(p)) => {
            shared.lock().expect("no panic inside").reported.push((id.to_owned(), p));
            let _ = engine.report_input_error(id, p, None, "from a callback");
        }
        Some(Prank::Switch(p)) => _ = engine.switch_input(id, p),
        Some(Prank::Unregister) => {
            if engine.unregister(id).is_ok() {
                shared.lock().expect("no panic inside").unregistered.push(id.to_owned());
            }
        }
    }
}

struct Down;

impl Drop for Down {
    fn drop(&mut self) {
        PRANK.with(|prank| prank.set(false));
    }
}

/// The stream of an id.
pub(crate) fn index_of(id: &str) -> Option<usize> {
    // A log of somewhere else has one stream, of any name.
    Some(id.strip_prefix('s').and_then(|number| number.parse().ok()).unwrap_or(0))
}
