//! The output file: whether it plays, and how long it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a test's output goes; gone at its end, unless the test fails.
pub(crate) struct Output(PathBuf);

impl Output {
    pub(crate) fn new(name: &str) -> Self {
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }

    /// Decodes all of it: FFmpeg must have nothing to say.
    pub(crate) fn plays(&self) {
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-v", "error", "-xerror", "-i"]).arg(&self.0);
        let done = command.args(["-map", "0", "-f", "null", "-"]).output().expect("ffmpeg runs");
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() && said.is_empty(), "{}: {said}", self.path());
    }

    /// The DTS of each stream, in seconds, in their order in the file.
    pub(crate) fn times(&self) -> BTreeMap<usize, Vec<f64>> {
        let mut command = Command::new("ffprobe");
        command.args(["-v", "error", "-show_entries", "packet=stream_index,dts_time"]);
        let done = command.args(["-of", "csv=p=0"]).arg(&self.0).output().expect("ffprobe runs");
        assert_eq!(String::from_utf8_lossy(&done.stderr), "", "{}", self.path());
        let mut streams = BTreeMap::<usize, Vec<f64>>::new();
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        for line in text.lines().filter(|line| !line.is_empty()) {
            let mut fields = line.split(',');
            let mut next = || fields.next().and_then(|field| field.parse::<f64>().ok());
            let (Some(stream), Some(dts)) = (next(), next()) else { panic!("no DTS: {line}") };
            streams.entry(stream as usize).or_default().push(dts);
        }
        streams
    }

    /// One video and one audio track whose DTS rise, without a hole of a second; answers how long
    /// they are together.
    pub(crate) fn seconds(&self) -> f64 {
        let streams = self.times();
        assert_eq!(streams.keys().copied().collect::<Vec<_>>(), [0, 1], "{}", self.path());
        for times in streams.values() {
            for pair in times.windows(2) {
                let step = pair[1] - pair[0];
                assert!(step > 0.0, "{}: DTS {} behind {}", self.path(), pair[1], pair[0]);
                assert!(step < 1.0, "{}: a hole of {step} s at {}", self.path(), pair[0]);
            }
        }
        let first = streams.values().map(|times| times[0]).fold(f64::MAX, f64::min);
        let last = streams.values().map(|times| *times.last().unwrap()).fold(0.0, f64::max);
        last - first
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(&self.0);
        }
    }
}
