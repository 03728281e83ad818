//! `permissive-mtls`: a workload of the mesh that takes plaintext beside mutual TLS.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::{is_member, per_workload};
use super::{Evidence, Finding, check};
use crate::graph::Admission;

check! {
    PermissiveMtls, "permissive-mtls", Medium, "A workload of the mesh that takes plaintext beside mutual TLS.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let permissive = |class| {
        let mut list = graph.acceptances(class).filter(|_| is_member(graph, class));
        let deciding = list.find(|acceptance| acceptance.ports.is_all())?;
        let accepts = deciding.accepts;
        (accepts.plaintext == Admission::Admitted && accepts.terminates.is_some()).then_some(deciding)
    };
    per_workload(evidence, permissive, |subject, acceptance, origin| {
        PermissiveMtls.finding(
            subject,
            format!("Clients without a proxy reach it in the clear: {}.", acceptance.why),
            vec![acceptance.origin.clone().unwrap_or(origin)],
            "Once all its clients are in the mesh, set mode STRICT in a PeerAuthentication.",
        )
    })
}
