//! `waypoint-bypass`: a workload that clients reach past the waypoint that holds policies for it.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::edges_to;
use super::shared::alike;
use super::{Evidence, Finding, check};
use crate::graph::{Admission, Callers, ClassId, MeshEdge};
use crate::model::{ExpectedProtection, TrafficSet};

check! {
    WaypointBypass, "waypoint-bypass", Medium, "A workload that clients reach past the waypoint that holds policies for it.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let callers = Callers::of(graph);
    let mut findings = Vec::new();
    for (number, server) in (0..).zip(graph.classes()) {
        let Some((guarded, relay)) = graph.guarded(number) else { continue };
        let groups = edges_to(&callers, evidence, number).into_iter();
        let past = groups.filter(|(clients, _)| !graph.is_intermediary(clients[0]));
        let around = past.filter_map(|(clients, edge)| {
            let traffic = straight(edge.mesh.as_ref()?, &guarded);
            (!traffic.is_empty()).then_some((clients[0], edge.mesh?, traffic))
        });
        // Plaintext proves no identity at all: that is told first.
        let clear = |mesh: &MeshEdge| mesh.legs.iter().all(|leg| leg.identity == Admission::Refused);
        let found: Option<(ClassId, MeshEdge, TrafficSet)> =
            around.min_by_key(|(client, mesh, _)| (!clear(mesh), *client));
        let Some((client, mesh, traffic)) = found else { continue };
        let (subject, origin, _) = alike(evidence, &server.members);
        let (from, ..) = alike(evidence, &graph.classes()[client as usize].members);
        let plain = mesh.legs.iter().any(|leg| {
            leg.via.is_none()
                && leg.protection == ExpectedProtection::Plaintext
                && !leg.traffic.intersection(&traffic).is_empty()
        });
        let how = if plain { "in plaintext" } else { "by its address" };
        let mut finding = WaypointBypass.finding(
            subject,
            format!("{from} reaches {traffic} {how}, past the waypoint and the policies that it holds."),
            relay.guards.iter().cloned().chain([origin]).collect(),
            "Let an AuthorizationPolicy with a selector for the workload, or a NetworkPolicy on port 15008, let in the waypoint alone.",
        );
        finding.traffic = traffic;
        findings.push(finding);
    }
    findings
}

/// What goes straight to the server, of what the waypoint should have carried.
fn straight(mesh: &MeshEdge, guarded: &TrafficSet) -> TrafficSet {
    let legs = mesh.legs.iter().filter(|leg| leg.via.is_none());
    legs.fold(TrafficSet::none(), |all, leg| all.union(&leg.traffic)).intersection(guarded)
}
