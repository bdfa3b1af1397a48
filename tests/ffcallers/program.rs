//! The programs: built once by their own Makefile, started, listened to, and ended by their id.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// Builds the programs against the library beside this test; answers where they are.
pub(crate) fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let library = std::env::current_exe()
            .expect("this program's path")
            .with_file_name("libchangeover.so");
        // One directory per profile: the programs look for the library where it was.
        let profile = library.ancestors().nth(2).and_then(Path::file_name).expect("a profile");
        let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ffcallers").join(profile);
        let mut make = Command::new("make");
        make.arg("-C").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ffmpeg"));
        make.arg(format!("CHANGEOVER_DIR={}", library.parent().expect("deps").display()));
        make.arg(format!("OUT={}", out.display()));
        let done = make.output().expect("make runs: apt-get install make");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "examples/ffmpeg is not built:\n{said}");
        out
    })
}

/// Sends a signal to one process.
pub(crate) fn signal(process: u32, name: &str) {
    let done = Command::new("kill").args([name, &process.to_string()]).status();
    assert!(done.expect("kill runs").success(), "kill {name} {process}");
}

/// A running program, killed when it is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    /// How many of its lines have been waited for.
    seen: usize,
}

impl Program {
    pub(crate) fn start(name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(built().join(name));
        command.args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect(name);
        let lines = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().expect("piped"), Arc::clone(&lines));
        collect(child.stderr.take().expect("piped"), Arc::clone(&lines));
        Self { child, lines, seen: 0 }
    }

    /// Waits for a line that holds `text`, behind the one that was waited for last.
    pub(crate) fn wait_for(&mut self, text: &str, seconds: u64) {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let found = {
                let lines = self.lines.lock().unwrap();
                lines.iter().skip(self.seen).position(|line| line.contains(text))
            };
            if let Some(at) = found {
                self.seen += at + 1;
                return;
            }
            let ended = self.child.try_wait().expect("a child");
            assert!(
                ended.is_none() && Instant::now() < end,
                "no line with '{text}' in {seconds} s ({ended:?}):\n{}",
                self.said()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().expect("piped"), "{line}").expect("it reads");
    }

    pub(crate) fn said(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// What stands behind `before` in the lines that have it.
    pub(crate) fn numbers_behind(&self, before: &str) -> Vec<f64> {
        let lines = self.lines.lock().unwrap();
        let rests = lines.iter().filter_map(|line| Some(line.split_once(before)?.1));
        rests.filter_map(|rest| rest.split_whitespace().next()?.parse().ok()).collect()
    }

    /// SIGINT: answers how it ended, and after how long.
    pub(crate) fn interrupt(&mut self) -> (ExitStatus, Duration) {
        signal(self.child.id(), "-INT");
        let began = Instant::now();
        (self.wait(20), began.elapsed())
    }

    pub(crate) fn wait(&mut self, seconds: u64) -> ExitStatus {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                // What it said last may still be on its way.
                thread::sleep(Duration::from_millis(100));
                return status;
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.said());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
