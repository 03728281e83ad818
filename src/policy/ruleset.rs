//! The shape that every policy language is lowered to.

use crate::model::{
    AddressSet, DomainPattern, Narrowing, Origin, Protocol, Requirement, Selector, TrafficSet,
};
use std::cmp::Ordering;
use std::sync::Arc;

/// One step of policy processing: the rules that a connection meets together.
///
/// Tiers of one layer, direction and rank are one, whichever engines they come from.
#[derive(Clone, Debug)]
pub struct Tier {
    /// Layers intersect.
    pub layer: Layer,
    /// Seen from the subject.
    pub direction: Direction,
    /// Its place among the tiers of the layer.
    pub rank: TierRank,
    /// What becomes of traffic that no rule matched, of subjects that a policy isolates here.
    pub unmatched: Action,
    /// Policies, in any order: `Policy::order` says which is asked first. They are never changed once
    /// they are lowered, so whoever keeps one shares it.
    pub policies: Vec<Arc<Policy>>,
}

/// A policy makes its subjects answer to the tier; its rules are ordered.
#[derive(Clone, Debug)]
pub struct Policy {
    /// To whom it applies: whoever one of these selects.
    pub subjects: Vec<Selection>,
    /// Whether its subjects answer to `Tier::unmatched`.
    pub isolation: Isolation,
    /// Its place among the policies of the tier.
    pub order: PolicyOrder,
    /// Its rules in order.
    pub rules: Vec<Rule>,
    /// Where it stands.
    pub origin: Origin,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What happens to what matches.
    pub action: Action,
    /// What the subject itself must be beside being selected; `Everyone` in most languages.
    pub own: Peers,
    /// The other ends.
    pub peers: Peers,
    /// The traffic.
    pub traffic: TrafficMatch,
    /// What it asks beyond that. A narrowed rule matches some of its traffic and nobody knows
    /// which: narrowed allowing lets in, narrowed denying takes nothing away for certain.
    pub narrowed: Option<Narrowing>,
    /// Where it stands.
    pub origin: Origin,
}

/// What enforces: layers are passed one after the other, and each must allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// Networks that are apart from each other, whatever policies say.
    Isolation,
    /// Packets, by the policies of the cluster network.
    Network,
    /// What leaves the cluster, by a firewall of its own.
    Firewall,
    /// Connections and requests on their way, by a proxy between client and server (`Relay`); its
    /// policies select those proxies, and relays say which calls each policy is about.
    Relay,
    /// Connections and requests, by the proxies of a mesh.
    Mesh,
}

/// As seen from the subject of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Connections to the subject.
    Ingress,
    /// Connections from the subject.
    Egress,
}

/// What happens to matching traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Let through this layer.
    Allow,
    /// Dropped.
    Deny,
    /// Left to the next tier.
    Pass,
}

/// Whether selecting an endpoint is enough to make it answer to the end of the tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isolation {
    /// Unmatched traffic of its subjects gets `Tier::unmatched`.
    Isolates,
    /// Its rules count, but what they do not match goes on.
    Leaves,
}

/// A number that orders; lower is first, absent is last (`f64::INFINITY`).
#[derive(Clone, Copy, Debug)]
pub struct Order(pub f64);

/// The place of a tier. Kubernetes' own steps have the numbers that Calico gives them, so that
/// languages meet in one order (`docs/design.md`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TierRank {
    /// Tiers that nobody declared come after all others.
    pub declared: Declared,
    /// First by this.
    pub order: Order,
    /// Then by this.
    pub name: String,
}

/// Whether a tier that policies name exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Declared {
    /// It does.
    Yes,
    /// Only policies speak of it.
    No,
}

/// The place of a policy in its tier.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyOrder {
    /// First by this.
    pub order: Order,
    /// Then by this text; what the specification leaves open is reported where it matters.
    pub tie: String,
}

/// Endpoints, by what they are, their namespace and their labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selection {
    /// Which kind of endpoints.
    pub population: Population,
    /// In which namespaces.
    pub namespaces: Namespaces,
    /// With which labels and facts (`model::fact`).
    pub endpoints: Selector,
}

/// Which endpoints a selection looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Population {
    /// Pods with a network of their own.
    Pods,
    /// Interfaces of nodes that policies govern (Calico HostEndpoint).
    HostEndpoints,
    /// Pods on the network of their node, which stand for the node.
    HostNetwork,
    /// Proxies that are no pods; policies of the cluster's network do not select them.
    Standalone,
    /// Whatever a mesh can reach: pods with a network of their own, and machines outside.
    Meshable,
}

/// Namespaces, by name or labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespaces {
    /// The one of this name.
    Named(String),
    /// All whose labels match; endpoints that have no namespace too, where that is everything.
    Matching(Selector),
}

/// The other ends that a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// All endpoints, nodes and outside addresses.
    Everyone,
    /// Any of these.
    Among(Vec<Peer>),
}

/// One kind of other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Endpoints by labels.
    Endpoints(Selection),
    /// Addresses; whether they match pods and nodes depends on the dataplane.
    Addresses(AddressSet),
    /// Nodes by labels: their addresses, and what runs on their network.
    Nodes(Selector),
    /// The same by addresses that are surely those of their interfaces: what a node is said to be reached
    /// at from outside may be somebody else's.
    Interfaces(Selector),
    /// Addresses that are neither endpoints nor nodes.
    Outside,
    /// Outside endpoints by name.
    Domains(Vec<DomainPattern>),
    /// What stands behind services.
    Backends(Services),
    /// Whoever proves an identity of the mesh on the connection at hand; only in `Layer::Mesh` and
    /// `Layer::Relay`.
    Authenticated,
    /// All of these at once.
    All(Vec<Peer>),
    /// Everybody else.
    Not(Box<Peer>),
}

/// Services, by name or labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Services {
    /// Their namespace; any where `None`.
    pub namespace: Option<String>,
    /// Which of them.
    pub chosen: ServiceChoice,
}

/// How services are chosen.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServiceChoice {
    /// By name.
    Named(String),
    /// By their labels.
    Labelled(Selector),
    /// Not a service, but the name that a mesh gives to endpoints (Istio ServiceEntry), by name.
    Entry(String),
    /// All services but those that these mean.
    Besides(Vec<Services>),
}

/// Traffic with names that only the destination can resolve.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct TrafficMatch {
    /// By number.
    pub fixed: TrafficSet,
    /// By name, in addition.
    pub named: Vec<PortName>,
    /// By name, taken away at the end.
    pub except: Vec<PortName>,
}

/// A port that the destination resolves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortName {
    /// A container port by name, of this protocol, or of whichever it has.
    Container(Option<Protocol>, String),
    /// The ports on which the endpoint serves a service.
    Backend(Services),
    /// The ports whose services declare what is spoken on them.
    Spoken(Speech),
}

/// What a service declares of a port, by `appProtocol` or by what its name begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Speech {
    /// HTTP, HTTP/2 or gRPC in the clear, so that a proxy can read requests.
    Http,
    /// Something else.
    Bytes,
    /// Nothing that proxies know: they look at the first bytes.
    Undeclared,
}

impl Speech {
    /// Reads the declaration of a port; `appProtocol` counts before the name.
    pub fn of(port_name: &str, app_protocol: &str) -> Speech {
        const HTTP: &[&str] = &["http", "http2", "grpc", "grpc-web", "kubernetes.io/h2c", "kubernetes.io/ws"];
        const BYTES: &[&str] =
            &["tcp", "tls", "https", "mongo", "redis", "mysql", "postgres", "udp", "kubernetes.io/wss"];
        let known = |word: &str| HTTP.contains(&word) || BYTES.contains(&word);
        let declared = Speech::word_of(port_name, app_protocol, known);
        if HTTP.contains(&declared.as_str()) {
            return Speech::Http;
        }
        match BYTES.contains(&declared.as_str()) {
            true => Speech::Bytes,
            false => Speech::Undeclared,
        }
    }

    /// Whether the declaration says that applications speak TLS themselves.
    pub fn is_tls(port_name: &str, app_protocol: &str) -> bool {
        const TLS: &[&str] = &["tls", "https", "kubernetes.io/wss"];
        let declared = Speech::word_of(port_name, app_protocol, |word| !word.is_empty());
        TLS.contains(&declared.as_str())
    }

    /// `appProtocol` where it is `known`, else what the name of the port begins with.
    fn word_of(port_name: &str, app_protocol: &str, known: impl Fn(&str) -> bool) -> String {
        match app_protocol.to_ascii_lowercase() {
            word if known(&word) => word,
            _ if port_name.starts_with("grpc-web") => "grpc-web".to_owned(),
            _ => port_name.split('-').next().unwrap_or_default().to_ascii_lowercase(),
        }
    }

    /// As explanations name it.
    pub fn word(self) -> &'static str {
        match self {
            Speech::Http => "HTTP",
            Speech::Bytes => "other than HTTP",
            Speech::Undeclared => "nothing",
        }
    }
}

impl Direction {
    /// Both, in the order of reports.
    pub const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

    /// `ingress` or `egress`.
    pub fn word(self) -> &'static str {
        match self {
            Direction::Ingress => "ingress",
            Direction::Egress => "egress",
        }
    }
}

impl Layer {
    /// As explanations name it.
    pub fn word(self) -> &'static str {
        match self {
            Layer::Isolation => "network isolation",
            Layer::Network => "network policy",
            Layer::Firewall => "egress firewall",
            Layer::Relay => "authorization on the way",
            Layer::Mesh => "mesh authorization",
        }
    }
}

impl TierRank {
    /// Admin policies of Kubernetes, and tiers of that order.
    pub const ADMIN: f64 = 1_000.0;
    /// NetworkPolicy, and whatever shares its tier.
    pub const DEFAULT: f64 = 1_000_000.0;
    /// Baseline policies of Kubernetes.
    pub const BASELINE: f64 = 10_000_000.0;

    /// A tier that exists.
    pub fn declared(order: f64, name: &str) -> TierRank {
        TierRank { declared: Declared::Yes, order: Order(order), name: name.to_owned() }
    }

    /// The tier of NetworkPolicy.
    pub fn default_tier() -> TierRank {
        TierRank::declared(TierRank::DEFAULT, "default")
    }
}

impl PolicyOrder {
    /// The order that NetworkPolicies have in their tier; only who shares it can tell.
    pub const NETWORK_POLICY: f64 = 1_000.0;

    /// By number, then by text.
    pub fn new(order: f64, tie: impl Into<String>) -> PolicyOrder {
        PolicyOrder { order: Order(order), tie: tie.into() }
    }
}

impl Order {
    /// After everything that has a number.
    pub const LAST: f64 = f64::INFINITY;
}

impl PartialEq for Order {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Order {}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order {
    /// Minus zero and zero are one number here.
    fn cmp(&self, other: &Self) -> Ordering {
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}

impl std::hash::Hash for Order {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.0 + 0.0).to_bits().hash(state);
    }
}

impl Selection {
    /// Pods by namespace and labels.
    pub fn pods(namespaces: Namespaces, endpoints: Selector) -> Selection {
        Selection { population: Population::Pods, namespaces, endpoints }
    }

    /// Every pod of the cluster.
    pub fn all_pods() -> Selection {
        Selection::pods(Namespaces::any(), Selector::everything())
    }
}

impl Namespaces {
    /// All of them.
    pub fn any() -> Namespaces {
        Namespaces::Matching(Selector::everything())
    }
}

impl Peers {
    /// Nobody at all.
    pub fn nobody() -> Peers {
        Peers::Among(Vec::new())
    }
}

impl Peer {
    /// Calls `visit` with this peer and everything that it is made of.
    pub fn for_each<'a>(&'a self, visit: &mut impl FnMut(&'a Peer)) {
        visit(self);
        match self {
            Peer::All(parts) => parts.iter().for_each(|part| part.for_each(visit)),
            Peer::Not(part) => part.for_each(visit),
            _ => {}
        }
    }

    /// Whether `test` holds for this peer or for something that it is made of.
    pub fn any(&self, test: impl Fn(&Peer) -> bool) -> bool {
        let mut found = false;
        self.for_each(&mut |peer| found |= test(peer));
        found
    }
}

impl Peers {
    /// The peers that are named; none where everyone is meant.
    pub fn named(&self) -> &[Peer] {
        match self {
            Peers::Everyone => &[],
            Peers::Among(peers) => peers,
        }
    }
}

impl Policy {
    /// Policies as a tier has them.
    pub fn shared(policies: impl IntoIterator<Item = Policy>) -> Vec<Arc<Policy>> {
        policies.into_iter().map(Arc::new).collect()
    }
}

impl Rule {
    /// A rule as most languages have it: no condition on the subject, nothing narrowed.
    pub fn new(action: Action, peers: Peers, traffic: TrafficMatch, origin: Origin) -> Rule {
        Rule { action, own: Peers::Everyone, peers, traffic, narrowed: None, origin }
    }
}

impl TrafficMatch {
    /// Whether some of it hangs on what services declare to be spoken on a port.
    pub fn hangs_on_speech(&self) -> bool {
        self.named.iter().chain(&self.except).any(|name| matches!(name, PortName::Spoken(_)))
    }

    /// All traffic.
    pub fn all() -> Self {
        TrafficMatch::fixed(TrafficSet::all())
    }

    /// Traffic by numbers alone.
    pub fn fixed(fixed: TrafficSet) -> Self {
        TrafficMatch { fixed, named: Vec::new(), except: Vec::new() }
    }

    /// Whether the destination must be asked.
    pub fn has_names(&self) -> bool {
        !self.named.is_empty() || !self.except.is_empty()
    }
}

/// `key In [value]` for several values, none of which means that nothing matches.
pub fn one_of(key: &str, values: Vec<String>) -> Selector {
    match values.is_empty() {
        true => Selector::nothing(),
        false => Selector { requirements: vec![Requirement::In(key.to_owned(), values)] },
    }
}
