//! What stands behind the output in the demo: receives the relayed media, reads whose it is, and
//! keeps the gaps. It knows nothing of the engine.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::demo::mark::Mark;
use crate::net::RECEIVE_TIMEOUT;
use crate::stop::Stop;
use crate::ts;

/// The output went from one feed to the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// The last datagram of the old feed, if there was one.
    pub(crate) left: Option<Arrival>,
    /// The first of the new one.
    pub(crate) came: Arrival,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrival {
    pub(crate) mark: Mark,
    pub(crate) at: Instant,
}

impl Change {
    /// Time without media.
    pub(crate) fn gap(&self) -> Duration {
        self.left.map_or(Duration::ZERO, |left| self.came.at.duration_since(left.at))
    }

    /// Datagrams of the programme that never came; negative: came twice.
    pub(crate) fn media_lost(&self) -> i64 {
        self.left.map_or(0, |left| {
            self.came.mark.number.cast_signed() - left.mark.number.cast_signed() - 1
        })
    }
}

/// What has been seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) changes: Vec<Change>,
    pub(crate) last: Option<Arrival>,
    /// Datagrams of feed 1 and feed 2.
    pub(crate) of_feed: [u64; 2],
    /// Datagrams that are no media, or carry no feed's mark.
    pub(crate) unmarked: u64,
}

#[derive(Debug)]
pub(crate) struct Downstream {
    pub(crate) addr: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Downstream {
    pub(crate) fn start(stop: Arc<Stop>) -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(RECEIVE_TIMEOUT))?;
        let addr = socket.local_addr()?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        std::thread::Builder::new().name("downstream".to_owned()).spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !stop.is_raised() {
                if let Ok(count) = socket.recv(&mut buffer) {
                    let at = Instant::now();
                    lock(&shared).take(&buffer[..count], at);
                }
            }
        })?;
        Ok(Self { addr, seen })
    }

    pub(crate) fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    fn take(&mut self, datagram: &[u8], at: Instant) {
        let mark = ts::media(datagram).and_then(Mark::of);
        let Some((mark, count)) =
            mark.and_then(|mark| Some((mark, self.of_feed.get_mut(usize::from(mark.feed) - 1)?)))
        else {
            self.unmarked += 1;
            return;
        };
        *count += 1;
        let came = Arrival { mark, at };
        let left = self.last.replace(came);
        if left.is_none_or(|left| left.mark.feed != mark.feed) {
            self.changes.push(Change { left, came });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_gaps_and_strangers_are_seen() {
        let (mut seen, t) = (Seen::default(), Instant::now());
        for (feed, number, ms) in [(1, 5, 0), (1, 6, 20), (2, 17, 240), (1, 17, 250)] {
            seen.take(&Mark { feed, number }.packet(), t + Duration::from_millis(ms));
        }
        seen.take(&Mark { feed: 3, number: 1 }.packet(), t);
        seen.take(b"noise", t);
        assert_eq!((seen.of_feed, seen.unmarked), ([3, 1], 2));
        let changes: Vec<_> = seen
            .changes
            .iter()
            .map(|c| (c.came.mark.feed, c.gap().as_millis(), c.media_lost()))
            .collect();
        assert_eq!(changes, [(1, 0, 0), (2, 220, 10), (1, 10, -1)]);
    }
}
