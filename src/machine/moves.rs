//! Moves that soft health asks for: away from an impaired input, and never to something worse.

use super::deciding::Begin;
use super::{Cx, Impairment, Input, Machine, Wish};
use crate::types::{Nanos, Priority, SwitchReason};

/// Another input must be this much better on the rule to be worth a cut; a move that is on its
/// way goes on until its target is this much worse.
const MARGIN: f64 = 1.1;

impl Machine {
    /// The active input is impaired: moves the stream to an input that is better on what is
    /// wrong. Answers whether it did, or says why not.
    pub(super) fn leave_impaired(&mut self, cx: &mut Cx<'_>) -> Result<bool, Wish> {
        let Some(active) = self.active.and_then(|active| self.index_of(active)) else {
            return Ok(false);
        };
        let wrong = self.impairments(cx, active);
        let Some(first) = wrong.first() else { return Ok(false) };
        if self.pending.is_some() {
            // It is being left already.
            return Ok(false);
        }
        let mut refusal = None;
        let mut best: Option<(bool, Priority)> = None;
        for i in (0..self.inputs.len()).filter(|i| *i != active) {
            let to = self.inputs[i].priority();
            match self.is_better_on(cx, active, i, &wrong, false) {
                Ok(impaired) => {
                    best = Some(best.map_or((impaired, to), |best| best.min((impaired, to))));
                }
                Err(why) => {
                    let detail = format!("{}: input {to} {why}", first.text());
                    let rule = "not_better";
                    let wish = Wish { to: Some(to), reason: first.rule, rule, until: None, detail };
                    refusal.get_or_insert(wish);
                }
            }
        }
        let wish =
            |to, rule, until| Wish { to, reason: first.rule, rule, until, detail: first.text() };
        match best {
            None => Err(refusal.unwrap_or_else(|| wish(None, "no_other_input", None))),
            Some((_, to)) if self.override_.is_some() => Err(wish(Some(to), "override", None)),
            Some((_, to)) if self.hold.is_some() => {
                Err(wish(Some(to), "held", self.hold.as_ref().map(|hold| hold.expires_at)))
            }
            // Nobody knows whether it is any better, and it was tried in vain before.
            Some((_, to)) if cx.now < self.speculation_end(cx, to) => {
                let until = Some(self.speculation_end(cx, to));
                Err(wish(Some(to), "failback_cooldown", until))
            }
            // Between two that are both impaired there is no hurry.
            Some((true, to)) if cx.now < self.cooldown_end(cx) => {
                Err(wish(Some(to), "failback_cooldown", Some(self.cooldown_end(cx))))
            }
            Some((_, to)) => {
                let ended = self.hold_ended;
                let reason = if ended { SwitchReason::HoldReleased } else { first.rule };
                self.begin(cx, to, Begin::soft(reason, first.text()));
                Ok(true)
            }
        }
    }

    /// Until when a cold input, of which nothing is measured before it runs, is not to be tried
    /// again for a soft reason: the damped cooldown, once it was left soon after it was taken.
    fn speculation_end(&self, cx: &Cx<'_>, to: Priority) -> Nanos {
        let input = self.index_of(to).map(|i| &self.inputs[i]);
        let damped = input.filter(|input| !cx.delivers(input) && input.damping.level > 0);
        damped.map_or(0, |input| self.cooldown_end_for(cx, input))
    }

    /// A soft move that is on its way stands only while its target is better.
    pub(super) fn pending_is_still_better(&self, cx: &Cx<'_>) -> bool {
        let Some(pending) = self.pending.as_ref().filter(|pending| pending.soft) else {
            return false;
        };
        let places = self.active.and_then(|active| self.index_of(active));
        let Some((active, i)) = places.zip(self.index_of(pending.target)) else { return false };
        let wrong = self.impairments(cx, active);
        !wrong.is_empty() && self.is_better_on(cx, active, i, &wrong, true).is_ok()
    }

    /// Whether an input is better than the active one on everything that is wrong with that;
    /// `true` = it is impaired itself, but less. `begun`: it was chosen already, and what is not
    /// measured yet does not speak against it.
    fn is_better_on(
        &self,
        cx: &Cx<'_>,
        active: usize,
        i: usize,
        wrong: &[Impairment],
        begun: bool,
    ) -> Result<bool, String> {
        let input = &self.inputs[i];
        if !input.enabled {
            return Err("is stopped".to_owned());
        }
        if input.failure.is_some() {
            return Err("is degraded".to_owned());
        }
        let own = self.impairments(cx, i);
        let other = own.iter().find(|own| {
            !wrong.iter().any(|wrong| wrong.rule == own.rule && wrong.name == own.name)
        });
        if let Some(other) = other {
            return Err(format!("is impaired ({})", other.text()));
        }
        if !input.config.hot && input.run.as_ref().is_none_or(|run| run.last.is_none()) {
            // Nothing can be measured before it delivers: it is taken at its word.
            return if own.is_empty() { Ok(false) } else { Err("is impaired".to_owned()) };
        }
        if !cx.delivers(input) {
            return Err("does not deliver".to_owned());
        }
        let margin = if begun { 1.0 / MARGIN } else { MARGIN };
        for wrong in wrong {
            match self.beats(&self.inputs[active], input, wrong, margin) {
                Err(_)
                    if begun
                        && wrong.rule != SwitchReason::Condition
                        && input.rates().is_none() => {}
                outcome => outcome?,
            }
        }
        Ok(!own.is_empty())
    }

    /// Whether `input` is better than `active` on one rule, by what is measured now.
    fn beats(
        &self,
        active: &Input,
        input: &Input,
        wrong: &Impairment,
        margin: f64,
    ) -> Result<(), String> {
        if wrong.rule == SwitchReason::Condition {
            let name = wrong.name.as_deref().unwrap_or_default();
            let has = input.soft.as_ref().is_some_and(|soft| soft.has_raised(name));
            return if has { Err(format!("has {name} raised too")) } else { Ok(()) };
        }
        let (Some(old), Some(new)) = (active.rates(), input.rates()) else {
            return Err("is not measured yet".to_owned());
        };
        let (better, shown) = match wrong.rule {
            SwitchReason::Bitrate => {
                (new.kbps > old.kbps * margin, format!("has {:.0} kbps", new.kbps))
            }
            SwitchReason::Fps => (new.fps > old.fps * margin, format!("has {:.1} fps", new.fps)),
            SwitchReason::Loss => (
                new.loss_percent * margin < old.loss_percent,
                format!("loses {:.1}%", new.loss_percent),
            ),
            _ => (new.video, "has no video".to_owned()),
        };
        if better { Ok(()) } else { Err(shown) }
    }
}
