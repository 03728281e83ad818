//! `shadowed-rule`: a rule that never decides.
//!
//! Its page, which is run as a test, says why it matters and what to do.

use super::closed_world::surely_holds;
use super::shared::policy_name;
use super::{Evidence, Finding, check};
use crate::graph::{Action, AllowedGraph, PeerId, PolicyInfo, RuleInfo};
use crate::model::Origin;
use std::collections::BTreeMap;

check! {
    ShadowedRule, "shadowed-rule", Low, "A rule that never decides, because another one matches all of its traffic.",
    ["PCI-DSS-4.0-1.2.7", "NIST-800-190-4.3.3"]
}

/// Rules of earlier policies of a tier that are compared with those behind them.
const EARLIER: usize = 128;

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    let graph = evidence.graph;
    // What is written as one rule may be several to the graph: it decides where one of them does.
    let mut written: BTreeMap<&Origin, Vec<Option<(u32, u32)>>> = BTreeMap::new();
    for (number, policy) in graph.policies.iter().enumerate() {
        let rules: Vec<u32> = policy.rules.clone().collect();
        let before = deciding_before(graph, number, policy);
        for rule in &rules {
            let info = &graph.rules[*rule as usize];
            let own = rules.iter().map(|other| (*other, *other < *rule));
            let mut others = own.chain(before.iter().map(|other| (*other, true)));
            let covering = others.find(|(other, earlier)| {
                let cover = &graph.rules[*other as usize];
                cover.rule.origin != info.rule.origin
                    && covers(cover, info)
                    && surely_holds(evidence, &cover.rule, &info.rule)
                    && (*earlier || (both_allow(cover, info) && !covers(info, cover)))
            });
            let covering = covering.map(|(cover, _)| (*rule, cover));
            written.entry(&info.rule.origin).or_default().push(covering);
        }
    }
    let idle = written.into_values().filter_map(|parts| parts.into_iter().collect::<Option<Vec<_>>>());
    let rule = |number: u32| &graph.rules[number as usize];
    idle.map(|parts| finding(rule(parts[0].0), rule(parts[0].1))).collect()
}

/// Denying and passing rules of earlier policies of the tier for at least the same subjects.
fn deciding_before(graph: &AllowedGraph, number: usize, policy: &PolicyInfo) -> Vec<u32> {
    // Who selects at least the same selects the first of them; tiers of meshes are in no row.
    let row = policy.selected.first().map_or(&[][..], |first| &graph.row(*first, policy.direction).policies);
    let earlier: Vec<usize> = match row.binary_search(&(number as u32)) {
        Ok(place) => row[..place].iter().map(|other| *other as usize).collect(),
        Err(_) => (0..number).collect(),
    };
    let others = earlier.into_iter().rev().map(|other| &graph.policies[other]);
    let same_tier = others.take_while(|other| other.tier == policy.tier);
    let wider =
        same_tier.filter(|other| other.order < policy.order && holds(&other.selected, &policy.selected));
    let decides = |rule: &u32| graph.rules[*rule as usize].rule.action != Action::Allow;
    wider.take(EARLIER).flat_map(|other| other.rules.clone()).filter(decides).take(EARLIER).collect()
}

fn both_allow(a: &RuleInfo, b: &RuleInfo) -> bool {
    a.rule.action == Action::Allow && b.rule.action == Action::Allow
}

/// Whether everything that `rule` matches is matched by `cover` for certain.
fn covers(cover: &RuleInfo, rule: &RuleInfo) -> bool {
    let (wide, narrow) = (&cover.rule.traffic, &rule.rule.traffic);
    let names = narrow.named.iter().all(|name| wide.named.contains(name) || wide.fixed.is_all());
    let peers = |outer: &Option<Vec<PeerId>>, inner: &Option<Vec<PeerId>>| match (outer, inner) {
        (None, _) => true,
        (Some(_), None) => false,
        // A rule that matches nobody is `dead-selector`, not this.
        (Some(outer), Some(inner)) => !inner.is_empty() && holds(outer, inner),
    };
    cover.rule.narrowed.is_none()
        && wide.except.is_empty()
        && narrow.fixed.difference(&wide.fixed).is_empty()
        && names
        && peers(&cover.matches, &rule.matches)
        && peers(&cover.own, &rule.own)
        && rule.matches.as_ref().is_none_or(|matches| !matches.is_empty())
}

fn holds(outer: &[u32], inner: &[u32]) -> bool {
    outer.len() >= inner.len() && inner.iter().all(|item| outer.binary_search(item).is_ok())
}

fn finding(info: &RuleInfo, cover: &RuleInfo) -> Finding {
    let (origin, by) = (&info.rule.origin, &cover.rule.origin);
    let other = match (&origin.namespace, &origin.name) == (&by.namespace, &by.name) {
        true => by.rule.to_string(),
        false => format!("{} of {}", by.rule, policy_name(by)),
    };
    let message = format!("{} never decides: {other} matches all of its traffic.", origin.rule);
    let fix = "Remove it, or move or narrow the other one if both were meant to count.";
    let because = vec![origin.clone(), by.clone()];
    let mut finding = ShadowedRule.finding(policy_name(origin), message, because, fix);
    finding.detail = origin.rule.to_string();
    finding
}
