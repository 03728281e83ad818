//! Which pairs may have changed, and what became of them: only pairs are compared that a row which
//! differs, or a mesh, touches, and of those that are alike only one.

use super::alike::{Alike, Asked};
use super::joint::{JointClass, JointId};
use super::merged::{Ends, Merged, Outcome};
use super::{ChangeKind, Compare, Crossing, PairChange, Presence};
use crate::graph::classes::ClassId;
use crate::graph::edge::Row;
use crate::model::{ExpectedProtection, TrafficSet};
use crate::policy::{Decision, Direction};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// The joint peers for which a row may say something else; shared by classes with the same rows.
#[derive(Clone)]
enum Touched {
    None,
    Some(Rc<[JointId]>),
    All,
}

/// Workloads whose connections may have changed, whatever became of their targets.
#[derive(Default)]
struct Senders {
    /// Of each joint class: whether a mesh carries what goes in and out, so that every pair has to be
    /// looked at.
    meshed: Vec<bool>,
    /// Sorted.
    to_all: Vec<JointId>,
    to_some: HashMap<JointId, Vec<JointId>>,
}

/// The peers whose connections into one class may have changed.
enum Sources {
    All,
    Some(Vec<JointId>),
}

impl Sources {
    fn asked(&self) -> Asked<'_> {
        match self {
            Sources::All => Asked::All,
            Sources::Some(peers) => Asked::Some(peers),
        }
    }
}

impl Senders {
    /// Those that may have changed into one class, where so much changed for what it takes.
    fn to(&self, class: JointId, taking: Touched) -> Sources {
        let taken = match taking {
            Touched::All => return Sources::All,
            _ if self.meshed[class as usize] => return Sources::All,
            Touched::None => &[][..],
            Touched::Some(ref peers) => peers,
        };
        let some = self.to_some.get(&class).into_iter().flatten();
        let mut all: Vec<JointId> = taken.iter().chain(&self.to_all).chain(some).copied().collect();
        all.sort_unstable();
        all.dedup();
        Sources::Some(all)
    }
}

impl Compare<'_> {
    pub fn pairs(&self, lost: &BTreeSet<JointId>) -> Vec<PairChange> {
        let alike = Alike::of(self);
        let mut merged = Merged::new(self);
        let classes = || (0..).zip(&self.joint.classes);
        let mut memo = HashMap::new();
        let sending: Vec<Touched> =
            classes().map(|(_, class)| self.touched(class, Direction::Egress, &mut memo)).collect();
        let senders = self.senders(&sending);
        let mut memo = HashMap::new();
        for (to, class) in classes() {
            let taking = self.touched(class, Direction::Ingress, &mut memo);
            let sources = senders.to(to, taking);
            let mut groups = alike.groups(Direction::Ingress, to, sources.asked());
            groups.iter_mut().for_each(|from| from.retain(|id| *id != to || !self.is_alone(to)));
            let outcome = |from| self.outcome(from, to, lost);
            for (outcome, from) in by_outcome(groups, outcome, |from| self.crossing(from, to)) {
                merged.towards(to, outcome, from);
            }
        }
        for ((from, _), touched) in classes().zip(&sending) {
            self.to_outside(from, touched, lost, &alike, &mut merged);
        }
        merged.changes()
    }

    /// What changes for a joint class on the way to addresses and names outside.
    fn to_outside(
        &self,
        from: JointId,
        touched: &Touched,
        lost: &BTreeSet<JointId>,
        alike: &Alike<'_>,
        merged: &mut Merged<'_>,
    ) {
        let outside = self.joint.classes.len() as JointId;
        let (groups, names): (Vec<Vec<JointId>>, Vec<JointId>) = match touched {
            Touched::None => return,
            Touched::Some(peers) => {
                let (names, atoms): (Vec<JointId>, Vec<JointId>) = peers
                    .iter()
                    .filter(|id| **id >= outside)
                    .partition(|id| self.joint.domain(**id).is_some());
                (alike.groups(Direction::Egress, from, Asked::Some(&atoms)), names)
            }
            Touched::All => {
                let names = self.joint.count() - self.joint.domains.len() as JointId..self.joint.count();
                (alike.groups(Direction::Egress, from, Asked::Outside), names.collect())
            }
        };
        let outcome = |atom| self.outcome(from, atom, lost);
        for (outcome, atoms) in by_outcome(groups, outcome, |_| Crossing::Outside) {
            merged.outwards(from, outcome, Ends::External(self.addresses(&atoms)));
        }
        for id in names {
            if let (Some(name), Some(outcome)) = (self.joint.domain(id), self.outcome(from, id, lost)) {
                merged.outwards(from, outcome, Ends::Domain(name.clone()));
            }
        }
    }

    /// What becomes of a pair; `None` where nothing does, or where it is told of the target already.
    fn outcome(&self, from: JointId, to: JointId, lost: &BTreeSet<JointId>) -> Option<Outcome> {
        let (kind, old, new) = self.compare(from, to)?;
        if matches!(kind, ChangeKind::Ungoverned | ChangeKind::Governed) && lost.contains(&to) {
            return None;
        }
        let declared = self.declared(to);
        let protection = [0, 1].map(|version: usize| {
            let sum = [&old, &new][version].as_ref();
            sum.map_or(ExpectedProtection::Unknown, |sum| sum.protection(&declared[version]))
        });
        let unsegmented = new.as_ref().map_or_else(TrafficSet::none, |sum| sum.unsegmented.clone());
        let [old, new] = [old, new].map(|sum| sum.map_or_else(TrafficSet::none, |sum| sum.traffic));
        Some(Outcome {
            kind,
            presence: self.presence(from, to),
            crossing: self.crossing(from, to),
            protection,
            traffic: [old, new, unsegmented],
            causes: self.causes().between(from, to),
        })
    }

    /// Whose connections may have changed because of something at their sources.
    fn senders(&self, sending: &[Touched]) -> Senders {
        let joint = self.joint;
        let meshed = |id: JointId| {
            joint.class(id).is_some()
                && [0, 1].into_iter().any(|version: usize| {
                    let graph = self.versions[version].graph;
                    joint.peers(id, version).into_iter().any(|class| graph.is_meshed(class))
                })
        };
        let mut senders = Senders {
            meshed: (0..joint.classes.len() as JointId).map(meshed).collect(),
            ..Senders::default()
        };
        for (from, touched) in (0..).zip(sending) {
            match touched {
                Touched::All => senders.to_all.push(from),
                _ if senders.meshed[from as usize] => senders.to_all.push(from),
                Touched::None => {}
                Touched::Some(peers) => {
                    peers.iter().for_each(|to| senders.to_some.entry(*to).or_default().push(from));
                }
            }
        }
        senders
    }

    fn touched(
        &self,
        class: &JointClass,
        direction: Direction,
        memo: &mut HashMap<(*const Row, *const Row), Touched>,
    ) -> Touched {
        let (Some(old), Some(new)) = (&class.old, &class.new) else { return Touched::All };
        let row = |version: usize, class: ClassId| self.versions[version].graph.row(class, direction);
        let mut touched = Touched::None;
        for a in old {
            for b in new {
                let (a, b) = (row(0, *a), row(1, *b));
                let known = memo.entry((std::ptr::from_ref(a), std::ptr::from_ref(b)));
                let more = known.or_insert_with(|| self.rows(a, b)).clone();
                touched = match (touched, more) {
                    (Touched::All, _) | (_, Touched::All) => Touched::All,
                    (Touched::None, other) | (other, Touched::None) => other,
                    (Touched::Some(x), Touched::Some(y)) => {
                        Touched::Some(x.iter().chain(y.iter()).copied().collect())
                    }
                };
            }
        }
        touched
    }

    /// The joint peers for which two rows may say something else.
    fn rows(&self, old: &Row, new: &Row) -> Touched {
        let mut named: HashMap<JointId, [bool; 2]> = HashMap::new();
        for (version, row) in [old, new].into_iter().enumerate() {
            for (peer, _) in &row.named {
                for id in self.joint.of_peer(version, *peer) {
                    named.entry(*id).or_default()[version] = true;
                }
            }
        }
        let rest = says_the_same(&old.rest, &new.rest);
        if !rest {
            return Touched::All;
        }
        let differs = |id: &JointId| {
            let (before, after) = (self.joint.peers(*id, 0), self.joint.peers(*id, 1));
            let pairs = before.iter().flat_map(|a| after.iter().map(move |b| (*a, *b)));
            // A name that one version alone knows is compared as a pair.
            let unknown = before.is_empty() || after.is_empty();
            unknown || !pairs.into_iter().all(|(a, b)| says_the_same(old.decision(a), new.decision(b)))
        };
        let touched: Vec<JointId> = named.into_keys().filter(differs).collect();
        match touched.is_empty() {
            true => Touched::None,
            false => Touched::Some(touched.into()),
        }
    }
}

/// Peers that are alike, put together by what becomes of the first of each group, and by how far away
/// each is; sorted.
fn by_outcome(
    groups: Vec<Vec<JointId>>,
    outcome: impl Fn(JointId) -> Option<Outcome>,
    crossing: impl Fn(JointId) -> Crossing,
) -> BTreeMap<Outcome, Vec<JointId>> {
    let mut outcomes: BTreeMap<Outcome, Vec<JointId>> = BTreeMap::new();
    for peers in groups {
        let Some(outcome) = peers.first().and_then(|first| outcome(*first)) else { continue };
        // How far apart workloads are counts where something opens between such as were there before.
        let counts = outcome.kind.opens() && outcome.presence == Presence::Both;
        let crossing = |peer| match crossing(peer) {
            Crossing::Within | Crossing::Between if !counts => Crossing::Any,
            known => known,
        };
        let mut apart: BTreeMap<Crossing, Vec<JointId>> = BTreeMap::new();
        peers.into_iter().for_each(|peer| apart.entry(crossing(peer)).or_default().push(peer));
        for (crossing, peers) in apart {
            outcomes.entry(Outcome { crossing, ..outcome.clone() }).or_default().extend(peers);
        }
    }
    outcomes.values_mut().for_each(|peers| peers.sort_unstable());
    outcomes
}

/// Whether two decisions let the same through, whatever the numbers of their rules.
fn says_the_same(a: &Decision, b: &Decision) -> bool {
    let Decision { allowed, ungoverned, narrowed, because: _ } = a;
    (allowed, ungoverned, narrowed) == (&b.allowed, &b.ungoverned, &b.narrowed)
}
