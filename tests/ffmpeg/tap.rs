//! A wire tap at the relay's output: passes every datagram on, and notes whose it is and how long
//! the output was silent.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Elementary streams of a feeder lie at its start PID and the few behind it.
const PIDS_PER_FEEDER: u16 = 16;
const TS_PACKET: usize = 188;

/// What has passed since the last `restart`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) datagrams: u64,
    /// Whose media went out, each change once: `[0x100, 0x200]` is one switch.
    pub(crate) on_air: Vec<u16>,
    pub(crate) longest_gap: Duration,
    last: Option<Instant>,
}

pub(crate) struct Tap {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Tap {
    /// Takes from `from`, passes on to the local port `to`; `feeders` are the start PIDs.
    pub(crate) fn start(from: UdpSocket, to: u16, feeders: &'static [u16]) -> Self {
        let (seen, stop) =
            (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        from.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout");
        let (shared, ended) = (Arc::clone(&seen), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut datagram = [0; 65536];
            while !ended.load(Relaxed) {
                let Ok(length) = from.recv(&mut datagram) else { continue };
                let now = Instant::now();
                // The downstream may not listen yet.
                let _ = from.send_to(&datagram[..length], ("127.0.0.1", to));
                shared.lock().unwrap().note(&datagram[..length], now, feeders);
            }
        });
        Self { seen, stop, thread: Some(thread) }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().unwrap().clone()
    }

    /// Forgets what has passed; the silence that may be going on counts.
    pub(crate) fn restart(&self) {
        let mut seen = self.seen.lock().unwrap();
        let on_air = seen.on_air.last().copied();
        *seen = Seen { on_air: on_air.into_iter().collect(), last: seen.last, ..Seen::default() };
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        // A panic of the tap has already shown as a test that saw nothing.
        let _ = self.thread.take().expect("joined once").join();
    }
}

impl Seen {
    fn note(&mut self, datagram: &[u8], now: Instant, feeders: &[u16]) {
        self.datagrams += 1;
        if let Some(last) = self.last {
            self.longest_gap = self.longest_gap.max(now - last);
        }
        self.last = Some(now);
        for packet in datagram.chunks_exact(TS_PACKET) {
            if let Some(feeder) = feeder_of(packet, feeders)
                && self.on_air.last() != Some(&feeder)
            {
                self.on_air.push(feeder);
            }
        }
    }
}

/// Whose media the TS packet carries; `None` for tables and stuffing, which look alike.
fn feeder_of(packet: &[u8], feeders: &[u16]) -> Option<u16> {
    let pid = u16::from_be_bytes([packet[1] & 0x1f, packet[2]]);
    feeders.iter().copied().find(|&start| (start..start + PIDS_PER_FEEDER).contains(&pid))
}
