//! Observed flows under two versions of the configuration: which would break, and which paths
//! that newly open carry traffic already.

use super::mesh_seen::infrastructure;
use super::other_node::NodesByAddress;
use super::shared::{as_called, backends, traffic_at as traffic, traffic_name};
use crate::graph::diff::Version;
use crate::graph::{Admission, Edge};
use crate::inventory::{Inventory, ServicePort};
use crate::model::TrafficSet;
use crate::observed::{Directory, Flow, Observed, ObservedFlow, Party, Stretch, protocol_of};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What becomes of observed flows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// Allowed by the old version and denied by the new one.
    pub breaks: Vec<Replayed>,
    /// Denied by the old version, allowed by the new one, and seen all the same.
    pub opens: Vec<Replayed>,
    /// Flows of which one version cannot say anything: an end is not known to it.
    pub unjudged: usize,
    /// Flows that both versions judge.
    pub judged: usize,
}

/// Flows between the same ends on the same port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Initiator, by name or address.
    pub from: String,
    /// Responder, by name or address.
    pub to: String,
    /// `TCP/5432` as the initiator called it.
    pub traffic: String,
    /// How many flows were seen.
    pub flows: usize,
    /// How many of them were in the clear, by their bytes.
    pub in_clear: usize,
}

/// Judges every flow twice.
pub fn replay(old: &Version<'_>, new: &Version<'_>, observed: &Observed) -> Replay {
    if observed.flows.is_empty() {
        return Replay::default();
    }
    let directories = [old, new].map(|version| Directory::new(version.inventory));
    let nodes = [old, new].map(|version| NodesByAddress::of(version.inventory));
    let mut replay = Replay::default();
    let (mut breaks, mut opens) = (BTreeMap::new(), BTreeMap::new());
    let wire = observed.flows.iter().filter(|seen| seen.stretch == Stretch::Wire);
    for seen in wire.filter_map(as_called) {
        let flow = &seen.flow;
        let [before, after] = [0, 1].map(|version: usize| {
            let ends = [Role::Calls, Role::IsCalled]
                .map(|role| end(&directories, version, [old, new], (role, flow)));
            judge([old, new][version], &nodes[version], &seen, &ends)
        });
        let (Some(before), Some(after)) = (before, after) else {
            replay.unjudged += 1;
            continue;
        };
        replay.judged += 1;
        let list = match (before, after) {
            (Judged::Allowed, Judged::Denied) => &mut breaks,
            (Judged::Denied, Judged::Allowed) => &mut opens,
            _ => continue,
        };
        let count: &mut [usize; 2] = list.entry(names(&directories, [old, new], flow)).or_default();
        count[0] += 1;
        count[1] += usize::from(seen.in_the_clear());
    }
    let listed = |map: BTreeMap<[String; 3], [usize; 2]>| {
        let one = |([from, to, traffic], [flows, in_clear]): ([String; 3], [usize; 2])| Replayed {
            from,
            to,
            traffic,
            flows,
            in_clear,
        };
        map.into_iter().map(one).collect()
    };
    replay.breaks = listed(breaks);
    replay.opens = listed(opens);
    replay
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    Allowed,
    Denied,
}

/// Which end of a flow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Calls,
    IsCalled,
}

/// Who stood behind an end in a version while a flow went on.
fn party(directory: &Directory<'_>, role: Role, flow: &Flow) -> Party {
    match role {
        Role::Calls => directory.party_during(flow.initiator.ip, flow),
        Role::IsCalled => directory.party_called(flow),
    }
}

/// The same; pods keep their names when their addresses are only known to the other version.
fn end(
    directories: &[Directory; 2],
    version: usize,
    versions: [&Version<'_>; 2],
    (role, flow): (Role, &Flow),
) -> (Party, IpAddr) {
    let ip = if role == Role::Calls { flow.initiator.ip } else { flow.responder.ip };
    let own = party(&directories[version], role, flow);
    if !matches!(own, Party::Unknown | Party::Outside) {
        return (own, ip);
    }
    let other = party(&directories[1 - version], role, flow);
    let workloads = &versions[version].inventory.workloads;
    let same = |index: &usize| {
        let name = &versions[1 - version].inventory.workloads[*index].name;
        workloads.binary_search_by(|workload| workload.name.cmp(name)).ok()
    };
    let known: Vec<usize> = other.workloads().iter().filter_map(same).collect();
    match (known.is_empty(), other.workloads().is_empty()) {
        (false, _) => (Party::Shared(known), ip),
        (true, true) => (own, ip),
        // A workload of the other version alone: nothing can be said of it here.
        (true, false) => (Party::Group, ip),
    }
}

fn judge(
    version: &Version<'_>,
    nodes: &NodesByAddress<'_>,
    seen: &ObservedFlow,
    ends: &[(Party, IpAddr); 2],
) -> Option<Judged> {
    let flow = &seen.flow;
    let by_another_node = nodes.sent(flow, &ends[0].0, &ends[1].0);
    let wanted = |port: u16| traffic(flow, port);
    let sources = peers(version, &ends[0])?;
    let targets: Vec<(u32, TrafficSet)> = match &ends[1].0 {
        Party::Service(index) => behind_service(version, *index, flow),
        Party::Endpoint { workload, variant } => {
            let (called, class) = (flow.responder, version.graph.class_of(*workload, *variant));
            let ports = match protocol_of(flow.transport) {
                Some(protocol) => {
                    version.inventory.ports_called((*workload, *variant), called.ip, protocol, called.port)
                }
                None => vec![called.port],
            };
            ports.into_iter().map(|port| (class, wanted(port))).collect()
        }
        _ => peers(version, &ends[1])?.into_iter().map(|peer| (peer, wanted(flow.responder.port))).collect(),
    };
    let inside = |peer: u32| version.graph.class(peer).is_some();
    let mut pairs = sources.iter().flat_map(|from| targets.iter().map(move |to| (*from, to))).peekable();
    pairs.peek()?;
    let mut verdict = None;
    for (from, (to, traffic)) in pairs {
        if !inside(from) && !inside(*to) {
            continue;
        }
        let edge = version.graph.edge(from, *to);
        let passes = match answered_by_proxy(version, *to, traffic) {
            true => edge.passes_network(traffic),
            false => {
                let open = if by_another_node { &edge.traffic } else { edge.reaching() };
                traffic.difference(open).is_empty() && through_mesh(version, seen, &edge, *to, traffic)
            }
        };
        verdict = if passes { Some(Judged::Allowed) } else { verdict.or(Some(Judged::Denied)) };
    }
    verdict
}

/// Whether the proxy of a member answers itself on these ports, whatever the mesh asks of callers.
fn answered_by_proxy(version: &Version<'_>, to: u32, traffic: &TrafficSet) -> bool {
    let port = traffic.tcp.intervals().first().map(|(port, _)| *port);
    let mode = version.graph.class(to).and_then(|_| version.graph.membership(to)).map(|member| member.mode);
    mode.zip(port).is_some_and(|(mode, port)| infrastructure(mode, port).is_some())
}

/// Whether meshes let a flow through as it was seen: in the clear only where the server takes that,
/// and never against its authorization.
fn through_mesh(
    version: &Version<'_>,
    seen: &ObservedFlow,
    edge: &Edge<'_>,
    to: u32,
    traffic: &TrafficSet,
) -> bool {
    let graph = version.graph;
    let port = traffic.tcp.intervals().first().map(|(port, _)| *port);
    let (Some(port), Some(_)) = (port, graph.class(to)) else { return true };
    let accepts = graph.acceptances(to).find(|acceptance| acceptance.ports.contains(port));
    let clear = seen.in_the_clear();
    if clear && accepts.is_some_and(|acceptance| acceptance.accepts.plaintext == Admission::Refused) {
        return false;
    }
    let keeps_out = |set: &TrafficSet| !set.intersection(traffic).is_empty();
    let Some(mesh) = &edge.mesh else { return true };
    !keeps_out(&mesh.unauthorized) && (clear || !keeps_out(&mesh.refused))
}

fn peers(version: &Version<'_>, (party, ip): &(Party, IpAddr)) -> Option<Vec<u32>> {
    match party {
        Party::Endpoint { workload, variant } => Some(vec![version.graph.class_of(*workload, *variant)]),
        Party::Shared(all) => Some(all.iter().flat_map(|w| version.graph.classes_of(*w)).copied().collect()),
        Party::Outside | Party::Unknown | Party::Node(_) => Some(vec![version.graph.atom_of(*ip)]),
        Party::Service(_) | Party::Unsettled(_) | Party::Group => None,
    }
}

/// Policies see packets after the service was translated.
fn behind_service(version: &Version<'_>, index: usize, flow: &Flow) -> Vec<(u32, TrafficSet)> {
    let inventory: &Inventory = version.inventory;
    let service = &inventory.services[index];
    let ports = || {
        let called = service.called(flow.responder.ip, flow.responder.port);
        called.filter(|port| Some(port.protocol) == protocol_of(flow.transport))
    };
    let mut all: Vec<(u32, TrafficSet)> = backends(inventory, service)
        .flat_map(|(workload, variant)| {
            let pod = &inventory.workloads[workload].variants[variant];
            let class = version.graph.class_of(workload, variant);
            ports().flat_map(move |port| port.targets(pod)).map(move |target| (class, traffic(flow, target)))
        })
        .collect();
    // Who has no selector leads to the addresses that are listed: the API server, for one.
    if all.is_empty() && service.selector.is_none() {
        let numbers: Vec<u16> = ports().filter_map(ServicePort::number).collect();
        let atoms = service.endpoints.iter().map(|ip| version.graph.atom_of(*ip));
        all.extend(atoms.flat_map(|atom| numbers.iter().map(move |port| (atom, traffic(flow, *port)))));
    }
    all
}

/// Names by the version that knows more, the new one first.
fn names(directories: &[Directory; 2], versions: [&Version<'_>; 2], flow: &Flow) -> [String; 3] {
    let name = |role: Role, ip: IpAddr| {
        let named = [1, 0].map(|version: usize| {
            party(&directories[version], role, flow).name(versions[version].inventory, ip)
        });
        let known = named.iter().find(|name| **name != ip.to_string());
        known.unwrap_or(&named[0]).clone()
    };
    [name(Role::Calls, flow.initiator.ip), name(Role::IsCalled, flow.responder.ip), traffic_name(flow)]
}
