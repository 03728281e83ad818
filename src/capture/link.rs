//! Link layers: what stands before the IP header, by link type.
//!
//! Numbers are those of the tcpdump.org list of link-layer header types.

use super::network::{self, Packet};

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
}

impl Oddity {
    pub(super) fn text(self, link_type: u32) -> String {
        match self {
            Oddity::LinkType => format!("packets of link type {link_type}, which is not read"),
            Oddity::Truncated => "packets that end inside their headers".to_owned(),
            Oddity::NotIp => "packets that are not IP".to_owned(),
            Oddity::Malformed => "packets with malformed headers".to_owned(),
        }
    }
}

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// More encapsulations than this are not followed.
const DEEPEST: u8 = 8;

/// Decodes a captured packet down to its innermost transport header.
pub(super) fn decode(link_type: u32, bytes: &[u8]) -> Result<Packet<'_>, Oddity> {
    let mut packet = Packet::default();
    match link_type {
        1 => ethernet(bytes, 0, &mut packet)?,
        113 => by_type(be16(bytes, 14)?, tail(bytes, 16)?, 0, &mut packet)?,
        276 => by_type(be16(bytes, 0)?, tail(bytes, 20)?, 0, &mut packet)?,
        12 | 14 | 101 | 228 | 229 => network::ip(bytes, 0, &mut packet)?,
        0 | 108 => network::ip(tail(bytes, 4)?, 0, &mut packet)?,
        9 => by_ppp(bytes, 0, &mut packet)?,
        _ => return Err(Oddity::LinkType),
    }
    Ok(packet)
}

pub(super) fn ethernet<'a>(bytes: &'a [u8], depth: u8, packet: &mut Packet<'a>) -> Result<(), Oddity> {
    if depth > DEEPEST {
        return Err(Oddity::Malformed);
    }
    by_type(be16(bytes, 12)?, tail(bytes, 14)?, depth, packet)
}

/// Follows an EtherType, through tags and labels.
pub(super) fn by_type<'a>(
    ether_type: u16,
    bytes: &'a [u8],
    depth: u8,
    packet: &mut Packet<'a>,
) -> Result<(), Oddity> {
    if depth > DEEPEST {
        return Err(Oddity::Malformed);
    }
    match ether_type {
        IPV4 | IPV6 => network::ip(bytes, depth, packet),
        0x8100 | 0x88a8 | 0x9100 => {
            packet.via.push(Via::Vlan(be16(bytes, 0)? & 0x0fff));
            by_type(be16(bytes, 2)?, tail(bytes, 4)?, depth + 1, packet)
        }
        0x8847 | 0x8848 => mpls(bytes, depth, packet),
        0x8864 => {
            packet.via.push(Via::Pppoe);
            by_ppp(tail(bytes, 6)?, depth + 1, packet)
        }
        // 802.3: a length, then LLC with SNAP (RFC 1042).
        0..0x0600 => match bytes {
            [0xaa, 0xaa, 3, 0, 0, 0, a, b, rest @ ..] => {
                by_type(u16::from_be_bytes([*a, *b]), rest, depth + 1, packet)
            }
            _ => Err(Oddity::NotIp),
        },
        _ => Err(Oddity::NotIp),
    }
}

fn by_ppp<'a>(bytes: &'a [u8], depth: u8, packet: &mut Packet<'a>) -> Result<(), Oddity> {
    match bytes {
        [0xff, 3, 0, 0x21 | 0x57, rest @ ..] | [0, 0x21 | 0x57, rest @ ..] | [0x21 | 0x57, rest @ ..] => {
            network::ip(rest, depth, packet)
        }
        _ => Err(Oddity::NotIp),
    }
}

/// Labels up to the bottom of the stack (RFC 3032); what follows is known by its first half-byte.
fn mpls<'a>(bytes: &'a [u8], depth: u8, packet: &mut Packet<'a>) -> Result<(), Oddity> {
    packet.via.push(Via::Mpls);
    let mut rest = bytes;
    loop {
        let bottom = rest.get(2).ok_or(Oddity::Truncated)? & 1 == 1;
        rest = tail(rest, 4)?;
        if bottom {
            break;
        }
    }
    match rest.first().ok_or(Oddity::Truncated)? >> 4 {
        4 | 6 => network::ip(rest, depth + 1, packet),
        0 => ethernet(tail(rest, 4)?, depth + 1, packet),
        _ => Err(Oddity::NotIp),
    }
}

/// One encapsulation around a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    Vlan(u16),
    Mpls,
    Pppoe,
    Vxlan(u32),
    Geneve(u32),
    Gre,
    IpIp,
}

impl Via {
    pub(super) fn text(self) -> String {
        match self {
            Via::Vlan(id) => format!("vlan:{id}"),
            Via::Mpls => "mpls".to_owned(),
            Via::Pppoe => "pppoe".to_owned(),
            Via::Vxlan(id) => format!("vxlan:{id}"),
            Via::Geneve(id) => format!("geneve:{id}"),
            Via::Gre => "gre".to_owned(),
            Via::IpIp => "ipip".to_owned(),
        }
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
