//! What one object must know of the others: groups of blocks, rules for the DNS proxy, demands on
//! all peers, nodes, and whether the API server's addresses are there.

use super::super::shapes::labels;
use super::super::{Direction, Namespaces, Selection, ServiceChoice, Services};
use super::lower::{Context, Learning};
use super::peers::{CidrGroups, block};
use super::wire::{Effect, PortRule, field};
use crate::model::{AddressSet, Document, Labels, Node, Origin, Problem, Requirement};
use crate::policy::Dataplane;
use crate::policy::kubernetes::wire::refusal;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use std::collections::BTreeSet;

/// What the objects say together.
#[derive(Default)]
pub struct Facts {
    /// CiliumCIDRGroups.
    pub groups: CidrGroups,
    /// Whether the service `default/kubernetes` and its endpoints are among the documents.
    pub api_server_is_known: bool,
    /// Services, and what has endpoints of its own.
    services: Vec<Service>,
    backed: BTreeSet<(String, String)>,
    /// Nodes with their labels.
    pub nodes: Vec<(String, Labels)>,
    /// Subjects whose DNS answers pass the DNS proxy.
    resolved: Vec<Selection>,
    /// `fromRequires` and `toRequires`, of versions that have them.
    pub demands: Vec<Demand>,
}

struct Service {
    namespace: String,
    name: String,
    labels: Labels,
    has_selector: bool,
}

/// What some subjects ask of all endpoints that rules let in or out.
pub struct Demand {
    /// In which direction.
    pub direction: Direction,
    /// Of which lists.
    pub effect: Effect,
    /// Whose peers.
    pub subject: Selection,
    /// What they must be.
    pub peer: Selection,
}

/// Whether this version knows `fromRequires` and `toRequires`, which 1.19 removed.
pub fn has_requires(dataplane: &Dataplane) -> bool {
    dataplane.version.is_some_and(|version| version < (1, 19))
}

impl Facts {
    /// Looks through all documents; groups that are broken are problems.
    pub fn collect(
        documents: &[Document],
        policies: &[&Document],
        dataplane: &Dataplane,
    ) -> (Facts, Vec<Problem>) {
        let mut facts = Facts::default();
        let mut problems = Vec::new();
        for document in documents {
            let Origin { kind, name, .. } = &document.origin;
            let namespace = document.namespace();
            let labels = || labels(&document.body);
            match &**kind {
                "CiliumCIDRGroup" => match group(document) {
                    Ok(set) => drop(facts.groups.insert(name.to_string(), (labels(), set))),
                    Err(problem) => problems.push(problem),
                },
                "Node" if document.api_version == "v1" => facts.nodes.push((name.to_string(), labels())),
                "Service" => facts.services.push(Service {
                    namespace: namespace.to_owned(),
                    name: name.to_string(),
                    labels: labels(),
                    has_selector: document
                        .body
                        .path(&["spec", "selector"])
                        .is_some_and(|selector| !selector.fields().is_empty()),
                }),
                "Endpoints" if !document.body.items_of("subsets").is_empty() => {
                    facts.backed.insert((namespace.to_owned(), name.to_string()));
                }
                "EndpointSlice" if !document.body.items_of("endpoints").is_empty() => {
                    let of = labels().get("kubernetes.io/service-name").map(ToString::to_string);
                    facts.backed.extend(of.map(|of| (namespace.to_owned(), of)));
                }
                _ => {}
            }
        }
        let api_server = ("default".to_owned(), "kubernetes".to_owned());
        let declared =
            |service: &Service| (service.namespace == api_server.0) && service.name == api_server.1;
        facts.api_server_is_known = facts.services.iter().any(declared) && facts.backed.contains(&api_server);
        for document in policies {
            facts.add(document, dataplane);
        }
        (facts, problems)
    }

    /// What a policy says to others; one that is broken says nothing.
    fn add(&mut self, document: &Document, dataplane: &Dataplane) {
        let nothing = Facts::default();
        let context = Context::new(document, dataplane, &nothing);
        let Ok(specs) = super::wire::specs(document, &context.origin) else { return };
        let old = has_requires(dataplane);
        let (mut resolved, mut demands) = (Vec::new(), Vec::new());
        for spec in &specs {
            let Some(Ok(subject)) = spec.endpoints.clone().map(|selector| context.subject(selector, 0))
            else {
                continue;
            };
            for entry in &spec.entries {
                let ports: Vec<PortRule> =
                    field(entry.node, "toPorts", &context.origin).ok().flatten().unwrap_or_default();
                let about_names = |port: &PortRule| {
                    port.rules
                        .as_ref()
                        .is_some_and(|rules| rules.dns.as_ref().is_some_and(|dns| !dns.is_empty()))
                };
                if entry.effect == Effect::Allows && ports.iter().any(about_names) {
                    resolved.push(subject.clone());
                }
                let asked: Vec<LabelSelector> = match old {
                    true => {
                        let name = format!("{}Requires", entry.word());
                        field(entry.node, &name, &context.origin).ok().flatten().unwrap_or_default()
                    }
                    false => Vec::new(),
                };
                for selector in asked {
                    let Ok(terms) = context.terms(selector, 0) else { continue };
                    let (peer, _) = terms.peers(&context.scope, context.cluster());
                    let (direction, effect, subject) = (entry.direction, entry.effect, subject.clone());
                    demands.push(Demand { direction, effect, subject, peer });
                }
            }
        }
        self.resolved.extend(resolved);
        self.demands.extend(demands);
    }

    /// Whether the agent finds endpoints or a selector for services; in old versions a selector is
    /// passed over.
    pub fn leads_somewhere(&self, services: &Services, old: bool) -> bool {
        let Services { namespace, chosen } = services;
        self.services.iter().any(|service| {
            let fits = match chosen {
                ServiceChoice::Named(name) => *name == service.name,
                ServiceChoice::Labelled(labels) => labels.matches(&service.labels),
                ServiceChoice::Entry(_) | ServiceChoice::Besides(_) => false,
            };
            let backed = || self.backed.contains(&(service.namespace.clone(), service.name.clone()));
            let here = namespace.as_ref().is_none_or(|own| *own == service.namespace);
            here && fits && if service.has_selector { !old } else { backed() }
        })
    }

    /// Whether names that these subjects look up become known to the agent.
    pub fn learning(&self, subject: &Selection) -> Learning {
        let best = self.resolved.iter().map(|other| relation(other, subject)).max();
        match best {
            Some(Relation::Covers) => Learning::Certain,
            Some(Relation::MayOverlap) => Learning::Possible,
            Some(Relation::Disjoint) | None => Learning::Nothing,
        }
    }
}

/// How two selections stand to each other, as far as their text tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// Nobody is in both.
    Disjoint,
    /// Somebody may be.
    MayOverlap,
    /// Everybody of the second is in the first.
    Covers,
}

/// How `wide` stands to `narrow`.
pub fn relation(wide: &Selection, narrow: &Selection) -> Relation {
    if wide.population != narrow.population {
        return Relation::Disjoint;
    }
    let namespaces = match (&wide.namespaces, &narrow.namespaces) {
        (a, b) if a == b => Relation::Covers,
        (Namespaces::Matching(selector), _) if selector.is_everything() => Relation::Covers,
        (Namespaces::Named(_), Namespaces::Named(_)) => Relation::Disjoint,
        _ => Relation::MayOverlap,
    };
    let (all, own) = (&wide.endpoints.requirements, &narrow.endpoints.requirements);
    let apart = |a: &Requirement, b: &Requirement| match (a, b) {
        (Requirement::In(key, values), Requirement::In(other, more)) => {
            key == other && !values.iter().any(|value| more.contains(value))
        }
        _ => false,
    };
    let endpoints = if all.iter().all(|requirement| own.contains(requirement)) {
        Relation::Covers
    } else if all.iter().any(|a| own.iter().any(|b| apart(a, b))) {
        Relation::Disjoint
    } else {
        Relation::MayOverlap
    };
    namespaces.min(endpoints)
}

fn group(document: &Document) -> Result<AddressSet, Problem> {
    let blocks = document.body.path(&["spec", "externalCIDRs"]).map_or(&[][..], Node::items);
    let read = |node: &Node| {
        node.text().and_then(block).ok_or_else(|| {
            let hint = "write an address and a prefix length: 203.0.113.0/24";
            refusal(&document.origin, node.line, "externalCIDRs holds something that is no CIDR", hint)
        })
    };
    blocks.iter().map(read).collect()
}
