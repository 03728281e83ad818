//! `observed-but-denied`: a connection on the wire that the policies deny.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_seen::tunnelled;
use super::other_node::NodesByAddress;
use super::shared::{
    as_called, fact, is_by_host_port, known_tunnels, paths, protocol_of, traffic_at, traffic_name,
    turned_paths,
};
use super::{Evidence, Finding, Severity, check};
use crate::graph::{DataplaneKind, Direction};
use crate::inventory::TrafficPolicy;
use crate::model::Origin;
use crate::observed::{ObservedFlow, Party, TUNNEL, Transport};
use std::collections::BTreeMap;

check! {
    ObservedButDenied, "observed-but-denied", High, "A connection on the wire that the policies deny.",
    ["NIST-800-190-4.4.2", "PCI-DSS-4.0-1.2"]
}

/// Which flows the policies deny.
pub struct Denials<'a> {
    evidence: &'a Evidence<'a>,
    nodes: NodesByAddress<'a>,
}

/// What is denied of a flow.
struct Denied {
    /// The first of the paths that it may have taken, of which all are denied.
    path: (u32, u32, u16),
    by_another_node: bool,
}

impl<'a> Denials<'a> {
    /// Of flows between those who are known.
    pub fn of(evidence: &'a Evidence<'a>) -> Denials<'a> {
        Denials { evidence, nodes: NodesByAddress::of(evidence.inventory) }
    }

    /// Whether the policies deny a flow.
    pub fn hold(&self, seen: ObservedFlow) -> bool {
        as_called(seen).is_some_and(|call| self.of_call(&call).is_some())
    }

    fn of_call(&self, seen: &ObservedFlow) -> Option<Denied> {
        let Denials { evidence, nodes } = self;
        let protocol = protocol_of(seen);
        let by_another_node = nodes.sent(&seen.flow, &seen.initiator, &seen.responder);
        let is_node_called = nodes.is_called(&seen.flow, &seen.initiator, &seen.responder);
        let paths = match by_another_node || is_node_called {
            true => paths_of_address(evidence, seen),
            false => paths(evidence, seen),
        };
        let passes = |(from, to, port): &(u32, u32, u16)| match protocol {
            Some(protocol) if !by_another_node => evidence.graph.passes(*from, *to, protocol, *port),
            _ => {
                let edge = evidence.graph.edge(*from, *to);
                let open = if by_another_node { &edge.traffic } else { edge.reaching() };
                traffic_at(&seen.flow, *port).difference(open).is_empty()
            }
        };
        // A tunnel passes where something that it may carry does; its own port is the proxies' affair.
        if paths.is_empty() || paths.iter().any(passes) || tunnelled(evidence, seen).is_some() {
            return None;
        }
        // Who opened it may not be known; the firewall may look before a service is translated, and
        // servers behind nodes may have been shown a node instead of who called.
        if turned_paths(evidence, seen).iter().any(passes)
            || before_translation(evidence, seen, &paths).iter().any(passes)
            || by_node(evidence, seen)
                .any(|from| paths.iter().any(|(_, to, port)| passes(&(from, *to, *port))))
        {
            return None;
        }
        let path = paths[0];
        let edge = evidence.graph.edge(path.0, path.1);
        // What a proxy turns away was answered by the proxy: policies are enforced, and
        // `refused-handshake` tells of it.
        let turned_away = seen.turned_away() || seen.failed_handshake();
        let by_proxy =
            turned_away && edge.mesh.is_some() && edge.passes_network(&traffic_at(&seen.flow, path.2));
        (!by_proxy).then_some(Denied { path, by_another_node })
    }
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut denied: BTreeMap<(String, String), Finding> = BTreeMap::new();
    let denials = Denials::of(evidence);
    for seen in evidence.observed.flows.iter().chain(known_tunnels(evidence)).filter_map(as_called) {
        let Some(Denied { path: (from, to, port), by_another_node }) = denials.of_call(&seen) else {
            continue;
        };
        let (protocol, answered) = (protocol_of(&seen), is_answered(&seen));
        let edge = evidence.graph.edge(from, to);
        let traffic = traffic_at(&seen.flow, port);
        let sides = [(from, Direction::Egress, edge.egress), (to, Direction::Ingress, edge.ingress)];
        // Addresses outside answer to no policy.
        let inside = sides.iter().filter(|(peer, _, _)| evidence.graph.class(*peer).is_some());
        let rows =
            inside.map(|(peer, direction, decision)| (evidence.graph.row(*peer, *direction), decision));
        let blocking = rows.filter(|(_, decision)| !traffic.difference(&decision.allowed).is_empty());
        let because: Vec<Origin> = blocking
            .flat_map(|(row, _)| &row.policies)
            .map(|policy| evidence.graph.policies[*policy as usize].origin.clone())
            .collect();
        let outcome = match (answered, seen.turned_away()) {
            // Some dataplanes reject instead of dropping, with a reset in the server's name.
            (true, true) => {
                "was turned away: by a dataplane that rejects, or by the server, and then the policies \
                 are not enforced as read"
            }
            (true, false) => "was answered: the policies are not enforced as read",
            (false, _) => "was tried and not answered",
        };
        let subject = super::shared::flow_subject(evidence, &seen);
        let detail = match protocol {
            Some(protocol) => format!("{protocol}/{port}"),
            None => traffic_name(&seen.flow),
        };
        // The API speaks of TCP, UDP and SCTP alone (`NetworkPolicyPort.protocol`).
        let up_to = protocol.is_none()
            && may_leave_open(evidence.graph.dataplane.kind)
            && because.iter().any(|origin| *origin.kind == *"NetworkPolicy");
        let left_open = match up_to {
            true => " The API leaves it to the dataplane what NetworkPolicies do to traffic without ports.",
            false => "",
        };
        let caveat = match by_node(evidence, &seen).next() {
            Some(_) => " On its way through nodes the client may have got the address of one.",
            None if by_another_node => {
                " It came from the address of another node, which policies see like any other."
            }
            None => "",
        };
        let around = match fact(&seen, TUNNEL) {
            Some(kind) => format!(" It is a tunnel ({kind}), and what is in it is told by itself."),
            None => String::new(),
        };
        let mut finding = ObservedButDenied.finding(
            subject.clone(),
            format!("The policies deny {detail}, and on the wire it {outcome}.{caveat}{left_open}{around}"),
            because,
            "Find out whether the dataplane enforces policies; then allow the connection or stop its initiator.",
        );
        finding.detail = detail.clone();
        finding.traffic = traffic;
        if up_to {
            finding.severity = Severity::Medium;
        }
        denied.entry((subject, detail)).or_insert(finding);
    }
    denied.into_values().collect()
}

/// Dataplanes that know the API alone, which says nothing of protocols without ports.
fn may_leave_open(dataplane: DataplaneKind) -> bool {
    match dataplane {
        DataplaneKind::Kubernetes
        | DataplaneKind::AwsVpcCni
        | DataplaneKind::NetworkPolicyOnly
        | DataplaneKind::None => true,
        DataplaneKind::Calico
        | DataplaneKind::Cilium
        | DataplaneKind::OvnKubernetes
        | DataplaneKind::GkeDataplaneV2
        | DataplaneKind::Antrea => false,
    }
}

/// Whether the one who was called said something; of ICMP an echo counts, and no error.
fn is_answered(seen: &ObservedFlow) -> bool {
    match seen.flow.transport {
        Transport::Icmp => fact(seen, "echo_reply").is_some(),
        _ => seen.flow.backward.packets > 0,
    }
}

/// A call to a service that leads out of the cluster, by the address of the service: some dataplanes
/// judge it before it is translated. Where workloads are behind, they judge what comes in, too.
fn before_translation(
    evidence: &Evidence<'_>,
    seen: &ObservedFlow,
    paths: &[(u32, u32, u16)],
) -> Vec<(u32, u32, u16)> {
    let Some((from, to, _)) = paths.first() else { return Vec::new() };
    if evidence.graph.class(*to).is_some() {
        return Vec::new();
    }
    let service = matches!(seen.responder, Party::Service(_)).then_some(seen.flow.responder);
    let called = service.into_iter().chain(seen.flow.seen.legs().iter().map(|leg| leg.responder));
    called.map(|end| (*from, evidence.graph.atom_of(end.ip), end.port)).collect()
}

/// The paths of a flow between a node and pods of another one: the node is what runs on its network, or
/// where nobody is known who does, its address, in so far as blocks of policies hold those of nodes.
fn paths_of_address(evidence: &Evidence<'_>, seen: &ObservedFlow) -> Vec<(u32, u32, u16)> {
    let by_block = evidence.graph.dataplane.ipblock_matches_nodes;
    let as_address = |party: &Party| match party {
        Party::Node(_) if by_block => Party::Outside,
        other => other.clone(),
    };
    let (initiator, responder) = (as_address(&seen.initiator), as_address(&seen.responder));
    paths(evidence, &ObservedFlow { initiator, responder, ..seen.clone() })
}

/// The nodes whose address the server of a flow may have seen in the place of the client's: those of
/// all nodes where the call came through a node port or an outer address, and those that other legs
/// show.
fn by_node<'a>(evidence: &'a Evidence<'_>, seen: &'a ObservedFlow) -> impl Iterator<Item = u32> + 'a {
    let through = match &seen.responder {
        Party::Service(index) => {
            let service = &evidence.inventory.services[*index];
            service.external_traffic == TrafficPolicy::Cluster
                && !service.cluster_ips.contains(&seen.flow.responder.ip)
        }
        _ => is_by_host_port(evidence, seen),
    };
    let all =
        evidence.inventory.nodes.iter().filter(move |_| through).flat_map(|node| &node.addresses).copied();
    let own = seen.flow.initiator.ip;
    let legs = seen.flow.seen.legs().iter().map(|leg| leg.initiator.ip).filter(move |ip| *ip != own);
    all.chain(legs).map(|address| evidence.graph.atom_of(address))
}
