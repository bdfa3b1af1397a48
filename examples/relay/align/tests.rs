//! Feeds of stamps, and where each lookback begins.

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
        Mark::Clock(PCR_MODULUS - 5).is_passed_by(&stamp)
    };
    assert_eq!([at(PCR_MODULUS - 9), at(PCR_MODULUS - 5)], [Some(false), Some(false)]);
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
    let near_the_end = PCR_MODULUS - 27_000 * 50;
    let clocked = |first: u64| {
        move |n: u64, stamp: &mut Stamp| {
            stamp.clock = Some((first + n * 54_000) % PCR_MODULUS);
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
        let early = feed(t, 0, clocked((near_the_end + apart * 27_000) % PCR_MODULUS));
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
