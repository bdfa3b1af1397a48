//! A stream of cold inputs whose driver always works: started inputs deliver a packet each 20 ms,
//! of a size that the test names.

use std::time::Duration;

use changeover::{
    DriverCall, EngineConfig, EventKind, HandEngine, InputConfig, Packet, Recorder, RuntimeStatus,
    StreamConfig, Subscription, SwitchReason,
};

use crate::lab::STREAM;

/// See the module's documentation.
pub(crate) struct ColdLab {
    pub(crate) engine: HandEngine,
    recorders: Vec<Option<Recorder>>,
    events: Subscription,
    /// What each input delivers, kbit/s; 0 = nothing.
    pub(crate) kbps: Vec<usize>,
    /// Probes answer yes; else the driver knows none.
    pub(crate) probes: bool,
    /// When each start was called, ms, and of which input.
    pub(crate) starts: Vec<(u64, i32)>,
    /// The moves, their times in ms.
    pub(crate) moves: Vec<(u64, i32, SwitchReason)>,
}

impl ColdLab {
    /// So many inputs, 0 and up, of 1,000 kbit/s each.
    pub(crate) fn new(inputs: i32, config: EngineConfig) -> Self {
        let engine = HandEngine::new_for_testing(config);
        let events = engine.subscribe(100_000);
        let stream = (0..inputs).fold(StreamConfig::new(STREAM), |stream, priority| {
            stream.input(InputConfig::cold(priority, format!("udp://{priority}")))
        });
        engine.register(stream).expect("registers");
        Self {
            engine,
            recorders: (0..inputs).map(|_| None).collect(),
            events,
            kbps: vec![1000; inputs as usize],
            probes: true,
            starts: Vec::new(),
            moves: Vec::new(),
        }
    }

    /// So many ms, in steps of 20.
    pub(crate) fn run(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            self.answer();
            for (recorder, kbps) in self.recorders.iter_mut().zip(&self.kbps) {
                if let Some(recorder) = recorder.as_mut().filter(|_| *kbps > 0) {
                    let _ = recorder.record(Packet::new(kbps * 20 / 8));
                }
            }
            self.answer();
            self.engine.advance(Duration::from_millis(20));
            self.listen();
        }
    }

    fn answer(&mut self) {
        while let Some(call) = self.engine.next_call() {
            match call {
                DriverCall::Start(call) => {
                    let priority = call.input.priority;
                    self.starts.push((self.now_ms(), priority));
                    let recorder = self.engine.recorder(STREAM, priority, call.epoch);
                    self.recorders[priority as usize] = Some(recorder.expect("opens"));
                    call.token().done();
                }
                DriverCall::Stop(call) => self.recorders[call.input_priority as usize] = None,
                DriverCall::Probe(call) if self.probes => call.token().done(),
                DriverCall::Probe(call) => call.token().unsupported(),
                _ => {}
            }
        }
    }

    fn listen(&mut self) {
        for event in self.events.drain() {
            if let EventKind::InputFailover { to, reason, .. } = event.kind {
                self.moves.push((event.at_ns / 1_000_000, to, reason));
            }
        }
    }

    /// The input's producer reports an error.
    pub(crate) fn fail(&mut self, input: usize) {
        self.recorders[input].as_mut().expect("runs").report_error("killed");
    }

    pub(crate) fn now_ms(&self) -> u64 {
        self.engine.now_ns() / 1_000_000
    }

    pub(crate) fn status(&self) -> RuntimeStatus {
        self.engine.runtime_status(STREAM).expect("is registered")
    }

    pub(crate) fn active(&self) -> Option<i32> {
        self.status().active_input_priority
    }
}
