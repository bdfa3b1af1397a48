//! A UDP relay that delays each datagram by its own time: by a random part of the jitter more than
//! the delay. What is sent within that part of each other changes its order. (Linux has `tc netem`
//! for it; kernels without that module are common in sandboxes.)

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::UdpSocket;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// splitmix64
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// For ever.
pub(crate) fn run(from: &str, to: &str, delay_ms: u64, jitter_ms: u64) -> ! {
    let socket = UdpSocket::bind(from).unwrap_or_else(|why| panic!("{from}: {why}"));
    relay(&socket, to, delay_ms, jitter_ms);
    unreachable!("it takes for ever");
}

/// Until it gets an empty datagram.
fn relay(socket: &UdpSocket, to: &str, delay_ms: u64, jitter_ms: u64) {
    let (send, received) = mpsc::channel::<(Instant, Vec<u8>)>();
    // Another socket: one that is bound to loopback reaches no other machine.
    let out = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    let to = to.to_owned();
    let sender = thread::spawn(move || {
        let mut random = Random(1);
        let mut waiting = BinaryHeap::<Reverse<(Instant, u64, Vec<u8>)>>::new();
        let mut number = 0_u64;
        loop {
            let next = waiting.peek().map(|Reverse((at, ..))| *at);
            let left = next.map_or(Duration::from_secs(3600), |at: Instant| {
                at.saturating_duration_since(Instant::now())
            });
            match received.recv_timeout(left) {
                Ok((came, datagram)) => {
                    let more = random.below(jitter_ms * 1000 + 1);
                    let at = came + Duration::from_micros(delay_ms * 1000 + more);
                    number += 1;
                    waiting.push(Reverse((at, number, datagram)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if waiting.is_empty() => return,
                Err(RecvTimeoutError::Disconnected) => thread::sleep(left),
            }
            while waiting.peek().is_some_and(|Reverse((at, ..))| *at <= Instant::now()) {
                let Some(Reverse((.., datagram))) = waiting.pop() else { break };
                // Lost, as the network would lose it.
                let _ = out.send_to(&datagram, &to);
            }
        }
    });
    let mut buffer = [0; 65536];
    while let Ok(length) = socket.recv(&mut buffer) {
        if length == 0 {
            break;
        }
        let _ = send.send((Instant::now(), buffer[..length].to_vec()));
    }
    drop(send);
    sender.join().expect("the sender");
}

/// It delays, loses nothing, and changes the order.
pub(crate) fn check() {
    let bind = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let (socket, sink, source) = (bind(), bind(), bind());
    sink.set_read_timeout(Some(Duration::from_secs(10))).expect("ours");
    let address = |socket: &UdpSocket| socket.local_addr().expect("bound").to_string();
    let (from, to) = (address(&socket), address(&sink));
    let thread = thread::spawn(move || relay(&socket, &to, 40, 30));
    let began = Instant::now();
    for n in 0..60_u8 {
        source.send_to(&[n], &from).expect("sent");
        thread::sleep(Duration::from_millis(1));
    }
    source.send_to(&[], &from).expect("sent");
    let mut came = Vec::new();
    let mut byte = [0];
    while came.len() < 60 {
        sink.recv(&mut byte).expect("nothing is lost");
        assert!(began.elapsed() >= Duration::from_millis(40), "it is delayed");
        came.push(byte[0]);
    }
    thread.join().expect("it ends");
    assert!(!came.is_sorted(), "the order changes: {came:?}");
    came.sort_unstable();
    assert!(came.into_iter().eq(0..60), "each once");
}
