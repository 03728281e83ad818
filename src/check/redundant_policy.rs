//! `redundant-policy`: a policy without which nothing would change.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::shared::policy_name;
use super::{Evidence, Finding, check};
use std::collections::{BTreeMap, BTreeSet};

check! {
    RedundantPolicy, "redundant-policy", Low, "A policy without which nothing would change.",
    ["PCI-DSS-4.0-1.2.7"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    let needless: BTreeSet<u32> = graph.needless_policies().into_iter().collect();
    if needless.is_empty() {
        return Vec::new();
    }
    // An object counts for several directions: all of them must be needless.
    let mut objects: BTreeMap<_, (bool, u32)> = BTreeMap::new();
    for (number, policy) in (0..).zip(&graph.policies) {
        let key = (&policy.origin.kind, &policy.origin.namespace, &policy.origin.name);
        let entry = objects.entry(key).or_insert((true, number));
        entry.0 &= needless.contains(&number);
    }
    let finding = |number: u32| {
        let policy = &graph.policies[number as usize];
        let selected = policy.selected.first().map(|class| graph.row(*class, policy.direction));
        let others = selected.map_or(&[][..], |row| &row.policies).iter().filter(|other| **other != number);
        let mut because = vec![policy.origin.clone()];
        because.extend(others.take(3).map(|other| graph.policies[*other as usize].origin.clone()));
        let message = "Everything that it decides is decided the same by the other policies of its subjects.";
        RedundantPolicy.finding(
            policy_name(&policy.origin),
            message.to_owned(),
            because,
            "Remove it, or find out what it was meant to do.",
        )
    };
    objects.into_values().filter(|(all, _)| *all).map(|(_, number)| finding(number)).collect()
}
