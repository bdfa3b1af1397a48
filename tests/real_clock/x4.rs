//! X4: one stream's driver hangs for ever inside `start`; nobody else is delayed, and that stream
//! itself goes on to its next candidate.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use changeover::{
    Answer, Engine, EngineConfig, Epoch, Event, EventKind, IngestDriver, InputConfig, Packet,
    Recorder, StartCall, StopCall, StreamConfig, SwitchReason, Verdict,
};

use crate::support::gate::Gate;

const STREAMS: usize = 2000;
const PACKET_TIMEOUT_MS: u64 = 2000;
const CONNECT_TIMEOUT_MS: u64 = 3000;
/// What "on time" means here: the machine may be busy with other tests.
const LATE_NS: u64 = 5_000_000_000;
const HUNG: &str = "hung";

struct Driver {
    gate: Arc<Gate>,
    started: Mutex<mpsc::Sender<(String, i32, Epoch)>>,
}

impl IngestDriver for Driver {
    fn start(&self, call: &StartCall) -> Answer {
        if call.input.address == HUNG {
            self.gate.wait();
            return Answer::Failed("the test is over".to_owned());
        }
        let started = (call.stream.to_string(), call.input.priority, call.epoch);
        // The feeder may be gone already, at the end of the test.
        let _ = self.started.lock().expect("not poisoned").send(started);
        Answer::Done
    }

    fn stop(&self, _: &StopCall) {}
}

/// Records packets for everything that runs, every 100 ms; main inputs only while they live.
fn feed(
    engine: &Engine,
    mut recorders: Vec<Recorder>,
    started: &mpsc::Receiver<(String, i32, Epoch)>,
    main_dead: &AtomicBool,
    over: &AtomicBool,
) -> BTreeMap<String, u64> {
    let mut last_main = BTreeMap::new();
    while !over.load(Ordering::Relaxed) {
        for (stream, priority, epoch) in started.try_iter() {
            // A refusal means that it has been stopped meanwhile.
            recorders.extend(engine.recorder(&stream, priority, epoch));
        }
        let dead = main_dead.load(Ordering::Relaxed);
        recorders.retain_mut(|recorder| {
            let main = recorder.priority() == 0;
            if main && dead {
                return true;
            }
            let now = engine.now_ns();
            let counted = recorder.record(Packet::new(1316)) != Verdict::Stale;
            if main && counted {
                last_main.insert(recorder.stream().to_owned(), now);
            }
            counted
        });
        thread::sleep(Duration::from_millis(100));
    }
    last_main
}

/// The failover of each stream, and when the hung one began with its backup.
#[derive(Default)]
struct Seen {
    failovers: BTreeMap<String, Event>,
    hung_started: Option<u64>,
    hung_degraded: Option<Event>,
}

impl Seen {
    fn take(&mut self, event: Event) {
        let stream = event.stream.as_deref().unwrap_or_default().to_owned();
        match &event.kind {
            EventKind::InputFailover { .. } => {
                let earlier = self.failovers.insert(stream, event);
                assert!(earlier.is_none(), "a second failover: {earlier:?}");
            }
            EventKind::InputStarted { input_priority: 1, .. } if stream == HUNG => {
                self.hung_started = Some(event.at_ns);
            }
            EventKind::InputDegraded { .. } if stream == HUNG => self.hung_degraded = Some(event),
            _ => {}
        }
    }

    fn complete(&self) -> bool {
        self.failovers.len() == STREAMS - 1 && self.hung_started.is_some()
    }
}

#[test]
fn x4_one_hung_driver() {
    let gate = Arc::new(Gate::default());
    let (sender, started) = mpsc::channel();
    let driver = Driver { gate: Arc::clone(&gate), started: Mutex::new(sender) };
    let config = EngineConfig {
        packet_timeout_ms: PACKET_TIMEOUT_MS as i64,
        connect_timeout_ms: CONNECT_TIMEOUT_MS as i64,
        // The hung input is not tried again while the test lasts.
        probe_cooldown_ms: 600_000,
        ..Default::default()
    };
    let builder = Engine::builder().config(config).driver(driver).driver_workers(2);
    // Time for the other streams' stops; the hung call takes all of it.
    let engine = builder.shutdown_timeout(Duration::from_secs(3)).build().expect("builds");
    let events = engine.subscribe(1 << 17);

    let hung_at = engine.now_ns();
    let hung = StreamConfig::new(HUNG).input(InputConfig::cold(0, HUNG));
    engine.register(hung.input(InputConfig::cold(1, "backup"))).expect("registers");
    let mut recorders = Vec::new();
    for i in 1..STREAMS {
        let (id, hot) = (format!("stream-{i}"), i % 2 == 0);
        let input = if hot { InputConfig::hot } else { InputConfig::cold };
        let stream = StreamConfig::new(&id).input(input(0, "main")).input(input(1, "backup"));
        engine.register(stream).expect("registers");
        if hot {
            recorders.push(engine.recorder(&id, 0, None).expect("opens"));
            recorders.push(engine.recorder(&id, 1, None).expect("opens"));
        }
    }

    let (main_dead, over) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut seen = Seen::default();
    let (all_delivered, last_main) = thread::scope(|scope| {
        let (engine, main_dead, over) = (&engine, &main_dead, &over);
        let feeder = scope.spawn(move || feed(engine, recorders, &started, main_dead, over));
        let wait = |seen: &mut Seen, until: &dyn Fn(&Seen) -> bool| {
            let latest = engine.now_ns() + 10_000_000_000;
            while !until(seen) && engine.now_ns() < latest {
                if let Some(event) = events.recv_timeout(Duration::from_millis(20)) {
                    seen.take(event);
                }
            }
        };
        // All mains deliver before the outage.
        let delivering = || {
            (1..STREAMS).all(|i| {
                let status = engine.runtime_status(&format!("stream-{i}")).expect("registered");
                status.input(0).expect("is there").packets > 0
            })
        };
        wait(&mut seen, &|_| delivering());
        let all_delivered = delivering();
        main_dead.store(true, Ordering::Relaxed);
        wait(&mut seen, &Seen::complete);
        over.store(true, Ordering::Relaxed);
        let last_main = feeder.join().expect("the feeder");
        // Only now may an assertion fail: the gate below must open in any case.
        (all_delivered, last_main)
    });
    let stuck = engine.stats().stuck_calls;
    let hung_status = engine.runtime_status(HUNG).expect("registered");
    let report = engine.shutdown();
    gate.open();

    assert!(all_delivered, "the premise: every main input delivered");
    assert_eq!(seen.failovers.len(), STREAMS - 1);
    assert_eq!(last_main.len(), STREAMS - 1);
    for (stream, last) in &last_main {
        let event = &seen.failovers[stream];
        let EventKind::InputFailover { from: 0, to: 1, reason: SwitchReason::Timeout, .. } =
            &event.kind
        else {
            panic!("{stream}: {event:?}");
        };
        let due = last + PACKET_TIMEOUT_MS * 1_000_000;
        assert!(event.at_ns >= due, "{stream} early by {} ns", due - event.at_ns);
        assert!(event.at_ns <= due + LATE_NS, "{stream} late by {} ns", event.at_ns - due);
    }
    let due = hung_at + CONNECT_TIMEOUT_MS * 1_000_000;
    let started = seen.hung_started.expect("the hung stream went on");
    assert!((due..=due + LATE_NS).contains(&started), "{started}, due {due}");
    let degraded = seen.hung_degraded.expect("its first input failed");
    let EventKind::InputDegraded { input_priority: 0, cause, .. } = degraded.kind else {
        panic!("{degraded:?}");
    };
    assert_eq!(cause, SwitchReason::Timeout);
    assert_eq!(hung_status.active_input_priority, Some(1));
    assert_eq!(stuck, 1);
    assert_eq!(report.expect("not inside a callback").detached_calls, 1);
}
