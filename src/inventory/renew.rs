//! An inventory is brought up to date: namespaces in which something changed are read again, the others stand.
//!
//! Owners, pods, services and endpoints of a namespace come of its own objects and of those of the
//! cluster, so each namespace can be read alone. Where that does not hold (proxies whose configuration
//! was read belong to pods anywhere) or an object of the cluster changed, everything is read again.

use super::build;
use super::{Inventory, proxy};
use crate::model::{Changes, Document, Origin, Problem};
use std::collections::BTreeSet;

/// What had to be read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// These namespaces; none where nothing that changed says who exists.
    Namespaces(BTreeSet<String>),
    /// Everything.
    Everything,
}

impl Renewed {
    /// Whether all is as it was.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Renewed::Namespaces(names) if names.is_empty())
    }
}

/// Brings an inventory and its problems up to date; `documents` is what there is now.
pub fn renew(
    inventory: &mut Inventory,
    problems: &mut Vec<Problem>,
    documents: &[Document],
    changes: &Changes,
) -> Renewed {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for document in changes.all().filter(|document| matters(document, inventory)) {
        match home(&document.origin) {
            Some(name) if !crosses_namespaces(document) => drop(names.insert(name.to_owned())),
            _ => return everything(inventory, problems, documents),
        }
    }
    if names.is_empty() {
        return Renewed::Namespaces(names);
    }
    if documents.iter().any(|document| proxy::read(document).is_some()) {
        return everything(inventory, problems, documents);
    }
    let is_inside = |document: &&Document| home(&document.origin).is_none_or(|name| names.contains(name));
    let inside: Vec<&Document> = documents.iter().filter(is_inside).collect();
    let (fresh, found) = build::read_of(&inside);
    let own = |problem: &Problem| home(&problem.origin).is_some_and(|name| names.contains(name));
    problems.retain(|problem| !own(problem));
    problems.extend(found.into_iter().filter(own));
    inventory.take_over(fresh, &names);
    Renewed::Namespaces(names)
}

fn everything(inventory: &mut Inventory, problems: &mut Vec<Problem>, documents: &[Document]) -> Renewed {
    (*inventory, *problems) = build::read(documents);
    Renewed::Everything
}

/// Whether an object can make a difference to who exists. A policy does no more than mention its
/// namespace, which makes none where that was read itself.
fn matters(document: &Document, inventory: &Inventory) -> bool {
    let only_mentions = document.api_version == "networking.k8s.io/v1"
        && &*document.origin.kind == "NetworkPolicy"
        && inventory.namespaces.get(document.namespace()).is_some_and(|n| n.origin.is_some());
    !only_mentions
}

/// The namespace that an object belongs to; that of a Namespace is itself. `None` for objects of the
/// cluster.
fn home(origin: &Origin) -> Option<&str> {
    match (&*origin.kind, &*origin.namespace) {
        ("Namespace", _) => Some(&origin.name),
        (_, "") => None,
        (_, name) => Some(name),
    }
}

/// Whether an object in a namespace says something about others.
fn crosses_namespaces(document: &Document) -> bool {
    const KINDS: &[&str] = &["NetworkAttachmentDefinition", "UserDefinedNetwork"];
    KINDS.contains(&&*document.origin.kind) || proxy::read(document).is_some()
}

impl Inventory {
    /// Takes what another inventory says of some namespaces instead of what is known.
    fn take_over(&mut self, fresh: Inventory, names: &BTreeSet<String>) {
        let Inventory { mut namespaces, workloads, services, entries, service_accounts, .. } = fresh;
        for name in names {
            self.namespaces.remove(name);
            self.namespaces.extend(namespaces.remove_entry(name));
        }
        replace(&mut self.workloads, workloads, names, |workload| &workload.name.namespace);
        replace(&mut self.services, services, names, |service| &service.namespace);
        replace(&mut self.entries, entries, names, |entry| &entry.service.namespace);
        self.service_accounts.retain(|(namespace, _), _| !names.contains(namespace));
        let own = service_accounts.into_iter().filter(|((namespace, _), _)| names.contains(namespace));
        self.service_accounts.extend(own);
    }
}

/// Replaces what some namespaces hold in a list that is sorted by namespace first.
fn replace<T>(
    known: &mut Vec<T>,
    fresh: Vec<T>,
    names: &BTreeSet<String>,
    namespace: impl Fn(&T) -> &String,
) {
    let mut fresh = fresh.into_iter().filter(|one| names.contains(namespace(one))).peekable();
    for name in names {
        let first = known.partition_point(|one| namespace(one) < name);
        let behind = known.partition_point(|one| namespace(one) <= name);
        let own = std::iter::from_fn(|| fresh.next_if(|one| namespace(one) == name));
        known.splice(first..behind, own.collect::<Vec<_>>());
    }
}
