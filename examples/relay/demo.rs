//! `relay --demo`: two feeds of its own, the same relay that carries real media, and a receiver
//! that tells the feeds apart. It kills the first feed, waits for the failover, brings it back,
//! waits for the failback, and believes neither the engine nor the receiver alone.

mod feeder;
mod mark;
mod receiver;
mod verdict;

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use changeover::{Event, EventKind};

use crate::policy::Policy;
use crate::relay::{Relay, Settings};
use crate::stop::{End, Stop};
use crate::text;
use crate::url::Endpoint;
use feeder::Feeder;
use receiver::{Downstream, Seen};
use verdict::Facts;

/// Five seconds of test picture and tone; see `clip/README.md`.
pub(crate) const CLIP: &[u8] = include_bytes!("clip/testsrc.ts");

const TIMEOUT_MS: i64 = 200;
const STABLE_MS: i64 = 2500;
/// How long each state is shown before the next thing happens.
const SHOW: Duration = Duration::from_secs(2);
/// How long something that must happen may take, beyond the time that it has to take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The end, whatever happens.
const HARD_LIMIT: Duration = Duration::from_secs(19);
/// How often the demo looks what has happened.
const LOOK: Duration = Duration::from_millis(2);

/// Like `println!`, but a reader that has gone (`| head`) is no reason to panic.
macro_rules! say {
    ($($text:tt)*) => { _ = writeln!(std::io::stdout(), $($text)*) };
}

/// Runs the demo; the code is 0 only if failover and failback were both seen on both sides.
pub(crate) fn run() -> ExitCode {
    let stop = Arc::new(Stop::default());
    let signalled = Arc::clone(&stop);
    if let Err(why) = ctrlc::set_handler(move || _ = signalled.raise(End::Signal)) {
        eprintln!("relay: signals cannot be caught ({why})");
    }
    let (done, result) = mpsc::channel();
    // On a thread of its own: main returns at the limit, whatever hangs.
    std::thread::spawn(move || done.send(Demo::start(stop).map(Demo::play)));
    match result.recv_timeout(HARD_LIMIT) {
        Ok(Ok(code)) => code,
        Ok(Err(why)) => {
            eprintln!("error: the demo cannot start: {why}");
            ExitCode::FAILURE
        }
        Err(_) => {
            eprintln!("relay: the demo did not end by itself within {HARD_LIMIT:?}");
            ExitCode::FAILURE
        }
    }
}

/// Reads both clocks at the same moment, as far as that goes: of several tries, the one that took
/// the shortest time is the best.
fn engine_began(relay: &Relay) -> Option<Instant> {
    let read = |_| {
        let before = Instant::now();
        let now_ns = relay.now_ns();
        let took = before.elapsed();
        Some((took, before.checked_sub(Duration::from_nanos(now_ns))? + took / 2))
    };
    (0..16).filter_map(read).min_by_key(|(took, _)| *took).map(|(_, began)| began)
}

struct Demo {
    relay: Relay,
    feeds: [Feeder; 2],
    downstream: Downstream,
    stop: Arc<Stop>,
    began: Instant,
    /// When the engine's clock showed 0.
    engine_began: Instant,
    facts: Facts,
    changes_told: usize,
}

impl Demo {
    fn start(stop: Arc<Stop>) -> Result<Self, String> {
        let downstream = Downstream::start(Arc::clone(&stop)).map_err(|why| why.to_string())?;
        // Port 0: the system chooses a free one.
        let free = Endpoint::udp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let settings = Settings {
            inputs: vec![free.clone(), free],
            output: Endpoint::udp(downstream.addr),
            looped: false,
            timeout_ms: TIMEOUT_MS,
            connect_timeout_ms: 1000,
            failback_stable_ms: STABLE_MS,
            failback_cooldown_ms: 1,
            policy: Policy::default(),
            packet_log: None,
        };
        let relay = Relay::start(settings, Arc::clone(&stop))?;
        let began = Instant::now();
        let feed = |number: u8| {
            let to = relay.local_addr(usize::from(number)).ok_or("an input has no address")?;
            say!("feed {number}  udp://{to}{}", if number == 1 { "  (preferred)" } else { "" });
            Feeder::start(number, to, began, Arc::clone(&stop)).map_err(|why| why.to_string())
        };
        say!("changeover relay: a failover and a failback on loopback, about 9 seconds");
        let feeds = [feed(1)?, feed(2)?];
        say!(
            "output  udp://{}  timeout {TIMEOUT_MS} ms, back after {STABLE_MS} ms of stability\n",
            downstream.addr
        );
        let engine_began = engine_began(&relay).ok_or("the clocks are apart")?;
        let facts = Facts::new(TIMEOUT_MS, STABLE_MS);
        Ok(Self { relay, feeds, downstream, stop, began, engine_began, facts, changes_told: 0 })
    }

    fn play(mut self) -> ExitCode {
        self.tell(Instant::now(), "demo", "both feeds play the same clip, in step");
        // Whatever does not happen is found missing by the facts; there is no point in going on.
        let _ = self.steps();
        self.look();
        let seen = self.downstream.seen();
        let sent = self.feeds.each_ref().map(Feeder::sent);
        self.stop.raise(End::Quit);
        let (last, end) = self.relay.finish();
        say!("\n{}", self.facts.table(&last, &seen, sent));
        let mut missing = self.facts.missing(&last.status.switches, &seen);
        if end == End::Signal {
            missing.push("it was stopped before its end".to_owned());
        }
        if missing.is_empty() {
            say!("ok: failover and failback happened, in the engine's history and at the receiver");
            return ExitCode::SUCCESS;
        }
        missing.iter().for_each(|what| say!("MISSING: {what}"));
        ExitCode::FAILURE
    }

    /// The story. `None`: something did not happen in time.
    fn steps(&mut self) -> Option<()> {
        self.wait(PATIENCE, |demo, seen| {
            seen.last.is_some_and(|last| last.mark.feed == 1) && demo.began.elapsed() >= SHOW
        })?;
        let last_sent = self.feeds[0].kill()?;
        self.facts.killed(last_sent);
        self.tell(Instant::now(), "demo", "feed 1 is KILLED: it sends nothing any more");
        let timeout = Duration::from_millis(TIMEOUT_MS.unsigned_abs());
        self.wait(timeout + PATIENCE, |_, seen| seen.last.is_some_and(|l| l.mark.feed == 2))?;
        self.pause(SHOW)?;
        self.feeds[0].bring_back();
        self.wait(PATIENCE, |demo, _| demo.feeds[0].first_sent().is_some())?;
        let back = self.feeds[0].first_sent()?;
        self.facts.back(back);
        self.tell(back.at, "demo", "feed 1 is BACK: it sends again");
        let stable = Duration::from_millis(STABLE_MS.unsigned_abs());
        self.wait(stable + PATIENCE, |_, seen| seen.last.is_some_and(|l| l.mark.feed == 1))?;
        self.pause(SHOW)
    }

    /// Looks until it is so. `None`: it was not so in time, or the demo was stopped.
    fn wait(&mut self, patience: Duration, is_so: impl Fn(&Self, &Seen) -> bool) -> Option<()> {
        let until = Instant::now() + patience;
        loop {
            self.look();
            if is_so(self, &self.downstream.seen()) {
                return Some(());
            }
            if Instant::now() >= until || self.stop.sleep(LOOK) {
                return None;
            }
        }
    }

    fn pause(&mut self, time: Duration) -> Option<()> {
        let until = Instant::now() + time;
        self.wait(time + PATIENCE, |_, _| Instant::now() >= until)
    }

    /// Tells what has happened since the last look, in the order of time.
    fn look(&mut self) {
        let mut news: Vec<(Instant, &str, String)> = Vec::new();
        for Event { at_ns, kind, .. } in self.relay.events().drain() {
            let at = self.engine_began + Duration::from_nanos(at_ns);
            if let EventKind::InputFailover { from, to, .. } = kind {
                self.facts.decided(from, to, at);
            }
            news.extend(text::event(&kind).map(|text| (at, "engine", text)));
        }
        let seen = self.downstream.seen();
        for change in &seen.changes[self.changes_told..] {
            let feed = change.came.mark.feed;
            let text = match change.left {
                None => format!("feed {feed} is on the output"),
                Some(left) => format!(
                    "feed {feed} is on the output, {} after the last of feed {}",
                    text::span(change.gap()),
                    left.mark.feed
                ),
            };
            news.push((change.came.at, "receiver", text));
        }
        self.changes_told = seen.changes.len();
        for note in self.relay.notes() {
            news.push((Instant::now(), "relay", note));
        }
        news.sort_by_key(|(at, ..)| *at);
        news.iter().for_each(|(at, who, text)| self.tell(*at, who, text));
    }

    fn tell(&self, at: Instant, who: &str, text: &str) {
        let since = at.saturating_duration_since(self.began).as_secs_f64();
        say!("{since:>8.3} s  {who:<8}  {text}");
    }
}
