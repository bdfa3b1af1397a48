//! Makes datagrams: of the clip's packets, of packets, tables and PES heads that are nearly right,
//! of any bytes; bent, repeated, out of order, in RTP.

use crate::bytes::Bytes;

/// The demo's clip: 10 s of FFmpeg's test picture, 1,680 packets.
pub const CLIP: &[u8] = include_bytes!("../../../../examples/relay/clip/testsrc.ts");
/// Seven packets.
pub const DATAGRAM: usize = 7 * PACKET;
const PACKET: usize = 188;
/// Its PIDs, and others.
const PIDS: [u16; 12] = [0, 1, 17, 32, 48, 64, 256, 257, 258, 4096, 4097, 8191];
/// H.262, H.264, H.265, AAC, AC-3, private, opaque video, sections.
const TYPES: [u8; 8] = [0x02, 0x1b, 0x24, 0x0f, 0x81, 0x06, 0x21, 0x05];

/// What is being put together.
#[derive(Default)]
pub struct Forge {
    datagram: Vec<u8>,
    counters: [u8; 16],
    seq: u16,
    in_rtp: bool,
    last: Vec<u8>,
}

/// An RTP packet without anything special.
pub fn rtp(kind: u8, seq: u16, timestamp: u32, sender: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, kind];
    bytes.extend(seq.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend(sender.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// The checksum of a section.
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }
        })
    })
}

impl Forge {
    /// The next datagrams, of some bytes of the input.
    pub fn next(&mut self, input: &mut Bytes<'_>) -> Vec<Vec<u8>> {
        let what = input.byte();
        match what & 15 {
            0 => {
                let length = usize::from(input.u16() & 0x7ff);
                return vec![input.take(length).to_vec()];
            }
            1 => return self.clip(input),
            2 | 3 => self.packet_of_clip(input),
            4 | 5 => self.packet(input),
            6 | 7 => self.tables(input),
            8 | 9 => self.pes(input),
            10 => return self.flood(input),
            11 => return vec![self.last.clone()],
            12 => {
                self.in_rtp = input.flag();
                self.seq = self.seq.wrapping_add(input.number() as u16);
            }
            13 => return vec![rtp_video(input, &mut self.seq)],
            14 => self.bend(input),
            _ => return self.send(input),
        }
        if self.datagram.len() >= DATAGRAM || what & 0x80 != 0 { self.send(input) } else { vec![] }
    }

    fn counter(&mut self, pid: u16) -> u8 {
        let counter = &mut self.counters[usize::from(pid) % 16];
        *counter = (*counter + 1) & 15;
        *counter
    }

    fn send(&mut self, input: &mut Bytes<'_>) -> Vec<Vec<u8>> {
        let media = std::mem::take(&mut self.datagram);
        self.seq = self.seq.wrapping_add(1);
        let mut datagram = if self.in_rtp {
            rtp(33, self.seq, u32::from(self.seq) * 90, 7, &media)
        } else {
            media
        };
        if input.byte() > 240 {
            bend(&mut datagram, input);
        }
        self.last = datagram.clone();
        vec![datagram]
    }

    fn bend(&mut self, input: &mut Bytes<'_>) {
        bend(&mut self.datagram, input);
    }

    /// Some datagrams of the clip as they are.
    fn clip(&mut self, input: &mut Bytes<'_>) -> Vec<Vec<u8>> {
        let (from, count) = (input.below(240), input.below(16));
        let media = CLIP.chunks(DATAGRAM).skip(from).take(count);
        media
            .map(|media| {
                self.seq = self.seq.wrapping_add(1);
                if self.in_rtp {
                    rtp(33, self.seq, u32::from(self.seq) * 90, 7, media)
                } else {
                    media.to_vec()
                }
            })
            .collect()
    }

    fn packet_of_clip(&mut self, input: &mut Bytes<'_>) {
        let at = usize::from(input.u16()) % (CLIP.len() / PACKET) * PACKET;
        let mut packet = CLIP[at..at + PACKET].to_vec();
        for _ in 0..input.below(4) {
            // Most of what matters is in front.
            let at = usize::from(input.byte()) % if input.flag() { 24 } else { PACKET };
            packet[at] ^= input.byte();
        }
        self.datagram.extend(packet);
    }

    /// One packet: a head, an adaptation field, some payload.
    fn packet(&mut self, input: &mut Bytes<'_>) {
        let pid = input.pick(&PIDS);
        let flags = input.byte();
        let payload = usize::from(input.byte() & 63);
        let field = if flags & 4 == 0 { &[][..] } else { input.take(20) };
        let payload = input.take(payload);
        self.put(pid, flags, field, payload);
    }

    /// `flags`: 1 a unit starts, 2 a payload, 4 a field, 8 an error, 16 scrambled, 32 counter stays.
    fn put(&mut self, pid: u16, flags: u8, field: &[u8], payload: &[u8]) {
        let unit = u16::from(flags & 1) << 14 | u16::from(flags >> 3 & 1) << 15;
        let mut packet = vec![0x47];
        packet.extend((unit | pid).to_be_bytes());
        let counter = if flags & 32 == 0 { self.counter(pid) } else { 3 };
        packet.push((flags >> 4 & 1) << 7 | (flags >> 1 & 3) << 4 | counter);
        packet.extend(field);
        packet.extend(payload);
        packet.resize(PACKET, 0xff);
        self.datagram.extend(packet);
    }

    /// An association table or a map, with whatever in it, in as many packets as it takes.
    fn tables(&mut self, input: &mut Bytes<'_>) {
        let (pid, how) = (input.pick(&PIDS), input.byte());
        let pid = if how & 1 == 0 { 0 } else { pid };
        let mut data = Vec::new();
        if how & 1 == 0 {
            for _ in 0..input.below(80) {
                data.extend(u16::from(input.byte()).to_be_bytes());
                data.extend((0xe000 | input.pick(&PIDS)).to_be_bytes());
            }
        } else {
            data.extend((0xe000 | input.pick(&PIDS)).to_be_bytes());
            data.extend([0xf0, 0]);
            for _ in 0..input.below(20) {
                data.push(input.pick(&TYPES));
                data.extend((0xe000 | input.pick(&PIDS)).to_be_bytes());
                let descriptors = input.below(12);
                data.extend([0xf0, descriptors as u8]);
                data.extend(input.take(descriptors));
            }
        }
        let length = data.len() + 9;
        let length = if how & 0x0e == 0x0e { input.u16() } else { 0xb000 | length as u16 };
        let mut section = vec![if how & 1 == 0 { 0 } else { 2 }];
        section.extend(length.to_be_bytes());
        section.extend(u16::from(input.byte()).to_be_bytes());
        section.extend([0xc1 | input.byte() & 0x3e, 0, 0]);
        section.extend(data);
        let sum = crc(&section);
        section.extend(if how & 0x70 == 0x70 { 0_u32 } else { sum }.to_be_bytes());
        for (n, part) in section.chunks(183).enumerate() {
            let pointer = if n == 0 { &[0][..] } else { &[] };
            self.put(pid, 2 | u8::from(n == 0), &[], &[pointer, part].concat());
        }
    }

    fn pes(&mut self, input: &mut Bytes<'_>) {
        let pid = input.pick(&PIDS);
        let stream = input.pick(&[0xe0, 0xc0, 0xbd, 0xbf, 0xff, 0xef]);
        let mut head = vec![0, 0, 1, stream, 0, 0, 0x80, input.byte(), input.byte()];
        head.extend(input.take(10));
        let slices = [0x65, 0x41, 0x67, 0x26, 0x02, 0x00, 0xb3];
        head.extend([0, 0, 1, input.pick(&slices), input.byte(), input.byte()]);
        let indicates = [0x07, 0x50, 1, 2, 3, 4, 5, 6];
        let flags = if input.flag() { 7 } else { 3 };
        self.put(pid, flags, if flags == 7 { &indicates } else { &[] }, &head);
    }

    /// Packets of ever other PIDs.
    fn flood(&mut self, input: &mut Bytes<'_>) -> Vec<Vec<u8>> {
        let (from, step) = (input.u16(), input.u16() | 1);
        for n in 0..350_u16 {
            self.put(from.wrapping_add(step.wrapping_mul(n)) & 0x1fff, 3, &[], &[0, 0, 1, 0xe0]);
        }
        let all = std::mem::take(&mut self.datagram);
        all.chunks(DATAGRAM).map(<[u8]>::to_vec).collect()
    }
}

/// RTP with H.264 or H.265 in it, more or less.
fn rtp_video(input: &mut Bytes<'_>, seq: &mut u16) -> Vec<u8> {
    *seq = seq.wrapping_add(u16::from(input.byte()));
    let (kind, at) = (input.byte(), u32::from(input.byte()));
    let length = input.below(128);
    let mut datagram = rtp(kind, *seq, at * 3600, u32::from(input.byte() & 1), input.take(length));
    if input.byte() > 200 {
        bend(&mut datagram, input);
    }
    datagram
}

/// Cuts, lengthens, turns over.
fn bend(bytes: &mut Vec<u8>, input: &mut Bytes<'_>) {
    match input.byte() & 3 {
        0 => bytes.truncate(usize::from(input.u16() & 0x7ff)),
        1 => bytes.extend(input.take(input_length(bytes.len()))),
        2 => bytes.reverse(),
        _ => {
            let at = usize::from(input.u16());
            if let Some(count) = at.checked_rem(bytes.len()) {
                bytes[count] = input.byte();
            }
        }
    }
}

/// Up to the next whole packet.
fn input_length(length: usize) -> usize {
    PACKET - length % PACKET
}
