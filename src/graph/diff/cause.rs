//! Why a pair changed: the policies, rules, labels and namespaces behind it.

use super::Version;
use super::joint::{Joint, JointId};
use super::policies::{Policies, PolicyChange, Same};
use crate::graph::MeshEdge;
use crate::graph::classes::PeerId;
use crate::inventory::Variant;
use crate::model::Origin;
use crate::policy::{Direction, Isolation};
use std::collections::{BTreeMap, BTreeSet};

/// What lies behind a change; the origin is where to look.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause {
    /// What happened.
    pub what: What,
    /// Where it stood in the old version.
    pub old: Option<Origin>,
    /// Where it stands in the new version.
    pub new: Option<Origin>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// A policy is new.
    PolicyAdded,
    /// A policy is gone.
    PolicyRemoved,
    /// A policy selects others, or no longer isolates them as before.
    SubjectsChanged,
    /// A policy or its rules are asked in another order.
    OrderChanged,
    /// A rule is new.
    RuleAdded,
    /// A rule is gone.
    RuleRemoved,
    /// A rule says something else.
    RuleChanged,
    /// Labels, accounts or networks of pods changed.
    PodsChanged,
    /// Named ports of pods changed.
    PortsChanged,
    /// Addresses of pods changed.
    AddressesChanged,
    /// Labels of a namespace changed.
    NamespaceChanged,
    /// The workload is new.
    WorkloadAppeared,
    /// The workload is gone.
    WorkloadVanished,
    /// What clients of a mesh send, or its servers accept, changed.
    MeshChanged,
    /// Services, nodes or accounts that rules speak of changed.
    SurroundingsChanged,
}

/// What is needed to look for causes.
pub(super) struct Causes<'a> {
    pub versions: [&'a Version<'a>; 2],
    pub joint: &'a Joint,
    pub policies: &'a Policies,
}

impl Causes<'_> {
    /// The causes of a change between two joint peers, sorted, but for one that is new or gone
    /// ([`Causes::presence`]): that is cause enough, and rules are not asked then.
    pub fn between(&self, from: JointId, to: JointId) -> Vec<Cause> {
        let mut found = BTreeSet::new();
        let both = [from, to].into_iter().all(|end| self.presence(end).is_none());
        if both {
            self.side(Direction::Egress, from, Some(to), &mut found);
            self.side(Direction::Ingress, to, Some(from), &mut found);
        }
        found.extend(self.carried(from, to));
        if found.is_empty() && both {
            found.insert(Cause { what: What::SurroundingsChanged, old: None, new: None });
        }
        found.into_iter().collect()
    }

    /// What carries the pair in one version alone.
    fn carried(&self, from: JointId, to: JointId) -> Vec<Cause> {
        let [old, new] = [0, 1].map(|version: usize| {
            let graph = self.versions[version].graph;
            let (sources, targets) = (self.joint.peers(from, version), self.joint.peers(to, version));
            let mut reasons: BTreeMap<&str, Option<Origin>> = BTreeMap::new();
            for (from, to) in sources.iter().flat_map(|from| targets.iter().map(move |to| (*from, *to))) {
                let legs = |mesh: MeshEdge| mesh.legs.into_iter().chain(mesh.refusals);
                for leg in graph.edge(from, to).mesh.into_iter().flat_map(legs) {
                    let sends = leg.sends.map(|n| &graph.transport().sends[n as usize]);
                    let accepts = leg.accepts.map(|n| &graph.transport().accepts[n as usize]);
                    reasons.extend(sends.map(|sending| (sending.why.as_str(), sending.origin.clone())));
                    reasons.extend(accepts.map(|accept| (accept.why.as_str(), accept.origin.clone())));
                    let relay = leg.via.map(|via| &graph.transport().relays[via.relay as usize]);
                    reasons.extend(relay.map(|relay| (relay.why.as_str(), relay.origin.clone())));
                }
            }
            reasons
        });
        let only = |a: &BTreeMap<&str, Option<Origin>>, b: &BTreeMap<&str, Option<Origin>>| {
            let gone = a.iter().filter(|(why, _)| !b.contains_key(*why));
            gone.filter_map(|(_, origin)| origin.clone()).collect::<Vec<Origin>>()
        };
        let cause = |old, new| Cause { what: What::MeshChanged, old, new };
        let gone = only(&old, &new).into_iter().map(|origin| cause(Some(origin), None));
        gone.chain(only(&new, &old).into_iter().map(|origin| cause(None, Some(origin)))).collect()
    }

    /// The causes of a change in what governs a joint class.
    pub fn of_isolation(&self, direction: Direction, subject: JointId) -> Vec<Cause> {
        let mut found = BTreeSet::new();
        self.side(direction, subject, None, &mut found);
        found.into_iter().collect()
    }

    /// That the workloads of a joint class are new, or gone.
    pub fn presence(&self, end: JointId) -> Option<Cause> {
        let (old, new) = *self.joint.class(end)?.members.first()?;
        let origin = |version: usize, index: Option<usize>| {
            index.map(|index| self.versions[version].inventory.workloads[index].origin.clone())
        };
        let what = match (old, new) {
            (None, _) => What::WorkloadAppeared,
            (_, None) => What::WorkloadVanished,
            (Some(_), Some(_)) => return None,
        };
        Some(Cause { what, old: origin(0, old), new: origin(1, new) })
    }

    /// The policies of each version that select a joint class.
    fn selecting(&self, direction: Direction, subject: JointId) -> [BTreeSet<u32>; 2] {
        [0, 1].map(|version: usize| {
            let classes = self.joint.peers(subject, version);
            let graph = self.versions[version].graph;
            let of_class = |class| {
                let mesh = if direction == Direction::Ingress { graph.mesh_policies(class) } else { &[] };
                graph.row(class, direction).policies.iter().chain(mesh).copied()
            };
            classes.into_iter().flat_map(of_class).collect()
        })
    }

    /// What became of those policies, each once.
    fn touched(&self, selecting: &[BTreeSet<u32>; 2]) -> BTreeSet<usize> {
        let each = |version: usize| selecting[version].iter().map(move |number| (version, *number));
        let all = each(0).chain(each(1));
        all.map(|(version, number)| self.policies.of[version][number as usize]).collect()
    }

    /// All that a joint class's decisions and their causes can rest on: the rules, in both versions, of
    /// each policy that selects it in one, with the version.
    pub fn rules(&self, direction: Direction, subject: JointId) -> Vec<(usize, u32)> {
        let mut rules = Vec::new();
        for index in self.touched(&self.selecting(direction, subject)) {
            let change = &self.policies.all[index];
            for (version, number) in [(0, change.old), (1, change.new)] {
                let policies = &self.versions[version].graph.policies;
                let own = number.map(|number| policies[number as usize].rules.clone());
                rules.extend(own.into_iter().flatten().map(|rule| (version, rule)));
            }
        }
        rules
    }

    fn side(
        &self,
        direction: Direction,
        subject: JointId,
        peer: Option<JointId>,
        found: &mut BTreeSet<Cause>,
    ) {
        if self.joint.class(subject).is_none() {
            return;
        }
        let selecting = self.selecting(direction, subject);
        let touched = self.touched(&selecting);
        let peers = [0, 1].map(|version| peer.map(|peer| self.joint.peers(peer, version)));
        for index in touched {
            let change = &self.policies.all[index];
            let selects = [
                change.old.is_some_and(|n| selecting[0].contains(&n)),
                change.new.is_some_and(|n| selecting[1].contains(&n)),
            ];
            self.policy(change, selects, &peers, found);
            if change.is_same() && selects[0] != selects[1] {
                found.extend(self.changed(subject));
            } else if self.names_otherwise(change, &peers) {
                found.extend(peer.into_iter().flat_map(|peer| self.changed(peer)));
            }
        }
        // Named ports are those of the target, whichever side asks for them.
        let target = if direction == Direction::Ingress { Some(subject) } else { peer };
        if found.is_empty() {
            found.extend(target.into_iter().flat_map(|target| self.changed(target)));
        }
    }

    fn policy(
        &self,
        change: &PolicyChange,
        selects: [bool; 2],
        peers: &[Option<Vec<PeerId>>; 2],
        found: &mut BTreeSet<Cause>,
    ) {
        let policy = |version: usize, number: Option<u32>| {
            number.map(|number| &self.versions[version].graph.policies[number as usize])
        };
        let (old, new) = (policy(0, change.old), policy(1, change.new));
        let origin = |info: Option<&crate::graph::PolicyInfo>| info.map(|info| info.origin.clone());
        let matters = |version: usize, info: &crate::graph::PolicyInfo| {
            info.isolation == Isolation::Isolates
                || info.rules.clone().any(|rule| self.names(version, rule, peers))
        };
        let what = match (old, new) {
            (None, Some(info)) if matters(1, info) => Some(What::PolicyAdded),
            (Some(info), None) if matters(0, info) => Some(What::PolicyRemoved),
            (Some(_), Some(_)) if change.subjects == Same::No => Some(What::SubjectsChanged),
            (Some(_), Some(_)) if change.place == Same::No => Some(What::OrderChanged),
            _ => None,
        };
        found.extend(what.map(|what| Cause { what, old: origin(old), new: origin(new) }));
        if selects != [true, true] || peers[0].is_none() {
            return;
        }
        let rule = |version: usize, number: u32| {
            self.versions[version].graph.rules[number as usize].rule.origin.clone()
        };
        let added = change.added.iter().filter(|number| self.names(1, **number, peers));
        found.extend(added.map(|n| Cause { what: What::RuleAdded, old: None, new: Some(rule(1, *n)) }));
        let removed = change.removed.iter().filter(|number| self.names(0, **number, peers));
        found.extend(removed.map(|n| Cause { what: What::RuleRemoved, old: Some(rule(0, *n)), new: None }));
        let changed =
            change.changed.iter().filter(|(a, b)| self.names(0, *a, peers) || self.names(1, *b, peers));
        found.extend(changed.map(|(a, b)| Cause {
            what: What::RuleChanged,
            old: Some(rule(0, *a)),
            new: Some(rule(1, *b)),
        }));
    }

    /// Whether a rule names one of the peers; where none are given, whether it could matter at all.
    fn names(&self, version: usize, rule: u32, peers: &[Option<Vec<PeerId>>; 2]) -> bool {
        let matches = &self.versions[version].graph.rules[rule as usize].matches;
        match (&peers[version], matches) {
            (None, _) | (_, None) => true,
            (Some(peers), Some(matches)) => peers.iter().any(|peer| matches.binary_search(peer).is_ok()),
        }
    }

    /// Whether a rule that says the same names the peer in one version alone.
    fn names_otherwise(&self, change: &PolicyChange, peers: &[Option<Vec<PeerId>>; 2]) -> bool {
        let differs = |(a, b): &(u32, u32)| self.names(0, *a, peers) != self.names(1, *b, peers);
        peers[0].is_some() && change.kept.iter().any(differs)
    }

    /// What changed about the workloads of a joint class.
    pub fn changed(&self, end: JointId) -> Vec<Cause> {
        let Some(class) = self.joint.class(end) else { return Vec::new() };
        let Some((Some(old), Some(new))) = class.members.first() else { return Vec::new() };
        let [before, after] = self.versions;
        let (a, b) = (&before.inventory.workloads[*old], &after.inventory.workloads[*new]);
        let mut causes = Vec::new();
        let mut add = |what, a: &Origin, b: &Origin| {
            causes.push(Cause { what, old: Some(a.clone()), new: Some(b.clone()) });
        };
        let differs = |same: fn(&Variant, &Variant) -> bool| {
            let pairs = a.variants.iter().zip(&b.variants);
            a.variants.len() != b.variants.len() || !pairs.into_iter().all(|(a, b)| same(a, b))
        };
        if differs(|a, b| {
            (&a.labels, a.network, &a.service_account, &a.profiles)
                == (&b.labels, b.network, &b.service_account, &b.profiles)
        }) {
            add(What::PodsChanged, &a.origin, &b.origin);
        }
        if differs(|a, b| a.ports == b.ports) {
            add(What::PortsChanged, &a.origin, &b.origin);
        }
        if differs(|a, b| a.addresses == b.addresses) {
            add(What::AddressesChanged, &a.origin, &b.origin);
        }
        let namespace = |version: &Version<'_>| version.inventory.namespaces.get(&a.name.namespace).cloned();
        if let (Some(x), Some(y)) = (namespace(before), namespace(after))
            && x.labels != y.labels
        {
            causes.push(Cause { what: What::NamespaceChanged, old: x.origin, new: y.origin });
        }
        causes
    }
}
