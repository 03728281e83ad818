//! The kinds of Linkerd with their fields (`charts/linkerd-crds/templates`).

use super::super::fields::{full, gap, narrowed, no_effect};
use super::super::{DataplaneKind, Kind};
use crate::model::Bend;

/// Everything that is read, or whose absence from the graph is said.
pub const KINDS: &[Kind] = &[
    Kind {
        api_versions: &[
            "policy.linkerd.io/v1alpha1",
            "policy.linkerd.io/v1beta1",
            "policy.linkerd.io/v1beta2",
            "policy.linkerd.io/v1beta3",
        ],
        name: "Server",
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.podSelector.matchLabels.*"),
            full("spec.podSelector.matchExpressions[].key"),
            full("spec.podSelector.matchExpressions[].operator"),
            full("spec.podSelector.matchExpressions[].values[]"),
            gap("spec.externalWorkloadSelector.*", Bend::MayMissTraffic),
            full("spec.port"),
            full("spec.accessPolicy"),
            // Says which requests can be told apart, which routes ask for by themselves.
            no_effect("spec.proxyProtocol"),
        ],
    },
    Kind {
        api_versions: &["policy.linkerd.io/v1alpha1", "policy.linkerd.io/v1beta1"],
        name: "ServerAuthorization",
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.server.name"),
            full("spec.server.selector.matchLabels.*"),
            full("spec.server.selector.matchExpressions[].key"),
            full("spec.server.selector.matchExpressions[].operator"),
            full("spec.server.selector.matchExpressions[].values[]"),
            full("spec.client.networks[].cidr"),
            full("spec.client.networks[].except[]"),
            full("spec.client.unauthenticated"),
            full("spec.client.meshTLS.unauthenticatedTLS"),
            full("spec.client.meshTLS.identities[]"),
            full("spec.client.meshTLS.serviceAccounts[].name"),
            full("spec.client.meshTLS.serviceAccounts[].namespace"),
        ],
    },
    Kind {
        api_versions: &["policy.linkerd.io/v1alpha1"],
        name: "AuthorizationPolicy",
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.targetRef.group"),
            full("spec.targetRef.kind"),
            full("spec.targetRef.name"),
            full("spec.targetRef.namespace"),
            full("spec.requiredAuthenticationRefs[].group"),
            full("spec.requiredAuthenticationRefs[].kind"),
            full("spec.requiredAuthenticationRefs[].name"),
            full("spec.requiredAuthenticationRefs[].namespace"),
        ],
    },
    Kind {
        api_versions: &["policy.linkerd.io/v1alpha1"],
        name: "MeshTLSAuthentication",
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.identities[]"),
            full("spec.identityRefs[].group"),
            full("spec.identityRefs[].kind"),
            full("spec.identityRefs[].name"),
            full("spec.identityRefs[].namespace"),
        ],
    },
    Kind {
        api_versions: &["policy.linkerd.io/v1alpha1"],
        name: "NetworkAuthentication",
        enforced_by: DataplaneKind::ANY,
        fields: &[full("spec.networks[].cidr"), full("spec.networks[].except[]")],
    },
    Kind {
        api_versions: &[
            "policy.linkerd.io/v1alpha1",
            "policy.linkerd.io/v1beta1",
            "policy.linkerd.io/v1beta2",
            "policy.linkerd.io/v1beta3",
            "gateway.networking.k8s.io/v1alpha2",
            "gateway.networking.k8s.io/v1beta1",
            "gateway.networking.k8s.io/v1",
        ],
        name: "HTTPRoute",
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.parentRefs.*"),
            narrowed("spec.hostnames.*"),
            narrowed("spec.rules.*"),
            no_effect("spec.useDefaultGateways"),
        ],
    },
    Kind {
        api_versions: &["gateway.networking.k8s.io/v1alpha2", "gateway.networking.k8s.io/v1"],
        name: "GRPCRoute",
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.parentRefs.*"),
            narrowed("spec.hostnames.*"),
            narrowed("spec.rules.*"),
            no_effect("spec.useDefaultGateways"),
        ],
    },
    Kind {
        api_versions: &["policy.linkerd.io/v1alpha1"],
        name: "EgressNetwork",
        enforced_by: &[],
        fields: &[gap("spec.networks.*", Bend::MayAllowLess), gap("spec.trafficPolicy", Bend::MayAllowLess)],
    },
    Kind {
        api_versions: &["workload.linkerd.io/v1alpha1", "workload.linkerd.io/v1beta1"],
        name: "ExternalWorkload",
        enforced_by: &[],
        fields: &[
            gap("spec.meshTLS.*", Bend::MayMissTraffic),
            gap("spec.workloadIPs.*", Bend::MayMissTraffic),
            no_effect("spec.ports.*"),
        ],
    },
    Kind {
        api_versions: &["policy.linkerd.io/v1alpha1"],
        name: "HTTPLocalRateLimitPolicy",
        enforced_by: &[],
        fields: &[no_effect("spec.*")],
    },
    Kind {
        api_versions: &["linkerd.io/v1alpha1", "linkerd.io/v1alpha2"],
        name: "ServiceProfile",
        enforced_by: &[],
        // In the mode transparent it moves connections to another port.
        fields: &[gap("spec.opaquePorts.*", Bend::MayAllowLess), no_effect("spec.*")],
    },
];
