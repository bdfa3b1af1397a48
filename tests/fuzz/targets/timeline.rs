//! Timelines with whatever times, timebases, tracks and cuts: no panic, no overflow; DTS strictly
//! rises per track; an older cut is refused; what is refused changes nothing that is sent.
#![no_main]

#[path = "common/bytes.rs"]
mod bytes;

use std::collections::BTreeMap;

use bytes::Bytes;
use changeover::timeline::{Mapped, NO_TIMESTAMP, Stamps, Timebase, Timeline};
use libfuzzer_sys::fuzz_target;

/// A timebase, and what it is made of.
#[derive(Clone, Copy)]
struct Base {
    base: Timebase,
    num: i32,
    den: i32,
    /// Its counter wraps: what it shows is read close to other times, and cannot be foretold.
    wraps: bool,
}

const USUAL: [Base; 3] = [
    Base { base: Timebase::MPEG_TS, num: 1, den: 90_000, wraps: true },
    Base { base: Timebase::MILLIS, num: 1, den: 1000, wraps: false },
    Base { base: Timebase::PCR, num: 1, den: 27_000_000, wraps: true },
];

fn timebase(input: &mut Bytes<'_>) -> Base {
    if input.flag() {
        return input.pick(&USUAL);
    }
    let (num, den) = (input.number() as i32, input.number() as i32);
    let made = Timebase::new(num, den);
    assert_eq!(made.is_ok(), num > 0 && den > 0);
    let Ok(mut base) = made else { return USUAL[1] };
    let mut wraps = false;
    if input.flag() {
        let bits = u32::from(input.byte());
        let wrapping = base.wrapping(bits);
        assert_eq!(wrapping.is_ok(), (8..=62).contains(&bits));
        wraps = wrapping.is_ok();
        base = wrapping.unwrap_or(base);
    }
    Base { base, num, den, wraps }
}

/// Whether a clock can show this time: it is less than 2^61 ticks of the output from 0. (Where the
/// counter wraps it is read close to another one.)
fn can_be_shown(time: i64, of: Base, output: Base) -> bool {
    let ticks = i128::from(time) * i128::from(of.num) * i128::from(output.den);
    let ticks = ticks / (i128::from(of.den) * i128::from(output.num));
    time != NO_TIMESTAMP && !of.wraps && ticks.abs() < 1 << 61
}

/// A time: any, or one a little behind the last one that was given, as feeds have.
fn time(input: &mut Bytes<'_>, last: &mut i64) -> i64 {
    let time = match input.byte() % 8 {
        0 => input.number(),
        1 => NO_TIMESTAMP,
        2 => last.wrapping_add(input.number()),
        3 => *last,
        4 => last.wrapping_add(i64::from(input.byte() as i8)),
        _ => last.wrapping_add(3600),
    };
    if time != NO_TIMESTAMP {
        *last = time;
    }
    time
}

fuzz_target!(|data: &[u8]| {
    let mut input = Bytes::new(data);
    let output = timebase(&mut input);
    let mut timeline = Timeline::new(output.base);
    if input.flag() {
        timeline = timeline.start_at(input.number());
    }
    if input.flag() {
        timeline = timeline.by_dts_alone();
    }
    if input.flag() {
        timeline = timeline.max_jump_ms(input.number() as u32);
    }
    let bases = [timebase(&mut input), timebase(&mut input), USUAL[0], output];
    let (mut cut, mut highest, mut last) = (1_u32, 0, [0_i64; 4]);
    let mut sent: BTreeMap<u32, i64> = BTreeMap::new();
    for _ in 0..400 {
        if input.is_empty() {
            return;
        }
        let what = input.byte();
        let of = usize::from(what >> 4) % bases.len();
        let (base, last) = (bases[of], &mut last[of]);
        match what & 15 {
            0 => timeline.restart(),
            1 => {
                let asked = if input.flag() { cut } else { input.number() as u32 };
                let base = if input.flag() { Timebase::PCR } else { base.base };
                let value = time(&mut input, last);
                let mapped = timeline.pcr(asked, base, value);
                // Folded: it is what a counter of this width shows.
                assert!(mapped.is_none_or(|mapped| mapped == base.fold(mapped)), "{mapped:?}");
                assert!(asked == highest || mapped.is_none(), "of another cut");
            }
            2 => cut = cut.wrapping_add(1 + u32::from(input.byte())).max(1),
            3 => cut = (input.number() as u32).max(1),
            how => {
                let track = if how == 4 { input.number() as u32 } else { u32::from(how & 3) };
                let dts = time(&mut input, last);
                let pts = if how & 4 == 0 { dts } else { time(&mut input, last) };
                let duration = if input.flag() { input.number() } else { 0 };
                let packet = Stamps::new(dts, pts).lasting(duration);
                let before = (cut < highest).then(|| format!("{timeline:?}"));
                let mapped = timeline.map(cut, track, base.base, packet);
                let tag = || format!("{mapped:?} for {packet:?} in {:?}", base.base);
                assert_eq!(mapped == Mapped::Stale, cut < highest, "{}", tag());
                highest = highest.max(cut);
                match mapped {
                    Mapped::At(at) => {
                        assert_ne!(at.dts, NO_TIMESTAMP, "{}", tag());
                        assert!(at.duration >= 0, "{}", tag());
                        let shown = can_be_shown(pts, base, output);
                        assert!(at.pts != NO_TIMESTAMP || !shown, "{}", tag());
                        assert!(at.pts == NO_TIMESTAMP || pts != NO_TIMESTAMP, "{}", tag());
                        let last = sent.insert(track, at.dts);
                        assert!(last.is_none_or(|last| at.dts > last), "{} after {last:?}", tag());
                    }
                    Mapped::Overlap => assert!(sent.contains_key(&track), "{}", tag()),
                    Mapped::Untimed => {}
                    Mapped::Stale => {
                        let is = Some(format!("{timeline:?}"));
                        assert_eq!(is, before, "{}: it changed something", tag());
                    }
                }
            }
        }
    }
});
