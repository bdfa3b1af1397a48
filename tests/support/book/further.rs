//! Rules of the contract that no numbered scenario reaches; the names give the section.

use changeover::{RuntimeStatus, StreamStatus};

use crate::support::script::{FAILBACK_COOLDOWN, FIRST, PROBE, PROBE_COOLDOWN, s};
use crate::support::stage::STREAM;
use crate::support::{Ctx, Feed, Probe, World};

/// {0, ..} on the air at 10 s.
fn on_air(ctx: &Ctx, priorities: &[i32]) -> World {
    let mut w = World::new(ctx);
    w.register(priorities);
    w.run_until(s(10));
    w.skip();
    w
}

fn enable(w: &mut World, priority: i32, enabled: bool) {
    w.act(|engine| engine.set_input_enabled(STREAM, priority, enabled)).expect("known");
}

/// §5.2, §5.3: the input on the air dies while a slow target is pending.
pub(crate) fn old_dies_while_pending(ctx: &Ctx) {
    let mut w = on_air(ctx, &[0, 1]);
    w.tune("a1", |source| source.first = s(20));
    let (at, mark) = (w.now(), w.mark());
    w.act(|engine| engine.switch_input(STREAM, 1)).expect("accepted");
    w.happen(&["start 1 a1", "override 1"], at);
    w.run_for(s(2));
    let killed = w.kill("a0", "gone");
    // Nothing left to wait for; the reason is that of the trigger that made it effective.
    w.happen(&["degraded 0 error gone", "failover 0>1 error gone", "stop 0"], killed);
    w.is_on(Some(1), Some(1), false);
    w.calls_since(mark, &["start 1 a1", "stop 0"]);
    w.history(&["none>0 initial", "0>1 error gone"]);
    w.failovers(1);
    w.finish();
}

/// §5.3: a later command replaces a pending switch.
pub(crate) fn superseded(ctx: &Ctx) {
    let mut w = on_air(ctx, &[0, 1, 2]);
    w.tune("a1", |source| source.first = s(20));
    let mark = w.mark();
    let first = w.act(|engine| engine.switch_input(STREAM, 1)).expect("accepted");
    assert_eq!(w.wait("the first ticket", |_| first.outcome()), Ok(()));
    w.run_for(s(2));
    let at = w.now();
    let second = w.act(|engine| engine.switch_input(STREAM, 2)).expect("accepted");
    w.happen(&["start 2 a2", "stop 1"], at);
    w.happens("failover 0>2 manual", at + FIRST);
    assert_eq!(w.wait("the second ticket", |_| second.outcome()), Ok(()));
    w.is_on(Some(2), Some(2), false);
    w.run_for(s(30));
    // 1 is better than 2 and unproved: once no longer a target, it is probed.
    w.calls_since(mark, &["start 1 a1", "start 2 a2", "stop 1", "stop 0", "probe 1 a1"]);
    w.history(&["none>0 initial", "0>2 manual"]);
    w.states("0:idle 1:idle 2:active");
    w.failovers(1);
    w.finish();
}

/// §6.1: where probes do not exist, an exhausted stream starts the input every cooldown.
pub(crate) fn unsupported_probe(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.tune("a0", |source| source.probe = Probe::Unsupported);
    w.register(&[0]);
    w.run_until(s(10));
    w.skip();
    let killed = w.kill("a0", "gone");
    let degraded = w.happens("degraded 0 error gone", killed).at;
    w.happens("exhausted", killed);
    // Asked once whether it can be probed; then a start is the probe.
    let first = w.happens("start 0 a0", degraded + PROBE_COOLDOWN).at;
    let second = w.happens("start 0 a0", first + PROBE_COOLDOWN).at;
    w.tune("a0", |source| source.change(second + s(1), Feed::Ok));
    let third = w.happens("start 0 a0", second + PROBE_COOLDOWN).at;
    w.happen(&["recovered 0 packets", "restored 0"], third + FIRST);
    w.is_on(Some(0), None, false);
    w.states("0:active");
    assert_eq!(w.probe_times(0).len(), 1);
    w.sees("history length", |st| st.switches.len(), 2);
    let reason = |st: &RuntimeStatus| st.switches[0].reason.as_str();
    w.sees("reason", reason, "recovery");
    w.callbacks(1, 1);
    w.failovers(0);
    w.finish();
}

/// §6.6: redundancy has events of its own.
pub(crate) fn redundancy(ctx: &Ctx) {
    let mut w = on_air(ctx, &[0, 1]);
    let killed = w.kill("a0", "gone");
    w.set("a0", Feed::Ok);
    w.happen(&["degraded 0 error gone", "redundancy_lost 1"], killed);
    w.sees("usable", |st| st.usable_inputs, 1);
    w.happens("redundancy_regained 2", killed + PROBE_COOLDOWN + PROBE);
    w.sees("usable", |st| st.usable_inputs, 2);
    w.finish();
}

/// §7.2: the override can be taken back, and the better input follows by its own rule.
pub(crate) fn override_cleared(ctx: &Ctx) {
    let mut w = on_air(ctx, &[0, 1]);
    w.act(|engine| engine.switch_input(STREAM, 1)).expect("accepted");
    let switched = w.happens("failover 0>1 manual", s(10) + FIRST).at;
    w.run_for(s(2));
    let at = w.now();
    w.act(|engine| engine.clear_override(STREAM)).expect("there is one");
    w.happens("override_cleared 1 operator", at);
    w.is_on(Some(1), None, false);
    w.happens("decided 1>0 failback", switched + FAILBACK_COOLDOWN);
    w.happens("failover 1>0 failback", switched + FAILBACK_COOLDOWN + FIRST);
    w.is_on(Some(0), None, false);
    w.finish();
}

/// §7.3: a disabled active input is left like a removed one.
pub(crate) fn disabled(ctx: &Ctx) {
    let mut w = on_air(ctx, &[0, 1]);
    let at = w.now();
    enable(&mut w, 0, false);
    w.happens("start 1 a1", at);
    if !w.is_real() {
        let status = w.status();
        assert_eq!(status.leaving_input_priority, Some(0));
        w.run_until(at + FIRST - 1);
        w.states("0:stopped 1:idle");
    }
    w.happens("failover 0>1 manual disabled", at + FIRST);
    w.happens("stop 0", at + FIRST);
    w.states("0:stopped 1:active");
    w.healths(&[(0, 0.0), (1, 1.0)]);
    let mark = w.mark();
    w.run_for(s(20));
    w.calls_since(mark, &[]);
    // Enabled: idle and unproved, so it is probed at once; the cooldown is over.
    let at = w.now();
    enable(&mut w, 0, true);
    w.happens("probe 0 a0", at);
    w.happens("failover 1>0 failback", at + PROBE + FIRST);
    w.history(&["none>0 initial", "0>1 manual disabled", "1>0 failback"]);
    w.failovers(2);
    w.finish();
}

/// §6.4, §7.3: all stopped by the operator is not exhausted.
pub(crate) fn all_disabled(ctx: &Ctx) {
    let mut w = on_air(ctx, &[0, 1]);
    let at = w.now();
    enable(&mut w, 1, false);
    enable(&mut w, 0, false);
    w.happens("stop 0", at);
    w.states("0:stopped 1:stopped");
    w.sees("exhausted", |st| st.exhausted, false);
    w.sees("status", |st| st.status, StreamStatus::Stopped);
    w.callbacks(0, 0);
    let at = w.now();
    enable(&mut w, 1, true);
    w.happens("start 1 a1", at);
    w.run_for(s(1));
    w.states("0:stopped 1:active");
    w.callbacks(0, 0);
    w.finish();
}

/// §8.4: a new buffer restarts the active input and a start in flight, without history.
pub(crate) fn buffer(ctx: &Ctx) {
    let mut w = on_air(ctx, &[0, 1]);
    let (at, mark) = (w.now(), w.mark());
    w.act(|engine| engine.update_buffer_write_id(STREAM, "second")).expect("valid");
    w.happen(&["start 0 a0", "stop 0"], at);
    w.run_for(s(1));
    w.states("0:active 1:idle");
    w.tune("a1", |source| source.accept = s(5));
    w.act(|engine| engine.switch_input(STREAM, 1)).expect("accepted");
    w.run_for(s(1));
    let at = w.now();
    w.act(|engine| engine.update_buffer_write_id(STREAM, "third")).expect("valid");
    w.happens("start 0 a0", at);
    w.happens("failover 0>1 manual", at + s(5) + FIRST);
    w.run_for(s(1));
    w.states("0:idle 1:active");
    let last = w.stage.lock().starts.last().cloned().expect("started");
    assert_eq!((last.priority, last.buffer.as_str()), (1, "third"));
    assert_eq!(w.status().buffer_write_id, "third");
    w.nothing_since(mark, &["degraded", "exhausted", "switch_failed"]);
    w.history(&["none>0 initial", "0>1 manual"]);
    w.failovers(1);
    w.finish();
}
