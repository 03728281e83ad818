//! The flow table: a fixed key, bounded size, no allocation for a packet of a known flow that has
//! shown enough of itself.

use super::budget::{Budget, FETCHED};
use super::buffers::Buffers;
use super::cold::{COLD_COST, Cold};
use super::copies::Sighting;
use super::elsewhere::Elsewhere;
use super::finish::Around;
use super::flow::{Audience, Judging, StreamStart};
use super::head::{Arrival, BATCH, Batch, Head};
use super::index::Index;
use super::key::{Key, Pair, SLICES, Seed, ShortKey, Side};
use super::limits::FlowLimits;
use super::packet::{FIN, RST};
use super::place::{NO_PLACE, Places};
use super::pool::{Chunks, Pool};
use super::state::{Kept, LINGER, State};
use super::stream::Room;

/// Packets may be this much out of the order of time, in nanoseconds, before a flow is given up too early.
pub(super) const GRACE: u64 = 5_000_000_000;
/// Slots that are looked at for each new flow, to find those that are over.
const LOOKED_AT: usize = 4;
/// What a table counts of its own flows alone.
pub(super) const OWN_ODDITIES: [&str; 3] = [
    "flows that left the full table before their end",
    "flows judged by fewer first bytes, to bound memory: what may have gone over to TLS is unknown",
    "packets met at more places than are told apart",
];

/// No flow is there.
const NO_SLOT: u32 = u32::MAX;

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
    /// Nothing is over that was heard of so lately, closed or not, in nanoseconds.
    patience: u64,
    share: Share,
    judging: Judging,
    index: Index,
    slots: Chunks<State>,
    free: Vec<u32>,
    hand: usize,
    /// What time it was when the block began, for all flows: the same for all tables.
    pub(super) clock: u64,
    pub(super) places: Places,
    /// The addresses of IPv6 flows.
    pairs: Pool<Pair>,
    colds: Pool<Cold>,
    elsewheres: Pool<Elsewhere>,
    buffers: Buffers,
    /// First bytes, a budget for each slice of the flows.
    budgets: [Budget; SLICES],
    serial: u32,
    evicted: u64,
    over_budget: u64,
    copied: u64,
}

impl FlowTable {
    pub(super) fn new(limits: FlowLimits, share: Share, judging: Judging) -> Self {
        FlowTable {
            limits: FlowLimits { flows: (limits.flows / share.of).max(1), ..limits },
            patience: LINGER.min(limits.idle_nanos),
            share,
            judging,
            index: Index::new(),
            slots: Chunks::default(),
            free: Vec::new(),
            hand: 0,
            clock: 0,
            places: Places::default(),
            pairs: Pool::default(),
            colds: Pool::default(),
            elsewheres: Pool::default(),
            buffers: Buffers::new(limits.idle_bytes),
            budgets: Default::default(),
            serial: 0,
            evicted: 0,
            over_budget: 0,
            copied: 0,
        }
    }

    /// Whether a flow belongs to this table: slices of flows are never split.
    #[inline]
    pub(super) fn is_ours(&self, key: &ShortKey) -> bool {
        self.share.of == 1 || usize::from(key.slice) % self.share.of == self.share.number
    }

    /// Counts packets in their order. Their flows' memory is fetched for all of them beforehand,
    /// so that the waits overlap.
    pub(super) fn packets(&mut self, batch: &Batch<'_>, audience: &mut dyn Audience) {
        let nothing = Head::default();
        let (mut heads, mut count) = ([&nothing; BATCH], 0);
        let of_rows = batch.rows.iter().filter_map(|row| batch.heads.get(*row as usize));
        for (place, head) in heads.iter_mut().zip(of_rows) {
            *place = head;
            count += 1;
        }
        let heads = &heads[..count];
        let mut slots = [NO_SLOT; BATCH];
        self.index.fetch(heads.iter().map(|head| head.key.hash));
        for (slot, head) in slots.iter_mut().zip(heads) {
            *slot = self.index.guess(head.key.hash).unwrap_or(NO_SLOT);
        }
        if heads.len() > 1 {
            self.fetch(&slots, heads);
        }
        for (head, slot) in heads.iter().zip(slots) {
            let met = batch.places.get(head.spot as usize).copied().unwrap_or(NO_PLACE);
            let place = self.places.told(met);
            let pair = head.key.is_v6().then(|| batch.pairs.get(head.key.ends as usize)).flatten();
            let payload = head.payload(batch.bytes);
            self.packet(&Arrival { head, payload, place, pair }, slot, audience);
        }
    }

    /// Reads from all memory of some flows that their packets will need. What is decided by that
    /// memory is decided without a branch, which would wait for it.
    #[inline]
    fn fetch(&self, slots: &[u32; BATCH], heads: &[&Head]) {
        let mut sum = 0;
        let mut colds = [(0, Side::High); BATCH];
        let mut ending = [0; BATCH];
        let (mut count, mut last) = (0, 0);
        for (slot, head) in slots.iter().zip(heads) {
            if let Some(state) = self.slots.get(*slot as usize) {
                sum ^= state.touch();
                let wanted = u32::from(head.payload.1 > 0 && state.wants_of(head.key.side));
                colds[count % BATCH] = (state.holding() & wanted.wrapping_neg(), head.key.side);
                count += usize::from(colds[count % BATCH].0 != 0);
                if head.flags & (FIN | RST) != 0 {
                    ending[last % BATCH] = state.holding();
                    last += 1;
                }
            }
        }
        for (number, side) in colds.into_iter().take(count) {
            if let Some(cold) = self.colds.get(number) {
                sum ^= cold.streams[side.index()].touch();
            }
        }
        // A flow that ends is judged by the first bytes of both its sides.
        for number in ending.into_iter().take(last) {
            if let Some(cold) = self.colds.get(number) {
                sum ^= cold.touch();
            }
        }
        std::hint::black_box(sum);
    }

    /// Counts a packet and keeps its first payload bytes; `guess` is where its flow probably is.
    #[inline]
    fn packet(&mut self, packet: &Arrival<'_>, guess: u32, audience: &mut dyn Audience) {
        let holds = |state: &&State| state.is_used() && self.is_of(state, packet);
        let slot = match self.slots.get(guess as usize).filter(holds) {
            Some(state) if state.goes_on(packet, self.clock, self.patience) => guess,
            Some(state) if !state.is_over(packet, self.clock, &self.limits) => guess,
            _ => self.look_for(packet, audience),
        };
        self.take(slot, packet, audience);
    }

    /// The flow of a packet, which has to be looked for, is over, or is new.
    #[inline(never)]
    fn look_for(&mut self, packet: &Arrival<'_>, audience: &mut dyn Audience) -> u32 {
        let over = |slot: u32| {
            self.slots.get(slot as usize).is_some_and(|s| s.is_over(packet, self.clock, &self.limits))
        };
        match self.find(packet) {
            Some(slot) if !over(slot) => slot,
            Some(slot) => {
                self.emit(slot, false, audience);
                self.open(packet, audience)
            }
            None => self.open(packet, audience),
        }
    }

    /// A flow takes a packet.
    #[inline(always)]
    fn take(&mut self, slot: u32, packet: &Arrival<'_>, audience: &mut dyn Audience) {
        let Some(state) = self.slots.get_mut(slot as usize) else { return };
        if state.sight(packet, &mut self.elsewheres, &self.places) == Sighting::Copy {
            self.copied += 1;
            return;
        }
        state.count(packet, &mut self.colds, &mut self.elsewheres);
        // A reset may say why (RFC 9293, section 3.5.3), and that is nothing that the connection said.
        if packet.payload.is_empty() || packet.is_tcp() && packet.flags & RST != 0 {
            if packet.missing > 0 && packet.is_tcp() {
                state.note_cut();
            }
            if packet.is_tcp() && packet.flags & 5 != 0 && state.is_complete(&self.colds) {
                self.judge(slot, audience);
            }
        } else if !state.wants() {
            state.note_unread(packet);
        } else if self.judging == Judging::Early && state.has_enough_of(packet) {
            if state.is_long(self.limits.stream_bytes) {
                self.judge(slot, audience);
            }
        } else {
            self.keep(slot, packet, audience);
        }
    }

    /// Shows all open flows to who asked for them; those that are over by now are handed out.
    pub(super) fn survey(&mut self, now: u64, audience: &mut dyn Audience) {
        for slot in 0..self.slots.len() {
            let Some(state) = self.slots.get(slot).filter(|state| state.is_used()) else { continue };
            match state.is_silent(now, &self.limits, GRACE) {
                true => self.emit(slot as u32, false, audience),
                false => {
                    let elsewhere = self.elsewheres.get(state.elsewhere);
                    audience.open(&state.glance(self.key(state), elsewhere));
                }
            }
        }
        audience.surveyed();
    }

    /// Hands out everything that is left, and gives the memory back on the way.
    pub(super) fn finish(&mut self, audience: &mut dyn Audience) {
        self.index.clear();
        self.free = Vec::new();
        self.budgets.iter_mut().for_each(|budget| budget.holders = Default::default());
        for mut chunk in self.slots.take() {
            for states in chunk.chunks_mut(FETCHED) {
                self.fetch_colds(states.iter().map(State::holding));
                for state in states.iter_mut().filter(|state| state.is_used()) {
                    self.hand_out(state, false, audience);
                }
            }
        }
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
    fn is_of(&self, state: &State, packet: &Arrival<'_>) -> bool {
        state.rest() == packet.key.rest
            && match packet.pair {
                None => state.ends == packet.key.ends,
                Some(pair) => self.pairs.get(state.ends as u32) == Some(pair),
            }
    }

    fn find(&self, packet: &Arrival<'_>) -> Option<u32> {
        let is_it = |slot| self.slots.get(slot as usize).is_some_and(|state| self.is_of(state, packet));
        self.index.find(packet.key.hash, is_it)
    }

    /// The whole key of a flow.
    fn key(&self, state: &State) -> Key {
        let short = Key::unpacked(state.ends, state.rest());
        match self.pairs.get(state.ends as u32) {
            Some((low, high)) if short.is_v6() => Key { low: *low, high: *high, rest: state.rest() },
            _ => short,
        }
    }

    fn open(&mut self, packet: &Arrival<'_>, audience: &mut dyn Audience) -> u32 {
        self.look_around(audience);
        self.make_room(packet.nanos, audience);
        debug_assert!(self.find(packet).is_none(), "a flow is open once");
        let ends = match packet.pair {
            None => packet.key.ends,
            Some(pair) => {
                let number = self.pairs.lend();
                if let Some(lent) = self.pairs.get_mut(number) {
                    *lent = *pair;
                }
                u64::from(number)
            }
        };
        let state = State::new(ends, packet);
        let slot = match self.free.pop() {
            Some(slot) => {
                if let Some(free) = self.slots.get_mut(slot as usize) {
                    *free = state;
                }
                slot
            }
            None => self.slots.push(state) as u32,
        };
        self.index.insert(packet.key.hash, slot);
        slot
    }

    fn keep(&mut self, slot: u32, packet: &Arrival<'_>, audience: &mut dyn Audience) {
        let limit = self.limits.payload_bytes / SLICES;
        let slice = packet.key.slice;
        let budget = &mut self.budgets[usize::from(slice)];
        let Some(state) = self.slots.get_mut(slot as usize) else { return };
        if budget.bytes >= limit && self.judging == Judging::AtTheEnd {
            state.keep_no_more();
            self.over_budget += 1;
            return;
        }
        let fresh = state.cold_number().is_none();
        let number = state.cold_number().unwrap_or_else(|| self.colds.lend());
        let Some(cold) = self.colds.get_mut(number) else { return };
        if fresh {
            budget.bytes += COLD_COST;
            self.serial = self.serial.wrapping_add(1);
            cold.serial = self.serial;
            state.give_cold(number, cold);
            budget.holding += 1;
            if self.judging == Judging::Early {
                budget.holders.push_back((slot, self.serial));
            }
        }
        let side = packet.key.side.index();
        let before = cold.streams[side].held();
        let mut room = Room { limit: self.limits.stream_bytes, buffers: &mut self.buffers, audience };
        let kept = state.keep(packet, cold, &mut room);
        budget.bytes = budget.bytes + cold.streams[side].held() - before;
        let over = budget.bytes > limit;
        if kept == Kept::Enough || state.is_closed() && state.is_complete(&self.colds) {
            self.judge(slot, audience);
        }
        if over && self.judging == Judging::Early {
            self.relieve(slice, limit, audience);
        } else if fresh {
            self.forget_holders(slice);
        }
    }

    /// Judges the flows of a slice that hold their bytes for longest until the rest fits.
    #[cold]
    fn relieve(&mut self, slice: u8, limit: usize, audience: &mut dyn Audience) {
        while self.budgets[usize::from(slice)].bytes > limit && self.judge_oldest(slice, audience) {}
    }

    /// Flows that hold nothing any more leave the queue now and then.
    fn forget_holders(&mut self, slice: u8) {
        let (slots, colds) = (&self.slots, &self.colds);
        self.budgets[usize::from(slice)].forget(|slot, serial| {
            let number = slots.get(slot as usize).and_then(State::cold_number);
            number.and_then(|number| colds.get(number)).is_some_and(|cold| cold.serial == serial)
        });
    }

    /// Asks for the verdict on a flow that has shown enough; its first bytes are dropped.
    fn judge(&mut self, slot: u32, audience: &mut dyn Audience) {
        if self.judging == Judging::AtTheEnd {
            return;
        }
        let Some(state) = self.slots.get(slot as usize) else { return };
        let (key, number) = (self.key(state), state.cold_number());
        let Some((number, state)) = number.zip(self.slots.get_mut(slot as usize)) else { return };
        let cold = self.colds.get_mut(number);
        self.budgets[usize::from(key.slice())].release(cold.as_deref());
        let elsewhere = self.elsewheres.get(state.elsewhere);
        let room = Room { limit: self.limits.stream_bytes, buffers: &mut self.buffers, audience };
        let around = Around { key, cold, elsewhere, places: &self.places, room };
        let flow = match audience.asks_where() {
            true => state.flow(around, false),
            false => state.beginning(around),
        };
        state.judged(audience.judge(&flow));
        let StreamStart { forward, backward, forward_lengths, backward_lengths, .. } = flow.start;
        [forward, backward].into_iter().for_each(|buffer| self.buffers.give_back(buffer));
        let lengths = [forward_lengths, backward_lengths].into_iter();
        lengths.for_each(|lengths| self.buffers.give_back_lengths(lengths));
        self.recycle(number);
    }

    /// Under pressure, the flow that holds its bytes for longest is judged by what it has.
    fn judge_oldest(&mut self, slice: u8, audience: &mut dyn Audience) -> bool {
        loop {
            let budget = &mut self.budgets[usize::from(slice)];
            if budget.fetched == 0 {
                budget.fetched = FETCHED;
                self.fetch_oldest(slice);
            }
            let Some((slot, serial)) = self.budgets[usize::from(slice)].pop() else { return false };
            let number = self.slots.get(slot as usize).and_then(State::cold_number);
            let holds = number.and_then(|number| self.colds.get(number)).is_some_and(|c| c.serial == serial);
            if holds {
                self.judge(slot, audience);
                self.over_budget += 1;
                // The record says that more bytes might have said more.
                if let Some(state) = self.slots.get_mut(slot as usize).filter(|state| !state.is_closed()) {
                    state.note_hurried();
                }
                return true;
            }
        }
    }

    /// Reads from all memory of the flows that hold their bytes for longest.
    fn fetch_oldest(&self, slice: u8) {
        let oldest = self.budgets[usize::from(slice)].holders.iter().take(FETCHED);
        let states = oldest.filter_map(|(slot, _)| self.slots.get(*slot as usize));
        std::hint::black_box(states.clone().fold(0, |sum, state| sum ^ state.touch()));
        self.fetch_colds(states.map(State::holding));
    }

    /// Reads from the first bytes of some flows that are about to be judged.
    fn fetch_colds(&self, numbers: impl Iterator<Item = u32>) {
        let colds = numbers.filter_map(|number| self.colds.get(number));
        std::hint::black_box(colds.fold(0, |sum, cold| sum ^ cold.touch()));
    }

    /// The place for first bytes goes back.
    fn recycle(&mut self, number: u32) {
        let Some(cold) = self.colds.get_mut(number) else { return };
        *cold = Cold::default();
        self.colds.give_back(number);
    }

    fn emit(&mut self, slot: u32, evicted: bool, audience: &mut dyn Audience) {
        let Some(state) = self.slots.get(slot as usize) else { return };
        let hash = self.key(state).hash(self.share.seed) as u32;
        self.index.remove(hash, slot);
        let Some(mut state) = self.slots.get_mut(slot as usize).map(State::leave) else { return };
        self.hand_out(&mut state, evicted, audience);
        self.free.push(slot);
    }

    fn hand_out(&mut self, state: &mut State, evicted: bool, audience: &mut dyn Audience) {
        let key = self.key(state);
        let number = state.cold_number();
        let cold = number.and_then(|number| self.colds.get_mut(number));
        self.budgets[usize::from(key.slice())].release(cold.as_deref());
        let elsewhere = self.elsewheres.get(state.elsewhere);
        let room = Room { limit: self.limits.stream_bytes, buffers: &mut self.buffers, audience };
        let around = Around { key, cold, elsewhere, places: &self.places, room };
        let flow = state.flow(around, evicted);
        audience.finished(flow, state.verdict());
        if let Some(number) = number {
            self.recycle(number);
        }
        if let Some(elsewhere) = self.elsewheres.get_mut(state.elsewhere) {
            *elsewhere = Elsewhere::default();
            self.elsewheres.give_back(state.elsewhere);
        }
        if key.is_v6() {
            self.pairs.give_back(state.ends as u32);
        }
    }

    /// Looks at a few slots for flows that are long over. The next packet of such a flow opens
    /// another one whether or not it was looked at ([`State::is_over`]).
    fn look_around(&mut self, audience: &mut dyn Audience) {
        for _ in 0..LOOKED_AT.min(self.slots.len()) {
            self.hand = if self.hand + 1 < self.slots.len() { self.hand + 1 } else { 0 };
            let over = |state: &State| state.is_used() && state.is_silent(self.clock, &self.limits, GRACE);
            if self.slots.get(self.hand).is_some_and(over) {
                self.emit(self.hand as u32, false, audience);
            }
        }
    }

    /// A full table gives up what is over, and else the quarter that was silent for longest.
    fn make_room(&mut self, now: u64, audience: &mut dyn Audience) {
        if self.index.len() < self.limits.flows {
            return;
        }
        let used = self.slots.iter().filter(|state| state.is_used());
        let mut times: Vec<u64> = used.map(|state| state.last).collect();
        let quarter = times.len() / 4;
        let (_, oldest, _) = times.select_nth_unstable(quarter);
        let oldest = *oldest;
        let mut room = self.limits.flows / 4 + 1;
        for slot in 0..self.slots.len() {
            let Some(state) = self.slots.get(slot).filter(|state| state.is_used()) else { continue };
            let over = state.is_closed() || state.is_silent(now, &self.limits, 0);
            if over || (state.last <= oldest && room > 0) {
                room = room.saturating_sub(1);
                self.evicted += u64::from(!over);
                self.emit(slot as u32, !over, audience);
            }
        }
    }
}
