//! What the machine code that was executed says: instructions that take a cache line from other
//! cores, or leave the program.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// This program's instructions as objdump writes them, by their place in the file.
pub(crate) fn of_this_program() -> BTreeMap<u64, String> {
    let this = std::env::current_exe().expect("a test knows its own path");
    let mut objdump = Command::new("objdump");
    objdump.args(["--disassemble", "--no-show-raw-insn", "--section=.text"]).arg(this);
    let output = objdump.output().unwrap_or_else(|why| {
        panic!("`objdump`: {why}; on Debian: apt-get install binutils");
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    read(&String::from_utf8_lossy(&output.stdout))
}

/// Lines of `   12ab:<tab>mov    %rax,(%rdi)`.
fn read(text: &str) -> BTreeMap<u64, String> {
    let line = |line: &str| {
        let (address, code) = line.trim_start().split_once(":\t")?;
        Some((u64::from_str_radix(address, 16).ok()?, code.trim().to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// Those that a packet must not need. An exchange with memory locks by itself.
pub(crate) fn shared(code: &BTreeMap<u64, String>, executed: &BTreeSet<u64>) -> Vec<String> {
    let bad = |code: &&String| {
        let word = code.split_whitespace().next().unwrap_or_default();
        let listed = ["lock", "mfence", "sfence", "syscall", "int", "cpuid"].contains(&word);
        listed || (word.starts_with("xchg") && code.contains('('))
    };
    executed.iter().filter_map(|address| code.get(address)).filter(bad).cloned().collect()
}

#[test]
fn a_locked_instruction_shows() {
    let text = "
0000000000001000 <one>:
    1000:\tmov    %rax,(%rdi)
    1003:\tlock xadd %rax,0x8(%rdi)
    1009:\txchg   %ax,%ax
    100b:\txchg   %rax,(%rdi)
    100e:\tlock incl (%rdi)
";
    let code = read(text);
    assert_eq!(code.len(), 5);
    let executed = BTreeSet::from([0x1000, 0x1003, 0x1009, 0x100b]);
    assert_eq!(shared(&code, &executed), ["lock xadd %rax,0x8(%rdi)", "xchg   %rax,(%rdi)"]);
}
