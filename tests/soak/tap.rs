//! A wire tap in front of each input of the relay, and behind its output: passes every datagram on,
//! and notes when there were none. What it saw is the truth that the relay is judged by.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::record::{NOTED, Silence, Us, now_us};

/// Loopback only.
const HERE: &str = "127.0.0.1";

#[derive(Debug, Default)]
struct Seen {
    datagrams: u64,
    last: Us,
    /// The end of the last noted silence.
    since: Us,
    silences: Vec<Silence>,
}

pub(crate) struct Tap {
    /// Where it listens.
    pub(crate) port: u16,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

impl Tap {
    /// Passes on to this port. Its thread ends with the run.
    pub(crate) fn start(to: u16) -> Self {
        let socket = UdpSocket::bind((HERE, 0)).expect("a socket for a tap");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let port = socket.local_addr().expect("its port").port();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (shared, ended) = (Arc::clone(&seen), Arc::clone(&stop));
        thread::spawn(move || {
            let mut datagram = [0; 65536];
            while !ended.load(Relaxed) {
                let Ok(length) = socket.recv(&mut datagram) else { continue };
                // Before it goes on: what the engine does later is never taken for early.
                shared.lock().unwrap().note(now_us());
                // Whoever reads there may not be there yet.
                let _ = socket.send_to(&datagram[..length], (HERE, to));
            }
        });
        Self { port, seen, stop }
    }

    pub(crate) fn datagrams(&self) -> u64 {
        self.seen.lock().unwrap().datagrams
    }

    /// How long it has delivered without a noted silence; 0 while there is one.
    pub(crate) fn good_for(&self) -> Us {
        let seen = self.seen.lock().unwrap();
        if now_us() - seen.last >= NOTED { 0 } else { seen.last - seen.since }
    }

    /// All silences, the present one too.
    pub(crate) fn end(&self, now: Us) -> Vec<Silence> {
        self.stop.store(true, Relaxed);
        let seen = self.seen.lock().unwrap();
        let mut silences = seen.silences.clone();
        silences.retain(|silence| silence.from < now);
        if now - seen.last >= NOTED {
            silences.push(Silence { from: seen.last, to: now });
        }
        silences
    }
}

impl Seen {
    fn note(&mut self, now: Us) {
        self.datagrams += 1;
        if self.last == 0 {
            self.since = now;
        } else if now - self.last >= NOTED {
            self.silences.push(Silence { from: self.last, to: now });
            self.since = now;
        }
        self.last = now;
    }
}

pub(crate) fn free_port() -> u16 {
    UdpSocket::bind((HERE, 0)).and_then(|socket| socket.local_addr()).expect("a port").port()
}
