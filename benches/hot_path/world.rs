//! Everything of one size: an engine with its streams, and the calls on it over all inputs in a
//! random order.

use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use changeover::{Engine, EngineConfig, InputConfig, Packet, Recorder, StreamConfig, Tracks};

use super::measure::{Case, over};
use super::peers::{OneLock, Peer, Seed, Sharded};
use super::support::shuffled;

pub(crate) const PACKET: Packet = Packet::new(1316);

/// A cell as the floor writes it: alone on its line, as the engine's are.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Line(pub(crate) AtomicU64);

/// A pointer that takes as much room as a recorder.
struct Spread {
    cell: &'static AtomicU64,
    _rest: [u8; SPREAD],
}

const SPREAD: usize = size_of::<Recorder>() - size_of::<&AtomicU64>();

pub(crate) fn id_of(n: usize) -> String {
    format!("channel-{n:08}")
}

/// Nothing goes silent while another variant has its turn.
pub(crate) fn patient() -> EngineConfig {
    EngineConfig { packet_timeout_ms: 3_600_000, ..EngineConfig::default() }
}

pub(crate) fn engine_of(config: EngineConfig, streams: usize) -> Engine {
    let engine = Engine::builder().config(config).build().expect("the engine builds");
    for n in 0..streams {
        let inputs = [0, 1].map(|priority| InputConfig::hot(priority, format!("{n}/{priority}")));
        let config = StreamConfig { inputs: inputs.into(), ..StreamConfig::new(id_of(n)) };
        engine.register(config).expect("registers");
    }
    engine
}

/// The recorder of an input by its number: stream n / 2, priority n % 2.
pub(crate) fn open(engine: &Engine, n: usize) -> Recorder {
    engine.recorder(&id_of(n / 2), (n % 2) as i32, None).expect("a hot input's recorder")
}

/// The ids and priorities of these inputs.
pub(crate) fn keys_of(inputs: &[usize]) -> Vec<(String, i32)> {
    inputs.iter().map(|&n| (id_of(n / 2), (n % 2) as i32)).collect()
}

/// Pointers to a line for each input, in a random order; repeated, so that their loop costs
/// nothing even at two cells.
pub(crate) fn floor_of(inputs: usize) -> Vec<&'static AtomicU64> {
    let lines: &'static [Line] =
        Box::leak((0..inputs).map(|_| Line::default()).collect::<Box<[Line]>>());
    let order = shuffled(inputs, 1);
    let repeats = 4096usize.div_ceil(inputs);
    (0..repeats).flat_map(|_| &order).map(|&n| &lines[n].0).collect()
}

pub(crate) struct World {
    pub(crate) streams: usize,
    pub(crate) engine: Engine,
    pub(crate) recorders: RefCell<Vec<Recorder>>,
    /// Packets given to the engine so far.
    pub(crate) recorded: Cell<u64>,
}

impl World {
    pub(crate) fn new(streams: usize, config: EngineConfig) -> Self {
        let engine = engine_of(config, streams);
        // The caller's own things (pointers, recorders, keys) lie in the order of use; what they
        // lead to does not.
        let mut recorders: Vec<_> =
            shuffled(2 * streams, 2).iter().map(|&n| open(&engine, n)).collect();
        for (at, &other) in shuffled(2 * streams, 3).iter().enumerate() {
            recorders.swap(at, other);
        }
        let world = Self { streams, engine, recorders: recorders.into(), recorded: Cell::new(0) };
        world.warm_up();
        world
    }

    /// Until every stream is on the air on one input of two.
    fn warm_up(&self) {
        let began = Instant::now();
        let mut record = self.round(|r| r.record(PACKET).is_forward());
        while record(2 * self.streams) != self.streams {
            assert!(began.elapsed() < Duration::from_secs(60), "not every stream got on the air");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Calls on the recorders, one after the other.
    fn round<'a>(
        &'a self,
        mut call: impl FnMut(&mut Recorder) -> bool + 'a,
    ) -> impl FnMut(usize) -> usize + 'a {
        let mut cursor = 0;
        move |ops| {
            self.recorded.set(self.recorded.get() + ops as u64);
            over(&mut self.recorders.borrow_mut(), &mut cursor, ops, &mut call)
        }
    }

    /// A case that was tried: one pass over all inputs forwards one packet of two.
    fn tried<'a>(
        &'a self,
        key: &'static str,
        mut run: impl FnMut(usize) -> usize + 'a,
    ) -> Case<'a> {
        assert_eq!(run(2 * self.streams), self.streams, "{key}: forwards in one pass");
        Case::new(key, run)
    }

    /// A case of calls on the recorders.
    pub(crate) fn case<'a>(
        &'a self,
        key: &'static str,
        call: impl FnMut(&mut Recorder) -> bool + 'a,
    ) -> Case<'a> {
        self.tried(key, self.round(call))
    }

    /// `Recorder::record`.
    pub(crate) fn record_case(&self) -> Case<'_> {
        self.case("record", |r| r.record(PACKET).is_forward())
    }

    /// The floor, and the clock's: a relaxed store through a pointer to a line of its own.
    pub(crate) fn floor_cases(&self) -> Vec<Case<'_>> {
        let inputs = 2 * self.streams;
        let now = black_box(self.engine.now_ns());
        let floor = Rc::new(RefCell::new(floor_of(inputs)));
        let mut spread: Vec<_> = floor.borrow()[..inputs]
            .iter()
            .map(|cell| Spread { cell, _rest: [0; SPREAD] })
            .collect();
        let (clock, mut cursors) = (Rc::clone(&floor), [0; 3]);
        let stores = Case::new("floor", move |ops| {
            over(&mut floor.borrow_mut(), &mut cursors[0], ops, |cell| {
                cell.store(now, Relaxed);
                false
            })
        });
        let spread = Case::new("spread", move |ops| {
            over(&mut spread, &mut cursors[1], ops, |pointer| {
                pointer.cell.store(now, Relaxed);
                false
            })
        });
        let clock = Case::new("clock", move |ops| {
            over(&mut clock.borrow_mut(), &mut cursors[2], ops, |cell| {
                cell.store(self.engine.now_ns(), Relaxed);
                false
            })
        });
        vec![stores, spread, clock]
    }

    /// All the ways to record a packet.
    pub(crate) fn record_cases(&self) -> Vec<Case<'_>> {
        // Which packet: by the recorder's place. A count would be a chain through memory that is
        // longer than the call.
        let packets = black_box(full_packets());
        let full = move |r: &mut Recorder| {
            let n = std::ptr::from_mut(r).addr() / size_of::<Recorder>();
            r.record(packets[n % 64]).is_forward()
        };
        let (old, new) = black_box((1, u64::MAX >> 2));
        let mut keys = keys_of(&shuffled(2 * self.streams, 1));
        let mut cursor = 0;
        let by_id = move |ops| {
            self.recorded.set(self.recorded.get() + ops as u64);
            over(&mut keys, &mut cursor, ops, |(id, priority)| {
                self.engine.record_packet(id, *priority).is_forward()
            })
        };
        vec![
            self.record_case(),
            self.case("full", full),
            self.case("at_old", move |r| r.record_at(PACKET, old).is_forward()),
            self.case("at_new", move |r| r.record_at(PACKET, new).is_forward()),
            self.case("precise", |r| r.record_precise(PACKET).is_forward()),
            self.tried("by_id", by_id),
        ]
    }

    /// The same packets in what a host would use instead. They hold the time that they store, but
    /// for the seed's, which reads the clock.
    pub(crate) fn peer_cases(&self) -> Vec<Case<'_>> {
        let now = black_box(self.engine.now_ns());
        let ids = || (0..self.streams).map(id_of);
        let keys = Rc::new(RefCell::new(keys_of(&shuffled(2 * self.streams, 1))));
        let peers: [(_, Box<dyn Peer>); 3] = [
            ("seed", Box::new(Seed::of(ids()))),
            ("dashmap", Box::new(Sharded::of(ids()))),
            ("mutex", Box::new(OneLock::of(ids()))),
        ];
        let case = |(key, peer): (&'static str, Box<dyn Peer>)| {
            let (keys, mut cursor) = (Rc::clone(&keys), 0);
            let run = move |ops| {
                over(&mut keys.borrow_mut(), &mut cursor, ops, |(id, priority)| {
                    peer.record(id, *priority, PACKET.bytes, now)
                })
            };
            self.tried(key, run)
        };
        peers.into_iter().map(case).collect()
    }

    /// What the engine counted is what it was given, as soon as the monitor has heard of it.
    pub(crate) fn check_counts(&self) {
        let status = |n| self.engine.runtime_status(&id_of(n)).expect("registered");
        let packets = |n| status(n).inputs.iter().map(|input| input.packets).sum::<u64>();
        let began = Instant::now();
        loop {
            let counted: u64 = (0..self.streams).map(packets).sum();
            let recorded = self.recorded.get();
            if counted == recorded {
                return;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{counted} of {recorded} counted");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Video, but for one in eight that is audio; a frame in every fourth, a keyframe and a loss in one
/// of 64.
fn full_packets() -> [Packet; 64] {
    std::array::from_fn(|n| {
        let tracks = if n % 8 == 7 { Tracks::AUDIO } else { Tracks::VIDEO };
        let packet = Packet::new(1316).tracks(tracks).frames(u16::from(n % 4 == 0));
        packet.keyframe(n == 0).lost(u16::from(n == 32))
    })
}
