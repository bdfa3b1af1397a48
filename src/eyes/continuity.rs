//! The continuity counters of one transport stream: what is missing, what came late, and how many
//! datagrams that makes. Memory is bounded, whatever PIDs come.

use super::codec::{Coding, Look};

/// PIDs that are followed at a time; with more, the longest followed ones are forgotten.
const SLOTS: usize = 250;
/// Datagrams that a reordered one may be late without counting as lost.
const SETTLE: usize = 8;
/// Datagrams after a jump within which the counter may go on where it was.
const OVERTAKING: u8 = 3;
/// Pictures that may be keyframes and have no random access indicator, until it is no longer
/// believed that every keyframe would have it.
const UNINDICATED: u8 = 3;
/// One packet, in the unit of the averages.
const ONE: i64 = 256;

/// What a PID carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Class {
    #[default]
    Unknown,
    Video(Coding),
    Audio,
    Other,
    /// Sections of a programme map.
    Map,
}

/// What is known of one PID.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pid {
    number: u16,
    pub(super) class: Class,
    /// The programme map that gave the class, counted from 1; 0 = its own PES headers did.
    pub(super) map: u8,
    /// It has set the random access indicator: so many more pictures that may be keyframes are
    /// none without it.
    pub(super) indicates: u8,
    /// The indicator came ahead of the PES that it speaks of.
    pub(super) announced: bool,
    started: bool,
    /// The last packet came twice; the standard allows that once.
    repeated: bool,
    last: u8,
    /// Where the counter was before it jumped, and might go on.
    left: u8,
    /// The datagram in which it jumped, and the packets that were missing then.
    jumped_in: u8,
    jumped_over: u8,
    /// What is late is here now; then it goes on behind what overtook it, be that much later.
    detour: bool,
}

/// What a packet's counter says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    InOrder,
    /// The packet before it once more.
    Again,
    /// It goes on where it was before a jump: datagrams overtook each other, and so many packets
    /// are not missing after all.
    Back(u8),
    /// So many packets are missing. 0: the counter stands still, which tells no number.
    Jump(u8),
}

impl Pid {
    /// Whether this is the counter that comes next.
    pub(super) fn is_next(&self, counter: u8) -> bool {
        self.started && counter == (self.last + 1) & 15
    }

    /// Whether the picture that begins now is a keyframe; `announces`: its packet says so.
    ///
    /// What is seen to be one is one, whatever an encoder (or the one before it on this PID, or a
    /// flipped bit) once flagged. What only may be one needs the flag, as long as there are flags.
    pub(super) fn is_key(&mut self, announces: bool, look: Look) -> bool {
        if announces | std::mem::take(&mut self.announced) {
            self.indicates = UNINDICATED;
            return true;
        }
        match look {
            Look::Key => {
                self.indicates = 0;
                true
            }
            Look::Likely if self.indicates > 0 => {
                self.indicates -= 1;
                false
            }
            Look::Likely => true,
            Look::Other => false,
        }
    }

    /// Takes the counter of the next packet, which is in the datagram of this number.
    pub(super) fn step(
        &mut self,
        counter: u8,
        has_payload: bool,
        leap_allowed: bool,
        datagram: u8,
    ) -> Step {
        if !self.started || leap_allowed {
            (self.started, self.repeated, self.last) = (true, false, counter);
            self.nowhere_to_go_back_to(datagram);
            return Step::InOrder;
        }
        if !has_payload {
            return Step::InOrder;
        }
        let ahead = counter.wrapping_sub(self.last) & 15;
        if ahead == 0 {
            let again = std::mem::replace(&mut self.repeated, true);
            return if again { Step::Jump(0) } else { Step::Again };
        }
        self.repeated = false;
        let left = std::mem::replace(&mut self.last, counter);
        if ahead == 1 {
            return Step::InOrder;
        }
        let may_return = self.detour || datagram.wrapping_sub(self.jumped_in) <= OVERTAKING;
        let returns = may_return && counter == (self.left + 1) & 15;
        self.left = left;
        if !returns {
            (self.jumped_in, self.jumped_over, self.detour) = (datagram, ahead - 1, false);
            return Step::Jump(ahead - 1);
        }
        let before = std::mem::take(&mut self.jumped_over);
        self.detour = !self.detour;
        if !self.detour {
            self.nowhere_to_go_back_to(datagram);
        }
        Step::Back(before)
    }

    fn nowhere_to_go_back_to(&mut self, datagram: u8) {
        (self.jumped_in, self.jumped_over) = (datagram.wrapping_sub(OVERTAKING + 1), 0);
        self.detour = false;
    }
}

/// The PIDs of a transport stream.
pub(super) struct Pids {
    /// PID -> slot, counted from 1; 0 = not followed.
    index: Box<[u8; 8192]>,
    slots: Box<[Pid; SLOTS]>,
    next: usize,
    /// Bit n: a PID is followed no more of which the programme map n + 1 spoke.
    lost: u64,
}

impl Pids {
    pub(super) fn new() -> Self {
        Self {
            index: Box::new([0; 8192]),
            slots: Box::new([Pid::default(); SLOTS]),
            next: 0,
            lost: 0,
        }
    }

    /// What is known of a PID; from now on it is followed.
    #[inline]
    pub(super) fn get(&mut self, number: u16) -> &mut Pid {
        let at = usize::from(number & 0x1fff);
        if self.index[at] == 0 {
            self.follow(at);
        }
        &mut self.slots[usize::from(self.index[at]) - 1]
    }

    #[cold]
    fn follow(&mut self, at: usize) {
        let slot = self.next;
        self.next = (slot + 1) % SLOTS;
        let old = usize::from(self.slots[slot].number);
        if usize::from(self.index[old]) == slot + 1 {
            self.index[old] = 0;
        }
        if let Some(map) = self.slots[slot].map.checked_sub(1) {
            self.lost |= 1 << (map & 63);
        }
        self.index[at] = slot as u8 + 1;
        self.slots[slot] = Pid { number: at as u16, ..Pid::default() };
    }

    /// Whether a PID of this programme map was forgotten since this was last asked: the map has to
    /// be read again.
    pub(super) fn has_lost(&mut self, map: u8) -> bool {
        let bit = 1 << ((map - 1) & 63);
        let has_lost = self.lost & bit != 0;
        self.lost &= !bit;
        has_lost
    }

    /// Every PID of which this programme map spoke is unknown again.
    pub(super) fn forget_map(&mut self, map: u8) {
        for pid in self.slots.iter_mut().filter(|pid| pid.map == map) {
            (pid.class, pid.map, pid.indicates) = (Class::Unknown, 0, 0);
        }
    }
}

/// Missing packets on their way to becoming lost datagrams.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// By the datagram that told of them; late packets still take away from these.
    pending: [u32; SETTLE],
    at: usize,
    datagram: u8,
    /// Packets with a counter in a datagram, on the average, in 1/256.
    per_datagram: i64,
    /// Missing packets that no lost datagram has been told for, in 1/256; negative: a datagram
    /// that was told for them may account for a few more.
    open: i64,
}

impl Missing {
    /// The datagram in hand tells of missing packets.
    pub(super) fn note(&mut self, packets: u8) {
        self.pending[self.at] += u32::from(packets);
    }

    /// So many of them are not missing after all.
    pub(super) fn found(&mut self, packets: u8) {
        let mut left = u32::from(packets);
        // The newest first.
        for age in 0..SETTLE {
            let slot = &mut self.pending[(self.at + SETTLE - age) % SETTLE];
            let taken = left.min(*slot);
            *slot -= taken;
            left -= taken;
        }
    }

    /// The number of the datagram in hand, modulo 256.
    pub(super) fn datagram(&self) -> u8 {
        self.datagram
    }

    /// The datagram in hand, with so many packets that have a counter, is done. Answers the
    /// datagrams that are lost for good.
    ///
    /// The PIDs of a lost datagram tell of it one after the other, rare ones much later, and its
    /// padding never does. So missing packets are set off against the usual number of packets in
    /// a datagram: the first one counts as a whole datagram, those that belong to it cost nothing
    /// more, and in the long run the sum is right.
    pub(super) fn turn(&mut self, packets: u32) -> u32 {
        let packets = i64::from(packets) * ONE;
        if self.per_datagram == 0 {
            self.per_datagram = packets;
        } else {
            self.per_datagram += (packets - self.per_datagram) / 32;
        }
        self.at = (self.at + 1) % SETTLE;
        self.datagram = self.datagram.wrapping_add(1);
        let settled = std::mem::take(&mut self.pending[self.at]);
        if settled == 0 {
            return 0;
        }
        self.open += i64::from(settled) * ONE;
        if self.open <= 0 {
            return 0;
        }
        let per = self.per_datagram.max(ONE);
        // A jump is 14 packets at most, so this is small.
        let lost = (self.open + per - 1) / per;
        self.open -= lost * per;
        lost as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counters, each in a datagram of its own.
    fn steps(counters: &[u8]) -> Vec<Step> {
        let mut pid = Pid::default();
        (0..).zip(counters).map(|(n, &counter)| pid.step(counter, true, false, n)).collect()
    }

    #[test]
    fn counters_tell_jumps_repeats_and_late_ones_apart() {
        use Step::{Again, Back, InOrder, Jump};
        assert_eq!(steps(&[14, 15, 0, 1]), [InOrder; 4]);
        assert_eq!(steps(&[3, 3, 4, 4]), [InOrder, Again, InOrder, Again], "one of each");
        assert_eq!(steps(&[3, 3, 3, 3, 4])[2..], [Jump(0), Jump(0), InOrder]);
        assert_eq!(steps(&[3, 6]), [InOrder, Jump(2)]);
        assert_eq!(steps(&[3, 6, 4, 5, 7])[1..], [Jump(2), Back(2), InOrder, Back(0)]);
        let mut pid = Pid::default();
        assert_eq!(pid.step(3, true, false, 0), InOrder);
        assert_eq!(pid.step(9, true, true, 1), InOrder, "a leap that was announced");
        assert_eq!(pid.step(9, false, false, 1), InOrder, "without payload it stands still");
        assert_eq!(pid.step(10, true, false, 1), InOrder);
        assert_eq!(pid.step(15, true, false, 2), Jump(4));
        assert_eq!(pid.step(11, true, false, 3 + OVERTAKING), Jump(11), "too late to be late");
    }

    #[test]
    fn more_packets_than_the_counter_counts_may_overtake() {
        use Step::{Back, InOrder, Jump};
        // 7 packets a datagram, the first of three comes last.
        let mut pid = Pid::default();
        let mut found = Vec::new();
        for (datagram, first) in [(0, 0), (1, 14), (2, 21), (3, 7), (4, 28)] {
            let steps = (first..first + 7).map(|n: u8| pid.step(n & 15, true, false, datagram));
            found.extend(steps.filter(|step| *step != InOrder));
        }
        assert_eq!(found, [Jump(7), Back(7), Back(0)]);
    }

    #[test]
    fn a_lost_datagram_counts_once_however_its_pids_tell() {
        let mut missing = Missing::default();
        let mut lost = 0;
        for turn in 0..100 {
            match turn {
                10 => missing.note(6),
                // The one audio packet of the same datagram.
                25 => missing.note(1),
                60 => (0..2).for_each(|_| missing.note(7)),
                _ => {}
            }
            lost += missing.turn(7);
            let now = (turn >= 10 + SETTLE as u32 - 1) as u32 + 2 * (turn >= 67) as u32;
            assert_eq!(lost, now, "in turn {turn}");
        }
    }

    #[test]
    fn what_comes_late_was_not_lost() {
        let mut missing = Missing::default();
        missing.turn(7);
        missing.note(7);
        missing.turn(7);
        // More than is missing: no debt comes of it.
        missing.found(8);
        assert_eq!((0..30).map(|_| missing.turn(7)).sum::<u32>(), 0);
        missing.note(1);
        assert_eq!((0..30).map(|_| missing.turn(7)).sum::<u32>(), 1);
    }

    #[test]
    fn memory_is_bounded_whatever_pids_come() {
        let mut pids = Pids::new();
        for number in 0..8192 {
            pids.get(number).class = Class::Audio;
        }
        assert_eq!(pids.get(8191).class, Class::Audio);
        assert_eq!(pids.get(5).class, Class::Unknown, "forgotten");
        assert_eq!(pids.index.iter().filter(|&&slot| slot > 0).count(), SLOTS);
    }
}
