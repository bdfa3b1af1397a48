//! Single verdicts: whether a start, a probe, a silence or a failover is what the contract says.

use std::collections::VecDeque;

use changeover::SwitchReason;

use crate::shadow::{Input, MS, Stream};

/// The check that failed, and how.
pub(crate) type Wrong = Option<(&'static str, String)>;

pub(crate) fn wrong(check: &'static str, text: impl Into<String>) -> Wrong {
    Some((check, text.into()))
}

pub(crate) fn judge_start(stream: &Stream, p: i32, epoch: u64) -> Wrong {
    let Some(at) = stream.at(p) else {
        return wrong("known inputs", format!("input {p} is started, and unknown"));
    };
    let input = &stream.inputs[at];
    if epoch <= stream.last_epoch {
        return wrong("epochs ascend", format!("e{epoch} after e{}", stream.last_epoch));
    }
    if !input.enabled {
        return wrong("stopped is stopped", format!("input {p} is started, and switched off"));
    }
    None
}

pub(crate) fn judge_probe(stream: &Stream, p: i32, now: u64) -> Wrong {
    let Some(at) = stream.at(p) else {
        return wrong("known inputs", format!("input {p} is probed, and unknown"));
    };
    let input = &stream.inputs[at];
    if stream.probes.iter().any(|probe| probe.p == p) {
        return wrong("one probe", format!("input {p} is probed, and a probe of it is out"));
    }
    if stream.activations.iter().any(|a| a.p == p && a.runs()) && input.epoch.is_some() {
        return wrong("one probe", format!("input {p} is probed, and runs"));
    }
    // Rules and conditions need no probe, and hinder none.
    let hard = |(_, cause): &(u64, SwitchReason)| {
        matches!(cause, SwitchReason::Timeout | SwitchReason::Error)
    };
    let (failed_at, _) = input.degraded.filter(hard)?;
    let since = failed_at.max(input.probe_bad_at.unwrap_or(0));
    let early = now < since + stream.spans.probe_cooldown_ns;
    if early && input.edited_at < since {
        let text = format!("input {p} is probed {} ms after its failure", (now - since) / MS);
        return wrong("never early", text);
    }
    None
}

/// A deadline is moved at most so far past a stalled monitor's waking.
const GRACE_NS: u64 = 200 * MS;

/// Stalls, oldest first: when each began, and the latest waking from it.
#[derive(Debug, Default)]
pub(crate) struct Stalls(VecDeque<(u64, u64)>);

/// More than lie within any packet timeout.
const STALLS_KEPT: usize = 256;

impl Stalls {
    pub(crate) fn begin(&mut self, at: u64) {
        if self.0.len() == STALLS_KEPT {
            self.0.pop_front();
        }
        self.0.push_back((at, at));
    }

    pub(crate) fn woken(&mut self, at: u64) {
        if let Some((_, woken)) = self.0.back_mut() {
            *woken = at;
        }
    }

    pub(crate) fn last_wake(&self) -> u64 {
        self.0.back().map_or(0, |(_, woken)| *woken)
    }

    /// Until when an input's silence may go unjudged: what came during a stall, whichever, counts
    /// from a waking within it; what was not due when the last one began has a grace.
    pub(crate) fn excuse(&self, input: &Input) -> u64 {
        let within = |arrival: u64| {
            let after = self.0.partition_point(|(began, _)| *began <= arrival);
            let (_, woken) = *self.0.get(after.checked_sub(1)?)?;
            (arrival <= woken).then_some(woken + input.packet_timeout_ns)
        };
        let grace = self.last_wake() + GRACE_NS.min(input.packet_timeout_ns);
        let packets = [input.arrival, input.stamp].into_iter().flatten();
        packets.filter_map(within).fold(grace, u64::max)
    }
}

/// Silence is judged at its deadline: not before, and not later either.
pub(crate) fn judge_timeout(input: &Input, at: u64, stalls: &Stalls, reason: &str) -> Wrong {
    let p = input.p;
    if reason.contains("learned") {
        return None;
    }
    let (timeout, connect) = (input.packet_timeout_ns, input.connect_timeout_ns);
    let (base, span) = match input.stamp {
        Some(stamp) => (stamp, timeout),
        // A reconnect buys no time, but gets no less than its own.
        None => {
            let earlier = input.any_stamp.into_iter().chain(input.wanted_at).filter(|_| input.hot);
            let earlier = earlier.chain(input.adopted_stamp);
            (earlier.fold(input.since_least, u64::min), timeout.min(connect))
        }
    };
    let deadline = base + span;
    if at < deadline {
        let early = (deadline - at) as f64 / MS as f64;
        return wrong(
            "never early",
            format!("input {p} is degraded {early:.3} ms early: {reason}"),
        );
    }
    let last_wake = stalls.last_wake();
    let stalled = last_wake > input.stamp.unwrap_or(input.since_least);
    let latest = match input.stamp {
        Some(_) if stalled => deadline.max(stalls.excuse(input)),
        Some(_) => deadline,
        None if input.epoch.is_none() => u64::MAX,
        None if stalled => (input.since + timeout.max(connect)).max(last_wake + GRACE_NS),
        None => input.since + timeout.max(connect),
    };
    let latest = latest.max(input.arrival.unwrap_or(0));
    if at > latest {
        let late = (at - latest) as f64 / MS as f64;
        return wrong("on time", format!("input {p} is degraded {late:.3} ms late: {reason}"));
    }
    None
}

pub(crate) fn judge_failover(
    stream: &Stream,
    from: i32,
    to: i32,
    reason: SwitchReason,
    at: u64,
) -> Wrong {
    // Before the first look it is not known where a stream began: nothing tells of that.
    if stream.active.is_some_and(|active| active != from) || from == to {
        return wrong(
            "one story",
            format!("a failover {from}>{to}, and the stream is on {:?}", stream.active),
        );
    }
    let Some(target) = stream.at(to).map(|at| &stream.inputs[at]) else {
        return wrong("known inputs", format!("a failover to input {to}, which is unknown"));
    };
    if !target.enabled {
        return wrong(
            "stopped is stopped",
            format!("a failover to input {to}, which is switched off"),
        );
    }
    if target.degraded.is_some() && !stream.soft {
        return wrong("to a good one", format!("a failover to input {to}, which is degraded"));
    }
    let left = stream.at(from).map(|at| &stream.inputs[at]);
    let why = left.and_then(|left| left.failed);
    // Long enough for every start on the way.
    let recent = |when: Option<u64>| when.is_some_and(|when| at - when <= stream.patience());
    let fair = match reason {
        // Proved again by a probe, too, after its activation had ended.
        SwitchReason::Timeout | SwitchReason::Error => {
            stream.soft || why.is_some_and(|(when, cause)| cause == reason && recent(Some(when)))
        }
        SwitchReason::Failback => {
            let early = stream
                .last_switch
                .is_some_and(|last| at < last + stream.spans.failback_cooldown_ns);
            if early {
                return wrong("never early", format!("a failback {from}>{to} within the cooldown"));
            }
            to < from && stream.override_.is_none() && !stream.hold && !stream.failback_never
        }
        SwitchReason::Recovery => stream.exhausted,
        SwitchReason::Manual => recent(stream.word_at),
        SwitchReason::HoldReleased => recent(stream.hold_ended_at),
        SwitchReason::InputAdded | SwitchReason::InputRemoved => recent(stream.edit_at),
        SwitchReason::Initial => false,
        _ => stream.soft,
    };
    if fair {
        None
    } else {
        wrong("reasons", format!("a failover {from}>{to} by {reason}, without ground"))
    }
}
