//! Which classes, atoms and names a peer of a rule stands for.

use super::classes::{Classes, PeerId};
use super::mentioned::SetKey;
use crate::model::Selector;
use crate::policy::{Admission, Peer, Peers};

impl Classes {
    /// Everybody that the peers stand for, sorted; `None` where everyone is meant. `identity` says
    /// whether who calls is proven.
    pub fn matching(&self, peers: &Peers, identity: Admission) -> Option<Vec<PeerId>> {
        match peers {
            Peers::Everyone => None,
            Peers::Among(peers) => Some(union(peers.iter().map(|peer| self.peer(peer, identity)))),
        }
    }

    /// Whom one peer stands for, where who calls is proven, or is not.
    pub fn peer(&self, peer: &Peer, identity: Admission) -> Vec<PeerId> {
        match peer {
            Peer::Authenticated => match identity {
                Admission::Admitted => (0..self.peers()).collect(),
                Admission::Refused => Vec::new(),
            },
            Peer::Endpoints(selection) => self.selected(selection).to_vec(),
            Peer::Addresses(set) => self.set(&SetKey::Block(set.clone())),
            Peer::Nodes(selector) => self.set(&SetKey::Nodes(selector.clone())),
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
                let mut sets = parts.iter().map(|part| self.peer(part, identity));
                let first = sets.next().unwrap_or_else(|| (0..self.peers()).collect());
                sets.fold(first, |all, set| {
                    all.into_iter().filter(|id| set.binary_search(id).is_ok()).collect()
                })
            }
            Peer::Not(part) => {
                let set = self.peer(part, identity);
                (0..self.peers()).filter(|id| set.binary_search(id).is_err()).collect()
            }
        }
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
