//! H9: silence that is judged by what is usual.

use changeover::{
    EngineConfig, EventKind, HealthConfig, InputConfig, InputStatus, Packet, Silence, StreamConfig,
    SwitchReason,
};

use crate::lab::{Lab, Lane, STREAM, config, each, kbps, ms, s};

const PACKET: Packet = Packet::new(1316);

fn learning() -> EngineConfig {
    let silence = Silence::Learned { floor_ms: 0, ceiling_ms: 0, confidence: 0.0 };
    let health = HealthConfig { silence, ..Default::default() };
    EngineConfig { health: Some(health.into()), ..config() }
}

/// 1,000 packets/s, each late by up to 5 ms.
fn jittered(begins: u64) -> Lane {
    let (mut n, mut seed, mut last) = (0u64, 88_172_645_463_325_252u64, 0);
    Lane::timed(PACKET, move |_| {
        n += 1;
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // In order, as from a socket.
        last = (begins + ms(n) + seed % ms(5)).max(last + 1);
        last
    })
}

/// A burst of 40 packets each 40 ms.
fn bursts() -> [Lane; 1] {
    let mut n = 0u64;
    let after = move |at| {
        n += 1;
        if n.is_multiple_of(40) { at + ms(40) } else { at }
    };
    [Lane::timed(PACKET, after)]
}

/// Feeds both, and stops the primary after half a minute; answers how much later it was left.
fn left_after(primary: impl IntoIterator<Item = Lane>) -> (u64, Lab) {
    let mut lab = Lab::new(2, learning());
    lab.feed(1, [each(ms(1), PACKET)]);
    lab.feed(0, primary);
    lab.run_to(s(30));
    assert_eq!(lab.moves(), []);
    let last = lab.last_forwarded[0];
    assert!(s(30) - last < ms(41));
    lab.silence(0);
    lab.run(s(1));
    let made = lab.only_move();
    assert_eq!((made.to, made.reason), (1, SwitchReason::Timeout));
    (made.at - last, lab)
}

#[test]
fn h9_a_thousand_packets_a_second_are_missed_within_30_ms() {
    let (after, lab) = left_after([jittered(0)]);
    // The clock tick of 1 ms that a real engine adds is not in it.
    assert!((ms(25)..=ms(29)).contains(&after), "{after}");
    let learned = lab.input(1).learned.expect("is learned");
    assert!(learned.timeout_ms == 25.0 && learned.suspicion < 0.5, "{learned:?}");
}

#[test]
fn h9_bursts_are_missed_within_three() {
    let (after, _) = left_after(bursts());
    assert!((ms(41)..=ms(119)).contains(&after), "{after}");
}

#[test]
fn without_learning_the_fixed_timeout_holds() {
    let mut lab = Lab::new(2, config());
    lab.feed(0, [jittered(0)]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(30));
    let last = lab.last_forwarded[0];
    lab.silence(0);
    lab.run(s(1));
    let made = lab.only_move();
    assert!((ms(500)..=ms(510)).contains(&(made.at - last)), "{made:?}");
    assert_eq!(lab.input(0).learned, None);
}

#[test]
fn h9_until_enough_is_learned_the_fixed_timeout_holds() {
    let mut lab = Lab::new(2, learning());
    lab.feed(0, [jittered(0)]);
    lab.feed(1, [jittered(0)]);
    lab.run_to(s(18));
    assert_eq!(lab.input(0).learned, None);
    let last = lab.last_forwarded[0];
    lab.silence(0);
    lab.run(s(1));
    let made = lab.only_move();
    assert!((ms(500)..=ms(510)).contains(&(made.at - last)), "{made:?}");
}

/// 24 hours with a silence of 20 ms each hour. Ten seconds before and after each come at 1,000
/// packets/s, the rest of the hour at 200 (86 million packets are minutes of work): its gaps of
/// 5 ms are as long as those of the jittered feed. In debug builds an hour has two minutes.
#[test]
fn h9_a_silence_of_20_ms_each_hour_moves_nothing() {
    let mut lab = Lab::new(2, learning());
    let hour_s = if cfg!(debug_assertions) { 120 } else { 3600 };
    lab.feed(1, [kbps(100)]);
    for hour in 1..=24 {
        let at = s(hour_s) * hour;
        lab.feed(0, [each(ms(5), PACKET)]);
        lab.run_to(at - s(10));
        lab.feed(0, [jittered(at - s(10))]);
        lab.run_to(at);
        let last = lab.last_forwarded[0];
        lab.feed(0, [jittered(last + ms(20)).first(last + ms(20) - at)]);
        lab.run_to(last + ms(20) - 1);
        assert_eq!(lab.last_forwarded[0], last);
        lab.run_to(last + ms(20));
        assert_eq!(lab.last_forwarded[0], last + ms(20));
        lab.run_to(at + s(10));
        let learned = lab.input(0).learned.expect("is learned");
        assert!((25.0..=27.0).contains(&learned.timeout_ms), "hour {hour}: {learned:?}");
    }
    assert_eq!(lab.moves(), []);
    assert_eq!(lab.cuts.len(), 1);
}

/// A suspicion that was wrong costs a move, and widens what is usual at once.
#[test]
fn a_false_alarm_is_made_once() {
    let mut lab = Lab::new(2, learning());
    lab.feed(0, [each(ms(1), PACKET)]);
    lab.feed(1, [each(ms(1), PACKET)]);
    lab.run_to(s(60));
    for second in 0..30 {
        lab.silence(0);
        lab.run(ms(100));
        lab.feed(0, [each(ms(1), PACKET)]);
        lab.run(s(10) - ms(100));
        if second == 0 {
            // Stability is 5 s: it is back by now, and knows better.
            assert_eq!(lab.reasons(), [(1, SwitchReason::Timeout), (0, SwitchReason::Failback)]);
            let learned = lab.input(0).learned.expect("is learned");
            assert!(learned.timeout_ms > 120.0, "{learned:?}");
        }
    }
    assert_eq!(lab.moves().len(), 2);
}

/// At once: not only when its block of time is over.
#[test]
fn the_same_silence_again_is_no_alarm() {
    let mut lab = Lab::new(2, learning());
    lab.feed(0, [each(ms(1), PACKET)]);
    lab.feed(1, [each(ms(1), PACKET)]);
    // Block 28 is from 30.06 to 31.13 s.
    for at in [30_200, 30_600] {
        lab.run_to(ms(at));
        lab.silence(0);
        lab.run(ms(100));
        lab.feed(0, [each(ms(1), PACKET)]);
    }
    lab.run_to(s(31));
    let degraded = lab.all(|kind| match kind {
        EventKind::InputDegraded { input_priority, .. } => Some(*input_priority),
        _ => None,
    });
    assert_eq!(degraded, [(ms(30_225), 0)]);
}

#[test]
fn suspicion_grows_with_silence() {
    let mut lab = Lab::new(1, learning());
    lab.feed(0, [jittered(0)]);
    lab.run_to(s(30));
    let calm = lab.input(0).learned.expect("is learned").suspicion;
    lab.silence(0);
    let mut suspicions = vec![calm];
    for _ in 0..4 {
        lab.run(ms(6));
        suspicions.push(lab.input(0).learned.expect("is learned").suspicion);
    }
    assert!(suspicions[0] < 0.5 && suspicions.is_sorted(), "{suspicions:?}");
    assert!(suspicions[4] > 8.0, "{suspicions:?}");
}

/// 2^30 ns is the block in which gaps are noted: no phase of it is blind.
#[test]
fn a_stop_right_after_a_block_is_missed_as_soon() {
    for after in 0..16 {
        let mut lab = Lab::new(2, learning());
        lab.feed(0, [each(ms(1), PACKET)]);
        lab.feed(1, [each(ms(1), PACKET)]);
        lab.run_to((28 << 30) + ms(after));
        if after % 2 == 1 {
            // Whoever looks at it must not blind it either.
            assert!(lab.input(0).learned.is_some(), "{after} ms after the block");
        }
        let last = lab.last_forwarded[0];
        lab.silence(0);
        lab.run(s(1));
        let made = lab.only_move();
        assert!((ms(25)..=ms(29)).contains(&(made.at - last)), "{after} ms: {made:?}");
    }
}

/// A suspicion is a reason to go to somebody who delivers, and none to give the stream up.
#[test]
fn a_suspicion_alone_exhausts_nothing() {
    let mut lab = Lab::new(2, learning());
    lab.feed(0, [each(ms(1), PACKET)]);
    lab.run_to(s(30));
    lab.silence(0);
    lab.run(ms(300));
    let status = lab.status();
    assert_eq!((status.exhausted, status.active_input_priority), (false, Some(0)));
    lab.feed(0, [each(ms(1), PACKET)]);
    lab.run(s(1));
    assert_eq!((lab.cuts.len(), lab.last_forwarded[0]), (1, lab.now()));
    // The packet timeout is.
    lab.silence(0);
    let last = lab.now();
    lab.run(ms(499));
    assert!(!lab.status().exhausted);
    lab.run(ms(2));
    assert!(lab.status().exhausted, "{} ms after the last packet", (lab.now() - last) / ms(1));
}

#[test]
fn floor_and_ceiling_are_the_hosts() {
    for (floor_ms, ceiling_ms, least, most) in [(100, 0, 100, 101), (0, 60, 60, 61)] {
        let silence = Silence::Learned { floor_ms, ceiling_ms, confidence: 0.0 };
        let health = HealthConfig { silence, ..Default::default() };
        let mut lab = Lab::new(2, EngineConfig { health: Some(health.into()), ..config() });
        // Bursts each 40 ms: 86 ms would be learned.
        let primary = if floor_ms > 0 { [each(ms(1), PACKET)] } else { bursts() };
        lab.feed(0, primary);
        lab.feed(1, [each(ms(1), PACKET)]);
        lab.run_to(s(30));
        let last = lab.last_forwarded[0];
        lab.silence(0);
        lab.run(s(1));
        let made = lab.only_move();
        assert!((ms(least)..=ms(most)).contains(&(made.at - last)), "{floor_ms}: {made:?}");
    }
}

/// Gaps of 10 to 400 ms, ten minutes of them: what cannot be learned is judged by the ceiling.
#[test]
fn an_irregular_input_is_left_to_the_fixed_timeout() {
    let mut lab = Lab::new(2, learning());
    let mut seed = 88_172_645_463_325_252u64;
    let after = move |at| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        at + ms(10 + seed % 391)
    };
    lab.feed(0, [Lane::timed(PACKET, after)]);
    lab.feed(1, [each(ms(10), PACKET)]);
    lab.run_to(s(600));
    assert_eq!(lab.moves(), []);
    // Above the packet timeout there is no ceiling.
    let silence = Silence::Learned { floor_ms: 0, ceiling_ms: 5_000, confidence: 0.0 };
    let health = HealthConfig { silence, ..Default::default() };
    lab.engine.set_config(EngineConfig { health: Some(health.into()), ..config() }).expect("valid");
    lab.run_to(s(610));
    assert_eq!(lab.input(0).learned.map(|learned| learned.timeout_ms), Some(500.0));
    let last = lab.last_forwarded[0];
    lab.silence(0);
    lab.run(s(1));
    assert_eq!(lab.only_move().at, last + ms(500));
}

#[test]
fn a_learned_decision_says_so() {
    let (_, mut lab) = left_after([jittered(0)]);
    let detail = lab.only_move().detail;
    assert!(detail.contains("learned timeout 25ms"), "{detail}");
}

#[test]
fn an_input_may_keep_to_its_fixed_timeout() {
    let fixed = HealthConfig { silence: Silence::Fixed, ..Default::default() };
    let stream = StreamConfig::new(STREAM)
        .input(InputConfig { health: Some(fixed.into()), ..InputConfig::hot(0, "a") })
        .input(InputConfig::hot(1, "b"));
    let mut lab = Lab::with_stream(stream, learning());
    lab.feed(0, [each(ms(1), PACKET)]);
    lab.feed(1, [each(ms(1), PACKET)]);
    lab.run_to(s(30));
    assert!(lab.input(0).learned.is_none() && lab.input(1).learned.is_some());
    lab.silence(0);
    lab.run(s(1));
    assert_eq!(lab.only_move().at, s(30) + ms(500));
    lab.silence(1);
    lab.run(s(1));
    assert_eq!(lab.input(1).status, InputStatus::Degraded);
}
