//! Who stands behind the names that clusters call: services of the cluster, and proxies that were read.

use crate::model::proxy::Proxy;
use crate::model::{Document, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Names and virtual addresses.
#[derive(Debug, Default)]
pub struct Directory {
    services: BTreeSet<(String, String)>,
    virtual_addresses: BTreeMap<IpAddr, (String, String)>,
    proxies: Vec<Proxy>,
}

impl Directory {
    /// Reads services among the documents.
    pub fn new(documents: &[Document], proxies: Vec<Proxy>) -> Directory {
        let mut directory = Directory { proxies, ..Directory::default() };
        for document in documents {
            if &*document.origin.kind != "Service" || document.api_version != "v1" {
                continue;
            }
            let name = (document.namespace().to_owned(), document.origin.name.to_string());
            let spec = document.body.get("spec");
            let several = spec.map_or(&[][..], |spec| spec.items_of("clusterIPs"));
            let addresses = several.iter().chain(spec.and_then(|spec| spec.get("clusterIP")));
            let addresses = addresses.filter_map(|node: &Node| node.text()?.parse().ok());
            directory.virtual_addresses.extend(addresses.map(|address| (address, name.clone())));
            directory.services.insert(name);
        }
        directory
    }

    /// The service behind a virtual address.
    pub fn service_at(&self, address: IpAddr) -> Option<(&str, &str)> {
        self.virtual_addresses.get(&address).map(|(namespace, name)| (namespace.as_str(), name.as_str()))
    }

    /// The service that a name means to a proxy: `name`, `name.namespace`, `name.namespace.svc…`, and a
    /// pod of a headless service before those.
    pub fn service(&self, host: &str, caller: &Proxy) -> Option<(String, String)> {
        let parts: Vec<&str> = host.trim_end_matches('.').split('.').collect();
        let pair = |name: &str, namespace: &str| (namespace.to_owned(), name.to_owned());
        let mut meant = match parts.as_slice() {
            [name] => match &caller.pod {
                Some((namespace, _)) => vec![pair(name, namespace)],
                None => {
                    let namesakes = self.services.iter().filter(|(_, own)| own == name);
                    let namesakes: Vec<_> = namesakes.cloned().collect();
                    if namesakes.len() == 1 { namesakes } else { Vec::new() }
                }
            },
            [name, namespace] | [name, namespace, "svc", ..] | [_, name, namespace, "svc", ..] => {
                vec![pair(name, namespace)]
            }
            _ => Vec::new(),
        };
        meant.retain(|service| self.services.contains(service));
        meant.pop()
    }

    /// Keys of the proxies that a name means: their id, their cluster, or the first part of the name is
    /// one of them.
    pub fn proxies_named(&self, host: &str, caller: &str) -> Vec<String> {
        let host = host.trim_end_matches('.');
        let first = host.split('.').next().unwrap_or_default();
        let of = |names: &dyn Fn(&Proxy) -> &str| -> Vec<String> {
            let is_meant = |proxy: &&Proxy| [host, first].contains(&names(proxy)) && proxy.key != caller;
            self.proxies.iter().filter(is_meant).map(|proxy| proxy.key.clone()).collect()
        };
        let by_id = of(&|proxy| &proxy.name);
        let mut keys = if by_id.is_empty() { of(&|proxy| &proxy.namespace) } else { by_id };
        keys.sort();
        keys.dedup();
        keys
    }
}
