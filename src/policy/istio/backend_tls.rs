//! BackendTLSPolicy of the Gateway API: istiod makes a DestinationRule of it that asks for TLS
//! (`destination_rule.go`), for sidecars as for gateways.

use super::destination_rule::{DestinationRule, Settings, Tls, TrafficPolicy, expanded, synthesized};
use super::mesh_config::MeshConfig;
use crate::model::{Document, Node};

/// The rules that stand for all policies.
pub fn read(documents: &[Document], config: &MeshConfig) -> Vec<DestinationRule> {
    let of_group = |d: &&Document| {
        &*d.origin.kind == "BackendTLSPolicy" && d.api_version.starts_with("gateway.networking.k8s.io/")
    };
    documents.iter().filter(of_group).flat_map(|policy| of_policy(policy, documents, config)).collect()
}

fn of_policy(policy: &Document, documents: &[Document], config: &MeshConfig) -> Vec<DestinationRule> {
    let origin = super::place(policy);
    let namespace = origin.namespace.to_string();
    let targets = policy.body.path(&["spec", "targetRefs"]).map_or(&[][..], Node::items);
    let mut rules = Vec::new();
    for target in targets {
        let name = target.text_of("name").unwrap_or_default();
        let kind = target.text_of("kind").unwrap_or("Service");
        let there = |d: &&Document| {
            &*d.origin.kind == kind && &*d.origin.name == name && *super::place(d).namespace == *namespace
        };
        let Some(object) = documents.iter().find(there) else { continue };
        let spec = object.body.get("spec").unwrap_or(&object.body);
        let hosts: Vec<String> = match kind {
            "Service" => vec![expanded(name, &namespace)],
            "ServiceEntry" => {
                spec.items_of("hosts").iter().filter_map(|h| h.text().map(str::to_owned)).collect()
            }
            _ => continue,
        };
        let mut tls = TrafficPolicy::default();
        match target.text_of("sectionName").filter(|section| !section.is_empty()) {
            None => tls.top.tls = Some(Tls::Own),
            Some(section) => {
                let named = spec.items_of("ports").iter().find(|p| p.text_of("name") == Some(section));
                let number = named.and_then(|port| port.get("port").or(port.get("number"))?.int());
                let Some(number) = number.and_then(|n| u16::try_from(n).ok()) else { continue };
                tls.ports.insert(number, Settings { tls: Some(Tls::Own), balancing: None });
            }
        }
        rules.extend(hosts.into_iter().map(|host| synthesized(origin.clone(), host, tls.clone(), config)));
    }
    rules
}
