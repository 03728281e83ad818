//! Link layers: what stands before the IP header, in one table by link type.
//!
//! Numbers are those of the tcpdump.org list of link-layer header types.

use super::Medium;
use super::packet::{Oddity, Packet, Siblings, be16, be32, byte, tail};
use super::quick::{self, Says, Shape};
use super::tunnel::{ETHERNET, Layer, Next};
use super::window::Interface;

/// How a capture's link type is read.
pub(super) struct LinkType {
    /// Numbers that are read alike.
    numbers: &'static [u32],
    #[cfg_attr(not(test), expect(dead_code, reason = "names are for readers of the table and for tests"))]
    name: &'static str,
    open: for<'a> fn(&'a [u8], &mut Packet<'a>) -> Result<Next<'a>, Oddity>,
    /// Where the short way finds its EtherType.
    quick: Option<Shape>,
}

/// Frames that the short way reads.
const FRAMES: Option<Shape> = Some(quick::FRAMES);
/// LINKTYPE_LINUX_SLL.
const COOKED: Option<Shape> = Some(Shape { kind_at: 14, header: 16, says: Says::Hardware(2) });
/// LINKTYPE_LINUX_SLL2.
const COOKED_2: Option<Shape> = Some(Shape { kind_at: 0, header: 20, says: Says::HardwareAndNumber(8, 4) });

/// All link types that are read; the frequent ones first.
const LINK_TYPES: &[LinkType] = &[
    LinkType { numbers: &[1], name: "Ethernet", open: frame, quick: FRAMES },
    LinkType { numbers: &[276], name: "Linux cooked, version 2", open: cooked2, quick: COOKED_2 },
    LinkType { numbers: &[113], name: "Linux cooked", open: cooked, quick: COOKED },
    LinkType {
        numbers: &[12, 14, 101, 228, 229],
        name: "raw IP",
        open: |b, _| Ok((Layer::Ip, b)),
        quick: None,
    },
    LinkType {
        numbers: &[0, 108],
        name: "BSD loopback",
        open: |b, _| Ok((Layer::Ip, tail(b, 4)?)),
        quick: None,
    },
    LinkType { numbers: &[9, 50], name: "PPP", open: |b, _| ppp(b), quick: None },
    LinkType { numbers: &[104], name: "Cisco HDLC", open: |b, _| typed(b, 2, 4), quick: None },
    LinkType { numbers: &[10], name: "FDDI", open: |b, _| fddi(b), quick: None },
    LinkType { numbers: &[51], name: "PPPoE", open: |b, _| Ok((Layer::EtherType(0x8864), b)), quick: None },
    LinkType { numbers: &[105], name: "802.11", open: |b, _| wireless(b), quick: None },
    LinkType { numbers: &[127], name: "802.11 with radiotap", open: radiotap, quick: None },
    LinkType { numbers: &[192], name: "per-packet information", open: per_packet, quick: None },
    LinkType { numbers: &[239], name: "Netfilter log", open: |b, _| netfilter_log(b), quick: None },
];

/// The reader of a link type; the same for all packets of an interface.
pub(super) fn of(number: u32) -> Option<&'static LinkType> {
    LINK_TYPES.iter().find(|link| link.numbers.contains(&number))
}

impl LinkType {
    /// Where the short way finds its EtherType, where this link type has one.
    pub(super) fn shape(&self) -> Option<Shape> {
        self.quick
    }

    /// Passes the link header.
    pub(super) fn open<'a>(&self, bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
        (self.open)(bytes, packet)
    }
}

/// An EtherType at one place, its content at another.
fn typed(bytes: &[u8], at: usize, from: usize) -> Result<Next<'_>, Oddity> {
    Ok((Layer::EtherType(be16(bytes, at)?), tail(bytes, from)?))
}

/// LINKTYPE_LINUX_SLL. The protocols 1 and 4 mean 802.3 and 802.2 without a type.
fn cooked<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let link = be16(bytes, 2)?;
    packet.medium = medium(link);
    by_hardware(link, be16(bytes, 14)?, tail(bytes, 16)?)
}

/// LINKTYPE_LINUX_SLL2, which also tells the interface.
fn cooked2<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    packet.interface = be32(bytes, 4)?;
    packet.medium = medium(be16(bytes, 8)?);
    by_hardware(be16(bytes, 8)?, be16(bytes, 0)?, tail(bytes, 20)?)
}

impl Shape {
    /// The number and the medium of the interface at which a frame was met, whose EtherType says
    /// what follows; `None` where it may not.
    #[inline(always)]
    pub(super) fn met(self, frame: &[u8], interface: Interface) -> Option<(u32, Medium)> {
        let Interface { number, medium: known, .. } = interface;
        let (at, number) = match self.says {
            Says::Addresses if known == Medium::Unknown => return Some((number, of_frame(frame))),
            Says::Addresses => return Some((number, known)),
            Says::Hardware(at) => (at, number),
            Says::HardwareAndNumber(at, number_at) => (at, be32(frame, number_at).ok()?),
        };
        let hardware = be16(frame, at).ok()?;
        (!NO_ETHERTYPE.contains(&hardware)).then(|| (number, medium(hardware)))
    }
}

/// `ARPHRD_NETLINK`, GRE and monitor frames use the protocol field for something else.
const NO_ETHERTYPE: [u16; 3] = [NETLINK, WIRELESS, RADIOTAP];
const NETLINK: u16 = 824;
const WIRELESS: u16 = 801;
const RADIOTAP: u16 = 803;

/// `ARPHRD_LOOPBACK` of the kernel's `if_arp.h`.
fn medium(hardware: u16) -> Medium {
    if hardware == 772 { Medium::Loopback } else { Medium::Link }
}

/// An Ethernet frame. Where neither side has an address it may be a loopback interface, or
/// somebody blotted the addresses out: that proves nothing.
fn frame<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    if packet.medium == Medium::Unknown {
        packet.medium = of_frame(bytes);
    }
    Ok((Layer::Ethernet, bytes))
}

/// What the addresses of an Ethernet frame say of its interface.
#[inline]
pub(super) fn of_frame(bytes: &[u8]) -> Medium {
    if bytes.starts_with(&[0; 12]) { Medium::Unknown } else { Medium::Link }
}

/// What follows a cooked header: see [`NO_ETHERTYPE`].
fn by_hardware(hardware: u16, protocol: u16, rest: &[u8]) -> Result<Next<'_>, Oddity> {
    match (hardware, protocol) {
        (NETLINK, _) => Err(Oddity::NotIp),
        (WIRELESS, _) => wireless(rest),
        (RADIOTAP, _) => radiotap(rest, &mut Packet::default()),
        (_, 1 | 4) => Ok((Layer::EtherType(0), rest)),
        _ => Ok((Layer::EtherType(protocol), rest)),
    }
}

/// PPP, or Cisco HDLC, which its address tells (RFC 1547 section 4.3.1: unicast and broadcast).
fn ppp(bytes: &[u8]) -> Result<Next<'_>, Oddity> {
    match bytes {
        [0x0f | 0x8f, 0, ..] => typed(bytes, 2, 4),
        _ => Ok((Layer::Ppp, bytes)),
    }
}

/// FDDI: a frame control and two addresses before LLC (RFC 1390), where it carries LLC at all.
fn fddi(bytes: &[u8]) -> Result<Next<'_>, Oddity> {
    match byte(bytes, 0)? & 0x70 {
        0x50 => Ok((Layer::EtherType(0), tail(bytes, 13)?)),
        _ => Err(Oddity::NotIp),
    }
}

/// The radiotap header states its own length, in little endian.
fn radiotap<'a>(bytes: &'a [u8], _: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let length = usize::from(be16(bytes, 2)?.swap_bytes());
    wireless(tail(bytes, length)?)
}

/// PPI: a length and the link type of what follows, in little endian.
fn per_packet<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let length = usize::from(be16(bytes, 2)?.swap_bytes());
    let inner = u32::from(be16(bytes, 4)?.swap_bytes());
    if length < 8 || inner == 192 {
        return Err(Oddity::Malformed);
    }
    of(inner).ok_or(Oddity::LinkType)?.open(tail(bytes, length)?, packet)
}

/// IEEE 802.11: only data frames carry IP, behind LLC and SNAP.
pub(super) fn wireless(bytes: &[u8]) -> Result<Next<'_>, Oddity> {
    controlled(byte(bytes, 0)?, byte(bytes, 1)?, bytes)
}

/// The same from an access point to its controller: those of Cisco swap the two bytes of frame
/// control. The version is 0 (IEEE 802.11-2020 section 9.2.4.1.2), while data on the way to or from
/// a distribution system has one of these bits in the other byte, which tells the two apart.
pub(super) fn wireless_of_controller(bytes: &[u8]) -> Result<Next<'_>, Oddity> {
    match (byte(bytes, 0)?, byte(bytes, 1)?) {
        (flags, control) if flags & 3 != 0 && control & 3 == 0 => controlled(control, flags, bytes),
        (control, flags) => controlled(control, flags, bytes),
    }
}

/// A frame whose two bytes of frame control were read.
fn controlled(control: u8, flags: u8, bytes: &[u8]) -> Result<Next<'_>, Oddity> {
    let (kind, sub) = (control >> 2 & 3, control >> 4);
    // Subtypes with the fourth bit carry nothing; the eighth adds quality of service.
    if kind != 2 || sub & 4 != 0 {
        return Err(Oddity::NotIp);
    }
    if flags & 0x40 != 0 {
        return Err(Oddity::LinkEncrypted);
    }
    let four_addresses = if flags & 3 == 3 { 6 } else { 0 };
    // Then the order bit says that HT control follows (IEEE 802.11-2020 section 9.2.4.1.10).
    let quality = match (sub & 8 != 0, flags & 0x80 != 0) {
        (true, true) => 6,
        (true, false) => 2,
        (false, _) => 0,
    };
    let behind = 24 + four_addresses;
    let body = tail(bytes, behind + quality)?;
    match quality > 0 && byte(bytes, behind)? & 0x80 != 0 {
        true => Ok((Layer::Aggregate, body)),
        false => Ok((Layer::EtherType(0), body)),
    }
}

/// A-MSDU (IEEE 802.11-2020 section 9.3.2.2.2): addresses, a length, LLC, padding up to four bytes
/// of the whole; the next one follows.
pub(super) fn aggregate<'a>(bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<Next<'a>, Oddity> {
    let length = usize::from(be16(bytes, ETHERNET - 2)?);
    let body = tail(bytes, ETHERNET)?;
    let whole = (ETHERNET + length).next_multiple_of(4);
    let following = bytes.get(whole..).unwrap_or(&[]);
    if !following.is_empty() {
        // Those of a frame inside of such a frame would take the place of the outer ones.
        if packet.siblings.is_some() {
            return Err(Oddity::TooDeep);
        }
        packet.siblings = Some(Siblings::of(packet, following));
    }
    Ok((Layer::EtherType(0), &body[..length.min(body.len())]))
}

/// LINKTYPE_NFLOG: attributes of type and length, padded to four bytes; number 9 is the packet.
fn netfilter_log(bytes: &[u8]) -> Result<Next<'_>, Oddity> {
    let mut rest = tail(bytes, 4)?;
    while let [a, b, c, d, ..] = rest {
        let (length, kind) = (usize::from(u16::from_ne_bytes([*a, *b])), u16::from_ne_bytes([*c, *d]));
        if length < 4 {
            return Err(Oddity::Malformed);
        }
        if kind & 0x7fff == 9 {
            return Ok((Layer::Ip, rest.get(4..length.min(rest.len())).ok_or(Oddity::Truncated)?));
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    Err(Oddity::NotIp)
}

/// The content of an Ethernet frame.
#[inline]
pub(super) fn ethernet(bytes: &[u8]) -> Result<Next<'_>, Oddity> {
    typed(bytes, ETHERNET - 2, ETHERNET)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_types_are_named_once() {
        let numbers: Vec<u32> = LINK_TYPES.iter().flat_map(|link| link.numbers.iter().copied()).collect();
        let unique: std::collections::BTreeSet<_> = numbers.iter().collect();
        assert_eq!(unique.len(), numbers.len());
        assert!(LINK_TYPES.iter().all(|link| !link.name.is_empty()));
    }

    #[test]
    fn per_packet_information_keeps_to_the_tables() {
        // `tests/short_way.rs` compares with it.
        let has_short_way = |number| of(number).is_some_and(|link| link.shape().is_some());
        assert!([1, 113, 276].into_iter().all(has_short_way) && !has_short_way(192));
    }
}
