//! What a capture is reduced to: one record for each conversation.

use std::net::IpAddr;

/// One conversation between two ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Who opened it, as far as is known (see `handshake`).
    pub initiator: FlowEnd,
    /// Who was called.
    pub responder: FlowEnd,
    /// The protocol above IP.
    pub transport: Transport,
    /// What the direction rests on.
    pub handshake: Handshake,
    /// Packets and bytes from the initiator.
    pub forward: Counters,
    /// Packets and bytes from the responder.
    pub backward: Counters,
    /// Time of the first packet, in nanoseconds since 1970.
    pub first: u64,
    /// Time of the last packet, in nanoseconds since 1970.
    pub last: u64,
    /// The first payload bytes, put in order.
    pub start: StreamStart,
    /// Encapsulations around the flow, outermost first: `vlan:12`, `vxlan:4096`.
    pub via: Vec<String>,
    /// Whether the flow was dropped from the table before its end because the table was full.
    pub evicted: bool,
    /// Where it was met, and what tells its other faces.
    pub seen: Seen,
}

/// Where a flow was met, and what it has in common with other faces of the same connection.
///
/// Most flows were met at one place, with one face, in no tunnel: for them, `more` is `None`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Seen {
    /// How the connection was opened.
    pub opening: Option<Opening>,
    /// What came back from the responder, where that is known.
    pub answer: Answer,
    /// What the link layer says of where it was met.
    pub medium: Medium,
    /// What there is to say of several places and faces.
    pub more: Option<Box<SeenMore>>,
}

/// What came back from the responder of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Answer {
    /// It is not known: no TCP, or the beginning was not seen.
    #[default]
    Unknown,
    /// Payload.
    Payload,
    /// No payload as far as the capture goes; the connection was not ended by the responder.
    Silence,
    /// No payload, and then the end: by the responder, or by a reset of either side.
    Refusal,
}

/// What the link layer says of the interface at which packets were met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Medium {
    /// Nothing: raw IP, or link layers that do not tell.
    #[default]
    Unknown,
    /// A loopback interface: the packets never left a network namespace.
    Loopback,
    /// Another interface, at least for some of the packets.
    Link,
}

impl Medium {
    /// How many there are, for arrays by them.
    pub(super) const KINDS: usize = Medium::Link as usize + 1;
}

/// Of a flow that was met at several places, with several faces, or in a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SeenMore {
    /// All places at which it was met, where there are several.
    pub places: Vec<Place>,
    /// Packets that were met again at another place and not counted.
    pub copies: u64,
    /// The outermost tunnel around it.
    pub tunnel: Option<Tunnel>,
    /// Whether its packets are those of one connection.
    pub unity: Unity,
    /// Faces of the same connection before and after address translation, in the order of time;
    /// empty where only one was met.
    pub legs: Vec<Leg>,
}

/// Whether the packets between two ends are those of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Unity {
    /// Nothing speaks against it.
    #[default]
    One,
    /// They are of several at a time, as networks apart have that use the same addresses.
    Several,
}

impl Seen {
    /// Whether its packets are those of one connection.
    pub fn unity(&self) -> Unity {
        self.more.as_ref().map_or(Unity::One, |more| more.unity)
    }

    /// Packets that were met again at another place and not counted.
    pub fn copies(&self) -> u64 {
        self.more.as_ref().map_or(0, |more| more.copies)
    }

    /// All places at which the flow was met, where there are several.
    pub fn places(&self) -> &[Place] {
        self.more.as_ref().map_or(&[], |more| &more.places)
    }

    /// Ends of the outermost tunnel around the flow.
    pub fn tunnel(&self) -> Option<(IpAddr, IpAddr)> {
        self.more.as_ref().and_then(|more| more.tunnel).map(|tunnel| tunnel.ends)
    }

    /// Faces of the connection, where several were met.
    pub fn legs(&self) -> &[Leg] {
        self.more.as_ref().map_or(&[], |more| &more.legs)
    }
}

/// What other flows are carried by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tunnel {
    /// The lower address first; nothing tells who opened it.
    pub ends: (IpAddr, IpAddr),
    /// Its kind among encapsulations.
    pub kind: TunnelKind,
    /// The protocol above IP.
    pub over: Transport,
    /// Its port, 0 where it has none or is known by its bytes alone.
    pub port: u16,
}

/// A kind of tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TunnelKind(pub(super) u8);

/// A point at which packets were captured.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Which capture, in the order in which they were given.
    pub input: usize,
    /// Number of the interface: its index on the node (cooked captures) or in the file (pcapng).
    pub interface: u32,
    /// Encapsulations at this place, outermost first.
    pub via: Vec<String>,
}

/// The numbers with which a TCP connection was opened; address translation leaves them alone.
///
/// UDP has none: there, a number stands for the first datagram of each side and its IP identification,
/// and is odd where there was one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Opening {
    /// Initial sequence number of the initiator (UDP: a fingerprint).
    pub initiator: u32,
    /// The same of the responder, where its answer was seen.
    pub responder: Option<u32>,
    /// Time stamp option of the SYN (RFC 7323); 0 where there was none.
    pub timestamp: u32,
}

impl Opening {
    /// Whether a datagram among the first of both sides had an identification of its own: alike in
    /// that, too, they are one datagram, and not two with the same words.
    pub fn identifies(&self) -> bool {
        (self.initiator | self.responder.unwrap_or(0)) & 1 != 0
    }
}

/// One face of a connection that address translation shows twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leg {
    /// Who opened it, on this side of the translation.
    pub initiator: FlowEnd,
    /// Who was called, on this side of the translation.
    pub responder: FlowEnd,
    /// Time of the first packet on this side, in nanoseconds since 1970.
    pub first: u64,
}

/// Who takes flows.
pub trait Audience {
    /// Whether verdicts can be had before a flow has ended, which saves the memory of its first bytes.
    fn judging(&self) -> Judging {
        Judging::AtTheEnd
    }

    /// Looks at the first bytes of a flow that has shown enough; they are dropped afterwards.
    /// The number is handed back with the finished flow.
    fn judge(&mut self, flow: &Flow) -> u32;

    /// Whether `judge` asks where a flow was met, and not only for its first bytes.
    fn asks_where(&self) -> bool {
        true
    }

    /// Whether more of what a side says could change what `judge` will say; asked now and then while
    /// both sides of a connection are kept.
    fn wants(&self, _: &Exchange<'_>) -> StillWanted {
        StillWanted::Both
    }

    /// Whether a stretch of what a side says holds something that is still [sought](StillWanted::Sought),
    /// which is never longer than [`LONGEST_SOUGHT`].
    fn seeks(&self, _: &[u8]) -> bool {
        true
    }

    /// Takes a finished flow, with its first bytes, or with the number that `judge` gave for them.
    fn finished(&mut self, flow: Flow, verdict: Option<u32>);

    /// The moment, in nanoseconds since 1970, if open flows should be shown now; flows that are over
    /// by then are handed out before.
    fn asks(&mut self) -> Option<u64> {
        None
    }

    /// Is shown an open flow, because it asked.
    fn open(&mut self, _: &OpenFlow) {}

    /// All open flows were shown.
    fn surveyed(&mut self) {}
}

/// What was kept of a connection so far, one of whose sides speaks. Who called is certain, and nothing
/// is missing.
#[derive(Clone, Copy, Debug)]
pub struct Exchange<'a> {
    /// First bytes of the caller.
    pub caller: &'a [u8],
    /// First bytes of the called side.
    pub called: &'a [u8],
    /// Whose bytes became more.
    pub speaker: Speaker,
    /// How many bytes are kept of a side at most.
    pub limit: usize,
}

impl<'a> Exchange<'a> {
    /// What the speaker said so far.
    pub fn said(&self) -> &'a [u8] {
        match self.speaker {
            Speaker::Caller => self.caller,
            Speaker::Called => self.called,
        }
    }
}

/// One side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// Who opened it.
    Caller,
    /// Who was called.
    Called,
}

/// Bytes of the longest thing that is sought in what passes.
pub const LONGEST_SOUGHT: usize = 64;

/// Whose further bytes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StillWanted {
    /// Those of both sides.
    Both,
    /// Of the speaker's only stretches in which something is [sought](Audience::seeks).
    Sought,
    /// Not those of the speaker.
    TheOther,
    /// Nobody's.
    Nothing,
}

/// An open flow as it stands, in short.
#[derive(Clone, Copy, Debug)]
pub struct OpenFlow {
    /// Who opened it, as far as is known yet.
    pub initiator: FlowEnd,
    /// Who was called.
    pub responder: FlowEnd,
    /// The protocol above IP.
    pub transport: Transport,
    /// Packets and bytes from the initiator.
    pub forward: Counters,
    /// Packets and bytes from the responder.
    pub backward: Counters,
    /// Time of the first packet, in nanoseconds since 1970.
    pub first: u64,
    /// Time of the last packet.
    pub last: u64,
    /// The number that `judge` gave, if it was asked already.
    pub verdict: Option<u32>,
}

/// When an audience judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judging {
    /// When it takes the finished flow.
    AtTheEnd,
    /// As soon as a flow has shown enough.
    Early,
}

/// Takes all flows with their first bytes.
pub(super) struct Collector<'a>(pub(super) &'a mut dyn FnMut(Flow));

impl Audience for Collector<'_> {
    fn judge(&mut self, _: &Flow) -> u32 {
        0
    }

    fn finished(&mut self, flow: Flow, _: Option<u32>) {
        (self.0)(flow);
    }
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowEnd {
    /// Address.
    pub ip: IpAddr,
    /// Port; 0 where the transport has none.
    pub port: u16,
}

/// The protocol above IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP or ICMPv6.
    Icmp,
    /// Any other IP protocol, by number.
    Other(u8),
}

/// What the choice of the initiator rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Handshake {
    /// The opening packet was seen (SYN, INIT).
    Seen,
    /// Only the answer to it was seen (SYN-ACK).
    AnswerSeen,
    /// No handshake: the side with the lower, well-known port, or the one that is declared to be
    /// called, is taken for the responder.
    GuessedByPort,
    /// No handshake and no port to go by: the first packet's sender is taken for the initiator.
    FirstPacket,
}

/// Counts of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes at the IP layer, as the headers state them.
    pub bytes: u64,
}

/// The first payload bytes of each direction, in stream order, up to a limit.
///
/// For datagrams, `lengths` keeps where each one ends, so that a detector can see their borders.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct StreamStart {
    /// From the initiator.
    pub forward: Vec<u8>,
    /// From the responder.
    pub backward: Vec<u8>,
    /// Lengths of the datagrams kept in `forward` (datagram transports only).
    pub forward_lengths: Vec<u32>,
    /// Lengths of the datagrams kept in `backward` (datagram transports only).
    pub backward_lengths: Vec<u32>,
    /// The stream was joined after its beginning (no SYN in either direction).
    pub late: bool,
    /// Bytes are missing because the capture cut packets.
    pub cut: bool,
    /// Bytes are missing because packets are missing.
    pub holes: bool,
    /// Which direction sent payload first.
    pub responder_first: bool,
    /// The flow was judged before it had shown enough, to bound memory, and went on to say more.
    pub unread: bool,
    /// What a listener may have heard besides.
    pub besides: Besides,
}

/// What was met of a connection, and has no place in what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Besides {
    /// Nothing.
    #[default]
    Nothing,
    /// Bytes that were sent again, and are others: who listens may have taken either.
    OtherBytes,
    /// Text behind packets that are missing.
    TextBehindHole,
    /// Packets of text behind the first bytes that were looked at, or after the end, which not every reset
    /// is: who listens takes one by its number alone (RFC 5961, section 3.2).
    TextLater,
}

impl StreamStart {
    /// What is known of the stream, without its bytes.
    pub fn flags(&self) -> StreamStart {
        let StreamStart { late, cut, holes, responder_first, unread, .. } = *self;
        StreamStart { late, cut, holes, responder_first, unread, ..StreamStart::default() }
    }
}

impl Flow {
    /// Whether it may have been opened by the other side: neither its opening was seen, nor has its
    /// responder a port that clients never have.
    pub fn may_be_turned(&self) -> bool {
        match self.handshake {
            Handshake::Seen | Handshake::AnswerSeen => false,
            Handshake::GuessedByPort => self.responder.port >= 1_024,
            Handshake::FirstPacket => true,
        }
    }

    /// The flow with its ends the other way round, for who knows better than the guess.
    pub fn turned(mut self) -> Flow {
        std::mem::swap(&mut self.initiator, &mut self.responder);
        std::mem::swap(&mut self.forward, &mut self.backward);
        let start = &mut self.start;
        let spoken = !start.forward.is_empty() || !start.backward.is_empty();
        start.responder_first = spoken && !start.responder_first;
        std::mem::swap(&mut start.forward, &mut start.backward);
        std::mem::swap(&mut start.forward_lengths, &mut start.backward_lengths);
        let turn =
            |one: Opening| Some(Opening { initiator: one.responder?, responder: Some(one.initiator), ..one });
        self.seen.opening = self.seen.opening.and_then(turn);
        self.handshake = Handshake::GuessedByPort;
        self
    }

    /// The flow without its first bytes, which go no further than the detectors.
    pub fn without_payload(mut self) -> Flow {
        self.start = self.start.flags();
        self
    }
}
