//! The facts of one stream, as plain as they come.

use changeover::{Condition, InputConfig, SwitchReason};

/// One activation of one input.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) epoch: u64,
    pub(crate) since: u64,
    /// A hot producer came back: the silence of its former epoch goes on from `since`.
    pub(super) reconnects: bool,
    pub(super) accepted: bool,
    /// A start that stands for a probe (§6.1).
    pub(super) trial: bool,
    /// Hot: somebody holds a recorder.
    pub(crate) open: bool,
    /// Hot: its first packet, by id, has opened it.
    pub(super) by_id_only: bool,
    /// From when silence counts.
    pub(crate) last: Option<u64>,
    /// The last packet's own time.
    pub(super) stamp: Option<u64>,
    pub(super) packets: u64,
}

#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) cause: SwitchReason,
    pub(super) why: String,
    /// Silent since this packet: who is to follow must have delivered later (§1 *delivering*).
    pub(super) silent_after: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) config: InputConfig,
    pub(crate) enabled: bool,
    pub(super) failure: Option<Failure>,
    pub(super) proved: bool,
    pub(crate) run: Option<Run>,
    /// Hot, without a producer, and the stream wants it: the connect timeout counts from here.
    pub(super) wanted_since: Option<u64>,
    /// First packet of the present run without a gap of T.
    pub(super) steady_since: Option<u64>,
    /// The probe cooldown counts from here.
    pub(super) cooling_since: Option<u64>,
    pub(super) in_flight: Option<(u64, u64)>,
    pub(super) outstanding: Option<u64>,
    pub(super) unsupported: bool,
    pub(super) errors: Vec<(u64, String)>,
    pub(super) last_failure: Option<(u64, String, SwitchReason)>,
    /// A probe has found it good since its last failure, and nothing else has.
    pub(super) vouched: bool,
    /// When it was last started on the word of a probe and brought no packet; none has come since.
    pub(super) vain_at: Option<u64>,
    pub(super) last_packet: Option<u64>,
    pub(super) packets_before: u64,
    pub(super) conditions: Vec<Raised>,
    /// It was told to be degraded, and is so by its conditions only.
    pub(super) told_degraded: bool,
    /// Failbacks to it that died young, in a row; since when the stream is with it; whether a
    /// failback brought it there. (open: not in behaviour.md; rustdoc of `required_stable_ms`.)
    pub(super) flaps: u32,
    pub(super) on_air_since: Option<u64>,
    pub(super) came_back: bool,
    /// Hot: a recorder was opened on it, so that its packets by id open no epoch any more.
    pub(crate) had_recorder: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Raised {
    pub(super) condition: Condition,
    pub(super) raised: bool,
    pub(super) true_since: Option<u64>,
    pub(super) false_since: Option<u64>,
    pub(super) acts_since: Option<u64>,
}

/// A removed or disabled input that stays on the air until its successor delivers (§8.2).
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    pub(crate) config: InputConfig,
    pub(crate) run: Run,
    /// Its input is gone, or another source stands behind its number.
    pub(super) removed: bool,
    /// It was removed, and not only edited: whoever has its number now is new altogether.
    pub(super) gone: bool,
    pub(super) stopped: bool,
}

/// A switch that is decided and not effective yet (§5.2).
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) target: i32,
    pub(super) reason: SwitchReason,
    pub(super) detail: String,
    pub(super) decided_at: u64,
    pub(super) kind: Kind,
    /// There was nothing eligible on the air when it was decided.
    pub(super) forced: bool,
    pub(super) tickets: Vec<usize>,
    pub(super) accepted: bool,
    pub(super) hold: Option<Ordered>,
    pub(super) armed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Forced,
    /// Stands while the target is better than the active one.
    Upward,
    /// Stands while the active one is impaired.
    Soft,
    Manual,
}

/// An operator's hold, as ordered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ordered {
    pub(crate) ttl_ms: i64,
    pub(crate) keep: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) priority: i32,
    pub(super) until: u64,
    pub(super) keep: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Switched {
    pub(super) at: u64,
    pub(super) from: Option<i32>,
    pub(super) to: i32,
    pub(super) reason: SwitchReason,
    pub(super) detail: String,
    pub(super) decided_at: u64,
    pub(super) first_packet: Option<u64>,
    pub(super) stall_us: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Noted {
    pub(super) at: u64,
    pub(super) what: &'static str,
    pub(super) from: Option<i32>,
    pub(super) to: Option<i32>,
    pub(super) reason: SwitchReason,
    pub(super) rule: Option<&'static str>,
    pub(super) until: Option<u64>,
    pub(super) detail: String,
}

/// A move that was wanted, and what stands against it.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) to: Option<i32>,
    pub(super) reason: SwitchReason,
    pub(super) rule: &'static str,
    pub(super) until: Option<u64>,
    pub(super) detail: String,
}

/// The latest move, until the first packet of the input taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) at: u64,
    pub(super) old_stamp: Option<u64>,
    pub(super) epoch: Option<u64>,
    pub(super) packets: u64,
}

/// What the world is told, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Said {
    pub(crate) calls: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) callbacks: Vec<&'static str>,
    pub(crate) tickets: Vec<(usize, Result<(), String>)>,
    /// Callbacks that wait: coalesced in pairs (§4 of the notifier, behaviour §6.5).
    pub(super) waiting: Vec<&'static str>,
}

impl Input {
    pub(super) fn new(config: InputConfig) -> Self {
        Self {
            config,
            enabled: true,
            failure: None,
            proved: false,
            run: None,
            wanted_since: None,
            steady_since: None,
            cooling_since: None,
            in_flight: None,
            outstanding: None,
            unsupported: false,
            errors: Vec::new(),
            last_failure: None,
            vouched: false,
            vain_at: None,
            last_packet: None,
            packets_before: 0,
            conditions: Vec::new(),
            told_degraded: false,
            flaps: 0,
            on_air_since: None,
            came_back: false,
            had_recorder: false,
        }
    }

    /// §5.1: neither degraded nor stopped.
    pub(super) fn is_candidate(&self) -> bool {
        self.enabled && self.failure.is_none()
    }

    pub(super) fn epoch(&self) -> Option<u64> {
        self.run.as_ref().map(|run| run.epoch)
    }

    /// Its activation is over; what it counted stays counted.
    pub(super) fn take_run(&mut self) -> Option<Run> {
        let run = self.run.take()?;
        self.packets_before += run.packets;
        Some(run)
    }
}

impl Leaving {
    /// Another source stands behind its number, which has been its own all the while.
    pub(crate) fn is_edited(&self) -> bool {
        self.removed && !self.gone
    }
}

impl Run {
    pub(super) fn new(epoch: u64, since: u64) -> Self {
        Self {
            epoch,
            since,
            reconnects: false,
            accepted: false,
            trial: false,
            open: false,
            by_id_only: false,
            last: None,
            stamp: None,
            packets: 0,
        }
    }

    pub(super) fn hear(&mut self, stamp: u64) {
        self.packets += 1;
        (self.last, self.stamp) = (Some(stamp), Some(stamp));
    }
}
