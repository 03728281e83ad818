//! The numbers with which connections were opened, and which of them may have been met twice.

use super::Transport;
use super::flows::{Flows, Spot};
use super::packed::Beginning;

/// The number of an opening, with a bit for its transport in front.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opened(pub(super) u64);

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
    /// Eight marks for each flow, so that few share one by chance.
    pub(super) fn of_size(flows: usize) -> Marks {
        let marks = (flows * 8).next_power_of_two().max(32);
        Marks { bits: vec![0; marks / 32], shift: 64 - marks.trailing_zeros() }
    }

    /// The word and the bit of a number.
    fn place(&self, opened: Opened) -> (usize, u32) {
        let mark = opened.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift;
        ((mark >> 5) as usize, (mark & 31) as u32 * 2)
    }

    pub(super) fn set(&mut self, opened: Opened) {
        let (word, bit) = self.place(opened);
        let known = self.bits[word] >> bit & 1;
        self.bits[word] |= (1 | known << 1) << bit;
    }

    pub(super) fn is_shared(&self, opened: Opened) -> bool {
        let (word, bit) = self.place(opened);
        self.bits[word] >> bit & 2 != 0
    }
}
