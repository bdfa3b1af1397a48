//! What a scenario asserts of a world, and the rules that hold at the end of every one of them.

use std::fmt::Debug;
use std::time::Duration;

use changeover::{Error, EventKind, InputsUpdate, RuntimeStatus};

use super::render;
use super::stage::STREAM;
use super::world::{Mark, World};

impl World {
    /// A view of the status: by hand at once, on the real clock within 500 ms.
    pub(crate) fn sees<R: PartialEq + Debug>(
        &mut self,
        what: &str,
        view: impl Fn(&RuntimeStatus) -> R,
        expected: R,
    ) {
        if self.is_real() {
            self.wait_or(|world| (view(&world.status()) == expected).then_some(()));
        }
        let seen = view(&self.status());
        assert!(seen == expected, "{what}: {seen:?}, not {expected:?}\n{}", self.dump());
    }

    /// Waits like [`World::wait`], but leaves the judgement to the caller.
    fn wait_or(&mut self, mut probe: impl FnMut(&mut Self) -> Option<()>) {
        let latest = self.now() + super::REAL_LATE_NS;
        while probe(self).is_none() && self.now() < latest {
            self.run_for(super::ms(100));
        }
    }

    /// Active input, override, exhausted.
    pub(crate) fn is_on(&mut self, active: Option<i32>, over: Option<i32>, exhausted: bool) {
        let view = |st: &RuntimeStatus| {
            (st.active_input_priority, st.override_input_priority, st.exhausted)
        };
        self.sees("active, override, exhausted", view, (active, over, exhausted));
    }

    /// Every input's state, `0:active 1:idle`.
    pub(crate) fn states(&mut self, expected: &str) {
        self.sees("states", render::states, expected.to_owned());
    }

    /// The switch history, oldest first, texts of silences blurred.
    pub(crate) fn history(&mut self, expected: &[&str]) {
        let timeout = self.engine_timeout();
        let view = |st: &RuntimeStatus| {
            let lines = render::history(st);
            lines.iter().map(|line| render::blur_silence(line, timeout)).collect::<Vec<_>>()
        };
        self.sees("history", view, expected.iter().map(|line| (*line).to_owned()).collect());
    }

    /// The whole story of the stream in events, texts of silences blurred.
    pub(crate) fn story(&mut self, expected: &[&str]) {
        let timeout = self.engine_timeout();
        let told = |world: &mut Self| {
            world.pump();
            let lines = world.told.iter().filter(|entry| render::is_story(&entry.text));
            lines.map(|e| render::blur_silence(&e.text, timeout)).collect::<Vec<String>>()
        };
        if self.is_real() {
            self.wait_or(|world| (told(world) == expected).then_some(()));
        }
        let seen = told(self);
        assert!(seen == expected, "story: {seen:#?}\nnot {expected:#?}\n{}", self.dump());
    }

    /// The packet timeout on the engine's clock, ns.
    pub(crate) fn engine_timeout(&self) -> u64 {
        if self.is_real() { self.timeout / super::REAL_SCALE } else { self.timeout }
    }

    /// All driver calls since the mark, in any order (calls for different inputs may overtake
    /// each other). On the real clock without probes: how many there were by now depends on how
    /// late the test itself looks; their times are checked one by one instead.
    pub(crate) fn calls_since(&mut self, mark: Mark, expected: &[&str]) {
        let real = self.is_real();
        let counts = move |line: &str| !(real && line.starts_with("probe "));
        let mut expected: Vec<String> =
            expected.iter().filter(|line| counts(line)).map(|line| (*line).to_owned()).collect();
        expected.sort();
        let calls = |world: &mut Self| {
            world.pump();
            let inner = world.stage.lock();
            let lines = inner.calls[mark.calls..].iter().map(|entry| entry.text.clone());
            let mut lines: Vec<String> = lines.filter(|line| counts(line)).collect();
            lines.sort();
            lines
        };
        if self.is_real() {
            self.wait_or(|world| (calls(world) == expected).then_some(()));
        }
        let seen = calls(self);
        assert!(seen == expected, "calls: {seen:?}\nnot {expected:?}\n{}", self.dump());
    }

    /// Nothing of this kind (first words of a line) has happened since the mark.
    pub(crate) fn nothing_since(&mut self, mark: Mark, kinds: &[&str]) {
        self.pump();
        let inner = self.stage.lock();
        let calls = inner.calls[mark.calls..].iter();
        let lines: Vec<String> =
            calls.chain(self.told[mark.told..].iter()).map(|entry| entry.text.clone()).collect();
        drop(inner);
        let is = |line: &str, kind: &str| {
            line.strip_prefix(kind).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        let bad = lines.iter().find(|line| kinds.iter().any(|kind| is(line, kind)));
        assert!(bad.is_none(), "{bad:?}\n{}", self.dump());
    }

    /// When the driver was told to probe this input, in scenario time.
    pub(crate) fn probe_times(&mut self, priority: i32) -> Vec<u64> {
        self.pump();
        let begin = format!("probe {priority} ");
        let inner = self.stage.lock();
        let probes = inner.calls.iter().filter(|entry| entry.text.starts_with(&begin));
        probes.map(|entry| entry.at).collect()
    }

    /// Failovers: status, metric and events agree.
    pub(crate) fn failovers(&mut self, expected: u64) {
        self.sees("failovers_total", |st| st.failovers_total, expected);
        let text = self.engine().metrics_text();
        let counted = render::metric(&text, "changeover_failovers_total", &[("stream", STREAM)]);
        assert_eq!(counted.unwrap_or(0.0), expected as f64, "metric\n{text}");
        self.pump();
        let events = self.told.iter().filter(|entry| entry.text.starts_with("failover "));
        assert_eq!(events.count() as u64, expected, "failover events\n{}", self.dump());
    }

    /// The health gauges, 1 or 0, by priority.
    pub(crate) fn healths(&mut self, expected: &[(i32, f64)]) {
        for (priority, health) in expected {
            let priority_text = priority.to_string();
            let labels = [("stream", STREAM), ("input_priority", priority_text.as_str())];
            let read = |world: &Self| {
                let text = world.engine().metrics_text();
                render::metric(&text, "changeover_input_health", &labels)
            };
            if self.is_real() {
                self.wait_or(|world| (read(world) == Some(*health)).then_some(()));
            }
            assert_eq!(read(self), Some(*health), "health({priority})\n{}", self.dump());
        }
    }

    /// How often the exhausted and the restored callback have run.
    pub(crate) fn callbacks(&mut self, exhausted: usize, restored: usize) {
        let count = |world: &mut Self, name: &str| {
            world.stage.lock().callbacks.iter().filter(|entry| entry.text == name).count()
        };
        let both = |world: &mut Self| (count(world, "exhausted"), count(world, "restored"));
        if self.is_real() {
            self.wait_or(|world| (both(world) == (exhausted, restored)).then_some(()));
        }
        assert_eq!(both(self), (exhausted, restored), "callbacks\n{}", self.dump());
    }

    /// Applies an update of the inputs.
    pub(crate) fn update(&mut self, update: InputsUpdate) -> Result<(), Error> {
        self.act(|engine| engine.update_inputs(STREAM, update))
    }

    /// The rules of every scenario, then the stream is unregistered, and those of its end.
    pub(crate) fn finish(mut self) {
        self.pump();
        self.check_events();
        self.check_calls();
        self.check_rest();
        if self.is_real() {
            // The barrier: a call that began before may still be writing its line.
            let ended = self.engine().unregister_and_wait(STREAM, Duration::from_secs(1));
            assert!(matches!(ended, Ok(()) | Err(Error::TimedOut { .. })), "{ended:?}");
        }
        let mark = self.mark();
        if !self.is_real() {
            self.act(|engine| engine.unregister(STREAM)).expect("still registered");
        }
        self.check_end(mark);
        // A call past its deadline may return only now that the world closes.
        let stuck = self.engine().stats().stuck_calls;
        let detached = self.close();
        assert!(detached as u64 <= stuck, "{detached} detached, {stuck} stuck");
    }

    /// Events: ids and times ascend, one failover event per move, exhausted and restored in turn
    /// with one callback each.
    fn check_events(&mut self) {
        for pair in self.events.windows(2) {
            assert!(pair[0].id < pair[1].id, "{pair:?}");
            assert!(pair[0].at_ns <= pair[1].at_ns, "{pair:?}");
        }
        let moves =
            |event: &&changeover::Event| matches!(event.kind, EventKind::InputFailover { .. });
        let failovers: Vec<_> = self.events.iter().filter(moves).collect();
        let status = self.status();
        assert_eq!(status.failovers_total, failovers.len() as u64, "{}", self.dump());
        let moved: Vec<_> =
            status.switches.iter().filter(|s| s.from.is_some_and(|from| from != s.to)).collect();
        for (switch, event) in moved.iter().zip(failovers.iter().rev()) {
            let EventKind::InputFailover { from, to, reason, detail } = &event.kind else {
                unreachable!("filtered above")
            };
            assert_eq!(
                (switch.from, switch.to, switch.reason, &switch.detail),
                (Some(*from), *to, *reason, detail),
                "{}",
                self.dump()
            );
            assert_eq!(switch.at, event.at, "{}", self.dump());
        }
        if status.switches.len() < 20 {
            assert_eq!(moved.len(), failovers.len(), "{}", self.dump());
        }
        let mut exhausted = Vec::new();
        for entry in &self.told {
            match entry.text.split(' ').next() {
                Some("exhausted") => exhausted.push("exhausted"),
                Some("restored") => exhausted.push("restored"),
                _ => {}
            }
        }
        assert!(exhausted.windows(2).all(|pair| pair[0] != pair[1]), "{}", self.dump());
        assert!(exhausted.first().is_none_or(|first| *first == "exhausted"), "{}", self.dump());
        let called = |world: &mut Self| {
            let inner = world.stage.lock();
            inner.callbacks.iter().map(|entry| entry.text.clone()).collect::<Vec<_>>()
        };
        if self.is_real() {
            self.wait_or(|world| (called(world) == exhausted).then_some(()));
        }
        assert_eq!(called(self), exhausted, "{}", self.dump());
    }

    /// Driver calls: probes never overlap, epochs ascend, one stop at most per activation, and
    /// only of what was started.
    fn check_calls(&mut self) {
        let dump = self.dump();
        let inner = self.stage.lock();
        assert_eq!(inner.overlapping_probes, 0, "{dump}");
        let mut epochs: Vec<_> = inner.starts.iter().map(|start| start.epoch).collect();
        epochs.sort();
        epochs.dedup();
        assert_eq!(epochs.len(), inner.starts.len(), "an epoch was used twice\n{dump}");
        let mut stops: Vec<_> = inner.stops.iter().map(|(_, epoch)| *epoch).collect();
        stops.sort();
        let all = stops.len();
        stops.dedup();
        assert_eq!(stops.len(), all, "an activation was stopped twice\n{dump}");
        for stop in stops {
            let start = inner.starts.iter().find(|start| start.epoch == stop);
            let start = start.unwrap_or_else(|| panic!("{stop:?} was never started\n{dump}"));
            assert_ne!(start.accepted, Some(false), "{stop:?} had failed to start\n{dump}");
        }
    }

    /// What the driver runs and what the engine reports are the same at rest.
    fn check_rest(&mut self) {
        let running = |status: &RuntimeStatus| -> Vec<i32> {
            status.inputs.iter().filter(|i| i.running).map(|i| i.input_priority).collect()
        };
        let status = self.status();
        if let Some(hand) = self.hand_if_any() {
            assert_eq!(running(&status), hand.running(), "{}", self.dump());
        }
        assert_eq!(status.pipeline_active, !running(&status).is_empty(), "{}", self.dump());
        let active = status.inputs.iter().filter(|i| i.status == changeover::InputStatus::Active);
        assert!(active.count() <= 1, "{}", self.dump());
        let priorities: Vec<i32> = status.inputs.iter().map(|i| i.input_priority).collect();
        assert!(priorities.is_sorted(), "{priorities:?}");
    }

    /// After unregister: every accepted activation has exactly one stop, nothing else begins, and
    /// the stream's series are gone.
    fn check_end(&mut self, mark: Mark) {
        let open = |world: &mut Self| {
            let inner = world.stage.lock();
            let accepted = inner.starts.iter().filter(|s| s.stream == STREAM);
            let accepted = accepted.filter(|s| s.accepted == Some(true));
            let unstopped = |s: &&super::stage::Started| {
                !inner.stops.iter().any(|(of, epoch)| *of == s.stream && *epoch == s.epoch)
            };
            accepted.filter(unstopped).map(|s| s.epoch).collect::<Vec<_>>()
        };
        if self.is_real() {
            self.wait_or(|world| open(world).is_empty().then_some(()));
        }
        assert_eq!(open(self), [], "activations without a stop\n{}", self.dump_calls());
        self.run_for(if self.is_real() { super::s(2) } else { super::s(100) });
        self.nothing_since(mark, &["start", "probe", "rebind"]);
        let told: Vec<_> = self.told[mark.told..].iter().map(|e| e.text.clone()).collect();
        assert!(told.is_empty(), "events after unregister: {told:?}");
        self.check_calls();
        assert!(!self.engine().is_registered(STREAM));
        assert_eq!(self.engine().registered_streams(), Vec::<String>::new());
        let text = self.engine().metrics_text();
        assert!(!text.contains("stream=\"s\""), "series left behind\n{text}");
    }

    fn dump_calls(&self) -> String {
        format!("{:#?}", self.stage.lock().calls)
    }
}
