//! `make install` as a newcomer sees it: into a prefix of its own, then programs in C and C++ that
//! find the library by pkg-config and by CMake, shared and static, and run.
//!
//! The library is built in cargo's dev profile, in a target directory of its own: the first run
//! compiles the dependencies once more. What is missing on the machine fails the test.

#[path = "install/bench.rs"]
mod bench;

use std::fs;
use std::path::Path;
use std::process::Command;

use bench::{ABI, LIBRARY, NAME, VERSION, files, make, needed, on_path, prefix, root, run, work};

/// What every program prints that has the right header and library.
fn expected() -> String {
    let [major, minor, patch] = [0, 1, 2].map(|i| part(VERSION, i));
    let number = major << 16 | minor << 8 | patch;
    let line = format!("{VERSION} number {number} abi {}", *ABI);
    format!("header {line}\nlibrary {line}\n")
}

fn part(version: &str, at: usize) -> u32 {
    version.split('.').nth(at).unwrap().parse().unwrap()
}

/// The flags that pkg-config gives, of the library under `prefix`.
fn pkg_config(prefix: &Path, flags: &[&str]) -> Vec<String> {
    let mut command = Command::new("pkg-config");
    command.args(flags).arg(NAME).env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    run(&mut command).split_whitespace().map(str::to_owned).collect()
}

/// Compiles one program with these flags, and answers where it is.
fn compile(compiler: &[&str], sources: &[&str], flags: &[String], out: &Path) {
    let mut command = Command::new(compiler[0]);
    command.args(&compiler[1..]).args(["-g", "-Wall", "-Wextra", "-Werror"]);
    command.args(sources.iter().map(|name| root().join("tests/install").join(name)));
    run(command.args(flags).arg("-pthread").arg("-o").arg(out));
}

const C: &[&str] = &["cc", "-std=c11"];
const CPP: &[&str] = &["c++", "-std=c++17"];
const WRAPPER: &[&str] = &["wrapper.cpp", "second.cpp"];

/// The warnings that the headers keep to.
const STRICT: &[&str] = &["-Wpedantic", "-Wconversion", "-Wshadow", "-Werror"];

/// Links statically what else is linked by its name.
fn archive(flags: Vec<String>) -> Vec<String> {
    let exact =
        |flag: String| if flag == "-lchangeover" { "-l:libchangeover.a".into() } else { flag };
    flags.into_iter().map(exact).collect()
}

fn soname() -> String {
    format!("libchangeover.so.{}", *ABI)
}

/// Runs a program that needs the installed shared library, or (static) must not.
fn starts(program: &Path, prefix: &Path, shared: bool) -> String {
    let needs = needed(program).contains(&soname());
    assert_eq!(needs, shared, "{} needs {:?}", program.display(), needed(program));
    let mut command = Command::new(program);
    if shared {
        command.env("LD_LIBRARY_PATH", prefix.join("lib"));
    }
    run(&mut command)
}

#[test]
fn programs_by_pkg_config() {
    let (prefix, work) = (prefix(), work("pkg-config"));
    let flags = ["--cflags", "--libs"];
    compile(C, &["program.c"], &pkg_config(prefix, &flags), &work.join("c"));
    assert_eq!(starts(&work.join("c"), prefix, true), expected());
    compile(CPP, WRAPPER, &pkg_config(prefix, &flags), &work.join("cpp"));
    assert_eq!(starts(&work.join("cpp"), prefix, true), "wrapper: all holds\n");
}

#[test]
fn static_programs_by_pkg_config() {
    let (prefix, work) = (prefix(), work("static"));
    let flags = archive(pkg_config(prefix, &["--static", "--cflags", "--libs"]));
    assert!(flags.contains(&"-lm".to_owned()), "no private libraries in {flags:?}");
    compile(C, &["program.c"], &flags, &work.join("c"));
    assert_eq!(starts(&work.join("c"), prefix, false), expected());
    compile(CPP, WRAPPER, &flags, &work.join("cpp"));
    assert_eq!(starts(&work.join("cpp"), prefix, false), "wrapper: all holds\n");
}

#[test]
fn programs_by_cmake() {
    let (prefix, work) = (prefix(), work("cmake"));
    let said = cmake(&work, prefix, VERSION);
    assert!(said.contains(&format!("changeover version: {VERSION}\n")), "{said}");
    run(Command::new("cmake").arg("--build").arg(&work).args(["-j", "2"]));
    for (name, shared) in [("shared", true), ("static", false)] {
        let program = work.join(format!("c-{name}"));
        assert_eq!(starts(&program, prefix, shared), expected());
        let program = work.join(format!("cpp-{name}"));
        assert_eq!(starts(&program, prefix, shared), "wrapper: all holds\n");
    }
}

/// Configures the project of `tests/install`.
fn cmake(work: &Path, prefix: &Path, wanted: &str) -> String {
    run(&mut cmake_command(work, prefix, wanted))
}

fn cmake_command(work: &Path, prefix: &Path, wanted: &str) -> Command {
    let mut command = Command::new("cmake");
    command.arg("-S").arg(root().join("tests/install")).arg("-B").arg(work);
    command.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display()));
    command.arg(format!("-DWANTED={wanted}"));
    command
}

#[test]
fn cmake_takes_versions_that_fit_and_no_other() {
    on_path("cmake");
    let (major, minor) = (part(VERSION, 0), part(VERSION, 1));
    let next = if major == 0 { format!("0.{}", minor + 1) } else { format!("{}.0", major + 1) };
    for (wanted, fits) in [
        (String::new(), true),
        (format!("{major}.{minor}"), true),
        (format!("{VERSION};EXACT"), true),
        (format!("{major}.{minor}.999"), false),
        (next, false),
        (format!("{}.0", major + 1), false),
    ] {
        let work = work(&format!("cmake-{}", wanted.replace(';', "-")));
        let output = cmake_command(&work, prefix(), &wanted).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), fits, "wanted {wanted:?}: {said}");
    }
}

/// A tree that was moved after `make install-strip` still works.
#[test]
fn the_prefix_can_be_moved() {
    let work = work("moved");
    let (first, second) = (work.join("first"), work.join("deeper/second"));
    make("install-strip", &[("PREFIX", first.to_str().unwrap())]);
    fs::create_dir(work.join("deeper")).unwrap();
    fs::rename(&first, &second).unwrap();
    compile(C, &["program.c"], &pkg_config(&second, &["--cflags", "--libs"]), &work.join("c"));
    assert_eq!(starts(&work.join("c"), &second, true), expected());
    let said = cmake(&work.join("build"), &second, VERSION);
    assert!(said.contains(&format!("changeover version: {VERSION}\n")), "{said}");
    run(Command::new("cmake")
        .arg("--build")
        .arg(work.join("build"))
        .args(["--target", "c-static"]));
    assert_eq!(starts(&work.join("build/c-static"), &second, false), expected());
}

/// A package's build: DESTDIR in front, libraries where the distribution has them; and
/// `make uninstall` leaves nothing.
#[test]
fn packages_and_uninstall() {
    let work = work("package");
    let destdir = work.join("stage");
    let variables = [
        ("DESTDIR", destdir.to_str().unwrap()),
        ("PREFIX", "/usr"),
        ("LIBDIR", "/usr/lib/x86_64-linux-gnu"),
    ];
    make("install", &variables);
    let lib = "usr/lib/x86_64-linux-gnu";
    let mut wanted = vec![
        "usr/include/changeover.h".to_owned(),
        "usr/include/changeover.hpp".to_owned(),
        format!("{lib}/cmake/changeover/changeover-config-version.cmake"),
        format!("{lib}/cmake/changeover/changeover-config.cmake"),
        format!("{lib}/libchangeover.a"),
        format!("{lib}/libchangeover.so"),
        format!("{lib}/{}", soname()),
        format!("{lib}/libchangeover.so.{}", *LIBRARY),
        format!("{lib}/pkgconfig/changeover.pc"),
    ];
    wanted.sort();
    assert_eq!(files(&destdir), wanted);
    let link = |name: &str| fs::read_link(destdir.join(lib).join(name)).unwrap();
    assert_eq!(link("libchangeover.so").to_str(), Some(&*soname()));
    assert_eq!(link(&soname()).to_str(), Some(&*format!("libchangeover.so.{}", *LIBRARY)));
    for file in files(&destdir) {
        let text = fs::read(destdir.join(&file)).unwrap();
        let stage = destdir.to_str().unwrap().as_bytes();
        let named = text.windows(stage.len()).any(|part| part == stage);
        assert!(!named, "{file} knows DESTDIR");
    }
    make("uninstall", &variables);
    assert_eq!(files(&destdir), Vec::<String>::new());
    // Nothing to remove is fine.
    make("uninstall", &variables);
}

/// Versions have one source: Cargo.toml.
#[test]
fn one_version_everywhere() {
    let prefix = prefix();
    assert_eq!(pkg_config(prefix, &["--modversion"]), [VERSION]);
    let library = prefix.join("lib").join(format!("libchangeover.so.{}", *LIBRARY));
    let dynamic = run(Command::new("readelf").arg("-dW").arg(&library));
    assert!(dynamic.contains(&format!("Library soname: [{}]", soname())), "{dynamic}");
    let header = fs::read_to_string(prefix.join("include/changeover.h")).unwrap();
    for line in [
        format!("#define CHANGEOVER_VERSION \"{VERSION}\""),
        format!("#define CHANGEOVER_VERSION_MAJOR {}", part(VERSION, 0)),
        format!("#define CHANGEOVER_VERSION_MINOR {}", part(VERSION, 1)),
        format!("#define CHANGEOVER_VERSION_PATCH {}", part(VERSION, 2)),
        format!("#define CHANGEOVER_ABI_VERSION {}", *ABI),
    ] {
        assert!(header.lines().any(|found| found == line), "no `{line}` in changeover.h");
    }
    // What the library answers itself is in `expected`, which every program is compared with;
    // what CMake says is in `programs_by_cmake`.
}

/// The two compilers, and what hosts set: warnings as errors, no exceptions, no RTTI, C++20.
#[test]
fn the_headers_are_clean() {
    let examples = root().join("examples/c");
    for (compilers, standards, sources) in [
        (["gcc", "clang"], ["-std=c99", "-std=gnu11"], ["program.c", "failover.c"]),
        (["g++", "clang++"], ["-std=c++17", "-std=c++20"], ["wrapper.cpp", "failover.cpp"]),
    ] {
        for compiler in compilers {
            let mut command = Command::new(compiler);
            command.args(["-Wall", "-Wextra"]).args(STRICT).arg("-I").arg(prefix().join("include"));
            command.args([standards[1], "-fsyntax-only"]).arg(examples.join(sources[1]));
            run(&mut command);
            for standard in standards {
                let mut command = Command::new(compiler);
                command.args(["-Wall", "-Wextra"]).args(STRICT);
                command.arg("-I").arg(prefix().join("include")).args([standard, "-fsyntax-only"]);
                run(command.arg(root().join("tests/install").join(sources[0])));
            }
        }
    }
    let second = root().join("tests/install/second.cpp");
    for compiler in ["g++", "clang++"] {
        let mut command = Command::new(compiler);
        command
            .args(["-std=c++17", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra"])
            .args(STRICT);
        command.arg("-I").arg(prefix().join("include")).arg("-fsyntax-only").arg(&second);
        run(&mut command);
    }
}

/// Whatever C can do, C++ can.
#[test]
fn the_wrapper_has_everything() {
    let header = fs::read_to_string(root().join("include/changeover.h")).unwrap();
    let wrapper = fs::read_to_string(root().join("include/changeover.hpp")).unwrap();
    let words = |text: &str| -> std::collections::BTreeSet<String> {
        let names = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        names.map(str::to_owned).collect()
    };
    let known = words(&wrapper);
    let mut missing = Vec::new();
    let mut seen = 0;
    for line in header.lines() {
        // Functions stand at the beginning of a line, with what they answer.
        let function = ["int32_t ", "int64_t ", "uint32_t ", "void ", "const char *"]
            .iter()
            .find_map(|answer| line.strip_prefix(answer))
            .and_then(|rest| rest.split_once('('))
            .map(|(name, _)| name);
        let constant = line.strip_prefix("#define ").and_then(|rest| rest.split_once(' '));
        let constant = constant.map(|(name, _)| name);
        for name in function.into_iter().chain(constant) {
            seen += 1;
            let version =
                name.starts_with("CHANGEOVER_VERSION") || name == "CHANGEOVER_ABI_VERSION";
            if !version && !known.contains(name) {
                missing.push(name.to_owned());
            }
        }
    }
    assert!(seen > 150, "only {seen} names found in changeover.h");
    missing.retain(|name| !name.starts_with("CHANGEOVER_INIT_"));
    assert!(missing.is_empty(), "changeover.hpp does not have {missing:?}");
    // Fields of structs that the wrapper spells out (the others it derives from).
    for of in ["health_config", "engine_config", "input_config", "stream_config", "engine_options"]
    {
        let body = header.split(&format!("typedef struct changeover_{of} {{")).nth(1).expect(of);
        let body = body.split('}').next().unwrap();
        for line in body.lines().filter(|line| line.ends_with(';')) {
            let field = line.trim_end_matches(';').rsplit([' ', '*']).next().unwrap();
            let set = ["c.", "c_."].iter().any(|c| wrapper.contains(&format!("{c}{field} = ")));
            let made = matches!(field, "size" | "reserved");
            assert!(set || made, "changeover.hpp never sets {field} of {of}");
        }
    }
}

/// What the README shows of C and C++ is a program of these tests.
#[test]
fn the_readme_s_programs() {
    let (prefix, work) = (prefix(), work("readme"));
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for (fence, source, compiler) in [("```c\n", "readme.c", C), ("```cpp\n", "readme.cpp", CPP)] {
        let program = fs::read_to_string(root().join("tests/install").join(source)).unwrap();
        for shown in readme.split(fence).skip(1) {
            let shown = shown.split("```").next().unwrap();
            assert_eq!(shown, program, "README.md and tests/install/{source}");
        }
        let flags = pkg_config(prefix, &["--cflags", "--libs"]);
        compile(compiler, &[source], &flags, &work.join(source));
        assert_eq!(starts(&work.join(source), prefix, true), "send it\n");
    }
}

/// The same program three times: each fails over and back, and says so.
#[test]
fn the_failover_examples() {
    let (prefix, work) = (prefix(), work("examples"));
    on_path("pkg-config");
    let mut command = Command::new("make");
    command.arg("-C").arg(root().join("examples/c")).arg(format!("OUT={}", work.display()));
    run(bench::plain(&mut command).env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")));
    for name in ["failover-c", "failover-cpp"] {
        fails_over(&starts(&work.join(name), prefix, true));
    }
    // Cargo has built the example for this test run.
    let rust = std::env::current_exe().unwrap();
    let rust = rust.ancestors().nth(2).unwrap().join("examples/failover");
    assert!(rust.exists(), "{} is missing: cargo build --examples", rust.display());
    fails_over(&run(&mut Command::new(rust)));
}

fn fails_over(said: &str) {
    let order = [
        "first packet of 0",
        "the main feed is killed",
        "switched from 0 to 1: timeout",
        "first packet of 1",
        "the main feed is back",
        "switched from 1 to 0: failback",
        "\"active_input_priority\":0",
        "failover: yes, failback: yes, ",
    ];
    let mut rest = said;
    for text in order {
        let at = rest.find(text).unwrap_or_else(|| panic!("no `{text}`, in this order, in {said}"));
        rest = &rest[at..];
    }
}

/// `cargo cinstall` gets the same files (scripts/install-cargo-c installs with it, and compares).
#[test]
fn cargo_c_is_told_of_every_file() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let install = manifest.split("[package.metadata.capi.install.").skip(1);
    let install: String = install.map(|section| section.split("\n[").next().unwrap()).collect();
    let headers = files(&root().join("include")).into_iter().map(|name| format!("include/{name}"));
    for file in headers.chain(["cmake/*.cmake".to_owned()]) {
        assert!(install.contains(&format!("from = \"{file}\"")), "cinstall leaves out {file}");
    }
}

/// `make` without work to do needs no cargo, so that root needs none.
#[test]
fn install_alone_needs_no_cargo() {
    let work = work("no-cargo");
    prefix();
    let to = work.join("prefix");
    let variables = [("PREFIX", to.to_str().unwrap()), ("CARGO", "no-such-program")];
    make("install", &variables);
    assert!(to.join("lib/libchangeover.so").exists());
}
