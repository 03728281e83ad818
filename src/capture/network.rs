//! IP headers of both versions (RFC 791, RFC 8200), down to what they carry.

use super::packet::{Address, Fragment, More, Oddity, Packet, be16, be32, byte, tail};
use super::tunnel::{Layer, Next};

/// Reads an IP packet of either version.
#[inline]
pub(super) fn ip<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    match byte(bytes, 0)? >> 4 {
        4 => ipv4(bytes, packet),
        6 => ipv6(bytes, packet),
        _ => Err(Oddity::Malformed),
    }
}

/// RFC 791. A total length of 0 means that the kernel had not yet cut the packet (offload).
#[inline]
fn ipv4<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let header: &[u8; 20] = bytes.first_chunk().ok_or(Oddity::Truncated)?;
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let header_length = usize::from(header[0] & 15) * 4;
    let stated = match usize::from(half(2)) {
        0 => bytes.len(),
        length => length,
    };
    if header_length < 20 || stated < header_length {
        return Err(Oddity::Malformed);
    }
    packet.source = Address::v4(word(12));
    packet.target = Address::v4(word(16));
    packet.bytes = stated as u32;
    packet.id = half(4);
    packet.hops = header[8];
    let body = cut(tail(bytes, header_length)?, stated - header_length, packet);
    let position = half(6);
    if position & 0x3fff != 0 {
        let more = if position & 0x2000 != 0 { More::Follow } else { More::Last };
        let offset = (position & 0x1fff) << 3;
        return Ok(piece(Fragment { id: u32::from(half(4)), offset, more }, header[9], body, packet));
    }
    Ok((Layer::Protocol(header[9]), body))
}

/// RFC 8200, with its extension headers; the jumbo length 0 is taken from the capture.
fn ipv6<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let header: &[u8; 40] = bytes.first_chunk().ok_or(Oddity::Truncated)?;
    let address = |at: usize| {
        let octets = header[at..at + 16].first_chunk().copied().unwrap_or_default();
        Address::v6(u128::from_be_bytes(octets))
    };
    packet.source = address(8);
    packet.target = address(24);
    // All ones in front is no address, and the mark of IPv4 inside of here.
    if packet.source.is_v4() || packet.target.is_v4() {
        return Err(Oddity::Malformed);
    }
    let stated = match usize::from(u16::from_be_bytes([header[4], header[5]])) {
        0 => bytes.len() - 40,
        length => length,
    };
    packet.bytes = stated as u32 + 40;
    packet.id = 0;
    packet.hops = header[7];
    let mut rest = cut(&bytes[40..], stated, packet);
    let mut next = header[6];
    for _ in 0..16 {
        let length = match next {
            // Hop-by-hop, routing, destination options, mobility, host identity, shim.
            0 | 43 | 60 | 135 | 139 | 140 => 8 + usize::from(byte(rest, 1)?) * 8,
            44 => {
                let (position, protocol) = (be16(rest, 2)?, byte(rest, 0)?);
                let id = be32(rest, 4)?;
                rest = tail(rest, 8)?;
                // An atomic fragment is whole (RFC 6946).
                if position & 0xfff9 == 0 {
                    next = protocol;
                    continue;
                }
                let more = if position & 1 != 0 { More::Follow } else { More::Last };
                let offset = position & 0xfff8;
                return Ok(piece(Fragment { id, offset, more }, protocol, rest, packet));
            }
            _ => return Ok((Layer::Protocol(next), rest)),
        };
        next = byte(rest, 0)?;
        rest = tail(rest, length)?;
    }
    Err(Oddity::Malformed)
}

/// A fragment ends the way down: its bytes wait for the others.
fn piece<'a>(fragment: Fragment, protocol: u8, body: &'a [u8], packet: &mut Packet<'a>) -> Next<'a> {
    packet.fragment = Some(fragment);
    packet.protocol = protocol;
    packet.payload = body;
    (Layer::Done, body)
}

/// Cuts padding away, and notes what the capture lacks.
#[inline]
fn cut<'a>(body: &'a [u8], stated: usize, packet: &mut Packet<'a>) -> &'a [u8] {
    packet.missing = stated.saturating_sub(body.len()) as u32;
    &body[..body.len().min(stated)]
}

/// Whether an IPv4 header's checksum is right (RFC 1071): a proof that these bytes are a header.
pub(super) fn checksum_is_right(bytes: &[u8]) -> bool {
    let length = usize::from(bytes.first().copied().unwrap_or(0) & 15) * 4;
    let Some(header) = bytes.get(..length).filter(|_| length >= 20) else { return false };
    let sum: u32 = header.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    (sum & 0xffff) + (sum >> 16) == 0xffff
}
