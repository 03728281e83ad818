//! The graph written out: pairs of workloads and outside ranges, for formats that ask for pairs.

use super::build::AllowedGraph;
use super::classes::PeerId;
use super::declared::{Declared, Standing};
use super::edge::Exemption;
use super::expected::{Expected, expected};
use super::mesh_edge::Leg;
use crate::inventory::Inventory;
use crate::model::{AddressRange, AddressSet, DomainPattern, ExpectedProtection, TrafficSet};
use crate::policy::Peer;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// One end of a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Index into `Inventory::workloads`.
    Workload(usize),
    /// Addresses outside of the endpoints.
    External(AddressSet),
    /// An outside endpoint by name.
    Domain(DomainPattern),
}

/// What one workload or outside range may send to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who opens it.
    pub from: End,
    /// Who is called.
    pub to: End,
    /// What may travel.
    pub traffic: TrafficSet,
    /// The part that nothing governs at the receiving side.
    pub unsegmented: TrafficSet,
    /// The part of which only some passes, by conditions above packets (`Rule::narrowed`).
    pub narrowed: TrafficSet,
    /// Numbers of the rules that allow it.
    pub because: Vec<u32>,
    /// Whether it rests on the exemption of a node's own traffic.
    pub exemption: Exemption,
    /// How it is expected to be protected: the weakest of what its variants have at the ports that
    /// matter ([`Declared`]).
    pub expected: Expected,
    /// The same part by part, where meshes carry it; empty where they do not.
    pub carried: Vec<Carried>,
}

/// A part of what may travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// Which part.
    pub traffic: TrafficSet,
    /// How it is expected to be protected.
    pub expected: Expected,
    /// How it stands to the ports of the server.
    pub standing: Standing,
}

/// All connections that are allowed, in the order of their ends; pairs of a workload with itself
/// are left out.
pub fn connections(graph: &AllowedGraph, inventory: &Inventory) -> Vec<Connection> {
    let count = inventory.workloads.len();
    let inside = (0..count).into_par_iter().flat_map_iter(|from| {
        (0..count).filter(move |to| *to != from).filter_map(move |to| {
            let (sources, targets) = (graph.classes_of(from), graph.classes_of(to));
            let sum = sum(graph, sources, targets)?;
            Some(sum.between(graph, inventory, End::Workload(from), End::Workload(to)))
        })
    });
    let outside = (0..count).into_par_iter().flat_map_iter(|workload| external(graph, inventory, workload));
    let mut all: Vec<Connection> = inside.chain(outside).collect();
    all.par_sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    all
}

/// What the classes of two ends add up to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sum {
    pub traffic: TrafficSet,
    pub unsegmented: TrafficSet,
    /// The part that some pair of classes lets through only in part, and no pair wholly.
    pub narrowed: TrafficSet,
    pub because: BTreeSet<u32>,
    exempt: bool,
    carried: BTreeMap<Expected, TrafficSet>,
    refused: BTreeMap<Expected, TrafficSet>,
}

impl Sum {
    /// The protection that proxies give; unknown where none has a say.
    pub(super) fn protection(&self, declared: &Declared) -> ExpectedProtection {
        let parts = self.carried.iter().map(|(expected, traffic)| (traffic, *expected));
        let refused = self.refused.iter().map(|(expected, traffic)| (traffic, *expected));
        let word = declared.word(parts, refused);
        word.map_or(ExpectedProtection::Unknown, |expected| expected.protection)
    }

    fn between(self, graph: &AllowedGraph, inventory: &Inventory, from: End, to: End) -> Connection {
        let exemption = if self.exempt { Exemption::LocalNode } else { Exemption::None };
        let Sum { traffic, unsegmented, narrowed, because, exempt: _, carried, refused } = self;
        let workload = |end: &End| match end {
            End::Workload(index) => inventory.workloads.get(*index),
            End::External(_) | End::Domain(_) => None,
        };
        let below = expected(&graph.dataplane, workload(&from), workload(&to));
        let declared = match &to {
            End::Workload(index) => graph.declared.of_workload(*index),
            End::External(_) | End::Domain(_) => Declared::default(),
        };
        let parts = carried.iter().map(|(expected, traffic)| (traffic, expected.over(below)));
        let refused = refused.iter().map(|(expected, traffic)| (traffic, *expected));
        let expected = declared.word(parts.clone(), refused).unwrap_or(below);
        let cut = |(traffic, expected): (&TrafficSet, Expected)| {
            let parts = declared.parts(traffic).into_iter();
            parts.map(move |(traffic, standing)| Carried { traffic, expected, standing })
        };
        let carried = parts.flat_map(cut).collect();
        let because = because.into_iter().collect();
        Connection { from, to, traffic, unsegmented, narrowed, because, exemption, expected, carried }
    }
}

pub(super) fn sum(graph: &AllowedGraph, sources: &[PeerId], targets: &[PeerId]) -> Option<Sum> {
    let mut sum: Option<Sum> = None;
    for from in sources {
        for to in targets {
            let edge = graph.edge(*from, *to);
            if edge.traffic.is_empty() {
                continue;
            }
            let (unsegmented, narrowed) = (edge.unsegmented(), edge.narrowed());
            let because: BTreeSet<u32> = edge.because().into_iter().collect();
            let exempt = edge.exemption == Exemption::LocalNode;
            let carried = by_expectation(edge.mesh.iter().flat_map(|mesh| &mesh.legs));
            let refused = by_expectation(edge.mesh.iter().flat_map(|mesh| &mesh.refusals));
            sum = Some(match sum {
                None => {
                    Sum { traffic: edge.traffic, unsegmented, narrowed, because, exempt, carried, refused }
                }
                Some(mut sum) => {
                    let whole = sum.traffic.difference(&sum.narrowed);
                    let whole = whole.union(&edge.traffic.difference(&narrowed));
                    sum.traffic = sum.traffic.union(&edge.traffic);
                    sum.narrowed = sum.traffic.difference(&whole);
                    sum.unsegmented = sum.unsegmented.union(&unsegmented);
                    sum.because.extend(because);
                    sum.exempt |= exempt;
                    add(&mut sum.carried, carried);
                    add(&mut sum.refused, refused);
                    sum
                }
            });
        }
    }
    sum
}

pub(super) fn by_expectation<'a>(legs: impl Iterator<Item = &'a Leg>) -> BTreeMap<Expected, TrafficSet> {
    let mut parts = BTreeMap::new();
    add(&mut parts, legs.map(|leg| (leg.expected(), leg.traffic.clone())));
    parts
}

fn add(to: &mut BTreeMap<Expected, TrafficSet>, parts: impl IntoIterator<Item = (Expected, TrafficSet)>) {
    for (expected, traffic) in parts {
        let part = to.entry(expected).or_default();
        *part = part.union(&traffic);
    }
}

/// Connections of a workload with the outside; atoms that it treats alike are one end.
fn external(graph: &AllowedGraph, inventory: &Inventory, workload: usize) -> Vec<Connection> {
    let classes = graph.classes_of(workload);
    let mut into: BTreeMap<Sum, Vec<AddressRange>> = BTreeMap::new();
    let mut out: BTreeMap<Sum, Vec<AddressRange>> = BTreeMap::new();
    for (peer, atom) in graph.atoms() {
        if let Some(sum) = sum(graph, &[peer], classes) {
            into.entry(sum).or_default().extend(atom.ranges());
        }
        if let Some(sum) = sum(graph, classes, &[peer]) {
            out.entry(sum).or_default().extend(atom.ranges());
        }
    }
    let outside = |ranges: Vec<AddressRange>| End::External(ranges.into_iter().collect());
    let into = into
        .into_iter()
        .map(|(sum, ranges)| sum.between(graph, inventory, outside(ranges), End::Workload(workload)));
    let out = out
        .into_iter()
        .map(|(sum, ranges)| sum.between(graph, inventory, End::Workload(workload), outside(ranges)));
    into.chain(out).chain(by_name(graph, inventory, workload)).collect()
}

/// Connections to outside endpoints that a rule of the workload names; what it may reach by
/// address stands under the address.
fn by_name(graph: &AllowedGraph, inventory: &Inventory, workload: usize) -> Vec<Connection> {
    let classes = graph.classes_of(workload);
    let of = |(peer, domain): (PeerId, &DomainPattern)| {
        let sum = sum(graph, classes, &[peer])?;
        let named = sum.because.iter().any(|rule| names_outside(graph, *rule));
        named.then(|| sum.between(graph, inventory, End::Workload(workload), End::Domain(domain.clone())))
    };
    graph.domains().filter_map(of).collect()
}

/// Whether a rule names outside endpoints by their names.
pub(super) fn names_outside(graph: &AllowedGraph, rule: u32) -> bool {
    let is_name = |peer: &Peer| matches!(peer, Peer::Domains(_));
    graph.rules[rule as usize].rule.peers.named().iter().any(|peer| peer.any(is_name))
}
