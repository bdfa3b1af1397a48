//! What a host would use instead: the seed's design, a sharded concurrent map, and one lock around
//! one map. All of them look a stream up by its id, as their users do.

use std::collections::HashMap;
use std::sync::{Mutex, RwLock};
use std::time::Instant;

use dashmap::DashMap;

/// A peer keeps the streams' inputs 0 and 1, of which 0 is on the air.
pub(crate) trait Peer: Sync {
    /// Whether the packet is to be forwarded. `now`: a time that the caller holds.
    fn record(&self, id: &str, priority: i32, bytes: u32, now: u64) -> bool;
}

/// The seed's `RecordPacket`: read lock of the map, look-up by string, lock of the stream, clock,
/// time and status. The map's lock is held over the stream's: cheaper here than counting a
/// reference, so in the seed's favour.
#[derive(Default)]
pub(crate) struct Seed {
    streams: RwLock<HashMap<String, Mutex<HashMap<i32, SeedInput>>>>,
}

struct SeedInput {
    last_packet_at: Instant,
    delivering: bool,
    active: bool,
}

impl Seed {
    pub(crate) fn of(ids: impl Iterator<Item = String>) -> Self {
        let now = Instant::now();
        let input = |priority| {
            let active = priority == 0;
            (priority, SeedInput { last_packet_at: now, delivering: false, active })
        };
        let streams = ids.map(|id| (id, Mutex::new([0, 1].map(input).into()))).collect();
        Self { streams: RwLock::new(streams) }
    }
}

impl Peer for Seed {
    fn record(&self, id: &str, priority: i32, _bytes: u32, _now: u64) -> bool {
        let streams = self.streams.read().expect("no writer panics");
        let Some(stream) = streams.get(id) else { return false };
        let mut inputs = stream.lock().expect("no holder panics");
        let Some(input) = inputs.get_mut(&priority) else { return false };
        input.last_packet_at = Instant::now();
        input.delivering = true;
        input.active
    }
}

/// What the maps keep of a stream: counters, a time that costs nothing, and who is on the air.
#[derive(Default)]
struct Tracked {
    inputs: [Counts; 2],
    active: i32,
}

#[derive(Default)]
struct Counts {
    last: u64,
    packets: u64,
    bytes: u64,
}

impl Tracked {
    fn record(&mut self, priority: i32, bytes: u32, now: u64) -> bool {
        let Some(input) = self.inputs.get_mut(priority as usize) else { return false };
        input.last = now;
        input.packets += 1;
        input.bytes += u64::from(bytes);
        self.active == priority
    }
}

/// `DashMap`: a lock for each of its shards.
pub(crate) struct Sharded(DashMap<String, Tracked>);

impl Sharded {
    pub(crate) fn of(ids: impl Iterator<Item = String>) -> Self {
        Self(ids.map(|id| (id, Tracked::default())).collect())
    }
}

impl Peer for Sharded {
    fn record(&self, id: &str, priority: i32, bytes: u32, now: u64) -> bool {
        self.0.get_mut(id).is_some_and(|mut stream| stream.record(priority, bytes, now))
    }
}

/// One mutex around one map.
pub(crate) struct OneLock(Mutex<HashMap<String, Tracked>>);

impl OneLock {
    pub(crate) fn of(ids: impl Iterator<Item = String>) -> Self {
        Self(Mutex::new(ids.map(|id| (id, Tracked::default())).collect()))
    }
}

impl Peer for OneLock {
    fn record(&self, id: &str, priority: i32, bytes: u32, now: u64) -> bool {
        let mut streams = self.0.lock().expect("no holder panics");
        streams.get_mut(id).is_some_and(|stream| stream.record(priority, bytes, now))
    }
}
