//! IP and transport headers, and the tunnels that carry more IP inside.
//!
//! The innermost transport is what counts; fragments after the first are known by their id.

use super::link::{self, Oddity, Via, be16, be32, tail};
use super::{FlowEnd, Transport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A packet down to its payload.
#[derive(Debug)]
pub(super) struct Packet<'a> {
    pub(super) source: FlowEnd,
    pub(super) target: FlowEnd,
    pub(super) transport: Transport,
    pub(super) tcp: Option<Tcp>,
    /// SCTP chunk type of the first chunk.
    pub(super) sctp_chunk: Option<u8>,
    pub(super) payload: &'a [u8],
    /// Payload that the headers promise and the capture lacks.
    pub(super) missing: usize,
    /// Bytes at the innermost IP layer.
    pub(super) bytes: u64,
    pub(super) fragment: Option<Fragment>,
    pub(super) via: ViaList,
}

/// The TCP fields that ordering needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcp {
    pub(super) sequence: u32,
    pub(super) flags: u8,
}

pub(super) const FIN: u8 = 1;
pub(super) const SYN: u8 = 2;
pub(super) const RST: u8 = 4;
pub(super) const ACK: u8 = 16;

/// A part of an IP packet that was split.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) id: u32,
    /// Only the first part has ports.
    pub(super) first: bool,
}

/// Up to four encapsulations, without an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ViaList([Option<Via>; 4]);

impl ViaList {
    pub(super) fn push(&mut self, via: Via) {
        if let Some(free) = self.0.iter_mut().find(|slot| slot.is_none()) {
            *free = Some(via);
        }
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.0.iter().flatten().map(|via| via.text()).collect()
    }
}

impl Default for Packet<'_> {
    fn default() -> Self {
        let nowhere = FlowEnd { ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };
        Packet {
            source: nowhere,
            target: nowhere,
            transport: Transport::Other(0),
            tcp: None,
            sctp_chunk: None,
            payload: &[],
            missing: 0,
            bytes: 0,
            fragment: None,
            via: ViaList::default(),
        }
    }
}

/// Decodes an IP packet of either version.
pub(super) fn ip<'a>(bytes: &'a [u8], depth: u8, packet: &mut Packet<'a>) -> Result<(), Oddity> {
    match bytes.first().ok_or(Oddity::Truncated)? >> 4 {
        4 => ipv4(bytes, depth, packet),
        6 => ipv6(bytes, depth, packet),
        _ => Err(Oddity::Malformed),
    }
}

/// RFC 791. A total length of 0 means that the kernel had not yet cut the packet (offload).
fn ipv4<'a>(bytes: &'a [u8], depth: u8, packet: &mut Packet<'a>) -> Result<(), Oddity> {
    let header = bytes.get(..20).ok_or(Oddity::Truncated)?;
    let header_length = usize::from(header[0] & 15) * 4;
    let stated = match usize::from(be16(header, 2)?) {
        0 => bytes.len(),
        length => length,
    };
    if header_length < 20 || stated < header_length {
        return Err(Oddity::Malformed);
    }
    let flags = be16(header, 6)?;
    let (more, offset) = (flags & 0x2000 != 0, flags & 0x1fff);
    packet.fragment = (more || offset > 0)
        .then(|| Fragment { id: u32::from(u16::from_be_bytes([header[4], header[5]])), first: offset == 0 });
    let address = |at: usize| be32(header, at).map(|word| IpAddr::V4(Ipv4Addr::from(word)));
    (packet.source.ip, packet.target.ip) = (address(12)?, address(16)?);
    packet.bytes = stated as u64;
    let body = tail(bytes, header_length)?;
    transport(header[9], cut(body, stated - header_length, packet), depth, packet)
}

/// RFC 8200, with its extension headers; the jumbo length 0 is taken from the capture.
fn ipv6<'a>(bytes: &'a [u8], depth: u8, packet: &mut Packet<'a>) -> Result<(), Oddity> {
    let header = bytes.get(..40).ok_or(Oddity::Truncated)?;
    let address = |at: usize| {
        let octets: [u8; 16] = header[at..at + 16].try_into().map_err(|_| Oddity::Truncated)?;
        Ok(IpAddr::V6(Ipv6Addr::from(octets)))
    };
    (packet.source.ip, packet.target.ip) = (address(8)?, address(24)?);
    let stated = match usize::from(be16(header, 4)?) {
        0 => bytes.len() - 40,
        length => length,
    };
    packet.bytes = stated as u64 + 40;
    let mut rest = cut(&bytes[40..], stated, packet);
    let mut next = header[6];
    packet.fragment = None;
    for _ in 0..16 {
        let length = match next {
            // Hop-by-hop, routing, destination options, mobility.
            0 | 43 | 60 | 135 => 8 + usize::from(*rest.get(1).ok_or(Oddity::Truncated)?) * 8,
            44 => {
                let offset = be16(rest, 2)? >> 3;
                packet.fragment = Some(Fragment { id: be32(rest, 4)?, first: offset == 0 });
                8
            }
            _ => return transport(next, rest, depth, packet),
        };
        next = *rest.first().ok_or(Oddity::Truncated)?;
        rest = tail(rest, length)?;
    }
    Err(Oddity::Malformed)
}

/// Cuts padding away, and notes what the capture lacks.
fn cut<'a>(body: &'a [u8], stated: usize, packet: &mut Packet<'a>) -> &'a [u8] {
    packet.missing = stated.saturating_sub(body.len());
    &body[..body.len().min(stated)]
}

fn transport<'a>(protocol: u8, body: &'a [u8], depth: u8, packet: &mut Packet<'a>) -> Result<(), Oddity> {
    (packet.source.port, packet.target.port) = (0, 0);
    let later_fragment = packet.fragment.is_some_and(|fragment| !fragment.first);
    if later_fragment {
        packet.transport = named(protocol);
        packet.payload = &[];
        return Ok(());
    }
    match protocol {
        6 => tcp(body, packet),
        17 => udp(body, depth, packet),
        132 => sctp(body, packet),
        4 | 41 if depth < 8 => {
            packet.via.push(Via::IpIp);
            ip(body, depth + 1, packet)
        }
        47 => gre(body, depth, packet),
        // AH authenticates and hides nothing (RFC 4302).
        51 => {
            let next = *body.first().ok_or(Oddity::Truncated)?;
            let length = (usize::from(*body.get(1).ok_or(Oddity::Truncated)?) + 2) * 4;
            if depth > 8 {
                Err(Oddity::Malformed)
            } else {
                transport(next, tail(body, length)?, depth + 1, packet)
            }
        }
        _ => {
            packet.transport = named(protocol);
            packet.payload = body;
            Ok(())
        }
    }
}

fn named(protocol: u8) -> Transport {
    match protocol {
        6 => Transport::Tcp,
        17 => Transport::Udp,
        132 => Transport::Sctp,
        1 | 58 => Transport::Icmp,
        other => Transport::Other(other),
    }
}

fn ports(body: &[u8], packet: &mut Packet<'_>) -> Result<(), Oddity> {
    (packet.source.port, packet.target.port) = (be16(body, 0)?, be16(body, 2)?);
    Ok(())
}

/// RFC 9293.
fn tcp<'a>(body: &'a [u8], packet: &mut Packet<'a>) -> Result<(), Oddity> {
    packet.transport = Transport::Tcp;
    ports(body, packet)?;
    let sequence = be32(body, 4)?;
    let (offset, flags) = match body.get(12..14) {
        Some([offset, flags]) => (usize::from(offset >> 4) * 4, *flags),
        _ => return Err(Oddity::Truncated),
    };
    if offset < 20 {
        return Err(Oddity::Malformed);
    }
    packet.tcp = Some(Tcp { sequence, flags });
    packet.payload = body.get(offset..).unwrap_or(&[]);
    Ok(())
}

/// RFC 768, and the tunnels that ride on it.
fn udp<'a>(body: &'a [u8], depth: u8, packet: &mut Packet<'a>) -> Result<(), Oddity> {
    packet.transport = Transport::Udp;
    ports(body, packet)?;
    let stated = usize::from(be16(body, 4)?);
    let payload = tail(body, 8)?;
    let payload = if stated >= 8 { &payload[..payload.len().min(stated - 8)] } else { payload };
    if depth < 8 && packet.fragment.is_none() && tunnel(payload, depth, packet) {
        return Ok(());
    }
    packet.payload = payload;
    Ok(())
}

/// VXLAN (RFC 7348) and Geneve (RFC 8926): unwrapped where the whole inner packet makes sense.
fn tunnel<'a>(payload: &'a [u8], depth: u8, packet: &mut Packet<'a>) -> bool {
    let inner = match (packet.target.port, payload) {
        (4789 | 8472, [8, 0, 0, 0, a, b, c, 0, inner @ ..]) => {
            Some((Via::Vxlan(u32::from_be_bytes([0, *a, *b, *c])), 0x6558, inner))
        }
        (6081, [first, _, kind_a, kind_b, a, b, c, 0, inner @ ..]) if first >> 6 == 0 => {
            let options = usize::from(first & 0x3f) * 4;
            let kind = u16::from_be_bytes([*kind_a, *kind_b]);
            inner.get(options..).map(|inner| (Via::Geneve(u32::from_be_bytes([0, *a, *b, *c])), kind, inner))
        }
        _ => None,
    };
    let Some((via, kind, inner)) = inner else { return false };
    let mut nested = Packet { via: packet.via, ..Packet::default() };
    nested.via.push(via);
    let decoded = match kind {
        0x6558 => link::ethernet(inner, depth + 1, &mut nested),
        _ => link::by_type(kind, inner, depth + 1, &mut nested),
    };
    if decoded.is_ok() {
        nested.missing = nested.missing.max(packet.missing);
        *packet = nested;
    }
    decoded.is_ok()
}

/// RFC 2784 and 2890; version 1 (PPTP) carries PPP and is left closed.
fn gre<'a>(body: &'a [u8], depth: u8, packet: &mut Packet<'a>) -> Result<(), Oddity> {
    let (flags, kind) = (be16(body, 0)?, be16(body, 2)?);
    let optional = [0x8000, 0x2000, 0x1000].into_iter().filter(|bit| flags & bit != 0).count();
    if flags & 7 != 0 || depth >= 8 {
        packet.transport = Transport::Other(47);
        packet.payload = tail(body, 4)?;
        return Ok(());
    }
    packet.via.push(Via::Gre);
    let inner = tail(body, 4 + optional * 4)?;
    match kind {
        0x6558 => link::ethernet(inner, depth + 1, packet),
        _ => link::by_type(kind, inner, depth + 1, packet),
    }
}

/// RFC 9260: ports, and the kind of the first chunk.
fn sctp<'a>(body: &'a [u8], packet: &mut Packet<'a>) -> Result<(), Oddity> {
    packet.transport = Transport::Sctp;
    ports(body, packet)?;
    packet.sctp_chunk = body.get(12).copied();
    packet.payload = match packet.sctp_chunk {
        // DATA: the user's bytes stand behind sixteen bytes of chunk header.
        Some(0) => body.get(28..).unwrap_or(&[]),
        _ => &[],
    };
    Ok(())
}
