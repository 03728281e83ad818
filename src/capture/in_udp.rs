//! Tunnels in UDP, in one table: the ports where each is expected, and how its header is passed.
//!
//! A tunnel counts where the whole packet inside of it makes sense; else the datagram is a flow.

use super::network;
use super::numbers::Numbers;
use super::packet::{Packet, Via, be16, be32};
use super::tunnel::{ETHERNET, Layer, follow};

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
    UdpTunnel { ports: &[5247], elsewhere: Elsewhere::Ignored, open: capwap },
    UdpTunnel { ports: &[1701], elsewhere: Elsewhere::Ignored, open: l2tp },
];

/// How many rows of the table are known by their bytes.
const PROVEN_BY_INNER: usize = 2;

/// Ports of VXLAN.
static OVERLAY: Numbers = Numbers::new().with(UDP_TUNNELS[0].ports);

/// Ports of the table.
static HOME: Numbers = home_ports();

const fn home_ports() -> Numbers {
    let mut ports = Numbers::new();
    let mut row = 0;
    while row < UDP_TUNNELS.len() {
        ports = ports.with(UDP_TUNNELS[row].ports);
        row += 1;
    }
    ports
}

/// Every tunnel of the table has at least an eight-byte header and an IP header inside.
pub(super) const SMALLEST: usize = 28;

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
    let port = match OVERLAY.has(target) {
        true => target,
        false if OVERLAY.has(source) => source,
        false => return None,
    };
    vxlan(payload).map(|(via, _, frame)| (via.on(port), frame))
}

#[inline]
pub(super) fn is_home(port: u16) -> bool {
    HOME.has(port)
}

/// The inside of a UDP datagram, where it is a tunnel and its whole inner packet makes sense.
#[inline]
pub(super) fn open<'a>(payload: &'a [u8], packet: &Packet<'a>) -> Option<Packet<'a>> {
    if payload.len() < SMALLEST || packet.fragment.is_some() {
        return None;
    }
    let known_port = is_home(packet.target_port) || is_home(packet.source_port);
    let candidates = if known_port { UDP_TUNNELS } else { &UDP_TUNNELS[..PROVEN_BY_INNER] };
    candidates.iter().find_map(|tunnel| {
        let of = |port| known_port && tunnel.ports.contains(&port);
        let home = [packet.target_port, packet.source_port].into_iter().find(|port| of(*port));
        let at_home = home.is_some();
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
        // Ports that prove nothing may be others with each packet.
        nested.via.push(via.on(home.unwrap_or(0)));
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
        (_, 4) => Layer::EtherType(0x894f),
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

/// The data channel of CAPWAP (RFC 5415 section 4.3) where DTLS does not hide it: frames of a
/// station, of IEEE 802.3 or, with the T bit, of IEEE 802.11 (RFC 5416). Fragments and
/// keep-alives are not opened.
fn capwap(payload: &[u8]) -> Option<Opened<'_>> {
    let [0, length, binding, flags, ..] = payload else { return None };
    // Length in words; F is a fragment, K a keep-alive.
    let inner = payload.get(usize::from(length >> 3).max(2) * 4..)?;
    if flags & 0x88 != 0 {
        return None;
    }
    let (layer, inner) = match (binding & 1, binding >> 1 & 0x1f) {
        (0, _) => (Layer::Ethernet, inner),
        (_, 1) => super::link::wireless_of_controller(inner).ok()?,
        _ => return None,
    };
    Some((const { Via::plain("capwap") }, layer, inner))
}

/// Data messages of L2TP, version 2 (RFC 2661 section 3.1), with PPP inside. Version 3 does not say
/// how long its cookie is, and stays a flow of its own.
fn l2tp(payload: &[u8]) -> Option<Opened<'_>> {
    let flags = be16(payload, 0).ok()?;
    // T is a control message.
    if flags & 0x8000 != 0 || flags & 15 != 2 {
        return None;
    }
    let mut at = if flags & 0x4000 != 0 { 4 } else { 2 };
    let session = be32(payload, at).ok()? & 0xffff;
    at += if flags & 0x0800 != 0 { 8 } else { 4 };
    at += if flags & 0x0200 != 0 { usize::from(be16(payload, at).ok()?) + 2 } else { 0 };
    Some((const { Via::plain("l2tp") }.numbered(session), Layer::Ppp, payload.get(at..)?))
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
