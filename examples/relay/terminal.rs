//! The terminal: whether it is ours to use, and a guard that gives it back as it was.

use std::io::{self, Write as _};

use crossterm::{cursor, execute, terminal};

/// Whether this program runs in the foreground of its terminal. One in the background is stopped
/// by the system when it reads the terminal or changes its mode. Where that cannot be found out,
/// the answer is yes.
pub(crate) fn in_foreground() -> bool {
    std::fs::read_to_string("/proc/self/stat")
        .is_ok_and(|stat| is_foreground(&stat).unwrap_or(true))
        || !cfg!(target_os = "linux")
}

/// `pid (name) state ppid pgrp session tty tpgid ...`: our process group against the terminal's.
fn is_foreground(stat: &str) -> Option<bool> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let ours: i64 = fields.nth(2)?.parse().ok()?;
    let terminals: i64 = fields.nth(2)?.parse().ok()?;
    Some(terminals < 0 || ours == terminals)
}

/// The terminal in raw mode on its second screen, until this is dropped.
#[derive(Debug)]
pub(crate) struct Screen;

impl Screen {
    pub(crate) fn enter() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let screen = Self;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        // A panic's text is to be readable, so the terminal is restored before it is printed.
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            leave();
            print(panic);
        }));
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        leave();
    }
}

fn leave() {
    // There is nobody to tell that it did not work.
    let _ = execute!(io::stdout(), cursor::Show, terminal::LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
    let _ = io::stdout().flush();
}

#[cfg(test)]
mod tests {
    use super::is_foreground;

    #[test]
    fn the_process_group_tells() {
        assert_eq!(is_foreground("7 (relay) S 1 50 50 34816 50 0"), Some(true));
        assert_eq!(is_foreground("7 (re) lay) S 1 50 50 34816 99 0"), Some(false));
        assert_eq!(is_foreground("7 (relay) S 1 50 50 0 -1 0"), Some(true), "no terminal");
        assert_eq!(is_foreground("?"), None);
    }
}
