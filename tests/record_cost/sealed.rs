//! Records on a thread that may make no system call: the kernel kills the process at the first.

use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::calls::{ALL, Feeds};
use super::child;
use super::switches::{self, Stage};

/// Filters system calls of this thread alone, from now on and for good: those that are allowed go
/// through, any other ends the process with SIGSYS.
fn seal(allowed: &[libc::c_long]) {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const IS: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const ANSWER: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut program = vec![step(LOAD, offset_of!(libc::seccomp_data, nr) as u32, 0, 0)];
    for &call in allowed {
        program.push(step(IS, call as u32, 0, 1));
        program.push(step(ANSWER, libc::SECCOMP_RET_ALLOW, 0, 0));
    }
    program.push(step(ANSWER, libc::SECCOMP_RET_KILL_PROCESS, 0, 0));
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: numbers only.
    let promised = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(promised, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the filter and its program live in this frame; the kernel copies them.
    let sealed = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter, 0, 0)
    };
    assert_eq!(sealed, 0, "no seccomp filter: {}", std::io::Error::last_os_error());
}

static AT_REST: AtomicBool = AtomicBool::new(false);

/// Ends a sealed thread's work. It can't end itself: that takes system calls.
fn rest() -> ! {
    AT_REST.store(true, SeqCst);
    loop {
        std::hint::spin_loop();
    }
}

/// The part of a child process. Does not return: the sealed thread can't be joined.
pub(crate) fn child(case: &str) -> ! {
    match case {
        "calls" => drop(std::thread::spawn(|| record_all(100_000, || {}))),
        // What proves that the seal holds.
        "getpid" => drop(std::thread::spawn(|| {
            record_all(1_000, || {
                // SAFETY: it takes nothing and only answers a number.
                let _ = unsafe { libc::syscall(libc::SYS_getpid) };
            });
        })),
        // A packet that something waits for wakes the monitor, if that sleeps.
        "switches" => switches(&[libc::SYS_futex]),
        _ => panic!("there is no case {case}"),
    }
    wait_for_rest();
    child::done(&format!("seal-{case}"));
    // SAFETY: ends the process, whatever its threads do.
    unsafe { libc::_exit(0) }
}

fn wait_for_rest() {
    let until = Instant::now() + Duration::from_secs(60);
    while !AT_REST.load(SeqCst) {
        assert!(Instant::now() < until, "the sealed thread came to no end");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn record_all(times: usize, between: impl Fn()) {
    // On this thread, like the first call of each kind: both may set up something for good.
    let mut feeds = Feeds::by_the_clock();
    seal(&[]);
    for call in ALL {
        for _ in 0..times {
            feeds.make(call);
        }
        between();
    }
    rest()
}

/// The producer of both inputs of a stream is sealed; the operator is not.
fn switches(allowed: &'static [libc::c_long]) {
    static STAGE: Stage = Stage::new();
    let engine = switches::engine();
    let mut feeds = switches::feeds(&engine);
    std::thread::spawn(move || {
        seal(allowed);
        STAGE.produce(&mut feeds);
        rest()
    });
    STAGE.operate(&engine);
}
