//! `scripts/bench` tells every goal, once, and fails where one is missing: with a cargo that plays
//! the benches.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The script alone in a place of its own, with a cargo that prints what lies in its folder.
struct Stage {
    place: PathBuf,
    goals: Vec<String>,
}

/// Builds nothing; "runs" a bench: its file, and its exit code where there is one.
const CARGO: &str = r#"#!/bin/sh
here=$(dirname "$0")
bench=
while [ $# -gt 0 ]; do
    case $1 in
        --no-run) exit 0 ;;
        --bench) bench=$2; shift ;;
    esac
    shift
done
[ ! -f "$here/$bench" ] || cat "$here/$bench"
[ ! -f "$here/$bench.exit" ] || exit "$(cat "$here/$bench.exit")"
"#;

impl Stage {
    fn new(test: &str) -> Self {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench_script").join(test);
        let _ = fs::remove_dir_all(&place);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/bench");
        for folder in ["scripts", "bin"] {
            fs::create_dir_all(place.join(folder)).expect("a folder");
        }
        fs::copy(&script, place.join("scripts/bench")).expect("the script");
        let cargo = place.join("bin/cargo");
        fs::write(&cargo, CARGO).expect("a file");
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("is ours");
        let text = fs::read_to_string(&script).expect("the script");
        let goals = text.split("\ngoals=(").nth(1).and_then(|rest| rest.split(')').next());
        let goals = goals.expect("its list").split_whitespace().map(str::to_owned).collect();
        Self { place, goals }
    }

    fn bench(&self, name: &str, says: &str) {
        fs::write(self.place.join("bin").join(name), says).expect("a file");
    }

    /// Whether it passed, and what it said.
    fn run(&self) -> (bool, String) {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{path}", self.place.join("bin").display());
        let mut script = Command::new("bash");
        script.arg(self.place.join("scripts/bench")).arg("--quick").env("PATH", path);
        let output = script.output().expect("bash");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(said).expect("text"))
    }

    /// One line for each of the goals that pass, in an order that is not the script's.
    fn bars(&self, of: impl Fn(&str) -> bool) -> Vec<String> {
        let goals = self.goals.iter().rev().filter(|goal| of(goal));
        goals.map(|goal| format!("BAR {goal} 1.2500 <=4 met\n")).collect()
    }
}

#[test]
fn its_last_lines_are_the_goals_in_their_order_met_or_missed() {
    let stage = Stage::new("order");
    let mut bars = stage.bars(|_| true);
    bars[0] = bars[0].replace("1.2500 <=4 met", "-7.0000 >=4 missed");
    stage.bench("hot_path", &format!("a table\n{}", bars[..20].concat()));
    stage.bench("eyes", &format!("{}\nmore\n", bars[20..].concat()));
    let (passed, said) = stage.run();
    assert!(passed, "{said}");
    let last: Vec<&str> = said.lines().skip(said.lines().count() - stage.goals.len()).collect();
    let names: Vec<&str> = last.iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert!(last.iter().all(|line| line.starts_with("BAR ")), "{said}");
    assert_eq!(names, stage.goals);
    assert!(last.last().is_some_and(|line| line.ends_with("-7.0000 >=4 missed")), "{said}");
    let kept = fs::read_to_string(stage.place.join("target/bench/hot_path.txt")).expect("is kept");
    assert!(kept.starts_with("a table\n"), "{kept}");
}

#[test]
fn a_goal_that_nobody_told_fails() {
    let stage = Stage::new("missing");
    for gone in [&stage.goals[0], &stage.goals[20]] {
        stage.bench("monitor", &stage.bars(|goal| goal != gone).concat());
        let (passed, said) = stage.run();
        assert!(!passed && said.contains(&format!("no line for the goal: {gone}\n")), "{said}");
        // The others are told all the same, and last.
        let bars = said.lines().rev().take_while(|line| line.starts_with("BAR ")).count();
        assert_eq!(bars, stage.goals.len() - 1, "{said}");
    }
}

#[test]
fn a_bench_that_fails_fails() {
    let stage = Stage::new("failing");
    stage.bench("monitor", &stage.bars(|_| true).concat());
    stage.bench("capi.exit", "101");
    let (passed, said) = stage.run();
    assert!(!passed && said.contains("FAILED: capi\n"), "{said}");
}

#[test]
fn a_line_that_is_wrong_unknown_or_told_twice_fails() {
    let stage = Stage::new("wrong");
    let bars = stage.bars(|_| true).concat();
    for wrong in ["BAR record_10_f 1.0 <=4 met\n", "BAR record_11_f 1.0 <=4 met\n"] {
        stage.bench("monitor", &format!("{bars}{wrong}"));
        let (passed, said) = stage.run();
        assert!(!passed, "{said}");
    }
    stage.bench("monitor", &bars.replace("BAR record_10_f 1.2500", "BAR record_10_f NaN"));
    let (passed, said) = stage.run();
    assert!(!passed && said.contains("no line for the goal: record_10_f\n"), "{said}");
}
