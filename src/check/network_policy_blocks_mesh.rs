//! `network-policy-blocks-mesh`: a network policy that keeps the tunnel of the mesh out.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::edges_to;
use super::shared::alike;
use super::{Evidence, Finding, check};
use crate::graph::Callers;

check! {
    NetworkPolicyBlocksMesh, "network-policy-blocks-mesh", High, "A network policy that keeps the tunnel of the mesh out.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let callers = Callers::of(graph);
    let mut findings = Vec::new();
    for (number, server) in (0..).zip(graph.classes()) {
        // Only where the policy means the port of the application to be open is the tunnel forgotten.
        let forgotten = edges_to(&callers, evidence, number).into_iter().find_map(|(clients, edge)| {
            let network = edge.egress.allowed.intersection(&edge.ingress.allowed);
            let blocked = edge.mesh.as_ref()?.blocked.intersection(&network);
            let because = edge.because();
            (!blocked.is_empty()).then_some((clients[0], blocked, because))
        });
        let Some((from, blocked, because)) = forgotten else { continue };
        let (subject, origin, _) = alike(evidence, &server.members);
        let (client, ..) = alike(evidence, &graph.classes()[from as usize].members);
        let rule = because.first().map(|rule| graph.rules[*rule as usize].rule.origin.clone());
        let mut finding = NetworkPolicyBlocksMesh.finding(
            subject,
            format!(
                "{blocked} from {client} is let through, but the mesh carries it on port 15008, which is not."
            ),
            vec![rule.unwrap_or(origin)],
            "Allow TCP 15008 between the same ends, and leave ports to an AuthorizationPolicy.",
        );
        finding.traffic = blocked;
        findings.push(finding);
    }
    findings
}
