//! Address translation shows one connection with several pairs of ends (client → service address,
//! client → pod, node → pod): its legs are joined where the evidence allows, and said to be joined.
//!
//! The evidence for TCP is the initiator's initial sequence number, equal on both legs, and either
//! the responder's, or the time stamp of the SYN, equal as well, within a second. For UDP it is
//! the first datagram of both sides, equal to the byte and to the IP identification, within a
//! tenth of a second, between ends of which the translation left one alone, or the port.
//! A connection that a proxy ends and opens anew is two, and stays two.

use super::{Directory, ObservedFlow, Party, Transport};
use crate::capture::{Flow, Leg};
use std::collections::BTreeMap;

/// How far apart the first packets of two legs may be, in nanoseconds.
const TCP_WINDOW: u64 = 1_000_000_000;
const UDP_WINDOW: u64 = 100_000_000;

/// Names both ends of all flows and joins those that are legs of one connection.
pub fn join(mut flows: Vec<ObservedFlow>, directory: &Directory<'_>) -> Vec<ObservedFlow> {
    let order = |seen: &ObservedFlow| {
        let flow = &seen.flow;
        (flow.first, flow.initiator, flow.responder, flow.transport, flow.last)
    };
    flows.sort_by_cached_key(order);
    for seen in &mut flows {
        (seen.initiator, seen.responder) = super::attribute(directory, &seen.flow);
    }
    let mut group: Vec<usize> = (0..flows.len()).collect();
    for members in candidates(&flows) {
        for (position, later) in members.iter().enumerate() {
            let partner = members[..position].iter().rev().find(|earlier| {
                let first = &flows[group[**earlier]].flow;
                are_legs(&flows[**earlier].flow, &flows[*later].flow)
                    && !same_ends(first, &flows[*later].flow)
            });
            if let Some(earlier) = partner {
                group[*later] = group[*earlier];
            }
        }
    }
    if group.iter().enumerate().all(|(number, leader)| number == *leader) {
        return flows;
    }
    let mut joined: BTreeMap<usize, Vec<ObservedFlow>> = BTreeMap::new();
    for (seen, leader) in flows.into_iter().zip(group) {
        joined.entry(leader).or_default().push(seen);
    }
    let mut flows: Vec<ObservedFlow> = joined.into_values().filter_map(one).collect();
    flows.sort_by_key(order);
    flows
}

/// Flows that were opened with the same number, in the order of time, where there are several.
fn candidates(flows: &[ObservedFlow]) -> Vec<Vec<usize>> {
    let number = |(at, seen): (usize, &ObservedFlow)| {
        Some((seen.flow.transport, seen.flow.seen.opening?.initiator, at))
    };
    let mut all: Vec<(Transport, u32, usize)> = flows.iter().enumerate().filter_map(number).collect();
    all.sort_unstable();
    let same = all.chunk_by(|one, other| (one.0, one.1) == (other.0, other.1));
    same.filter(|group| group.len() > 1).map(|group| group.iter().map(|row| row.2).collect()).collect()
}

/// Whether two flows, which were opened with the same number, are one connection.
fn are_legs(earlier: &Flow, later: &Flow) -> bool {
    let (Some(one), Some(other)) = (earlier.seen.opening, later.seen.opening) else { return false };
    let apart = later.first.saturating_sub(earlier.first);
    if same_ends(earlier, later) {
        return false;
    }
    match (earlier.transport, one.responder, other.responder) {
        (Transport::Tcp, Some(a), Some(b)) => a == b && apart <= TCP_WINDOW,
        (Transport::Tcp, ..) => one.timestamp != 0 && one.timestamp == other.timestamp && apart <= TCP_WINDOW,
        (Transport::Udp, Some(a), Some(b)) => {
            let one_end_alone = earlier.initiator == later.initiator
                || (earlier.responder == later.responder && earlier.initiator.port == later.initiator.port);
            a == b && one_end_alone && apart <= UDP_WINDOW
        }
        _ => false,
    }
}

fn same_ends(one: &Flow, other: &Flow) -> bool {
    (one.initiator, one.responder) == (other.initiator, other.responder)
}

/// One flow of its legs, which come in the order of time: from who opened the first to who was
/// called by the last. Packets are those of the leg that was seen best.
fn one(legs: Vec<ObservedFlow>) -> Option<ObservedFlow> {
    if legs.len() == 1 {
        return legs.into_iter().next();
    }
    let packets = |seen: &ObservedFlow| seen.flow.forward.packets + seen.flow.backward.packets;
    let faces: Vec<Leg> =
        legs.iter().map(|s| Leg { initiator: s.flow.initiator, responder: s.flow.responder }).collect();
    // A service or a node stands for somebody else, where another leg names who that is.
    let stands_in = |party: &Party| matches!(party, Party::Service(_) | Party::Node(_));
    let opener = legs.iter().find(|seen| !stands_in(&seen.initiator)).unwrap_or(legs.first()?);
    let called = legs.iter().rev().find(|seen| !stands_in(&seen.responder)).unwrap_or(legs.last()?);
    let (initiator, responder) = (opener.initiator.clone(), called.responder.clone());
    let ends = (opener.flow.initiator, called.flow.responder);
    let (first, last) = (legs.iter().map(|s| s.flow.first).min()?, legs.iter().map(|s| s.flow.last).max()?);
    // What was on the wire at one place was on the wire.
    let stretch = legs.iter().map(|seen| seen.stretch).min()?;
    let copies: u64 = legs.iter().map(|seen| seen.flow.seen.copies()).sum();
    let mut best = legs.into_iter().rev().max_by_key(packets)?;
    (best.flow.initiator, best.flow.responder) = ends;
    (best.initiator, best.responder, best.stretch) = (initiator, responder, stretch);
    (best.flow.first, best.flow.last) = (first, last);
    let more = best.flow.seen.more.get_or_insert_default();
    (more.copies, more.legs) = (copies, faces);
    Some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::{Counters, FlowEnd, Handshake, Opening, Seen, StreamStart};
    use crate::inventory::Inventory;
    use crate::model::{Protection, WhyUnknown};
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
        let detection = Detection {
            protocol: "unknown",
            protection,
            why: "test".to_owned(),
            facts: vec![],
            names: vec![],
        };
        (flow, Arc::new(detection)).into()
    }

    fn opened(initiator: u32, responder: Option<u32>, timestamp: u32) -> Opening {
        Opening { initiator, responder, timestamp }
    }

    fn joined(flows: Vec<ObservedFlow>) -> Vec<(String, String, usize)> {
        let all = join(flows, &Directory::new(&Inventory::default()));
        let text = |end: FlowEnd| format!("{}:{}", end.ip, end.port);
        all.iter()
            .map(|s| (text(s.flow.initiator), text(s.flow.responder), s.flow.seen.legs().len()))
            .collect()
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
    fn datagrams_join_only_where_one_end_was_left_alone() {
        let query = opened(1, Some(2), 0);
        let service = || flow(("10.0.0.1:5353", "10.96.0.10:53"), Transport::Udp, query, 0);
        let pod = || flow(("10.0.0.1:5353", "10.1.0.3:53"), Transport::Udp, query, 10);
        let another = || flow(("10.0.0.2:6666", "10.1.0.3:53"), Transport::Udp, query, 20);
        assert_eq!(joined(vec![service(), pod()]).len(), 1);
        assert_eq!(joined(vec![pod(), another()]).len(), 2);
    }
}
