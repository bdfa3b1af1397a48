//! Durations as the configuration has them (whole milliseconds) and as the engine has them (ns).

use std::time::Duration;

use crate::error::Error;
use crate::types::{FOREVER_NS, Nanos};

/// Whole milliseconds to nanoseconds, saturating at 2^63-1; a negative one counts as 0.
pub(crate) fn ms_to_ns(ms: i64) -> Nanos {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000).min(FOREVER_NS)
}

/// A duration as whole milliseconds, rounded up, so that a positive one never becomes 0.
pub(crate) fn duration_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX)
}

pub(crate) fn not_negative(field: &'static str, value_ms: i64) -> Result<(), Error> {
    if value_ms < 0 { Err(Error::NegativeDuration { field, value_ms }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_positive_duration_never_becomes_the_default() {
        assert_eq!(duration_ms(Duration::from_nanos(1)), 1);
        assert_eq!(duration_ms(Duration::MAX), i64::MAX);
        assert_eq!(ms_to_ns(-5), 0);
        assert_eq!(ms_to_ns(i64::MAX), FOREVER_NS);
    }
}
