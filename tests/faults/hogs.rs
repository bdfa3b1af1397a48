//! A monitor that does not get the processor: its thread alone is of the idle class, and four
//! threads per core spin. What it decides is late, and right, and counted as late.

use std::fs;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use changeover::{Engine, EngineConfig, EventKind, SwitchReason};

use crate::child::{Ended, Part, tell};
use crate::scene::Feeds;

const STREAMS: usize = 60;
/// Those whose main input dies.
const MORTAL: usize = 30;
/// Shorter than the stalls: whoever took them for silence would leave inputs that deliver.
const TIMEOUT_MS: u64 = 120;
const STARVED: Duration = Duration::from_secs(4);

/// The monitor's thread gets what nobody else wants.
fn starve_the_monitor() {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux").map(|task| task.expect("ours"));
    let monitor = tasks.map(|task| task.path()).find(|task| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "changeover-mon")
    });
    let monitor = monitor.expect("the engine has a monitor");
    let id = monitor.file_name().and_then(|id| id.to_str()?.parse().ok()).expect("a number");
    // SAFETY: all zeros is a valid one: priority 0, as SCHED_IDLE wants it.
    let idle: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: the parameters live in this frame.
    let done = unsafe { libc::sched_setscheduler(id, libc::SCHED_IDLE, &raw const idle) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

pub(crate) fn child() {
    let config = EngineConfig { packet_timeout_ms: TIMEOUT_MS as i64, ..EngineConfig::default() };
    let engine = Engine::builder().config(config).build().expect("builds");
    let events = engine.subscribe(1 << 14);
    let ids: Vec<String> = (0..STREAMS).map(|n| format!("stream-{n}")).collect();
    let feeds = Feeds::start(&engine, &ids, MORTAL, Duration::from_millis(20));
    thread::sleep(Duration::from_millis(500));
    let before = engine.stats();
    starve_the_monitor();
    let over = AtomicBool::new(false);
    let cores = thread::available_parallelism().map_or(2, |cores| cores.get());
    thread::scope(|scope| {
        for _ in 0..4 * cores {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    spin_loop();
                }
            });
        }
        thread::sleep(STARVED / 4);
        feeds.kill();
        thread::sleep(STARVED / 4 * 3);
        over.store(true, Relaxed);
    });
    // Nobody hogs any more: what is due is decided soon.
    let until = Instant::now() + Duration::from_secs(10);
    while engine.stats().failovers_total < MORTAL as u64 && Instant::now() < until {
        thread::sleep(Duration::from_millis(10));
    }
    // And nothing that is not.
    thread::sleep(Duration::from_millis(5 * TIMEOUT_MS));
    let fed = feeds.end();
    let told = engine.stats();
    if fed.longest_gap_ns >= TIMEOUT_MS * 500_000 {
        // Then inputs were silent in truth.
        return tell("the feeder was starved");
    }
    let (mut seen, mut stalls) = (vec![0; STREAMS], 0);
    let mut latest = 0;
    for event in events.drain() {
        match event.kind {
            EventKind::InputFailover { from: 0, to: 1, reason: SwitchReason::Timeout, .. } => {
                let id = event.stream.as_deref().expect("a stream's");
                let n = ids.iter().position(|known| known == id).expect("ours");
                assert!(n < MORTAL, "{id} was left, and its input was alive");
                let due = fed.last[n] + TIMEOUT_MS * 1_000_000;
                assert!(event.at_ns >= due, "{id}: early by {} ns", due - event.at_ns);
                latest = latest.max(event.at_ns - due);
                seen[n] += 1;
            }
            EventKind::InputFailover { .. }
            | EventKind::InputDegraded { input_priority: 1, .. } => {
                panic!("nothing else may happen: {event:?}");
            }
            EventKind::Stall { late_ms } => {
                assert!(late_ms >= 20, "{late_ms}");
                stalls += 1;
            }
            _ => {}
        }
    }
    assert!(seen[..MORTAL].iter().all(|times| *times == 1), "each is left once: {seen:?}");
    // The machine may be busy now, too.
    let after = engine.stats();
    assert!(told.stalls_total > before.stalls_total, "{told:?}");
    assert!((told.stalls_total..=after.stalls_total).contains(&stalls), "each has its event");
    assert!(after.lateness_max_ns >= 20_000_000, "and its lateness is told: {after:?}");
    tell(&format!("stalls {stalls}"));
    tell(&format!("lateness_max_ms {}", after.lateness_max_ns / 1_000_000));
    tell(&format!("latest_decision_ms {}", latest / 1_000_000));
    #[cfg(feature = "metrics")]
    {
        let text = engine.metrics_text();
        let line = text.lines().find_map(|line| line.strip_prefix("changeover_stalls_total "));
        let exported: u64 = line.and_then(|count| count.parse().ok()).expect("it is exported");
        assert!(exported >= stalls, "{text}");
    }
    tell("done");
}

#[test]
fn a_monitor_starved_by_hogs_on_all_cores() {
    let _alone = crate::alone();
    let run = || Part::start("hogs").done();
    let starved = |ended: &Ended| ended.said == ["the feeder was starved"];
    let mut ended = run();
    // It says nothing of the engine then; on a machine that does so again and again nothing can be
    // said.
    for _ in 0..4 {
        if starved(&ended) {
            println!("the machine starved the feeder, once more");
            ended = run();
        }
    }
    assert_eq!(ended.said.last().map(String::as_str), Some("done"), "{ended:?}");
    let figure = |word| ended.number(word);
    println!(
        "{} stalls, the worst look {} ms late, the last decision {} ms",
        figure("stalls "),
        figure("lateness_max_ms "),
        figure("latest_decision_ms ")
    );
}
