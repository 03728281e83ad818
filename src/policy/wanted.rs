//! The kinds that this room reads, for whoever reads a cluster: those of the engines, those that tell
//! which dataplane runs and how it is set up, and those that are known and not read.

use super::{ENGINES, unread};
use crate::model::api_kind::of;
use crate::model::{ApiKind, Bend, Document, Objects, Origin};

/// Configuration lies in maps of these names, which their charts and operators give them. Maps hold
/// all sorts of things, so that no others are asked for.
const CONFIG_MAPS: &[&str] = &[
    "amazon-vpc-cni",
    "antrea-config",
    "cilium-config",
    "consul-consul-server-config",
    "consul-server-config",
    "istio",
    "istio-sidecar-injector",
    "linkerd-config",
    "ovn-kubernetes-config-overrides",
];

/// What tells of the dataplane and of the meshes beside their policies (`detect`, `cilium`, `istio`, `ovn`).
const SETTINGS: &[ApiKind] = &[
    ApiKind { objects: Objects::Named(CONFIG_MAPS), ..of("", "ConfigMap") },
    of("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    of("cilium.io", "CiliumNodeConfig"),
    of("config.openshift.io", "Network"),
    of("k8s.ovn.org", "ClusterNetworkConnect"),
    of("k8s.ovn.org", "RouteAdvertisements"),
    of("networking.openshift.io", "DNSNameResolver"),
    of("operator.openshift.io", "Network"),
    of("operator.tigera.io", "Installation"),
];

/// Whether an object is one of those maps; applications have many others.
pub fn is_settings_map(document: &Document) -> bool {
    let Origin { kind, name, .. } = &document.origin;
    &**kind == "ConfigMap" && document.api_version == "v1" && CONFIG_MAPS.contains(&&**name)
}

/// All of them; a kind may occur more than once, in other versions.
pub fn kinds() -> Vec<ApiKind> {
    let of_engines = ENGINES.iter().flat_map(|engine| engine.kinds()).flat_map(|kind| {
        // Where NetworkPolicies cannot be read, everything is taken to be open; others may also open.
        let unread = if kind.name == "NetworkPolicy" { Bend::MayAllowLess } else { Bend::MayAllowMore };
        groups(kind.api_versions)
            .filter(|group| !group.is_empty())
            .map(move |group| ApiKind { unread, ..of(group, kind.name) })
    });
    of_engines.chain(SETTINGS.iter().copied()).chain(unread::kinds()).collect()
}

/// The versions of a kind that engines read.
pub fn versions(group: &str, kind: &str) -> Vec<&'static str> {
    let known = ENGINES.iter().flat_map(|engine| engine.kinds()).filter(|known| known.name == kind);
    let own = known.flat_map(|known| known.api_versions.iter().copied());
    own.filter_map(|api_version| Some(split(api_version)).filter(|(g, _)| *g == group).map(|(_, v)| v))
        .collect()
}

fn groups(api_versions: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    let mut groups: Vec<&str> = api_versions.iter().map(|text| split(text).0).collect();
    groups.dedup();
    groups.into_iter()
}

fn split(api_version: &'static str) -> (&'static str, &'static str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}
