//! Endpoints that no rule can tell apart are one class; cost follows classes, not pods.
//!
//! First endpoints of one namespace with equal projected labels are put together, then those that
//! the same selections match. Addresses count by the atoms that the policies' blocks cut.

use crate::inventory::{Inventory, Network, Variant};
use crate::model::{AddressSet, Labels, Protocol, Selector, address};
use crate::policy::{Dataplane, Namespaces, Peer, Peers, Selection, Tier};
use hashbrown::HashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Number of a class.
pub type ClassId = u32;
/// Number of a class, or behind the classes that of an address atom.
pub type PeerId = u32;

/// Endpoints that every rule treats alike.
#[derive(Clone, Debug)]
pub struct Class {
    /// Their namespace.
    pub namespace: String,
    /// Pod or host network.
    pub network: Network,
    /// Named ports that some rule mentions, resolved.
    pub named_ports: Vec<(Protocol, String, u16)>,
    /// Workload variants in it.
    pub members: Vec<Member>,
    /// Nodes that they run on; `None` where some are not known.
    pub nodes: Option<BTreeSet<String>>,
}

/// A variant of a workload, by position in the inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Member {
    /// Index into `Inventory::workloads`.
    pub workload: u32,
    /// Index into `Workload::variants`.
    pub variant: u32,
}

/// All classes, and which selections and address sets match them.
#[derive(Debug)]
pub(super) struct Classes {
    pub classes: Vec<Class>,
    /// Class of each variant of each workload.
    pub of_variant: Vec<Vec<ClassId>>,
    /// Address atoms outside of endpoints.
    pub atoms: Vec<AddressSet>,
    selections: HashMap<Selection, Vec<ClassId>>,
    blocks: HashMap<AddressSet, Vec<PeerId>>,
    /// Variants with no known address.
    pub unaddressed: usize,
}

impl Classes {
    /// The classes that a selection matches, sorted.
    pub fn selected(&self, selection: &Selection) -> &[ClassId] {
        self.selections.get(selection).map_or(&[], Vec::as_slice)
    }

    /// The classes and atoms that an address set matches, sorted.
    pub fn inside(&self, set: &AddressSet) -> &[PeerId] {
        self.blocks.get(set).map_or(&[], Vec::as_slice)
    }

    pub fn build(inventory: &Inventory, tiers: &[Tier], dataplane: &Dataplane) -> Classes {
        let mentioned = Mentioned::collect(tiers);
        let groups = group(inventory, &mentioned, dataplane);
        let matches = match_selections(inventory, &mentioned, &groups);
        merge(inventory, mentioned, groups, matches)
    }
}

/// Everything that rules speak of.
#[derive(Default)]
struct Mentioned {
    selections: Vec<Selection>,
    sets: Vec<AddressSet>,
    names: BTreeSet<(Protocol, String)>,
    keys: BTreeSet<String>,
    atoms: Vec<AddressSet>,
    /// For each first address of a range: the atom; sorted.
    atom_starts: Vec<(IpAddr, u32)>,
    /// For each atom: the sets that it lies in.
    sets_of_atom: Vec<Vec<u32>>,
    /// Sets that hold a whole address family.
    whole_family: Vec<u32>,
}

impl Mentioned {
    fn collect(tiers: &[Tier]) -> Mentioned {
        let (mut selections, mut sets) = (BTreeSet::new(), BTreeSet::new());
        let mut mentioned = Mentioned::default();
        for policy in tiers.iter().flat_map(|tier| &tier.policies) {
            selections.insert(&policy.subjects);
            for rule in &policy.rules {
                mentioned.names.extend(rule.traffic.named.iter().cloned());
                let Peers::Among(peers) = &rule.peers else { continue };
                for peer in peers {
                    match peer {
                        Peer::Endpoints(selection) => drop(selections.insert(selection)),
                        Peer::Addresses(set) => drop(sets.insert(set)),
                    }
                }
            }
        }
        mentioned.selections = selections.into_iter().cloned().collect();
        mentioned.sets = sets.into_iter().cloned().collect();
        let requirements = mentioned.selections.iter().flat_map(|s| &s.endpoints.requirements);
        mentioned.keys = requirements.map(|r| r.key().to_owned()).collect();
        mentioned.cut_atoms();
        mentioned
    }

    fn cut_atoms(&mut self) {
        self.atoms = address::atoms(&self.sets);
        for (index, atom) in self.atoms.iter().enumerate() {
            self.atom_starts.extend(atom.ranges().iter().map(|range| (range.first, index as u32)));
        }
        self.atom_starts.sort_unstable();
        self.sets_of_atom = vec![Vec::new(); self.atoms.len()];
        let families = AddressSet::all();
        for (number, set) in self.sets.iter().enumerate() {
            for range in set.ranges() {
                let from = self.atom_starts.partition_point(|(first, _)| *first < range.first);
                let to = self.atom_starts.partition_point(|(first, _)| *first <= range.last);
                for (_, atom) in &self.atom_starts[from..to] {
                    self.sets_of_atom[*atom as usize].push(number as u32);
                }
            }
            if families.ranges().iter().any(|family| set.ranges().contains(family)) {
                self.whole_family.push(number as u32);
            }
        }
        for sets in &mut self.sets_of_atom {
            sets.sort_unstable();
            sets.dedup();
        }
    }

    fn atom_of(&self, address: IpAddr) -> u32 {
        let index = self.atom_starts.partition_point(|(first, _)| *first <= address);
        self.atom_starts[index.saturating_sub(1)].1
    }

    /// The sets that hold one of the addresses; where none is known, those that hold a family.
    fn sets_of(&self, variant: &Variant) -> Vec<u32> {
        if variant.addresses.is_empty() {
            return self.whole_family.clone();
        }
        let atoms: BTreeSet<u32> = variant.addresses.iter().map(|a| self.atom_of(*a)).collect();
        let mut sets: Vec<u32> =
            atoms.iter().flat_map(|a| &self.sets_of_atom[*a as usize]).copied().collect();
        sets.sort_unstable();
        sets.dedup();
        sets
    }
}

/// Endpoints of one namespace that look alike to every selector.
#[derive(Clone, PartialEq, Eq, Hash)]
struct GroupKey {
    namespace: u32,
    labels: Vec<(String, String)>,
    named_ports: Vec<(Protocol, String, u16)>,
    network: Network,
    sets: Vec<u32>,
}

struct Groups {
    list: Vec<(GroupKey, Vec<Member>)>,
    by_namespace: Vec<Vec<u32>>,
    unaddressed: usize,
}

fn group(inventory: &Inventory, mentioned: &Mentioned, dataplane: &Dataplane) -> Groups {
    let numbers: BTreeMap<&str, u32> = inventory.namespaces.keys().map(String::as_str).zip(0..).collect();
    let mut index: HashMap<GroupKey, u32> = HashMap::new();
    let mut groups =
        Groups { list: Vec::new(), by_namespace: vec![Vec::new(); numbers.len()], unaddressed: 0 };
    for (w, workload) in inventory.workloads.iter().enumerate() {
        let Some(&namespace) = numbers.get(workload.name.namespace.as_str()) else { continue };
        for (v, variant) in workload.variants.iter().enumerate() {
            groups.unaddressed += usize::from(variant.addresses.is_empty());
            let by_address = dataplane.ipblock_matches_pods || variant.network == Network::Host;
            let key = GroupKey {
                namespace,
                labels: project(&variant.labels, variant.network, &mentioned.keys),
                named_ports: named_ports(variant, &mentioned.names),
                network: variant.network,
                sets: if by_address { mentioned.sets_of(variant) } else { Vec::new() },
            };
            let member = Member { workload: w as u32, variant: v as u32 };
            let list = &mut groups.list;
            let number = *index.entry(key).or_insert_with_key(|key| {
                list.push((key.clone(), Vec::new()));
                groups.by_namespace[namespace as usize].push(list.len() as u32 - 1);
                list.len() as u32 - 1
            });
            groups.list[number as usize].1.push(member);
        }
    }
    groups
}

/// The labels that some selector mentions; none on the host network, where no selector looks.
fn project(labels: &Labels, network: Network, keys: &BTreeSet<String>) -> Vec<(String, String)> {
    match network {
        Network::Host => Vec::new(),
        Network::Pod => labels
            .iter()
            .filter(|(key, _)| keys.contains(*key))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
    }
}

fn named_ports(variant: &Variant, names: &BTreeSet<(Protocol, String)>) -> Vec<(Protocol, String, u16)> {
    if names.is_empty() {
        return Vec::new();
    }
    let used = |port: &&crate::inventory::ContainerPort| names.contains(&(port.protocol, port.name.clone()));
    variant.ports.iter().filter(used).map(|p| (p.protocol, p.name.clone(), p.port)).collect()
}

/// For each selection, the groups that it matches.
fn match_selections(inventory: &Inventory, mentioned: &Mentioned, groups: &Groups) -> Vec<Vec<u32>> {
    let names: Vec<&String> = inventory.namespaces.keys().collect();
    let labels: Vec<Labels> =
        groups.list.iter().map(|(key, _)| key.labels.iter().cloned().collect()).collect();
    let mut by_label: HashMap<(&str, &str), Vec<u32>> = HashMap::new();
    for (number, (key, _)) in groups.list.iter().enumerate() {
        for (name, value) in &key.labels {
            by_label.entry((name, value)).or_default().push(number as u32);
        }
    }
    let mut namespaces_of: HashMap<&Selector, Vec<bool>> = HashMap::new();
    let fits = |selection: &Selection, group: &u32| {
        let (key, _) = &groups.list[*group as usize];
        key.network == Network::Pod && selection.endpoints.matches(&labels[*group as usize])
    };
    let mut all = Vec::with_capacity(mentioned.selections.len());
    for selection in &mentioned.selections {
        let candidates: Vec<u32> = match &selection.namespaces {
            Namespaces::Named(name) => match names.binary_search(&name) {
                Ok(number) => groups.by_namespace[number].clone(),
                Err(_) => Vec::new(),
            },
            Namespaces::Matching(selector) => {
                let chosen = namespaces_of.entry(selector).or_insert_with(|| {
                    inventory.namespaces.values().map(|n| selector.matches(&n.labels)).collect()
                });
                let in_namespace = |group: &u32| chosen[groups.list[*group as usize].0.namespace as usize];
                match narrowest(&selection.endpoints, &by_label) {
                    Some(groups) => groups.iter().copied().filter(in_namespace).collect(),
                    None => (0..groups.list.len() as u32).filter(in_namespace).collect(),
                }
            }
        };
        all.push(candidates.into_iter().filter(|group| fits(selection, group)).collect());
    }
    all
}

/// The shortest list of groups that an `In` requirement with one value leaves.
fn narrowest<'a>(selector: &'a Selector, by_label: &'a HashMap<(&str, &str), Vec<u32>>) -> Option<&'a [u32]> {
    use crate::model::Requirement::In;
    let lists = selector.requirements.iter().filter_map(|requirement| match requirement {
        In(key, values) if values.len() == 1 => {
            Some(by_label.get(&(key.as_str(), values[0].as_str())).map_or(&[][..], Vec::as_slice))
        }
        _ => None,
    });
    lists.min_by_key(|list| list.len())
}

/// Puts groups of one namespace together that the same selections match.
fn merge(inventory: &Inventory, mentioned: Mentioned, groups: Groups, matches: Vec<Vec<u32>>) -> Classes {
    let mut signature: Vec<Vec<u32>> = vec![Vec::new(); groups.list.len()];
    for (selection, matched) in matches.iter().enumerate() {
        matched.iter().for_each(|group| signature[*group as usize].push(selection as u32));
    }
    let names: Vec<&String> = inventory.namespaces.keys().collect();
    let mut classes: Vec<Class> = Vec::new();
    let mut index: HashMap<(GroupKey, Vec<u32>), ClassId> = HashMap::new();
    let mut class_of_group = Vec::with_capacity(groups.list.len());
    let mut of_variant: Vec<Vec<ClassId>> =
        inventory.workloads.iter().map(|w| vec![0; w.variants.len()]).collect();
    let mut sets_of_class: Vec<Vec<u32>> = Vec::new();
    for ((key, members), signature) in groups.list.into_iter().zip(signature) {
        let unlabelled = GroupKey { labels: Vec::new(), ..key };
        let class = *index.entry((unlabelled, signature)).or_insert_with_key(|(key, _)| {
            classes.push(Class {
                namespace: names[key.namespace as usize].clone(),
                network: key.network,
                named_ports: key.named_ports.clone(),
                members: Vec::new(),
                nodes: Some(BTreeSet::new()),
            });
            sets_of_class.push(key.sets.clone());
            classes.len() as u32 - 1
        });
        class_of_group.push(class);
        for member in members {
            of_variant[member.workload as usize][member.variant as usize] = class;
            add_member(inventory, &mut classes[class as usize], member);
        }
    }
    let selections = mentioned.selections.into_iter().zip(matches).map(|(selection, matched)| {
        let mut list: Vec<ClassId> = matched.iter().map(|group| class_of_group[*group as usize]).collect();
        list.sort_unstable();
        list.dedup();
        (selection, list)
    });
    let selections = selections.collect();
    let mut inside: Vec<Vec<PeerId>> = vec![Vec::new(); mentioned.sets.len()];
    for (class, sets) in sets_of_class.iter().enumerate() {
        sets.iter().for_each(|set| inside[*set as usize].push(class as PeerId));
    }
    for (atom, sets) in mentioned.sets_of_atom.iter().enumerate() {
        sets.iter().for_each(|set| inside[*set as usize].push((classes.len() + atom) as PeerId));
    }
    let blocks = mentioned.sets.into_iter().zip(inside).collect();
    let unaddressed = groups.unaddressed;
    Classes { classes, of_variant, atoms: mentioned.atoms, selections, blocks, unaddressed }
}

fn add_member(inventory: &Inventory, class: &mut Class, member: Member) {
    let variant = &inventory.workloads[member.workload as usize].variants[member.variant as usize];
    class.members.push(member);
    match &mut class.nodes {
        Some(nodes) if !variant.nodes.is_empty() => nodes.extend(variant.nodes.iter().cloned()),
        nodes => *nodes = None,
    }
}
