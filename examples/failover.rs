//! Two feeds of one stream: the main one dies, the backup takes over; the main one comes back, and
//! gets the stream back. The same program in C and C++: `examples/c`.
//!
//! ```text
//! cargo run --example failover
//! ```
//!
//! Ends within 5 s; its exit status is 0 if both happened.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use changeover::{
    Engine, EngineConfig, Error, EventKind, InputConfig, Packet, StreamConfig, Subscription,
    Verdict,
};

/// Priorities: lower is better.
const MAIN: i32 = 0;
const BACKUP: i32 = 1;

static ALIVE: [AtomicBool; 2] = [AtomicBool::new(true), AtomicBool::new(true)];
static ENDING: AtomicBool = AtomicBool::new(false);

/// The output, that all feeds write to.
#[derive(Default)]
struct Output {
    newest_cut: u32,
    sent: u32,
}

impl Output {
    /// Sends a packet, unless its thread comes late: a newer cut has been written by then.
    fn send(&mut self, cut: u32) {
        if cut >= self.newest_cut {
            self.newest_cut = cut;
            self.sent += 1; // here it would go to the socket
        }
    }
}

/// One feed: a packet every 5 ms, as long as it is alive.
fn feed(engine: &Engine, priority: i32, output: &Mutex<Output>) -> Result<(), Error> {
    let mut recorder = engine.recorder("news", priority, None)?;
    while !ENDING.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(5));
        if !ALIVE[priority as usize].load(Ordering::Relaxed) {
            continue;
        }
        match recorder.record(Packet::new(1316)) {
            Verdict::Forward(cut) => output.lock().unwrap().send(cut),
            Verdict::Drop => {}
            // A new connection would begin like this.
            Verdict::Stale => recorder = engine.recorder("news", priority, None)?,
        }
    }
    Ok(())
}

/// Prints what happens, until the stream's packets come from this input. False: they do not.
fn on_the_air(events: &Subscription, priority: i32) -> bool {
    while let Some(event) = events.recv_timeout(Duration::from_secs(2)) {
        let ms = event.at_ns / 1_000_000;
        match event.kind {
            EventKind::InputDegraded { input_priority, reason, .. } => {
                println!("{ms:5} ms  input {input_priority} failed: {reason}");
            }
            EventKind::InputRecovered { input_priority, .. } => {
                println!("{ms:5} ms  input {input_priority} delivers again");
            }
            EventKind::InputFailover { from, to, reason, .. } => {
                println!("{ms:5} ms  switched from {from} to {to}: {}", reason.as_str());
            }
            EventKind::FirstPacket { input_priority, stall_us, .. } => {
                let stall = stall_us.unwrap_or(0) / 1_000;
                println!(
                    "{ms:5} ms  first packet of {input_priority}, {stall} ms after the last one"
                );
                if input_priority == priority {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    // Shorter times than a real stream's: `packet_timeout_ms` is when silence is a failure.
    let config = EngineConfig {
        packet_timeout_ms: 200,
        failback_stable_ms: 500,
        failback_cooldown_ms: 500,
        ..EngineConfig::default()
    };
    let engine = Engine::builder().config(config).build()?;
    let events = engine.subscribe(1024);
    engine.register(
        StreamConfig::new("news")
            .input(InputConfig::hot(MAIN, "udp://main"))
            .input(InputConfig::hot(BACKUP, "udp://backup")),
    )?;

    let output = Mutex::new(Output::default());
    let (started, failover, failback) = thread::scope(|scope| {
        let feeds = [MAIN, BACKUP].map(|priority| {
            let (engine, output) = (&engine, &output);
            scope.spawn(move || feed(engine, priority, output))
        });

        let started = on_the_air(&events, MAIN);
        thread::sleep(Duration::from_millis(300));
        println!("the main feed is killed");
        ALIVE[MAIN as usize].store(false, Ordering::Relaxed);
        let failover = on_the_air(&events, BACKUP);
        println!("the main feed is back");
        ALIVE[MAIN as usize].store(true, Ordering::Relaxed);
        let failback = on_the_air(&events, MAIN);
        println!("{}", serde_json::to_string(&engine.runtime_status("news")?)?);

        ENDING.store(true, Ordering::Relaxed);
        for feed in feeds {
            feed.join().expect("a feed panicked")?;
        }
        Ok::<_, Box<dyn std::error::Error>>((started, failover, failback))
    })?;

    let told = |happened| if happened { "yes" } else { "NO" };
    let sent = output.lock().unwrap().sent;
    println!("failover: {}, failback: {}, {sent} packets sent", told(failover), told(failback));
    Ok(if started && failover && failback { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
