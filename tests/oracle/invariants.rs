//! What must hold after every step, judged by what the engine says alone (the oracle is not
//! asked): a witness who hears the driver calls, the events and the callbacks, reads the status,
//! and knows when packets were recorded.

use std::collections::{BTreeMap, BTreeSet};

use changeover::{
    DriverCall, EngineConfig, Event, EventKind, HandEngine, InputStatus, InputsUpdate,
    RuntimeStatus, SwitchReason, Verdict,
};

use crate::world::{Outcome, S};

const MS: u64 = 1_000_000;

#[derive(Debug)]
struct Activation {
    priority: i32,
    /// The start call came after this.
    after: u64,
    accepted: bool,
    failed: bool,
    stopped: bool,
}

/// An end of an input's silence that was judged: to be checked against the timeouts.
#[derive(Debug)]
struct Silent {
    priority: i32,
    at: u64,
    /// The last packet of its epoch, or (no packet yet) the earliest moment of its start.
    since: u64,
    heard: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Witness {
    stream_timeout_ms: i64,
    activations: BTreeMap<u64, Activation>,
    failovers: Vec<(i32, i32, SwitchReason)>,
    exhausted: bool,
    last_callback: Option<&'static str>,
    callbacks_exhausted: usize,
    /// Degraded for silence or an error, since when.
    degraded: BTreeMap<i32, u64>,
    stopped: BTreeSet<i32>,
    /// A condition acts on them.
    impaired: BTreeSet<i32>,
    /// Removed in this step.
    removed: BTreeSet<i32>,
    /// Packets, by epoch: the latest.
    packets: BTreeMap<u64, u64>,
    epochs: BTreeMap<i32, u64>,
    silent: Vec<Silent>,
    failbacks: Vec<(u64, u64)>,
    last_failover: Option<u64>,
    probes: Vec<(i32, u64)>,
    cut: u32,
    now: u64,
}

fn demand(holds: bool, why: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(format!("invariant: {}", why())) }
}

impl Witness {
    /// Of a stream with this packet timeout of its own.
    pub(crate) fn new(stream_timeout_ms: i64) -> Self {
        Self { stream_timeout_ms, ..Self::default() }
    }

    /// A step begins.
    pub(crate) fn begin(&mut self, now: u64) {
        self.now = now;
        self.removed.clear();
    }

    // --- What it hears ---

    pub(crate) fn answered(&mut self, epoch: u64, good: bool) {
        if let Some(activation) = self.activations.get_mut(&epoch) {
            activation.accepted = good;
            activation.failed = !good && !activation.stopped;
        }
    }

    pub(crate) fn packet(&mut self, epoch: u64, at: u64, verdict: Verdict) -> Outcome {
        self.packets.insert(epoch, at);
        if let Verdict::Forward(cut) = verdict {
            demand(cut >= self.cut, || "forwarded under an older cut".to_owned())?;
            self.cut = cut;
        }
        Ok(())
    }

    pub(crate) fn enabled(&mut self, p: i32, on: bool) {
        if on {
            self.stopped.remove(&p);
            self.degraded.remove(&p);
        } else {
            self.stopped.insert(p);
        }
    }

    pub(crate) fn edited(&mut self, update: &InputsUpdate) {
        let InputsUpdate { added, removed, updated } = update;
        self.removed.extend(removed);
        for input in added {
            self.stopped.remove(&input.priority);
            self.removed.remove(&input.priority);
        }
        let gone = removed.iter().chain(added.iter().map(|input| &input.priority));
        for p in gone.chain(updated.iter().map(|input| &input.priority)) {
            // The status says in a moment what is left of it.
            self.degraded.remove(p);
            // Nor what it runs.
            self.epochs.remove(p);
        }
    }

    /// One start and at most one stop to an activation; none after a failed start.
    pub(crate) fn call(&mut self, call: &DriverCall) -> Outcome {
        match call {
            DriverCall::Start(start) => {
                let (epoch, priority) = (start.epoch.get(), start.input.priority);
                let begun = Activation {
                    priority,
                    after: self.now,
                    accepted: false,
                    failed: false,
                    stopped: false,
                };
                let known = self.activations.insert(epoch, begun);
                demand(known.is_none(), || format!("epoch {epoch} was started twice"))
            }
            DriverCall::Stop(stop) => {
                let epoch = stop.epoch.get();
                let known = self.activations.get_mut(&epoch);
                let runs = known.is_some_and(|known| {
                    let runs = !known.stopped && !known.failed;
                    known.stopped = true;
                    runs && known.priority == stop.input_priority
                });
                demand(runs, || format!("a stop of epoch {epoch}, which does not run"))
            }
            DriverCall::Rebind(rebind) => {
                let epoch = rebind.epoch.get();
                let known = self.activations.get_mut(&epoch);
                let right = known.is_some_and(|known| {
                    let was = std::mem::replace(&mut known.priority, rebind.input.priority);
                    !known.stopped && was == rebind.from_priority
                });
                demand(right, || format!("a rebind of epoch {epoch}, which does not run so"))
            }
            DriverCall::Probe(probe) => {
                // Of inputs that were degraded before this step: calls carry no time.
                let p = probe.input.priority;
                self.probes.extend(self.degraded.get(&p).map(|at| (p, *at)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Exhausted and restored strictly alternate; no failover goes to what is known to be out.
    pub(crate) fn event(&mut self, event: &Event) -> Outcome {
        let at = event.at_ns;
        demand(at >= self.now, || format!("an event of the past: {event:?}"))?;
        match &event.kind {
            EventKind::Exhausted => {
                let was = std::mem::replace(&mut self.exhausted, true);
                demand(!was, || "exhausted twice".to_owned())
            }
            EventKind::Restored { .. } => {
                let was = std::mem::replace(&mut self.exhausted, false);
                demand(was, || "restored without having been exhausted".to_owned())
            }
            EventKind::InputDegraded { input_priority: p, cause, .. } => {
                self.hear_degraded(*p, *cause, at)
            }
            EventKind::SwitchDecided { reason: SwitchReason::Failback, .. } => {
                self.failbacks.extend(self.last_failover.map(|last| (last, at)));
                Ok(())
            }
            EventKind::InputImpaired { input_priority: p, .. } => {
                self.impaired.insert(*p);
                Ok(())
            }
            EventKind::InputRecovered { input_priority: p, .. } => {
                self.degraded.remove(p);
                Ok(())
            }
            EventKind::InputFailover { from, to, reason, .. } => {
                demand(from != to, || "a failover to itself".to_owned())?;
                let out = |why: &str| format!("a failover to {to}, which is {why}");
                // An impaired one is a last resort, and degraded until its conditions are over.
                let degraded = self.degraded.contains_key(to) && !self.impaired.contains(to);
                demand(!degraded, || out("degraded"))?;
                demand(!self.stopped.contains(to), || out("stopped"))?;
                demand(!self.removed.contains(to), || out("removed"))?;
                self.failovers.push((*from, *to, *reason));
                self.last_failover = Some(at);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn hear_degraded(&mut self, p: i32, cause: SwitchReason, at: u64) -> Outcome {
        if cause == SwitchReason::Condition {
            // Impaired: a last resort, not out.
            return Ok(());
        }
        // One that is impaired stays degraded when its packets come back, and may fail again.
        let twice = self.degraded.insert(p, at).is_some() && !self.impaired.contains(&p);
        demand(!twice, || format!("{p} degraded twice"))?;
        if cause != SwitchReason::Timeout {
            return Ok(());
        }
        // As of the last status: what was begun since then is not judged.
        let epoch = self.epochs.get(&p).copied();
        let begun = epoch.and_then(|epoch| self.activations.get(&epoch)).map(|known| known.after);
        let heard = epoch.and_then(|epoch| self.packets.get(&epoch).copied());
        if let Some(since) = heard.or(begun) {
            self.silent.push(Silent { priority: p, at, since, heard: heard.is_some() });
        }
        Ok(())
    }

    pub(crate) fn callbacks(&mut self, said: &[&'static str]) -> Outcome {
        for what in said {
            let twice = self.last_callback.replace(what) == Some(what);
            demand(!twice, || format!("the {what} callback twice"))?;
            let first = self.callbacks_exhausted == 0 && *what == "restored";
            demand(!first, || "restored is called back first".to_owned())?;
            self.callbacks_exhausted += usize::from(*what == "exhausted");
        }
        Ok(())
    }

    // --- What it reads ---

    pub(crate) fn status(&mut self, status: &RuntimeStatus, now: u64) -> Outcome {
        self.one_is_active(status)?;
        self.the_driver_runs_what_is_reported(status)?;
        self.history_is_told(status)?;
        let agree = status.exhausted == self.exhausted;
        demand(agree, || "the flag and the events of exhausted disagree".to_owned())?;
        let called_back = self.last_callback == Some("exhausted");
        demand(called_back == self.exhausted, || "the callbacks say otherwise".to_owned())?;
        self.epochs.clear();
        let impaired = status.inputs.iter().filter(|input| !input.impaired.is_empty());
        self.impaired = impaired.map(|input| input.input_priority).collect();
        for input in &status.inputs {
            let p = input.input_priority;
            self.epochs.extend(input.epoch.map(|epoch| (p, epoch.get())));
            match input.status {
                InputStatus::Degraded if input.impaired.is_empty() => {
                    // Since when is not known: an edit has left it so.
                    self.degraded.entry(p).or_insert(0);
                }
                InputStatus::Degraded | InputStatus::Stopped => {}
                _ => {
                    let known = self.degraded.contains_key(&p) && input.impaired.is_empty();
                    demand(!known, || format!("{p} has recovered, and nobody was told"))?;
                }
            }
        }
        self.now = now;
        Ok(())
    }

    /// At most one input is active, and it is the stream's.
    fn one_is_active(&self, status: &RuntimeStatus) -> Outcome {
        let active = status.inputs.iter().filter(|input| input.status == InputStatus::Active);
        let active: Vec<i32> = active.map(|input| input.input_priority).collect();
        demand(active.len() <= 1, || format!("{active:?} are active"))?;
        let own = active.iter().all(|p| Some(*p) == status.active_input_priority);
        demand(own, || format!("{active:?} is active, and not the stream's"))?;
        let stands = status.active_input_priority.and_then(|p| status.input(p));
        let at_rest = status.pending_input_priority.or(status.leaving_input_priority).is_none();
        let stopped = stands.is_some_and(|input| input.status == InputStatus::Stopped);
        demand(!(stopped && at_rest), || "the stream is with a stopped input".to_owned())
    }

    /// What the driver was told to run is what the status shows, and what is leaving.
    fn the_driver_runs_what_is_reported(&self, status: &RuntimeStatus) -> Outcome {
        let cold = status.inputs.iter().filter(|input| !input.hot);
        let mut reported = 0;
        for input in cold {
            let p = input.input_priority;
            let Some(epoch) = input.epoch.map(|epoch| epoch.get()) else { continue };
            reported += 1;
            let runs = self
                .activations
                .get(&epoch)
                .is_some_and(|known| !known.stopped && !known.failed && known.priority == p);
            demand(runs, || format!("{p} reports epoch {epoch}, which the driver does not run"))?;
            let early = !self.activations[&epoch].accepted && !self.packets.contains_key(&epoch);
            demand(!(input.running && early), || format!("{p} runs before its start is accepted"))?;
        }
        let runs = self.activations.values().filter(|known| !known.stopped && !known.failed);
        let (runs, leaving) = (runs.count(), usize::from(status.leaving_input_priority.is_some()));
        let agree = (reported..=reported + leaving).contains(&runs);
        demand(agree, || format!("the driver runs {runs}, the status shows {reported}"))
    }

    /// §5.4: every entry that is a change has one event and one count, in order.
    fn history_is_told(&self, status: &RuntimeStatus) -> Outcome {
        let entries = status.switches.iter().filter_map(|entry| {
            let from = entry.from.filter(|from| *from != entry.to)?;
            Some((from, entry.to, entry.reason))
        });
        let entries: Vec<_> = entries.collect();
        let told = self.failovers.iter().rev().take(entries.len());
        demand(entries.iter().eq(told), || "history and events disagree".to_owned())?;
        let counted = status.failovers_total == self.failovers.len() as u64;
        demand(counted, || "the failovers counted are not those told".to_owned())
    }

    /// Deadlines are never early, by the timeouts in force.
    pub(crate) fn nothing_was_early(&mut self, engine: &HandEngine) -> Outcome {
        let policy = engine.config();
        let or = |own: i64, below: u64| if own == 0 { below } else { own as u64 * MS };
        let inherited = or(self.stream_timeout_ms, or(policy.packet_timeout_ms, 30_000 * MS));
        for Silent { priority, at, since, heard } in std::mem::take(&mut self.silent) {
            let Ok(known) = engine.input_health(S, priority) else { continue };
            let own = or(known.input.packet_timeout_ms, inherited);
            let connect = or(known.input.connect_timeout_ms, or(policy.connect_timeout_ms, 0));
            let span = if heard || connect == 0 { own } else { connect };
            let early = at - since < span;
            demand(!early, || {
                format!("{priority} silent for {} ns of {span} at {at}", at - since)
            })?;
        }
        self.failbacks_are_not_early(&policy)?;
        self.probes_are_not_early(&policy)
    }

    fn failbacks_are_not_early(&mut self, policy: &EngineConfig) -> Outcome {
        let cooldown = match policy.failback_cooldown_ms {
            0 => 12_000,
            own => own as u64,
        };
        for (last, at) in self.failbacks.drain(..) {
            demand(at - last >= cooldown * MS, || {
                format!("a failback at {at}, {} ns after a switch", at - last)
            })?;
        }
        Ok(())
    }

    /// §6.1: not before its cooldown is over.
    fn probes_are_not_early(&mut self, policy: &EngineConfig) -> Outcome {
        let cooldown = match policy.probe_cooldown_ms {
            0 => 8_000,
            own => own as u64,
        };
        let now = self.now;
        for (p, at) in std::mem::take(&mut self.probes) {
            let early = now - at < cooldown * MS;
            demand(!early, || format!("a probe of {p} within its cooldown, at {now}"))?;
        }
        Ok(())
    }
}
