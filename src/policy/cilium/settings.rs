//! The settings of the agent: the ConfigMap `cilium-config`, and what follows from it for everybody's
//! policies.

use super::super::{Dataplane, DataplaneKind, image};
use crate::model::{Document, Node, Origin, Value};
use std::collections::BTreeMap;

/// The ConfigMap that the agents read.
pub const CONFIG_MAP: &str = "cilium-config";

/// Kinds that the agent enforces as long as nothing switches them off, with the switch and its default.
const SWITCHES: &[(&str, &str, &str)] = &[
    ("NetworkPolicy", "enable-k8s-networkpolicy", "true"),
    ("CiliumNetworkPolicy", "enable-cilium-network-policy", "true"),
    ("CiliumClusterwideNetworkPolicy", "enable-cilium-clusterwide-network-policy", "true"),
    ("ClusterNetworkPolicy", "enable-k8s-cluster-network-policy", "false"),
];

/// Keys that decide about policies; a CiliumNodeConfig that sets one makes nodes differ.
pub const ABOUT_POLICIES: &[&str] = &[
    "allow-localhost",
    "enable-cilium-clusterwide-network-policy",
    "enable-cilium-network-policy",
    "enable-host-firewall",
    "enable-icmp-rules",
    "enable-k8s-cluster-network-policy",
    "enable-k8s-networkpolicy",
    "enable-l7-proxy",
    "enable-node-selector-labels",
    "enable-non-default-deny-policies",
    "enable-policy",
    "enable-sctp",
    "labels",
    "policy-audit-mode",
    "policy-cidr-match-mode",
    "policy-default-local-cluster",
];

/// Other keys that something is drawn from.
const ABOUT_OTHERS: &[&str] = &[
    "cluster-name",
    "enable-ipv4",
    "enable-ipv6",
    "enable-extended-ip-protocols",
    "enable-ipsec",
    "enable-wireguard",
    "encrypt-node",
    "mesh-auth-enabled",
    "mesh-auth-mutual-enabled",
];

/// Every key that something is drawn from.
pub fn all() -> impl Iterator<Item = &'static str> {
    ABOUT_POLICIES.iter().chain(ABOUT_OTHERS).copied()
}

/// Whether a dataplane is made of Cilium.
pub fn is_cilium(kind: DataplaneKind) -> bool {
    matches!(kind, DataplaneKind::Cilium | DataplaneKind::GkeDataplaneV2)
}

/// The settings by their own names, as each ConfigMap `cilium-config` of one namespace has them, that of
/// `kube-system` before those of others; the cluster has one of these. None where there is none.
pub fn settings(documents: &[Document]) -> Vec<(Origin, BTreeMap<String, String>)> {
    let text = |node: &Node| match &node.value {
        Value::Text(text) => Some(text.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    };
    let of_one = |document: &Document| {
        let data = document.body.get("data").map_or(&[][..], Node::fields);
        let settings = data.iter().filter_map(|(key, node)| Some((key.to_string(), text(node)?))).collect();
        (document.origin.clone(), settings)
    };
    let Some(first) = config_map(documents) else { return Vec::new() };
    let mut maps: Vec<&Document> =
        documents.iter().filter(is_config_map).filter(|d| d.namespace() == first.namespace()).collect();
    maps.sort_by_key(|document| &document.origin);
    maps.into_iter().map(of_one).collect()
}

/// The object that the settings come from, the first of several.
pub fn config_map(documents: &[Document]) -> Option<&Document> {
    documents
        .iter()
        .filter(is_config_map)
        .min_by_key(|document| (document.namespace() != "kube-system", &document.origin))
}

fn is_config_map(document: &&Document) -> bool {
    &*document.origin.kind == "ConfigMap" && &*document.origin.name == CONFIG_MAP
}

/// The agent's version.
pub fn version(documents: &[Document]) -> Option<(u32, u32)> {
    image::version(documents, &["cilium"], &[""])
}

/// Draws what follows from the settings: which kinds count, what address blocks match, and whether
/// the own node is exempt.
pub fn apply(dataplane: &mut Dataplane) {
    let modes: Vec<String> = dataplane
        .setting("policy-cidr-match-mode", "")
        .split([',', ' '])
        .map(|mode| mode.trim_matches(['[', ']', '"']).to_owned())
        .collect();
    dataplane.ipblock_matches_nodes = modes.iter().any(|mode| mode == "nodes");
    dataplane.ipblock_matches_pods = modes.iter().any(|mode| mode == "pods");
    dataplane.local_node_exempt = dataplane.setting("allow-localhost", "auto") != "policy";
    let mut ignored = BTreeMap::new();
    for (kind, switch, default) in SWITCHES {
        if !is_on(dataplane, switch, default) {
            ignored.insert((*kind).to_owned(), format!("{switch} is false"));
        }
    }
    let nothing_is_enforced = [
        (dataplane.setting("enable-policy", "default") == "never", "enable-policy is never"),
        (is_on(dataplane, "policy-audit-mode", "false"), "policy-audit-mode is true: policies only report"),
    ];
    for (_, why) in nothing_is_enforced.into_iter().filter(|(so, _)| *so) {
        ignored.extend(SWITCHES.iter().map(|(kind, _, _)| ((*kind).to_owned(), why.to_owned())));
    }
    dataplane.ignored_kinds = ignored;
}

/// Whether a switch is on; the agent reads truth values as Go does.
pub fn is_on(dataplane: &Dataplane, key: &str, default: &str) -> bool {
    matches!(dataplane.setting(key, default), "true" | "True" | "TRUE" | "t" | "T" | "1")
}

/// Whether anything is known of the configuration.
pub fn are_known(dataplane: &Dataplane) -> bool {
    !dataplane.settings.is_empty()
}

/// The version since which selectors mean the own cluster where the settings do not say otherwise.
const OWN_CLUSTER: (u32, u32) = (1, 19);

/// Whether selectors that name no cluster mean pods of the own one and nothing else; `None` where
/// neither the settings nor the version tell.
pub fn means_own_cluster(dataplane: &Dataplane) -> Option<bool> {
    const KEY: &str = "policy-default-local-cluster";
    if dataplane.settings.contains_key(KEY) {
        return Some(is_on(dataplane, KEY, "true"));
    }
    dataplane.version.map(|version| version >= OWN_CLUSTER)
}

/// Whether identities of nodes have the labels of the nodes, and that of the cluster.
pub fn nodes_have_labels(dataplane: &Dataplane) -> bool {
    is_on(dataplane, "enable-node-selector-labels", "false")
}

/// Whether the agent has the address family of `world-ipv4` or `world-ipv6`; `None` where nothing
/// is known of the configuration.
pub fn family(dataplane: &Dataplane, world: &str) -> Option<bool> {
    let key = if world == "world-ipv4" { "enable-ipv4" } else { "enable-ipv6" };
    are_known(dataplane).then(|| is_on(dataplane, key, "true"))
}
