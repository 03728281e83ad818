//! `exposed-workload`: a workload that can be reached from outside of the cluster.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::workload_name;
use super::{Evidence, Finding, Severity, check};
use crate::exposure::{Access, EntryKind, Exposure, Tls, WhyOpen};
use crate::model::Origin;
use std::collections::{BTreeMap, BTreeSet};

check! {
    ExposedWorkload, "exposed-workload", High, "A workload that can be reached from outside of the cluster.",
    ["NSA-CISA-network-separation", "PCI-DSS-4.0-1.4.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut ways: BTreeMap<usize, Vec<&Exposure>> = BTreeMap::new();
    for exposure in evidence.exposures.all.iter().filter(|e| !matches!(e.access, Access::Closed(_))) {
        ways.entry(exposure.workload).or_default().push(exposure);
    }
    let controllers: BTreeSet<usize> =
        evidence.exposures.all.iter().flat_map(|exposure| &exposure.controllers).copied().collect();
    ways.into_iter().map(|(index, ways)| finding(evidence, index, &ways, &controllers)).collect()
}

fn finding(
    evidence: &Evidence<'_>,
    index: usize,
    ways: &[&Exposure],
    controllers: &BTreeSet<usize>,
) -> Finding {
    let mut because: Vec<Origin> = Vec::new();
    for origin in ways.iter().flat_map(|way| &way.because) {
        if !because.contains(origin) {
            because.push(origin.clone());
        }
    }
    let words: BTreeSet<String> = ways.iter().map(|way| describe(evidence, way)).collect();
    let words: Vec<String> = words.into_iter().collect();
    let open = ways.iter().any(|way| matches!(way.access, Access::Open(_)));
    let (can, fix) = match (open, controllers.contains(&index)) {
        (_, true) => (
            "can reach this controller",
            "Nothing, if this is the way in that is meant; let a policy name its ports.",
        ),
        (true, false) => (
            "can reach it",
            "Let a policy name the controller or the sources that need it, end TLS at the controller, or take the way in away.",
        ),
        (false, false) => (
            "may reach it",
            "Review it together with the manifests of the controller, or let a policy name the controller.",
        ),
    };
    let fix = match ways.iter().all(|way| way.kind == EntryKind::HostNetwork) {
        true => "Take it off the host network, or guard the node itself.",
        false => fix,
    };
    let message = format!("Outside clients {can}: {}.", words.join("; "));
    let mut finding = ExposedWorkload.finding(workload_name(evidence, index), message, because, fix);
    finding.severity = match controllers.contains(&index) {
        true => Severity::Low,
        false => ways.iter().map(|way| severity(way)).max().unwrap_or(Severity::Low),
    };
    finding
}

/// What is open and unencrypted is worst; what a rule lets in under TLS is how it should be.
fn severity(way: &Exposure) -> Severity {
    let direct = !is_routed(way.kind);
    match (way.access, way.tls) {
        (Access::Closed(_), _) => Severity::Low,
        (Access::Unknown(_), _) => Severity::Medium,
        (Access::Open(WhyOpen::Allowed), Tls::None) if direct && !way.is_open_to_everyone() => {
            Severity::Medium
        }
        (Access::Open(_), Tls::None | Tls::Optional | Tls::Unknown) => Severity::High,
        (Access::Open(WhyOpen::Ungoverned | WhyOpen::HostNetwork), _) => Severity::Medium,
        (Access::Open(WhyOpen::Allowed), Tls::Edge | Tls::Reencrypt | Tls::Passthrough) => Severity::Low,
    }
}

fn is_routed(kind: EntryKind) -> bool {
    match kind {
        EntryKind::Ingress | EntryKind::Route | EntryKind::GatewayRoute | EntryKind::VirtualService => true,
        EntryKind::LoadBalancer
        | EntryKind::NodePort
        | EntryKind::ExternalAddress
        | EntryKind::HostPort
        | EntryKind::HostNetwork => false,
    }
}

/// One way in, for people.
fn describe(evidence: &Evidence<'_>, way: &Exposure) -> String {
    let ports = &way.ports;
    let entry = &way.entry;
    let named = format!("{} {}/{} to {ports}", way.kind.words(), entry.namespace, entry.name);
    let why = way.access.why();
    if !is_routed(way.kind) {
        let some = !way.sources.is_empty() && !way.is_open_to_everyone();
        let sources = if some { format!(" from {}", way.sources) } else { String::new() };
        let asked = way.asked_for().map_or_else(String::new, |asked| {
            format!(
                " (the load balancer is asked to let in {asked} alone, which it may not do, and which ports of \
                 nodes do not)"
            )
        });
        return format!("{named}{sources}, {why}{asked}");
    }
    let through = match way.controllers.first() {
        Some(first) => format!("{} ({})", way.controller, workload_name(evidence, *first)),
        None => way.controller.clone(),
    };
    let hosts: Vec<&str> = way.hosts.iter().map(String::as_str).collect();
    let hosts = if hosts.is_empty() { "any host".to_owned() } else { hosts.join(", ") };
    format!("{named} for {hosts} through {through}, TLS {}, {why}", way.tls.word())
}
