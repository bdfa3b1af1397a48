//! The state x event tables of the module's documentation, tried cell by cell: the text of
//! `mod.rs` is read, and every cell is played on a machine.

use super::*;
use crate::config::{EngineConfig, InputsUpdate};

pub(super) const SECOND: Nanos = 1_000_000_000;
pub(super) const SUBJECT: Priority = 1;

/// A machine, its time, and what each epoch has counted.
pub(super) struct Play {
    pub(super) machine: Machine,
    pub(super) policy: Policy,
    pub(super) now: Nanos,
    counts: Vec<(Epoch, Sample)>,
    out: Vec<Action>,
}

impl Play {
    fn new(subject_hot: bool) -> Self {
        let subject = InputConfig { hot: subject_hot, ..InputConfig::cold(SUBJECT, "subject") };
        let config = StreamConfig::new("s").input(InputConfig::cold(0, "other")).input(subject);
        let mut play = Self {
            machine: Machine::new(Arc::from(config.id.as_str()), config),
            policy: EngineConfig::default().resolve(),
            now: SECOND,
            counts: Vec::new(),
            out: Vec::new(),
        };
        play.step(Event::Look);
        play
    }

    pub(super) fn step(&mut self, event: Event) {
        let Self { machine, policy, now, counts, out } = self;
        machine.step(*now, policy, Stall::default(), counts, event, out);
    }

    pub(super) fn input(&self, priority: Priority) -> &Input {
        &self.machine.inputs[self.machine.index_of(priority).unwrap()]
    }

    pub(super) fn epoch(&self, priority: Priority) -> Epoch {
        self.input(priority).epoch().expect("it runs")
    }

    fn started(&mut self, priority: Priority, outcome: Result<(), String>) {
        let epoch = self.epoch(priority);
        self.step(Event::Started { epoch, outcome });
    }

    pub(super) fn packet(&mut self, epoch: Epoch) {
        let now = self.now;
        match self.counts.iter_mut().find(|(known, _)| *known == epoch) {
            Some((_, sample)) => {
                sample.counts.packets += 1;
                (sample.stamp, sample.settled) = (now, now);
            }
            None => {
                let counts = Counts { packets: 1, ..Counts::default() };
                let first = Sample { counts, stamp: now, settled: now, ..Sample::default() };
                self.counts.push((epoch, first));
            }
        }
        self.step(Event::Look);
    }

    /// Lets time pass to the moment that the subject waits for; the other input goes on.
    pub(super) fn wait(&mut self, span: Nanos) {
        let end = self.now + span;
        while self.now < end {
            self.now = (self.now + SECOND).min(end);
            if let Some(epoch) = self.input(0).epoch().filter(|_| self.input(0).is_candidate()) {
                self.packet(epoch);
            }
        }
        self.step(Event::Look);
    }

    pub(super) fn state(&self) -> &'static str {
        let input = self.input(SUBJECT);
        match (&input.failure, &input.run) {
            _ if !input.enabled => "Stopped",
            (Some(_), Some(_)) => "Silent",
            (Some(_), None) => "Failed",
            (None, None) => "Off",
            (None, Some(run)) if run.last.is_some() => "Flowing",
            (None, Some(run)) if run.accepted => "Waiting",
            (None, Some(_)) => "Opening",
        }
    }

    pub(super) fn fail(&mut self, priority: Priority) {
        self.step(Event::Error { priority: Some(priority), epoch: None, message: "boom".into() });
    }

    fn open(&mut self) -> Epoch {
        let epoch = self.machine.new_epoch();
        self.step(Event::Opened { priority: SUBJECT, epoch, by_id: false });
        epoch
    }
}

/// The subject as the active input, the other one failed for good.
fn active_in(state: &str) -> Play {
    let mut play = Play::new(false);
    play.started(0, Ok(()));
    play.fail(0);
    assert_eq!(play.state(), "Opening");
    if state == "Opening" {
        return play;
    }
    play.started(SUBJECT, Ok(()));
    let epoch = play.epoch(SUBJECT);
    match state {
        "Waiting" => {}
        "Flowing" => play.packet(epoch),
        "Silent" => {
            play.packet(epoch);
            play.wait(30 * SECOND);
        }
        "Failed" => {
            play.packet(epoch);
            play.fail(SUBJECT);
        }
        "Stopped" => play.step(Event::Enable { priority: SUBJECT, enabled: false }),
        other => panic!("no such state: {other}"),
    }
    assert!(state == "Stopped" || play.machine.active == Some(SUBJECT));
    play
}

/// The subject as a standby; the other input is active and flows.
pub(super) fn standby_in(state: &str, hot: bool) -> Play {
    let mut play = Play::new(hot);
    play.started(0, Ok(()));
    let on_air = play.epoch(0);
    play.packet(on_air);
    match state {
        "Off" => {}
        "Opening" | "Waiting" => {
            play.step(Event::Switch { priority: SUBJECT, ticket: 1 });
            if state == "Waiting" {
                play.started(SUBJECT, Ok(()));
            }
        }
        "Flowing" | "Silent" => {
            let epoch = play.open();
            play.packet(epoch);
            if state == "Silent" {
                play.wait(30 * SECOND);
            }
        }
        "Failed" => play.fail(SUBJECT),
        "Stopped" => play.step(Event::Enable { priority: SUBJECT, enabled: false }),
        other => panic!("no such state: {other}"),
    }
    assert_eq!(play.machine.active, Some(0));
    play
}

pub(super) fn apply(play: &mut Play, event: &str) {
    let epoch = play.input(SUBJECT).epoch();
    // An epoch that is over, or never was.
    let any_epoch = epoch.unwrap_or(Epoch::new(9_999));
    match event {
        "packet" => play.packet(any_epoch),
        "deadline" => play.wait(30 * SECOND),
        "start ok" => play.step(Event::Started { epoch: any_epoch, outcome: Ok(()) }),
        "start failed" => {
            play.step(Event::Started { epoch: any_epoch, outcome: Err("no".into()) });
        }
        "error" => {
            play.step(Event::Error { priority: Some(SUBJECT), epoch, message: "lost".into() })
        }
        "probe ok" | "probe bad" => {
            // The engine asks first, where it asks at all.
            if play.state() == "Failed" {
                play.wait(8 * SECOND);
            }
            let ticket = play.input(SUBJECT).probe.outstanding.unwrap_or(9_999);
            let outcome = if event == "probe ok" { ProbeOutcome::Good } else { ProbeOutcome::Bad };
            play.step(Event::Probed { priority: SUBJECT, ticket, outcome });
        }
        "disable" => play.step(Event::Enable { priority: SUBJECT, enabled: false }),
        "enable" => play.step(Event::Enable { priority: SUBJECT, enabled: true }),
        "edit" => {
            let config = InputConfig {
                address: "elsewhere".into(),
                ..(*play.input(SUBJECT).config).clone()
            };
            let update = InputsUpdate { updated: vec![config], ..InputsUpdate::default() };
            play.step(Event::Update(update));
        }
        "opened" => {
            play.open();
        }
        other => panic!("no such event: {other}"),
    }
}

/// The cells of one table: state, event, what it says.
pub(super) fn cells_of(role: &str) -> Vec<(String, String, String)> {
    let text = include_str!("mod.rs");
    let begin = format!("//! ```text {role}\n");
    let table = text.split(&begin).nth(1).and_then(|rest| rest.split("//! ```").next());
    let mut rows = table.expect("the table is there").lines().map(|line| {
        line.trim_start_matches("//!").split('|').map(|cell| cell.trim().to_owned()).collect()
    });
    let events: Vec<String> = rows.next().expect("a head line");
    let mut cells = Vec::new();
    for row in rows {
        let row: Vec<String> = row;
        assert_eq!(row.len(), events.len(), "a full row: {row:?}");
        for (event, cell) in events.iter().zip(&row).skip(1) {
            cells.push((row[0].clone(), event.clone(), cell.clone()));
        }
    }
    cells
}

fn try_every_cell(role: &str, expected: usize, set_up: impl Fn(&str, &str) -> Play) {
    let cells = cells_of(role);
    assert_eq!(cells.len(), expected, "cells in the table");
    for (state, event, says) in cells {
        let mut play = set_up(&state, &event);
        assert_eq!(play.state(), state, "{role}: set up for '{event}'");
        play.out.clear();
        apply(&mut play, &event);
        let becomes = if says == "." { &state } else { &says };
        assert_eq!(play.state(), becomes, "{role}: {state} + {event}");
        let degraded = play.out.iter().any(|action| {
            matches!(action, Action::Emit(EventKind::InputDegraded { input_priority: 1, .. }))
        });
        let fails = ["Silent", "Failed"].contains(&becomes.as_str());
        let was_good = !["Silent", "Failed", "Stopped"].contains(&state.as_str());
        assert_eq!(degraded, fails && was_good, "{role}: {state} + {event}: one degraded event");
    }
}

#[test]
fn every_cell_of_the_active_table() {
    try_every_cell("active", 6 * 11, |state, _| active_in(state));
}

#[test]
fn every_cell_of_the_standby_table() {
    try_every_cell("standby", 7 * 11, |state, event| {
        let hot = ["Flowing", "Silent"].contains(&state)
            || (event == "opened" && ["Off", "Failed", "Stopped"].contains(&state));
        standby_in(state, hot)
    });
}
