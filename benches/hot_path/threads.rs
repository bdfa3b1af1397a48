//! What a second thread does to a packet: one that records too (on inputs of its own, on the other
//! input of the same streams, on the same inputs), the monitor that samples, and one that registers,
//! edits and polls.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use changeover::{
    Engine, EngineConfig, HealthConfig, InputConfig, InputsUpdate, LossRule, Recorder, StreamConfig,
};

use super::COLD;
use super::measure::{Case, Cold, SAMPLE, interleaved, over, undisturbed};
use super::peers::{OneLock, Peer, Seed, Sharded};
use super::support::{self, median, shuffled};
use super::world::{PACKET, World, engine_of, id_of, keys_of, open, patient};

// --- Two threads that record ---

/// So many calls; answers how many said *forward*.
type Run<'a> = Box<dyn FnMut(usize) -> usize + Send + 'a>;

/// The same work for two threads.
struct Pair<'a> {
    key: &'static str,
    runs: [Run<'a>; 2],
}

/// ns a call of one thread, with nobody beside it.
fn alone(run: &mut Run<'_>, ops: usize) -> f64 {
    undisturbed(|| {
        let began = Instant::now();
        black_box(run(ops));
        began.elapsed().as_nanos() as f64 / ops as f64
    })
}

/// ns a call in each of two threads that begin at the same moment.
fn together(runs: &mut [Run<'_>; 2], ops: usize) -> [f64; 2] {
    let started = AtomicUsize::new(0);
    let timed = |run: &mut Run<'_>| {
        started.fetch_add(1, AcqRel);
        while started.load(Acquire) < 2 {
            std::hint::spin_loop();
        }
        let before = support::involuntary_switches();
        let began = Instant::now();
        black_box(run(ops));
        let ns = began.elapsed().as_nanos() as f64 / ops as f64;
        (ns, support::involuntary_switches() == before)
    };
    let [first, second] = runs;
    let mut taken = [0.0; 2];
    for _ in 0..5 {
        let both = std::thread::scope(|scope| {
            let second = scope.spawn(|| timed(second));
            [timed(first), second.join().expect("it records")]
        });
        started.store(0, Release);
        taken = both.map(|(ns, _)| ns);
        if both.iter().all(|(_, whole)| *whole) {
            break;
        }
    }
    taken
}

/// Each pair in every round: either thread alone, then both. Tells `<prefix>/<key>/one`, `/two`
/// (ns a call and thread), `/scale` (packets of two threads to those of one), and with a `base`
/// `/one_x` and `/two_x`, the ratios to it.
fn compare(prefix: &str, mut pairs: Vec<Pair<'_>>, base: &str, pass: usize, rounds: usize) {
    // A sample long enough that starting a thread is no part of it.
    let time = 2 * SAMPLE;
    // As in the other comparisons: what two threads use may not fit where that of one does.
    let mut cold = (pass >= COLD).then(Cold::new);
    let ops: Vec<usize> = pairs
        .iter_mut()
        .map(|pair| {
            alone(&mut pair.runs[1], 2048);
            let ns = together(&mut pair.runs, 4096)[0].max(0.1);
            let ops = ((time.as_nanos() as f64 / ns) as usize).clamp(1024, 4_000_000);
            if pass >= COLD { ops.min(pass) } else { ops }
        })
        .collect();
    let mut ones = vec![Vec::new(); pairs.len()];
    let mut twos = ones.clone();
    let mut scales = ones.clone();
    for round in 0..rounds {
        for turn in 0..pairs.len() {
            let at = (round + turn) % pairs.len();
            let runs = &mut pairs[at].runs;
            let mut sample = |which: &dyn Fn(&mut [Run<'_>; 2]) -> [f64; 2]| {
                if let Some(cold) = &mut cold {
                    cold.evict();
                }
                which(runs)
            };
            let [a, _] = sample(&|runs| [alone(&mut runs[0], ops[at]), 0.0]);
            let [b, _] = sample(&|runs| [alone(&mut runs[1], ops[at]), 0.0]);
            let [c, d] = sample(&|runs| together(runs, ops[at]));
            ones[at].push((a + b) / 2.0);
            twos[at].push((c + d) / 2.0);
            scales[at].push((1.0 / c + 1.0 / d) / ((1.0 / a + 1.0 / b) / 2.0));
        }
    }
    let base = pairs.iter().position(|pair| pair.key == base).expect("the base is measured");
    let ratio = |of: &[Vec<f64>], at: usize| {
        let rounds = of[at].iter().zip(&of[base]);
        median(&rounds.map(|(ns, base)| ns / base).collect::<Vec<_>>())
    };
    for (at, pair) in pairs.iter().enumerate() {
        let figure =
            |name: &str, value| support::figure(format!("{prefix}/{}/{name}", pair.key), value);
        figure("one", median(&ones[at]));
        figure("two", median(&twos[at]));
        figure("scale", median(&scales[at]));
        figure("one_x", ratio(&ones, at));
        figure("two_x", ratio(&twos, at));
    }
}

/// Recorders of these inputs for each of two threads, which open their own: one after the other in
/// turn, as far as that is quick, so that what an opening takes is not by chance all of one thread.
fn opened_by_two(engine: &Engine, inputs: [Vec<usize>; 2]) -> [Vec<Recorder>; 2] {
    let in_turn = inputs[0].len() <= 2_000;
    let barrier = Barrier::new(2);
    let opening = |mine: &[usize], first: bool| {
        let mut recorders = Vec::with_capacity(mine.len());
        for &n in mine {
            if in_turn && !first {
                barrier.wait();
            }
            recorders.push(open(engine, n));
            if in_turn && first {
                barrier.wait();
            }
        }
        // What is opened in a row may lie in a row.
        for (at, &other) in shuffled(mine.len(), 3).iter().enumerate() {
            recorders.swap(at, other);
        }
        recorders
    };
    let [a, b] = &inputs;
    std::thread::scope(|scope| {
        let second = scope.spawn(|| opening(b, false));
        [opening(a, true), second.join().expect("it opens")]
    })
}

fn recording<'a>(mut recorders: Vec<Recorder>) -> Run<'a> {
    let mut cursor = 0;
    Box::new(move |ops| over(&mut recorders, &mut cursor, ops, |r| r.record(PACKET).is_forward()))
}

fn by_id<'a>(engine: &'a Engine, inputs: &[usize]) -> Run<'a> {
    let (mut keys, mut cursor) = (keys_of(inputs), 0);
    Box::new(move |ops| {
        over(&mut keys, &mut cursor, ops, |(id, priority)| {
            engine.record_packet(id, *priority).is_forward()
        })
    })
}

fn peer<'a>(peer: &Arc<dyn Peer + Send>, inputs: &[usize]) -> Run<'a> {
    let (peer, mut keys, mut cursor) = (Arc::clone(peer), keys_of(inputs), 0);
    Box::new(move |ops| {
        over(&mut keys, &mut cursor, ops, |(id, priority)| {
            peer.record(id, *priority, PACKET.bytes, 1)
        })
    })
}

/// Inputs in a random order, by what `whose` says of their number: 0 or 1.
fn split(streams: usize, whose: impl Fn(usize) -> usize) -> [Vec<usize>; 2] {
    let order = shuffled(2 * streams, 4);
    [0, 1].map(|thread| order.iter().copied().filter(|&n| whose(n) == thread).collect())
}

/// Two threads that record at the same time. `all`: on the same streams too, by id, and the peers.
pub(crate) fn two_threads(streams: usize, rounds: usize, all: bool) {
    // A thread takes every other stream, or every stream's input 0 or 1, or all; in the order of a
    // walk of its own.
    let distinct = split(streams, |n| n / 2 % 2);
    let siblings = split(streams, |n| n % 2);
    let whole = [4, 5].map(|seed| shuffled(2 * streams, seed));
    let engine = engine_of(patient(), streams);
    let others = if all { streams } else { 0 };
    let other = engine_of(patient(), others);
    let ids = || (0..others).map(id_of);
    let peers: [(_, Arc<dyn Peer + Send>); 3] = [
        ("seed_stream", Arc::new(Seed::of(ids()))),
        ("dashmap_stream", Arc::new(Sharded::of(ids()))),
        ("mutex_stream", Arc::new(OneLock::of(ids()))),
    ];

    let runs = opened_by_two(&engine, distinct.clone()).map(recording);
    let mut pairs = vec![Pair { key: "distinct", runs }];
    let by_ids =
        [("by_id_distinct", &distinct), ("by_id_stream", &siblings), ("by_id_input", &whole)];
    for (key, inputs) in by_ids.into_iter().take(if all { 3 } else { 0 }) {
        pairs.push(Pair { key, runs: [0, 1].map(|thread| by_id(&engine, &inputs[thread])) });
    }
    if all {
        let runs = opened_by_two(&other, siblings.clone()).map(recording);
        pairs.push(Pair { key: "stream", runs });
        for (key, map) in &peers {
            pairs.push(Pair { key, runs: [0, 1].map(|thread| peer(map, &siblings[thread])) });
        }
    }
    // Before anything is timed: after a while every stream is on the air on one input of two.
    for pair in &mut pairs {
        let began = Instant::now();
        let pass = if pair.key == "by_id_input" { [2 * streams, 0] } else { [streams; 2] };
        while pair.runs.iter_mut().zip(pass).map(|(run, ops)| run(ops)).sum::<usize>() != streams {
            assert!(began.elapsed() < Duration::from_secs(60), "{}: not on the air", pair.key);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let base = if all { "stream" } else { "distinct" };
    compare(&format!("{streams}/two"), pairs, base, streams, rounds);
}

// --- Meanwhile ---

/// A rule that has every input sampled, and that no packet here breaks.
fn sampling() -> EngineConfig {
    let loss = LossRule { max_percent: 99.0, ..LossRule::default() };
    let health = HealthConfig { loss, ..HealthConfig::default() };
    EngineConfig { health: Some(Arc::new(health)), ..patient() }
}

/// Registers, edits, asks and unregisters until `stop`, while `on`; answers how many calls it made.
fn control(engine: &Engine, streams: usize, on: &AtomicBool, stop: &AtomicBool) -> usize {
    let mut calls = 0;
    while !stop.load(Relaxed) {
        if !on.load(Acquire) {
            std::thread::sleep(Duration::from_micros(50));
            continue;
        }
        let guest = format!("guest-{:06}", calls % 1_000);
        let inputs = [0, 1].map(|priority| InputConfig::hot(priority, "udp://guest"));
        let stream = StreamConfig { inputs: inputs.into(), ..StreamConfig::new(guest.as_str()) };
        engine.register(stream).expect("registers");
        let update = InputsUpdate {
            added: vec![InputConfig::hot(2, "udp://third")],
            ..InputsUpdate::default()
        };
        engine.update_inputs(&guest, update).expect("is edited");
        let id = id_of(calls % streams);
        assert_eq!(engine.runtime_status(&id).expect("registered").inputs.len(), 2);
        engine.unregister(&guest).expect("unregisters");
        calls += 4;
    }
    calls
}

/// `record` and by id: undisturbed, while the monitor samples every input, and while another
/// thread keeps the control plane busy. Tells `<streams>/while/<key>/..`, `x` to the quiet record.
pub(crate) fn meanwhile(streams: usize, rounds: usize) {
    let quiet = World::new(streams, patient());
    let sampled = World::new(streams, sampling());
    let keyed = World::new(streams, patient());
    let [on, stop] = [const { AtomicBool::new(false) }; 2];
    std::thread::scope(|scope| {
        let busy = scope.spawn(|| control(&keyed.engine, streams, &on, &stop));
        let mut controlled = keyed.record_case();
        let disturbed = Case::sampled("control", |ops| {
            on.store(true, Release);
            let ns = controlled.sample(ops);
            on.store(false, Release);
            ns
        });
        let mut monitored = sampled.record_case();
        let cases = vec![
            quiet.record_case(),
            Case::sampled("sampled", |ops| monitored.sample(ops)),
            disturbed,
        ];
        interleaved(cases, 2 * streams, rounds).tell(&format!("{streams}/while"), "record");
        stop.store(true, Relaxed);
        let calls = busy.join().expect("the control plane goes on");
        assert!(calls > 0, "the other thread did something");
        support::figure(format!("{streams}/while/calls"), calls as f64);
    });
    for world in [quiet, sampled, keyed] {
        world.check_counts();
    }
}
