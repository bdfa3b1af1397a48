//! What the control path costs as the number of streams grows: registering, editing, looking at and
//! taking off one stream; what a packet pays while that happens; and the memory of a stream.
//!
//! Words choose parts: `cargo bench --bench control -- calls` (time per call), `memory`, `latency`,
//! or one of them with its size (`calls-100k`, `memory-1m`).

mod alloc;
mod calls;
mod latency;
mod memory;
#[path = "../support/mod.rs"]
mod support;

use changeover::{InputConfig, StreamConfig};

use support::{Goal, Mode, bar, launches};

pub(crate) const HUNDRED_THOUSAND: usize = 100_000;
pub(crate) const MILLION: usize = 1_000_000;

pub(crate) fn id(stream: usize) -> String {
    format!("stream-{stream}")
}

/// A stream as a host has it, with hot inputs.
pub(crate) fn stream(n: usize, inputs: usize) -> StreamConfig {
    (0..inputs).fold(StreamConfig::new(id(n)), |stream, input| {
        stream.input(InputConfig::hot(input as i32, address(n, input)))
    })
}

pub(crate) fn address(stream: usize, input: usize) -> String {
    format!("udp://10.0.{input}.1:{}", 10_000 + stream % 50_000)
}

fn main() {
    support::run_parts(run, measure);
}

/// What a process that was started for one part does.
fn run(part: &str, mode: Mode) {
    let size = |word: &str| if word == "1m" { MILLION } else { HUNDRED_THOUSAND };
    match part.split('-').collect::<Vec<_>>()[..] {
        ["calls", streams] => calls::run(size(streams), mode),
        ["memory", streams, inputs] => {
            memory::run(size(streams), inputs.parse().expect("how many inputs"));
        }
        ["latency"] => latency::run(mode),
        _ => panic!("no such part: {part}"),
    }
}

type Bars = Vec<(&'static str, f64, Goal)>;

fn measure(mode: Mode) {
    let mut bars = Bars::new();
    calls_table(mode, &mut bars);
    memory_table(mode, &mut bars);
    latency_table(mode, &mut bars);
    println!();
    for (name, figure, goal) in bars {
        bar(name, figure, goal);
    }
}

fn calls_table(mode: Mode, bars: &mut Bars) {
    let some = if mode.quick { None } else { launches("calls-100k", mode.launches(), mode) };
    let many = launches("calls-1m", if mode.quick { 1 } else { 3 }, mode);
    if some.is_none() && many.is_none() {
        return;
    }
    println!("## Calls, streams of two hot inputs, one by one\n");
    println!("| streams | call | us, mean | us, worst | s together |");
    println!("|---|---|---|---|---|");
    for (streams, found) in [("100k", &some), ("1m", &many)] {
        let Some(found) = found else { continue };
        for (key, says) in calls::ROWS {
            if !found.0[0].contains_key(&format!("{key}_us")) {
                continue;
            }
            println!(
                "| {streams} | {says} | {} | {:.0} | {:.2} |",
                found.spread(&format!("{key}_us"), 2),
                found.median(&format!("{key}_worst_us")),
                found.median(&format!("{key}_s")),
            );
        }
    }
    let hundred = some.as_ref().or(many.as_ref()).expect("one of them was launched");
    bars.push(("register_100k_s", hundred.median("first_100k_s"), Goal::AtMost(0.15)));
    if let Some(many) = &many {
        bars.push(("register_1m_s", many.median("register_s"), Goal::AtMost(2.0)));
        let flat: Vec<f64> =
            many.0.iter().map(|run| run["last_100k_us"] / run["10k_to_100k_us"]).collect();
        println!(
            "\nThe last 100,000 of a million cost {:.2}x of the 10,000th to the 100,000th a call.",
            support::median(&flat)
        );
        bars.push(("register_flat_x", support::median(&flat), Goal::AtMost(1.5)));
    }
}

fn memory_table(mode: Mode, bars: &mut Bars) {
    let sizes: &[&str] = if mode.quick { &["100k"] } else { &["100k", "1m"] };
    let mut lines = Vec::new();
    let mut per_stream = None;
    for streams in sizes {
        let two = launches(&format!("memory-{streams}-2"), 1, mode);
        let four = launches(&format!("memory-{streams}-4"), 1, mode);
        let (Some(two), Some(four)) = (two, four) else { continue };
        for (key, says) in memory::STATES {
            let [heap2, heap4] = [&two, &four].map(|of| of.median(&format!("{key}_heap")));
            let [rss2, rss4] = [&two, &four].map(|of| of.median(&format!("{key}_resident")));
            lines.push(format!(
                "| {streams} | {says} | {heap2:.0} | {rss2:.0} | {:.0} | {:.0} | {:.0} |",
                (heap4 - heap2) / 2.0,
                (rss4 - rss2) / 2.0,
                two.median("strings")
            ));
            if key == "flowing" {
                per_stream = Some(heap2);
            }
        }
    }
    let Some(per_stream) = per_stream else { return };
    println!("\n## Memory, bytes, beside the host's own strings\n");
    println!("*Heap*: live bytes that were asked for; *resident*: what the process grew by. The");
    println!(
        "strings (ids and addresses, each counted once) are taken off both. Recorders are the"
    );
    println!(
        "host's; what opening them costs the engine is in. The goal is for *delivering*, heap.\n"
    );
    println!(
        "| streams | state | heap a stream of 2 | resident | heap an input more | resident | strings |"
    );
    println!("|---|---|---|---|---|---|---|");
    lines.iter().for_each(|line| println!("{line}"));
    bars.push(("memory_per_stream_bytes", per_stream, Goal::AtMost(512.0)));
}

fn latency_table(mode: Mode, bars: &mut Bars) {
    let Some(found) = launches("latency", mode.launches(), mode) else { return };
    println!("\n## `Recorder::record` on another thread meanwhile, ns a call\n");
    println!(
        "Each call between two readings of the CPU's counter; their own time (p50 {:.1} ns) is taken off.\n",
        found.median("overhead_ns")
    );
    println!("| meanwhile | p50 | p99 | p99.9 | max, us | records, M |");
    println!("|---|---|---|---|---|---|");
    for (key, says) in latency::CASES {
        println!(
            "| {says} | {:.0} | {:.0} | {} | {:.0} | {:.1} |",
            found.median(&format!("{key}_p50")),
            found.median(&format!("{key}_p99")),
            found.spread(&format!("{key}_p999"), 0),
            found.median(&format!("{key}_max")) / 1e3,
            found.median(&format!("{key}_records")) / 1e6,
        );
    }
    let p999 = found.median("register_p999");
    bars.push(("record_while_registering_p999_ns", p999, Goal::AtMost(300.0)));
}
