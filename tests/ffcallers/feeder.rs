//! An encoder of a test picture and a tone, which its machine starts again when it ends: an SRT
//! caller ends whenever its listener goes away.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::program::signal;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Transport {
    Udp,
    Srt,
}

/// A keyframe each second; a few per cent of a core.
pub(crate) const H264: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-tune",
    "zerolatency",
    "-g",
    "25",
    "-b:v",
    "300k",
];

pub(crate) struct Feeder {
    transport: Transport,
    port: u16,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

struct State {
    child: Mutex<Option<Child>>,
    is_wanted: AtomicBool,
    is_over: AtomicBool,
}

impl Feeder {
    /// `number` tells feeders apart: by PIDs and tone.
    pub(crate) fn start(transport: Transport, number: u16, picture: &str) -> Self {
        Self::encoding(transport, number, picture, H264)
    }

    pub(crate) fn encoding(
        transport: Transport,
        number: u16,
        picture: &str,
        video: &'static [&'static str],
    ) -> Self {
        let port = free_port();
        let to = match transport {
            Transport::Udp => format!("udp://127.0.0.1:{port}?pkt_size=1316"),
            Transport::Srt => format!("srt://127.0.0.1:{port}?mode=caller&pkt_size=1316"),
        };
        let pid = format!("{}", 0x100 * (number + 1));
        let tone = format!("sine=frequency={}:sample_rate=48000", 400 * (number + 1));
        let picture = format!("testsrc2=size={picture}:rate=25");
        let state = Arc::new(State {
            child: Mutex::new(None),
            is_wanted: AtomicBool::new(true),
            is_over: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let thread = thread::spawn(move || {
            while !shared.is_over.load(SeqCst) {
                shared.look_after(|| {
                    let mut command = Command::new("ffmpeg");
                    command.args(["-hide_banner", "-nostdin", "-loglevel", "error", "-re"]);
                    command.args(["-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", &tone]);
                    // It ends by itself should this process be killed.
                    command.args(["-t", "150"]).args(video);
                    command.args(["-c:a", "aac", "-f", "mpegts", "-mpegts_start_pid", &pid, &to]);
                    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    command.spawn().expect(
                        "this test needs ffmpeg: run scripts/check, which installs what is missing",
                    )
                });
                thread::sleep(Duration::from_millis(20));
            }
        });
        Self { transport, port, state, thread: Some(thread) }
    }

    /// What a program reads it by.
    pub(crate) fn url(&self) -> String {
        match self.transport {
            Transport::Udp => format!("udp://127.0.0.1:{}", self.port),
            Transport::Srt => format!("srt://127.0.0.1:{}?mode=listener", self.port),
        }
    }

    /// As if its machine had lost power.
    pub(crate) fn kill(&self) {
        self.state.is_wanted.store(false, SeqCst);
        self.state.end();
    }

    pub(crate) fn revive(&self) {
        self.state.is_wanted.store(true, SeqCst);
    }

    /// Its sockets stay open, and nothing comes.
    pub(crate) fn freeze(&self) {
        self.state.signal("-STOP");
    }

    pub(crate) fn thaw(&self) {
        self.state.signal("-CONT");
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.state.is_over.store(true, SeqCst);
        // A panic of the thread has shown as an input that never came.
        let _ = self.thread.take().expect("joined once").join();
        self.state.end();
    }
}

impl State {
    fn look_after(&self, start: impl FnOnce() -> Child) {
        let mut child = self.child.lock().unwrap();
        let ended = child.as_mut().is_none_or(|child| child.try_wait().expect("ours").is_some());
        if ended && self.is_wanted.load(SeqCst) {
            *child = Some(start());
        }
    }

    fn end(&self) {
        if let Some(mut child) = self.child.lock().unwrap_or_else(|e| e.into_inner()).take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn signal(&self, name: &str) {
        let mut child = self.child.lock().unwrap();
        let child = child.as_mut().expect("it runs");
        assert!(child.try_wait().expect("ours").is_none(), "the feeder has ended");
        signal(child.id(), name);
    }
}

pub(crate) fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}
