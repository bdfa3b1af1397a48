//! What a review found of moves that go by less than certain knowledge: to what cannot be measured
//! before it runs, away from what is only suspected, between two that are much the same; and of
//! the damping that keeps all that from becoming a habit.

use changeover::{
    BitrateRule, Condition, Cut, DriverCall, EngineConfig, EventKind, HealthConfig, Hold,
    InputConfig, Packet, Silence, StreamConfig, SwitchReason, Tracks, WhenDead,
};

use crate::cold_lab::ColdLab;
use crate::lab::{Lab, Lane, STREAM, config, each, kbps, ms, s};

const FRAME: Packet = Packet::new(5000).tracks(Tracks::VIDEO).frames(1);
const IDR: Packet = FRAME.keyframe(true);

/// A rule on the bitrate, in an engine of this configuration.
fn least_kbps(min_kbps: f64, hold_ms: i64, config: EngineConfig) -> EngineConfig {
    let bitrate = BitrateRule { min_kbps, hold_ms, ..Default::default() };
    let health = HealthConfig { bitrate, ..Default::default() };
    EngineConfig { health: Some(health.into()), ..config }
}

/// Packets of one size, each 10 ms.
fn sized(bytes: usize) -> Lane {
    each(ms(10), Packet::new(bytes).tracks(Tracks::VIDEO).frames(1))
}

/// Finding 3: a damped failback of a cold input had no deadline of its own: it came with whatever
/// the engine looked at next, up to a packet timeout late.
#[test]
fn a_damped_failback_to_a_cold_input_comes_at_its_time() {
    let mut lab =
        ColdLab::new(2, EngineConfig { failback_cooldown_ms: 12_000, ..Default::default() });
    lab.run(30_000);
    let mut pauses = Vec::new();
    for wait in [12_000, 24_000, 48_000] {
        // A second after it had come back.
        lab.fail(0);
        lab.run(wait + 1_000);
        let moves = std::mem::take(&mut lab.moves);
        let [(left, 1, SwitchReason::Error), (back, 0, SwitchReason::Failback)] = moves[..] else {
            panic!("{wait}: {moves:?}");
        };
        pauses.push(back - left);
    }
    assert_eq!(pauses, [12_000, 24_000, 48_000]);
}

/// Finding 5: a soft move went on to a target that had become worse while its cut waited.
#[test]
fn a_soft_move_ends_when_its_target_turns_worse() {
    let cut = Cut::Keyframe { max_wait_ms: 10_000 };
    let mut lab = Lab::new(2, least_kbps(1_000.0, 1_000, EngineConfig { cut, ..config() }));
    lab.feed(0, [sized(7500)]);
    lab.feed(1, [sized(7500)]);
    lab.run_to(s(5));
    lab.feed(0, [sized(750)]);
    lab.run_to(s(8));
    assert_eq!(lab.status().pending_input_priority, Some(1), "waits for its keyframe");
    lab.engine.raise_condition(STREAM, 1, Condition::new("black").hold_ms(1)).expect("is valid");
    lab.feed(1, [sized(125)]);
    lab.run_to(s(12));
    assert_eq!((lab.active(), lab.status().pending_input_priority), (Some(0), None));
    lab.send(1, IDR);
    lab.run(s(1));
    assert_eq!((lab.moves(), lab.cuts.len()), (vec![], 1));
    let failed = lab.all(|kind| match kind {
        EventKind::SwitchFailed { to, reason, .. } => Some((*to, *reason)),
        _ => None,
    });
    assert_eq!(failed, [(ms(8_001), (1, SwitchReason::Bitrate))]);
    let refused = lab.refusals().pop().expect("is there");
    assert_eq!((refused.1, refused.2), (Some(1), "not_better"));
}

/// Finding 6: of two cold inputs that are both starved, each was taken at its word again whenever
/// it did not run: a move each five seconds, for ever (119 in ten minutes).
///
/// Finding 26: and the damping that mended it was forgotten after each wait of more than a
/// minute, for that minute, impaired all along, counted as a clean one.
#[test]
fn two_starved_cold_inputs_are_tried_ever_more_seldom() {
    let mut lab = ColdLab::new(2, least_kbps(1_000.0, 0, EngineConfig::default()));
    lab.kbps = vec![400, 400];
    lab.run(1_800_000);
    let moves = &lab.moves;
    assert!(moves.iter().all(|(_, _, reason)| *reason == SwitchReason::Bitrate), "{moves:?}");
    let at: Vec<_> = moves.iter().map(|(at, ..)| at / 1000).collect();
    let early = at.iter().filter(|at| **at < 600).count();
    assert!(early < 10, "{early} moves in the first ten minutes: {at:?}");
    let pauses: Vec<_> = at.windows(2).map(|two| two[1] - two[0]).collect();
    assert!(pauses.is_sorted(), "no haste after a long wait: {pauses:?}");
    assert_eq!(pauses.last(), Some(&300), "{pauses:?}");
}

/// Finding 13: a clean minute reset the damping only where a failback had brought the stream;
/// after the operator's switch ten minutes did not.
#[test]
fn a_clean_minute_resets_the_damping_whoever_brought_the_stream() {
    let mut lab = Lab::new(2, EngineConfig { failback_stable_ms: 5_000, ..config() });
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    lab.run(s(1));
    for back in [30, 30, 30, 1] {
        lab.silence(0);
        lab.run(s(2));
        lab.feed(0, [kbps(1000)]);
        lab.run(s(back));
    }
    assert_eq!((lab.active(), lab.input(0).required_stable_ms), (Some(1), 40_000));
    lab.engine.switch_input(STREAM, 0).expect("is eligible");
    lab.run(s(1));
    lab.engine.clear_override(STREAM).expect("is registered");
    lab.run(s(58));
    assert_eq!((lab.active(), lab.input(0).required_stable_ms), (Some(0), 40_000), "not yet");
    lab.run(s(2));
    assert_eq!(lab.input(0).required_stable_ms, 5_000);
    lab.silence(0);
    lab.run(s(2));
    assert_eq!((lab.active(), lab.input(0).required_stable_ms), (Some(1), 5_000));
}

/// Finding 13, its other half: the move away from a dead kept input counted as a failback, and
/// the backup's death as one in vain.
#[test]
fn a_backup_that_a_hold_ended_in_is_not_damped() {
    let mut lab = Lab::new(3, EngineConfig { failback_stable_ms: 5_000, ..config() });
    for input in 0..3 {
        lab.feed(input, [kbps(1000)]);
    }
    lab.run(s(1));
    lab.silence(0);
    lab.run(s(2));
    assert_eq!(lab.active(), Some(1));
    let hold = Hold { ttl_ms: 5_000, when_dead: WhenDead::Keep };
    lab.engine.hold_input(STREAM, 1, hold).expect("is eligible");
    lab.silence(1);
    lab.run(s(10));
    assert_eq!(lab.active(), Some(2));
    lab.silence(2);
    lab.feed(1, [kbps(1000)]);
    lab.run(s(2));
    assert_eq!(lab.active(), Some(1));
    assert_eq!(lab.input(2).required_stable_ms, 5_000);
    assert_eq!(lab.reasons()[1], (2, SwitchReason::HoldReleased));
}

/// Two inputs of 1,000 frames/s whose silence is learned; T = 5 s.
pub(crate) fn learned() -> Lab {
    let silence = Silence::Learned { floor_ms: 0, ceiling_ms: 0, confidence: 0.0 };
    let health = HealthConfig { silence, ..Default::default() };
    let config = EngineConfig { packet_timeout_ms: 5_000, health: Some(health.into()), ..config() };
    let mut lab = Lab::new(2, config);
    for input in 0..2 {
        lab.feed(input, [each(ms(1), FRAME)]);
    }
    lab.run_to(s(60));
    assert!(lab.input(1).learned.is_some_and(|learned| learned.timeout_ms < 40.0));
    lab
}

/// Finding 12: an error of the active input in the 40 ms in which the standby was suspected
/// exhausted the stream: the flag, the callback, and the end of the operator's word.
#[test]
fn a_suspected_standby_is_a_last_resort() {
    let mut lab = learned();
    lab.silence(1);
    lab.run(ms(40));
    lab.fail(0);
    lab.silence(0);
    assert!(!lab.status().exhausted);
    lab.feed(1, [each(ms(1), FRAME)]);
    lab.run(ms(10));
    let exhausted = lab.all(|kind| match kind {
        EventKind::Exhausted | EventKind::Restored { .. } => Some(()),
        _ => None,
    });
    assert_eq!(exhausted, []);
    let made = lab.only_move();
    assert_eq!((made.to, made.reason, made.at), (1, SwitchReason::Error, s(60) + ms(40)));
}

/// Finding 12, its other side: when the standby's packet timeout is over as well, nobody is left.
#[test]
fn a_suspected_standby_that_does_not_come_back_exhausts_at_its_packet_timeout() {
    let mut lab = learned();
    lab.silence(1);
    lab.run(ms(40));
    lab.fail(0);
    lab.silence(0);
    lab.run_to(s(65) - ms(1));
    assert!(!lab.status().exhausted);
    lab.run_to(s(65));
    assert!(lab.status().exhausted);
}

/// Finding 34: choosing and keeping asked for the same margin, so the noise of two inputs of much
/// the same rate began a move, gave it up and began it again, 126 times in two minutes, each time
/// with a wait of its own, and none ever came to its cut.
#[test]
fn noise_does_not_begin_a_move_again_and_again() {
    let bitrate = BitrateRule { min_kbps: 5_000.0, hold_ms: 1_000, ..Default::default() };
    let health = HealthConfig { bitrate, ..Default::default() };
    let stream = StreamConfig::new(STREAM)
        .input(InputConfig::hot(0, "udp://0").with_health(health))
        .input(InputConfig::hot(1, "udp://1"));
    let cut = Cut::Keyframe { max_wait_ms: 3_000 };
    let mut lab = Lab::with_stream(stream, EngineConfig { cut, ..config() });
    // About 3,000 kbit/s each: 0 is 4 % above and 4 % below by turns.
    let mut sent = 0;
    let noisy = Lane::timed(FRAME, move |at| {
        sent += 1;
        at + if (sent / 35) % 2 == 0 { ms(13) } else { ms(14) }
    });
    lab.feed(0, [noisy]);
    lab.feed(1, [each(ms(13) + 500_000, FRAME)]);
    lab.run_to(s(120));
    let decided = lab.all(|kind| matches!(kind, EventKind::SwitchDecided { .. }).then_some(()));
    assert_eq!(decided, [], "a few percent are not worth a cut");
    let refused: Vec<_> = lab.refusals().iter().map(|refused| refused.2).collect();
    assert_eq!(refused, ["not_better"], "told once");
    let calls = lab.engine.calls();
    let asked = calls.iter().filter(|call| matches!(call, DriverCall::RequestKeyframe(_))).count();
    assert_eq!((asked, lab.active()), (0, Some(0)));
}

/// Finding 34, its other half: a move that was worth it goes on though its target is a little
/// worse for a while.
#[test]
fn noise_does_not_end_a_move_that_has_begun() {
    let cut = Cut::Keyframe { max_wait_ms: 10_000 };
    let mut lab = Lab::new(2, least_kbps(5_000.0, 1_000, EngineConfig { cut, ..config() }));
    lab.feed(0, [sized(3750)]);
    lab.feed(1, [sized(4250)]);
    lab.run_to(s(8));
    assert_eq!(lab.status().pending_input_priority, Some(1), "3,400 is better than 3,000");
    lab.feed(1, [sized(3600)]);
    lab.run_to(s(10));
    assert_eq!(lab.status().pending_input_priority, Some(1), "2,880 is not much worse");
    lab.send(1, IDR);
    lab.run(ms(100));
    assert_eq!(lab.reasons(), [(1, SwitchReason::Bitrate)]);
}
