//! Subscribers that never read: what they lose is counted, what is kept for them is bounded, and
//! the engine is on time. (By hand: `tests/scenarios/callbacks.rs`.)

use std::time::Duration;

use changeover::{Engine, EngineConfig, EventKind};

use crate::limits::resident_kib;
use crate::scene::{Feeds, PACKET, PATIENCE, eventually};

/// Of the churn: each makes several events.
const ROUNDS: i32 = 1_500;
const TIMEOUT_MS: u64 = 1_000;
/// What a queue of the default length may hold, and the allocator keep, KiB. All events of the
/// churn together would be several times that.
const MOST_KIB: u64 = 4_096;

#[test]
fn subscribers_that_never_read() {
    let _alone = crate::alone();
    let config = EngineConfig {
        packet_timeout_ms: TIMEOUT_MS as i64,
        failback_cooldown_ms: 1,
        failback_stable_ms: 1,
        ..EngineConfig::default()
    };
    let engine = Engine::builder().config(config).build().expect("builds");
    let lazy: Vec<_> = (0..50).map(|_| engine.subscribe(16)).chain([engine.subscribe(0)]).collect();
    let ids: Vec<String> = (0..20).map(|n| format!("watched-{n}")).collect();
    let feeds = Feeds::start(&engine, &ids, 10, Duration::from_millis(10));
    let churned = crate::scene::hot_pair("churned").with_packet_timeout(Duration::from_secs(60));
    engine.register(churned).expect("a new id");
    let mut inputs = [0, 1].map(|n| engine.recorder("churned", n, None).expect("a hot input"));
    inputs.iter_mut().for_each(|input| _ = input.record(PACKET));
    let mut churn = |rounds: i32| {
        for round in 0..rounds {
            let to = 1 - round % 2;
            engine.switch_input("churned", to).expect("well").wait(PATIENCE).expect("accepted");
            eventually("the switch", || inputs[to as usize].record(PACKET).is_forward());
        }
    };
    // All queues are full by then.
    churn(ROUNDS / 4);
    let before = resident_kib();
    let keen = engine.subscribe(1 << 16);
    churn(ROUNDS);
    let grown = resident_kib().saturating_sub(before);
    // Of what the keen one holds, the lazy ones have 51 times as much not kept.
    let told = keen.drain();
    assert!(told.len() as i32 > 2 * ROUNDS, "{} events", told.len());
    let held = told.len() * size_of::<changeover::Event>() / 1024;
    assert!(grown < MOST_KIB + 4 * held as u64, "{grown} KiB more, the keen one had {held}");

    feeds.kill();
    let failed = || {
        let is_on = |id: &String| {
            engine.runtime_status(id).expect("registered").active_input_priority == Some(1)
        };
        ids[..10].iter().all(is_on)
    };
    eventually("the mortal streams are on their backups", failed);
    let last = feeds.end().last;
    let mut seen = 0;
    for event in keen.drain() {
        let EventKind::InputFailover { to: 1, .. } = event.kind else { continue };
        let id = event.stream.as_deref().unwrap_or_default();
        let Some(n) = ids.iter().position(|known| known == id) else { continue };
        let due = last[n] + TIMEOUT_MS * 1_000_000;
        assert!(event.at_ns >= due, "{id}: early by {} ns", due - event.at_ns);
        let late = event.at_ns - due;
        assert!(late < 2_000_000_000, "{id}: late by {late} ns");
        seen += 1;
    }
    assert_eq!(seen, 10, "each once");
    let lost: u64 = lazy.iter().map(|lazy| lazy.dropped()).sum();
    assert!(lost > 50 * 2 * ROUNDS as u64, "{lost}");
    assert_eq!(engine.stats().events_dropped_total, lost + keen.dropped());
    for lazy in &lazy[..50] {
        assert_eq!(lazy.drain().len(), 16, "and its newest are there");
    }
}
