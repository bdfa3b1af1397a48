//! Carrying the machine's actions out: driver calls, epochs, events, callbacks, tickets; and the
//! driver's answers on their way back.

use super::Monitor;
use crate::driver::{
    Answer, CallId, DriverCall, Job, JobDeadline, KeyframeCall, ProbeCall, RebindCall, Slip,
    StartCall, StopCall,
};
use crate::events::EventKind;
use crate::machine::{Action, Event, ProbeOutcome};
use crate::notify::Notice;
use crate::stream::{Declared, Inner, Stream};
use crate::sync::{Arc, Ordering};
use crate::types::{Epoch, Priority, StreamKey};

impl Monitor {
    pub(super) fn carry_out(&mut self, stream: &Arc<Stream>, inner: &mut Inner) {
        let core = Arc::clone(&self.core);
        let mut actions = std::mem::take(&mut self.actions);
        for action in actions.drain(..) {
            match action {
                Action::Start { input, epoch, buffer, deadline } => {
                    let declared = inner.declared(input.priority).and_then(Declared::by_id);
                    let cells = &core.cells;
                    inner.plane.open(cells, stream.key, input.priority, epoch, declared);
                    let slip = self.slip(stream.key, CallId::Start { epoch });
                    let call = StartCall {
                        stream: Arc::clone(&stream.id),
                        input,
                        epoch,
                        buffer_write_id: buffer,
                        slip,
                    };
                    self.submit(stream.key, DriverCall::Start(call), JobDeadline::At(deadline));
                }
                Action::Stop { priority, epoch } => {
                    self.submit(stream.key, stop(stream, priority, epoch), self.stop_deadline());
                }
                Action::Probe { input, ticket, deadline } => {
                    let id = CallId::Probe { priority: input.priority, ticket };
                    let slip = self.slip(stream.key, id);
                    let call = ProbeCall { stream: Arc::clone(&stream.id), input, slip };
                    self.submit(stream.key, DriverCall::Probe(call), JobDeadline::At(deadline));
                }
                Action::Rebind { from, input, epoch } => {
                    let by_id = inner.declared(input.priority).and_then(Declared::by_id);
                    inner.plane.rebind(&core.cells, epoch, input.priority, by_id);
                    // Whether its packets by id open an epoch is the source's to take along.
                    let by_id_only = inner.plane.is_by_id_only(epoch);
                    if let Some(heir) = inner.declared_mut(input.priority) {
                        heir.had_recorder = !by_id_only;
                    }
                    if let Some(cell) = inner.renew_by_id(&core.cells, stream.key, from) {
                        core.routes.replace(&stream.id, stream.key, inner.route());
                        core.cells.release(cell);
                    }
                    if !input.hot {
                        let stream_id = Arc::clone(&stream.id);
                        let call =
                            RebindCall { stream: stream_id, from_priority: from, input, epoch };
                        let call = DriverCall::Rebind(call);
                        self.submit(stream.key, call, self.stop_deadline());
                    }
                }
                Action::RequestKeyframe { input, epoch } => {
                    let stream_id = Arc::clone(&stream.id);
                    let call = KeyframeCall { stream: stream_id, input, epoch };
                    let call = DriverCall::RequestKeyframe(call);
                    self.submit(stream.key, call, self.stop_deadline());
                }
                Action::Close { epoch } => {
                    if let Some((cell, counted)) = inner.plane.close(&core.cells, epoch)
                        && let Some(found) =
                            inner.declared.iter_mut().find(|d| d.by_id() == Some(cell))
                    {
                        found.heard = counted;
                    }
                }
                Action::Emit(kind) => {
                    if matches!(kind, EventKind::InputFailover { .. }) {
                        core.stats.failovers.fetch_add(1, Ordering::Relaxed);
                    }
                    core.publish(self.now, Some(stream), kind);
                }
                Action::Exhausted => {
                    core.notifier.push(stream.key, &stream.id, Notice::Exhausted);
                }
                Action::Restored => core.notifier.push(stream.key, &stream.id, Notice::Restored),
                Action::Ticket { ticket, outcome } => core.resolve_ticket(ticket, outcome),
            }
        }
        self.actions = actions;
    }

    fn slip(&self, key: StreamKey, call: CallId) -> Slip {
        Slip::new(Arc::clone(&self.answers), key, call)
    }

    fn stop_deadline(&self) -> JobDeadline {
        JobDeadline::AfterBegin(self.policy.stop_timeout_ns)
    }

    fn submit(&self, stream: StreamKey, call: DriverCall, deadline: JobDeadline) {
        if let Some(runner) = &self.runner {
            runner.submit(Job { stream, call, deadline });
        }
    }
}

/// The `stop` of one activation.
pub(crate) fn stop(stream: &Stream, input_priority: Priority, epoch: Epoch) -> DriverCall {
    DriverCall::Stop(StopCall { stream: Arc::clone(&stream.id), input_priority, epoch })
}

pub(super) fn answered(call: CallId, answer: Answer) -> Event {
    match call {
        CallId::Start { epoch } => {
            let outcome = match answer {
                Answer::Done => Ok(()),
                Answer::Failed(why) => Err(why),
                Answer::Unsupported | Answer::Later => Err("start is not supported".to_owned()),
            };
            Event::Started { epoch, outcome }
        }
        CallId::Probe { priority, ticket } => {
            let outcome = match answer {
                Answer::Done => ProbeOutcome::Good,
                Answer::Unsupported => ProbeOutcome::Unsupported,
                Answer::Failed(_) | Answer::Later => ProbeOutcome::Bad,
            };
            Event::Probed { priority, ticket, outcome }
        }
    }
}
