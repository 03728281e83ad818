//! From the state of a flow to the record of it: who opened it, its first bytes, its places.

use super::cold::Cold;
use super::elsewhere::Elsewhere;
use super::key::{Key, Side};
use super::marks::Marks;
use super::place::{NO_PLACE, PlaceId, Places};
use super::state::State;
use super::stream::Room;
use super::{
    Answer, Besides, Counters, Flow, FlowEnd, Handshake, OpenFlow, Opening, Place, Seen, SeenMore,
    StreamStart, Unity,
};

/// What a flow is put together from besides its state.
pub(super) struct Around<'a> {
    pub(super) key: Key,
    pub(super) cold: Option<&'a mut Cold>,
    pub(super) elsewhere: Option<&'a Elsewhere>,
    pub(super) places: &'a Places,
    pub(super) room: Room<'a>,
}

impl State {
    /// The flow as it stands; its first bytes move out of where they are kept.
    pub(super) fn flow(&mut self, around: Around<'_>, evicted: bool) -> Flow {
        let (places, elsewhere) = (around.places, around.elsewhere);
        let mut flow = self.beginning(around);
        let answer = flow.seen.answer;
        (flow.via, flow.seen) = self.places(places, elsewhere, flow.seen.opening);
        flow.seen.answer = answer;
        Flow { evicted, ..flow }
    }

    /// The same for who looks at its first bytes: where it was met is not asked there.
    pub(super) fn beginning(&mut self, around: Around<'_>) -> Flow {
        let Around { key, cold, elsewhere, mut room, .. } = around;
        let (low, high) = key.ends();
        let (initiator_side, handshake) = self.direction(low, high);
        let (initiator, responder) = match initiator_side {
            Side::Low => (low, high),
            Side::High => (high, low),
        };
        let start = self.start(initiator_side, cold, &mut room);
        let opening = self.sequence(initiator_side).map(|sequence| Opening {
            initiator: sequence,
            responder: self.sequence(initiator_side.other()),
            timestamp: if handshake == Handshake::Seen { self.timestamp } else { 0 },
        });
        let answer = self.answer(initiator_side.other());
        Flow {
            initiator,
            responder,
            transport: key.transport(),
            handshake,
            forward: self.counters(initiator_side, elsewhere),
            backward: self.counters(initiator_side.other(), elsewhere),
            first: self.first,
            last: self.last,
            start,
            via: Vec::new(),
            evicted: false,
            seen: Seen { opening, answer, ..Seen::default() },
        }
    }

    /// The flow as it stands, in short; nothing moves.
    pub(super) fn glance(&self, key: Key, elsewhere: Option<&Elsewhere>) -> OpenFlow {
        let (low, high) = key.ends();
        let (side, _) = self.direction(low, high);
        let (initiator, responder) = match side {
            Side::Low => (low, high),
            Side::High => (high, low),
        };
        OpenFlow {
            initiator,
            responder,
            transport: key.transport(),
            forward: self.counters(side, elsewhere),
            backward: self.counters(side.other(), elsewhere),
            first: self.first,
            last: self.last,
            verdict: self.verdict(),
        }
    }

    /// What one side sent.
    fn counters(&self, side: Side, elsewhere: Option<&Elsewhere>) -> Counters {
        let at = side.index();
        let carried = elsewhere.map_or(0, |elsewhere| u64::from(elsewhere.carried[at]) << 32);
        Counters { packets: u64::from(self.packets[at]) + carried, bytes: self.bytes[at] }
    }

    fn start(&mut self, initiator: Side, cold: Option<&mut Cold>, room: &mut Room<'_>) -> StreamStart {
        let mut start = StreamStart::default();
        if let Some(cold) = cold {
            cold.streams.iter_mut().for_each(|stream| stream.close(room));
            if cold.streams.iter().any(|stream| stream.cut) {
                self.marks.set(Marks::CUT);
            }
            if cold.streams.iter().any(|stream| stream.holes) {
                self.marks.set(Marks::HOLES);
            }
            start.besides = cold.streams.iter().map(|stream| stream.besides).max().unwrap_or_default();
            let mut take = |side: Side| {
                let stream = &mut cold.streams[side.index()];
                (std::mem::take(&mut stream.bytes), std::mem::take(&mut stream.lengths))
            };
            (start.forward, start.forward_lengths) = take(initiator);
            (start.backward, start.backward_lengths) = take(initiator.other());
        }
        let first = if self.marks.has(Marks::LOW_SPOKE_FIRST) { Side::Low } else { Side::High };
        start.responder_first = self.marks.has(Marks::PAYLOAD_SEEN) && first != initiator;
        let [high, low] = Marks::SEQUENCE_KNOWN;
        start.late = self.protocol() == 6 && !self.marks.has(high | low);
        start.cut = self.marks.has(Marks::CUT);
        start.holes = self.marks.has(Marks::HOLES);
        start.unread = self.marks.has(Marks::UNREAD);
        if self.marks.has(Marks::JUDGED) && self.marks.has(Marks::SPOKE_LATER) {
            start.besides = Besides::TextLater;
        }
        start
    }

    /// The longest chain of encapsulations, and all places where there are several.
    fn places(
        &self,
        places: &Places,
        elsewhere: Option<&Elsewhere>,
        opening: Option<Opening>,
    ) -> (Vec<String>, Seen) {
        let one_place = self.place[0] == self.place[1] || self.place.contains(&NO_PLACE);
        if elsewhere.is_none() && one_place {
            let place = self.place[0].min(self.place[1]);
            let more = places
                .tunnel(place)
                .map(|ends| Box::new(SeenMore { tunnel: Some(ends), ..SeenMore::default() }));
            let seen = Seen { opening, medium: places.medium_of(place), more, ..Seen::default() };
            return (places.via(place), seen);
        }
        let mut all: Vec<PlaceId> = self.place.into_iter().filter(|place| *place != NO_PLACE).collect();
        let mut more = SeenMore::default();
        if let Some(elsewhere) = elsewhere {
            more.copies = elsewhere.copied;
            more.unity = self.unity(elsewhere, places);
            all.extend(elsewhere.places.iter().map(|met| met.place));
        }
        all.sort_unstable();
        all.dedup();
        let medium = places.medium(&all);
        if places.are_plain(&all) && more.copies == 0 && more.unity == Unity::One {
            return (Vec::new(), Seen { opening, medium, ..Seen::default() });
        }
        // Numbers depend on other traffic, words do not.
        let mut all: Vec<(Place, _)> = all.iter().map(|p| (places.describe(*p), places.tunnel(*p))).collect();
        all.sort_by(|(one, a), (other, b)| {
            other.via.len().cmp(&one.via.len()).then_with(|| (one, a).cmp(&(other, b)))
        });
        more.tunnel = all.iter().find_map(|(_, tunnel)| *tunnel);
        let via = all.first().map(|(place, _)| place.via.clone()).unwrap_or_default();
        if all.len() > 1 {
            more.places = all.into_iter().map(|(place, _)| place).collect();
            more.places.dedup();
            if more.places.len() == 1 {
                more.places.clear();
            }
        }
        let more = (more != SeenMore::default()).then(|| Box::new(more));
        (via, Seen { opening, medium, more, ..Seen::default() })
    }

    /// What came back from a side of a TCP connection whose handshake was seen.
    fn answer(&self, responder: Side) -> Answer {
        let at = responder.index();
        match self.protocol() == 6 && self.marks.has(Marks::OPENING_SEEN) {
            false => Answer::Unknown,
            true if self.marks.has(Marks::HIGHEST_KNOWN[at]) => Answer::Payload,
            true if self.marks.has(Marks::RESET | Marks::FINISHED[at]) => Answer::Refusal,
            true => Answer::Silence,
        }
    }

    fn direction(&self, low: FlowEnd, high: FlowEnd) -> (Side, Handshake) {
        let known = if self.marks.has(Marks::LOW_INITIATES) { Side::Low } else { Side::High };
        match (self.marks.has(Marks::OPENING_SEEN), self.marks.has(Marks::ANSWER_SEEN)) {
            (true, _) => (known, Handshake::Seen),
            (false, true) => (known, Handshake::AnswerSeen),
            (false, false) => self.guess(low, high),
        }
    }

    /// Without a handshake, a well-known port is taken for the responder's.
    fn guess(&self, low: FlowEnd, high: FlowEnd) -> (Side, Handshake) {
        let served = |port: u16, other: u16| {
            port != 0 && ((port < 1_024 && other >= 1_024) || (port < 32_768 && other >= 32_768))
        };
        let first = if self.marks.has(Marks::FIRST_SENDER_LOW) { Side::Low } else { Side::High };
        match (served(low.port, high.port), served(high.port, low.port)) {
            (true, false) => (Side::High, Handshake::GuessedByPort),
            (false, true) => (Side::Low, Handshake::GuessedByPort),
            _ => (first, Handshake::FirstPacket),
        }
    }
}
