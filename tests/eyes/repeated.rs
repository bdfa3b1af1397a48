//! Media that is played again and again without a seam: for the tests of the eyes, and their bench.

/// `times` copies of the media in a row, with continuity counters that go on.
pub(crate) fn repeated(media: &[u8], times: usize) -> Vec<u8> {
    let mut counters = vec![None::<u8>; 8192];
    let mut all = media.repeat(times);
    for packet in all.chunks_exact_mut(188) {
        let pid = usize::from(u16::from_be_bytes([packet[1] & 0x1f, packet[2]]));
        let has_payload = u8::from(packet[3] & 0x10 != 0);
        let next = counters[pid].map_or(packet[3] & 15, |last| (last + has_payload) & 15);
        counters[pid] = Some(next);
        packet[3] = packet[3] & 0xf0 | next;
        // The clip announces a leap at its beginning; here is none.
        if packet[3] & 0x20 != 0 && packet[4] > 0 {
            packet[5] &= !0x80;
        }
    }
    all
}
