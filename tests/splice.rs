//! The relay's splicer, offline, between real FFmpegs: recorded feeds with clocks 20 s apart, other
//! PIDs and counters that wrap are spliced at keyframes, and FFmpeg finds nothing to complain of.

#[allow(dead_code, unreachable_pub)]
#[path = "../examples/relay/splice/mod.rs"]
mod splice;
#[allow(dead_code, unreachable_pub)]
#[path = "../examples/relay/ts.rs"]
mod ts;

#[path = "splice/recorded.rs"]
mod recorded;

use std::collections::{BTreeMap, BTreeSet};

use recorded::{Dir, Feed};
use splice::Splicer;
use ts::PACKET;

/// 25 frames a second and 1024 samples at 48 kHz, in 90 kHz ticks.
const FRAME: i64 = 3600;
const SOUND: i64 = 1920;

/// From one keyframe of a feed to some datagrams behind another: a cut falls anywhere.
struct Turn<'a> {
    feed: &'a Feed,
    from: usize,
    to: usize,
    more: usize,
}

fn turn(feed: &Feed, from: usize, to: usize, more: usize) -> Turn<'_> {
    Turn { feed, from, to, more }
}

/// The datagrams of the turns, through a splicer that has seen all tables, or as they are.
fn output(turns: &[Turn<'_>], spliced: bool) -> Vec<u8> {
    let (mut splicer, mut out) = (Splicer::new(), Vec::new());
    for turn in turns {
        splicer.learn(turn.feed.number, &turn.feed.bytes[..100 * PACKET]);
    }
    for (turn, cut) in turns.iter().zip(1..) {
        for datagram in turn.feed.between(turn.from, turn.to, turn.more) {
            if spliced {
                splicer.rewrite(cut, turn.feed.number, datagram, &mut out);
            } else {
                out.extend_from_slice(datagram);
            }
        }
    }
    out
}

/// What must hold of every output: counters without a gap, a clock that goes on. At a cut it may
/// be missing until the first picture is out, and the next one's comes.
fn check_packets(bytes: &[u8]) -> BTreeSet<u16> {
    let mut counters = BTreeMap::<u16, u8>::new();
    let mut clock = None::<ts::Pcr>;
    for (n, packet) in bytes.chunks_exact(PACKET).enumerate() {
        let (pid, counter) = (ts::pid(packet), packet[3] & 0x0f);
        assert_eq!(packet[0], ts::SYNC);
        let step = packet[3] >> 4 & 1;
        if let Some(before) = counters.insert(pid, counter) {
            assert_eq!(counter, (before + step) & 0x0f, "packet {n}, PID {pid:#x}");
        }
        if let Some(pcr) = ts::Pcr::of(packet) {
            assert!(!pcr.discontinuity, "packet {n}");
            if let Some(before) = clock.replace(pcr) {
                let nanos = pcr.nanos_since(before);
                assert!((1..=200_000_000).contains(&nanos), "packet {n}: PCR + {nanos} ns");
            }
        }
    }
    counters.into_keys().collect()
}

/// The steps of a stream's DTS, as FFmpeg reads them: all rise. And how often each occurs.
fn steps(times: &[i64]) -> BTreeMap<i64, usize> {
    let mut steps = BTreeMap::new();
    for pair in times.windows(2) {
        assert!(pair[1] > pair[0], "DTS {} behind {}", pair[1], pair[0]);
        *steps.entry(pair[1] - pair[0]).or_default() += 1;
    }
    steps
}

/// Nothing but usual steps, and at most one other per cut, of up to 0.35 s: FFmpeg sends audio in
/// pieces of 0.17 s, and what began before the cut is not there.
fn check_audio(times: &[i64], cuts: usize) {
    let steps = steps(times);
    let others: Vec<_> = steps.iter().filter(|(step, _)| **step != SOUND).collect();
    assert!(others.iter().map(|(_, count)| **count).sum::<usize>() <= cuts, "{steps:?}");
    assert!(others.iter().all(|(step, _)| (SOUND - 90..31_500).contains(*step)), "{steps:?}");
}

#[test]
fn ffmpeg_sees_one_stream_of_feeds_whose_clocks_are_20_s_apart() {
    let dir = Dir::new("apart");
    let first = Feed::record(&dir, 1, &[]);
    // Other PIDs everywhere, another programme number, audio first.
    let ids = ["-mpegts_start_pid", "0x200", "-mpegts_pmt_start_pid", "0x50"];
    let swapped = ["-map", "1:a", "-map", "0:v", "-mpegts_service_id", "7"];
    let second =
        Feed::record(&dir, 2, &[&ids[..], &swapped, &["-output_ts_offset", "20"]].concat());
    let turns = [turn(&first, 0, 3, 2), turn(&second, 2, 4, 4), turn(&first, 4, 6, 1)];

    // The means are good for something: without the splicer, FFmpeg complains.
    let raw = dir.write("raw.ts", &output(&turns, false));
    assert_ne!(recorded::complaints(&raw), "");

    let bytes = output(&turns, true);
    assert_eq!(check_packets(&bytes), BTreeSet::from([0, 0x11, 0x100, 0x101, 0x1000]));
    let path = dir.write("out.ts", &bytes);
    assert_eq!(recorded::complaints(&path), "");
    let streams = recorded::times(&path);
    assert_eq!(streams.len(), 2, "one programme, unchanged");
    // 3 + 2 + 2 s, and what the further datagrams completed; not one frame is missing at a cut.
    let video = steps(&streams[&0]);
    assert_eq!(video.keys().collect::<Vec<_>>(), [&FRAME], "{video:?}");
    assert!((175..180).contains(&streams[&0].len()), "{} frames", streams[&0].len());
    check_audio(&streams[&1], 2);
}

#[test]
fn ffmpeg_sees_one_stream_through_the_wrap_of_33_bits() {
    let dir = Dir::new("wrap");
    // 2^33 / 90 kHz is 95443.72 s: it wraps after about 2 s. B-frames: DTS differ from PTS.
    let late = ["-output_ts_offset", "95440.3", "-mpegts_start_pid", "0x300"];
    let first = Feed::record(&dir, 1, &[&late[..], &["-tune", "film", "-bf", "2"]].concat());
    let second = Feed::record(&dir, 2, &["-tune", "film", "-bf", "2"]);
    let turns = [turn(&first, 0, 4, 0), turn(&second, 1, 3, 3), turn(&first, 1, 5, 2)];
    let bytes = output(&turns, true);
    check_packets(&bytes);
    let path = dir.write("out.ts", &bytes);
    assert_eq!(recorded::complaints(&path), "");
    let streams = recorded::times(&path);
    // Where the cut leaves out B-frames of the old feed, the next picture is shown after the one
    // that they belong to: DTS rises by one frame more, once per cut at most.
    let mut video = steps(&streams[&0]);
    assert!(video.remove(&FRAME).is_some(), "{video:?}");
    assert!(video.keys().all(|&step| step == 2 * FRAME), "{video:?}");
    assert!(video.values().sum::<usize>() <= 2, "{video:?}");
    assert!((245..255).contains(&streams[&0].len()), "{} frames", streams[&0].len());
    check_audio(&streams[&1], 2);
    // The counter did wrap: more than once in the first feed, and on the output.
    let wraps = |bytes: &[u8]| {
        let clocks = bytes.chunks_exact(PACKET).filter_map(ts::Pcr::of).map(|pcr| pcr.ticks);
        let clocks: Vec<_> = clocks.collect();
        clocks.windows(2).filter(|pair| pair[1] < pair[0]).count()
    };
    assert_eq!((wraps(&first.bytes), wraps(&bytes)), (1, 1));
}

#[test]
fn ffmpeg_is_told_when_the_next_feed_consists_of_other_streams() {
    let dir = Dir::new("other");
    let first = Feed::record(&dir, 1, &[]);
    let two = ["-map", "0:v", "-map", "1:a", "-map", "1:a", "-mpegts_start_pid", "0x400"];
    let second = Feed::record(&dir, 2, &two);
    let turns = [turn(&first, 0, 2, 2), turn(&second, 2, 4, 0), turn(&first, 4, 6, 0)];
    let bytes = output(&turns, true);
    let pids = check_packets(&bytes);
    assert_eq!(pids, BTreeSet::from([0, 0x11, 0x100, 0x101, 0x400, 0x401, 0x402, 0x1000]));
    // The version of the PMT is in the sixth byte of the section, which begins behind a pointer.
    let tables = bytes.chunks_exact(PACKET).filter(|packet| ts::pid(packet) == 0x1000);
    let mut versions: Vec<_> = tables.map(|packet| packet[4 + 1 + 5] >> 1 & 0x1f).collect();
    versions.dedup();
    assert_eq!(versions, [0, 1, 2]);
    let path = dir.write("out.ts", &bytes);
    assert_eq!(recorded::complaints(&path), "");
    let streams = recorded::times(&path);
    assert_eq!(streams.len(), 5, "two at first, three more");
    streams.values().for_each(|times| assert!(steps(times).len() <= 2));
}

/// The pictures behind a keyframe that are shown before it refer to the old feed's.
#[test]
fn ffmpeg_can_decode_all_behind_a_cut_into_an_open_group_of_pictures() {
    let x265 = "keyint=25:min-keyint=25:scenecut=0:bframes=3:b-adapt=0:rc-lookahead=20:open-gop=1";
    let x265 = format!("{x265}:log-level=error");
    let kinds: [(&str, &[&str]); 2] = [
        ("h265", &["-c:v", "libx265", "-x265-params", &x265]),
        ("mpeg2", &["-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"]),
    ];
    for (name, codecs) in kinds {
        let dir = Dir::new(name);
        let first = Feed::record(&dir, 1, codecs);
        let second = Feed::record(&dir, 2, &[codecs, &["-output_ts_offset", "20"]].concat());
        let turns = [turn(&first, 0, 3, 2), turn(&second, 2, 4, 4), turn(&first, 4, 6, 1)];
        let bytes = output(&turns, true);
        check_packets(&bytes);
        let path = dir.write("out.ts", &bytes);
        assert_eq!(recorded::complaints(&path), "", "{name}");
        let streams = recorded::times(&path);
        // Two or three pictures per cut are missing: they cannot be decoded.
        let video = steps(&streams[&0]);
        assert!(video.keys().all(|&step| step <= 4 * FRAME), "{name}: {video:?}");
        assert!((160..180).contains(&streams[&0].len()), "{name}: {}", streams[&0].len());
    }
}

#[test]
fn ffmpeg_sees_other_codecs_on_the_same_pids_as_other_streams() {
    let dir = Dir::new("codecs");
    let first = Feed::record(&dir, 1, &[]);
    let second = Feed::record(&dir, 2, &["-c:v", "mpeg2video", "-c:a", "mp2"]);
    let turns = [
        turn(&first, 0, 2, 2),
        turn(&second, 2, 4, 0),
        turn(&first, 4, 6, 0),
        turn(&second, 4, 6, 0),
    ];
    let bytes = output(&turns, true);
    // As often as they come back, each has its own.
    assert_eq!(
        check_packets(&bytes),
        BTreeSet::from([0, 0x11, 0x100, 0x101, 0x102, 0x103, 0x1000])
    );
    let path = dir.write("out.ts", &bytes);
    assert_eq!(recorded::complaints(&path), "");
    let streams = recorded::times(&path);
    assert_eq!(streams.len(), 4, "two, and two more");
    assert!(streams.values().all(|times| times.len() > 80));
    streams.values().for_each(|times| _ = steps(times));
}

/// Two paths of one encoder: the second goes on with the picture that the first did not finish.
#[test]
fn a_cut_between_two_paths_of_one_feed_changes_no_time() {
    let dir = Dir::new("paths");
    let feed = Feed::record(&dir, 1, &["-tune", "film", "-bf", "3"]);
    let datagrams: Vec<&[u8]> = feed.bytes.chunks(7 * PACKET).collect();
    let begins_picture = |datagram: &[u8]| {
        datagram.chunks(PACKET).any(|packet| ts::pid(packet) == 0x100 && packet[1] & 0x40 != 0)
    };
    let whole = {
        let (mut splicer, mut out) = (Splicer::new(), Vec::new());
        splicer.rewrite(1, 1, &feed.bytes, &mut out);
        recorded::times(&dir.write("whole.ts", &out))
    };
    for cut_at in [101, 150, 201, 222, 283] {
        let (mut splicer, mut out) = (Splicer::new(), Vec::new());
        splicer.learn(2, &feed.bytes[..100 * PACKET]);
        datagrams[..cut_at].iter().for_each(|datagram| splicer.rewrite(1, 1, datagram, &mut out));
        let from = (0..cut_at).rev().find(|&at| begins_picture(datagrams[at])).unwrap();
        datagrams[from..].iter().for_each(|datagram| splicer.rewrite(2, 2, datagram, &mut out));
        check_packets(&out);
        let path = dir.write("out.ts", &out);
        assert_eq!(recorded::complaints(&path), "", "{cut_at}");
        let times = recorded::times(&path);
        assert_eq!(times[&0], whole[&0], "{cut_at}");
    }
}
