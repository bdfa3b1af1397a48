//! One continuous output timeline across cuts, for C.

use super::boundary::{give_sized, guard, guard_or, opt_read, room, sized, wanted};
use super::codes::Refusal;
use super::config::flag;
use super::slots::Kind;
use super::tenant::{self, find};
use super::{boundary, changeover_engine};
use crate::sync::{Arc, Mutex};
use crate::timeline::{Mapped, Stamps, Timebase, Timeline};

/// Send the packet with the times in `*out`.
pub const CHANGEOVER_MAPPED_AT: i32 = 0;
/// It has no time. Nothing was changed; send it or not.
pub const CHANGEOVER_MAPPED_UNTIMED: i32 = 1;
/// Its time on the output has been filled already: drop it.
pub const CHANGEOVER_MAPPED_OVERLAP: i32 = 2;
/// It belongs to an older cut: drop it.
pub const CHANGEOVER_MAPPED_STALE: i32 = 3;

/// What one tick lasts: `num / den` seconds (FFmpeg's AVRational), and the width of the counter. A
/// plain value: it never grows.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_timebase {
    /// 1 or more.
    pub num: i32,
    /// 1 or more.
    pub den: i32,
    /// Width of a counter that wraps, in bits, 8 to 62 (MPEG-TS 33, RTP 32); 0 = it never wraps
    /// (what FFmpeg's demuxers hand out).
    pub wrap_bits: u32,
}

/// A packet's times, in ticks.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_stamps {
    /// sizeof(changeover_stamps).
    pub size: usize,
    /// When it is decoded, or CHANGEOVER_NO_TIMESTAMP.
    pub dts: i64,
    /// When it is shown, or CHANGEOVER_NO_TIMESTAMP.
    pub pts: i64,
    /// How long it lasts; 0 = not known.
    pub duration: i64,
}

/// How a timeline is to be. Make it with `changeover_timeline_options_init()`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_timeline_options {
    /// sizeof(changeover_timeline_options).
    pub size: usize,
    /// The output's timebase, for all tracks; `wrap_bits` is not applied: output times go on
    /// rising. All 0 = 1/90000.
    pub output: changeover_timebase,
    /// 1: the very first packet goes to `start_dts` (0: to its own time).
    pub has_start: u32,
    /// In output ticks; at most 2^61 from 0.
    pub start_dts: i64,
    /// A longer leap of an input's clock, ms, is met like a cut. 0 = default 10,000.
    pub max_jump_ms: u32,
    /// 1: every track continues one frame behind its last DTS, even if a frame is then shown at
    /// the time of one of the old input, or before it (B-frames).
    pub by_dts_alone: u32,
}

sized!(changeover_stamps: 32, changeover_timeline_options: 40);

/// A timeline. 0 = none.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct changeover_timeline {
    /// Not for you.
    pub raw: u64,
}

fn timebase(base: changeover_timebase) -> Result<Timebase, Refusal> {
    let made = Timebase::new(base.num, base.den).and_then(|made| match base.wrap_bits {
        0 => Ok(made),
        bits => made.wrapping(bits),
    });
    made.map_err(|bad| Refusal::BadTimebase(bad.to_string()))
}

fn timeline(raw: u64) -> Result<Arc<Mutex<Timeline>>, Refusal> {
    let (tenant, parts) = find(raw, Kind::Timeline)?;
    tenant.timelines.get(parts)
}

/// Opens a timeline: it maps the times of many inputs, each on a clock of its own, onto one that
/// goes on without a gap or a step back. One per output. `options` NULL = every default.
///
/// At a cut the new input's first packet continues its track one frame behind the old one's last;
/// all tracks get the same offset, so that the new input's A/V offset is kept to the tick; DTS
/// strictly rises per track. Begin an input's turn with its video keyframe.
///
/// Any thread. Close it with `changeover_timeline_close`; it ends with its engine.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_timeline_open(
    engine: changeover_engine,
    options: *const changeover_timeline_options,
    out: *mut changeover_timeline,
) -> i32 {
    guard(|| {
        wanted("out", out)?;
        let tenant = tenant::engine(engine.raw)?;
        let options = opt_read(options)?;
        let given = options.map(|o| o.output).filter(|o| (o.num, o.den, o.wrap_bits) != (0, 0, 0));
        let mut made = Timeline::new(given.map_or(Ok(Timebase::MPEG_TS), timebase)?);
        if let Some(o) = options {
            if flag("has_start", o.has_start)? {
                made = made.start_at(o.start_dts);
            }
            if o.max_jump_ms > 0 {
                made = made.max_jump_ms(o.max_jump_ms);
            }
            if flag("by_dts_alone", o.by_dts_alone)? {
                made = made.by_dts_alone();
            }
        }
        let raw = tenant.timelines.put(Arc::new(Mutex::new(made)))?;
        boundary::give("out", out, changeover_timeline { raw })
    })
}

/// Closes a timeline. Any thread. Closing twice answers CHANGEOVER_INVALID_HANDLE.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_timeline_close(timeline: changeover_timeline) -> i32 {
    guard(|| {
        let (tenant, parts) = find(timeline.raw, Kind::Timeline)?;
        tenant.timelines.take(parts).map(drop)
    })
}

/// Maps one packet of output track `track` (any number: the output stream's index, the PID), whose
/// times are in ticks of `base`, and that was let through under `cut` (the answer of
/// `changeover_record`). A number above all before it begins a new turn. Call it in the order in
/// which packets are sent; what it answers is taken as sent.
///
/// Answers `CHANGEOVER_MAPPED_*`, or a code. `*out` is written for CHANGEOVER_MAPPED_AT only, in
/// output ticks; it may be the same struct as `stamps`; its `size` must be set. The DTS is always
/// there, the PTS if there was one that a clock can show.
///
/// Any thread; takes a short lock of its own.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_timeline_map(
    timeline: changeover_timeline,
    cut: u32,
    track: u32,
    base: changeover_timebase,
    stamps: *const changeover_stamps,
    out: *mut changeover_stamps,
) -> i32 {
    guard_or(|| {
        room(out)?;
        let stamps = boundary::read(stamps)?;
        let given = Stamps { dts: stamps.dts, pts: stamps.pts, duration: stamps.duration };
        let base = timebase(base)?;
        let mapped = self::timeline(timeline.raw)?.lock().map(cut, track, base, given);
        match mapped {
            Mapped::At(at) => {
                let size = size_of::<changeover_stamps>();
                let (dts, pts, duration) = (at.dts, at.pts, at.duration);
                give_sized(out, &changeover_stamps { size, dts, pts, duration })?;
                Ok(CHANGEOVER_MAPPED_AT)
            }
            Mapped::Untimed => Ok(CHANGEOVER_MAPPED_UNTIMED),
            Mapped::Overlap => Ok(CHANGEOVER_MAPPED_OVERLAP),
            Mapped::Stale => Ok(CHANGEOVER_MAPPED_STALE),
        }
    })
}

/// Maps a program clock reference of the input that is on the air under `cut`: with `is_27mhz` 1
/// in 27 MHz ticks (base * 300 + extension), with 0 its 90 kHz base alone; back in the same,
/// wrapped. 1: `*out` is written; 0: do not send it (the cut is another one, no packet with a
/// time has come since, or the clock is about to leap); negative: a code.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_timeline_pcr(
    timeline: changeover_timeline,
    cut: u32,
    is_27mhz: u32,
    value: i64,
    out: *mut i64,
) -> i32 {
    guard_or(|| {
        wanted("out", out)?;
        let base = if flag("is_27mhz", is_27mhz)? { Timebase::PCR } else { Timebase::MPEG_TS };
        let mapped = self::timeline(timeline.raw)?.lock().pcr(cut, base, value);
        match mapped {
            Some(mapped) => boundary::give("out", out, mapped).map(|()| 1),
            None => Ok(0),
        }
    })
}

/// The next packet begins a new turn, as after a cut, under the same number: you know that the
/// input has connected anew. Any thread.
#[unsafe(no_mangle)]
pub extern "C" fn changeover_timeline_restart(timeline: changeover_timeline) -> i32 {
    guard(|| {
        self::timeline(timeline.raw)?.lock().restart();
        Ok(())
    })
}
