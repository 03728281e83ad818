//! The kind of node that pods run on, as far as manifests tell: agents of networks do not run on each.

/// What runs pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeKind {
    /// Nothing says that it is something else than Linux on a machine of the cluster.
    #[default]
    Linux,
    /// A machine with Windows.
    Windows,
    /// AWS Fargate, which runs each pod on a machine of its own without DaemonSets.
    Fargate,
    /// A virtual kubelet, which runs pods somewhere else (AKS virtual nodes).
    Virtual,
}

/// Labels of nodes that tell, which `nodeSelector` asks for too, and one that Fargate puts on its pods
/// with any value (`docs.aws.amazon.com/eks/latest/userguide/fargate-profile.html`,
/// `learn.microsoft.com/azure/aks/virtual-nodes-cli`).
const LABELS: &[(&str, Option<&str>, NodeKind)] = &[
    ("kubernetes.io/os", Some("windows"), NodeKind::Windows),
    ("beta.kubernetes.io/os", Some("windows"), NodeKind::Windows),
    ("eks.amazonaws.com/compute-type", Some("fargate"), NodeKind::Fargate),
    ("eks.amazonaws.com/fargate-profile", None, NodeKind::Fargate),
    ("type", Some("virtual-kubelet"), NodeKind::Virtual),
    ("virtualization", Some("virtualnode2"), NodeKind::Virtual),
];

/// How the names of nodes begin that are no machines.
const NAMES: &[(&str, NodeKind)] =
    &[("fargate-ip-", NodeKind::Fargate), ("virtual-node-aci-", NodeKind::Virtual)];

impl NodeKind {
    /// What one label of a node says, if anything.
    pub fn of_label(key: &str, value: &str) -> Option<NodeKind> {
        let says = |(own, wanted, _): &&(&str, Option<&str>, NodeKind)| {
            *own == key && wanted.is_none_or(|wanted| wanted == value)
        };
        LABELS.iter().find(says).map(|(_, _, kind)| *kind)
    }

    /// What the name of a node says, if anything.
    pub fn of_name(name: &str) -> Option<NodeKind> {
        NAMES.iter().find(|(start, _)| name.starts_with(start)).map(|(_, kind)| *kind)
    }

    /// As sentences say it: "it runs on …".
    pub fn words(self) -> &'static str {
        match self {
            NodeKind::Linux => "Linux",
            NodeKind::Windows => "Windows",
            NodeKind::Fargate => "AWS Fargate",
            NodeKind::Virtual => "a virtual node",
        }
    }
}
