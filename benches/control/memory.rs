//! Memory of a stream: registered, delivering, and after a failover.

use std::time::Duration;

use changeover::{EngineConfig, HandEngine, Packet, Recorder};

use crate::alloc;
use crate::support::{figure, resident};
use crate::{address, id, stream};

pub(crate) const STATES: [(&str, &str); 3] = [
    ("registered", "registered"),
    ("flowing", "delivering"),
    ("switched", "delivering, after one failover"),
];

const TIMEOUT: Duration = Duration::from_secs(1);

struct Ground {
    heap: i64,
    resident: u64,
    strings: f64,
    streams: f64,
}

impl Ground {
    fn tell(&self, state: &str) {
        let heap = (alloc::live() - self.heap) as f64;
        let grown = resident().saturating_sub(self.resident) as f64;
        figure(format!("{state}_heap"), heap / self.streams - self.strings);
        figure(format!("{state}_resident"), grown / self.streams - self.strings);
    }
}

pub(crate) fn run(streams: usize, inputs: usize) {
    let config =
        EngineConfig { packet_timeout_ms: TIMEOUT.as_millis() as i64, ..EngineConfig::default() };
    let engine = HandEngine::new_for_testing(config);
    let strings: usize = (0..streams)
        .map(|n| id(n).len() + (0..inputs).map(|input| address(n, input).len()).sum::<usize>())
        .sum();
    // Written once, so that it is resident before the ground is taken.
    let mut recorders: Vec<Recorder> = Vec::with_capacity(streams * inputs);
    alloc::count();
    let mut ground = Ground {
        heap: alloc::live(),
        resident: resident(),
        strings: strings as f64 / streams as f64,
        streams: streams as f64,
    };
    for n in 0..streams {
        engine.register(stream(n, inputs)).expect("a new id");
    }
    figure("strings", ground.strings);
    ground.tell("registered");

    for n in 0..streams {
        for input in 0..inputs {
            recorders.push(engine.recorder(&id(n), input as i32, None).expect("registered"));
        }
    }
    // The vector was there before anything was counted, but its pages were not resident.
    ground.resident += (recorders.len() * size_of::<Recorder>()) as u64;
    let sent =
        |recorder: &mut Recorder| usize::from(recorder.record(Packet::new(1316)).is_forward());
    for _ in 0..3 {
        let forwarded: usize = recorders.iter_mut().map(sent).sum();
        assert_eq!(forwarded, streams, "one input of each stream is on the air");
        engine.advance(TIMEOUT / 4);
    }
    ground.tell("flowing");

    for at in 0..8 {
        let backups = recorders.iter_mut().enumerate().filter(|(n, _)| n % inputs != 0);
        let forwarded: usize = backups.map(|(_, recorder)| sent(recorder)).sum();
        assert!(forwarded == 0 || at > 2, "the first inputs are on the air");
        engine.advance(TIMEOUT / 4);
    }
    assert_eq!(engine.stats().failovers_total, streams as u64);
    ground.tell("switched");
}
