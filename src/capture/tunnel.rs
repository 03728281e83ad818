//! What lies between a link header and the innermost transport: tags, labels, tunnels, in three
//! tables (EtherTypes, IP protocols, tunnels in UDP).
//!
//! A row names its layer and opens it; the loop follows rows until a transport is reached.

use super::network;
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
];

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

/// What a tunnel's header says: its name, what follows, and the bytes of that.
type Opened<'a> = (Via, Layer, &'a [u8]);

/// A tunnel inside UDP.
struct UdpTunnel {
    /// Ports on which it is expected; elsewhere its inner packet must prove it, where `by_bytes`.
    ports: &'static [u16],
    elsewhere: Elsewhere,
    /// The outer header: what follows it, or `None` where these bytes are something else.
    open: for<'a> fn(&'a [u8]) -> Option<Opened<'a>>,
}

/// What becomes of a tunnel's bytes on a port that is not its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Elsewhere {
    Ignored,
    ProvenByInner,
}

/// Tunnels that ride on UDP; those that are known by their bytes come first. WireGuard and ESP are opaque and stay flows of their own.
const UDP_TUNNELS: &[UdpTunnel] = &[
    UdpTunnel { ports: &[4789, 8472, 6784, 4800], elsewhere: Elsewhere::ProvenByInner, open: vxlan },
    UdpTunnel { ports: &[6081], elsewhere: Elsewhere::ProvenByInner, open: geneve },
    // On ports of VXLAN too: the flag of GPE is reserved there, which tells them apart.
    UdpTunnel { ports: &[4790, 4789, 8472], elsewhere: Elsewhere::Ignored, open: vxlan_gpe },
    UdpTunnel { ports: &[2152], elsewhere: Elsewhere::Ignored, open: gtp },
    UdpTunnel {
        ports: &[6635],
        elsewhere: Elsewhere::Ignored,
        open: |b| Some((const { Via::plain("mpls-in-udp") }, Layer::Mpls, b)),
    },
    UdpTunnel { ports: &[3544], elsewhere: Elsewhere::Ignored, open: teredo },
];

/// How many rows of the table are known by their bytes.
const PROVEN_BY_INNER: usize = 2;

/// Ports of the table, a bit each.
static HOME: [u64; 1024] = home_ports();

const fn home_ports() -> [u64; 1024] {
    let mut bits = [0; 1024];
    let mut row = 0;
    while row < UDP_TUNNELS.len() {
        let ports = UDP_TUNNELS[row].ports;
        let mut at = 0;
        while at < ports.len() {
            bits[(ports[at] >> 6) as usize] |= 1 << (ports[at] & 63);
            at += 1;
        }
        row += 1;
    }
    bits
}

/// Every tunnel of the table has at least an eight-byte header and an IP header inside.
pub(super) const SMALLEST_IN_UDP: usize = 28;

/// Whether a payload on any port may begin a tunnel that its inner packet proves: quicker than
/// opening it, and true wherever opening succeeds.
#[inline]
pub(super) fn may_begin(payload: &[u8]) -> bool {
    let [first, flags, kind_a, kind_b, _, _, _, last, ..] = payload else { return false };
    let geneve = first >> 6 == 0
        && flags & 0x3f == 0
        && matches!((kind_a, kind_b), (0x65, 0x58) | (8, 0) | (0x86, 0xdd));
    *last == 0 && (matches!(first, 8 | 0x88) || geneve)
}

/// The inside of VXLAN on a port where it is expected; `None` for anything else.
#[inline]
pub(super) fn vxlan_at_home(source: u16, target: u16, payload: &[u8]) -> Option<(Via, &[u8])> {
    let ports = UDP_TUNNELS[0].ports;
    if !ports.contains(&target) && !ports.contains(&source) {
        return None;
    }
    vxlan(payload).map(|(via, _, frame)| (via, frame))
}

#[inline]
pub(super) fn is_home(port: u16) -> bool {
    HOME[usize::from(port >> 6)] >> (port & 63) & 1 != 0
}

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

/// Labels up to the bottom of the stack (RFC 3032); what follows is known by its first half-byte.
fn mpls<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    packet.via.push(const { Via::plain("mpls") }.numbered(be32(bytes, 0)? >> 12));
    let mut rest = bytes;
    loop {
        let bottom = byte(rest, 2)? & 1 == 1;
        rest = tail(rest, 4)?;
        if bottom {
            break;
        }
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

/// The inside of a UDP datagram, where it is a tunnel and its whole inner packet makes sense.
#[inline]
pub(super) fn in_udp<'a>(payload: &'a [u8], packet: &Packet<'a>) -> Option<Packet<'a>> {
    if payload.len() < SMALLEST_IN_UDP || packet.fragment.is_some() {
        return None;
    }
    let known_port = is_home(packet.target_port) || is_home(packet.source_port);
    let candidates = if known_port { UDP_TUNNELS } else { &UDP_TUNNELS[..PROVEN_BY_INNER] };
    candidates.iter().find_map(|tunnel| {
        let of = |port| known_port && tunnel.ports.contains(&port);
        let at_home = of(packet.target_port) || of(packet.source_port);
        if !at_home && tunnel.elsewhere == Elsewhere::Ignored {
            return None;
        }
        let (via, layer, inner) = (tunnel.open)(payload)?;
        if !at_home && !proves_itself(layer, inner) {
            return None;
        }
        let mut nested = Packet {
            via: packet.via,
            tunnel: packet.tunnel,
            interface: packet.interface,
            depth: packet.depth,
            pieces: packet.pieces,
            siblings: packet.siblings,
            ..Packet::default()
        };
        nested.via.push(via);
        nested.tunnel.get_or_insert((packet.source, packet.target));
        follow((layer, inner), &mut nested).ok()?;
        nested.missing = nested.missing.max(packet.missing);
        Some(nested)
    })
}

/// Whether an inner frame carries its own proof: unicast addresses, IP, and an IPv4 header whose
/// checksum is right or an IPv6 header whose length is.
fn proves_itself(layer: Layer, inner: &[u8]) -> bool {
    let ip = match (layer, inner) {
        (Layer::Ethernet, frame) => match (frame.get(12..14), frame.get(6).map(|first| first & 1)) {
            (Some([8, 0] | [0x86, 0xdd]), Some(0)) => &frame[ETHERNET..],
            _ => return false,
        },
        (_, inner) => inner,
    };
    match ip.first().map(|first| first >> 4) {
        Some(4) => network::checksum_is_right(ip),
        Some(6) => be16(ip, 4).is_ok_and(|length| usize::from(length) + 40 == ip.len()),
        _ => false,
    }
}

/// RFC 7348, and the group policy extension, which uses reserved bits.
fn vxlan(payload: &[u8]) -> Option<Opened<'_>> {
    let [flags, rest @ ..] = payload else { return None };
    let network = match (flags, rest) {
        (8, [0, 0, 0, a, b, c, 0, ..]) | (0x88, [_, _, _, a, b, c, 0, ..]) => [0, *a, *b, *c],
        _ => return None,
    };
    Some((
        const { Via::plain("vxlan") }.numbered(u32::from_be_bytes(network)),
        Layer::Ethernet,
        payload.get(8..)?,
    ))
}

/// draft-ietf-nvo3-vxlan-gpe: the last byte of the flags names what is inside.
fn vxlan_gpe(payload: &[u8]) -> Option<Opened<'_>> {
    let [flags, _, _, next, a, b, c, _, inner @ ..] = payload else { return None };
    let layer = match (flags & 0x04, next) {
        (0, _) | (_, 3) => Layer::Ethernet,
        (_, 1 | 2) => Layer::Ip,
        _ => return None,
    };
    (flags & 0x08 != 0).then_some((
        const { Via::plain("vxlan") }.numbered(u32::from_be_bytes([0, *a, *b, *c])),
        layer,
        inner,
    ))
}

/// RFC 8926, with its options passed over.
fn geneve(payload: &[u8]) -> Option<Opened<'_>> {
    let [first, flags, kind_a, kind_b, a, b, c, 0, rest @ ..] = payload else { return None };
    let kind = u16::from_be_bytes([*kind_a, *kind_b]);
    let layer = match kind {
        0x6558 => Layer::Ethernet,
        0x0800 | 0x86dd => Layer::Ip,
        _ => return None,
    };
    if first >> 6 != 0 || flags & 0x3f != 0 {
        return None;
    }
    let inner = rest.get(usize::from(first & 0x3f) * 4..)?;
    Some((const { Via::plain("geneve") }.numbered(u32::from_be_bytes([0, *a, *b, *c])), layer, inner))
}

/// GTP-U (3GPP TS 29.281): user packets, with their optional fields and extension headers.
fn gtp(payload: &[u8]) -> Option<Opened<'_>> {
    let [flags, 0xff, _, _, a, b, c, d, rest @ ..] = payload else { return None };
    if flags >> 4 != 3 {
        return None;
    }
    let mut inner = rest;
    if flags & 7 != 0 {
        let mut next = if flags & 4 != 0 { *inner.get(3)? } else { 0 };
        inner = inner.get(4..)?;
        while next != 0 {
            let length = usize::from(*inner.first()?) * 4;
            next = *inner.get(length.checked_sub(1)?)?;
            inner = inner.get(length..)?;
        }
    }
    Some((const { Via::plain("gtp") }.numbered(u32::from_be_bytes([*a, *b, *c, *d])), Layer::Ip, inner))
}

/// RFC 4380: IPv6 behind optional authentication and origin indications.
fn teredo(payload: &[u8]) -> Option<Opened<'_>> {
    let mut inner = payload;
    if let [0, 1, client, authentication, rest @ ..] = inner {
        inner = rest.get(usize::from(*client) + usize::from(*authentication) + 9..)?;
    }
    if let [0, 0, _, _, _, _, _, _, rest @ ..] = inner {
        inner = rest;
    }
    (inner.first()? >> 4 == 6).then_some((const { Via::plain("teredo") }, Layer::Ip, inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_that_are_known_by_their_bytes_come_first() {
        let proven = |tunnel: &UdpTunnel| tunnel.elsewhere == Elsewhere::ProvenByInner;
        assert!(UDP_TUNNELS[..PROVEN_BY_INNER].iter().all(proven));
        assert!(!UDP_TUNNELS[PROVEN_BY_INNER..].iter().any(proven));
        assert!(is_home(8_472) && !is_home(8_473));
        assert!(UDP_TUNNELS[0].ports.contains(&8_472), "VXLAN comes first");
    }
}
