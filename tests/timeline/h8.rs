//! H8: the backup's clock is 20 s behind, in another timebase, and counters of 33 bits wrap.

use changeover::timeline::{Mapped, Stamps, Timebase, Timeline};

use crate::{AUDIO, FRAME, SOUND, TS, VIDEO, at, base};

/// An encoder: video of 25 frames a second, audio of 1024 samples, in ticks of 1/90000 s.
struct Feed {
    base: Timebase,
    /// Its clock when the run began.
    epoch: i64,
    /// Ticks of its clock in 1/90000 s: numerator and denominator.
    scale: (i64, i64),
    /// How far its audio is ahead of its video.
    av: i64,
}

impl Feed {
    /// Its packets between two moments of the run, in the order of a muxer that sends audio
    /// 5760 ticks late; with the time of each on its clock.
    fn packets(&self, from: i64, to: i64) -> Vec<(u32, Stamps)> {
        let clock = |time: i64| self.base.fold(self.epoch + time * self.scale.0 / self.scale.1);
        let video = (from..to).filter(|t| t % FRAME == 0).map(|t| (t, VIDEO, clock(t)));
        let audio = (from..to).filter(|t| t % SOUND == 0);
        let audio = audio.map(|t| (t, AUDIO, clock(t + self.av - 5760)));
        let mut all: Vec<_> = video.chain(audio).collect();
        all.sort_by_key(|&(t, track, _)| (t, track));
        all.into_iter().map(|(_, track, time)| (track, Stamps::pts_only(time))).collect()
    }
}

#[test]
fn h8_the_backup_is_20_s_behind_in_another_timebase_and_both_counters_wrap() {
    let second = 90_000;
    // The main one's 33 bits wrap 5 s into the run. The backup (48 kHz) has audio that is 885
    // ticks (472 of its own) further ahead; it is 20 s behind, or has 33 bits that wrap too.
    let main = Feed { base: TS, epoch: (1 << 33) - 5 * second, scale: (1, 1), av: 0 };
    let base48 = base(1, 48_000).wrapping(33).unwrap();
    // A multiple of 8, whose 90 kHz time is a whole number.
    let behind = (main.epoch - 20 * second) / 15 * 8;
    for epoch in [behind, (1 << 33) - 7 * 48_000] {
        h8(&main, &Feed { base: base48, epoch, scale: (8, 15), av: 885 });
    }
}

fn h8(main: &Feed, backup: &Feed) {
    let second = 90_000;
    let mut timeline = Timeline::new(TS);
    let (mut last, mut longest) = ([None::<i64>; 2], Vec::new());
    let (mut refusals, mut first) = (Vec::new(), None);
    for (turn, feed) in [main, backup, main, backup, main].into_iter().enumerate() {
        let from = 2 * second * turn as i64;
        let (mut refused, mut gaps, mut offsets) = (0, [0; 2], [None; 2]);
        for (track, packet) in feed.packets(from, from + 2 * second) {
            let length = [FRAME, SOUND][track as usize];
            let mapped = timeline.map(turn as u32 + 1, track, feed.base, packet);
            if mapped == Mapped::Overlap {
                assert_eq!(track, AUDIO, "video begins the turn: none of it is refused");
                refused += 1;
                continue;
            }
            let (dts, pts) = at(mapped);
            assert_eq!(dts, pts);
            first.get_or_insert(dts);
            if let Some(last) = last[track as usize].replace(dts) {
                assert!(dts > last, "turn {turn}, track {track}: {dts} after {last}");
                gaps[track as usize] = (dts - last - length).max(gaps[track as usize]);
            }
            // Output minus input, modulo the input's wrap: one number for both tracks.
            let (ticks, per_tick) = feed.scale;
            let modulus = feed.base.fold(-1) + 1;
            let offset =
                (dts - packet.pts * per_tick / ticks).rem_euclid(modulus * per_tick / ticks);
            let expected = *offsets[track as usize].get_or_insert(offset);
            assert_eq!(offset, expected, "turn {turn}, track {track}");
        }
        assert_eq!(offsets[0], offsets[1], "turn {turn}: the A/V offset is kept to the tick");
        longest.push(gaps);
        refusals.push(refused);
    }
    // Video goes on as if there had been no cut. Audio has a hole of 885 where the backup's
    // begins; going back, one frame overlaps by 885 and is refused: 1920 - 885 are left.
    assert_eq!(longest, [[0, 0], [0, 885], [0, 1035], [0, 885], [0, 1035]]);
    assert_eq!(refusals, [0, 0, 1, 0, 1]);
    // 10 s of video, from the first to the last one.
    assert_eq!((first, last[0]), (Some(main.epoch), Some(main.epoch + 249 * FRAME)));
}
