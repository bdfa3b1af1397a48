//! Inputs whose next packet matters at once: packets that tell of themselves, and a look at each
//! tick for those that may have missed being told to.

use super::{Monitor, TIDY_AT};
use crate::machine::Event;
use crate::slab::CellIndex;
use crate::stream::{Inner, Stream};
use crate::sync::{Arc, Ordering, fence};
use crate::types::StreamKey;

/// Cells that are looked at in one tick: some 20 us.
const LOOKS_A_TICK: usize = 2048;

#[derive(Clone, Copy)]
pub(super) struct Watch {
    cell: CellIndex,
    packets: u64,
    stream: StreamKey,
    version: u32,
}

impl Monitor {
    /// Packets that found a watch bit.
    pub(super) fn hear_packets(&mut self) {
        let mut told = std::mem::take(&mut self.told);
        self.core.cells.drain_told(&mut told);
        for cell in told.drain(..) {
            let stream = self.core.cells.stream_of(cell).and_then(|key| self.core.by_key(key));
            if let Some(stream) = stream {
                self.process(&stream, Event::Look);
            }
        }
        self.told = told;
    }

    /// A packet may have missed a watch bit that was being set: its count shows it, at the next
    /// tick at the latest. (Or, where very many inputs are silent, at one of the next: a look at all
    /// of them would be late itself. The packet after that one finds its bit.)
    pub(super) fn look_at_watched(&mut self) {
        for _ in 0..self.watch.len().min(LOOKS_A_TICK) {
            if self.watch_from >= self.watch.len() {
                self.watch_from = 0;
            }
            let Some(watch) = self.watch.get_mut(self.watch_from) else { return };
            let counted = self.core.cells.get(watch.cell).packets.load(Ordering::Relaxed);
            if counted == watch.packets {
                self.watch_from += 1;
                continue;
            }
            watch.packets = counted;
            let Watch { stream, version, .. } = *watch;
            if !self.sentries.is_watched(stream, version) {
                self.watch.swap_remove(self.watch_from);
                self.void_watches = self.void_watches.saturating_sub(1);
                continue;
            }
            self.watch_from += 1;
            if let Some(stream) = self.core.by_key(stream) {
                self.process(&stream, Event::Look);
            }
        }
    }

    /// Void entries are dropped when they are many.
    pub(super) fn tidy_watched(&mut self) {
        if self.void_watches > TIDY_AT.max(self.watch.len() / 2) {
            let Self { watch, sentries, .. } = self;
            watch.retain(|watch| sentries.is_watched(watch.stream, watch.version));
            self.void_watches = 0;
        }
    }

    /// Sets the watch bits, and lists the watched cells for the looks at each tick. Answers
    /// whether a packet of theirs has come that the machine does not know.
    pub(super) fn watch(&mut self, stream: &Arc<Stream>, inner: &mut Inner) -> bool {
        let core = Arc::clone(&self.core);
        let (policy, stall) = (Arc::clone(&self.policy), self.log.stall());
        let mut epochs = std::mem::take(&mut self.epochs);
        epochs.clear();
        inner.machine.watched(self.now, &policy, stall, &mut epochs);
        inner.plane.watch(&core.cells, &epochs);
        // A producer loads its word, then counts; this sets the bit, then reads the counts. With
        // the fence between, a packet that missed the bit is in the counts read now, or its
        // stores were still on their way: then the look at the next tick finds a difference to
        // the counts listed now. (The producer has no fence: that tick is the promise.)
        fence(Ordering::SeqCst);
        self.cells.clear();
        inner.plane.watched_cells(&core.cells, &epochs, &mut self.cells);
        self.samples.clear();
        if !epochs.is_empty() {
            inner.plane.sample(&core.cells, &self.log, &mut self.samples);
        }
        let unknown = self.samples.iter().any(|(epoch, sample)| {
            epochs.contains(epoch)
                && inner
                    .machine
                    .known_packets(*epoch)
                    .is_some_and(|known| known < sample.counts.packets)
        });
        if !inner.watched.iter().eq(self.cells.iter().map(|(cell, _)| cell)) {
            let version = self.sentries.watch_anew(stream.key);
            self.void_watches += inner.watched.len();
            inner.watched.clear();
            for (cell, packets) in self.cells.drain(..) {
                inner.watched.push(cell);
                self.watch.push(Watch { cell, packets, stream: stream.key, version });
            }
        }
        self.epochs = epochs;
        unknown
    }
}
