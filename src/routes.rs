//! From a stream's id to the stream and its inputs' by-id cells: the table that
//! [`record_packet`] and every other call by id reads.
//!
//! Open addressing with linear probing. A slot holds the hash and a pointer to an immutable
//! route; an editor (one at a time) changes slots in place, and the table is swapped whole with
//! arc-swap when it grows, which copies slots only. So the cost of a registration is flat however
//! many streams there are; the worst single call is a growth (16 bytes a slot: some tens of ms at
//! a million streams), which delays no look-up. Routes that were replaced are reclaimed by a
//! collector of the engine's own once no look-up can be reading them; the same grace covers the
//! cells that look-ups lead to.
//!
//! Look-ups are lock-free, and wait for memory three times where nothing is cached: slot, route,
//! cell. A thread keeps the table that it used last (it sees at each look-up whether that is the
//! current one); a look-up may free retired routes on the calling thread (plain memory, nothing of
//! the host's).
//!
//! [`record_packet`]: crate::Engine::record_packet

mod parts;

use std::cell::RefCell;
use std::hash::BuildHasher as _;

use self::parts::Id;
pub(crate) use self::parts::RouteInputs;
use crate::slab::CellIndex;
use crate::sync::epoch::{
    self, Atomic as EpochAtomic, Collector, Guard, LocalHandle, Owned, Shared,
};
use crate::sync::{Arc, ArcSwap, AtomicU64, Cache, Mutex, Ordering, Weak, thread_local};
use crate::types::{Priority, StreamKey};

const FIRST_SLOTS: usize = if cfg!(loom) { 4 } else { 64 };
/// In the place of a route that was removed: look-ups go on past it.
const REMOVED: usize = 1;
/// Seeded per engine.
#[cfg(not(loom))]
type Hashing = foldhash::fast::RandomState;
/// The same in every run: loom runs a model again and again, and compares.
#[cfg(loom)]
type Hashing = foldhash::fast::FixedState;

pub(crate) struct Routes {
    table: Arc<ArcSwap<Table>>,
    hasher: Hashing,
    collector: Collector,
    /// Tells the threads that the engine is still there.
    alive: Arc<()>,
    /// One editor at a time.
    editor: Mutex<Editor>,
}

struct Editor {
    /// Slots that are not free: routes, and the places of removed ones.
    taken: usize,
    routes: usize,
    /// Former tables that somebody is still reading: dropped here, by an editor, and not by the
    /// last look-up that holds one.
    old: Vec<Arc<Table>>,
}

struct Table {
    /// A power of two, never full.
    slots: Box<[Slot]>,
}

struct Slot {
    /// Written before the route; tells most others apart without a look at them.
    hash: AtomicU64,
    /// Null: free, and no look-up goes on past it. Null with the tag [`REMOVED`]: it does.
    route: EpochAtomic<Route>,
}

struct Route {
    id: Id,
    stream: StreamKey,
    inputs: RouteInputs,
}

/// What a thread keeps for one engine.
struct Mine {
    table: Cache<Arc<ArcSwap<Table>>, Arc<Table>>,
    handle: LocalHandle,
    alive: Weak<()>,
}

thread_local! {
    /// This thread's share of the engines it has recorded for.
    static MINE: RefCell<Vec<Mine>> = const { RefCell::new(Vec::new()) };
}

impl Routes {
    pub(crate) fn new() -> Self {
        Self {
            table: Arc::new(ArcSwap::from_pointee(Table::of(FIRST_SLOTS))),
            hasher: Hashing::default(),
            collector: Collector::new(),
            alive: Arc::new(()),
            editor: Mutex::new(Editor { taken: 0, routes: 0, old: Vec::new() }),
        }
    }

    /// Runs `look` pinned, with the table: what it finds stays until it returns. The first call of
    /// a thread registers it (allocates); later ones do not.
    #[inline]
    fn reading<T>(&self, look: impl FnOnce(&Guard, &Table) -> T) -> T {
        let mut look = Some(look);
        let done = MINE.try_with(|all| {
            let mut all = all.try_borrow_mut().ok()?;
            let at =
                match all.iter().position(|mine| std::ptr::eq(mine.table.arc_swap(), &*self.table))
                {
                    Some(at) => at,
                    None => self.enrol(&mut all),
                };
            let Mine { table, handle, .. } = &mut all[at];
            // The table is looked for under the pin: a route that it leads to was not yet removed
            // when it was replaced, if it was, so it is not reclaimed while the pin lasts. (The
            // cache compares pointers with a relaxed load; the pin's fence comes before it.)
            let guard = handle.pin();
            look.take().map(|look| look(&guard, table.load()))
        });
        match (done, look) {
            (Ok(Some(value)), _) => value,
            // The thread is ending, or inside another look-up.
            (_, Some(look)) => {
                let handle = self.collector.register();
                look(&handle.pin(), &self.table.load())
            }
            (_, None) => unreachable!("`look` is taken only where a value comes back"),
        }
    }

    #[cold]
    fn enrol(&self, all: &mut Vec<Mine>) -> usize {
        // Engines that are gone leave their share here: nothing of theirs is looked up any more.
        all.retain(|mine| mine.alive.strong_count() > 0);
        let table = Cache::new(Arc::clone(&self.table));
        let alive = Arc::downgrade(&self.alive);
        all.push(Mine { table, handle: self.collector.register(), alive });
        all.len() - 1
    }

    /// Runs `look` with what is known of an input: nothing, or its by-id cell. What that leads to
    /// stays until it returns.
    #[inline]
    pub(crate) fn with_input<T>(
        &self,
        id: &str,
        priority: Priority,
        look: impl FnOnce(Option<CellIndex>) -> T,
    ) -> T {
        let hash = self.hasher.hash_one(id);
        self.reading(|guard, table| {
            let route = table.find(hash, id, guard);
            look(route.and_then(|route| route.inputs.find(priority)))
        })
    }

    /// The stream of this id.
    pub(crate) fn stream(&self, id: &str) -> Option<StreamKey> {
        let hash = self.hasher.hash_one(id);
        self.reading(|guard, table| table.find(hash, id, guard).map(|route| route.stream))
    }

    /// Adds a stream. Answers false, and changes nothing, where the id is taken.
    pub(crate) fn insert(&self, id: &Arc<str>, stream: StreamKey, inputs: RouteInputs) -> bool {
        let hash = self.hasher.hash_one(&**id);
        let mut editor = self.editor.lock();
        self.make_room(&mut editor);
        let inserted = self.reading(|guard, table| {
            let (known, free) = table.place(hash, id, guard);
            if known.is_some() {
                return None;
            }
            let slot = &table.slots[free];
            let was_free = slot.route.load(Ordering::Relaxed, guard).tag() != REMOVED;
            let route = Owned::new(Route { id: Id::new(id), stream, inputs });
            slot.hash.store(hash, Ordering::Relaxed);
            // Release publishes hash and route.
            slot.route.store(route, Ordering::Release);
            Some(was_free)
        });
        editor.routes += usize::from(inserted.is_some());
        editor.taken += usize::from(inserted == Some(true));
        inserted.is_some()
    }

    /// Three in four slots may be taken. A new table has room for twice the routes there are.
    fn make_room(&self, editor: &mut Editor) {
        editor.old.retain(|table| Arc::strong_count(table) > 1);
        let table = self.table.load_full();
        if (editor.taken + 1) * 4 <= table.slots.len() * 3 {
            return;
        }
        let slots = (editor.routes * 2 + 1).next_power_of_two().max(FIRST_SLOTS);
        let grown = self.reading(|guard, table| table.copied(slots, guard));
        editor.taken = editor.routes;
        drop(table);
        editor.old.push(self.table.swap(Arc::new(grown)));
    }

    /// Replaces a stream's inputs, if it is still this stream that the id names.
    pub(crate) fn replace(&self, id: &str, stream: StreamKey, inputs: RouteInputs) {
        let hash = self.hasher.hash_one(id);
        let _one_editor = self.editor.lock();
        self.reading(|guard, table| {
            let known = table.place(hash, id, guard).0;
            if let Some((at, _)) = known.filter(|(_, route)| route.stream == stream) {
                let slot = &table.slots[at];
                let route = Owned::new(Route { id: Id::new(id), stream, inputs });
                let old = slot.route.swap(route, Ordering::AcqRel, guard);
                // SAFETY: no slot of the current table leads to it any more, and former tables
                // are only read by look-ups that were pinned before this one became current.
                unsafe { guard.defer_destroy(old) };
            }
        });
    }

    /// Takes a stream off; answers which it was.
    pub(crate) fn remove(&self, id: &str) -> Option<StreamKey> {
        let hash = self.hasher.hash_one(id);
        let mut editor = self.editor.lock();
        let removed = self.reading(|guard, table| {
            let (at, route) = table.place(hash, id, guard).0?;
            let stream = route.stream;
            let next = &table.slots[(at + 1) & (table.slots.len() - 1)];
            // Before a free slot nothing has to be gone past.
            let ends_here = {
                let next = next.route.load(Ordering::Relaxed, guard);
                next.is_null() && next.tag() != REMOVED
            };
            let left = Shared::null().with_tag(if ends_here { 0 } else { REMOVED });
            let old = table.slots[at].route.swap(left, Ordering::AcqRel, guard);
            // SAFETY: as in `replace`.
            unsafe { guard.defer_destroy(old) };
            Some((stream, ends_here))
        });
        let (stream, freed) = removed?;
        editor.routes -= 1;
        editor.taken -= usize::from(freed);
        Some(stream)
    }

    /// Runs `then` when every look-up that is under way now has ended, on any thread: it must
    /// be short, must not block, and must not run host code.
    pub(crate) fn after_grace(&self, then: impl FnOnce() + Send + 'static) {
        self.reading(|guard, _| {
            guard.defer(then);
            guard.flush();
        });
    }

    /// Helps the collector along.
    pub(crate) fn collect(&self) {
        self.reading(|guard, _| guard.flush());
    }
}

impl Table {
    fn of(slots: usize) -> Self {
        let free = || Slot { hash: AtomicU64::new(0), route: EpochAtomic::null() };
        Self { slots: (0..slots).map(|_| free()).collect() }
    }

    #[inline]
    fn find<'g>(&self, hash: u64, id: &str, guard: &'g Guard) -> Option<&'g Route> {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots.get(at)?;
            // Acquire pairs with the release that published the route and its hash.
            let route = slot.route.load(Ordering::Acquire, guard);
            if route.is_null() {
                if route.tag() != REMOVED {
                    return None;
                }
            } else if slot.hash.load(Ordering::Relaxed) == hash {
                // SAFETY: not null, and a route that was removed is only reclaimed when every
                // guard that may have seen it is gone; ours lives.
                let route = unsafe { route.deref() };
                if route.id.is(id) {
                    return Some(route);
                }
            }
            at = (at + 1) & mask;
        }
    }

    /// For the editor: the slot and route of this id, and the slot that it is to have if it has none.
    fn place<'g>(
        &self,
        hash: u64,
        id: &str,
        guard: &'g Guard,
    ) -> (Option<(usize, &'g Route)>, usize) {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        let mut reusable = None;
        loop {
            let slot = &self.slots[at];
            let route = slot.route.load(Ordering::Acquire, guard);
            if route.is_null() {
                if route.tag() != REMOVED {
                    return (None, reusable.unwrap_or(at));
                }
                reusable = reusable.or(Some(at));
            } else if slot.hash.load(Ordering::Relaxed) == hash {
                // SAFETY: as in `find`.
                let route = unsafe { route.deref() };
                if route.id.is(id) {
                    return (Some((at, route)), at);
                }
            }
            at = (at + 1) & mask;
        }
    }

    fn copied(&self, slots: usize, guard: &Guard) -> Self {
        let copy = Self::of(slots);
        for slot in &self.slots {
            let route = slot.route.load(Ordering::Acquire, guard);
            if route.is_null() {
                continue;
            }
            let hash = slot.hash.load(Ordering::Relaxed);
            let mut at = hash as usize & (slots - 1);
            while !copy.slots[at].route.load(Ordering::Relaxed, guard).is_null() {
                at = (at + 1) & (slots - 1);
            }
            copy.slots[at].hash.store(hash, Ordering::Relaxed);
            copy.slots[at].route.store(route, Ordering::Release);
        }
        copy
    }
}

impl Drop for Routes {
    fn drop(&mut self) {
        // SAFETY: `&mut self`: no look-up and no editor exists.
        let guard = unsafe { epoch::unprotected() };
        for slot in &self.table.load().slots {
            let route = slot.route.load(Ordering::Relaxed, guard);
            if !route.is_null() {
                // SAFETY: each route stands in one slot of the current table, and nobody can reach
                // it any more: a thread that kept a table looks nothing up in it.
                drop(unsafe { route.into_owned() });
            }
        }
    }
}

// One line, and a little of the next: routes are not aligned.
const _: () = assert!(size_of::<Route>() <= 64);

#[cfg(test)]
mod tests {
    use super::*;

    fn find(routes: &Routes, id: &str, priority: Priority) -> Option<CellIndex> {
        routes.with_input(id, priority, |cell| cell)
    }

    fn inputs<const N: usize>(inputs: [(Priority, CellIndex); N]) -> RouteInputs {
        inputs.into_iter().collect()
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
            assert!(routes.insert(id, key(i), inputs([(-1, i), (7, 1_000_000 + i)])));
            assert!(!routes.insert(id, key(9_999), inputs([])), "taken");
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
        routes.insert(&id, key(1), inputs([(0, 1)]));
        routes.replace(&id, key(1), inputs([(3, 42)]));
        assert_eq!((find(&routes, &id, 3), find(&routes, &id, 0)), (Some(42), None));
        // Unregistered and registered again meanwhile: a late edit of the old one.
        routes.replace(&id, key(2), inputs([(4, 43)]));
        assert_eq!(find(&routes, &id, 4), None);
        routes.remove(&id);
        routes.replace(&id, key(1), inputs([(5, 44)]));
        assert_eq!(routes.stream(&id), None);
    }

    #[test]
    fn look_ups_go_on_while_the_table_is_edited() {
        let routes = Routes::new();
        let stays: Arc<str> = Arc::from("stays");
        routes.insert(&stays, key(0), inputs([(0, 1)]));
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
                if !routes.insert(&id, key(round), inputs([(0, round)])) {
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
        a.insert(&Arc::from("s"), key(0), inputs([(0, 1)]));
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
