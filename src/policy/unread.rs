//! Policy languages that no engine reads: their objects are said as gaps, with their direction.
//!
//! Kinds that an engine knows are left to it, so a language leaves this table by getting an engine.

use crate::model::{ApiKind, Bend, Document, Gap, Node, Objects};

/// A kind that decides about connections and is not read.
struct Unread {
    /// What begins its API version.
    group: &'static str,
    kinds: &'static [&'static str],
    /// Those that only restrict make the truth smaller than the answer; others may also allow.
    bends: Bend,
}

/// All of them, by API group.
const UNREAD: &[Unread] = &[
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
    Unread { group: "elbv2.k8s.aws/", kinds: &["TargetGroupBinding"], bends: Bend::MayAllowMore },
    Unread { group: "getambassador.io/", kinds: &["Mapping", "TCPMapping"], bends: Bend::MayAllowMore },
    Unread {
        group: "k8s.nginx.org/",
        kinds: &["TransportServer", "VirtualServer"],
        bends: Bend::MayAllowMore,
    },
    Unread { group: "projectcontour.io/", kinds: &["HTTPProxy"], bends: Bend::MayAllowMore },
    Unread { group: "traefik.containo.us/", kinds: TRAEFIK, bends: Bend::MayAllowMore },
    Unread { group: "traefik.io/", kinds: TRAEFIK, bends: Bend::MayAllowMore },
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

/// The ways in of Traefik, in both of its API groups.
const TRAEFIK: &[&str] = &["IngressRoute", "IngressRouteTCP", "IngressRouteUDP"];

/// The API groups beside `v1` whose kinds of pods the inventory reads.
const WITH_PODS: &[&str] = &["apps/", "batch/", "extensions/", "apps.openshift.io/"];

/// How deep in an object a list of containers is looked for; a CronJob's is at four.
const DEPTH: u8 = 8;

/// The kinds, for whoever reads a cluster.
pub fn kinds() -> impl Iterator<Item = ApiKind> {
    let of_one = |one: &'static Unread| {
        let group = one.group.trim_end_matches('/');
        one.kinds.iter().map(move |kind| ApiKind { group, kind, objects: Objects::All, unread: one.bends })
    };
    UNREAD.iter().flat_map(of_one)
}

/// The gap that an object of such a kind leaves.
pub fn gap(document: &Document) -> Option<Gap> {
    if document.api_version == "v1" || WITH_PODS.iter().any(|group| document.api_version.starts_with(group)) {
        return None;
    }
    let kind = &*document.origin.kind;
    let is_it = |one: &&Unread| document.api_version.starts_with(one.group) && one.kinds.contains(&kind);
    let Some(unread) = UNREAD.iter().find(is_it) else {
        return pods(document);
    };
    Some(Gap {
        what: format!("{kind} of {} is not read", document.api_version),
        origin: document.origin.clone(),
        bends: unread.bends,
    })
}

/// Pods that an object of an unknown kind describes: somewhere in its `spec` stands a list of
/// containers with images. Whatever a controller makes of it is nowhere in the graph.
fn pods(document: &Document) -> Option<Gap> {
    let kind = &*document.origin.kind;
    let is_read = kind == "Rollout" && document.api_version.starts_with("argoproj.io/");
    if is_read || !document.body.get("spec").is_some_and(|spec| has_containers(spec, DEPTH)) {
        return None;
    }
    let what = format!(
        "{kind} of {} is not read: the pods that are made of it are not in the graph",
        document.api_version
    );
    Some(Gap { what, origin: document.origin.clone(), bends: Bend::MayAllowMore })
}

fn has_containers(node: &Node, depth: u8) -> bool {
    if node.items_of("containers").iter().any(|container| container.get("image").is_some()) {
        return true;
    }
    let inner = node.fields().iter().map(|(_, inner)| inner).chain(node.items());
    depth > 0 && inner.into_iter().any(|inner| has_containers(inner, depth - 1))
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
