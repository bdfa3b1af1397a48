//! The report of a run, and the files it leaves.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::judge::{Usage, Verdict};
use crate::record::{Record, Silence, TIMEOUT, Us};

/// The last of the report says whether it passed.
pub(crate) fn text(record: &Record, verdict: &Verdict, seed: u64) -> String {
    let mut t = String::new();
    let seconds = (record.ended - record.began) as f64 / 1e6;
    let mut row = |what: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(t, "| {what} | {value} |");
    };
    row("time, seed", format!("{seconds:.0} s, {seed}"));
    let v = verdict;
    row(
        "blows at the active input: all, failed over or exhausted, overtaken by a failback",
        format!("{}, {}, {}", v.blows, v.failed_over, v.overtaken),
    );
    row("blows at standbys; stops shorter than T", format!("{}; {}", v.at_standby, v.blinks));
    row("exhausted and restored", format!("{} and {}", v.exhausted, v.recoveries));
    row("failbacks", v.failbacks.to_string());
    row("silences past T without a blow (a starved feeder)", v.starved.to_string());
    row(
        "decisions late past T, by the relay's stamp (whole ms, cut): p50 p90 p99 max, ms",
        figures(&v.late),
    );
    row("the same, until its line was read outside", figures(&v.late_seen));
    row("stalls that the engine reports", v.stalls.to_string());
    let gaps: Vec<Us> = record.output.iter().map(|s| s.span()).filter(|s| *s >= TIMEOUT).collect();
    row(
        &format!("silences >= T at the output: {}; p50 p90 p99 max, ms", gaps.len()),
        figures(&gaps),
    );
    row("memory, descriptors, threads: first tenth, last tenth", usage(v.first, v.last));
    row("CPU of the relay", cpu(record));
    let media = (record.media_us - record.media_before_us) as f64 / 1e6;
    let silent = record.output.iter().map(Silence::span).sum::<Us>() as f64 / 1e6;
    row(
        "media that the one FFmpeg behind decoded; the time less the silences at the output",
        format!("{media:.1} s ({} pictures); {:.1} s", record.frames, seconds - silent),
    );
    let (before, later): (Vec<_>, Vec<_>) =
        record.complaints.iter().partition(|(at, _)| *at < record.began);
    row(
        "its complaints: before the first keyframe; later; of these not explained",
        format!("{}; {}; {}", before.len(), later.len(), record.complaints.len() - v.explained),
    );
    let said = record.summary.lines().find(|line| line.starts_with("engine:"));
    row("the engine of itself", said.unwrap_or("nothing").to_owned());
    for fault in &v.faults {
        let _ = writeln!(t, "FAULT {fault}");
    }
    let end = if v.faults.is_empty() {
        "passed".to_owned()
    } else {
        format!("FAILED, {} faults", v.faults.len())
    };
    let _ = writeln!(t, "soak: {end}");
    t
}

fn figures(values: &[Us]) -> String {
    if values.is_empty() {
        return "none".to_owned();
    }
    let mut values = values.to_vec();
    values.sort_unstable();
    let at =
        |percent: usize| values[(values.len() * percent).div_ceil(100).max(1) - 1] as f64 / 1e3;
    format!("{:.1} {:.1} {:.1} {:.1}", at(50), at(90), at(99), at(100))
}

fn usage(first: Usage, last: Usage) -> String {
    format!(
        "{} -> {} KiB, {} -> {}, {} -> {}",
        first.rss_kib,
        last.rss_kib,
        first.descriptors,
        last.descriptors,
        first.threads,
        last.threads
    )
}

fn cpu(record: &Record) -> String {
    let (Some(first), Some(last)) = (record.samples.first(), record.samples.last()) else {
        return "unknown".to_owned();
    };
    let used = (last.cpu_ticks - first.cpu_ticks) as f64 / record.ticks_per_s as f64;
    format!("{:.2} % of a core", 100.0 * used / ((last.at - first.at) as f64 / 1e6).max(1.0))
}

/// Into the run's directory.
pub(crate) fn keep(out: &Path, record: &Record, text: &str) {
    let mut events = String::new();
    for kill in &record.kills {
        let _ = writeln!(events, "{} blow {:?} {}", kill.at, kill.blow, kill.input);
    }
    for (of, input) in record.silences.iter().zip(1..) {
        for s in of {
            let _ = writeln!(events, "{} silent {input} {} ms", s.from, s.span() / 1000);
        }
    }
    for s in &record.output {
        let _ = writeln!(events, "{} output silent {} ms", s.from, s.span() / 1000);
    }
    for line in &record.lines {
        let _ = writeln!(
            events,
            "{} said {:?} (read {} us later)",
            line.at,
            line.said,
            line.seen - line.at
        );
    }
    let mut samples = String::from("at_us,rss_kib,descriptors,threads,cpu_ticks\n");
    for s in &record.samples {
        let (at, rss) = (s.at, s.rss_kib);
        let _ = writeln!(samples, "{at},{rss},{},{},{}", s.descriptors, s.threads, s.cpu_ticks);
    }
    let files = [
        ("events.txt", events),
        ("samples.csv", samples),
        ("report.txt", text.to_owned()),
        ("summary.txt", record.summary.clone()),
    ];
    for (name, text) in files {
        if let Err(why) = fs::write(out.join(name), text) {
            eprintln!("soak: {name} is not kept: {why}");
        }
    }
}
