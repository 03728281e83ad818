//! Which classes, atoms and names a peer of a rule stands for.

use super::classes::{Classes, PeerId};
use super::mentioned::{SetKey, networks};
use crate::model::Selector;
use crate::policy::{Action, Admission, Extent, Peer, Peers, Rule};

/// What of an endpoint with several addresses a block must hold: replicas run in several networks,
/// and pods have an address of each family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holding {
    /// One of its addresses: what may be meant.
    Some,
    /// All of them: what is meant for certain.
    All,
}

impl Holding {
    /// What a rule needs before it counts: one that takes something away must be certain to.
    pub fn of(action: Action) -> Holding {
        match action {
            Action::Allow | Action::Pass => Holding::Some,
            Action::Deny => Holding::All,
        }
    }

    fn other(self) -> Holding {
        match self {
            Holding::Some => Holding::All,
            Holding::All => Holding::Some,
        }
    }
}

impl Classes {
    /// Everybody that the peers stand for, sorted; `None` where everyone is meant. `identity` says
    /// whether who calls is proven.
    pub fn matching(&self, peers: &Peers, identity: Admission, holding: Holding) -> Option<Vec<PeerId>> {
        match peers {
            Peers::Everyone => None,
            Peers::Among(peers) => Some(union(peers.iter().map(|peer| self.held(peer, identity, holding)))),
        }
    }

    /// How much of what a rule is about it takes, as far as addresses go.
    pub fn extent(&self, rule: &Rule) -> Extent {
        let sure = |peers: &Peers| {
            let of = |holding| self.matching(peers, Admission::Admitted, holding);
            self.partly.is_empty() || of(Holding::Some) == of(Holding::All)
        };
        match sure(&rule.peers) && sure(&rule.own) {
            true => Extent::Whole,
            false => Extent::Part,
        }
    }

    /// Whether some address of an end is among the peers.
    pub fn may_mean(&self, peers: &Peers, end: PeerId) -> bool {
        let meant = self.matching(peers, Admission::Admitted, Holding::Some);
        meant.is_none_or(|meant| meant.binary_search(&end).is_ok())
    }

    /// Whom one peer may stand for, where who calls is proven, or is not.
    pub fn peer(&self, peer: &Peer, identity: Admission) -> Vec<PeerId> {
        self.held(peer, identity, Holding::Some)
    }

    fn held(&self, peer: &Peer, identity: Admission, holding: Holding) -> Vec<PeerId> {
        match peer {
            Peer::Authenticated => match identity {
                Admission::Admitted => (0..self.peers()).collect(),
                Admission::Refused => Vec::new(),
            },
            Peer::Endpoints(selection) => self.selected(selection).to_vec(),
            Peer::Addresses(set) => self.block(&SetKey::Block(set.clone()), holding),
            Peer::Nodes(selector) => self.set(&SetKey::Nodes(selector.clone())),
            Peer::Interfaces(selector) => self.block(&SetKey::Interfaces(selector.clone()), holding),
            Peer::Backends(services) => self.set(&SetKey::Backends(services.clone())),
            Peer::Outside => {
                let nodes = self.set(&SetKey::Nodes(Selector::everything()));
                let outside = |id: &PeerId| match self.classes.get(*id as usize) {
                    Some(class) => class.network.is_outside(),
                    None => nodes.binary_search(id).is_err(),
                };
                (0..self.peers()).filter(outside).collect()
            }
            Peer::Domains(patterns) => (self.first_domain()..)
                .zip(&self.domains)
                .filter(|(_, domain)| patterns.iter().any(|pattern| pattern.covers(domain)))
                .map(|(id, _)| id)
                .collect(),
            Peer::All(parts) => {
                // Networks are asked about one address after the other, where the rule was known before.
                let rest = SetKey::rest(parts).filter(|key| self.sets.contains_key(key));
                let others = parts.iter().filter(|part| rest.is_none() || networks(part).is_none());
                let of_networks = rest.iter().map(|key| self.block(key, holding));
                let mut sets = of_networks.chain(others.map(|part| self.held(part, identity, holding)));
                let first = sets.next().unwrap_or_else(|| (0..self.peers()).collect());
                sets.fold(first, |all, set| {
                    all.into_iter().filter(|id| set.binary_search(id).is_ok()).collect()
                })
            }
            Peer::Not(part) => {
                let set = self.held(part, identity, holding.other());
                (0..self.peers()).filter(|id| set.binary_search(id).is_err()).collect()
            }
        }
    }

    fn block(&self, key: &SetKey, holding: Holding) -> Vec<PeerId> {
        let mut all = self.set(key);
        if let (Holding::All, Some(partly)) = (holding, self.partly.get(key)) {
            all.retain(|id| partly.binary_search(id).is_err());
        }
        all
    }

    fn set(&self, key: &SetKey) -> Vec<PeerId> {
        self.sets.get(key).cloned().unwrap_or_default()
    }
}

fn union(sets: impl Iterator<Item = Vec<PeerId>>) -> Vec<PeerId> {
    let mut all: Vec<PeerId> = sets.flatten().collect();
    all.sort_unstable();
    all.dedup();
    all
}
