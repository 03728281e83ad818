//! The numbers with which connections were opened, and which of them may have been met twice.

use super::Transport;
use super::flows::{Flows, Spot};
use super::packed::Beginning;
use rayon::prelude::*;

/// The number of an opening, with a bit for its transport in front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened(pub(super) u64);

/// Flows that one processor looks at: for fewer, the others are not woken.
const MANY: usize = 16_384;
/// The bit of datagrams.
const DATAGRAM: u64 = 1 << 32;

impl Opened {
    pub(super) fn of(flows: &Flows, spot: Spot) -> Option<Opened> {
        Opened::in_short(&flows.glance(spot))
    }

    /// None where nothing joins such flows.
    pub(super) fn in_short(seen: &Beginning) -> Option<Opened> {
        let bit = match seen.transport {
            Transport::Tcp => 0,
            Transport::Udp => DATAGRAM,
            Transport::Sctp | Transport::Icmp | Transport::Other(_) => return None,
        };
        seen.opened.map(|number| Opened(bit | u64::from(number)))
    }
}

/// Which numbers were met, and which may have been met twice: two bits for each mark.
pub(super) struct Marks {
    bits: Vec<u64>,
    /// Bits of a hash that do not count.
    shift: u32,
}

impl Marks {
    /// The marks of all flows.
    pub(super) fn of(flows: &Flows, spots: &[Spot]) -> Marks {
        let each = spots.len().div_ceil(rayon::current_num_threads()).max(MANY);
        let of_some = |some: &[Spot]| {
            let mut marks = Marks::of_size(spots.len());
            some.iter().filter_map(|spot| Opened::of(flows, *spot)).for_each(|opened| marks.set(opened));
            marks
        };
        let all = spots.par_chunks(each).map(of_some).reduce_with(Marks::with);
        all.unwrap_or_else(|| Marks::of_size(0))
    }

    /// Those of both, which are of one size: what both met was met twice.
    fn with(mut self, other: Marks) -> Marks {
        const MET: u64 = u64::MAX / 3;
        for (word, more) in self.bits.iter_mut().zip(other.bits) {
            *word |= more | (*word & more & MET) << 1;
        }
        self
    }

    /// Eight marks for each flow, so that few share one by chance.
    fn of_size(flows: usize) -> Marks {
        let marks = (flows * 8).next_power_of_two().max(32);
        Marks { bits: vec![0; marks / 32], shift: 64 - marks.trailing_zeros() }
    }

    /// The word and the bit of a number.
    fn place(&self, opened: Opened) -> (usize, u32) {
        let mark = opened.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        ((mark >> 5) as usize, (mark & 31) as u32 * 2)
    }

    fn set(&mut self, opened: Opened) {
        let (word, bit) = self.place(opened);
        let known = self.bits[word] >> bit & 1;
        self.bits[word] |= (1 | known << 1) << bit;
    }

    pub(super) fn is_shared(&self, opened: Opened) -> bool {
        let (word, bit) = self.place(opened);
        self.bits[word] >> bit & 2 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_stand_twice_share_a_mark_and_few_others_do() {
        let mut random = 7_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 32
        };
        for size in [1, 2, 3, 31, 1_000, 20_000] {
            let of = |numbers: &[Opened]| {
                let mut marks = Marks::of_size(2 * size);
                numbers.iter().for_each(|opened| marks.set(*opened));
                marks
            };
            let alone: Vec<Opened> = (0..size).map(|_| Opened(next())).collect();
            let marks = of(&alone);
            let by_chance = alone.iter().filter(|opened| marks.is_shared(**opened)).count();
            assert!(by_chance <= size / 8 + 1, "{by_chance} of {size}");
            let again: Vec<Opened> = alone.iter().step_by(2).copied().collect();
            let all = of(&[alone.clone(), again.clone()].concat());
            assert!(again.iter().all(|opened| all.is_shared(*opened)));
            // Of numbers that were met apart, the same is known together.
            assert_eq!(marks.with(of(&again)).bits, all.bits);
            let (some, others) = alone.split_at(size / 2);
            assert_eq!(of(some).with(of(others)).bits, of(&alone).bits);
        }
    }
}
