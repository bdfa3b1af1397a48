//! The monitor on the machine's clock: this thread is the producer of every packet, the monitor's
//! thread is accounted for by the system.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use changeover::{Engine, EngineConfig, EventKind, Subscription};

use crate::RATE;
use crate::fleet::{Fleet, id, index};
use crate::support::{Mode, figure, quantile, shuffled, threads, write_data};

/// The name of the engine's thread.
const MONITOR: &str = "changeover-mon";
/// How often the producer delivers what is due.
const PACE: Duration = Duration::from_micros(500);
/// All streams come up within this time, if the machine can.
const COMING_UP: Duration = Duration::from_secs(1);
const TIMEOUT_MS: u64 = 1_000;

struct Live {
    engine: Engine,
    fleet: Fleet,
    timeout: u64,
    /// When the schedule of packets began.
    began: Instant,
}

/// An event that a subscriber received: the stream, when it happened, when it was read.
struct Seen {
    stream: usize,
    at: u64,
    read: u64,
}

pub(crate) fn cpu(streams: usize, timeout_ms: u64, mode: Mode) {
    let mut live = Live::set_up(streams, timeout_ms);
    let span = Duration::from_millis(if mode.quick { 1_000 } else { 2_500 });
    // Until each has been looked at once.
    live.deliver_for(Duration::from_millis(timeout_ms + 500));
    let ((cpu, sleeps), recorded) = (monitor(), live.fleet.recorded);
    let looks = live.engine.stats().deadlines_total;
    let began = Instant::now();
    live.deliver_for(span);
    let wall = began.elapsed().as_secs_f64();
    let (cpu, sleeps) = (monitor().0 - cpu, monitor().1 - sleeps);
    let looks = (live.engine.stats().deadlines_total - looks) as f64;
    let rate = (live.fleet.recorded - recorded) as f64 / wall;
    let due = (2 * RATE) as f64 * streams as f64;
    // One that is late catches up; on a machine that does not carry it, it cannot.
    figure("rate_percent", rate / due * 100.0);
    figure("failovers", live.engine.stats().failovers_total as f64);
    figure("percent", cpu.as_secs_f64() / wall * 100.0);
    figure("wakes_per_s", sleeps as f64 / wall);
    figure("looks_per_s", looks / wall);
    figure("ns_a_look", cpu.as_nanos() as f64 / looks.max(1.0));
    live.fleet.check_counts(&live.engine);
}

pub(crate) fn events(streams: usize, mode: Mode) {
    let mut live = Live::set_up(streams, TIMEOUT_MS);
    live.deliver_for(Duration::from_millis(TIMEOUT_MS + 500));
    let (each, span) = if mode.quick { (1_000, 1_000) } else { (2_000, 4_000) };
    let span = Duration::from_millis(span);
    let order = shuffled(streams, 21);
    figure("tick_us", live.engine.stats().tick_ns as f64 / 1e3);

    let idle = live.lateness(&order[..each], span, "idle");
    write_data("lateness", "us", &idle.iter().map(|us| vec![*us]).collect::<Vec<_>>());
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        live.lateness(&order[each..2 * each], span, "loaded");
        over.store(true, Relaxed);
    });
    live.deliver_for(Duration::from_millis(500));
    live.outage();
    live.fleet.check_counts(&live.engine);
}

impl Live {
    fn set_up(streams: usize, timeout_ms: u64) -> Self {
        let config = |timeout_ms| EngineConfig {
            packet_timeout_ms: i64::try_from(timeout_ms).expect("small"),
            ..EngineConfig::default()
        };
        // Registering takes the producer's time: nobody is to fall silent by that.
        let patient = config(timeout_ms.max(COMING_UP.as_millis() as u64));
        let engine = Engine::builder().config(patient).build().expect("builds");
        let fleet = Fleet::new(streams);
        let timeout = timeout_ms * 1_000_000;
        let mut live = Self { engine, fleet, timeout, began: Instant::now() };
        while live.fleet.main.len() < streams {
            let share = live.began.elapsed().as_secs_f64() / COMING_UP.as_secs_f64();
            let wanted = streams.min((share * streams as f64) as usize);
            // Those that are there must not fall silent meanwhile.
            for _ in 0..wanted.saturating_sub(live.fleet.main.len()).min(200) {
                live.fleet.add(&live.engine);
            }
            live.deliver();
        }
        live.deliver_for(Duration::from_millis(100));
        live.engine.set_config(config(timeout_ms)).expect("a valid configuration");
        live
    }

    fn deliver(&mut self) {
        self.fleet.deliver_until(self.began.elapsed().as_nanos() as u64);
    }

    fn deliver_for(&mut self, span: Duration) {
        let until = Instant::now() + span;
        while Instant::now() < until {
            self.deliver();
            std::thread::sleep(PACE);
        }
    }

    /// These streams' main inputs die at random times within `span`. How late each was noticed,
    /// us, against the reading of the engine's clock before its last packet.
    fn lateness(&mut self, dying: &[usize], span: Duration, load: &str) -> Vec<f64> {
        let stalls = self.engine.stats().stalls_total;
        let mut times: Vec<usize> = shuffled(span.as_micros() as usize, 5);
        times.truncate(dying.len());
        times.sort_unstable();
        let mut deadlines = HashMap::new();
        let events = self.engine.subscribe(1 << 20);
        let engine = self.engine.clone();
        let (timeout, count) = (self.timeout, dying.len());
        let seen = std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                read(&engine, &events, count, |kind| {
                    matches!(kind, EventKind::InputDegraded { input_priority: 0, .. })
                })
            });
            let began = Instant::now();
            let mut plan = times.iter().zip(dying).peekable();
            while began.elapsed() < span + Duration::from_nanos(timeout + 200_000_000) {
                self.deliver();
                let reached = began.elapsed().as_micros() as usize;
                while let Some((_, stream)) = plan.next_if(|(at, _)| **at <= reached) {
                    let last = self.engine.now_ns();
                    assert!(self.fleet.kill(*stream).is_forward(), "{stream} was on the air");
                    deadlines.insert(*stream, last + timeout);
                }
                std::thread::sleep(PACE);
            }
            reader.join().expect("it does not panic")
        });
        assert_eq!((deadlines.len(), seen.len()), (count, count), "each death was noticed");
        let late = |when: fn(&Seen) -> u64| -> Vec<f64> {
            let late = seen.iter().map(|seen| (when(seen), deadlines[&seen.stream]));
            late.map(|(at, deadline)| (at as f64 - deadline as f64) / 1e3).collect()
        };
        let (at, read) = (late(|seen| seen.at), late(|seen| seen.read));
        assert!(at.iter().all(|us| *us >= 0.0), "never before the deadline");
        for (name, q) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
            figure(format!("{load}_{name}"), quantile(&at, q));
            figure(format!("{load}_read_{name}"), quantile(&read, q));
        }
        let stalls = self.engine.stats().stalls_total - stalls;
        figure(format!("{load}_stalls"), stalls as f64);
        at
    }

    /// All main inputs that live die in one go; the backups go on at their pace.
    fn outage(&mut self) {
        let alive: Vec<usize> =
            (0..self.fleet.main.len()).filter(|n| !self.fleet.is_dead(*n)).collect();
        let events = self.engine.subscribe(16 * alive.len());
        let (engine, count, before) =
            (self.engine.clone(), alive.len(), self.engine.stats().failovers_total);
        let (last, seen) = std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                read(&engine, &events, count, |kind| {
                    matches!(kind, EventKind::InputFailover { from: 0, to: 1, .. })
                })
            });
            for stream in alive {
                assert!(self.fleet.kill(stream).is_forward(), "{stream} was on the air");
            }
            let last = self.engine.now_ns();
            while !reader.is_finished() {
                self.deliver();
                std::thread::sleep(PACE);
            }
            (last, reader.join().expect("it does not panic"))
        });
        assert_eq!(seen.len(), count, "each stream is on its backup");
        assert_eq!(self.engine.stats().failovers_total - before, count as u64);
        let over = seen.iter().map(|seen| seen.read).max().expect("some");
        figure("outage_ms", over.saturating_sub(last + self.timeout) as f64 / 1e6);
    }
}

/// CPU time of the monitor's thread, and how often it has gone to sleep.
pub(crate) fn monitor() -> (Duration, u64) {
    let thread = threads().into_iter().find(|thread| thread.name == MONITOR);
    let thread = thread.expect("the engine has a monitor");
    (thread.cpu, thread.sleeps)
}

/// Reads events until `count` of the wanted kind have come, or none for 10 s.
fn read(
    engine: &Engine,
    events: &Subscription,
    count: usize,
    wanted: fn(&EventKind) -> bool,
) -> Vec<Seen> {
    let mut seen = Vec::with_capacity(count);
    while seen.len() < count
        && let Some(event) = events.recv_timeout(Duration::from_secs(10))
    {
        if wanted(&event.kind) {
            let stream = index(&event.stream.expect("of a stream"));
            seen.push(Seen { stream, at: event.at_ns, read: engine.now_ns() });
        }
    }
    assert_eq!(events.dropped(), 0, "the subscriber has room for all");
    seen
}

impl Fleet {
    /// What the inputs show as counted must be what was recorded. A monitor that has fallen behind
    /// gets some time to hear of all of them.
    fn check_counts(&self, engine: &Engine) {
        let until = Instant::now() + Duration::from_secs(10);
        loop {
            let counted: u64 = (0..self.main.len())
                .flat_map(|stream| engine.runtime_status(&id(stream)).expect("registered").inputs)
                .map(|input| input.packets)
                .sum();
            if counted == self.recorded {
                return;
            }
            let recorded = self.recorded;
            assert!(Instant::now() < until, "{counted} packets counted of {recorded}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
