//! What a scripted source does, as a schedule over scenario time.

/// A second of scenario time, in ns.
pub(crate) const fn s(seconds: u64) -> u64 {
    seconds * 1_000_000_000
}

/// A millisecond of scenario time, in ns.
pub(crate) const fn ms(milliseconds: u64) -> u64 {
    milliseconds * 1_000_000
}

/// The packet timeout of nearly all scenarios.
pub(crate) const T: u64 = s(30);
/// From an accepted start to the first packet of a good source.
pub(crate) const FIRST: u64 = ms(200);
/// From packet to packet.
pub(crate) const PACKET: u64 = ms(200);
/// How long a probe of a source that answers takes.
pub(crate) const PROBE: u64 = ms(500);
/// The default probe cooldown.
pub(crate) const PROBE_COOLDOWN: u64 = s(8);
/// The default probe timeout.
pub(crate) const PROBE_TIMEOUT: u64 = s(3);
/// The default failback cooldown.
pub(crate) const FAILBACK_COOLDOWN: u64 = s(12);

/// What a source gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// It delivers.
    Ok,
    /// It reports this error and its worker ends; a start fails with it.
    Killed(&'static str),
    /// Connected, but no packets; a probe fails.
    Silent,
    /// Never connects and reports nothing; a start is accepted, a probe fails after 2 s.
    Dead,
    /// A start fails with this error.
    StartFails(&'static str),
    /// A start gets no answer.
    StartHangs,
}

/// What a probe of the source does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Probe {
    /// Tells the truth about the feed at the moment it begins.
    Honest,
    /// Succeeds, whatever the feed.
    Succeeds,
    /// Returns only this much later, with success or failure.
    Hangs { returns_after: u64, good: bool },
    /// The driver has no probe for it.
    Unsupported,
}

/// The default stop timeout.
pub(crate) const STOP_TIMEOUT: u64 = s(5);
/// How long a better hot input delivers before a failback, by default.
pub(crate) const FAILBACK_STABLE: u64 = s(5);

/// One source, known by its address.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// What it gives from which time on, ascending.
    feeds: Vec<(u64, Feed)>,
    pub(crate) probe: Probe,
    /// From the driver's `start` to its answer.
    pub(crate) accept: u64,
    /// From the accepted start to the first packet.
    pub(crate) first: u64,
    /// When it last sent a packet.
    pub(crate) last_packet: Option<u64>,
    /// Whether its last packet was to be forwarded.
    pub(crate) forwarded: bool,
    /// When it reported errors.
    pub(crate) reports: Vec<u64>,
}

impl Default for Source {
    fn default() -> Self {
        Self {
            feeds: vec![(0, Feed::Ok)],
            probe: Probe::Honest,
            accept: 0,
            first: FIRST,
            last_packet: None,
            forwarded: false,
            reports: Vec::new(),
        }
    }
}

impl Source {
    pub(crate) fn schedule(&mut self, feeds: &[(u64, Feed)]) {
        self.feeds = feeds.to_vec();
    }

    /// From `at` on it gives this.
    pub(crate) fn change(&mut self, at: u64, feed: Feed) {
        self.feeds.retain(|(from, _)| *from < at);
        self.feeds.push((at, feed));
    }

    /// What it gives now.
    pub(crate) fn feed(&self, now: u64) -> Feed {
        self.feeds.iter().rev().find(|(from, _)| *from <= now).map_or(Feed::Ok, |(_, feed)| *feed)
    }

    /// When that changes.
    pub(crate) fn next_change(&self, now: u64) -> u64 {
        self.feeds.iter().map(|(from, _)| *from).find(|from| *from > now).unwrap_or(u64::MAX)
    }

    /// How long a probe that begins now takes, and whether it succeeds; `None` = unsupported.
    pub(crate) fn probe_answer(&self, now: u64) -> Option<(u64, bool)> {
        match self.probe {
            Probe::Unsupported => None,
            Probe::Succeeds => Some((PROBE, true)),
            Probe::Hangs { returns_after, good } => Some((returns_after, good)),
            Probe::Honest => match self.feed(now) {
                Feed::Ok => Some((PROBE, true)),
                Feed::Dead => Some((s(2), false)),
                _ => Some((PROBE, false)),
            },
        }
    }

    /// What a start that begins now comes to; `None` = no answer.
    pub(crate) fn start_answer(&self, now: u64) -> Option<Result<(), &'static str>> {
        match self.feed(now) {
            Feed::Ok | Feed::Silent | Feed::Dead => Some(Ok(())),
            Feed::Killed(why) | Feed::StartFails(why) => Some(Err(why)),
            Feed::StartHangs => None,
        }
    }
}
