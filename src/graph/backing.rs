//! Which services an endpoint stands behind, and on which of its ports: what meshes decide by.

use crate::inventory::{
    Inventory, Network, Service, ServiceEntry, ServicePort, TargetPort, Variant, Workload,
};
use crate::model::Protocol;
use crate::policy::{Speech, Transport};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// One TCP port of one service that an endpoint stands behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Backing {
    /// Index into `Inventory::services`, behind them into `Inventory::entries`.
    pub service: u32,
    /// The port of the service.
    pub service_port: u16,
    /// The port of the endpoint.
    pub target: u16,
    /// What the service declares to be spoken on it.
    pub spoken: Spoken,
}

/// Whether a service declares that the applications on a port speak TLS themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Spoken {
    /// It does, by `appProtocol` or by what the name of the port begins with.
    Tls,
    /// It says nothing of TLS.
    Otherwise,
}

/// The number of a name that a mesh gives, behind those of the services.
pub(super) fn entry_number(inventory: &Inventory, index: usize) -> u32 {
    (inventory.services.len() + index) as u32
}

/// Services by namespace and by the address of an endpoint, where some mesh asks for them.
#[derive(Default)]
pub(super) struct Served<'a> {
    by_namespace: BTreeMap<&'a str, Vec<(u32, &'a Service)>>,
    by_address: BTreeMap<IpAddr, Vec<(u32, &'a Service)>>,
    /// Names that lead to services, by the namespace and name of those.
    aliases: BTreeMap<(&'a str, &'a str), Vec<(u32, &'a ServiceEntry)>>,
    /// Ports that endpoints of a name have of their own, by its number and their address.
    own_ports: BTreeMap<(u32, IpAddr), &'a BTreeMap<String, u16>>,
}

impl<'a> Served<'a> {
    pub fn new(inventory: &'a Inventory, transport: &Transport) -> Served<'a> {
        let mut served = Served::default();
        if transport.is_empty() {
            return served;
        }
        let entries = inventory.entries.iter().map(|entry| &entry.service);
        for (number, service) in (0..).zip(inventory.services.iter().chain(entries)) {
            if service.selector.is_some() {
                served.by_namespace.entry(&service.namespace).or_default().push((number, service));
                continue;
            }
            // Endpoints listed by hand may be anywhere.
            for address in &service.endpoints {
                served.by_address.entry(*address).or_default().push((number, service));
            }
        }
        for (index, entry) in inventory.entries.iter().enumerate() {
            let number = entry_number(inventory, index);
            served.own_ports.extend(entry.own_ports.iter().map(|(address, own)| ((number, *address), own)));
            for (namespace, name) in &entry.aliases {
                let list = served.aliases.entry((namespace, name)).or_default();
                list.push((number, entry));
            }
        }
        served
    }

    /// What a variant stands behind, sorted.
    pub fn by(&self, workload: &Workload, variant: &Variant) -> Vec<Backing> {
        let selecting = self.by_namespace.get(workload.name.namespace.as_str()).into_iter().flatten();
        let selecting =
            selecting.filter(|(_, s)| s.selector.as_ref().is_some_and(|s| s.matches(&variant.labels)));
        let listed = |address| self.by_address.get(address).into_iter().flatten();
        let listing = variant.addresses.iter().flat_map(|address| {
            listed(address).map(move |one @ (number, _)| (one, self.own_ports.get(&(*number, *address))))
        });
        let mut backs: Vec<Backing> = Vec::new();
        for ((number, service), own) in selecting.map(|one| (one, None)).chain(listing) {
            for port in service.ports.iter().filter(|port| port.protocol == Protocol::Tcp) {
                let own = own.and_then(|ports| ports.get(&port.name));
                for target in own.map_or_else(|| targets(port, variant), |target| vec![*target]) {
                    backs.push(backing(*number, port, target));
                    let key = (service.namespace.as_str(), service.name.as_str());
                    for (number, entry) in self.aliases.get(&key).into_iter().flatten() {
                        let leads_here = |own: &&ServicePort| own.number() == Some(port.port);
                        let own = entry.service.ports.iter().filter(leads_here);
                        backs.extend(own.map(|own| backing(*number, own, target)));
                    }
                }
            }
        }
        backs.sort_unstable();
        backs.dedup();
        backs
    }
}

fn backing(service: u32, port: &ServicePort, target: u16) -> Backing {
    let spoken = match Speech::is_tls(&port.name, &port.app_protocol) {
        true => Spoken::Tls,
        false => Spoken::Otherwise,
    };
    Backing { service, service_port: port.port, target, spoken }
}

/// The ports behind a port; machines say by name which of theirs it is (`WorkloadEntry.ports`).
fn targets(port: &ServicePort, variant: &Variant) -> Vec<u16> {
    let named: Vec<u16> = match (variant.network, &port.target) {
        (Network::Machine, TargetPort::Number(_)) => variant.named_port(&port.name, port.protocol).collect(),
        (Network::Machine, TargetPort::Named(_)) if variant.ports.is_empty() => vec![port.port],
        _ => Vec::new(),
    };
    if named.is_empty() { port.targets(variant) } else { named }
}
