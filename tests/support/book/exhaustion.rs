//! S4, S5, S6, S10 and S12 with a single input: exhausted, and back.

use changeover::StreamStatus;

use crate::support::script::{FIRST, PROBE, PROBE_COOLDOWN, T, ms, s};
use crate::support::{Ctx, Feed, World};

/// The probes of the killed input 0 from its degradation on: the first after the cooldown, then
/// one cooldown after each result. Answers when the first one that finds the source good began.
fn probes_until(w: &mut World, degraded: u64, good_from: u64) -> u64 {
    let mut begin = degraded + PROBE_COOLDOWN;
    loop {
        let probe = w.happens("probe 0 a0", begin).at;
        if probe >= good_from {
            return probe;
        }
        begin = probe + PROBE + PROBE_COOLDOWN;
    }
}

pub(crate) fn s04(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0]);
    w.run_until(s(10));
    w.skip();
    let mark = w.mark();
    let killed = w.kill("a0", "gone");
    let degraded = w.happens("degraded 0 error gone", killed).at;
    w.happen(&["exhausted", "stop 0"], killed);
    w.is_on(Some(0), None, true);
    w.callbacks(1, 0);
    // Bad for five minutes: probed every cooldown, never started.
    let end = killed + s(300);
    let mut begin = degraded + PROBE_COOLDOWN;
    while begin + s(30) < end {
        begin = w.happens("probe 0 a0", begin).at + PROBE + PROBE_COOLDOWN;
    }
    w.run_until(end);
    w.nothing_since(mark, &["start", "failover", "recovered", "restored"]);
    if !w.is_real() {
        assert_eq!(w.probe_times(0).len() as u64, (s(300) - PROBE_COOLDOWN) / ms(8500) + 1);
    }
    w.is_on(Some(0), None, true);
    w.states("0:degraded");
    w.callbacks(1, 0);
    w.story(&["degraded 0 error gone", "exhausted"]);
    w.history(&["none>0 initial"]);
    w.failovers(0);
    w.healths(&[(0, 0.0)]);
    assert!(w.engine().is_registered("s"));
    let status = w.status();
    assert_eq!((status.status, status.pipeline_active), (StreamStatus::Degraded, false));
    assert_eq!(status.usable_inputs, 0);
    w.finish();
}

pub(crate) fn s05(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a0", &[(0, Feed::Ok), (s(60) + ms(50), Feed::Silent), (s(120), Feed::Ok)]);
    w.register(&[0]);
    w.run_until(s(61));
    w.skip();
    let mark = w.mark();
    let last = w.last_packet("a0");
    w.happen(&["degraded 0 timeout", "exhausted"], last + T);
    if !w.is_real() {
        w.is_on(Some(0), None, true);
        w.states("0:degraded");
        assert!(w.status().input(0).expect("is there").running);
        assert!(w.status().pipeline_active);
        assert_eq!(w.status().status, StreamStatus::Degraded);
    }
    let back = w.happens("recovered 0 packets", s(120)).at;
    w.happens("restored 0", s(120));
    assert!(back <= w.now());
    w.is_on(Some(0), None, false);
    w.states("0:active");
    w.callbacks(1, 1);
    w.run_for(s(5));
    w.calls_since(mark, &[]);
    assert_eq!(w.probe_times(0), Vec::<u64>::new(), "a silent input that runs is not probed");
    w.history(&["none>0 initial", "0>0 recovery ingest auto-reconnect"]);
    w.story(&["degraded 0 timeout silence", "exhausted", "recovered 0 packets", "restored 0"]);
    w.failovers(0);
    w.healths(&[(0, 1.0)]);
    let status = w.status();
    let input = status.input(0).expect("is there");
    assert!(input.errors.is_empty() && input.proved && input.last_failure.is_some());
    w.finish();
}

pub(crate) fn s06(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0]);
    w.run_until(s(10));
    w.skip();
    let mark = w.mark();
    let killed = w.kill("a0", "gone");
    w.set("a0", Feed::Ok);
    let degraded = w.happens("degraded 0 error gone", killed).at;
    w.happens("exhausted", killed);
    let probe = w.happens("probe 0 a0", degraded + PROBE_COOLDOWN).at;
    // Proved: started, and restored with the acceptance of the start.
    w.happen(&["recovered 0 probe", "start 0 a0", "restored 0"], probe + PROBE);
    w.is_on(Some(0), None, false);
    if !w.is_real() {
        w.states("0:idle");
        w.run_for(FIRST);
    }
    w.states("0:active");
    w.callbacks(1, 1);
    w.run_for(s(20));
    w.calls_since(mark, &["stop 0", "probe 0 a0", "start 0 a0"]);
    w.story(&["degraded 0 error gone", "exhausted", "recovered 0 probe", "restored 0"]);
    w.failovers(0);
    w.sees("history length", |st| st.switches.len(), 2);
    let status = w.status();
    let last = &status.switches[0];
    assert_eq!((last.from, last.to, last.reason.as_str()), (Some(0), 0, "recovery"));
    assert!(status.input(0).expect("is there").errors.is_empty());
    w.finish();
}

pub(crate) fn s10_single(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a0", &[(0, Feed::Dead), (s(100), Feed::Ok)]);
    let (begin, mark) = (w.now(), w.mark());
    w.register(&[0]);
    w.happens("start 0 a0", begin);
    w.is_on(Some(0), None, false);
    w.happen(&["degraded 0 timeout", "exhausted"], begin + T);
    w.callbacks(1, 0);
    w.states("0:degraded");
    if !w.is_real() {
        assert!(w.status().input(0).expect("is there").last_packet_at.is_none());
    }
    // It appears: the activation that kept trying delivers.
    w.happen(&["recovered 0 packets", "restored 0"], s(100));
    w.is_on(Some(0), None, false);
    w.states("0:active");
    w.callbacks(1, 1);
    w.calls_since(mark, &["start 0 a0"]);
    w.history(&["none>0 initial", "0>0 recovery ingest auto-reconnect"]);
    w.failovers(0);
    w.finish();
}

pub(crate) fn s12(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a0", &[(0, Feed::StartFails("no route")), (s(20), Feed::Ok)]);
    let (begin, mark) = (w.now(), w.mark());
    w.register(&[0, 1]);
    let degraded = w.happens("degraded 0 error no route", begin).at;
    w.happen(&["start 0 a0", "start 1 a1", "started 1"], begin);
    w.is_on(Some(1), None, false);
    w.calls_since(mark, &["start 0 a0", "start 1 a1"]);
    w.history(&["none>1 initial"]);
    w.story(&["degraded 0 error no route", "switch_failed none>0 initial no route"]);
    w.failovers(0);
    w.healths(&[(0, 0.0), (1, 1.0)]);
    let errors = w.status().input(0).expect("is there").errors.clone();
    assert_eq!(errors.iter().map(|e| e.message.as_str()).collect::<Vec<_>>(), ["no route"]);
    // It is not lost: once startable, it is proved by a probe, and taken.
    let probe = probes_until(&mut w, degraded, s(20));
    w.happen(&["recovered 0 probe", "decided 1>0 failback", "start 0 a0"], probe + PROBE);
    w.happen(&["failover 1>0 failback", "stop 1"], probe + PROBE + FIRST);
    w.history(&["none>1 initial", "1>0 failback"]);
    w.failovers(1);
    w.callbacks(0, 0);
    w.finish();
}

pub(crate) fn s12_single(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a0", &[(0, Feed::StartFails("no route")), (s(20), Feed::Ok)]);
    let (begin, mark) = (w.now(), w.mark());
    w.register(&[0]);
    let degraded = w.happens("degraded 0 error no route", begin).at;
    w.happens("exhausted", begin);
    w.callbacks(1, 0);
    w.sees("exhausted", |st| st.exhausted, true);
    w.history(&[]);
    let probe = probes_until(&mut w, degraded, s(20));
    w.happen(&["recovered 0 probe", "restored 0"], probe + PROBE);
    w.is_on(Some(0), None, false);
    w.run_for(s(1));
    w.states("0:active");
    w.callbacks(1, 1);
    w.sees("history length", |st| st.switches.len(), 1);
    let entry = w.status().switches[0].clone();
    assert_eq!((entry.from, entry.to, entry.reason.as_str()), (None, 0, "recovery"));
    let probes = vec!["probe 0 a0"; w.probe_times(0).len()];
    w.calls_since(mark, &[&["start 0 a0", "start 0 a0"][..], &probes].concat());
    w.failovers(0);
    w.finish();
}
