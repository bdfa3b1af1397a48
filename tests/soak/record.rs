//! What a run leaves behind, and what is judged: every silence in front of the relay, every attack,
//! every line that the relay said, and what it used. All times are us of the wall clock.

use std::time::SystemTime;

pub(crate) type Us = i64;

/// Inputs of the relay; they are counted from 1.
pub(crate) const INPUTS: usize = 3;
/// The relay's packet timeout.
pub(crate) const TIMEOUT: Us = 500_000;
/// How long a better input has to be stable before the relay goes back to it.
pub(crate) const STABLE: Us = 2_000_000;
/// Shorter silences are not noted.
pub(crate) const NOTED: Us = 200_000;

#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) began: Us,
    pub(crate) ended: Us,
    /// Of each input, in order of time.
    pub(crate) silences: Vec<Vec<Silence>>,
    /// At the relay's output.
    pub(crate) output: Vec<Silence>,
    pub(crate) kills: Vec<Kill>,
    pub(crate) lines: Vec<Line>,
    pub(crate) samples: Vec<Sample>,
    pub(crate) ticks_per_s: u64,
    /// Until the end.
    pub(crate) relay_alive: bool,
    pub(crate) downstream_alive: bool,
    /// All that the decoder printed, and when.
    pub(crate) complaints: Vec<(Us, String)>,
    /// What the decoder had decoded when the run began, and at its end.
    pub(crate) media_before_us: Us,
    pub(crate) media_us: Us,
    pub(crate) frames: u64,
    /// The relay's own, word for word.
    pub(crate) summary: String,
}

/// No datagram in between.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Silence {
    /// The last one before.
    pub(crate) from: Us,
    /// The first one after; the end of the run where there was none.
    pub(crate) to: Us,
}

impl Silence {
    pub(crate) fn span(&self) -> Us {
        self.to - self.from
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGTERM: the feeder ends in order.
    Term,
    /// SIGSTOP for seconds, then SIGCONT or SIGKILL.
    Stop,
    /// SIGSTOP for less than the timeout: nothing may happen.
    Blink,
    /// SIGKILL of all feeders at once; one line per feeder.
    All,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Kill {
    pub(crate) at: Us,
    pub(crate) input: usize,
    pub(crate) blow: Blow,
}

/// One line of the relay's log.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// The relay's own stamp.
    pub(crate) at: Us,
    /// When it was read here.
    pub(crate) seen: Us,
    pub(crate) said: Said,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Said {
    Switch {
        from: usize,
        to: usize,
        reason: String,
    },
    Exhausted,
    Restored(usize),
    /// The engine woke late, ms.
    Stall(u64),
    Other,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) at: Us,
    pub(crate) rss_kib: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
    pub(crate) cpu_ticks: u64,
}

pub(crate) fn now_us() -> Us {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.expect("a clock after 1970").as_micros() as Us
}
