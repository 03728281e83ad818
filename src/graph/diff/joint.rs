//! Who two versions have in common: joint classes, joint atoms, joint names.
//!
//! A joint class is a set of workloads of one segment that neither version can tell apart; whatever is asked of
//! one holds for all, so cost follows classes.

use super::Version;
use crate::graph::classes::{ClassId, PeerId};
use crate::model::{AddressRange, AddressSet, DomainPattern};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Number of a joint class; behind them those of joint atoms, behind them those of names.
pub(super) type JointId = u32;

/// Workloads of one segment that neither version tells apart.
pub(super) struct JointClass {
    /// Their classes in the old version; `None` where they are not in it.
    pub old: Option<Vec<ClassId>>,
    /// Their classes in the new version.
    pub new: Option<Vec<ClassId>>,
    /// The segment that all of them lie in.
    pub home: Option<u32>,
    /// Their positions in the two inventories.
    pub members: Vec<(Option<usize>, Option<usize>)>,
}

/// All joint peers.
pub(super) struct Joint {
    pub classes: Vec<JointClass>,
    pub atoms: Vec<([PeerId; 2], AddressSet)>,
    pub domains: Vec<([Option<PeerId>; 2], DomainPattern)>,
    /// For each peer of the old and the new version, the joint peers that it is part of.
    of_peer: [Vec<Vec<JointId>>; 2],
}

impl Joint {
    pub fn of(old: &Version<'_>, new: &Version<'_>) -> Joint {
        let classes = join_workloads(old, new);
        let atoms = join_atoms(old, new);
        let names = |version: &Version<'_>| -> BTreeMap<DomainPattern, PeerId> {
            version.graph.domains().map(|(peer, name)| (name.clone(), peer)).collect()
        };
        let (before, after) = (names(old), names(new));
        let all: BTreeSet<&DomainPattern> = before.keys().chain(after.keys()).collect();
        let domains = all
            .into_iter()
            .map(|name| ([before.get(name).copied(), after.get(name).copied()], name.clone()))
            .collect();
        let empty = [old, new].map(|version| vec![Vec::new(); version.graph.peer_count() as usize]);
        let mut joint = Joint { classes, atoms, domains, of_peer: empty };
        for id in 0..joint.count() {
            for version in [0, 1] {
                for peer in joint.peers(id, version) {
                    joint.of_peer[version][peer as usize].push(id);
                }
            }
        }
        joint
    }

    /// How many joint peers there are.
    pub fn count(&self) -> JointId {
        (self.classes.len() + self.atoms.len() + self.domains.len()) as JointId
    }

    /// The class of a joint peer, where it is one.
    pub fn class(&self, id: JointId) -> Option<&JointClass> {
        self.classes.get(id as usize)
    }

    /// The peers of a joint peer in one version, 0 for the old one.
    pub fn peers(&self, id: JointId, version: usize) -> Vec<PeerId> {
        let index = id as usize;
        if let Some(class) = self.classes.get(index) {
            let own = if version == 0 { &class.old } else { &class.new };
            return own.clone().unwrap_or_default();
        }
        let index = index - self.classes.len();
        match self.atoms.get(index) {
            Some((peers, _)) => vec![peers[version]],
            None => self.domains[index - self.atoms.len()].0[version].into_iter().collect(),
        }
    }

    /// The joint peers that a peer of one version is part of.
    pub fn of_peer(&self, version: usize, peer: PeerId) -> &[JointId] {
        &self.of_peer[version][peer as usize]
    }

    /// The addresses of a joint atom.
    pub fn atom(&self, id: JointId) -> Option<&AddressSet> {
        let index = (id as usize).checked_sub(self.classes.len())?;
        self.atoms.get(index).map(|(_, set)| set)
    }

    /// The name of a joint outside endpoint.
    pub fn domain(&self, id: JointId) -> Option<&DomainPattern> {
        let index = (id as usize).checked_sub(self.classes.len() + self.atoms.len())?;
        self.domains.get(index).map(|(_, name)| name)
    }
}

type Key = (Option<Vec<ClassId>>, Option<Vec<ClassId>>, Option<u32>);

/// Both inventories are sorted by name, so one pass finds the pairs.
fn join_workloads(old: &Version<'_>, new: &Version<'_>) -> Vec<JointClass> {
    let (before, after) = (&old.inventory.workloads, &new.inventory.workloads);
    let classes = |version: &Version<'_>, index: usize| {
        let mut list = version.graph.classes_of(index).to_vec();
        list.sort_unstable();
        list.dedup();
        list
    };
    let (mut i, mut j) = (0, 0);
    let mut numbers: HashMap<Key, usize> = HashMap::new();
    let mut joint: Vec<JointClass> = Vec::new();
    loop {
        let pair = match (before.get(i), after.get(j)) {
            (None, None) => return joint,
            (Some(_), None) => (Some(i), None),
            (None, Some(_)) => (None, Some(j)),
            (Some(a), Some(b)) => match a.name.cmp(&b.name) {
                std::cmp::Ordering::Equal => (Some(i), Some(j)),
                std::cmp::Ordering::Less => (Some(i), None),
                std::cmp::Ordering::Greater => (None, Some(j)),
            },
        };
        i += usize::from(pair.0.is_some());
        j += usize::from(pair.1.is_some());
        let home = match pair {
            (_, Some(index)) => new.homes[index],
            (Some(index), None) => old.homes[index],
            (None, None) => None,
        };
        let key = (pair.0.map(|index| classes(old, index)), pair.1.map(|index| classes(new, index)), home);
        let number = *numbers.entry(key).or_insert_with_key(|(old, new, home)| {
            joint.push(JointClass { old: old.clone(), new: new.clone(), home: *home, members: Vec::new() });
            joint.len() - 1
        });
        joint[number].members.push(pair);
    }
}

/// Where an atom of the old and one of the new version meet.
fn join_atoms(old: &Version<'_>, new: &Version<'_>) -> Vec<([PeerId; 2], AddressSet)> {
    let ranges = |version: &Version<'_>| -> Vec<(AddressRange, PeerId)> {
        let atoms = version.graph.atoms();
        let mut all: Vec<_> =
            atoms.flat_map(|(peer, set)| set.ranges().iter().map(move |range| (*range, peer))).collect();
        all.sort_unstable();
        all
    };
    let (before, after) = (ranges(old), ranges(new));
    let (mut i, mut j) = (0, 0);
    let mut met: BTreeMap<[PeerId; 2], Vec<AddressRange>> = BTreeMap::new();
    while let (Some((a, x)), Some((b, y))) = (before.get(i), after.get(j)) {
        let (first, last): (IpAddr, IpAddr) = (a.first.max(b.first), a.last.min(b.last));
        if first <= last && first.is_ipv4() == last.is_ipv4() {
            met.entry([*x, *y]).or_default().push(AddressRange { first, last });
        }
        if a.last < b.last { i += 1 } else { j += 1 }
    }
    met.into_iter().map(|(peers, ranges)| (peers, ranges.into_iter().collect())).collect()
}
