//! Builds the rows of all classes; equal lists of policies share one row.

use super::classes::{Class, ClassId, Classes, PeerId};
use super::edge::{Edge, Exemption, Row};
use crate::inventory::{Inventory, Network};
use crate::model::{AddressSet, Bend, Gap, Origin, Protocol, TrafficSet};
use crate::policy::{Action, Dataplane, Decision, Direction, Matched, Peer, Peers, Policy, Rule, Selection};
use crate::policy::{Step, Tier, decide};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::sync::Arc;

/// Who may talk to whom, and why.
#[derive(Debug)]
pub struct AllowedGraph {
    /// What enforces.
    pub dataplane: Dataplane,
    /// Policies by number, with the direction for which they count.
    pub policies: Vec<PolicyInfo>,
    /// Rules by number.
    pub rules: Vec<RuleInfo>,
    classes: Classes,
    ingress: Vec<Arc<Row>>,
    egress: Vec<Arc<Row>>,
    open: Decision,
    /// What is not known.
    pub gaps: Vec<Gap>,
}

/// A policy in one direction.
#[derive(Clone, Debug)]
pub struct PolicyInfo {
    /// Where it stands.
    pub origin: Origin,
    /// For which direction.
    pub direction: Direction,
    /// Whom it selects.
    pub subjects: Selection,
    /// The classes that it selects.
    pub selected: Vec<ClassId>,
    /// Its rules, by number.
    pub rules: std::ops::Range<u32>,
    tier: u32,
}

/// A rule, with what it matches.
#[derive(Clone, Debug)]
pub struct RuleInfo {
    /// Number of its policy.
    pub policy: u32,
    /// The rule as lowered.
    pub rule: Rule,
    /// The classes and atoms that it names; `None` where it names everyone.
    pub matches: Option<Vec<PeerId>>,
}

impl AllowedGraph {
    /// Joins who exists with what is permitted.
    pub fn build(inventory: &Inventory, tiers: Vec<Tier>, dataplane: Dataplane) -> AllowedGraph {
        let classes = Classes::build(inventory, &tiers, &dataplane);
        let unmatched: Vec<Action> = tiers.iter().map(|tier| tier.unmatched).collect();
        let (policies, rules) = number(tiers, &classes);
        let (ingress, egress) = {
            let rows = Rows { classes: &classes, policies: &policies, rules: &rules, unmatched: &unmatched };
            (rows.build(Direction::Ingress), rows.build(Direction::Egress))
        };
        let gaps = address_gaps(&classes, &rules);
        let mut graph =
            AllowedGraph { dataplane, policies, rules, classes, ingress, egress, open: decide(&[]), gaps };
        graph.gaps.extend(exemption_gaps(&graph, inventory));
        graph
    }

    /// All classes, by number.
    pub fn classes(&self) -> &[Class] {
        &self.classes.classes
    }

    /// The class of a variant of a workload.
    pub fn class_of(&self, workload: usize, variant: usize) -> ClassId {
        self.classes.of_variant[workload][variant]
    }

    /// The classes of all variants of a workload.
    pub fn classes_of(&self, workload: usize) -> &[ClassId] {
        &self.classes.of_variant[workload]
    }

    /// The address atoms, which are peers numbered behind the classes.
    pub fn atoms(&self) -> impl Iterator<Item = (PeerId, &AddressSet)> {
        (self.classes.classes.len() as PeerId..).zip(&self.classes.atoms)
    }

    /// The atom that holds an address.
    pub fn atom_of(&self, address: std::net::IpAddr) -> PeerId {
        self.atoms().find(|(_, atom)| atom.contains(address)).map_or(0, |(peer, _)| peer)
    }

    /// The row of a class.
    pub fn row(&self, class: ClassId, direction: Direction) -> &Row {
        match direction {
            Direction::Ingress => &self.ingress[class as usize],
            Direction::Egress => &self.egress[class as usize],
        }
    }

    /// The class behind a peer number; `None` for addresses outside.
    pub fn class(&self, peer: PeerId) -> Option<&Class> {
        self.classes.classes.get(peer as usize)
    }

    /// What may travel from one peer to another.
    pub fn edge(&self, from: PeerId, to: PeerId) -> Edge<'_> {
        let egress = match self.class(from) {
            Some(_) => self.row(from, Direction::Egress).decision(to),
            None => &self.open,
        };
        let ingress = match self.class(to) {
            Some(_) => self.row(to, Direction::Ingress).decision(from),
            None => &self.open,
        };
        let exemption = self.exemption(from, to);
        let traffic = match ingress.allowed.is_all() {
            true => egress.allowed.clone(),
            false => egress.allowed.intersection(&ingress.allowed),
        };
        Edge { traffic, egress, ingress, exemption }
    }

    /// A node's own traffic reaches its pods whatever the policies say
    /// (`NetworkPolicySpec.ingress`, so that the kubelet can probe).
    fn exemption(&self, from: PeerId, to: PeerId) -> Exemption {
        let (Some(source), Some(target)) = (self.class(from), self.class(to)) else { return Exemption::None };
        let governed = self.row(to, Direction::Ingress).is_governed();
        if !self.dataplane.local_node_exempt || source.network == Network::Pod || !governed {
            return Exemption::None;
        }
        match (&source.nodes, &target.nodes) {
            (Some(a), Some(b)) if a.is_disjoint(b) => Exemption::None,
            _ => Exemption::LocalNode,
        }
    }
}

/// Gives every policy and rule its number.
fn number(tiers: Vec<Tier>, classes: &Classes) -> (Vec<PolicyInfo>, Vec<RuleInfo>) {
    let (mut policies, mut rules) = (Vec::new(), Vec::new());
    for (tier_number, tier) in tiers.into_iter().enumerate() {
        let mut sorted = tier.policies;
        sorted.sort_by(|a, b| a.origin.cmp(&b.origin));
        for policy in sorted {
            let Policy { subjects, rules: own, origin } = policy;
            let first = rules.len() as u32;
            for rule in own {
                let matches = matches(&rule.peers, classes);
                let policy = policies.len() as u32;
                rules.push(RuleInfo { policy, rule, matches });
            }
            let selected = classes.selected(&subjects).to_vec();
            let rules = first..rules.len() as u32;
            let (direction, tier) = (tier.direction, tier_number as u32);
            policies.push(PolicyInfo { origin, direction, subjects, selected, rules, tier });
        }
    }
    (policies, rules)
}

fn matches(peers: &Peers, classes: &Classes) -> Option<Vec<PeerId>> {
    let Peers::Among(peers) = peers else { return None };
    let mut all: Vec<PeerId> = Vec::new();
    for peer in peers {
        all.extend_from_slice(match peer {
            Peer::Endpoints(selection) => classes.selected(selection),
            Peer::Addresses(set) => classes.inside(set),
        });
    }
    all.sort_unstable();
    all.dedup();
    Some(all)
}

/// What the rows of one direction are made of.
struct Rows<'a> {
    classes: &'a Classes,
    policies: &'a [PolicyInfo],
    rules: &'a [RuleInfo],
    unmatched: &'a [Action],
}

type NamedPorts = [(Protocol, String, u16)];

impl Rows<'_> {
    fn build(&self, direction: Direction) -> Vec<Arc<Row>> {
        let mut selecting: Vec<Vec<u32>> = vec![Vec::new(); self.classes.classes.len()];
        for (number, policy) in self.policies.iter().enumerate() {
            if policy.direction == direction {
                policy.selected.iter().for_each(|class| selecting[*class as usize].push(number as u32));
            }
        }
        let mut kinds: HashMap<(Vec<u32>, &NamedPorts), Vec<ClassId>> = HashMap::new();
        for (class, policies) in selecting.into_iter().enumerate() {
            let own = match direction {
                Direction::Ingress => self.classes.classes[class].named_ports.as_slice(),
                Direction::Egress => &[],
            };
            kinds.entry((policies, own)).or_default().push(class as ClassId);
        }
        let kinds: Vec<_> = kinds.into_iter().collect();
        let built: Vec<(Arc<Row>, Vec<ClassId>)> = kinds
            .into_par_iter()
            .map(|((policies, own), classes)| (Arc::new(self.row(policies, own, direction)), classes))
            .collect();
        let empty = Arc::new(Row { policies: Vec::new(), rest: Arc::new(decide(&[])), named: Vec::new() });
        let mut rows = vec![empty; self.classes.classes.len()];
        for (row, classes) in built {
            classes.into_iter().for_each(|class| rows[class as usize] = row.clone());
        }
        rows
    }

    fn row(&self, policies: Vec<u32>, own: &NamedPorts, direction: Direction) -> Row {
        let rules: Vec<u32> =
            policies.iter().flat_map(|p| self.policies[*p as usize].rules.clone()).collect();
        let mut everyone = Vec::new();
        let mut by_peer: HashMap<PeerId, Vec<u32>> = HashMap::new();
        let mut names_for_everyone = false;
        for rule in &rules {
            let info = &self.rules[*rule as usize];
            match &info.matches {
                None => {
                    everyone.push(*rule);
                    names_for_everyone |= !info.rule.traffic.named.is_empty();
                }
                Some(peers) => peers.iter().for_each(|peer| by_peer.entry(*peer).or_default().push(*rule)),
            }
        }
        // Only then do peers differ that no rule names: each has ports of its own.
        if direction == Direction::Egress && names_for_everyone {
            let named = |(class, c): (usize, &Class)| (!c.named_ports.is_empty()).then_some(class as PeerId);
            for peer in self.classes.classes.iter().enumerate().filter_map(named) {
                by_peer.entry(peer).or_default();
            }
        }
        let tiers = self.tiers_of(&policies);
        let mut memo: HashMap<(Vec<u32>, &NamedPorts), Arc<Decision>> = HashMap::new();
        let mut named: Vec<(PeerId, Arc<Decision>)> = Vec::with_capacity(by_peer.len());
        for (peer, mut rules) in by_peer {
            rules.extend(&everyone);
            rules.sort_unstable();
            let ports = match (direction, self.classes.classes.get(peer as usize)) {
                (Direction::Egress, Some(class)) => class.named_ports.as_slice(),
                _ => own,
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

    /// The tiers that a subject answers to, in order.
    fn tiers_of(&self, policies: &[u32]) -> Vec<(u32, Action)> {
        let mut tiers: Vec<(u32, Action)> = Vec::new();
        for policy in policies {
            let tier = self.policies[*policy as usize].tier;
            if tiers.last().is_none_or(|(last, _)| *last != tier) {
                tiers.push((tier, self.unmatched[tier as usize]));
            }
        }
        tiers
    }

    fn decide(&self, tiers: &[(u32, Action)], rules: &[u32], ports: &NamedPorts) -> Decision {
        let resolved: Vec<TrafficSet> = rules.iter().map(|rule| self.resolve(*rule, ports)).collect();
        let step = |(tier, unmatched): &(u32, Action)| Step {
            unmatched: *unmatched,
            rules: rules
                .iter()
                .zip(&resolved)
                .filter(|(rule, _)| self.tier_of(**rule) == *tier)
                .map(|(rule, traffic)| Matched {
                    action: self.rules[*rule as usize].rule.action,
                    traffic,
                    rule: *rule,
                })
                .collect(),
        };
        decide(&tiers.iter().map(step).collect::<Vec<_>>())
    }

    fn tier_of(&self, rule: u32) -> u32 {
        self.policies[self.rules[rule as usize].policy as usize].tier
    }

    /// Puts numbers for names: the port of the destination with that name and protocol.
    fn resolve(&self, rule: u32, ports: &NamedPorts) -> TrafficSet {
        let traffic = &self.rules[rule as usize].rule.traffic;
        let mut set = traffic.fixed.clone();
        for (protocol, name) in &traffic.named {
            for (_, _, port) in ports.iter().filter(|(p, n, _)| p == protocol && n == name) {
                set = set.union(&TrafficSet::port(*protocol, *port));
            }
        }
        set
    }
}

/// Blocks may cover endpoints whose addresses nobody told.
fn address_gaps(classes: &Classes, rules: &[RuleInfo]) -> Vec<Gap> {
    if classes.unaddressed == 0 {
        return Vec::new();
    }
    let families = AddressSet::all();
    let partial = |set: &AddressSet| !families.ranges().iter().any(|family| set.ranges().contains(family));
    let may_cover_pods = |info: &&RuleInfo| match &info.rule.peers {
        Peers::Everyone => false,
        Peers::Among(peers) => peers.iter().any(|peer| match peer {
            Peer::Addresses(set) => partial(set) && set.ranges().iter().any(may_be_inside),
            Peer::Endpoints(_) => false,
        }),
    };
    let what = format!(
        "this ipBlock may cover pods: the addresses of {} workload variants are not known",
        classes.unaddressed
    );
    let gap = |info: &RuleInfo| Gap {
        what: what.clone(),
        origin: info.rule.origin.clone(),
        bends: Bend::MayAllowMore,
    };
    rules.iter().filter(may_cover_pods).map(gap).collect()
}

/// Workloads on the host network reach the pods of their nodes whatever the policies say; the
/// graph shows what policies allow, so this is said apart.
fn exemption_gaps(graph: &AllowedGraph, inventory: &Inventory) -> Vec<Gap> {
    let host = |(_, class): &(usize, &Class)| class.network == Network::Host;
    let classes = graph.classes().len() as ClassId;
    let exempt = graph.classes().iter().enumerate().filter(host).filter(|(from, _)| {
        (0..classes).any(|to| graph.exemption(*from as ClassId, to) == Exemption::LocalNode)
    });
    let members = exempt.flat_map(|(_, class)| &class.members);
    let workloads: std::collections::BTreeSet<u32> = members.map(|member| member.workload).collect();
    let gap = |workload: u32| Gap {
        what: "runs on the host network, so it reaches the pods of its own node whatever their policies say"
            .to_owned(),
        origin: inventory.workloads[workload as usize].origin.clone(),
        bends: Bend::MayAllowMore,
    };
    workloads.into_iter().map(gap).collect()
}

/// Whether a range touches addresses that clusters use for pods: private or shared ones.
fn may_be_inside(range: &crate::model::AddressRange) -> bool {
    const POD_RANGES: &[&str] =
        &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"];
    let touches = |pods: crate::model::AddressRange| {
        pods.first.is_ipv4() == range.first.is_ipv4() && pods.first <= range.last && range.first <= pods.last
    };
    POD_RANGES.iter().filter_map(|cidr| crate::model::AddressRange::from_cidr(cidr)).any(touches)
}
