//! Peers that meshes cannot tell apart as clients: what they send to a server, who they are to its
//! authorization, is the same, so that one answer holds for all of them.

use super::build::AllowedGraph;
use super::classes::PeerId;
use super::mesh::is_of_proxies;
use crate::policy::{Layer, MeshMode};
use hashbrown::HashMap;

/// What meshes see of a client: how it takes part, whether it is an endpoint and whether it carries on
/// what others call, its sendings, the lists that name it, and its relays with what decides on the way
/// to who carries on.
type Seen = (Option<MeshMode>, [bool; 2], Vec<u32>, Vec<u32>, Vec<(u32, [usize; 2])>);

impl AllowedGraph {
    /// For each peer a number; peers with the same number are one client to every mesh.
    pub(super) fn alike_to_meshes(&self) -> Vec<u32> {
        self.alike_to(is_of_proxies)
    }

    /// The same but for what the policies of servers say of them.
    pub(super) fn alike_to_relays(&self) -> Vec<u32> {
        self.alike_to(|layer| layer == Layer::Relay)
    }

    /// The same to the policies of some layers.
    fn alike_to(&self, counts: impl Fn(Layer) -> bool) -> Vec<u32> {
        let count = self.peer_count() as usize;
        let mut lists: Vec<Vec<u32>> = vec![Vec::new(); count];
        let mut next = 0;
        let mut name = |peers: &[PeerId]| {
            peers.iter().for_each(|peer| lists[*peer as usize].push(next));
            next += 1;
        };
        for policy in self.policies.iter().filter(|policy| counts(self.tiers[policy.tier as usize].layer)) {
            for rule in policy.rules.clone() {
                self.mesh.unproven.get(&rule).into_iter().for_each(|peers| name(peers));
                self.rules[rule as usize].matches.as_deref().into_iter().for_each(&mut name);
            }
        }
        let mut numbers: HashMap<Seen, u32> = HashMap::new();
        let seen = |(peer, lists): (PeerId, Vec<u32>)| {
            let inside = [self.class(peer).is_some(), self.is_intermediary(peer)];
            let mode = self.membership(peer).map(|member| member.mode);
            let fresh = numbers.len() as u32;
            let relays = self.mesh.relays_of(peer);
            let over = relays.flat_map(|(relay, by)| by.iter().map(move |by| (relay, *by)));
            let over = over.map(|(relay, by)| (relay, self.decided_by(peer, by))).collect();
            let sends = self.mesh.sendings(peer).to_vec();
            *numbers.entry((mode, inside, sends, lists, over)).or_insert(fresh)
        };
        (0..).zip(lists).map(seen).collect()
    }
}
