//! Time per call: register, look up, edit, take a snapshot, unregister, one by one.

use std::time::{Duration, Instant};

use changeover::{Engine, EventKind, InputConfig, InputsUpdate};

use crate::support::{Mode, figure, shuffled};
use crate::{HUNDRED_THOUSAND, address, id, stream};

/// Figures, and what they say. A row that a run has no figure for is left out.
pub(crate) const ROWS: [(&str, &str); 8] = [
    ("1k", "register, the first 1,000"),
    ("1k_to_10k", "register, to 10,000"),
    ("10k_to_100k", "register, to 100,000"),
    ("100k_to_1m", "register, to 1,000,000"),
    ("register", "register, all"),
    ("edit", "update_inputs (one input's timeout)"),
    ("status", "runtime_status"),
    ("unregister", "unregister"),
];

/// Configurations that are made ready before their calls are timed.
const BATCH: usize = 1_000;
/// Calls of the kinds that do not change how many streams there are.
const SOME: usize = 20_000;

#[derive(Clone, Copy, Default)]
struct Tally {
    spent: Duration,
    worst: Duration,
    calls: usize,
}

impl Tally {
    /// Times `each` on everything in `batch`.
    fn time<T>(&mut self, batch: Vec<T>, mut each: impl FnMut(T)) {
        self.calls += batch.len();
        let began = Instant::now();
        let mut before = began;
        for item in batch {
            each(item);
            let now = Instant::now();
            self.worst = self.worst.max(now - before);
            before = now;
        }
        self.spent += before - began;
    }

    fn add(&mut self, other: Self) {
        self.spent += other.spent;
        self.worst = self.worst.max(other.worst);
        self.calls += other.calls;
    }

    fn us(self) -> f64 {
        self.spent.as_secs_f64() * 1e6 / self.calls as f64
    }

    fn tell(self, key: &str) {
        figure(format!("{key}_us"), self.us());
        figure(format!("{key}_worst_us"), self.worst.as_secs_f64() * 1e6);
        figure(format!("{key}_s"), self.spent.as_secs_f64());
    }
}

pub(crate) fn run(streams: usize, mode: Mode) {
    let engine = Engine::builder().build().expect("builds");
    register(&engine, streams);
    await_monitor(&engine);
    assert_eq!(engine.stats().streams, streams as u64 + 1, "all of them are there");

    let some: Vec<usize> = shuffled(streams, 3).into_iter().take(SOME).collect();
    let mut edit = Tally::default();
    let updates = some.iter().map(|n| {
        let timeout = Duration::from_millis(25_000);
        let updated = InputConfig::hot(1, address(*n, 1)).with_packet_timeout(timeout);
        (id(*n), InputsUpdate { updated: vec![updated], ..InputsUpdate::default() })
    });
    edit.time(updates.collect(), |(id, update)| {
        engine.update_inputs(&id, update).expect("known");
    });
    edit.tell("edit");
    let mut status = Tally::default();
    let mut inputs = 0;
    status.time(some.iter().map(|n| id(*n)).collect(), |id| {
        inputs += engine.runtime_status(&id).expect("registered").inputs.len();
    });
    assert_eq!(inputs, 2 * some.len());
    status.tell("status");

    let mut unregister = Tally::default();
    // A quick run has no time to take a million off.
    let gone = if mode.quick { streams.min(HUNDRED_THOUSAND) } else { streams };
    for ids in shuffled(streams, 5)[..gone].chunks(BATCH) {
        unregister.time(ids.iter().map(|n| id(*n)).collect(), |id| {
            engine.unregister(&id).expect("registered");
        });
    }
    unregister.tell("unregister");
    assert_eq!(engine.stats().streams, (streams - gone) as u64 + 1);
    engine.shutdown().expect("not in a callback");
}

fn register(engine: &Engine, streams: usize) {
    let decades = [("1k", 1_000), ("1k_to_10k", 10_000), ("10k_to_100k", 100_000)];
    let (mut all, mut last) = (Tally::default(), Tally::default());
    let mut decade = Tally::default();
    for from in (0..streams).step_by(BATCH) {
        let mut batch = Tally::default();
        let configs = (from..from + BATCH).map(|n| stream(n, 2)).collect();
        batch.time(configs, |config| engine.register(config).expect("a new id"));
        decade.add(batch);
        all.add(batch);
        if from >= streams - HUNDRED_THOUSAND {
            last.add(batch);
        }
        let to = from + BATCH;
        if let Some((key, _)) = decades.iter().find(|(_, end)| *end == to) {
            std::mem::take(&mut decade).tell(key);
        }
        if to == HUNDRED_THOUSAND {
            figure("first_100k_s", all.spent.as_secs_f64());
        }
    }
    if decade.calls > 0 {
        decade.tell("100k_to_1m");
    }
    all.tell("register");
    figure("last_100k_us", last.us());
}

/// Until the monitor has heard of all that was registered: it hears in order.
fn await_monitor(engine: &Engine) {
    let began = Instant::now();
    let events = engine.subscribe(0);
    engine.register(stream(usize::MAX, 2)).expect("a new id");
    let recorder = engine.recorder(&id(usize::MAX), 0, None).expect("registered");
    let heard = events.recv_timeout(Duration::from_secs(60)).expect("the monitor hears of it");
    assert!(matches!(heard.kind, EventKind::InputStarted { .. }), "{heard:?}");
    drop(recorder);
    figure("monitor_behind_s", began.elapsed().as_secs_f64());
}
