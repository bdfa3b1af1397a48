//! The name tag that a feed puts into a null packet of each datagram, so that the receiver knows
//! whose media it sees. Null packets are padding: decoders drop them.

use crate::ts::{self, NULL_PID, PACKET, SYNC};

const MAGIC: &[u8; 8] = b"changeov";

/// Whose datagram it is, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// 1 or 2.
    pub(crate) feed: u8,
    /// Counts the datagrams of the clip as it is played: the same number is the same media in
    /// both feeds.
    pub(crate) number: u64,
}

impl Mark {
    /// A null packet that carries the mark.
    pub(crate) fn packet(self) -> [u8; PACKET] {
        let mut packet = [0xff; PACKET];
        let [high, low] = NULL_PID.to_be_bytes();
        packet[..4].copy_from_slice(&[SYNC, high, low, 0x10]);
        packet[4..12].copy_from_slice(MAGIC);
        packet[12] = self.feed;
        packet[13..21].copy_from_slice(&self.number.to_be_bytes());
        packet
    }

    /// The mark of a datagram of transport stream; `None` if it has none.
    pub(crate) fn of(media: &[u8]) -> Option<Self> {
        media.chunks_exact(PACKET).find_map(|packet| {
            let number = packet[13..21].try_into().ok().map(u64::from_be_bytes)?;
            (ts::pid(packet) == NULL_PID && &packet[4..12] == MAGIC)
                .then_some(Self { feed: packet[12], number })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_found_again_and_padding_is_none() {
        let mark = Mark { feed: 2, number: 0x0102_0304_0506_0708 };
        let mut datagram = crate::demo::CLIP[..2 * PACKET].to_vec();
        assert_eq!(Mark::of(&datagram), None);
        datagram.extend_from_slice(&mark.packet());
        assert_eq!(ts::media(&datagram), Some(&datagram[..]));
        assert_eq!(Mark::of(&datagram), Some(mark));
        let padding = crate::demo::CLIP.chunks_exact(PACKET).find(|p| ts::pid(p) == NULL_PID);
        assert_eq!(Mark::of(padding.unwrap()), None);
    }
}
