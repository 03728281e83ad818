//! Addresses outside that a class treats alike, compared once: there may be very many.

use super::Compare;
use super::joint::JointId;
use crate::model::{AddressRange, AddressSet};
use crate::policy::Direction;
use std::collections::BTreeMap;

/// The rules that name an address, with their version.
type Naming = Vec<(usize, u32)>;

/// The joint atoms, put together by how the meshes of both versions see them.
pub(super) struct Outside<'a> {
    compare: &'a Compare<'a>,
    parts: Vec<Part>,
}

/// Atoms that no mesh tells apart.
struct Part {
    /// Sorted.
    atoms: Vec<JointId>,
    addresses: AddressSet,
}

impl<'a> Outside<'a> {
    pub fn of(compare: &'a Compare<'a>) -> Outside<'a> {
        let alike = compare.versions.map(|version| version.graph.alike_to_meshes());
        let mut parts: BTreeMap<[u32; 2], (Vec<JointId>, Vec<AddressRange>)> = BTreeMap::new();
        for (id, (peers, addresses)) in (compare.joint.classes.len() as JointId..).zip(&compare.joint.atoms) {
            let seen = [0, 1].map(|version: usize| alike[version][peers[version] as usize]);
            let (atoms, ranges) = parts.entry(seen).or_default();
            atoms.push(id);
            ranges.extend(addresses.ranges());
        }
        let part = |(atoms, ranges): (_, Vec<_>)| Part { atoms, addresses: ranges.into_iter().collect() };
        Outside { compare, parts: parts.into_values().map(part).collect() }
    }

    /// The atoms by what a joint class makes of them: one of each group, and the addresses of all.
    ///
    /// Two are alike where the same rules of all policies that select the class name them.
    pub fn alike(&self, direction: Direction, class: JointId) -> Vec<(JointId, AddressSet)> {
        let naming = self.naming(direction, class);
        self.parts.iter().flat_map(|part| self.within(part, &naming)).collect()
    }

    fn within(&self, part: &Part, naming: &BTreeMap<JointId, Naming>) -> Vec<(JointId, AddressSet)> {
        let mut groups: BTreeMap<&Naming, (JointId, Vec<AddressRange>)> = BTreeMap::new();
        for (id, rules) in naming.iter().filter(|(id, _)| part.atoms.binary_search(id).is_ok()) {
            let ranges = self.compare.joint.atom(*id).map_or(&[][..], AddressSet::ranges);
            groups.entry(rules).or_insert_with(|| (*id, Vec::new())).1.extend(ranges);
        }
        let named: AddressSet = groups.values().flat_map(|(_, ranges)| ranges).copied().collect();
        let other = part.atoms.iter().find(|id| !naming.contains_key(*id));
        let others = other.map(|id| (*id, part.addresses.difference(&named)));
        let named = groups.into_values().map(|(id, ranges)| (id, ranges.into_iter().collect()));
        named.chain(others).collect()
    }

    /// The atoms that rules name which may decide for a class.
    fn naming(&self, direction: Direction, class: JointId) -> BTreeMap<JointId, Naming> {
        let joint = self.compare.joint;
        let mut naming: BTreeMap<JointId, Naming> = BTreeMap::new();
        for (version, rule) in self.compare.causes().rules(direction, class) {
            let matches = &self.compare.versions[version].graph.rules[rule as usize].matches;
            let peers = matches.iter().flatten().flat_map(|peer| joint.of_peer(version, *peer));
            for id in peers.filter(|id| joint.atom(**id).is_some()) {
                naming.entry(*id).or_default().push((version, rule));
            }
        }
        naming
    }
}
