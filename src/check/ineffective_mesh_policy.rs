//! `ineffective-mesh-policy`: a policy of the mesh that binds no workload.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::policy_name;
use super::{Evidence, Finding, check};
use crate::model::Origin;
use std::collections::BTreeMap;

check! {
    IneffectiveMeshPolicy, "ineffective-mesh-policy", Medium, "A policy of the mesh that binds no workload.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

/// Where the defaults of a mesh stand, which hold for whoever has none of their own.
const DEFAULTS: [&str; 3] = ["ConfigMap", "JWTProvider", "Namespace"];

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let key = |origin: &Origin| (origin.kind.clone(), origin.namespace.clone(), origin.name.clone());
    let mut objects: BTreeMap<_, (&Origin, bool)> = BTreeMap::new();
    let written = |origin: &Origin| !DEFAULTS.contains(&&*origin.kind) && !origin.is_of_default();
    let of_mesh = graph.policies.iter().filter(|policy| graph.is_of_mesh(policy));
    for policy in of_mesh.filter(|policy| written(&policy.origin)) {
        let entry = objects.entry(key(&policy.origin)).or_insert((&policy.origin, false));
        entry.1 |= !policy.selected.is_empty();
    }
    let idle = objects.into_values().filter(|(_, binds)| !binds);
    idle.map(|(origin, _)| {
        IneffectiveMeshPolicy.finding(
            policy_name(origin),
            "No pod that is in the mesh has the labels that it selects, in the namespaces for which it counts.".to_owned(),
            vec![origin.clone()],
            "Correct the selector, or bring the workload into the mesh.",
        )
    })
    .collect()
}
