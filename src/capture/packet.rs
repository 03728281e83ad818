//! One packet, decoded down to its innermost transport: what the flow table needs, without an allocation.

use super::{FlowEnd, Transport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More layers than this are not followed.
pub(super) const DEEPEST: u8 = 12;
/// Encapsulations that are remembered of one packet.
const MOST_VIA: usize = 8;

/// A packet down to its payload.
#[derive(Clone, Debug)]
pub(super) struct Packet<'a> {
    pub(super) source: Address,
    pub(super) target: Address,
    pub(super) source_port: u16,
    pub(super) target_port: u16,
    /// IP protocol number of the innermost transport.
    pub(super) protocol: u8,
    /// Meaningful where `protocol` is TCP.
    pub(super) tcp: Tcp,
    /// SCTP chunk type of the first chunk.
    pub(super) sctp_chunk: Option<u8>,
    pub(super) payload: &'a [u8],
    /// Payload that the headers promise and the capture lacks.
    pub(super) missing: usize,
    /// Bytes at the innermost IP layer, as its header states them.
    pub(super) bytes: u64,
    /// Captured packets that this one was put together from.
    pub(super) pieces: u64,
    /// Identification of the innermost IPv4 header; 0 for IPv6.
    pub(super) id: u16,
    /// Hops that the innermost IP header still allows.
    pub(super) hops: u8,
    pub(super) via: ViaList,
    /// Ends of the outermost tunnel.
    pub(super) tunnel: Option<(Address, Address)>,
    /// Number of the interface where the link layer tells it (Linux cooked capture, version 2).
    pub(super) interface: u32,
    /// What the IP header that is being read says of fragmentation.
    pub(super) fragment: Option<Fragment>,
    /// Layers passed.
    pub(super) depth: u8,
}

/// An address of either version in one word: IPv4 stands in the low half with version 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Address {
    V4(u32),
    V6(u128),
}

/// The TCP fields that ordering and telling copies apart need.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tcp {
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    pub(super) flags: u8,
    /// Sender's time stamp option (RFC 7323), 0 where there is none.
    pub(super) timestamp: u32,
}

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;

/// A part of an IP packet that was split (RFC 791, RFC 8200 section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment {
    pub(super) id: u32,
    /// Offset in bytes.
    pub(super) offset: usize,
    pub(super) more: More,
}

/// Whether a fragment is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    Follow,
    Last,
}

/// Why a packet makes no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// Nothing here reads this link type.
    LinkType,
    /// Shorter than its headers.
    Truncated,
    /// Something else than IP: ARP, spanning tree, discovery protocols.
    NotIp,
    /// Headers that contradict themselves.
    Malformed,
    /// More layers than are followed.
    TooDeep,
    /// A frame whose content its link layer encrypts (MACsec, protected 802.11).
    LinkEncrypted,
}

impl Oddity {
    pub(super) fn text(self, link_type: u32) -> String {
        match self {
            Oddity::LinkType => format!("packets of link type {link_type}, which is not read"),
            Oddity::Truncated => "packets that end inside their headers".to_owned(),
            Oddity::NotIp => "packets that are not IP".to_owned(),
            Oddity::Malformed => "packets with malformed headers".to_owned(),
            Oddity::TooDeep => format!("packets with more than {DEEPEST} layers"),
            Oddity::LinkEncrypted => "packets that are encrypted below IP".to_owned(),
        }
    }
}

/// One encapsulation around a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Via {
    /// By its name alone: `mpls`, `ipip`, `ah`.
    Plain(&'static str),
    /// With the number that tells networks apart: `vlan:12`, `vxlan:4096`.
    Numbered(&'static str, u32),
}

impl Via {
    pub(super) fn text(self) -> String {
        match self {
            Via::Plain(name) => name.to_owned(),
            Via::Numbered(name, number) => format!("{name}:{number}"),
        }
    }
}

/// Encapsulations, outermost first, without an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ViaList([Option<Via>; MOST_VIA]);

impl ViaList {
    pub(super) fn push(&mut self, via: Via) {
        if let Some(free) = self.0.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(via);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0[0].is_none()
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.0.iter().flatten().map(|via| via.text()).collect()
    }
}

impl Default for Packet<'_> {
    fn default() -> Self {
        Packet {
            source: Address::V4(0),
            target: Address::V4(0),
            source_port: 0,
            target_port: 0,
            protocol: 0,
            tcp: Tcp::default(),
            sctp_chunk: None,
            payload: &[],
            missing: 0,
            bytes: 0,
            pieces: 1,
            id: 0,
            hops: 0,
            via: ViaList::default(),
            tunnel: None,
            interface: 0,
            fragment: None,
            depth: 0,
        }
    }
}

impl Packet<'_> {
    pub(super) fn is_tcp(&self) -> bool {
        self.protocol == 6
    }

    /// Notes an encapsulation by IP: the ends of the outermost one are kept.
    pub(super) fn tunnelled(&mut self, via: Via) {
        self.via.push(via);
        self.tunnel.get_or_insert((self.source, self.target));
    }
}

impl Address {
    pub(super) fn ip(self) -> IpAddr {
        match self {
            Address::V4(word) => IpAddr::V4(Ipv4Addr::from(word)),
            Address::V6(word) => IpAddr::V6(Ipv6Addr::from(word)),
        }
    }

    pub(super) fn end(self, port: u16) -> FlowEnd {
        FlowEnd { ip: self.ip(), port }
    }
}

/// The name of an IP protocol number.
pub(super) fn transport(protocol: u8) -> Transport {
    match protocol {
        6 => Transport::Tcp,
        17 => Transport::Udp,
        132 => Transport::Sctp,
        1 | 58 => Transport::Icmp,
        other => Transport::Other(other),
    }
}

pub(super) fn be16(bytes: &[u8], at: usize) -> Result<u16, Oddity> {
    match bytes.get(at..at + 2) {
        Some([a, b]) => Ok(u16::from_be_bytes([*a, *b])),
        _ => Err(Oddity::Truncated),
    }
}

pub(super) fn be32(bytes: &[u8], at: usize) -> Result<u32, Oddity> {
    match bytes.get(at..at + 4) {
        Some([a, b, c, d]) => Ok(u32::from_be_bytes([*a, *b, *c, *d])),
        _ => Err(Oddity::Truncated),
    }
}

pub(super) fn tail(bytes: &[u8], from: usize) -> Result<&[u8], Oddity> {
    bytes.get(from..).ok_or(Oddity::Truncated)
}

pub(super) fn byte(bytes: &[u8], at: usize) -> Result<u8, Oddity> {
    bytes.get(at).copied().ok_or(Oddity::Truncated)
}
