//! MPEG transport stream, as much as a relay needs: is this datagram media, where are the packets
//! in a run of bytes, and what time does a packet carry.

use std::io::{self, Read};

/// The size of a transport stream packet.
pub(crate) const PACKET: usize = 188;
/// What every packet begins with.
pub(crate) const SYNC: u8 = 0x47;
/// The PID of null packets, whose payload means nothing.
pub(crate) const NULL_PID: u16 = 0x1fff;
/// Packets in a usual datagram: seven fit into an Ethernet frame.
pub(crate) const PER_DATAGRAM: usize = 7;

/// The PCR counts a 27 MHz clock modulo this.
pub(crate) const PCR_MODULUS: u64 = (1 << 33) * 300;

/// The transport stream packets of a datagram, without an RTP header; `None` if it is neither
/// plain TS nor TS in RTP. The two cannot be mixed up: RTP begins with 0b10, TS with 0b01.
pub(crate) fn media(datagram: &[u8]) -> Option<&[u8]> {
    if is_ts(datagram) { Some(datagram) } else { rtp_payload(datagram).filter(|p| is_ts(p)) }
}

fn is_ts(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.len().is_multiple_of(PACKET)
        && bytes.chunks_exact(PACKET).all(|packet| packet[0] == SYNC)
}

/// What is left of an RTP packet without header, contributing sources, extension and padding.
/// The payload type is not looked at: encoders send TS under 33 and under dynamic ones.
fn rtp_payload(bytes: &[u8]) -> Option<&[u8]> {
    let flags = *bytes.first()?;
    let (version, padding, extension, sources) =
        (flags >> 6, flags & 0x20 != 0, flags & 0x10 != 0, usize::from(flags & 0x0f));
    if version != 2 {
        return None;
    }
    let mut payload = bytes.get(12 + 4 * sources..)?;
    if extension {
        let words = u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]);
        payload = payload.get(4 + 4 * usize::from(words)..)?;
    }
    if padding {
        // The last byte says how many there are, itself included.
        let count = usize::from(*payload.last()?);
        payload = payload.get(..payload.len().checked_sub(count).filter(|_| count > 0)?)?;
    }
    Some(payload)
}

/// The stream that a packet belongs to.
pub(crate) fn pid(packet: &[u8]) -> u16 {
    u16::from_be_bytes([packet[1] & 0x1f, packet[2]])
}

/// A packet's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pcr {
    /// Of the 27 MHz clock.
    pub(crate) ticks: u64,
    /// The clock makes a leap here.
    pub(crate) discontinuity: bool,
}

impl Pcr {
    /// The time that a packet carries, if it carries one.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        let has_adaptation = packet[3] & 0x20 != 0;
        let flags = packet[5];
        if packet[0] != SYNC || !has_adaptation || packet[4] < 7 || flags & 0x10 == 0 {
            return None;
        }
        let base = u64::from(u32::from_be_bytes([packet[6], packet[7], packet[8], packet[9]])) << 1
            | u64::from(packet[10] >> 7);
        let extension = u64::from(packet[10] & 1) << 8 | u64::from(packet[11]);
        Some(Self { ticks: base * 300 + extension, discontinuity: flags & 0x80 != 0 })
    }

    /// Nanoseconds from an earlier one to this one; the clock starts again after 26.5 hours.
    pub(crate) fn nanos_since(self, earlier: Self) -> u64 {
        (self.ticks + PCR_MODULUS - earlier.ticks) % PCR_MODULUS * 1000 / 27
    }
}

/// Finds the packets in a stream of bytes, whatever pieces it comes in.
#[derive(Debug)]
pub(crate) struct Framer {
    bytes: Vec<u8>,
    begin: usize,
    end: usize,
    /// Two sync bytes a packet apart have been seen, and every one since.
    locked: bool,
    skipped: u64,
}

impl Framer {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; 512 * PACKET], begin: 0, end: 0, locked: false, skipped: 0 }
    }

    /// Bytes that belonged to no packet.
    pub(crate) fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Reads once, and answers how many bytes came; 0 is the end. Call it when
    /// [`take`](Self::take) has nothing left.
    pub(crate) fn read_from(&mut self, source: &mut impl Read) -> io::Result<usize> {
        self.bytes.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        let count = source.read(&mut self.bytes[self.end..])?;
        self.end += count;
        Ok(count)
    }

    /// Whether [`take`](Self::take) has something.
    pub(crate) fn has_packet(&mut self) -> bool {
        self.locked &= self.begin == self.end || self.bytes[self.begin] == SYNC;
        if !self.locked {
            self.lock();
        }
        self.locked && self.end - self.begin >= PACKET
    }

    /// The next whole packets, `max` at most; `None` when more has to be read first.
    pub(crate) fn take(&mut self, max: usize) -> Option<&[u8]> {
        if !self.has_packet() {
            return None;
        }
        let begin = self.begin;
        let whole = self.bytes[begin..self.end].chunks_exact(PACKET).take(max);
        self.begin += whole.take_while(|packet| packet[0] == SYNC).count() * PACKET;
        Some(&self.bytes[begin..self.begin])
    }

    /// Goes to the first sync byte that has another one a packet later. Where that cannot be seen
    /// yet, it waits for more.
    fn lock(&mut self) {
        let seen = &self.bytes[self.begin..self.end];
        let found = (0..seen.len())
            .find(|&at| seen[at] == SYNC && seen.get(at + PACKET).is_none_or(|&b| b == SYNC));
        let skip = found.unwrap_or(seen.len());
        self.locked = skip + PACKET < seen.len();
        self.begin += skip;
        self.skipped += skip as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `count` packets; each says its number in its second byte's place of the payload.
    fn packets(count: usize) -> Vec<u8> {
        let mut bytes = vec![0xff; count * PACKET];
        for (n, packet) in bytes.chunks_exact_mut(PACKET).enumerate() {
            packet[..5].copy_from_slice(&[SYNC, 0x01, 0x00, 0x10, n as u8]);
        }
        bytes
    }

    fn rtp(flags: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = vec![flags, 33, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    #[test]
    fn any_number_of_whole_packets_is_media_and_nothing_else() {
        for count in [1, 7, 100] {
            assert_eq!(media(&packets(count)).map(<[u8]>::len), Some(count * PACKET));
        }
        assert_eq!(media(&[]), None);
        assert_eq!(media(b"hello"), None);
        assert_eq!(media(&packets(7)[..7 * PACKET - 1]), None);
        let mut damaged = packets(7);
        damaged[3 * PACKET] = 0;
        assert_eq!(media(&damaged), None);
    }

    #[test]
    fn rtp_is_taken_off_with_everything_it_may_have() {
        let ts = packets(2);
        assert_eq!(media(&rtp(0x80, &[&ts])), Some(&ts[..]));
        assert_eq!(media(&rtp(0x82, &[&[9; 8], &ts])), Some(&ts[..]), "two sources");
        let extension: &[u8] = &[0xbe, 0xde, 0, 1, 1, 2, 3, 4];
        assert_eq!(media(&rtp(0x90, &[extension, &ts])), Some(&ts[..]), "extension");
        assert_eq!(media(&rtp(0xa0, &[&ts, &[0, 0, 3]])), Some(&ts[..]), "padding");
        assert_eq!(media(&rtp(0xb1, &[&[9; 4], extension, &ts, &[1]])), Some(&ts[..]), "all");
    }

    #[test]
    fn broken_or_foreign_rtp_is_no_media() {
        let ts = packets(1);
        assert_eq!(media(&rtp(0x40, &[&ts])), None, "version 1");
        assert_eq!(media(&rtp(0x80, &[])), None, "no payload");
        assert_eq!(media(&rtp(0x80, &[&[0; 160]])), None, "not TS");
        assert_eq!(media(&rtp(0x8f, &[&ts[..20]])), None, "sources beyond the end");
        assert_eq!(media(&rtp(0x90, &[&[0, 0, 0xff, 0xff]])), None, "extension beyond the end");
        assert_eq!(media(&rtp(0xa0, &[&ts, &[0]])), None, "padding of 0");
        assert_eq!(media(&rtp(0xa0, &[&[200]])), None, "padding beyond the beginning");
        assert_eq!(media(&[0x80; 11]), None, "shorter than a header");
    }

    #[test]
    fn a_pcr_is_read_and_wraps() {
        let mut packet = packets(1);
        assert_eq!(Pcr::of(&packet), None);
        // base 0x1_2345_6789, extension 0x123, discontinuity
        packet[3..12].copy_from_slice(&[0x30, 7, 0x90, 0x91, 0xa2, 0xb3, 0xc4, 0xff, 0x23]);
        let pcr = Pcr::of(&packet).unwrap();
        assert_eq!(pcr, Pcr { ticks: 0x1_2345_6789 * 300 + 0x123, discontinuity: true });
        packet[4] = 1;
        assert_eq!(Pcr::of(&packet), None, "an adaptation field too short to have one");
        let at = |ticks| Pcr { ticks, discontinuity: false };
        assert_eq!(at(27_000_000).nanos_since(at(0)), 1_000_000_000);
        assert_eq!(at(27).nanos_since(at(PCR_MODULUS - 27)), 2_000);
    }

    #[test]
    fn the_framer_finds_packets_in_any_pieces() {
        let bytes = packets(9);
        let mut framer = Framer::new();
        let mut found = Vec::new();
        for piece in bytes.chunks(100) {
            framer.read_from(&mut &piece[..]).unwrap();
            while let Some(run) = framer.take(4) {
                assert!(run.len() <= 4 * PACKET);
                found.extend_from_slice(run);
            }
        }
        assert_eq!(found, bytes);
        assert_eq!(framer.skipped(), 0);
    }

    #[test]
    fn the_framer_skips_what_is_no_packet_and_counts_it() {
        let mut bytes = b"G junk with a G that is no sync".to_vec();
        bytes[0] = b'x';
        let junk = bytes.len();
        bytes.extend_from_slice(&packets(3));
        bytes.extend_from_slice(&[0; 50]);
        bytes.extend_from_slice(&packets(2));
        let mut framer = Framer::new();
        framer.read_from(&mut &bytes[..]).unwrap();
        let mut count = 0;
        while let Some(run) = framer.take(PER_DATAGRAM) {
            count += run.len() / PACKET;
        }
        assert_eq!((count, framer.skipped()), (5, junk as u64 + 50));
    }
}
