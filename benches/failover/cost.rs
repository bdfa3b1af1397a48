//! CPU time of one datagram through the relay, beside a plain loop that receives and sends, in
//! turns.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::gstreamer::FallbackSwitch;
use crate::relay::{Kind, Relay};
use crate::support::{Mode, figure, median, threads};
use crate::wire::{DATAGRAM, Receiver, sharpen_sleep, socket};

/// How long one of the two has the feed.
const TURN: Duration = Duration::from_millis(100);
/// Turns that may be lost in a row.
const RETRIES: usize = 5;
/// Who has not the feed gets one of so many datagrams: nobody is to fall silent.
const TRICKLE: u64 = 50;
const TIMEOUT_MS: i64 = 200;
/// The threads of each: the monitor's work is the relay's.
const PLAIN: [&str; 1] = ["plain"];
const RELAY: [&str; 3] = ["input-0", "input-1", "changeover-mon"];

/// CPU time, us: all that a relay has used, and of it the monitor's.
type Used<'a> = &'a dyn Fn() -> (f64, f64);

/// changeover's relay beside the plain loop.
pub(crate) fn run(per_second: u64, mode: Mode) {
    // Threads begin where the one that starts them is: both relays on one core, what feeds them
    // and what they feed on the other, so that neither is luckier with its place.
    stay_on(0);
    let receiver = Receiver::start();
    stay_on(1);
    let relay = Relay::start(Kind::Hot, TIMEOUT_MS, receiver);
    compare(per_second, mode, &relay.receiver, relay.addrs(), &|| cpu(&RELAY));
}

/// GStreamer's `fallbackswitch` beside the plain loop.
pub(crate) fn run_gstreamer(per_second: u64, mode: Mode) {
    stay_on(0);
    let receiver = Receiver::start();
    stay_on(1);
    let timeout = Duration::from_millis(TIMEOUT_MS.unsigned_abs());
    let relay = FallbackSwitch::start(timeout, receiver.addr);
    compare(per_second, mode, &receiver, relay.addrs, &|| (relay.cpu_us(), 0.0));
}

/// Turn by turn: the plain loop, and the relay that listens at `addrs`.
fn compare(
    per_second: u64,
    mode: Mode,
    receiver: &Receiver,
    addrs: [SocketAddr; 2],
    used: Used<'_>,
) {
    let rounds = if mode.quick { 11 } else { 25 };
    let (input, output) = (socket(), socket());
    let plain_addr = input.local_addr().expect("bound");
    output.connect(receiver.addr).expect("loopback");
    let ends = AtomicBool::new(false);
    let found = std::thread::scope(|scope| {
        let plain = std::thread::Builder::new().name("plain".to_owned());
        let plain = plain.spawn_scoped(scope, || {
            let mut datagram = [0; 2 * DATAGRAM];
            while !ends.load(Relaxed) {
                if let Ok(length) = input.recv(&mut datagram) {
                    let _ = output.send(&datagram[..length]);
                }
            }
        });
        plain.expect("a thread");
        stay_on(0);
        let [main, backup] = addrs;
        let mut feeder = Alternating::new(per_second, [plain_addr, main], backup);
        // Both are warm, and the main input is on the air.
        feeder.feed(0, TURN);
        feeder.feed(1, TURN);
        let mut found = Found::default();
        for _ in 0..rounds {
            let plain = turn(&mut feeder, 0, &|| cpu(&PLAIN), receiver);
            let relayed = turn(&mut feeder, 1, used, receiver);
            let (Some(plain), Some(relayed)) = (plain, relayed) else { break };
            found.plain.push(plain.0);
            found.relay.push(relayed.0);
            found.monitor.push(relayed.1);
            found.ratios.push(relayed.0 / plain.0);
        }
        ends.store(true, Relaxed);
        found
    });
    assert_eq!(found.ratios.len(), rounds, "datagrams were lost in every turn");
    figure("per_second", per_second as f64);
    figure("plain_us", median(&found.plain));
    figure("relay_us", median(&found.relay));
    figure("monitor_us", median(&found.monitor));
    figure("ratio", median(&found.ratios));
}

#[derive(Default)]
struct Found {
    plain: Vec<f64>,
    relay: Vec<f64>,
    monitor: Vec<f64>,
    ratios: Vec<f64>,
}

/// CPU of these threads: all, and the monitor's.
fn cpu(names: &[&str]) -> (f64, f64) {
    let accounts = threads();
    let of = |name: &str| -> f64 {
        let mine = accounts.iter().filter(|account| account.name == name);
        mine.map(|account| account.cpu.as_secs_f64() * 1e6).sum()
    };
    (names.iter().map(|name| of(name)).sum(), of("changeover-mon"))
}

/// CPU per datagram of one turn, us: all, and the monitor's. A turn that lost datagrams (somebody
/// else had the core for long) is taken again.
fn turn(
    feeder: &mut Alternating,
    whose: usize,
    used: Used<'_>,
    to: &Receiver,
) -> Option<(f64, f64)> {
    for _ in 0..RETRIES {
        drop(to.take());
        let before = used();
        let sent = feeder.feed(whose, TURN);
        std::thread::sleep(Duration::from_millis(3));
        let after = used();
        std::thread::sleep(Duration::from_millis(10));
        let arrived = to.take().iter().filter(|arrival| arrival.feed == whose as u8).count();
        if arrived * 1_000 >= sent * 995 {
            let arrived = arrived as f64;
            return Some(((after.0 - before.0) / arrived, (after.1 - before.1) / arrived));
        }
    }
    None
}

/// A feeder that gives its datagrams to one of two, and a few to the other and the relay's backup.
struct Alternating {
    socket: UdpSocket,
    period: Duration,
    to: [SocketAddr; 2],
    backup: SocketAddr,
    number: u64,
}

impl Alternating {
    fn new(per_second: u64, to: [SocketAddr; 2], backup: std::net::SocketAddr) -> Self {
        sharpen_sleep();
        let period = Duration::from_nanos(1_000_000_000 / per_second);
        Self { socket: socket(), period, to, backup, number: 0 }
    }

    /// Answers how many datagrams were sent to the one whose turn it is.
    fn feed(&mut self, whose: usize, span: Duration) -> usize {
        let began = Instant::now();
        let mut sent = 0;
        while self.period * sent < span {
            let due = began + self.period * sent;
            let now = Instant::now();
            if now < due {
                std::thread::sleep(due - now);
            }
            self.send(whose as u8, self.to[whose]);
            if self.number.is_multiple_of(TRICKLE) {
                self.send(1 - whose as u8, self.to[1 - whose]);
                self.send(2, self.backup);
            }
            sent += 1;
        }
        sent as usize
    }

    fn send(&mut self, feed: u8, to: SocketAddr) {
        let mut datagram = [0x47; DATAGRAM];
        datagram[0] = feed;
        datagram[1..9].copy_from_slice(&self.number.to_le_bytes());
        self.number += 1;
        self.socket.send_to(&datagram, to).expect("loopback");
    }
}

/// Keeps this thread, and those that it starts from now on, on one core, where there are several.
fn stay_on(core: usize) {
    // SAFETY: a cpu_set_t may be zero; the calls are given this frame's set and its size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        let _ = libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}
