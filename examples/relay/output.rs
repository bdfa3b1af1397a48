//! The one output: writes what the engine lets through, rewritten to one transport stream if it is
//! told to, drops what a newer cut has overtaken, and keeps the figures of what was written.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use changeover::Priority;

use crate::net;
use crate::splice::Splicer;
use crate::stop::End;
use crate::ts::{PACKET, PER_DATAGRAM};
use crate::url::{Endpoint, Kind};

/// Cuts kept for the report.
const CUTS_KEPT: usize = 200;

/// What became of a piece of media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Yes,
    /// Another input has been on the air since it was let through.
    Overtaken,
    /// Lost, but the next one may get through.
    Lost,
    /// Nothing will get through any more.
    Broken(End),
}

/// A change of the input as seen at the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) at: SystemTime,
    pub(crate) from: Priority,
    pub(crate) to: Priority,
    /// From the last packet of the old input to the first of the new one.
    pub(crate) gap: Duration,
}

/// The figures.
#[derive(Clone, Debug, Default)]
pub(crate) struct OutputCounts {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) lost: u64,
    pub(crate) last_error: Option<String>,
    /// Longest time between two packets written.
    pub(crate) longest_gap: Duration,
    pub(crate) last_write: Option<Instant>,
    /// The latest, oldest first.
    pub(crate) cuts: VecDeque<Cut>,
}

#[derive(Debug)]
pub(crate) struct Output {
    line: Mutex<Line>,
    /// Apart from the line, so that the figures can be read while a write blocks.
    counts: Mutex<OutputCounts>,
    opened: Instant,
    /// When the write that is going on began, ms after opening, plus 1; 0 = none is.
    busy_since_ms: AtomicU64,
    rewrites: bool,
}

/// What a packet goes through.
#[derive(Debug)]
struct Line {
    sink: Sink,
    splicer: Option<Splicer>,
    /// What the splicer made of the piece in hand.
    rewritten: Vec<u8>,
    last_cut: u32,
    on_air: Option<Priority>,
}

enum Sink {
    Udp(UdpSocket, SocketAddr),
    Bytes(Box<dyn Write + Send>),
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(_, to) => write!(f, "Udp({to})"),
            Self::Bytes(_) => f.write_str("Bytes"),
        }
    }
}

impl Output {
    pub(crate) fn open(endpoint: &Endpoint) -> Result<Self, String> {
        let sink = match &endpoint.kind {
            Kind::Udp(udp) => Sink::Udp(net::sender(udp)?, udp.addr),
            Kind::File(path) => Sink::Bytes(Box::new(
                File::create(path).map_err(|why| format!("cannot write {endpoint}: {why}"))?,
            )),
            Kind::Pipe => Sink::Bytes(stdout()?),
        };
        Ok(Self::to(sink))
    }

    fn to(sink: Sink) -> Self {
        Self {
            line: Mutex::new(Line {
                sink,
                splicer: None,
                rewritten: Vec::new(),
                last_cut: 0,
                on_air: None,
            }),
            counts: Mutex::default(),
            opened: Instant::now(),
            busy_since_ms: AtomicU64::new(0),
            rewrites: false,
        }
    }

    /// The same, making one conformant transport stream of all inputs ([`Splicer`]), or passing
    /// on what comes, which is what an output does at first.
    pub(crate) fn rewriting(mut self, rewrites: bool) -> Self {
        let line = self.line.get_mut().unwrap_or_else(PoisonError::into_inner);
        line.splicer = rewrites.then(Splicer::new);
        self.rewrites = rewrites;
        self
    }

    /// Shows the output what an input sends while it is not on the air: its tables, so that its
    /// turn can begin at once. Costs nothing if the output does not rewrite, and waits for nobody:
    /// tables come again.
    pub(crate) fn learn(&self, input: Priority, media: &[u8]) {
        if self.rewrites
            && let Ok(mut line) = self.line.try_lock()
            && let Some(splicer) = &mut line.splicer
        {
            splicer.learn(input, media);
        }
    }

    /// Writes one piece of media that the engine let through under `cut`. The lock is contended
    /// only at a switch, when two inputs are let through for a moment: there the cut decides.
    pub(crate) fn write(&self, cut: u32, input: Priority, media: &[u8]) -> Written {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if cut < line.last_cut {
            return Written::Overtaken;
        }
        line.last_cut = cut;
        let Line { sink, splicer, rewritten, on_air, .. } = &mut *line;
        let media = match splicer {
            None => media,
            Some(splicer) => {
                rewritten.clear();
                splicer.rewrite(cut, input, media, rewritten);
                &rewritten[..]
            }
        };
        if media.is_empty() {
            // It is held back until more of it has come.
            return Written::Yes;
        }
        let before = Instant::now();
        // Relaxed, here and below: a figure for the display.
        let since_ms = before.duration_since(self.opened).as_millis() as u64 + 1;
        self.busy_since_ms.store(since_ms, Ordering::Relaxed);
        let result = match sink {
            Sink::Udp(socket, to) => send(socket, *to, media, splicer.is_some()),
            Sink::Bytes(sink) => sink.write_all(media),
        };
        let after = Instant::now();
        self.busy_since_ms.store(0, Ordering::Relaxed);
        let mut counts = self.lock_counts();
        if let Err(why) = result {
            counts.lost += 1;
            counts.last_error = Some(why.to_string());
            return match why.kind() {
                _ if matches!(sink, Sink::Udp(..)) => Written::Lost,
                ErrorKind::BrokenPipe => Written::Broken(End::ReaderGone),
                _ => Written::Broken(End::OutputFailed(why.to_string())),
            };
        }
        let left = on_air.replace(input).filter(|&left| left != input);
        counts.written(media.len(), after, left.map(|left| (left, input)));
        Written::Yes
    }

    pub(crate) fn counts(&self) -> OutputCounts {
        self.lock_counts().clone()
    }

    /// How long the write that is going on has taken so far.
    pub(crate) fn blocked_for(&self) -> Duration {
        match self.busy_since_ms.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => self.opened.elapsed().saturating_sub(Duration::from_millis(since - 1)),
        }
    }

    fn lock_counts(&self) -> MutexGuard<'_, OutputCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutputCounts {
    fn written(&mut self, bytes: usize, at: Instant, cut: Option<(Priority, Priority)>) {
        self.packets += 1;
        self.bytes += bytes as u64;
        let gap = self.last_write.map_or(Duration::ZERO, |last| at.duration_since(last));
        self.longest_gap = self.longest_gap.max(gap);
        self.last_write = Some(at);
        if let Some((from, to)) = cut {
            if self.cuts.len() == CUTS_KEPT {
                self.cuts.pop_front();
            }
            self.cuts.push_back(Cut { at: SystemTime::now(), from, to, gap });
        }
    }
}

/// What was rewritten may be longer than what came: it goes out in datagrams of the usual size.
fn send(socket: &UdpSocket, to: SocketAddr, media: &[u8], rewritten: bool) -> io::Result<()> {
    let most = if rewritten { PER_DATAGRAM * PACKET } else { media.len() };
    let mut result = Ok(());
    for piece in media.chunks(most) {
        // Each is tried: one that is lost takes no other with it.
        result = socket.send_to(piece, to).map(|_| ()).and(result);
    }
    result
}

/// stdout without the line buffer that `io::stdout` has: media has no lines.
#[cfg(unix)]
fn stdout() -> Result<Box<dyn Write + Send>, String> {
    use std::os::fd::AsFd as _;
    let fd = io::stdout().as_fd().try_clone_to_owned();
    fd.map(|fd| Box::new(File::from(fd)) as _).map_err(|why| format!("cannot use stdout: {why}"))
}

#[cfg(not(unix))]
fn stdout() -> Result<Box<dyn Write + Send>, String> {
    struct Flushed(io::Stdout);
    impl Write for Flushed {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write_all(bytes)?;
            self.0.flush()?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }
    Ok(Box::new(Flushed(io::stdout())))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_an_older_cut_let_through_is_dropped() {
        let bytes = Shared::default();
        let output = Output::to(Sink::Bytes(Box::new(bytes.clone())));
        assert_eq!(output.write(3, 1, b"a"), Written::Yes);
        assert_eq!(output.write(4, 2, b"b"), Written::Yes);
        assert_eq!(output.write(3, 1, b"late"), Written::Overtaken);
        assert_eq!(output.write(4, 2, b"c"), Written::Yes);
        assert_eq!(output.write(5, 1, b"d"), Written::Yes);
        assert_eq!(*bytes.0.lock().unwrap(), b"abcd");
        let counts = output.counts();
        assert_eq!((counts.packets, counts.bytes, counts.lost), (4, 4, 0));
        let cuts: Vec<_> = counts.cuts.iter().map(|cut| (cut.from, cut.to)).collect();
        assert_eq!(cuts, [(1, 2), (2, 1)]);
        assert!(counts.cuts.iter().all(|cut| cut.gap <= counts.longest_gap));
        assert_eq!(output.blocked_for(), Duration::ZERO);
    }

    #[test]
    fn a_rewriting_output_sends_datagrams_of_the_usual_size() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let endpoint = Endpoint::udp(receiver.local_addr().unwrap());
        let output = Output::open(&endpoint).unwrap().rewriting(true);
        // Packets of a PID that no table has named pass; their counters go on across the cut.
        let mut media = [0xff; 9 * PACKET];
        for packet in media.chunks_exact_mut(PACKET) {
            packet[..4].copy_from_slice(&[0x47, 0x01, 0x00, 0x17]);
        }
        for (n, packet) in media.chunks_exact_mut(PACKET).enumerate() {
            packet[3] = 0x10 | (n as u8 + 7) & 0x0f;
        }
        output.learn(2, &media);
        assert_eq!(output.write(1, 1, &media), Written::Yes);
        assert_eq!(output.write(2, 2, &media[..PACKET]), Written::Yes);
        let mut buffer = [0; 2048];
        let mut counters = Vec::new();
        for expected in [7, 2, 1] {
            let length = receiver.recv(&mut buffer).unwrap();
            assert_eq!(length, expected * PACKET);
            counters.extend(buffer[..length].chunks(PACKET).map(|packet| packet[3] & 0x0f));
        }
        assert_eq!(counters, [7, 8, 9, 10, 11, 12, 13, 14, 15, 0]);
        let counts = output.counts();
        assert_eq!((counts.packets, counts.bytes), (2, 10 * PACKET as u64));
        assert_eq!(output.write(1, 1, &media), Written::Overtaken);
    }

    #[test]
    fn a_full_disk_ends_the_relay_and_a_missing_udp_receiver_does_not() {
        let output = Output::to(Sink::Bytes(Box::new(Full)));
        let written = output.write(1, 1, b"a");
        assert!(matches!(written, Written::Broken(End::OutputFailed(_))), "{written:?}");
        assert_eq!((output.counts().packets, output.counts().lost), (0, 1));

        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let output = Output::open(&Endpoint::udp(nobody)).unwrap();
        for _ in 0..3 {
            assert_eq!(output.write(1, 1, b"a"), Written::Yes);
        }
    }
}
