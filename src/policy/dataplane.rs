//! What differs between dataplanes, as values that engines and the graph read.

use super::{antrea, calico, cilium};
use crate::model::{Bend, Gap, NodeKind, Origin};
use std::collections::BTreeMap;

/// The behaviour of whatever enforces the policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataplane {
    /// Which one.
    pub kind: DataplaneKind,
    /// How that is known.
    pub found: Found,
    /// Major and minor version, where it is known; engines model the newest otherwise.
    pub version: Option<(u32, u32)>,
    /// Whether address blocks match pods by their addresses.
    pub ipblock_matches_pods: bool,
    /// Whether address blocks match nodes and what runs on their network.
    pub ipblock_matches_nodes: bool,
    /// Whether traffic from a node to its own pods is always admitted.
    pub local_node_exempt: bool,
    /// Whether rules of a NetworkPolicy count for a direction that its `policyTypes` leave out.
    pub rules_count_unlisted: bool,
    /// Settings of the dataplane by their own names (`cilium-config`, FelixConfiguration); absent
    /// ones have the documented default.
    pub settings: BTreeMap<String, String>,
    /// Kinds of policies that a setting switches off, and which one.
    pub ignored_kinds: BTreeMap<String, String>,
    /// Where several objects of one name say other things of the settings: how it would be by each, which
    /// gives what is allowed; the settings above are then those that all of them agree on.
    pub either: Vec<(Origin, Dataplane)>,
}

/// How pods came to be and what runs them, as far as it decides whether policies count for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Standing {
    /// What runs them.
    pub runs_on: NodeKind,
    /// Who made them.
    pub made: Made,
}

/// Who made pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Made {
    /// A controller, which owns them; or it makes no difference.
    #[default]
    ByOwner,
    /// Somebody made the pod itself: it has no `metadata.ownerReferences`.
    Alone,
}

/// How it is known which dataplane enforces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The user said so.
    Chosen,
    /// It is among what runs, or the cluster's configuration names it.
    Running(Origin),
    /// Only objects in its language suggest it.
    Suggested(Origin),
    /// Nothing tells.
    Assumed,
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
    /// The dataplane of GKE that is made of Cilium: no namespaced Cilium policies.
    GkeDataplaneV2,
    /// The policy agent of the AWS VPC CNI.
    AwsVpcCni,
    /// Antrea.
    Antrea,
    /// One that enforces NetworkPolicy and nothing else: Azure NPM, kube-router, Weave, OpenShift SDN.
    NetworkPolicyOnly,
    /// Nothing enforces: flannel, kubenet, bridge and the like.
    None,
}

/// Names as `--engine` and reports write them.
const NAMES: &[(DataplaneKind, &str)] = &[
    (DataplaneKind::Kubernetes, "kubernetes"),
    (DataplaneKind::Calico, "calico"),
    (DataplaneKind::Cilium, "cilium"),
    (DataplaneKind::OvnKubernetes, "ovn-kubernetes"),
    (DataplaneKind::GkeDataplaneV2, "gke-dataplane-v2"),
    (DataplaneKind::AwsVpcCni, "aws-vpc-cni"),
    (DataplaneKind::Antrea, "antrea"),
    (DataplaneKind::NetworkPolicyOnly, "network-policy-only"),
    (DataplaneKind::None, "none"),
];

impl DataplaneKind {
    /// Those that enforce NetworkPolicy.
    pub const ENFORCE_NETWORK_POLICY: &[DataplaneKind] = &[
        DataplaneKind::Kubernetes,
        DataplaneKind::Calico,
        DataplaneKind::Cilium,
        DataplaneKind::OvnKubernetes,
        DataplaneKind::GkeDataplaneV2,
        DataplaneKind::AwsVpcCni,
        DataplaneKind::Antrea,
        DataplaneKind::NetworkPolicyOnly,
    ];

    /// All of them: what a mesh enforces does not depend on the network below.
    pub const ANY: &[DataplaneKind] = &[
        DataplaneKind::Kubernetes,
        DataplaneKind::Calico,
        DataplaneKind::Cilium,
        DataplaneKind::OvnKubernetes,
        DataplaneKind::GkeDataplaneV2,
        DataplaneKind::AwsVpcCni,
        DataplaneKind::Antrea,
        DataplaneKind::NetworkPolicyOnly,
        DataplaneKind::None,
    ];

    /// Those that `--portability` compares with.
    pub const COMPARED: &[DataplaneKind] = &[
        DataplaneKind::Kubernetes,
        DataplaneKind::Calico,
        DataplaneKind::Cilium,
        DataplaneKind::OvnKubernetes,
        DataplaneKind::AwsVpcCni,
    ];

    /// All of them, in the order of reports.
    pub fn all() -> impl Iterator<Item = DataplaneKind> {
        NAMES.iter().map(|(kind, _)| *kind)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// The settings that anything is drawn from, by the dataplane's own names.
    pub fn settings(self) -> Vec<&'static str> {
        match self {
            DataplaneKind::Cilium | DataplaneKind::GkeDataplaneV2 => cilium::settings::all().collect(),
            DataplaneKind::Calico => calico::SETTINGS.to_vec(),
            DataplaneKind::Antrea => antrea::SETTINGS.to_vec(),
            DataplaneKind::Kubernetes
            | DataplaneKind::OvnKubernetes
            | DataplaneKind::AwsVpcCni
            | DataplaneKind::NetworkPolicyOnly
            | DataplaneKind::None => Vec::new(),
        }
    }

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<DataplaneKind> {
        NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

impl Dataplane {
    /// The documented behaviour of a kind, nothing configured (`docs/semantics`, each page).
    pub fn new(kind: DataplaneKind) -> Dataplane {
        let identities = matches!(kind, DataplaneKind::Cilium | DataplaneKind::GkeDataplaneV2);
        Dataplane {
            kind,
            found: Found::Assumed,
            version: None,
            ipblock_matches_pods: !identities,
            ipblock_matches_nodes: !identities,
            local_node_exempt: true,
            rules_count_unlisted: identities,
            settings: BTreeMap::new(),
            ignored_kinds: BTreeMap::new(),
            either: Vec::new(),
        }
    }

    /// The same with these settings, and with what follows from them.
    pub fn with_settings(mut self, settings: BTreeMap<String, String>) -> Dataplane {
        self.settings.extend(settings);
        if cilium::settings::is_cilium(self.kind) {
            cilium::settings::apply(&mut self);
        }
        self
    }

    /// The same where objects of one name give these settings, each its own.
    pub fn with_either(self, given: Vec<(Origin, BTreeMap<String, String>)>) -> Dataplane {
        let under = |settings: &BTreeMap<String, String>| self.clone().with_settings(settings.clone());
        let Some(((_, first), others)) = given.split_first() else { return self };
        let agreed = |(key, value): &(&String, &String)| {
            others.iter().all(|(_, settings)| settings.get(*key) == Some(*value))
        };
        let shared = first.iter().filter(agreed).map(|(key, value)| (key.clone(), value.clone())).collect();
        let mut both = under(&shared);
        if others.is_empty() {
            return both;
        }
        both.either = given.iter().map(|(origin, settings)| (origin.clone(), under(settings))).collect();
        let by_each = |kind: &String| both.either.iter().all(|(_, one)| one.ignored_kinds.contains_key(kind));
        both.ignored_kinds = both.either[0].1.ignored_kinds.clone();
        both.ignored_kinds.retain(|kind, _| by_each(kind));
        both
    }

    /// What it may be: itself, or by each of the objects that say other things of it.
    pub fn possible(&self) -> impl Iterator<Item = &Dataplane> {
        let itself = self.either.is_empty().then_some(self);
        itself.into_iter().chain(self.either.iter().map(|(_, one)| one))
    }

    /// What is not known where objects of one name say other things of its settings.
    pub fn unsettled(&self) -> Vec<Gap> {
        let Some(((first, one), others)) = self.either.split_first() else { return Vec::new() };
        let gap = |(origin, other): &(Origin, Dataplane)| {
            let differs = |key: &&str| one.settings.get(*key) != other.settings.get(*key);
            let keys: Vec<&str> = one.kind.settings().into_iter().filter(differs).take(4).collect();
            let what = format!(
                "{}:{} has the same object with other settings ({}); what either lets in is counted, and only \
                 what both keep back is kept back",
                first.file,
                first.line,
                keys.join(", ")
            );
            let meaning = |one: &Dataplane| {
                (one.ipblock_matches_pods, one.ipblock_matches_nodes, one.local_node_exempt)
            };
            // What blocks match is asked of who exists, once for all rules.
            let bends = if meaning(one) == meaning(other) { Bend::MayAllowLess } else { Bend::MayAllowMore };
            Gap { what, origin: origin.clone(), bends }
        };
        others.iter().map(gap).collect()
    }

    /// The reading of the NetworkPolicy reference suite, shared by most implementations.
    pub fn kubernetes() -> Dataplane {
        Dataplane::new(DataplaneKind::Kubernetes)
    }

    /// Why no policy of the network counts for pods, in words that go on from "it"; none where they do.
    ///
    /// Agents are DaemonSets, which neither Fargate nor virtual nodes run. Windows has agents of Calico and
    /// Antrea; of one that only follows the specification it is taken on trust. The AWS agent keeps policies
    /// by the names of owners ("Limit Pod traffic", considerations; aws-network-policy-agent, issue 327).
    pub fn leaves_out(&self, standing: Standing) -> Option<String> {
        const ON_WINDOWS: &[DataplaneKind] =
            &[DataplaneKind::Kubernetes, DataplaneKind::Calico, DataplaneKind::Antrea];
        let Standing { runs_on, made } = standing;
        let (name, place) = (self.kind.name(), runs_on.words());
        match (runs_on, made) {
            (NodeKind::Fargate | NodeKind::Virtual, _) => {
                Some(format!("runs on {place}, where no network enforces policies"))
            }
            (NodeKind::Windows, _) if !ON_WINDOWS.contains(&self.kind) => {
                Some(format!("runs on {place}, where {name} is not known to enforce policies"))
            }
            (_, Made::Alone) if self.asks_who_made() => Some(format!(
                "has no metadata.ownerReferences, and {name} does not apply policies reliably to such pods"
            )),
            (NodeKind::Linux | NodeKind::Windows, Made::ByOwner | Made::Alone) => None,
        }
    }

    /// Whether it makes a difference who made pods.
    pub fn asks_who_made(&self) -> bool {
        self.kind == DataplaneKind::AwsVpcCni
    }

    /// A setting, or its documented default.
    pub fn setting<'a>(&'a self, key: &str, default: &'a str) -> &'a str {
        self.settings.get(key).map_or(default, String::as_str)
    }
}
