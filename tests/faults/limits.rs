//! What the system tells of this process, and what it may be refused.

use std::fs;

/// KiB of this process that are in memory.
pub(crate) fn resident_kib() -> u64 {
    status("VmRSS:")
}

/// KiB of address space.
pub(crate) fn address_space_kib() -> u64 {
    status("VmSize:")
}

pub(crate) fn threads() -> u64 {
    status("Threads:")
}

fn status(key: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("it has this line");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}

pub(crate) fn descriptors() -> u64 {
    fs::read_dir("/proc/self/fd").expect("Linux").count() as u64
}

/// From now on this process may have so much more address space than it has. A thread wants 2 MiB
/// for its stack.
pub(crate) fn allow_more_kib(more: u64) {
    let most = (address_space_kib() + more) * 1024;
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes the limit of this frame.
    assert_eq!(unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) }, 0);
    limit.rlim_cur = most;
    // SAFETY: reads the limit of this frame.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}
