//! `dead-selector`: a policy or rule that selects nothing.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{objects, on_host_network, policy_name, workload_name};
use super::{Evidence, Finding, check};
use crate::graph::{Namespaces, Peer, Peers, PolicyInfo, Selection};

check! {
    DeadSelector, "dead-selector", Low, "A policy or rule that selects nothing.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    // Where policies alone were given, nothing is known of whom they select.
    if evidence.inventory.workloads.is_empty() {
        return Vec::new();
    }
    let is_dead = |policy: &&PolicyInfo| {
        policy.selected.is_empty()
            && !graph.is_of_mesh(policy)
            // Of pods on the network of their node `host-network-bypass` tells.
            && !policy.subjects.iter().any(|subjects| {
                selects_all(subjects)
                    || may_be_unseen(evidence, subjects)
                    || on_host_network(evidence, subjects).is_some()
            })
    };
    let mut findings: Vec<Finding> = objects(graph)
        .into_iter()
        .filter(is_dead)
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
        let mut named: Vec<&Selection> = Vec::new();
        for peer in peers {
            selections(peer, &mut named);
        }
        let idle = graph.policies[info.policy as usize].selected.is_empty();
        if named.is_empty() || idle || info.matches.as_ref().is_none_or(|matches| !matches.is_empty()) {
            continue;
        }
        if named.iter().any(|selection| may_be_unseen(evidence, selection)) {
            continue;
        }
        let origin = &info.rule.origin;
        let hosts = named.iter().find_map(|selection| on_host_network(evidence, selection));
        let (message, fix) = match hosts {
            Some(workload) => (
                format!(
                    "The peers of {} match pods on the host network alone, such as {}, which are known by the addresses of their nodes.",
                    origin.rule,
                    workload_name(evidence, workload)
                ),
                "Name the addresses of the nodes, or take the peers off the host network.",
            ),
            None => (
                format!("The peers of {} match no pod.", origin.rule),
                "Correct the labels of the peers, or remove the rule.",
            ),
        };
        let mut finding = DeadSelector.finding(policy_name(origin), message, vec![origin.clone()], fix);
        finding.detail = origin.rule.to_string();
        findings.push(finding);
    }
    findings
}

/// The selections that a peer is made of.
fn selections<'a>(peer: &'a Peer, found: &mut Vec<&'a Selection>) {
    match peer {
        Peer::Endpoints(selection) => found.push(selection),
        Peer::All(parts) => parts.iter().for_each(|part| selections(part, found)),
        Peer::Not(part) => selections(part, found),
        _ => {}
    }
}

/// Whether all pods of a namespace are meant: those that will come are guarded too.
fn selects_all(selection: &Selection) -> bool {
    selection.endpoints.is_everything()
}

/// Whether pods that were not read may be among those that are selected.
fn may_be_unseen(evidence: &Evidence<'_>, selection: &Selection) -> bool {
    let mut unseen = evidence.inventory.unseen.iter();
    match &selection.namespaces {
        Namespaces::Named(name) => unseen.any(|one| one.may_be_in(name)),
        Namespaces::Matching(selector) => {
            let fits = |name: &String| {
                let known = evidence.inventory.namespaces.get(name);
                known.is_none_or(|namespace| selector.matches(&namespace.labels))
            };
            unseen.any(|one| one.namespace.as_ref().is_none_or(fits))
        }
    }
}

/// The selectors as `kubectl -l` writes them.
fn subjects_text(policy: &PolicyInfo) -> String {
    let mut texts: Vec<String> = policy.subjects.iter().map(|s| s.endpoints.to_string()).collect();
    texts.dedup();
    texts.join(" or ")
}
