//! A short real run of the `relay` example, written down packet by packet, and carried out again by
//! hand: the same switches at the same times.

#[allow(dead_code)]
#[path = "../relay_cli/bench.rs"]
mod bench;

use crate::{replay, report};
use bench::{Bench, Feed, datagram};

#[test]
fn what_a_relay_wrote_down_is_replayed() {
    let path = format!("{}/sim-relay-{}.log", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    let spans = ["--timeout-ms", "400", "--connect-timeout-ms", "20000"];
    let more = ["--failback-stable-ms", "700", "--packet-log", &path];
    let mut bench = Bench::start(&[&spans[..], &more[..]].concat());
    let first = Feed::start(bench.inputs[0], datagram(1));
    let _second = Feed::start(bench.inputs[1], datagram(2));
    bench.wait_for_feed(1);
    drop(first);
    bench.wait_for_feed(2);
    let _first = Feed::start(bench.inputs[0], datagram(1));
    bench.relay.wait_for_log("SWITCH 2 -> 1 (failback)");
    bench.wait_for_feed(1);
    bench.relay.type_line("2");
    bench.relay.wait_for_log("SWITCH 1 -> 2 (manual)");
    bench.relay.type_line("q");
    let (code, _, log) = bench.relay.end();
    assert_eq!(code, Some(0), "{log}");

    let text = std::fs::read_to_string(&path).expect("the relay has written it");
    let real = replay::remarked(&text);
    let whats: Vec<&str> = real.iter().map(|(_, what)| what.as_str()).collect();
    // A machine that is starved may add some; these are there.
    for wanted in ["1>2 timeout", "2>1 failback", "1>2 manual"] {
        assert!(whats.contains(&wanted), "{whats:?}");
    }
    report::replay_file(&path);
    std::fs::remove_file(&path).expect("it was there");
}
