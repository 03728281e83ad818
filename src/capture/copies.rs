//! The same packet, met at several places (pod interface, bridge, node interface), is counted once.
//!
//! The rule: equal ends, direction, protocol and IP identification, and for TCP equal sequence,
//! acknowledgement, flags, length and time stamp, for others equal length and payload, within a
//! tenth of a second, at a place where that packet was not met yet. Met again at the same place
//! it was sent again, and counts again. At one place, hops left that differ make two places,
//! where the IP identification is not zero.
//!
//! What is remembered belongs to one flow, so that other traffic changes nothing.

use super::head::Arrival;
use super::key::Side;
use super::packet::Tcp;
use super::place::{NO_PLACE, PlaceId};

/// The bits that tell a packet from others of its flow; below them there is room for its hops left.
pub(super) const IDENTITY: u32 = 0xffff_ff00;

/// How far apart two captures of one packet may be, in nanoseconds.
pub(super) const WINDOW: u64 = 100_000_000;
/// Packets of one flow that are remembered.
const MOST: usize = 64;
/// So many are looked through one after the other.
const FEW: usize = 8;
/// Places of one packet that are remembered.
const MOST_POINTS: usize = 4;

/// Whether a packet counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// For the first time, or sent again.
    Counts,
    /// It was counted at another place.
    Copy,
}

/// Where, and with how many hops left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) place: PlaceId,
    pub(super) hops: u8,
}

/// The latest packets of a flow that is met at several places, in a ring.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// The identity of each packet and below it its side: what all of them are searched for.
    tags: Vec<u32>,
    packets: Vec<Recent>,
    next: usize,
}

#[derive(Clone, Copy, Debug)]
struct Recent {
    nanos: u64,
    /// Where it was met; no place for those that are free.
    points: [Point; MOST_POINTS],
}

impl Recent {
    fn new(point: Point, nanos: u64) -> Recent {
        let free = Point { place: NO_PLACE, hops: 0 };
        Recent { nanos, points: [point, free, free, free] }
    }
}

impl Copies {
    /// Looks at a packet, and remembers it. Of a copy, the places are told where it was met before.
    pub(super) fn look(&mut self, packet: &Arrival<'_>) -> (Sighting, [PlaceId; MOST_POINTS]) {
        const NOWHERE: [PlaceId; MOST_POINTS] = [NO_PLACE; MOST_POINTS];
        let (side, nanos, identity) = (packet.key.side, packet.nanos, packet.identity);
        let place = packet.place;
        let point = Point { place, hops: packet.hops };
        let Some(known) = self.known(tag(identity, side), nanos) else {
            self.remember(identity, side, point, nanos);
            return (Sighting::Counts, NOWHERE);
        };
        if known.points.iter().any(|p| p.place == place && (p.hops == packet.hops || packet.id == 0)) {
            *known = Recent::new(point, nanos);
            return (Sighting::Counts, NOWHERE);
        }
        let before = known.points.map(|point| point.place);
        if let Some(free) = known.points.iter_mut().find(|known| known.place == NO_PLACE) {
            *free = point;
        }
        (Sighting::Copy, before)
    }

    /// The packet of this tag that was met lately.
    #[inline]
    fn known(&mut self, tag: u32, nanos: u64) -> Option<&mut Recent> {
        // Nearly always it is none of many: that is told without a branch for each.
        if self.tags.len() > FEW && !self.tags.iter().fold(false, |any, known| any | (*known == tag)) {
            return None;
        }
        let is_it =
            |(known, recent): (&u32, &Recent)| *known == tag && recent.nanos.abs_diff(nanos) <= WINDOW;
        let number = self.tags.iter().zip(&self.packets).position(is_it)?;
        self.packets.get_mut(number)
    }

    /// Puts a packet in the place of one that is out of the window, or of the oldest.
    pub(super) fn remember(&mut self, identity: u32, side: Side, point: Point, nanos: u64) {
        let (tag, recent) = (tag(identity, side), Recent::new(point, nanos));
        let over = |known: &Recent| nanos.saturating_sub(known.nanos) > WINDOW;
        if self.packets.get(self.next).is_some_and(over) || self.packets.len() >= MOST {
            (self.tags[self.next], self.packets[self.next]) = (tag, recent);
            self.next = (self.next + 1) % self.packets.len();
        } else {
            self.tags.insert(self.next, tag);
            self.packets.insert(self.next, recent);
            self.next = (self.next + 1) % self.packets.len().max(1);
        }
    }
}

#[inline]
fn tag(identity: u32, side: Side) -> u32 {
    identity & IDENTITY | side.index() as u32
}

/// What copies of one packet have in common: the IP identification, the length of the payload with
/// what is missing of it, and for TCP its header, for others the payload. Checksums are left out:
/// offload leaves them open.
#[inline]
pub(super) fn identity(id: u16, missing: u32, tcp: Option<&Tcp>, payload: &[u8]) -> u32 {
    let length = payload.len() as u64 + u64::from(missing);
    match tcp {
        Some(tcp) => identity_of_segment(id, length, tcp),
        None => mixed(id, length, sample(payload)),
    }
}

/// The same of a TCP segment with so many bytes of payload, captured or not.
#[inline]
pub(super) fn identity_of_segment(id: u16, length: u64, tcp: &Tcp) -> u32 {
    let order = u64::from(tcp.sequence) << 32 | u64::from(tcp.acknowledgement);
    let own = u64::from(tcp.timestamp) << 8 | u64::from(tcp.flags);
    mixed(id, length, order ^ own.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

#[inline]
fn mixed(id: u16, length: u64, own: u64) -> u32 {
    let common = u64::from(id) << 48 | (length & 0xffff_ffff) << 8;
    (fold(common ^ 0xa076_1d64_78bd_642f, own ^ 0xe703_7ed1_a0b4_28db) >> 16) as u32 & IDENTITY
}

/// The first and last bytes of a payload, mixed.
pub(super) fn sample(payload: &[u8]) -> u64 {
    let word = |bytes: &[u8]| bytes.first_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk));
    let mut mixed = payload.first().map_or(0, |byte| u64::from(*byte));
    for chunk in payload.chunks(8).take(8) {
        mixed = fold(mixed ^ word(chunk), 0x8ebc_6af0_9c88_c6e3);
    }
    let last = payload.last_chunk::<8>().map_or(0, |chunk| u64::from_le_bytes(*chunk));
    fold(mixed ^ last, 0x5899_65cc_7537_4cc3)
}

/// Multiplies and folds: each bit of the input reaches all of the output.
#[inline]
pub(super) fn fold(a: u64, b: u64) -> u64 {
    let wide = u128::from(a) * u128::from(b);
    (wide as u64) ^ ((wide >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::super::head::Head;
    use super::super::key::Seed;
    use super::super::packet::Packet;
    use super::*;

    fn segment(id: u16, sequence: u32, hops: u8) -> Packet<'static> {
        let tcp = Tcp { sequence, flags: 0x18, timestamp: 5, ..Tcp::default() };
        Packet { protocol: 6, id, hops, tcp, payload: b"data", ..Packet::default() }
    }

    fn look(copies: &mut Copies, packet: &Packet<'_>, place: PlaceId, nanos: u64) -> Sighting {
        let head = Head::of(packet, packet.payload, nanos, Seed::random(), &mut Vec::new());
        copies.look(&Arrival { head: &head, payload: packet.payload, place, pair: None }).0
    }

    #[test]
    fn a_packet_at_three_places_counts_once_and_its_repetition_once_more() {
        let mut copies = Copies::default();
        let mut at = |place, nanos| look(&mut copies, &segment(7, 100, 64), place, nanos);
        let first: Vec<Sighting> = (0..3).map(|place| at(place, u64::from(place) * 1_000)).collect();
        assert_eq!(first, [Sighting::Counts, Sighting::Copy, Sighting::Copy]);
        let again: Vec<Sighting> = (0..3).map(|place| at(place, 1_000_000 + u64::from(place))).collect();
        assert_eq!(again, [Sighting::Counts, Sighting::Copy, Sighting::Copy]);
    }

    #[test]
    fn what_is_sent_again_at_one_place_counts_again() {
        let mut copies = Copies::default();
        for nanos in 0..5 {
            assert_eq!(look(&mut copies, &segment(0, 100, 64), 0, nanos), Sighting::Counts);
        }
    }

    #[test]
    fn a_routed_hop_is_told_by_its_hops_left_only_where_the_identification_says_so() {
        let mut copies = Copies::default();
        assert_eq!(look(&mut copies, &segment(9, 1, 64), 0, 0), Sighting::Counts);
        assert_eq!(look(&mut copies, &segment(9, 1, 63), 0, 1), Sighting::Copy);
        assert_eq!(look(&mut copies, &segment(0, 1, 64), 0, 0), Sighting::Counts);
        assert_eq!(look(&mut copies, &segment(0, 1, 63), 0, 1), Sighting::Counts);
    }

    #[test]
    fn other_bytes_and_a_later_time_are_no_copies() {
        let mut copies = Copies::default();
        assert_eq!(look(&mut copies, &segment(1, 1, 64), 1, 0), Sighting::Counts);
        assert_eq!(look(&mut copies, &segment(1, 2, 64), 0, 0), Sighting::Counts);
        assert_eq!(look(&mut copies, &segment(1, 1, 64), 0, 2 * WINDOW), Sighting::Counts);
    }

    #[test]
    fn a_burst_is_remembered_up_to_its_bound() {
        let mut copies = Copies::default();
        for number in 0..200 {
            look(&mut copies, &segment(1, number, 64), 0, u64::from(number));
        }
        assert_eq!(copies.packets.len(), MOST);
        assert_eq!(look(&mut copies, &segment(1, 199, 64), 1, 300), Sighting::Copy);
        assert_eq!(look(&mut copies, &segment(1, 150, 64), 1, 300), Sighting::Copy);
        assert_eq!(look(&mut copies, &segment(1, 10, 64), 1, 300), Sighting::Counts);
        look(&mut copies, &segment(1, 500, 64), 0, 2 * WINDOW);
        assert!(copies.packets.len() <= MOST);
    }
}
