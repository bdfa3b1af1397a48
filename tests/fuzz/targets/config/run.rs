//! An engine with the configuration in hand, driven by hand for some seconds: what it refuses, what
//! it shows, and that no input is called silent before its time.

use std::collections::HashMap;
use std::time::Duration;

use changeover::{
    AnswerToken, Condition, DriverCall, Engine, EngineConfig, EventKind, HandEngine, Hold,
    InputStatus, InputsUpdate, Packet, Recorder, RuntimeStatus, Silence, StreamConfig,
    Subscription, SwitchReason, Tracks, Verdict, WhenDead,
};

use crate::bytes::Bytes;
use crate::{make, sane};

/// What an engine is run with. The default stream has two hot inputs and a cold one.
pub struct Case {
    pub engine: EngineConfig,
    pub stream: StreamConfig,
    pub update: InputsUpdate,
}

impl Default for Case {
    fn default() -> Self {
        use changeover::InputConfig;
        let stream = StreamConfig::new("news")
            .input(InputConfig::hot(0, "a"))
            .input(InputConfig::hot(1, "b"))
            .input(InputConfig::cold(2, "c"));
        Self { engine: EngineConfig::default(), stream, update: InputsUpdate::default() }
    }
}

/// All steps of one run together may take so much simulated time: deadlines lie as densely as the
/// configuration says, 1 ms apart at worst.
const LONGEST_RUN: Duration = Duration::from_secs(12);

struct World<'a> {
    engine: HandEngine,
    id: &'a str,
    events: Subscription,
    recorders: Vec<Recorder>,
    /// Least silence that is a failure, ns; `None` while it may be learned or has changed.
    least_ns: Option<u64>,
    last_packet: HashMap<i32, u64>,
    left: Duration,
    unanswered: Vec<AnswerToken>,
}

/// 0 is the other's, or this default; in ns.
fn effective_ns(chain: &[i64]) -> u64 {
    let ms = chain.iter().copied().find(|ms| *ms != 0).unwrap_or(30_000);
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000).min(i64::MAX as u64)
}

/// The least of all packet and connect timeouts, where silence is judged by them.
fn least_silence(case: &Case) -> Option<u64> {
    let Case { engine, stream, .. } = case;
    let healths = [&engine.health, &stream.health].into_iter();
    let healths = healths.chain(stream.inputs.iter().map(|input| &input.health));
    let learned = |silence| matches!(silence, Silence::Learned { .. });
    if healths.flatten().any(|health| learned(health.silence)) {
        return None;
    }
    let of = |packet: i64, connect: i64| {
        let silent = effective_ns(&[packet, stream.packet_timeout_ms, engine.packet_timeout_ms]);
        let chain = [connect, stream.connect_timeout_ms, engine.connect_timeout_ms];
        let connect = if chain == [0; 3] { silent } else { effective_ns(&chain) };
        silent.min(connect)
    };
    stream.inputs.iter().map(|input| of(input.packet_timeout_ms, input.connect_timeout_ms)).min()
}

pub fn run(mut case: Case, input: &mut Bytes<'_>) {
    let built = Engine::builder().config(case.engine.clone()).build_hand_driven();
    assert_eq!(built.is_ok(), sane::engine(&case.engine), "{:?}", case.engine);
    let engine = match built {
        Ok(engine) => engine,
        Err(_) => {
            // Refused by a living engine, too, and nothing is changed.
            let engine = HandEngine::new_for_testing(EngineConfig::default());
            assert!(engine.set_config(std::mem::take(&mut case.engine)).is_err());
            assert_eq!(engine.config(), EngineConfig::default());
            engine
        }
    };
    let registered = engine.register(case.stream.clone());
    assert_eq!(registered.is_ok(), sane::stream(&case.stream), "{registered:?} {:?}", case.stream);
    assert_eq!(registered, case.stream.validate());
    if registered.is_err() {
        assert!(engine.registered_streams().is_empty(), "refused, and there all the same");
        return;
    }
    let events = engine.subscribe(0);
    let id = case.stream.id.as_str();
    let least_ns = least_silence(&case);
    let mut world = World {
        engine,
        id,
        events,
        recorders: Vec::new(),
        least_ns,
        last_packet: HashMap::new(),
        left: LONGEST_RUN,
        unanswered: Vec::new(),
    };
    let mut update = Some(case.update);
    for step in 0..80 {
        if input.is_empty() && step > 12 {
            break;
        }
        world.step(input, &mut update);
        world.look();
    }
    let World { engine, recorders, .. } = world;
    engine.unregister(id).expect("it is registered");
    for mut recorder in recorders {
        assert_eq!(recorder.record(Packet::new(1)), Verdict::Stale, "of a stream that is gone");
    }
}

fn packet(input: &mut Bytes<'_>) -> Packet {
    let what = input.byte();
    if what < 200 {
        return Packet::new(1316).frames(1).tracks(Tracks::VIDEO).keyframe(what & 7 == 0);
    }
    let tracks = input.pick(&[Tracks::NONE, Tracks::AUDIO, Tracks::VIDEO, Tracks::OTHER]);
    Packet::new(input.number() as usize)
        .frames(input.number() as u16)
        .lost(input.number() as u16)
        .tracks(tracks)
        .keyframe(input.flag())
}

impl World<'_> {
    fn step(&mut self, input: &mut Bytes<'_>, update: &mut Option<InputsUpdate>) {
        let (engine, id) = (&self.engine, self.id);
        let priority = i32::from(input.byte() % 6);
        match input.byte() % 24 {
            0..5 => self.record(input, priority),
            5 | 6 => self.open(priority),
            7..11 => self.answer(input),
            11..15 => {
                let by = input.pick(&[1, 5, 20, 40, 100, 100, 500, 1000, 3000]);
                let by = Duration::from_millis(by).min(self.left);
                self.left -= by;
                engine.advance(by);
            }
            15 => {
                let update = update.take().unwrap_or_else(|| make::update(input));
                let good = sane::inputs(&update.added) && sane::inputs(&update.updated);
                let done = engine.update_inputs(id, update);
                assert!(good || done.is_err(), "an update that is none was taken");
                self.least_ns = self.least_ns.filter(|_| done.is_err());
            }
            16 => {
                let config = make::engine(input);
                let done = engine.set_config(config.clone());
                assert_eq!(done.is_ok(), sane::engine(&config), "{config:?}");
                if done.is_ok() {
                    // Not a number cannot be equal; it is refused.
                    assert_eq!(engine.config(), config);
                    self.least_ns = None;
                }
            }
            17 => drop(engine.switch_input(id, priority)),
            18 => {
                let dead = input.pick(&[WhenDead::Keep, WhenDead::Release]);
                let ttl_ms = input.number();
                let held = engine.hold_input(id, priority, Hold { ttl_ms, when_dead: dead });
                assert!(ttl_ms >= 0 || held.is_err(), "a hold of {ttl_ms} ms");
            }
            19 => {
                let condition = Condition {
                    name: make::id(input),
                    hold_ms: input.number(),
                    clear_ms: input.number(),
                };
                let raised = engine.raise_condition(id, priority, condition.clone());
                let good = sane::id(&condition.name)
                    && condition.name.len() <= 64
                    && condition.hold_ms >= 0
                    && condition.clear_ms >= 0;
                assert!(good || raised.is_err(), "{condition:?}");
                if input.flag() {
                    let _ = engine.clear_condition(id, priority, &condition.name);
                }
            }
            20 => drop(engine.set_input_enabled(id, priority, input.flag())),
            21 => drop(engine.report_input_error(id, priority, None, "why")),
            22 => {
                let _ = engine.clear_override(id);
                let _ = engine.release_hold(id);
            }
            _ => {
                let buffer = make::id(input);
                let done = engine.update_buffer_write_id(id, &buffer);
                assert_eq!(done.is_ok(), buffer.is_empty() || sane::id(&buffer), "{buffer:?}");
            }
        }
    }

    fn open(&mut self, priority: i32) {
        if self.recorders.len() < 16
            && let Ok(recorder) = self.engine.recorder(self.id, priority, None)
        {
            self.recorders.push(recorder);
        }
    }

    fn record(&mut self, input: &mut Bytes<'_>, priority: i32) {
        let now = self.engine.now_ns();
        let count = self.recorders.len();
        if count == 0 || priority == 5 {
            if self.engine.record_packet(self.id, priority) != Verdict::Stale {
                self.last_packet.insert(priority, now);
            }
            return;
        }
        let recorder = &mut self.recorders[priority as usize % count];
        let (packet, of) = (packet(input), recorder.priority());
        // A time of the host's own is believed as far as it lies behind now.
        let (at, how) = (input.number() as u64, input.byte() % 4);
        let verdict = match how {
            0 => recorder.record_precise(packet),
            1 => recorder.record_at(packet, at),
            _ => recorder.record(packet),
        };
        if verdict != Verdict::Stale {
            let at = if how == 1 { at.min(now) } else { now };
            let last = self.last_packet.entry(of).or_default();
            *last = at.max(*last);
        }
    }

    /// Takes driver calls, and answers them in one of the ways that there are.
    fn answer(&mut self, input: &mut Bytes<'_>) {
        for _ in 0..8 {
            let Some(call) = self.engine.next_call() else { return };
            let token = match &call {
                DriverCall::Start(start) => start.token(),
                DriverCall::Probe(probe) => probe.token(),
                _ => continue,
            };
            match input.byte() % 8 {
                0 => token.failed("no route"),
                1 => token.unsupported(),
                2 => drop(token),
                3 => self.unanswered.push(token),
                _ => {
                    token.done();
                    if let DriverCall::Start(start) = &call
                        && let Ok(recorder) =
                            self.engine.recorder(self.id, start.input.priority, start.epoch)
                    {
                        self.recorders.push(recorder);
                    }
                }
            }
        }
    }

    /// What is shown, and what was told since the last look.
    fn look(&mut self) {
        let status = self.engine.runtime_status(self.id).expect("it is registered");
        let config = self.engine.config();
        let kept = |count: usize, default: usize| if count == 0 { default } else { count };
        let sorted = status.inputs.is_sorted_by_key(|input| input.input_priority);
        assert!(sorted, "{status:?}");
        let active = status.inputs.iter().filter(|input| input.status == InputStatus::Active);
        assert!(active.count() <= 1, "two are active: {status:?}");
        assert!(status.switches.len() <= kept(config.switch_history, 20), "{status:?}");
        assert!(status.usable_inputs <= status.inputs.len(), "{status:?}");
        for input in &status.inputs {
            assert!(input.errors.len() <= kept(config.error_history, 5), "{input:?}");
            assert!(input.bitrate_kbps >= 0.0 && input.bitrate_kbps.is_finite(), "{input:?}");
            assert!((0.0..=100.0).contains(&input.packet_loss), "{input:?}");
            assert!(input.fps >= 0.0 && input.fps.is_finite(), "{input:?}");
            let learned = input.learned.is_none_or(|it| it.timeout_ms > 0.0);
            assert!(learned, "{input:?}");
        }
        let text = serde_json::to_string(&status).expect("a status can be written");
        let read: RuntimeStatus = serde_json::from_str(&text).expect("and read");
        assert_eq!(read.inputs.len(), status.inputs.len());
        for event in self.events.drain() {
            serde_json::to_string(&event).expect("an event can be written");
            if let EventKind::InputDegraded { input_priority, cause, .. } = &event.kind
                && *cause == SwitchReason::Timeout
                && let Some(least) = self.least_ns
            {
                let last = self.last_packet.get(input_priority).copied().unwrap_or(0);
                let silent = event.at_ns.saturating_sub(last);
                assert!(silent >= least, "silent for {silent} ns, not {least}: {event:?}");
            }
        }
    }
}
