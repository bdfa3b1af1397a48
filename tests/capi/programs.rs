//! Programs in C and C++ (`tests/c`) that use the library through its header and its ABI: each is
//! compiled by gcc and by clang, strictly, and run against the library of this build.
//!
//! `scripts/capi-sanitizers` runs the same programs under sanitizers, `scripts/check-long` for long.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::abi::Header;

/// A program that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(180);

/// What every host may ask of a header, and more.
const STRICT: &[&str] = &["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-g", "-pthread"];
const C: &[&str] = &["-std=c11", "-D_GNU_SOURCE"];
const CXX: &[&str] = &["-std=c++17"];
const STRICTER: &[&str] = &[
    "-Wconversion",
    "-Wshadow",
    "-Wundef",
    "-Wcast-qual",
    "-Wcast-align",
    "-Wredundant-decls",
    "-Wwrite-strings",
];

pub(crate) fn tests_c() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c")
}

/// Where `libchangeover.so` is: beside this test, cargo has built it there.
fn library() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}

/// Compiles these files to a program of this name.
pub(crate) fn compile(
    compiler: &str,
    flags: &[&[&str]],
    sources: &[PathBuf],
    name: &str,
) -> PathBuf {
    let library = library();
    assert!(
        library.join("libchangeover.so").exists(),
        "no libchangeover.so in {}",
        library.display()
    );
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{compiler}"));
    let mut command = Command::new(compiler);
    command.args(STRICT).args(flags.concat()).arg("-I").arg(tests_c().join("../../include"));
    command.args(sources).arg("-o").arg(&program).arg("-L").arg(&library).arg("-lchangeover");
    command.arg(format!("-Wl,-rpath,{}", library.display())).args(["-lm", "-ldl"]);
    let made = command.output().unwrap_or_else(|error| {
        panic!("{compiler} cannot be run ({error}): apt-get install gcc g++ clang libc6-dev")
    });
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{compiler} does not compile {name}:\n{said}");
    program
}

/// Runs a program to its end; what it said.
pub(crate) fn run(program: &Path, arguments: &[&str]) -> String {
    let said_at = program.with_extension("said");
    let said = File::create(&said_at).unwrap();
    let mut child = Command::new(program)
        .args(arguments)
        // Cargo's, which would come before the library that the program was linked with.
        .env_remove("LD_LIBRARY_PATH")
        // Cargo's own comes before the rpath, and may name an older build.
        .env_remove("LD_LIBRARY_PATH")
        .stdout(said.try_clone().unwrap())
        .stderr(said)
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let began = Instant::now();
    let status: Option<ExitStatus> = loop {
        match child.try_wait().unwrap() {
            Some(status) => break Some(status),
            None if began.elapsed() > LONGEST => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => sleep(Duration::from_millis(5)),
        }
    };
    let said = String::from_utf8_lossy(&fs::read(&said_at).unwrap()).into_owned();
    print!("{}: {said}", program.file_name().unwrap().to_string_lossy());
    let Some(status) = status else { panic!("{} hangs:\n{said}", program.display()) };
    assert!(status.success(), "{} {arguments:?}: {status}:\n{said}", program.display());
    said
}

/// Compiles a C program with both compilers, and runs it.
fn c_program(name: &str, arguments: &[&str]) {
    for compiler in ["gcc", "clang"] {
        let source = tests_c().join(format!("{name}.c"));
        let program = compile(compiler, &[C, &["-Wstrict-prototypes"]], &[source], name);
        let said = run(&program, arguments);
        assert!(!said.is_empty(), "{name} says nothing: has it done anything?");
    }
}

#[test]
fn the_header_alone_in_c() {
    let sources = [tests_c().join("header_a.c"), tests_c().join("header_b.c")];
    for compiler in ["gcc", "clang"] {
        let stricter = [STRICTER, &["-Wstrict-prototypes", "-Wmissing-prototypes"]].concat();
        run(&compile(compiler, &[C, &stricter], &sources, "header"), &[]);
        // Older and newer languages, without the extensions of GNU.
        for language in ["-std=c99", "-std=c17", "-std=gnu11", "-std=c2x"] {
            compile(compiler, &[&[language]], &sources, "header-other");
        }
    }
}

#[test]
fn the_header_alone_in_cxx() {
    let sources = [tests_c().join("header_a.c"), tests_c().join("header_b.c")];
    for compiler in ["g++", "clang++"] {
        for language in ["-std=c++11", "-std=c++17", "-std=c++20"] {
            let flags = [&["-x", "c++", language][..], STRICTER];
            run(&compile(compiler, &flags, &sources, "header-cxx"), &[]);
        }
    }
}

#[test]
fn garbage() {
    c_program("garbage", &[]);
}

#[test]
fn garbage_structs() {
    c_program("garbage_structs", &[]);
}

#[test]
fn garbage_values() {
    c_program("garbage_values", &[]);
}

#[test]
fn scenario_hot() {
    c_program("scenario_hot", &[]);
}

#[test]
fn scenario_cold() {
    c_program("scenario_cold", &[]);
}

#[test]
fn driver() {
    c_program("driver", &[]);
}

#[test]
fn events() {
    c_program("events", &[]);
}

#[test]
fn races() {
    c_program("races", &["5"]);
}

#[test]
fn signal() {
    c_program("signal", &["1500"]);
}

#[test]
fn fork() {
    c_program("fork", &["100"]);
}

#[test]
fn cycles() {
    c_program("cycles", &["10000", "100"]);
}

#[test]
fn timeline_eyes() {
    c_program("timeline_eyes", &[]);
}

#[test]
fn thread_end() {
    // Unloading is for a library that nobody is linked with.
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join("libchangeover-copy.so");
    fs::copy(library().join("libchangeover.so"), &copy).unwrap();
    c_program("thread_end", &[copy.to_str().unwrap()]);
}

#[test]
fn a_host_in_cxx() {
    for compiler in ["g++", "clang++"] {
        let program = compile(compiler, &[CXX], &[tests_c().join("host.cc")], "host");
        run(&program, &[]);
    }
}

/// Every program of `tests/c` has its test here (or is the sanitizers' own), and says its job.
#[test]
fn every_program_is_run() {
    let tests = fs::read_to_string(tests_c().join("../capi/programs.rs")).unwrap();
    let sanitizers = fs::read_to_string(tests_c().join("../../scripts/capi-sanitizers")).unwrap();
    for file in fs::read_dir(tests_c()).unwrap().map(|file| file.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name.ends_with(".txt") || name.ends_with(".supp") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("/* ") || text.starts_with("// "), "{name} does not say its job");
        assert!(text.lines().count() <= 400, "{name} has more than 400 lines");
        let stem = name.split('.').next().unwrap();
        let named =
            tests.contains(&format!("\"{stem}\"")) || tests.contains(&format!("\"{name}\""));
        let named = named || sanitizers.contains(&format!("tests/c/{name}"));
        assert!(named || name.ends_with(".h"), "{name} is run by no test");
    }
}

/// Every function of the header stands in one of the garbage programs, outside comments.
#[test]
fn garbage_reaches_every_function() {
    let mut words = Vec::new();
    for name in ["garbage.c", "garbage_structs.c", "garbage_values.c"] {
        let text = fs::read_to_string(tests_c().join(name)).unwrap();
        let is_code = |line: &&str| !line.trim_start().starts_with(['*', '/']);
        for line in text.lines().filter(is_code) {
            let word = |c: char| !c.is_alphanumeric() && c != '_';
            words.extend(line.split(word).map(str::to_owned));
        }
    }
    let functions = Header::read().functions;
    assert!(functions.len() > 60, "{functions:?}");
    for function in functions.keys() {
        assert!(words.contains(function), "no garbage for {function}");
    }
}
