//! Chance, by seed: the same seed draws the same.

/// SplitMix64: small, and independent for neighbouring seeds.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// One of many: `salt` tells them apart.
    pub(crate) fn new(seed: u64, salt: u64) -> Self {
        let mut rng = Self(seed ^ salt.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        rng.next();
        rng.next();
        rng
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `n`, which is 1 or more.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// From `low` up to, and without, `high`.
    pub(crate) fn within(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).max(1))
    }

    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Exponential with this mean, 20 means at most.
    pub(crate) fn exponential(&mut self, mean_ns: u64) -> u64 {
        let draw = -(1.0 - self.unit()).ln();
        (draw.min(20.0) * mean_ns as f64) as u64
    }

    /// Heavy-tailed between two spans: as many decades below as above (log-uniform).
    pub(crate) fn log_within(&mut self, low_ns: u64, high_ns: u64) -> u64 {
        let span = (high_ns as f64 / low_ns as f64).ln();
        (low_ns as f64 * (self.unit() * span).exp()) as u64
    }
}

/// The sum over everything that was seen: equal sums, equal runs.
pub(crate) fn fold(sum: u64, word: u64) -> u64 {
    (sum ^ word).wrapping_mul(0x2545_F491_4F6C_DD1D).rotate_left(23)
}
