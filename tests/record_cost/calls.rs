//! The calls whose cost is guarded, each in a function of its own that is never inlined: what
//! tools count and look into has a name and an end.

use std::ffi::{CStr, c_char};
use std::time::{Duration, Instant};

use changeover::{
    Engine, EngineConfig, HandEngine, InputConfig, Packet, Recorder, StreamConfig, Tracks,
};

/// `changeover_packet`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct CPacket {
    bytes: u32,
    frames: u16,
    lost: u16,
    tracks: u8,
    keyframe: u8,
    reserved: [u8; 6],
}

/// `changeover_engine_options`: what the size says, four pointers and a time, four numbers.
#[repr(C)]
struct COptions {
    size: usize,
    unused: [usize; 5],
    driver_workers: u32,
    max_stuck_calls: u32,
    hand_driven: u32,
    reserved: u32,
}

// Handles are structs of one u64, which this ABI passes as the number.
unsafe extern "C" {
    fn changeover_engine_create(options: *const COptions, out: *mut u64) -> i32;
    fn changeover_register_json(engine: u64, stream: *const c_char) -> i32;
    fn changeover_hand_advance(engine: u64, by_ns: u64) -> i32;
    fn changeover_recorder_open(
        engine: u64,
        stream: *const c_char,
        priority: i32,
        epoch: u64,
        out: *mut u64,
    ) -> i32;
    fn changeover_record(recorder: u64, packet: *const CPacket) -> i64;
    fn changeover_record_bytes(recorder: u64, bytes: u32) -> i64;
    fn changeover_record_batch(
        recorder: u64,
        packets: *const CPacket,
        count: usize,
        verdicts: *mut i64,
    ) -> i64;
}

/// One call each: what `tests/record_cost` counts instructions in.
pub(crate) mod one {
    use changeover::{Engine, Packet, Recorder, Verdict};

    use super::CPacket;

    #[inline(never)]
    pub(crate) fn record(recorder: &mut Recorder, bytes: u32) -> Verdict {
        recorder.record(Packet::new(bytes as usize))
    }

    #[inline(never)]
    pub(crate) fn record_fields(recorder: &mut Recorder, packet: &Packet) -> Verdict {
        recorder.record(*packet)
    }

    #[inline(never)]
    pub(crate) fn record_precise(recorder: &mut Recorder, bytes: u32) -> Verdict {
        recorder.record_precise(Packet::new(bytes as usize))
    }

    #[inline(never)]
    pub(crate) fn record_packet(engine: &Engine, stream: &str) -> Verdict {
        engine.record_packet(stream, 0)
    }

    #[inline(never)]
    pub(crate) fn c_record_bytes(recorder: u64, bytes: u32) -> i64 {
        // SAFETY: any number is a handle that the call may be given.
        unsafe { super::changeover_record_bytes(recorder, bytes) }
    }

    #[inline(never)]
    pub(crate) fn c_record(recorder: u64, packet: &CPacket) -> i64 {
        // SAFETY: the pointer is to a packet of the header's layout.
        unsafe { super::changeover_record(recorder, packet) }
    }

    #[inline(never)]
    pub(crate) fn c_record_batch(recorder: u64, packets: &[CPacket]) -> i64 {
        let (at, count) = (packets.as_ptr(), packets.len());
        // SAFETY: pointer and count are those of a slice; no verdicts are asked for.
        unsafe { super::changeover_record_batch(recorder, at, count, std::ptr::null_mut()) }
    }
}

/// A way to record packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    /// `Recorder::record` of a packet of which only the size is known.
    Record,
    /// The same on the input that is not on the air.
    RecordStandby,
    /// All that a packet can say: tracks, frames, keyframes, losses.
    RecordFields,
    RecordPrecise,
    /// By id.
    RecordPacket,
    CRecordBytes,
    CRecordFields,
    CRecordBatch,
}

pub(crate) const ALL: [Call; 8] = [
    Call::Record,
    Call::RecordStandby,
    Call::RecordFields,
    Call::RecordPrecise,
    Call::RecordPacket,
    Call::CRecordBytes,
    Call::CRecordFields,
    Call::CRecordBatch,
];

/// The transport packets of a datagram.
const BATCH: usize = 7;

impl Call {
    /// The function of [`one`] that makes it.
    pub(crate) fn function(self) -> &'static str {
        match self {
            Self::Record | Self::RecordStandby => "record",
            Self::RecordFields => "record_fields",
            Self::RecordPrecise => "record_precise",
            Self::RecordPacket => "record_packet",
            Self::CRecordBytes => "c_record_bytes",
            Self::CRecordFields => "c_record",
            Self::CRecordBatch => "c_record_batch",
        }
    }
}

enum Driven {
    /// No thread but the caller's: what tools count is the caller's alone.
    ByHand(HandEngine),
    ByTheClock(Engine),
}

/// Engines with streams on the air, one for Rust and one for C, and a producer of each kind.
pub(crate) struct Feeds {
    driven: Driven,
    c_engine: u64,
    main: Recorder,
    standby: Recorder,
    c_main: u64,
    fields: Vec<Packet>,
    c_fields: Vec<CPacket>,
    turn: usize,
}

/// Packet timeout: longer than anything waits here, on a machine however busy. An input that was
/// silent meanwhile would be waited for, and its next packet another one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100);

/// The stream of the Rust recorders.
const STREAM: &str = "news";
const STREAM_BY_ID: &str = "weather";
const C_STREAM: &CStr = c"sport";

impl Feeds {
    pub(crate) fn by_hand() -> Self {
        Self::new(Driven::ByHand(HandEngine::new_for_testing(EngineConfig::default())))
    }

    pub(crate) fn by_the_clock() -> Self {
        Self::new(Driven::ByTheClock(Engine::builder().build().expect("builds")))
    }

    fn new(driven: Driven) -> Self {
        let by_hand = matches!(driven, Driven::ByHand(_));
        let engine = match &driven {
            Driven::ByHand(hand) => hand,
            Driven::ByTheClock(engine) => engine,
        };
        for id in [STREAM, STREAM_BY_ID] {
            let stream = StreamConfig::new(id)
                .with_packet_timeout(PATIENCE)
                .input(InputConfig::hot(0, "udp://main"))
                .input(InputConfig::hot(1, "udp://backup"));
            engine.register(stream).expect("registers");
        }
        let open = |priority| engine.recorder(STREAM, priority, None).expect("opens");
        let (main, standby) = (open(0), open(1));
        let (c_engine, c_main) = c_feed(by_hand);
        let video = Packet::new(1316).tracks(Tracks::VIDEO);
        let fields = vec![
            video.frames(1).keyframe(true),
            video,
            Packet::new(188).tracks(Tracks::AUDIO),
            video.frames(1),
            video.lost(2),
            video,
            Packet::new(188).tracks(Tracks::AUDIO).lost(1),
            video.frames(2),
        ];
        let c_fields = fields.iter().map(|packet| {
            let tracks = [(Tracks::VIDEO, 1), (Tracks::AUDIO, 2)];
            let carried = tracks.iter().filter(|(track, _)| packet.tracks.contains(*track));
            let tracks = carried.map(|(_, bit)| bit).sum();
            let keyframe = u8::from(packet.keyframe);
            let Packet { bytes, frames, lost, .. } = *packet;
            CPacket { bytes, frames, lost, tracks, keyframe, ..Default::default() }
        });
        let c_fields = c_fields.collect();
        let mut feeds = Self { driven, c_engine, main, standby, c_main, fields, c_fields, turn: 0 };
        feeds.settle();
        feeds
    }

    fn engine(&self) -> &Engine {
        match &self.driven {
            Driven::ByHand(hand) => hand,
            Driven::ByTheClock(engine) => engine,
        }
    }

    /// Lets the engines see every input deliver, until each is on the air and nobody waits for
    /// its next packet; and makes each thread's first call, which may set something up for good.
    fn settle(&mut self) {
        for _ in 0..20 {
            self.touch();
            let by = Duration::from_millis(5);
            match &self.driven {
                Driven::ByHand(hand) => {
                    hand.advance(by);
                    // SAFETY: any number is a handle that the call may be given.
                    assert_eq!(unsafe { changeover_hand_advance(self.c_engine, 5_000_000) }, 0);
                }
                Driven::ByTheClock(_) => std::thread::sleep(by),
            }
        }
        let until = Instant::now() + Duration::from_secs(30);
        while ALL.iter().any(|call| self.make(*call) != (*call != Call::RecordStandby)) {
            assert!(Instant::now() < until, "a call's verdict is not what it should be");
            std::thread::sleep(Duration::from_millis(1));
        }
        self.touch();
    }

    fn touch(&mut self) {
        for call in ALL {
            self.make(call);
        }
    }

    /// Makes one call, and answers whether its packets go out.
    #[inline]
    pub(crate) fn make(&mut self, call: Call) -> bool {
        self.turn = (self.turn + 1) % self.fields.len();
        match call {
            Call::Record => one::record(&mut self.main, 1316).is_forward(),
            Call::RecordStandby => one::record(&mut self.standby, 1316).is_forward(),
            Call::RecordFields => {
                one::record_fields(&mut self.main, &self.fields[self.turn]).is_forward()
            }
            Call::RecordPrecise => one::record_precise(&mut self.main, 1316).is_forward(),
            Call::RecordPacket => one::record_packet(self.engine(), STREAM_BY_ID).is_forward(),
            Call::CRecordBytes => one::c_record_bytes(self.c_main, 1316) > 0,
            Call::CRecordFields => one::c_record(self.c_main, &self.c_fields[self.turn]) > 0,
            Call::CRecordBatch => one::c_record_batch(self.c_main, &self.c_fields[..BATCH]) > 0,
        }
    }
}

/// A C host's engine and its stream's first recorder. They last as long as the process.
fn c_feed(by_hand: bool) -> (u64, u64) {
    let options = COptions {
        size: size_of::<COptions>(),
        unused: [0; 5],
        driver_workers: 0,
        max_stuck_calls: 0,
        hand_driven: by_hand.into(),
        reserved: 0,
    };
    let stream = c"{\"id\": \"sport\", \"packet_timeout_ms\": 100000, \"inputs\": [\
        {\"priority\": 0, \"hot\": true, \"address\": \"udp://main\"},\
        {\"priority\": 1, \"hot\": true, \"address\": \"udp://backup\"}]}";
    let (mut engine, mut recorder) = (0, 0);
    // SAFETY: the options have the header's layout and say their size; texts end with a nul;
    // results go to numbers of this frame.
    unsafe {
        assert_eq!(changeover_engine_create(&raw const options, &raw mut engine), 0);
        assert_eq!(changeover_register_json(engine, stream.as_ptr()), 0);
        let out = &raw mut recorder;
        assert_eq!(changeover_recorder_open(engine, C_STREAM.as_ptr(), 0, 0, out), 0);
    }
    (engine, recorder)
}
