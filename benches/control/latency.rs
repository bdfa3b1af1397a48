//! What one packet pays while another thread works on the same engine: the distribution over single
//! calls, each between two readings of the CPU's counter.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use changeover::{Engine, InputConfig, InputsUpdate, Packet, Recorder};

use crate::support::{Mode, figure, shuffled};
use crate::{address, id, stream};

pub(crate) const CASES: [(&str, &str); 5] = [
    ("alone", "nothing"),
    ("register", "register"),
    ("edit", "update_inputs"),
    ("status", "runtime_status"),
    ("unregister", "unregister"),
];

/// Streams whose packets are timed.
const TIMED: usize = 1_000;
/// Streams that were there before.
const THERE: usize = 50_000;
/// The histogram: steps of one nanosecond, and one bucket for what is beyond.
const STEPS: usize = 100_000;

struct Histogram {
    counts: Vec<u64>,
    max: u64,
}

impl Histogram {
    fn new() -> Self {
        Self { counts: vec![0; STEPS + 1], max: 0 }
    }

    fn note(&mut self, ns: u64) {
        self.counts[(ns as usize).min(STEPS)] += 1;
        self.max = self.max.max(ns);
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn quantile(&self, q: f64) -> f64 {
        let wanted = (self.total() as f64 * q).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (ns, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return ns as f64;
            }
        }
        self.max as f64
    }
}

pub(crate) fn run(mode: Mode) {
    let span = Duration::from_millis(if mode.quick { 400 } else { 1_000 });
    let clock = quanta::Clock::new();
    let mut empty = Histogram::new();
    for _ in 0..1_000_000 {
        let from = clock.raw();
        empty.note(clock.delta_as_nanos(from, clock.raw()));
    }
    let overhead = empty.quantile(0.5);
    figure("overhead_ns", overhead);

    let engine = Engine::builder().build().expect("builds");
    for n in 0..THERE {
        engine.register(stream(n, 2)).expect("a new id");
    }
    let mut recorders: Vec<Recorder> =
        (0..TIMED).map(|n| engine.recorder(&id(n), 0, None).expect("registered")).collect();
    // The first packet of an input is waited for, and costs more.
    recorders.iter_mut().for_each(|recorder| _ = recorder.record(Packet::new(1316)));
    std::thread::sleep(Duration::from_millis(100));

    let mut registered = THERE;
    let mut recorded = 1;
    for (case, _) in CASES {
        let (ready, over) = (Barrier::new(2), AtomicBool::new(false));
        let (histogram, calls) = std::thread::scope(|scope| {
            let recorders = &mut recorders;
            let (ready, over, clock) = (&ready, &over, &clock);
            let timed = scope.spawn(move || {
                ready.wait();
                time_records(recorders, clock, over)
            });
            ready.wait();
            let calls = work(case, &engine, &mut registered, Instant::now() + span);
            over.store(true, Relaxed);
            (timed.join().expect("it does not panic"), calls)
        });
        assert!(case == "alone" || calls > 100, "{calls} calls of {case}");
        let total = histogram.total();
        recorded += total / TIMED as u64;
        for (name, q) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            figure(format!("{case}_{name}"), (histogram.quantile(q) - overhead).max(0.0));
        }
        figure(format!("{case}_max"), histogram.max as f64 - overhead);
        figure(format!("{case}_records"), total as f64);
    }
    for n in 0..TIMED {
        let status = engine.runtime_status(&id(n)).expect("registered");
        assert_eq!(status.inputs[0].packets, recorded, "no packet of stream {n} is lost");
    }
}

/// Times whole rounds over all recorders until the other thread is done.
fn time_records(recorders: &mut [Recorder], clock: &quanta::Clock, over: &AtomicBool) -> Histogram {
    let mut histogram = Histogram::new();
    let order = shuffled(recorders.len(), 11);
    while !over.load(Relaxed) {
        for at in &order {
            let recorder = &mut recorders[*at];
            let from = clock.raw();
            let verdict = recorder.record(Packet::new(1316));
            let to = clock.raw();
            assert!(verdict.is_forward(), "it is on the air");
            histogram.note(clock.delta_as_nanos(from, to));
        }
    }
    histogram
}

/// Calls of one kind until the time is over; answers how many.
fn work(case: &str, engine: &Engine, registered: &mut usize, until: Instant) -> usize {
    let mut calls = 0;
    let others = THERE - TIMED;
    while Instant::now() < until {
        let other = TIMED + calls * 7919 % others;
        match case {
            "alone" => std::thread::sleep(Duration::from_millis(1)),
            "register" => {
                engine.register(stream(*registered, 2)).expect("a new id");
                *registered += 1;
            }
            "edit" => {
                let timeout = Duration::from_millis(20_000 + calls as u64 % 10_000);
                let updated = InputConfig::hot(1, address(other, 1)).with_packet_timeout(timeout);
                let update = InputsUpdate { updated: vec![updated], ..InputsUpdate::default() };
                engine.update_inputs(&id(other), update).expect("registered");
            }
            "status" => _ = engine.runtime_status(&id(other)).expect("registered"),
            "unregister" => {
                if *registered == TIMED {
                    break;
                }
                *registered -= 1;
                engine.unregister(&id(*registered)).expect("registered");
            }
            _ => panic!("no such case: {case}"),
        }
        calls += 1;
    }
    calls
}
