//! What must hold of a run, judged from outside: by what the taps saw, not by what the engine says
//! of itself.

use crate::record::{Blow, INPUTS, Kill, Line, Record, STABLE, Said, Silence, TIMEOUT, Us};

/// How far the relay's stamps may be off: the engine re-anchors its wall clock at 20 ms of drift.
pub(crate) const STAMP: Us = 25_000;
/// A decision later than this is a fault, whatever the machine was doing. What is usual, the
/// percentiles say.
const SLACK: Us = 1_500_000;
/// How long an exhausted relay may take after packets have come.
const RESTORE: Us = 1_500_000;
/// A blow shows at the tap within this: a feeder that is asked to end still writes what it has.
const SHOWS: Us = 3_000_000;
/// Growth of the memory between the first and the last tenth, KiB.
const GROWTH_KIB: u64 = 2048;
/// And of descriptors and threads.
const GROWTH: u64 = 2;
/// What the decoder may have more or less than went out, and 2 %: it decodes behind, and a feeder that
/// was stopped catches up.
const MEDIA_MARGIN: Us = 3_000_000;
/// Until the relay has seen all of its code and the allocator all of its sizes.
const WARM_UP: Us = 10_000_000;

#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// None: passed.
    pub(crate) faults: Vec<String>,
    /// Blows at the active input that had to end in a failover, and those that did; those that
    /// found the relay without any other input, and those that it had left for a better one before
    /// the timeout was over.
    pub(crate) blows: usize,
    pub(crate) failed_over: usize,
    pub(crate) exhausted: usize,
    pub(crate) overtaken: usize,
    pub(crate) at_standby: usize,
    pub(crate) blinks: usize,
    /// Silences past the timeout that no blow explains: the machine starved a feeder.
    pub(crate) starved: usize,
    pub(crate) failbacks: usize,
    pub(crate) recoveries: usize,
    pub(crate) stalls: usize,
    /// Complaints of the decoder that are no faults.
    pub(crate) explained: usize,
    /// Of each decision by silence, us past its deadline: by the relay's stamp, and until its line
    /// was read outside.
    pub(crate) late: Vec<Us>,
    pub(crate) late_seen: Vec<Us>,
    pub(crate) first: Usage,
    pub(crate) last: Usage,
}

/// The most of a tenth of the run.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) rss_kib: u64,
    pub(crate) descriptors: u64,
    pub(crate) threads: u64,
}

pub(crate) fn judge(record: &Record) -> Verdict {
    let mut court = Court { record, verdict: Verdict::default(), used: Vec::new() };
    court.decisions();
    court.silences();
    court.blows();
    court.usage();
    court.downstream();
    court.verdict
}

struct Court<'a> {
    record: &'a Record,
    verdict: Verdict,
    /// Silences that a decision answered, by input and beginning.
    used: Vec<(usize, Us)>,
}

impl Court<'_> {
    fn fault(&mut self, at: Us, what: String) {
        let since = (at - self.record.began) as f64 / 1e6;
        self.verdict.faults.push(format!("at {since:.3} s: {what}"));
    }

    /// The silence of an input that goes on at this time, past the timeout.
    fn silent(&self, input: usize, at: Us) -> Option<Silence> {
        let all = &self.record.silences[input - 1];
        let past = |s: &&Silence| s.from + TIMEOUT - STAMP <= at && at <= s.to + STAMP;
        all.iter().rev().filter(past).find(|s| s.span() >= TIMEOUT - STAMP).copied()
    }

    /// Every line that the relay said had a cause, and came in time.
    fn decisions(&mut self) {
        let (mut on_air, mut exhausted) = (1, false);
        for line in &self.record.lines {
            match &line.said {
                Said::Switch { from, to, reason } => {
                    if *from != on_air {
                        self.fault(line.at, format!("left {from}, but {on_air} was on the air"));
                    }
                    on_air = *to;
                    match reason.as_str() {
                        "timeout" => self.failover(line, *from, *to),
                        "failback" => self.failback(line, *from, *to),
                        "recovery" if exhausted => {}
                        _ => self.fault(line.at, format!("{from} -> {to} ({reason})")),
                    }
                }
                Said::Exhausted => {
                    if std::mem::replace(&mut exhausted, true) {
                        self.fault(line.at, "exhausted twice".to_owned());
                    }
                    self.verdict.exhausted += 1;
                    self.exhaustion(line, on_air);
                }
                Said::Restored(input) => {
                    if !std::mem::replace(&mut exhausted, false) || *input != on_air {
                        self.fault(line.at, format!("restored by {input} on the air {on_air}"));
                    }
                    self.verdict.recoveries += 1;
                    self.restored(line, *input);
                }
                Said::Stall(_) => self.verdict.stalls += 1,
                Said::Other => {}
            }
        }
        if exhausted {
            self.fault(self.record.ended, "exhausted until the end".to_owned());
        }
    }

    fn failover(&mut self, line: &Line, from: usize, to: usize) {
        let Some(silence) = self.silent(from, line.at) else {
            return self.fault(line.at, format!("left {from} without a cause"));
        };
        self.answered(line, from, silence);
        // Whose return the relay could have seen; and not one whose last packets came with those of the
        // input left.
        let dead = self
            .silent(to, line.at)
            .filter(|s| s.to > line.at + STAMP && s.from + TIMEOUT + SLACK < line.at);
        if let Some(silence) = dead {
            let since = (line.at - silence.from) / 1000;
            self.fault(line.at, format!("moved to {to}, silent for {since} ms"));
        }
    }

    /// One decision for one silence; its lateness is noted.
    fn answered(&mut self, line: &Line, input: usize, silence: Silence) {
        let key = (input, silence.from);
        if self.used.contains(&key) {
            self.fault(line.at, format!("the same silence of {input} was answered twice"));
        }
        self.used.push(key);
        let deadline = silence.from + TIMEOUT;
        self.verdict.late.push(line.at - deadline);
        self.verdict.late_seen.push(line.seen - deadline);
        if line.at - deadline > SLACK {
            let late = (line.at - deadline) / 1000;
            self.fault(line.at, format!("{input} was left {late} ms late"));
        }
    }

    fn failback(&mut self, line: &Line, from: usize, to: usize) {
        self.verdict.failbacks += 1;
        if to > from {
            self.fault(line.at, format!("failback from {from} to the worse {to}"));
        }
        let all = &self.record.silences[to - 1];
        let unstable = |s: &&Silence| {
            s.span() >= TIMEOUT + STAMP && s.from < line.at && s.to > line.at - STABLE + STAMP
        };
        if all.iter().any(|s| unstable(&s)) {
            self.fault(line.at, format!("failback to {to}, which was not stable"));
        }
    }

    fn exhaustion(&mut self, line: &Line, on_air: usize) {
        match self.silent(on_air, line.at) {
            Some(silence) => self.answered(line, on_air, silence),
            None => self.fault(line.at, format!("exhausted, but {on_air} delivers")),
        }
        for input in 1..=INPUTS {
            if self.silent(input, line.at).is_none() {
                self.fault(line.at, format!("exhausted, but {input} is not silent"));
            }
        }
    }

    /// With the first packet of whichever input was the first.
    fn restored(&mut self, line: &Line, input: usize) {
        if self.silent(input, line.at).is_some_and(|s| s.to > line.at + STAMP) {
            self.fault(line.at, format!("restored by {input}, which is silent"));
        }
        let ends = self.record.silences.iter().filter_map(|of| {
            of.iter().rev().find(|s| s.span() >= TIMEOUT && s.from < line.at - STAMP).map(|s| s.to)
        });
        let first = ends.min().unwrap_or(line.at);
        if line.at - first > RESTORE {
            let late = (line.at - first) / 1000;
            self.fault(line.at, format!("restored {late} ms after the first packet"));
        }
    }

    /// What was on the air at this time, and whether anything was.
    fn state(&self, at: Us) -> (usize, bool) {
        let (mut on_air, mut exhausted) = (1, false);
        for line in self.record.lines.iter().take_while(|line| line.at < at) {
            match line.said {
                Said::Switch { to, .. } => on_air = to,
                Said::Exhausted => exhausted = true,
                Said::Restored(_) => exhausted = false,
                Said::Stall(_) | Said::Other => {}
            }
        }
        (on_air, exhausted)
    }

    /// No silence of the input on the air was overlooked.
    fn silences(&mut self) {
        for input in 1..=INPUTS {
            for silence in self.record.silences[input - 1].clone() {
                let deadline = silence.from + TIMEOUT;
                if silence.from > self.record.began && silence.span() >= TIMEOUT {
                    let near = |k: &Kill| k.input == input && explains(k, &silence);
                    if !self.record.kills.iter().any(near) {
                        self.verdict.starved += 1;
                    }
                }
                let too_late = silence.span() < TIMEOUT + SLACK || silence.from < self.record.began;
                let (on_air, exhausted) = self.state(deadline - STAMP);
                if too_late || on_air != input || exhausted {
                    continue;
                }
                let answered = self.used.contains(&(input, silence.from));
                let (later, _) = self.state(deadline + STAMP);
                if !answered && later == input {
                    self.fault(deadline, format!("a silence of {input} had no consequence"));
                }
            }
        }
    }

    /// Every blow at the active input was answered once.
    fn blows(&mut self) {
        for kill in &self.record.kills {
            let (on_air, exhausted) = self.state(kill.at);
            match kill.blow {
                Blow::Blink => self.verdict.blinks += 1,
                _ if on_air != kill.input || exhausted => self.verdict.at_standby += 1,
                _ => self.blow(kill),
            }
        }
        // One each 2 to 5 s is meant, most of them at the active input.
        let wanted = (self.record.ended - self.record.began) / 30_000_000;
        if (self.verdict.blows as Us) < wanted {
            let blows = self.verdict.blows;
            self.fault(
                self.record.ended,
                format!("{blows} blows at the active input prove little"),
            );
        }
    }

    fn blow(&mut self, kill: &Kill) {
        self.verdict.blows += 1;
        let all = &self.record.silences[kill.input - 1];
        let shown = all.iter().find(|s| s.span() >= TIMEOUT && explains(kill, s)).copied();
        let Some(silence) = shown else {
            let blow = kill.blow;
            return self.fault(kill.at, format!("{blow:?} of {} did not show", kill.input));
        };
        if self.used.contains(&(kill.input, silence.from)) {
            self.verdict.failed_over += 1;
        } else if self.state(silence.from + TIMEOUT + STAMP).0 != kill.input {
            self.verdict.overtaken += 1;
        } else {
            let blow = kill.blow;
            self.fault(kill.at, format!("{blow:?} of the active {} was not answered", kill.input));
        }
    }

    fn usage(&mut self) {
        let from = self.record.began + WARM_UP;
        let samples: Vec<_> = self.record.samples.iter().filter(|s| s.at >= from).collect();
        let tenth = samples.len().div_ceil(10);
        if tenth == 0 {
            return self.fault(self.record.ended, "the relay was never looked at".to_owned());
        }
        let most = |of: &[&crate::record::Sample]| Usage {
            rss_kib: of.iter().map(|s| s.rss_kib).max().unwrap_or(0),
            descriptors: of.iter().map(|s| s.descriptors).max().unwrap_or(0),
            threads: of.iter().map(|s| s.threads).max().unwrap_or(0),
        };
        let (first, last) = (most(&samples[..tenth]), most(&samples[samples.len() - tenth..]));
        (self.verdict.first, self.verdict.last) = (first, last);
        let ended = self.record.ended;
        if last.rss_kib > first.rss_kib + GROWTH_KIB {
            self.fault(ended, format!("memory grew {} -> {} KiB", first.rss_kib, last.rss_kib));
        }
        if last.descriptors.abs_diff(first.descriptors) > GROWTH {
            let (a, b) = (first.descriptors, last.descriptors);
            self.fault(ended, format!("descriptors went {a} -> {b}"));
        }
        if last.threads.abs_diff(first.threads) > GROWTH {
            self.fault(ended, format!("threads went {} -> {}", first.threads, last.threads));
        }
    }

    fn downstream(&mut self) {
        let ended = self.record.ended;
        if !self.record.relay_alive {
            self.fault(ended, "the relay ended by itself".to_owned());
        }
        if !self.record.downstream_alive {
            self.fault(ended, "the decoder ended".to_owned());
        }
        let record = self.record;
        let (explained, others): (Vec<_>, Vec<_>) =
            record.complaints.iter().partition(|complaint| is_explained(record, complaint));
        self.verdict.explained = explained.len();
        for (at, line) in others.into_iter().take(5) {
            self.fault(*at, format!("the decoder says: {line}"));
        }
        // What was silent at the output is missing, and nothing else.
        let silent: Us = self.record.output.iter().map(Silence::span).sum();
        let carried = ended - self.record.began - silent;
        let media = self.record.media_us - self.record.media_before_us;
        if (media - carried).abs() > MEDIA_MARGIN + carried / 50 {
            let (media, carried) = (media / 1000, carried / 1000);
            self.fault(ended, format!("{media} ms decoded, but {carried} ms went out"));
        }
        if !self.record.summary.contains("stopped by a signal") {
            self.fault(ended, "the relay's summary is missing".to_owned());
        }
    }
}

/// Whether the silence began with this blow. A stopped feeder may have sent nothing for a while.
fn explains(kill: &Kill, silence: &Silence) -> bool {
    kill.blow != Blow::Blink && (kill.at - 400_000..kill.at + SHOWS).contains(&silence.from)
}

/// Before the run began the decoder had to wait for the first keyframe, and said so. Later, where
/// everything had died: an input that comes back in its own turn, for nobody took it over, counts
/// its packets anew, and the relay shows that as the loss that it is.
fn is_explained(record: &Record, (at, line): &(Us, String)) -> bool {
    let restored = |said: &Line| {
        matches!(said.said, Said::Restored(_)) && (-STAMP..RESTORE).contains(&(at - said.at))
    };
    let is_loss = line.contains("Packet corrupt") || line.contains("corrupt input packet");
    *at < record.began || is_loss && record.lines.iter().any(restored)
}
