//! The lookback of one input: the latest datagrams, kept while it stands by, so that at a cut it
//! goes on where the output stopped, and then catches up with the present.
//!
//! One thread does it all, the one that receives. While it catches up, what comes in queues behind
//! what is kept, so the order stays. It sends [`SPEED`] times as fast as the datagrams came: 200 ms
//! are made up in about 70 ms, and no receiver gets more than that rate.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use changeover::eyes::Sight;

use crate::align::{By, Mark, Place, STOPPED, Stamp, Wish, align};
use crate::trail::Trail;
use crate::ts::{self, NULL_PID, PACKET, PCR_MODULUS};

/// How much faster than it came what is kept goes out.
const SPEED: u32 = 4;
/// A start that repeats more than this is none: the output would stay that much late.
const MOST_AGAIN: Duration = Duration::from_millis(500);
/// How far behind a feed may be that has the same clock.
const CLOCKS: Duration = Duration::from_millis(500);
/// How much longer than expected it is waited for.
const PATIENCE: Duration = Duration::from_millis(100);
/// How often it is looked for a place to go on from: that takes a while.
const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// Most that one input keeps, in bytes of media. Over 6 s at 80 Mbit/s.
const LARGEST: usize = 64 << 20;

#[derive(Debug)]
struct Kept {
    stamp: Stamp,
    media: Vec<u8>,
}

/// What is done with the datagrams that are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Standby,
    /// On the air under this cut; what is to be sent next.
    OnAir {
        cut: u32,
        next: u64,
    },
}

/// One input's lookback.
#[derive(Debug)]
pub(crate) struct Lookback {
    span: Duration,
    wish: Wish,
    kept: VecDeque<Kept>,
    /// The number of the oldest one kept.
    oldest: u64,
    bytes: usize,
    /// Buffers for those to come.
    spare: Vec<Vec<u8>>,
    state: State,
    /// When sending began, and when the first one sent had come.
    pace: (Instant, Instant),
    /// What comes is out already, up to this; but for how long is that believed?
    skip: Option<(Mark, Instant)>,
    /// The feed's latest PCR, and when it came.
    clock: Option<(u64, Instant)>,
    /// Whether a start was found, and when that was looked for.
    start: Option<(Instant, bool)>,
}

/// How a takeover was done, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Takeover {
    pub(crate) datagrams: usize,
    /// How long ago the first of them came.
    pub(crate) back: Duration,
    pub(crate) by: By,
    /// What comes is skipped first.
    pub(crate) skips: bool,
}

impl Lookback {
    pub(crate) fn new(span: Duration, wish: Wish) -> Self {
        let now = Instant::now();
        Self {
            span,
            wish,
            kept: VecDeque::new(),
            oldest: 0,
            bytes: 0,
            spare: Vec::new(),
            state: State::Standby,
            pace: (now, now),
            skip: None,
            clock: None,
            start: None,
        }
    }

    /// Keeps a datagram.
    pub(crate) fn keep(&mut self, sight: &Sight, media: &[u8], at: Instant) {
        if let Some(pcr) = sight.pcr {
            self.clock = Some((pcr, at));
        }
        let clock = self.clock.map(|(pcr, since)| {
            let ticks = at.saturating_duration_since(since).as_nanos() as u64 * 27 / 1000;
            (pcr + ticks) % PCR_MODULUS
        });
        let rtp = sight.rtp_seq.zip(sight.rtp_timestamp);
        let keyframe = sight.packet.is_cut_point();
        let frame = sight.packet.frames > 0;
        let stamp = Stamp { at, print: print(media), rtp, clock, frame, keyframe };
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(media);
        self.bytes += buffer.len();
        self.kept.push_back(Kept { stamp, media: buffer });
        self.forget(at);
    }

    fn forget(&mut self, now: Instant) {
        while let Some(first) = self.kept.front() {
            let is_unsent = match self.state {
                State::OnAir { next, .. } => self.oldest >= next,
                State::Standby => false,
            };
            let is_old = now.saturating_duration_since(first.stamp.at) > self.span;
            if !(is_old && !is_unsent || self.bytes > LARGEST) || self.kept.len() == 1 {
                return;
            }
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(first) = self.kept.pop_front() else { return };
        self.oldest += 1;
        self.bytes -= first.media.len();
        if self.spare.len() < 64 {
            self.spare.push(first.media);
        }
    }

    /// The engine lets this input through under `cut`; the datagram in hand is kept already. At a
    /// new cut it finds its place behind what the output has taken.
    pub(crate) fn on_air(&mut self, cut: u32, trail: &VecDeque<Stamp>) -> Option<Takeover> {
        if matches!(self.state, State::OnAir { cut: known, .. } if known == cut) {
            return None;
        }
        let now = self.kept.back()?.stamp.at;
        let stamps: Vec<Stamp> = self.kept.iter().map(|kept| kept.stamp).collect();
        let Place { from, skip_to, by } = align(trail, &stamps, self.wish);
        let next = self.oldest + from as u64;
        self.state = State::OnAir { cut, next };
        // It is no further behind than that, or it would not have been found to be the same.
        let patience = self.wish.reach.max(CLOCKS) + PATIENCE;
        self.skip = skip_to.map(|mark| (mark, now + patience));
        let first = stamps.get(from).map_or(now, |stamp| stamp.at);
        self.pace = (now, first);
        let back = now.saturating_duration_since(first);
        Some(Takeover { datagrams: stamps.len() - from, back, by, skips: skip_to.is_some() })
    }

    /// Whether a cut may fall on any packet: the output has stopped, and what is kept has a place
    /// to go on from that needs no keyframe, or is one. So a dead input's successor need not wait
    /// for its next keyframe.
    pub(crate) fn has_a_start(&mut self, trail: &Trail) -> bool {
        let Some(hand) = self.kept.back().filter(|_| self.wish.keyframe) else { return false };
        if self.state != State::Standby {
            return false;
        }
        let Some(trail) = trail.try_lock() else { return false };
        let has_stopped = |last: &Stamp| hand.stamp.at.saturating_duration_since(last.at) > STOPPED;
        if !trail.back().is_some_and(has_stopped) {
            self.start = None;
            return false;
        }
        let now = hand.stamp.at;
        if let Some((looked_at, found)) = self.start
            && now.saturating_duration_since(looked_at) < LOOK_AGAIN
        {
            return found;
        }
        let stamps: Vec<Stamp> = self.kept.iter().map(|kept| kept.stamp).collect();
        let place = align(&trail, &stamps, self.wish);
        let is_exact = matches!(place.by, By::Rtp | By::Content);
        // What comes twice keeps the output late for good: then rather the next keyframe.
        let is_near = |start: &Stamp| {
            let again = trail.back().map(|last| last.at.saturating_duration_since(start.at));
            start.keyframe && again.is_none_or(|again| again <= MOST_AGAIN)
        };
        let found = is_exact || stamps.get(place.from).is_some_and(is_near);
        self.start = Some((now, found));
        found
    }

    pub(crate) fn off_air(&mut self) {
        (self.state, self.skip) = (State::Standby, None);
    }

    /// The next one that is due to go out, with its cut; call [`sent`](Self::sent) when it is.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(u32, Stamp, &[u8])> {
        while let Some((mark, until)) = self.skip {
            let State::OnAir { next, .. } = self.state else { return None };
            let kept = self.kept.get(usize::try_from(next.checked_sub(self.oldest)?).ok()?)?;
            let passed = mark.is_passed_by(&kept.stamp);
            if passed == Some(true) || kept.stamp.at > until {
                self.skip = None;
                self.pace = (now, kept.stamp.at);
            } else {
                if passed.is_none() {
                    self.skip = None;
                    self.pace = (now, kept.stamp.at);
                }
                self.sent();
            }
        }
        let at = self.next_due()?;
        let State::OnAir { cut, next } = self.state else { return None };
        if at > now {
            return None;
        }
        let kept = self.kept.get((next - self.oldest) as usize)?;
        Some((cut, kept.stamp, &kept.media))
    }

    /// When the next one goes out; `None`: there is none.
    pub(crate) fn next_due(&mut self) -> Option<Instant> {
        let State::OnAir { cut, next } = self.state else { return None };
        // What had to be dropped for room is lost.
        let next = next.max(self.oldest);
        self.state = State::OnAir { cut, next };
        let kept = self.kept.get((next - self.oldest) as usize)?;
        let (began, first) = self.pace;
        Some(began + kept.stamp.at.saturating_duration_since(first) / SPEED)
    }

    /// The one that was due is out, or need not go out.
    pub(crate) fn sent(&mut self) {
        if let State::OnAir { next, .. } = &mut self.state {
            *next += 1;
        }
    }
}

/// Tells datagrams apart; the same in every thread.
fn print(media: &[u8]) -> Option<u64> {
    let has_content = media.chunks_exact(PACKET).any(|packet| ts::pid(packet) != NULL_PID);
    has_content.then(|| foldhash::fast::FixedState::default().hash_one(media))
}

#[cfg(test)]
mod tests;
