//! Which streams there are: how many inputs, of which kind, how fast, under which policies.

use changeover::{
    BitrateRule, Cut, Failback, HealthConfig, InputConfig, LossRule, Silence, StreamConfig,
};

use crate::rng::Rng;

const SLOW_MS: u64 = 10_000;
const SLOW_GRID_MS: u64 = 250;

/// The mix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mix {
    /// Every packet timeout from 200 ms to 30 s is as likely: many packets.
    Dense,
    /// Most streams have timeouts of 10 s to 30 s, as by default: many hours.
    Long,
}

impl Mix {
    /// What concerns a stream of this packet timeout happens at multiples of this. Slow streams
    /// share their moments, and the moments of the engine's looks at them: that is what makes very
    /// many hours possible.
    pub(crate) fn grid_ns(self, timeout_ms: i64) -> u64 {
        match self {
            Self::Long if timeout_ms >= SLOW_MS as i64 => SLOW_GRID_MS * 1_000_000,
            Self::Long => 10_000_000,
            Self::Dense => 1_000_000,
        }
    }

    fn timeout_ms(self, rng: &mut Rng) -> u64 {
        match self {
            Self::Dense => rng.log_within(200, 30_000),
            Self::Long => match rng.below(1_000) {
                0..2 => rng.within(200, 1_000),
                2..10 => rng.within(1_000, 3_000),
                10..50 => rng.within(3_000, 10_000),
                50..200 => rng.within(SLOW_MS / SLOW_GRID_MS, 30_000 / SLOW_GRID_MS) * SLOW_GRID_MS,
                _ => 30_000,
            },
        }
    }
}

/// The stream of this number.
pub(crate) fn stream(mix: Mix, index: usize, rng: &mut Rng) -> StreamConfig {
    let timeout_ms = mix.timeout_ms(rng);
    let mut config = StreamConfig::new(format!("s{index}"));
    config.packet_timeout_ms = timeout_ms as i64;
    if rng.chance(20) {
        config.connect_timeout_ms = 0;
    }
    let inputs = match rng.below(20) {
        0 => 1,
        1..11 => 2,
        11..17 => 3,
        _ => 4,
    };
    let temper = rng.below(10);
    for n in 0..inputs {
        // Priorities are any numbers.
        let priority = n * 2 - 1;
        let hot = match temper {
            0..4 => true,
            4..7 => false,
            _ => rng.chance(50),
        };
        let address = format!("udp://{index}.{n}");
        let new = if hot { InputConfig::hot } else { InputConfig::cold };
        let mut input = new(priority, address);
        if rng.chance(10) {
            input.connect_timeout_ms = rng.within(timeout_ms / 2, timeout_ms * 2) as i64;
        }
        if rng.chance(10) {
            let most = rng.within(timeout_ms, timeout_ms * 2);
            let whole = if timeout_ms >= SLOW_MS { SLOW_GRID_MS } else { 1 };
            input.packet_timeout_ms = (most / whole * whole) as i64;
        }
        config.inputs.push(input);
    }
    if rng.chance(15) {
        let max_wait_ms = rng.within(timeout_ms / 2, timeout_ms * 2) as i64;
        config.cut = Cut::Keyframe { max_wait_ms };
    }
    if rng.chance(5) {
        config.failback = Failback::Never;
    }
    if rng.chance(if mix == Mix::Dense { 8 } else { 2 }) {
        config.health = Some(health(timeout_ms, rng).into());
    }
    config
}

/// Rules that are sampled as slowly as the stream's packets come.
fn health(timeout_ms: u64, rng: &mut Rng) -> HealthConfig {
    let hold_ms = timeout_ms as i64;
    let clear_ms = 2 * hold_ms;
    let mut health =
        HealthConfig { step_ms: (timeout_ms / 4).max(20) as i64, ..HealthConfig::default() };
    match rng.below(3) {
        0 => health.loss = LossRule { max_percent: 20.0, hold_ms, clear_ms },
        1 => {
            let min_percent = 40.0;
            health.bitrate = BitrateRule { min_percent, hold_ms, clear_ms, ..Default::default() };
        }
        _ => {
            health.silence = Silence::Learned { floor_ms: 0, ceiling_ms: 0, confidence: 0.0 };
        }
    }
    health
}
