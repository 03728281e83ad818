//! The permissions that reading takes, as a ClusterRole: the kinds that are read and no others.

use crate::model::{Objects, WantedKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// How resources are called whose name is not the plural of the kind; discovery tells otherwise.
const IRREGULAR: &[(&str, &str)] = &[
    ("Endpoints", "endpoints"),
    ("ExportedServices", "exportedservices"),
    ("MultiNetworkPolicy", "multi-networkpolicies"),
    ("NetworkAttachmentDefinition", "network-attachment-definitions"),
    ("ProxyDefaults", "proxydefaults"),
    ("ServiceDefaults", "servicedefaults"),
    ("ServiceIntentions", "serviceintentions"),
];

/// The manifest of the smallest ClusterRole with which everything is read, and a binding to bind it.
pub fn role(kinds: &[WantedKind]) -> String {
    let mut groups: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut named: BTreeMap<(&str, String), &[&str]> = BTreeMap::new();
    for WantedKind { api, versions: _ } in kinds {
        match api.objects {
            Objects::All => drop(groups.entry(api.group).or_default().insert(resource(api.kind))),
            Objects::Named(names) => drop(named.insert((api.group, resource(api.kind)), names)),
        }
    }
    let mut text = HEAD.to_owned();
    for (group, resources) in groups {
        let _ = writeln!(text, "- apiGroups: [{group:?}]\n  resources:");
        for resource in resources {
            let _ = writeln!(text, "  - {resource}");
        }
        text.push_str("  verbs: [list, watch]\n");
    }
    for ((group, resource), names) in named {
        let _ = writeln!(text, "- apiGroups: [{group:?}]\n  resources: [{resource}]\n  resourceNames:");
        for name in names {
            let _ = writeln!(text, "  - {name}");
        }
        text.push_str("  verbs: [list, watch]\n");
    }
    text + BINDING
}

const HEAD: &str = "\
# What watertight reads of a cluster: no Secrets, and no ConfigMaps but those of dataplanes and meshes.
# Groups that a cluster does not serve do no harm.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: watertight
rules:
";
const BINDING: &str = "\
---
apiVersion: v1
kind: Namespace
metadata:
  name: watertight
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: watertight
  namespace: watertight
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: watertight
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: watertight
subjects:
- kind: ServiceAccount
  name: watertight
  namespace: watertight
";

/// The plural that the API server makes of a kind where nobody says otherwise.
pub(super) fn resource(kind: &str) -> String {
    if let Some((_, plural)) = IRREGULAR.iter().find(|(own, _)| *own == kind) {
        return (*plural).to_owned();
    }
    let lower = kind.to_lowercase();
    match lower.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        Some(stem) => format!("{stem}ies"),
        None if lower.ends_with(['s', 'x']) || lower.ends_with("ch") || lower.ends_with("sh") => {
            format!("{lower}es")
        }
        None => format!("{lower}s"),
    }
}
