//! From the state of a flow to the record of it: who opened it, its first bytes, its places.

use super::key::Side;
use super::marks::Marks;
use super::place::{NO_PLACE, PlaceId, Places};
use super::state::State;
use super::table::FlowLimits;
use super::{Answer, Flow, FlowEnd, Handshake, OpenFlow, Opening, Place, Seen, SeenMore, StreamStart};

impl State {
    /// The flow as it stands; its first bytes move out of `self`.
    pub(super) fn flow(&mut self, places: &Places, limits: &FlowLimits, evicted: bool) -> Flow {
        let (low, high) = self.key.ends();
        let (initiator_side, handshake) = self.direction(low, high);
        let (ahead, back) = (initiator_side.index(), initiator_side.other().index());
        let (initiator, responder) = match initiator_side {
            Side::Low => (low, high),
            Side::High => (high, low),
        };
        let start = self.start(initiator_side, limits);
        let opening = self.sequence(initiator_side).map(|sequence| Opening {
            initiator: sequence,
            responder: self.sequence(initiator_side.other()),
            timestamp: if handshake == Handshake::Seen { self.timestamp } else { 0 },
        });
        let (via, mut seen) = self.places(places, opening);
        seen.answer = self.answer(initiator_side.other());
        Flow {
            initiator,
            responder,
            transport: self.key.transport(),
            handshake,
            forward: self.counters[ahead],
            backward: self.counters[back],
            first: self.first,
            last: self.last,
            start,
            via,
            evicted,
            seen,
        }
    }

    /// The flow as it stands, in short; nothing moves.
    pub(super) fn glance(&self) -> OpenFlow {
        let (low, high) = self.key.ends();
        let (side, _) = self.direction(low, high);
        let (initiator, responder) = match side {
            Side::Low => (low, high),
            Side::High => (high, low),
        };
        OpenFlow {
            initiator,
            responder,
            transport: self.key.transport(),
            forward: self.counters[side.index()],
            backward: self.counters[side.other().index()],
            first: self.first,
            last: self.last,
            verdict: self.verdict(),
        }
    }

    fn start(&mut self, initiator: Side, limits: &FlowLimits) -> StreamStart {
        let mut start = StreamStart::default();
        if let Some(cold) = &mut self.cold {
            cold.streams.iter_mut().for_each(|stream| stream.close(limits.stream_bytes));
            if cold.streams.iter().any(|stream| stream.cut) {
                self.marks.set(Marks::CUT);
            }
            if cold.streams.iter().any(|stream| stream.holes) {
                self.marks.set(Marks::HOLES);
            }
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
        start.late = self.key.protocol() == 6 && !self.marks.has(high | low);
        start.cut = self.marks.has(Marks::CUT);
        start.holes = self.marks.has(Marks::HOLES);
        start
    }

    /// The longest chain of encapsulations, and all places where there are several.
    fn places(&self, places: &Places, opening: Option<Opening>) -> (Vec<String>, Seen) {
        let mut all: Vec<PlaceId> = self.place.into_iter().filter(|place| *place != NO_PLACE).collect();
        let mut more = SeenMore::default();
        if let Some(elsewhere) = &self.elsewhere {
            more.copies = elsewhere.copied;
            all.extend(elsewhere.places.iter().map(|(place, _)| *place));
        }
        all.sort_unstable();
        all.dedup();
        let medium = places.medium(&all);
        if places.are_plain(&all) && more.copies == 0 {
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
        match self.key.protocol() == 6 && self.marks.has(Marks::OPENING_SEEN) {
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
