//! `--packet-log`: every packet of every input as the engine was told of it, in lines that
//! `scripts/sim --replay` carries out again: `<engine's ns> packet <input> <bytes> ...`; and, as
//! remarks, what the engine made of it.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use changeover::{EngineConfig, Event, EventKind, Packet, Priority, StreamConfig, Tracks};

/// Lines of several threads, each whole; their times may be a little out of order.
#[derive(Debug)]
pub(crate) struct PacketLog {
    file: Mutex<BufWriter<File>>,
}

impl PacketLog {
    /// A new file, with what the engine was configured with.
    pub(crate) fn create(
        path: &Path,
        engine: &EngineConfig,
        stream: &StreamConfig,
    ) -> io::Result<Self> {
        let log = Self { file: Mutex::new(BufWriter::with_capacity(1 << 16, File::create(path)?)) };
        log.line(0, format_args!("config {}", serde_json::to_string(engine)?));
        log.line(0, format_args!("register {}", serde_json::to_string(stream)?));
        Ok(log)
    }

    /// A full disk ends the log, not the relay: what is missing shows in the file.
    pub(crate) fn line(&self, at_ns: u64, what: fmt::Arguments<'_>) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(file, "{at_ns} {what}");
    }

    pub(crate) fn packet(&self, at_ns: u64, input: Priority, packet: &Packet) {
        let Packet { bytes, frames, lost, tracks, keyframe, .. } = *packet;
        let key = if keyframe { " key" } else { "" };
        let letter = |track, letter| if tracks.contains(track) { letter } else { "" };
        let tracks = [(Tracks::VIDEO, "v"), (Tracks::AUDIO, "a"), (Tracks::OTHER, "o")]
            .map(|(t, l)| letter(t, l));
        let [v, a, o] = tracks;
        self.line(
            at_ns,
            format_args!(
                "packet {input} {bytes}{key} lost={lost} frames={frames} tracks={v}{a}{o}"
            ),
        );
    }

    /// What the engine said, as remarks; and all that was written reaches the file.
    pub(crate) fn finish(&self, events: &[Event]) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        for Event { at_ns, kind, .. } in events {
            let _ = match kind {
                EventKind::InputFailover { from, to, reason, .. } => {
                    writeln!(file, "# {at_ns} failover {from}>{to} {reason}")
                }
                kind => writeln!(file, "# {at_ns} {kind:?}"),
            };
        }
        let _ = file.flush();
    }
}
