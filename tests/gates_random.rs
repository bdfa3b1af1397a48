//! Random cuts on one stream, driven by hand: two or three inputs whose packets are forwarded or
//! dropped while inputs fall silent, starve, fail, reconnect, are disabled, held, switched to and
//! reported black, and each cut waits for a keyframe. What went out is judged packet by packet.
//!
//! Deterministic: a seed is a run. `SEED` (the first, default 1), `COUNT` (how many, default 125)
//! and `STEPS` (of 5 ms each, default 3,000) in the environment make it another or a longer one,
//! as in `SEED=1000 COUNT=2000 cargo test --release --test gates_random`. A failure names its seed
//! and ends with the latest operations, cuts and events.
//!
//! What must hold:
//! - the numbers of cuts go up, and each belongs to one input;
//! - the first packet of another input is a keyframe, or it is marked as unaligned;
//! - a cut on a keyframe is not marked as unaligned;
//! - who is on the air is who the status calls active, but for the longest wait after a move;
//! - nobody is forwarded for no longer than the longest wait, as long as the input that is active
//!   delivers. Also where it dies before its own cut and another takes its place: while nobody is
//!   on the air, the wait of the one before goes on;
//! - a stream is held or overridden, not both, and its status can be written as JSON.

#[path = "gates_random/judge.rs"]
mod judge;
#[path = "gates_random/world.rs"]
mod world;

use world::World;

fn from_environment(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not '{text}'"))
}

#[test]
fn whatever_happens_each_cut_is_on_a_keyframe_or_marked_and_somebody_is_heard() {
    let first = from_environment("SEED", 1);
    let count = from_environment("COUNT", 125);
    let steps = from_environment("STEPS", 3_000);
    for seed in first..first + count {
        let mut world = World::new(seed);
        for _ in 0..steps {
            world.step();
        }
    }
}
