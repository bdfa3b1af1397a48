//! Runs the `relay` example as a user does: what it refuses and how, what it carries, what it says
//! at the end.

#[path = "relay_cli/bench.rs"]
mod bench;

use std::io::Write as _;
use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bench::{Bench, Feed, Running, datagram, free_ports, refused, relay, rtp, run, wait_for};

/// A line of the summary's table of inputs: received, forwarded, overtaken, garbage.
fn figures(summary: &str, input: &str) -> Vec<u64> {
    let mut rows = summary.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.len() == 10 && row[0] == input);
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
    let short = ["--failback-stable-ms", "--lookback", "--hold", "--min-percent", "--observe"];
    let long = ["EXAMPLES", "NO MEDIA LOST", "hold N [SECONDS]", "release", "--rewrite on"];
    for (flag, words) in [("-h", short), ("--help", long)] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8_lossy(&output.stdout);
        words.iter().for_each(|word| assert!(text.contains(word), "{flag}: {word}: {text}"));
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
    assert!(summary.contains("(timeout 300ms)"), "{summary}");
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

#[test]
fn an_input_is_held_against_a_better_one_and_released() {
    let stable = ["--timeout-ms", "2000", "--failback-stable-ms", "100", "--hold", "2:60"];
    let mut bench = Bench::start(&stable);
    let first = Feed::start(bench.inputs[0], datagram(1));
    let _second = Feed::start(bench.inputs[1], datagram(2));
    bench.relay.wait_for_log("input 2 is held for 60 s");
    bench.wait_for_feed(2);
    bench.relay.type_line("release");
    bench.relay.wait_for_log("the hold of input 2 is over (operator)");
    bench.wait_for_feed(1);
    bench.relay.type_line("hold 2 0.3");
    bench.wait_for_feed(2);
    bench.relay.wait_for_log("the hold of input 2 is over (expired)");
    bench.wait_for_feed(1);
    bench.relay.type_line("hold 7");
    bench.relay.wait_for_log("refused: there is no input 7, they are 1 to 2");
    drop(first);
    bench.wait_for_feed(2);
}

#[test]
fn nobody_comes_back_by_itself_if_that_is_not_wanted() {
    let never = ["--timeout-ms", "300", "--failback-stable-ms", "100", "--failback", "never"];
    let mut bench = Bench::start(&never);
    let first = Feed::start(bench.inputs[0], datagram(1));
    let _second = Feed::start(bench.inputs[1], datagram(2));
    bench.wait_for_feed(1);
    drop(first);
    bench.wait_for_feed(2);
    let _first = Feed::start(bench.inputs[0], datagram(1));
    bench.relay.wait_for_log("failback_never");
    let until = Instant::now() + Duration::from_secs(1);
    while Instant::now() < until {
        assert_ne!(bench.next(), Some(1));
    }
    bench.relay.type_line("1");
    bench.wait_for_feed(1);
}

#[test]
fn a_primary_that_delivers_too_little_is_left() {
    // 7 packets every 5 ms are 2 Mbit/s; the primary has a tenth of it.
    let rule = ["--timeout-ms", "2000", "--min-kbps", "1000"];
    let bench = Bench::start(&rule);
    let _first = Feed::every(bench.inputs[0], datagram(1), Duration::from_millis(50));
    let _second = Feed::start(bench.inputs[1], datagram(2));
    bench.wait_for_feed(1);
    bench.wait_for_feed(2);
    bench.relay.wait_for_log("input 1 is bad: ");
    bench.relay.wait_for_log("SWITCH 1 -> 2 (bitrate)");
}

#[test]
fn an_observer_only_says_what_it_would_do() {
    let mut bench = Bench::start(&["--timeout-ms", "300", "--observe"]);
    let first = Feed::start(bench.inputs[0], datagram(1));
    let _second = Feed::start(bench.inputs[1], datagram(2));
    bench.wait_for_feed(1);
    drop(first);
    bench.relay.wait_for_log("not switched to input 2: observe");
    assert_eq!(bench.next(), None);
    bench.relay.type_line("q");
    let (code, summary, log) = bench.relay.end();
    assert_eq!(code, Some(0), "{log}");
    assert_eq!(figures(&summary, "2")[1], 0, "{summary}");
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
