//! Engines that come and go, threads and all: nothing of them stays. 1,000 of them, or as many as
//! `CHANGEOVER_ENGINES` says (10,000: 5 s in release). From C: `tests/c/cycles.c`.

use std::time::Duration;

use changeover::{Answer, Engine, IngestDriver, StartCall, StopCall};

use crate::child::{Part, tell};
use crate::limits::{descriptors, resident_kib, threads};
use crate::scene::{PACKET, PATIENCE, cold_pair, eventually, hot_pair};

const ENGINES: u64 = 1_000;
/// The allocator's arenas take their final sizes within this many.
const WARM_UP: u64 = 100;
const GROWTH_KIB: u64 = 1_024;

struct Driver;

impl IngestDriver for Driver {
    fn start(&self, _: &StartCall) -> Answer {
        Answer::Done
    }

    fn stop(&self, _: &StopCall) {}
}

/// One life: hot and cold streams, packets, a switch, a subscriber, callbacks; ended in one of
/// three ways.
fn live(n: u64) {
    let engine = Engine::builder().driver(Driver).on_exhausted(|_| {}).build().expect("builds");
    let events = engine.subscribe(0);
    engine.set_event_callback(Some(Box::new(|_| {})));
    engine.register(hot_pair("hot")).expect("a new id");
    engine.register(cold_pair("cold", "main")).expect("a new id");
    let mut inputs = [0, 1].map(|n| engine.recorder("hot", n, None).expect("a hot input"));
    inputs.iter_mut().for_each(|input| _ = input.record(PACKET));
    engine.switch_input("hot", 1).expect("well").wait(PATIENCE).expect("accepted");
    let _ = inputs[1].record(PACKET);
    match n % 3 {
        0 => _ = engine.shutdown().expect("not in a callback"),
        1 => drop(engine),
        _ => {
            // Its start may be under way.
            engine.unregister("cold").expect("registered");
            drop((events, inputs));
        }
    }
}

pub(crate) fn child(engines: u64) {
    let mut before = (0, 0, 0);
    for n in 0..engines {
        if n == WARM_UP {
            before = (resident_kib(), descriptors(), threads());
        }
        live(n);
    }
    let mut now = (0, 0, 0);
    // Threads of the last one may be ending.
    std::thread::sleep(Duration::from_millis(100));
    eventually("no thread is left", || {
        now = (resident_kib(), descriptors(), threads());
        now.2 <= before.2
    });
    tell(&format!("{engines} engines: {before:?} -> {now:?} (KiB, descriptors, threads)"));
    assert!(now.0 <= before.0 + GROWTH_KIB, "memory: {before:?} -> {now:?}");
    assert_eq!(now.1, before.1, "descriptors");
}

#[test]
fn engines_that_come_and_go_leave_nothing() {
    let engines = std::env::var("CHANGEOVER_ENGINES").ok();
    let engines = engines.map_or(ENGINES, |text| text.parse().expect("a number"));
    let ended = Part::start(&format!("cycles {engines}")).done();
    assert!(ended.said[0].starts_with(&format!("{engines} engines")), "{ended:?}");
    println!("{}", ended.said[0]);
}
