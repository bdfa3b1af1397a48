//! One stream's decisions, pure: events and time in, actions out. No clock, no thread, no
//! atomics, no I/O; deadlines are data ([`Machine::next_deadline`]).
//!
//! The caller passes, with every event, what the packet plane has counted for each open epoch
//! (so packets are known before a deadline is judged), carries out the actions in order, makes
//! the packet plane agree with [`Machine::air`], and calls again at the next deadline. A step
//! first takes the samples over, then the event, then what is due, then decides; deciding is a
//! level (it looks at the facts, not at the event), so nothing is lost that was refused once.
//!
//! # The state x event table
//! The state of one input, and what an event makes of it. `Off` = eligible, not running; `Opening`
//! = start called, no answer yet; `Waiting` = accepted, or hot and opened, no packet yet;
//! `Flowing` = packets came less than T ago; `Silent` = degraded, still running; `Failed` =
//! degraded, not running; `Stopped` = switched off. First table: the cold active input of a stream
//! whose other inputs have all failed, so that the stream stays with it (it is never `Off`).
//! Second table: a standby while another input is active and flows; `Opening` and `Waiting` are
//! the cold target of an operator's switch, `Flowing` and `Silent` are hot, the others cold (hot
//! under `opened`). `deadline` is the one that the state waits for, `packet` one of the open
//! epoch. `.` = the event does not concern the state: nothing changes, nothing is reported.
//! Every cell has a test: `machine::table` reads these tables and tries each.
//!
//! ```text active
//!             | packet  | deadline | start ok | start failed | error  | probe ok | probe bad | disable | enable | edit    | opened
//! Opening     | Flowing | Failed   | Waiting  | Failed       | Failed | .        | .         | Stopped | .      | Opening | .
//! Waiting     | Flowing | Silent   | .        | Failed       | Failed | .        | .         | Stopped | .      | Opening | .
//! Flowing     | Flowing | Silent   | .        | Failed       | Failed | .        | .         | Stopped | .      | Opening | .
//! Silent      | Flowing | .        | .        | Failed       | Failed | .        | .         | Stopped | .      | Opening | .
//! Failed      | .       | .        | .        | .            | .      | Opening  | Failed    | Stopped | .      | Opening | .
//! Stopped     | .       | .        | .        | .            | .      | .        | .         | .       | Opening| Stopped | .
//! ```
//!
//! ```text standby
//!             | packet  | deadline | start ok | start failed | error  | probe ok | probe bad | disable | enable | edit    | opened
//! Off         | .       | .        | .        | .            | Failed | .        | .         | Stopped | .      | Off     | Waiting
//! Opening     | Flowing | Failed   | Waiting  | Failed       | Failed | .        | .         | Stopped | .      | Opening | .
//! Waiting     | Flowing | Failed   | .        | Failed       | Failed | .        | .         | Stopped | .      | Opening | .
//! Flowing     | Flowing | Silent   | .        | .            | Failed | .        | .         | Stopped | .      | Off     | Waiting
//! Silent      | Flowing | .        | .        | .            | Failed | .        | .         | Stopped | .      | Off     | Silent
//! Failed      | .       | .        | .        | .            | .      | Off      | Failed    | Stopped | .      | Off     | Silent
//! Stopped     | .       | .        | .        | .            | .      | .        | .         | .       | Off    | Stopped | Stopped
//! ```
//!
//! # Health beyond silence
//! What a condition makes of a hot standby that flows; a rule does the same, with "true" for
//! `raise` and "false" for `clear`. `Suspect` = true, its hold time runs; `Clearing` = acting, but
//! false, its clear time runs. `Impaired` and `Clearing` inputs are *degraded*, but for the one
//! that carries the stream, which stays *active*; they are a last resort, and never exhaust a
//! stream. Packets clear nothing here, and clear times clear no silence.
//!
//! ```text health
//!          | raise    | hold over | clear    | clear over | packet | deadline | error  | edit
//! Flowing  | Suspect  | .         | .        | .          | .      | Silent   | Failed | Off
//! Suspect  | .        | Impaired  | Flowing  | Impaired   | .      | Silent   | Failed | Off
//! Impaired | .        | .         | Clearing | .          | .      | Silent   | Failed | Off
//! Clearing | Impaired | .         | .        | Flowing    | .      | Silent   | Failed | Off
//! ```
//!
//! # The operator's word
//! About the active input. `Held` = by a hold that is released when the input dies, `Keeping` = by
//! one that is kept, `Kept` = kept, and the input is dead.
//!
//! ```text operator
//!            | switch     | hold | clear override | release hold | hold ends | dies
//! Free       | Overridden | Held | .              | .            | .         | .
//! Overridden | .          | Held | Free           | .            | .         | Free
//! Held       | Overridden | .    | .              | Free         | Free      | Free
//! Keeping    | Overridden | Held | .              | Free         | Free      | Kept
//! Kept       | .          | .    | .              | Free         | Free      | .
//! ```

mod cadence;
mod deciding;
mod edit;
mod event;
mod health;
mod hold;
mod impairment;
mod input;
mod ledger;
mod meter;
mod moves;
mod operator;
mod probing;
mod rare;
mod rest;
mod select;
mod soft;
mod switching;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tables_beyond;
mod view;

use std::collections::VecDeque;

pub(crate) use self::event::{Action, Event, ProbeOutcome};
use self::hold::Held;
use self::impairment::Impairment;
pub(crate) use self::input::{Counts, Failure, Input, Run, Sample, Totals};
pub(crate) use self::ledger::Air;
use self::ledger::{Decision, Entry, Gate, Refused, Wish};
pub(crate) use self::view::{NotEligible, Ticking};
use crate::config::{InputConfig, Policy, StreamConfig};
use crate::events::EventKind;
use crate::publish::Stall;
use crate::rules::{Cut, Failback, HealthConfig, Hold};
use crate::spans::ms_to_ns;
use crate::sync::Arc;
use crate::types::{Epoch, Nanos, Priority, SwitchReason};

/// What a step stands in.
pub(crate) struct Cx<'a> {
    pub(crate) now: Nanos,
    pub(crate) policy: &'a Policy,
    pub(crate) stall: Stall,
    pub(crate) stream_packet_timeout_ns: Nanos,
    pub(crate) stream_connect_timeout_ns: Nanos,
    pub(crate) out: &'a mut Vec<Action>,
}

impl Cx<'_> {
    fn act(&mut self, action: Action) {
        self.out.push(action);
    }

    fn emit(&mut self, kind: EventKind) {
        self.out.push(Action::Emit(kind));
    }
}

/// One stream.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    buffer_write_id: Arc<str>,
    packet_timeout_ns: Nanos,
    connect_timeout_ns: Nanos,
    /// 0 = the engine's.
    failback_stable_ns: Nanos,
    failback: Failback,
    cut: Cut,
    observe: Option<bool>,
    health: Option<Arc<HealthConfig>>,
    /// Ascending by priority.
    inputs: Vec<Input>,
    active: Option<Priority>,
    /// Set while the active input has been removed or disabled, and is to be left: why.
    left: Option<(SwitchReason, &'static str)>,
    /// Its activation, as long as that stays on the air.
    leaving: Option<Box<Leaving>>,
    pending: Option<Box<Pending>>,
    override_: Option<Priority>,
    hold: Option<Held>,
    /// The held input's death has ended the hold, and the stream has not left it yet.
    hold_died: Option<Priority>,
    /// The hold has ended in this very step, by its time or the operator's word.
    hold_ended: bool,
    exhausted: bool,
    /// The recovery stands in the history; the first packet is still to come.
    recovery_recorded: bool,
    /// When the stream last went from one input to another.
    last_switch: Option<Nanos>,
    switches: VecDeque<Switch>,
    failovers: u64,
    /// Whether two or more inputs were usable, once known.
    redundant: Option<bool>,
    /// The refusal that was last reported.
    refused: Option<Box<Refused>>,
    /// The latest decisions and refusals, newest first.
    decisions: VecDeque<Decision>,
    /// The latest move, until its first packet.
    entry: Option<Box<Entry>>,
    last_epoch: u64,
    next_probe: u64,
}

/// An activation that stays on the air until its successor delivers.
#[derive(Clone, Debug)]
struct Leaving {
    config: Arc<InputConfig>,
    run: Run,
    /// Its input is gone; else it was switched off.
    removed: bool,
    /// The driver runs nothing for it.
    stopped: bool,
}

/// A switch that is decided and not effective yet.
#[derive(Clone, Debug)]
struct Pending {
    target: Priority,
    reason: SwitchReason,
    detail: String,
    decided_at: Nanos,
    /// Stands only while the target is better than the active one.
    upward: bool,
    /// Stands only while the active one is impaired.
    soft: bool,
    manual: bool,
    /// The active one was lost when this was decided.
    forced: bool,
    /// To be answered at acceptance.
    tickets: Vec<u64>,
    override_set: bool,
    /// To be held, once accepted, instead of overridden.
    hold: Option<Hold>,
    /// Its arming has been reported.
    armed: bool,
    gate: Option<Gate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Switch {
    pub(crate) at: Nanos,
    pub(crate) from: Option<Priority>,
    pub(crate) to: Priority,
    pub(crate) reason: SwitchReason,
    pub(crate) detail: String,
    pub(crate) decided_at: Nanos,
    pub(crate) first_packet_at: Option<Nanos>,
    /// From the last packet of the old one to the first of the new one.
    pub(crate) stall_us: Option<u64>,
    /// Whether a cut that waited for a keyframe fell on one.
    pub(crate) aligned: Option<bool>,
}

impl Machine {
    /// A stream as registered; the configuration is valid. Nothing happens before the first step.
    pub(crate) fn new(id: Arc<str>, config: StreamConfig) -> Self {
        let own = Some(&config.buffer_write_id).filter(|own| !own.is_empty());
        let buffer_write_id = own.map_or(id, |own| Arc::from(own.as_str()));
        let mut inputs: Vec<Input> = config.inputs.into_iter().map(Input::new).collect();
        inputs.sort_unstable_by_key(Input::priority);
        Self {
            buffer_write_id,
            packet_timeout_ns: ms_to_ns(config.packet_timeout_ms),
            connect_timeout_ns: ms_to_ns(config.connect_timeout_ms),
            failback_stable_ns: ms_to_ns(config.failback_stable_ms),
            failback: config.failback,
            cut: config.cut,
            observe: config.observe,
            health: config.health,
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
            switches: VecDeque::new(),
            failovers: 0,
            redundant: None,
            refused: None,
            decisions: VecDeque::new(),
            entry: None,
            last_epoch: 0,
            next_probe: 1,
        }
    }

    fn cx<'a>(
        &self,
        now: Nanos,
        policy: &'a Policy,
        stall: Stall,
        out: &'a mut Vec<Action>,
    ) -> Cx<'a> {
        Cx {
            now,
            policy,
            stall,
            stream_packet_timeout_ns: self.packet_timeout_ns,
            stream_connect_timeout_ns: self.connect_timeout_ns,
            out,
        }
    }

    /// One step. `samples`: every open epoch's counts, as of now.
    pub(crate) fn step(
        &mut self,
        now: Nanos,
        policy: &Policy,
        stall: Stall,
        samples: &[(Epoch, Sample)],
        event: Event,
        out: &mut Vec<Action>,
    ) {
        let mut cx = self.cx(now, policy, stall, out);
        let cx = &mut cx;
        self.hold_ended = false;
        for (epoch, sample) in samples {
            self.observe(cx, *epoch, sample);
        }
        // A cut that the target's own packet has made stands, whatever the event says next.
        if samples.iter().any(|(_, sample)| sample.cut) {
            self.progress(cx);
        }
        match event {
            Event::Look => {}
            Event::Opened { priority, epoch, by_id } => self.on_opened(cx, priority, epoch, by_id),
            Event::Closed { epoch } => {
                if let Some(i) = self.index_of_epoch(epoch)
                    && let Some(run) = self.inputs[i].run.as_mut()
                {
                    run.open = false;
                }
            }
            Event::Started { epoch, outcome } => self.on_started(cx, epoch, outcome),
            Event::Probed { priority, ticket, outcome } => {
                self.on_probed(cx, priority, ticket, outcome);
            }
            Event::Error { priority, epoch, message } => {
                self.on_error(cx, priority, epoch, message);
            }
            Event::Switch { priority, ticket } => self.on_switch(cx, priority, ticket),
            Event::ClearOverride => self.on_clear_override(cx),
            Event::Hold { priority, hold, ticket } => self.on_hold(cx, priority, hold, ticket),
            Event::ReleaseHold => self.on_release_hold(cx),
            Event::Condition { priority, condition, raise } => {
                self.on_condition(cx, priority, condition, raise);
            }
            Event::Enable { priority, enabled } => self.on_enable(cx, priority, enabled),
            Event::Update(update) => self.on_update(cx, update),
            Event::Buffer(buffer) => self.on_buffer(cx, buffer),
        }
        self.switches.truncate(cx.policy.switch_history);
        for troubles in self.inputs.iter_mut().filter_map(|input| input.troubles.there()) {
            troubles.errors.truncate(cx.policy.error_history);
        }
        // What one pass brings about can make the next thing due at this very moment (a failed
        // probe with no cooldown, an exhausted stream whose trial is due): pass until quiet.
        // (A switch to the very same input, or from none, may become effective without a word.)
        for _ in 0..8 {
            let before = (cx.out.len(), self.pending.is_some(), self.active);
            self.expire_hold(cx);
            self.expire_runs(cx);
            self.judge_health(cx);
            self.decide(cx);
            self.await_first_packet(cx);
            self.tend_gate(cx);
            self.run_probes(cx);
            if (cx.out.len(), self.pending.is_some(), self.active) == before {
                break;
            }
        }
    }

    /// Whether a hot input that is being opened now goes straight on the air: the stream is with
    /// it, or has not begun and would choose it, and no switch is on its way.
    pub(crate) fn carries(&self, priority: Priority, now: Nanos, policy: &Policy) -> bool {
        let mut nothing = Vec::new();
        let cx = self.cx(now, policy, Stall::default(), &mut nothing);
        let chosen = match self.active {
            Some(active) => Some(active),
            None if self.exhausted => None,
            None => self.best_forced(&cx),
        };
        let gated = self.entry.as_ref().is_some_and(|entry| entry.gate.is_some());
        let at_rest = self.pending.is_none() && self.left.is_none() && !gated;
        at_rest && chosen == Some(priority)
    }

    /// The activation that stays on the air though its input is gone, or switched off.
    pub(crate) fn leaving_epoch(&self) -> Option<Epoch> {
        self.leaving.as_ref().map(|leaving| leaving.run.epoch)
    }

    /// The same, where its number is another source's by now.
    pub(crate) fn stranger(&self) -> Option<Epoch> {
        self.leaving.as_ref().filter(|leaving| leaving.removed).map(|leaving| leaving.run.epoch)
    }

    /// How many packets of an epoch are known; `None` for an epoch that is over.
    pub(crate) fn known_packets(&self, epoch: Epoch) -> Option<u64> {
        let i = self.index_of_epoch(epoch)?;
        self.inputs[i].run.as_ref().map(|run| run.counts.packets)
    }

    /// A new epoch, for a start or for a recorder that is being opened.
    pub(crate) fn new_epoch(&mut self) -> Epoch {
        self.last_epoch += 1;
        Epoch::new(self.last_epoch)
    }

    fn on_opened(&mut self, cx: &mut Cx<'_>, priority: Priority, epoch: Epoch, by_id: bool) {
        let Some(i) = self.index_of(priority) else {
            // Removed meanwhile.
            return cx.act(Action::Close { epoch });
        };
        let input = &mut self.inputs[i];
        if !input.config.hot || input.run.as_ref().is_some_and(|run| run.epoch > epoch) {
            return cx.act(Action::Close { epoch });
        }
        // A reconnect does not buy time: silence, and the wait for a first packet, go on.
        let healthy = input.failure.is_none() && input.enabled;
        let (since, reconnects) = match &input.run {
            Some(run) if healthy => match run.last {
                Some(last) => (last, true),
                None => (run.since, run.reconnects),
            },
            _ => (input.wanted_since.filter(|_| healthy).unwrap_or(cx.now), false),
        };
        if let Some(old) = input.take_run() {
            cx.act(Action::Close { epoch: old.epoch });
        }
        input.wanted_since = None;
        input.steady_since = None;
        input.run =
            Some(Run { accepted: true, open: !by_id, reconnects, ..Run::new(epoch, since) });
        cx.emit(EventKind::InputStarted { input_priority: priority, epoch });
    }

    fn index_of(&self, priority: Priority) -> Option<usize> {
        self.inputs.binary_search_by_key(&priority, Input::priority).ok()
    }

    fn index_of_epoch(&self, epoch: Epoch) -> Option<usize> {
        self.inputs.iter().position(|input| input.epoch() == Some(epoch))
    }

    /// The active input, unless it is being left.
    fn active_input(&self) -> Option<&Input> {
        let active = self.active.filter(|_| self.left.is_none())?;
        self.index_of(active).map(|i| &self.inputs[i])
    }

    /// What stays on the air though it is to be left.
    fn leaving_run(&self) -> Option<(&InputConfig, &Run)> {
        if let Some(leaving) = &self.leaving {
            return Some((&leaving.config, &leaving.run));
        }
        // A hot input that was switched off.
        let active = self.active.filter(|_| self.left.is_some())?;
        let input = self.index_of(active).map(|i| &self.inputs[i])?;
        let run = input.run.as_ref().filter(|_| input.config.hot && !input.enabled)?;
        Some((&input.config, run))
    }

    fn usable_inputs(&self) -> usize {
        self.inputs.iter().filter(|input| self.is_usable(input)).count()
    }

    /// Neither degraded nor stopped, as the status has it: an impaired input is usable as long as
    /// it carries the stream. A mere suspicion raises no alarm.
    fn is_usable(&self, input: &Input) -> bool {
        let carries = self.left.is_none() && self.active == Some(input.priority());
        let alive = input.is_candidate() || (input.enabled && input.is_suspected());
        alive && (carries || !input.is_impaired())
    }
}
