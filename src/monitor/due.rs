//! Deadlines that are due, and arming the next ones.

use super::{Monitor, TIDY_AT};
use crate::deadlines::Entry;
use crate::machine::{Event, Ticking};
use crate::sentry::Found;
use crate::stream::{Inner, Stream};
use crate::sync::Arc;
use crate::types::{FOREVER_NS, Nanos};

/// Streams that are stepped before the time is published again and messages are heard.
const STEPS_A_TURN: usize = 1024;

/// Taken out of the queue, and not all looked at yet.
#[derive(Debug, Default)]
pub(super) struct Due {
    entries: Vec<Entry>,
    found: Vec<Found>,
    /// Of those whose machines are to be asked: streams, and when it was due.
    steps: Vec<Entry>,
    /// How many of them have been.
    done: usize,
}

impl Due {
    pub(super) fn is_empty(&self) -> bool {
        self.done == self.steps.len()
    }
}

impl Monitor {
    pub(super) fn look_at_due(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        if due.is_empty() {
            due.steps.clear();
            due.done = 0;
            self.deadlines.take_due(self.now, &mut due.entries);
            let cells = &self.core.cells;
            self.sentries.look(self.now, &due.entries, cells, &self.log, &mut due.found);
            for (entry, found) in due.entries.drain(..).zip(&due.found) {
                match found {
                    Found::Void => continue,
                    Found::Rests(next) => {
                        let at = self.sentries.rearm(entry, self.at_a_tick(*next));
                        self.deadlines.insert(at);
                    }
                    Found::Due => due.steps.push(entry),
                }
                self.core.stats.looked(self.now.saturating_sub(entry.at));
            }
        }
        let to = due.steps.len().min(due.done + STEPS_A_TURN);
        for entry in &due.steps[due.done..to] {
            if let Some(stream) = self.core.by_key(entry.stream) {
                self.process(&stream, Event::Look);
            }
        }
        due.done = to;
        self.due = due;
    }

    /// What a step leaves to be arranged: the tick, the next deadline, and whether the stream is
    /// at rest until then.
    pub(super) fn arrange(&mut self, stream: &Arc<Stream>, inner: &mut Inner) {
        let (policy, stall) = (Arc::clone(&self.policy), self.log.stall());
        let ticking = inner.machine.ticking();
        self.count_ticking(std::mem::replace(&mut inner.ticking, ticking), ticking);

        let next = inner.machine.next_deadline(self.now, &policy, stall);
        let next = next.filter(|next| *next < FOREVER_NS);
        self.points.clear();
        let plane = &inner.plane;
        let rests = next.is_some()
            && inner.machine.rests_while(self.now, &policy, stall, |epoch, span| {
                plane
                    .point(&self.core.cells, epoch, span)
                    .map(|point| self.points.push(point))
                    .is_some()
            });
        if !rests {
            self.points.clear();
        }
        self.sentries.rest(stream.key, &self.points, ticking.published == 0);
        let Some(next) = next else { return };
        // A deadline that is due and was not acted on would spin: look again at the next
        // millisecond instead.
        debug_assert!(
            next > self.now,
            "the machine left something undone: {}",
            inner.machine.undone(self.now, &policy, stall)
        );
        let mut at = next.max(self.now + 1_000_000 * Nanos::from(next <= self.now));
        if rests {
            at = self.at_a_tick(at);
        }
        if let Some(entry) = self.sentries.arm(stream.key, at) {
            self.deadlines.insert(entry);
        }
    }

    pub(super) fn count_ticking(&mut self, gone: Ticking, come: Ticking) {
        let Ticking { published, precise } = &mut self.ticking;
        *published = *published + come.published - gone.published;
        *precise = *precise + come.precise - gone.precise;
    }

    /// When to look at a stream at rest that would be silent at `next`: at the tick before that,
    /// so that streams share their wake-ups. Only one that has not delivered by then is looked at
    /// at the exact time.
    fn at_a_tick(&self, next: Nanos) -> Nanos {
        let tick = next - next % self.core.tick_ns().max(1);
        if tick > self.now { tick } else { next }
    }

    /// A void entry would wake the monitor for nothing.
    pub(super) fn tidy_deadlines(&mut self) {
        if self.sentries.void > TIDY_AT.max(self.deadlines.len() / 2) {
            let Self { deadlines, sentries, .. } = self;
            deadlines.retain(|entry| sentries.is_valid(entry));
            sentries.void = 0;
        }
    }
}
