//! Pairs that meshes carry, compared once for all clients that are alike.
//!
//! How a mesh carries something rests on both ends and not on a row. Clients with the same rows, the
//! same sendings and the same place in rules of authorization are one, and what becomes of them alike
//! is told in one change, so that a mesh that goes from permissive to strict is a few lines.

use super::joint::JointId;
use super::{Cause, ChangeKind, ChangedEnd, Compare, PairChange, Presence, What};
use crate::model::{AddressRange, ExpectedProtection, TrafficSet};
use crate::policy::Direction;
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};

/// Everything about a change but its ends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Outcome {
    kind: ChangeKind,
    presence: Presence,
    protection: [ExpectedProtection; 2],
    /// Old, new, unsegmented.
    traffic: [TrafficSet; 3],
    causes: Vec<Cause>,
}

/// What tells one client from another for a given server: its group, and what decides at the server.
type Key = (u32, Vec<usize>);
/// What tells clients apart: how meshes see each of their peers and its row, how many of these are of
/// the old version, and who it is where one version alone knows it.
type Client = (Vec<[usize; 2]>, usize, Option<JointId>);
/// Targets by what becomes of them and by whose connections.
type Merged = BTreeMap<(Outcome, Vec<JointId>), Vec<JointId>>;

/// The pairs that meshes carry in one version or the other.
pub(super) struct MeshPairs<'a> {
    compare: &'a Compare<'a>,
    meshed: Vec<bool>,
    /// For each joint peer the number of its group; members are alike as clients.
    groups: Vec<u32>,
}

impl<'a> MeshPairs<'a> {
    pub fn of(compare: &'a Compare<'a>) -> MeshPairs<'a> {
        let joint = compare.joint;
        let is_meshed = |id: JointId| {
            joint.class(id).is_some()
                && [0, 1].into_iter().any(|version: usize| {
                    let graph = compare.versions[version].graph;
                    joint.peers(id, version).into_iter().any(|class| graph.is_meshed(class))
                })
        };
        let meshed: Vec<bool> = (0..joint.count()).map(is_meshed).collect();
        let groups = if meshed.contains(&true) { groups(compare) } else { Vec::new() };
        MeshPairs { compare, meshed, groups }
    }

    /// Whether a pair is compared here.
    pub fn holds(&self, from: JointId, to: JointId) -> bool {
        let inside = self.compare.joint.class(to).is_some() && self.compare.joint.domain(from).is_none();
        inside && (self.meshed[from as usize] || self.meshed[to as usize])
    }

    /// All changes of such pairs.
    pub fn changes(&self, lost: &BTreeSet<JointId>) -> Vec<PairChange> {
        if self.groups.is_empty() {
            return Vec::new();
        }
        let (mut merged, mut found) = (Merged::new(), Vec::new());
        for to in 0..self.compare.joint.classes.len() as JointId {
            for (outcome, clients) in self.into(to, lost) {
                if outcome.causes.iter().all(|cause| cause.what == What::MeshChanged) {
                    merged.entry((outcome, clients)).or_default().push(to);
                } else {
                    found.extend(
                        clients
                            .into_iter()
                            .map(|from| outcome.change(self.compare.end(from), self.compare.end(to))),
                    );
                }
            }
        }
        for ((outcome, clients), servers) in merged {
            let to = self.workloads(&servers);
            let (inside, outside): (Vec<JointId>, Vec<JointId>) =
                clients.into_iter().partition(|id| self.compare.joint.class(*id).is_some());
            if !inside.is_empty() {
                found.push(outcome.change(self.workloads(&inside), to.clone()));
            }
            if !outside.is_empty() {
                found.push(outcome.change(self.addresses(&outside), to));
            }
        }
        found
    }

    /// What changes on the way to one server, with whose connections.
    fn into(&self, to: JointId, lost: &BTreeSet<JointId>) -> BTreeMap<Outcome, Vec<JointId>> {
        let mut known: HashMap<Key, Option<Outcome>> = HashMap::new();
        let mut found: BTreeMap<Outcome, Vec<JointId>> = BTreeMap::new();
        for from in (0..self.compare.joint.count()).filter(|from| self.holds(*from, to)) {
            let key = (self.groups[from as usize], self.decisions(from, to));
            let outcome = known.entry(key).or_insert_with(|| self.outcome(from, to, lost));
            if let Some(outcome) = outcome {
                match found.get_mut(outcome) {
                    Some(clients) => clients.push(from),
                    None => drop(found.insert(outcome.clone(), vec![from])),
                }
            }
        }
        // A workload alone in its class has no connection with itself.
        let alone = self.compare.joint.class(to).is_some_and(|class| class.members.len() == 1);
        found.retain(|_, clients| !(alone && *clients == [to]));
        found
    }

    fn decisions(&self, from: JointId, to: JointId) -> Vec<usize> {
        let mut all = Vec::with_capacity(2);
        for version in [0, 1] {
            let graph = self.compare.versions[version].graph;
            for target in self.compare.joint.peers(to, version) {
                for source in self.compare.joint.peers(from, version) {
                    all.push(graph.decided_by(source, target)[1]);
                }
            }
        }
        all
    }

    fn outcome(&self, from: JointId, to: JointId, lost: &BTreeSet<JointId>) -> Option<Outcome> {
        let compare = self.compare;
        let (kind, old, new) = compare.compare(from, to)?;
        if matches!(kind, ChangeKind::Ungoverned | ChangeKind::Governed) && lost.contains(&to) {
            return None;
        }
        let change = compare.change((from, to), kind, old, new);
        let traffic = [change.old, change.new, change.unsegmented];
        let PairChange { presence, protection, causes, .. } = change;
        Some(Outcome { kind, presence, protection, traffic, causes })
    }

    fn workloads(&self, ids: &[JointId]) -> ChangedEnd {
        let mut names: Vec<_> = ids.iter().flat_map(|id| self.compare.names(*id)).collect();
        names.sort();
        ChangedEnd::Workloads(names)
    }

    fn addresses(&self, ids: &[JointId]) -> ChangedEnd {
        let sets = ids.iter().filter_map(|id| self.compare.joint.atom(*id));
        ChangedEnd::External(
            sets.flat_map(|set| set.ranges().iter().copied())
                .collect::<Vec<AddressRange>>()
                .into_iter()
                .collect(),
        )
    }
}

impl Outcome {
    fn change(&self, from: ChangedEnd, to: ChangedEnd) -> PairChange {
        let Outcome { kind, presence, protection, traffic: [old, new, unsegmented], causes } = self.clone();
        PairChange { from, to, kind, presence, old, new, unsegmented, protection, causes }
    }
}

/// Numbers for joint peers: the same for those that are one client in both versions.
fn groups(compare: &Compare<'_>) -> Vec<u32> {
    let alike = compare.versions.map(|version| version.graph.alike_to_meshes());
    let mut numbers: HashMap<Client, u32> = HashMap::new();
    let number = |id: JointId| {
        let mut seen = Vec::new();
        let mut in_old = 0;
        for version in [0, 1] {
            let graph = compare.versions[version].graph;
            for peer in compare.joint.peers(id, version) {
                let row = graph
                    .class(peer)
                    .map_or(0, |_| std::ptr::from_ref(graph.row(peer, Direction::Egress)).addr());
                seen.push([alike[version][peer as usize] as usize, row]);
            }
            in_old = if version == 0 { seen.len() } else { in_old };
        }
        // Who is in one version alone is a cause of its own.
        let both = compare.joint.class(id).is_none_or(|class| class.old.is_some() && class.new.is_some());
        let fresh = numbers.len() as u32;
        *numbers.entry((seen, in_old, (!both).then_some(id))).or_insert(fresh)
    };
    (0..compare.joint.count()).map(number).collect()
}
