//! The timeline through its public interface: the contract's scenario H8, and what real inputs do
//! to timestamps. Exact numbers; then many random runs, each named by its seed.

#[path = "timeline/h8.rs"]
mod h8;
#[path = "timeline/random.rs"]
mod random;
#[path = "timeline/undated.rs"]
mod undated;

use changeover::timeline::{Mapped, NO_TIMESTAMP, Stamps, Timebase, Timeline};

const TS: Timebase = Timebase::MPEG_TS;
const VIDEO: u32 = 0;
const AUDIO: u32 = 1;
/// 25 frames a second and 1024 samples at 48 kHz, in 90 kHz ticks.
const FRAME: i64 = 3600;
const SOUND: i64 = 1920;

fn base(num: i32, den: i32) -> Timebase {
    Timebase::new(num, den).unwrap()
}

/// DTS and PTS of a packet that was let through.
#[track_caller]
fn at(mapped: Mapped) -> (i64, i64) {
    match mapped {
        Mapped::At(stamps) => (stamps.dts, stamps.pts),
        other => panic!("not let through: {other:?}"),
    }
}

/// Maps a packet whose DTS is its PTS, on the 33-bit clock.
fn plain(timeline: &mut Timeline, cut: u32, track: u32, time: i64) -> Mapped {
    timeline.map(cut, track, TS, Stamps::pts_only(TS.fold(time)))
}

#[test]
fn a_cut_continues_one_frame_later_whatever_the_clocks_say() {
    let mut timeline = Timeline::new(TS);
    for n in 0..3 {
        assert_eq!(at(plain(&mut timeline, 4, VIDEO, 500 + n * FRAME)).0, 500 + n * FRAME);
    }
    // Hours apart; in seconds/30; B-frames: shown later than decoded.
    let thirtieth = base(1, 30);
    let ahead = 30 * 3600 * 5;
    let mapped = timeline.map(5, VIDEO, thirtieth, Stamps::new(ahead, ahead + 2).lasting(1));
    assert_eq!(mapped, Mapped::At(Stamps::new(500 + 10_800, 500 + 16_800).lasting(3000)));
    let mapped = timeline.map(5, VIDEO, thirtieth, Stamps::new(ahead + 1, ahead + 1).lasting(1));
    assert_eq!(at(mapped), (500 + 13_800, 500 + 13_800), "PTS may fall, DTS does not");
    // The last packet's own duration decides, not the track's usual one. And where frames were
    // reordered, the next one is shown behind the last that was shown: at 16_800 + 3000.
    assert_eq!(at(plain(&mut timeline, 9, VIDEO, 77)), (500 + 19_800, 500 + 19_800));
    // Unless that is more than a second away: then it was no reordering.
    let mapped = timeline.map(9, VIDEO, TS, Stamps::new(77 + FRAME, 77 + 95_000).lasting(FRAME));
    assert_eq!(at(mapped), (500 + 23_400, 500 + 114_800));
    assert_eq!(at(plain(&mut timeline, 10, VIDEO, 77)).0, 500 + 27_000);
}

#[test]
fn reordered_frames_are_shown_before_those_of_the_next_input_unless_dts_alone_counts() {
    // I, P (4 frames later to be shown), B: the cut leaves out two more.
    for (mut timeline, expected) in [
        (Timeline::new(TS), (5 * FRAME, 6 * FRAME)),
        (Timeline::new(TS).by_dts_alone(), (3 * FRAME, 4 * FRAME)),
    ] {
        for (n, shown) in [(0, 1), (1, 5), (2, 2)] {
            let _ = at(timeline.map(1, VIDEO, TS, Stamps::new(n * FRAME, shown * FRAME)));
        }
        let key = Stamps::new(80, 80 + FRAME);
        assert_eq!(at(timeline.map(2, VIDEO, TS, key)), expected);
    }
}

#[test]
fn an_input_that_goes_on_exactly_where_the_other_stopped_keeps_its_times() {
    // I P b b, twice; the cut falls between the second P and its pictures, and the counter wraps.
    let top = (1_i64 << 33) - 6 * FRAME;
    let picture = |n: i64| {
        let (dts, shown) =
            (top + n * FRAME, top + (n - n % 4 + [1, 4, 2, 3][n as usize % 4]) * FRAME);
        (Stamps::new(TS.fold(dts), TS.fold(shown)), (dts, shown))
    };
    for early in [0, 90, -90] {
        let mut timeline = Timeline::new(TS);
        for n in 0..6 {
            assert_eq!(at(timeline.map(1, VIDEO, TS, picture(n).0)), picture(n).1);
        }
        // One millisecond more or less is rounding on the way.
        let moved = |time: i64| TS.fold(time - early);
        for n in 6..12 {
            let (Stamps { dts, pts, .. }, (decoded, shown)) = picture(n);
            let packet = Stamps::new(moved(dts), moved(pts));
            let expected = (decoded - early, shown - early);
            assert_eq!(at(timeline.map(2, VIDEO, TS, packet)), expected, "{n}, {early}");
        }
    }
    // Anything else is another clock: nothing of it is shown before what was.
    for off in [91, -91] {
        let mut timeline = Timeline::new(TS);
        (0..6).for_each(|n| _ = at(timeline.map(1, VIDEO, TS, picture(n).0)));
        let (Stamps { dts, pts, .. }, _) = picture(6);
        let packet = Stamps::new(TS.fold(dts + off), TS.fold(pts + off));
        assert_eq!(at(timeline.map(2, VIDEO, TS, packet)).1, picture(5).1.1 + FRAME);
    }
}

#[test]
fn the_first_turn_keeps_its_times_or_begins_where_it_is_told() {
    let packet = Stamps::new(90, 100);
    let mut timeline = Timeline::new(TS);
    assert_eq!(at(timeline.map(0, VIDEO, Timebase::MILLIS, packet)), (8100, 9000));
    let mut timeline = Timeline::new(TS).start_at(-45);
    assert_eq!(at(timeline.map(0, VIDEO, Timebase::MILLIS, packet)), (-45, 855));
    let mut timeline = Timeline::new(TS).start_at(-90_000);
    assert_eq!(at(plain(&mut timeline, 1, VIDEO, 0)), (-90_000, -90_000));
    assert_eq!(at(plain(&mut timeline, 1, VIDEO, FRAME)), (-86_400, -86_400));
    assert_eq!(at(plain(&mut timeline, 2, VIDEO, 0)), (-82_800, -82_800));
}

#[test]
fn stragglers_of_an_older_cut_change_nothing() {
    let mut timeline = Timeline::new(TS);
    let _ = at(plain(&mut timeline, 3, VIDEO, 0));
    let _ = at(plain(&mut timeline, 3, VIDEO, FRAME));
    assert_eq!(at(plain(&mut timeline, 7, VIDEO, 900_000)).0, 2 * FRAME);
    assert_eq!(plain(&mut timeline, 3, VIDEO, 2 * FRAME), Mapped::Stale);
    assert_eq!(plain(&mut timeline, 6, AUDIO, 2 * FRAME), Mapped::Stale);
    assert_eq!(timeline.pcr(3, TS, 0), None);
    assert_eq!(at(plain(&mut timeline, 7, VIDEO, 900_000 + FRAME)).0, 3 * FRAME);
}

#[test]
fn audio_from_before_the_keyframe_is_refused_until_the_old_audio_ends() {
    let mut timeline = Timeline::new(TS);
    for n in 0..4 {
        let _ = at(plain(&mut timeline, 1, VIDEO, n * FRAME));
        let _ = at(plain(&mut timeline, 1, AUDIO, n * SOUND));
    }
    // Audio ends at 4 * 1920 = 7680, video goes on at 14_400. The backup's audio is 9600 earlier.
    assert_eq!(at(plain(&mut timeline, 2, VIDEO, 1_000_000)).0, 14_400);
    let audio = |n: i64| 1_000_000 - 9600 + n * SOUND; // 4800, 6720, 8640
    assert_eq!(plain(&mut timeline, 2, AUDIO, audio(0)), Mapped::Overlap);
    assert_eq!(plain(&mut timeline, 2, AUDIO, audio(1)), Mapped::Overlap);
    assert_eq!(at(plain(&mut timeline, 2, AUDIO, audio(2))).0, 8640);
    assert_eq!(at(plain(&mut timeline, 2, AUDIO, audio(3))).0, 10_560);

    // Less than a millisecond too early is jitter, and kept; nothing is moved.
    assert_eq!(at(plain(&mut timeline, 3, VIDEO, 50_000)).0, 18_000);
    let end = 50_000 + 12_480 - 18_000;
    assert_eq!(plain(&mut timeline, 3, AUDIO, end - 91), Mapped::Overlap);
    assert_eq!(at(plain(&mut timeline, 3, AUDIO, end - 90)).0, 12_390);
}

#[test]
fn missing_times_are_stood_in_for_or_said() {
    let none = NO_TIMESTAMP;
    let mut timeline = Timeline::new(TS);
    assert_eq!(timeline.map(1, VIDEO, TS, Stamps::new(none, none)), Mapped::Untimed);
    assert_eq!(at(timeline.map(1, VIDEO, TS, Stamps::new(none, 100))), (100, 100));
    assert_eq!(at(timeline.map(1, VIDEO, TS, Stamps::new(200, none))), (200, none));
    assert_eq!(timeline.map(1, VIDEO, TS, Stamps::new(none, none)), Mapped::Untimed);
    assert_eq!(at(timeline.map(1, VIDEO, TS, Stamps::new(300, 300))), (300, 300));
    // A turn that begins without times begins with the first that has one.
    assert_eq!(timeline.map(2, VIDEO, TS, Stamps::new(none, none)), Mapped::Untimed);
    assert_eq!(at(timeline.map(2, VIDEO, TS, Stamps::new(5000, 5000))), (400, 400));
}

#[test]
fn rounding_does_not_drift_in_twelve_hours() {
    // 29.97 frames a second, handed out in milliseconds and in 1001/30000 s.
    let ntsc = base(1001, 30_000);
    let mut timeline = Timeline::new(Timebase::MILLIS);
    let _ = at(timeline.map(1, VIDEO, ntsc, Stamps::pts_only(0)));
    let _ = at(timeline.map(1, VIDEO, ntsc, Stamps::pts_only(1)));
    let start = 1_000_000;
    let mut last = 0;
    for n in 0..1_294_706 {
        // 33_366_667 ms is frame 1_000_000; the second turn begins at 66 = 33 + 33.
        last = at(timeline.map(2, VIDEO, ntsc, Stamps::pts_only(start + n))).0;
    }
    // (1_000_000 + 1_294_705) * 1001 / 30 = 76_566_656.83; minus 33_366_666.67 rounded
    assert_eq!(last, 66 + 76_566_657 - 33_366_667);
}

#[test]
fn a_leap_inside_a_turn_is_met_like_a_cut() {
    let mut timeline = Timeline::new(TS);
    for n in 0..5 {
        let _ = at(plain(&mut timeline, 1, VIDEO, 900_000 + n * FRAME));
        let _ = at(plain(&mut timeline, 1, AUDIO, 900_000 + n * SOUND));
    }
    // The encoder restarts: 2 s back. Audio from before is still under way.
    assert_eq!(at(plain(&mut timeline, 1, VIDEO, 720_000)).0, 900_000 + 5 * FRAME);
    assert_eq!(at(plain(&mut timeline, 1, AUDIO, 900_000 + 5 * SOUND)).0, 900_000 + 5 * SOUND);
    // Then its audio follows, 900 ticks behind its video, and keeps that.
    let expected = 900_000 + 5 * FRAME - 900;
    assert_eq!(at(plain(&mut timeline, 1, AUDIO, 720_000 - 900)).0, expected);
    assert_eq!(at(plain(&mut timeline, 1, VIDEO, 720_000 + FRAME)).0, 900_000 + 6 * FRAME);

    // Forward: 10 s are a hole, more is another clock.
    let now = 720_000 + FRAME;
    assert_eq!(at(plain(&mut timeline, 1, VIDEO, now + 900_000)).0, 1_800_000 + 6 * FRAME);
    let mapped = at(plain(&mut timeline, 1, VIDEO, now + 1_800_001)).0;
    assert_eq!(mapped, 1_800_000 + 7 * FRAME);
    // Back by up to 1 s is refused.
    assert_eq!(plain(&mut timeline, 1, VIDEO, now + 1_800_001 - 90_000), Mapped::Overlap);
    assert_eq!(at(plain(&mut timeline, 1, VIDEO, now + 1_800_002)).0, mapped + 1);
}

#[test]
fn what_counts_as_a_leap_is_at_least_a_second_and_a_frame_is_never_longer() {
    for (jump_ms, longest) in [(0, 90_000), (2000, 180_000)] {
        let mut timeline = Timeline::new(TS).max_jump_ms(jump_ms);
        let _ = at(plain(&mut timeline, 1, VIDEO, 0));
        let _ = at(plain(&mut timeline, 1, VIDEO, FRAME));
        assert_eq!(at(plain(&mut timeline, 1, VIDEO, FRAME + longest)).0, FRAME + longest);
        let next = at(plain(&mut timeline, 1, VIDEO, FRAME + 2 * longest + 1)).0;
        assert_eq!(next, 2 * FRAME + longest, "another clock");
        let packet = Stamps::pts_only(FRAME + 2 * longest + 2).lasting(1 << 40);
        let Mapped::At(sent) = timeline.map(1, VIDEO, TS, packet) else { panic!() };
        assert_eq!(sent.duration, longest);
        assert_eq!(at(plain(&mut timeline, 2, VIDEO, 7)).0, next + 1 + longest);
    }
}

#[test]
fn one_damaged_time_leaves_the_offset_as_it_was() {
    let mut timeline = Timeline::new(TS);
    for n in 0..5 {
        let _ = at(plain(&mut timeline, 1, VIDEO, n * FRAME));
        let _ = at(plain(&mut timeline, 1, AUDIO, n * SOUND));
    }
    assert_eq!(at(plain(&mut timeline, 1, VIDEO, 5 * FRAME + (1 << 32))).0, 5 * FRAME);
    for n in 6..60 {
        assert_eq!(at(plain(&mut timeline, 1, VIDEO, n * FRAME)).0, n * FRAME);
    }
    for n in 5..100 {
        assert_eq!(at(plain(&mut timeline, 1, AUDIO, n * SOUND)).0, n * SOUND);
    }
}

#[test]
fn after_a_leap_that_audio_did_not_make_both_are_on_one_clock_again_within_a_second() {
    let mut timeline = Timeline::new(TS);
    for n in 0..5 {
        let _ = at(plain(&mut timeline, 1, VIDEO, n * FRAME));
        let _ = at(plain(&mut timeline, 1, AUDIO, n * FRAME));
    }
    // One video time is 8 s ahead: a hole. The next is back: another clock, 8 s later.
    let shift = 720_000;
    assert_eq!(at(plain(&mut timeline, 1, VIDEO, 5 * FRAME + shift)).0, 5 * FRAME + shift);
    assert_eq!(at(plain(&mut timeline, 1, VIDEO, 6 * FRAME)).0, 6 * FRAME + shift);
    // Audio is at 4 frames: 25 more are a second.
    for n in 5..=29 {
        assert_eq!(at(plain(&mut timeline, 1, AUDIO, n * FRAME)).0, n * FRAME);
        assert_eq!(at(plain(&mut timeline, 1, VIDEO, (n + 2) * FRAME)).0, (n + 2) * FRAME + shift);
    }
    assert_eq!(at(plain(&mut timeline, 1, AUDIO, 30 * FRAME)).0, 30 * FRAME + shift);
}

#[test]
fn tracks_on_unrelated_clocks_are_each_read_on_their_own() {
    let (mut timeline, half) = (Timeline::new(TS), 1 << 32);
    // Audio is half the counter's range away: now less than that, now more.
    let times = [
        (VIDEO, 0, 0),
        (AUDIO, half - 7200, 1),
        (VIDEO, 3600, 3600),
        (AUDIO, half + 9000, 16_201),
        (VIDEO, 5400, 5400),
        (AUDIO, half + 10_000, 17_201),
    ];
    for (track, time, expected) in times {
        assert_eq!(at(plain(&mut timeline, 1, track, time)).0, expected);
    }
    // More bits than the counter has are not believed, from the first packet on.
    let mut timeline = Timeline::new(TS);
    assert_eq!(at(timeline.map(1, VIDEO, TS, Stamps::pts_only((1 << 33) + 5))).0, 5);
}

#[test]
fn a_sparse_track_stays_on_the_clock() {
    let (mut timeline, subtitles) = (Timeline::new(TS), 2);
    assert_eq!(at(plain(&mut timeline, 1, subtitles, 0)).0, 0);
    for n in 0..1000 {
        let _ = at(plain(&mut timeline, 1, VIDEO, n * FRAME));
    }
    // 40 s later, which would be a leap if video had not gone on.
    assert_eq!(at(plain(&mut timeline, 1, subtitles, 999 * FRAME)).0, 999 * FRAME);
    for n in 1000..2000 {
        let _ = at(plain(&mut timeline, 1, VIDEO, n * FRAME));
    }
    // A turn that begins with it begins where the output stands, not where the track ended.
    assert_eq!(at(plain(&mut timeline, 2, subtitles, 1 << 32)).0, 2000 * FRAME);
    assert_eq!(at(plain(&mut timeline, 2, VIDEO, (1 << 32) + 5)).0, 2000 * FRAME + 5);
}

#[test]
fn the_pcr_moves_with_its_tracks() {
    let mut timeline = Timeline::new(TS);
    let modulus = 300 << 33;
    assert_eq!(timeline.pcr(0, Timebase::PCR, 0), None, "nothing has come");
    for n in 0..2 {
        let _ = at(plain(&mut timeline, 1, VIDEO, n * FRAME));
    }
    assert_eq!(timeline.pcr(1, Timebase::PCR, modulus - 5), Some(modulus - 5));
    assert_eq!(timeline.pcr(2, Timebase::PCR, 0), None, "a turn that has not begun");
    let top = 1 << 33;
    assert_eq!(at(plain(&mut timeline, 2, VIDEO, top - 10)).0, 7200);
    // 45_000 ticks and a bit before: behind the output's wrap; 20 later: behind the input's.
    assert_eq!(
        timeline.pcr(2, Timebase::PCR, (top - 10 - 45_000) * 300 + 299),
        Some(modulus + (7200 - 45_000) * 300 + 299)
    );
    assert_eq!(timeline.pcr(2, Timebase::PCR, 10 * 300 + 1), Some(7220 * 300 + 1));
    assert_eq!(timeline.pcr(2, TS, 10), Some(7220));
    assert_eq!(timeline.pcr(2, TS, 900_000 - 10), Some(907_200));
    assert_eq!(timeline.pcr(2, TS, 900_000 - 9), None, "the clock is about to leap");
    timeline.restart();
    assert_eq!(timeline.pcr(2, TS, 10), None);
}

#[test]
fn a_restart_begins_a_turn_under_the_same_number() {
    let mut timeline = Timeline::new(TS);
    for n in 0..3 {
        let _ = at(plain(&mut timeline, 1, VIDEO, n * FRAME));
    }
    timeline.restart();
    // A leap of 2 s forward would have been a hole.
    assert_eq!(at(plain(&mut timeline, 1, VIDEO, 180_000)).0, 3 * FRAME);
}

#[test]
fn hostile_values_are_answered() {
    let extremes = [i64::MIN, i64::MIN + 1, -1, 0, 1, 1 << 33, 1 << 61, i64::MAX - 1, i64::MAX];
    let bases = [
        TS,
        Timebase::PCR,
        base(i32::MAX, 1),
        base(1, i32::MAX),
        base(1, 1).wrapping(62).unwrap(),
        base(1, 1).wrapping(8).unwrap(),
    ];
    for output in bases {
        let mut timeline = Timeline::new(output).start_at(i64::MAX).max_jump_ms(u32::MAX);
        for round in 0..2000_u64 {
            let pick = |n: u64| (round * n / 7) as usize;
            let [dts, pts, duration] = [1, 5, 11].map(|n| extremes[pick(n) % extremes.len()]);
            let timebase = bases[pick(3) % bases.len()];
            let cut = (round / 50) as u32;
            let _ = timeline.map(cut, pick(2) as u32 % 3, timebase, Stamps { dts, pts, duration });
            let _ = timeline.pcr(cut, timebase, dts);
        }
    }
    // A time that does not fit counts as none.
    let mut timeline = Timeline::new(TS);
    assert_eq!(timeline.map(1, 0, base(1, 1), Stamps::pts_only(i64::MAX)), Mapped::Untimed);
    let mapped = timeline.map(1, 0, base(1, 1), Stamps::new(1, i64::MAX).lasting(i64::MAX));
    assert_eq!(mapped, Mapped::At(Stamps::new(90_000, NO_TIMESTAMP)));
}
