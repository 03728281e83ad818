//! `outside-mesh`: a workload outside of the mesh in a namespace that is in it.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_ground::is_member;
use super::shared::alike;
use super::{Evidence, Finding, check};
use crate::graph::{ClassId, MeshMode};
use std::collections::BTreeSet;

check! {
    OutsideMesh, "outside-mesh", Medium, "A workload outside of the mesh in a namespace that is in it.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let classes = || (0..).zip(graph.classes());
    let meshed: BTreeSet<&str> = classes()
        .filter(|(class, _)| is_member(graph, *class))
        .map(|(_, class)| class.namespace.as_str())
        .collect();
    let mut findings = Vec::new();
    for (number, class) in classes().filter(|(_, class)| meshed.contains(class.namespace.as_str())) {
        let number: ClassId = number;
        let Some(member) = graph.membership(number).filter(|m| m.mode == MeshMode::Outside) else { continue };
        if class.members.is_empty() {
            continue;
        }
        let (subject, origin, others) = alike(evidence, &class.members);
        findings.push(OutsideMesh.finding(
            subject,
            format!(
                "Other workloads of {} are in the mesh, and it is not{others}: {}.",
                class.namespace, member.why
            ),
            vec![origin],
            "Let the injector add a proxy, or keep it in a namespace of its own.",
        ));
    }
    findings
}
