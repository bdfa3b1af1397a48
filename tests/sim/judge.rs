//! What must hold of every driver call, event and callback, and of the status after them.

use changeover::{DriverCall, Event, EventKind, InputStatus, RuntimeStatus, SwitchReason};

use crate::rig::{Rig, index_of};
use crate::rng::fold;
use crate::shadow::Stream;
use crate::verdicts::{Wrong, judge_failover, judge_probe, judge_start, judge_timeout, wrong};

/// Switches that a status shows.
const HISTORY: usize = 20;

impl Rig {
    pub(crate) fn judge_call(&mut self, i: usize, call: &DriverCall) {
        let (now, stream) = (self.now, &self.streams[i]);
        if self.recorded == Some(i) {
            let text = format!("{:>16} > {}", self.now, told_call(call));
            self.told.push(text);
        }
        let found = match call {
            _ if !stream.registered && !matches!(call, DriverCall::Stop(_)) => {
                wrong("gone", format!("a driver call for a stream that is gone: {call:?}"))
            }
            DriverCall::Start(call) => judge_start(stream, call.input.priority, call.epoch.get()),
            DriverCall::Stop(call) => {
                let epoch = call.epoch.get();
                match stream.activations.iter().find(|a| a.epoch == epoch) {
                    Some(a) if a.runs() => None,
                    Some(a) if a.failed => {
                        wrong("one stop", format!("e{epoch} failed to start, and is stopped"))
                    }
                    _ => wrong("one stop", format!("e{epoch} is stopped, and does not run")),
                }
            }
            DriverCall::Probe(call) => judge_probe(stream, call.input.priority, now),
            DriverCall::Rebind(call) => {
                let epoch = call.epoch.get();
                let known = stream.activations.iter().any(|a| a.epoch == epoch && a.runs());
                if known {
                    None
                } else {
                    wrong("one stop", format!("e{epoch} is rebound, and does not run"))
                }
            }
            _ => None,
        };
        if let Some((check, text)) = found {
            self.fail(i, check, text);
        }
    }

    pub(crate) fn take_event(&mut self, event: &Event) {
        if event.id != self.last_event + 1 {
            let text = format!("event {} follows {}", event.id, self.last_event);
            self.fail(self.current, "no event lost", text);
        }
        self.last_event = event.id;
        self.sum = fold(self.sum, event.at_ns ^ event.id);
        if let EventKind::Stall { .. } = event.kind {
            self.counts.add("engine: stall");
            self.stalls.woken(event.at_ns);
            if self.stall_from.is_none() {
                self.fail(self.current, "stalls", "a stall that nobody made");
            }
            return;
        }
        let Some(i) = event.stream.as_deref().and_then(index_of) else { return };
        if self.recorded == Some(i) {
            self.told.push(format!("{:>16} * {:?}", event.at_ns, event.kind));
            if let EventKind::InputFailover { from, to, reason, .. } = &event.kind {
                self.failovers.push((event.at_ns, format!("{from}>{to} {reason}")));
            }
        }
        if event.at_ns > self.now {
            self.fail(i, "event times", "an event of the future");
        }
        if !self.streams[i].registered || event.id <= self.streams[i].last_event {
            let text = format!("an event of a stream that is gone: {:?}", event.kind);
            return self.fail(i, "gone", text);
        }
        self.streams[i].last_event = event.id;
        if !std::mem::replace(&mut self.streams[i].touched, true) {
            self.touched.push(i);
        }
        if let Some((check, text)) = self.judge_event(i, event) {
            self.fail(i, check, text);
        }
    }

    fn judge_event(&mut self, i: usize, event: &Event) -> Wrong {
        let at = event.at_ns;
        let stream = &mut self.streams[i];
        let soft = stream.soft;
        match &event.kind {
            EventKind::InputDegraded { input_priority: p, reason, cause } => {
                self.counts.add(match cause {
                    SwitchReason::Timeout => "degraded: timeout",
                    SwitchReason::Error => "degraded: error",
                    _ => "degraded: health",
                });
                let active = stream.active == Some(*p);
                let Some(input) = stream.input(*p) else {
                    return wrong("known inputs", format!("input {p} is degraded, and unknown"));
                };
                let was = input.degraded.replace((at, *cause));
                input.failed = Some((at, *cause));
                input.bad_at = at;
                if active {
                    self.counts.add("degraded: the active one");
                }
                let found = match cause {
                    _ if was.is_some() && !soft => {
                        wrong("degraded once", format!("input {p} is degraded twice"))
                    }
                    SwitchReason::Timeout => judge_timeout(input, at, &self.stalls, reason),
                    SwitchReason::Error if input.error_at.is_none_or(|error| error < at) => wrong(
                        "errors",
                        format!("input {p} is degraded by an error that nobody reported"),
                    ),
                    _ => None,
                };
                if *cause == SwitchReason::Error {
                    input.ends(at);
                }
                found
            }
            EventKind::InputRecovered { input_priority: p, evidence } => {
                self.counts.add(match *evidence {
                    "packets" => "recovered: packets",
                    "probe" => "recovered: probe",
                    _ => "recovered: otherwise",
                });
                let Some(input) = stream.input(*p) else {
                    return wrong("known inputs", format!("input {p} recovers, and is unknown"));
                };
                let Some((since, _)) = input.degraded.take() else {
                    return if soft {
                        None
                    } else {
                        wrong("evidence", format!("input {p} recovers, and had not failed"))
                    };
                };
                let proof = match *evidence {
                    "packets" => input.arrival,
                    "probe" => input.probe_good_at,
                    _ => return None,
                };
                if proof.is_some_and(|proof| proof >= since) {
                    None
                } else {
                    wrong(
                        "evidence",
                        format!("input {p} recovers by {evidence}, and there were none since"),
                    )
                }
            }
            EventKind::InputFailover { from, to, reason, .. } => {
                self.counts.add(count_name(*reason));
                let found = judge_failover(stream, *from, *to, *reason, at);
                stream.active = Some(*to);
                stream.failovers += 1;
                stream.history.push_front((*from, *to, *reason));
                stream.history.truncate(HISTORY);
                stream.last_switch = Some(at);
                found
            }
            EventKind::Exhausted => {
                self.counts.add("exhausted");
                let fit = stream.inputs.iter().find(|input| input.is_fit());
                let fit = fit.map(|input| format!("exhausted, and input {} is fit", input.p));
                if std::mem::replace(&mut stream.exhausted, true) {
                    return wrong("exhausted in turn", "exhausted twice");
                }
                fit.filter(|_| !soft).and_then(|text| wrong("exhausted truly", text))
            }
            EventKind::Restored { input_priority } => {
                self.counts.add("restored");
                stream.active = Some(*input_priority);
                if !std::mem::replace(&mut stream.exhausted, false) {
                    return wrong("exhausted in turn", "restored, and was not exhausted");
                }
                None
            }
            EventKind::OverrideSet { input_priority } => {
                self.counts.add("override set");
                stream.override_ = Some(*input_priority);
                stream.free_since = at;
                None
            }
            EventKind::OverrideCleared { .. } => {
                (stream.override_, stream.free_since) = (None, at);
                None
            }
            EventKind::HoldSet { .. } => {
                self.counts.add("hold set");
                (stream.hold, stream.free_since) = (true, at);
                None
            }
            EventKind::HoldReleased { .. } => {
                (stream.hold, stream.free_since) = (false, at);
                stream.hold_ended_at = Some(at);
                // Dead and kept: from now on somebody else may be taken.
                stream.last_forward = stream.last_forward.max(at);
                None
            }
            EventKind::SwitchDecided { to, .. } => {
                if let Some(input) = stream.input(*to).filter(|i| i.hot && i.epoch.is_none()) {
                    input.wanted_at.get_or_insert(at);
                }
                None
            }
            EventKind::SwitchFailed { .. } => {
                self.counts.add("switch failed");
                None
            }
            EventKind::SwitchRefused { .. } => {
                self.counts.add("switch refused");
                None
            }
            EventKind::InputCleared { .. } => {
                stream.impaired = stream.impaired.saturating_sub(1);
                None
            }
            EventKind::InputImpaired { .. } => {
                self.counts.add("impaired");
                stream.soft = true;
                stream.impaired += 1;
                None
            }
            EventKind::FirstPacket { .. } => {
                self.counts.add("first packet");
                None
            }
            _ => None,
        }
    }

    /// Errors that callbacks have reported, and switches that they asked for.
    pub(crate) fn take_reports(&mut self) {
        let (reported, switched) = {
            let mut shared = self.callbacks.lock().expect("no panic inside");
            (std::mem::take(&mut shared.reported), std::mem::take(&mut shared.switched))
        };
        let now = self.now;
        for (id, p) in reported {
            let input = index_of(&id).and_then(|i| self.streams[i].input(p));
            if let Some(input) = input {
                (input.error_at, input.bad_at) = (Some(now), now);
            }
        }
        for i in switched.iter().filter_map(|id| index_of(id)) {
            self.streams[i].word_at = Some(now);
        }
    }

    /// Rules are clear: from now on all is judged again.
    fn sober_up(&mut self, i: usize, status: &RuntimeStatus) {
        let now = self.now;
        let stream = &mut self.streams[i];
        // What is switched off does not show how it is.
        let black = stream.inputs.iter().any(|input| input.black || !input.enabled);
        if !stream.soft || stream.rules || stream.impaired > 0 || black || now < stream.soft_until {
            return;
        }
        stream.soft = false;
        stream.free_since = now;
        for input in &mut stream.inputs {
            let shown = status.input(input.p).map(|shown| shown.status);
            if shown != Some(InputStatus::Degraded) {
                input.degraded = None;
            } else if input.degraded.is_none() {
                input.degraded = input.failed;
            }
        }
    }

    /// Exhausted and restored callbacks come in turn, and the last one says what is so.
    pub(crate) fn take_callbacks(&mut self) {
        let (told, unregistered) = {
            let mut shared = self.callbacks.lock().expect("no panic inside");
            (std::mem::take(&mut shared.told), std::mem::take(&mut shared.unregistered))
        };
        for (id, exhausted) in told {
            let Some(i) = index_of(&id) else { continue };
            self.counts.add("callback");
            let stream = &mut self.streams[i];
            let before = std::mem::replace(&mut stream.called_exhausted, exhausted);
            if before == exhausted {
                self.fail(
                    i,
                    "exhausted in turn",
                    format!("the callback says exhausted {exhausted} twice"),
                );
            }
        }
        for id in unregistered {
            if let Some(i) = index_of(&id) {
                self.counts.add("unregistered by a callback");
                self.is_gone(i);
            }
        }
    }

    /// The stream has been unregistered: everything of it has ended.
    pub(crate) fn is_gone(&mut self, i: usize) {
        for event in self.events.drain() {
            self.take_event(&event);
        }
        for call in self.engine.calls() {
            self.take_call(call);
        }
        let id = self.streams[i].id.clone();
        let known = self.engine.is_registered(&id) || self.engine.runtime_status(&id).is_ok();
        let undecided = self.streams[i].tickets.iter().any(|ticket| ticket.outcome().is_none());
        let stream = &mut self.streams[i];
        stream.registered = false;
        stream.called_exhausted = false;
        let runs = stream.activations.iter().find(|a| a.runs()).map(|a| a.epoch);
        let packet = changeover::Packet::new(1);
        let mut lines: Vec<_> = stream.gone.drain(..).map(|(_, line)| line).collect();
        for input in &mut stream.inputs {
            lines.extend(input.cur.take());
            lines.extend(input.old.take());
        }
        let stale =
            lines.iter_mut().all(|l| l.recorder.record(packet) == changeover::Verdict::Stale);
        drop(lines);
        // What is answered now is answered in vain.
        let tokens = stream.activations.drain(..).flat_map(|a| [a.token, a.spare]).flatten();
        let probes = stream.probes.drain(..).map(|probe| probe.token);
        let answers: Vec<_> = tokens.chain(probes).collect();
        answers.into_iter().for_each(changeover::AnswerToken::done);
        stream.tickets.clear();
        if let Some(epoch) = runs {
            self.fail(i, "gone", format!("unregistered, and e{epoch} was never stopped"));
        }
        if known || !stale || undecided {
            self.fail(
                i,
                "gone",
                format!(
                    "unregistered: known {known}, stale {stale}, undecided tickets {undecided}"
                ),
            );
        }
    }

    /// The status tells the same story as the events and the driver calls.
    pub(crate) fn compare(&mut self, i: usize) {
        let stream = &mut self.streams[i];
        if !stream.registered {
            return;
        }
        let Ok(status) = self.engine.runtime_status(&stream.id) else {
            return self.fail(i, "one story", "registered, and unknown");
        };
        self.sober_up(i, &status);
        let stream = &mut self.streams[i];
        stream.tickets.retain(|ticket| ticket.outcome().is_none());
        let told = stream.active;
        // Only from none, or to none, without a failover event.
        if told.is_none() || status.active_input_priority.is_none() {
            stream.active = status.active_input_priority;
        }
        let switches = status.switches.iter();
        let kept =
            switches.filter_map(|s| Some((s.from.filter(|from| *from != s.to)?, s.to, s.reason)));
        let history_agrees = kept.clone().eq(stream.history.iter().copied().take(kept.count()));
        let actives = status.inputs.iter().filter(|i| i.status == InputStatus::Active).count();
        let cold = || status.inputs.iter().filter(|input| !input.hot);
        let reported = cold().filter(|input| input.epoch.is_some()).count();
        let runs = stream.activations.iter().filter(|a| a.runs()).count();
        let leaving = usize::from(status.leaving_input_priority.is_some());
        let unknown = cold()
            .filter_map(|input| input.epoch)
            .find(|epoch| !stream.activations.iter().any(|a| a.epoch == epoch.get() && a.runs()));
        let same = |p: i32, state: InputStatus, stream: &Stream| {
            stream.at(p).is_some_and(|at| {
                let input = &stream.inputs[at];
                match state {
                    InputStatus::Stopped => !input.enabled,
                    InputStatus::Degraded => input.enabled && input.degraded.is_some(),
                    _ => input.enabled && input.degraded.is_none(),
                }
            })
        };
        let differs = status.inputs.iter().find(|s| !same(s.input_priority, s.status, stream));
        let found = if status.exhausted != stream.exhausted {
            wrong("one story", "the flag and the events of exhaustion disagree")
        } else if status.exhausted != stream.called_exhausted {
            wrong("one story", "the flag and the callbacks disagree")
        } else if status.active_input_priority != stream.active {
            wrong(
                "one story",
                format!(
                    "on {:?} by the status, on {told:?} by the events",
                    status.active_input_priority
                ),
            )
        } else if status.failovers_total != stream.failovers || !history_agrees {
            wrong(
                "one story",
                format!(
                    "{} failovers counted, {} told; the history agrees: {history_agrees}",
                    status.failovers_total, stream.failovers
                ),
            )
        } else if actives > 1 {
            wrong("one on the air", "two inputs are active")
        } else if status.override_input_priority != stream.override_
            || status.hold.is_some() != stream.hold
        {
            wrong("one story", "override or hold are not as told")
        } else if let Some(epoch) = unknown {
            wrong(
                "driver runs what is reported",
                format!("e{epoch} is reported, and the driver runs no such thing"),
            )
        } else if !(reported..=reported + leaving).contains(&runs) {
            wrong(
                "driver runs what is reported",
                format!(
                    "the driver runs {runs}, the status shows {reported}, and {leaving} leaving"
                ),
            )
        } else if let Some(input) = differs.filter(|_| !stream.soft) {
            wrong(
                "one story",
                format!("input {} is {:?}, not as told", input.input_priority, input.status),
            )
        } else {
            None
        };
        if let Some((check, text)) = found {
            self.fail(i, check, text);
        }
    }
}

fn count_name(reason: SwitchReason) -> &'static str {
    match reason {
        SwitchReason::Timeout => "failover: timeout",
        SwitchReason::Error => "failover: error",
        SwitchReason::Failback => "failover: failback",
        SwitchReason::Recovery => "failover: recovery",
        SwitchReason::Manual => "failover: manual",
        SwitchReason::InputAdded => "failover: input added",
        SwitchReason::InputRemoved => "failover: input removed",
        SwitchReason::HoldReleased => "failover: hold released",
        _ => "failover: health",
    }
}

fn told_call(call: &DriverCall) -> String {
    match call {
        DriverCall::Start(call) => format!("start {} e{}", call.input.priority, call.epoch),
        DriverCall::Stop(call) => format!("stop {} e{}", call.input_priority, call.epoch),
        DriverCall::Probe(call) => format!("probe {}", call.input.priority),
        DriverCall::Rebind(call) => {
            format!("rebind {}>{} e{}", call.from_priority, call.input.priority, call.epoch)
        }
        other => format!("keyframe {}", other.input_priority()),
    }
}
