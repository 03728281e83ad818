//! Networks beside that of the cluster: who is attached to them, and with which addresses.
//!
//! Annotations are those of the Network Plumbing Working Group (de-facto standard, v1).

use super::Inventory;
use crate::model::{Document, Node};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Namespace and name of a NetworkAttachmentDefinition.
pub type AttachmentName = (String, String);

/// Attachments with their addresses, as far as they are known.
pub type Attachments = BTreeMap<AttachmentName, BTreeSet<IpAddr>>;

/// Which attachments a pod asks for: `k8s.v1.cni.cncf.io/networks`.
const REQUESTED: &str = "k8s.v1.cni.cncf.io/networks";
/// Which it got: `k8s.v1.cni.cncf.io/network-status`.
const STATUS: &str = "k8s.v1.cni.cncf.io/network-status";

/// Which network stands behind an attachment.
#[derive(Clone, Debug, Default)]
pub struct Definitions {
    /// Names of networks, by the definition that leads to them.
    by_definition: BTreeMap<AttachmentName, String>,
    /// Secondary networks for several namespaces; each has a definition of its name there.
    of_cluster: BTreeSet<String>,
}

impl Definitions {
    /// Notes what a document defines, if it is a definition of a secondary network.
    pub(super) fn add(&mut self, document: &Document) {
        const KINDS: [&str; 3] =
            ["NetworkAttachmentDefinition", "UserDefinedNetwork", "ClusterUserDefinedNetwork"];
        if !KINDS.contains(&&*document.origin.kind) {
            return;
        }
        let name = document.origin.name.to_string();
        let key = (document.namespace().to_owned(), name.clone());
        let role = |path: &[&str]| {
            let layers = ["layer2", "layer3", "localnet"];
            let spec = document.body.path(path)?;
            layers.iter().find_map(|layer| spec.get(layer)?.text_of("role"))
        };
        match &*document.origin.kind {
            "NetworkAttachmentDefinition" => {
                let config = document.body.path(&["spec", "config"]).and_then(Node::text).unwrap_or_default();
                self.by_definition.insert(key, network_name(config).unwrap_or(name));
            }
            "UserDefinedNetwork" if role(&["spec"]) == Some("Secondary") => {
                self.by_definition.insert(key.clone(), format!("{}/{}", key.0, key.1));
            }
            "ClusterUserDefinedNetwork" if role(&["spec", "network"]) == Some("Secondary") => {
                self.of_cluster.insert(name);
            }
            _ => {}
        }
    }

    /// The network behind an attachment; one that nobody defines is a network of its own.
    pub fn network(&self, attachment: &AttachmentName) -> String {
        let (namespace, name) = attachment;
        match self.by_definition.get(attachment) {
            Some(network) => network.clone(),
            None if self.of_cluster.contains(name) => name.clone(),
            None => format!("{namespace}/{name}"),
        }
    }
}

impl Inventory {
    /// Names of the networks beside that of the cluster to which somebody is attached, sorted.
    pub fn secondary_networks(&self) -> BTreeSet<String> {
        let variants = self.workloads.iter().flat_map(|workload| &workload.variants);
        let attachments = variants.flat_map(|variant| variant.attachments.keys());
        attachments.map(|attachment| self.definitions.network(attachment)).collect()
    }

    /// Who is on a network beside that of the cluster, with the addresses there.
    pub fn on_network(&self, network: &str) -> Inventory {
        let (namespaces, unseen) = (self.namespaces.clone(), self.unseen.clone());
        let mut members = Inventory { namespaces, unseen, ..Inventory::default() };
        members.service_accounts.clone_from(&self.service_accounts);
        for workload in &self.workloads {
            let mut workload = workload.clone();
            workload.variants.retain_mut(|variant| {
                let here = variant.attachments.iter();
                let here = here.filter(|(name, _)| self.definitions.network(name) == network);
                let here: Vec<&BTreeSet<IpAddr>> = here.map(|(_, addresses)| addresses).collect();
                let attached = !here.is_empty();
                variant.addresses = here.into_iter().flatten().copied().collect();
                variant.network = super::Network::Pod;
                attached
            });
            if !workload.variants.is_empty() {
                members.workloads.push(workload);
            }
        }
        members
    }
}

/// The attachments of a pod or template in a namespace.
pub(super) fn of_pod(namespace: &str, object: &Node) -> Attachments {
    let annotation = |key: &str| object.path(&["metadata", "annotations"])?.text_of(key);
    let mut attachments =
        annotation(REQUESTED).map_or_else(Attachments::new, |text| requested(namespace, text));
    let status: Vec<Value> =
        annotation(STATUS).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    for entry in &status {
        let name = entry.get("name").and_then(Value::as_str).map(|name| qualified(namespace, name));
        if let Some(known) = name.and_then(|name| attachments.get_mut(&name)) {
            known.extend(addresses(entry));
        }
    }
    attachments
}

/// The annotation is a list of names, or JSON with a record for each attachment.
fn requested(namespace: &str, text: &str) -> Attachments {
    if !text.trim_start().starts_with('[') {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        return names.map(|name| (qualified(namespace, name), BTreeSet::new())).collect();
    }
    let entries: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
    let one = |entry: &Value| {
        let name = entry.get("name")?.as_str()?.to_owned();
        let own = entry.get("namespace").and_then(Value::as_str).unwrap_or(namespace).to_owned();
        Some(((own, name), addresses(entry)))
    };
    entries.iter().filter_map(one).collect()
}

/// `namespace/name@interface`, of which only the name must be there.
pub(super) fn qualified(namespace: &str, text: &str) -> AttachmentName {
    let name = text.split('@').next().unwrap_or_default();
    match name.split_once('/') {
        Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
        None => (namespace.to_owned(), name.to_owned()),
    }
}

/// `ips`, with or without a prefix length.
fn addresses(entry: &Value) -> BTreeSet<IpAddr> {
    let list = entry.get("ips").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let one = |item: &Value| item.as_str()?.split('/').next()?.parse().ok();
    list.iter().filter_map(one).collect()
}

/// `name` of a CNI configuration. Where the text is no JSON by the letter (a comma too many is
/// frequent), the first field of that name counts.
fn network_name(config: &str) -> Option<String> {
    if let Ok(config) = serde_json::from_str::<Value>(config) {
        return config.get("name")?.as_str().map(str::to_owned);
    }
    let (_, rest) = config.split_once("\"name\"")?;
    let (_, rest) = rest.split_once(':')?.1.split_once('"')?;
    rest.split_once('"').map(|(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_are_names_or_records() {
        let names = requested("shop", "a, data/b@net2");
        assert!(names.contains_key(&("shop".into(), "a".into())));
        assert!(names.contains_key(&("data".into(), "b".into())));
        let records = requested("shop", r#"[{"name": "a", "namespace": "data", "ips": ["2.2.5.1/24"]}]"#);
        assert!(records[&("data".into(), "a".into())].contains(&"2.2.5.1".parse().expect("an address")));
    }

    #[test]
    fn a_comma_too_many_does_not_lose_the_name() {
        assert_eq!(network_name(r#"{"cniVersion": "0.3.1", "name": "l2", }"#).as_deref(), Some("l2"));
        assert_eq!(network_name(r#"{"plugins": [{"name": "x"}], "name": "l3"}"#).as_deref(), Some("l3"));
        assert_eq!(network_name("{}"), None);
    }
}
