//! What runs in a process of its own: this test program, started again for one part.

use std::fmt;
use std::io::Write as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::calls::{ALL, Call, Feeds};
use super::{sealed, traced};

/// Says which part the process is for.
const PART: &str = "CHANGEOVER_RECORD_COST";

/// Calls of each kind that are counted.
pub(crate) const CALLS: u64 = 10_000;

/// From here on callgrind counts.
#[inline(never)]
pub(crate) fn begin() {
    // Something that stays: a function without effect could be left out.
    static BEGUN: AtomicU64 = AtomicU64::new(0);
    BEGUN.fetch_add(1, Relaxed);
}

/// One of the program's tests. Without a part it is a check of its own: every call works.
#[test]
fn the_child() {
    let part = std::env::var(PART).unwrap_or_default();
    match part.split_once('-').unwrap_or((&part, "")) {
        ("", _) => {
            let mut feeds = Feeds::by_hand();
            make(&mut feeds, &ALL, 1_000);
        }
        // The mock clock of an engine driven by hand is not the one that is to be counted.
        ("precise", _) => {
            let mut feeds = Feeds::by_the_clock();
            begin();
            make(&mut feeds, &[Call::RecordPrecise], CALLS);
        }
        ("count", _) => {
            let mut feeds = Feeds::by_hand();
            begin();
            make(&mut feeds, &ALL, CALLS);
        }
        ("trace", _) => traced::child(),
        ("seal", case) => sealed::child(case),
        _ => panic!("there is no part {part}"),
    }
    if !part.is_empty() {
        done(&part);
    }
}

fn make(feeds: &mut Feeds, calls: &[Call], times: u64) {
    for &call in calls {
        let forwarded = (0..times).filter(|_| feeds.make(call)).count() as u64;
        let wanted = if call == Call::RecordStandby { 0 } else { times };
        assert_eq!(forwarded, wanted, "{call:?}");
    }
}

/// Says that the part is done, which an exit code alone doesn't: it is 0, too, where no test ran.
pub(crate) fn done(part: &str) {
    println!("{}", word(part));
    std::io::stdout().flush().expect("can be written to");
}

fn word(part: &str) -> String {
    format!("DONE {part}")
}

/// What a child said, and how it ended.
pub(crate) struct Said {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}", self.status, self.stdout, self.stderr)
    }
}

impl Said {
    pub(crate) fn is_done(&self, part: &str) -> bool {
        let done = word(part);
        // The harness writes before it, on the same line.
        self.status.success() && self.stdout.lines().any(|line| line.ends_with(&done))
    }
}

pub(crate) fn plainly(part: &str) -> Said {
    let this = std::env::current_exe().expect("a test knows its own path");
    run(given(&mut Command::new(this), part))
}

fn run(command: &mut Command) -> Said {
    let output = command.output().expect("starts again");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    Said { status: output.status, stdout, stderr }
}

fn given<'a>(command: &'a mut Command, part: &str) -> &'a mut Command {
    let arguments = ["--exact", "child::the_child", "--nocapture", "--test-threads=1"];
    command.args(arguments).env(PART, part).stdin(Stdio::null())
}

/// Under one of valgrind's tools, which must be there: a check that is left out is none.
pub(crate) fn under_valgrind(options: &[&str], part: &str) -> Said {
    let there = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    assert!(
        there.is_ok_and(|status| status.success()),
        "`valgrind` is missing on this machine; on Debian: apt-get install valgrind"
    );
    let this = std::env::current_exe().expect("a test knows its own path");
    let said = run(given(Command::new("valgrind").args(options).arg(this), part));
    assert!(said.is_done(part), "the part {part} failed: {said}");
    said
}
