//! `relay`: N live inputs, one output. A changeover unit in software, on the `changeover` engine.
//!
//! ```text
//! cargo run --release --example relay -- --demo
//! cargo run --release --example relay -- \
//!     --input udp://127.0.0.1:5001 --input udp://127.0.0.1:5002 --output udp://127.0.0.1:6000
//! ```

mod align;
mod cli;
mod demo;
mod input;
mod log;
mod lookback;
mod net;
mod output;
mod packet_log;
mod player;
mod policy;
mod relay;
mod session;
mod splice;
mod stop;
mod summary;
mod terminal;
mod text;
mod trail;
mod ts;
mod url;
mod view;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use cli::{Job, Run};
use relay::Relay;
use session::Session;
use stop::{End, Stop};
use url::Endpoint;

/// For everything that the user can put right on the command line.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    match cli::parse() {
        Ok(Job::Demo) => demo::run(),
        Ok(Job::Relay(run)) => carry(*run),
        Err(why) => {
            // Help is an "error" with code 0. If it cannot be printed, nobody is there to be told.
            let _ = why.print();
            u8::try_from(why.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

fn carry(run: Run) -> ExitCode {
    let stdin_is_free = !run.settings.inputs.iter().any(Endpoint::is_pipe);
    let stdout_is_free = !run.settings.output.is_pipe();
    let stop = Arc::new(Stop::default());
    let relay = match Relay::start(run.settings, Arc::clone(&stop)) {
        Ok(relay) => relay,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(USAGE);
        }
    };
    // Not before: opening a named pipe may wait for ever, and is to be ended by Ctrl-C.
    if let Err(why) = ctrlc::set_handler(move || _ = stop.raise(End::Signal)) {
        eprintln!("relay: signals cannot be caught ({why}): there will be no summary");
    }
    let mut session = Session::new(&relay, run.duration);
    let live = !run.plain && io::stdout().is_terminal() && terminal::in_foreground();
    let shown = if live { view::run(&mut session) } else { Ok(()) };
    if let Err(why) = &shown {
        eprintln!("relay: no live view: {why}");
    }
    // Also when the view could not be shown: the media goes on, and so does the log.
    if !session.is_over() {
        log::run(&mut session, run.status_every, stdin_is_free);
    }
    let (last, end) = relay.finish();
    let text = summary::text(&last, &end);
    // A reader of the summary that has gone is nobody to tell.
    let _ = if stdout_is_free {
        io::stdout().write_all(text.as_bytes())
    } else {
        io::stderr().write_all(text.as_bytes())
    };
    if matches!(end, End::OutputFailed(_)) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
