//! AAC frames (ADTS) in a PES packet: how long they last, and the packet without its first ones.

use super::hold::Hold;
use super::packet::{self, Bytes};
use crate::ts::PACKET;

const RATES: [i64; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000,
    7350,
];

/// A PES packet of AAC.
#[derive(Debug)]
pub(crate) struct Adts {
    payload: Vec<u8>,
    /// Where each frame begins, and the samples before it.
    frames: Vec<(usize, i64)>,
    samples: i64,
    rate: i64,
}

impl Adts {
    /// `None` unless it begins with a frame.
    pub(crate) fn of(hold: &Hold) -> Option<Self> {
        let pieces = hold
            .packets
            .iter()
            .filter_map(|(_, packet)| packet::payload_at(packet).map(|begin| &packet[begin..]));
        let payload = pieces.collect::<Vec<_>>().concat();
        let mut at = 9 + usize::from(*payload.get(8)?);
        let (mut frames, mut samples, mut rate) = (Vec::new(), 0, 0);
        while let [0xff, b, c, d, e, f, g, ..] = *payload.get(at..).unwrap_or_default() {
            let length = usize::from(d & 3) << 11 | usize::from(e) << 3 | usize::from(f >> 5);
            if b & 0xf6 != 0xf0 || length < 7 {
                break;
            }
            rate = *RATES.get(usize::from(c >> 2 & 0x0f))?;
            frames.push((at, samples));
            samples += 1024 * (i64::from(g & 3) + 1);
            at += length;
        }
        (!frames.is_empty()).then_some(Self { payload, frames, samples, rate })
    }

    /// How long it lasts, in ticks of 90 kHz. Rounded up: nothing may begin before it ends.
    pub(crate) fn length(&self) -> i64 {
        (self.samples * 90_000 + self.rate - 1) / self.rate
    }

    /// When each frame but the first begins: its number, and ticks of 90 kHz since the first.
    pub(crate) fn later_frames(&self) -> impl Iterator<Item = (usize, i64)> {
        let begin = |samples: i64| (2 * samples * 90_000 + self.rate) / (2 * self.rate);
        self.frames.iter().map(move |&(_, samples)| begin(samples)).enumerate().skip(1)
    }

    /// The same PES packet without the frames before this one; its times are still the old ones.
    /// `None` if something was lost of it.
    pub(crate) fn tail_from(&self, frame: usize, old: &Hold) -> Option<Hold> {
        let is_whole = old.packets.iter().all(|(step, _)| *step == 1);
        let first = &old.packets.first()?.1;
        if !is_whole {
            return None;
        }
        let (begin, cut) = (self.frames.first()?.0, self.frames.get(frame)?.0);
        let mut pes = [&self.payload[..begin], &self.payload[cut..]].concat();
        let length = u16::from_be_bytes([pes[4], pes[5]]).saturating_sub((cut - begin) as u16);
        pes[4..6].copy_from_slice(&length.to_be_bytes());
        let mut hold = Hold::default();
        for (n, piece) in pes.chunks(PACKET - 4).enumerate() {
            hold.push(1, &packet_of(first, n == 0, piece));
        }
        Some(hold)
    }
}

/// A packet with this payload, stuffed to its length.
fn packet_of(like: &Bytes, is_start: bool, payload: &[u8]) -> Bytes {
    let mut packet = [0xff; PACKET];
    packet[..4].copy_from_slice(&like[..4]);
    packet[1] = packet[1] & !0x40 | u8::from(is_start) << 6;
    let stuffing = PACKET - 4 - payload.len();
    packet[3] = packet[3] & !0x20 | 0x10 | u8::from(stuffing > 0) << 5;
    if stuffing > 0 {
        packet[4] = (stuffing - 1) as u8;
    }
    if stuffing > 1 {
        packet[5] = 0;
    }
    packet[PACKET - payload.len()..].copy_from_slice(payload);
    packet
}
