//! What a change of configuration does: which pairs open, close, widen, narrow or lose what
//! governs them, each with its cause.
//!
//! Only rows that differ are looked into, and only pairs that such a row touches are compared.

mod alike;
mod cause;
mod joint;
mod kind;
mod merged;
mod pairs;
mod policies;

pub use cause::{Cause, What};
pub use policies::{PolicyChange, Same};

use super::build::AllowedGraph;
use super::classes::ClassId;
use super::connections::{Sum, Sums, names_outside, sum};
use super::declared::Declared;
use crate::inventory::Inventory;
use crate::model::{AddressSet, DomainPattern, EndpointName, ExpectedProtection, TrafficSet};
use crate::policy::Direction;
use crate::policy::node_encryption::{NodeEncryption, node_encryption};
use cause::Causes;
use joint::{Joint, JointId};
use kind::kind;
use policies::Policies;
use std::collections::BTreeSet;

/// One of the two.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    /// Who exists.
    pub inventory: &'a Inventory,
    /// Who may talk to whom.
    pub graph: &'a AllowedGraph,
    /// For each workload the segment that it lies in, by a number that both versions have for it;
    /// `None` where it lies in several.
    pub homes: &'a [Option<u32>],
}

/// What the new version does that the old one did not, and the other way round.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// Pairs that changed, those that changed alike together, in the order of their ends.
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
    /// Workloads, sorted.
    Workloads(Vec<EndpointName>),
    /// Addresses outside.
    External(AddressSet),
    /// An outside endpoint by name.
    Domain(DomainPattern),
}

/// Pairs that changed alike: each of the one end with each of the other, and no workload with
/// itself.
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
    /// How far apart the ends of each pair are.
    pub crossing: Crossing,
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

impl PairChange {
    /// How many pairs of single workloads it holds for; what is outside counts as one.
    #[must_use]
    pub fn paths(&self) -> usize {
        match (&self.from, &self.to) {
            (ChangedEnd::Workloads(from), ChangedEnd::Workloads(to)) => {
                let both = from.iter().filter(|name| to.binary_search(name).is_ok()).count();
                from.len() * to.len() - both
            }
            (ChangedEnd::Workloads(names), _) | (_, ChangedEnd::Workloads(names)) => names.len(),
            _ => 1,
        }
    }
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

impl ChangeKind {
    /// Whether something is open after it that was not before.
    pub fn opens(self) -> bool {
        use ChangeKind::{LosesConditions, Opens, Shifts, Widens};
        matches!(self, Opens | Widens | Shifts | LosesConditions)
    }
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

/// How far apart the ends of a pair are: in the new version, or in the old one where they are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Crossing {
    /// Both lie in one segment.
    Within,
    /// They lie in two segments, or one of them lies in several.
    Between,
    /// One is no workload.
    Outside,
    /// The one or the other, where it makes no difference to how bad the change is.
    Any,
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
    let sums = [old, new].map(|version| Sums::of(version.graph));
    let compare = Compare { versions: [old, new], joint: &joint, policies: &policies, sums };
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
    /// What pairs of classes let through in each version.
    sums: [Sums<'a>; 2],
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

    /// Whether a joint class is one workload, which has no connection with itself.
    fn is_alone(&self, id: JointId) -> bool {
        self.joint.class(id).is_some_and(|class| class.members.len() == 1)
    }

    /// All addresses of some joint atoms.
    fn addresses(&self, atoms: &[JointId]) -> AddressSet {
        let sets = atoms.iter().filter_map(|id| self.joint.atom(*id));
        sets.flat_map(|set| set.ranges().iter().copied()).collect()
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

    fn crossing(&self, from: JointId, to: JointId) -> Crossing {
        match (self.joint.class(from), self.joint.class(to)) {
            (Some(from), Some(to)) if from.home.is_some() && from.home == to.home => Crossing::Within,
            (Some(_), Some(_)) => Crossing::Between,
            _ => Crossing::Outside,
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
            let peers = |id| self.joint.peers(id, version);
            let sum = sum(&self.sums[version], &peers(from), &peers(to))?;
            let by_name = self.joint.domain(to).is_some();
            (!by_name || sum.because.iter().any(|rule| names_outside(graph, *rule))).then_some(sum)
        });
        let kind = kind(old.as_ref(), new.as_ref(), &self.declared(to))?;
        Some((kind, old, new))
    }
}
