//! One input as the machine sees it: what it is, what runs, what failed.

use std::collections::VecDeque;

use super::Cx;
use crate::config::{InputConfig, ms_to_ns};
use crate::sync::Arc;
use crate::types::{Epoch, Nanos, Priority, SwitchReason};

#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) config: Arc<InputConfig>,
    pub(crate) enabled: bool,
    /// Set = degraded.
    pub(crate) failure: Option<Failure>,
    /// A packet or a successful probe since the last degradation or edit.
    pub(crate) proved: bool,
    pub(crate) run: Option<Run>,
    /// A hot input without a recorder that the stream wants: its connect timeout counts from here.
    pub(crate) wanted_since: Option<Nanos>,
    /// The first packet of the present run of packets without a gap of T.
    pub(crate) steady_since: Option<Nanos>,
    pub(crate) probe: Probe,
    /// Uncleared errors, newest first.
    pub(crate) errors: VecDeque<(Nanos, String)>,
    pub(crate) last_failure: Option<(Nanos, String, SwitchReason)>,
    /// The latest packet's stamp since the last edit, of whatever epoch.
    pub(crate) last_stamp: Option<Nanos>,
    /// Counted in runs that are over.
    pub(crate) past_packets: u64,
    pub(crate) past_bytes: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) cause: SwitchReason,
    pub(crate) message: String,
    /// After silence: the last packet's stamp. Who is to follow must have delivered later.
    pub(crate) silent_after: Option<Nanos>,
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
    /// Armed, and its own packet has put it on the air.
    pub(crate) cut: bool,
    /// The latest moment at which the last packet can have come; silence counts from here.
    pub(crate) last: Option<Nanos>,
    /// The last packet's stamp.
    pub(crate) stamp: Option<Nanos>,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

// Two or three of these to a stream.
const _: () = assert!(size_of::<Input>() <= 384);

/// What the packet plane has counted for one epoch, since its beginning.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    /// The last packet's stamp.
    pub(crate) stamp: Nanos,
    /// The latest moment at which that packet can have come.
    pub(crate) settled: Nanos,
    /// The epoch's producer has made the armed cut.
    pub(crate) cut: bool,
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
            last: None,
            stamp: None,
            packets: 0,
            bytes: 0,
        }
    }

    /// Takes a sample over; answers whether a packet has come since the last one.
    ///
    /// The times are taken whether or not the count has moved: what a stamp settles to may only
    /// be known at a later look, and a sample may be taken between a producer's two stores.
    pub(crate) fn absorb(&mut self, sample: &Sample) -> bool {
        self.cut = sample.cut;
        self.bytes = sample.bytes;
        let moved = sample.packets > self.packets;
        self.packets = sample.packets;
        if sample.packets > 0 {
            self.last = self.last.max(Some(sample.settled));
            self.stamp = self.stamp.max(Some(sample.stamp));
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
            probe: Probe::default(),
            errors: VecDeque::new(),
            last_failure: None,
            last_stamp: None,
            past_packets: 0,
            past_bytes: 0,
        }
    }

    pub(crate) fn priority(&self) -> Priority {
        self.config.priority
    }

    /// Neither degraded nor stopped.
    pub(crate) fn is_candidate(&self) -> bool {
        self.enabled && self.failure.is_none()
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
        self.past_packets += run.packets;
        self.past_bytes += run.bytes;
        Some(run)
    }

    /// Forgets health and history: another source stands behind the priority now.
    pub(crate) fn reset_health(&mut self) {
        self.failure = None;
        self.proved = false;
        self.steady_since = None;
        self.errors.clear();
        self.last_failure = None;
        self.last_stamp = None;
        self.past_packets = 0;
        self.past_bytes = 0;
        let outstanding = self.probe.outstanding;
        self.probe = Probe { outstanding, ..Probe::default() };
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
            Some(last) => (last, self.packet_timeout(config)),
            None if run.reconnects => (run.since, self.packet_timeout(config)),
            None => (run.since, self.connect_timeout(config)),
        };
        (self.stall.extend(from.saturating_add(span), span), span)
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
