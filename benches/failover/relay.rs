//! A relay as a user of changeover writes it: a thread per input that receives, records, and sends
//! what it is told to forward. Cold inputs are brought up and down by the engine's driver calls.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use changeover::{
    Answer, Cut, Engine, EngineConfig, Epoch, EventKind, Failback, HealthConfig, IngestDriver,
    InputConfig, InputStatus, Packet, Priority, ProbeCall, Recorder, Silence, StartCall, StopCall,
    StreamConfig, Subscription, Verdict,
};

use crate::kills::{Line, Marks, SPREAD, Switcher};
use crate::wire::{DATAGRAM, Feeder, Receiver, Schedule, socket, widen};

const STREAM: &str = "relay";
const MAIN: Priority = 0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hot,
    Cold,
    /// Hot, with learned silence.
    Learned,
}

/// What the input threads share.
struct Shared {
    output: UdpSocket,
    /// The newest cut that was written: what an older one let through is dropped.
    newest: Mutex<u32>,
    ends: AtomicBool,
    engine: OnceLock<Engine>,
    /// Times on the engine's clock: the last packet of the main input, and the backup's cut.
    last_main: AtomicU64,
    cut_at: AtomicU64,
    /// Cold inputs that run, by epoch.
    running: Mutex<HashMap<Epoch, Running>>,
    /// Where the inputs listen.
    addrs: [SocketAddr; 2],
    /// Whether the source of an input would deliver.
    alive: [AtomicBool; 2],
}

/// A cold input's thread, and the word that ends it.
struct Running {
    stops: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

pub(crate) struct Relay {
    engine: Engine,
    events: Subscription,
    shared: Arc<Shared>,
    kind: Kind,
    threads: Vec<JoinHandle<()>>,
    pub(crate) receiver: Receiver,
}

impl Relay {
    /// Inputs are hot sockets, or (cold) the addresses of sockets that are bound at each start.
    pub(crate) fn start(kind: Kind, timeout_ms: i64, receiver: Receiver) -> Self {
        let sockets = [socket(), socket()];
        let addrs = [0, 1].map(|n: usize| sockets[n].local_addr().expect("bound"));
        let output = socket();
        output.connect(receiver.addr).expect("loopback");
        let shared = Arc::new(Shared {
            output,
            newest: Mutex::new(0),
            ends: AtomicBool::new(false),
            engine: OnceLock::new(),
            last_main: AtomicU64::new(0),
            cut_at: AtomicU64::new(0),
            running: Mutex::default(),
            addrs,
            alive: [const { AtomicBool::new(true) }; 2],
        });
        let config = EngineConfig {
            packet_timeout_ms: timeout_ms,
            probe_cooldown_ms: 20,
            failback: Failback::Never,
            cut: Cut::Immediate,
            ..EngineConfig::default()
        };
        let driver = Driver(Arc::clone(&shared));
        let engine = Engine::builder().config(config).driver(driver).build().expect("builds");
        assert!(shared.engine.set(engine.clone()).is_ok(), "set once");
        let events = engine.subscribe(0);
        let input = |priority| match kind {
            Kind::Cold => InputConfig::cold(priority, addrs[priority as usize].to_string()),
            _ => InputConfig::hot(priority, addrs[priority as usize].to_string()),
        };
        let mut stream = StreamConfig::new(STREAM).input(input(0)).input(input(1));
        if kind == Kind::Learned {
            let silence = Silence::Learned { floor_ms: 0, ceiling_ms: 0, confidence: 0.0 };
            stream = stream.with_health(HealthConfig { silence, ..HealthConfig::default() });
        }
        let mut threads = Vec::new();
        if kind == Kind::Cold {
            // Their addresses are free for the driver.
            drop(sockets);
            engine.register(stream).expect("a new id");
        } else {
            engine.register(stream).expect("a new id");
            for (priority, socket) in (0..).zip(sockets) {
                let recorder = engine.recorder(STREAM, priority, None).expect("registered");
                let shared = Arc::clone(&shared);
                let thread = std::thread::Builder::new().name(format!("input-{priority}"));
                let thread = thread.spawn(move || carry(&shared, &socket, recorder, None));
                threads.push(thread.expect("a thread"));
            }
        }
        Self { engine, events, shared, kind, threads, receiver }
    }

    pub(crate) fn addrs(&self) -> [SocketAddr; 2] {
        self.shared.addrs
    }

    pub(crate) fn line<'a>(
        &'a self,
        main: &'a Feeder,
        schedule: Schedule,
        timeout_ms: f64,
    ) -> Line<'a> {
        Line { receiver: &self.receiver, main, schedule, timeout_ms, spread: SPREAD }
    }

    /// Waits until the silence of both inputs is learned. Answers what was learned, ms.
    pub(crate) fn await_learned(&self) -> f64 {
        let until = Instant::now() + Duration::from_secs(40);
        loop {
            let status = self.engine.runtime_status(STREAM).expect("registered");
            let learned = |n: usize| status.inputs[n].learned.map(|learned| learned.timeout_ms);
            if let (Some(main), Some(_)) = (learned(0), learned(1)) {
                return main;
            }
            assert!(Instant::now() < until, "nothing is learned of a regular input");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Switcher for Relay {
    fn set_alive(&self, alive: bool) {
        self.shared.alive[MAIN as usize].store(alive, Relaxed);
    }

    fn go_back(&self) -> bool {
        let health = self.engine.input_health(STREAM, MAIN).expect("registered");
        if matches!(health.health.status, InputStatus::Degraded | InputStatus::Stopped) {
            return false;
        }
        let ticket = self.engine.switch_input(STREAM, MAIN);
        ticket.is_ok_and(|ticket| ticket.wait(Duration::from_secs(2)).is_ok())
    }

    fn marks(&self) -> Option<Marks> {
        let mut decided = None;
        let mut events = Vec::new();
        while let Some(event) = self.events.try_recv() {
            if matches!(event.kind, EventKind::SwitchDecided { to: 1, .. }) {
                decided = Some(event.at_ns);
            }
            events.push(event.kind);
        }
        let last = self.shared.last_main.load(Relaxed);
        let cut = self.shared.cut_at.load(Relaxed);
        let decided = decided.unwrap_or_else(|| panic!("no switch was decided: {events:?}"));
        Some(Marks { last, decided, cut })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.ends.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let report = self.engine.shutdown().expect("not in a callback");
        assert_eq!(report.detached_calls, 0, "{:?}", self.kind);
    }
}

/// The life of an input's thread.
fn carry(shared: &Shared, socket: &UdpSocket, mut recorder: Recorder, stops: Option<&AtomicBool>) {
    let engine = shared.engine.get().expect("set before any input begins");
    let mut datagram = [0; 2 * DATAGRAM];
    let priority = recorder.priority();
    let mut cut_before = 0;
    let over = || shared.ends.load(Relaxed) || stops.is_some_and(|stops| stops.load(Relaxed));
    while !over() {
        let length = match socket.recv(&mut datagram) {
            Ok(length) => length,
            Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(why) => panic!("cannot receive: {why}"),
        };
        if priority == MAIN {
            shared.last_main.store(engine.now_ns(), Relaxed);
        }
        match recorder.record_precise(Packet::new(length)) {
            Verdict::Forward(cut) => {
                if cut != cut_before {
                    cut_before = cut;
                    shared.cut_at.store(engine.now_ns(), Relaxed);
                }
                let mut newest = shared.newest.lock().expect("nobody panics");
                if cut >= *newest {
                    *newest = cut;
                    let _ = shared.output.send(&datagram[..length]);
                }
            }
            Verdict::Drop => {}
            Verdict::Stale if stops.is_some() => return,
            Verdict::Stale => {
                recorder = engine.recorder(STREAM, priority, None).expect("registered");
            }
        }
    }
}

struct Driver(Arc<Shared>);

impl IngestDriver for Driver {
    fn start(&self, call: &StartCall) -> Answer {
        let Some(engine) = self.0.engine.get() else {
            return Answer::Failed("the engine is not ready".to_owned());
        };
        let Ok(socket) = UdpSocket::bind(self.0.addrs[call.input.priority as usize]) else {
            return Answer::Failed("the address is taken".to_owned());
        };
        widen(&socket);
        let Ok(recorder) = engine.recorder(STREAM, call.input.priority, call.epoch) else {
            return Answer::Failed("the epoch is over".to_owned());
        };
        let stops = Arc::new(AtomicBool::new(false));
        let (shared, word) = (Arc::clone(&self.0), Arc::clone(&stops));
        let thread = std::thread::spawn(move || carry(&shared, &socket, recorder, Some(&word)));
        let running = Running { stops, thread };
        self.0.running.lock().expect("nobody panics").insert(call.epoch, running);
        Answer::Done
    }

    fn stop(&self, call: &StopCall) {
        let running = self.0.running.lock().expect("nobody panics").remove(&call.epoch);
        if let Some(running) = running {
            running.stops.store(true, Relaxed);
            // Its address is free when this returns.
            let _ = running.thread.join();
        }
    }

    fn probe(&self, call: &ProbeCall) -> Answer {
        if self.0.alive[call.input.priority as usize].load(Relaxed) {
            Answer::Done
        } else {
            Answer::Failed("nothing comes".to_owned())
        }
    }
}
