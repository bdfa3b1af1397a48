//! The operator's hold: the stream stays with an input for a while, whatever else would move it.

use super::{Cx, Machine};
use crate::events::EventKind;
use crate::rules::{Hold, WhenDead};
use crate::types::{Nanos, Priority};

/// A hold in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) priority: Priority,
    pub(crate) expires_at: Nanos,
    pub(crate) when_dead: WhenDead,
}

/// The detail of a move that the death of the held input forces.
pub(super) const HOLD_RELEASED: &str = "hold released";

impl Machine {
    /// Sets the hold; it takes the override's place.
    pub(super) fn set_hold(&mut self, cx: &mut Cx<'_>, priority: Priority, hold: Hold) {
        if let Some(overridden) = self.override_ {
            self.drop_override_of(cx, overridden, "hold");
        }
        self.drop_hold(cx, "hold");
        let ttl_ns = hold.ttl_ns();
        let expires_at = cx.now.saturating_add(ttl_ns);
        self.hold = Some(Held { priority, expires_at, when_dead: hold.when_dead });
        self.hold_died = None;
        cx.emit(EventKind::HoldSet { input_priority: priority, ttl_ms: ttl_ns / 1_000_000 });
    }

    /// The hold ends.
    pub(super) fn drop_hold(&mut self, cx: &mut Cx<'_>, why: &'static str) {
        if let Some(hold) = self.hold.take() {
            cx.emit(EventKind::HoldReleased { input_priority: hold.priority, why });
        }
    }

    pub(super) fn drop_hold_of(&mut self, cx: &mut Cx<'_>, priority: Priority, why: &'static str) {
        if self.hold.is_some_and(|hold| hold.priority == priority) {
            self.drop_hold(cx, why);
        }
    }

    /// The held input has failed.
    pub(super) fn held_has_died(&mut self, cx: &mut Cx<'_>, priority: Priority) {
        if self
            .hold
            .is_some_and(|hold| hold.priority == priority && hold.when_dead != WhenDead::Keep)
        {
            self.drop_hold(cx, "dead");
            self.hold_died = Some(priority);
        }
    }

    /// The hold's time is over.
    pub(super) fn expire_hold(&mut self, cx: &mut Cx<'_>) {
        if self.hold.is_some_and(|hold| cx.now >= hold.expires_at) {
            self.drop_hold(cx, "expired");
            self.hold_ended = true;
            if self.pending.as_ref().is_some_and(|p| p.hold.is_some() && p.override_set) {
                self.supersede_pending(cx, "the hold ended before it was effective");
            }
        }
    }

    /// The input that the stream stays with though it is dead.
    pub(super) fn kept_in_death(&self) -> Option<Priority> {
        let kept = self.hold.filter(|hold| hold.when_dead == WhenDead::Keep)?;
        (self.active == Some(kept.priority) && self.left.is_none()).then_some(kept.priority)
    }
}
