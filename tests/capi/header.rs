//! `include/changeover.h` is what `src/ffi` says, and the library exports exactly what it declares.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The sources, in the order in which the header tells of them.
const SOURCES: [&str; 13] = [
    "version", "codes", "boundary", "config", "driver", "foreign", "engine", "record", "operator",
    "status", "events", "hand", "timeline",
];
const LAST: &str = "eyes";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A number of Cargo.toml, which is the one source of versions.
fn manifest(section: &str, key: &str) -> String {
    let text = read("Cargo.toml");
    let start = text.find(&format!("[{section}]")).expect(section);
    let body = &text[start..];
    let line = body.lines().find(|line| line.starts_with(&format!("{key} = "))).expect(key);
    line.split('"').nth(1).unwrap().to_owned()
}

fn version_macros() -> String {
    let version = env!("CARGO_PKG_VERSION");
    let [major, minor, patch] = [0, 1, 2].map(|i| version.split('.').nth(i).unwrap());
    let abi = manifest("package.metadata.capi.library", "version");
    let abi = abi.split('.').next().unwrap();
    format!(
        "/* The header's version; changeover_version() is the library's. */\n\
         #define CHANGEOVER_VERSION \"{version}\"\n\
         #define CHANGEOVER_VERSION_MAJOR {major}\n\
         #define CHANGEOVER_VERSION_MINOR {minor}\n\
         #define CHANGEOVER_VERSION_PATCH {patch}\n\
         #define CHANGEOVER_VERSION_NUMBER ({major} << 16 | {minor} << 8 | {patch})\n\
         /* The number in the library's SONAME. */\n\
         #define CHANGEOVER_ABI_VERSION {abi}\n\n\
         /* A timestamp that is not there: FFmpeg's AV_NOPTS_VALUE. */\n\
         #define CHANGEOVER_NO_TIMESTAMP INT64_MIN\n"
    )
}

/// Every struct that begins with its size gets an init function.
fn inits() -> String {
    let mut names = Vec::new();
    for source in SOURCES.iter().chain([&LAST]) {
        let text = read(&format!("src/ffi/{source}.rs"));
        for list in text.split("\nsized!(").skip(1) {
            let list = list.split(')').next().unwrap();
            names.extend(
                list.split(',').map(|name| name.split(':').next().unwrap().trim().to_owned()),
            );
        }
    }
    names.retain(|name| !name.is_empty());
    names.iter().map(|name| format!("CHANGEOVER_INIT_({name})\n")).collect()
}

fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let mut builder = cbindgen::Builder::new()
        .with_config(config)
        .with_header(read("src/ffi/header/manual.h").trim_end())
        .with_after_include(version_macros());
    for source in SOURCES.iter().chain([&LAST]) {
        builder = builder.with_src(root().join(format!("src/ffi/{source}.rs")));
    }
    let mut text = Vec::new();
    builder.generate().expect("cbindgen reads src/ffi").write(&mut text);
    let text = tagged(&String::from_utf8(text).unwrap());
    // Before the end of the guard and of `extern "C"`, where cbindgen's own trailer is not.
    let end = text.rfind("#ifdef __cplusplus").expect("the end of extern \"C\"");
    let helpers = read("src/ffi/header/init.h").replace("@INITS@", &inits());
    let text = format!("{}{}\n{}", &text[..end], helpers, &text[end..]);
    text.lines().map(|line| in_brackets(line) + "\n").collect()
}

/// Gives structs a tag (their name), so that C++ users can declare them ahead.
fn tagged(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("typedef struct {") {
        let name = rest[at..].split("\n} ").nth(1).unwrap().split(';').next().unwrap();
        out.push_str(&rest[..at]);
        out.push_str(&format!("typedef struct {name} {{"));
        rest = &rest[at + "typedef struct {".len()..];
    }
    out + rest
}

/// `#define NAME -1` could be torn apart by what stands before it.
fn in_brackets(line: &str) -> String {
    match line.rsplit_once(' ') {
        Some((define, value)) if define.starts_with("#define") && value.starts_with('-') => {
            format!("{define} ({value})")
        }
        _ => line.to_owned(),
    }
}

#[test]
fn the_header_is_what_the_sources_say() {
    let made = generate();
    let path = root().join("include/changeover.h");
    if std::env::var_os("CHANGEOVER_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = made.lines().zip(committed.lines()).position(|(a, b)| a != b);
    assert!(
        made == committed,
        "include/changeover.h is not current (first at line {}): CHANGEOVER_BLESS=1 cargo test --test capi header",
        differs.map_or(0, |at| at + 1)
    );
}

/// The functions that the header declares.
fn declared() -> BTreeSet<String> {
    let header = read("include/changeover.h");
    let mut found = BTreeSet::new();
    for line in header.lines().filter(|line| !line.starts_with([' ', '*', '/', '#', 't', '}'])) {
        if line.starts_with("static inline") {
            continue;
        }
        let Some(at) = line.find("changeover_") else { continue };
        let Some(open) = line.find('(') else { continue };
        let name = line[..open].rsplit([' ', '*']).next().unwrap();
        if line[at..].contains(name) && name.starts_with("changeover_") {
            found.insert(name.to_owned());
        }
    }
    found
}

fn library() -> PathBuf {
    // Beside this test: cargo has built the package's libraries for it.
    std::env::current_exe().unwrap().with_file_name("libchangeover.so")
}

#[test]
fn the_library_exports_what_the_header_declares_and_nothing_else() {
    let declared = declared();
    assert!(declared.len() > 60, "only {} functions found in the header", declared.len());
    let sources: BTreeSet<String> = SOURCES
        .iter()
        .chain([&LAST])
        .flat_map(|source| {
            let text = read(&format!("src/ffi/{source}.rs"));
            let names = text.split("pub extern \"C\" fn ").skip(1);
            names.map(|rest| rest.split('(').next().unwrap().to_owned()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(declared, sources, "header and sources");

    let library = library();
    let nm = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output().unwrap();
    assert!(nm.status.success(), "nm {}", library.display());
    let exported: BTreeSet<String> = String::from_utf8(nm.stdout)
        .unwrap()
        .lines()
        .map(|line| line.rsplit(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(exported, declared, "library and header");
}

#[test]
fn every_code_has_a_text_and_a_number_of_its_own() {
    let header = read("include/changeover.h");
    let codes: Vec<(String, i32)> = header
        .lines()
        .filter_map(|line| line.strip_prefix("#define CHANGEOVER_"))
        .filter_map(|line| {
            let (name, value) = line.split_once(' ')?;
            value
                .trim_matches(['(', ')'])
                .parse()
                .ok()
                .filter(|code| *code < 0)
                .map(|code| (name.to_owned(), code))
        })
        .collect();
    assert!(codes.len() >= 32, "{codes:?}");
    let numbers: BTreeSet<i32> = codes.iter().map(|(_, code)| *code).collect();
    assert_eq!(numbers.len(), codes.len(), "a number twice: {codes:?}");
}
