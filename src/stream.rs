//! One registered stream: its machine and packet plane behind one lock, and what callers have
//! declared of its inputs.
//!
//! The lock is held for a step or a copy, never while host code runs, and never on the packet
//! path.

use crate::config::{InputConfig, InputsUpdate};
use crate::error::Error;
use crate::handover;
use crate::machine::{Machine, Ticking};
use crate::plane::Plane;
use crate::routes::RouteInputs;
use crate::rules::{DEFAULT_LEARNED_FLOOR_MS, HealthConfig, Silence, or};
use crate::slab::{CellIndex, Cells};
use crate::spans::ms_to_ns;
use crate::sync::{Arc, AtomicBool, AtomicU32, Mutex, Ordering};
use crate::types::{Nanos, Priority, StreamKey};

pub(crate) struct Stream {
    pub(crate) id: Arc<str>,
    pub(crate) key: StreamKey,
    /// Unregistered: nothing of it begins any more. Written under the lock.
    gone: AtomicBool,
    /// Commands on their way to the machine. Changed under the lock.
    pub(crate) queued: AtomicU32,
    pub(crate) inner: Mutex<Inner>,
}

pub(crate) struct Inner {
    pub(crate) machine: Machine,
    pub(crate) plane: Plane,
    /// What callers have declared, ahead of the machine, which learns it through the inbox.
    /// Ascending by priority.
    pub(crate) declared: Vec<Declared>,
    /// Inputs of it that keep the clock ticking, as last counted.
    pub(crate) ticking: Ticking,
    /// The cells with a watch entry of the present version.
    pub(crate) watched: Vec<CellIndex>,
    /// The stream's own timeouts.
    pub(crate) own_spans: Box<[Nanos]>,
}

#[derive(Clone, Debug)]
pub(crate) struct Declared {
    pub(crate) priority: Priority,
    pub(crate) hot: bool,
    /// Where its packets by id are counted; 0 until there are any.
    by_id: CellIndex,
    /// A recorder was opened on it: by-id packets alone open no epoch any more.
    pub(crate) had_recorder: bool,
    /// By-id packets that have been accounted for.
    pub(crate) heard: u64,
    /// The input's own timeouts.
    pub(crate) own_spans: Box<[Nanos]>,
}

// What a registered stream costs beside its inputs, strings and histories. It may shrink.
#[cfg(not(loom))]
const _: () = assert!(size_of::<Stream>() <= 480);

impl Stream {
    pub(crate) fn new(
        id: Arc<str>,
        key: StreamKey,
        machine: Machine,
        declared: Vec<Declared>,
        own_spans: Box<[Nanos]>,
    ) -> Self {
        let inner = Inner {
            machine,
            plane: Plane::default(),
            declared,
            ticking: Ticking::default(),
            watched: Vec::new(),
            own_spans,
        };
        Self {
            id,
            key,
            gone: AtomicBool::new(false),
            queued: AtomicU32::new(0),
            inner: Mutex::new(inner),
        }
    }

    /// Whether it was unregistered. Exact under the lock; a hint without.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// To be called with the lock held.
    pub(crate) fn set_gone(&self) {
        self.gone.store(true, Ordering::Release);
    }
}

impl Declared {
    fn new(input: &InputConfig) -> Self {
        Self {
            priority: input.priority,
            hot: input.hot,
            by_id: 0,
            had_recorder: false,
            heard: 0,
            own_spans: input_spans(input),
        }
    }

    /// Those of a new stream.
    pub(crate) fn all(inputs: &[InputConfig]) -> Vec<Self> {
        let mut all: Vec<_> = inputs.iter().map(Self::new).collect();
        all.sort_unstable_by_key(|declared| declared.priority);
        all
    }

    pub(crate) fn by_id(&self) -> Option<CellIndex> {
        Some(self.by_id).filter(|cell| *cell != 0)
    }
}

impl Inner {
    pub(crate) fn declared(&self, priority: Priority) -> Option<&Declared> {
        self.declared.iter().find(|declared| declared.priority == priority)
    }

    pub(crate) fn declared_mut(&mut self, priority: Priority) -> Option<&mut Declared> {
        self.declared.iter_mut().find(|declared| declared.priority == priority)
    }

    /// Whether every priority of an update is known, or free, as it has to be.
    pub(crate) fn check_update(&self, id: &str, update: &InputsUpdate) -> Result<(), Error> {
        let known = |priority: Priority| self.declared(priority).is_some();
        for priority in &update.removed {
            if !known(*priority) {
                return Err(unknown_input(id, *priority));
            }
        }
        for input in &update.added {
            if known(input.priority) && !update.removed.contains(&input.priority) {
                return Err(Error::DuplicatePriority { priority: input.priority });
            }
        }
        for input in &update.updated {
            if !known(input.priority) || update.removed.contains(&input.priority) {
                return Err(unknown_input(id, input.priority));
            }
        }
        Ok(())
    }

    /// Declares an input.
    pub(crate) fn declare(&mut self, input: &InputConfig) {
        let at = self.declared.partition_point(|known| known.priority < input.priority);
        self.declared.insert(at, Declared::new(input));
    }

    /// The first packet of an input by id: gives it the cell that they are counted in. Answers
    /// whether the route has to be told.
    pub(crate) fn make_by_id(&mut self, cells: &Cells, key: StreamKey, priority: Priority) -> bool {
        let known = self.declared.iter_mut().find(|known| known.priority == priority);
        let Some(known) = known.filter(|known| known.by_id == 0) else { return false };
        let by_id = cells.acquire(key);
        known.by_id = by_id;
        let stranger = self.machine.stranger();
        let attached = self.plane.attach_by_id(cells, priority, by_id, stranger);
        if !attached && known.hot && !known.had_recorder {
            // It may be heard without anybody's start: its own word counts until a recorder is
            // opened.
            cells.get(by_id).home().store(u64::from(by_id), Ordering::Release);
            handover::open(cells, by_id);
        }
        true
    }

    /// An input's configuration was replaced. Answers a cell to release, as `withdraw` does.
    pub(crate) fn redeclare(&mut self, cells: &Cells, input: &InputConfig) -> Option<CellIndex> {
        let known = self.declared.iter_mut().find(|known| known.priority == input.priority)?;
        if known.hot == input.hot {
            known.own_spans = input_spans(input);
            return None;
        }
        let withdrawn = self.withdraw(cells, input.priority);
        self.declare(input);
        withdrawn
    }

    /// An input's epoch is another input's now. If its by-id cell is that epoch's home, it gets a
    /// fresh one; answers the old one, to be released as `withdraw` says. Else what the cell has
    /// counted is that epoch's, and nothing of it opens another.
    pub(crate) fn renew_by_id(
        &mut self,
        cells: &Cells,
        key: StreamKey,
        priority: Priority,
    ) -> Option<CellIndex> {
        let known = self.declared.iter_mut().find(|known| known.priority == priority)?;
        if !self.plane.is_home(known.by_id) {
            if known.by_id != 0 && self.plane.epoch_of(priority).is_none() {
                let cell = cells.get(known.by_id);
                known.heard = cell.packets.load(Ordering::Acquire);
                if known.hot && !known.had_recorder {
                    handover::open(cells, known.by_id);
                    cell.home().store(u64::from(known.by_id), Ordering::Release);
                }
            }
            return None;
        }
        let fresh = cells.acquire(key);
        cells.get(fresh).home().store(u64::from(fresh), Ordering::Release);
        handover::open(cells, fresh);
        known.heard = 0;
        Some(std::mem::replace(&mut known.by_id, fresh))
    }

    /// Takes an input's declaration back. Its by-id cell, which counts nothing from now on, is
    /// answered: to be released when no route leads to it any more.
    pub(crate) fn withdraw(&mut self, cells: &Cells, priority: Priority) -> Option<CellIndex> {
        let at = self.declared.iter().position(|declared| declared.priority == priority)?;
        let by_id = self.declared.remove(at).by_id()?;
        self.plane.detach_by_id(cells, by_id);
        cells.get(by_id).home().store(0, Ordering::Release);
        if !self.plane.is_home(by_id) {
            handover::close(cells, by_id);
        }
        Some(by_id)
    }

    /// Every timeout that this stream and its inputs have of their own.
    pub(crate) fn spans(&self) -> Vec<Nanos> {
        let inputs = self.declared.iter().flat_map(|declared| declared.own_spans.iter());
        self.own_spans.iter().chain(inputs).copied().collect()
    }

    pub(crate) fn route(&self) -> RouteInputs {
        self.declared.iter().map(|declared| (declared.priority, declared.by_id)).collect()
    }
}

fn input_spans(input: &InputConfig) -> Box<[Nanos]> {
    let learned = learned_floor_ms(input.health.as_deref());
    own_spans(&[input.packet_timeout_ms, input.connect_timeout_ms, learned])
}

/// The shortest silence that may be learned under these rules, ms; 0 where none is.
pub(crate) fn learned_floor_ms(health: Option<&HealthConfig>) -> i64 {
    health.map_or(0, |health| match health.silence {
        Silence::Learned { floor_ms, .. } => or(floor_ms, DEFAULT_LEARNED_FLOOR_MS),
        Silence::Inherited | Silence::Fixed => 0,
    })
}

/// The timeouts that are set, ns.
pub(crate) fn own_spans(all_ms: &[i64]) -> Box<[Nanos]> {
    all_ms.iter().filter(|ms| **ms > 0).map(|ms| ms_to_ns(*ms)).collect()
}

pub(crate) fn unknown_input(id: &str, priority: Priority) -> Error {
    Error::UnknownInput { stream: id.to_owned(), priority }
}
