//! The kinds of Consul on Kubernetes with their fields (`control-plane/api/v1alpha1`).

use super::super::fields::{full, gap, narrowed, no_effect};
use super::super::{DataplaneKind, Kind};
use crate::model::Bend;

const VERSIONS: &[&str] = &["consul.hashicorp.com/v1alpha1"];

/// Everything that is read, or whose absence from the graph is said.
pub const KINDS: &[Kind] = &[
    Kind {
        api_versions: VERSIONS,
        name: "ServiceIntentions",
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.destination.name"),
            narrowed("spec.destination.namespace"),
            narrowed("spec.jwt.*"),
            full("spec.sources[].name"),
            narrowed("spec.sources[].namespace"),
            full("spec.sources[].action"),
            no_effect("spec.sources[].description"),
            // Nobody of another cluster or partition is in the graph; a gap says which source it is.
            full("spec.sources[].peer"),
            full("spec.sources[].partition"),
            full("spec.sources[].samenessGroup"),
            full("spec.sources[].permissions[].action"),
            narrowed("spec.sources[].permissions[].http.*"),
            narrowed("spec.sources[].permissions[].jwt.*"),
        ],
    },
    Kind {
        api_versions: VERSIONS,
        name: "ServiceDefaults",
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.protocol"),
            full("spec.mutualTLSMode"),
            full("spec.transparentProxy.dialedDirectly"),
            gap("spec.transparentProxy.outboundListenerPort", Bend::MayMissTraffic),
            gap("spec.mode", Bend::MayAllowMore),
            gap("spec.destination.*", Bend::MayMissTraffic),
            gap("spec.envoyExtensions.*", Bend::MayAllowMore),
            gap("spec.meshGateway.*", Bend::MayMissTraffic),
            // Said in words of its own.
            full("spec.expose.*"),
            no_effect("spec.externalSNI"),
            no_effect("spec.upstreamConfig.*"),
            no_effect("spec.maxInboundConnections"),
            no_effect("spec.localConnectTimeoutMs"),
            no_effect("spec.localRequestTimeoutMs"),
            no_effect("spec.balanceInboundConnections"),
            no_effect("spec.rateLimits.*"),
        ],
    },
    Kind {
        api_versions: VERSIONS,
        name: "ProxyDefaults",
        enforced_by: DataplaneKind::ANY,
        fields: &[
            full("spec.mutualTLSMode"),
            full("spec.config.protocol"),
            // Listeners and clusters may be replaced whole (`envoy_public_listener_json` and others).
            gap("spec.config.*", Bend::MayAllowMore),
            gap("spec.transparentProxy.*", Bend::MayMissTraffic),
            gap("spec.mode", Bend::MayAllowMore),
            gap("spec.envoyExtensions.*", Bend::MayAllowMore),
            gap("spec.meshGateway.*", Bend::MayMissTraffic),
            full("spec.expose.*"),
            no_effect("spec.accessLogs.*"),
            no_effect("spec.failoverPolicy.*"),
            no_effect("spec.prioritizeByLocality.*"),
        ],
    },
    Kind {
        api_versions: VERSIONS,
        name: "Mesh",
        enforced_by: DataplaneKind::ANY,
        fields: &[
            // Advice to clients, said in words of its own.
            full("spec.transparentProxy.meshDestinationsOnly"),
            // Entries that are permissive stay so where it is turned off.
            no_effect("spec.allowEnablingPermissiveMutualTLS"),
            no_effect("spec.validateClusters"),
            no_effect("spec.tls.*"),
            no_effect("spec.http.*"),
            no_effect("spec.peering.*"),
        ],
    },
    Kind {
        api_versions: VERSIONS,
        name: "IngressGateway",
        enforced_by: &[],
        fields: &[
            // Which services it leads to decides no edge: its pods may send to all that let them in.
            no_effect("spec.listeners[].*"),
            gap("spec.tls.*", Bend::MayMissTraffic),
            no_effect("spec.*"),
        ],
    },
    Kind {
        api_versions: VERSIONS,
        name: "TerminatingGateway",
        enforced_by: &[],
        fields: &[
            full("spec.services[].name"),
            full("spec.services[].caFile"),
            full("spec.services[].sni"),
            no_effect("spec.services[].certFile"),
            no_effect("spec.services[].keyFile"),
            gap("spec.services[].*", Bend::MayMissTraffic),
            no_effect("spec.deployment.*"),
        ],
    },
    Kind {
        api_versions: VERSIONS,
        // Edges are drawn between workloads: a route changes which of them a name leads to.
        name: "ServiceRouter",
        enforced_by: &[],
        fields: &[no_effect("spec.routes[].*")],
    },
    Kind {
        api_versions: VERSIONS,
        name: "ServiceSplitter",
        enforced_by: &[],
        fields: &[no_effect("spec.splits[].*")],
    },
    Kind {
        api_versions: VERSIONS,
        name: "ServiceResolver",
        enforced_by: &[],
        fields: &[
            no_effect("spec.redirect.service"),
            no_effect("spec.redirect.serviceSubset"),
            // Elsewhere is not in the input.
            gap("spec.redirect.*", Bend::MayMissTraffic),
            gap("spec.failover.*", Bend::MayMissTraffic),
            no_effect("spec.defaultSubset"),
            no_effect("spec.subsets.*"),
            no_effect("spec.connectTimeout"),
            no_effect("spec.requestTimeout"),
            no_effect("spec.loadBalancer.*"),
            no_effect("spec.prioritizeByLocality.*"),
        ],
    },
    Kind {
        api_versions: VERSIONS,
        name: "ExportedServices",
        enforced_by: &[],
        fields: &[gap("spec.services.*", Bend::MayMissTraffic)],
    },
];
