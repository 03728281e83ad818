//! `unresolved-named-port`: a port name that no destination has.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{destinations, policy_name};
use super::{Evidence, Finding, check};
use crate::graph::PortName;

check! {
    UnresolvedNamedPort, "unresolved-named-port", Medium, "A port name that no destination has.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for info in &evidence.graph.rules {
        let targets = destinations(evidence.graph, info);
        for wanted in &info.rule.traffic.named {
            let PortName::Container(protocol, name) = wanted else { continue };
            let has = |peer: &u32| evidence.graph.ports_of(*peer).iter().any(|(known, _, _)| known == wanted);
            let protocol = protocol.map_or("", |protocol| protocol.name());
            if targets.is_empty() || targets.iter().any(has) {
                continue;
            }
            let origin = &info.rule.origin;
            let rule = if origin.rule.is_empty() { "it" } else { &*origin.rule };
            let mut finding = UnresolvedNamedPort.finding(
                policy_name(origin),
                format!(
                    "No pod that {rule} leads to has a {protocol} port named {name:?}: it matches nothing."
                ),
                vec![origin.clone()],
                "Name the container port so, with this protocol, or write its number.",
            );
            finding.detail = format!("{} {protocol} {name}", origin.rule);
            findings.push(finding);
        }
    }
    findings
}
