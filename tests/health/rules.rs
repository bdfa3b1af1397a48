//! H4 and H7, and what is common to all soft rules: how they clear, and what they do to an
//! input's state.

use changeover::{
    BitrateRule, Condition, EngineConfig, EventKind, FpsRule, HealthConfig, InputStatus, LossRule,
    Packet, StreamStatus, SwitchReason, TrackSilenceRule, Tracks,
};

use crate::lab::{Lab, Lane, STREAM, config, each, kbps, ms, s};

const AUDIO: Packet = Packet::new(200).tracks(Tracks::AUDIO);
const FRAME: Packet = Packet::new(5000).tracks(Tracks::VIDEO).frames(1);

fn audio() -> Lane {
    each(ms(21), AUDIO)
}

fn video() -> Lane {
    each(ms(40), FRAME)
}

fn lab(inputs: i32, health: HealthConfig) -> Lab {
    Lab::new(inputs, EngineConfig { health: Some(health.into()), ..config() })
}

#[test]
fn h4_video_that_stops_while_audio_flows() {
    let track_silence = TrackSilenceRule { video_ms: 2_000, ..Default::default() };
    let mut lab = lab(2, HealthConfig { track_silence, ..Default::default() });
    lab.feed(0, [audio(), video()]);
    lab.feed(1, [audio(), video()]);
    lab.run_to(s(20));
    // The last frame came at 20 s.
    lab.feed(0, [audio()]);
    lab.run_to(s(40));
    let made = lab.only_move();
    assert!((s(22)..=ms(22_200)).contains(&made.at), "{made:?}");
    assert_eq!((made.to, made.reason), (1, SwitchReason::TrackSilence));
    let impaired = &lab.input(0).impaired[0];
    assert_eq!((impaired.rule, impaired.limit), (SwitchReason::TrackSilence, 2_000.0));
    assert!((19_900.0..=20_100.0).contains(&impaired.value), "{impaired:?}");
    assert_eq!(lab.input(0).status, InputStatus::Degraded);
}

/// No video, no audio: that is silence, and its own deadline.
#[test]
fn h4_a_full_stop_is_a_timeout() {
    let track_silence = TrackSilenceRule { video_ms: 200, ..Default::default() };
    let mut lab = lab(2, HealthConfig { track_silence, ..Default::default() });
    lab.feed(0, [audio(), video()]);
    lab.feed(1, [audio(), video()]);
    lab.run_to(s(20));
    let last = lab.last_forwarded[0];
    lab.silence(0);
    lab.run_to(s(22));
    let made = lab.only_move();
    assert_eq!(made.reason, SwitchReason::Timeout);
    assert!((last + ms(500)..=last + ms(521)).contains(&made.at), "{made:?}");
}

#[test]
fn h4_an_input_that_never_had_video_is_not_judged() {
    let track_silence = TrackSilenceRule { video_ms: 2_000, ..Default::default() };
    let mut lab = lab(2, HealthConfig { track_silence, ..Default::default() });
    lab.feed(0, [kbps(1000)]);
    lab.feed(1, [audio(), video()]);
    lab.run_to(s(20));
    assert_eq!((lab.moves(), lab.active()), (vec![], Some(0)));
}

fn black() -> Condition {
    Condition::new("black").hold_ms(1_000).clear_ms(2_000)
}

/// Both inputs up for ten seconds, no rules.
fn plain(inputs: i32) -> Lab {
    let mut lab = Lab::new(inputs, config());
    (0..inputs).for_each(|input| lab.feed(input as usize, [kbps(1000)]));
    lab.run_to(s(10));
    lab
}

#[test]
fn h7_black_for_900_ms_is_nothing() {
    let mut lab = plain(2);
    for _ in 0..5 {
        lab.engine.raise_condition(STREAM, 0, black()).expect("is valid");
        lab.run(ms(900));
        assert_eq!(lab.input(0).conditions, ["black"]);
        lab.engine.clear_condition(STREAM, 0, "black").expect("is raised");
        lab.run(ms(300));
    }
    lab.run(s(5));
    assert_eq!((lab.moves(), lab.cuts.len()), (vec![], 1));
    assert!(lab.input(0).impaired.is_empty() && lab.input(0).conditions.is_empty());
}

#[test]
fn h7_black_for_1100_ms_is_left_and_forgiven() {
    let mut lab = plain(2);
    lab.engine.raise_condition(STREAM, 0, black()).expect("is valid");
    lab.run(ms(1_100));
    let made = lab.only_move();
    assert!((s(11)..=ms(11_010)).contains(&made.at), "{made:?}");
    assert_eq!((made.to, made.reason), (1, SwitchReason::Condition));
    assert!(made.detail.contains("black"), "{}", made.detail);
    assert_eq!(lab.input(0).impaired[0].name.as_deref(), Some("black"));
    // Cleared at 11.1 s: good again at 13.1 s, and 5 s stable at 18.1 s.
    lab.engine.clear_condition(STREAM, 0, "black").expect("is raised");
    lab.run_to(ms(13_099));
    assert_eq!(lab.input(0).status, InputStatus::Degraded);
    lab.run_to(ms(13_101));
    assert_eq!(lab.input(0).status, InputStatus::Idle);
    lab.run_to(ms(18_099));
    assert_eq!(lab.active(), Some(1));
    lab.run_to(s(19));
    let back = &lab.moves()[1];
    assert_eq!((back.to, back.reason), (0, SwitchReason::Failback));
    assert!((ms(18_100)..=ms(18_120)).contains(&back.at), "{back:?}");
}

#[test]
fn h7_a_condition_of_the_other_input_stands_against_a_move() {
    let mut lab = plain(2);
    lab.engine.raise_condition(STREAM, 1, black()).expect("is valid");
    lab.engine.raise_condition(STREAM, 0, black()).expect("is valid");
    lab.run(s(10));
    assert_eq!(lab.moves(), []);
    let refusals = lab.refusals();
    assert_eq!(refusals.len(), 1, "{refusals:#?}");
    assert_eq!((refusals[0].1, refusals[0].2), (Some(1), "not_better"));
    // The backup is good again: so there is a way out.
    lab.engine.clear_condition(STREAM, 1, "black").expect("is raised");
    lab.run(s(3));
    assert_eq!(lab.reasons(), [(1, SwitchReason::Condition)]);
}

/// Loss that clears after 1 s, a frame rate that clears after 4 s.
fn two_rules() -> HealthConfig {
    HealthConfig {
        loss: LossRule { max_percent: 5.0, hold_ms: 500, clear_ms: 1_000 },
        fps: FpsRule { min: 20.0, hold_ms: 500, clear_ms: 4_000 },
        ..Default::default()
    }
}

fn cleared(lab: &mut Lab) -> Vec<(u64, SwitchReason)> {
    lab.all(|kind| match kind {
        EventKind::InputCleared { input_priority: 0, rule } => Some(*rule),
        _ => None,
    })
}

#[test]
fn each_rule_clears_by_its_own_time_and_packets_clear_none() {
    let mut lab = lab(2, two_rules());
    lab.feed(0, [video()]);
    lab.feed(1, [video()]);
    lab.run_to(s(10));
    lab.feed(0, [each(ms(200), FRAME.lost(1))]);
    lab.run_to(s(15));
    let rules = |lab: &Lab| lab.input(0).impaired.iter().map(|one| one.rule).collect::<Vec<_>>();
    assert_eq!(lab.active(), Some(1));
    assert_eq!(rules(&lab).len(), 2);
    assert_eq!((lab.input(0).status, lab.status().usable_inputs), (InputStatus::Degraded, 1));
    // Good again, and packets flow: a window of 1 s, then each its clear time.
    lab.feed(0, [video()]);
    lab.run_to(s(16));
    assert_eq!(rules(&lab).len(), 2, "packets clear silence and errors only");
    lab.run_to(s(30));
    let cleared = cleared(&mut lab);
    assert_eq!(cleared.len(), 2, "{cleared:?}");
    let [(loss_at, loss), (fps_at, fps)] = [cleared[0], cleared[1]];
    assert_eq!((loss, fps), (SwitchReason::Loss, SwitchReason::Fps));
    assert!((s(16)..=ms(17_100)).contains(&loss_at), "{loss_at}");
    assert!((s(19)..=ms(20_100)).contains(&fps_at), "{fps_at}");
    let back = &lab.moves()[1];
    assert_eq!((back.to, back.reason), (0, SwitchReason::Failback));
    assert!(
        (fps_at + s(5)..=fps_at + s(5) + ms(180)).contains(&back.at),
        "stability counts from then: {fps_at} {}",
        back.at
    );
}

/// An input that is silent for a while is not good again by its silence.
#[test]
fn a_restart_does_not_clear_a_rule() {
    let bitrate =
        BitrateRule { min_kbps: 500.0, hold_ms: 1_000, clear_ms: 3_000, ..Default::default() };
    let mut lab = lab(2, HealthConfig { bitrate, ..Default::default() });
    lab.feed(0, [kbps(100)]);
    lab.feed(1, [kbps(1000)]);
    lab.run_to(s(10));
    assert_eq!(lab.active(), Some(1));
    lab.silence(0);
    lab.run_to(s(15));
    lab.feed(0, [kbps(1000)]);
    lab.run_to(s(17));
    let input = lab.input(0);
    assert_eq!((input.status, input.impaired.len()), (InputStatus::Degraded, 1));
    lab.run_to(s(20));
    assert!(lab.input(0).impaired.is_empty(), "a window and the clear time");
}

#[test]
fn an_impaired_active_input_stays_active_until_it_is_left() {
    let mut lab = plain(1);
    lab.engine.raise_condition(STREAM, 0, black()).expect("is valid");
    lab.run(s(5));
    let status = lab.status();
    let input = &status.inputs[0];
    assert_eq!((status.status, input.status), (StreamStatus::Active, InputStatus::Active));
    assert_eq!((status.exhausted, input.impaired[0].rule), (false, SwitchReason::Condition));
    assert_eq!(lab.last_forwarded[0], lab.now());
    let degraded = |kind: &EventKind| match kind {
        EventKind::InputDegraded { input_priority, .. } => Some(*input_priority),
        EventKind::Exhausted => Some(-1),
        _ => None,
    };
    assert_eq!(lab.all(degraded), []);
    assert_eq!(lab.refusals()[0].2, "no_other_input");

    let mut lab = plain(2);
    lab.engine.raise_condition(STREAM, 0, black()).expect("is valid");
    lab.run(s(2));
    assert_eq!((lab.active(), lab.input(0).status), (Some(1), InputStatus::Degraded));
    let left = lab.all(degraded);
    assert_eq!((left.len(), left[0].1), (1, 0), "{left:?}");
    assert_eq!(left[0].0, lab.only_move().at, "when it is left, not before");
}

#[test]
fn an_impaired_standby_is_degraded_and_a_last_resort() {
    let mut lab = plain(3);
    lab.engine.raise_condition(STREAM, 1, black()).expect("is valid");
    lab.run(s(2));
    let status = lab.status();
    assert_eq!((status.inputs[1].status, status.usable_inputs), (InputStatus::Degraded, 2));
    lab.silence(0);
    lab.run(s(1));
    assert_eq!(lab.reasons(), [(2, SwitchReason::Timeout)], "not the impaired one");
    lab.silence(2);
    lab.run(s(1));
    assert_eq!(lab.reasons()[1..], [(1, SwitchReason::Timeout)], "but rather it than nothing");
    let status = lab.status();
    assert_eq!((status.exhausted, status.inputs[1].status), (false, InputStatus::Active));
    assert_eq!(lab.last_forwarded[1], lab.now());
    // Only hard failures exhaust.
    lab.silence(1);
    lab.run(s(1));
    let status = lab.status();
    assert_eq!((status.exhausted, status.status), (true, StreamStatus::Degraded));
    // And what delivers restores, impaired as it is.
    lab.feed(1, [kbps(1000)]);
    lab.run(s(1));
    assert_eq!((lab.status().exhausted, lab.active()), (false, Some(1)));
    assert_eq!(lab.input(1).impaired.len(), 1);
}

/// From the impaired last resort to a good one that comes back below it: at once.
#[test]
fn a_good_lower_input_relieves_the_last_resort() {
    let mut lab = plain(2);
    lab.silence(1);
    lab.run(s(1));
    lab.engine.raise_condition(STREAM, 0, black()).expect("is valid");
    lab.run(s(5));
    assert_eq!((lab.active(), lab.moves()), (Some(0), vec![]));
    let at = lab.now();
    lab.feed(1, [kbps(1000)]);
    lab.run(s(2));
    let made = lab.only_move();
    assert_eq!((made.to, made.reason), (1, SwitchReason::Condition));
    assert!(made.at - at <= ms(30), "{}", made.at - at);
}
