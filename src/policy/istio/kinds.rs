//! The kinds of Istio with their fields: what of each is understood.
//!
//! What scopes or routes the traffic of clients is advice that applications can go around; it is
//! never counted as segmentation, and said as a gap.

use super::super::DataplaneKind;
use super::super::fields::{Kind, full, gap, narrowed, no_effect};
use crate::model::Bend::{MayAllowLess, MayAllowMore};

const SECURITY: &[&str] = &["security.istio.io/v1", "security.istio.io/v1beta1"];
const NETWORKING: &[&str] =
    &["networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3"];

/// `security/v1beta1`, `networking/v1alpha3`, `telemetry/v1alpha1`, `extensions/v1alpha1` of istio/api.
pub const KINDS: &[Kind] = &[
    Kind {
        api_versions: SECURITY,
        name: super::peer_authentication::KIND,
        enforced_by: DataplaneKind::ANY,
        fields: &[full("spec.selector.matchLabels.*"), full("spec.mtls.mode"), full("spec.portLevelMtls.*")],
    },
    Kind {
        api_versions: SECURITY,
        name: super::authorization::KIND,
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.action"),
            full("spec.provider.name"),
            full("spec.selector.matchLabels.*"),
            // Those of gateways; services and waypoints are gaps of their own.
            full("spec.targetRef.*"),
            full("spec.targetRefs[].kind"),
            full("spec.targetRefs[].group"),
            full("spec.targetRefs[].name"),
            full("spec.targetRefs[].namespace"),
            full("spec.rules[].from[].source.principals[]"),
            full("spec.rules[].from[].source.notPrincipals[]"),
            full("spec.rules[].from[].source.namespaces[]"),
            full("spec.rules[].from[].source.notNamespaces[]"),
            full("spec.rules[].from[].source.serviceAccounts[]"),
            full("spec.rules[].from[].source.notServiceAccounts[]"),
            full("spec.rules[].from[].source.trustDomains[]"),
            full("spec.rules[].from[].source.notTrustDomains[]"),
            full("spec.rules[].from[].source.ipBlocks[]"),
            full("spec.rules[].from[].source.notIpBlocks[]"),
            narrowed("spec.rules[].from[].source.remoteIpBlocks[]"),
            narrowed("spec.rules[].from[].source.notRemoteIpBlocks[]"),
            narrowed("spec.rules[].from[].source.requestPrincipals[]"),
            narrowed("spec.rules[].from[].source.notRequestPrincipals[]"),
            full("spec.rules[].to[].operation.ports[]"),
            full("spec.rules[].to[].operation.notPorts[]"),
            narrowed("spec.rules[].to[].operation.hosts[]"),
            narrowed("spec.rules[].to[].operation.notHosts[]"),
            narrowed("spec.rules[].to[].operation.methods[]"),
            narrowed("spec.rules[].to[].operation.notMethods[]"),
            narrowed("spec.rules[].to[].operation.paths[]"),
            narrowed("spec.rules[].to[].operation.notPaths[]"),
            full("spec.rules[].when[].key"),
            full("spec.rules[].when[].values[]"),
            full("spec.rules[].when[].notValues[]"),
        ],
    },
    Kind {
        api_versions: SECURITY,
        name: "RequestAuthentication",
        enforced_by: &[],
        // A token that is missing passes; only AuthorizationPolicies ask for one.
        fields: &[no_effect("spec.*")],
    },
    Kind {
        api_versions: NETWORKING,
        name: super::destination_rule::KIND,
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.host"),
            full("spec.exportTo[]"),
            full("spec.workloadSelector.matchLabels.*"),
            full("spec.trafficPolicy.tls.*"),
            full("spec.trafficPolicy.portLevelSettings[].port.number"),
            full("spec.trafficPolicy.portLevelSettings[].tls.*"),
            no_effect("spec.trafficPolicy.portLevelSettings[].*"),
            full("spec.trafficPolicy.loadBalancer.*"),
            gap("spec.trafficPolicy.tunnel.*", MayAllowMore),
            gap("spec.trafficPolicy.proxyProtocol.*", MayAllowLess),
            no_effect("spec.trafficPolicy.*"),
            full("spec.subsets[].name"),
            full("spec.subsets[].labels.*"),
            full("spec.subsets[].trafficPolicy.tls.*"),
            full("spec.subsets[].trafficPolicy.portLevelSettings[].port.number"),
            full("spec.subsets[].trafficPolicy.portLevelSettings[].tls.*"),
            no_effect("spec.subsets[].trafficPolicy.portLevelSettings[].*"),
            no_effect("spec.subsets[].trafficPolicy.*"),
        ],
    },
    Kind {
        api_versions: NETWORKING,
        name: super::sidecar::KIND,
        enforced_by: &[],
        fields: &[
            full("spec.workloadSelector.labels.*"),
            full("spec.egress[].hosts[]"),
            full("spec.egress[].port.number"),
            // Which listener takes a call is left open where one has a port.
            no_effect("spec.egress[].*"),
            // What proxies refuse is advice: applications can go around them.
            no_effect("spec.outboundTrafficPolicy.*"),
            gap("spec.ingress[].*", MayAllowMore),
            gap("spec.inboundConnectionPool.*", MayAllowLess),
        ],
    },
    Kind {
        api_versions: NETWORKING,
        name: "ServiceEntry",
        enforced_by: &[],
        fields: &[
            full("spec.hosts[]"),
            full("spec.addresses[]"),
            full("spec.ports[].number"),
            full("spec.ports[].name"),
            full("spec.ports[].protocol"),
            full("spec.ports[].targetPort"),
            full("spec.location"),
            full("spec.resolution"),
            full("spec.endpoints[].address"),
            full("spec.endpoints[].ports.*"),
            // Endpoints of the entry itself are told by their addresses; what they are is not known.
            no_effect("spec.endpoints[].*"),
            full("spec.workloadSelector.labels.*"),
            full("spec.exportTo[]"),
            no_effect("spec.subjectAltNames[]"),
        ],
    },
    Kind {
        api_versions: NETWORKING,
        name: "WorkloadEntry",
        enforced_by: &[],
        fields: &[
            full("spec.address"),
            full("spec.ports.*"),
            full("spec.labels.*"),
            full("spec.serviceAccount"),
            no_effect("spec.locality"),
            no_effect("spec.weight"),
            // Another network is reached through its gateway.
            gap("spec.network", MayAllowMore),
        ],
    },
    Kind {
        api_versions: NETWORKING,
        name: "WorkloadGroup",
        enforced_by: &[],
        fields: &[
            full("spec.metadata.labels.*"),
            no_effect("spec.metadata.annotations.*"),
            full("spec.template.labels.*"),
            full("spec.template.ports.*"),
            full("spec.template.serviceAccount"),
            no_effect("spec.template.locality"),
            no_effect("spec.template.weight"),
            gap("spec.template.network", MayAllowMore),
            no_effect("spec.template.address"),
            no_effect("spec.probe.*"),
        ],
    },
    Kind {
        api_versions: NETWORKING,
        name: "VirtualService",
        enforced_by: &[],
        // Edges are drawn between workloads: a route decides which subset of a rule a call has, and
        // whether it goes through a gateway; what of it is about requests changes nothing.
        fields: &[
            full("spec.hosts[]"),
            full("spec.gateways[]"),
            full("spec.exportTo[]"),
            full("spec.http[].route[].destination.*"),
            full("spec.http[].mirror.*"),
            full("spec.http[].mirrors[].*"),
            full("spec.http[].delegate.*"),
            full("spec.tcp[].route[].destination.*"),
            full("spec.tls[].route[].destination.*"),
            no_effect("spec.*"),
        ],
    },
    Kind {
        api_versions: NETWORKING,
        // Its servers are read as ways in too (`entry`).
        name: "Gateway",
        enforced_by: &[],
        fields: &[full("spec.selector.*"), full("spec.servers[].*")],
    },
    Kind {
        api_versions: NETWORKING,
        // Of the workloads that it is about nothing is promised.
        name: super::extension::ENVOY_FILTER,
        enforced_by: &[],
        fields: &[
            full("spec.workloadSelector.labels.*"),
            full("spec.targetRefs[].*"),
            no_effect("spec.priority"),
            gap("spec.configPatches[].*", MayAllowMore),
        ],
    },
    Kind { api_versions: NETWORKING, name: "ProxyConfig", enforced_by: &[], fields: &[no_effect("spec.*")] },
    Kind {
        api_versions: &["extensions.istio.io/v1alpha1"],
        // It may refuse whatever it sees, which narrows.
        name: super::extension::WASM_PLUGIN,
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.selector.matchLabels.*"),
            full("spec.targetRef.*"),
            full("spec.targetRefs[].*"),
            narrowed("spec.url"),
            narrowed("spec.pluginConfig.*"),
            narrowed("spec.match[].*"),
            no_effect("spec.*"),
        ],
    },
    Kind {
        api_versions: &["telemetry.istio.io/v1", "telemetry.istio.io/v1alpha1"],
        name: "Telemetry",
        enforced_by: &[],
        fields: &[no_effect("spec.*")],
    },
];
