//! The scenarios of the behaviour contract on the hand-driven clock, through the public API only.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod callbacks;
mod hand_only;

scenario_tests!(support::Form::Hand);
