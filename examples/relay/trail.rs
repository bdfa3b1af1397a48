//! What the output has taken last, so that a lookback knows where to go on.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::align::Stamp;

/// The latest datagrams that are remembered: more than the largest picture (5 MB) has.
const REMEMBERED: usize = 4096;

/// The latest datagrams that the output has taken, whichever input they came from. Whoever writes
/// holds it, so that one who takes over knows for sure where the other stopped.
#[derive(Debug, Default)]
pub(crate) struct Trail(Mutex<VecDeque<Stamp>>);

impl Trail {
    pub(crate) fn lock(&self) -> MutexGuard<'_, VecDeque<Stamp>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, unless somebody is writing.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, VecDeque<Stamp>>> {
        self.0.try_lock().ok()
    }
}

/// Adds what was written.
pub(crate) fn leave(trail: &mut VecDeque<Stamp>, stamp: Stamp) {
    if trail.len() == REMEMBERED {
        trail.pop_front();
    }
    trail.push_back(stamp);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let trail = Trail::default();
        for n in 0..5000 {
            let at = Instant::now();
            let stamp =
                Stamp { at, print: Some(n), rtp: None, clock: None, frame: false, keyframe: false };
            leave(&mut trail.lock(), stamp);
        }
        let prints: Vec<_> = trail.lock().iter().filter_map(|stamp| stamp.print).collect();
        assert!(prints.iter().copied().eq(5000 - REMEMBERED as u64..5000), "{}", prints.len());
        let _writing = trail.lock();
        assert!(trail.try_lock().is_none());
    }
}
