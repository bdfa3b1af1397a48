//! S7, S8, S10, S11, S13, S18: leaving a failed input, proving it again, coming back.

use crate::support::script::{
    FAILBACK_COOLDOWN, FIRST, PROBE, PROBE_COOLDOWN, PROBE_TIMEOUT, T, s,
};
use crate::support::{Ctx, Feed, Probe, World};

/// {0, 1}, 0 killed at 10 s: on 1 at once. Answers when 0 was degraded.
fn killed(w: &mut World) -> u64 {
    w.register(&[0, 1]);
    w.run_until(s(10));
    w.skip();
    let killed = w.kill("a0", "gone");
    let degraded = w.happens("degraded 0 error gone", killed).at;
    w.happen(&["failover 0>1 error gone", "start 1 a1", "stop 0"], killed);
    degraded
}

/// When the failover took effect.
fn switched(w: &World) -> u64 {
    let entry = w.told.iter().rev().find(|entry| entry.text.starts_with("failover "));
    entry.expect("a failover").at
}

/// The failback from 1 to 0, decided at `due`.
fn fails_back(w: &mut World, due: u64) {
    let decided = w.happens("decided 1>0 failback", due).at;
    w.happens("start 0 a0", due);
    if !w.is_real() {
        // Make before break: 1 stays on the air until 0 delivers.
        w.is_on(Some(1), None, false);
        w.states("0:idle 1:active");
        assert_eq!(w.status().pending_input_priority, Some(0));
        w.run_until(decided + FIRST - 1);
        w.is_on(Some(1), None, false);
    }
    w.happen(&["failover 1>0 failback", "stop 1"], decided + FIRST);
    w.is_on(Some(0), None, false);
    w.states("0:active 1:idle");
    w.history(&["none>0 initial", "0>1 error gone", "1>0 failback"]);
    w.story(&[
        "degraded 0 error gone",
        "failover 0>1 error gone",
        "recovered 0 probe",
        "failover 1>0 failback",
    ]);
    w.failovers(2);
    w.healths(&[(0, 1.0), (1, 1.0)]);
    w.callbacks(0, 0);
    let status = w.status();
    let back = status.input(0).expect("is there");
    assert!(back.errors.is_empty() && back.proved, "{back:?}");
    assert_eq!(back.last_failure.as_ref().map(|e| e.message.as_str()), Some("gone"));
    assert_eq!(status.pending_input_priority, None);
}

pub(crate) fn s07(ctx: &Ctx) {
    // The recovery at several places of the probes' cycle.
    let later = if ctx.form == crate::support::Form::Hand { vec![0, 1, 3, 5, 7] } else { vec![0] };
    for later in later {
        let mut w = World::new(ctx);
        let degraded = killed(&mut w);
        let mark = w.mark();
        let good = degraded + s(30 + later);
        w.tune("a0", |source| source.change(good, Feed::Ok));
        let mut begin = degraded + PROBE_COOLDOWN;
        let probe = loop {
            let probe = w.happens("probe 0 a0", begin).at;
            if probe >= good {
                break probe;
            }
            begin = probe + PROBE + PROBE_COOLDOWN;
        };
        w.happens("recovered 0 probe", probe + PROBE);
        if !w.is_real() {
            assert!(probe + PROBE <= good + PROBE + PROBE_COOLDOWN + PROBE);
        }
        fails_back(&mut w, probe + PROBE);
        w.run_for(s(20));
        w.nothing_since(mark, &["start 1", "stop 0", "exhausted"]);
        w.finish();
    }
}

pub(crate) fn s08(ctx: &Ctx) {
    let mut w = World::new(ctx);
    let degraded = killed(&mut w);
    let switched = switched(&w);
    w.tune("a0", |source| source.change(degraded + s(1), Feed::Ok));
    let mark = w.mark();
    let probe = w.happens("probe 0 a0", degraded + PROBE_COOLDOWN).at;
    let proved = w.happens("recovered 0 probe", probe + PROBE).at;
    let due = switched + FAILBACK_COOLDOWN;
    if !w.is_real() {
        // Refused for now, with the numbers; the stream moves without any further event.
        w.happens("refused 0 failback_cooldown 3500", proved);
        w.is_on(Some(1), None, false);
        w.states("0:idle 1:active");
    }
    fails_back(&mut w, due.max(proved));
    w.calls_since(mark, &["probe 0 a0", "start 0 a0", "stop 1"]);
    w.finish();
}

pub(crate) fn s10_dead(ctx: &Ctx) {
    s10(ctx, Feed::Dead);
}

pub(crate) fn s10_silent(ctx: &Ctx) {
    s10(ctx, Feed::Silent);
}

fn s10(ctx: &Ctx, feed: Feed) {
    let mut w = World::new(ctx);
    w.source("a0", &[(0, feed)]);
    let (begin, mark) = (w.now(), w.mark());
    w.register(&[0, 1]);
    w.happens("start 0 a0", begin);
    w.is_on(Some(0), None, false);
    w.states("0:idle 1:idle");
    w.happen(&["degraded 0 timeout", "failover 0>1 timeout"], begin + T);
    w.happen(&["start 1 a1", "stop 0"], begin + T);
    w.is_on(Some(1), None, false);
    w.calls_since(mark, &["start 0 a0", "start 1 a1", "stop 0"]);
    w.run_for(s(1));
    w.states("0:degraded 1:active");
    w.history(&["none>0 initial", "0>1 timeout silence"]);
    w.story(&["degraded 0 timeout silence", "failover 0>1 timeout silence"]);
    w.failovers(1);
    w.healths(&[(0, 0.0), (1, 1.0)]);
    w.callbacks(0, 0);
    assert!(w.status().input(0).expect("is there").last_packet_at.is_none());
    w.finish();
}

pub(crate) fn s10_start_hangs(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a0", &[(0, Feed::StartHangs)]);
    let (begin, mark) = (w.now(), w.mark());
    w.register(&[0, 1]);
    w.happens("start 0 a0", begin);
    w.sees("history", |st| st.switches.len(), 0);
    w.happens("degraded 0 timeout", begin + T);
    w.happen(&["start 1 a1", "started 1"], begin + T);
    w.is_on(Some(1), None, false);
    w.run_for(s(1));
    w.states("0:degraded 1:active");
    // Nothing was on the air before: no failover.
    w.history(&["none>1 initial"]);
    w.nothing_since(mark, &["failover", "exhausted"]);
    w.failovers(0);
    w.callbacks(0, 0);
    w.finish();
}

pub(crate) fn s11(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a1", &[(0, Feed::Dead)]);
    w.register(&[0, 1, 2]);
    w.run_until(s(10));
    w.skip();
    let killed = w.kill("a0", "gone");
    w.happens("failover 0>1 error gone", killed);
    w.happen(&["start 1 a1", "stop 0"], killed);
    w.happen(&["degraded 1 timeout", "failover 1>2 timeout"], killed + T);
    w.happen(&["start 2 a2", "stop 1"], killed + T);
    w.is_on(Some(2), None, false);
    w.run_for(s(1));
    w.states("0:degraded 1:degraded 2:active");
    w.history(&["none>0 initial", "0>1 error gone", "1>2 timeout silence"]);
    w.story(&[
        "degraded 0 error gone",
        "failover 0>1 error gone",
        "degraded 1 timeout silence",
        "failover 1>2 timeout silence",
    ]);
    w.failovers(2);
    w.callbacks(0, 0);
    w.finish();
}

pub(crate) fn s13(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a1", &[(0, Feed::StartFails("refused"))]);
    w.register(&[0, 1, 2]);
    w.run_until(s(10));
    w.skip();
    let mark = w.mark();
    let killed = w.kill("a0", "gone");
    w.happen(&["degraded 0 error gone", "degraded 1 error refused"], killed);
    w.happen(&["failover 0>2 error", "start 1 a1", "start 2 a2", "stop 0"], killed);
    w.is_on(Some(2), None, false);
    w.calls_since(mark, &["start 1 a1", "start 2 a2", "stop 0"]);
    w.run_for(s(1));
    w.states("0:degraded 1:degraded 2:active");
    w.failovers(1);
    w.sees("history length", |st| st.switches.len(), 2);
    let status = w.status();
    let errors = &status.input(1).expect("is there").errors;
    assert_eq!(errors.iter().map(|e| e.message.as_str()).collect::<Vec<_>>(), ["refused"]);
    assert_eq!(status.switches[0].reason.as_str(), "error");
    w.healths(&[(0, 0.0), (1, 0.0), (2, 1.0)]);
    w.callbacks(0, 0);
    w.finish();
}

/// The first five probes of the killed input, `next` apart from begin to begin, and none of them
/// proves it.
fn s18(ctx: &Ctx, probe: Probe, next: u64) {
    let mut w = World::new(ctx);
    w.tune("a0", |source| source.probe = probe);
    let degraded = killed(&mut w);
    // From due time to due time: on the real clock the driver hears of a probe a little after its
    // deadline has begun to run.
    for round in 0..5 {
        w.happens("probe 0 a0", degraded + PROBE_COOLDOWN + round * next);
    }
    w.is_on(Some(1), None, false);
    w.states("0:degraded 1:active");
    w.story(&["degraded 0 error gone", "failover 0>1 error gone"]);
    w.history(&["none>0 initial", "0>1 error gone"]);
    assert_eq!(w.stage.lock().overlapping_probes, 0);
    w.finish();
}

pub(crate) fn s18_fails(ctx: &Ctx) {
    s18(ctx, Probe::Honest, PROBE + PROBE_COOLDOWN);
}

pub(crate) fn s18_hangs(ctx: &Ctx) {
    // Its late success does not count: it has failed after the probe timeout.
    let probe = Probe::Hangs { returns_after: s(5), good: true };
    s18(ctx, probe, PROBE_TIMEOUT + PROBE_COOLDOWN);
}

pub(crate) fn s18_hangs_long(ctx: &Ctx) {
    // No second one is made until the abandoned one has returned.
    let probe = Probe::Hangs { returns_after: s(20), good: true };
    s18(ctx, probe, s(20));
}
