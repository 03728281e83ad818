//! All flows that were seen, in the order of time, in a fraction of the memory that they take when
//! they are looked at: each is unpacked when its turn comes.

use super::attribute::Holder;
use super::packed::{self, Beginning, Brief, LONGEST};
use super::{ObservedFlow, Party, Stretch};
use crate::capture::{Flow, FlowEnd, Place, SeenMore, Transport, Tunnel};
use crate::protocol::Detection;
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Bytes of packed flows that are allocated at a time.
const CHUNK: usize = 256 << 10;
/// Flows whose memory is fetched into the caches together.
const FETCHED: usize = 32;
/// Flows of which something is made before it is taken, and those that one processor looks at.
const AT_A_TIME: usize = 4_096;
const SHARE: usize = 256;
/// Bytes of a line of the caches.
const LINE: usize = 64;

/// Observed flows in the order of time.
#[derive(Clone, Debug, Default)]
pub struct Flows {
    parts: Vec<Arc<Part>>,
    /// Flows that are no packed ones: joined of several legs, or added by hand.
    whole: Vec<ObservedFlow>,
    order: Vec<Spot>,
    /// Those that the directory numbers.
    parties: Arc<[Party]>,
}

/// Where a flow stands: the number of its part above, its first byte below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot(u64);

const PART: u32 = 47;
/// The part that means a whole flow.
const WHOLE: u64 = 0xffff;
/// A bit that says nothing of where a flow stands.
const MARK: u64 = 1 << 63;

impl Spot {
    fn parts(self) -> (u64, usize) {
        ((self.0 & !MARK) >> PART, (self.0 & ((1 << PART) - 1)) as usize)
    }

    /// The same place, with a mark for who sorts places, or without.
    pub(super) fn with_mark(self, mark: bool) -> Spot {
        Spot(if mark { self.0 | MARK } else { self.0 & !MARK })
    }

    /// Whether it has the mark.
    pub(super) fn is_marked(self) -> bool {
        self.0 & MARK != 0
    }
}

/// A flow as it is kept.
#[derive(Debug)]
pub enum Stored<'a> {
    /// With what it shares with others.
    Shared(Kept<'a>),
    /// By itself: joined of several legs, or added by hand.
    Whole(Box<ObservedFlow>),
}

/// A flow that shares with others what it has in common with them.
#[derive(Debug)]
pub struct Kept<'a> {
    /// Ends, counts and times.
    pub flow: Brief,
    /// Protocol and protection.
    pub detection: &'a Detection,
    /// Who opened it.
    pub initiator: &'a Party,
    /// Who was called.
    pub responder: &'a Party,
    /// Encapsulations, tunnel and places, where there are any.
    pub around: Option<&'a Around>,
    /// The number of `detection`.
    pub verdict: SharedNumber,
    /// The number of `around`; one for all that have none.
    pub surroundings: SharedNumber,
}

/// Numbers something that flows share: what has one number is the same, and lives as long as the
/// flows do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SharedNumber {
    part: u32,
    number: u32,
}

impl SharedNumber {
    /// A place among some, for tables that keep what was met last.
    pub fn slot(self, among: usize) -> usize {
        (self.number as usize).wrapping_mul(31).wrapping_add(self.part as usize) % among.max(1)
    }
}

/// The packed flows of one worker, with what they share.
#[derive(Debug, Default)]
pub(super) struct Part {
    chunks: Vec<Vec<u8>>,
    /// How many flows stand in them.
    pub(super) flows: usize,
    verdicts: Vec<Arc<Detection>>,
    arounds: Vec<Around>,
    known: HashMap<Around, u32>,
    /// Parties that the directory does not number, in the order in which they were met.
    told: Vec<Party>,
    told_numbers: HashMap<Party, u32>,
}

/// What is around a flow: encapsulations, the ends of the tunnel, places.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Around {
    /// Encapsulations, outermost first.
    pub via: Vec<String>,
    /// The outermost tunnel.
    pub tunnel: Option<Tunnel>,
    /// All places at which it was met, where there are several.
    pub places: Vec<Place>,
}

impl Part {
    /// Adds a verdict and tells its number.
    pub(super) fn verdict(&mut self, detection: Detection) -> u32 {
        self.verdicts.push(Arc::new(detection));
        (self.verdicts.len() - 1) as u32
    }

    /// All verdicts, by their numbers.
    pub(super) fn verdicts(&self) -> &[Arc<Detection>] {
        &self.verdicts
    }

    /// Packs a flow.
    pub(super) fn add(&mut self, mut flow: Flow, verdict: u32, ends: [Holder; 2]) {
        let parties = ends.map(|end| self.party(end));
        let around = self.around(&mut flow);
        let room = |chunk: &Vec<u8>| chunk.len() + LONGEST <= CHUNK;
        if !self.chunks.last().is_some_and(room) {
            // The first chunk grows: most captures are small.
            self.chunks.push(if self.chunks.is_empty() { Vec::new() } else { Vec::with_capacity(CHUNK) });
        }
        let Some(chunk) = self.chunks.last_mut() else { return };
        packed::pack(chunk, &Brief::of(&flow), verdict, parties, around);
        self.flows += 1;
    }

    /// Where each flow stands, in the order in which they were added.
    fn places(&self) -> impl Iterator<Item = usize> {
        let chunks = self.chunks.iter().enumerate();
        chunks.flat_map(|(number, chunk)| packed::places(chunk).map(move |at| number * CHUNK + at))
    }

    /// A number for a party: even for those of the directory, odd for others.
    fn party(&mut self, holder: Holder) -> u32 {
        match holder {
            Holder::Numbered(number) => number << 1,
            Holder::Told(party) => {
                let told = &mut self.told;
                let number = *self.told_numbers.entry_ref(&party).or_insert_with(|| {
                    told.push(party.clone());
                    (told.len() - 1) as u32
                });
                number << 1 | 1
            }
        }
    }

    /// The number of what is around a flow, which is taken from it; zero for nothing.
    fn around(&mut self, flow: &mut Flow) -> u32 {
        if flow.via.is_empty() && flow.seen.more.is_none() {
            return 0;
        }
        let more = flow.seen.more.as_deref_mut();
        let (tunnel, places) =
            more.map(|more| (more.tunnel, std::mem::take(&mut more.places))).unwrap_or_default();
        let around = Around { via: std::mem::take(&mut flow.via), tunnel, places };
        if around == Around::default() {
            return 0;
        }
        if let Some(number) = self.known.get(&around) {
            return *number;
        }
        let number = self.arounds.len() as u32 + 1;
        self.arounds.push(around.clone());
        self.known.insert(around, number);
        number
    }

    fn party_of<'a>(&'a self, number: u32, numbered: &'a [Party]) -> &'a Party {
        let list = if number & 1 == 0 { numbered } else { &self.told };
        &list[number as usize >> 1]
    }

    fn around_of(&self, number: u32) -> Option<&Around> {
        (number as usize).checked_sub(1).and_then(|row| self.arounds.get(row))
    }

    /// The bytes from a place on.
    fn bytes(&self, at: usize) -> &[u8] {
        self.chunks.get(at / CHUNK).and_then(|chunk| chunk.get(at % CHUNK..)).unwrap_or(&[])
    }

    fn unpack(&self, at: usize, numbered: &[Party]) -> ObservedFlow {
        let packed::Numbered { flow, verdict, parties, around } = packed::unpack(self.bytes(at));
        let mut flow = flow.flow();
        if let Some(around) = self.around_of(around) {
            flow.via.clone_from(&around.via);
            let more = flow.seen.more.get_or_insert_default();
            (more.tunnel, more.places) = (around.tunnel, around.places.clone());
            if **more == SeenMore::default() {
                flow.seen.more = None;
            }
        }
        let [initiator, responder] = parties.map(|number| self.party_of(number, numbered).clone());
        // The verdict says already where the flow was met.
        let (stretch, detection) = (Stretch::of(&flow), self.verdicts[verdict as usize].clone());
        ObservedFlow { flow, detection, initiator, responder, stretch }
    }
}

impl Flows {
    /// The flows of several workers, each in the order in which it ended them.
    pub(super) fn of(parts: Vec<Part>, parties: Arc<[Party]>) -> Flows {
        let mut flows = Flows { parties, ..Flows::default() };
        flows.order.resize(parts.iter().map(|part| part.flows).sum(), Spot(0));
        let mut rest = flows.order.as_mut_slice();
        let split = |part: &Part| rest.split_off_mut(..part.flows).unwrap_or_default();
        let orders: Vec<&mut [Spot]> = parts.iter().map(split).collect();
        (&parts, orders).into_par_iter().enumerate().for_each(|(number, (part, order))| {
            for (spot, at) in order.iter_mut().zip(part.places()) {
                *spot = Spot((number as u64) << PART | at as u64);
            }
        });
        for mut part in parts {
            (part.known, part.told_numbers) = (HashMap::new(), HashMap::new());
            flows.parts.push(Arc::new(part));
        }
        flows
    }

    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// All flows in their order.
    pub fn iter(&self) -> impl Iterator<Item = ObservedFlow> + '_ {
        self.order.iter().map(|spot| self.get(*spot))
    }

    /// Flows in their order, as they are kept: nothing that they share is copied. Their numbers in
    /// the order lie in a range; beyond the last there are none.
    pub fn stored_among(&self, numbers: Range<usize>) -> impl Iterator<Item = Stored<'_>> {
        let end = numbers.end.min(self.order.len());
        let order = self.order.get(numbers.start..end).unwrap_or_default();
        self.fetched(order).map(|spot| self.stored_at(*spot))
    }

    /// Where flows stand, some of which are read from together before they are handed out, so that
    /// the waits overlap: in the order of time, each stands somewhere else.
    fn fetched<'a>(&'a self, order: &'a [Spot]) -> impl Iterator<Item = &'a Spot> {
        let byte = |spot: &Spot| match spot.parts() {
            (WHOLE, _) => 0,
            (part, at) => {
                let bytes = self.parts[part as usize].bytes(at);
                // Nearly all take no more than two lines of the caches.
                bytes.first().unwrap_or(&0) ^ bytes.get(LINE).unwrap_or(&0)
            }
        };
        order.chunks(FETCHED).flat_map(move |some| {
            std::hint::black_box(some.iter().fold(0, |sum, spot| sum ^ byte(spot)));
            some
        })
    }

    /// Those flows, as they are kept, whose verdict is wanted; each verdict is asked about once.
    pub fn stored_with(&self, wanted: impl Fn(&Detection) -> bool) -> impl Iterator<Item = Stored<'_>> {
        let fits = self.fits(self.known(&wanted), wanted);
        self.fetched(&self.order).filter(move |spot| fits(spot)).map(|spot| self.stored_at(*spot))
    }

    /// Makes something of those flows, on all processors, and hands it out in their order. While
    /// that of some flows is taken, that of the next ones is made.
    pub(super) fn each_with<'a, T: Send>(
        &'a self,
        wanted: impl Fn(&Detection) -> bool + Sync,
        make: impl Fn(Stored<'a>) -> T + Sync,
        mut take: impl FnMut(T) + Send,
    ) {
        let fits = self.fits(self.known(&wanted), wanted);
        let of_some = |some: &'a [Spot]| -> Vec<T> {
            self.fetched(some).filter(|spot| fits(spot)).map(|spot| make(self.stored_at(*spot))).collect()
        };
        let mut made: Vec<Vec<T>> = Vec::new();
        for some in self.order.chunks(AT_A_TIME).chain([&[][..]]) {
            let before = std::mem::take(&mut made);
            ((), made) = rayon::join(
                || before.into_iter().flatten().for_each(&mut take),
                || some.par_chunks(SHARE).map(of_some).collect(),
            );
        }
    }

    /// The numbers in the order of flows whose verdict is wanted; each verdict is asked about once, and
    /// flows are looked at only where one is.
    pub(super) fn numbers_with(&self, wanted: impl Fn(&Detection) -> bool + Sync) -> Vec<usize> {
        let known = self.known(&wanted);
        let whole = || self.whole.iter().any(|flow| wanted(&flow.detection));
        if !known.iter().flatten().any(|wanted| *wanted) && !whole() {
            return Vec::new();
        }
        let fits = self.fits(known, wanted);
        let numbered = self.order.par_iter().enumerate();
        numbered.filter(|(_, spot)| fits(spot)).map(|(number, _)| number).collect()
    }

    /// Which verdicts of each part are wanted.
    fn known(&self, wanted: impl Fn(&Detection) -> bool) -> Vec<Vec<bool>> {
        let of = |part: &Arc<Part>| part.verdicts.iter().map(|verdict| wanted(verdict)).collect();
        self.parts.iter().map(of).collect()
    }

    /// Whether the verdict on a flow is wanted, where it is known of those that flows share.
    fn fits(&self, known: Vec<Vec<bool>>, wanted: impl Fn(&Detection) -> bool) -> impl Fn(&Spot) -> bool {
        move |spot| match spot.parts() {
            (WHOLE, at) => wanted(&self.whole[at].detection),
            (part, at) => {
                let verdict = packed::glance(self.parts[part as usize].bytes(at)).verdict;
                known[part as usize].get(verdict as usize).copied().unwrap_or(true)
            }
        }
    }

    /// What is around flows: encapsulations and places, each list once or a few times.
    pub(super) fn arounds(&self) -> impl Iterator<Item = (&[String], &[Place])> {
        let shared = self.parts.iter().flat_map(|part| &part.arounds);
        let shared = shared.map(|around| (around.via.as_slice(), around.places.as_slice()));
        shared.chain(self.whole.iter().map(|seen| (seen.flow.via.as_slice(), seen.flow.seen.places())))
    }

    /// The tunnels around flows.
    pub(super) fn tunnels(&self) -> BTreeSet<Tunnel> {
        let shared = self.parts.iter().flat_map(|part| &part.arounds).filter_map(|around| around.tunnel);
        let whole = self.whole.iter().filter_map(|seen| seen.flow.seen.more.as_deref()?.tunnel);
        shared.chain(whole).collect()
    }

    /// A flow by its number in the order.
    pub(super) fn at(&self, number: usize) -> Option<ObservedFlow> {
        self.order.get(number).map(|spot| self.get(*spot))
    }

    fn stored_at(&self, spot: Spot) -> Stored<'_> {
        let (part, at) = spot.parts();
        if part == WHOLE {
            return Stored::Whole(Box::new(self.whole[at].clone()));
        }
        let shared = &self.parts[part as usize];
        let packed::Numbered { flow, verdict, parties, around } = packed::unpack(shared.bytes(at));
        let numbered = |number: u32| SharedNumber { part: part as u32, number };
        let [initiator, responder] = parties.map(|number| shared.party_of(number, &self.parties));
        Stored::Shared(Kept {
            flow,
            detection: &shared.verdicts[verdict as usize],
            initiator,
            responder,
            around: shared.around_of(around),
            verdict: numbered(verdict),
            surroundings: numbered(around),
        })
    }

    /// What decides the order of flows that began at the same time.
    pub(super) fn rank(&self, spot: Spot) -> (FlowEnd, FlowEnd, Transport, u64) {
        let flow = self.bare(spot);
        (flow.initiator, flow.responder, flow.transport, flow.last)
    }

    /// A flow by itself: without first bytes and what it shares with others.
    pub(super) fn bare(&self, spot: Spot) -> Brief {
        match spot.parts() {
            (WHOLE, at) => Brief::of(&self.whole[at].flow),
            (part, at) => packed::unpack(self.parts[part as usize].bytes(at)).flow,
        }
    }

    /// Adds a flow behind the others.
    pub fn push(&mut self, flow: ObservedFlow) {
        let spot = self.whole(flow);
        self.order.push(spot);
    }

    /// Puts a flow in the place of another, by its number in the order.
    pub(super) fn put(&mut self, number: usize, flow: ObservedFlow) {
        let spot = self.whole(flow);
        self.order[number] = spot;
    }

    /// Keeps a flow as it is.
    pub(super) fn whole(&mut self, flow: ObservedFlow) -> Spot {
        self.whole.push(flow);
        Spot(WHOLE << PART | (self.whole.len() - 1) as u64)
    }

    /// Where the flows stand, in their order, which is to be made anew: until then there are none.
    pub(super) fn take_order(&mut self) -> Vec<Spot> {
        std::mem::take(&mut self.order)
    }

    /// Puts flows into another order, or leaves some out.
    pub(super) fn reorder(&mut self, order: Vec<Spot>) {
        self.order = order;
    }

    /// When a flow began, over what, and with which number it was opened.
    pub(super) fn glance(&self, spot: Spot) -> Beginning {
        let (part, at) = spot.parts();
        if part == WHOLE {
            let flow = &self.whole[at].flow;
            let opened = flow.seen.opening.map(|opening| opening.initiator);
            return Beginning { first: flow.first, transport: flow.transport, verdict: 0, opened };
        }
        packed::glance(self.parts[part as usize].bytes(at))
    }

    pub(super) fn get(&self, spot: Spot) -> ObservedFlow {
        let (part, at) = spot.parts();
        match part {
            WHOLE => self.whole[at].clone(),
            part => self.parts[part as usize].unpack(at, &self.parties),
        }
    }
}

impl From<Vec<ObservedFlow>> for Flows {
    /// Flows in the order in which they are given.
    fn from(flows: Vec<ObservedFlow>) -> Flows {
        let mut all = Flows::default();
        flows.into_iter().for_each(|flow| all.push(flow));
        all
    }
}
