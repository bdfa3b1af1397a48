//! What the live view and the plain log have in common: the operator's commands, remarks, and the
//! conditions that end a relay by itself.

use std::time::{Duration, Instant};

use changeover::{Error, Hold, SwitchTicket};

use crate::policy::{HoldOf, parse_hold};
use crate::relay::Relay;
use crate::stop::End;

/// How long a hold from the command line is asked for again.
const HOLD_PATIENCE: Duration = Duration::from_secs(60);

/// What the operator can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Choose(i32),
    Auto,
    Hold(HoldOf),
    /// What is on the air.
    HoldThis,
    Release,
    Quit,
}

impl Command {
    /// A typed line.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        if let Some(what) = line.trim().strip_prefix("hold ") {
            // Spaces or colons, as one likes.
            let parts: Vec<&str> = what.split([' ', ':']).filter(|part| !part.is_empty()).collect();
            return parse_hold(&parts.join(":")).map(Self::Hold);
        }
        match line.trim() {
            "hold" => Ok(Self::HoldThis),
            "release" => Ok(Self::Release),
            "auto" | "a" => Ok(Self::Auto),
            "q" | "quit" => Ok(Self::Quit),
            other => other.parse().map(Self::Choose).map_err(|_| {
                format!(
                    "'{other}' is not understood: type an input's number, auto, hold N \
                     [SECONDS], release, or q"
                )
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
    /// `--hold`, until it is accepted: its input may not deliver yet.
    hold_at_start: Option<HoldOf>,
    asked: Option<SwitchTicket>,
    gives_up_at: Instant,
}

impl<'a> Session<'a> {
    pub(crate) fn new(relay: &'a Relay, duration: Option<Duration>) -> Self {
        let ends_at = duration.and_then(|duration| Instant::now().checked_add(duration));
        Self {
            relay,
            ends_at,
            waiting: None,
            block_noted: false,
            hold_at_start: relay.settings.policy.hold,
            asked: None,
            gives_up_at: Instant::now() + HOLD_PATIENCE,
        }
    }

    /// Does what the operator asked for; answers what there is to say about it at once.
    pub(crate) fn carry_out(&mut self, command: Command) -> Option<String> {
        match command {
            Command::Choose(input) => {
                let ticket = self.relay.switch_to(input);
                self.wait_for(input, ticket)
            }
            Command::Hold(HoldOf { input, hold }) => {
                let ticket = self.relay.hold(input, hold);
                self.wait_for(input, ticket)
            }
            Command::HoldThis => {
                let Some(input) = self.relay.on_air() else {
                    return Some("refused: nothing is on the air".to_owned());
                };
                self.carry_out(Command::Hold(HoldOf { input, hold: Hold::default() }))
            }
            Command::Release => {
                self.relay.release_hold().err().map(|why| format!("refused: {why}"))
            }
            Command::Auto => self.relay.clear_override().err().map(|why| format!("refused: {why}")),
            Command::Quit => {
                self.relay.stop().raise(End::Quit);
                None
            }
        }
    }

    fn wait_for(&mut self, input: i32, ticket: Result<SwitchTicket, Error>) -> Option<String> {
        match ticket {
            Ok(ticket) => {
                self.waiting = Some((input, ticket));
                None
            }
            Err(Error::UnknownInput { .. }) => Some(format!(
                "refused: there is no input {input}, they are 1 to {}",
                self.relay.settings.inputs.len()
            )),
            Err(why) => Some(format!("refused: {why}")),
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
        remarks.extend(self.ask_for_hold());
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

    /// Asks for the hold of the command line until it is there.
    fn ask_for_hold(&mut self) -> Option<String> {
        let HoldOf { input, hold } = self.hold_at_start?;
        let answer = match self.asked.take() {
            None => self.relay.hold(input, hold).map(|ticket| {
                self.asked = Some(ticket);
                None
            }),
            Some(ticket) => match ticket.outcome() {
                Some(outcome) => outcome.map(Some),
                None => {
                    self.asked = Some(ticket);
                    Ok(None)
                }
            },
        };
        match answer {
            Ok(accepted) => {
                accepted.is_some().then(|| self.hold_at_start = None);
                None
            }
            Err(why) if Instant::now() >= self.gives_up_at => {
                self.hold_at_start = None;
                Some(format!("--hold {input}: {why}"))
            }
            Err(_) => None,
        }
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
        let of = |text| parse_hold(text).map(Command::Hold);
        assert_eq!(Command::parse("hold 2"), of("2"));
        assert_eq!(Command::parse("hold 2 60"), of("2:60"));
        assert_eq!(Command::parse("hold 2:60 keep"), of("2:60:keep"));
        assert_eq!(Command::parse("hold"), Ok(Command::HoldThis));
        assert_eq!(Command::parse("release"), Ok(Command::Release));
        assert!(Command::parse("hold two").is_err());
        assert!(Command::parse("two").unwrap_err().contains("'two'"));
    }
}
