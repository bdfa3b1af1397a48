//! How the variants are timed: all of them once in every round, the first one rotating, so that what
//! disturbs the machine disturbs all; ratios are taken round by round.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::support::{self, involuntary_switches, quantile};

/// How long a sample of one variant takes.
pub(crate) const SAMPLE: Duration = Duration::from_millis(2);

/// One variant of a comparison.
pub(crate) struct Case<'a> {
    key: &'static str,
    /// Makes so many calls; answers ns a call.
    sample: Box<dyn FnMut(usize) -> f64 + 'a>,
}

impl<'a> Case<'a> {
    /// Of calls that this thread makes; `run` answers how many of them said *forward*.
    pub(crate) fn new(key: &'static str, mut run: impl FnMut(usize) -> usize + 'a) -> Self {
        let sample = move |ops| {
            undisturbed(|| {
                let began = Instant::now();
                black_box(run(ops));
                began.elapsed().as_nanos() as f64 / ops as f64
            })
        };
        Self { key, sample: Box::new(sample) }
    }

    /// Of a sample that is taken in another way.
    pub(crate) fn sampled(key: &'static str, sample: impl FnMut(usize) -> f64 + 'a) -> Self {
        Self { key, sample: Box::new(sample) }
    }

    pub(crate) fn key(&self) -> &'static str {
        self.key
    }

    pub(crate) fn sample(&mut self, ops: usize) -> f64 {
        (self.sample)(ops)
    }

    /// How many calls take about so long.
    pub(crate) fn calls_in(&mut self, time: Duration) -> usize {
        self.sample(2048);
        let probe = self.sample(4096).max(0.1);
        ((time.as_nanos() as f64 / probe) as usize).clamp(1024, 8_000_000)
    }

    /// How the case is to be sampled where a pass over all inputs takes so many calls.
    fn plan(&mut self, pass: usize) -> Plan {
        let ops = self.calls_in(SAMPLE);
        if ops > 16 * pass {
            return Plan { warm: 0, ops };
        }
        // Far more memory than any cache holds: nothing to warm up.
        if ops * 16 < pass {
            return Plan { warm: 0, ops: 8 * ops };
        }
        Plan { warm: pass, ops: ops.next_multiple_of(pass) }
    }
}

/// Whole passes over the inputs, after one that is not timed: else the quick variants would find in
/// the cache, in their third pass of a sample, what the slow ones fetch from memory in their first
/// half pass, after the variant before them took its place.
struct Plan {
    warm: usize,
    ops: usize,
}

/// A sample that the scheduler interrupted is taken again.
pub(crate) fn undisturbed<T>(mut sample: impl FnMut() -> T) -> T {
    for _ in 0..4 {
        let before = involuntary_switches();
        let taken = sample();
        if involuntary_switches() == before {
            return taken;
        }
    }
    sample()
}

/// The samples of several cases, round by round.
pub(crate) struct Taken {
    keys: Vec<&'static str>,
    ns: Vec<Vec<f64>>,
}

impl Taken {
    fn of(&self, key: &str) -> &[f64] {
        let at = self.keys.iter().position(|known| *known == key);
        &self.ns[at.unwrap_or_else(|| panic!("no case {key}"))]
    }

    /// Tells the figures `<prefix>/<key>/ns|p10|p90|x`, `x` the ratio to the case `base`.
    pub(crate) fn tell(&self, prefix: &str, base: &str) {
        for (key, ns) in self.keys.iter().zip(&self.ns) {
            for (name, q) in [("ns", 0.5), ("p10", 0.1), ("p90", 0.9)] {
                support::figure(format!("{prefix}/{key}/{name}"), quantile(ns, q));
            }
            support::figure(format!("{prefix}/{key}/x"), self.ratio(key, base));
        }
    }

    /// The median of the ratios within the rounds.
    pub(crate) fn ratio(&self, key: &str, base: &str) -> f64 {
        let pairs = self.of(key).iter().zip(self.of(base));
        quantile(&pairs.map(|(ns, base)| ns / base).collect::<Vec<_>>(), 0.5)
    }
}

/// Every case once a round, of which a pass over all inputs takes `pass` calls.
pub(crate) fn interleaved(mut cases: Vec<Case<'_>>, pass: usize, rounds: usize) -> Taken {
    let plans: Vec<Plan> = cases.iter_mut().map(|case| case.plan(pass)).collect();
    rotating(cases, rounds, |case, at| {
        let Plan { warm, ops } = plans[at];
        if warm > 0 {
            case.sample(warm);
        }
        case.sample(ops)
    })
}

/// The same in single passes that find nothing in a cache: where the lines are too many to be sure
/// of what the caches keep of them, which depends on who else is on the machine.
pub(crate) fn interleaved_cold(cases: Vec<Case<'_>>, pass: usize, rounds: usize) -> Taken {
    let mut cold = Cold::new();
    rotating(cases, rounds, |case, _| {
        cold.evict();
        case.sample(pass)
    })
}

/// Takes the place of everything else in the caches.
pub(crate) struct Cold(Vec<u64>);

impl Cold {
    /// More than the caches hold.
    const BYTES: usize = 96 << 20;

    pub(crate) fn new() -> Self {
        Self(vec![0; Self::BYTES / size_of::<u64>()])
    }

    pub(crate) fn evict(&mut self) {
        for word in self.0.iter_mut().step_by(8) {
            *word = black_box(*word + 1);
        }
    }
}

fn rotating<'a>(
    mut cases: Vec<Case<'a>>,
    rounds: usize,
    mut sample: impl FnMut(&mut Case<'a>, usize) -> f64,
) -> Taken {
    let mut ns = vec![Vec::with_capacity(rounds); cases.len()];
    for round in 0..rounds {
        for turn in 0..cases.len() {
            let at = (round + turn) % cases.len();
            ns[at].push(sample(&mut cases[at], at));
        }
    }
    Taken { keys: cases.iter().map(Case::key).collect(), ns }
}

/// Goes round `items` from the cursor for `ops` calls; answers how many were true. Once for each
/// variant, and not inlined into one big function, so that each loop has the registers it needs.
#[inline(never)]
pub(crate) fn over<T>(
    items: &mut [T],
    cursor: &mut usize,
    ops: usize,
    mut call: impl FnMut(&mut T) -> bool,
) -> usize {
    let (mut left, mut hits) = (ops, 0);
    while left > 0 {
        let run = left.min(items.len() - *cursor);
        for item in &mut items[*cursor..*cursor + run] {
            hits += usize::from(call(item));
        }
        left -= run;
        // No division: it would cost more than a call where there are only two cells.
        *cursor += run;
        if *cursor == items.len() {
            *cursor = 0;
        }
    }
    hits
}
