//! The policies of two ends as something that changes can be made to, and tiers again afterwards.

use super::Change;
use crate::graph::build::AllowedGraph;
use crate::graph::explain::Explanation;
use crate::model::{Origin, TrafficSet};
use crate::policy::{
    Action, Direction, Isolation, Layer, Peer, Peers, Policy, PolicyOrder, Rule, Tier, TierRank, TrafficMatch,
};
use std::sync::Arc;

/// Policies that changes can be made to; numbers are those of the whole graph.
#[derive(Clone, Default)]
pub(super) struct Draft(Vec<DraftPolicy>);

#[derive(Clone)]
struct DraftPolicy {
    number: Option<u32>,
    place: (Layer, Direction, TierRank),
    unmatched: Action,
    policy: Policy,
    rules: Vec<Option<u32>>,
}

/// Numbers in the whole graph of what a tried graph numbers anew.
pub(super) struct Numbers {
    pub policies: Vec<Option<u32>>,
    pub rules: Vec<Option<u32>>,
}

impl Draft {
    pub(super) fn of(graph: &AllowedGraph, answer: &Explanation) -> Draft {
        let ends = [(&answer.from, Direction::Egress), (&answer.to, Direction::Ingress)];
        let selecting = ends.into_iter().filter_map(|(spot, direction)| {
            let class = spot.peer(graph).filter(|peer| graph.class(*peer).is_some())?;
            Some(graph.row(class, direction).policies.clone())
        });
        let mut numbers: Vec<u32> = selecting.flatten().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let policy = |number: u32| {
            let info = &graph.policies[number as usize];
            let tier = &graph.tiers[info.tier as usize];
            DraftPolicy {
                number: Some(number),
                place: (tier.layer, tier.direction, tier.rank.clone()),
                unmatched: tier.unmatched,
                policy: Policy {
                    subjects: info.subjects.clone(),
                    isolation: info.isolation,
                    order: info.order.clone(),
                    rules: info
                        .rules
                        .clone()
                        .map(|rule| Rule::clone(&graph.rules[rule as usize].rule))
                        .collect(),
                    origin: info.origin.clone(),
                },
                rules: info.rules.clone().map(Some).collect(),
            }
        };
        Draft(numbers.into_iter().map(policy).collect())
    }

    pub(super) fn make(&mut self, graph: &AllowedGraph, change: &Change, traffic: &TrafficSet) {
        match change {
            Change::TakeOut { rule, peer } => self.take_out(*rule, peer, traffic),
            Change::AddRule { policy, peer } => {
                let Some(found) = self.0.iter_mut().find(|p| p.number == Some(*policy)) else { return };
                let origin = found.policy.origin.clone();
                found.policy.rules.insert(0, allow(peer, traffic, origin));
                found.rules.insert(0, None);
            }
            Change::AddPolicy { direction, namespace, name, subject, peer } => {
                let rules: Vec<Rule> =
                    peer.iter().map(|peer| allow(peer, traffic, new_origin(namespace, name))).collect();
                let tie = format!("{name}/{namespace}/NetworkPolicy");
                let default = TierRank::default_tier();
                let known = graph
                    .tiers
                    .iter()
                    .find(|t| (t.layer, t.direction) == (Layer::Network, *direction) && t.rank == default);
                self.0.push(DraftPolicy {
                    number: None,
                    place: (Layer::Network, *direction, default),
                    unmatched: known.map_or(Action::Deny, |tier| tier.unmatched),
                    rules: vec![None; rules.len()],
                    policy: Policy {
                        subjects: vec![subject.clone()],
                        isolation: Isolation::Isolates,
                        order: PolicyOrder::new(PolicyOrder::NETWORK_POLICY, tie),
                        rules,
                        origin: new_origin(namespace, name),
                    },
                });
            }
        }
    }

    /// The rule without the peer, and for the peer what the rule says of other traffic.
    fn take_out(&mut self, number: u32, peer: &Peer, traffic: &TrafficSet) {
        for draft in &mut self.0 {
            while let Some(index) = draft.rules.iter().position(|rule| *rule == Some(number)) {
                let rule = draft.policy.rules.remove(index);
                draft.rules.remove(index);
                let others = match &rule.peers {
                    Peers::Everyone => Peers::Among(vec![Peer::Not(Box::new(peer.clone()))]),
                    Peers::Among(peers) => {
                        let without =
                            |one: &Peer| Peer::All(vec![one.clone(), Peer::Not(Box::new(peer.clone()))]);
                        Peers::Among(peers.iter().map(without).collect())
                    }
                };
                let rest = rule.traffic.fixed.difference(traffic);
                let for_peer = Rule {
                    peers: Peers::Among(vec![peer.clone()]),
                    traffic: TrafficMatch { fixed: rest, ..TrafficMatch::default() },
                    ..rule.clone()
                };
                draft.policy.rules.splice(index..index, [Rule { peers: others, ..rule }, for_peer]);
                draft.rules.splice(index..index, [None, None]);
            }
        }
    }

    /// As tiers in their order, and the numbers that they had.
    pub(super) fn lowered(&self) -> (Vec<Tier>, Numbers) {
        let mut sorted: Vec<&DraftPolicy> = self.0.iter().collect();
        sorted.sort_by(|a, b| {
            let key = |d: &DraftPolicy| (d.place.clone(), d.policy.order.clone(), d.policy.origin.clone());
            key(a).cmp(&key(b))
        });
        let mut tiers: Vec<Tier> = Vec::new();
        let mut numbers = Numbers { policies: Vec::new(), rules: Vec::new() };
        for draft in sorted {
            let (layer, direction, rank) = draft.place.clone();
            numbers.policies.push(draft.number);
            numbers.rules.extend(&draft.rules);
            let same =
                |tier: &&mut Tier| (tier.layer, tier.direction, &tier.rank) == (layer, direction, &rank);
            match tiers.last_mut().filter(same) {
                Some(tier) => tier.policies.push(Arc::new(draft.policy.clone())),
                None => tiers.push(Tier {
                    layer,
                    direction,
                    rank,
                    unmatched: draft.unmatched,
                    policies: vec![Arc::new(draft.policy.clone())],
                }),
            }
        }
        (tiers, numbers)
    }
}

fn allow(peer: &Peer, traffic: &TrafficSet, origin: Origin) -> Rule {
    Rule::new(Action::Allow, Peers::Among(vec![peer.clone()]), TrafficMatch::fixed(traffic.clone()), origin)
}

fn new_origin(namespace: &str, name: &str) -> Origin {
    Origin {
        file: "new".into(),
        document: 1,
        line: 0,
        column: 0,
        kind: "NetworkPolicy".into(),
        namespace: namespace.into(),
        name: name.into(),
        rule: "".into(),
    }
}
