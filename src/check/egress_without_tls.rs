//! `egress-without-tls`: calls that leave the cluster in the clear, or to a host whose certificate nobody
//! looks at.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::alike;
use super::{Evidence, Finding, check};
use crate::graph::{Outbound, Trust};
use crate::model::{ExpectedProtection, PortSet, Protocol, TrafficSet};
use std::collections::BTreeMap;

check! {
    EgressWithoutTls, "egress-without-tls", Medium,
    "Calls to a host outside of the cluster that leave in the clear, or believe every certificate.",
    ["NIST-800-204A", "PCI-DSS-4.0-4.2.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let mut found: BTreeMap<(String, u16, &str), (Outbound, usize)> = BTreeMap::new();
    for call in graph.outbound() {
        let what = match (call.protection, call.trust) {
            (ExpectedProtection::Plaintext, _) => "in the clear",
            (_, Trust::Blind) => "with TLS that believes every certificate",
            _ => continue,
        };
        let key = (call.to.hosts.join(", "), call.to.port, what);
        found.entry(key).or_insert((call, 0)).1 += 1;
    }
    let one = |((host, port, what), (call, count)): ((String, u16, &str), (Outbound, usize))| {
        let sending = &graph.transport().sends[call.sending as usize];
        let (client, at_client, _) = alike(evidence, &graph.classes()[call.from as usize].members);
        let more = if count > 1 { format!(" and {} more", count - 1) } else { String::new() };
        let mut finding = EgressWithoutTls.finding(
            format!("{client} -> {host}:{port}"),
            format!("{client}{more} may call {host} on port {port} {what}: {}.", sending.why),
            vec![sending.origin.clone().unwrap_or(at_client)],
            "Let the proxy open TLS (DestinationRule with mode SIMPLE and a CA certificate, port 443), or the application.",
        );
        finding.detail = format!("{port} {what}");
        finding.traffic = TrafficSet::of(Protocol::Tcp, PortSet::range(call.to.target, call.to.target));
        finding
    };
    found.into_iter().map(one).collect()
}
