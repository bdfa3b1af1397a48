//! Feeds recorded by FFmpeg, and what FFmpeg says of a recording.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::ts::{self, PACKET, PER_DATAGRAM};

/// A directory of this test's own, gone at its end.
#[derive(Debug)]
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("splice-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).expect("a file");
        path
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// 7 s of a test picture with a keyframe each second, and of a tone.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) number: i32,
    pub(crate) bytes: Vec<u8>,
    /// The datagrams in which a keyframe begins.
    keyframes: Vec<usize>,
}

impl Feed {
    pub(crate) fn record(dir: &Dir, number: i32, arguments: &[&str]) -> Self {
        let path = dir.0.join(format!("feed{number}.ts"));
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-nostdin", "-loglevel", "warning", "-f", "lavfi"]);
        command.args(["-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi"]);
        command.args(["-i", "sine=sample_rate=48000", "-t", "7", "-c:v", "libx264"]);
        command.args(["-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-b:v", "300k"]);
        command.args(["-sc_threshold", "0", "-c:a", "aac", "-f", "mpegts"]);
        let done = command.args(arguments).arg(&path).output().expect(
            "this test needs ffmpeg: run scripts/check, which installs what is missing \
             (apt-get install ffmpeg)",
        );
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let bytes = std::fs::read(&path).expect("the recording");
        // FFmpeg flags a keyframe's first packet as a random access point with a clock.
        let is_keyframe = |packet: &[u8]| {
            let is_start = packet[1] & 0x40 != 0;
            is_start && packet[5] & 0x40 != 0 && ts::Pcr::of(packet).is_some()
        };
        let datagrams = bytes.chunks(PER_DATAGRAM * PACKET).enumerate();
        let keyframes = datagrams.filter(|(_, all)| all.chunks(PACKET).any(is_keyframe));
        let keyframes: Vec<_> = keyframes.map(|(n, _)| n).collect();
        assert!((7..=8).contains(&keyframes.len()), "one keyframe a second, or one more");
        Self { number, bytes, keyframes }
    }

    /// Its datagrams from one keyframe (counted from 0) to just before another, and some more.
    pub(crate) fn between(
        &self,
        from: usize,
        to: usize,
        more: usize,
    ) -> impl Iterator<Item = &[u8]> {
        let (from, to) = (self.keyframes[from], self.keyframes[to] + more);
        self.bytes.chunks(PER_DATAGRAM * PACKET).take(to).skip(from)
    }
}

/// What FFmpeg prints, at the level of warnings, when it decodes all of a recording.
pub(crate) fn complaints(path: &Path) -> String {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-nostdin", "-v", "warning", "-xerror", "-i"]).arg(path);
    let done = command.args(["-map", "0", "-f", "null", "-"]).output().expect("ffmpeg runs");
    let mut text = String::from_utf8_lossy(&done.stderr).into_owned();
    if !done.status.success() {
        text += &format!("ffmpeg: {}", done.status);
    }
    text
}

/// The DTS of each stream's packets, as ffprobe reads them.
pub(crate) fn times(path: &Path) -> BTreeMap<usize, Vec<i64>> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "warning", "-show_entries", "packet=stream_index,dts", "-of", "csv=p=0"]);
    let done = command.arg(path).output().expect("ffprobe runs");
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
    let mut streams = BTreeMap::<usize, Vec<i64>>::new();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    for line in text.lines().filter(|line| !line.is_empty()) {
        let mut fields = line.split(',');
        let mut next = || fields.next().and_then(|field| field.parse::<i64>().ok());
        let (Some(stream), Some(dts)) = (next(), next()) else { panic!("no DTS: {line}") };
        streams.entry(stream as usize).or_default().push(dts);
    }
    streams
}
