//! S19 to S22: the operator's override.

use changeover::{Error, InputsUpdate, SwitchTicket};

use crate::support::script::{FIRST, PROBE, PROBE_COOLDOWN, T, s};
use crate::support::stage::STREAM;
use crate::support::{Ctx, Feed, World};

/// Orders a switch that is not refused.
fn switch(w: &mut World, to: i32) -> SwitchTicket {
    w.act(|engine| engine.switch_input(STREAM, to)).expect("accepted")
}

/// Switches from one delivering input to another, and is there.
fn switches(w: &mut World, from: i32, to: i32) -> SwitchTicket {
    let at = w.now();
    let ticket = switch(w, to);
    w.happen(&[&format!("start {to} a{to}"), &format!("override {to}")], at);
    if !w.is_real() {
        // Accepted, and the old one still on the air.
        w.is_on(Some(from), Some(to), false);
        assert_eq!(w.status().pending_input_priority, Some(to));
        assert_eq!(ticket.outcome(), Some(Ok(())));
    }
    let moved = format!("failover {from}>{to} manual");
    w.happen(&[&moved, &format!("stop {from}")], at + FIRST);
    w.is_on(Some(to), Some(to), false);
    assert_eq!(w.wait("the ticket", |_| ticket.outcome()), Ok(()));
    ticket
}

pub(crate) fn s19(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0, 1]);
    w.run_until(s(10));
    w.skip();
    let ticket = switches(&mut w, 0, 1);
    assert_eq!(ticket.wait(std::time::Duration::from_secs(5)), Ok(()));
    let mark = w.mark();
    if !w.is_real() {
        w.hand().step = s(1);
    }
    let hold = if w.is_real() { s(60) } else { s(3600) };
    w.run_for(hold);
    w.is_on(Some(1), Some(1), false);
    w.states("0:idle 1:active");
    w.calls_since(mark, &[]);

    // Again to the same: no restart, no history.
    let again = switch(&mut w, 1);
    assert_eq!(w.wait("the ticket", |_| again.outcome()), Ok(()));
    w.run_for(s(20));
    w.calls_since(mark, &[]);
    w.is_on(Some(1), Some(1), false);
    w.history(&["none>0 initial", "0>1 manual"]);

    // To 0: replaces the override.
    switches(&mut w, 1, 0);
    w.run_for(s(20));
    w.is_on(Some(0), Some(0), false);
    w.calls_since(mark, &["start 0 a0", "stop 1"]);
    w.history(&["none>0 initial", "0>1 manual", "1>0 manual"]);
    w.failovers(2);
    w.callbacks(0, 0);
    w.act(|engine| engine.clear_override(STREAM)).expect("there is one");
    w.is_on(Some(0), None, false);
    w.finish();
}

pub(crate) fn s20(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0, 1, 2, 3]);
    w.run_until(s(10));
    let removal = InputsUpdate { removed: vec![2], ..Default::default() };
    w.update(removal).expect("a standby goes");
    w.act(|engine| engine.report_input_error(STREAM, 1, None, "bad cable")).expect("taken");
    w.act(|engine| engine.set_input_enabled(STREAM, 3, false)).expect("disabled");
    w.states("0:active 1:degraded 3:stopped");
    w.run_for(s(1));
    let (mark, before) = (w.mark(), w.status());

    let stream = STREAM.to_owned();
    let unknown = |priority| Error::UnknownInput { stream: stream.clone(), priority };
    let refused = |w: &mut World, stream: &str, priority| {
        w.act(|engine| engine.switch_input(stream, priority)).expect_err("refused")
    };
    let nowhere = refused(&mut w, "nowhere", 0);
    assert_eq!(nowhere, Error::UnknownStream { stream: "nowhere".to_owned() });
    assert_eq!(refused(&mut w, STREAM, 7), unknown(7));
    assert_eq!(refused(&mut w, STREAM, 2), unknown(2));
    let why = "bad cable".to_owned();
    let degraded = Error::InputDegraded { stream: stream.clone(), priority: 1, why };
    assert_eq!(refused(&mut w, STREAM, 1), degraded);
    assert_eq!(refused(&mut w, STREAM, 3), Error::InputStopped { stream, priority: 3 });

    if w.is_real() {
        w.is_on(Some(0), None, false);
        w.history(&["none>0 initial"]);
    } else {
        assert_eq!(w.status(), before);
    }
    w.nothing_since(mark, &["start", "stop", "override", "failover", "decided"]);
    w.finish();
}

pub(crate) fn s21_killed(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0, 1, 2]);
    w.run_until(s(10));
    w.skip();
    switches(&mut w, 0, 2);
    w.run_for(s(5));
    let killed = w.kill("a2", "gone");
    w.tune("a2", |source| source.change(killed + s(1), Feed::Ok));
    let degraded = w.happens("degraded 2 error gone", killed).at;
    w.happen(&["override_cleared 2 degraded", "failover 2>0 error gone"], killed);
    w.happen(&["start 0 a0", "stop 2"], killed);
    w.is_on(Some(0), None, false);
    // It recovers, and the override stays gone.
    let probe = w.happens("probe 2 a2", degraded + PROBE_COOLDOWN).at;
    w.happens("recovered 2 probe", probe + PROBE);
    let mark = w.mark();
    w.run_for(s(60));
    w.calls_since(mark, &[]);
    w.is_on(Some(0), None, false);
    w.states("0:active 1:idle 2:idle");
    w.history(&["none>0 initial", "0>2 manual", "2>0 error gone"]);
    w.failovers(2);
    w.finish();
}

pub(crate) fn s21_removed(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0, 1, 2]);
    w.run_until(s(10));
    w.skip();
    switches(&mut w, 0, 2);
    w.run_for(s(5));
    let at = w.now();
    w.update(InputsUpdate { removed: vec![2], ..Default::default() }).expect("goes");
    w.happen(&["override_cleared 2 removed", "start 0 a0"], at);
    w.happen(&["failover 2>0 input_removed", "stop 2"], at + FIRST);
    w.is_on(Some(0), None, false);
    let again = crate::support::world::input(2);
    w.update(InputsUpdate { added: vec![again], ..Default::default() }).expect("comes back");
    let mark = w.mark();
    w.run_for(s(60));
    w.calls_since(mark, &[]);
    w.is_on(Some(0), None, false);
    w.states("0:active 1:idle 2:idle");
    w.history(&["none>0 initial", "0>2 manual", "2>0 input_removed"]);
    w.failovers(2);
    w.finish();
}

pub(crate) fn s22(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a1", &[(0, Feed::StartFails("no route"))]);
    w.tune("a1", |source| source.accept = s(1));
    w.register(&[0, 1]);
    w.run_until(s(10));
    w.skip();
    let (at, mark) = (w.now(), w.mark());
    let ticket = switch(&mut w, 1);
    w.happens("start 1 a1", at);
    if !w.is_real() {
        assert_eq!(ticket.outcome(), None, "neither accepted nor failed yet");
        w.is_on(Some(0), None, false);
        let waited = ticket.wait(std::time::Duration::from_secs(1));
        assert!(matches!(waited, Err(Error::WouldBlock { .. })), "{waited:?}");
    }
    w.happens("degraded 1 error no route", at + s(1));
    w.happens("switch_failed 0>1 manual", at + s(1));
    let outcome = w.wait("the ticket", |_| ticket.outcome());
    assert!(matches!(outcome, Err(Error::SwitchFailed { .. })), "{outcome:?}");
    w.is_on(Some(0), None, false);
    w.run_for(s(1));
    w.states("0:active 1:degraded");
    w.calls_since(mark, &["start 1 a1"]);
    w.history(&["none>0 initial"]);
    w.failovers(0);
    w.nothing_since(mark, &["override"]);
    assert!(w.tune("a0", |source| source.forwarded), "0 is on the air");
    w.finish();
}

pub(crate) fn s22_silent(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a1", &[(0, Feed::Silent)]);
    w.register(&[0, 1]);
    w.run_until(s(10));
    w.skip();
    let (at, mark) = (w.now(), w.mark());
    let ticket = switch(&mut w, 1);
    w.happen(&["start 1 a1", "override 1"], at);
    assert_eq!(w.wait("the ticket", |_| ticket.outcome()), Ok(()));
    w.is_on(Some(0), Some(1), false);
    w.happen(&["degraded 1 timeout", "switch_failed 0>1 manual"], at + T);
    w.happen(&["override_cleared 1 switch_failed", "stop 1"], at + T);
    w.is_on(Some(0), None, false);
    w.states("0:active 1:degraded");
    w.calls_since(mark, &["start 1 a1", "stop 1"]);
    w.history(&["none>0 initial"]);
    w.failovers(0);
    assert!(w.tune("a0", |source| source.forwarded), "0 is on the air");
    assert_eq!(w.status().pending_input_priority, None);
    w.finish();
}
