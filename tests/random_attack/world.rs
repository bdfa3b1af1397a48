//! The engine under attack, the driver that it commands, and what both have said so far.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

use changeover::{
    AnswerToken, BitrateRule, Cut, DriverCall, EngineConfig, EventKind, Failback, FpsRule,
    HandEngine, HealthConfig, InputConfig, LossRule, Packet, Recorder, Silence, StreamConfig,
    Subscription, SwitchReason, SwitchTicket, TrackSilenceRule, Tracks, Verdict,
};

pub(crate) const S: &str = "s";
/// The priorities in play.
pub(crate) const PRIORITIES: std::ops::Range<i32> = -2..5;
/// No packet timeout in play is longer.
pub(crate) const LONGEST_TIMEOUT_MS: u64 = 2_500;
/// Lines of the story that a failure ends with.
const TOLD: usize = 70;

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// xorshift64*.
pub(crate) struct Rng(u64);

impl Rng {
    fn new(seed: u64) -> Self {
        let mut rng = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..10 {
            rng.below(2);
        }
        rng
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16) % n
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// Which of `len` things, if there are any.
    pub(crate) fn pick(&mut self, len: usize) -> Option<usize> {
        (len > 0).then(|| self.below(len as u64) as usize)
    }

    pub(crate) fn priority(&mut self) -> i32 {
        let span = PRIORITIES.end - PRIORITIES.start;
        self.below(span as u64) as i32 + PRIORITIES.start
    }

    pub(crate) fn input(&mut self, priority: i32) -> InputConfig {
        let address = format!("a{}", self.below(6));
        let hot = self.chance(40);
        let new = if hot { InputConfig::hot } else { InputConfig::cold };
        let mut input = new(priority, address);
        if self.chance(15) {
            input = input.with_packet_timeout(ms(100 + self.below(2_000)));
        }
        if self.chance(15) {
            input = input.with_connect_timeout(ms(100 + self.below(2_000)));
        }
        if self.chance(15) {
            input = input.with_health(self.health());
        }
        input
    }

    /// Rules that a good source of the healing keeps.
    fn health(&mut self) -> HealthConfig {
        let mut health =
            HealthConfig { step_ms: 20 + self.below(200) as i64, ..Default::default() };
        let (hold_ms, clear_ms) = (1 + self.below(900) as i64, 1 + self.below(900) as i64);
        if self.chance(50) {
            let min_kbps = 1.0 + self.below(20) as f64;
            health.bitrate = BitrateRule { min_kbps, hold_ms, clear_ms, ..Default::default() };
        }
        if self.chance(50) {
            health.fps = FpsRule { min: 1.0 + self.below(9) as f64, hold_ms, clear_ms };
        }
        if self.chance(50) {
            let max_percent = 1.0 + self.below(30) as f64;
            health.loss = LossRule { max_percent, hold_ms, clear_ms };
        }
        if self.chance(50) {
            let video_ms = 200 + self.below(900) as i64;
            health.track_silence = TrackSilenceRule { video_ms, clear_ms };
        }
        if self.chance(30) {
            health.silence = Silence::Learned { floor_ms: 60, ceiling_ms: 0, confidence: 0.0 };
        }
        health
    }

    fn cut(&mut self) -> Cut {
        match self.below(3) {
            0 => Cut::Keyframe { max_wait_ms: 1 + self.below(1_500) as i64 },
            1 => Cut::Immediate,
            _ => Cut::Inherited,
        }
    }

    /// A packet of which the host says anything.
    pub(crate) fn packet(&mut self) -> Packet {
        let mut packet = Packet::new(self.below(1_500) as usize).keyframe(self.chance(20));
        for tracks in [Tracks::VIDEO, Tracks::AUDIO, Tracks::OTHER] {
            if self.chance(40) {
                packet = packet.tracks(tracks);
            }
        }
        let lost = if self.chance(10) { self.below(9) as u16 } else { 0 };
        packet.frames(self.below(2) as u16).lost(lost)
    }

    pub(crate) fn config(&mut self, packet_timeout_ms: u64) -> EngineConfig {
        let connect = self.chance(30);
        EngineConfig {
            packet_timeout_ms: packet_timeout_ms as i64,
            connect_timeout_ms: if connect { 100 + self.below(2_000) as i64 } else { 0 },
            probe_cooldown_ms: 100 + self.below(3_000) as i64,
            probe_timeout_ms: 50 + self.below(500) as i64,
            failback_cooldown_ms: 50 + self.below(3_000) as i64,
            failback_stable_ms: 1 + self.below(1_000) as i64,
            cut: self.cut(),
            failback: if self.chance(10) { Failback::Never } else { Failback::Inherited },
            observe: Some(self.chance(5)),
            health: self.chance(30).then(|| self.health().into()),
            ..Default::default()
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Called,
    Accepted,
    Failed,
}

/// One activation of a cold input, as the driver sees it.
#[derive(Debug)]
pub(crate) struct Activation {
    pub(crate) priority: i32,
    pub(crate) start: Start,
    pub(crate) stopped: bool,
    pub(crate) begun_ns: u64,
}

impl Activation {
    pub(crate) fn runs(&self) -> bool {
        !self.stopped && self.start != Start::Failed
    }
}

pub(crate) struct World {
    pub(crate) engine: HandEngine,
    pub(crate) events: Subscription,
    pub(crate) rng: Rng,
    seed: u64,
    story: VecDeque<String>,
    /// Every activation of the stream's present life, by epoch.
    pub(crate) activations: BTreeMap<u64, Activation>,
    pub(crate) starts: Vec<(u64, AnswerToken)>,
    pub(crate) probes: Vec<(i32, AnswerToken)>,
    pub(crate) recorders: Vec<Recorder>,
    pub(crate) tickets: Vec<SwitchTicket>,
    pub(crate) packet_timeout_ms: u64,
    /// No input can be probed.
    pub(crate) unprobed: bool,
    /// Inputs whose probe was answered with *unsupported* at least once.
    pub(crate) unsupported: BTreeSet<i32>,
    /// Packets are recorded by id, too.
    pub(crate) by_id: bool,
    /// Every time at which a packet was recorded, and the highest cut number answered.
    pub(crate) packet_times: BTreeSet<u64>,
    cut: u32,
    pub(crate) exhausted: bool,
    pub(crate) failovers: Vec<(i32, i32, SwitchReason)>,
    pub(crate) last_stall_ns: u64,
    starts_at: (u64, u32),
    begin: SystemTime,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let packet_timeout_ms = 200 + rng.below(2_000);
        let engine = HandEngine::new_for_testing(rng.config(packet_timeout_ms));
        let events = engine.subscribe(1 << 16);
        let (unprobed, by_id) = (rng.chance(30), rng.chance(50));
        let mut world = Self {
            engine,
            events,
            rng,
            seed,
            story: VecDeque::new(),
            activations: BTreeMap::new(),
            starts: Vec::new(),
            probes: Vec::new(),
            recorders: Vec::new(),
            tickets: Vec::new(),
            packet_timeout_ms,
            unprobed,
            unsupported: BTreeSet::new(),
            by_id,
            packet_times: BTreeSet::new(),
            cut: 0,
            exhausted: false,
            failovers: Vec::new(),
            last_stall_ns: 0,
            starts_at: (0, 0),
            // The hand-driven engine's wall clock begins here.
            begin: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
        };
        world.register();
        world
    }

    /// Registers the stream, with up to four inputs. Its earlier life counts no more.
    pub(crate) fn register(&mut self) {
        self.recorders.clear();
        self.activations.clear();
        self.tickets.clear();
        self.failovers.clear();
        self.unsupported.clear();
        (self.exhausted, self.cut) = (false, 0);
        let mut config = StreamConfig::new(S);
        let mut free: Vec<i32> = PRIORITIES.collect();
        for _ in 0..self.rng.below(5) {
            let priority = free.remove(self.rng.below(free.len() as u64) as usize);
            config = config.input(self.rng.input(priority));
        }
        config.cut = self.rng.cut();
        self.tell(format!("register {:?}", config.inputs));
        self.engine.register(config).expect("registers");
        self.check();
    }

    pub(crate) fn tell(&mut self, what: String) {
        let line = format!("{:>12.6} {what}", self.engine.now_ns() as f64 / 1e9);
        self.story.push_back(line);
        if self.story.len() > TOLD {
            self.story.pop_front();
        }
    }

    pub(crate) fn fail(&self, why: &str) -> ! {
        let story: Vec<&str> = self.story.iter().map(String::as_str).collect();
        let status = match self.engine.runtime_status(S) {
            Ok(status) => serde_json::to_string(&status).expect("serialises"),
            Err(error) => error.to_string(),
        };
        let (seed, story) = (self.seed, story.join("\n"));
        panic!("{why}\nSEED={seed} COUNT=1 brings it again\n{story}\n{status}");
    }

    pub(crate) fn demand(&self, holds: bool, why: &str) {
        if !holds {
            self.fail(why);
        }
    }

    /// Nanoseconds of the engine's clock for a wall time of its status.
    pub(crate) fn engine_ns(&self, at: SystemTime) -> u64 {
        let since =
            at.duration_since(self.begin).unwrap_or_else(|_| self.fail("a time before all"));
        since.as_nanos() as u64
    }

    /// Takes note of a packet and its verdict.
    pub(crate) fn heard(&mut self, verdict: Verdict) {
        if verdict != Verdict::Stale {
            self.packet_times.insert(self.engine.now_ns());
        }
        if let Verdict::Forward(cut) = verdict {
            self.demand(cut >= self.cut, "forwarded under an older cut");
            self.cut = cut;
        }
    }

    pub(crate) fn record(&mut self, recorder: usize) {
        let packet = self.rng.packet();
        let verdict = self.recorders[recorder].record(packet);
        let (priority, epoch) =
            (self.recorders[recorder].priority(), self.recorders[recorder].epoch());
        self.tell(format!("packet {priority} e{epoch} {verdict:?}"));
        self.heard(verdict);
    }

    /// Opens a recorder on the input's open epoch, or, on a hot one, on a new one.
    pub(crate) fn open(&mut self, priority: i32, current: bool) {
        let health = self.engine.input_health(S, priority).ok();
        let epoch = health.and_then(|input| input.health.epoch).filter(|_| current);
        if let Ok(recorder) = self.engine.recorder(S, priority, epoch) {
            self.tell(format!("open {priority} e{}", recorder.epoch()));
            self.recorders.push(recorder);
            if self.recorders.len() > 12 {
                self.recorders.remove(0);
            }
        }
    }

    /// What the driver is told: every activation has one start, and at most one stop after it.
    pub(crate) fn take_calls(&mut self) {
        for call in self.engine.calls() {
            match call {
                DriverCall::Start(call) => {
                    let (priority, epoch) = (call.input.priority, call.epoch.get());
                    self.tell(format!("  > start {priority} {} e{epoch}", call.input.address));
                    let begun_ns = self.engine.now_ns();
                    let start = Start::Called;
                    let begun = Activation { priority, start, stopped: false, begun_ns };
                    let before = self.activations.insert(epoch, begun);
                    self.demand(before.is_none(), "an epoch was started twice");
                    let sofar = if self.starts_at.0 == begun_ns { self.starts_at.1 } else { 0 };
                    self.starts_at = (begun_ns, sofar + 1);
                    self.demand(sofar < 60, "a storm of starts at one instant");
                    self.starts.push((epoch, call.token()));
                }
                DriverCall::Stop(call) => {
                    let (priority, epoch) = (call.input_priority, call.epoch.get());
                    self.tell(format!("  > stop {priority} e{epoch}"));
                    let Some(activation) = self.activations.get_mut(&epoch) else {
                        self.fail("a stop of what never started")
                    };
                    let was = std::mem::replace(&mut activation.stopped, true);
                    let (start, of) = (activation.start, activation.priority);
                    self.demand(!was, "stopped twice");
                    self.demand(start != Start::Failed, "a failed start is stopped");
                    self.demand(of == priority, "stopped under a number that is not its own");
                }
                DriverCall::Probe(call) => {
                    let priority = call.input.priority;
                    self.tell(format!("  > probe {priority}"));
                    self.probes.push((priority, call.token()));
                }
                DriverCall::Rebind(call) => {
                    let (from, to) = (call.from_priority, call.input.priority);
                    self.tell(format!("  > rebind {from}>{to} e{}", call.epoch));
                    match self.activations.get_mut(&call.epoch.get()) {
                        Some(known) if known.priority == from && !known.stopped => {
                            known.priority = to;
                        }
                        _ => self.fail("a rebind of what does not run"),
                    }
                }
                other => self.tell(format!("  > keyframe {}", other.input_priority())),
            }
        }
    }

    /// What the subscriber is told: exhausted and restored alternate.
    pub(crate) fn take_events(&mut self) {
        for event in self.events.drain() {
            self.tell(format!("    * {:.6} {:?}", event.at_ns as f64 / 1e9, event.kind));
            match event.kind {
                EventKind::Exhausted => {
                    self.demand(!self.exhausted, "exhausted twice");
                    self.exhausted = true;
                }
                EventKind::Restored { .. } => {
                    self.demand(self.exhausted, "restored without having been exhausted");
                    self.exhausted = false;
                }
                EventKind::InputFailover { from, to, reason, .. } => {
                    self.demand(from != to, "a failover to itself");
                    self.failovers.push((from, to, reason));
                }
                EventKind::Stall { .. } => self.last_stall_ns = event.at_ns,
                _ => {}
            }
        }
    }
}
