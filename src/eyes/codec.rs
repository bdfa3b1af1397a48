//! Is this the beginning of a keyframe: looks at the first bytes of coded video, as they stand in
//! a transport stream or in an RTP payload. Keeps nothing.

/// A video codec whose RTP payload format is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VideoCodec {
    /// H.264, in the payload format of RFC 6184.
    H264,
    /// H.265, in the payload format of RFC 7798 (without decoding order numbers).
    H265,
}

/// What a transport stream says its video is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Mpeg2,
    H264,
    H265,
    /// A codec whose keyframes are known by the random access indicator only.
    Opaque,
}

/// What one unit of coded video says about the picture that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    /// A slice of a keyframe.
    Key,
    /// A slice of another picture.
    Other,
    /// Parameters that encoders send before a keyframe.
    Parameters,
    Nothing,
}

/// What the beginning of a picture looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A keyframe: its first slice is in sight (and for MPEG-2, a sequence header before it).
    Key,
    /// Parameters without a slice in sight, or an I picture of MPEG-2 without a sequence header.
    Likely,
    Other,
}

/// What coded video begins with, seen from the beginning of an access unit. The first slice
/// decides; where none is in sight (long user data may stand before it), parameter sets do.
pub(super) fn look(coding: Coding, bytes: &[u8]) -> Look {
    let mut parameters = false;
    let mut rest = bytes;
    while let Some(at) = start_code(rest) {
        rest = &rest[at..];
        let hint = match coding {
            Coding::H264 => rest.first().map(|&b| h264(b & 0x1f)),
            Coding::H265 => rest.first().map(|&b| h265(b >> 1 & 0x3f)),
            Coding::Mpeg2 => mpeg2(rest),
            Coding::Opaque => return Look::Other,
        };
        match hint {
            Some(Hint::Key) if coding == Coding::Mpeg2 && !parameters => return Look::Likely,
            Some(Hint::Key) => return Look::Key,
            Some(Hint::Other) => return Look::Other,
            Some(Hint::Parameters) => parameters = true,
            Some(Hint::Nothing) | None => {}
        }
    }
    if parameters { Look::Likely } else { Look::Other }
}

/// Where the byte behind the first `00 00 01` is, if there is one.
fn start_code(bytes: &[u8]) -> Option<usize> {
    // Where its last byte may be: behind one that is not 0, not before the third.
    let mut at = 2;
    while at + 1 < bytes.len() {
        match bytes[at - 2..=at] {
            [0, 0, 1] => return Some(at + 1),
            [_, _, 0] => at += 1,
            _ => at += 3,
        }
    }
    None
}

fn h264(kind: u8) -> Hint {
    match kind {
        5 => Hint::Key,
        1..=4 => Hint::Other,
        7 => Hint::Parameters,
        _ => Hint::Nothing,
    }
}

fn h265(kind: u8) -> Hint {
    match kind {
        16..=21 => Hint::Key,
        0..=15 | 22..=31 => Hint::Other,
        32 | 33 => Hint::Parameters,
        _ => Hint::Nothing,
    }
}

/// `unit` begins with the start code's value.
fn mpeg2(unit: &[u8]) -> Option<Hint> {
    Some(match unit.first()? {
        // A picture header: ten bits of temporal reference, then three of the coding type.
        0 if unit.get(2)? >> 3 & 7 == 1 => Hint::Key,
        0 => Hint::Other,
        0xb3 => Hint::Parameters,
        _ => Hint::Nothing,
    })
}

/// Whether a keyframe, or the parameters before one, begins in an RTP payload. Pieces that go on
/// with a unit, and payload formats that are not understood, answer no.
pub(super) fn rtp_begins_keyframe(codec: VideoCodec, payload: &[u8]) -> bool {
    match codec {
        VideoCodec::H264 => rtp_h264(payload),
        VideoCodec::H265 => rtp_h265(payload),
    }
    .unwrap_or(false)
}

fn is_key(hint: Hint) -> bool {
    matches!(hint, Hint::Key | Hint::Parameters)
}

/// RFC 6184: single units, aggregates (STAP-A, STAP-B) and fragments (FU-A, FU-B).
fn rtp_h264(payload: &[u8]) -> Option<bool> {
    match payload.first()? & 0x1f {
        kind @ 1..=23 => Some(is_key(h264(kind))),
        24 => Some(any_unit(payload.get(1..)?, |unit| h264(unit & 0x1f))),
        // A decoding order number of two bytes stands before the units.
        25 => Some(any_unit(payload.get(3..)?, |unit| h264(unit & 0x1f))),
        28 | 29 => {
            let head = *payload.get(1)?;
            Some(head & 0x80 != 0 && is_key(h264(head & 0x1f)))
        }
        _ => None,
    }
}

/// RFC 7798: single units, aggregates and fragments.
fn rtp_h265(payload: &[u8]) -> Option<bool> {
    match payload.first()? >> 1 & 0x3f {
        kind @ 0..=47 => Some(is_key(h265(kind))),
        48 => Some(any_unit(payload.get(2..)?, |unit| h265(unit >> 1 & 0x3f))),
        49 => {
            let head = *payload.get(2)?;
            Some(head & 0x80 != 0 && is_key(h265(head & 0x3f)))
        }
        _ => None,
    }
}

/// Units in a row, each behind its length in two bytes: whether one of them hints at a keyframe.
fn any_unit(mut bytes: &[u8], hint: impl Fn(u8) -> Hint) -> bool {
    while let [high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        match rest.first() {
            Some(&first) if length > 0 && is_key(hint(first)) => return true,
            _ => {}
        }
        bytes = rest.get(length..).unwrap_or(&[]);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units behind start codes of three and four bytes.
    fn stream(units: &[&[u8]]) -> Vec<u8> {
        units.iter().flat_map(|unit| [&[0, 0, 0, 1][..], unit].concat()).collect()
    }

    #[test]
    fn the_first_slice_decides_and_parameters_stand_in_for_it() {
        use Look::{Key, Likely, Other};
        let is = |units: &[&[u8]]| look(Coding::H264, &stream(units));
        assert_eq!(is(&[&[0x09, 0xf0], &[0x67, 1], &[0x68, 1], &[0x65, 0x88]]), Key);
        assert_eq!(is(&[&[0x09, 0xf0], &[0x67, 1], &[0x06, 5, 5, 5]]), Likely, "no slice in sight");
        assert_eq!(is(&[&[0x09, 0xf0], &[0x67, 1], &[0x41, 0x9a]]), Other, "before a P slice");
        assert_eq!(is(&[&[0x09, 0xf0], &[0x06, 5, 5]]), Other);
        assert_eq!(look(Coding::H264, &[0, 0, 1]), Other, "a start code and nothing behind");
        let is = |units: &[&[u8]]| look(Coding::H265, &stream(units));
        assert_eq!(is(&[&[0x46, 1, 0x10], &[19 << 1, 1]]), Key);
        assert_eq!(is(&[&[21 << 1, 1]]), Key);
        assert_eq!(is(&[&[0x46, 1, 0x10], &[32 << 1, 1]]), Likely);
        assert_eq!(is(&[&[32 << 1, 1], &[15 << 1, 1]]), Other, "before another picture");
        for other in [22, 1, 15] {
            assert_eq!(is(&[&[other << 1, 1]]), Other);
        }
        let is = |units: &[&[u8]]| look(Coding::Mpeg2, &stream(units));
        assert_eq!(is(&[&[0xb3, 0x16], &[0xb8, 0], &[0, 0, 0x0f]]), Key, "an I picture");
        assert_eq!(is(&[&[0xb8, 0], &[0, 0, 0x0f]]), Likely, "without a sequence header");
        assert_eq!(is(&[&[0xb3, 0x16], &[0, 0, 0x17]]), Other, "a P picture");
        assert_eq!((is(&[&[0xb3, 0x16, 2]]), is(&[&[0, 0]])), (Likely, Other));
        assert_eq!(look(Coding::Opaque, &stream(&[&[0x65, 0x88]])), Other);
    }

    #[test]
    fn start_codes_are_found_wherever_they_are() {
        let slow = |bytes: &[u8]| {
            let at = bytes.windows(3).position(|three| three == [0, 0, 1])?;
            (at + 3 < bytes.len()).then_some(at + 3)
        };
        // All strings of three values, up to eight long.
        for length in 0..=8 {
            for n in 0..3_usize.pow(length) {
                let digit = |place| (n / 3_usize.pow(place) % 3) as u8;
                let bytes: Vec<u8> = (0..length).map(digit).collect();
                assert_eq!(start_code(&bytes), slow(&bytes), "{bytes:?}");
            }
        }
    }

    #[test]
    fn rtp_payloads_of_h264() {
        let key = |payload: &[u8]| rtp_begins_keyframe(VideoCodec::H264, payload);
        assert!(key(&[0x65, 1]) && key(&[0x67, 1]));
        assert!(!key(&[0x41, 1]) && !key(&[0x68, 1]) && !key(&[]));
        assert!(key(&[0x78, 0, 2, 0x09, 0xf0, 0, 2, 0x67, 1]), "an aggregate");
        assert!(!key(&[0x78, 0, 2, 0x41, 0xf0, 0, 9, 0x41]), "with a length beyond its end");
        assert!(!key(&[0x78, 0, 3, 0x41, 0, 0x67]), "inside a unit anything may stand");
        assert!(key(&[0x79, 0, 9, 0, 1, 0x65]), "with a decoding order number");
        assert!(key(&[0x7c, 0x85, 1]), "the first fragment");
        assert!(!key(&[0x7c, 0x05, 1]) && !key(&[0x7c, 0x81, 1]) && !key(&[0x7c]));
    }

    #[test]
    fn rtp_payloads_of_h265() {
        let key = |payload: &[u8]| rtp_begins_keyframe(VideoCodec::H265, payload);
        assert!(key(&[19 << 1, 1, 0]) && key(&[32 << 1, 1, 0]));
        assert!(!key(&[1 << 1, 1, 0]) && !key(&[34 << 1, 1, 0]));
        assert!(key(&[48 << 1, 1, 0, 2, 1 << 1, 1, 0, 2, 33 << 1, 1]), "an aggregate");
        assert!(key(&[49 << 1, 1, 0x80 | 20]) && !key(&[49 << 1, 1, 20]) && !key(&[49 << 1, 1]));
        assert!(!key(&[50 << 1, 1, 0x80 | 20]));
    }
}
