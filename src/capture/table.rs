//! The flow table: a fixed key, bounded size, no allocation for a packet of a known flow that has
//! shown enough of itself.

use super::copies::Sighting;
use super::flow::{Audience, Flow, Judging};
use super::index::Index;
use super::key::{Key, Seed, Side};
use super::packet::Packet;
use super::place::Places;
use super::state::{Cold, Kept, State};
use std::collections::VecDeque;

/// How much the table may hold.
#[derive(Clone, Copy, Debug)]
pub struct FlowLimits {
    /// Flows at a time; the longest idle ones make room. One costs about 150 bytes.
    pub flows: usize,
    /// First payload bytes kept of each direction.
    pub stream_bytes: usize,
    /// Memory for first payload bytes in all. Beyond, the flows that hold theirs for longest are
    /// judged by what they have; where nobody judges early, streams are cut and say so.
    pub payload_bytes: usize,
    /// A flow that is silent for longer is over, in nanoseconds.
    pub idle_nanos: u64,
}

impl Default for FlowLimits {
    fn default() -> Self {
        FlowLimits {
            flows: 1_000_000,
            stream_bytes: 16 << 10,
            payload_bytes: 512 << 20,
            idle_nanos: 600_000_000_000,
        }
    }
}

/// Packets may be this much out of the order of time, in nanoseconds, before a flow is given up too early.
const GRACE: u64 = 5_000_000_000;
/// Slots that are looked at for each new flow, to find those that are over.
const LOOKED_AT: usize = 4;
/// Places for first bytes that are kept for the next flow.
const MOST_SPARE: usize = 512;

/// What a table counts of its own flows alone.
pub(super) const OWN_ODDITIES: [&str; 3] = [
    "flows that left the full table before their end",
    "flows whose first bytes were not all kept, to bound memory",
    "packets met at more places than are told apart",
];

/// Packets that are looked up together.
pub(super) const BATCH: usize = 32;

/// A packet and the flow that it belongs to.
#[derive(Debug)]
pub(super) struct Addressed<'a> {
    pub(super) packet: Packet<'a>,
    input: u16,
    nanos: u64,
    key: Key,
    side: Side,
    hash: u64,
}

impl<'a> Addressed<'a> {
    /// A packet whose flow is not known yet.
    pub(super) fn new(packet: Packet<'a>, input: u16, nanos: u64) -> Addressed<'a> {
        Addressed { packet, input, nanos, key: Key::default(), side: Side::Low, hash: 0 }
    }
}

/// Whether a flow falls to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belongs {
    Here,
    Elsewhere,
}

/// Which part of the flows a table holds: those whose hash falls to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) number: usize,
    pub(super) of: usize,
    pub(super) seed: Seed,
}

/// All flows that are open.
#[derive(Debug)]
pub(super) struct FlowTable {
    limits: FlowLimits,
    share: Share,
    judging: Judging,
    index: Index,
    slots: Vec<Option<State>>,
    free: Vec<u32>,
    hand: usize,
    pub(super) places: Places,
    #[expect(clippy::vec_box, reason = "boxes go into flows and come back as they are")]
    spare: Vec<Box<Cold>>,
    /// Flows with first bytes, oldest first, each with the serial number of its cold part.
    holders: VecDeque<(u32, u32)>,
    serial: u32,
    payload: usize,
    evicted: u64,
    over_budget: u64,
    copied: u64,
}

impl FlowTable {
    pub(super) fn new(limits: FlowLimits, share: Share, judging: Judging) -> Self {
        FlowTable {
            limits: FlowLimits { flows: (limits.flows / share.of).max(1), ..limits },
            share,
            judging,
            index: Index::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hand: 0,
            places: Places::default(),
            spare: Vec::new(),
            holders: VecDeque::new(),
            serial: 0,
            payload: 0,
            evicted: 0,
            over_budget: 0,
            copied: 0,
        }
    }

    /// Finds the key of a decoded packet; tells whether its flow belongs to this table.
    #[inline]
    pub(super) fn address(&self, addressed: &mut Addressed<'_>) -> Belongs {
        (addressed.key, addressed.side) = Key::of(&addressed.packet);
        addressed.hash = addressed.key.hash(self.share.seed);
        match self.share.of == 1 || (addressed.hash >> 40) as usize % self.share.of == self.share.number {
            true => Belongs::Here,
            false => Belongs::Elsewhere,
        }
    }

    /// Counts packets in their order. Their flows' memory is fetched for all of them beforehand,
    /// so that the waits overlap.
    pub(super) fn packets(&mut self, batch: &[Addressed<'_>], audience: &mut dyn Audience) {
        if batch.len() > 1 {
            let mut slots = [0_u32; BATCH];
            for (slot, addressed) in slots.iter_mut().zip(batch) {
                *slot = self.index.guess(addressed.hash).unwrap_or(0);
            }
            let known =
                slots.iter().zip(batch).filter_map(|(slot, _)| self.slots.get(*slot as usize)?.as_ref());
            std::hint::black_box(known.fold(0, |sum, state| sum ^ state.touch()));
        }
        for addressed in batch {
            self.packet(addressed, audience);
        }
    }

    /// Counts a packet and keeps its first payload bytes.
    #[inline]
    fn packet(&mut self, addressed: &Addressed<'_>, audience: &mut dyn Audience) {
        let Addressed { packet, key, side, hash, input, nanos } = addressed;
        let (key, side, hash, input, nanos) = (*key, *side, *hash, *input, *nanos);
        let place = self.places.number(input, packet);
        let slot = match self.find(&key, hash) {
            Some(slot) if !self.state(slot).is_over(packet, side, nanos, &self.limits) => slot,
            Some(slot) => {
                self.emit(slot, false, audience);
                self.open(key, hash, State::new(key, packet, side, nanos), nanos, audience)
            }
            None => self.open(key, hash, State::new(key, packet, side, nanos), nanos, audience),
        };
        let Some(state) = self.slots[slot as usize].as_mut() else { return };
        if state.sight(packet, side, place, nanos) == Sighting::Copy {
            self.copied += 1;
            return;
        }
        state.count(packet, side, nanos);
        if packet.payload.is_empty() {
            if packet.missing > 0 && packet.is_tcp() {
                state.note_cut();
            }
            if packet.is_tcp() && packet.tcp.flags & 5 != 0 && state.is_complete() {
                self.judge(slot, audience);
            }
        } else if state.wants() {
            self.keep(slot, packet, side, audience);
        }
    }

    /// Shows all open flows to who asked for them; those that are over by now are handed out.
    pub(super) fn survey(&mut self, now: u64, audience: &mut dyn Audience) {
        for slot in 0..self.slots.len() {
            let Some(state) = &self.slots[slot] else { continue };
            match state.is_silent(now, &self.limits, GRACE) {
                true => self.emit(slot as u32, false, audience),
                false => audience.open(&state.glance()),
            }
        }
        audience.surveyed();
    }

    /// Hands out everything that is left.
    pub(super) fn finish(&mut self, audience: &mut dyn Audience) {
        for slot in 0..self.slots.len() {
            if self.slots[slot].is_some() {
                self.hand_out(slot as u32, false, audience);
            }
        }
        self.index.clear();
        self.slots.clear();
        self.free.clear();
    }

    /// What was given up, by the names of [`OWN_ODDITIES`].
    pub(super) fn oddities(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = [self.evicted, self.over_budget, self.places.untold];
        OWN_ODDITIES.into_iter().zip(counts).filter(|(_, count)| *count > 0)
    }

    /// Packets that were met again at another place and not counted.
    pub(super) fn copied(&self) -> u64 {
        self.copied
    }

    #[inline]
    fn find(&self, key: &Key, hash: u64) -> Option<u32> {
        self.index.find(hash, |slot| self.slots[slot as usize].as_ref().is_some_and(|s| s.key == *key))
    }

    #[inline]
    fn state(&self, slot: u32) -> &State {
        // The index holds only slots that are in use.
        self.slots[slot as usize].as_ref().expect("a slot in use")
    }

    fn open(&mut self, key: Key, hash: u64, state: State, nanos: u64, audience: &mut dyn Audience) -> u32 {
        self.look_around(nanos, audience);
        self.make_room(nanos, audience);
        debug_assert!(self.find(&key, hash).is_none(), "a flow is open once");
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(state);
                slot
            }
            None => {
                self.slots.push(Some(state));
                (self.slots.len() - 1) as u32
            }
        };
        self.index.insert(hash, slot);
        slot
    }

    fn keep(&mut self, slot: u32, packet: &Packet<'_>, side: Side, audience: &mut dyn Audience) {
        let Some(state) = self.slots[slot as usize].as_mut() else { return };
        if self.payload >= self.limits.payload_bytes && self.judging == Judging::AtTheEnd {
            state.keep_no_more();
            self.over_budget += 1;
            return;
        }
        if state.cold().is_none() {
            let mut cold = self.spare.pop().unwrap_or_default();
            self.serial = self.serial.wrapping_add(1);
            cold.serial = self.serial;
            self.payload += cold.cost();
            state.give_cold(cold);
            if self.judging == Judging::Early {
                self.holders.push_back((slot, self.serial));
            }
        }
        let before = state.cold().map_or(0, Cold::cost);
        let kept = state.keep(packet, side, &self.limits);
        let complete = kept == Kept::Enough || state.is_complete();
        self.payload = self.payload + state.cold().map_or(0, Cold::cost) - before;
        if complete {
            self.judge(slot, audience);
        }
        while self.payload > self.limits.payload_bytes && self.judge_oldest(audience) {}
    }

    /// Asks for the verdict on a flow that has shown enough; its first bytes are dropped.
    fn judge(&mut self, slot: u32, audience: &mut dyn Audience) {
        if self.judging == Judging::AtTheEnd {
            return;
        }
        let Some(state) = self.slots[slot as usize].as_mut().filter(|s| s.cold().is_some()) else { return };
        self.payload -= state.cold().map_or(0, Cold::cost);
        let flow = state.flow(&self.places, &self.limits, false);
        state.judged(audience.judge(&flow));
        let cold = state.take_cold();
        self.recycle(cold, flow);
    }

    /// Under pressure, the flow that holds its bytes for longest is judged by what it has.
    fn judge_oldest(&mut self, audience: &mut dyn Audience) -> bool {
        while let Some((slot, serial)) = self.holders.pop_front() {
            let holds = |state: &State| state.cold().is_some_and(|cold| cold.serial == serial);
            if self.slots[slot as usize].as_ref().is_some_and(holds) {
                self.judge(slot, audience);
                self.over_budget += 1;
                // The record says that more bytes might have said more.
                if let Some(state) = self.slots[slot as usize].as_mut().filter(|state| !state.is_closed()) {
                    state.note_cut();
                }
                return true;
            }
        }
        false
    }

    /// Buffers go back to their place, which the next flow takes.
    fn recycle(&mut self, cold: Option<Box<Cold>>, flow: Flow) {
        let Some(mut cold) = cold.filter(|_| self.spare.len() < MOST_SPARE) else { return };
        cold.reclaim(flow.start);
        self.spare.push(cold);
    }

    fn emit(&mut self, slot: u32, evicted: bool, audience: &mut dyn Audience) {
        let hash = self.state(slot).key.hash(self.share.seed);
        self.index.remove(hash, slot);
        self.hand_out(slot, evicted, audience);
        self.free.push(slot);
    }

    fn hand_out(&mut self, slot: u32, evicted: bool, audience: &mut dyn Audience) {
        let Some(mut state) = self.slots[slot as usize].take() else { return };
        self.payload -= state.cold().map_or(0, Cold::cost);
        let flow = state.flow(&self.places, &self.limits, evicted);
        audience.finished(flow, state.verdict());
        if let Some(mut cold) = state.take_cold().filter(|_| self.spare.len() < MOST_SPARE) {
            cold.reset();
            self.spare.push(cold);
        }
    }

    /// Looks at a few slots for flows that are long over.
    fn look_around(&mut self, now: u64, audience: &mut dyn Audience) {
        for _ in 0..LOOKED_AT.min(self.slots.len()) {
            self.hand = (self.hand + 1) % self.slots.len();
            let over = |state: &State| state.is_silent(now, &self.limits, GRACE);
            if self.slots[self.hand].as_ref().is_some_and(over) {
                self.emit(self.hand as u32, false, audience);
            }
        }
    }

    /// A full table gives up what is over, and else the quarter that was silent for longest.
    fn make_room(&mut self, now: u64, audience: &mut dyn Audience) {
        if self.index.len() < self.limits.flows {
            return;
        }
        let mut times: Vec<u64> = self.slots.iter().flatten().map(|state| state.last).collect();
        let quarter = times.len() / 4;
        let (_, oldest, _) = times.select_nth_unstable(quarter);
        let oldest = *oldest;
        let mut room = self.limits.flows / 4 + 1;
        for slot in 0..self.slots.len() {
            let Some(state) = &self.slots[slot] else { continue };
            let over = state.is_closed() || state.is_silent(now, &self.limits, 0);
            if over || (state.last <= oldest && room > 0) {
                room = room.saturating_sub(1);
                self.evicted += u64::from(!over);
                self.emit(slot as u32, !over, audience);
            }
        }
    }
}
