//! Callbacks of a real engine that panic, hang for ever and call back in. (By hand:
//! `tests/scenarios/callbacks.rs`; a blocked exhausted callback on threads: there too.)

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use changeover::{Engine, EngineConfig, Event, EventKind};

use crate::scene::{PACKET, PATIENCE, eventually, hot_pair};

fn engine() -> Engine {
    let config = EngineConfig { packet_timeout_ms: 60_000, ..EngineConfig::default() };
    let builder = Engine::builder().config(config);
    builder.shutdown_timeout(Duration::from_millis(300)).build().expect("builds")
}

/// A stream of which both inputs deliver.
fn delivering(engine: &Engine, id: &str) -> [changeover::Recorder; 2] {
    engine.register(hot_pair(id)).expect("a new id");
    let mut inputs = [0, 1].map(|n| engine.recorder(id, n, None).expect("a hot input"));
    inputs.iter_mut().for_each(|input| _ = input.record(PACKET));
    inputs
}

fn exhaust(engine: &Engine, id: &str) {
    for priority in [0, 1] {
        engine.report_input_error(id, priority, None, "gone").expect("taken");
    }
}

#[test]
fn callbacks_that_panic_each_time() {
    let engine = engine();
    let called = Arc::new(AtomicU64::new(0));
    let (count, also, third) = (Arc::clone(&called), Arc::clone(&called), Arc::clone(&called));
    engine.set_exhausted_callback(Some(Box::new(move |_| {
        count.fetch_add(1, Relaxed);
        panic!("exhausted bug");
    })));
    engine.set_restored_callback(Some(Box::new(move |_| {
        also.fetch_add(1, Relaxed);
        panic!("restored bug");
    })));
    engine.set_event_callback(Some(Box::new(move |_| {
        third.fetch_add(1, Relaxed);
        panic!("event bug");
    })));
    let mut inputs = delivering(&engine, "s");
    exhaust(&engine, "s");
    eventually("it is exhausted", || engine.runtime_status("s").expect("registered").exhausted);
    eventually("told of the end", || called.load(Relaxed) >= 3);
    inputs[0] = engine.recorder("s", 0, None).expect("a hot input");
    eventually("it is back", || {
        let _ = inputs[0].record(PACKET);
        !engine.runtime_status("s").expect("registered").exhausted
    });
    // degraded, failover, degraded, exhausted, ..., restored: each is told, and panics.
    eventually("told of all", || called.load(Relaxed) >= 7);
    assert_eq!(engine.shutdown().expect("not in a callback").detached_calls, 0);
}

#[test]
fn an_event_callback_that_never_returns() {
    let engine = engine();
    let (entered, inside) = mpsc::channel();
    let (release, held) = mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    engine.set_event_callback(Some(Box::new(move |_: &Event| {
        let _ = entered.send(());
        // Until the test drops the other end.
        let _ = held.lock().expect("not poisoned").recv();
    })));
    let events = engine.subscribe(1 << 14);
    let mut inputs = delivering(&engine, "s");
    inside.recv_timeout(PATIENCE).expect("it is called");
    // Far more events than may wait for it: decisions and subscribers go on, memory does not.
    for round in 0..1_000 {
        let to = 1 - round % 2;
        let ticket = engine.switch_input("s", to).expect("both are well");
        ticket.wait(PATIENCE).expect("accepted");
        eventually("the switch", || inputs[to as usize].record(PACKET).is_forward());
    }
    let mut failovers = 0;
    eventually("all are told", || {
        let told = events.drain();
        let is_one = |event: &&Event| matches!(event.kind, EventKind::InputFailover { .. });
        failovers += told.iter().filter(is_one).count();
        failovers == 1_000
    });
    assert_eq!(events.dropped(), 0);
    let report = engine.shutdown().expect("not in a callback");
    assert_eq!(report.detached_calls, 1, "the callback is left behind, and said to be");
    drop(release);
}

#[test]
fn callbacks_that_call_back_in() {
    let engine = engine();
    let (inside, results) = (Arc::new(OnceLock::<Engine>::new()), mpsc::channel());
    let (own, sender) = (Arc::clone(&inside), std::sync::Mutex::new(results.0));
    engine.set_exhausted_callback(Some(Box::new(move |id| {
        let engine = own.get().expect("set below");
        let say = |text: String| sender.lock().expect("not poisoned").send(text).expect("heard");
        let status = engine.runtime_status(id).expect("still registered");
        say(format!("exhausted {}", status.exhausted));
        say(format!("report {:?}", engine.report_input_error("other", 0, None, "from inside")));
        say(format!("switch {:?}", engine.switch_input(id, 0).is_err()));
        say(format!("unregister {:?}", engine.unregister(id)));
        say(format!("register {:?}", engine.register(hot_pair("heir"))));
        engine.set_exhausted_callback(None);
    })));
    assert!(inside.set(engine.clone()).is_ok());
    let mut others = delivering(&engine, "other");
    let _inputs = delivering(&engine, "s");
    exhaust(&engine, "s");
    let mut said = Vec::new();
    while said.len() < 5 {
        said.push(results.1.recv_timeout(PATIENCE).expect("it goes on"));
    }
    let wanted =
        ["exhausted true", "report Ok(())", "switch true", "unregister Ok(())", "register Ok(())"];
    assert_eq!(said, wanted);
    eventually("the other stream has moved", || others[1].record(PACKET).is_forward());
    assert_eq!(engine.registered_streams(), ["heir", "other"]);
    assert_eq!(engine.shutdown().expect("not in a callback").detached_calls, 0);
}
