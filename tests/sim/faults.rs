//! What goes wrong with a source, and for how long.

use crate::rng::Rng;

/// Sources of one site share its faults.
pub(crate) const SITES: u64 = 24;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It reports an error, and is gone.
    Die,
    /// It is gone, and says nothing.
    Vanish,
    /// Connected, and no packets.
    Hang,
    /// Up and down.
    Flap,
    /// Small packets, and slow ones.
    Starve,
    /// Dead, and its old session's packets go on.
    Straggle,
    /// The times that its packets carry are off.
    Skew,
    /// Packets are missing.
    Loss,
    /// The host sees a black picture.
    Black,
}

const KINDS: [(Kind, u64, &str); 9] = [
    (Kind::Die, 20, "fault: dies with a report"),
    (Kind::Vanish, 15, "fault: dies in silence"),
    (Kind::Hang, 15, "fault: hangs"),
    (Kind::Flap, 12, "fault: flaps"),
    (Kind::Starve, 10, "fault: starves"),
    (Kind::Straggle, 10, "fault: straggles"),
    (Kind::Skew, 10, "fault: clock offset"),
    (Kind::Loss, 5, "fault: loses packets"),
    (Kind::Black, 3, "fault: black picture"),
];

impl Kind {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut at = rng.below(KINDS.iter().map(|(_, weight, _)| weight).sum());
        for (kind, weight, _) in KINDS {
            match at.checked_sub(weight) {
                Some(rest) => at = rest,
                None => return kind,
            }
        }
        Self::Die
    }

    pub(crate) fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("fault", |(_, _, name)| name)
    }
}

/// The present state of a source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fault {
    pub(crate) kind: Option<Kind>,
    /// Counts the faults: the end of an earlier one is nobody's.
    pub(crate) serial: u32,
    pub(crate) down: bool,
    /// So far its packets' times are off.
    pub(crate) offset_ns: Option<i64>,
    /// So many halves of the usual pause.
    pub(crate) stretch: u64,
}

impl Fault {
    pub(crate) fn begin(&mut self, kind: Kind, timeout_ns: u64, rng: &mut Rng) {
        let serial = self.serial + 1;
        *self = Self { kind: Some(kind), serial, stretch: 2, ..Self::default() };
        match kind {
            Kind::Skew => {
                let most = rng.log_within(1_000, timeout_ns * 4) as i64;
                self.offset_ns = Some(if rng.chance(60) { -most } else { most });
            }
            Kind::Starve => self.stretch = rng.within(2, 14),
            _ => {}
        }
    }

    /// Answers what it was.
    pub(crate) fn end(&mut self) -> Option<Kind> {
        let was = self.kind;
        *self = Self { serial: self.serial, stretch: 2, ..Self::default() };
        was
    }

    /// Packets come.
    pub(crate) fn delivers(&self) -> bool {
        !self.down && self.connects() && self.kind != Some(Kind::Hang)
    }

    /// Somebody is there.
    pub(crate) fn connects(&self) -> bool {
        !matches!(self.kind, Some(Kind::Die | Kind::Vanish | Kind::Straggle))
    }
}
