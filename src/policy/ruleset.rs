//! The shape that every policy language is lowered to.

use crate::model::{AddressSet, Origin, Protocol, Selector, TrafficSet};

/// One step of policy processing: the rules that a connection meets together.
#[derive(Clone, Debug)]
pub struct Tier {
    /// Layers intersect.
    pub layer: Layer,
    /// Seen from the subject.
    pub direction: Direction,
    /// Policies in order.
    pub policies: Vec<Policy>,
    /// What becomes of traffic of a subject of this tier that no rule matched.
    pub unmatched: Action,
}

/// A policy makes its subjects answer to the tier; its rules are ordered.
#[derive(Clone, Debug)]
pub struct Policy {
    /// To whom it applies.
    pub subjects: Selection,
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
    /// The other ends.
    pub peers: Peers,
    /// The traffic.
    pub traffic: TrafficMatch,
    /// Where it stands.
    pub origin: Origin,
}

/// What enforces: layers are passed one after the other, and each must allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// Packets, by the cluster network.
    Network,
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

/// Endpoints, by namespace and labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selection {
    /// In which namespaces.
    pub namespaces: Namespaces,
    /// With which labels.
    pub endpoints: Selector,
}

/// Namespaces, by name or labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespaces {
    /// The one of this name.
    Named(String),
    /// All whose labels match.
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
    /// Addresses; whether they match pods depends on the dataplane.
    Addresses(AddressSet),
}

/// Traffic with names that only the destination can resolve.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct TrafficMatch {
    /// By number.
    pub fixed: TrafficSet,
    /// By container port name, with the protocol that must fit.
    pub named: Vec<(Protocol, String)>,
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

impl TrafficMatch {
    /// All traffic.
    pub fn all() -> Self {
        TrafficMatch { fixed: TrafficSet::all(), named: Vec::new() }
    }
}
