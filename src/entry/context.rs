//! What the readers of all languages share: the objects, and how a reference to a service is kept.

use super::controller;
use super::placed::{self, Placed};
use super::{Backend, Controller, DeadEnd, Entries, EntryKind, EntryPoint, PortChoice, Tls, WhyDead};
use crate::contract::{PlacedController, Served};
use crate::inventory::{Inventory, Service, ServiceKind, TargetPort};
use crate::model::{Bend, Document, EndpointName, Gap, Node, Origin, Protocol};
use std::collections::BTreeSet;

/// The objects that are read, and what was found so far.
pub(super) struct Context<'a> {
    pub documents: &'a [Document],
    pub inventory: &'a Inventory,
    placed: Vec<Placed<'a>>,
    entries: Entries,
}

/// An entry point whose backend is not yet looked up.
#[derive(Clone)]
pub(super) struct Draft {
    pub kind: EntryKind,
    pub name: EndpointName,
    pub hosts: BTreeSet<String>,
    pub paths: BTreeSet<String>,
    pub controller: Controller,
    pub tls: Tls,
    pub chain: Vec<Origin>,
}

/// A reference to a service.
pub(super) struct Reference<'a> {
    pub namespace: &'a str,
    pub service: &'a str,
    pub port: PortChoice,
    pub protocol: Option<Protocol>,
    pub line: u32,
}

/// Aliases may name each other.
const MOST_ALIASES: u8 = 4;

/// The name and the namespace of a service, by the name that it has in the DNS of a cluster, or that one
/// of its pods has, before which its own stands.
fn of_cluster(name: &str) -> Option<(&str, &str)> {
    let parts: Vec<&str> = name.trim_end_matches('.').split('.').collect();
    match parts.as_slice() {
        [service, namespace, "svc", ..] | [_, service, namespace, "svc", ..] => Some((service, namespace)),
        _ => None,
    }
}

impl<'a> Context<'a> {
    pub fn new(
        documents: &'a [Document],
        inventory: &'a Inventory,
        controllers: &'a [PlacedController],
    ) -> Self {
        let (placed, problems) = placed::bind(controllers, inventory);
        Context { documents, inventory, placed, entries: Entries { problems, ..Entries::default() } }
    }

    /// The controller that the contract places for an object of this kind, or else for its class.
    pub fn placed(
        &self,
        object: (Served, &EndpointName),
        class: Option<(Served, &str)>,
    ) -> Option<Controller> {
        let (served, name) = object;
        let name = format!("{}/{}", name.namespace, name.name);
        let of = |served: Served, text: &str| self.placed.iter().find(|placed| placed.serves(served, text));
        let found = of(served, &name).or_else(|| class.and_then(|(served, text)| of(served, text)));
        found.map(|placed| placed.controller.clone())
    }

    /// Objects of a kind, in an API group (`networking.k8s.io`) at any version.
    pub fn of_kind(&self, group: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Document> + use<'a> {
        let fits = move |d: &&Document| {
            &*d.origin.kind == kind && d.api_version.split_once('/').is_some_and(|(own, _)| own == group)
        };
        self.documents.iter().filter(fits)
    }

    pub fn push(&mut self, point: EntryPoint) {
        self.entries.points.push(point);
    }

    pub fn dead_end(&mut self, name: &EndpointName, why: WhyDead, what: String, origin: Origin) {
        self.entries.dead_ends.push(DeadEnd { name: name.clone(), why, what, origin });
    }

    /// Something that may lead in and was not read.
    pub fn gap(&mut self, what: String, origin: Origin) {
        self.entries.gaps.push(Gap { what, origin, bends: Bend::MayAllowMore });
    }

    /// Keeps an entry point, or the reason why it leads nowhere. An alias of an outside name leads
    /// to no workload, which is no mistake; one of a name of the cluster leads to that service.
    pub fn lead(&mut self, draft: Draft, to: &Reference<'_>) {
        self.lead_on(draft, to, MOST_ALIASES);
    }

    fn lead_on(&mut self, draft: Draft, to: &Reference<'_>, aliases: u8) {
        let Draft { kind, name, hosts, paths, controller, tls, mut chain } = draft;
        let own = chain.last().cloned();
        let here = |rule: &str| own.as_ref().map(|origin| origin.at(rule, to.line));
        let place = here("").unwrap_or_else(|| Origin { ..self.documents[0].origin.clone() });
        let Some((index, service)) = self.service(to.namespace, to.service) else {
            let what = format!("{}/{}", to.namespace, to.service);
            return self.dead_end(&name, WhyDead::MissingService, what, place);
        };
        if service.kind == ServiceKind::ExternalName {
            let meant = service.external_name.as_deref().and_then(of_cluster).filter(|_| aliases > 0);
            let Some((name_there, namespace)) = meant else { return };
            chain.push(service.origin.clone());
            let draft = Draft { kind, name, hosts, paths, controller, tls, chain };
            let port = self.port_of_alias(service, &to.port, (namespace, name_there));
            let line = service.origin.line;
            let to = Reference { namespace, service: name_there, port, protocol: to.protocol, line };
            return self.lead_on(draft, &to, aliases - 1);
        }
        let mut port = to.port.clone();
        if !self.has_port(service, to) {
            // ingress-nginx takes the target port as well, as it is written.
            let target = match &to.port {
                PortChoice::Number(number) => Some(TargetPort::Number(*number)),
                PortChoice::Name(name) => Some(TargetPort::Named(name.clone())),
                PortChoice::All | PortChoice::Target(_) | PortChoice::OfPods(_) => None,
            };
            let written = |target: &TargetPort| service.ports.iter().any(|p| p.target == *target);
            if let Some(target) = target.filter(|t| kind == EntryKind::Ingress && written(t)) {
                port = PortChoice::Target(target);
            }
        }
        if port == to.port && !self.has_port(service, to) {
            let what = format!("{} of {}/{}", port_words(&to.port), to.namespace, to.service);
            return self.dead_end(&name, WhyDead::MissingPort, what, place);
        }
        chain.push(service.origin.clone());
        let backend = Backend::Service { service: index, port, protocol: to.protocol };
        self.push(EntryPoint { kind, name, hosts, paths, controller, tls, backend, chain });
    }

    /// The port that a connection by way of an alias asks for: a number, since names of DNS have no
    /// ports. Without a virtual address in between it is that of the pods, whatever the service declares.
    fn port_of_alias(&self, alias: &Service, asked: &PortChoice, there: (&str, &str)) -> PortChoice {
        let number = match asked {
            PortChoice::Name(name) => alias.ports.iter().find(|p| p.name == *name).map(|p| p.port),
            PortChoice::Number(number) | PortChoice::Target(TargetPort::Number(number)) => Some(*number),
            PortChoice::OfPods(number) => Some(*number),
            PortChoice::All | PortChoice::Target(TargetPort::Named(_)) => None,
        };
        let Some(number) = number else { return PortChoice::All };
        let headless =
            self.service(there.0, there.1).is_some_and(|(_, service)| service.kind == ServiceKind::Headless);
        if headless { PortChoice::OfPods(number) } else { PortChoice::Number(number) }
    }

    fn service(&self, namespace: &str, name: &str) -> Option<(usize, &'a Service)> {
        let services = &self.inventory.services;
        let key = |s: &Service| (s.namespace.as_str(), s.name.as_str()).cmp(&(namespace, name));
        let index = services.binary_search_by(key).ok()?;
        Some((index, &services[index]))
    }

    fn has_port(&self, service: &Service, to: &Reference<'_>) -> bool {
        if let PortChoice::OfPods(_) = to.port {
            return true;
        }
        let fits = |p: &crate::inventory::ServicePort| to.protocol.is_none_or(|wanted| wanted == p.protocol);
        service.ports.iter().filter(|p| fits(p)).any(|p| match &to.port {
            PortChoice::All | PortChoice::OfPods(_) => true,
            PortChoice::Number(number) => p.port == *number,
            PortChoice::Name(name) => p.name == *name,
            PortChoice::Target(target) => {
                p.target == *target
                    || self.inventory.backends(service).any(|(workload, variant)| {
                        let pod = &self.inventory.workloads[workload].variants[variant];
                        matches!(target, TargetPort::Number(n) if p.targets(pod).contains(n))
                    })
            }
        })
    }

    pub fn finish(self) -> Entries {
        let mut entries = self.entries;
        entries.controllers = controller::all(self.inventory);
        entries.controllers.extend(self.placed.iter().flat_map(|p| p.workloads.iter().copied()));
        entries.controllers.sort_unstable();
        entries.controllers.dedup();
        entries.points.sort_by(|a, b| (&a.name, &a.chain, &a.hosts).cmp(&(&b.name, &b.chain, &b.hosts)));
        entries.dead_ends.sort();
        entries.dead_ends.dedup();
        entries.gaps.sort();
        entries
    }
}

fn port_words(port: &PortChoice) -> String {
    match port {
        PortChoice::All => "any".to_owned(),
        PortChoice::Number(number) | PortChoice::OfPods(number) => number.to_string(),
        PortChoice::Name(name) => name.clone(),
        PortChoice::Target(TargetPort::Number(number)) => format!("to {number}"),
        PortChoice::Target(TargetPort::Named(name)) => format!("to {name}"),
    }
}

/// `namespace/Kind/name` of an object that lives in a namespace; `default` where it names none.
pub(super) fn name_of(document: &Document) -> EndpointName {
    let origin = &document.origin;
    EndpointName {
        namespace: origin.home().to_owned(),
        kind: origin.kind.to_string(),
        name: origin.name.to_string(),
    }
}

/// The origin of an object that lives in a namespace, which is written out.
pub(super) fn origin_of(document: &Document) -> Origin {
    document.origin.at_home()
}

/// An annotation of an object.
pub(super) fn annotation<'a>(document: &'a Document, key: &str) -> Option<&'a str> {
    document.body.path(&["metadata", "annotations"])?.text_of(key)
}

/// A port number in a field; `None` where there is none or it is no port.
pub(super) fn port_in(node: &Node, field: &str) -> Option<u16> {
    node.get(field)?.int().and_then(|n| u16::try_from(n).ok()).filter(|n| *n > 0)
}

/// The texts of a list.
pub(super) fn texts(node: Option<&Node>) -> BTreeSet<String> {
    node.map_or(&[][..], Node::items).iter().filter_map(|item| Some(item.text()?.to_owned())).collect()
}
