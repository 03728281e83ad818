//! `allow-from-load-balancer-snat`: a rule for client addresses that a load balancer replaces.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{backends, policy_name};
use super::{Evidence, Finding, check};
use crate::graph::{Action, Direction, Peer, RuleInfo};
use crate::inventory::{Service, ServiceKind, TrafficPolicy};
use crate::model::AddressSet;

check! {
    AllowFromLoadBalancerSnat, "allow-from-load-balancer-snat", Low, "A rule for client addresses that a load balancer replaces.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let replaces = |service: &&Service| {
        matches!(service.kind, ServiceKind::LoadBalancer | ServiceKind::NodePort)
            && service.external_traffic == TrafficPolicy::Cluster
    };
    let services: Vec<&Service> = evidence.inventory.services.iter().filter(replaces).collect();
    let mut findings = Vec::new();
    for info in &evidence.graph.rules {
        let policy = &evidence.graph.policies[info.policy as usize];
        if policy.direction != Direction::Ingress || info.rule.action != Action::Allow || !names_clients(info)
        {
            continue;
        }
        let serves = |service: &&&Service| {
            backends(evidence.inventory, service).any(|(workload, variant)| {
                policy.selected.contains(&evidence.graph.class_of(workload, variant))
            })
        };
        if let Some(service) = services.iter().find(serves) {
            findings.push(finding(info, service));
        }
    }
    findings
}

/// Whether a rule names a part of the addresses, which only their own packets have.
fn names_clients(info: &RuleInfo) -> bool {
    let families = AddressSet::all();
    let partial = |set: &AddressSet| !families.ranges().iter().any(|family| set.ranges().contains(family));
    info.rule.peers.named().iter().any(|peer| matches!(peer, Peer::Addresses(set) if partial(set)))
}

fn finding(info: &RuleInfo, service: &Service) -> Finding {
    let origin = &info.rule.origin;
    let message = format!(
        "{} names client addresses, but behind service {}/{} clients appear as a node (externalTrafficPolicy: Cluster): \
         the rule may match none of them, or a rule for nodes lets all of them in.",
        origin.rule, service.namespace, service.name
    );
    let fix = "Set externalTrafficPolicy: Local on the service, or filter at the load balancer (loadBalancerSourceRanges).";
    let because = vec![origin.clone(), service.origin.clone()];
    let mut finding = AllowFromLoadBalancerSnat.finding(policy_name(origin), message, because, fix);
    finding.detail = format!("{} {}/{}", origin.rule, service.namespace, service.name);
    finding
}
