//! What is said at the end: a table of the inputs, the output, the switches with their reasons,
//! and how late the engine was.

use std::fmt::Write as _;
use std::time::Duration;

use crate::relay::Snapshot;
use crate::stop::End;
use crate::text;

/// Switches listed; the count is of all.
const SWITCHES: usize = 20;

/// The whole text, several lines.
pub(crate) fn text(last: &Snapshot, end: &End) -> String {
    let mut t = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(t, "\nrelay: {end} after {}", text::uptime(last.uptime));
    let _ = writeln!(
        t,
        "\n{:>5}  {:<9}{:>14}{:>14}{:>10}{:>10}{:>10}{:>12}{:>10}  address",
        "input",
        "status",
        "received",
        "forwarded",
        "overtaken",
        "garbage",
        "lost",
        "frames",
        "keys"
    );
    for (n, input) in last.inputs.iter().enumerate() {
        let health = last.status.input(n as i32 + 1);
        let status = match health {
            _ if input.ended => "ended",
            Some(health) => text::status(health.status),
            None => "?",
        };
        let _ = writeln!(
            t,
            "{:>5}  {status:<9}{:>14}{:>14}{:>10}{:>10}{:>10}{:>12}{:>10}  {}",
            n + 1,
            text::count(input.received),
            text::count(input.forwarded),
            text::count(input.overtaken),
            text::count(input.garbage),
            text::count(health.map_or(0, |health| health.lost)),
            text::count(health.map_or(0, |health| health.frames)),
            text::count(health.map_or(0, |health| health.keyframes)),
            input.address,
        );
    }
    let out = &last.output;
    let _ = writeln!(t, "\noutput {}", last.output_address);
    let _ = write!(
        t,
        "  {} packets, {:.1} MB, longest gap {}",
        text::count(out.packets),
        out.bytes as f64 / 1e6,
        text::span(out.longest_gap)
    );
    let _ = match &out.last_error {
        Some(why) => writeln!(t, ", {} lost ({why})", text::count(out.lost)),
        None => writeln!(t),
    };
    let looked_back: u64 = last.inputs.iter().map(|input| input.looked_back).sum();
    if looked_back > 0 {
        let _ = writeln!(t, "  {} of them out of a lookback", text::count(looked_back));
    }
    switches(&mut t, last);
    let _ = writeln!(t, "{}", lateness(last));
    t
}

fn lateness(last: &Snapshot) -> String {
    let stats = &last.stats;
    if stats.deadlines_total == 0 {
        return "engine: no deadline was due".to_owned();
    }
    let ns = |ns| text::span(Duration::from_nanos(ns));
    format!(
        "engine: {} deadlines looked at, late by {} (median), {} (p99), {} (worst)",
        stats.deadlines_total,
        ns(stats.lateness_p50_ns),
        ns(stats.lateness_p99_ns),
        ns(stats.lateness_max_ns)
    )
}

fn switches(t: &mut String, last: &Snapshot) {
    let history = &last.status.switches;
    let _ = writeln!(t, "\nswitches {} (times in UTC)", last.status.failovers_total);
    let cuts = text::cuts_of(history, &last.output.cuts);
    let shown = history.len().min(SWITCHES);
    if shown < history.len() {
        let _ = writeln!(t, "  ... the latest {shown}:");
    }
    for (switch, cut) in history.iter().zip(cuts).take(shown).rev() {
        let mut line = format!("  {}", text::switch_line(switch));
        if let Some(cut) = cut {
            let _ = write!(line, "  output gap {:<7}", text::span(cut.gap));
        }
        if !switch.detail.is_empty() {
            let _ = write!(line, "  {}", switch.detail);
        }
        let _ = writeln!(t, "{}", line.trim_end());
    }
    let _ = writeln!(t);
}
