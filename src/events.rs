//! What happened, for people and programs: event types, and bounded delivery to any number of
//! subscribers.
//!
//! Events of one stream stand in every subscriber's queue in the order of the state changes. A
//! full queue loses its oldest events, with a count; nothing ever waits for a subscriber.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use crate::status::rfc3339;
use crate::sync::{Arc, AtomicU64, Condvar, Mutex, Ordering::Relaxed, Weak};
use crate::types::{Epoch, Nanos, Priority, SwitchReason};

/// Queue length of a subscription that asks for 0.
pub const DEFAULT_EVENT_CAPACITY: usize = 1024;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Event {
    /// Ascending within the engine, from 1.
    pub id: u64,
    /// When, on the wall clock.
    #[serde(with = "rfc3339")]
    pub at: SystemTime,
    /// When, on the engine's clock, ns.
    pub at_ns: Nanos,
    /// The stream it concerns; `None` for the engine itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Arc<str>>,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of events. Serialised as `kind` and `payload`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", content = "payload")]
#[non_exhaustive]
pub enum EventKind {
    /// An input failed.
    #[serde(rename = "input.degraded")]
    InputDegraded {
        /// The input.
        input_priority: Priority,
        /// The failure's text.
        reason: String,
        /// Its class: `timeout` or `error`; `bitrate`, `fps`, `loss`, `track_silence` or
        /// `condition` where a health rule acts on an input that does not carry the stream.
        cause: SwitchReason,
    },
    /// A health rule or a condition acts: the input is impaired. One that carries the stream
    /// stays active.
    #[serde(rename = "input.impaired")]
    InputImpaired {
        /// The input.
        input_priority: Priority,
        /// `bitrate`, `fps`, `loss`, `track_silence` or `condition`.
        rule: SwitchReason,
        /// What was measured: kbit/s, frames/s, percent, or ms.
        value: f64,
        /// The rule's limit, in the same unit.
        limit: f64,
        /// The same for people, with the condition's name.
        detail: String,
    },
    /// A health rule or a condition has been false for its clear time.
    #[serde(rename = "input.cleared")]
    InputCleared {
        /// The input.
        input_priority: Priority,
        /// Which.
        rule: SwitchReason,
    },
    /// A failed input is eligible again.
    #[serde(rename = "input.recovered")]
    InputRecovered {
        /// The input.
        input_priority: Priority,
        /// The evidence: `packets`, `probe`, `health` (its rules are clear) or `enabled`.
        evidence: &'static str,
    },
    /// The driver accepted a start.
    #[serde(rename = "input.started")]
    InputStarted {
        /// The input.
        input_priority: Priority,
        /// The activation's epoch.
        epoch: Epoch,
    },
    /// A switch is decided; the target is being brought up.
    #[serde(rename = "input.decided")]
    SwitchDecided {
        /// The input being left.
        from: Option<Priority>,
        /// The target.
        to: Priority,
        /// Why.
        reason: SwitchReason,
    },
    /// A switch is effective: the stream carries the target.
    #[serde(rename = "input.failover")]
    InputFailover {
        /// The input left.
        from: Priority,
        /// The input taken.
        to: Priority,
        /// Why.
        reason: SwitchReason,
        /// More about why; may be empty.
        #[serde(skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    /// The target of a decided switch delivers, and its next packet (or keyframe) makes the cut.
    #[serde(rename = "input.armed")]
    SwitchArmed {
        /// The input on the air.
        from: Option<Priority>,
        /// The target.
        to: Priority,
        /// The cut waits for a keyframe.
        keyframe: bool,
        /// For so long, ms; 0 where it does not.
        max_wait_ms: u64,
    },
    /// The first packet of the new input went out.
    #[serde(rename = "input.first_packet")]
    FirstPacket {
        /// The input.
        input_priority: Priority,
        /// From the last packet of the old one to this one, us.
        #[serde(skip_serializing_if = "Option::is_none")]
        stall_us: Option<u64>,
        /// Where the cut waited for a keyframe: whether it fell on one.
        #[serde(skip_serializing_if = "Option::is_none")]
        aligned: Option<bool>,
    },
    /// A move that was wanted is not made now.
    #[serde(rename = "input.refused")]
    SwitchRefused {
        /// The input that it would go to; none where there is no other.
        to: Option<Priority>,
        /// Why it was wanted.
        reason: SwitchReason,
        /// What stands against it: `failback_cooldown`, `failback_stable`, `failback_never`,
        /// `override`, `held`, `not_better`, `no_other_input`, `awaiting_keyframe`, `observe`.
        rule: &'static str,
        /// How long the rule still holds, ms; 0 where that is not known.
        remaining_ms: u64,
        /// The numbers, for people; may be empty.
        #[serde(skip_serializing_if = "String::is_empty")]
        detail: String,
    },
    /// A decided switch failed before it was effective; the stream never left the old input.
    #[serde(rename = "input.switch_failed")]
    SwitchFailed {
        /// The input the stream stays on, if any.
        from: Option<Priority>,
        /// The target that failed.
        to: Priority,
        /// Why the switch had been decided.
        reason: SwitchReason,
        /// Why it failed.
        message: String,
    },
    /// The operator's override is in force.
    #[serde(rename = "input.override_set")]
    OverrideSet {
        /// The input.
        input_priority: Priority,
    },
    /// The operator's override is gone.
    #[serde(rename = "input.override_cleared")]
    OverrideCleared {
        /// The input it named.
        input_priority: Priority,
        /// Why: `operator`, `degraded`, `removed`, `disabled`, `exhausted`, `switch_failed` or
        /// `hold`.
        why: &'static str,
    },
    /// The operator's hold is in force.
    #[serde(rename = "input.hold_set")]
    HoldSet {
        /// The input.
        input_priority: Priority,
        /// Its life, ms.
        ttl_ms: u64,
    },
    /// The operator's hold has ended.
    #[serde(rename = "input.hold_released")]
    HoldReleased {
        /// The input it named.
        input_priority: Priority,
        /// Why: `expired`, `dead`, `operator`, `override`, `hold` (another one), `removed`,
        /// `disabled`, `exhausted`, `superseded` or `switch_failed`.
        why: &'static str,
    },
    /// No usable input is left.
    #[serde(rename = "stream.exhausted")]
    Exhausted,
    /// An exhausted stream is back.
    #[serde(rename = "stream.restored")]
    Restored {
        /// The input that carries it.
        input_priority: Priority,
    },
    /// Fewer than two usable inputs remain.
    #[serde(rename = "stream.redundancy_lost")]
    RedundancyLost {
        /// How many remain.
        usable_inputs: usize,
    },
    /// Two or more usable inputs are there again.
    #[serde(rename = "stream.redundancy_regained")]
    RedundancyRegained {
        /// How many there are.
        usable_inputs: usize,
    },
    /// The monitor woke much later than planned; silence is not judged by that time.
    #[serde(rename = "engine.stall")]
    Stall {
        /// How much later, ms.
        late_ms: u64,
    },
}

/// The engine's end: numbers events and puts them into every subscriber's queue.
#[derive(Debug, Default)]
pub(crate) struct Bus {
    subscribers: Mutex<Subscribers>,
    dropped: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Subscribers {
    next_id: u64,
    queues: Vec<Weak<Queue>>,
    closed: bool,
}

#[derive(Debug)]
struct Queue {
    state: Mutex<QueueState>,
    ready: Condvar,
    capacity: usize,
    dropped_total: Arc<AtomicU64>,
    bell: Option<Box<dyn Bell>>,
}

/// Something outside the engine that wakes whoever waits for a subscription: rung while there is
/// something to read (or nothing more will come), silent while there is not. Called under the
/// queue's lock: it never waits.
pub(crate) trait Bell: Send + Sync + std::fmt::Debug {
    fn ring(&self);
    fn hush(&self);
}

#[derive(Debug, Default)]
struct QueueState {
    events: VecDeque<Event>,
    dropped: u64,
    closed: bool,
}

impl Bus {
    pub(crate) fn subscribe(&self, capacity: usize) -> Subscription {
        self.subscribe_with(capacity, None)
    }

    pub(crate) fn subscribe_with(
        &self,
        capacity: usize,
        bell: Option<Box<dyn Bell>>,
    ) -> Subscription {
        let capacity = if capacity == 0 { DEFAULT_EVENT_CAPACITY } else { capacity };
        let mut subscribers = self.subscribers.lock();
        if let Some(bell) = bell.as_ref().filter(|_| subscribers.closed) {
            bell.ring();
        }
        let queue = Arc::new(Queue {
            state: Mutex::new(QueueState { closed: subscribers.closed, ..Default::default() }),
            ready: Condvar::new(),
            capacity,
            dropped_total: Arc::clone(&self.dropped),
            bell,
        });
        subscribers.queues.retain(|queue| queue.strong_count() > 0);
        subscribers.queues.push(Arc::downgrade(&queue));
        Subscription { queue }
    }

    /// Numbers the event and hands a copy to every subscriber. Waits for none of them.
    pub(crate) fn publish(
        &self,
        at: SystemTime,
        at_ns: Nanos,
        stream: Option<&Arc<str>>,
        kind: EventKind,
    ) -> Event {
        let mut subscribers = self.subscribers.lock();
        subscribers.next_id += 1;
        let event = Event { id: subscribers.next_id, at, at_ns, stream: stream.cloned(), kind };
        subscribers.queues.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                queue.push(event.clone());
                true
            }
            None => false,
        });
        event
    }

    /// Events that full queues have lost, over all subscribers.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// After this no event follows; waiting subscribers wake.
    pub(crate) fn close(&self) {
        let mut subscribers = self.subscribers.lock();
        subscribers.closed = true;
        for queue in subscribers.queues.drain(..).filter_map(|queue| queue.upgrade()) {
            queue.close();
        }
    }
}

impl Queue {
    fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        self.bell.iter().for_each(|bell| bell.ring());
        drop(state);
        self.ready.notify_all();
    }

    fn take(&self, state: &mut QueueState) -> Option<Event> {
        let event = state.events.pop_front();
        if state.events.is_empty() && !state.closed {
            self.bell.iter().filter(|_| event.is_some()).for_each(|bell| bell.hush());
        }
        event
    }

    fn push(&self, event: Event) {
        let mut state = self.state.lock();
        if state.events.len() >= self.capacity {
            state.events.pop_front();
            state.dropped += 1;
            self.dropped_total.fetch_add(1, Relaxed);
        }
        if state.events.is_empty() {
            self.bell.iter().for_each(|bell| bell.ring());
        }
        state.events.push_back(event);
        drop(state);
        self.ready.notify_one();
    }
}

/// A subscriber's end of the event stream. Dropping it ends the subscription.
///
/// Threads: any; two threads that read the same subscription share its events between them.
#[derive(Debug)]
pub struct Subscription {
    queue: Arc<Queue>,
}

impl Subscription {
    /// The next event, if one is there. Does not wait.
    #[must_use]
    pub fn try_recv(&self) -> Option<Event> {
        self.queue.take(&mut self.queue.state.lock())
    }

    /// The next event, waiting for it up to `timeout`; `None` when the time is over, or when the
    /// engine is shut down and everything has been read. May block.
    #[must_use]
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        let until = Instant::now().checked_add(timeout);
        let mut state = self.queue.state.lock();
        loop {
            if let Some(event) = self.queue.take(&mut state) {
                return Some(event);
            }
            if state.closed {
                return None;
            }
            match until {
                Some(until) => {
                    if self.queue.ready.wait_until(&mut state, until) {
                        return self.queue.take(&mut state);
                    }
                }
                None => self.queue.ready.wait(&mut state),
            }
        }
    }

    /// Everything that is there now. Does not wait.
    #[must_use]
    pub fn drain(&self) -> Vec<Event> {
        let there = self.queue.state.lock().events.len();
        (0..there).map_while(|_| self.try_recv()).collect()
    }

    /// Events that this subscription has lost because its queue was full.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.state.lock().dropped
    }

    /// Whether the engine has been shut down (what was queued before can still be read).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.queue.state.lock().closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(bus: &Bus, n: usize) {
        for _ in 0..n {
            bus.publish(SystemTime::UNIX_EPOCH, 0, None, EventKind::Exhausted);
        }
    }

    #[derive(Clone, Debug, Default)]
    struct Count(Arc<AtomicU64>);

    impl Bell for Count {
        fn ring(&self) {
            self.0.fetch_add(1, Relaxed);
        }

        fn hush(&self) {
            self.0.store(0, Relaxed);
        }
    }

    #[test]
    fn the_bell_rings_while_there_is_something_to_read() {
        let (bus, bell) = (Bus::default(), Count::default());
        let rings = || bell.0.load(Relaxed);
        let queue = bus.subscribe_with(1, Some(Box::new(bell.clone())));
        assert_eq!((queue.try_recv(), rings()), (None, 0));
        publish(&bus, 1);
        assert_eq!(rings(), 1);
        publish(&bus, 1);
        assert!(queue.try_recv().is_some() && rings() == 0);
        publish(&bus, 1);
        bus.close();
        assert!(rings() > 0 && queue.try_recv().is_some() && rings() > 0, "closed: for ever");
        let late = Count::default();
        let _queue = bus.subscribe_with(1, Some(Box::new(late.clone())));
        assert_eq!(late.0.load(Relaxed), 1);
    }

    #[test]
    fn a_full_queue_loses_its_oldest_with_a_count() {
        let bus = Bus::default();
        let (slow, fast) = (bus.subscribe(2), bus.subscribe(8));
        publish(&bus, 5);
        assert_eq!(slow.drain().iter().map(|e| e.id).collect::<Vec<_>>(), [4, 5]);
        assert_eq!((slow.dropped(), fast.dropped(), bus.dropped()), (3, 0, 3));
        assert_eq!(fast.drain().len(), 5);
    }

    #[test]
    fn a_dropped_subscription_is_forgotten_and_a_closed_bus_wakes() {
        let bus = Bus::default();
        let gone = bus.subscribe(0);
        drop(gone);
        let stays = bus.subscribe(0);
        publish(&bus, 1);
        assert_eq!(bus.subscribers.lock().queues.len(), 1);
        bus.close();
        assert!(stays.recv_timeout(Duration::from_secs(60)).is_some());
        assert!(stays.recv_timeout(Duration::from_secs(60)).is_none());
        assert!(stays.is_closed());
    }

    #[test]
    fn the_seeds_events_keep_their_names_and_payload() {
        let kind = EventKind::InputFailover {
            from: 0,
            to: 1,
            reason: SwitchReason::Error,
            detail: "boom".into(),
        };
        let event = Event { id: 7, at: SystemTime::UNIX_EPOCH, at_ns: 0, stream: None, kind };
        assert_eq!(
            serde_json::to_string(&event).unwrap(),
            r#"{"id":7,"at":"1970-01-01T00:00:00Z","at_ns":0,"kind":"input.failover","payload":{"from":0,"to":1,"reason":"error","detail":"boom"}}"#
        );
    }
}
