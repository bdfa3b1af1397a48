//! The hand-driven engine: no threads, a clock that moves by hand, driver calls in a queue. For
//! tests: the engine's own, and those of the failover logic that users build on it.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use crate::builder::EngineBuilder;
use crate::config::EngineConfig;
use crate::core::Core;
use crate::driver::{CallRunner, DriverCall, Job};
use crate::engine::Engine;
use crate::error::Error;
use crate::hostcall;
use crate::monitor::Monitor;
use crate::sync::{Arc, Mutex, Weak};
use crate::types::{Epoch, StreamKey};

/// An [`Engine`] in which nothing happens by itself.
///
/// Every call runs to quiescence before it returns: a command, a recorded packet that something
/// waits for, an answered driver call. Callbacks run inside the call that caused them. Driver
/// calls stand in a queue ([`next_call`](Self::next_call)) that the test answers: at once, late,
/// wrongly, or never. The clock has two hands: [`advance`](Self::advance) moves the precise and
/// the published time, [`stall`](Self::stall) only the precise one, as when the monitor is
/// starved of the processor.
///
/// ```
/// use std::time::Duration;
/// use changeover::{DriverCall, EngineConfig, HandEngine, InputConfig, StreamConfig};
///
/// let engine = HandEngine::new_for_testing(EngineConfig::default());
/// let stream = StreamConfig::new("news")
///     .input(InputConfig::cold(0, "udp://main"))
///     .input(InputConfig::cold(1, "udp://backup"));
/// engine.register(stream)?;
/// let Some(DriverCall::Start(start)) = engine.next_call() else { panic!("main is started") };
/// start.token().done();
/// engine.advance(Duration::from_secs(30)); // not one packet
/// let Some(DriverCall::Start(start)) = engine.next_call() else { panic!("so backup is") };
/// assert_eq!(start.input.priority, 1);
/// # Ok::<(), changeover::Error>(())
/// ```
pub struct HandEngine {
    engine: Engine,
    hand: Arc<Hand>,
}

struct Hand {
    core: Arc<Core>,
    monitor: Mutex<Monitor>,
    queue: Arc<HandQueue>,
}

/// The driver calls that wait for the test.
#[derive(Default)]
struct HandQueue(Mutex<VecDeque<Job>>);

impl EngineBuilder {
    /// Builds the engine without threads, on a clock that moves by hand. The driver is not used:
    /// the test answers the driver calls.
    ///
    /// # Errors
    /// [`Error::NegativeDuration`].
    pub fn build_hand_driven(self) -> Result<HandEngine, Error> {
        HandEngine::build(self)
    }
}

impl HandEngine {
    /// A hand-driven engine with this configuration.
    ///
    /// # Panics
    /// On a configuration that [`EngineConfig::validate`] refuses.
    #[must_use]
    pub fn new_for_testing(config: EngineConfig) -> Self {
        let built = Engine::builder().config(config).build_hand_driven();
        built.expect("a valid configuration")
    }

    fn build(builder: EngineBuilder) -> Result<Self, Error> {
        let (engine, core) = builder.assemble_by_hand()?;
        let queue = Arc::new(HandQueue::default());
        let calls: Arc<dyn CallRunner> = Arc::clone(&queue) as _;
        core.set_runner(Some(calls));
        let monitor = Mutex::new(Monitor::new(Arc::clone(&core)));
        let hand = Arc::new(Hand { core: Arc::clone(&core), monitor, queue });
        let weak: Weak<Hand> = Arc::downgrade(&hand);
        core.waker.set_inline(Box::new(move || {
            if let Some(hand) = weak.upgrade() {
                hand.settle();
            }
        }));
        Ok(Self { engine, hand })
    }

    /// Moves the clock forward, and fires every deadline on the way at its exact time. A
    /// duration of zero is a wake-up of the monitor and nothing else.
    pub fn advance(&self, by: Duration) {
        let hand = &self.hand;
        let clock = &hand.core.clock;
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX >> 2);
        let target = clock.now().saturating_add(by);
        // The first wake-up is late if the clock has been stalled.
        hand.settle();
        loop {
            let now = clock.now();
            let next = hand.monitor.lock().next_deadline().filter(|next| *next <= target);
            let to = next.unwrap_or(target).max(now);
            clock.step(to - now);
            hand.monitor.lock().expect_at(to);
            hand.settle();
            if next.is_none() {
                return;
            }
        }
    }

    /// Lets time pass unseen: the precise clock moves, the published one and the monitor do not.
    /// The next wake-up (by [`advance`](Self::advance), or by a call that wakes the monitor) is
    /// a late one.
    pub fn stall(&self, by: Duration) {
        self.hand.core.clock.step(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX >> 2));
    }

    /// The oldest driver call that waits, taken out of the queue. A start or probe is answered
    /// through its token; one that is dropped is never answered. A stop or rebind needs no
    /// answer.
    #[must_use]
    pub fn next_call(&self) -> Option<DriverCall> {
        self.hand.queue.0.lock().pop_front().map(|job| job.call)
    }

    /// All driver calls that wait, oldest first, taken out of the queue.
    #[must_use]
    pub fn calls(&self) -> Vec<DriverCall> {
        self.hand.queue.0.lock().drain(..).map(|job| job.call).collect()
    }
}

impl Hand {
    /// Runs the monitor and the callbacks until nothing is left to do. A call from inside (a
    /// callback that commands the engine) leaves its message to the call that is running.
    fn settle(&self) {
        loop {
            let Some(mut monitor) = self.monitor.try_lock() else { return };
            loop {
                monitor.turn(None);
                if self.is_quiet() && !monitor.is_behind() {
                    break;
                }
            }
            drop(monitor);
            if !hostcall::inside() {
                while self.core.notifier.drain() {}
            }
            if self.is_quiet() {
                return;
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.core.inbox.is_empty() && !self.core.cells.has_told()
    }
}

impl CallRunner for HandQueue {
    fn submit(&self, job: Job) {
        self.0.lock().push_back(job);
    }

    fn forget(&self, stream: StreamKey) -> Vec<Epoch> {
        let mut never_begun = Vec::new();
        self.0.lock().retain(|job| match &job.call {
            _ if job.stream != stream => true,
            DriverCall::Start(call) => {
                never_begun.push(call.epoch);
                false
            }
            DriverCall::Stop(call) => !never_begun.contains(&call.epoch),
            DriverCall::Probe(_) | DriverCall::Rebind(_) | DriverCall::RequestKeyframe(_) => false,
        });
        never_begun
    }
}

impl Deref for HandEngine {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        &self.engine
    }
}

impl fmt::Debug for HandEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandEngine").field("now_ns", &self.engine.now_ns()).finish_non_exhaustive()
    }
}
