//! What a packet may cost, guarded: instructions, allocations, system calls, and lines written.
//!
//! Counted, not timed: the figures are the same on a busy machine. The ones that say something of
//! optimised code alone are left out of a debug build; `scripts/check` has a stage for them:
//!
//! ```sh
//! cargo test --release --all-features --test record_cost
//! ```
#![cfg(all(target_os = "linux", target_arch = "x86_64", feature = "capi"))]

#[path = "record_cost/allocations.rs"]
mod allocations;
#[path = "record_cost/assembly.rs"]
mod assembly;
#[path = "record_cost/callgrind.rs"]
mod callgrind;
#[path = "record_cost/calls.rs"]
mod calls;
#[path = "record_cost/child.rs"]
mod child;
#[path = "record_cost/sealed.rs"]
mod sealed;
#[path = "record_cost/switches.rs"]
mod switches;
#[path = "record_cost/traced.rs"]
mod traced;

use std::io::Write as _;

use allocations::Count;
use calls::Call;

/// Most instructions of one call, by the function of `calls::one` that makes it: the way there and
/// back and, for C, the jump into the library included. A tenth above what was measured when the
/// ceiling was set (behind it; rustc 1.95).
const CEILINGS: [(&str, f64); 7] = [
    ("record", 17.0),          // 15.5: 16 on the air, 15 as a standby
    ("record_fields", 42.0),   // 38
    ("record_precise", 60.0),  // 55
    ("record_packet", 306.0),  // 278.8
    ("c_record_bytes", 55.0),  // 50
    ("c_record", 80.0),        // 73
    ("c_record_batch", 338.0), // 308, of 7 packets
];

/// The calls that everything else is measured by: on the way of an ordinary packet they call
/// nothing (a function that is called is one that was not inlined, or the way of another packet).
const CALL_NOTHING: [&str; 2] = ["record", "record_fields"];

/// Shown whether or not the test passes, which `print!` in a test is not.
fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "counts optimised code: cargo test --release")]
fn instructions_stay_below_their_ceilings() {
    let mut counted = callgrind::count("count");
    counted.extend(callgrind::count("precise"));
    let mut complaints = Vec::new();
    tell("\ninstructions a call (ceiling):");
    for (function, ceiling) in CEILINGS {
        let found = &counted[function];
        let made = calls::ALL.iter().filter(|call| call.function() == function).count() as u64;
        let each = found.instructions as f64 / (made * child::CALLS) as f64;
        tell(&format!("  {function:<16} {each:7.2} ({ceiling})"));
        if each > ceiling {
            complaints.push(format!("{function}: {each:.2} instructions, at most {ceiling}"));
        } else if each < ceiling * 0.75 {
            tell("    far below its ceiling: that is out of date");
        }
        if CALL_NOTHING.contains(&function) {
            let callees = found.callees.iter().filter(|(_, calls)| **calls > 0);
            complaints.extend(callees.map(|(to, n)| format!("{function} called {to}, {n} times")));
        }
    }
    assert!(complaints.is_empty(), "a packet costs more than it may: {complaints:#?}");
}

#[test]
#[cfg_attr(debug_assertions, ignore = "looks at optimised code: cargo test --release")]
fn no_line_is_written_but_the_producers_own_and_none_is_locked() {
    let done = traced::trace();
    let code = assembly::of_this_program();
    for (call, done) in &done {
        assert_eq!(done.lines.len(), 1, "{call:?} wrote to the lines {:x?}", done.lines);
        let known = done.executed.iter().filter(|address| code.contains_key(address)).count();
        assert_eq!(known, done.executed.len(), "{call:?} left this program");
        assert_eq!(assembly::shared(&code, &done.executed), Vec::<String>::new(), "{call:?}");
    }
    let own = |call: Call| &done.iter().find(|(of, _)| *of == call).expect("was traced").1.lines;
    assert_eq!(own(Call::Record), own(Call::RecordFields), "one producer, one line");
    assert_eq!(own(Call::CRecordBytes), own(Call::CRecordBatch), "one producer, one line");
    assert!(own(Call::Record).is_disjoint(own(Call::RecordStandby)), "a line each");
    assert!(own(Call::Record).is_disjoint(own(Call::CRecordBytes)), "a line each");
}

#[test]
fn a_packet_allocates_nothing() {
    let one = allocations::counted(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(one, Count { allocated: 1, freed: 1 }, "it counts");
    let mut feeds = calls::Feeds::by_the_clock();
    for call in calls::ALL {
        let count = allocations::counted(|| {
            for _ in 0..100_000 {
                feeds.make(call);
            }
        });
        assert_eq!(count.allocated, 0, "{call:?}");
        // A call by id may free what edits have left behind (a route that was replaced).
        let frees = if call == Call::RecordPacket { 16 } else { 0 };
        assert!(count.freed <= frees, "{call:?}: {count:?}");
    }
}

#[test]
fn a_packet_that_makes_the_cut_allocates_nothing() {
    assert_eq!(allocations::across_switches(), Count::default());
}

#[test]
fn a_packet_makes_no_system_call() {
    let said = child::plainly("seal-calls");
    assert!(said.is_done("seal-calls"), "{said}");
}

/// One that something waits for wakes the monitor, and nothing else.
#[test]
fn a_packet_that_makes_the_cut_makes_no_system_call_but_the_wake() {
    let said = child::plainly("seal-switches");
    assert!(said.is_done("seal-switches"), "{said}");
}

#[test]
fn a_system_call_would_show() {
    use std::os::unix::process::ExitStatusExt as _;
    let said = child::plainly("seal-getpid");
    assert_eq!(said.status.signal(), Some(libc::SIGSYS), "{said}");
}
