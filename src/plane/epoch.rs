//! The cells of one open epoch, and what they have counted.

use crate::cell::Cell;
use crate::machine::Counts;
use crate::publish::PRECISE;
use crate::slab::{CellIndex, Cells};
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::types::{Epoch, Priority};

/// The cells of one open epoch.
#[derive(Debug)]
pub(super) struct EpochCells {
    pub(super) epoch: Epoch,
    pub(super) priority: Priority,
    /// Its flag word counts, unless it was moved.
    pub(super) home: CellIndex,
    /// Where the flag word was moved to when a sibling was opened.
    pub(super) line: Option<CellIndex>,
    /// The home is a by-id cell: nobody opened a recorder.
    pub(super) by_id_only: bool,
    /// The by-id cell went its own way, and the epoch keeps it only as its home.
    pub(super) keeps_by_id: bool,
    /// A recorder holds the home cell.
    pub(super) taken: bool,
    pub(super) siblings: Vec<CellIndex>,
    /// The input's by-id cell, and what it had counted when the epoch began.
    pub(super) by_id: Option<(CellIndex, u64)>,
    /// Counted by producers that are gone.
    pub(super) gone: Option<Box<Gone>>,
    /// Its gaps are noted.
    pub(super) learns: bool,
}

/// What producers had counted that are gone, and the latest of their stamps.
#[derive(Debug, Default)]
pub(super) struct Gone {
    pub(super) counts: Counts,
    pub(super) last: u64,
}

// One or two of these to an input that runs. It may shrink.
const _: () = assert!(size_of::<EpochCells>() <= 96);

impl EpochCells {
    /// A producer goes: what it counted stays, and when it was last heard.
    pub(super) fn keep(&mut self, raw: u64, counts: &Counts) {
        let gone = self.gone.get_or_insert_default();
        gone.counts.add(counts);
        if raw & !PRECISE > gone.last & !PRECISE {
            gone.last = raw;
        }
    }

    pub(super) fn producers(&self) -> impl Iterator<Item = CellIndex> {
        let home = (!self.by_id_only).then_some(self.home);
        home.into_iter().chain(self.siblings.iter().copied())
    }
}

/// Points a by-id cell at an epoch's home; answers it with what it has counted so far.
pub(super) fn attach(cells: &Cells, by_id: CellIndex, home: CellIndex) -> (CellIndex, u64) {
    let cell = cells.get(by_id);
    let before = cell.packets.load(Acquire);
    // Release: whoever finds the home finds it opened.
    cell.home().store(u64::from(home), Release);
    (by_id, before)
}

/// What one cell has counted.
pub(super) fn counts(cell: &Cell) -> Counts {
    // Acquire pairs with the recorder's release: what belongs to these packets is read after it.
    let packets = cell.packets.load(Acquire);
    let (frames_lost, keys_tracks) =
        (cell.frames_lost.load(Relaxed), cell.keys_tracks.load(Relaxed));
    Counts {
        packets,
        bytes: cell.bytes.load(Relaxed),
        frames: frames_lost as u32,
        lost: (frames_lost >> 32) as u32,
        keyframes: keys_tracks as u32,
        video: (keys_tracks >> 32) as u16,
        audio: (keys_tracks >> 48) as u16,
    }
}
