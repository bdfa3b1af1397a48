//! Network faults between real FFmpeg feeders and the relay, and ffchangeover: loss, a rate that is
//! too low, delay with jitter and reordering, a black hole. `scripts/net-faults` makes the network
//! namespaces that it runs in:
//!
//! ```text
//! net run --namespaces PREFIX --relay FILE --ffchangeover FILE --out DIR
//! net delay FROM TO DELAY_MS JITTER_MS      a UDP relay that delays, and so reorders
//! ```
//!
//! Without that, as under `cargo test`, it checks only its own delaying relay and its judging.

#[path = "../ffmpeg/children.rs"]
mod children;
mod delay;
mod faults;
mod stories;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [
            "run",
            "--namespaces",
            prefix,
            "--relay",
            relay,
            "--ffchangeover",
            caller,
            "--out",
            out,
        ] => stories::run(prefix, relay, caller, out),
        ["delay", from, to, delay_ms, jitter_ms] => {
            let number = |text: &str| text.parse().expect("a number of ms");
            delay::run(from, to, number(delay_ms), number(jitter_ms));
        }
        ["run" | "delay", ..] => {
            eprintln!("net: these arguments are not understood: {args:?}");
            ExitCode::from(2)
        }
        _ => {
            delay::check();
            stories::check();
            println!(
                "the delaying relay and the judging work; scripts/net-faults runs the stories"
            );
            ExitCode::SUCCESS
        }
    }
}
