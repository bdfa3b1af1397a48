//! What a packet costs a C caller, through the shared library and from the static one, beside the
//! same code in place. Builds `capi/calls.c` against both, runs each in several processes (the
//! address layout of one alone can double its numbers), and prints medians, and the lines of the
//! goals. `--quick`: three processes and few rounds. See README.md here.

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::support::{Figures, Goal, Launches, Mode, bar, median};

const SIZES: [usize; 3] = [10, 1_000, 100_000];
/// As `calls.c` names them: key, and what the table says.
const CALLS: [(&str, &str); 8] = [
    ("floor", "F: bare store"),
    ("pointer", "in place, by pointer"),
    ("checked", "in place, by checked handle"),
    ("bytes", "`changeover_record_bytes`"),
    ("record", "`changeover_record`, all fields"),
    ("batch", "`changeover_record_batch` of 7, a packet"),
    ("by_id", "`changeover_record_packet` (by id)"),
    ("precise", "`changeover_record_precise`"),
];

/// Builds the caller against a library.
fn built(name: &str, link: &[&str]) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let libraries = std::env::current_exe().expect("this program").parent().unwrap().to_owned();
    let out = libraries.join(format!("capi-{name}"));
    let mut cc = Command::new("cc");
    cc.args(["-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]);
    cc.arg(root.join("include")).arg(root.join("benches/capi/calls.c")).arg("-o").arg(&out);
    for word in link {
        cc.arg(word.replace("@LIB@", &libraries.display().to_string()));
    }
    assert!(cc.status().expect("a C compiler: apt-get install gcc").success(), "{cc:?}");
    out
}

/// One process of the caller: for each size and call the median ns of a packet (`/ns`), and the
/// medians of the rounds' differences (`/over`) and ratios: of all to the checked code in place
/// (`/over`), of the batch to the single call (`/single_x`).
fn measure(program: &Path, rounds: usize, sizes: &[usize]) -> Figures {
    let most = sizes[sizes.len() - 1].to_string();
    let out = Command::new(program).args([rounds.to_string(), most]).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut samples: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for line in String::from_utf8(out.stdout).expect("text").lines() {
        let (key, ns) = line.split_once('\t').expect("a key and a value");
        samples.entry(key.to_owned()).or_default().push(ns.parse().expect("ns"));
    }
    let mut figures = Figures::new();
    for streams in sizes {
        let of = |key: &str| &samples[&format!("{streams}/{key}")];
        for (key, _) in CALLS {
            let rounds = of(key).iter().zip(of("checked"));
            let over = median(&rounds.map(|(ns, checked)| ns - checked).collect::<Vec<_>>());
            figures.insert(format!("{streams}/{key}/ns"), median(of(key)));
            figures.insert(format!("{streams}/{key}/over"), over);
        }
        let rounds = of("batch").iter().zip(of("bytes"));
        let ratio = median(&rounds.map(|(batch, single)| batch / single).collect::<Vec<_>>());
        figures.insert(format!("{streams}/batch/single_x"), ratio);
    }
    figures
}

fn print_table(library: &str, launches: &Launches, sizes: &[usize]) {
    for streams in sizes {
        for (key, name) in CALLS {
            let ns = launches.spread(&format!("{streams}/{key}/ns"), 2);
            let over = launches.median(&format!("{streams}/{key}/over"));
            println!("| {streams} | {name} | {library} | {ns} | {over:+.2} |");
        }
    }
}

fn main() -> ExitCode {
    let mode = Mode::of_arguments();
    let rounds = match mode {
        Mode { measures: false, .. } => 3,
        Mode { quick: true, .. } => 21,
        Mode { quick: false, .. } => 51,
    };
    // They are short: no single launch decides in the quick form either.
    let launches = if mode.measures { mode.launches().max(3) } else { 1 };
    // There is no goal at 100,000 that is not one at 10.
    let sizes = if mode.quick || !mode.measures { &SIZES[..2] } else { &SIZES };
    let of = |program: PathBuf| {
        Launches((0..launches).map(|_| measure(&program, rounds, sizes)).collect())
    };
    let shared = of(built("shared", &["-L@LIB@", "-lchangeover", "-Wl,-rpath,@LIB@"]));
    let archive = of(built("static", &["@LIB@/libchangeover.a", "-lpthread", "-ldl", "-lm"]));

    println!("| streams x 2 | call | library | ns a packet | over the checked code in place, ns |");
    println!("|---|---|---|---|---|");
    print_table("shared", &shared, sizes);
    print_table("static", &archive, sizes);
    println!();
    // The worse of the sizes whose cells are in a cache: where they come from memory the misses
    // hide the call.
    let worse = |library: &Launches| {
        let over = |streams: usize| library.median(&format!("{streams}/bytes/over"));
        over(10).max(over(1_000))
    };
    bar("c_shared_over_inline_ns", worse(&shared), Goal::AtMost(1.5));
    bar("c_static_over_inline_ns", worse(&archive), Goal::AtMost(0.5));
    let batches = [&shared, &archive].into_iter().flat_map(|library| {
        sizes.iter().map(|streams| library.median(&format!("{streams}/batch/single_x")))
    });
    bar("c_batch_per_packet_x", batches.fold(0.0, f64::max), Goal::AtMost(1.0));
    ExitCode::SUCCESS
}
