//! The short way through the packets that nearly all captures are made of: IPv4 or IPv6 without
//! options and whole, TCP or UDP inside, at most one VXLAN around, in an Ethernet frame or behind a
//! header of Linux cooked capture.
//!
//! It decides nothing that the tables of `link` and `tunnel` would decide otherwise: whatever is
//! out of the ordinary is left to them; `tests/short_way.rs` holds both against each other, and
//! etherparse is the oracle in `tests/robustness.rs`.

use super::copies::{identity, identity_of_segment};
use super::head::Head;
use super::key::{Pair, Seed, ShortKey};
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

/// What the short way needs besides frames.
#[derive(Debug)]
pub(super) struct Means<'a> {
    pub(super) seed: Seed,
    /// Where the addresses of IPv6 go.
    pub(super) pairs: &'a mut Vec<Pair>,
}

/// What is around a packet that took the short way.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wrapping {
    Nothing,
    /// One VXLAN between these ends.
    Overlay(Via, Pair),
}

/// Reads a frame into a head: all of it but the time, and what tells it from others in the block;
/// its payload is told by where it stands in the frame. `None` where the tables must.
///
/// Fields are written where they stay: a head that is put together elsewhere first has to be waited
/// for before it can be moved.
#[inline(never)]
pub(super) fn read(shape: Shape, frame: &[u8], head: &mut Head, means: &mut Means<'_>) -> Option<Wrapping> {
    framed::<OUTSIDE>(frame, (shape.kind_at, shape.header), 0, head, means)
}

/// A TCP segment in IPv4 that is neither cut inside its header nor out of the ordinary, as most
/// packets are: the short way through [`read`], which is asked where this says `None`. Of all
/// headers one length is checked.
#[inline(always)]
pub(super) fn segment(shape: Shape, frame: &[u8], seed: Seed) -> Option<Head> {
    segment_at((shape.kind_at, shape.header), frame, 0, seed)
}

/// The same in a frame of which at least so many bytes are missing.
#[inline(always)]
fn segment_at((kind_at, at): (usize, usize), frame: &[u8], lost: u32, seed: Seed) -> Option<Head> {
    let header = frame.get(at..)?.first_chunk::<40>()?;
    let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let ordinary = frame.get(kind_at..kind_at + 2)? == [8, 0]
        && (header[0], header[9]) == (0x45, 6)
        && half(6) & 0x3fff == 0;
    let (stated, offset) = (usize::from(half(2)), usize::from(header[32] >> 4) * 4);
    if !ordinary || stated < 40 || offset < 20 {
        return None;
    }
    let whole = stated.min(frame.len() - at);
    let options = if offset == 20 { None } else { frame[at..at + whole].get(40..20 + offset) };
    let tcp = Tcp {
        sequence: word(24),
        acknowledgement: word(28),
        flags: header[33],
        timestamp: options.map_or(0, timestamp),
    };
    let missing = lost.max((stated - whole) as u32);
    let length = whole.saturating_sub(20 + offset) as u32;
    Some(Head {
        key: ShortKey::v4((word(12), half(20)), (word(16), half(22)), 6, seed),
        payload: ((at + 20 + offset) as u32, length),
        identity: identity_of_segment(half(4), u64::from(length) + u64::from(missing), &tcp),
        sequence: tcp.sequence,
        timestamp: tcp.timestamp,
        missing,
        bytes: stated as u32,
        pieces: 1,
        id: half(4),
        hops: header[8],
        flags: tcp.flags,
        ..Head::default()
    })
}

/// Such a segment in one VXLAN in IPv4, on a port of its own, and what is around it.
#[inline(always)]
pub(super) fn segment_in_overlay(shape: Shape, frame: &[u8], seed: Seed) -> Option<(Head, Via, Pair)> {
    let (at, kind_at) = (shape.header, shape.kind_at);
    let header = frame.get(at..)?.first_chunk::<OVERLAID>()?;
    let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let ordinary = frame.get(kind_at..kind_at + 2)? == [8, 0]
        && (header[0], header[9]) == (0x45, 17)
        && half(6) & 0x3fff == 0;
    let (stated, datagram) = (usize::from(half(2)), usize::from(half(24)));
    if !ordinary || stated.min(20 + datagram) < OVERLAID {
        return None;
    }
    let whole = stated.min(frame.len() - at);
    let inside = &frame[..at + whole.min(20 + datagram)];
    let (via, inner) = in_udp::vxlan_at_home(half(20), half(22), &inside[at + 28..])?;
    let places = (inside.len() - inner.len() + FRAMES.kind_at, inside.len() - inner.len() + FRAMES.header);
    let segment = segment_at(places, inside, (stated - whole) as u32, seed)?;
    Some((segment, via, (Address::v4(word(12)), Address::v4(word(16)))))
}

/// Headers of IPv4, UDP and VXLAN, of Ethernet, IPv4 and TCP.
const OVERLAID: usize = 20 + 8 + 8 + tunnel::ETHERNET + 20 + 20;

/// IP, down to the transport's body.
#[derive(Clone, Copy)]
struct Inside {
    protocol: u8,
    hops: u8,
    id: u16,
    bytes: u32,
    missing: u32,
    /// Where the body begins and ends in the frame.
    body: (usize, usize),
}

impl Inside {
    /// The same, where what is around it lacks so many bytes.
    #[inline(always)]
    fn lacks(self, lost: u32) -> Inside {
        Inside { missing: self.missing.max(lost), ..self }
    }
}

/// Addresses of one version, source and target.
trait Ends: Copy {
    fn key(self, from: u16, to: u16, protocol: u8, means: &mut Means<'_>) -> ShortKey;

    fn addresses(self) -> Pair;
}

impl Ends for (u32, u32) {
    #[inline(always)]
    fn key(self, from: u16, to: u16, protocol: u8, means: &mut Means<'_>) -> ShortKey {
        ShortKey::v4((self.0, from), (self.1, to), protocol, means.seed)
    }

    fn addresses(self) -> Pair {
        (Address::v4(self.0), Address::v4(self.1))
    }
}

impl Ends for Pair {
    fn key(self, from: u16, to: u16, protocol: u8, means: &mut Means<'_>) -> ShortKey {
        ShortKey::of((self.0, from), (self.1, to), protocol, means.seed, means.pairs)
    }

    fn addresses(self) -> Pair {
        self
    }
}

/// How deep a frame lies: inside a tunnel there is no second one.
const OUTSIDE: bool = false;
const INSIDE: bool = true;

/// A frame whose EtherType and whose packet stand at these places, of which at least so many bytes
/// are missing.
#[inline(always)]
fn framed<const DEPTH: bool>(
    frame: &[u8],
    (kind_at, packet_at): (usize, usize),
    lost: u32,
    head: &mut Head,
    means: &mut Means<'_>,
) -> Option<Wrapping> {
    match frame.get(kind_at..kind_at + 2)? {
        [8, 0] => {
            let (ip, ends) = ipv4(frame, packet_at)?;
            carried::<DEPTH, _>(frame, ip.lacks(lost), ends, head, means)
        }
        [0x86, 0xdd] => over_ipv6::<DEPTH>(frame, packet_at, lost, head, means),
        _ => None,
    }
}

/// On its own, so that what is done for IPv4 alone is not done for both.
#[inline(never)]
fn over_ipv6<const DEPTH: bool>(
    frame: &[u8],
    at: usize,
    lost: u32,
    head: &mut Head,
    means: &mut Means<'_>,
) -> Option<Wrapping> {
    let (ip, ends) = ipv6(frame, at)?;
    carried::<DEPTH, _>(frame, ip.lacks(lost), ends, head, means)
}

/// RFC 791, without options, whole.
#[inline(always)]
fn ipv4(frame: &[u8], at: usize) -> Option<(Inside, (u32, u32))> {
    let header = frame.get(at..)?.first_chunk::<20>()?;
    let half = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let word = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let stated = match usize::from(half(2)) {
        0 => frame.len() - at,
        stated => stated,
    };
    if header[0] != 0x45 || stated < 20 || half(6) & 0x3fff != 0 {
        return None;
    }
    let end = frame.len().min(at + stated);
    let inside = Inside {
        protocol: header[9],
        hops: header[8],
        id: half(4),
        bytes: stated as u32,
        missing: (at + stated - end) as u32,
        body: (at + 20, end),
    };
    Some((inside, (word(12), word(16))))
}

/// RFC 8200, without extension headers.
#[inline(always)]
fn ipv6(frame: &[u8], at: usize) -> Option<(Inside, Pair)> {
    let header = frame.get(at..)?.first_chunk::<40>()?;
    let stated = match usize::from(u16::from_be_bytes([header[4], header[5]])) {
        0 => frame.len() - at - 40,
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
    let end = frame.len().min(at + 40 + stated);
    let inside = Inside {
        protocol: header[6],
        hops: header[7],
        id: 0,
        bytes: stated as u32 + 40,
        missing: (at + 40 + stated - end) as u32,
        body: (at + 40, end),
    };
    Some((inside, (source, target)))
}

#[inline(always)]
fn carried<const DEPTH: bool, E: Ends>(
    frame: &[u8],
    ip: Inside,
    ends: E,
    head: &mut Head,
    means: &mut Means<'_>,
) -> Option<Wrapping> {
    let body = frame.get(ip.body.0..ip.body.1)?;
    let ports = body.first_chunk::<8>()?;
    let (from, to) = (u16::from_be_bytes([ports[0], ports[1]]), u16::from_be_bytes([ports[2], ports[3]]));
    let (tcp, payload, passed) = match ip.protocol {
        6 => {
            let (tcp, passed) = tcp(body)?;
            (tcp, body.get(passed..).unwrap_or(&[]), passed)
        }
        17 => {
            let payload = udp(ports, body);
            if is_overlay(from, to, payload) {
                let end = ip.body.0 + 8 + payload.len();
                return match DEPTH {
                    OUTSIDE => overlaid(&frame[..end], &ip, (from, to), ends.addresses(), head, means),
                    INSIDE => None,
                };
            }
            (Tcp::default(), payload, 8)
        }
        _ => return None,
    };
    head.key = ends.key(from, to, ip.protocol, means);
    head.payload = ((ip.body.0 + passed) as u32, payload.len() as u32);
    head.identity = identity(ip.id, ip.missing, (ip.protocol == 6).then_some(&tcp), payload);
    (head.sequence, head.timestamp, head.flags) = (tcp.sequence, tcp.timestamp, tcp.flags);
    (head.missing, head.bytes, head.pieces) = (ip.missing, ip.bytes, 1);
    (head.id, head.hops, head.sctp_chunk) = (ip.id, ip.hops, None);
    Some(Wrapping::Nothing)
}

/// The header's fields, and its length.
#[inline(always)]
fn tcp(body: &[u8]) -> Option<(Tcp, usize)> {
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
    Some((tcp, offset))
}

#[inline(always)]
fn udp<'a>(ports: &[u8; 8], body: &'a [u8]) -> &'a [u8] {
    let stated = usize::from(u16::from_be_bytes([ports[4], ports[5]]));
    let payload = &body[8..];
    if stated >= 8 { &payload[..payload.len().min(stated - 8)] } else { payload }
}

/// Whether a datagram is, or by its first bytes may be, a tunnel.
#[inline(always)]
fn is_overlay(from: u16, to: u16, payload: &[u8]) -> bool {
    payload.len() >= in_udp::SMALLEST
        && (in_udp::is_home(from) || in_udp::is_home(to) || in_udp::may_begin(payload))
}

/// VXLAN on a port of its own around a frame that can take the short way itself; `frame` ends where
/// the datagram does.
#[inline(never)]
fn overlaid(
    frame: &[u8],
    outer: &Inside,
    (from, to): (u16, u16),
    ends: Pair,
    head: &mut Head,
    means: &mut Means<'_>,
) -> Option<Wrapping> {
    let (via, inner) = in_udp::vxlan_at_home(from, to, &frame[outer.body.0 + 8..])?;
    let at = frame.len() - inner.len();
    let places = (at + FRAMES.kind_at, at + FRAMES.header);
    framed::<INSIDE>(frame, places, outer.missing, head, means)?;
    Some(Wrapping::Overlay(via, ends))
}
