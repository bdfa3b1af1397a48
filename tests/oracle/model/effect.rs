//! §5.2, §5.4, §6.4: a decided switch becomes effective, or fails; exhausted and restored.

use changeover::SwitchReason;

use super::{Entry, Kind, Model, Noted, Run, Switched};

impl Model {
    pub(super) fn progress(&mut self) {
        let Some(pending) = &self.pending else { return };
        let input = &self.inputs[&pending.target];
        let accepted = input.config.hot || input.run.as_ref().is_some_and(|run| run.accepted);
        if accepted {
            self.accept_ticket();
            if !self.air_delivers() {
                self.take_effect(false);
            }
        }
    }

    /// §7.1: the override is set at acceptance.
    pub(super) fn accept_ticket(&mut self) {
        let Some(pending) = self.pending.as_mut().filter(|p| p.kind == Kind::Manual) else {
            return;
        };
        let first = !std::mem::replace(&mut pending.accepted, true);
        let (target, hold) = (pending.target, pending.hold);
        let tickets = std::mem::take(&mut pending.tickets);
        self.said.tickets.extend(tickets.into_iter().map(|ticket| (ticket, Ok(()))));
        match hold {
            Some(hold) if first => self.set_hold(target, hold),
            Some(_) => {}
            None => self.set_override(target),
        }
    }

    /// The stream carries the pending target from now on. `cut`: its own packet did it.
    pub(super) fn take_effect(&mut self, cut: bool) {
        let forced = !self.is_settled();
        let Some(pending) = self.pending.take() else { return };
        let (from, to) = (self.active, pending.target);
        let (reason, detail) = self.effective_reason(&pending, forced);
        let old_stamp = self.last_on_air();
        self.active = Some(to);
        (self.left, self.hold_died) = (None, None);
        self.end_leaving();
        self.record(from, to, reason, detail, pending.decided_at);
        if from != Some(to) {
            let run = self.inputs[&to].run.as_ref();
            let (epoch, packets) = (run.map(|run| run.epoch), run.map_or(0, |run| run.packets));
            let at = self.now;
            self.entry = Some(Entry { at, old_stamp, epoch, packets });
            if cut {
                self.close_entry();
            }
            if let Some(from) = from.filter(|from| self.inputs.contains_key(from)) {
                self.note_left(from, reason);
            }
            // open: a soft move to a cold input is a guess, and is damped like a failback.
            let guess = pending.kind == Kind::Soft && !self.inputs[&to].config.hot;
            let back = matches!(reason, SwitchReason::Failback | SwitchReason::HoldReleased)
                && from.is_some_and(|from| to < from);
            let now = self.now;
            let input = self.inputs.get_mut(&to).expect("known");
            (input.on_air_since, input.came_back) = (Some(now), guess || back);
        }
        // §6.4: the flag clears at the acceptance for a proved one, else at its first packet.
        if self.exhausted {
            if self.inputs[&to].proved {
                self.restore(to);
            } else {
                self.recovery_recorded = true;
            }
        }
    }

    /// §5.3: the reason is that of the trigger that made the switch effective.
    fn effective_reason(&self, pending: &super::Pending, forced: bool) -> (SwitchReason, String) {
        if self.exhausted {
            return (SwitchReason::Recovery, String::new());
        }
        if self.active.is_none() {
            return (SwitchReason::Initial, String::new());
        }
        let ordered = pending.kind == Kind::Manual && pending.forced;
        if !forced || ordered || pending.reason == SwitchReason::HoldReleased {
            return (pending.reason, pending.detail.clone());
        }
        let (reason, detail) = self.forced_reason();
        // open: a move that the death of the held input forces says so.
        let held = self.hold_died == self.active;
        (reason, if held { "hold released".to_owned() } else { detail })
    }

    /// §5.4: one history entry; a change from somewhere to somewhere else has one failover event
    /// and one count.
    pub(super) fn record(
        &mut self,
        from: Option<i32>,
        to: i32,
        reason: SwitchReason,
        detail: String,
        decided_at: u64,
    ) {
        if from == Some(to) && reason != SwitchReason::Recovery {
            return;
        }
        let at = self.now;
        let noted = detail.clone();
        let entry = Switched {
            at,
            from,
            to,
            reason,
            detail: detail.clone(),
            decided_at,
            first_packet: None,
            stall_us: None,
        };
        self.switches.insert(0, entry);
        self.switches.truncate(self.switch_history());
        let (what, to_) = ("effective", Some(to));
        self.note(Noted {
            at,
            what,
            from,
            to: to_,
            reason,
            rule: None,
            until: None,
            detail: noted,
        });
        if let Some(from) = from.filter(|from| *from != to) {
            self.failovers += 1;
            self.last_switch = Some(at);
            self.refused = None;
            self.event(format!("failover {from}>{to} {reason} '{detail}'"));
        }
    }

    /// A switch failed before it was effective: the stream never left the old input, but for one
    /// that had only stayed for this target (§8.2).
    pub(super) fn fail_pending(&mut self, why: &str) {
        self.abort(why, "switch_failed");
        self.end_leaving();
    }

    pub(super) fn supersede(&mut self, why: &str) {
        self.abort(why, "superseded");
    }

    fn abort(&mut self, message: &str, gone: &'static str) {
        let Some(pending) = self.pending.take() else { return };
        for ticket in pending.tickets {
            self.said.tickets.push((ticket, Err(message.to_owned())));
        }
        let (from, to, reason) = (self.active, pending.target, pending.reason);
        if let Some(input) = self.inputs.get_mut(&to).filter(|input| input.config.hot) {
            input.wanted_since = None;
        }
        self.event(format!("switch_failed {from:?}>{to} {reason} '{message}'"));
        let (at, what, to_, detail) = (self.now, "failed", Some(to), message.to_owned());
        self.note(Noted { at, what, from, to: to_, reason, rule: None, until: None, detail });
        if pending.accepted {
            self.drop_override_of(to, gone);
            self.drop_hold_of(to, gone);
        }
    }

    /// §6.4: no candidate is left.
    pub(super) fn nothing_left(&mut self) {
        if self.priorities().iter().any(|p| self.is_candidate(*p)) {
            // Known to be worse off than the one on the air, all of them.
            return;
        }
        let lost_the_last = self.inputs.is_empty() && self.active.is_some();
        let failed = self.inputs.values().any(|input| input.enabled && input.failure.is_some());
        self.end_leaving();
        if self.left.take().is_some() {
            self.active = None;
        }
        self.recovery_recorded = false;
        if self.exhausted || !(lost_the_last || failed) {
            return;
        }
        self.exhausted = true;
        if let Some(p) = self.override_ {
            self.drop_override_of(p, "exhausted");
        }
        self.drop_hold("exhausted");
        self.event("exhausted".to_owned());
        self.callback("exhausted");
    }

    /// §6.4: packets on the active one itself.
    pub(super) fn restored_by_packets(&mut self) {
        let Some(active) = self.active.filter(|_| self.exhausted && self.active_delivers()) else {
            return;
        };
        if !self.recovery_recorded {
            let now = self.now;
            let input = self.inputs.get_mut(&active).expect("it delivers");
            (input.on_air_since, input.came_back) = (Some(now), false);
            let detail = "ingest auto-reconnect".to_owned();
            self.record(Some(active), active, SwitchReason::Recovery, detail, now);
        }
        self.restore(active);
    }

    fn restore(&mut self, p: i32) {
        (self.exhausted, self.recovery_recorded) = (false, false);
        self.event(format!("restored {p}"));
        self.callback("restored");
    }

    // --- The driver ---

    pub(super) fn start(&mut self, p: i32, trial: bool) {
        self.last_epoch += 1;
        let (epoch, now) = (self.last_epoch, self.now);
        let input = self.inputs.get_mut(&p).expect("known");
        // §6.1: a probe's result is ignored if the input was started meanwhile.
        input.in_flight = None;
        input.run = Some(Run { trial, ..Run::new(epoch, now) });
        let call = format!("start {p} {} e{epoch} {}", input.config.address, self.buffer);
        self.call(call);
    }

    pub(super) fn end_run(&mut self, p: i32) {
        let input = self.inputs.get_mut(&p).expect("known");
        let hot = input.config.hot;
        if let Some(run) = input.take_run().filter(|_| !hot) {
            self.call(format!("stop {p} e{}", run.epoch));
        }
    }

    pub(super) fn end_leaving(&mut self) {
        let Some(leaving) = self.leaving.take() else { return };
        let p = leaving.config.priority;
        if !leaving.config.hot && !leaving.stopped {
            self.call(format!("stop {p} e{}", leaving.run.epoch));
        }
        if let Some(input) = self.inputs.get_mut(&p).filter(|_| !leaving.removed) {
            input.packets_before += leaving.run.packets;
        }
    }

    // --- The first packet after a move ---

    /// The last packet of what is on the air now (what the stall is measured from).
    fn last_on_air(&self) -> Option<u64> {
        if let Some(entry) = &self.entry {
            return entry.old_stamp;
        }
        let last = self.active.and_then(|p| self.inputs.get(&p)).and_then(|i| i.last_packet);
        let on_air = match self.leaving_run() {
            Some((_, run)) => run.stamp,
            None => self.active_input().and_then(|input| input.run.as_ref()?.stamp),
        };
        on_air.or(last)
    }

    pub(super) fn await_first_packet(&mut self) {
        let Some(entry) = self.entry else { return };
        let input = self.active.and_then(|active| self.inputs.get(&active));
        let Some(run) = input.and_then(|input| input.run.as_ref()) else { return };
        let before = if entry.epoch == Some(run.epoch) { entry.packets } else { 0 };
        if run.packets > before {
            self.close_entry();
        }
    }

    fn close_entry(&mut self) {
        let Some(entry) = self.entry.take() else { return };
        let input = self.active.and_then(|active| self.inputs.get(&active));
        let Some(run) = input.and_then(|input| input.run.as_ref()) else { return };
        let Some(at) = run.stamp else { return };
        let stall_us = entry.old_stamp.map(|old| at.saturating_sub(old) / 1_000);
        let made = |s: &&mut Switched| s.at == entry.at && s.from != Some(s.to);
        if let Some(switch) = self.switches.iter_mut().find(made) {
            (switch.first_packet, switch.stall_us) = (Some(at), stall_us);
        }
        let p = self.active.expect("checked");
        self.event(format!("first_packet {p} {stall_us:?}"));
    }

    /// The target of a decided switch delivers: its next packet makes the cut.
    pub(super) fn note_armed(&mut self) {
        if self.active.is_none() {
            self.entry = None;
        }
        let from = self.active;
        let Some(pending) = self.pending.as_mut().filter(|pending| !pending.armed) else { return };
        let to = pending.target;
        let run = self.inputs[&to].run.as_ref();
        if run.is_some_and(|run| run.last.is_some()) {
            pending.armed = true;
            self.event(format!("armed {from:?}>{to}"));
        }
    }
}
