//! Controllers that the contract places, bound to the workloads of the input.
//!
//! Pods of which the input has none, in a namespace of which it has none, are known by how they look.
//! What is placed where nobody is, is a problem, and nothing is known of that controller: it is not
//! looked for by its class, since what is said of it shows that it is somewhere else, and whoever is
//! in its namespace (or anybody, where nobody is there) may be it.

use super::{Controller, Presence, Usual};
use crate::contract::{LabelTest, Pattern, PlacedController, Runs, Served, nearest};
use crate::inventory::{Inventory, Workload};
use crate::model::{Labels, Origin, Problem, Text};
use std::collections::BTreeSet;

/// A controller that the contract places.
pub(super) struct Placed<'a> {
    from: &'a PlacedController,
    pub controller: Controller,
    /// Those that it is, or may be, by index.
    pub workloads: Vec<usize>,
}

/// Finds the workloads of all of them.
pub(super) fn bind<'a>(
    all: &'a [PlacedController],
    inventory: &Inventory,
) -> (Vec<Placed<'a>>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut place = |from: &'a PlacedController| {
        let (presence, usual) = match &from.runs {
            Runs::Outside(addresses) => {
                let known = (!addresses.is_empty()).then(|| addresses.clone());
                (Presence::Outside(known), None)
            }
            Runs::Workload(pattern) => {
                let found = chosen(inventory, |w| {
                    pattern.matches_workload(&w.name.namespace, &w.name.kind, &w.name.name)
                });
                if found.is_empty() {
                    let message = format!("no workload {:?} was read", pattern.text());
                    problems.push(problem(from, message, near_workload(inventory, pattern.text())));
                }
                (inside(found), None)
            }
            Runs::Pods { namespace, labels } => {
                let lives = |w: &Workload| namespace.as_ref().is_none_or(|n| n.matches(&w.name.namespace));
                let looks =
                    |w: &Workload| w.variants.iter().any(|v| labels.iter().all(|test| test.holds(&v.labels)));
                let found = chosen(inventory, |w| lives(w) && looks(w));
                let there = inventory.workloads.iter().filter(|w| lives(w)).collect::<Vec<_>>();
                match (found.is_empty(), there.is_empty()) {
                    (false, _) => (Presence::Inside(found), None),
                    (true, true) => {
                        let namespace = namespace.as_ref().map_or("", |n| n.text());
                        (Presence::Absent, Some(usual(namespace, labels)))
                    }
                    (true, false) => {
                        let place = match namespace {
                            Some(namespace) => format!(" in the namespace {}", namespace.text()),
                            None => String::new(),
                        };
                        let message = format!("no pod{place} has the labels {}", words(labels));
                        problems.push(problem(from, message, near_labels(&there, labels)));
                        (Presence::Absent, None)
                    }
                }
            }
        };
        let workloads = match (&presence, &usual) {
            (Presence::Inside(own), _) => own.clone(),
            (Presence::Absent, None) => suspects(inventory, &from.runs),
            _ => Vec::new(),
        };
        let name = from.name().to_owned();
        Placed { from, controller: Controller { name, presence, usual }, workloads }
    };
    let placed = all.iter().map(&mut place).collect();
    (placed, problems)
}

impl Placed<'_> {
    /// Whether it serves objects that are known so.
    pub fn serves(&self, by: Served, text: &str) -> bool {
        self.from.serves == by && self.from.of.matches(text)
    }
}

fn chosen(inventory: &Inventory, fits: impl Fn(&Workload) -> bool) -> Vec<usize> {
    (0..inventory.workloads.len()).filter(|index| fits(&inventory.workloads[*index])).collect()
}

/// Those that a controller may be that is not where it should be.
fn suspects(inventory: &Inventory, runs: &Runs) -> Vec<usize> {
    let namespace = match runs {
        Runs::Pods { namespace, .. } => namespace.clone(),
        Runs::Workload(pattern) => pattern.text().split_once('/').map(|(first, _)| Pattern::new(first)),
        Runs::Outside(_) => None,
    };
    let lives = |w: &Workload| namespace.as_ref().is_none_or(|n| n.matches(&w.name.namespace));
    let near = chosen(inventory, lives);
    if near.is_empty() { chosen(inventory, |_| true) } else { near }
}

fn inside(workloads: Vec<usize>) -> Presence {
    if workloads.is_empty() { Presence::Absent } else { Presence::Inside(workloads) }
}

/// How its pods look, as far as it is said without stars.
fn usual(namespace: &str, labels: &[LabelTest]) -> Usual {
    let exact = |text: &str| !text.contains('*');
    let label = |test: &LabelTest| match test.values.as_slice() {
        [value] if exact(value.text()) => Some((test.key.clone(), value.text().to_owned())),
        _ => None,
    };
    Usual {
        namespace: if exact(namespace) { namespace.to_owned() } else { String::new() },
        namespace_labels: Labels::new(),
        labels: labels.iter().filter_map(label).collect(),
    }
}

fn problem(from: &PlacedController, message: String, hint: String) -> Problem {
    // The line tells which controller it is.
    let origin = Origin { kind: "".into(), name: "".into(), ..from.origin.clone() };
    Problem { origin, message: format!("{}: {message}", from.origin.name), hint }
}

fn words(labels: &[LabelTest]) -> String {
    let value =
        |test: &LabelTest| test.values.iter().map(|v| v.text().to_owned()).collect::<Vec<_>>().join("|");
    labels.iter().map(|test| format!("{}={}", test.key, value(test))).collect::<Vec<_>>().join(",")
}

fn near_workload(inventory: &Inventory, text: &str) -> String {
    let short: BTreeSet<String> =
        inventory.workloads.iter().map(|w| format!("{}/{}", w.name.namespace, w.name.name)).collect();
    match nearest(text, short.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near:?}?"),
        None => {
            "a controller that is not in the input is placed by the namespace and labels of its pods, or \
                 by outside: true"
                .to_owned()
        }
    }
}

/// What the pods there have for the labels that were asked for.
fn near_labels(there: &[&Workload], labels: &[LabelTest]) -> String {
    for test in labels {
        let own = there.iter().flat_map(|w| &w.variants).filter_map(|v| v.labels.get(&test.key));
        let values: BTreeSet<&str> = own.map(Text::as_str).collect();
        if !values.is_empty() && !values.iter().any(|value| test.values.iter().any(|p| p.matches(value))) {
            let shown: Vec<&str> = values.into_iter().take(5).collect();
            return format!("the label {} has the values {} there", test.key, shown.join(", "));
        }
    }
    let keys: BTreeSet<&str> = there
        .iter()
        .flat_map(|w| &w.variants)
        .flat_map(|v| v.labels.keys().map(Text::as_str))
        .filter(|key| !key.starts_with('@'))
        .take(64)
        .collect();
    let shown: Vec<&str> = keys.into_iter().take(5).collect();
    format!("pods there have the labels {}", shown.join(", "))
}
