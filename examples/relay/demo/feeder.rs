//! A live source for the demo: plays the clip in real time over UDP, in a loop, and can be killed
//! and brought back. While it is dead the programme goes on without it, as a live one does.

use std::io::{self, Cursor};
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};

use crate::demo::CLIP;
use crate::demo::mark::Mark;
use crate::demo::verdict::Moment;
use crate::player::Player;
use crate::stop::Stop;

/// Packets of the clip in a datagram, besides the one with the mark. The clip has a tenth of a
/// usual channel's bitrate; few packets per datagram give it a usual distance between datagrams,
/// 6 ms.
const PACKETS: usize = 2;

#[derive(Debug)]
pub(crate) struct Feeder {
    gate: Arc<Mutex<Gate>>,
    _thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Gate {
    dead: bool,
    /// The first datagram since it came to life, and the latest one.
    first: Option<Moment>,
    last: Option<Moment>,
    sent: u64,
}

impl Feeder {
    /// Starts feed number `feed`. Feeds with the same `began` play the same media at the same
    /// time.
    pub(crate) fn start(
        feed: u8,
        to: SocketAddr,
        began: Instant,
        stop: Arc<Stop>,
    ) -> io::Result<Self> {
        let socket = UdpSocket::bind((to.ip(), 0))?;
        let gate = Arc::new(Mutex::new(Gate::default()));
        let shared = Arc::clone(&gate);
        let thread = std::thread::Builder::new()
            .name(format!("feed-{feed}"))
            .spawn(move || play(feed, &socket, to, began, &shared, &stop))?;
        Ok(Self { gate, _thread: thread })
    }

    /// Nothing is sent after this returns. Answers when the last datagram was.
    pub(crate) fn kill(&self) -> Option<Moment> {
        let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        gate.dead = true;
        gate.first = None;
        gate.last
    }

    pub(crate) fn bring_back(&self) {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).dead = false;
    }

    /// When it sent its first datagram since it came to life.
    pub(crate) fn first_sent(&self) -> Option<Moment> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).first
    }

    pub(crate) fn sent(&self) -> u64 {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).sent
    }
}

fn play(
    feed: u8,
    socket: &UdpSocket,
    to: SocketAddr,
    began: Instant,
    gate: &Mutex<Gate>,
    stop: &Stop,
) {
    let mut player = Player::new(Cursor::new(CLIP), PACKETS, true);
    let mut datagram = Vec::new();
    let mut number = 0;
    // Memory does not fail, and a loop has no end.
    while let Ok(Some((due, piece))) = player.next_piece() {
        if stop.sleep_until(began + due) {
            return;
        }
        number += 1;
        datagram.clear();
        datagram.extend_from_slice(piece);
        datagram.extend_from_slice(&Mark { feed, number }.packet());
        // Held while it sends, so that a killed feed is really silent.
        let mut gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
        // Read before it is sent: nobody can have received it earlier.
        let now = Moment { at: Instant::now(), wall: SystemTime::now() };
        if !gate.dead && socket.send_to(&datagram, to).is_ok() {
            gate.first.get_or_insert(now);
            gate.last = Some(now);
            gate.sent += 1;
        }
    }
}
