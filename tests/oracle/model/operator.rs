//! §7: override, hold, disabling.

use changeover::SwitchReason;

use super::{Held, Kind, Model, Ordered, first_set};

impl Model {
    /// Why an input cannot be switched to (§7.1).
    pub(crate) fn refusal(&self, p: i32) -> Option<&'static str> {
        let carries = self.left.is_none() && self.active == Some(p);
        match self.inputs.get(&p) {
            None => Some("unknown"),
            Some(input) if !input.enabled => Some("stopped"),
            Some(input) if input.failure.is_some() => Some("degraded"),
            Some(input) if input.is_impaired() && !carries => Some("degraded"),
            Some(_) => None,
        }
    }

    /// An order to go to an eligible input, and stay.
    pub(crate) fn order(&mut self, p: i32, hold: Option<Ordered>, ticket: usize) {
        self.hold_ended = false;
        if self.refusal(p).is_some() {
            return;
        }
        if self.active == Some(p) && self.is_settled() {
            // §7.2: again to the same input: no restart, no history.
            self.supersede("the operator chose to stay");
            self.said.tickets.push((ticket, Ok(())));
            match hold {
                Some(hold) => self.set_hold(p, hold),
                None => self.set_override(p),
            }
        } else if let Some(pending) = self
            .pending
            .as_mut()
            .filter(|pending| pending.kind == Kind::Manual && pending.target == p)
        {
            pending.tickets.push(ticket);
            // A hold's life begins with its own acceptance.
            pending.accepted &= hold.is_none();
            pending.hold = hold;
        } else {
            let why = Some((SwitchReason::Manual, String::new()));
            self.begin(p, Kind::Manual, why, Some(ticket), hold);
        }
        self.settle();
    }

    pub(crate) fn clear_override(&mut self) {
        self.hold_ended = false;
        if self.pending.as_ref().is_some_and(|p| p.kind == Kind::Manual && p.hold.is_none()) {
            self.supersede("the override was cleared");
        }
        if let Some(p) = self.override_ {
            self.drop_override_of(p, "operator");
        }
        self.settle();
    }

    pub(crate) fn release_hold(&mut self) {
        self.hold_ended = false;
        if self.pending.as_ref().is_some_and(|p| p.kind == Kind::Manual && p.hold.is_some()) {
            self.supersede("the hold was released");
        }
        self.hold_ended = self.hold.is_some();
        self.drop_hold("operator");
        self.settle();
    }

    pub(super) fn set_override(&mut self, p: i32) {
        self.drop_hold("override");
        if self.override_.replace(p) != Some(p) {
            self.event(format!("override_set {p}"));
        }
    }

    pub(super) fn drop_override_of(&mut self, p: i32, why: &'static str) {
        if self.override_ == Some(p) {
            self.override_ = None;
            self.event(format!("override_cleared {p} {why}"));
        }
    }

    pub(super) fn set_hold(&mut self, priority: i32, hold: Ordered) {
        if let Some(p) = self.override_ {
            self.drop_override_of(p, "hold");
        }
        self.drop_hold("hold");
        let ttl = first_set(&[hold.ttl_ms, 600_000]);
        self.hold = Some(Held { priority, until: self.now + ttl, keep: hold.keep });
        self.hold_died = None;
        self.event(format!("hold_set {priority} {}", ttl / super::MS));
    }

    pub(super) fn drop_hold(&mut self, why: &'static str) {
        if let Some(hold) = self.hold.take() {
            self.event(format!("hold_released {} {why}", hold.priority));
        }
    }

    pub(super) fn drop_hold_of(&mut self, p: i32, why: &'static str) {
        if self.hold.is_some_and(|hold| hold.priority == p) {
            self.drop_hold(why);
        }
    }

    pub(super) fn end_hold_in_time(&mut self) {
        if self.hold.is_some_and(|hold| self.now >= hold.until) {
            self.drop_hold("expired");
            self.hold_ended = true;
            if self.pending.as_ref().is_some_and(|p| p.hold.is_some() && p.accepted) {
                self.supersede("the hold ended before it was effective");
            }
        }
    }

    /// §7.3: the operator switches an input off or on.
    pub(crate) fn enable(&mut self, p: i32, on: bool) {
        self.hold_ended = false;
        if self.inputs.get(&p).is_some_and(|input| input.enabled != on) {
            if on { self.switch_on(p) } else { self.switch_off(p) }
        }
        self.settle();
    }

    /// Enabling makes it idle and unproved.
    fn switch_on(&mut self, p: i32) {
        let now = self.now;
        let is_left = self.left.is_some() && self.active == Some(p);
        let flows = self.delivers(&self.inputs[&p]);
        let input = self.inputs.get_mut(&p).expect("known");
        input.enabled = true;
        input.proved = false;
        (input.steady_since, input.cooling_since) = (None, None);
        if is_left && self.leaving.as_ref().is_some_and(|leaving| !leaving.removed) {
            // It was to be left, and is still the one: nothing happens to it.
            input.run = self.leaving.take().map(|leaving| leaving.run);
            self.left = None;
        } else if is_left && self.leaving.is_none() && input.run.is_some() {
            self.left = None;
        } else if let Some(run) = input.run.as_mut().filter(|_| !flows) {
            // A hot one that has been silent meanwhile: its clocks start anew.
            (run.since, run.reconnects, run.last) = (now, false, None);
        }
        if input.failure.take().is_some() {
            self.event(format!("recovered {p} enabled"));
        }
    }

    /// Its degradation is kept; an active one is left like a removed one.
    fn switch_off(&mut self, p: i32) {
        if self.pending.as_ref().is_some_and(|pending| pending.target == p) {
            self.supersede("the target was disabled");
        }
        self.drop_override_of(p, "disabled");
        self.drop_hold_of(p, "disabled");
        self.leave(p, SwitchReason::Manual, "disabled");
        if !self.inputs[&p].config.hot {
            self.end_run(p);
        }
        let input = self.inputs.get_mut(&p).expect("known");
        (input.enabled, input.proved) = (false, false);
        (input.wanted_since, input.in_flight) = (None, None);
    }
}
