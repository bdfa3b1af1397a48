//! The scenarios of the behaviour contract on the real clock, every time scaled 1:50: order and
//! "never early" exact, upper bounds + 500 ms.

#[path = "../support/mod.rs"]
mod support;

mod precise;
mod x4;

scenario_tests!(support::Form::Real);
