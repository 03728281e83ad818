//! What lies between a link header and the innermost transport: tags, labels, tunnels, in two tables
//! here (EtherTypes, IP protocols) and one for tunnels in UDP (`in_udp.rs`).
//!
//! A row names its layer and opens it; the loop follows rows until a transport is reached.

use super::network;
use super::numbers::Numbers;
use super::packet::{DEEPEST, Oddity, Packet, Via, be16, be32, byte, tail};
use super::transport;

/// Length of an Ethernet header.
pub(super) const ETHERNET: usize = 14;

/// What the next bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Ethernet,
    EtherType(u16),
    Ip,
    Ppp,
    Mpls,
    /// Several frames in one of IEEE 802.11 (A-MSDU).
    Aggregate,
    /// By IP protocol number.
    Protocol(u8),
    /// The packet is read to its end.
    Done,
}

/// A layer and its bytes.
pub(super) type Next<'a> = (Layer, &'a [u8]);
type Open = for<'a> fn(&'a [u8], &mut Packet<'a>) -> Result<Next<'a>, Oddity>;

/// EtherTypes besides IPv4 and IPv6.
const ETHER_TYPES: &[(&[u16], Open)] = &[
    (&[0x8100, 0x88a8, 0x9100, 0x9200], vlan),
    (&[0x8847, 0x8848], |b, _| Ok((Layer::Mpls, b))),
    (&[0x8864], pppoe),
    // VN-Tag (802.1BR): six bytes, of which the last two are the next EtherType.
    (&[0x8926], |b, _| Ok((Layer::EtherType(be16(b, 4)?), tail(b, 6)?))),
    // Provider backbone bridging (802.1ah): a service tag, then a whole frame.
    (&[0x88e7], |b, p| {
        p.via.push(const { Via::plain("pbb") }.numbered(be32(b, 0)? & 0x00ff_ffff));
        Ok((Layer::Ethernet, tail(b, 4)?))
    }),
    (&[0x88e5], macsec),
    (&[0x6558], |b, _| Ok((Layer::Ethernet, b))),
    (&[0x88be, 0x22eb], erspan),
    (&[0x880b], |b, _| Ok((Layer::Ppp, b))),
    (&[0x894f], service_header),
];

/// EtherTypes of the table: most others are met more often than those.
static OPENED: Numbers = ether_types();

const fn ether_types() -> Numbers {
    let mut kinds = Numbers::new();
    let mut row = 0;
    while row < ETHER_TYPES.len() {
        kinds = kinds.with(ETHER_TYPES[row].0);
        row += 1;
    }
    kinds
}

/// IP protocols that carry more layers.
const IP_PROTOCOLS: &[(u8, Open)] = &[
    (4, |b, p| ip_in_ip(b, p)),
    (41, |b, p| ip_in_ip(b, p)),
    (47, gre),
    (51, authentication_header),
    (94, |b, p| ip_in_ip(b, p)),
    (97, |b, p| {
        p.tunnelled(const { Via::plain("etherip") });
        Ok((Layer::Ethernet, tail(b, 2)?))
    }),
    (137, |b, p| {
        p.tunnelled(const { Via::plain("mpls-in-ip") });
        Ok((Layer::Mpls, b))
    }),
];

/// Follows layers down to the innermost transport.
///
/// A fragment stops the way: `packet.fragment` is set, and `packet.payload` is the piece.
pub(super) fn follow<'a>(next: Next<'a>, packet: &mut Packet<'a>) -> Result<(), Oddity> {
    let (mut layer, mut bytes) = next;
    loop {
        packet.depth += 1;
        if packet.depth > DEEPEST {
            return Err(Oddity::TooDeep);
        }
        (layer, bytes) = match layer {
            Layer::Ethernet => super::link::ethernet(bytes)?,
            Layer::EtherType(0x0800 | 0x86dd) | Layer::Ip => network::ip(bytes, packet)?,
            Layer::EtherType(kind) => ether_type(kind, bytes, packet)?,
            Layer::Protocol(6) => return transport::tcp(bytes, packet),
            Layer::Protocol(17) => return transport::udp(bytes, packet),
            Layer::Protocol(132) => return transport::sctp(bytes, packet),
            Layer::Protocol(number) => match IP_PROTOCOLS.iter().find(|(known, _)| *known == number) {
                Some((_, open)) => open(bytes, packet)?,
                None => {
                    transport::other(number, bytes, packet);
                    return Ok(());
                }
            },
            Layer::Ppp => ppp(bytes)?,
            Layer::Mpls => mpls(bytes, packet)?,
            Layer::Aggregate => super::link::aggregate(bytes, packet)?,
            Layer::Done => return Ok(()),
        };
    }
}

fn ether_type<'a>(kind: u16, bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    // 802.3 has a length in this place, then LLC with SNAP (RFC 1042).
    if kind < 0x0600 || kind == 0x8870 {
        return match bytes {
            [0xaa, 0xaa, 3, 0, 0, 0, a, b, rest @ ..] => {
                Ok((Layer::EtherType(u16::from_be_bytes([*a, *b])), rest))
            }
            [6, 6, 3, rest @ ..] => Ok((Layer::Ip, rest)),
            _ => Err(Oddity::NotIp),
        };
    }
    if !OPENED.has(kind) {
        return Err(Oddity::NotIp);
    }
    match ETHER_TYPES.iter().find(|(kinds, _)| kinds.contains(&kind)) {
        Some((_, open)) => open(bytes, packet),
        None => Err(Oddity::NotIp),
    }
}

/// IEEE 802.1Q, and stacks of it.
fn vlan<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    packet.via.push(const { Via::plain("vlan") }.numbered(u32::from(be16(bytes, 0)? & 0x0fff)));
    Ok((Layer::EtherType(be16(bytes, 2)?), tail(bytes, 4)?))
}

/// RFC 2516, session stage.
fn pppoe<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    packet.via.push(const { Via::plain("pppoe") });
    Ok((Layer::Ppp, tail(bytes, 6)?))
}

/// RFC 1661: address and control may be left out, and the protocol may be one byte.
fn ppp(bytes: &[u8]) -> Result<Next<'_>, Oddity> {
    let bytes = bytes.strip_prefix(&[0xff, 3]).unwrap_or(bytes);
    match bytes {
        [0, 0x21 | 0x57, rest @ ..] | [0x21 | 0x57, rest @ ..] => Ok((Layer::Ip, rest)),
        [2, 0x81, rest @ ..] => Ok((Layer::Mpls, rest)),
        _ => Err(Oddity::NotIp),
    }
}

/// IEEE 802.1AE: what is only authenticated can be read, what is encrypted cannot.
fn macsec<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let control = byte(bytes, 0)?;
    if control & 0x08 != 0 {
        return Err(Oddity::LinkEncrypted);
    }
    packet.via.push(const { Via::plain("macsec-integrity") });
    let length = if control & 0x20 != 0 { 14 } else { 6 };
    Ok((Layer::EtherType(be16(bytes, length)?), tail(bytes, length + 2)?))
}

/// Labels up to the bottom of the stack (RFC 3032); what follows is known by its first half-byte. The
/// outermost one is told, which changes on the way, and the innermost, which names a network (RFC 4364,
/// section 5) unless it is reserved, or only spreads packets over several ways (RFC 6790).
fn mpls<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    const SPREADS: u32 = 7;
    const RESERVED: std::ops::RangeInclusive<u32> = 0..=15;
    let numbered = |label| const { Via::plain("mpls") }.numbered(label);
    packet.via.push(numbered(be32(bytes, 0)? >> 12));
    let (mut rest, mut above, mut innermost) = (bytes, None, None);
    loop {
        let word = be32(rest, 0)?;
        let label = word >> 12;
        if above.is_some_and(|above| above != SPREADS) && !RESERVED.contains(&label) {
            innermost = Some(label);
        }
        above = Some(label);
        rest = tail(rest, 4)?;
        if word & 0x100 != 0 {
            break;
        }
    }
    if let Some(label) = innermost {
        packet.via.push(numbered(label));
    }
    match byte(rest, 0)? >> 4 {
        4 | 6 => Ok((Layer::Ip, rest)),
        // A pseudo-wire's control word (RFC 4385), then a frame.
        0 => Ok((Layer::Ethernet, tail(rest, 4)?)),
        _ => Ok((Layer::Ethernet, rest)),
    }
}

/// RFC 2003, 4213, 2473: which IP is in which.
fn ip_in_ip<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let outer_is_4 = packet.source.is_v4();
    let via = match (outer_is_4, byte(bytes, 0)? >> 4) {
        (true, 4) => const { Via::plain("ipip") },
        (true, 6) => const { Via::plain("6in4") },
        (false, 4) => const { Via::plain("4in6") },
        (false, 6) => const { Via::plain("6in6") },
        _ => return Err(Oddity::Malformed),
    };
    packet.tunnelled(via);
    Ok((Layer::Ip, bytes))
}

/// AH authenticates and hides nothing (RFC 4302).
fn authentication_header<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    packet.via.push(const { Via::plain("ah") });
    let length = (usize::from(byte(bytes, 1)?) + 2) * 4;
    Ok((Layer::Protocol(byte(bytes, 0)?), tail(bytes, length)?))
}

/// GRE (RFC 2784, 2890), NVGRE (RFC 7637) and the enhanced form of PPTP (RFC 2637).
fn gre<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let (flags, kind) = (be16(bytes, 0)?, be16(bytes, 2)?);
    let mut at = 4;
    // Checksum, or routing, which takes the same word.
    at += if flags & 0xc000 != 0 { 4 } else { 0 };
    let key = match flags & 0x2000 {
        0 => None,
        _ => Some(be32(bytes, at)?),
    };
    at += if key.is_some() { 4 } else { 0 };
    at += if flags & 0x1000 != 0 { 4 } else { 0 };
    let version = flags & 7;
    // Version 1 may carry an acknowledgement; its key is a length and a call number.
    at += if version == 1 && flags & 0x80 != 0 { 4 } else { 0 };
    if version > 1 || (kind, flags & 0x1000) == (0x880b, 0) {
        transport::other(47, bytes, packet);
        return Ok((Layer::Done, bytes));
    }
    let via = match (key, kind) {
        (Some(key), 0x6558) => const { Via::plain("nvgre") }.numbered(key >> 8),
        (Some(key), 0x880b) => const { Via::plain("pptp") }.numbered(key & 0xffff),
        (Some(key), _) => const { Via::plain("gre") }.numbered(key),
        (None, _) => const { Via::plain("gre") },
    };
    let inner = tail(bytes, at)?;
    let layer = match kind {
        // Access points of Aruba send frames of IEEE 802.11 to their controller.
        0x8200..=0x82ff => {
            packet.tunnelled(via);
            return super::link::wireless(inner);
        }
        // ERSPAN of the first kind has neither a sequence number nor a header of its own.
        0x88be if flags & 0x1000 == 0 => Layer::Ethernet,
        // PPP inside may be compressed or encrypted: then the tunnel itself is the flow.
        0x880b if ppp(inner).is_err() => {
            transport::other(47, bytes, packet);
            return Ok((Layer::Done, bytes));
        }
        _ => Layer::EtherType(kind),
    };
    packet.tunnelled(via);
    Ok((layer, inner))
}

/// ERSPAN II and III (draft-foschiano-erspan): a header of 8 or 12 bytes, and perhaps one of a platform.
fn erspan<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let session = u32::from(be16(bytes, 2)? & 0x03ff);
    packet.via.push(const { Via::plain("erspan") }.numbered(session));
    let length = match byte(bytes, 0)? >> 4 {
        1 => 8,
        2 if byte(bytes, 11)? & 1 == 1 => 20,
        2 => 12,
        _ => return Err(Oddity::Malformed),
    };
    Ok((Layer::Ethernet, tail(bytes, length)?))
}

/// NSH (RFC 8300): the path through a chain of services, its length in words, and what is inside.
fn service_header<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let length = usize::from(be16(bytes, 0)? & 0x3f) * 4;
    let layer = match byte(bytes, 3)? {
        1 | 2 => Layer::Ip,
        3 => Layer::Ethernet,
        5 => Layer::Mpls,
        _ => return Err(Oddity::NotIp),
    };
    // Version 0, and two words at least: base header and service path.
    if bytes[0] >> 6 != 0 || length < 8 {
        return Err(Oddity::Malformed);
    }
    packet.via.push(const { Via::plain("nsh") }.numbered(be32(bytes, 4)? >> 8));
    Ok((layer, tail(bytes, length)?))
}
