//! Profiles: the rules that endpoints meet when no policy has decided.
//!
//! Pods have the profile of their namespace, which allows everything; that is no rule of anybody,
//! so nothing is lowered for it. Endpoints whose profiles do not end so are denied the rest.

use super::super::{
    Action, Direction, Isolation, Namespaces, Order, Peers, Policy, PolicyOrder, Population, Rule, Selection,
};
use super::entity::Owner;
use super::known::KnownAddresses;
use super::place::Place;
use super::policies::Placed;
use super::rule::rules;
use super::tiers::Tiers;
use super::wire::{self, EndpointSpec, ProfileSpec};
use crate::model::{Document, Origin, Problem, Requirement, Selector, fact};
use std::collections::{BTreeMap, BTreeSet};

/// Profiles that exist without an object and allow everything: those of namespaces, and the one
/// of host endpoints that were made automatically.
const ALLOWS_BY_NAME: &[&str] = &["kns.", "projectcalico-default-allow"];

/// The rules of a profile, by direction as in [`Direction::BOTH`].
type ProfileRules = [Vec<Rule>; 2];

/// Lowers what the profiles of endpoints decide.
pub fn lower(documents: &[&Document], known: &KnownAddresses) -> (Vec<Placed>, Vec<Problem>) {
    let (mut profiles, mut problems) = (BTreeMap::new(), Vec::new());
    for document in documents.iter().filter(|document| &*document.origin.kind == "Profile") {
        match profile(document, known) {
            Ok(rules) => drop(profiles.insert(&*document.origin.name, rules)),
            Err(problem) => problems.push(problem),
        }
    }
    let lists = lists(documents);
    let mut placed = Vec::new();
    for ((population, names), (order, origin)) in &lists {
        for (index, direction) in Direction::BOTH.into_iter().enumerate() {
            let decided = decided(order, &profiles, index);
            placed.extend(decided.map(|(rules, isolation)| Placed {
                rank: Tiers::profiles(),
                unmatched: Action::Deny,
                direction,
                policy: Policy {
                    subjects: vec![selection(*population, names, &lists)],
                    isolation,
                    order: PolicyOrder::new(Order::LAST, origin.name.to_string()),
                    rules,
                    origin: origin.clone(),
                },
            }));
        }
    }
    (placed, problems)
}

fn profile(document: &Document, known: &KnownAddresses) -> Result<ProfileRules, Problem> {
    let ProfileSpec { ingress, egress, labels_to_apply: _ } = wire::spec(document)?;
    let (owner, place) = (Owner { namespace: None, known }, Place::spec(document));
    let read = |direction, list: Option<Vec<_>>| rules(&owner, &place, direction, &list.unwrap_or_default());
    Ok([read(Direction::Ingress, ingress)?, read(Direction::Egress, egress)?])
}

/// Endpoints with one set of profiles: the names, in the order of the first that lists them, and that endpoint.
type Lists = BTreeMap<(Population, BTreeSet<String>), (Vec<String>, Origin)>;

fn lists(documents: &[&Document]) -> Lists {
    let mut lists = Lists::new();
    for document in documents {
        let population = match &*document.origin.kind {
            "HostEndpoint" => Population::HostEndpoints,
            "WorkloadEndpoint" => Population::Pods,
            _ => continue,
        };
        let spec: EndpointSpec = wire::spec(document).unwrap_or_default();
        // The endpoint of a pod has the profile of its namespace, also where nobody wrote it down.
        if population == Population::Pods
            && spec.profiles.is_none()
            && spec.orchestrator.as_deref() == Some("k8s")
        {
            continue;
        }
        let mut order = spec.profiles.unwrap_or_default();
        if order.is_empty() && population == Population::Pods {
            // As the inventory has it: tells such an endpoint from a pod, which lists none either.
            order.push(String::new());
        }
        let key = (population, order.iter().cloned().collect());
        lists.entry(key).or_insert_with(|| (order, document.origin.clone()));
    }
    lists
}

/// What the profiles of a list decide before everything is allowed; `None` where that is nothing.
fn decided(
    order: &[String],
    profiles: &BTreeMap<&str, ProfileRules>,
    direction: usize,
) -> Option<(Vec<Rule>, Isolation)> {
    let mut before = Vec::new();
    for name in order {
        let rules = match profiles.get(name.as_str()) {
            Some(rules) => &rules[direction],
            None if ALLOWS_BY_NAME.iter().any(|known| name.starts_with(known)) => {
                return (!before.is_empty()).then_some((before, Isolation::Leaves));
            }
            None => continue,
        };
        for rule in rules {
            if allows_everything(rule) {
                return (!before.is_empty()).then_some((before, Isolation::Leaves));
            }
            // A Pass in a profile goes on to the next profile, as if it had not matched.
            if rule.action != Action::Pass {
                before.push(rule.clone());
            }
        }
    }
    Some((before, Isolation::Isolates))
}

fn allows_everything(rule: &Rule) -> bool {
    let Rule { action, own, peers, traffic, narrowed, origin: _ } = rule;
    let everyone = *own == Peers::Everyone && *peers == Peers::Everyone;
    let all = traffic.fixed.is_all() && !traffic.has_names();
    *action == Action::Allow && everyone && all && narrowed.is_none()
}

/// Endpoints that list these profiles and no others.
fn selection(population: Population, names: &BTreeSet<String>, lists: &Lists) -> Selection {
    let listed = |name: &String| format!("{}{name}", fact::PROFILE);
    let larger = lists.keys().filter(|(other, set)| *other == population && set.is_superset(names));
    let others: BTreeSet<&String> = larger.flat_map(|(_, set)| set.difference(names)).collect();
    let mut requirements: Vec<Requirement> =
        names.iter().map(|name| Requirement::Exists(listed(name))).collect();
    requirements.extend(others.into_iter().map(|name| Requirement::DoesNotExist(listed(name))));
    Selection { population, namespaces: Namespaces::any(), endpoints: Selector { requirements } }
}
