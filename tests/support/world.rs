//! One engine with scripted sources, on either clock: what a scenario does and waits for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use changeover::{
    Engine, EngineConfig, Event, InputConfig, RuntimeStatus, StreamConfig, Subscription,
};

use super::hand::Hand;
use super::real::{Driver, Troupe};
use super::script::{self, Feed, Source};
use super::stage::{Clock, Entry, STREAM, Stage};
use super::{Ctx, Form, REAL_LATE_NS, REAL_SCALE, render};

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) form: Form,
    pub(crate) stage: Arc<Stage>,
    clock: Clock,
    engine: Engine,
    hand: Option<Hand>,
    troupe: Option<Arc<Troupe>>,
    subscription: Subscription,
    /// Every event so far, and the same as lines.
    pub(crate) events: Vec<Event>,
    pub(crate) told: Vec<Entry>,
    /// The packet timeout that texts are checked against, in scenario time.
    pub(crate) timeout: u64,
    pub(crate) finished: bool,
}

/// Where the log stood.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    pub(crate) calls: usize,
    pub(crate) told: usize,
}

impl World {
    /// An engine with the default policy.
    pub(crate) fn new(ctx: &Ctx) -> Self {
        Self::with_config(ctx, EngineConfig::default())
    }

    /// An engine with the default policy but for the packet timeout.
    pub(crate) fn with_timeout(ctx: &Ctx, timeout: u64) -> Self {
        let packet_timeout_ms = i64::try_from(timeout / 1_000_000).expect("fits");
        Self::with_config(ctx, EngineConfig { packet_timeout_ms, ..Default::default() })
    }

    /// An engine with this policy, in scenario time.
    pub(crate) fn with_config(ctx: &Ctx, config: EngineConfig) -> Self {
        let stage = Stage::new(ctx);
        let timeout = match u64::try_from(config.packet_timeout_ms).expect("not negative") {
            0 => script::T,
            own => script::ms(own),
        };
        let builder = Engine::builder().config(scaled(&config, ctx.form));
        let (engine, hand, troupe, clock) = match ctx.form {
            Form::Hand => {
                let hand = builder.build_hand_driven().expect("a hand-driven engine");
                let engine: Engine = (*hand).clone();
                let clock = Clock::new(&engine, ctx.form);
                (engine, Some(Hand::new(hand, Arc::clone(&stage), clock)), None, clock)
            }
            Form::Real => {
                let troupe = Troupe::new(Arc::clone(&stage));
                let engine = builder.driver(Driver(Arc::clone(&troupe))).build().expect("builds");
                let clock = Clock::new(&engine, ctx.form);
                troupe.open(engine.clone(), clock);
                (engine, None, Some(troupe), clock)
            }
        };
        for name in ["exhausted", "restored"] {
            let (stage, engine_clock) = (Arc::clone(&stage), engine.clone());
            let note = move |stream: &str| stage.callback(clock.now(&engine_clock), stream, name);
            if name == "exhausted" {
                engine.set_exhausted_callback(Some(Box::new(note)));
            } else {
                engine.set_restored_callback(Some(Box::new(note)));
            }
        }
        let subscription = engine.subscribe(1 << 16);
        let (events, told) = (Vec::new(), Vec::new());
        let (form, finished) = (ctx.form, false);
        Self {
            form,
            stage,
            clock,
            engine,
            hand,
            troupe,
            subscription,
            events,
            told,
            timeout,
            finished,
        }
    }

    pub(crate) fn is_real(&self) -> bool {
        self.form == Form::Real
    }

    /// Scenario time.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now(&self.engine)
    }

    /// Scenario milliseconds as the engine's configuration wants them.
    pub(crate) fn config_ms(&self, scenario_ns: u64) -> i64 {
        i64::try_from(scenario_ns / self.clock.scale / 1_000_000).expect("fits")
    }

    /// Scripts a source from the beginning.
    pub(crate) fn source(&mut self, address: &str, feeds: &[(u64, Feed)]) {
        self.stage.source(address, |source| source.schedule(feeds));
    }

    /// Looks at or changes a source.
    pub(crate) fn tune<R>(&mut self, address: &str, f: impl FnOnce(&mut Source) -> R) -> R {
        self.stage.source(address, f)
    }

    /// From now on the source gives this. Answers when that was.
    pub(crate) fn set(&mut self, address: &str, feed: Feed) -> u64 {
        let now = self.now();
        self.stage.source(address, |source| source.change(now, feed));
        self.pump();
        now
    }

    /// Kills a running source, and answers when it reported.
    pub(crate) fn kill(&mut self, address: &str, why: &'static str) -> u64 {
        let reports = |source: &mut Source| source.reports.len();
        let before = self.tune(address, reports);
        self.set(address, Feed::Killed(why));
        self.wait("the killed source's report", |world| {
            world.tune(address, |source| source.reports.get(before).copied())
        })
    }

    /// When the source last sent a packet.
    pub(crate) fn last_packet(&mut self, address: &str) -> u64 {
        self.wait("a packet", |world| world.tune(address, |source| source.last_packet))
    }

    /// Registers [`STREAM`] with cold inputs of these priorities; the address of `p` is `a{p}`.
    pub(crate) fn register(&mut self, priorities: &[i32]) {
        let mut config = StreamConfig::new(STREAM);
        for priority in priorities {
            config = config.input(input(*priority));
        }
        self.act(|engine| engine.register(config)).expect("registers");
    }

    /// Calls the engine, and on the hand-driven clock carries out what follows at once.
    pub(crate) fn act<R>(&mut self, operation: impl FnOnce(&Engine) -> R) -> R {
        let result = operation(&self.engine);
        self.pump();
        result
    }

    /// Looks at the engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The hand-driven clock's loop.
    pub(crate) fn hand(&mut self) -> &mut Hand {
        self.hand.as_mut().expect("on the hand-driven clock only")
    }

    pub(crate) fn hand_if_any(&self) -> Option<&Hand> {
        self.hand.as_ref()
    }

    pub(crate) fn status(&self) -> RuntimeStatus {
        self.engine.runtime_status(STREAM).expect("registered")
    }

    /// Lets time pass up to this scenario time.
    pub(crate) fn run_until(&mut self, until: u64) {
        match &mut self.hand {
            Some(hand) => hand.run_until(until),
            None => {
                let now = self.clock.now(&self.engine);
                let real = until.saturating_sub(now).div_ceil(self.clock.scale);
                // Letting time pass is what is asked for here.
                std::thread::sleep(Duration::from_nanos(real));
                let late = self.clock.now(&self.engine).saturating_sub(until);
                if real > 0 {
                    self.stage.ran_late(late, self.clock);
                }
            }
        }
        self.pump();
    }

    pub(crate) fn run_for(&mut self, time: u64) {
        self.run_until(self.now() + time);
    }

    /// Carries out what is due (by hand) and reads the events.
    pub(crate) fn pump(&mut self) {
        if let Some(hand) = &mut self.hand {
            hand.pump();
        }
        while let Some(event) = self.subscription.try_recv() {
            self.read(event);
        }
    }

    fn read(&mut self, event: Event) {
        let text = render::event(&event);
        let text = match &event.stream {
            Some(stream) => super::stage::named(stream, &text),
            None => text,
        };
        let at = self.clock.scenario(event.at_ns);
        if self.is_real() && text.starts_with("stall ") {
            // The monitor itself was starved.
            self.stage.ran_late(u64::MAX, self.clock);
        }
        self.told.push(Entry { at, text, taken: false });
        self.events.push(event);
    }

    /// Waits until the probe gives something: by hand it must be there, on the real clock it may
    /// take 500 ms.
    pub(crate) fn wait<R>(
        &mut self,
        what: &str,
        mut probe: impl FnMut(&mut Self) -> Option<R>,
    ) -> R {
        let give_up = Instant::now() + Duration::from_nanos(REAL_LATE_NS / REAL_SCALE);
        loop {
            self.pump();
            if let Some(found) = probe(self) {
                return found;
            }
            if self.hand.is_some() || Instant::now() >= give_up {
                panic!("not there: {what}\n{}", self.dump());
            }
            self.wait_a_little();
        }
    }

    /// Real clock: until the next event, at most 2 ms.
    fn wait_a_little(&mut self) {
        if let Some(event) = self.subscription.recv_timeout(Duration::from_millis(2)) {
            self.read(event);
        }
    }

    /// The driver call or event whose line is, or begins with, `what` happens at `at`: by hand
    /// exactly then, on the real clock not earlier and at most 500 ms later.
    pub(crate) fn happens(&mut self, what: &str, at: u64) -> Entry {
        self.pump();
        if self.hand.is_some() {
            if at > self.now() {
                self.run_until(at - 1);
                if let Some(early) = self.find(what, |_| true) {
                    panic!("early by {} ns: {early:?}\n{}", at - early.at, self.dump());
                }
                self.run_until(at);
            }
            return match self.take(what, |entry| entry.at == at) {
                Some(entry) => entry,
                None => panic!("not at {}: {what}\n{}", show(at), self.dump()),
            };
        }
        let latest = at + REAL_LATE_NS;
        loop {
            self.pump();
            if let Some(entry) = self.take(what, |_| true) {
                let in_time = (at..=latest).contains(&entry.at);
                assert!(in_time, "{entry:?} not at {}\n{}", show(at), self.dump());
                return entry;
            }
            // The log of a call or an event may itself come a little after its time.
            if self.now() > latest + super::s(5) {
                panic!("not by {}: {what}\n{}", show(latest), self.dump());
            }
            self.wait_a_little();
        }
    }

    /// Several lines at one moment. Answers the time of the last one.
    pub(crate) fn happen(&mut self, what: &[&str], at: u64) -> u64 {
        what.iter().map(|line| self.happens(line, at).at).max().unwrap_or(at)
    }

    /// An untaken line that fits.
    fn find(&mut self, what: &str, fits: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let fits = |entry: &&Entry| !entry.taken && matches(&entry.text, what) && fits(entry);
        let called = self.stage.lock().calls.iter().find(fits).cloned();
        called.or_else(|| self.told.iter().find(fits).cloned())
    }

    /// The same, and takes it.
    fn take(&mut self, what: &str, fits: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let fits = |entry: &&mut Entry| !entry.taken && matches(&entry.text, what) && fits(entry);
        let take = |entry: &mut Entry| {
            entry.taken = true;
            entry.clone()
        };
        let called = self.stage.lock().calls.iter_mut().find(fits).map(take);
        called.or_else(|| self.told.iter_mut().find(fits).map(take))
    }

    /// Takes everything seen so far: later expectations look only at what follows.
    pub(crate) fn skip(&mut self) {
        self.pump();
        self.stage.lock().calls.iter_mut().for_each(|entry| entry.taken = true);
        self.told.iter_mut().for_each(|entry| entry.taken = true);
    }

    pub(crate) fn mark(&mut self) -> Mark {
        self.pump();
        let calls = self.stage.lock().calls.len();
        Mark { calls, told: self.told.len() }
    }

    /// Everything seen so far, for a failure's report.
    pub(crate) fn dump(&self) -> String {
        let mut all: Vec<Entry> = self.stage.lock().calls.clone();
        for entry in &mut all {
            entry.text.insert_str(0, "call ");
        }
        let mut callbacks = self.stage.lock().callbacks.clone();
        for entry in &mut callbacks {
            entry.text.insert_str(0, "callback ");
        }
        all.extend(self.told.iter().cloned());
        all.extend(callbacks);
        all.sort_by_key(|entry| entry.at);
        let lines: Vec<String> =
            all.iter().map(|entry| format!("  {:>12}  {}", show(entry.at), entry.text)).collect();
        let status = self.engine.runtime_status(STREAM);
        format!("now {}\n{}\n{status:?}", show(self.now()), lines.join("\n"))
    }

    /// Ends the harness's threads and the engine. Answers how many host calls were stuck.
    pub(crate) fn close(&mut self) -> usize {
        self.finished = true;
        if let Some(troupe) = &self.troupe {
            troupe.close();
        }
        self.engine.shutdown().map_or(0, |report| report.detached_calls)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !self.finished {
            // A stall may be among what was not read yet. By hand nothing must run here: this
            // may be a panic's way out.
            if self.is_real() {
                self.pump();
            }
            self.close();
        }
    }
}

/// A cold input of this priority with its usual address.
pub(crate) fn input(priority: i32) -> InputConfig {
    InputConfig::cold(priority, format!("a{priority}"))
}

/// Whether a line is `what`, or begins with it as whole words.
fn matches(line: &str, what: &str) -> bool {
    line.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// Scenario time for people.
pub(crate) fn show(at: u64) -> String {
    format!("{}.{:09} s", at / 1_000_000_000, at % 1_000_000_000)
}

/// The policy in the engine's time: on the real clock every default is spelled out and scaled.
pub(crate) fn scaled(config: &EngineConfig, form: Form) -> EngineConfig {
    if form == Form::Hand {
        return config.clone();
    }
    let real = |own_ms: i64, default_ns: u64| match own_ms {
        0 => i64::try_from(default_ns / REAL_SCALE / 1_000_000).expect("fits"),
        own_ms => own_ms / i64::try_from(REAL_SCALE).expect("fits"),
    };
    EngineConfig {
        packet_timeout_ms: real(config.packet_timeout_ms, script::T),
        connect_timeout_ms: real(config.connect_timeout_ms, 0),
        probe_cooldown_ms: real(config.probe_cooldown_ms, script::PROBE_COOLDOWN),
        probe_timeout_ms: real(config.probe_timeout_ms, script::PROBE_TIMEOUT),
        stop_timeout_ms: real(config.stop_timeout_ms, script::STOP_TIMEOUT),
        failback_cooldown_ms: real(config.failback_cooldown_ms, script::FAILBACK_COOLDOWN),
        failback_stable_ms: real(config.failback_stable_ms, script::FAILBACK_STABLE),
        error_history: config.error_history,
        switch_history: config.switch_history,
        ..config.clone()
    }
}
