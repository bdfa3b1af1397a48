//! What the host's side knows of a stream: what it did, what it was told, what must follow.

use std::collections::VecDeque;

use changeover::{
    AnswerToken, Cut, EngineConfig, Failback, InputConfig, Recorder, Silence, StreamConfig,
    SwitchReason, SwitchTicket,
};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const S: u64 = 1_000 * MS;

/// The engine's spans that bounds are made of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spans {
    pub(crate) probe_cooldown_ns: u64,
    pub(crate) probe_timeout_ns: u64,
    pub(crate) failback_cooldown_ns: u64,
    pub(crate) failback_stable_ns: u64,
}

/// No damping of failbacks beyond this.
pub(crate) const MOST_DAMPED_NS: u64 = 300 * S;
/// A host that takes longer than this for an answer or a first packet is not a good one.
pub(crate) const GOOD_ANSWER_NS: u64 = S;

/// A recorder, and the epoch that it is for.
pub(crate) struct Line {
    pub(crate) recorder: Recorder,
    pub(crate) epoch: u64,
    /// Its last packet: no later one counts as earlier.
    pub(crate) stamp: u64,
    /// Its epoch is over for certain: it has to answer *stale*.
    pub(crate) dead: bool,
}

#[derive(Default)]
pub(crate) struct Input {
    pub(crate) p: i32,
    pub(crate) hot: bool,
    pub(crate) packet_timeout_ns: u64,
    pub(crate) connect_timeout_ns: u64,
    pub(crate) enabled: bool,
    pub(crate) cur: Option<Line>,
    pub(crate) old: Option<Line>,
    /// The open epoch, as far as the host knows.
    pub(crate) epoch: Option<u64>,
    /// When that began: the start was called, or the recorder opened. A call is noticed a moment
    /// after it was made; not before `since_least`.
    pub(crate) since: u64,
    pub(crate) since_least: u64,
    /// The stream was decided to go there, and no recorder was open: what that waits for counts
    /// from here.
    pub(crate) wanted_at: Option<u64>,
    /// It may have taken an activation over with its address, whose last packet this was.
    pub(crate) adopted_stamp: Option<u64>,
    /// The latest packet of that epoch, by its own time,.
    pub(crate) stamp: Option<u64>,
    /// The latest counted packet of any epoch: by its own time, and when it arrived.
    pub(crate) any_stamp: Option<u64>,
    pub(crate) arrival: Option<u64>,
    pub(crate) degraded: Option<(u64, SwitchReason)>,
    /// The latest failure, also when it is over.
    pub(crate) failed: Option<(u64, SwitchReason)>,
    /// When something was done that may degrade it with an error.
    pub(crate) error_at: Option<u64>,
    /// Packets have come without a gap of its timeout since then.
    pub(crate) steady_since: Option<u64>,
    /// The latest moment at which it was not a good input.
    pub(crate) bad_at: u64,
    pub(crate) probe_good_at: Option<u64>,
    pub(crate) probe_bad_at: Option<u64>,
    pub(crate) unsupported: bool,
    /// Edited, added or enabled then: it may be probed at once.
    pub(crate) edited_at: u64,
    /// Conditions that the host has raised, and when the last one was cleared.
    pub(crate) black: bool,
}

/// One `start` of the driver.
pub(crate) struct Activation {
    pub(crate) epoch: u64,
    pub(crate) p: i32,
    pub(crate) since: u64,
    pub(crate) token: Option<AnswerToken>,
    /// A second one for the same call.
    pub(crate) spare: Option<AnswerToken>,
    pub(crate) accepted: bool,
    pub(crate) failed: bool,
    pub(crate) stopped: bool,
}

pub(crate) struct ProbeCalled {
    pub(crate) p: i32,
    pub(crate) at: u64,
    pub(crate) at_least: u64,
    pub(crate) token: AnswerToken,
}

#[derive(Default)]
pub(crate) struct Stream {
    pub(crate) id: String,
    pub(crate) registered: bool,
    /// Ascending.
    pub(crate) inputs: Vec<Input>,
    /// Recorders of inputs that are no more.
    pub(crate) gone: Vec<(i32, Line)>,
    /// The last packets of inputs that were removed, by priority.
    pub(crate) gone_stamps: Vec<(i32, u64)>,
    pub(crate) activations: Vec<Activation>,
    pub(crate) probes: Vec<ProbeCalled>,
    pub(crate) tickets: Vec<SwitchTicket>,
    pub(crate) cut: u32,
    pub(crate) cut_epoch: u64,
    pub(crate) last_epoch: u64,
    pub(crate) registered_at: u64,
    pub(crate) last_forward: u64,
    /// The active input, by the events.
    pub(crate) active: Option<i32>,
    pub(crate) exhausted: bool,
    pub(crate) failovers: u64,
    /// The latest, newest first.
    pub(crate) history: VecDeque<(i32, i32, SwitchReason)>,
    pub(crate) last_switch: Option<u64>,
    pub(crate) override_: Option<i32>,
    pub(crate) hold: bool,
    /// The operator, or a callback, has had a word then.
    pub(crate) word_at: Option<u64>,
    pub(crate) edit_at: Option<u64>,
    pub(crate) hold_ended_at: Option<u64>,
    /// Nothing stands against the best input since then.
    pub(crate) free_since: u64,
    /// Callbacks: the last one was *exhausted*.
    pub(crate) called_exhausted: bool,
    pub(crate) failback_never: bool,
    pub(crate) cut_wait_ns: u64,
    /// Degradations that this book does not foretell are possible: under health rules or learned
    /// silence always, else while a condition is raised or acts.
    pub(crate) soft: bool,
    pub(crate) rules: bool,
    pub(crate) impaired: u32,
    /// A condition that was raised may act until then.
    pub(crate) soft_until: u64,
    pub(crate) learned: bool,
    pub(crate) defaults_ms: (i64, i64),
    pub(crate) spans: Spans,
    pub(crate) touched: bool,
    /// The latest event's id.
    pub(crate) last_event: u64,
}

/// The first that is set.
fn first(list: &[i64]) -> i64 {
    list.iter().copied().find(|ms| *ms > 0).unwrap_or(30_000)
}

impl Input {
    /// As configured, in a stream with these packet and connect timeouts (0: none of its own).
    pub(crate) fn of(config: &InputConfig, stream_ms: (i64, i64), now: u64) -> Self {
        let timeout = first(&[config.packet_timeout_ms, stream_ms.0]);
        let connect = first(&[config.connect_timeout_ms, stream_ms.1, timeout]);
        Self {
            p: config.priority,
            hot: config.hot,
            packet_timeout_ns: timeout as u64 * MS,
            connect_timeout_ns: connect as u64 * MS,
            enabled: true,
            bad_at: now,
            edited_at: now,
            since: now,
            since_least: now,
            wanted_at: Some(now),
            ..Self::default()
        }
    }

    /// The epoch is over. One that was long without a packet was no good one.
    pub(crate) fn ends(&mut self, now: u64) {
        let (last, usual) = match self.stamp {
            Some(stamp) => (stamp, self.packet_timeout_ns),
            None => (self.since, self.connect_timeout_ns / 2),
        };
        if self.epoch.is_some() && now > last + usual {
            self.bad_at = now;
        }
        for line in self.cur.iter_mut().chain(&mut self.old) {
            line.dead |= Some(line.epoch) == self.epoch;
        }
        self.epoch = None;
        self.stamp = None;
        self.steady_since = None;
    }

    pub(crate) fn is_fit(&self) -> bool {
        self.enabled && self.degraded.is_none() && !self.black
    }
}

impl Activation {
    pub(crate) fn runs(&self) -> bool {
        !self.stopped && !self.failed
    }
}

impl Stream {
    pub(crate) fn of(config: &StreamConfig, engine: &EngineConfig, now: u64) -> Self {
        let timeout = (
            first(&[config.packet_timeout_ms, engine.packet_timeout_ms]),
            config.connect_timeout_ms.max(engine.connect_timeout_ms),
        );
        let ns = |own: i64, default_ms: i64| first(&[own, default_ms]) as u64 * MS;
        let spans = Spans {
            probe_cooldown_ns: ns(engine.probe_cooldown_ms, 8_000),
            probe_timeout_ns: ns(engine.probe_timeout_ms, 3_000),
            failback_cooldown_ns: ns(engine.failback_cooldown_ms, 12_000),
            failback_stable_ns: ns(engine.failback_stable_ms, 5_000),
        };
        let (cut, failback) = (
            if config.cut == Cut::Inherited { engine.cut } else { config.cut },
            if config.failback == Failback::Inherited { engine.failback } else { config.failback },
        );
        let mut inputs: Vec<Input> =
            config.inputs.iter().map(|input| Input::of(input, timeout, now)).collect();
        inputs.sort_by_key(|input| input.p);
        let rules: Vec<_> = config.inputs.iter().filter_map(|i| i.health.as_deref()).collect();
        let rules = || {
            rules.iter().copied().chain(config.health.as_deref()).chain(engine.health.as_deref())
        };
        let only_fixed = |rules: &changeover::HealthConfig| {
            *rules == changeover::HealthConfig { silence: Silence::Fixed, ..Default::default() }
        };
        let learned = rules().any(|rules| matches!(rules.silence, Silence::Learned { .. }));
        let cut_wait_ns = match cut {
            Cut::Keyframe { max_wait_ms: 0 } => 3 * S,
            Cut::Keyframe { max_wait_ms } => max_wait_ms as u64 * MS,
            _ => 0,
        };
        Self {
            id: config.id.clone(),
            registered: true,
            registered_at: now,
            inputs,
            last_forward: now,
            free_since: now,
            spans,
            failback_never: failback == Failback::Never,
            cut_wait_ns,
            soft: !rules().all(only_fixed),
            rules: !rules().all(only_fixed),
            learned,
            defaults_ms: timeout,
            ..Self::default()
        }
    }

    pub(crate) fn at(&self, p: i32) -> Option<usize> {
        self.inputs.iter().position(|input| input.p == p)
    }

    pub(crate) fn input(&mut self, p: i32) -> Option<&mut Input> {
        self.inputs.iter_mut().find(|input| input.p == p)
    }

    /// Longest packet and connect timeouts among its inputs.
    pub(crate) fn longest(&self) -> (u64, u64) {
        let most = |of: fn(&Input) -> u64| self.inputs.iter().map(of).max().unwrap_or(0);
        (most(|input| input.packet_timeout_ns), most(|input| input.connect_timeout_ns))
    }

    /// How long it may be off the air while an input is good: silence noticed, every other input
    /// tried in vain, the cooldowns of the good one, the cut.
    pub(crate) fn patience(&self) -> u64 {
        let (silence, connect) = self.longest();
        let tries = self.inputs.len() as u64 + 1;
        2 * silence
            + tries * (connect + GOOD_ANSWER_NS)
            + 2 * (self.spans.probe_cooldown_ns + self.spans.probe_timeout_ns)
            + self.cut_wait_ns
            + if self.soft { 60 * S } else { 0 }
    }
}
