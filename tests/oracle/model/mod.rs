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
mod facts;
mod health;
mod operator;
mod probe;
mod select;
mod show;

use self::facts::{Entry, Failure, Held, Kind, Noted, Pending, Raised, Run, Said, Switched, Wish};
pub(crate) use self::facts::{Input, Leaving, Ordered};
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
        // open: four count. Where every wake-up is late, a dead input is to be left in the end.
        if self.stalls.len() > 4 {
            self.stalls.remove(0);
        }
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

    fn how_far(&self) -> (usize, usize, usize, usize, bool, Option<i32>) {
        let Said { calls, events, waiting, tickets, .. } = &self.said;
        let pending = self.pending.is_some();
        (calls.len(), events.len(), waiting.len(), tickets.len(), pending, self.active)
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

fn condition_spans(condition: &Condition) -> (u64, u64) {
    (first_set(&[condition.hold_ms, 3_000]), first_set(&[condition.clear_ms, 5_000]))
}
