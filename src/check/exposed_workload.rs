//! `exposed-workload`: a workload that can be reached from outside of the cluster.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{backends, workload_name};
use super::{Evidence, Finding, check};
use crate::inventory::{Network, Service, ServiceKind, TrafficPolicy};
use crate::model::{Origin, Protocol};
use std::collections::{BTreeMap, BTreeSet};

/// How outside traffic gets to a workload: the words for it, and the object behind it.
type Ways = BTreeMap<usize, BTreeSet<(String, Option<Origin>)>>;

check! {
    ExposedWorkload, "exposed-workload", High, "A workload that can be reached from outside of the cluster.",
    ["NSA-CISA-network-separation", "PCI-DSS-4.0-1.4.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut ways = Ways::new();
    for service in &evidence.inventory.services {
        add_service(evidence, service, &mut ways);
    }
    for (index, workload) in evidence.inventory.workloads.iter().enumerate() {
        for (number, variant) in workload.variants.iter().enumerate() {
            for port in &variant.ports {
                let reached = variant.network == Network::Host
                    || (port.host_port.is_some()
                        && is_open(evidence, index, number, port.protocol, port.port));
                let way = match (variant.network, port.host_port) {
                    (Network::Host, _) => format!("the host network, {}/{}", port.protocol, port.port),
                    (Network::Pod | Network::HostEndpoint, Some(host)) => {
                        format!("host port {}/{host}", port.protocol)
                    }
                    (Network::Pod | Network::HostEndpoint, None) => continue,
                };
                if reached {
                    ways.entry(index).or_default().insert((way, None));
                }
            }
        }
    }
    ways.into_iter().map(|(index, ways)| finding(evidence, index, &ways)).collect()
}

fn add_service(evidence: &Evidence<'_>, service: &Service, ways: &mut Ways) {
    let kind = match service.kind {
        ServiceKind::LoadBalancer => "LoadBalancer",
        ServiceKind::NodePort => "NodePort",
        _ if !service.external_ips.is_empty() => "external address",
        _ => return,
    };
    let caveat = match service.external_traffic {
        TrafficPolicy::Cluster => ", clients may appear as a node",
        TrafficPolicy::Local => "",
    };
    for (workload, variant) in backends(evidence.inventory, service) {
        let pod = &evidence.inventory.workloads[workload].variants[variant];
        for port in &service.ports {
            for target in port.targets(pod) {
                if is_open(evidence, workload, variant, port.protocol, target) {
                    let (protocol, name) = (port.protocol, &service.name);
                    let way = format!("{kind} {name} {protocol}/{} to port {target}{caveat}", port.port);
                    ways.entry(workload).or_default().insert((way, Some(service.origin.clone())));
                }
            }
        }
    }
}

/// Whether the policies let some outside address in.
fn is_open(evidence: &Evidence<'_>, workload: usize, variant: usize, protocol: Protocol, port: u16) -> bool {
    let class = evidence.graph.class_of(workload, variant);
    evidence.graph.atoms().any(|(atom, _)| evidence.graph.edge(atom, class).traffic.contains(protocol, port))
}

fn finding(evidence: &Evidence<'_>, index: usize, ways: &BTreeSet<(String, Option<Origin>)>) -> Finding {
    let words: Vec<&str> = ways.iter().map(|(way, _)| way.as_str()).collect();
    let mut because: Vec<Origin> = ways.iter().filter_map(|(_, origin)| origin.clone()).collect();
    because.push(evidence.inventory.workloads[index].origin.clone());
    because.dedup();
    ExposedWorkload.finding(
        workload_name(evidence, index),
        format!("Outside addresses can reach it through {}.", words.join("; ")),
        because,
        "Put it behind an ingress controller, or let a policy name the sources that need it.",
    )
}
