//! What a change of configuration does: which pairs open, close, widen, narrow or lose what
//! governs them, each with its cause.
//!
//! Only rows that differ are looked into, and only pairs that such a row touches are compared.

mod cause;
mod joint;
mod kind;
mod mesh_pairs;
mod outside;
mod policies;

pub use cause::{Cause, What};
pub use policies::{PolicyChange, Same};

use super::build::AllowedGraph;
use super::classes::ClassId;
use super::connections::{Sum, names_outside, sum};
use super::declared::Declared;
use super::edge::Row;
use crate::inventory::Inventory;
use crate::model::{AddressRange, AddressSet, DomainPattern, EndpointName, ExpectedProtection, TrafficSet};
use crate::policy::node_encryption::{NodeEncryption, node_encryption};
use crate::policy::{Decision, Direction};
use cause::Causes;
use hashbrown::HashMap;
use joint::{Joint, JointId};
use kind::kind;
use mesh_pairs::MeshPairs;
use outside::Outside;
use policies::Policies;
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// One of the two.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// Who exists.
    pub inventory: &'a Inventory,
    /// Who may talk to whom.
    pub graph: &'a AllowedGraph,
}

/// What the new version does that the old one did not, and the other way round.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// Pairs that changed, in the order of their ends.
    pub pairs: Vec<PairChange>,
    /// Workloads that lost or gained what governs them.
    pub isolation: Vec<IsolationChange>,
    /// Policies that do not say the same in both versions.
    pub policies: Vec<PolicyChange>,
    /// What encrypts between nodes, where that is no longer the same: before, after.
    pub encryption: Option<[Option<NodeEncryption>; 2]>,
    /// Workloads of the new version alone.
    pub appeared: Vec<EndpointName>,
    /// Workloads of the old version alone.
    pub vanished: Vec<EndpointName>,
}

/// One end of a changed pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangedEnd {
    /// Workloads that both versions treat alike, sorted.
    Workloads(Vec<EndpointName>),
    /// Addresses outside.
    External(AddressSet),
    /// An outside endpoint by name.
    Domain(DomainPattern),
}

/// A pair that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairChange {
    /// Who opens the connection.
    pub from: ChangedEnd,
    /// Who is called.
    pub to: ChangedEnd,
    /// In what way.
    pub kind: ChangeKind,
    /// Whether both ends are in both versions.
    pub presence: Presence,
    /// What might travel.
    pub old: TrafficSet,
    /// What may travel.
    pub new: TrafficSet,
    /// The part of what may travel that nothing governs at the target.
    pub unsegmented: TrafficSet,
    /// How it was and is expected to be protected above the network; unknown where no mesh has a say.
    pub protection: [ExpectedProtection; 2],
    /// Why.
    pub causes: Vec<Cause>,
}

/// In what way a pair changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    /// Nothing might travel, and something may.
    Opens,
    /// More may travel.
    Widens,
    /// Some more may travel, and something no longer.
    Shifts,
    /// The same may travel, and some of it no longer under conditions above packets.
    LosesConditions,
    /// The same may travel, with weaker protection.
    LosesProtection,
    /// The same may travel, and some of it is no longer governed at the target.
    Ungoverned,
    /// Something might travel, and nothing may.
    Closes,
    /// Less may travel.
    Narrows,
    /// The same may travel, some of it now under conditions above packets.
    GainsConditions,
    /// The same may travel, with stronger protection.
    GainsProtection,
    /// The same may travel, and something governs it now.
    Governed,
}

/// Whether the ends of a pair are in both versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// They are.
    Both,
    /// One is new.
    Appears,
    /// One is gone.
    Vanishes,
}

/// Workloads whose unmatched traffic meets another end than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsolationChange {
    /// Workloads that both versions treat alike, sorted.
    pub workloads: Vec<EndpointName>,
    /// In which direction.
    pub direction: Direction,
    /// Whether they are isolated now.
    pub now: Isolated,
    /// Why.
    pub causes: Vec<Cause>,
}

/// Whether policies say something of all traffic of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolated {
    /// They do.
    Yes,
    /// What they do not name is open.
    No,
}

/// Compares two versions.
pub fn diff(old: &Version<'_>, new: &Version<'_>) -> Diff {
    let joint = Joint::of(old, new);
    let policies = Policies::of(old, new);
    let compare = Compare { versions: [old, new], joint: &joint, policies: &policies };
    let isolation = compare.isolation();
    let lost: BTreeSet<JointId> = isolation
        .iter()
        .filter(|(_, change)| change.direction == Direction::Ingress)
        .map(|(id, _)| *id)
        .collect();
    let names = |version: &Version<'_>, index: usize| version.inventory.workloads[index].name.clone();
    let members = || joint.classes.iter().flat_map(|class| &class.members);
    let mut appeared: Vec<EndpointName> = members()
        .filter(|(before, _)| before.is_none())
        .filter_map(|(_, n)| n.map(|n| names(new, n)))
        .collect();
    let mut vanished: Vec<EndpointName> = members()
        .filter(|(_, after)| after.is_none())
        .filter_map(|(o, _)| o.map(|o| names(old, o)))
        .collect();
    appeared.sort();
    vanished.sort();
    let encryption = [old, new].map(|version| node_encryption(&version.graph.dataplane));
    Diff {
        encryption: (encryption[0] != encryption[1]).then_some(encryption),
        pairs: compare.pairs(&lost),
        isolation: isolation.into_iter().map(|(_, change)| change).collect(),
        policies: policies.all.iter().filter(|change| !change.is_same()).cloned().collect(),
        appeared,
        vanished,
    }
}

struct Compare<'a> {
    versions: [&'a Version<'a>; 2],
    joint: &'a Joint,
    policies: &'a Policies,
}

/// The joint peers for which a row may say something else; shared by classes with the same rows.
#[derive(Clone)]
enum Touched {
    None,
    Some(Rc<[JointId]>),
    All,
}

impl Compare<'_> {
    fn causes(&self) -> Causes<'_> {
        Causes { versions: self.versions, joint: self.joint, policies: self.policies }
    }

    fn isolation(&self) -> Vec<(JointId, IsolationChange)> {
        let mut changes = Vec::new();
        for (id, class) in (0..).zip(&self.joint.classes) {
            let (Some(old), Some(new)) = (&class.old, &class.new) else { continue };
            for direction in Direction::BOTH {
                let governed = |version: usize, classes: &[ClassId]| {
                    classes.iter().all(|c| self.versions[version].graph.row(*c, direction).is_governed())
                };
                let now = match (governed(0, old), governed(1, new)) {
                    (true, false) => Isolated::No,
                    (false, true) => Isolated::Yes,
                    _ => continue,
                };
                let causes = self.causes().of_isolation(direction, id);
                changes.push((id, IsolationChange { workloads: self.names(id), direction, now, causes }));
            }
        }
        changes
    }

    fn names(&self, id: JointId) -> Vec<EndpointName> {
        let members = self.joint.class(id).map_or(&[][..], |class| &class.members);
        let name = |(old, new): &(Option<usize>, Option<usize>)| {
            let (version, index) = new.map_or((0, *old), |new| (1, Some(new)));
            index.map(|index| self.versions[version].inventory.workloads[index].name.clone())
        };
        let mut names: Vec<EndpointName> = members.iter().filter_map(name).collect();
        names.sort();
        names
    }

    fn end(&self, id: JointId) -> ChangedEnd {
        match (self.joint.atom(id), self.joint.domain(id)) {
            _ if self.joint.class(id).is_some() => ChangedEnd::Workloads(self.names(id)),
            (Some(set), _) => ChangedEnd::External(set.clone()),
            (None, Some(name)) => ChangedEnd::Domain(name.clone()),
            (None, None) => ChangedEnd::External(AddressSet::none()),
        }
    }

    fn pairs(&self, lost: &BTreeSet<JointId>) -> Vec<PairChange> {
        let (mut found, mut outside) = (Vec::new(), BTreeMap::new());
        let meshes = MeshPairs::of(self);
        meshes.changes(lost).into_iter().for_each(|change| merge_outside(change, &mut found, &mut outside));
        for ((from, to), alike) in self.candidates() {
            if meshes.holds(from, to) {
                continue;
            }
            let Some((kind, old, new)) = self.compare(from, to) else { continue };
            if matches!(kind, ChangeKind::Ungoverned | ChangeKind::Governed) && lost.contains(&to) {
                continue;
            }
            let mut change = self.change((from, to), kind, old, new);
            if let Some(alike) = alike {
                let end = if self.joint.atom(from).is_some() { &mut change.from } else { &mut change.to };
                *end = ChangedEnd::External(alike);
            }
            merge_outside(change, &mut found, &mut outside);
        }
        found.extend(outside.into_iter().map(merged));
        found.sort_by(|a, b| (&a.from, &a.to, a.kind).cmp(&(&b.from, &b.to, b.kind)));
        found
    }

    fn change(
        &self,
        (from, to): (JointId, JointId),
        kind: ChangeKind,
        old: Option<Sum>,
        new: Option<Sum>,
    ) -> PairChange {
        let declared = self.declared(to);
        PairChange {
            from: self.end(from),
            to: self.end(to),
            kind,
            presence: self.presence(from, to),
            protection: [0, 1].map(|version: usize| {
                let sum = [&old, &new][version].as_ref();
                sum.map_or(ExpectedProtection::Unknown, |sum| sum.protection(&declared[version]))
            }),
            old: old.map_or_else(TrafficSet::none, |sum| sum.traffic),
            unsegmented: new.as_ref().map_or_else(TrafficSet::none, |sum| sum.unsegmented.clone()),
            new: new.map_or_else(TrafficSet::none, |sum| sum.traffic),
            causes: self.causes().between(from, to),
        }
    }

    /// The ports of a target in each version.
    fn declared(&self, to: JointId) -> [Declared; 2] {
        [0, 1].map(|version: usize| {
            let graph = self.versions[version].graph;
            let members = self.joint.class(to).map_or(&[][..], |class| &class.members);
            let own = members.iter().filter_map(|(old, new)| if version == 0 { *old } else { *new });
            own.fold(Declared::default(), |all, index| all.with(&graph.declared.of_workload(index)))
        })
    }

    fn presence(&self, from: JointId, to: JointId) -> Presence {
        let ends = || [from, to].into_iter().filter_map(|end| self.joint.class(end));
        match (ends().any(|class| class.old.is_none()), ends().any(|class| class.new.is_none())) {
            (true, _) => Presence::Appears,
            (false, true) => Presence::Vanishes,
            (false, false) => Presence::Both,
        }
    }

    /// Pairs that may have changed, sorted; where one end stands for all addresses outside that the
    /// other treats alike, with these.
    fn candidates(&self) -> BTreeMap<(JointId, JointId), Option<AddressSet>> {
        let mut found = BTreeMap::new();
        let outside = OnceCell::new();
        let names = self.joint.count() - self.joint.domains.len() as JointId..self.joint.count();
        for direction in Direction::BOTH {
            let mut memo = HashMap::new();
            for (id, class) in (0..).zip(&self.joint.classes) {
                let mut add = |peer: JointId, alike| {
                    let pair = if direction == Direction::Egress { (id, peer) } else { (peer, id) };
                    found.insert(pair, alike);
                };
                match self.touched(class, direction, &mut memo) {
                    Touched::None => {}
                    Touched::Some(peers) => peers.iter().for_each(|peer| add(*peer, None)),
                    Touched::All => {
                        let outside = outside.get_or_init(|| Outside::of(self));
                        (0..self.joint.classes.len() as JointId).for_each(|peer| add(peer, None));
                        names.clone().for_each(|peer| add(peer, None));
                        let groups = outside.alike(direction, id).into_iter();
                        groups.for_each(|(peer, alike)| add(peer, Some(alike)));
                    }
                }
            }
        }
        let alone = |id: JointId| self.joint.class(id).is_some_and(|class| class.members.len() == 1);
        found.retain(|(from, to), _| !(from == to && alone(*from)));
        found
    }

    fn touched(
        &self,
        class: &joint::JointClass,
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

    fn compare(&self, from: JointId, to: JointId) -> Option<(ChangeKind, Option<Sum>, Option<Sum>)> {
        if self.joint.class(from).is_none()
            && (self.joint.class(to).is_none() || self.joint.domain(from).is_some())
        {
            return None;
        }
        let [old, new] = [0, 1].map(|version: usize| {
            let graph = self.versions[version].graph;
            let sum = sum(graph, &self.joint.peers(from, version), &self.joint.peers(to, version))?;
            let by_name = self.joint.domain(to).is_some();
            (!by_name || sum.because.iter().any(|rule| names_outside(graph, *rule))).then_some(sum)
        });
        let kind = kind(old.as_ref(), new.as_ref(), &self.declared(to))?;
        Some((kind, old, new))
    }
}

/// Whether two decisions let the same through, whatever the numbers of their rules.
fn says_the_same(a: &Decision, b: &Decision) -> bool {
    let Decision { allowed, ungoverned, narrowed, because: _ } = a;
    (allowed, ungoverned, narrowed) == (&b.allowed, &b.ungoverned, &b.narrowed)
}

type OutsideKey = (ChangedEnd, Direction, ChangeKind, [ExpectedProtection; 2], [TrafficSet; 3], Vec<Cause>);

/// Changes with the outside that differ in addresses alone become one; their ranges are put together
/// when all are there, for there may be very many.
fn merge_outside(
    change: PairChange,
    found: &mut Vec<PairChange>,
    outside: &mut BTreeMap<OutsideKey, (PairChange, Vec<AddressRange>)>,
) {
    let (inside, direction, ranges) = match (&change.from, &change.to) {
        (ChangedEnd::External(set), _) => (change.to.clone(), Direction::Ingress, set.ranges().to_vec()),
        (_, ChangedEnd::External(set)) => (change.from.clone(), Direction::Egress, set.ranges().to_vec()),
        _ => return found.push(change),
    };
    let traffic = [change.old.clone(), change.new.clone(), change.unsegmented.clone()];
    let key = (inside, direction, change.kind, change.protection, traffic, change.causes.clone());
    outside.entry(key).or_insert((change, Vec::new())).1.extend(ranges);
}

/// One change with all addresses that it is about.
fn merged((key, (mut change, ranges)): (OutsideKey, (PairChange, Vec<AddressRange>))) -> PairChange {
    let end = if key.1 == Direction::Ingress { &mut change.from } else { &mut change.to };
    *end = ChangedEnd::External(ranges.into_iter().collect());
    change
}
