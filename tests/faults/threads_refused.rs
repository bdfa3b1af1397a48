//! A system that refuses threads: building an engine answers an error from Rust and a code from C,
//! and leaves nothing behind; an engine that wants a worker in mid-life carries on.
//!
//! A thread wants 2 MiB of address space for its stack: the process may have less.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use changeover::{
    Answer, Engine, EngineConfig, Error, EventKind, IngestDriver, ProbeCall, StartCall, StopCall,
};

use crate::child::{Part, tell};
use crate::limits::{allow_more_kib, threads};
use crate::scene::{PATIENCE, cold_pair, eventually, wait_event};

/// Less than a stack, and enough for what else is asked for.
const NO_THREAD_KIB: u64 = 1_000;
/// One stack, and not two.
const ONE_THREAD_KIB: u64 = 3_000;
const ANY_KIB: u64 = 1 << 30;

/// Counts how many of it there are.
struct Driver {
    there: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

impl Driver {
    fn new(there: &Arc<AtomicUsize>, calls: &Arc<AtomicUsize>) -> Self {
        there.fetch_add(1, Relaxed);
        Self { there: Arc::clone(there), calls: Arc::clone(calls) }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.there.fetch_sub(1, Relaxed);
    }
}

impl IngestDriver for Driver {
    fn start(&self, call: &StartCall) -> Answer {
        self.calls.fetch_add(1, Relaxed);
        if call.input.address == "hangs" {
            std::thread::sleep(PATIENCE);
        }
        Answer::Done
    }

    fn probe(&self, _: &ProbeCall) -> Answer {
        Answer::Done
    }

    fn stop(&self, _: &StopCall) {
        self.calls.fetch_add(1, Relaxed);
    }
}

pub(crate) fn child(when: &str) {
    match when {
        "first" => building(NO_THREAD_KIB, "changeover-cb"),
        "second" => building(ONE_THREAD_KIB, "changeover-mon"),
        "none" => in_mid_life(),
        "one" => with_one_worker(),
        "stop" => a_stop_that_waits(),
        _ => panic!("there is no such case: {when}"),
    }
    tell("done");
}

fn config() -> EngineConfig {
    EngineConfig {
        packet_timeout_ms: 60_000,
        connect_timeout_ms: 300,
        probe_cooldown_ms: 100,
        probe_timeout_ms: 100,
        failback_cooldown_ms: 100,
        ..EngineConfig::default()
    }
}

fn building(room_kib: u64, wanted: &str) {
    let (there, calls) = (Arc::default(), Arc::default());
    let before = threads();
    allow_more_kib(room_kib);
    let refused = Engine::builder().driver(Driver::new(&there, &calls)).build();
    match refused {
        Err(Error::Thread { name, why }) => {
            assert_eq!(name, wanted);
            assert!(!why.is_empty());
            tell(&Error::Thread { name, why }.to_string());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(there.load(Relaxed), 0, "the driver is given back");
    eventually("no thread is left", || threads() == before);
    allow_more_kib(ANY_KIB);
    let engine = Engine::builder().driver(Driver::new(&there, &calls)).build();
    let engine = engine.expect("the same works when it may");
    engine.register(cold_pair("s", "main")).expect("a new id");
    eventually("it runs", || engine.record_packet("s", 0).is_forward());
    assert_eq!(engine.shutdown().expect("not in a callback").detached_calls, 0);
    assert_eq!(there.load(Relaxed), 0);
}

/// No worker at all: nobody begins, the stream says so, and recovers when there are threads.
fn in_mid_life() {
    let (there, calls) = (Arc::default(), Arc::default());
    let builder = Engine::builder().config(config()).driver(Driver::new(&there, &calls));
    let engine = builder.build().expect("builds");
    let events = engine.subscribe(0);
    // A thread that is just beginning needs memory of its own, and aborts without.
    eventually("its threads run", || engine.stats().wakes_total > 0);
    std::thread::sleep(Duration::from_millis(200));
    allow_more_kib(NO_THREAD_KIB);
    engine.register(cold_pair("s", "main")).expect("a new id");
    wait_event(&events, "exhausted", |event| (event.kind == EventKind::Exhausted).then_some(()));
    let status = engine.runtime_status("s").expect("registered");
    for input in &status.inputs {
        tell(&format!("input {}: {}", input.input_priority, input.errors[0].message));
    }
    assert_eq!(calls.load(Relaxed), 0, "nothing could begin");
    allow_more_kib(ANY_KIB);
    eventually("it is back", || {
        let _ = engine.record_packet("s", 0);
        let status = engine.runtime_status("s").expect("registered");
        !status.exhausted && status.active_input_priority == Some(0)
    });
    assert_eq!(engine.shutdown().expect("not in a callback").detached_calls, 0);
}

/// One worker, and no second one: it does everybody's work.
fn with_one_worker() {
    let (there, calls) = (Arc::default(), Arc::<AtomicUsize>::default());
    // On a busy machine their first packets take their time.
    let config = EngineConfig { connect_timeout_ms: 60_000, ..config() };
    let builder = Engine::builder().config(config).driver(Driver::new(&there, &calls));
    let engine = builder.build().expect("builds");
    engine.register(cold_pair("first", "main")).expect("a new id");
    // Packets may go out before the driver has been called.
    eventually("it has a worker", || calls.load(Relaxed) == 1);
    allow_more_kib(NO_THREAD_KIB);
    let ids: Vec<String> = (0..50).map(|n| format!("stream-{n}")).collect();
    ids.iter().for_each(|id| engine.register(cold_pair(id, "main")).expect("a new id"));
    for id in &ids {
        eventually("it is on the air", || engine.record_packet(id, 0).is_forward());
    }
    eventually("all have been started", || calls.load(Relaxed) == 1 + ids.len());
    for id in &ids {
        assert_eq!(engine.unregister_and_wait(id, PATIENCE), Ok(()));
    }
    assert_eq!(calls.load(Relaxed), 1 + 2 * ids.len(), "each started and stopped once");
    assert_eq!(engine.shutdown().expect("not in a callback").detached_calls, 0);
}

/// The one worker hangs in a call of another stream when a stream ends: its `stop` comes when there
/// are threads again, without anybody's doing.
fn a_stop_that_waits() {
    let (there, calls) = (Arc::default(), Arc::<AtomicUsize>::default());
    let config = EngineConfig { connect_timeout_ms: 60_000, ..config() };
    let builder = Engine::builder().config(config).driver(Driver::new(&there, &calls));
    let engine = builder.shutdown_timeout(Duration::from_millis(100)).build().expect("builds");
    engine.register(cold_pair("s", "main")).expect("a new id");
    eventually("it has a worker", || calls.load(Relaxed) == 1);
    engine.register(cold_pair("other", "hangs")).expect("a new id");
    eventually("the worker hangs", || calls.load(Relaxed) == 2);
    allow_more_kib(NO_THREAD_KIB);
    engine.unregister("s").expect("registered");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(calls.load(Relaxed), 2, "nobody is there to stop it");
    allow_more_kib(ANY_KIB);
    eventually("it is stopped", || calls.load(Relaxed) == 3);
    // The call that hangs, and the stop of what it starts.
    assert_eq!(engine.shutdown().expect("not in a callback").detached_calls, 2);
}

fn case(when: &str) -> Vec<String> {
    let ended = Part::start(&format!("threads {when}")).done();
    assert_eq!(ended.said.last().map(String::as_str), Some("done"), "{ended:?}");
    println!("{:?}", ended.said);
    ended.said
}

#[test]
fn an_engine_that_gets_no_thread() {
    let said = case("first");
    assert!(said[0].contains("cannot start the thread 'changeover-cb'"), "{said:?}");
}

#[test]
fn an_engine_that_gets_one_thread_of_two() {
    let said = case("second");
    assert!(said[0].contains("cannot start the thread 'changeover-mon'"), "{said:?}");
}

#[test]
fn an_engine_that_gets_no_worker() {
    case("none");
}

#[test]
fn an_engine_that_gets_one_worker() {
    case("one");
}

#[test]
fn a_stop_that_gets_no_worker() {
    case("stop");
}

#[cfg(feature = "capi")]
#[test]
fn the_same_from_c() {
    let program = compile("threads_refused");
    let done = Command::new(&program).output().expect("it runs");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{}: {said}{errors}", done.status);
    assert!(said.contains("CHANGEOVER_THREAD, twice"), "{said}");
}

/// A C program of this directory, against the library beside this test.
#[cfg(feature = "capi")]
pub(crate) fn compile(name: &str) -> std::path::PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let this = std::env::current_exe().expect("a test knows its own path");
    let library = this.parent().expect("in a directory").display();
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("faults-{name}"));
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-pthread"]);
    gcc.arg("-I").arg(tests.join("../include")).arg("-I").arg(tests.join("c"));
    gcc.arg(tests.join(format!("faults/{name}.c"))).arg("-o").arg(&program);
    gcc.args([format!("-L{library}"), format!("-Wl,-rpath,{library}"), "-lchangeover".to_owned()]);
    let made = gcc.output().expect("gcc is there (apt-get install gcc libc6-dev)");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{name}.c does not compile:\n{said}");
    program
}
