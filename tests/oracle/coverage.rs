//! Whether the random schedules reached what they are to reach: a random test that never gets to
//! a state proves nothing about it.

use std::collections::BTreeMap;

use changeover::{EventKind, RuntimeStatus, SwitchReason};

use crate::ops::Op;

#[derive(Debug, Default)]
pub(crate) struct Coverage {
    reached: BTreeMap<String, u64>,
}

/// All that has to have been reached.
const WANTED: [&str; 51] = [
    "op Advance",
    "op Flow",
    "op Packets",
    "op Straggler",
    "op ById",
    "op Open",
    "op Close",
    "op Error",
    "op RecorderError",
    "op AnswerStart",
    "op AnswerProbe",
    "op AnswerAll",
    "op Update",
    "op Renumber",
    "op Buffer",
    "op Configure",
    "op Switch",
    "op ClearOverride",
    "op Hold",
    "op Release",
    "op Enable",
    "op Raise",
    "op Clear",
    "op Stall",
    "op Reregister",
    "failover error",
    "failover timeout",
    "failover manual",
    "failover failback",
    "failover recovery",
    "failover input_added",
    "failover input_removed",
    "failover condition",
    "failover hold_released",
    "degraded timeout",
    "degraded error",
    "exhausted",
    "restored",
    "begun initial",
    "stalled",
    "neighbour's failover",
    "heard in a stall",
    "flowed at rest",
    "refused failback_cooldown",
    "refused failback_stable",
    "refused override",
    "refused held",
    "switch failed",
    "recovered probe",
    "recovered packets",
    "healed",
];

impl Coverage {
    fn reach(&mut self, what: String) {
        *self.reached.entry(what).or_default() += 1;
    }

    pub(crate) fn op(&mut self, op: &Op) {
        let text = format!("{op:?}");
        let name = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        self.reach(format!("op {name}"));
    }

    pub(crate) fn event(&mut self, kind: &EventKind) {
        match kind {
            EventKind::InputFailover { reason, .. } => self.reach(format!("failover {reason}")),
            EventKind::InputDegraded { cause, .. } => self.reach(format!("degraded {cause}")),
            EventKind::InputRecovered { evidence, .. } => {
                self.reach(format!("recovered {evidence}"));
            }
            EventKind::SwitchRefused { rule, .. } => self.reach(format!("refused {rule}")),
            EventKind::SwitchFailed { .. } => self.reach("switch failed".to_owned()),
            EventKind::Exhausted => self.reach("exhausted".to_owned()),
            EventKind::Restored { .. } => self.reach("restored".to_owned()),
            _ => {}
        }
    }

    /// A stream's first activation has no event of its own: its history shows it.
    pub(crate) fn history(&mut self, status: &RuntimeStatus) {
        if status.switches.first().is_some_and(|newest| newest.reason == SwitchReason::Initial) {
            self.reach("begun initial".to_owned());
        }
    }

    pub(crate) fn neighbour(&mut self, kind: &EventKind) {
        if let EventKind::InputFailover { .. } = kind {
            self.reach("neighbour's failover".to_owned());
        }
    }

    pub(crate) fn stalled(&mut self) {
        self.reach("stalled".to_owned());
    }

    pub(crate) fn heard_in_a_stall(&mut self) {
        self.reach("heard in a stall".to_owned());
    }

    pub(crate) fn healed(&mut self) {
        self.reach("healed".to_owned());
    }

    pub(crate) fn advanced(&mut self) {
        self.reach("advances".to_owned());
    }

    pub(crate) fn flowed(&mut self, at_rest: bool) {
        self.reach(format!("flowed {}", if at_rest { "at rest" } else { "in motion" }));
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (what, count) in other.reached {
            *self.reached.entry(what).or_default() += count;
        }
    }

    pub(crate) fn missing(&self) -> Vec<&'static str> {
        WANTED.into_iter().filter(|what| !self.reached.contains_key(*what)).collect()
    }
}
