//! The lookback without sockets: feeds of numbered datagrams, on a clock of the test's own.

use super::*;
use crate::trail::leave;
use changeover::eyes::Eyes;

const SPAN: Duration = Duration::from_millis(500);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Number `n` of a feed, the same in each.
fn datagram(n: u16) -> Vec<u8> {
    let mut packet = [n as u8; PACKET];
    packet[..4].copy_from_slice(&[ts::SYNC, 1, 0, 0x10 | (n & 15) as u8]);
    packet[4..6].copy_from_slice(&n.to_be_bytes());
    packet.to_vec()
}

struct Feed {
    eyes: Eyes,
    lookback: Lookback,
}

impl Feed {
    fn new() -> Self {
        Self {
            eyes: Eyes::new(),
            lookback: Lookback::new(SPAN, Wish { reach: SPAN, ..Wish::default() }),
        }
    }

    fn take(&mut self, n: u16, at: Instant) {
        let media = datagram(n);
        let sight = self.eyes.look(&media);
        self.lookback.keep(&sight, &media, at);
    }

    /// Sends what is due then; answers the numbers.
    fn send(&mut self, now: Instant, trail: &mut VecDeque<Stamp>) -> Vec<u16> {
        let mut sent = Vec::new();
        while let Some((_, stamp, media)) = self.lookback.due(now) {
            sent.push(u16::from_be_bytes([media[4], media[5]]));
            leave(trail, stamp);
            self.lookback.sent();
        }
        sent
    }
}

#[test]
fn it_goes_on_where_the_output_stopped_and_catches_up() {
    let (t, mut trail) = (Instant::now(), VecDeque::new());
    let (mut main, mut backup) = (Feed::new(), Feed::new());
    let mut out = Vec::new();
    // 500 a second; the main feed dies behind number 99, the cut is 200 ms later.
    for n in 0..600_u16 {
        let now = t + ms(2 * u64::from(n));
        if n < 100 {
            main.take(n, now);
            main.lookback.on_air(1, &trail);
            out.extend(main.send(now, &mut trail));
        }
        backup.take(n, now + ms(1));
        if n >= 200 {
            let takeover = backup.lookback.on_air(2, &trail);
            let expected =
                Takeover { datagrams: 101, back: ms(200), by: By::Content, skips: false };
            assert_eq!(takeover, (n == 200).then_some(expected));
            // Between two that come it looks twice.
            out.extend(backup.send(now + ms(1), &mut trail));
            out.extend(backup.send(now + ms(2), &mut trail));
        }
        if n == 203 {
            // 6 ms behind the cut, and 1: at most 28 ms of media more.
            assert!((100 + 12..=100 + 15).contains(&out.len()), "{}", out.len());
        }
        if n == 240 {
            assert_eq!(out.last(), Some(&240), "live again within 80 ms");
        }
    }
    assert!(out.iter().copied().eq(0..600), "nothing is lost, nothing comes twice");
}

#[test]
fn a_feed_that_is_behind_waits_for_its_turn() {
    let (t, mut trail) = (Instant::now(), VecDeque::new());
    let (mut main, mut backup) = (Feed::new(), Feed::new());
    let mut out = Vec::new();
    for n in 0..300_u16 {
        let now = t + ms(2 * u64::from(n));
        if n < 100 {
            main.take(n, now);
            main.lookback.on_air(1, &trail);
            out.extend(main.send(now, &mut trail));
        }
        // 40 ms later than the main feed; switched by hand, so at once.
        if let Some(behind) = n.checked_sub(20) {
            backup.take(behind, now);
            if n >= 100 {
                let takeover = backup.lookback.on_air(2, &trail);
                assert!(takeover.is_none_or(|takeover| takeover.skips));
                out.extend(backup.send(now, &mut trail));
            }
        }
    }
    assert!(out.iter().copied().eq(0..280), "{out:?}");
}

#[test]
fn what_is_old_is_forgotten_and_memory_is_bounded() {
    let (t, mut feed) = (Instant::now(), Feed::new());
    for n in 0..1000_u16 {
        feed.take(n, t + ms(2 * u64::from(n)));
    }
    assert_eq!(feed.lookback.kept.len(), 251);
    assert_eq!(feed.lookback.bytes, 251 * PACKET);
    // After a long silence nothing old is left to be replayed.
    feed.take(1000, t + ms(60_000));
    assert_eq!(feed.lookback.kept.len(), 1);
    assert!(feed.lookback.spare.len() <= 64);
    let takeover = feed.lookback.on_air(1, &VecDeque::new()).unwrap();
    assert_eq!((takeover.datagrams, takeover.back), (1, Duration::ZERO));
}

#[test]
fn a_stopped_output_and_a_place_to_go_on_from_make_any_packet_a_cut_point() {
    let (t, trail) = (Instant::now(), Trail::default());
    let wish = Wish { keyframe: true, reach: SPAN, ..Wish::default() };
    let mut feed = Feed { eyes: Eyes::new(), lookback: Lookback::new(SPAN, wish) };
    (0..4).for_each(|n| feed.take(n, t));
    assert!(!feed.lookback.has_a_start(&trail), "nothing was written yet");
    feed.lookback.kept.iter().for_each(|kept| leave(&mut trail.lock(), kept.stamp));
    feed.take(5, t + STOPPED);
    assert!(!feed.lookback.has_a_start(&trail), "the output goes on");
    feed.take(6, t + STOPPED + ms(1));
    assert!(feed.lookback.has_a_start(&trail), "the same datagrams");
    {
        let _writing = trail.lock();
        assert!(!feed.lookback.has_a_start(&trail), "somebody writes");
    }
    trail.lock().iter_mut().for_each(|stamp| stamp.print = Some(0));
    feed.take(7, t + STOPPED + LOOK_AGAIN);
    assert!(feed.lookback.has_a_start(&trail), "not looked for again yet");
    feed.take(8, t + STOPPED + LOOK_AGAIN + ms(1));
    assert!(!feed.lookback.has_a_start(&trail), "something else, and no keyframe");
    feed.lookback.kept[0].stamp.keyframe = true;
    feed.take(9, t + STOPPED + 3 * LOOK_AGAIN);
    assert!(feed.lookback.has_a_start(&trail));
    feed.lookback.state = State::OnAir { cut: 1, next: 0 };
    assert!(!feed.lookback.has_a_start(&trail), "it is there already");
    feed.lookback.state = State::Standby;
    assert!(feed.lookback.has_a_start(&trail));
    feed.lookback.wish.keyframe = false;
    assert!(!feed.lookback.has_a_start(&trail), "nobody waits for one");
}

#[test]
fn a_keyframe_long_before_the_stop_is_no_start() {
    let t = Instant::now();
    for (again, found) in [(MOST_AGAIN, true), (MOST_AGAIN + ms(1), false)] {
        let wish = Wish { keyframe: true, reach: SPAN, ..Wish::default() };
        let lookback = Lookback::new(ms(3000), wish);
        let (mut feed, trail) = (Feed { eyes: Eyes::new(), lookback }, Trail::default());
        feed.take(0, t);
        feed.lookback.kept[0].stamp.keyframe = true;
        leave(&mut trail.lock(), Stamp::nameless(t + again));
        feed.take(1, t + again + STOPPED + ms(1));
        assert_eq!(feed.lookback.has_a_start(&trail), found, "{again:?}");
    }
}

#[test]
fn what_is_still_to_be_sent_is_not_forgotten() {
    let (t, mut feed, mut trail) = (Instant::now(), Feed::new(), VecDeque::new());
    (0..200_u16).for_each(|n| feed.take(n, t + ms(2 * u64::from(n))));
    leave(&mut trail, feed.lookback.kept[0].stamp);
    feed.lookback.on_air(1, &trail);
    // Nobody sends for a second, then all of it.
    (200..700_u16).for_each(|n| feed.take(n, t + ms(2 * u64::from(n))));
    let sent = feed.send(t + ms(5000), &mut trail);
    assert!(sent.iter().copied().eq(1..700), "{sent:?}");
    feed.take(700, t + ms(5000));
    assert_eq!(feed.lookback.kept.len(), 1);
}

#[test]
fn off_the_air_nothing_goes_out() {
    let (t, mut feed, mut trail) = (Instant::now(), Feed::new(), VecDeque::new());
    feed.take(1, t);
    assert!(feed.send(t, &mut trail).is_empty());
    feed.lookback.on_air(1, &trail);
    feed.lookback.off_air();
    assert!(feed.send(t + ms(9), &mut trail).is_empty());
}

#[test]
fn stamps_say_what_a_datagram_is_known_by() {
    let (t, mut feed) = (Instant::now(), Feed::new());
    let stamp = |feed: &mut Feed, datagram: &[u8], at| {
        let sight = feed.eyes.look(datagram);
        feed.lookback.keep(&sight, &datagram[sight.media.clone()], at);
        feed.lookback.kept.back().unwrap().stamp
    };
    let rtp = [&[0x80, 33, 1, 2, 0, 0, 3, 4, 0, 0, 0, 9][..], &datagram(7)].concat();
    let numbered = stamp(&mut feed, &rtp, t);
    assert_eq!(numbered.rtp, Some((0x102, 0x304)));
    assert_eq!(numbered.print, print(&datagram(7)), "of the media alone");
    assert_ne!(numbered.print, print(&datagram(8)));
    let mut padding = datagram(7);
    (padding[1], padding[2]) = (0x1f, 0xff);
    assert_eq!(print(&padding), None);
    assert!(print(&[padding, datagram(7)].concat()).is_some());
    // The clip begins with tables; its first picture is a keyframe.
    let mut clip = crate::demo::CLIP.chunks(7 * PACKET).map(|one| stamp(&mut feed, one, t));
    let first = clip.find(|stamp| stamp.frame).unwrap();
    assert!(first.keyframe);
    let second = clip.find(|stamp| stamp.frame).unwrap();
    assert!(!second.keyframe);
    let clock = second.clock.unwrap();
    let later = stamp(&mut feed, &datagram(9), t + ms(3));
    assert_eq!((later.clock, later.frame), (Some(clock + 81_000), false));
}

#[test]
fn a_place_that_never_comes_is_not_waited_for_for_ever() {
    let (t, mut feed, mut trail) = (Instant::now(), Feed::new(), VecDeque::new());
    (0..10).for_each(|n| feed.take(n, t));
    feed.lookback.kept.iter().for_each(|kept| leave(&mut trail, kept.stamp));
    // The other input was ahead, with something that this one will never have.
    let unknown = Stamp { print: Some(1), ..trail[0] };
    leave(&mut trail, unknown);
    assert!(feed.lookback.on_air(1, &trail).unwrap().skips);
    let patience = SPAN + PATIENCE;
    feed.take(10, t + patience);
    assert!(feed.send(t + patience, &mut trail).is_empty());
    feed.take(11, t + patience + ms(1));
    assert_eq!(feed.send(t + patience + ms(1), &mut trail), [11]);
}

#[test]
fn an_output_that_hangs_does_not_fill_the_memory() {
    let (t, mut feed) = (Instant::now(), Feed::new());
    feed.take(0, t);
    feed.lookback.on_air(1, &VecDeque::new());
    let count = (LARGEST / (300 * PACKET)) as u16 + 50;
    for n in 1..=count {
        let media = datagram(n).repeat(300);
        let sight = feed.eyes.look(&media);
        feed.lookback.keep(&sight, &media, t);
    }
    assert!(feed.lookback.bytes <= LARGEST && feed.lookback.bytes > LARGEST / 2);
    let sent = feed.send(t + SPAN, &mut VecDeque::new());
    let oldest = sent[0];
    assert!((40..60).contains(&oldest), "{oldest}");
    assert!(sent.iter().copied().eq(oldest..=count), "what is left, in order");
}
