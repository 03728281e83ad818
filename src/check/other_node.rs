//! Flows between a node and pods of another one: policies see its address like any other, while a
//! node's own pods let it in whatever policies say (`NetworkPolicySpec.ingress`), and what they send to it
//! is left to the dataplane.
//!
//! What the graph says of a workload on the host network holds for all of its nodes; a flow shows one.

use crate::inventory::Inventory;
use crate::observed::{Flow, Handshake, Party};
use std::collections::HashMap;
use std::net::IpAddr;

/// Nodes by their addresses.
pub(super) struct NodesByAddress<'a> {
    inventory: &'a Inventory,
    names: HashMap<IpAddr, Vec<&'a str>>,
}

impl<'a> NodesByAddress<'a> {
    pub(super) fn of(inventory: &'a Inventory) -> NodesByAddress<'a> {
        let mut names: HashMap<IpAddr, Vec<&str>> = HashMap::new();
        for node in &inventory.nodes {
            node.addresses.iter().for_each(|ip| names.entry(*ip).or_default().push(&node.name));
        }
        NodesByAddress { inventory, names }
    }

    /// Whether an address is that of a node, and none of some pods runs there, as far as all of that is
    /// known.
    fn is_apart(&self, address: IpAddr, called: &[(usize, usize)]) -> bool {
        let Some(holders) = self.names.get(&address) else { return false };
        let elsewhere = |(workload, variant): &(usize, usize)| {
            let nodes = &self.inventory.workloads[*workload].variants[*variant].nodes;
            !nodes.is_empty() && holders.iter().all(|holder| !nodes.contains(*holder))
        };
        !called.is_empty() && called.iter().all(elsewhere)
    }

    /// Whether a node is called by a pod that runs on another one, and the direction of that is known.
    pub(super) fn is_called(&self, flow: &Flow, initiator: &Party, responder: &Party) -> bool {
        match (initiator, responder) {
            (Party::Endpoint { workload, variant }, Party::Node(_)) => {
                flow.handshake != Handshake::FirstPacket
                    && self.is_apart(flow.responder.ip, &[(*workload, *variant)])
            }
            _ => false,
        }
    }

    /// The same of what a node, or a workload on its network, sent.
    pub(super) fn sent(&self, flow: &Flow, initiator: &Party, responder: &Party) -> bool {
        let by_node = matches!(initiator, Party::Node(_) | Party::Shared(_));
        if !by_node || flow.handshake == Handshake::FirstPacket {
            return false;
        }
        let called: Vec<(usize, usize)> = match responder {
            Party::Endpoint { workload, variant } => vec![(*workload, *variant)],
            Party::Service(service) => self.inventory.backends(&self.inventory.services[*service]).collect(),
            _ => return false,
        };
        self.is_apart(flow.initiator.ip, &called)
    }
}
