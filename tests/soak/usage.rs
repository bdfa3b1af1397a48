//! What the relay uses: memory, descriptors, threads and CPU time, once a second.

use std::fs;

use crate::record::{Sample, Us, now_us};

const EVERY: Us = 1_000_000;

pub(crate) struct Sampler {
    process: u32,
    next: Us,
    pub(crate) samples: Vec<Sample>,
    pub(crate) ticks_per_s: u64,
}

impl Sampler {
    pub(crate) fn new(process: u32) -> Self {
        // SAFETY: takes a number, answers one.
        let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        Self { process, next: 0, samples: Vec::new(), ticks_per_s: ticks.max(1) as u64 }
    }

    /// To be called often.
    pub(crate) fn turn(&mut self) {
        let now = now_us();
        if now < self.next {
            return;
        }
        self.next = now + EVERY;
        // One that has ended is noticed elsewhere.
        if let Some(sample) = look(self.process, now) {
            self.samples.push(sample);
        }
    }
}

fn look(process: u32, at: Us) -> Option<Sample> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let number = |key: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything, in brackets: user and system time.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |n: usize| fields.get(n)?.parse::<u64>().ok();
    Some(Sample {
        at,
        rss_kib: number("VmRSS:")?,
        descriptors: fs::read_dir(format!("/proc/{process}/fd")).ok()?.count() as u64,
        threads: number("Threads:")?,
        cpu_ticks: ticks(11)? + ticks(12)?,
    })
}
