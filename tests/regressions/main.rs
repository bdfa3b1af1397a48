//! Defects that reviews found, each as a small test of the rule of the behaviour contract that it
//! broke. The sections named are those of `behaviour.md`.

mod at_rest;
mod liveness;
mod machine;
mod plane;
mod proofs;
mod renumbering;
mod workers;

use std::time::Duration;

use changeover::{
    DriverCall, EngineConfig, EventKind, HandEngine, InputConfig, InputsUpdate, Packet,
    RuntimeStatus, StreamConfig, Subscription,
};

/// The one stream of most tests.
pub(crate) const S: &str = "s";
pub(crate) const PACKET: Packet = Packet::new(1316);

pub(crate) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn cold(priority: i32, address: &str) -> InputConfig {
    InputConfig::cold(priority, address)
}

pub(crate) fn hot(priority: i32, address: &str) -> InputConfig {
    InputConfig::hot(priority, address)
}

pub(crate) fn stream(id: &str, inputs: impl IntoIterator<Item = InputConfig>) -> StreamConfig {
    inputs.into_iter().fold(StreamConfig::new(id), StreamConfig::input)
}

/// A hand-driven engine with one stream of these inputs.
pub(crate) fn hand(inputs: impl IntoIterator<Item = InputConfig>) -> HandEngine {
    hand_with(EngineConfig::default(), inputs)
}

pub(crate) fn hand_with(
    config: EngineConfig,
    inputs: impl IntoIterator<Item = InputConfig>,
) -> HandEngine {
    let engine = HandEngine::new_for_testing(config);
    engine.register(stream(S, inputs)).expect("registers");
    engine
}

pub(crate) fn status(engine: &HandEngine) -> RuntimeStatus {
    engine.runtime_status(S).expect("is registered")
}

pub(crate) fn active(engine: &HandEngine) -> Option<i32> {
    status(engine).active_input_priority
}

/// One call to update the stream's inputs.
pub(crate) fn update(
    engine: &HandEngine,
    added: &[InputConfig],
    removed: &[i32],
    updated: &[InputConfig],
) {
    let update = InputsUpdate {
        added: added.to_vec(),
        removed: removed.to_vec(),
        updated: updated.to_vec(),
    };
    engine.update_inputs(S, update).expect("a valid update");
}

/// What the driver says of a probe.
#[derive(Clone, Copy)]
pub(crate) enum Probes {
    Good,
    Unsupported,
}

/// A driver call in a few words.
pub(crate) fn show(call: &DriverCall) -> String {
    match call {
        DriverCall::Start(call) => format!("start {} {}", call.input.priority, call.input.address),
        DriverCall::Stop(call) => format!("stop {}", call.input_priority),
        DriverCall::Probe(call) => format!("probe {}", call.input.priority),
        DriverCall::Rebind(call) => {
            format!("rebind {}>{}", call.from_priority, call.input.priority)
        }
        other => format!("keyframe {}", other.input_priority()),
    }
}

/// Answers what waits, and what that brings, until nothing waits: every start is accepted.
pub(crate) fn pump(engine: &HandEngine, probes: Probes) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(call) = engine.next_call() {
        seen.push(show(&call));
        match (call, probes) {
            (DriverCall::Start(call), _) => call.token().done(),
            (DriverCall::Probe(call), Probes::Good) => call.token().done(),
            (DriverCall::Probe(call), Probes::Unsupported) => call.token().unsupported(),
            _ => {}
        }
    }
    seen
}

/// When an input was degraded, in ms of the engine's clock.
pub(crate) fn degraded(events: &Subscription) -> Vec<(u64, i32)> {
    let of = |event: changeover::Event| match event.kind {
        EventKind::InputDegraded { input_priority, .. } => {
            Some((event.at_ns / 1_000_000, input_priority))
        }
        _ => None,
    };
    events.drain().into_iter().filter_map(of).collect()
}
