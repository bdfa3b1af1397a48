//! The judge's own checks: a record of a minute as it should be, made up, and what is found when one
//! thing in it is wrong.

use std::process::ExitCode;

use crate::judge::{Verdict, judge};
use crate::record::{Blow, Kill, Line, Record, Said, Sample, Silence, Us};
use crate::relay;

/// A moment of the record, ms after its beginning.
const fn at(ms: i64) -> Us {
    1_800_000_000_000_000 + ms * 1000
}

fn silence(from: i64, to: i64) -> Silence {
    Silence { from: at(from), to: at(to) }
}

fn line(ms: i64, said: Said) -> Line {
    Line { at: at(ms), seen: at(ms) + 700, said }
}

fn switch(ms: i64, from: usize, to: usize, reason: &str) -> Line {
    line(ms, Said::Switch { from, to, reason: reason.to_owned() })
}

fn kill(ms: i64, input: usize, blow: Blow) -> Kill {
    Kill { at: at(ms), input, blow }
}

/// Input 1 is killed and comes back; 2, a standby, is stopped; then all die, and 1 is back first.
fn good() -> Record {
    let all = |input| kill(40_000, input, Blow::All);
    let sample = |n: i64| Sample {
        at: at(n * 1000),
        rss_kib: 5000 + n as u64,
        descriptors: 9,
        threads: 8,
        cpu_ticks: n as u64,
    };
    Record {
        began: at(0),
        ended: at(60_000),
        silences: vec![
            vec![silence(19_980, 24_000), silence(39_990, 43_000)],
            vec![silence(30_010, 33_000), silence(39_995, 44_000)],
            vec![silence(39_998, 45_000)],
        ],
        output: vec![silence(19_980, 20_700), silence(39_990, 43_200)],
        kills: vec![
            kill(20_000, 1, Blow::Kill),
            kill(30_000, 2, Blow::Stop),
            kill(35_000, 1, Blow::Blink),
            all(1),
            all(2),
            all(3),
        ],
        lines: vec![
            switch(20_480, 1, 2, "timeout"),
            line(24_000, Said::Other),
            switch(26_400, 2, 1, "failback"),
            switch(40_490, 1, 2, "timeout"),
            switch(40_496, 2, 3, "timeout"),
            line(40_499, Said::Exhausted),
            switch(43_001, 3, 1, "recovery"),
            line(43_001, Said::Restored(1)),
        ],
        samples: (0..60).map(sample).collect(),
        ticks_per_s: 100,
        relay_alive: true,
        downstream_alive: true,
        complaints: vec![
            (at(-500), "non-existing PPS 0 referenced".to_owned()),
            (at(43_500), "Packet corrupt (stream = 0, dts = 1)".to_owned()),
        ],
        media_before_us: 1_000_000,
        media_us: 57_000_000,
        frames: 1400,
        summary: "relay: stopped by a signal after 0:01:00".to_owned(),
    }
}

type Wrong = fn(&mut Record);

/// What is done to the good record, and words of the fault that has to be found.
const WRONGS: &[(&str, Wrong)] = &[
    ("1 was left 2000 ms late", |r| r.lines[0].at += 2_000_000),
    ("left 1 without a cause", |r| r.lines[0].at -= 100_000),
    ("left 1 without a cause", |r| r.silences[0] = r.silences[0][1..].to_vec()),
    ("a silence of 1 had no consequence", |r| drop(r.lines.drain(..3))),
    ("Kill of the active 1 was not answered", |r| drop(r.lines.drain(..3))),
    ("Kill of 1 did not show", |r| r.kills[0].at -= 5_000_000),
    ("the same silence of 1 was answered twice", |r| {
        r.lines.insert(1, switch(20_900, 2, 1, "failback"));
        r.lines.insert(2, switch(21_000, 1, 2, "timeout"));
    }),
    ("left 2, but 1 was on the air", |r| drop(r.lines.remove(0))),
    ("failback from 2 to the worse 3", |r| r.lines[2] = switch(26_400, 2, 3, "failback")),
    ("failback to 1, which was not stable", |r| r.lines[2].at -= 1_000_000),
    ("2 -> 1 (error)", |r| r.lines[2] = switch(26_400, 2, 1, "error")),
    ("moved to 2, silent for", |r| r.silences[1].insert(0, silence(10_000, 22_000))),
    ("exhausted, but 3 is not silent", |r| r.silences[2].clear()),
    ("exhausted twice", |r| r.lines.insert(6, line(40_500, Said::Exhausted))),
    ("restored 3001 ms after the first packet", |r| {
        r.lines[6..].iter_mut().for_each(|l| l.at += 3_000_000)
    }),
    ("restored by 1, which is silent", |r| r.silences[0][1].to = at(50_000)),
    ("exhausted until the end", |r| drop(r.lines.drain(6..))),
    ("memory grew", |r| r.samples[55..].iter_mut().for_each(|s| s.rss_kib += 3000)),
    ("descriptors went 9 -> 12", |r| r.samples[59].descriptors += 3),
    ("threads went 8 -> 11", |r| r.samples[59].threads += 3),
    ("never looked at", |r| r.samples.clear()),
    ("the relay ended by itself", |r| r.relay_alive = false),
    ("the decoder ended", |r| r.downstream_alive = false),
    ("the decoder says: corrupt", |r| r.complaints.push((at(1), "corrupt".to_owned()))),
    ("the decoder says: Packet corrupt", |r| r.complaints[1].0 = at(42_000)),
    ("46000 ms decoded, but 56070 ms went out", |r| r.media_us -= 10_000_000),
    ("summary is missing", |r| r.summary.clear()),
];

fn faults(verdict: &Verdict) -> String {
    verdict.faults.join("\n")
}

pub(crate) fn check() -> ExitCode {
    let verdict = judge(&good());
    assert_eq!(faults(&verdict), "", "nothing is wrong with the good record");
    let counted = [verdict.blows, verdict.failed_over, verdict.overtaken, verdict.at_standby];
    assert_eq!(counted, [2, 2, 0, 3]);
    let others = [verdict.exhausted, verdict.recoveries, verdict.failbacks, verdict.blinks];
    assert_eq!(others, [1, 1, 1, 1]);
    assert_eq!(verdict.late, [0, 0, 1000, 1000]);
    for (words, wrong) in WRONGS {
        let mut record = good();
        wrong(&mut record);
        let found = faults(&judge(&record));
        assert!(found.contains(words), "'{words}' is not among what is found:\n{found}");
    }
    log_lines();
    println!(
        "the judging of the soak finds {} of {} faults; the soak itself is run by scripts/soak",
        WRONGS.len(),
        WRONGS.len()
    );
    ExitCode::SUCCESS
}

fn log_lines() {
    let parse = |text: &str| relay::parse(text, 0).map(|line| line.said);
    let stamp = "2026-11-23T03:31:08.490Z";
    let said =
        parse(&format!("{stamp} SWITCH 1 -> 2 (timeout): no packet for 500ms (timeout 500ms)"));
    assert_eq!(said, Some(Said::Switch { from: 1, to: 2, reason: "timeout".to_owned() }));
    let said = parse(&format!("{stamp} restored: input 3 carries the output"));
    assert_eq!(said, Some(Said::Restored(3)));
    let said = parse(&format!("{stamp} the machine was busy: the engine woke 31 ms late"));
    assert_eq!(said, Some(Said::Stall(31)));
    assert_eq!(parse(&format!("{stamp} NO USABLE INPUT is left")), Some(Said::Exhausted));
    assert_eq!(parse(&format!("{stamp} input 1 failed: SWITCH")), Some(Said::Other));
    assert_eq!(parse("no stamp"), None);
    let at = relay::parse(&format!("{stamp} input 1 failed"), 0).map(|line| line.at);
    assert_eq!(at, Some(1_795_404_668_490_000));
}
