//! Packets that come without a DTS, though their frames are reordered: what FFmpeg hands out for
//! the beginning of a Matroska file, and for some RTSP sources throughout.

use changeover::timeline::{Mapped, NO_TIMESTAMP, Stamps, Timebase, Timeline};

use crate::{TS, VIDEO, at};

const MS: Timebase = Timebase::MILLIS;

/// x264's defaults at 25 frames a second, in ms, as ffprobe shows them of Matroska: decoded each
/// 40 ms, shown up to 200 ms later; of the first two it knows no DTS.
fn matroska(frames: i64) -> Vec<Stamps> {
    // A keyframe, then groups of P, B (a reference) and two b.
    let shown =
        |n: i64| if n == 0 { 0 } else { (n - 1) / 4 * 4 + [4, 2, 1, 3][(n - 1) as usize % 4] };
    (0..frames)
        .map(|n| {
            let dts = if n < 2 { NO_TIMESTAMP } else { 21 + (n - 2) * 40 };
            Stamps::new(dts, 21 + shown(n) * 40).lasting(40)
        })
        .collect()
}

/// Sends a turn; answers which of its packets were refused, and what was sent.
fn turn(timeline: &mut Timeline, cut: u32, packets: &[Stamps]) -> (Vec<usize>, Vec<Stamps>) {
    let (mut refused, mut sent) = (Vec::new(), Vec::new());
    for (n, &packet) in packets.iter().enumerate() {
        match timeline.map(cut, VIDEO, MS, packet) {
            Mapped::At(stamps) => sent.push(stamps),
            Mapped::Overlap => refused.push(n),
            other => panic!("{other:?}"),
        }
    }
    (refused, sent)
}

#[test]
fn a_keyframe_without_dts_costs_no_picture_at_a_cut() {
    for length in [22, 23, 24, 25, 26] {
        let mut timeline = Timeline::new(MS);
        // Nothing is known of it yet, so its PTS stand in for its DTS, unless the host knows more.
        assert_eq!(turn(&mut timeline, 1, &matroska(length)).0, [2, 3, 4, 5, 6]);
        let mut filled = Timeline::new(MS);
        let mut packets = matroska(length);
        (packets[0].dts, packets[1].dts) = (21 - 80, 21 - 40);
        let (refused, mut all) = turn(&mut filled, 1, &packets);
        assert!(refused.is_empty());
        for cut in 2..6 {
            assert!(turn(&mut timeline, cut, &matroska(length)).0.is_empty(), "turn {cut}");
            let shown = all.iter().map(|stamps| stamps.pts).max();
            let (refused, sent) = turn(&mut filled, cut, &matroska(length));
            assert!(refused.is_empty(), "turn {cut}: {refused:?}");
            // All are shown, in the order and at the distance at which they were.
            assert_eq!(Some(sent[0].pts), shown.map(|shown| shown + 40));
            let offset = sent[0].pts - 21;
            for (packet, sent) in matroska(length).iter().zip(&sent) {
                assert_eq!(sent.pts, packet.pts + offset);
                assert!(packet.dts == NO_TIMESTAMP || sent.dts == packet.dts + offset);
            }
            all.extend(sent);
        }
        assert!(all.is_sorted_by(|one, next| one.dts < next.dts), "{all:?}");
        assert!(all.iter().all(|stamps| stamps.dts <= stamps.pts));
    }
}

#[test]
fn where_no_packet_has_a_dts_one_group_is_what_it_takes_to_learn_the_order() {
    for duration in [0, 40] {
        let undated = |stamps: &Stamps| Stamps::new(NO_TIMESTAMP, stamps.pts).lasting(duration);
        let packets: Vec<_> = matroska(101).iter().map(undated).collect();
        let mut timeline = Timeline::new(MS);
        let (refused, mut all) = turn(&mut timeline, 1, &packets);
        assert_eq!(refused, [2, 3, 4], "duration {duration}");
        for cut in 2..5 {
            let shown = all.iter().map(|stamps| stamps.pts).max();
            let (refused, sent) = turn(&mut timeline, cut, &packets);
            assert!(refused.is_empty(), "duration {duration}, turn {cut}: {refused:?}");
            assert!(Some(sent[0].pts) > shown);
            all.extend(sent);
        }
        assert!(all.is_sorted_by(|one, next| one.dts < next.dts), "{all:?}");
        assert!(all.iter().all(|stamps| (0..=240).contains(&(stamps.pts - stamps.dts))));
    }
}

#[test]
fn what_is_decoded_when_it_is_shown_stays_so() {
    let mut timeline = Timeline::new(TS);
    for (n, shown) in [(0, 2), (1, 6), (2, 4), (3, 3), (4, 5)] {
        let _ = at(timeline.map(1, VIDEO, TS, Stamps::new(n * 3600, shown * 3600)));
    }
    // A PES of MPEG-TS with a PTS alone: the standard says that its DTS is the same.
    assert_eq!(Stamps::pts_only(5), Stamps::new(5, 5));
    let key = timeline.map(2, VIDEO, TS, Stamps::pts_only(77));
    assert_eq!(at(key), (7 * 3600, 7 * 3600));
    // Where nothing was ever reordered, the same goes for a DTS that is not known.
    let mut timeline = Timeline::new(TS);
    for time in [0, 3600, 7200, 90_000, 93_600] {
        let packet = Stamps::new(NO_TIMESTAMP, time);
        assert_eq!(at(timeline.map(1, VIDEO, TS, packet)), (time, time));
    }
}

#[test]
fn one_time_that_falls_does_not_hold_a_track_back() {
    let mut timeline = Timeline::new(MS);
    let mut send = |pts| timeline.map(1, VIDEO, MS, Stamps::new(NO_TIMESTAMP, pts).lasting(20));
    for n in 0..10 {
        assert_eq!(at(send(n * 20)), (n * 20, n * 20));
    }
    assert_eq!(send(100), Mapped::Overlap);
    // It is shown as before, and decoded at most twice as much earlier as the fall was deep.
    for pts in [200, 220, 240, 5000, 5020] {
        let (dts, shown) = at(send(pts));
        assert_eq!(shown, pts);
        assert!((0..=160).contains(&(pts - dts)), "{dts} for {pts}");
    }
}
