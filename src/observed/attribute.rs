//! Addresses → parties, by one look-up table made from the inventory.

use super::Party;
use crate::inventory::{Inventory, Network};
use hashbrown::HashMap;
use std::net::IpAddr;

/// Who holds which address.
#[derive(Debug)]
pub struct Directory(HashMap<IpAddr, Party>);

impl Directory {
    /// Collects the addresses of pods, services and nodes.
    ///
    /// Pods come before services, services before nodes; an address that several workloads hold
    /// belongs to all of them.
    pub fn new(inventory: &Inventory) -> Directory {
        let mut table: HashMap<IpAddr, Party> = HashMap::new();
        for (number, node) in inventory.nodes.iter().enumerate() {
            table.extend(node.addresses.iter().map(|address| (*address, Party::Node(number))));
        }
        for (number, service) in inventory.services.iter().enumerate() {
            let addresses = service.cluster_ips.iter().chain(&service.external_ips);
            table.extend(addresses.map(|address| (*address, Party::Service(number))));
        }
        for (workload, variant, one) in variants(inventory) {
            for address in &one.addresses {
                let party = match (table.get(address), one.network) {
                    (Some(Party::Endpoint { workload: other, .. }), _) if *other != workload => {
                        Party::Shared(vec![*other, workload])
                    }
                    (Some(Party::Shared(others)), _) => {
                        let mut all = others.clone();
                        all.push(workload);
                        all.dedup();
                        Party::Shared(all)
                    }
                    (_, Network::Host | Network::HostEndpoint) => Party::Shared(vec![workload]),
                    (_, Network::Pod | Network::Standalone | Network::Machine) => Party::Endpoint { workload, variant },
                };
                table.insert(*address, party);
            }
        }
        Directory(table)
    }

    /// Who holds the address.
    pub fn party(&self, address: IpAddr) -> Party {
        match self.0.get(&address) {
            Some(party) => party.clone(),
            None if is_group(address) => Party::Group,
            None if is_private(address) => Party::Unknown,
            None => Party::Outside,
        }
    }
}

/// Names both ends of a flow.
pub fn attribute(directory: &Directory, flow: &crate::capture::Flow) -> (Party, Party) {
    (directory.party(flow.initiator.ip), directory.party(flow.responder.ip))
}

fn variants(inventory: &Inventory) -> impl Iterator<Item = (usize, usize, &crate::inventory::Variant)> {
    inventory.workloads.iter().enumerate().flat_map(|(w, workload)| {
        workload.variants.iter().enumerate().map(move |(v, variant)| (w, v, variant))
    })
}

/// Addresses that no single endpoint holds, and those that never leave their link.
fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.is_multicast() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified() || v6.is_unicast_link_local(),
    }
}

/// Private, shared and loopback ranges, and IPv4's link-local one: addresses of the cluster's surroundings.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}
