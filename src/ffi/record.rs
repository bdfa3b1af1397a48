//! Recorders and packets: the packet plane as C calls it.

use std::ffi::c_char;

use super::boundary::{give, give_text, guard, list, message, one, panicked, text, wanted};
use super::changeover_engine;
use super::codes::{
    CHANGEOVER_INVALID_HANDLE, CHANGEOVER_NULL_ARGUMENT, CHANGEOVER_STALE, Refusal, note,
};
use super::slots::{self, Kind, Lent, Parts};
use super::tenant::{self, find};
use crate::cell::{Gate, Sum};
use crate::publish::PRECISE;
use crate::recorder::{count, note_gap, plain_verdict, watched};
use crate::sync::Ordering;
use crate::types::{Epoch, Packet, Tracks, Verdict};

/// `changeover_packet.tracks`: video.
pub const CHANGEOVER_TRACK_VIDEO: u8 = 1;
/// `changeover_packet.tracks`: audio.
pub const CHANGEOVER_TRACK_AUDIO: u8 = 2;
/// `changeover_packet.tracks`: something else: data, tables, padding.
pub const CHANGEOVER_TRACK_OTHER: u8 = 4;

const _: () = assert!(
    Tracks::VIDEO.bits() == CHANGEOVER_TRACK_VIDEO
        && Tracks::AUDIO.bits() == CHANGEOVER_TRACK_AUDIO
        && Tracks::OTHER.bits() == CHANGEOVER_TRACK_OTHER
);

/// What is recorded of one packet (or datagram: whatever you record at once). Everything but
/// `bytes` is optional: what you do not know stays 0, and the rules that need it are not judged.
/// `changeover_packet_of(bytes)` makes one. In a hot loop, make one before it, and set its fields
/// for each packet: compilers copy a struct that a function returns through memory, which takes
/// longer than recording it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_packet {
    /// Its size.
    pub bytes: u32,
    /// Video frames that begin in it.
    pub frames: u16,
    /// Packets that were lost right before it, by your own sequence or continuity check.
    pub lost: u16,
    /// `CHANGEOVER_TRACK_*`, added up. Other bits are ignored.
    pub tracks: u8,
    /// Not 0: a keyframe begins in it. A cut can fall on it if it carries video, or if nothing is
    /// said of its tracks.
    pub keyframe: u8,
    /// 0, or a later version may take it for something. (The struct never grows.)
    pub reserved: [u8; 6],
}

/// A producer of one input. 0 = none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_recorder {
    /// Not for you.
    pub raw: u64,
}

impl changeover_packet {
    fn of(bytes: u32) -> Self {
        Self { bytes, frames: 0, lost: 0, tracks: 0, keyframe: 0, reserved: [0; 6] }
    }

    #[inline]
    fn packet(&self) -> Packet {
        let mut packet = Packet::new(self.bytes as usize);
        packet.frames = self.frames;
        packet.lost = self.lost;
        packet.tracks = Tracks::from_bits(self.tracks);
        packet.keyframe = self.keyframe != 0;
        packet
    }
}

#[inline]
fn verdict(verdict: Verdict) -> i64 {
    match verdict {
        Verdict::Forward(cut) => i64::from(cut),
        Verdict::Drop => 0,
        Verdict::Stale => i64::from(CHANGEOVER_STALE),
    }
}

/// Opens the recorder of one producer thread for an input.
///
/// `epoch`: for a cold input the one of the driver's start (`changeover_driver_call.epoch`); for a
/// hot input 0: each opening begins a new epoch and makes the previous recorder stale.
///
/// An input that is degraded for silence keeps its epoch: go on with the same recorder, its packets
/// make the input eligible again. An epoch ends by a reported error, a stop, an edit of the
/// address, the input's removal, or another opening.
///
/// Any thread; takes short locks, not for the packet path. Close it with
/// `changeover_recorder_close`; it ends with its engine. On error `*out` is not written:
/// CHANGEOVER_UNKNOWN_STREAM, _UNKNOWN_INPUT, _STALE_EPOCH, _RECORDER_OPEN.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_recorder_open(
    engine: changeover_engine,
    stream: *const c_char,
    priority: i32,
    epoch: u64,
    out: *mut changeover_recorder,
) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let tenant = tenant::engine(engine.raw)?;
        let epoch = (epoch != 0).then(|| Epoch::new(epoch));
        let recorder = tenant.engine.recorder(text("stream", stream)?, priority, epoch)?;
        give("out", out, changeover_recorder { raw: tenant.lend(recorder)? })
    })
}

/// Opens another producer of the same epoch, for another thread. From the first one on, each
/// record reads one more cache line.
///
/// Any thread. On error `*out` is not written: CHANGEOVER_STALE_EPOCH when the epoch is over.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_recorder_sibling(
    recorder: changeover_recorder,
    out: *mut changeover_recorder,
) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let (tenant, parts) = find(recorder.raw, Kind::Recorder)?;
        let sibling = tenant.with_recorder(parts, |recorder| recorder.sibling())??;
        give("out", out, changeover_recorder { raw: tenant.lend(sibling)? })
    })
}

/// Closes a recorder. Packets under the handle answer CHANGEOVER_INVALID_HANDLE from now on; one
/// that is being recorded at this moment is at worst counted where nobody looks (its memory is
/// not used again for a second, and never freed).
///
/// Any thread; takes short locks. Closing twice answers CHANGEOVER_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_recorder_close(recorder: changeover_recorder) -> i32 {
    guard(|| {
        let (tenant, parts) = find(recorder.raw, Kind::Recorder)?;
        tenant.close_recorder(parts)
    })
}

/// The epoch that a recorder records for. On error `*out` is not written.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_recorder_epoch(recorder: changeover_recorder, out: *mut u64) -> i32 {
    guard(|| {
        let (tenant, parts) = find(recorder.raw, Kind::Recorder)?;
        give("out", out, tenant.with_recorder(parts, |recorder| recorder.epoch().get())?)
    })
}

/// The priority that the recorder's input had when it was opened. On error `*out` is not written.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_recorder_priority(
    recorder: changeover_recorder,
    out: *mut i32,
) -> i32 {
    guard(|| {
        let (tenant, parts) = find(recorder.raw, Kind::Recorder)?;
        give("out", out, tenant.with_recorder(parts, |recorder| recorder.priority())?)
    })
}

/// The id of the recorder's stream. Free it with `changeover_string_free`.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_recorder_stream(
    recorder: changeover_recorder,
    out: *mut *mut c_char,
) -> i32 {
    guard(|| {
        let (tenant, parts) = find(recorder.raw, Kind::Recorder)?;
        let id = tenant.with_recorder(parts, |recorder| recorder.stream().to_owned())?;
        give_text("out", out, id)
    })
}

/// Reports that the recorder's source has failed: its input is degraded at once, and its epoch
/// ends. `why` is for people and may be NULL.
///
/// Any thread; takes a short lock, waits for nobody.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_recorder_report_error(
    recorder: changeover_recorder,
    why: *const c_char,
) -> i32 {
    guard(|| {
        let (tenant, parts) = find(recorder.raw, Kind::Recorder)?;
        let why = message(why);
        // Outside the lock: on an engine driven by hand, callbacks run inside the report.
        let report = tenant.with_recorder(parts, |recorder| recorder.error_report(&why))?;
        report();
        Ok(())
    })
}

/// Records a packet, and answers whether to forward it.
///
/// Above 0: forward it. The number is that of the cut that put this input on the air; it only ever
/// grows, so a host with several producer threads drops at its output whatever carries a lower
/// number than the last one it wrote. (It fits 32 bits: `(uint32_t)answer` is the `cut` of
/// `changeover_timeline_map`.) 0: do not forward it; it was counted. Negative: a code;
/// nothing was counted. CHANGEOVER_STALE: the epoch is over, open a new recorder.
/// CHANGEOVER_INVALID_HANDLE: there is no such recorder. CHANGEOVER_NULL_ARGUMENT.
///
/// Wait-free and async-signal-safe: no lock, no allocation, no last error; a system call (one
/// wake-up) only with the first packet that the engine waits for. One thread at a time per
/// recorder: of two that use one at once nothing breaks, but counts are lost. It is stamped with
/// the engine's coarse time (a tick of 1 to 4 ms).
#[unsafe(no_mangle)]
pub extern "C" fn changeover_record(
    recorder: changeover_recorder,
    packet: *const changeover_packet,
) -> i64 {
    let Some(packet) = one(packet) else { return i64::from(CHANGEOVER_NULL_ARGUMENT) };
    if let Some(lent) = slots::lent(Parts::of(recorder.raw)) {
        // Acquire pairs with the exchange that granted: see `handover`.
        let flags = lent.cell.flags.load(Ordering::Acquire);
        if flags.is_plain() {
            // Relaxed: a time, and nothing hangs on it.
            let stamp = lent.cells.published.load(Ordering::Relaxed);
            let packet = packet.packet();
            count(lent.cell, packet.bytes, packet.pack_more(), stamp);
            return verdict(plain_verdict(flags));
        }
    }
    record_otherwise(recorder, packet)
}

/// The same for a packet of which only the size is known.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_record_bytes(recorder: changeover_recorder, bytes: u32) -> i64 {
    if let Some(lent) = slots::lent(Parts::of(recorder.raw)) {
        // As above.
        let flags = lent.cell.flags.load(Ordering::Acquire);
        if flags.is_plain() {
            let stamp = lent.cells.published.load(Ordering::Relaxed);
            count(lent.cell, bytes, 0, stamp);
            return verdict(plain_verdict(flags));
        }
    }
    record_bytes_otherwise(recorder, bytes)
}

/// All that is not plain, out of the way of what is: the calls above need no stack.
#[cold]
#[inline(never)]
extern "C" fn record_otherwise(recorder: changeover_recorder, packet: &changeover_packet) -> i64 {
    let parts = Parts::of(recorder.raw);
    let Some(lent) = slots::lent(parts) else { return i64::from(CHANGEOVER_INVALID_HANDLE) };
    let stamp = lent.cells.published.load(Ordering::Relaxed);
    record_aside(parts, &lent, Sum::of(packet.packet()), stamp)
}

#[cold]
#[inline(never)]
extern "C" fn record_bytes_otherwise(recorder: changeover_recorder, bytes: u32) -> i64 {
    record_otherwise(recorder, &changeover_packet::of(bytes))
}

/// Records several packets of one recorder at once: cheaper per packet than one by one.
///
/// With `verdicts` NULL they are one unit (the transport packets of a datagram, say): all are
/// counted, and the one answer holds for all; a keyframe cut falls on it if it can fall on any
/// of them. With `verdicts` (room for `count`) each gets its own verdict, as if recorded one by
/// one, and the answer is the last one's. `count` 0 answers 0 and does nothing.
///
/// As `changeover_record`: wait-free (in steps of packets), async-signal-safe, no last error. Also
/// answers CHANGEOVER_BAD_ARGUMENT for a count that no array can have.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_record_batch(
    recorder: changeover_recorder,
    packets: *const changeover_packet,
    count: usize,
    verdicts: *mut i64,
) -> i64 {
    let packets = match list("packets", packets, count) {
        Ok(packets) => packets,
        Err(refusal) => return i64::from(refusal.code()),
    };
    let parts = Parts::of(recorder.raw);
    let Some(lent) = slots::lent(parts) else { return i64::from(CHANGEOVER_INVALID_HANDLE) };
    if packets.is_empty() {
        return 0;
    }
    if !verdicts.is_null() {
        let mut last = 0;
        for (i, packet) in packets.iter().enumerate() {
            last = changeover_record(recorder, packet);
            let _ = give("verdicts", verdicts.wrapping_add(i), last);
        }
        return last;
    }
    let stamp = lent.cells.published.load(Ordering::Relaxed);
    let mut sum = Sum::default();
    for packet in packets {
        sum.add(packet.packet());
    }
    record_aside(parts, &lent, sum, stamp)
}

/// As `changeover_record`, with a clock reading of its own instead of the coarse time (about 10 ns
/// where the CPU's counter is usable, and entering the engine). Silence counts from exactly then, not
/// from the next tick; where every input is recorded so, the engine ticks every 16 ms only.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_record_precise(
    recorder: changeover_recorder,
    packet: *const changeover_packet,
) -> i64 {
    stamped(recorder, packet, |now, _| now)
}

/// As `changeover_record`, with your own time, in nanoseconds of `changeover_now_ns`. It is
/// clamped to [the previous packet's time, now].
#[unsafe(no_mangle)]
pub extern "C" fn changeover_record_at(
    recorder: changeover_recorder,
    packet: *const changeover_packet,
    at_ns: u64,
) -> i64 {
    stamped(recorder, packet, |now, previous| at_ns.min(now).max(previous))
}

fn stamped(
    recorder: changeover_recorder,
    packet: *const changeover_packet,
    stamp: impl FnOnce(u64, u64) -> u64,
) -> i64 {
    let Some(packet) = one(packet) else { return i64::from(CHANGEOVER_NULL_ARGUMENT) };
    let parts = Parts::of(recorder.raw);
    let inside = parts.is(Kind::Recorder).then(|| slots::enter(parts)).flatten();
    let (Some(inside), Some(lent)) = (inside, slots::lent(parts)) else {
        return i64::from(CHANGEOVER_INVALID_HANDLE);
    };
    let previous = lent.cell.last.load(Ordering::Relaxed) & !PRECISE;
    let stamp = stamp(inside.engine.core().clock.now(), previous) | PRECISE;
    drop(inside);
    record_aside(parts, &lent, Sum::of(packet.packet()), stamp)
}

/// Records whatever the word says: it may be plain, or stand on the line of siblings; gaps may be
/// wanted, somebody may wait for this packet, or the epoch be over.
fn record_aside(parts: Parts, lent: &Lent, sum: Sum, stamp: u64) -> i64 {
    // Acquire pairs with the exchange that granted: see `handover`.
    let flags = lent.cell.flags.load(Ordering::Acquire);
    let flags = match flags.gate() {
        // The recorder owns the line, so it is there as long as the cell is.
        Gate::Moved => lent.cells.get(flags.cut()).flags.load(Ordering::Acquire),
        _ => flags,
    };
    if flags.learning(false).is_plain() {
        if flags.learns() {
            note_gap(lent.cell, stamp);
        }
        sum.count(lent.cell, stamp);
        return verdict(plain_verdict(flags));
    }
    let record = || {
        let inside = slots::enter(parts)?;
        // Inside, a mark that is valid is this engine's: an engine that moves out takes its
        // loans back before the next one moves in.
        slots::lent(parts)?;
        Some(watched(inside.engine.core(), parts.index, sum, stamp))
    };
    // On an engine driven by hand the monitor runs in here.
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(record)) {
        Ok(Some(answer)) => verdict(answer),
        Ok(None) => i64::from(CHANGEOVER_INVALID_HANDLE),
        Err(panic) => i64::from(panicked(&*panic)),
    }
}

/// Records one packet by id and priority: any thread, several at once, no recorder needed.
///
/// Answers as `changeover_record`; CHANGEOVER_STALE, with no other effect, for an unknown id or
/// priority. It carries no size, so it counts packets only, and packets of a dead connection
/// cannot be told from those of a live one. It counts while the input has an open epoch (a hot
/// input without a recorder gets one from its first packet).
///
/// Lock-free (but for the first such packet of an input, which takes the stream's lock for a moment),
/// and some 30 ns slower than `changeover_record`. NOT async-signal-safe. On error
/// (CHANGEOVER_INVALID_HANDLE, _NULL_ARGUMENT, _BAD_UTF8) the last error is written.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_record_packet(
    engine: changeover_engine,
    stream: *const c_char,
    priority: i32,
) -> i64 {
    let record = || {
        let parts = Parts::of(engine.raw);
        let inside = parts.is(Kind::Engine).then(|| slots::enter(parts)).flatten();
        let inside = inside.filter(|inside| inside.handle == parts);
        let inside = inside.ok_or(Refusal::InvalidHandle)?;
        Ok::<_, Refusal>(inside.engine.record_packet(text("stream", stream)?, priority))
    };
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(record)) {
        Ok(Ok(answer)) => verdict(answer),
        Ok(Err(refusal)) => i64::from(note(&refusal)),
        Err(panic) => i64::from(panicked(&*panic)),
    }
}
