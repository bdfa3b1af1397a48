//! The table of ids: look-ups go on while it is edited and swapped, find what stays, and touch
//! nothing that was reclaimed.
//!
//! The epochs are their contract here (`sync/model/epoch.rs`): what was removed is reclaimed as
//! early as it may be, and a look at it panics.

use loom::thread;

use super::explore;
use crate::routes::{RouteInputs, Routes};
use crate::sync::{Arc, Memory};
use crate::types::{Priority, StreamKey};

fn key(slot: u32) -> StreamKey {
    StreamKey { slot, generation: 0 }
}

fn inputs(cell: u32) -> RouteInputs {
    [(0, cell)].into_iter().collect()
}

fn insert(routes: &Routes, id: &str, cell: u32) {
    assert!(routes.insert(&Arc::from(id), key(cell), inputs(cell)));
}

fn find(routes: &Routes, id: &str) -> Option<u32> {
    routes.with_input(id, 0 as Priority, |cell| cell)
}

#[test]
fn what_stays_is_found_while_others_come_and_go() {
    explore(3, || {
        let routes = Arc::new(Routes::new());
        insert(&routes, "stays", 1);
        insert(&routes, "goes", 2);
        let ours = Arc::clone(&routes);
        let reader = thread::spawn(move || {
            assert_eq!(find(&ours, "stays"), Some(1));
            assert!(matches!(find(&ours, "goes"), Some(2 | 3) | None));
        });
        assert_eq!(routes.remove("goes"), Some(key(2)));
        insert(&routes, "goes", 3);
        reader.join().unwrap();
        assert_eq!(find(&routes, "goes"), Some(3));
    });
}

/// Both threads have a table in their cache; one makes it too small, removes from the new one, and
/// the other looks at the old one.
#[test]
fn a_table_that_grows_loses_nobody_and_leads_to_nothing_reclaimed() {
    explore(3, || {
        let routes = Arc::new(Routes::new());
        insert(&routes, "stays", 1);
        insert(&routes, "goes", 2);
        let ours = Arc::clone(&routes);
        let reader = thread::spawn(move || {
            assert_eq!(find(&ours, "stays"), Some(1));
            assert!(matches!(find(&ours, "goes"), Some(2) | None));
            assert_eq!(find(&ours, "stays"), Some(1));
        });
        insert(&routes, "third", 3);
        // Three in four slots are taken: this one swaps the table.
        insert(&routes, "fourth", 4);
        routes.remove("goes");
        routes.collect();
        reader.join().unwrap();
        for (id, cell) in [("stays", Some(1)), ("third", Some(3)), ("goes", None)] {
            assert_eq!(find(&routes, id), cell);
        }
    });
}

#[test]
fn inputs_are_replaced_whole() {
    explore(3, || {
        let routes = Arc::new(Routes::new());
        insert(&routes, "s", 1);
        let ours = Arc::clone(&routes);
        let reader = thread::spawn(move || {
            let first = find(&ours, "s").expect("never without inputs");
            let second = find(&ours, "s").expect("never without inputs");
            assert!(first <= second, "back to what was replaced");
        });
        routes.replace("s", key(1), inputs(2));
        routes.collect();
        reader.join().unwrap();
    });
}

/// What waits for the grace runs when no look-up is under way that had begun before.
#[test]
fn the_grace_covers_what_a_look_leads_to() {
    explore(3, || {
        let routes = Arc::new(Routes::new());
        insert(&routes, "s", 1);
        let memory = Arc::new(Memory::default());
        let (ours, read) = (Arc::clone(&routes), Arc::clone(&memory));
        let reader = thread::spawn(move || {
            ours.with_input("s", 0, |cell| {
                // What the cell stands for is in use until the look ends.
                if cell.is_some() {
                    read.read();
                    thread::yield_now();
                    read.read();
                }
            });
        });
        routes.remove("s");
        routes.after_grace(move || memory.write());
        routes.collect();
        reader.join().unwrap();
        routes.collect();
    });
}
