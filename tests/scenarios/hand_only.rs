//! What only the hand-driven clock can show: S36's inherited and absurd timeouts, X3, X5.

use std::time::Duration;

use changeover::{
    Engine, EngineConfig, EventKind, HandEngine, InputConfig, Packet, Recorder, StreamConfig,
    Subscription, SwitchReason,
};

use crate::support::script::{ms, s};
use crate::support::stage::STREAM;
use crate::support::{Feed, Form, World, play, render};

fn timeout(engine: &Engine, packet_timeout_ms: i64) {
    let config = EngineConfig { packet_timeout_ms, ..Default::default() };
    engine.set_config(config.clone()).expect("a valid policy");
    assert_eq!(engine.config(), config, "answered as it was given");
}

#[test]
fn s36b_zero_means_thirty_seconds() {
    play(Form::Hand, |ctx| {
        let mut w = World::with_timeout(ctx, s(7));
        w.source("a0", &[(0, Feed::Ok), (s(60) + ms(50), Feed::Silent)]);
        w.register(&[0, 1]);
        w.run_until(s(61));
        w.act(|engine| timeout(engine, 0));
        w.timeout = s(30);
        let failover = w.happens("failover 0>1 timeout", s(90));
        assert!(failover.text.ends_with("no packet for 30s (timeout 30s)"), "{failover:?}");
        w.finish();
    });
}

#[test]
fn s36c_an_absurd_timeout_saturates() {
    play(Form::Hand, |ctx| {
        let mut w = World::new(ctx);
        w.source("a0", &[(0, Feed::Ok), (s(60) + ms(50), Feed::Silent)]);
        w.register(&[0, 1]);
        w.run_until(s(61));
        for absurd_ms in [9_300_000_000_000, i64::MAX] {
            w.act(|engine| timeout(engine, absurd_ms));
            let mark = w.mark();
            // A minute first: a wrong timeout shows there, and not after 400 days of packets.
            for (step, time) in [(ms(10), s(60)), (s(86_400), s(400 * 86_400))] {
                w.hand().step = step;
                w.run_for(time);
                w.calls_since(mark, &[]);
            }
            w.is_on(Some(0), None, false);
            w.sees("failovers", |st| st.failovers_total, 0);
        }
        w.skip();
        let (at, last) = (w.now(), w.last_packet("a0"));
        w.act(|engine| timeout(engine, 30_000));
        let failover = w.happens("failover 0>1 timeout", at);
        let text = render::silence(at - last, s(30));
        assert_eq!(failover.text, format!("failover 0>1 timeout {text}"));
        w.finish();
    });
}

fn hot_pair(id: &str) -> StreamConfig {
    StreamConfig::new(id).input(InputConfig::hot(0, "main")).input(InputConfig::hot(1, "backup"))
}

fn config(packet_timeout_ms: i64) -> EngineConfig {
    EngineConfig { packet_timeout_ms, ..Default::default() }
}

fn send(recorder: &mut Recorder) -> bool {
    recorder.record(Packet::new(1316)).is_forward()
}

#[test]
fn x3_mass_outage() {
    const STREAMS: usize = 2000;
    let hand = HandEngine::new_for_testing(config(1000));
    let events = hand.subscribe(1 << 16);
    let mut pairs = Vec::new();
    for i in 0..STREAMS {
        let id = format!("stream-{i}");
        hand.register(hot_pair(&id)).expect("registers");
        let open = |priority| hand.recorder(&id, priority, None).expect("opens");
        pairs.push((id.clone(), open(0), open(1)));
    }
    let step = Duration::from_millis(100);
    for _ in 0..20 {
        hand.advance(step);
        for (_, main, backup) in &mut pairs {
            assert!(send(main));
            assert!(!send(backup));
        }
    }
    drop(events.drain());
    // All lose their active input after this same instant; the backups go on.
    let last = hand.now_ns();
    for _ in 0..9 {
        hand.advance(step);
        pairs.iter_mut().for_each(|(_, _, backup)| assert!(!send(backup)));
    }
    hand.advance(step - Duration::from_nanos(1));
    pairs.iter_mut().for_each(|(_, _, backup)| assert!(!send(backup)));
    assert_eq!(hand.stats().failovers_total, 0, "never early");
    hand.advance(Duration::from_nanos(1));
    for (id, _, backup) in &mut pairs {
        assert!(send(backup), "{id} is on its backup");
        let status = hand.runtime_status(id).expect("registered");
        assert_eq!((status.active_input_priority, status.failovers_total), (Some(1), 1));
        assert_eq!(render::states(&status), "0:degraded 1:active");
    }
    let told = events.drain();
    let failovers: Vec<_> =
        told.iter().filter(|e| matches!(e.kind, EventKind::InputFailover { .. })).collect();
    assert_eq!(failovers.len(), STREAMS);
    assert!(failovers.iter().all(|e| e.at_ns == last + s(1)), "in one tick, at T");
    assert_eq!(hand.stats().failovers_total, STREAMS as u64);
    assert_eq!(hand.stats().stalls_total, 0);
}

/// A stream with two hot inputs that have delivered for ten seconds.
struct Stalled {
    hand: HandEngine,
    main: Recorder,
    backup: Recorder,
    events: Subscription,
}

impl Stalled {
    fn new(packet_timeout_ms: i64) -> Self {
        let hand = HandEngine::new_for_testing(config(packet_timeout_ms));
        hand.register(hot_pair(STREAM)).expect("registers");
        let main = hand.recorder(STREAM, 0, None).expect("opens");
        let backup = hand.recorder(STREAM, 1, None).expect("opens");
        let events = hand.subscribe(0);
        let mut stalled = Self { hand, main, backup, events };
        stalled.deliver(s(10), true, true);
        drop(stalled.events.drain());
        assert_eq!(stalled.states(), "0:active 1:idle");
        stalled
    }

    /// The main input dies, and a few ticks later the monitor stalls: its last packet is older
    /// than the last published time, so it cannot be mistaken for one of the stall.
    fn main_dies_then_stall(&mut self, time: u64, backup: bool) {
        self.deliver(ms(20), false, backup);
        self.stall(time, false, backup);
    }

    /// Time passes and is noticed.
    fn deliver(&mut self, time: u64, main: bool, backup: bool) {
        self.pass(time, main, backup, HandEngine::advance);
    }

    /// Time passes, and the monitor does not run.
    fn stall(&mut self, time: u64, main: bool, backup: bool) {
        self.pass(time, main, backup, HandEngine::stall);
    }

    fn pass(&mut self, time: u64, main: bool, backup: bool, by: fn(&HandEngine, Duration)) {
        let step = ms(10);
        for _ in 0..time / step {
            by(&self.hand, Duration::from_nanos(step));
            if main {
                let _ = self.main.record(Packet::new(1316));
            }
            if backup {
                let _ = self.backup.record(Packet::new(1316));
            }
        }
    }

    /// The late wake-up. Answers when.
    fn wake(&self) -> u64 {
        self.hand.advance(Duration::ZERO);
        self.hand.now_ns()
    }

    fn states(&self) -> String {
        render::states(&self.hand.runtime_status(STREAM).expect("registered"))
    }

    fn lines(&self) -> Vec<String> {
        self.events.drain().iter().map(render::event).collect()
    }
}

#[test]
fn x5_a_stall_is_not_silence() {
    for packet_timeout_ms in [200, 1000, 5000] {
        let mut stalled = Stalled::new(packet_timeout_ms);
        stalled.stall(s(8), true, true);
        stalled.wake();
        assert_eq!(stalled.states(), "0:active 1:idle");
        stalled.deliver(s(10), true, true);
        assert_eq!(stalled.states(), "0:active 1:idle");
        assert!(send(&mut stalled.main) && !send(&mut stalled.backup));
        let lines = stalled.lines();
        assert_eq!(lines.len(), 1, "only the stall is told: {lines:?}");
        assert!(lines[0].starts_with("stall "), "{lines:?}");
        let late_ms: u64 = lines[0]["stall ".len()..].parse().expect("a number");
        assert!((7_000..=8_000).contains(&late_ms), "{late_ms}");
        let stats = stalled.hand.stats();
        assert_eq!((stats.stalls_total, stats.failovers_total), (1, 0));
    }
}

#[test]
fn x5_packets_of_the_stall_count_from_the_wake() {
    let mut stalled = Stalled::new(5000);
    stalled.stall(s(8), true, true);
    stalled.wake();
    // Both fall silent now: a whole T from the wake, for nobody knows when those packets came.
    stalled.hand.advance(Duration::from_nanos(s(5) - 1));
    assert_eq!(stalled.states(), "0:active 1:idle");
    stalled.hand.advance(Duration::from_nanos(1));
    assert_eq!(stalled.states(), "0:degraded 1:degraded");
}

#[test]
fn x5_what_died_meanwhile_is_left_soon_after() {
    // min(T, 200 ms) after the wake.
    for (packet_timeout_ms, grace) in [(100, ms(100)), (200, ms(200)), (5000, ms(200))] {
        let mut stalled = Stalled::new(packet_timeout_ms);
        stalled.main_dies_then_stall(s(8), true);
        let wake = stalled.wake();
        assert_eq!(stalled.states(), "0:active 1:idle", "T = {packet_timeout_ms} ms");
        stalled.deliver(grace - ms(10), false, true);
        stalled.hand.advance(Duration::from_nanos(ms(10) - 1));
        assert_eq!(stalled.states(), "0:active 1:idle", "T = {packet_timeout_ms} ms");
        stalled.hand.advance(Duration::from_nanos(1));
        assert_eq!(stalled.states(), "0:degraded 1:active", "T = {packet_timeout_ms} ms");
        assert!(send(&mut stalled.backup));
        let status = stalled.hand.runtime_status(STREAM).expect("registered");
        let last = &status.switches[0];
        assert_eq!((last.from, last.to, last.reason), (Some(0), 1, SwitchReason::Timeout));
        let told = stalled.events.drain();
        let failover = told.iter().find(|e| matches!(e.kind, EventKind::InputFailover { .. }));
        assert_eq!(failover.expect("a failover").at_ns, wake + grace);
    }
}

#[test]
fn x5_all_dead_meanwhile_is_exhausted_soon_after() {
    let mut stalled = Stalled::new(5000);
    stalled.main_dies_then_stall(s(8), false);
    stalled.wake();
    stalled.hand.advance(Duration::from_nanos(ms(200) - 1));
    assert_eq!(stalled.states(), "0:active 1:idle");
    stalled.hand.advance(Duration::from_nanos(1));
    assert_eq!(stalled.states(), "0:degraded 1:degraded");
    assert!(stalled.hand.runtime_status(STREAM).expect("registered").exhausted);
}

#[test]
fn x5_a_deadline_after_the_wake_stays() {
    // Silent since 10 s, stalled for 3 s only: the deadline is 15 s as ever.
    let mut stalled = Stalled::new(5000);
    stalled.main_dies_then_stall(s(3), true);
    stalled.wake();
    stalled.deliver(s(2) - ms(30), false, true);
    stalled.hand.advance(Duration::from_nanos(ms(10) - 1));
    assert_eq!(stalled.states(), "0:active 1:idle");
    stalled.hand.advance(Duration::from_nanos(1));
    assert_eq!(stalled.states(), "0:degraded 1:active");
}

/// §4.2: a hot input made active keeps its own deadline, and a silent standby only degrades.
#[test]
fn c4_2_a_hot_input_keeps_its_own_deadline() {
    let mut pair = Stalled::new(5000);
    // The backup falls silent at 10 s, the main input fails at 12 s.
    pair.deliver(s(2), true, false);
    pair.main.report_error("gone");
    assert_eq!(pair.states(), "0:degraded 1:active");
    pair.hand.advance(Duration::from_nanos(s(3) - 1));
    assert_eq!(pair.states(), "0:degraded 1:active");
    pair.hand.advance(Duration::from_nanos(1));
    assert_eq!(pair.states(), "0:degraded 1:degraded");
    let told = pair.lines();
    assert!(told.contains(&"exhausted".to_owned()), "{told:?}");
}

#[test]
fn c4_2_a_silent_standby_only_degrades() {
    let mut pair = Stalled::new(5000);
    pair.deliver(s(5) - ms(10), true, false);
    pair.hand.advance(Duration::from_nanos(ms(10) - 1));
    assert_eq!(pair.states(), "0:active 1:idle");
    pair.hand.advance(Duration::from_nanos(1));
    assert_eq!(pair.states(), "0:active 1:degraded");
    assert!(send(&mut pair.main));
    let told: Vec<String> = pair.lines().into_iter().filter(|l| render::is_story(l)).collect();
    assert_eq!(told, ["degraded 1 timeout no packet for 5000ms (timeout 5000ms)"]);
    // Its packets prove it again.
    assert!(!send(&mut pair.backup));
    assert_eq!(pair.states(), "0:active 1:idle");
    assert_eq!(pair.lines()[0], "recovered 1 packets");
    assert_eq!(pair.hand.stats().failovers_total, 0);
}
