//! What a capture is reduced to: one record for each conversation.

use std::net::IpAddr;

/// One conversation between two ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Who opened it, as far as is known (see `handshake`).
    pub initiator: FlowEnd,
    /// Who was called.
    pub responder: FlowEnd,
    /// The protocol above IP.
    pub transport: Transport,
    /// What the direction rests on.
    pub handshake: Handshake,
    /// Packets and bytes from the initiator.
    pub forward: Counters,
    /// Packets and bytes from the responder.
    pub backward: Counters,
    /// Time of the first packet, in nanoseconds since 1970.
    pub first: u64,
    /// Time of the last packet, in nanoseconds since 1970.
    pub last: u64,
    /// The first payload bytes, put in order.
    pub start: StreamStart,
    /// Encapsulations around the flow, outermost first: `vlan:12`, `vxlan:4096`.
    pub via: Vec<String>,
    /// Whether the flow was dropped from the table before its end because the table was full.
    pub evicted: bool,
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowEnd {
    /// Address.
    pub ip: IpAddr,
    /// Port; 0 where the transport has none.
    pub port: u16,
}

/// The protocol above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP or ICMPv6.
    Icmp,
    /// Any other IP protocol, by number.
    Other(u8),
}

/// What the choice of the initiator rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Handshake {
    /// The opening packet was seen (SYN, INIT).
    Seen,
    /// Only the answer to it was seen (SYN-ACK).
    AnswerSeen,
    /// No handshake: the side with the lower, well-known port is taken for the responder.
    GuessedByPort,
    /// No handshake and no port to go by: the first packet's sender is taken for the initiator.
    FirstPacket,
}

/// Counts of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes at the IP layer, as the headers state them.
    pub bytes: u64,
}

/// The first payload bytes of each direction, in stream order, up to a limit.
///
/// For datagrams, `lengths` keeps where each one ends, so that a detector can see their borders.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StreamStart {
    /// From the initiator.
    pub forward: Vec<u8>,
    /// From the responder.
    pub backward: Vec<u8>,
    /// Lengths of the datagrams kept in `forward` (datagram transports only).
    pub forward_lengths: Vec<u32>,
    /// Lengths of the datagrams kept in `backward` (datagram transports only).
    pub backward_lengths: Vec<u32>,
    /// The stream was joined after its beginning (no SYN in either direction).
    pub late: bool,
    /// Bytes are missing because the capture cut packets.
    pub cut: bool,
    /// Bytes are missing because packets are missing.
    pub holes: bool,
    /// Which direction sent payload first.
    pub responder_first: bool,
}

impl Flow {
    /// The flow without its first bytes, which go no further than the detectors.
    pub fn without_payload(mut self) -> Flow {
        self.start.forward = Vec::new();
        self.start.backward = Vec::new();
        self
    }
}
