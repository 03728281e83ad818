//! The fixed-size key of a flow: both ends, the lower one first, and the protocol; and its hash.

use super::copies::fold;
use super::packet::{Address, Packet};
use super::{FlowEnd, Transport};
use std::hash::BuildHasher;

/// Two ends and a protocol in five words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key {
    low: Address,
    high: Address,
    /// Ports, IP protocol.
    rest: u64,
}

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
    pub(super) fn of(packet: &Packet<'_>) -> (Key, Side) {
        let (source, target) = (packet.source, packet.target);
        let (a, b) = (u64::from(packet.source_port), u64::from(packet.target_port));
        let key = |low, high, low_port, high_port| Key {
            low,
            high,
            rest: low_port << 48 | high_port << 32 | u64::from(packet.protocol),
        };
        match (source, a) <= (target, b) {
            true => (key(source, target, a, b), Side::Low),
            false => (key(target, source, b, a), Side::High),
        }
    }

    #[inline]
    pub(super) fn hash(&self, seed: Seed) -> u64 {
        let Seed([first, second]) = seed;
        let ends = fold(self.low.lower ^ first, self.high.lower ^ second);
        if self.low.is_v4() {
            return fold(ends ^ self.rest, first);
        }
        let nets = fold(self.low.upper ^ second, self.high.upper.wrapping_add(first));
        fold(fold(ends ^ self.rest, first) ^ nets, second)
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
        let there = Packet {
            source: Address::v6(9 << 80 | 1),
            target: Address::v6(8 << 80 | 2),
            source_port: 40_000,
            target_port: 443,
            protocol: 6,
            ..Packet::default()
        };
        let back = Packet {
            source: there.target,
            target: there.source,
            source_port: 443,
            target_port: 40_000,
            ..there.clone()
        };
        let seed = Seed::random();
        let ((key, side), (same, other)) = (Key::of(&there), Key::of(&back));
        assert_eq!((key, side.other()), (same, other));
        assert_eq!(key.hash(seed), same.hash(seed));
        assert_eq!(key.ends(), (there.target.end(443), there.source.end(40_000)));
        assert_eq!((key.protocol(), key.transport()), (6, Transport::Tcp));
    }
}
