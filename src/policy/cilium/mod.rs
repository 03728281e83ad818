//! Cilium: CiliumNetworkPolicy and CiliumClusterwideNetworkPolicy, and the settings of the agent.
//!
//! The exact meaning, case by case, is on the page `docs/semantics/cilium.md`.

mod entities;
mod facts;
mod labels;
mod lower;
mod peers;
mod ports;
pub(super) mod redirects;
pub mod settings;
mod wire;

use super::fields::{full, gap, narrowed, no_effect};
use super::{Dataplane, DataplaneKind, Engine, Field, Kind, Layer, Lowered, Tier, is_network_policy, is_pod};
use crate::model::{Bend, Document};

/// The kinds that are policies; the others take part in what they mean.
const POLICIES: &[&str] = &["CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy"];

/// Fields of a policy. A rule stands at each `$rule`, an entry at each `$entry`, whose peers begin
/// with the word beside it; what only allowing or egress entries have stands at those.
macro_rules! policy_fields {
    (
        rules: $($rule:literal),*;
        entries: $(($entry:literal, $word:literal)),*;
        allowing: $($allow:literal),*;
        egress: $($egress:literal),*;
        allowing egress: $($name:literal),*;
    ) => { &[
        $(
            full(concat!($rule, ".endpointSelector.matchLabels.*")),
            full(concat!($rule, ".endpointSelector.matchExpressions[].key")),
            full(concat!($rule, ".endpointSelector.matchExpressions[].operator")),
            full(concat!($rule, ".endpointSelector.matchExpressions[].values[]")),
            full(concat!($rule, ".nodeSelector.matchLabels.*")),
            full(concat!($rule, ".nodeSelector.matchExpressions[].key")),
            full(concat!($rule, ".nodeSelector.matchExpressions[].operator")),
            full(concat!($rule, ".nodeSelector.matchExpressions[].values[]")),
            full(concat!($rule, ".enableDefaultDeny.ingress")),
            full(concat!($rule, ".enableDefaultDeny.egress")),
            no_effect(concat!($rule, ".labels[].*")),
            no_effect(concat!($rule, ".description")),
            no_effect(concat!($rule, ".log.value")),
        )*
        $(
            full(concat!($entry, ".", $word, "Endpoints[].matchLabels.*")),
            full(concat!($entry, ".", $word, "Endpoints[].matchExpressions[].key")),
            full(concat!($entry, ".", $word, "Endpoints[].matchExpressions[].operator")),
            full(concat!($entry, ".", $word, "Endpoints[].matchExpressions[].values[]")),
            full(concat!($entry, ".", $word, "CIDR[]")),
            full(concat!($entry, ".", $word, "CIDRSet[].cidr")),
            full(concat!($entry, ".", $word, "CIDRSet[].cidrGroupRef")),
            full(concat!($entry, ".", $word, "CIDRSet[].cidrGroupSelector.matchLabels.*")),
            full(concat!($entry, ".", $word, "CIDRSet[].cidrGroupSelector.matchExpressions[].key")),
            full(concat!($entry, ".", $word, "CIDRSet[].cidrGroupSelector.matchExpressions[].operator")),
            full(concat!($entry, ".", $word, "CIDRSet[].cidrGroupSelector.matchExpressions[].values[]")),
            full(concat!($entry, ".", $word, "CIDRSet[].except[]")),
            full(concat!($entry, ".", $word, "Entities[]")),
            full(concat!($entry, ".", $word, "Nodes[].matchLabels.*")),
            full(concat!($entry, ".", $word, "Nodes[].matchExpressions[].key")),
            full(concat!($entry, ".", $word, "Nodes[].matchExpressions[].operator")),
            full(concat!($entry, ".", $word, "Nodes[].matchExpressions[].values[]")),
            gap(concat!($entry, ".", $word, "Groups[].*"), Bend::MayAllowMore),
            full(concat!($entry, ".", $word, "Requires[].*")),
            full(concat!($entry, ".toPorts[].ports[].port")),
            full(concat!($entry, ".toPorts[].ports[].endPort")),
            full(concat!($entry, ".toPorts[].ports[].protocol")),
            narrowed(concat!($entry, ".icmps[].fields[].type")),
            full(concat!($entry, ".icmps[].fields[].family")),
        )*
        $(
            narrowed(concat!($allow, ".toPorts[].rules.http[].method")),
            narrowed(concat!($allow, ".toPorts[].rules.http[].path")),
            narrowed(concat!($allow, ".toPorts[].rules.http[].host")),
            narrowed(concat!($allow, ".toPorts[].rules.http[].headers[]")),
            narrowed(concat!($allow, ".toPorts[].rules.http[].headerMatches[].*")),
            narrowed(concat!($allow, ".toPorts[].rules.kafka[].*")),
            narrowed(concat!($allow, ".toPorts[].rules.dns[].matchName")),
            narrowed(concat!($allow, ".toPorts[].rules.dns[].matchPattern")),
            narrowed(concat!($allow, ".toPorts[].rules.l7proto")),
            narrowed(concat!($allow, ".toPorts[].rules.l7[].*")),
            narrowed(concat!($allow, ".toPorts[].serverNames[]")),
            narrowed(concat!($allow, ".toPorts[].listener.*")),
            no_effect(concat!($allow, ".toPorts[].terminatingTLS.*")),
            no_effect(concat!($allow, ".toPorts[].originatingTLS.*")),
            narrowed(concat!($allow, ".authentication.mode")),
        )*
        $(
            full(concat!($egress, ".toServices[].k8sService.serviceName")),
            full(concat!($egress, ".toServices[].k8sService.namespace")),
            full(concat!($egress, ".toServices[].k8sServiceSelector.selector.matchLabels.*")),
            full(concat!($egress, ".toServices[].k8sServiceSelector.selector.matchExpressions[].key")),
            full(concat!($egress, ".toServices[].k8sServiceSelector.selector.matchExpressions[].operator")),
            full(concat!($egress, ".toServices[].k8sServiceSelector.selector.matchExpressions[].values[]")),
            full(concat!($egress, ".toServices[].k8sServiceSelector.namespace")),
        )*
        $(
            full(concat!($name, ".toFQDNs[].matchName")),
            full(concat!($name, ".toFQDNs[].matchPattern")),
        )*
    ] };
}

/// The same fields for both policy kinds.
const POLICY_FIELDS: &[Field] = policy_fields! {
    rules: "spec", "specs[]";
    entries: ("spec.ingress[]", "from"), ("spec.ingressDeny[]", "from"),
        ("spec.egress[]", "to"), ("spec.egressDeny[]", "to"),
        ("specs[].ingress[]", "from"), ("specs[].ingressDeny[]", "from"),
        ("specs[].egress[]", "to"), ("specs[].egressDeny[]", "to");
    allowing: "spec.ingress[]", "spec.egress[]", "specs[].ingress[]", "specs[].egress[]";
    egress: "spec.egress[]", "spec.egressDeny[]", "specs[].egress[]", "specs[].egressDeny[]";
    allowing egress: "spec.egress[]", "specs[].egress[]";
};

/// What is read, with all fields (`pkg/k8s/apis/cilium.io`).
const KINDS: &[Kind] = &[
    Kind {
        api_versions: &["cilium.io/v2"],
        name: "CiliumNetworkPolicy",
        enforced_by: &[DataplaneKind::Cilium],
        fields: POLICY_FIELDS,
    },
    Kind {
        api_versions: &["cilium.io/v2"],
        name: "CiliumClusterwideNetworkPolicy",
        enforced_by: &[DataplaneKind::Cilium, DataplaneKind::GkeDataplaneV2],
        fields: POLICY_FIELDS,
    },
    Kind {
        api_versions: &["cilium.io/v2", "cilium.io/v2alpha1"],
        name: "CiliumCIDRGroup",
        enforced_by: &[],
        fields: &[full("spec.externalCIDRs[]")],
    },
    Kind {
        api_versions: &["cilium.io/v2", "cilium.io/v2alpha1"],
        name: "CiliumNodeConfig",
        enforced_by: &[],
        fields: &[gap("spec.defaults.*", Bend::MayAllowMore), no_effect("spec.nodeSelector.*")],
    },
    // `enable-policy: always` isolates every endpoint by itself.
    Kind {
        api_versions: &["v1"],
        name: "ConfigMap",
        enforced_by: &[DataplaneKind::Cilium, DataplaneKind::GkeDataplaneV2],
        fields: &[
            full("data.allow-localhost"),
            full("data.cluster-name"),
            full("data.enable-cilium-clusterwide-network-policy"),
            full("data.enable-cilium-network-policy"),
            full("data.enable-host-firewall"),
            full("data.enable-icmp-rules"),
            full("data.enable-ipv4"),
            full("data.enable-ipv6"),
            full("data.enable-k8s-cluster-network-policy"),
            full("data.enable-k8s-networkpolicy"),
            full("data.enable-l7-proxy"),
            full("data.enable-node-selector-labels"),
            full("data.enable-non-default-deny-policies"),
            full("data.enable-policy"),
            full("data.enable-sctp"),
            full("data.labels"),
            full("data.policy-audit-mode"),
            full("data.policy-cidr-match-mode"),
            full("data.policy-default-local-cluster"),
            no_effect("data.*"),
            no_effect("binaryData.*"),
            no_effect("immutable"),
        ],
    },
];

/// Cilium.
pub struct Cilium;

impl Engine for Cilium {
    fn name(&self) -> &'static str {
        "cilium"
    }

    fn summary(&self) -> &'static str {
        "CiliumNetworkPolicy, CiliumClusterwideNetworkPolicy (cilium.io/v2) and the settings of the agent"
    }

    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    fn lower(&self, documents: &[Document], dataplane: &Dataplane) -> Lowered {
        lower::lower(documents, dataplane)
    }

    fn reads(&self, document: &Document) -> bool {
        !is_network_policy(document) && !is_pod(document)
    }

    /// Labels that are no part of an identity are missing for NetworkPolicy too, and what its
    /// selectors of namespaces do not ask, identities without a namespace need not have.
    fn adapt(&self, tier: &mut Tier, dataplane: &Dataplane) {
        if settings::is_cilium(dataplane.kind) && tier.layer == Layer::Network {
            labels::hide_labels(tier, dataplane);
            entities::let_in_without_namespace(tier, dataplane);
        }
    }
}
