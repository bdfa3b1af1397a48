//! The simulated world of one stream: its sources, and the driver that answers for them. Everything
//! happens through commands.

use changeover::{InputConfig, StreamConfig, Verdict};

use crate::command::{Command, Reply, Sent, USUAL};
use crate::faults::{Fault, Kind, SITES};
use crate::rig::{Called, Rig};
use crate::rng::Rng;
use crate::schedule::{Entry, Schedule, What};
use crate::shadow::{GOOD_ANSWER_NS, MS, S};

/// What one source does.
pub(crate) struct Source {
    pub(crate) config: InputConfig,
    pub(crate) timeout_ns: u64,
    connect_ns: u64,
    interval_ns: u64,
    pub(crate) fault: Fault,
    /// Of its ticks: another one's are void.
    pub(crate) ticks: u32,
    pub(crate) ticking: bool,
    sent: u64,
    pub(crate) present: bool,
    /// The site whose faults it shares.
    pub(crate) site: u64,
}

pub(crate) struct Actor {
    pub(crate) index: usize,
    pub(crate) rng: Rng,
    pub(crate) config: StreamConfig,
    pub(crate) sources: Vec<Source>,
    /// The driver is hostile at present.
    pub(crate) hostile: bool,
    /// Nothing goes wrong any more.
    pub(crate) healing: bool,
    pub(crate) keyframe_every: u64,
    pub(crate) mean_fault_ns: u64,
    pub(crate) mean_word_ns: u64,
    unprobed: bool,
    pub(crate) edits: u32,
}

impl Actor {
    pub(crate) fn new(index: usize, mut rng: Rng, config: StreamConfig, dense: bool) -> Self {
        let sources = config.inputs.iter().map(|input| {
            let own = input.packet_timeout_ms;
            let timeout_ms = if own > 0 { own } else { config.packet_timeout_ms };
            let timeout_ns = timeout_ms as u64 * MS;
            Source {
                config: input.clone(),
                timeout_ns,
                connect_ns: if input.connect_timeout_ms > 0 {
                    input.connect_timeout_ms as u64 * MS
                } else {
                    timeout_ns
                },
                // With its jitter it stays below the timeout.
                interval_ns: if dense {
                    rng.within(timeout_ns / 4, timeout_ns * 45 / 100)
                } else {
                    rng.within(timeout_ns * 52 / 100, timeout_ns * 64 / 100)
                },
                fault: Fault::default(),
                ticks: 0,
                ticking: false,
                sent: 0,
                present: true,
                site: rng.below(SITES),
            }
        });
        let sources = sources.collect();
        Self {
            index,
            config,
            sources,
            hostile: false,
            healing: false,
            keyframe_every: rng.within(2, 12),
            mean_fault_ns: if dense { 150 * S } else { 1_500 * S },
            mean_word_ns: if dense { 900 * S } else { 4_000 * S },
            unprobed: rng.chance(10),
            edits: 0,
            rng,
        }
    }

    /// The stream is registered, and its sources begin.
    pub(crate) fn begin(&mut self, rig: &mut Rig, schedule: &mut Schedule) {
        for source in &mut self.sources {
            source.present = true;
            source.ticking = false;
            source.ticks += 1;
        }
        let mut config = self.config.clone();
        config.inputs = self.sources.iter().map(|source| source.config.clone()).collect();
        rig.exec(self.index, &Command::Register(Box::new(config)));
        for k in 0..self.sources.len() {
            if self.sources[k].config.hot {
                let after = self.rng.below(self.sources[k].timeout_ns / 2);
                self.at(schedule, rig.now + after, What::Connect, k, 0);
            }
        }
    }

    /// The first of everything that goes on for ever.
    pub(crate) fn wind_up(&mut self, schedule: &mut Schedule) {
        let (fault, word) = (self.mean_fault_ns, self.mean_word_ns);
        let after =
            [self.rng.exponential(fault), self.rng.exponential(word), self.rng.below(60 * S)];
        for (what, after) in [What::NextFault, What::Word, What::Look].into_iter().zip(after) {
            self.at(schedule, after, what, 0, 0);
        }
    }

    pub(crate) fn at(&self, schedule: &mut Schedule, at: u64, what: What, k: usize, arg: u32) {
        schedule.push(Entry::new(at, self.index, what, k, arg));
    }

    fn place(&self, p: i32) -> Option<usize> {
        self.sources.iter().position(|source| source.config.priority == p)
    }

    /// Something is due.
    pub(crate) fn act(
        &mut self,
        rig: &mut Rig,
        schedule: &mut Schedule,
        what: What,
        k: usize,
        arg: u32,
    ) {
        match what {
            What::Tick => self.tick(rig, schedule, k, arg),
            What::Connect => self.connect(rig, schedule, k),
            What::Straggle => self.straggle(rig, schedule, k, arg),
            What::Flap => self.flap(rig, schedule, k, arg),
            What::FaultEnd => self.end_fault(rig, schedule, k, arg),
            What::NextFault => self.next_fault(rig, schedule),
            What::AnswerStart => self.answer_start(rig, schedule, k, arg),
            What::AnswerProbe => {
                let p = self.sources[k].config.priority;
                rig.exec(self.index, &Command::Probe(p, reply_of(arg)));
            }
            What::DriverEnd => self.hostile = false,
            What::Word => self.next_word(rig, schedule),
            What::TakeBack => self.take_back(rig, schedule, k, arg),
            What::Look => {
                rig.exec(self.index, &Command::Look);
                self.come_back(rig, schedule);
                let every = if self.mean_fault_ns > 200 * S { 400 * S } else { 45 * S };
                let after = self.rng.within(every, 2 * every);
                self.at(schedule, rig.now + after, What::Look, 0, 0);
            }
            What::SiteFault | What::StallBegin | What::StallEnd => {}
        }
    }

    /// A callback may have unregistered the stream.
    pub(crate) fn come_back(&mut self, rig: &mut Rig, schedule: &mut Schedule) {
        if !rig.streams[self.index].registered {
            self.begin(rig, schedule);
        }
    }

    fn tick(&mut self, rig: &mut Rig, schedule: &mut Schedule, k: usize, arg: u32) {
        let source = &mut self.sources[k];
        if source.ticks != arg || !source.present {
            return;
        }
        if !source.fault.delivers() {
            source.ticking = false;
            return;
        }
        source.sent += 1;
        let sent = Sent {
            input: source.config.priority,
            old: false,
            bytes: if source.fault.kind == Some(Kind::Starve) { 200 } else { 1316 },
            key: source.sent.is_multiple_of(self.keyframe_every),
            lost: if source.fault.kind == Some(Kind::Loss) { 3 } else { 0 },
            frames: USUAL.0,
            tracks: USUAL.1,
            offset_ns: source.fault.offset_ns,
        };
        let verdict = rig.exec(self.index, &Command::Packet(sent));
        let source = &mut self.sources[k];
        if matches!(verdict, Some(Verdict::Stale) | None) {
            source.ticking = false;
            if source.config.hot {
                // The connection is opened anew.
                let after = self.rng.below(500 * MS);
                self.at(schedule, rig.now + after, What::Connect, k, 0);
            }
            return;
        }
        let jitter = source.interval_ns / 2;
        let stretch = source.fault.stretch.max(2);
        let pause = source.interval_ns + self.rng.below(jitter);
        self.at(schedule, rig.now + pause * stretch / 2, What::Tick, k, arg);
    }

    fn start_ticking(&mut self, rig: &Rig, schedule: &mut Schedule, k: usize) {
        let source = &mut self.sources[k];
        if source.ticking {
            return;
        }
        source.ticking = true;
        source.ticks += 1;
        let ticks = source.ticks;
        self.at(schedule, rig.now, What::Tick, k, ticks);
    }

    fn connect(&mut self, rig: &mut Rig, schedule: &mut Schedule, k: usize) {
        let source = &self.sources[k];
        if !source.present || !source.fault.connects() || source.ticking {
            return;
        }
        rig.exec(self.index, &Command::Open(source.config.priority));
        self.start_ticking(rig, schedule, k);
    }

    /// The old session's recorder goes on for a while.
    fn straggle(&mut self, rig: &mut Rig, schedule: &mut Schedule, k: usize, left: u32) {
        let source = &self.sources[k];
        let input = source.config.priority;
        let (frames, tracks) = USUAL;
        let (old, bytes, key, lost, offset_ns) = (false, 1316, true, 0, None);
        let plain = Sent { input, old, bytes, key, lost, frames, tracks, offset_ns };
        for old in [false, true] {
            if !old && source.ticking {
                continue;
            }
            rig.counts.add("straggler's packet");
            rig.exec(self.index, &Command::Packet(Sent { old, ..plain }));
        }
        if left == 1 && self.rng.chance(50) {
            rig.exec(self.index, &Command::OldFail(input));
        }
        if left > 0 {
            let after = self.rng.below(self.sources[k].interval_ns / 2);
            self.at(schedule, rig.now + after, What::Straggle, k, left - 1);
        }
    }

    fn next_fault(&mut self, rig: &mut Rig, schedule: &mut Schedule) {
        let after = self.rng.exponential(self.mean_fault_ns);
        self.at(schedule, rig.now + after, What::NextFault, 0, 0);
        if self.healing {
            return;
        }
        if self.rng.chance(12) {
            // It is the driver's turn.
            rig.counts.add("fault: hostile driver");
            self.hostile = true;
            let span = self.rng.log_within(5 * S, 1_800 * S);
            return self.at(schedule, rig.now + span, What::DriverEnd, 0, 0);
        }
        let k = self.rng.below(self.sources.len() as u64) as usize;
        let kind = Kind::draw(&mut self.rng);
        let longest = if self.rng.chance(2) { 5_400 * S } else { 600 * S };
        let span = self.rng.log_within(100 * MS, longest);
        self.begin_fault(rig, schedule, k, kind, span);
    }

    pub(crate) fn begin_fault(
        &mut self,
        rig: &mut Rig,
        schedule: &mut Schedule,
        k: usize,
        kind: Kind,
        span_ns: u64,
    ) {
        if self.sources[k].fault.kind.is_some() || self.healing || !self.sources[k].present {
            return;
        }
        rig.counts.add(kind.name());
        let source = &mut self.sources[k];
        source.fault.begin(kind, source.timeout_ns, &mut self.rng);
        let serial = source.fault.serial;
        let (p, hot, interval) = (source.config.priority, source.config.hot, source.interval_ns);
        match kind {
            Kind::Die | Kind::Straggle => {
                rig.exec(self.index, &Command::Fail(p));
            }
            Kind::Vanish if hot => {
                rig.exec(self.index, &Command::Close(p));
            }
            Kind::Black => {
                rig.exec(self.index, &Command::Condition(p, true));
            }
            _ => {}
        }
        if kind == Kind::Straggle {
            let left = self.rng.within(1, 20) as u32;
            self.at(schedule, rig.now + interval / 3, What::Straggle, k, left);
        }
        if kind == Kind::Flap {
            self.at(schedule, rig.now, What::Flap, k, serial);
        }
        self.at(schedule, rig.now + span_ns, What::FaultEnd, k, serial);
    }

    fn flap(&mut self, rig: &mut Rig, schedule: &mut Schedule, k: usize, serial: u32) {
        let source = &mut self.sources[k];
        if source.fault.serial != serial || source.fault.kind != Some(Kind::Flap) {
            return;
        }
        source.fault.down = !source.fault.down;
        let down = source.fault.down;
        let span = self.rng.log_within(source.timeout_ns / 4, source.timeout_ns * 4);
        self.at(schedule, rig.now + span, What::Flap, k, serial);
        if !down {
            self.resume(rig, schedule, k);
        }
    }

    pub(crate) fn end_fault(
        &mut self,
        rig: &mut Rig,
        schedule: &mut Schedule,
        k: usize,
        serial: u32,
    ) {
        let source = &mut self.sources[k];
        if source.fault.serial != serial || source.fault.kind.is_none() {
            return;
        }
        let was = source.fault.end();
        if was == Some(Kind::Black) {
            let p = source.config.priority;
            rig.exec(self.index, &Command::Condition(p, false));
        }
        self.resume(rig, schedule, k);
    }

    /// A source that is good again: its packets go on where there is a session, or it connects.
    pub(crate) fn resume(&mut self, rig: &mut Rig, schedule: &mut Schedule, k: usize) {
        let source = &self.sources[k];
        if source.ticking || !source.present || !source.fault.delivers() {
            return;
        }
        let stream = &rig.streams[self.index];
        let Some(input) = stream.at(source.config.priority).map(|at| &stream.inputs[at]) else {
            return;
        };
        let session = input.cur.as_ref().is_some_and(|line| Some(line.epoch) == input.epoch);
        let hot = source.config.hot;
        if session {
            self.start_ticking(rig, schedule, k);
        } else if hot || input.epoch.is_some() {
            self.connect(rig, schedule, k);
        }
    }

    /// The driver was called.
    pub(crate) fn called(
        &mut self,
        now: u64,
        schedule: &mut Schedule,
        call: &Called,
        rig_counts: &mut crate::rig::Counts,
    ) {
        let Some(k) = self.place(call.input) else { return };
        let source = &self.sources[k];
        let dead = !source.fault.connects();
        let what = if call.probe { What::AnswerProbe } else { What::AnswerStart };
        let patience = source.connect_ns.min(GOOD_ANSWER_NS);
        let quick = self.rng.below(patience / 3);
        let at_once = self.rng.chance(30);
        let (reply, after) = if self.hostile && self.rng.chance(60) {
            let timeout = if call.probe { 3 * S } else { source.timeout_ns };
            match self.rng.below(6) {
                0 => {
                    rig_counts.add("driver: never answers");
                    return;
                }
                1 => {
                    rig_counts.add("driver: answers after the deadline");
                    (Reply::Done, timeout + self.rng.below(2 * timeout))
                }
                2 => {
                    rig_counts.add("driver: slow");
                    (Reply::Done, self.rng.below(timeout))
                }
                3 => {
                    rig_counts.add("driver: panics");
                    (Reply::Failed, 0)
                }
                4 => {
                    rig_counts.add("driver: drops its answer");
                    (Reply::Dropped, quick)
                }
                _ => {
                    rig_counts.add("driver: answers twice");
                    (Reply::Twice, quick)
                }
            }
        } else if call.probe && self.unprobed {
            (Reply::Unsupported, quick)
        } else if dead && (call.probe || self.rng.chance(50)) {
            (Reply::Failed, quick)
        } else {
            (Reply::Done, if at_once { 0 } else { quick })
        };
        self.at(schedule, now + after, what, k, code_of(reply));
    }

    fn answer_start(&mut self, rig: &mut Rig, schedule: &mut Schedule, k: usize, arg: u32) {
        let (p, reply) = (self.sources[k].config.priority, reply_of(arg));
        if self.hostile && self.rng.chance(15) {
            // It calls back into the engine from inside `start`.
            rig.counts.add("driver: re-entrant");
            let command = match self.rng.below(3) {
                0 => Command::Error(p),
                1 => Command::Switch(self.any()),
                _ => Command::Enable(self.any(), true),
            };
            rig.exec(self.index, &command);
        }
        rig.exec(self.index, &Command::Start(p, reply));
        if matches!(reply, Reply::Done | Reply::Twice) {
            self.sources[k].ticking = false;
            let after = self.rng.below(self.sources[k].connect_ns.min(GOOD_ANSWER_NS) / 4);
            self.at(schedule, rig.now + after, What::Connect, k, 0);
        }
    }

    pub(crate) fn any(&mut self) -> i32 {
        let k = self.rng.below(self.sources.len() as u64) as usize;
        self.sources[k].config.priority
    }
}

const REPLIES: [Reply; 5] =
    [Reply::Done, Reply::Failed, Reply::Dropped, Reply::Twice, Reply::Unsupported];

fn code_of(reply: Reply) -> u32 {
    REPLIES.iter().position(|known| *known == reply).unwrap_or(0) as u32
}

fn reply_of(code: u32) -> Reply {
    REPLIES[code as usize % REPLIES.len()]
}
