//! The hot cell: one 64-byte line of atomics per producer of one epoch.
//!
//! A cell has one writer, its [`Recorder`](crate::Recorder), which writes the counters with
//! plain relaxed stores, and a flag word that the control plane writes at a cut. Every epoch
//! gets cells of its own, and a cell goes back to the slab only when both the epoch and the
//! recorder have let go of it, so a preempted stale recorder can never write into another
//! input's life.
//!
//! # Orderings
//! | field | writers | readers | guarantee |
//! |---|---|---|---|
//! | `last`, `bytes`, `frames_lost` .. `gaps` | its recorder, relaxed | monitor, relaxed | each exact on its own; a sample may be torn between them |
//! | `packets` | its recorder, after all of these, release | monitor, before all of these, acquire | a monitor that sees a packet sees its stamp |
//! | `flags` | control plane and cutting producers, SeqCst CAS | recorder, acquire; all others SeqCst | see [`crate::handover`] |
//! | `bytes` of a by-id cell ([`Cell::home`]) | control plane, release | by-id calls, acquire | who finds the home finds it opened |
//! | `peer` | control plane, before it arms; release | whoever completes a cut, acquire, and re-checks `flags` | the word belongs to the arming that `flags` names |
//! | `next` | the producer that cleared the watch bit, and the monitor that drains | – | a node is pushed once: 0 -> linked by CAS |

pub(crate) use crate::flags::{Flags, Gate};
use crate::sync::{Atomic, AtomicU32, AtomicU64, Ordering};
use crate::types::{Nanos, Packet, Tracks};

/// One producer's line.
#[repr(C, align(64))]
#[derive(Debug)]
#[cfg_attr(loom, derive(Default))]
pub(crate) struct Cell {
    /// Stamp of the last packet, ns ([`crate::publish::PRECISE`] marks a clock reading).
    pub(crate) last: AtomicU64,
    pub(crate) packets: AtomicU64,
    /// In a by-id cell, whose packets carry no size: the home of the open epoch, 0 for none.
    pub(crate) bytes: AtomicU64,
    pub(crate) flags: Atomic<Flags>,
    /// While armed: the cell on the air, index and tag.
    pub(crate) peer: AtomicU64,
    /// Video frames begun (low half) and packets lost (high half), wrapping. Two counts to a word:
    /// one load and store for both. A carry from the low one, once in 2^32, is a packet lost.
    pub(crate) frames_lost: AtomicU64,
    /// Packets on which a keyframe cut may fall (low half), packets with video (next 16 bits) and
    /// with audio (last 16 bits), wrapping. What carries into the audio comes with video, so it
    /// never looks like audio alone.
    pub(crate) keys_tracks: AtomicU64,
    /// The longest gap between two packets, in units of [`GAP_UNIT_NS`]: of the present block of
    /// time (low half) and of the block before (high half). Where the learn bit is set.
    pub(crate) gaps: AtomicU32,
    /// Link in the list of cells that have something to tell the monitor.
    pub(crate) next: AtomicU32,
}

/// 2^17 ns: 131 us. The longest gap that fits is 8.6 s.
const GAP_SHIFT: u32 = 17;
pub(crate) const GAP_UNIT_NS: Nanos = 1 << GAP_SHIFT;
/// Blocks of 2^30 ns: 1.07 s.
pub(crate) const GAP_BLOCK_SHIFT: u32 = 30;

/// What a packet of these tracks, with a keyframe (8) or without, adds to `keys_tracks`. A table:
/// packets differ, and working it out takes longer than all the rest.
const KEYS_TRACKS: [u64; 16] = {
    let mut table = [0; 16];
    let mut i = 0;
    while i < 16 {
        let packet = Packet::unpack(0, (i as u64) << 32);
        let video = packet.tracks.contains(Tracks::VIDEO) as u64;
        let audio = packet.tracks.contains(Tracks::AUDIO) as u64;
        table[i] = packet.is_cut_point() as u64 | video << 32 | audio << 48;
        i += 1;
    }
    table
};

#[inline]
fn frames_lost(more: u64) -> u64 {
    (more & 0xFFFF) | (more >> 16 & 0xFFFF) << 32
}

#[inline]
fn keys_tracks(more: u64) -> u64 {
    KEYS_TRACKS[(more >> 32 & 15) as usize]
}

impl Cell {
    /// A by-id cell's pointer to the home of the open epoch.
    pub(crate) fn home(&self) -> &AtomicU64 {
        &self.bytes
    }

    /// Counts what the host said beyond the size ([`Packet::pack_more`]). Its only writer calls
    /// it: plain loads and stores, as for the packets.
    #[inline]
    pub(crate) fn count_more(&self, more: u64) {
        let add = |word: &AtomicU64, n: u64| {
            word.store(word.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        };
        add(&self.frames_lost, frames_lost(more));
        add(&self.keys_tracks, keys_tracks(more));
    }

    /// Notes the gap between two packets, at their times. A gap counts in the block in which it
    /// ends.
    #[inline]
    pub(crate) fn note_gap(&self, before: Nanos, now: Nanos) {
        if now <= before || before == 0 {
            return;
        }
        let units = (now - before).div_ceil(GAP_UNIT_NS).min(u64::from(u16::MAX)) as u32;
        let gaps = self.gaps.load(Ordering::Relaxed);
        let (present, previous) = (gaps & 0xFFFF, gaps & 0xFFFF_0000);
        let noted = if now >> GAP_BLOCK_SHIFT == before >> GAP_BLOCK_SHIFT {
            present.max(units) | previous
        } else {
            units | present << 16
        };
        self.gaps.store(noted, Ordering::Relaxed);
    }
}

/// What one or several packets add to a cell at once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    packets: u64,
    bytes: u64,
    frames_lost: u64,
    keys_tracks: u64,
    /// A keyframe cut may fall on one of them.
    pub(crate) has_cut_point: bool,
}

impl Sum {
    pub(crate) fn of(packet: Packet) -> Self {
        let mut sum = Self::default();
        sum.add(packet);
        sum
    }

    #[inline]
    pub(crate) fn add(&mut self, packet: Packet) {
        self.packets += 1;
        self.bytes += u64::from(packet.bytes);
        self.has_cut_point |= packet.is_cut_point();
        let more = packet.pack_more();
        self.frames_lost = self.frames_lost.wrapping_add(frames_lost(more));
        self.keys_tracks = self.keys_tracks.wrapping_add(keys_tracks(more));
    }

    /// Its only writer calls it: plain loads and stores.
    #[inline]
    pub(crate) fn count(&self, cell: &Cell, stamp: u64) {
        let add = |word: &AtomicU64, n: u64| {
            word.store(word.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
        };
        cell.last.store(stamp, Ordering::Relaxed);
        add(&cell.bytes, self.bytes);
        if self.frames_lost | self.keys_tracks != 0 {
            add(&cell.frames_lost, self.frames_lost);
            add(&cell.keys_tracks, self.keys_tracks);
        }
        let packets = cell.packets.load(Ordering::Relaxed).wrapping_add(self.packets);
        // Release pairs with the monitor's acquire: who sees the packets sees their stamp.
        cell.packets.store(packets, Ordering::Release);
    }
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Cell>() == 64 && align_of::<Cell>() == 64);
// A word that took `atomic`'s spin lock would not be wait-free.
const _: () = assert!(Atomic::<Flags>::is_lock_free());
