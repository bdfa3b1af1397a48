//! The tables of a transport stream (PAT and PMTs): what an input consists of, and whether two
//! inputs consist of the same.

use std::collections::{BTreeMap, BTreeSet};

use super::packet::{self, Bytes};
use crate::ts::{self, NULL_PID, PACKET, SYNC};

/// The PID of the program association table.
pub(crate) const PAT_PID: u16 = 0;
/// PIDs below are those of the system's tables.
pub(super) const FIRST_FREE_PID: u16 = 0x20;

/// What an elementary stream is: its stream type, and what its descriptors say where the type
/// only says "private" (a format identifier, or a descriptor's tag).
pub(crate) type Kind = (u8, u32);

/// Whether pictures are in it.
pub(crate) fn is_video(kind: Kind) -> bool {
    matches!(kind.0, 0x01 | 0x02 | 0x10 | 0x1b | 0x20 | 0x24 | 0x33 | 0x42 | 0xd1 | 0xd2 | 0xea)
}

/// An elementary stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    pub(crate) pid: u16,
    pub(crate) kind: Kind,
}

/// A programme, with its PMT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Programme {
    pub(crate) number: u16,
    pub(crate) table_pid: u16,
    pub(crate) clock_pid: u16,
    pub(crate) streams: Vec<Stream>,
    pub(crate) section: Vec<u8>,
}

/// A whole transport stream, with its PAT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) programmes: Vec<Programme>,
    pub(crate) section: Vec<u8>,
}

impl Layout {
    /// Whether the tables of the system (SDT, NIT, EIT) of one fit the other.
    pub(crate) fn is_named_like(&self, other: &Self) -> bool {
        let name = |layout: &Self| layout.section[3..5].to_vec();
        let numbers = |layout: &Self| -> Vec<u16> {
            layout.programmes.iter().map(|programme| programme.number).collect()
        };
        name(self) == name(other) && numbers(self) == numbers(other)
    }

    /// Whether a PID means something here.
    pub(crate) fn has(&self, pid: u16) -> bool {
        self.programmes.iter().any(|programme| {
            let is_stream = programme.streams.iter().any(|stream| stream.pid == pid);
            is_stream || [programme.table_pid, programme.clock_pid].contains(&pid)
        })
    }

    /// Which of `other`'s streams stands for each of this one's, as (this PID, that PID): by kind
    /// and order, programme by programme. `None` unless every stream finds its partner.
    pub(crate) fn pair<'a>(&'a self, other: &'a Self) -> Option<Vec<(&'a Stream, &'a Stream)>> {
        let mut pairs = Vec::new();
        if self.programmes.len() != other.programmes.len() {
            return None;
        }
        for (own, theirs) in self.programmes.iter().zip(&other.programmes) {
            if own.streams.len() != theirs.streams.len() {
                return None;
            }
            let mut free: Vec<_> = theirs.streams.iter().collect();
            for stream in &own.streams {
                let at = free.iter().position(|partner| partner.kind == stream.kind)?;
                pairs.push((stream, free.remove(at)));
            }
        }
        Some(pairs)
    }

    /// The same tables, as a change of `before` that receivers notice. A stream whose PID has had
    /// another of the `meanings` gets one that had this meaning, or none.
    pub(crate) fn replacing(mut self, before: &Self, meanings: &BTreeMap<u16, Kind>) -> Self {
        self.keep_meanings(meanings);
        set_version(&mut self.section, version(&before.section).wrapping_add(1));
        for programme in &mut self.programmes {
            let old = before.programmes.iter().find(|old| old.number == programme.number);
            if let Some(old) = old {
                set_version(&mut programme.section, version(&old.section).wrapping_add(1));
            }
        }
        self
    }

    fn keep_meanings(&mut self, meanings: &BTreeMap<u16, Kind>) {
        let mut taken: BTreeSet<u16> = BTreeSet::new();
        for programme in &self.programmes {
            taken.extend([programme.table_pid, programme.clock_pid]);
            taken.extend(programme.streams.iter().map(|stream| stream.pid));
        }
        for programme in &mut self.programmes {
            for stream in &mut programme.streams {
                let kind = stream.kind;
                if meanings.get(&stream.pid).is_none_or(|&known| known == kind) {
                    continue;
                }
                let known = meanings.iter().filter(|(_, known)| **known == kind);
                let known = known.map(|(&pid, _)| pid);
                let new = (FIRST_FREE_PID..NULL_PID).filter(|pid| !meanings.contains_key(pid));
                let behind = new.clone().filter(|&pid| pid > stream.pid);
                let Some(pid) = known.chain(behind).chain(new).find(|pid| !taken.contains(pid))
                else {
                    continue;
                };
                taken.insert(pid);
                rename(&mut programme.section, stream.pid, pid);
                if programme.clock_pid == stream.pid {
                    programme.clock_pid = pid;
                }
                stream.pid = pid;
            }
        }
    }
}

/// Gives the stream of one PID another one, in a PMT that has been read.
fn rename(section: &mut [u8], old: u16, new: u16) {
    let pid_at =
        |section: &[u8], at: usize| u16::from_be_bytes([section[at] & 0x1f, section[at + 1]]);
    let length_at = |section: &[u8], at: usize| {
        usize::from(u16::from_be_bytes([section[at] & 0x0f, section[at + 1]]))
    };
    let [high, low] = new.to_be_bytes();
    let end = section.len() - 4;
    // The clock's PID, then those of the streams.
    let mut at = 8;
    while at + 4 <= end {
        if pid_at(section, at) == old {
            section[at] = section[at] & 0xe0 | high;
            section[at + 1] = low;
        }
        at += 5 + length_at(section, at + 2);
    }
    seal(section);
}

fn version(section: &[u8]) -> u8 {
    section[5] >> 1 & 0x1f
}

fn set_version(section: &mut [u8], version: u8) {
    section[5] = section[5] & 0xc1 | (version & 0x1f) << 1;
    seal(section);
}

fn seal(section: &mut [u8]) {
    let end = section.len() - 4;
    let crc = crc32(&section[..end]);
    section[end..].copy_from_slice(&crc.to_be_bytes());
}

/// The CRC of MPEG sections: 0 over a section with its own.
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << 24, |crc, _| {
            crc << 1 ^ if crc & 1 << 31 != 0 { 0x04c1_1db7 } else { 0 }
        })
    })
}

/// A section as packets; their counters are 0.
pub(crate) fn packets(pid: u16, section: &[u8]) -> Vec<Bytes> {
    // A section begins behind a byte that says how far on it begins.
    let payload: Vec<u8> = std::iter::once(0).chain(section.iter().copied()).collect();
    let pieces = payload.chunks(PACKET - 4).enumerate().map(|(n, piece)| {
        let mut packet = [0xff; PACKET];
        packet[..4].copy_from_slice(&[SYNC, if n == 0 { 0x40 } else { 0 }, 0, 0x10]);
        packet::set_pid(&mut packet, pid);
        packet[4..4 + piece.len()].copy_from_slice(piece);
        packet
    });
    pieces.collect()
}

/// Puts one section together from the packets of a PID.
#[derive(Clone, Debug, Default)]
struct Assembler {
    bytes: Vec<u8>,
    begun: bool,
}

impl Assembler {
    /// The section that this packet completes. What follows it in the packet is not looked at.
    fn take(&mut self, packet: &Bytes) -> Option<Vec<u8>> {
        let payload = &packet[packet::payload_at(packet)?..];
        if packet::is_start(packet) {
            let begin = 1 + usize::from(payload[0]);
            self.bytes = payload.get(begin..)?.to_vec();
            self.begun = true;
        } else if self.begun {
            self.bytes.extend_from_slice(payload);
        }
        let length = usize::from(u16::from_be_bytes([*self.bytes.get(1)?, *self.bytes.get(2)?]));
        let whole = 3 + (length & 0x0fff);
        if !self.begun || self.bytes.len() < whole {
            return None;
        }
        self.begun = false;
        self.bytes.truncate(whole);
        // The only section of its table, in force now, and not damaged.
        let is_usable = whole >= 12
            && self.bytes[5] & 1 != 0
            && self.bytes[6..8] == [0, 0]
            && crc32(&self.bytes) == 0;
        is_usable.then(|| std::mem::take(&mut self.bytes))
    }
}

/// What is known of one input's tables.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pat: Vec<u8>,
    pat_assembler: Assembler,
    /// Per PID of a PMT: its programme's number and what was read.
    pmts: BTreeMap<u16, (u16, Assembler, Option<Programme>)>,
    /// Programme numbers' PIDs in the order of the PAT.
    order: Vec<u16>,
}

impl Tables {
    /// Takes a packet of any PID; `true` if the layout may have changed.
    pub(crate) fn take(&mut self, packet: &Bytes) -> bool {
        if packet::is_damaged(packet) || packet::is_scrambled(packet) {
            return false;
        }
        match ts::pid(packet) {
            PAT_PID => {
                let Some(section) = self.pat_assembler.take(packet) else { return false };
                section[0] == 0 && section != self.pat && self.take_pat(section)
            }
            pid => {
                let Some((number, assembler, known)) = self.pmts.get_mut(&pid) else {
                    return false;
                };
                let Some(section) = assembler.take(packet) else { return false };
                if known.as_ref().is_some_and(|known| known.section == section) {
                    return false;
                }
                let Some(read) = programme(*number, pid, section) else { return false };
                *known = Some(read);
                true
            }
        }
    }

    fn take_pat(&mut self, section: Vec<u8>) -> bool {
        let entries = section[8..section.len() - 4].chunks_exact(4);
        let entries = entries.map(|entry| {
            (
                u16::from_be_bytes([entry[0], entry[1]]),
                u16::from_be_bytes([entry[2] & 0x1f, entry[3]]),
            )
        });
        // Number 0 is the network's table.
        let entries: Vec<_> = entries.filter(|&(number, _)| number != 0).collect();
        self.order = entries.iter().map(|&(_, pid)| pid).collect();
        let mut old = std::mem::take(&mut self.pmts);
        for (number, pid) in entries {
            let known = old.remove(&pid).filter(|(known, ..)| *known == number);
            self.pmts.insert(pid, known.unwrap_or((number, Assembler::default(), None)));
        }
        self.pat = section;
        true
    }

    /// Everything, once it is known. Programmes that share the PID of their PMTs are not.
    pub(crate) fn layout(&self) -> Option<Layout> {
        if self.order.is_empty() || self.order.len() != self.pmts.len() {
            return None;
        }
        let read = self.order.iter().map(|pid| self.pmts.get(pid)?.2.clone());
        Some(Layout { programmes: read.collect::<Option<_>>()?, section: self.pat.clone() })
    }
}

/// Reads a PMT.
fn programme(number: u16, table_pid: u16, section: Vec<u8>) -> Option<Programme> {
    let pid = |at: &[u8]| u16::from_be_bytes([at[0] & 0x1f, at[1]]);
    let length = |at: &[u8]| usize::from(u16::from_be_bytes([at[0] & 0x0f, at[1]]));
    if section[0] != 2 || section[3..5] != number.to_be_bytes() || section.len() < 16 {
        return None;
    }
    let mut rest = section[..section.len() - 4].get(12 + length(&section[10..12])..)?;
    let mut streams = Vec::new();
    while rest.len() >= 5 {
        let end = 5 + length(&rest[3..5]);
        let kind = (rest[0], private_kind(rest[0], rest.get(5..end)?));
        streams.push(Stream { pid: pid(&rest[1..3]), kind });
        rest = &rest[end..];
    }
    Some(Programme { number, table_pid, clock_pid: pid(&section[8..10]), streams, section })
}

/// Tells private streams apart: AC-3, teletext, subtitles, what has a registered format.
fn private_kind(stream_type: u8, mut descriptors: &[u8]) -> u32 {
    if stream_type != 0x06 {
        return 0;
    }
    while let [tag, length, rest @ ..] = descriptors {
        let Some(body) = rest.get(..usize::from(*length)) else { break };
        match (tag, body) {
            (0x05, [a, b, c, d, ..]) => return u32::from_be_bytes([*a, *b, *c, *d]),
            (0x56 | 0x59 | 0x6a | 0x7a | 0x7b | 0x7c | 0x7f, _) => return u32::from(*tag),
            _ => descriptors = &rest[usize::from(*length)..],
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_streams_are_told_apart_by_their_descriptors() {
        let language: &[u8] = &[0x0a, 4, b'e', b'n', b'g', 0];
        let ac3 = [language, &[0x6a, 1, 0]].concat();
        let format = [language, &[0x05, 4, b'O', b'p', b'u', b's'], &[0x6a, 0]].concat();
        assert_eq!(private_kind(0x06, &ac3), 0x6a);
        assert_eq!(private_kind(0x06, &format), 0x4f70_7573);
        assert_eq!(private_kind(0x06, language), 0);
        assert_eq!(private_kind(0x06, &[0x6a, 9, 0]), 0, "longer than there is");
        assert_eq!(private_kind(0x0f, &ac3), 0, "the type says it all");
    }

    #[test]
    fn a_pid_that_had_another_meaning_is_replaced_everywhere() {
        // The clock on 0x100; two streams, the first with a descriptor that looks like a PID.
        let mut section = vec![2, 0xb0, 31, 0, 1, 0xc1, 0, 0, 0xe1, 0, 0xf0, 2, 0xe1, 0];
        section.extend([0x02, 0xe1, 0, 0xf0, 2, 0xe1, 0, 0x03, 0xe1, 1, 0xf0, 0, 0, 0, 0, 0]);
        seal(&mut section);
        let read = programme(1, 0x1000, section).unwrap();
        let pat = vec![0, 0xb0, 13, 0, 1, 0xc1, 0, 0, 0, 1, 0xf0, 0, 0, 0, 0, 0];
        let layout = Layout { programmes: vec![read], section: pat };
        let replaced = |meanings: &[(u16, Kind)]| {
            let new = layout.clone().replacing(&layout, &meanings.iter().copied().collect());
            let programme = &new.programmes[0];
            assert_eq!(crc32(&programme.section), 0);
            // As a receiver reads it.
            assert_eq!(programme, &super::programme(1, 0x1000, programme.section.clone()).unwrap());
            assert_eq!(version(&programme.section), 1);
            let pids: Vec<u16> = programme.streams.iter().map(|stream| stream.pid).collect();
            (programme.clock_pid, pids)
        };
        assert_eq!(replaced(&[]), (0x100, vec![0x100, 0x101]));
        assert_eq!(replaced(&[(0x100, (2, 0)), (0x101, (3, 0))]), (0x100, vec![0x100, 0x101]));
        assert_eq!(replaced(&[(0x100, (0x1b, 0))]), (0x102, vec![0x102, 0x101]));
        let other = [(0x100, (0x1b, 0)), (0x101, (0x0f, 0)), (0x102, (6, 0))];
        assert_eq!(replaced(&other), (0x103, vec![0x103, 0x104]));
        // What had this meaning before has it again.
        let known = [(0x80, (3, 0)), (0x90, (2, 0)), (0x100, (0x1b, 0)), (0x101, (0x0f, 0))];
        assert_eq!(replaced(&known), (0x90, vec![0x90, 0x80]));
    }

    #[test]
    fn a_table_that_is_not_in_force_is_left_alone() {
        // Programme 7, its PMT on PID 0x123; in force, and of version 3.
        let mut section =
            vec![0, 0xb0, 13, 0, 1, 0xc1 | 3 << 1, 0, 0, 0, 7, 0xe1, 0x23, 0, 0, 0, 0];
        let mut take = |flags: u8, table: &mut Tables| {
            section[5] = flags;
            set_version(&mut section, 3);
            packets(PAT_PID, &section).iter().any(|packet| table.take(packet))
        };
        let mut table = Tables::default();
        assert!(!take(0xc0, &mut table) && table.order.is_empty());
        assert!(take(0xc1, &mut table) && table.order == [0x123]);
        assert!(!take(0xc1, &mut table), "nothing new");
    }

    #[test]
    fn the_crc_is_that_of_mpeg() {
        assert_eq!(crc32(b"123456789"), 0x0376_e6e7);
    }
}
