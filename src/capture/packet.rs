//! One packet, decoded down to its innermost transport: what the flow table needs, without an allocation.

use super::flow::TunnelKind;
use super::networks::telling_networks;
use super::{FlowEnd, Medium, Transport};
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
    pub(super) missing: u32,
    /// Bytes at the innermost IP layer, as its header states them.
    pub(super) bytes: u32,
    /// Captured packets that this one was put together from.
    pub(super) pieces: u32,
    /// Identification of the innermost IPv4 header; 0 for IPv6.
    pub(super) id: u16,
    /// Hops that the innermost IP header still allows.
    pub(super) hops: u8,
    pub(super) via: ViaList,
    /// Ends of the outermost tunnel.
    pub(super) tunnel: Option<(Address, Address)>,
    /// Number of the interface where the link layer tells it (Linux cooked capture, version 2).
    pub(super) interface: u32,
    /// What the link layer says of the interface.
    pub(super) medium: Medium,
    /// What the IP header that is being read says of fragmentation.
    pub(super) fragment: Option<Fragment>,
    /// What came in the same frame behind this packet.
    pub(super) siblings: Option<Siblings<'a>>,
    /// Layers passed.
    pub(super) depth: u8,
}

/// Further packets of a frame that carries several, and what stands around all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Siblings<'a> {
    pub(super) bytes: &'a [u8],
    via: ViaList,
    tunnel: Option<(Address, Address)>,
    interface: u32,
    medium: Medium,
    depth: u8,
}

impl<'a> Siblings<'a> {
    /// What follows the packet that is being read.
    pub(super) fn of(packet: &Packet<'a>, bytes: &'a [u8]) -> Siblings<'a> {
        let Packet { via, tunnel, interface, medium, depth, .. } = *packet;
        // The layer that they came out of is entered again for each of them.
        Siblings { bytes, via, tunnel, interface, medium, depth: depth.saturating_sub(1) }
    }

    /// The next of them, of which nothing was read yet.
    pub(super) fn packet(&self) -> Packet<'a> {
        let Siblings { bytes: _, via, tunnel, interface, medium, depth } = *self;
        Packet { via, tunnel, interface, medium, depth, ..Packet::default() }
    }
}

/// An address of either version in two words. IPv4 stands in the lower one, below a mark that no
/// IPv6 address has which may be sent to or from (RFC 4291, section 2.7: reserved flags and scope).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Address {
    pub(super) upper: u64,
    pub(super) lower: u64,
}

/// The upper word of IPv4 addresses.
const IS_4: u64 = u64::MAX;

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
    pub(super) offset: u16,
    pub(super) more: More,
}

/// Whether a fragment is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum More {
    Follow,
    Last,
}

/// Why a packet makes no flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// How packets of ARP, of spanning trees and of discovery are counted, which carry nothing of
/// endpoints.
pub const NOT_IP: &str = "packets that are not IP";

impl Oddity {
    pub(super) fn text(self, link_type: u32) -> String {
        match self {
            Oddity::LinkType => format!("packets of link type {link_type}, which is not read"),
            Oddity::Truncated => "packets that end inside their headers".to_owned(),
            Oddity::NotIp => NOT_IP.to_owned(),
            Oddity::Malformed => "packets with malformed headers".to_owned(),
            Oddity::TooDeep => format!("packets with more than {DEEPEST} layers"),
            Oddity::LinkEncrypted => "packets that are encrypted below IP".to_owned(),
        }
    }
}

/// One encapsulation around a flow in one word: its row in [`VIA_NAMES`], the number that tells
/// networks apart, and the port of UDP that it is expected on, where it has them. Zero is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Via(u64);

/// Where the row stands, counted from one; below it the mark of a number, and the number.
const VIA_ROW: u32 = 40;
const VIA_PORT: u32 = 48;
const VIA_NUMBERED: u64 = 1 << 32;

/// The words for encapsulations.
const VIA_NAMES: &[&str] = &[
    "vlan",
    "mpls",
    "pppoe",
    "pbb",
    "macsec-integrity",
    "ipip",
    "6in4",
    "4in6",
    "6in6",
    "ah",
    "gre",
    "nvgre",
    "pptp",
    "erspan",
    "vxlan",
    "geneve",
    "gtp",
    "teredo",
    "etherip",
    "mpls-in-ip",
    "mpls-in-udp",
    "capwap",
    "l2tp",
    "nsh",
];

/// Tunnels, by the IP protocol that carries them.
const CARRIERS: &[(&[&str], u8)] = &[
    (&["ipip", "4in6"], 4),
    (&["vxlan", "geneve", "gtp", "teredo", "mpls-in-udp", "capwap", "l2tp"], 17),
    (&["6in4", "6in6"], 41),
    (&["gre", "nvgre", "pptp"], 47),
    (&["etherip"], 97),
    (&["mpls-in-ip"], 137),
];

/// How the networks of two places differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apart {
    No,
    /// The same encapsulations with other numbers.
    InNumber,
    /// Other encapsulations, as inside and outside of a tunnel.
    InKind,
}

impl TunnelKind {
    /// Its name, that of `via`.
    pub fn name(self) -> &'static str {
        Via(u64::from(self.0) << VIA_ROW).name()
    }
}

impl Via {
    /// Whether its name is among some.
    fn is(self, names: &[&str]) -> bool {
        names.contains(&self.name())
    }

    /// On its port.
    #[inline]
    pub(super) fn on(self, port: u16) -> Via {
        Via(self.0 | u64::from(port) << VIA_PORT)
    }

    /// Wherever it is.
    fn anywhere(self) -> Via {
        Via(self.0 & ((1 << VIA_PORT) - 1))
    }

    /// What policies see of it: the IP protocol, and the port of its own where it has one. `None` for
    /// what is no tunnel.
    pub(super) fn carrier(self) -> Option<(TunnelKind, u8, u16)> {
        let is_own = |(names, _): &&(&[&str], u8)| self.is(names);
        let (_, protocol) = CARRIERS.iter().find(is_own)?;
        let row = (self.anywhere().0 >> VIA_ROW) as u8;
        Some((TunnelKind(row), *protocol, (self.0 >> VIA_PORT) as u16))
    }

    fn name(self) -> &'static str {
        let row = (self.anywhere().0 >> VIA_ROW) as usize;
        row.checked_sub(1).and_then(|row| VIA_NAMES.get(row)).copied().unwrap_or_default()
    }

    /// By its name alone: `ipip`, `ah`. The name must be in the table, which a constant proves.
    pub(super) const fn plain(name: &str) -> Via {
        Via((row(name) as u64 + 1) << VIA_ROW)
    }

    /// With its number: `vlan:12`, `vxlan:4096`.
    pub(super) const fn numbered(self, number: u32) -> Via {
        Via(self.0 | VIA_NUMBERED | number as u64)
    }

    pub(super) fn text(self) -> String {
        let name = self.name();
        match self.0 & VIA_NUMBERED {
            0 => name.to_owned(),
            _ => format!("{name}:{}", self.0 as u32),
        }
    }
}

/// The row of a name, found while compiling.
const fn row(name: &str) -> u8 {
    let mut at = 0;
    while at < VIA_NAMES.len() {
        let (known, wanted) = (VIA_NAMES[at].as_bytes(), name.as_bytes());
        let mut same = known.len() == wanted.len();
        let mut position = 0;
        while same && position < known.len() {
            same = known[position] == wanted[position];
            position += 1;
        }
        if same {
            return at as u8;
        }
        at += 1;
    }
    panic!("no such encapsulation")
}

/// Encapsulations, outermost first, without an allocation; more than fit are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct ViaList {
    used: u8,
    list: [Via; MOST_VIA],
}

impl ViaList {
    pub(super) fn push(&mut self, via: Via) {
        if let Some(free) = self.list.get_mut(usize::from(self.used)) {
            *free = via;
            self.used += 1;
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Those that tell networks apart.
    pub(super) fn networks(&self) -> ViaList {
        let chain = self.each().map(|via| (via.name(), via.0 & VIA_NUMBERED != 0));
        let mut networks = ViaList::default();
        for place in telling_networks(chain) {
            networks.push(self.list[place].anywhere());
        }
        networks
    }

    /// How two lists of networks differ.
    pub(super) fn apart(&self, other: &ViaList) -> Apart {
        let named_alike = |(one, other): (Via, Via)| one.0 >> VIA_ROW == other.0 >> VIA_ROW;
        match self == other {
            true => Apart::No,
            false if self.used == other.used && self.each().zip(other.each()).all(named_alike) => {
                Apart::InNumber
            }
            false => Apart::InKind,
        }
    }

    /// What the outermost tunnel is carried by.
    pub(super) fn carrier(&self) -> Option<(TunnelKind, u8, u16)> {
        self.each().find_map(Via::carrier)
    }

    fn each(&self) -> impl Iterator<Item = Via> {
        self.list.iter().copied().take(usize::from(self.used))
    }

    /// A number that tells the outermost ones apart more often than not.
    #[inline]
    pub(super) fn mixed(&self) -> u64 {
        let Via(outermost) = self.list[0];
        outermost ^ outermost >> VIA_ROW
    }

    /// Whether there is this one, and no other.
    #[inline]
    pub(super) fn is_only(&self, via: Via) -> bool {
        self.used == 1 && self.list[0] == via
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.list[..usize::from(self.used)].iter().map(|via| via.text()).collect()
    }
}

impl Default for Packet<'_> {
    fn default() -> Self {
        Packet {
            source: Address::default(),
            target: Address::default(),
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
            medium: Medium::Unknown,
            fragment: None,
            siblings: None,
            depth: 0,
        }
    }
}

impl Packet<'_> {
    /// Notes an encapsulation by IP: the ends of the outermost one are kept.
    pub(super) fn tunnelled(&mut self, via: Via) {
        self.via.push(via);
        self.tunnel.get_or_insert((self.source, self.target));
    }
}

impl Address {
    #[inline]
    pub(super) fn v4(word: u32) -> Address {
        Address { upper: IS_4, lower: u64::from(word) }
    }

    #[inline]
    pub(super) fn v6(word: u128) -> Address {
        Address { upper: (word >> 64) as u64, lower: word as u64 }
    }

    #[inline]
    pub(super) fn is_v4(self) -> bool {
        self.upper == IS_4
    }

    pub(super) fn ip(self) -> IpAddr {
        match self.is_v4() {
            true => IpAddr::V4(Ipv4Addr::from(self.lower as u32)),
            false => IpAddr::V6(Ipv6Addr::from(u128::from(self.upper) << 64 | u128::from(self.lower))),
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
