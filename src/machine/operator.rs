//! The operator's word: an override, and taking it back.

use super::switching::Begin;
use super::{Action, Cx, Machine};
use crate::types::Priority;

impl Machine {
    pub(super) fn on_switch(&mut self, cx: &mut Cx<'_>, priority: Priority, ticket: u64) {
        // The facts may have changed since the caller's thread checked them.
        let refusal = match self.index_of(priority).map(|i| &self.inputs[i]) {
            None => Some("the input was removed".to_owned()),
            Some(input) if !input.enabled => Some("the input is stopped".to_owned()),
            Some(input) => input.failure.as_ref().map(|f| format!("degraded: {}", f.message)),
        };
        if let Some(why) = refusal {
            cx.act(Action::Ticket { ticket, outcome: Err(why) });
        } else if self.active == Some(priority) && self.active_is_eligible() {
            self.supersede_pending(cx, "the operator chose to stay");
            cx.act(Action::Ticket { ticket, outcome: Ok(()) });
            self.set_override(cx, priority);
        } else if self.manual_target() == Some(priority) {
            // On its way already: no restart. It is answered as the first one is.
            if let Some(pending) = self.pending.as_mut() {
                pending.tickets.push(ticket);
            }
        } else {
            self.begin(cx, priority, Begin::manual(ticket));
        }
    }

    pub(super) fn on_clear_override(&mut self, cx: &mut Cx<'_>) {
        if self.manual_target().is_some() {
            self.supersede_pending(cx, "the override was cleared");
        }
        if let Some(priority) = self.override_ {
            self.drop_override_of(cx, priority, "operator");
        }
    }
}
