//! What a packet costs where packets are moved: a loop that copies datagrams out of memory, of which
//! `Recorder::record` is a share, and a relay on loopback UDP, with changeover and without it.
//!
//! With and without take turns within milliseconds, so that what disturbs the machine disturbs
//! both; figures are medians over such rounds, and over five processes. `--quick`: one process
//! and fewer rounds. It ends by itself, and sends to 127.0.0.1 only.

#[path = "support/mod.rs"]
mod support;

use std::hint::black_box;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use changeover::{Engine, EngineConfig, InputConfig, Packet, Recorder, StreamConfig};
use socket2::SockRef;

use crate::support::{Goal, Launches, Mode, bar, figure, median, quantile, shuffled, thread_cpu};

/// Seven packets of MPEG-TS.
const DATAGRAM: usize = 1316;
const STREAMS: usize = 10;
/// Larger than any L2: the datagrams come from the shared cache or from memory, as those do that a
/// network card wrote.
const RING: usize = 64 << 20;
/// Datagrams in one sample of the copy loop, some 80 us: a disturbance falls on few of them, and what
/// a sample copies lies beside what the samples that it is compared with do.
const COPIES: usize = 1_024;
/// Datagrams in one turn of the relay: a few milliseconds.
const RELAYED: usize = 2_000;

/// Streams with two hot inputs each, on the air; and their recorders in a random order.
/// The number: packets recorded so far.
fn engine(streams: usize) -> (Engine, Vec<Recorder>, u64) {
    // Nothing goes silent while the other loop has its turn.
    let config = EngineConfig { packet_timeout_ms: 3_600_000, ..EngineConfig::default() };
    let engine = Engine::builder().config(config).build().expect("the engine builds");
    for n in 0..streams {
        let inputs = [0, 1].map(|priority| InputConfig::hot(priority, format!("{n}/{priority}")));
        let stream = StreamConfig { inputs: inputs.into(), ..StreamConfig::new(id_of(n)) };
        engine.register(stream).expect("registers");
    }
    let open = |n: usize| engine.recorder(&id_of(n / 2), (n % 2) as i32, None).expect("opens");
    let mut recorders: Vec<_> = shuffled(2 * streams, 1).into_iter().map(open).collect();
    let (began, mut recorded) = (Instant::now(), 0);
    loop {
        recorded += 2 * streams as u64;
        let forward = |r: &mut Recorder| r.record(Packet::new(DATAGRAM)).is_forward();
        let forwards = recorders.iter_mut().map(forward).filter(|forward| *forward).count();
        if forwards == streams {
            return (engine, recorders, recorded);
        }
        assert!(began.elapsed() < Duration::from_secs(10), "not every stream got on the air");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn id_of(n: usize) -> String {
    format!("channel-{n}")
}

/// What the engine counted is what it was given, as soon as its monitor has heard of it.
fn check_counts(engine: &Engine, streams: usize, recorded: u64) {
    let status = |n| engine.runtime_status(&id_of(n)).expect("registered");
    let began = Instant::now();
    loop {
        let inputs = (0..streams).flat_map(|n| status(n).inputs);
        let counted: u64 = inputs.map(|input| input.packets).sum();
        if counted == recorded {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{counted} of {recorded} counted");
        std::thread::sleep(Duration::from_millis(5));
    }
}

// --- Copies ---

/// How often a datagram is recorded: never, once, and so often that what one record costs stands out
/// of the noise (for as many inputs, one after the other).
const TIMES: [usize; 3] = [0, 1, 8];

/// Where datagrams are copied to: one place for all loops, since how it lies to the source's lines
/// is worth more than a record.
#[repr(align(4096))]
struct Buffer([u8; DATAGRAM]);

/// Copies datagrams in the order in which they lie, and records each so many times. One loop for all:
/// where a loop lies in memory makes more of a difference than a record.
#[inline(never)]
fn copy(ring: &[u8], to: &mut Buffer, recorders: &mut [Recorder], place: &mut Place, times: usize) {
    let Place { at, input, forwards } = place;
    for _ in 0..COPIES {
        to.0.copy_from_slice(&ring[*at..*at + DATAGRAM]);
        black_box(&mut to.0);
        for _ in 0..times {
            let verdict = recorders[*input].record(Packet::new(DATAGRAM));
            *forwards += u64::from(verdict.is_forward());
            *input = if *input + 1 == recorders.len() { 0 } else { *input + 1 };
        }
        *at = if *at + 2 * DATAGRAM > ring.len() { 0 } else { *at + DATAGRAM };
    }
}

/// Where the loop goes on, and how many packets were forwarded so far.
#[derive(Default)]
struct Place {
    at: usize,
    input: usize,
    forwards: u64,
}

/// Tells `copy_ns` (the loop alone, a datagram), `record_ns` (what one record adds), `eighth_ns` (an
/// eighth of what eight add) and `share_percent`.
fn measure_copies(rounds: usize) {
    let (engine, mut recorders, mut recorded) = engine(STREAMS);
    check_counts(&engine, STREAMS, recorded);
    let before = recorded;
    // Written once, so that its pages are its own.
    let ring: Vec<u8> = (0..RING).map(|n| n as u8).collect();
    let mut to = Box::new(Buffer([0; DATAGRAM]));
    let mut place = Place::default();
    let mut timed = |times: usize| {
        recorded += (times * COPIES) as u64;
        let began = Instant::now();
        copy(&ring, &mut to, &mut recorders, &mut place, black_box(times));
        began.elapsed().as_nanos() as f64 / COPIES as f64
    };
    let [mut bare, mut once, mut eighth, mut shares] = [const { Vec::new() }; 4];
    for round in 0..rounds {
        let mut ns = [0.0; 3];
        for turn in 0..3 {
            // Every order as often, or a place in the ring, or in the row, would be one's own.
            let arm = if round % 2 == 0 { round + turn } else { round + 2 - turn } % 3;
            ns[arm] = timed(TIMES[arm]);
        }
        let [none, one, eight] = ns;
        bare.push(none);
        once.push(one - none);
        eighth.push((eight - none) / TIMES[2] as f64);
        shares.push((one - none) / one * 100.0);
    }
    // One input of two is on the air; the last row may not be whole.
    let half = (recorded - before) / 2;
    assert!(place.forwards.abs_diff(half) <= STREAMS as u64, "{} of {half}", place.forwards);
    check_counts(&engine, STREAMS, recorded);
    figure("copy_ns", median(&bare));
    figure("record_ns", median(&once));
    figure("eighth_ns", median(&eighth));
    figure("share_percent", median(&shares));
    figure("share_p25", quantile(&shares, 0.25));
    figure("share_p75", quantile(&shares, 0.75));
}

// --- A relay ---

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket on loopback");
    // As much as the system gives: the relay is to find it full at all times.
    let _ = SockRef::from(&socket).set_recv_buffer_size(8 << 20);
    socket
}

/// Keeps the socket's buffer full until told to stop.
fn feed(to: &UdpSocket, stop: &AtomicBool, sent: &AtomicU64) {
    let from = socket();
    from.connect(to.local_addr().expect("bound")).expect("connects on loopback");
    let datagram = [0x47_u8; DATAGRAM];
    let end = Instant::now() + Duration::from_secs(120);
    while !stop.load(Relaxed) && Instant::now() < end {
        for _ in 0..64 {
            // A full buffer drops: no error of UDP.
            sent.fetch_add(u64::from(from.send(&datagram).is_ok()), Relaxed);
        }
    }
}

/// Receives and sends so many datagrams; with a recorder, only those that are to be forwarded.
/// Answers CPU time of this thread, ns a datagram.
fn relay(input: &UdpSocket, output: &UdpSocket, mut recorder: Option<&mut Recorder>) -> f64 {
    let mut datagram = [0_u8; 2048];
    let began = thread_cpu();
    for _ in 0..RELAYED {
        let len = input.recv(&mut datagram).expect("the sender sends");
        let forward = match &mut recorder {
            Some(recorder) => recorder.record(Packet::new(len)).is_forward(),
            None => true,
        };
        if forward {
            match output.send(&datagram[..len]) {
                Ok(_) => {}
                // Of an earlier datagram, and no matter here.
                Err(why) if why.kind() == ErrorKind::ConnectionRefused => {}
                Err(why) => panic!("sending: {why}"),
            }
        }
    }
    (thread_cpu() - began).as_nanos() as f64 / RELAYED as f64
}

/// Tells `relay_ns` (CPU a datagram without changeover), `relay_with_ns`, `relay_x` (packets per
/// CPU second with changeover to those without).
fn measure_relay(rounds: usize) {
    let (engine, mut recorders, recorded) = engine(1);
    let forward = |r: &mut Recorder| r.record(Packet::new(DATAGRAM)).is_forward();
    let on_air = recorders.iter_mut().position(forward).expect("one is on the air");
    let tried = on_air as u64 + 1;
    let recorder = &mut recorders[on_air];
    let (input, sink, output) = (socket(), socket(), socket());
    input.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    // Nobody reads the sink: a datagram more than its buffer holds is dropped there, and no other
    // thread wants the core.
    output.connect(sink.local_addr().expect("bound")).expect("connects on loopback");
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    std::thread::scope(|scope| {
        scope.spawn(|| feed(&input, &stop, &sent));
        // Until both buffers are full.
        relay(&input, &output, None);
        std::thread::sleep(Duration::from_millis(20));
        for _ in 0..rounds {
            let a = relay(&input, &output, None);
            let b = relay(&input, &output, Some(recorder));
            let c = relay(&input, &output, Some(recorder));
            let d = relay(&input, &output, None);
            without.push((a + d) / 2.0);
            with.push((b + c) / 2.0);
            ratios.push((a + d) / (b + c));
        }
        stop.store(true, Relaxed);
    });
    let relayed = (rounds * 2 * RELAYED) as u64;
    check_counts(&engine, 1, recorded + tried + relayed);
    figure("relay_ns", median(&without));
    figure("relay_with_ns", median(&with));
    figure("relay_x", median(&ratios));
    figure("relay_x_p25", quantile(&ratios, 0.25));
    figure("relay_x_p75", quantile(&ratios, 0.75));
}

fn report(mode: Mode) {
    let arguments: &[&str] = if mode.quick { &["--quick"] } else { &[] };
    let of = |part: &str| {
        Launches((0..mode.launches()).map(|_| support::launch(part, arguments)).collect())
    };
    let (copies, relays) = (of("copies"), of("relay"));
    println!("\nmedians of {} launch(es), the lowest and the highest in []", mode.launches());
    println!("\n| a loop that copies 1316-byte datagrams, {STREAMS} streams x 2 | |");
    println!("|---|---|");
    println!("| the loop alone, ns a datagram | {} |", copies.spread("copy_ns", 1));
    println!("| what record adds, ns | {} |", copies.spread("record_ns", 2));
    println!("| an eighth of what eight add, ns | {} |", copies.spread("eighth_ns", 2));
    println!("| its share, % | {} |", copies.spread("share_percent", 2));
    let quarters = ["share_p25", "share_p75"].map(|key| copies.median(key));
    println!("| half of the rounds within, % | {:.2} to {:.2} |", quarters[0], quarters[1]);
    println!("\n| UDP loopback: receive, (record,) send | |");
    println!("|---|---|");
    println!("| without changeover, ns of CPU a datagram | {} |", relays.spread("relay_ns", 0));
    println!("| with changeover | {} |", relays.spread("relay_with_ns", 0));
    println!("| packets per CPU second, with to without | {} |", relays.spread("relay_x", 3));
    let quarters = ["relay_x_p25", "relay_x_p75"].map(|key| relays.median(key));
    println!("| half of the rounds within | {:.3} to {:.3} |", quarters[0], quarters[1]);
    println!();
    // What one adds may read as less than nothing here (a pause between copies helps the memory);
    // an eighth of what eight add does not, and is what counts then.
    let eighth = 100.0 * copies.median("eighth_ns") / copies.median("copy_ns");
    let share = copies.median("share_percent").max(eighth);
    bar("copy_loop_share_percent", share, Goal::AtMost(3.0));
    bar("udp_loopback_x", relays.median("relay_x"), Goal::AtLeast(0.97));
}

fn main() -> ExitCode {
    let mode = Mode::of_arguments();
    match support::part().as_deref() {
        Some("copies") => measure_copies(if mode.quick { 6_000 } else { 20_000 }),
        Some("relay") => measure_relay(if mode.quick { 150 } else { 300 }),
        Some(part) => panic!("no part {part}"),
        None if mode.measures => report(mode),
        None => {
            // cargo tries every target: the self-checks are what there is to try.
            measure_copies(3);
            measure_relay(2);
        }
    }
    ExitCode::SUCCESS
}
