//! Address translation shows one connection with several pairs of ends (client → service address,
//! client → pod, node → pod): its legs are joined where the evidence allows, and said to be joined.
//!
//! The evidence for TCP is the initiator's initial sequence number, equal on both legs, and either
//! the responder's, or the time stamp of the SYN, equal as well, within a second. For UDP it is
//! the first datagram of both sides, equal to the byte and to the IP identification, within a
//! tenth of a second, between ends of which the translation left one alone, or the port. Who asks
//! two servers the same from one socket, without an identification, looks alike: then the ends
//! must also be such as a translation leads from one to the other.
//! The same holds for numbers that somebody wrote by hand (`made_up`).
//! A connection that a proxy ends and opens anew is two, and stays two.

use super::flows::{Flows, Spot};
use super::made_up::{contradict, is_written_by_hand};
use super::opened::{Marks, Opened};
use super::{Brief, Handed, ObservedFlow, Party, Transport};
use crate::capture::{Answer, Flow, Leg};
use crate::model::{Protection, WhyUnknown};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// How far apart the first packets of two legs may be, in nanoseconds.
const TCP_WINDOW: u64 = 1_000_000_000;
const UDP_WINDOW: u64 = 100_000_000;

/// Bits of a flow's place in the order: more flows than that are not kept.
const PLACE: u32 = 31;

/// Puts flows into the order of time and joins those that are legs of one connection.
pub fn join(mut flows: Flows) -> Flows {
    // Nearly all numbers stand alone: only those that share a mark with another are looked at.
    let spots = flows.take_order();
    let marks = Marks::of(&flows, &spots);
    let begun = |spot: &Spot| Begun::of(&flows, *spot, &marks);
    let mut times: Vec<Begun> = spots.par_iter().map(begun).collect();
    drop(spots);
    times.par_sort_unstable_by_key(|begun| begun.first);
    settle(&flows, &mut times);
    let mut joined = Vec::new();
    let mut left_out = Vec::new();
    for members in candidates(&flows, &times) {
        let spot = |member: &u32| times[*member as usize].spot;
        let legs: Vec<Brief> = members.iter().map(|member| flows.bare(spot(member))).collect();
        let whole = |member: usize| flows.get(spot(&members[member]));
        // Where two that cannot be legs share both numbers, numbers prove nothing.
        let made_up = pairs(&legs).any(|(one, other)| contradict(&whole(one), &whole(other)));
        let seen_as_one: &[Brief] = if made_up { &[] } else { &legs };
        for group in groups(seen_as_one, |one, other| leads_to(&whole(one), &whole(other))) {
            let group: Vec<u32> = group.into_iter().map(|member| members[member]).collect();
            joined.extend(one(group.iter().map(|member| flows.get(spot(member))).collect()));
            left_out.extend(group);
        }
    }
    if !joined.is_empty() {
        left_out.sort_unstable();
        let mut left_out = left_out.into_iter().peekable();
        let mut at = 0..;
        times.retain(|_| left_out.next_if_eq(&at.next().unwrap_or(u32::MAX)).is_none());
        for flow in joined {
            let spot = flows.whole(flow);
            times.push(Begun { first: flows.glance(spot).first, spot });
        }
        // Two runs in order, nearly, which a stable sort takes as they are.
        times.sort_by_key(|begun| begun.first);
        settle(&flows, &mut times);
    }
    flows.reorder(times.into_iter().map(|begun| begun.spot.with_mark(false)).collect());
    flows
}

/// The same for few flows, of which most are no leg of another: those are left as they are.
pub fn join_few(flows: Vec<Handed>) -> Vec<Handed> {
    let number = |seen: &ObservedFlow| Some((seen.flow.transport, seen.flow.seen.opening?.initiator));
    let mut met: HashMap<(Transport, u32), bool> = HashMap::with_capacity(flows.len());
    for number in flows.iter().filter_map(|seen| number(seen)) {
        met.entry(number).and_modify(|again| *again = true).or_insert(false);
    }
    let is_alone = |seen: &Handed| number(seen).is_none_or(|number| !met[&number]);
    let (mut all, others): (Vec<_>, Vec<_>) = flows.into_iter().partition(is_alone);
    if !others.is_empty() {
        let others: Vec<ObservedFlow> = others.into_iter().map(|seen| *seen).collect();
        all.extend(join(others.into()).iter().map(Box::new));
    }
    let order = |Flow { first, initiator, responder, transport, last, .. }: &Flow| {
        (*first, *initiator, *responder, *transport, *last)
    };
    all.sort_by_key(|seen| order(&seen.flow));
    all
}

/// When a flow began. There are as many at a time as there are flows, so that this is short.
#[derive(Clone, Copy, Debug)]
struct Begun {
    first: u64,
    /// Marked where another flow may have been opened with the same number.
    spot: Spot,
}

impl Begun {
    fn of(flows: &Flows, spot: Spot, marks: &Marks) -> Begun {
        let seen = flows.glance(spot);
        let shared = Opened::in_short(&seen).is_some_and(|opened| marks.is_shared(opened));
        Begun { first: seen.first, spot: spot.with_mark(shared) }
    }
}

/// Of flows that began at the same time, what is left decides their order.
fn settle(flows: &Flows, times: &mut [Begun]) {
    let runs = times.par_chunk_by_mut(|one, other| one.first == other.first);
    runs.filter(|run| run.len() > 1).for_each(|run| run.sort_by_cached_key(|begun| flows.rank(begun.spot)));
}

/// Flows that were opened with the same number, in the order of time, where there are several.
fn candidates(flows: &Flows, times: &[Begun]) -> Vec<Vec<u32>> {
    let shared = times.par_iter().enumerate().filter(|(_, begun)| begun.spot.is_marked());
    let numbered = shared.filter_map(|(at, begun)| {
        Some(Opened::of(flows, begun.spot)?.0 << PLACE | at as u64 & ((1 << PLACE) - 1))
    });
    let mut all: Vec<u64> = numbered.collect();
    all.par_sort_unstable();
    let same = all.chunk_by(|one, other| one >> PLACE == other >> PLACE).filter(|group| group.len() > 1);
    same.map(|group| group.iter().map(|word| (word & ((1 << PLACE) - 1)) as u32).collect()).collect()
}

/// Connections that share both numbers, each with the next ones.
fn pairs(legs: &[Brief]) -> impl Iterator<Item = (usize, usize)> {
    /// Where numbers are made up, neighbours tell.
    const NEXT: usize = 4;
    let near = |one: usize| (one + 1..legs.len().min(one + 1 + NEXT)).map(move |other| (one, other));
    (0..legs.len()).flat_map(near).filter(|(one, other)| alike(&legs[*one], &legs[*other]) != Alike::No)
}

/// Which of some flows, in the order of time, are legs of one connection, where there are several;
/// `leads_to` is asked where bytes alone prove nothing.
fn groups(legs: &[Brief], leads_to: impl Fn(usize, usize) -> bool) -> Vec<Vec<usize>> {
    let mut group: Vec<usize> = (0..legs.len()).collect();
    for (position, later) in legs.iter().enumerate() {
        // What began earlier than that is no leg of this one, nor is anything before it.
        let near = |earlier: &usize| later.first.saturating_sub(legs[*earlier].first) <= TCP_WINDOW;
        let are_one = |earlier: usize| match alike(&legs[earlier], later) {
            Alike::No => false,
            Alike::Proven => true,
            Alike::InWords => leads_to(earlier, position),
        };
        let partner = (0..position)
            .rev()
            .take_while(near)
            .find(|earlier| are_one(*earlier) && !same_ends(&legs[group[*earlier]], later));
        if let Some(earlier) = partner {
            group[position] = group[earlier];
        }
    }
    let mut joined: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (member, leader) in group.into_iter().enumerate() {
        joined.entry(leader).or_default().push(member);
    }
    joined.into_values().filter(|members| members.len() > 1).collect()
}

/// Whether two flows are one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alike {
    No,
    /// The same words were said, and nothing tells the packets from others.
    InWords,
    Proven,
}

/// How alike two flows are that were opened with the same number.
fn alike(earlier: &Brief, later: &Brief) -> Alike {
    let (Some(one), Some(other)) = (earlier.opening, later.opening) else { return Alike::No };
    let apart = later.first.saturating_sub(earlier.first);
    if same_ends(earlier, later) {
        return Alike::No;
    }
    let proven = match (earlier.transport, one.responder, other.responder) {
        (Transport::Tcp, Some(a), Some(b)) => {
            let same = a == b && apart <= TCP_WINDOW;
            if same && is_written_by_hand(one) && is_written_by_hand(other) {
                return Alike::InWords;
            }
            same
        }
        (Transport::Tcp, ..) => one.timestamp != 0 && one.timestamp == other.timestamp && apart <= TCP_WINDOW,
        (Transport::Udp, Some(a), Some(b)) => {
            let one_end_alone = earlier.initiator == later.initiator
                || (earlier.responder == later.responder && earlier.initiator.port == later.initiator.port);
            if a == b && one_end_alone && apart <= UDP_WINDOW && !one.identifies() {
                return Alike::InWords;
            }
            a == b && one_end_alone && apart <= UDP_WINDOW
        }
        _ => false,
    };
    if proven { Alike::Proven } else { Alike::No }
}

/// Whether a translation may lead from the ends of one flow to those of another: from a service to
/// a pod behind it, from a pod to its node. What is known of nobody proves nothing.
fn leads_to(one: &ObservedFlow, other: &ObservedFlow) -> bool {
    let runs = |party: &Party| matches!(party, Party::Endpoint { .. } | Party::Shared(_));
    let node = |party: &Party| matches!(party, Party::Node(_) | Party::Shared(_));
    let either = |a: bool, b: bool| a != b;
    match one.flow.initiator == other.flow.initiator {
        true => [(&one.responder, &other.responder), (&other.responder, &one.responder)]
            .iter()
            .any(|(a, b)| matches!(a, Party::Service(_)) && runs(b)),
        false => either(node(&one.initiator), node(&other.initiator)),
    }
}

fn same_ends(one: &Brief, other: &Brief) -> bool {
    (one.initiator, one.responder) == (other.initiator, other.responder)
}

/// One flow of its legs, which come in the order of time: from who opened the first to who was
/// called by the last. Packets are those of the leg that saw most of them, in each direction; what
/// could be read on one leg can be read.
fn one(legs: Vec<ObservedFlow>) -> Option<ObservedFlow> {
    if legs.len() == 1 {
        return legs.into_iter().next();
    }
    let packets = |seen: &ObservedFlow| seen.flow.forward.packets + seen.flow.backward.packets;
    let face = |flow: &Flow| Leg { initiator: flow.initiator, responder: flow.responder, first: flow.first };
    let faces: Vec<Leg> = legs.iter().map(|seen| face(&seen.flow)).collect();
    let callers: BTreeSet<IpAddr> = faces.iter().map(|leg| leg.initiator.ip).collect();
    let called: BTreeSet<IpAddr> = faces.iter().map(|leg| leg.responder.ip).collect();
    // Who is called on one leg and calls on another passes on; what was met at one moment, or by
    // clocks that differ, has no order of its own.
    let first = |s: &&ObservedFlow| (stand_in(&s.initiator), called.contains(&s.flow.initiator.ip));
    let last = |s: &&ObservedFlow| (stand_in(&s.responder), callers.contains(&s.flow.responder.ip));
    let opener = legs.iter().min_by_key(first)?;
    let target = legs.iter().rev().min_by_key(last)?;
    let (initiator, responder) = (opener.initiator.clone(), target.responder.clone());
    let ends = (opener.flow.initiator, target.flow.responder);
    let (begin, end) = (legs.iter().map(|s| s.flow.first).min()?, legs.iter().map(|s| s.flow.last).max()?);
    // What was on the wire at one place was on the wire.
    let stretch = legs.iter().map(|seen| seen.stretch).min()?;
    let copies: u64 = legs.iter().map(|seen| seen.flow.seen.copies()).sum();
    let answer = legs.iter().map(|seen| seen.flow.seen.answer).min_by_key(weight)?;
    let forward = legs.iter().map(|seen| seen.flow.forward).max_by_key(|counters| counters.packets)?;
    let backward = legs.iter().map(|seen| seen.flow.backward).max_by_key(|counters| counters.packets)?;
    let there: Vec<ObservedFlow> = legs.into_iter().rev().filter(|seen| seen.stretch == stretch).collect();
    let contradicted =
        |seen: &ObservedFlow| seen.detection.protection == Protection::Unknown(WhyUnknown::Contradicted);
    let worse = there.iter().find(|seen| seen.in_the_clear()).or(there.iter().find(|leg| contradicted(leg)));
    let worse = worse.map(|seen| seen.detection.clone());
    let mut best = there.into_iter().max_by_key(packets)?;
    if !best.in_the_clear() {
        best.detection = worse.unwrap_or(best.detection);
    }
    (best.flow.initiator, best.flow.responder) = ends;
    (best.initiator, best.responder) = (initiator, responder);
    (best.flow.first, best.flow.last) = (begin, end);
    (best.flow.forward, best.flow.backward, best.flow.seen.answer) = (forward, backward, answer);
    let more = best.flow.seen.more.get_or_insert_default();
    (more.copies, more.legs) = (copies, faces);
    Some(best)
}

/// Whether an end stands for somebody else, where another leg names who that is: a service for what
/// is behind it, and less surely a node, or what runs on its network, for whom it passes on.
fn stand_in(party: &Party) -> u8 {
    match party {
        Party::Endpoint { .. } => 0,
        Party::Outside | Party::Unknown | Party::Unsettled(_) | Party::Group => 1,
        Party::Shared(_) | Party::Node(_) => 1,
        Party::Service(_) => 2,
    }
}

/// The surest of several answers comes first.
fn weight(answer: &Answer) -> u8 {
    match answer {
        Answer::Payload => 0,
        Answer::Refusal => 1,
        Answer::Silence => 2,
        Answer::Unknown => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Counters, Flow, FlowEnd, Handshake, Opening, Seen, StreamStart};
    use crate::model::{Encryption, Proof};
    use crate::protocol::Detection;
    use std::sync::Arc;

    fn end(text: &str) -> FlowEnd {
        let (ip, port) = text.rsplit_once(':').expect("an address and a port");
        FlowEnd { ip: ip.parse().expect("an address"), port: port.parse().expect("a port") }
    }

    fn flow(ends: (&str, &str), transport: Transport, opening: Opening, first: u64) -> ObservedFlow {
        let counters = Counters { packets: 3, bytes: 300 };
        let flow = Flow {
            initiator: end(ends.0),
            responder: end(ends.1),
            transport,
            handshake: Handshake::Seen,
            forward: counters,
            backward: counters,
            first,
            last: first + 5,
            start: StreamStart::default(),
            via: Vec::new(),
            evicted: false,
            seen: Seen { opening: Some(opening), ..Seen::default() },
        };
        let protection = Protection::Unknown(WhyUnknown::NoMatch);
        let detection =
            Detection { protocol: "unknown", protection, why: "test".into(), facts: vec![], names: vec![] };
        (flow, Arc::new(detection)).into()
    }

    fn opened(initiator: u32, responder: Option<u32>, timestamp: u32) -> Opening {
        Opening { initiator, responder, timestamp }
    }

    /// What becomes of flows, among many and among few alike.
    fn joined(flows: Vec<ObservedFlow>) -> Vec<(String, String, usize)> {
        let text = |end: FlowEnd| format!("{}:{}", end.ip, end.port);
        let row =
            |s: ObservedFlow| (text(s.flow.initiator), text(s.flow.responder), s.flow.seen.legs().len());
        let handed = flows.iter().cloned().map(Box::new).collect();
        let few: Vec<_> = join_few(handed).into_iter().map(|seen| row(*seen)).collect();
        let many: Vec<_> = join(flows.into()).iter().map(row).collect();
        assert_eq!(few, many);
        many
    }

    #[test]
    fn a_node_port_connection_of_three_legs_is_one_from_client_to_pod() {
        let opening = opened(77, Some(88), 5);
        let legs = vec![
            flow(("192.168.1.5:4000", "192.168.1.10:30080"), Transport::Tcp, opening, 100),
            flow(("192.168.1.10:4000", "10.96.0.9:80"), Transport::Tcp, opening, 120),
            flow(("192.168.1.10:4000", "10.1.0.7:8080"), Transport::Tcp, opening, 140),
        ];
        assert_eq!(joined(legs), [("192.168.1.5:4000".to_owned(), "10.1.0.7:8080".to_owned(), 3)]);
    }

    /// What one flow of some legs came to.
    fn only(legs: Vec<ObservedFlow>) -> ObservedFlow {
        let mut all: Vec<ObservedFlow> = join(legs.into()).iter().collect();
        assert_eq!(all.len(), 1, "they are one");
        all.remove(0)
    }

    fn named(mut seen: ObservedFlow, initiator: Party, responder: Party) -> ObservedFlow {
        (seen.initiator, seen.responder) = (initiator, responder);
        seen
    }

    #[test]
    fn legs_without_an_order_in_time_are_told_by_who_passes_on() {
        let opening = opened(77, Some(88), 5);
        let entry = |first| flow(("203.0.113.5:4000", "192.168.1.10:30080"), Transport::Tcp, opening, first);
        let inner = |first| flow(("192.168.1.10:4000", "10.1.0.7:8080"), Transport::Tcp, opening, first);
        let pod = Party::Endpoint { workload: 1, variant: 0 };
        let host = || Party::Shared(vec![7]);
        // At one moment, by a clock that is late, and as it was; without names and with them.
        for (outer, behind) in [(100, 100), (100, 40), (100, 140)] {
            let wanted = [("203.0.113.5:4000".to_owned(), "10.1.0.7:8080".to_owned(), 2)];
            assert_eq!(joined(vec![entry(outer), inner(behind)]), wanted);
            let known =
                vec![named(entry(outer), Party::Outside, host()), named(inner(behind), host(), pod.clone())];
            let one = only(known);
            assert_eq!((one.initiator, one.responder), (Party::Outside, pod.clone()));
        }
        // A pod that calls itself through a service is not its node.
        let itself = vec![
            named(
                flow(("10.1.0.7:4000", "10.96.0.9:80"), Transport::Tcp, opening, 100),
                pod.clone(),
                Party::Service(0),
            ),
            named(inner(100), host(), pod.clone()),
        ];
        let one = only(itself);
        assert_eq!((one.initiator, one.responder), (pod.clone(), pod));
    }

    #[test]
    fn what_could_be_read_on_one_leg_can_be_read() {
        let opening = opened(7, Some(8), 3);
        let mut clear = flow(("10.0.0.1:4000", "10.96.0.9:80"), Transport::Tcp, opening, 0);
        Arc::make_mut(&mut clear.detection).protection = Protection::Plaintext(Proof::Grammar);
        clear.flow.backward.packets = 9;
        clear.flow.seen.answer = Answer::Payload;
        let mut blurred = flow(("10.0.0.1:4000", "10.1.0.7:80"), Transport::Tcp, opening, 10);
        blurred.flow.forward.packets = 40;
        blurred.flow.backward.packets = 0;
        blurred.flow.seen.answer = Answer::Silence;
        // What one leg contradicts, another does not make good.
        let mut doubted = clear.clone();
        let doubt = Protection::Unknown(WhyUnknown::Contradicted);
        Arc::make_mut(&mut doubted.detection).protection = doubt;
        let mut sealed = blurred.clone();
        Arc::make_mut(&mut sealed.detection).protection = Protection::Encrypted(Encryption::Tls);
        assert_eq!(only(vec![doubted, sealed]).detection.protection, doubt);
        let one = only(vec![clear, blurred]);
        assert!(one.in_the_clear());
        assert_eq!((one.flow.forward.packets, one.flow.backward.packets), (40, 9));
        assert_eq!(one.flow.seen.answer, Answer::Payload);
    }

    #[test]
    fn one_equal_number_is_not_evidence_enough() {
        let two = |one, other, apart| {
            let legs = vec![
                flow(("10.0.0.1:4000", "10.96.0.9:80"), Transport::Tcp, one, 0),
                flow(("10.0.0.1:4000", "10.1.0.7:80"), Transport::Tcp, other, apart),
            ];
            joined(legs).len()
        };
        assert_eq!(two(opened(7, Some(8), 0), opened(7, Some(9), 0), 10), 2);
        assert_eq!(two(opened(7, None, 0), opened(7, None, 0), 10), 2);
        assert_eq!(two(opened(7, None, 3), opened(7, None, 3), 10), 1);
        assert_eq!(two(opened(7, None, 3), opened(7, Some(9), 3), 10), 1);
        assert_eq!(two(opened(7, Some(8), 0), opened(7, Some(8), 0), TCP_WINDOW + 1), 2);
    }

    #[test]
    fn connections_of_one_client_with_the_same_numbers_are_no_legs() {
        let (numbers, written) = (opened(0x1234_5678, Some(0x9abc_def1), 0), opened(1_000, Some(5_000), 0));
        let from = |client, server, numbers| flow((client, server), Transport::Tcp, numbers, 0);
        let two = |one, other| joined(vec![one, other]).len();
        let web = "10.0.0.9:80";
        assert_eq!(two(from("10.0.0.1:4000", web, numbers), from("10.0.0.1:4001", web, numbers)), 2);
        assert_eq!(two(from("10.0.0.1:4000", web, numbers), from("10.0.0.2:4000", web, numbers)), 1);
        assert_eq!(two(from("10.0.0.1:4000", web, written), from("10.0.0.2:4000", web, written)), 2);
        let saying = |what: &'static str, server| {
            let mut seen = from("10.0.0.1:4000", server, numbers);
            let said = Arc::make_mut(&mut seen.detection);
            (said.protocol, said.facts) = ("http", vec![("host", what.into())]);
            seen
        };
        assert_eq!(two(saying("a.example", web), saying("a.example", "10.0.0.8:80")), 1);
        assert_eq!(two(saying("a.example", web), saying("b.example", "10.0.0.8:80")), 2);
    }

    #[test]
    fn datagrams_join_only_where_one_end_was_left_alone() {
        let query = opened(1, Some(2), 0);
        let service = || flow(("10.0.0.1:5353", "10.96.0.10:53"), Transport::Udp, query, 0);
        let pod = || flow(("10.0.0.1:5353", "10.1.0.3:53"), Transport::Udp, query, 10);
        let another = || flow(("10.0.0.2:6666", "10.1.0.3:53"), Transport::Udp, query, 20);
        assert_eq!(joined(vec![service(), pod()]).len(), 1);
        assert_eq!(joined(vec![pod(), another()]).len(), 2);
    }

    #[test]
    fn one_question_to_two_servers_is_two_flows() {
        // Even numbers: no datagram had an identification.
        let query = opened(2, Some(4), 0);
        let to = |server, party| {
            let asked = flow(("10.0.0.1:5353", server), Transport::Udp, query, 0);
            named(asked, Party::Endpoint { workload: 0, variant: 0 }, party)
        };
        let pod = || to("10.1.0.3:53", Party::Endpoint { workload: 1, variant: 0 });
        let service = || to("10.96.0.10:53", Party::Service(0));
        assert_eq!(joined(vec![to("1.1.1.1:53", Party::Outside), to("8.8.8.8:53", Party::Outside)]).len(), 2);
        assert_eq!(joined(vec![service(), to("8.8.8.8:53", Party::Outside)]).len(), 2);
        assert_eq!(joined(vec![pod(), to("10.1.0.4:53", Party::Shared(vec![3]))]).len(), 2);
        assert_eq!(joined(vec![service(), pod()]).len(), 1);
        let by = |client, party| {
            named(flow((client, "10.1.0.3:53"), Transport::Udp, query, 0), party, Party::Unknown)
        };
        let pod = || by("10.0.0.1:123", Party::Endpoint { workload: 0, variant: 0 });
        let node = |ip| by(ip, Party::Shared(vec![1]));
        assert_eq!(joined(vec![pod(), node("192.168.1.1:123")]).len(), 1);
        assert_eq!(joined(vec![node("192.168.1.1:123"), node("192.168.1.2:123")]).len(), 2);
    }
}
