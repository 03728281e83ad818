//! `namespace-without-default-deny`: a namespace in which what no policy names is allowed.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::{Evidence, Finding, check};
use crate::graph::{Direction, Namespaces, PolicyInfo};
use crate::inventory::Network;

check! {
    NamespaceWithoutDefaultDeny, "namespace-without-default-deny", Medium, "A namespace in which what no policy names is allowed.",
    ["CIS-K8s-5.3.2", "NSA-CISA-network-policies", "PCI-DSS-4.0-1.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, namespace) in &evidence.inventory.namespaces {
        let mut workloads = evidence.inventory.workloads.iter().filter(|w| w.name.namespace == *name);
        let on_pods = |w: &&crate::inventory::Workload| w.variants.iter().any(|v| v.network == Network::Pod);
        let Some(first) = workloads.find(on_pods) else { continue };
        let origin = namespace.origin.clone().unwrap_or_else(|| first.origin.clone());
        for direction in Direction::BOTH {
            let covers = |policy: &&PolicyInfo| {
                policy.direction == direction
                    && policy.subjects.endpoints.is_everything()
                    && match &policy.subjects.namespaces {
                        Namespaces::Named(named) => named == name,
                        Namespaces::Matching(selector) => selector.matches(&namespace.labels),
                    }
            };
            if evidence.graph.policies.iter().any(|policy| covers(&policy)) {
                continue;
            }
            let word = direction.word();
            let mut finding = NamespaceWithoutDefaultDeny.finding(
                name.clone(),
                format!("No policy selects all pods of this namespace for {word}: what no policy names is allowed."),
                vec![origin.clone()],
                format!("Add a NetworkPolicy in {name} with podSelector: {{}} and policyTypes: [Ingress, Egress]."),
            );
            finding.detail = word.to_owned();
            findings.push(finding);
        }
    }
    findings
}
