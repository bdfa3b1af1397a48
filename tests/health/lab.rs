//! The harness: a stream of hot inputs whose packets are scripted, lane by lane, and played in
//! the order of their times.

use std::time::Duration;

use changeover::{EngineConfig, Subscription};
use changeover::{
    Event, EventKind, HandEngine, InputConfig, InputHealthSnapshot, Packet, Recorder,
    RuntimeStatus, StreamConfig, SwitchReason, Verdict,
};

/// The stream of every test.
pub(crate) const STREAM: &str = "s";

pub(crate) const fn ms(n: u64) -> u64 {
    n * 1_000_000
}

pub(crate) const fn s(n: u64) -> u64 {
    ms(n * 1000)
}

/// Packets of one kind: one at `next`, and each at the time that `after` makes of the one before.
pub(crate) struct Lane {
    packet: Packet,
    next: u64,
    after: Box<dyn FnMut(u64) -> u64>,
}

/// A packet each `period`, the first one after one period.
pub(crate) fn each(period: u64, packet: Packet) -> Lane {
    Lane { packet, next: period, after: Box::new(move |at| at + period) }
}

/// A plain feed of so many kbit/s, 100 packets a second.
pub(crate) fn kbps(kbps: usize) -> Lane {
    each(ms(10), Packet::new(kbps * 10 / 8))
}

impl Lane {
    pub(crate) fn timed(packet: Packet, after: impl FnMut(u64) -> u64 + 'static) -> Self {
        Self { packet, next: 1, after: Box::new(after) }
    }

    /// The same, its first packet so long after the feed begins.
    pub(crate) fn first(mut self, after: u64) -> Self {
        self.next = after;
        self
    }
}

/// One input.
struct Source {
    recorder: Recorder,
    lanes: Vec<Lane>,
}

/// A packet that made a cut: the first that was forwarded of another input than before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CutSeen {
    pub(crate) at: u64,
    pub(crate) input: i32,
    pub(crate) packet: Packet,
}

/// A move that became effective.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Move {
    pub(crate) at: u64,
    pub(crate) from: i32,
    pub(crate) to: i32,
    pub(crate) reason: SwitchReason,
    pub(crate) detail: String,
}

/// See the module's documentation.
pub(crate) struct Lab {
    pub(crate) engine: HandEngine,
    sources: Vec<Source>,
    subscription: Subscription,
    events: Vec<Event>,
    pub(crate) cuts: Vec<CutSeen>,
    /// Per input, when its last packet was forwarded.
    pub(crate) last_forwarded: Vec<u64>,
    cut: u32,
}

/// T = 500 ms, no pause between moves that counts.
pub(crate) fn config() -> EngineConfig {
    EngineConfig {
        packet_timeout_ms: 500,
        failback_cooldown_ms: 1,
        switch_history: 100,
        ..EngineConfig::default()
    }
}

impl Lab {
    /// So many hot inputs, 0 and up, all silent.
    pub(crate) fn new(inputs: i32, config: EngineConfig) -> Self {
        let stream = (0..inputs).fold(StreamConfig::new(STREAM), |stream, priority| {
            stream.input(InputConfig::hot(priority, format!("udp://{priority}")))
        });
        Self::with_stream(stream, config)
    }

    pub(crate) fn with_stream(stream: StreamConfig, config: EngineConfig) -> Self {
        let engine = HandEngine::new_for_testing(config);
        let subscription = engine.subscribe(100_000);
        let inputs = stream.inputs.len();
        engine.register(stream).expect("registers");
        let open = |priority: usize| Source {
            recorder: engine.recorder(STREAM, priority as i32, None).expect("opens"),
            lanes: Vec::new(),
        };
        let sources = (0..inputs).map(open).collect();
        let (events, cuts, last_forwarded) = (Vec::new(), Vec::new(), vec![0; inputs]);
        Self { engine, sources, subscription, events, cuts, last_forwarded, cut: 0 }
    }

    pub(crate) fn now(&self) -> u64 {
        self.engine.now_ns()
    }

    /// From now on the input delivers this, and nothing else.
    pub(crate) fn feed(&mut self, input: usize, lanes: impl IntoIterator<Item = Lane>) {
        let now = self.now();
        let begun = |lane: Lane| Lane { next: now + lane.next, ..lane };
        self.sources[input].lanes = lanes.into_iter().map(begun).collect();
    }

    /// From now on it delivers nothing.
    pub(crate) fn silence(&mut self, input: usize) {
        self.sources[input].lanes.clear();
    }

    /// Plays all packets up to this time, it included.
    pub(crate) fn run_to(&mut self, until: u64) {
        loop {
            let mut next: Option<(u64, usize, usize)> = None;
            for (input, source) in self.sources.iter().enumerate() {
                for (lane, of) in source.lanes.iter().enumerate() {
                    if of.next <= until && next.is_none_or(|(at, ..)| of.next < at) {
                        next = Some((of.next, input, lane));
                    }
                }
            }
            let Some((at, input, lane)) = next else { break };
            self.advance_to(at);
            let lane = &mut self.sources[input].lanes[lane];
            lane.next = (lane.after)(at);
            let packet = lane.packet;
            self.send(input, packet);
        }
        self.advance_to(until);
    }

    pub(crate) fn run(&mut self, span: u64) {
        self.run_to(self.now() + span);
    }

    fn advance_to(&self, at: u64) {
        let by = at.saturating_sub(self.now());
        if by > 0 {
            self.engine.advance(Duration::from_nanos(by));
        }
    }

    /// One packet now.
    pub(crate) fn send(&mut self, input: usize, packet: Packet) {
        let verdict = self.sources[input].recorder.record(packet);
        assert_ne!(verdict, Verdict::Stale, "input {input} at {}", self.now());
        let Verdict::Forward(cut) = verdict else { return };
        let (at, input) = (self.now(), input as i32);
        assert!(cut >= self.cut, "cuts go up");
        self.cut = cut;
        self.last_forwarded[input as usize] = at;
        if self.cuts.last().is_none_or(|last| last.input != input) {
            self.cuts.push(CutSeen { at, input, packet });
        }
    }

    /// The input's producer opens a new recorder.
    pub(crate) fn reopen(&mut self, input: usize) {
        self.sources[input].recorder =
            self.engine.recorder(STREAM, input as i32, None).expect("opens");
    }

    /// The input's producer reports an error.
    pub(crate) fn fail(&mut self, input: usize) {
        self.sources[input].recorder.report_error("killed");
    }

    pub(crate) fn status(&self) -> RuntimeStatus {
        self.engine.runtime_status(STREAM).expect("is registered")
    }

    pub(crate) fn input(&self, priority: i32) -> InputHealthSnapshot {
        self.status().input(priority).expect("is there").clone()
    }

    pub(crate) fn active(&self) -> Option<i32> {
        self.status().active_input_priority
    }

    /// All that has happened so far.
    pub(crate) fn events(&mut self) -> &[Event] {
        self.events.extend(self.subscription.drain());
        &self.events
    }

    /// The moves so far.
    pub(crate) fn moves(&mut self) -> Vec<Move> {
        let of = |event: &Event| match &event.kind {
            EventKind::InputFailover { from, to, reason, detail } => Some(Move {
                at: event.at_ns,
                from: *from,
                to: *to,
                reason: *reason,
                detail: detail.clone(),
            }),
            _ => None,
        };
        self.events().iter().filter_map(of).collect()
    }

    /// The only move so far.
    pub(crate) fn only_move(&mut self) -> Move {
        let moves = self.moves();
        assert_eq!(moves.len(), 1, "{moves:#?}");
        moves[0].clone()
    }

    /// Why each move so far was made.
    pub(crate) fn reasons(&mut self) -> Vec<(i32, SwitchReason)> {
        self.moves().iter().map(|made| (made.to, made.reason)).collect()
    }

    /// The refusals so far: when, whereto, by which rule, and the numbers.
    pub(crate) fn refusals(&mut self) -> Vec<(u64, Option<i32>, &'static str, String)> {
        let of = |event: &Event| match &event.kind {
            EventKind::SwitchRefused { to, rule, detail, .. } => {
                Some((event.at_ns, *to, *rule, detail.clone()))
            }
            _ => None,
        };
        self.events().iter().filter_map(of).collect()
    }

    /// Events of a kind, with their times.
    pub(crate) fn all<T>(&mut self, of: impl Fn(&EventKind) -> Option<T>) -> Vec<(u64, T)> {
        let timed = |event: &Event| of(&event.kind).map(|found| (event.at_ns, found));
        self.events().iter().filter_map(timed).collect()
    }
}
