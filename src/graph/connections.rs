//! The graph written out: pairs of workloads and outside ranges, for formats that ask for pairs.

use super::build::AllowedGraph;
use super::callable::Callable;
use super::callers::Known;
use super::classes::PeerId;
use super::declared::{Declared, Standing};
use super::edge::Exemption;
use super::expected::{Expected, expected};
use super::mesh_edge::Leg;
use crate::inventory::Inventory;
use crate::model::{AddressRange, AddressSet, DomainPattern, ExpectedProtection, TrafficSet};
use crate::policy::Peer;
use hashbrown::HashMap;
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

/// Pairs that are looked at together, about.
const TOGETHER: usize = 1 << 15;

/// All connections that are allowed, in the order of their ends; pairs of a workload with itself
/// are left out. Only some are in memory at a time, for a cluster that nothing divides has as many
/// as pairs of workloads; pairs that the rows of both ends shut are not looked at.
pub fn connections<'a>(graph: &'a AllowedGraph, inventory: &'a Inventory) -> Connections<'a> {
    let (callable, sums) = (Callable::of(graph), Sums::of(graph));
    Connections { graph, inventory, callable, sums, left: Some(0), ready: Vec::new().into_iter() }
}

/// Those with an end outside alone.
pub fn outside(graph: &AllowedGraph, inventory: &Inventory) -> Vec<Connection> {
    let workloads = (0..inventory.workloads.len()).into_par_iter();
    let sums = Sums::of(graph);
    let both = |workload| {
        outbound(&sums, graph, inventory, workload).chain(inbound(&sums, graph, inventory, workload))
    };
    in_order(workloads.flat_map_iter(both).collect())
}

/// The connections, one after the other.
#[derive(Debug)]
pub struct Connections<'a> {
    graph: &'a AllowedGraph,
    inventory: &'a Inventory,
    callable: Callable<'a>,
    /// What pairs of classes let through.
    sums: Sums<'a>,
    /// The first workload whose connections are not worked out; behind the last those from outside;
    /// `None` where these are.
    left: Option<usize>,
    ready: std::vec::IntoIter<Connection>,
}

impl Iterator for Connections<'_> {
    type Item = Connection;

    fn next(&mut self) -> Option<Connection> {
        loop {
            if let Some(connection) = self.ready.next() {
                return Some(connection);
            }
            let (graph, inventory, sums, first) = (self.graph, self.inventory, &self.sums, self.left?);
            let count = inventory.workloads.len();
            let ready: Vec<Connection> = if first < count {
                let together = self.together(first);
                self.left = Some(first + together.len());
                let from_each = |(from, targets)| from_one(sums, graph, inventory, from, targets);
                together.into_par_iter().flat_map_iter(from_each).collect()
            } else {
                self.left = None;
                let all = (0..count).into_par_iter();
                in_order(all.flat_map_iter(|to| inbound(sums, graph, inventory, to)).collect())
            };
            self.ready = ready.into_iter();
        }
    }
}

impl Connections<'_> {
    /// The next workloads, each with those that it may call at most: about as many pairs as are
    /// worth being looked at together.
    fn together(&self, first: usize) -> Vec<(usize, Vec<usize>)> {
        let count = self.inventory.workloads.len();
        let (mut together, mut pairs) = (Vec::new(), 0);
        for from in first..count {
            let targets = self.callable.workloads(from, count);
            // One more for the outside.
            pairs += targets.len() + 1;
            together.push((from, targets));
            if pairs >= TOGETHER {
                break;
            }
        }
        together
    }
}

/// The connections of a workload to some others and to the outside, in order.
fn from_one(
    sums: &Sums<'_>,
    graph: &AllowedGraph,
    inventory: &Inventory,
    from: usize,
    targets: Vec<usize>,
) -> Vec<Connection> {
    // Workloads of the same classes are reached alike.
    let mut known: HashMap<&[PeerId], Option<Sum>> = HashMap::new();
    let to_other = |to: usize| {
        let targets = graph.classes_of(to);
        let sum = known.entry(targets).or_insert_with(|| sum(sums, graph.classes_of(from), targets));
        Some(sum.clone()?.between(graph, inventory, End::Workload(from), End::Workload(to)))
    };
    let mut all: Vec<Connection> = targets.into_iter().filter_map(to_other).collect();
    all.extend(in_order(outbound(sums, graph, inventory, from).collect()));
    all
}

fn in_order(mut connections: Vec<Connection>) -> Vec<Connection> {
    connections.par_sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
    connections
}

/// What the classes of two ends add up to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

    /// The same of a part of the traffic.
    pub(super) fn protection_of(&self, part: &TrafficSet, declared: &Declared) -> ExpectedProtection {
        let within = |all: &BTreeMap<Expected, TrafficSet>| -> Vec<(TrafficSet, Expected)> {
            let cut = all.iter().map(|(expected, traffic)| (traffic.intersection(part), *expected));
            cut.filter(|(traffic, _)| !traffic.is_empty()).collect()
        };
        let (carried, refused) = (within(&self.carried), within(&self.refused));
        let word = declared.word(
            carried.iter().map(|(traffic, expected)| (traffic, *expected)),
            refused.iter().map(|(traffic, expected)| (traffic, *expected)),
        );
        word.map_or(ExpectedProtection::Unknown, |expected| expected.protection)
    }

    /// What one pair of classes lets through, if anything.
    fn of(graph: &AllowedGraph, from: PeerId, to: PeerId) -> Option<Sum> {
        let edge = graph.edge(from, to);
        let passes = !edge.traffic.is_empty();
        passes.then(|| Sum {
            unsegmented: edge.unsegmented(),
            narrowed: edge.narrowed(),
            because: edge.because().into_iter().collect(),
            exempt: edge.exemption != Exemption::None,
            carried: by_expectation(edge.mesh.iter().flat_map(|mesh| &mesh.legs)),
            refused: by_expectation(edge.mesh.iter().flat_map(|mesh| &mesh.refusals)),
            traffic: edge.traffic,
        })
    }

    /// The same of two pairs together.
    fn and(mut self, other: Sum) -> Sum {
        let whole = |sum: &Sum| sum.traffic.difference(&sum.narrowed);
        let whole = whole(&self).union(&whole(&other));
        self.traffic = self.traffic.union(&other.traffic);
        self.narrowed = self.traffic.difference(&whole);
        self.unsegmented = self.unsegmented.union(&other.unsegmented);
        self.because.extend(other.because);
        self.exempt |= other.exempt;
        add(&mut self.carried, other.carried);
        add(&mut self.refused, other.refused);
        self
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

/// What some peers let through to others, if anything.
pub(super) fn sum(sums: &Sums<'_>, sources: &[PeerId], targets: &[PeerId]) -> Option<Sum> {
    let pairs = sources.iter().flat_map(|from| targets.iter().map(move |to| (*from, *to)));
    let of = |(from, to)| sums.get(from, to, |graph| Sum::of(graph, from, to));
    pairs.filter_map(of).reduce(Sum::and)
}

/// What pairs of classes let through.
pub(super) type Sums<'a> = Known<'a, Option<Sum>>;

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

/// Connections of a workload to the outside; atoms that it treats alike are one end.
fn outbound<'a>(
    sums: &Sums<'_>,
    graph: &'a AllowedGraph,
    inventory: &'a Inventory,
    workload: usize,
) -> impl Iterator<Item = Connection> + use<'a> {
    let classes = graph.classes_of(workload);
    let out = atoms_alike(graph, |peer| sum(sums, classes, &[peer]));
    let out = out.into_iter().map(move |(sum, outside)| {
        sum.between(graph, inventory, End::Workload(workload), End::External(outside))
    });
    out.chain(by_name(sums, graph, inventory, workload))
}

/// Connections from the outside to a workload.
fn inbound<'a>(
    sums: &Sums<'_>,
    graph: &'a AllowedGraph,
    inventory: &'a Inventory,
    workload: usize,
) -> impl Iterator<Item = Connection> + use<'a> {
    let classes = graph.classes_of(workload);
    let into = atoms_alike(graph, |peer| sum(sums, &[peer], classes));
    into.into_iter().map(move |(sum, outside)| {
        sum.between(graph, inventory, End::External(outside), End::Workload(workload))
    })
}

/// The atoms by what comes of them.
fn atoms_alike(graph: &AllowedGraph, sum: impl Fn(PeerId) -> Option<Sum>) -> BTreeMap<Sum, AddressSet> {
    let mut alike: BTreeMap<Sum, Vec<AddressRange>> = BTreeMap::new();
    for (peer, atom) in graph.atoms() {
        if let Some(sum) = sum(peer) {
            alike.entry(sum).or_default().extend(atom.ranges());
        }
    }
    alike.into_iter().map(|(sum, ranges)| (sum, ranges.into_iter().collect())).collect()
}

/// Connections to outside endpoints that a rule of the workload names; what it may reach by
/// address stands under the address.
fn by_name(sums: &Sums<'_>, graph: &AllowedGraph, inventory: &Inventory, workload: usize) -> Vec<Connection> {
    let classes = graph.classes_of(workload);
    let of = |(peer, domain): (PeerId, &DomainPattern)| {
        let sum = sum(sums, classes, &[peer])?;
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
