//! Policy languages that no engine reads: their objects are said as gaps, with their direction.
//!
//! Kinds that an engine knows are left to it, so a language leaves this table by getting an engine.

use crate::model::{ApiKind, Bend, Document, Gap, Objects};

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
    Unread { group: "kubeovn.io/", kinds: &["SecurityGroup"], bends: Bend::MayAllowLess },
    Unread { group: "network.openshift.io/", kinds: &["NetNamespace"], bends: Bend::MayAllowLess },
    Unread { group: "networking.k8s.aws/", kinds: &["ApplicationNetworkPolicy"], bends: Bend::MayAllowMore },
    Unread {
        group: "policy.linkerd.io/",
        kinds: &["AuthorizationPolicy", "Server", "ServerAuthorization"],
        bends: Bend::MayAllowLess,
    },
    Unread { group: "security.istio.io/", kinds: &["AuthorizationPolicy"], bends: Bend::MayAllowLess },
    Unread { group: "vpcresources.k8s.aws/", kinds: &["SecurityGroupPolicy"], bends: Bend::MayAllowLess },
];

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
    let kind = &*document.origin.kind;
    let is_it = |one: &&Unread| document.api_version.starts_with(one.group) && one.kinds.contains(&kind);
    let unread = UNREAD.iter().find(is_it)?;
    Some(Gap {
        what: format!("{kind} of {} is not read", document.api_version),
        origin: document.origin.clone(),
        bends: unread.bends,
    })
}
