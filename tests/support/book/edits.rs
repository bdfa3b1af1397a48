//! S24 to S28: inputs that come and go.

use changeover::{InputsUpdate, StreamStatus};

use crate::support::script::{FIRST, ms, s};
use crate::support::stage::STREAM;
use crate::support::world::input;
use crate::support::{Ctx, World, render};

fn add(w: &mut World, priority: i32) {
    let update = InputsUpdate { added: vec![input(priority)], ..Default::default() };
    w.update(update).expect("a valid update");
}

fn remove(w: &mut World, priority: i32) {
    let update = InputsUpdate { removed: vec![priority], ..Default::default() };
    w.update(update).expect("a valid update");
}

pub(crate) fn s24(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.tune("a1", |source| source.first = s(1));
    w.register(&[0, 1]);
    w.run_until(s(10));
    w.skip();
    let (at, mark) = (w.now(), w.mark());
    let (added, removed) = (vec![input(2), input(3)], vec![0]);
    w.update(InputsUpdate { added, removed, ..Default::default() }).expect("a valid update");
    w.happens("start 1 a1", at);
    if !w.is_real() {
        // Still on the air, as leaving, until 1 delivers.
        w.run_until(at + ms(900));
        let status = w.status();
        assert_eq!(status.leaving_input_priority, Some(0));
        assert_eq!(status.pending_input_priority, Some(1));
        assert!(!status.exhausted);
        assert_eq!(w.last_packet("a0"), at + ms(800));
        assert!(w.tune("a0", |source| source.forwarded), "the leaving input is on the air");
        w.nothing_since(mark, &["stop", "failover"]);
    }
    w.happen(&["failover 0>1 input_removed", "stop 0"], at + s(1));
    w.is_on(Some(1), None, false);
    w.states("1:active 2:idle 3:idle");
    w.calls_since(mark, &["start 1 a1", "stop 0"]);
    w.sees("leaving", |st| st.leaving_input_priority, None);
    w.history(&["none>0 initial", "0>1 input_removed"]);
    w.story(&["failover 0>1 input_removed"]);
    w.failovers(1);
    let text = w.engine().metrics_text();
    let labels = [("stream", STREAM), ("input_priority", "0")];
    assert_eq!(render::metric(&text, "changeover_input_health", &labels), None, "{text}");

    let mark = w.mark();
    remove(&mut w, 3);
    w.run_for(s(20));
    w.calls_since(mark, &[]);
    w.states("1:active 2:idle");
    w.history(&["none>0 initial", "0>1 input_removed"]);
    w.finish();
}

pub(crate) fn s25(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[1]);
    w.run_until(s(10));
    w.skip();
    let mark = w.mark();
    add(&mut w, 2);
    w.run_for(s(20));
    w.calls_since(mark, &[]);
    w.states("1:active 2:idle");

    let at = w.now();
    add(&mut w, 0);
    w.happen(&["decided 1>0 input_added", "start 0 a0"], at);
    if !w.is_real() {
        w.is_on(Some(1), None, false);
        w.run_until(at + FIRST - 1);
        w.is_on(Some(1), None, false);
    }
    w.happen(&["failover 1>0 input_added", "stop 1"], at + FIRST);
    w.is_on(Some(0), None, false);
    w.states("0:active 1:idle 2:idle");
    w.calls_since(mark, &["start 0 a0", "stop 1"]);

    // With an override set, a better one moves nothing.
    let at = w.now();
    w.act(|engine| engine.switch_input(STREAM, 1)).expect("accepted");
    w.happen(&["failover 0>1 manual", "stop 0"], at + FIRST);
    w.run_for(s(1));
    let mark = w.mark();
    add(&mut w, -1);
    w.run_for(s(30));
    w.nothing_since(mark, &["start", "stop", "failover", "decided"]);
    w.is_on(Some(1), Some(1), false);
    w.states("-1:idle 0:idle 1:active 2:idle");
    w.history(&["none>1 initial", "1>0 input_added", "0>1 manual"]);
    w.story(&["failover 1>0 input_added", "override 1", "failover 0>1 manual"]);
    w.failovers(2);
    w.callbacks(0, 0);
    w.finish();
}

pub(crate) fn s26(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.tune("a5", |source| source.first = s(1));
    w.register(&[0]);
    w.run_until(s(10));
    w.skip();
    let killed = w.kill("a0", "gone");
    w.happens("exhausted", killed);
    w.callbacks(1, 0);
    w.run_for(s(2));
    let (at, mark) = (w.now(), w.mark());
    add(&mut w, 5);
    w.happen(&["start 5 a5", "failover 0>5 recovery"], at);
    if !w.is_real() {
        // Not proved yet: exhausted until its first packet.
        w.is_on(Some(5), None, true);
        w.callbacks(1, 0);
        w.run_until(at + s(1) - 1);
        w.is_on(Some(5), None, true);
    }
    w.happens("restored 5", at + s(1));
    w.is_on(Some(5), None, false);
    w.states("0:degraded 5:active");
    w.callbacks(1, 1);
    w.calls_since(mark, &["start 5 a5"]);
    w.history(&["none>0 initial", "0>5 recovery"]);
    w.story(&["degraded 0 error gone", "exhausted", "failover 0>5 recovery", "restored 5"]);
    w.failovers(1);
    w.healths(&[(0, 0.0), (5, 1.0)]);
    w.finish();
}

pub(crate) fn s27(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[]);
    w.run_until(s(60));
    let mark = w.mark();
    assert_eq!((mark.calls, mark.told), (0, 0), "{}", w.dump());
    w.is_on(None, None, false);
    let status = w.status();
    assert_eq!((status.status, status.pipeline_active), (StreamStatus::Idle, false));
    assert!(status.inputs.is_empty() && status.switches.is_empty());

    let at = w.now();
    let added = vec![input(3), input(1)];
    w.update(InputsUpdate { added, ..Default::default() }).expect("a valid update");
    w.happen(&["start 1 a1", "started 1"], at);
    w.is_on(Some(1), None, false);
    w.run_for(s(1));
    w.states("1:active 3:idle");
    w.history(&["none>1 initial"]);
    w.story(&[]);
    w.failovers(0);
    w.callbacks(0, 0);
    w.calls_since(mark, &["start 1 a1"]);
    w.finish();
}

pub(crate) fn s28(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.tune("a3", |source| source.first = s(1));
    w.register(&[0]);
    w.run_until(s(10));
    w.skip();
    let (at, mark) = (w.now(), w.mark());
    remove(&mut w, 0);
    w.happen(&["exhausted", "stop 0"], at);
    w.is_on(None, None, true);
    w.states("");
    w.callbacks(1, 0);
    w.run_for(s(5));
    w.calls_since(mark, &["stop 0"]);
    assert!(!w.status().pipeline_active);

    let at = w.now();
    add(&mut w, 3);
    w.happens("start 3 a3", at);
    if !w.is_real() {
        w.run_until(at + s(1) - 1);
        assert!(w.status().exhausted);
        w.callbacks(1, 0);
    }
    w.happens("restored 3", at + s(1));
    w.is_on(Some(3), None, false);
    w.states("3:active");
    w.callbacks(1, 1);
    w.history(&["none>0 initial", "none>3 recovery"]);
    w.story(&["exhausted", "restored 3"]);
    w.failovers(0);
    w.calls_since(mark, &["stop 0", "start 3 a3"]);
    w.finish();
}
