//! The eyes on datagrams made by hand, and on bytes that nobody would make.

use super::*;

/// The map of one programme: PCR on 0x100, H.264 0x100, AAC 0x101, private AC-3 0x102, teletext
/// 0x103.
const MAP: &[u8] = &[
    0xe1, 0x00, 0xf0, 0x00, // clock, no programme descriptors
    0x1b, 0xe1, 0x00, 0xf0, 0x00, //
    0x0f, 0xe1, 0x01, 0xf0, 0x00, //
    0x06, 0xe1, 0x02, 0xf0, 0x03, 0x6a, 0x01, 0x00, //
    0x06, 0xe1, 0x03, 0xf0, 0x02, 0x56, 0x00,
];
const MAP_PID: u16 = 0x1000;
const SPS: &[u8] = &[0, 0, 0, 1, 0x67, 0x64];
const IDR: &[u8] = &[0, 0, 1, 0x65, 0x88];
const P_SLICE: &[u8] = &[0, 0, 1, 0x41, 0x9a];

/// A multiplexer in miniature.
#[derive(Default)]
struct Mux {
    counters: std::collections::BTreeMap<u16, u8>,
}

impl Mux {
    /// A packet with a payload, padded in front of it by an adaptation field with these flags.
    fn packet(&mut self, pid: u16, starts: bool, flags: u8, payload: &[u8]) -> Vec<u8> {
        let counter = self.counters.entry(pid).or_insert(0);
        let [high, low] = pid.to_be_bytes();
        let mut packet = vec![0x47, high | if starts { 0x40 } else { 0 }, low, 0x30 | *counter];
        *counter = (*counter + 1) & 15;
        packet.push(183 - payload.len() as u8);
        packet.push(flags);
        packet.resize(188 - payload.len(), 0xff);
        packet.extend_from_slice(payload);
        packet
    }

    fn pes(&mut self, pid: u16, stream: u8, flags: u8, body: &[u8]) -> Vec<u8> {
        // PTS 90,000.
        let head = [0, 0, 1, stream, 0, 0, 0x80, 0x80, 5, 0x21, 0, 0x05, 0xbf, 0x21];
        self.packet(pid, true, flags, &[&head, body].concat())
    }

    fn more(&mut self, pid: u16) -> Vec<u8> {
        self.packet(pid, false, 0, &[0xaa; 100])
    }

    fn section(&mut self, pid: u16, table: u8, version: u8, data: &[u8]) -> Vec<u8> {
        let section = section(table, version, data);
        self.packet(pid, true, 0, &[&[0][..], &section].concat())
    }

    fn tables(&mut self) -> Vec<u8> {
        let association = [0, 1, 0xf0, 0x00]; // programme 1 at MAP_PID
        let mut both = self.section(0, 0, 0, &association);
        both.extend(self.section(MAP_PID, 2, 0, MAP));
        both
    }
}

fn section(table: u8, version: u8, data: &[u8]) -> Vec<u8> {
    let [high, low] = (data.len() as u16 + 9).to_be_bytes();
    let mut bytes = vec![table, 0xb0 | high, low, 0, 1, 0xc1 | version << 1, 0, 0];
    bytes.extend_from_slice(data);
    let crc = mpeg2ts_reader::mpegts_crc::sum32(&bytes);
    bytes.extend(crc.to_be_bytes());
    bytes
}

fn rtp(number: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 33];
    bytes.extend(number.to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend([0, 0, 0, 9]);
    bytes.extend_from_slice(payload);
    bytes
}

#[test]
fn classes_come_from_the_map_and_before_it_from_the_pes() {
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    let mut tracks = |bytes: &[u8]| eyes.look(bytes).packet.tracks;
    assert_eq!(tracks(&mux.more(0x100)), Tracks::NONE, "not known yet");
    assert_eq!(tracks(&mux.pes(0x100, 0xe0, 0, P_SLICE)), Tracks::VIDEO);
    assert_eq!(tracks(&mux.pes(0x101, 0xc0, 0, &[])), Tracks::AUDIO);
    assert_eq!(tracks(&mux.pes(0x102, 0xbd, 0, &[])), Tracks::NONE, "private: nobody knows");
    assert_eq!(tracks(&mux.more(0x100)), Tracks::VIDEO);
    assert_eq!(tracks(&mux.tables()), Tracks::OTHER);
    assert_eq!(tracks(&mux.more(0x102)), Tracks::AUDIO);
    assert_eq!(tracks(&mux.pes(0x103, 0xbd, 0, &[])), Tracks::OTHER);
    assert_eq!(tracks(&mux.more(0x1fff)), Tracks::OTHER);
    let both = [mux.more(0x100), mux.more(0x101)].concat();
    assert_eq!(tracks(&both), Tracks::VIDEO | Tracks::AUDIO);
    // The video moves to another PID, and the old one falls back to what its PES says.
    let moved = [&[0xe1, 0x10, 0xf0, 0][..], &[0x24, 0xe1, 0x10, 0xf0, 0]].concat();
    assert_eq!(tracks(&mux.section(MAP_PID, 2, 1, &moved)), Tracks::OTHER);
    assert_eq!(tracks(&mux.more(0x110)), Tracks::VIDEO);
    assert_eq!(tracks(&mux.more(0x100)), Tracks::NONE);
}

#[test]
fn a_damaged_or_foreign_table_says_nothing() {
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    let mut damaged = mux.tables();
    damaged[2 * 188 - 30] ^= 1;
    eyes.look(&damaged);
    assert_eq!(eyes.look(&mux.more(0x102)).packet.tracks, Tracks::NONE);
    // A map on a PID that the association table does not name.
    eyes.look(&mux.section(0x0fff, 2, 0, MAP));
    assert_eq!(eyes.look(&mux.more(0x102)).packet.tracks, Tracks::NONE);
    // The map of another programme on that programme's PID.
    eyes.look(&mux.section(0, 0, 0, &[0, 1, 0xf0, 0x00, 0, 2, 0xf0, 0x01]));
    eyes.look(&mux.section(0x1001, 2, 0, MAP));
    assert_eq!(eyes.look(&mux.more(0x102)).packet.tracks, Tracks::NONE);
    eyes.look(&mux.section(MAP_PID, 2, 0, MAP));
    assert_eq!(eyes.look(&mux.more(0x102)).packet.tracks, Tracks::AUDIO);
}

#[test]
fn a_map_may_be_longer_than_a_packet() {
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    eyes.look(&mux.section(0, 0, 0, &[0, 1, 0xf0, 0x00]));
    let mut map = vec![0xe1, 0x00, 0xf0, 0x00];
    (0..100_u8).for_each(|n| map.extend([0x0f, 0xe2, n, 0xf0, 0x00]));
    let bytes = [&[0][..], &section(2, 0, &map)].concat();
    for (n, piece) in bytes.chunks(150).enumerate() {
        eyes.look(&mux.packet(MAP_PID, n == 0, 0, piece));
    }
    assert_eq!(eyes.look(&mux.more(0x263)).packet.tracks, Tracks::AUDIO);
}

#[test]
fn keyframes_by_the_indicator_or_by_the_picture() {
    const RANDOM_ACCESS: u8 = 0x40;
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    eyes.look(&mux.tables());
    let mut saw = |bytes: &[u8]| {
        let packet = eyes.look(bytes).packet;
        (packet.frames, packet.keyframe)
    };
    assert_eq!(saw(&mux.pes(0x100, 0xe0, 0, P_SLICE)), (1, false));
    assert_eq!(saw(&mux.pes(0x100, 0xe0, 0, &[SPS, IDR].concat())), (1, true), "by the picture");
    assert_eq!(saw(&mux.more(0x100)), (0, false));
    assert_eq!(saw(&mux.pes(0x101, 0xc0, RANDOM_ACCESS, IDR)), (0, false), "audio never counts");
    let two = [mux.pes(0x100, 0xe0, 0, P_SLICE), mux.pes(0x100, 0xe0, 0, IDR)].concat();
    assert_eq!(saw(&two), (2, true));
    assert_eq!(saw(&mux.pes(0x100, 0xe0, RANDOM_ACCESS, P_SLICE)), (1, true), "as it says");
    assert_eq!(saw(&mux.pes(0x100, 0xe0, 0, SPS)), (1, false), "it would have said so");
    assert_eq!(saw(&mux.pes(0x100, 0xe0, 0, IDR)), (1, true), "whatever the indicator says");
    // Ahead of its PES: the flag belongs to where that begins.
    assert_eq!(saw(&mux.packet(0x100, false, RANDOM_ACCESS, &[7; 90])), (0, false));
    assert_eq!(saw(&mux.pes(0x100, 0xe0, 0, P_SLICE)), (1, true));
    assert_eq!(saw(&mux.pes(0x100, 0xe0, 0, P_SLICE)), (1, false));
}

#[test]
fn an_indicator_that_was_set_once_does_not_end_the_keyframes() {
    const RANDOM_ACCESS: u8 = 0x40;
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    eyes.look(&mux.tables());
    let mut saw = |flags: u8, picture: &[u8]| {
        eyes.look(&mux.pes(0x100, 0xe0, flags, picture)).packet.keyframe
    };
    // On the first keyframe only.
    assert!(saw(RANDOM_ACCESS, IDR) && !saw(0, P_SLICE));
    assert!((0..20).all(|_| saw(0, IDR) && !saw(0, P_SLICE)));
    // That encoder does not flag, so its parameters speak for a slice that is out of sight.
    assert!(saw(0, SPS));
    // One flag that is none, in a feed whose slices are all out of sight: believed for a while.
    assert!(saw(RANDOM_ACCESS, P_SLICE));
    let told: Vec<bool> = (0..6).map(|_| saw(0, SPS)).collect();
    assert_eq!(told, [false, false, false, true, true, true]);
    // An encoder that flags may send parameters before any picture, for as long as it likes.
    for _ in 0..10 {
        assert!(saw(RANDOM_ACCESS, IDR));
        assert!((0..3).all(|_| !saw(0, SPS)));
    }
}

#[test]
fn a_packet_that_is_sent_twice_is_one() {
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    eyes.look(&mux.section(0, 0, 0, &[0, 1, 0xf0, 0x00]));
    // A map in two packets, each of them twice.
    let map = [&[0][..], &section(2, 0, MAP)].concat();
    for (n, piece) in map.chunks(20).enumerate() {
        let packet = mux.packet(MAP_PID, n == 0, 0, piece);
        eyes.look(&packet.repeat(2));
    }
    assert_eq!(eyes.look(&mux.more(0x102)).packet.tracks, Tracks::AUDIO);
    let mut lost = 0;
    for turn in 0..100 {
        let key = turn % 10 == 0;
        let first = mux.pes(0x100, 0xe0, 0, if key { IDR } else { P_SLICE });
        // Once in the same datagram, once in the next one.
        let rest = mux.more(0x100);
        let two = if turn % 2 == 0 {
            [[&first[..], &first].concat(), rest]
        } else {
            [first.clone(), [&first[..], &rest].concat()]
        };
        let sights = two.map(|datagram| eyes.look(&datagram));
        assert_eq!(sights.each_ref().map(|sight| sight.packet.frames), [1, 0], "{turn}");
        assert_eq!(sights.each_ref().map(|sight| sight.packet.keyframe), [key, false], "{turn}");
        assert!(sights.iter().all(|sight| sight.packet.tracks == Tracks::VIDEO));
        assert!(sights.iter().all(|sight| sight.continuity_errors == 0));
        lost += sights.iter().map(|sight| sight.packet.lost).sum::<u16>();
    }
    assert_eq!(lost, 0);
}

#[test]
fn scrambled_video_still_has_frames_and_indicators() {
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    eyes.look(&mux.tables());
    let mut packet = mux.pes(0x100, 0xe0, 0x40, IDR);
    packet[3] |= 0x80;
    let sight = eyes.look(&packet);
    assert_eq!((sight.packet.frames, sight.packet.keyframe, sight.pts), (1, true, None));
}

#[test]
fn clocks_and_times() {
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    let clock = |mux: &mut Mux, pid, base: u8| {
        let mut packet = mux.packet(pid, false, 0x10, &[0; 20]);
        packet[6..12].copy_from_slice(&[0, 0, 0, base, 0x7e, 5]);
        packet
    };
    let first = clock(&mut mux, 0x100, 1);
    assert_eq!(eyes.look(&first).pcr, Some(2 * 300 + 5));
    assert_eq!(eyes.look(&clock(&mut mux, 0x200, 9)).pcr, None, "another programme's");
    let both = [clock(&mut mux, 0x100, 3), clock(&mut mux, 0x100, 4)].concat();
    assert_eq!(eyes.look(&both).pcr, Some(6 * 300 + 5), "the first one");
    for _ in 0..CLOCK_GONE {
        eyes.look(&mux.more(0x101));
    }
    assert_eq!(eyes.look(&clock(&mut mux, 0x200, 9)).pcr, Some(18 * 300 + 5));
    let pes = [mux.packet(0x101, true, 0, &[0, 0, 1, 0xc0, 0, 0, 0x80, 0, 0]), {
        mux.pes(0x100, 0xe0, 0, P_SLICE)
    }];
    let sight = eyes.look(&pes.concat());
    assert_eq!((sight.pts, sight.dts), (Some(90_000), Some(90_000)));
    // Video's time counts before audio's, which is 1.
    let audio = [0, 0, 1, 0xc0, 0, 0, 0x80, 0x80, 5, 0x21, 0, 1, 0, 3];
    let audio = mux.packet(0x101, true, 0, &audio);
    assert_eq!(eyes.look(&audio).pts, Some(1));
    let both = [audio, mux.pes(0x100, 0xe0, 0, P_SLICE)].concat();
    assert_eq!(eyes.look(&both).pts, Some(90_000));
}

#[test]
fn rtp_is_taken_off_and_counted() {
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    let packet = mux.more(0x100);
    let sight = eyes.look(&rtp(7, 1234, &packet));
    assert_eq!((sight.media.clone(), sight.is_media), (12..200, true));
    assert_eq!((sight.rtp_seq, sight.rtp_timestamp), (Some(7), Some(1234)));
    assert_eq!(sight.packet.bytes, 188);
    let report = [&[0x80, 200, 0, 6][..], &[0; 24]].concat();
    assert!(!eyes.look(&report).is_media, "RTCP on the same port");
    let mut lost = 0;
    for number in (8..200).filter(|number| ![20, 21, 90].contains(number)) {
        let sight = eyes.look(&rtp(number, 0, &mux.more(0x100)));
        assert_eq!(sight.continuity_errors, 0, "of the media itself nothing is missing");
        assert_eq!(u32::from(sight.packet.lost), sight.rtp_lost);
        lost += sight.rtp_lost;
    }
    assert_eq!(lost, 3);
    let again = eyes.look(&rtp(199, 0, &mux.pes(0x100, 0xe0, 0, IDR)));
    assert_eq!((again.is_repeat, again.packet.frames), (true, 0));
}

#[test]
fn a_repeated_datagram_is_no_loss_and_no_frame() {
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    let mut lost = 0;
    for turn in 0..60 {
        let datagram: Vec<u8> = (0..7)
            .flat_map(|n| match n {
                0 => mux.pes(0x100, 0xe0, 0, P_SLICE),
                _ => mux.packet(0x100, false, 0, &[turn; 100]),
            })
            .collect();
        let sight = eyes.look(&datagram);
        assert_eq!((sight.packet.frames, sight.is_repeat), (1, false));
        lost += sight.packet.lost;
        let again = eyes.look(&datagram);
        assert_eq!((again.packet.frames, again.is_repeat), (0, true));
        assert_eq!((again.continuity_errors, again.packet.tracks), (0, Tracks::VIDEO));
        lost += again.packet.lost;
    }
    assert_eq!(lost, 0);
    // The same bytes with counters in order are not repeats: a source without content.
    let constant = |mux: &mut Mux| -> Vec<u8> { (0..4).flat_map(|_| mux.more(0x300)).collect() };
    assert!((0..40).all(|_| !eyes.look(&constant(&mut mux)).is_repeat));
}

#[test]
fn what_is_no_media_changes_nothing() {
    let (mut mux, mut eyes) = (Mux::default(), Eyes::new());
    eyes.look(&mux.more(0x100));
    let good = mux.more(0x100);
    for bad in [&[][..], b"hello", &good[..187], &rtp(1, 1, &good[..187]), &[0x80; 12]] {
        let sight = eyes.look(bad);
        assert_eq!((sight.is_media, sight.media.len()), (false, 0));
        assert_eq!(sight.packet, Packet::new(bad.len()));
    }
    // Packets that are media by their looks only.
    for (at, bits) in [(1, 0x80), (4, 0xf0)] {
        let mut broken = good.clone();
        broken[at] |= bits;
        broken[3] ^= 8;
        let sight = eyes.look(&broken);
        assert!(sight.is_media && sight.packet.tracks.is_empty());
        assert_eq!(sight.continuity_errors, 0);
    }
    assert_eq!(eyes.look(&good).continuity_errors, 0);
}

#[test]
fn frames_and_keyframes_of_rtp_video() {
    let mut eyes = Eyes::rtp_video(VideoCodec::H264);
    let mut saw = |number, timestamp, payload: &[u8]| {
        let sight = eyes.look(&rtp(number, timestamp, payload));
        assert!(sight.is_media);
        assert_eq!(sight.packet.tracks, Tracks::VIDEO);
        (sight.packet.frames, sight.packet.keyframe)
    };
    assert_eq!(saw(1, 1000, &[0x67, 1, 2]), (1, true), "the parameters before it");
    assert_eq!(saw(2, 1000, &[0x68, 1, 2]), (0, false));
    assert_eq!(saw(3, 1000, &[0x7c, 0x85, 2]), (0, false), "the same keyframe");
    assert_eq!(saw(4, 4600, &[0x41, 1, 2]), (1, false));
    assert_eq!(saw(6, 8200, &[0x7c, 0x85, 2]), (1, true), "a fragmented one");
    assert_eq!(saw(5, 4600, &[0x41, 1, 2]), (0, false), "late: its frame has begun");
    assert_eq!(saw(7, 8200, &[0x7c, 0x05, 2]), (0, false));
    assert!(!eyes.look(&rtp(8, 8200, &[])).is_media, "no payload");
    let report = [&[0x80, 200, 0, 6][..], &[0; 24]].concat();
    assert!(!eyes.look(&report).is_media, "RTCP on the same port");
    let mut eyes = Eyes::rtp_video(VideoCodec::H265);
    assert!(eyes.look(&rtp(1, 1, &[40, 1, 0])).packet.keyframe);
    assert!(!eyes.look(&rtp(2, 2, &[2, 1, 0])).packet.keyframe);
}

/// A generator of the same numbers each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.0 >> 24
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }
}

/// Nothing panics, nothing loops, and what is answered lies within the datagram.
#[test]
fn hostile_bytes_do_no_harm() {
    let mut random = Random(7);
    let (mut mux, mut base) = (Mux::default(), Vec::new());
    for _ in 0..8 {
        base.push(mux.tables());
        base.push([mux.pes(0x100, 0xe0, 0x50, &[SPS, IDR].concat()), mux.more(0x101)].concat());
    }
    let mut all =
        [Eyes::new(), Eyes::rtp_video(VideoCodec::H264), Eyes::rtp_video(VideoCodec::H265)];
    let mut media = 0_u32;
    for round in 0..60_000 {
        let mut bytes = match round % 4 {
            0 => (0..random.below(300)).map(|_| random.next() as u8).collect(),
            // Packets of anything behind a sync byte.
            1 => (0..1 + random.below(7))
                .flat_map(|_| {
                    let mut packet: Vec<u8> = (0..188).map(|_| random.next() as u8).collect();
                    packet[0] = 0x47;
                    // Often the tables' PIDs.
                    if random.below(3) == 0 {
                        (packet[1], packet[2]) = (0x40 | packet[1] & 0x10, 0);
                    }
                    packet
                })
                .collect(),
            2 => base[random.below(base.len())].clone(),
            _ => rtp(random.next() as u16, 1, &base[random.below(base.len())]),
        };
        for _ in 0..random.below(6) {
            if let Some(at) = bytes.len().checked_sub(1).map(|last| random.below(last + 1)) {
                // Not the sync bytes, most of the time: it would be no media any more.
                if at % 188 != 0 {
                    bytes[at] ^= 1 << random.below(8);
                }
            }
        }
        if random.below(20) == 0 {
            bytes.truncate(random.below(bytes.len() + 1));
        }
        for eyes in &mut all {
            let sight = eyes.look(&bytes);
            assert!(sight.media.start <= sight.media.end && sight.media.end <= bytes.len());
            assert_eq!(sight.is_media, !sight.media.is_empty());
            media += u32::from(sight.is_media);
        }
    }
    assert!(media > 60_000, "most of it is looked into: {media}");
}
