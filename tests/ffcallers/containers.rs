//! Other containers, and the operator.

use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::feeder::{Feeder, Transport};
use crate::output::Output;
use crate::program::Program;

/// With B-frames.
const REORDERED: &[&str] = &[
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-tune",
    "zerolatency",
    "-g",
    "25",
    "-bf",
    "2",
    "-b:v",
    "300k",
];

/// Pictures that are shown before a keyframe follow it, and refer to those before it.
const OPEN_GROUPS: &[&str] = &[
    "-c:v",
    "libx265",
    "-preset",
    "ultrafast",
    "-x265-params",
    "keyint=25:min-keyint=25:scenecut=0:bframes=3:b-adapt=0:open-gop=1:rc-lookahead=10:log-level=1",
];

/// A recording with its codec configuration outside the packets: lengths instead of start codes,
/// AAC without ADTS headers.
fn record_flv(to: &Output) {
    let mut command = Command::new("ffmpeg");
    command.args(["-y", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i"]);
    command.args(["testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", "sine=sample_rate=48000"]);
    // As the live encoders: the parameter sets must be the same.
    command.args(["-t", "60"]).args(REORDERED).args(["-c:a", "aac", "-f", "flv", to.path()]);
    assert!(command.status().expect("ffmpeg runs").success());
}

#[test]
fn ffmpeg_a_recording_takes_the_place_of_a_live_input() {
    // MPEG-TS keeps the codecs' configuration in the packets, FLV outside.
    let outputs = ["ts", "flv"].map(|kind| thread::spawn(move || recording_takes_over(kind)));
    // Both to their end first: so each kills what it has started.
    assert_eq!(outputs.map(|output| output.join().is_ok()), [true, true], "see above");
}

fn recording_takes_over(kind: &str) {
    let slate = Output::new(&format!("slate-for-{kind}.flv"));
    let output = Output::new(&format!("slate-out.{kind}"));
    record_flv(&slate);
    let live = Feeder::encoding(Transport::Udp, 0, "320x180", REORDERED);
    let url = live.url();
    let arguments = ["--timeout-ms", "500", "--probe-every-ms", "500", "-i", &url, "-re", "-i"];
    let more = [slate.path(), "--failback-cooldown-ms", "1000", output.path()];
    let mut relay = Program::start("ffchangeover", &[&arguments[..], &more].concat());
    relay.wait_for("output: input 0 from", 15);
    thread::sleep(Duration::from_secs(1));
    live.kill();
    relay.wait_for("output: input 1 from", 10);
    thread::sleep(Duration::from_secs(2));
    live.revive();
    relay.wait_for("output: input 0 from", 20);
    thread::sleep(Duration::from_secs(1));
    let (status, _) = relay.interrupt();
    assert!(status.success(), "{status}:\n{}", relay.said());
    output.plays();
    assert!(output.seconds() > 4.0);
}

#[test]
fn ffmpeg_the_operator_switches_an_mp4_output() {
    let output = Output::new("operator.mp4");
    let feeders = [0, 1].map(|number| Feeder::start(Transport::Udp, number, "320x180"));
    let urls = feeders.each_ref().map(Feeder::url);
    let arguments = ["--hot", "--failback-cooldown-ms", "500", "--failback-stable-ms", "500"];
    let more = ["-i", &urls[0], "-i", &urls[1], "--duration", "9", "--status-json-interval", "1"];
    let more = [&more[..], &["-movflags", "faststart", output.path()]].concat();
    let mut relay = Program::start("ffchangeover", &[&arguments[..], &more].concat());
    relay.wait_for("output: input 0 from", 15);
    thread::sleep(Duration::from_millis(1500));
    relay.type_line("switch 1");
    relay.wait_for("output: input 1 from", 5);
    relay.type_line("release");
    relay.wait_for("output: input 0 from", 5);
    relay.type_line("hold 1 1");
    relay.wait_for("the operator holds input 1 for 1 s", 5);
    relay.type_line("status");
    relay.wait_for("input 1: ", 5);
    relay.type_line("nonsense");
    relay.wait_for("'nonsense': not a command", 5);
    relay.wait_for("the hold of input 1 is over", 5);
    assert!(relay.wait(20).success(), "{}", relay.said());
    assert!(relay.said().contains("\"stream\":\"ffchangeover\""), "{}", relay.said());
    output.plays();
    let seconds = output.seconds();
    assert!((7.5..9.5).contains(&seconds), "{seconds} s:\n{}", relay.said());
}

#[test]
fn ffmpeg_a_cut_into_an_open_group_of_hevc_pictures() {
    let programs: [(&str, &[&str]); 2] = [("ffchangeover", &["--hot"]), ("avio_demo", &[])];
    let feeders = [0, 1].map(|n| Feeder::encoding(Transport::Udp, n, "320x180", OPEN_GROUPS));
    let urls = feeders.each_ref().map(Feeder::url);
    // One after the other: both read the same ports.
    for (program, arguments) in programs {
        let output = Output::new(&format!("open-groups-{program}.ts"));
        let inputs = ["--timeout-ms", "700", "-i", &urls[0], "-i", &urls[1], output.path()];
        let mut relay = Program::start(program, &[arguments, &inputs].concat());
        relay.wait_for("output: input 0 from", 15);
        thread::sleep(Duration::from_secs(2));
        feeders[0].kill();
        relay.wait_for("output: input 1 from", 10);
        thread::sleep(Duration::from_secs(2));
        assert!(relay.interrupt().0.success(), "{}", relay.said());
        output.plays();
        output.seconds();
        feeders[0].revive();
    }
}
