//! What the open epochs of a stream have counted, and where.

use super::Plane;
use super::epoch::counts;
use crate::cell::{GAP_BLOCK_SHIFT, GAP_UNIT_NS, Gate};
use crate::handover;
use crate::machine::Sample;
use crate::publish::{PRECISE, PublishLog};
use crate::sentry::Point;
use crate::slab::{CellIndex, Cells};
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::types::{Epoch, Nanos};

impl Plane {
    /// What every open epoch has counted.
    pub(crate) fn sample(&self, cells: &Cells, log: &PublishLog, out: &mut Vec<(Epoch, Sample)>) {
        for found in &self.epochs {
            let gone = found.gone.as_deref();
            let counts_gone = gone.map(|gone| gone.counts).unwrap_or_default();
            let mut sample = Sample { counts: counts_gone, ..Sample::default() };
            let mut latest = |raw: u64| {
                sample.stamp = sample.stamp.max(raw & !PRECISE);
                sample.coarse |= raw & PRECISE == 0;
                sample.settled = sample.settled.max(log.settled(raw));
            };
            if let Some(gone) = gone.filter(|gone| gone.counts.packets > 0) {
                latest(gone.last);
            }
            for producer in found.producers() {
                let cell = cells.get(producer);
                // The count first: of a packet that it has, the stamp is read next.
                let counted = counts(cell);
                let raw = cell.last.load(Relaxed);
                if counted.packets > 0 {
                    latest(raw);
                }
                sample.counts.add(&counted);
                if found.learns {
                    let gap = u64::from(cell.gaps.load(Relaxed) >> 16) * GAP_UNIT_NS;
                    sample.gap = sample.gap.max(gap);
                }
            }
            if let Some((by_id, before)) = found.by_id {
                let cell = cells.get(by_id);
                // Acquire pairs with the caller's release: the count before its stamp.
                let heard = cell.packets.load(Acquire).wrapping_sub(before);
                let raw = cell.last.load(Relaxed);
                if heard > 0 {
                    latest(raw);
                }
                sample.counts.packets += heard;
            }
            sample.gap_block = sample.stamp >> GAP_BLOCK_SHIFT;
            if self.armed == Some(found.epoch) {
                let flags = handover::flags(cells, found.home);
                sample.cut = flags.gate() == Gate::Forward;
                sample.aligned = flags.is_aligned();
            }
            out.push((found.epoch, sample));
        }
    }

    /// Where the packets of an activation are counted, and that there are no others: for one
    /// that nothing but silence is asked of.
    pub(crate) fn point(&self, cells: &Cells, epoch: Epoch, span: Nanos) -> Option<Point> {
        let found = self.find(epoch).filter(|found| found.siblings.is_empty())?;
        // One that has counted nothing in this epoch may have a stamp of the one before.
        let heard =
            found.by_id.filter(|(cell, before)| cells.get(*cell).packets.load(Relaxed) != *before);
        let by_id = heard.map_or(0, |(cell, _)| cell);
        if !found.by_id_only {
            return Some(Point { cell: found.home, by_id, span });
        }
        (by_id != 0).then_some(Point { cell: by_id, by_id: 0, span })
    }

    /// The cells of these epochs, and what each has counted.
    pub(crate) fn watched_cells(
        &self,
        cells: &Cells,
        epochs: &[Epoch],
        out: &mut Vec<(CellIndex, u64)>,
    ) {
        for found in self.epochs.iter().filter(|found| epochs.contains(&found.epoch)) {
            let by_id = found.by_id.map(|(cell, _)| cell);
            for cell in found.producers().chain(by_id) {
                out.push((cell, cells.get(cell).packets.load(Relaxed)));
            }
        }
    }
}
