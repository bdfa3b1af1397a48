//! What an input delivers, over a sliding window: bitrate, frame rate, loss, and which tracks
//! flow; and the reference that is learned of its bitrate. O(1) an input and sample.

use super::input::{Counts, Run};
use crate::types::Nanos;

/// Steps in a window.
pub(crate) const STEPS: usize = 10;
/// The learned reference is the median of windows of so long a time, one a second at the most.
const REFERENCE_SPAN_NS: Nanos = 60_000_000_000;
const REFERENCE_WINDOWS: usize = 60;
/// So long a time has to be known.
const REFERENCE_LEAST_NS: Nanos = 10_000_000_000;
const REFERENCE_STEP_NS: Nanos = 1_000_000_000;
/// A sample this many steps late says nothing of the steps between: the window begins anew.
const LATE_STEPS: u64 = 3;

/// The estimates of one window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rates {
    pub(crate) kbps: f64,
    pub(crate) fps: f64,
    pub(crate) loss_percent: f64,
    pub(crate) video: bool,
}

/// What was counted at one moment.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    at: Nanos,
    counts: Counts,
}

/// One input's sliding window.
#[derive(Clone, Debug)]
pub(crate) struct Meter {
    /// The last `filled` steps' marks, in a ring; `newest` is the latest.
    marks: [Mark; STEPS + 1],
    filled: usize,
    newest: usize,
    /// The latest full window's estimates.
    rates: Option<Rates>,
    /// Steps since the last whole window.
    steps: usize,
    /// A rule was true in the present whole window.
    tainted: bool,
    reference: Reference,
    /// When video was last seen to move, and audio; the beginning, where it never was.
    video_at: Nanos,
    audio_at: Nanos,
}

/// The median of the bitrates of the latest good windows.
#[derive(Clone, Debug)]
struct Reference {
    kbps: [f32; REFERENCE_WINDOWS],
    known: usize,
    next: usize,
    median: Option<f64>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            marks: [Mark::default(); STEPS + 1],
            filled: 0,
            newest: 0,
            rates: None,
            steps: 0,
            tainted: false,
            reference: Reference {
                kbps: [0.0; REFERENCE_WINDOWS],
                known: 0,
                next: 0,
                median: None,
            },
            video_at: 0,
            audio_at: 0,
        }
    }

    /// How long video has been silent.
    pub(crate) fn video_silent(&self, now: Nanos) -> Nanos {
        now.saturating_sub(self.video_at)
    }

    /// Whether audio has flowed on for this span after the last video, and still does.
    pub(crate) fn audio_outlives_video(&self, now: Nanos, span: Nanos, step: Nanos) -> bool {
        let outlived = self.audio_at.saturating_sub(self.video_at).saturating_add(step);
        self.video_silent(now) >= span
            && outlived >= span
            && now - self.audio_at <= step.saturating_mul(STEPS as u64)
    }

    /// The next sample is due; `None` while nothing is being sampled.
    pub(crate) fn due(&self, step: Nanos) -> Option<Nanos> {
        (self.filled > 0).then(|| self.marks[self.newest].at.saturating_add(step))
    }

    /// The window begins anew (another run, a silence, a stall). The reference stays.
    pub(crate) fn restart(&mut self) {
        self.filled = 0;
        self.rates = None;
        self.steps = 0;
        self.tainted = false;
    }

    /// Takes a sample; answers the estimates of the window that it ends, once it is full.
    pub(crate) fn sample(&mut self, now: Nanos, run: &Run, step: Nanos) -> Option<Rates> {
        if self
            .due(step)
            .is_some_and(|due| now > due.saturating_add(step.saturating_mul(LATE_STEPS)))
        {
            self.restart();
        }
        if self.filled == 0 {
            (self.video_at, self.audio_at) = (now, now);
        }
        let before = self.marks[self.newest].counts;
        if run.counts.video != before.video {
            self.video_at = now;
        }
        if run.counts.audio != before.audio {
            self.audio_at = now;
        }
        self.newest = (self.newest + 1) % self.marks.len();
        self.marks[self.newest] = Mark { at: now, counts: run.counts };
        self.filled = (self.filled + 1).min(self.marks.len());
        if self.filled < self.marks.len() {
            return None;
        }
        let oldest = self.marks[(self.newest + 1) % self.marks.len()];
        self.rates = Some(rates(&oldest, &self.marks[self.newest]));
        self.rates
    }

    /// After the rules were looked at: a whole window in which none was true tells what the
    /// input usually delivers.
    pub(crate) fn learn(&mut self, a_rule_is_true: bool, step: Nanos) {
        self.tainted |= a_rule_is_true;
        self.steps += 1;
        let span = step.saturating_mul(self.steps as u64);
        if self.steps < STEPS || span < REFERENCE_STEP_NS {
            return;
        }
        self.steps = 0;
        let tainted = std::mem::replace(&mut self.tainted, false);
        if let Some(rates) = self.rates.filter(|_| !tainted) {
            self.reference.push(rates.kbps, span);
        }
    }

    /// The latest full window's estimates.
    pub(crate) fn rates(&self) -> Option<Rates> {
        self.rates
    }

    /// What the input usually delivers, kbit/s.
    pub(crate) fn reference_kbps(&self) -> Option<f64> {
        self.reference.median
    }
}

impl Reference {
    /// The bitrate of one clean window; one comes every `span`.
    fn push(&mut self, kbps: f64, span: Nanos) {
        let kept = ((REFERENCE_SPAN_NS / span) as usize).clamp(1, REFERENCE_WINDOWS);
        let least = REFERENCE_LEAST_NS.div_ceil(span) as usize;
        if self.next >= kept {
            self.next = 0;
        }
        self.kbps[self.next] = kbps as f32;
        self.next = (self.next + 1) % kept;
        self.known = (self.known + 1).min(kept);
        if self.known >= least.min(kept) {
            let mut sorted = self.kbps;
            let sorted = &mut sorted[..self.known];
            sorted.sort_unstable_by(f32::total_cmp);
            self.median = Some(f64::from(sorted[self.known / 2]));
        }
    }
}

fn rates(from: &Mark, to: &Mark) -> Rates {
    let seconds = to.at.saturating_sub(from.at).max(1) as f64 / 1e9;
    let packets = to.counts.packets.saturating_sub(from.counts.packets) as f64;
    let bytes = to.counts.bytes.saturating_sub(from.counts.bytes) as f64;
    let frames = f64::from(to.counts.frames.wrapping_sub(from.counts.frames));
    let lost = f64::from(to.counts.lost.wrapping_sub(from.counts.lost));
    Rates {
        kbps: bytes * 8.0 / 1000.0 / seconds,
        fps: frames / seconds,
        loss_percent: if lost > 0.0 { 100.0 * lost / (lost + packets) } else { 0.0 },
        video: to.counts.video != from.counts.video,
    }
}

/// The estimates of an input that no rule has sampled: the mean from one look of the host's to
/// the next, at least a window apart.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Glance {
    older: Mark,
    newer: Mark,
}

impl Glance {
    /// Somebody looks at a run that began at `since`, and has counted this.
    pub(crate) fn look(&mut self, now: Nanos, since: Nanos, counts: &Counts, window: Nanos) {
        if counts.packets < self.newer.counts.packets || self.newer.at < since {
            // Another run.
            let begin = Mark { at: since, counts: Counts::default() };
            *self = Self { older: begin, newer: begin };
        }
        if now.saturating_sub(self.newer.at) >= window {
            self.older = self.newer;
            self.newer = Mark { at: now, counts: *counts };
        }
    }

    /// The estimates now; nothing from an input that was silent for two windows.
    pub(crate) fn rates(&self, now: Nanos, run: &Run, window: Nanos) -> Rates {
        let silent =
            run.stamp.is_none_or(|stamp| now.saturating_sub(stamp) >= window.saturating_mul(2));
        if silent {
            return Rates::default();
        }
        let present = Mark { at: now, counts: run.counts };
        let same_run =
            |mark: &Mark| mark.at >= run.since && run.counts.packets >= mark.counts.packets;
        let begin = Mark { at: run.since, counts: Counts::default() };
        let newer = if same_run(&self.newer) { self.newer } else { begin };
        if now.saturating_sub(newer.at) >= window {
            return rates(&newer, &present);
        }
        // Too short a time to say more than at the look before.
        if same_run(&self.older) && self.older.at < newer.at {
            return rates(&self.older, &newer);
        }
        Rates::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Epoch;

    const STEP: Nanos = 100_000_000;

    fn run() -> Run {
        Run::new(Epoch::new(1), 0)
    }

    /// One step of a feed of so many kbit/s and frames a second.
    fn deliver(run: &mut Run, kbps: u64, fps: u32) {
        run.counts.packets += 10;
        run.counts.bytes += kbps * 1000 / 8 / 10;
        run.counts.frames = run.counts.frames.wrapping_add(fps / 10);
    }

    #[test]
    fn a_window_is_ten_steps_and_a_full_stop_is_zero_after_it() {
        let (mut meter, mut run, mut now) = (Meter::new(), run(), STEP);
        run.counts.frames = u32::MAX - 5;
        let mut seen = None;
        for i in 0..=STEPS {
            seen = meter.sample(now, &run, STEP);
            assert_eq!(seen.is_some(), i == STEPS);
            deliver(&mut run, 6000, 50);
            now += STEP;
        }
        let rates = seen.unwrap();
        assert!((rates.kbps - 6000.0).abs() < 1e-6, "{rates:?}");
        assert!((rates.fps - 50.0).abs() < 1e-6 && rates.loss_percent == 0.0);
        run.counts.bytes -= 75_000; // the step that no sample has seen
        for _ in 0..STEPS {
            seen = meter.sample(now, &run, STEP);
            now += STEP;
        }
        assert_eq!(seen.unwrap().kbps, 0.0);
    }

    #[test]
    fn loss_is_of_all_that_was_sent() {
        let from = Mark::default();
        let counts = Counts { packets: 90, lost: 10, ..Counts::default() };
        assert_eq!(rates(&from, &Mark { at: STEP, counts }).loss_percent, 10.0);
    }

    #[test]
    fn the_reference_is_a_median_of_clean_windows() {
        let mut meter = Meter::new();
        let window = |meter: &mut Meter, kbps: f64, a_rule_is_true: bool| {
            meter.rates = Some(Rates { kbps, ..Rates::default() });
            for step in 0..STEPS {
                meter.learn(a_rule_is_true && step == 3, STEP);
            }
        };
        for _ in 0..9 {
            window(&mut meter, 6000.0, false);
        }
        assert_eq!(meter.reference_kbps(), None);
        window(&mut meter, 600.0, false);
        assert_eq!(meter.reference_kbps(), Some(6000.0));
        for _ in 0..60 {
            window(&mut meter, 600.0, true);
        }
        assert_eq!(meter.reference_kbps(), Some(6000.0), "starved windows do not count");
        for _ in 0..31 {
            window(&mut meter, 3000.0, false);
        }
        assert_eq!(meter.reference_kbps(), Some(3000.0));
    }

    #[test]
    fn a_late_sample_begins_a_new_window() {
        let (mut meter, run) = (Meter::new(), run());
        for i in 1..=STEPS as u64 + 1 {
            meter.sample(i * STEP, &run, STEP);
        }
        assert!(meter.rates().is_some());
        meter.sample(16 * STEP, &run, STEP);
        assert!(meter.rates().is_none() && meter.filled == 1);
    }

    #[test]
    fn a_glance_is_the_mean_since_the_last_one() {
        let (mut glance, mut run, window) = (Glance::default(), run(), 10 * STEP);
        let mut now = 0;
        for _ in 0..40 {
            deliver(&mut run, 1000, 25);
            now += STEP;
        }
        run.stamp = Some(now);
        assert!((glance.rates(now, &run, window).kbps - 1000.0).abs() < 1.0);
        glance.look(now, 0, &run.counts, window);
        for _ in 0..20 {
            deliver(&mut run, 2000, 25);
            now += STEP;
        }
        run.stamp = Some(now);
        assert!((glance.rates(now, &run, window).kbps - 2000.0).abs() < 1.0);
        assert_eq!(glance.rates(now + 2 * window, &run, window), Rates::default());
    }
}
