//! The packet plane, on one screen: a packet is counted in the producer's own cell, and the
//! verdict is read from the same line.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::cell::{Cell, Flags, Gate, Sum};
use crate::core::{Core, Msg};
use crate::error::Error;
use crate::handover;
use crate::machine::Event;
use crate::publish::PRECISE;
use crate::slab::CellIndex;
use crate::stream::Stream;
use crate::sync::{Arc, AtomicU64, Ordering};
use crate::types::{Epoch, Nanos, Packet, Priority, Verdict};

/// The handle of one producer for one epoch of one input.
///
/// `Send`, not `Sync`, `&mut self`: one writer by type. [`record`](Self::record) on an input that
/// nobody watches is wait-free: no allocation, no system call, no lock, and no line written but
/// its own. The first packet that something waits for (a degraded input, the target of a switch)
/// makes at most one wake of the monitor, and the packet that makes a cut a few atomic
/// exchanges. Opening and dropping a recorder may block for a moment; they are not for the
/// packet path.
///
/// It outlives the stream and the engine: it answers [`Verdict::Stale`] then.
pub struct Recorder {
    cell: NonNull<Cell>,
    /// The cell whose flag word counts: its own, or the line that siblings share.
    home: NonNull<Cell>,
    published: NonNull<AtomicU64>,
    rest: Box<Rest>,
    _not_sync: PhantomData<std::cell::Cell<()>>,
}

/// What the packet path does not read: where there are very many recorders, every byte of one that
/// a packet touches is cache that the cells do not get.
struct Rest {
    index: CellIndex,
    /// The line that it shares with its siblings, and is an owner of.
    line: Option<CellIndex>,
    epoch: Epoch,
    priority: Priority,
    stream: Arc<Stream>,
    /// Keeps what the three pointers name.
    core: Arc<Core>,
}

const _: () = assert!(size_of::<Recorder>() == 32);

// SAFETY: the pointers name atomics that `core` keeps alive; all else is `Send`. The one-writer
// rule of a cell holds, because the recorder moves as a whole and cannot be shared.
unsafe impl Send for Recorder {}

/// What the line above takes for granted of the other fields.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<(Arc<Core>, Arc<Stream>)>();
};

impl Recorder {
    pub(crate) fn new(
        core: Arc<Core>,
        stream: Arc<Stream>,
        index: CellIndex,
        epoch: Epoch,
        priority: Priority,
    ) -> Self {
        let at = core.cells.home_of(index);
        // The plane made this recorder an owner of the line, where there is one.
        let line = (at != index).then_some(at);
        let cell = NonNull::from(core.cells.get(index));
        let home = NonNull::from(core.cells.get(at));
        let published = NonNull::from(core.clock.published_word());
        let _not_sync = PhantomData;
        let rest = Box::new(Rest { index, line, epoch, priority, stream, core });
        Self { cell, home, published, rest, _not_sync }
    }

    #[inline]
    fn cell(&self) -> &Cell {
        // SAFETY: cells live as long as `core`, which `rest` holds.
        unsafe { self.cell.as_ref() }
    }

    #[inline]
    fn flags(&self) -> Flags {
        // SAFETY: as above. Acquire pairs with the exchange that granted: see `handover`.
        unsafe { self.home.as_ref() }.flags.load(Ordering::Acquire)
    }

    /// Records a packet at the published time and answers whether to forward it.
    ///
    /// The stamp is the engine's coarse time: a load, not a clock reading. Wait-free (see the
    /// type).
    #[inline]
    pub fn record(&mut self, packet: Packet) -> Verdict {
        // SAFETY: `core` keeps the clock. Relaxed: a time, and nothing hangs on it.
        let now = unsafe { self.published.as_ref() }.load(Ordering::Relaxed);
        self.record_stamped(packet, now)
    }

    /// The same with a clock reading of its own (about 10 ns where the CPU's counter is usable).
    /// Silence counts from exactly then, not from the next tick; and where every input is recorded
    /// so, the engine ticks every 16 ms only. (So where an input changes from this to
    /// [`record`](Self::record) or to packets by id, its silence may be noticed so much later,
    /// once.)
    #[inline]
    pub fn record_precise(&mut self, packet: Packet) -> Verdict {
        let now = self.rest.core.clock.now();
        self.record_stamped(packet, now | PRECISE)
    }

    /// The same with the caller's time, in nanoseconds of [`Engine::now_ns`]. It is clamped to
    /// [the previous packet's time, now].
    ///
    /// [`Engine::now_ns`]: crate::Engine::now_ns
    #[inline]
    pub fn record_at(&mut self, packet: Packet, at_ns: Nanos) -> Verdict {
        // SAFETY: as in `record`.
        let published = unsafe { self.published.as_ref() }.load(Ordering::Relaxed);
        let previous = self.cell().last.load(Ordering::Relaxed) & !PRECISE;
        // Only a time that claims to be newer than the published one needs the clock.
        let now = if at_ns > published { self.rest.core.clock.now() } else { published };
        self.record_stamped(packet, at_ns.min(now).max(previous) | PRECISE)
    }

    #[inline]
    fn record_stamped(&mut self, packet: Packet, stamp: u64) -> Verdict {
        let (bytes, more) = (packet.bytes, packet.pack_more());
        let flags = self.flags();
        if !flags.is_plain() {
            return self.record_watched(bytes, more, stamp);
        }
        count(self.cell(), bytes, more, stamp);
        plain_verdict(flags)
    }

    /// Somebody waits for this packet, its gap is wanted, or the epoch is over.
    #[cold]
    fn record_watched(&mut self, bytes: u32, more: u64, stamp: u64) -> Verdict {
        let flags = self.flags();
        if flags.learns() && flags.learning(false).is_plain() {
            note_gap(self.cell(), stamp);
            count(self.cell(), bytes, more, stamp);
            return plain_verdict(flags);
        }
        watched(&self.rest.core, self.rest.index, Sum::of(Packet::unpack(bytes, more)), stamp)
    }

    /// Reports that the source has failed: the input is degraded at once, and this recorder's
    /// epoch ends (it answers *stale* from then on). An empty message is legal. Never waits.
    pub fn report_error(&mut self, message: &str) {
        self.rest.core.post(self.failed(message));
    }

    /// Opens another producer of the same epoch, for another thread. May block for a moment.
    ///
    /// From the first sibling on, the input's flag word stands on a line of its own that all its
    /// producers read: one more line per record (performance.md measured 1.5x at 10 streams and
    /// 2.3x on cold cells).
    ///
    /// # Errors
    /// [`Error::StaleEpoch`] when the epoch is over.
    pub fn sibling(&mut self) -> Result<Recorder, Error> {
        let opened = {
            let mut inner = self.rest.stream.inner.lock();
            inner.plane.open_sibling(&self.rest.core.cells, self.rest.stream.key, self.rest.epoch)
        };
        let Some(index) = opened else {
            let (priority, epoch) = (self.rest.priority, Some(self.rest.epoch));
            return Err(Error::StaleEpoch { priority, epoch });
        };
        let cells = &self.rest.core.cells;
        let at = cells.home_of(self.rest.index);
        let home = NonNull::from(cells.get(at));
        (self.home, self.rest.line) = (home, Some(at));
        let Rest { epoch, priority, .. } = *self.rest;
        let (core, stream) = (Arc::clone(&self.rest.core), Arc::clone(&self.rest.stream));
        Ok(Recorder::new(core, stream, index, epoch, priority))
    }

    /// Lends the cell to a foreign caller, who is the one writer from now on.
    #[cfg(feature = "capi")]
    pub(crate) fn lend(&self, kind: u32) -> Option<(CellIndex, u32)> {
        let index = self.rest.index;
        self.rest.core.cells.lend(index, kind).map(|mark| (index, mark))
    }

    /// The loan is over, and the recorder closed.
    #[cfg(feature = "capi")]
    pub(crate) fn take_back(self) {
        self.rest.core.cells.take_back(self.rest.index);
    }

    /// [`report_error`](Self::report_error), to be done when no lock is held.
    #[cfg(feature = "capi")]
    pub(crate) fn error_report(&self, message: &str) -> impl FnOnce() + use<> {
        let (core, report) = (Arc::clone(&self.rest.core), self.failed(message));
        move || core.post(report)
    }

    #[cfg(all(loom, test))]
    pub(crate) fn index(&self) -> CellIndex {
        self.rest.index
    }

    fn failed(&self, message: &str) -> Msg {
        let event = Event::Error {
            // The activation may have been renumbered since.
            priority: None,
            epoch: Some(self.rest.epoch),
            message: message.to_owned(),
        };
        Msg::Stream(Arc::clone(&self.rest.stream), event)
    }

    /// The epoch it records for.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.rest.epoch
    }

    /// The input's priority when it was opened.
    #[must_use]
    pub fn priority(&self) -> Priority {
        self.rest.priority
    }

    /// The stream's id.
    #[must_use]
    pub fn stream(&self) -> &str {
        &self.rest.stream.id
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let last = {
            let mut inner = self.rest.stream.inner.lock();
            inner.plane.recorder_closed(&self.rest.core.cells, self.rest.epoch, self.rest.index)
        };
        for cell in [Some(self.rest.index), self.rest.line].into_iter().flatten() {
            self.rest.core.cells.release(cell);
        }
        if last && !self.rest.stream.is_gone() {
            let event = Event::Closed { epoch: self.rest.epoch };
            self.rest.core.post(Msg::Stream(Arc::clone(&self.rest.stream), event));
        }
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder")
            .field("stream", &self.stream())
            .field("priority", &self.rest.priority)
            .field("epoch", &self.rest.epoch)
            .finish_non_exhaustive()
    }
}

/// Counts one packet.
#[inline]
pub(crate) fn count(cell: &Cell, bytes: u32, more: u64, stamp: u64) {
    // Plain loads and stores: the cell has one writer.
    cell.last.store(stamp, Ordering::Relaxed);
    let bytes = cell.bytes.load(Ordering::Relaxed) + u64::from(bytes);
    cell.bytes.store(bytes, Ordering::Relaxed);
    if more != 0 {
        cell.count_more(more);
    }
    let packets = cell.packets.load(Ordering::Relaxed) + 1;
    // Release pairs with the monitor's acquire: who sees the packet sees its stamp, too. The other
    // way round the packet would prove a silent input, and its time prove the opposite.
    cell.packets.store(packets, Ordering::Release);
}

/// What a plain word answers.
#[inline]
pub(crate) fn plain_verdict(flags: Flags) -> Verdict {
    if flags.forwards() { Verdict::Forward(flags.cut()) } else { Verdict::Drop }
}

pub(crate) fn note_gap(cell: &Cell, stamp: u64) {
    cell.note_gap(cell.last.load(Ordering::Relaxed) & !PRECISE, stamp & !PRECISE);
}

/// Records packets whose word is watched, armed or over: takes a stamp anew, makes the cut if one
/// is to be made, wakes the monitor. Wait-free but for other producers' retries; no lock, no
/// allocation, and at most one system call (the wake).
pub(crate) fn watched(core: &Core, index: CellIndex, sum: Sum, stamp: u64) -> Verdict {
    let (cells, cell) = (&core.cells, core.cells.get(index));
    let seen = handover::flags(cells, index);
    if seen.gate() == Gate::Stale {
        return Verdict::Stale;
    }
    // The published word may have slept while nothing ran.
    let stamp = if stamp & PRECISE == 0 { core.clock.refresh() } else { stamp };
    if seen.learns() {
        note_gap(cell, stamp);
    }
    sum.count(cell, stamp);
    answer_watched(core, index, index, seen, sum.has_cut_point)
}

/// The verdict of a packet that was counted in `cell` and found the word of `home` watched or
/// armed: it makes the cut, if one is to be made, and puts the cell on the monitor's list, with
/// one wake if that was empty. `key`: a keyframe cut may fall on the packet.
fn answer_watched(
    core: &Core,
    cell: CellIndex,
    home: CellIndex,
    seen: Flags,
    key: bool,
) -> Verdict {
    let cells = &core.cells;
    let cut = match seen.gate() {
        Gate::Armed | Gate::Cutting => true,
        Gate::ArmedKey => key,
        _ => false,
    };
    let flags = if cut { handover::cut(cells, home, key) } else { seen };
    if (handover::unwatch(cells, home) || cut) && cells.tell(cell) {
        core.waker.wake();
    }
    match flags.gate() {
        Gate::Forward => Verdict::Forward(flags.cut()),
        // Closed between the two looks: this packet is the epoch's last.
        _ => Verdict::Drop,
    }
}

/// Records one packet in a by-id cell: any thread, several at once. Counting takes one atomic
/// addition.
#[inline]
pub(crate) fn record_by_id(core: &Core, index: CellIndex) -> Verdict {
    let cells = &core.cells;
    let cell = cells.get(index);
    // Acquire pairs with the release that pointed the cell at an opened home.
    let home = cell.home().load(Ordering::Acquire) as CellIndex;
    if home == 0 {
        return Verdict::Stale;
    }
    let flags = cells.get(home).flags.load(Ordering::Acquire);
    if !flags.is_plain() {
        return record_by_id_watched(core, index, home);
    }
    count_by_id(cell, core.clock.published_word().load(Ordering::Relaxed));
    plain_verdict(flags)
}

#[inline]
fn count_by_id(cell: &Cell, now: Nanos) {
    // Never backwards, though several threads stamp. Most packets of a tick find it there.
    if cell.last.load(Ordering::Relaxed) < now {
        cell.last.fetch_max(now, Ordering::Relaxed);
    }
    // Release, as in `count`.
    cell.packets.fetch_add(1, Ordering::Release);
}

#[cold]
fn record_by_id_watched(core: &Core, index: CellIndex, home: CellIndex) -> Verdict {
    let cells = &core.cells;
    let seen = handover::flags(cells, home);
    if seen.gate() == Gate::Stale {
        return Verdict::Stale;
    }
    count_by_id(cells.get(index), core.clock.refresh());
    // It says nothing of a keyframe.
    answer_watched(core, index, home, seen, false)
}
