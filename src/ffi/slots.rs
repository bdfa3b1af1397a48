//! Handles: 64-bit numbers that name an engine and what was opened on it, and the process-wide
//! table of engine slots that they are looked up in.
//!
//! A handle is `{number in the slot: 26 bits, slot: 8, generation: 26, kind: 4}`. Any number is
//! answered: what is stale, closed, foreign or garbage is found to be so without touching freed
//! memory. Two things are looked up:
//!
//! * *A recorder's cell*, per packet. Cells live in the slot's [`Cells`], which are never freed: an
//!   engine that is destroyed leaves them to the slot's next engine. So a call that comes too late,
//!   by however much, reads a mark that is not its own; and one that had read its own mark just
//!   before writes into a cell that rests for a second at least.
//! * *The engine*, for everything else. Whoever wants it enters the slot (a counter), takes a
//!   reference, and leaves; who destroys the engine takes it out of the slot first and waits until
//!   everybody who had entered has left.
//!
//! The table is atomics only: no lock, no thread, nothing to be initialised.
//!
//! # Orderings
//! | field | writers | readers | guarantee |
//! |---|---|---|---|
//! | `users` | who enters and leaves, SeqCst | the destroyer, SeqCst | with `tenant`: either the destroyer sees the user, or the user sees an empty slot |
//! | `tenant` | creator and destroyer, SeqCst | who has entered, SeqCst | as above |
//! | `cells` | the slot's first creator, release; set once | packets, acquire | who finds them finds them made |
//! | `left_ns` | who vacates, relaxed | creators, after `claimed` | ordered by `claimed` |
//! | `pid` | who claims and frees, relaxed | creators | a process sees what it did itself, and before its fork |
//! | `claimed` | creators, acquire-release | creators | one engine to a slot at a time |

use std::ptr::null_mut;

use crossbeam_utils::CachePadded;

use super::tenant::Tenant;
use crate::cell::Cell;
use crate::clock::system_ns;
use crate::slab::{Cells, LOAN_BITS};
use crate::sync::{Arc, AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence, thread};
use crate::types::Nanos;

/// Engines that a process can have at a time.
pub(super) const MAX_ENGINES: usize = if cfg!(loom) { 1 } else { 256 };

const INDEX_BITS: u32 = 26;
const SLOT_BITS: u32 = 8;
const MARK_SHIFT: u32 = INDEX_BITS + SLOT_BITS;
/// What an object's number in its slot has to be below.
pub(super) const MAX_OBJECTS: u32 = 1 << INDEX_BITS;

/// What a handle names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    Engine = 1,
    Recorder = 2,
    Ticket = 3,
    Answer = 4,
    Events = 5,
    Timeline = 6,
    Eyes = 7,
}

/// A handle, taken apart. A recorder's number in the slot is its cell's place in the slab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) index: u32,
    pub(super) slot: usize,
    /// Kind and generation.
    pub(super) mark: u32,
}

impl Parts {
    #[inline]
    pub(super) fn of(raw: u64) -> Self {
        Self {
            index: raw as u32 & (MAX_OBJECTS - 1),
            slot: (raw >> INDEX_BITS) as usize & (MAX_ENGINES - 1),
            mark: (raw >> MARK_SHIFT) as u32,
        }
    }

    pub(super) fn raw(self) -> u64 {
        u64::from(self.index)
            | (self.slot as u64) << INDEX_BITS
            | u64::from(self.mark) << MARK_SHIFT
    }

    pub(super) fn is(self, kind: Kind) -> bool {
        self.mark >> LOAN_BITS == kind as u32
    }
}

/// Cells that foreign callers may be writing to rest so long.
const QUARANTINE_NS: Nanos = 1_000_000_000;

/// How long a destroyer sleeps between looks.
const NAP: std::time::Duration = std::time::Duration::from_micros(50);

/// Counters to enter by: several, so that threads seldom meet on one.
const DOORS: usize = 4;

struct Slot {
    /// Read by every packet: on a line that nothing else writes.
    cells: CachePadded<AtomicPtr<Cells>>,
    /// Owns them, and shows leak checkers that they are in use.
    memory: AtomicPtr<Arc<Cells>>,
    /// The engine, an `Arc`'s pointer; null between engines.
    tenant: AtomicPtr<Tenant>,
    claimed: AtomicBool,
    /// When its last engine left; 0 = it had none.
    left_ns: AtomicU64,
    /// The process that claimed it.
    pid: AtomicU32,
    /// The one that claimed it last.
    last_pid: AtomicU32,
    /// The mark of the next engine here; also counts objects.
    generation: AtomicU32,
    users: [CachePadded<AtomicU32>; DOORS],
}

/// A slot that never had an engine. (A macro: in a model this is no constant.)
macro_rules! new_slot {
    () => {
        CachePadded::new(Slot {
            cells: CachePadded::new(AtomicPtr::new(null_mut())),
            memory: AtomicPtr::new(null_mut()),
            tenant: AtomicPtr::new(null_mut()),
            claimed: AtomicBool::new(false),
            left_ns: AtomicU64::new(0),
            pid: AtomicU32::new(0),
            last_pid: AtomicU32::new(0),
            generation: AtomicU32::new(1),
            users: [
                CachePadded::new(AtomicU32::new(0)),
                CachePadded::new(AtomicU32::new(0)),
                CachePadded::new(AtomicU32::new(0)),
                CachePadded::new(AtomicU32::new(0)),
            ],
        })
    };
}

#[cfg(not(loom))]
static SLOTS: [CachePadded<Slot>; MAX_ENGINES] = [const { new_slot!() }; MAX_ENGINES];

#[cfg(loom)]
loom::lazy_static! {
    static ref SLOTS: [CachePadded<Slot>; MAX_ENGINES] = [new_slot!()];
}

/// A recorder's cell, and the slab with the time to stamp with.
pub(super) struct Lent {
    pub(super) cells: &'static Cells,
    pub(super) cell: &'static Cell,
}

/// The cell behind a recorder's handle. Async-signal-safe, a few loads.
#[inline]
pub(super) fn lent(parts: Parts) -> Option<Lent> {
    let slot = &SLOTS[parts.slot];
    let cells = slot.cells.load(Ordering::Acquire);
    if cells.is_null() {
        return None;
    }
    // SAFETY: once set, the slot's memory is never taken away or freed.
    let cells: &'static Cells = unsafe { &*cells };
    Some(Lent { cells, cell: cells.lent(parts.index, parts.mark)? })
}

/// Somebody is inside a slot: its engine stays.
pub(super) struct Inside {
    /// As it came out of `Arc::into_raw`: the counters before it are reached through it, too.
    tenant: *const Tenant,
    door: &'static AtomicU32,
}

impl std::ops::Deref for Inside {
    type Target = Tenant;

    fn deref(&self) -> &Tenant {
        // SAFETY: the slot owns a reference to it, and lets go of it only after it was taken out of
        // the slot and nobody who could have read it there is inside any more.
        unsafe { &*self.tenant }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        self.door.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Enters the slot; `None` where it has no engine. Wait-free and async-signal-safe.
pub(super) fn enter(parts: Parts) -> Option<Inside> {
    let slot = &SLOTS[parts.slot];
    // A look before the door is touched: nobody is ever inside an empty slot for long, and so none
    // whom a fork leaves there.
    if slot.tenant.load(Ordering::Relaxed).is_null() {
        return None;
    }
    let door: &'static AtomicU32 = &slot.users[parts.index as usize % DOORS];
    door.fetch_add(1, Ordering::SeqCst);
    let tenant = slot.tenant.load(Ordering::SeqCst);
    if tenant.is_null() {
        door.fetch_sub(1, Ordering::SeqCst);
        return None;
    }
    Some(Inside { tenant, door })
}

impl Inside {
    /// A reference to the slot's engine, for calls that take their time.
    pub(super) fn reference(&self) -> Arc<Tenant> {
        // SAFETY: the pointer came out of `Arc::into_raw`, and the slot's reference lives while
        // we are inside.
        unsafe {
            Arc::increment_strong_count(self.tenant);
            Arc::from_raw(self.tenant)
        }
    }
}

/// A slot that is ours to put an engine into.
pub(super) struct Claim {
    slot: usize,
    mark: u32,
    settled: bool,
}

/// Whether there are engines here that another process made: this is a forked child of it.
pub(super) fn is_forked() -> bool {
    let ours = std::process::id();
    // 0: free, or being claimed at this moment.
    SLOTS.iter().any(|slot| ![0, ours].contains(&slot.pid.load(Ordering::Relaxed)))
}

/// Claims a slot; `None` where every one has an engine. One whose last engine left a second ago or
/// more is taken first, then one that never had an engine, then the one that was left longest ago.
pub(super) fn claim() -> Option<(Claim, Arc<Cells>)> {
    let now = system_ns();
    let left = |at: &usize| SLOTS[*at].left_ns.load(Ordering::Relaxed);
    let mut order: Vec<usize> = (0..MAX_ENGINES).collect();
    // Cached: they change meanwhile.
    order.sort_by_cached_key(|at| match left(at) {
        0 => (1, 0),
        left if now.saturating_sub(left) >= QUARANTINE_NS => (0, 0),
        left => (2, left),
    });
    order.into_iter().find_map(|at| claim_slot(at, now))
}

fn claim_slot(at: usize, now: Nanos) -> Option<(Claim, Arc<Cells>)> {
    let slot = &SLOTS[at];
    // Acquire pairs with the release by which the last engine here let go.
    slot.claimed.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).ok()?;
    let pid = std::process::id();
    slot.pid.store(pid, Ordering::Relaxed);
    if slot.last_pid.swap(pid, Ordering::Relaxed) != pid {
        // Threads of another process are not in this one, whatever the doors say.
        slot.users.iter().for_each(|door| door.store(0, Ordering::SeqCst));
    }
    let claim = Claim { slot: at, mark: next_mark(at, Kind::Engine), settled: false };
    let kept = slot.memory.load(Ordering::Acquire);
    // SAFETY: set once, and never freed.
    let Some(memory) = (unsafe { kept.as_ref() }) else {
        let memory = Box::leak(Box::new(Arc::new(Cells::new())));
        slot.memory.store(memory, Ordering::Release);
        slot.cells.store(Arc::as_ptr(memory).cast_mut(), Ordering::Release);
        return Some((claim, Arc::clone(memory)));
    };
    if !is_idle(memory) {
        // Somebody still holds the last engine here: the claim is dropped.
        return None;
    }
    if now.saturating_sub(slot.left_ns.load(Ordering::Relaxed)) >= QUARANTINE_NS {
        memory.clear();
    } else {
        memory.pass_on(now, QUARANTINE_NS);
    }
    Some((claim, Arc::clone(memory)))
}

impl Claim {
    /// The handle of the engine that will live here.
    pub(super) fn handle(&self) -> u64 {
        Parts { index: 0, slot: self.slot, mark: self.mark }.raw()
    }

    /// The engine moves in.
    pub(super) fn settle(mut self, tenant: Arc<Tenant>) {
        self.settled = true;
        SLOTS[self.slot].tenant.store(Arc::into_raw(tenant).cast_mut(), Ordering::SeqCst);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.settled {
            SLOTS[self.slot].free();
        }
    }
}

/// Takes the engine out of its slot: no call finds it any more, and none that found it without a
/// reference of its own goes on. Answers the slot's reference.
pub(super) fn evict(parts: Parts) -> Option<Arc<Tenant>> {
    let slot = &SLOTS[parts.slot];
    let tenant = slot.tenant.swap(null_mut(), Ordering::SeqCst);
    if tenant.is_null() {
        return None;
    }
    // Those inside do not wait for anything: a packet that makes a cut, a look-up by id, the
    // taking of a reference. (On the hand-driven engine they may run callbacks.)
    let mut looks = 0;
    for door in &slot.users {
        while door.load(Ordering::SeqCst) != 0 {
            looks += 1;
            // One that was preempted inside may have a lower priority than this thread.
            if looks < 100 { thread::yield_now() } else { thread::sleep(NAP) }
        }
    }
    // SAFETY: out of `Arc::into_raw`, and taken out of the slot by this call alone.
    Some(unsafe { Arc::from_raw(tenant) })
}

/// The slot may have another engine. Its pages go back to the system if nobody else holds the
/// engine that was here.
pub(super) fn vacate(parts: Parts) {
    let slot = &SLOTS[parts.slot];
    // SAFETY: set once, and never freed.
    let memory = unsafe { slot.memory.load(Ordering::Acquire).as_ref() };
    memory.filter(|memory| is_idle(memory)).into_iter().for_each(|memory| memory.give_back());
    slot.left_ns.store(system_ns(), Ordering::Relaxed);
    slot.free();
}

impl Slot {
    /// Another engine may have it.
    fn free(&self) {
        self.pid.store(0, Ordering::Relaxed);
        self.claimed.store(false, Ordering::Release);
    }
}

/// No engine uses it: the slot holds the only reference.
fn is_idle(memory: &Arc<Cells>) -> bool {
    let idle = Arc::strong_count(memory) == 1;
    // Pairs with the release by which the last engine's reference was dropped: all that it did
    // has happened.
    fence(Ordering::Acquire);
    idle
}

/// The mark of something new in this slot: it comes again after 2^26 of them.
pub(super) fn next_mark(slot: usize, kind: Kind) -> u32 {
    let generation =
        SLOTS[slot].generation.fetch_add(1, Ordering::Relaxed) & ((1 << LOAN_BITS) - 1);
    (kind as u32) << LOAN_BITS | generation
}

#[cfg(not(loom))]
const _: () =
    assert!(INDEX_BITS + SLOT_BITS + LOAN_BITS + 4 == 64 && 1 << SLOT_BITS == MAX_ENGINES);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_comes_apart_as_it_was_put_together() {
        let mark = (Kind::Eyes as u32) << LOAN_BITS | 0x02AB_CDEF;
        let parts = Parts { index: MAX_OBJECTS - 1, slot: 255, mark };
        assert_eq!(Parts::of(parts.raw()), parts);
        assert!(parts.is(Kind::Eyes) && !parts.is(Kind::Engine) && !Parts::of(0).is(Kind::Engine));
        assert_eq!(Parts::of(Parts { index: 5, slot: 0, mark }.raw()).index, 5);
    }

    #[test]
    fn garbage_finds_nothing() {
        for raw in [0, 1, u64::MAX, 0xDEAD_BEEF_DEAD_BEEF, 2 << 60 | 7 << 34 | 255 << 26 | 1] {
            assert!(lent(Parts::of(raw)).is_none(), "{raw:x}");
        }
        assert!(enter(Parts::of(255 << INDEX_BITS)).is_none());
    }
}
