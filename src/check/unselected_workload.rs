//! `unselected-workload`: a workload that the policies of its namespace forget.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::alike;
use super::{Evidence, Finding, check};
use crate::graph::{ClassId, Direction};
use crate::inventory::Network;
use std::collections::BTreeSet;

check! {
    UnselectedWorkload, "unselected-workload", Medium, "A workload that the policies of its namespace forget.",
    ["CIS-K8s-5.3.2", "NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let of_network = graph.policies.iter().filter(|policy| !graph.is_of_mesh(policy));
    let policed: BTreeSet<&str> = of_network.map(|policy| &*policy.origin.namespace).collect();
    let mut findings = Vec::new();
    for (id, class) in graph.classes().iter().enumerate() {
        let selected = Direction::BOTH.iter().any(|d| graph.row(id as ClassId, *d).is_governed());
        // `policy-not-enforced` tells of those that policies would select and do not reach.
        let left_out = graph.left_out.contains_key(&(id as ClassId));
        if selected
            || left_out
            || class.network != Network::Pod
            || !policed.contains(class.namespace.as_str())
        {
            continue;
        }
        let (subject, origin, others) = alike(evidence, &class.members);
        findings.push(UnselectedWorkload.finding(
            subject,
            format!(
                "The policies of {} select other workloads, and none selects this one{others}.",
                class.namespace
            ),
            vec![origin],
            "Write a policy for it, or a default deny for the namespace.",
        ));
    }
    findings
}
