//! `unrestricted-ingress`: a rule that lets everyone in.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{names_everyone, opens_to_everyone, policy_name};
use super::{Evidence, Finding, check};
use crate::graph::{Direction, RuleInfo};

check! {
    UnrestrictedIngress, "unrestricted-ingress", Medium, "A rule that lets everyone in.",
    ["CIS-K8s-5.3.2", "PCI-DSS-4.0-1.3.1"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let loose = |info: &&RuleInfo| {
        let policy = &graph.policies[info.policy as usize];
        policy.direction == Direction::Ingress && !graph.is_of_mesh(policy) && opens_to_everyone(&info.rule)
    };
    let finding = |info: &RuleInfo| {
        let origin = &info.rule.origin;
        let (subject, because) = (policy_name(origin), vec![origin.clone()]);
        let finding = UnrestrictedIngress.finding(
            subject,
            names_everyone(&info.rule),
            because,
            "Name the clients under `from`.",
        );
        Finding { detail: origin.rule.to_string(), ..finding }
    };
    graph.rules.iter().filter(loose).map(finding).collect()
}
