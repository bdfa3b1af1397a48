//! RTP sequence numbers: what is lost, late, repeated, or a new beginning.

/// Datagrams that a reordered one may be late without counting as lost.
const SETTLE: u16 = 16;
/// A number further back than this is a sender that has begun again, not a late datagram.
const MISORDERED: u16 = 100;
/// A number further ahead than this is a sender that has begun again, not a loss.
const DROPOUT: u16 = 3000;

/// Where a datagram stands in its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Newer than all before it.
    Newest,
    /// Overtaken by others on its way.
    Late,
    /// It was here before.
    Repeat,
}

/// The sequence of one sender.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// The sender, and the newest number of it.
    newest: Option<(u32, u16)>,
    /// Bit n: the number n before the newest was here (or does not count).
    seen: u64,
}

impl Sequence {
    /// Takes a datagram. Answers where it stands, and how many others are now lost for good.
    pub(super) fn take(&mut self, sender: u32, number: u16) -> (Place, u32) {
        let newest = match self.newest {
            Some((known, newest)) if known == sender => newest,
            _ => return self.begin(sender, number),
        };
        let ahead = number.wrapping_sub(newest);
        let behind = newest.wrapping_sub(number);
        match (ahead, behind) {
            (0, _) => (Place::Repeat, 0),
            (1..=DROPOUT, _) => {
                self.newest = Some((sender, number));
                (Place::Newest, self.advance(ahead))
            }
            (_, 1..64) => {
                let bit = 1_u64 << behind;
                let place = if self.seen & bit == 0 { Place::Late } else { Place::Repeat };
                self.seen |= bit;
                (place, 0)
            }
            (_, 64..=MISORDERED) => (Place::Late, 0),
            _ => self.begin(sender, number),
        }
    }

    /// What was before does not count.
    fn begin(&mut self, sender: u32, number: u16) -> (Place, u32) {
        (self.newest, self.seen) = (Some((sender, number)), u64::MAX);
        (Place::Newest, 0)
    }

    /// Moves on by `ahead` numbers; those that leave the window unseen are lost.
    fn advance(&mut self, ahead: u16) -> u32 {
        let leaving = ahead.min(SETTLE);
        // The numbers SETTLE - leaving .. SETTLE behind the newest.
        let window = ((1_u64 << leaving) - 1) << (SETTLE - leaving);
        let unseen = (!self.seen & window).count_ones();
        self.seen = if ahead < 64 { self.seen << ahead | 1 } else { 1 };
        unseen + u32::from(ahead - leaving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sum of the losses after so many more numbers in order.
    fn lost(sequence: &mut Sequence, from: u16, count: u16) -> u32 {
        (0..count).map(|n| sequence.take(1, from.wrapping_add(n)).1).sum()
    }

    #[test]
    fn a_gap_is_lost_when_it_has_had_its_time() {
        let mut sequence = Sequence::default();
        assert_eq!(sequence.take(1, 65_530), (Place::Newest, 0));
        assert_eq!(sequence.take(1, 65_533), (Place::Newest, 0), "it may come late");
        let next = |n: u16| 65_534_u16.wrapping_add(n);
        assert_eq!(lost(&mut sequence, next(0), SETTLE - 3), 0);
        assert_eq!(lost(&mut sequence, next(SETTLE - 3), 1), 1);
        assert_eq!(lost(&mut sequence, next(SETTLE - 2), 1), 1);
        assert_eq!(lost(&mut sequence, next(SETTLE - 1), 200), 0);
    }

    #[test]
    fn long_gaps_count_in_full() {
        for gap in [1, 15, 16, 17, 63, 64, 65, 2999] {
            let mut sequence = Sequence::default();
            assert_eq!(lost(&mut sequence, 0, 5), 0);
            assert_eq!(lost(&mut sequence, 5 + gap, 100), u32::from(gap), "{gap}");
        }
    }

    #[test]
    fn late_and_repeated_ones_are_no_loss() {
        let mut sequence = Sequence::default();
        lost(&mut sequence, 100, 1);
        assert_eq!(sequence.take(1, 102), (Place::Newest, 0));
        assert_eq!(sequence.take(1, 101), (Place::Late, 0));
        assert_eq!(sequence.take(1, 101), (Place::Repeat, 0));
        assert_eq!(sequence.take(1, 102), (Place::Repeat, 0));
        assert_eq!(sequence.take(1, 99), (Place::Repeat, 0), "from before the beginning");
        assert_eq!(lost(&mut sequence, 103, 300), 0);
        assert_eq!(sequence.take(1, 402 - 100), (Place::Late, 0), "no loss of 65,436");
        let overtaken = (403..418).filter(|&number| number != 404).chain([404]);
        assert_eq!(overtaken.map(|number| sequence.take(1, number).1).sum::<u32>(), 0);
        assert_eq!(sequence.take(1, 418), (Place::Newest, 0));
        assert_eq!(lost(&mut sequence, 419, 300), 0);
    }

    #[test]
    fn a_sender_that_begins_again_has_lost_nothing() {
        let mut sequence = Sequence::default();
        lost(&mut sequence, 1000, 20);
        assert_eq!(sequence.take(1, 30_000), (Place::Newest, 0), "too far ahead");
        assert_eq!(lost(&mut sequence, 30_001, 50), 0);
        assert_eq!(sequence.take(1, 29_000), (Place::Newest, 0), "too far back");
        assert_eq!(sequence.take(2, 29_500), (Place::Newest, 0), "another sender");
        assert_eq!((0..50).map(|n| sequence.take(2, 29_501 + n).1).sum::<u32>(), 0);
    }
}
