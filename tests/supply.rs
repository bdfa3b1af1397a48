//! What the library is made of: licences, duplicate and banned crates, sources, and what it asks of
//! the system. The lists are those of `deny.toml`, which `cargo deny` reads too (`scripts/deny`);
//! this needs neither that tool nor the network. (Security advisories need the network: they are
//! not looked at.)
//!
//! Each rule is a function to complaints. It runs over the real tree, and over a bad sample that it
//! must complain about.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What no function of the library may ask of the system: the network, and other programs.
const NOT_IMPORTED: &[&str] = &[
    "accept",
    "accept4",
    "bind",
    "connect",
    "execv",
    "execve",
    "execvp",
    "fork",
    "getaddrinfo",
    "gethostbyname",
    "gethostbyname_r",
    "getnameinfo",
    "getsockopt",
    "listen",
    "popen",
    "posix_spawn",
    "posix_spawnp",
    "recv",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "res_query",
    "send",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "socket",
    "socketpair",
    "system",
    "vfork",
];

/// One crate of the tree.
#[derive(Clone, Debug, Default)]
struct Package {
    name: String,
    version: String,
    licence: String,
    source: Option<String>,
    /// It is linked into the library (or makes code of it when it is compiled).
    is_normal: bool,
}

/// The lists of `deny.toml`.
#[derive(Debug, Default)]
struct Rules {
    licences: Vec<String>,
    /// Crates that may have a licence of their own.
    exceptions: Vec<(String, String)>,
    banned: Vec<String>,
    /// Banned crates that the tests may have.
    wrapped: Vec<String>,
}

/// The quoted words of a line.
fn quoted(line: &str) -> Vec<String> {
    line.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The list `name = [ .. ]` behind the heading: its lines.
fn list<'a>(text: &'a str, heading: &str, name: &str) -> Vec<&'a str> {
    let section = text.split(&format!("[{heading}]\n")).nth(1).unwrap_or_default();
    let list = section.split(&format!("\n{name} = [")).nth(1).unwrap_or_default();
    list.split("\n]").next().unwrap_or_default().lines().collect()
}

impl Rules {
    fn read() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("deny.toml");
        let text = std::fs::read_to_string(file).expect("deny.toml is there");
        let licences = list(&text, "licenses", "allow").into_iter().flat_map(quoted).collect();
        let mut rules = Self { licences, ..Self::default() };
        let exceptions = text.lines().filter(|line| line.starts_with("exceptions"));
        for pair in exceptions.map(quoted) {
            rules.exceptions.extend(pair.chunks_exact(2).map(|p| (p[0].clone(), p[1].clone())));
        }
        for line in list(&text, "bans", "deny") {
            let words = quoted(line);
            rules.banned.extend(words.first().cloned());
            rules.wrapped.extend(words.first().filter(|_| line.contains("wrappers")).cloned());
        }
        assert!(rules.licences.len() > 4 && rules.banned.len() > 10, "not read: {rules:?}");
        assert!(rules.exceptions.len() == 2 && rules.wrapped.len() == 2, "not read: {rules:?}");
        rules
    }
}

/// The tree for Linux, as cargo has it, from what is on this machine.
fn packages() -> Vec<Package> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--offline", "--locked", "--all-features", "--format-version", "1"]);
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu"]);
    let told = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let all: Value = serde_json::from_slice(&told.stdout).expect("it is JSON");
    let nodes = all["resolve"]["nodes"].as_array().expect("nodes");
    let by_id: BTreeMap<&str, &Value> =
        nodes.iter().map(|node| (node["id"].as_str().expect("an id"), node)).collect();
    let mut normal = BTreeSet::new();
    let mut todo = vec![all["resolve"]["root"].as_str().expect("a root")];
    while let Some(id) = todo.pop() {
        if normal.insert(id) {
            let dependencies = by_id[id]["deps"].as_array().into_iter().flatten();
            let is_normal = |kinds: &Value| {
                kinds.as_array().into_iter().flatten().any(|kind| kind["kind"].is_null())
            };
            todo.extend(
                dependencies
                    .filter(|dependency| is_normal(&dependency["dep_kinds"]))
                    .filter_map(|dependency| dependency["pkg"].as_str()),
            );
        }
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let listed = all["packages"].as_array().expect("packages").iter();
    listed
        .filter(|package| by_id.contains_key(package["id"].as_str().unwrap_or_default()))
        .map(|package| Package {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: text(&package["license"]),
            source: package["source"].as_str().map(str::to_owned),
            is_normal: normal.contains(package["id"].as_str().unwrap_or_default()),
        })
        .collect()
}

/// Whether an SPDX expression can be met with these licences: an `OR` by either side, an `AND` by
/// both; brackets hold no brackets. (Old crates write `/` for `OR`.)
fn is_met(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let expression = expression.replace('/', " OR ");
    if let Some((before, rest)) = expression.split_once('(')
        && let Some((inside, behind)) = rest.split_once(')')
    {
        // Its value stands in for the brackets.
        let value = if is_met(inside, allowed) { "TRUE" } else { "FALSE" };
        return is_met(&format!("{before}{value}{behind}"), allowed);
    }
    expression.split(" OR ").any(|all| {
        all.split(" AND ").map(str::trim).all(|one| one == "TRUE" || one != "FALSE" && allowed(one))
    })
}

fn licences(packages: &[Package], rules: &Rules) -> Vec<String> {
    let is_bad = |package: &&Package| {
        let own = |licence: &str| {
            !package.is_normal
                && rules.exceptions.iter().any(|(of, is)| *of == package.name && is == licence)
        };
        let allowed = |licence: &str| rules.licences.iter().any(|it| it == licence) || own(licence);
        !is_met(&package.licence, &allowed)
    };
    let complaint = |package: &Package| format!("{}: licence {:?}", package.name, package.licence);
    packages.iter().filter(is_bad).map(complaint).collect()
}

fn duplicates(packages: &[Package], _: &Rules) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages.iter().filter(|package| package.is_normal) {
        versions.entry(&package.name).or_default().push(&package.version);
    }
    versions.retain(|_, versions| versions.len() > 1);
    versions.iter().map(|(name, versions)| format!("{name} is there as {versions:?}")).collect()
}

fn banned(packages: &[Package], rules: &Rules) -> Vec<String> {
    let is_bad = |package: &&Package| {
        let tolerated = !package.is_normal && rules.wrapped.contains(&package.name);
        rules.banned.contains(&package.name) && !tolerated
    };
    packages.iter().filter(is_bad).map(|package| format!("{} is banned", package.name)).collect()
}

fn sources(packages: &[Package], _: &Rules) -> Vec<String> {
    let is_bad = |package: &&Package| match &package.source {
        Some(source) => source != REGISTRY,
        // A path: the crate itself alone.
        None => package.name != env!("CARGO_PKG_NAME"),
    };
    let complaint = |package: &Package| format!("{} is from {:?}", package.name, package.source);
    packages.iter().filter(is_bad).map(complaint).collect()
}

/// What a listing of `nm -D --undefined-only` asks of the system that it should not.
fn imports(listing: &str) -> Vec<String> {
    let names = listing.lines().filter_map(|line| line.split_whitespace().last());
    let plain = names.map(|name| name.split('@').next().unwrap_or(name));
    plain
        .filter(|name| NOT_IMPORTED.contains(name))
        .map(|name| format!("it asks for {name}"))
        .collect()
}

fn holds(rule: fn(&[Package], &Rules) -> Vec<String>, bad: Package, complaint: &str) {
    let (rules, real) = (Rules::read(), packages());
    let with_bad = [real.clone(), vec![bad]].concat();
    let sample = rule(&with_bad, &rules);
    assert!(sample.iter().any(|line| line.contains(complaint)), "the rule is blind: {sample:?}");
    assert!(real.iter().filter(|package| package.is_normal).count() > 10, "the tree was not read");
    let complaints = rule(&real, &rules);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

fn package(name: &str) -> Package {
    Package {
        name: name.to_owned(),
        version: "0.0.1".to_owned(),
        licence: "MIT".to_owned(),
        source: Some(REGISTRY.to_owned()),
        is_normal: true,
    }
}

#[test]
fn licences_are_those_that_are_listed() {
    let bad = Package { licence: "(MIT OR Zlib) AND GPL-3.0".to_owned(), ..package("viral") };
    holds(licences, bad, "viral: licence");
    holds(licences, Package { licence: String::new(), ..package("silent") }, "silent: licence");
    let tool = Package { licence: "MPL-2.0".to_owned(), ..package("cbindgen") };
    holds(licences, tool, "cbindgen: licence");
    assert!(is_met("(MIT OR GPL-3.0) AND Zlib", &|one| one != "GPL-3.0"));
    assert!(is_met("GPL-3.0/MIT", &|one| one == "MIT"));
}

#[test]
fn no_crate_is_linked_twice() {
    holds(duplicates, package("libc"), "libc is there as");
}

#[test]
fn no_crate_opens_the_network() {
    holds(banned, package("tokio"), "tokio is banned");
    holds(banned, package("socket2"), "socket2 is banned");
    let of_a_test = Package { is_normal: false, ..package("hyper") };
    holds(banned, of_a_test, "hyper is banned");
}

#[test]
fn everything_is_from_the_registry() {
    let fork = Package { source: Some("git+https://example.org/x".to_owned()), ..package("fork") };
    holds(sources, fork, "fork is from");
    holds(sources, Package { source: None, ..package("beside") }, "beside is from");
}

/// What the library itself asks the system for: nothing of the network, no other programs. (All
/// that the standard library has of them is left out when it is linked.)
#[cfg(all(target_os = "linux", feature = "capi"))]
#[test]
fn the_library_asks_for_no_network() {
    assert_eq!(
        imports("                 U connect@GLIBC_2.2.5\n   U free\n"),
        ["it asks for connect"]
    );
    // Cargo has built it beside this test.
    let library = std::env::current_exe().unwrap().with_file_name("libchangeover.so");
    let listing = Command::new("nm").args(["-D", "--undefined-only"]).arg(&library).output();
    let listing = listing.expect("nm is there (binutils)");
    assert!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
    let listing = String::from_utf8_lossy(&listing.stdout);
    assert!(listing.contains("malloc"), "{listing}");
    let complaints = imports(&listing);
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}
