//! What the demo must have seen, on both sides, and the table of how long everything took.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime};

use changeover::{Priority, SwitchEvent, SwitchReason};

use crate::demo::receiver::{Change, Seen};
use crate::relay::Snapshot;
use crate::text;

/// The engine's clock and the one of this program may differ by so much within the demo.
const CLOCKS_DIFFER: Duration = Duration::from_millis(1);

/// What was done to the feeds, and what the engine decided, each with its time.
#[derive(Debug)]
pub(crate) struct Facts {
    timeout: Duration,
    stable: Duration,
    killed: Option<Moment>,
    back: Option<Moment>,
    decided: Vec<(Priority, Priority, Instant)>,
}

/// One moment on both clocks: the receiver's figures have one, the engine's history the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Instant,
    pub(crate) wall: SystemTime,
}

impl Facts {
    pub(crate) fn new(timeout_ms: i64, stable_ms: i64) -> Self {
        let ms = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        let (timeout, stable) = (ms(timeout_ms), ms(stable_ms));
        Self { timeout, stable, killed: None, back: None, decided: Vec::new() }
    }

    /// Feed 1 sent its last datagram.
    pub(crate) fn killed(&mut self, last_sent: Moment) {
        self.killed = Some(last_sent);
    }

    /// Feed 1 sent its first datagram after it was brought back.
    pub(crate) fn back(&mut self, first_sent: Moment) {
        self.back = Some(first_sent);
    }

    /// The engine told of a switch.
    pub(crate) fn decided(&mut self, from: Priority, to: Priority, at: Instant) {
        self.decided.push((from, to, at));
    }

    /// Everything that should have been there and was not; empty is success.
    pub(crate) fn missing(&self, history: &[SwitchEvent], seen: &Seen) -> Vec<String> {
        let mut missing = Vec::new();
        let mut must = |is_so: bool, what: &str| {
            if !is_so {
                missing.push(what.to_owned());
            }
        };
        let began_on = seen.changes.first().map(|change| change.came.mark.feed);
        must(began_on == Some(1), "the receiver did not get feed 1 first");
        must(seen.unmarked == 0, "the receiver got datagrams of neither feed");
        must(self.killed.is_some(), "feed 1 was not killed");
        must(self.back.is_some(), "feed 1 was not brought back");
        must(
            self.killed.is_some_and(|killed| {
                told(history, 1, 2, SwitchReason::Timeout, killed.wall).is_some()
            }),
            "the engine's history has no failover 1 -> 2 by timeout after the kill",
        );
        must(self.failover(seen).is_some(), "the receiver did not see feed 2 follow feed 1");
        must(
            self.back.is_some_and(|back| {
                told(history, 2, 1, SwitchReason::Failback, back.wall).is_some()
            }),
            "the engine's history has no failback 2 -> 1 after feed 1 was back",
        );
        let failback = self.failback(seen);
        must(failback.is_some(), "the receiver did not see feed 1 follow feed 2");
        let last = seen.last.map(|last| last.mark.feed);
        must(last == Some(1), "the receiver did not have feed 1 at the end");
        if let (Some(at), Some(killed)) = (self.failover_decided(), self.killed) {
            let early = at + CLOCKS_DIFFER < killed.at + self.timeout;
            must(!early, "the failover was decided before the timeout was over");
        }
        if let (Some(change), Some(back)) = (failback, self.back) {
            let early = change.came.at + CLOCKS_DIFFER < back.at + self.stable;
            must(!early, "the failback came before feed 1 had been stable for long enough");
        }
        missing
    }

    /// The table at the end.
    pub(crate) fn table(&self, last: &Snapshot, seen: &Seen, sent: [u64; 2]) -> String {
        // Writing to a string cannot fail.
        let mut t = String::new();
        let ms = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
        let row = |t: &mut String, what: &str, figure: String, about: String| {
            let _ = writeln!(t, "  {what:<34}{figure:>12}   {about}");
        };
        if let (Some(at), Some(killed)) = (self.failover_decided(), self.killed) {
            let after = at.saturating_duration_since(killed.at);
            let about = format!(
                "after feed 1's last packet: {} later than the timeout of {}",
                ms(after.saturating_sub(self.timeout)),
                ms(self.timeout)
            );
            row(&mut t, "failover decided", ms(after), about);
        }
        let programme = |change: &Change| match change.media_lost() {
            0 => "nothing of the programme lost or repeated".to_owned(),
            n if n > 0 => format!("datagrams of the programme lost: {n}"),
            n => format!("datagrams of the programme repeated: {}", -n),
        };
        if let Some(change) = self.failover(seen) {
            row(&mut t, "  gap at the receiver", ms(change.gap()), programme(&change));
        }
        if let (Some(change), Some(back)) = (self.failback(seen), self.back) {
            let after = ms(change.came.at.saturating_duration_since(back.at));
            let about = format!("after feed 1's first packet: stable for {}", ms(self.stable));
            row(&mut t, "failback at the receiver", after, about);
            row(&mut t, "  gap at the receiver", ms(change.gap()), programme(&change));
        }
        let worst = Duration::from_nanos(last.stats.lateness_max_ns);
        let about = format!("over {} deadlines", last.stats.deadlines_total);
        row(&mut t, "engine late by, at worst", ms(worst), about);
        let _ = writeln!(
            t,
            "\n  {:<8}{:>12}{:>12}{:>12}{:>17}",
            "packets", "sent", "received", "forwarded", "at the receiver"
        );
        for (n, input) in last.inputs.iter().enumerate() {
            let _ = writeln!(
                t,
                "  feed {:<3}{:>12}{:>12}{:>12}{:>17}",
                n + 1,
                text::count(sent[n]),
                text::count(input.received),
                text::count(input.forwarded),
                text::count(seen.of_feed[n])
            );
        }
        t
    }

    fn failover_decided(&self) -> Option<Instant> {
        let killed = self.killed?.at;
        let mut decided = self.decided.iter();
        decided.find(|&&(from, to, at)| (from, to) == (1, 2) && at >= killed).map(|&(.., at)| at)
    }

    fn failover(&self, seen: &Seen) -> Option<Change> {
        change(seen, 1, 2, self.killed?.at)
    }

    fn failback(&self, seen: &Seen) -> Option<Change> {
        change(seen, 2, 1, self.back?.at)
    }
}

/// The first change from one feed to the other at the receiver, not before then.
fn change(seen: &Seen, from: u8, to: u8, since: Instant) -> Option<Change> {
    let is_it = |change: &&Change| {
        change.left.is_some_and(|left| left.mark.feed == from)
            && change.came.mark.feed == to
            && change.came.at >= since
    };
    seen.changes.iter().find(is_it).copied()
}

fn told(
    history: &[SwitchEvent],
    from: Priority,
    to: Priority,
    reason: SwitchReason,
    since: SystemTime,
) -> Option<&SwitchEvent> {
    history.iter().find(|switch| {
        (switch.from, switch.to, switch.reason) == (Some(from), to, reason) && switch.at >= since
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::mark::Mark;
    use crate::demo::receiver::Arrival;

    /// A demo as it should be: feed 1 dies at 2 s and is back at 4 s; stability is 2.5 s.
    struct Story {
        began: Moment,
        facts: Facts,
        history: Vec<SwitchEvent>,
        seen: Seen,
    }

    impl Story {
        fn good() -> Self {
            let began = Moment { at: Instant::now(), wall: SystemTime::now() };
            let mut story = Self {
                began,
                facts: Facts::new(200, 2500),
                history: Vec::new(),
                seen: Seen::default(),
            };
            story.facts.killed(story.at(2000));
            story.facts.back(story.at(4000));
            story.facts.decided(1, 2, story.at(2201).at);
            story.history = vec![
                story.switch(6501, 2, 1, SwitchReason::Failback),
                story.switch(2201, 1, 2, SwitchReason::Timeout),
            ];
            let arrival =
                |feed, ms| Arrival { mark: Mark { feed, number: ms }, at: story.at(ms).at };
            let change = |left: Option<(u8, u64)>, feed, ms| Change {
                left: left.map(|(feed, ms)| arrival(feed, ms)),
                came: arrival(feed, ms),
            };
            story.seen = Seen {
                changes: vec![
                    change(None, 1, 10),
                    change(Some((1, 2000)), 2, 2204),
                    change(Some((2, 6498)), 1, 6504),
                ],
                last: Some(arrival(1, 8000)),
                ..Seen::default()
            };
            story
        }

        fn at(&self, ms: u64) -> Moment {
            let after = Duration::from_millis(ms);
            Moment { at: self.began.at + after, wall: self.began.wall + after }
        }

        fn switch(&self, ms: u64, from: i32, to: i32, reason: SwitchReason) -> SwitchEvent {
            text::switch_event(self.at(ms).wall, Some(from), to, reason)
        }

        fn missing(&self) -> String {
            self.facts.missing(&self.history, &self.seen).join("; ")
        }
    }

    #[test]
    fn a_good_story_lacks_nothing() {
        assert_eq!(Story::good().missing(), "");
    }

    #[test]
    fn neither_side_is_believed_alone() {
        let mut story = Story::good();
        story.history.clear();
        assert!(story.missing().contains("no failover") && story.missing().contains("no failback"));
        let mut story = Story::good();
        story.seen.changes.truncate(1);
        assert!(story.missing().contains("feed 2 follow"));
        assert!(story.missing().contains("feed 1 follow"));
        let mut story = Story::good();
        story.seen.unmarked = 1;
        assert!(story.missing().contains("neither feed"));
        let nothing = Facts::new(200, 2500).missing(&[], &Seen::default());
        assert!(nothing.len() >= 6, "{nothing:?}");
    }

    #[test]
    fn the_wrong_reason_and_the_wrong_time_do_not_count() {
        let mut story = Story::good();
        story.history[1].reason = SwitchReason::Manual;
        assert!(story.missing().contains("no failover"));
        let mut story = Story::good();
        story.history[0] = story.switch(3900, 2, 1, SwitchReason::Failback);
        assert!(story.missing().contains("no failback"), "it was before feed 1 was back");
        let mut story = Story::good();
        story.facts.decided[0].2 = story.at(2150).at;
        assert!(story.missing().contains("before the timeout"));
        let mut story = Story::good();
        story.seen.changes[2].came.at = story.at(6000).at;
        assert!(story.missing().contains("stable for long enough"));
    }
}
