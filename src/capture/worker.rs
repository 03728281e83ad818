//! Who has one table of flows: takes its share of every block, in their order, and puts fragments
//! together.
//!
//! All workers put all fragments together, for only the whole tells whose flow it is.

use super::block::{Anew, Block};
use super::container::{CaptureSummary, InputSummary};
use super::decode::{Counts, decode, each_of_frame, position, record};
use super::flow::Audience;
use super::fragment::{Datagram, Fragments};
use super::head::{BATCH, Batch, Head};
use super::limits::FlowLimits;
use super::link;
use super::packet::{Oddity, Packet};
use super::place::{PlaceId, Spot};
use super::table::{FlowTable, Share};
use super::tunnel::{self, Layer};
use super::window::Oddities;
use std::collections::BTreeMap;

/// One table of flows, and who hears of them.
pub(super) struct Worker<'a> {
    share: Share,
    table: FlowTable,
    fragments: Fragments,
    /// The table's numbers of the places that each decoder numbered.
    places: Vec<Vec<PlaceId>>,
    /// Datagrams, put together, that made no flow.
    odd: BTreeMap<Oddity, u64>,
    audience: &'a mut dyn Audience,
}

/// What a worker knows in the end besides flows.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Packets of its flows that were met again at another place.
    copies: u64,
    /// Of its flows alone.
    own: Vec<(&'static str, u64)>,
    /// Of all fragments.
    fragments: Vec<(String, u64)>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(limits: FlowLimits, share: Share, audience: &'a mut dyn Audience) -> Self {
        Worker {
            share,
            table: FlowTable::new(limits, share, audience.judging()),
            fragments: Fragments::default(),
            places: Vec::new(),
            odd: BTreeMap::new(),
            audience,
        }
    }

    /// Takes the packets of its flows.
    pub(super) fn take(&mut self, block: &Block) {
        self.learn(block);
        self.table.clock = block.clock;
        let Some(rows) = block.rows.get(self.share.number) else { return };
        if block.pieces.is_empty() && self.fragments.is_empty() {
            self.count(block, rows);
        } else {
            self.count_around_fragments(block, rows);
        }
        self.answer();
    }

    /// Learns the places that a decoder met for the first time.
    fn learn(&mut self, block: &Block) {
        if self.places.len() <= block.decoder {
            self.places.resize_with(block.decoder + 1, Vec::new);
        }
        let known = &mut self.places[block.decoder];
        if block.anew == Anew::Yes {
            known.clear();
        }
        known.extend(block.spots.iter().map(|spot| self.table.places.number(*spot)));
    }

    fn count(&mut self, block: &Block, rows: &[u32]) {
        let places = &self.places[block.decoder];
        let Block { heads, bytes, pairs, .. } = block;
        for rows in rows.chunks(BATCH) {
            let batch = Batch { heads, rows, places, bytes, pairs };
            self.table.packets(&batch, self.audience);
            if let Some(now) = self.audience.asks() {
                self.table.survey(now, self.audience);
            }
        }
    }

    /// The same where fragments come between: at the same packet for any number of workers.
    #[cold]
    fn count_around_fragments(&mut self, block: &Block, rows: &[u32]) {
        let mut rest = rows;
        let mut pieces = block.pieces.iter().copied().peekable();
        let record_of = |piece: Option<&u32>| piece.map_or(u32::MAX, |piece| record(*piece));
        let (mut due, mut next) = (self.fragments.due(), record_of(pieces.peek()));
        for (number, record) in (0_u32..).zip(&block.records) {
            if record.nanos <= due && number != next {
                continue;
            }
            let Some(origin) = block.origins.get(record.origin as usize) else { continue };
            if record.nanos > due {
                rest = self.count_before(position(number, 0), block, rest);
                self.expire(origin.input, record.nanos);
                due = self.fragments.due();
            }
            if number != next {
                continue;
            }
            let mut packet = origin.packet();
            let link = link::of(origin.interface.link_type);
            let read = decode(link, block.packet(record), &mut packet);
            each_of_frame(read, &mut packet, |sibling, found| {
                if let Ok(packet) = found
                    && packet.fragment.is_some()
                    && pieces.next_if_eq(&position(number, sibling)).is_some()
                {
                    // Earlier packets come first also where a whole datagram follows.
                    rest = self.count_before(position(number, sibling), block, rest);
                    self.piece(packet, origin.input, record.nanos);
                }
            });
            (due, next) = (self.fragments.due(), record_of(pieces.peek()));
        }
        self.count(block, rest);
    }

    /// Counts the packets before a position, and returns the others.
    fn count_before<'r>(&mut self, position: u32, block: &Block, rows: &'r [u32]) -> &'r [u32] {
        let is_before = |row: &u32| block.heads[*row as usize].position < position;
        let (earlier, later) = rows.split_at(rows.partition_point(is_before));
        self.count(block, earlier);
        later
    }

    /// Shows open flows to who asks for them.
    fn answer(&mut self) {
        if let Some(now) = self.audience.asks() {
            self.table.survey(now, self.audience);
        }
    }

    /// Gives up datagrams that have waited for too long.
    fn expire(&mut self, input: u16, nanos: u64) {
        while let Some(beginning) = self.fragments.expire(nanos) {
            if let Some(beginning) = beginning {
                let last = beginning.last;
                self.datagram(&beginning, input, last);
            }
        }
    }

    /// A fragment waits for the others; the whole may be a tunnel with fragments inside.
    fn piece(&mut self, packet: &Packet<'_>, input: u16, nanos: u64) {
        let Some(fragment) = packet.fragment else { return };
        if let Some(whole) = self.fragments.add(packet, fragment, nanos) {
            self.datagram(&whole, input, nanos);
        }
        while self.fragments.is_over_budget() {
            if let Some(beginning) = self.fragments.give_up_oldest() {
                self.datagram(&beginning, input, nanos);
            }
        }
    }

    fn datagram(&mut self, datagram: &Datagram, input: u16, nanos: u64) {
        let mut packet = datagram.head.packet();
        let layer = Layer::Protocol(datagram.head.protocol());
        let read = tunnel::follow((layer, &datagram.bytes), &mut packet);
        each_of_frame(read, &mut packet, |_, found| match found {
            // Each whole is deeper than its pieces, so this ends at the deepest layer.
            Ok(packet) if packet.fragment.is_some() => self.piece(packet, input, nanos),
            Ok(packet) => {
                let mut pairs = Vec::new();
                let bytes = &datagram.bytes;
                let head = Head::of(packet, bytes, nanos, self.share.seed, &mut pairs);
                if self.table.is_ours(&head.key) {
                    let place = self.table.places.number(Spot::of(input, packet));
                    let batch = Batch { heads: &[head], rows: &[0], places: &[place], bytes, pairs: &pairs };
                    self.table.packets(&batch, self.audience);
                }
            }
            Err(oddity) => *self.odd.entry(oddity).or_default() += 1,
        });
    }

    /// Hands out all flows that are left.
    pub(super) fn finish(mut self) -> Told {
        while !self.fragments.is_empty() {
            if let Some(beginning) = self.fragments.give_up_oldest() {
                let nanos = beginning.last;
                self.datagram(&beginning, 0, nanos);
            }
        }
        self.table.finish(self.audience);
        let lost = self.fragments.lost;
        let counted = [
            ("fragments whose first part was not seen", lost.headless),
            ("fragmented packets that never became whole", lost.incomplete),
            ("fragmented packets whose parts contradict each other", lost.contradictory),
            ("fragmented packets that were given up to bound memory", lost.budget),
        ];
        let counted = counted.map(|(what, count)| (what.to_owned(), count)).into_iter();
        let odd = self.odd.into_iter().map(|(oddity, count)| (oddity.text(0), count));
        Told {
            copies: self.table.copied(),
            own: self.table.oddities().collect(),
            fragments: counted.chain(odd).filter(|(_, count)| *count > 0).collect(),
        }
    }
}

/// What everybody knows in the end, together; of fragments all workers know the same.
pub(super) fn summary(inputs: Vec<InputSummary>, counts: Vec<Counts>, told: &[Told]) -> CaptureSummary {
    let mut summary = CaptureSummary { inputs, ..CaptureSummary::default() };
    let mut oddities = Oddities::default();
    for counts in counts {
        summary.packets += counts.packets;
        summary.bytes += counts.bytes;
        for ((oddity, link_type), count) in counts.odd {
            oddities.many(&oddity.text(link_type), count);
        }
    }
    let fragments = told.first().map_or(&[][..], |told| &told.fragments);
    fragments.iter().for_each(|(what, count)| oddities.many(what, *count));
    for told in told {
        summary.copies += told.copies;
        told.own.iter().for_each(|(what, count)| oddities.many(what, *count));
    }
    CaptureSummary { oddities: oddities.0, ..summary }
}
