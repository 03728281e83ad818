//! From the captured packets of a block to what the tables of flows need of them.

use super::block::{Block, MOST_PACKETS, Origin, cut};
use super::flow::Medium;
use super::head::Head;
use super::key::{Key, Seed};
use super::link::{self, LinkType};
use super::packet::{Oddity, Packet};
use super::place::{Spot, Spots};
use super::quick::{Quick, Shape};
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
#[derive(Clone, Copy)]
struct Way {
    row: u32,
    origin: Origin,
    link: Option<&'static LinkType>,
    shape: Option<Shape>,
}

impl Decoder {
    /// Decoder `number` of a run in which some tables share the flows.
    pub(super) fn new(number: usize, tables: usize, seed: Seed) -> Decoder {
        Decoder { number, tables, seed, spots: Spots::default(), counts: Counts::default() }
    }

    /// Decodes all packets of a block.
    pub(super) fn decode(&mut self, block: &mut Block) {
        block.decoder = self.number;
        block.anew = self.spots.bound();
        block.heads.resize_with(self.tables, Vec::new);
        self.counts.packets += block.records.len() as u64;
        let Block { bytes, records, origins, heads, pieces, spots: news, .. } = block;
        let mut way: Option<Way> = None;
        for (number, record) in records.iter().enumerate() {
            let number = number as u32;
            let frame = cut(bytes, record);
            self.counts.bytes += frame.len() as u64;
            let way = match &way {
                Some(way) if way.row == record.origin => way,
                _ => {
                    let Some(origin) = origins.get(record.origin as usize) else { continue };
                    way.insert(Way::of(record.origin, *origin))
                }
            };
            if let Some((quick, met)) = way.shape.and_then(|shape| {
                Some((Quick::read(shape, frame, self.seed)?, shape.met(frame, way.origin.interface)?))
            }) {
                let spot = self.place(&quick, met, way.origin.input, news);
                let table = self.table(&quick.key);
                heads[table].push(Head::quick(&quick, bytes, record.nanos, position(number, 0), spot));
                continue;
            }
            let (origin, mut packet) = (way.origin, way.origin.packet());
            let read = decode(way.link, frame, &mut packet);
            each_of_frame(read, packet, |sibling, found| match found {
                Err(oddity) => {
                    let link_type = origin.interface.link_type;
                    *self.counts.odd.entry((oddity, link_type)).or_default() += 1;
                }
                Ok(packet) if packet.fragment.is_some() => pieces.push(position(number, sibling)),
                Ok(packet) => {
                    let mut head = Head::of(packet, bytes, record.nanos, self.seed);
                    head.position = position(number, sibling);
                    head.spot = self.spots.number(Spot::of(origin.input, packet), news);
                    heads[self.table(&head.key)].push(head);
                }
            });
        }
    }

    /// The number of the place at which a packet was met, by what its link header says.
    #[inline(always)]
    fn place(
        &mut self,
        quick: &Quick<'_>,
        (interface, medium): (u32, Medium),
        input: u16,
        news: &mut Vec<Spot>,
    ) -> u32 {
        match quick.overlay {
            None => self.spots.plain(input, interface, medium, news),
            // What the link layer around a tunnel says is not said of its inside.
            Some((via, ends)) => self.spots.overlay((input, interface), via, ends, news),
        }
    }

    /// The table that a flow belongs to: slices of flows are never split.
    #[inline]
    fn table(&self, key: &Key) -> usize {
        if self.tables == 1 { 0 } else { usize::from(key.slice()) % self.tables }
    }
}

impl Way {
    fn of(row: u32, origin: Origin) -> Way {
        let link = link::of(origin.interface.link_type);
        Way { row, origin, link, shape: link.and_then(LinkType::shape) }
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
    mut packet: Packet<'a>,
    mut each: impl FnMut(u32, Result<&Packet<'a>, Oddity>),
) {
    for number in 0.. {
        let siblings = packet.siblings.take();
        each(number, read.map(|()| &packet));
        let Some(siblings) = siblings else { return };
        packet = siblings.packet();
        read = tunnel::follow((Layer::Aggregate, siblings.bytes), &mut packet);
    }
}

/// The position of a packet in its block: the record, and below it which one of the frame.
pub(super) fn position(record: u32, sibling: u32) -> u32 {
    record << SIBLINGS | sibling.min((1 << SIBLINGS) - 1)
}

const SIBLINGS: u32 = 16;
const _: () = assert!(MOST_PACKETS <= 1 << (32 - SIBLINGS));
