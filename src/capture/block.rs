//! A block of captured packets that were read together, on its way from the reader through a
//! decoder to the tables.

use super::head::Head;
use super::key::Pair;
use super::place::Spot;
use super::window::{Interface, Record};

/// Packets of one block.
pub(super) const MOST_PACKETS: usize = 4_096;
/// Interfaces of a block that are looked through before one is listed again.
const SEARCHED: usize = 16;

/// Packets with their bytes; decoded, with what the tables need of them.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) bytes: Vec<u8>,
    pub(super) records: Vec<Captured>,
    pub(super) origins: Vec<Origin>,
    /// The latest time in the block before it, or its own earliest where that is earlier, in nanoseconds
    /// since 1970.
    pub(super) clock: u64,
    /// Packets that belong to a flow.
    pub(super) heads: Vec<Head>,
    /// By the tables that the flows belong to: where the heads of their packets stand.
    pub(super) rows: Vec<Vec<u32>>,
    /// The addresses of IPv6 that heads name by their number.
    pub(super) pairs: Vec<Pair>,
    /// Where fragments stand.
    pub(super) pieces: Vec<u32>,
    /// Who decoded the block.
    pub(super) decoder: usize,
    /// Places that its decoder met for the first time, in the order of their numbers.
    pub(super) spots: Vec<Spot>,
    /// The decoder numbers places anew from this block on.
    pub(super) anew: Anew,
}

/// Whether earlier numbers of places still hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Anew {
    /// They do.
    #[default]
    No,
    /// They do not.
    Yes,
}

/// Where a packet stands in its block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Captured {
    /// Nanoseconds since 1970.
    pub(super) nanos: u64,
    pub(super) start: u32,
    pub(super) length: u32,
    /// The row in the block's list.
    pub(super) origin: u32,
}

/// Where a packet comes from: which capture, and what that says of the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) input: u16,
    pub(super) interface: Interface,
}

impl Block {
    /// Forgets everything but memory.
    pub(super) fn clear(&mut self) {
        self.records.clear();
        self.origins.clear();
        self.pairs.clear();
        self.pieces.clear();
        self.spots.clear();
        self.heads.clear();
        self.rows.iter_mut().for_each(Vec::clear);
        self.anew = Anew::No;
    }

    /// Lists a packet whose bytes stand, or will stand, at the same place in the block.
    pub(super) fn push(&mut self, input: u16, record: &Record) {
        let origin = self.origin(Origin { input, interface: record.interface });
        let (start, length) = (record.bytes.start as u32, record.bytes.len() as u32);
        self.records.push(Captured { nanos: record.nanos, start, length, origin });
    }

    /// Adds a packet with its bytes.
    pub(super) fn add(&mut self, input: u16, record: &Record, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.push(input, &Record { bytes: start..self.bytes.len(), ..record.clone() });
    }

    /// The row of an origin.
    pub(super) fn origin(&mut self, origin: Origin) -> u32 {
        let from = self.origins.len().saturating_sub(SEARCHED);
        let known = self.origins[from..].iter().rposition(|known| *known == origin);
        let row = known.map_or(self.origins.len(), |row| from + row);
        if known.is_none() {
            self.origins.push(origin);
        }
        row as u32
    }

    /// Whether there is room for another packet.
    pub(super) fn has_room(&self) -> bool {
        self.records.len() < MOST_PACKETS
    }

    /// The bytes of a packet.
    #[inline]
    pub(super) fn packet(&self, record: &Captured) -> &[u8] {
        cut(&self.bytes, record)
    }
}

/// The bytes of a packet in those of its block.
#[inline]
pub(super) fn cut<'a>(bytes: &'a [u8], record: &Captured) -> &'a [u8] {
    let start = record.start as usize;
    bytes.get(start..start + record.length as usize).unwrap_or(&[])
}
