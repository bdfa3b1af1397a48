//! What the estimator learns from recorded and made feeds, and thirty days of each without a
//! false alarm.

mod feeds;

use self::feeds::{Dice, Month, blocks, days, feeds, regular, starved};
use super::memory::{Memory, UNIT_NS, units};
use super::{Cadence, Learned};
use crate::types::Nanos;

const MS: Nanos = 1_000_000;
/// The defaults, with a ceiling of 500 ms.
const RULE: Learned = Learned { floor_ns: 25 * MS, ceiling_ns: 500 * MS, confidence: 8.0 };

/// Thirty, or five (of each feed, so fifty-five in all) where the build is slow.
const DAYS: u64 = if cfg!(debug_assertions) { 5 } else { 30 };

#[test]
fn a_month_of_each_feed_has_no_false_alarm() {
    println!("{DAYS} days of each; ms");
    for (name, blocks, [least, most]) in feeds() {
        // HLS is for fixed timeouts of many seconds.
        let ceiling_ns = if name.starts_with("hls") { 20_000 * MS } else { RULE.ceiling_ns };
        let month = days(DAYS, &blocks, &Learned { ceiling_ns, ..RULE }, &mut Dice(11));
        println!(
            "{name:22} timeout {:7.1} ..{:8.1}   longest {:7.1}   alarms {}",
            ms(month.least),
            ms(month.most),
            ms(month.longest),
            month.alarms
        );
        assert!(month.alarms == 0 && month.unknown < 40, "{name}: {month:?}");
        assert!(month.least >= least * MS && month.most <= most * MS, "{name}: {month:?}");
    }
}

#[test]
fn without_confidence_a_day_is_full_of_false_alarms() {
    // The scale of HLS is a 16th of seconds: no jitter of milliseconds shakes it.
    for (name, blocks, _) in feeds().into_iter().filter(|feed| !feed.0.starts_with("hls")) {
        let rule = Learned { floor_ns: MS, ceiling_ns: 20_000 * MS, confidence: 1.0 };
        let day = days(1, &blocks, &rule, &mut Dice(11));
        assert!(day.alarms > 10, "{name}: {day:?}");
    }
}

/// What is known after so many blocks with this longest gap.
fn after(blocks: usize, gap: Nanos) -> Cadence {
    let mut cadence = Cadence::new();
    (0..blocks).for_each(|_| cadence.block(gap));
    cadence
}

fn ms(nanos: Nanos) -> f64 {
    nanos as f64 / 1e6
}

/// The timeout under the default rule, in whole milliseconds.
fn timeout_ms(cadence: &Cadence) -> Option<u64> {
    cadence.timeout(&RULE).map(|timeout| timeout / MS)
}

#[test]
fn nothing_is_said_before_eighteen_blocks() {
    assert_eq!(
        (timeout_ms(&after(17, 40 * MS)), timeout_ms(&after(18, 40 * MS))),
        (None, Some(86))
    );
    assert_eq!(after(17, 40 * MS).suspicion(10_000 * MS), 0.0);
    assert!(after(18, 40 * MS).suspicion(10_000 * MS) > 1000.0);
    // The start's hiccup is passed over.
    let mut cadence = after(2, 900 * MS);
    (0..16).for_each(|_| cadence.block(40 * MS));
    assert_eq!(timeout_ms(&cadence), Some(86));
}

#[test]
fn the_timeout_is_where_phi_is_the_confidence() {
    // 40 ms are 306 units, 40.108 ms; a scale of a 16th, and ln 10^8 of it on top.
    let timeout = after(200, 40 * MS).timeout(&RULE).map_or(0.0, ms);
    assert!((timeout - 40.108_032 * (1.0 + 8.0 * 10f64.ln() / 16.0)).abs() < 1e-5, "{timeout}");
    let cadence = after(200, 40 * MS);
    for confidence in [4.0, 8.0, 14.9, 15.1, 30.0] {
        let rule = Learned { floor_ns: 0, ceiling_ns: 60_000 * MS, confidence };
        let timeout = cadence.timeout(&rule).expect("it has learned");
        let phi = cadence.suspicion(timeout);
        assert!((phi - confidence).abs() < 1e-4, "{phi} at {confidence}");
    }
    let gumbel = cadence.gumbel().expect("it has learned");
    assert!((gumbel.phi(gumbel.silence(400.0)) - 400.0).abs() < 1e-6);
    let phis: Vec<_> = (0..2000).map(|at| cadence.suspicion(at * MS)).collect();
    assert!(phis[0] < 1e-6 && phis[40..].is_sorted_by(|a, b| a < b) && phis.is_sorted());
    assert!(phis[1999].is_finite());
    // Whatever the host configures: nothing panics.
    for confidence in [-1.0, 0.0, 1e-9, 400.0, f64::INFINITY, f64::NAN] {
        let timeout = cadence.timeout(&Learned { confidence, ..RULE }).expect("it has learned");
        assert!((RULE.floor_ns..=RULE.ceiling_ns).contains(&timeout), "{confidence}");
    }
}

#[test]
fn the_scale_follows_the_spread_and_has_a_least() {
    // 40 and 60 ms in turn: a deviation of 10 ms, so a scale of 7.8 and a location of 45.5 ms.
    let mut cadence = Cadence::new();
    (0..500).for_each(|n| cadence.block([40, 60][n % 2] * MS));
    assert_eq!(timeout_ms(&cadence), Some(188));
    // A tick's worth: 5.11 ms and 18.42 times 0.78.
    let rule = Learned { floor_ns: 0, ..RULE };
    assert_eq!(after(100, 5 * MS).timeout(&rule).map(|timeout| timeout / 1000), Some(19_479));
}

#[test]
fn floor_and_ceiling_hold() {
    assert_eq!(timeout_ms(&after(100, 2 * MS)), Some(25));
    assert_eq!(timeout_ms(&after(100, 0)), Some(25));
    assert_eq!(timeout_ms(&after(100, 300 * MS)), Some(500));
    assert_eq!(timeout_ms(&after(100, 60_000 * MS)), Some(500), "too long to learn");
    let patient = Learned { ceiling_ns: 60_000 * MS, ..RULE };
    assert_eq!(after(100, 9_000 * MS).timeout(&patient), Some(patient.ceiling_ns));
    let upside_down = Learned { floor_ns: 600 * MS, ..RULE };
    assert_eq!(after(100, 2 * MS).timeout(&upside_down), Some(RULE.ceiling_ns));
}

/// H9: what the decision is to be made of.
#[test]
fn a_thousand_packets_a_second_are_missed_after_25_ms() {
    let mut cadence = Cadence::new();
    for gap in blocks(&regular(MS, 5 * MS, 300, &mut Dice(1))) {
        cadence.block(gap);
        assert!(cadence.timeout(&RULE).is_none_or(|timeout| timeout == 25 * MS));
    }
    // A 20 ms silence each hour, as received: at most 21 ms by the coarse clock.
    for _ in 0..24 {
        cadence.block(21 * MS);
        assert_eq!(timeout_ms(&cadence), Some(26));
        for gap in blocks(&regular(MS, 5 * MS, 3600 / 64, &mut Dice(2))) {
            (0..64).for_each(|_| cadence.block(gap));
            let timeout = cadence.timeout(&RULE).expect("it has learned");
            assert!((25 * MS..=27 * MS).contains(&timeout), "{timeout}");
        }
    }
    // 40 packets each 40 ms: within three bursts.
    assert_eq!(timeout_ms(&after(100, 41 * MS)), Some(88));
}

/// Blocks to a period of the memory.
const PERIOD: usize = 64;

#[test]
fn the_memory_tells_lengths_apart() {
    let mut memory = Memory::new();
    let mut hear = |gap: u16, blocks: usize| {
        (0..blocks).for_each(|_| memory.block(gap));
        memory.longest(500 * MS).map(|longest| longest / UNIT_NS)
    };
    assert_eq!(hear(7, 1), Some(0), "less than a millisecond");
    assert_eq!((hear(8, 1), hear(458, 1), hear(450, 1)), (Some(8), Some(458), Some(458)));
    // An hour later: only the one that goes on.
    assert_eq!(hear(340, 61 * PERIOD), Some(340));
    // Of the same length as one forgotten, nearly.
    assert_eq!(hear(449, 1), Some(449));
    assert_eq!((units(1), units(UNIT_NS), units(UNIT_NS + 1)), (1, 1, 2));
}

#[test]
fn a_survived_silence_counts_for_an_hour_at_once() {
    let mut cadence = after(100, 6 * MS);
    assert_eq!(timeout_ms(&cadence), Some(25));
    cadence.block(60 * MS);
    assert_eq!(timeout_ms(&cadence), Some(150), "it may be a change");
    (0..16).for_each(|_| cadence.block(6 * MS));
    assert_eq!(timeout_ms(&cadence), Some(75), "a quarter more");
    (16..59 * PERIOD).for_each(|_| cadence.block(6 * MS));
    assert_eq!(timeout_ms(&cadence), Some(75));
    (0..PERIOD).for_each(|_| cadence.block(6 * MS));
    assert_eq!(timeout_ms(&cadence), Some(25));
}

#[test]
fn an_outage_counts_for_five_minutes_at_the_ceiling() {
    let exactly = Learned { ceiling_ns: 3815 * UNIT_NS, ..RULE };
    for outage in [500 * MS, 3000 * MS, 20_000 * MS] {
        let mut cadence = after(100, 6 * MS);
        cadence.block(100 * MS);
        cadence.block(outage);
        assert_eq!(timeout_ms(&cadence), Some(500));
        (0..4 * PERIOD).for_each(|_| cadence.block(6 * MS));
        assert_eq!(timeout_ms(&cadence), Some(500));
        (0..PERIOD).for_each(|_| cadence.block(6 * MS));
        // The shorter one in its shadow still counts.
        assert_eq!(timeout_ms(&cadence), Some(125));
        assert_eq!(cadence.timeout(&exactly), cadence.timeout(&RULE));
    }
}

#[test]
fn four_surprises_in_a_row_are_another_feed() {
    let mut cadence = after(200, 6 * MS);
    for _ in 0..3 {
        cadence.block(200 * MS);
        assert_eq!(timeout_ms(&cadence), Some(500));
    }
    cadence.block(200 * MS);
    assert_eq!(timeout_ms(&cadence), None);
    (0..7).for_each(|_| cadence.block(200 * MS));
    assert!(timeout_ms(&cadence) >= Some(400));
    // Whatever the direction.
    let mut cadence = after(200, 400 * MS);
    (0..100).for_each(|_| cadence.block(40 * MS));
    assert!((1.5..2.0).contains(&cadence.suspicion(400 * MS)), "{cadence:?}");
    // The longest of a few counts twice, for 16 blocks and no longer.
    let mut cadence = after(200, 6 * MS);
    [150, 60].iter().for_each(|gap| cadence.block(gap * MS));
    assert_eq!(timeout_ms(&cadence), Some(375));
    (0..60).for_each(|_| cadence.block(6 * MS));
    cadence.block(60 * MS);
    assert_eq!(timeout_ms(&cadence), Some(187));
    // One in a hundred is not.
    let mut cadence = after(200, 6 * MS);
    for _ in 0..50 {
        cadence.block(200 * MS);
        (0..16).for_each(|_| cadence.block(6 * MS));
        for _ in 16..100 {
            assert_eq!(timeout_ms(&cadence), Some(250));
            cadence.block(6 * MS);
        }
    }
}

#[test]
fn irregular_gaps_drift_to_the_ceiling() {
    let mut dice = Dice(5);
    let mut cadence = after(200, 6 * MS);
    let mut month = Month { least: Nanos::MAX, ..Month::default() };
    for block in 0..50_000 {
        // From 1 ms up, three decades, each as likely.
        let gap = (10f64.powf(3.0 * dice.unit()) * 1e6) as Nanos;
        if block > 20 {
            month.take(cadence.timeout(&RULE), gap.min(RULE.ceiling_ns));
        }
        cadence.block(gap);
    }
    assert_eq!((month.alarms, month.least), (0, RULE.ceiling_ns), "{month:?}");
}

#[test]
fn a_change_costs_one_false_alarm_at_the_most() {
    let feeds: Vec<_> = feeds().into_iter().map(|(name, blocks, _)| (name, blocks)).collect();
    let rule = Learned { ceiling_ns: 20_000 * MS, ..RULE };
    let mut alarmed = 0;
    for (from, before) in &feeds {
        for (to, then) in &feeds {
            let mut cadence = Cadence::new();
            before.iter().cycle().take(300).for_each(|&gap| cadence.block(gap));
            let mut month = Month { least: Nanos::MAX, ..Month::default() };
            for &gap in then.iter().cycle().take(1000) {
                month.take(cadence.timeout(&rule), gap);
                cadence.block(gap);
            }
            assert!(month.alarms <= 1, "{from} -> {to}: {month:?}");
            alarmed += month.alarms;
        }
    }
    assert!(alarmed > 20, "changes to longer gaps are alarms: {alarmed}");
}

#[test]
fn a_starved_feed_costs_its_first_stall_at_the_most() {
    let (blocks, rule) = (starved(), Learned { ceiling_ns: 20_000 * MS, ..RULE });
    let mut alarms = Vec::new();
    for start in 0..blocks.len() {
        let mut cadence = Cadence::new();
        let mut month = Month { least: Nanos::MAX, ..Month::default() };
        for &gap in blocks.iter().cycle().skip(start).take(3 * blocks.len()) {
            month.take(cadence.timeout(&rule), gap);
            cadence.block(gap);
        }
        alarms.push(month.alarms);
        assert_eq!(timeout_ms(&cadence), Some(500), "irregular: the ceiling");
    }
    // The other starts have the stall among the first eighteen blocks, or are wide when it comes.
    assert_eq!((alarms.iter().sum(), alarms.iter().max()), (57u64, Some(&1)));
}
