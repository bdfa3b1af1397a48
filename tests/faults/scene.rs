//! What several of the tests need: streams, feeds in real time, and waiting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use changeover::{Engine, Event, InputConfig, Packet, Recorder, StreamConfig, Subscription};

/// For what takes milliseconds; generous, because the machine is busy with other tests.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const PACKET: Packet = Packet::new(1316);

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

pub(crate) fn hot_pair(id: &str) -> StreamConfig {
    StreamConfig::new(id).input(InputConfig::hot(0, "main")).input(InputConfig::hot(1, "backup"))
}

/// The addresses tell a driver how to behave.
pub(crate) fn cold_pair(id: &str, first: &str) -> StreamConfig {
    StreamConfig::new(id).input(InputConfig::cold(0, first)).input(InputConfig::cold(1, "good"))
}

/// The next event that `pick` accepts; the others are passed over.
pub(crate) fn wait_event<T>(
    events: &Subscription,
    what: &str,
    mut pick: impl FnMut(&Event) -> Option<T>,
) -> T {
    let until = Instant::now() + PATIENCE;
    let mut passed = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let event = events.recv_timeout(left);
        let event = event.unwrap_or_else(|| panic!("not within {PATIENCE:?}: {what}: {passed:#?}"));
        if let Some(found) = pick(&event) {
            return found;
        }
        passed.push(event);
    }
}

/// Hot streams whose inputs deliver every few ms, each until it is told to die.
pub(crate) struct Feeds {
    over: Arc<AtomicBool>,
    main_dead: Arc<AtomicBool>,
    thread: Option<JoinHandle<Fed>>,
}

/// What the feeder did.
pub(crate) struct Fed {
    /// When each mortal main input delivered last, on the engine's clock (a moment before it).
    pub(crate) last: Vec<u64>,
    /// The longest time between two of its rounds: it may have been starved itself.
    pub(crate) longest_gap_ns: u64,
}

impl Feeds {
    /// Registers them all; `mortal` of them lose their main input at [`kill`](Self::kill).
    pub(crate) fn start(engine: &Engine, ids: &[String], mortal: usize, every: Duration) -> Self {
        let (over, main_dead) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let mut recorders = Vec::new();
        for id in ids {
            engine.register(hot_pair(id)).expect("a new id");
            recorders.push([0, 1].map(|n| engine.recorder(id, n, None).expect("a hot input")));
        }
        let (ended, dead, clock) = (Arc::clone(&over), Arc::clone(&main_dead), engine.clone());
        let feed = move || feed(&clock, &mut recorders, mortal, every, &ended, &dead);
        Self { over, main_dead, thread: Some(thread::spawn(feed)) }
    }

    pub(crate) fn kill(&self) {
        self.main_dead.store(true, Relaxed);
    }

    /// Ends them.
    pub(crate) fn end(mut self) -> Fed {
        self.over.store(true, Relaxed);
        self.thread.take().expect("ended once").join().expect("the feeder")
    }
}

impl Drop for Feeds {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
    }
}

fn feed(
    engine: &Engine,
    recorders: &mut [[Recorder; 2]],
    mortal: usize,
    every: Duration,
    over: &AtomicBool,
    main_dead: &AtomicBool,
) -> Fed {
    // SAFETY: numbers. It concerns this thread; where it is not allowed, it has to do without.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, -10) };
    let mut last = vec![0; mortal];
    let (mut round, mut longest_gap_ns) = (engine.now_ns(), 0);
    while !over.load(Relaxed) {
        let before = std::mem::replace(&mut round, engine.now_ns());
        longest_gap_ns = longest_gap_ns.max(round - before);
        let dead = main_dead.load(Relaxed);
        for (n, [main, backup]) in recorders.iter_mut().enumerate() {
            if n >= mortal || !dead {
                if let Some(last) = last.get_mut(n) {
                    *last = engine.now_ns();
                }
                let _ = main.record(PACKET);
            }
            let _ = backup.record(PACKET);
        }
        thread::sleep(every);
    }
    Fed { last, longest_gap_ns }
}
