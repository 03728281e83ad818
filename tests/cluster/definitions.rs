//! Definitions of the custom resources that are read, down to what the API server needs to keep them.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use watertight::analysis;

/// Groups that the API server brings along.
const BUILT_IN: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apps",
    "batch",
    "discovery.k8s.io",
    "extensions",
    "networking.k8s.io",
];

/// Kinds that belong to no namespace.
const OF_CLUSTER: &[&str] = &[
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
    "CiliumCIDRGroup",
    "CiliumClusterwideNetworkPolicy",
    "ClusterNetworkPolicy",
    "ClusterUserDefinedNetwork",
    "FelixConfiguration",
    "GatewayClass",
    "GlobalNetworkPolicy",
    "GlobalNetworkSet",
    "HostEndpoint",
    "IPPool",
    "Installation",
    "NetNamespace",
    "Network",
    "Profile",
    "StagedGlobalNetworkPolicy",
    "Tier",
];

/// How resources are called whose name is not what one would expect.
const PLURALS: &[(&str, &str)] = &[
    ("ExportedServices", "exportedservices"),
    ("Mesh", "meshes"),
    ("MultiNetworkPolicy", "multi-networkpolicies"),
    ("NetworkAttachmentDefinition", "network-attachment-definitions"),
    ("ProxyDefaults", "proxydefaults"),
    ("ServiceDefaults", "servicedefaults"),
    ("ServiceIntentions", "serviceintentions"),
];

/// A definition for each kind that the API server does not bring along, in every version that is read.
pub fn all() -> Vec<Value> {
    let mut kinds: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for wanted in analysis::kinds() {
        // What Calico stores is read where its own API server is not there, which another test shows.
        if !BUILT_IN.contains(&wanted.api.group) && wanted.api.group != "crd.projectcalico.org" {
            let versions = if wanted.versions.is_empty() { vec!["v1"] } else { wanted.versions };
            kinds.insert((wanted.api.group, wanted.api.kind), versions);
        }
    }
    kinds.into_iter().map(|((group, kind), versions)| definition(group, kind, &versions)).collect()
}

/// The definition of one kind, which keeps whatever it is given.
pub fn definition(group: &str, kind: &str, versions: &[&str]) -> Value {
    let plural = plural(kind);
    let version = |(number, name): (usize, &&str)| {
        json!({
            "name": name,
            "served": true,
            "storage": number == 0,
            "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"},
        },
        "spec": {
            "group": group,
            "scope": if OF_CLUSTER.contains(&kind) { "Cluster" } else { "Namespaced" },
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase()},
            "versions": versions.iter().enumerate().map(version).collect::<Vec<_>>(),
        },
    })
}

fn plural(kind: &str) -> String {
    let lower = kind.to_lowercase();
    match PLURALS.iter().find(|(name, _)| *name == kind) {
        Some((_, plural)) => (*plural).to_owned(),
        None if lower.ends_with("cy") || lower.ends_with("ry") => format!("{}ies", &lower[..lower.len() - 1]),
        None if lower.ends_with('s') => format!("{lower}es"),
        None => format!("{lower}s"),
    }
}
