//! Who attacks the feeders: every 2 to 5 s one blow, mostly at the input that is on the air, by a
//! seed. The others are left alone unless one of them is good, but for the share of blows that
//! takes all.

use std::time::Duration;

use crate::feeds::Feeds;
use crate::record::{Blow, INPUTS, Kill, Us, now_us};
use crate::relay::Relay;
use crate::tap::Tap;

/// An input is good to fall back on when it has delivered for so long.
const GOOD: Us = 1_000_000;
/// Of 100 blows: at the active input SIGKILL, SIGTERM, SIGSTOP for seconds, SIGSTOP for less than
/// the timeout; at a standby; at all at once.
const SHARES: [u64; 6] = [48, 13, 13, 8, 13, 5];

#[derive(Clone, Copy, Debug)]
enum Deed {
    Restart(usize),
    Continue(usize),
}

pub(crate) struct Killer {
    random: Random,
    next: Us,
    due: Vec<(Us, Deed)>,
    pub(crate) kills: Vec<Kill>,
}

impl Killer {
    pub(crate) fn new(seed: u64) -> Self {
        let next = now_us() + 3_000_000;
        Self { random: Random(seed), next, due: Vec::new(), kills: Vec::new() }
    }

    /// To be called often.
    pub(crate) fn turn(&mut self, feeds: &mut Feeds, taps: &[Tap], relay: &Relay) {
        self.do_what_is_due(feeds);
        let now = now_us();
        if now < self.next || relay.is_exhausted() {
            return;
        }
        let active = relay.on_air();
        let good: Vec<usize> =
            (1..=INPUTS).filter(|&input| taps[input - 1].good_for() > GOOD).collect();
        // Nobody is beaten who has not got up, and nobody without another to fall back on.
        if !good.contains(&active) || good.len() < 2 {
            self.next = now + 100_000;
            return;
        }
        let standby = good.iter().copied().filter(|&input| input != active);
        let standby: Vec<usize> = standby.collect();
        let standby = standby[self.random.below(standby.len() as u64) as usize];
        let wounds = [Blow::Kill, Blow::Term, Blow::Stop];
        match self.random.share(&SHARES) {
            n @ 0..=2 => self.strike(feeds, active, wounds[n]),
            3 => self.strike(feeds, active, Blow::Blink),
            4 => {
                let wound = wounds[self.random.below(3) as usize];
                self.strike(feeds, standby, wound);
            }
            _ => (1..=INPUTS).for_each(|input| self.strike(feeds, input, Blow::All)),
        }
        self.next = now + self.random.between(2_000_000, 5_000_000);
    }

    fn strike(&mut self, feeds: &mut Feeds, input: usize, blow: Blow) {
        let at = now_us();
        self.kills.push(Kill { at, input, blow });
        self.due.retain(
            |(_, deed)| !matches!(deed, Deed::Restart(n) | Deed::Continue(n) if *n == input),
        );
        let again = at + self.random.between(1_000_000, 6_000_000);
        let then = match blow {
            Blow::Kill | Blow::All => {
                feeds.kill(input);
                (again, Deed::Restart(input))
            }
            Blow::Term => {
                feeds.signal(input, libc::SIGTERM);
                (again, Deed::Restart(input))
            }
            Blow::Stop => {
                feeds.signal(input, libc::SIGSTOP);
                let goes_on = self.random.below(2) == 0;
                (again, if goes_on { Deed::Continue(input) } else { Deed::Restart(input) })
            }
            Blow::Blink => {
                feeds.signal(input, libc::SIGSTOP);
                (at + self.random.between(100_000, 250_000), Deed::Continue(input))
            }
        };
        self.due.push(then);
    }

    fn do_what_is_due(&mut self, feeds: &mut Feeds) {
        let now = now_us();
        let due: Vec<Deed> =
            self.due.extract_if(.., |(at, _)| *at <= now).map(|(_, d)| d).collect();
        for deed in due {
            match deed {
                Deed::Restart(input) => feeds.restart(input),
                Deed::Continue(input) => feeds.signal(input, libc::SIGCONT),
            }
        }
        // A feeder that ends by itself is started again; its silence is judged like any other.
        for input in 1..=INPUTS {
            let expected =
                self.due.iter().any(|(_, d)| matches!(d, Deed::Restart(n) if *n == input));
            if !expected && !feeds.is_there(input) {
                feeds.restart(input);
            }
        }
    }

    /// No more blows; what is due is done, and then nothing for that long.
    pub(crate) fn settle(&mut self, feeds: &mut Feeds, calm: Duration) {
        let until = now_us() + calm.as_micros() as Us;
        while now_us() < until || !self.due.is_empty() {
            self.do_what_is_due(feeds);
            std::thread::sleep(Duration::from_millis(20));
        }
        let until = now_us() + calm.as_micros() as Us;
        while now_us() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// splitmix64
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn between(&mut self, low: Us, high: Us) -> Us {
        low + self.below((high - low) as u64) as Us
    }

    /// Which of the shares.
    fn share(&mut self, shares: &[u64]) -> usize {
        let mut left = self.below(shares.iter().sum());
        for (n, share) in shares.iter().enumerate() {
            if left < *share {
                return n;
            }
            left -= share;
        }
        shares.len() - 1
    }
}
