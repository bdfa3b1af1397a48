//! Programs that a test starts: each is killed by its own id when its guard is dropped, and what
//! it prints is kept for the failure message.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// One started program.
pub(crate) struct Running {
    name: &'static str,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// Starts it without a terminal; both its outputs are read line by line.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|why| panic!("{name} does not start: {why}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().expect("piped"), Arc::clone(&lines));
        collect(child.stderr.take().expect("piped"), Arc::clone(&lines));
        Self { name, child, lines }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the program, the very process that was started, still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child of this process").is_none()
    }

    /// SIGKILL, as if its machine had lost power.
    pub(crate) fn kill(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The latest line that `pick` accepts.
    pub(crate) fn latest<T>(&self, pick: impl Fn(&str) -> Option<T>) -> Option<T> {
        self.lines.lock().unwrap().iter().rev().find_map(|line| pick(line))
    }

    /// The last things it said.
    pub(crate) fn tail(&self) -> String {
        let lines = self.lines.lock().unwrap();
        let last: Vec<&str> = lines.iter().rev().take(25).rev().map(String::as_str).collect();
        format!("--- {} (process {}):\n{}\n", self.name, self.id(), last.join("\n"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The thread ends with the program, which closes its end.
fn collect(from: impl Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    });
}
