//! Administrators' policies → two tiers in each direction, before and after NetworkPolicy.
//!
//! They isolate nobody: what no rule matches goes on. Their priorities are the order in the tier.

use super::super::calico::LabelledAddresses;
use super::super::cilium::settings::is_cilium;
use super::super::{
    Action, Dataplane, DataplaneKind, Direction, Engine, Found, Isolation, Layer, Lowered, Namespaces, Peer,
    Peers, Policy, PolicyOrder, PortName, Rule, Selection, Tier, TierRank, TrafficMatch, fields,
};
use super::cilium;
use super::kinds::{self, KINDS, Stage};
use super::wire::{self, PeerShape, RuleShape, Shape};
use super::{Unknown, unknown};
use crate::model::{AddressSet, Bend, Condition, Document, DomainPattern, Gap, Origin, Protocol, Selector};
use std::collections::BTreeMap;

/// Lowers all objects of the three kinds.
pub fn lower(documents: &[Document], dataplane: &Dataplane) -> Lowered {
    let mut lowered = Lowered::default();
    let mut tiers: BTreeMap<(Stage, Direction), Vec<Policy>> = BTreeMap::new();
    let nodes_known = documents.iter().any(|d| &*d.origin.kind == "Node" && d.api_version == "v1");
    let sets = (dataplane.kind == DataplaneKind::Calico).then(|| LabelledAddresses::read(documents));
    let sets = sets.as_ref();
    let mut shapes: Vec<(&Document, Shape)> = Vec::new();
    for (document, kind) in objects(documents) {
        let Some(dialect) = kinds::dialect(kind.name) else { continue };
        lowered.gaps.extend(fields::doubts(kind, document));
        lowered.gaps.extend(wire::omissions(document, dialect));
        match wire::read(document, dialect) {
            Ok(shape) => shapes.push((document, shape)),
            Err(problem) => lowered.problems.push(problem),
        }
    }
    let shared = cilium::shared(dataplane, shapes.iter().map(|(_, shape)| shape));
    for (document, shape) in shapes {
        let origin = &document.origin;
        let by_turns = shared.contains(&(shape.stage, shape.priority));
        let mut lowering = Lowering { origin, dataplane, nodes_known, sets, by_turns, gaps: Vec::new() };
        let refused = lowering.refused(&shape);
        lowering.hidden(&shape);
        for (place, mut policy) in lowering.policies(shape) {
            if let Some(why) = refused {
                doubt(&mut policy, why);
            }
            tiers.entry(place).or_default().push(policy);
        }
        lowered.gaps.append(&mut lowering.gaps);
    }
    lowered.tiers =
        tiers.into_iter().map(|((stage, way), policies)| tier(stage, way, policies, dataplane)).collect();
    lowered
}

fn objects(documents: &[Document]) -> impl Iterator<Item = (&Document, &'static fields::Kind)> {
    documents.iter().filter_map(|document| Some((document, fields::kind_of(KINDS, document)?)))
}

fn tier(stage: Stage, direction: Direction, policies: Vec<Policy>, dataplane: &Dataplane) -> Tier {
    // Both generations stand in the tier that Calico shows for them, so that priorities interleave.
    let (rank, unmatched) = match stage {
        Stage::Admin => (TierRank::declared(TierRank::ADMIN, "kube-admin"), Action::Pass),
        Stage::Baseline if is_cilium(dataplane.kind) => cilium::baseline(),
        Stage::Baseline => (TierRank::declared(TierRank::BASELINE, "kube-baseline"), Action::Pass),
    };
    Tier { layer: Layer::Network, direction, rank, unmatched, policies: Policy::shared(policies) }
}

/// One object on its way.
struct Lowering<'a> {
    origin: &'a Origin,
    dataplane: &'a Dataplane,
    /// Whether Node objects were given.
    nodes_known: bool,
    /// What Calico knows of addresses, where it reads the object.
    sets: Option<&'a LabelledAddresses>,
    /// Whether its rules and those of others of its priority are asked by turns.
    by_turns: bool,
    gaps: Vec<Gap>,
}

/// What OVN-Kubernetes does not apply as a whole (`ovnkSupportedPriorityUpperBound` and
/// `newAdminNetworkPolicyEgressPeer` in `go-controller/pkg/ovn/controller/admin_network_policy`).
const LAST_OF_OVN: u16 = 99;

/// A policy that its dataplane may not apply keeps nothing back for certain.
fn doubt(policy: &mut Policy, why: &str) {
    for rule in &mut policy.rules {
        let narrowed = rule.narrowed.take().unwrap_or_default();
        rule.narrowed = Some(narrowed.and(Condition::Other(why.to_owned())));
    }
}

/// A name that no protocol was said of, as one of a TCP port.
fn of_tcp(name: &mut PortName) {
    if let PortName::Container(protocol @ None, _) = name {
        *protocol = Some(Protocol::Tcp);
    }
}

impl Lowering<'_> {
    /// Why the dataplane applies no rule of a policy, as a condition, with the gap.
    fn refused(&mut self, shape: &Shape) -> Option<&'static str> {
        let why = self.refused_by_ovn(shape).or_else(|| cilium::refused(self.dataplane, shape))?;
        let what = format!("this policy counts only where {why}: what it denies is not relied on");
        self.gap(what, self.origin.clone(), Bend::MayAllowLess);
        Some(why)
    }

    fn refused_by_ovn(&self, shape: &Shape) -> Option<&'static str> {
        if self.dataplane.kind != DataplaneKind::OvnKubernetes {
            return None;
        }
        let by_name = |rule: &RuleShape| rule.peers.iter().any(|peer| matches!(peer, PeerShape::Domains(_)));
        match () {
            () if shape.stage == Stage::Admin && shape.priority > LAST_OF_OVN => {
                Some("OVN-Kubernetes takes priorities above 99, which it does not apply")
            }
            () if shape.egress.iter().any(by_name) => {
                Some("OVN-Kubernetes knows peers by domainNames, which it does not")
            }
            () => None,
        }
    }

    /// Whether a NetworkPolicy for one direction hides the baseline in the other one too, the API does
    /// not say (`ClusterNetworkPolicySpec.tier`), and kube-network-policies takes it so. Known
    /// dataplanes go by the direction.
    fn hidden(&mut self, shape: &Shape) {
        let denies = |rules: &[RuleShape]| rules.iter().any(|rule| rule.action == Action::Deny);
        let asked = shape.stage == Stage::Baseline && (denies(&shape.ingress) || denies(&shape.egress));
        if asked && self.dataplane.kind == DataplaneKind::Kubernetes {
            let what = "pods that a NetworkPolicy selects for the other direction only are taken to meet this \
                        baseline; kube-network-policies leaves it out there";
            self.gap(what.to_owned(), self.origin.clone(), Bend::MayAllowMore);
        }
    }

    /// A policy for each direction in which it has rules; without rules it has no influence there.
    fn policies(&mut self, shape: Shape) -> Vec<((Stage, Direction), Policy)> {
        let Shape { stage, priority, subject, ingress, egress } = shape;
        let mut policies = Vec::new();
        for (direction, rules) in [(Direction::Ingress, ingress), (Direction::Egress, egress)] {
            if rules.is_empty() {
                continue;
            }
            let mut alone = Vec::new();
            for (index, rule) in rules.into_iter().enumerate() {
                let action = rule.action;
                let order = cilium::order((stage, priority), index, action, &self.origin.name);
                alone
                    .extend(self.rules(direction, index, rule).into_iter().map(|rule| (order.clone(), rule)));
            }
            let place = (stage, direction);
            let policy = |order, rules| Policy {
                subjects: vec![subject.clone()],
                isolation: Isolation::Leaves,
                order,
                rules,
                origin: self.origin.clone(),
            };
            if self.by_turns {
                policies.extend(alone.into_iter().map(|(order, rule)| (place, policy(order, vec![rule]))));
                continue;
            }
            // Which of two equal priorities comes first is undefined; implementations sort by name.
            let order = match is_cilium(self.dataplane.kind) {
                true => cilium::order((stage, priority), 0, Action::Deny, &self.origin.name),
                false => PolicyOrder::new(f64::from(priority), &*self.origin.name),
            };
            policies.push((place, policy(order, alone.into_iter().map(|(_, rule)| rule).collect())));
        }
        policies
    }

    /// A rule, and what its dataplane adds to it.
    fn rules(&mut self, direction: Direction, index: usize, rule: RuleShape) -> Vec<Rule> {
        let names = rule.peers.iter().filter_map(|peer| match peer {
            PeerShape::Domains(names) if is_cilium(self.dataplane.kind) => Some(names.as_slice()),
            _ => None,
        });
        let (names, action): (Vec<DomainPattern>, Action) = (names.flatten().cloned().collect(), rule.action);
        let rule = self.rule(direction, index, rule);
        let dns = (!names.is_empty() && action == Action::Allow).then(|| cilium::dns(&names, &rule.origin));
        dns.into_iter().chain([rule]).collect()
    }

    fn rule(&mut self, direction: Direction, index: usize, rule: RuleShape) -> Rule {
        let RuleShape { line, action, peers, mut traffic } = rule;
        let origin = self.origin.at(&format!("{}[{index}]", direction.word()), line);
        if let Some(what) = peers.iter().find_map(|peer| self.not_understood(peer)) {
            return self.closed(action, origin, &what);
        }
        let calico_names = traffic.has_names() && self.dataplane.kind == DataplaneKind::Calico;
        if calico_names && &*self.origin.kind != kinds::CLUSTER {
            // What has no protocol is TCP there, names of ports too (`adminnetworkpolicy_test.go`, rules
            // with `NamedPort`).
            traffic.named.iter_mut().for_each(of_tcp);
        } else if calico_names {
            // `k8sCNPPortToCalicoFields` in `clusternetworkpolicy.go`, as below.
            let what = match action {
                Action::Allow => "Calico knows no named ports here, and leaves the rule out",
                Action::Deny | Action::Pass => {
                    "Calico knows no named ports here, and denies everything instead"
                }
            };
            self.gap(what.to_owned(), origin.clone(), Bend::MayAllowLess);
        }
        let mut matched = Vec::new();
        // Networks are one set, whichever peers they stand in: the addresses of a pod may lie in several.
        let mut networks = AddressSet::none();
        for peer in peers {
            match peer {
                PeerShape::Networks(addresses) => networks = networks.union(&addresses),
                PeerShape::Namespaces(selector) => {
                    // Ports of addresses have no names.
                    let sets = self.sets.filter(|_| direction == Direction::Ingress || !traffic.has_names());
                    // Calico means everything there, network sets too (`combinePortsWithCNPIngressPeers`).
                    let beside = sets.map(|sets| sets.in_namespaces(&selector));
                    networks = networks.union(&beside.unwrap_or_else(AddressSet::none));
                    let pods = Selection::pods(Namespaces::Matching(selector), Selector::everything());
                    matched.push(Peer::Endpoints(pods));
                }
                other => matched.extend(self.peer(other, action, &origin)),
            }
        }
        if !networks.is_empty() {
            matched.push(Peer::Addresses(networks));
        }
        Rule::new(action, Peers::Among(matched), traffic, origin)
    }

    /// Why a dataplane cannot make anything of a peer.
    fn not_understood(&self, peer: &PeerShape) -> Option<String> {
        let calico = self.dataplane.kind == DataplaneKind::Calico;
        match peer {
            PeerShape::Unknown(fields) => Some(format!("a peer by {fields} is not known")),
            // `libcalico-go/lib/backend/k8s/conversion/clusternetworkpolicy.go`
            PeerShape::Nodes(_) if calico => Some("Calico knows no peers by nodes".to_owned()),
            PeerShape::Domains(_) if calico => Some("Calico knows no peers by domainNames".to_owned()),
            PeerShape::Namespaces(_)
            | PeerShape::Nodes(_)
            | PeerShape::Domains(_)
            | PeerShape::Pods(_)
            | PeerShape::Networks(_) => None,
        }
    }

    /// A rule with a peer that is not understood fails closed: what allows matches nothing, what
    /// denies or passes denies everything (`ClusterNetworkPolicyEgressPeer`).
    fn closed(&mut self, action: Action, origin: Origin, what: &str) -> Rule {
        let (taken, rule) = match action {
            Action::Allow => {
                ("matches nothing", Rule::new(action, Peers::nobody(), TrafficMatch::all(), origin.clone()))
            }
            Action::Deny | Action::Pass => (
                "denies everything",
                Rule::new(Action::Deny, Peers::Everyone, TrafficMatch::all(), origin.clone()),
            ),
        };
        self.gap(format!("{what}, so the rule {taken}"), origin, Bend::MayAllowMore);
        rule
    }

    fn peer(&mut self, peer: PeerShape, action: Action, origin: &Origin) -> Option<Peer> {
        let bends = match action {
            Action::Allow => Bend::MayAllowMore,
            Action::Deny | Action::Pass => Bend::MayAllowLess,
        };
        match peer {
            PeerShape::Pods(selection) => Some(Peer::Endpoints(selection)),
            PeerShape::Nodes(selector) => {
                if !self.nodes_known {
                    let what = "the addresses of nodes are not known: no Node object was given".to_owned();
                    self.gap(what, origin.clone(), bends);
                }
                // The API means what `status.addresses` of a node holds, OVN-Kubernetes its interfaces
                // (`GetNodeHostAddrs`).
                let assumed = self.dataplane.found == Found::Assumed;
                match (action, self.dataplane.kind) {
                    (Action::Deny | Action::Pass, DataplaneKind::OvnKubernetes) => {
                        Some(Peer::Interfaces(selector))
                    }
                    (Action::Deny, _) if assumed => Some(Peer::Interfaces(selector)),
                    _ => Some(Peer::Nodes(selector)),
                }
            }
            PeerShape::Domains(patterns) => {
                if action != Action::Allow {
                    let what = "domainNames are defined for rules that allow; what this rule does to the \
                                addresses behind the names is not defined"
                        .to_owned();
                    self.gap(what, origin.clone(), bends);
                }
                Some(Peer::Domains(patterns))
            }
            // Namespaces and networks are put together by `rule`, and unknown peers close it.
            PeerShape::Namespaces(_) | PeerShape::Networks(_) | PeerShape::Unknown(_) => None,
        }
    }

    fn gap(&mut self, what: String, origin: Origin, bends: Bend) {
        self.gaps.push(Gap { what, origin, bends });
    }
}

/// What is doubtful about who enforces: a version that nobody told, and two generations of the API
/// side by side.
pub fn doubts_of_enforcement(documents: &[Document], dataplane: &Dataplane, engine: &dyn Engine) -> Vec<Gap> {
    let (name, mut gaps) = (dataplane.kind.name(), Vec::new());
    let mut generations: BTreeMap<bool, &Origin> = BTreeMap::new();
    for (document, kind) in objects(documents) {
        let (origin, enforced) = (document.origin.clone(), engine.enforces(kind.name, dataplane));
        if enforced {
            generations.entry(kind.name == kinds::CLUSTER).or_insert(&document.origin);
        }
        let (what, bends) = match (enforced, unknown(kind.name, dataplane)) {
            // That a policy is not enforced is known, and a finding: no gap.
            (_, None) => continue,
            (_, Some(Unknown::Gate(gate))) => (
                format!(
                    "whether {name} runs with the feature gate {gate} is not known, and it is off by default, \
                     so that {} was taken to have no effect",
                    kind.name
                ),
                // What it allows may be open.
                Bend::MayAllowMore,
            ),
            (true, Some(Unknown::Version)) => (
                format!("which version of {name} runs is not known; only newer ones enforce {}", kind.name),
                Bend::MayAllowMore,
            ),
            (false, Some(Unknown::Version)) => (
                format!(
                    "which version of {name} runs is not known; the newest do not enforce {}, \
                     so it was taken to have no effect",
                    kind.name
                ),
                Bend::MayAllowLess,
            ),
        };
        gaps.push(Gap { what, origin, bends });
    }
    if let (Some(_), Some(newer)) = (generations.get(&false), generations.get(&true)) {
        gaps.push(Gap {
            what: "policies of v1alpha1 and of ClusterNetworkPolicy are both here; \
                   an implementation serves one of them, and all were counted"
                .to_owned(),
            origin: Origin::clone(newer),
            bends: Bend::MayAllowMore,
        });
    }
    gaps
}
