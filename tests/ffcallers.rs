//! The FFmpeg programs in C (`examples/ffmpeg`) between real FFmpegs: two encoders, of which the
//! first is killed, comes back, freezes and thaws; one output file, which must play from its
//! beginning to its end as if nothing had happened.

#[path = "ffcallers/containers.rs"]
mod containers;
#[path = "ffcallers/feeder.rs"]
mod feeder;
#[path = "ffcallers/output.rs"]
mod output;
#[path = "ffcallers/program.rs"]
mod program;
#[path = "ffcallers/refusals.rs"]
mod refusals;
#[path = "ffcallers/stories.rs"]
mod stories;
