//! What runs in a process of its own: this test program, started again for one part.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::{cycles, exits, hogs, memory, stopped, threads_refused};

/// Says which part the process is for.
const PART: &str = "CHANGEOVER_FAULTS";
/// A part that takes longer hangs. The longest, which is stopped for ten seconds, takes 15.
const LONGEST: Duration = Duration::from_secs(60);

/// One of the program's tests. Without a part there is nothing to do; each part has a test of its
/// own that starts it.
#[test]
fn the_child() {
    let part = std::env::var(PART).unwrap_or_default();
    match part.split_once(' ').unwrap_or((&part, "")) {
        ("", _) => {}
        ("exits", how) => exits::child(how),
        ("hogs", _) => hogs::child(),
        ("memory", _) => memory::child(),
        ("threads", when) => threads_refused::child(when),
        ("stopped", _) => stopped::child(),
        ("cycles", engines) => cycles::child(engines.parse().expect("a number")),
        _ => panic!("there is no part {part}"),
    }
}

/// One line for whoever started this process.
pub(crate) fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // Whoever listened has gone: nobody is left to be told.
    let _ = writeln!(out, "SAYS {line}").and_then(|()| out.flush());
}

/// A started part; killed when it is dropped.
pub(crate) struct Part {
    child: Child,
    began: Instant,
    stdout: Option<BufReader<ChildStdout>>,
}

/// What a part said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) said: Vec<String>,
    pub(crate) stderr: String,
}

impl Ended {
    /// The number behind this word in what was said.
    pub(crate) fn number(&self, word: &str) -> u64 {
        let found = self.said.iter().find_map(|line| line.strip_prefix(word)?.trim().parse().ok());
        found.unwrap_or_else(|| panic!("no number behind '{word}': {self:?}"))
    }
}

impl Part {
    pub(crate) fn start(part: &str) -> Self {
        let this = std::env::current_exe().expect("a test knows its own path");
        let mut command = Command::new(this);
        command.args(["--exact", "child::the_child", "--nocapture", "--test-threads=1"]);
        command.env(PART, part).env("RUST_BACKTRACE", "0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("starts again");
        let stdout = child.stdout.take().map(BufReader::new);
        Self { child, began: Instant::now(), stdout }
    }

    pub(crate) fn signal(&self, number: libc::c_int) {
        // SAFETY: two numbers; the child has not been waited for, so the id is its own.
        unsafe { libc::kill(self.child.id() as libc::pid_t, number) };
    }

    /// What it says next; `None` at its end.
    pub(crate) fn next(&mut self) -> Option<String> {
        let stdout = self.stdout.as_mut().expect("not ended");
        loop {
            let mut line = Vec::new();
            if stdout.read_until(b'\n', &mut line).ok()? == 0 {
                return None;
            }
            // The harness writes before it, on the same line.
            let line = String::from_utf8_lossy(&line);
            if let Some((_, said)) = line.split_once("SAYS ") {
                return Some(said.trim_end().to_owned());
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        // Read by a thread: an end that hangs is to be seen.
        let mut stderr = self.child.stderr.take().expect("piped");
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let stdout = self.stdout.take().expect("not ended");
        let words = thread::spawn(move || {
            let lines = stdout.split(b'\n').map_while(Result::ok);
            let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
            lines.filter_map(|line| Some(line.split_once("SAYS ")?.1.to_owned())).collect()
        });
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child of this process") {
                break status;
            }
            if self.began.elapsed() > LONGEST {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let (said, stderr) = (words.join(), errors.join());
                panic!("it hangs: {:?} {}", said.ok(), stderr.unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(1));
        };
        let said: Vec<String> = words.join().expect("reads");
        Ended { status, said, stderr: errors.join().expect("reads") }
    }

    /// Waits for an end in order.
    pub(crate) fn done(self) -> Ended {
        let ended = self.end();
        assert!(ended.status.success(), "{ended:?}");
        ended
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Both fail where it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended: `code 0`, `signal 9`.
pub(crate) fn how(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("code {code}"),
        (_, Some(signal)) => format!("signal {signal}"),
        _ => format!("{status}"),
    }
}
