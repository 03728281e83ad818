//! Why two ends may or may not talk: the whole walk, as data.
//!
//! It is told by the evaluator itself (`policy::decide_and_tell`), on the steps that made the row,
//! so it cannot say something else than the graph does. Sentences are made in `report`.

use super::build::AllowedGraph;
use super::classes::{Member, PeerId};
use super::edge::Exemption;
use super::mesh_edge::MeshEdge;
use super::rows::Rows;
use crate::model::{AddressSet, DomainPattern, TrafficSet};
use crate::policy::{Action, Decision, Direction, Event, Isolation, Layer, Peers, decide, decide_and_tell};

/// One end of a question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Spot {
    /// A variant of a workload.
    Variant(Member),
    /// Addresses outside, within one atom.
    Outside(AddressSet),
    /// An outside endpoint by a name that rules speak of.
    Domain(DomainPattern),
}

/// The answer for one pair of spots.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Who opens the connection.
    pub from: Spot,
    /// Who is called.
    pub to: Spot,
    /// What was asked for.
    pub asked: TrafficSet,
    /// The part of it that passes.
    pub passing: TrafficSet,
    /// The part of it that is dropped somewhere.
    pub denied: TrafficSet,
    /// The part of what passes of which only some does, by conditions above packets.
    pub narrowed: TrafficSet,
    /// The part that the policies drop at the target, and that may arrive all the same, because
    /// the source may be on the target's own node.
    pub exempt: TrafficSet,
    /// What meshes make of what the network lets through; `None` where they say nothing.
    pub mesh: Option<MeshEdge>,
    /// The walk at the source, then the one at the target.
    pub walks: [Walk; 2],
}

/// What happens at one end.
#[derive(Clone, Debug)]
pub struct Walk {
    /// Egress at the source, ingress at the target.
    pub direction: Direction,
    /// What governs this end.
    pub ground: Ground,
    /// Layer by layer, those that say something.
    pub layers: Vec<LayerWalk>,
    /// What comes of it.
    pub decision: Decision,
}

/// Whether policies say something at an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The end is no endpoint of the cluster: no policy applies to it.
    Outside,
    /// No policy selects it in this direction.
    Unselected,
    /// Some would, and the agents of the network do not reach it.
    LeftOut,
    /// Policies select it.
    Selected,
}

/// The tiers of one layer.
#[derive(Clone, Debug)]
pub struct LayerWalk {
    /// Which layer.
    pub layer: Layer,
    /// Its tiers in order.
    pub tiers: Vec<TierWalk>,
    /// What this layer lets through.
    pub decision: Decision,
}

/// One tier.
#[derive(Clone, Debug)]
pub struct TierWalk {
    /// Its number.
    pub tier: u32,
    /// What of the question comes to it.
    pub arrived: TrafficSet,
    /// All rules of the policies that select the end, in order.
    pub rules: Vec<RuleWalk>,
    /// What no rule decided.
    pub left: TrafficSet,
    /// What becomes of that.
    pub end: Action,
    /// The policies that make the end answer to the end of the tier.
    pub isolating: Vec<u32>,
    /// What goes on to the next tier.
    pub onward: TrafficSet,
}

/// One rule, and what it has to do with the question.
#[derive(Clone, Debug)]
pub struct RuleWalk {
    /// Its number.
    pub rule: u32,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a rule did with the traffic that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It decided this part.
    Took(TrafficSet),
    /// The subject does not meet the rule's own condition.
    OtherSubject,
    /// It denies, and its own condition holds for some addresses of the subject only.
    PartOfSubject,
    /// It does not name the other end.
    OtherPeer,
    /// It denies, and names some addresses of the other end only: it does not close it.
    PartOfPeer,
    /// It names the other end, for other traffic.
    OtherTraffic,
    /// Earlier rules of the tier had decided all of it.
    TakenBefore,
    /// Nothing of it came to this tier.
    NothingArrived,
}

impl Spot {
    /// The number of the peer in a graph; `None` where the graph does not know the name.
    pub fn peer(&self, graph: &AllowedGraph) -> Option<PeerId> {
        match self {
            Spot::Variant(member) => Some(graph.class_of(member.workload as usize, member.variant as usize)),
            Spot::Outside(set) => set.ranges().first().map(|range| graph.atom_of(range.first)),
            Spot::Domain(name) => graph.domains().find(|(_, known)| *known == name).map(|(peer, _)| peer),
        }
    }
}

/// Walks from one spot to the other; `None` where a graph does not know one of them.
pub fn explain(graph: &AllowedGraph, from: &Spot, to: &Spot, asked: &TrafficSet) -> Option<Explanation> {
    let (source, target) = (from.peer(graph)?, to.peer(graph)?);
    let edge = graph.edge(source, target);
    let passing = edge.traffic.intersection(asked);
    let denied = asked.difference(&passing);
    let exempt = match edge.exemption {
        Exemption::None => TrafficSet::none(),
        Exemption::LocalNode => edge.egress.allowed.intersection(&denied),
        Exemption::OwnPods => denied.clone(),
    };
    let narrowed = edge.narrowed().intersection(asked);
    let walks = [
        walk(graph, Direction::Egress, source, target, asked),
        walk(graph, Direction::Ingress, target, source, asked),
    ];
    Some(Explanation {
        from: from.clone(),
        to: to.clone(),
        asked: asked.clone(),
        passing,
        denied,
        narrowed,
        exempt,
        mesh: edge.mesh,
        walks,
    })
}

/// The walk at one end; `asked` only chooses what is told, never what is decided.
pub fn walk(
    graph: &AllowedGraph,
    direction: Direction,
    subject: PeerId,
    peer: PeerId,
    asked: &TrafficSet,
) -> Walk {
    let unselected = |ground| Walk { direction, ground, layers: Vec::new(), decision: decide(&[]) };
    if graph.class(subject).is_none() {
        return unselected(Ground::Outside);
    }
    let policies = &graph.row(subject, direction).policies;
    if policies.is_empty() {
        let left_out = graph.left_out.contains_key(&subject);
        return unselected(if left_out { Ground::LeftOut } else { Ground::Unselected });
    }
    let rows = Rows::of(graph);
    let names = |rule: &u32| {
        let matches = &graph.rules[*rule as usize].matches;
        matches.as_ref().is_none_or(|peers| peers.binary_search(&peer).is_ok())
    };
    let all: Vec<u32> = rows.rules_of(policies).collect();
    let matching: Vec<u32> =
        all.iter().copied().filter(|rule| rows.is_about(*rule, subject) && names(rule)).collect();
    let ports = graph.ports_of(if direction == Direction::Egress { peer } else { subject });
    let tiers = rows.tiers_of(policies);
    let mut layers = Vec::new();
    let decision = rows.decide_layers(&tiers, &matching, ports, &mut |tiers, steps| {
        let mut told: Vec<TierWalk> = tiers.iter().map(|tier| unwalked(graph, policies, *tier)).collect();
        let mut taken: Vec<(u32, TrafficSet)> = Vec::new();
        let decision = decide_and_tell(steps, &mut |event| match event {
            Event::Rule { step: _, rule, takes } => taken.push((rule, takes.intersection(asked))),
            Event::End { step, arrived, left, onward } => {
                told[step].arrived = arrived.intersection(asked);
                told[step].left = left.intersection(asked);
                told[step].onward = onward.intersection(asked);
            }
        });
        for tier in &mut told {
            let of_tier =
                |rule: &&u32| graph.policies[graph.rules[**rule as usize].policy as usize].tier == tier.tier;
            let outcome = |rule: u32| {
                let lowered = &graph.rules[rule as usize].rule;
                let holds_part =
                    |peers: &Peers, end| lowered.action == Action::Deny && graph.classes.may_mean(peers, end);
                if !rows.is_about(rule, subject) {
                    return match holds_part(&lowered.own, subject) {
                        true => Outcome::PartOfSubject,
                        false => Outcome::OtherSubject,
                    };
                }
                let Some((_, takes)) = taken.iter().find(|(number, _)| *number == rule) else {
                    return match holds_part(&lowered.peers, peer) {
                        true => Outcome::PartOfPeer,
                        false => Outcome::OtherPeer,
                    };
                };
                let own = rows.resolve(rule, ports).intersection(asked);
                match (takes.is_empty(), own.is_empty(), own.intersection(&tier.arrived).is_empty()) {
                    (false, _, _) => Outcome::Took(takes.clone()),
                    (true, true, _) => Outcome::OtherTraffic,
                    (true, false, true) => Outcome::NothingArrived,
                    (true, false, false) => Outcome::TakenBefore,
                }
            };
            tier.rules = all
                .iter()
                .filter(of_tier)
                .map(|rule| RuleWalk { rule: *rule, outcome: outcome(*rule) })
                .collect();
        }
        layers.push(LayerWalk {
            layer: graph.tiers[tiers[0].0 as usize].layer,
            tiers: told,
            decision: decision.clone(),
        });
        decision
    });
    Walk { direction, ground: Ground::Selected, layers, decision }
}

fn unwalked(graph: &AllowedGraph, policies: &[u32], (tier, end): (u32, Action)) -> TierWalk {
    let isolates = |number: &&u32| {
        let policy = &graph.policies[**number as usize];
        policy.tier == tier && policy.isolation == Isolation::Isolates
    };
    TierWalk {
        tier,
        arrived: TrafficSet::none(),
        rules: Vec::new(),
        left: TrafficSet::none(),
        end,
        isolating: policies.iter().filter(isolates).copied().collect(),
        onward: TrafficSet::none(),
    }
}

impl Explanation {
    /// Whether anything of the question passes, by the policies or by the exemption of a node.
    pub fn passes(&self) -> bool {
        !self.passing.is_empty() || !self.exempt.is_empty()
    }
}
