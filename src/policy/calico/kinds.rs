//! The kinds of Calico with all their fields, and what is made of each.

use super::super::DataplaneKind;
use super::super::fields::{Field, Kind, full, gap, narrowed, no_effect};
use crate::model::Bend;

/// Both API groups: objects as `calicoctl` shows them, and as they are stored.
const BOTH: &[&str] = &["projectcalico.org/v3", "crd.projectcalico.org/v1"];
/// Who gives them effect.
const CALICO: &[DataplaneKind] = &[DataplaneKind::Calico];
/// Staged forms are never enforced (`Engine::staged` shows what they would do).
const NOBODY: &[DataplaneKind] = &[];

/// The fields of a `Rule`, one list for each direction, before those of the object itself.
macro_rules! fields_with_rules {
    ($($own:expr),* $(,)?) => {
        fields_with_rules!(@entities
            [$($own),*]
            "spec.ingress[].source", "spec.ingress[].destination",
            "spec.egress[].source", "spec.egress[].destination";
            "spec.ingress[]", "spec.egress[]"
        )
    };
    (@entities [$($own:expr),*] $($entity:literal),*; $($rule:literal),*) => { &[
        $($own,)*
        $(
            full(concat!($rule, ".action")),
            full(concat!($rule, ".ipVersion")),
            full(concat!($rule, ".protocol")),
            full(concat!($rule, ".notProtocol")),
            narrowed(concat!($rule, ".icmp.*")),
            narrowed(concat!($rule, ".notICMP.*")),
            narrowed(concat!($rule, ".http.*")),
            no_effect(concat!($rule, ".metadata.*")),
        )*
        $(
            full(concat!($entity, ".nets[]")),
            full(concat!($entity, ".notNets[]")),
            full(concat!($entity, ".selector")),
            full(concat!($entity, ".notSelector")),
            full(concat!($entity, ".namespaceSelector")),
            full(concat!($entity, ".services.name")),
            full(concat!($entity, ".services.namespace")),
            full(concat!($entity, ".serviceAccounts.names[]")),
            full(concat!($entity, ".serviceAccounts.selector")),
            gap(concat!($entity, ".domains[]"), Bend::MayAllowLess),
        )*
        full("spec.ingress[].destination.ports[]"),
        full("spec.ingress[].destination.notPorts[]"),
        full("spec.egress[].destination.ports[]"),
        full("spec.egress[].destination.notPorts[]"),
        narrowed("spec.ingress[].source.ports[]"),
        narrowed("spec.ingress[].source.notPorts[]"),
        narrowed("spec.egress[].source.ports[]"),
        narrowed("spec.egress[].source.notPorts[]"),
    ] };
}

const NAMESPACED: &[Field] = fields_with_rules![
    full("spec.tier"),
    full("spec.order"),
    full("spec.selector"),
    full("spec.types[]"),
    full("spec.serviceAccountSelector"),
    no_effect("spec.performanceHints[]"),
];

const GLOBAL: &[Field] = fields_with_rules![
    full("spec.tier"),
    full("spec.order"),
    full("spec.selector"),
    full("spec.types[]"),
    full("spec.serviceAccountSelector"),
    full("spec.namespaceSelector"),
    full("spec.doNotTrack"),
    full("spec.preDNAT"),
    full("spec.applyOnForward"),
    no_effect("spec.performanceHints[]"),
];

const STAGED_NAMESPACED: &[Field] = fields_with_rules![
    full("spec.stagedAction"),
    full("spec.tier"),
    full("spec.order"),
    full("spec.selector"),
    full("spec.types[]"),
    full("spec.serviceAccountSelector"),
    no_effect("spec.performanceHints[]"),
];

const STAGED_GLOBAL: &[Field] = fields_with_rules![
    full("spec.stagedAction"),
    full("spec.tier"),
    full("spec.order"),
    full("spec.selector"),
    full("spec.types[]"),
    full("spec.serviceAccountSelector"),
    full("spec.namespaceSelector"),
    full("spec.doNotTrack"),
    full("spec.preDNAT"),
    full("spec.applyOnForward"),
    no_effect("spec.performanceHints[]"),
];

const PROFILE: &[Field] = fields_with_rules![full("spec.labelsToApply.*")];

/// Every kind that takes part in verdicts.
pub const KINDS: &[Kind] = &[
    Kind { api_versions: BOTH, name: "NetworkPolicy", enforced_by: CALICO, fields: NAMESPACED },
    Kind { api_versions: BOTH, name: "GlobalNetworkPolicy", enforced_by: CALICO, fields: GLOBAL },
    Kind { api_versions: BOTH, name: "StagedNetworkPolicy", enforced_by: NOBODY, fields: STAGED_NAMESPACED },
    Kind {
        api_versions: BOTH,
        name: "StagedGlobalNetworkPolicy",
        enforced_by: NOBODY,
        fields: STAGED_GLOBAL,
    },
    Kind {
        api_versions: BOTH,
        name: "StagedKubernetesNetworkPolicy",
        enforced_by: NOBODY,
        fields: &[
            full("spec.stagedAction"),
            full("spec.podSelector.*"),
            full("spec.policyTypes[]"),
            full("spec.ingress.*"),
            full("spec.egress.*"),
        ],
    },
    Kind {
        api_versions: BOTH,
        name: "Tier",
        enforced_by: CALICO,
        fields: &[full("spec.order"), full("spec.defaultAction")],
    },
    Kind { api_versions: BOTH, name: "NetworkSet", enforced_by: CALICO, fields: &[full("spec.nets[]")] },
    Kind {
        api_versions: BOTH,
        name: "GlobalNetworkSet",
        enforced_by: CALICO,
        fields: &[full("spec.nets[]"), gap("spec.allowedEgressDomains[]", Bend::MayAllowLess)],
    },
    Kind {
        api_versions: BOTH,
        name: "HostEndpoint",
        enforced_by: CALICO,
        fields: &[
            full("spec.node"),
            full("spec.interfaceName"),
            full("spec.expectedIPs[]"),
            full("spec.profiles[]"),
            full("spec.ports[].name"),
            full("spec.ports[].protocol"),
            full("spec.ports[].port"),
        ],
    },
    Kind { api_versions: BOTH, name: "Profile", enforced_by: CALICO, fields: PROFILE },
    Kind {
        api_versions: BOTH,
        name: "WorkloadEndpoint",
        enforced_by: CALICO,
        fields: &[
            full("spec.node"),
            full("spec.orchestrator"),
            full("spec.pod"),
            full("spec.workload"),
            full("spec.endpoint"),
            full("spec.ipNetworks[]"),
            full("spec.profiles[]"),
            full("spec.serviceAccountName"),
            full("spec.ports[].name"),
            full("spec.ports[].protocol"),
            full("spec.ports[].port"),
            no_effect("spec.ports[].hostPort"),
            no_effect("spec.ports[].hostIP"),
            no_effect("spec.containerID"),
            no_effect("spec.ipNATs.*"),
            no_effect("spec.ipv4Gateway"),
            no_effect("spec.ipv6Gateway"),
            no_effect("spec.interfaceName"),
            no_effect("spec.mac"),
            no_effect("spec.allowSpoofedSourcePrefixes.*"),
            no_effect("spec.qosControls.*"),
        ],
    },
    Kind {
        api_versions: BOTH,
        name: "FelixConfiguration",
        enforced_by: CALICO,
        fields: &[
            full("spec.failsafeInboundHostPorts.*"),
            full("spec.failsafeOutboundHostPorts.*"),
            full("spec.wireguardEnabled"),
            full("spec.wireguardEnabledV6"),
            full("spec.wireguardHostEncryptionEnabled"),
            // What else is there configures how packets are handled; see `host` and `settings` for exceptions.
            no_effect("spec.*"),
        ],
    },
    // Encapsulation between nodes is no encryption, and addresses of pods are known from the pods.
    Kind { api_versions: BOTH, name: "IPPool", enforced_by: CALICO, fields: &[no_effect("spec.*")] },
];
