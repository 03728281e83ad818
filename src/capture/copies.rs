//! The same packet, met at several places (pod interface, bridge, node interface), is counted once.
//!
//! The rule: equal ends, protocol and IP identification, and for TCP equal sequence,
//! acknowledgement, flags, length and time stamp, for others equal length and payload, within a
//! tenth of a second, at a place where that packet was not met yet. Met again at the same place
//! it was sent again, and counts again. At one place, hops left that differ make two places,
//! where the IP identification is not zero.

use super::packet::Packet;
use super::place::PlaceId;

/// How far apart two captures of one packet may be, in nanoseconds.
const WINDOW: u64 = 100_000_000;
/// Packets that are remembered.
const SLOTS: usize = 1 << 15;
/// Places of one packet that are remembered.
const MOST_POINTS: usize = 6;

/// Whether a packet counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// For the first time, or sent again.
    Counts,
    /// It was counted at another place.
    Copy,
}

/// The packets of the last moments.
#[derive(Debug)]
pub(super) struct Copies {
    slots: Vec<Slot>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    identity: u64,
    time: u64,
    points: [Point; MOST_POINTS],
    used: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Point {
    place: PlaceId,
    hops: u8,
}

impl Copies {
    pub(super) fn new() -> Copies {
        Copies { slots: vec![Slot::default(); SLOTS] }
    }

    /// Looks at a packet; `flow` is the hash of its ends, `forward` tells the two directions apart.
    #[inline]
    pub(super) fn look(
        &mut self,
        packet: &Packet<'_>,
        flow: u64,
        forward: bool,
        place: PlaceId,
        nanos: u64,
    ) -> Sighting {
        let identity = identity(packet, flow, forward);
        let slot = &mut self.slots[identity as usize % SLOTS];
        let point = Point { place, hops: packet.hops };
        if slot.identity != identity || slot.time.abs_diff(nanos) > WINDOW || slot.used == 0 {
            *slot = Slot { identity, time: nanos, used: 1, ..Slot::default() };
            slot.points[0] = point;
            return Sighting::Counts;
        }
        let known = &slot.points[..usize::from(slot.used)];
        let met_here = known.iter().any(|p| p.place == place && (p.hops == packet.hops || packet.id == 0));
        if met_here {
            slot.used = 1;
            slot.time = nanos;
            slot.points[0] = point;
            return Sighting::Counts;
        }
        if let Some(free) = slot.points.get_mut(usize::from(slot.used)) {
            *free = point;
            slot.used += 1;
        }
        Sighting::Copy
    }
}

/// What copies of one packet have in common. Checksums are left out: offload leaves them open.
#[inline]
fn identity(packet: &Packet<'_>, flow: u64, forward: bool) -> u64 {
    let length = packet.payload.len() as u64 + packet.missing as u64;
    let common = u64::from(packet.id) << 48 | (length & 0xffff_ffff) << 8 | u64::from(forward);
    let own = match packet.is_tcp() {
        true => {
            let tcp = &packet.tcp;
            let order = u64::from(tcp.sequence) << 32 | u64::from(tcp.acknowledgement);
            order ^ (u64::from(tcp.timestamp) << 8 | u64::from(tcp.flags)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        }
        false => sample(packet.payload),
    };
    fold(fold(flow ^ common, 0xa076_1d64_78bd_642f) ^ own, 0xe703_7ed1_a0b4_28db) | 1
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
    use super::super::packet::Tcp;
    use super::*;

    fn segment(id: u16, sequence: u32, hops: u8) -> Packet<'static> {
        let tcp = Tcp { sequence, flags: 0x18, timestamp: 5, ..Tcp::default() };
        Packet { protocol: 6, id, hops, tcp, payload: b"data", ..Packet::default() }
    }

    #[test]
    fn a_packet_at_three_places_counts_once_and_its_repetition_once_more() {
        let mut copies = Copies::new();
        let mut look = |place, nanos| copies.look(&segment(7, 100, 64), 1, true, place, nanos);
        let first: Vec<Sighting> = (0..3).map(|place| look(place, u64::from(place) * 1_000)).collect();
        assert_eq!(first, [Sighting::Counts, Sighting::Copy, Sighting::Copy]);
        let again: Vec<Sighting> = (0..3).map(|place| look(place, 1_000_000 + u64::from(place))).collect();
        assert_eq!(again, [Sighting::Counts, Sighting::Copy, Sighting::Copy]);
    }

    #[test]
    fn what_is_sent_again_at_one_place_counts_again() {
        let mut copies = Copies::new();
        for nanos in 0..5 {
            assert_eq!(copies.look(&segment(0, 100, 64), 1, true, 0, nanos), Sighting::Counts);
        }
    }

    #[test]
    fn a_routed_hop_is_told_by_its_hops_left_only_where_the_identification_says_so() {
        let mut copies = Copies::new();
        assert_eq!(copies.look(&segment(9, 1, 64), 1, true, 0, 0), Sighting::Counts);
        assert_eq!(copies.look(&segment(9, 1, 63), 1, true, 0, 1), Sighting::Copy);
        assert_eq!(copies.look(&segment(0, 1, 64), 1, true, 0, 0), Sighting::Counts);
        assert_eq!(copies.look(&segment(0, 1, 63), 1, true, 0, 1), Sighting::Counts);
    }

    #[test]
    fn other_bytes_a_later_time_and_the_other_direction_are_no_copies() {
        let mut copies = Copies::new();
        let mut look = |id, sequence, forward, nanos| {
            copies.look(&segment(id, sequence, 64), 1, forward, u16::from(forward), nanos)
        };
        assert_eq!(look(1, 1, true, 0), Sighting::Counts);
        assert_eq!(look(2, 1, false, 0), Sighting::Counts);
        assert_eq!(look(1, 2, false, 0), Sighting::Counts);
        assert_eq!(look(1, 1, false, 2 * WINDOW), Sighting::Counts);
    }
}
