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

/// An output that has taken nothing for so long has stopped.
pub(crate) const STOPPED: Duration = Duration::from_millis(50);
/// Numbers of one sender rise with its timestamps: this far off they are another's, in ticks of
/// 90 kHz. A tenth of a second.
const TREND_OFF: i64 = 9_000;
/// Datagrams that are kept more often than this say nothing.
const OFTEN: usize = 8;
/// Datagrams in a row that prove two feeds to be the same.
const IN_A_ROW: usize = 4;
/// The PCR counts a 27 MHz clock modulo this.
const CLOCK_MODULUS: u64 = (1 << 33) * 300;
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
    let ahead = (to + CLOCK_MODULUS - from) % CLOCK_MODULUS;
    if ahead < CLOCK_MODULUS / 2 { ahead as i64 } else { ahead as i64 - CLOCK_MODULUS as i64 }
}

fn apart(a: Instant, b: Instant) -> Duration {
    a.max(b).duration_since(a.min(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACH: Duration = Duration::from_millis(150);

    fn stamp(t: Instant, ms: u64) -> Stamp {
        let at = t + Duration::from_millis(ms);
        Stamp { at, print: None, rtp: None, clock: None, frame: false, keyframe: false }
    }

    /// 100 stamps, 2 ms apart, from `from_ms` on.
    fn feed(t: Instant, from_ms: u64, with: impl Fn(u64, &mut Stamp)) -> Vec<Stamp> {
        let make = |n| {
            let mut stamp = stamp(t, from_ms + 2 * n);
            with(n, &mut stamp);
            stamp
        };
        (0..100).map(make).collect()
    }

    fn place(written: &[Stamp], kept: &[Stamp], keyframe: bool) -> (usize, Option<Mark>, By) {
        place_for(written, kept, Wish { frame: false, keyframe, reach: REACH })
    }

    fn place_for(written: &[Stamp], kept: &[Stamp], wish: Wish) -> (usize, Option<Mark>, By) {
        let place = align(&written.iter().copied().collect(), kept, wish);
        (place.from, place.skip_to, place.by)
    }

    #[test]
    fn rtp_numbers_are_exact_whatever_the_delay() {
        let t = Instant::now();
        let numbered = |first: u16| {
            move |n: u64, stamp: &mut Stamp| {
                let number = first.wrapping_add(n as u16);
                stamp.rtp = Some((number, u32::from(number) * 180));
            }
        };
        let first = 65_500;
        let written = feed(t, 0, numbered(first));
        let kept = feed(t, 130, numbered(first));
        assert_eq!(place(&written[..60], &kept, true), (60, None, By::Rtp), "no keyframe needed");
        // The backup lacks the one written last, and the one behind it.
        let mut gap = kept.clone();
        gap.drain(59..61);
        assert_eq!(place(&written[..60], &gap, false), (59, None, By::Rtp));
        // The backup is behind: what is to come has been out already.
        let behind = Some(Mark::Number(first.wrapping_add(59)));
        assert_eq!(place(&written[..60], &kept[..40], false), (40, behind, By::Rtp));
        assert_eq!(place(&written[..40], &kept[..40], false), (40, None, By::Rtp));
        // Whole pictures: back to where the one in hand begins; for a backup that is behind, too.
        let mut pictures = written.clone();
        for n in [20, 55] {
            pictures[n].frame = true;
        }
        let wish = Wish { frame: true, keyframe: true, reach: REACH };
        let begun = |count: usize, kept: &[Stamp]| place_for(&pictures[..count], kept, wish);
        assert_eq!(begun(60, &kept), (55, None, By::Rtp));
        assert_eq!(begun(56, &kept), (55, None, By::Rtp), "it begins in the last one");
        assert_eq!(begun(55, &kept), (20, None, By::Rtp));
        assert_eq!(begun(20, &kept), (20, None, By::Rtp), "no picture at all");
        let as_it_is = Wish { frame: false, keyframe: true, reach: REACH };
        assert_eq!(place_for(&pictures[..60], &kept, as_it_is), (60, None, By::Rtp));
        // Nothing but the picture in hand is remembered.
        assert_eq!(place_for(&pictures[20..40], &kept, wish), (40, None, By::Rtp));
        let before = Some(Mark::Number(first.wrapping_add(54)));
        assert_eq!(begun(60, &kept[..40]), (40, before, By::Rtp));
        // Far behind, and so far ahead that what is needed is not kept: still the same sender.
        let far = Some(Mark::Number(first.wrapping_add(99)));
        assert_eq!(place(&written, &kept[..30], true), (30, far, By::Rtp));
        let early = feed(t, 130, numbered(first.wrapping_add(150)));
        assert_eq!(place(&written[..60], &early, true), (0, None, By::Rtp));
        // Another sender's numbers: the same, but at other times.
        let foreign = feed(t, 0, |n, stamp| stamp.rtp = Some((first.wrapping_add(n as u16), 7)));
        assert_eq!(place(&written[..60], &foreign, false), (60, None, By::Arrival));
    }

    #[test]
    fn marks_are_passed_behind_them() {
        let at = |number| {
            let mut stamp = stamp(Instant::now(), 0);
            stamp.rtp = Some((number, 0));
            Mark::Number(65_535).is_passed_by(&stamp)
        };
        assert_eq!([at(65_534), at(65_535), at(0)], [Some(false), None, Some(true)]);
        let at = |clock| {
            let stamp = Stamp { clock: Some(clock), ..stamp(Instant::now(), 0) };
            Mark::Clock(CLOCK_MODULUS - 5).is_passed_by(&stamp)
        };
        assert_eq!([at(CLOCK_MODULUS - 9), at(CLOCK_MODULUS - 5)], [Some(false), Some(false)]);
        assert_eq!(at(3), Some(true));
        let at = |print| {
            let stamp = Stamp { print: Some(print), ..stamp(Instant::now(), 0) };
            Mark::Print(5).is_passed_by(&stamp)
        };
        assert_eq!([at(4), at(5)], [Some(false), None]);
    }

    #[test]
    fn identical_datagrams_are_exact() {
        let t = Instant::now();
        let printed = |first: u64| move |n, stamp: &mut Stamp| stamp.print = Some(first + n);
        let written = feed(t, 0, printed(500));
        let kept = feed(t, 40, printed(500));
        assert_eq!(place(&written[..60], &kept, true), (60, None, By::Content));
        let behind = Some(Mark::Print(559));
        assert_eq!(place(&written[..60], &kept[..50], false), (50, behind, By::Content));
        let far = Some(Mark::Print(599));
        assert_eq!(place(&written, &kept[..40], false), (40, far, By::Content), "60 behind");
        // Three that are the same by chance prove nothing.
        let mut strange = feed(t, 0, printed(9000));
        (57..60).for_each(|n| strange[n].print = Some(500 + n as u64));
        assert_eq!(place(&written[..60], &strange, false), (60, None, By::Arrival));
        strange[56].print = Some(556);
        assert_eq!(place(&written[..60], &strange, false), (60, None, By::Content));
        // Nor does padding before one.
        let mut padding = feed(t, 0, printed(9000));
        let mut mine = written.clone();
        (40..59).for_each(|n| (padding[n].print, mine[n].print) = (None, None));
        padding[59].print = Some(559);
        assert_eq!(place(&mine[..60], &padding, false), (60, None, By::Arrival));
        // The two latest are missing, and it goes on behind them.
        let mut gap = kept.clone();
        gap.drain(58..60);
        assert_eq!(place(&written[..60], &gap, false), (58, None, By::Content));
        // With padding between, and with one of the latest missing: those behind it are out, too.
        let mut padded = kept.clone();
        let mut mine = written.clone();
        (50..58).for_each(|n| (padded[n].print, mine[n].print) = (None, None));
        assert_eq!(place(&mine[..60], &padded, true), (60, None, By::Content));
        padded.remove(58);
        assert_eq!(place(&mine[..60], &padded, true), (59, None, By::Content));
        // A feed that says always the same: by arrival, in effect.
        let constant = feed(t, 1, |_, stamp| stamp.print = Some(1));
        let same = feed(t, 0, |_, stamp| stamp.print = Some(1));
        let (from, _, _) = place(&same[..60], &constant, false);
        assert!((59..=61).contains(&from), "{from}");
    }

    #[test]
    fn a_shared_clock_is_near_and_leads_to_a_keyframe() {
        let t = Instant::now();
        let near_the_end = CLOCK_MODULUS - 27_000 * 50;
        let clocked = |first: u64| {
            move |n: u64, stamp: &mut Stamp| {
                stamp.clock = Some((first + n * 54_000) % CLOCK_MODULUS);
                stamp.keyframe = n % 25 == 10;
            }
        };
        let written = feed(t, 0, clocked(near_the_end));
        let kept = feed(t, 300, clocked(near_the_end + 100));
        assert_eq!(place(&written[..60], &kept, false), (59, None, By::Clock));
        assert_eq!(place(&written[..60], &kept, true), (60, None, By::Clock), "the nearest key");
        assert_eq!(place(&written[..45], &kept, true), (35, None, By::Clock), "the key before");
        assert_eq!(place(&written[..8], &kept, true), (10, None, By::Clock), "the key behind");
        assert_eq!(place(&written[..61], &kept, true), (60, None, By::Clock), "the key itself");
        let wish = Wish { frame: true, keyframe: false, reach: REACH };
        let mut pictures = kept.clone();
        pictures.iter_mut().step_by(8).for_each(|stamp| stamp.frame = true);
        assert_eq!(place_for(&written[..60], &pictures, wish), (56, None, By::Clock), "a picture");
        let twin = feed(t, 300, clocked(near_the_end));
        assert_eq!(place(&written[..60], &twin, false), (60, None, By::Clock), "to the tick");
        let mark = Some(Mark::Clock(written[99].clock.unwrap()));
        assert_eq!(place(&written, &kept[..90], false), (90, mark, By::Clock));
        assert_eq!(place(&written, &kept[..90], true), (85, None, By::Clock));
        // More than half a second apart: no shared clock.
        for (apart, by) in [(499, By::Clock), (501, By::Arrival)] {
            let early = feed(t, 0, clocked((near_the_end + apart * 27_000) % CLOCK_MODULUS));
            assert_eq!(place(&written[..60], &early, false).2, by, "{apart} ms ahead");
            let late = feed(t, 0, clocked(near_the_end - apart * 27_000));
            assert_eq!(place(&written[..60], &late, false).2, by, "{apart} ms behind");
        }
    }

    /// A cut between two that both deliver: nothing is to be made up for.
    #[test]
    fn an_output_that_goes_on_is_not_gone_back_behind() {
        let t = Instant::now();
        let keyed = |n: u64, stamp: &mut Stamp| stamp.keyframe = n.is_multiple_of(30);
        let (written, kept) = (feed(t, 0, keyed), feed(t, 31, keyed));
        let mut pictures = written.clone();
        pictures[70].frame = true;
        for frame in [true, false] {
            let wish = Wish { frame, keyframe: true, reach: REACH };
            assert_eq!(place_for(&pictures, &kept, wish), (99, None, By::Arrival), "in hand");
            assert_eq!(place_for(&written, &kept, wish), (99, None, By::Arrival), "31 ms");
        }
        // Exactly the same, but too far ahead: nobody waits for what is not missing.
        let printed = |n: u64, stamp: &mut Stamp| stamp.print = Some(n);
        let (written, kept) = (feed(t, 0, printed), feed(t, 20, printed));
        let wish = Wish { reach: REACH, ..Wish::default() };
        assert_eq!(place_for(&written[..95], &kept, wish), (95, None, By::Content));
        assert_eq!(place_for(&written[..90], &kept[..95], wish), (90, None, By::Content));
        let ahead = feed(t, 0, |n, stamp| stamp.print = Some(n + 75));
        assert_eq!(place_for(&written, &ahead, wish), (25, None, By::Content), "148 ms back");
        let ahead = feed(t, 0, |n, stamp| stamp.print = Some(n + 76));
        assert_eq!(place_for(&written, &ahead, wish), (99, None, By::Arrival), "150 ms back");
        // Or too far behind: what it says now was said before, by chance or for good.
        let written = feed(t, 0, printed);
        let late = feed(t, 150, printed);
        let mark = Some(Mark::Print(99));
        assert_eq!(place_for(&written, &late[..25], wish), (25, mark, By::Content), "150 ms");
        let late = feed(t, 152, printed);
        assert_eq!(place_for(&written, &late[..24], wish), (23, None, By::Arrival), "152 ms");
        let numbered = |n: u64, stamp: &mut Stamp| stamp.rtp = Some((n as u16, n as u32 * 180));
        let written = feed(t, 0, numbered);
        let late = feed(t, 150, numbered);
        assert_eq!(place_for(&written, &late[..25], wish).2, By::Rtp);
        let late = feed(t, 152, numbered);
        assert_eq!(place_for(&written, &late[..24], wish), (23, None, By::Arrival));
        let (written, kept) = (feed(t, 0, keyed), feed(t, 31, keyed));
        assert_eq!(place(&written, &kept, true).0, 99);
        let later = feed(t, 60, keyed);
        assert_eq!(place(&written, &later, true), (60, None, By::Arrival), "60 ms: it has stopped");
    }

    #[test]
    fn without_anything_in_common_the_time_decides() {
        let t = Instant::now();
        let written = feed(t, 0, |_, _| {});
        let kept = feed(t, 31, |_, _| {});
        assert_eq!(place(&written[..60], &kept, false), (44, None, By::Arrival), "119 ms > 118 ms");
        assert_eq!(place(&[], &kept, true), (99, None, By::Arrival), "nothing was written yet");
        let late = feed(t, 1000, |_, _| {});
        assert_eq!(place(&written[..60], &late, false), (0, None, By::Arrival));
        assert_eq!(place(&late, &kept, false), (99, None, By::Arrival), "it has not stopped");
    }
}
