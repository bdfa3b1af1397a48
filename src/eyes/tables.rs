//! Programme tables: which PIDs carry maps, and which class and codec each stream of a programme
//! has. Sections are put together in fixed buffers.

use mpeg2ts_reader::StreamType;
use mpeg2ts_reader::descriptor::{Descriptor, DescriptorError};
use mpeg2ts_reader::mpegts_crc;
use mpeg2ts_reader::psi::pat::{PatSection, ProgramDescriptor};
use mpeg2ts_reader::psi::pmt::{PmtSection, StreamInfo};
use mpeg2ts_reader::psi::{CurrentNext, SectionCommonHeader, TableSyntaxHeader};

use super::codec::Coding;
use super::continuity::{Class, Pids};

/// The PID of the association table.
pub(super) const PAT: u16 = 0;
/// Longest section of either table, in bytes.
const LONGEST: usize = 1024;
/// Programmes that are known at a time; those beyond go by their PES headers.
const PROGRAMMES: usize = 64;
/// Sections that may be in the making at a time, each on its own PID.
const OPEN: usize = 4;
/// What stands before and behind a section's own data.
const HEAD: usize = SectionCommonHeader::SIZE + TableSyntaxHeader::SIZE;
const CRC: usize = 4;

/// A programme of the association table.
#[derive(Clone, Copy, Default)]
struct Programme {
    number: u16,
    pid: u16,
    /// Of the map that was read; the same one again says nothing new.
    crc: u32,
}

/// The beginning of a section whose end is in packets to come.
struct Open {
    /// Nothing is in the making while `held` is 0.
    pid: u16,
    held: usize,
    bytes: [u8; LONGEST],
}

/// What the tables have said so far.
pub(super) struct Tables {
    programmes: [Programme; PROGRAMMES],
    count: usize,
    /// Of the association table: its version, and its checksum if it is one section.
    latest: Option<(u8, u32)>,
    open: Box<[Open; OPEN]>,
    next: usize,
}

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            programmes: [Programme::default(); PROGRAMMES],
            count: 0,
            latest: None,
            open: Box::new([const { Open { pid: 0, held: 0, bytes: [0; LONGEST] } }; OPEN]),
            next: 0,
        }
    }

    /// Takes the payload of a packet of the association table or of a map; `starts`: a section
    /// begins in it. What it says goes into `pids`.
    pub(super) fn take(&mut self, pid: u16, starts: bool, payload: &[u8], pids: &mut Pids) {
        let (end_of_open, mut rest) = match payload {
            [pointer, rest @ ..] if starts => match rest.split_at_checked(usize::from(*pointer)) {
                Some(parts) => parts,
                None => return,
            },
            _ => (payload, &[][..]),
        };
        self.go_on(pid, end_of_open, starts, pids);
        // 0xff: padding to the end of the packet.
        while let Some(length) = length(rest).filter(|_| rest[0] != 0xff) {
            if length > LONGEST {
                return;
            }
            let Some((section, behind)) = rest.split_at_checked(length) else { break };
            self.section(pid, section, pids);
            rest = behind;
        }
        if !rest.is_empty() && rest[0] != 0xff {
            self.keep(pid, rest);
        }
    }

    /// Adds to the section that is in the making on this PID.
    fn go_on(&mut self, pid: u16, bytes: &[u8], ends: bool, pids: &mut Pids) {
        let Some(at) = self.open.iter().position(|open| open.held > 0 && open.pid == pid) else {
            return;
        };
        let open = &mut self.open[at];
        let room = bytes.len().min(LONGEST - open.held);
        open.bytes[open.held..open.held + room].copy_from_slice(&bytes[..room]);
        open.held += room;
        let whole = length(&open.bytes[..open.held]).filter(|&length| length <= open.held);
        if whole.is_some() || ends || open.held == LONGEST {
            open.held = 0;
        }
        if let Some(length) = whole {
            let section = open.bytes;
            self.section(pid, &section[..length], pids);
        }
    }

    /// Begins a section that goes on in later packets.
    fn keep(&mut self, pid: u16, bytes: &[u8]) {
        let at = self.open.iter().position(|open| open.held == 0).unwrap_or(self.next);
        self.next = (at + 1) % OPEN;
        let open = &mut self.open[at];
        // A packet's payload is shorter than the buffer.
        let count = bytes.len().min(LONGEST);
        open.bytes[..count].copy_from_slice(&bytes[..count]);
        (open.pid, open.held) = (pid, count);
    }

    /// A whole section, of any kind and perhaps damaged.
    fn section(&mut self, pid: u16, section: &[u8], pids: &mut Pids) {
        if section.len() < HEAD + CRC || mpegts_crc::sum32(section) != 0 {
            return;
        }
        let head = SectionCommonHeader::new(&section[..SectionCommonHeader::SIZE]);
        let table = TableSyntaxHeader::new(&section[SectionCommonHeader::SIZE..]);
        let is_for_now = table.current_next_indicator() == CurrentNext::Current;
        if !head.section_syntax_indicator || !is_for_now {
            return;
        }
        let (data, crc) = section[HEAD..].split_at(section.len() - HEAD - CRC);
        let crc = u32::from_be_bytes([crc[0], crc[1], crc[2], crc[3]]);
        match (pid, head.table_id) {
            (PAT, 0) => {
                let crc = if table.last_section_number() == 0 { crc } else { 0 };
                self.association((table.version(), crc), data, pids);
            }
            (_, 2) => self.map(pid, table.id(), crc, data, pids),
            _ => {}
        }
    }

    /// Another table begins anew, under the same version too: that of another multiplexer.
    fn association(&mut self, mark: (u8, u32), data: &[u8], pids: &mut Pids) {
        if self.latest.replace(mark).is_some_and(|old| old != mark) {
            for (map, programme) in (1..).zip(&self.programmes[..self.count]) {
                pids.forget_map(map);
                pids.get(programme.pid).class = Class::Unknown;
            }
            self.count = 0;
        }
        for programme in PatSection::new(data).programs() {
            let ProgramDescriptor::Program { program_number: number, pid } = programme else {
                continue;
            };
            let pid = u16::from(pid);
            let known = &self.programmes[..self.count];
            if known.iter().any(|old| (old.number, old.pid) == (number, pid)) {
                pids.get(pid).class = Class::Map;
            } else if self.count < PROGRAMMES {
                self.programmes[self.count] = Programme { number, pid, crc: 0 };
                self.count += 1;
                pids.get(pid).class = Class::Map;
            }
        }
    }

    fn map(&mut self, pid: u16, number: u16, crc: u32, data: &[u8], pids: &mut Pids) {
        let known = &mut self.programmes[..self.count];
        let Some(at) = known.iter().position(|old| (old.number, old.pid) == (number, pid)) else {
            return;
        };
        let map = at as u8 + 1;
        let is_known = known[at].crc == crc;
        if !pids.has_lost(map) && is_known {
            return;
        }
        let Ok(section) = PmtSection::from_bytes(data) else { return };
        known[at].crc = crc;
        if !is_known {
            pids.forget_map(map);
        }
        for stream in section.streams() {
            let pid = pids.get(u16::from(stream.elementary_pid()));
            // A PID cannot be a map and a stream.
            if pid.class != Class::Map {
                (pid.class, pid.map) = (class(&stream), map);
            }
        }
    }
}

/// The length of the section that begins here, head and checksum included.
fn length(bytes: &[u8]) -> Option<usize> {
    let head = SectionCommonHeader::new(bytes.get(..SectionCommonHeader::SIZE)?);
    Some(SectionCommonHeader::SIZE + head.section_length)
}

fn class(stream: &StreamInfo<'_>) -> Class {
    match stream.stream_type() {
        StreamType::ISO_11172_VIDEO | StreamType::H262 => Class::Video(Coding::Mpeg2),
        StreamType::H264 => Class::Video(Coding::H264),
        StreamType::H265 => Class::Video(Coding::H265),
        // MPEG-4 part 2, scalable and multi-view AVC, JPEG 2000, further HEVC, VVC, AVS, Dirac,
        // VC-1: by their random access indicator only.
        StreamType(0x10 | 0x1e..=0x21 | 0x25..=0x2b | 0x32..=0x34 | 0x42 | 0xd1..=0xd4 | 0xea) => {
            Class::Video(Coding::Opaque)
        }
        // MPEG audio, AAC (ADTS, LATM, raw), MPEG-H; AC-3, DTS and their kin as ATSC and Blu-ray
        // number them.
        StreamType(0x03 | 0x04 | 0x0f | 0x11 | 0x1c | 0x2d | 0x2e | 0x81..=0x85 | 0x87 | 0x88) => {
            Class::Audio
        }
        StreamType::H222_0_PES_PRIVATE_DATA => private_class(stream),
        _ => Class::Other,
    }
}

/// One descriptor, whichever it is.
struct Raw<'a> {
    tag: u8,
    body: &'a [u8],
}

impl<'a> Descriptor<'a> for Raw<'a> {
    fn from_bytes(bytes: &'a [u8]) -> Result<Self, DescriptorError> {
        match bytes {
            [tag, _, body @ ..] => Ok(Self { tag: *tag, body }),
            _ => Err(DescriptorError::BufferTooShort { buflen: bytes.len() }),
        }
    }
}

/// What DVB sends as private data says in its descriptors what it is.
fn private_class(stream: &StreamInfo<'_>) -> Class {
    let of = |raw: Raw<'_>| match (raw.tag, raw.body) {
        // AC-3, enhanced AC-3, DTS, AAC.
        (0x6a | 0x7a | 0x7b | 0x7c, _) => Some(Class::Audio),
        // Registered formats.
        (0x05, [b'A', b'C', b'-', b'3', ..]) => Some(Class::Audio),
        (0x05, [b'E', b'A', b'C', b'3', ..] | [b'O', b'p', b'u', b's', ..]) => Some(Class::Audio),
        (0x05, [b'D', b'T', b'S', ..] | [b'B', b'S', b'S', b'D', ..]) => Some(Class::Audio),
        (0x05, [b'H', b'E', b'V', b'C', ..]) => Some(Class::Video(Coding::H265)),
        (0x05, [b'A', b'V', b'0', b'1', ..]) => Some(Class::Video(Coding::Opaque)),
        _ => None,
    };
    stream.descriptors::<Raw<'_>>().flatten().find_map(of).unwrap_or(Class::Other)
}
