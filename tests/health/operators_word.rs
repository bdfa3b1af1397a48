//! What a review found of the operator's word: what it is stronger than, when it ends, and what
//! is answered and told of it.

use changeover::{
    Condition, Cut, EngineConfig, EventKind, HealthConfig, Hold, InputConfig, InputsUpdate, Packet,
    Silence, SwitchReason, Tracks, WhenDead,
};

use crate::cold_lab::ColdLab;
use crate::lab::{Lab, STREAM, config, each, kbps, ms, s};

const FRAME: Packet = Packet::new(5000).tracks(Tracks::VIDEO).frames(1);
const IDR: Packet = FRAME.keyframe(true);

/// Two inputs up; the backup is held from 10 s on, for a minute.
fn held(when_dead: WhenDead) -> Lab {
    let mut lab = Lab::new(2, config());
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(10));
    lab.engine.hold_input(STREAM, 1, Hold { ttl_ms: 60_000, when_dead }).expect("is eligible");
    lab.run_to(s(20));
    assert_eq!(lab.active(), Some(1));
    lab
}

/// Events about the word itself: what, of which input, and why it ended.
fn word(lab: &mut Lab) -> Vec<(u64, (&'static str, i32, &'static str))> {
    lab.all(|kind| match kind {
        EventKind::HoldSet { input_priority, .. } => Some(("held", *input_priority, "")),
        EventKind::HoldReleased { input_priority, why } => Some(("released", *input_priority, why)),
        EventKind::OverrideSet { input_priority } => Some(("override", *input_priority, "")),
        EventKind::OverrideCleared { input_priority, why } => {
            Some(("cleared", *input_priority, why))
        }
        _ => None,
    })
}

/// Finding 4: while a kept input was dead, every new order was refused ("the stream is held"), in
/// the middle of the outage that it was to end.
#[test]
fn a_later_order_is_stronger_than_a_hold_that_keeps_a_dead_input() {
    for by_hold in [false, true] {
        let mut lab = held(WhenDead::Keep);
        lab.silence(1);
        lab.run_to(s(25));
        assert_eq!(lab.active(), Some(1), "kept");
        let ticket = if by_hold {
            lab.engine.hold_input(STREAM, 0, Hold::default()).expect("is eligible")
        } else {
            lab.engine.switch_input(STREAM, 0).expect("is eligible")
        };
        assert_eq!(ticket.outcome(), Some(Ok(())), "{by_hold}");
        lab.run_to(s(26));
        assert_eq!(lab.active(), Some(0), "{by_hold}");
        assert_eq!(lab.reasons(), [(1, SwitchReason::Manual), (0, SwitchReason::Manual)]);
        let (why, set) = if by_hold { ("hold", "held") } else { ("override", "override") };
        assert_eq!(word(&mut lab)[1..], [(s(25), ("released", 1, why)), (s(25), (set, 0, ""))]);
    }
}

/// Finding 10: a hold that ended with its input's death was named as the reason of that input's
/// next death too, however much later.
#[test]
fn a_hold_that_is_long_gone_is_no_reason() {
    let mut lab = held(WhenDead::Release);
    lab.silence(0);
    lab.run_to(s(22));
    lab.silence(1);
    lab.run_to(s(24));
    assert!(lab.status().exhausted, "the hold went with it");
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(624));
    lab.feed(0, [kbps(1000)]);
    lab.run_to(s(626));
    lab.silence(1);
    lab.run_to(s(628));
    let made = lab.moves().pop().expect("is there");
    assert_eq!((made.at, made.to, made.reason), (ms(626_500), 0, SwitchReason::Timeout));
    assert_eq!(made.detail, "no packet for 500ms (timeout 500ms)");
}

/// Finding 11: where the held input was impaired at the end of its hold, the move away had the
/// impairment's reason.
#[test]
fn the_move_at_the_end_of_a_hold_says_so_though_the_input_is_impaired() {
    let mut lab = held(WhenDead::Release);
    lab.engine.raise_condition(STREAM, 1, Condition::new("black")).expect("is valid");
    lab.run_to(s(80));
    assert_eq!(lab.reasons(), [(1, SwitchReason::Manual), (0, SwitchReason::HoldReleased)]);
    let made = &lab.moves()[1];
    assert!((s(70)..=s(70) + ms(10)).contains(&made.at), "{made:?}");
    assert!(made.detail.contains("black"), "{made:?}");
}

/// An engine that learns silence and cuts on keyframes; both inputs deliver 1,000 frames/s.
fn learned() -> Lab {
    let health = HealthConfig {
        silence: Silence::Learned { floor_ms: 0, ceiling_ms: 0, confidence: 0.0 },
        ..Default::default()
    };
    let cut = Cut::Keyframe { max_wait_ms: 10_000 };
    let config =
        EngineConfig { packet_timeout_ms: 5_000, cut, health: Some(health.into()), ..config() };
    let mut lab = Lab::new(2, config);
    for input in 0..2 {
        lab.feed(input, [each(ms(1), FRAME)]);
    }
    lab.run_to(s(60));
    lab
}

/// Finding 15: the target's pause of 40 ms (T = 5 s) ended the operator's order for good.
#[test]
fn an_order_outlasts_a_suspicion_of_its_target() {
    for by_hold in [false, true] {
        let mut lab = learned();
        if by_hold {
            lab.engine.hold_input(STREAM, 1, Hold::default()).expect("is eligible");
        } else {
            lab.engine.switch_input(STREAM, 1).expect("is eligible");
        }
        lab.run_to(s(61));
        lab.silence(1);
        lab.run(ms(40));
        assert!(lab.input(1).errors[0].message.contains("learned timeout"), "suspected");
        lab.feed(1, [each(ms(1), FRAME)]);
        lab.run(ms(40));
        let status = lab.status();
        assert_eq!(status.pending_input_priority, Some(1), "{by_hold}");
        let held = status.hold.map(|hold| hold.priority);
        let expected = if by_hold { (None, Some(1)) } else { (Some(1), None) };
        assert_eq!((status.override_input_priority, held), expected);
        assert_eq!(
            lab.all(|kind| matches!(kind, EventKind::SwitchFailed { .. }).then_some(())),
            []
        );
        lab.send(1, IDR);
        assert_eq!(lab.reasons(), [(1, SwitchReason::Manual)]);
    }
}

/// Finding 15, its other side: a target that is silent for the packet timeout has failed.
#[test]
fn an_order_ends_when_the_suspicion_is_confirmed() {
    let mut lab = learned();
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run_to(s(61));
    lab.silence(1);
    lab.run_to(s(80));
    let failed = lab.all(|kind| match kind {
        EventKind::SwitchFailed { to, .. } => Some(*to),
        _ => None,
    });
    let [(at, 1)] = failed[..] else { panic!("{failed:?}") };
    assert!((s(66)..=s(66) + ms(1)).contains(&at), "within a tick: {at}");
    assert_eq!((lab.status().override_input_priority, lab.active()), (None, Some(0)));
}

/// Finding 16: a kept cold input whose driver knows no probes was never started again.
#[test]
fn a_kept_cold_input_is_tried_again_where_probes_are_unsupported() {
    let mut lab = ColdLab::new(2, EngineConfig::default());
    lab.probes = false;
    lab.run(30_000);
    let hold = Hold { ttl_ms: 3_600_000, when_dead: WhenDead::Keep };
    let ticket = lab.engine.hold_input(STREAM, 1, hold).expect("is eligible");
    lab.run(30_000);
    assert_eq!((ticket.outcome(), lab.active()), (Some(Ok(())), Some(1)));
    lab.starts.clear();
    lab.fail(1);
    lab.run(60_000);
    assert_eq!(lab.starts.first().map(|(_, input)| *input), Some(1), "{:?}", lab.starts);
    let status = lab.status();
    assert_eq!((lab.active(), status.exhausted), (Some(1), false));
    assert_eq!(status.hold.map(|hold| (hold.priority, hold.dead)), Some((1, false)));
}

/// Finding 20e: a hold that another one took the place of ended without a word.
#[test]
fn a_hold_that_is_replaced_by_another_is_told() {
    let mut lab = held(WhenDead::Release);
    lab.engine.hold_input(STREAM, 0, Hold::default()).expect("is eligible");
    lab.run(s(1));
    assert_eq!(
        word(&mut lab),
        [(s(10), ("held", 1, "")), (s(20), ("released", 1, "hold")), (s(20), ("held", 0, ""))]
    );
}

/// Finding 21: a hold that ended while its cut still waited moved the stream afterwards, by then
/// for nobody's sake.
#[test]
fn a_hold_that_ends_before_its_cut_moves_nothing() {
    let mut lab =
        Lab::new(2, EngineConfig { cut: Cut::Keyframe { max_wait_ms: 60_000 }, ..config() });
    for input in 0..2 {
        lab.feed(input, [each(ms(10), FRAME)]);
    }
    lab.run_to(s(5));
    let hold = Hold { ttl_ms: 1_000, ..Default::default() };
    lab.engine.hold_input(STREAM, 1, hold).expect("is eligible");
    lab.run_to(s(10));
    let status = lab.status();
    assert_eq!((status.hold, status.pending_input_priority), (None, None));
    assert_eq!(word(&mut lab), [(s(5), ("held", 1, "")), (s(6), ("released", 1, "expired"))]);
    lab.send(1, IDR);
    lab.run(s(1));
    assert_eq!((lab.moves(), lab.cuts.len(), lab.active()), (vec![], 1, Some(0)));
}

/// Finding 22: the hold or override of a source that got another number ("removed" and "added"
/// with one address) was dropped, though the source went on.
#[test]
fn the_word_goes_with_a_source_that_is_renumbered() {
    for by_hold in [false, true] {
        let mut lab = Lab::new(2, config());
        lab.feed(0, [kbps(1000)]);
        lab.feed(1, [kbps(1000)]);
        lab.run_to(s(1));
        if by_hold {
            lab.engine.hold_input(STREAM, 1, Hold::default()).expect("is eligible");
        } else {
            lab.engine.switch_input(STREAM, 1).expect("is eligible");
        }
        lab.run_to(s(2));
        let known = word(&mut lab).len();
        let added = vec![InputConfig::hot(5, "udp://1")];
        let update = InputsUpdate { removed: vec![1], added, ..Default::default() };
        lab.engine.update_inputs(STREAM, update).expect("a valid update");
        lab.run_to(s(20));
        let status = lab.status();
        let held = status.hold.map(|hold| hold.priority);
        let expected = if by_hold { (None, Some(5)) } else { (Some(5), None) };
        assert_eq!((status.override_input_priority, held), expected);
        assert_eq!(status.active_input_priority, Some(5));
        let ended = word(&mut lab).split_off(known);
        assert!(
            !ended.iter().any(|(_, (what, ..))| ["released", "cleared"].contains(what)),
            "{ended:?}"
        );
    }
}
