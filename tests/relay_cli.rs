//! Runs the `relay` example as a user does: what it refuses and how, what it carries, what it says
//! at the end.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// For things that take milliseconds; generous, because other tests run beside this one.
const PATIENCE: Duration = Duration::from_secs(30);

/// `cargo test` builds the examples before it runs the tests, next to `deps`, where this is.
/// `cargo test --test relay_cli` does not: a relay that is missing or older than its sources is
/// refused, because what it does says nothing about them.
fn relay() -> Command {
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

fn run(args: &[&str]) -> Output {
    relay().args(args).stdin(Stdio::null()).output().expect("the relay runs")
}

/// The relay refuses these arguments with code 2, and its text says all of that.
fn refused(args: &[&str], says: &[&str]) {
    let output = run(args);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {text}");
    for word in says {
        assert!(text.contains(word), "{args:?} does not say '{word}': {text}");
    }
    assert!(output.stdout.is_empty(), "{args:?} writes to stdout");
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A running relay; killed when it is dropped.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Running {
    fn start(args: &[&str]) -> Self {
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

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    fn type_line(&mut self, line: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn wait_for_log(&self, text: &str) {
        wait_for(text, || self.log().contains(text));
    }

    /// Waits for the end; answers the code, stdout, and the whole log.
    fn end(mut self) -> (Option<i32>, String, String) {
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
struct Bench {
    relay: Running,
    inputs: [SocketAddr; 2],
    output: UdpSocket,
}

impl Bench {
    fn start(more: &[&str]) -> Self {
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
    fn wait_for_feed(&self, feed: u8) {
        wait_for(&format!("feed {feed} on the output"), || self.next() == Some(feed));
    }

    /// Whose the next datagram at the output is; it has to be transport stream.
    fn next(&self) -> Option<u8> {
        let mut buffer = [0; 2048];
        let count = self.output.recv(&mut buffer).ok()?;
        assert_eq!(&buffer[..count], &datagram(buffer[4])[..], "not what a feed sent");
        Some(buffer[4])
    }
}

fn free_ports() -> [SocketAddr; 2] {
    let sockets = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    sockets.map(|socket| socket.local_addr().unwrap())
}

/// Seven packets of transport stream that say whose they are.
fn datagram(feed: u8) -> Vec<u8> {
    let mut packet = [feed; 188];
    packet[..4].copy_from_slice(&[0x47, 0x01, 0x00, 0x10]);
    packet.repeat(7)
}

/// The same as RTP.
fn rtp(feed: u8) -> Vec<u8> {
    let mut bytes = vec![0x80, 33, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    bytes.extend_from_slice(&datagram(feed));
    bytes
}

/// Sends the same datagram every 5 ms until it is dropped.
struct Feed {
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    fn start(to: SocketAddr, datagram: Vec<u8>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&over);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                socket.send_to(&datagram, to).unwrap();
                std::thread::sleep(Duration::from_millis(5));
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

/// A line of the summary's table of inputs: received, forwarded, overtaken, garbage.
fn figures(summary: &str, input: &str) -> Vec<u64> {
    let mut rows = summary.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.len() == 7 && row[0] == input);
    let row = row.unwrap_or_else(|| panic!("no row for input {input} in {summary}"));
    row[2..6].iter().map(|figure| figure.replace(',', "").parse().unwrap()).collect()
}

#[test]
fn usage_errors_say_what_is_wrong() {
    let out = ["-o", "udp://127.0.0.1:6000"];
    let with = |input: &'static str| [&["-i", input][..], &out].concat();
    refused(&[], &["no input", "--input"]);
    refused(&["-i", "udp://127.0.0.1:5001"], &["no output", "--output"]);
    refused(&with("srt://127.0.0.1:9000"), &["unknown scheme 'srt'", "udp://HOST:PORT"]);
    refused(&with("udp://127.0.0.1"), &["port is missing"]);
    refused(&with("udp://127.0.0.1:port"), &["'port' is not a port"]);
    refused(&with("udp://127.0.0.1:6000"), &["output", "input 1", "feed itself"]);
    refused(&with("/does/not/exist.ts"), &["input 1", "/does/not/exist.ts"]);
    refused(&with("Cargo.toml"), &["input 1", "no MPEG transport stream"]);
    refused(&[&with("udp://127.0.0.1:1")[..], &["--timeout-ms", "0"]].concat(), &["--timeout-ms"]);
    let twice = ["-i", "udp://127.0.0.1:5001", "-i", "udp://127.0.0.1:5001"];
    refused(&[&twice, &out[..]].concat(), &["inputs 1 and 2 are the same address"]);
}

#[test]
fn a_busy_port_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let input = format!("udp://{addr}");
    let port = format!("UDP port {}", addr.port());
    refused(&["-i", &input, "-o", "udp://127.0.0.1:9"], &["input 1", &port, "in use"]);
}

#[test]
fn help_is_there() {
    for (flag, words) in [("-h", "--failback-stable-ms"), ("--help", "EXAMPLES")] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).contains(words), "{flag}");
    }
}

#[test]
fn a_dead_primary_is_replaced_and_the_summary_tells() {
    let mut bench = Bench::start(&["--timeout-ms", "300", "--connect-timeout-ms", "20000"]);
    let first = Feed::start(bench.inputs[0], datagram(1));
    let _second = Feed::start(bench.inputs[1], rtp(2));
    bench.wait_for_feed(1);
    let noise = UdpSocket::bind("127.0.0.1:0").unwrap();
    for _ in 0..3 {
        noise.send_to(b"this is no transport stream", bench.inputs[0]).unwrap();
    }
    bench.relay.wait_for_log("no MPEG-TS");
    drop(first);
    // RTP came in, plain transport stream goes out.
    bench.wait_for_feed(2);
    bench.relay.wait_for_log("SWITCH 1 -> 2 (timeout)");
    bench.relay.type_line("q");
    let (code, summary, log) = bench.relay.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(summary.contains("ended by the operator"), "{summary}");
    assert!(summary.contains("1 -> 2  timeout"), "{summary}");
    assert!(summary.contains("output gap"), "{summary}");
    assert!(summary.contains("no packet for 300ms"), "{summary}");
    assert!(summary.contains("(p99)"), "{summary}");
    let (one, two) = (figures(&summary, "1"), figures(&summary, "2"));
    assert_eq!(one[3], 3, "the garbage of input 1: {summary}");
    assert_eq!(two[3], 0, "{summary}");
    assert!(one[1] > 0 && one[1] <= one[0], "{summary}");
    assert!(two[1] > 0 && two[1] < two[0], "a standby is received, but not forwarded: {summary}");
}

#[test]
fn garbage_keeps_no_input_alive() {
    let bench = Bench::start(&["--timeout-ms", "300", "--connect-timeout-ms", "20000"]);
    let first = Feed::start(bench.inputs[0], datagram(1));
    let _second = Feed::start(bench.inputs[1], datagram(2));
    bench.wait_for_feed(1);
    let _noise = Feed::start(bench.inputs[0], vec![0; 1316]);
    drop(first);
    bench.wait_for_feed(2);
}

#[test]
fn inputs_are_chosen_by_hand() {
    let mut bench = Bench::start(&["--timeout-ms", "2000", "--failback-stable-ms", "100"]);
    let _feeds =
        [Feed::start(bench.inputs[0], datagram(1)), Feed::start(bench.inputs[1], datagram(2))];
    bench.wait_for_feed(1);
    // Refused for as long as input 2 has not delivered.
    wait_for("input 2 by hand", || {
        bench.relay.type_line("2");
        (0..20).any(|_| bench.next() == Some(2))
    });
    bench.relay.type_line("7");
    bench.relay.wait_for_log("refused: there is no input 7, they are 1 to 2");
    bench.relay.type_line("seven");
    bench.relay.wait_for_log("'seven' is not understood");
    bench.relay.type_line("auto");
    bench.wait_for_feed(1);
    bench.relay.wait_for_log("SWITCH 2 -> 1 (failback)");
    bench.relay.type_line("q");
    let (code, summary, log) = bench.relay.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(summary.contains("1 -> 2  manual"), "{summary}");
}

#[cfg(unix)]
#[test]
fn sigterm_ends_it_with_the_summary() {
    let bench = Bench::start(&[]);
    let pid = bench.relay.child.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there");
    assert!(sent.success());
    let (code, summary, log) = bench.relay.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(summary.contains("stopped by a signal"), "{summary}");
    assert_eq!(figures(&summary, "1"), [0; 4]);
}

#[test]
fn a_duration_ends_it() {
    let bench = Bench::start(&["--duration", "0.2"]);
    let (code, summary, log) = bench.relay.end();
    assert_eq!(code, Some(0), "{log}");
    assert!(summary.contains("the duration is over"), "{summary}");
}

#[test]
fn nothing_but_media_goes_to_stdout() {
    let media = datagram(1).repeat(40);
    let mut child = relay()
        .args(["-i", "-", "-o", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the relay runs");
    let mut stdin = child.stdin.take().unwrap();
    let sent = media.clone();
    let sender = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
    let output = child.wait_with_output().unwrap();
    sender.join().unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert!(output.stdout == media, "{} of {} bytes: {log}", output.stdout.len(), media.len());
    assert!(log.contains("all inputs have ended"), "{log}");
    assert!(log.contains("stdin has ended"), "{log}");
}

#[test]
fn a_slate_takes_over_and_is_played_in_real_time() {
    let clip = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/relay/clip/testsrc.ts");
    let output = UdpSocket::bind("127.0.0.1:0").unwrap();
    output.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let to = format!("udp://{}", output.local_addr().unwrap());
    let [unused, _] = free_ports();
    let from = format!("udp://{unused}");
    let args = ["-i", &from, "-i", clip, "--loop", "-o", &to, "--connect-timeout-ms", "100"];
    let mut relay = Running::start(&args);
    relay.wait_for_log("SWITCH 1 -> 2 (timeout)");
    let (mut bytes, mut buffer) = (0, [0; 2048]);
    let began = Instant::now();
    wait_for("a second of the slate", || {
        while let Ok(count) = output.recv(&mut buffer) {
            assert!(buffer[..count].chunks(188).all(|p| p.len() == 188 && p[0] == 0x47));
            bytes += count;
        }
        bytes > 62_500
    });
    // The clip has 500 kbit/s. An upper bound would measure the machine.
    assert!(began.elapsed() > Duration::from_millis(500), "{bytes} bytes in {:?}", began.elapsed());
    relay.type_line("q");
    assert_eq!(relay.end().0, Some(0));
}

#[test]
fn the_demo_sees_a_failover_and_a_failback() {
    let began = Instant::now();
    let output = run(&["--demo"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("SWITCH 1 -> 2 (timeout)"), "{text}");
    assert!(text.contains("SWITCH 2 -> 1 (failback)"), "{text}");
    assert!(began.elapsed() < Duration::from_secs(20), "the demo's own limit");
}
