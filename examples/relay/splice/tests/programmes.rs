//! What the output consists of: whose tables it carries, and what passes.

use super::*;

#[test]
fn an_input_of_other_streams_replaces_the_tables_as_a_new_version() {
    let mut first = Feed::new(1, 0x100, &[VIDEO, AUDIO]);
    let mut second = Feed::new(1, 0x100, &[VIDEO, (0x03, 0)]); // its number is the programme's
    let mut splicer = Splicer::new();
    let theirs = second.tables();
    splicer.learn(2, theirs.as_flattened());
    let tables = first.tables();
    let out = rewrite(&mut splicer, 1, 1, &tables);
    assert_eq!([0, 1].map(|n| &out[n][4..]), [0, 1].map(|n| &tables[n][4..]));
    let out = rewrite(&mut splicer, 2, 2, &[]);
    assert_eq!(out.len(), 2, "at once");
    for ((new, old), counter) in out.iter().zip(&theirs).zip([10, 1]) {
        // Version 4 instead of 3, and a CRC that fits: 0 over all.
        assert_eq!((new[10], old[10]), (0xc1 | 4 << 1, 0xc1 | 3 << 1));
        let end = 5 + 3 + usize::from(new[7]);
        assert_eq!((tables::crc32(&new[5..end]), packet::counter(new)), (0, counter));
        assert_eq!((&new[11..17], &new[end..]), (&old[11..17], &old[end..]));
    }
    // In the PMT, 0x102 was AAC: the other audio gets the next one that is free.
    assert_eq!(
        (&out[1][22..27], &theirs[1][22..27]),
        (&[3, 0xe1, 3, 0xf0, 0][..], &[3, 0xe1, 2, 0xf0, 0][..])
    );
    let packets = [0, 3600].map(|time| second.start(0x101, time, 0));
    let out = rewrite(&mut splicer, 2, 2, &packets);
    assert_eq!(shown(&out), [(0x101, 9, Some(0))]);
    let out = rewrite(&mut splicer, 2, 2, &[second.start(0x102, 0, 0)]);
    assert_eq!(shown(&out), [(0x103, 9, Some(0))]);
    // The first feed again: its own PIDs, in a newer version.
    let out = rewrite(&mut splicer, 3, 1, &[]);
    assert_eq!((out[1][10], &out[1][11..27]), (0xc1 | 5 << 1, &tables[1][11..27]));
}

#[test]
fn a_table_of_several_packets_goes_out_whole() {
    let (mut first, mut second) = (Feed::new(1, 0x100, &[VIDEO]), Feed::new(2, 0x200, &[VIDEO]));
    first.info = 250;
    let (tables, theirs) = (first.tables(), second.tables());
    assert_eq!((tables.len(), theirs.len()), (3, 2));
    let mut splicer = Splicer::new();
    splicer.learn(2, theirs.as_flattened());
    let _ = rewrite(&mut splicer, 1, 1, &tables);
    let payloads = |packets: &[Bytes]| packets.iter().map(|p| p[4..].to_vec()).collect::<Vec<_>>();
    let out = rewrite(&mut splicer, 1, 1, &first.tables());
    assert_eq!(payloads(&out), payloads(&tables));
    // The next one's has one packet only: each time, one of the two goes out.
    for part in [1, 2, 1, 2] {
        let out = rewrite(&mut splicer, 2, 2, &second.tables());
        assert_eq!(payloads(&out), payloads(&[tables[0], tables[part]]));
        assert_eq!(splicer.track(0x100).queue.len(), 2 - part);
    }
}

#[test]
fn what_is_not_understood_passes_and_what_is_not_known_does_not() {
    let mut first = Feed::new(1, 0x100, &[VIDEO]);
    let mut second = Feed::new(2, 0x200, &[VIDEO]);
    let mut splicer = Splicer::new();
    let tables = first.tables();
    let _ = rewrite(&mut splicer, 1, 1, &tables);
    let mut scrambled = first.more(0x101);
    scrambled[3] |= 0x80;
    let null = blank(NULL_PID);
    let packets = [scrambled, first.more(0x1abc), null, first.more(0x11)];
    assert_eq!(rewrite(&mut splicer, 1, 1, &packets), packets);
    // A PES without a time passes when it is whole.
    let mut untimed = first.start(0x101, 0, 0);
    untimed[11] = 0;
    let out = rewrite(&mut splicer, 1, 1, &[untimed, first.start(0x101, 0, 0)]);
    assert_eq!(out, [untimed]);
    // Its tables are not known yet: its PIDs may mean anything.
    let packets = [second.start(0x101, 0, 0), second.more(0x1abc), second.more(0x11), null];
    assert_eq!(rewrite(&mut splicer, 2, 2, &packets), [null]);
    // Damaged ones are not believed.
    let mut damaged = second.tables();
    damaged[0][20] ^= 1;
    let _ = rewrite(&mut splicer, 2, 2, &damaged);
    assert_eq!(rewrite(&mut splicer, 2, 2, &packets[1..]), [null]);
    let _ = rewrite(&mut splicer, 2, 2, &second.tables());
    // 0x101 is the output's video, the names are another programme's; private data pass.
    let packets = [second.start(0x101, 0, 0), second.more(0x11), second.more(0x1abc)];
    let out = rewrite(&mut splicer, 2, 2, &packets);
    assert_eq!(shown(&out), [(0x1abc, 10, None)]);
}
