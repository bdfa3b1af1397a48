//! Where a lookback has to begin so that it goes on where the output stopped. Pure: no sockets, no
//! clock.
//!
//! What is tried, in this order:
//! 1. RTP: a datagram with the same number and timestamp was written and is kept: both feeds count
//!    the same.
//! 2. Content: the same datagrams, byte for byte. Four in a row have to be the same: encoders that
//!    are locked to each other may well send the same audio now and then.
//! 3. The programme clock (PCR): feeds of one encoder, or of two that are locked to one clock. They
//!    are believed to be if one is at most half a second behind the other; encoders that were merely
//!    started together differ by more, or else by as little as they look.
//! 4. The time of arrival.
//!
//! The first two are exact: the decoder has what the next datagram refers to, so nothing is lost,
//! nothing comes twice, and no keyframe is needed. The last two are near, and the stream may be
//! another encoder's. Whoever wants a keyframe then gets the one that is kept nearest to that
//! place: up to half a group of pictures comes twice, or is lost.
//!
//! As long as the output has not stopped, there is nothing to make up for: without an exact place
//! the datagram in hand is the first, be it the keyframe that the cut has waited for.
//!
//! An output that rewrites sends whole pictures only, and knows that one is whole when the next
//! begins. So the one in hand has not gone out: there the place is before that picture.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::ts::PCR_MODULUS;

/// An output that has taken nothing for so long has stopped.
pub(crate) const STOPPED: Duration = Duration::from_millis(50);
/// Numbers of one sender rise with its timestamps: this far off they are another's, in ticks of
/// 90 kHz. A tenth of a second.
const TREND_OFF: i64 = 9_000;
/// Datagrams that are kept more often than this say nothing.
const OFTEN: usize = 8;
/// Datagrams in a row that prove two feeds to be the same.
const IN_A_ROW: usize = 4;
/// Feeds that are further apart than this share no clock, in ticks: half a second.
const CLOCKS_APART: i64 = 13_500_000;

/// What a datagram is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// When it was received.
    pub(crate) at: Instant,
    /// Of its media; `None` for mere padding, which is the same in every stream.
    pub(crate) print: Option<u64>,
    /// Number and timestamp.
    pub(crate) rtp: Option<(u16, u32)>,
    /// The feed's PCR, carried forward to this datagram.
    pub(crate) clock: Option<u64>,
    /// A video frame begins in it; a keyframe.
    pub(crate) frame: bool,
    pub(crate) keyframe: bool,
}

impl Stamp {
    /// Of a datagram that nobody else has.
    pub(crate) fn nameless(at: Instant) -> Self {
        Self { at, print: None, rtp: None, clock: None, frame: false, keyframe: false }
    }
}

/// What the output needs to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    /// With the beginning of a picture.
    pub(crate) frame: bool,
    /// With a keyframe, where the feeds are not exactly the same.
    pub(crate) keyframe: bool,
    /// As long as the output has not stopped, it goes no further back than this, though the feeds
    /// be exactly the same.
    pub(crate) reach: Duration,
}

/// What two feeds were found to have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    Rtp,
    Content,
    Clock,
    Arrival,
}

impl By {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Rtp => "RTP numbers",
            Self::Content => "identical datagrams",
            Self::Clock => "PCR",
            Self::Arrival => "time of arrival",
        }
    }
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The first of the kept datagrams that goes out; their count, if all of them have been out.
    pub(crate) from: usize,
    /// What comes next has been out as well, up to and with this place.
    pub(crate) skip_to: Option<Mark>,
    pub(crate) by: By,
}

/// A place that this feed has not reached yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    Number(u16),
    Print(u64),
    Clock(u64),
}

impl Mark {
    /// Whether the datagram is behind the mark; `None`: it is the mark itself.
    pub(crate) fn is_passed_by(self, stamp: &Stamp) -> Option<bool> {
        match self {
            Self::Number(mark) => {
                let ahead = stamp.rtp.map_or(1, |(number, _)| number.wrapping_sub(mark));
                (ahead != 0).then_some(ahead < 0x8000)
            }
            Self::Print(mark) => (stamp.print != Some(mark)).then_some(false),
            Self::Clock(mark) => Some(stamp.clock.is_none_or(|clock| ticks(mark, clock) > 0)),
        }
    }
}

/// Finds the place among `kept` (oldest first, at least one: the datagram in hand) behind what was
/// `written` (oldest first).
pub(crate) fn align(written: &VecDeque<Stamp>, kept: &[Stamp], wish: Wish) -> Place {
    let live = Place { from: kept.len() - 1, skip_to: None, by: By::Arrival };
    let Some(&newest) = written.back() else { return live };
    let in_hand = written.iter().rposition(|stamp| wish.frame && stamp.frame);
    let out = in_hand.filter(|&at| at > 0).unwrap_or(written.len());
    let written: Vec<Stamp> = written.iter().take(out).copied().collect();
    let Some(last) = written.last() else { return live };
    let hand = kept[live.from].at;
    let goes_on = hand.saturating_duration_since(newest.at) < STOPPED;
    let is_near = |place: &Place| {
        let first = kept.get(place.from).map_or(hand, |stamp| stamp.at);
        !goes_on || hand.saturating_duration_since(first) <= wish.reach
    };
    let exact = by_number(&written, kept, wish.reach);
    let exact = exact.or_else(|| by_content(&written, kept, wish.reach));
    if let Some(place) = exact.filter(is_near) {
        return place;
    }
    if goes_on {
        return live;
    }
    let mut place = by_clock(last, kept).unwrap_or_else(|| Place {
        from: kept.iter().position(|stamp| stamp.at > last.at).unwrap_or(kept.len()),
        ..live
    });
    if wish.frame || wish.keyframe {
        let fits = |stamp: &Stamp| if wish.keyframe { stamp.keyframe } else { stamp.frame };
        let fitting = (0..kept.len()).filter(|&at| fits(&kept[at]));
        // A picture that begins behind the place would leave a hole where none need be.
        let near = |&at: &usize| match wish.keyframe {
            true => (false, at.abs_diff(place.from), at),
            false => (at > place.from, at.abs_diff(place.from), at),
        };
        if let Some(from) = fitting.min_by_key(near) {
            (place.from, place.skip_to) = (from, None);
        }
    }
    place
}

fn by_number(written: &[Stamp], kept: &[Stamp], reach: Duration) -> Option<Place> {
    let (last, _) = written.last()?.rtp?;
    let known: HashMap<(u16, u32), Instant> =
        kept.iter().filter_map(|stamp| Some((stamp.rtp?, stamp.at))).collect();
    let came = |stamp: &Stamp| Some((stamp.at, *known.get(&stamp.rtp?)?));
    match written.iter().rev().find_map(came) {
        // It would have to be waited for, longer than anybody wants to look back.
        Some((here, there)) if there.saturating_duration_since(here) > reach => return None,
        Some(_) => {}
        None if goes_on(written, kept) => {}
        None => return None,
    }
    let is_behind = |stamp: &Stamp| {
        stamp.rtp.is_some_and(|(number, _)| (1..0x8000).contains(&number.wrapping_sub(last)))
    };
    Some(match kept.iter().position(is_behind) {
        Some(from) => Place { from, skip_to: None, by: By::Rtp },
        None => Place {
            from: kept.len(),
            skip_to: kept.last()?.rtp.filter(|(n, _)| *n != last).map(|_| Mark::Number(last)),
            by: By::Rtp,
        },
    })
}

/// Whether what is kept is the same sender's, though what is needed of it is gone: the timestamps
/// go on with the numbers.
fn goes_on(written: &[Stamp], kept: &[Stamp]) -> bool {
    let numbered = |stamps: &[Stamp]| {
        let (first, last) =
            (stamps.iter().find_map(|s| s.rtp)?, stamps.iter().rev().find_map(|s| s.rtp)?);
        Some((first, last))
    };
    let (Some((_, (last, at))), Some(((first, begins), (newest, ends)))) =
        (numbered(written), numbered(kept))
    else {
        return false;
    };
    let (ahead, count) = (first.wrapping_sub(last), newest.wrapping_sub(first));
    if !(1..0x4000).contains(&ahead) || count < 8 {
        return false;
    }
    let per_number = i64::from(ends.wrapping_sub(begins) as i32) / i64::from(count);
    let passed = i64::from(begins.wrapping_sub(at) as i32);
    (passed - per_number * i64::from(ahead)).abs() <= TREND_OFF
}

/// Encoders of the same picture, loops and slates say the same again and again, seconds apart: only
/// what came within `reach` of each other is taken for the same, and nothing that stands often.
fn by_content(written: &[Stamp], kept: &[Stamp], reach: Duration) -> Option<Place> {
    // How many in a row are the same, from these two backwards; padding tells nothing.
    let run = |age: usize, at: usize| {
        let before = written.iter().rev().skip(age).zip(kept[..=at].iter().rev());
        let same = before.take_while(|(w, k)| w.print == k.print);
        same.take(IN_A_ROW * 16).filter(|(w, _)| w.print.is_some()).count()
    };
    let mut places: HashMap<u64, Vec<usize>> = HashMap::new();
    for (at, print) in kept.iter().enumerate().filter_map(|(at, k)| Some((at, k.print?))) {
        places.entry(print).or_default().push(at);
    }
    let (age, at) = written.iter().rev().enumerate().find_map(|(age, stamp)| {
        let same =
            places.get(&stamp.print?).filter(|places| places.len() <= OFTEN)?.iter().copied();
        let same = same.filter(|&at| apart(kept[at].at, stamp.at) <= reach);
        let sure = same.filter(|&at| run(age, at) >= IN_A_ROW);
        // The same bytes again and again tell little: then the time of arrival decides.
        Some((age, sure.min_by_key(|&at| apart(kept[at].at, stamp.at))?))
    })?;
    // Of those written behind it, some may be here as well, though not all in a row.
    let is_out = |stamp: &Stamp| {
        stamp.print.is_some() && written.iter().rev().take(age).any(|w| w.print == stamp.print)
    };
    let from = kept[at + 1..].iter().rposition(is_out).map_or(at + 1, |n| at + 2 + n);
    // The others are still to come, if nothing else has come instead.
    let is_ahead = from == kept.len() && kept[from - 1].print != written.last()?.print;
    let skip_to = written.last()?.print.filter(|_| is_ahead).map(Mark::Print);
    Some(Place { from, skip_to, by: By::Content })
}

fn by_clock(last: &Stamp, kept: &[Stamp]) -> Option<Place> {
    let clock = last.clock?;
    let (newest, at) = kept.iter().rev().find_map(|stamp| Some((stamp.clock?, stamp.at)))?;
    let passed = at.saturating_duration_since(last.at).as_micros() as i64 * 27;
    if (ticks(clock, newest) - passed).abs() > CLOCKS_APART {
        return None;
    }
    let is_behind = |stamp: &Stamp| stamp.clock.is_some_and(|at| ticks(clock, at) > 0);
    Some(match kept.iter().position(is_behind) {
        Some(from) => Place { from, skip_to: None, by: By::Clock },
        None => Place { from: kept.len(), skip_to: Some(Mark::Clock(clock)), by: By::Clock },
    })
}

/// From one clock to the other in 1/27 us, over the end of the count.
fn ticks(from: u64, to: u64) -> i64 {
    let ahead = (to + PCR_MODULUS - from) % PCR_MODULUS;
    if ahead < PCR_MODULUS / 2 { ahead as i64 } else { ahead as i64 - PCR_MODULUS as i64 }
}

fn apart(a: Instant, b: Instant) -> Duration {
    a.max(b).duration_since(a.min(b))
}

#[cfg(test)]
mod tests;
