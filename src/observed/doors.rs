//! Where workloads are called: the ports of services at their addresses and on nodes, and what pods
//! declare. An address may lead to several services, and a node's to those behind its ports and to
//! what runs on its network; the port tells which.

use super::{FlowEnd, Party, Transport, protocol_of};
use crate::inventory::{Inventory, Network, Unsettled};
use crate::model::Protocol;
use hashbrown::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::OnceLock;

/// Ports by which workloads are called.
#[derive(Debug)]
pub(super) struct Doors<'a> {
    inventory: &'a Inventory,
    /// Services at their own addresses, and pods at those of their nodes (`hostPort`).
    own: HashMap<(IpAddr, Protocol, u16), Party>,
    /// Services at the addresses of all nodes.
    on_nodes: HashMap<(Protocol, u16), Party>,
    /// What pods declare and services lead to; made when it is asked for.
    declared: OnceLock<HashSet<(IpAddr, Protocol, u16)>>,
}

impl<'a> Doors<'a> {
    /// Reads the ports of services.
    pub(super) fn of(inventory: &'a Inventory) -> Doors<'a> {
        let (mut own, mut on_nodes) = (HashMap::new(), HashMap::new());
        // Two services have one door where the objects of several clusters were read.
        let also = |known: &mut Party, number: usize| {
            if *known != Party::Service(number) {
                *known = Party::Unsettled(Unsettled::HeldBySeveral);
            }
        };
        for (number, service) in inventory.services.iter().enumerate() {
            for port in &service.ports {
                for address in service.cluster_ips.iter().chain(&service.external_ips) {
                    let door = (*address, port.protocol, port.port);
                    own.entry(door).and_modify(|known| also(known, number)).or_insert(Party::Service(number));
                }
                if let Some(node_port) = port.node_port {
                    let door = on_nodes.entry((port.protocol, node_port));
                    door.and_modify(|known| also(known, number)).or_insert(Party::Service(number));
                }
            }
        }
        let mut hosted: HashMap<(IpAddr, Protocol, u16), Party> = HashMap::new();
        for (door, workload, variant) in host_ports(inventory) {
            let known = hosted.entry(door).or_insert(Party::Endpoint { workload, variant });
            if *known != (Party::Endpoint { workload, variant }) {
                let mut all = known.workloads();
                all.push(workload);
                all.dedup();
                *known = Party::Shared(all);
            }
        }
        for (door, pod) in hosted {
            own.entry(door).or_insert(pod);
        }
        Doors { inventory, own, on_nodes, declared: OnceLock::new() }
    }

    /// Who is called at an end that a service or a node has; `holder` is the service that the address
    /// alone tells. `None` where what the address tells stands.
    pub(super) fn behind(&self, end: FlowEnd, transport: Transport, holder: Option<usize>) -> Option<Party> {
        let protocol = protocol_of(transport)?;
        let virtual_only = |service: usize| self.inventory.services[service].cluster_ips.contains(&end.ip);
        match self.own.get(&(end.ip, protocol, end.port)) {
            None if holder.is_some_and(virtual_only) => None,
            None => self.on_nodes.get(&(protocol, end.port)).cloned(),
            own => own.cloned(),
        }
    }

    /// Whether somebody is declared to be called at an end.
    pub(super) fn listens(&self, end: FlowEnd, transport: Transport) -> bool {
        let Some(protocol) = protocol_of(transport) else { return false };
        let door = (end.ip, protocol, end.port);
        self.own.contains_key(&door) || self.declared.get_or_init(|| declared(self.inventory)).contains(&door)
    }
}

/// Pods that are called at the addresses of their nodes, by workload and variant.
fn host_ports(inventory: &Inventory) -> Vec<((IpAddr, Protocol, u16), usize, usize)> {
    let mut all = Vec::new();
    for (workload, one) in inventory.workloads.iter().enumerate() {
        for (number, variant) in one.variants.iter().enumerate().filter(|(_, v)| v.network == Network::Pod) {
            let nodes = || inventory.nodes.iter().filter(|node| variant.nodes.contains(node.name.as_str()));
            for port in &variant.ports {
                let Some(on_node) = port.host_port else { continue };
                let addresses = nodes().flat_map(|node| &node.addresses).filter(|ip| port.is_at(**ip));
                let doors = addresses.map(|ip| (*ip, port.protocol, on_node));
                all.extend(doors.map(|door| (door, workload, number)));
            }
        }
    }
    all
}

fn declared(inventory: &Inventory) -> HashSet<(IpAddr, Protocol, u16)> {
    let mut all = HashSet::new();
    for variant in inventory.workloads.iter().flat_map(|workload| &workload.variants) {
        let ports = || variant.ports.iter().map(|port| (port.protocol, port.port));
        all.extend(
            variant.addresses.iter().flat_map(|ip| ports().map(|(protocol, port)| (*ip, protocol, port))),
        );
    }
    for service in &inventory.services {
        for (workload, variant) in inventory.backends(service) {
            let variant = &inventory.workloads[workload].variants[variant];
            for port in &service.ports {
                let targets = port.targets(variant);
                let all_of = |ip: &IpAddr| {
                    targets.iter().map(|target| (*ip, port.protocol, *target)).collect::<Vec<_>>()
                };
                all.extend(variant.addresses.iter().flat_map(all_of));
            }
        }
    }
    let node_ports =
        || inventory.services.iter().flat_map(|s| &s.ports).filter_map(|p| Some((p.protocol, p.node_port?)));
    for address in inventory.nodes.iter().flat_map(|node| &node.addresses) {
        all.extend(node_ports().map(|(protocol, port)| (*address, protocol, port)));
    }
    all
}
