//! How an allowed connection is expected to be protected, and what that rests on.

use super::build::AllowedGraph;
use super::classes::{Class, PeerId};
use super::edge::Edge;
use super::mesh_edge::{Leg, Via};
use crate::inventory::{Network, Variant, Workload};
use crate::model::{ExpectedProtection, NodeKind, Text, TrafficSet};
use crate::policy::Dataplane;
use crate::policy::node_encryption::{HostCoverage, NodeCipher, NodeEncryption, node_encryption};
use std::collections::BTreeSet;

/// The expectation for one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Expected {
    /// What configuration promises.
    pub protection: ExpectedProtection,
    /// What the promise, or its absence, rests on.
    pub why: WhyExpected,
}

/// What an expectation rests on; worse ones come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WhyExpected {
    /// The client sends by this sending and the server takes it by this acceptance, by position in
    /// the lists of `AllowedGraph::transport`; `None` where no proxy has a say.
    Mesh {
        /// What the client sends.
        sends: Option<u32>,
        /// What the server takes.
        accepts: Option<u32>,
        /// Who is in between; then the two are those of the weaker stretch.
        via: Option<Via>,
    },
    /// The ends are on different nodes, and traffic between nodes is encrypted.
    BetweenNodes(NodeCipher),
    /// Traffic between nodes is encrypted, and the ends may be on one node, where it is in the clear.
    MayShareNode(NodeCipher),
    /// Traffic between nodes is encrypted, but not that of nodes themselves.
    NodeNotCovered(NodeCipher),
    /// One end runs where the agent that encrypts does not.
    WithoutAgent(NodeCipher, NodeKind),
    /// One end is outside of the cluster.
    LeavesCluster,
    /// No configuration that is read says anything on encryption.
    NothingConfigured,
}

/// What configuration promises for what one workload sends to another: the weakest over their
/// pods, since classes do not tell nodes apart. `None` is an end outside of the cluster.
pub fn expected(dataplane: &Dataplane, from: Option<&Workload>, to: Option<&Workload>) -> Expected {
    let unknown = |why| Expected { protection: ExpectedProtection::Unknown, why };
    let Some(encryption) = node_encryption(dataplane) else {
        return unknown(WhyExpected::NothingConfigured);
    };
    let (Some(from), Some(to)) = (from, to) else {
        return unknown(WhyExpected::LeavesCluster);
    };
    let pairs =
        from.variants.iter().flat_map(|source| to.variants.iter().map(move |target| (source, target)));
    let each = pairs.map(|(source, target)| between(encryption, source, target));
    each.reduce(Expected::and).unwrap_or_else(|| unknown(WhyExpected::NothingConfigured))
}

fn between(encryption: NodeEncryption, source: &Variant, target: &Variant) -> Expected {
    let nodes =
        |variant: &Variant| (!variant.nodes.is_empty()).then(|| variant.nodes.iter().cloned().collect());
    let [source, target] = [source, target].map(|variant| (variant.network, variant.runs_on, nodes(variant)));
    over_nodes(encryption, &source, &target)
}

/// Where the ends live, what runs them and the nodes that they run on; `None` where some are not known.
type Place = (Network, NodeKind, Option<BTreeSet<Text>>);

fn over_nodes(encryption: NodeEncryption, source: &Place, target: &Place) -> Expected {
    let unknown = |why| Expected { protection: ExpectedProtection::Unknown, why };
    let NodeEncryption { by, host_network } = encryption;
    if [source, target].iter().any(|(network, ..)| network.is_outside()) {
        return unknown(WhyExpected::LeavesCluster);
    }
    let on_node = [source, target].iter().any(|(network, ..)| *network != Network::Pod);
    if on_node && host_network == HostCoverage::PodsOnly {
        return unknown(WhyExpected::NodeNotCovered(by));
    }
    // Agents that encrypt are DaemonSets on Linux.
    if let Some((_, elsewhere, _)) = [source, target].iter().find(|(_, kind, _)| *kind != NodeKind::Linux) {
        return unknown(WhyExpected::WithoutAgent(by, *elsewhere));
    }
    match (&source.2, &target.2) {
        (Some(a), Some(b)) if a.is_disjoint(b) => {
            Expected { protection: ExpectedProtection::NodeEncrypted, why: WhyExpected::BetweenNodes(by) }
        }
        _ => unknown(WhyExpected::MayShareNode(by)),
    }
}

impl AllowedGraph {
    /// What configuration promises for the part of an edge that is `kept`: the weakest at the ports
    /// that decide, with encryption between nodes below. Unknown where nothing says anything, which
    /// whoever asks must never treat as safe.
    pub fn promised(&self, (from, to): (PeerId, PeerId), edge: &Edge<'_>, kept: &TrafficSet) -> Expected {
        let below = self.below(from, to);
        let Some(mesh) = &edge.mesh else { return below };
        let part = |leg: &Leg| (leg.traffic.intersection(kept), leg.expected().over(below));
        let [carried, refused] = [&mesh.legs, &mesh.refusals]
            .map(|legs| legs.iter().map(part).filter(|(part, _)| !part.is_empty()).collect::<Vec<_>>());
        let parts = carried.iter().map(|(part, expected)| (part, *expected));
        let refused = refused.iter().map(|(part, expected)| (part, *expected));
        self.declared.of_class(to).word(parts, refused).unwrap_or(below)
    }

    /// What encryption between nodes gives a pair of classes: the weakest over their members.
    fn below(&self, from: PeerId, to: PeerId) -> Expected {
        let unknown = |why| Expected { protection: ExpectedProtection::Unknown, why };
        let Some(encryption) = node_encryption(&self.dataplane) else {
            return unknown(WhyExpected::NothingConfigured);
        };
        let (Some(from), Some(to)) = (self.class(from), self.class(to)) else {
            return unknown(WhyExpected::LeavesCluster);
        };
        let place = |class: &Class| (class.network, class.standing.runs_on, class.nodes.clone());
        over_nodes(encryption, &place(from), &place(to))
    }

    /// What an expectation rests on, in words.
    pub fn reason(&self, expected: &Expected) -> String {
        let WhyExpected::Mesh { sends, accepts, via } = expected.why else {
            return expected.why.to_string();
        };
        let transport = self.transport();
        let sent = sends.and_then(|n| transport.sends.get(n as usize)).map(|sending| sending.why.as_str());
        let taken = accepts.and_then(|n| transport.accepts.get(n as usize)).map(|accept| accept.why.as_str());
        if expected.protection == ExpectedProtection::Unknown && sends.is_none() && accepts.is_none() {
            return "proxies carry TCP alone".to_owned();
        }
        let (bare_client, bare_server) = ("the client has no proxy", "the server has no proxy");
        let ends = format!("{}; {}", sent.unwrap_or(bare_client), taken.unwrap_or(bare_server));
        let Some(Via { relay, stretches: [to, from], .. }) = via else { return ends };
        let between =
            transport.relays.get(relay as usize).map_or("somebody is in between", |r| r.why.as_str());
        format!("{between}: {} as far as there, {} from there; {ends}", to.word(), from.word())
    }
}

impl Leg {
    /// The expectation for what travels this way.
    pub fn expected(&self) -> Expected {
        let why = WhyExpected::Mesh { sends: self.sends, accepts: self.accepts, via: self.via };
        Expected { protection: self.protection, why }
    }
}

impl Expected {
    /// No configuration says anything.
    pub const NOTHING: Expected =
        Expected { protection: ExpectedProtection::Unknown, why: WhyExpected::NothingConfigured };

    /// What lies below: encryption between nodes counts where nothing above protects.
    pub fn over(self, below: Expected) -> Expected {
        let bare = matches!(self.protection, ExpectedProtection::Plaintext | ExpectedProtection::Unknown);
        if bare && below.protection == ExpectedProtection::NodeEncrypted { below } else { self }
    }

    /// Both must hold: the weaker of two.
    pub fn and(self, other: Expected) -> Expected {
        self.max(other)
    }
}

impl std::fmt::Display for WhyExpected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            WhyExpected::Mesh { .. } => f.write_str("as the proxies of both ends carry it"),
            WhyExpected::BetweenNodes(by) => {
                write!(f, "the ends are on different nodes, and {} encrypts between nodes", by.name())
            }
            WhyExpected::MayShareNode(by) => write!(
                f,
                "{} encrypts between nodes, and both ends may be on one node, where traffic stays in the clear",
                by.name()
            ),
            WhyExpected::NodeNotCovered(by) => {
                write!(
                    f,
                    "{} encrypts between pods of different nodes, not the traffic of nodes themselves",
                    by.name()
                )
            }
            WhyExpected::WithoutAgent(by, place) => {
                write!(f, "{} encrypts between Linux nodes, and one end runs on {}", by.name(), place.words())
            }
            WhyExpected::LeavesCluster => f.write_str("one end is outside of the cluster"),
            WhyExpected::NothingConfigured => {
                f.write_str("no configuration that was read says anything on encryption")
            }
        }
    }
}
