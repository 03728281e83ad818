//! `port-range-too-wide`: a rule with a range of ports that no service needs.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::policy_name;
use super::{Evidence, Finding, check};
use crate::graph::{Action, RuleInfo};
use crate::model::Protocol;

check! {
    PortRangeTooWide, "port-range-too-wide", Low, "A rule with a range of ports that no service needs.",
    ["CIS-K8s-5.3.2", "PCI-DSS-4.0-1.2.5"]
}

/// A range of more ports than this is wide; whole protocols are meant and not counted.
const WIDE: u32 = 1_000;

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    evidence.graph.rules.iter().filter_map(of_rule).collect()
}

fn of_rule(info: &RuleInfo) -> Option<Finding> {
    if info.rule.action != Action::Allow {
        return None;
    }
    let fixed = &info.rule.traffic.fixed;
    let wide = |protocol: &Protocol| {
        let ports = fixed.ports(*protocol);
        let range = ports.intervals().iter().find(|(first, last)| u32::from(last - first) + 1 > WIDE)?;
        (!ports.is_all()).then_some((*protocol, *range))
    };
    let (protocol, (first, last)) = Protocol::ALL.iter().find_map(wide)?;
    let origin = &info.rule.origin;
    let message = format!(
        "{} opens {} ports at once: {protocol} {first}-{last}.",
        origin.rule,
        u32::from(last - first) + 1
    );
    let fix = "Name the ports that are served; for protocols that choose ports freely, name the peers closely instead.";
    let mut finding = PortRangeTooWide.finding(policy_name(origin), message, vec![origin.clone()], fix);
    finding.detail = origin.rule.to_string();
    Some(finding)
}
