//! One simulation: everything due in its order, shared faults and stalls, and the healing at the
//! end.

use std::time::{Duration, Instant};

use changeover::StreamStatus;

use crate::actors::Actor;
use crate::command::Command;
use crate::faults::{Kind, SITES};
use crate::profile::{self, Mix};
use crate::rig::{Rig, Violation};
use crate::rng::Rng;
use crate::schedule::{Entry, Schedule, What};
use crate::shadow::{MS, S, Stream};

/// A simulation is all of this, and nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) streams: usize,
    pub(crate) mix: Mix,
    pub(crate) span_ns: u64,
    /// Its commands are written down.
    pub(crate) recorded: Option<usize>,
    pub(crate) told: bool,
}

impl Plan {
    /// So many hours of all streams together.
    pub(crate) fn new(seed: u64, hours: f64, streams: usize, mix: Mix) -> Self {
        let span_ns = (hours * 3_600.0 * 1e9 / streams as f64) as u64;
        Self { seed, streams, mix, span_ns, recorded: None, told: false }
    }

    pub(crate) fn hours(&self) -> f64 {
        self.span_ns as f64 / 3_600e9 * self.streams as f64
    }
}

pub(crate) struct Outcome {
    pub(crate) rig: Rig,
    pub(crate) took: Duration,
}

pub(crate) struct Simulation {
    plan: Plan,
    rig: Rig,
    schedule: Schedule,
    actors: Vec<Actor>,
    chance: Rng,
}

impl Simulation {
    pub(crate) fn new(plan: Plan) -> Self {
        let dense = plan.mix == Mix::Dense;
        let actors = (0..plan.streams).map(|index| {
            let mut rng = Rng::new(plan.seed, index as u64 + 1);
            let config = profile::stream(plan.mix, index, &mut rng);
            Actor::new(index, rng, config, dense)
        });
        let mut actors: Vec<Actor> = actors.collect();
        let grid = |actor: &Actor| plan.mix.grid_ns(actor.config.packet_timeout_ms);
        let mut schedule = Schedule::new(plan.mix.grid_ns(0), actors.iter().map(grid));
        let mut rig = Rig::new(plan.streams, plan.recorded);
        for actor in &mut actors {
            actor.begin(&mut rig, &mut schedule);
            actor.wind_up(&mut schedule);
        }
        schedule.push(Entry::engine_wide(60 * S, What::SiteFault, 0));
        schedule.push(Entry::engine_wide(300 * S, What::StallBegin, 0));
        Self { chance: Rng::new(plan.seed, 0), plan, rig, schedule, actors }
    }

    pub(crate) fn run(mut self) -> Outcome {
        let began = Instant::now();
        let mut tenths = 0;
        self.go_on_until(self.plan.span_ns, |sim| {
            let now_tenths = sim.rig.now * 10 / sim.plan.span_ns.max(1);
            if sim.plan.told && now_tenths > tenths {
                tenths = now_tenths;
                sim.tell_progress(tenths, began.elapsed());
            }
        });
        self.heal();
        if self.rig.violation.is_none() {
            self.rig.check_subscribers();
        }
        Outcome { rig: self.rig, took: began.elapsed() }
    }

    fn go_on_until(&mut self, until: u64, mut each: impl FnMut(&mut Self)) {
        while let Some(at) = self.schedule.next_at().filter(|at| *at < until) {
            if self.rig.violation.is_some() {
                return;
            }
            self.rig.advance_to(at);
            self.hear_calls();
            while self.schedule.next_at() == Some(at) {
                let Some(entry) = self.schedule.pop() else { break };
                self.act(entry);
                self.hear_calls();
            }
            self.rig.settle();
            self.hear_calls();
            each(self);
        }
        if self.rig.violation.is_none() {
            self.rig.advance_to(until);
            self.hear_calls();
        }
    }

    fn act(&mut self, entry: Entry) {
        let Self { rig, schedule, actors, .. } = self;
        if let Some(index) = entry.whose.checked_sub(1) {
            let actor = &mut actors[index as usize];
            return actor.act(rig, schedule, entry.what, usize::from(entry.source), entry.arg);
        }
        match entry.what {
            What::SiteFault => self.a_site_fails(),
            // One that was due before the healing began must not end it.
            What::StallBegin if actors.first().is_some_and(|actor| actor.healing) => {}
            What::StallBegin => {
                rig.exec(0, &Command::Stall);
                let span = self.chance.log_within(10 * MS, 40 * S);
                schedule.push(Entry::engine_wide(rig.now + span, What::StallEnd, 0));
            }
            _ => {
                rig.exec(0, &Command::Wake);
                let after = self.chance.exponential(1_800 * S);
                let healing = actors.first().is_some_and(|actor| actor.healing);
                if !healing {
                    schedule.push(Entry::engine_wide(rig.now + after, What::StallBegin, 0));
                }
            }
        }
    }

    /// All sources of one site fail, the same way, in the same moment, and are back at once.
    fn a_site_fails(&mut self) {
        let site = self.chance.below(SITES);
        let kind = [Kind::Die, Kind::Vanish, Kind::Hang][self.chance.below(3) as usize];
        let span = self.chance.log_within(200 * MS, 1_200 * S);
        let after = self.chance.exponential(900 * S);
        self.schedule.push(Entry::engine_wide(self.rig.now + after, What::SiteFault, 0));
        self.rig.counts.add("fault: a whole site");
        for actor in &mut self.actors {
            for k in 0..actor.sources.len() {
                if actor.sources[k].site == site {
                    actor.begin_fault(&mut self.rig, &mut self.schedule, k, kind, span);
                }
            }
        }
    }

    /// The driver's calls find their answerer.
    fn hear_calls(&mut self) {
        while let Some(call) = self.rig.calls.pop() {
            let now = self.rig.now;
            let Self { rig, schedule, actors, .. } = self;
            actors[call.stream].called(now, schedule, &call, &mut rig.counts);
        }
    }

    /// All is well from now on: every stream gets to its best input, and stays there.
    fn heal(&mut self) {
        if self.rig.violation.is_some() {
            return;
        }
        if self.rig.stalled {
            self.rig.exec(0, &Command::Wake);
        }
        for actor in &mut self.actors {
            actor.heal(&mut self.rig, &mut self.schedule);
        }
        self.hear_calls();
        let wanted = self.rig.streams.iter().map(Stream::healing_ns).max().unwrap_or(0);
        let until = self.rig.now + wanted;
        self.go_on_until(until, |_| {});
        for i in 0..self.rig.streams.len() {
            if self.rig.violation.is_none() {
                self.rig.exec(i, &Command::Look);
                self.is_healed(i);
            }
        }
    }

    fn is_healed(&mut self, i: usize) {
        let stream = &self.rig.streams[i];
        let Ok(status) = self.rig.engine.runtime_status(&stream.id) else {
            return self.rig.fail(i, "healed", "gone after healing");
        };
        let best = stream.inputs.first().map(|input| input.p);
        let text = if status.status != StreamStatus::Active || status.exhausted {
            format!("{:?} after healing", status.status)
        } else if status.pending_input_priority.is_some() {
            "a switch is pending after healing".to_owned()
        } else if status.active_input_priority != best && !stream.failback_never && !stream.soft {
            format!("on {:?} after healing, and {best:?} is best", status.active_input_priority)
        } else {
            return;
        };
        self.rig.fail(i, "healed", text);
    }

    fn tell_progress(&self, tenths: u64, took: Duration) {
        if ![1, 5, 10].contains(&tenths) {
            return;
        }
        println!(
            "  {:>3} %  {:>7.1} s  resident {:.1} MiB  {} packets",
            tenths * 10,
            took.as_secs_f64(),
            resident_mib(),
            self.rig.packets
        );
    }
}

/// A failure of the run, with the panic of the engine as one.
pub(crate) fn run_caught(plan: Plan) -> Result<Outcome, Violation> {
    let run = std::panic::AssertUnwindSafe(|| Simulation::new(plan).run());
    match std::panic::catch_unwind(run) {
        Ok(outcome) => Ok(outcome),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned()));
            Err(Violation { stream: 0, at: 0, check: "panic", text: text.unwrap_or_default() })
        }
    }
}

/// What the process holds in memory.
pub(crate) fn resident_mib() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|word| word.parse::<f64>().ok());
    pages.unwrap_or(0.0) * 4096.0 / (1024.0 * 1024.0)
}
