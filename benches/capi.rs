//! What a packet costs a C caller, through the shared library and from the static one, beside the
//! same code in place. Builds `capi/calls.c` against both, runs each in several processes (the
//! address layout of one alone can double its numbers), and prints medians. `--quick`: one
//! process and few rounds, for its self-checks. See README.md here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const LAUNCHES: usize = 5;
/// What the library's calls are compared with: the same code, handle check included.
const CHECKED: &str = "in place, by checked handle";

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

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// By streams, place in the order of measurement, and name.
type Medians = BTreeMap<(usize, usize, String), f64>;

/// Median ns per packet of each variant.
fn measure(program: &Path, rounds: usize) -> Medians {
    let out = Command::new(program).arg(rounds.to_string()).output().expect("it runs");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut all: BTreeMap<(usize, usize, String), Vec<f64>> = BTreeMap::new();
    let mut places: Vec<String> = Vec::new();
    for line in String::from_utf8(out.stdout).unwrap().lines() {
        let mut fields = line.split('\t');
        let streams = fields.next().unwrap().parse().unwrap();
        let variant = fields.next().unwrap().to_owned();
        let place = places.iter().position(|known| *known == variant).unwrap_or(places.len());
        if place == places.len() {
            places.push(variant.clone());
        }
        all.entry((streams, place, variant))
            .or_default()
            .push(fields.next().unwrap().parse().unwrap());
    }
    all.into_iter().map(|(key, mut values)| (key, median(&mut values))).collect()
}

fn main() -> ExitCode {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (launches, rounds) = if quick { (1, 5) } else { (LAUNCHES, 51) };
    let system = ["-lpthread", "-ldl", "-lm"];
    let shared = built("shared", &["-L@LIB@", "-lchangeover", "-Wl,-rpath,@LIB@"]);
    let mut link = vec!["@LIB@/libchangeover.a"];
    link.extend(system);
    let archive = built("static", &link);
    println!("| streams x 2 | call | library | ns a packet | over the checked code in place, ns |");
    println!("|---|---|---|---|---|");
    for (library, program) in [("shared", shared), ("static", archive)] {
        let runs: Vec<_> = (0..launches).map(|_| measure(&program, rounds)).collect();
        for key in runs[0].keys() {
            let here = |run: &Medians| run[key];
            let beside = |run: &Medians| run[key] - run[&(key.0, 2, CHECKED.to_owned())];
            let ns = median(&mut runs.iter().map(here).collect::<Vec<_>>());
            let over = median(&mut runs.iter().map(beside).collect::<Vec<_>>());
            println!("| {} | {} | {library} | {ns:.2} | {over:+.2} |", key.0, key.2);
        }
    }
    ExitCode::SUCCESS
}
