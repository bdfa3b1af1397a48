//! Programs that a run starts. Each dies with it, and only these are signalled, by their ids.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::record::{Us, now_us};

/// The system kills it when the thread that starts it ends: call this from the main one.
pub(crate) fn dies_with_us(command: &mut Command) {
    let set = || {
        // SAFETY: takes one number, and concerns the calling process only.
        let done = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    };
    // SAFETY: between fork and exec one system call is made, and nothing is allocated.
    unsafe { command.pre_exec(set) };
}

/// A signal to a child that has not been waited for: its id is its own.
pub(crate) fn signal(child: &Child, number: libc::c_int) {
    // SAFETY: two numbers.
    unsafe { libc::kill(child.id() as libc::pid_t, number) };
}

/// What the decoder has told of its progress.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Progress {
    pub(crate) frames: u64,
    pub(crate) media_us: Us,
}

/// The FFmpeg behind the relay: one process for the whole run.
pub(crate) struct Downstream {
    child: Child,
    progress: Arc<Mutex<Progress>>,
    complaints: JoinHandle<Vec<(Us, String)>>,
}

impl Downstream {
    pub(crate) fn start(port: u16, out: &Path) -> Self {
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"]);
        command.args(["-analyzeduration", "1000000"]);
        command.arg("-i").arg(format!("udp://127.0.0.1:{port}?timeout=60000000"));
        command.args(["-map", "0:v", "-map", "0:a", "-fps_mode", "passthrough", "-f", "null"]);
        command.args(["-progress", "pipe:1", "-stats_period", "0.5", "-"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        dies_with_us(&mut command);
        let mut child = command.spawn().expect("ffmpeg is there");
        let progress = Arc::new(Mutex::new(Progress::default()));
        let (shared, stdout) = (Arc::clone(&progress), child.stdout.take().expect("piped"));
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let Some((key, value)) = line.split_once('=') else { continue };
                let mut progress = shared.lock().unwrap();
                match (key, value.trim().parse::<i64>()) {
                    ("frame", Ok(frames)) => progress.frames = frames as u64,
                    ("out_time_us", Ok(us)) => progress.media_us = us,
                    _ => {}
                }
            }
        });
        let (stderr, mut log) =
            (child.stderr.take().expect("piped"), crate::file(out, "downstream.log"));
        let complaints = thread::spawn(move || {
            let lines = BufReader::new(stderr).split(b'\n').map_while(Result::ok);
            let said = lines.map(|line| {
                let (at, line) = (now_us(), String::from_utf8_lossy(&line).into_owned());
                let _ = writeln!(log, "{at} {line}");
                (at, line)
            });
            said.collect()
        });
        Self { child, progress, complaints }
    }

    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    pub(crate) fn progress(&self) -> Progress {
        *self.progress.lock().unwrap()
    }

    /// Ends it; answers all that it printed, and when.
    pub(crate) fn end(mut self) -> Vec<(Us, String)> {
        signal(&self.child, libc::SIGINT);
        wait(&mut self.child, Duration::from_secs(10));
        self.complaints.join().expect("the reader of its words")
    }
}

/// Waits so long, then kills.
pub(crate) fn wait(child: &mut Child, patience: Duration) {
    let until = Instant::now() + patience;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() > until {
            let _ = child.kill();
        }
        thread::sleep(Duration::from_millis(10));
    }
}
