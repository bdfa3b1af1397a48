//! What the host implements to bring cold inputs up and down, and the calls it is given.
//!
//! Calls run on the engine's worker threads, never on the monitor: each may block, fail, take
//! seconds, panic, or call back into the engine. Calls for one input begin in order and never
//! overlap; a call past its deadline counts as failed, its worker is replaced, and what it
//! answers later is ignored. A host whose inputs are all hot needs no driver.

use std::fmt;

use crate::config::InputConfig;
use crate::sync::{Arc, AtomicBool, Ordering};
use crate::types::{Epoch, Nanos, Priority, StreamKey};

/// The host's ingest.
pub trait IngestDriver: Send + Sync + 'static {
    /// Bring the input up, so that its packets are recorded under `call.epoch`.
    ///
    /// Deadline: the input's connect timeout. Called on a worker thread; may block.
    fn start(&self, call: &StartCall) -> Answer;

    /// Take the activation of `call.epoch` down. Finished when it returns. Exactly one for each
    /// activation that was started, whatever became of it, but for one whose start failed.
    ///
    /// Deadline: the stop timeout. Called on a worker thread; may block.
    fn stop(&self, call: &StopCall);

    /// Say whether the source would deliver, without bringing it on the air.
    /// [`Answer::Unsupported`], the default, makes the engine take packets as evidence, and a
    /// start as the probe: whenever the stream is exhausted, and otherwise for inputs better than
    /// the active one. It is remembered until the input's address is edited; a worse standby that
    /// has failed stays degraded meanwhile, for nothing could prove it without taking the air.
    ///
    /// Deadline: the probe timeout. Called on a worker thread; may block.
    fn probe(&self, call: &ProbeCall) -> Answer {
        let _ = call;
        Answer::Unsupported
    }

    /// A running activation has got another priority (its source was renumbered): nothing to do
    /// but to note it.
    fn rebind(&self, call: &RebindCall) {
        let _ = call;
    }

    /// A cut to this input waits for a keyframe: ask its encoder for one, if you can. Also called
    /// for hot inputs. What comes of it is seen in its packets.
    fn request_keyframe(&self, call: &KeyframeCall) {
        let _ = call;
    }
}

/// A driver that its host goes on using.
impl<D: IngestDriver + ?Sized> IngestDriver for Arc<D> {
    fn start(&self, call: &StartCall) -> Answer {
        (**self).start(call)
    }

    fn stop(&self, call: &StopCall) {
        (**self).stop(call);
    }

    fn probe(&self, call: &ProbeCall) -> Answer {
        (**self).probe(call)
    }

    fn rebind(&self, call: &RebindCall) {
        (**self).rebind(call);
    }

    fn request_keyframe(&self, call: &KeyframeCall) {
        (**self).request_keyframe(call);
    }
}

/// What a driver call answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It worked.
    Done,
    /// It did not; the text says why.
    Failed(String),
    /// This driver, or this input, has no such operation (probes only; a start counts as failed).
    Unsupported,
    /// The answer comes later, from any thread, through the call's [`AnswerToken`].
    Later,
}

/// `start(stream, input, epoch, buffer_write_id)`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StartCall {
    /// The stream's id.
    pub stream: Arc<str>,
    /// The input, as configured.
    pub input: Arc<InputConfig>,
    /// The epoch that packets of this activation are to be recorded under.
    pub epoch: Epoch,
    /// Where to write.
    pub buffer_write_id: Arc<str>,
    pub(crate) slip: Slip,
}

/// `probe(input)`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProbeCall {
    /// The stream's id.
    pub stream: Arc<str>,
    /// The input, as configured.
    pub input: Arc<InputConfig>,
    pub(crate) slip: Slip,
}

/// `stop(stream, input, epoch)`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StopCall {
    /// The stream's id.
    pub stream: Arc<str>,
    /// The input's priority when it was started, or last rebound.
    pub input_priority: Priority,
    /// The activation to end.
    pub epoch: Epoch,
}

/// `rebind(stream, from, to, epoch)`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RebindCall {
    /// The stream's id.
    pub stream: Arc<str>,
    /// The priority that the activation had.
    pub from_priority: Priority,
    /// The input that it now belongs to.
    pub input: Arc<InputConfig>,
    /// The activation, which goes on.
    pub epoch: Epoch,
}

/// `request_keyframe(stream, input, epoch)`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyframeCall {
    /// The stream's id.
    pub stream: Arc<str>,
    /// The input, as configured.
    pub input: Arc<InputConfig>,
    /// Its activation.
    pub epoch: Epoch,
}

impl StartCall {
    /// Takes the right to answer later. See [`AnswerToken`].
    #[must_use]
    pub fn token(&self) -> AnswerToken {
        AnswerToken { slip: self.slip.clone() }
    }
}

impl ProbeCall {
    /// Takes the right to answer later. See [`AnswerToken`].
    #[must_use]
    pub fn token(&self) -> AnswerToken {
        AnswerToken { slip: self.slip.clone() }
    }
}

/// The right to answer one driver call later, from any thread. The first answer counts; a token
/// dropped without an answer answers *failed*. Answering never blocks.
#[derive(Debug)]
pub struct AnswerToken {
    slip: Slip,
}

impl AnswerToken {
    /// It worked.
    pub fn done(self) {
        self.slip.answer(Answer::Done);
    }

    /// It did not.
    pub fn failed(self, why: impl Into<String>) {
        self.slip.answer(Answer::Failed(why.into()));
    }

    /// There is no such operation (probes).
    pub fn unsupported(self) {
        self.slip.answer(Answer::Unsupported);
    }
}

impl Drop for AnswerToken {
    fn drop(&mut self) {
        self.slip.answer(Answer::Failed("the driver dropped its answer".to_owned()));
    }
}

/// Which call an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallId {
    Start { epoch: Epoch },
    Probe { priority: Priority, ticket: u64 },
}

/// Where answers go: the engine's inbox.
pub(crate) trait AnswerSink: Send + Sync {
    fn answered(&self, stream: StreamKey, call: CallId, answer: Answer);
}

/// One call's way back.
#[derive(Clone)]
pub(crate) struct Slip(Arc<SlipState>);

struct SlipState {
    sink: Arc<dyn AnswerSink>,
    stream: StreamKey,
    call: CallId,
    answered: AtomicBool,
}

impl Slip {
    pub(crate) fn new(sink: Arc<dyn AnswerSink>, stream: StreamKey, call: CallId) -> Self {
        Self(Arc::new(SlipState { sink, stream, call, answered: AtomicBool::new(false) }))
    }

    /// The first answer counts. Relaxed: the flag only decides who is first; the answer itself
    /// travels through the inbox.
    pub(crate) fn answer(&self, answer: Answer) {
        if answer != Answer::Later && !self.0.answered.swap(true, Ordering::Relaxed) {
            self.0.sink.answered(self.0.stream, self.0.call, answer);
        }
    }
}

impl fmt::Debug for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.call)
    }
}

/// One driver call, as data: what the workers carry out, and what the hand-driven engine queues.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum DriverCall {
    /// Bring an input up.
    Start(StartCall),
    /// Probe an input.
    Probe(ProbeCall),
    /// Take an activation down.
    Stop(StopCall),
    /// Note a renumbering.
    Rebind(RebindCall),
    /// Ask for a keyframe.
    RequestKeyframe(KeyframeCall),
}

impl DriverCall {
    /// The priority of the input it concerns.
    #[must_use]
    pub fn input_priority(&self) -> Priority {
        match self {
            Self::Start(call) => call.input.priority,
            Self::Probe(call) => call.input.priority,
            Self::Stop(call) => call.input_priority,
            Self::Rebind(call) => call.input.priority,
            Self::RequestKeyframe(call) => call.input.priority,
        }
    }

    /// The stream it concerns.
    #[must_use]
    pub fn stream(&self) -> &str {
        match self {
            Self::Start(call) => &call.stream,
            Self::Probe(call) => &call.stream,
            Self::Stop(call) => &call.stream,
            Self::Rebind(call) => &call.stream,
            Self::RequestKeyframe(call) => &call.stream,
        }
    }
}

/// A driver call on its way to be carried out.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) stream: StreamKey,
    pub(crate) call: DriverCall,
    /// When it has failed: absolute for start and probe, from its beginning for stop and rebind.
    pub(crate) deadline: JobDeadline,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum JobDeadline {
    At(Nanos),
    AfterBegin(Nanos),
}

/// Who carries driver calls out: the worker pool, or a test's queue.
pub(crate) trait CallRunner: Send + Sync {
    fn submit(&self, job: Job);
    /// The stream is gone: starts and probes of it that have not begun never begin. Answers the
    /// epochs whose start never began, which need no stop.
    fn forget(&self, stream: StreamKey) -> Vec<Epoch>;
}
