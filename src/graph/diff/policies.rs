//! What became of each policy: added, removed, or changed in its rules, subjects or place.

use super::Version;
use crate::graph::build::{AllowedGraph, PolicyInfo};
use crate::model::Origin;
use crate::policy::Rule;
use hashbrown::HashMap;

/// A policy in one direction, in both versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyChange {
    /// Its number in the old version.
    pub old: Option<u32>,
    /// Its number in the new version.
    pub new: Option<u32>,
    /// Whether it selects others, or answers to another end of the tier.
    pub subjects: Same,
    /// Whether it stands elsewhere among the policies of its tier.
    pub place: Same,
    /// Rules of the new version alone.
    pub added: Vec<u32>,
    /// Rules of the old version alone.
    pub removed: Vec<u32>,
    /// Rules that stand at the same place and say something else: old, new.
    pub changed: Vec<(u32, u32)>,
    /// Rules that say the same: old, new.
    pub kept: Vec<(u32, u32)>,
}

/// Whether something is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// All policies of both versions, and where to find each.
pub(super) struct Policies {
    pub all: Vec<PolicyChange>,
    /// For each policy of the old and the new version: its position in `all`.
    pub of: [Vec<usize>; 2],
}

impl PolicyChange {
    /// Whether both versions say the same.
    pub fn is_same(&self) -> bool {
        let rules = self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty();
        rules
            && self.old.is_some()
            && self.new.is_some()
            && self.subjects == Same::Yes
            && self.place == Same::Yes
    }
}

impl Policies {
    pub fn of(old: &Version<'_>, new: &Version<'_>) -> Policies {
        let mut by_name: HashMap<Key<'_>, Vec<u32>> = HashMap::new();
        for (number, policy) in (0..).zip(&old.graph.policies) {
            by_name.entry(key(old.graph, policy)).or_default().push(number);
        }
        by_name.values_mut().for_each(|numbers| numbers.reverse());
        let mut policies = Policies {
            all: Vec::new(),
            of: [vec![0; old.graph.policies.len()], vec![0; new.graph.policies.len()]],
        };
        for (number, policy) in (0..).zip(&new.graph.policies) {
            let before = by_name.get_mut(&key(new.graph, policy)).and_then(Vec::pop);
            policies.push(compare(old.graph, new.graph, before, Some(number)));
        }
        let mut gone: Vec<u32> = by_name.into_values().flatten().collect();
        gone.sort_unstable();
        gone.into_iter().for_each(|number| policies.push(compare(old.graph, new.graph, Some(number), None)));
        policies
    }

    fn push(&mut self, change: PolicyChange) {
        for (version, number) in [change.old, change.new].into_iter().enumerate() {
            if let Some(number) = number {
                self.of[version][number as usize] = self.all.len();
            }
        }
        self.all.push(change);
    }
}

type Key<'a> = (&'a str, &'a str, &'a str, crate::policy::Direction, crate::policy::Layer, &'a str);

/// What makes a policy the same object in both versions.
fn key<'a>(graph: &'a AllowedGraph, policy: &'a PolicyInfo) -> Key<'a> {
    let Origin { kind, namespace, name, .. } = &policy.origin;
    let tier = &graph.tiers[policy.tier as usize];
    (kind, namespace, name, policy.direction, tier.layer, &tier.rank.name)
}

fn compare(old: &AllowedGraph, new: &AllowedGraph, before: Option<u32>, after: Option<u32>) -> PolicyChange {
    let mut change = PolicyChange {
        old: before,
        new: after,
        subjects: Same::Yes,
        place: Same::Yes,
        added: Vec::new(),
        removed: Vec::new(),
        changed: Vec::new(),
        kept: Vec::new(),
    };
    let (Some(a), Some(b)) = (before, after) else { return change };
    let (a, b) = (&old.policies[a as usize], &new.policies[b as usize]);
    let ends = |graph: &AllowedGraph, policy: &PolicyInfo| graph.tiers[policy.tier as usize].unmatched;
    if a.subjects != b.subjects || a.isolation != b.isolation || ends(old, a) != ends(new, b) {
        change.subjects = Same::No;
    }
    let rank = |graph: &AllowedGraph, policy: &PolicyInfo| graph.tiers[policy.tier as usize].rank.clone();
    if a.order != b.order || rank(old, a) != rank(new, b) {
        change.place = Same::No;
    }
    rules(old, new, a, b, &mut change);
    change
}

/// Equal rules are paired in their order; what is left at the same place was changed.
fn rules(old: &AllowedGraph, new: &AllowedGraph, a: &PolicyInfo, b: &PolicyInfo, change: &mut PolicyChange) {
    let mut left: Vec<u32> = a.rules.clone().collect();
    let mut fresh: Vec<u32> = Vec::new();
    for number in b.rules.clone() {
        let rule = &new.rules[number as usize].rule;
        match left.iter().position(|other| says_the_same(&old.rules[*other as usize].rule, rule)) {
            Some(index) => change.kept.push((left.remove(index), number)),
            None => fresh.push(number),
        }
    }
    for number in fresh {
        let place = &new.rules[number as usize].rule.origin.rule;
        match left.iter().position(|other| old.rules[*other as usize].rule.origin.rule == *place) {
            Some(index) => change.changed.push((left.remove(index), number)),
            None => change.added.push(number),
        }
    }
    change.removed = left;
    // Rules that say the same in another order are met in another order.
    if change.kept.windows(2).any(|pair| pair[0].0 > pair[1].0) {
        change.place = Same::No;
    }
}

fn says_the_same(a: &Rule, b: &Rule) -> bool {
    let Rule { action, own, peers, traffic, narrowed, origin: _ } = a;
    (action, own, peers, traffic, narrowed) == (&b.action, &b.own, &b.peers, &b.traffic, &b.narrowed)
}
