//! `mesh-excluded-port`: a port of a workload in the mesh that its proxy does not see.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::{is_member, per_workload};
use super::{Evidence, Finding, check};
use crate::graph::Admission;

check! {
    MeshExcludedPort, "mesh-excluded-port", Medium, "A port of a workload in the mesh that its proxy does not see.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let excluded = |class| {
        graph
            .acceptances(class)
            .filter(|_| is_member(graph, class))
            .find(|acceptance| acceptance.accepts.proxied == Admission::Refused)
    };
    per_workload(evidence, excluded, |subject, acceptance, origin| {
        let ports = match acceptance.ports.is_all() {
            true => "All its ports are".to_owned(),
            false => format!("TCP {} is", acceptance.ports),
        };
        MeshExcludedPort.finding(
            subject,
            format!(
                "{ports} open to everybody in the clear, and no authorization applies: {}.",
                acceptance.why
            ),
            vec![acceptance.origin.clone().unwrap_or(origin)],
            "Take the port out of the annotation, or guard it with a NetworkPolicy.",
        )
    })
}
