//! The oracle: behaviour.md once more, naively. Plain facts about one stream; after every event
//! all that follows is derived from them anew, in one fixed order, until nothing changes. No
//! wheel, no lanes, no laziness: time goes from one possible moment to the next.
//!
//! `§` names the section of behaviour.md that a rule is from. Where that page leaves something
//! open, the comment says `open:` and what the engine does; the oracle follows it.

mod conditions;
mod decide;
mod edit;
mod effect;
mod health;
mod operator;
mod probe;
mod select;
mod show;

pub(crate) use self::probe::Probed;

use std::collections::BTreeMap;

use changeover::{Condition, EngineConfig, Failback, InputConfig, StreamConfig, SwitchReason};

pub(crate) const MS: u64 = 1_000_000;
const FOREVER: u64 = i64::MAX as u64;

pub(crate) fn ns(ms: i64) -> u64 {
    (ms as u64).saturating_mul(MS).min(FOREVER)
}

/// The first of these that is set (§1: zero means the inherited default).
fn first_set(all_ms: &[i64]) -> u64 {
    ns(all_ms.iter().copied().find(|ms| *ms != 0).expect("the last one is a default"))
}

/// One activation of one input.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) epoch: u64,
    pub(crate) since: u64,
    /// A hot producer came back: the silence of its former epoch goes on from `since`.
    reconnects: bool,
    accepted: bool,
    /// A start that stands for a probe (§6.1).
    trial: bool,
    /// Hot: somebody holds a recorder.
    pub(crate) open: bool,
    /// Hot: its first packet, by id, has opened it.
    by_id_only: bool,
    /// From when silence counts.
    pub(crate) last: Option<u64>,
    /// The last packet's own time.
    stamp: Option<u64>,
    packets: u64,
}

#[derive(Clone, Debug)]
struct Failure {
    cause: SwitchReason,
    why: String,
    /// Silent since this packet: who is to follow must have delivered later (§1 *delivering*).
    silent_after: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) config: InputConfig,
    pub(crate) enabled: bool,
    failure: Option<Failure>,
    proved: bool,
    pub(crate) run: Option<Run>,
    /// Hot, without a producer, and the stream wants it: the connect timeout counts from here.
    wanted_since: Option<u64>,
    /// First packet of the present run without a gap of T.
    steady_since: Option<u64>,
    /// The probe cooldown counts from here.
    cooling_since: Option<u64>,
    in_flight: Option<(u64, u64)>,
    outstanding: Option<u64>,
    unsupported: bool,
    errors: Vec<(u64, String)>,
    last_failure: Option<(u64, String, SwitchReason)>,
    last_packet: Option<u64>,
    packets_before: u64,
    conditions: Vec<Raised>,
    /// It was told to be degraded, and is so by its conditions only.
    told_degraded: bool,
    /// Failbacks to it that died young, in a row; since when the stream is with it; whether a
    /// failback brought it there. (open: not in behaviour.md; rustdoc of `required_stable_ms`.)
    flaps: u32,
    on_air_since: Option<u64>,
    came_back: bool,
    /// Hot: a recorder was opened on it, so that its packets by id open no epoch any more.
    pub(crate) had_recorder: bool,
}

#[derive(Clone, Debug)]
struct Raised {
    condition: Condition,
    raised: bool,
    true_since: Option<u64>,
    false_since: Option<u64>,
    acts_since: Option<u64>,
}

/// A removed or disabled input that stays on the air until its successor delivers (§8.2).
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    pub(crate) config: InputConfig,
    pub(crate) run: Run,
    /// Its input is gone, or another source stands behind its number.
    removed: bool,
    /// It was removed, and not only edited: whoever has its number now is new altogether.
    gone: bool,
    stopped: bool,
}

/// A switch that is decided and not effective yet (§5.2).
#[derive(Clone, Debug)]
struct Pending {
    target: i32,
    reason: SwitchReason,
    detail: String,
    decided_at: u64,
    kind: Kind,
    /// There was nothing eligible on the air when it was decided.
    forced: bool,
    tickets: Vec<usize>,
    accepted: bool,
    hold: Option<Ordered>,
    armed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Forced,
    /// Stands while the target is better than the active one.
    Upward,
    /// Stands while the active one is impaired.
    Soft,
    Manual,
}

/// An operator's hold, as ordered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ordered {
    pub(crate) ttl_ms: i64,
    pub(crate) keep: bool,
}

#[derive(Clone, Copy, Debug)]
struct Held {
    priority: i32,
    until: u64,
    keep: bool,
}

#[derive(Clone, Debug)]
struct Switched {
    at: u64,
    from: Option<i32>,
    to: i32,
    reason: SwitchReason,
    detail: String,
    decided_at: u64,
    first_packet: Option<u64>,
    stall_us: Option<u64>,
}

#[derive(Clone, Debug)]
struct Noted {
    at: u64,
    what: &'static str,
    from: Option<i32>,
    to: Option<i32>,
    reason: SwitchReason,
    rule: Option<&'static str>,
    until: Option<u64>,
    detail: String,
}

/// A move that was wanted, and what stands against it.
#[derive(Clone, Debug)]
struct Wish {
    to: Option<i32>,
    reason: SwitchReason,
    rule: &'static str,
    until: Option<u64>,
    detail: String,
}

/// The latest move, until the first packet of the input taken.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: u64,
    old_stamp: Option<u64>,
    epoch: Option<u64>,
    packets: u64,
}

/// What the world is told, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) calls: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) callbacks: Vec<&'static str>,
    pub(crate) tickets: Vec<(usize, Result<(), String>)>,
    /// Callbacks that wait: coalesced in pairs (§4 of the notifier, behaviour §6.5).
    waiting: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) policy: EngineConfig,
    stream: StreamConfig,
    buffer: String,
    pub(crate) inputs: BTreeMap<i32, Input>,
    pub(crate) active: Option<i32>,
    /// The active input was removed or disabled: why.
    left: Option<(SwitchReason, &'static str)>,
    pub(crate) leaving: Option<Leaving>,
    pending: Option<Pending>,
    override_: Option<i32>,
    hold: Option<Held>,
    /// The hold ended with this input's death, and the stream has not left it yet.
    hold_died: Option<i32>,
    hold_ended: bool,
    pub(crate) exhausted: bool,
    recovery_recorded: bool,
    last_switch: Option<u64>,
    switches: Vec<Switched>,
    failovers: u64,
    redundant: Option<bool>,
    refused: Option<Wish>,
    notes: Vec<Noted>,
    entry: Option<Entry>,
    last_epoch: u64,
    last_probe: u64,
    /// (last look before, wake-up after) of every stall (§4.7).
    stalls: Vec<(u64, u64)>,
    pub(crate) said: Said,
}

impl Model {
    pub(crate) fn new(now: u64, policy: EngineConfig, stream: StreamConfig) -> Self {
        let own = &stream.buffer_write_id;
        let buffer = if own.is_empty() { stream.id.clone() } else { own.clone() };
        let inputs = stream.inputs.iter().map(|c| (c.priority, Input::new(c.clone()))).collect();
        let mut model = Self {
            now,
            policy,
            stream,
            buffer,
            inputs,
            active: None,
            left: None,
            leaving: None,
            pending: None,
            override_: None,
            hold: None,
            hold_died: None,
            hold_ended: false,
            exhausted: false,
            recovery_recorded: false,
            last_switch: None,
            switches: Vec::new(),
            failovers: 0,
            redundant: None,
            refused: None,
            notes: Vec::new(),
            entry: None,
            last_epoch: 0,
            last_probe: 0,
            stalls: Vec::new(),
            said: Said::default(),
        };
        model.settle();
        model
    }

    // --- Time ---

    /// Lets time pass, from one moment at which anything can happen to the next.
    pub(crate) fn advance(&mut self, by: u64) {
        let target = self.now + by;
        while let Some(next) = self.next_moment().filter(|next| *next <= target) {
            self.now = next;
            self.hold_ended = false;
            self.settle();
        }
        self.now = target;
        self.hold_ended = false;
        self.settle();
    }

    /// The monitor slept from now on for so long, and wakes (§4.7).
    pub(crate) fn stall(&mut self, by: u64) {
        let began = self.now;
        self.now += by;
        self.stalls.push((began, self.now));
        let wake = self.now;
        // What was stamped at the last look may have come at any time since.
        let inputs = self.inputs.values_mut().filter_map(|input| input.run.as_mut());
        for run in inputs.chain(self.leaving.as_mut().map(|leaving| &mut leaving.run)) {
            if run.stamp == Some(began) && run.last.is_some() {
                run.last = Some(wake);
            }
        }
        self.hold_ended = false;
        self.settle();
    }

    /// Stalls are the engine's: a stream that is registered anew knows of those before it.
    pub(crate) fn stalls(&self) -> &[(u64, u64)] {
        &self.stalls
    }

    pub(crate) fn set_stalls(&mut self, stalls: Vec<(u64, u64)>) {
        self.stalls = stalls;
    }

    /// A deadline as the stalls have moved it: one that was not due when a stall began waits for
    /// min(span, 200 ms) after the wake-up.
    fn moved(&self, deadline: u64, span: u64) -> u64 {
        self.stalls.iter().fold(deadline, |deadline, (began, wake)| {
            let grace = wake + span.min(200 * MS);
            if deadline <= *began { deadline } else { deadline.max(grace) }
        })
    }

    /// The next moment after now at which anything can change by time alone. More than are needed
    /// do no harm: nothing happens at them.
    pub(crate) fn next_moment(&self) -> Option<u64> {
        let mut all: Vec<u64> = Vec::new();
        for input in self.inputs.values() {
            all.extend(self.silent_at(input).map(|(at, _)| at));
            all.extend(input.cooling_since.map(|since| since + self.probe_cooldown()));
            let probe_ends = |(_, deadline)| self.moved(deadline, self.probe_timeout());
            all.extend(input.in_flight.map(probe_ends));
            let ready = |since| since + self.required_stability(input);
            all.extend(input.steady_since.map(ready));
            all.extend(self.last_switch.map(|_| self.cooldown_end_for(input)));
            for known in &input.conditions {
                let (hold, clear) = condition_spans(&known.condition);
                all.extend(known.true_since.map(|since| since + hold));
                all.extend(known.false_since.map(|since| since + clear));
            }
        }
        all.extend(self.leaving_run().map(|(config, run)| self.silence_ends(config, run).0));
        all.extend(self.last_switch.map(|_| self.cooldown_end()));
        all.extend(self.hold.map(|hold| hold.until));
        all.into_iter().filter(|at| *at > self.now && *at < FOREVER).min()
    }

    /// Something has happened: all that follows from it.
    fn settle(&mut self) {
        self.switches.truncate(self.switch_history());
        let errors = self.error_history();
        self.inputs.values_mut().for_each(|input| input.errors.truncate(errors));
        for _ in 0..8 {
            let before = self.how_far();
            self.end_hold_in_time();
            self.judge_silence();
            self.judge_conditions();
            self.decide();
            self.await_first_packet();
            self.note_armed();
            self.probe();
            if self.how_far() == before {
                break;
            }
        }
        self.said.callbacks.append(&mut self.said.waiting);
    }

    fn how_far(&self) -> (usize, usize, usize, usize, bool) {
        let Said { calls, events, waiting, tickets, .. } = &self.said;
        let pending = self.pending.is_some();
        (calls.len(), events.len(), waiting.len(), tickets.len(), pending)
    }

    // --- What is said ---

    fn call(&mut self, what: String) {
        self.said.calls.push(what);
    }

    fn event(&mut self, what: String) {
        self.said.events.push(format!("{} {what}", self.now));
    }

    fn callback(&mut self, what: &'static str) {
        if self.said.waiting.len() == 2 {
            self.said.waiting.pop();
        } else {
            self.said.waiting.push(what);
        }
    }

    fn note(&mut self, noted: Noted) {
        self.notes.insert(0, noted);
        self.notes.truncate(self.switch_history());
    }

    // --- Policy, with every default (§1) ---

    fn packet_timeout(&self, config: &InputConfig) -> u64 {
        let own = config.packet_timeout_ms;
        first_set(&[own, self.stream.packet_timeout_ms, self.policy.packet_timeout_ms, 30_000])
    }

    fn connect_timeout(&self, config: &InputConfig) -> u64 {
        let all = [
            config.connect_timeout_ms,
            self.stream.connect_timeout_ms,
            self.policy.connect_timeout_ms,
        ];
        match all.iter().any(|ms| *ms != 0) {
            true => first_set(&all),
            false => self.packet_timeout(config),
        }
    }

    fn probe_cooldown(&self) -> u64 {
        first_set(&[self.policy.probe_cooldown_ms, 8_000])
    }

    fn probe_timeout(&self) -> u64 {
        first_set(&[self.policy.probe_timeout_ms, 3_000])
    }

    fn failback_cooldown(&self) -> u64 {
        first_set(&[self.policy.failback_cooldown_ms, 12_000])
    }

    fn failback_stable(&self) -> u64 {
        first_set(&[self.stream.failback_stable_ms, self.policy.failback_stable_ms, 5_000])
    }

    fn failback_never(&self) -> bool {
        let own = self.stream.failback;
        let said = if own == Failback::Inherited { self.policy.failback } else { own };
        said == Failback::Never
    }

    fn switch_history(&self) -> usize {
        if self.policy.switch_history == 0 { 20 } else { self.policy.switch_history }
    }

    fn error_history(&self) -> usize {
        if self.policy.error_history == 0 { 5 } else { self.policy.error_history }
    }
}

impl Input {
    fn new(config: InputConfig) -> Self {
        Self {
            config,
            enabled: true,
            failure: None,
            proved: false,
            run: None,
            wanted_since: None,
            steady_since: None,
            cooling_since: None,
            in_flight: None,
            outstanding: None,
            unsupported: false,
            errors: Vec::new(),
            last_failure: None,
            last_packet: None,
            packets_before: 0,
            conditions: Vec::new(),
            told_degraded: false,
            flaps: 0,
            on_air_since: None,
            came_back: false,
            had_recorder: false,
        }
    }

    /// §5.1: neither degraded nor stopped.
    fn is_candidate(&self) -> bool {
        self.enabled && self.failure.is_none()
    }

    fn epoch(&self) -> Option<u64> {
        self.run.as_ref().map(|run| run.epoch)
    }

    /// Its activation is over; what it counted stays counted.
    fn take_run(&mut self) -> Option<Run> {
        let run = self.run.take()?;
        self.packets_before += run.packets;
        Some(run)
    }
}

impl Leaving {
    /// Another source stands behind its number, which has been its own all the while.
    pub(crate) fn is_edited(&self) -> bool {
        self.removed && !self.gone
    }
}

impl Run {
    fn new(epoch: u64, since: u64) -> Self {
        Self {
            epoch,
            since,
            reconnects: false,
            accepted: false,
            trial: false,
            open: false,
            by_id_only: false,
            last: None,
            stamp: None,
            packets: 0,
        }
    }

    fn hear(&mut self, stamp: u64) {
        self.packets += 1;
        (self.last, self.stamp) = (Some(stamp), Some(stamp));
    }
}

fn condition_spans(condition: &Condition) -> (u64, u64) {
    (first_set(&[condition.hold_ms, 3_000]), first_set(&[condition.clear_ms, 5_000]))
}
