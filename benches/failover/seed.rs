//! A relay of the seed's design: state under locks, and a thread that looks at all of it every now
//! and then.

use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::kills::Switcher;
use crate::wire::{DATAGRAM, socket};

const STREAM: &str = "relay";

struct State {
    last: [Instant; 2],
    active: usize,
}

struct Shared {
    streams: RwLock<HashMap<String, Mutex<State>>>,
    output: UdpSocket,
    ends: AtomicBool,
}

pub(crate) struct Polled {
    shared: Arc<Shared>,
    pub(crate) addrs: [SocketAddr; 2],
    threads: Vec<JoinHandle<()>>,
}

impl Polled {
    pub(crate) fn start(timeout: Duration, every: Duration, to: SocketAddr) -> Self {
        let output = socket();
        output.connect(to).expect("loopback");
        let state = State { last: [Instant::now(); 2], active: 0 };
        let streams = HashMap::from([(STREAM.to_owned(), Mutex::new(state))]);
        let shared = Arc::new(Shared {
            streams: RwLock::new(streams),
            output,
            ends: AtomicBool::new(false),
        });
        let sockets = [socket(), socket()];
        let addrs = [0, 1].map(|n: usize| sockets[n].local_addr().expect("bound"));
        let mut threads = Vec::new();
        for (input, socket) in sockets.into_iter().enumerate() {
            let shared = Arc::clone(&shared);
            threads.push(std::thread::spawn(move || carry(&shared, &socket, input)));
        }
        let looker = Arc::clone(&shared);
        threads.push(std::thread::spawn(move || look(&looker, timeout, every)));
        Self { shared, addrs, threads }
    }
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let streams = self.streams.read().expect("nobody panics");
        let mut state = streams[STREAM].lock().expect("nobody panics");
        act(&mut state)
    }
}

fn carry(shared: &Shared, socket: &UdpSocket, input: usize) {
    let mut datagram = [0; 2 * DATAGRAM];
    while !shared.ends.load(Relaxed) {
        let Ok(length) = socket.recv(&mut datagram) else { continue };
        let now = Instant::now();
        let forwards = shared.with(|state| {
            state.last[input] = now;
            state.active == input
        });
        if forwards {
            let _ = shared.output.send(&datagram[..length]);
        }
    }
}

fn look(shared: &Shared, timeout: Duration, every: Duration) {
    let mut next = Instant::now();
    while !shared.ends.load(Relaxed) {
        next += every;
        while Instant::now() < next && !shared.ends.load(Relaxed) {
            std::thread::sleep((next - Instant::now().min(next)).min(Duration::from_millis(50)));
        }
        let streams = shared.streams.read().expect("nobody panics");
        for state in streams.values() {
            let mut state = state.lock().expect("nobody panics");
            let active = state.active;
            if state.last[active].elapsed() > timeout {
                state.active = 1 - active;
            }
        }
    }
}

impl Switcher for Polled {
    fn go_back(&self) -> bool {
        self.shared.with(|state| state.active = 0);
        true
    }
}

impl Drop for Polled {
    fn drop(&mut self) {
        self.shared.ends.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
