//! `contradicting-priority`: two policies of one place in their tier that decide differently.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::policy_name;
use super::{Evidence, Finding, check};
use crate::graph::{Action, AllowedGraph, Direction, PeerId, PolicyInfo, RuleInfo};
use crate::model::TrafficSet;
use std::collections::BTreeMap;

check! {
    ContradictingPriority, "contradicting-priority", Medium,
    "Two policies of equal priority overlap and decide differently.",
    ["NIST-800-190-4.3.3"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let mut places: BTreeMap<_, Vec<&PolicyInfo>> = BTreeMap::new();
    for policy in &graph.policies {
        places.entry((policy.tier, policy.order.order)).or_default().push(policy);
    }
    let mut findings = Vec::new();
    for policies in places.values() {
        // Policies that only allow, as NetworkPolicies do, never contradict each other.
        let mixed: Vec<bool> = policies.iter().map(|policy| decides_otherwise(graph, policy)).collect();
        let places: Vec<usize> = (0..policies.len()).filter(|place| mixed[*place]).collect();
        for (i, first) in policies.iter().enumerate().take(places.last().map_or(0, |last| last + 1)) {
            let behind: Vec<usize> = match mixed[i] {
                true => (i + 1..policies.len()).collect(),
                false => places[places.partition_point(|place| *place <= i)..].to_vec(),
            };
            let others = behind.into_iter().map(|j| policies[j]);
            findings.extend(others.filter_map(|second| contradiction(graph, first, second)));
        }
    }
    findings
}

fn decides_otherwise(graph: &AllowedGraph, policy: &PolicyInfo) -> bool {
    rules(graph, policy).iter().any(|info| info.rule.action != Action::Allow)
}

fn rules<'a>(graph: &'a AllowedGraph, policy: &PolicyInfo) -> &'a [RuleInfo] {
    &graph.rules[policy.rules.start as usize..policy.rules.end as usize]
}

/// The first pair of rules that say different things of the same traffic.
fn contradiction(graph: &AllowedGraph, first: &PolicyInfo, second: &PolicyInfo) -> Option<Finding> {
    let subjects = common(&first.selected, &second.selected);
    if subjects.is_empty() || first.origin == second.origin {
        return None;
    }
    let pairs = rules(graph, first).iter().flat_map(|a| rules(graph, second).iter().map(move |b| (a, b)));
    let (a, b) = pairs
        .filter(|(a, b)| a.rule.action != b.rule.action)
        .find(|(a, b)| overlap(graph, first.direction, &subjects, a, b))?;
    let order = match first.order.order.0 {
        number if number.is_finite() => format!("order {number}"),
        _ => "no order".to_owned(),
    };
    let mut finding = ContradictingPriority.finding(
        policy_name(&first.origin),
        format!(
            "It and {} have both {order} in the tier {}, and {} ({}) and {} ({}) match the same traffic of the \
             same endpoints: which of them decides is not defined.",
            policy_name(&second.origin),
            graph.tiers[first.tier as usize].rank.name,
            a.rule.origin.rule,
            word(a.rule.action),
            b.rule.origin.rule,
            word(b.rule.action),
        ),
        vec![a.rule.origin.clone(), b.rule.origin.clone()],
        "Give the two policies different priorities, or make their rules disjoint.",
    );
    finding.detail = format!("{} {}", policy_name(&second.origin), first.direction.word());
    Some(finding)
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Allow => "allow",
        Action::Deny => "deny",
        Action::Pass => "pass",
    }
}

/// What is in both sorted lists.
fn common(a: &[PeerId], b: &[PeerId]) -> Vec<PeerId> {
    a.iter().copied().filter(|peer| b.binary_search(peer).is_ok()).collect()
}

fn overlap(
    graph: &AllowedGraph,
    direction: Direction,
    subjects: &[PeerId],
    a: &RuleInfo,
    b: &RuleInfo,
) -> bool {
    let within = |list: Vec<PeerId>, rule: &RuleInfo| match &rule.own {
        Some(own) => common(&list, own),
        None => list,
    };
    let subjects = within(within(subjects.to_vec(), a), b);
    let peers = match (&a.matches, &b.matches) {
        (Some(a), Some(b)) => common(a, b),
        (Some(some), None) | (None, Some(some)) => some.clone(),
        (None, None) => (0..graph.peer_count()).collect(),
    };
    let destinations = match direction {
        Direction::Ingress => &subjects,
        Direction::Egress => &peers,
    };
    let meet = |to: &PeerId| !traffic(graph, a, *to).intersection(&traffic(graph, b, *to)).is_empty();
    !subjects.is_empty() && !peers.is_empty() && destinations.iter().any(meet)
}

/// The traffic of a rule at a destination, names resolved.
fn traffic(graph: &AllowedGraph, info: &RuleInfo, to: PeerId) -> TrafficSet {
    let named = |names: &[_]| {
        let own = graph.ports_of(to).iter().filter(|(name, _, _)| names.contains(name));
        own.fold(TrafficSet::none(), |set, (_, protocol, port)| {
            set.union(&TrafficSet::port(*protocol, *port))
        })
    };
    let matched = &info.rule.traffic;
    matched.fixed.union(&named(&matched.named)).difference(&named(&matched.except))
}
