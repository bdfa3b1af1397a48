//! The experiment: the primary falls silent, again and again, and the receiver says how long
//! nothing came.

use std::time::{Duration, Instant};

use crate::support::{figure, quantile};
use crate::wire::{Arrival, Feeder, Receiver, Schedule};

/// What a switch did, on the relay's clock, ns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    /// The primary's last packet was received.
    pub(crate) last: u64,
    /// The decision.
    pub(crate) decided: u64,
    /// The backup's packet that made the cut was received and recorded.
    pub(crate) cut: u64,
}

/// A relay that is on its primary, and goes to its backup by itself.
pub(crate) trait Switcher {
    /// Whether the primary delivers: for probes.
    fn set_alive(&self, _alive: bool) {}
    /// Goes back to the primary, if it is good again. Asked again where it is not.
    fn go_back(&self) -> bool;
    /// Whether what it sends is all that its inputs carried, each once.
    fn is_whole(&self) -> bool {
        true
    }
    /// What the last switch did, where the relay knows.
    fn marks(&self) -> Option<Marks> {
        None
    }
}

/// One kill.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    /// Silence at the receiver.
    pub(crate) wall_ns: u64,
    /// Datagrams of the schedule that nobody got.
    pub(crate) lost: u64,
    /// The silence that is a failure.
    pub(crate) timeout_ns: u64,
    pub(crate) marks: Option<Marks>,
}

/// Of relays that have no rhythm longer than a tick.
pub(crate) const SPREAD: Duration = Duration::from_millis(20);

pub(crate) struct Line<'a> {
    pub(crate) receiver: &'a Receiver,
    pub(crate) main: &'a Feeder,
    pub(crate) schedule: Schedule,
    pub(crate) timeout_ms: f64,
    /// The moment of a kill is spread over this: more than a relay's own rhythm.
    pub(crate) spread: Duration,
}

impl Line<'_> {
    pub(crate) fn kill(&self, relay: &dyn Switcher, count: usize) -> Vec<Gap> {
        (0..count).map(|n| self.kill_once(relay, n as u64)).collect()
    }

    fn kill_once(&self, relay: &dyn Switcher, n: u64) -> Gap {
        self.await_feed(0);
        // A moment that has nothing to do with the schedules, and a phase that differs each time.
        let random = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        self.main.resume(random % self.schedule.period_ns());
        let spread_us = self.spread.as_micros() as u64;
        std::thread::sleep(Duration::from_micros(10_000 + random % spread_us));
        drop(self.receiver.take());
        self.receiver.await_more();
        relay.set_alive(false);
        self.main.pause();
        self.await_feed(1);
        std::thread::sleep(Duration::from_millis(5));
        let timeout_ns = (self.timeout_ms * 1e6) as u64;
        let gap = gap(&self.receiver.take(), timeout_ns, relay);

        relay.set_alive(true);
        self.main.resume(0);
        let until = Instant::now() + Duration::from_secs(5);
        std::thread::sleep(Duration::from_millis(3));
        while !relay.go_back() {
            assert!(Instant::now() < until, "the primary is not good again");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.await_feed(0);
        gap
    }

    fn await_feed(&self, feed: u8) {
        let until = Instant::now() + Duration::from_secs(10);
        while self.receiver.on_air() != feed {
            assert!(Instant::now() < until, "feed {feed} does not come on the air");
            std::thread::sleep(Duration::from_micros(500));
        }
    }
}

/// What came around the switch from feed 0 to feed 1.
fn gap(arrivals: &[Arrival], timeout_ns: u64, relay: &dyn Switcher) -> Gap {
    let first = arrivals.iter().position(|arrival| arrival.feed == 1).expect("it came");
    assert!(first > 0, "nothing of the primary came before it died");
    let (old, new) = arrivals.split_at(first);
    assert!(old.iter().all(|arrival| arrival.feed == 0));
    assert!(new.iter().all(|arrival| arrival.feed == 1), "nothing old after the cut");
    for feed in [old, new] {
        let whole = feed.windows(2).all(|pair| pair[0].number + 1 == pair[1].number);
        assert!(whole || !relay.is_whole(), "a datagram was lost or doubled on the way");
    }
    let (last, first) = (old[old.len() - 1], new[0]);
    let lost = first.number.saturating_sub(last.number + 1);
    Gap { wall_ns: first.at - last.at, lost, timeout_ns, marks: relay.marks() }
}

/// The figures of many kills.
pub(crate) fn tell(gaps: &[Gap], schedule: Schedule) {
    let over: Vec<f64> =
        gaps.iter().map(|gap| (gap.wall_ns as f64 - gap.timeout_ns as f64) / 1e6).collect();
    let timeouts: Vec<f64> = gaps.iter().map(|gap| gap.timeout_ns as f64 / 1e6).collect();
    figure("over_p50", quantile(&over, 0.5));
    figure("timeout_ms", quantile(&timeouts, 0.5));
    let walls: Vec<f64> = gaps.iter().map(|gap| gap.wall_ns as f64 / 1e6).collect();
    let period_ms = schedule.period_ns() as f64 / 1e6;
    let lost: Vec<f64> = gaps.iter().map(|gap| gap.lost as f64 * period_ms).collect();
    figure("kills", gaps.len() as f64);
    for (name, q) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        figure(format!("wall_{name}"), quantile(&walls, q));
        figure(format!("lost_{name}"), quantile(&lost, q));
    }
    let us = |each: &dyn Fn(&Gap, Marks) -> f64| -> Vec<f64> {
        gaps.iter().filter_map(|gap| Some(each(gap, gap.marks?) / 1e3)).collect()
    };
    let between = |from: u64, to: u64| to as f64 - from as f64;
    let decided = us(&|gap, marks| between(marks.last + gap.timeout_ns, marks.decided));
    if decided.is_empty() {
        return;
    }
    let waited = us(&|_, marks| between(marks.decided, marks.cut));
    let way = us(&|gap, marks| gap.wall_ns as f64 - between(marks.last, marks.cut));
    for (name, values) in [("decided", decided), ("waited", waited), ("way", way)] {
        figure(format!("{name}_p50_us"), quantile(&values, 0.5));
        figure(format!("{name}_p99_us"), quantile(&values, 0.99));
    }
}
