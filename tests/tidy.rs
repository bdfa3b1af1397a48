//! The house rules of `src/`, as a test: who may import whom, and which words stay in which room.
//!
//! Each rule is a function from sources to complaints. It runs over the real sources, and over a
//! bad sample that it must complain about.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The modules, bottom to top. A module imports from lower layers only; `lib.rs` stands above all.
const LAYERS: &[&[&str]] = &[
    // The vocabulary.
    &["types", "error", "spans", "rules", "config", "sync", "flags", "timeline"],
    // Data, shared memory, and what the host is shown and told.
    &["publish", "deadlines", "hostcall", "cell", "slab", "driver", "stats", "status", "eyes"],
    &["clock", "handover", "routes", "events", "sentry"],
    // The pure decision; the callbacks' thread.
    &["machine", "notify"],
    // One stream: its cells, its lock. All streams.
    &["plane"],
    &["stream"],
    &["core"],
    // Packets in, the control loop, host work out, views.
    &["recorder", "monitor", "workers", "ticket", "metrics"],
    // The public handle, how it is made, and its hand-driven twin.
    &["life"],
    &["engine"],
    &["builder"],
    &["hand"],
    // The C ABI.
    &["ffi"],
];

/// Imports between two modules of one layer that are allowed.
const SAME_LAYER: &[(&str, &str)] = &[
    ("error", "types"),
    ("spans", "types"),
    ("spans", "error"),
    ("rules", "types"),
    ("rules", "error"),
    ("rules", "spans"),
    ("config", "types"),
    ("config", "error"),
    ("config", "spans"),
    ("config", "rules"),
    ("config", "sync"),
    ("timeline", "types"),
    ("timeline", "error"),
    ("slab", "cell"),
];

/// The files that may say `unsafe`.
const UNSAFE_ROOMS: &[&str] = &[
    // A prefetch; what loom's stand-ins make of words and addresses.
    "sync.rs",
    "sync/model.rs",
    "sync/model/epoch.rs",
    "slab.rs",
    "slab/loans.rs",
    "recorder.rs",
    "routes.rs",
    "clock.rs",
    // Handles; pointers; what a host gives is shared between threads; a descriptor.
    "ffi/slots.rs",
    "ffi/boundary.rs",
    "ffi/driver.rs",
    "ffi/foreign.rs",
    "ffi/bell.rs",
];

/// What an export has to say, which is no unsafe code.
const EXPORT: &str = "#[unsafe(no_mangle)]";

/// The files that may read a clock of the system: the engine's clock, and what waits for other
/// threads up to a given time. Nothing is decided by the latter.
const CLOCK_ROOMS: &[&str] = &["clock.rs", "events/bus.rs", "core.rs", "life.rs", "workers/mod.rs"];

/// Longest file, in lines, and the files that are longer for a reason.
const MAX_LINES: usize = 500;
const LONG_FILES: &[&str] = &[];

/// What the pure machine never names.
const NOT_IN_THE_MACHINE: &[&str] =
    &["std::time", "std::thread", "Atomic", "Mutex", "RwLock", "quanta", "Instant", "SystemTime"];

/// Its view passes wall times through into the status; it is given them.
const MACHINE_SHOWS_WALL_TIME: (&str, &[&str]) = ("machine/view.rs", &["std::time", "SystemTime"]);

/// One file of `src/`.
struct Source {
    /// Relative to `src/`.
    path: String,
    text: String,
    /// The text without comments, literals and test modules, line for line.
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let code = without_test_modules(&without_comments_and_literals(text));
        let code = if path.starts_with("ffi/") { code.replace(EXPORT, "") } else { code };
        Self { path: path.to_owned(), text: text.to_owned(), code }
    }

    /// The module at the crate's root that the file belongs to.
    fn module(&self) -> &str {
        self.path.split('/').next().unwrap_or_default().trim_end_matches(".rs")
    }

    fn is_test(&self) -> bool {
        let is_test = |part: &str| ["tests", "tests.rs"].contains(&part);
        self.is_model() || self.path.split('/').any(is_test)
    }

    /// What only loom runs: it may use all that it looks into.
    fn is_model(&self) -> bool {
        self.path.split('/').any(|part| ["models", "models.rs"].contains(&part))
    }

    fn line_of(&self, at: usize) -> usize {
        self.code[..at].matches('\n').count() + 1
    }

    /// Where the code has `word`, standing alone, as complaints.
    fn uses<'a>(&'a self, word: &'a str, why: &'a str) -> impl Iterator<Item = String> + 'a {
        words(&self.code, word)
            .map(move |at| format!("src/{}:{}: `{word}`: {why}", self.path, self.line_of(at)))
    }
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where `word` stands in `code` with no letter of a name before or behind it.
fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
        !code[..at].ends_with(is_name) && !code[at + word.len()..].starts_with(is_name)
    })
}

/// Blanks comments, strings and characters, and keeps the lines.
fn without_comments_and_literals(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let starts = |at: usize, what: &str| {
        what.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c))
    };
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while at < chars.len() {
        let begun = at;
        let in_name = at > 0 && is_name(chars[at - 1]);
        if starts(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            let mut depth = 0;
            loop {
                if starts(at, "/*") {
                    depth += 1;
                    at += 2;
                } else if starts(at, "*/") {
                    depth -= 1;
                    at += 2;
                } else {
                    at += 1;
                }
                if depth == 0 || at >= chars.len() {
                    break;
                }
            }
        } else if !in_name && chars[at] == 'r' && (starts(at + 1, "\"") || starts(at + 1, "#")) {
            let hashes = chars[at + 1..].iter().take_while(|&&c| c == '#').count();
            if chars.get(at + 1 + hashes) == Some(&'"') {
                let end = format!("\"{}", "#".repeat(hashes));
                at += 2 + hashes;
                while at < chars.len() && !starts(at, &end) {
                    at += 1;
                }
                at += end.len();
            }
        } else if chars[at] == '"' {
            at += 1;
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if chars[at] == '\'' && (starts(at + 1, "\\") || starts(at + 2, "'")) {
            at += 2;
            while at < chars.len() && chars[at] != '\'' {
                at += 1;
            }
            at += 1;
        }
        if at == begun {
            out.push(chars[at]);
            at += 1;
        } else {
            let blank = |c: &char| if *c == '\n' { '\n' } else { ' ' };
            out.extend(chars[begun..at.min(chars.len())].iter().map(blank));
        }
    }
    out
}

/// Blanks `#[cfg(test)] mod name { .. }`, and keeps the lines.
fn without_test_modules(code: &str) -> String {
    let mut out = code.to_owned();
    let mut from = 0;
    while let Some(at) = out[from..].find("#[cfg(test)]").map(|at| at + from) {
        from = at + 1;
        let rest = out[at + "#[cfg(test)]".len()..].trim_start();
        let (Some(open), true) = (out[at..].find('{'), rest.starts_with("mod ")) else { continue };
        if out[at..at + open].contains(';') {
            continue;
        }
        let mut depth = 0;
        let end = out[at + open..].char_indices().find_map(|(i, c)| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            (depth == 0).then_some(at + open + i + 1)
        });
        let end = end.unwrap_or(out.len());
        let lines = "\n".repeat(out[at..end].matches('\n').count());
        out.replace_range(at..end, &lines);
    }
    out
}

/// The modules that the code names behind `crate::`, with the place of each.
fn imports(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in words(code, "crate").filter(|at| code[at + 5..].starts_with("::")) {
        let rest = code[at + 7..].trim_start();
        let Some(group) = rest.strip_prefix('{') else {
            found.push((at, rest.chars().take_while(|&c| is_name(c)).collect()));
            continue;
        };
        let (mut depth, mut name, mut taken) = (1, String::new(), false);
        for c in group.chars() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            if depth == 0 || (depth == 1 && c == ',') {
                found.push((at, std::mem::take(&mut name)));
                taken = false;
            } else if is_name(c) && !taken {
                name.push(c);
            } else if !name.is_empty() {
                taken = true;
            }
            if depth == 0 {
                break;
            }
        }
    }
    found.retain(|(_, name)| !name.is_empty());
    found
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

fn imports_go_downwards(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources.iter().filter(|s| s.module() != "lib" && !s.is_model()) {
        let from = source.module();
        let Some(own) = layer(from) else {
            complaints
                .push(format!("src/{}: not in the layers table of tests/tidy.rs", source.path));
            continue;
        };
        for (at, to) in imports(&source.code).into_iter().filter(|(_, to)| to != from) {
            let allowed = match layer(&to) {
                Some(other) => other < own || SAME_LAYER.contains(&(from, to.as_str())),
                None => false,
            };
            if !allowed {
                let line = source.line_of(at);
                complaints.push(format!(
                    "src/{}:{line}: `{from}` may not use `crate::{to}`",
                    source.path
                ));
            }
        }
    }
    complaints
}

fn shared_memory_names_come_from_sync(sources: &[Source]) -> Vec<String> {
    let rooms = |source: &&Source| source.module() != "sync" && !source.is_test();
    let why = "goes through crate::sync, so that a model checker can replace it";
    let banned = ["std::sync", "core::sync", "parking_lot"];
    let mut complaints: Vec<String> = Vec::new();
    for source in sources.iter().filter(rooms) {
        complaints.extend(banned.iter().flat_map(|word| source.uses(word, why)));
        for at in words(&source.code, "std").filter(|at| source.code[at + 3..].starts_with("::{")) {
            let group = source.code[at..].split(';').next().unwrap_or_default();
            if words(group, "sync").next().is_some() {
                let line = source.line_of(at);
                complaints.push(format!("src/{}:{line}: `std::{{sync}}`: {why}", source.path));
            }
        }
    }
    complaints
}

fn the_clock_is_read_in_its_room(sources: &[Source]) -> Vec<String> {
    let outside =
        |source: &&Source| !CLOCK_ROOMS.contains(&source.path.as_str()) && !source.is_test();
    let why = "time comes from crate::clock, or is given";
    let both = |source| {
        ["Instant::now", "SystemTime::now"]
            .into_iter()
            .flat_map(move |word| Source::uses(source, word, why))
    };
    sources.iter().filter(outside).flat_map(both).collect()
}

fn unsafe_stays_in_its_rooms(sources: &[Source]) -> Vec<String> {
    let outside = |source: &&Source| !UNSAFE_ROOMS.contains(&source.path.as_str());
    let why = "add the file to UNSAFE_ROOMS of tests/tidy.rs only with a reason";
    sources.iter().filter(outside).flat_map(|source| source.uses("unsafe", why)).collect()
}

fn the_machine_is_pure(sources: &[Source]) -> Vec<String> {
    let inside = |source: &&Source| source.module() == "machine" && !source.is_test();
    let mut complaints = Vec::new();
    for source in sources.iter().filter(inside) {
        let (view, passed) = MACHINE_SHOWS_WALL_TIME;
        let banned = |word: &&&str| source.path != view || !passed.contains(*word);
        for word in NOT_IN_THE_MACHINE.iter().filter(banned) {
            // A beginning of a name counts: `Atomic` is also `AtomicU64`.
            for (at, _) in source.code.match_indices(word) {
                let line = source.line_of(at);
                complaints
                    .push(format!("src/{}:{line}: `{word}` in the pure machine", source.path));
            }
        }
    }
    complaints
}

fn every_file_says_its_job(sources: &[Source]) -> Vec<String> {
    let silent = |source: &&Source| !source.text.starts_with("//! ");
    let complaint = |source: &Source| format!("src/{}: does not start with `//! `", source.path);
    sources.iter().filter(silent).map(complaint).collect()
}

fn files_are_short(sources: &[Source]) -> Vec<String> {
    let complaint = |source: &Source| {
        let (lines, listed) = (source.text.lines().count(), LONG_FILES.contains(&&*source.path));
        match (lines > MAX_LINES, listed) {
            (true, false) => {
                Some(format!("src/{}: {lines} lines, more than {MAX_LINES}", source.path))
            }
            (false, true) => {
                Some(format!("src/{}: no longer long: take it off LONG_FILES", source.path))
            }
            _ => None,
        }
    };
    sources.iter().filter_map(complaint).collect()
}

/// Every name in a table above stands for something that exists.
fn the_tables_are_current(sources: &[Source]) -> Vec<String> {
    let modules: BTreeSet<&str> = sources.iter().map(Source::module).collect();
    let layered = LAYERS.iter().copied().flatten().filter(|module| !modules.contains(*module));
    let mut complaints: Vec<String> =
        layered.map(|module| format!("LAYERS: there is no module `{module}`")).collect();
    for room in UNSAFE_ROOMS {
        let needed = |source: &Source| {
            source.path == *room && words(&source.code, "unsafe").next().is_some()
        };
        if !sources.iter().any(needed) {
            complaints.push(format!("UNSAFE_ROOMS: `{room}` has no `unsafe`"));
        }
    }
    for room in CLOCK_ROOMS.iter().chain(LONG_FILES) {
        if !sources.iter().any(|source| source.path == *room) {
            complaints.push(format!("CLOCK_ROOMS or LONG_FILES: there is no `{room}`"));
        }
    }
    complaints
}

fn read(folder: &Path, prefix: &str, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).expect("src/ can be read").map(Result::unwrap) {
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            read(&entry.path(), &format!("{path}/"), sources);
        } else if path.ends_with(".rs") {
            sources.push(Source::new(&path, &fs::read_to_string(entry.path()).unwrap()));
        }
    }
}

/// The rule holds for the real sources, and sees what is wrong with the sample, at its line.
fn holds(rule: fn(&[Source]) -> Vec<String>, bad_path: &str, bad_text: &str, complaint: &str) {
    let sample = rule(&[Source::new(bad_path, bad_text)]);
    assert!(
        sample.iter().any(|line| line.contains(complaint)),
        "the rule is blind: {bad_path} gave {sample:?}, not {complaint:?}"
    );
    let mut sources = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    assert!(sources.len() > 10, "src/ was not found");
    let complaints = rule(&sources);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn layers() {
    let upwards = "//! x\nuse std::fmt;\nuse crate::{\n    types::A,\n    engine::{B, C},\n};\n";
    holds(
        imports_go_downwards,
        "cell.rs",
        upwards,
        "src/cell.rs:3: `cell` may not use `crate::engine`",
    );
    let sideways = "fn f() { crate::deadlines::next() }";
    holds(imports_go_downwards, "cell.rs", sideways, "`cell` may not use `crate::deadlines`");
    holds(imports_go_downwards, "cell.rs", "use crate::Error;", "`crate::Error`");
    holds(imports_go_downwards, "new.rs", "", "not in the layers table");
}

#[test]
fn sync_is_the_only_door() {
    let rule = shared_memory_names_come_from_sync;
    holds(rule, "cell.rs", "//! x\nuse std::sync::Arc;", "src/cell.rs:2: `std::sync`");
    holds(rule, "cell.rs", "use std::{fmt, sync::Arc};", "`std::{sync}`");
    holds(rule, "machine/cut.rs", "use parking_lot::Mutex;", "`parking_lot`");
}

#[test]
fn clock() {
    let rule = the_clock_is_read_in_its_room;
    holds(rule, "monitor.rs", "let t = Instant::now();", "`Instant::now`");
    holds(rule, "status.rs", "std::time::SystemTime::now()", "`SystemTime::now`");
}

#[test]
fn unsafe_code() {
    let bad = "// unsafe in a comment\n#![forbid(unsafe_code)]\nlet x = unsafe { y() };";
    holds(unsafe_stays_in_its_rooms, "engine.rs", bad, "src/engine.rs:3: `unsafe`");
}

#[test]
fn machine() {
    let rule = the_machine_is_pure;
    holds(rule, "machine/health.rs", "//! x\nuse crate::sync::AtomicU64;", "health.rs:2: `Atomic`");
    holds(rule, "machine/mod.rs", "use std::time::Duration;", "`std::time`");
}

#[test]
fn first_lines() {
    holds(every_file_says_its_job, "cell.rs", "use std::fmt;\n//! late", "src/cell.rs: does not");
}

#[test]
fn lengths() {
    holds(files_are_short, "cell.rs", &"//! x\n".repeat(MAX_LINES + 1), "501 lines");
}

#[test]
fn tables() {
    holds(the_tables_are_current, "lib.rs", "", "LAYERS: there is no module `types`");
}

#[test]
fn what_is_not_code_does_not_count() {
    let text = "//! unsafe\nlet a = \"unsafe \\\" unsafe\"; /* unsafe /* unsafe */ unsafe */\n\
        let b = r#\"unsafe \" unsafe\"#; let c = ['\"', '\\'', 'u']; fn f<'a>(x: &'a str) {}\n\
        #[cfg(test)]\nmod tests {\n    fn g() { unsafe { h() } }\n}\nfn real() {}\n";
    let source = Source::new("engine.rs", text);
    assert_eq!(words(&source.code, "unsafe").count(), 0, "{}", source.code);
    assert_eq!(source.code.lines().count(), text.lines().count());
    assert!(source.code.contains("fn real()") && source.code.contains("fn f<'a>(x: &'a str)"));
}
