//! What looking into a datagram costs: `changeover::eyes` on seven packets of real media, as they
//! come plain and in RTP; and on RTP that carries H.264 itself. See README.md here.

use std::hint::black_box;

use changeover::eyes::{Eyes, VideoCodec};
use criterion::Criterion;

#[path = "../tests/eyes/repeated.rs"]
mod repeated;

use repeated::repeated;

const CLIP: &[u8] = include_bytes!("../examples/relay/clip/testsrc.ts");
const PACKET: usize = 188;
/// Seven packets.
const DATAGRAM: usize = 7 * PACKET;
/// Passes over the clip in a row; 16 of them leave every continuity counter where it was.
const PASSES: usize = 16;
/// What is in one of them.
const FRAMES: u64 = 125;
const KEYFRAMES: usize = 5;

fn rtp(n: usize, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80, 33];
    bytes.extend((n as u16).to_be_bytes());
    bytes.extend(timestamp.to_be_bytes());
    bytes.extend([0, 0, 0, 1]);
    bytes.extend_from_slice(payload);
    bytes
}

/// Pictures of 12 fragments, each 25th one an IDR.
fn video() -> Vec<Vec<u8>> {
    let pictures = FRAMES as usize * PASSES;
    let fragment = |n: usize| {
        let (picture, part) = (n / 12, n % 12);
        let kind = if picture.is_multiple_of(25) { 5 } else { 1 };
        let flags = if part == 0 { 0x80 } else { 0 };
        let head = [0x7c, kind | flags];
        rtp(n, picture as u32 * 3600, &[&head[..], &[0xa5; 1200]].concat())
    };
    (0..pictures * 12).map(fragment).collect()
}

/// Looks at all of it once, and sums up frames, keyframes and losses.
fn look(eyes: &mut Eyes, all: &[Vec<u8>]) -> (u64, usize, u64) {
    let mut sum = (0, 0, 0);
    for datagram in all {
        let sight = eyes.look(black_box(datagram));
        assert!(sight.is_media);
        sum.0 += u64::from(sight.packet.frames);
        sum.1 += usize::from(sight.packet.keyframe);
        sum.2 += u64::from(sight.packet.lost);
    }
    sum
}

fn main() {
    let media = repeated(CLIP, PASSES);
    let plain: Vec<Vec<u8>> = media.chunks(DATAGRAM).map(<[u8]>::to_vec).collect();
    let in_rtp = |(n, datagram): (usize, &Vec<u8>)| rtp(n, n as u32 * 90, datagram);
    let in_rtp: Vec<Vec<u8>> = plain.iter().enumerate().map(in_rtp).collect();
    let new = || Eyes::rtp_video(VideoCodec::H264);
    let kinds = [
        ("plain", Eyes::new as fn() -> Eyes, plain),
        ("in RTP", Eyes::new, in_rtp),
        ("RTP video", new, video()),
    ];
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("eyes: a look at");
    for (name, eyes, all) in &kinds {
        // What is timed is what it is said to be: the numbers that were made, and nothing lost.
        let expected = (FRAMES * PASSES as u64, KEYFRAMES * PASSES, 0);
        assert_eq!(look(&mut eyes(), all), expected, "{name}");
        let (mut eyes, mut next) = (eyes(), all.iter().cycle());
        group.bench_function(*name, |bencher| {
            bencher.iter(|| next.next().map(|datagram| eyes.look(black_box(datagram))));
        });
    }
    group.finish();
    criterion.final_summary();
}
