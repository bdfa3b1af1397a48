//! The stories, all at once, each with a relay of its own: a while in which nothing is wrong, a while
//! with the fault, and a while after it.

use std::cell::RefCell;
use std::net::UdpSocket;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::children::Running;
use crate::faults::{self, Fault};

/// The relays' packet timeout; what is delayed by less is not silent.
const TIMEOUT_MS: u64 = 500;
const DELAY_MS: u64 = 200;
const JITTER_MS: u64 = 150;
/// Kbit/s: of a feeder, of the narrow way, and what the rule asks for.
const NARROW_KBIT: u32 = 120;
const LEAST_KBPS: &str = "250";

/// Before the fault, with it where nothing may happen, and the longest for what has to come.
const CALM: Duration = Duration::from_secs(4);
const HELD: Duration = Duration::from_secs(9);
const PATIENCE: Duration = Duration::from_secs(25);

/// One relay, and what has to come of it.
struct Story {
    name: &'static str,
    /// Input 1 comes on this port, input 2 on the next.
    port: u16,
    options: &'static [&'static str],
    fault: Option<Fault>,
    /// With the fault; `None`: it stays where it is.
    leaves: Option<&'static str>,
    /// The longest silence at the output.
    silent_ms: u64,
}

const MOVED_BY_LOSS: &str = "SWITCH 1 -> 2 (loss)";
const MOVED_BY_RATE: &str = "SWITCH 1 -> 2 (bitrate)";
const MOVED_BY_SILENCE: &str = "SWITCH 1 -> 2 (timeout)";
const BACK: &str = "SWITCH 2 -> 1 (failback)";

/// The way from this one's first feeder is narrow.
const NARROW: &str = "a rate that is too low, with --min-kbps";
/// This one's first feeder comes through the delaying relay.
const DELAYED: &str = "delay, jitter and another order";

const STORIES: [Story; 6] = [
    Story {
        name: "30 % loss, with --max-loss",
        port: 5011,
        options: &["--max-loss", "5"],
        fault: Some(Fault::Loss(30)),
        leaves: Some(MOVED_BY_LOSS),
        silent_ms: 600,
    },
    Story {
        name: "10 % loss, without",
        port: 5021,
        options: &[],
        fault: Some(Fault::Loss(10)),
        leaves: None,
        silent_ms: 450,
    },
    Story {
        name: NARROW,
        port: 5031,
        options: &["--min-kbps", LEAST_KBPS],
        fault: None,
        leaves: Some(MOVED_BY_RATE),
        silent_ms: 600,
    },
    Story { name: DELAYED, port: 5041, options: &[], fault: None, leaves: None, silent_ms: 450 },
    Story {
        name: "a black hole",
        port: 5051,
        options: &[],
        fault: Some(Fault::BlackHole),
        leaves: Some(MOVED_BY_SILENCE),
        silent_ms: TIMEOUT_MS + 1_000,
    },
    Story {
        name: "30 % loss, without",
        port: 5061,
        options: &[],
        fault: Some(Fault::Loss(30)),
        leaves: None,
        silent_ms: 500,
    },
];

/// ffchangeover's inputs.
const CALLER_PORT: u16 = 5071;

/// The namespaces' ends of the feeders' ways.
const MAIN: &str = "10.77.1.2";
const BACKUP: &str = "10.77.2.2";
const SLOW: &str = "10.77.3.2";

/// What a relay sends to, and how long it was silent.
struct Sink {
    port: u16,
    longest_us: Arc<AtomicU64>,
}

impl Sink {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let port = socket.local_addr().expect("bound").port();
        let longest_us = Arc::new(AtomicU64::new(0));
        let shared = Arc::clone(&longest_us);
        thread::spawn(move || {
            let (mut buffer, mut last) = ([0; 65536], None::<Instant>);
            while socket.recv(&mut buffer).is_ok() {
                let now = Instant::now();
                if let Some(last) = last.replace(now) {
                    shared.fetch_max((now - last).as_micros() as u64, Relaxed);
                }
            }
        });
        Self { port, longest_us }
    }

    /// Since the last look.
    fn longest_ms(&self) -> u64 {
        self.longest_us.swap(0, Relaxed) / 1000
    }
}

/// An FFmpeg in a namespace of its own that sends to all of these.
fn feeder(namespace: &str, name: &'static str, start_pid: &str, to: &[String]) -> Running {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, "ffmpeg", "-hide_banner", "-nostdin", "-loglevel"]);
    command.args(["warning", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-re"]);
    command.args(["-f", "lavfi", "-i", "sine=sample_rate=48000", "-t", "300", "-c:v", "libx264"]);
    command.args(["-preset", "ultrafast", "-tune", "zerolatency", "-threads", "1", "-g", "25"]);
    command.args(["-b:v", "400k", "-c:a", "aac", "-b:a", "64k", "-map", "0", "-map", "1"]);
    let one = |to: &String| {
        format!("[f=mpegts:mpegts_start_pid={start_pid}:onfail=ignore]udp\\://{to}?pkt_size=1316")
    };
    let to: Vec<String> = to.iter().map(one).collect();
    command.args(["-f", "tee", &to.join("|")]);
    Running::start(name, &mut command)
}

/// What was wrong, in the order of the stories.
#[derive(Default)]
struct Findings(Mutex<Vec<String>>);

impl Findings {
    fn wrong(&self, story: &str, what: &str) {
        println!("WRONG   {story}: {what}");
        self.0.lock().expect("not poisoned").push(format!("{story}: {what}"));
    }
}

/// Waits for a line that holds this.
fn wait_for(relay: &Running, text: &str, patience: Duration) -> Option<Duration> {
    let began = Instant::now();
    while began.elapsed() < patience {
        if relay.latest(|line| line.contains(text).then_some(())).is_some() {
            return Some(began.elapsed());
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}

/// What stands behind this in each line that has it.
fn behind(program: &Running, words: &str) -> Vec<String> {
    let found = RefCell::new(Vec::new());
    program.latest(|line| {
        found.borrow_mut().extend(line.split_once(words).map(|(_, rest)| rest.to_owned()));
        None::<()>
    });
    // It looks at the latest first.
    found.into_inner().into_iter().rev().collect()
}

/// Any switch that a relay made, in words.
fn switches(relay: &Running) -> Vec<String> {
    behind(relay, "SWITCH ").into_iter().map(|rest| format!("SWITCH {rest}")).collect()
}

fn start_relay(program: &str, story: &Story, output: u16) -> Running {
    let (first, second) = if story.name == NARROW { (SLOW, BACKUP) } else { (MAIN, BACKUP) };
    let mut command = Command::new(program);
    command.args(["--input", &format!("udp://{first}:{}", story.port)]);
    command.args(["--input", &format!("udp://{second}:{}", story.port + 1)]);
    command.args(["--output", &format!("udp://127.0.0.1:{output}")]);
    command.args(["--timeout-ms", &TIMEOUT_MS.to_string(), "--connect-timeout-ms", "10000"]);
    command
        .args(["--failback-stable-ms", "1500", "--plain", "--status-every", "2"])
        .args(story.options);
    Running::start(story.name, &mut command)
}

fn start_caller(program: &str, out: &str) -> Running {
    let mut command = Command::new(program);
    command.args(["--hot", "--timeout-ms", "700", "--failback-stable-ms", "1500"]);
    command.args(["--failback-cooldown-ms", "1000", "--connect-timeout-ms", "8000"]);
    command.args(["-i", &format!("udp://{MAIN}:{CALLER_PORT}")]);
    command.args(["-i", &format!("udp://{BACKUP}:{}", CALLER_PORT + 1)]);
    command.arg(format!("{out}/ffchangeover.ts"));
    Running::start("ffchangeover", &mut command)
}

pub(crate) fn run(prefix: &str, relay: &str, caller: &str, out: &str) -> ExitCode {
    let began = Instant::now();
    let space = |name: &str| format!("{prefix}-{name}");
    faults::none();
    let ports = |of: &dyn Fn(&Story) -> bool, more: u16, to: &str| {
        let ports = STORIES.iter().filter(|story| of(story)).map(|story| story.port);
        ports.map(|port| format!("{to}:{}", port + more)).collect::<Vec<_>>()
    };
    let straight = |story: &Story| ![NARROW, DELAYED].contains(&story.name);
    let mut to_main = ports(&straight, 0, MAIN);
    to_main.extend([format!("{MAIN}:{CALLER_PORT}"), "127.0.0.1:7041".to_owned()]);
    let mut to_backup = ports(&|_| true, 1, BACKUP);
    to_backup.push(format!("{BACKUP}:{}", CALLER_PORT + 1));

    let delayed = STORIES.iter().find(|story| story.name == DELAYED).expect("it is there");
    let this = std::env::current_exe().expect("its own path");
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &space("main")]).arg(this).args(["delay", "127.0.0.1:7041"]);
    command.arg(format!("{MAIN}:{}", delayed.port));
    command.args([DELAY_MS.to_string(), JITTER_MS.to_string()]);
    let _delay = Running::start("the delaying relay", &mut command);
    let mut feeders = [
        feeder(&space("main"), "the main feeder", "0x100", &to_main),
        feeder(&space("backup"), "the backup feeder", "0x200", &to_backup),
        feeder(&space("slow"), "the slow feeder", "0x300", &ports(&|s| s.name == NARROW, 0, SLOW)),
    ];
    let sinks: Vec<Sink> = STORIES.iter().map(|_| Sink::start()).collect();
    let relays = STORIES.iter().zip(&sinks);
    let mut relays: Vec<Running> =
        relays.map(|(story, sink)| start_relay(relay, story, sink.port)).collect();
    let mut caller = start_caller(caller, out);
    let findings = Findings::default();

    // Nothing is wrong.
    thread::sleep(Duration::from_secs(2));
    if wait_for(&caller, "output: input 0 from", PATIENCE).is_none() {
        findings.wrong("ffchangeover", "it never begins");
    }
    thread::sleep(CALM);
    sinks.iter().for_each(|sink| _ = sink.longest_ms());
    thread::sleep(Duration::from_secs(1));
    for ((story, relay), sink) in STORIES.iter().zip(&relays).zip(&sinks) {
        if !switches(relay).is_empty() {
            findings.wrong(story.name, &format!("before the fault: {:?}", switches(relay)));
        }
        if sink.longest_ms() > 450 {
            findings.wrong(story.name, "its output is silent before the fault");
        }
    }

    // The faults.
    faults::narrow(&space("slow"), "eth0", NARROW_KBIT);
    for story in &STORIES {
        story.fault.iter().for_each(|fault| faults::add(story.port, *fault));
    }
    faults::add(CALLER_PORT, Fault::Loss(10));
    let since = Instant::now();
    for (story, relay) in STORIES.iter().zip(&relays).filter(|(story, _)| story.leaves.is_some()) {
        let wanted = story.leaves.expect("filtered");
        match wait_for(relay, wanted, PATIENCE) {
            Some(_) => println!("ok      {}: {wanted}", story.name),
            None => findings.wrong(story.name, &format!("never '{wanted}': {}", relay.tail())),
        }
    }
    thread::sleep(HELD.saturating_sub(since.elapsed()));
    for ((story, relay), sink) in STORIES.iter().zip(&relays).zip(&sinks) {
        let (made, silent_ms) = (switches(relay), sink.longest_ms());
        let most = usize::from(story.leaves.is_some());
        if made.len() != most {
            findings.wrong(story.name, &format!("with the fault: {made:?}: {}", relay.tail()));
        } else if silent_ms > story.silent_ms {
            findings.wrong(story.name, &format!("its output was silent for {silent_ms} ms"));
        } else {
            let end = if most == 0 { "stays" } else { "left once" };
            println!("ok      {}: {end}; silent for {silent_ms} ms at most", story.name);
        }
        // The premise: what is in another order looks like a loss.
        let latest = behind(relay, " | 1 ").pop().unwrap_or_default();
        if story.name == DELAYED && !latest.split(" | ").next().unwrap_or("").contains("% lost") {
            findings.wrong(story.name, &format!("the order is the old one: {latest}"));
        }
    }
    if caller.latest(|line| line.contains("output: input 1 from").then_some(())).is_some() {
        findings.wrong("ffchangeover", "it leaves an input with 10 % loss");
    }
    let met = faults::dropped();
    println!("dropped, by port: {met:?}");
    for port in STORIES.iter().filter(|story| story.fault.is_some()).map(|story| story.port) {
        if !met.iter().any(|(of, packets)| *of == port && *packets > 5) {
            findings.wrong("the network", &format!("nothing was lost on port {port}"));
        }
    }

    // The end of the faults; for ffchangeover they begin in earnest.
    faults::widen(&space("slow"), "eth0");
    faults::none();
    faults::add(CALLER_PORT, Fault::BlackHole);
    match wait_for(&caller, "output: input 1 from", PATIENCE) {
        Some(after) => println!("ok      ffchangeover: leaves a black hole after {after:?}"),
        None => findings.wrong("ffchangeover", &format!("stays in a hole: {}", caller.tail())),
    }
    faults::none();
    for (story, relay) in STORIES.iter().zip(&relays).filter(|(story, _)| story.leaves.is_some()) {
        match wait_for(relay, BACK, PATIENCE) {
            Some(_) => println!("ok      {}: {BACK}", story.name),
            None => findings.wrong(story.name, &format!("never back: {}", relay.tail())),
        }
    }
    let turns = || -> String {
        let turns = behind(&caller, "output: input ");
        turns.iter().filter_map(|turn| turn.chars().next()).collect()
    };
    let until = Instant::now() + PATIENCE;
    while turns() != "010" && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
    }
    match turns().as_str() {
        "010" => println!("ok      ffchangeover: back"),
        other => findings.wrong("ffchangeover", &format!("its turns: {other}: {}", caller.tail())),
    }
    for (story, relay) in STORIES.iter().zip(&mut relays) {
        let made = switches(relay).len();
        if made != 2 * usize::from(story.leaves.is_some()) {
            findings.wrong(story.name, &format!("in all: {:?}", switches(relay)));
        }
        if !relay.is_running() {
            findings.wrong(story.name, &format!("the relay has ended: {}", relay.tail()));
        }
    }
    if !caller.is_running() {
        findings.wrong("ffchangeover", &format!("it has ended: {}", caller.tail()));
    }
    for feeder in &mut feeders {
        if !feeder.is_running() {
            findings.wrong("a feeder", &feeder.tail());
        }
    }
    let wrong = findings.0.into_inner().expect("not poisoned");
    let verdict = if wrong.is_empty() {
        "passed".to_owned()
    } else {
        format!("FAILED, {} faults", wrong.len())
    };
    println!(
        "net-faults: {verdict}, {} stories in {:.0} s",
        STORIES.len() + 1,
        began.elapsed().as_secs_f64()
    );
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What is read from the tools' words.
pub(crate) fn check() {
    let rule = "\t\tudp dport 5011 numgen random mod 100 < 30 counter packets 12 bytes 3456 drop";
    assert_eq!(faults::parse(rule), Some((5011, 12)));
    assert_eq!(faults::parse("chain input {"), None);
    let said = "echo 'SWITCH 1 -> 2'; echo x; echo 'T SWITCH 2 -> 1 (failback)'";
    let mut command = Command::new("sh");
    let said = Running::start("sh", command.args(["-c", said]));
    assert!(wait_for(&said, "-> 1 (failback)", PATIENCE).is_some());
    assert_eq!(switches(&said), ["SWITCH 1 -> 2", "SWITCH 2 -> 1 (failback)"]);
    assert!(wait_for(&said, "never", Duration::from_millis(10)).is_none());
    let ports: Vec<u16> = STORIES.iter().map(|story| story.port).collect();
    assert!(ports.windows(2).all(|pair| pair[1] >= pair[0] + 2), "{ports:?}");
}
