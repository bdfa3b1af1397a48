//! What supervising costs, and how late it is: CPU of the monitor by streams and timeout, its
//! wake-ups when nothing is due, how far past its deadline a failure is acted on, and the time that
//! an outage of everything at once takes.
//!
//! Words choose parts: `cargo bench --bench monitor -- hand-100k` (the hand-driven clock: CPU and
//! outage), `hand-1m`, `hand`, `idle`, `live` (the machine's clock). See benches/README.md.

mod fleet;
mod hand;
mod idle;
mod live;
#[path = "../support/mod.rs"]
mod support;

use support::{Figures, Goal, Mode, bar, launches};

/// Packets per second of each input.
const RATE: u64 = 30;

/// Streams, and packet timeouts in ms, with the part of a run that measures them by hand.
const SIZES: [(&str, usize); 3] = [("1k", 1_000), ("100k", 100_000), ("1m", 1_000_000)];
const TIMEOUTS_MS: [(&str, u64); 3] = [("100ms", 100), ("1s", 1_000), ("30s", 30_000)];

type Bars = Vec<(&'static str, f64, Goal)>;

fn main() {
    support::run_parts(run, measure);
}

/// What a process that was started for one part does.
fn run(part: &str, mode: Mode) {
    let words: Vec<&str> = part.split('-').collect();
    // Four millions only by name: `CHANGEOVER_BENCH_PART=hand-4m-1s cargo bench --bench monitor`.
    let sizes = || SIZES.iter().chain(&[("4m", 4_000_000)]);
    let size = |word: &str| sizes().find(|(name, _)| *name == word).expect("a size").1;
    let timeout =
        |word: &str| TIMEOUTS_MS.iter().find(|(name, _)| *name == word).expect("a timeout").1;
    match words[..] {
        ["hand", streams, by] => hand::run(size(streams), timeout(by), mode),
        ["live", "cpu", streams, by] => live::cpu(size(streams), timeout(by), mode),
        ["live", "events", streams] => live::events(size(streams), mode),
        ["idle"] => idle::run(mode),
        _ => panic!("no such part: {part}"),
    }
}

fn measure(mode: Mode) {
    let mut bars = Bars::new();
    hand_table(mode, &mut bars);
    live_table(mode, &mut bars);
    event_tables(mode, &mut bars);
    if let Some(found) = launches("idle", 1, mode) {
        println!("\n## Wake-ups of the monitor where nothing is due, per second\n");
        println!("| engine | wake-ups/s |\n|---|---|");
        let mut most = 0.0_f64;
        for (counts, key, says) in idle::CASES {
            println!("| {says} | {:.1} |", found.median(key));
            if counts {
                most = most.max(found.median(key));
            }
        }
        bars.push(("idle_wakeups_per_s", most, Goal::AtMost(0.0)));
    }
    println!();
    for (name, figure, goal) in bars {
        bar(name, figure, goal);
    }
}

/// Launches of a part by size: a million streams take seconds to register.
fn times(mode: Mode, streams: &str) -> usize {
    if streams == "1m" { 1 } else { mode.launches() }
}

fn hand_table(mode: Mode, bars: &mut Bars) {
    println!("## By hand: one core, simulated time, {RATE} packets/s on each of two hot inputs\n");
    println!("| streams | T | monitor, % of a core | looks/s | ns a look |");
    println!("|---|---|---|---|---|");
    let mut outages = Vec::new();
    for (streams, count) in SIZES {
        for (by, _) in TIMEOUTS_MS {
            // In a quick run a million streams are set up once.
            let needed = !mode.quick || matches!((streams, by), ("100k", "100ms") | (_, "1s"));
            if !needed {
                continue;
            }
            let part = format!("hand-{streams}-{by}");
            let Some(found) = launches(&part, times(mode, streams), mode) else { continue };
            println!(
                "| {streams} | {by} | {} | {:.0} | {} |",
                found.spread("percent", 3),
                found.median("looks_per_s"),
                found.spread("ns_a_look", 0)
            );
            if (streams, by) == ("1m", "1s") {
                let percent = found.median("percent");
                bars.push(("monitor_1m_1s_percent", percent, Goal::AtMost(6.0)));
            }
            if by == "1s" {
                outages.push((streams, count, found));
            }
        }
    }
    println!("\n## Mass outage by hand: every active input dies in the same tick (T = 1 s)\n");
    println!("One core does all of it. *Decide*: the monitor's turn at the deadline. *Cut*: one");
    println!("packet of every backup in random order, each of which makes the cut, with the");
    println!(
        "monitor's turn that each wakes by hand; on the machine's clock one turn hears many.\n"
    );
    println!("| streams | all, ms | decide, ms | cut, ms | ns a stream | events |");
    println!("|---|---|---|---|---|---|");
    let mut rows = Vec::new();
    for (streams, count, found) in &outages {
        println!(
            "| {streams} | {} | {} | {} | {:.0} | {:.0} |",
            found.spread("outage_ms", 1),
            found.spread("decide_ms", 1),
            found.spread("cut_ms", 1),
            found.median("outage_ms") * 1e6 / *count as f64,
            found.median("events"),
        );
        let ms = found.median("outage_ms");
        rows.push(vec![*count as f64, ms]);
        match *streams {
            "100k" => bars.push(("outage_100k_ms", ms, Goal::AtMost(25.0))),
            "1m" => bars.push(("outage_1m_ms", ms, Goal::AtMost(400.0))),
            _ => {}
        }
    }
    if !rows.is_empty() {
        support::write_data("outage", "streams,ms", &rows);
    }
}

fn live_table(mode: Mode, bars: &mut Bars) {
    let sizes: &[(&str, &str)] = if mode.quick {
        &[("100k", "100ms"), ("100k", "1s")]
    } else {
        &[("1k", "100ms"), ("1k", "1s"), ("100k", "100ms"), ("100k", "1s")]
    };
    let mut lines = Vec::new();
    for (streams, by) in sizes {
        let part = format!("live-cpu-{streams}-{by}");
        let times = if mode.quick || *streams == "1k" { 1 } else { 3 };
        let Some(mut found) = launches(&part, times, mode) else { continue };
        found.0.iter_mut().for_each(|run| again_if_disturbed(run, &part, mode));
        lines.push(format!(
            "| {streams} | {by} | {} | {:.0} | {} | {:.0} | {:.1} | {:.0} |",
            found.spread("percent", 2),
            found.median("looks_per_s"),
            found.spread("ns_a_look", 0),
            found.median("wakes_per_s"),
            found.median("rate_percent"),
            found.quantile("failovers", 1.0),
        ));
        let percent = found.median("percent");
        match (*streams, *by) {
            ("100k", "1s") => bars.push(("monitor_100k_1s_percent", percent, Goal::AtMost(1.0))),
            ("100k", "100ms") => {
                bars.push(("monitor_100k_100ms_percent", percent, Goal::AtMost(5.0)));
            }
            _ => {}
        }
    }
    if lines.is_empty() {
        return;
    }
    println!("\n## On the machine's clock: CPU time of the monitor's thread\n");
    println!("*Packets*: what the producer's thread brought about of what is due. *Failovers*: of");
    println!("streams whose packets were late on this machine; there are to be none.\n");
    println!(
        "| streams | T | % of a core | looks/s | ns a look | sleeps/s | packets, % | failovers |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    lines.iter().for_each(|line| println!("{line}"));
}

/// A run in which the producer was so late that streams fell silent says nothing of a monitor whose
/// streams deliver: it is taken again, a few times.
fn again_if_disturbed(run: &mut Figures, part: &str, mode: Mode) {
    for _ in 0..2 {
        if run["failovers"] > 0.0 {
            let again = launches(part, 1, mode).and_then(|mut again| again.0.pop());
            *run = again.expect("the part is chosen");
        }
    }
}

fn event_tables(mode: Mode, bars: &mut Bars) {
    let count = if mode.quick { 1 } else { 3 };
    let Some(found) = launches("live-events-100k", count, mode) else { return };
    let tick = found.median("tick_us");
    println!("\n## Lateness past the deadline, us (100k streams, T = 1 s, tick {tick:.0} us)\n");
    println!("*Decided*: the event's own time. *Read*: when a subscriber's thread had it.\n");
    println!("| machine | decided p50 | p99 | max | read p50 | p99 | max | stalls |");
    println!("|---|---|---|---|---|---|---|---|");
    for (key, says) in [("idle", "idle"), ("loaded", "two busy threads")] {
        let of = |name: &str| found.spread(&format!("{key}_{name}"), 0);
        println!(
            "| {says} | {} | {} | {} | {} | {} | {} | {:.0} |",
            of("p50"),
            of("p99"),
            of("max"),
            of("read_p50"),
            of("read_p99"),
            of("read_max"),
            found.median(&format!("{key}_stalls")),
        );
    }
    println!(
        "\nMass outage on the machine's clock, backups at {RATE} packets/s: the last failover's \
         event is read {} ms after the last deadline (up to {:.0} ms of that is the wait for a \
         backup's next packet).",
        found.spread("outage_ms", 1),
        1e3 / RATE as f64
    );
    bars.push(("lateness_p50_us", found.median("idle_p50"), Goal::AtMost(tick + 150.0)));
    bars.push(("lateness_p99_us", found.median("idle_p99"), Goal::AtMost(tick + 300.0)));
}
