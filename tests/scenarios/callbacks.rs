//! Host code that misbehaves: callbacks and driver calls that panic, call back in, wait or block,
//! and subscribers that never read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::time::Duration;

use changeover::{
    Answer, DriverCall, Engine, EngineConfig, Error, EventKind, HandEngine, IngestDriver,
    InputConfig, InputsUpdate, ProbeCall, StartCall, StopCall, StreamConfig,
};

use crate::support::gate::Gate;

const LONG: Duration = Duration::from_secs(30);

fn stream(id: &str, priorities: &[i32]) -> StreamConfig {
    priorities.iter().fold(StreamConfig::new(id), |stream, priority| {
        stream.input(InputConfig::cold(*priority, format!("a{priority}")))
    })
}

/// Answers every waiting start and probe with success.
fn agree(hand: &HandEngine) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(call) = hand.next_call() {
        let priority = call.input_priority();
        match call {
            DriverCall::Start(call) => {
                seen.push(format!("start {priority}"));
                call.token().done();
            }
            DriverCall::Probe(call) => {
                seen.push(format!("probe {priority}"));
                call.token().done();
            }
            DriverCall::Stop(_) => seen.push(format!("stop {priority}")),
            DriverCall::Rebind(_) => seen.push(format!("rebind {priority}")),
            _ => seen.push(format!("keyframe {priority}")),
        }
    }
    seen
}

#[test]
fn a_panicking_callback_harms_nobody() {
    let hand = HandEngine::new_for_testing(EngineConfig::default());
    let restored = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&restored);
    hand.set_exhausted_callback(Some(Box::new(|_| panic!("host bug"))));
    hand.set_restored_callback(Some(Box::new(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
    })));
    hand.register(stream("s", &[0])).expect("registers");
    agree(&hand);
    hand.report_input_error("s", 0, None, "gone").expect("taken");
    assert!(hand.runtime_status("s").expect("registered").exhausted);
    agree(&hand);
    hand.advance(Duration::from_secs(8));
    assert_eq!(agree(&hand), ["probe 0", "start 0"]);
    assert!(!hand.runtime_status("s").expect("registered").exhausted);
    assert_eq!(restored.load(Ordering::Relaxed), 1);
}

#[test]
fn a_callback_may_call_back_in() {
    let hand = HandEngine::new_for_testing(EngineConfig::default());
    let (inside, results) = (Arc::new(OnceLock::<Engine>::new()), Arc::new(Mutex::new(Vec::new())));
    let (engine, seen) = (Arc::clone(&inside), Arc::clone(&results));
    hand.set_exhausted_callback(Some(Box::new(move |id| {
        let engine = engine.get().expect("set below");
        let status = engine.runtime_status(id).expect("still registered");
        assert!(status.exhausted);
        let ticket = engine.switch_input(id, 0);
        let wait = ticket.map(|ticket| ticket.wait(LONG));
        let backup =
            InputsUpdate { added: vec![InputConfig::cold(9, "backup")], ..Default::default() };
        let mut seen = seen.lock().expect("not poisoned");
        seen.push(format!("switch {:?}", wait.is_err()));
        seen.push(format!("update {:?}", engine.update_inputs(id, backup)));
        seen.push(format!("register {:?}", engine.register(stream("other", &[0]))));
        seen.push(format!("unregister {:?}", engine.unregister("other")));
        seen.push(format!("{:?}", engine.unregister_and_wait(id, LONG)));
        seen.push(format!("{:?}", engine.shutdown().err()));
    })));
    assert!(inside.set((*hand).clone()).is_ok());
    hand.register(stream("s", &[0])).expect("registers");
    agree(&hand);
    hand.report_input_error("s", 0, None, "gone").expect("taken");
    let seen = results.lock().expect("not poisoned").clone();
    assert_eq!(
        &seen[..4],
        ["switch true", "update Ok(())", "register Ok(())", "unregister Ok(())"]
    );
    assert!(seen[4].starts_with("Err(WouldBlock"), "{seen:?}");
    assert!(seen[5].starts_with("Some(WouldBlock"), "{seen:?}");
    // What it did took effect: the backup starts.
    assert!(agree(&hand).contains(&"start 9".to_owned()));
    assert_eq!(hand.registered_streams(), ["s"]);
    hand.set_exhausted_callback(None);
}

#[test]
fn a_callback_may_unregister_its_own_stream() {
    let hand = HandEngine::new_for_testing(EngineConfig::default());
    let inside = Arc::new(OnceLock::<Engine>::new());
    let engine = Arc::clone(&inside);
    hand.set_exhausted_callback(Some(Box::new(move |id| {
        engine.get().expect("set below").unregister(id).expect("registered");
    })));
    assert!(inside.set((*hand).clone()).is_ok());
    hand.register(stream("s", &[0])).expect("registers");
    assert_eq!(agree(&hand), ["start 0"]);
    hand.report_input_error("s", 0, None, "gone").expect("taken");
    assert!(!hand.is_registered("s"));
    assert_eq!(agree(&hand), ["stop 0"]);
    hand.advance(Duration::from_secs(100));
    assert_eq!(agree(&hand), Vec::<String>::new());
    hand.set_exhausted_callback(None);
}

#[test]
fn waiting_on_the_hand_driven_engine_would_block() {
    let hand = HandEngine::new_for_testing(EngineConfig::default());
    hand.register(stream("s", &[0, 1])).expect("registers");
    agree(&hand);
    assert!(hand.record_packet("s", 0).is_forward());
    let ticket = hand.switch_input("s", 1).expect("valid");
    assert_eq!(ticket.outcome(), None);
    assert!(matches!(ticket.wait(LONG), Err(Error::WouldBlock { .. })));
    assert!(matches!(hand.unregister_and_wait("s", LONG), Err(Error::WouldBlock { .. })));
    assert!(hand.is_registered("s"), "a refused call changes nothing");
    agree(&hand);
    assert_eq!(ticket.outcome(), Some(Ok(())));
    assert_eq!(ticket.wait(LONG), Ok(()));
}

#[test]
fn a_subscriber_that_never_reads_loses_its_oldest() {
    let hand = HandEngine::new_for_testing(EngineConfig::default());
    let (lazy, keen) = (hand.subscribe(3), hand.subscribe(1 << 12));
    hand.register(stream("s", &[0, 1])).expect("registers");
    agree(&hand);
    for round in 0..20 {
        let _ = hand.record_packet("s", round % 2);
        hand.switch_input("s", (round + 1) % 2).expect("healthy");
        agree(&hand);
        let _ = hand.record_packet("s", (round + 1) % 2);
        agree(&hand);
    }
    let all = keen.drain();
    let failovers =
        all.iter().filter(|event| matches!(event.kind, EventKind::InputFailover { .. })).count();
    assert_eq!(failovers, 20, "nobody was held up");
    assert_eq!(keen.dropped(), 0);
    assert_eq!(lazy.dropped(), all.len() as u64 - 3);
    assert_eq!(hand.stats().events_dropped_total, lazy.dropped());
    assert_eq!(lazy.drain(), all[all.len() - 3..]);
}

/// A driver that does what the address says.
struct Rude {
    engine: Arc<OnceLock<Engine>>,
    results: Mutex<mpsc::Sender<String>>,
}

impl Rude {
    fn tell(&self, text: String) {
        self.results.lock().expect("not poisoned").send(text).expect("the test listens");
    }
}

impl IngestDriver for Rude {
    fn start(&self, call: &StartCall) -> Answer {
        let (id, priority) = (&*call.stream, call.input.priority);
        let engine = self.engine.get().expect("set before the first stream");
        match call.input.address.as_str() {
            "panics" => panic!("driver bug"),
            "reports" => {
                let reported = engine.report_input_error(id, priority, call.epoch, "no signal");
                self.tell(format!("report {reported:?}"));
                Answer::Done
            }
            "unregisters" => {
                self.tell(format!("unregister {:?}", engine.unregister(id)));
                Answer::Done
            }
            "waits" => {
                let barrier = engine.unregister_and_wait(id, LONG);
                self.tell(format!("barrier {}", matches!(barrier, Err(Error::WouldBlock { .. }))));
                let shutdown = engine.shutdown().err();
                self.tell(format!(
                    "shutdown {}",
                    matches!(shutdown, Some(Error::WouldBlock { .. }))
                ));
                Answer::Done
            }
            "unsupported" => Answer::Unsupported,
            _ => Answer::Done,
        }
    }

    fn stop(&self, call: &StopCall) {
        self.tell(format!("stop {} {}", call.stream, call.input_priority));
    }

    fn probe(&self, _: &ProbeCall) -> Answer {
        Answer::Failed("not now".to_owned())
    }
}

fn rude() -> (Engine, mpsc::Receiver<String>) {
    let (sender, results) = mpsc::channel();
    let inside = Arc::new(OnceLock::new());
    let driver = Rude { engine: Arc::clone(&inside), results: Mutex::new(sender) };
    let engine = Engine::builder().driver(driver).driver_workers(1).build().expect("builds");
    assert!(inside.set(engine.clone()).is_ok());
    (engine, results)
}

/// Two inputs: the driver's `start` of 0 misbehaves, that of 1 does not.
fn pair(id: &str, address: &str) -> StreamConfig {
    StreamConfig::new(id).input(InputConfig::cold(0, address)).input(InputConfig::cold(1, "good"))
}

#[test]
fn rude_driver_calls_move_the_stream_on() {
    let (engine, results) = rude();
    let events = engine.subscribe(0);
    for address in ["panics", "reports", "unsupported"] {
        engine.register(pair(address, address)).expect("registers");
        // Whatever was wrong with 0, the stream ends on 1.
        loop {
            let event = events.recv_timeout(LONG).expect("the stream goes on");
            if matches!(event.kind, EventKind::InputStarted { input_priority: 1, .. }) {
                break;
            }
        }
        let status = engine.runtime_status(address).expect("registered");
        assert_eq!(status.active_input_priority, Some(1), "{address}");
        let why = status.input(0).expect("is there").errors[0].message.clone();
        match address {
            "panics" => assert!(why.contains("driver bug"), "{why}"),
            "reports" => {
                assert_eq!(why, "no signal");
                assert_eq!(results.recv_timeout(LONG).as_deref(), Ok("report Ok(())"));
            }
            _ => assert!(!why.is_empty()),
        }
    }
    assert_eq!(engine.shutdown().expect("shuts down").detached_calls, 0);
}

#[test]
fn a_driver_call_may_unregister_but_not_wait() {
    let (engine, results) = rude();
    engine.register(pair("s", "unregisters")).expect("registers");
    assert_eq!(results.recv_timeout(LONG).as_deref(), Ok("unregister Ok(())"));
    // The activation that it went on to accept is stopped.
    assert_eq!(results.recv_timeout(LONG).as_deref(), Ok("stop s 0"));
    assert!(!engine.is_registered("s"));
    engine.register(pair("t", "waits")).expect("registers");
    assert_eq!(results.recv_timeout(LONG).as_deref(), Ok("barrier true"));
    assert_eq!(results.recv_timeout(LONG).as_deref(), Ok("shutdown true"));
    assert!(engine.is_registered("t"), "refused calls change nothing");
    assert_eq!(engine.unregister_and_wait("t", LONG), Ok(()));
    assert_eq!(results.try_recv().as_deref(), Ok("stop t 0"), "the barrier waited for it");
    assert_eq!(engine.shutdown().expect("shuts down").detached_calls, 0);
}

#[test]
fn a_blocked_callback_delays_no_decision() {
    let gate = Arc::new(Gate::default());
    let (entered, inside) = mpsc::channel();
    let (blocks, entered) = (Arc::clone(&gate), Mutex::new(entered));
    let (engine, _results) = rude();
    engine.set_exhausted_callback(Some(Box::new(move |id| {
        // The test may be over for the later ones.
        let _ = entered.lock().expect("not poisoned").send(id.to_owned());
        blocks.wait();
    })));
    let events = engine.subscribe(0);
    let told = |id: &str, what: fn(&EventKind) -> bool| loop {
        let event = events.recv_timeout(LONG).expect("a decision");
        if event.stream.as_deref() == Some(id) && what(&event.kind) {
            break;
        }
    };
    let started = |kind: &EventKind| matches!(kind, EventKind::InputStarted { .. });
    let exhausted = |kind: &EventKind| *kind == EventKind::Exhausted;
    engine.register(stream("blocked", &[0])).expect("registers");
    told("blocked", started);
    engine.report_input_error("blocked", 0, None, "gone").expect("taken");
    told("blocked", exhausted);
    assert_eq!(inside.recv_timeout(LONG).as_deref(), Ok("blocked"));
    // The notifier stands in host code; decisions of this and other streams go on.
    engine.register(stream("free", &[0, 1])).expect("registers");
    told("free", started);
    engine.report_input_error("free", 0, None, "gone").expect("taken");
    told("free", |kind| matches!(kind, EventKind::InputFailover { from: 0, to: 1, .. }));
    engine.report_input_error("free", 1, None, "gone too").expect("taken");
    told("free", exhausted);
    engine.unregister("blocked").expect("does not wait");
    assert!(inside.try_recv().is_err(), "callbacks come one after another");
    gate.open();
    assert_eq!(inside.recv_timeout(LONG).as_deref(), Ok("free"));
    assert_eq!(engine.shutdown().expect("shuts down").detached_calls, 0);
}

/// A driver whose `start` of the address "hangs" waits at a gate.
struct Hanging(Arc<Gate>);

impl IngestDriver for Hanging {
    fn start(&self, call: &StartCall) -> Answer {
        if call.input.address == "hangs" {
            self.0.wait();
        }
        Answer::Done
    }

    fn stop(&self, _: &StopCall) {}
}

/// An engine with a stream whose first start is past its deadline and has not returned.
fn hung(gate: &Arc<Gate>, shutdown_timeout: Duration) -> Engine {
    let builder = Engine::builder().driver(Hanging(Arc::clone(gate)));
    let engine = builder.shutdown_timeout(shutdown_timeout).build().expect("builds");
    let events = engine.subscribe(0);
    let stream = StreamConfig { connect_timeout_ms: 50, ..pair("s", "hangs") };
    engine.register(stream).expect("registers");
    loop {
        let event = events.recv_timeout(LONG).expect("the stream goes on");
        if matches!(event.kind, EventKind::InputStarted { input_priority: 1, .. }) {
            break;
        }
    }
    assert_eq!(engine.stats().stuck_calls, 1);
    engine
}

#[test]
fn a_shutdown_gives_a_stuck_call_its_time() {
    let gate = Arc::new(Gate::default());
    let engine = hung(&gate, LONG * 10);
    let (sender, report) = mpsc::channel();
    let ending = std::thread::spawn(move || sender.send(engine.shutdown()));
    // It waits for the call, which returns in time.
    let early = report.recv_timeout(Duration::from_millis(300));
    gate.open();
    assert_eq!(early.err(), Some(mpsc::RecvTimeoutError::Timeout), "nobody was waited for");
    let report = report.recv_timeout(LONG).expect("it ends").expect("not in a callback");
    assert_eq!(report.detached_calls, 0);
    ending.join().expect("no panic").expect("the test listened");
}

#[test]
fn a_shutdown_leaves_a_stuck_call_behind() {
    let gate = Arc::new(Gate::default());
    let engine = hung(&gate, Duration::from_millis(100));
    let report = engine.shutdown();
    gate.open();
    assert_eq!(report.expect("not in a callback").detached_calls, 1);
}
