//! A relay as a user runs it, with two feeds and an eye on its output. Shared by the tests that run
//! the example's program.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// For things that take milliseconds; generous, because other tests run beside this one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// `cargo test` builds the examples before it runs the tests, next to `deps`, where this is.
/// `cargo test --test relay_cli` does not: a relay that is missing or older than its sources is
/// refused, because what it does says nothing about them.
pub(crate) fn relay() -> Command {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/<profile>/deps/..");
    let name = format!("relay{}", std::env::consts::EXE_SUFFIX);
    let path: PathBuf = profile.join("examples").join(name);
    let how =
        "run `cargo build --example relay` (with this profile) first, or a plain `cargo test`";
    let built = path.metadata().and_then(|about| about.modified());
    let built = built.unwrap_or_else(|why| panic!("{}: {why}: {how}", path.display()));
    let edited = newest(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/relay"));
    assert!(edited <= built, "{} is older than examples/relay: {how}", path.display());
    Command::new(path)
}

/// When the latest edit of a Rust source below a directory was.
fn newest(dir: &Path) -> SystemTime {
    let entries = dir.read_dir().expect("the sources are there").map(|entry| entry.unwrap().path());
    let edits = entries.filter_map(|path| match path.extension() {
        _ if path.is_dir() => Some(newest(&path)),
        Some(extension) if extension == "rs" => Some(path.metadata().unwrap().modified().unwrap()),
        _ => None,
    });
    edits.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(crate) fn run(args: &[&str]) -> Output {
    relay().args(args).stdin(Stdio::null()).output().expect("the relay runs")
}

/// The relay refuses these arguments with code 2, and its text says all of that.
pub(crate) fn refused(args: &[&str], says: &[&str]) {
    let output = run(args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    for word in says {
        assert!(text.contains(word), "{args:?} does not say '{word}': {text}");
    }
    assert!(output.stdout.is_empty(), "{args:?} writes to stdout");
}

pub(crate) fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A running relay; killed when it is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = relay()
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the relay runs");
        let mut stderr = child.stderr.take().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let shared = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut piece) {
                shared.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..count]));
            }
        });
        let stdin = child.stdin.take();
        Self { child, stdin, log, reader: Some(reader) }
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    pub(crate) fn type_line(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn wait_for_log(&self, text: &str) {
        wait_for(text, || self.log().contains(text));
    }

    /// Waits for the end; answers the code, stdout, and the whole log.
    pub(crate) fn end(mut self) -> (Option<i32>, String, String) {
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        wait_for("the relay's end", || self.child.try_wait().unwrap().is_some());
        self.reader.take().unwrap().join().unwrap();
        let code = self.child.wait().unwrap().code();
        (code, stdout, self.log())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- the relay's log:\n{}", self.log());
        }
    }
}

/// Two inputs, one output: the relay in plain form, and where its ends are.
pub(crate) struct Bench {
    pub(crate) relay: Running,
    pub(crate) inputs: [SocketAddr; 2],
    pub(crate) output: UdpSocket,
}

impl Bench {
    pub(crate) fn start(more: &[&str]) -> Self {
        let output = UdpSocket::bind("127.0.0.1:0").unwrap();
        output.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let to = format!("udp://{}", output.local_addr().unwrap());
        for _ in 0..5 {
            let inputs = free_ports();
            let from = inputs.map(|addr| format!("udp://{addr}"));
            let mut args = vec!["-i", &from[0], "-i", &from[1], "-o", &to];
            args.extend_from_slice(more);
            let relay = Running::start(&args);
            wait_for("the relay to start, or to refuse", || {
                relay.log().contains("input 2 udp://") || relay.log().contains("in use")
            });
            if !relay.log().contains("in use") {
                return Self { relay, inputs, output };
            }
            // Another program took the port in between: once more.
        }
        panic!("no free ports");
    }

    /// Waits until the output carries this feed.
    pub(crate) fn wait_for_feed(&self, feed: u8) {
        wait_for(&format!("feed {feed} on the output"), || self.next() == Some(feed));
    }

    /// Whose the next datagram at the output is; it has to be transport stream.
    pub(crate) fn next(&self) -> Option<u8> {
        let mut buffer = [0; 2048];
        let count = self.output.recv(&mut buffer).ok()?;
        assert_eq!(&buffer[..count], &datagram(buffer[4])[..], "not what a feed sent");
        Some(buffer[4])
    }
}

pub(crate) fn free_ports() -> [SocketAddr; 2] {
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    sockets.map(|socket| socket.local_addr().unwrap())
}

/// Seven packets of transport stream that say whose they are.
pub(crate) fn datagram(feed: u8) -> Vec<u8> {
    let mut packet = [feed; 188];
    packet[..4].copy_from_slice(&[0x47, 0x01, 0x00, 0x10]);
    packet.repeat(7)
}

/// The same as RTP.
pub(crate) fn rtp(feed: u8) -> Vec<u8> {
    let mut bytes = vec![0x80, 33, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    bytes.extend_from_slice(&datagram(feed));
    bytes
}

/// Sends the same datagram every 5 ms until it is dropped.
pub(crate) struct Feed {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    pub(crate) fn start(to: SocketAddr, datagram: Vec<u8>) -> Self {
        Self::every(to, datagram, Duration::from_millis(5))
    }

    pub(crate) fn every(to: SocketAddr, datagram: Vec<u8>, pause: Duration) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                socket.send_to(&datagram, to).unwrap();
                std::thread::sleep(pause);
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}
