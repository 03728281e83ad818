//! Peers that a joint class cannot tell apart, compared once for all of them: there may be very
//! many.
//!
//! What becomes of a pair rests on the rows of both ends, on how meshes see the peer, and on which
//! rules of the policies that select the class name the peer. Peers that have all of this in common
//! are alike.

use super::Compare;
use super::joint::JointId;
use crate::policy::Direction;
use hashbrown::HashMap;
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// The rules that name a peer, with their version.
type Naming = Vec<(usize, u32)>;

/// What tells peers apart whatever class is asked: how meshes see each of their peers and its row,
/// how many of these are of the old version, and who it is where something about it changed.
type Look = (Vec<[usize; 2]>, usize, Option<JointId>);

/// Which peers are asked about.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    /// All workloads and addresses.
    All,
    /// All addresses.
    Outside,
    /// These.
    Some(&'a [JointId]),
}

/// So few peers are compared each by itself: what they have in common takes longer to find.
const FEW: usize = 32;

/// The joint peers, put together by what every class sees of them; worked out where many are asked
/// about.
pub(super) struct Alike<'a> {
    compare: &'a Compare<'a>,
    looks: OnceCell<Looks>,
}

struct Looks {
    /// For each joint peer the number of its look.
    of: Vec<u32>,
    /// The peers of each look, sorted; names outside are left out.
    parts: Vec<Vec<JointId>>,
}

impl<'a> Alike<'a> {
    pub fn of(compare: &'a Compare<'a>) -> Alike<'a> {
        Alike { compare, looks: OnceCell::new() }
    }

    fn looks(&self) -> &Looks {
        self.looks.get_or_init(|| {
            let of = looks(self.compare);
            let mut parts = vec![Vec::new(); of.iter().max().map_or(0, |most| *most as usize + 1)];
            let ids = (0..).zip(&of).filter(|(id, _)| self.compare.joint.domain(*id).is_none());
            ids.for_each(|(id, look)| parts[*look as usize].push(id));
            Looks { of, parts }
        })
    }

    /// The peers by what a joint class makes of them, each group sorted.
    pub fn groups(&self, direction: Direction, class: JointId, asked: Asked<'_>) -> Vec<Vec<JointId>> {
        if let Asked::Some(few) = asked
            && few.len() <= FEW
        {
            return few.iter().map(|id| vec![*id]).collect();
        }
        let (looks, naming) = (self.looks(), self.naming(direction, class, asked));
        let mut groups: BTreeMap<(u32, Option<&Naming>), Vec<JointId>> = BTreeMap::new();
        let mut put = |id: JointId| {
            let key = (looks.of[id as usize], naming.get(&id));
            groups.entry(key).or_default().push(id);
        };
        match asked {
            Asked::Some(peers) => peers.iter().for_each(|id| put(*id)),
            Asked::All | Asked::Outside => {
                let outside = self.compare.joint.classes.len() as JointId;
                let first = if matches!(asked, Asked::All) { 0 } else { outside };
                let mut named: Vec<JointId> = naming.keys().copied().filter(|id| *id >= first).collect();
                named.sort_unstable();
                named.retain(|id| self.compare.joint.domain(*id).is_none());
                named.into_iter().for_each(&mut put);
                for (look, part) in (0..).zip(&looks.parts) {
                    let part = &part[part.partition_point(|id| *id < first)..];
                    let others = part.iter().copied().filter(|id| !naming.contains_key(id));
                    let others: Vec<JointId> = others.collect();
                    if !others.is_empty() {
                        groups.insert((look, None), others);
                    }
                }
            }
        }
        groups.into_values().collect()
    }

    /// Which of the rules that may decide for a class name a peer; peers that none names are left out.
    fn naming(&self, direction: Direction, class: JointId, asked: Asked<'_>) -> HashMap<JointId, Naming> {
        let joint = self.compare.joint;
        let rules = self.compare.causes().rules(direction, class);
        let matches = |version: usize, rule: u32| {
            self.compare.versions[version].graph.rules[rule as usize].matches.as_deref().unwrap_or_default()
        };
        let mut naming: HashMap<JointId, Naming> = HashMap::new();
        match asked {
            Asked::Some(peers) => {
                for id in peers {
                    let own = [0, 1].map(|version| joint.peers(*id, version));
                    let names = |(version, rule): &&(usize, u32)| {
                        own[*version].iter().any(|peer| matches(*version, *rule).binary_search(peer).is_ok())
                    };
                    let named: Naming = rules.iter().filter(names).copied().collect();
                    if !named.is_empty() {
                        naming.insert(*id, named);
                    }
                }
            }
            Asked::All | Asked::Outside => {
                for (version, rule) in rules {
                    let peers = matches(version, rule).iter().flat_map(|peer| joint.of_peer(version, *peer));
                    peers.for_each(|id| naming.entry(*id).or_default().push((version, rule)));
                }
            }
        }
        naming
    }
}

/// Numbers for joint peers: the same for those that look alike in both versions.
fn looks(compare: &Compare<'_>) -> Vec<u32> {
    let alike = compare.versions.map(|version| version.graph.alike_to_meshes());
    let mut numbers: HashMap<Look, u32> = HashMap::new();
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
        let changed = !compare.causes().changed(id).is_empty();
        let fresh = numbers.len() as u32;
        *numbers.entry((seen, in_old, changed.then_some(id))).or_insert(fresh)
    };
    (0..compare.joint.count()).map(number).collect()
}
