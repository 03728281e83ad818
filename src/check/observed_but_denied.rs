//! `observed-but-denied`: a connection on the wire that the policies deny.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_seen::tunnelled;
use super::shared::{paths, protocol_of, turned_paths};
use super::{Evidence, Finding, check};
use crate::graph::Direction;
use crate::inventory::TrafficPolicy;
use crate::model::TrafficSet;
use crate::observed::{ObservedFlow, Party};
use std::collections::BTreeMap;

check! {
    ObservedButDenied, "observed-but-denied", High, "A connection on the wire that the policies deny.",
    ["NIST-800-190-4.4.2", "PCI-DSS-4.0-1.2"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut denied: BTreeMap<(String, String), Finding> = BTreeMap::new();
    for seen in evidence.observed.flows.iter() {
        let Some(protocol) = protocol_of(&seen) else { continue };
        let paths = paths(evidence, &seen);
        let passes = |(from, to, port): &(u32, u32, u16)| evidence.graph.passes(*from, *to, protocol, *port);
        // A tunnel passes where something that it may carry does; its own port is the proxies' affair.
        if paths.is_empty() || paths.iter().any(passes) || tunnelled(evidence, &seen).is_some() {
            continue;
        }
        // Who opened it may not be known; the firewall may look before a service is translated, and
        // servers behind nodes may have been shown a node instead of who called.
        if turned_paths(evidence, &seen).iter().any(passes)
            || before_translation(evidence, &seen, &paths).is_some_and(|path| passes(&path))
            || by_node(evidence, &seen)
                .any(|from| paths.iter().any(|(_, to, port)| passes(&(from, *to, *port))))
        {
            continue;
        }
        let answered = seen.flow.backward.packets > 0;
        let (from, to, port) = paths[0];
        let edge = evidence.graph.edge(from, to);
        // What a proxy turns away was answered by the proxy: policies are enforced, and
        // `refused-handshake` tells of it.
        let traffic = TrafficSet::port(protocol, port);
        let turned_away = seen.turned_away() || seen.failed_handshake();
        if turned_away && edge.mesh.is_some() && edge.passes_network(&traffic) {
            continue;
        }
        let sides = [(from, Direction::Egress, edge.egress), (to, Direction::Ingress, edge.ingress)];
        // Addresses outside answer to no policy.
        let inside = sides.iter().filter(|(peer, _, _)| evidence.graph.class(*peer).is_some());
        let rows =
            inside.map(|(peer, direction, decision)| (evidence.graph.row(*peer, *direction), decision));
        let blocking = rows.filter(|(_, decision)| !decision.allowed.contains(protocol, port));
        let because = blocking
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
        let detail = format!("{protocol}/{port}");
        let caveat = match by_node(evidence, &seen).next() {
            Some(_) => " On its way through nodes the client may have got the address of one.",
            None => "",
        };
        let mut finding = ObservedButDenied.finding(
            subject.clone(),
            format!("The policies deny {detail}, and on the wire it {outcome}.{caveat}"),
            because,
            "Find out whether the dataplane enforces policies; then allow the connection or stop its initiator.",
        );
        finding.detail = detail.clone();
        finding.traffic = traffic;
        denied.entry((subject, detail)).or_insert(finding);
    }
    denied.into_values().collect()
}

/// A call to a service that leads out of the cluster, by the address of the service: some dataplanes
/// judge it before it is translated. Where workloads are behind, they judge what comes in, too.
fn before_translation(
    evidence: &Evidence<'_>,
    seen: &ObservedFlow,
    paths: &[(u32, u32, u16)],
) -> Option<(u32, u32, u16)> {
    let (from, to, _) = *paths.first()?;
    let leads_out = matches!(seen.responder, Party::Service(_)) && evidence.graph.class(to).is_none();
    let called = seen.flow.responder;
    leads_out.then(|| (from, evidence.graph.atom_of(called.ip), called.port))
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
        _ => false,
    };
    let all =
        evidence.inventory.nodes.iter().filter(move |_| through).flat_map(|node| &node.addresses).copied();
    let own = seen.flow.initiator.ip;
    let legs = seen.flow.seen.legs().iter().map(|leg| leg.initiator.ip).filter(move |ip| *ip != own);
    all.chain(legs).map(|address| evidence.graph.atom_of(address))
}
