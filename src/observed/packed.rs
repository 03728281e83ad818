//! A flow in as few bytes as it takes: what is kept of hundreds of thousands of them until the
//! report. Numbers take as many bytes as they need (LEB128); what many flows share, verdicts,
//! parties and encapsulations, is a number.
//!
//! What is written here is read here and nowhere else: no length stands in front of anything.

use crate::capture::{
    Answer, Counters, Flow, FlowEnd, Handshake, Medium, Opening, Seen, SeenMore, StreamStart, Transport,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A flow and the numbers of what it shares with others.
#[derive(Debug)]
pub(super) struct Numbered {
    /// Without first bytes, encapsulations, tunnel and places.
    pub(super) flow: Flow,
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
/// Two bits for the handshake.
const HANDSHAKE: u32 = 13;

/// The longest record: two IPv6 ends and the longest numbers everywhere.
pub(super) const LONGEST: usize = 192;

const HANDSHAKES: [Handshake; 4] =
    [Handshake::Seen, Handshake::AnswerSeen, Handshake::GuessedByPort, Handshake::FirstPacket];

const ANSWERS: [Answer; 4] = [Answer::Unknown, Answer::Payload, Answer::Silence, Answer::Refusal];
const MEDIA: [Medium; 3] = [Medium::Unknown, Medium::Loopback, Medium::Link];

/// Appends a flow.
pub(super) fn pack(out: &mut Vec<u8>, flow: &Flow, verdict: u32, parties: [u32; 2], around: u32) {
    let opening = flow.seen.opening;
    let copies = flow.seen.copies();
    let handshake = HANDSHAKES.iter().position(|known| *known == flow.handshake).unwrap_or(3) as u16;
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
        (AROUND, around != 0),
        (COPIED, copies != 0),
    ];
    let facts =
        bits.iter().fold(handshake << HANDSHAKE, |all, (bit, set)| if *set { all | bit } else { all });
    out.extend(facts.to_le_bytes());
    let answer = ANSWERS.iter().position(|known| *known == flow.seen.answer).unwrap_or(0) as u8;
    let medium = MEDIA.iter().position(|known| *known == flow.seen.medium).unwrap_or(0) as u8;
    out.push(answer | medium << 2);
    out.extend_from_slice(&transport_code(flow.transport));
    out.extend(flow.first.to_le_bytes());
    number(out, u64::from(verdict));
    if let Some(opening) = opening {
        out.extend(opening.initiator.to_le_bytes());
        opening.responder.iter().for_each(|word| out.extend(word.to_le_bytes()));
        if opening.timestamp != 0 {
            out.extend(opening.timestamp.to_le_bytes());
        }
    }
    for end in [flow.initiator, flow.responder] {
        match end.ip {
            IpAddr::V4(four) => out.extend(four.octets()),
            IpAddr::V6(six) => out.extend(six.octets()),
        }
        out.extend(end.port.to_le_bytes());
    }
    for counters in [flow.forward, flow.backward] {
        number(out, counters.packets);
        number(out, counters.bytes);
    }
    number(out, flow.last.saturating_sub(flow.first));
    parties.iter().for_each(|party| number(out, u64::from(*party)));
    for (value, there) in [(u64::from(around), around != 0), (copies, copies != 0)] {
        if there {
            number(out, value);
        }
    }
}

/// Reads what [`pack`] wrote at the beginning of these bytes.
pub(super) fn unpack(bytes: &[u8]) -> Numbered {
    let mut at = Reader(bytes);
    let Head { facts, told, transport, first } = at.head();
    let has = |bit: u16| facts & bit != 0;
    let verdict = at.number() as u32;
    let opening = has(OPENED).then(|| Opening {
        initiator: u32::from_le_bytes(at.take()),
        responder: has(ANSWERED).then(|| u32::from_le_bytes(at.take())),
        timestamp: if has(STAMPED) { u32::from_le_bytes(at.take()) } else { 0 },
    });
    let initiator = at.end(has(INITIATOR_6));
    let responder = at.end(has(RESPONDER_6));
    let [forward, backward] = [(); 2].map(|()| Counters { packets: at.number(), bytes: at.number() });
    let last = first.saturating_add(at.number());
    let parties = [(); 2].map(|()| at.number() as u32);
    let around = if has(AROUND) { at.number() as u32 } else { 0 };
    let copies = if has(COPIED) { at.number() } else { 0 };
    let more = (copies != 0).then(|| Box::new(SeenMore { copies, ..SeenMore::default() }));
    let start = StreamStart {
        late: has(LATE),
        cut: has(CUT),
        holes: has(HOLES),
        responder_first: has(RESPONDER_FIRST),
        unread: has(UNREAD),
        ..StreamStart::default()
    };
    let flow = Flow {
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
        seen: Seen {
            opening,
            answer: ANSWERS[usize::from(told & 3)],
            medium: MEDIA[usize::from(told >> 2 & 3).min(2)],
            more,
        },
    };
    Numbered { flow, verdict, parties, around }
}

/// The beginning of what [`pack`] wrote: when, over what, its verdict, and with which number it was
/// opened.
pub(super) fn glance(bytes: &[u8]) -> Beginning {
    let mut at = Reader(bytes);
    let Head { facts, transport, first, .. } = at.head();
    let verdict = at.number() as u32;
    let opened = (facts & OPENED != 0).then(|| u32::from_le_bytes(at.take()));
    Beginning { first, transport, verdict, opened }
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

#[inline]
fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// What each flow begins with.
struct Head {
    facts: u16,
    told: u8,
    transport: Transport,
    first: u64,
}

/// Bytes that were written here; what is not there reads as zeros.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    #[inline]
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk::<N>() {
            Some((taken, rest)) => {
                self.0 = rest;
                *taken
            }
            None => [0; N],
        }
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
        let [low, high, told, kind, number, first @ ..] = self.take::<13>();
        Head {
            facts: u16::from_le_bytes([low, high]),
            told,
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
            let mut bytes = vec![1, 2, 3];
            pack(&mut bytes, &flow, verdict, parties, around);
            prop_assert!(bytes.len() <= LONGEST);
            let (found, seen) = (unpack(&bytes[3..]), glance(&bytes[3..]));
            prop_assert_eq!((seen.first, seen.transport), (flow.first, flow.transport));
            prop_assert_eq!(seen.verdict, verdict);
            prop_assert_eq!(seen.opened, flow.seen.opening.map(|opening| opening.initiator));
            prop_assert_eq!(found.flow, flow);
            prop_assert_eq!((found.verdict, found.parties, found.around), (verdict, parties, around));
        }
    }
}
