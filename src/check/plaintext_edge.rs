//! `plaintext-edge`: a workload of the mesh that is called in the clear from another segment.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::{edges_to, is_member};
use super::shared::alike;
use super::{Evidence, Finding, check};
use crate::graph::{Callers, ClassId};
use crate::model::{ExpectedProtection, TrafficSet};

check! {
    PlaintextEdge, "plaintext-edge", Medium, "A workload of the mesh that is called in the clear from another segment.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let callers = Callers::of(graph);
    let mut findings = Vec::new();
    for (number, server) in (0..).zip(graph.classes()) {
        if !is_member(graph, number) || server.members.is_empty() {
            continue;
        }
        let segment = |class: &crate::graph::Class| {
            class
                .members
                .first()
                .map(|member| evidence.segments.of(member.workload as usize, member.variant as usize))
        };
        let own = segment(server);
        let mut clear: Option<(ClassId, TrafficSet)> = None;
        for (clients, edge) in edges_to(&callers, evidence, number) {
            let elsewhere = |client: &&ClassId| segment(&graph.classes()[**client as usize]) != own;
            let Some(from) = clients.iter().rev().find(elsewhere).copied() else { continue };
            let legs = edge.mesh.iter().flat_map(|mesh| &mesh.legs);
            let plain = legs.filter(|leg| leg.protection == ExpectedProtection::Plaintext);
            let plain = plain.fold(TrafficSet::none(), |all, leg| all.union(&leg.traffic));
            if !plain.is_empty() {
                let (last, known) = clear.unwrap_or((from, TrafficSet::none()));
                clear = Some((last.max(from), known.union(&plain)));
            }
        }
        let Some((from, traffic)) = clear else { continue };
        let (subject, origin, _) = alike(evidence, &server.members);
        let (client, ..) = alike(evidence, &graph.classes()[from as usize].members);
        let mut finding = PlaintextEdge.finding(
            subject,
            format!("{traffic} may reach it in the clear from other segments, for example from {client}."),
            vec![origin],
            "Bring the client into the mesh and set mode STRICT, or close the path.",
        );
        finding.traffic = traffic;
        findings.push(finding);
    }
    findings
}
