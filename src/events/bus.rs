//! Delivery of events to any number of subscribers, each with a bounded queue.
//!
//! Events of one stream stand in every subscriber's queue in the order of the state changes. A
//! full queue loses its oldest events, with a count; nothing ever waits for a subscriber.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use super::{Event, EventKind};
use crate::sync::{Arc, AtomicU64, Condvar, Mutex, Ordering::Relaxed, Weak};
use crate::types::Nanos;

/// Queue length of a subscription that asks for 0.
pub const DEFAULT_EVENT_CAPACITY: usize = 1024;

/// The engine's end: numbers events and puts them into every subscriber's queue.
impl<B: Bell> Bell for Arc<B> {
    fn ring(&self) {
        (**self).ring();
    }

    fn hush(&self) {
        (**self).hush();
    }
}

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
}
