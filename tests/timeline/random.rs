//! Random runs: inputs with clocks of their own, jitter, reordered frames, cuts and stragglers.

use changeover::timeline::{Mapped, NO_TIMESTAMP, Stamps, Timebase, Timeline};

/// A small deterministic generator (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: i64) -> i64 {
        (self.next() % end.unsigned_abs()) as i64
    }
}

/// One input: video and audio on one clock.
struct Input {
    timebase: Timebase,
    /// Ticks per second.
    rate: i64,
    clock: i64,
    audio_ahead: i64,
    jitter: i64,
    b_frames: i64,
}

const VIDEO_PER_SECOND: i64 = 25;
const AUDIO_PER_SECOND: i64 = 50;

impl Input {
    fn any(dice: &mut Dice) -> Self {
        let rates = [90_000, 48_000, 1000, 10_000_000];
        let rate = rates[dice.below(4) as usize];
        let plain = Timebase::new(1, rate as i32).unwrap();
        let bits = 33 + dice.below(3) as u32;
        let wraps = dice.below(2) == 0;
        let timebase = if wraps { plain.wrapping(bits).unwrap() } else { plain };
        // Half of those that wrap do it within seconds.
        let clock = if wraps && dice.below(2) == 0 {
            (1 << bits) - dice.below(5 * rate)
        } else {
            dice.below(1 << 32)
        };
        let audio_ahead = dice.below(rate / 4) - rate / 8;
        let jitter = dice.below(rate / 250) + 1;
        Self { timebase, rate, clock, audio_ahead, jitter, b_frames: dice.below(3) }
    }

    /// The packets of one video frame's time: one of video, two of audio. DTS and PTS.
    fn packets(&mut self, n: i64, dice: &mut Dice) -> Vec<(u32, i64, i64)> {
        let frame = self.rate / VIDEO_PER_SECOND;
        let mut jitter = || dice.below(self.jitter) - self.jitter / 2;
        let dts = self.clock + n * frame + jitter();
        let shown = [self.b_frames, 0, 1][(n % 3) as usize].min(self.b_frames);
        let sound = self.rate / AUDIO_PER_SECOND;
        let audio = [0, 1].map(|half| {
            let time = self.clock + (2 * n + half) * sound + self.audio_ahead + jitter();
            (1, time, time)
        });
        [(0, dts, dts + shown * frame)].into_iter().chain(audio).collect()
    }
}

/// What the contract says, over one run.
fn run(seed: u64) -> (u32, u32) {
    let mut dice = Dice(seed);
    let inputs = 2 + dice.below(3) as usize;
    let mut inputs: Vec<_> = (0..inputs).map(|_| Input::any(&mut dice)).collect();
    let rates = [90_000, 1000, 48_000];
    let rate = rates[dice.below(3) as usize];
    let output = Timebase::new(1, rate as i32).unwrap();
    let mut timeline = Timeline::new(output);
    let (mut cut, mut on_air) = (1_u32, 0);
    let mut last: [Option<i64>; 2] = [None; 2];
    // Per turn: what was added to the input's times, in output ticks.
    let mut added: Option<i64> = None;
    // And how often the input's counter had wrapped when the turn began, in its ticks.
    let mut wrapped = 0;
    let (mut mapped_count, mut refused) = (0, 0);
    let (mut first_of_turn, mut shown) = (true, None);
    // The input of this turn was that of the one before: it may go on where it is.
    let mut again = false;
    for n in 0..400 {
        if dice.below(40) == 0 {
            let next = dice.below(inputs.len() as i64) as usize;
            again = std::mem::replace(&mut on_air, next) == next;
            cut += 1 + dice.below(3) as u32;
            added = None;
            first_of_turn = true;
        }
        let input = &mut inputs[on_air];
        let timebase = input.timebase;
        for (track, dts, pts) in input.packets(n, &mut dice) {
            let stamps = Stamps::new(timebase.fold(dts), timebase.fold(pts));
            if first_of_turn {
                wrapped = dts - stamps.dts;
            }
            let tag = format!("seed {seed}, packet {n}, cut {cut}, track {track}, {dts}");
            let at = match timeline.map(cut, track, timebase, stamps) {
                Mapped::At(at) => at,
                Mapped::Overlap => {
                    assert!(!first_of_turn, "{tag}: the turn's first is never refused");
                    assert_eq!(track, 1, "{tag}: video begins the turn, and goes on");
                    refused += 1;
                    continue;
                }
                other => panic!("{tag}: {other:?}"),
            };
            mapped_count += 1;
            if first_of_turn
                && !again
                && let Some(shown) = shown
            {
                assert!(at.pts > shown, "{tag}: shown at {}, behind {shown}", at.pts);
            }
            if track == 0 {
                shown = shown.max(Some(at.pts));
            }
            let length = rate / [VIDEO_PER_SECOND, AUDIO_PER_SECOND][track as usize];
            let jitter = 2 * (rate / 250) + 2;
            if let Some(last) = last[track as usize] {
                assert!(at.dts > last, "{tag}: {} after {last}", at.dts);
                let gap = at.dts - last - length;
                // Audio may lie elsewhere in the new input: a hole of the difference, at most
                // 2 * 1/8 s; else less than a frame. Video may have been reordered by 2 frames.
                let most = if track == 0 { 2 * length } else { rate / 4 + 2 * rate / 25 };
                assert!(gap <= most + jitter, "{tag}: a gap of {gap}");
            }
            last[track as usize] = Some(at.dts);
            // The exact conversion, rounded to the nearest, plus one number for the whole turn.
            let exact = |ticks: i64| {
                let value = 2 * i128::from(ticks - wrapped) * i128::from(rate);
                let unit = i128::from(input.rate);
                ((value + unit * value.signum()) / (2 * unit)) as i64
            };
            let offset = *added.get_or_insert(at.dts - exact(dts));
            assert_eq!((at.dts, at.pts), (exact(dts) + offset, exact(pts) + offset), "{tag}");
            first_of_turn = false;
        }
        let late = timeline.map(cut - 1, dice.below(2) as u32, timebase, Stamps::pts_only(n));
        assert_eq!(late, Mapped::Stale, "seed {seed}");
    }
    (mapped_count, refused)
}

#[test]
fn random_runs_keep_the_contract() {
    let (mut mapped, mut refused) = (0, 0);
    for seed in 0..100 {
        let run = run(seed);
        mapped += run.0;
        refused += run.1;
    }
    println!("{mapped} packets mapped, {refused} refused at cuts");
    assert!(mapped > 100_000 && refused > 1000, "the runs are worth nothing: {mapped}, {refused}");
}

/// DTS missing here and there, or throughout: what is sent rises, is never decoded behind its PTS,
/// and next to nothing is refused.
#[test]
fn random_runs_without_some_dts_rise() {
    let (mut sent, mut refused) = (0, 0);
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let mut inputs: Vec<_> = (0..3).map(|_| Input::any(&mut dice)).collect();
        let missing = [5, 50, 100][seed as usize % 3];
        let mut timeline = Timeline::new(Timebase::MPEG_TS);
        let (mut cut, mut on_air, mut last) = (1, 0, None::<i64>);
        for n in 0..400 {
            if dice.below(40) == 0 {
                on_air = dice.below(3) as usize;
                cut += 1;
            }
            let (_, dts, pts) = inputs[on_air].packets(n, &mut dice)[0];
            let timebase = inputs[on_air].timebase;
            let is_dated = dice.below(100) >= missing;
            let dts = if is_dated { timebase.fold(dts) } else { NO_TIMESTAMP };
            match timeline.map(cut, 0, timebase, Stamps::new(dts, timebase.fold(pts))) {
                Mapped::At(at) => {
                    let tag = format!("seed {seed}, packet {n}: {at:?} behind {last:?}");
                    assert!(last.is_none_or(|last| at.dts > last), "{tag}");
                    assert!(is_dated || (0..=90_000).contains(&(at.pts - at.dts)), "{tag}");
                    last = Some(at.dts);
                    sent += 1;
                }
                Mapped::Overlap => refused += 1,
                other => panic!("seed {seed}, packet {n}: {other:?}"),
            }
        }
    }
    println!("{sent} sent, {refused} refused");
    assert!(refused * 50 < sent, "{refused} of {sent}");
}
