//! What one packet costs the host: the engine's two packet calls beside the bare store below which
//! nothing can go, and beside the seed's design (one map under a lock, one lock per stream).
//!
//! Two measurements of the same functions: criterion's own, and a table of paired ratios. In the
//! table every round measures every variant once, in rotating order, so that what disturbs the
//! machine disturbs all of them; a ratio is the median of the per-round ratios to the floor.
//! `--quick` is one launch with few rounds; the full form takes the median of five processes,
//! because the address layout of one process alone can double its numbers. See README.md here.

use std::collections::HashMap;
use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, RwLock};
use std::time::{Duration, Instant};

use changeover::{Engine, EngineConfig, InputConfig, Packet, Recorder, StreamConfig, Tracks};
use criterion::{Criterion, Throughput};

/// Streams, with two inputs each. The budgets were set at 10, 1,000 and 100,000.
const SIZES: [usize; 4] = [1, 10, 1_000, 100_000];
const LAUNCHES: usize = 5;
/// Set in the processes that the full form starts.
const CHILD: &str = "HOT_PATH_CHILD";
const SAMPLE: Duration = Duration::from_millis(2);
const PACKET: Packet = Packet::new(1316);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variant {
    /// F: a relaxed store of a time that the caller holds, through a pointer.
    Floor,
    /// The same with pointers that lie as far apart as the recorders do: what the handles of very
    /// many inputs cost to read. A producer thread has its own at hand.
    FloorSpread,
    Record,
    /// The same with all that a packet can say: tracks, frames, a keyframe now and then, losses.
    RecordFull,
    RecordById,
    Seed,
    /// What a precise time costs alone: one clock read, stored.
    ClockAlone,
    RecordPrecise,
}

impl Variant {
    const ALL: [Self; 8] = [
        Self::Floor,
        Self::FloorSpread,
        Self::Record,
        Self::RecordFull,
        Self::RecordById,
        Self::Seed,
        Self::ClockAlone,
        Self::RecordPrecise,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Floor => "F: bare store",
            Self::FloorSpread => "F, pointers spread",
            Self::Record => "Recorder::record",
            Self::RecordFull => "record, all fields",
            Self::RecordById => "record_packet (by id)",
            Self::Seed => "the seed's design",
            Self::ClockAlone => "now_ns + store",
            Self::RecordPrecise => "record_precise",
        }
    }

    /// The ratio to F that shared/performance.md allows.
    const fn budget(self, streams: usize) -> Option<f64> {
        match (self, streams) {
            (Self::Record | Self::RecordFull, 10) => Some(4.0),
            (Self::Record | Self::RecordFull, 1_000) => Some(3.5),
            (Self::Record | Self::RecordFull, 100_000) => Some(6.0),
            (Self::RecordById, 1_000) => Some(45.0),
            _ => None,
        }
    }
}

/// A cell as the floor writes it: alone on its line, as the engine's are.
#[derive(Default)]
#[repr(align(64))]
struct Line(AtomicU64);

/// A pointer that takes as much room as a recorder.
struct Spread {
    cell: &'static AtomicU64,
    _rest: [u8; SPREAD],
}

const SPREAD: usize = size_of::<Recorder>() - size_of::<&AtomicU64>();

/// The seed's `RecordPacket`: read lock of the map, look-up by string, lock of the stream, clock,
/// time and status. The map's lock is held over the stream's: cheaper here than counting a
/// reference, so in the seed's favour.
#[derive(Default)]
struct Seed {
    streams: RwLock<HashMap<String, Mutex<HashMap<i32, SeedInput>>>>,
}

struct SeedInput {
    last_packet_at: Instant,
    delivering: bool,
    active: bool,
}

impl Seed {
    fn record_packet(&self, id: &str, priority: i32) -> bool {
        let streams = self.streams.read().expect("no writer panics");
        let Some(stream) = streams.get(id) else { return false };
        let mut inputs = stream.lock().expect("no holder panics");
        let Some(input) = inputs.get_mut(&priority) else { return false };
        input.last_packet_at = Instant::now();
        input.delivering = true;
        input.active
    }
}

/// Everything of one size, each variant over the same number of inputs in a random order.
struct World {
    streams: usize,
    engine: Engine,
    /// At least some thousand long, so that its loop costs nothing even at two cells.
    floor: Vec<&'static AtomicU64>,
    spread: Vec<Spread>,
    recorders: Vec<Recorder>,
    keys: Vec<(String, i32)>,
    seed: Seed,
    /// Where each variant goes on.
    cursors: [usize; Variant::ALL.len()],
    /// Packets given to the engine so far.
    recorded: u64,
}

impl World {
    fn new(streams: usize) -> Self {
        // Nothing goes silent while another variant has its turn.
        let config = EngineConfig { packet_timeout_ms: 3_600_000, ..EngineConfig::default() };
        let engine = Engine::builder().config(config).build().expect("the engine builds");
        let seed = Seed::default();
        for n in 0..streams {
            let inputs =
                [0, 1].map(|priority| InputConfig::hot(priority, format!("{n}/{priority}")));
            let config = StreamConfig { inputs: inputs.into(), ..StreamConfig::new(id_of(n)) };
            engine.register(config).expect("registers");
            let inputs = [0, 1].map(|priority| {
                let input = SeedInput {
                    last_packet_at: Instant::now(),
                    delivering: false,
                    active: priority == 0,
                };
                (priority, input)
            });
            seed.streams.write().unwrap().insert(id_of(n), Mutex::new(inputs.into()));
        }
        // The caller's own things (pointers, recorders, keys) lie in the order of use; what they
        // lead to does not.
        let order = shuffled(2 * streams, 1);
        let lines: &'static [Line] =
            Box::leak((0..2 * streams).map(|_| Line::default()).collect::<Box<[Line]>>());
        let repeats = 4096usize.div_ceil(order.len());
        let floor = (0..repeats).flat_map(|_| &order).map(|&n| &lines[n].0).collect();
        let spread = |&n: &usize| Spread { cell: &lines[n].0, _rest: [0; SPREAD] };
        let spread = order.iter().map(spread).collect();
        let open = |&n: &usize| {
            engine.recorder(&id_of(n / 2), (n % 2) as i32, None).expect("a hot input's recorder")
        };
        let mut recorders: Vec<_> = shuffled(2 * streams, 2).iter().map(open).collect();
        for (at, &other) in shuffled(2 * streams, 3).iter().enumerate() {
            recorders.swap(at, other);
        }
        let keys = order.iter().map(|&n| (id_of(n / 2), (n % 2) as i32)).collect();
        let cursors = [0; Variant::ALL.len()];
        Self { streams, engine, floor, spread, recorders, keys, seed, cursors, recorded: 0 }
    }

    /// Runs `ops` calls of one variant; answers how many of them said *forward*.
    fn run(&mut self, variant: Variant, ops: usize) -> usize {
        let Self { engine, floor, spread, recorders, keys, seed, .. } = self;
        let cursor = &mut self.cursors[variant as usize];
        let ours = [Variant::Record, Variant::RecordFull, Variant::RecordById];
        if ours.contains(&variant) || variant == Variant::RecordPrecise {
            self.recorded += ops as u64;
        }
        match variant {
            Variant::Floor => {
                let now = black_box(engine.now_ns());
                over(floor, cursor, ops, |cell| {
                    cell.store(now, Relaxed);
                    false
                })
            }
            Variant::FloorSpread => {
                let now = black_box(engine.now_ns());
                over(spread, cursor, ops, |pointer| {
                    pointer.cell.store(now, Relaxed);
                    false
                })
            }
            Variant::ClockAlone => over(floor, cursor, ops, |cell| {
                cell.store(engine.now_ns(), Relaxed);
                false
            }),
            Variant::Record => over(recorders, cursor, ops, |r| r.record(PACKET).is_forward()),
            Variant::RecordFull => {
                // Which packet: by the recorder's place. A count would be a chain through memory
                // that is longer than the call.
                let packets = black_box(full_packets());
                over(recorders, cursor, ops, |r| {
                    let n = std::ptr::from_mut(r).addr() / size_of::<Recorder>();
                    r.record(packets[n % 64]).is_forward()
                })
            }
            Variant::RecordPrecise => {
                over(recorders, cursor, ops, |r| r.record_precise(PACKET).is_forward())
            }
            Variant::RecordById => over(keys, cursor, ops, |(id, priority)| {
                engine.record_packet(id, *priority).is_forward()
            }),
            Variant::Seed => {
                over(keys, cursor, ops, |(id, priority)| seed.record_packet(id, *priority))
            }
        }
    }

    /// Every variant does what it is named for: all streams on the air on one input of two, each
    /// call's verdict right, no packet lost.
    fn self_check(&mut self) {
        let began = Instant::now();
        let pass = 2 * self.streams;
        while self.run(Variant::Record, pass) != self.streams {
            assert!(began.elapsed() < Duration::from_secs(60), "not every stream got on the air");
            std::thread::sleep(Duration::from_millis(5));
        }
        use Variant::{RecordById, RecordFull, RecordPrecise, Seed};
        for variant in [RecordFull, RecordById, RecordPrecise, Seed] {
            let forwards = self.run(variant, pass);
            assert_eq!(forwards, self.streams, "{}: forwards in one pass", variant.name());
        }
        self.run(Variant::Floor, self.floor.len());
        assert!(self.floor.iter().all(|cell| cell.load(Relaxed) > 0), "a cell was left out");
        self.check_counts();
    }

    /// What the engine counted is what it was given, as soon as the monitor has heard of it.
    fn check_counts(&self) {
        let status = |n| self.engine.runtime_status(&id_of(n)).expect("registered");
        let packets = |n| status(n).inputs.iter().map(|input| input.packets).sum::<u64>();
        let began = Instant::now();
        loop {
            let counted: u64 = (0..self.streams).map(packets).sum();
            if counted == self.recorded {
                return;
            }
            let recorded = self.recorded;
            assert!(began.elapsed() < Duration::from_secs(10), "{counted} of {recorded} counted");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Nanoseconds per call of one sample; one that the scheduler interrupted is taken again.
    fn sample(&mut self, variant: Variant, ops: usize) -> f64 {
        let mut ns = 0.0;
        for _ in 0..5 {
            let preempted = involuntary_switches();
            let began = Instant::now();
            black_box(self.run(variant, ops));
            ns = began.elapsed().as_nanos() as f64 / ops as f64;
            if involuntary_switches() == preempted {
                break;
            }
        }
        ns
    }
}

/// Goes round `items` from the cursor for `ops` calls; answers how many were true. Once for each
/// variant, and not inlined into one big function, so that each loop has the registers it needs.
#[inline(never)]
fn over<T>(
    items: &mut [T],
    cursor: &mut usize,
    ops: usize,
    mut call: impl FnMut(&mut T) -> bool,
) -> usize {
    let (mut left, mut hits) = (ops, 0);
    while left > 0 {
        let run = left.min(items.len() - *cursor);
        for item in &mut items[*cursor..*cursor + run] {
            hits += usize::from(call(item));
        }
        left -= run;
        // No division: it would cost more than a call where there are only two cells.
        *cursor += run;
        if *cursor == items.len() {
            *cursor = 0;
        }
    }
    hits
}

/// Video, but for one in eight that is audio; a frame in every fourth, a keyframe and a loss in one
/// of 64.
fn full_packets() -> [Packet; 64] {
    std::array::from_fn(|n| {
        let tracks = if n % 8 == 7 { Tracks::AUDIO } else { Tracks::VIDEO };
        let packet = Packet::new(1316).tracks(tracks).frames(u16::from(n % 4 == 0));
        packet.keyframe(n == 0).lost(u16::from(n == 32))
    })
}

fn id_of(n: usize) -> String {
    format!("channel-{n:08}")
}

/// 0..len in an order that is the same in every run.
fn shuffled(len: usize, seed: u64) -> Vec<usize> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut order: Vec<usize> = (0..len).collect();
    for at in (1..len).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        order.swap(at, (state % (at as u64 + 1)) as usize);
    }
    order
}

/// How often the scheduler took this thread off its core; 0 where the system does not tell.
fn involuntary_switches() -> u64 {
    std::fs::read_to_string("/proc/thread-self/status")
        .ok()
        .and_then(|status| {
            let line = status.lines().find(|line| line.starts_with("nonvoluntary"))?;
            line.split_whitespace().nth(1)?.parse().ok()
        })
        .unwrap_or(0)
}

/// One line of the table: a variant at a size.
#[derive(Clone, Copy, Debug)]
struct Row {
    streams: usize,
    variant: Variant,
    /// ns median, p10, p90; ratio to F.
    values: [f64; 4],
}

impl Row {
    fn to_line(self) -> String {
        let [median, p10, p90, ratio] = self.values;
        format!("row {} {} {median} {p10} {p90} {ratio}", self.streams, self.variant as usize)
    }

    fn from_line(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("row ")?.split(' ');
        let streams = words.next()?.parse().ok()?;
        let variant = Variant::ALL[words.next()?.parse::<usize>().ok()?];
        let values: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
        Some(Self { streams, variant, values: values.try_into().ok()? })
    }
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[((sorted.len() - 1) as f64 * q).round() as usize]
}

/// All variants at one size, round-robin with a rotating start.
fn measure(streams: usize, rounds: usize) -> Vec<Row> {
    let mut world = World::new(streams);
    world.self_check();
    let ops = Variant::ALL.map(|variant| {
        let probe = world.sample(variant, 4096);
        ((SAMPLE.as_nanos() as f64 / probe.max(0.1)) as usize).clamp(1024, 8_000_000)
    });
    let mut taken: [Vec<f64>; Variant::ALL.len()] = Default::default();
    for round in 0..rounds {
        for turn in 0..Variant::ALL.len() {
            let variant = Variant::ALL[(round + turn) % Variant::ALL.len()];
            taken[variant as usize].push(world.sample(variant, ops[variant as usize]));
        }
    }
    world.check_counts();
    let floor = &taken[Variant::Floor as usize];
    let row = |variant: Variant| {
        let ns = &taken[variant as usize];
        let ratios: Vec<f64> = ns.iter().zip(floor).map(|(ns, floor)| ns / floor).collect();
        let values =
            [quantile(ns, 0.5), quantile(ns, 0.1), quantile(ns, 0.9), quantile(&ratios, 0.5)];
        Row { streams, variant, values }
    };
    Variant::ALL.map(row).to_vec()
}

/// The table of one fresh process.
fn launch() -> Vec<Row> {
    let this = std::env::current_exe().expect("this program's path");
    let output = Command::new(this).env(CHILD, "1").output().expect("starts again");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<Row> = text.lines().filter_map(Row::from_line).collect();
    let whole = output.status.success() && rows.len() == SIZES.len() * Variant::ALL.len();
    assert!(whole, "a launch failed: {}", String::from_utf8_lossy(&output.stderr));
    rows
}

fn print_table(launches: &[Vec<Row>]) {
    println!(
        "\nns per call and ratio to F, {} launch(es); lowest and highest ratio of a launch in []",
        launches.len()
    );
    println!("| streams x 2 | call | ns | p10-p90 | x F | budget |");
    println!("|---|---|---|---|---|---|");
    for (at, row) in launches[0].iter().enumerate() {
        let of = |value: usize, q: f64| {
            quantile(&launches.iter().map(|rows| rows[at].values[value]).collect::<Vec<_>>(), q)
        };
        let ratio = of(3, 0.5);
        let budget = row.variant.budget(row.streams).map_or(String::new(), |limit| {
            format!("{limit} {}", if ratio <= limit { "kept" } else { "MISSED" })
        });
        println!(
            "| {} | {} | {:.2} | {:.2}-{:.2} | {ratio:.2} [{:.2}-{:.2}] | {budget} |",
            row.streams,
            row.variant.name(),
            of(0, 0.5),
            of(1, 0.5),
            of(2, 0.5),
            of(3, 0.0),
            of(3, 1.0),
        );
    }
}

fn criterion_groups(criterion: &mut Criterion) {
    for streams in SIZES {
        let mut world = World::new(streams);
        world.self_check();
        let mut group = criterion.benchmark_group(format!("{streams}x2"));
        group.throughput(Throughput::Elements(1));
        for variant in Variant::ALL {
            group.bench_function(variant.name(), |bencher| {
                bencher.iter_custom(|calls| {
                    let began = Instant::now();
                    black_box(world.run(variant, calls as usize));
                    began.elapsed()
                });
            });
        }
        group.finish();
        world.check_counts();
    }
}

fn main() -> ExitCode {
    if std::env::var_os(CHILD).is_some() {
        for row in SIZES.iter().flat_map(|&streams| measure(streams, 101)) {
            println!("{}", row.to_line());
        }
        return ExitCode::SUCCESS;
    }
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_200))
        .configure_from_args();
    criterion_groups(&mut criterion);
    criterion.final_summary();
    // Without `--bench` criterion only tries everything out once.
    if asked("--bench") && !asked("--test") && !asked("--list") {
        if asked("--quick") {
            let rows = SIZES.iter().flat_map(|&streams| measure(streams, 25)).collect();
            print_table(&[rows]);
        } else {
            print_table(&(0..LAUNCHES).map(|_| launch()).collect::<Vec<_>>());
        }
    }
    ExitCode::SUCCESS
}
