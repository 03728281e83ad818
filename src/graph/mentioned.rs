//! Everything that rules speak of: selections, address sets with the atoms that they cut, ports by
//! name, services, names of outside endpoints. What nobody mentions makes no difference.

use crate::inventory::{Inventory, Network, Service, ServiceEntry, Variant};
use crate::model::{AddressSet, DomainPattern, Selector, address};
use crate::policy::{Dataplane, Peer, PortName, Selection, ServiceChoice, Services, Tier, Transport};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Why a set of addresses is of interest; what it matches beside atoms depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum SetKey {
    /// A block of a rule.
    Block(AddressSet),
    /// What several networks of one peer leave: an address must lie in all of `of` and in none of
    /// `without`, so that one address of an endpoint cannot stand for one and another for the other.
    Rest {
        /// What every one of them holds.
        of: AddressSet,
        /// What one of them leaves out.
        without: AddressSet,
    },
    /// Nodes by their labels.
    Nodes(Selector),
    /// The same by the addresses of their interfaces.
    Interfaces(Selector),
    /// Where selected services send their traffic, by address.
    Backends(Services),
}

impl SetKey {
    /// What the networks among the parts of a peer leave together; `None` where there are not two.
    pub fn rest(parts: &[Peer]) -> Option<SetKey> {
        let known = || parts.iter().filter_map(networks);
        if known().count() < 2 {
            return None;
        }
        let (mut of, mut without) = (AddressSet::all(), AddressSet::none());
        for (set, inside) in known() {
            match inside {
                true => of = of.intersection(set),
                false => without = without.union(set),
            }
        }
        Some(SetKey::Rest { of, without })
    }

    /// Whether it is what rules say of addresses.
    pub fn is_block(&self) -> bool {
        matches!(self, SetKey::Block(_) | SetKey::Rest { .. })
    }
}

/// The networks that a peer is about, and whether it is what lies in them.
pub(super) fn networks(peer: &Peer) -> Option<(&AddressSet, bool)> {
    match peer {
        Peer::Addresses(set) => Some((set, true)),
        Peer::Not(part) => match &**part {
            Peer::Addresses(set) => Some((set, false)),
            _ => None,
        },
        _ => None,
    }
}

/// Everything that rules speak of.
#[derive(Default)]
pub(super) struct Mentioned {
    pub selections: Vec<Selection>,
    pub sets: Vec<SetKey>,
    /// The addresses of each set.
    pub addresses: Vec<AddressSet>,
    pub names: BTreeSet<PortName>,
    pub keys: BTreeSet<String>,
    pub domains: Vec<DomainPattern>,
    pub atoms: Vec<AddressSet>,
    /// For each first address of a range: the atom; sorted.
    atom_starts: Vec<(IpAddr, u32)>,
    /// For each atom: the sets that it lies in.
    sets_of_atom: Vec<Vec<u32>>,
    blocks_match_nodes: bool,
    /// Blocks that hold a whole address family: they hold what has no known address.
    pub whole_family: Vec<u32>,
    /// Atoms that are addresses of nodes.
    node_atoms: BTreeSet<u32>,
}

impl Mentioned {
    pub fn collect(
        tiers: &[Tier],
        transport: &Transport,
        inventory: &Inventory,
        dataplane: &Dataplane,
    ) -> Mentioned {
        let (mut selections, mut sets, mut domains) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let mut mentioned = Mentioned::default();
        for policy in tiers.iter().flat_map(|tier| &tier.policies) {
            selections.extend(&policy.subjects);
            for rule in &policy.rules {
                mentioned.names.extend(rule.traffic.named.iter().chain(&rule.traffic.except).cloned());
                for peer in rule.peers.named().iter().chain(rule.own.named()) {
                    peer.for_each(&mut |part| match part {
                        Peer::Endpoints(selection) => selections.push(selection),
                        Peer::Addresses(set) => drop(sets.insert(SetKey::Block(set.clone()))),
                        Peer::Nodes(selector) => drop(sets.insert(SetKey::Nodes(selector.clone()))),
                        Peer::Interfaces(selector) => drop(sets.insert(SetKey::Interfaces(selector.clone()))),
                        Peer::Backends(services) => drop(sets.insert(SetKey::Backends(services.clone()))),
                        Peer::Domains(patterns) => domains.extend(patterns.iter().cloned()),
                        Peer::Outside => drop(sets.insert(SetKey::Nodes(Selector::everything()))),
                        Peer::All(parts) => sets.extend(SetKey::rest(parts)),
                        Peer::Authenticated | Peer::Not(_) => {}
                    });
                }
            }
        }
        transport.for_each_selection(&mut |selection| {
            selections.push(selection);
        });
        transport.for_each_peer(&mut |part| match part {
            Peer::Endpoints(selection) => selections.push(selection),
            Peer::Addresses(set) => drop(sets.insert(SetKey::Block(set.clone()))),
            _ => {}
        });
        if !dataplane.ipblock_matches_nodes {
            sets.insert(SetKey::Nodes(Selector::everything()));
        }
        selections.par_sort_unstable();
        selections.dedup();
        mentioned.selections = selections.into_iter().cloned().collect();
        mentioned.addresses = sets.iter().map(|key| addresses_of(key, inventory)).collect();
        mentioned.sets = sets.into_iter().collect();
        mentioned.domains = domains.into_iter().collect();
        for selection in &mentioned.selections {
            selection.endpoints.for_each_key(&mut |key| {
                mentioned.keys.insert(key.to_owned());
            });
        }
        mentioned.cut_atoms(dataplane);
        mentioned
    }

    fn cut_atoms(&mut self, dataplane: &Dataplane) {
        self.atoms = address::atoms(&self.addresses);
        for (index, atom) in self.atoms.iter().enumerate() {
            self.atom_starts.extend(atom.ranges().iter().map(|range| (range.first, index as u32)));
        }
        self.atom_starts.sort_unstable();
        self.sets_of_atom = vec![Vec::new(); self.atoms.len()];
        let families = AddressSet::all();
        for (number, (key, set)) in self.sets.iter().zip(&self.addresses).enumerate() {
            for range in set.ranges() {
                let from = self.atom_starts.partition_point(|(first, _)| *first < range.first);
                let to = self.atom_starts.partition_point(|(first, _)| *first <= range.last);
                for (_, atom) in &self.atom_starts[from..to] {
                    self.sets_of_atom[*atom as usize].push(number as u32);
                    if matches!(key, SetKey::Nodes(_) | SetKey::Interfaces(_)) {
                        self.node_atoms.insert(*atom);
                    }
                }
            }
            let whole = |set: &AddressSet| families.ranges().iter().any(|f| set.ranges().contains(f));
            let holds_unknown = match key {
                SetKey::Block(set) => whole(set),
                SetKey::Rest { of, without } => whole(of) && !whole(without),
                SetKey::Nodes(_) | SetKey::Interfaces(_) | SetKey::Backends(_) => false,
            };
            if holds_unknown {
                self.whole_family.push(number as u32);
            }
        }
        for sets in &mut self.sets_of_atom {
            sets.sort_unstable();
            sets.dedup();
        }
        self.blocks_match_nodes = dataplane.ipblock_matches_nodes;
    }

    /// The sets that hold an atom as an outside address.
    pub fn sets_of_outside(&self, atom: usize) -> impl Iterator<Item = u32> {
        let hidden = !self.blocks_match_nodes && self.node_atoms.contains(&(atom as u32));
        let is_block = |set: &u32| self.sets[*set as usize].is_block();
        self.sets_of_atom[atom].iter().copied().filter(move |set| !(hidden && is_block(set)))
    }

    fn atom_of(&self, address: IpAddr) -> u32 {
        let index = self.atom_starts.partition_point(|(first, _)| *first <= address);
        self.atom_starts[index.saturating_sub(1)].1
    }

    /// Blocks that hold some addresses of a variant and not others; these are among `sets_of`.
    pub fn partly_holding(&self, variant: &Variant, sets: &[u32]) -> Vec<u32> {
        if variant.addresses.len() < 2 {
            return Vec::new();
        }
        let atoms: BTreeSet<u32> = variant.addresses.iter().map(|address| self.atom_of(*address)).collect();
        let holds_all =
            |set: u32| atoms.iter().all(|atom| self.sets_of_atom[*atom as usize].binary_search(&set).is_ok());
        let counts = |key: &SetKey| key.is_block() || matches!(key, SetKey::Interfaces(_));
        let partly = |set: &u32| counts(&self.sets[*set as usize]) && !holds_all(*set);
        sets.iter().copied().filter(partly).collect()
    }

    /// The sets that hold a variant: by its addresses; where none is known, the blocks that hold a
    /// whole family, and the nodes that all are meant.
    pub fn sets_of(&self, inventory: &Inventory, variant: &Variant, dataplane: &Dataplane) -> Vec<u32> {
        let blocks_count = match variant.network {
            Network::Pod => dataplane.ipblock_matches_pods,
            Network::Host | Network::HostEndpoint => dataplane.ipblock_matches_nodes,
            Network::Standalone | Network::Machine => true,
        };
        let mut sets: Vec<u32> = Vec::new();
        if variant.addresses.is_empty() && blocks_count {
            sets.clone_from(&self.whole_family);
        }
        for address in &variant.addresses {
            let counts = |set: &&u32| match self.sets[**set as usize] {
                SetKey::Block(_) | SetKey::Rest { .. } => blocks_count,
                SetKey::Nodes(_) | SetKey::Interfaces(_) => {
                    matches!(variant.network, Network::Host | Network::HostEndpoint)
                }
                SetKey::Backends(_) => true,
            };
            sets.extend(self.sets_of_atom[self.atom_of(*address) as usize].iter().filter(counts));
        }
        if variant.network == Network::Host {
            let runs_on = |selector: &Selector| match variant.nodes.is_empty() {
                true => variant.addresses.is_empty() && selector.is_everything(),
                false => inventory
                    .nodes
                    .iter()
                    .any(|n| variant.nodes.contains(n.name.as_str()) && selector.matches(&n.labels)),
            };
            let is_on = |key: &SetKey| matches!(key, SetKey::Nodes(s) | SetKey::Interfaces(s) if runs_on(s));
            let on = (0..).zip(&self.sets).filter(|(_, key)| is_on(key));
            sets.extend(on.map(|(number, _): (u32, _)| number));
        }
        sets.sort_unstable();
        sets.dedup();
        sets
    }
}

fn addresses_of(key: &SetKey, inventory: &Inventory) -> AddressSet {
    let single = |address: &IpAddr| crate::model::AddressRange::single(*address);
    match key {
        SetKey::Block(set) => set.clone(),
        SetKey::Rest { of, without } => of.difference(without),
        SetKey::Nodes(selector) => {
            let chosen = inventory.nodes.iter().filter(|node| selector.matches(&node.labels));
            chosen.flat_map(|node| &node.addresses).map(single).collect()
        }
        SetKey::Interfaces(selector) => {
            let chosen = inventory.nodes.iter().filter(|node| selector.matches(&node.labels));
            chosen.flat_map(|node| &node.interfaces).map(single).collect()
        }
        SetKey::Backends(services) => {
            chosen_services(inventory, services).flat_map(|service| &service.endpoints).map(single).collect()
        }
    }
}

/// The services that a choice means.
pub(super) fn chosen_services<'a>(
    inventory: &'a Inventory,
    services: &'a Services,
) -> impl Iterator<Item = &'a Service> {
    inventory.services.iter().filter(|service| means(services, service))
}

fn means(services: &Services, service: &Service) -> bool {
    let here = services.namespace.as_ref().is_none_or(|namespace| *namespace == service.namespace);
    here && match &services.chosen {
        ServiceChoice::Named(name) => *name == service.name,
        ServiceChoice::Labelled(selector) => selector.matches(&service.labels),
        ServiceChoice::Entry(_) => false,
        ServiceChoice::Besides(others) => !others.iter().any(|other| means(other, service)),
    }
}

/// The same of names that meshes give to endpoints.
pub(super) fn chosen_entries<'a>(
    inventory: &'a Inventory,
    services: &'a Services,
) -> impl Iterator<Item = usize> + 'a {
    let fits = move |(_, entry): &(usize, &ServiceEntry)| {
        let here = services.namespace.as_ref().is_none_or(|namespace| *namespace == entry.service.namespace);
        here && match &services.chosen {
            ServiceChoice::Entry(name) => *name == entry.service.name,
            ServiceChoice::Labelled(selector) => selector.is_everything(),
            ServiceChoice::Named(_) | ServiceChoice::Besides(_) => false,
        }
    };
    inventory.entries.iter().enumerate().filter(fits).map(|(number, _)| number)
}

/// Services that some rule speaks of, with those that it means; looked up once.
pub(super) fn services_by_choice<'a>(
    mentioned: &'a Mentioned,
    inventory: &'a Inventory,
) -> BTreeMap<&'a Services, Vec<&'a Service>> {
    let of_sets = mentioned.sets.iter().filter_map(|key| match key {
        SetKey::Backends(services) => Some(services),
        _ => None,
    });
    let of_ports = mentioned.names.iter().filter_map(|name| match name {
        PortName::Backend(services) => Some(services),
        PortName::Container(..) | PortName::Spoken(_) => None,
    });
    of_sets
        .chain(of_ports)
        .map(|services| (services, chosen_services(inventory, services).collect()))
        .collect()
}
