//! `unrestricted-egress`: a rule that lets its pods talk to everyone.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{names_everyone, only_dns, opens_to_everyone, policy_name};
use super::{Evidence, Finding, check};
use crate::graph::{Direction, RuleInfo};

check! {
    UnrestrictedEgress, "unrestricted-egress", Medium, "A rule that lets its pods talk to everyone.",
    ["NSA-CISA-network-policies", "PCI-DSS-4.0-1.3.2"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let loose = |info: &&RuleInfo| {
        graph.policies[info.policy as usize].direction == Direction::Egress
            && opens_to_everyone(&info.rule)
            && !only_dns(&info.rule)
    };
    let finding = |info: &RuleInfo| {
        let origin = &info.rule.origin;
        let (subject, because) = (policy_name(origin), vec![origin.clone()]);
        let finding = UnrestrictedEgress.finding(
            subject,
            names_everyone(&info.rule),
            because,
            "Name the workloads and ranges that are needed under `to`.",
        );
        Finding { detail: origin.rule.to_string(), ..finding }
    };
    graph.rules.iter().filter(loose).map(finding).collect()
}
