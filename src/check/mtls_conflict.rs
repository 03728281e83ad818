//! `mtls-conflict`: a client of the mesh and a server that do not understand each other.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::{edges_to, takes_part};
use super::shared::alike;
use super::{Evidence, Finding, check};
use crate::graph::Callers;
use crate::model::{PortSet, Protocol, TrafficSet};

check! {
    MtlsConflict, "mtls-conflict", High, "A client of the mesh and a server that do not understand each other.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let callers = Callers::of(graph);
    let mut findings = Vec::new();
    for (number, server) in (0..).zip(graph.classes()) {
        let served = server.backs.iter().map(|backing| PortSet::range(backing.target, backing.target));
        let served =
            TrafficSet::of(Protocol::Tcp, served.fold(PortSet::none(), |all, port| all.union(&port)));
        // Whom a strict server keeps out is no conflict: that is what it is strict for.
        let groups = edges_to(&callers, evidence, number).into_iter();
        let mut members = groups.filter(|(clients, _)| takes_part(graph, clients[0]));
        let cut = members.find_map(|(clients, edge)| {
            let refused = edge.mesh?.refused.intersection(&served);
            (!refused.is_empty()).then_some((clients[0], refused))
        });
        let Some((from, refused)) = cut else { continue };
        let (subject, origin, _) = alike(evidence, &server.members);
        let (client, at_client, _) = alike(evidence, &graph.classes()[from as usize].members);
        let taken = graph.acceptances(number).find(|a| a.ports.is_all());
        let takes = taken.map_or("it has no proxy", |acceptance| acceptance.why.as_str());
        let mut finding = MtlsConflict.finding(
            subject,
            format!("{refused} from {client}, which is in the mesh, is refused: the server is at {takes}."),
            vec![taken.and_then(|a| a.origin.clone()).unwrap_or(origin), at_client],
            "Let the DestinationRule and the PeerAuthentication say the same, or take both away.",
        );
        finding.traffic = refused;
        findings.push(finding);
    }
    findings
}
