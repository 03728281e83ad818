//! Makes another conversation of a frame: other addresses, sequence numbers and identifications,
//! checksums right as they were.
//!
//! One secret makes one conversation: whatever it is given stays together. Without other sequence
//! numbers a replica would be the same connection seen behind an address translation.

use std::ops::Range;

/// Rewrites what tells a conversation from another; what is no IP stays as it is.
pub fn rewrite(frame: &mut [u8], secret: u32) {
    let Some((at, kind)) = network(frame) else { return };
    let packet = match (kind, frame[at] >> 4) {
        (0x0800, 4) => v4(frame, at),
        (0x86dd, 6) => v6(frame, at),
        _ => None,
    };
    let Some(packet) = packet else { return };
    // Which way it goes is told by the addresses and ports that it had.
    let side = |range: &Range<usize>| frame[range.clone()].to_vec();
    let forth = (side(&packet.source), side(&packet.ports.0)) < (side(&packet.target), side(&packet.ports.1));
    sequence(frame, &packet, secret, forth);
    identification(frame, &packet, secret);
    addresses(frame, &packet, secret);
}

/// Where the parts of a packet stand in its frame.
struct Packet {
    source: Range<usize>,
    target: Range<usize>,
    /// Of the source and of the target; empty where the transport has none.
    ports: (Range<usize>, Range<usize>),
    /// The IP header that has a checksum and an identification of its own, IPv4's.
    header: Option<usize>,
    /// Where the transport begins, and what it is.
    transport: (usize, u8),
    /// The transport's checksum, which covers the addresses.
    checksum: Option<usize>,
}

/// Where the network header begins, and its EtherType; VLAN tags are stepped over.
fn network(frame: &[u8]) -> Option<(usize, u16)> {
    let mut at = 14;
    let mut kind = half(frame, 12)?;
    while kind == 0x8100 {
        kind = half(frame, at + 2)?;
        at += 4;
    }
    (frame.len() >= at + 20).then_some((at, kind))
}

fn v4(frame: &[u8], at: usize) -> Option<Packet> {
    let transport = at + usize::from(frame[at] & 15) * 4;
    let first_fragment = half(frame, at + 6)? & 0x1fff == 0;
    let protocol = if first_fragment { frame[at + 9] } else { 0 };
    let (ports, checksum) = parts(frame, transport, protocol);
    Some(Packet {
        source: at + 12..at + 16,
        target: at + 16..at + 20,
        ports,
        header: Some(at),
        transport: (transport, protocol),
        // ICMP's checksum covers no addresses.
        checksum: checksum.filter(|_| matches!(protocol, 6 | 17)),
    })
}

/// Without extension headers, as nearly all are.
fn v6(frame: &[u8], at: usize) -> Option<Packet> {
    let protocol = frame[at + 6];
    let plain = frame.len() >= at + 40 && matches!(protocol, 6 | 17 | 58);
    let (ports, checksum) = parts(frame, at + 40, protocol);
    plain.then(|| Packet {
        source: at + 8..at + 24,
        target: at + 24..at + 40,
        ports,
        header: None,
        transport: (at + 40, protocol),
        checksum,
    })
}

/// The ports and the checksum of a transport.
fn parts(frame: &[u8], at: usize, protocol: u8) -> ((Range<usize>, Range<usize>), Option<usize>) {
    let checksum = match protocol {
        6 => Some(at + 16),
        17 => Some(at + 6),
        58 => Some(at + 2),
        _ => None,
    };
    let whole = |end: usize| frame.len() >= end;
    let has_ports = matches!(protocol, 6 | 17) && whole(at + 4);
    let ports = if has_ports { (at..at + 2, at + 2..at + 4) } else { (0..0, 0..0) };
    // A UDP checksum of 0 means that there is none.
    let used = |place: &usize| whole(place + 2) && (protocol != 17 || half(frame, *place) != Some(0));
    (ports, checksum.filter(used))
}

/// Both sides of a TCP connection count from other numbers.
fn sequence(frame: &mut [u8], packet: &Packet, secret: u32, forth: bool) {
    let (at, protocol) = packet.transport;
    let Some(checksum) = packet.checksum.filter(|_| protocol == 6 && frame.len() >= at + 20) else { return };
    let (mine, theirs) = (secret.wrapping_mul(0x9e37_79b9), secret.wrapping_mul(0x85eb_ca6b));
    let (mine, theirs) = if forth { (mine, theirs) } else { (theirs, mine) };
    shift(frame, at + 4, mine, &[checksum]);
    const ACK: u8 = 0x10;
    if frame[at + 13] & ACK != 0 {
        shift(frame, at + 8, theirs, &[checksum]);
    }
}

/// IPv4 packets are told from their copies by it.
fn identification(frame: &mut [u8], packet: &Packet, secret: u32) {
    let Some(at) = packet.header else { return };
    let Some(old) = half(frame, at + 4) else { return };
    replace(frame, at + 4, old.wrapping_add(secret as u16), &[at + 10]);
}

/// The upper bytes stay, so that private addresses stay private and groups groups.
fn addresses(frame: &mut [u8], packet: &Packet, secret: u32) {
    let mask = secret & 0x00ff_ffff;
    let checksums: Vec<usize> = packet.header.map(|at| at + 10).into_iter().chain(packet.checksum).collect();
    for place in [&packet.source, &packet.target] {
        let first = frame[place.start];
        let group = if place.len() == 4 { first >= 224 } else { first == 0xff };
        if group {
            continue;
        }
        for (spot, mask) in [(place.end - 4, (mask >> 16) as u16), (place.end - 2, mask as u16)] {
            let old = half(frame, spot).expect("an address is in the frame");
            replace(frame, spot, old ^ mask, &checksums);
        }
    }
}

/// Adds to a word of four bytes.
fn shift(frame: &mut [u8], at: usize, by: u32, checksums: &[usize]) {
    let old = u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
    let new = old.wrapping_add(by);
    replace(frame, at, (new >> 16) as u16, checksums);
    replace(frame, at + 2, new as u16, checksums);
}

/// Writes a half-word; the checksums over it stay as right as they were.
fn replace(frame: &mut [u8], at: usize, new: u16, checksums: &[usize]) {
    let old = half(frame, at).expect("it was read before");
    frame[at..at + 2].copy_from_slice(&new.to_be_bytes());
    for place in checksums {
        amend(frame, *place, old, new);
    }
}

/// RFC 1624: the checksum after one half-word changed.
fn amend(frame: &mut [u8], place: usize, old: u16, new: u16) {
    let Some(known) = half(frame, place) else { return };
    let mut sum = u32::from(!known) + u32::from(!old) + u32::from(new);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[place..place + 2].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

fn half(frame: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*frame.get(at)?, *frame.get(at + 1)?]))
}
