//! What the flow table needs of a packet: the key of its flow, what counts, and where its payload
//! stands.
//!
//! It is made by the short way (`quick`) or from a packet that the tables of layers decoded.

use super::copies::identity;
use super::key::{Pair, Seed, ShortKey};
use super::packet::Packet;
use super::place::PlaceId;
use std::ops::Deref;

/// A packet, ready for the flow table.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    pub(super) key: ShortKey,
    /// Nanoseconds since 1970.
    pub(super) nanos: u64,
    /// Where the payload stands in the bytes of the block, and its length.
    pub(super) payload: (u32, u32),
    /// What copies of the packet have in common.
    pub(super) identity: u32,
    /// Meaningful where the protocol is TCP, as are `timestamp` and `flags`.
    pub(super) sequence: u32,
    /// Sender's time stamp option (RFC 7323), 0 where there is none.
    pub(super) timestamp: u32,
    /// Payload that the headers promise and the capture lacks.
    pub(super) missing: u32,
    /// Bytes at the innermost IP layer, as its header states them.
    pub(super) bytes: u32,
    /// Captured packets that this one was put together from.
    pub(super) pieces: u32,
    /// Where it stands in its block.
    pub(super) position: u32,
    /// Number that the decoder gave to the place at which it was met.
    pub(super) spot: u32,
    /// Identification of the innermost IPv4 header; 0 for IPv6.
    pub(super) id: u16,
    /// Hops that the innermost IP header still allows.
    pub(super) hops: u8,
    pub(super) flags: u8,
    /// SCTP chunk type of the first chunk.
    pub(super) sctp_chunk: Option<u8>,
}

/// Packets that are looked up together.
pub(super) const BATCH: usize = 32;

/// Packets that come to a table together, at most [`BATCH`].
#[derive(Debug)]
pub(super) struct Batch<'a> {
    pub(super) heads: &'a [Head],
    /// Which of the heads.
    pub(super) rows: &'a [u32],
    /// The table's numbers of places, by those that the heads carry.
    pub(super) places: &'a [PlaceId],
    /// What the payloads stand in.
    pub(super) bytes: &'a [u8],
    /// The addresses of IPv6 that the heads name by their number.
    pub(super) pairs: &'a [Pair],
}

/// A packet at the table: its head, its payload, the table's number of the place, and the addresses
/// of IPv6.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) head: &'a Head,
    pub(super) payload: &'a [u8],
    pub(super) place: PlaceId,
    pub(super) pair: Option<&'a Pair>,
}

impl Deref for Arrival<'_> {
    type Target = Head;

    #[inline]
    fn deref(&self) -> &Head {
        self.head
    }
}

impl Head {
    /// The head of a packet that was decoded by the tables; `bytes` are those that its payload
    /// stands in, and addresses of IPv6 go to the list.
    pub(super) fn of(
        packet: &Packet<'_>,
        bytes: &[u8],
        nanos: u64,
        seed: Seed,
        pairs: &mut Vec<Pair>,
    ) -> Head {
        let (source, target) = ((packet.source, packet.source_port), (packet.target, packet.target_port));
        let tcp = (packet.protocol == 6).then_some(&packet.tcp);
        Head {
            key: ShortKey::of(source, target, packet.protocol, seed, pairs),
            nanos,
            payload: place(bytes, packet.payload),
            identity: identity(packet.id, packet.missing, tcp, packet.payload),
            sequence: packet.tcp.sequence,
            timestamp: packet.tcp.timestamp,
            missing: packet.missing,
            bytes: packet.bytes,
            pieces: packet.pieces,
            position: 0,
            spot: 0,
            id: packet.id,
            hops: packet.hops,
            flags: packet.tcp.flags,
            sctp_chunk: packet.sctp_chunk,
        }
    }

    /// Its payload in the bytes of the block.
    #[inline]
    pub(super) fn payload<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        let (start, length) = self.payload;
        bytes.get(start as usize..start as usize + length as usize).unwrap_or(&[])
    }

    #[inline]
    pub(super) fn is_tcp(&self) -> bool {
        self.key.protocol() == 6
    }
}

/// Where a part of some bytes stands in them, and its length.
#[inline]
fn place(bytes: &[u8], part: &[u8]) -> (u32, u32) {
    if part.is_empty() {
        return (0, 0);
    }
    let start = part.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
    debug_assert!(start <= bytes.len() && part.len() <= bytes.len() - start, "the part of other bytes");
    (start as u32, part.len() as u32)
}
