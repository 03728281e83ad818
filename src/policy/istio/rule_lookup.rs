//! Which DestinationRules count for a client and a host (`setDestinationRules` and `destinationRule` of
//! `push_context.go`, `mergeDestinationRule` of `destination_rule.go`).
//!
//! Each namespace has two lists by host: what its own clients see, and what it exports; the root
//! namespace has a third, of what it keeps to itself. A search ends at the first list that has a rule
//! whose host fits, whether or not the rule is for the client.

use super::destination_rule::{Author, DestinationRule};
use std::collections::BTreeMap;

/// Rules by their host; in each the first comes first.
type ByHost = BTreeMap<String, Vec<DestinationRule>>;

/// All lists.
#[derive(Debug, Default)]
pub struct Lookup {
    /// What clients of a namespace see of it.
    own: BTreeMap<String, ByHost>,
    /// What a namespace exports.
    exported: BTreeMap<String, ByHost>,
    /// What the root namespace keeps to itself.
    private_of_root: ByHost,
}

/// What counts for clients of a namespace.
#[derive(Debug, Default)]
pub struct Found<'a> {
    /// Rules for some of them, by their labels; the first that selects a client counts for it.
    pub selective: Vec<&'a DestinationRule>,
    /// The rule for all others.
    pub general: Option<&'a DestinationRule>,
}

impl Lookup {
    /// Takes rules in: those that select clients come before the others, of each the oldest first.
    pub fn take(&mut self, rules: Vec<DestinationRule>, root: &str) {
        for rule in rules {
            let namespace = rule.origin.namespace.to_string();
            if rule.is_seen_at_home() {
                merge(self.own.entry(namespace.clone()).or_default(), &rule);
            }
            if !rule.is_private() {
                merge(self.exported.entry(namespace).or_default(), &rule);
            } else if namespace == root {
                merge(&mut self.private_of_root, &rule);
            }
        }
    }

    /// What counts for clients of a namespace (`None`: any that is not named anywhere).
    pub fn find<'a>(&'a self, client: Option<&str>, service: &str, host: &str, root: &str) -> Found<'a> {
        let own = client.and_then(|client| match client == root {
            true => best(Some(&self.private_of_root), host),
            false => best(self.own.get(client), host),
        });
        if let Some(list) = own {
            return Found::of(list.iter(), client);
        }
        for namespace in [service, root] {
            let list = best(self.exported.get(namespace), host).unwrap_or_default();
            let visible: Vec<_> = list.iter().filter(|rule| rule.is_visible_to(client)).collect();
            if !visible.is_empty() {
                return Found::of(visible.into_iter(), client);
            }
        }
        Found::default()
    }
}

impl<'a> Found<'a> {
    /// `SidecarScope.DestinationRule`: of rules for everybody the last one counts. Where nobody knows
    /// which is older, the one that protects less is taken.
    fn of(list: impl Iterator<Item = &'a DestinationRule>, client: Option<&str>) -> Self {
        let (selective, general): (Vec<_>, Vec<_>) = list.partition(|rule| rule.clients.is_some());
        let dated = general.iter().all(|rule| rule.is_dated());
        let general = match dated {
            true => general.into_iter().last(),
            false => general.into_iter().min_by_key(|rule| rule.weakest()),
        };
        let is_own = |rule: &&DestinationRule| Some(&*rule.origin.namespace) == client;
        Found { selective: selective.into_iter().filter(is_own).collect(), general }
    }
}

/// The rules of the host that fits best (`MostSpecificHostMatch`).
fn best<'a>(by_host: Option<&'a ByHost>, host: &str) -> Option<&'a [DestinationRule]> {
    let fitting = by_host?.iter().filter_map(|(own, list)| Some((fits(own, host)?, list)));
    fitting.max_by_key(|(fits, _)| *fits).map(|(_, list)| &**list)
}

/// How well a host with or without a wildcard fits: the longer the better, exact names best.
fn fits(own: &str, name: &str) -> Option<usize> {
    match own.strip_prefix('*') {
        _ if own == name => Some(usize::MAX),
        Some(suffix) if name.ends_with(suffix) => Some(suffix.len()),
        _ => None,
    }
}

/// Adds a rule to those of its host: with the same `exportTo`, or one that has all of it, and the same
/// clients it becomes a part of them, and otherwise it stands beside them.
fn merge(by_host: &mut ByHost, rule: &DestinationRule) {
    let list = by_host.entry(rule.host.clone()).or_default();
    let mut apart = true;
    for known in list.iter_mut() {
        if rule.exported_to == known.exported_to {
            apart = false;
        } else {
            apart = true;
            if known.exported_to.is_empty() || !rule.exported_to.is_superset(&known.exported_to) {
                continue;
            }
        }
        match (&rule.clients, &known.clients) {
            (Some(one), Some(other)) if one != other => {
                apart = true;
                continue;
            }
            (Some(_), Some(_)) | (None, None) => apart = false,
            (Some(_), None) | (None, Some(_)) => {}
        }
        absorb(known, rule);
    }
    if apart {
        list.push(rule.clone());
    }
}

/// Subsets are united, and the first policy at the top counts alone; what istiod made of a policy of
/// the Gateway API fills what users left open.
fn absorb(known: &mut DestinationRule, rule: &DestinationRule) {
    match (&mut known.policy, &rule.policy) {
        (None, Some(policy)) => {
            known.policy = Some(policy.clone());
            known.origin = rule.origin.clone();
        }
        (Some(own), Some(policy)) if rule.author == Author::Policy => {
            own.top.tls = own.top.tls.or(policy.top.tls);
            for (port, settings) in &policy.ports {
                let entry = own.ports.entry(*port).or_insert(*settings);
                entry.tls = entry.tls.or(settings.tls);
            }
        }
        _ => {}
    }
    for (name, subset) in &rule.subsets {
        known.subsets.entry(name.clone()).or_insert_with(|| subset.clone());
    }
}
