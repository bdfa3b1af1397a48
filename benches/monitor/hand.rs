//! The monitor's own work on a clock that moves by hand: only the engine's steps are timed, the
//! packets between them are not.

use std::time::{Duration, Instant};

use changeover::{Engine, EngineConfig, EventKind, HandEngine, Subscription};

use crate::fleet::{Fleet, id};
use crate::support::{Mode, figure};

/// Before anything is measured, packets come at the full rate for this long.
const DENSE_NS: u64 = 100_000_000;
/// A packet for a look comes so long before it: more than the time between two at the full rate.
const AHEAD_NS: u64 = 40_000_000;
/// Events that one stream gives from its registration to its switch, at most.
const EVENTS: usize = 12;

struct Bench {
    engine: HandEngine,
    events: Subscription,
    fleet: Fleet,
    streams: usize,
    tick: u64,
    now: u64,
    /// Time spent in the engine's steps.
    spent: Duration,
}

pub(crate) fn run(streams: usize, timeout_ms: u64, mode: Mode) {
    let mut bench = Bench::new(streams, timeout_ms);
    let timeout = timeout_ms * 1_000_000;
    bench.set_up(timeout);
    let span = match (timeout_ms, mode.quick) {
        (100, true) => 200_000_000,
        (100, false) => 500_000_000,
        (_, true) => 500_000_000,
        (_, false) => 1_000_000_000,
    };
    bench.measure_cpu(span);
    if timeout_ms == 1_000 {
        bench.outage(timeout);
    }
}

impl Bench {
    fn new(streams: usize, timeout_ms: u64) -> Self {
        let config = EngineConfig {
            packet_timeout_ms: i64::try_from(timeout_ms).expect("small"),
            ..EngineConfig::default()
        };
        let built = Engine::builder().config(config).build_hand_driven();
        let engine = built.expect("a valid configuration");
        let events = engine.subscribe(streams * EVENTS);
        let tick = engine.stats().tick_ns;
        let fleet = Fleet::new(streams);
        Self { engine, events, fleet, streams, tick, now: 0, spent: Duration::ZERO }
    }

    /// One tick of simulated time, and the packets that come in it.
    fn tick(&mut self, by: u64) {
        let began = Instant::now();
        self.engine.advance(Duration::from_nanos(by));
        self.spent += began.elapsed();
        self.now += by;
    }

    /// The streams come up one after another over the timeout, so that their deadlines lie as
    /// evenly as in life, and each is looked at once. What no look sees is left out: a stream gets a
    /// packet before its look, and packets come at the full rate only for a while before the end.
    fn set_up(&mut self, timeout: u64) {
        let streams = self.streams as u64;
        let upto = move |now: u64| streams.min((streams * now).div_ceil(timeout)) as usize;
        let mut fed = 0;
        while self.now < timeout || self.now + DENSE_NS < 2 * timeout {
            while self.fleet.main.len() < upto(self.now + self.tick) {
                self.fleet.add(&self.engine);
            }
            let ahead = upto((self.now + AHEAD_NS).saturating_sub(timeout));
            (fed..ahead).for_each(|stream| self.fleet.deliver_to(stream));
            fed = fed.max(ahead);
            self.tick(self.tick);
        }
        assert_eq!(self.fleet.main.len(), self.streams);
        self.fleet.skip_to(self.now);
        while self.now < 2 * timeout {
            self.fleet.deliver_until(self.now + self.tick);
            self.tick(self.tick);
        }
    }

    fn measure_cpu(&mut self, span: u64) {
        // The clock's first turns are not like the others: caches, queues that grow.
        for _ in 0..5 {
            self.fleet.deliver_until(self.now + self.tick);
            self.tick(self.tick);
        }
        let (from, looks, recorded) =
            (self.now, self.engine.stats().deadlines_total, self.fleet.recorded);
        self.spent = Duration::ZERO;
        while self.now < from + span {
            self.tick(self.tick);
            self.fleet.deliver_until(self.now);
        }
        let simulated = (self.now - from) as f64;
        let spent = self.spent.as_nanos() as f64;
        let looks = (self.engine.stats().deadlines_total - looks) as f64;
        let recorded = (self.fleet.recorded - recorded) as f64;
        let due = simulated / 1e9 * (2 * crate::RATE) as f64 * self.streams as f64;
        assert!((recorded / due - 1.0).abs() < 0.01, "{recorded} packets of {due}");
        assert_eq!(self.engine.stats().failovers_total, 0, "nobody was silent");
        figure("percent", spent / simulated * 100.0);
        figure("looks_per_s", looks / simulated * 1e9);
        figure("ns_a_look", spent / looks.max(1.0));
    }

    /// The main inputs' last packets come in one tick. Backups go on.
    fn outage(&mut self, timeout: u64) {
        let started = self.events.drain().len();
        assert_eq!(self.events.dropped(), 0, "{started} events and no more");
        let forwarded: usize =
            (0..self.streams).map(|stream| usize::from(self.fleet.kill(stream).is_forward())).sum();
        assert_eq!(forwarded, self.streams, "the main inputs are on the air");
        let dead_at = self.now;
        // Nothing looks at a backup meanwhile but to see that it is not silent.
        self.skip(timeout / 2);
        assert_eq!(self.fleet.sweep_backups(), 0);
        self.skip(timeout / 2 - DENSE_NS);
        assert_eq!(self.fleet.sweep_backups(), 0);
        self.fleet.skip_to(self.now);
        while self.now + self.tick < dead_at + timeout {
            self.tick(self.tick);
            self.fleet.deliver_until(self.now);
        }
        assert_eq!(self.engine.stats().failovers_total, 0, "no deadline is over");
        let left = dead_at + timeout - self.now;
        self.tick(left - 1);

        let began = Instant::now();
        self.engine.advance(Duration::from_nanos(1));
        let decided = began.elapsed();
        let forwarded = self.fleet.sweep_backups();
        let all = began.elapsed();

        let events = self.check_outage(forwarded);
        figure("outage_ms", all.as_secs_f64() * 1e3);
        figure("decide_ms", decided.as_secs_f64() * 1e3);
        figure("cut_ms", (all - decided).as_secs_f64() * 1e3);
        figure("events", events as f64);
    }

    fn skip(&mut self, by: u64) {
        self.engine.advance(Duration::from_nanos(by));
        self.now += by;
    }

    /// Every stream is on its backup, and the subscriber has each one's events.
    fn check_outage(&self, forwarded: usize) -> usize {
        assert_eq!(forwarded, self.streams, "each backup's packet made its cut");
        let events = self.events.drain();
        assert_eq!(self.events.dropped(), 0);
        let count = |is: fn(&EventKind) -> bool| events.iter().filter(|e| is(&e.kind)).count();
        let failovers =
            count(|kind| matches!(kind, EventKind::InputFailover { from: 0, to: 1, .. }));
        let firsts = count(|kind| matches!(kind, EventKind::FirstPacket { input_priority: 1, .. }));
        assert_eq!((failovers, firsts), (self.streams, self.streams));
        assert_eq!(self.engine.stats().failovers_total, self.streams as u64);
        for stream in (0..self.streams).step_by(self.streams.div_ceil(10_000)) {
            let status = self.engine.runtime_status(&id(stream)).expect("registered");
            assert_eq!(status.active_input_priority, Some(1));
        }
        events.len()
    }
}
