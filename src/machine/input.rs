//! One input as the machine sees it: what it is, what runs, what failed.

use std::collections::VecDeque;

use super::Cx;
use super::rare::{Absent, Rare};
use super::soft::Soft;
use crate::config::InputConfig;
use crate::spans::ms_to_ns;
use crate::sync::Arc;
use crate::types::{Epoch, Nanos, Priority, SwitchReason};

#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) config: Arc<InputConfig>,
    pub(crate) enabled: bool,
    /// Set = degraded.
    pub(crate) failure: Option<Box<Failure>>,
    /// A packet or a successful probe since the last degradation or edit.
    pub(crate) proved: bool,
    pub(crate) run: Option<Run>,
    /// A hot input without a recorder that the stream wants: its connect timeout counts from here.
    pub(crate) wanted_since: Option<Nanos>,
    /// The first packet of the present run of packets without a gap of T.
    pub(crate) steady_since: Option<Nanos>,
    pub(crate) probe: Rare<Probe>,
    pub(crate) troubles: Rare<Troubles>,
    /// The latest packet's stamp since the last edit, of whatever epoch.
    pub(crate) last_stamp: Option<Nanos>,
    /// Counted in runs that are over.
    pub(crate) past: Rare<Totals>,
    /// Health beyond silence; there as long as a rule, a condition or a look needs it.
    pub(crate) soft: Option<Box<Soft>>,
    pub(crate) damping: Damping,
}

/// How often the stream has come back to this input in vain.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Damping {
    /// Failbacks to it that died young, one after the other.
    pub(crate) level: u8,
    /// Since when the stream has been with it without a failure.
    pub(crate) since: Option<Nanos>,
    /// A failback brought it here.
    pub(crate) by_failback: bool,
}

/// What has gone wrong with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles {
    /// Uncleared errors, newest first.
    pub(crate) errors: VecDeque<(Nanos, String)>,
    pub(crate) last_failure: Option<(Nanos, String, SwitchReason)>,
    /// A probe has found it good since its last failure, and nothing else has.
    pub(crate) vouched: bool,
    /// When it was last started on the word of a probe and brought no packet; none has come since.
    pub(crate) vain_at: Option<Nanos>,
}

impl Absent for Troubles {
    fn absent() -> &'static Self {
        static NONE: Troubles =
            Troubles { errors: VecDeque::new(), last_failure: None, vouched: false, vain_at: None };
        &NONE
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) cause: SwitchReason,
    pub(crate) message: String,
    /// After silence: the last packet's stamp. Who is to follow must have delivered later.
    pub(crate) silent_after: Option<Nanos>,
    /// Silent for longer than it usually is, but not for its packet timeout: it may go on.
    pub(crate) suspected: bool,
}

/// One activation: from a start (or, hot, an opened recorder) to its end.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) epoch: Epoch,
    /// The connect timeout counts from here.
    pub(crate) since: Nanos,
    /// A reconnect: the previous run's last packet came at `since`, and its silence goes on.
    pub(crate) reconnects: bool,
    /// The driver has accepted the start (hot: always).
    pub(crate) accepted: bool,
    /// Started to see whether it delivers, not (yet) for the stream.
    pub(crate) trial: bool,
    /// Hot: a recorder is open.
    pub(crate) open: bool,
    /// Armed, and its own packet has put it on the air; whether that was a keyframe.
    pub(crate) cut: bool,
    pub(crate) aligned: bool,
    /// Every producer's last packet was stamped by a clock reading: they need no published time.
    pub(crate) precise: bool,
    /// The latest moment at which the last packet can have come; silence counts from here.
    pub(crate) last: Option<Nanos>,
    /// The last packet's stamp.
    pub(crate) stamp: Option<Nanos>,
    /// As the packet plane counts.
    pub(crate) counts: Counts,
    /// What wraps there, where it does not.
    pub(super) frames: u64,
    pub(super) lost: u64,
    pub(super) keyframes: u64,
    /// Silence that is improbable for it, where that is learned.
    pub(crate) learned: Option<Nanos>,
}

// Two or three of these to a stream. It may shrink.
const _: () = assert!(size_of::<Input>() <= 264);

/// What the packet plane counts. All but packets and bytes wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) frames: u32,
    pub(crate) lost: u32,
    pub(crate) keyframes: u32,
    pub(crate) video: u16,
    pub(crate) audio: u16,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.frames = self.frames.wrapping_add(other.frames);
        self.lost = self.lost.wrapping_add(other.lost);
        self.keyframes = self.keyframes.wrapping_add(other.keyframes);
        self.video = self.video.wrapping_add(other.video);
        self.audio = self.audio.wrapping_add(other.audio);
    }
}

/// Counted since the beginning of something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) frames: u64,
    pub(crate) lost: u64,
    pub(crate) keyframes: u64,
}

impl Absent for Totals {
    fn absent() -> &'static Self {
        &Totals { packets: 0, bytes: 0, frames: 0, lost: 0, keyframes: 0 }
    }
}

impl Totals {
    pub(crate) fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.frames += other.frames;
        self.lost += other.lost;
        self.keyframes += other.keyframes;
    }
}

/// What the packet plane has counted for one epoch, since its beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) counts: Counts,
    /// The last packet's stamp.
    pub(crate) stamp: Nanos,
    /// The latest moment at which that packet can have come.
    pub(crate) settled: Nanos,
    /// Not every producer's last packet was stamped by a clock reading.
    pub(crate) coarse: bool,
    /// The epoch's producer has made the armed cut; whether that was a keyframe.
    pub(crate) cut: bool,
    pub(crate) aligned: bool,
    /// Where gaps are noted: the block of time of the last packet, and the longest gap of the
    /// block with packets before that.
    pub(crate) gap_block: u64,
    pub(crate) gap: Nanos,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Probe {
    /// The probe cooldown counts from here; `None` = at once, where one is wanted.
    pub(crate) cooling_since: Option<Nanos>,
    /// The ticket and deadline of the probe whose result counts.
    pub(crate) in_flight: Option<(u64, Nanos)>,
    /// A call that has not come back, whether or not its result counts.
    pub(crate) outstanding: Option<u64>,
    pub(crate) unsupported: bool,
}

impl Absent for Probe {
    fn absent() -> &'static Self {
        &Probe { cooling_since: None, in_flight: None, outstanding: None, unsupported: false }
    }
}

impl Run {
    pub(crate) fn new(epoch: Epoch, since: Nanos) -> Self {
        Self {
            epoch,
            since,
            reconnects: false,
            accepted: false,
            trial: false,
            open: false,
            cut: false,
            aligned: false,
            precise: false,
            last: None,
            stamp: None,
            counts: Counts::default(),
            frames: 0,
            lost: 0,
            keyframes: 0,
            learned: None,
        }
    }

    pub(crate) fn totals(&self) -> Totals {
        let Counts { packets, bytes, .. } = self.counts;
        let Self { frames, lost, keyframes, .. } = *self;
        Totals { packets, bytes, frames, lost, keyframes }
    }

    /// Whether this span of silence is a learned one.
    pub(crate) fn is_learned(&self, span: Nanos) -> bool {
        self.last.is_some() && self.learned == Some(span)
    }

    /// Takes a sample over; answers whether a packet has come since the last one.
    ///
    /// The times are taken whether or not the count has moved: what a stamp settles to may only
    /// be known at a later look, and a sample may be taken between a producer's two stores.
    pub(crate) fn absorb(&mut self, sample: &Sample) -> bool {
        (self.cut, self.aligned) = (sample.cut, sample.aligned);
        let (before, now) = (self.counts, sample.counts);
        self.counts = now;
        let moved = now.packets > before.packets;
        self.frames += u64::from(now.frames.wrapping_sub(before.frames));
        self.lost += u64::from(now.lost.wrapping_sub(before.lost));
        self.keyframes += u64::from(now.keyframes.wrapping_sub(before.keyframes));
        // None: its clocks have been started anew since the last packet.
        if now.packets > 0 && (moved || self.last.is_some()) {
            self.last = self.last.max(Some(sample.settled));
            self.stamp = self.stamp.max(Some(sample.stamp));
            self.precise = !sample.coarse;
        }
        moved
    }
}

impl Input {
    pub(crate) fn new(config: InputConfig) -> Self {
        Self {
            config: Arc::new(config),
            enabled: true,
            failure: None,
            proved: false,
            run: None,
            wanted_since: None,
            steady_since: None,
            probe: Rare::new(),
            troubles: Rare::new(),
            last_stamp: None,
            past: Rare::new(),
            soft: None,
            damping: Damping::default(),
        }
    }

    pub(crate) fn priority(&self) -> Priority {
        self.config.priority
    }

    /// Neither degraded nor stopped.
    pub(crate) fn is_candidate(&self) -> bool {
        self.enabled && self.failure.is_none()
    }

    /// Silent for longer than usual, but not for its packet timeout.
    pub(crate) fn is_suspected(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.suspected)
    }

    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.run.as_ref().map(|run| run.epoch)
    }

    /// Whether it waits for a probe that would count: none is under way, and none is lost.
    pub(crate) fn can_probe(&self) -> bool {
        !self.config.hot
            && self.enabled
            && self.run.is_none()
            && self.probe.outstanding.is_none()
            && !self.probe.unsupported
    }

    /// A start is the only probe there is: unsupported, or a lost one has not come back.
    pub(crate) fn only_start_proves(&self) -> bool {
        !self.config.hot
            && self.enabled
            && self.run.is_none()
            && self.probe.in_flight.is_none()
            && (self.probe.unsupported || self.probe.outstanding.is_some())
    }

    /// Ends the run's bookkeeping: what it counted stays counted.
    pub(crate) fn take_run(&mut self) -> Option<Run> {
        let run = self.run.take()?;
        self.past.add(&run.totals());
        Some(run)
    }

    /// It was started, and has failed without a packet.
    pub(crate) fn note_vain(&mut self, now: Nanos) {
        if let Some(troubles) = self.troubles.there().filter(|troubles| troubles.vouched) {
            troubles.vain_at = Some(now);
        }
    }

    /// Forgets health and history: another source stands behind the priority now.
    pub(crate) fn reset_health(&mut self) {
        self.failure = None;
        self.proved = false;
        self.steady_since = None;
        self.troubles.clear();
        self.last_stamp = None;
        self.past.clear();
        self.soft = None;
        self.damping = Damping::default();
        if let Some(probe) = self.probe.there() {
            *probe = Probe { outstanding: probe.outstanding, ..Probe::default() };
        }
    }
}

impl Cx<'_> {
    /// The packet timeout of an input.
    pub(crate) fn packet_timeout(&self, config: &InputConfig) -> Nanos {
        first_set(&[
            ms_to_ns(config.packet_timeout_ms),
            self.stream_packet_timeout_ns,
            self.policy.packet_timeout_ns,
        ])
    }

    /// The connect timeout of an input: by default its packet timeout.
    pub(crate) fn connect_timeout(&self, config: &InputConfig) -> Nanos {
        first_set(&[
            ms_to_ns(config.connect_timeout_ms),
            self.stream_connect_timeout_ns,
            self.policy.connect_timeout_ns,
            self.packet_timeout(config),
        ])
    }

    /// When a run counts as silent, and the span that was allowed.
    pub(crate) fn silence_deadline(&self, config: &InputConfig, run: &Run) -> (Nanos, Nanos) {
        let (from, span) = match run.last {
            Some(last) => (last, self.silence_span(config, run)),
            None if run.reconnects => (run.since, self.packet_timeout(config)),
            None => (run.since, self.connect_timeout(config)),
        };
        (self.stall.extend(from.saturating_add(span), span), span)
    }

    /// How much silence is a failure: the packet timeout, or less where that is learned.
    pub(crate) fn silence_span(&self, config: &InputConfig, run: &Run) -> Nanos {
        let timeout = self.packet_timeout(config);
        run.learned.map_or(timeout, |learned| learned.min(timeout))
    }

    /// When a run counts as silent by its packet timeout, whatever is learned of it.
    pub(crate) fn timeout_deadline(&self, config: &InputConfig, run: &Run) -> Nanos {
        let span = self.packet_timeout(config);
        self.stall.extend(run.last.unwrap_or(run.since).saturating_add(span), span)
    }

    /// When the next probe may be made.
    pub(crate) fn probe_due(&self, probe: &Probe) -> Nanos {
        let cooldown = self.policy.probe_cooldown_ns;
        probe.cooling_since.map_or(0, |since| since.saturating_add(cooldown))
    }

    /// A packet of the current epoch less than T ago.
    pub(crate) fn run_delivers(&self, config: &InputConfig, run: &Run) -> bool {
        run.last.is_some() && self.now < self.silence_deadline(config, run).0
    }

    pub(crate) fn delivers(&self, input: &Input) -> bool {
        input.run.as_ref().is_some_and(|run| self.run_delivers(&input.config, run))
    }
}

fn first_set(spans: &[Nanos]) -> Nanos {
    spans.iter().copied().find(|span| *span != 0).unwrap_or(crate::types::FOREVER_NS)
}
