//! What the live view and the plain log have in common: the operator's commands, remarks, and the
//! conditions that end a relay by itself.

use std::time::{Duration, Instant};

use changeover::{Error, SwitchTicket};

use crate::relay::Relay;
use crate::stop::End;

/// What the operator can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Choose(i32),
    Auto,
    Quit,
}

impl Command {
    /// A typed line.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        match line.trim() {
            "auto" | "a" => Ok(Self::Auto),
            "q" | "quit" => Ok(Self::Quit),
            other => other.parse().map(Self::Choose).map_err(|_| {
                format!("'{other}' is not understood: type an input's number, auto, or q")
            }),
        }
    }
}

/// One run of a relay, whatever shows it.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) relay: &'a Relay,
    ends_at: Option<Instant>,
    waiting: Option<(i32, SwitchTicket)>,
    block_noted: bool,
}

impl<'a> Session<'a> {
    pub(crate) fn new(relay: &'a Relay, duration: Option<Duration>) -> Self {
        let ends_at = duration.and_then(|duration| Instant::now().checked_add(duration));
        Self { relay, ends_at, waiting: None, block_noted: false }
    }

    /// Does what the operator asked for; answers what there is to say about it at once.
    pub(crate) fn carry_out(&mut self, command: Command) -> Option<String> {
        match command {
            Command::Choose(input) => match self.relay.switch_to(input) {
                Ok(ticket) => {
                    self.waiting = Some((input, ticket));
                    None
                }
                Err(Error::UnknownInput { .. }) => Some(format!(
                    "refused: there is no input {input}, they are 1 to {}",
                    self.relay.settings.inputs.len()
                )),
                Err(why) => Some(format!("refused: {why}")),
            },
            Command::Auto => self.relay.clear_override().err().map(|why| format!("refused: {why}")),
            Command::Quit => {
                self.relay.stop().raise(End::Quit);
                None
            }
        }
    }

    /// To be called several times a second; answers what there is to say.
    pub(crate) fn tick(&mut self) -> Vec<String> {
        let mut remarks: Vec<String> = self.relay.notes().collect();
        if let Some((input, ticket)) = &self.waiting
            && let Some(outcome) = ticket.outcome()
        {
            if let Err(why) = outcome {
                remarks.push(format!("switch to input {input}: {why}"));
            }
            self.waiting = None;
        }
        let patience = Duration::from_millis(self.relay.settings.timeout_ms.unsigned_abs());
        let blocked = self.relay.output_blocked_for();
        if blocked > patience && !self.block_noted {
            remarks.push(format!(
                "the output has taken nothing for {} ms: its reader is too slow, or stopped; \
                 the inputs have to wait for it",
                blocked.as_millis()
            ));
        }
        self.block_noted = blocked > patience;
        self.relay.end_if_nothing_is_left();
        if self.ends_at.is_some_and(|at| Instant::now() >= at) {
            self.relay.stop().raise(End::Duration);
        }
        remarks
    }

    pub(crate) fn is_over(&self) -> bool {
        self.relay.stop().is_raised()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_understood_or_explained() {
        assert_eq!(Command::parse(" 2 \n"), Ok(Command::Choose(2)));
        assert_eq!(Command::parse("auto"), Ok(Command::Auto));
        assert_eq!(Command::parse("q"), Ok(Command::Quit));
        assert!(Command::parse("two").unwrap_err().contains("'two'"));
    }
}
