//! Endpoints that no rule can tell apart are one class; cost follows classes, not pods.
//!
//! First endpoints of one namespace with equal projected labels are put together, then those that
//! the same selections match. Addresses count by the atoms that the policies' blocks cut.

mod groups;
mod kept;
mod selected;

pub use kept::KeptAlike;

use super::backing::{Backing, Served};
use super::mentioned::{Mentioned, SetKey, services_by_choice};
use crate::inventory::{Inventory, Network, Service, ServiceKind, Variant, Workload};
use crate::model::{AddressSet, DomainPattern, Labels, NodeKind, Protocol, Text, fact};
use crate::policy::{Dataplane, Made, PortName, Selection, Services, Speech, Standing, Tier, Transport};
use hashbrown::HashMap;
use selected::match_selections;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Number of a class.
pub type ClassId = u32;
/// Number of a class; behind the classes those of the address atoms, behind them those of names.
pub type PeerId = u32;

/// A port of a class that some rule names: the name, and what it stands for there.
pub type NamedPort = (PortName, Protocol, u16);

/// Endpoints that every rule treats alike.
#[derive(Clone, Debug)]
pub struct Class {
    /// Their namespace; empty where they have none.
    pub namespace: String,
    /// Pod or host network.
    pub network: Network,
    /// What decides whether policies count for them.
    pub standing: Standing,
    /// Named ports that some rule mentions, resolved.
    pub named_ports: Vec<NamedPort>,
    /// Services that it stands behind; empty where no mesh asks.
    pub backs: Vec<Backing>,
    /// Workload variants in it.
    pub members: Vec<Member>,
    /// Nodes that they run on; `None` where some are not known.
    pub nodes: Option<BTreeSet<Text>>,
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
    /// Ports of atoms that serve a service that rules name.
    pub atom_ports: BTreeMap<u32, Vec<NamedPort>>,
    /// Outside endpoints that rules name.
    pub domains: Vec<DomainPattern>,
    pub(super) selections: HashMap<Selection, Vec<ClassId>>,
    pub(super) sets: HashMap<SetKey, Vec<PeerId>>,
    /// Of blocks: the classes of which they hold some addresses and not others.
    pub(super) partly: HashMap<SetKey, Vec<PeerId>>,
    /// Variants with no known address.
    pub unaddressed: usize,
    /// What the next graph need not find again.
    pub kept: KeptAlike,
}

impl Classes {
    /// Looks again only at what is not among the `kept` look-alikes.
    pub fn build(
        inventory: &Inventory,
        tiers: &[Tier],
        transport: &Transport,
        dataplane: &Dataplane,
        kept: KeptAlike,
    ) -> Classes {
        let mentioned = Mentioned::collect(tiers, transport, inventory, dataplane);
        let served = Served::new(inventory, transport);
        let (basis, mut alike) = kept.on(&mentioned, transport, dataplane);
        let groups = groups::group(inventory, &mentioned, &served, dataplane, &mut alike);
        let matches = match_selections(inventory, &mentioned, &groups);
        let kept = KeptAlike::new(basis, alike);
        Classes { kept, ..merge(inventory, mentioned, groups, matches) }
    }

    /// The classes that a selection matches, sorted.
    pub fn selected(&self, selection: &Selection) -> &[ClassId] {
        self.selections.get(selection).map_or(&[], Vec::as_slice)
    }

    /// How many peers there are: classes, atoms and names.
    pub fn peers(&self) -> PeerId {
        (self.classes.len() + self.atoms.len() + self.domains.len()) as PeerId
    }

    /// The number of the first atom.
    pub fn first_atom(&self) -> PeerId {
        self.classes.len() as PeerId
    }

    /// The number of the first name.
    pub fn first_domain(&self) -> PeerId {
        (self.classes.len() + self.atoms.len()) as PeerId
    }

    /// The ports of a peer that rules name.
    pub fn ports_of(&self, peer: PeerId) -> &[NamedPort] {
        match self.classes.get(peer as usize) {
            Some(class) => &class.named_ports,
            None => self.atom_ports.get(&(peer - self.first_atom())).map_or(&[], Vec::as_slice),
        }
    }
}

/// What rules see of an endpoint beside its namespace.
#[derive(PartialEq, Eq, Hash)]
struct Looks {
    labels: Labels,
    named_ports: Vec<NamedPort>,
    network: Network,
    standing: Standing,
    sets: Vec<u32>,
    /// Those of the sets that hold some of its addresses and not others.
    partly: Vec<u32>,
    backs: Vec<Backing>,
}

/// Endpoints of one namespace that look alike to every selector.
struct Group {
    /// Number of the namespace; `None` for endpoints that have none.
    namespace: Option<u32>,
    looks: Arc<Looks>,
    members: Vec<Member>,
}

struct Groups {
    list: Vec<Group>,
    by_namespace: Vec<Vec<u32>>,
    unaddressed: usize,
}

/// One variant, as rules see it.
struct Seen<'a> {
    inventory: &'a Inventory,
    mentioned: &'a Mentioned,
    services: &'a BTreeMap<&'a Services, Vec<&'a Service>>,
    workload: &'a Workload,
    variant: &'a Variant,
}

impl Seen<'_> {
    /// The labels and facts that some selector mentions; on the host network no selector sees labels.
    fn labels(&self) -> Labels {
        let keys = &self.mentioned.keys;
        let own = self.variant.labels.iter().filter(|(key, _)| keys.contains(key.as_str()));
        let facts = keys.range("@".to_owned()..).take_while(|key| key.starts_with('@'));
        let known = facts.filter_map(|key| Some((key.as_str(), self.fact(key)?)));
        let mut all: Labels = match self.variant.network {
            Network::Host => Labels::new(),
            Network::Pod | Network::HostEndpoint | Network::Standalone | Network::Machine => {
                own.map(|(k, v)| (k.clone(), v.clone())).collect()
            }
        };
        all.extend(known);
        all
    }

    fn fact(&self, key: &str) -> Option<Text> {
        let Seen { inventory, workload, variant, .. } = self;
        let namespace = &workload.name.namespace;
        if let Some(label) = key.strip_prefix(fact::NAMESPACE_LABEL) {
            return inventory.namespaces.get(namespace)?.labels.get(label).cloned();
        }
        if let Some(label) = key.strip_prefix(fact::ACCOUNT_LABEL) {
            let account = (namespace.clone(), variant.service_account.clone());
            return inventory.service_accounts.get(&account)?.get(label).cloned();
        }
        if let Some(profile) = key.strip_prefix(fact::PROFILE) {
            let place = variant.profiles.iter().position(|own| own == profile);
            return place.map(|place| Text::from(place.to_string()));
        }
        if let Some(annotation) = key.strip_prefix(fact::ANNOTATION) {
            return variant.annotations.get(annotation).cloned();
        }
        if let Some(annotation) = key.strip_prefix(fact::NAMESPACE_ANNOTATION) {
            return inventory.namespaces.get(namespace)?.annotations.get(annotation).cloned();
        }
        if let Some(container) = key.strip_prefix(fact::CONTAINER) {
            return variant.containers.contains(container).then(Text::default);
        }
        if let Some(user) = key.strip_prefix(fact::USER) {
            return variant.users.iter().any(|own| own.to_string() == user).then(Text::default);
        }
        if let Some(proxy) = key.strip_prefix(fact::PROXY) {
            return variant.proxies.contains(proxy).then(Text::default);
        }
        if let Some(address) = key.strip_prefix(fact::ADDRESS) {
            return variant.addresses.iter().any(|own| own.to_string() == address).then(Text::default);
        }
        match key {
            fact::NETWORK => Some(
                match variant.network {
                    Network::Pod => "pod",
                    Network::Machine => "machine",
                    Network::Host | Network::HostEndpoint | Network::Standalone => "host",
                }
                .into(),
            ),
            fact::MACHINE => (variant.network == Network::Machine).then(Text::default),
            fact::NO_AGENT => (variant.runs_on != NodeKind::Linux).then(Text::default),
            fact::RUNNING => (!variant.addresses.is_empty()).then(Text::default),
            fact::NAMESPACE_KNOWN => {
                let read = inventory.namespaces.get(namespace).is_some_and(|n| n.origin.is_some());
                Some(if read { "whole" } else { "name" }.into())
            }
            fact::NAMESPACE => (!namespace.is_empty()).then(|| namespace.into()),
            fact::SERVICE_ACCOUNT => {
                let known = !namespace.is_empty() && !variant.service_account.is_empty();
                known.then(|| variant.service_account.as_str().into())
            }
            fact::NODE => variant.nodes.iter().next().filter(|_| variant.nodes.len() == 1).cloned(),
            _ => None,
        }
    }

    /// What decides whether policies count, of what makes a difference to this dataplane.
    fn standing(&self, dataplane: &Dataplane) -> Standing {
        let is_pod = self.workload.name.kind == "Pod" && !self.variant.pods.is_empty();
        let made = if is_pod && dataplane.asks_who_made() { Made::Alone } else { Made::ByOwner };
        Standing { runs_on: self.variant.runs_on, made }
    }

    fn sets(&self, dataplane: &Dataplane) -> Vec<u32> {
        let mut sets = self.mentioned.sets_of(self.inventory, self.variant, dataplane);
        let serves = (0..).zip(&self.mentioned.sets).filter(|(_, key)| match key {
            SetKey::Backends(services) => self.served(services).next().is_some(),
            _ => false,
        });
        if !self.services.is_empty() {
            sets.extend(serves.map(|(number, _): (u32, _)| number));
            sets.sort_unstable();
            sets.dedup();
        }
        sets
    }

    /// Those of some services that this variant stands behind.
    fn served<'s>(&'s self, services: &Services) -> impl Iterator<Item = &'s Service> {
        let chosen = self.services.get(services).map_or(&[][..], Vec::as_slice);
        chosen.iter().copied().filter(|service| {
            let labels = &self.variant.labels;
            self.variant.network != Network::Machine
                && service.namespace == self.workload.name.namespace
                && service.selector.as_ref().is_some_and(|selector| selector.matches(labels))
        })
    }

    /// Those of some services without a selector whose endpoints have an address of this variant.
    fn listed<'s>(&'s self, services: &Services) -> impl Iterator<Item = &'s Service> {
        let chosen = self.services.get(services).map_or(&[][..], Vec::as_slice);
        let own =
            |service: &Service| self.variant.addresses.iter().any(|own| service.endpoints.contains(own));
        chosen.iter().copied().filter(move |service| service.selector.is_none() && own(service))
    }

    /// All services that this variant stands behind.
    fn fronted_by(&self) -> impl Iterator<Item = &Service> {
        let (services, namespace) = (&self.inventory.services, &self.workload.name.namespace);
        let first = services.partition_point(|service| service.namespace < *namespace);
        let own = services[first..].iter().take_while(move |service| service.namespace == *namespace);
        own.filter(|service| service.selector.as_ref().is_some_and(|s| s.matches(&self.variant.labels)))
    }

    /// What services declare of its ports. Where they differ the oldest service decides, which nobody
    /// knows: then nothing is declared. A machine does not know headless services as its own
    /// (`serviceTargetsFromWorkloadInstance`).
    fn spoken(&self) -> BTreeMap<(Protocol, u16), Speech> {
        let mut all = BTreeMap::new();
        let is_known = |service: &&Service| {
            self.variant.network != Network::Machine || service.kind != ServiceKind::Headless
        };
        for port in self.fronted_by().filter(is_known).flat_map(|service| &service.ports) {
            let speech = Speech::of(&port.name, &port.app_protocol);
            for target in port.targets(self.variant) {
                let said = all.entry((port.protocol, target)).or_insert(speech);
                if *said != speech {
                    *said = Speech::Undeclared;
                }
            }
        }
        all
    }

    fn named_ports(&self) -> Vec<NamedPort> {
        let mut ports = Vec::new();
        for name in &self.mentioned.names {
            match name {
                PortName::Container(protocol, wanted) => {
                    let fits = |p: &&crate::inventory::ContainerPort| {
                        p.name == *wanted && protocol.is_none_or(|protocol| protocol == p.protocol)
                    };
                    let own = self.variant.ports.iter().filter(fits);
                    ports.extend(own.map(|p| (name.clone(), p.protocol, p.port)));
                }
                PortName::Spoken(speech) => {
                    let spoken = self.spoken().into_iter().filter(|(_, said)| said == speech);
                    ports.extend(spoken.map(|((protocol, port), _)| (name.clone(), protocol, port)));
                }
                PortName::Backend(services) => {
                    let behind = self.served(services).chain(self.listed(services));
                    for port in behind.flat_map(|service| &service.ports) {
                        let targets = port.targets(self.variant);
                        ports.extend(targets.into_iter().map(|t| (name.clone(), port.protocol, t)));
                    }
                }
            }
        }
        ports.sort();
        ports.dedup();
        ports.shrink_to_fit();
        ports
    }
}

/// Ports of addresses outside that stand behind services that rules name.
fn outside_ports(mentioned: &Mentioned, inventory: &Inventory) -> BTreeMap<u32, Vec<NamedPort>> {
    let services = services_by_choice(mentioned, inventory);
    let mut all: BTreeMap<u32, Vec<NamedPort>> = BTreeMap::new();
    for name in &mentioned.names {
        let PortName::Backend(choice) = name else { continue };
        for service in services.get(choice).into_iter().flatten() {
            let numbers = service.ports.iter().filter_map(|port| Some((port.protocol, port.number()?)));
            let ports: Vec<NamedPort> =
                numbers.map(|(protocol, port)| (name.clone(), protocol, port)).collect();
            for (atom, set) in mentioned.atoms.iter().enumerate() {
                if service.endpoints.iter().any(|address| set.contains(*address)) {
                    all.entry(atom as u32).or_default().extend(ports.iter().cloned());
                }
            }
        }
    }
    all
}

/// What of the looks of endpoints counts once it is known which selections match them.
type Kept<'a> = (&'a [NamedPort], (Network, Standing), [&'a [u32]; 2], &'a [Backing]);

impl Looks {
    fn without_labels(&self) -> Kept<'_> {
        let Looks { labels: _, named_ports, network, standing, sets, partly, backs } = self;
        (named_ports, (*network, *standing), [sets, partly], backs)
    }
}

/// Puts groups of one namespace together that the same selections match.
fn merge(inventory: &Inventory, mut mentioned: Mentioned, groups: Groups, matches: Vec<Vec<u32>>) -> Classes {
    let mut signature: Vec<Vec<u32>> = vec![Vec::new(); groups.list.len()];
    for (selection, matched) in matches.iter().enumerate() {
        matched.iter().for_each(|group| signature[*group as usize].push(selection as u32));
    }
    let names: Vec<&String> = inventory.namespaces.keys().collect();
    let mut classes: Vec<Class> = Vec::new();
    let mut index: HashMap<(Option<u32>, Kept<'_>, Vec<u32>), ClassId> = HashMap::new();
    let mut class_of_group = Vec::with_capacity(groups.list.len());
    let mut of_variant: Vec<Vec<ClassId>> =
        inventory.workloads.iter().map(|w| vec![0; w.variants.len()]).collect();
    let mut sets_of_class: Vec<[&[u32]; 2]> = Vec::new();
    for (Group { namespace, looks, members }, signature) in groups.list.iter().zip(signature) {
        let class = *index.entry((*namespace, looks.without_labels(), signature)).or_insert_with(|| {
            classes.push(Class {
                namespace: namespace.map_or_else(String::new, |n| names[n as usize].clone()),
                network: looks.network,
                standing: looks.standing,
                named_ports: looks.named_ports.clone(),
                backs: looks.backs.clone(),
                members: Vec::with_capacity(members.len()),
                nodes: Some(BTreeSet::new()),
            });
            sets_of_class.push([&looks.sets, &looks.partly]);
            classes.len() as u32 - 1
        });
        class_of_group.push(class);
        for member in members {
            of_variant[member.workload as usize][member.variant as usize] = class;
            add_member(inventory, &mut classes[class as usize], *member);
        }
    }
    let atom_ports = outside_ports(&mentioned, inventory);
    let selections =
        std::mem::take(&mut mentioned.selections).into_iter().zip(matches).map(|(selection, matched)| {
            let mut list: Vec<ClassId> =
                matched.iter().map(|group| class_of_group[*group as usize]).collect();
            list.sort_unstable();
            list.dedup();
            (selection, list)
        });
    let selections = selections.collect();
    let mut inside: Vec<Vec<PeerId>> = vec![Vec::new(); mentioned.sets.len()];
    let mut partly: HashMap<SetKey, Vec<PeerId>> = HashMap::new();
    for (class, [sets, in_part]) in sets_of_class.iter().enumerate() {
        sets.iter().for_each(|set| inside[*set as usize].push(class as PeerId));
        for set in *in_part {
            partly.entry(mentioned.sets[*set as usize].clone()).or_default().push(class as PeerId);
        }
    }
    for atom in 0..mentioned.atoms.len() {
        let peer = (classes.len() + atom) as PeerId;
        mentioned.sets_of_outside(atom).for_each(|set| inside[set as usize].push(peer));
    }
    // Nobody knows the addresses behind a name: only a block that holds a whole family holds it.
    let first_domain = classes.len() + mentioned.atoms.len();
    for peer in (first_domain..).take(mentioned.domains.len()) {
        mentioned.whole_family.iter().for_each(|set| inside[*set as usize].push(peer as PeerId));
    }
    Classes {
        classes,
        of_variant,
        atom_ports,
        atoms: mentioned.atoms,
        domains: mentioned.domains,
        selections,
        sets: mentioned.sets.into_iter().zip(inside).collect(),
        partly,
        unaddressed: groups.unaddressed,
        kept: KeptAlike::default(),
    }
}

fn add_member(inventory: &Inventory, class: &mut Class, member: Member) {
    let variant = &inventory.workloads[member.workload as usize].variants[member.variant as usize];
    class.members.push(member);
    match &mut class.nodes {
        Some(nodes) if !variant.nodes.is_empty() => nodes.extend(variant.nodes.iter().cloned()),
        nodes => *nodes = None,
    }
}
