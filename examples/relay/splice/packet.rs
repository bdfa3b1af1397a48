//! One transport stream packet: its header, its adaptation field, and the clock in it.

use crate::ts::{PACKET, Pcr, SYNC};

/// A packet of its own.
pub(crate) type Bytes = [u8; PACKET];

pub(crate) fn set_pid(packet: &mut Bytes, pid: u16) {
    packet[1] = packet[1] & 0xe0 | (pid >> 8) as u8 & 0x1f;
    packet[2] = pid as u8;
}

/// A PES packet or a section begins in it.
pub(crate) fn is_start(packet: &Bytes) -> bool {
    packet[1] & 0x40 != 0
}

/// The sender could not repair it.
pub(crate) fn is_damaged(packet: &Bytes) -> bool {
    packet[1] & 0x80 != 0
}

pub(crate) fn is_scrambled(packet: &Bytes) -> bool {
    packet[3] & 0xc0 != 0
}

pub(crate) fn counter(packet: &Bytes) -> u8 {
    packet[3] & 0x0f
}

pub(crate) fn set_counter(packet: &mut Bytes, counter: u8) {
    packet[3] = packet[3] & 0xf0 | counter & 0x0f;
}

/// Where the payload begins; `None` if there is none, or if the adaptation field leaves no room.
pub(crate) fn payload_at(packet: &Bytes) -> Option<usize> {
    let begin = if packet[3] & 0x20 != 0 { 5 + usize::from(packet[4]) } else { 4 };
    (packet[3] & 0x10 != 0 && begin < PACKET).then_some(begin)
}

/// The flags of the adaptation field, 0 if there is none.
fn flags(packet: &Bytes) -> u8 {
    if packet[3] & 0x20 != 0 && packet[4] > 0 { packet[5] } else { 0 }
}

/// The counter may leap here, or the clock.
pub(crate) fn is_discontinuity(packet: &Bytes) -> bool {
    flags(packet) & 0x80 != 0
}

/// The 27 MHz clock in it, if there is one.
pub(crate) fn clock(packet: &Bytes) -> Option<i64> {
    Pcr::of(packet).and_then(|pcr| i64::try_from(pcr.ticks).ok())
}

/// Takes the clock out, with the flag that it leaps there and with the original clock (OPCR): the
/// stream is no longer the original one.
pub(crate) fn take_clock(packet: &mut Bytes) {
    let flags = flags(packet);
    // Discontinuity, PCR, OPCR.
    if flags & 0x98 == 0 {
        return;
    }
    let taken = usize::from(flags >> 4 & 1) + usize::from(flags >> 3 & 1);
    let (others, end) = (6 + 6 * taken, 5 + usize::from(packet[4]));
    if others > end || end > PACKET {
        return;
    }
    packet[5] = flags & !0x98;
    packet.copy_within(others..end, 6);
    packet[6 + end - others..end].fill(0xff);
}

fn clock_bytes(clock: i64) -> [u8; 6] {
    let (base, extension) = ((clock / 300) as u64, (clock % 300) as u64);
    // 33 bits, 6 reserved ones, 9 bits.
    let all = base << 15 | 0x3f << 9 | extension;
    let bytes = all.to_be_bytes();
    [bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]
}

/// A packet without payload that carries a clock.
pub(crate) fn clock_packet(pid: u16, clock: i64, leaps: bool) -> Bytes {
    let mut packet = [0xff; PACKET];
    packet[..6].copy_from_slice(&[SYNC, 0, 0, 0x20, 183, 0x10 | u8::from(leaps) << 7]);
    set_pid(&mut packet, pid);
    packet[6..12].copy_from_slice(&clock_bytes(clock));
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_taken_out_and_the_rest_stays() {
        let mut packet = [0xaa; PACKET];
        // Discontinuity, random access, PCR, OPCR, 2 private bytes; 20 in all.
        packet[..6].copy_from_slice(&[SYNC, 0, 0, 0x30, 20, 0x80 | 0x40 | 0x10 | 0x08 | 0x02]);
        packet[18..21].copy_from_slice(&[2, 0x12, 0x34]);
        let before = packet;
        take_clock(&mut packet);
        assert_eq!((clock(&packet), packet[4], packet[5]), (None, 20, 0x40 | 0x02));
        // Behind the private bytes there were 4 of stuffing.
        assert_eq!(packet[6..13], [2, 0x12, 0x34, 0xaa, 0xaa, 0xaa, 0xaa]);
        assert_eq!((&packet[13..25], &packet[25..]), (&[0xff; 12][..], &before[25..]));
    }

    #[test]
    fn a_clock_is_written_to_the_bit() {
        let packet = clock_packet(0x1abc, (1 << 33) * 300 - 1, true);
        assert_eq!(packet[..6], [SYNC, 0x1a, 0xbc, 0x20, 183, 0x90]);
        assert_eq!(packet[6..12], [0xff, 0xff, 0xff, 0xff, 0xff, 0x2b]);
        assert_eq!(packet[12..], [0xff; PACKET - 12]);
        let packet = clock_packet(0, 0x1_2345_6789 * 300 + 7, false);
        assert_eq!(clock(&packet), Some(0x1_2345_6789 * 300 + 7));
        assert_eq!((payload_at(&packet), is_discontinuity(&packet)), (None, false));
    }
}
