//! The short way through the packets that nearly all captures are made of: IPv4 or IPv6 without
//! options and whole, TCP or UDP inside, at most one VXLAN around.
//!
//! It decides nothing that the tables of `link` and `tunnel` would decide otherwise: whatever is
//! out of the ordinary is left to them; `tests/short_way.rs` holds both against each other, and
//! etherparse is the oracle in `tests/robustness.rs`.

use super::flow::Medium;
use super::head::Head;
use super::key::{Key, Side};
use super::packet::{Address, Tcp, Via};
use super::place::{PlaceId, Places};
use super::transport::timestamp;
use super::tunnel;

/// Where the EtherType stands in a link header, and what follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) kind_at: usize,
    pub(super) header: usize,
}

/// A packet that took the short way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quick<'a> {
    source: (Address, u16),
    target: (Address, u16),
    protocol: u8,
    hops: u8,
    id: u16,
    bytes: u32,
    missing: u32,
    tcp: Tcp,
    payload: &'a [u8],
    interface: u32,
    medium: Medium,
    /// The VXLAN around it, and its ends.
    overlay: Option<(Via, (Address, Address))>,
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
    #[inline]
    pub(super) fn read(shape: Shape, frame: &'a [u8], interface: u32, medium: Medium) -> Option<Quick<'a>> {
        let ip = inside(shape, frame)?;
        let quick = transport(&ip, interface, medium)?;
        if ip.protocol == 17 && is_overlay(&quick) {
            return overlaid(&ip, &quick, interface);
        }
        Some(quick)
    }

    /// The key of its flow, and which end sent it.
    #[inline]
    pub(super) fn key(&self) -> (Key, Side) {
        Key::of(self.source, self.target, self.protocol)
    }

    /// The number of the place at which it was met.
    #[inline]
    pub(super) fn place(&self, places: &mut Places, input: u16) -> PlaceId {
        match self.overlay {
            None => places.plain(input, self.interface, self.medium),
            Some((via, ends)) => places.overlay(input, self.interface, via, ends),
        }
    }

    #[inline]
    pub(super) fn head(&self, key: Key, side: Side, hash: u64, place: PlaceId, nanos: u64) -> Head<'a> {
        Head {
            key,
            hash,
            nanos,
            payload: self.payload,
            tcp: self.tcp,
            missing: self.missing,
            bytes: self.bytes,
            pieces: 1,
            place,
            id: self.id,
            protocol: self.protocol,
            hops: self.hops,
            side,
            sctp_chunk: None,
        }
    }
}

#[inline]
fn inside(shape: Shape, frame: &[u8]) -> Option<Inside<'_>> {
    let kind = frame.get(shape.kind_at..shape.kind_at + 2)?;
    let packet = frame.get(shape.header..)?;
    match kind {
        [8, 0] => ipv4(packet),
        [0x86, 0xdd] => ipv6(packet),
        _ => None,
    }
}

/// RFC 791, without options, whole.
#[inline]
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
#[inline]
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
    let body = &behind[..behind.len().min(stated)];
    Some(Inside {
        source: address(8),
        target: address(24),
        protocol: header[6],
        hops: header[7],
        id: 0,
        bytes: stated as u32 + 40,
        missing: (stated - body.len()) as u32,
        body,
    })
}

#[inline]
fn transport<'a>(ip: &Inside<'a>, interface: u32, medium: Medium) -> Option<Quick<'a>> {
    let (ports, _) = ip.body.split_first_chunk::<8>()?;
    let (tcp, payload) = match ip.protocol {
        6 => tcp(ip.body)?,
        17 => (Tcp::default(), udp(ports, ip.body)),
        _ => return None,
    };
    Some(Quick {
        source: (ip.source, u16::from_be_bytes([ports[0], ports[1]])),
        target: (ip.target, u16::from_be_bytes([ports[2], ports[3]])),
        protocol: ip.protocol,
        hops: ip.hops,
        id: ip.id,
        bytes: ip.bytes,
        missing: ip.missing,
        tcp,
        payload,
        interface,
        medium,
        overlay: None,
    })
}

#[inline]
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

#[inline]
fn udp<'a>(ports: &[u8; 8], body: &'a [u8]) -> &'a [u8] {
    let stated = usize::from(u16::from_be_bytes([ports[4], ports[5]]));
    let payload = &body[8..];
    if stated >= 8 { &payload[..payload.len().min(stated - 8)] } else { payload }
}

/// Whether a datagram is, or by its first bytes may be, a tunnel.
#[inline]
fn is_overlay(quick: &Quick<'_>) -> bool {
    quick.payload.len() >= tunnel::SMALLEST_IN_UDP
        && (tunnel::is_home(quick.source.1)
            || tunnel::is_home(quick.target.1)
            || tunnel::may_begin(quick.payload))
}

/// VXLAN on a port of its own around a frame that can take the short way itself.
fn overlaid<'a>(outer: &Inside<'a>, datagram: &Quick<'a>, interface: u32) -> Option<Quick<'a>> {
    let (via, frame) = tunnel::vxlan_at_home(datagram.source.1, datagram.target.1, datagram.payload)?;
    let ip = inside(Shape { kind_at: tunnel::ETHERNET - 2, header: tunnel::ETHERNET }, frame)?;
    // What the link layer around the tunnel says is not said of its inside.
    let inner = transport(&ip, interface, Medium::Unknown)?;
    if ip.protocol == 17 && is_overlay(&inner) {
        return None;
    }
    let missing = inner.missing.max(outer.missing);
    Some(Quick { missing, overlay: Some((via, (outer.source, outer.target))), ..inner })
}
