//! The short way through the packets that nearly all captures are made of: IPv4 or IPv6 without
//! options and whole, TCP or UDP inside, at most one VXLAN around, in an Ethernet frame or behind a
//! header of Linux cooked capture.
//!
//! It decides nothing that the tables of `link` and `tunnel` would decide otherwise: whatever is
//! out of the ordinary is left to them; `tests/short_way.rs` holds both against each other, and
//! etherparse is the oracle in `tests/robustness.rs`.

use super::key::{Key, Seed, Side};
use super::packet::{Address, Tcp, Via};
use super::transport::timestamp;
use super::{in_udp, tunnel};

/// Where the EtherType stands in a link header, and what follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) kind_at: usize,
    pub(super) header: usize,
    pub(super) says: Says,
}

/// Ethernet frames.
pub(super) const FRAMES: Shape =
    Shape { kind_at: tunnel::ETHERNET - 2, header: tunnel::ETHERNET, says: Says::Addresses };

/// What a link header says of the interface.
#[derive(Clone, Copy, Debug)]
pub(super) enum Says {
    /// Its addresses, whether it is one of loopback.
    Addresses,
    /// The kind of hardware, at this place.
    Hardware(usize),
    /// That, and the number of the interface.
    HardwareAndNumber(usize, usize),
}

/// A packet that took the short way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quick<'a> {
    pub(super) key: Key,
    /// Which end sent it.
    pub(super) side: Side,
    /// Half of the hash of the key.
    pub(super) hash: u32,
    pub(super) protocol: u8,
    pub(super) hops: u8,
    pub(super) id: u16,
    pub(super) bytes: u32,
    pub(super) missing: u32,
    pub(super) tcp: Tcp,
    pub(super) payload: &'a [u8],
    /// The VXLAN around it, and its ends.
    pub(super) overlay: Option<(Via, (Address, Address))>,
}

/// IP, down to the transport's body.
struct Inside<'a> {
    source: Address,
    target: Address,
    protocol: u8,
    hops: u8,
    id: u16,
    bytes: u32,
    missing: u32,
    body: &'a [u8],
}

impl<'a> Quick<'a> {
    /// Reads a frame; `None` where the tables must.
    #[inline(always)]
    pub(super) fn read(shape: Shape, frame: &'a [u8], seed: Seed) -> Option<Quick<'a>> {
        framed::<OUTSIDE>(shape, frame, seed)
    }
}

/// How deep a frame lies: inside a tunnel there is no second one.
const OUTSIDE: bool = false;
const INSIDE: bool = true;

#[inline(always)]
fn framed<const DEPTH: bool>(shape: Shape, frame: &[u8], seed: Seed) -> Option<Quick<'_>> {
    let kind = frame.get(shape.kind_at..shape.kind_at + 2)?;
    let packet = frame.get(shape.header..)?;
    match kind {
        [8, 0] => carried::<DEPTH>(&ipv4(packet)?, seed),
        [0x86, 0xdd] => over_ipv6::<DEPTH>(packet, seed),
        _ => None,
    }
}

/// On its own, so that what is done for IPv4 alone is not done for both.
fn over_ipv6<const DEPTH: bool>(packet: &[u8], seed: Seed) -> Option<Quick<'_>> {
    carried::<DEPTH>(&ipv6(packet)?, seed)
}

/// RFC 791, without options, whole.
#[inline(always)]
fn ipv4(packet: &[u8]) -> Option<Inside<'_>> {
    let (header, behind) = packet.split_first_chunk::<20>()?;
    let stated = match usize::from(u16::from_be_bytes([header[2], header[3]])) {
        0 => packet.len(),
        stated => stated,
    };
    let part = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header[0] != 0x45 || stated < 20 || part != 0 {
        return None;
    }
    let body = &behind[..behind.len().min(stated - 20)];
    Some(Inside {
        source: Address::v4(u32::from_be_bytes([header[12], header[13], header[14], header[15]])),
        target: Address::v4(u32::from_be_bytes([header[16], header[17], header[18], header[19]])),
        protocol: header[9],
        hops: header[8],
        id: u16::from_be_bytes([header[4], header[5]]),
        bytes: stated as u32,
        missing: (stated - 20 - body.len()) as u32,
        body,
    })
}

/// RFC 8200, without extension headers.
#[inline(always)]
fn ipv6(packet: &[u8]) -> Option<Inside<'_>> {
    let (header, behind) = packet.split_first_chunk::<40>()?;
    let stated = match usize::from(u16::from_be_bytes([header[4], header[5]])) {
        0 => behind.len(),
        stated => stated,
    };
    if header[0] >> 4 != 6 {
        return None;
    }
    let address = |at: usize| {
        let octets = header[at..at + 16].first_chunk().copied().unwrap_or_default();
        Address::v6(u128::from_be_bytes(octets))
    };
    let (source, target) = (address(8), address(24));
    // The mark of IPv4, which no address has: the tables count it.
    if source.is_v4() || target.is_v4() {
        return None;
    }
    let body = &behind[..behind.len().min(stated)];
    Some(Inside {
        source,
        target,
        protocol: header[6],
        hops: header[7],
        id: 0,
        bytes: stated as u32 + 40,
        missing: (stated - body.len()) as u32,
        body,
    })
}

#[inline(always)]
fn carried<'a, const DEPTH: bool>(ip: &Inside<'a>, seed: Seed) -> Option<Quick<'a>> {
    let ports = ip.body.first_chunk::<8>()?;
    let (from, to) = (u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]]));
    let (tcp, payload) = match ip.protocol {
        6 => tcp(ip.body)?,
        17 => {
            let payload = udp(ports, ip.body);
            if is_overlay((from, to), payload) {
                return if DEPTH == OUTSIDE { overlaid(ip, (from, to), payload, seed) } else { None };
            }
            (Tcp::default(), payload)
        }
        _ => return None,
    };
    let (key, side) = Key::of((ip.source, from), (ip.target, to), ip.protocol);
    Some(Quick {
        key,
        side,
        hash: key.hash(seed) as u32,
        protocol: ip.protocol,
        hops: ip.hops,
        id: ip.id,
        bytes: ip.bytes,
        missing: ip.missing,
        tcp,
        payload,
        overlay: None,
    })
}

#[inline(always)]
fn tcp(body: &[u8]) -> Option<(Tcp, &[u8])> {
    let header = body.first_chunk::<20>()?;
    let offset = usize::from(header[12] >> 4) * 4;
    if offset < 20 {
        return None;
    }
    let tcp = Tcp {
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        acknowledgement: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: header[13],
        timestamp: body.get(20..offset).map_or(0, timestamp),
    };
    Some((tcp, body.get(offset..).unwrap_or(&[])))
}

#[inline(always)]
fn udp<'a>(ports: &[u8; 8], body: &'a [u8]) -> &'a [u8] {
    let stated = usize::from(u16::from_be_bytes([ports[4], ports[5]]));
    let payload = &body[8..];
    if stated >= 8 { &payload[..payload.len().min(stated - 8)] } else { payload }
}

/// Whether a datagram is, or by its first bytes may be, a tunnel.
#[inline(always)]
fn is_overlay((from, to): (u16, u16), payload: &[u8]) -> bool {
    payload.len() >= in_udp::SMALLEST
        && (in_udp::is_home(from) || in_udp::is_home(to) || in_udp::may_begin(payload))
}

/// VXLAN on a port of its own around a frame that can take the short way itself.
fn overlaid<'a>(
    outer: &Inside<'a>,
    (from, to): (u16, u16),
    payload: &'a [u8],
    seed: Seed,
) -> Option<Quick<'a>> {
    let (via, frame) = in_udp::vxlan_at_home(from, to, payload)?;
    let inner = framed::<INSIDE>(FRAMES, frame, seed)?;
    let missing = inner.missing.max(outer.missing);
    Some(Quick { missing, overlay: Some((via, (outer.source, outer.target))), ..inner })
}
