//! `unresolved-named-port`: a port name that no destination has.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{destinations, policy_name};
use super::{Evidence, Finding, check};

check! {
    UnresolvedNamedPort, "unresolved-named-port", Medium, "A port name that no destination has.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for info in &evidence.graph.rules {
        let targets = destinations(evidence.graph, info);
        for (protocol, name) in &info.rule.traffic.named {
            let has = |class: &u32| {
                let class = evidence.graph.class(*class);
                class.is_some_and(|c| c.named_ports.iter().any(|(p, n, _)| p == protocol && n == name))
            };
            if targets.is_empty() || targets.iter().any(has) {
                continue;
            }
            let origin = &info.rule.origin;
            let mut finding = UnresolvedNamedPort.finding(
                policy_name(origin),
                format!(
                    "No pod that {} leads to has a {protocol} port named {name:?}: it allows nothing.",
                    origin.rule
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
