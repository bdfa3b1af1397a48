//! Events, history and metrics as short lines, so that an expectation reads like the contract.

use changeover::{Event, EventKind, InputStatus, RuntimeStatus};

/// One event as a line: `degraded 0 error boom`, `failover 0>1 error boom`, `exhausted`.
pub(crate) fn event(event: &Event) -> String {
    let line = match &event.kind {
        EventKind::InputDegraded { input_priority, reason, cause } => {
            format!("degraded {input_priority} {cause} {reason}")
        }
        EventKind::InputRecovered { input_priority, evidence } => {
            format!("recovered {input_priority} {evidence}")
        }
        EventKind::InputStarted { input_priority, epoch } => {
            format!("started {input_priority} {epoch:?}")
        }
        EventKind::SwitchDecided { from, to, reason } => {
            format!("decided {}>{to} {reason}", or_none(*from))
        }
        EventKind::InputFailover { from, to, reason, detail } => {
            format!("failover {from}>{to} {reason} {detail}")
        }
        EventKind::SwitchRefused { to, rule, remaining_ms, .. } => {
            format!("refused {} {rule} {remaining_ms}", or_none(*to))
        }
        EventKind::SwitchFailed { from, to, reason, message } => {
            format!("switch_failed {}>{to} {reason} {message}", or_none(*from))
        }
        EventKind::OverrideSet { input_priority } => format!("override {input_priority}"),
        EventKind::OverrideCleared { input_priority, why } => {
            format!("override_cleared {input_priority} {why}")
        }
        EventKind::Exhausted => "exhausted".to_owned(),
        EventKind::Restored { input_priority } => format!("restored {input_priority}"),
        EventKind::RedundancyLost { usable_inputs } => format!("redundancy_lost {usable_inputs}"),
        EventKind::RedundancyRegained { usable_inputs } => {
            format!("redundancy_regained {usable_inputs}")
        }
        EventKind::SwitchArmed { from, to, keyframe, max_wait_ms } => {
            let gate = if *keyframe { format!("keyframe {max_wait_ms}") } else { String::new() };
            format!("armed {}>{to} {gate}", or_none(*from))
        }
        EventKind::FirstPacket { input_priority, .. } => format!("first_packet {input_priority}"),
        EventKind::InputImpaired { input_priority, rule, detail, .. } => {
            format!("impaired {input_priority} {rule} {detail}")
        }
        EventKind::InputCleared { input_priority, rule } => {
            format!("cleared {input_priority} {rule}")
        }
        EventKind::HoldSet { input_priority, ttl_ms } => format!("hold {input_priority} {ttl_ms}"),
        EventKind::HoldReleased { input_priority, why } => {
            format!("hold_released {input_priority} {why}")
        }
        EventKind::Stall { late_ms } => format!("stall {late_ms}"),
        other => format!("unknown {other:?}"),
    };
    line.trim_end().to_owned()
}

fn or_none(priority: Option<i32>) -> String {
    priority.map_or_else(|| "none".to_owned(), |p| p.to_string())
}

/// What a stream's story is told by: the state changes, without the remarks (decided, started,
/// refused, redundancy, stall).
pub(crate) fn is_story(line: &str) -> bool {
    const TOLD: [&str; 8] = [
        "degraded",
        "recovered",
        "failover",
        "switch_failed",
        "override",
        "override_cleared",
        "exhausted",
        "restored",
    ];
    TOLD.contains(&line.split(' ').next().unwrap_or_default())
}

/// The switch history, oldest first: `none>0 initial`, `0>1 error boom`.
pub(crate) fn history(status: &RuntimeStatus) -> Vec<String> {
    let line = |switch: &changeover::SwitchEvent| {
        let from = or_none(switch.from);
        let line = format!("{from}>{} {} {}", switch.to, switch.reason, switch.detail);
        line.trim_end().to_owned()
    };
    status.switches.iter().rev().map(line).collect()
}

/// Every input's state: `0:active 1:idle`.
pub(crate) fn states(status: &RuntimeStatus) -> String {
    let state = |input: &changeover::InputHealthSnapshot| {
        let word = match input.status {
            InputStatus::Idle => "idle",
            InputStatus::Active => "active",
            InputStatus::Degraded => "degraded",
            InputStatus::Stopped => "stopped",
        };
        format!("{}:{word}", input.input_priority)
    };
    status.inputs.iter().map(state).collect::<Vec<_>>().join(" ")
}

/// The text of a silence of exactly `silent_ns`, judged by `timeout_ns`.
pub(crate) fn silence(silent_ns: u64, timeout_ns: u64) -> String {
    format!("no packet for {} (timeout {})", span(silent_ns), span(timeout_ns))
}

/// Whole seconds from 10 s up, else whole milliseconds, truncated.
fn span(ns: u64) -> String {
    if ns >= 10_000_000_000 {
        format!("{}s", ns / 1_000_000_000)
    } else {
        format!("{}ms", ns / 1_000_000)
    }
}

/// Replaces the text of a silence by `silence`, if it is well formed and says at least the
/// timeout. On the real clock the exact figure depends on the monitor's wake-up.
pub(crate) fn blur_silence(line: &str, timeout_ns: u64) -> String {
    let Some(begin) = line.find("no packet for ") else { return line.to_owned() };
    let timeout = format!(" (timeout {})", span(timeout_ns));
    let silent = line[begin + "no packet for ".len()..].strip_suffix(&timeout);
    match silent.and_then(parse_span) {
        Some(silent_ns) if silent_ns >= timeout_ns => format!("{}silence", &line[..begin]),
        _ => line.to_owned(),
    }
}

fn parse_span(text: &str) -> Option<u64> {
    match text.strip_suffix("ms") {
        Some(number) => Some(number.parse::<u64>().ok()? * 1_000_000),
        None => Some(text.strip_suffix('s')?.parse::<u64>().ok()? * 1_000_000_000),
    }
}

/// The value of one series of the metrics text, if it is there.
pub(crate) fn metric(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: Vec<String> = labels.iter().map(|(k, v)| format!("{k}=\"{v}\"")).collect();
    text.lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.split_once("} "))
        .find(|(found, _)| {
            let found: Vec<&str> = found.split(',').collect();
            found.len() == labels.len() && labels.iter().all(|l| found.contains(&l.as_str()))
        })
        .and_then(|(_, value)| value.split(' ').next()?.parse().ok())
}
