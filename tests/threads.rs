//! The packet plane and the table of streams under real threads: nothing is lost or counted twice,
//! no cut is heard of twice, nothing hangs, whatever runs beside it and in whatever order it ends.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use changeover::{
    Answer, Engine, EngineConfig, Error, HandEngine, IngestDriver, InputConfig, InputsUpdate,
    Packet, Recorder, StartCall, StopCall, StreamConfig, Verdict,
};

/// How long the busy parts last.
const BUSY: Duration = Duration::from_secs(3);
/// Far beyond what any of this takes on a loaded machine: over it, it hangs.
const HANGS: Duration = Duration::from_secs(45);
const PACKET: Packet = Packet::new(188);
/// Between two looks at a condition, and between two rounds of an operator: much, but no flood.
const POLL: Duration = Duration::from_micros(200);
/// Rounds of switches that take place however slow the machine is.
const LEAST_ROUNDS: u32 = 8;

/// Runs the test on a thread of its own, so that a deadlock is a failure and not a silence.
fn bounded(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        done.send(()).expect("the test waits");
    });
    match finished.recv_timeout(HANGS) {
        Ok(()) => thread.join().expect("it has just ended"),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("not finished after {HANGS:?}: deadlock?"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().expect_err("it did not finish"));
        }
    }
}

/// Ends the threads of a scope when the one that leads them ends, also by a failed assertion.
struct Lead<'a>(&'a AtomicBool);

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
        thread::sleep(POLL);
    }
}

fn two_hot_inputs(id: &str) -> StreamConfig {
    StreamConfig::new(id).input(InputConfig::hot(0, "a")).input(InputConfig::hot(1, "b"))
}

fn engine() -> Engine {
    // A failback comes as soon as it may; silence is not what these tests are about.
    let config = EngineConfig {
        packet_timeout_ms: 60_000,
        failback_cooldown_ms: 1,
        failback_stable_ms: 1,
        ..EngineConfig::default()
    };
    Engine::builder().config(config).build().expect("the engine starts")
}

fn counted(engine: &Engine, stream: &str, priority: i32) -> u64 {
    let status = engine.runtime_status(stream).expect("registered");
    status.input(priority).expect("it has this input").packets
}

/// What stands behind all producers of one stream: sees every answer *forward*.
#[derive(Default)]
struct Output {
    /// The highest cut number that any producer has been answered.
    newest: AtomicU32,
    /// Whose each cut number is.
    owners: Mutex<HashMap<u32, i32>>,
    /// Packets counted, by priority.
    counted: [AtomicU64; 2],
}

impl Output {
    /// One packet of an input; `known` is the caller's latest cut number.
    fn pass(&self, priority: i32, known: &mut u32, record: impl FnOnce() -> Verdict) {
        let before = self.newest.load(SeqCst);
        let verdict = record();
        if let Verdict::Forward(cut) = verdict {
            assert!(cut >= before, "input {priority}: cut {cut} after {before} had been heard of");
            self.newest.fetch_max(cut, SeqCst);
            if cut != *known {
                *known = cut;
                let mut owners = self.owners.lock().unwrap();
                let owner = *owners.entry(cut).or_insert(priority);
                assert_eq!(owner, priority, "cut {cut} is answered to two inputs");
            }
        }
        assert_ne!(verdict, Verdict::Stale, "input {priority}: nothing has ended its epoch");
        self.counted[priority as usize].fetch_add(1, SeqCst);
    }
}

/// Records round the streams until told to stop. Answers how often it went round.
fn produce(recorders: &mut [Recorder], outputs: &[Output], stop: &AtomicBool) -> u64 {
    let mut known = vec![0; recorders.len()];
    let mut rounds = 0;
    while !stop.load(SeqCst) {
        for (n, recorder) in recorders.iter_mut().enumerate() {
            let priority = recorder.priority();
            outputs[n].pass(priority, &mut known[n], || match rounds % 3 {
                0 => recorder.record(PACKET),
                1 => recorder.record_precise(PACKET),
                _ => recorder.record_at(PACKET, 0),
            });
        }
        rounds += 1;
    }
    rounds
}

fn produce_by_id(engine: &Engine, ids: &[String], outputs: &[Output], stop: &AtomicBool) -> u64 {
    let mut known = vec![[0; 2]; ids.len()];
    let mut rounds = 0;
    while !stop.load(SeqCst) {
        for (n, id) in ids.iter().enumerate() {
            for priority in [0, 1] {
                let record = || engine.record_packet(id, priority);
                outputs[n].pass(priority, &mut known[n][priority as usize], record);
            }
        }
        rounds += 1;
    }
    rounds
}

/// Streams come and go beside the others; nothing of one that is gone answers or shows.
fn come_and_go(engine: &Engine, name: &str, stop: &AtomicBool) -> u64 {
    let events = engine.subscribe(0);
    let mut round = 0;
    while !stop.load(SeqCst) {
        let id = format!("{name}-{round}");
        engine.register(two_hot_inputs(&id)).expect("a new id");
        let mut recorder = engine.recorder(&id, 0, None).expect("a hot input");
        for _ in 0..10 {
            assert_ne!(recorder.record(PACKET), Verdict::Stale);
            assert_ne!(engine.record_packet(&id, 0), Verdict::Stale);
        }
        engine.unregister(&id).expect("registered");
        assert_eq!(recorder.record(PACKET), Verdict::Stale, "{id} is gone");
        assert_eq!(engine.record_packet(&id, 0), Verdict::Stale, "{id} is gone");
        assert!(matches!(engine.runtime_status(&id), Err(Error::UnknownStream { .. })));
        for event in events.drain() {
            let round_of =
                event.stream.as_deref().and_then(|id| id.strip_prefix(name)?.strip_prefix('-'));
            let of: Option<u64> = round_of.map(|text| text.parse().expect("a number"));
            assert!(of.is_none_or(|of| of == round), "an event after the end: {event:?}");
        }
        round += 1;
        thread::sleep(POLL);
    }
    round
}

/// Everything that only looks, and edits that leave the sources as they are.
fn look_and_edit(engine: &Engine, ids: &[String], stop: &AtomicBool) -> u64 {
    let events = engine.subscribe(64);
    let (mut round, mut last_event) = (0, 0);
    while !stop.load(SeqCst) {
        let id = &ids[round as usize % ids.len()];
        let status = engine.runtime_status(id).expect("registered");
        assert!(!status.exhausted, "{status:?}");
        let worse = InputConfig::hot(7, "c");
        let added = InputsUpdate { added: vec![worse], ..InputsUpdate::default() };
        engine.update_inputs(id, added).expect("a new priority");
        let timeout = Duration::from_secs(61 + round % 2);
        let same = InputConfig::hot(1, "b").with_packet_timeout(timeout);
        let edit =
            InputsUpdate { removed: vec![7], updated: vec![same], ..InputsUpdate::default() };
        engine.update_inputs(id, edit).expect("both are there");
        let config = EngineConfig { error_history: 1 + round as usize % 9, ..engine.config() };
        engine.set_config(config).expect("a valid policy");
        assert_eq!(engine.input_health(id, 1).expect("it is there").input.address, "b");
        assert!(engine.registered_streams().contains(id) && engine.is_registered(id));
        assert!(engine.stats().streams >= ids.len() as u64);
        #[cfg(feature = "metrics")]
        assert!(engine.metrics_text().contains(id.as_str()));
        for event in events.drain() {
            assert!(event.id > last_event, "event {} after {last_event}", event.id);
            last_event = event.id;
        }
        round += 1;
        thread::sleep(POLL);
    }
    round
}

/// Producers with recorders, siblings and ids on every input, while an operator switches without
/// pause: the counts are exact, and no old input is heard after a new one.
#[test]
fn cuts_are_clean_and_counts_exact_among_busy_threads() {
    bounded(|| {
        let engine = engine();
        let ids: Vec<String> = (0..4).map(|n| format!("busy-{n}")).collect();
        let outputs: Vec<Output> = ids.iter().map(|_| Output::default()).collect();
        ids.iter().for_each(|id| engine.register(two_hot_inputs(id)).expect("a new id"));
        let open = |priority| {
            let recorder = |id: &String| engine.recorder(id, priority, None).expect("a hot input");
            ids.iter().map(recorder).collect::<Vec<_>>()
        };
        let siblings = |of: &mut [Recorder]| {
            of.iter_mut().map(|recorder| recorder.sibling().expect("it is open")).collect()
        };
        let [mut first, mut second] = [open(0), open(1)];
        let sets: Vec<Vec<Recorder>> =
            vec![siblings(&mut first), siblings(&mut second), siblings(&mut second), first, second];
        let stop = AtomicBool::new(false);
        let mut switches = 0;
        thread::scope(|scope| {
            let lead = Lead(&stop);
            let (engine, ids, outputs, stop) = (&engine, &ids, &outputs, &stop);
            let mut busy = Vec::new();
            for mut set in sets {
                busy.push(scope.spawn(move || produce(&mut set, outputs, stop)));
            }
            busy.push(scope.spawn(|| produce_by_id(engine, ids, outputs, stop)));
            busy.push(scope.spawn(|| produce_by_id(engine, ids, outputs, stop)));
            busy.push(scope.spawn(|| come_and_go(engine, "guest", stop)));
            busy.push(scope.spawn(|| come_and_go(engine, "visitor", stop)));
            busy.push(scope.spawn(|| look_and_edit(engine, ids, stop)));
            let until = Instant::now() + BUSY;
            while Instant::now() < until || switches < LEAST_ROUNDS {
                for id in ids {
                    let target = i32::from(switches.is_multiple_of(2));
                    let ticket = engine.switch_input(id, target).expect("both inputs are well");
                    ticket.wait(Duration::from_secs(20)).expect("it is accepted");
                    match switches % 7 {
                        0 => engine.clear_override(id).expect("registered"),
                        // Most are overtaken by the next round; these are waited for.
                        1..=3 => eventually("the switch is effective", || {
                            let status = engine.runtime_status(id).expect("registered");
                            status.active_input_priority == Some(target)
                        }),
                        _ => {}
                    }
                }
                switches += 1;
            }
            drop(lead);
            for thread in busy {
                assert!(thread.join().expect("its assertions hold") > 0, "a thread never got on");
            }
        });
        for (id, output) in ids.iter().zip(&outputs) {
            for priority in [0, 1] {
                let told = output.counted[priority as usize].load(SeqCst);
                assert_eq!(counted(&engine, id, priority), told, "{id}, input {priority}");
            }
            let cuts = output.owners.lock().unwrap().len();
            println!(
                "{id}: {switches} rounds of switches, {cuts} cuts heard of, {:?}",
                output.counted
            );
            assert!(cuts > 2, "the switches came to the output");
        }
    });
}

/// What the busy threads cannot show: each switch waits for a packet of its target, also when the
/// target has been on the air in the same epoch before. One thread, the hand-driven engine.
#[test]
fn every_cut_is_made_by_a_packet_of_its_target() {
    let engine = HandEngine::new_for_testing(EngineConfig::default());
    engine.register(two_hot_inputs("s")).expect("a new id");
    let mut inputs = [0, 1].map(|priority| engine.recorder("s", priority, None).unwrap());
    let mut cut = 0;
    for (old, target) in [(1, 0), (0, 1), (1, 0), (0, 1), (1, 0)] {
        let first = cut == 0;
        if !first {
            engine.switch_input("s", target as i32).expect("it delivers");
            engine.advance(Duration::from_millis(100));
            let status = engine.runtime_status("s").expect("registered");
            assert_eq!(
                status.active_input_priority,
                Some(old as i32),
                "to {target}: no packet yet"
            );
            assert_eq!(inputs[old].record(PACKET), Verdict::Forward(cut), "it is still on the air");
        }
        let Verdict::Forward(next) = inputs[target].record(PACKET) else { panic!("no cut") };
        assert!(next > cut, "cut {next} after {cut}");
        assert_eq!(inputs[old].record(PACKET), Verdict::Drop);
        cut = next;
    }
}

/// Two producers that keep taking one hot input from each other, while an operator switches it off
/// and on: each opening ends the older recorder at once, and nothing but the packet that is under
/// way at that moment can miss the count.
#[test]
fn reopened_recorders_end_the_older_ones_at_once() {
    bounded(|| {
        let engine = engine();
        engine.register(two_hot_inputs("taken")).expect("a new id");
        let (told, newest, stop) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let take = || {
            let mut epochs = 0;
            while !stop.load(SeqCst) {
                let mut recorder = match engine.recorder("taken", 0, None) {
                    Ok(recorder) => recorder,
                    Err(Error::InputStopped { .. }) => continue,
                    Err(why) => panic!("not opened: {why}"),
                };
                epochs += 1;
                let own = recorder.epoch().get();
                newest.fetch_max(own, SeqCst);
                for _ in 0..20_000 {
                    let latest = newest.load(SeqCst);
                    match recorder.record(PACKET) {
                        Verdict::Stale => break,
                        verdict => {
                            assert!(latest <= own, "{verdict:?} in epoch {own}, {latest} is open");
                            told.fetch_add(1, SeqCst);
                        }
                    }
                }
                // As a host does before it connects again.
                thread::sleep(Duration::from_millis(1));
            }
            epochs
        };
        let epochs = thread::scope(|scope| {
            let lead = Lead(&stop);
            let takers = [scope.spawn(take), scope.spawn(take)];
            let until = Instant::now() + BUSY;
            while Instant::now() < until {
                engine.set_input_enabled("taken", 0, false).expect("it is there");
                engine.set_input_enabled("taken", 0, true).expect("it is there");
                engine.runtime_status("taken").expect("registered");
                thread::sleep(Duration::from_millis(1));
            }
            drop(lead);
            takers.map(|taker| taker.join().expect("its assertions hold"))
        });
        assert!(epochs.iter().all(|&epochs| epochs > 1), "{epochs:?}");
        let told = told.load(SeqCst);
        let least = told - epochs.iter().sum::<u64>();
        eventually("all is counted", || counted(&engine, "taken", 0) >= least);
        let counted = counted(&engine, "taken", 0);
        println!("epochs {epochs:?}, packets {told}, counted {counted}");
        assert!(counted <= told, "{counted} counted, {told} recorded");
    });
}

/// Several threads register and unregister the same ids: each success has its counterpart.
#[test]
fn one_id_is_registered_once() {
    bounded(|| {
        let engine = engine();
        let stop = AtomicBool::new(false);
        let contend = || {
            let (mut registered, mut unregistered) = (0u64, 0u64);
            while !stop.load(SeqCst) {
                for id in ["x", "y", "z"] {
                    match engine.register(two_hot_inputs(id)) {
                        Ok(()) => registered += 1,
                        Err(why) => {
                            assert!(matches!(why, Error::AlreadyRegistered { .. }), "{why}")
                        }
                    }
                    // Whoever got it: an open recorder must not outlive the stream's next life.
                    if let Ok(mut recorder) = engine.recorder(id, 0, None) {
                        let _ = recorder.record(PACKET);
                    }
                    match engine.unregister(id) {
                        Ok(()) => unregistered += 1,
                        Err(why) => assert!(matches!(why, Error::UnknownStream { .. }), "{why}"),
                    }
                }
            }
            (registered, unregistered)
        };
        thread::scope(|scope| {
            let lead = Lead(&stop);
            let threads = [(); 3].map(|()| scope.spawn(contend));
            thread::sleep(Duration::from_secs(1));
            drop(lead);
            let sums = threads.map(|thread| thread.join().expect("its assertions hold"));
            let (registered, unregistered) =
                sums.iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
            assert!(registered > 0);
            assert_eq!(registered, unregistered + engine.registered_streams().len() as u64);
        });
    });
}

/// Recorders, ids and operators at work while the engine is shut down, twice at once: every call
/// returns, and what outlives the engine answers *stale*.
#[test]
fn a_shutdown_amid_work_ends_everything() {
    bounded(|| {
        for _ in 0..20 {
            let engine = engine();
            engine.register(two_hot_inputs("s")).expect("a new id");
            let recorders = [0, 1].map(|priority| engine.recorder("s", priority, None).unwrap());
            let events = engine.subscribe(0);
            thread::scope(|scope| {
                for mut recorder in recorders {
                    scope.spawn(move || {
                        eventually("a recorder that outlives the engine is stale", || {
                            recorder.record(PACKET) == Verdict::Stale
                        });
                    });
                }
                let by_id = engine.clone();
                scope.spawn(move || {
                    eventually("ids are stale", || by_id.record_packet("s", 0) == Verdict::Stale);
                });
                let operator = engine.clone();
                scope.spawn(move || {
                    eventually("operators are told", || {
                        let target = i32::from(operator.now_ns().is_multiple_of(2));
                        matches!(operator.switch_input("s", target), Err(Error::ShutDown))
                    });
                });
                scope.spawn(move || eventually("subscribers are told", || events.is_closed()));
                let ends = [(); 2].map(|()| {
                    let engine = engine.clone();
                    scope.spawn(move || engine.shutdown())
                });
                let reports = ends.map(|end| end.join().expect("no panic"));
                let whole = |report: &Result<changeover::ShutdownReport, Error>| {
                    report.as_ref().is_ok_and(|report| report.detached_calls == 0)
                };
                assert!(reports.iter().any(whole), "{reports:?}");
            });
            assert!(matches!(engine.register(two_hot_inputs("t")), Err(Error::ShutDown)));
        }
    });
}

/// Whoever asks for the end returns when it is over: a second one does not overtake a callback that
/// the first one waits for, and hears of the same.
#[test]
fn a_second_shutdown_waits_for_the_first() {
    bounded(|| {
        let (begun, has_begun) = mpsc::channel();
        let returned = Arc::new(AtomicBool::new(false));
        let returns = Arc::clone(&returned);
        let engine = Engine::builder().on_exhausted(move |_| {
            begun.send(()).expect("the test waits");
            thread::sleep(Duration::from_millis(300));
            returns.store(true, SeqCst);
        });
        let engine = engine.build().expect("an engine");
        engine.register(two_hot_inputs("s")).expect("a new id");
        for input in [0, 1] {
            engine.report_input_error("s", input, None, "broken").expect("there is such an input");
        }
        has_begun.recv().expect("it is exhausted");
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    assert_eq!(engine.shutdown().expect("not inside a callback").detached_calls, 0);
                    assert!(returned.load(SeqCst), "a callback still runs");
                });
            }
        });
    });
}

/// What goes with the engine may call it, and is refused what it would wait for.
#[test]
fn a_driver_may_call_the_engine_that_drops_it() {
    struct Calls(Arc<Mutex<Option<Engine>>>, Arc<AtomicBool>);

    impl IngestDriver for Calls {
        fn start(&self, _: &StartCall) -> Answer {
            Answer::Done
        }

        fn stop(&self, _: &StopCall) {}
    }

    impl Drop for Calls {
        fn drop(&mut self) {
            let engine = self.0.lock().unwrap().clone().expect("it is put there");
            let refused = matches!(engine.shutdown(), Err(Error::WouldBlock { .. }));
            self.1.store(refused, SeqCst);
        }
    }

    bounded(|| {
        let (held, refused) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let driver = Calls(Arc::clone(&held), Arc::clone(&refused));
        let engine = Engine::builder().driver(driver).build().expect("an engine");
        *held.lock().unwrap() = Some(engine.clone());
        engine.shutdown().expect("not inside a callback");
        assert!(refused.load(SeqCst));
    });
}

/// A driver whose every start is refused; it lets go of what it was given to hold.
struct Refuses(Arc<Mutex<Option<Engine>>>);

impl IngestDriver for Refuses {
    fn start(&self, _: &StartCall) -> Answer {
        drop(self.0.lock().unwrap().take());
        Answer::Failed("no such source".to_owned())
    }

    fn stop(&self, _: &StopCall) {}
}

/// The last handle is dropped by the engine's own threads: in a callback, and in a driver call.
#[test]
fn the_last_handle_may_fall_inside_a_callback_or_a_driver_call() {
    bounded(|| {
        for in_driver in [false, true] {
            let held: Arc<Mutex<Option<Engine>>> = Arc::default();
            let driver_holds = if in_driver { Arc::clone(&held) } else { Arc::default() };
            let (tell, told) = mpsc::channel();
            let callback_holds = Arc::clone(&held);
            let engine = Engine::builder()
                .driver(Refuses(driver_holds))
                .on_exhausted(move |stream| {
                    let last = callback_holds.lock().unwrap().take();
                    let refusal = last.as_ref().map(|engine| engine.shutdown().map(|_| ()));
                    drop(last);
                    // The test may have seen enough and be gone.
                    let _ = tell.send((stream.to_owned(), refusal));
                })
                .build()
                .expect("the engine starts");
            engine.register(two_hot_inputs("hot")).expect("a new id");
            let mut recorder = engine.recorder("hot", 0, None).expect("a hot input");
            let events = engine.subscribe(0);
            // The lock is held until the engine is in its place, so no callback comes too early.
            let mut place = held.lock().unwrap();
            engine
                .register(StreamConfig::new("cold").input(InputConfig::cold(0, "nowhere")))
                .unwrap();
            *place = Some(engine);
            drop(place);
            eventually("the engine has ended", || events.is_closed());
            eventually("its recorder is stale", || recorder.record(PACKET) == Verdict::Stale);
            if !in_driver {
                let (stream, refusal) = told.recv_timeout(Duration::from_secs(20)).expect("called");
                assert_eq!(stream, "cold");
                assert!(matches!(refusal, Some(Err(Error::WouldBlock { .. }))), "{refusal:?}");
            }
        }
    });
}
