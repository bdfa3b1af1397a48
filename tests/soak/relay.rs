//! The relay example as a child, and what its log says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::children::{dies_with_us, signal, wait};
use crate::record::{Line, STABLE, Said, TIMEOUT, Us, now_us};

#[derive(Debug)]
struct Heard {
    lines: Vec<Line>,
    on_air: usize,
    exhausted: bool,
}

pub(crate) struct Relay {
    child: Child,
    heard: Arc<Mutex<Heard>>,
    reader: Option<JoinHandle<()>>,
}

impl Relay {
    pub(crate) fn start(program: &Path, inputs: &[u16], output: u16, out: &Path) -> Self {
        let mut command = Command::new(program);
        for port in inputs {
            command.arg("--input").arg(format!("udp://127.0.0.1:{port}"));
        }
        command.arg("--output").arg(format!("udp://127.0.0.1:{output}"));
        command.args(["--timeout-ms", &(TIMEOUT / 1000).to_string()]);
        command.args(["--failback-stable-ms", &(STABLE / 1000).to_string()]);
        command.args(["--connect-timeout-ms", "3000", "--cut", "keyframe"]);
        command.args(["--cut-max-wait-ms", "1500", "--plain", "--status-every", "10"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        dies_with_us(&mut command);
        let mut child = command.spawn().expect("the relay starts");
        // Registered with all inputs there: the first one is on the air, without a word.
        let heard = Heard { lines: Vec::new(), on_air: 1, exhausted: false };
        let heard = Arc::new(Mutex::new(heard));
        let (shared, stderr) = (Arc::clone(&heard), child.stderr.take().expect("piped"));
        let mut log = crate::file(out, "relay.log");
        let reader = thread::spawn(move || {
            for text in BufReader::new(stderr).lines().map_while(Result::ok) {
                let seen = now_us();
                let _ = writeln!(log, "{text}");
                if let Some(line) = parse(&text, seen) {
                    shared.lock().unwrap().take(line);
                }
            }
        });
        Self { child, heard, reader: Some(reader) }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn on_air(&self) -> usize {
        self.heard.lock().unwrap().on_air
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.heard.lock().unwrap().exhausted
    }

    /// SIGTERM; answers the summary.
    pub(crate) fn end(&mut self) -> String {
        signal(&self.child, libc::SIGTERM);
        wait(&mut self.child, Duration::from_secs(10));
        let mut summary = String::new();
        let mut stdout = self.child.stdout.take().expect("piped");
        // What is no text shows as a summary that is missing.
        let _ = stdout.read_to_string(&mut summary);
        self.reader.take().expect("ended once").join().expect("the reader of its log");
        summary
    }

    pub(crate) fn lines(&self) -> Vec<Line> {
        self.heard.lock().unwrap().lines.clone()
    }
}

impl Heard {
    fn take(&mut self, line: Line) {
        match &line.said {
            Said::Switch { to, .. } => self.on_air = *to,
            Said::Exhausted => self.exhausted = true,
            Said::Restored(_) => self.exhausted = false,
            Said::Stall(_) | Said::Other => {}
        }
        self.lines.push(line);
    }
}

/// `2026-11-23T03:30:00.123Z SWITCH 1 -> 2 (timeout): ...`
pub(crate) fn parse(text: &str, seen: Us) -> Option<Line> {
    let (stamp, rest) = text.split_once(' ')?;
    let at = stamp.parse::<jiff::Timestamp>().ok()?.as_microsecond();
    let said = if let Some(switch) = rest.strip_prefix("SWITCH ") {
        let (from, rest) = switch.split_once(" -> ")?;
        let (to, rest) = rest.split_once(" (")?;
        let (reason, _) = rest.split_once(')')?;
        Said::Switch { from: from.parse().ok()?, to: to.parse().ok()?, reason: reason.to_owned() }
    } else if rest.starts_with("NO USABLE INPUT") {
        Said::Exhausted
    } else if let Some(input) = rest.strip_prefix("restored: input ") {
        Said::Restored(input.split(' ').next()?.parse().ok()?)
    } else if let Some(late) = rest.strip_prefix("the machine was busy: the engine woke ") {
        Said::Stall(late.split(' ').next()?.parse().ok()?)
    } else {
        Said::Other
    };
    Some(Line { at, seen, said })
}
