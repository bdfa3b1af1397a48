//! A random attack on one stream, driven by hand: any operation at any time, answers late, wrong
//! or never; after every step the engine's story must be one story, and afterwards it must heal.
//!
//! Deterministic: a seed is a run. `SEED` (the first, default 1), `COUNT` (how many, default 200)
//! and `STEPS` (operations between two healings, default 300) in the environment make it another
//! or a longer one, as in `SEED=1000 COUNT=5000 cargo test --release --test random_attack`. A
//! failure names its seed and ends with the latest steps, driver calls (`>`) and events (`*`).

#[path = "random_attack/attack.rs"]
mod attack;
#[path = "random_attack/healing.rs"]
mod healing;
#[path = "random_attack/invariants.rs"]
mod invariants;
#[path = "random_attack/world.rs"]
mod world;

use world::World;

fn from_environment(name: &str, default: u64) -> u64 {
    let Ok(text) = std::env::var(name) else { return default };
    text.parse().unwrap_or_else(|_| panic!("{name} is a whole number, not '{text}'"))
}

#[test]
fn whatever_happens_the_engine_tells_one_story_and_heals() {
    let first = from_environment("SEED", 1);
    let count = from_environment("COUNT", 200);
    let steps = from_environment("STEPS", 300);
    for seed in first..first + count {
        let mut world = World::new(seed);
        for _ in 0..=world.rng.below(2) {
            for _ in 0..steps {
                world.step();
            }
            world.heal();
        }
    }
}
