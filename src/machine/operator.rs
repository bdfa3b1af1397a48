//! The operator's word: an override or a hold, and taking it back.

use super::deciding::Begin;
use super::{Action, Cx, Machine};
use crate::rules::Hold;
use crate::types::Priority;

impl Machine {
    pub(super) fn on_switch(&mut self, cx: &mut Cx<'_>, priority: Priority, ticket: u64) {
        if let Some(why) = self.refusal(priority) {
            cx.act(Action::Ticket { ticket, outcome: Err(why) });
        } else if self.active == Some(priority) && self.active_is_eligible() {
            self.supersede_pending(cx, "the operator chose to stay");
            cx.act(Action::Ticket { ticket, outcome: Ok(()) });
            self.set_override(cx, priority);
        } else if self.manual_target() == Some(priority) {
            // On its way already: no restart. It is answered as the first one is.
            if let Some(pending) = self.pending.as_mut() {
                pending.tickets.push(ticket);
                pending.hold = None;
            }
        } else {
            self.begin(cx, priority, Begin::manual(ticket, None));
        }
    }

    pub(super) fn on_hold(&mut self, cx: &mut Cx<'_>, priority: Priority, hold: Hold, ticket: u64) {
        if let Some(why) = self.refusal(priority) {
            cx.act(Action::Ticket { ticket, outcome: Err(why) });
        } else if self.active == Some(priority) && self.active_is_eligible() {
            self.supersede_pending(cx, "the operator chose to stay");
            cx.act(Action::Ticket { ticket, outcome: Ok(()) });
            self.set_hold(cx, priority, hold);
        } else if self.manual_target() == Some(priority) {
            if let Some(pending) = self.pending.as_mut() {
                pending.tickets.push(ticket);
                pending.hold = Some(hold);
                // Its life begins with its own acceptance.
                pending.override_set = false;
            }
        } else {
            self.begin(cx, priority, Begin::manual(ticket, Some(hold)));
        }
    }

    /// Why an input cannot be switched to. The facts may have changed since the caller's thread
    /// checked them.
    fn refusal(&self, priority: Priority) -> Option<String> {
        match self.index_of(priority).map(|i| &self.inputs[i]) {
            None => Some("the input was removed".to_owned()),
            Some(input) if !input.enabled => Some("the input is stopped".to_owned()),
            Some(input) => match &input.failure {
                Some(failure) => Some(format!("degraded: {}", failure.message)),
                None => self.soft_refusal(priority).map(|why| format!("degraded: {why}")),
            },
        }
    }

    pub(super) fn on_clear_override(&mut self, cx: &mut Cx<'_>) {
        if self.pending.as_ref().is_some_and(|p| p.manual && p.hold.is_none()) {
            self.supersede_pending(cx, "the override was cleared");
        }
        if let Some(priority) = self.override_ {
            self.drop_override_of(cx, priority, "operator");
        }
    }

    pub(super) fn on_release_hold(&mut self, cx: &mut Cx<'_>) {
        if self.pending.as_ref().is_some_and(|p| p.manual && p.hold.is_some()) {
            self.supersede_pending(cx, "the hold was released");
        }
        self.hold_ended = self.hold.is_some();
        self.drop_hold(cx, "operator");
    }
}
