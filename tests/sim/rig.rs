//! The engine under test, many streams in it, and the book that is kept of each: packets and time,
//! driver calls and events.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use changeover::{DriverCall, Engine, EngineConfig, Event, HandEngine, Subscription, Verdict};

use crate::callbacks::{Callbacks, called_back, hush_pranks};
use crate::command::{Command, Sent};
use crate::rng::fold;
use crate::shadow::{Activation, ProbeCalled, Stream};
use crate::verdicts::Stalls;

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

pub(crate) struct Rig {
    pub(crate) engine: HandEngine,
    pub(crate) events: Subscription,
    /// Reads seldom: what it loses is counted.
    slow: Subscription,
    slow_read: u64,
    pub(crate) callbacks: Arc<Mutex<Callbacks>>,
    pub(crate) streams: Vec<Stream>,
    pub(crate) config: EngineConfig,
    pub(crate) now: u64,
    /// The moment before: what is found now has happened since then.
    pub(crate) before: u64,
    pub(crate) stalled: bool,
    pub(crate) stalls: Stalls,
    /// The beginning of the present stall.
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
            stall_from: None,
            stalls: Stalls::default(),
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
            self.stalls.woken(at);
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
        // First what packets of this very moment have brought about.
        self.settle();
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
            if let Some(input) =
                at.map(|at| &mut stream.inputs[at]).filter(|i| i.epoch == Some(epoch))
            {
                input.ends(now);
            }
            return Some(verdict);
        }
        let mut wrong = None;
        if dead {
            wrong = Some((
                "stale",
                format!("a packet of input {} e{epoch} counts, whose epoch was over", sent.input),
            ));
        }
        if let Some(input) = at.map(|at| &mut stream.inputs[at]).filter(|i| i.epoch == Some(epoch))
        {
            let last = input.stamp.replace(stamp);
            let gap = last.is_none_or(|last| now.saturating_sub(last) >= input.packet_timeout_ns);
            if gap || input.steady_since.is_none() {
                input.steady_since = Some(now);
            }
            let waited = now.saturating_sub(last.unwrap_or(input.since));
            let usual =
                if last.is_some() { input.packet_timeout_ns } else { input.connect_timeout_ns / 2 };
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
                wrong = Some((
                    "one on the air",
                    format!(
                        "input {} e{epoch} forwards under cut {cut}, after cut {}",
                        sent.input, stream.cut
                    ),
                ));
            } else if cut == stream.cut && stream.cut_epoch != epoch && cut != 0 {
                wrong = Some((
                    "one on the air",
                    format!(
                        "input {} e{epoch} forwards under cut {cut}, which is that of e{}",
                        sent.input, stream.cut_epoch
                    ),
                ));
            }
            (stream.cut, stream.cut_epoch) = (cut, epoch);
        }
        if let Some((check, text)) = wrong {
            self.fail(i, check, text);
        }
        Some(verdict)
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
                if let Some(found) = stream.activations.iter_mut().find(|a| a.epoch == epoch) {
                    found.stopped = true;
                }
                stream.activations.retain(|a| a.runs() || a.token.is_some());
                let ended = stream.inputs.iter_mut().find(|input| input.epoch == Some(epoch));
                ended.into_iter().for_each(|input| input.ends(now));
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
                let line =
                    stream.gone.iter().position(|(p, line)| *p == from && line.epoch == epoch);
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

/// The stream of an id.
pub(crate) fn index_of(id: &str) -> Option<usize> {
    // A log of somewhere else has one stream, of any name.
    Some(id.strip_prefix('s').and_then(|number| number.parse().ok()).unwrap_or(0))
}
