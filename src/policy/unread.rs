//! Policy languages that no engine reads: their objects are said as gaps, with their direction.
//!
//! Kinds that an engine knows are left to it, so a language leaves this table by getting an engine.

use super::cilium::redirects;
use crate::model::{ApiKind, Bend, Document, Gap, Objects};

/// A kind that decides about connections and is not read.
struct Unread {
    /// What begins its API version.
    group: &'static str,
    kinds: &'static [&'static str],
    /// Those that only restrict make the truth smaller than the answer; others may also allow.
    bends: Bend,
}

/// Such kinds of which more can be said than that they are not read.
struct Told {
    kind: &'static str,
    bends: Bend,
    /// What is not known for an object; `None` where nothing is.
    what: fn(&Document) -> Option<String>,
}

/// Those of Cilium that lead calls elsewhere.
const OF_CILIUM: &[Told] = &[
    Told { kind: "CiliumEnvoyConfig", bends: Bend::MayAllowMore, what: redirects::by_proxy },
    Told { kind: "CiliumClusterwideEnvoyConfig", bends: Bend::MayAllowMore, what: redirects::by_proxy },
    Told { kind: "CiliumLocalRedirectPolicy", bends: Bend::MayAllowLess, what: redirects::to_own_node },
];

/// All of them, by API group.
const UNREAD: &[Unread] = &[
    Unread { group: "access.smi-spec.io/", kinds: &["TrafficTarget"], bends: Bend::MayAllowLess },
    Unread { group: "consul.hashicorp.com/", kinds: &["ServiceIntentions"], bends: Bend::MayAllowLess },
    Unread {
        group: "kuma.io/",
        kinds: &["MeshTrafficPermission", "TrafficPermission"],
        bends: Bend::MayAllowLess,
    },
    // Ways in of controllers that `entry` does not know: what they lead to is open to the outside.
    Unread {
        group: "configuration.konghq.com/",
        kinds: &["TCPIngress", "UDPIngress"],
        bends: Bend::MayAllowMore,
    },
    Unread { group: "apisix.apache.org/", kinds: &["ApisixRoute"], bends: Bend::MayAllowMore },
    Unread {
        group: "cis.f5.com/",
        kinds: &["IngressLink", "TransportServer", "VirtualServer"],
        bends: Bend::MayAllowMore,
    },
    Unread { group: "elbv2.k8s.aws/", kinds: &["TargetGroupBinding"], bends: Bend::MayAllowMore },
    Unread { group: "getambassador.io/", kinds: &["Mapping", "TCPMapping"], bends: Bend::MayAllowMore },
    Unread {
        group: "k8s.nginx.org/",
        kinds: &["TransportServer", "VirtualServer", "VirtualServerRoute"],
        bends: Bend::MayAllowMore,
    },
    Unread { group: "ingress.v1.haproxy.org/", kinds: &["TCP"], bends: Bend::MayAllowMore },
    Unread { group: "ingress.v3.haproxy.org/", kinds: &["TCP"], bends: Bend::MayAllowMore },
    Unread { group: "networking.cfargotunnel.com/", kinds: &["TunnelBinding"], bends: Bend::MayAllowMore },
    Unread {
        group: "networking.gke.io/",
        kinds: &["MultiClusterIngress", "MultiClusterService"],
        bends: Bend::MayAllowMore,
    },
    // Other clusters and sites are let in by them.
    Unread { group: "multicluster.x-k8s.io/", kinds: &["ServiceExport"], bends: Bend::MayAllowMore },
    Unread { group: "net.gke.io/", kinds: &["ServiceExport"], bends: Bend::MayAllowMore },
    Unread { group: "skupper.io/", kinds: &["AttachedConnector", "Connector"], bends: Bend::MayAllowMore },
    Unread { group: "projectcontour.io/", kinds: &["HTTPProxy"], bends: Bend::MayAllowMore },
    Unread { group: "traefik.containo.us/", kinds: TRAEFIK, bends: Bend::MayAllowMore },
    Unread { group: "traefik.io/", kinds: TRAEFIK, bends: Bend::MayAllowMore },
    Unread { group: "crd.nsx.vmware.com/", kinds: &["SecurityPolicy"], bends: Bend::MayAllowLess },
    Unread { group: "kubeovn.io/", kinds: &["SecurityGroup"], bends: Bend::MayAllowLess },
    Unread { group: "network.openshift.io/", kinds: &["NetNamespace"], bends: Bend::MayAllowLess },
    Unread { group: "networking.gke.io/", kinds: &["FQDNNetworkPolicy"], bends: Bend::MayAllowMore },
    Unread { group: "networking.k8s.aws/", kinds: &["ApplicationNetworkPolicy"], bends: Bend::MayAllowMore },
    Unread {
        group: "policy.linkerd.io/",
        kinds: &["AuthorizationPolicy", "Server", "ServerAuthorization"],
        bends: Bend::MayAllowLess,
    },
    Unread { group: "security.istio.io/", kinds: &["AuthorizationPolicy"], bends: Bend::MayAllowLess },
    Unread { group: "vpcresources.k8s.aws/", kinds: &["SecurityGroupPolicy"], bends: Bend::MayAllowLess },
];

/// The API group of Cilium.
const CILIUM: &str = "cilium.io/";

/// The ways in of Traefik, in both of its API groups.
const TRAEFIK: &[&str] = &["IngressRoute", "IngressRouteTCP", "IngressRouteUDP"];

/// The kinds, for whoever reads a cluster.
pub fn kinds() -> impl Iterator<Item = ApiKind> {
    let of_one = |one: &'static Unread| {
        let group = one.group.trim_end_matches('/');
        one.kinds.iter().map(move |kind| ApiKind { group, kind, objects: Objects::All, unread: one.bends })
    };
    let of_cilium = |told: &'static Told| ApiKind {
        group: CILIUM.trim_end_matches('/'),
        kind: told.kind,
        objects: Objects::All,
        unread: told.bends,
    };
    UNREAD.iter().flat_map(of_one).chain(OF_CILIUM.iter().map(of_cilium))
}

/// The gap that an object of such a kind leaves.
pub fn gap(document: &Document) -> Option<Gap> {
    let kind = &*document.origin.kind;
    let told = OF_CILIUM.iter().find(|told| told.kind == kind && document.api_version.starts_with(CILIUM));
    if let Some(told) = told {
        let gap = |what| Gap { what, origin: document.origin.clone(), bends: told.bends };
        return (told.what)(document).map(gap);
    }
    let is_it = |one: &&Unread| document.api_version.starts_with(one.group) && one.kinds.contains(&kind);
    let unread = UNREAD.iter().find(is_it)?;
    Some(Gap {
        what: format!("{kind} of {} is not read", document.api_version),
        origin: document.origin.clone(),
        bends: unread.bends,
    })
}

/// Objects of an API version that API servers no longer take (removed in Kubernetes 1.16). They are
/// counted, since an old cluster has them, and it is said that a new one refuses them.
pub fn retired(document: &Document) -> Option<Gap> {
    if document.api_version != "extensions/v1beta1" {
        return None;
    }
    let what = format!(
        "{} of extensions/v1beta1 is refused by API servers since Kubernetes 1.16 and isolates nobody there; networking.k8s.io/v1 is taken",
        document.origin.kind
    );
    Some(Gap { what, origin: document.origin.clone(), bends: Bend::MayAllowMore })
}
