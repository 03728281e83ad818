//! `host-network-bypass`: a workload that leaves the pod network and its policies behind.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{policy_name, workload_name, would_be_in};
use super::{Evidence, Finding, check};
use crate::graph::PolicyInfo;
use crate::inventory::Network;

check! {
    HostNetworkBypass, "host-network-bypass", Medium, "A workload that leaves the pod network and its policies behind.",
    ["CIS-K8s-5.2.5", "NSA-CISA-pod-security"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, workload) in evidence.inventory.workloads.iter().enumerate() {
        let Some(variant) = workload.variants.iter().find(|v| v.network == Network::Host) else { continue };
        let would_select = |policy: &&PolicyInfo| {
            policy
                .subjects
                .iter()
                .any(|subjects| would_be_in(evidence, subjects, &workload.name.namespace, variant))
        };
        let Some(policy) = evidence.graph.policies.iter().find(would_select) else { continue };
        findings.push(HostNetworkBypass.finding(
            workload_name(evidence, index),
            format!("It runs on the host network, so {} has no effect on it.", policy_name(&policy.origin)),
            vec![workload.origin.clone(), policy.origin.clone()],
            "Remove hostNetwork: true, or guard the node itself.",
        ));
    }
    findings
}
