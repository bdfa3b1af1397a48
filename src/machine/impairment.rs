//! What is wrong with an input beyond silence, with its numbers.

use super::soft::{RULES, bitrate_limit};
use super::{Cx, Machine};
use crate::types::{Nanos, SwitchReason};

/// A rule or condition that acts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Impairment {
    pub(crate) rule: SwitchReason,
    pub(crate) since: Nanos,
    /// The condition's name.
    pub(crate) name: Option<String>,
    pub(crate) value: f64,
    pub(crate) limit: f64,
}

impl Machine {
    /// All that is wrong with an input, the oldest first.
    pub(crate) fn impairments(&self, cx: &Cx<'_>, i: usize) -> Vec<Impairment> {
        let Some(soft) = self.inputs[i].soft.as_ref() else { return Vec::new() };
        let rules = (0..RULES.len()).filter_map(|at| self.impairment(cx, i, at));
        let conditions = soft.conditions.iter().filter_map(|known| {
            let hold = (known.condition.hold_ns() / 1_000_000) as f64;
            Some(Impairment {
                rule: SwitchReason::Condition,
                since: known.state.failed_at?,
                name: Some(known.condition.name.clone()),
                value: (cx.now.saturating_sub(known.state.true_since.unwrap_or(cx.now)) / 1_000_000)
                    as f64,
                limit: hold,
            })
        });
        let mut all: Vec<_> = rules.chain(conditions).collect();
        all.sort_by_key(|found| found.since);
        all
    }

    /// One rule, where it acts, with what is measured now.
    pub(super) fn impairment(&self, cx: &Cx<'_>, i: usize, at: usize) -> Option<Impairment> {
        let input = &self.inputs[i];
        let soft = input.soft.as_ref()?;
        let since = soft.rules[at].failed_at?;
        let rules = self.rules_of(cx, input).unwrap_or_default();
        let meter = soft.meter.as_ref()?;
        let rates = meter.rates().unwrap_or_default();
        let (value, limit) = match RULES[at] {
            SwitchReason::Bitrate => (rates.kbps, bitrate_limit(&rules, meter).unwrap_or(0.0)),
            SwitchReason::Fps => (rates.fps, rules.fps.min),
            SwitchReason::Loss => (rates.loss_percent, rules.loss.max_percent),
            _ => {
                let silent_ms = meter.video_silent(cx.now) / 1_000_000;
                (silent_ms as f64, rules.track_silence.video_ms as f64)
            }
        };
        Some(Impairment { rule: RULES[at], since, name: None, value, limit })
    }
}

impl Impairment {
    /// For people.
    pub(crate) fn text(&self) -> String {
        let (value, limit) = (self.value, self.limit);
        match self.rule {
            SwitchReason::Bitrate => format!("bitrate {value:.0} kbps < {limit:.0} kbps"),
            SwitchReason::Fps => format!("fps {value:.1} < {limit:.1}"),
            SwitchReason::Loss => format!("loss {value:.1}% > {limit:.1}%"),
            SwitchReason::TrackSilence => {
                format!("no video for {value:.0}ms while audio flows (limit {limit:.0}ms)")
            }
            _ => {
                let name = self.name.as_deref().unwrap_or_default();
                format!("{name} for {value:.0}ms (hold {limit:.0}ms)")
            }
        }
    }
}
