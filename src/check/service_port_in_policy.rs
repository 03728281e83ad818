//! `service-port-in-policy`: a rule with the port of a service where the container's is needed.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{backends, destinations, opens_to_everyone, policy_name};
use super::{Evidence, Finding, check};
use crate::graph::{Direction, RuleInfo};
use crate::inventory::{Service, ServicePort};
use crate::model::Protocol;

check! {
    ServicePortInPolicy, "service-port-in-policy", Medium, "A rule with the port of a service where the container's is needed.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    evidence.graph.rules.iter().flat_map(|info| of_rule(evidence, info)).collect()
}

fn of_rule(evidence: &Evidence<'_>, info: &RuleInfo) -> Vec<Finding> {
    let fixed = &info.rule.traffic.fixed;
    let single = |(first, last): &(u16, u16)| (first == last).then_some(*first);
    let ports: Vec<(Protocol, u16)> = Protocol::ALL
        .into_iter()
        .flat_map(|protocol| {
            fixed.ports(protocol).intervals().iter().filter_map(single).map(move |p| (protocol, p))
        })
        .collect();
    let mut findings = Vec::new();
    if ports.is_empty() {
        return findings;
    }
    // A rule that lets out to everyone means somebody else by the port: the API server, the world.
    let direction = evidence.graph.policies[info.policy as usize].direction;
    if direction == Direction::Egress && opens_to_everyone(&info.rule) {
        return findings;
    }
    let targets = destinations(evidence.graph, info);
    for service in &evidence.inventory.services {
        for port in &service.ports {
            if ports.contains(&(port.protocol, port.port)) && misses(evidence, info, service, port, &targets)
            {
                findings.push(finding(info, service, port));
            }
        }
    }
    findings
}

/// Whether a backend that the rule leads to listens elsewhere, where the rule does not let it.
fn misses(
    evidence: &Evidence<'_>,
    info: &RuleInfo,
    service: &Service,
    port: &ServicePort,
    targets: &[u32],
) -> bool {
    backends(evidence.inventory, service).any(|(workload, variant)| {
        let pod = &evidence.inventory.workloads[workload].variants[variant];
        let listens = pod.ports.iter().any(|p| p.port == port.port && p.protocol == port.protocol);
        let real: Vec<u16> = port.targets(pod);
        !listens
            && targets.contains(&evidence.graph.class_of(workload, variant))
            && !real.is_empty()
            && real.iter().all(|t| *t != port.port && !info.rule.traffic.fixed.contains(port.protocol, *t))
            && info.rule.traffic.named.is_empty()
    })
}

fn finding(info: &RuleInfo, service: &Service, port: &ServicePort) -> Finding {
    let origin = &info.rule.origin;
    let mut finding = ServicePortInPolicy.finding(
        policy_name(origin),
        format!(
            "{} names port {}, which is the port of the service {}/{}; its pods listen on another one.",
            origin.rule, port.port, service.namespace, service.name
        ),
        vec![origin.clone(), service.origin.clone()],
        "Write the targetPort of the service: policies see packets after the service was translated.",
    );
    finding.detail = format!("{} {}", origin.rule, port.port);
    finding
}
