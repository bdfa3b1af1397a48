//! S1, S2, S3, S16: registering, silence, errors.

use changeover::{Error, RuntimeStatus, StreamConfig, StreamStatus};

use crate::support::script::{FIRST, T, ms, s};
use crate::support::stage::STREAM;
use crate::support::world::input;
use crate::support::{Ctx, Feed, World, render};

/// The buffer of every start so far.
fn buffers(w: &World) -> Vec<String> {
    w.stage.lock().starts.iter().map(|start| start.buffer.clone()).collect()
}

pub(crate) fn s01(ctx: &Ctx) {
    let mut w = World::new(ctx);
    let (begin, mark) = (w.now(), w.mark());
    let config = StreamConfig::new(STREAM).buffer_write_id("B");
    let config = config.input(input(2)).input(input(0)).input(input(1));
    w.act(|engine| engine.register(config)).expect("registers");
    w.happens("start 0 a0", begin);
    w.happens("started 0", begin);
    w.is_on(Some(0), None, false);
    if !w.is_real() {
        w.states("0:idle 1:idle 2:idle");
        assert_eq!(w.status().status, StreamStatus::Idle);
        assert!(w.status().inputs.iter().all(|i| i.last_packet_at.is_none() && i.packets == 0));
        w.run_until(begin + FIRST - 1);
        w.states("0:idle 1:idle 2:idle");
    }
    w.run_until(begin + FIRST);
    w.states("0:active 1:idle 2:idle");
    w.sees("stream status", |st| st.status, StreamStatus::Active);
    w.run_for(s(60));

    w.calls_since(mark, &["start 0 a0"]);
    assert_eq!(buffers(&w), ["B"]);
    w.history(&["none>0 initial"]);
    w.story(&[]);
    w.failovers(0);
    w.healths(&[(0, 1.0), (1, 1.0), (2, 1.0)]);
    w.callbacks(0, 0);
    w.states("0:active 1:idle 2:idle");
    let status = w.status();
    assert_eq!((status.stream.as_str(), status.buffer_write_id.as_str()), (STREAM, "B"));
    assert!(status.pipeline_active);
    assert_eq!(status.usable_inputs, 3);
    assert_eq!((status.pending_input_priority, status.leaving_input_priority), (None, None));
    let running = |st: &RuntimeStatus| st.inputs.iter().map(|i| i.running).collect::<Vec<_>>();
    assert_eq!(running(&status), [true, false, false]);
    let first = status.input(0).expect("is there");
    assert!(first.proved && first.packets > 10, "{first:?}");
    if !w.is_real() {
        // A snapshot does not stop the packet path: taken beside a running source, it may stand
        // between a packet's two counts.
        assert_eq!(first.bytes, first.packets * 1316);
    }
    assert_eq!(first.epoch, Some(w.stage.lock().starts[0].epoch));
    w.finish();
}

pub(crate) fn s02_t5(ctx: &Ctx) {
    s02(ctx, s(5));
}

pub(crate) fn s02_t30(ctx: &Ctx) {
    s02(ctx, T);
}

fn s02(ctx: &Ctx, timeout: u64) {
    let mut w = World::with_timeout(ctx, timeout);
    w.source("a0", &[(0, Feed::Ok), (s(60) + ms(50), Feed::Silent)]);
    w.register(&[0, 1]);
    w.run_until(s(61));
    w.states("0:active 1:idle");
    w.skip();
    let mark = w.mark();
    let last = w.last_packet("a0");
    let due = last + timeout;
    // By hand: not one nanosecond earlier, and all of it in the same one.
    let degraded = w.happens("degraded 0 timeout", due);
    let failover = w.happens("failover 0>1 timeout", due);
    w.happen(&["decided 0>1 timeout", "start 1 a1", "started 1", "stop 0"], due);
    w.is_on(Some(1), None, false);
    let text = degraded.text.strip_prefix("degraded 0 timeout ").expect("a text").to_owned();
    assert_eq!(failover.text, format!("failover 0>1 timeout {text}"));
    let silent = w.status().input(0).expect("is there").clone();
    assert_eq!(silent.errors.len(), 1);
    assert_eq!(silent.errors[0].message, text);
    if !w.is_real() {
        assert_eq!(last, s(60));
        assert_eq!(text, render::silence(timeout, timeout));
        w.states("0:degraded 1:idle");
        let left = w.status().switches[0].at;
        let silence = left.duration_since(silent.last_packet_at.expect("it sent")).expect("after");
        assert_eq!(silence.as_nanos(), u128::from(timeout));
        w.run_until(due + FIRST);
    }
    w.states("0:degraded 1:active");
    w.run_for(s(5));
    w.calls_since(mark, &["start 1 a1", "stop 0"]);
    w.history(&["none>0 initial", "0>1 timeout silence"]);
    w.story(&["degraded 0 timeout silence", "failover 0>1 timeout silence"]);
    w.failovers(1);
    w.healths(&[(0, 0.0), (1, 1.0)]);
    w.callbacks(0, 0);
    w.finish();
}

pub(crate) fn s03(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0, 1, 2]);
    w.run_until(s(10));
    w.skip();
    let (at, mark) = (w.now(), w.mark());
    let report = |engine: &changeover::Engine| engine.report_input_error(STREAM, 0, None, "boom");
    w.act(report).expect("taken");
    // Ignored: whether that is said is not part of the contract.
    let _ = w.act(report);
    w.happen(&["degraded 0 error boom", "failover 0>1 error boom"], at);
    w.happen(&["start 1 a1", "stop 0"], at);
    let _ = w.act(report);
    w.is_on(Some(1), None, false);
    w.run_for(s(5));
    w.states("0:degraded 1:active 2:idle");
    w.calls_since(mark, &["start 1 a1", "stop 0"]);
    w.history(&["none>0 initial", "0>1 error boom"]);
    w.story(&["degraded 0 error boom", "failover 0>1 error boom"]);
    w.failovers(1);
    w.healths(&[(0, 0.0), (1, 1.0), (2, 1.0)]);
    let status = w.status();
    assert_eq!(status.usable_inputs, 2);
    let failed = status.input(0).expect("is there");
    let messages: Vec<&str> = failed.errors.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(messages, ["boom"]);
    assert!(!failed.running && !failed.proved && failed.epoch.is_none());
    assert_eq!(failed.last_failure.as_ref().map(|e| e.message.as_str()), Some("boom"));
    w.finish();
}

pub(crate) fn s16(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0, 1]);
    w.run_until(s(5));
    let mark = w.mark();
    let again = StreamConfig::new(STREAM).buffer_write_id("other").input(input(7));
    let refused = w.act(|engine| engine.register(again));
    assert_eq!(refused, Err(Error::AlreadyRegistered { stream: STREAM.to_owned() }));
    assert!(refused.expect_err("refused").to_string().contains("already registered"));
    w.run_for(s(5));
    w.calls_since(mark, &[]);
    w.states("0:active 1:idle");
    w.history(&["none>0 initial"]);
    assert_eq!(w.status().buffer_write_id, STREAM);
    assert_eq!(w.engine().registered_streams(), [STREAM]);
    // One unregister ends everything: `finish` checks what is left.
    w.finish();
}
