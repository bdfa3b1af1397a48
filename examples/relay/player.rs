//! Plays recorded transport stream at the speed it was made for: says when each piece is due, by
//! the PCR of the packets around it.

use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use crate::ts::{Framer, PACKET, Pcr, pid};

/// Two PCRs further apart than this are a leap, not a pause (the standard asks for 100 ms).
const LONGEST_SEGMENT_NS: u64 = 2_000_000_000;
/// Without a PCR for so many bytes, what was read so far is played at the rate before.
const LARGEST_SEGMENT: usize = 4 << 20;

/// A recording being played. What lies between two PCRs is spread evenly over the time between.
#[derive(Debug)]
pub(crate) struct Player<R> {
    source: R,
    looped: bool,
    per_piece: usize,
    framer: Framer,
    /// The packets from one PCR up to the next, and how much of them has been given out.
    segment: Vec<u8>,
    given: usize,
    /// When the segment begins and how long it lasts, on the player's own time line.
    begins_ns: u64,
    lasts_ns: u64,
    /// The PCR that the next segment begins with, and its packet.
    next: Option<(Pcr, [u8; PACKET])>,
    /// The stream whose PCRs are followed: the first that has any.
    clock_pid: Option<u16>,
    ns_per_byte: f64,
    packets_in_this_pass: u64,
}

/// A piece of a recording, and when it is due after the beginning of the play.
pub(crate) type Piece<'a> = (Duration, &'a [u8]);

impl<R: Read + Seek> Player<R> {
    /// Plays `source` in pieces of up to `per_piece` packets, again and again if `looped`.
    ///
    /// A loop repeats the bytes as they are: continuity counters, PCR and time stamps leap back
    /// at the seam, as they do at the output of any switch that does not rewrite them.
    pub(crate) fn new(source: R, per_piece: usize, looped: bool) -> Self {
        Self {
            source,
            looped,
            per_piece,
            framer: Framer::new(),
            segment: Vec::new(),
            given: 0,
            begins_ns: 0,
            lasts_ns: 0,
            next: None,
            clock_pid: None,
            ns_per_byte: 0.0,
            packets_in_this_pass: 0,
        }
    }

    /// Bytes of the recording that belonged to no packet.
    pub(crate) fn skipped(&self) -> u64 {
        self.framer.skipped()
    }

    /// The next piece; `None` at the end of a recording that is not looped.
    pub(crate) fn next_piece(&mut self) -> io::Result<Option<Piece<'_>>> {
        while self.given == self.segment.len() {
            if !self.read_segment()? {
                return Ok(None);
            }
        }
        let from = self.given;
        self.given = self.segment.len().min(from + self.per_piece * PACKET);
        let into = self.lasts_ns as f64 * (from as f64 / self.segment.len() as f64);
        let due = Duration::from_nanos(self.begins_ns + into as u64);
        Ok(Some((due, &self.segment[from..self.given])))
    }

    /// Reads up to the next PCR. Answers false at the end.
    fn read_segment(&mut self) -> io::Result<bool> {
        self.begins_ns += self.lasts_ns;
        self.segment.clear();
        self.given = 0;
        let first = self.next.take().map(|(pcr, packet)| {
            self.segment.extend_from_slice(&packet);
            pcr
        });
        let mut lasts = None;
        while self.segment.len() < LARGEST_SEGMENT {
            let Some(packet) = next_packet(&mut self.framer, &mut self.source)? else {
                if self.packets_in_this_pass == 0 && self.segment.is_empty() {
                    return Ok(false);
                }
                // The tail behind the last PCR: played at the rate before it.
                if self.looped {
                    self.source.seek(SeekFrom::Start(0))?;
                }
                self.packets_in_this_pass = 0;
                break;
            };
            self.packets_in_this_pass += 1;
            let followed = self.clock_pid.is_none_or(|clock| clock == pid(packet));
            if let Some(pcr) = Pcr::of(packet).filter(|_| followed) {
                self.clock_pid = Some(pid(packet));
                let packet = packet.try_into().expect("a packet is 188 bytes");
                self.next = Some((pcr, packet));
                lasts = first
                    .filter(|_| !pcr.discontinuity)
                    .map(|first| pcr.nanos_since(first))
                    .filter(|&ns| 0 < ns && ns <= LONGEST_SEGMENT_NS);
                break;
            }
            self.segment.extend_from_slice(packet);
        }
        let bytes = self.segment.len() as f64;
        self.lasts_ns = match lasts {
            Some(ns) => {
                self.ns_per_byte = ns as f64 / bytes;
                ns
            }
            None => (bytes * self.ns_per_byte).round() as u64,
        };
        Ok(true)
    }
}

fn next_packet<'a>(framer: &'a mut Framer, source: &mut impl Read) -> io::Result<Option<&'a [u8]>> {
    loop {
        // Asked twice, because a borrow that is returned would last for the whole loop.
        if framer.has_packet() {
            return Ok(framer.take(1));
        }
        match framer.read_from(source) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
            Err(why) => return Err(why),
        }
    }
}

/// Looks whether `source` can be played: packets, and a clock in them. It is left at its start.
pub(crate) fn check_playable<R: Read + Seek>(source: &mut R) -> Result<(), String> {
    /// Where a clock must have shown itself.
    const LOOK_AT: u64 = 16 << 20;
    let mut framer = Framer::new();
    let mut seen = 0;
    let mut clock: Option<u16> = None;
    let mut look = source.by_ref().take(LOOK_AT);
    let playable = loop {
        match next_packet(&mut framer, &mut look).map_err(|why| why.to_string())? {
            None => break false,
            Some(packet) => {
                seen += 1;
                if Pcr::of(packet).is_some() {
                    if clock == Some(pid(packet)) {
                        break true;
                    }
                    clock = clock.or(Some(pid(packet)));
                }
            }
        }
    };
    source.seek(SeekFrom::Start(0)).map_err(|why| why.to_string())?;
    match (playable, seen) {
        (true, _) => Ok(()),
        (false, 0) => Err("it is no MPEG transport stream (no packets of 188 bytes)".to_owned()),
        (false, _) => Err("it carries no PCR, so its speed is unknown".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::ts::SYNC;

    /// A packet of PID 0x100, with a PCR in milliseconds if one is given.
    fn packet(pcr_ms: Option<u64>) -> Vec<u8> {
        let mut bytes = vec![0xff; PACKET];
        bytes[..4].copy_from_slice(&[SYNC, 0x01, 0x00, 0x10]);
        if let Some(ms) = pcr_ms {
            let base = ms * 90;
            bytes[3..6].copy_from_slice(&[0x30, 7, 0x10]);
            bytes[6..10].copy_from_slice(&((base >> 1) as u32).to_be_bytes());
            bytes[10..12].copy_from_slice(&[((base & 1) as u8 * 0x80) | 0x7e, 0]);
        }
        bytes
    }

    fn recording(pcrs_ms: &[Option<u64>]) -> Cursor<Vec<u8>> {
        Cursor::new(pcrs_ms.iter().flat_map(|&pcr| packet(pcr)).collect())
    }

    fn due_ms<R: Read + Seek>(player: &mut Player<R>, count: usize) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        while found.len() < count
            && let Some((due, piece)) = player.next_piece().unwrap()
        {
            found.push((due.as_millis() as u64, piece.len() / PACKET));
        }
        found
    }

    #[test]
    fn packets_are_spread_between_two_pcrs() {
        let source = recording(&[None, Some(1000), None, None, None, Some(1040), Some(1050)]);
        let mut player = Player::new(source, 2, false);
        // What stands before the first PCR goes at once, what stands behind the last at the rate
        // before it.
        assert_eq!(due_ms(&mut player, 99), [(0, 1), (0, 2), (20, 2), (40, 1), (50, 1)]);
    }

    #[test]
    fn a_loop_goes_on_in_time_and_a_leap_keeps_the_rate() {
        let source = recording(&[Some(500), None, Some(520), None]);
        let mut player = Player::new(source, 7, true);
        assert_eq!(due_ms(&mut player, 4), [(0, 2), (20, 2), (40, 2), (60, 2)]);
        let leap = recording(&[Some(0), None, Some(20), None, Some(9_000_000), None]);
        let mut player = Player::new(leap, 7, false);
        assert_eq!(due_ms(&mut player, 9), [(0, 2), (20, 2), (40, 2)]);
    }

    #[test]
    fn the_clip_plays_in_five_seconds() {
        let clip = Cursor::new(crate::demo::CLIP);
        let mut player = Player::new(clip, 7, false);
        let (mut last, mut bytes) = (Duration::ZERO, 0);
        while let Some((due, piece)) = player.next_piece().unwrap() {
            assert!(due >= last, "time goes back");
            (last, bytes) = (due, bytes + piece.len());
        }
        assert_eq!(bytes, crate::demo::CLIP.len());
        assert!((4.5..5.5).contains(&last.as_secs_f64()), "{last:?}");
    }

    #[test]
    fn what_cannot_be_played_is_said_before() {
        assert_eq!(check_playable(&mut Cursor::new(crate::demo::CLIP)), Ok(()));
        let text = check_playable(&mut Cursor::new(vec![b'x'; 4096])).unwrap_err();
        assert!(text.contains("no MPEG transport stream"), "{text}");
        let text = check_playable(&mut recording(&[None, None, Some(3), None])).unwrap_err();
        assert!(text.contains("no PCR"), "{text}");
        assert!(due_ms(&mut Player::new(Cursor::new(vec![0; 999]), 7, true), 1).is_empty());
    }
}
