//! The graph: tiers, policies and rules by number, and the rows of all classes.

use super::classes::{Class, ClassId, Classes, KeptAlike, NamedPort, PeerId};
use super::declared::DeclaredPorts;
use super::edge::{Edge, Exemption, Row};
use super::gaps;
use super::matching::Holding;
use super::mesh::Mesh;
use super::rows::Rows;
use crate::inventory::{Inventory, Network};
use crate::model::{AddressSet, DomainPattern, Gap, TrafficSet};
use crate::policy::node_encryption::node_encryption;
use crate::policy::{Action, Dataplane, Decision, Direction, Layer, Policy, Rule};
use crate::policy::{Admission, Extent, Peer, Selection, Tier, TierRank, Transport, decide};
use std::collections::BTreeMap;
use std::ops::Deref;
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
    pub(super) classes: Classes,
    ingress: Vec<Arc<Row>>,
    egress: Vec<Arc<Row>>,
    open: Decision,
    pub(super) mesh: Mesh,
    pub(super) declared: DeclaredPorts,
    /// Classes for which policies of the network do not count, with the first that would select them.
    pub left_out: BTreeMap<ClassId, u32>,
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

/// A policy in one direction; what was lowered of it can be asked as if it stood here.
#[derive(Clone, Debug)]
pub struct PolicyInfo {
    /// As lowered.
    policy: Arc<Policy>,
    /// For which direction.
    pub direction: Direction,
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
    pub rule: LoweredRule,
    /// The peers that it names, sorted; `None` where it names everyone.
    pub matches: Option<Vec<PeerId>>,
    /// The classes that it can be about, beside being selected, sorted; `None` for all.
    pub own: Option<Vec<PeerId>>,
    /// Whether it takes all traffic of those, as far as their addresses go.
    pub extent: Extent,
}

/// A rule where its policy has it.
#[derive(Clone, Debug)]
pub struct LoweredRule {
    policy: Arc<Policy>,
    place: usize,
}

impl Deref for PolicyInfo {
    type Target = Policy;

    fn deref(&self) -> &Policy {
        &self.policy
    }
}

impl Deref for LoweredRule {
    type Target = Rule;

    fn deref(&self) -> &Rule {
        &self.policy.rules[self.place]
    }
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
        AllowedGraph::build_again(inventory, tiers, transport, dataplane, KeptAlike::default())
    }

    /// The same with what is kept of a graph of the same cluster as it was before.
    pub fn build_again(
        inventory: &Inventory,
        tiers: Vec<Tier>,
        transport: Transport,
        dataplane: Dataplane,
        kept: KeptAlike,
    ) -> AllowedGraph {
        let classes = Classes::build(inventory, &tiers, &transport, &dataplane, kept);
        let (Numbered { tiers, policies, rules }, left_out) = number(tiers, &classes, &dataplane);
        let mut mesh = Mesh::build(transport, &classes, inventory);
        govern_by_mesh(&mut mesh, &classes, &tiers, &policies, &rules);
        let rows = Rows { classes: &classes, tiers: &tiers, policies: &policies, rules: &rules };
        let of_rows = || rayon::join(|| rows.build(Direction::Ingress), || rows.build(Direction::Egress));
        let beside = || {
            let mut gaps = gaps::of_addresses(&classes, &rules, &dataplane);
            gaps.extend(gaps::of_labels(&policies, &rules, inventory));
            gaps.extend(gaps::of_services(&rules, inventory));
            gaps.extend(gaps::of_parts(&classes, &rules, inventory));
            let encrypts = node_encryption(&dataplane).is_some();
            (gaps, DeclaredPorts::build(inventory, &classes, &mesh, encrypts))
        };
        let ((ingress, egress), (gaps, declared)) = rayon::join(of_rows, beside);
        let open = decide(&[]);
        let mut graph = AllowedGraph {
            dataplane,
            tiers,
            policies,
            rules,
            classes,
            ingress,
            egress,
            open,
            mesh,
            declared,
            left_out,
            gaps,
        };
        graph.gaps.extend(gaps::of_exemptions(&graph, inventory));
        graph.gaps.extend(gaps::of_left_out(&graph, inventory));
        graph
    }

    /// What the next graph of the same cluster need not find again.
    pub fn keep(&mut self) -> KeptAlike {
        std::mem::take(&mut self.classes.kept)
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
        (self.first_domain()..).zip(&self.classes.domains)
    }

    /// The number of the first of them, behind all classes and atoms.
    pub(super) fn first_domain(&self) -> PeerId {
        self.classes.first_domain()
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
        let (network, egress, ingress) = self.network(from, to);
        let exemption = self.exemption(from, to);
        let mesh = self.mesh_edge(from, to, &network);
        let traffic = mesh.as_ref().map_or(network, |mesh| mesh.allowed.clone());
        Edge { traffic, egress, ingress, mesh, exemption }
    }

    /// What the network lets through between two peers, with the decisions at both ends.
    pub(super) fn network(&self, from: PeerId, to: PeerId) -> (TrafficSet, &Decision, &Decision) {
        let (egress, ingress) = self.decisions(from, to);
        let both = match ingress.allowed.is_all() {
            true => egress.allowed.clone(),
            false => egress.allowed.intersection(&ingress.allowed),
        };
        (both, egress, ingress)
    }

    /// The decisions at both ends of a pair, the source first; outside of the cluster all is open.
    pub(super) fn decisions(&self, from: PeerId, to: PeerId) -> (&Decision, &Decision) {
        let at = |end: PeerId, direction, other| match self.class(end) {
            Some(_) => self.row(end, direction).decision(other),
            None => &self.open,
        };
        (at(from, Direction::Egress, to), at(to, Direction::Ingress, from))
    }

    /// What decides at both ends of a pair, to be compared: the same numbers are the same decisions.
    pub(super) fn decided_by(&self, from: PeerId, to: PeerId) -> [usize; 2] {
        let row = |class, direction, other| match self.class(class) {
            Some(_) => std::ptr::from_ref(self.row(class, direction).decision(other)).addr(),
            None => 0,
        };
        [row(from, Direction::Egress, to), row(to, Direction::Ingress, from)]
    }

    /// A node's own traffic reaches its pods whatever the policies say
    /// (`NetworkPolicySpec.ingress`, so that the kubelet can probe).
    pub(super) fn exemption(&self, from: PeerId, to: PeerId) -> Exemption {
        let (Some(source), Some(target)) = (self.class(from), self.class(to)) else { return Exemption::None };
        let apart = matches!((&source.nodes, &target.nodes), (Some(a), Some(b)) if a.is_disjoint(b));
        if !self.dataplane.local_node_exempt || apart {
            return Exemption::None;
        }
        let into = self.row(to, Direction::Ingress).is_governed();
        match (source.network, target.network) {
            (Network::Host, _) if into => Exemption::LocalNode,
            // Felix leaves what a node sends to interfaces of pods to itself (`filterOutputChain`), and
            // after the policies of a pod asks no others about what it sends to its node
            // (`filterInputChain`, where `defaultEndpointToHostAction` is Accept, as installers have it).
            (Network::HostEndpoint, Network::Pod)
                if into || self.row(from, Direction::Egress).is_governed() =>
            {
                Exemption::OwnPods
            }
            (Network::Pod, Network::HostEndpoint) if into => Exemption::LocalNode,
            _ => Exemption::None,
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
        match tiers[policy.tier as usize].layer {
            Layer::Mesh => {
                policy.selected.iter().for_each(|class| mesh.govern(*class, number));
            }
            Layer::Relay => mesh.guard(number, &policy.origin),
            Layer::Isolation | Layer::Network | Layer::Firewall => continue,
        }
        for rule in policy.rules.clone() {
            let (peers, action) = (&rules[rule as usize].rule.peers, rules[rule as usize].rule.action);
            let holding = Holding::of(action);
            let asks = |part: &Peer| matches!(part, Peer::Authenticated);
            if peers.named().iter().any(|peer| peer.any(asks)) {
                let unproven = classes.matching(peers, Admission::Refused, holding).unwrap_or_default();
                mesh.unproven.insert(rule, unproven);
            }
        }
    }
}

/// Tiers, policies and rules by number.
struct Numbered {
    tiers: Vec<TierInfo>,
    policies: Vec<PolicyInfo>,
    rules: Vec<RuleInfo>,
}

/// Gives every tier, policy and rule its number; lower numbers are asked first. Pods for which policies do
/// not count are selected by none; those that some policy would select come back, with the first.
fn number(tiers: Vec<Tier>, classes: &Classes, dataplane: &Dataplane) -> (Numbered, BTreeMap<ClassId, u32>) {
    let (mut infos, mut policies, mut rules) = (Vec::new(), Vec::new(), Vec::new());
    let is_left_out = |class: &Class| dataplane.leaves_out(class.standing).is_some();
    let out: Vec<bool> = classes.classes.iter().map(is_left_out).collect();
    let mut left_out = BTreeMap::new();
    for tier in tiers {
        let Tier { layer, direction, rank, unmatched, policies: own } = tier;
        for policy in own {
            let first = rules.len() as u32;
            for (place, rule) in policy.rules.iter().enumerate() {
                let (proven, unproven, holding) =
                    (Admission::Admitted, Admission::Refused, Holding::of(rule.action));
                let matches = classes.matching(&rule.peers, proven, holding);
                let own = classes.matching(&rule.own, unproven, holding);
                // What is passed on for certain is not open to the rules behind; see `Holding`.
                let extent = match rule.action {
                    Action::Pass => classes.extent(rule),
                    Action::Allow | Action::Deny => Extent::Whole,
                };
                let rule = LoweredRule { policy: policy.clone(), place };
                rules.push(RuleInfo { policy: policies.len() as u32, rule, matches, own, extent });
            }
            let mut selected: Vec<ClassId> =
                policy.subjects.iter().flat_map(|selection| classes.selected(selection)).copied().collect();
            selected.sort_unstable();
            selected.dedup();
            if matches!(layer, Layer::Network | Layer::Firewall) {
                let gone = selected.extract_if(.., |class| out[*class as usize]);
                gone.for_each(|class| {
                    left_out.entry(class).or_insert(policies.len() as u32);
                });
            }
            let (rules, tier) = (first..rules.len() as u32, infos.len() as u32);
            policies.push(PolicyInfo { policy, direction, selected, rules, tier });
        }
        infos.push(TierInfo { layer, direction, rank, unmatched });
    }
    (Numbered { tiers: infos, policies, rules }, left_out)
}
