//! Timebases: what one tick lasts and where the counting begins again; exact conversion.

/// No value beyond this (in output ticks) is believed: sums of two of them cannot overflow.
pub(super) const FURTHEST: i64 = 1 << 61;

/// What one tick lasts, in seconds as a fraction (FFmpeg's `AVRational`), and at how many ticks
/// the counter begins again at 0, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timebase {
    num: i32,
    den: i32,
    /// Ticks until the counter is at 0 again; 0 = never.
    modulus: u64,
}

/// The timebase is not usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadTimebase {
    /// Numerator or denominator is not positive.
    #[error("a timebase of {num}/{den} s is not usable: both numbers must be 1 or more")]
    NotPositive {
        /// The numerator.
        num: i32,
        /// The denominator.
        den: i32,
    },
    /// The width of the counter is not usable.
    #[error("a counter of {bits} bits is not usable: use 8..=62")]
    BadWidth {
        /// The width in bits.
        bits: u32,
    },
}

impl Timebase {
    /// PTS and DTS of an MPEG transport stream: 90 kHz, 33 bits.
    pub const MPEG_TS: Self = Self { num: 1, den: 90_000, modulus: 1 << 33 };

    /// The PCR of an MPEG transport stream, base * 300 + extension: 27 MHz; it wraps with its
    /// 33-bit base.
    pub const PCR: Self = Self { num: 1, den: 27_000_000, modulus: 300 << 33 };

    /// Milliseconds (FLV, RTMP, Matroska), without a wrap.
    pub const MILLIS: Self = Self { num: 1, den: 1000, modulus: 0 };

    /// `num / den` seconds per tick, for a counter that never wraps: what FFmpeg's demuxers hand
    /// out.
    ///
    /// # Errors
    /// [`BadTimebase::NotPositive`]: one of the numbers is 0 or less.
    pub const fn new(num: i32, den: i32) -> Result<Self, BadTimebase> {
        if num > 0 && den > 0 {
            Ok(Self { num, den, modulus: 0 })
        } else {
            Err(BadTimebase::NotPositive { num, den })
        }
    }

    /// The same for a counter of so many bits: 33 for MPEG-TS, 32 for RTP.
    ///
    /// # Errors
    /// [`BadTimebase::BadWidth`]: fewer than 8 bits or more than 62.
    pub const fn wrapping(mut self, bits: u32) -> Result<Self, BadTimebase> {
        if bits < 8 || bits > 62 {
            return Err(BadTimebase::BadWidth { bits });
        }
        self.modulus = 1 << bits;
        Ok(self)
    }

    /// `ticks` as the counter shows them: modulo its width. Unchanged where nothing wraps.
    #[must_use]
    pub const fn fold(self, ticks: i64) -> i64 {
        if self.modulus == 0 { ticks } else { ticks.rem_euclid(self.modulus as i64) }
    }

    /// What the counter means when it shows `value` close to `near`, where it wraps.
    pub(super) fn unfold(self, value: i64, near: i64) -> Option<i64> {
        if self.modulus == 0 {
            return Some(value);
        }
        let modulus = i128::from(self.modulus);
        let ahead = (i128::from(value) - i128::from(near)).rem_euclid(modulus);
        let delta = if ahead * 2 > modulus { ahead - modulus } else { ahead };
        i64::try_from(i128::from(near) + delta).ok()
    }

    /// `ticks` in ticks of `to`, to the nearest one, halves away from 0; `None` if that is
    /// further away than any clock goes.
    pub(super) fn convert(self, ticks: i64, to: Self) -> Option<i64> {
        // 2^63 * 2^31 * 2^31 is less than 2^127.
        let value = i128::from(ticks) * i128::from(self.num) * i128::from(to.den);
        let unit = i128::from(self.den) * i128::from(to.num);
        let half = if value < 0 { -unit } else { unit } / 2;
        i64::try_from((value + half) / unit).ok().filter(|t| (-FURTHEST..=FURTHEST).contains(t))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: Timebase = Timebase { num: 1001, den: 30_000, modulus: 0 };

    #[test]
    fn absurd_timebases_are_errors() {
        for (num, den) in [(0, 1), (1, 0), (-1, 25), (1, -25), (i32::MIN, i32::MIN)] {
            assert_eq!(Timebase::new(num, den), Err(BadTimebase::NotPositive { num, den }));
        }
        for bits in [0, 7, 63, 64, u32::MAX] {
            assert_eq!(Timebase::MILLIS.wrapping(bits), Err(BadTimebase::BadWidth { bits }));
        }
        assert_eq!(Timebase::new(1, 90_000).unwrap().wrapping(33), Ok(Timebase::MPEG_TS));
    }

    #[test]
    fn conversion_is_to_the_nearest_tick() {
        assert_eq!(VIDEO.convert(1, Timebase::MPEG_TS), Some(3003));
        assert_eq!(VIDEO.convert(1, Timebase::MILLIS), Some(33));
        assert_eq!(VIDEO.convert(2, Timebase::MILLIS), Some(67));
        let half = Timebase::new(1, 2).unwrap();
        let whole = Timebase::new(1, 1).unwrap();
        assert_eq!([-3, -1, 1, 3].map(|t| half.convert(t, whole).unwrap()), [-2, -1, 1, 2]);
        assert_eq!(Timebase::MPEG_TS.convert(7, Timebase::PCR), Some(2100));
    }

    #[test]
    fn values_beyond_every_clock_are_refused_and_nothing_overflows() {
        let longest = Timebase::new(i32::MAX, 1).unwrap();
        let shortest = Timebase::new(1, i32::MAX).unwrap();
        for ticks in [i64::MAX, i64::MIN, i64::MIN + 1] {
            assert_eq!(longest.convert(ticks, shortest), None);
            assert_eq!(shortest.convert(ticks, shortest), None);
        }
        assert_eq!(longest.convert(0, shortest), Some(0));
        assert_eq!(shortest.convert(i64::MAX, longest), Some(2));
        assert_eq!(shortest.convert(1 << 61, shortest), Some(1 << 61));
        assert_eq!(shortest.convert((1 << 61) + 1, shortest), None);
        assert_eq!(Timebase::MPEG_TS.unfold(i64::MIN, i64::MIN), Some(i64::MIN));
        assert_eq!(Timebase::MPEG_TS.unfold(0, i64::MAX), None);
    }

    #[test]
    fn a_counter_is_read_close_to_where_it_was() {
        let top = (1 << 33) - 1;
        assert_eq!(Timebase::MPEG_TS.unfold(5, top), Some(top + 6));
        assert_eq!(Timebase::MPEG_TS.unfold(top, top + 6), Some(top));
        assert_eq!(Timebase::MPEG_TS.unfold(top, 5), Some(-1));
        assert_eq!(Timebase::MILLIS.unfold(5, top), Some(5));
        assert_eq!(Timebase::MPEG_TS.fold(-1), top);
        assert_eq!(Timebase::PCR.fold(300 << 33), 0);
        assert_eq!(Timebase::MILLIS.fold(-1), -1);
    }
}
