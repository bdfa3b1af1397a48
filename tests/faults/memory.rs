//! A system that refuses memory: a packet needs none; what does need some ends the process (SIGABRT),
//! as the header says, and corrupts nothing on the way.

use changeover::{Engine, EngineConfig};

use crate::child::{Part, how, tell};
use crate::limits::allow_more_kib;
use crate::scene::{PACKET, hot_pair};

pub(crate) fn child() {
    let config = EngineConfig { packet_timeout_ms: 600_000, ..EngineConfig::default() };
    let engine = Engine::builder().config(config).build().expect("builds");
    engine.register(hot_pair("s")).expect("a new id");
    let mut inputs = [0, 1].map(|n| engine.recorder("s", n, None).expect("a hot input"));
    inputs.iter_mut().for_each(|input| _ = input.record(PACKET));
    // The monitor has noted what these began: from now on it has nothing to note.
    std::thread::sleep(std::time::Duration::from_millis(300));
    tell("begins");
    allow_more_kib(1_000);
    // All that there is, but for crumbs.
    let mut taken: Vec<Vec<u8>> = Vec::with_capacity(100_000);
    let mut piece = 1 << 20;
    while piece >= 1 << 10 && taken.len() < taken.capacity() {
        let mut more = Vec::new();
        if more.try_reserve_exact(piece).is_ok() {
            taken.push(more);
        } else {
            piece /= 2;
        }
    }
    for _ in 0..1_000_000 {
        assert!(inputs[0].record(PACKET).is_forward());
        assert!(!inputs[1].record(PACKET).is_forward());
    }
    tell("recorded");
    for n in 0.. {
        engine.register(hot_pair(&format!("stream-{n}"))).expect("a new id");
    }
}

#[test]
fn no_memory_ends_the_process_and_stops_no_packet() {
    let ended = Part::start("memory").end();
    assert_eq!(ended.said, ["begins", "recorded"], "{ended:?}");
    assert_eq!(how(ended.status), format!("signal {}", libc::SIGABRT), "{ended:?}");
    assert!(ended.stderr.contains("memory allocation of"), "{ended:?}");
}
