//! What differs between dataplanes, as values that engines and the graph read.

use std::collections::BTreeMap;

/// The behaviour of whatever enforces the policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataplane {
    /// Which one.
    pub kind: DataplaneKind,
    /// Major and minor version, where it is known; engines model the newest otherwise.
    pub version: Option<(u32, u32)>,
    /// Whether address blocks match pods by their addresses.
    pub ipblock_matches_pods: bool,
    /// Whether address blocks match nodes and what runs on their network.
    pub ipblock_matches_nodes: bool,
    /// Whether traffic from a node to its own pods is always admitted.
    pub local_node_exempt: bool,
    /// Settings of the dataplane by their own names (`cilium-config`, FelixConfiguration); absent
    /// ones have the documented default.
    pub settings: BTreeMap<String, String>,
}

/// Dataplanes that enforce different sets of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DataplaneKind {
    /// One that follows the NetworkPolicy and ClusterNetworkPolicy specifications and knows no other language.
    Kubernetes,
    /// Calico, also as the policy part of Canal and of cloud networks.
    Calico,
    /// Cilium.
    Cilium,
    /// OVN-Kubernetes (OpenShift).
    OvnKubernetes,
    /// Nothing enforces: flannel, kubenet, bridge and the like.
    None,
}

/// Names as `--engine` and reports write them.
const NAMES: &[(DataplaneKind, &str)] = &[
    (DataplaneKind::Kubernetes, "kubernetes"),
    (DataplaneKind::Calico, "calico"),
    (DataplaneKind::Cilium, "cilium"),
    (DataplaneKind::OvnKubernetes, "ovn-kubernetes"),
    (DataplaneKind::None, "none"),
];

impl DataplaneKind {
    /// All of them, in the order of reports.
    pub fn all() -> impl Iterator<Item = DataplaneKind> {
        NAMES.iter().map(|(kind, _)| *kind)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<DataplaneKind> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

impl Dataplane {
    /// The documented behaviour of a kind, nothing configured (`docs/semantics`, each page).
    pub fn new(kind: DataplaneKind) -> Dataplane {
        let identities = kind == DataplaneKind::Cilium;
        Dataplane {
            kind,
            version: None,
            ipblock_matches_pods: !identities,
            ipblock_matches_nodes: !identities,
            local_node_exempt: true,
            settings: BTreeMap::new(),
        }
    }

    /// The reading of the NetworkPolicy reference suite, shared by most implementations.
    pub fn kubernetes() -> Dataplane {
        Dataplane::new(DataplaneKind::Kubernetes)
    }

    /// A setting, or its documented default.
    pub fn setting<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.settings.get(key).map_or(default, String::as_str)
    }
}
