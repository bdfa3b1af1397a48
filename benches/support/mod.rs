//! What the benches share: quantiles, launches of the same program, CPU time, tables of data, and
//! the lines that say whether a goal was met.
#![allow(dead_code, unreachable_pub, missing_docs)] // each bench uses its own part of it

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// Set in the processes that a bench starts of itself: the part that the process is to measure.
const PART: &str = "CHANGEOVER_BENCH_PART";

/// How the bench was called.
#[derive(Clone, Copy, Debug)]
pub struct Mode {
    /// `--quick`: few samples, one launch.
    pub quick: bool,
    /// `cargo bench`, as opposed to cargo's trying out of every target, or a list of names.
    pub measures: bool,
}

impl Mode {
    pub fn of_arguments() -> Self {
        let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
        let measures = asked("--bench") && !asked("--test") && !asked("--list");
        Self { quick: asked("--quick"), measures }
    }

    /// For a launch of a part in the same mode.
    pub fn arguments(self) -> &'static [&'static str] {
        if self.quick { &["--bench", "--quick"] } else { &["--bench"] }
    }

    /// Launches of the program: the address layout of one process alone can double its numbers.
    pub fn launches(self) -> usize {
        if self.quick { 1 } else { 5 }
    }
}

// --- Launches ---

/// The part that this process was started for, if it was started by [`launch`].
pub fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// A figure of this process, for the one that started it.
pub fn figure(key: impl AsRef<str>, value: f64) {
    assert!(!key.as_ref().contains(char::is_whitespace), "a figure's key is one word");
    println!("FIGURE {} {value}", key.as_ref());
}

/// The main function of a bench of parts: does one where this process was started for it, else
/// measures all that the arguments choose.
pub fn run_parts(run: impl FnOnce(&str, Mode), measure: impl FnOnce(Mode)) {
    let mode = Mode::of_arguments();
    if let Some(part) = part() {
        run(&part, mode);
    } else if mode.measures {
        measure(mode);
    }
}

/// The parts that the arguments choose; all of them where they choose none.
pub fn chosen(part: &str) -> bool {
    !names_parts() || words().any(|word| part.contains(&word))
}

pub fn names_parts() -> bool {
    words().next().is_some()
}

fn words() -> impl Iterator<Item = String> {
    std::env::args().skip(1).filter(|word| !word.starts_with("--"))
}

/// The launches of one part, if it is chosen.
pub fn launches(part: &str, times: usize, mode: Mode) -> Option<Launches> {
    if !chosen(part) {
        return None;
    }
    Some(Launches((0..times).map(|_| launch(part, mode.arguments())).collect()))
}

pub type Figures = BTreeMap<String, f64>;

/// What this program, started anew for one part of it, found. Its other lines are shown.
pub fn launch(part: &str, arguments: &[&str]) -> Figures {
    let this = std::env::current_exe().expect("this program's path");
    let output = Command::new(this).args(arguments).env(PART, part).output().expect("starts again");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the launch for {part} failed: {told}");
    let mut figures = Figures::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let figure = line.strip_prefix("FIGURE ").and_then(|rest| rest.split_once(' '));
        match figure {
            Some((key, value)) => {
                figures.insert(key.to_owned(), value.parse().expect("a figure is a number"));
            }
            None => println!("{line}"),
        }
    }
    assert!(!figures.is_empty(), "the launch for {part} found nothing: {told}");
    figures
}

/// The figures of several launches.
#[derive(Debug, Default)]
pub struct Launches(pub Vec<Figures>);

impl Launches {
    /// A quantile over the launches (0.5: the median; 0 and 1: the lowest and the highest).
    pub fn quantile(&self, key: &str, q: f64) -> f64 {
        let of = |figures: &Figures| {
            *figures.get(key).unwrap_or_else(|| panic!("no figure {key} in a launch"))
        };
        quantile(&self.0.iter().map(of).collect::<Vec<_>>(), q)
    }

    pub fn median(&self, key: &str) -> f64 {
        self.quantile(key, 0.5)
    }

    /// `median [lowest-highest]`.
    pub fn spread(&self, key: &str, digits: usize) -> String {
        let [low, median, high] = [0.0, 0.5, 1.0].map(|q| self.quantile(key, q));
        format!("{median:.digits$} [{low:.digits$}-{high:.digits$}]")
    }
}

// --- Goals ---

/// Which side of the goal is the good one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub fn is_met(self, figure: f64) -> bool {
        match self {
            Self::AtMost(most) => figure <= most,
            Self::AtLeast(least) => figure >= least,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtMost(most) => write!(f, "<={most}"),
            Self::AtLeast(least) => write!(f, ">={least}"),
        }
    }
}

/// The line that `scripts/bench` gathers: `BAR <name> <figure> <goal> met|missed`. The unit is the
/// end of the name (`_ns`, `_f` for multiples of the floor, `_x` for ratios, `_percent`, ...).
pub fn bar(name: &str, figure: f64, goal: Goal) {
    assert!(figure.is_finite(), "{name} was not measured");
    let word = if goal.is_met(figure) { "met" } else { "missed" };
    println!("BAR {name} {figure:.4} {goal} {word}");
}

// --- Numbers ---

pub fn quantile(values: &[f64], q: f64) -> f64 {
    assert!(!values.is_empty(), "no values");
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// 0..len in an order that is the same in every run.
pub fn shuffled(len: usize, seed: u64) -> Vec<usize> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut order: Vec<usize> = (0..len).collect();
    for at in (1..len).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(at, (state % (at as u64 + 1)) as usize);
    }
    order
}

// --- The system's accounts ---

/// How often the scheduler took this thread off its core; 0 where the system does not tell.
pub fn involuntary_switches() -> u64 {
    std::fs::read_to_string("/proc/thread-self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("nonvoluntary"))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
        .unwrap_or(0)
}

/// CPU time that this process has used, all its threads.
pub fn process_cpu() -> Duration {
    cpu_of(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// CPU time that this thread has used.
pub fn thread_cpu() -> Duration {
    cpu_of(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn cpu_of(clock: libc::clockid_t) -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of this frame, which the call fills in.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(failed, 0, "this system does not tell the CPU time");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Resident memory of this process, bytes.
pub fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("this system tells");
    let pages: u64 = statm.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("a number");
    pages * 4096
}

/// CPU time and voluntary switches (sleeps) of the threads of this process by name: what
/// `/proc/self/task` says. CPU time in ticks of 10 ms as the kernel keeps it, but from `schedstat`,
/// in ns.
pub fn threads() -> Vec<ThreadAccount> {
    let mut accounts = Vec::new();
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return accounts };
    for task in tasks.flatten() {
        let read = |name: &str| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let status = read("status");
        let count = |prefix: &str| -> u64 {
            let line = status.lines().find(|line| line.starts_with(prefix));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
        };
        let cpu = read("schedstat");
        let cpu = cpu.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
        accounts.push(ThreadAccount {
            name: read("comm").trim().to_owned(),
            cpu: Duration::from_nanos(cpu),
            sleeps: count("voluntary_ctxt_switches"),
        });
    }
    accounts
}

#[derive(Clone, Debug)]
pub struct ThreadAccount {
    pub name: String,
    pub cpu: Duration,
    pub sleeps: u64,
}

// --- Data for the plots ---

/// Writes rows for `scripts/bench-plots` to `target/bench/<name>.csv`.
pub fn write_data(name: &str, header: &str, rows: &[Vec<f64>]) {
    let mut text = format!("{header}\n");
    for row in rows {
        let cells: Vec<String> = row.iter().map(f64::to_string).collect();
        writeln!(text, "{}", cells.join(",")).expect("writes to a string");
    }
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join(format!("{name}.csv")), text));
    if let Err(why) = written {
        println!("could not write the data of {name}: {why}");
    }
}
