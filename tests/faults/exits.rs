//! Ends of the process at any moment, in every way there is, amid an engine's work: the exit code is
//! what it should be, nothing crashes, nothing hangs. (Forks: `tests/c/fork.c`. Threads that end:
//! `tests/c/thread_end.c`.)

use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use changeover::{
    Answer, Engine, EngineConfig, IngestDriver, InputsUpdate, ProbeCall, StartCall, StopCall,
};

use crate::child::{Part, how, tell};
use crate::scene::{PACKET, cold_pair, hot_pair};

/// Of each way, if `CHANGEOVER_EXITS` does not say more.
const TIMES: u64 = 8;
const LATEST_US: u64 = 40_000;

struct Driver;

impl IngestDriver for Driver {
    fn start(&self, _: &StartCall) -> Answer {
        thread::sleep(Duration::from_micros(300));
        Answer::Done
    }

    fn probe(&self, _: &ProbeCall) -> Answer {
        Answer::Done
    }

    fn stop(&self, _: &StopCall) {
        thread::sleep(Duration::from_micros(300));
    }
}

/// Everything at once, for ever.
fn work() -> Engine {
    let config = EngineConfig {
        packet_timeout_ms: 5,
        connect_timeout_ms: 50,
        probe_cooldown_ms: 5,
        failback_cooldown_ms: 1,
        failback_stable_ms: 1,
        ..EngineConfig::default()
    };
    let engine = Engine::builder().config(config).driver(Driver).build().expect("builds");
    engine.set_event_callback(Some(Box::new(|_| {})));
    engine.set_exhausted_callback(Some(Box::new(|_| {})));
    for n in 0..10 {
        engine.register(hot_pair(&format!("hot-{n}"))).expect("a new id");
        engine.register(cold_pair(&format!("cold-{n}"), "main")).expect("a new id");
    }
    for thread in 0..2 {
        let open = |n| engine.recorder(&format!("hot-{n}"), thread, None).expect("hot");
        let mut recorders: Vec<_> = (0..10).map(open).collect();
        let engine = engine.clone();
        thread::spawn(move || {
            for round in 0_u64.. {
                for (n, recorder) in recorders.iter_mut().enumerate() {
                    let _ = recorder.record(PACKET);
                    let _ = engine.record_packet(&format!("cold-{n}"), thread);
                }
                // Now and then silence, so that something is decided.
                if round.is_multiple_of(500) {
                    thread::sleep(Duration::from_millis(6));
                }
            }
        });
    }
    let operator = engine.clone();
    thread::spawn(move || {
        let events = operator.subscribe(64);
        for n in 0_u64.. {
            let id = format!("hot-{}", n % 10);
            // Refused where it has failed: never mind.
            let _ = operator.switch_input(&id, (n % 2) as i32);
            let _ = operator.report_input_error(&id, 0, None, "now and then");
            let _ = operator.update_inputs(&id, InputsUpdate::default());
            let _ = operator.runtime_status(&id);
            drop(events.drain());
            let _ = operator.register(hot_pair("guest"));
            let _ = operator.unregister("guest");
        }
    });
    engine
}

#[expect(clippy::disallowed_methods, reason = "ends without destructors are what is tried here")]
pub(crate) fn child(how: &str) {
    let (way, after_us) = how.split_once(' ').expect("a way and a time");
    let after = Duration::from_micros(after_us.parse().expect("a number"));
    let engine = Arc::new(work());
    tell("works");
    thread::sleep(after);
    match way {
        "returns" => {}
        "shuts-down" => _ = engine.shutdown().expect("not in a callback"),
        "exit" => std::process::exit(3),
        // SAFETY: ends the process, whatever its threads do.
        "_exit" => unsafe { libc::_exit(4) },
        "abort" => std::process::abort(),
        // From a thread that is not the first.
        "exit-elsewhere" => {
            let engine = Arc::clone(&engine);
            let exit = move || {
                let _engine = engine;
                std::process::exit(5)
            };
            let _: Result<(), _> = thread::spawn(exit).join();
        }
        // Until the signal comes.
        "waits" => thread::sleep(Duration::from_secs(60)),
        _ => panic!("there is no such way: {way}"),
    }
}

fn times() -> u64 {
    std::env::var("CHANGEOVER_EXITS").map_or(TIMES, |text| text.parse().expect("a number"))
}

/// Ends it so many times; answers the longest time from the end to being gone.
fn end(way: &str, signal: Option<libc::c_int>, wanted: &str) {
    let (mut longest, times) = (Duration::ZERO, times());
    for time in 0..times {
        let after_us = time * LATEST_US / times;
        let mut part = Part::start(&format!("exits {way} {after_us}"));
        assert_eq!(part.next().as_deref(), Some("works"));
        if let Some(signal) = signal {
            thread::sleep(Duration::from_micros(after_us));
            part.signal(signal);
        }
        let began = Instant::now();
        let ended = part.end();
        longest = longest.max(began.elapsed());
        assert_eq!(how(ended.status), wanted, "{way}, after {after_us} us: {ended:?}");
        assert!(!ended.stderr.contains("panicked"), "{way}, after {after_us} us: {ended:?}");
    }
    println!("{way}: {times} times, gone after {longest:?} at most");
}

#[test]
fn by_returning_from_main() {
    end("returns", None, "code 0");
}

#[test]
fn by_a_shutdown_and_returning() {
    end("shuts-down", None, "code 0");
}

#[test]
fn by_exit() {
    end("exit", None, "code 3");
}

#[test]
fn by_exit_in_another_thread() {
    end("exit-elsewhere", None, "code 5");
}

#[test]
fn by_exit_without_destructors() {
    end("_exit", None, "code 4");
}

#[test]
fn by_abort() {
    end("abort", None, "signal 6");
}

#[test]
fn by_sigterm() {
    end("waits", Some(libc::SIGTERM), "signal 15");
}

#[test]
fn by_sigkill() {
    end("waits", Some(libc::SIGKILL), "signal 9");
}

/// exit, return and quick_exit while threads of C record; engines destroyed by atexit and by
/// destructors of static objects.
#[cfg(feature = "capi")]
#[test]
fn the_same_from_c() {
    let program = crate::threads_refused::compile("exits");
    for way in ["return", "exit", "atexit", "destructor", "quick_exit", "thread", "record"] {
        let times = times();
        for time in 0..times {
            let after_us = (time * LATEST_US / times).to_string();
            let mut child = Command::new(&program).args([way, &after_us]).spawn().expect("runs");
            let until = Instant::now() + Duration::from_secs(20);
            let status = loop {
                match child.try_wait().expect("ours") {
                    Some(status) => break status,
                    None if Instant::now() > until => {
                        let _ = child.kill();
                        let _ = child.wait();
                        panic!("{way} after {after_us} us hangs");
                    }
                    None => thread::sleep(Duration::from_millis(1)),
                }
            };
            assert_eq!(how(status), "code 7", "{way} after {after_us} us");
        }
    }
}
