//! `dead-selector`: a policy or rule that selects nothing.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{objects, policy_name};
use super::{Evidence, Finding, check};
use crate::graph::{Peer, Peers, PolicyInfo};

check! {
    DeadSelector, "dead-selector", Low, "A policy or rule that selects nothing.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let mut findings: Vec<Finding> = objects(graph)
        .into_iter()
        .filter(|policy| policy.selected.is_empty() && !graph.is_of_mesh(policy))
        .map(|policy| {
            DeadSelector.finding(
                policy_name(&policy.origin),
                format!("Its selector ({}) matches no endpoint.", subjects_text(policy)),
                vec![policy.origin.clone()],
                "Correct the labels, or remove the policy.",
            )
        })
        .collect();
    for info in &graph.rules {
        let Peers::Among(peers) = &info.rule.peers else { continue };
        let by_labels = peers.iter().any(|peer| peer.any(|part| matches!(part, Peer::Endpoints(_))));
        let idle = graph.policies[info.policy as usize].selected.is_empty();
        if !by_labels || idle || info.matches.as_ref().is_none_or(|matches| !matches.is_empty()) {
            continue;
        }
        let origin = &info.rule.origin;
        let mut finding = DeadSelector.finding(
            policy_name(origin),
            format!("The peers of {} match no pod.", origin.rule),
            vec![origin.clone()],
            "Correct the labels of the peers, or remove the rule.",
        );
        finding.detail = origin.rule.to_string();
        findings.push(finding);
    }
    findings
}

/// The selectors as `kubectl -l` writes them.
fn subjects_text(policy: &PolicyInfo) -> String {
    let mut texts: Vec<String> = policy.subjects.iter().map(|s| s.endpoints.to_string()).collect();
    texts.dedup();
    texts.join(" or ")
}
