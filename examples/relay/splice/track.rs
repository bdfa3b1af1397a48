//! One PID of the output: its counter, its clock, and what is held back of it.

use std::collections::VecDeque;

use changeover::timeline::{NO_TIMESTAMP, Timebase};

use super::hold::Hold;
use super::packet::{self, Bytes};

/// A clock that goes further at once leaps, in 27 MHz ticks.
const LEAP: i64 = 27_000_000;
/// A clock that goes on with less of a step than this is the same one, in 90 kHz ticks.
const SAME_CLOCK: i64 = 180;
/// A step from one PTS to the next that is none, in 90 kHz ticks.
const NO_STEP: i64 = 90_000;

#[derive(Debug, Default)]
pub(crate) struct Track {
    /// The last counter written.
    counter: Option<u8>,
    /// The last packet of this turn with a payload, as it came.
    latest: Option<Bytes>,
    pub(crate) hold: Option<Hold>,
    /// The rest of what was begun is sent as it comes.
    pub(crate) open: bool,
    /// Of a table: what is still to be sent of it.
    pub(crate) queue: VecDeque<Bytes>,
    /// The last clock written.
    clock: Option<i64>,
    /// The last PTS that came in this turn, and the latest steps.
    pts: Option<i64>,
    steps: [i64; 4],
    /// How far the output's times are ahead of the input's, as of the latest picture.
    ahead: Option<i64>,
    /// No picture of this turn was sent yet.
    is_new: bool,
    /// The PTS of the turn's first picture, while those that come may be shown before it.
    first_shown: Option<i64>,
}

impl Track {
    /// What comes next is another input's.
    pub(crate) fn begin_turn(&mut self) {
        (self.latest, self.hold, self.open, self.pts) = (None, None, false, None);
        (self.is_new, self.first_shown) = (true, None);
    }

    /// Whether a picture is a leading one: behind the turn's first in the stream, but shown before
    /// it, as in an open group of pictures. It refers to what the old input would have to have
    /// sent.
    pub(crate) fn is_leading(&mut self, pts: i64) -> bool {
        let is_before = |first: &i64| Timebase::MPEG_TS.fold(pts.wrapping_sub(*first)) > 1 << 32;
        self.first_shown = self.first_shown.filter(|first| pts != NO_TIMESTAMP && is_before(first));
        self.first_shown.is_some()
    }

    /// A picture is sent, with one PTS instead of the other. Answers whether it is the first one of
    /// another clock, and so of another stream.
    pub(crate) fn shows(&mut self, own: i64, sent: i64) -> bool {
        if own == NO_TIMESTAMP || sent == NO_TIMESTAMP {
            return false;
        }
        let ahead = Timebase::MPEG_TS.fold(sent - own);
        let before = self.ahead.replace(ahead);
        // Where the clock goes on, the stream does: all is there that is referred to.
        let goes_on = |before: i64| {
            let step = Timebase::MPEG_TS.fold(ahead - before + SAME_CLOCK);
            step <= 2 * SAME_CLOCK
        };
        let is_other =
            std::mem::take(&mut self.is_new) && before.is_some_and(|before| !goes_on(before));
        if is_other {
            self.first_shown = Some(own);
        }
        is_other
    }

    /// How far the counter goes on with this packet: by 1, or as far as it did at the input when
    /// packets were lost there. `None`: it is the one before once more.
    pub(crate) fn step(&mut self, packet: &Bytes) -> Option<u8> {
        let Some(at) = packet::payload_at(packet) else { return Some(0) };
        let Some(latest) = self.latest.replace(*packet) else { return Some(1) };
        let step = packet::counter(packet).wrapping_sub(packet::counter(&latest)) & 0x0f;
        match step {
            0 if packet[at..] == latest[at..] => None,
            _ if packet::is_discontinuity(packet) => Some(1),
            // As many as the counter can count: some number of them is missing.
            0 => Some(2),
            step => Some(step),
        }
    }

    /// The next counter to write; the very first is the packet's own.
    pub(crate) fn count(&mut self, step: u8, own: u8) -> u8 {
        let next = self.counter.map_or(own, |counter| counter.wrapping_add(step) & 0x0f);
        *self.counter.insert(next)
    }

    pub(crate) fn forget_clock(&mut self) {
        self.clock = None;
    }

    /// Whether a clock (27 MHz) that is written now leaps.
    pub(crate) fn leaps_to(&mut self, clock: i64) -> bool {
        let before = self.clock.replace(clock);
        before.is_some_and(|before| Timebase::PCR.fold(clock - before) > LEAP)
    }

    /// The longest of the latest steps from one PTS to the next: what a PES packet of unknown
    /// contents lasts at most.
    pub(crate) fn usual_step(&mut self, pts: i64) -> i64 {
        if pts != NO_TIMESTAMP {
            let before = self.pts.replace(pts);
            let step = before.map_or(0, |before| Timebase::MPEG_TS.fold(pts - before));
            if (1..NO_STEP).contains(&step) {
                self.steps.rotate_left(1);
                self.steps[3] = step;
            }
        }
        self.steps.into_iter().max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_pictures_are_those_before_the_first_of_another_clock() {
        const TOP: i64 = 1 << 33;
        let mut track = Track::default();
        track.begin_turn();
        assert!(!track.shows(7200, 7200));
        assert!(!track.is_leading(3600), "of the very first turn all is sent");
        track.begin_turn();
        assert!(track.shows(0, 10_900));
        // The counter wraps between the first one and those before it.
        assert!(track.is_leading(TOP - 3600) && track.is_leading(TOP - 7200));
        assert!(!track.is_leading(3600) && !track.is_leading(TOP - 3600), "over, once for all");
        assert!(!track.shows(3600, 14_500));
        // The same clock, for two inputs that are one: all of it can be decoded.
        track.begin_turn();
        assert!(!track.shows(7200, 18_101));
        assert!(!track.is_leading(3600));
        track.begin_turn();
        assert!(track.shows(50, 77));
        assert!(!track.is_leading(NO_TIMESTAMP) && !track.is_leading(20));
        assert!(!track.shows(NO_TIMESTAMP, 5));
    }

    #[test]
    fn a_counter_may_leap_where_the_packet_says_so_and_full_circle_is_a_loss() {
        let packet = |counter: u8, content: u8| {
            let mut packet = [content; 188];
            // An adaptation field of one byte: its flags.
            packet[..6].copy_from_slice(&[0x47, 1, 0, 0x30 | counter, 1, 0]);
            packet
        };
        let mut track = Track::default();
        assert_eq!(track.step(&packet(5, 1)), Some(1), "the first one of a turn");
        assert_eq!(track.step(&packet(6, 1)), Some(1));
        assert_eq!(track.step(&packet(6, 1)), None, "once more");
        assert_eq!(track.step(&packet(6, 2)), Some(2), "16 later");
        assert_eq!(track.step(&packet(9, 2)), Some(3));
        let mut leap = packet(2, 2);
        leap[5] = 0x80;
        assert_eq!(track.step(&leap), Some(1));
    }
}
