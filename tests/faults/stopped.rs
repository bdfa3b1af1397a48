//! SIGSTOP of the whole process for ten seconds, and SIGCONT: its clock has leapt, and packets wait
//! in its sockets. No input whose packets waited is left; one whose sender had died is, soon.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use changeover::{Engine, EngineConfig, EventKind, Recorder, SwitchReason};

use crate::bench::{Bench, Feed, datagram};
use crate::child::{Part, tell};
use crate::scene::{PACKET, hot_pair};

const STREAMS: usize = 200;
/// Their main sender dies as the process is stopped: nothing of it waits.
const DEAD: usize = 20;
/// Up to this one, it dies while the process is stopped: some of its packets wait.
const DYING: usize = 40;
const TIMEOUT_MS: u64 = 1_000;
/// §4.7 of the contract: min(T, 200 ms).
const GRACE_MS: u64 = 200;
const STOPPED: Duration = Duration::from_secs(10);
const EVERY: Duration = Duration::from_millis(100);
/// For what has to come.
const LATE_MS: u64 = 3_000;

/// One stream's way in: packets of both inputs come through one socket.
struct Way {
    socket: UdpSocket,
    recorders: [Recorder; 2],
}

/// Reads whatever waits, and then what comes.
fn read(mut ways: Vec<Way>) -> ! {
    let fd =
        |way: &Way| libc::pollfd { fd: way.socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let mut polled: Vec<libc::pollfd> = ways.iter().map(fd).collect();
    let mut packet = [0; 64];
    loop {
        // SAFETY: the list lives in this frame, and has that length.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
        for (way, polled) in ways.iter_mut().zip(&polled) {
            while polled.revents != 0 && way.socket.recv(&mut packet).is_ok() {
                let _ = way.recorders[usize::from(packet[0] & 1)].record(PACKET);
            }
        }
    }
}

pub(crate) fn child() {
    let config = EngineConfig {
        packet_timeout_ms: TIMEOUT_MS as i64,
        // For as long as this lasts, nobody comes back.
        failback_cooldown_ms: 600_000,
        ..EngineConfig::default()
    };
    let engine = Engine::builder().config(config).build().expect("builds");
    let events = engine.subscribe(1 << 14);
    let id = |n: usize| format!("stream-{n}");
    let way = |n| {
        engine.register(hot_pair(&id(n))).expect("a new id");
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_nonblocking(true).expect("ours");
        Way { socket, recorders: [0, 1].map(|p| engine.recorder(&id(n), p, None).expect("hot")) }
    };
    let mut ways: Vec<Way> = (0..STREAMS).map(way).collect();
    let ports = ways.iter().map(|way| way.socket.local_addr().expect("bound").port().to_string());
    let ports = ports.collect::<Vec<_>>().join(" ");
    while !ways.is_empty() {
        let some = ways.split_off(ways.len().saturating_sub(STREAMS / 4));
        thread::spawn(move || read(some));
    }
    tell(&format!("ports {ports}"));
    let began = Instant::now();
    let delivers = |n| {
        let status = engine.runtime_status(&id(n)).expect("registered");
        status.inputs.iter().all(|input| input.packets > 3)
    };
    while !(0..STREAMS).all(delivers) {
        assert!(began.elapsed() < Duration::from_secs(10), "not all are fed");
        thread::sleep(Duration::from_millis(20));
    }
    tell("delivering");

    let (mut woke, mut stop, mut failovers, mut others) = (None, 0, Vec::new(), Vec::new());
    let mut over = Instant::now() + STOPPED + Duration::from_secs(20);
    while let Some(event) = events.recv_timeout(over.saturating_duration_since(Instant::now())) {
        match &event.kind {
            EventKind::Stall { late_ms } if *late_ms > 5_000 => {
                woke = Some(event.at_ns);
                stop = *late_ms;
                over = Instant::now() + Duration::from_millis(TIMEOUT_MS + LATE_MS);
            }
            EventKind::InputFailover { reason: SwitchReason::Timeout, from: 0, to: 1, .. } => {
                let name = event.stream.as_deref().expect("a stream's");
                let n = (0..STREAMS).find(|n| id(*n) == name).expect("ours");
                failovers.push((n, event.at_ns, woke));
            }
            EventKind::InputFailover { .. } => others.push(event),
            EventKind::InputDegraded { input_priority: 1, .. } => others.push(event),
            _ => {}
        }
    }
    let woke = woke.expect("the stop shows as a stall");
    assert!(others.is_empty(), "nothing but mains may fail: {others:?}");
    let mut left = vec![0; STREAMS];
    let mut after = [0, 0];
    for (n, at, since) in failovers {
        assert!(since.is_some(), "stream {n} was left before the stop was noticed");
        let after_ms = at.saturating_sub(woke) / 1_000_000;
        assert!(n < DYING, "stream {n}: left {after_ms} ms after the wake, but its packets waited");
        let most = if n < DEAD { GRACE_MS } else { TIMEOUT_MS };
        // A tick is 4 ms.
        assert!(after_ms + 5 >= GRACE_MS, "stream {n}: left {after_ms} ms after the wake");
        assert!(after_ms <= most + LATE_MS, "stream {n}: left {after_ms} ms after the wake");
        let latest = &mut after[usize::from(n >= DEAD)];
        *latest = after_ms.max(*latest);
        left[n] += 1;
    }
    assert!(left[..DYING].iter().all(|times| *times == 1), "each once: {left:?}");
    tell(&format!("stop_ms {stop}"));
    tell(&format!("dead_ms {}", after[0]));
    tell(&format!("dying_ms {}", after[1]));
}

/// Feeds the child: every stream, both inputs, but for the mains of the first `dead` streams.
fn feed(ports: &[u16], dead: &AtomicUsize, over: &AtomicUsize) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    while over.load(Relaxed) == 0 {
        let next = Instant::now() + EVERY;
        for (n, port) in ports.iter().enumerate() {
            let to = SocketAddr::from(([127, 0, 0, 1], *port));
            for input in [0, 1] {
                if input == 1 || n >= dead.load(Relaxed) {
                    // A full socket loses it, as the network would.
                    let _ = socket.send_to(&[input, 0, 0, 0], to);
                }
            }
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

#[test]
fn an_engine_stopped_for_ten_seconds() {
    let _alone = crate::alone();
    let mut part = Part::start("stopped");
    let ports = part.next().expect("it begins");
    let ports = ports.strip_prefix("ports ").expect("its ports").split(' ');
    let ports: Vec<u16> = ports.map(|port| port.parse().expect("a number")).collect();
    let (dead, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, ended) = (Arc::clone(&dead), Arc::clone(&over));
    let feeder = thread::spawn(move || feed(&ports, &count, &ended));
    assert_eq!(part.next().as_deref(), Some("delivering"));
    // Nothing of those is under way any more when it is stopped.
    dead.store(DEAD, Relaxed);
    thread::sleep(Duration::from_millis(20));
    part.signal(libc::SIGSTOP);
    let relays = [stopped_relay(false), stopped_relay(true)];
    thread::sleep(STOPPED / 2);
    dead.store(DYING, Relaxed);
    thread::sleep(STOPPED / 2);
    part.signal(libc::SIGCONT);
    relays.iter().for_each(|relay| signal(&relay.bench, libc::SIGCONT));
    let ended = part.done();
    relays.into_iter().for_each(Stopped::judge);
    over.store(1, Relaxed);
    feeder.join().expect("the feeder");
    println!(
        "stopped for {} ms; dead inputs left {} ms after the wake, those that died meanwhile {} ms",
        ended.number("stop_ms "),
        ended.number("dead_ms "),
        ended.number("dying_ms ")
    );
}

/// The relay example, stopped.
struct Stopped {
    bench: Bench,
    feeds: Vec<Feed>,
    /// The first one has died as it was stopped.
    died: bool,
}

fn stopped_relay(dies: bool) -> Stopped {
    let stable = ["--timeout-ms", "1000", "--connect-timeout-ms", "20000"];
    let bench = Bench::start(&stable);
    let mut feeds =
        vec![Feed::start(bench.inputs[0], datagram(1)), Feed::start(bench.inputs[1], datagram(2))];
    bench.wait_for_feed(1);
    // Both have delivered.
    thread::sleep(Duration::from_millis(200));
    if dies {
        drop(feeds.remove(0));
        thread::sleep(Duration::from_millis(50));
    }
    signal(&bench, libc::SIGSTOP);
    Stopped { bench, feeds, died: dies }
}

fn signal(bench: &Bench, number: libc::c_int) {
    // SAFETY: two numbers; the relay has not been waited for, so the id is its own.
    unsafe { libc::kill(bench.relay.child.id() as libc::pid_t, number) };
}

impl Stopped {
    /// After it goes on.
    fn judge(mut self) {
        self.bench.relay.wait_for_log("the machine was busy: the engine woke");
        if self.died {
            self.bench.relay.wait_for_log("SWITCH 1 -> 2 (timeout)");
            return self.bench.wait_for_feed(2);
        }
        // Longer than the timeout: what waited was heard of.
        thread::sleep(Duration::from_millis(1_500));
        let log = self.bench.relay.log();
        assert!(!log.contains("SWITCH") && !log.contains("failed"), "{log}");
        drop(self.feeds.remove(0));
        self.bench.relay.wait_for_log("SWITCH 1 -> 2 (timeout)");
    }
}
