//! One running activation of a scripted source: the same on both clocks.

use changeover::{Engine, Epoch, Packet, Recorder, StartCall, Verdict};

use super::script::{Feed, PACKET};
use super::stage::{Clock, Stage};

/// What the driver's `start` brought up.
#[derive(Debug)]
pub(crate) struct Activation {
    pub(crate) stream: String,
    pub(crate) priority: i32,
    pub(crate) epoch: Epoch,
    pub(crate) address: String,
    /// Opened with the first packet, so that a test can open it itself for a silent source.
    recorder: Option<Recorder>,
    /// When the next packet is due; `None` = at once, when the source gives some again.
    next_packet: Option<u64>,
}

/// What an activation does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Look again at this time, or when the script changes.
    At(u64),
    /// Its worker has ended.
    Ended,
}

impl Activation {
    pub(crate) fn new(call: &StartCall, first_packet: u64) -> Self {
        Self {
            stream: call.stream.to_string(),
            priority: call.input.priority,
            epoch: call.epoch,
            address: call.input.address.clone(),
            recorder: None,
            next_packet: Some(first_packet),
        }
    }

    /// Does what the script says for now.
    pub(crate) fn step(&mut self, engine: &Engine, stage: &Stage, clock: Clock) -> Next {
        let now = clock.now(engine);
        let (feed, next_change) =
            stage.source(&self.address, |src| (src.feed(now), src.next_change(now)));
        match feed {
            Feed::Ok => match self.next_packet.unwrap_or(now) {
                due if due <= now => self.send(engine, stage, clock, now, due),
                due => Next::At(next_change.min(due)),
            },
            Feed::Killed(why) => {
                stage.source(&self.address, |src| src.reports.push(now));
                self.report(engine, why);
                Next::Ended
            }
            Feed::Silent | Feed::Dead | Feed::StartFails(_) | Feed::StartHangs => {
                // A packet that the script wanted before the change, and the machine did not
                // let out.
                let missed = self.next_packet.take().filter(|due| {
                    *due < now && stage.source(&self.address, |src| src.feed(*due)) == Feed::Ok
                });
                if missed.is_some() {
                    stage.ran_late(u64::MAX, clock);
                }
                Next::At(next_change)
            }
        }
    }

    fn send(&mut self, engine: &Engine, stage: &Stage, clock: Clock, now: u64, due: u64) -> Next {
        stage.ran_late(now - due, clock);
        if self.recorder.is_none() {
            let Ok(recorder) = engine.recorder(&self.stream, self.priority, self.epoch) else {
                return Next::Ended;
            };
            self.recorder = Some(recorder);
        }
        let recorder = self.recorder.as_mut().expect("opened above");
        // Before the packet, so that nobody who sees its effect finds it missing here.
        stage.source(&self.address, |src| src.last_packet = Some(now));
        let verdict = recorder.record(Packet::new(1316));
        if verdict == Verdict::Stale {
            return Next::Ended;
        }
        stage.source(&self.address, |src| src.forwarded = verdict.is_forward());
        // On its own grid; after a gap, from now.
        let next = if due + PACKET > now { due + PACKET } else { now + PACKET };
        self.next_packet = Some(next);
        Next::At(next.min(stage.source(&self.address, |src| src.next_change(now))))
    }

    fn report(&mut self, engine: &Engine, why: &str) {
        match &mut self.recorder {
            Some(recorder) => recorder.report_error(why),
            // Before its first packet. A refusal means that the engine has ended it meanwhile.
            None => {
                let _ = engine.report_input_error(&self.stream, self.priority, self.epoch, why);
            }
        }
    }
}
