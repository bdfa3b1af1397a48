//! H2 and H3, and what the estimates say: bitrate, frame rate, loss.

use changeover::{
    BitrateRule, EngineConfig, FpsRule, HealthConfig, LossRule, Packet, SwitchReason, Tracks,
};

use crate::lab::{Lab, Lane, config, each, kbps, ms, s};

fn lab(health: HealthConfig) -> Lab {
    Lab::new(2, EngineConfig { health: Some(health.into()), ..config() })
}

/// Less than 70 % of what is usual, for 5 s.
fn starving() -> HealthConfig {
    let bitrate = BitrateRule { min_percent: 70.0, hold_ms: 5_000, ..Default::default() };
    HealthConfig { bitrate, ..Default::default() }
}

#[test]
fn h2_a_starved_primary_is_left_after_hold_and_window() {
    let mut lab = lab(starving());
    lab.feed(0, [kbps(6000)]);
    lab.feed(1, [kbps(6000)]);
    lab.run_to(s(30));
    assert_eq!(lab.input(0).reference_kbps.map(f64::round), Some(6000.0));
    lab.feed(0, [kbps(600)]);
    lab.run_to(s(34));
    assert_eq!(lab.active(), Some(0));
    assert_eq!(lab.input(0).bitrate_kbps.round(), 600.0);
    lab.run_to(s(200));
    let made = lab.only_move();
    assert!((s(35)..=s(35) + ms(1_100)).contains(&made.at), "{made:?}");
    assert_eq!((made.to, made.reason), (1, SwitchReason::Bitrate));
    assert!(made.detail.contains("600") && made.detail.contains("4200"), "{}", made.detail);
    // Never the reference: neither while it starved on the air nor for minutes after.
    assert_eq!(lab.input(0).reference_kbps.map(f64::round), Some(6000.0));
    assert_eq!(lab.input(0).impaired[0].rule, SwitchReason::Bitrate);
}

#[test]
fn h2_a_dip_of_four_seconds_is_nothing() {
    let mut lab = lab(starving());
    lab.feed(0, [kbps(6000)]);
    lab.feed(1, [kbps(6000)]);
    for _ in 0..10 {
        lab.feed(0, [kbps(6000)]);
        lab.run(s(15));
        lab.feed(0, [kbps(600)]);
        lab.run(s(4));
    }
    lab.feed(0, [kbps(6000)]);
    lab.run(s(20));
    assert_eq!(lab.moves(), []);
    assert!(lab.input(0).impaired.is_empty());
    assert_eq!(lab.input(0).reference_kbps.map(f64::round), Some(6000.0));
}

#[test]
fn h2_a_backup_that_is_worse_is_no_way_out() {
    let mut lab = lab(starving());
    lab.feed(0, [kbps(6000)]);
    lab.feed(1, [kbps(500)]);
    lab.run_to(s(30));
    lab.feed(0, [kbps(600)]);
    lab.run_to(s(120));
    assert_eq!(lab.moves(), []);
    let status = lab.status();
    assert!(!status.exhausted);
    let refusals = lab.refusals();
    assert_eq!(refusals.len(), 1, "once, not each step: {refusals:#?}");
    let (at, to, rule, detail) = &refusals[0];
    assert!((s(35)..=s(35) + ms(1_100)).contains(at), "{at}");
    assert_eq!((*to, *rule), (Some(1), "not_better"));
    assert!(detail.contains("600") && detail.contains("500"), "{detail}");
    let refused = status.decisions.iter().find(|entry| entry.what == "refused").expect("on record");
    assert_eq!((refused.rule.as_deref(), refused.to), (Some("not_better"), Some(1)));
    assert_eq!((refused.reason, &refused.detail), (SwitchReason::Bitrate, detail));
}

fn lossy() -> HealthConfig {
    let loss = LossRule { max_percent: 5.0, hold_ms: 2_000, ..Default::default() };
    HealthConfig { loss, ..Default::default() }
}

/// A packet each 10 ms, and of each ten one is lost on the way.
fn losing() -> [Lane; 2] {
    let plain = Lane::timed(Packet::new(1316), |at| {
        // Not where the other lane has the one that comes after a lost one.
        if (at + ms(10)).is_multiple_of(ms(90)) { at + ms(20) } else { at + ms(10) }
    });
    [plain.first(ms(10)), each(ms(90), Packet::new(1316).lost(1))]
}

#[test]
fn h3_loss_is_left_after_hold_and_window() {
    let mut lab = lab(lossy());
    lab.feed(0, losing());
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(10));
    let made = lab.only_move();
    assert!((s(2)..=ms(3_100)).contains(&made.at), "{made:?}");
    assert_eq!((made.to, made.reason), (1, SwitchReason::Loss));
    let input = lab.input(0);
    assert!((9.0..=11.0).contains(&input.packet_loss), "{}", input.packet_loss);
    assert_eq!((input.lost, input.packets), (111, 1000));
}

#[test]
fn h3_a_single_lost_packet_is_nothing() {
    let mut lab = lab(lossy());
    // 10 packets a second: one lost is 9 % of a window.
    lab.feed(0, [each(ms(100), Packet::new(1316))]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(10));
    lab.send(0, Packet::new(1316).lost(1));
    lab.run(ms(500));
    assert!(lab.input(0).packet_loss > 8.0, "{}", lab.input(0).packet_loss);
    lab.run_to(s(30));
    assert_eq!(lab.moves(), []);
    assert!(lab.input(0).impaired.is_empty());
    assert_eq!((lab.input(0).packet_loss, lab.input(0).lost), (0.0, 1));
}

#[test]
fn h3_a_slide_show_is_left_after_hold_and_window() {
    let fps = FpsRule { min: 20.0, hold_ms: 2_000, ..Default::default() };
    let mut lab = lab(HealthConfig { fps, ..Default::default() });
    let video = |fps: u64| {
        let frame = Packet::new(5000).tracks(Tracks::VIDEO).frames(1);
        [each(s(1) / fps, frame), kbps(1000)]
    };
    lab.feed(0, video(25));
    lab.feed(1, video(25));
    lab.run_to(s(10));
    assert_eq!((lab.input(0).fps.round(), lab.active()), (25.0, Some(0)));
    lab.feed(0, video(5));
    lab.run_to(s(30));
    let made = lab.only_move();
    assert!((s(12)..=ms(13_100)).contains(&made.at), "{made:?}");
    assert_eq!((made.to, made.reason), (1, SwitchReason::Fps));
    assert!(made.detail.contains("20"), "{}", made.detail);
    assert_eq!(lab.input(0).fps.round(), 5.0);
}

#[test]
fn a_frame_rate_that_nobody_reports_is_not_judged() {
    let fps = FpsRule { min: 20.0, hold_ms: 2_000, ..Default::default() };
    let mut lab = lab(HealthConfig { fps, ..Default::default() });
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(20));
    assert_eq!((lab.moves(), lab.input(0).impaired.len()), (vec![], 0));
}

#[test]
fn after_a_full_stop_the_estimates_are_zero_within_two_windows() {
    for sampled in [true, false] {
        let mut lab = if sampled { lab(starving()) } else { Lab::new(2, config()) };
        let frame = Packet::new(5000).tracks(Tracks::VIDEO).frames(1).lost(1);
        lab.feed(0, [each(ms(40), frame)]);
        lab.feed(1, [kbps(6000)]);
        lab.run_to(s(9));
        let _ = lab.input(0);
        lab.run_to(s(12));
        let before = lab.input(0);
        assert_eq!((before.bitrate_kbps.round(), before.fps.round()), (1000.0, 25.0), "{sampled}");
        assert_eq!(before.packet_loss, 50.0);
        lab.silence(0);
        lab.run_to(s(14) + ms(1));
        let after = lab.input(0);
        assert_eq!(
            (after.bitrate_kbps, after.fps, after.packet_loss),
            (0.0, 0.0, 0.0),
            "{sampled}"
        );
    }
}

#[test]
fn the_stricter_of_two_minimums_counts() {
    let bitrate =
        BitrateRule { min_kbps: 5_000.0, min_percent: 10.0, hold_ms: 1_000, ..Default::default() };
    let mut lab = lab(HealthConfig { bitrate, ..Default::default() });
    lab.feed(0, [kbps(6000)]);
    lab.feed(1, [kbps(6000)]);
    lab.run_to(s(20));
    lab.feed(0, [kbps(4000)]);
    lab.run_to(s(30));
    let made = lab.only_move();
    assert!(made.detail.contains("4000") && made.detail.contains("5000"), "{}", made.detail);
}
