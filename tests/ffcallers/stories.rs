//! The first encoder is killed, comes back, freezes, thaws: each program, each transport.

use std::thread;
use std::time::Duration;

use crate::feeder::{Feeder, Transport};
use crate::output::Output;
use crate::program::Program;

/// How the inputs are read.
const COMMON: &[&str] =
    &["--timeout-ms", "500", "--failback-stable-ms", "1000", "--failback-cooldown-ms", "1000"];

const COLD: &[&str] = &["--probe-every-ms", "500", "--connect-timeout-ms", "3000"];
const HOT: &[&str] = &["--hot", "--connect-timeout-ms", "3000"];

/// How long each input is left on the air.
const WHILE: Duration = Duration::from_millis(2000);

fn story(name: &str, program: &str, arguments: &[&str], transport: Transport) {
    let is_cold = arguments.contains(&"--probe-every-ms");
    let output = Output::new(&format!("{name}.ts"));
    let first = Feeder::start(transport, 0, "320x180");
    let second = Feeder::start(transport, 1, "320x180");
    let (first_url, second_url) = (first.url(), second.url());
    let inputs = ["-i", &first_url, "-i", &second_url, output.path()];
    let mut relay = Program::start(program, &[COMMON, arguments, &inputs].concat());

    relay.wait_for("output: input 0 from", 15);
    thread::sleep(WHILE);
    first.kill();
    relay.wait_for("output: input 1 from", 10);
    thread::sleep(WHILE);
    first.revive();
    relay.wait_for("output: input 0 from", 25);
    thread::sleep(WHILE);
    first.freeze();
    relay.wait_for("output: input 1 from", 10);
    thread::sleep(WHILE);
    first.thaw();
    relay.wait_for("output: input 0 from", 25);
    thread::sleep(WHILE);
    let (status, _) = relay.interrupt();
    assert!(status.success(), "{status}:\n{}", relay.said());

    let turns = relay.numbers_behind("output: input ");
    assert_eq!(turns, [0.0, 1.0, 0.0, 1.0, 0.0], "{}", relay.said());
    output.plays();
    // The timestamps leave the silences at the cuts out. But what has come while a cold input was
    // opened goes out at once: a few tenths of a second more each time.
    let opened_late = if is_cold { 0.4 * turns.len() as f64 } else { 0.0 };
    let silences: f64 = relay.numbers_behind("is on the air, ").iter().sum();
    let wall = relay.numbers_behind("bytes in ")[0];
    let media = output.seconds();
    let off = wall - silences - media;
    println!("{name}: {wall:.3} s, {silences:.3} s of them silent, {media:.3} s of media");
    assert!(
        off < 1.0 && off > -1.0 - opened_late,
        "{wall} - {silences} - {media}:\n{}",
        relay.said()
    );
}

#[test]
fn ffmpeg_cold_inputs_over_udp() {
    story("cold-udp", "ffchangeover", COLD, Transport::Udp);
}

#[test]
fn ffmpeg_cold_inputs_over_srt() {
    story("cold-srt", "ffchangeover", COLD, Transport::Srt);
}

#[test]
fn ffmpeg_hot_inputs_over_udp() {
    story("hot-udp", "ffchangeover", HOT, Transport::Udp);
}

#[test]
fn ffmpeg_hot_inputs_over_srt() {
    story("hot-srt", "ffchangeover", HOT, Transport::Srt);
}

#[test]
fn ffmpeg_avio_bridge_over_udp() {
    story("avio-udp", "avio_demo", &[], Transport::Udp);
}

#[test]
fn ffmpeg_avio_bridge_over_srt() {
    story("avio-srt", "avio_demo", &[], Transport::Srt);
}
