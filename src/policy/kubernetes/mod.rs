//! Kubernetes NetworkPolicy, `networking.k8s.io/v1`.
//!
//! The exact meaning, case by case, is on the page `docs/semantics/kubernetes.md`.

mod lower;
pub(super) mod wire;

// What other kinds of the same style share with NetworkPolicy.
pub(super) use lower::{label_selector, policy};
pub(super) use wire::refusal;

use super::fields::full;
use super::{Dataplane, DataplaneKind, Engine, Field, Kind, Lowered, Lowers};
use crate::model::Document;

/// The one kind.
const KINDS: &[Kind] = &[Kind {
    api_versions: &["networking.k8s.io/v1", "extensions/v1beta1"],
    name: "NetworkPolicy",
    enforced_by: DataplaneKind::ENFORCE_NETWORK_POLICY,
    fields: FIELDS,
}];

/// `NetworkPolicySpec`, which MultiNetworkPolicy has too.
pub(super) const FIELDS: &[Field] = &[
    full("spec.podSelector.matchLabels.*"),
    full("spec.podSelector.matchExpressions[].key"),
    full("spec.podSelector.matchExpressions[].operator"),
    full("spec.podSelector.matchExpressions[].values[]"),
    full("spec.policyTypes[]"),
    full("spec.ingress[].from[].podSelector.matchLabels.*"),
    full("spec.ingress[].from[].podSelector.matchExpressions[].key"),
    full("spec.ingress[].from[].podSelector.matchExpressions[].operator"),
    full("spec.ingress[].from[].podSelector.matchExpressions[].values[]"),
    full("spec.ingress[].from[].namespaceSelector.matchLabels.*"),
    full("spec.ingress[].from[].namespaceSelector.matchExpressions[].key"),
    full("spec.ingress[].from[].namespaceSelector.matchExpressions[].operator"),
    full("spec.ingress[].from[].namespaceSelector.matchExpressions[].values[]"),
    full("spec.ingress[].from[].ipBlock.cidr"),
    full("spec.ingress[].from[].ipBlock.except[]"),
    full("spec.ingress[].ports[].protocol"),
    full("spec.ingress[].ports[].port"),
    full("spec.ingress[].ports[].endPort"),
    full("spec.egress[].to[].podSelector.matchLabels.*"),
    full("spec.egress[].to[].podSelector.matchExpressions[].key"),
    full("spec.egress[].to[].podSelector.matchExpressions[].operator"),
    full("spec.egress[].to[].podSelector.matchExpressions[].values[]"),
    full("spec.egress[].to[].namespaceSelector.matchLabels.*"),
    full("spec.egress[].to[].namespaceSelector.matchExpressions[].key"),
    full("spec.egress[].to[].namespaceSelector.matchExpressions[].operator"),
    full("spec.egress[].to[].namespaceSelector.matchExpressions[].values[]"),
    full("spec.egress[].to[].ipBlock.cidr"),
    full("spec.egress[].to[].ipBlock.except[]"),
    full("spec.egress[].ports[].protocol"),
    full("spec.egress[].ports[].port"),
    full("spec.egress[].ports[].endPort"),
];

/// NetworkPolicy v1.
pub struct Kubernetes;

impl Engine for Kubernetes {
    fn name(&self) -> &'static str {
        "kubernetes"
    }

    fn summary(&self) -> &'static str {
        "NetworkPolicy (networking.k8s.io/v1)"
    }

    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    fn lower(&self, documents: &[Document], dataplane: &Dataplane) -> Lowered {
        lower::lower(documents, dataplane)
    }

    fn reads(&self, document: &Document) -> bool {
        lower::is_policy(document)
    }

    fn lowers(&self) -> Lowers {
        Lowers::Each
    }
}
