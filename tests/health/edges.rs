//! Where rules meet: a cut that waits while the old input dies or the target turns bad, a rule
//! that is over, a starved monitor, another step.

use std::time::Duration;

use changeover::{
    BitrateRule, Condition, Cut, EngineConfig, EventKind, HealthConfig, Packet, SwitchReason,
    Tracks,
};

use crate::lab::{CutSeen, Lab, STREAM, config, each, kbps, ms, s};

const FRAME: Packet = Packet::new(5000).tracks(Tracks::VIDEO).frames(1);
const IDR: Packet = FRAME.keyframe(true);

/// Three inputs; 1 has keyframes at 1.7 s and each 2 s from ten seconds on, 2 at 2.5 s.
fn gated() -> Lab {
    let cut = Cut::Keyframe { max_wait_ms: 3_000 };
    let mut lab = Lab::new(3, EngineConfig { cut, ..config() });
    lab.feed(0, [kbps(6000)]);
    lab.run_to(s(8));
    lab.feed(1, [each(ms(33), FRAME), each(s(2), IDR).first(ms(1700))]);
    lab.feed(2, [each(ms(33), FRAME), each(s(2), IDR).first(ms(2500))]);
    lab.run_to(s(10));
    lab
}

fn cut(at: u64, input: i32, packet: Packet) -> CutSeen {
    CutSeen { at, input, packet }
}

#[test]
fn the_old_input_may_die_and_come_back_while_the_cut_waits() {
    let mut lab = gated();
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run_to(ms(10_200));
    lab.silence(0);
    lab.run_to(s(11));
    assert_eq!(lab.active(), Some(1), "nothing is on the air: the move is effective");
    lab.feed(0, [kbps(6000)]);
    lab.run_to(s(15));
    assert_eq!(lab.cuts[1..], [cut(ms(11_700), 1, IDR)]);
    assert_eq!(lab.last_forwarded[0], ms(11_700), "its packets went out until then");
    assert_eq!(lab.reasons().len(), 1);
}

#[test]
fn a_target_that_turns_bad_while_the_cut_waits_is_given_up() {
    let mut lab = gated();
    let black = || Condition::new("black").hold_ms(1);
    lab.engine.raise_condition(STREAM, 0, black()).expect("is valid");
    lab.run_to(s(11));
    lab.engine.raise_condition(STREAM, 1, black()).expect("is valid");
    lab.run_to(s(20));
    assert_eq!(lab.cuts[1..], [cut(ms(12_500), 2, IDR)]);
    assert_eq!((lab.last_forwarded[1], lab.active()), (0, Some(2)));
}

#[test]
fn a_reason_that_ends_while_the_cut_waits_ends_the_move() {
    let mut lab = gated();
    let black = Condition::new("black").hold_ms(1).clear_ms(300);
    lab.engine.raise_condition(STREAM, 0, black).expect("is valid");
    lab.run_to(ms(10_500));
    lab.engine.clear_condition(STREAM, 0, "black").expect("is raised");
    lab.run_to(s(20));
    assert_eq!((lab.cuts.len(), lab.active(), lab.moves()), (1, Some(0), vec![]));
    let failed = lab.all(|kind| match kind {
        EventKind::SwitchFailed { to, reason, .. } => Some((*to, *reason)),
        _ => None,
    });
    assert_eq!(failed, [(ms(10_800), (1, SwitchReason::Condition))]);
}

fn starving(step_ms: i64) -> EngineConfig {
    let bitrate =
        BitrateRule { min_kbps: 3_000.0, hold_ms: 2_000, clear_ms: 4_000, ..Default::default() };
    let health = HealthConfig { bitrate, step_ms, ..Default::default() };
    EngineConfig { health: Some(health.into()), failback_stable_ms: 3_000, ..config() }
}

#[test]
fn an_input_that_is_fed_again_gets_the_stream_back() {
    let mut lab = Lab::new(2, starving(0));
    lab.feed(0, [kbps(6000)]);
    lab.feed(1, [kbps(6000)]);
    lab.run_to(s(10));
    lab.feed(0, [kbps(600)]);
    lab.run_to(s(20));
    lab.feed(0, [kbps(6000)]);
    lab.run_to(s(40));
    let moves = lab.moves();
    assert_eq!(lab.reasons(), [(1, SwitchReason::Bitrate), (0, SwitchReason::Failback)]);
    // Half a window until the mean is above 3,000, then clear time and stability.
    assert!((ms(27_300)..=ms(27_700)).contains(&moves[1].at), "{moves:#?}");
}

#[test]
fn the_step_is_the_hosts() {
    // A window of ten steps: 200 ms and 5 s. It is half empty at 3,000 kbit/s.
    for (step_ms, least, most) in [(20, 2_080, 2_160), (500, 4_200, 5_100)] {
        let mut lab = Lab::new(2, starving(step_ms));
        lab.feed(0, [kbps(6000)]);
        lab.feed(1, [kbps(6000)]);
        lab.run_to(s(20));
        lab.feed(0, [kbps(600)]);
        lab.run_to(s(40));
        let after = lab.only_move().at - s(20);
        assert!((ms(least)..=ms(most)).contains(&after), "{step_ms}: {after}");
    }
}

/// The machine stands still for three seconds, packets come or not: that says nothing of an input.
#[test]
fn a_starved_monitor_starves_no_input() {
    for packets in [true, false] {
        let mut config = starving(0);
        let bitrate = BitrateRule { min_kbps: 3_000.0, hold_ms: 300, ..Default::default() };
        config.health = Some(HealthConfig { bitrate, ..Default::default() }.into());
        let mut lab = Lab::new(2, config);
        for _ in 0..5 {
            lab.feed(0, [kbps(6000)]);
            lab.feed(1, [kbps(6000)]);
            lab.run(s(10));
            for _ in 0..300 {
                lab.engine.stall(Duration::from_millis(10));
                if packets {
                    lab.send(0, Packet::new(7500));
                    lab.send(1, Packet::new(7500));
                }
            }
        }
        lab.feed(0, [kbps(6000)]);
        lab.feed(1, [kbps(6000)]);
        lab.run(s(10));
        assert_eq!((lab.moves(), lab.cuts.len()), (vec![], 1), "{packets}");
        let impaired = lab.all(|kind| match kind {
            EventKind::InputImpaired { input_priority, .. } => Some(*input_priority),
            _ => None,
        });
        assert_eq!(impaired, [], "{packets}");
    }
}

/// Two reasons to leave: the first that acts is the one that is told.
#[test]
fn a_hard_failure_overtakes_a_soft_one() {
    let mut lab = gated();
    lab.engine.raise_condition(STREAM, 0, Condition::new("black").hold_ms(1)).expect("is valid");
    lab.run_to(ms(10_100));
    lab.fail(0);
    lab.silence(0);
    lab.run_to(s(20));
    assert_eq!(lab.cuts[1..], [cut(ms(11_700), 1, IDR)]);
    let made = lab.only_move();
    assert_eq!((made.at, made.to, made.reason), (ms(10_100), 1, SwitchReason::Error));
}

/// Both are starved: a tenth more is not worth a move, twice as much is.
#[test]
fn between_two_impaired_inputs_it_takes_a_margin() {
    for (backup, goes) in [(620, false), (700, true)] {
        let mut lab = Lab::new(2, starving(0));
        lab.feed(0, [kbps(600)]);
        lab.feed(1, [kbps(backup)]);
        lab.run_to(s(60));
        assert_eq!(lab.reasons().len(), usize::from(goes), "{backup}");
        assert_eq!(lab.active(), Some(i32::from(goes)));
        if !goes {
            let refusals = lab.refusals();
            assert_eq!((refusals[0].2, refusals.len()), ("not_better", 1), "{refusals:#?}");
        }
    }
}

/// Starved here, black there: nobody can say which is better.
#[test]
fn an_input_with_another_fault_is_no_way_out() {
    let mut lab = Lab::new(2, starving(0));
    lab.feed(0, [kbps(6000)]);
    lab.feed(1, [kbps(6000)]);
    lab.run_to(s(10));
    let black = Condition::new("black").hold_ms(1).clear_ms(1_000);
    lab.engine.raise_condition(STREAM, 1, black).expect("is valid");
    lab.feed(0, [kbps(600)]);
    lab.run_to(s(20));
    assert_eq!(lab.moves(), []);
    let refusals = lab.refusals();
    assert_eq!((refusals[0].1, refusals[0].2), (Some(1), "not_better"), "{refusals:#?}");
    assert!(refusals[0].3.contains("black"), "{refusals:#?}");
    lab.engine.clear_condition(STREAM, 1, "black").expect("is raised");
    lab.run(ms(1_100));
    assert_eq!(lab.reasons(), [(1, SwitchReason::Bitrate)]);
}
