//! `namespace-without-default-deny`: a namespace in which what no policy names is allowed.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::{Evidence, Finding, check};
use crate::graph::{Action, Direction, Isolation, Namespaces, PolicyInfo, Population, Selection};
use crate::inventory::Network;
use std::collections::BTreeSet;

check! {
    NamespaceWithoutDefaultDeny, "namespace-without-default-deny", Medium, "A namespace in which what no policy names is allowed.",
    ["CIS-K8s-5.3.2", "NSA-CISA-network-policies", "PCI-DSS-4.0-1.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let covered = covered(evidence);
    let workloads = &evidence.inventory.workloads;
    let mut findings = Vec::new();
    for (name, namespace) in &evidence.inventory.namespaces {
        let first = workloads.partition_point(|w| w.name.namespace < *name);
        let mut own = workloads[first..].iter().take_while(|w| w.name.namespace == *name);
        let on_pods = |w: &&crate::inventory::Workload| w.variants.iter().any(|v| v.network == Network::Pod);
        let Some(first) = own.find(on_pods) else { continue };
        let origin = namespace.origin.clone().unwrap_or_else(|| first.origin.clone());
        for direction in Direction::BOTH {
            if covered.contains(&(name.as_str(), direction)) {
                continue;
            }
            let word = direction.word();
            let mut finding = NamespaceWithoutDefaultDeny.finding(
                name.clone(),
                format!("No policy selects all pods of this namespace for {word}: what no policy names is allowed."),
                vec![origin.clone()],
                format!("Let policies allow what is needed, DNS among it, and then add a NetworkPolicy in {name} with podSelector: {{}} and policyTypes: [Ingress, Egress]."),
            );
            finding.detail = word.to_owned();
            findings.push(finding);
        }
    }
    findings
}

/// Namespaces and directions in which some policy selects every pod.
fn covered<'a>(evidence: &Evidence<'a>) -> BTreeSet<(&'a str, Direction)> {
    let isolates = |policy: &&PolicyInfo| {
        let unmatched = evidence.graph.tiers[policy.tier as usize].unmatched;
        policy.isolation == Isolation::Isolates && unmatched == Action::Deny
    };
    let whole =
        |subjects: &&Selection| subjects.population == Population::Pods && subjects.endpoints.is_everything();
    let mut covered = BTreeSet::new();
    let policies = evidence.graph.policies.iter().filter(isolates);
    let selections = policies.flat_map(|policy| policy.subjects.iter().map(move |s| (policy, s)));
    for (policy, subjects) in selections.filter(|(_, subjects)| whole(subjects)) {
        match &subjects.namespaces {
            Namespaces::Named(name) => drop(covered.insert((name.as_str(), policy.direction))),
            Namespaces::Matching(selector) => {
                let matching =
                    evidence.inventory.namespaces.iter().filter(|(_, n)| selector.matches(&n.labels));
                covered.extend(matching.map(|(name, _)| (name.as_str(), policy.direction)));
            }
        }
    }
    covered
}
