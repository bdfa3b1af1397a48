//! The real engine and its drivers: what is called, in which order, and what never is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;

use changeover::{
    Answer, Engine, EventKind, IngestDriver, InputConfig, InputsUpdate, StartCall, StopCall,
};

use crate::{S, cold, ms, stream};

/// What the driver has been through, by the epoch's number.
type Log = Arc<Mutex<Vec<(String, &'static str, u64)>>>;

/// Takes its time, and writes down what it is called for.
struct Slow {
    log: Log,
    start_ms: u64,
    /// For input 0; the others stop at once.
    stop_ms: u64,
}

impl Slow {
    fn new(start_ms: u64, stop_ms: u64) -> (Self, Log) {
        let log = Log::default();
        (Self { log: Arc::clone(&log), start_ms, stop_ms }, log)
    }

    fn note(&self, stream: &str, what: &'static str, epoch: changeover::Epoch) {
        self.log.lock().unwrap().push((stream.to_owned(), what, epoch.get()));
    }
}

impl IngestDriver for Slow {
    fn start(&self, call: &StartCall) -> Answer {
        self.note(&call.stream, "start", call.epoch);
        thread::sleep(ms(self.start_ms));
        self.note(&call.stream, "started", call.epoch);
        Answer::Done
    }

    fn stop(&self, call: &StopCall) {
        if call.input_priority == 0 {
            thread::sleep(ms(self.stop_ms));
        }
        self.note(&call.stream, "stop", call.epoch);
    }
}

/// What became of each epoch, in order.
fn lives(log: &Log) -> BTreeMap<u64, Vec<&'static str>> {
    let mut lives = BTreeMap::<_, Vec<_>>::new();
    for (_, what, epoch) in &*log.lock().unwrap() {
        lives.entry(*epoch).or_default().push(*what);
    }
    lives
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2_000 {
        if holds() {
            return;
        }
        thread::sleep(ms(5));
    }
    panic!("not within 10 s: {what}");
}

fn build(driver: Slow) -> Engine {
    let engine = Engine::builder().driver(driver).build().expect("builds");
    engine.register(stream(S, [cold(0, "a"), cold(1, "b")])).expect("registers");
    engine
}

fn update(engine: &Engine, added: &[InputConfig], removed: &[i32], updated: &[InputConfig]) {
    let (added, removed, updated) = (added.to_vec(), removed.to_vec(), updated.to_vec());
    engine.update_inputs(S, InputsUpdate { added, removed, updated }).expect("a valid update");
}

/// Ends the stream, and checks every epoch's life: started, and stopped once, in that order. What
/// never began gets no stop.
fn ends_well(engine: &Engine, log: &Log) {
    engine.unregister_and_wait(S, ms(10_000)).expect("all calls return");
    for (epoch, life) in lives(log) {
        assert_eq!(life, ["start", "started", "stop"], "epoch {epoch} of {:?}", lives(log));
    }
}

// §10, §3.6: a renumbered activation whose start waits in the queue: no stop before, none without.
#[test]
fn a_start_that_never_began_gets_no_stop() {
    let (driver, log) = Slow::new(0, 400);
    let engine = build(driver);
    eventually("0 runs", || lives(&log).contains_key(&1));
    thread::sleep(ms(30));
    engine.update_buffer_write_id(S, "other").unwrap(); // a slow stop; the start waits behind it
    thread::sleep(ms(20));
    update(&engine, &[cold(5, "a")], &[0], &[]);
    thread::sleep(ms(20));
    update(&engine, &[], &[5], &[]);
    thread::sleep(ms(600));
    ends_well(&engine, &log);
}

// §10: calls for one activation are ordered, also when it has got another number meanwhile.
#[test]
fn the_stop_of_a_renumbered_input_waits_for_its_start() {
    let (driver, log) = Slow::new(300, 0);
    let engine = build(driver);
    eventually("0 starts", || lives(&log).contains_key(&1));
    eventually("its packets are heard", || engine.record_packet(S, 0).is_forward());
    update(&engine, &[], &[0], &[cold(1, "a")]);
    thread::sleep(ms(20));
    update(&engine, &[], &[1], &[]);
    thread::sleep(ms(600));
    ends_well(&engine, &log);
}

// §10: a start that has waited for a worker beyond its deadline does not begin any more.
#[test]
fn no_start_begins_after_its_deadline() {
    let (driver, log) = Slow::new(600, 0);
    let engine = Engine::builder().driver(driver).driver_workers(2).build().unwrap();
    let events = engine.subscribe(0);
    for (id, connect_timeout_ms) in [("x", 5_000), ("y", 5_000), ("late", 300)] {
        let mut config = stream(id, [cold(0, "a")]);
        config.connect_timeout_ms = connect_timeout_ms;
        engine.register(config).unwrap();
    }
    let both =
        |log: &Log| log.lock().unwrap().iter().filter(|(_, what, _)| *what == "started").count();
    eventually("the workers are free again", || both(&log) >= 2);
    thread::sleep(ms(900));
    let calls = log.lock().unwrap().clone();
    assert!(!calls.iter().any(|(stream, ..)| stream == "late"), "{calls:?}");
    let failed = events.drain().into_iter().any(|event| {
        event.stream.as_deref() == Some("late")
            && matches!(event.kind, EventKind::InputDegraded { .. })
    });
    assert!(failed, "and the stream knows");
}

// §10, §4.7: with every written-off call allowed used up, the monitor sleeps and does not stall.
#[test]
fn a_driver_that_hangs_for_ever_costs_no_wake_ups() {
    let (driver, _) = Slow::new(4_000, 0);
    let builder = Engine::builder().driver(driver).max_stuck_calls(1);
    let engine = builder.shutdown_timeout(ms(10)).build().unwrap();
    for id in ["x", "y"] {
        let mut config = stream(id, [cold(0, "a")]);
        config.connect_timeout_ms = 100;
        engine.register(config).unwrap();
    }
    eventually("a call is written off", || engine.stats().stuck_calls == 1);
    thread::sleep(ms(500));
    let before = engine.stats();
    thread::sleep(ms(1_000));
    let after = engine.stats();
    assert_eq!(after.stuck_calls, 1, "it still hangs");
    let woken = after.wakes_total - before.wakes_total;
    assert!(woken < 500, "{woken} wake-ups in about a second");
    assert!(after.stalls_total - before.stalls_total < 10);
}
