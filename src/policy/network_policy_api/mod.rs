//! Policies of the cluster's administrators, `policy.networking.k8s.io`: AdminNetworkPolicy,
//! BaselineAdminNetworkPolicy and what replaced both, ClusterNetworkPolicy.
//!
//! The exact meaning, case by case, is on the page `docs/semantics/network-policy-api.md`.

mod cilium;
mod kinds;
mod lower;
mod ports;
mod wire;

use super::{Dataplane, DataplaneKind, Engine, Kind, Lowered, antrea, fields, is_network_policy, is_pod};
use crate::model::Document;
use kinds::KINDS;

/// What beside its name decides whether a dataplane enforces a kind.
enum Condition {
    /// Versions from the first to the last, both included; an unknown version is the newest.
    Versions((u32, u32), Option<(u32, u32)>),
    /// A setting has this value; its default is another.
    Setting(&'static str, &'static str),
    /// A feature gate is on; whoever was not seen to set it has it off, which is not known for certain.
    Gate(&'static str),
}

/// `site-src/implementations.md` of the API, and the release notes of the dataplanes.
const CONDITIONS: &[(&str, DataplaneKind, Condition)] = &[
    (kinds::ADMIN, DataplaneKind::Calico, Condition::Versions((3, 29), Some((3, 31)))),
    (kinds::BASELINE, DataplaneKind::Calico, Condition::Versions((3, 30), Some((3, 31)))),
    (kinds::CLUSTER, DataplaneKind::Calico, Condition::Versions((3, 32), None)),
    (kinds::ADMIN, DataplaneKind::Antrea, Condition::Gate(antrea::ADMIN_NETWORK_POLICY)),
    (kinds::BASELINE, DataplaneKind::Antrea, Condition::Gate(antrea::ADMIN_NETWORK_POLICY)),
    (kinds::CLUSTER, DataplaneKind::Cilium, Condition::Setting("enable-k8s-cluster-network-policy", "true")),
];

/// AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy.
pub struct NetworkPolicyApi;

impl Engine for NetworkPolicyApi {
    fn name(&self) -> &'static str {
        "network-policy-api"
    }

    fn summary(&self) -> &'static str {
        "AdminNetworkPolicy, BaselineAdminNetworkPolicy and ClusterNetworkPolicy (policy.networking.k8s.io)"
    }

    fn kinds(&self) -> &'static [Kind] {
        KINDS
    }

    fn enforces(&self, kind: &str, dataplane: &Dataplane) -> bool {
        fields::is_enforced(KINDS, kind, dataplane.kind)
            && condition(kind, dataplane).is_none_or(|condition| holds(condition, dataplane))
    }

    fn lower(&self, documents: &[Document], dataplane: &Dataplane) -> Lowered {
        let mut lowered = lower::lower(documents, dataplane);
        lowered.gaps.extend(lower::doubts_of_enforcement(documents, dataplane, self));
        lowered
    }

    fn follows(&self, document: &Document) -> bool {
        // Calico reads these policies with what it knows of addresses.
        fields::kind_of(KINDS, document).is_some() || super::calico::tier_and_name(document).is_some()
    }

    fn reads(&self, document: &Document) -> bool {
        !is_network_policy(document) && !is_pod(document)
    }
}

fn condition(kind: &str, dataplane: &Dataplane) -> Option<&'static Condition> {
    let row = CONDITIONS.iter().find(|(name, enforcer, _)| *name == kind && *enforcer == dataplane.kind);
    row.map(|(_, _, condition)| condition)
}

fn holds(condition: &Condition, dataplane: &Dataplane) -> bool {
    match condition {
        Condition::Setting(key, value) => dataplane.setting(key, "") == *value,
        Condition::Gate(name) => dataplane.setting(name, "") == "true",
        Condition::Versions(first, last) => match dataplane.version {
            Some(version) => *first <= version && last.is_none_or(|last| version <= last),
            None => last.is_none(),
        },
    }
}

/// What decides whether a kind is enforced and is not known.
enum Unknown {
    Version,
    /// A feature gate of this name, which is off by default.
    Gate(&'static str),
}

fn unknown(kind: &str, dataplane: &Dataplane) -> Option<Unknown> {
    match condition(kind, dataplane)? {
        Condition::Versions(..) => dataplane.version.is_none().then_some(Unknown::Version),
        Condition::Gate(name) => (!dataplane.settings.contains_key(*name)).then_some(Unknown::Gate(name)),
        Condition::Setting(..) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enforces(kind: &str, dataplane: DataplaneKind, version: Option<(u32, u32)>) -> bool {
        NetworkPolicyApi.enforces(kind, &Dataplane { version, ..Dataplane::new(dataplane) })
    }

    #[test]
    fn calico_changed_from_one_generation_to_the_next_with_version_3_32() {
        let calico = |kind, version| enforces(kind, DataplaneKind::Calico, version);
        assert!(!calico("AdminNetworkPolicy", Some((3, 28))) && calico("AdminNetworkPolicy", Some((3, 29))));
        assert!(!calico("BaselineAdminNetworkPolicy", Some((3, 29))));
        assert!(calico("BaselineAdminNetworkPolicy", Some((3, 31))));
        assert!(!calico("AdminNetworkPolicy", Some((3, 32))) && !calico("AdminNetworkPolicy", None));
        assert!(calico("ClusterNetworkPolicy", Some((3, 32))) && calico("ClusterNetworkPolicy", None));
        assert!(!calico("ClusterNetworkPolicy", Some((3, 31))));
    }

    #[test]
    fn cilium_must_be_told_to() {
        let mut cilium = Dataplane::new(DataplaneKind::Cilium);
        assert!(!NetworkPolicyApi.enforces("ClusterNetworkPolicy", &cilium));
        cilium.settings.insert("enable-k8s-cluster-network-policy".into(), "true".into());
        assert!(NetworkPolicyApi.enforces("ClusterNetworkPolicy", &cilium));
        assert!(!NetworkPolicyApi.enforces("AdminNetworkPolicy", &cilium));
    }
}
