//! What selectors of rules match beside pods: network sets and host endpoints, by their addresses.
//!
//! Both are resolved here, so that a rule holds addresses: a host endpoint takes part in a rule
//! with its `expectedIPs` alone.

use super::place::Place;
use super::scope::{self, OF_ACCOUNT, OF_NAMESPACE};
use super::wire::{self, EndpointSpec, NetworkSetSpec, ProfileSpec};
use crate::model::{AddressSet, Document, Labels, Node, Problem, Selector, fact};
use std::collections::BTreeMap;

/// Addresses with labels.
#[derive(Debug)]
struct Known {
    labels: Labels,
    addresses: AddressSet,
    kind: KnownKind,
}

/// Whether ports of what has the addresses can have names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KnownKind {
    /// Network sets are addresses and nothing else.
    NetworkSet,
    /// Ports of host endpoints have names (`spec.ports`).
    HostEndpoint,
}

/// Everything beside pods that has labels.
#[derive(Debug, Default)]
pub struct KnownAddresses(Vec<Known>);

impl KnownAddresses {
    /// Reads network sets and host endpoints; the broken ones are problems.
    pub fn read(documents: &[&Document], all: &[Document]) -> (KnownAddresses, Vec<Problem>) {
        let (mut known, mut problems) = (KnownAddresses::default(), Vec::new());
        let profiles = profile_labels(documents);
        let namespaces: BTreeMap<&str, Labels> = all
            .iter()
            .filter(|d| &*d.origin.kind == "Namespace" && d.api_version == "v1")
            .map(|d| (&*d.origin.name, labels_of(&d.body)))
            .collect();
        for document in documents {
            let read = match &*document.origin.kind {
                "NetworkSet" | "GlobalNetworkSet" => network_set(document, &namespaces),
                "HostEndpoint" => host_endpoint(document, &profiles),
                _ => continue,
            };
            match read {
                Ok(one) => known.0.push(one),
                Err(problem) => problems.push(problem),
            }
        }
        (known, problems)
    }

    /// The addresses of everything that a selector matches.
    pub fn matching(&self, selector: &Selector) -> AddressSet {
        self.addresses(selector, |_| true)
    }

    /// The addresses of the host endpoints that a selector matches.
    pub fn matching_hosts(&self, selector: &Selector) -> AddressSet {
        self.addresses(selector, |known| known.kind == KnownKind::HostEndpoint)
    }

    fn addresses(&self, selector: &Selector, counts: impl Fn(&Known) -> bool) -> AddressSet {
        let chosen = self.0.iter().filter(|known| counts(known) && selector.matches(&known.labels));
        chosen.flat_map(|known| known.addresses.ranges().iter().copied()).collect()
    }
}

fn network_set(document: &Document, namespaces: &BTreeMap<&str, Labels>) -> Result<Known, Problem> {
    let NetworkSetSpec { nets } = wire::spec(document)?;
    let addresses = Place::spec(document).field("nets").networks(&nets.unwrap_or_default())?;
    let mut labels = labels_of(&document.body);
    if &*document.origin.kind == "NetworkSet" {
        let name = document.namespace();
        labels.insert(fact::NAMESPACE, name);
        let label = |key: &str| format!("{}{key}", fact::NAMESPACE_LABEL);
        for (key, value) in namespaces.get(name).into_iter().flatten() {
            labels.insert(label(key), value.clone());
        }
        labels.insert(label("kubernetes.io/metadata.name"), name);
    }
    Ok(Known { labels, addresses, kind: KnownKind::NetworkSet })
}

fn host_endpoint(document: &Document, profiles: &BTreeMap<&str, Labels>) -> Result<Known, Problem> {
    let EndpointSpec { expected_ips, profiles: own, orchestrator: _ } = wire::spec(document)?;
    let addresses = Place::spec(document).field("expectedIPs").networks(&expected_ips.unwrap_or_default())?;
    let mut labels = labels_of(&document.body);
    for profile in own.unwrap_or_default() {
        for (key, value) in profiles.get(profile.as_str()).into_iter().flatten() {
            labels.insert_if_absent(key, value);
        }
    }
    Ok(Known { labels, addresses, kind: KnownKind::HostEndpoint })
}

/// Labels that profiles give to their endpoints.
fn profile_labels<'a>(documents: &[&'a Document]) -> BTreeMap<&'a str, Labels> {
    let of_kind = documents.iter().filter(|document| &*document.origin.kind == "Profile");
    of_kind
        .map(|document| {
            let spec: ProfileSpec = wire::spec(document).unwrap_or_default();
            (&*document.origin.name, spec.labels_to_apply.unwrap_or_default().into_iter().collect())
        })
        .collect()
}

/// Own labels; those that only Calico may set are left out.
fn labels_of(object: &Node) -> Labels {
    let fields = object.path(&["metadata", "labels"]).map_or(&[][..], Node::fields);
    let reserved =
        |key: &str| key.starts_with(OF_NAMESPACE) || key.starts_with(OF_ACCOUNT) || key == scope::NAMESPACE;
    let own = fields.iter().filter(|(key, _)| !reserved(key));
    own.filter_map(|(key, node)| Some((key.clone(), node.text()?))).collect()
}
