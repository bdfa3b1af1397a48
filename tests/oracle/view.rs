//! What the engine says, in the words of the oracle: driver calls, events and status as lines.

use std::time::{Duration, SystemTime};

use changeover::{DriverCall, Event, EventKind, RuntimeStatus};

/// The hand-driven engine's wall clock begins here.
pub(crate) fn ns_of(at: SystemTime) -> u64 {
    let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    at.duration_since(begin).expect("no time before all").as_nanos() as u64
}

pub(crate) fn call(call: &DriverCall) -> String {
    match call {
        DriverCall::Start(c) => {
            let (p, address) = (c.input.priority, &c.input.address);
            format!("start {p} {address} e{} {}", c.epoch, c.buffer_write_id)
        }
        DriverCall::Stop(c) => format!("stop {} e{}", c.input_priority, c.epoch),
        DriverCall::Probe(c) => format!("probe {} {}", c.input.priority, c.input.address),
        DriverCall::Rebind(c) => {
            format!("rebind {}>{} e{}", c.from_priority, c.input.priority, c.epoch)
        }
        other => format!("{other:?}"),
    }
}

pub(crate) fn event(event: &Event) -> String {
    use EventKind as K;
    let what = match &event.kind {
        K::InputDegraded { input_priority: p, reason, cause } => {
            format!("degraded {p} {cause} '{reason}'")
        }
        K::InputImpaired { input_priority: p, rule, value, limit, detail } => {
            format!("impaired {p} {rule} {value} {limit} '{detail}'")
        }
        K::InputCleared { input_priority: p, rule } => format!("cleared {p} {rule}"),
        K::InputRecovered { input_priority: p, evidence } => format!("recovered {p} {evidence}"),
        K::InputStarted { input_priority: p, epoch } => format!("started {p} e{epoch}"),
        K::SwitchDecided { from, to, reason } => format!("decided {from:?}>{to} {reason}"),
        K::InputFailover { from, to, reason, detail } => {
            format!("failover {from}>{to} {reason} '{detail}'")
        }
        K::SwitchArmed { from, to, keyframe: false, max_wait_ms: 0 } => {
            format!("armed {from:?}>{to}")
        }
        K::FirstPacket { input_priority: p, stall_us, aligned: None } => {
            format!("first_packet {p} {stall_us:?}")
        }
        K::SwitchRefused { to, reason, rule, remaining_ms, detail } => {
            format!("refused {to:?} {reason} {rule} {remaining_ms} '{detail}'")
        }
        K::SwitchFailed { from, to, reason, message } => {
            format!("switch_failed {from:?}>{to} {reason} '{message}'")
        }
        K::OverrideSet { input_priority: p } => format!("override_set {p}"),
        K::OverrideCleared { input_priority: p, why } => format!("override_cleared {p} {why}"),
        K::HoldSet { input_priority: p, ttl_ms } => format!("hold_set {p} {ttl_ms}"),
        K::HoldReleased { input_priority: p, why } => format!("hold_released {p} {why}"),
        K::Exhausted => "exhausted".to_owned(),
        K::Restored { input_priority: p } => format!("restored {p}"),
        K::RedundancyLost { usable_inputs } => format!("redundancy lost {usable_inputs}"),
        K::RedundancyRegained { usable_inputs } => format!("redundancy regained {usable_inputs}"),
        other => format!("{other:?}"),
    };
    format!("{} {what}", event.at_ns)
}

/// As [`crate::model::Model::lines`].
pub(crate) fn lines(status: &RuntimeStatus) -> Vec<String> {
    let hold = status.hold.as_ref().map(|h| (h.priority, ns_of(h.expires_at), h.dead));
    let mut lines = vec![format!(
        "{:?} runs {} active {:?} override {:?} exhausted {} pending {:?} leaving {:?} \
         usable {} failovers {} buffer {} hold {hold:?}",
        status.status,
        status.pipeline_active,
        status.active_input_priority,
        status.override_input_priority,
        status.exhausted,
        status.pending_input_priority,
        status.leaving_input_priority,
        status.usable_inputs,
        status.failovers_total,
        status.buffer_write_id,
    )];
    for i in &status.inputs {
        let error = |e: &changeover::ErrorEntry| (ns_of(e.at), e.message.clone());
        let wrong = |w: &changeover::ImpairedEntry| {
            let name = w.name.as_deref().unwrap_or_default();
            format!("{name} since {} {} {}", ns_of(w.since), w.value, w.limit)
        };
        lines.push(format!(
            "{} {:?} hot {} running {} proved {} e{:?} last {:?} packets {} errors {:?} \
             failure {:?} raised {:?} wrong {:?} wait {}",
            i.input_priority,
            i.status,
            i.hot,
            i.running,
            i.proved,
            i.epoch.map(|epoch| epoch.get()),
            i.last_packet_at.map(ns_of),
            i.packets,
            i.errors.iter().map(error).collect::<Vec<_>>(),
            i.last_failure.as_ref().map(error),
            i.conditions,
            i.impaired.iter().map(wrong).collect::<Vec<_>>(),
            i.required_stable_ms,
        ));
    }
    lines.extend(status.switches.iter().map(|s| {
        format!(
            "switch {} {:?}>{} {} '{}' decided {} first {:?} stall {:?}",
            ns_of(s.at),
            s.from,
            s.to,
            s.reason,
            s.detail,
            s.decided_at.map_or(0, ns_of),
            s.first_packet_at.map(ns_of),
            s.stall_us
        )
    }));
    lines.extend(status.decisions.iter().map(|n| {
        format!(
            "note {} {} {:?}>{:?} {} {:?} {:?} '{}'",
            ns_of(n.at),
            n.what,
            n.from,
            n.to,
            n.reason,
            n.rule,
            n.remaining_ms,
            n.detail
        )
    }));
    lines
}
