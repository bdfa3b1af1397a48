//! S33 to S36: what the operator sees, and live policy.

use changeover::{EngineConfig, Error, InputsUpdate, RuntimeStatus, StreamConfig, SwitchReason};

use crate::support::script::{FAILBACK_COOLDOWN, FIRST, PROBE, PROBE_COOLDOWN, ms, s};
use crate::support::stage::STREAM;
use crate::support::world::{input, scaled};
use crate::support::{Ctx, Feed, World, render};

pub(crate) fn s33(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0, 1, 2]);
    w.run_until(s(10));
    w.skip();
    let killed = w.kill("a0", "gone");
    w.set("a0", Feed::Ok);
    let degraded = w.happens("degraded 0 error gone", killed).at;
    let switched = w.happens("failover 0>1 error gone", killed).at;
    let probe = w.happens("probe 0 a0", degraded + PROBE_COOLDOWN).at;
    w.happens("recovered 0 probe", probe + PROBE);
    let (at, mark) = (w.now(), w.mark());
    w.act(|engine| engine.report_input_error(STREAM, 2, None, "bad cable")).expect("taken");
    w.happens("degraded 2 error bad cable", at);
    if !w.is_real() {
        w.is_on(Some(1), None, false);
        w.states("0:idle 1:active 2:degraded");
        assert_eq!(w.status().pending_input_priority, None);
        w.run_until(switched + FAILBACK_COOLDOWN - 1);
        w.nothing_since(mark, &["start", "stop", "decided", "failover"]);
    }
    // The failback comes by its own rule.
    w.happens("decided 1>0 failback", switched + FAILBACK_COOLDOWN);
    w.happens("failover 1>0 failback", switched + FAILBACK_COOLDOWN + FIRST);
    w.story(&[
        "degraded 0 error gone",
        "failover 0>1 error gone",
        "recovered 0 probe",
        "degraded 2 error bad cable",
        "failover 1>0 failback",
    ]);
    w.failovers(2);
    w.healths(&[(0, 1.0), (1, 1.0), (2, 0.0)]);
    w.finish();
}

pub(crate) fn s34(ctx: &Ctx) {
    let mut w = World::new(ctx);
    let twice = StreamConfig::new(STREAM).input(input(3)).input(input(-1)).input(input(3));
    let refused = w.act(|engine| engine.register(twice));
    assert_eq!(refused, Err(Error::DuplicatePriority { priority: 3 }));
    assert!(!w.engine().is_registered(STREAM));

    w.register(&[7, -1, -5, 3]);
    w.is_on(Some(-5), None, false);
    w.run_until(s(10));
    w.skip();
    w.states("-5:active -1:idle 3:idle 7:idle");
    let added = vec![input(-1)];
    let refused = w.update(InputsUpdate { added, ..Default::default() });
    assert_eq!(refused, Err(Error::DuplicatePriority { priority: -1 }));

    let json = serde_json::to_value(w.status()).expect("serialises");
    let inputs = json["inputs"].as_array().expect("a list");
    let priorities: Vec<i64> =
        inputs.iter().map(|i| i["input_priority"].as_i64().expect("a number")).collect();
    assert_eq!(priorities, [-5, -1, 3, 7]);
    assert!(inputs[0]["last_packet_at"].as_str().expect("a time").ends_with('Z'));
    for never in &inputs[1..] {
        assert!(never["last_packet_at"].is_null(), "never is null: {never}");
        assert!(never.get("errors").is_none());
        assert_eq!(never["status"], "idle");
    }
    assert_eq!(json["status"], "active");
    assert_eq!(json["active_input_priority"], -5);
    assert_eq!(json["exhausted"], false);
    assert_eq!(json["pipeline_active"], true);
    assert!(json.get("override_input_priority").is_none());
    let first = &json["switches"][0];
    assert_eq!((&first["from"], &first["from_none"]), (&(-1).into(), &true.into()));
    assert_eq!((&first["to"], &first["reason"]), (&(-5).into(), &"initial".into()));

    // -1 is a priority like any other, and a switch invents no packet time.
    w.tune("a-1", |source| source.first = s(2));
    let killed = w.kill("a-5", "gone");
    w.happens("failover -5>-1 error gone", killed);
    w.is_on(Some(-1), None, false);
    if !w.is_real() {
        w.run_until(killed + s(2) - 1);
        assert_eq!(w.status().input(-1).expect("is there").last_packet_at, None);
    }
    w.happens("start -1 a-1", killed);
    w.run_until(killed + s(3));
    w.states("-5:degraded -1:active 3:idle 7:idle");
    let killed = w.kill("a-1", "gone too");
    w.happens("failover -1>3 error gone too", killed);
    let json = serde_json::to_value(w.status()).expect("serialises");
    let last = &json["switches"][0];
    assert_eq!((&last["from"], &last["to"]), (&(-1).into(), &3.into()));
    assert!(last.get("from_none").is_none(), "{last}");
    assert_eq!(last["detail"], "gone too");
    let back: RuntimeStatus = serde_json::from_value(json).expect("reads back");
    assert_eq!(back.switches[0].from, Some(-1));
    w.finish();
}

pub(crate) fn s35(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.register(&[0, 1, 2]);
    w.run_until(s(1));
    w.states("0:active 1:idle 2:idle");
    w.skip();
    let mut copies = Vec::new();
    for round in 0..25 {
        let (from, to) = (round % 2, (round + 1) % 2);
        let at = w.now();
        w.act(|engine| engine.switch_input(STREAM, to)).expect("accepted");
        w.happens(&format!("failover {from}>{to} manual"), at + FIRST);
        w.is_on(Some(to), Some(to), false);
        copies.push((w.status(), round));
    }
    let switches = w.status().switches;
    assert_eq!(switches.len(), 20);
    assert!(switches.iter().all(|switch| switch.reason == SwitchReason::Manual));
    let targets: Vec<i32> = switches.iter().map(|switch| switch.to).collect();
    assert_eq!(targets, [1, 0].repeat(10), "newest first");
    if !w.is_real() {
        assert!(switches.windows(2).all(|pair| pair[0].at > pair[1].at));
    }
    for (copy, round) in copies {
        // What a snapshot showed, it shows for ever.
        assert_eq!(copy.active_input_priority, Some((round + 1) % 2));
        assert_eq!(copy.switches.len(), (round as usize + 2).min(20));
        assert_eq!(copy.failovers_total, round as u64 + 1);
    }
    w.failovers(25);

    for round in 0..7 {
        let at = w.now();
        let text = format!("fault {round}");
        w.act(|engine| engine.report_input_error(STREAM, 2, None, &text)).expect("taken");
        let degraded = w.happens(&format!("degraded 2 error {text}"), at).at;
        let probe = w.happens("probe 2 a2", degraded + PROBE_COOLDOWN).at;
        w.happens("recovered 2 probe", probe + PROBE);
    }
    let status = w.status();
    let errors: Vec<&str> =
        status.input(2).expect("is there").errors.iter().map(|e| e.message.as_str()).collect();
    assert_eq!(errors, ["fault 6", "fault 5", "fault 4", "fault 3", "fault 2"]);
    w.finish();
}

pub(crate) fn s36a(ctx: &Ctx) {
    let mut w = World::new(ctx);
    w.source("a0", &[(0, Feed::Ok), (s(60) + ms(50), Feed::Silent)]);
    w.register(&[0, 1]);
    w.run_until(s(70));
    w.skip();
    w.is_on(Some(0), None, false);
    let (at, mark) = (w.now(), w.mark());
    let config = EngineConfig { packet_timeout_ms: 5000, ..Default::default() };
    let config = scaled(&config, w.form);
    w.act(|engine| engine.set_config(config.clone())).expect("a valid policy");
    assert_eq!(w.engine().config(), config);
    w.timeout = s(5);
    let failover = w.happens("failover 0>1 timeout", at);
    w.happen(&["degraded 0 timeout", "start 1 a1", "stop 0"], at);
    if !w.is_real() {
        let text = render::silence(s(10), s(5));
        assert_eq!(failover.text, format!("failover 0>1 timeout {text}"));
        assert_eq!(text, "no packet for 10s (timeout 5000ms)");
    }
    w.is_on(Some(1), None, false);
    w.run_for(s(2));
    w.states("0:degraded 1:active");
    w.calls_since(mark, &["start 1 a1", "stop 0"]);
    w.history(&["none>0 initial", "0>1 timeout silence"]);
    w.failovers(1);
    w.finish();
}
