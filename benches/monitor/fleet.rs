//! Streams of two hot inputs, and the schedule by which their packets come: each input at its own
//! even pace, the streams in random order, so that neighbours in memory are none in time.

use changeover::{Engine, InputConfig, Packet, Recorder, StreamConfig, Verdict};

use crate::RATE;
use crate::support::shuffled;

pub(crate) const PACKET: Packet = Packet::new(1316);
const SECOND: u64 = 1_000_000_000;

/// The producers of all streams.
pub(crate) struct Fleet {
    pub(crate) main: Vec<Recorder>,
    pub(crate) backup: Vec<Recorder>,
    /// The order in which the streams' packets come.
    order: Vec<u32>,
    /// Where in it the main inputs are; the backups are half a round ahead.
    at: u64,
    /// Streams whose main input is dead.
    dead: Vec<bool>,
    pub(crate) recorded: u64,
}

pub(crate) fn id(stream: usize) -> String {
    format!("stream-{stream}")
}

/// The stream of this id.
pub(crate) fn index(id: &str) -> usize {
    id.strip_prefix("stream-").and_then(|n| n.parse().ok()).expect("an id of ours")
}

fn config(stream: usize) -> StreamConfig {
    StreamConfig::new(id(stream))
        .input(InputConfig::hot(0, "main"))
        .input(InputConfig::hot(1, "backup"))
}

impl Fleet {
    pub(crate) fn new(streams: usize) -> Self {
        let order = shuffled(streams, 7).into_iter().map(|n| n as u32).collect();
        Self {
            main: Vec::with_capacity(streams),
            backup: Vec::with_capacity(streams),
            order,
            at: 0,
            dead: vec![false; streams],
            recorded: 0,
        }
    }

    /// Registers the next stream; its first packets come at once.
    pub(crate) fn add(&mut self, engine: &Engine) {
        let n = self.main.len();
        self.register(engine, n);
        let mut main = engine.recorder(&id(n), 0, None).expect("registered");
        let mut backup = engine.recorder(&id(n), 1, None).expect("registered");
        let _first = (main.record(PACKET), backup.record(PACKET));
        self.recorded += 2;
        self.main.push(main);
        self.backup.push(backup);
    }

    pub(crate) fn register(&self, engine: &Engine, stream: usize) {
        engine.register(config(stream)).expect("a new id");
    }

    /// Packets up to this time, in ns from the beginning of the schedule.
    pub(crate) fn deliver_until(&mut self, ns: u64) {
        let streams = self.order.len() as u64;
        let until = (u128::from(ns) * u128::from(RATE * streams) / u128::from(SECOND)) as u64;
        while self.at < until {
            let main = self.order[(self.at % streams) as usize] as usize;
            let backup = self.order[((self.at + streams / 2) % streams) as usize] as usize;
            if main < self.main.len() && !self.dead[main] {
                let _ = self.main[main].record(PACKET);
                self.recorded += 1;
            }
            if backup < self.backup.len() {
                let _ = self.backup[backup].record(PACKET);
                self.recorded += 1;
            }
            self.at += 1;
        }
    }

    /// One packet of each input of a stream, beside the schedule.
    pub(crate) fn deliver_to(&mut self, stream: usize) {
        let _ = (self.main[stream].record(PACKET), self.backup[stream].record(PACKET));
        self.recorded += 2;
    }

    /// The schedule goes on from here without what would have come before.
    pub(crate) fn skip_to(&mut self, ns: u64) {
        let streams = self.order.len() as u64;
        self.at = (u128::from(ns) * u128::from(RATE * streams) / u128::from(SECOND)) as u64;
    }

    /// A last packet of this stream's main input.
    pub(crate) fn kill(&mut self, stream: usize) -> Verdict {
        self.dead[stream] = true;
        self.recorded += 1;
        self.main[stream].record(PACKET)
    }

    pub(crate) fn is_dead(&self, stream: usize) -> bool {
        self.dead[stream]
    }

    /// One packet of every backup, in the schedule's order. How many were forwarded.
    pub(crate) fn sweep_backups(&mut self) -> usize {
        let mut forwarded = 0;
        for at in 0..self.order.len() {
            let stream = self.order[at] as usize;
            let verdict = self.backup[stream].record(PACKET);
            forwarded += usize::from(verdict.is_forward());
            self.recorded += 1;
        }
        forwarded
    }
}
