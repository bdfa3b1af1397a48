//! What one packet costs the host: the engine's packet calls beside the bare store below which
//! nothing can go, and beside what a host would use instead (the seed's design, a sharded map, one
//! lock around one map).
//!
//! Criterion has its own look at the main calls first. The tables are made apart from it: in every
//! round each variant runs once, in rotating order, and ratios are medians of the per-round ratios.
//! `--quick` is one launch with few rounds, and no criterion; the full form takes the median of
//! five processes, because the address layout of one process alone can double its numbers. The last
//! lines say which goals were met. See README.md in benches/.

#[path = "../support/mod.rs"]
mod support;

mod dependent;
mod measure;
mod peers;
mod threads;
mod world;

use std::process::ExitCode;
use std::time::Duration;

use criterion::{Criterion, Throughput};

use crate::measure::{interleaved, interleaved_cold};
use crate::support::{Goal, Launches, Mode, bar};
use crate::world::{World, patient};

/// Streams, with two inputs each, of the main table and of the plot.
const SIZES: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];
/// Those for which there are goals: all else is measured at these.
const GOALS: [usize; 3] = [10, 1_000, 100_000];
/// From here on a sample is one pass over cold lines: a host that moves the payload of as many
/// streams finds none of them in a cache.
const COLD: usize = 100_000;
const VERDICT_SIZES: [usize; 2] = [10, 1_000];
/// While other threads are busy.
const SAMPLED: [usize; 3] = [10, 1_000, 10_000];

const PACKETS: [(&str, &str); 12] = [
    ("floor", "F: bare store"),
    ("spread", "F, pointers spread"),
    ("record", "`Recorder::record`"),
    ("full", "record, all fields"),
    ("at_old", "`record_at`, a time of this tick"),
    ("at_new", "`record_at`, a later time"),
    ("clock", "clock read + store"),
    ("precise", "`record_precise`"),
    ("by_id", "`record_packet` (by id)"),
    ("seed", "the seed's design"),
    ("dashmap", "`DashMap<String, ..>`"),
    ("mutex", "`Mutex<HashMap<String, ..>>`"),
];
const WARM: [(&str, &str); 5] = [PACKETS[0], PACKETS[1], PACKETS[6], PACKETS[2], PACKETS[3]];
const DEPENDENT: [(&str, &str); 2] = [
    ("dependent_floor", "a store and a load, the next line by what was loaded"),
    ("dependent", "`Recorder::record`, the next input by its verdict"),
];
const VERDICTS: [(&str, &str); 4] = [
    ("verdict_floor", "F: bare store"),
    ("all_forward", "record, all forward"),
    ("all_drop", "record, all drop"),
    ("all_stale", "record, all stale"),
];
const PARTS: [(&str, &str); 8] = [
    ("store", "F: store of a time at hand"),
    ("quanta", "store of a clock reading"),
    ("coarse", "store of the published time"),
    ("counters", "+ packets and bytes"),
    ("verdict", "+ flag word and verdict"),
    ("handle", "+ handle and its check"),
    ("call", "+ a call"),
    ("record", "`Recorder::record`: pointer, counters, verdict"),
];
const THREADS: [(&str, &str); 8] = [
    ("distinct", "`Recorder::record`, streams of their own"),
    ("stream", "`Recorder::record`, inputs 0 and 1 of the same streams"),
    ("by_id_distinct", "by id, streams of their own"),
    ("by_id_stream", "by id, inputs 0 and 1 of the same streams"),
    ("by_id_input", "by id, the same inputs"),
    ("seed_stream", "the seed's design, inputs 0 and 1 of the same streams"),
    ("dashmap_stream", "`DashMap`, inputs 0 and 1 of the same streams"),
    ("mutex_stream", "one lock, inputs 0 and 1 of the same streams"),
];
const WHILE: [(&str, &str); 3] = [
    ("record", "nothing"),
    ("sampled", "the monitor samples every input for a rule"),
    ("control", "another thread registers, edits, polls, unregisters"),
];

// --- What a launch measures ---

fn measure_packets(rounds: usize) {
    for streams in SIZES {
        let world = World::new(streams, patient());
        let mut cases = world.floor_cases();
        cases.extend(world.record_cases());
        cases.extend(world.peer_cases());
        let (pass, all_cold) = (2 * streams, streams >= COLD);
        let rounds = if all_cold { rounds.div_ceil(3) } else { rounds };
        let comparison = if all_cold { interleaved_cold } else { interleaved };
        let taken = comparison(cases, pass, rounds);
        taken.tell(&streams.to_string(), "floor");
        let clock = taken.ratio("precise", "clock");
        support::figure(format!("{streams}/precise/clock_x"), clock);
        for peer in ["seed", "dashmap", "mutex"] {
            let slower = taken.ratio(peer, "record");
            support::figure(format!("{streams}/{peer}/record_x"), slower);
        }
        if all_cold {
            let mut cases = world.floor_cases();
            cases.extend(world.record_cases().into_iter().take(2));
            let taken = interleaved(cases, pass, rounds);
            taken.tell(&format!("{streams}/warm"), "floor");
        }
        if GOALS.contains(&streams) {
            let taken = interleaved(dependent::dependent_cases(&world), pass, rounds);
            taken.tell(&streams.to_string(), "dependent_floor");
            let taken = comparison(dependent::breakdown_cases(&world), pass, rounds);
            taken.tell(&format!("{streams}/parts"), "store");
        }
        if VERDICT_SIZES.contains(&streams) {
            world.check_counts();
            let taken = interleaved(dependent::verdict_cases(&world), pass / 2, rounds);
            taken.tell(&streams.to_string(), "verdict_floor");
        }
        world.check_counts();
    }
}

fn measure_threads(rounds: usize, quick: bool) {
    for streams in GOALS {
        // The rest of 100,000 has no goal, and takes a while to build.
        let all = !quick || streams < 100_000;
        threads::two_threads(streams, rounds.div_ceil(3), all);
    }
    for streams in SAMPLED {
        threads::meanwhile(streams, rounds);
    }
}

// --- Tables ---

fn table_of(
    launches: &Launches,
    title: &str,
    prefix: &str,
    sizes: &[usize],
    rows: &[(&str, &str)],
) {
    println!("\n{title}\n");
    println!("| streams x 2 | call | ns | p10-p90 | x |");
    println!("|---|---|---|---|---|");
    for streams in sizes {
        for (key, name) in rows {
            let key = format!("{streams}{prefix}/{key}");
            let [ns, p10, p90] =
                ["ns", "p10", "p90"].map(|q| launches.median(&format!("{key}/{q}")));
            let x = launches.spread(&format!("{key}/x"), 2);
            println!("| {streams} | {name} | {ns:.2} | {p10:.2}-{p90:.2} | {x} |");
        }
    }
}

fn table_of_threads(launches: &Launches) {
    println!(
        "\ntwo threads: ns a call and thread; packets of two threads to those of one; x: to\n`Recorder::record` on the same streams, one thread and two\n"
    );
    println!(
        "| streams x 2 | call | alone, ns | both, ns | packets, two to one | x alone | x both |"
    );
    println!("|---|---|---|---|---|---|---|");
    for streams in GOALS {
        for (key, name) in THREADS {
            let of = |figure: &str| format!("{streams}/two/{key}/{figure}");
            if !launches.0[0].contains_key(&of("one")) {
                continue;
            }
            let [one, two] = ["one", "two"].map(|figure| launches.median(&of(figure)));
            let scale = launches.spread(&of("scale"), 2);
            let [one_x, two_x] = ["one_x", "two_x"].map(|figure| launches.spread(&of(figure), 1));
            println!("| {streams} | {name} | {one:.2} | {two:.2} | {scale} | {one_x} | {two_x} |");
        }
    }
}

/// "Cost against streams", for the plot.
fn write_costs(launches: &Launches) {
    let columns = ["floor", "record", "by_id", "seed", "dashmap", "mutex"];
    let rows = SIZES.map(|streams| {
        let ns = columns.map(|key| launches.median(&format!("{streams}/{key}/ns")));
        std::iter::once(streams as f64).chain(ns).collect()
    });
    let header = "streams,floor_ns,record_ns,by_id_ns,seed_ns,dashmap_ns,mutex_ns";
    support::write_data("cost_by_streams", header, &rows);
}

fn bars(packets: &Launches, threads: &Launches) {
    use Goal::{AtLeast, AtMost};
    println!();
    bar("record_10_f", packets.median("10/record/x"), AtMost(4.0));
    bar("record_1k_f", packets.median("1000/record/x"), AtMost(3.5));
    bar("record_100k_f", packets.median("100000/record/x"), AtMost(6.0));
    bar("record_dependent_10_x", packets.median("10/dependent/x"), AtMost(1.3));
    bar("record_dependent_1k_x", packets.median("1000/dependent/x"), AtMost(1.3));
    bar("record_dependent_100k_x", packets.median("100000/dependent/x"), AtMost(1.3));
    bar("record_precise_10_x", packets.median("10/precise/clock_x"), AtMost(1.1));
    bar("record_by_id_1k_f", packets.median("1000/by_id/x"), AtMost(45.0));
    bar("two_threads_10_x", threads.median("10/two/distinct/scale"), AtLeast(1.9));
    bar("two_threads_100k_x", threads.median("100000/two/distinct/scale"), AtLeast(1.9));
    // The lower of the two sizes.
    let lower = |of: &Launches, ten: &str, thousand: &str| of.median(ten).min(of.median(thousand));
    let seed = lower(packets, "10/seed/record_x", "1000/seed/record_x");
    bar("seed_one_thread_x", seed, AtLeast(20.0));
    let seed = lower(threads, "10/two/seed_stream/two_x", "1000/two/seed_stream/two_x");
    bar("seed_two_threads_x", seed, AtLeast(40.0));
}

fn criterion_groups(criterion: &mut Criterion, sizes: &[usize]) {
    for &streams in sizes {
        let world = World::new(streams, patient());
        let mut group = criterion.benchmark_group(format!("{streams}x2"));
        group.throughput(Throughput::Elements(1));
        let mut cases = world.floor_cases();
        cases.extend(world.record_cases());
        cases.extend(world.peer_cases());
        for mut case in cases {
            group.bench_function(case.key(), |bencher| {
                bencher.iter_custom(|calls| {
                    let ns = case.sample(calls as usize) * calls as f64;
                    Duration::from_nanos(ns as u64)
                });
            });
        }
        group.finish();
        world.check_counts();
    }
}

fn main() -> ExitCode {
    let mode = Mode::of_arguments();
    let rounds = if mode.quick { 15 } else { 31 };
    match support::part().as_deref() {
        Some("packets") => measure_packets(rounds),
        Some("threads") => measure_threads(rounds, mode.quick),
        Some(part) => panic!("no part {part}"),
        None if mode.measures && mode.quick => report(mode),
        None => {
            let mut criterion = Criterion::default()
                .sample_size(10)
                .warm_up_time(Duration::from_millis(100))
                .measurement_time(Duration::from_millis(500))
                .configure_from_args();
            let sizes = if mode.measures { &GOALS[..] } else { &GOALS[..2] };
            criterion_groups(&mut criterion, sizes);
            criterion.final_summary();
            if mode.measures {
                report(mode);
            }
        }
    }
    ExitCode::SUCCESS
}

fn report(mode: Mode) {
    let arguments: &[&str] = if mode.quick { &["--quick"] } else { &[] };
    let of = |part: &str| {
        let launches = (0..mode.launches()).map(|_| support::launch(part, arguments));
        Launches(launches.collect())
    };
    let (packets, threads) = (of("packets"), of("threads"));
    let n = mode.launches();
    println!("\nMedians of {n} launch(es); the lowest and the highest ratio of a launch in [].");
    table_of(&packets, "ns a call; x: to F", "", &SIZES, &PACKETS);
    table_of(
        &packets,
        "the same pass after pass, as far as the caches keep it; x: to F",
        "/warm",
        &GOALS[2..],
        &WARM,
    );
    table_of(&packets, "dependent latency; x: to the floor's", "", &GOALS, &DEPENDENT);
    table_of(&packets, "price breakdown; x: to F", "/parts", &GOALS, &PARTS);
    table_of(&packets, "by verdict; x: to F", "", &VERDICT_SIZES, &VERDICTS);
    table_of_threads(&threads);
    table_of(&threads, "record, meanwhile; x: to nothing", "/while", &SAMPLED, &WHILE);
    write_costs(&packets);
    bars(&packets, &threads);
}
