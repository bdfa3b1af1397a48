//! The feeders: one FFmpeg each, that makes a small picture and a tone in real time.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::children::{dies_with_us, signal};

struct Feeder {
    port: u16,
    log: File,
    child: Option<Child>,
}

/// All feeders; inputs are counted from 1.
pub(crate) struct Feeds {
    feeders: Vec<Feeder>,
}

impl Feeds {
    pub(crate) fn start(ports: impl Iterator<Item = u16>, out: &Path) -> Self {
        let feeders = ports.zip(1..).map(|(port, input)| Feeder {
            port,
            log: crate::file(out, &format!("feeder-{input}.log")),
            child: None,
        });
        let mut feeds = Self { feeders: feeders.collect() };
        (1..=feeds.feeders.len()).for_each(|input| feeds.restart(input));
        feeds
    }

    /// Ends what is left of the old one, and starts a new one.
    pub(crate) fn restart(&mut self, input: usize) {
        self.kill(input);
        let feeder = &mut self.feeders[input - 1];
        let log = feeder.log.try_clone().expect("a second handle");
        feeder.child = Some(spawn(input, feeder.port, log));
    }

    pub(crate) fn signal(&self, input: usize, number: libc::c_int) {
        if let Some(child) = &self.feeders[input - 1].child {
            signal(child, number);
        }
    }

    /// SIGKILL, as if its machine had lost power.
    pub(crate) fn kill(&mut self, input: usize) {
        if let Some(mut child) = self.feeders[input - 1].child.take() {
            // An error means that it has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether it runs; one that has ended is collected.
    pub(crate) fn is_there(&mut self, input: usize) -> bool {
        let child = &mut self.feeders[input - 1].child;
        let runs = child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)));
        if !runs {
            *child = None;
        }
        runs
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        (1..=self.feeders.len()).for_each(|input| self.kill(input));
    }
}

/// Two keyframes a second, PIDs of its own.
fn spawn(input: usize, port: u16, log: File) -> Child {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-loglevel", "warning", "-re", "-f", "lavfi"]);
    command.args(["-i", "testsrc2=size=320x180:rate=25", "-re", "-f", "lavfi"]);
    command.args(["-i", "sine=sample_rate=48000", "-c:v", "libx264", "-preset", "ultrafast"]);
    command.args(["-tune", "zerolatency", "-threads", "1", "-g", "12", "-b:v", "300k"]);
    command.args(["-c:a", "aac", "-b:a", "64k", "-f", "mpegts", "-flush_packets", "1"]);
    command.args(["-mpegts_start_pid", &format!("{:#x}", 0x100 * input)]);
    command.arg(format!("udp://127.0.0.1:{port}?pkt_size=1316"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    dies_with_us(&mut command);
    command.spawn().expect("ffmpeg is there (apt-get install ffmpeg)")
}
