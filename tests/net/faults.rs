//! The faults: rules of nftables in the relay's namespace, a token bucket in a feeder's.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// What is wrong with a port of the relay's.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// So many of 100 datagrams are lost.
    Loss(u32),
    /// All.
    BlackHole,
}

/// Runs it to its end; a tool that refuses is the end of all.
pub(crate) fn tool(program: &str, arguments: &[&str]) {
    let done = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|why| panic!("{program}: {why}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{program} {arguments:?}: {said}");
}

fn nft(script: &str) {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nft is there (apt-get install nftables)");
    child.stdin.take().expect("piped").write_all(script.as_bytes()).expect("it reads");
    let done = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "nft: {said}: {script}");
}

/// No fault at all.
pub(crate) fn none() {
    nft("add table ip faults\n\
         add chain ip faults input { type filter hook input priority 0; }\n\
         flush chain ip faults input\n");
}

/// In force until [`none`].
pub(crate) fn add(port: u16, fault: Fault) {
    let what = match fault {
        Fault::Loss(percent) => format!("numgen random mod 100 < {percent} counter drop"),
        Fault::BlackHole => "counter drop".to_owned(),
    };
    nft(&format!("add rule ip faults input udp dport {port} {what}\n"));
}

/// What each rule has dropped, as nftables says it: a fault that nobody met shows nothing.
pub(crate) fn dropped() -> Vec<(u16, u64)> {
    let done = Command::new("nft").args(["list", "chain", "ip", "faults", "input"]).output();
    let text = String::from_utf8_lossy(&done.expect("nft is there").stdout).into_owned();
    text.lines().filter_map(parse).collect()
}

/// `udp dport 5011 numgen random mod 100 < 30 counter packets 12 bytes 3456 drop`
pub(crate) fn parse(rule: &str) -> Option<(u16, u64)> {
    let behind = |word: &str| rule.split_once(word)?.1.split_whitespace().next();
    Some((behind("dport ")?.parse().ok()?, behind("packets ")?.parse().ok()?))
}

/// The way of this namespace's only feeder becomes so narrow.
pub(crate) fn narrow(namespace: &str, device: &str, kbit: u32) {
    let rate = format!("{kbit}kbit");
    let add = ["netns", "exec", namespace, "tc", "qdisc", "replace", "dev", device, "root", "tbf"];
    let what = ["rate", &rate, "burst", "4kb", "latency", "60ms"];
    tool("ip", &[&add[..], &what].concat());
}

pub(crate) fn widen(namespace: &str, device: &str) {
    tool("ip", &["netns", "exec", namespace, "tc", "qdisc", "del", "dev", device, "root"]);
}
