//! What must hold of what went out; see the test's documentation.

use std::collections::VecDeque;

use changeover::{Event, EventKind, InputStatus, RuntimeStatus};

/// How far apart rounds are.
pub(crate) const ROUND_MS: u64 = 5;
/// The stream's T of 400 ms, and some.
const TIMEOUT_MS: u64 = 600;
/// What rounds may hide.
const SLACK_MS: u64 = 60;

/// A packet that went out.
#[derive(Clone, Copy)]
pub(crate) struct Forwarded {
    pub(crate) input: usize,
    pub(crate) cut: u32,
    /// It begins a video keyframe.
    pub(crate) aligned: bool,
}

/// See the module's documentation.
pub(crate) struct Judge {
    about: String,
    max_wait_ms: u64,
    latest: VecDeque<String>,
    /// The latest cut, and whose it is.
    cut: Option<(u32, usize)>,
    /// For how many rounds nobody is forwarded, though the active input delivers. Rounds, and not
    /// the time: an engine that stalls ends no wait.
    mute: u64,
    /// For how many another than the active one is on the air.
    other: u64,
}

impl Judge {
    pub(crate) fn new(about: String, max_wait_ms: u64) -> Self {
        Self { about, max_wait_ms, latest: VecDeque::new(), cut: None, mute: 0, other: 0 }
    }

    /// Something worth telling, if this run fails.
    pub(crate) fn note(&mut self, now: u64, what: String) {
        self.latest.push_back(format!("{now} {what}"));
        if self.latest.len() > 30 {
            self.latest.pop_front();
        }
    }

    fn fail(&self, now: u64, what: &str) -> ! {
        let latest: Vec<_> = self.latest.iter().map(String::as_str).collect();
        panic!("{}\n{}\nat {now} ms: {what}", self.about, latest.join("\n"));
    }

    /// One round: each input that is up has delivered a packet.
    pub(crate) fn round(
        &mut self,
        now: u64,
        forwarded: &[Forwarded],
        delivers: &[bool],
        status: &RuntimeStatus,
        events: &[Event],
    ) {
        for event in events {
            self.note(event.at_ns / 1_000_000, format!("* {:?}", event.kind));
        }
        if status.hold.is_some() && status.override_input_priority.is_some() {
            self.fail(now, "held and overridden");
        }
        self.cuts(now, forwarded, events);
        let carries = active(status);
        self.names_the_one_on_the_air(now, forwarded, carries);
        self.somebody_is_heard(now, forwarded, carries.filter(|input| delivers[*input]));
    }

    /// Order, owners and marks of cuts.
    fn cuts(&mut self, now: u64, forwarded: &[Forwarded], events: &[Event]) {
        let marked = |input: usize| {
            events.iter().any(|event| match event.kind {
                EventKind::FirstPacket { input_priority, aligned, .. } => {
                    (input_priority, aligned) == (input as i32, Some(false))
                }
                _ => false,
            })
        };
        for packet in forwarded {
            let Forwarded { input, cut, aligned } = *packet;
            let (latest, owner) = self.cut.unwrap_or((0, input));
            if cut < latest {
                self.fail(now, &format!("{input} forwards cut {cut} after {latest}"));
            }
            if cut == latest && input != owner {
                self.fail(now, &format!("{input} forwards cut {cut} of {owner}"));
            }
            if cut == latest && self.cut.is_some() {
                continue;
            }
            self.note(now, format!("cut {cut} to {input}, aligned {aligned}"));
            let changed = self.cut.is_some() && input != owner;
            if changed && !aligned && !marked(input) {
                self.fail(now, &format!("{input} begins in mid-picture, unmarked"));
            }
            let once = forwarded.iter().filter(|other| other.input == input).count() == 1;
            if changed && aligned && once && marked(input) {
                self.fail(now, &format!("{input} begins on a keyframe, marked as unaligned"));
            }
            self.cut = Some((cut, input));
        }
    }

    fn names_the_one_on_the_air(
        &mut self,
        now: u64,
        forwarded: &[Forwarded],
        carries: Option<usize>,
    ) {
        let on = forwarded.last().map(|packet| packet.input);
        self.other = match (on, carries) {
            (Some(on), Some(carries)) if on != carries => self.other + 1,
            _ => 0,
        };
        if self.other * ROUND_MS > self.max_wait_ms + TIMEOUT_MS {
            self.fail(now, &format!("{on:?} is on the air, and {carries:?} the active one"));
        }
    }

    fn somebody_is_heard(&mut self, now: u64, forwarded: &[Forwarded], delivers: Option<usize>) {
        let mute = forwarded.is_empty() && delivers.is_some();
        self.mute = if mute { self.mute + 1 } else { 0 };
        if self.mute * ROUND_MS > self.max_wait_ms + SLACK_MS {
            self.fail(now, &format!("nobody is heard, though {delivers:?} delivers"));
        }
    }
}

/// The input that carries the stream and delivers.
fn active(status: &RuntimeStatus) -> Option<usize> {
    let priority = status.active_input_priority?;
    let delivers = status.input(priority)?.status == InputStatus::Active;
    delivers.then(|| usize::try_from(priority).expect("is not negative"))
}
