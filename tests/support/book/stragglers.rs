//! S40, X1, X2: what no longer counts, and what must not be trapped.

use changeover::{Error, InputsUpdate, Packet, Recorder, Verdict};

use crate::support::script::{FIRST, PACKET, PROBE, PROBE_COOLDOWN, ms, s};
use crate::support::stage::STREAM;
use crate::support::world::input;
use crate::support::{Ctx, Feed, World};

/// The recorder of the latest activation of an input whose scripted source is silent.
fn own_recorder(w: &mut World, priority: i32) -> Recorder {
    let started = format!("started {priority}");
    w.wait("the start", |world| {
        world.told.iter().any(|e| e.text.starts_with(&started)).then_some(())
    });
    let starts = w.stage.lock().starts.clone();
    let start = starts.iter().rev().find(|start| start.priority == priority);
    let epoch = start.expect("started").epoch;
    w.engine().recorder(STREAM, priority, epoch).expect("the open epoch")
}

pub(crate) fn s40(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a0", &[(0, Feed::Silent)]);
    w.register(&[0, 1]);
    w.run_until(s(1));
    let mut old = own_recorder(&mut w, 0);
    assert!(old.record(Packet::new(100)).is_forward());
    // The first packet is told of before anything else is looked for.
    w.run_until(s(3));
    w.states("0:active 1:idle");
    let (mark, before) = (w.mark(), w.status());

    // Unknown ids and priorities: nothing happens.
    assert_eq!(w.act(|e| e.record_packet("nowhere", 0)), Verdict::Stale);
    assert_eq!(w.act(|e| e.record_packet(STREAM, 9)), Verdict::Stale);
    // A standby that does not run has no open epoch.
    assert_eq!(w.act(|e| e.record_packet(STREAM, 1)), Verdict::Stale);
    let nowhere = || Error::UnknownStream { stream: "nowhere".to_owned() };
    // Ignored: whether a report is refused or swallowed is not part of the contract.
    let _ = w.act(|e| e.report_input_error("nowhere", 0, None, "x"));
    let _ = w.act(|e| e.report_input_error(STREAM, 9, None, "x"));
    let removal = InputsUpdate { removed: vec![9], ..Default::default() };
    assert_eq!(w.act(|e| e.update_inputs("nowhere", removal.clone())), Err(nowhere()));
    let unknown = Error::UnknownInput { stream: STREAM.to_owned(), priority: 9 };
    assert_eq!(w.update(removal), Err(unknown.clone()));
    let updated = InputsUpdate { updated: vec![input(9)], ..Default::default() };
    assert_eq!(w.update(updated), Err(unknown));
    assert_eq!(w.act(|e| e.unregister("nowhere")), Err(nowhere()));
    assert_eq!(w.act(|e| e.update_buffer_write_id("nowhere", "B")), Err(nowhere()));
    assert_eq!(w.status(), before, "nothing changed");
    let now = w.mark();
    assert_eq!((now.calls, now.told), (mark.calls, mark.told), "{}", w.dump());

    // After unregister: exactly one stop, and nothing counts any more.
    w.act(|e| e.unregister(STREAM)).expect("registered");
    w.calls_since(mark, &["stop 0"]);
    let gone = w.mark();
    assert_eq!(old.record(Packet::new(100)), Verdict::Stale);
    old.report_error("late");
    assert_eq!(w.act(|e| e.record_packet(STREAM, 0)), Verdict::Stale);
    let _ = w.act(|e| e.report_input_error(STREAM, 0, None, "late"));
    let unknown = Error::UnknownStream { stream: STREAM.to_owned() };
    assert_eq!(w.update(InputsUpdate::default()), Err(unknown.clone()));
    assert_eq!(w.act(|e| e.unregister(STREAM)), Err(unknown.clone()));
    assert_eq!(w.engine().runtime_status(STREAM).err(), Some(unknown));
    w.run_for(s(60));
    w.calls_since(gone, &[]);
    assert!(!w.engine().metrics_text().contains("stream=\"s\""));

    // Registering again starts fresh, epochs too; the old recorder stays stale.
    w.set("a0", Feed::Ok);
    w.stage.forget_activations();
    let at = w.now();
    w.skip();
    w.register(&[0, 1]);
    w.happens("start 0 a0", at);
    w.run_for(s(2));
    w.states("0:active 1:idle");
    w.history(&["none>0 initial"]);
    assert_eq!(old.record(Packet::new(100)), Verdict::Stale);
    let status = w.status();
    assert_eq!(status.failovers_total, 0);
    let sent = status.input(0).expect("is there");
    assert!(sent.errors.is_empty() && sent.packets <= 1 + s(5) / PACKET || w.is_real());
    w.finish();
}

pub(crate) fn x1(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a0", &[(0, Feed::Silent)]);
    w.register(&[0, 1]);
    w.run_until(ms(100));
    let mut old = own_recorder(&mut w, 0);
    let epoch = old.epoch();
    for _ in 0..10 {
        assert!(old.record(Packet::new(1316)).is_forward());
        w.run_for(ms(100));
    }
    w.skip();
    let killed = w.now();
    old.report_error("reset by peer");
    w.happen(&["degraded 0 error reset by peer", "failover 0>1 error reset by peer"], killed);
    w.happen(&["start 1 a1", "stop 0"], killed);
    let (mark, packets) = (w.mark(), w.status().input(0).expect("is there").packets);
    assert_eq!(packets, 10);
    // The old session's stragglers, by its recorder and by id.
    for _ in 0..200 {
        assert_eq!(old.record(Packet::new(1316)), Verdict::Stale);
        assert_eq!(w.act(|engine| engine.record_packet(STREAM, 0)), Verdict::Stale);
        w.run_for(ms(150) / 200);
    }
    if !w.is_real() {
        assert_eq!(w.now(), killed + ms(150));
    }
    w.run_for(s(60));
    assert_eq!(old.record_precise(Packet::new(1316)), Verdict::Stale);
    assert_eq!(w.engine().recorder(STREAM, 0, epoch).err(), Some(stale(epoch)));
    w.states("0:degraded 1:active");
    w.nothing_since(mark, &["recovered", "decided", "failover", "start", "stop"]);
    assert_eq!(w.status().input(0).expect("is there").packets, packets);
    w.story(&["degraded 0 error reset by peer", "failover 0>1 error reset by peer"]);
    w.failovers(1);
    // Nor does a straggler kill: 0 comes back under a new epoch, and a report of the old one
    // changes nothing.
    let good = w.set("a0", Feed::Ok);
    w.skip();
    let next_probe = *w.probe_times(0).last().expect("probed") + PROBE + PROBE_COOLDOWN;
    let back = next_probe.max(good) + PROBE;
    // On the real clock the test does not know when that probe was due.
    let back = if w.is_real() { good } else { back };
    w.happens("recovered 0 probe", back);
    w.happen(&["failover 1>0 failback", "stop 1"], back + FIRST);
    w.states("0:active 1:idle");
    let mark = w.mark();
    old.report_error("and again");
    let _ = w.act(|engine| engine.report_input_error(STREAM, 0, epoch, "and again"));
    assert_eq!(old.record(Packet::new(1316)), Verdict::Stale);
    w.run_for(s(2));
    w.states("0:active 1:idle");
    w.calls_since(mark, &[]);
    w.nothing_since(mark, &["degraded", "failover"]);
    w.finish();
}

fn stale(epoch: changeover::Epoch) -> Error {
    Error::StaleEpoch { priority: 0, epoch: Some(epoch) }
}

pub(crate) fn x2(ctx: &Ctx) {
    let timeout = s(5);
    let mut w = World::with_timeout(ctx, timeout);
    w.register(&[0, 1, 2]);
    w.run_until(s(10));
    w.skip();
    let killed = w.kill("a0", "gone");
    w.happen(&["failover 0>1 error gone", "start 1 a1"], killed);
    if w.is_real() {
        // However late the machine is, 1 delivers before it falls silent.
        w.last_packet("a1");
    }
    let silent = w.now().max(killed + s(1) + ms(50));
    w.tune("a1", |source| source.change(silent, Feed::Silent));
    w.run_until(silent + s(1));
    let last = w.last_packet("a1");
    if !w.is_real() {
        assert_eq!(last, killed + s(1));
        w.is_on(Some(1), None, false);
    }
    w.happen(&["degraded 1 timeout", "failover 1>2 timeout"], last + timeout);
    w.happen(&["start 2 a2", "stop 1"], last + timeout);
    w.is_on(Some(2), None, false);
    w.run_for(FIRST);
    w.states("0:degraded 1:degraded 2:active");
    w.history(&["none>0 initial", "0>1 error gone", "1>2 timeout silence"]);
    w.failovers(2);
    w.callbacks(0, 0);
    w.finish();
}
