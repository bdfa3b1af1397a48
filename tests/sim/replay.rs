//! An event log carried out again, alone and with the same checks; and the shortest one that still
//! shows a failure.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::command::Command;
use crate::rig::{Rig, Violation};
use crate::run::{Plan, Simulation};
use crate::shadow::MS;

/// A log: times in ns, and commands.
pub(crate) type Log = Vec<(u64, Command)>;

/// Reads a log. `#` begins a remark.
pub(crate) fn parse(text: &str) -> Result<Log, String> {
    let mut log = Log::new();
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let read = || {
            let (at, rest) = line.split_once(' ')?;
            Some((at.parse().ok()?, rest.parse().ok()?))
        };
        log.push(read().ok_or_else(|| format!("line {}: '{line}' is no event", n + 1))?);
    }
    // Several threads may have written it.
    log.sort_by_key(|(at, _)| *at);
    Ok(log)
}

/// A failover: when, and which.
pub(crate) type Failover = (u64, String);

/// The failovers that a relay has remarked in its log.
pub(crate) fn remarked(text: &str) -> Vec<Failover> {
    let remark = |line: &str| {
        let (at, rest) = line.strip_prefix("# ")?.split_once(' ')?;
        Some((at.parse().ok()?, rest.strip_prefix("failover ")?.to_owned()))
    };
    text.lines().filter_map(remark).collect()
}

pub(crate) fn render(log: &Log) -> String {
    let mut text = String::new();
    for (at, command) in log {
        let _ = writeln!(text, "{at} {command}");
    }
    text
}

/// Carries a log out in an engine of its own.
pub(crate) fn replay(log: &Log) -> Rig {
    let index = log.iter().find_map(|(_, command)| match command {
        Command::Register(config) => crate::rig::index_of(&config.id),
        _ => None,
    });
    let index = index.unwrap_or(0);
    let shortest = log.iter().filter_map(|(_, command)| match command {
        Command::Register(config) => Some(config.packet_timeout_ms.max(1) as u64 * MS),
        _ => None,
    });
    let pace = shortest.min().unwrap_or(200 * MS) / 4;
    let mut rig = Rig::new(index + 1, Some(index));
    for (at, command) in log {
        if rig.violation.is_some() {
            break;
        }
        // Step by step, so that what the driver is told has its time.
        let (from, pause) = (rig.now, at.saturating_sub(rig.now));
        let step = (pause / 20_000).max(pace);
        for n in (1..pause / step).filter(|_| *command != Command::Take) {
            rig.advance_to(from + n * step);
        }
        rig.advance_to(*at);
        rig.exec(index, command);
        rig.settle();
        rig.calls.clear();
    }
    rig
}

/// Whether a log fails the same way, but for the numbers.
fn fails(log: &Log, wanted: &Violation) -> bool {
    let run = std::panic::AssertUnwindSafe(|| replay(log).violation.take());
    let words = |text: &str| text.replace(|c: char| c.is_ascii_digit() || c == '-', "");
    let same = |found: &Violation| {
        let end = |text: &str| words(text.split(':').next().unwrap_or_default());
        found.check == wanted.check && end(&found.text) == end(&wanted.text)
    };
    match std::panic::catch_unwind(run) {
        Ok(violation) => violation.is_some_and(|found| same(&found)),
        Err(_) => wanted.check == "panic",
    }
}

/// Leaves out whatever can be, in ever smaller pieces, until the time is over.
pub(crate) fn shorten(mut log: Log, wanted: &Violation, most: Duration) -> Log {
    let until = Instant::now() + most;
    let mut piece = (log.len() / 2).max(1);
    loop {
        let mut at = 0;
        let before = log.len();
        while at < log.len() {
            if Instant::now() > until {
                return log;
            }
            let end = (at + piece).min(log.len());
            // Nothing happens before the registration.
            let kept =
                log[at..end].iter().any(|(_, c)| at == 0 && matches!(c, Command::Register(_)));
            let mut shorter = log.clone();
            shorter.drain(at..end);
            if !kept && fails(&shorter, wanted) {
                log = shorter;
            } else {
                at = end;
            }
        }
        if piece == 1 && log.len() == before {
            return log;
        }
        piece = (piece / 2).max(1);
    }
}

/// What a failure comes down to: its shortest log, and whether that shows it.
///
/// The run is run again, and this time the stream's commands are written down.
pub(crate) fn explain(plan: Plan, found: &Violation, most: Duration) -> (Log, bool) {
    let plan = Plan { recorded: Some(found.stream), told: false, ..plan };
    let run =
        std::panic::AssertUnwindSafe(|| std::mem::take(&mut Simulation::new(plan).run().rig.log));
    let Ok(lines) = std::panic::catch_unwind(run) else { return (Log::new(), false) };
    let mut log = parse(&lines_of(&lines)).expect("what is written can be read");
    // What only happens by time is found after the last command too.
    let last = log.last().map_or(0, |(at, _)| *at).max(found.at);
    log.push((last, Command::Look));
    if fails(&log, found) { (shorten(log, found, most), true) } else { (log, false) }
}

/// As it stands in a file.
pub(crate) fn lines_of(log: &[(u64, String)]) -> String {
    log.iter().map(|(at, command)| format!("{at} {command}\n")).collect()
}
