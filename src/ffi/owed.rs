//! The answers that a C host still owes: one per call, let go of when the engine does not wait for
//! it any more.

use std::collections::HashMap;

use super::codes::Refusal;
use super::slots::{Kind, Parts};
use super::tenant::Shelf;
use crate::driver::{Answer, AnswerToken};
use crate::sync::{Arc, Mutex};
use crate::types::Priority;

/// One answer that is owed.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) token: AnswerToken,
    pub(super) stream: Arc<str>,
    pub(super) priority: Priority,
    /// The activation of a start; `None` for a probe.
    pub(super) epoch: Option<u64>,
}

/// Which call of which registration: the id's allocation is the registration's own, and stays as
/// long as an answer for it is owed.
type Call = (usize, Priority, bool);

impl Pending {
    fn call(&self) -> Call {
        call_of(&self.stream, self.priority, self.epoch.is_some())
    }

    pub(super) fn answer(self, with: Answer) {
        match with {
            Answer::Done => self.token.done(),
            Answer::Failed(why) => self.token.failed(why),
            Answer::Unsupported => self.token.unsupported(),
            // A dropped token answers *failed*: nobody is left waiting.
            Answer::Later => drop(self.token),
        }
    }
}

fn call_of(stream: &Arc<str>, priority: Priority, is_start: bool) -> Call {
    (stream.as_ptr() as usize, priority, is_start)
}

/// All answers that are owed.
pub(super) struct Owed {
    shelf: Shelf<Pending>,
    by_call: Mutex<HashMap<Call, u64>>,
}

impl Owed {
    pub(super) fn new(slot: usize) -> Self {
        Self { shelf: Shelf::new(slot, Kind::Answer), by_call: Mutex::default() }
    }

    /// Notes one; answers its handle. One that was owed for the same call of the same input is
    /// not waited for any more: the engine asks anew only after it has given that one up.
    pub(super) fn put(&self, pending: Pending) -> Result<u64, Refusal> {
        let call = pending.call();
        let handle = self.shelf.put(pending)?;
        let older = self.by_call.lock().insert(call, handle);
        drop(older.and_then(|older| self.shelf.take(Parts::of(older)).ok()));
        Ok(handle)
    }

    /// Takes the right to answer.
    pub(super) fn take(&self, parts: Parts) -> Result<Pending, Refusal> {
        let pending = self.shelf.take(parts)?;
        let mut by_call = self.by_call.lock();
        if by_call.get(&pending.call()) == Some(&parts.raw()) {
            by_call.remove(&pending.call());
        }
        Ok(pending)
    }

    /// The engine stops an activation: an answer to its start is not waited for.
    pub(super) fn stopped(&self, stream: &Arc<str>, priority: Priority, epoch: u64) {
        let call = call_of(stream, priority, true);
        let handle = self.by_call.lock().get(&call).copied();
        let Some(parts) = handle.map(Parts::of) else { return };
        if self.shelf.with(parts, |pending| pending.epoch) == Some(Some(epoch)) {
            drop(self.take(parts));
        }
    }

    /// An activation has another priority now, and so has the answer to its start.
    pub(super) fn rebound(&self, stream: &Arc<str>, from: Priority, to: Priority, epoch: u64) {
        let mut by_call = self.by_call.lock();
        let old = call_of(stream, from, true);
        let Some(handle) = by_call.get(&old).copied() else { return };
        let moved = self.shelf.with(Parts::of(handle), |pending| {
            let ours = pending.epoch == Some(epoch);
            if ours {
                pending.priority = to;
            }
            ours
        });
        if moved == Some(true) {
            by_call.remove(&old);
            // Whatever stands there is found by its handle alone from now on.
            by_call.insert(call_of(stream, to, true), handle);
        }
    }

    /// A registration is over: nobody waits for its answers.
    pub(super) fn unregistered(&self, stream: &Arc<str>) {
        drop(self.shelf.take_where(|pending| Arc::ptr_eq(&pending.stream, stream)));
        self.by_call.lock().retain(|call, _| call.0 != stream.as_ptr() as usize);
    }

    pub(super) fn clear(&self) {
        self.by_call.lock().clear();
        self.shelf.clear();
    }
}
