//! What several checks ask: names, backends of services, the ends of a flow as the graph knows them.

use super::mesh_seen::Met;
use super::{Evidence, Finding};
use crate::graph::{
    Action, AllowedGraph, ClassId, Direction, Member, Namespaces, Peer, Peers, PolicyInfo, Population,
    PortName, Rule, RuleInfo, Selection,
};
use crate::inventory::{Inventory, Network, Service, ServicePort, Variant};
use crate::model::{AddressSet, IpProtocols, Origin, Protocol, TrafficSet};
use crate::observed::{self, Flow, Handshake, NamedBy, ObservedFlow, Party, Stretch, Transport};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// `namespace/Kind/name` of a workload.
pub(super) fn workload_name(evidence: &Evidence<'_>, index: usize) -> String {
    evidence.inventory.workloads[index].name.to_string()
}

/// `namespace/Kind/name` of a policy, of one of the cluster `Kind/name`.
pub(super) fn policy_name(origin: &Origin) -> String {
    origin.subject()
}

/// The first workload of some that rules cannot tell apart, where it stands, and words for the others.
pub(super) fn alike(evidence: &Evidence<'_>, members: &[Member]) -> (String, Origin, String) {
    let mut workloads: Vec<usize> = members.iter().map(|m| m.workload as usize).collect();
    workloads.sort_unstable();
    workloads.dedup();
    let first = &evidence.inventory.workloads[workloads[0]];
    let others: Vec<&str> =
        workloads[1..].iter().take(4).map(|w| evidence.inventory.workloads[*w].name.name.as_str()).collect();
    let more = (workloads.len() - 1).saturating_sub(others.len());
    let words = match (others.is_empty(), more) {
        (true, _) => String::new(),
        (false, 0) => format!(", nor for {}, which rules cannot tell apart from it", others.join(", ")),
        (false, n) => {
            format!(", nor for {} and {n} more, which rules cannot tell apart from it", others.join(", "))
        }
    };
    (first.name.to_string(), first.origin.clone(), words)
}

/// Each policy object once, whatever directions it counts for.
pub(super) fn objects(graph: &AllowedGraph) -> Vec<&PolicyInfo> {
    let by_name: BTreeMap<_, _> =
        graph.policies.iter().map(|p| ((&p.origin.namespace, &p.origin.kind, &p.origin.name), p)).collect();
    by_name.into_values().collect()
}

/// Whether a pod of a namespace would be in a selection if it were on the network of pods.
pub(super) fn would_be_in(
    evidence: &Evidence<'_>,
    selection: &Selection,
    namespace: &str,
    variant: &Variant,
) -> bool {
    selection.population == Population::Pods
        && selection.endpoints.matches(&variant.labels)
        && match &selection.namespaces {
            Namespaces::Named(name) => name == namespace,
            Namespaces::Matching(selector) => {
                let known = evidence.inventory.namespaces.get(namespace);
                known.is_some_and(|known| selector.matches(&known.labels))
            }
        }
}

/// The first workload on the host network that a selection would take if it were not there.
pub(super) fn on_host_network(evidence: &Evidence<'_>, selection: &Selection) -> Option<usize> {
    evidence.inventory.workloads.iter().position(|workload| {
        let of_host = workload.variants.iter().filter(|variant| variant.network == Network::Host);
        of_host.into_iter().any(|variant| would_be_in(evidence, selection, &workload.name.namespace, variant))
    })
}

/// Whether a rule allows everyone: it has no peers, or a block that holds a whole address family,
/// or all that is outside.
pub(super) fn opens_to_everyone(rule: &Rule) -> bool {
    let families = AddressSet::all();
    let everyone = |peer: &Peer| match peer {
        Peer::Addresses(set) => families.ranges().iter().any(|family| set.ranges().contains(family)),
        Peer::Outside => true,
        _ => false,
    };
    rule.action == Action::Allow
        && match &rule.peers {
            Peers::Everyone => true,
            Peers::Among(peers) => peers.iter().any(everyone),
        }
}

/// What is said of a rule that names everyone.
pub(super) fn names_everyone(rule: &Rule) -> String {
    let traffic = traffic_words(rule);
    format!("The rule {} names everyone, inside and outside of the cluster, for {traffic}.", rule.origin.rule)
}

/// The traffic of a rule, ports by name as they were written.
fn traffic_words(rule: &Rule) -> String {
    let names = rule.traffic.named.iter().filter_map(|name| match name {
        PortName::Container(protocol, name) => {
            let protocol = protocol.map(|protocol| format!("{protocol} ")).unwrap_or_default();
            Some(format!("{protocol}port {name:?}"))
        }
        PortName::Backend(_) | PortName::Spoken(_) => None,
    });
    let fixed = Some(rule.traffic.fixed.to_string()).filter(|_| !rule.traffic.fixed.is_empty());
    let words: Vec<String> = fixed.into_iter().chain(names).collect();
    if words.is_empty() { rule.traffic.fixed.to_string() } else { words.join(", ") }
}

/// Whether a rule opens port 53 and nothing else.
pub(super) fn only_dns(rule: &Rule) -> bool {
    let fixed = &rule.traffic.fixed;
    let none_or_dns = |protocol| matches!(fixed.ports(protocol).intervals(), [] | [(53, 53)]);
    rule.traffic.named.is_empty() && fixed.portless.is_empty() && Protocol::ALL.into_iter().all(none_or_dns)
}

/// The classes that a rule leads to: its subjects for ingress, its peers for egress.
pub(super) fn destinations(graph: &AllowedGraph, info: &RuleInfo) -> Vec<ClassId> {
    let policy = &graph.policies[info.policy as usize];
    match (policy.direction, &info.matches) {
        (Direction::Ingress, _) => policy.selected.clone(),
        (Direction::Egress, Some(peers)) => {
            peers.iter().copied().filter(|p| graph.class(*p).is_some()).collect()
        }
        (Direction::Egress, None) => (0..graph.classes().len() as ClassId).collect(),
    }
}

/// The variants behind a service, by workload and variant.
pub(super) fn backends<'a>(
    inventory: &'a Inventory,
    service: &'a Service,
) -> impl Iterator<Item = (usize, usize)> + 'a {
    inventory.backends(service)
}

/// The protocol of a flow, where it has ports.
pub(super) fn protocol_of(seen: &ObservedFlow) -> Option<Protocol> {
    observed::protocol_of(seen.flow.transport)
}

/// A flow as the graph knows it: source, target and port at the target, several where an address
/// stands for several; none where an end is not known or both are outside. An address outside is
/// its atom, and as a target also whoever rules mean by a name that DNS answers gave it. A service
/// is the workloads behind it, and addresses that its endpoints list and no workload has.
pub(super) fn paths(evidence: &Evidence<'_>, seen: &ObservedFlow) -> Vec<(u32, u32, u16)> {
    let port = seen.flow.responder.port;
    // What was met inside a pod has the ends of a connection that was judged before it got there.
    if seen.stretch != Stretch::Wire {
        return Vec::new();
    }
    if [&seen.initiator, &seen.responder].iter().all(|p| matches!(p, Party::Outside | Party::Unknown)) {
        return Vec::new();
    }
    let sources = peers(evidence, &seen.initiator, seen.flow.initiator.ip);
    let targets: Vec<(u32, u16)> = match &seen.responder {
        Party::Service(index) => {
            let service = &evidence.inventory.services[*index];
            let called = || service.called(seen.flow.responder.ip, port);
            let ports = || called().filter(|p| Some(p.protocol) == protocol_of(seen));
            let mut targets: Vec<(u32, u16)> = backends(evidence.inventory, service)
                .flat_map(|(workload, variant)| {
                    let pod = &evidence.inventory.workloads[workload].variants[variant];
                    let class = evidence.graph.class_of(workload, variant);
                    ports().flat_map(move |p| p.targets(pod)).map(move |target| (class, target))
                })
                .collect();
            if targets.is_empty() && service.selector.is_none() {
                let numbers: Vec<u16> = ports().filter_map(ServicePort::number).collect();
                let atoms = service.endpoints.iter().map(|ip| evidence.graph.atom_of(*ip));
                targets.extend(atoms.flat_map(|atom| numbers.iter().map(move |number| (atom, *number))));
            }
            targets
        }
        Party::Endpoint { workload, variant } => {
            let class = evidence.graph.class_of(*workload, *variant);
            let ports = ports_called(evidence, seen, (*workload, *variant));
            ports.into_iter().map(|port| (class, port)).collect()
        }
        Party::Shared(all) => {
            let variants = all.iter().flat_map(|workload| {
                let variants = 0..evidence.inventory.workloads[*workload].variants.len();
                variants.map(move |variant| (*workload, variant))
            });
            let of_variant = |pod: (usize, usize)| {
                let class = evidence.graph.class_of(pod.0, pod.1);
                ports_called(evidence, seen, pod).into_iter().map(move |port| (class, port))
            };
            let targets: BTreeSet<(u32, u16)> = variants.flat_map(of_variant).collect();
            targets.into_iter().collect()
        }
        party => {
            let mut targets = peers(evidence, party, seen.flow.responder.ip);
            if *party == Party::Outside {
                targets.extend(named(evidence, seen.flow.responder.ip));
            }
            targets.into_iter().map(|peer| (peer, port)).collect()
        }
    };
    sources.iter().flat_map(|from| targets.iter().map(move |(to, port)| (*from, *to, *port))).collect()
}

/// The container ports of a pod that a flow called.
pub(super) fn ports_called(evidence: &Evidence<'_>, seen: &ObservedFlow, pod: (usize, usize)) -> Vec<u16> {
    let called = seen.flow.responder;
    match protocol_of(seen) {
        Some(protocol) => evidence.inventory.ports_called(pod, called.ip, protocol, called.port),
        None => vec![called.port],
    }
}

/// Whether a pod was called at the address of its node.
pub(super) fn is_by_host_port(evidence: &Evidence<'_>, seen: &ObservedFlow) -> bool {
    let Party::Endpoint { workload, variant } = seen.responder else { return false };
    let pod = &evidence.inventory.workloads[workload].variants[variant];
    evidence.inventory.is_called_by_node(pod, seen.flow.responder.ip)
}

/// The tunnels of pods by themselves, where it is known what policies see of them.
pub(super) fn known_tunnels(evidence: &Evidence<'_>) -> impl Iterator<Item = ObservedFlow> {
    let is_known =
        |seen: &&ObservedFlow| seen.flow.transport != Transport::Udp || seen.flow.responder.port > 0;
    evidence.observed.tunnels.iter().filter(is_known).cloned()
}

/// The peers that rules mean by names which DNS answers in the captures gave an address.
fn named(evidence: &Evidence<'_>, address: IpAddr) -> Vec<u32> {
    let names = evidence.observed.names.of(address).filter(|(by, _)| *by == NamedBy::DnsAnswer);
    names.flat_map(|(_, name)| evidence.graph.named(name)).collect()
}

fn peers(evidence: &Evidence<'_>, party: &Party, address: IpAddr) -> Vec<u32> {
    match party {
        Party::Outside => vec![evidence.graph.atom_of(address)],
        // What the contract has a name for is no pod that somebody forgot to read.
        Party::Unknown if is_named(evidence, address) => vec![evidence.graph.atom_of(address)],
        Party::Endpoint { workload, variant } => vec![evidence.graph.class_of(*workload, *variant)],
        Party::Shared(all) => all.iter().flat_map(|w| evidence.graph.classes_of(*w)).copied().collect(),
        _ => Vec::new(),
    }
}

/// Whether the contract names an address, as part of a network or of a segment.
pub(super) fn is_named(evidence: &Evidence<'_>, address: IpAddr) -> bool {
    evidence.segments.of_address(address) != evidence.segments.outside()
}

/// A flow as [`paths`] tells it if its direction, which nothing but the order of packets told, is the
/// other one; none where it is known better.
pub(super) fn turned_paths(evidence: &Evidence<'_>, seen: &ObservedFlow) -> Vec<(u32, u32, u16)> {
    seen.turned().map(|turned| paths(evidence, &turned)).unwrap_or_default()
}

/// `initiator -> responder`, by name or address.
pub(super) fn flow_subject(evidence: &Evidence<'_>, seen: &ObservedFlow) -> String {
    let (from, to) = flow_ends(evidence, seen);
    format!("{from} -> {to}")
}

/// A flow that is a call, from who called: errors of ICMP belong to other flows, and neighbours are
/// looked for under every policy. Who asked for an echo has called, whoever was heard first.
pub(super) fn as_called(mut seen: ObservedFlow) -> Option<ObservedFlow> {
    match (seen.flow.transport, fact(&seen, "echo_request")) {
        (Transport::Icmp, None) => return None,
        (Transport::Icmp, Some("responder")) => return seen.turned(),
        (Transport::Icmp, Some("initiator")) => seen.flow.handshake = Handshake::Seen,
        _ => {}
    }
    Some(seen)
}

/// The traffic of a flow, by a port where it has some.
pub(super) fn traffic_at(flow: &Flow, port: u16) -> TrafficSet {
    let portless = |number| TrafficSet::portless(IpProtocols::of(number));
    match flow.transport {
        Transport::Tcp => TrafficSet::port(Protocol::Tcp, port),
        Transport::Udp => TrafficSet::port(Protocol::Udp, port),
        Transport::Sctp => TrafficSet::port(Protocol::Sctp, port),
        Transport::Icmp if flow.responder.ip.is_ipv4() => portless(IpProtocols::ICMP),
        Transport::Icmp => portless(IpProtocols::ICMPV6),
        Transport::Other(number) => portless(number),
    }
}

/// What a flow called, as its initiator did: `TCP/5432`, `ICMP`, `IP47`.
pub(super) fn traffic_name(flow: &Flow) -> String {
    match flow.transport {
        Transport::Tcp => format!("TCP/{}", flow.responder.port),
        Transport::Udp => format!("UDP/{}", flow.responder.port),
        Transport::Sctp => format!("SCTP/{}", flow.responder.port),
        Transport::Icmp => "ICMP".to_owned(),
        Transport::Other(number) => format!("IP{number}"),
    }
}

/// Initiator and responder, by name or address.
pub(super) fn flow_ends(evidence: &Evidence<'_>, seen: &ObservedFlow) -> (String, String) {
    let from = seen.initiator.name(evidence.inventory, seen.flow.initiator.ip);
    (from, seen.responder.name(evidence.inventory, seen.flow.responder.ip))
}

/// Whether a flow touches something of the cluster, is between two single ends, and left its pod.
/// Two pods of one workload are two ends.
pub(super) fn is_ours(seen: &ObservedFlow) -> bool {
    let ours = |party: &Party| {
        let known = matches!(party, Party::Endpoint { .. } | Party::Shared(_) | Party::Service(_));
        known || matches!(party, Party::Node(_) | Party::Unsettled(_))
    };
    let group = [&seen.initiator, &seen.responder].contains(&&Party::Group);
    let one = seen.flow.initiator.ip == seen.flow.responder.ip;
    seen.stretch == Stretch::Wire && !group && !one && (ours(&seen.initiator) || ours(&seen.responder))
}

/// A fact that a detector found, by its name.
pub(super) fn fact<'a>(seen: &'a ObservedFlow, wanted: &str) -> Option<&'a str> {
    seen.detection.facts.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_ref())
}

/// One finding for each subject and detail; the number of flows goes into its message.
pub(super) fn by_subject(
    evidence: &Evidence<'_>,
    flows: impl Iterator<Item = ObservedFlow>,
    make: impl Fn(&ObservedFlow, String, Vec<Origin>) -> Finding,
) -> Vec<Finding> {
    by_flow(evidence, flows, |seen| seen, make)
}

/// The same for flows beside what meshes promise for them.
pub(super) fn by_met<'a>(
    evidence: &Evidence<'_>,
    flows: impl Iterator<Item = Met<'a>>,
    make: impl Fn(&Met<'a>, String, Vec<Origin>) -> Finding,
) -> Vec<Finding> {
    by_flow(evidence, flows, |one| &one.seen, make)
}

/// The same for flows with something at their side.
pub(super) fn by_flow<T>(
    evidence: &Evidence<'_>,
    flows: impl Iterator<Item = T>,
    flow: impl Fn(&T) -> &ObservedFlow,
    make: impl Fn(&T, String, Vec<Origin>) -> Finding,
) -> Vec<Finding> {
    let mut found: BTreeMap<(String, String), (Finding, usize)> = BTreeMap::new();
    for one in flows {
        let seen = flow(&one);
        let ends = [&seen.responder, &seen.initiator].into_iter().flat_map(Party::workloads);
        let because = ends.map(|w| evidence.inventory.workloads[w].origin.clone()).collect();
        let mut finding = make(&one, flow_subject(evidence, seen), because);
        finding.traffic = super::ground::traffic_of(seen);
        let key = (finding.subject.clone(), finding.detail.clone());
        found.entry(key).or_insert((finding, 0)).1 += 1;
    }
    with_counts(found)
}

/// Findings by subject and detail, each with the number of flows behind it in its message.
pub(super) fn with_counts(found: BTreeMap<(String, String), (Finding, usize)>) -> Vec<Finding> {
    let counted = |(mut finding, count): (Finding, usize)| {
        let word = if count == 1 { "flow" } else { "flows" };
        finding.message.push_str(&format!(" Seen in {count} {word}."));
        finding
    };
    found.into_values().map(counted).collect()
}
