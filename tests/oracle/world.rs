//! The engine and the oracle side by side: each op is done to both, and after it all that they
//! say is compared.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use changeover::{
    AnswerToken, DriverCall, EngineConfig, Epoch, EventKind, Failback, HandEngine, InputConfig,
    Packet, Recorder, RuntimeStatus, StreamConfig, Subscription, SwitchTicket, Verdict,
};

use crate::coverage::Coverage;
use crate::invariants::Witness;
use crate::model::Model;
use crate::neighbour::Neighbour;
use crate::ops::{InputSpec, PolicySpec, StreamSpec};
use crate::view;

pub(crate) const S: &str = "s";
/// Lines of the story that a failure ends with.
const TOLD: usize = 60;

pub(crate) type Outcome = Result<(), String>;

pub(crate) struct World {
    pub(crate) engine: HandEngine,
    events: Subscription,
    callbacks: Arc<Mutex<Vec<&'static str>>>,
    pub(crate) model: Model,
    pub(crate) witness: Witness,
    neighbour: Neighbour,
    pub(crate) coverage: Coverage,
    /// Starts and probes that wait for their answer, of whatever life of the stream.
    pub(crate) starts: Vec<(u32, u64, AnswerToken)>,
    pub(crate) probes: Vec<(u32, i32, u64, AnswerToken)>,
    probes_made: u64,
    pub(crate) unprobed: bool,
    pub(crate) life: u32,
    pub(crate) recorders: BTreeMap<u64, Recorder>,
    /// Of epochs that are over, for stragglers.
    pub(crate) old: Vec<Recorder>,
    pub(crate) tickets: Vec<SwitchTicket>,
    told: Vec<Result<(), String>>,
    /// Nothing is compared: the invariants judge alone.
    alone: bool,
    story: Vec<String>,
}

pub(crate) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(crate) fn priority(p: u8) -> i32 {
    i32::from(p) - 1
}

pub(crate) fn input(spec: &InputSpec) -> InputConfig {
    InputConfig {
        priority: priority(spec.p),
        address: format!("a{}", spec.address),
        hot: spec.hot,
        packet_timeout_ms: i64::from(spec.timeout_ms),
        connect_timeout_ms: i64::from(spec.connect_ms),
        health: None,
    }
}

/// The inputs of a list, each priority once.
pub(crate) fn inputs(specs: &[InputSpec]) -> Vec<InputConfig> {
    let by_number: BTreeMap<_, _> = specs.iter().map(|spec| (spec.p, input(spec))).collect();
    by_number.into_values().collect()
}

fn stream(spec: &StreamSpec) -> StreamConfig {
    let mut config = StreamConfig::new(S);
    config.inputs = inputs(&spec.inputs);
    config.packet_timeout_ms = i64::from(spec.timeout_ms);
    config.failback_stable_ms = i64::from(spec.stable_ms);
    if spec.failback_never {
        config.failback = Failback::Never;
    }
    if spec.buffer > 0 {
        config.buffer_write_id = format!("b{}", spec.buffer);
    }
    config
}

pub(crate) fn policy(spec: &PolicySpec) -> EngineConfig {
    let failback = if spec.failback_never { Failback::Never } else { Failback::Inherited };
    EngineConfig {
        packet_timeout_ms: i64::from(spec.timeout_ms),
        connect_timeout_ms: i64::from(spec.connect_ms),
        probe_cooldown_ms: i64::from(spec.probe_cooldown_ms),
        probe_timeout_ms: i64::from(spec.probe_timeout_ms),
        failback_cooldown_ms: i64::from(spec.failback_cooldown_ms),
        failback_stable_ms: i64::from(spec.failback_stable_ms),
        failback,
        error_history: usize::from(spec.history),
        switch_history: usize::from(spec.history) * 3,
        ..EngineConfig::default()
    }
}

impl World {
    pub(crate) fn new(first: &PolicySpec, spec: &StreamSpec) -> Result<Self, String> {
        let (policy, stream) = (policy(first), stream(spec));
        let engine = HandEngine::new_for_testing(policy.clone());
        let events = engine.subscribe(1 << 16);
        let callbacks = Arc::new(Mutex::new(Vec::new()));
        for (what, set) in [("exhausted", true), ("restored", false)] {
            let heard = Arc::clone(&callbacks);
            let callback = Box::new(move |stream: &str| {
                if stream == S {
                    heard.lock().expect("not poisoned").push(what);
                }
            });
            match set {
                true => engine.set_exhausted_callback(Some(callback)),
                false => engine.set_restored_callback(Some(callback)),
            }
        }
        engine.register(stream.clone()).map_err(|error| error.to_string())?;
        let story = vec![format!("{policy:?}"), format!("{stream:?}")];
        let mut world = Self {
            engine,
            events,
            callbacks,
            witness: Witness::new(stream.packet_timeout_ms),
            model: Model::new(0, policy, stream),
            neighbour: Neighbour::default(),
            coverage: Coverage::default(),
            starts: Vec::new(),
            probes: Vec::new(),
            probes_made: 0,
            unprobed: spec.unprobed,
            life: 0,
            recorders: BTreeMap::new(),
            old: Vec::new(),
            tickets: Vec::new(),
            told: Vec::new(),
            alone: std::env::var("ALONE").is_ok(),
            story,
        };
        world.compare()?;
        Ok(world)
    }

    /// Both have done the same: both have to say the same.
    pub(crate) fn compare(&mut self) -> Outcome {
        self.take_calls()?;
        self.take_events()?;
        let callbacks = std::mem::take(&mut *self.callbacks.lock().expect("not poisoned"));
        let expected = std::mem::take(&mut self.model.said.callbacks);
        self.same("callbacks", &callbacks, &expected)?;
        self.witness.callbacks(&callbacks)?;
        let decided = std::mem::take(&mut self.model.said.tickets);
        for (ticket, outcome) in decided {
            if self.told.len() <= ticket {
                self.told.resize(ticket + 1, Err("undecided".to_owned()));
            }
            self.told[ticket] = outcome;
        }
        for (i, ticket) in self.tickets.iter().enumerate() {
            let undecided = Err("undecided".to_owned());
            let said = ticket
                .outcome()
                .unwrap_or(Err(changeover::Error::SwitchFailed { why: "undecided".to_owned() }));
            let said = said.map_err(|error| match error {
                changeover::Error::SwitchFailed { why } => why,
                other => other.to_string(),
            });
            let expected = self.told.get(i).unwrap_or(&undecided);
            self.same("ticket", std::slice::from_ref(&said), std::slice::from_ref(expected))?;
        }
        let status = self.status()?;
        let (lines, expected) = (view::lines(&status), self.model.lines());
        self.same("status", &lines, &expected)?;
        self.coverage.history(&status);
        self.witness.status(&status, self.engine.now_ns())?;
        self.witness.nothing_was_early(&self.engine)?;
        self.retire();
        Ok(())
    }

    pub(crate) fn status(&self) -> Result<RuntimeStatus, String> {
        self.engine.runtime_status(S).map_err(|error| error.to_string())
    }

    fn take_calls(&mut self) -> Outcome {
        let mut calls = self.engine.calls();
        calls.retain(|call| call.stream() == S);
        let lines: Vec<String> = calls.iter().map(view::call).collect();
        self.tell_all("  > ", &lines);
        let expected = std::mem::take(&mut self.model.said.calls);
        self.same("driver calls", &lines, &expected)?;
        for call in calls {
            self.witness.call(&call)?;
            match &call {
                DriverCall::Start(start) => {
                    self.starts.push((self.life, start.epoch.get(), start.token()));
                }
                DriverCall::Probe(probe) => {
                    self.probes_made += 1;
                    let (p, ticket) = (probe.input.priority, self.probes_made);
                    self.probes.push((self.life, p, ticket, probe.token()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn take_events(&mut self) -> Outcome {
        let mut events = self.events.drain();
        let others =
            events.iter().filter(|event| event.stream.as_deref().is_some_and(|id| id != S));
        others.for_each(|event| self.coverage.neighbour(&event.kind));
        events.retain(|event| event.stream.as_deref().is_none_or(|stream| stream == S));
        let mut lines = Vec::new();
        for event in &events {
            self.witness.event(event)?;
            self.coverage.event(&event.kind);
            match event.kind {
                // How late it was depends on what the monitor had planned.
                EventKind::Stall { .. } => {}
                _ => lines.push(view::event(event)),
            }
        }
        self.tell_all("    * ", &lines);
        let expected = std::mem::take(&mut self.model.said.events);
        self.same("events", &lines, &expected)
    }

    /// Every open epoch, with the number of its input: what producers may record for. As the
    /// engine shows it; what is leaving only the oracle knows.
    pub(crate) fn epochs(&self) -> Vec<(i32, u64)> {
        if !self.alone {
            return self.model.epochs();
        }
        let inputs = self.status().map(|status| status.inputs).unwrap_or_default();
        let open = inputs.iter().filter_map(|i| Some((i.input_priority, i.epoch?.get())));
        open.collect()
    }

    /// Recorders of epochs that are over become stragglers.
    fn retire(&mut self) {
        let open: Vec<u64> = self.epochs().iter().map(|(_, epoch)| *epoch).collect();
        let over: Vec<u64> =
            self.recorders.keys().copied().filter(|epoch| !open.contains(epoch)).collect();
        for epoch in over {
            self.old.extend(self.recorders.remove(&epoch));
        }
        if self.old.len() > 16 {
            self.old.drain(..8);
        }
    }

    pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
        &self,
        what: &str,
        engine: &[T],
        oracle: &[T],
    ) -> Outcome {
        if engine == oracle || self.alone {
            return Ok(());
        }
        let differ = (0..engine.len().max(oracle.len())).find(|i| engine.get(*i) != oracle.get(*i));
        let at = differ.unwrap_or_default();
        let (e, o) = (engine.get(at), oracle.get(at));
        Err(format!("{what} differ\n engine: {e:?}\n oracle: {o:?}\n of {engine:#?}\n{oracle:#?}"))
    }

    pub(crate) fn tell(&mut self, what: &str) {
        let now = self.engine.now_ns() as f64 / 1e6;
        self.story.push(format!("{now:>14.6} {what}"));
    }

    fn tell_all(&mut self, mark: &str, lines: &[String]) {
        self.story.extend(lines.iter().map(|line| format!("{mark}{line}")));
        if self.story.len() > 4 * TOLD {
            self.story.drain(2..2 * TOLD);
        }
    }

    pub(crate) fn story(&self) -> String {
        let from = self.story.len().saturating_sub(TOLD).max(2);
        let latest = self.story.get(from..).unwrap_or_default();
        format!("{}\n...\n{}", self.story[..2].join("\n"), latest.join("\n"))
    }

    // --- What both are told ---

    pub(crate) fn advance(&mut self, by_ns: u64) {
        self.neighbour.beat(&self.engine);
        self.engine.advance(Duration::from_nanos(by_ns));
        self.model.advance(by_ns);
        self.coverage.advanced();
    }

    /// The number of an epoch as the engine's type.
    pub(crate) fn epoch(number: u64) -> Epoch {
        serde_json::from_value(serde_json::json!(number)).expect("an epoch's number")
    }

    /// Makes sure that a recorder is open for an epoch. Not everybody can have one: packets by id
    /// alone open an epoch, too.
    pub(crate) fn recorder(&mut self, p: i32, epoch: u64) -> bool {
        if !self.recorders.contains_key(&epoch)
            && let Ok(recorder) = self.engine.recorder(S, p, Self::epoch(epoch))
        {
            self.recorders.insert(epoch, recorder);
        }
        self.recorders.contains_key(&epoch)
    }

    /// One packet of an open epoch.
    pub(crate) fn packet(&mut self, epoch: u64, precise: bool) -> Outcome {
        let Some(recorder) = self.recorders.get_mut(&epoch) else { return Ok(()) };
        let packet = Packet::new(100);
        let verdict =
            if precise { recorder.record_precise(packet) } else { recorder.record(packet) };
        if verdict != Verdict::Stale {
            self.witness.packet(epoch, self.engine.now_ns(), verdict)?;
        }
        let expected = self.model.packet(epoch);
        self.same_verdict(verdict, expected)
    }

    pub(crate) fn same_verdict(&mut self, engine: Verdict, oracle: Verdict) -> Outcome {
        let plain = |verdict| match verdict {
            Verdict::Forward(_) => "forward",
            Verdict::Drop => "drop",
            Verdict::Stale => "stale",
        };
        self.same("verdict", &[plain(engine)], &[plain(oracle)])
    }

    /// Unregisters, and registers anew: nothing of the former life counts (§3.6).
    pub(crate) fn reregister(&mut self, spec: &StreamSpec) -> Outcome {
        let mut expected = self.model.activations();
        self.engine.unregister(S).map_err(|error| error.to_string())?;
        let mut stopped = Vec::new();
        for call in self.engine.calls().into_iter().filter(|call| call.stream() == S) {
            self.witness.call(&call)?;
            match call {
                DriverCall::Stop(stop) => stopped.push(stop.epoch.get()),
                other => return Err(format!("a call after unregister: {other:?}")),
            }
        }
        stopped.sort_unstable();
        expected.sort_unstable();
        self.same("stops at the end", &stopped, &expected)?;
        let quiet = self.events.drain().iter().all(|event| event.stream.as_deref() != Some(S));
        let said = std::mem::take(&mut *self.callbacks.lock().expect("not poisoned"));
        if !quiet || !said.is_empty() {
            return Err("a sign of life after unregister".to_owned());
        }
        self.old.extend(std::mem::take(&mut self.recorders).into_values());
        for recorder in &mut self.old {
            if recorder.record(Packet::new(1)) != Verdict::Stale {
                return Err("a straggler of a stream that is gone counts".to_owned());
            }
        }
        self.old.clear();
        if self.tickets.iter().any(|ticket| ticket.outcome().is_none()) {
            return Err("a ticket was never decided".to_owned());
        }
        (self.tickets, self.told, self.probes_made) = (Vec::new(), Vec::new(), 0);
        self.life += 1;
        self.unprobed = spec.unprobed;
        let stream = stream(spec);
        self.witness = Witness::new(stream.packet_timeout_ms);
        self.engine.register(stream.clone()).map_err(|error| error.to_string())?;
        let (now, policy) = (self.model.now, self.model.policy.clone());
        let stalls = self.model.stalls().to_vec();
        self.model = Model::new(now, policy, stream);
        self.model.set_stalls(stalls);
        Ok(())
    }
}
