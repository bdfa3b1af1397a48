//! The plain form: one line per event on stderr, a status line now and then, commands as lines on
//! stdin. For services, pipes and files.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::sync::mpsc;
use std::time::{Duration, Instant, SystemTime};

use crate::relay::Snapshot;
use crate::session::{Command, Session};
use crate::stop::End;
use crate::terminal;
use crate::text::{self, Meter};

/// How long an end, a command or a remark may wait for its turn.
const TURN: Duration = Duration::from_millis(50);
/// How long the end of the last input may take to be told.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Shows the session until it is over. `status_every` zero: no status lines.
pub(crate) fn run(session: &mut Session<'_>, status_every: Duration, stdin_is_free: bool) {
    let relay = session.relay;
    say(&format!("output {}", relay.settings.output));
    for (input, number) in relay.settings.inputs.iter().zip(1..) {
        say(&format!("input {number} {input}"));
    }
    let commands = stdin_is_free.then(read_commands);
    let mut meters = vec![Meter::default(); relay.settings.inputs.len() + 1];
    status_line(&relay.snapshot(), &mut meters);
    let mut status_at = Instant::now() + status_every;
    while !session.is_over() {
        if let Some(event) = relay.events().recv_timeout(TURN) {
            show_event(&event);
            relay.events().drain().iter().for_each(show_event);
        }
        for line in commands.iter().flat_map(mpsc::Receiver::try_iter) {
            match Command::parse(&line).map(|command| session.carry_out(command)) {
                Ok(None) => {}
                Ok(Some(answer)) | Err(answer) => say(&answer),
            }
        }
        session.tick().iter().for_each(|remark| say(remark));
        if !status_every.is_zero() && Instant::now() >= status_at {
            status_at += status_every;
            say(&status_line(&relay.snapshot(), &mut meters));
        }
    }
    // What ended the last input is told a moment after the input knows it.
    let patience = match relay.stop().reason() {
        Some(End::InputsEnded) => LAST_WORDS,
        _ => Duration::ZERO,
    };
    let until = Instant::now() + patience;
    let left = || until.saturating_duration_since(Instant::now());
    while let Some(event) = relay.events().recv_timeout(left()) {
        show_event(&event);
    }
    session.tick().iter().for_each(|remark| say(remark));
}

fn show_event(event: &changeover::Event) {
    if let Some(text) = text::event(&event.kind) {
        eprintln!("{} {text}", text::date(event.at));
    }
}

fn say(text: &str) {
    eprintln!("{} {text}", text::date(SystemTime::now()));
}

/// `on air 1 | 1 active 5012 kb/s 12,345 packets 2 ms ago | ... | output 5012 kb/s`
fn status_line(now: &Snapshot, meters: &mut [Meter]) -> String {
    let on_air = now.status.active_input_priority;
    let mut line = match on_air {
        _ if now.status.exhausted => "status: nothing on air".to_owned(),
        Some(input) => format!("status: input {input} on air"),
        None => "status: nothing on air".to_owned(),
    };
    for (n, input) in now.inputs.iter().enumerate() {
        let health = now.status.input(n as i32 + 1);
        line += &format!(
            " | {} {} {} kb/s {} packets",
            n + 1,
            health.map_or("?", |health| text::status(health.status)),
            meters[n].kbps(now.at, input.bytes),
            text::count(input.received),
        );
        if let Some(health) = health {
            let age = text::last_packet(health, SystemTime::now());
            line += &format!(", last {age}{}", if age == "never" { "" } else { " ago" });
            if health.frames > 0 {
                line += &format!(", {:.1} fps", health.fps);
            }
            if health.lost > 0 {
                line += &format!(", {:.2}% lost", health.packet_loss);
            }
            if !health.impaired.is_empty() {
                line += &format!(", BAD: {}", text::impaired(&health.impaired));
            }
        }
        if input.garbage > 0 {
            line += &format!(", {} garbage", text::count(input.garbage));
        }
    }
    let kbps = meters[now.inputs.len()].kbps(now.at, now.output.bytes);
    line += &format!(
        " | output {kbps} kb/s {} packets, longest gap {}",
        text::count(now.output.packets),
        text::span(now.output.longest_gap)
    );
    line
}

/// Lines of stdin, from a thread of their own that ends with stdin.
fn read_commands() -> mpsc::Receiver<String> {
    let (send, lines) = mpsc::channel();
    // A job in the background that reads its terminal is stopped by the shell, media and all.
    if !io::stdin().is_terminal() || terminal::in_foreground() {
        std::thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                if !line.trim().is_empty() && send.send(line).is_err() {
                    return;
                }
            }
        });
    }
    lines
}
