//! The C ABI's handles: a stale one finds nothing that is not its own, whenever it comes, and an
//! engine goes only when nobody is inside it.

use std::ptr::{null, null_mut};

use loom::thread;

use super::changeover_engine;
use super::codes::*;
use super::engine::*;
use super::record::*;
use super::slots::{self, Parts};
use crate::models::explore;
use crate::sync::{Arc, Memory, Ordering};

/// None while somebody still holds the only slot's last engine.
fn try_create() -> Option<changeover_engine> {
    let options = changeover_engine_options {
        size: size_of::<changeover_engine_options>(),
        config: null(),
        driver: null(),
        callbacks: null(),
        metrics_prefix: null(),
        shutdown_timeout_ms: 0,
        driver_workers: 0,
        max_stuck_calls: 0,
        hand_driven: 1,
        reserved: 0,
    };
    let mut engine = changeover_engine { raw: 0 };
    match changeover_engine_create(&options, &mut engine) {
        CHANGEOVER_OK => Some(engine),
        CHANGEOVER_TOO_MANY_ENGINES => None,
        code => panic!("{code}"),
    }
}

fn create() -> changeover_engine {
    try_create().expect("the slot is free")
}

fn register(engine: changeover_engine) {
    let text = c"{\"id\":\"s\",\"inputs\":[{\"priority\":0,\"address\":\"a\",\"hot\":true}]}";
    assert_eq!(changeover_register_json(engine, text.as_ptr()), CHANGEOVER_OK);
}

fn open(engine: changeover_engine) -> changeover_recorder {
    let mut recorder = changeover_recorder { raw: 0 };
    let opened = changeover_recorder_open(engine, c"s".as_ptr(), 0, 0, &mut recorder);
    assert_eq!(opened, CHANGEOVER_OK);
    recorder
}

fn destroy(engine: changeover_engine) {
    assert_eq!(changeover_engine_destroy(engine, null_mut()), CHANGEOVER_OK);
}

/// A call is inside the engine's slot while its end is under way: the end waits for it.
#[test]
fn an_engine_goes_when_nobody_is_inside() {
    explore(3, || {
        let engine = create();
        let parts = Parts::of(engine.raw);
        // Stands for the engine's memory.
        let memory = Arc::new(Memory::default());
        let read = Arc::clone(&memory);
        let caller = thread::spawn(move || {
            if let Some(inside) = slots::enter(parts) {
                read.read();
                drop(inside);
            }
        });
        let evicted = slots::evict(parts).expect("it is there");
        memory.write();
        caller.join().unwrap();
        drop(evicted);
    });
}

/// The same slot has another engine: handles of the former one are refused.
#[test]
fn a_handle_of_a_former_engine_finds_no_other() {
    explore(1, || {
        let former = create();
        register(former);
        let recorder = open(former);
        let caller = thread::spawn(move || {
            let known = changeover_is_registered(former, c"s".as_ptr());
            assert!(known == 1 || known == 0 || known == CHANGEOVER_INVALID_HANDLE, "{known}");
            let verdict = changeover_record_bytes(recorder, 1316);
            let over = [CHANGEOVER_STALE, CHANGEOVER_INVALID_HANDLE].map(i64::from);
            assert!(verdict >= 0 || over.contains(&verdict), "{verdict}");
        });
        destroy(former);
        let heir = try_create();
        heir.into_iter().for_each(register);
        let refused = changeover_is_registered(former, c"s".as_ptr());
        assert_eq!(refused, CHANGEOVER_INVALID_HANDLE);
        let late = changeover_record_bytes(recorder, 1316);
        assert_eq!(late, i64::from(CHANGEOVER_INVALID_HANDLE));
        caller.join().unwrap();
        destroy(heir.unwrap_or_else(create));
    });
}

/// A recorder is closed and another one opened while a packet of the first is recorded.
#[test]
fn a_closed_recorders_handle_counts_for_no_other() {
    explore(2, || {
        let engine = create();
        register(engine);
        let former = open(engine);
        let caller = thread::spawn(move || changeover_record_bytes(former, 7));
        assert_eq!(changeover_recorder_close(former), CHANGEOVER_OK);
        let heir = open(engine);
        let late = changeover_record_bytes(former, 7);
        assert_eq!(late, i64::from(CHANGEOVER_INVALID_HANDLE));
        assert!(changeover_record_bytes(heir, 11) >= 0);
        let verdict = caller.join().unwrap();
        let over = [CHANGEOVER_STALE, CHANGEOVER_INVALID_HANDLE].map(i64::from);
        assert!(verdict >= 0 || over.contains(&verdict), "{verdict}");
        let cell = slots::lent(Parts::of(heir.raw)).expect("open").cell;
        assert_eq!(cell.bytes.load(Ordering::Acquire), 11, "counted in another's life");
        destroy(engine);
    });
}

/// Two ends of one engine: one of them has it, and the slot can be had again.
#[test]
fn an_engine_is_taken_out_once() {
    explore(3, || {
        let engine = create();
        let parts = Parts::of(engine.raw);
        let other = thread::spawn(move || slots::evict(parts));
        let both = [slots::evict(parts), other.join().unwrap()];
        assert_eq!(both.iter().flatten().count(), 1);
        assert!(slots::enter(parts).is_none());
        drop(both);
        slots::vacate(parts);
        destroy(create());
    });
}
