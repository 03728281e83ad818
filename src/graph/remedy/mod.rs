//! The smallest change that flips a verdict, each one tried before it is proposed.
//!
//! The policies that select one of the two ends are lowered tiers again, in a cluster of these two
//! ends alone; a change is made to them as an object or a rule would make it, the graph is built,
//! and only changes that flip the verdict there are handed on. How they are written down is left
//! to `report`.

mod draft;

use super::build::AllowedGraph;
use super::explain::{Explanation, Outcome, Spot, Walk, explain};
use crate::inventory::{Inventory, Network};
use crate::model::{Labels, Requirement, Selector, Text, TrafficSet};
use crate::policy::fields::is_enforced;
use crate::policy::{Action, Direction, ENGINES, Namespaces, Peer, Population, Selection, TierRank};
use draft::{Draft, Numbers};

/// Changes that flip the verdict together; each of them is needed.
#[derive(Clone, Debug)]
pub struct Remedy {
    /// What it does to the traffic that was asked for.
    pub effect: Effect,
    /// The traffic that it is about.
    pub traffic: TrafficSet,
    /// The changes.
    pub changes: Vec<Change>,
}

/// What a change does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// What was denied passes.
    Opens,
    /// What passed is denied.
    Closes,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A rule no longer names the other end, for the traffic.
    TakeOut {
        /// Its number.
        rule: u32,
        /// Whom to take out.
        peer: Peer,
    },
    /// A policy gets a rule that allows the other end, before its other rules.
    AddRule {
        /// Number of the policy.
        policy: u32,
        /// Whom to name.
        peer: Peer,
    },
    /// A new NetworkPolicy that isolates the end, and allows the other end where one is given.
    AddPolicy {
        /// The end at which it counts.
        direction: Direction,
        /// Namespace of the new object.
        namespace: String,
        /// Name of the new object.
        name: String,
        /// Whom it selects.
        subject: Selection,
        /// Whom it allows.
        peer: Option<Peer>,
    },
}

/// Longer chains of changes are no small change any more.
const MOST_CHANGES: usize = 8;

/// Labels that controllers put on pods; they say nothing about who a pod is.
const GENERATED: &[&str] = &[
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
    "controller-uid",
    "job-name",
    "batch.kubernetes.io/controller-uid",
    "batch.kubernetes.io/job-name",
];

/// Changes that flip what was explained: those that open the denied part, and those that close
/// what passes; smallest first.
pub fn remedies(graph: &AllowedGraph, inventory: &Inventory, answer: &Explanation) -> Vec<Remedy> {
    let Some(bench) = Bench::new(graph, inventory, answer) else { return Vec::new() };
    let mut found = Vec::new();
    if !answer.denied.is_empty() {
        found.extend(bench.open(&answer.denied));
    }
    if !answer.passing.is_empty() {
        let sides = [Direction::Ingress, Direction::Egress];
        let mut closing: Vec<Remedy> =
            sides.into_iter().filter_map(|side| bench.close(side, &answer.passing)).collect();
        closing.sort_by_key(|remedy| remedy.changes.len());
        found.extend(closing);
    }
    found
}

/// The two ends alone, with the policies that select one of them.
struct Bench<'a> {
    graph: &'a AllowedGraph,
    inventory: Inventory,
    ends: [Spot; 2],
    draft: Draft,
    selections: [Option<Selection>; 2],
    peers: [Peer; 2],
}

impl<'a> Bench<'a> {
    fn new(graph: &'a AllowedGraph, inventory: &Inventory, answer: &Explanation) -> Option<Bench<'a>> {
        let mut alone =
            Inventory { workloads: Vec::new(), namespaces: Default::default(), ..inventory.clone() };
        let ends = [&answer.from, &answer.to].map(|spot| match spot {
            Spot::Variant(member) => {
                let workload = &inventory.workloads[member.workload as usize];
                let mut copy = workload.clone();
                copy.variants = vec![workload.variants[member.variant as usize].clone()];
                let namespace = &workload.name.namespace;
                if let Some(known) = inventory.namespaces.get(namespace) {
                    alone.namespaces.insert(namespace.clone(), known.clone());
                }
                alone.workloads.push(copy);
                Spot::Variant(super::Member { workload: alone.workloads.len() as u32 - 1, variant: 0 })
            }
            other => other.clone(),
        });
        let selections = ends.each_ref().map(|end| selection(&alone, end));
        let peers = [0, 1].map(|end: usize| match (&ends[end], &selections[end]) {
            (Spot::Outside(set), _) => Peer::Addresses(set.clone()),
            (Spot::Domain(name), _) => Peer::Domains(vec![name.clone()]),
            (Spot::Variant(_), selection) => {
                selection.clone().map_or_else(|| Peer::All(Vec::new()), Peer::Endpoints)
            }
        });
        let draft = Draft::of(graph, answer);
        let bench = Bench { graph, inventory: alone, ends, draft, selections, peers };
        // Where the small cluster does not answer as the large one, nothing can be tried in it.
        let (now, _) = bench.tried(&bench.draft, &answer.asked)?;
        (now.passing == answer.passing).then_some(bench)
    }

    /// The answer after a change, with the number in the whole graph of each rule.
    fn tried(&self, draft: &Draft, asked: &TrafficSet) -> Option<(Explanation, Numbers)> {
        let (tiers, numbers) = draft.lowered();
        let graph = AllowedGraph::build(&self.inventory, tiers, self.graph.dataplane.clone());
        explain(&graph, &self.ends[0], &self.ends[1], asked).map(|answer| (answer, numbers))
    }

    fn open(&self, wanted: &TrafficSet) -> Option<Remedy> {
        let flips = |answer: &Explanation| answer.denied.is_empty();
        let blocked = |answer: &Explanation, numbers: &Numbers| {
            let blocked = |walk: &&Walk| !wanted.difference(&walk.decision.allowed).is_empty();
            let walk = answer.walks.iter().find(blocked)?;
            self.opening(walk, wanted, numbers)
        };
        self.search(Effect::Opens, wanted, flips, blocked)
    }

    fn close(&self, side: Direction, wanted: &TrafficSet) -> Option<Remedy> {
        let flips = |answer: &Explanation| answer.passing.is_empty();
        let open = |answer: &Explanation, numbers: &Numbers| {
            let walk = answer.walks.iter().find(|walk| walk.direction == side)?;
            self.closing(walk, numbers)
        };
        self.search(Effect::Closes, wanted, flips, open)
    }

    /// Makes one change after the other until the verdict flips; leaves out what was not needed.
    fn search(
        &self,
        effect: Effect,
        traffic: &TrafficSet,
        flips: impl Fn(&Explanation) -> bool,
        next: impl Fn(&Explanation, &Numbers) -> Option<Vec<Change>>,
    ) -> Option<Remedy> {
        let mut changes: Vec<Change> = Vec::new();
        while changes.len() <= MOST_CHANGES {
            let (answer, numbers) = self.tried(&self.changed(&changes, traffic), traffic)?;
            if flips(&answer) {
                let changes = self.needed(changes, traffic, &flips);
                return (!changes.is_empty()).then(|| Remedy { effect, traffic: traffic.clone(), changes });
            }
            let more = next(&answer, &numbers)?;
            if more.is_empty() || more.iter().any(|change| changes.contains(change)) {
                return None;
            }
            changes.extend(more);
        }
        None
    }

    fn needed(
        &self,
        mut changes: Vec<Change>,
        traffic: &TrafficSet,
        flips: &impl Fn(&Explanation) -> bool,
    ) -> Vec<Change> {
        for index in (0..changes.len()).rev() {
            let mut without = changes.clone();
            without.remove(index);
            let answer = self.tried(&self.changed(&without, traffic), traffic);
            if answer.is_some_and(|(answer, _)| flips(&answer)) {
                changes = without;
            }
        }
        changes
    }

    fn changed(&self, changes: &[Change], traffic: &TrafficSet) -> Draft {
        let mut draft = self.draft.clone();
        changes.iter().for_each(|change| draft.make(self.graph, change, traffic));
        draft
    }

    /// The subject and the other end of a direction, by position.
    fn positions(direction: Direction) -> (usize, usize) {
        match direction {
            Direction::Egress => (0, 1),
            Direction::Ingress => (1, 0),
        }
    }

    /// What would open the first thing that blocks at this end.
    fn opening(&self, walk: &Walk, wanted: &TrafficSet, numbers: &Numbers) -> Option<Vec<Change>> {
        let (_, other) = Self::positions(walk.direction);
        let peer = self.peers[other].clone();
        let layer = walk.layers.iter().find(|l| !wanted.difference(&l.decision.allowed).is_empty())?;
        for tier in &layer.tiers {
            let denies = tier.rules.iter().filter_map(|walked| {
                let number = numbers.rules[walked.rule as usize]?;
                let is_deny = self.graph.rules[number as usize].rule.action == Action::Deny;
                (is_deny && matches!(walked.outcome, Outcome::Took(_))).then_some(number)
            });
            let denies: Vec<Change> =
                denies.map(|rule| Change::TakeOut { rule, peer: peer.clone() }).collect();
            if !denies.is_empty() {
                return Some(denies);
            }
            if tier.end == Action::Deny && !tier.left.is_empty() {
                let isolating = tier.isolating.iter().filter_map(|p| numbers.policies[*p as usize]).collect();
                return self.allowing(walk.direction, isolating, peer).map(|change| vec![change]);
            }
        }
        None
    }

    /// A rule for the other end: in a policy that is about this end alone, or in a new one.
    fn allowing(&self, direction: Direction, isolating: Vec<u32>, peer: Peer) -> Option<Change> {
        let narrowest = isolating.into_iter().min_by_key(|number| {
            let info = &self.graph.policies[*number as usize];
            // A policy without rules is there to close: rules belong into one that has some.
            (info.selected.len(), info.rules.is_empty(), *number)
        });
        let policy = narrowest?;
        let info = &self.graph.policies[policy as usize];
        let is_default = self.graph.tiers[info.tier as usize].rank == TierRank::default_tier();
        match self.new_policy(direction, Some(peer.clone())) {
            Some(change) if is_default && info.selected.len() > 1 => Some(change),
            _ => Some(Change::AddRule { policy, peer }),
        }
    }

    /// What would take away the ground on which this end lets it through.
    fn closing(&self, walk: &Walk, numbers: &Numbers) -> Option<Vec<Change>> {
        let (_, other) = Self::positions(walk.direction);
        let peer = &self.peers[other];
        let taken =
            walk.layers.first().map_or(&[][..], |layer| &layer.tiers).iter().flat_map(|tier| &tier.rules);
        let allows = taken.filter_map(|walked| {
            let number = numbers.rules[walked.rule as usize]?;
            let is_allow = self.graph.rules[number as usize].rule.action == Action::Allow;
            (is_allow && matches!(walked.outcome, Outcome::Took(_))).then_some(number)
        });
        let allows: Vec<Change> = allows.map(|rule| Change::TakeOut { rule, peer: peer.clone() }).collect();
        match allows.is_empty() {
            false => Some(allows),
            true => self.new_policy(walk.direction, None).map(|change| vec![change]),
        }
    }

    /// A NetworkPolicy for the end, where the dataplane enforces those and they can say it.
    fn new_policy(&self, direction: Direction, peer: Option<Peer>) -> Option<Change> {
        let kind = self.graph.dataplane.kind;
        let enforced = ENGINES.iter().any(|engine| is_enforced(engine.kinds(), "NetworkPolicy", kind));
        let sayable = match &peer {
            None | Some(Peer::Addresses(_)) => true,
            Some(Peer::Endpoints(selection)) => selection.population == Population::Pods,
            Some(_) => false,
        };
        let (own, other) = Self::positions(direction);
        let subject = self.selections[own].clone().filter(|s| s.population == Population::Pods)?;
        let Spot::Variant(member) = &self.ends[own] else { return None };
        let workload = &self.inventory.workloads[member.workload as usize].name;
        let name = match (&peer, &self.ends[other]) {
            (None, _) => format!("{}-{}", workload.name, direction.word()),
            (Some(_), Spot::Variant(member)) => {
                let other = &self.inventory.workloads[member.workload as usize].name.name;
                match direction {
                    Direction::Ingress => format!("{}-from-{other}", workload.name),
                    Direction::Egress => format!("{}-to-{other}", workload.name),
                }
            }
            (Some(_), _) => format!("{}-{}-outside", workload.name, direction.word()),
        };
        let namespace = workload.namespace.clone();
        (enforced && sayable).then_some(Change::AddPolicy { direction, namespace, name, subject, peer })
    }
}

/// The endpoint by its namespace and labels; `None` for what is no endpoint.
fn selection(inventory: &Inventory, end: &Spot) -> Option<Selection> {
    let Spot::Variant(member) = end else { return None };
    let workload = &inventory.workloads[member.workload as usize];
    let variant = &workload.variants[member.variant as usize];
    let population = match variant.network {
        Network::Pod => Population::Pods,
        Network::Host => Population::HostNetwork,
        Network::HostEndpoint => Population::HostEndpoints,
        Network::Standalone => Population::Standalone,
        Network::Machine => Population::Meshable,
    };
    let namespaces = match workload.name.namespace.is_empty() {
        true => Namespaces::any(),
        false => Namespaces::Named(workload.name.namespace.clone()),
    };
    let endpoints = match variant.network {
        Network::Host => Selector::everything(),
        Network::Pod | Network::HostEndpoint | Network::Standalone | Network::Machine => {
            by_labels(&variant.labels)
        }
    };
    Some(Selection { population, namespaces, endpoints })
}

/// Pods by their labels, those left out that controllers put there.
pub fn by_labels(labels: &Labels) -> Selector {
    let own = labels.iter().filter(|(key, _)| !GENERATED.contains(&key.as_str()));
    let equal = |(key, value): (&Text, &Text)| Requirement::In(key.to_string(), vec![value.to_string()]);
    Selector { requirements: own.map(equal).collect() }
}
