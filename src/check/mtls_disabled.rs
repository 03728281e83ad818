//! `mtls-disabled`: a workload of the mesh whose proxy does not end mutual TLS.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::{is_member, per_workload};
use super::{Evidence, Finding, check};
use crate::graph::Admission;

check! {
    MtlsDisabled, "mtls-disabled", High, "A workload of the mesh whose proxy does not end mutual TLS.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let disabled = |class| {
        graph.acceptances(class).filter(|_| is_member(graph, class)).find(|acceptance| {
            let accepts = acceptance.accepts;
            accepts.terminates.is_none() && accepts.proxied == Admission::Admitted
        })
    };
    per_workload(evidence, disabled, |subject, acceptance, origin| {
        MtlsDisabled.finding(
            subject,
            format!("What reaches it is in the clear, and nobody proves who calls: {}.", acceptance.why),
            vec![acceptance.origin.clone().unwrap_or(origin)],
            "Set mode PERMISSIVE, then STRICT, in the PeerAuthentication.",
        )
    })
}
