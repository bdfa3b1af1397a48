//! §4: packets prove, silence and errors degrade.

use changeover::{InputConfig, SwitchReason, Verdict};

use super::{Failure, Input, MS, Model, Run};

/// A failback that lasts for so long was a good one.
const CLEAN: u64 = 60_000 * MS;
/// No damping beyond this.
const MOST_DAMPED: u64 = 300_000 * MS;

impl Model {
    /// §4.1: a packet of an open epoch. The verdict: whether this packet goes out.
    pub(crate) fn packet(&mut self, epoch: u64) -> Verdict {
        self.hear(epoch, true)
    }

    /// The seed's call (§4.1): counts while the input has an open epoch; a hot input without a
    /// recorder gets one from its first packet, which does not go out itself.
    pub(crate) fn packet_by_id(&mut self, p: i32) -> Verdict {
        let Some(input) = self.inputs.get(&p) else { return Verdict::Stale };
        let own = |l: &&super::Leaving| l.config.priority == p && !l.removed;
        let leaving = self.leaving.as_ref().filter(own).map(|leaving| leaving.run.epoch);
        match input.epoch().or(leaving) {
            Some(epoch) => self.packet(epoch),
            None if input.config.hot && !input.had_recorder => {
                let epoch = self.opened(p, true);
                let _ = self.hear(epoch, false);
                Verdict::Drop
            }
            None => Verdict::Stale,
        }
    }

    /// `may_cut`: it came after its epoch was opened.
    fn hear(&mut self, epoch: u64, may_cut: bool) -> Verdict {
        self.hold_ended = false;
        let on_air = self.on_air() == Some(epoch);
        let now = self.now;
        if let Some(leaving) = self.leaving.as_mut().filter(|leaving| leaving.run.epoch == epoch) {
            leaving.run.hear(now);
            let (p, removed) = (leaving.config.priority, leaving.removed);
            if let Some(input) = self.inputs.get_mut(&p).filter(|_| !removed) {
                input.last_packet = Some(now);
            }
            self.settle();
            return verdict(on_air);
        }
        let Some(p) = self.input_of(epoch) else { return Verdict::Stale };
        // §5.2: the target's first packet makes the switch.
        let cuts =
            may_cut && !on_air && self.pending.as_ref().is_some_and(|pending| pending.target == p);
        let input = self.inputs.get_mut(&p).expect("known");
        let run = input.run.as_mut().expect("its epoch");
        run.hear(now);
        let accepted_by_packet = !std::mem::replace(&mut run.accepted, true);
        input.last_packet = Some(now);
        input.wanted_since = None;
        // §6.1: a probe's result is ignored if the input delivers by itself.
        (input.in_flight, input.cooling_since) = (None, None);
        let enabled = input.enabled;
        if accepted_by_packet {
            self.event(format!("started {p} e{epoch}"));
        }
        if enabled {
            self.prove(p, "packets");
        }
        if cuts {
            self.accept_ticket();
            self.take_effect(true);
        }
        self.settle();
        verdict(on_air || cuts)
    }

    /// §4.6: evidence is in.
    pub(super) fn prove(&mut self, p: i32, evidence: &'static str) {
        let (now, is_active) = (self.now, self.active == Some(p));
        let input = self.inputs.get_mut(&p).expect("known");
        let impaired = input.is_impaired();
        input.proved = true;
        if evidence == "packets" {
            if !impaired {
                input.steady_since.get_or_insert(now);
            }
            input.errors.clear();
            (input.vouched, input.vain_at) = (false, None);
        } else if input.last_failure.is_some() {
            input.vouched = true;
        }
        if input.failure.take().is_none() {
            return;
        }
        input.cooling_since = None;
        if self.hold_died == Some(p) {
            self.hold_died = None;
        }
        // An impaired standby stays degraded: that it is not is told when its conditions are over.
        input.told_degraded |= impaired && !is_active;
        if !impaired || is_active {
            self.event(format!("recovered {p} {evidence}"));
        }
    }

    /// When this activation counts as silent, and the span that it is allowed (§4.2, §4.3).
    pub(super) fn silence_ends(&self, config: &InputConfig, run: &Run) -> (u64, u64) {
        let (from, span) = match run.last {
            Some(last) => (last, self.packet_timeout(config)),
            None if run.reconnects => (run.since, self.packet_timeout(config)),
            None => (run.since, self.connect_timeout(config)),
        };
        (self.moved(from.saturating_add(span), span), span)
    }

    /// When this input is to be degraded for its silence, if nothing comes.
    pub(super) fn silent_at(&self, input: &Input) -> Option<(u64, u64)> {
        if !input.enabled {
            return None;
        }
        match &input.run {
            // A degraded one is judged again only while it is tried out.
            Some(run) if input.failure.is_none() || (run.trial && run.last.is_none()) => {
                Some(self.silence_ends(&input.config, run))
            }
            Some(_) => None,
            None if input.failure.is_some() => None,
            None => input.wanted_since.map(|since| {
                let span = self.connect_timeout(&input.config);
                (self.moved(since + span, span), span)
            }),
        }
    }

    pub(super) fn delivers(&self, input: &Input) -> bool {
        input.run.as_ref().is_some_and(|run| self.run_delivers(&input.config, run))
    }

    /// §1 *delivering*.
    pub(super) fn run_delivers(&self, config: &InputConfig, run: &Run) -> bool {
        run.last.is_some() && self.now < self.silence_ends(config, run).0
    }

    pub(super) fn judge_silence(&mut self) {
        for p in self.priorities() {
            let input = &self.inputs[&p];
            let Some((at, span)) = self.silent_at(input) else { continue };
            if self.now < at {
                continue;
            }
            let why = match &input.run {
                Some(run) if !run.accepted => {
                    format!("start did not answer within {}", told(span))
                }
                run => {
                    let since = match run {
                        Some(run) => run.last.unwrap_or(run.since),
                        None => input.wanted_since.unwrap_or(self.now),
                    };
                    format!("no packet for {} (timeout {})", told(self.now - since), told(span))
                }
            };
            self.degrade(p, SwitchReason::Timeout, why);
        }
        let silent = self
            .leaving
            .as_ref()
            .is_some_and(|leaving| self.now >= self.silence_ends(&leaving.config, &leaving.run).0);
        if silent {
            self.end_leaving();
        }
    }

    pub(super) fn degrade(&mut self, p: i32, cause: SwitchReason, why: String) {
        let now = self.now;
        let most = self.error_history();
        let input = self.inputs.get_mut(&p).expect("known");
        let was_degraded = input.failure.is_some();
        input.errors.insert(0, (now, why.clone()));
        input.errors.truncate(most);
        input.last_failure = Some((now, why.clone(), cause));
        input.proved = false;
        (input.steady_since, input.wanted_since) = (None, None);
        if !input.config.hot {
            input.cooling_since = Some(now);
        }
        let run = input.run.as_ref();
        if input.vouched && run.is_some_and(|run| run.packets == 0) {
            input.vain_at = Some(now);
        }
        input.vouched = false;
        let timeout = cause == SwitchReason::Timeout;
        let silent_after = run.and_then(|run| run.stamp).filter(|_| timeout);
        // §1: an error ends the activation, silence alone does not. open: a start that was never
        // answered, and a trial that brought nothing, are over too.
        let over =
            !timeout || run.is_some_and(|run| !run.accepted || (run.trial && run.last.is_none()));
        input.failure = Some(Failure { cause, why: why.clone(), silent_after });
        if over {
            self.end_run(p);
        }
        if was_degraded {
            return;
        }
        self.event(format!("degraded {p} {cause} '{why}'"));
        if self.pending.as_ref().is_some_and(|pending| pending.target == p) {
            self.fail_pending(&why);
        }
        // §7.2: the override persists until its input degrades.
        self.drop_override_of(p, "degraded");
        if self.hold.is_some_and(|hold| hold.priority == p && !hold.keep) {
            self.drop_hold("dead");
            self.hold_died = Some(p);
        }
        if self.active == Some(p) {
            self.note_death(p);
        }
    }

    /// §4.4. `p`: whose it is said to be; a recorder names its epoch only.
    pub(crate) fn error(&mut self, p: Option<i32>, epoch: Option<u64>, message: &str) {
        self.hold_ended = false;
        self.hear_error(p, epoch, message);
        self.settle();
    }

    fn hear_error(&mut self, p: Option<i32>, epoch: Option<u64>, message: &str) {
        if let Some(leaving) = &self.leaving {
            // open: whom a report without an epoch means while its input is leaving: the leaving
            // activation, unless the number is another source's by now.
            let means_it = match (epoch, p) {
                (Some(epoch), _) => epoch == leaving.run.epoch,
                (None, Some(p)) => {
                    let known = self.inputs.get(&p);
                    leaving.config.priority == p
                        && known.is_none_or(|input| !input.enabled && !leaving.removed)
                }
                (None, None) => false,
            };
            if means_it {
                return self.end_leaving();
            }
        }
        let p = match (epoch, p) {
            (Some(epoch), said) => {
                self.input_of(epoch).filter(|p| said.is_none_or(|said| said == *p))
            }
            (None, said) => said,
        };
        let Some(input) = p.and_then(|p| self.inputs.get(&p)) else { return };
        let p = input.config.priority;
        let on_trial = input.run.as_ref().is_some_and(|run| run.trial);
        if input.is_candidate() || on_trial {
            self.degrade(p, SwitchReason::Error, message.to_owned());
        } else {
            // §4.4: ignored where degraded or stopped already; open: but its activation is over.
            self.end_run(p);
        }
    }

    /// §10: the driver's answer to a start.
    pub(crate) fn started(&mut self, epoch: u64, outcome: Result<(), &str>) {
        self.hold_ended = false;
        if let Some(leaving) = self.leaving.as_mut().filter(|leaving| leaving.run.epoch == epoch) {
            leaving.run.accepted = true;
            leaving.stopped |= outcome.is_err();
            if outcome.is_err() {
                self.end_leaving();
            }
        } else if let Some(p) = self.input_of(epoch).filter(|p| !self.inputs[p].config.hot) {
            let input = self.inputs.get_mut(&p).expect("known");
            match outcome {
                Ok(()) => {
                    let run = input.run.as_mut().expect("its epoch");
                    if !std::mem::replace(&mut run.accepted, true) {
                        self.event(format!("started {p} e{epoch}"));
                    }
                }
                Err(why) => {
                    if input.vouched {
                        input.vain_at = Some(self.now);
                    }
                    // Nothing runs, so that there is nothing to stop.
                    input.take_run();
                    self.degrade(p, SwitchReason::Error, why.to_owned());
                }
            }
        }
        self.settle();
    }

    /// §1: a recorder opened on a hot input opens a new epoch (`by_id`: its first packet did).
    pub(crate) fn opened(&mut self, p: i32, by_id: bool) -> u64 {
        self.hold_ended = false;
        self.last_epoch += 1;
        let (epoch, now) = (self.last_epoch, self.now);
        let Some(input) = self.inputs.get_mut(&p) else { return epoch };
        input.had_recorder |= !by_id;
        // open: a reconnect buys no time: silence, and the wait for a first packet, go on.
        let healthy = input.is_candidate();
        let wanted = input.wanted_since.filter(|_| healthy);
        let (since, reconnects) = match &input.run {
            Some(run) if healthy => match run.last {
                Some(last) => (last, true),
                None => (run.since, run.reconnects),
            },
            _ => (wanted.unwrap_or(now), false),
        };
        input.take_run();
        (input.wanted_since, input.steady_since) = (None, None);
        let run = Run::new(epoch, since);
        let run = Run { accepted: true, open: !by_id, by_id_only: by_id, ..run };
        input.run = Some(Run { reconnects, ..run });
        self.event(format!("started {p} e{epoch}"));
        self.settle();
        epoch
    }

    /// The last recorder of an epoch is gone.
    pub(crate) fn closed(&mut self, epoch: u64) {
        self.hold_ended = false;
        if let Some(p) = self.input_of(epoch) {
            let input = self.inputs.get_mut(&p).expect("known");
            input.run.iter_mut().for_each(|run| run.open = false);
        }
        self.settle();
    }

    // --- How often a failback was in vain ---

    pub(super) fn damped(&self, input: &Input, span: u64) -> u64 {
        let carries = self.active == Some(input.config.priority);
        let since = input.on_air_since.filter(|_| carries);
        let clean = since.is_some_and(|since| self.now - since >= CLEAN);
        let flaps = if clean { 0 } else { input.flaps.min(32) };
        span.saturating_mul(1 << flaps).min(MOST_DAMPED.max(span))
    }

    /// The input that carries the stream has failed.
    pub(super) fn note_death(&mut self, p: i32) {
        let now = self.now;
        let input = self.inputs.get_mut(&p).expect("known");
        if let Some(since) = input.on_air_since.take() {
            if now - since >= CLEAN {
                input.flaps = 0;
            } else if input.came_back {
                input.flaps += 1;
            }
        }
    }

    /// The stream has left it alive: a failback that lasted was a good one.
    pub(super) fn note_end(&mut self, p: i32) {
        let now = self.now;
        let input = self.inputs.get_mut(&p).expect("known");
        if input.on_air_since.take().is_some_and(|since| now - since >= CLEAN) {
            input.flaps = 0;
        }
    }
}

fn verdict(forward: bool) -> Verdict {
    if forward { Verdict::Forward(0) } else { Verdict::Drop }
}

/// §4.2: whole seconds from 10 s up, else whole ms, truncated.
fn told(span: u64) -> String {
    if span >= 10_000 * MS {
        format!("{}s", span / (1_000 * MS))
    } else {
        format!("{}ms", span / MS)
    }
}
