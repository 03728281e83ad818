//! How the edges between workloads are protected, counted, with what to change first.
//!
//! Workloads that nothing tells apart are asked once. Edges to workloads that declare no port are
//! counted apart: nothing is known to listen there.

use super::build::AllowedGraph;
use super::callers::Known;
use super::classes::{ClassId, PeerId};
use super::connections::by_expectation;
use super::declared::Declared;
use super::expected::{Expected, expected};
use super::mesh_change::MeshChange;
use crate::inventory::Inventory;
use crate::model::{ExpectedProtection, TrafficSet};
use crate::policy::node_encryption::node_encryption;
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// All edges between workloads, by protection; the worst first.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// One for each protection that occurs.
    pub rows: Vec<OverviewRow>,
    /// Edges to workloads that declare no port, by protection.
    pub undeclared: BTreeMap<ExpectedProtection, usize>,
    /// Edges on which every declared port is closed, by network policy or mesh authorization, and
    /// something else is open.
    pub closed: usize,
}

/// Edges of one protection.
#[derive(Clone, Debug)]
pub struct OverviewRow {
    /// Which.
    pub protection: ExpectedProtection,
    /// How many, each an ordered pair of workloads.
    pub edges: usize,
    /// One of those that the first change is about.
    pub example: Example,
    /// What to change first: what most of these edges rest on, and how many do.
    pub first: Option<(MeshChange, usize)>,
}

/// An edge that shows it.
#[derive(Clone, Debug)]
pub struct Example {
    /// Who calls, by position in the inventory.
    pub from: usize,
    /// Who is called.
    pub to: usize,
    /// The part that decides.
    pub traffic: TrafficSet,
    /// What it rests on.
    pub expected: Expected,
}

/// Workloads that nothing tells apart.
struct Kind {
    classes: Vec<ClassId>,
    declared: Declared,
    members: Vec<usize>,
}

/// How one pair of classes is carried: what passes and what is refused, by expectation.
type Parts = Arc<[BTreeMap<Expected, TrafficSet>; 2]>;

/// Counts the edges; `None` where neither a mesh nor encryption between nodes was read.
pub fn overview(graph: &AllowedGraph, inventory: &Inventory) -> Option<Overview> {
    let over_nodes = node_encryption(&graph.dataplane).is_some();
    if graph.mesh.is_empty() && !over_nodes {
        return None;
    }
    let kinds = kinds(graph, inventory);
    let carried = Carriages { graph, known: Known::of(graph) };
    let mut counted = Counted::default();
    for from in &kinds {
        for to in &kinds {
            let edges = pairs(from, to);
            if edges == 0 {
                continue;
            }
            if over_nodes {
                // Where pods run tells workloads apart that policies do not.
                for (a, b) in each(from, to) {
                    let below =
                        expected(&graph.dataplane, inventory.workloads.get(a), inventory.workloads.get(b));
                    counted.add(&carried, (from, to), (a, b), 1, below);
                }
                continue;
            }
            let Some((a, b)) = each(from, to).next() else { continue };
            let below = expected(&graph.dataplane, None, None);
            counted.add(&carried, (from, to), (a, b), edges, below);
        }
    }
    Some(counted.finish())
}

fn kinds(graph: &AllowedGraph, inventory: &Inventory) -> Vec<Kind> {
    let mut numbers: HashMap<(Vec<ClassId>, Declared), usize> = HashMap::new();
    let mut kinds: Vec<Kind> = Vec::new();
    for index in 0..inventory.workloads.len() {
        let classes: BTreeSet<ClassId> = graph.classes_of(index).iter().copied().collect();
        let key = (classes.into_iter().collect::<Vec<ClassId>>(), graph.declared_by(index));
        let number = *numbers.entry(key).or_insert_with_key(|(classes, declared)| {
            kinds.push(Kind { classes: classes.clone(), declared: declared.clone(), members: Vec::new() });
            kinds.len() - 1
        });
        kinds[number].members.push(index);
    }
    kinds
}

fn each<'a>(from: &'a Kind, to: &'a Kind) -> impl Iterator<Item = (usize, usize)> + 'a {
    let all = from.members.iter().flat_map(|a| to.members.iter().map(move |b| (*a, *b)));
    all.filter(|(a, b)| a != b)
}

fn pairs(from: &Kind, to: &Kind) -> usize {
    let same = if std::ptr::eq(from, to) { from.members.len() } else { 0 };
    from.members.len() * to.members.len() - same
}

/// How classes are carried, asked once for clients that are alike.
struct Carriages<'a> {
    graph: &'a AllowedGraph,
    known: Known<'a, Parts>,
}

impl Carriages<'_> {
    fn of(&self, from: PeerId, to: ClassId) -> Parts {
        self.known.get(from, to, |graph| {
            let edge = graph.edge(from, to);
            let Some(mesh) = &edge.mesh else {
                let none = Expected::NOTHING;
                let all = (!edge.traffic.is_empty()).then(|| (none, edge.traffic.clone()));
                return Arc::new([all.into_iter().collect(), BTreeMap::new()]);
            };
            Arc::new([by_expectation(mesh.legs.iter()), by_expectation(mesh.refusals.iter())])
        })
    }
}

#[derive(Default)]
struct Counted {
    rows: BTreeMap<ExpectedProtection, usize>,
    causes: BTreeMap<ExpectedProtection, BTreeMap<Option<MeshChange>, (usize, Example)>>,
    undeclared: BTreeMap<ExpectedProtection, usize>,
    closed: usize,
}

impl Counted {
    fn add(
        &mut self,
        carried: &Carriages<'_>,
        (from, to): (&Kind, &Kind),
        (a, b): (usize, usize),
        edges: usize,
        below: Expected,
    ) {
        let mut parts: Vec<(TrafficSet, Expected, (ClassId, ClassId))> = Vec::new();
        let mut refused = parts.clone();
        for x in &from.classes {
            for y in &to.classes {
                let both = carried.of(*x, *y);
                let cut = |(expected, traffic): (&Expected, &TrafficSet)| {
                    (traffic.clone(), expected.over(below), (*x, *y))
                };
                parts.extend(both[0].iter().map(cut));
                refused.extend(both[1].iter().map(cut));
            }
        }
        fn listed(
            list: &[(TrafficSet, Expected, (ClassId, ClassId))],
        ) -> impl Iterator<Item = (&TrafficSet, Expected)> + Clone {
            list.iter().map(|(traffic, expected, _)| (traffic, *expected))
        }
        let Some(word) = to.declared.word(listed(&parts), listed(&refused)) else { return };
        if to.declared.names_nothing() {
            *self.undeclared.entry(word.protection).or_default() += edges;
            return;
        }
        if !parts.iter().chain(&refused).any(|(part, ..)| to.declared.names_some_of(part)) {
            self.closed += edges;
            return;
        }
        *self.rows.entry(word.protection).or_default() += edges;
        let of = if word.protection == ExpectedProtection::Refused { &refused } else { &parts };
        let deciding = of.iter().filter(|(_, expected, _)| *expected == word);
        let (mut traffic, mut ends) = (TrafficSet::none(), None);
        for (part, _, classes) in deciding {
            traffic = traffic.union(part);
            ends.get_or_insert(*classes);
        }
        let change = ends.and_then(|ends| carried.graph.mesh_change(ends, &word, (a, b)));
        let example = Example { from: a, to: b, traffic: to.declared.deciding(&traffic), expected: word };
        let causes = self.causes.entry(word.protection).or_default();
        causes.entry(change).or_insert((0, example)).0 += edges;
    }

    fn finish(mut self) -> Overview {
        let row = |(protection, edges): (ExpectedProtection, usize)| {
            let causes = self.causes.remove(&protection).unwrap_or_default();
            // What most rest on; where several have as many, the one that stands first.
            let most = causes.into_iter().rev().max_by_key(|(change, (count, _))| (change.is_some(), *count));
            most.map(|(change, (count, example))| OverviewRow {
                protection,
                edges,
                example,
                first: change.map(|change| (change, count)),
            })
        };
        let mut rows: Vec<OverviewRow> = self.rows.into_iter().filter_map(row).collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.protection));
        Overview { rows, undeclared: self.undeclared, closed: self.closed }
    }
}
