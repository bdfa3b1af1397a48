//! Host code that misbehaves, on real threads. Every story ends the same way: the stream is on its
//! next candidate, the others have seen nothing, and the shutdown says how many calls were left
//! behind. (Panics and reports from `start`, a hanging `start`, blocked callbacks:
//! `tests/scenarios/callbacks.rs` and X4; what a C driver does: `tests/c/driver.c`.)

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use changeover::{
    Answer, Engine, EngineConfig, Event, EventKind, IngestDriver, ProbeCall, StartCall, StopCall,
    Subscription,
};

use crate::gate::Gate;
use crate::scene::{PATIENCE, cold_pair, eventually, wait_event};

/// Does what the address says.
#[derive(Default)]
struct Driver {
    gate: Gate,
    engine: OnceLock<Engine>,
    probes: AtomicU64,
    stops: AtomicU64,
    said: Mutex<Vec<String>>,
}

impl Driver {
    fn say(&self, text: String) {
        self.said.lock().expect("not poisoned").push(text);
    }

    fn said(&self) -> Vec<String> {
        self.said.lock().expect("not poisoned").clone()
    }
}

impl IngestDriver for Driver {
    fn start(&self, call: &StartCall) -> Answer {
        let engine = || self.engine.get().expect("set before the first stream");
        let (id, epoch) = (&*call.stream, call.epoch);
        match call.input.address.as_str() {
            "start hangs" => self.gate.wait(),
            "start drops its answer" => {
                drop(call.token());
                return Answer::Later;
            }
            "start switches" => {
                let switched = engine().switch_input(id, 1).map(|_| ());
                self.say(format!("switch {switched:?}"));
            }
            "start reports itself and all others" => {
                for priority in [0, 1] {
                    let own = (priority == 0).then_some(epoch);
                    let reported = engine().report_input_error(id, priority, own, "from inside");
                    self.say(format!("report {reported:?}"));
                }
            }
            "start registers anew" => {
                engine().unregister(id).expect("registered");
                let again = engine().register(cold_pair(id, "good"));
                self.say(format!("register {again:?}"));
            }
            _ => {}
        }
        Answer::Done
    }

    fn probe(&self, call: &ProbeCall) -> Answer {
        self.probes.fetch_add(1, Relaxed);
        match call.input.address.as_str() {
            "probe hangs" => self.gate.wait(),
            "probe panics" => panic!("probe bug"),
            "probe drops its answer" => {
                drop(call.token());
                return Answer::Later;
            }
            _ => {}
        }
        Answer::Done
    }

    fn stop(&self, call: &StopCall) {
        self.stops.fetch_add(1, Relaxed);
        match &*call.stream {
            "stop hangs" => self.gate.wait(),
            "stop panics" => panic!("stop bug"),
            _ => {}
        }
    }
}

fn config() -> EngineConfig {
    EngineConfig {
        packet_timeout_ms: 60_000,
        connect_timeout_ms: 400,
        probe_cooldown_ms: 50,
        probe_timeout_ms: 200,
        stop_timeout_ms: 200,
        failback_cooldown_ms: 50,
        ..EngineConfig::default()
    }
}

/// An engine with this driver, and a bystander whose state must not change.
struct Stage {
    engine: Engine,
    driver: Arc<Driver>,
    events: Subscription,
    bystander: Subscription,
}

impl Stage {
    fn new() -> Self {
        let driver = Arc::new(Driver::default());
        let builder = Engine::builder().config(config()).driver(Arc::clone(&driver));
        let engine = builder.shutdown_timeout(Duration::from_millis(300)).build().expect("builds");
        assert!(driver.engine.set(engine.clone()).is_ok());
        let (events, bystander) = (engine.subscribe(0), engine.subscribe(0));
        engine.register(cold_pair("bystander", "good")).expect("a new id");
        eventually("the bystander is on the air", || {
            engine.record_packet("bystander", 0).is_forward()
        });
        Self { engine, driver, events, bystander }
    }

    fn on_the_next(&self, id: &str) {
        let wanted = |event: &Event| {
            let is_it = matches!(event.kind, EventKind::InputStarted { input_priority: 1, .. });
            (is_it && event.stream.as_deref() == Some(id)).then_some(())
        };
        wait_event(&self.events, &format!("{id} is on its next input"), wanted);
        let status = self.engine.runtime_status(id).expect("registered");
        assert_eq!(status.active_input_priority, Some(1), "{id}: {status:?}");
    }

    /// The bystander carries on, and nothing has happened to it; so many calls are left behind.
    fn end(self, detached: usize) {
        assert!(self.engine.record_packet("bystander", 0).is_forward());
        for event in self.bystander.drain() {
            if event.stream.as_deref() == Some("bystander") {
                let calm = matches!(
                    event.kind,
                    EventKind::InputStarted { input_priority: 0, .. }
                        | EventKind::SwitchDecided { to: 0, .. }
                        | EventKind::FirstPacket { .. }
                );
                assert!(calm, "the bystander was disturbed: {event:?}");
            }
        }
        let report = self.engine.shutdown();
        self.driver.gate.open();
        assert_eq!(report.expect("not in a callback").detached_calls, detached);
    }
}

#[test]
fn a_start_that_hangs_for_ever() {
    let stage = Stage::new();
    stage.engine.register(cold_pair("s", "start hangs")).expect("a new id");
    stage.on_the_next("s");
    assert_eq!(stage.engine.stats().stuck_calls, 1, "it is counted");
    stage.end(1);
}

#[test]
fn a_start_that_throws_its_answer_away() {
    let stage = Stage::new();
    stage.engine.register(cold_pair("s", "start drops its answer")).expect("a new id");
    stage.on_the_next("s");
    let status = stage.engine.runtime_status("s").expect("registered");
    let why = status.input(0).expect("is there").errors[0].message.clone();
    assert_eq!(why, "the driver dropped its answer");
    stage.end(0);
}

/// An input with this address fails, and is to be probed: what its probe does changes nothing but
/// that it stays where it is.
fn probed(address: &str) -> Stage {
    let stage = Stage::new();
    stage.engine.register(cold_pair("s", address)).expect("a new id");
    wait_event(&stage.events, "it has started", |event| {
        matches!(event.kind, EventKind::InputStarted { input_priority: 0, .. })
            .then_some(())
            .filter(|()| event.stream.as_deref() == Some("s"))
    });
    stage.engine.report_input_error("s", 0, None, "gone").expect("taken");
    stage.on_the_next("s");
    assert!(stage.engine.record_packet("s", 1).is_forward(), "the next one is on the air");
    stage
}

#[test]
fn a_probe_that_hangs_for_ever() {
    let stage = probed("probe hangs");
    eventually("the probe is written off", || stage.engine.stats().stuck_calls == 1);
    // No second one while the first has not returned.
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(stage.driver.probes.load(Relaxed), 1);
    assert!(stage.engine.record_packet("s", 1).is_forward());
    stage.end(1);
}

/// The driver panics, or drops the token: failed, again and again, and never believed.
fn failing_probes(address: &str) {
    let stage = probed(address);
    eventually("it is probed again", || stage.driver.probes.load(Relaxed) > 2);
    let status = stage.engine.runtime_status("s").expect("registered");
    assert_eq!(status.active_input_priority, Some(1));
    assert_eq!(status.input(0).expect("is there").status, changeover::InputStatus::Degraded);
    stage.end(0);
}

#[test]
fn a_probe_that_panics() {
    failing_probes("probe panics");
}

#[test]
fn a_probe_that_throws_its_answer_away() {
    failing_probes("probe drops its answer");
}

/// The stop of input 0 misbehaves; the stream is on 1 all the same, and so is the next one.
fn stopped(id: &str) -> Stage {
    let stage = Stage::new();
    stage.engine.register(cold_pair(id, "good")).expect("a new id");
    wait_event(&stage.events, "it has started", |event| {
        let is_it = matches!(event.kind, EventKind::InputStarted { input_priority: 0, .. });
        (is_it && event.stream.as_deref() == Some(id)).then_some(())
    });
    stage.engine.report_input_error(id, 0, None, "gone").expect("taken");
    stage.on_the_next(id);
    eventually("it is stopped", || stage.driver.stops.load(Relaxed) >= 1);
    stage
}

#[test]
fn a_stop_that_hangs_for_ever() {
    let stage = stopped("stop hangs");
    eventually("it is written off", || stage.engine.stats().stuck_calls == 1);
    // The same input, later: its calls go on, and it is not started twice.
    eventually("the better input is back", || {
        let _ = stage.engine.record_packet("stop hangs", 0);
        let _ = stage.engine.record_packet("stop hangs", 1);
        let status = stage.engine.runtime_status("stop hangs").expect("registered");
        status.active_input_priority == Some(0)
    });
    // Its second stop, of input 1 after the failback, hangs too; and those of the shutdown.
    eventually("both are written off", || stage.engine.stats().stuck_calls == 2);
    stage.end(3);
}

#[test]
fn a_stop_that_panics() {
    let stage = stopped("stop panics");
    assert_eq!(stage.engine.unregister_and_wait("stop panics", PATIENCE), Ok(()));
    assert_eq!(stage.driver.stops.load(Relaxed), 2, "each activation once");
    stage.end(0);
}

#[test]
fn a_start_that_switches_the_stream() {
    let stage = Stage::new();
    stage.engine.register(cold_pair("s", "start switches")).expect("a new id");
    stage.on_the_next("s");
    eventually("it was let switch", || stage.driver.said() == ["switch Ok(())"]);
    let status = stage.engine.runtime_status("s").expect("registered");
    assert_eq!(status.override_input_priority, Some(1), "{status:?}");
    stage.end(0);
}

#[test]
fn a_start_that_reports_itself_and_all_others() {
    let stage = Stage::new();
    stage.engine.register(cold_pair("s", "start reports itself and all others")).expect("a new id");
    // Both are reported bad while the first one starts: nothing is left, until a probe says so.
    wait_event(&stage.events, "exhausted", |event| {
        (event.kind == EventKind::Exhausted).then_some(())
    });
    wait_event(&stage.events, "a probe brings it back", |event| {
        matches!(event.kind, EventKind::InputStarted { .. }).then_some(())
    });
    eventually("it was let report", || {
        stage.driver.said().starts_with(&["report Ok(())".to_owned(), "report Ok(())".to_owned()])
    });
    stage.end(0);
}

#[test]
fn a_start_that_ends_its_stream_and_registers_it_anew() {
    let stage = Stage::new();
    stage.engine.register(cold_pair("s", "start registers anew")).expect("a new id");
    // Until then, packets by id are those of the old one.
    eventually("it has registered", || stage.driver.said() == ["register Ok(())"]);
    eventually("the new stream is on the air", || stage.engine.record_packet("s", 0).is_forward());
    let status = stage.engine.runtime_status("s").expect("registered");
    assert_eq!(status.input(0).expect("is there").status, changeover::InputStatus::Active);
    eventually("the old activation is stopped", || stage.driver.stops.load(Relaxed) == 1);
    stage.end(0);
}
