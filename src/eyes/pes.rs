//! The head of a PES packet: whose it is, its times, and the first bytes of what it carries.
//!
//! Read by hand: `mpeg2ts-reader` wants the whole head in one packet, and logs a line for each
//! broken one, as often as somebody sends them.

use mpeg2ts_reader::pes::Timestamp;

use super::codec::Coding;
use super::continuity::Class;

/// The beginning of a PES packet.
pub(super) struct Pes<'a> {
    stream: u8,
    /// 90 kHz.
    pub(super) pts: Option<u64>,
    pub(super) dts: Option<u64>,
    /// What of its payload is in the same packet.
    pub(super) body: &'a [u8],
}

impl<'a> Pes<'a> {
    pub(super) fn of(payload: &'a [u8]) -> Option<Self> {
        let [0, 0, 1, stream, _, _, rest @ ..] = payload else { return None };
        let mut pes = Self { stream: *stream, pts: None, dts: None, body: &[] };
        // Maps, padding, private stream 2, conditional access, DSM-CC, directory: without times.
        let is_bare = matches!(stream, 0xbc | 0xbe | 0xbf | 0xf0..=0xf2 | 0xf8 | 0xff);
        if let [flags, times, length, rest @ ..] = rest
            && flags >> 6 == 0b10
            && !is_bare
        {
            let (head, body) =
                rest.split_at_checked(usize::from(*length)).unwrap_or((rest, &[][..]));
            pes.body = body;
            let at = |from: usize| head.get(from..from + 5);
            if times & 0x80 != 0 {
                pes.pts = at(0).and_then(time);
            }
            if times & 0xc0 == 0xc0 {
                pes.dts = at(5).and_then(time);
            }
        }
        Some(pes)
    }

    /// What its stream id says. Private data may be audio as well as subtitles: only a map knows.
    pub(super) fn class(&self) -> Option<Class> {
        match self.stream {
            0xe0..=0xef => Some(Class::Video(Coding::Opaque)),
            0xc0..=0xdf => Some(Class::Audio),
            _ => None,
        }
    }
}

/// Whether a unit that begins so is surely no PES packet.
pub(super) fn is_none(payload: &[u8]) -> bool {
    payload.len() >= 3 && !payload.starts_with(&[0, 0, 1])
}

/// `bytes` are five.
fn time(bytes: &[u8]) -> Option<u64> {
    Timestamp::from_bytes(bytes).ok().map(Timestamp::value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_broken_heads_are_not() {
        // PTS 0x1_2345_6789, DTS 1; one byte of stuffing, then the video.
        let pts = [0x39, 0x8d, 0x15, 0xcf, 0x13];
        let dts = [0x11, 0, 1, 0, 3];
        let whole =
            [&[0, 0, 1, 0xe3, 0, 0, 0x84, 0xc0, 11][..], &pts, &dts, &[0xff, 7, 8]].concat();
        let pes = Pes::of(&whole).unwrap();
        assert_eq!((pes.pts, pes.dts), (Some(0x1_2345_6789), Some(1)));
        assert_eq!(pes.class(), Some(Class::Video(Coding::Opaque)));
        assert_eq!(pes.body, [7, 8]);
        let cut = Pes::of(&whole[..15]).unwrap();
        assert_eq!((cut.pts, cut.dts, cut.body), (Some(0x1_2345_6789), None, &[][..]));
        let mut without_marker = whole.clone();
        without_marker[11] &= 0xfe;
        assert_eq!(Pes::of(&without_marker).unwrap().pts, None);
        let mut foreign = whole.clone();
        foreign[6] = 0x44;
        assert_eq!(Pes::of(&foreign).unwrap().pts, None, "the head of MPEG-1");
        let mut private = whole.clone();
        private[3] = 0xbf;
        let private = Pes::of(&private).unwrap();
        assert_eq!((private.pts, private.class()), (None, None));
        assert!(Pes::of(&[0, 0, 1]).is_none() && Pes::of(&[0, 1, 1, 0xe0, 0, 0]).is_none());
    }
}
