//! Addresses → parties, by one look-up table made from the inventory.

use super::doors::Doors;
use super::{Flow, FlowEnd, Party, Transport};
use crate::inventory::{Held, Inventory, Network, PodName, Tenancy, Unsettled};
use crate::model::Instant;
use hashbrown::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Who holds which address, and where snapshots show it, who held it when.
#[derive(Debug)]
pub struct Directory<'a> {
    numbers: HashMap<IpAddr, u32>,
    /// Each party once, by its number.
    parties: Arc<[Party]>,
    tenancy: &'a Tenancy,
    doors: Doors<'a>,
    /// Where pods stand in the inventory.
    pods: HashMap<PodName, (usize, usize)>,
}

/// Parties that hold no address of their own, in front of the others.
const NOBODY: [Party; 3] = [Party::Outside, Party::Unknown, Party::Group];

/// Who held an address at a time.
pub(super) enum Holder {
    /// A party of the directory, by its number.
    Numbered(u32),
    /// Somebody else, as snapshots tell it.
    Told(Party),
}

impl<'a> Directory<'a> {
    /// Collects the addresses of pods, services and nodes.
    ///
    /// Services come before nodes; an address that several workloads hold belongs to all of them, and
    /// one that a pod shares with a service or node, or two services share, is nobody's for sure.
    pub fn new(inventory: &'a Inventory) -> Directory<'a> {
        let mut table: HashMap<IpAddr, Party> = HashMap::new();
        for (number, node) in inventory.nodes.iter().enumerate() {
            table.extend(node.addresses.iter().map(|address| (*address, Party::Node(number))));
        }
        let of_nodes: HashSet<IpAddr> =
            inventory.nodes.iter().flat_map(|node| &node.addresses).copied().collect();
        for (number, service) in inventory.services.iter().enumerate() {
            for address in service.cluster_ips.iter().chain(&service.external_ips) {
                // An outer address may lead to several, by the port; an inner one is that of one.
                let other = match table.get(address) {
                    Some(Party::Service(other)) => Some(&inventory.services[*other].cluster_ips),
                    _ => None,
                };
                let several = other.is_some_and(|other| other.contains(address))
                    && service.cluster_ips.contains(address);
                let unsettled = table.get(address) == Some(&Party::Unsettled(Unsettled::HeldBySeveral));
                let party = match several || unsettled {
                    true => Party::Unsettled(Unsettled::HeldBySeveral),
                    false => Party::Service(number),
                };
                table.insert(*address, party);
            }
        }
        for (workload, variant, one) in variants(inventory) {
            for address in &one.addresses {
                let several = Party::Unsettled(Unsettled::HeldBySeveral);
                let party = match (table.get(address), one.network) {
                    // Addresses of two clusters or of networks apart, which nothing here can tell.
                    (Some(Party::Unsettled(_)), Network::Pod | Network::Host) => several,
                    (Some(Party::Service(_)), Network::Pod) => several,
                    (_, Network::Pod) if of_nodes.contains(address) => several,
                    (Some(Party::Endpoint { workload: other, variant: before }), Network::Pod)
                        if *other == workload && *before != variant =>
                    {
                        Party::Shared(vec![workload])
                    }
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
                    (_, Network::Pod | Network::Standalone | Network::Machine) => {
                        Party::Endpoint { workload, variant }
                    }
                };
                table.insert(*address, party);
            }
        }
        let mut pods = HashMap::new();
        if !inventory.tenancy.is_empty() {
            for (workload, variant, one) in variants(inventory) {
                let namespace = &inventory.workloads[workload].name.namespace;
                let names = one.pods.iter().map(|pod| (namespace.clone(), pod.to_string()));
                pods.extend(names.map(|pod| (pod, (workload, variant))));
            }
        }
        let mut parties = NOBODY.to_vec();
        let mut known: HashMap<Party, u32> = HashMap::new();
        let mut numbers = HashMap::new();
        for (address, party) in table {
            let next = parties.len() as u32;
            let number = *known.entry(party.clone()).or_insert(next);
            if number == next {
                parties.push(party);
            }
            numbers.insert(address, number);
        }
        let doors = Doors::of(inventory);
        Directory { numbers, parties: parties.into(), tenancy: &inventory.tenancy, doors, pods }
    }

    /// Who held the address while a flow went on.
    ///
    /// A connection of TCP stays with whom it began: nobody else can go on with it.
    pub fn party_during(&self, address: IpAddr, flow: &Flow) -> Party {
        self.named(self.holder_during(address, flow))
    }

    /// Who was called by a flow: of an address that leads to several, by the port.
    pub fn party_called(&self, flow: &Flow) -> Party {
        self.named(self.holder_called(flow))
    }

    fn named(&self, holder: Holder) -> Party {
        match holder {
            Holder::Numbered(number) => self.parties[number as usize].clone(),
            Holder::Told(party) => party,
        }
    }

    /// Whether a flow whose opening was not seen goes the other way than was guessed: of its ends
    /// only the initiator's is one that was declared to be called.
    pub fn is_turned(&self, flow: &Flow) -> bool {
        !self.numbers.is_empty() && flow.may_be_turned() && {
            let listens = |end: FlowEnd| self.doors.listens(end, flow.transport);
            listens(flow.initiator) && !listens(flow.responder)
        }
    }

    /// Who was called, by a number where the directory has one.
    pub(super) fn holder_called(&self, flow: &Flow) -> Holder {
        match self.holder_during(flow.responder.ip, flow) {
            Holder::Numbered(number) => {
                let behind = |service| self.doors.behind(flow.responder, flow.transport, service);
                let behind = match &self.parties[number as usize] {
                    Party::Service(service) => behind(Some(*service)),
                    Party::Node(_) | Party::Shared(_) => behind(None),
                    _ => None,
                };
                behind.map_or(Holder::Numbered(number), Holder::Told)
            }
            told => told,
        }
    }

    /// The same, by a number where the directory has one.
    pub(super) fn holder_during(&self, address: IpAddr, flow: &Flow) -> Holder {
        let first = Instant(flow.first);
        let held = match flow.transport {
            _ if self.tenancy.is_empty() => Held::NeverByPods,
            Transport::Tcp => self.tenancy.holder(address, first),
            _ => self.tenancy.holder_during(address, first, Instant(flow.last)),
        };
        match held {
            Held::NeverByPods => Holder::Numbered(self.number(address)),
            Held::NotKnown(why) => Holder::Told(Party::Unsettled(why)),
            Held::By(pods) => match self.of_pods(&pods) {
                Some(party) => Holder::Told(party),
                None => Holder::Numbered(self.number(address)),
            },
        }
    }

    /// The party of pods that a snapshot shows.
    fn of_pods(&self, pods: &[PodName]) -> Option<Party> {
        let mut places: Vec<(usize, usize)> =
            pods.iter().filter_map(|pod| self.pods.get(pod)).copied().collect();
        places.sort_unstable();
        match places.as_slice() {
            [] => None,
            [(workload, variant)] => Some(Party::Endpoint { workload: *workload, variant: *variant }),
            several => {
                let mut workloads: Vec<usize> = several.iter().map(|(workload, _)| *workload).collect();
                workloads.dedup();
                Some(Party::Shared(workloads))
            }
        }
    }

    /// Who holds the address, by the last that was read.
    pub fn party(&self, address: IpAddr) -> Party {
        self.parties[self.number(address) as usize].clone()
    }

    /// The same by a number, which is the same for all addresses of one party.
    fn number(&self, address: IpAddr) -> u32 {
        // Without objects there is nobody to look for.
        let known = if self.numbers.is_empty() { None } else { self.numbers.get(&address) };
        match known {
            Some(number) => *number,
            None if is_group(address) => 2,
            None if is_private(address) => 1,
            None => 0,
        }
    }

    /// All parties that have numbers.
    pub(super) fn parties(&self) -> Arc<[Party]> {
        self.parties.clone()
    }
}

/// Names both ends of a flow.
pub fn attribute(directory: &Directory<'_>, flow: &Flow) -> (Party, Party) {
    (directory.party_during(flow.initiator.ip, flow), directory.party_called(flow))
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
