//! What the flow table needs of a packet: the key of its flow, what counts, and where its payload
//! stands.
//!
//! It is made by the short way (`quick`) or from a packet that the tables of layers decoded.

use super::copies::identity;
use super::key::{Key, Seed, Side};
use super::packet::{Packet, Tcp};
use super::place::PlaceId;
use super::quick::Quick;
use std::ops::Deref;

/// A packet, ready for the flow table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub(super) key: Key,
    /// Nanoseconds since 1970.
    pub(super) nanos: u64,
    /// Where the payload stands in the bytes of the block.
    payload: (u32, u32),
    /// Half of the hash of the key under the seed of the run.
    pub(super) hash: u32,
    /// What copies of the packet have in common.
    pub(super) identity: u32,
    /// Meaningful where `protocol` is TCP, as are `timestamp` and `flags`.
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
    /// IP protocol number of the innermost transport.
    pub(super) protocol: u8,
    /// Hops that the innermost IP header still allows.
    pub(super) hops: u8,
    pub(super) flags: u8,
    /// Which end sent it.
    pub(super) side: Side,
    /// SCTP chunk type of the first chunk.
    pub(super) sctp_chunk: Option<u8>,
}

/// A packet at the table: its head, its payload, and the table's number of the place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) head: &'a Head,
    pub(super) payload: &'a [u8],
    pub(super) place: PlaceId,
}

impl Deref for Arrival<'_> {
    type Target = Head;

    #[inline]
    fn deref(&self) -> &Head {
        self.head
    }
}

impl Head {
    /// The head of a packet that took the short way; `bytes` are those of its block.
    #[inline(always)]
    pub(super) fn quick(quick: &Quick<'_>, bytes: &[u8], nanos: u64, position: u32, spot: u32) -> Head {
        Head {
            key: quick.key,
            nanos,
            payload: place(bytes, quick.payload),
            hash: quick.hash,
            identity: identity(quick.id, quick.missing, tcp(quick.protocol, &quick.tcp), quick.payload),
            sequence: quick.tcp.sequence,
            timestamp: quick.tcp.timestamp,
            missing: quick.missing,
            bytes: quick.bytes,
            pieces: 1,
            position,
            spot,
            id: quick.id,
            protocol: quick.protocol,
            hops: quick.hops,
            flags: quick.tcp.flags,
            side: quick.side,
            sctp_chunk: None,
        }
    }

    /// The head of a packet that was decoded by the tables; `bytes` are those that its payload
    /// stands in.
    pub(super) fn of(packet: &Packet<'_>, bytes: &[u8], nanos: u64, seed: Seed) -> Head {
        let (key, side) = Key::of(
            (packet.source, packet.source_port),
            (packet.target, packet.target_port),
            packet.protocol,
        );
        Head {
            key,
            nanos,
            payload: place(bytes, packet.payload),
            hash: key.hash(seed) as u32,
            identity: identity(packet.id, packet.missing, tcp(packet.protocol, &packet.tcp), packet.payload),
            sequence: packet.tcp.sequence,
            timestamp: packet.tcp.timestamp,
            missing: packet.missing,
            bytes: packet.bytes,
            pieces: packet.pieces,
            position: 0,
            spot: 0,
            id: packet.id,
            protocol: packet.protocol,
            hops: packet.hops,
            flags: packet.tcp.flags,
            side,
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
        self.protocol == 6
    }
}

#[inline]
fn tcp(protocol: u8, tcp: &Tcp) -> Option<&Tcp> {
    (protocol == 6).then_some(tcp)
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
