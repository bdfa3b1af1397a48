//! Counts instructions with valgrind's callgrind: the same number on a busy machine and an idle one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::child;

/// What one function of [`super::calls::one`] took, all its calls together.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Its own, and those of what it called.
    pub(crate) instructions: u64,
    /// What it called itself, and how often.
    pub(crate) callees: BTreeMap<String, u64>,
}

/// Where the counted functions live, as callgrind writes it.
const ONE: &str = "record_cost::calls::one::";

/// Runs a part of the child under callgrind, and answers what each of the functions took from the
/// child's [`child::begin`] on.
pub(crate) fn count(part: &str) -> BTreeMap<String, Counted> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("record_cost-{part}.callgrind"));
    let _ = fs::remove_file(&file);
    let said = child::under_valgrind(
        &[
            "--tool=callgrind",
            "--collect-atstart=no",
            // Counts inside of these functions only, and in what they call.
            &format!("--toggle-collect={ONE}*"),
            // Not what was needed to get ready.
            "--zero-before=record_cost::child::begin*",
            "--compress-strings=no",
            "--compress-pos=no",
            &format!("--callgrind-out-file={}", file.display()),
        ],
        part,
    );
    let text = fs::read_to_string(&file)
        .unwrap_or_else(|why| panic!("callgrind wrote no {}: {why}\n{said}", file.display()));
    let counted = read(&text);
    assert!(!counted.is_empty(), "callgrind saw none of {ONE}*: {}", file.display());
    counted
}

/// Reads callgrind's output. A function is followed by lines of its own instructions (`line
/// count`) and by its calls, of three lines: whom, how often, and what they took.
fn read(text: &str) -> BTreeMap<String, Counted> {
    let mut counted: BTreeMap<String, Counted> = BTreeMap::new();
    let (mut within, mut callee) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("fn=") {
            within = name.strip_prefix(ONE).map(short).unwrap_or_default();
        } else if let Some(name) = line.strip_prefix("cfn=") {
            callee = name.to_owned();
        } else if within.is_empty() {
        } else if let Some(rest) = line.strip_prefix("calls=") {
            let calls: u64 = rest.split(' ').next().unwrap().parse().expect("a number of calls");
            let function = counted.entry(within.clone()).or_default();
            *function.callees.entry(callee.clone()).or_default() += calls;
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let count: u64 = line.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a count");
            counted.entry(within.clone()).or_default().instructions += count;
        }
    }
    counted
}

/// The function's name without the hash that a symbol ends with.
fn short(name: &str) -> String {
    name.split("::").next().unwrap_or_default().to_owned()
}

#[test]
fn its_output_is_read() {
    let text = "\
events: Ir
fn=record_cost::calls::one::record::h0123
10 3000
12 1000
cfn=changeover::recorder::watched
calls=2 40
11 700

fn=changeover::recorder::watched
40 700

totals: 4700
";
    let counted = read(text);
    assert_eq!(counted.len(), 1);
    assert_eq!(counted["record"].instructions, 4700);
    assert_eq!(counted["record"].callees["changeover::recorder::watched"], 2);
}
