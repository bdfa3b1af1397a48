//! The inputs: one thread each that receives, looks at what came, tells the engine, and forwards at
//! once what the engine lets through. There is no queue between input and output, but for a
//! lookback that is catching up.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use changeover::eyes::{Eyes, Sight};
use changeover::{Engine, Error, Packet, Priority, Recorder, Verdict};

use crate::align::Stamp;
use crate::lookback::{Lookback, Takeover};
use crate::net::Receiver;
use crate::output::{Output, Written};
use crate::packet_log::PacketLog;
use crate::player::{self, Player};
use crate::relay::STREAM;
use crate::stop::Stop;
use crate::text;
use crate::trail::{self, Trail};
use crate::ts::{Framer, PER_DATAGRAM};
use crate::url::{Endpoint, Kind};

/// A player further behind than this (a suspended machine) goes on from where it is, instead of
/// hurrying after the clock.
const FURTHEST_BEHIND: Duration = Duration::from_secs(1);
/// Pause after a socket error that may not go away by itself.
const ERROR_PAUSE: Duration = Duration::from_millis(200);
/// While a lookback catches up: how long nothing is received, at most.
const BREATH: Duration = Duration::from_millis(2);
/// Larger than any datagram.
const BUFFER: usize = 65_536;

/// What an input has seen. Relaxed throughout: figures for people, each written by one thread.
#[derive(Debug, Default)]
pub(crate) struct InputCounts {
    /// Datagrams of media, or pieces of a file or pipe.
    pub(crate) received: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) forwarded: AtomicU64,
    /// Let through by the engine, but overtaken at the output by a later cut.
    pub(crate) overtaken: AtomicU64,
    /// Datagrams, or stretches of a file or pipe, that are no transport stream. They are no sign
    /// of life.
    pub(crate) garbage: AtomicU64,
    /// Forwarded out of the lookback, later than they came.
    pub(crate) looked_back: AtomicU64,
    /// The input will never deliver again.
    pub(crate) ended: AtomicBool,
}

/// An opened input.
#[derive(Debug)]
pub(crate) enum Source {
    Udp(Receiver),
    File(File),
    Stdin,
}

impl Source {
    pub(crate) fn open(endpoint: &Endpoint) -> Result<Self, String> {
        match &endpoint.kind {
            Kind::Udp(udp) => Receiver::open(udp).map(Self::Udp),
            Kind::File(path) => {
                // Opening a named pipe would wait for its writer, so it is looked at before.
                if path.metadata().is_ok_and(|about| !about.is_file()) {
                    return Err(format!(
                        "{endpoint} is not a regular file: for a pipe use `--input - <{endpoint}`"
                    ));
                }
                let mut file =
                    File::open(path).map_err(|why| format!("cannot read {endpoint}: {why}"))?;
                player::check_playable(&mut file)
                    .map_err(|why| format!("cannot play {endpoint}: {why}"))?;
                Ok(Self::File(file))
            }
            Kind::Pipe => Ok(Self::Stdin),
        }
    }

    /// Where a UDP input really listens.
    pub(crate) fn local_addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Udp(receiver) => receiver.socket.local_addr().ok(),
            _ => None,
        }
    }

    /// Whether the thread may hang in a read that nothing can interrupt.
    pub(crate) fn may_hang(&self) -> bool {
        matches!(self, Self::Stdin)
    }
}

/// The way of one input's media: into the engine, and from there to the output.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) engine: Engine,
    pub(crate) recorder: Recorder,
    pub(crate) priority: Priority,
    pub(crate) counts: Arc<InputCounts>,
    pub(crate) output: Arc<Output>,
    pub(crate) eyes: Eyes,
    /// Of a UDP input, if it is wanted.
    pub(crate) lookback: Option<Lookback>,
    /// Where the output is; kept up to date if there are lookbacks.
    pub(crate) trail: Arc<Trail>,
    pub(crate) stop: Arc<Stop>,
    /// Remarks for the operator.
    pub(crate) notes: Sender<String>,
    pub(crate) log: Option<Arc<PacketLog>>,
}

impl Feed {
    /// Carries the input until the end; this is what its thread does.
    pub(crate) fn run(mut self, source: Source, looped: bool) {
        match source {
            Source::Udp(receiver) => self.receive(&receiver.socket),
            Source::File(file) => {
                let mut player = Player::new(BufReader::new(file), PER_DATAGRAM, looped);
                let why = match self.play(&mut player) {
                    Ok(()) => "the file has ended".to_owned(),
                    Err(why) => format!("cannot read the file: {why}"),
                };
                self.ended(&why);
            }
            Source::Stdin => {
                let why = match self.pass(io::stdin().lock()) {
                    Ok(()) => "stdin has ended".to_owned(),
                    Err(why) => format!("cannot read stdin: {why}"),
                };
                self.ended(&why);
            }
        }
    }

    fn receive(&mut self, socket: &UdpSocket) {
        let mut buffer = vec![0; BUFFER];
        // While the lookback catches up, it is the clock that says when to go on.
        let mut hurried = false;
        while !self.stop.is_raised() {
            let flow = match socket.recv(&mut buffer) {
                Ok(count) => self.datagram(&buffer[..count]),
                // Nothing came; time to look at the flag.
                Err(why) if is_idle(&why) => {
                    if hurried {
                        self.breathe();
                    }
                    ControlFlow::Continue(())
                }
                Err(why) => {
                    self.report(&format!("cannot receive: {why}"));
                    self.stop.sleep(ERROR_PAUSE);
                    ControlFlow::Continue(())
                }
            };
            if flow.is_break() || self.forward_kept(None).is_break() {
                return;
            }
            let hurries = self.lookback.as_mut().is_some_and(|kept| kept.next_due().is_some());
            if hurries != hurried && socket.set_nonblocking(hurries).is_ok() {
                hurried = hurries;
            }
        }
    }

    fn breathe(&mut self) {
        let next = self.lookback.as_mut().and_then(Lookback::next_due);
        let latest = Instant::now() + BREATH;
        self.stop.sleep_until(next.map_or(latest, |next| next.min(latest)));
    }

    fn datagram(&mut self, datagram: &[u8]) -> ControlFlow<()> {
        let sight = self.eyes.look(datagram);
        if !sight.is_media {
            return self.garbage(datagram);
        }
        self.media(&sight, &datagram[sight.media.clone()])
    }

    /// A piece of a pipe: whole packets.
    fn piece(&mut self, piece: &[u8]) -> ControlFlow<()> {
        let sight = self.eyes.look(piece);
        self.media(&sight, piece)
    }

    /// A piece of a file. Nothing is lost on the way from a disk: counters that jump, as where a
    /// loop begins again, were recorded so.
    fn recording(&mut self, piece: &[u8]) -> ControlFlow<()> {
        let mut sight = self.eyes.look(piece);
        sight.packet.lost = 0;
        self.media(&sight, piece)
    }

    fn play(&mut self, player: &mut Player<BufReader<File>>) -> io::Result<()> {
        let mut began = Instant::now();
        let mut skipped = 0;
        while let Some((due, piece)) = player.next_piece()? {
            let late = began.elapsed().saturating_sub(due);
            if late > FURTHEST_BEHIND {
                began += late;
            }
            if self.stop.sleep_until(began + due) || self.recording(piece).is_break() {
                return Ok(());
            }
            if player.skipped() > skipped {
                skipped = player.skipped();
                self.counts.garbage.fetch_add(1, Relaxed);
            }
        }
        Ok(())
    }

    /// A pipe is live: what comes is passed on at once.
    fn pass(&mut self, mut pipe: impl io::Read) -> io::Result<()> {
        let mut framer = Framer::new();
        let mut skipped = 0;
        loop {
            match framer.read_from(&mut pipe) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(why) if why.kind() == ErrorKind::Interrupted => {}
                Err(why) => return Err(why),
            }
            while let Some(piece) = framer.take(PER_DATAGRAM) {
                if self.stop.is_raised() || self.piece(piece).is_break() {
                    return Ok(());
                }
            }
            if framer.skipped() > skipped {
                skipped = framer.skipped();
                self.counts.garbage.fetch_add(1, Relaxed);
            }
        }
    }

    /// One datagram of media: recorded first, so that a slow output cannot hide a sign of life;
    /// then forwarded, if the engine says so.
    fn media(&mut self, sight: &Sight, media: &[u8]) -> ControlFlow<()> {
        self.counts.received.fetch_add(1, Relaxed);
        self.counts.bytes.fetch_add(media.len() as u64, Relaxed);
        self.output.learn(self.priority, media);
        let mut packet = sight.packet;
        if let Some(lookback) = &mut self.lookback {
            lookback.keep(sight, media, Instant::now());
            packet.keyframe |= lookback.has_a_start(&self.trail);
        }
        // An error: the engine is being shut down.
        let Ok(verdict) = self.record(packet) else { return ControlFlow::Break(()) };
        match (verdict, &mut self.lookback) {
            (Verdict::Forward(cut), Some(_)) => self.forward_kept(Some(cut)),
            (Verdict::Forward(cut), None) => {
                // Others may look back to where this one has stopped.
                let trail = Arc::clone(&self.trail);
                let mut trail = trail.lock();
                let written = self.output.write(cut, self.priority, media);
                if written == Written::Yes {
                    trail::leave(&mut trail, Stamp::nameless(Instant::now()));
                }
                drop(trail);
                self.count(written)
            }
            (_, Some(lookback)) => {
                lookback.off_air();
                ControlFlow::Continue(())
            }
            (_, None) => ControlFlow::Continue(()),
        }
    }

    /// Forwards what is due of what is kept. A new `cut` begins where the output has stopped.
    fn forward_kept(&mut self, cut: Option<u32>) -> ControlFlow<()> {
        let Some(lookback) = &mut self.lookback else { return ControlFlow::Continue(()) };
        if cut.is_none() && lookback.next_due().is_none() {
            return ControlFlow::Continue(());
        }
        let trail_owner = Arc::clone(&self.trail);
        // Held until the first one is out: from then on the old input is overtaken.
        let mut trail = trail_owner.lock();
        if let Some(takeover) = cut.and_then(|cut| lookback.on_air(cut, &trail)) {
            note(&self.notes, self.priority, takeover);
        }
        let now = Instant::now();
        while let Some(lookback) = &mut self.lookback
            && let Some((cut, stamp, media)) = lookback.due(now)
        {
            let written = self.output.write(cut, self.priority, media);
            if written == Written::Yes {
                trail::leave(&mut trail, stamp);
                self.counts.looked_back.fetch_add(u64::from(now > stamp.at + BREATH), Relaxed);
            }
            lookback.sent();
            if written == Written::Overtaken {
                lookback.off_air();
            }
            self.count(written)?;
        }
        ControlFlow::Continue(())
    }

    fn count(&self, written: Written) -> ControlFlow<()> {
        match written {
            Written::Yes => _ = self.counts.forwarded.fetch_add(1, Relaxed),
            Written::Overtaken => _ = self.counts.overtaken.fetch_add(1, Relaxed),
            Written::Lost => {}
            Written::Broken(end) => {
                self.stop.raise(end);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn record(&mut self, packet: Packet) -> Result<Verdict, Error> {
        let verdict = self.record_logged(packet);
        if verdict != Verdict::Stale {
            return Ok(verdict);
        }
        // The epoch is over (an error was reported): the packet in hand begins the next one.
        self.note(|feed| format!("open {}", feed.priority));
        self.recorder = self.engine.recorder(STREAM, self.priority, None)?;
        Ok(self.record_logged(packet))
    }

    /// Where it is written down, the engine is told the time that is written.
    fn record_logged(&mut self, packet: Packet) -> Verdict {
        let Some(log) = &self.log else { return self.recorder.record_precise(packet) };
        let now_ns = self.engine.now_ns();
        let verdict = self.recorder.record_at(packet, now_ns);
        log.packet(now_ns, self.priority, &packet);
        verdict
    }

    fn report(&mut self, why: &str) {
        self.note(|feed| format!("fail {}", feed.priority));
        self.recorder.report_error(why);
    }

    fn note(&self, what: impl FnOnce(&Self) -> String) {
        if let Some(log) = &self.log {
            log.line(self.engine.now_ns(), format_args!("{}", what(self)));
        }
    }

    /// Counted, and otherwise ignored: something that is no media does not keep an input alive.
    fn garbage(&mut self, datagram: &[u8]) -> ControlFlow<()> {
        if self.counts.garbage.fetch_add(1, Relaxed) == 0 {
            let first = datagram.first().map_or("nothing".to_owned(), |b| format!("{b:#04x}"));
            // Nobody listens any more only at the end.
            let _ = self.notes.send(format!(
                "input {} gets datagrams that are no MPEG-TS ({} bytes, beginning with {first}); \
                 they are counted and ignored",
                self.priority,
                datagram.len()
            ));
        }
        ControlFlow::Continue(())
    }

    /// A live source that ends is a source that failed.
    fn ended(&mut self, why: &str) {
        if !self.stop.is_raised() {
            self.report(why);
            self.counts.ended.store(true, Relaxed);
        }
    }
}

/// Says how an input took over, if it did more than to go on from here.
fn note(notes: &Sender<String>, priority: Priority, takeover: Takeover) {
    let Takeover { datagrams, back, by, skips } = takeover;
    let text = if skips {
        format!("input {priority} waits for where the output is (by {})", by.as_str())
    } else if datagrams > 1 {
        let back = text::span(back);
        format!(
            "input {priority} goes on where the output stopped: {datagrams} datagrams of the \
             latest {back} (by {})",
            by.as_str()
        )
    } else {
        return;
    };
    // Nobody listens any more only at the end.
    let _ = notes.send(text);
}

fn is_idle(why: &io::Error) -> bool {
    // A datagram that nobody wanted comes back as "connection reset" on some systems.
    matches!(
        why.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionReset
    )
}
