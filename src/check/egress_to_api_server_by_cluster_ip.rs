//! `egress-to-api-server-by-cluster-ip`: a rule to the address of a service.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::policy_name;
use super::{Evidence, Finding, check};
use crate::graph::{Action, Direction, Peer, RuleInfo};
use crate::model::{AddressSet, Origin};
use std::net::IpAddr;

check! {
    EgressToApiServerByClusterIp, "egress-to-api-server-by-cluster-ip", Medium, "A rule to the address of a service, which packets no longer carry when policies see them.",
    ["NIST-800-190-4.3.3"]
}

/// First addresses of service networks that installers choose by default: the API server's.
const USUAL: &[&str] = &["10.96.0.1", "10.43.0.1", "10.100.0.1", "172.20.0.1", "172.30.0.1", "10.152.183.1"];

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    evidence.graph.rules.iter().filter_map(|info| of_rule(evidence, info)).collect()
}

fn of_rule(evidence: &Evidence<'_>, info: &RuleInfo) -> Option<Finding> {
    let policy = &evidence.graph.policies[info.policy as usize];
    if policy.direction != Direction::Egress || info.rule.action != Action::Allow {
        return None;
    }
    let few = |set: &&AddressSet| set.ranges().iter().all(|range| range.first == range.last);
    let blocks = info.rule.peers.named().iter().filter_map(|peer| match peer {
        Peer::Addresses(set) => Some(set),
        _ => None,
    });
    let (what, service) = blocks.filter(few).find_map(|set| service_at(evidence, set))?;
    let origin = &info.rule.origin;
    let mut because = vec![origin.clone()];
    because.extend(service);
    let message = format!(
        "{} names {what}: policies are asked after the service was translated, so most dataplanes never see this address and the rule allows nothing.",
        origin.rule
    );
    let fix = "Name what stands behind the service: its pods by labels, or the API server by its real addresses and port.";
    let mut finding = EgressToApiServerByClusterIp.finding(policy_name(origin), message, because, fix);
    finding.detail = origin.rule.to_string();
    Some(finding)
}

/// The service whose address is in the set, in words, with where it stands.
fn service_at(evidence: &Evidence<'_>, set: &AddressSet) -> Option<(String, Option<Origin>)> {
    let holds = |address: &IpAddr| set.contains(*address);
    let known = evidence.inventory.services.iter().find(|service| service.cluster_ips.iter().any(holds));
    if let Some(service) = known {
        let words = format!("the ClusterIP of service {}/{}", service.namespace, service.name);
        return Some((words, Some(service.origin.clone())));
    }
    let usual = USUAL.iter().filter_map(|text| text.parse::<IpAddr>().ok()).find(|address| holds(address))?;
    Some((
        format!("{usual}, which is the API server's ClusterIP in clusters with the usual service network"),
        None,
    ))
}
