//! The fixed-size key of a flow: both ends, the lower one first, and the protocol; and its hash.
//!
//! Packets carry it in short, for nearly all of them are of IPv4: two words say everything there.

use super::copies::fold;
use super::packet::Address;
use super::{FlowEnd, Transport};
use std::hash::BuildHasher;

/// Two ends and a protocol in five words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) low: Address,
    pub(super) high: Address,
    /// Ports, whether the ends are IPv6, IP protocol.
    pub(super) rest: u64,
}

/// Both addresses of an IPv6 flow, the lower one first.
pub(super) type Pair = (Address, Address);

/// The key of a packet's flow in short, and what follows from it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ShortKey {
    /// IPv4: both addresses, the lower one first. IPv6: the number of the pair in a list.
    pub(super) ends: u64,
    /// Ports, whether the ends are IPv6, IP protocol.
    pub(super) rest: u64,
    /// Half of the hash of the key under the seed of the run.
    pub(super) hash: u32,
    /// Which end sent the packet.
    pub(super) side: Side,
    /// [`Key::slice`].
    pub(super) slice: u8,
}

/// Slices of all flows: each has its part of the memory for first bytes, so that no more depends on
/// how many workers there are.
pub(super) const SLICES: usize = 16;

/// In `rest`: the ends are IPv6.
const IS_6: u64 = 1 << 8;
/// What `rest` says besides ports, which are its upper half: version and IP protocol.
pub(super) const KIND: u64 = 0x1ff;

/// Which end sent a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Side {
    #[default]
    High = 0,
    Low = 1,
}

impl Side {
    pub(super) fn other(self) -> Side {
        match self {
            Side::High => Side::Low,
            Side::Low => Side::High,
        }
    }

    /// For arrays of two.
    pub(super) fn index(self) -> usize {
        self as usize
    }
}

/// Secret numbers of a run: nobody can prepare packets that collide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seed([u64; 2]);

impl Seed {
    pub(super) fn random() -> Seed {
        let state = std::hash::RandomState::new();
        Seed([state.hash_one(1_u8) | 1, state.hash_one(2_u8) | 1])
    }
}

impl Key {
    /// The key of a packet, and which end sent it.
    #[inline]
    pub(super) fn of(source: (Address, u16), target: (Address, u16), protocol: u8) -> (Key, Side) {
        let key = |low: (Address, u16), high: (Address, u16)| Key {
            low: low.0,
            high: high.0,
            rest: u64::from(low.1) << 48
                | u64::from(high.1) << 32
                | if low.0.is_v4() { 0 } else { IS_6 }
                | u64::from(protocol),
        };
        match source <= target {
            true => (key(source, target), Side::Low),
            false => (key(target, source), Side::High),
        }
    }

    #[inline]
    pub(super) fn is_v6(&self) -> bool {
        is_v6(self.rest)
    }

    /// Both IPv4 addresses in one word.
    #[inline]
    pub(super) fn packed(&self) -> u64 {
        self.low.lower << 32 | self.high.lower
    }

    /// The key with these IPv4 addresses in one word.
    pub(super) fn unpacked(packed: u64, rest: u64) -> Key {
        Key { low: Address::v4((packed >> 32) as u32), high: Address::v4(packed as u32), rest }
    }

    pub(super) fn hash(&self, seed: Seed) -> u64 {
        let Seed([first, second]) = seed;
        if !self.is_v6() {
            return short_hash(self.packed(), self.rest, seed);
        }
        let ends = fold(self.low.lower ^ first, self.high.lower ^ second);
        let nets = fold(self.low.upper ^ second, self.high.upper.wrapping_add(first));
        fold(fold(ends ^ self.rest, first) ^ nets, second)
    }

    /// The slice of all flows that this one falls into: the same in every run, whatever the seed.
    #[inline]
    pub(super) fn slice(&self) -> u8 {
        slice(self.low.lower ^ self.high.lower.rotate_left(32), self.rest)
    }

    /// Both ends, the lower one first.
    pub(super) fn ends(&self) -> (FlowEnd, FlowEnd) {
        let (low, high) = ((self.rest >> 48) as u16, (self.rest >> 32) as u16);
        (self.low.end(low), self.high.end(high))
    }

    /// IP protocol number.
    pub(super) fn protocol(&self) -> u8 {
        self.rest as u8
    }

    pub(super) fn transport(&self) -> Transport {
        super::packet::transport(self.protocol())
    }
}

impl ShortKey {
    /// The key of a packet of IPv4: the short way to what [`ShortKey::of`] says.
    #[inline(always)]
    pub(super) fn v4(source: (u32, u16), target: (u32, u16), protocol: u8, seed: Seed) -> ShortKey {
        let word = |(address, port): (u32, u16)| u64::from(address) << 16 | u64::from(port);
        let (source, target) = (word(source), word(target));
        let (low, high) = (source.min(target), source.max(target));
        let ends = low >> 16 << 32 | high >> 16;
        let rest = low << 48 | (high & 0xffff) << 32 | u64::from(protocol);
        ShortKey {
            ends,
            rest,
            hash: short_hash(ends, rest, seed) as u32,
            side: if source <= target { Side::Low } else { Side::High },
            slice: slice(ends.rotate_left(32), rest),
        }
    }

    /// The key of any packet; the addresses of IPv6 go to the list.
    pub(super) fn of(
        source: (Address, u16),
        target: (Address, u16),
        protocol: u8,
        seed: Seed,
        pairs: &mut Vec<Pair>,
    ) -> ShortKey {
        let (key, side) = Key::of(source, target, protocol);
        let ends = match key.is_v6() {
            false => key.packed(),
            true => {
                pairs.push((key.low, key.high));
                pairs.len() as u64 - 1
            }
        };
        ShortKey { ends, rest: key.rest, hash: key.hash(seed) as u32, side, slice: key.slice() }
    }

    #[inline]
    pub(super) fn is_v6(&self) -> bool {
        is_v6(self.rest)
    }

    /// IP protocol number.
    #[inline]
    pub(super) fn protocol(&self) -> u8 {
        self.rest as u8
    }
}

#[inline]
fn is_v6(rest: u64) -> bool {
    rest & IS_6 != 0
}

/// The hash of a key of IPv4.
#[inline]
fn short_hash(ends: u64, rest: u64, Seed([first, second]): Seed) -> u64 {
    fold(ends ^ first, rest ^ second)
}

#[inline]
fn slice(ends: u64, rest: u64) -> u8 {
    ((ends ^ rest.rotate_left(11)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_directions_have_one_key_and_its_ends_come_back() {
        let (client, server) = ((Address::v6(9 << 80 | 1), 40_000), (Address::v6(8 << 80 | 2), 443));
        let seed = Seed::random();
        let ((key, side), (same, other)) = (Key::of(client, server, 6), Key::of(server, client, 6));
        assert_eq!((key, side.other()), (same, other));
        assert_eq!(key.hash(seed), same.hash(seed));
        assert_eq!(key.ends(), (server.0.end(443), client.0.end(40_000)));
        assert_eq!((key.protocol(), key.transport(), key.is_v6()), (6, Transport::Tcp, true));
        let (four, _) = Key::of((Address::v4(7), 1), (Address::v4(u32::MAX), 0), 17);
        assert_eq!(Key::unpacked(four.packed(), four.rest), four);
        assert!(usize::from(four.slice()) < SLICES && key.slice() == same.slice());
    }

    #[test]
    fn the_short_way_to_a_key_ends_where_the_long_one_does() {
        let seed = Seed::random();
        let ends = [(1, 9), (9, 1), (1, 1), (0x0a00_0001, 65_535), (u32::MAX, 0), (0x8000_0000, 443)];
        for (source, target) in ends.into_iter().flat_map(|one| ends.map(|other| (one, other))) {
            let mut pairs = Vec::new();
            let long = |(address, port)| (Address::v4(address), port);
            let short = ShortKey::v4(source, target, 17, seed);
            let same = ShortKey::of(long(source), long(target), 17, seed, &mut pairs);
            assert_eq!(format!("{short:?}"), format!("{same:?}"));
            let (key, _) = Key::of(long(source), long(target), 17);
            assert_eq!((Key::unpacked(short.ends, short.rest), pairs.len()), (key, 0));
        }
    }
}
