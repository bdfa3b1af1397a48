//! Wake-ups of a monitor that has nothing to do.

use std::time::Duration;

use changeover::{Engine, EngineConfig, Packet, Recorder};

use crate::fleet::{Fleet, id};
use crate::live::monitor;
use crate::support::{Mode, figure};

/// Whether it counts for the goal, the figure's name, and what it says.
pub(crate) const CASES: [(bool, &str, &str); 5] = [
    (true, "empty", "no streams"),
    (true, "unopened", "1,000 streams whose hot inputs have never been opened"),
    (true, "closed", "1,000 streams that delivered, and whose recorders were closed"),
    (true, "disabled", "1,000 streams that delivered, and whose inputs were switched off"),
    (false, "silent", "1,000 streams whose recorders are open, and silent for longer than T"),
];

const STREAMS: usize = 1_000;
/// After the last timeout.
const SETTLED: Duration = Duration::from_millis(400);

pub(crate) fn run(mode: Mode) {
    let look = Duration::from_millis(if mode.quick { 600 } else { 2_000 });
    // One after another: the system tells threads by their names.
    for (_, case, _) in CASES {
        let config = EngineConfig { packet_timeout_ms: 100, ..EngineConfig::default() };
        let engine = Engine::builder().config(config).build().expect("builds");
        let _kept = prepare(case, &engine);
        std::thread::sleep(SETTLED);
        let (before, turns) = (monitor().1, engine.stats().wakes_total);
        std::thread::sleep(look);
        let slept = monitor().1 - before;
        let turned = engine.stats().wakes_total - turns;
        figure(case, slept.max(turned) as f64 / look.as_secs_f64());
        engine.shutdown().expect("not in a callback");
    }
}

fn prepare(case: &str, engine: &Engine) -> Vec<Recorder> {
    let mut fleet = Fleet::new(STREAMS);
    match case {
        "empty" => {}
        "unopened" => (0..STREAMS).for_each(|n| fleet.register(engine, n)),
        _ => (0..STREAMS).for_each(|_| fleet.add(engine)),
    }
    match case {
        "closed" => return Vec::new(),
        "disabled" => {
            for n in 0..STREAMS {
                for input in 0..2 {
                    engine.set_input_enabled(&id(n), input, false).expect("registered");
                }
            }
        }
        _ => {}
    }
    let mut recorders: Vec<Recorder> = fleet.main.into_iter().chain(fleet.backup).collect();
    if case == "silent" {
        let forwarded = recorders.iter_mut().map(|one| one.record(Packet::new(1316)).is_forward());
        assert_eq!(forwarded.filter(|forward| *forward).count(), STREAMS);
    }
    recorders
}
