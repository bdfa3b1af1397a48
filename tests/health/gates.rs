//! What a review found of cuts that wait for a keyframe: who is on the air meanwhile, when the
//! wait ends, and what is told of it.

use std::time::Duration;

use changeover::{
    Cut, DriverCall, EngineConfig, EventKind, InputConfig, InputStatus, InputsUpdate, Packet,
    SwitchReason, Tracks,
};

use crate::lab::{CutSeen, Lab, Lane, STREAM, config, each, ms, s};

const FRAME: Packet = Packet::new(5000).tracks(Tracks::VIDEO).frames(1);
const IDR: Packet = FRAME.keyframe(true);

/// So many inputs that deliver frames each 10 ms, and no keyframe by themselves.
fn lab(inputs: i32, max_wait_ms: i64, config: EngineConfig) -> Lab {
    let cut = Cut::Keyframe { max_wait_ms };
    let mut lab = Lab::new(inputs, EngineConfig { cut, ..config });
    for input in 0..inputs as usize {
        lab.feed(input, [frames()]);
    }
    lab.run_to(s(5));
    assert_eq!((lab.active(), lab.cuts.len()), (Some(0), 1));
    lab
}

fn frames() -> Lane {
    each(ms(10), FRAME)
}

/// Long enough for no input to be silent.
fn patient() -> EngineConfig {
    EngineConfig { packet_timeout_ms: 20_000, ..config() }
}

fn cut(at: u64, input: i32, packet: Packet) -> CutSeen {
    CutSeen { at, input, packet }
}

/// How often the engine looked because something was due.
fn deadlines(lab: &Lab) -> u64 {
    lab.engine.stats().deadlines_total
}

/// An error, and no more packets.
fn kill(lab: &mut Lab, input: usize) {
    lab.fail(input);
    lab.silence(input);
}

/// Finding 1a: the wait's end lay in the past when the target's new recorder had not delivered
/// yet, and nothing came of it: a panic of the monitor (debug), a look each millisecond (release).
#[test]
fn a_wait_ends_though_the_target_has_just_reconnected() {
    let mut lab = lab(2, 500, patient());
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run(ms(20));
    lab.silence(1);
    lab.reopen(1);
    let before = deadlines(&lab);
    lab.run_to(s(8));
    assert_eq!(deadlines(&lab) - before, 1, "the end of the wait");
    assert_eq!((lab.active(), lab.status().pending_input_priority), (Some(0), Some(1)));
    assert_eq!((lab.cuts.len(), lab.last_forwarded[0]), (1, s(8)));
    lab.feed(1, [frames()]);
    lab.run(ms(100));
    assert_eq!(lab.cuts[1..], [cut(ms(8_010), 1, FRAME)]);
    assert_eq!(lab.status().switches[0].aligned, Some(false));
}

/// Finding 1b: the same where the target had failed as well and the stream was exhausted.
#[test]
fn a_wait_ends_though_the_stream_is_exhausted() {
    let mut lab = lab(2, 500, patient());
    kill(&mut lab, 0);
    lab.run(ms(20));
    assert_eq!((lab.active(), lab.cuts.len()), (Some(1), 1), "effective, and waiting");
    kill(&mut lab, 1);
    assert!(lab.status().exhausted);
    let before = deadlines(&lab);
    lab.run(s(5));
    let looks = deadlines(&lab) - before;
    assert!(looks <= 1, "the end of the wait at the most: {looks}");
}

/// Finding 1: the new connection of a target was not asked for a keyframe, only the first one.
#[test]
fn a_target_that_reconnects_is_asked_for_a_keyframe_again() {
    let mut lab = lab(2, 500, patient());
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run(ms(200));
    lab.reopen(1);
    lab.run(ms(200));
    let asked = |call: &DriverCall| match call {
        DriverCall::RequestKeyframe(call) => Some((call.input.priority, call.epoch)),
        _ => None,
    };
    let asked: Vec<_> = lab.engine.calls().iter().filter_map(asked).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_ne!(asked[0], asked[1], "each connection once");
    lab.run(s(1));
    assert_eq!(lab.cuts[1..], [cut(ms(5_500), 1, FRAME)], "the wait goes on from the order");
}

/// Finding 2: with the active input removed or disabled, its successor cut in mid-picture at
/// once, unmarked, though the old one still delivered.
#[test]
fn an_input_that_is_taken_away_stays_on_the_air_until_the_keyframe() {
    for remove in [true, false] {
        let mut lab = lab(2, 3_000, config());
        let reason = if remove {
            let update = InputsUpdate { removed: vec![0], ..Default::default() };
            lab.engine.update_inputs(STREAM, update).expect("a valid update");
            SwitchReason::InputRemoved
        } else {
            lab.engine.set_input_enabled(STREAM, 0, false).expect("is there");
            SwitchReason::Manual
        };
        lab.run(s(1));
        assert_eq!((lab.cuts.len(), lab.last_forwarded[0]), (1, s(6)), "{reason}");
        assert_eq!(lab.status().leaving_input_priority, Some(0), "{reason}");
        lab.send(1, IDR);
        lab.silence(0);
        lab.run(s(1));
        assert_eq!(lab.cuts[1..], [cut(s(6), 1, IDR)], "{reason}");
        let entry = &lab.status().switches[0];
        assert_eq!((entry.to, entry.reason, entry.aligned), (1, reason, Some(true)));
    }
}

/// Finding 8: an input that waited for its keyframe and was disabled was put on the air at once,
/// in mid-picture, for as long as its successor needed; and that cut in mid-picture too.
#[test]
fn an_input_that_is_disabled_before_its_cut_is_never_on_the_air() {
    let mut lab = lab(3, 10_000, config());
    kill(&mut lab, 0);
    lab.run(ms(100));
    assert_eq!(lab.active(), Some(1));
    lab.engine.set_input_enabled(STREAM, 1, false).expect("is there");
    lab.run(s(1));
    assert_eq!((lab.cuts.len(), lab.last_forwarded[1]), (1, 0), "not one packet of it");
    lab.send(2, IDR);
    lab.run(ms(100));
    assert_eq!(lab.cuts[1..], [cut(ms(6_100), 2, IDR)]);
    assert_eq!(lab.last_forwarded[1], 0);
}

/// Finding 27: the old input was back, never had left the air, and was to get the stream again:
/// that move was pending for ever, and nothing of the active input ever went out.
#[test]
fn a_move_back_to_the_input_that_never_left_the_air_is_effective_at_once() {
    for ordered in [false, true] {
        let stable = if ordered { 100_000 } else { 1_000 };
        let mut lab = lab(2, 60_000, EngineConfig { failback_stable_ms: stable, ..config() });
        lab.silence(0);
        lab.run_to(s(6));
        assert_eq!(lab.active(), Some(1), "effective, and waiting");
        lab.feed(0, [frames()]);
        let back = if ordered {
            lab.run_to(s(7));
            lab.engine.switch_input(STREAM, 0).expect("is eligible");
            (ms(7_000), SwitchReason::Manual)
        } else {
            // Stable for a second from its first packet on.
            (ms(7_010), SwitchReason::Failback)
        };
        lab.run_to(s(8));
        let moves: Vec<_> = lab.moves().iter().map(|made| (made.at, made.to)).collect();
        assert_eq!(moves, [(ms(5_500), 1), (back.0, 0)], "{ordered}");
        for (input, at) in [(1, 8_100), (0, 8_200), (1, 8_300)] {
            lab.run_to(ms(at));
            lab.send(input, IDR);
        }
        lab.run_to(s(10));
        let status = lab.status();
        assert_eq!((status.active_input_priority, status.pending_input_priority), (Some(0), None));
        assert_eq!((lab.cuts.len(), lab.last_forwarded), (1, vec![s(10), 0]), "{ordered}");
        let (back, there) = (&status.switches[0], &status.switches[1]);
        assert_eq!((back.to, back.aligned), (0, None), "nothing was cut");
        assert_eq!((there.to, there.first_packet_at), (1, None), "it never had a packet");
    }
}

/// Finding 28: an input that was back on the air while its successor waited, and was disabled
/// then, went out for the rest of the wait.
#[test]
fn the_old_input_goes_off_the_air_when_it_is_disabled() {
    let mut lab = lab(2, 60_000, EngineConfig { failback_stable_ms: 100_000, ..config() });
    lab.silence(0);
    lab.run_to(s(6));
    lab.feed(0, [frames()]);
    lab.run_to(s(7));
    assert_eq!(lab.last_forwarded[0], s(7), "its word stands until the cut");
    lab.engine.set_input_enabled(STREAM, 0, false).expect("is there");
    lab.run_to(s(9));
    assert_eq!((lab.last_forwarded[0], lab.input(0).status), (s(7), InputStatus::Stopped));
    lab.send(1, IDR);
    assert_eq!(lab.cuts[1..], [cut(s(9), 1, IDR)]);
}

/// Finding 29: a switch that waited already kept the policy that it had been decided under.
#[test]
fn a_wait_follows_the_policy_of_now() {
    let mut lab = lab(2, 60_000, config());
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run_to(s(6));
    assert_eq!(lab.cuts.len(), 1);
    let immediate = EngineConfig { cut: Cut::Immediate, ..config() };
    lab.engine.set_config(immediate).expect("is valid");
    lab.run_to(s(7));
    assert_eq!(lab.cuts[1..], [cut(ms(6_010), 1, FRAME)]);
    assert_eq!((lab.active(), lab.moves().len()), (Some(1), 1));
}

/// Finding 31: a second move while the first one's target waited for its keyframe disarmed that:
/// nobody was heard until the second target delivered, or was found dead.
#[test]
fn the_active_input_makes_its_cut_though_a_later_move_waits() {
    let mut lab = lab(3, 3_000, patient());
    kill(&mut lab, 0);
    lab.run_to(ms(5_100));
    assert_eq!((lab.active(), lab.cuts.len()), (Some(1), 1), "effective, and waiting");
    lab.engine.switch_input(STREAM, 2).expect("is eligible");
    lab.silence(2);
    lab.run_to(s(6));
    lab.send(1, IDR);
    lab.run_to(s(13));
    assert_eq!(lab.cuts[1..], [cut(s(6), 1, IDR)]);
    assert_eq!(lab.last_forwarded[1], s(13));
    let status = lab.status();
    assert_eq!((status.active_input_priority, status.pending_input_priority), (Some(1), Some(2)));
    lab.send(2, IDR);
    assert_eq!(lab.cuts[2..], [cut(s(13), 2, IDR)]);
    assert_eq!(lab.active(), Some(2));
}

/// Finding 35: the first packet after a move was written into whatever entry was the latest:
/// that of a renumbering, where the input got another number while it waited.
#[test]
fn the_first_packet_belongs_to_the_move_that_it_ends() {
    let mut lab = lab(2, 5_000, config());
    kill(&mut lab, 0);
    lab.run(ms(100));
    assert_eq!((lab.active(), lab.cuts.len()), (Some(1), 1), "effective, and waiting");
    // 0 has the address of 1 from now on, and 1 is gone: the same source, another number.
    let renumbered = InputConfig::hot(0, "udp://1");
    let update = InputsUpdate { removed: vec![1], updated: vec![renumbered], ..Default::default() };
    lab.engine.update_inputs(STREAM, update).expect("a valid update");
    lab.run(ms(100));
    assert_eq!((lab.active(), lab.cuts.len()), (Some(0), 1), "its word is its own");
    lab.send(1, IDR);
    lab.run(ms(10));
    assert_eq!(lab.cuts[1..], [cut(ms(5_200), 1, IDR)]);
    let made = lab.status().switches;
    let told: Vec<_> = made.iter().map(|made| (made.reason, made.aligned)).collect();
    let expected = [
        (SwitchReason::InputRemoved, None),
        (SwitchReason::Error, Some(true)),
        (SwitchReason::Initial, None),
    ];
    assert_eq!(told, expected, "newest first");
    assert_eq!(made[0].first_packet_at, None);
    assert_eq!(
        made[1].first_packet_at.expect("is there").duration_since(made[1].at).unwrap(),
        Duration::from_millis(200)
    );
    let first = lab.all(|kind| match kind {
        EventKind::FirstPacket { input_priority, aligned, .. } => Some((*input_priority, *aligned)),
        _ => None,
    });
    assert_eq!(first.last(), Some(&(ms(5_200), (0, Some(true)))));
}

/// Finding 35, with an entry of a recovery in between.
#[test]
fn a_recovery_in_the_wait_is_not_the_move_that_the_first_packet_ends() {
    let mut lab = lab(2, 5_000, config());
    kill(&mut lab, 0);
    lab.run(ms(100));
    kill(&mut lab, 1);
    lab.run(ms(100));
    assert!(lab.status().exhausted);
    lab.reopen(1);
    lab.feed(1, [frames()]);
    lab.run(ms(100));
    assert_eq!((lab.status().exhausted, lab.cuts.len()), (false, 1), "back, and waiting");
    lab.send(1, IDR);
    lab.run(ms(10));
    assert_eq!(lab.cuts[1..], [cut(ms(5_300), 1, IDR)]);
    let made = lab.status().switches;
    let told: Vec<_> = made.iter().map(|made| (made.reason, made.aligned)).collect();
    let expected = [
        (SwitchReason::Recovery, None),
        (SwitchReason::Error, Some(true)),
        (SwitchReason::Initial, None),
    ];
    assert_eq!(told, expected, "newest first");
}
