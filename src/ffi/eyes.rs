//! What a datagram of MPEG-TS or RTP says of itself, for C.

use super::boundary::{give, give_sized, guard, guard_or, list, room, sized, wanted};
use super::changeover_engine;
use super::codes::Refusal;
use super::record::changeover_packet;
use super::slots::Kind;
use super::tenant::{self, find};
use crate::eyes::{Eyes, VideoCodec};
use crate::sync::{Arc, Mutex};
use crate::types::Packet;

/// Eyes for MPEG transport stream, plain or in RTP.
pub const CHANGEOVER_EYES_MPEGTS: u32 = 0;
/// Eyes for RTP with H.264 (RFC 6184).
pub const CHANGEOVER_EYES_RTP_H264: u32 = 1;
/// Eyes for RTP with H.265 (RFC 7798).
pub const CHANGEOVER_EYES_RTP_H265: u32 = 2;

/// `changeover_sight.fields`: `rtp_seq` and `rtp_timestamp` are there.
pub const CHANGEOVER_SIGHT_HAS_RTP: u32 = 1;
/// `pcr` is there.
pub const CHANGEOVER_SIGHT_HAS_PCR: u32 = 2;
/// `pts` is there.
pub const CHANGEOVER_SIGHT_HAS_PTS: u32 = 4;
/// `dts` is there.
pub const CHANGEOVER_SIGHT_HAS_DTS: u32 = 8;

/// What one input's datagrams are looked at with. 0 = none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_eyes {
    /// Not for you.
    pub raw: u64,
}

/// What was seen in one datagram. Make it with `changeover_sight_init()` before it is written to.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_sight {
    /// sizeof(changeover_sight).
    pub size: usize,
    /// For `changeover_record`: bytes of media, frames, losses, tracks, keyframe.
    pub packet: changeover_packet,
    /// Where in the datagram the media is, without RTP header and padding.
    pub media_offset: usize,
    /// How long it is; 0 if it is none.
    pub media_len: usize,
    /// Continuity counters that jumped in it.
    pub continuity_errors: u32,
    /// RTP packets that are lost for good, as far as this datagram tells.
    pub rtp_lost: u32,
    /// It was here before: 1; its frames are not told again.
    pub is_repeat: u32,
    /// `CHANGEOVER_SIGHT_HAS_*`.
    pub fields: u32,
    /// The RTP sequence number.
    pub rtp_seq: u32,
    /// The RTP timestamp.
    pub rtp_timestamp: u32,
    /// The first programme clock reference in it, 27 MHz modulo 2^33 x 300.
    pub pcr: u64,
    /// Presentation time of the first video PES in it (or of the first one), 90 kHz modulo 2^33.
    pub pts: u64,
    /// Decoding time of the same PES.
    pub dts: u64,
}

sized!(changeover_sight: 88);

/// Opens eyes: one for each input, which see its datagrams in the order in which they came.
/// `format` is `CHANGEOVER_EYES_*`.
///
/// Any thread. Close it with `changeover_eyes_close`; it ends with its engine.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_eyes_open(
    engine: changeover_engine,
    format: u32,
    out: *mut changeover_eyes,
) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let tenant = tenant::engine(engine.raw)?;
        let eyes = match format {
            CHANGEOVER_EYES_MPEGTS => Eyes::new(),
            CHANGEOVER_EYES_RTP_H264 => Eyes::rtp_video(VideoCodec::H264),
            CHANGEOVER_EYES_RTP_H265 => Eyes::rtp_video(VideoCodec::H265),
            other => {
                return Err(Refusal::BadArgument { name: "format", value: i64::from(other) });
            }
        };
        let raw = tenant.eyes.put(Arc::new(Mutex::new(eyes)))?;
        give("out", out, changeover_eyes { raw })
    })
}

/// Closes eyes. Any thread. Closing twice answers CHANGEOVER_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_eyes_close(eyes: changeover_eyes) -> i32 {
    guard(|| {
        let (tenant, parts) = find(eyes.raw, Kind::Eyes)?;
        tenant.eyes.take(parts).map(drop)
    })
}

/// Looks at the input's next datagram: 1: it is media, record `out->packet`; 0: it is not (nothing
/// is kept of it); negative: a code. `out->size` must be set.
///
/// Any thread; takes a short lock of its own; allocates nothing.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_eyes_look(
    eyes: changeover_eyes,
    datagram: *const u8,
    len: usize,
    out: *mut changeover_sight,
) -> i32 {
    guard_or(|| {
        room(out)?;
        let bytes = list("datagram", datagram, len)?;
        let (tenant, parts) = find(eyes.raw, Kind::Eyes)?;
        let eyes = tenant.eyes.get(parts)?;
        let seen = eyes.lock().look(bytes);
        let has = |there: bool, bit: u32| if there { bit } else { 0 };
        let sight = changeover_sight {
            size: size_of::<changeover_sight>(),
            packet: to_c(seen.packet),
            media_offset: seen.media.start,
            media_len: seen.media.len(),
            continuity_errors: seen.continuity_errors,
            rtp_lost: seen.rtp_lost,
            is_repeat: seen.is_repeat.into(),
            fields: has(seen.rtp_seq.is_some(), CHANGEOVER_SIGHT_HAS_RTP)
                | has(seen.pcr.is_some(), CHANGEOVER_SIGHT_HAS_PCR)
                | has(seen.pts.is_some(), CHANGEOVER_SIGHT_HAS_PTS)
                | has(seen.dts.is_some(), CHANGEOVER_SIGHT_HAS_DTS),
            rtp_seq: seen.rtp_seq.unwrap_or(0).into(),
            rtp_timestamp: seen.rtp_timestamp.unwrap_or(0),
            pcr: seen.pcr.unwrap_or(0),
            pts: seen.pts.unwrap_or(0),
            dts: seen.dts.unwrap_or(0),
        };
        give_sized(out, &sight).map(|()| i32::from(seen.is_media))
    })
}

fn to_c(packet: Packet) -> changeover_packet {
    changeover_packet {
        bytes: packet.bytes,
        frames: packet.frames,
        lost: packet.lost,
        tracks: packet.tracks.bits(),
        keyframe: packet.keyframe.into(),
        reserved: [0; 6],
    }
}
