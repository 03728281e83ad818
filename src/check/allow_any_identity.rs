//! `allow-any-identity`: a rule of mesh authorization that any identity satisfies, or everybody.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_rules::{Anybody, allowing, anybody};
use super::shared::policy_name;
use super::{Evidence, Finding, check};

check! {
    AllowAnyIdentity, "allow-any-identity", Medium, "A rule of mesh authorization that any identity satisfies.",
    ["NIST-800-204B", "NIST-800-207"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = allowing(evidence)
        // What is asked of requests (a method, a token) narrows it in another way.
        .filter(|(info, _)| info.rule.narrowed.is_none())
        // A port by a name that nobody has is another finding.
        .filter(|(info, _)| !info.rule.traffic.fixed.is_empty() || !info.rule.traffic.named.is_empty())
        .filter_map(|(info, policy)| {
            let origin = &info.rule.origin;
            let (whom, detail) = match anybody(&info.rule.peers)? {
                Anybody::Everyone => ("everybody, with or without an identity", origin.rule.to_string()),
                Anybody::AnyIdentity => {
                    ("whoever has any identity of the mesh", format!("{} with any identity", origin.rule))
                }
            };
            let traffic = &info.rule.traffic.fixed;
            let what = if traffic.tcp.is_all() { String::new() } else { format!(" for {traffic}") };
            let rule = if origin.rule.is_empty() { "It" } else { &*origin.rule };
            let message = format!("{rule} lets in {whom}{what}.");
            let mut finding = AllowAnyIdentity.finding(
                policy_name(&policy.origin),
                message,
                vec![origin.clone()],
                "Name the service accounts of the clients that need it.",
            );
            finding.detail = detail;
            finding.traffic = traffic.clone();
            Some(finding)
        })
        .collect();
    findings.sort();
    findings.dedup();
    findings
}
