//! Eyes on whatever datagrams: garbage, and transport stream and RTP that is nearly right
//! (`forge`).
//!
//! Whatever comes: no panic; nothing is allocated while looking, so that memory is bounded; what is
//! answered lies within the datagram and the fields' ranges; the same datagrams get the same
//! answers. And when a valid stream follows, it is soon understood as if nothing had been before.
#![no_main]

#[path = "../common/bytes.rs"]
mod bytes;
mod forge;
mod heap;

use bytes::Bytes;
use changeover::eyes::{Eyes, Sight, VideoCodec};
use changeover::{Packet, Tracks};
use forge::{CLIP, DATAGRAM, Forge};
use libfuzzer_sys::fuzz_target;

/// Datagrams of the valid stream until it is understood: its tables come every five.
const SOON: usize = 24;
/// Datagrams of it that are looked at.
const VALID: usize = 48;

/// What one set of eyes is, from the first byte.
fn eyes(of: u8) -> Eyes {
    match of % 8 {
        6 => Eyes::rtp_video(VideoCodec::H264),
        7 => Eyes::rtp_video(VideoCodec::H265),
        _ => Eyes::new(),
    }
}

/// Looks, and judges the answer by itself.
fn look(eyes: &mut Eyes, datagram: &[u8]) -> Sight {
    let before = heap::allocations();
    let sight = eyes.look(datagram);
    assert_eq!(heap::allocations(), before, "looking took memory");
    let tag = || format!("{sight:?} of {} bytes", datagram.len());
    let media = &sight.media;
    assert!(media.start <= media.end && media.end <= datagram.len(), "{}", tag());
    assert_eq!(sight.is_media, !media.is_empty(), "{}", tag());
    let packet = &sight.packet;
    assert!(packet.bytes as usize <= datagram.len(), "{}", tag());
    if sight.is_media {
        assert_eq!(packet.bytes as usize, media.len(), "{}", tag());
        let packets = media.len() / 188;
        assert!(usize::from(packet.frames) <= packets.max(1), "{}", tag());
        assert!(sight.continuity_errors as usize <= packets, "{}", tag());
        assert!(!packet.keyframe || packet.tracks.contains(Tracks::VIDEO), "{}", tag());
    } else {
        let mut nothing = Sight::default();
        nothing.packet = Packet::new(datagram.len());
        assert_eq!(sight, nothing, "something is told of what is no media");
    }
    assert!(sight.pcr.is_none_or(|pcr| pcr < 300 << 33), "{}", tag());
    assert!(sight.pts.is_none_or(|pts| pts < 1 << 33), "{}", tag());
    assert!(sight.dts.is_none_or(|dts| dts < 1 << 33), "{}", tag());
    assert_eq!(sight.pts.is_some(), sight.dts.is_some(), "{}", tag());
    assert_eq!(sight.rtp_seq.is_some(), sight.rtp_timestamp.is_some(), "{}", tag());
    sight
}

/// The clip, as the input's next session: what old eyes see of it is what fresh ones do.
fn recovers(eyes: &mut Eyes, in_rtp: bool) {
    let mut fresh = Eyes::new();
    for (n, media) in CLIP.chunks(DATAGRAM).take(VALID).enumerate() {
        let datagram =
            if in_rtp { forge::rtp(33, n as u16, n as u32, 0xc11b, media) } else { media.to_vec() };
        let (seen, right) = (look(eyes, &datagram), look(&mut fresh, &datagram));
        assert_eq!((seen.is_media, &seen.media), (right.is_media, &right.media));
        if n < SOON {
            continue;
        }
        // The clock of another PID is followed for longer than this; and the rarest PID of the clip
        // may tell at its second packet, or its third, that its counter is not where it was left.
        let known = |mut sight: Sight| {
            (sight.pcr, sight.packet.lost, sight.continuity_errors) = (None, 0, 0);
            sight
        };
        let tag = "a valid stream is not understood";
        assert_eq!(known(seen), known(right), "{tag}, datagram {n} behind the garbage");
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Bytes::new(data);
    let first = input.byte();
    let (mut one, mut other) = (eyes(first), eyes(first));
    let mut forge = Forge::default();
    for _ in 0..400 {
        if input.is_empty() {
            break;
        }
        for datagram in forge.next(&mut input) {
            let (sight, again) = (look(&mut one, &datagram), look(&mut other, &datagram));
            assert_eq!(sight, again, "the same datagrams, another answer");
        }
    }
    if first % 8 < 6 && first & 0x80 != 0 {
        recovers(&mut one, first & 0x40 != 0);
    }
});
