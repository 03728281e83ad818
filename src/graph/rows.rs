//! Rows: all decisions of one class in one direction, made once for classes that share them.
//!
//! What is numbered and which classes there are was settled in `build`; what meshes add for single
//! connections is left to `mesh`.

use super::backing::Backing;
use super::build::{AllowedGraph, PolicyInfo, RuleInfo, TierInfo};
use super::classes::{ClassId, Classes, NamedPort, PeerId};
use super::edge::Row;
use super::mesh::{Mesh, is_of_proxies};
use super::without::common;
use crate::model::{Protocol, TrafficSet};
use crate::policy::{Action, Decision, Direction, Extent, Isolation, Matched, PortName, Rule, Step, decide};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::sync::Arc;

/// What rows are made of.
pub(super) struct Rows<'a> {
    pub(super) classes: &'a Classes,
    pub(super) tiers: &'a [TierInfo],
    pub(super) policies: &'a [PolicyInfo],
    pub(super) rules: &'a [RuleInfo],
}

/// What makes the row of a class: classes with equal ones share it.
#[derive(PartialEq, Eq, Hash)]
struct RowKey<'a> {
    policies: Vec<u32>,
    /// Rules of them that are not about this class.
    left_out: Vec<u32>,
    /// The class's own ports, where they count.
    ports: &'a [NamedPort],
}

impl<'a> Rows<'a> {
    /// Of a graph that stands.
    pub(super) fn of(graph: &'a AllowedGraph) -> Rows<'a> {
        let AllowedGraph { classes, tiers, policies, rules, .. } = graph;
        Rows { classes, tiers, policies, rules }
    }

    /// The row of a class, if these were the policies that select it; right for `only` these peers, sorted.
    pub(super) fn row_of(
        &self,
        class: ClassId,
        policies: Vec<u32>,
        direction: Direction,
        only: Option<&[PeerId]>,
    ) -> Row {
        self.row(self.key_of(class, policies, direction), direction, only)
    }

    fn key_of(&self, class: ClassId, policies: Vec<u32>, direction: Direction) -> RowKey<'a> {
        let ports = match direction {
            Direction::Ingress => self.classes.ports_of(class),
            Direction::Egress => &[],
        };
        let left_out = self.rules_of(&policies).filter(|rule| !self.is_about(*rule, class)).collect();
        RowKey { policies, left_out, ports }
    }

    /// The rows of all classes in one direction.
    pub(super) fn build(&self, direction: Direction) -> Vec<Arc<Row>> {
        let mut selecting: Vec<Vec<u32>> = vec![Vec::new(); self.classes.classes.len()];
        for (number, policy) in self.policies.iter().enumerate() {
            let tier = &self.tiers[policy.tier as usize];
            if policy.direction == direction && !is_of_proxies(tier.layer) {
                policy.selected.iter().for_each(|class| selecting[*class as usize].push(number as u32));
            }
        }
        let mut kinds: HashMap<RowKey<'_>, Vec<ClassId>> = HashMap::new();
        for (class, policies) in (0..).zip(selecting) {
            kinds.entry(self.key_of(class, policies, direction)).or_default().push(class);
        }
        let kinds: Vec<_> = kinds.into_iter().collect();
        let built: Vec<(Arc<Row>, Vec<ClassId>)> = kinds
            .into_par_iter()
            .map(|(key, classes)| (Arc::new(self.row(key, direction, None)), classes))
            .collect();
        let empty = Arc::new(Row { policies: Vec::new(), rest: Arc::new(decide(&[])), named: Vec::new() });
        let mut rows = vec![empty; self.classes.classes.len()];
        for (row, classes) in built {
            classes.into_iter().for_each(|class| rows[class as usize] = row.clone());
        }
        rows
    }

    pub(super) fn rules_of(&self, policies: &[u32]) -> impl Iterator<Item = u32> {
        policies.iter().flat_map(|policy| self.policies[*policy as usize].rules.clone())
    }

    pub(super) fn is_about(&self, rule: u32, class: ClassId) -> bool {
        self.rules[rule as usize].own.as_ref().is_none_or(|own| own.binary_search(&class).is_ok())
    }

    fn row(&self, key: RowKey<'_>, direction: Direction, only: Option<&[PeerId]>) -> Row {
        let RowKey { policies, left_out, ports: own } = key;
        let counts = |rule: &u32| left_out.binary_search(rule).is_err();
        let rules: Vec<u32> = self.rules_of(&policies).filter(counts).collect();
        let mut everyone = Vec::new();
        let mut by_peer: HashMap<PeerId, Vec<u32>> = HashMap::new();
        let mut names_for_everyone = false;
        for rule in &rules {
            let info = &self.rules[*rule as usize];
            match &info.matches {
                None => {
                    everyone.push(*rule);
                    names_for_everyone |= info.rule.traffic.has_names();
                }
                Some(peers) => common(peers, only, |peer| by_peer.entry(peer).or_default().push(*rule)),
            }
        }
        // Only then do peers differ that no rule names: each has ports of its own.
        if direction == Direction::Egress && names_for_everyone {
            let asked = |peer: &PeerId| only.is_none_or(|only| only.binary_search(peer).is_ok());
            let has_ports = |peer: &PeerId| !self.classes.ports_of(*peer).is_empty();
            for peer in (0..self.classes.peers()).filter(|peer| has_ports(peer) && asked(peer)) {
                by_peer.entry(peer).or_default();
            }
        }
        let tiers = self.tiers_of(&policies);
        let mut memo: HashMap<(Vec<u32>, &[NamedPort]), Arc<Decision>> = HashMap::new();
        let mut named: Vec<(PeerId, Arc<Decision>)> = Vec::with_capacity(by_peer.len());
        for (peer, mut rules) in by_peer {
            rules.extend(&everyone);
            rules.sort_unstable();
            let ports = match direction {
                Direction::Egress => self.classes.ports_of(peer),
                Direction::Ingress => own,
            };
            let decided = memo
                .entry((rules, ports))
                .or_insert_with_key(|(rules, ports)| Arc::new(self.decide(&tiers, rules, ports)));
            named.push((peer, decided.clone()));
        }
        named.sort_unstable_by_key(|(peer, _)| *peer);
        let rest = Arc::new(self.decide(&tiers, &everyone, own));
        Row { policies, rest, named }
    }

    /// The tiers that a subject answers to, in order, with what becomes of the unmatched there.
    pub(super) fn tiers_of(&self, policies: &[u32]) -> Vec<(u32, Action)> {
        let mut tiers: Vec<(u32, Action)> = Vec::new();
        for policy in policies {
            let policy = &self.policies[*policy as usize];
            let (tier, isolation) = (policy.tier, policy.isolation);
            if tiers.last().is_none_or(|(last, _)| *last != tier) {
                tiers.push((tier, Action::Pass));
            }
            if let (Isolation::Isolates, Some((_, unmatched))) = (isolation, tiers.last_mut()) {
                *unmatched = self.tiers[tier as usize].unmatched;
            }
        }
        tiers
    }

    fn decide(&self, tiers: &[(u32, Action)], rules: &[u32], ports: &[NamedPort]) -> Decision {
        self.decide_layers(tiers, rules, ports, &mut |_, steps| decide(steps))
    }

    /// Walks the tiers of each layer with `walk`; every layer must let it through.
    pub(super) fn decide_layers(
        &self,
        tiers: &[(u32, Action)],
        rules: &[u32],
        ports: &[NamedPort],
        walk: &mut impl FnMut(&[(u32, Action)], &[Step<'_>]) -> Decision,
    ) -> Decision {
        let resolved: Vec<TrafficSet> = rules.iter().map(|rule| self.resolve(*rule, ports)).collect();
        let step = |(tier, unmatched): &(u32, Action)| Step {
            unmatched: *unmatched,
            rules: rules
                .iter()
                .zip(&resolved)
                .filter(|(rule, _)| self.tier_of(**rule) == *tier)
                .map(|(rule, traffic)| self.matched(*rule, traffic))
                .collect(),
        };
        let layer_of = |tier: &(u32, Action)| self.tiers[tier.0 as usize].layer;
        let layers = tiers.chunk_by(|a, b| layer_of(a) == layer_of(b));
        let decided = layers.map(|tiers| walk(tiers, &tiers.iter().map(step).collect::<Vec<_>>()));
        decided.reduce(Decision::and).unwrap_or_else(|| decide(&[]))
    }

    /// What mesh authorization lets one peer send to a class, where `proven` is the traffic on which
    /// it proves who it is.
    pub(super) fn decide_mesh(
        &self,
        mesh: &Mesh,
        from: PeerId,
        to: ClassId,
        policies: &[u32],
        proven: &TrafficSet,
    ) -> Decision {
        let about = |rule: u32| {
            let traffic = self.resolve(rule, self.classes.ports_of(to));
            self.is_about(rule, to).then_some((traffic, Extent::Whole))
        };
        self.decide_proxied(mesh, from, policies, proven, about)
    }

    /// What an intermediary lets one peer send on to a class that it calls in this way. Whether it
    /// compares ports of the service or of the server is not told, so what holds for one of the two
    /// alone holds in part.
    pub(super) fn decide_relay(
        &self,
        mesh: &Mesh,
        from: PeerId,
        (to, call): (ClassId, Option<Backing>),
        guards: &[u32],
        proven: &TrafficSet,
    ) -> Decision {
        let about = |rule: u32| {
            let traffic = self.resolve(rule, self.classes.ports_of(to));
            let asked = &self.rules[rule as usize].rule.traffic;
            let fixed = &asked.fixed.tcp;
            Some(match call {
                // What is called by its own address declares nothing: first bytes show what is spoken.
                None if asked.hangs_on_speech() => (traffic.union(&asked.fixed), Extent::Part),
                Some(call) if fixed.contains(call.service_port) != fixed.contains(call.target) => {
                    (traffic.union(&TrafficSet::port(Protocol::Tcp, call.target)), Extent::Part)
                }
                _ => (traffic, Extent::Whole),
            })
        };
        self.decide_proxied(mesh, from, guards, proven, about)
    }

    /// Asks the policies of a proxy. `about` says what a rule is about, if anything.
    fn decide_proxied(
        &self,
        mesh: &Mesh,
        from: PeerId,
        policies: &[u32],
        proven: &TrafficSet,
        about: impl Fn(u32) -> Option<(TrafficSet, Extent)>,
    ) -> Decision {
        let holds = |peers: &[PeerId]| peers.binary_search(&from).is_ok();
        let reach = |rule: u32| {
            let (traffic, extent) = about(rule)?;
            let known = self.rules[rule as usize].matches.as_deref().is_none_or(holds);
            let unknown = mesh.unproven.get(&rule).map_or(known, |peers| holds(peers));
            let part =
                |matches: bool, traffic: TrafficSet| if matches { traffic } else { TrafficSet::none() };
            let reached =
                part(known, traffic.intersection(proven)).union(&part(unknown, traffic.difference(proven)));
            Some((rule, reached, extent))
        };
        let reaches: Vec<(u32, TrafficSet, Extent)> = self.rules_of(policies).filter_map(reach).collect();
        let step = |(tier, unmatched): &(u32, Action)| {
            let of_tier = reaches.iter().filter(|(rule, ..)| self.tier_of(*rule) == *tier);
            let rules = of_tier.map(|(rule, traffic, extent)| {
                let own = self.matched(*rule, traffic);
                Matched { extent: if *extent == Extent::Part { Extent::Part } else { own.extent }, ..own }
            });
            Step { unmatched: *unmatched, rules: rules.collect() }
        };
        decide(&self.tiers_of(policies).iter().map(step).collect::<Vec<_>>())
    }

    fn matched<'t>(&self, rule: u32, traffic: &'t TrafficSet) -> Matched<'t> {
        let RuleInfo { rule: info, extent, .. } = &self.rules[rule as usize];
        let extent = if info.narrowed.is_some() { Extent::Part } else { *extent };
        Matched { action: info.action, traffic, extent, rule }
    }

    fn tier_of(&self, rule: u32) -> u32 {
        self.policies[self.rules[rule as usize].policy as usize].tier
    }

    pub(super) fn resolve(&self, rule: u32, ports: &[NamedPort]) -> TrafficSet {
        resolve(&self.rules[rule as usize].rule, ports)
    }
}

/// Puts numbers for names: the ports that the destination has under them.
pub(super) fn resolve(rule: &Rule, ports: &[NamedPort]) -> TrafficSet {
    let of = |name: &PortName| {
        let own = ports.iter().filter(|(known, _, _)| known == name);
        own.fold(TrafficSet::none(), |set, (_, protocol, port)| {
            set.union(&TrafficSet::port(*protocol, *port))
        })
    };
    let traffic = &rule.traffic;
    let named = traffic.named.iter().fold(traffic.fixed.clone(), |set, name| set.union(&of(name)));
    traffic.except.iter().fold(named, |set, name| set.difference(&of(name)))
}
