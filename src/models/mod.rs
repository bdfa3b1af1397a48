//! Models of the lock-free protocols: the crate's own code under loom, which tries every
//! interleaving and every value that a weak load may see.
//!
//! A model builds a small engine without threads (or a part of one), lets two or three threads do
//! what hosts, producers and the monitor do at the same moment, and asserts what must hold
//! whatever the order. `scripts/models` runs them; `tests/mutants` has, for each, the defects that
//! it was seen to find. The number of forced switches between threads is bounded (loom: most
//! defects need two or fewer), by `LOOM_MAX_PREEMPTIONS`.

mod epochs;
mod events;
mod handover;
mod routes;
mod shutdown;
mod wake;

use crate::builder::EngineBuilder;
use crate::config::{EngineConfig, InputConfig, StreamConfig};
use crate::core::Core;
use crate::engine::Engine;
use crate::machine::Air;
use crate::recorder::Recorder;
use crate::stream::Stream;
use crate::sync::Arc;
use crate::types::{Packet, Verdict};

/// Tries every interleaving of `run` with at most so many forced switches, or with what
/// `LOOM_MAX_PREEMPTIONS` says instead.
pub(crate) fn explore(preemptions: usize, run: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(preemptions);
    builder.max_branches = 50_000;
    let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let runs = Arc::clone(&count);
    let began = std::time::Instant::now();
    builder.check(move || {
        runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        run();
    });
    let tried = count.load(std::sync::atomic::Ordering::Relaxed);
    println!("{tried} interleavings in {:?}", began.elapsed());
    assert!(tried > 1, "nothing happened at the same moment");
}

const S: &str = "s";

/// An engine that nobody drives: no monitor runs unless the model runs one.
struct Lab {
    engine: Engine,
    core: Arc<Core>,
}

impl Lab {
    fn new(config: EngineConfig) -> Self {
        let (engine, core) = builder(config).assemble_by_hand().expect("a valid configuration");
        Self { engine, core }
    }

    /// With one stream of so many hot inputs.
    fn with_hot(inputs: i32) -> Self {
        let lab = Self::new(EngineConfig::default());
        lab.register(S, inputs);
        lab
    }

    fn register(&self, id: &str, inputs: i32) {
        let inputs = (0..inputs).map(|priority| InputConfig::hot(priority, "somewhere"));
        let stream = StreamConfig { inputs: inputs.collect(), ..StreamConfig::new(id) };
        self.engine.register(stream).expect("registers");
    }

    fn recorder(&self, priority: i32) -> Recorder {
        self.engine.recorder(S, priority, None).expect("opens")
    }

    fn stream(&self) -> Arc<Stream> {
        self.core.by_id(S).expect("registered")
    }

    /// Has the flag words say what the machine would want.
    fn reconcile(&self, want: Air) {
        self.stream().inner.lock().plane.reconcile(&self.core.cells, want);
    }
}

fn builder(config: EngineConfig) -> EngineBuilder {
    Engine::builder().config(config)
}

fn on(recorder: &Recorder) -> Air {
    Air { on: Some(recorder.epoch()), armed: None, gated: false }
}

fn armed(on: &Recorder, target: &Recorder, gated: bool) -> Air {
    Air { on: Some(on.epoch()), armed: Some(target.epoch()), gated }
}

fn packet() -> Packet {
    Packet::new(1316)
}

fn cut_of(verdict: Verdict) -> Option<u32> {
    match verdict {
        Verdict::Forward(cut) => Some(cut),
        _ => None,
    }
}
