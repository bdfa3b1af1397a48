//! H5: the cut waits for the backup's keyframe, and not for ever.

use changeover::{
    Condition, Cut, DriverCall, EngineConfig, EventKind, Packet, SwitchReason, Tracks,
};

use crate::lab::{CutSeen, Lab, STREAM, config, each, kbps, ms, s};

const AUDIO: Packet = Packet::new(200).tracks(Tracks::AUDIO).keyframe(true);
const FRAME: Packet = Packet::new(5000).tracks(Tracks::VIDEO).frames(1);
const IDR: Packet = FRAME.keyframe(true);

/// The decision falls at this time.
const T0: u64 = s(10);

/// Three inputs: 1 has an IDR 1.7 s after `T0` (and each 2 s), frames between, and audio each
/// 21 ms that a careless host flags as key; 2 has its IDR at 2.5 s.
fn lab(cut: Cut) -> Lab {
    let mut lab = Lab::new(3, EngineConfig { cut, ..config() });
    lab.feed(0, [kbps(6000)]);
    lab.run_to(T0 - s(3));
    for (input, idr) in [(1, ms(700)), (2, ms(1500))] {
        let frames = each(ms(33), FRAME).first(ms(21));
        // Audio on a grid that begins at T0.
        let audio = each(ms(21), AUDIO).first(s(3) - ms(21) * 142);
        lab.feed(input, [frames, audio, each(s(2), IDR).first(s(2) + idr)]);
        lab.run(0);
    }
    lab.run_to(T0);
    assert_eq!((lab.active(), lab.cuts.len()), (Some(0), 1));
    lab
}

fn keyframe(max_wait_ms: i64) -> Cut {
    Cut::Keyframe { max_wait_ms }
}

fn switched_at(at: u64, input: i32, packet: Packet) -> CutSeen {
    CutSeen { at, input, packet }
}

#[test]
fn h5_the_cut_falls_on_the_keyframe() {
    let mut lab = lab(keyframe(3000));
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run_to(T0 + ms(1699));
    assert_eq!(lab.cuts.len(), 1, "audio is no keyframe: {:?}", lab.cuts);
    lab.run_to(T0 + s(10));
    assert_eq!(lab.cuts[1..], [switched_at(T0 + ms(1700), 1, IDR)]);
    assert_eq!(lab.last_forwarded[0], T0 + ms(1700), "its packet of that time came first");
    assert!(lab.last_forwarded[1] > T0 + s(10) - ms(21));
    let made = lab.only_move();
    assert_eq!((made.at, made.to, made.reason), (T0 + ms(1700), 1, SwitchReason::Manual));
    let status = lab.status();
    let entry = &status.switches[0];
    assert_eq!((entry.aligned, entry.stall_us), (Some(true), Some(0)));
    assert_eq!(entry.first_packet_at, Some(entry.at));
    let decided = entry.decided_at.expect("was decided");
    assert_eq!(entry.at.duration_since(decided).unwrap().as_millis(), 1700);
    // The target is asked for a keyframe, once.
    let asked = |call: &DriverCall| match call {
        DriverCall::RequestKeyframe(call) => Some(call.input.priority),
        _ => None,
    };
    let calls = lab.engine.calls();
    assert_eq!(calls.iter().filter_map(asked).collect::<Vec<_>>(), [1]);
}

#[test]
fn h5_after_the_longest_wait_any_packet_cuts() {
    let mut lab = lab(keyframe(500));
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run_to(T0 + s(10));
    assert_eq!(lab.cuts[1..], [switched_at(T0 + ms(504), 1, AUDIO)]);
    assert_eq!(lab.last_forwarded[0], T0 + ms(500));
    let entry = &lab.status().switches[0];
    assert_eq!((entry.aligned, entry.stall_us), (Some(false), Some(4_000)));
    let first = lab.all(|kind| match kind {
        EventKind::FirstPacket { input_priority: 1, aligned, stall_us } => {
            Some((*aligned, *stall_us))
        }
        _ => None,
    });
    assert_eq!(first, [(T0 + ms(504), (Some(false), Some(4_000)))]);
}

#[test]
fn h5_without_a_gate_the_next_packet_cuts() {
    let mut lab = lab(Cut::Immediate);
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run_to(T0 + s(3));
    assert_eq!(lab.cuts[1..], [switched_at(T0 + ms(21), 1, AUDIO)]);
    assert_eq!(lab.status().switches[0].aligned, None);
}

/// Killed: an error, and no more packets.
fn kill(lab: &mut Lab, input: usize) {
    lab.fail(input);
    lab.silence(input);
}

#[test]
fn h5_a_backup_that_dies_in_the_wait_is_never_cut_to() {
    let mut lab = lab(keyframe(3000));
    lab.engine.raise_condition(STREAM, 0, Condition::new("black").hold_ms(1)).expect("is valid");
    lab.run_to(T0 + s(1));
    let decided = |kind: &EventKind| match kind {
        EventKind::SwitchDecided { to, reason, .. } => Some((*to, *reason)),
        _ => None,
    };
    let known = lab.all(decided).len();
    assert_eq!(lab.all(decided)[known - 1], (T0 + ms(1), (1, SwitchReason::Condition)));
    kill(&mut lab, 1);
    lab.run_to(T0 + s(10));
    assert_eq!(lab.all(decided)[known..], [(T0 + s(1), (2, SwitchReason::Condition))]);
    assert_eq!(lab.cuts[1..], [switched_at(T0 + ms(2500), 2, IDR)]);
    assert_eq!(lab.last_forwarded[1], 0, "not one packet of it");
    assert_eq!(lab.reasons(), [(2, SwitchReason::Condition)]);
}

#[test]
fn h5_an_operators_target_that_dies_in_the_wait_leaves_everything_as_it_was() {
    let mut lab = lab(keyframe(3000));
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run_to(T0 + s(1));
    kill(&mut lab, 1);
    lab.run_to(T0 + s(10));
    assert_eq!((lab.cuts.len(), lab.last_forwarded[1], lab.active()), (1, 0, Some(0)));
    assert_eq!(lab.moves(), []);
    let failed = lab.all(|kind| match kind {
        EventKind::SwitchFailed { to, reason, .. } => Some((*to, *reason)),
        _ => None,
    });
    assert_eq!(failed, [(T0 + s(1), (1, SwitchReason::Manual))]);
}

#[test]
fn h5_a_dead_primary_does_not_wait_on_the_air_for_a_keyframe() {
    let mut lab = lab(keyframe(3000));
    lab.silence(0);
    lab.run_to(T0 + s(10));
    // Decided at T0 + 500 ms; until the keyframe nothing goes out, and then a whole picture.
    assert_eq!(lab.cuts[1..], [switched_at(T0 + ms(1700), 1, IDR)]);
    assert_eq!(lab.last_forwarded[0], T0);
    assert_eq!(lab.status().switches[0].stall_us, Some(1_700_000));
}

#[test]
fn the_wait_for_a_keyframe_is_told() {
    let mut lab = lab(keyframe(3000));
    lab.engine.switch_input(STREAM, 1).expect("is eligible");
    lab.run_to(T0 + ms(100));
    let status = lab.status();
    assert_eq!((status.active_input_priority, status.pending_input_priority), (Some(0), Some(1)));
    let refused = &status.decisions[0];
    assert_eq!(refused.rule.as_deref(), Some("awaiting_keyframe"));
    let armed = lab.all(|kind| match kind {
        EventKind::SwitchArmed { to: 1, keyframe, max_wait_ms, .. } => {
            Some((*keyframe, *max_wait_ms))
        }
        _ => None,
    });
    assert_eq!(armed.len(), 1);
    assert_eq!(armed[0].1, (true, 3000));
    assert_eq!(lab.input(1).keyframes, 1, "audio does not count");
    lab.run_to(T0 + s(2));
    assert_eq!(lab.input(1).keyframes, 2);
}

/// A failback waits for its keyframe too, and the backup goes out until then.
#[test]
fn a_failback_waits_for_its_keyframe() {
    let mut lab = Lab::new(2, EngineConfig { cut: keyframe(3000), ..config() });
    lab.feed(0, [each(ms(40), FRAME), each(s(2), IDR)]);
    lab.feed(1, [each(ms(40), FRAME), each(s(2), IDR)]);
    lab.run_to(s(10));
    lab.silence(0);
    lab.run_to(s(21));
    // Back from 21 s on: stable at 26 s, keyframes at 23, 25, 27 s.
    lab.feed(0, [each(ms(40), FRAME), each(s(2), IDR)]);
    lab.run_to(s(40));
    assert_eq!(lab.cuts[2..], [switched_at(s(27), 0, IDR)]);
    assert!(s(27) - lab.last_forwarded[1] <= ms(40));
    assert_eq!(lab.status().switches[0].aligned, Some(true));
}

/// A dead input on the air, and no keyframe in sight: the longest wait is the longest outage.
#[test]
fn without_keyframes_a_dead_primary_costs_the_longest_wait() {
    let mut lab = Lab::new(2, EngineConfig { cut: keyframe(700), ..config() });
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [kbps(1000).first(ms(3))]);
    lab.run_to(T0);
    lab.silence(0);
    lab.run_to(T0 + s(3));
    // Decided after 500 ms.
    assert_eq!(lab.cuts[1..], [switched_at(T0 + ms(1203), 1, Packet::new(1250))]);
    assert_eq!(lab.status().switches[0].aligned, Some(false));
    assert_eq!(lab.input(1).keyframes, 0);
}
