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
use crate::model::{Bend, Document, Gap, Origin, Problem, Requirement, Selector, fact};
use std::collections::{BTreeMap, BTreeSet};

/// Profiles that exist without an object and allow everything: those of namespaces, and the one
/// of host endpoints that were made automatically.
const ALLOWS_BY_NAME: &[&str] = &["kns.", "projectcalico-default-allow"];

/// What begins the names of the profiles of service accounts, which have no rules.
const OF_ACCOUNTS: &str = "ksa.";

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
    for ((population, names), origin) in &lists {
        for (index, direction) in Direction::BOTH.into_iter().enumerate() {
            let decided = decided(names, &profiles, index);
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

/// Profiles that endpoints list and that are not there: Felix takes what reaches them for denied
/// (`ActiveRulesCalculator`), which is not counted, for they may only not have been read.
pub fn unknown(documents: &[&Document]) -> Vec<Gap> {
    let of_kind = documents.iter().filter(|document| &*document.origin.kind == "Profile");
    let known: BTreeSet<&str> = of_kind.map(|document| &*document.origin.name).collect();
    let given = |name: &str| {
        name.is_empty()
            || known.contains(name)
            || name.starts_with(OF_ACCOUNTS)
            || ALLOWS_BY_NAME.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut gaps = Vec::new();
    for ((_, names), origin) in lists(documents) {
        let missing: Vec<&str> = names.iter().map(String::as_str).filter(|name| !given(name)).collect();
        if !missing.is_empty() {
            let what = format!(
                "lists profiles that were not found ({}): they decide nothing here, where Calico denies what \
                 reaches a profile that is not there",
                missing.join(", ")
            );
            gaps.push(Gap { what, origin, bends: Bend::MayAllowLess });
        }
    }
    gaps
}

fn profile(document: &Document, known: &KnownAddresses) -> Result<ProfileRules, Problem> {
    let ProfileSpec { ingress, egress, labels_to_apply: _ } = wire::spec(document)?;
    let (owner, place) = (Owner { namespace: None, known }, Place::spec(document));
    let read = |direction, list: Option<Vec<_>>| rules(&owner, &place, direction, &list.unwrap_or_default());
    Ok([read(Direction::Ingress, ingress)?, read(Direction::Egress, egress)?])
}

/// Endpoints with the same profiles in the same order, each once, and the first of them.
type Lists = BTreeMap<(Population, Vec<String>), Origin>;

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
        lists.entry((population, order)).or_insert_with(|| document.origin.clone());
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

/// Endpoints that list these profiles in this order and no others.
fn selection(population: Population, names: &[String], lists: &Lists) -> Selection {
    let listed = |name: &String| format!("{}{name}", fact::PROFILE);
    let larger = lists
        .keys()
        .filter(|(other, list)| *other == population && names.iter().all(|name| list.contains(name)));
    let others = larger.flat_map(|(_, list)| list).filter(|name| !names.contains(name));
    let others: BTreeSet<&String> = others.collect();
    let place = |name: &String| names.iter().position(|known| known == name).unwrap_or_default();
    let at = |name: &String| Requirement::In(listed(name), vec![place(name).to_string()]);
    let mut requirements: Vec<Requirement> = names.iter().map(at).collect();
    requirements.extend(others.into_iter().map(|name| Requirement::DoesNotExist(listed(name))));
    Selection { population, namespaces: Namespaces::any(), endpoints: Selector { requirements } }
}
