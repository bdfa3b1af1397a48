//! What lives in an engine slot: the engine, and what a foreign caller has opened on it.

use std::collections::HashMap;

use super::codes::Refusal;
use super::driver::CDriver;
use super::events::Reader;
use super::foreign::Host;
use super::owed::Owed;
use super::slots::{self, Kind, MAX_OBJECTS, Parts};
use crate::engine::Engine;
use crate::error::Error;
use crate::eyes::Eyes;
use crate::hand::HandEngine;
use crate::recorder::Recorder;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use crate::ticket::SwitchTicket;
use crate::timeline::Timeline;

/// An engine in its slot.
pub(super) struct Tenant {
    pub(super) handle: Parts,
    pub(super) engine: Engine,
    /// Where it is driven by hand: with the driver that [`crate::ffi`] runs its calls on.
    pub(super) hand: Option<(HandEngine, Arc<CDriver>)>,
    /// The process that made it: its threads live in no other.
    pid: u32,
    ending: AtomicBool,
    /// The callbacks in force.
    pub(super) host: Mutex<Arc<Host>>,
    recorders: Mutex<HashMap<u32, (u32, Recorder)>>,
    pub(super) tickets: Shelf<SwitchTicket>,
    pub(super) answers: Owed,
    pub(super) events: Shelf<Arc<Reader>>,
    pub(super) timelines: Shelf<Arc<Mutex<Timeline>>>,
    pub(super) eyes: Shelf<Arc<Mutex<Eyes>>>,
}

impl Tenant {
    pub(super) fn new(
        handle: Parts,
        engine: Engine,
        hand: Option<(HandEngine, Arc<CDriver>)>,
        host: Arc<Host>,
    ) -> Self {
        let slot = handle.slot;
        Self {
            handle,
            engine,
            hand,
            pid: std::process::id(),
            ending: AtomicBool::new(false),
            host: Mutex::new(host),
            recorders: Mutex::default(),
            tickets: Shelf::new(slot, Kind::Ticket),
            answers: Owed::new(slot),
            events: Shelf::new(slot, Kind::Events),
            timelines: Shelf::new(slot, Kind::Timeline),
            eyes: Shelf::new(slot, Kind::Eyes),
        }
    }

    /// The first who asks for its end gets it.
    pub(super) fn begin_end(&self) -> Result<(), Refusal> {
        if self.ending.swap(true, Ordering::AcqRel) { Err(Refusal::InvalidHandle) } else { Ok(()) }
    }

    /// Everything that was opened is closed; the handles answer so from now on.
    pub(super) fn close_all(&self) {
        let recorders = std::mem::take(&mut *self.recorders.lock());
        recorders.into_values().for_each(|(_, recorder)| recorder.take_back());
        self.tickets.clear();
        self.answers.clear();
        self.events.clear();
        self.timelines.clear();
        self.eyes.clear();
    }

    // --- Recorders ---

    /// Lends a recorder's cell; answers the handle.
    pub(super) fn lend(&self, recorder: Recorder) -> Result<u64, Refusal> {
        let mut recorders = self.recorders.lock();
        let lent = recorder.lend(Kind::Recorder as u32);
        let (index, mark) = lent.ok_or(Refusal::TooManyHandles)?;
        recorders.insert(index, (mark, recorder));
        Ok(Parts { index, slot: self.handle.slot, mark }.raw())
    }

    /// Ends a loan: packets under the handle answer a code from now on.
    pub(super) fn close_recorder(&self, parts: Parts) -> Result<(), Refusal> {
        let closed = {
            let mut recorders = self.recorders.lock();
            match recorders.get(&parts.index) {
                Some((mark, _)) if *mark == parts.mark => recorders.remove(&parts.index),
                _ => None,
            }
        };
        let (_, recorder) = closed.ok_or(Refusal::InvalidHandle)?;
        recorder.take_back();
        Ok(())
    }

    pub(super) fn with_recorder<T>(
        &self,
        parts: Parts,
        with: impl FnOnce(&mut Recorder) -> T,
    ) -> Result<T, Refusal> {
        let mut recorders = self.recorders.lock();
        match recorders.get_mut(&parts.index) {
            Some((mark, recorder)) if *mark == parts.mark => Ok(with(recorder)),
            _ => Err(Refusal::InvalidHandle),
        }
    }
}

/// The engine of a handle of this kind, for calls that take their time. Not for packets.
pub(super) fn find(raw: u64, kind: Kind) -> Result<(Arc<Tenant>, Parts), Refusal> {
    let parts = Parts::of(raw);
    if !parts.is(kind) {
        return Err(Refusal::InvalidHandle);
    }
    let inside = slots::enter(parts).ok_or(Refusal::InvalidHandle)?;
    if kind == Kind::Engine && inside.handle != parts {
        return Err(Refusal::InvalidHandle);
    }
    // Before any lock is taken, whose owner may not exist in a forked child.
    if inside.pid != std::process::id() {
        return Err(Refusal::Forked);
    }
    Ok((inside.reference(), parts))
}

pub(super) fn engine(raw: u64) -> Result<Arc<Tenant>, Refusal> {
    Ok(find(raw, Kind::Engine)?.0)
}

/// What of one kind is open, by number and generation.
pub(super) struct Shelf<T> {
    slot: usize,
    kind: Kind,
    places: Mutex<Places<T>>,
}

struct Places<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Shelf<T> {
    pub(super) fn new(slot: usize, kind: Kind) -> Self {
        Self { slot, kind, places: Mutex::new(Places { places: Vec::new(), free: Vec::new() }) }
    }

    /// Puts a thing on the shelf; answers its handle.
    pub(super) fn put(&self, thing: T) -> Result<u64, Refusal> {
        let mark = slots::next_mark(self.slot, self.kind);
        let mut places = self.places.lock();
        let index = match places.free.pop() {
            Some(index) => index,
            None => {
                let index = u32::try_from(places.places.len()).unwrap_or(u32::MAX);
                if index >= MAX_OBJECTS {
                    return Err(Refusal::TooManyHandles);
                }
                places.places.push((0, None));
                index
            }
        };
        places.places[index as usize] = (mark, Some(thing));
        Ok(Parts { index, slot: self.slot, mark }.raw())
    }

    /// Takes it off.
    pub(super) fn take(&self, parts: Parts) -> Result<T, Refusal> {
        let mut places = self.places.lock();
        let place = places.places.get_mut(parts.index as usize);
        let place = place.filter(|place| place.0 == parts.mark);
        let thing = place.and_then(|place| place.1.take()).ok_or(Refusal::InvalidHandle)?;
        places.free.push(parts.index);
        Ok(thing)
    }

    /// Looks at what stands there, under the shelf's lock.
    pub(super) fn with<R>(&self, parts: Parts, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut places = self.places.lock();
        let place = places.places.get_mut(parts.index as usize);
        place.filter(|place| place.0 == parts.mark).and_then(|place| place.1.as_mut()).map(look)
    }

    /// A copy of what stands there.
    pub(super) fn get(&self, parts: Parts) -> Result<T, Refusal>
    where
        T: Clone,
    {
        let places = self.places.lock();
        let place = places.places.get(parts.index as usize);
        let place = place.filter(|place| place.0 == parts.mark);
        place.and_then(|place| place.1.clone()).ok_or(Refusal::InvalidHandle)
    }

    /// Takes off what this answers true for; it is dropped by the caller, outside the lock.
    pub(super) fn take_where(&self, matches: impl Fn(&T) -> bool) -> Vec<T> {
        let mut guard = self.places.lock();
        let Places { places, free } = &mut *guard;
        let mut taken = Vec::new();
        for (index, place) in places.iter_mut().enumerate() {
            if place.1.as_ref().is_some_and(&matches) {
                taken.extend(place.1.take());
                free.push(index as u32);
            }
        }
        taken
    }

    pub(super) fn clear(&self) {
        // Dropped outside the lock: it may be the host's.
        drop(self.take_where(|_| true));
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Engine(error)
    }
}
