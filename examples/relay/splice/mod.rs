//! The splicer: makes one conformant transport stream of the turns of several inputs, whatever
//! their clocks, their counters and their PIDs are.
//!
//! * PES packets are held back until they are whole, since a cut falls in the middle of one: the
//!   old input's unfinished one is never sent, and the new input begins with whole ones. For
//!   video this delays the output by one frame. Clocks do not wait: each goes out at once, in a
//!   packet of its own.
//! * PTS, DTS and PCR go through one [`Timeline`]. Video begins a turn; what the old input has
//!   filled already is not sent twice. Nor are pictures behind the first one that are shown
//!   before it (an open group of pictures): they refer to others, which are not there.
//! * An input that consists of the same streams gets the PIDs and the tables of the output; one
//!   that does not replaces them, as a new version. A PID never changes its meaning: another
//!   kind of stream gets another PID.
//! * Continuity counters go on across cuts; what was lost before the relay stays visible.
//!
//! What is not understood (scrambled packets, private data) passes with new counters.

mod adts;
mod hold;
mod packet;
mod tables;
#[cfg(test)]
mod tests;
mod track;

use std::collections::BTreeMap;

use changeover::timeline::{Mapped, NO_TIMESTAMP, Stamps, Timebase, Timeline};

use self::adts::Adts;
use self::hold::Hold;
use self::packet::Bytes;
use self::tables::{FIRST_FREE_PID, Kind, Layout, PAT_PID, Tables};
use self::track::Track;
use crate::ts::{self, NULL_PID, PACKET};

/// How long other streams wait for the first picture of a turn: PES packets, ticks of 90 kHz.
const MOST_WAITING: usize = 200;
const LONGEST_WAIT: i64 = 90_000;
/// Packets held back at a time, of all streams (64 MB). With more of them nothing waits any more.
const MOST_HELD: usize = 340_000;
/// The type of AAC streams in the tables.
const ADTS: u8 = 0x0f;
/// The type of H.265.
const H265: u8 = 0x24;

/// Where the packets of one of the input's PIDs go.
#[derive(Clone, Copy, Debug)]
enum Route {
    /// They are the moments at which the output's own table is sent.
    Table(u16),
    Stream(u16, Kind),
    /// Nothing but a clock is taken from them.
    Clock(u16),
}

/// Rewrites what goes to the output; see the module.
#[derive(Debug)]
pub(crate) struct Splicer {
    timeline: Timeline,
    cut: u32,
    on_air: Option<i32>,
    inputs: BTreeMap<i32, Tables>,
    /// What the output consists of.
    layout: Option<Layout>,
    /// What its PIDs have ever meant: receivers do not believe in another meaning.
    meanings: BTreeMap<u16, Kind>,
    /// By the PIDs of the input that is on the air.
    routes: BTreeMap<u16, Route>,
    /// Streams whose clock is to go to another PID of the output.
    clocks: BTreeMap<u16, u16>,
    /// Whether the system's tables of that input fit the output; `None` before its own are known.
    is_named_alike: Option<bool>,
    tracks: BTreeMap<u16, Track>,
    /// PES packets that wait for the turn's first picture.
    waiting: Vec<(u16, Kind, Hold)>,
    /// Packets held back, in all.
    held: usize,
    /// The picture that begins the turn, until it came.
    lead: Option<u16>,
    /// Packets that were added, to be made up for by padding that is left out.
    surplus: u32,
    /// Something with a time was sent: in any turn, in this one.
    started: bool,
    begun: bool,
}

impl Splicer {
    pub(crate) fn new() -> Self {
        Self {
            timeline: Timeline::new(Timebase::MPEG_TS),
            cut: 0,
            on_air: None,
            inputs: BTreeMap::new(),
            layout: None,
            meanings: BTreeMap::new(),
            routes: BTreeMap::new(),
            clocks: BTreeMap::new(),
            is_named_alike: None,
            tracks: BTreeMap::new(),
            waiting: Vec::new(),
            held: 0,
            lead: None,
            surplus: 0,
            started: false,
            begun: false,
        }
    }

    /// Learns the tables of an input that is not on the air, so that its turn can begin at once.
    /// `media` are whole packets.
    pub(crate) fn learn(&mut self, input: i32, media: &[u8]) {
        // Those of the one on the air are learned as they go out.
        if self.on_air != Some(input) {
            let tables = self.inputs.entry(input).or_default();
            media.as_chunks::<PACKET>().0.iter().for_each(|packet| _ = tables.take(packet));
        }
    }

    /// Appends to `out` what is to be sent now that `input` has brought these whole packets, let
    /// through under `cut`. That may be nothing, or more than came.
    pub(crate) fn rewrite(&mut self, cut: u32, input: i32, media: &[u8], out: &mut Vec<u8>) {
        if cut < self.cut {
            return;
        }
        if cut > self.cut || self.on_air != Some(input) {
            self.begin_turn(cut, input, out);
        }
        for packet in media.as_chunks::<PACKET>().0 {
            self.take(input, *packet, out);
        }
    }

    fn begin_turn(&mut self, cut: u32, input: i32, out: &mut Vec<u8>) {
        if cut == self.cut {
            self.timeline.restart();
        }
        (self.cut, self.on_air, self.begun) = (cut, Some(input), false);
        self.waiting.clear();
        self.held = 0;
        for track in self.tracks.values_mut() {
            track.begin_turn();
        }
        self.inputs.entry(input).or_default();
        self.forget_routes();
        self.align(input, out);
    }

    fn forget_routes(&mut self) {
        self.routes.clear();
        self.clocks.clear();
        (self.lead, self.is_named_alike) = (None, None);
    }

    /// Works out where the input's PIDs go.
    fn align(&mut self, input: i32, out: &mut Vec<u8>) {
        // While they change, what was known goes on.
        let Some(new) = self.inputs.get(&input).and_then(Tables::layout) else { return };
        self.forget_routes();
        let replaced = match self.layout.take() {
            Some(old) if new.pair(&old).is_some() => {
                self.layout = Some(old);
                false
            }
            Some(old) => {
                self.layout = Some(new.clone().replacing(&old, &self.meanings));
                true
            }
            None => {
                self.layout = Some(new.clone());
                false
            }
        };
        let Some(layout) = &self.layout else { return };
        let streams = layout.programmes.iter().flat_map(|programme| &programme.streams);
        self.meanings.extend(streams.map(|stream| (stream.pid, stream.kind)));
        self.is_named_alike = Some(new.is_named_like(layout));
        self.routes.insert(PAT_PID, Route::Table(PAT_PID));
        for (stream, partner) in new.pair(layout).into_iter().flatten() {
            self.routes.insert(stream.pid, Route::Stream(partner.pid, partner.kind));
            if !self.begun && self.started && self.lead.is_none() && tables::is_video(stream.kind) {
                self.lead = Some(partner.pid);
            }
        }
        for (programme, partner) in new.programmes.iter().zip(&layout.programmes) {
            self.routes.insert(programme.table_pid, Route::Table(partner.table_pid));
            let (clock, target) = (programme.clock_pid, partner.clock_pid);
            match self.routes.get(&clock) {
                Some(&Route::Stream(pid, _)) if pid == target => {}
                Some(_) => _ = self.clocks.insert(clock, target),
                None => _ = self.routes.insert(clock, Route::Clock(target)),
            }
        }
        if replaced {
            // Where the clock is now, it was not before.
            self.tracks.values_mut().for_each(Track::forget_clock);
            for pid in self.table_pids() {
                self.track(pid).queue.clear();
                self.fill(pid);
                while self.send_table(pid, out) {}
            }
        }
    }

    fn table_pids(&self) -> Vec<u16> {
        let programmes = self.layout.iter().flat_map(|layout| &layout.programmes);
        std::iter::once(PAT_PID).chain(programmes.map(|programme| programme.table_pid)).collect()
    }

    /// One packet of the input that is on the air.
    fn take(&mut self, input: i32, packet: Bytes, out: &mut Vec<u8>) {
        let pid = ts::pid(&packet);
        if pid == NULL_PID {
            if self.surplus > 0 {
                self.surplus -= 1;
            } else {
                out.extend_from_slice(&packet);
            }
            return;
        }
        if self.inputs.get_mut(&input).is_some_and(|tables| tables.take(&packet)) {
            self.align(input, out);
        }
        match self.routes.get(&pid) {
            Some(&Route::Table(to)) => {
                if packet::is_start(&packet) {
                    self.fill(to);
                }
                self.send_table(to, out);
            }
            Some(&Route::Stream(to, kind)) => self.stream(pid, to, kind, &packet, out),
            Some(&Route::Clock(to)) => self.clock_alone(to, &packet, out),
            None if self.passes(pid) => {
                if let Some(step) = self.track(pid).step(&packet) {
                    self.send(pid, step, packet, out);
                }
            }
            None => {}
        }
    }

    /// Whether a PID that is in no table of the input goes out as it is.
    fn passes(&self, pid: u16) -> bool {
        let Some(layout) = &self.layout else { return true };
        // Before an input's tables are known, its PIDs may mean anything.
        let Some(is_named_alike) = self.is_named_alike else { return false };
        if pid < FIRST_FREE_PID { is_named_alike } else { !layout.has(pid) }
    }

    /// A packet of an elementary stream.
    fn stream(&mut self, pid: u16, to: u16, kind: Kind, packet: &Bytes, out: &mut Vec<u8>) {
        let Some(step) = self.track(to).step(packet) else { return };
        let payload = packet::payload_at(packet);
        let start = payload.filter(|_| packet::is_start(packet));
        if start.is_some()
            && let Some(hold) = self.track(to).hold.take()
        {
            self.release(pid, to, kind, hold, out);
        }
        // The clock does not wait: it says what time it is now.
        self.clock_alone(*self.clocks.get(&pid).unwrap_or(&to), packet, out);
        let mut packet = *packet;
        packet::take_clock(&mut packet);
        if packet::is_scrambled(&packet) {
            return self.send(to, step, packet, out);
        }
        let is_full = self.held >= MOST_HELD;
        let track = self.track(to);
        if let Some(at) = start {
            // Sections and such: whole or not, they cannot wait.
            track.open = !packet[at..].starts_with(&[0, 0, 1]);
            track.hold = (!track.open).then(Hold::default);
        }
        if let Some(hold) = track.hold.as_mut().filter(|_| payload.is_some()) {
            hold.push(step, &packet);
            let is_too_long = hold.is_too_long() || is_full;
            let is_done = hold.is_whole() || is_too_long;
            self.held += 1;
            if is_done {
                let track = self.track(to);
                let hold = track.hold.take().unwrap_or_default();
                track.open = is_too_long;
                self.release(pid, to, kind, hold, out);
            }
        } else if track.open && payload.is_some() {
            self.send(to, step, packet, out);
        }
        // Else it belongs to something that began before the turn, or to nothing.
    }

    /// A PES packet is there: sends it, unless it has to wait for the turn's first picture.
    fn release(&mut self, pid: u16, to: u16, kind: Kind, hold: Hold, out: &mut Vec<u8>) {
        if self.lead.is_some_and(|lead| lead != to) {
            let since = self.waiting.first().map_or(NO_TIMESTAMP, |first| first.2.stamps().pts);
            let now = hold.stamps().pts;
            self.waiting.push((pid, kind, hold));
            let span = if [since, now].contains(&NO_TIMESTAMP) { 0 } else { now - since };
            let is_full = self.waiting.len() >= MOST_WAITING || self.held >= MOST_HELD;
            if !is_full && Timebase::MPEG_TS.fold(span) < LONGEST_WAIT {
                return;
            }
        } else {
            self.send_pes(to, kind, hold, out);
        }
        if self.lead.take().is_some() {
            for (pid, kind, hold) in std::mem::take(&mut self.waiting) {
                match self.routes.get(&pid) {
                    Some(&Route::Stream(to, _)) => self.send_pes(to, kind, hold, out),
                    _ => self.held = self.held.saturating_sub(hold.packets.len()),
                }
            }
        }
    }

    fn send_pes(&mut self, to: u16, kind: Kind, mut hold: Hold, out: &mut Vec<u8>) {
        self.held = self.held.saturating_sub(hold.packets.len());
        let stamps = hold.stamps();
        let is_video = tables::is_video(kind);
        if is_video && self.track(to).is_leading(stamps.pts) {
            return;
        }
        let usual = self.track(to).usual_step(stamps.pts);
        let adts = if kind.0 == ADTS { Adts::of(&hold) } else { None };
        let length = match &adts {
            // The timeline knows the usual frame; what is short of it is no frame.
            _ if is_video => 0,
            Some(adts) => adts.length(),
            None => usual,
        };
        let mut mapped = self.map(to, stamps, 0, length);
        if let (Mapped::Overlap, Some(adts)) = (mapped, &adts) {
            // Its later frames may fit.
            for (frame, begin) in adts.later_frames() {
                let Some(rest) = adts.tail_from(frame, &hold) else { break };
                mapped = self.map(to, stamps, begin, length - begin);
                if mapped != Mapped::Overlap {
                    hold = rest;
                    break;
                }
            }
        }
        if let Mapped::At(sent) = mapped {
            if is_video && self.track(to).shows(stamps.pts, sent.pts) && kind.0 == H265 {
                hold.begin_sequence();
            }
            hold.set_stamps(sent);
            (self.started, self.begun) = (true, true);
        }
        if matches!(mapped, Mapped::At(_) | Mapped::Untimed) {
            for (step, packet) in hold.packets {
                self.send(to, step, packet, out);
            }
        }
    }

    /// The output's times for what begins `later` than `stamps` say and lasts so long.
    fn map(&mut self, to: u16, stamps: Stamps, later: i64, length: i64) -> Mapped {
        let shift = |time: i64| if time == NO_TIMESTAMP { time } else { time + later };
        let stamps = Stamps::new(shift(stamps.dts), shift(stamps.pts)).lasting(length);
        self.timeline.map(self.cut, to.into(), Timebase::MPEG_TS, stamps)
    }

    /// Sends a packet's clock, if it has one, in a packet of its own.
    fn clock_alone(&mut self, to: u16, packet: &Bytes, out: &mut Vec<u8>) {
        let Some(clock) = packet::clock(packet) else { return };
        let Some(clock) = self.timeline.pcr(self.cut, Timebase::PCR, clock) else { return };
        let leaps = self.track(to).leaps_to(clock);
        self.send(to, 0, packet::clock_packet(to, clock, leaps), out);
        let added = u32::from(packet::payload_at(packet).is_some());
        self.surplus = self.surplus.saturating_add(added);
    }

    /// Lets the next packets of a table's PID carry it, unless it is on its way.
    fn fill(&mut self, pid: u16) {
        let Some(layout) = &self.layout else { return };
        let programme = layout.programmes.iter().find(|programme| programme.table_pid == pid);
        let section =
            if pid == PAT_PID { Some(&layout.section) } else { programme.map(|p| &p.section) };
        let packets = section.map_or(Vec::new(), |section| tables::packets(pid, section));
        let queue = &mut self.track(pid).queue;
        if queue.is_empty() {
            queue.extend(packets);
        }
    }

    fn send_table(&mut self, pid: u16, out: &mut Vec<u8>) -> bool {
        let next = self.track(pid).queue.pop_front();
        if let Some(packet) = next {
            self.send(pid, 1, packet, out);
        }
        next.is_some()
    }

    fn send(&mut self, to: u16, step: u8, mut packet: Bytes, out: &mut Vec<u8>) {
        let counter = self.track(to).count(step, packet::counter(&packet));
        packet::set_counter(&mut packet, counter);
        packet::set_pid(&mut packet, to);
        out.extend_from_slice(&packet);
    }

    fn track(&mut self, pid: u16) -> &mut Track {
        self.tracks.entry(pid).or_default()
    }
}
