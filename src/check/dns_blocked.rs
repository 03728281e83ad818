//! `dns-blocked`: a workload whose egress rules forget DNS.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::alike;
use super::{Evidence, Finding, check};
use crate::graph::{ClassId, Decision, Direction};
use crate::model::Protocol;

check! {
    DnsBlocked, "dns-blocked", Medium, "A workload whose egress rules forget DNS.",
    ["NSA-CISA-network-policies"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let mut findings = Vec::new();
    for (id, class) in graph.classes().iter().enumerate() {
        let row = graph.row(id as ClassId, Direction::Egress);
        let decisions = || row.named.iter().map(|(_, d)| d.as_ref()).chain([row.rest.as_ref()]);
        let resolves =
            |d: &Decision| [Protocol::Udp, Protocol::Tcp].iter().any(|p| d.allowed.contains(*p, 53));
        let talks = decisions().any(|d| !d.allowed.is_empty());
        if !row.is_governed() || !talks || decisions().any(resolves) {
            continue;
        }
        let (subject, origin, others) = alike(evidence, &class.members);
        let mut because: Vec<_> =
            row.policies.iter().map(|p| graph.policies[*p as usize].origin.clone()).collect();
        because.push(origin);
        findings.push(DnsBlocked.finding(
            subject,
            format!("Its egress rules open no path to port 53{others}: names will not resolve."),
            because,
            "Add an egress rule to the pods with k8s-app: kube-dns in kube-system, UDP and TCP port 53.",
        ));
    }
    findings
}
