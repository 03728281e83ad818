//! The fixed-size key of a flow: both ends, the lower one first, and the protocol; and its hash.

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

/// Slices of all flows: each has its part of the memory for first bytes, so that no more depends on
/// how many workers there are.
pub(super) const SLICES: usize = 16;

/// In `rest`: the ends are IPv6.
const IS_6: u64 = 1 << 8;

/// Which end sent a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
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
        self.rest & IS_6 != 0
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

    #[inline]
    pub(super) fn hash(&self, seed: Seed) -> u64 {
        let Seed([first, second]) = seed;
        let ends = fold(self.low.lower ^ first, self.high.lower ^ second);
        if !self.is_v6() {
            return fold(ends ^ self.rest, first);
        }
        let nets = fold(self.low.upper ^ second, self.high.upper.wrapping_add(first));
        fold(fold(ends ^ self.rest, first) ^ nets, second)
    }

    /// The slice of all flows that this one falls into: the same in every run, whatever the seed.
    #[inline]
    pub(super) fn slice(&self) -> u8 {
        let ends = self.low.lower ^ self.high.lower.rotate_left(32) ^ self.rest.rotate_left(11);
        (ends.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 60) as u8
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
}
