//! What the flow table needs of a packet: the key of its flow, what counts, and its payload.
//!
//! It is made by the short way (`quick`) or from a packet that the tables of layers decoded.

use super::key::{Key, Seed, Side};
use super::packet::{Packet, Tcp};
use super::place::PlaceId;

/// A packet, ready for the flow table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) key: Key,
    /// Hash of the key under the seed of the run.
    pub(super) hash: u64,
    /// Nanoseconds since 1970.
    pub(super) nanos: u64,
    pub(super) payload: &'a [u8],
    /// Meaningful where `protocol` is TCP.
    pub(super) tcp: Tcp,
    /// Payload that the headers promise and the capture lacks.
    pub(super) missing: u32,
    /// Bytes at the innermost IP layer, as its header states them.
    pub(super) bytes: u32,
    /// Captured packets that this one was put together from.
    pub(super) pieces: u32,
    pub(super) place: PlaceId,
    /// Identification of the innermost IPv4 header; 0 for IPv6.
    pub(super) id: u16,
    /// IP protocol number of the innermost transport.
    pub(super) protocol: u8,
    /// Hops that the innermost IP header still allows.
    pub(super) hops: u8,
    /// Which end sent it.
    pub(super) side: Side,
    /// SCTP chunk type of the first chunk.
    pub(super) sctp_chunk: Option<u8>,
}

impl<'a> Head<'a> {
    /// The head of a packet that was decoded by the tables.
    pub(super) fn of(packet: &Packet<'a>, place: PlaceId, nanos: u64, seed: Seed) -> Head<'a> {
        let (key, side) = Key::of(
            (packet.source, packet.source_port),
            (packet.target, packet.target_port),
            packet.protocol,
        );
        Head {
            key,
            hash: key.hash(seed),
            nanos,
            payload: packet.payload,
            tcp: packet.tcp,
            missing: packet.missing,
            bytes: packet.bytes,
            pieces: packet.pieces,
            place,
            id: packet.id,
            protocol: packet.protocol,
            hops: packet.hops,
            side,
            sctp_chunk: packet.sctp_chunk,
        }
    }

    #[inline]
    pub(super) fn is_tcp(&self) -> bool {
        self.protocol == 6
    }
}
