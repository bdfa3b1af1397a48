//! What a packet does and where it is written: every instruction and every store of some calls, as
//! valgrind's lackey tells them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::calls::{Call, Feeds};
use super::child;

/// Stored to right before and right after a call: the trace shows its address.
static MARK: AtomicU64 = AtomicU64::new(0);

/// The calls, and how often each is made.
const TRACED: [Call; 6] = [
    Call::Record,
    Call::RecordStandby,
    Call::RecordFields,
    Call::CRecordBytes,
    Call::CRecordFields,
    Call::CRecordBatch,
];
const TIMES: usize = 16;

const LINE: u64 = 64;
/// What is so near to a variable of the caller is the stack.
const STACK: u64 = 32 << 10;

unsafe extern "C" {
    /// Where the program begins in memory: the linker's word.
    static __ehdr_start: u8;
}

/// The part of the child process: says where its marks and its stack are, then makes the calls.
pub(crate) fn child() {
    let mut feeds = Feeds::by_hand();
    let here = 0_u8;
    let program = &raw const __ehdr_start as usize;
    println!("\nTRACE {} {} {program}", MARK.as_ptr() as usize, &raw const here as usize);
    for call in TRACED {
        for _ in 0..TIMES {
            MARK.store(1, Relaxed);
            let answer = feeds.make(call);
            MARK.store(2, Relaxed);
            assert_eq!(answer, call != Call::RecordStandby);
        }
    }
}

/// What the calls of one kind did.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) calls: usize,
    /// Places of the program that were executed, as in its file.
    pub(crate) executed: BTreeSet<u64>,
    /// Cache lines written to outside of the stack.
    pub(crate) lines: BTreeSet<u64>,
    /// Stores to them.
    pub(crate) stores: usize,
}

/// Runs the calls under lackey, and answers what each kind did.
pub(crate) fn trace() -> Vec<(Call, Done)> {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("record_cost.lackey");
    let log = format!("--log-file={}", file.display());
    let said = child::under_valgrind(&["--tool=lackey", "--trace-mem=yes", &log], "trace");
    let places = said.stdout.lines().find_map(|line| line.strip_prefix("TRACE "));
    let places = places.expect("the child's places").split(' ');
    let places: Vec<u64> = places.map(|place| place.parse().expect("an address")).collect();
    let [mark, stack, program] = places[..] else { panic!("{places:?}") };
    let trace = BufReader::new(File::open(&file).expect("lackey writes its log"));
    let all = read(trace, mark, stack - STACK..stack + STACK, program);
    let _ = std::fs::remove_file(&file);
    assert_eq!(all.len(), TRACED.len() * TIMES, "calls between two marks each");
    let kinds = TRACED.into_iter().zip(all.chunks(TIMES));
    kinds.map(|(call, each)| (call, sum(each))).collect()
}

fn sum(each: &[Done]) -> Done {
    let mut sum = Done::default();
    for done in each {
        sum.calls += 1;
        sum.executed.extend(&done.executed);
        sum.lines.extend(&done.lines);
        sum.stores += done.stores;
    }
    sum
}

/// Reads a trace: what was done after each odd store to the mark, up to the next. Its lines are
/// `I  address,size` for an instruction, and ` L`, ` S` or ` M` (load and store) for memory.
fn read(trace: impl BufRead, mark: u64, stack: Range<u64>, program: u64) -> Vec<Done> {
    let (mut all, mut open): (Vec<Done>, Option<Done>) = (Vec::new(), None);
    for line in trace.lines().map(|line| line.expect("text")) {
        let Some((what, place)) = line.split_at_checked(3) else { continue };
        let Some((address, size)) = place.split_once(',') else { continue };
        if !["I  ", " S ", " M "].contains(&what) {
            continue;
        }
        let address = u64::from_str_radix(address, 16).expect("an address");
        if what == "I  " {
            open.iter_mut().for_each(|done| {
                done.executed.insert(address.wrapping_sub(program));
            });
            continue;
        }
        if address == mark {
            match open.take() {
                Some(done) => all.push(done),
                None => open = Some(Done::default()),
            }
        } else if let (Some(done), false) = (&mut open, stack.contains(&address)) {
            let size: u64 = size.trim().parse().expect("a size");
            done.lines.extend([address / LINE, (address + size - 1) / LINE]);
            done.stores += 1;
        }
    }
    all
}

#[test]
fn a_trace_is_read() {
    let trace = "\
==1== Lackey
I  00001000,4
 S 00005000,8
I  00001004,4
 S 1ffeff00,8
 L 00006000,8
 S 0000603c,8
 M 00006000,8
I  00001008,4
 S 00005000,8
 S 00007000,8
";
    let all = read(trace.as_bytes(), 0x5000, 0x1ffe_f000..0x1fff_0000, 0x1000);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].executed, BTreeSet::from([4, 8]));
    assert_eq!(all[0].stores, 2);
    assert_eq!(all[0].lines, BTreeSet::from([0x180, 0x181]));
}
