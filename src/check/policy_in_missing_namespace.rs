//! `policy-in-missing-namespace`: a policy in a namespace that nothing else speaks of.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{objects, policy_name};
use super::{Evidence, Finding, check};
use std::collections::BTreeSet;

check! {
    PolicyInMissingNamespace, "policy-in-missing-namespace", Low, "A policy in a namespace that nothing else speaks of.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let inventory = evidence.inventory;
    let by_namespace = inventory.workloads.chunk_by(|a, b| a.name.namespace == b.name.namespace);
    let mut present: BTreeSet<&str> = by_namespace.map(|own| own[0].name.namespace.as_str()).collect();
    let declared = inventory.namespaces.iter().filter(|(_, namespace)| namespace.origin.is_some());
    present.extend(declared.map(|(name, _)| name.as_str()));
    if present.is_empty() {
        return Vec::new();
    }
    let is_missing = |policy: &&crate::graph::PolicyInfo| {
        let namespace = &*policy.origin.namespace;
        !namespace.is_empty() && !present.contains(namespace)
    };
    if !evidence.graph.policies.iter().any(|policy| is_missing(&policy)) {
        return Vec::new();
    }
    let missing = objects(evidence.graph).into_iter().filter(is_missing);
    let finding = |policy: &crate::graph::PolicyInfo| {
        let namespace = policy.origin.namespace.to_string();
        let near = crate::model::closest(&namespace, present.iter().copied());
        let message = format!(
            "Neither a Namespace object nor a workload was read for {namespace}: the policy selects nothing."
        );
        let fix = match near {
            Some(near) => format!("Did you mean {near}?"),
            None => "Correct the namespace, or give the manifests of that namespace too.".to_owned(),
        };
        PolicyInMissingNamespace.finding(
            policy_name(&policy.origin),
            message,
            vec![policy.origin.clone()],
            fix,
        )
    };
    missing.map(finding).collect()
}
