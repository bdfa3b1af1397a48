//! The relay itself: opens both ends, sets the engine up, runs the inputs, and answers how things
//! are. The program and the demo use it in the same way.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use changeover::eyes::Eyes;
use changeover::{
    Engine, EngineConfig, EngineStats, Error, Hold, InputConfig, RuntimeStatus, StreamConfig,
    Subscription, SwitchTicket, WhenDead,
};

use crate::input::{Feed, InputCounts, Source};
use crate::lookback::Lookback;
use crate::output::{Output, OutputCounts};
use crate::packet_log::PacketLog;
use crate::policy::Policy;
use crate::stop::{End, Stop};
use crate::trail::Trail;
use crate::url::{Endpoint, Kind};

/// The engine knows the relay's one stream by this name.
pub(crate) const STREAM: &str = "relay";
/// Switches kept for the report.
const SWITCHES_KEPT: usize = 100;
/// Events kept for the remarks of a packet log.
const LOGGED_EVENTS: usize = 1 << 16;
/// How long the end waits for the input threads; all of them look at the flag more often.
const JOIN_TIMEOUT: Duration = Duration::from_secs(2);

/// What a relay is made of.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// In the order of their priority; the first is number 1.
    pub(crate) inputs: Vec<Endpoint>,
    pub(crate) output: Endpoint,
    /// Files begin again at their end.
    pub(crate) looped: bool,
    /// All at least 1: the engine takes 0 for "the default".
    pub(crate) timeout_ms: i64,
    pub(crate) connect_timeout_ms: i64,
    pub(crate) failback_stable_ms: i64,
    pub(crate) failback_cooldown_ms: i64,
    pub(crate) policy: Policy,
    pub(crate) packet_log: Option<PathBuf>,
}

/// A running relay.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) settings: Settings,
    engine: Engine,
    events: Subscription,
    inputs: Vec<Input>,
    output: Arc<Output>,
    stop: Arc<Stop>,
    packet_log: Option<(Arc<PacketLog>, Subscription)>,
    notes: mpsc::Receiver<String>,
    started: Instant,
}

#[derive(Debug)]
struct Input {
    counts: Arc<InputCounts>,
    local_addr: Option<SocketAddr>,
    may_hang: bool,
    thread: JoinHandle<()>,
}

/// One input's figures at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct InputFigures {
    pub(crate) address: String,
    pub(crate) received: u64,
    pub(crate) bytes: u64,
    pub(crate) forwarded: u64,
    pub(crate) overtaken: u64,
    pub(crate) garbage: u64,
    pub(crate) looked_back: u64,
    pub(crate) ended: bool,
}

/// The whole relay at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) at: Instant,
    pub(crate) uptime: Duration,
    pub(crate) status: RuntimeStatus,
    pub(crate) stats: EngineStats,
    pub(crate) inputs: Vec<InputFigures>,
    pub(crate) output_address: String,
    pub(crate) output: OutputCounts,
}

impl Relay {
    /// Opens everything, and runs. The text of an error is for the user.
    pub(crate) fn start(mut settings: Settings, stop: Arc<Stop>) -> Result<Self, String> {
        // Inputs first: an output file is emptied only when the rest is known to work.
        let sources = settings
            .inputs
            .iter()
            .enumerate()
            .map(|(n, endpoint)| {
                Source::open(endpoint).map_err(|why| format!("input {}: {why}", n + 1))
            })
            .collect::<Result<Vec<_>, _>>()?;
        // Where the system chose the port, it is known now.
        for (endpoint, source) in settings.inputs.iter_mut().zip(&sources) {
            if let Kind::Udp(udp) = &endpoint.kind
                && udp.addr.port() == 0
                && let Some(addr) = source.local_addr()
            {
                *endpoint = Endpoint::udp(addr);
            }
        }
        let policy = &settings.policy;
        let output = Output::open(&settings.output).map_err(|why| format!("output: {why}"))?;
        let output = Arc::new(output.rewriting(policy.rewrites()));
        let (lookback, trail) = (policy.lookback(), Arc::new(Trail::default()));
        let config = config(&settings);
        let engine = Engine::builder().config(config.clone()).build();
        let engine = engine.map_err(|why| why.to_string())?;
        // Subscribed before the stream is there, so that no event is missed.
        let events = engine.subscribe(0);
        let stream = stream(&settings);
        let packet_log = match &settings.packet_log {
            Some(path) => {
                let log = PacketLog::create(path, &config, &stream);
                let log = log.map_err(|why| format!("packet log {}: {why}", path.display()))?;
                Some((Arc::new(log), engine.subscribe(LOGGED_EVENTS)))
            }
            None => None,
        };
        engine.register(stream).map_err(|why| why.to_string())?;
        let (note, notes) = mpsc::channel();
        let mut inputs = Vec::with_capacity(sources.len());
        for (source, priority) in sources.into_iter().zip(1..) {
            if let Source::Udp(receiver) = &source
                && receiver.is_buffer_small()
                && priority == 1
            {
                let _ = note.send(format!(
                    "receive buffers are {} KiB; more (net.core.rmem_max) rides out longer pauses",
                    receiver.buffer / 1024
                ));
            }
            let counts = Arc::new(InputCounts::default());
            let log = packet_log.as_ref().map(|(log, _)| Arc::clone(log));
            if let Some(log) = &log {
                log.line(engine.now_ns(), format_args!("open {priority}"));
            }
            let feed = Feed {
                engine: engine.clone(),
                recorder: engine.recorder(STREAM, priority, None).map_err(|e| e.to_string())?,
                priority,
                counts: Arc::clone(&counts),
                output: Arc::clone(&output),
                eyes: Eyes::new(),
                // Files and pipes are slates, not twins of a feed: nothing to align.
                lookback: lookback
                    .filter(|_| matches!(source, Source::Udp(_)))
                    .map(|(span, wish)| Lookback::new(span, wish)),
                trail: Arc::clone(&trail),
                stop: Arc::clone(&stop),
                notes: note.clone(),
                log,
            };
            let (local_addr, may_hang) = (source.local_addr(), source.may_hang());
            let looped = settings.looped;
            let thread = std::thread::Builder::new()
                .name(format!("input-{priority}"))
                .spawn(move || feed.run(source, looped))
                .map_err(|why| format!("cannot start a thread: {why}"))?;
            inputs.push(Input { counts, local_addr, may_hang, thread });
        }
        let started = Instant::now();
        Ok(Self { settings, engine, events, inputs, output, stop, packet_log, notes, started })
    }

    pub(crate) fn events(&self) -> &Subscription {
        &self.events
    }

    /// Remarks that no event stands for.
    pub(crate) fn notes(&self) -> impl Iterator<Item = String> + '_ {
        self.notes.try_iter()
    }

    pub(crate) fn stop(&self) -> &Stop {
        &self.stop
    }

    /// Where a UDP input really listens; they are counted from 1.
    pub(crate) fn local_addr(&self, input: usize) -> Option<SocketAddr> {
        self.inputs.get(input.checked_sub(1)?)?.local_addr
    }

    /// The engine's clock.
    pub(crate) fn now_ns(&self) -> u64 {
        self.engine.now_ns()
    }

    fn log(&self, what: std::fmt::Arguments<'_>) {
        if let Some((log, _)) = &self.packet_log {
            log.line(self.engine.now_ns(), what);
        }
    }

    pub(crate) fn switch_to(&self, input: i32) -> Result<SwitchTicket, Error> {
        self.log(format_args!("switch {input}"));
        self.engine.switch_input(STREAM, input)
    }

    pub(crate) fn clear_override(&self) -> Result<(), Error> {
        self.log(format_args!("clear"));
        self.engine.clear_override(STREAM)
    }

    /// The input on the air.
    pub(crate) fn on_air(&self) -> Option<i32> {
        self.engine.runtime_status(STREAM).ok()?.active_input_priority
    }

    pub(crate) fn hold(&self, input: i32, hold: Hold) -> Result<SwitchTicket, Error> {
        let when_dead = if hold.when_dead == WhenDead::Keep { "keep" } else { "release" };
        self.log(format_args!("hold {input} {} {when_dead}", hold.ttl_ms));
        self.engine.hold_input(STREAM, input, hold)
    }

    pub(crate) fn release_hold(&self) -> Result<(), Error> {
        self.log(format_args!("release"));
        self.engine.release_hold(STREAM)
    }

    /// How long the output has not taken a packet that it was given.
    pub(crate) fn output_blocked_for(&self) -> Duration {
        self.output.blocked_for()
    }

    /// Ends the relay when nothing can ever come again.
    pub(crate) fn end_if_nothing_is_left(&self) {
        if self.inputs.iter().all(|input| input.counts.ended.load(Relaxed)) {
            self.stop.raise(End::InputsEnded);
        }
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let inputs = self.inputs.iter().zip(&self.settings.inputs);
        Snapshot {
            at: Instant::now(),
            uptime: self.started.elapsed(),
            status: self.engine.runtime_status(STREAM).expect("registered until the relay ends"),
            stats: self.engine.stats(),
            inputs: inputs.map(|(input, from)| input.counts.figures(from)).collect(),
            output_address: self.settings.output.to_string(),
            output: self.output.counts(),
        }
    }

    /// Ends the threads and the engine, and answers how things were at the end.
    pub(crate) fn finish(self) -> (Snapshot, End) {
        self.stop.raise(End::Quit);
        // Taken before the inputs fall silent: what the engine then says of them is no news.
        let status = self.engine.runtime_status(STREAM);
        let until = Instant::now() + JOIN_TIMEOUT;
        let busy = |input: &Input| !input.may_hang && !input.thread.is_finished();
        while self.inputs.iter().any(busy) && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(2));
        }
        let mut last = self.snapshot();
        last.status = status.unwrap_or(last.status);
        if let Some((log, events)) = &self.packet_log {
            log.finish(&events.drain());
        }
        // Nothing is left to be told, and no host call to wait for.
        let _ = self.engine.shutdown();
        let end = self.stop.reason().unwrap_or(End::Quit);
        (last, end)
    }
}

impl InputCounts {
    fn figures(&self, endpoint: &Endpoint) -> InputFigures {
        InputFigures {
            address: endpoint.to_string(),
            received: self.received.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            forwarded: self.forwarded.load(Relaxed),
            overtaken: self.overtaken.load(Relaxed),
            garbage: self.garbage.load(Relaxed),
            looked_back: self.looked_back.load(Relaxed),
            ended: self.ended.load(Relaxed),
        }
    }
}

fn config(settings: &Settings) -> EngineConfig {
    let config = EngineConfig {
        packet_timeout_ms: settings.timeout_ms,
        connect_timeout_ms: settings.connect_timeout_ms,
        failback_stable_ms: settings.failback_stable_ms,
        failback_cooldown_ms: settings.failback_cooldown_ms,
        switch_history: SWITCHES_KEPT,
        ..EngineConfig::default()
    };
    settings.policy.apply(config)
}

/// Priorities are the numbers that the user counts by, so that the engine's texts mean the same.
fn stream(settings: &Settings) -> StreamConfig {
    settings.inputs.iter().zip(1..).fold(StreamConfig::new(STREAM), |stream, (input, priority)| {
        stream.input(InputConfig::hot(priority, input.to_string()))
    })
}
