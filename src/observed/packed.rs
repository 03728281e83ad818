//! A flow in as few bytes as it takes: what is kept of hundreds of thousands of them until the
//! report. Numbers take as many bytes as they need (LEB128); what many flows share, verdicts,
//! parties and encapsulations, is a number.
//!
//! What is written here is read here and nowhere else. In front of each flow stands how many bytes
//! it takes, so that all of a list are found without a word on where they stand.

use crate::capture::{
    Answer, Counters, Flow, FlowEnd, Handshake, Medium, Opening, Seen, SeenMore, StreamStart, Transport,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A flow without what takes memory of its own: first bytes, encapsulations, tunnel and places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brief {
    /// Who opened it.
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
    /// Time of the last packet, in nanoseconds since 1970.
    pub last: u64,
    /// How the connection was opened.
    pub opening: Option<Opening>,
    /// Packets that were met again at another place and not counted.
    pub copies: u64,
    /// What is told of it by single bits.
    told: Bits,
}

/// Facts of one bit or two, as they are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bits {
    facts: u16,
    /// What came back, and what the link layer says.
    met: u8,
}

/// A flow and the numbers of what it shares with others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Numbered {
    pub(super) flow: Brief,
    pub(super) verdict: u32,
    pub(super) parties: [u32; 2],
    /// Zero for none.
    pub(super) around: u32,
}

/// What sorting and joining look at first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    pub(super) first: u64,
    pub(super) transport: Transport,
    pub(super) verdict: u32,
    /// The initiator's number.
    pub(super) opened: Option<u32>,
}

/// Facts of one bit, in the first two bytes.
const INITIATOR_6: u16 = 1;
const RESPONDER_6: u16 = 1 << 1;
const LATE: u16 = 1 << 2;
const CUT: u16 = 1 << 3;
const HOLES: u16 = 1 << 4;
const EVICTED: u16 = 1 << 5;
const RESPONDER_FIRST: u16 = 1 << 6;
const UNREAD: u16 = 1 << 7;
const OPENED: u16 = 1 << 8;
const ANSWERED: u16 = 1 << 9;
const STAMPED: u16 = 1 << 10;
const AROUND: u16 = 1 << 11;
const COPIED: u16 = 1 << 12;
/// Two bits for the handshake, in the order of [`HANDSHAKES`], which is that of its kinds.
const HANDSHAKE: u32 = 13;

/// The longest record: two IPv6 ends and the longest numbers everywhere.
pub(super) const LONGEST: usize = 192;
// Its length is told in a byte.
const _: () = assert!(LONGEST <= PLACES && PLACES <= u8::MAX as usize);

const HANDSHAKES: [Handshake; 4] =
    [Handshake::Seen, Handshake::AnswerSeen, Handshake::GuessedByPort, Handshake::FirstPacket];

const ANSWERS: [Answer; 4] = [Answer::Unknown, Answer::Payload, Answer::Silence, Answer::Refusal];
const MEDIA: [Medium; 3] = [Medium::Unknown, Medium::Loopback, Medium::Link];

impl Brief {
    /// What is told of a flow in short.
    #[inline]
    pub fn of(flow: &Flow) -> Brief {
        let opening = flow.seen.opening;
        let copies = flow.seen.copies();
        let bits = [
            (INITIATOR_6, flow.initiator.ip.is_ipv6()),
            (RESPONDER_6, flow.responder.ip.is_ipv6()),
            (LATE, flow.start.late),
            (CUT, flow.start.cut),
            (HOLES, flow.start.holes),
            (EVICTED, flow.evicted),
            (RESPONDER_FIRST, flow.start.responder_first),
            (UNREAD, flow.start.unread),
            (OPENED, opening.is_some()),
            (ANSWERED, opening.is_some_and(|opening| opening.responder.is_some())),
            (STAMPED, opening.is_some_and(|opening| opening.timestamp != 0)),
            (COPIED, copies != 0),
        ];
        let handshake = (flow.handshake as u16) << HANDSHAKE;
        let facts = bits.iter().fold(handshake, |all, (bit, set)| if *set { all | bit } else { all });
        let met = flow.seen.answer as u8 | (flow.seen.medium as u8) << 2;
        Brief {
            initiator: flow.initiator,
            responder: flow.responder,
            transport: flow.transport,
            forward: flow.forward,
            backward: flow.backward,
            first: flow.first,
            last: flow.last,
            opening,
            copies,
            told: Bits { facts, met },
        }
    }

    /// Whether nothing of it is missing.
    pub fn is_complete(&self) -> bool {
        self.told.facts & (CUT | HOLES | LATE | EVICTED) == 0
    }

    /// The flow, as far as it is told here.
    pub(super) fn flow(&self) -> Flow {
        let Brief { initiator, responder, transport, forward, backward, first, last, .. } = *self;
        let Bits { facts, met } = self.told;
        let has = |bit: u16| facts & bit != 0;
        let start = StreamStart {
            late: has(LATE),
            cut: has(CUT),
            holes: has(HOLES),
            responder_first: has(RESPONDER_FIRST),
            unread: has(UNREAD),
            ..StreamStart::default()
        };
        let copies = self.copies;
        let seen = Seen {
            opening: self.opening,
            answer: ANSWERS[usize::from(met & 3)],
            medium: MEDIA[usize::from(met >> 2 & 3).min(2)],
            more: (copies != 0).then(|| Box::new(SeenMore { copies, ..SeenMore::default() })),
        };
        Flow {
            initiator,
            responder,
            transport,
            handshake: HANDSHAKES[usize::from(facts >> HANDSHAKE & 3)],
            forward,
            backward,
            first,
            last,
            start,
            via: Vec::new(),
            evicted: has(EVICTED),
            seen,
        }
    }
}

/// Appends a flow.
pub(super) fn pack(out: &mut Vec<u8>, flow: &Brief, verdict: u32, parties: [u32; 2], around: u32) {
    let mut bytes = Writer { bytes: [0; WINDOW], end: 1 };
    let around_it = if around != 0 { AROUND } else { 0 };
    bytes.put((flow.told.facts | around_it).to_le_bytes());
    bytes.put([flow.told.met]);
    bytes.put(transport_code(flow.transport));
    bytes.put(flow.first.to_le_bytes());
    bytes.number(u64::from(verdict));
    if let Some(opening) = flow.opening {
        bytes.put(opening.initiator.to_le_bytes());
        if let Some(word) = opening.responder {
            bytes.put(word.to_le_bytes());
        }
        if opening.timestamp != 0 {
            bytes.put(opening.timestamp.to_le_bytes());
        }
    }
    for end in [flow.initiator, flow.responder] {
        match end.ip {
            IpAddr::V4(four) => bytes.put(four.octets()),
            IpAddr::V6(six) => bytes.put(six.octets()),
        }
        bytes.put(end.port.to_le_bytes());
    }
    for counters in [flow.forward, flow.backward] {
        bytes.number(counters.packets);
        bytes.number(counters.bytes);
    }
    bytes.number(flow.last.saturating_sub(flow.first));
    bytes.number(u64::from(parties[0]));
    bytes.number(u64::from(parties[1]));
    for value in [u64::from(around), flow.copies] {
        if value != 0 {
            bytes.number(value);
        }
    }
    bytes.bytes[0] = bytes.end as u8;
    out.extend_from_slice(&bytes.bytes[..bytes.end]);
}

/// Where each flow of a list begins.
pub(super) fn places(list: &[u8]) -> impl Iterator<Item = usize> {
    let length = |at: usize| list.get(at).map(|length| usize::from(*length)).filter(|length| *length > 0);
    std::iter::successors(Some(0), move |at| Some(at + length(*at)?))
        .take_while(move |at| length(*at).is_some())
}

/// Reads what [`pack`] wrote at the beginning of these bytes.
#[inline]
pub(super) fn unpack(bytes: &[u8]) -> Numbered {
    read(bytes, numbered)
}

#[inline]
fn numbered(mut at: Reader<'_>) -> Numbered {
    let Head { facts, met, transport, first } = at.head();
    let has = |bit: u16| facts & bit != 0;
    let verdict = at.number() as u32;
    let opening = has(OPENED).then(|| Opening {
        initiator: u32::from_le_bytes(at.take()),
        responder: has(ANSWERED).then(|| u32::from_le_bytes(at.take())),
        timestamp: if has(STAMPED) { u32::from_le_bytes(at.take()) } else { 0 },
    });
    let initiator = at.end(has(INITIATOR_6));
    let responder = at.end(has(RESPONDER_6));
    let forward = Counters { packets: at.number(), bytes: at.number() };
    let backward = Counters { packets: at.number(), bytes: at.number() };
    let last = first.saturating_add(at.number());
    let parties = [at.number() as u32, at.number() as u32];
    let around = if has(AROUND) { at.number() as u32 } else { 0 };
    let copies = if has(COPIED) { at.number() } else { 0 };
    let told = Bits { facts: facts & !AROUND, met };
    let flow =
        Brief { initiator, responder, transport, forward, backward, first, last, opening, copies, told };
    Numbered { flow, verdict, parties, around }
}

/// The beginning of what [`pack`] wrote: when, over what, its verdict, and with which number it was
/// opened.
#[inline]
pub(super) fn glance(bytes: &[u8]) -> Beginning {
    read(bytes, |mut at| {
        let Head { facts, transport, first, .. } = at.head();
        let verdict = at.number() as u32;
        let opened = (facts & OPENED != 0).then(|| u32::from_le_bytes(at.take()));
        Beginning { first, transport, verdict, opened }
    })
}

/// A kind, and the number of an IP protocol without a kind of its own.
fn transport_code(transport: Transport) -> [u8; 2] {
    match transport {
        Transport::Tcp => [0, 0],
        Transport::Udp => [1, 0],
        Transport::Sctp => [2, 0],
        Transport::Icmp => [3, 0],
        Transport::Other(number) => [4, number],
    }
}

fn transport_of(code: [u8; 2]) -> Transport {
    match code {
        [0, _] => Transport::Tcp,
        [1, _] => Transport::Udp,
        [2, _] => Transport::Sctp,
        [3, _] => Transport::Icmp,
        [_, number] => Transport::Other(number),
    }
}

/// Bytes of a flow, and as many behind its end as the longest piece may take.
const WINDOW: usize = 256 + 16;

/// What no place in a window is beyond: the longest flow is shorter. So nobody asks whether there is
/// room for a piece of at most sixteen bytes.
const PLACES: usize = 255;

/// Room for one flow.
struct Writer {
    bytes: [u8; WINDOW],
    end: usize,
}

impl Writer {
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        let at = self.end & PLACES;
        self.bytes[at..at + N].copy_from_slice(&bytes);
        self.end = at + N;
    }

    #[inline]
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put([value as u8 | 0x80]);
            value >>= 7;
        }
        self.put([value as u8]);
    }
}

/// What each flow begins with.
struct Head {
    facts: u16,
    met: u8,
    transport: Transport,
    first: u64,
}

/// Bytes that were written here; what is not there reads as zeros.
struct Reader<'a> {
    bytes: &'a [u8; WINDOW],
    at: usize,
}

/// Has a flow read at the beginning of some bytes: the last ones of a list are too few for a window.
#[inline]
fn read<T>(bytes: &[u8], read: impl Fn(Reader<'_>) -> T) -> T {
    if let Some(bytes) = bytes.first_chunk() {
        return read(Reader { bytes, at: 0 });
    }
    let mut window = [0; WINDOW];
    window[..bytes.len()].copy_from_slice(bytes);
    read(Reader { bytes: &window, at: 0 })
}

impl Reader<'_> {
    #[inline]
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let at = self.at & PLACES;
        self.at = at + N;
        let mut taken = [0; N];
        taken.copy_from_slice(&self.bytes[at..at + N]);
        taken
    }

    #[inline]
    fn number(&mut self) -> u64 {
        let [first] = self.take();
        if first < 0x80 { u64::from(first) } else { self.longer(first) }
    }

    fn longer(&mut self, first: u8) -> u64 {
        let (mut value, mut shift) = (u64::from(first & 0x7f), 7);
        while shift < 64 {
            let [byte] = self.take();
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
        }
        value
    }

    #[inline]
    fn head(&mut self) -> Head {
        let [_length, low, high, met, kind, number, first @ ..] = self.take::<14>();
        Head {
            facts: u16::from_le_bytes([low, high]),
            met,
            transport: transport_of([kind, number]),
            first: u64::from_le_bytes(first),
        }
    }

    #[inline]
    fn end(&mut self, is_6: bool) -> FlowEnd {
        if is_6 {
            let ip = IpAddr::V6(Ipv6Addr::from(self.take::<16>()));
            return FlowEnd { ip, port: u16::from_le_bytes(self.take()) };
        }
        let [a, b, c, d, low, high] = self.take();
        FlowEnd { ip: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), port: u16::from_le_bytes([low, high]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn end(six: bool, address: u128, port: u16) -> FlowEnd {
        let ip = if six {
            IpAddr::from(address.to_be_bytes())
        } else {
            IpAddr::from((address as u32).to_be_bytes())
        };
        FlowEnd { ip, port }
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(
            ends in any::<[(bool, u128, u16); 2]>(),
            (kind, counts, times) in any::<(u8, [u64; 4], (u64, u32))>(),
            opening in any::<Option<(u32, Option<u32>, u32)>>(),
            (flags, verdict, parties, around) in any::<(u8, u32, [u32; 2], u32)>(),
        ) {
            let [initiator, responder] = ends.map(|(six, address, port)| end(six, address, port));
            let flag = |bit: u8| flags >> bit & 1 == 1;
            let transports = [Transport::Tcp, Transport::Udp, Transport::Sctp, Transport::Icmp];
            let flow = Flow {
                initiator,
                responder,
                transport: transports.get(usize::from(kind)).copied().unwrap_or(Transport::Other(kind)),
                handshake: HANDSHAKES[usize::from(flags & 3)],
                forward: Counters { packets: counts[0], bytes: counts[1] },
                backward: Counters { packets: counts[2] >> 40, bytes: counts[3] >> 60 },
                first: times.0,
                last: times.0.saturating_add(u64::from(times.1)),
                start: StreamStart {
                    late: flag(2),
                    cut: flag(3),
                    holes: flag(4),
                    responder_first: flag(5),
                    unread: flag(6),
                    ..StreamStart::default()
                },
                via: Vec::new(),
                evicted: flag(7),
                seen: Seen {
                    answer: ANSWERS[usize::from(kind & 3)],
                    medium: MEDIA[usize::from(kind) % 3],
                    opening: opening.map(|(initiator, responder, timestamp)| Opening {
                        initiator,
                        responder,
                        timestamp,
                    }),
                    more: (counts[0] % 3 == 1).then(|| {
                        Box::new(SeenMore { copies: counts[0], ..SeenMore::default() })
                    }),
                },
            };
            let mut list = Vec::new();
            (0..3).for_each(|_| pack(&mut list, &Brief::of(&flow), verdict, parties, around));
            prop_assert!(list.len() <= 3 * LONGEST && list.len() % 3 == 0);
            let length = list.len() / 3;
            prop_assert_eq!(places(&list).collect::<Vec<_>>(), [0, length, 2 * length]);
            let (found, seen) = (unpack(&list[length..]), glance(&list[length..]));
            prop_assert_eq!((seen.first, seen.transport), (flow.first, flow.transport));
            prop_assert_eq!(seen.verdict, verdict);
            prop_assert_eq!(seen.opened, flow.seen.opening.map(|opening| opening.initiator));
            prop_assert_eq!(found.flow, Brief::of(&flow));
            prop_assert_eq!(found.flow.flow(), flow);
            prop_assert_eq!((found.verdict, found.parties, found.around), (verdict, parties, around));
        }
    }
}
