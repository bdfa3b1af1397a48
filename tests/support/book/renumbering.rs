//! S30: inputs whose address changes, and sources whose priority changes.

use changeover::{InputConfig, InputsUpdate};

use crate::support::script::{FIRST, PROBE, PROBE_COOLDOWN, ms, s};
use crate::support::world::input;
use crate::support::{Ctx, Feed, World};

fn readdress(w: &mut World, priority: i32, address: &str) {
    let updated = vec![InputConfig::cold(priority, address)];
    w.update(InputsUpdate { updated, ..Default::default() }).expect("a valid update");
}

pub(crate) fn s30a_update(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0, 1]);
    w.run_until(s(10));
    w.skip();
    let (at, mark) = (w.now(), w.mark());
    readdress(&mut w, 0, "b0");
    w.happen(&["start 0 b0", "stop 0"], at);
    w.is_on(Some(0), None, false);
    if !w.is_real() {
        // A new source: nothing of the old one's health is left.
        let status = w.status();
        let edited = status.input(0).expect("is there");
        assert_eq!((edited.packets, edited.last_packet_at, edited.proved), (0, None, false));
        w.run_until(at + FIRST);
        assert_eq!(w.status().input(0).expect("is there").packets, 1);
    }
    w.run_for(s(1));
    w.states("0:active 1:idle");
    assert!(w.last_packet("b0") > at && w.tune("b0", |source| source.forwarded));
    w.calls_since(mark, &["start 0 b0", "stop 0"]);
    let order: Vec<String> =
        w.stage.lock().calls[mark.calls..].iter().map(|e| e.text.clone()).collect();
    let health = w.act(|engine| engine.input_health("s", 0)).expect("is there");
    assert_eq!(health.input.address, "b0", "{order:?}");

    let mark = w.mark();
    readdress(&mut w, 1, "b1");
    w.run_for(s(20));
    w.nothing_since(mark, &["start", "stop"]);
    w.states("0:active 1:idle");
    w.history(&["none>0 initial"]);
    w.story(&[]);
    w.failovers(0);
    w.finish();
}

pub(crate) fn s30a_degraded(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("b0", &[(0, Feed::Silent)]);
    w.register(&[0, 1]);
    w.run_until(s(10));
    w.skip();
    let killed = w.kill("a0", "gone");
    w.set("a0", Feed::Ok);
    let degraded = w.happens("degraded 0 error gone", killed).at;
    // A long probe, so that the edit meets it in flight on both clocks.
    w.tune("a0", |source| {
        source.probe = crate::support::Probe::Hangs { returns_after: ms(2500), good: true };
    });
    let old = w.happens("probe 0 a0", degraded + PROBE_COOLDOWN).at;
    let mark = w.mark();
    readdress(&mut w, 0, "b0");
    // The old probe's success says nothing of the new address; that is probed at once, but not
    // beside the old one.
    let begin = w.happens("probe 0 b0", old + ms(2500)).at;
    w.states("0:idle 1:active");
    assert!(!w.status().input(0).expect("is there").proved);
    let good = w.happens("probe 0 b0", begin + PROBE + PROBE_COOLDOWN).at + s(1);
    w.nothing_since(mark, &["start", "recovered", "decided", "probe 0 a0"]);
    w.tune("b0", |source| source.change(good, Feed::Ok));
    let proved = w.happens("probe 0 b0", good - s(1) + PROBE + PROBE_COOLDOWN).at + PROBE;
    w.happens("start 0 b0", proved);
    w.happens("failover 1>0 failback", proved + FIRST);
    w.nothing_since(mark, &["probe 0 a0", "start 0 a0"]);
    w.history(&["none>0 initial", "0>1 error gone", "1>0 failback"]);
    w.failovers(2);
    w.finish();
}

pub(crate) fn s30b(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a0", &[(0, Feed::StartFails("no route"))]);
    w.register(&[1]);
    w.run_until(s(10));
    w.skip();
    let (at, mark) = (w.now(), w.mark());
    let (added, updated) = (vec![input(0)], vec![InputConfig::cold(1, "b1")]);
    w.update(InputsUpdate { added, updated, ..Default::default() }).expect("a valid update");
    w.happen(&["start 0 a0", "degraded 0 error no route"], at);
    w.happen(&["start 1 b1", "stop 1"], at);
    w.run_for(s(2));
    w.is_on(Some(1), None, false);
    w.states("0:degraded 1:active");
    w.calls_since(mark, &["start 0 a0", "start 1 b1", "stop 1"]);
    assert!(w.last_packet("b1") > at && w.tune("b1", |source| source.forwarded));
    let health = w.act(|engine| engine.input_health("s", 1)).expect("is there");
    assert_eq!(health.input.address, "b1");
    w.history(&["none>1 initial"]);
    w.failovers(0);
    w.callbacks(0, 0);
    w.finish();
}

pub(crate) fn s30c(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0, 1]);
    w.run_until(s(10));
    w.skip();
    let killed = w.kill("a0", "gone");
    w.happen(&["failover 0>1 error gone", "start 1 a1", "stop 0"], killed);
    w.run_until(killed + s(5));
    w.states("0:degraded 1:active");
    let (at, mark) = (w.now(), w.mark());
    let epoch = w.status().input(1).expect("is there").epoch.expect("runs");
    let (updated, removed) = (vec![InputConfig::cold(0, "a1")], vec![1]);
    w.update(InputsUpdate { updated, removed, ..Default::default() }).expect("a valid update");
    w.happen(&["rebind 1>0", "failover 1>0 input_removed"], at);
    w.is_on(Some(0), None, false);
    if !w.is_real() {
        // Not for a moment off the air.
        w.states("0:active");
    }
    w.run_for(s(20));
    w.states("0:active");
    w.calls_since(mark, &["rebind 1>0"]);
    w.nothing_since(mark, &["exhausted", "degraded", "decided", "probe"]);
    let status = w.status();
    let adopted = status.input(0).expect("is there");
    assert_eq!(adopted.epoch, Some(epoch));
    assert!(adopted.running && adopted.proved && adopted.errors.is_empty());
    assert!(w.last_packet("a1") > at + s(15) && w.tune("a1", |source| source.forwarded));
    w.history(&["none>0 initial", "0>1 error gone", "1>0 input_removed"]);
    w.failovers(2);
    w.callbacks(0, 0);
    // The activation's worker now speaks for 0.
    let ended = w.kill("a1", "end");
    w.happen(&["degraded 0 error end", "exhausted", "stop 0"], ended);
    w.finish();
}
