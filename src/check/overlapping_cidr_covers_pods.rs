//! `overlapping-cidr-covers-pods`: an address block that lets pods in or out beside what is outside.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{policy_name, workload_name};
use super::{Evidence, Finding, check};
use crate::graph::{Action, Direction, Peer, RuleInfo};
use crate::inventory::Network;
use crate::model::AddressSet;
use crate::model::names::counted;
use std::net::IpAddr;

check! {
    OverlappingCidrCoversPods, "overlapping-cidr-covers-pods", Medium, "An address block that lets pods in or out beside what is outside.",
    ["CIS-K8s-5.3.2", "NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    if !evidence.graph.dataplane.ipblock_matches_pods {
        return Vec::new();
    }
    let pods = addresses_of_pods(evidence);
    evidence.graph.rules.iter().filter_map(|info| of_rule(evidence, &pods, info)).collect()
}

/// The addresses of all pods with the workloads that have them, sorted.
fn addresses_of_pods(evidence: &Evidence<'_>) -> Vec<(IpAddr, usize)> {
    let workloads = evidence.inventory.workloads.iter().enumerate();
    let variants = workloads.flat_map(|(index, workload)| workload.variants.iter().map(move |v| (index, v)));
    let pods = variants.filter(|(_, variant)| variant.network == Network::Pod);
    let mut all: Vec<(IpAddr, usize)> =
        pods.flat_map(|(index, pod)| pod.addresses.iter().map(move |address| (*address, index))).collect();
    all.sort_unstable();
    all
}

fn of_rule(evidence: &Evidence<'_>, pods: &[(IpAddr, usize)], info: &RuleInfo) -> Option<Finding> {
    let families = AddressSet::all();
    let partial = |set: &AddressSet| !families.ranges().iter().any(|family| set.ranges().contains(family));
    let single = |set: &AddressSet| set.ranges().iter().all(|range| range.first == range.last);
    let mut covered: Vec<usize> = Vec::new();
    let mut block = None;
    for peer in info.rule.peers.named() {
        let Peer::Addresses(set) = peer else { continue };
        // Whole families are `unrestricted-…`; single addresses were meant.
        if !partial(set) || single(set) {
            continue;
        }
        for range in set.ranges() {
            let first = pods.partition_point(|(address, _)| *address < range.first);
            let inside = pods[first..].iter().take_while(|(address, _)| *address <= range.last);
            for (_, workload) in inside {
                covered.push(*workload);
                block.get_or_insert(set);
            }
        }
    }
    covered.sort_unstable();
    covered.dedup();
    let (first, block) = (covered.first()?, block?);
    if info.rule.action != Action::Allow {
        return None;
    }
    let policy = &evidence.graph.policies[info.policy as usize];
    let word = match policy.direction {
        Direction::Ingress => "from",
        Direction::Egress => "to",
    };
    let origin = &info.rule.origin;
    let message = format!(
        "The block {block} of {} holds pods too: it allows traffic {word} {} whatever their labels, for example {}.",
        origin.rule,
        counted(covered.len(), ["workload", "workloads"]),
        workload_name(evidence, *first)
    );
    let fix = "Take the pod network out with `except`, and name pods by labels.";
    let mut finding =
        OverlappingCidrCoversPods.finding(policy_name(origin), message, vec![origin.clone()], fix);
    finding.detail = origin.rule.to_string();
    Some(finding)
}
