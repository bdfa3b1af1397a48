//! The tables of health beyond silence and of the operator's word, tried cell by cell.

use super::table::{Play, SECOND, SUBJECT, apply, cells_of, standby_in};
use super::*;
use crate::rules::{Condition, WhenDead};
use crate::types::InputStatus;

/// Of the condition in play; its clear time is twice as long.
const HOLD: Nanos = SECOND;

fn condition(play: &mut Play, raise: bool) {
    let condition = Condition::new("black").hold_ms(1_000).clear_ms(2_000);
    play.step(Event::Condition { priority: SUBJECT, condition, raise });
}

/// Time passes; both inputs go on.
fn pass(play: &mut Play, span: Nanos) {
    let end = play.now + span;
    while play.now < end {
        play.now = (play.now + SECOND / 4).min(end);
        for priority in [0, SUBJECT] {
            if let Some(epoch) = play.input(priority).epoch() {
                play.packet(epoch);
            }
        }
    }
}

fn health(play: &Play) -> &'static str {
    let input = play.input(SUBJECT);
    let known = input.soft.as_ref().and_then(|soft| soft.conditions.first());
    match (play.state(), known) {
        ("Flowing", Some(known)) => match (known.is_raised(), known.state.failed_at) {
            (true, None) => "Suspect",
            (true, Some(_)) => "Impaired",
            (false, Some(_)) => "Clearing",
            (false, None) => "Flowing",
        },
        (state, _) => state,
    }
}

#[test]
fn every_cell_of_the_health_table() {
    let cells = cells_of("health");
    assert_eq!(cells.len(), 4 * 8);
    for (state, event, says) in cells {
        let mut play = standby_in("Flowing", true);
        if state != "Flowing" {
            condition(&mut play, true);
        }
        if state == "Impaired" || state == "Clearing" {
            pass(&mut play, HOLD);
        }
        if state == "Clearing" {
            condition(&mut play, false);
        }
        assert_eq!(health(&play), state, "set up for '{event}'");
        match event.as_str() {
            "raise" => condition(&mut play, true),
            "clear" => condition(&mut play, false),
            "hold over" => pass(&mut play, HOLD),
            "clear over" => pass(&mut play, 2 * HOLD),
            other => apply(&mut play, other),
        }
        let becomes = if says == "." { &state } else { &says };
        assert_eq!(health(&play), becomes, "{state} + {event}");
        let fine = ["Flowing", "Suspect", "Off"].contains(&becomes.as_str());
        let mut nothing = Vec::new();
        let cx = play.machine.cx(play.now, &play.policy, Stall::default(), &mut nothing);
        let status = play.machine.input_status(&cx, play.input(SUBJECT));
        let expected = if fine { InputStatus::Idle } else { InputStatus::Degraded };
        assert_eq!(status, expected, "{state} + {event}");
        assert!(!play.machine.exhausted);
    }
}

fn hold(play: &mut Play, when_dead: WhenDead) {
    let hold = Hold { ttl_ms: 10_000, when_dead };
    play.step(Event::Hold { priority: SUBJECT, hold, ticket: 7 });
}

fn word(play: &Play) -> &'static str {
    let machine = &play.machine;
    match machine.hold {
        Some(_) if machine.override_.is_some() => "both",
        Some(_) if play.input(SUBJECT).failure.is_some() => "Kept",
        Some(held) if held.when_dead == WhenDead::Keep => "Keeping",
        Some(_) => "Held",
        None if machine.override_.is_some() => "Overridden",
        None => "Free",
    }
}

#[test]
fn every_cell_of_the_operator_table() {
    let cells = cells_of("operator");
    assert_eq!(cells.len(), 5 * 6);
    for (state, event, says) in cells {
        let mut play = standby_in("Flowing", true);
        // The subject carries the stream, by an order that is taken back.
        play.step(Event::Switch { priority: SUBJECT, ticket: 1 });
        play.fail(0);
        play.step(Event::ClearOverride);
        assert_eq!(play.machine.active, Some(SUBJECT));
        match state.as_str() {
            "Free" => {}
            "Overridden" => play.step(Event::Switch { priority: SUBJECT, ticket: 2 }),
            "Held" => hold(&mut play, WhenDead::Release),
            _ => hold(&mut play, WhenDead::Keep),
        }
        if state == "Kept" {
            play.fail(SUBJECT);
        }
        assert_eq!(word(&play), state, "set up for '{event}'");
        match event.as_str() {
            "switch" => play.step(Event::Switch { priority: SUBJECT, ticket: 3 }),
            "hold" => hold(&mut play, WhenDead::Release),
            "clear override" => play.step(Event::ClearOverride),
            "release hold" => play.step(Event::ReleaseHold),
            "hold ends" => {
                let span = 10 * SECOND;
                if state == "Kept" {
                    play.now += span;
                    play.step(Event::Look);
                } else {
                    pass(&mut play, span);
                }
            }
            "dies" => play.fail(SUBJECT),
            other => panic!("no such event: {other}"),
        }
        let becomes = if says == "." { &state } else { &says };
        assert_eq!(word(&play), becomes, "{state} + {event}");
        assert_eq!(
            play.machine.exhausted,
            becomes != "Kept" && play.input(SUBJECT).failure.is_some()
        );
    }
}
