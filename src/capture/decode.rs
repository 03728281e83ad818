//! From the captured packets of a block to what the tables of flows need of them.

use super::block::{Block, Captured, MOST_PACKETS, Origin, cut};
use super::flow::Medium;
use super::head::Head;
use super::key::{Seed, ShortKey};
use super::link::{self, LinkType};
use super::packet::{Oddity, Packet};
use super::place::{Spot, Spots};
use super::quick::{self, Means, Shape, Wrapping};
use super::tunnel::{self, Layer};
use std::collections::BTreeMap;

/// Decodes blocks; what it counts belongs to no flow.
#[derive(Debug)]
pub(super) struct Decoder {
    number: usize,
    /// How many tables share the flows.
    tables: usize,
    seed: Seed,
    spots: Spots,
    pub(super) counts: Counts,
}

/// What decoders count.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) packets: u64,
    /// Captured bytes of the packets.
    pub(super) bytes: u64,
    /// Packets that made no flow, by reason and link type.
    pub(super) odd: BTreeMap<(Oddity, u32), u64>,
}

/// How the packets of one origin are read.
struct Way {
    row: u32,
    origin: Origin,
    link: Option<&'static LinkType>,
    shape: Option<Shape>,
    /// By what the link layer says: the interface of the latest packet that no tunnel was around,
    /// and the number of its place.
    latest: [Option<(u32, u32)>; Medium::KINDS],
}

/// The number and the medium of an interface.
type Met = (u32, Medium);

impl Decoder {
    /// Decoder `number` of a run in which some tables share the flows.
    pub(super) fn new(number: usize, tables: usize, seed: Seed) -> Decoder {
        Decoder { number, tables, seed, spots: Spots::default(), counts: Counts::default() }
    }

    /// Decodes all packets of a block.
    pub(super) fn decode(&mut self, block: &mut Block) {
        block.decoder = self.number;
        block.anew = self.spots.bound();
        block.rows.resize_with(self.tables, Vec::new);
        self.counts.packets += block.records.len() as u64;
        self.counts.bytes += block.records.iter().map(|record| u64::from(record.length)).sum::<u64>();
        let mut way: Option<Way> = None;
        for number in 0..block.records.len() {
            let record = block.records[number];
            let way = match &mut way {
                Some(way) if way.row == record.origin => way,
                _ => {
                    let Some(origin) = block.origins.get(record.origin as usize) else { continue };
                    way.insert(Way::of(record.origin, *origin))
                }
            };
            if self.by_short_way(number as u32, &record, way, block).is_none() {
                self.by_tables(number as u32, &record, way, block);
            }
        }
    }

    /// Decodes a packet that is as nearly all are.
    #[inline(always)]
    fn by_short_way(
        &mut self,
        number: u32,
        record: &Captured,
        way: &mut Way,
        block: &mut Block,
    ) -> Option<()> {
        let Block { bytes, heads, rows, spots: news, .. } = &mut *block;
        let (shape, frame) = (way.shape?, cut(bytes, record));
        let met = shape.met(frame, way.origin.interface)?;
        let Some(segment) = quick::segment(shape, frame, self.seed) else {
            return self.by_longer_way(number, record, way, block);
        };
        let spot = way.spot(met, &mut self.spots, news);
        rows[table(self.tables, &segment.key)].push(heads.len() as u32);
        heads.push(placed(segment, number, record, spot));
        Some(())
    }

    /// Decodes a packet that is no segment of TCP in IPv4.
    #[inline(never)]
    fn by_longer_way(
        &mut self,
        number: u32,
        record: &Captured,
        way: &mut Way,
        block: &mut Block,
    ) -> Option<()> {
        let Block { bytes, heads, pairs, rows, spots: news, .. } = block;
        let (shape, frame) = (way.shape?, cut(bytes, record));
        let met = shape.met(frame, way.origin.interface)?;
        let row = heads.len();
        if let Some((segment, via, ends)) = quick::segment_in_overlay(shape, frame, self.seed) {
            let spot = self.spots.overlay((way.origin.input, met.0), via, ends, news);
            rows[table(self.tables, &segment.key)].push(row as u32);
            heads.push(placed(segment, number, record, spot));
            return Some(());
        }
        let head = heads.push_mut(Head::default());
        let mut means = Means { seed: self.seed, pairs };
        let Some(around) = quick::read(shape, frame, head, &mut means) else {
            heads.truncate(row);
            return None;
        };
        let spot = match around {
            Wrapping::Nothing => way.spot(met, &mut self.spots, news),
            // What the link layer around a tunnel says is not said of its inside.
            Wrapping::Overlay(via, ends) => self.spots.overlay((way.origin.input, met.0), via, ends, news),
        };
        *head = placed(*head, number, record, spot);
        rows[table(self.tables, &head.key)].push(row as u32);
        Some(())
    }

    /// Decodes a packet by the tables of layers.
    #[inline(never)]
    fn by_tables(&mut self, number: u32, record: &Captured, way: &Way, block: &mut Block) {
        let Block { bytes, heads, pairs, rows, pieces, spots: news, .. } = block;
        let (origin, mut packet) = (way.origin, way.origin.packet());
        let read = decode(way.link, cut(bytes, record), &mut packet);
        each_of_frame(read, &mut packet, |sibling, found| match found {
            Err(oddity) => {
                let link_type = origin.interface.link_type;
                *self.counts.odd.entry((oddity, link_type)).or_default() += 1;
            }
            Ok(packet) if packet.fragment.is_some() => pieces.push(position(number, sibling)),
            Ok(packet) => {
                let mut head = Head::of(packet, bytes, record.nanos, self.seed, pairs);
                head.position = position(number, sibling);
                head.spot = self.spots.number(Spot::of(origin.input, packet), news);
                rows[table(self.tables, &head.key)].push(heads.len() as u32);
                heads.push(head);
            }
        });
    }
}

/// The head of a packet that a frame was read into, with its place in the block and in the capture.
#[inline(always)]
fn placed(head: Head, number: u32, record: &Captured, spot: u32) -> Head {
    let (payload, length) = head.payload;
    Head {
        nanos: record.nanos,
        payload: (record.start + payload, length),
        position: position(number, 0),
        spot,
        ..head
    }
}

/// The table that a flow belongs to: slices of flows are never split.
#[inline]
fn table(tables: usize, key: &ShortKey) -> usize {
    if tables == 1 { 0 } else { usize::from(key.slice) % tables }
}

impl Way {
    fn of(row: u32, origin: Origin) -> Way {
        let link = link::of(origin.interface.link_type);
        Way { row, origin, link, shape: link.and_then(LinkType::shape), latest: Default::default() }
    }

    /// The number of the place of packets that no tunnel is around.
    #[inline(always)]
    fn spot(&mut self, met: Met, spots: &mut Spots, news: &mut Vec<Spot>) -> u32 {
        let (interface, medium) = met;
        match self.latest[medium as usize] {
            Some((latest, number)) if latest == interface => number,
            _ => {
                let number = spots.plain(self.origin.input, interface, medium, news);
                self.latest[medium as usize] = Some((interface, number));
                number
            }
        }
    }
}

impl Origin {
    /// A packet of which nothing is known but where it comes from.
    pub(super) fn packet<'a>(&self) -> Packet<'a> {
        Packet { interface: self.interface.number, medium: self.interface.medium, ..Packet::default() }
    }
}

/// From a link header down to the innermost transport.
#[inline]
pub(super) fn decode<'a>(
    link: Option<&LinkType>,
    bytes: &'a [u8],
    packet: &mut Packet<'a>,
) -> Result<(), Oddity> {
    let next = link.ok_or(Oddity::LinkType)?.open(bytes, packet)?;
    tunnel::follow(next, packet)
}

/// All packets of a frame, each with its number in the frame.
pub(super) fn each_of_frame<'a>(
    mut read: Result<(), Oddity>,
    packet: &mut Packet<'a>,
    mut each: impl FnMut(u32, Result<&Packet<'a>, Oddity>),
) {
    for number in 0.. {
        let siblings = packet.siblings.take();
        each(number, read.map(|()| &*packet));
        let Some(siblings) = siblings else { return };
        *packet = siblings.packet();
        read = tunnel::follow((Layer::Aggregate, siblings.bytes), packet);
    }
}

/// The position of a packet in its block: the record, and below it which one of the frame.
pub(super) fn position(record: u32, sibling: u32) -> u32 {
    record << SIBLINGS | sibling.min((1 << SIBLINGS) - 1)
}

/// The record of a position.
pub(super) fn record(position: u32) -> u32 {
    position >> SIBLINGS
}

const SIBLINGS: u32 = 16;
const _: () = assert!(MOST_PACKETS <= 1 << (32 - SIBLINGS));
