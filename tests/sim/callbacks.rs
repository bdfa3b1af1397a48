//! The exhausted and restored callbacks: what they are told, and the pranks that they play on the
//! engine from inside.

use std::collections::HashMap;
use std::sync::Mutex;

use changeover::Engine;

use crate::command::Prank;

/// What the callbacks share with the rig.
#[derive(Default)]
pub(crate) struct Callbacks {
    pub(crate) pranks: HashMap<String, Prank>,
    pub(crate) told: Vec<(String, bool)>,
    pub(crate) unregistered: Vec<String>,
    pub(crate) switched: Vec<String>,
    pub(crate) reported: Vec<(String, i32)>,
}

thread_local! {
    static PRANK: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Panics that are pranks of a callback are not told; others are.
pub(crate) fn hush_pranks() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !PRANK.with(std::cell::Cell::get) {
                usual(info);
            }
        }));
    });
}

/// The host's callback: what it was told, and what it was armed with.
pub(crate) fn called_back(shared: &Mutex<Callbacks>, engine: &Engine, id: &str, exhausted: bool) {
    let prank = {
        let mut shared = shared.lock().expect("no panic inside");
        shared.told.push((id.to_owned(), exhausted));
        shared.pranks.remove(id)
    };
    match prank {
        None => {}
        Some(Prank::Panic) => {
            PRANK.with(|prank| prank.set(true));
            // The engine catches it, and the flag is down again before the next one.
            let _down = Down;
            panic!("a prank");
        }
        Some(Prank::Error(p)) => {
            shared.lock().expect("no panic inside").reported.push((id.to_owned(), p));
            let _ = engine.report_input_error(id, p, None, "from a callback");
        }
        Some(Prank::Switch(p)) => {
            shared.lock().expect("no panic inside").switched.push(id.to_owned());
            let _ = engine.switch_input(id, p);
        }
        Some(Prank::Unregister) if engine.unregister(id).is_err() => {}
        Some(Prank::Unregister) => {
            shared.lock().expect("no panic inside").unregistered.push(id.to_owned());
        }
    }
}

struct Down;

impl Drop for Down {
    fn drop(&mut self) {
        PRANK.with(|prank| prank.set(false));
    }
}
