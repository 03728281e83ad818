//! MultiNetworkPolicy, `k8s.cni.cncf.io`: NetworkPolicy for networks beside that of the cluster.
//!
//! The network of the cluster is not touched: each other network has a graph of its own, and what
//! counts there is read by [`read`]. Cases are on the page `docs/semantics/ovn-kubernetes.md`.

mod lower;

use super::fields::full;
use super::{Dataplane, DataplaneKind, Engine, Kind, Lowered, is_network_policy, is_pod, kubernetes};
use crate::model::Document;
pub use lower::{NetworkPolicies, read};

/// `kind` of the policies.
const POLICY: &str = "MultiNetworkPolicy";

/// Their specification is that of NetworkPolicy.
const KINDS: &[Kind] = &[
    Kind {
        api_versions: &["k8s.cni.cncf.io/v1beta1", "k8s.cni.cncf.io/v1beta2", "k8s.cni.cncf.io/v1"],
        name: POLICY,
        enforced_by: DataplaneKind::ENFORCE_NETWORK_POLICY,
        fields: kubernetes::FIELDS,
    },
    Kind {
        api_versions: &["k8s.cni.cncf.io/v1"],
        name: "NetworkAttachmentDefinition",
        enforced_by: &[],
        fields: &[full("spec.config")],
    },
];

/// MultiNetworkPolicy.
pub struct MultiNetwork;

impl Engine for MultiNetwork {
    fn name(&self) -> &'static str {
        "multi-network"
    }

    fn summary(&self) -> &'static str {
        "MultiNetworkPolicy and NetworkAttachmentDefinition (k8s.cni.cncf.io), for secondary networks"
    }

    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    /// No tier of the network of the cluster; only what is to be said of the objects.
    fn lower(&self, documents: &[Document], _dataplane: &Dataplane) -> Lowered {
        lower::doubts(documents)
    }

    fn reads(&self, document: &Document) -> bool {
        !is_network_policy(document) && !is_pod(document)
    }
}
