//! Builds the rows of all classes; equal lists of policies share one row.

use super::classes::{Class, ClassId, Classes, NamedPort, PeerId};
use super::edge::{Edge, Exemption, Row};
use super::gaps;
use super::mesh::{Mesh, is_mesh};
use super::without::common;
use crate::inventory::{Inventory, Network};
use crate::model::{AddressSet, DomainPattern, Gap, Origin, TrafficSet};
use crate::policy::{Action, Dataplane, Decision, Direction, Isolation, Layer, Policy, PolicyOrder, Rule};
use crate::policy::{
    Admission, Extent, Matched, Peer, PortName, Selection, Step, Tier, TierRank, Transport, decide,
};
use hashbrown::HashMap;
use rayon::prelude::*;
use std::sync::Arc;

/// Who may talk to whom, and why.
#[derive(Debug)]
pub struct AllowedGraph {
    /// What enforces.
    pub dataplane: Dataplane,
    /// Tiers in the order in which connections meet them.
    pub tiers: Vec<TierInfo>,
    /// Policies by number, with the direction for which they count; in the order of their tiers.
    pub policies: Vec<PolicyInfo>,
    /// Rules by number.
    pub rules: Vec<RuleInfo>,
    classes: Classes,
    ingress: Vec<Arc<Row>>,
    egress: Vec<Arc<Row>>,
    open: Decision,
    pub(super) mesh: Mesh,
    /// What is not known.
    pub gaps: Vec<Gap>,
}

/// A tier, without its policies.
#[derive(Clone, Debug)]
pub struct TierInfo {
    /// What enforces.
    pub layer: Layer,
    /// As seen from the subjects.
    pub direction: Direction,
    /// Its place.
    pub rank: TierRank,
    /// What becomes of unmatched traffic of isolated subjects.
    pub unmatched: Action,
}

/// A policy in one direction.
#[derive(Clone, Debug)]
pub struct PolicyInfo {
    /// Where it stands.
    pub origin: Origin,
    /// For which direction.
    pub direction: Direction,
    /// Whom it selects.
    pub subjects: Vec<Selection>,
    /// Whether its subjects answer to the end of the tier.
    pub isolation: Isolation,
    /// Its place in the tier.
    pub order: PolicyOrder,
    /// The classes that it selects.
    pub selected: Vec<ClassId>,
    /// Its rules, by number.
    pub rules: std::ops::Range<u32>,
    /// Number of its tier.
    pub tier: u32,
}

/// A rule, with what it matches.
#[derive(Clone, Debug)]
pub struct RuleInfo {
    /// Number of its policy.
    pub policy: u32,
    /// The rule as lowered.
    pub rule: Rule,
    /// The peers that it names, sorted; `None` where it names everyone.
    pub matches: Option<Vec<PeerId>>,
    /// The classes that it can be about, beside being selected, sorted; `None` for all.
    pub own: Option<Vec<PeerId>>,
}

impl AllowedGraph {
    /// Joins who exists with what is permitted. `tiers` are those of [`crate::policy::read`].
    pub fn build(inventory: &Inventory, tiers: Vec<Tier>, dataplane: Dataplane) -> AllowedGraph {
        AllowedGraph::build_with(inventory, tiers, Transport::default(), dataplane)
    }

    /// The same with what meshes say on transport.
    pub fn build_with(
        inventory: &Inventory,
        tiers: Vec<Tier>,
        transport: Transport,
        dataplane: Dataplane,
    ) -> AllowedGraph {
        let classes = Classes::build(inventory, &tiers, &transport, &dataplane);
        let (tiers, policies, rules) = number(tiers, &classes);
        let mut mesh = Mesh::build(transport, &classes, inventory);
        govern_by_mesh(&mut mesh, &classes, &tiers, &policies, &rules);
        let (ingress, egress) = {
            let rows = Rows { classes: &classes, tiers: &tiers, policies: &policies, rules: &rules };
            (rows.build(Direction::Ingress), rows.build(Direction::Egress))
        };
        let gaps = gaps::of_addresses(&classes, &rules, &dataplane);
        let open = decide(&[]);
        let mut graph =
            AllowedGraph { dataplane, tiers, policies, rules, classes, ingress, egress, open, mesh, gaps };
        graph.gaps.extend(gaps::of_exemptions(&graph, inventory));
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
        (self.classes.first_atom()..).zip(&self.classes.atoms)
    }

    /// The atom that holds an address.
    pub fn atom_of(&self, address: std::net::IpAddr) -> PeerId {
        self.atoms().find(|(_, atom)| atom.contains(address)).map_or(0, |(peer, _)| peer)
    }

    /// Outside endpoints that rules name, which are peers numbered behind the atoms.
    pub fn domains(&self) -> impl Iterator<Item = (PeerId, &DomainPattern)> {
        (self.classes.first_domain()..).zip(&self.classes.domains)
    }

    /// The peers that rules mean by names which a name fits, as a DNS answer gives it: an observed
    /// address that was looked up under the name is judged as these, beside its atom.
    pub fn named(&self, name: &str) -> impl Iterator<Item = PeerId> {
        self.domains().filter(move |(_, pattern)| pattern.fits(name)).map(|(peer, _)| peer)
    }

    /// How many peers there are; every number below is one.
    pub fn peer_count(&self) -> PeerId {
        self.classes.peers()
    }

    /// The numbers that port names of rules have at a peer.
    pub fn ports_of(&self, peer: PeerId) -> &[NamedPort] {
        self.classes.ports_of(peer)
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

    /// The classes that a selection matches, sorted; none where no rule speaks of it.
    pub fn selected(&self, selection: &Selection) -> &[ClassId] {
        self.classes.selected(selection)
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
        let network = match ingress.allowed.is_all() {
            true => egress.allowed.clone(),
            false => egress.allowed.intersection(&ingress.allowed),
        };
        let mesh = self.mesh_edge(from, to, &network);
        let traffic = mesh.as_ref().map_or(network, |mesh| mesh.allowed.clone());
        Edge { traffic, egress, ingress, mesh, exemption }
    }

    /// A node's own traffic reaches its pods whatever the policies say
    /// (`NetworkPolicySpec.ingress`, so that the kubelet can probe).
    pub(super) fn exemption(&self, from: PeerId, to: PeerId) -> Exemption {
        let (Some(source), Some(target)) = (self.class(from), self.class(to)) else { return Exemption::None };
        let governed = self.row(to, Direction::Ingress).is_governed();
        if !self.dataplane.local_node_exempt || source.network != Network::Host || !governed {
            return Exemption::None;
        }
        match (&source.nodes, &target.nodes) {
            (Some(a), Some(b)) if a.is_disjoint(b) => Exemption::None,
            _ => Exemption::LocalNode,
        }
    }
}

/// Notes which policies of mesh layers select a class, and what their rules match where who calls
/// is not known.
fn govern_by_mesh(
    mesh: &mut Mesh,
    classes: &Classes,
    tiers: &[TierInfo],
    policies: &[PolicyInfo],
    rules: &[RuleInfo],
) {
    for (number, policy) in (0..).zip(policies) {
        let tier = &tiers[policy.tier as usize];
        if !is_mesh(tier.layer, tier.direction) {
            continue;
        }
        policy.selected.iter().for_each(|class| mesh.policies[*class as usize].push(number));
        for rule in policy.rules.clone() {
            let peers = &rules[rule as usize].rule.peers;
            let asks = |part: &Peer| matches!(part, Peer::Authenticated);
            if peers.named().iter().any(|peer| peer.any(asks)) {
                let unproven = classes.matching(peers, Admission::Refused).unwrap_or_default();
                mesh.unproven.insert(rule, unproven);
            }
        }
    }
}

type Numbered = (Vec<TierInfo>, Vec<PolicyInfo>, Vec<RuleInfo>);

/// Gives every tier, policy and rule its number; lower numbers are asked first.
fn number(tiers: Vec<Tier>, classes: &Classes) -> Numbered {
    let (mut infos, mut policies, mut rules) = (Vec::new(), Vec::new(), Vec::new());
    for tier in tiers {
        let Tier { layer, direction, rank, unmatched, policies: own } = tier;
        for policy in own {
            let Policy { subjects, isolation, order, rules: own, origin } = policy;
            let first = rules.len() as u32;
            for rule in own {
                let (proven, unproven) = (Admission::Admitted, Admission::Refused);
                let (matches, own) =
                    (classes.matching(&rule.peers, proven), classes.matching(&rule.own, unproven));
                rules.push(RuleInfo { policy: policies.len() as u32, rule, matches, own });
            }
            let mut selected: Vec<ClassId> =
                subjects.iter().flat_map(|selection| classes.selected(selection)).copied().collect();
            selected.sort_unstable();
            selected.dedup();
            let (rules, tier) = (first..rules.len() as u32, infos.len() as u32);
            policies.push(PolicyInfo {
                origin,
                direction,
                subjects,
                isolation,
                order,
                selected,
                rules,
                tier,
            });
        }
        infos.push(TierInfo { layer, direction, rank, unmatched });
    }
    (infos, policies, rules)
}

/// What rows are made of.
pub(super) struct Rows<'a> {
    classes: &'a Classes,
    tiers: &'a [TierInfo],
    policies: &'a [PolicyInfo],
    rules: &'a [RuleInfo],
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

    fn build(&self, direction: Direction) -> Vec<Arc<Row>> {
        let mut selecting: Vec<Vec<u32>> = vec![Vec::new(); self.classes.classes.len()];
        for (number, policy) in self.policies.iter().enumerate() {
            let tier = &self.tiers[policy.tier as usize];
            if policy.direction == direction && !is_mesh(tier.layer, tier.direction) {
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
            let PolicyInfo { tier, isolation, .. } = self.policies[*policy as usize];
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
        let holds = |peers: &[PeerId]| peers.binary_search(&from).is_ok();
        let reach = |rule: u32| {
            let info = &self.rules[rule as usize];
            let traffic = self.resolve(rule, self.classes.ports_of(to));
            let known = info.matches.as_deref().is_none_or(holds);
            let unknown = mesh.unproven.get(&rule).map_or(known, |peers| holds(peers));
            let part =
                |matches: bool, traffic: TrafficSet| if matches { traffic } else { TrafficSet::none() };
            part(known, traffic.intersection(proven)).union(&part(unknown, traffic.difference(proven)))
        };
        let rules: Vec<u32> = self.rules_of(policies).filter(|rule| self.is_about(*rule, to)).collect();
        let reaches: Vec<TrafficSet> = rules.iter().map(|rule| reach(*rule)).collect();
        let step = |(tier, unmatched): &(u32, Action)| Step {
            unmatched: *unmatched,
            rules: (rules.iter().zip(&reaches))
                .filter(|(rule, _)| self.tier_of(**rule) == *tier)
                .map(|(rule, traffic)| self.matched(*rule, traffic))
                .collect(),
        };
        decide(&self.tiers_of(policies).iter().map(step).collect::<Vec<_>>())
    }

    fn matched<'t>(&self, rule: u32, traffic: &'t TrafficSet) -> Matched<'t> {
        let info = &self.rules[rule as usize].rule;
        let extent = if info.narrowed.is_some() { Extent::Part } else { Extent::Whole };
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
