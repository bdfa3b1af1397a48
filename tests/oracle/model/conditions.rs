//! Richer health: conditions that the host raises (rustdoc of `Engine::raise_condition`,
//! `Condition`, and of the events `input.impaired` and `input.cleared`).

use changeover::{Condition, SwitchReason};

use super::{Input, Kind, MS, Model, Raised, Wish, condition_spans};

/// A condition that acts.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) name: String,
    pub(super) since: u64,
    value_ms: u64,
    hold_ms: u64,
}

impl Wrong {
    pub(super) fn text(&self) -> String {
        format!("{} for {}ms (hold {}ms)", self.name, self.value_ms, self.hold_ms)
    }

    pub(super) fn shown(&self) -> String {
        format!("{} since {} {} {}", self.name, self.since, self.value_ms, self.hold_ms)
    }
}

impl Input {
    pub(super) fn is_impaired(&self) -> bool {
        self.conditions.iter().any(|known| known.acts_since.is_some())
    }

    fn has_raised(&self, name: &str) -> bool {
        self.conditions.iter().any(|known| known.condition.name == name)
    }
}

impl Model {
    pub(crate) fn raise(&mut self, p: i32, condition: Condition, raise: bool) {
        self.hold_ended = false;
        let Some(input) = self.inputs.get_mut(&p) else { return };
        let known = input.conditions.iter_mut().find(|k| k.condition.name == condition.name);
        match known {
            Some(known) => {
                known.raised = raise;
                if raise {
                    // Raising it again changes its times.
                    known.condition = condition;
                }
            }
            None if raise => input.conditions.push(Raised {
                condition,
                raised: true,
                true_since: None,
                false_since: None,
                acts_since: None,
            }),
            None => {}
        }
        self.judge_conditions_of(p);
        self.settle();
    }

    pub(super) fn judge_conditions(&mut self) {
        self.priorities().into_iter().for_each(|p| self.judge_conditions_of(p));
    }

    /// Raised for its hold time without a pause: it acts. Cleared for its clear time: it is over.
    fn judge_conditions_of(&mut self, p: i32) {
        let now = self.now;
        let mut changes = Vec::new();
        let input = self.inputs.get_mut(&p).expect("known");
        for known in &mut input.conditions {
            let (hold, clear) = condition_spans(&known.condition);
            if known.raised {
                known.false_since = None;
                let since = *known.true_since.get_or_insert(now);
                if known.acts_since.is_none() && now - since >= hold {
                    known.acts_since = Some(now);
                    changes.push((true, known.condition.name.clone(), hold / MS));
                }
            } else {
                known.true_since = None;
                if known.acts_since.is_some() {
                    let since = *known.false_since.get_or_insert(now);
                    if now - since >= clear {
                        (known.acts_since, known.false_since) = (None, None);
                        changes.push((false, known.condition.name.clone(), 0));
                    }
                }
            }
        }
        input.conditions.retain(|known| known.raised || known.acts_since.is_some());
        for (acts, name, hold_ms) in changes {
            self.condition_changed(p, acts, &name, hold_ms);
        }
    }

    fn condition_changed(&mut self, p: i32, acts: bool, name: &str, hold_ms: u64) {
        let now = self.now;
        let carries = self.left.is_none() && self.active == Some(p);
        let delivers = self.delivers(&self.inputs[&p]);
        let input = self.inputs.get_mut(&p).expect("known");
        let (alive, impaired) = (input.failure.is_none(), input.is_impaired());
        // Healthy from this moment on, if nothing else is wrong.
        input.steady_since = (delivers && !impaired).then_some(now);
        let reason = SwitchReason::Condition;
        if acts {
            if carries {
                self.note_death(p);
            }
            let text = format!("{name} for {hold_ms}ms (hold {hold_ms}ms)");
            self.event(format!("impaired {p} {reason} {hold_ms} {hold_ms} '{text}'"));
            if !carries && alive {
                self.event(format!("degraded {p} {reason} '{text}'"));
                self.inputs.get_mut(&p).expect("known").told_degraded = true;
            }
        } else {
            self.event(format!("cleared {p} {reason}"));
            let input = self.inputs.get_mut(&p).expect("known");
            if (!carries || input.told_degraded) && alive && !impaired {
                input.told_degraded = false;
                self.event(format!("recovered {p} health"));
            }
        }
    }

    /// The stream has left an input: an impaired one is degraded from now on.
    pub(super) fn note_left(&mut self, p: i32, reason: SwitchReason) {
        let wrong = self.wrongs(p);
        if !wrong.is_empty() && reason == SwitchReason::Condition {
            self.note_death(p);
        }
        self.note_end(p);
        let input = self.inputs.get_mut(&p).expect("known");
        if let Some(wrong) = wrong.first().filter(|_| input.is_candidate()) {
            (input.steady_since, input.told_degraded) = (None, true);
            let text = wrong.text();
            self.event(format!("degraded {p} {} '{text}'", SwitchReason::Condition));
        }
    }

    /// All that is wrong with an input, the oldest first.
    pub(super) fn wrongs(&self, p: i32) -> Vec<Wrong> {
        let acting = self.inputs[&p].conditions.iter().filter_map(|known| {
            Some(Wrong {
                name: known.condition.name.clone(),
                since: known.acts_since?,
                value_ms: (self.now - known.true_since.unwrap_or(self.now)) / MS,
                hold_ms: condition_spans(&known.condition).0 / MS,
            })
        });
        let mut all: Vec<_> = acting.collect();
        all.sort_by_key(|wrong| wrong.since);
        all
    }

    /// The active input is impaired: the stream moves to one that is better on what is wrong, if
    /// there is one (answers whether it does), or says what stands against it.
    pub(super) fn leave_impaired(&mut self) -> Result<bool, Wish> {
        let active = self.active.expect("it is impaired");
        let wrong = self.wrongs(active);
        if self.pending.is_some() {
            return Ok(false);
        }
        let (text, reason) = (wrong[0].text(), SwitchReason::Condition);
        let mut refusal = None;
        let mut best = None;
        for p in self.priorities().into_iter().filter(|p| *p != active) {
            match self.not_better(p, &wrong) {
                None => best = best.or(Some(p)),
                Some(why) => {
                    let detail = format!("{text}: input {p} {why}");
                    let (to, rule, until) = (Some(p), "not_better", None);
                    refusal.get_or_insert(Wish { to, reason, rule, until, detail });
                }
            }
        }
        let wish = |to, rule, until| Wish { to, reason, rule, until, detail: text.clone() };
        let Some(to) = best else {
            return Err(refusal.unwrap_or_else(|| wish(None, "no_other_input", None)));
        };
        if self.override_.is_some() {
            return Err(wish(best, "override", None));
        }
        if let Some(hold) = self.hold {
            return Err(wish(best, "held", Some(hold.until)));
        }
        // open: a cold input that was tried for this in vain waits for its damped cooldown.
        let input = &self.inputs[&to];
        let tried = !self.delivers(input) && input.flaps > 0;
        let end = self.cooldown_end_for(input);
        if tried && self.now < end {
            return Err(wish(best, "failback_cooldown", Some(end)));
        }
        let reason = if self.hold_ended { SwitchReason::HoldReleased } else { reason };
        self.begin(to, Kind::Soft, Some((reason, text)), None, None);
        Ok(true)
    }

    /// A soft move that is on its way stands only while its target is better.
    pub(super) fn soft_target_is_better(&self, target: i32) -> bool {
        let active = self.active.filter(|active| self.inputs.contains_key(active));
        let wrong = active.map(|active| self.wrongs(active)).unwrap_or_default();
        !wrong.is_empty() && self.not_better(target, &wrong).is_none()
    }

    /// Why an input is not better than the active one on everything that is wrong with that.
    fn not_better(&self, p: i32, wrong: &[Wrong]) -> Option<String> {
        let input = &self.inputs[&p];
        if !input.enabled {
            return Some("is stopped".to_owned());
        }
        if input.failure.is_some() {
            return Some("is degraded".to_owned());
        }
        let own = self.wrongs(p);
        if let Some(other) = own.iter().find(|own| !wrong.iter().any(|w| w.name == own.name)) {
            return Some(format!("is impaired ({})", other.text()));
        }
        if !input.config.hot && input.run.as_ref().is_none_or(|run| run.last.is_none()) {
            // Nothing is known of it before it delivers: it is taken at its word.
            return (!own.is_empty()).then(|| "is impaired".to_owned());
        }
        if !self.delivers(input) {
            return Some("does not deliver".to_owned());
        }
        let too = wrong.iter().find(|wrong| input.has_raised(&wrong.name));
        too.map(|wrong| format!("has {} raised too", wrong.name))
    }
}
