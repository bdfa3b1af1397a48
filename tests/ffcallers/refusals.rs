//! What is refused, and how it ends.

use std::thread;
use std::time::Duration;

use crate::feeder::{Feeder, Transport};
use crate::output::Output;
use crate::program::Program;

const MISFIT: &str = "its tracks do not fit the output's: video track 0 is h264 640x360 yuv420p \
                      in place of h264 320x180 yuv420p (picture size)";

fn refuses_a_misfit(name: &str, arguments: &[&str]) {
    let output = Output::new(&format!("{name}.ts"));
    let first = Feeder::start(Transport::Udp, 0, "320x180");
    let other = Feeder::start(Transport::Udp, 1, "640x360");
    let (first_url, other_url) = (first.url(), other.url());
    let inputs = ["--timeout-ms", "500", "-i", &first_url, "-i", &other_url, output.path()];
    let mut relay = Program::start("ffchangeover", &[arguments, &inputs].concat());
    relay.wait_for("output: input 0 from", 15);
    if !arguments.is_empty() {
        relay.wait_for(MISFIT, 10);
    }
    thread::sleep(Duration::from_secs(1));
    first.kill();
    if arguments.is_empty() {
        relay.wait_for(MISFIT, 10);
    }
    relay.wait_for("NO USABLE INPUT IS LEFT", 10);
    let (status, _) = relay.interrupt();
    assert!(status.success(), "{status}:\n{}", relay.said());
    assert_eq!(relay.numbers_behind("output: input "), [0.0], "{}", relay.said());
    output.plays();
    assert!(output.seconds() > 0.5, "{}", relay.said());
}

#[test]
fn ffmpeg_a_cold_backup_of_another_size_is_refused() {
    refuses_a_misfit("misfit-cold", &[]);
}

#[test]
fn ffmpeg_a_hot_backup_of_another_size_is_refused() {
    refuses_a_misfit("misfit-hot", &["--hot"]);
}

#[test]
fn ffmpeg_a_read_that_hangs_is_abandoned_at_the_end() {
    for transport in [Transport::Udp, Transport::Srt] {
        let output = Output::new(&format!("hung-{transport:?}.ts"));
        let only = Feeder::start(transport, 0, "320x180");
        let url = only.url();
        let arguments = ["--timeout-ms", "60000", "-i", &url, output.path()];
        let mut relay = Program::start("ffchangeover", &arguments);
        relay.wait_for("output: input 0 from", 15);
        thread::sleep(Duration::from_secs(1));
        only.freeze();
        thread::sleep(Duration::from_secs(1));
        let (status, took) = relay.interrupt();
        assert!(status.success(), "{status}:\n{}", relay.said());
        assert!(took < Duration::from_secs(2), "{took:?}:\n{}", relay.said());
        output.plays();
    }
}

#[test]
fn ffmpeg_the_command_line() {
    let mut help = Program::start("ffchangeover", &["--help"]);
    assert_eq!(help.wait(5).code(), Some(0));
    let text = help.said();
    for word in ["\n  --timeout-ms ", "\n  --hot ", "\n  --cut ", "\n  switch N ", "Exit codes"] {
        assert!(text.contains(word), "no {word} in:\n{text}");
    }
    assert!(text.lines().all(|line| line.len() <= 100), "{text}");
    let wrong: [(&[&str], &str); 7] = [
        (&[], "no input"),
        (&["-i", "udp://127.0.0.1:1"], "no output"),
        (&["--nonsense", "1", "-i", "a", "b"], "--nonsense: there is no such option"),
        (&["--timeout-ms", "0", "-i", "a", "b"], "--timeout-ms: wants a whole number above 0"),
        (&["--cut", "never", "-i", "a", "b"], "--cut: is one of the two words"),
        (&["-f", "nonsense", "-i", "a", "b"], "nonsense: libavformat reads no such format"),
        (&["-i", "a", "b", "c"], "c: there is one output only"),
    ];
    for (arguments, complaint) in wrong {
        let mut program = Program::start("ffchangeover", arguments);
        assert_eq!(program.wait(5).code(), Some(2), "{arguments:?}");
        assert!(program.said().contains(complaint), "{arguments:?}: {}", program.said());
    }
    let nowhere = ["-i", "udp://127.0.0.1:1", "/no/such/directory/out.ts"];
    let mut program = Program::start("ffchangeover", &nowhere);
    assert_eq!(program.wait(5).code(), Some(1), "{}", program.said());
}

/// When a source has died, FFmpeg's demuxer hands out what it had half received: at the timeout of
/// its reader (UDP), or when the protocol gives the peer up (SRT, after 5 s).
#[test]
fn ffmpeg_the_last_words_of_a_dead_source_are_no_sign_of_life() {
    let cases = [(Transport::Udp, "1500", 6), (Transport::Srt, "20000", 9)];
    let played = cases.map(|(transport, connect, seconds)| {
        thread::spawn(move || {
            let output = Output::new(&format!("last-words-{transport:?}.ts"));
            let first = Feeder::start(transport, 0, "320x180");
            let second = Feeder::start(transport, 1, "320x180");
            let (first_url, second_url) = (first.url(), second.url());
            let policy = ["--hot", "--timeout-ms", "250", "--connect-timeout-ms", connect];
            let inputs = ["-i", &first_url, "-i", &second_url, output.path()];
            let mut relay = Program::start("ffchangeover", &[&policy[..], &inputs].concat());
            relay.wait_for("output: input 0 from", 15);
            thread::sleep(Duration::from_secs(1));
            first.kill();
            relay.wait_for("input 0: reading: ", seconds);
            thread::sleep(Duration::from_secs(1));
            let said = relay.said();
            assert!(!said.contains("input 0 is back"), "{said}");
            assert!(relay.interrupt().0.success(), "{}", relay.said());
            output.plays();
        })
    });
    // All of them to their end first: so each kills what it has started.
    assert_eq!(played.map(|one| one.join().is_ok()), [true, true], "see above");
}
