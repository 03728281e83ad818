//! `dataplane-dependent`: manifests that another dataplane would read differently.
//!
//! Its page, which is run as a test, says why it matters and what to do. It runs where other
//! dataplanes were asked for (`--portability`).

use super::shared::{policy_name, workload_name};
use super::{Evidence, Finding, check};
use crate::graph::{AllowedGraph, Callable, ClassId, Known};
use crate::model::names::counted;
use crate::model::{Origin, TrafficSet};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

check! {
    DataplaneDependent, "dataplane-dependent", Low, "Manifests that another dataplane would read differently.",
    ["NIST-800-190-4.4.2"]
}

fn run(evidence: &Evidence<'_>) -> Vec<Finding> {
    evidence.notes.elsewhere.iter().filter_map(|other| of_dataplane(evidence, other)).collect()
}

/// Pairs that differ in one way: how many, and the first of them.
struct Difference {
    count: usize,
    witness: (u32, u32, TrafficSet),
    because: BTreeSet<Origin>,
}

fn of_dataplane(evidence: &Evidence<'_>, other: &AllowedGraph) -> Option<Finding> {
    let (mut opened, mut closed) = (None::<Difference>, None::<Difference>);
    let places = places(evidence, other);
    let standing = [Standing::of(evidence.graph, &places, |p| p.0), Standing::of(other, &places, |p| p.1)];
    let known = [Known::of(evidence.graph), Known::of(other)];
    for (from, to) in places.iter().flat_map(|from| pairs(&standing, &places, *from)) {
        let here = known[0].get(from.0, to.0, |graph| passing(graph, from.0, to.0));
        let there = known[1].get(from.1, to.1, |graph| passing(graph, from.1, to.1));
        let ends = (from.2, to.2);
        let reasons = |graph: &AllowedGraph, rules: &[u32]| -> Vec<Origin> {
            rules.iter().map(|rule| graph.rules[*rule as usize].rule.origin.clone()).collect()
        };
        note(&mut opened, ends, there.0.difference(&here.0), || reasons(other, &there.1));
        note(&mut closed, ends, here.0.difference(&there.0), || reasons(evidence.graph, &here.1));
    }
    let idle = idle_there(evidence, other);
    if opened.is_none() && closed.is_none() && idle.is_empty() {
        return None;
    }
    let name = other.dataplane.kind.name();
    let mut sentences = Vec::new();
    sentences.extend(opened.as_ref().map(|d| sentence(evidence, d, "open")));
    sentences.extend(closed.as_ref().map(|d| sentence(evidence, d, "closed")));
    if let Some(first) = idle.values().next() {
        let example = policy_name(first);
        let count = counted(idle.len(), ["policy", "policies"]);
        sentences.push(format!("{count} would not be enforced, for example {example}."));
    }
    let mut because: Vec<Origin> =
        [opened, closed].into_iter().flatten().flat_map(|d| d.because).take(4).collect();
    because.extend(idle.into_values().take(2));
    let fix = "Write what both read alike: pods by labels and not by address, and policies in a language that both enforce.";
    Some(DataplaneDependent.finding(
        name.to_owned(),
        format!("On {name}, {}", sentences.join(" ")),
        because,
        fix,
    ))
}

/// What may travel between two classes, and by which rules.
type Passing = Arc<(TrafficSet, Vec<u32>)>;

fn passing(graph: &AllowedGraph, from: ClassId, to: ClassId) -> Passing {
    let edge = graph.edge(from, to);
    let because = edge.because();
    Arc::new((edge.traffic, because))
}

/// A class here, the class there, and a workload that both stand for.
type Place = (ClassId, ClassId, u32);

/// The classes of both graphs that stand for the same workloads, once.
fn places(evidence: &Evidence<'_>, other: &AllowedGraph) -> Vec<Place> {
    let mut places: BTreeMap<(ClassId, ClassId), u32> = BTreeMap::new();
    for (workload, one) in evidence.inventory.workloads.iter().enumerate() {
        for variant in 0..one.variants.len() {
            let here = evidence.graph.class_of(workload, variant);
            places.entry((here, other.class_of(workload, variant))).or_insert(workload as u32);
        }
    }
    places.into_iter().map(|((here, there), w)| (here, there, w)).collect()
}

/// The pairs of a place with others between which the rows of one graph or the other leave anything
/// open.
fn pairs(standing: &[Standing<'_>; 2], places: &[Place], from: Place) -> Vec<(Place, Place)> {
    let [here, there] = standing;
    let mut called: Vec<usize> = match (here.called(from.0), there.called(from.1)) {
        (Some(here), Some(there)) => here.chain(there).collect(),
        _ => (0..places.len()).collect(),
    };
    called.sort_unstable();
    called.dedup();
    called.into_iter().map(|to| (from, places[to])).filter(|(from, to)| from.2 != to.2).collect()
}

/// Whom the classes of one graph may call at most, and at which places they stand.
struct Standing<'a> {
    callable: Callable<'a>,
    places: Vec<Vec<usize>>,
}

impl<'a> Standing<'a> {
    fn of(graph: &'a AllowedGraph, all: &[Place], class: impl Fn(&Place) -> ClassId) -> Standing<'a> {
        let mut places = vec![Vec::new(); graph.classes().len()];
        for (number, place) in all.iter().enumerate() {
            places[class(place) as usize].push(number);
        }
        Standing { callable: Callable::of(graph), places }
    }

    /// The places that a class may call; `None` for all.
    fn called(&self, from: ClassId) -> Option<impl Iterator<Item = usize>> {
        let classes = self.callable.by(from)?.into_iter();
        Some(classes.flat_map(|class| self.places[class as usize].iter().copied()))
    }
}

fn note(
    difference: &mut Option<Difference>,
    (from, to): (u32, u32),
    traffic: TrafficSet,
    reasons: impl FnOnce() -> Vec<Origin>,
) {
    if traffic.is_empty() {
        return;
    }
    let found = difference.get_or_insert_with(|| Difference {
        count: 0,
        witness: (from, to, traffic),
        because: BTreeSet::new(),
    });
    found.count += 1;
    found.because.extend(reasons());
}

fn sentence(evidence: &Evidence<'_>, difference: &Difference, word: &str) -> String {
    let (from, to, traffic) = &difference.witness;
    let (from, to) = (workload_name(evidence, *from as usize), workload_name(evidence, *to as usize));
    let (paths, are) = if difference.count == 1 { ("path", "is") } else { ("paths", "are") };
    format!(
        "{} {paths} {are} {word} that here {are} not, for example {from} -> {to} ({traffic}).",
        difference.count
    )
}

/// Policies that count here and not there.
fn idle_there(evidence: &Evidence<'_>, other: &AllowedGraph) -> BTreeMap<String, Origin> {
    let named = |graph: &AllowedGraph| -> BTreeMap<String, Origin> {
        graph.policies.iter().map(|policy| (policy_name(&policy.origin), policy.origin.clone())).collect()
    };
    let there = named(other);
    named(evidence.graph).into_iter().filter(|(name, _)| !there.contains_key(name)).collect()
}
