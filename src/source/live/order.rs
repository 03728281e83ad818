//! Packets of several interfaces, put into the order of time before they are handed over.
//!
//! The kernel hands packets over in blocks, each interface its own, and a block that does not fill
//! only after a while: what was met at two interfaces may come a tenth of a second apart. A packet
//! waits until nothing earlier can come from any other interface.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// After how long the kernel hands over a block that is not full (`to_ms` of pcap(3)).
pub(super) const BLOCK: Duration = Duration::from_millis(100);
/// How much later than that it may come: timers are not exact.
const SLACK: Duration = Duration::from_millis(50);
/// What was captured before this much time is here, where an interface has nothing more to give.
pub(super) const SETTLED: Duration = Duration::from_millis((BLOCK.as_millis() + SLACK.as_millis()) as u64);
/// Bytes that may wait; beyond, packets are handed over as they are.
const MOST: usize = 64 << 20;

/// A packet that waits.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Waiting {
    /// Microseconds since 1970.
    pub(super) micros: u64,
    /// The number of its interface.
    pub(super) interface: u32,
    /// The order in which packets of one interface and one time came.
    number: u64,
    /// Its length on the wire.
    pub(super) length: u32,
    /// What was captured of it.
    pub(super) bytes: Vec<u8>,
}

/// Packets that wait, the earliest first.
#[derive(Debug)]
pub(super) struct Order {
    waiting: BinaryHeap<Reverse<Waiting>>,
    bytes: usize,
    number: u64,
    /// For each interface, until when everything is here, in microseconds since 1970; `None` for
    /// those that are closed.
    here: Vec<Option<u64>>,
}

impl Order {
    pub(super) fn new(interfaces: usize) -> Order {
        Order { waiting: BinaryHeap::new(), bytes: 0, number: 0, here: vec![Some(0); interfaces] }
    }

    /// A packet came; those of one interface come in their order.
    pub(super) fn put(&mut self, interface: usize, micros: u64, length: u32, bytes: &[u8]) {
        self.settled(interface, micros);
        self.number += 1;
        self.bytes += bytes.len();
        let (interface, number, bytes) = (interface as u32, self.number, bytes.to_vec());
        self.waiting.push(Reverse(Waiting { micros, interface, number, length, bytes }));
    }

    /// Nothing that was captured before this time will come from an interface any more.
    pub(super) fn settled(&mut self, interface: usize, micros: u64) {
        if let Some(Some(here)) = self.here.get_mut(interface) {
            *here = micros.max(*here);
        }
    }

    /// Nothing at all will come from an interface any more.
    pub(super) fn close(&mut self, interface: usize) {
        if let Some(here) = self.here.get_mut(interface) {
            *here = None;
        }
    }

    /// The earliest packet, where nothing earlier can come.
    pub(super) fn next(&mut self) -> Option<Waiting> {
        let here = self.here.iter().flatten().min().copied().unwrap_or(u64::MAX);
        let Reverse(first) = self.waiting.peek()?;
        if first.micros > here && self.bytes <= MOST {
            return None;
        }
        let Reverse(first) = self.waiting.pop()?;
        self.bytes -= first.bytes.len();
        Some(first)
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(order: &mut Order) -> Vec<(u64, u32)> {
        std::iter::from_fn(|| order.next()).map(|packet| (packet.micros, packet.interface)).collect()
    }

    #[test]
    fn a_packet_waits_until_nothing_earlier_can_come() {
        let mut order = Order::new(2);
        order.put(0, 10, 60, b"a");
        order.put(0, 30, 60, b"b");
        assert_eq!(all(&mut order), []);
        order.put(1, 11, 60, b"a");
        assert_eq!(all(&mut order), [(10, 0), (11, 1)]);
        order.settled(1, 25);
        assert_eq!(all(&mut order), []);
        order.settled(1, 30);
        assert_eq!(all(&mut order), [(30, 0)]);
        assert!(order.is_empty());
    }

    #[test]
    fn packets_of_one_time_keep_their_order() {
        let mut order = Order::new(2);
        for byte in 0..5 {
            order.put(0, 7, 60, &[byte]);
        }
        order.close(1);
        let bytes: Vec<u8> = std::iter::from_fn(|| order.next()).flat_map(|packet| packet.bytes).collect();
        assert_eq!(bytes, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn nobody_waits_for_an_interface_that_is_gone_nor_with_too_many_bytes() {
        let mut order = Order::new(2);
        order.put(0, 10, 60, b"a");
        order.close(1);
        assert_eq!(all(&mut order), [(10, 0)]);
        let mut order = Order::new(2);
        for number in 0..3 {
            order.put(0, 10 + number, 60, &vec![0; MOST / 2]);
        }
        assert_eq!(all(&mut order), [(10, 0)]);
    }
}
