//! GStreamer's `fallbackswitch` as a relay: another process, the same feeders and receiver.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::kills::Switcher;
use crate::wire::socket;

/// Ends whatever becomes of this process.
const LIFE: &str = "300";

/// Why it cannot be measured here, if it cannot.
pub(crate) fn missing() -> Option<String> {
    let asked = command("gst-inspect-1.0").arg("fallbackswitch").output();
    match asked {
        Ok(answer) if answer.status.success() => None,
        Ok(_) => Some("GStreamer is here, the plugin is not (gstreamer.sh --install)".to_owned()),
        Err(_) => Some("no gst-inspect-1.0 (gstreamer.sh --install)".to_owned()),
    }
}

/// A command that finds the plugin where `gstreamer.sh` has built it.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/gstreamer/plugin");
    if std::env::var_os("GST_PLUGIN_PATH").is_none() && built.is_dir() {
        command.env("GST_PLUGIN_PATH", built);
    }
    command
}

pub(crate) struct FallbackSwitch {
    child: Child,
    pub(crate) addrs: [SocketAddr; 2],
}

impl FallbackSwitch {
    pub(crate) fn start(timeout: Duration, to: SocketAddr) -> Self {
        // Ports that are free now.
        let addrs = [socket(), socket()].map(|free| free.local_addr().expect("bound"));
        let source = |input: usize| {
            let port = addrs[input].port();
            format!("udpsrc address=127.0.0.1 port={port} ! queue ! switch.sink_{input} ")
        };
        let pipeline = format!(
            "fallbackswitch name=switch timeout={} latency=0 \
             sink_0::priority=0 sink_1::priority=1 \
             ! udpsink host=127.0.0.1 port={} sync=false async=false {}{}",
            timeout.as_nanos(),
            to.port(),
            source(0),
            source(1),
        );
        let mut launch = command("timeout");
        launch.args([LIFE, "gst-launch-1.0", "-q"]).args(pipeline.split_whitespace());
        let child = launch.stdout(Stdio::null()).spawn().expect("gst-launch-1.0 starts");
        // Until it listens.
        std::thread::sleep(Duration::from_millis(1_000));
        Self { child, addrs }
    }
}

impl FallbackSwitch {
    /// CPU time of all its threads, us.
    pub(crate) fn cpu_us(&self) -> f64 {
        // `timeout` has one child.
        let own = self.child.id();
        let child = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"));
        let child = child.expect("this system tells").trim().to_owned();
        let tasks = std::fs::read_dir(format!("/proc/{child}/task")).expect("it runs");
        let ns = tasks.flatten().filter_map(|task| {
            let account = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            account.split_whitespace().next()?.parse::<f64>().ok()
        });
        ns.sum::<f64>() / 1e3
    }
}

impl Switcher for FallbackSwitch {
    /// By itself, at the primary's first packet.
    fn go_back(&self) -> bool {
        true
    }

    /// It holds packets back, and drops what is late.
    fn is_whole(&self) -> bool {
        false
    }
}

impl Drop for FallbackSwitch {
    fn drop(&mut self) {
        // `timeout` hands the signal on; its own death by KILL would leave the pipeline behind.
        let pid = libc::pid_t::try_from(self.child.id()).expect("a process id");
        // SAFETY: a signal to a child that has not been waited for.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let _ = self.child.wait();
    }
}
