//! What can be done to one stream, and its line in an event log: `<ns> <command>`.
//!
//! Every line can be carried out whatever stands before it (one that finds nothing to act on does
//! nothing), so that a log stays a log when lines are left out.

use std::fmt;
use std::str::FromStr;

use changeover::{EngineConfig, InputsUpdate, Packet, StreamConfig, Tracks};

/// How a driver call is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Done,
    Failed,
    /// The token is dropped.
    Dropped,
    /// Done, and then failed: the first counts.
    Twice,
    Unsupported,
}

/// What the next callback of the stream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prank {
    Panic,
    /// Reports an error of this input, from inside.
    Error(i32),
    /// Switches to this input, from inside.
    Switch(i32),
    /// Unregisters its own stream, from inside.
    Unregister,
}

/// One packet; `at_ns`: with a time of the caller's, so far from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) input: i32,
    /// By the recorder before the present one: a straggler.
    pub(crate) old: bool,
    pub(crate) bytes: u32,
    pub(crate) key: bool,
    pub(crate) lost: u16,
    pub(crate) frames: u16,
    pub(crate) tracks: Tracks,
    pub(crate) offset_ns: Option<i64>,
}

/// What a packet carries where its line says nothing of it.
pub(crate) const USUAL: (u16, Tracks) = (1, Tracks::VIDEO);
const TRACKS: [(Tracks, char); 3] =
    [(Tracks::VIDEO, 'v'), (Tracks::AUDIO, 'a'), (Tracks::OTHER, 'o')];

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Packet(Sent),
    /// Opens a recorder: on a new epoch of a hot input, on the started one of a cold input.
    Open(i32),
    Close(i32),
    /// The recorder reports an error; the one before the present one.
    Fail(i32),
    OldFail(i32),
    /// The host reports an error of whatever is current.
    Error(i32),
    /// Answers the oldest call that waits.
    Start(i32, Reply),
    Probe(i32, Reply),
    Switch(i32),
    ClearOverride,
    /// Time to live in ms; stay with it in death.
    Hold(i32, i64, bool),
    Release,
    Enable(i32, bool),
    Condition(i32, bool),
    Buffer(u32),
    Arm(Prank),
    Config(Box<EngineConfig>),
    Update(Box<InputsUpdate>),
    Register(Box<StreamConfig>),
    Unregister,
    /// The engine's threads stand still from now on; until now.
    Stall,
    Wake,
    /// All that is known is compared.
    Look,
    /// Nothing: the moments around one in which the driver was called.
    Mark,
    Take,
}

impl Sent {
    pub(crate) fn packet(&self) -> Packet {
        Packet::new(self.bytes as usize)
            .keyframe(self.key)
            .lost(self.lost)
            .tracks(self.tracks)
            .frames(self.frames)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Packet(sent) => {
                let word = if sent.old { "old" } else { "packet" };
                write!(f, "{word} {} {}", sent.input, sent.bytes)?;
                if sent.key {
                    f.write_str(" key")?;
                }
                if sent.lost > 0 {
                    write!(f, " lost={}", sent.lost)?;
                }
                if (sent.frames, sent.tracks) != USUAL {
                    write!(f, " frames={} tracks=", sent.frames)?;
                    for (_, letter) in TRACKS.iter().filter(|(t, _)| sent.tracks.contains(*t)) {
                        write!(f, "{letter}")?;
                    }
                }
                sent.offset_ns.map_or(Ok(()), |offset| write!(f, " at={offset}"))
            }
            Self::Open(input) => write!(f, "open {input}"),
            Self::Close(input) => write!(f, "close {input}"),
            Self::Fail(input) => write!(f, "fail {input}"),
            Self::OldFail(input) => write!(f, "oldfail {input}"),
            Self::Error(input) => write!(f, "error {input}"),
            Self::Start(input, reply) => write!(f, "start {input} {}", reply_word(*reply)),
            Self::Probe(input, reply) => write!(f, "probe {input} {}", reply_word(*reply)),
            Self::Switch(input) => write!(f, "switch {input}"),
            Self::ClearOverride => f.write_str("clear"),
            Self::Hold(input, ttl_ms, keep) => {
                write!(f, "hold {input} {ttl_ms} {}", if *keep { "keep" } else { "release" })
            }
            Self::Release => f.write_str("release"),
            Self::Enable(input, on) => write!(f, "{} {input}", pair(*on, "enable", "disable")),
            Self::Condition(input, on) => write!(f, "{} {input}", pair(*on, "black", "notblack")),
            Self::Buffer(n) => write!(f, "buffer {n}"),
            Self::Arm(Prank::Panic) => f.write_str("arm panic"),
            Self::Arm(Prank::Error(input)) => write!(f, "arm error {input}"),
            Self::Arm(Prank::Switch(input)) => write!(f, "arm switch {input}"),
            Self::Arm(Prank::Unregister) => f.write_str("arm unregister"),
            Self::Update(update) => write!(f, "update {}", json(update)),
            Self::Config(config) => write!(f, "config {}", json(config)),
            Self::Register(config) => write!(f, "register {}", json(config)),
            Self::Unregister => f.write_str("unregister"),
            Self::Stall => f.write_str("stall"),
            Self::Wake => f.write_str("wake"),
            Self::Look => f.write_str("look"),
            Self::Mark => f.write_str("mark"),
            Self::Take => f.write_str("take"),
        }
    }
}

fn pair(on: bool, yes: &'static str, no: &'static str) -> &'static str {
    if on { yes } else { no }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("serialises")
}

const REPLIES: [(Reply, &str); 5] = [
    (Reply::Done, "done"),
    (Reply::Failed, "failed"),
    (Reply::Dropped, "dropped"),
    (Reply::Twice, "twice"),
    (Reply::Unsupported, "unsupported"),
];

fn reply_word(reply: Reply) -> &'static str {
    REPLIES.iter().find(|(known, _)| *known == reply).expect("has a word").1
}

impl FromStr for Command {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let mut words = rest.split_whitespace();
        let wrong = || format!("'{line}' is no command");
        let mut number =
            || words.next().and_then(|word| word.parse::<i64>().ok()).ok_or_else(wrong);
        let command = match word {
            "packet" | "old" => {
                let (input, bytes) = (number()? as i32, number()? as u32);
                let old = word == "old";
                let (frames, tracks) = USUAL;
                let plain = Sent {
                    input,
                    old,
                    bytes,
                    key: false,
                    lost: 0,
                    frames,
                    tracks,
                    offset_ns: None,
                };
                let mut sent = plain;
                for word in words {
                    match word.split_once('=') {
                        None if word == "key" => sent.key = true,
                        Some(("lost", n)) => sent.lost = n.parse().map_err(|_| wrong())?,
                        Some(("frames", n)) => sent.frames = n.parse().map_err(|_| wrong())?,
                        Some(("tracks", letters)) => {
                            let known =
                                TRACKS.iter().filter(|(_, letter)| letters.contains(*letter));
                            sent.tracks = known.fold(Tracks::NONE, |all, (track, _)| all | *track);
                        }
                        Some(("at", n)) => sent.offset_ns = Some(n.parse().map_err(|_| wrong())?),
                        _ => return Err(wrong()),
                    }
                }
                Self::Packet(sent)
            }
            "open" => Self::Open(number()? as i32),
            "close" => Self::Close(number()? as i32),
            "fail" => Self::Fail(number()? as i32),
            "oldfail" => Self::OldFail(number()? as i32),
            "error" => Self::Error(number()? as i32),
            "start" | "probe" => {
                let input = number()? as i32;
                let named = words.next().unwrap_or_default();
                let reply = REPLIES.iter().find(|(_, word)| *word == named).ok_or_else(wrong)?.0;
                if word == "start" { Self::Start(input, reply) } else { Self::Probe(input, reply) }
            }
            "switch" => Self::Switch(number()? as i32),
            "clear" => Self::ClearOverride,
            "hold" => Self::Hold(number()? as i32, number()?, words.next() == Some("keep")),
            "release" => Self::Release,
            "enable" | "disable" => Self::Enable(number()? as i32, word == "enable"),
            "black" | "notblack" => Self::Condition(number()? as i32, word == "black"),
            "buffer" => Self::Buffer(number()? as u32),
            "arm" => Self::Arm(match rest.split_once(' ').unwrap_or((rest, "0")) {
                ("panic", _) => Prank::Panic,
                ("unregister", _) => Prank::Unregister,
                ("error", n) => Prank::Error(n.parse().map_err(|_| wrong())?),
                ("switch", n) => Prank::Switch(n.parse().map_err(|_| wrong())?),
                _ => return Err(wrong()),
            }),
            "update" => Self::Update(serde_json::from_str(rest).map_err(|why| why.to_string())?),
            "config" => Self::Config(serde_json::from_str(rest).map_err(|why| why.to_string())?),
            "register" => {
                Self::Register(serde_json::from_str(rest).map_err(|why| why.to_string())?)
            }
            "unregister" => Self::Unregister,
            "stall" => Self::Stall,
            "wake" => Self::Wake,
            "look" => Self::Look,
            "mark" => Self::Mark,
            "take" => Self::Take,
            _ => return Err(wrong()),
        };
        Ok(command)
    }
}

#[test]
fn every_command_reads_what_it_writes() {
    let update = InputsUpdate { removed: vec![3], ..InputsUpdate::default() };
    let (frames, tracks) = USUAL;
    let plain = Sent {
        input: -1,
        old: false,
        bytes: 9,
        key: false,
        lost: 0,
        frames,
        tracks,
        offset_ns: None,
    };
    let full = Sent { old: true, key: true, lost: 4, offset_ns: Some(-5), ..plain };
    let odd = Sent { frames: 0, tracks: Tracks::NONE, ..plain };
    let mixed = Sent { frames: 2, tracks: Tracks::AUDIO | Tracks::OTHER, ..plain };
    let commands = [
        Command::Packet(plain),
        Command::Packet(full),
        Command::Packet(odd),
        Command::Packet(mixed),
        Command::Config(Box::default()),
        Command::Open(0),
        Command::Close(1),
        Command::Fail(2),
        Command::OldFail(2),
        Command::Error(2),
        Command::Start(1, Reply::Twice),
        Command::Probe(1, Reply::Unsupported),
        Command::Switch(1),
        Command::ClearOverride,
        Command::Hold(1, 5, true),
        Command::Release,
        Command::Enable(1, false),
        Command::Condition(1, true),
        Command::Buffer(3),
        Command::Arm(Prank::Panic),
        Command::Arm(Prank::Switch(1)),
        Command::Arm(Prank::Error(1)),
        Command::Arm(Prank::Unregister),
        Command::Update(Box::new(update)),
        Command::Register(Box::new(StreamConfig::new("s0"))),
        Command::Unregister,
        Command::Stall,
        Command::Wake,
        Command::Look,
        Command::Mark,
        Command::Take,
    ];
    for command in commands {
        assert_eq!(command.to_string().parse::<Command>(), Ok(command));
    }
    assert!("packet x".parse::<Command>().is_err() && "dance".parse::<Command>().is_err());
}
