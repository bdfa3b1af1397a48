//! Health beyond silence, through the public API on the hand-driven clock: rules on what an input
//! delivers, learned silence, host conditions, keyframe cuts, the operator's hold, damping.
//!
//! The scenarios H1..H9 are the issue's, their numbers are in the tests.

mod cold;
mod edges;
mod flapping;
mod gate;
mod hold;
mod lab;
mod orders;
mod rates;
mod reports;
mod rules;
mod silence;
mod weather;
