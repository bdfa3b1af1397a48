//! What the tests of the installation run, and where.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

/// The library's name.
pub(crate) const NAME: &str = "changeover";

/// The package's version.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The library's version, for its file's name.
pub(crate) static LIBRARY: LazyLock<String> = LazyLock::new(|| {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let section = text.split("[package.metadata.capi.library]").nth(1).expect("its section");
    let line = section.lines().find(|line| line.starts_with("version = ")).expect("a version");
    line.split('"').nth(1).unwrap().to_owned()
});

/// The number in the SONAME.
pub(crate) static ABI: LazyLock<String> =
    LazyLock::new(|| LIBRARY.split('.').next().unwrap().to_owned());

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Everything that these tests write.
fn place() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("install")
}

/// An empty directory of one test.
pub(crate) fn work(test: &str) -> PathBuf {
    let work = place().join(test);
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).unwrap();
    work
}

/// Fails with a clear word where a tool is missing.
pub(crate) fn on_path(tool: &str) {
    let there = |dir: PathBuf| dir.join(tool).is_file();
    let path = std::env::var_os("PATH").unwrap_or_default();
    assert!(
        tool.contains('/') || std::env::split_paths(&path).any(there),
        "`{tool}` is missing on this machine; on Debian: apt-get install gcc g++ clang make cmake pkg-config binutils"
    );
}

/// Runs a command that must work, and answers what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    on_path(command.get_program().to_str().unwrap());
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

/// Without what an outer `make` hands down.
pub(crate) fn plain(command: &mut Command) -> &mut Command {
    for name in ["MAKEFLAGS", "MFLAGS", "MAKELEVEL", "DESTDIR", "PREFIX", "LIBDIR"] {
        command.env_remove(name);
    }
    command
}

/// Runs the top `make`, one at a time.
pub(crate) fn make(target: &str, variables: &[(&str, &str)]) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut command = Command::new("make");
    plain(&mut command).arg("-C").arg(root()).arg(target);
    command.args(["PROFILE=dev", "CARGOFLAGS=--quiet"]).arg(format!("CARGO={}", env!("CARGO")));
    command.arg(format!("CARGO_TARGET_DIR={}", place().join("target").display()));
    command.args(variables.iter().map(|(name, value)| format!("{name}={value}")));
    // Line tables would make an archive of 100 MB.
    run(command.env("CARGO_PROFILE_DEV_DEBUG", "0"));
}

/// The prefix that all tests share: what `make install` has put there. `scripts/install-cargo-c`
/// gives one that it has filled itself.
pub(crate) fn prefix() -> &'static Path {
    static PREFIX: LazyLock<PathBuf> = LazyLock::new(|| {
        if let Some(given) = std::env::var_os("CHANGEOVER_INSTALLED") {
            return given.into();
        }
        let prefix = work("prefix");
        make("install", &[("PREFIX", prefix.to_str().unwrap())]);
        prefix
    });
    &PREFIX
}

/// What a program asks the dynamic linker for.
pub(crate) fn needed(program: &Path) -> Vec<String> {
    let dynamic = run(Command::new("readelf").arg("-dW").arg(program));
    let names = dynamic.lines().filter(|line| line.contains("(NEEDED)"));
    names.map(|line| line.rsplit('[').next().unwrap().trim_end_matches(']').to_owned()).collect()
}

/// Every file and link under a directory, sorted.
pub(crate) fn files(under: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![under.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                let path = entry.path();
                found.push(path.strip_prefix(under).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
