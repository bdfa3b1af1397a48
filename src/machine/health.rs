//! Evidence: packets that prove an input, silence and errors that degrade it.

use super::ledger::push_first;
use super::{Action, Cx, Failure, Input, Machine, Sample};
use crate::events::EventKind;
use crate::types::{Epoch, Nanos, Priority, SwitchReason};

impl Machine {
    /// What the packet plane has counted for one epoch.
    pub(super) fn observe(&mut self, cx: &mut Cx<'_>, epoch: Epoch, sample: &Sample) {
        if let Some(leaving) = self.leaving.as_mut().filter(|l| l.run.epoch == epoch) {
            // One that was only switched off is still the input's.
            let heard = leaving.run.absorb(sample) && !leaving.removed;
            let priority = leaving.config.priority;
            if let Some(i) = self.index_of(priority).filter(|_| heard) {
                self.inputs[i].last_stamp = Some(sample.stamp);
            }
            return;
        }
        let Some(i) = self.index_of_epoch(epoch) else { return };
        let input = &mut self.inputs[i];
        let Some(run) = input.run.as_mut() else { return };
        if !run.absorb(sample) {
            return;
        }
        self.hear_gaps(i, sample);
        let input = &mut self.inputs[i];
        let Some(run) = input.run.as_mut() else { return };
        let accepted_by_packet = !std::mem::replace(&mut run.accepted, true);
        input.last_stamp = Some(sample.stamp);
        input.wanted_since = None;
        let priority = input.priority();
        if accepted_by_packet {
            cx.emit(EventKind::InputStarted { input_priority: priority, epoch });
        }
        // A packet that was T old when it came (by the host's own time) proves no end of a silence.
        let input = &self.inputs[i];
        let was_silent = |failure: &Failure| failure.cause == SwitchReason::Timeout;
        let is_old = input.failure.as_deref().is_some_and(was_silent) && !cx.delivers(input);
        // Whatever a probe in flight finds, another packet is the better proof.
        if let Some(probe) = self.inputs[i].probe.there().filter(|_| !is_old) {
            (probe.in_flight, probe.cooling_since) = (None, None);
        }
        let input = &self.inputs[i];
        if input.enabled && !is_old {
            self.prove(cx, i, sample.stamp, "packets");
        }
    }

    /// Evidence is in: the input is eligible again, and proved.
    pub(super) fn prove(&mut self, cx: &mut Cx<'_>, i: usize, at: Nanos, evidence: &'static str) {
        let input = &mut self.inputs[i];
        input.proved = true;
        if evidence == "packets" {
            if !input.is_impaired() {
                input.steady_since.get_or_insert(at);
            }
            // A probe makes it eligible; only packets clear what had gone wrong.
            if let Some(troubles) = input.troubles.there() {
                troubles.errors.clear();
                (troubles.vouched, troubles.vain_at) = (false, None);
            }
        } else if let Some(troubles) = input.troubles.there() {
            troubles.vouched = true;
        }
        let Some(failure) = input.failure.take() else { return };
        input.probe.there().into_iter().for_each(|probe| probe.cooling_since = None);
        // Its next death has another reason.
        let priority = input.priority();
        self.hold_died = self.hold_died.filter(|died| *died != priority);
        let input = &self.inputs[i];
        // What rules have found stands until it is cleared by what they measure.
        if !input.is_impaired() || self.active == Some(priority) {
            cx.emit(EventKind::InputRecovered { input_priority: priority, evidence });
        } else {
            self.owe_recovery(i);
        }
        if let Some(after) = failure.silent_after.filter(|_| failure.suspected) {
            self.unlearn(i, at.saturating_sub(after));
        }
    }

    /// Degrades what is due: silence, missing first packets, starts that never answered.
    pub(super) fn expire_runs(&mut self, cx: &mut Cx<'_>) {
        for i in 0..self.inputs.len() {
            self.confirm_suspicion(cx, i);
            let Some((deadline, span)) = self.run_deadline(cx, i) else { continue };
            if cx.now < deadline {
                continue;
            }
            let input = &self.inputs[i];
            let message = match &input.run {
                Some(run) if !run.accepted => told("start did not answer within ", &[(span, "")]),
                run => {
                    let since = match run {
                        Some(run) => run.last.unwrap_or(run.since),
                        None => input.wanted_since.unwrap_or(cx.now),
                    };
                    let silent = cx.now.saturating_sub(since);
                    let learned = run.as_ref().is_some_and(|run| run.is_learned(span));
                    let timeout = if learned { " (learned timeout " } else { " (timeout " };
                    told("no packet for ", &[(silent, timeout), (span, ")")])
                }
            };
            let suspected = input.run.as_ref().is_some_and(|run| run.is_learned(span))
                && span < cx.packet_timeout(&input.config);
            self.degrade(cx, i, SwitchReason::Timeout, message, suspected);
        }
        let silent = self
            .leaving
            .as_ref()
            .is_some_and(|l| cx.now >= cx.silence_deadline(&l.config, &l.run).0);
        if silent {
            self.end_leaving(cx);
        }
    }

    /// What was suspected has lasted for the packet timeout.
    fn confirm_suspicion(&mut self, cx: &mut Cx<'_>, i: usize) {
        let Input { config, run: Some(run), failure: Some(failure), .. } = &mut self.inputs[i]
        else {
            return;
        };
        if failure.suspected && cx.now >= cx.timeout_deadline(config, run) {
            failure.suspected = false;
            let why = failure.message.clone();
            let priority = self.inputs[i].priority();
            if self.pending.as_ref().is_some_and(|pending| pending.target == priority) {
                self.fail_pending(cx, &why);
            }
            self.end_of(cx, i);
        }
    }

    /// When an input counts as silent, and the span that it is allowed.
    pub(super) fn run_deadline(&self, cx: &Cx<'_>, i: usize) -> Option<(Nanos, Nanos)> {
        let input = &self.inputs[i];
        if !input.enabled {
            return None;
        }
        match (&input.run, input.wanted_since) {
            // A degraded run is only judged while it is on trial.
            (Some(run), _) if input.failure.is_none() || (run.trial && run.last.is_none()) => {
                Some(cx.silence_deadline(&input.config, run))
            }
            (None, Some(since)) if input.failure.is_none() => {
                let span = cx.connect_timeout(&input.config);
                Some((cx.stall.extend(since.saturating_add(span), span), span))
            }
            _ => None,
        }
    }

    /// An input has failed.
    pub(super) fn degrade(
        &mut self,
        cx: &mut Cx<'_>,
        i: usize,
        cause: SwitchReason,
        why: String,
        suspected: bool,
    ) {
        // What was only suspected is known by now.
        let was_degraded = self.inputs[i].failure.is_some() && !self.inputs[i].is_suspected();
        let input = &mut self.inputs[i];
        let priority = input.priority();
        let troubles = &mut *input.troubles;
        push_first(&mut troubles.errors, (cx.now, why.clone()), cx.policy.error_history);
        troubles.last_failure = Some((cx.now, why.clone(), cause));
        input.proved = false;
        input.steady_since = None;
        input.wanted_since = None;
        if !input.config.hot {
            input.probe.cooling_since = Some(cx.now);
        }
        if input.run.as_ref().is_some_and(|run| run.counts.packets == 0) {
            input.note_vain(cx.now);
        }
        input.troubles.vouched = false;
        let run = input.run.as_ref();
        let silent_after = run.and_then(|run| run.stamp).filter(|_| cause == SwitchReason::Timeout);
        let message = why.clone();
        input.failure = Some(Box::new(Failure { cause, message, silent_after, suspected }));
        // An error ends the activation, and so does a start that never answered or a trial that
        // brought nothing; silence alone does not.
        let over = cause == SwitchReason::Error
            || run.is_some_and(|run| !run.accepted || (run.trial && run.last.is_none()));
        if over {
            self.end_run(cx, i);
        }
        if was_degraded {
            return;
        }
        cx.emit(EventKind::InputDegraded { input_priority: priority, reason: why.clone(), cause });
        let is_target = self.pending.as_ref().filter(|pending| pending.target == priority);
        // An order of the operator's is not given up for a suspicion.
        if is_target.is_some_and(|pending| !(suspected && pending.manual)) {
            self.fail_pending(cx, &why);
        }
        if !suspected {
            self.end_of(cx, i);
        }
    }

    /// A failure beyond suspicion: the operator's word about the input ends, and a failback that
    /// had brought the stream to it has come to nothing.
    pub(super) fn end_of(&mut self, cx: &mut Cx<'_>, i: usize) {
        let priority = self.inputs[i].priority();
        self.drop_override_of(cx, priority, "degraded");
        self.held_has_died(cx, priority);
        if self.active == Some(priority) {
            self.note_death(cx, i);
        }
    }

    /// The host says that a source has failed.
    pub(super) fn on_error(
        &mut self,
        cx: &mut Cx<'_>,
        priority: Option<Priority>,
        epoch: Option<Epoch>,
        message: String,
    ) {
        if let Some(leaving) = &self.leaving {
            let means_it = match (epoch, priority) {
                (Some(epoch), _) => epoch == leaving.run.epoch,
                (None, Some(priority)) => {
                    let known = self.index_of(priority).map(|i| &self.inputs[i]);
                    leaving.config.priority == priority
                        && known.is_none_or(|input| !input.enabled && !leaving.removed)
                }
                (None, None) => false,
            };
            if means_it {
                return self.end_leaving(cx);
            }
        }
        let found = match epoch {
            Some(epoch) => self
                .index_of_epoch(epoch)
                .filter(|i| priority.is_none_or(|priority| priority == self.inputs[*i].priority())),
            None => priority.and_then(|priority| self.index_of(priority)),
        };
        let Some(i) = found else { return };
        let input = &self.inputs[i];
        if input.is_candidate() || (input.enabled && input.is_suspected()) {
            self.degrade(cx, i, SwitchReason::Error, message, false);
        } else if input.run.as_ref().is_some_and(|run| run.trial) {
            // The probe that this start stood for has failed.
            self.degrade(cx, i, SwitchReason::Error, message, false);
        } else {
            // Known to be degraded or stopped, so nothing is recorded; but its activation is
            // over, and leaving it open would keep the input from ever being probed.
            self.end_run(cx, i);
        }
    }

    /// The driver has answered a start.
    pub(super) fn on_started(
        &mut self,
        cx: &mut Cx<'_>,
        epoch: Epoch,
        outcome: Result<(), String>,
    ) {
        if let Some(leaving) = self.leaving.as_mut().filter(|l| l.run.epoch == epoch) {
            leaving.run.accepted = true;
            // Nothing runs after a failed start, so there is nothing to stop.
            leaving.stopped |= outcome.is_err();
            if outcome.is_err() {
                self.end_leaving(cx);
            }
            return;
        }
        let started = self.index_of_epoch(epoch).filter(|i| !self.inputs[*i].config.hot);
        let Some(i) = started else { return };
        match outcome {
            Ok(()) => {
                let input = &mut self.inputs[i];
                let priority = input.priority();
                let Some(run) = input.run.as_mut() else { return };
                if !std::mem::replace(&mut run.accepted, true) {
                    cx.emit(EventKind::InputStarted { input_priority: priority, epoch });
                }
            }
            Err(why) => {
                self.inputs[i].note_vain(cx.now);
                // Nothing runs, so there is nothing to stop.
                if let Some(run) = self.inputs[i].take_run() {
                    cx.act(Action::Close { epoch: run.epoch });
                }
                self.degrade(cx, i, SwitchReason::Error, why, false);
            }
        }
    }
}

/// Spans for people, each with the words after it: whole seconds from 10 s up, else whole
/// milliseconds, truncated. By hand: when very many inputs fail at once, `format!` is a tenth of all
/// that there is to do.
fn told(words: &str, spans: &[(Nanos, &str)]) -> String {
    let mut text = String::with_capacity(64);
    text.push_str(words);
    for (span, after) in spans {
        let (mut left, unit) = match span {
            10_000_000_000.. => (span / 1_000_000_000, "s"),
            _ => (span / 1_000_000, "ms"),
        };
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        text.extend(digits[at..].iter().map(|digit| char::from(*digit)));
        text.push_str(unit);
        text.push_str(after);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::told;

    #[test]
    fn spans_are_seconds_from_ten_up() {
        assert_eq!(told("", &[(30_999_999_999, "")]), "30s");
        assert_eq!(told("after ", &[(10_000_000_000, ", "), (0, "")]), "after 10s, 0ms");
        assert_eq!(told("", &[(9_999_999_999, "!")]), "9999ms!");
        assert_eq!(told("", &[(200_900_000, "")]), "200ms");
        assert_eq!(told("", &[(u64::MAX, "")]), "18446744073s");
    }
}
