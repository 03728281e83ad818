//! Kinds that live in no namespace. Files do not tell: an object without a namespace is in `default`
//! unless its kind is one of these.

/// Their names, of what is read and of what often stands beside it.
const OF_CLUSTER: &[&str] = &[
    "APIService",
    "AdminNetworkPolicy",
    "BGPConfiguration",
    "BGPPeer",
    "BaselineAdminNetworkPolicy",
    "CSIDriver",
    "CiliumCIDRGroup",
    "CiliumClusterwideEnvoyConfig",
    "CiliumClusterwideNetworkPolicy",
    "ClusterIssuer",
    "ClusterNetworkConnect",
    "ClusterNetworkPolicy",
    "ClusterRole",
    "ClusterRoleBinding",
    "ClusterUserDefinedNetwork",
    "CustomResourceDefinition",
    "FelixConfiguration",
    "GatewayClass",
    "GlobalNetworkPolicy",
    "GlobalNetworkSet",
    "HostEndpoint",
    "IPPool",
    "IngressClass",
    "Installation",
    "KubeControllersConfiguration",
    "MutatingWebhookConfiguration",
    "Namespace",
    "NetNamespace",
    "Node",
    "PersistentVolume",
    "PriorityClass",
    "Profile",
    "RouteAdvertisements",
    "RuntimeClass",
    "StagedGlobalNetworkPolicy",
    "StorageClass",
    "Tier",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];

/// API groups of which a kind lives in no namespace that lives in one elsewhere.
const GROUPS_OF_CLUSTER: &[(&str, &str)] =
    &[("config.openshift.io/", "Network"), ("operator.openshift.io/", "Network")];

/// Whether objects of a kind live in no namespace.
pub fn is_of_cluster(api_version: &str, kind: &str) -> bool {
    let by_group = |(group, own): &(&str, &str)| *own == kind && api_version.starts_with(group);
    OF_CLUSTER.contains(&kind) || GROUPS_OF_CLUSTER.iter().any(by_group)
}
