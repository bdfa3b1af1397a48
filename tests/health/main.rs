//! Health beyond silence, through the public API on the hand-driven clock: rules on what an input
//! delivers, learned silence, host conditions, keyframe cuts, the operator's hold, damping.
//!
//! The scenarios H1..H9 are the issue's, their numbers are in the tests.

mod cold;
mod cold_lab;
mod edges;
mod estimates;
mod explanations;
mod flapping;
mod gate;
mod gates;
mod guesses;
mod hold;
mod lab;
mod operators_word;
mod orders;
mod overtaken;
mod rates;
mod reports;
mod rules;
mod silence;
mod weather;
