//! One flow in the making: counters, handshake, first bytes, and where it was met.

use super::Handshake;
use super::cold::Cold;
use super::copies::{IDENTITY, Sighting, fold, sample};
use super::elsewhere::Elsewhere;
use super::head::Arrival;
use super::heard::is_asked;
use super::key::Side;
use super::limits::FlowLimits;
use super::marks::Marks;
use super::packet::{ACK, FIN, RST, SYN};
use super::place::{NO_PLACE, PlaceId, Places};
use super::pool::Pool;
use super::stream::{Room, Stream, begins_with_text};
use super::table::GRACE;

/// Farewells are repeated within this time, in nanoseconds; what comes later is another flow.
pub(super) const LINGER: u64 = 15_000_000_000;
/// Packets of one handshake are not further apart than this where they are captured out of order.
const REORDERED: u64 = 1_000_000_000;
/// Sequence numbers of one connection's beginning are not further apart.
pub(super) const NEAR: u32 = 1 << 20;
/// A flow of which one direction is full is judged when it has this many packets.
const LONG: u32 = 64;
/// Shorter datagrams are alike too easily to stand for a flow: a DNS header has as many bytes.
const FINGERPRINTED: usize = 12;

/// One flow in as few bytes as it takes, for there are hundreds of thousands; arrays of two are
/// indexed by [`Side`].
#[derive(Debug, Default)]
pub(super) struct State {
    /// IPv4: both addresses. IPv6: the number of the pair in the table.
    pub(super) ends: u64,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) bytes: [u64; 2],
    /// What does not fit any more is carried over to [`Elsewhere`].
    pub(super) packets: [u32; 2],
    pub(super) initial_sequence: [u32; 2],
    /// The end of the highest segment at the first place.
    pub(super) highest: [u32; 2],
    /// The latest packet of each direction: what its copies have in common, and its hops left.
    pub(super) recent: [u32; 2],
    /// Time stamp option of the SYN.
    pub(super) timestamp: u32,
    /// Both ports, of the lower end first.
    ports: u32,
    /// With version and protocol, the rest of the key.
    pub(super) marks: Marks,
    /// The usual place of each direction.
    pub(super) place: [PlaceId; 2],
    /// Where the first bytes are kept; where judged, what the audience made of them.
    pub(super) cold: u32,
    /// Where the rest is kept that few flows have; 0 for none.
    pub(super) elsewhere: u32,
}

// It is what bounds how many flows fit into memory.
const _: () = assert!(size_of::<State>() <= 96);

/// What a packet did to a flow's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Nothing changed.
    Nothing,
    /// Bytes were kept, and more are wanted.
    Some,
    /// They suffice.
    Enough,
}

impl State {
    pub(super) fn new(ends: u64, packet: &Arrival<'_>) -> State {
        let mut marks = Marks::of(packet.key.rest);
        marks.set(Marks::IN_USE | if packet.key.side == Side::Low { Marks::FIRST_SENDER_LOW } else { 0 });
        State {
            ends,
            first: packet.nanos,
            last: packet.nanos,
            bytes: [0; 2],
            packets: [0; 2],
            initial_sequence: [0; 2],
            highest: [0; 2],
            recent: [0; 2],
            timestamp: packet.timestamp,
            ports: (packet.key.rest >> 32) as u32,
            marks,
            place: [NO_PLACE; 2],
            cold: 0,
            elsewhere: 0,
        }
    }

    /// Whether this slot holds a flow.
    #[inline]
    pub(super) fn is_used(&self) -> bool {
        self.marks.has(Marks::IN_USE)
    }

    /// Reads from all of its memory.
    #[inline]
    pub(super) fn touch(&self) -> u64 {
        self.ends ^ self.bytes[0] ^ u64::from(self.elsewhere)
    }

    /// The key without its addresses.
    #[inline]
    pub(super) fn rest(&self) -> u64 {
        u64::from(self.ports) << 32 | self.marks.kind()
    }

    pub(super) fn protocol(&self) -> u8 {
        self.marks.kind() as u8
    }

    /// Whether both sides said their last, or one broke off.
    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        let [high, low] = Marks::FINISHED;
        self.marks.has(Marks::RESET) || (self.marks.has(high) && self.marks.has(low))
    }

    /// Whether nothing can belong to this flow any more after some silence.
    #[inline]
    pub(super) fn is_silent(&self, nanos: u64, limits: &FlowLimits, grace: u64) -> bool {
        let patience = if self.is_closed() { LINGER.min(limits.idle_nanos) } else { limits.idle_nanos };
        nanos.saturating_sub(self.last) > patience.saturating_add(grace)
    }

    /// Whether a packet certainly belongs to this flow, and not to a new one between the same ends:
    /// the short way to what [`State::is_over`] says, true of nearly all packets. `patience` is what
    /// nothing is over after, closed or not.
    #[inline]
    pub(super) fn goes_on(&self, packet: &Arrival<'_>, clock: u64, patience: u64) -> bool {
        let marks = self.marks.0;
        let [high, low] = Marks::FINISHED;
        packet.nanos.max(clock).saturating_sub(self.last) <= patience
            && (!packet.is_tcp() || packet.flags & SYN == 0 && marks & (Marks::RESET | high | low) == 0)
    }

    /// Whether a packet belongs to a new flow between the same ends: after silence, or with the
    /// handshake of a new connection. The clock is that of the block, which a packet out of the order
    /// of time may be behind of.
    #[inline]
    pub(super) fn is_over(&self, packet: &Arrival<'_>, clock: u64, limits: &FlowLimits) -> bool {
        // Closed or not, nothing is over that was heard of so lately.
        if packet.nanos.max(clock).saturating_sub(self.last) > LINGER.min(limits.idle_nanos)
            && (self.is_silent(packet.nanos, limits, 0) || self.is_silent(clock, limits, GRACE))
        {
            return true;
        }
        packet.is_tcp()
            && match packet.flags & SYN != 0 {
                true => self.is_reopened(packet),
                false => self.is_closed() && self.is_of_another(packet),
            }
    }

    /// Payload far from all that was said before the end is of a connection whose opening was not
    /// captured: what it says must not be counted for what the old one said.
    #[cold]
    fn is_of_another(&self, packet: &Arrival<'_>) -> bool {
        let highest = self.highest_of(packet.key.side);
        !packet.payload.is_empty() && highest.is_some_and(|end| is_far(packet.sequence, end))
    }

    /// A SYN repeats the one that is known, crosses it (simultaneous open, RFC 9293 section 3.5),
    /// comes out of order, or opens another connection.
    fn is_reopened(&self, packet: &Arrival<'_>) -> bool {
        let (side, nanos, sequence) = (packet.key.side, packet.nanos, packet.sequence);
        let known = self.sequence(side);
        let answer = packet.flags & ACK != 0;
        match known {
            Some(known) if known == sequence => false,
            // An answer whose SYN was not captured opens another connection only after the end of this one.
            Some(_) => !answer || self.is_closed(),
            None if self.is_closed() => true,
            None if answer || self.marks.has(Marks::OPENING_SEEN) => false,
            None => {
                let young = nanos.saturating_sub(self.first) <= REORDERED;
                let near = self.highest_of(side).is_none_or(|end| end.wrapping_sub(sequence) < NEAR);
                !(young && near)
            }
        }
    }

    pub(super) fn sequence(&self, side: Side) -> Option<u32> {
        self.marks.has(Marks::SEQUENCE_KNOWN[side.index()]).then_some(self.initial_sequence[side.index()])
    }

    pub(super) fn highest_of(&self, side: Side) -> Option<u32> {
        self.marks.has(Marks::HIGHEST_KNOWN[side.index()]).then_some(self.highest[side.index()])
    }

    /// Decides whether a packet counts, and remembers the place.
    #[inline]
    pub(super) fn sight(
        &mut self,
        packet: &Arrival<'_>,
        pool: &mut Pool<Elsewhere>,
        places: &Places,
    ) -> Sighting {
        let (side, place, identity) = (packet.key.side, packet.place, packet.identity);
        let index = side.index();
        let usual = self.place[index];
        let latest = identity | u32::from(packet.hops);
        let differs = self.recent[index] ^ latest;
        // Another packet, or the same with as many hops left.
        let sent_again = differs & IDENTITY != 0 || differs == 0 || packet.id == 0;
        if self.elsewhere == 0 && (usual == place || usual == NO_PLACE) && sent_again {
            (self.place[index], self.recent[index]) = (place, latest);
            if let Some(end) = segment_end(packet) {
                self.raise(side, end);
            }
            return Sighting::Counts;
        }
        self.sight_elsewhere(packet, pool, places)
    }

    #[inline]
    pub(super) fn raise(&mut self, side: Side, end: u32) {
        let index = side.index();
        if !self.marks.has(Marks::HIGHEST_KNOWN[index]) || is_after(end, self.highest[index]) {
            self.highest[index] = end;
            self.marks.set(Marks::HIGHEST_KNOWN[index]);
        }
    }

    /// Counts a packet and reads its flags.
    #[inline]
    pub(super) fn count(
        &mut self,
        packet: &Arrival<'_>,
        colds: &mut Pool<Cold>,
        elsewheres: &mut Pool<Elsewhere>,
    ) {
        let index = packet.key.side.index();
        let (sum, over) = self.packets[index].overflowing_add(packet.pieces);
        self.packets[index] = sum;
        if over {
            self.elsewhere(elsewheres).carried[index] += 1;
        }
        self.bytes[index] += u64::from(packet.bytes);
        self.first = self.first.min(packet.nanos);
        self.last = self.last.max(packet.nanos);
        if packet.is_tcp() {
            if packet.flags & (SYN | FIN | RST) != 0 {
                self.note_flags(packet, colds);
            }
        } else if let Some(chunk @ (1 | 2)) = packet.sctp_chunk {
            self.note_opening(
                packet.key.side,
                if chunk == 1 { Handshake::Seen } else { Handshake::AnswerSeen },
            );
        }
    }

    fn note_flags(&mut self, packet: &Arrival<'_>, colds: &mut Pool<Cold>) {
        let (side, flags) = (packet.key.side, packet.flags);
        match flags & (SYN | ACK) {
            SYN => {
                self.note_opening(side, Handshake::Seen);
                self.timestamp = packet.timestamp;
            }
            both if both == SYN | ACK => self.note_opening(side, Handshake::AnswerSeen),
            _ => {}
        }
        if flags & SYN != 0 && self.sequence(side).is_none() {
            self.initial_sequence[side.index()] = packet.sequence;
            self.marks.set(Marks::SEQUENCE_KNOWN[side.index()]);
            if let Some(cold) = self.cold_number().and_then(|number| colds.get_mut(number)) {
                cold.streams[side.index()].begin(packet.sequence);
            }
        }
        if flags & FIN != 0 {
            self.marks.set(Marks::FINISHED[side.index()]);
        }
        // Nobody takes a reset with a number that is far from all that its sender said (RFC 9293, section
        // 3.10.7.4): whoever sent it, the connection goes on.
        let said = self.highest_of(side).or(self.sequence(side));
        if flags & RST != 0 && said.is_none_or(|end| !is_far(packet.sequence, end)) {
            self.marks.set(Marks::RESET);
        }
    }

    /// The first opening packet decides, also where both sides send one.
    fn note_opening(&mut self, side: Side, what: Handshake) {
        let (mark, initiator) = match what {
            Handshake::Seen => (Marks::OPENING_SEEN, side),
            _ => (Marks::ANSWER_SEEN, side.other()),
        };
        let known = Marks::OPENING_SEEN | if mark == Marks::ANSWER_SEEN { Marks::ANSWER_SEEN } else { 0 };
        if !self.marks.has(known) {
            self.marks.clear(Marks::LOW_INITIATES);
            if initiator == Side::Low {
                self.marks.set(Marks::LOW_INITIATES);
            }
        }
        self.marks.set(mark);
    }

    /// Whether a packet has first bytes to give.
    #[inline]
    pub(super) fn wants(&self) -> bool {
        !self.marks.has(Marks::JUDGED | Marks::KEEPS_NOTHING)
    }

    /// Whether first bytes of a side are wanted.
    #[inline]
    pub(super) fn wants_of(&self, side: Side) -> bool {
        !self.marks.has(Marks::JUDGED | Marks::KEEPS_NOTHING | Marks::FULL[side.index()])
    }

    /// Whether what a packet says changes nothing, for its side has said enough.
    #[inline]
    pub(super) fn has_enough_of(&self, packet: &Arrival<'_>) -> bool {
        self.marks.has(Marks::FULL[packet.key.side.index()]) && packet.is_tcp() && !self.is_closed()
    }

    /// Where this flow holds first bytes.
    #[inline]
    pub(super) fn cold_number(&self) -> Option<u32> {
        (self.cold != 0 && !self.marks.has(Marks::JUDGED)).then_some(self.cold)
    }

    /// The same without a branch; 0 for none.
    #[inline]
    pub(super) fn holding(&self) -> u32 {
        self.cold & u32::from(!self.marks.has(Marks::JUDGED)).wrapping_neg()
    }

    /// Lends the flow a place for its first bytes.
    pub(super) fn give_cold(&mut self, number: u32, cold: &mut Cold) {
        for side in [Side::High, Side::Low] {
            if let Some(sequence) = self.sequence(side) {
                cold.streams[side.index()].begin(sequence);
            }
        }
        self.cold = number;
    }

    /// Notes that there was more payload than was kept.
    #[inline]
    pub(super) fn note_cut(&mut self) {
        self.marks.set(Marks::CUT);
    }

    /// Notes that it was judged by what it had.
    pub(super) fn note_hurried(&mut self) {
        self.marks.set(Marks::CUT | Marks::HURRIED);
    }

    /// Notes payload that nobody looks at: it may change the meaning of a hurried verdict, and text that of
    /// any.
    #[inline]
    pub(super) fn note_unread(&mut self, packet: &Arrival<'_>) {
        if self.marks.has(Marks::HURRIED) {
            self.marks.set(Marks::UNREAD);
        }
        if self.marks.has(Marks::JUDGED) && !self.marks.has(Marks::SPOKE_LATER) && says(packet.payload) {
            self.marks.set(Marks::SPOKE_LATER);
        }
    }

    /// Moves the flow out of its slot, which is free then.
    pub(super) fn leave(&mut self) -> State {
        let free = State { marks: Marks::default(), elsewhere: 0, cold: 0, ..*self };
        std::mem::replace(self, free)
    }

    /// Keeps payload in the place that the flow was given for it, as long as the audience wants more.
    pub(super) fn keep(&mut self, packet: &Arrival<'_>, cold: &mut Cold, room: &mut Room<'_>) -> Kept {
        let side = packet.key.side;
        if !self.marks.has(Marks::PAYLOAD_SEEN) {
            self.marks.set(Marks::PAYLOAD_SEEN | if side == Side::Low { Marks::LOW_SPOKE_FIRST } else { 0 });
        }
        if packet.key.protocol() == 17 {
            self.note_datagram(packet);
        }
        let limit = room.limit;
        let stream = &mut cold.streams[side.index()];
        let (full, before) = (stream.is_full(limit), stream.said());
        if !full {
            match packet.is_tcp() {
                true => {
                    let begin = packet.sequence.wrapping_add(u32::from(packet.flags & SYN != 0));
                    stream.segment(begin, packet.payload, packet.missing as usize, room);
                }
                false => stream.datagram(packet.payload, packet.missing as usize, room),
            }
        }
        let own = cold.streams[side.index()].is_full(limit);
        if own {
            self.marks.set(Marks::FULL[side.index()]);
        }
        match (own, self.marks.has(Marks::FULL[side.other().index()])) {
            (true, true) => Kept::Enough,
            (true, false) | (false, true) if self.is_long(limit) => Kept::Enough,
            _ if full => Kept::Nothing,
            _ if is_asked(before, cold.streams[side.index()].said()) => {
                self.hear(side, cold, limit, room.audience)
            }
            _ => Kept::Some,
        }
    }

    /// Whether one direction suffices, because there are many packets. One that was heard out before
    /// it had said as much as is kept counts when it would have.
    #[inline]
    pub(super) fn is_long(&self, limit: usize) -> bool {
        let said = |index: usize| self.marks.has(Marks::FULL[index]) && self.bytes[index] >= limit as u64;
        self.packets[0].saturating_add(self.packets[1]) >= LONG
            && (!self.marks.has(Marks::HEARD) || said(0) || said(1))
    }

    /// The first datagram of a side stands for it: address translation does not change it. The
    /// lowest bit says whether it had an identification, which no other datagram shares so soon: 1 is
    /// what scripts write that leave the choice to Scapy.
    fn note_datagram(&mut self, packet: &Arrival<'_>) {
        let side = packet.key.side;
        if self.sequence(side).is_none() && packet.payload.len() >= FINGERPRINTED {
            let sample =
                fold(sample(packet.payload) ^ u64::from(packet.id), packet.payload.len() as u64 | 1 << 40);
            self.initial_sequence[side.index()] = sample as u32 & !1 | u32::from(packet.id > 1);
            self.marks.set(Marks::SEQUENCE_KNOWN[side.index()]);
        }
    }

    /// Whether the flow has ended and nothing waits for earlier bytes.
    pub(super) fn is_complete(&self, colds: &Pool<Cold>) -> bool {
        let waits = |cold: &Cold| cold.streams.iter().any(Stream::waits);
        self.is_closed()
            && self.cold_number().and_then(|number| colds.get(number)).is_some_and(|cold| !waits(cold))
    }

    /// Ends the collection of first bytes: what the audience said takes their place.
    pub(super) fn judged(&mut self, verdict: u32) {
        self.cold = verdict;
        self.marks.set(Marks::JUDGED);
    }

    /// No more bytes are kept, and nobody was asked: the streams are cut here.
    pub(super) fn keep_no_more(&mut self) {
        self.marks.set(Marks::KEEPS_NOTHING | Marks::CUT);
    }

    /// What the audience said, where it was asked before the end.
    pub(super) fn verdict(&self) -> Option<u32> {
        self.marks.has(Marks::JUDGED).then_some(self.cold)
    }
}

/// Where a TCP segment with payload ends.
#[inline]
pub(super) fn segment_end(packet: &Arrival<'_>) -> Option<u32> {
    let length = packet.payload.len() as u32 + packet.missing;
    (packet.is_tcp() && length > 0).then(|| packet.sequence.wrapping_add(length))
}

/// Whether two numbers cannot both be of what is on its way.
fn is_far(number: u32, other: u32) -> bool {
    (number.wrapping_sub(other) as i32).unsigned_abs() > NEAR
}

/// Whether a packet begins with text that is too long for chance, however many packets there are.
#[inline]
fn says(payload: &[u8]) -> bool {
    const ENOUGH: usize = 32;
    begins_with_text(payload, ENOUGH)
}

/// Whether a sequence number lies behind another (RFC 9293, section 3.4).
#[inline]
pub(super) fn is_after(number: u32, other: u32) -> bool {
    (number.wrapping_sub(other) as i32) > 0
}
