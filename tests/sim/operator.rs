//! The operator of a stream, and the program of the host: what they say, and take back; and the
//! healing at the end.

use changeover::InputsUpdate;

use crate::actors::Actor;
use crate::command::{Command, Prank, Reply};
use crate::rig::Rig;
use crate::schedule::{Schedule, What};
use crate::shadow::{MS, S};

impl Actor {
    /// The operator, or the host's program, says something; and takes it back later.
    pub(crate) fn next_word(&mut self, rig: &mut Rig, schedule: &mut Schedule) {
        let after = self.rng.exponential(self.mean_word_ns);
        self.at(schedule, rig.now + after, What::Word, 0, 0);
        if self.healing {
            return;
        }
        self.come_back(rig, schedule);
        let k = self.rng.below(self.sources.len() as u64) as usize;
        let p = self.sources[k].config.priority;
        let word = self.rng.below(12) as u32;
        let back = self.rng.log_within(100 * MS, 1_200 * S);
        let command = match word {
            0 | 1 => Command::Switch(p),
            2 => Command::Hold(p, self.rng.within(500, 900_000) as i64, self.rng.chance(50)),
            3 => Command::Enable(p, false),
            4 => Command::Error(p),
            5 => Command::Buffer(self.rng.below(3) as u32),
            6 => self.edit(k),
            7 if self.sources.len() > 1 => self.remove(k),
            8 => Command::Unregister,
            9 => Command::Arm(match self.rng.below(4) {
                0 => Prank::Error(p),
                1 => Prank::Switch(p),
                2 => Prank::Unregister,
                _ => Prank::Panic,
            }),
            10 => Command::Release,
            _ => Command::Arm(Prank::Panic),
        };
        rig.counts.add("operator's word");
        rig.exec(self.index, &command);
        if word == 6 {
            // The old connection is gone with the old address.
            self.sources[k].ticking = false;
            self.sources[k].ticks += 1;
            self.resume(rig, schedule, k);
        }
        self.at(schedule, rig.now + back, What::TakeBack, k, word);
    }

    fn edit(&mut self, k: usize) -> Command {
        self.edits += 1;
        let config = &mut self.sources[k].config;
        config.address = format!("udp://{}.{k}.{}", self.index, self.edits);
        let updated = vec![config.clone()];
        Command::Update(Box::new(InputsUpdate { updated, ..InputsUpdate::default() }))
    }

    fn remove(&mut self, k: usize) -> Command {
        self.sources[k].present = false;
        self.sources[k].ticking = false;
        let removed = vec![self.sources[k].config.priority];
        Command::Update(Box::new(InputsUpdate { removed, ..InputsUpdate::default() }))
    }

    pub(crate) fn take_back(
        &mut self,
        rig: &mut Rig,
        schedule: &mut Schedule,
        k: usize,
        word: u32,
    ) {
        let p = self.sources[k].config.priority;
        match word {
            0 | 1 => _ = rig.exec(self.index, &Command::ClearOverride),
            2 => _ = rig.exec(self.index, &Command::Release),
            3 => _ = rig.exec(self.index, &Command::Enable(p, true)),
            7 => self.add_again(rig, schedule, k),
            8 => self.come_back(rig, schedule),
            _ => {}
        }
    }

    fn add_again(&mut self, rig: &mut Rig, schedule: &mut Schedule, k: usize) {
        if self.sources[k].present || !rig.streams[self.index].registered {
            return;
        }
        self.sources[k].present = true;
        let added = vec![self.sources[k].config.clone()];
        let update = InputsUpdate { added, ..InputsUpdate::default() };
        rig.exec(self.index, &Command::Update(Box::new(update)));
        self.resume(rig, schedule, k);
    }

    /// From now on all is well: every source delivers, every answer comes, every word is taken
    /// back.
    pub(crate) fn heal(&mut self, rig: &mut Rig, schedule: &mut Schedule) {
        self.hostile = false;
        self.healing = true;
        self.come_back(rig, schedule);
        let i = self.index;
        rig.exec(i, &Command::ClearOverride);
        rig.exec(i, &Command::Release);
        for k in 0..self.sources.len() {
            self.add_again(rig, schedule, k);
            let p = self.sources[k].config.priority;
            rig.exec(i, &Command::Enable(p, true));
            for _ in 0..rig.streams[i].activations.len() {
                rig.exec(i, &Command::Start(p, Reply::Dropped));
            }
            rig.exec(i, &Command::Probe(p, Reply::Dropped));
            let serial = self.sources[k].fault.serial;
            self.end_fault(rig, schedule, k, serial);
            self.resume(rig, schedule, k);
        }
    }
}
