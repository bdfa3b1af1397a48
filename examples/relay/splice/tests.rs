//! The splicer on packets made by hand, with exact numbers.

mod programmes;

use super::*;

const VIDEO: Kind = (0x1b, 0);
const AUDIO: Kind = (0x0f, 0);

/// An input of one programme: its tables, and the counters of its PIDs.
struct Feed {
    number: i32,
    programme: u16,
    table_pid: u16,
    clock_pid: u16,
    /// Bytes of descriptors of the programme.
    info: u8,
    streams: Vec<(u16, Kind)>,
    counters: BTreeMap<u16, u8>,
}

impl Feed {
    fn new(number: i32, base: u16, kinds: &[Kind]) -> Self {
        let streams = kinds.iter().zip(base + 1..).map(|(&kind, pid)| (pid, kind)).collect();
        let (programme, counters) = (number as u16, BTreeMap::new());
        Self { number, programme, table_pid: base, clock_pid: base + 1, info: 0, streams, counters }
    }

    fn tables(&mut self) -> Vec<Bytes> {
        let [number, pid] = [self.programme, self.table_pid].map(u16::to_be_bytes);
        let pat = section(0, [0, 1], &[number[0], number[1], 0xe0 | pid[0], pid[1]]);
        let clock = self.clock_pid.to_be_bytes();
        let mut body = vec![0xe0 | clock[0], clock[1], 0xf0, self.info];
        body.resize(4 + usize::from(self.info), 0x11);
        for (pid, kind) in &self.streams {
            let pid = pid.to_be_bytes();
            body.extend([kind.0, 0xe0 | pid[0], pid[1], 0xf0, 0]);
        }
        let pmt = section(2, number, &body);
        let packets = [(PAT_PID, pat), (self.table_pid, pmt)];
        let packets = packets.iter().flat_map(|(pid, section)| tables::packets(*pid, section));
        packets.collect::<Vec<_>>().into_iter().map(|packet| self.count(packet)).collect()
    }

    fn count(&mut self, mut packet: Bytes) -> Bytes {
        let counter = self.counters.entry(ts::pid(&packet)).or_insert(9);
        packet::set_counter(&mut packet, *counter);
        *counter = (*counter + 1) & 0x0f;
        packet
    }

    /// The first packet of a PES of this PTS; `more` packets of it follow.
    fn start(&mut self, pid: u16, pts: i64, more: usize) -> Bytes {
        let mut packet = blank(pid);
        packet[1] |= 0x40;
        let length = if more == 0 { 178_u16 } else { 178 + 184 * more as u16 };
        packet[4..13].copy_from_slice(&[0, 0, 1, 0xe0, 0, 0, 0x80, 0x80, 5]);
        if self.streams.iter().any(|&(own, kind)| own == pid && !tables::is_video(kind)) {
            packet[8..10].copy_from_slice(&length.to_be_bytes());
        }
        let mut hold = Hold::default();
        packet[13] = 0x21;
        hold.push(1, &packet);
        hold.set_stamps(Stamps::pts_only(pts));
        self.count(hold.packets[0].1)
    }

    fn more(&mut self, pid: u16) -> Bytes {
        self.count(blank(pid))
    }

    /// A packet with a clock and nothing else.
    fn clock(&mut self, clock: i64) -> Bytes {
        let mut packet = packet::clock_packet(self.clock_pid, clock, false);
        let last = self.counters.get(&self.clock_pid).map_or(9, |next| next.wrapping_sub(1) & 0x0f);
        packet::set_counter(&mut packet, last);
        packet
    }
}

fn section(table: u8, id: [u8; 2], body: &[u8]) -> Vec<u8> {
    let length = (body.len() + 9) as u16;
    let [high, low] = (0xb000 | length).to_be_bytes();
    let mut section = vec![table, high, low, id[0], id[1], 0xc1 | 3 << 1, 0, 0];
    section.extend_from_slice(body);
    let crc = tables::crc32(&section);
    section.extend_from_slice(&crc.to_be_bytes());
    section
}

/// A packet full of payload.
fn blank(pid: u16) -> Bytes {
    let mut packet = [0xaa; PACKET];
    packet[..4].copy_from_slice(&[0x47, 0, 0, 0x10]);
    packet::set_pid(&mut packet, pid);
    packet
}

/// What a splicer made of some packets.
fn rewrite(splicer: &mut Splicer, cut: u32, input: i32, packets: &[Bytes]) -> Vec<Bytes> {
    let mut out = Vec::new();
    splicer.rewrite(cut, input, packets.as_flattened(), &mut out);
    out.as_chunks::<PACKET>().0.to_vec()
}

/// PID, counter and, where a PES begins, its PTS.
fn shown(packets: &[Bytes]) -> Vec<(u16, u8, Option<i64>)> {
    let times = packets.iter().map(|packet| {
        let mut hold = Hold::default();
        hold.push(1, packet);
        let pts = Some(hold.stamps().pts).filter(|&pts| pts != NO_TIMESTAMP);
        (ts::pid(packet), packet::counter(packet), pts.filter(|_| packet::is_start(packet)))
    });
    times.collect()
}

#[test]
fn a_cut_leaves_out_what_is_not_whole_on_either_side() {
    let mut first = Feed::new(1, 0x100, &[VIDEO]);
    let mut second = Feed::new(2, 0x200, &[VIDEO]);
    let mut splicer = Splicer::new();
    splicer.learn(2, second.tables().as_flattened());
    let tables = first.tables();
    assert_eq!(shown(&rewrite(&mut splicer, 1, 1, &tables)), [(0, 9, None), (0x100, 0, None)]);
    let packets = [
        first.more(0x101),
        first.start(0x101, 1000, 1),
        first.more(0x101),
        first.start(0x101, 4600, 1),
        first.more(0x101),
        first.start(0x101, 8200, 1),
    ];
    // The first one is of a frame that began before; the last frame is not over.
    let out = rewrite(&mut splicer, 1, 1, &packets);
    let expected = [(0, Some(1000)), (1, None), (2, Some(4600)), (3, None)];
    // Counters are those of the first one sent, from there on.
    let expected = expected.map(|(n, pts)| (0x101, (10 + n) & 0x0f, pts));
    assert_eq!(shown(&out), expected);
    // The next feed: in the middle of a frame, too.
    let packets = [
        second.more(0x201),
        second.start(0x201, 77_000, 1),
        second.more(0x201),
        second.start(0x201, 80_600, 0),
    ];
    let out = rewrite(&mut splicer, 2, 2, &packets);
    assert_eq!(shown(&out), [(0x101, 14, Some(8200)), (0x101, 15, None)]);
    // What is late is nothing.
    assert!(rewrite(&mut splicer, 1, 1, &tables).is_empty());
    // The tables are the first one's, at the next one's moments.
    let out = rewrite(&mut splicer, 2, 2, &second.tables());
    assert_eq!(shown(&out), [(0, 10, None), (0x100, 1, None)]);
    assert_eq!([0, 1].map(|n| &out[n][4..]), [0, 1].map(|n| &tables[n][4..]));
}

#[test]
fn losses_stay_visible_and_repetitions_are_left_out() {
    let mut feed = Feed::new(1, 0x100, &[VIDEO]);
    let mut splicer = Splicer::new();
    let mut packets = feed.tables();
    packets.extend([feed.start(0x101, 0, 2), feed.more(0x101)]);
    packets.push(packets[3]);
    let _lost = [feed.more(0x101), feed.more(0x101)];
    packets.extend([feed.more(0x101), feed.start(0x101, 3600, 0)]);
    let out = rewrite(&mut splicer, 1, 1, &packets);
    let counters: Vec<_> = out[2..].iter().map(packet::counter).collect();
    assert_eq!(counters, [9, 10, 13]);
}

#[test]
fn clocks_go_through_the_same_time_line() {
    let mut first = Feed::new(1, 0x100, &[VIDEO]);
    let mut second = Feed::new(2, 0x200, &[VIDEO]);
    second.clock_pid = 0x2ff;
    let mut splicer = Splicer::new();
    splicer.learn(2, second.tables().as_flattened());
    let mut packets = first.tables();
    packets.extend([first.start(0x101, 90_000, 0), first.start(0x101, 93_600, 0)]);
    packets.push(first.start(0x101, 97_200, 0));
    let out = rewrite(&mut splicer, 1, 1, &packets);
    assert_eq!(shown(&out[2..]), [(0x101, 9, Some(90_000)), (0x101, 10, Some(93_600))]);
    // A clock does not wait for the frame that is held.
    let clock = first.clock(45_000 * 300 + 299);
    let out = rewrite(&mut splicer, 1, 1, &[clock]);
    assert_eq!(shown(&out), [(0x101, 10, None)]);
    assert_eq!(packet::clock(&out[0]), Some(45_000 * 300 + 299));
    let out = rewrite(&mut splicer, 1, 1, &[first.start(0x101, 100_800, 0)]);
    assert_eq!(shown(&out), [(0x101, 11, Some(97_200))]);
    // The next feed's has a PID of its own; it goes to that of the output. Before the first
    // picture was sent, nobody knows what time it is.
    let clock = second.clock(7);
    assert!(rewrite(&mut splicer, 2, 2, &[clock]).is_empty());
    let start = second.start(0x201, 45_000, 0);
    assert!(rewrite(&mut splicer, 2, 2, &[start]).is_empty());
    let next = second.start(0x201, 48_600, 0);
    let clock = second.clock(10_000 * 300 + 150);
    let out = rewrite(&mut splicer, 2, 2, &[next, clock]);
    assert_eq!(shown(&out), [(0x101, 12, Some(100_800)), (0x101, 12, None)]);
    assert_eq!(packet::clock(&out[1]), Some((10_000 + 55_800) * 300 + 150));
    assert!(!packet::is_discontinuity(&out[1]), "0.77 s on");
    let back = second.clock(10_000 * 300);
    let out = rewrite(&mut splicer, 2, 2, &[back]);
    assert!(packet::is_discontinuity(&out[0]), "it went back");
}

#[test]
fn audio_waits_for_the_picture_that_begins_a_turn_but_not_for_ever() {
    let mut first = Feed::new(1, 0x100, &[VIDEO, AUDIO]);
    // The same streams in another order.
    let mut second = Feed::new(2, 0x200, &[AUDIO, VIDEO]);
    let mut splicer = Splicer::new();
    splicer.learn(2, second.tables().as_flattened());
    let mut packets = first.tables();
    for n in 0..3 {
        packets.extend([first.start(0x101, n * 3600, 0), first.start(0x102, n * 1920, 0)]);
    }
    let out = rewrite(&mut splicer, 1, 1, &packets);
    // Audio says how long it is, and is whole at once; the last picture is not over.
    let expected = [(0x102, 0), (0x101, 0), (0x102, 1920), (0x101, 3600), (0x102, 3840)];
    let times = |out: &[Bytes]| -> Vec<_> {
        shown(out).into_iter().map(|(pid, _, pts)| (pid, pts.unwrap())).collect()
    };
    assert_eq!(times(&out[2..]), expected);
    // 2 frames of audio before the picture: the first one lies before the end at 5760.
    let packets = [
        second.start(0x201, 100_000 - 2000, 0),
        second.start(0x202, 100_000, 0),
        second.start(0x201, 100_000 - 80, 0),
    ];
    assert!(rewrite(&mut splicer, 2, 2, &packets).is_empty());
    let picture = second.start(0x202, 103_600, 0);
    let out = rewrite(&mut splicer, 2, 2, &[picture]);
    assert_eq!(times(&out), [(0x101, 7200), (0x102, 7120)]);
    // A turn without pictures: after a second of waiting, audio goes out alone.
    let packets: Vec<_> = (0..48).map(|n| first.start(0x102, 500_000 + n * 1920, 0)).collect();
    assert_eq!(rewrite(&mut splicer, 3, 1, &packets[..47]).len(), 0);
    let out = rewrite(&mut splicer, 3, 1, &packets[47..]);
    assert_eq!((out.len(), times(&out)[0]), (48, (0x102, 7120 + 1920)));
}

#[test]
fn aac_frames_that_are_played_already_are_taken_out_of_their_packet() {
    let mut feed = Feed::new(1, 0x100, &[VIDEO, AUDIO]);
    let mut splicer = Splicer::new();
    let mut packets = feed.tables();
    // Frames of 90 bytes; the last one of the second is cut short, and goes on elsewhere.
    let frames = |packet: &mut Bytes, count: usize| {
        for (n, frame) in packet[18..].chunks_mut(90).take(count).enumerate() {
            frame[..7].copy_from_slice(&[0xff, 0xf1, 0x4c, 0x80, 90 >> 3, 0x1f | 2 << 5, 0xfc]);
            frame[7] = n as u8;
        }
    };
    let mut audio = feed.start(0x102, 0, 0);
    frames(&mut audio, 2);
    packets.extend([feed.start(0x101, 0, 0), feed.start(0x101, 3600, 0)]);
    packets.extend([audio, feed.start(0x101, 7200, 0)]);
    assert_eq!(rewrite(&mut splicer, 1, 1, &packets).len(), 2 + 3);
    // Audio has been sent up to 3840. It begins 4200 before the picture at 7200: at 3000.
    let mut audio = feed.start(0x102, 95_800, 0);
    frames(&mut audio, 2);
    let packets = [feed.start(0x101, 100_000, 0), audio, feed.start(0x101, 103_600, 0)];
    let out = rewrite(&mut splicer, 2, 1, &packets);
    assert_eq!(shown(&out), [(0x101, 11, Some(7200)), (0x102, 10, Some(4920))]);
    // A header of 14 bytes and 80 bytes of the second frame, behind an adaptation field.
    let begin = packet::payload_at(&out[1]).unwrap();
    assert_eq!((begin, out[1][4], out[1][5]), (PACKET - 94, (PACKET - 94 - 5) as u8, 0));
    assert_eq!(out[1][begin + 4..begin + 6], (94_u16 - 6).to_be_bytes());
    assert_eq!(out[1][begin + 14..begin + 22], [0xff, 0xf1, 0x4c, 0x80, 11, 0x5f, 0xfc, 1]);
    // Of one that lost a packet, no part is taken. Audio has been sent up to 6840.
    let mut audio = feed.start(0x102, 500_000 - 4960, 1);
    frames(&mut audio, 2);
    let _lost = feed.more(0x102);
    let packets = [feed.start(0x101, 500_000, 0), audio, feed.more(0x102)];
    assert_eq!(rewrite(&mut splicer, 3, 1, &packets).len(), 0);
    let out = rewrite(&mut splicer, 3, 1, &[feed.start(0x101, 503_600, 0)]);
    assert_eq!(shown(&out), [(0x101, 12, Some(10_800))]);
}

#[test]
fn what_is_of_unknown_length_is_as_long_as_the_longest_was() {
    let mut feed = Feed::new(1, 0x100, &[VIDEO, (0x03, 0)]);
    let mut splicer = Splicer::new();
    let mut packets = feed.tables();
    packets.extend([0, 3600].map(|time| feed.start(0x101, time, 0)));
    packets.extend([0, 3840, 5760, 7680].map(|time| feed.start(0x102, time, 0)));
    packets.push(feed.start(0x101, 7200, 0));
    let _ = rewrite(&mut splicer, 1, 1, &packets);
    // At 7200 there is the next picture; 7680 + 3840 are 11_520, less a millisecond of slack.
    let times = [(0x101, 0), (0x102, 4229), (0x102, 4230), (0x101, 3600)];
    let packets = times.map(|(pid, time)| feed.start(pid, 500_000 + time, 0));
    let out = rewrite(&mut splicer, 2, 1, &packets);
    assert_eq!(shown(&out), [(0x101, 11, Some(7200)), (0x102, 13, Some(11_430))]);
}

#[test]
fn sections_among_the_streams_do_not_wait() {
    let mut feed = Feed::new(1, 0x100, &[VIDEO, (0x86, 0), AUDIO]);
    let mut splicer = Splicer::new();
    let _ = rewrite(&mut splicer, 1, 1, &feed.tables());
    let mut packets = [feed.more(0x102), feed.more(0x102), feed.more(0x102)];
    packets[1][1] |= 0x40;
    assert_eq!(
        shown(&rewrite(&mut splicer, 1, 1, &packets)),
        [(0x102, 10, None), (0x102, 11, None)]
    );
    // What follows a whole PES and begins none belongs to nothing.
    let packets = [feed.start(0x103, 0, 0), feed.more(0x103)];
    assert_eq!(shown(&rewrite(&mut splicer, 1, 1, &packets)), [(0x103, 9, Some(0))]);
}

#[test]
fn a_clock_goes_to_the_pid_that_the_output_has_it_on() {
    let mut first = Feed::new(1, 0x100, &[VIDEO]);
    first.clock_pid = 0x1ff;
    let mut second = Feed::new(2, 0x200, &[VIDEO]);
    let mut splicer = Splicer::new();
    splicer.learn(2, second.tables().as_flattened());
    let mut packets = first.tables();
    packets.extend([-3600, 0, 3600].map(|time| first.start(0x101, time, 0)));
    let _ = rewrite(&mut splicer, 1, 1, &packets);
    // A packet with a clock and 100 bytes of payload.
    let start = second.start(0x201, 45_000, 1);
    let mut packet = second.more(0x201);
    let counter = packet[3];
    packet[..100].copy_from_slice(&packet::clock_packet(0x201, 9000 * 300 + 1, false)[..100]);
    (packet[3], packet[4]) = (counter | 0x20, 83);
    let next = second.start(0x201, 48_600, 0);
    let out = rewrite(&mut splicer, 2, 2, &[start, packet, next]);
    // The first clock came before it was known what time it is. It is out of its packet.
    assert_eq!(shown(&out), [(0x101, 11, Some(3600)), (0x101, 12, None)]);
    assert_eq!((packet::clock(&out[1]), &out[1][88..]), (None, &packet[88..]));
    packet[3] = packet[3] & 0xf0 | (packet[3] + 2) & 0x0f;
    let out = rewrite(&mut splicer, 2, 2, &[packet, blank(NULL_PID), blank(NULL_PID)]);
    assert_eq!(shown(&out), [(0x1ff, 0, None), (NULL_PID, 0, None)], "one more, and one less");
    assert_eq!(packet::clock(&out[0]), Some((9000 + 3600 - 45_000 + (1 << 33)) * 300 + 1));
}

#[test]
fn another_input_under_the_same_number_begins_a_turn_and_what_waited_is_gone() {
    let mut first = Feed::new(1, 0x100, &[VIDEO, AUDIO]);
    let mut second = Feed::new(2, 0x200, &[VIDEO, AUDIO]);
    let mut splicer = Splicer::new();
    splicer.learn(2, second.tables().as_flattened());
    let mut packets = first.tables();
    packets.extend([0, 3600, 7200].map(|time| first.start(0x101, time, 0)));
    let _ = rewrite(&mut splicer, 1, 1, &packets);
    // Waits for a picture, and is overtaken by the next turn.
    let audio = first.start(0x102, 60_000, 0);
    assert!(rewrite(&mut splicer, 2, 1, &[audio]).is_empty());
    let packets = [50_000, 53_600].map(|time| first.start(0x101, time, 0));
    assert_eq!(shown(&rewrite(&mut splicer, 3, 1, &packets)), [(0x101, 11, Some(7200))]);
    // 0.5 s ahead of the first one: no leap, but another input.
    let packets = [98_600, 102_200].map(|time| second.start(0x201, time, 0));
    assert_eq!(shown(&rewrite(&mut splicer, 3, 2, &packets)), [(0x101, 12, Some(10_800))]);
    // New tables in the middle of a turn: nothing waits for pictures again.
    second.table_pid = 0x2f0;
    let _ = rewrite(&mut splicer, 3, 2, &second.tables());
    let audio = second.start(0x202, 98_600, 0);
    assert_eq!(shown(&rewrite(&mut splicer, 3, 2, &[audio])), [(0x102, 9, Some(10_800))]);
}

#[test]
fn what_is_held_back_is_bounded_over_all_streams() {
    // Pictures that never end, on many PIDs at once.
    let mut feed = Feed::new(1, 0x100, &[VIDEO; 30]);
    let mut splicer = Splicer::new();
    let _ = rewrite(&mut splicer, 1, 1, &feed.tables());
    let pids: Vec<u16> = feed.streams.iter().map(|stream| stream.0).collect();
    let starts: Vec<_> = pids.iter().map(|&pid| feed.start(pid, 0, 0)).collect();
    let mut sent = rewrite(&mut splicer, 1, 1, &starts).len();
    let mut came = starts.len();
    let held = |splicer: &Splicer| -> usize {
        let holds = splicer.tracks.values().filter_map(|track| track.hold.as_ref());
        holds.map(|hold| hold.packets.len()).sum()
    };
    while came < MOST_HELD + 1000 {
        let more: Vec<_> = pids.iter().map(|&pid| feed.more(pid)).collect();
        sent += rewrite(&mut splicer, 1, 1, &more).len();
        came += more.len();
        assert!(splicer.held <= MOST_HELD);
    }
    assert_eq!(splicer.held, held(&splicer));
    assert_eq!(sent + splicer.held, came, "nothing is lost by it");
    assert!(sent > 10_000, "it goes on");
    // The next turn begins with nothing.
    let _ = rewrite(&mut splicer, 2, 1, &[]);
    assert_eq!((splicer.held, held(&splicer)), (0, 0));
}

#[test]
fn damaged_packets_do_no_harm() {
    let mut state = 1_u64;
    let mut dice = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as usize
    };
    for _ in 0..300 {
        let mut splicer = Splicer::new();
        let mut feeds =
            [Feed::new(1, 0x100, &[VIDEO, AUDIO]), Feed::new(2, 0x200, &[AUDIO, VIDEO])];
        for cut in 1..4 {
            let feed = &mut feeds[dice() % 2];
            let mut packets = feed.tables();
            for n in 0..8 {
                let pid = feed.streams[dice() % 2].0;
                packets.extend([feed.start(pid, n * 3600, 1), feed.more(pid), feed.clock(n * 99)]);
            }
            for _ in 0..dice() % 40 {
                let packet = &mut packets[dice() % 26];
                packet[1 + dice() % 30] = dice() as u8;
            }
            let out = rewrite(&mut splicer, cut, feed.number, &packets);
            assert!(out.iter().all(|packet| packet[0] == 0x47));
        }
    }
}
