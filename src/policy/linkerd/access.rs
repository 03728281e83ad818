//! Who may call: the default policies, and what authorizations grant, as rules for some ports.

use super::super::{Action, Peer, Peers, Population, Rule, Selection, TrafficMatch};
use super::settings::Settings;
use crate::model::{AddressSet, Condition, Narrowing, Origin, Selector};

/// `accessPolicy` of a Server, and the default inbound policy
/// (`policy-controller/k8s/index/src/defaults.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Everybody.
    AllUnauthenticated,
    /// Whoever has an identity of the mesh.
    AllAuthenticated,
    /// Everybody from the networks of the cluster.
    ClusterUnauthenticated,
    /// Whoever has an identity, from the networks of the cluster.
    ClusterAuthenticated,
    /// Nobody.
    Deny,
    /// Everybody; what would have been refused is logged.
    Audit,
}

const NAMES: &[(&str, Access)] = &[
    ("all-unauthenticated", Access::AllUnauthenticated),
    ("all-authenticated", Access::AllAuthenticated),
    ("cluster-unauthenticated", Access::ClusterUnauthenticated),
    ("cluster-authenticated", Access::ClusterAuthenticated),
    ("deny", Access::Deny),
    ("audit", Access::Audit),
];

impl Access {
    /// The policy of this name.
    pub fn parse(text: &str) -> Option<Access> {
        NAMES.iter().find(|(name, _)| *name == text).map(|(_, access)| *access)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, access)| *access == self).map_or("", |(name, _)| name)
    }

    /// What it grants.
    pub fn grant(self, origin: &Origin) -> Option<Grant> {
        let (who, place) = match self {
            Access::AllUnauthenticated | Access::Audit => (Who::Anyone, Place::Anywhere),
            Access::AllAuthenticated => (Who::proven(), Place::Anywhere),
            Access::ClusterUnauthenticated => (Who::Anyone, Place::Cluster),
            Access::ClusterAuthenticated => (Who::proven(), Place::Cluster),
            Access::Deny => return None,
        };
        Some(Grant { who, place, narrowed: None, origin: origin.clone() })
    }
}

/// Clients that are let in.
#[derive(Clone, Debug)]
pub struct Grant {
    /// By identity.
    pub who: Who,
    /// By address, in addition.
    pub place: Place,
    /// To these requests alone.
    pub narrowed: Option<Narrowing>,
    /// What grants it.
    pub origin: Origin,
}

/// Clients by identity.
#[derive(Clone, Debug)]
pub enum Who {
    /// With or without one.
    Anyone,
    /// Whoever is one of these and proves it.
    Proven(Vec<Peer>),
}

/// Clients by address.
#[derive(Clone, Debug)]
pub enum Place {
    /// From everywhere.
    Anywhere,
    /// From the networks of the cluster.
    Cluster,
    /// From these addresses.
    Blocks(AddressSet),
}

/// What decides how grants become rules.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// For the networks of the cluster.
    pub settings: &'a Settings,
    /// Whether blocks of rules match pods by their addresses.
    pub blocks: BlocksMatch,
}

/// Whether blocks of rules match pods by their addresses on this dataplane; proxies always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlocksMatch {
    /// They do.
    Pods,
    /// They do not, so which pods are meant stays a condition.
    NoPods,
}

impl Who {
    /// Whoever has any identity of the mesh.
    pub fn proven() -> Who {
        Who::Proven(vec![Peer::Authenticated])
    }

    fn peers(&self) -> Option<Vec<Peer>> {
        match self {
            Who::Anyone => None,
            Who::Proven(peers) => Some(peers.iter().map(|p| both(p.clone(), Peer::Authenticated)).collect()),
        }
    }
}

impl Grant {
    /// Whether somebody without an identity is let in.
    pub fn admits_plaintext(&self) -> bool {
        matches!(self.who, Who::Anyone)
    }

    /// The rules, for some traffic.
    pub fn rules(&self, traffic: &TrafficMatch, ground: Ground<'_>) -> Vec<Rule> {
        let mut rules = vec![self.rule(self.place(ground), traffic, self.narrowed.clone())];
        if let (Place::Blocks(set), BlocksMatch::NoPods) = (&self.place, ground.blocks) {
            let condition = Condition::Other(format!("the client's address is in {set}"));
            let narrowed = match self.narrowed.clone() {
                Some(narrowed) => narrowed.and(condition),
                None => Narrowing::on(condition),
            };
            rules.push(self.rule(Some(cluster_members()), traffic, Some(narrowed)));
        }
        rules
    }

    fn place(&self, ground: Ground<'_>) -> Option<Vec<Peer>> {
        match &self.place {
            Place::Anywhere => None,
            Place::Blocks(set) => Some(vec![Peer::Addresses(set.clone())]),
            // Pods and nodes of the cluster are taken to be in its networks, which is their purpose.
            Place::Cluster => {
                let mut peers = cluster_members();
                peers.push(Peer::Addresses(ground.settings.networks.clone()));
                Some(peers)
            }
        }
    }

    fn rule(&self, place: Option<Vec<Peer>>, traffic: &TrafficMatch, narrowed: Option<Narrowing>) -> Rule {
        let peers = match (self.who.peers(), place) {
            (None, None) => Peers::Everyone,
            (Some(peers), None) | (None, Some(peers)) => Peers::Among(peers),
            (Some(who), Some(place)) => {
                let pairs = who.iter().flat_map(|w| place.iter().map(|p| both(w.clone(), p.clone())));
                Peers::Among(pairs.collect())
            }
        };
        let rule = Rule::new(Action::Allow, peers, traffic.clone(), self.origin.clone());
        Rule { narrowed, ..rule }
    }
}

fn cluster_members() -> Vec<Peer> {
    let host = Selection { population: Population::HostNetwork, ..Selection::all_pods() };
    vec![Peer::Endpoints(Selection::all_pods()), Peer::Endpoints(host), Peer::Nodes(Selector::everything())]
}

fn both(a: Peer, b: Peer) -> Peer {
    match a == b {
        true => a,
        false => Peer::All(vec![a, b]),
    }
}
