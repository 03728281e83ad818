//! Transport headers: TCP (RFC 9293), UDP (RFC 768), SCTP (RFC 9260), and whatever has no ports.

use super::in_udp;
use super::packet::{Oddity, Packet, Tcp, be16};

/// Ports, sequence number, flags, time stamp, payload.
#[inline]
pub(super) fn tcp<'a>(body: &'a [u8], packet: &mut Packet<'a>) -> Result<(), Oddity> {
    packet.protocol = 6;
    // Snap lengths cut inside the header now and then; ports are worth having even so.
    let Some(header) = body.first_chunk::<20>() else { return short_tcp(body, packet) };
    packet.source_port = u16::from_be_bytes([header[0], header[1]]);
    packet.target_port = u16::from_be_bytes([header[2], header[3]]);
    let offset = usize::from(header[12] >> 4) * 4;
    if offset < 20 {
        return Err(Oddity::Malformed);
    }
    packet.tcp = Tcp {
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        acknowledgement: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: header[13],
        timestamp: body.get(20..offset).map_or(0, timestamp),
    };
    packet.payload = body.get(offset..).unwrap_or(&[]);
    Ok(())
}

/// A header of which sequence and flags were captured, or at least the ports.
fn short_tcp(body: &[u8], packet: &mut Packet<'_>) -> Result<(), Oddity> {
    let Some(header) = body.first_chunk::<14>() else { return ports(body, packet) };
    packet.source_port = u16::from_be_bytes([header[0], header[1]]);
    packet.target_port = u16::from_be_bytes([header[2], header[3]]);
    packet.tcp = Tcp {
        sequence: u32::from_be_bytes([header[4], header[5], header[6], header[7]]),
        acknowledgement: u32::from_be_bytes([header[8], header[9], header[10], header[11]]),
        flags: header[13],
        timestamp: 0,
    };
    let offset = usize::from(header[12] >> 4) * 4;
    if offset < 20 {
        return Err(Oddity::Malformed);
    }
    Ok(())
}

/// What RFC 792 has errors quote of a packet, and some captures keep.
fn ports(body: &[u8], packet: &mut Packet<'_>) -> Result<(), Oddity> {
    let header: &[u8; 4] = body.first_chunk().ok_or(Oddity::Truncated)?;
    packet.source_port = u16::from_be_bytes([header[0], header[1]]);
    packet.target_port = u16::from_be_bytes([header[2], header[3]]);
    Ok(())
}

/// The sender's value of the time stamp option (RFC 7323, section 3).
#[inline]
pub(super) fn timestamp(options: &[u8]) -> u32 {
    // Nearly every segment has two fillers and the option.
    if let [1, 1, 8, 10, a, b, c, d, ..] = options {
        return u32::from_be_bytes([*a, *b, *c, *d]);
    }
    let mut rest = options;
    loop {
        rest = match rest {
            [8, 10, a, b, c, d, ..] => return u32::from_be_bytes([*a, *b, *c, *d]),
            [1, rest @ ..] => rest,
            [0, ..] | [] | [_] => return 0,
            [_, length, ..] => match rest.get(usize::from((*length).max(2))..) {
                Some(rest) => rest,
                None => return 0,
            },
        };
    }
}

/// Ports and payload; the inside, where the datagram is a tunnel.
#[inline]
pub(super) fn udp<'a>(body: &'a [u8], packet: &mut Packet<'a>) -> Result<(), Oddity> {
    packet.protocol = 17;
    let Some(header) = body.first_chunk::<8>() else { return ports(body, packet) };
    packet.source_port = u16::from_be_bytes([header[0], header[1]]);
    packet.target_port = u16::from_be_bytes([header[2], header[3]]);
    let stated = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let payload = &body[8..];
    // A length of 0 is that of a datagram that offload has not cut yet.
    let payload = if stated >= 8 { &payload[..payload.len().min(stated - 8)] } else { payload };
    match in_udp::open(payload, packet) {
        Some(nested) => *packet = nested,
        None => packet.payload = payload,
    }
    Ok(())
}

/// Ports, and the kind of the first chunk.
pub(super) fn sctp<'a>(body: &'a [u8], packet: &mut Packet<'a>) -> Result<(), Oddity> {
    packet.protocol = 132;
    (packet.source_port, packet.target_port) = (be16(body, 0)?, be16(body, 2)?);
    packet.sctp_chunk = body.get(12).copied();
    packet.payload = user_bytes(body.get(12..).unwrap_or(&[]));
    Ok(())
}

/// What the user says in a packet of SCTP: acknowledgements and cookies may stand before it (RFC 9260,
/// section 6.10). Of several messages, the first one and everything behind it.
fn user_bytes(chunks: &[u8]) -> &[u8] {
    const MOST: usize = 64;
    let (mut rest, mut said) = (chunks, None);
    for _ in 0..MOST {
        let [kind, _, high, low, ..] = rest else { break };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        // DATA, and I-DATA (RFC 8260, section 2.1), whose messages are numbered.
        let header = match kind {
            0 => Some(16),
            64 => Some(20),
            _ => None,
        };
        if let Some(header) = header {
            said = match said {
                None => Some((rest.get(header..).unwrap_or(&[]), length.saturating_sub(header))),
                Some((first, _)) => Some((first, usize::MAX)),
            };
        }
        let padded = length.next_multiple_of(4);
        rest = rest.get(padded..).filter(|_| length >= 4).unwrap_or(&[]);
    }
    said.map_or(&[], |(bytes, length)| &bytes[..bytes.len().min(length)])
}

/// No ports: the whole body is payload.
pub(super) fn other<'a>(protocol: u8, body: &'a [u8], packet: &mut Packet<'a>) {
    packet.protocol = protocol;
    packet.payload = body;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_sctp_packet_says_is_found_behind_other_chunks() {
        let acknowledgement = [3, 0, 0, 16, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0];
        let data = |text: &[u8]| {
            let length = 16 + text.len() as u16;
            let mut chunk = [&[0, 3][..], &length.to_be_bytes(), &[0; 12], text].concat();
            chunk.resize(chunk.len().next_multiple_of(4), 0);
            chunk
        };
        assert_eq!(user_bytes(&data(b"hello")), b"hello");
        assert_eq!(user_bytes(&[&acknowledgement[..], &data(b"hello")].concat()), b"hello");
        let several = [data(b"hello"), data(b"again")].concat();
        let both = user_bytes(&several);
        assert!(both.starts_with(b"hello") && both.ends_with(b"again\0\0\0"), "{both:?}");
        let numbered = [&[64, 3, 0, 23][..], &[0; 16], b"you", &[0]].concat();
        assert_eq!(user_bytes(&numbered), b"you");
        assert_eq!((user_bytes(&acknowledgement), user_bytes(&[])), (&[][..], &[][..]));
        // Lengths that cannot be end the way.
        assert_eq!(user_bytes(&[1, 0, 0, 0, 0, 0, 0, 9]), b"");
    }

    #[test]
    fn the_time_stamp_is_found_behind_other_options() {
        assert_eq!(timestamp(&[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0]), 258);
        assert_eq!(timestamp(&[1, 1, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0]), 9);
        assert_eq!(timestamp(&[2, 0, 3]), 0);
        assert_eq!(timestamp(&[]), 0);
    }
}
