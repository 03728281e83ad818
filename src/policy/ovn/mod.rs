//! OVN-Kubernetes, `k8s.ovn.org`: the firewall for what leaves the cluster, and primary networks
//! that are apart from each other. OpenShift SDN's older firewall has the same shape.
//!
//! The exact meaning, case by case, is on the page `docs/semantics/ovn-kubernetes.md`.

mod firewall;
mod joining;
mod lower;
mod networks;

use super::fields::{full, no_effect};
use super::{Dataplane, DataplaneKind, Engine, Kind, Lowered, is_network_policy, is_pod};
use crate::model::Document;

/// `kind` of the firewall.
const FIREWALL: &str = "EgressFirewall";
/// `kind` of OpenShift SDN's firewall.
const OLD_FIREWALL: &str = "EgressNetworkPolicy";
/// `kind` of a network of one namespace.
const NETWORK: &str = "UserDefinedNetwork";
/// `kind` of a network of several namespaces.
const CLUSTER_NETWORK: &str = "ClusterUserDefinedNetwork";

/// `kind` of what connects networks.
const NETWORKS_JOINED: &str = "ClusterNetworkConnect";

/// `go-controller/pkg/crd/{egressfirewall,userdefinednetwork}/v1`.
const KINDS: &[Kind] = &[
    Kind {
        api_versions: &["k8s.ovn.org/v1"],
        name: FIREWALL,
        enforced_by: &[DataplaneKind::OvnKubernetes],
        fields: &[
            full("spec.egress[].type"),
            full("spec.egress[].to.cidrSelector"),
            full("spec.egress[].to.dnsName"),
            full("spec.egress[].to.nodeSelector.matchLabels.*"),
            full("spec.egress[].to.nodeSelector.matchExpressions[].key"),
            full("spec.egress[].to.nodeSelector.matchExpressions[].operator"),
            full("spec.egress[].to.nodeSelector.matchExpressions[].values[]"),
            full("spec.egress[].ports[].protocol"),
            full("spec.egress[].ports[].port"),
        ],
    },
    Kind {
        api_versions: &["network.openshift.io/v1"],
        name: OLD_FIREWALL,
        // OpenShift SDN alone enforced it, which is gone since 4.17.
        enforced_by: &[],
        fields: &[
            full("spec.egress[].type"),
            full("spec.egress[].to.cidrSelector"),
            full("spec.egress[].to.dnsName"),
        ],
    },
    Kind {
        api_versions: &["k8s.ovn.org/v1"],
        name: NETWORK,
        enforced_by: &[DataplaneKind::OvnKubernetes],
        fields: &[
            full("spec.topology"),
            full("spec.layer2.role"),
            full("spec.layer3.role"),
            no_effect("spec.layer2.*"),
            no_effect("spec.layer3.*"),
            no_effect("spec.transport.*"),
        ],
    },
    Kind {
        api_versions: &["k8s.ovn.org/v1"],
        name: CLUSTER_NETWORK,
        enforced_by: &[DataplaneKind::OvnKubernetes],
        fields: &[
            full("spec.namespaceSelector.matchLabels.*"),
            full("spec.namespaceSelector.matchExpressions[].key"),
            full("spec.namespaceSelector.matchExpressions[].operator"),
            full("spec.namespaceSelector.matchExpressions[].values[]"),
            full("spec.network.topology"),
            full("spec.network.layer2.role"),
            full("spec.network.layer3.role"),
            full("spec.network.localnet.role"),
            no_effect("spec.network.layer2.*"),
            no_effect("spec.network.layer3.*"),
            no_effect("spec.network.localnet.*"),
            no_effect("spec.network.transport.*"),
            no_effect("spec.network.noOverlay.*"),
            no_effect("spec.network.evpn.*"),
        ],
    },
];

/// EgressFirewall, and UserDefinedNetworks of the role Primary.
pub struct Ovn;

impl Engine for Ovn {
    fn name(&self) -> &'static str {
        "ovn-kubernetes"
    }

    fn summary(&self) -> &'static str {
        "EgressFirewall, UserDefinedNetwork and ClusterUserDefinedNetwork (k8s.ovn.org)"
    }

    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    fn lower(&self, documents: &[Document], _dataplane: &Dataplane) -> Lowered {
        lower::lower(&super::homes::written_out(documents))
    }

    fn reads(&self, document: &Document) -> bool {
        !is_network_policy(document) && !is_pod(document)
    }
}
