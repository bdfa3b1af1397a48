//! The relay example between real FFmpegs: two feeders, one decoder behind it. The first feeder is
//! killed and comes back; the decoder, one and the same process, goes on decoding.

#[path = "ffmpeg/children.rs"]
mod children;
#[path = "ffmpeg/tap.rs"]
mod tap;

use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use children::Running;
use tap::Tap;

/// The relay's packet timeout.
const TIMEOUT: Duration = Duration::from_millis(500);
/// Start PIDs of the feeders' elementary streams: they tell the feeders apart at the output.
const FIRST: u16 = 0x100;
const SECOND: u16 = 0x200;
/// Two seconds of video: far more than a decoder has buffered at a cut.
const SOME_FRAMES: u64 = 50;

#[test]
fn ffmpeg_decodes_on_through_failover_and_failback() {
    assert!(
        Command::new("ffmpeg").arg("-version").stdout(Stdio::null()).status().is_ok(),
        "this test needs ffmpeg: run scripts/check, which installs what is missing \
         (apt-get install ffmpeg)"
    );
    let output = UdpSocket::bind("127.0.0.1:0").expect("a socket for the tap");
    let output_port = output.local_addr().unwrap().port();
    let downstream_port = free_port();
    let tap = Tap::start(output, downstream_port, &[FIRST, SECOND]);

    // Both feeders send before the relay listens, so that neither counts as absent.
    let arrivals = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a socket"));
    let ports = [0, 1].map(|n: usize| arrivals[n].local_addr().unwrap().port());
    let mut first = feeder("feeder 1", ports[0], FIRST);
    let second = feeder("feeder 2", ports[1], SECOND);
    for (socket, name) in arrivals.iter().zip(["feeder 1", "feeder 2"]) {
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let sent = socket.recv(&mut [0; 2048]);
        assert!(sent.is_ok(), "{name} sends nothing:\n{}{}", first.tail(), second.tail());
    }
    drop(arrivals);
    let mut relay = relay(ports, output_port);
    let mut downstream = downstream(downstream_port);
    let decoder = downstream.id();

    let mut stage =
        |what: &str, limit: u64, downstream: &mut Running, done: &dyn Fn(u64) -> bool| {
            let began = Instant::now();
            loop {
                let frames = frames(downstream);
                if done(frames) {
                    println!("{:>6} ms  {what} (frame {frames})", began.elapsed().as_millis());
                    return frames;
                }
                let alive = relay.is_running() && downstream.is_running();
                if !alive || began.elapsed() > Duration::from_secs(limit) {
                    let (relay, downstream) = (relay.tail(), downstream.tail());
                    panic!("not seen: {what}; output {:?}\n{relay}{downstream}", tap.seen());
                }
                thread::sleep(Duration::from_millis(10));
            }
        };
    let on_air = |feeder| tap.seen().on_air.last() == Some(&feeder);

    stage("feeder 1 is decoded", 20, &mut downstream, &|frames| on_air(FIRST) && frames > 0);
    tap.restart();
    let before = frames(&downstream);
    let grown = before + SOME_FRAMES;
    stage("it plays undisturbed", 15, &mut downstream, &|frames| frames >= grown);
    let quiet = tap.seen();
    assert_eq!(quiet.on_air, [FIRST], "undisturbed, the output carries feeder 1 alone");

    first.kill();
    let at_cut =
        stage("feeder 1 killed: feeder 2 at the output", 10, &mut downstream, &|_| on_air(SECOND));
    let grown = at_cut + SOME_FRAMES;
    stage("feeder 2 is decoded", 15, &mut downstream, &|frames| frames >= grown);
    let failover = tap.seen();
    assert_eq!(failover.on_air, [FIRST, SECOND], "one clean cut, nothing of feeder 1 after it");
    tap.restart();

    let _first_again = feeder("feeder 1 again", ports[0], FIRST);
    let at_return =
        stage("feeder 1 back: it is at the output", 30, &mut downstream, &|_| on_air(FIRST));
    let grown = at_return + SOME_FRAMES;
    stage("feeder 1 is decoded again", 15, &mut downstream, &|frames| frames >= grown);
    let failback = tap.seen();
    assert_eq!(failback.on_air, [SECOND, FIRST], "one clean cut back");

    assert!(downstream.is_running() && downstream.id() == decoder, "{}", downstream.tail());
    println!(
        "longest silence at the output: undisturbed {:?}, failover {:?} (timeout {TIMEOUT:?}), \
         failback {:?}; datagrams {} + {} + {}",
        quiet.longest_gap,
        failover.longest_gap,
        failback.longest_gap,
        quiet.datagrams,
        failover.datagrams,
        failback.datagrams,
    );
    let bound = TIMEOUT + Duration::from_secs(2);
    let worst = failover.longest_gap.max(failback.longest_gap);
    assert!(worst < bound, "the output was silent for {worst:?}, more than {bound:?}");
}

/// An encoder of a test picture and a tone. It ends by itself should this process be killed.
fn feeder(name: &'static str, port: u16, start_pid: u16) -> Running {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-loglevel", "warning", "-re", "-f", "lavfi"]);
    command.args(["-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi"]);
    command.args(["-i", "sine=sample_rate=48000", "-t", "90", "-c:v", "libx264"]);
    command.args(["-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-b:v", "1M"]);
    command.args(["-c:a", "aac", "-f", "mpegts", "-mpegts_start_pid", &start_pid.to_string()]);
    command.arg(format!("udp://127.0.0.1:{port}?pkt_size=1316"));
    Running::start(name, &mut command)
}

/// The example's program, which `cargo test` builds beside the tests.
fn relay(inputs: [u16; 2], output: u16) -> Running {
    let this = std::env::current_exe().expect("this program's path");
    let profile = this.ancestors().nth(2).expect("target/<profile>/deps/ffmpeg-<hash>");
    let program: PathBuf = profile.join("examples/relay");
    assert!(program.exists(), "{} is missing: cargo build --examples", program.display());
    let mut command = Command::new(program);
    for input in inputs {
        command.arg("--input").arg(format!("udp://127.0.0.1:{input}"));
    }
    command.arg("--output").arg(format!("udp://127.0.0.1:{output}"));
    command.arg("--timeout-ms").arg(TIMEOUT.as_millis().to_string());
    command.args(["--failback-stable-ms", "2000"]);
    Running::start("relay", &mut command)
}

/// A decoder that reports its progress on its standard output. `merge_pmt_versions` lets its
/// demuxer take the other feeder's PIDs for the same programme's streams; without it, FFmpeg
/// shows them as new streams that nothing was mapped to.
fn downstream(port: u16) -> Running {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning"]);
    command.args(["-analyzeduration", "1000000", "-merge_pmt_versions", "1"]);
    command.arg("-i").arg(format!("udp://127.0.0.1:{port}?timeout=20000000"));
    command.args(["-map", "0:v", "-map", "0:a", "-fps_mode", "passthrough", "-f", "null"]);
    command.args(["-progress", "pipe:1", "-stats_period", "0.1", "-"]);
    Running::start("downstream", &mut command)
}

/// How many frames the decoder has reported.
fn frames(downstream: &Running) -> u64 {
    downstream.latest(|line| line.strip_prefix("frame=")?.trim().parse().ok()).unwrap_or(0)
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}
