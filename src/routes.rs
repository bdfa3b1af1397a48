//! From a stream's id to the stream and its inputs' by-id cells: the table that
//! [`record_packet`] and every other call by id reads.
//!
//! Extendible hashing. A directory of pointers to small immutable buckets is swapped whole with
//! arc-swap when it doubles, which copies pointers only; a registration replaces one bucket. So
//! the cost of a registration is flat however many streams there are; the worst single call is
//! a doubling (8 bytes a slot: a few ms at a million streams). Buckets that were replaced are
//! reclaimed by a collector of the engine's own once no look-up can be reading them; the same
//! grace covers the cells that look-ups lead to.
//!
//! Look-ups are lock-free. They may free retired buckets on the calling thread (plain memory,
//! nothing of the host's).
//!
//! [`record_packet`]: crate::Engine::record_packet

use std::cell::RefCell;
use std::hash::BuildHasher as _;

use arc_swap::ArcSwap;
use crossbeam_epoch::{Atomic as EpochAtomic, Collector, Guard, LocalHandle, Owned, Shared};

use crate::slab::CellIndex;
use crate::sync::{Arc, Mutex, Ordering, Weak};
use crate::types::{Priority, StreamKey};

/// Routes in a bucket before it is split.
const BUCKET_ROUTES: usize = 6;
/// 2^26 slots; beyond that buckets grow instead.
const MAX_DEPTH: u32 = 26;

/// The inputs of one stream, ascending by priority: where by-id packets are counted.
pub(crate) type RouteInputs = Arc<[(Priority, CellIndex)]>;

pub(crate) struct Routes {
    directory: ArcSwap<Directory>,
    hasher: foldhash::fast::RandomState,
    collector: Collector,
    /// Names this table in the threads' caches.
    token: Arc<()>,
    /// One editor at a time. Old directories are dropped here, by an editor, and not by the last
    /// look-up that holds one.
    old: Mutex<Vec<Arc<Directory>>>,
}

struct Directory {
    depth: u32,
    /// 2^depth slots. A bucket of a smaller depth stands in several of them.
    slots: Box<[EpochAtomic<Bucket>]>,
}

#[derive(Clone)]
struct Bucket {
    depth: u32,
    routes: Vec<Route>,
}

#[derive(Clone)]
struct Route {
    hash: u64,
    id: Arc<str>,
    stream: StreamKey,
    inputs: RouteInputs,
}

thread_local! {
    /// This thread's registrations with the collectors of the engines it has recorded for.
    static HANDLES: RefCell<Vec<(Weak<()>, LocalHandle)>> = const { RefCell::new(Vec::new()) };
}

impl Routes {
    pub(crate) fn new() -> Self {
        let bucket = Bucket { depth: 0, routes: Vec::new() };
        let directory = Directory { depth: 0, slots: Box::new([EpochAtomic::new(bucket)]) };
        Self {
            directory: ArcSwap::from_pointee(directory),
            hasher: foldhash::fast::RandomState::default(),
            collector: Collector::new(),
            token: Arc::new(()),
            old: Mutex::new(Vec::new()),
        }
    }

    /// Runs `look` pinned: what it finds stays until it returns. The first call of a thread
    /// registers it (allocates); later ones do not.
    pub(crate) fn pinned<T>(&self, look: impl FnOnce(&Guard) -> T) -> T {
        let mut look = Some(look);
        let done = HANDLES.try_with(|handles| {
            let mut handles = handles.try_borrow_mut().ok()?;
            let mine = Arc::as_ptr(&self.token);
            let at = match handles.iter().position(|(token, _)| token.as_ptr() == mine) {
                Some(at) => at,
                None => {
                    // Engines that are gone leave their registrations here.
                    handles.retain(|(token, _)| token.strong_count() > 0);
                    handles.push((Arc::downgrade(&self.token), self.collector.register()));
                    handles.len() - 1
                }
            };
            let guard = handles[at].1.pin();
            look.take().map(|look| look(&guard))
        });
        match (done, look) {
            (Ok(Some(value)), _) => value,
            // The thread is ending, and its cache is gone.
            (_, Some(look)) => look(&self.collector.register().pin()),
            (_, None) => unreachable!("`look` is taken only where a value comes back"),
        }
    }

    /// The by-id cell of an input.
    pub(crate) fn find(&self, guard: &Guard, id: &str, priority: Priority) -> Option<CellIndex> {
        self.route(guard, id, |route| {
            let at =
                route.inputs.binary_search_by_key(&priority, |(priority, _)| *priority).ok()?;
            Some(route.inputs[at].1)
        })?
    }

    /// The stream of this id.
    pub(crate) fn stream(&self, id: &str) -> Option<StreamKey> {
        self.pinned(|guard| self.route(guard, id, |route| route.stream))
    }

    #[inline]
    fn route<T>(&self, guard: &Guard, id: &str, read: impl FnOnce(&Route) -> T) -> Option<T> {
        let hash = self.hasher.hash_one(id);
        // Loaded under the pin: a bucket that this directory leads to was not yet replaced when
        // the directory was, so it is not reclaimed while the pin lasts.
        let directory = self.directory.load();
        let slot = &directory.slots[slot_of(hash, directory.depth)];
        // Acquire pairs with the release that published the bucket.
        let bucket = slot.load(Ordering::Acquire, guard);
        // SAFETY: slots are never null, and a bucket that was replaced is only reclaimed when
        // every guard that may have seen it is gone; ours lives.
        let bucket = unsafe { bucket.deref() };
        bucket.routes.iter().find(|route| route.hash == hash && *route.id == *id).map(read)
    }

    /// Adds a stream. Answers false, and changes nothing, where the id is taken.
    pub(crate) fn insert(&self, id: &Arc<str>, stream: StreamKey, inputs: RouteInputs) -> bool {
        let hash = self.hasher.hash_one(&**id);
        let route = Route { hash, id: Arc::clone(id), stream, inputs };
        let mut old = self.old.lock();
        let inserted = self.pinned(|guard| {
            loop {
                let directory = self.directory.load_full();
                let mut bucket = directory.bucket(hash, guard).clone();
                if bucket.routes.iter().any(|known| known.hash == hash && known.id == *id) {
                    return false;
                }
                if bucket.routes.len() < BUCKET_ROUTES || bucket.depth >= MAX_DEPTH {
                    bucket.routes.push(route);
                    directory.replace(hash, bucket, guard);
                    return true;
                }
                if bucket.depth < directory.depth {
                    directory.split(hash, bucket, guard);
                } else {
                    let doubled = Arc::new(directory.doubled(guard));
                    old.push(self.directory.swap(doubled));
                }
            }
        });
        old.retain(|directory| Arc::strong_count(directory) > 1);
        inserted
    }

    /// Replaces a stream's inputs, if it is still this stream that the id names.
    pub(crate) fn replace(&self, id: &str, stream: StreamKey, inputs: RouteInputs) {
        self.edit(id, |routes, at| {
            if routes[at].stream == stream {
                routes[at].inputs = inputs;
            }
        });
    }

    /// Takes a stream off; answers which it was.
    pub(crate) fn remove(&self, id: &str) -> Option<StreamKey> {
        self.edit(id, |routes, at| routes.swap_remove(at).stream)
    }

    /// Changes the bucket that holds this id, if one does.
    fn edit<T>(&self, id: &str, change: impl FnOnce(&mut Vec<Route>, usize) -> T) -> Option<T> {
        let hash = self.hasher.hash_one(id);
        let _one_editor = self.old.lock();
        self.pinned(|guard| {
            let directory = self.directory.load_full();
            let mut bucket = directory.bucket(hash, guard).clone();
            let at = bucket.routes.iter().position(|r| r.hash == hash && *r.id == *id)?;
            let changed = change(&mut bucket.routes, at);
            directory.replace(hash, bucket, guard);
            Some(changed)
        })
    }

    /// Runs `then` when every look-up that is under way now has ended, on any thread: it must
    /// be short, must not block, and must not run host code.
    pub(crate) fn after_grace(&self, then: impl FnOnce() + Send + 'static) {
        self.pinned(|guard| {
            guard.defer(then);
            guard.flush();
        });
    }

    /// Helps the collector along.
    pub(crate) fn collect(&self) {
        self.pinned(Guard::flush);
    }
}

fn slot_of(hash: u64, depth: u32) -> usize {
    (hash & ((1 << depth) - 1)) as usize
}

impl Directory {
    fn bucket<'g>(&self, hash: u64, guard: &'g Guard) -> &'g Bucket {
        let bucket = self.slots[slot_of(hash, self.depth)].load(Ordering::Acquire, guard);
        // SAFETY: as in `find`; and the editors' lock is held, so nobody replaces it meanwhile.
        unsafe { bucket.deref() }
    }

    /// Puts `bucket` into every slot that its predecessor stands in, and retires that one.
    fn replace(&self, hash: u64, bucket: Bucket, guard: &Guard) {
        let (first, step) = (slot_of(hash, bucket.depth), 1 << bucket.depth);
        let bucket = Owned::new(bucket).into_shared(guard);
        let mut replaced = Shared::null();
        for slot in self.slots.iter().skip(first).step_by(step) {
            // Release publishes the bucket's content.
            replaced = slot.swap(bucket, Ordering::AcqRel, guard);
        }
        // SAFETY: no slot of the current directory leads to it any more, and older directories
        // are only read by look-ups that were pinned before this one became current.
        unsafe { guard.defer_destroy(replaced) };
    }

    /// Splits a bucket that stands in two or more slots.
    fn split(&self, hash: u64, bucket: Bucket, guard: &Guard) {
        let depth = bucket.depth + 1;
        let (first, step) = (slot_of(hash, bucket.depth), 1 << bucket.depth);
        let (ones, zeros): (Vec<_>, Vec<_>) =
            bucket.routes.into_iter().partition(|route| route.hash >> (depth - 1) & 1 == 1);
        let halves =
            [zeros, ones].map(|routes| Owned::new(Bucket { depth, routes }).into_shared(guard));
        let mut replaced = Shared::null();
        for (i, slot) in self.slots.iter().skip(first).step_by(step).enumerate() {
            replaced = slot.swap(halves[i & 1], Ordering::AcqRel, guard);
        }
        // SAFETY: as in `replace`.
        unsafe { guard.defer_destroy(replaced) };
    }

    fn doubled(&self, guard: &Guard) -> Self {
        let copy = |slot: &EpochAtomic<Bucket>| {
            let copy = EpochAtomic::null();
            copy.store(slot.load(Ordering::Acquire, guard), Ordering::Release);
            copy
        };
        let slots = self.slots.iter().chain(&self.slots).map(copy).collect();
        Self { depth: self.depth + 1, slots }
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        // SAFETY: `&mut self`: no look-up and no editor exists.
        let guard = unsafe { crossbeam_epoch::unprotected() };
        let directory = self.directory.load_full();
        let load = |slot: &EpochAtomic<Bucket>| slot.load(Ordering::Relaxed, guard);
        let mut freed: Vec<Shared<'_, Bucket>> = directory.slots.iter().map(load).collect();
        // A bucket may stand in many slots.
        freed.sort_unstable();
        freed.dedup();
        for bucket in freed {
            // SAFETY: slots are never null, each bucket stands in `freed` once, and nobody can
            // reach it any more.
            drop(unsafe { bucket.into_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(routes: &Routes, id: &str, priority: Priority) -> Option<CellIndex> {
        routes.pinned(|guard| routes.find(guard, id, priority))
    }

    fn key(slot: u32) -> StreamKey {
        StreamKey { slot, generation: 0 }
    }

    #[test]
    fn finds_what_was_inserted_and_not_what_was_removed() {
        let routes = Routes::new();
        let ids: Vec<Arc<str>> = (0..5_000).map(|i| Arc::from(format!("stream-{i}"))).collect();
        for (i, id) in ids.iter().enumerate() {
            let i = i as u32;
            assert!(routes.insert(id, key(i), Arc::new([(-1, i), (7, 1_000_000 + i)])));
            assert!(!routes.insert(id, key(9_999), Arc::new([])), "taken");
        }
        for (i, id) in ids.iter().enumerate() {
            assert_eq!(find(&routes, id, -1), Some(i as u32));
            assert_eq!(find(&routes, id, 7), Some(1_000_000 + i as u32));
            assert_eq!(find(&routes, id, 0), None);
            assert_eq!(routes.stream(id), Some(key(i as u32)));
        }
        for (i, id) in ids.iter().enumerate().step_by(2) {
            assert_eq!(routes.remove(id), Some(key(i as u32)));
            assert_eq!(routes.remove(id), None);
        }
        let left = ids.iter().filter(|id| find(&routes, id, 7).is_some()).count();
        assert_eq!(left, 2_500);
        assert_eq!(find(&routes, "nobody", 0), None);
    }

    #[test]
    fn inputs_are_replaced_for_the_same_stream_only() {
        let routes = Routes::new();
        let id: Arc<str> = Arc::from("s");
        routes.insert(&id, key(1), Arc::new([(0, 1)]));
        routes.replace(&id, key(1), Arc::new([(3, 42)]));
        assert_eq!((find(&routes, &id, 3), find(&routes, &id, 0)), (Some(42), None));
        // Unregistered and registered again meanwhile: a late edit of the old one.
        routes.replace(&id, key(2), Arc::new([(4, 43)]));
        assert_eq!(find(&routes, &id, 4), None);
        routes.remove(&id);
        routes.replace(&id, key(1), Arc::new([(5, 44)]));
        assert_eq!(routes.stream(&id), None);
    }

    #[test]
    fn look_ups_go_on_while_the_table_is_edited() {
        let routes = Routes::new();
        let stays: Arc<str> = Arc::from("stays");
        routes.insert(&stays, key(0), Arc::new([(0, 1)]));
        let done = crate::sync::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut looks = 0_u64;
                while !done.load(Ordering::Relaxed) || looks < 1_000 {
                    assert_eq!(find(&routes, "stays", 0), Some(1));
                    looks += 1;
                }
                looks
            });
            for round in 0..20_000_u32 {
                let id: Arc<str> = Arc::from(format!("x{}", round % 700));
                if !routes.insert(&id, key(round), Arc::new([(0, round)])) {
                    routes.remove(&id);
                }
            }
            done.store(true, Ordering::Relaxed);
            assert!(reader.join().unwrap() >= 1_000);
        });
    }

    #[test]
    fn two_tables_on_one_thread_know_nothing_of_each_other() {
        let (a, b) = (Routes::new(), Routes::new());
        a.insert(&Arc::from("s"), key(0), Arc::new([(0, 1)]));
        assert_eq!((find(&a, "s", 0), find(&b, "s", 0)), (Some(1), None));
        drop(a);
        let c = Routes::new();
        assert_eq!(find(&c, "s", 0), None);
    }

    #[test]
    fn what_waits_for_the_grace_runs_in_the_end() {
        let routes = Routes::new();
        let (send, receive) = std::sync::mpsc::channel();
        routes.after_grace(move || send.send(()).unwrap());
        for _ in 0..10_000 {
            routes.collect();
        }
        assert!(receive.try_recv().is_ok());
    }
}
