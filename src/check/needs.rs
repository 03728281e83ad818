//! What observed flows need of policies: which workload called whom on which port, and what was left
//! out of that, with why.

use super::Evidence;
use super::shared::{
    backends, flow_subject, is_named, paths, ports_called, protocol_of, traffic_name, turned_paths,
};
use crate::inventory::{Network, Variant};
use crate::model::{Protection, Protocol, WhyUnknown};
use crate::observed::{Handshake, ObservedFlow, Party, Stretch, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One end of what was seen, as a policy can name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Pods of a workload, by index.
    Pods(usize),
    /// An address of the cluster that no policy selects: a node, or a pod on the host network.
    Node(IpAddr),
    /// An address outside.
    Outside(IpAddr),
}

/// A connection that somebody needed; at least one of its ends is pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// Who called.
    pub from: Side,
    /// Who was called: a service is the pods behind it.
    pub to: Side,
    /// The protocol of the port.
    pub protocol: Protocol,
    /// The port of the pods, after a service was translated.
    pub port: u16,
}

/// How often something was needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// By how many flows.
    pub flows: usize,
    /// Of these, connections that were opened and closed without a word, and datagrams without an answer.
    pub wordless: usize,
}

impl Count {
    /// Both together.
    #[must_use]
    pub fn plus(self, other: Count) -> Count {
        Count { flows: self.flows + other.flows, wordless: self.wordless + other.wordless }
    }
}

/// Why a flow is no need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// The policies deny it: to allow it is for people to decide.
    Denied,
    /// Nobody answered, or who did refused: it came to nothing.
    CameToNothing,
    /// Which end opened it is not known.
    Direction,
    /// It was not seen to begin, and nothing was said.
    Idle,
    /// Who stands behind one of its addresses is not known, or many do.
    End,
    /// It has no ports, and NetworkPolicy has no words for it.
    NoPorts,
}

impl LeftOut {
    /// Why, for people.
    pub fn why(self) -> &'static str {
        match self {
            LeftOut::Denied => "the policies deny it",
            LeftOut::CameToNothing => "it was not answered, or refused",
            LeftOut::Direction => "who opened it is not known",
            LeftOut::Idle => "neither its beginning nor a word of it was seen: an idle connection, or a scan",
            LeftOut::End => "who stands behind an address is not known",
            LeftOut::NoPorts => "NetworkPolicy has no words for it",
        }
    }
}

/// What was needed, and what was seen beside that.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// With how many flows needed it.
    pub needed: BTreeMap<Need, Count>,
    /// Flows with pods at an end that are no need: why, who and what, and how many.
    pub left_out: BTreeMap<(LeftOut, String, String), usize>,
}

/// What the flows of captures need.
pub fn needs(evidence: &Evidence<'_>) -> Needs {
    let mut all = Needs::default();
    for seen in evidence.observed.flows.iter().filter(|seen| seen.stretch == Stretch::Wire) {
        match of(evidence, &seen) {
            Ok(needed) => needed.into_iter().for_each(|need| {
                let count = Count { flows: 1, wordless: usize::from(is_wordless(&seen)) };
                let known = all.needed.entry(need).or_default();
                *known = known.plus(count);
            }),
            Err(why) => {
                let with_pods = is_pods(evidence, &seen.initiator) || is_pods(evidence, &seen.responder);
                // What is said to a group is no connection.
                if with_pods && seen.responder != Party::Group {
                    let (subject, traffic) = (flow_subject(evidence, &seen), traffic_name(&seen.flow));
                    *all.left_out.entry((why, subject, traffic)).or_default() += 1;
                }
            }
        }
    }
    all
}

/// What one flow needs; nothing where no pods are at its ends.
fn of(evidence: &Evidence<'_>, seen: &ObservedFlow) -> Result<BTreeSet<Need>, LeftOut> {
    let from = side(evidence, &seen.initiator, seen.flow.initiator.ip).ok_or(LeftOut::End)?;
    let protocol = protocol_of(seen).ok_or(LeftOut::NoPorts)?;
    let called = called(evidence, seen, protocol);
    if called.is_empty() {
        return Err(LeftOut::End);
    }
    let with_pods = |to: &Side| [from, *to].iter().any(|side| matches!(side, Side::Pods(_)));
    if !called.iter().any(|(to, _)| with_pods(to)) {
        return Ok(BTreeSet::new());
    }
    if came_to_nothing(seen, protocol) {
        return Err(LeftOut::CameToNothing);
    }
    if protocol == Protocol::Tcp && !is_begun(seen) && is_silent(seen) {
        return Err(LeftOut::Idle);
    }
    let passes = |(from, to, port): &(u32, u32, u16)| evidence.graph.passes(*from, *to, protocol, *port);
    let denied = |paths: &[(u32, u32, u16)]| !paths.is_empty() && !paths.iter().any(passes);
    let straight = denied(&paths(evidence, seen));
    if seen.turned().is_some() && !is_called_there(evidence, seen) {
        let turned = turned_paths(evidence, seen);
        return Err(if straight && denied(&turned) { LeftOut::Denied } else { LeftOut::Direction });
    }
    if straight {
        return Err(LeftOut::Denied);
    }
    let need = |(to, port): (Side, u16)| Need { from, to, protocol, port };
    // What a workload calls of itself is a need of two of its pods.
    Ok(called.into_iter().filter(|(to, _)| with_pods(to)).map(need).collect())
}

/// Who was called, with the port there: the pods behind a service, or the address itself.
fn called(evidence: &Evidence<'_>, seen: &ObservedFlow, protocol: Protocol) -> Vec<(Side, u16)> {
    let called = seen.flow.responder;
    let Party::Service(index) = seen.responder else {
        let ports = match seen.responder {
            Party::Endpoint { workload, variant } => ports_called(evidence, seen, (workload, variant)),
            _ => vec![called.port],
        };
        let side = side(evidence, &seen.responder, called.ip);
        return side.map_or_else(Vec::new, |side| ports.into_iter().map(|port| (side, port)).collect());
    };
    let service = &evidence.inventory.services[index];
    let ports = || service.called(called.ip, called.port).filter(|port| port.protocol == protocol);
    let behind = backends(evidence.inventory, service).flat_map(|(workload, variant)| {
        let pod = &evidence.inventory.workloads[workload].variants[variant];
        let address = pod.addresses.first().copied();
        let side = match pod.network {
            Network::Pod => Some(Side::Pods(workload)),
            _ => address.map(Side::Node),
        };
        ports().flat_map(move |port| port.targets(pod)).filter_map(move |port| Some((side?, port)))
    });
    let mut all: Vec<(Side, u16)> = behind.collect();
    if all.is_empty() && service.selector.is_none() {
        let numbers: Vec<u16> = ports().filter_map(crate::inventory::ServicePort::number).collect();
        let listed = service.endpoints.iter().map(|ip| Side::Outside(*ip));
        all.extend(listed.flat_map(|side| numbers.iter().map(move |port| (side, *port))));
    }
    all
}

fn side(evidence: &Evidence<'_>, party: &Party, ip: IpAddr) -> Option<Side> {
    match party {
        Party::Endpoint { workload, variant } => {
            match evidence.inventory.workloads[*workload].variants[*variant].network {
                Network::Pod => Some(Side::Pods(*workload)),
                _ => Some(Side::Node(ip)),
            }
        }
        // Pods that share an address do so one after the other: which of them is not known.
        Party::Shared(all) => {
            let pods = |w: &usize| evidence.inventory.workloads[*w].variants.iter().any(is_on_pod_network);
            (!all.iter().all(pods)).then_some(Side::Node(ip))
        }
        Party::Node(_) => Some(Side::Node(ip)),
        Party::Outside => Some(Side::Outside(ip)),
        // It may be a pod that was not read; what the contract has a name for is none.
        Party::Unknown => is_named(evidence, ip).then_some(Side::Outside(ip)),
        Party::Service(_) | Party::Unsettled(_) | Party::Group => None,
    }
}

fn is_on_pod_network(variant: &Variant) -> bool {
    variant.network == Network::Pod
}

fn is_pods(evidence: &Evidence<'_>, party: &Party) -> bool {
    let pod = |workload: usize, variant: usize| {
        is_on_pod_network(&evidence.inventory.workloads[workload].variants[variant])
    };
    match party {
        Party::Endpoint { workload, variant } => pod(*workload, *variant),
        Party::Service(index) => {
            let service = &evidence.inventory.services[*index];
            backends(evidence.inventory, service).any(|(workload, variant)| pod(workload, variant))
        }
        _ => false,
    }
}

/// Connections that nobody answered or somebody refused; datagrams may go one way. Who accepts a
/// connection did what was asked, whatever was said then: health checks say nothing at all.
fn came_to_nothing(seen: &ObservedFlow, protocol: Protocol) -> bool {
    let opened = seen.flow.handshake == Handshake::Seen;
    let silent = seen.flow.backward.packets == 0 && is_silent(seen);
    protocol == Protocol::Tcp && opened && !is_accepted(seen) && (silent || seen.turned_away())
}

/// Whether the beginning of a connection was seen.
fn is_begun(seen: &ObservedFlow) -> bool {
    matches!(seen.flow.handshake, Handshake::Seen | Handshake::AnswerSeen)
}

fn is_accepted(seen: &ObservedFlow) -> bool {
    let answered = seen.flow.seen.opening.is_some_and(|opening| opening.responder.is_some());
    answered || seen.flow.handshake == Handshake::AnswerSeen
}

fn is_silent(seen: &ObservedFlow) -> bool {
    seen.detection.protection == Protection::Unknown(WhyUnknown::NoPayload)
}

/// Connections of which nothing was said, and datagrams that nobody answered.
fn is_wordless(seen: &ObservedFlow) -> bool {
    match seen.flow.transport {
        Transport::Tcp => is_silent(seen),
        _ => seen.flow.backward.packets == 0,
    }
}

/// Whether the pods that are taken for called say that they listen there.
fn is_called_there(evidence: &Evidence<'_>, seen: &ObservedFlow) -> bool {
    match &seen.responder {
        Party::Service(_) => true,
        Party::Endpoint { workload, variant } => {
            let pod = &evidence.inventory.workloads[*workload].variants[*variant];
            let called = ports_called(evidence, seen, (*workload, *variant));
            pod.ports.iter().any(|port| called.contains(&port.port))
        }
        _ => false,
    }
}
