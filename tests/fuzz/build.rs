//! Compiles the C half of the `capi` target: with the instrumentation that the Rust half has, where
//! clang is there.

fn main() {
    let files = ["bytes.c", "calls.c", "host.c", "judge.c", "objects.c", "pool.c", "structs.c"];
    println!("cargo::rerun-if-changed=capi");
    println!("cargo::rerun-if-changed=../../include/changeover.h");
    println!("cargo::rerun-if-env-changed=FUZZ_PLAIN");
    let mut build = cc::Build::new();
    build.compiler("clang").include("../../include").opt_level(1).debug(true).std("c11");
    build.flag("-Wall").flag("-Wextra").flag("-Werror").define("_GNU_SOURCE", None);
    if std::env::var_os("FUZZ_PLAIN").is_none() {
        build.flag("-fsanitize=address,undefined").flag("-fsanitize-trap=undefined");
        build.flag("-fsanitize-coverage=inline-8bit-counters,pc-table,trace-cmp");
    }
    build.files(files.map(|file| format!("capi/{file}"))).compile("fuzz_capi");
}
