//! Another stream of the same engine, which fails, recovers, ends and begins in its own rhythm:
//! whatever it does is nothing to the stream that is compared.

use changeover::{HandEngine, InputConfig, Packet, Recorder, StreamConfig};

const N: &str = "neighbour";
/// It ends, and begins anew, after so many advances.
const LIFE: u64 = 50;

#[derive(Debug, Default)]
pub(crate) struct Neighbour {
    recorders: Vec<Recorder>,
    beats: u64,
}

impl Neighbour {
    /// Time has passed: one producer delivers mostly, one now and then.
    pub(crate) fn beat(&mut self, engine: &HandEngine) {
        if self.beats % LIFE == 0 {
            self.begin(engine);
        }
        self.beats += 1;
        for (at, recorder) in (1..).zip(&mut self.recorders) {
            if self.beats % 16 < 12 / at {
                let _ = recorder.record(Packet::new(10));
            }
        }
    }

    fn begin(&mut self, engine: &HandEngine) {
        let _ = engine.unregister(N);
        let stream = StreamConfig::new(N)
            .input(InputConfig::hot(0, "main"))
            .input(InputConfig::hot(1, "backup"))
            .input(InputConfig::cold(2, "spare"));
        engine.register(stream).expect("it is not registered");
        let opened = (0..2).map(|p| engine.recorder(N, p, None).expect("hot"));
        self.recorders = opened.collect();
    }
}
