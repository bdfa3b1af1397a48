//! What must have happened by now: silence noticed, a good input on the air, the best one back.
//!
//! Good is judged by what was done to the engine, not by what the sources meant, so that a log
//! that is replayed is judged the same way.

use crate::rig::Rig;
use crate::shadow::{GOOD_ANSWER_NS, Input, MOST_DAMPED_NS, MS, S, Spans, Stream};
use crate::verdicts::Stalls;

impl Rig {
    /// Compares all that is known of a stream with what must be by now.
    pub(crate) fn look(&mut self, i: usize) {
        if self.stalled || !self.streams[i].registered {
            return;
        }
        let now = self.now;
        self.counts.add("look");
        if self.streams[i].soft {
            self.counts.add("look at a stream under rules: not all is judged");
        }
        self.note_bad(i);
        let stream = &self.streams[i];
        let silent =
            stream.inputs.iter().find(|input| silence_is_overdue(input, now, &self.stalls));
        if let Some(p) = silent.filter(|_| !stream.learned).map(|input| input.p) {
            self.fail(i, "on time", format!("input {p} is silent, and nobody minds"));
        }
        self.is_on_air(i);
        self.is_on_the_best(i);
        self.compare(i);
    }

    /// Answers and packets that are missing now make an input a bad one.
    fn note_bad(&mut self, i: usize) {
        let now = self.now;
        let stream = &mut self.streams[i];
        for at in 0..stream.inputs.len() {
            let input = &stream.inputs[at];
            let p = input.p;
            let waits = |since: u64| now > since + GOOD_ANSWER_NS;
            let unanswered = stream
                .activations
                .iter()
                .any(|a| a.p == p && a.runs() && a.token.is_some() && waits(a.since))
                || stream.probes.iter().any(|probe| probe.p == p && waits(probe.at));
            let open = input.epoch.is_some();
            let slow = match input.stamp {
                // Not one of a good input's gaps.
                Some(at) => now > at + input.packet_timeout_ns,
                None => waits(input.since + input.connect_timeout_ns / 2),
            };
            let bad = !input.enabled || input.black || unanswered || (open && slow);
            if bad || (input.hot && !open) {
                stream.inputs[at].bad_at = now;
            }
        }
    }

    /// Off the air for longer than it takes to find an input that is good.
    fn is_on_air(&mut self, i: usize) {
        let (now, last_wake, stream) = (self.now, self.stalls.last_wake(), &self.streams[i]);
        let patience = stream.patience();
        let off_since = stream.last_forward.max(last_wake).max(stream.registered_at);
        if stream.hold || now <= off_since + patience {
            return;
        }
        let good =
            stream.inputs.iter().find(|input| is_good_since(input, now.saturating_sub(patience)));
        let Some(p) = good.map(|input| input.p) else { return };
        let text = format!("off the air for {} s, and input {p} is good", (now - off_since) / S);
        self.fail(i, "on the air", text);
    }

    /// The best input is good for long, and the stream is elsewhere.
    fn is_on_the_best(&mut self, i: usize) {
        let (now, last_wake, stream) = (self.now, self.stalls.last_wake(), &self.streams[i]);
        if stream.override_.is_some() || stream.hold || stream.failback_never || stream.soft {
            return;
        }
        let Spans { failback_cooldown_ns, failback_stable_ns, .. } = stream.spans;
        let patience =
            stream.patience() + MOST_DAMPED_NS + failback_cooldown_ns + failback_stable_ns;
        let Some(best) = stream.inputs.iter().find(|input| input.enabled) else { return };
        let (p, unsupported) = (best.p, best.unsupported);
        // Every switch begins the cooldown anew, also of an input that it does not concern.
        let quiet_since = stream.free_since.max(last_wake).max(stream.registered_at);
        let quiet_since = quiet_since.max(stream.last_switch.unwrap_or(0));
        if now <= quiet_since + patience || !is_good_since(best, now - patience) || unsupported {
            return;
        }
        if stream.active != Some(p) {
            let text = format!(
                "on {:?}, and input {p} has been good for {} s",
                stream.active,
                patience / S
            );
            self.fail(i, "back on the best", text);
        }
    }
}

fn is_good_since(input: &Input, since: u64) -> bool {
    let steady = !input.hot || input.steady_since.is_some_and(|steady| steady <= since);
    input.enabled && !input.black && input.bad_at <= since && steady
}

fn silence_is_overdue(input: &Input, now: u64, stalls: &Stalls) -> bool {
    if !input.enabled || input.degraded.is_some() || input.epoch.is_none() {
        return false;
    }
    let deadline = match input.stamp {
        Some(stamp) => stamp + input.packet_timeout_ns,
        None => input.since + input.packet_timeout_ns.max(input.connect_timeout_ns),
    };
    now > deadline.max(stalls.excuse(input)) + MS
}

impl Stream {
    /// How long after everything is good it must be on its best input, and quiet.
    pub(crate) fn healing_ns(&self) -> u64 {
        self.patience() + MOST_DAMPED_NS + 71 * S
    }
}
