//! A PES packet that is held back until it is whole: a cut falls anywhere, and half a frame is
//! nothing that a decoder can be given.

use changeover::timeline::{NO_TIMESTAMP, Stamps};

use super::packet::{self, Bytes};

/// The longest one held, in packets (7.5 MB): no frame is longer.
const LONGEST: usize = 40_000;
/// Where the PTS is, and how long a time is; the DTS follows.
const TIMES: usize = 9;
const TIME: usize = 5;
/// Kinds of units of H.265: a slice of a keyframe in an open group of pictures, that of one
/// whose group was taken out of its context.
const CRA: u8 = 21;
const BLA: u8 = 16;
/// The counter of PES times.
const MASK: i64 = (1 << 33) - 1;

/// The packets of one PES, in their order, each with the step of its continuity counter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hold {
    pub(crate) packets: Vec<(u8, Bytes)>,
    /// Bytes of payload.
    bytes: usize,
}

impl Hold {
    pub(crate) fn push(&mut self, step: u8, packet: &Bytes) {
        self.bytes += packet::payload_at(packet).map_or(0, |at| packet.len() - at);
        self.packets.push((step, *packet));
    }

    /// Whether nothing of it is to come. A length of 0 says nothing: then the next begins first.
    pub(crate) fn is_whole(&self) -> bool {
        let length = self.byte(4).zip(self.byte(5)).map(|pair| u16::from_be_bytes(pair.into()));
        let length = length.filter(|&length| length > 0 && self.is_pes());
        length.is_some_and(|length| self.bytes >= 6 + usize::from(length))
    }

    pub(crate) fn is_too_long(&self) -> bool {
        self.packets.len() >= LONGEST
    }

    fn is_pes(&self) -> bool {
        [0, 1, 2].map(|n| self.byte(n)) == [Some(0), Some(0), Some(1)]
    }

    /// Where the `n`th byte of payload is: its packet, and the place in it.
    fn place(&self, n: usize) -> Option<(usize, usize)> {
        let mut places = self.packets.iter().enumerate().flat_map(|(number, (_, packet))| {
            let begin = packet::payload_at(packet).unwrap_or(packet.len());
            (begin..packet.len()).map(move |at| (number, at))
        });
        places.nth(n)
    }

    fn byte(&self, n: usize) -> Option<u8> {
        self.place(n).map(|(number, at)| self.packets[number].1[at])
    }

    /// Whether it has a PTS, and a DTS.
    fn has_times(&self) -> (bool, bool) {
        // These have no header of times: maps, padding, ECM and such.
        let is_plain = matches!(
            self.byte(3),
            None | Some(0xbc | 0xbe | 0xbf | 0xf0 | 0xf1 | 0xf2 | 0xf8 | 0xff)
        );
        let (marker, flags) = (self.byte(6).unwrap_or(0) >> 6, self.byte(7).unwrap_or(0) >> 6);
        let room = usize::from(self.byte(8).unwrap_or(0));
        let has = |times: usize| {
            let is_whole = self.byte(TIMES + times * TIME - 1).is_some();
            self.is_pes() && !is_plain && marker == 2 && room >= times * TIME && is_whole
        };
        (flags & 2 != 0 && has(1), flags == 3 && has(2))
    }

    /// Its times, in ticks of 90 kHz. One that has only a PTS is decoded then.
    pub(crate) fn stamps(&self) -> Stamps {
        let (has_pts, has_dts) = self.has_times();
        let read = |at: usize| {
            let [a, b, c, d, e] =
                [0, 1, 2, 3, 4].map(|n| i64::from(self.byte(at + n).unwrap_or(0)));
            (a >> 1 & 7) << 30 | b << 22 | (c >> 1) << 15 | d << 7 | e >> 1
        };
        let pts = if has_pts { read(TIMES) } else { NO_TIMESTAMP };
        Stamps::new(if has_dts { read(TIMES + TIME) } else { pts }, pts)
    }

    /// H.265: a keyframe that may go on with the sequence before it (CRA) becomes one that begins
    /// another (BLA), or a decoder would count its pictures on from those of the old input.
    pub(crate) fn begin_sequence(&mut self) {
        let mut latest = [0xff; 3];
        for (_, packet) in &mut self.packets {
            let begin = packet::payload_at(packet).unwrap_or(packet.len());
            for byte in &mut packet[begin..] {
                if latest == [0, 0, 1] && *byte >> 1 & 0x3f == CRA {
                    *byte = *byte & 0x81 | BLA << 1;
                }
                latest = [latest[1], latest[2], *byte];
            }
        }
    }

    /// Writes those of its times that it has.
    pub(crate) fn set_stamps(&mut self, stamps: Stamps) {
        let (has_pts, has_dts) = self.has_times();
        let times = [(has_pts, TIMES, stamps.pts), (has_dts, TIMES + TIME, stamps.dts)];
        for (_, at, time) in times.into_iter().filter(|&(has, ..)| has) {
            let time = time & MASK;
            let bits =
                [(time >> 30) << 1 | 1, time >> 22, time >> 15 << 1 | 1, time >> 7, time << 1 | 1];
            for (n, bits) in bits.into_iter().enumerate() {
                let Some((number, place)) = self.place(at + n) else { continue };
                let byte = &mut self.packets[number].1[place];
                // The first one's upper half says which time it is.
                *byte = if n == 0 { *byte & 0xf0 | bits as u8 & 0x0f } else { bits as u8 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyframe_of_h265_is_said_to_begin_a_sequence() {
        // A start code in two packets, another in one; the same byte elsewhere.
        let mut packets = [[0x47; 188]; 3];
        packets.iter_mut().for_each(|packet| packet[3] = 0x10);
        packets[0][186..].copy_from_slice(&[0, 0]);
        packets[1][4..10].copy_from_slice(&[1, 21 << 1 | 1, 1, 0, 0, 1]);
        packets[1][10] = 19 << 1;
        packets[2][4..9].copy_from_slice(&[0, 21 << 1, 0, 0, 1]);
        packets[2][9] = 21 << 1;
        // No payload: all of it is adaptation.
        let mut stuffing = packets[2];
        stuffing[3] = 0x20;
        stuffing[4] = 183;
        let mut hold = Hold::default();
        for packet in [packets[0], stuffing, packets[1], packets[2]] {
            hold.push(1, &packet);
        }
        hold.begin_sequence();
        packets[1][5] = 16 << 1 | 1;
        packets[2][9] = 16 << 1;
        let held: Vec<Bytes> = hold.packets.iter().map(|(_, packet)| *packet).collect();
        assert_eq!(held, [packets[0], stuffing, packets[1], packets[2]]);
    }

    #[test]
    fn pts_and_dts_are_read_and_written_to_the_bit() {
        let mut packet = [0xaa; 188];
        packet[..4].copy_from_slice(&[0x47, 0, 0, 0x10]);
        packet[4..13].copy_from_slice(&[0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10]);
        // 0x1_5555_5555 and 0x0_aaaa_aaaa
        packet[13..18].copy_from_slice(&[0x3b, 0x55, 0x55, 0xaa, 0xab]);
        packet[18..23].copy_from_slice(&[0x15, 0xaa, 0xab, 0x55, 0x55]);
        let mut hold = Hold::default();
        hold.push(1, &packet);
        assert_eq!(hold.stamps(), Stamps::new(0xaaaa_aaaa, 0x1_5555_5555));
        hold.set_stamps(Stamps::new(0x1_5555_5555, (1 << 33) + 0xaaaa_aaaa));
        assert_eq!(hold.packets[0].1[13..18], [0x35, 0xaa, 0xab, 0x55, 0x55]);
        assert_eq!(hold.packets[0].1[18..23], [0x1b, 0x55, 0x55, 0xaa, 0xab]);
        // A PTS alone: the DTS is the same.
        hold.packets[0].1[11] = 0x80;
        assert_eq!(hold.stamps(), Stamps::pts_only(0xaaaa_aaaa));
    }
}
