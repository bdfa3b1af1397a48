//! How things are said: events, times, numbers and addresses, the same in the log, the live view,
//! the demo and the summary.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use changeover::{EventKind, ImpairedEntry, InputHealthSnapshot, InputStatus, SwitchEvent};

use crate::output::Cut;

/// Clocks of engine and output are read at slightly different moments of the same switch.
const SAME_MOMENT: Duration = Duration::from_millis(500);
/// What a rate is averaged over, at least.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// An event in the words of a user of the relay; `None` for those that say nothing to one.
pub(crate) fn event(kind: &EventKind) -> Option<String> {
    Some(match kind {
        EventKind::InputDegraded { input_priority, reason, .. } => {
            format!("input {input_priority} failed: {reason}")
        }
        EventKind::InputRecovered { input_priority, .. } => {
            format!("input {input_priority} delivers again")
        }
        EventKind::InputStarted { .. } | EventKind::SwitchDecided { .. } => return None,
        EventKind::InputFailover { from, to, reason, detail } => {
            format!("SWITCH {from} -> {to} ({reason}){}", after_colon(detail))
        }
        EventKind::SwitchArmed { .. } => return None,
        EventKind::FirstPacket { aligned: Some(false), .. } => {
            "no keyframe came in time: the cut is where it happened to fall".to_owned()
        }
        EventKind::FirstPacket { .. } => return None,
        EventKind::SwitchRefused { to, rule, remaining_ms, detail, .. } => {
            refusal(*to, rule, *remaining_ms, detail)
        }
        EventKind::InputImpaired { input_priority, detail, .. } => {
            format!("input {input_priority} is bad: {detail}")
        }
        EventKind::InputCleared { input_priority, rule } => {
            format!("input {input_priority} is good again ({rule})")
        }
        EventKind::HoldSet { input_priority, ttl_ms } => {
            format!("input {input_priority} is held for {}", span(Duration::from_millis(*ttl_ms)))
        }
        EventKind::HoldReleased { input_priority, why } => {
            format!("the hold of input {input_priority} is over ({why})")
        }
        EventKind::SwitchFailed { to, reason, message, .. } => {
            format!("switch to input {to} ({reason}) failed{}", after_colon(message))
        }
        EventKind::OverrideSet { input_priority } => {
            format!("input {input_priority} is chosen by hand")
        }
        EventKind::OverrideCleared { input_priority, why } => {
            format!("the choice of input {input_priority} by hand is over ({why})")
        }
        EventKind::Exhausted => "NO USABLE INPUT is left".to_owned(),
        EventKind::Restored { input_priority } => {
            format!("restored: input {input_priority} carries the output")
        }
        EventKind::RedundancyLost { usable_inputs: 0 } => return None,
        EventKind::RedundancyLost { .. } => "no spare input is left".to_owned(),
        EventKind::RedundancyRegained { usable_inputs } => {
            format!("spare again: {usable_inputs} inputs are usable")
        }
        EventKind::Stall { late_ms } => {
            format!("the machine was busy: the engine woke {late_ms} ms late")
        }
        other => format!("{other:?}"),
    })
}

/// Why a switch that was wanted is not made (yet).
fn refusal(to: Option<i32>, rule: &str, remaining_ms: u64, detail: &str) -> String {
    let rule = match rule {
        "failback_stable" => "it has to stay stable for",
        "failback_cooldown" => "the last switch was too short ago: wait",
        "awaiting_keyframe" => "it waits for a keyframe, at most",
        rule => {
            let to = to.map_or(String::new(), |to| format!(" to input {to}"));
            return format!("not switched{to}: {rule}{}", after_colon(detail));
        }
    };
    let to = to.map_or("another".to_owned(), |to| to.to_string());
    format!("not yet on input {to}: {rule} another {remaining_ms} ms")
}

/// The rules that act on an input, with what they measure.
pub(crate) fn impaired(entries: &[ImpairedEntry]) -> String {
    let one = |entry: &ImpairedEntry| match &entry.name {
        Some(name) => name.clone(),
        None => format!("{} {:.1} (limit {})", entry.rule, entry.value, entry.limit),
    };
    entries.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn after_colon(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

/// The two inputs of a switch, with an arrow between them.
pub(crate) fn switch(switch: &SwitchEvent) -> String {
    match switch.from {
        Some(from) => format!("{from} -> {}", switch.to),
        None => format!("  -> {}", switch.to),
    }
}

/// When, between which inputs, and why: what a list of switches begins each line with.
pub(crate) fn switch_line(event: &SwitchEvent) -> String {
    format!("{}  {}  {:<13}", clock(event.at), switch(event), event.reason.as_str())
}

/// Wall clock, UTC.
pub(crate) fn clock(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .map_or_else(|_| "?".to_owned(), |at| at.strftime("%H:%M:%S%.3f").to_string())
}

/// Date and time, UTC.
pub(crate) fn date(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at)
        .map_or_else(|_| "?".to_owned(), |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// `0:01:23`
pub(crate) fn uptime(time: Duration) -> String {
    let s = time.as_secs();
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// `203 ms`, `1.3 s`, `95 s`
pub(crate) fn span(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 0.01 => format!("{:.1} ms", s * 1e3),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.1} s"),
        s => format!("{s:.0} s"),
    }
}

/// `1,234,567`
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

pub(crate) fn status(status: InputStatus) -> &'static str {
    match status {
        InputStatus::Idle => "idle",
        InputStatus::Active => "active",
        InputStatus::Degraded => "degraded",
        InputStatus::Stopped => "stopped",
    }
}

/// How long ago an input's last packet came.
pub(crate) fn last_packet(input: &InputHealthSnapshot, now: SystemTime) -> String {
    match input.last_packet_at {
        None => "never".to_owned(),
        Some(at) => match now.duration_since(at).unwrap_or_default() {
            age if age < Duration::from_secs(1) => format!("{} ms", age.as_millis()),
            age => span(age),
        },
    }
}

/// For each switch of the history (newest first), the cut at the output that it made. A switch to
/// an input that has not delivered yet, or never did, has none.
pub(crate) fn cuts_of<'a>(
    switches: &[SwitchEvent],
    cuts: &'a VecDeque<Cut>,
) -> Vec<Option<&'a Cut>> {
    let mut found = vec![None; switches.len()];
    let mut cuts = cuts.iter().peekable();
    for (n, switch) in switches.iter().enumerate().rev() {
        // Cuts from before this switch belong to entries that the history has forgotten.
        while cuts.next_if(|cut| cut.at + SAME_MOMENT < switch.at).is_some() {}
        found[n] = cuts.next_if(|cut| cut.to == switch.to);
    }
    found
}

/// A rate over the last moment, from a counter that is looked at now and then.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    samples: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// Takes the counter in bytes; answers kbit/s.
    pub(crate) fn kbps(&mut self, at: Instant, bytes: u64) -> u64 {
        self.samples.push_back((at, bytes));
        while self.samples.get(1).is_some_and(|&(second, _)| at - second >= RATE_WINDOW) {
            self.samples.pop_front();
        }
        let (since, before) = self.samples[0];
        let seconds = (at - since).as_secs_f64();
        if seconds > 0.0 { ((bytes - before) as f64 * 8e-3 / seconds).round() as u64 } else { 0 }
    }
}

/// A switch as the engine's history has it. Only the engine makes them, so it is read from JSON.
#[cfg(test)]
pub(crate) fn switch_event(
    at: SystemTime,
    from: Option<i32>,
    to: i32,
    reason: changeover::SwitchReason,
) -> SwitchEvent {
    let at = jiff::Timestamp::try_from(at).unwrap().to_string();
    let none = from.is_none();
    let json = serde_json::json!({
        "at": at, "from": from.unwrap_or(-1), "from_none": none, "to": to, "reason": reason
    });
    serde_json::from_value(json).unwrap()
}

#[cfg(test)]
mod tests {
    use changeover::SwitchReason;

    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(uptime(Duration::from_secs(3723)), "1:02:03");
        assert_eq!(span(Duration::from_micros(2_040)), "2.0 ms");
        assert_eq!(span(Duration::from_millis(203)), "203 ms");
        assert_eq!(span(Duration::from_millis(1_340)), "1.3 s");
        assert_eq!(clock(SystemTime::UNIX_EPOCH), "00:00:00.000");
        assert_eq!(date(SystemTime::UNIX_EPOCH), "1970-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_meter_forgets_what_is_old() {
        let (mut meter, t) = (Meter::default(), Instant::now());
        let at = |ms| t + Duration::from_millis(ms);
        assert_eq!(meter.kbps(at(0), 0), 0);
        assert_eq!(meter.kbps(at(500), 62_500), 1000);
        assert_eq!(meter.kbps(at(1000), 125_000), 1000);
        assert_eq!(meter.kbps(at(2000), 125_000), 0);
        assert_eq!(meter.kbps(at(12_000), 1_375_000), 1000);
    }

    #[test]
    fn each_switch_finds_its_own_cut() {
        let at = |s| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
        let switch = |s, from, to| switch_event(at(s), from, to, SwitchReason::Timeout);
        let cut = |s, from, to| Cut { at: at(s), from, to, gap: Duration::from_secs(s) };
        // At 20 s the output moved to 2, which never delivered before it moved on to 3.
        let history = [switch(30, Some(3), 1), switch(21, Some(2), 3), switch(20, Some(1), 2)];
        let cuts = VecDeque::from([cut(5, 2, 1), cut(21, 1, 3), cut(30, 3, 1)]);
        let gaps: Vec<_> =
            cuts_of(&history, &cuts).iter().map(|cut| cut.map(|cut| cut.gap.as_secs())).collect();
        assert_eq!(gaps, [Some(30), Some(21), None]);
    }
}
