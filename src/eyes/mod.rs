//! Eyes for MPEG-TS and RTP: look at a datagram, and tell what a [`Recorder`] wants to know of it.
//!
//! An [`Eyes`] belongs to one input and sees its datagrams in the order in which they came. It
//! tells bytes, video frames, losses, track classes and keyframes as a [`Packet`], and beside that
//! the clocks and counters that a relay may want.
//!
//! ```
//! use changeover::eyes::Eyes;
//!
//! let mut eyes = Eyes::new();
//! # let datagram = [0_u8; 1316];
//! let sight = eyes.look(&datagram);
//! if sight.is_media {
//!     // let verdict = recorder.record(sight.packet);
//! }
//! ```
//!
//! Of a transport stream with several programmes it tells the sum: a keyframe, a frame, a track is
//! that of any of them.
//!
//! Looking takes no lock, no allocation and no system call, and no bytes whatever make it panic.
//! Packets, adaptation fields, tables and RTP headers are read with `mpeg2ts-reader` and `rtp-rs`.
//! That crate's demultiplexer is not used: it allocates, and keeps continuity to itself. Nor is
//! its PES header, which logs a line for every broken packet; its few fields are read here.
//!
//! [`Recorder`]: crate::Recorder

mod codec;
mod continuity;
mod pes;
mod rtp;
mod tables;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

use mpeg2ts_reader::packet::{AdaptationField, Packet as TsPacket};
use rtp_rs::RtpReader;

pub use self::codec::VideoCodec;

use self::codec::Look;
use self::continuity::{Class, Missing, Pids, Step};
use self::pes::Pes;
use self::rtp::{Place, Sequence};
use self::tables::Tables;
use crate::types::{Packet, Tracks};

/// A transport stream packet, in bytes.
const PACKET: usize = TsPacket::SIZE;
/// The PID of padding.
const PADDING: u16 = 0x1fff;
/// Datagrams that a repeated one is recognised after.
const REPEATS: usize = 8;
/// Datagrams without a clock after which another PID's clock is taken.
const CLOCK_GONE: u32 = 1000;

/// What was seen in one datagram.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Sight {
    /// For [`Recorder::record`](crate::Recorder::record). Its `bytes` are those of `media`, its
    /// `lost` counts datagrams: by RTP sequence numbers where there are any, otherwise estimated
    /// from the continuity counters. These count modulo 16, so of a burst that takes 16 packets of
    /// a PID or more (three full datagrams in a row) they show the remainder only, seldom nothing:
    /// bursts are noticed, but counted too low.
    pub packet: Packet,
    /// Whether it is media at all: whole transport stream packets, plain or in RTP, or (see
    /// [`Eyes::rtp_video`]) an RTP packet with a payload. Of anything else nothing is known, and
    /// nothing is kept.
    pub is_media: bool,
    /// Where in the datagram the media is, without RTP header and padding. Empty if it is none.
    pub media: Range<usize>,
    /// Continuity counters that jumped in it. A jump is told at once, though the datagrams that
    /// it stands for may still come late; `packet.lost` waits for them (8 datagrams).
    pub continuity_errors: u32,
    /// RTP packets that are lost for good, as far as this datagram tells: they are given up when
    /// 16 later ones are there.
    pub rtp_lost: u32,
    /// The RTP sequence number.
    pub rtp_seq: Option<u16>,
    /// The RTP timestamp, in the payload's own unit (90 kHz for what is understood here).
    pub rtp_timestamp: Option<u32>,
    /// The first programme clock reference in it, 27 MHz modulo 2^33 x 300. Always of the same
    /// PID, unless that falls silent.
    pub pcr: Option<u64>,
    /// Presentation time of the first video PES that begins in it, or of the first one at all if
    /// none is video; 90 kHz modulo 2^33.
    pub pts: Option<u64>,
    /// Decoding time of the same PES; as `pts` where the PES has that only.
    pub dts: Option<u64>,
    /// It was here before (or, with [`Eyes::rtp_video`], is late): its frames are not told again.
    pub is_repeat: bool,
}

/// What one input's datagrams are looked at with. `Send`; about 20 KiB, however hostile the input.
pub struct Eyes {
    /// RTP with video in it, instead of transport stream.
    video: Option<VideoCodec>,
    pids: Pids,
    tables: Tables,
    missing: Missing,
    sequence: Sequence,
    /// Marks of the latest datagrams.
    marks: [u64; REPEATS],
    marked: usize,
    clock_pid: Option<u16>,
    without_clock: u32,
    /// RTP video: the timestamp of the frame in hand, and of the keyframe told last.
    frame_at: Option<u32>,
    keyframe_at: Option<u32>,
}

impl Default for Eyes {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Eyes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Eyes").field("video", &self.video).finish_non_exhaustive()
    }
}

/// What the packets of one datagram add up to.
#[derive(Default)]
struct Sum {
    /// Packets with a continuity counter.
    counted: u32,
    /// The PES times are of video.
    video_times: bool,
}

impl Eyes {
    /// For MPEG transport stream, plain or in RTP; each datagram may be either.
    #[must_use]
    pub fn new() -> Self {
        Self {
            video: None,
            pids: Pids::new(),
            tables: Tables::new(),
            missing: Missing::default(),
            sequence: Sequence::default(),
            marks: [0; REPEATS],
            marked: 0,
            clock_pid: None,
            without_clock: 0,
            frame_at: None,
            keyframe_at: None,
        }
    }

    /// For RTP that carries this codec's own payload format, one datagram per call. A frame begins
    /// where the timestamp changes, a keyframe with its first slice or the parameter sets before
    /// it.
    #[must_use]
    pub fn rtp_video(codec: VideoCodec) -> Self {
        Self { video: Some(codec), ..Self::new() }
    }

    /// Looks at the input's next datagram. What it answers is ready to be recorded; garbage
    /// changes nothing, and is answered with `is_media` false.
    pub fn look(&mut self, datagram: &[u8]) -> Sight {
        let mut sight = Sight { packet: Packet::new(datagram.len()), ..Sight::default() };
        if let Some(codec) = self.video {
            self.look_at_rtp_video(codec, datagram, &mut sight);
        } else if is_transport_stream(datagram) {
            sight.media = 0..datagram.len();
            self.look_at_packets(datagram, &mut sight, false);
        } else if let Ok(rtp) = RtpReader::new(datagram)
            && is_transport_stream(rtp.payload())
        {
            // RTCP on the same port is version 2, too, but carries no packets.
            let from = rtp.payload_offset();
            sight.media = from..from + rtp.payload().len();
            let is_repeat = self.look_at_sequence(&rtp, &mut sight) == Place::Repeat;
            self.look_at_packets(rtp.payload(), &mut sight, is_repeat);
            sight.packet.lost = saturated(sight.rtp_lost);
        }
        sight.is_media = !sight.media.is_empty();
        if sight.is_media {
            sight.packet.bytes = Packet::new(sight.media.len()).bytes;
        }
        sight
    }

    fn look_at_sequence(&mut self, rtp: &RtpReader<'_>, sight: &mut Sight) -> Place {
        let number = u16::from(rtp.sequence_number());
        let (place, lost) = self.sequence.take(rtp.ssrc(), number);
        sight.rtp_seq = Some(number);
        sight.rtp_timestamp = Some(rtp.timestamp());
        sight.rtp_lost = lost;
        place
    }

    fn look_at_rtp_video(&mut self, codec: VideoCodec, datagram: &[u8], sight: &mut Sight) {
        let Ok(rtp) = RtpReader::new(datagram) else { return };
        // 72 to 76 with the marker is what RTCP looks like (RFC 5761).
        let is_rtcp = rtp.mark() && (72..=76).contains(&rtp.payload_type());
        if rtp.payload().is_empty() || is_rtcp {
            return;
        }
        let from = rtp.payload_offset();
        sight.media = from..from + rtp.payload().len();
        let place = self.look_at_sequence(&rtp, sight);
        sight.packet.lost = saturated(sight.rtp_lost);
        sight.packet.tracks = Tracks::VIDEO;
        // A frame whose first packet is lost begins with the second. Late ones belong to frames
        // that have begun already.
        sight.is_repeat = place != Place::Newest;
        if sight.is_repeat {
            return;
        }
        let at = Some(rtp.timestamp());
        sight.packet.frames = u16::from(self.frame_at != at);
        self.frame_at = at;
        // Parameter sets, slices: one keyframe, however many packets begin with a part of it.
        if self.keyframe_at != at && codec::rtp_begins_keyframe(codec, rtp.payload()) {
            self.keyframe_at = at;
            sight.packet.keyframe = true;
        }
    }

    /// `media` is whole packets, each with its sync byte.
    fn look_at_packets(&mut self, media: &[u8], sight: &mut Sight, is_repeat: bool) {
        let mark = media.chunks_exact(PACKET).fold(0, marked);
        // Counters go round after 16 packets, so an old mark alone proves nothing.
        sight.is_repeat = is_repeat || self.marks.contains(&mark) && !self.is_next(media);
        self.marks[self.marked] = mark;
        self.marked = (self.marked + 1) % REPEATS;
        let mut sum = Sum::default();
        for packet in media.chunks_exact(PACKET) {
            let seen = self.look_at_packet(&TsPacket::new(packet), sight, &mut sum);
            sight.packet.tracks = sight.packet.tracks | seen;
        }
        if sight.is_repeat {
            sight.packet.frames = 0;
            return;
        }
        self.without_clock =
            if sight.pcr.is_some() { 0 } else { self.without_clock.saturating_add(1) };
        sight.packet.lost = saturated(self.missing.turn(sum.counted));
    }

    /// Whether the first packet with a counter is the one that its PID waits for.
    fn is_next(&mut self, media: &[u8]) -> bool {
        let packets = media.chunks_exact(PACKET).map(TsPacket::new);
        let mut counted = packets
            .filter(|p| p.adaptation_control().has_payload() && u16::from(p.pid()) != PADDING);
        counted.next().is_none_or(|packet| {
            let pid = self.pids.get(packet.pid().into());
            pid.is_next(packet.continuity_counter().count())
        })
    }

    /// One packet; answers the class that it adds.
    fn look_at_packet(
        &mut self,
        packet: &TsPacket<'_>,
        sight: &mut Sight,
        sum: &mut Sum,
    ) -> Tracks {
        let number = u16::from(packet.pid());
        if number == PADDING {
            return Tracks::OTHER;
        }
        let has_payload = packet.adaptation_control().has_payload();
        let field_fits = !packet.adaptation_control().has_adaptation_field() || {
            let length = packet.buffer()[4];
            if has_payload { length <= 182 } else { length == 183 }
        };
        if packet.transport_error_indicator() || !field_fits {
            // Nothing in it can be believed, its PID least of all.
            return Tracks::NONE;
        }
        let field = packet.adaptation_field();
        let flag = |read: fn(&AdaptationField<'_>) -> bool| field.as_ref().is_some_and(read);
        let pid = self.pids.get(number);
        let leap = flag(|field| field.discontinuity_indicator());
        let counter = packet.continuity_counter().count();
        let step = if sight.is_repeat {
            Step::InOrder
        } else {
            pid.step(counter, has_payload, leap, self.missing.datagram())
        };
        match step {
            Step::InOrder | Step::Again => {}
            Step::Back(packets) => self.missing.found(packets),
            Step::Jump(packets) => {
                sight.continuity_errors += 1;
                self.missing.note(packets);
            }
        }
        let announces = flag(|field| field.random_access_indicator());
        if let Some(Ok(pcr)) = field.as_ref().map(|field| field.pcr()) {
            if self.clock_pid.is_none() || self.without_clock >= CLOCK_GONE {
                self.clock_pid = Some(number);
            }
            if self.clock_pid == Some(number) {
                // A broken extension counts to 511.
                sight.pcr.get_or_insert(u64::from(pcr) % (300 << 33));
            }
        }
        let Some(payload) = packet.payload() else {
            pid.announced |= announces;
            return Tracks::NONE;
        };
        // Nothing begins in it a second time, and no counter counts it.
        let is_again = step == Step::Again;
        sum.counted += u32::from(!is_again);
        let starts = packet.payload_unit_start_indicator();
        if number == tables::PAT || pid.class == Class::Map {
            if !is_again {
                self.tables.take(number, starts, payload, &mut self.pids);
            }
            return Tracks::OTHER;
        }
        if is_again {
            return tracks(pid.class);
        }
        if !starts {
            pid.announced |= announces;
            return tracks(pid.class);
        }
        let is_clear = !packet.transport_scrambling_control().is_scrambled();
        let pes = is_clear.then(|| Pes::of(payload)).flatten();
        if pid.map == 0
            && let Some(pes) = &pes
        {
            pid.class = pes.class().unwrap_or(pid.class);
        } else if pid.map == 0 && is_clear && pes::is_none(payload) {
            // What one PES head has claimed is no PES: sections, say.
            pid.class = Class::Unknown;
        }
        let is_video = matches!(pid.class, Class::Video(_));
        if let Some(pes) = &pes
            && pes.pts.is_some()
            && (sight.pts.is_none() || is_video && !sum.video_times)
        {
            (sight.pts, sight.dts, sum.video_times) = (pes.pts, pes.dts.or(pes.pts), is_video);
        }
        if let Class::Video(coding) = pid.class {
            sight.packet.frames = sight.packet.frames.saturating_add(1);
            let is_open = !announces && !pid.announced;
            let look = pes.as_ref().filter(|_| is_open);
            let look = look.map_or(Look::Other, |pes| codec::look(coding, pes.body));
            sight.packet.keyframe |= pid.is_key(announces, look);
        }
        tracks(pid.class)
    }
}

fn tracks(class: Class) -> Tracks {
    match class {
        Class::Unknown => Tracks::NONE,
        Class::Video(_) => Tracks::VIDEO,
        Class::Audio => Tracks::AUDIO,
        Class::Other | Class::Map => Tracks::OTHER,
    }
}

fn is_transport_stream(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.len().is_multiple_of(PACKET)
        && bytes.chunks_exact(PACKET).all(|packet| packet[0] == TsPacket::SYNC_BYTE)
}

/// Tells datagrams apart without reading them in full: header and a few places of each packet.
fn marked(mark: u64, packet: &[u8]) -> u64 {
    const PLACES: [usize; 4] = [0, 60, 120, 180];
    PLACES.iter().fold(mark, |mark, &at| {
        let word = packet.get(at..at + 8).and_then(|eight| eight.try_into().ok());
        let word = u64::from_le_bytes(word.unwrap_or_default());
        (mark ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    })
}

fn saturated(count: u32) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}
