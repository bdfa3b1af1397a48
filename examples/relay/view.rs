//! The live view: the whole relay on one screen, redrawn a few times a second, with keys.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::time::{Duration, Instant, SystemTime};

use changeover::InputStatus;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use crossterm::{cursor, queue, terminal};

use crate::relay::Snapshot;
use crate::session::{Command, Session};
use crate::terminal::Screen;
use crate::text::{self, Meter};

/// Five pictures a second.
const FRAME: Duration = Duration::from_millis(200);
/// Switches shown.
const SWITCHES: usize = 6;
/// Messages kept; the screen shows as many as it has room for.
const MESSAGES: usize = 50;

/// How a piece of text looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    Plain,
    Strong,
    Dim,
    Good,
    Bad,
}

type Line = Vec<(Look, String)>;

/// Shows the session until it is over.
pub(crate) fn run(session: &mut Session<'_>) -> io::Result<()> {
    let relay = session.relay;
    let screen = Screen::enter()?;
    let mut meters = vec![Meter::default(); relay.settings.inputs.len() + 1];
    let mut messages = VecDeque::new();
    while !session.is_over() {
        for event in relay.events().drain() {
            if let Some(text) = text::event(&event.kind) {
                keep(&mut messages, event.at, &text);
            }
        }
        for remark in session.tick() {
            keep(&mut messages, SystemTime::now(), &remark);
        }
        let now = relay.snapshot();
        let (width, height) = terminal::size().unwrap_or((80, 24));
        let kbps: Vec<u64> = now
            .inputs
            .iter()
            .map(|input| input.bytes)
            .chain([now.output.bytes])
            .zip(&mut meters)
            .map(|(bytes, meter)| meter.kbps(now.at, bytes))
            .collect();
        let picture = picture(&now, &kbps, &messages, usize::from(height));
        draw(&picture, usize::from(width), usize::from(height))?;
        if let Some(answer) = keys_until(Instant::now() + FRAME, session) {
            keep(&mut messages, SystemTime::now(), &answer);
        }
    }
    drop(screen);
    Ok(())
}

fn keep(messages: &mut VecDeque<String>, at: SystemTime, text: &str) {
    if messages.len() == MESSAGES {
        messages.pop_front();
    }
    messages.push_back(format!("{}  {text}", text::clock(at)));
}

/// Takes keys until the next picture is due, or until one of them was answered.
fn keys_until(until: Instant, session: &mut Session<'_>) -> Option<String> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match event::poll(left) {
            Ok(false) => return None,
            Ok(true) => {}
            // No keyboard: the picture goes on without.
            Err(_) => {
                session.relay.stop().sleep(left);
                return None;
            }
        }
        match event::read() {
            Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => {
                let command = command_of(key)?;
                return session.carry_out(command);
            }
            Ok(Event::Resize(..)) => return None,
            _ => {}
        }
    }
}

fn command_of(key: KeyEvent) -> Option<Command> {
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
            Some(Command::Quit)
        }
        KeyCode::Char('q') => Some(Command::Quit),
        KeyCode::Char('a') => Some(Command::Auto),
        KeyCode::Char('h') => Some(Command::HoldThis),
        KeyCode::Char('r') => Some(Command::Release),
        KeyCode::Char(digit) => {
            digit.to_digit(10).filter(|&n| n > 0).map(|n| Command::Choose(n as i32))
        }
        _ => None,
    }
}

/// The whole screen, as text; `kbps` of each input, and of the output at the end.
fn picture(now: &Snapshot, kbps: &[u64], messages: &VecDeque<String>, height: usize) -> Vec<Line> {
    let mut lines = vec![head(now), output(now, kbps.last().copied().unwrap_or(0)), Line::new()];
    let columns = "      STATUS        KB/S       PACKETS   LAST PACKET    FPS   LOSS  ADDRESS";
    lines.push(vec![(Look::Dim, columns.to_owned())]);
    let wall = SystemTime::now();
    lines.extend((0..now.inputs.len()).map(|n| input(now, n, kbps[n], wall)));
    lines.push(Line::new());
    let shown = &now.status.switches[..now.status.switches.len().min(SWITCHES)];
    if !shown.is_empty() {
        lines.push(vec![(Look::Dim, " LAST SWITCHES (UTC)".to_owned())]);
    }
    for (switch, cut) in shown.iter().zip(text::cuts_of(shown, &now.output.cuts)) {
        let mut line = format!(" {}", text::switch_line(switch));
        if let Some(cut) = cut {
            line += &format!("  gap {:<7}", text::span(cut.gap));
        }
        if !switch.detail.is_empty() {
            line += &format!("  {}", switch.detail);
        }
        lines.push(vec![(Look::Plain, line)]);
    }
    lines.push(Line::new());
    let room = height.saturating_sub(lines.len() + 2).min(messages.len());
    lines.extend(
        messages.iter().skip(messages.len() - room).map(|m| vec![(Look::Plain, format!(" {m}"))]),
    );
    lines.push(Line::new());
    let numbers = if now.inputs.len() > 1 {
        format!("1-{}", now.inputs.len().min(9))
    } else {
        "1".to_owned()
    };
    lines.push(vec![(
        Look::Dim,
        format!(" {numbers} choose the input   a automatic   h hold   r release   q end"),
    )]);
    lines
}

fn head(now: &Snapshot) -> Line {
    let air = match now.status.active_input_priority {
        _ if now.status.exhausted => (Look::Bad, "NO USABLE INPUT".to_owned()),
        Some(input) => (Look::Good, format!("input {input} on air")),
        None => (Look::Bad, "nothing on air".to_owned()),
    };
    let mode = match now.status.override_input_priority {
        _ if now.status.hold.is_some() => {
            let held = now.status.hold.as_ref().map_or(0, |hold| hold.priority);
            (Look::Strong, format!("   input {held} held"))
        }
        _ if now.status.observe => (Look::Strong, "   observing: nothing is switched".to_owned()),
        Some(input) => (Look::Strong, format!("   input {input} chosen by hand")),
        None => (Look::Dim, "   automatic".to_owned()),
    };
    let up = (Look::Dim, format!("   up {}", text::uptime(now.uptime)));
    vec![(Look::Strong, " changeover relay   ".to_owned()), air, mode, up]
}

fn output(now: &Snapshot, kbps: u64) -> Line {
    let out = &now.output;
    let mut line = vec![(
        Look::Plain,
        format!(
            " output {}   {kbps} kb/s   {} packets   longest gap {}",
            now.output_address,
            text::count(out.packets),
            text::span(out.longest_gap)
        ),
    )];
    if out.lost > 0 {
        let why = out.last_error.as_deref().unwrap_or("");
        line.push((Look::Bad, format!("   {} lost: {why}", text::count(out.lost))));
    }
    line
}

fn input(now: &Snapshot, n: usize, kbps: u64, wall: SystemTime) -> Line {
    let number = n as i32 + 1;
    let input = &now.inputs[n];
    let Some(health) = now.status.input(number) else {
        return vec![(Look::Plain, format!("   {number}  {}", input.address))];
    };
    let on_air = now.status.active_input_priority == Some(number) && !now.status.exhausted;
    let look = match health.status {
        InputStatus::Active => Look::Good,
        InputStatus::Degraded => Look::Bad,
        InputStatus::Stopped => Look::Dim,
        InputStatus::Idle => Look::Plain,
    };
    let mut line = vec![
        (Look::Good, if on_air { " -> ".to_owned() } else { "    ".to_owned() }),
        (Look::Strong, format!("{number} ")),
        (look, format!("{:<9}", text::status(health.status))),
        (
            Look::Plain,
            format!(
                "{kbps:>9}  {:>12}  {:>12}  {:>5}  {:>5}  {}",
                text::count(input.received),
                text::last_packet(health, wall),
                if health.frames > 0 { format!("{:.0}", health.fps) } else { "-".to_owned() },
                format!("{:.1}%", health.packet_loss),
                input.address
            ),
        ),
    ];
    if input.garbage > 0 {
        line.push((Look::Bad, format!("  {} garbage", text::count(input.garbage))));
    }
    if !health.impaired.is_empty() {
        line.push((Look::Bad, format!("  bad: {}", text::impaired(&health.impaired))));
    }
    if let Some(error) = health.errors.first() {
        line.push((Look::Dim, format!("  {}", error.message)));
    }
    line
}

fn draw(picture: &[Line], width: usize, height: usize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    queue!(out, BeginSynchronizedUpdate, cursor::MoveTo(0, 0))?;
    for (row, line) in picture.iter().take(height).enumerate() {
        queue!(out, cursor::MoveTo(0, row as u16))?;
        // Not the last column: some terminals would wrap there.
        let mut room = width.saturating_sub(1);
        for (look, text) in line {
            let cut: String = text.chars().take(room).collect();
            room -= cut.chars().count();
            match look {
                Look::Plain => {}
                Look::Strong => queue!(out, SetAttribute(Attribute::Bold))?,
                Look::Dim => queue!(out, SetAttribute(Attribute::Dim))?,
                Look::Good => queue!(out, SetForegroundColor(Color::Green))?,
                Look::Bad => queue!(out, SetForegroundColor(Color::Red))?,
            }
            queue!(out, Print(cut), SetAttribute(Attribute::Reset), ResetColor)?;
        }
        queue!(out, Clear(ClearType::UntilNewLine))?;
    }
    if picture.len() < height {
        queue!(out, cursor::MoveTo(0, picture.len() as u16), Clear(ClearType::FromCursorDown))?;
    }
    queue!(out, EndSynchronizedUpdate)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::sync::Arc;

    use super::*;
    use crate::policy::Policy;
    use crate::relay::{Relay, Settings};
    use crate::stop::Stop;
    use crate::url::Endpoint;

    fn text(picture: &[Line]) -> Vec<String> {
        picture.iter().map(|line| line.iter().map(|(_, text)| text.as_str()).collect()).collect()
    }

    #[test]
    fn the_picture_shows_every_input_and_fits_the_screen() {
        let free = Endpoint::udp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let nowhere = Endpoint::udp(SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
        let settings = Settings {
            inputs: vec![free.clone(), free],
            output: nowhere,
            looped: false,
            timeout_ms: 60_000,
            connect_timeout_ms: 60_000,
            failback_stable_ms: 1000,
            failback_cooldown_ms: 1,
            policy: Policy::default(),
            packet_log: None,
        };
        let relay = Relay::start(settings, Arc::new(Stop::default())).unwrap();
        let now = relay.snapshot();
        let mut messages = VecDeque::new();
        (0..2 * MESSAGES).for_each(|n| keep(&mut messages, SystemTime::now(), &format!("<{n}>")));
        let lines = text(&picture(&now, &[500, 0, 500], &messages, 24));
        assert!(lines.len() <= 24, "{lines:#?}");
        for number in 1..=2 {
            let address = format!("udp://{}", relay.local_addr(number).unwrap());
            let line = lines.iter().find(|line| line.contains(&address)).unwrap();
            assert!(line.contains(&format!("{number} idle")) && line.contains("never"), "{line}");
        }
        let last = format!("<{}>", 2 * MESSAGES - 1);
        assert!(lines.iter().any(|line| line.contains(&last)), "the newest message is shown");
        // A screen without room for messages still shows the rest.
        assert!(!text(&picture(&now, &[0; 3], &messages, 5)).iter().any(|l| l.contains('<')));
        let (last, _) = relay.finish();
        assert_eq!(last.inputs.len(), 2);
    }
}
