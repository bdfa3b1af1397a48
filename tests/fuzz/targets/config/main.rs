//! Everything that can be configured, and everything that is read from JSON.
//!
//! Half of the inputs are JSON texts: what is accepted is written and read again, equal. The other
//! half fill every field of the configurations with whatever numbers: what is accepted is what
//! `sane` says is acceptable, and an engine that is built with it runs for some simulated seconds
//! (`run`).
#![no_main]

#[path = "../common/bytes.rs"]
mod bytes;
mod make;
mod run;
mod sane;

use std::fmt::Debug;

use bytes::Bytes;
use changeover::{
    Condition, DecisionEntry, EngineConfig, Epoch, ErrorEntry, HealthConfig, Hold, HoldStatus,
    ImpairedEntry, InputConfig, InputHealth, InputHealthSnapshot, InputsUpdate, LearnedStatus,
    RuntimeStatus, StreamConfig, SwitchEvent,
};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

use run::Case;

/// Reads a text; what it says is written, read, and is the same.
fn read<T>(text: &[u8]) -> Option<T>
where
    T: DeserializeOwned + Serialize + PartialEq + Debug,
{
    let value: T = serde_json::from_slice(text).ok()?;
    let written = serde_json::to_string(&value).expect("what was read can be written");
    let again: T = serde_json::from_str(&written).expect("what was written can be read");
    // Numbers are rounded when they are read; then they stay.
    let settled = serde_json::to_string(&again).expect("it can be written again");
    let last: T = serde_json::from_str(&settled).expect("and read again");
    assert!(last == again || settled == written, "{last:?}\n{again:?}\n{written}");
    Some(value)
}

/// One text, read as the type that the first byte says.
fn text(of: u8, text: &[u8]) {
    match of % 18 {
        0 => {
            if let Some(engine) = read::<EngineConfig>(text) {
                assert_eq!(engine.validate().is_ok(), sane::engine(&engine), "{engine:?}");
                run::run(Case { engine, ..Case::default() }, &mut Bytes::new(text));
            }
        }
        1 | 2 => {
            if let Some(stream) = read::<StreamConfig>(text) {
                assert_eq!(stream.validate().is_ok(), sane::stream(&stream), "{stream:?}");
                run::run(Case { stream, ..Case::default() }, &mut Bytes::new(text));
            }
        }
        3 => {
            if let Some(update) = read::<InputsUpdate>(text) {
                run::run(Case { update, ..Case::default() }, &mut Bytes::new(text));
            }
        }
        4 => drop(read::<HealthConfig>(text).map(|health| health.validate())),
        5 => drop(read::<InputConfig>(text)),
        6 => drop(read::<Hold>(text)),
        7 => drop(read::<Condition>(text)),
        8 | 9 => drop(read::<RuntimeStatus>(text)),
        10 => drop(read::<InputHealthSnapshot>(text)),
        11 => drop(read::<InputHealth>(text)),
        12 => drop(read::<SwitchEvent>(text)),
        13 => drop(read::<DecisionEntry>(text)),
        14 => drop(read::<ImpairedEntry>(text)),
        15 => drop(read::<ErrorEntry>(text)),
        16 => drop(read::<HoldStatus>(text)),
        _ => {
            let _ = read::<LearnedStatus>(text);
            let _ = read::<Epoch>(text);
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Bytes::new(data);
    let first = input.byte();
    if first < 128 {
        text(first, input.rest());
    } else {
        let case = if first < 176 { make::spoiled(&mut input) } else { make::case(&mut input) };
        run::run(case, &mut input);
    }
});
