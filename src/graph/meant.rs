//! Whom a sending means, resolved to services, peers and addresses.

use super::backing::{Backing, entry_number};
use super::classes::{ClassId, Classes, PeerId};
use super::mentioned::{chosen_entries, chosen_services};
use crate::inventory::{Inventory, Service, ServiceKind};
use crate::model::AddressSet;
use crate::policy::{Admission, Target};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Whom a sending or a relay means.
#[derive(Debug)]
pub(super) enum Meant {
    Everybody,
    Nobody,
    Services(BTreeSet<u32>, Option<u16>),
    Peers(Vec<PeerId>),
    /// Those that are called by an address of their own.
    ByAddress(Vec<PeerId>),
    Addressed(AddressSet),
    Among(Box<Meant>, Vec<ClassId>),
    SomeCalls(Box<Meant>),
}

/// How many of the calls of one kind are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    None,
    Some,
    All,
}

/// The addresses that calls go to, where some sending asks for them.
#[derive(Debug, Default)]
pub(super) struct Called {
    /// Virtual addresses, by the number of the service; none is kept for headless ones.
    services: BTreeMap<u32, Vec<IpAddr>>,
    /// Addresses of each class, `None` among them for each member of which none is known.
    classes: Vec<Vec<Option<IpAddr>>>,
}

impl Meant {
    pub fn of(target: &Target, classes: &Classes, inventory: &Inventory) -> Meant {
        let inner = |target: &Target| Box::new(Meant::of(target, classes, inventory));
        match target {
            Target::Anything => Meant::Everybody,
            Target::Outside(_) => Meant::Nobody,
            Target::Peer(peer) => Meant::Peers(classes.peer(peer, Admission::Refused)),
            Target::Service(services, port) => {
                let chosen = chosen_services(inventory, services).map(|service| number(inventory, service));
                let entries = chosen_entries(inventory, services).map(|n| entry_number(inventory, n));
                Meant::Services(chosen.chain(entries).collect(), *port)
            }
            Target::Address(peer) => Meant::ByAddress(classes.peer(peer, Admission::Refused)),
            Target::Addressed(set) => Meant::Addressed(set.clone()),
            Target::Among(target, selections) => {
                let all = selections.iter().flat_map(|selection| classes.selected(selection)).copied();
                let all: BTreeSet<ClassId> = all.collect();
                Meant::Among(inner(target), all.into_iter().collect())
            }
            Target::SomeCallsTo(target) => Meant::SomeCalls(inner(target)),
        }
    }

    fn asks_for_addresses(&self) -> bool {
        match self {
            Meant::Addressed(_) => true,
            Meant::Among(inner, _) | Meant::SomeCalls(inner) => inner.asks_for_addresses(),
            Meant::Everybody
            | Meant::Nobody
            | Meant::Services(..)
            | Meant::Peers(_)
            | Meant::ByAddress(_) => false,
        }
    }

    /// How many of the calls to `to` are meant that go `way`: through a service, or by address.
    pub fn fit(&self, to: ClassId, way: Option<Backing>, called: &Called) -> Fit {
        let sure = |yes: bool| if yes { Fit::All } else { Fit::None };
        match self {
            Meant::Everybody => Fit::All,
            Meant::Nobody => Fit::None,
            Meant::ByAddress(peers) => sure(way.is_none() && peers.binary_search(&to).is_ok()),
            Meant::Peers(peers) => sure(peers.binary_search(&to).is_ok()),
            Meant::Services(services, wanted) => sure(way.is_some_and(|way| {
                services.contains(&way.service) && wanted.is_none_or(|port| port == way.service_port)
            })),
            Meant::Addressed(set) => called.fit(set, to, way),
            Meant::Among(inner, among) => match among.binary_search(&to) {
                Ok(_) => inner.fit(to, way, called),
                Err(_) => Fit::None,
            },
            Meant::SomeCalls(inner) => inner.fit(to, way, called).min(Fit::Some),
        }
    }
}

impl Called {
    pub fn new(meant: &[Meant], classes: &Classes, inventory: &Inventory) -> Called {
        if !meant.iter().any(Meant::asks_for_addresses) {
            return Called::default();
        }
        let entries = inventory.entries.iter().map(|entry| &entry.service);
        let numbered = (0..).zip(inventory.services.iter().chain(entries));
        let virtual_ones = numbered.filter(|(_, s)| s.kind != ServiceKind::Headless);
        let services = virtual_ones.map(|(n, s)| (n, s.cluster_ips.iter().copied().collect())).collect();
        let of_member = |member: &super::classes::Member| {
            let workload = &inventory.workloads[member.workload as usize];
            let known = &workload.variants[member.variant as usize].addresses;
            match known.is_empty() {
                true => vec![None],
                false => known.iter().copied().map(Some).collect(),
            }
        };
        let classes = classes.classes.iter().map(|c| c.members.iter().flat_map(of_member).collect());
        Called { services, classes: classes.collect() }
    }

    /// What is not known may be meant.
    fn fit(&self, set: &AddressSet, to: ClassId, way: Option<Backing>) -> Fit {
        let through = way.and_then(|way| self.services.get(&way.service));
        let own = self.classes.get(to as usize).map_or(&[][..], Vec::as_slice);
        let held: Vec<Option<bool>> = match through {
            Some(addresses) => addresses.iter().map(|address| Some(set.contains(*address))).collect(),
            None => own.iter().map(|address| address.map(|address| set.contains(address))).collect(),
        };
        match (held.is_empty(), held.iter().all(|h| *h == Some(true)), held.iter().all(|h| *h == Some(false)))
        {
            (true, ..) | (_, false, false) => Fit::Some,
            (false, true, _) => Fit::All,
            (false, _, true) => Fit::None,
        }
    }
}

/// The position of a service in the inventory, which is sorted by namespace and name.
fn number(inventory: &Inventory, service: &Service) -> u32 {
    let key = (&service.namespace, &service.name);
    inventory.services.partition_point(|other| (&other.namespace, &other.name) < key) as u32
}
