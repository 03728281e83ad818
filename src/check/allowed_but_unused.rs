//! `allowed-but-unused`: a rule for a connection that was never seen.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::mesh_seen::tunnelled;
use super::shared::{destinations, known_tunnels, paths, policy_name, protocol_of, turned_paths};
use super::{Evidence, Finding, check};
use crate::graph::{Action, Direction, RuleInfo};
use crate::model::{Protocol, TrafficSet};
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
    let mut tunnels: Vec<(u32, u32, TrafficSet)> = Vec::new();
    for seen in evidence.observed.flows.iter().chain(known_tunnels(evidence)) {
        let Some(protocol) = protocol_of(&seen) else { continue };
        let inside = tunnelled(evidence, &seen);
        // Whoever opened it, one of both rules was used.
        let turned = turned_paths(evidence, &seen);
        used.extend(turned.into_iter().map(|(from, to, port)| (from, to, protocol, port)));
        for (from, to, port) in paths(evidence, &seen) {
            tunnels.extend(inside.clone().map(|traffic| (from, to, traffic)));
            used.insert((from, to, protocol, port));
            present.extend([from, to]);
        }
    }
    // Both ends of a rule must have been seen for anything to be said of it.
    if present.is_empty() {
        return Vec::new();
    }
    evidence
        .graph
        .rules
        .iter()
        .filter_map(|info| of_rule(evidence, info, &used, &present, &tunnels))
        .collect()
}

fn of_rule(
    evidence: &Evidence<'_>,
    info: &RuleInfo,
    used: &Used,
    present: &BTreeSet<u32>,
    tunnels: &[(u32, u32, TrafficSet)],
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
    // A tunnel between two ends may have carried what the rule is for.
    let may_fit = |(a, b, traffic): &(u32, u32, TrafficSet)| {
        let fixed = &info.rule.traffic.fixed;
        from.contains(a)
            && to.contains(b)
            && (!info.rule.traffic.named.is_empty() || !fixed.intersection(traffic).is_empty())
    };
    if tunnels.iter().any(may_fit) {
        return None;
    }
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
