//! The flow table: a fixed key, bounded size, no allocation for a packet of a known flow that has
//! shown enough of itself.

use super::network::{ACK, FIN, Packet, RST, SYN};
use super::stream::Stream;
use super::{Counters, Flow, FlowEnd, Handshake, StreamStart, Transport};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use std::net::IpAddr;

/// How much the table may hold.
#[derive(Clone, Copy, Debug)]
pub struct FlowLimits {
    /// Flows at a time; the longest idle ones make room.
    pub flows: usize,
    /// First payload bytes kept of each direction.
    pub stream_bytes: usize,
    /// Payload bytes kept in all; beyond, streams are cut and say so.
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

/// Fragments whose first part is remembered.
const MOST_FRAGMENTS: usize = 4_096;

type Key = (FlowEnd, FlowEnd, Transport);
type FragmentKey = (IpAddr, IpAddr, Transport, u32);

/// One flow in the making; `a` is the lower end of the key.
#[derive(Debug)]
struct State {
    /// Of the sender of the first packet: whether it was the lower end.
    first_sender_low: bool,
    /// Whether the lower end is the initiator, and what that rests on.
    direction: Option<(bool, Handshake)>,
    counters: [Counters; 2],
    streams: [Stream; 2],
    responder_first: Option<bool>,
    initial_sequence: [Option<u32>; 2],
    closed: bool,
    first: u64,
    last: u64,
    via: super::network::ViaList,
    over_budget: bool,
}

/// All flows that are open.
#[derive(Debug)]
pub(super) struct FlowTable {
    limits: FlowLimits,
    flows: HashMap<Key, State>,
    fragments: HashMap<FragmentKey, (u16, u16)>,
    payload: usize,
    evicted: u64,
    lost_fragments: u64,
    over_budget: u64,
}

impl FlowTable {
    pub(super) fn new(limits: FlowLimits) -> Self {
        FlowTable {
            limits,
            flows: HashMap::new(),
            fragments: HashMap::new(),
            payload: 0,
            evicted: 0,
            lost_fragments: 0,
            over_budget: 0,
        }
    }

    /// Counts a packet and keeps its first payload bytes.
    pub(super) fn packet(&mut self, packet: &Packet<'_>, nanos: u64, sink: &mut dyn FnMut(Flow)) {
        let (mut source, mut target) = (packet.source, packet.target);
        if let Some(fragment) = packet.fragment {
            let key = (source.ip, target.ip, packet.transport, fragment.id);
            if fragment.first {
                if self.fragments.len() >= MOST_FRAGMENTS {
                    self.fragments.clear();
                }
                self.fragments.insert(key, (source.port, target.port));
            } else if let Some(ports) = self.fragments.get(&key) {
                (source.port, target.port) = *ports;
            } else {
                self.lost_fragments += 1;
            }
        }
        let source_low = source <= target;
        let key =
            if source_low { (source, target, packet.transport) } else { (target, source, packet.transport) };
        self.make_room(nanos, sink);
        let limits = self.limits;
        let mut state = match self.flows.entry(key) {
            Entry::Occupied(known) if known.get().is_over(packet, source_low, nanos, &limits) => {
                let (key, old) = known.remove_entry();
                self.payload -= old.kept();
                sink(old.into_flow(key, false, &limits));
                self.flows.entry(key).insert(State::new(packet, source_low, nanos))
            }
            Entry::Occupied(known) => known,
            Entry::Vacant(free) => free.insert_entry(State::new(packet, source_low, nanos)),
        };
        let may_keep = self.payload < limits.payload_bytes;
        let state = state.get_mut();
        self.over_budget += u64::from(!may_keep && !packet.payload.is_empty() && !state.over_budget);
        self.payload += state.count(packet, source_low, nanos, &limits, may_keep);
    }

    /// Hands out everything that is left.
    pub(super) fn finish(&mut self, sink: &mut dyn FnMut(Flow)) {
        for (key, state) in self.flows.drain() {
            sink(state.into_flow(key, false, &self.limits));
        }
        self.payload = 0;
    }

    pub(super) fn oddities(&self) -> impl Iterator<Item = (&'static str, u64)> {
        [
            ("flows that left the full table before their end", self.evicted),
            ("fragments whose first part was not seen", self.lost_fragments),
            ("flows whose first bytes were not kept, to bound memory", self.over_budget),
        ]
        .into_iter()
        .filter(|(_, count)| *count > 0)
    }

    /// A full table gives up what is over, and else the quarter that was silent for longest.
    fn make_room(&mut self, now: u64, sink: &mut dyn FnMut(Flow)) {
        if self.flows.len() < self.limits.flows {
            return;
        }
        let mut times: Vec<u64> = self.flows.values().map(|state| state.last).collect();
        let quarter = times.len() / 4;
        let (_, oldest, _) = times.select_nth_unstable(quarter);
        let oldest = *oldest;
        let idle = self.limits.idle_nanos;
        let limits = self.limits;
        let mut room = self.limits.flows / 4 + 1;
        let over = |state: &State| state.closed || now.saturating_sub(state.last) > idle;
        let leaving = self.flows.extract_if(|_, state| {
            let leaves = over(state) || (state.last <= oldest && room > 0);
            room = room.saturating_sub(usize::from(leaves));
            leaves
        });
        for (key, state) in leaving {
            let evicted = !over(&state);
            self.evicted += u64::from(evicted);
            self.payload -= state.kept();
            sink(state.into_flow(key, evicted, &limits));
        }
    }
}

impl State {
    fn new(packet: &Packet<'_>, source_low: bool, nanos: u64) -> State {
        State {
            first_sender_low: source_low,
            direction: None,
            counters: Default::default(),
            streams: Default::default(),
            responder_first: None,
            initial_sequence: [None; 2],
            closed: false,
            first: nanos,
            last: nanos,
            via: packet.via,
            over_budget: false,
        }
    }

    fn kept(&self) -> usize {
        self.streams.iter().map(|stream| stream.bytes.len()).sum()
    }

    /// Whether a packet belongs to a new flow between the same ends: after silence, or with the
    /// handshake of a new connection.
    fn is_over(&self, packet: &Packet<'_>, source_low: bool, nanos: u64, limits: &FlowLimits) -> bool {
        let silent = nanos.saturating_sub(self.last) > limits.idle_nanos;
        let reopened = packet.tcp.is_some_and(|tcp| {
            let known = self.initial_sequence[usize::from(source_low)];
            tcp.flags & (SYN | ACK) == SYN && self.closed && known != Some(tcp.sequence)
        });
        silent || reopened
    }

    /// Counts; returns how many payload bytes were kept.
    fn count(
        &mut self,
        packet: &Packet<'_>,
        source_low: bool,
        nanos: u64,
        limits: &FlowLimits,
        may_keep: bool,
    ) -> usize {
        let side = usize::from(source_low);
        self.counters[side].packets += 1;
        self.counters[side].bytes += packet.bytes;
        self.first = self.first.min(nanos);
        self.last = self.last.max(nanos);
        self.note_handshake(packet, source_low);
        if packet.payload.is_empty() {
            self.streams[side].cut |= packet.missing > 0 && packet.transport == Transport::Tcp;
            return 0;
        }
        self.responder_first.get_or_insert(source_low);
        let stream = &mut self.streams[side];
        if stream.is_full(limits.stream_bytes) {
            return 0;
        }
        if !may_keep {
            self.over_budget = true;
            stream.cut = true;
            return 0;
        }
        let before = stream.bytes.len();
        match packet.tcp {
            Some(tcp) => {
                let begin = tcp.sequence.wrapping_add(u32::from(tcp.flags & SYN != 0));
                stream.segment(begin, packet.payload, packet.missing, limits.stream_bytes)
            }
            None => stream.datagram(packet.payload, packet.missing, limits.stream_bytes),
        };
        stream.bytes.len() - before
    }

    fn note_handshake(&mut self, packet: &Packet<'_>, source_low: bool) {
        let side = usize::from(source_low);
        if let Some(tcp) = packet.tcp {
            match tcp.flags & (SYN | ACK) {
                SYN => self.direction = Some((source_low, Handshake::Seen)),
                both if both == SYN | ACK && self.direction.is_none() => {
                    self.direction = Some((!source_low, Handshake::AnswerSeen));
                }
                _ => {}
            }
            if tcp.flags & SYN != 0 {
                self.initial_sequence[side] = Some(tcp.sequence);
                self.streams[side].begin(tcp.sequence);
            }
            self.closed |= tcp.flags & (FIN | RST) != 0;
        }
        match packet.sctp_chunk {
            Some(1) => self.direction = Some((source_low, Handshake::Seen)),
            Some(2) if self.direction.is_none() => {
                self.direction = Some((!source_low, Handshake::AnswerSeen))
            }
            _ => {}
        }
    }

    fn into_flow(mut self, key: Key, evicted: bool, limits: &FlowLimits) -> Flow {
        let (low, high, transport) = key;
        let (low_initiates, handshake) = self.direction.unwrap_or_else(|| self.guess(low, high));
        self.streams.iter_mut().for_each(|stream| stream.close(limits.stream_bytes));
        // Index 1 is the lower end, index 0 the higher one.
        let [high_stream, low_stream] = self.streams;
        let [high_count, low_count] = self.counters;
        let (initiator, responder) = if low_initiates { (low, high) } else { (high, low) };
        let (forward, backward) =
            if low_initiates { (low_count, high_count) } else { (high_count, low_count) };
        let (ahead, back) = if low_initiates { (low_stream, high_stream) } else { (high_stream, low_stream) };
        let start = StreamStart {
            late: transport == Transport::Tcp && self.initial_sequence == [None, None],
            cut: ahead.cut || back.cut,
            holes: ahead.holes || back.holes,
            responder_first: self.responder_first.is_some_and(|low_first| low_first != low_initiates),
            forward: ahead.bytes,
            backward: back.bytes,
            forward_lengths: ahead.lengths,
            backward_lengths: back.lengths,
        };
        Flow {
            initiator,
            responder,
            transport,
            handshake,
            forward,
            backward,
            first: self.first,
            last: self.last,
            start,
            via: self.via.texts(),
            evicted,
        }
    }

    /// Without a handshake, a well-known port is taken for the responder's.
    fn guess(&self, low: FlowEnd, high: FlowEnd) -> (bool, Handshake) {
        let served = |port: u16, other: u16| {
            port != 0 && ((port < 1_024 && other >= 1_024) || (port < 32_768 && other >= 32_768))
        };
        match (served(low.port, high.port), served(high.port, low.port)) {
            (true, false) => (false, Handshake::GuessedByPort),
            (false, true) => (true, Handshake::GuessedByPort),
            _ => (self.first_sender_low, Handshake::FirstPacket),
        }
    }
}
