//! Health beyond silence: rules on what an input delivers, conditions that the host raises, and
//! learned silence. Each has a hold time before it acts and a clear time before it is over.

use super::cadence::{Cadence, Learned};
use super::meter::{Meter, Rates, STEPS};
use super::{Cx, Impairment, Input, Machine, Sample};
use crate::config::Policy;
use crate::events::EventKind;
use crate::rules::{
    Condition, DEFAULT_LEARNED_CONFIDENCE, DEFAULT_LEARNED_FLOOR_MS, DEFAULT_RULE_CLEAR_MS,
    DEFAULT_RULE_HOLD_MS, HealthConfig, MAX_CONDITIONS, Silence, or,
};
use crate::spans::ms_to_ns;
use crate::types::{Epoch, Nanos, Priority, SwitchReason};

/// What is measured, in the order of [`Soft::rules`].
pub(super) const RULES: [SwitchReason; 4] =
    [SwitchReason::Bitrate, SwitchReason::Fps, SwitchReason::Loss, SwitchReason::TrackSilence];

/// One input's health beyond silence.
#[derive(Clone, Debug, Default)]
pub(crate) struct Soft {
    /// While it is sampled.
    pub(super) meter: Option<Box<Meter>>,
    pub(super) rules: [State; 4],
    pub(super) conditions: Vec<Raised>,
    pub(super) cadence: Option<Box<Cadence>>,
    /// The block of time whose predecessor the cadence knows.
    block: u64,
    /// The cadence has learned something since the run was last told.
    relearned: bool,
    /// It was told to be degraded, and is so for nothing else any more.
    pub(super) told_degraded: bool,
    /// For looks at an input that is not sampled.
    pub(super) glance: super::meter::Glance,
}

/// One rule or condition.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State {
    /// Since when it has been true without a pause.
    pub(super) true_since: Option<Nanos>,
    /// Acting, and since when it has been false without a pause.
    false_since: Option<Nanos>,
    /// Set while it acts.
    pub(super) failed_at: Option<Nanos>,
}

#[derive(Clone, Debug)]
pub(super) struct Raised {
    pub(super) condition: Condition,
    raised: bool,
    pub(super) state: State,
}

impl Raised {
    #[cfg(test)]
    pub(super) fn is_raised(&self) -> bool {
        self.raised
    }
}

impl State {
    /// Answers a change: it acts from now on (`true`), or is over.
    fn judge(&mut self, now: Nanos, is_true: bool, hold: Nanos, clear: Nanos) -> Option<bool> {
        if is_true {
            self.false_since = None;
            let since = *self.true_since.get_or_insert(now);
            let acts = self.failed_at.is_none() && now - since >= hold;
            return acts.then(|| {
                self.failed_at = Some(now);
                true
            });
        }
        self.true_since = None;
        self.failed_at?;
        let since = *self.false_since.get_or_insert(now);
        (now - since >= clear).then(|| {
            *self = Self::default();
            false
        })
    }

    /// Nothing can be measured now: what was true begins anew, what acts goes on.
    fn suspend(&mut self) {
        (self.true_since, self.false_since) = (None, None);
    }

    fn deadline(&self, hold: Nanos, clear: Nanos) -> Option<Nanos> {
        match (self.failed_at, self.true_since, self.false_since) {
            (None, Some(since), _) => Some(since.saturating_add(hold)),
            (Some(_), _, Some(since)) => Some(since.saturating_add(clear)),
            _ => None,
        }
    }
}

impl Soft {
    pub(super) fn is_failed(&self) -> bool {
        self.rules.iter().any(|state| state.failed_at.is_some())
            || self.conditions.iter().any(|raised| raised.state.failed_at.is_some())
    }

    /// In a few words.
    pub(super) fn what_failed(&self) -> String {
        let rules = self.rules.iter().zip(RULES).filter(|(state, _)| state.failed_at.is_some());
        let conditions = self.conditions.iter().filter(|raised| raised.state.failed_at.is_some());
        let names = rules.map(|(_, rule)| rule.as_str());
        let names = names.chain(conditions.map(|raised| raised.condition.name.as_str()));
        names.collect::<Vec<_>>().join(", ")
    }

    /// The conditions that the host has raised.
    pub(super) fn raised(&self) -> Vec<String> {
        let raised = self.conditions.iter().filter(|known| known.raised);
        raised.map(|known| known.condition.name.clone()).collect()
    }

    /// Whether the host has raised this condition, whether or not it acts yet.
    pub(super) fn has_raised(&self, name: &str) -> bool {
        self.conditions.iter().any(|known| known.condition.name == name)
    }

    /// A block of time has ended, in which packets came.
    fn hear_block(&mut self, block: u64, gap: Nanos) {
        let Some(cadence) = self.cadence.as_mut().filter(|_| block > self.block) else { return };
        let first = std::mem::replace(&mut self.block, block) == 0;
        // No gap at all: heard by id only, or the very first.
        if !first && gap > 0 {
            cadence.block(gap);
            self.relearned = true;
        }
    }
}

impl Input {
    pub(crate) fn is_impaired(&self) -> bool {
        self.soft.as_ref().is_some_and(|soft| soft.is_failed())
    }

    /// The rate estimates of the latest full window, where it is sampled.
    pub(super) fn rates(&self) -> Option<Rates> {
        self.soft.as_ref()?.meter.as_ref()?.rates()
    }
}

impl Machine {
    /// The rules that hold for an input.
    pub(super) fn rules_of(&self, cx: &Cx<'_>, input: &Input) -> Option<HealthConfig> {
        self.rules_under(cx.policy, input)
    }

    fn rules_under(&self, policy: &Policy, input: &Input) -> Option<HealthConfig> {
        let levels = [&input.config.health, &self.health, &policy.health];
        HealthConfig::inherit(levels.map(|level| level.as_deref()))
    }

    /// Whether the stream is sampled: one input's rule is judged against all of them.
    pub(super) fn is_sampled(&self, cx: &Cx<'_>) -> bool {
        let needs = |input| self.rules_of(cx, input).is_some_and(|rules| rules.needs_samples());
        self.inputs.iter().any(needs)
    }

    /// Whether the packet plane is to note this epoch's gaps.
    pub(crate) fn learns(&self, epoch: Epoch, policy: &Policy) -> bool {
        let input = self.index_of_epoch(epoch).map(|i| &self.inputs[i]);
        let rules = input.and_then(|input| self.rules_under(policy, input));
        rules.is_some_and(|rules| rules.learns())
    }

    /// What the gaps between an input's packets say.
    pub(super) fn hear_gaps(&mut self, i: usize, sample: &Sample) {
        if let Some(soft) = self.inputs[i].soft.as_mut() {
            soft.hear_block(sample.gap_block, sample.gap);
        }
    }

    /// A suspicion was wrong: so long a silence is usual for this input, as of now.
    pub(super) fn unlearn(&mut self, i: usize, silence: Nanos) {
        let Some(soft) = self.inputs[i].soft.as_mut() else { return };
        if let Some(cadence) = soft.cadence.as_mut() {
            cadence.block(silence);
            soft.relearned = true;
        }
    }

    /// Takes the samples that are due, and judges rules and conditions.
    pub(super) fn judge_health(&mut self, cx: &mut Cx<'_>) {
        let sampled = self.is_sampled(cx);
        for i in 0..self.inputs.len() {
            if self.inputs[i].soft.is_none() && !sampled {
                continue;
            }
            let rules = self.rules_of(cx, &self.inputs[i]).unwrap_or_default();
            let soft = self.inputs[i].soft.get_or_insert_with(Box::default);
            if sampled {
                soft.meter.get_or_insert_with(|| Box::new(Meter::new()));
            } else if soft.meter.take().is_some() {
                // The rules are gone, and what they had found with them.
                for (state, rule) in std::mem::take(&mut soft.rules).iter().zip(RULES) {
                    if state.failed_at.is_some() {
                        self.after_change(cx, i, rule, None);
                    }
                }
            }
            self.learn_silence(cx, i, &rules);
            self.judge_rules(cx, i, &rules);
            self.judge_conditions(cx, i);
        }
    }

    fn learn_silence(&mut self, cx: &Cx<'_>, i: usize, rules: &HealthConfig) {
        let input = &mut self.inputs[i];
        let Some(soft) = input.soft.as_mut() else { return };
        let Silence::Learned { floor_ms, ceiling_ms, confidence } = rules.silence else {
            soft.cadence = None;
            input.run.iter_mut().for_each(|run| run.learned = None);
            return;
        };
        let cadence = soft.cadence.get_or_insert_with(|| Box::new(Cadence::new()));
        let Some(run) = input.run.as_mut() else { return };
        if run.learned.is_some() && !std::mem::take(&mut soft.relearned) {
            return;
        }
        let timeout = cx.packet_timeout(&input.config);
        let ceiling_ns = if ceiling_ms == 0 { timeout } else { ms_to_ns(ceiling_ms).min(timeout) };
        let floor_ns = ms_to_ns(or(floor_ms, DEFAULT_LEARNED_FLOOR_MS)).min(ceiling_ns);
        let confidence = if confidence == 0.0 { DEFAULT_LEARNED_CONFIDENCE } else { confidence };
        run.learned = cadence.timeout(&Learned { floor_ns, ceiling_ns, confidence });
    }

    fn judge_rules(&mut self, cx: &mut Cx<'_>, i: usize, rules: &HealthConfig) {
        let step = rules.step_ns();
        let Input { soft, run, failure, enabled, .. } = &mut self.inputs[i];
        let Some(soft) = soft.as_mut() else { return };
        let Soft { meter: Some(meter), rules: states, .. } = &mut **soft else { return };
        let heard = run.as_ref().filter(|run| run.last.is_some());
        let Some(run) = heard.filter(|_| failure.is_none() && *enabled) else {
            meter.restart();
            let gone = run.is_none() && failure.is_none();
            for (at, state) in states.iter_mut().enumerate() {
                if !gone {
                    state.suspend();
                } else if state.judge(cx.now, false, 0, clear_of(rules, at)).is_some() {
                    // Stopped, and so not to be measured: its clear time has to do.
                    self.after_change(cx, i, RULES[at], None);
                    return self.judge_rules(cx, i, rules);
                }
            }
            return;
        };
        if meter.due(step).is_some_and(|due| cx.now < due) {
            return;
        }
        let rates = meter.sample(cx.now, run, step);
        let Some(rates) = rates else {
            // The window is not full: nothing is measured, and nothing counts as continuous.
            return states.iter_mut().for_each(State::suspend);
        };
        let totals = run.totals();
        let (frames_known, bytes_known) = (totals.frames > 0, totals.bytes > 0);
        let mut changes = [None; 4];
        let mut any = false;
        for (at, state) in states.iter_mut().enumerate() {
            let is_true = match RULES[at] {
                SwitchReason::Bitrate => {
                    let limit = bitrate_limit(rules, meter);
                    bytes_known && limit.is_some_and(|limit| rates.kbps < limit)
                }
                SwitchReason::Fps => {
                    frames_known && rules.fps.min > 0.0 && rates.fps < rules.fps.min
                }
                SwitchReason::Loss => {
                    let most = rules.loss.max_percent;
                    most > 0.0 && rates.loss_percent > most
                }
                _ => {
                    let span = ms_to_ns(rules.track_silence.video_ms);
                    span > 0 && meter.audio_outlives_video(cx.now, span, step)
                }
            };
            any |= is_true;
            changes[at] = state.judge(cx.now, is_true, hold_of(rules, at), clear_of(rules, at));
        }
        meter.learn(any || !bytes_known, step);
        for (at, change) in changes.into_iter().enumerate() {
            if let Some(acts) = change {
                let found = acts.then(|| self.impairment(cx, i, at)).flatten();
                self.after_change(cx, i, RULES[at], found);
            }
        }
    }

    fn judge_conditions(&mut self, cx: &mut Cx<'_>, i: usize) {
        let mut changes = Vec::new();
        let Some(soft) = self.inputs[i].soft.as_mut() else { return };
        for Raised { condition, raised, state } in &mut soft.conditions {
            let (hold, clear) = (condition.hold_ns(), condition.clear_ns());
            if let Some(acts) = state.judge(cx.now, *raised, hold, clear) {
                changes.push((acts, condition.name.clone(), hold));
            }
        }
        soft.conditions.retain(|known| known.raised || known.state.failed_at.is_some());
        for (acts, name, hold) in changes {
            let found = acts.then_some(Impairment {
                rule: SwitchReason::Condition,
                since: cx.now,
                name: Some(name),
                value: (hold / 1_000_000) as f64,
                limit: (hold / 1_000_000) as f64,
            });
            self.after_change(cx, i, SwitchReason::Condition, found);
        }
    }

    /// A rule or condition acts from now on, or is over.
    fn after_change(
        &mut self,
        cx: &mut Cx<'_>,
        i: usize,
        rule: SwitchReason,
        found: Option<Impairment>,
    ) {
        let carries = self.left.is_none() && self.active == Some(self.inputs[i].priority());
        let delivers = cx.delivers(&self.inputs[i]);
        let input = &mut self.inputs[i];
        let input_priority = input.priority();
        // Healthy from this moment on, if nothing else is wrong.
        input.steady_since = (delivers && !input.is_impaired()).then_some(cx.now);
        match found {
            Some(found) => {
                if carries {
                    self.note_death(cx, i);
                }
                let input = &self.inputs[i];
                let detail = found.text();
                cx.emit(EventKind::InputImpaired {
                    input_priority,
                    rule,
                    value: found.value,
                    limit: found.limit,
                    detail: detail.clone(),
                });
                if !carries && input.failure.is_none() {
                    cx.emit(EventKind::InputDegraded {
                        input_priority,
                        reason: detail,
                        cause: rule,
                    });
                    self.owe_recovery(i);
                }
            }
            None => {
                cx.emit(EventKind::InputCleared { input_priority, rule });
                let owed = input.soft.as_ref().is_some_and(|soft| soft.told_degraded);
                if (!carries || owed) && input.failure.is_none() && !input.is_impaired() {
                    let evidence = "health";
                    cx.emit(EventKind::InputRecovered { input_priority, evidence });
                    input.soft.iter_mut().for_each(|soft| soft.told_degraded = false);
                }
            }
        }
    }

    /// An impaired input was told to be degraded: that it is not is to be told when its rules are
    /// clear, whether or not it carries the stream by then.
    pub(super) fn owe_recovery(&mut self, i: usize) {
        self.inputs[i].soft.iter_mut().for_each(|soft| soft.told_degraded = true);
    }

    /// The next moment at which a sample is due, or a rule or condition changes by time alone.
    pub(super) fn health_deadline(&self, cx: &Cx<'_>, i: usize) -> Option<Nanos> {
        let input = &self.inputs[i];
        let soft = input.soft.as_ref()?;
        let rules = self.rules_of(cx, input).unwrap_or_default();
        let sample = soft.meter.as_ref().and_then(|meter| meter.due(rules.step_ns()));
        let states = soft.rules.iter().enumerate();
        let gone = states.filter_map(|(at, state)| {
            let clear = clear_of(&rules, at);
            state.deadline(hold_of(&rules, at), clear).filter(|_| input.run.is_none())
        });
        let conditions = soft.conditions.iter().filter_map(|known| {
            known.state.deadline(known.condition.hold_ns(), known.condition.clear_ns())
        });
        sample.into_iter().chain(gone).chain(conditions).min()
    }

    /// The host raises or clears a condition; the caller has validated it.
    pub(super) fn on_condition(
        &mut self,
        cx: &mut Cx<'_>,
        priority: Priority,
        condition: Condition,
        raise: bool,
    ) {
        let Some(i) = self.index_of(priority) else { return };
        let soft = self.inputs[i].soft.get_or_insert_with(Box::default);
        let room = soft.conditions.len() < MAX_CONDITIONS;
        let known = soft.conditions.iter_mut().find(|known| known.condition.name == condition.name);
        match known {
            Some(known) => {
                known.raised = raise;
                if raise {
                    known.condition = condition;
                }
            }
            None if raise && room => {
                let state = State::default();
                soft.conditions.push(Raised { condition, raised: true, state });
            }
            None => {}
        }
        self.judge_conditions(cx, i);
    }

    /// How many conditions an input has raised, this one aside.
    pub(crate) fn conditions_beside(&self, priority: Priority, name: &str) -> usize {
        let input = self.index_of(priority).map(|i| &self.inputs[i]);
        let soft = input.and_then(|input| input.soft.as_ref());
        soft.map_or(0, |soft| soft.conditions.iter().filter(|c| c.condition.name != name).count())
    }
}

/// The stricter of the absolute and the relative minimum, as far as they are known.
pub(super) fn bitrate_limit(rules: &HealthConfig, meter: &Meter) -> Option<f64> {
    let rule = &rules.bitrate;
    let relative = meter.reference_kbps().filter(|_| rule.min_percent > 0.0);
    let relative = relative.map(|reference| reference * rule.min_percent / 100.0);
    let absolute = Some(rule.min_kbps).filter(|kbps| *kbps > 0.0);
    [absolute, relative].into_iter().flatten().reduce(f64::max)
}

fn hold_of(rules: &HealthConfig, at: usize) -> Nanos {
    let own = match RULES[at] {
        SwitchReason::Bitrate => rules.bitrate.hold_ms,
        SwitchReason::Fps => rules.fps.hold_ms,
        SwitchReason::Loss => rules.loss.hold_ms,
        // Its span is its hold time.
        _ => return 0,
    };
    ms_to_ns(or(own, DEFAULT_RULE_HOLD_MS))
}

fn clear_of(rules: &HealthConfig, at: usize) -> Nanos {
    let own = match RULES[at] {
        SwitchReason::Bitrate => rules.bitrate.clear_ms,
        SwitchReason::Fps => rules.fps.clear_ms,
        SwitchReason::Loss => rules.loss.clear_ms,
        _ => rules.track_silence.clear_ms,
    };
    ms_to_ns(or(own, DEFAULT_RULE_CLEAR_MS))
}

/// The sliding window of an input.
pub(super) fn window_of(rules: &HealthConfig) -> Nanos {
    rules.step_ns().saturating_mul(STEPS as u64)
}
