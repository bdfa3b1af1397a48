//! The receipt of an operator's switch.

use std::time::Duration;

use crate::core::TicketState;
use crate::error::Error;
use crate::hostcall;
use crate::sync::Arc;

/// What became of a switch: accepted (the override is in force) or failed. It can be dropped;
/// the switch goes on.
#[derive(Clone, Debug)]
pub struct SwitchTicket {
    pub(crate) state: Arc<TicketState>,
    pub(crate) hand_driven: bool,
}

impl SwitchTicket {
    /// The outcome, if it is known. Does not wait.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<(), Error>> {
        self.state.outcome.lock().clone()
    }

    /// Waits for the outcome. May block.
    ///
    /// # Errors
    /// [`Error::SwitchFailed`]; [`Error::TimedOut`]; [`Error::WouldBlock`] where the outcome is
    /// not known and waiting is not possible (inside a callback or driver call, and on the
    /// hand-driven engine).
    pub fn wait(&self, timeout: Duration) -> Result<(), Error> {
        if let Some(outcome) = self.outcome() {
            return outcome;
        }
        if self.hand_driven {
            return Err(Error::WouldBlock { place: "on the hand-driven engine" });
        }
        if hostcall::inside() {
            return Err(Error::WouldBlock { place: hostcall::PLACE });
        }
        let waited_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        self.state.wait(timeout).unwrap_or(Err(Error::TimedOut { waited_ms }))
    }
}
