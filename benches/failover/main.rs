//! Failover end to end, on loopback UDP: the primary is killed again and again, and the receiver
//! tells how long nothing came (by the kernel's receive times) and how much media is missing. Beside
//! it: the seed's design, and what a datagram costs in the relay and in a plain loop.
//!
//! Words choose parts: `cargo bench --bench failover -- hot-100`, `cold`, `learned`, `polled`,
//! `cost`. GStreamer's `fallbackswitch` is measured by `gstreamer.sh`.

mod cost;
mod gstreamer;
mod kills;
mod relay;
mod seed;
#[path = "../support/mod.rs"]
mod support;
mod wire;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use gstreamer::FallbackSwitch;
use kills::{Gap, Line, SPREAD, tell};
use relay::{Kind, Relay};
use seed::Polled;
use support::{Figures, Goal, Mode, bar, chosen, figure, names_parts};
use wire::{Feeder, Receiver, Schedule};

/// Datagrams per second of a 30 Mbit/s feed.
const RATE: u64 = 2_850;

#[derive(Clone, Copy)]
enum Relays {
    Changeover(Kind),
    /// The seed's design, with the interval of its looks.
    Polled {
        every_ms: u64,
    },
    GStreamer,
}

struct Case {
    name: &'static str,
    says: &'static str,
    relays: Relays,
    timeout_ms: u64,
    per_second: u64,
    kills: usize,
    /// In a quick run; 0 leaves it out.
    quick: usize,
}

const CASES: [Case; 9] = [
    Case {
        name: "hot-100",
        says: "changeover, hot",
        relays: Relays::Changeover(Kind::Hot),
        timeout_ms: 100,
        per_second: RATE,
        kills: 200,
        quick: 15,
    },
    Case {
        name: "hot-200",
        says: "changeover, hot",
        relays: Relays::Changeover(Kind::Hot),
        timeout_ms: 200,
        per_second: RATE,
        kills: 200,
        quick: 15,
    },
    Case {
        name: "hot-100-slow",
        says: "changeover, hot",
        relays: Relays::Changeover(Kind::Hot),
        timeout_ms: 100,
        per_second: 1_000,
        kills: 60,
        quick: 0,
    },
    Case {
        name: "cold-100",
        says: "changeover, cold",
        relays: Relays::Changeover(Kind::Cold),
        timeout_ms: 100,
        per_second: RATE,
        kills: 60,
        quick: 0,
    },
    Case {
        name: "learned",
        says: "changeover, hot, learned silence",
        relays: Relays::Changeover(Kind::Learned),
        timeout_ms: 1_000,
        per_second: 1_000,
        kills: 4,
        quick: 0,
    },
    Case {
        name: "polled-10",
        says: "the seed's design, if it looked every 10 ms",
        relays: Relays::Polled { every_ms: 10 },
        timeout_ms: 100,
        per_second: RATE,
        kills: 40,
        quick: 0,
    },
    Case {
        name: "polled-2000",
        says: "the seed's design (looks every 2 s, whole seconds)",
        relays: Relays::Polled { every_ms: 2_000 },
        timeout_ms: 1_000,
        per_second: RATE,
        kills: 8,
        quick: 0,
    },
    Case {
        name: "gstreamer-100",
        says: "GStreamer's fallbackswitch",
        relays: Relays::GStreamer,
        timeout_ms: 100,
        per_second: RATE,
        kills: 40,
        quick: 0,
    },
    Case {
        name: "gstreamer-200",
        says: "GStreamer's fallbackswitch",
        relays: Relays::GStreamer,
        timeout_ms: 200,
        per_second: RATE,
        kills: 40,
        quick: 0,
    },
];

/// Rates at which the relay's CPU time is compared; the goal is for the first.
const COST_RATES: [u64; 3] = [RATE, 1_000, 10_000];
/// The same of GStreamer, at the first rate.
const COST_GSTREAMER: &str = "cost-gstreamer";

fn main() {
    support::run_parts(run, measure);
}

/// What a process that was started for one part does.
fn run(part: &str, mode: Mode) {
    if part == COST_GSTREAMER {
        return cost::run_gstreamer(RATE, mode);
    }
    if let Some(rate) = part.strip_prefix("cost-") {
        return cost::run(rate.parse().expect("datagrams per second"), mode);
    }
    let case = CASES.iter().find(|case| case.name == part).expect("a part of this bench");
    let count = if mode.quick { case.quick.max(3) } else { case.kills };
    let schedule = Schedule { origin: Instant::now(), per_second: case.per_second };
    let (timeout, timeout_ms) = (Duration::from_millis(case.timeout_ms), case.timeout_ms as f64);
    let gaps = match case.relays {
        Relays::Changeover(Kind::Learned) => learned(case, schedule, count),
        Relays::Changeover(kind) => {
            let relay = Relay::start(kind, case.timeout_ms as i64, Receiver::start());
            let (main, _backup) = feeders(relay.addrs(), schedule);
            relay.line(&main, schedule, timeout_ms).kill(&relay, count)
        }
        Relays::GStreamer => {
            let receiver = Receiver::start();
            let relay = FallbackSwitch::start(timeout, receiver.addr);
            let (main, _backup) = feeders(relay.addrs, schedule);
            let spread = SPREAD;
            Line { receiver: &receiver, main: &main, schedule, timeout_ms, spread }
                .kill(&relay, count)
        }
        Relays::Polled { every_ms } => {
            let receiver = Receiver::start();
            let every = Duration::from_millis(every_ms);
            let relay = Polled::start(timeout, every, receiver.addr);
            let (main, _backup) = feeders(relay.addrs, schedule);
            let spread = every.max(SPREAD);
            Line { receiver: &receiver, main: &main, schedule, timeout_ms, spread }
                .kill(&relay, count)
        }
    };
    tell(&gaps, schedule);
    for (n, gap) in gaps.iter().enumerate() {
        figure(format!("gap_{n}"), gap.wall_ns as f64 / 1e6);
    }
}

fn feeders(to: [SocketAddr; 2], schedule: Schedule) -> (Feeder, Feeder) {
    (Feeder::start(0, to[0], schedule), Feeder::start(1, to[1], schedule))
}

/// A silence that an input has come back from is not held against it again, so each relay's
/// primary is killed once; several learn at the same time.
fn learned(case: &Case, schedule: Schedule, count: usize) -> Vec<Gap> {
    let start = |_| Relay::start(Kind::Learned, case.timeout_ms as i64, Receiver::start());
    let relays: Vec<Relay> = (0..count).map(start).collect();
    let feeders: Vec<(Feeder, Feeder)> =
        relays.iter().map(|relay| feeders(relay.addrs(), schedule)).collect();
    relays.iter().for_each(|relay| _ = relay.await_learned());
    let lines = relays.iter().zip(&feeders);
    let gaps = lines.flat_map(|(relay, (main, _))| {
        relay.line(main, schedule, relay.await_learned()).kill(relay, 1)
    });
    gaps.collect()
}

fn launch(part: &str, mode: Mode) -> Option<Figures> {
    chosen(part).then(|| support::launch(part, mode.arguments()))
}

type Bars = Vec<(&'static str, f64, Goal)>;

fn measure(mode: Mode) {
    let mut bars = Bars::new();
    gap_table(mode, &mut bars);
    cost_table(mode, &mut bars);
    println!();
    for (name, figure, goal) in bars {
        bar(name, figure, goal);
    }
}

fn gap_table(mode: Mode, bars: &mut Bars) {
    let mut rows = Vec::new();
    let mut found = Vec::new();
    let missing = gstreamer::missing();
    for case in &CASES {
        // Chosen by name, a case runs in a quick run, too.
        if mode.quick && case.quick == 0 && !names_parts() {
            continue;
        }
        if let (Relays::GStreamer, Some(_)) = (case.relays, &missing) {
            continue;
        }
        let Some(figures) = launch(case.name, mode) else { continue };
        let of = |name: &str| figures[name];
        let over = of("over_p50");
        match case.name {
            "hot-100" => bars.push(("failover_gap_100ms_over_ms", over, Goal::AtMost(0.3))),
            "hot-200" => bars.push(("failover_gap_200ms_over_ms", over, Goal::AtMost(0.3))),
            _ => {}
        }
        if matches!(case.relays, Relays::Changeover(Kind::Hot)) && case.per_second == RATE {
            let gaps = figures.iter().filter(|(name, _)| name.starts_with("gap_"));
            rows.extend(gaps.map(|(_, gap)| vec![case.timeout_ms as f64, *gap]));
        }
        found.push((case, figures));
    }
    if let Some(why) = missing {
        println!("SKIPPED gstreamer fallbackswitch: {why}\n");
    }
    if found.is_empty() {
        return;
    }
    if !rows.is_empty() {
        support::write_data("failover_gap", "t_ms,gap_ms", &rows);
    }
    println!("## The gap at the receiver when the primary dies, ms\n");
    println!("*Media lost*: datagrams of the common schedule that nobody got.\n");
    println!(
        "| relay | T | datagrams/s | kills | gap p50 | p99 | max | p50 - T | media lost p50 | max |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for (case, figures) in &found {
        let of = |name: &str| figures[name];
        println!(
            "| {} | {:.0} | {} | {:.0} | {:.2} | {:.2} | {:.2} | {:+.2} | {:.1} | {:.1} |",
            case.says,
            of("timeout_ms"),
            case.per_second,
            of("kills"),
            of("wall_p50"),
            of("wall_p99"),
            of("wall_max"),
            of("over_p50"),
            of("lost_p50"),
            of("lost_max"),
        );
    }
    found.retain(|(_, figures)| figures.contains_key("way_p50_us"));
    if found.is_empty() {
        return;
    }
    println!("\n## Where what is beyond T goes, us\n");
    println!("*Decided*: the decision, after the last packet and T. *Waited*: from there to the");
    println!("backup's packet that made the cut; half a period of its datagrams is the mean where");
    println!("it is hot. *Way*: how much longer that packet's way to the receiver was.\n");
    println!("| relay | T | datagrams/s | decided p50 | p99 | waited p50 | p99 | way p50 | p99 |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for (case, figures) in &found {
        let of = |name: &str| figures[name];
        println!(
            "| {} | {:.0} | {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} |",
            case.says,
            of("timeout_ms"),
            case.per_second,
            of("decided_p50_us"),
            of("decided_p99_us"),
            of("waited_p50_us"),
            of("waited_p99_us"),
            of("way_p50_us"),
            of("way_p99_us"),
        );
    }
}

fn cost_table(mode: Mode, bars: &mut Bars) {
    let mut lines = Vec::new();
    let mut line = |says: &str, found: &Figures| {
        lines.push(format!(
            "| {says} | {:.0} | {:.2} | {:.2} | {:.2} | {:.3} |",
            found["per_second"],
            found["plain_us"],
            found["relay_us"],
            found["monitor_us"],
            found["ratio"]
        ));
    };
    let rates = if mode.quick { &COST_RATES[..1] } else { &COST_RATES[..] };
    for rate in rates {
        let times = if mode.quick || *rate != RATE { 1 } else { 3 };
        let mut runs: Vec<Figures> =
            (0..times).filter_map(|_| launch(&format!("cost-{rate}"), mode)).collect();
        // The launch in the middle.
        runs.sort_by(|a, b| a["ratio"].total_cmp(&b["ratio"]));
        let Some(found) = runs.get(runs.len() / 2) else { continue };
        line("changeover", found);
        if *rate == RATE {
            bars.push(("relay_cpu_x", found["ratio"], Goal::AtMost(1.1)));
        }
    }
    if !mode.quick && gstreamer::missing().is_none() {
        let found = launch(COST_GSTREAMER, mode);
        found.iter().for_each(|found| line("GStreamer's fallbackswitch", found));
    }
    if lines.is_empty() {
        return;
    }
    println!("\n## CPU time of a datagram of 1,316 bytes, us\n");
    println!("A relay with one stream of two inputs (T = 200 ms), its monitor's thread included,");
    println!("and a plain loop that receives and sends, in turns of a tenth of a second. Both");
    println!("are kept on one core, what feeds them and what they feed on the other.\n");
    println!("| relay | datagrams/s | plain | relay | of it the monitor | relay : plain, median |");
    println!("|---|---|---|---|---|---|");
    lines.iter().for_each(|line| println!("{line}"));
}
