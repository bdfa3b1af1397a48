//! The eyes on real media: the demo's clip, and what FFmpeg makes, compared with what ffprobe sees
//! in it; with losses, reordering and repeats that the test knows of.
#![cfg(feature = "mpegts")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use changeover::Tracks;
use changeover::eyes::{Eyes, Sight, VideoCodec};

#[path = "eyes/repeated.rs"]
mod repeated;

use repeated::repeated;

const CLIP: &[u8] = include_bytes!("../examples/relay/clip/testsrc.ts");
/// Seven packets.
const DATAGRAM: usize = 1316;

fn datagrams(media: &[u8]) -> Vec<Vec<u8>> {
    media.chunks(DATAGRAM).map(<[u8]>::to_vec).collect()
}

fn as_rtp(datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let rtp = |(n, media): (usize, &Vec<u8>)| {
        let mut bytes = vec![0x80, 33];
        // Beginning shortly before the numbers start again.
        bytes.extend((n as u16).wrapping_add(65_500).to_be_bytes());
        bytes.extend((n as u32 * 90).to_be_bytes());
        bytes.extend([0, 0, 0, 1]);
        bytes.extend_from_slice(media);
        bytes
    };
    datagrams.iter().enumerate().map(rtp).collect()
}

fn look(datagrams: &[Vec<u8>]) -> Vec<Sight> {
    let mut eyes = Eyes::new();
    datagrams.iter().map(|datagram| eyes.look(datagram)).collect()
}

fn sum(sights: &[Sight], of: impl Fn(&Sight) -> u64) -> u64 {
    sights.iter().map(of).sum()
}

fn lost(sights: &[Sight]) -> u64 {
    sum(sights, |sight| sight.packet.lost.into())
}

/// The datagrams with a keyframe in them.
fn keyframes(sights: &[Sight]) -> Vec<usize> {
    (0..sights.len()).filter(|&n| sights[n].packet.keyframe).collect()
}

/// The same numbers each time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % end
    }
}

/// Leaves out `percent` of the datagrams, none of the last 20; answers how many.
fn drop_some(datagrams: &[Vec<u8>], percent: u64) -> (Vec<Vec<u8>>, u64) {
    let mut random = Random(percent);
    let end = datagrams.len() - 20;
    let kept: Vec<_> = (datagrams.iter().enumerate())
        .filter(|(n, _)| *n == 0 || *n >= end || random.below(100) >= percent)
        .map(|(_, datagram)| datagram.clone())
        .collect();
    let dropped = (datagrams.len() - kept.len()) as u64;
    (kept, dropped)
}

/// Takes the random access indicator off every packet.
fn without_indicators(media: &[u8]) -> Vec<u8> {
    let mut media = media.to_vec();
    for packet in media.chunks_exact_mut(188).filter(|p| p[3] & 0x20 != 0 && p[4] > 0) {
        packet[5] &= !0x40;
    }
    media
}

#[test]
fn the_clip_is_seen_as_it_was_made() {
    let sights = look(&datagrams(CLIP));
    assert!(sights.iter().all(|sight| sight.is_media && !sight.is_repeat));
    assert_eq!(sum(&sights, |sight| sight.packet.bytes.into()), CLIP.len() as u64);
    assert_eq!(sum(&sights, |sight| sight.packet.frames.into()), 125, "5 s at 25 pictures/s");
    assert_eq!(keyframes(&sights).len(), 5, "one a second");
    assert_eq!(sum(&sights, |sight| sight.continuity_errors.into()), 0);
    assert_eq!(lost(&sights), 0);
    let with = |track| sights.iter().filter(|s| s.packet.tracks.contains(track)).count();
    let tracks = [Tracks::VIDEO, Tracks::AUDIO, Tracks::OTHER].map(with);
    assert_eq!(tracks, [219, 43, 90]);
    let clocks: Vec<u64> = sights.iter().filter_map(|sight| sight.pcr).collect();
    assert!(clocks.len() > 100 && clocks.is_sorted());
    // Every 20 ms, at the latest, as it was asked for (and found at datagram boundaries of 21 ms).
    let steps = clocks.windows(2).map(|two| two[1] - two[0]);
    assert!(steps.max() < Some(27_000 * 45), "in 1/27 us");
    let of_clip = keyframes(&sights);
    let stripped = without_indicators(CLIP);
    assert_eq!(keyframes(&look(&datagrams(&stripped))), of_clip, "by the pictures alone");
    assert_eq!(keyframes(&look(&as_rtp(&datagrams(CLIP)))), of_clip, "in RTP");
}

#[test]
fn known_losses_are_told_exactly_with_rtp() {
    let all = as_rtp(&datagrams(&repeated(CLIP, 20)));
    for percent in [1, 5, 10] {
        let (kept, dropped) = drop_some(&all, percent);
        assert!(dropped > 30 * percent, "{dropped} of {}", all.len());
        let sights = look(&kept);
        assert_eq!(lost(&sights), dropped, "{percent} %");
        assert_eq!(sum(&sights, |sight| sight.rtp_lost.into()), dropped);
    }
}

#[test]
fn known_losses_are_told_nearly_without_rtp() {
    let all = datagrams(&repeated(CLIP, 100));
    assert_eq!(lost(&look(&all)), 0);
    for percent in [1, 5, 10] {
        let (kept, dropped) = drop_some(&all, percent);
        let told = lost(&look(&kept));
        let off = (told as f64 - dropped as f64) / dropped as f64 * 100.0;
        println!("{percent} %: {dropped} dropped, {told} told ({off:+.1} %)");
        assert!(off.abs() < 6.0, "{percent} %: {dropped} dropped, {told} told");
    }
}

/// Counters count modulo 16, a burst of 3 datagrams is 21 packets: it is seen, and told too low.
#[test]
fn a_burst_is_told_exactly_with_rtp_and_at_least_seen_without() {
    let plain = datagrams(&repeated(CLIP, 4));
    let rtp = as_rtp(&plain);
    for burst in [1, 2, 3, 10, 40, 100] {
        let without = |all: &[Vec<u8>]| {
            let mut left = all.to_vec();
            left.drain(500..500 + burst);
            lost(&look(&left))
        };
        assert_eq!(without(&rtp), burst as u64);
        let told = without(&plain);
        println!("{burst} lost, {told} told");
        assert!((1..=burst as u64 + 1).contains(&told), "{told} of {burst}");
        assert!(burst > 2 || told >= burst as u64, "{told} of {burst}");
    }
}

#[test]
fn reordered_and_repeated_datagrams_are_not_lost() {
    let plain = datagrams(&repeated(CLIP, 4));
    for all in [as_rtp(&plain), plain] {
        let frames = sum(&look(&all), |sight| sight.packet.frames.into());
        let mut mixed = all.clone();
        let mut random = Random(3);
        // Apart: counters of four bits cannot tell what overtakes what in a crowd.
        for place in 0..50 {
            let at = place * 18 + random.below(8) as usize;
            let by = 1 + random.below(2) as usize;
            let one = mixed.remove(at);
            mixed.insert(at + by, one);
        }
        let sights = look(&mixed);
        assert_eq!(lost(&sights), 0, "reordered");
        assert_eq!(sum(&sights, |sight| sight.packet.frames.into()), frames);
        let twice: Vec<_> = all.iter().flat_map(|one| [one.clone(), one.clone()]).collect();
        let sights = look(&twice);
        assert_eq!(lost(&sights), 0, "repeated");
        assert_eq!(sum(&sights, |sight| sight.packet.frames.into()), frames);
    }
}

/// What ffprobe says of a file's video: frames, and the datagrams that its keyframes begin in.
fn probed(file: &Path) -> (u64, Vec<usize>) {
    let mut probe = Command::new("ffprobe");
    probe.args(["-v", "error", "-select_streams", "v", "-show_packets"]);
    probe.args(["-show_entries", "packet=pos,flags", "-of", "compact=p=0:nk=1"]).arg(file);
    let output = probe.output().expect("ffprobe is there");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<(usize, bool)> = (text.lines().filter(|line| !line.is_empty()))
        .map(|line| {
            let (pos, flags) = line.split_once('|').unwrap();
            (pos.parse().unwrap(), flags.contains('K'))
        })
        .collect();
    let keys = rows.iter().filter(|(_, key)| *key).map(|(pos, _)| pos / DATAGRAM).collect();
    (rows.len() as u64, keys)
}

/// Four seconds of picture and tone, made with these options.
fn made(name: &str, options: &[&str]) -> PathBuf {
    let file = std::env::temp_dir().join(format!("changeover-eyes-{}-{name}", std::process::id()));
    let mut make = Command::new("ffmpeg");
    make.args(["-hide_banner", "-nostdin", "-loglevel", "error", "-y", "-f", "lavfi"]);
    make.args(["-i", "testsrc2=size=480x270:rate=25", "-f", "lavfi", "-i", "sine", "-t", "4"]);
    make.args(options).args(["-c:a", "aac", "-f", "mpegts"]).arg(&file);
    let status = make.stdin(Stdio::null()).status().expect("ffmpeg is there");
    assert!(status.success(), "{options:?}");
    file
}

#[test]
fn ffmpeg_agrees_about_frames_and_keyframes() {
    let x265 = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"];
    let kinds: [(&str, &[&str]); 4] = [
        ("h264.ts", &["-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-b:v", "2M"]),
        (
            "open.ts",
            &["-c:v", "libx264", "-preset", "fast", "-x264-params", "open-gop=1:keyint=30"],
        ),
        ("h265.ts", &[&x265[..], &["-g", "30"]].concat()),
        ("mpeg2.ts", &["-c:v", "mpeg2video", "-g", "15", "-bf", "2", "-b:v", "3M"]),
    ];
    for (name, options) in kinds {
        let file = made(name, options);
        let (frames, keys) = probed(&file);
        let media = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert!(frames == 100 && keys.len() >= 4, "{name}: {frames} {keys:?}");
        let sights = look(&datagrams(&media));
        assert_eq!(sum(&sights, |sight| sight.packet.frames.into()), frames, "{name}");
        assert_eq!(keyframes(&sights), keys, "{name}");
        assert_eq!(lost(&sights), 0, "{name}");
        // Without the indicator, from the pictures; but those that begin an open group of H.264
        // are no IDR, and x264 repeats no parameters there.
        let expected = if name == "open.ts" { &keys[..1] } else { &keys };
        let stripped = without_indicators(&media);
        assert_eq!(keyframes(&look(&datagrams(&stripped))), expected, "{name}, stripped");
    }
}

/// FFmpeg's own RTP packets of H.264 and H.265, caught on loopback.
#[test]
fn ffmpeg_rtp_video_has_its_frames_and_keyframes() {
    let kinds = [("libx264", VideoCodec::H264), ("libx265", VideoCodec::H265)];
    for (encoder, codec) in kinds {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let patience = std::time::Duration::from_millis(1500);
        let to = format!("rtp://{}", socket.local_addr().unwrap());
        let mut send = Command::new("ffmpeg");
        send.args(["-hide_banner", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi"]);
        send.args(["-i", "testsrc2=size=320x180:rate=50", "-t", "2", "-c:v", encoder]);
        send.args(["-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-bf", "0"]);
        if codec == VideoCodec::H265 {
            send.args(["-x265-params", "log-level=error:keyint=25"]);
        }
        send.args(["-f", "rtp", &to]).stdout(Stdio::null());
        let mut child = send.spawn().expect("ffmpeg is there");
        let (mut eyes, mut buffer) = (Eyes::rtp_video(codec), [0; 65_536]);
        let (mut frames, mut keys) = (0, 0);
        socket.set_read_timeout(Some(patience * 10)).unwrap();
        while let Ok(count) = socket.recv(&mut buffer) {
            socket.set_read_timeout(Some(patience)).unwrap();
            let sight = eyes.look(&buffer[..count]);
            frames += u32::from(sight.packet.frames);
            keys += u32::from(sight.packet.keyframe);
        }
        child.wait().unwrap();
        assert_eq!((frames, keys), (100, 4), "{encoder}");
    }
}
