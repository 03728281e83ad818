//! `redundant-policy`: a policy without which nothing would change.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::closed_world::{may_matter_unseen, surely_holds};
use super::shared::policy_name;
use super::{Evidence, Finding, check};
use crate::graph::Action;
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
        entry.0 &= needless.contains(&number) && is_covered(evidence, number);
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

/// Whether each rule of a policy that may matter for pods that were not read stands in another policy
/// of all its subjects too, so that nothing is lost with it for them.
fn is_covered(evidence: &Evidence<'_>, number: u32) -> bool {
    let graph = evidence.graph;
    let policy = &graph.policies[number as usize];
    let first =
        policy.selected.first().map_or(&[][..], |class| &graph.row(*class, policy.direction).policies);
    let is_wider = |other: &&u32| {
        let selected = &graph.policies[**other as usize].selected;
        **other != number && policy.selected.iter().all(|class| selected.binary_search(class).is_ok())
    };
    let wider: Vec<u32> = first.iter().filter(is_wider).copied().collect();
    let is_said = |rule: u32| {
        let inner = &graph.rules[rule as usize];
        let mut others = wider.iter().flat_map(|other| graph.policies[*other as usize].rules.clone());
        !may_matter_unseen(evidence, inner)
            || others.any(|other| {
                let outer = &graph.rules[other as usize].rule;
                let (wide, narrow) = (&outer.traffic, &inner.rule.traffic);
                outer.action == Action::Allow
                    && surely_holds(evidence, outer, &inner.rule)
                    && narrow.fixed.difference(&wide.fixed).is_empty()
                    && narrow.named.iter().all(|name| wide.named.contains(name) || wide.fixed.is_all())
            })
    };
    policy.rules.clone().all(is_said)
}
