//! Identities that are no pods: what entities mean, and which identities a selector of labels fits.
//!
//! Such an identity has a reserved label. That of an address outside depends on which address
//! families the agent has, so where the settings do not tell, allowing entries take each that may
//! fit and denying entries only what fits in any case.

use super::super::{Action, Namespaces, Peers};
use super::super::{Dataplane, Peer, Population, Rule, Selection, ServiceChoice, Services, Tier};
use super::labels::Terms;
use super::peers::{Family, Part};
use super::ports::narrowing;
use super::settings;
use super::wire::Effect;
use crate::model::{AddressRange, Condition, Labels, Selector};
use std::sync::Arc;

/// A named set of identities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// Everybody.
    All,
    /// The outside.
    World,
    /// The outside, by IPv4.
    WorldIpv4,
    /// The outside, by IPv6.
    WorldIpv6,
    /// Pods and nodes of the cluster.
    Cluster,
    /// The same of all clusters that are connected.
    ClusterMesh,
    /// The node of the endpoint.
    Host,
    /// The other nodes.
    RemoteNode,
    /// The API server.
    ApiServer,
    /// Endpoints that no object declares; what is said of them, where it matters.
    Elsewhere(Option<&'static str>),
}

/// What entries may name. The agent knows `world-ipv4` and `world-ipv6` too, but the API server
/// refuses them: they are not in the enumeration of the field.
pub const ENTITIES: &[(&str, Entity)] = &[
    ("all", Entity::All),
    ("world", Entity::World),
    ("cluster", Entity::Cluster),
    ("cluster-mesh", Entity::ClusterMesh),
    ("host", Entity::Host),
    ("remote-node", Entity::RemoteNode),
    ("kube-apiserver", Entity::ApiServer),
    ("ingress", Entity::Elsewhere(Some("what comes through Cilium's own ingress proxy is not in the graph"))),
    ("health", Entity::Elsewhere(None)),
    ("init", Entity::Elsewhere(Some("pods whose labels are not known yet are not in the graph"))),
    ("unmanaged", Entity::Elsewhere(Some("which pods Cilium does not manage is not known"))),
    ("none", Entity::Elsewhere(None)),
];

/// The version since which `cluster-mesh` is one of them.
const CLUSTER_MESH: (u32, u32) = (1, 20);

/// Entities that are one identity each inside, with a reserved label of that name.
const IDENTITIES: &[&str] =
    &["host", "remote-node", "kube-apiserver", "ingress", "health", "init", "unmanaged"];

/// The entity of a word; `None` where the API server refuses it.
pub fn named(word: &str, dataplane: &Dataplane) -> Option<Entity> {
    let (_, entity) = ENTITIES.iter().find(|(known, _)| *known == word)?;
    let old = dataplane.version.is_some_and(|version| version < CLUSTER_MESH);
    (*entity != Entity::ClusterMesh || !old).then_some(*entity)
}

/// The identities that are no pods and that a selector fits.
pub fn fitting(terms: &Terms, dataplane: &Dataplane, effect: Effect) -> Vec<Entity> {
    let known = |word: &&str| terms.fits_reserved(word, false);
    let words = IDENTITIES.iter().filter(|word| known(word));
    let mut entities: Vec<Entity> = words.filter_map(|word| named(word, dataplane)).collect();
    // Addresses outside have labels of other sources too: `cidr:`, `fqdn:`.
    let unsaid = effect == Effect::Allows;
    let outside = |own: &'static str, other: &str| {
        let fits = |label: &str| terms.fits_reserved(label, unsaid);
        // The label names its family only where the agent has the other one.
        match settings::family(dataplane, other) {
            Some(true) => fits(own),
            Some(false) => fits("world"),
            None if effect == Effect::Allows => fits(own) || fits("world"),
            None => fits(own) && fits("world"),
        }
    };
    match (outside("world-ipv4", "world-ipv6"), outside("world-ipv6", "world-ipv4")) {
        (true, true) => entities.push(Entity::World),
        (true, false) => entities.push(Entity::WorldIpv4),
        (false, true) => entities.push(Entity::WorldIpv6),
        (false, false) => {}
    }
    entities
}

/// What fields mean: peers, and those that are meant only in part.
#[derive(Default)]
pub struct Meant {
    /// Peers that are meant as a whole.
    pub peers: Vec<Peer>,
    everyone: bool,
    own_node: bool,
    other_nodes: bool,
    chosen_nodes: Vec<Peer>,
}

/// Which of the nodes an entity means.
const OWN_NODE: &str = "the node that the endpoint runs on, and no other";
const OTHER_NODES: &str = "nodes other than the one that the endpoint runs on";

impl Meant {
    /// The same as parts of an entry.
    pub fn parts(mut self, family: Family) -> Vec<Part> {
        let whole = |peers| Part { peers, condition: None, family };
        if self.everyone {
            return vec![whole(Peers::Everyone)];
        }
        let some_nodes = match (self.own_node, self.other_nodes) {
            (true, true) => {
                self.peers.extend(all_nodes());
                None
            }
            (true, false) => Some(OWN_NODE),
            (false, true) => Some(OTHER_NODES),
            (false, false) => None,
        };
        let part = |which: &str, peers| Part {
            condition: Some(Condition::Other(which.to_owned())),
            ..whole(Peers::Among(peers))
        };
        let mut parts = Vec::new();
        let nobody_else = some_nodes.is_none() && self.chosen_nodes.is_empty();
        if !self.peers.is_empty() || nobody_else {
            parts.push(whole(Peers::Among(self.peers)));
        }
        parts.extend(some_nodes.map(|which| part(which, all_nodes())));
        if !self.chosen_nodes.is_empty() {
            parts.push(part(OTHER_NODES, self.chosen_nodes));
        }
        parts
    }

    /// Adds nodes by their labels: other ones, as the own node is the entity `host`.
    pub fn nodes(&mut self, selector: Selector) {
        match selector.is_everything() {
            true => self.chosen_nodes.extend(all_nodes()),
            false => self.chosen_nodes.push(Peer::Nodes(selector)),
        }
    }

    /// Adds an entity.
    pub fn entity(&mut self, entity: Entity) {
        match entity {
            Entity::All => self.everyone = true,
            Entity::World => self.peers.push(Peer::Outside),
            Entity::WorldIpv4 => self.peers.push(outside("0.0.0.0/0")),
            Entity::WorldIpv6 => self.peers.push(outside("::/0")),
            Entity::Cluster | Entity::ClusterMesh => {
                self.peers.push(Peer::Endpoints(Selection::all_pods()));
                self.peers.extend(all_nodes());
                self.peers.push(api_server());
            }
            Entity::Host => self.own_node = true,
            Entity::RemoteNode => self.other_nodes = true,
            Entity::ApiServer => self.peers.push(api_server()),
            Entity::Elsewhere(_) => {}
        }
    }
}

fn outside(family: &str) -> Peer {
    let addresses = AddressRange::from_cidr(family).into_iter().collect();
    Peer::All(vec![Peer::Outside, Peer::Addresses(addresses)])
}

/// Every node, and what runs on its network.
fn all_nodes() -> Vec<Peer> {
    let on_nodes = Selection {
        population: Population::HostNetwork,
        namespaces: Namespaces::any(),
        endpoints: Selector::everything(),
    };
    vec![Peer::Nodes(Selector::everything()), Peer::Endpoints(on_nodes)]
}

/// The endpoints of the service `default/kubernetes`.
fn api_server() -> Peer {
    let chosen = ServiceChoice::Named("kubernetes".to_owned());
    Peer::Backends(Services { namespace: Some("default".to_owned()), chosen })
}

/// A selector of namespaces in a NetworkPolicy is one of labels to the agent. Where it only forbids
/// labels and names no cluster, identities without any fit it: the outside and the nodes.
pub fn let_in_without_namespace(tier: &mut Tier, dataplane: &Dataplane) {
    let local = settings::means_own_cluster(dataplane);
    let mut meant = match settings::nodes_have_labels(dataplane) || local != Some(true) {
        true => all_nodes(),
        false => Vec::new(),
    };
    if local != Some(true) {
        meant.push(Peer::Outside);
    }
    let unsure = "in versions before 1.19, or where policy-default-local-cluster is false";
    let condition = local.is_none().then(|| Condition::Other(unsure.to_owned()));
    let outright: Vec<Peer> = all_nodes().into_iter().chain([Peer::Outside]).collect();
    for policy in &mut tier.policies {
        // A peer of `namespaces` names no cluster whatever the settings are (`ParseClusterNetworkPolicy`).
        let (of_kubernetes, of_cluster) = match &*policy.origin.kind {
            "NetworkPolicy" => (true, false),
            "ClusterNetworkPolicy" => (false, true),
            _ => continue,
        };
        let more = |rule: &Rule| {
            let (peers, condition) = match fits_without_labels(rule)? {
                Fits::Namespaces if of_cluster => (&outright, None),
                Fits::Namespaces | Fits::Pods => (&meant, condition.clone()),
            };
            let counts = !peers.is_empty() && (of_kubernetes || rule.action != Action::Deny);
            let narrowed = match of_kubernetes {
                true => narrowing(condition),
                false => narrowing(condition).or_else(|| rule.narrowed.clone()),
            };
            counts.then(|| Rule { peers: Peers::Among(peers.clone()), narrowed, ..rule.clone() })
        };
        if policy.rules.iter().any(|rule| more(rule).is_some()) {
            let policy = Arc::make_mut(policy);
            let rules = std::mem::take(&mut policy.rules).into_iter();
            let with_more = |rule: Rule| {
                let more = more(&rule);
                [rule].into_iter().chain(more)
            };
            policy.rules = rules.flat_map(with_more).collect();
        }
    }
}

/// By what a peer that only forbids labels means those without any.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fits {
    Pods,
    Namespaces,
}

fn fits_without_labels(rule: &Rule) -> Option<Fits> {
    let Peers::Among(peers) = &rule.peers else { return None };
    let fits = |peer: &Peer| match peer {
        Peer::Endpoints(Selection { namespaces: Namespaces::Matching(selector), endpoints, .. }) => {
            let none = Labels::default();
            let fits = !selector.is_everything() && selector.matches(&none) && endpoints.matches(&none);
            let kind = if endpoints.is_everything() { Fits::Namespaces } else { Fits::Pods };
            fits.then_some(kind)
        }
        _ => None,
    };
    peers.iter().filter_map(fits).max()
}
