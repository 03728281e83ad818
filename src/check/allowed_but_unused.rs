//! `allowed-but-unused`: a rule for a connection that was never seen.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::{destinations, paths, policy_name, protocol_of};
use super::{Evidence, Finding, check};
use crate::graph::{Action, Direction, RuleInfo};
use crate::model::Protocol;
use std::collections::BTreeSet;

check! {
    AllowedButUnused, "allowed-but-unused", Low, "A rule for a connection that was never seen.",
    ["CIS-K8s-5.3.2", "PCI-DSS-4.0-1.2.7"]
}

/// A flow that was seen, by classes.
type Used = BTreeSet<(u32, u32, Protocol, u16)>;

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut used = Used::new();
    let mut present: BTreeSet<u32> = BTreeSet::new();
    for seen in &evidence.observed.flows {
        let Some(protocol) = protocol_of(seen) else { continue };
        for (from, to, port) in paths(evidence, seen) {
            used.insert((from, to, protocol, port));
            present.extend([from, to]);
        }
    }
    evidence.graph.rules.iter().filter_map(|info| of_rule(evidence, info, &used, &present)).collect()
}

fn of_rule(
    evidence: &Evidence<'_>,
    info: &RuleInfo,
    used: &Used,
    present: &BTreeSet<u32>,
) -> Option<Finding> {
    let graph = evidence.graph;
    if info.rule.action != Action::Allow {
        return None;
    }
    let policy = &graph.policies[info.policy as usize];
    let peers: BTreeSet<u32> =
        info.matches.as_ref()?.iter().copied().filter(|p| graph.class(*p).is_some()).collect();
    let subjects: BTreeSet<u32> = policy.selected.iter().copied().collect();
    let (from, to) = match policy.direction {
        Direction::Ingress => (peers, subjects),
        Direction::Egress => (subjects, peers),
    };
    let covered = |side: &BTreeSet<u32>| side.iter().any(|class| present.contains(class));
    let targets = destinations(graph, info);
    let fits = |(a, b, protocol, port): &(u32, u32, Protocol, u16)| {
        let named = |class: u32| {
            let ports = graph.class(class).map_or(&[][..], |c| &c.named_ports);
            info.rule.traffic.named.iter().any(|name| ports.contains(&(name.clone(), *protocol, *port)))
        };
        from.contains(a)
            && to.contains(b)
            && (info.rule.traffic.fixed.contains(*protocol, *port) || (targets.contains(b) && named(*b)))
    };
    if !covered(&from) || !covered(&to) || used.iter().any(fits) {
        return None;
    }
    let origin = &info.rule.origin;
    let mut finding = AllowedButUnused.finding(
        policy_name(origin),
        format!("Both ends of {} are in the captures, and no flow used it.", origin.rule),
        vec![origin.clone()],
        "Ask the owner; if nobody needs it, remove the rule. A capture is a short look.",
    );
    finding.detail = format!("{} {}", policy.direction.word(), origin.rule);
    Some(finding)
}
