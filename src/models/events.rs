//! The subscribers' queues: in order, the oldest lost with a count where a queue is full, and no
//! wake lost.

use std::time::{Duration, SystemTime};

use loom::thread;

use super::explore;
use crate::events::{Bus, EventKind, Subscription};
use crate::sync::{Arc, AtomicU64, Ordering};

fn publish(bus: &Bus, events: usize) {
    for _ in 0..events {
        bus.publish(SystemTime::UNIX_EPOCH, 0, None, EventKind::Exhausted);
    }
}

/// Reads what is there; what was read before is older.
fn read(queue: &Subscription, last: &mut u64) -> u64 {
    let mut events = 0;
    while let Some(event) = queue.try_recv() {
        assert!(event.id > *last, "{} after {last}", event.id);
        *last = event.id;
        events += 1;
    }
    events
}

#[test]
fn what_overflows_is_counted_and_what_is_read_is_in_order() {
    explore(3, || {
        let bus = Arc::new(Bus::default());
        let queue = bus.subscribe(1);
        let ours = Arc::clone(&bus);
        let publisher = thread::spawn(move || publish(&ours, 3));
        let mut last = 0;
        let mut events = read(&queue, &mut last);
        publisher.join().unwrap();
        events += read(&queue, &mut last);
        assert_eq!(events + queue.dropped(), 3, "every event is read or counted");
        assert_eq!(queue.dropped(), bus.dropped());
        assert_eq!(last, 3, "the newest is never the one that is lost");
    });
}

/// Two streams' events from two threads: every subscriber sees one order.
#[test]
fn all_subscribers_see_one_order() {
    explore(2, || {
        let bus = Arc::new(Bus::default());
        let queues = [bus.subscribe(4), bus.subscribe(4)];
        let ours = Arc::clone(&bus);
        let publisher = thread::spawn(move || publish(&ours, 1));
        publish(&bus, 1);
        publisher.join().unwrap();
        let [a, b] = queues.map(|queue| queue.drain());
        assert_eq!(a.iter().map(|e| e.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(a, b);
    });
}

/// A subscriber that sleeps is woken by an event (and by the end: `shutdown`). The time never ends
/// its sleep here, so a lost wake is a deadlock.
#[test]
fn a_sleeping_subscriber_is_woken() {
    explore(3, || {
        let bus = Arc::new(Bus::default());
        let queue = bus.subscribe(4);
        let life = move || {
            [Duration::MAX, Duration::from_secs(1)]
                .map(|wait| queue.recv_timeout(wait).map(|event| event.id))
        };
        let reader = thread::spawn(life);
        publish(&bus, 1);
        publish(&bus, 1);
        assert_eq!(reader.join().unwrap(), [Some(1), Some(2)]);
    });
}

#[derive(Clone, Debug)]
struct Rings(Arc<AtomicU64>);

impl crate::events::Bell for Rings {
    fn ring(&self) {
        self.0.store(1, Ordering::SeqCst);
    }

    fn hush(&self) {
        self.0.store(0, Ordering::SeqCst);
    }
}

/// A descriptor that a host waits on: it rings whenever there is something to read.
#[test]
fn the_bell_rings_while_there_is_something_to_read() {
    explore(3, || {
        let bus = Arc::new(Bus::default());
        let rings = Rings(Arc::new(AtomicU64::new(0)));
        let queue = bus.subscribe_with(2, Some(Box::new(rings.clone())));
        let ours = Arc::clone(&bus);
        let publisher = thread::spawn(move || publish(&ours, 2));
        let mut last = queue.try_recv().map_or(0, |event| event.id);
        publisher.join().unwrap();
        let is_ringing = rings.0.load(Ordering::SeqCst) == 1;
        let waits = read(&queue, &mut last) > 0;
        assert_eq!(is_ringing, waits);
    });
}
