//! The operator's and the host's words about inputs: override, hold, conditions, off and on.

use super::Engine;
use crate::error::Error;
use crate::machine::{Event, NotEligible};
use crate::rules::{Condition, Hold, MAX_CONDITIONS};
use crate::spans::not_negative;
use crate::sync::Ordering;
use crate::ticket::SwitchTicket;
use crate::types::Priority;

impl Engine {
    /// Moves the stream to this input and keeps it there (override) until that input degrades or
    /// is removed, disabled or overridden. Validated at once; the ticket tells whether it was
    /// accepted.
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::UnknownInput`], [`Error::InputDegraded`],
    /// [`Error::InputStopped`]. Nothing is changed then.
    pub fn switch_input(&self, stream: &str, priority: Priority) -> Result<SwitchTicket, Error> {
        self.order(stream, priority, |ticket| Event::Switch { priority, ticket })
    }

    /// An operator's order to go to an input.
    fn order(
        &self,
        stream: &str,
        priority: Priority,
        event: impl FnOnce(u64) -> Event,
    ) -> Result<SwitchTicket, Error> {
        let core = self.core();
        let found = self.known_input(stream, priority)?;
        let id = || stream.to_owned();
        let inner = found.inner.lock();
        match inner.machine.check_switch(priority) {
            // Commands are on their way that may change it: the machine's answer is the ticket's.
            _ if found.queued.load(Ordering::Relaxed) > 0 => {}
            Ok(()) | Err(NotEligible::Unknown) => {}
            Err(NotEligible::Stopped) => {
                return Err(Error::InputStopped { stream: id(), priority });
            }
            Err(NotEligible::Degraded(why)) => {
                return Err(Error::InputDegraded { stream: id(), priority, why });
            }
        }
        drop(inner);
        let (ticket, state) = core.new_ticket()?;
        core.command(&found, event(ticket));
        Ok(SwitchTicket { state, hand_driven: core.clock.is_hand_driven() })
    }

    /// Takes the operator's override back; the normal rules apply again.
    ///
    /// # Errors
    /// [`Error::UnknownStream`].
    pub fn clear_override(&self, stream: &str) -> Result<(), Error> {
        let found = self.stream(stream)?;
        self.core().command(&found, Event::ClearOverride);
        Ok(())
    }

    /// Moves the stream to this input and holds it there for a while, whatever better inputs and
    /// health rules say. What happens when it dies meanwhile is the hold's to say. A hold takes
    /// an override's place, and the other way round. Validated at once; the ticket tells whether
    /// it was accepted.
    ///
    /// # Errors
    /// As [`switch_input`](Self::switch_input); [`Error::NegativeDuration`].
    pub fn hold_input(
        &self,
        stream: &str,
        priority: Priority,
        hold: Hold,
    ) -> Result<SwitchTicket, Error> {
        not_negative("ttl_ms", hold.ttl_ms)?;
        self.order(stream, priority, |ticket| Event::Hold { priority, hold, ticket })
    }

    /// Ends the operator's hold; the normal rules apply again.
    ///
    /// # Errors
    /// [`Error::UnknownStream`].
    pub fn release_hold(&self, stream: &str) -> Result<(), Error> {
        let found = self.stream(stream)?;
        self.core().command(&found, Event::ReleaseHold);
        Ok(())
    }

    /// The host sees something wrong in an input that the engine cannot see: black picture,
    /// frozen picture, silence. It acts after its hold time, unless it is cleared before. Raising
    /// it again changes its times. An edit of the input's address clears all.
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::UnknownInput`], [`Error::BadCondition`],
    /// [`Error::NegativeDuration`], [`Error::TooManyConditions`].
    pub fn raise_condition(
        &self,
        stream: &str,
        priority: Priority,
        condition: Condition,
    ) -> Result<(), Error> {
        condition.validate()?;
        let found = self.known_input(stream, priority)?;
        let beside = found.inner.lock().machine.conditions_beside(priority, &condition.name);
        if beside >= MAX_CONDITIONS {
            return Err(Error::TooManyConditions { stream: stream.to_owned(), priority });
        }
        self.core().command(&found, Event::Condition { priority, condition, raise: true });
        Ok(())
    }

    /// A condition is over. The input is good again after its clear time. One that was not raised
    /// is ignored.
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::UnknownInput`].
    pub fn clear_condition(
        &self,
        stream: &str,
        priority: Priority,
        name: &str,
    ) -> Result<(), Error> {
        let found = self.known_input(stream, priority)?;
        let condition = Condition::new(name);
        self.core().command(&found, Event::Condition { priority, condition, raise: false });
        Ok(())
    }

    /// Switches an input off (it is no candidate any more; an active one is left) or on (it is
    /// eligible, and unproved).
    ///
    /// # Errors
    /// [`Error::UnknownStream`], [`Error::UnknownInput`].
    pub fn set_input_enabled(
        &self,
        stream: &str,
        priority: Priority,
        enabled: bool,
    ) -> Result<(), Error> {
        let found = self.known_input(stream, priority)?;
        self.core().command(&found, Event::Enable { priority, enabled });
        Ok(())
    }
}
