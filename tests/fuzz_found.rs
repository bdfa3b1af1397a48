//! What fuzzing (`tests/fuzz`) has found, each as a test of its own.
#![cfg(feature = "mpegts")]

use changeover::eyes::{Eyes, Sight};
use changeover::timeline::{Mapped, NO_TIMESTAMP, Stamps, Timebase, Timeline};

const CLIP: &[u8] = include_bytes!("../examples/relay/clip/testsrc.ts");
const DATAGRAM: usize = 1316;
/// Datagrams of the clip after which everything of it is known: its tables come every five.
const SOON: usize = 24;

/// One packet whose payload begins with these bytes.
fn packet(pid: u16, starts: bool, payload: &[u8]) -> Vec<u8> {
    let head = pid | u16::from(starts) << 14;
    let mut packet = vec![0x47, (head >> 8) as u8, head as u8, 0x10];
    packet.extend_from_slice(payload);
    packet.resize(188, 0xff);
    packet
}

fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }
        })
    })
}

/// An association table of version 0, like the clip's, with these programmes.
fn association(programmes: &[(u16, u16)]) -> Vec<u8> {
    let mut section = vec![0];
    section.extend((0xb009 + 4 * programmes.len() as u16).to_be_bytes());
    section.extend([0, 1, 0xc1, 0, 0]);
    for (number, pid) in programmes {
        section.extend(number.to_be_bytes());
        section.extend((0xe000 | pid).to_be_bytes());
    }
    section.extend(crc(&section).to_be_bytes());
    let parts = section.chunks(183).enumerate();
    let packets = parts.map(|(n, part)| {
        let pointer = if n == 0 { &[0][..] } else { &[] };
        let mut packet = packet(0, n == 0, &[pointer, part].concat());
        packet[3] |= n as u8;
        packet
    });
    packets.collect::<Vec<_>>().concat()
}

/// The clip without random access indicators: its keyframes are known by their slices, as long as
/// the codec is.
fn clip() -> Vec<u8> {
    let mut media = CLIP.to_vec();
    for packet in media.chunks_exact_mut(188).filter(|p| p[3] & 0x20 != 0 && p[4] > 0) {
        packet[5] &= !0x40;
    }
    media
}

/// What eyes see of the clip, from when they should understand it.
fn look(eyes: &mut Eyes) -> Vec<Sight> {
    let sights: Vec<_> = clip().chunks(DATAGRAM).map(|datagram| eyes.look(datagram)).collect();
    sights.into_iter().skip(SOON).collect()
}

fn understands_after(garbage: &[u8]) {
    let mut eyes = Eyes::new();
    for datagram in garbage.chunks(DATAGRAM) {
        let _ = eyes.look(datagram);
    }
    let (seen, right) = (look(&mut eyes), look(&mut Eyes::new()));
    let wrong = seen.iter().zip(&right).filter(|(seen, right)| seen != right).count();
    let first = seen.iter().zip(&right).find(|(seen, right)| seen != right);
    assert_eq!(wrong, 0, "of {}; first {first:?}", seen.len());
}

#[test]
fn a_pes_head_where_sections_are_makes_no_frames_of_them() {
    // The clip has its service description on 17.
    understands_after(&packet(17, true, &[0, 0, 1, 0xe0, 0, 0, 0x80, 0, 0]));
}

#[test]
fn another_mux_had_its_map_where_now_the_video_is() {
    understands_after(&association(&[(1, 256)]));
}

#[test]
fn another_mux_had_many_programmes() {
    let programmes: Vec<_> = (1..=64).map(|n| (n + 1, 1000 + n)).collect();
    understands_after(&association(&programmes));
}

/// 8,192 PIDs, none of which is followed for long, in the middle of a stream.
#[test]
fn a_flood_of_pids_is_over_when_it_is_over() {
    let flood: Vec<u8> = (32..800).flat_map(|pid| packet(pid + 1000, false, &[])).collect();
    let mut garbage = CLIP[..40 * DATAGRAM].to_vec();
    garbage.extend(flood);
    understands_after(&garbage);
}

#[test]
fn a_clock_is_what_a_clock_can_show() {
    let mut packet = packet(256, false, &[]);
    // Nothing but a field: the base and the extension all ones.
    packet[3] = 0x20;
    packet[4..12].copy_from_slice(&[183, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    let pcr = Eyes::new().look(&packet).pcr;
    assert!(pcr.is_some_and(|pcr| pcr < 300 << 33), "{pcr:?}");
}

#[test]
fn a_timeline_begins_where_it_can_go_on() {
    for start in [i64::MIN, i64::MAX] {
        let mut timeline = Timeline::new(Timebase::MPEG_TS).start_at(start);
        let mut last = NO_TIMESTAMP;
        for n in 0..10 {
            let Mapped::At(at) = timeline.map(1, 0, Timebase::MPEG_TS, Stamps::pts_only(n * 3600))
            else {
                panic!("packet {n} of a timeline that begins at {start}");
            };
            assert!(at.dts > last, "{} after {last}", at.dts);
            last = at.dts;
        }
    }
}
