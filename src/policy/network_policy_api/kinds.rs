//! The three kinds with all their fields, and what differs between them.

use super::super::fields::{full, gap, no_effect};
use super::super::{Action, DataplaneKind, Kind};
use crate::model::Bend;

/// `kind` of the first generation, before NetworkPolicy.
pub const ADMIN: &str = "AdminNetworkPolicy";
/// `kind` of the first generation, after NetworkPolicy.
pub const BASELINE: &str = "BaselineAdminNetworkPolicy";
/// `kind` of the second generation, for both.
pub const CLUSTER: &str = "ClusterNetworkPolicy";

/// The steps before and after NetworkPolicy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Before.
    Admin,
    /// After.
    Baseline,
}

/// How a kind says which ports a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortList {
    /// `ports[]`: `portNumber`, `portRange`, `namedPort`.
    Ports,
    /// `protocols[]`: `tcp`, `udp`, `sctp`, `destinationNamedPort`.
    Protocols,
}

/// What differs between the kinds.
#[derive(Debug)]
pub struct Dialect {
    /// `kind`.
    pub kind: &'static str,
    /// The stage that the kind stands for; `None` where `spec.tier` says it.
    pub stage: Option<Stage>,
    /// The words of `action`.
    pub actions: &'static [(&'static str, Action)],
    /// How many rules a direction, and how many peers and ports a rule may have.
    pub limit: usize,
    /// Where ports stand.
    pub ports: PortList,
    /// Kinds of peers that egress rules have beside namespaces and pods.
    pub egress_peers: &'static [&'static str],
}

/// `apis/v1alpha1` and `apis/v1alpha2` of the API.
pub const DIALECTS: &[Dialect] = &[
    Dialect {
        kind: ADMIN,
        stage: Some(Stage::Admin),
        actions: &[("Allow", Action::Allow), ("Deny", Action::Deny), ("Pass", Action::Pass)],
        limit: 100,
        ports: PortList::Ports,
        egress_peers: &["nodes", "networks", "domainNames"],
    },
    Dialect {
        kind: BASELINE,
        stage: Some(Stage::Baseline),
        actions: &[("Allow", Action::Allow), ("Deny", Action::Deny)],
        limit: 100,
        ports: PortList::Ports,
        egress_peers: &["nodes", "networks"],
    },
    Dialect {
        kind: CLUSTER,
        stage: None,
        actions: &[("Accept", Action::Allow), ("Deny", Action::Deny), ("Pass", Action::Pass)],
        limit: 25,
        ports: PortList::Protocols,
        egress_peers: &["nodes", "networks", "domainNames"],
    },
];

/// The dialect of a kind.
pub fn dialect(kind: &str) -> Option<&'static Dialect> {
    DIALECTS.iter().find(|dialect| dialect.kind == kind)
}

/// Rows of [`KINDS`]; `selector` stands for the fields of a label selector.
macro_rules! rows {
    (@ [$($done:expr),*]) => { &[$($done),*] };
    (@ [$($done:expr),*] selector $path:literal; $($rest:tt)*) => {
        rows!(@ [$($done,)*
            full(concat!($path, ".matchLabels.*")),
            full(concat!($path, ".matchExpressions[].key")),
            full(concat!($path, ".matchExpressions[].operator")),
            full(concat!($path, ".matchExpressions[].values[]"))
        ] $($rest)*)
    };
    (@ [$($done:expr),*] pods $path:literal; $($rest:tt)*) => {
        rows!(@ [$($done),*]
            selector $path ".namespaceSelector";
            selector $path ".podSelector";
            $($rest)*)
    };
    (@ [$($done:expr),*] selector $path:literal $tail:literal; $($rest:tt)*) => {
        rows!(@ [$($done,)*
            full(concat!($path, $tail, ".matchLabels.*")),
            full(concat!($path, $tail, ".matchExpressions[].key")),
            full(concat!($path, $tail, ".matchExpressions[].operator")),
            full(concat!($path, $tail, ".matchExpressions[].values[]"))
        ] $($rest)*)
    };
    // Peers of v0.1.1 and before had one level more, and relations to the subject.
    (@ [$($done:expr),*] old $path:literal; $($rest:tt)*) => {
        rows!(@ [$($done,)*
            gap(concat!($path, ".namespaces.sameLabels[]"), Bend::MayAllowMore),
            gap(concat!($path, ".namespaces.notSameLabels[]"), Bend::MayAllowMore),
            gap(concat!($path, ".pods.namespaces.sameLabels[]"), Bend::MayAllowMore),
            gap(concat!($path, ".pods.namespaces.notSameLabels[]"), Bend::MayAllowMore)
        ]
            selector $path ".namespaces.namespaceSelector";
            selector $path ".pods.namespaces.namespaceSelector";
            $($rest)*)
    };
    (@ [$($done:expr),*] ports $path:literal; $($rest:tt)*) => {
        rows!(@ [$($done,)*
            full(concat!($path, ".portNumber.protocol")),
            full(concat!($path, ".portNumber.port")),
            full(concat!($path, ".portRange.protocol")),
            full(concat!($path, ".portRange.start")),
            full(concat!($path, ".portRange.end")),
            full(concat!($path, ".namedPort"))
        ] $($rest)*)
    };
    (@ [$($done:expr),*] protocols $path:literal; $($rest:tt)*) => {
        rows!(@ [$($done,)*
            full(concat!($path, ".tcp.destinationPort.number")),
            full(concat!($path, ".tcp.destinationPort.range.start")),
            full(concat!($path, ".tcp.destinationPort.range.end")),
            full(concat!($path, ".udp.destinationPort.number")),
            full(concat!($path, ".udp.destinationPort.range.start")),
            full(concat!($path, ".udp.destinationPort.range.end")),
            full(concat!($path, ".sctp.destinationPort.number")),
            full(concat!($path, ".sctp.destinationPort.range.start")),
            full(concat!($path, ".sctp.destinationPort.range.end")),
            full(concat!($path, ".destinationNamedPort"))
        ] $($rest)*)
    };
    (@ [$($done:expr),*] $make:ident $path:literal; $($rest:tt)*) => {
        rows!(@ [$($done,)* $make($path)] $($rest)*)
    };
}

/// `site-src/implementations.md` of the API; `CONDITIONS` says in which versions.
const FIRST_GENERATION: &[DataplaneKind] =
    &[DataplaneKind::Kubernetes, DataplaneKind::Calico, DataplaneKind::OvnKubernetes, DataplaneKind::Antrea];

/// All fields of all three.
pub const KINDS: &[Kind] = &[
    Kind {
        api_versions: &["policy.networking.k8s.io/v1alpha1"],
        name: ADMIN,
        enforced_by: FIRST_GENERATION,
        fields: rows!(@ []
            full "spec.priority";
            selector "spec.subject.namespaces";
            pods "spec.subject.pods";
            no_effect "spec.ingress[].name";
            full "spec.ingress[].action";
            selector "spec.ingress[].from[].namespaces";
            pods "spec.ingress[].from[].pods";
            old "spec.ingress[].from[]";
            ports "spec.ingress[].ports[]";
            no_effect "spec.egress[].name";
            full "spec.egress[].action";
            selector "spec.egress[].to[].namespaces";
            pods "spec.egress[].to[].pods";
            old "spec.egress[].to[]";
            selector "spec.egress[].to[].nodes";
            full "spec.egress[].to[].networks[]";
            full "spec.egress[].to[].domainNames[]";
            ports "spec.egress[].ports[]";
        ),
    },
    Kind {
        api_versions: &["policy.networking.k8s.io/v1alpha1"],
        name: BASELINE,
        enforced_by: FIRST_GENERATION,
        fields: rows!(@ []
            selector "spec.subject.namespaces";
            pods "spec.subject.pods";
            no_effect "spec.ingress[].name";
            full "spec.ingress[].action";
            selector "spec.ingress[].from[].namespaces";
            pods "spec.ingress[].from[].pods";
            old "spec.ingress[].from[]";
            ports "spec.ingress[].ports[]";
            no_effect "spec.egress[].name";
            full "spec.egress[].action";
            selector "spec.egress[].to[].namespaces";
            pods "spec.egress[].to[].pods";
            old "spec.egress[].to[]";
            selector "spec.egress[].to[].nodes";
            full "spec.egress[].to[].networks[]";
            ports "spec.egress[].ports[]";
        ),
    },
    Kind {
        api_versions: &["policy.networking.k8s.io/v1alpha2", "policy.networking.k8s.io/v1beta1"],
        name: CLUSTER,
        enforced_by: &[DataplaneKind::Kubernetes, DataplaneKind::Calico, DataplaneKind::Cilium],
        fields: rows!(@ []
            full "spec.tier";
            full "spec.priority";
            selector "spec.subject.namespaces";
            pods "spec.subject.pods";
            no_effect "spec.ingress[].name";
            full "spec.ingress[].action";
            selector "spec.ingress[].from[].namespaces";
            pods "spec.ingress[].from[].pods";
            protocols "spec.ingress[].protocols[]";
            no_effect "spec.egress[].name";
            full "spec.egress[].action";
            selector "spec.egress[].to[].namespaces";
            pods "spec.egress[].to[].pods";
            selector "spec.egress[].to[].nodes";
            full "spec.egress[].to[].networks[]";
            full "spec.egress[].to[].domainNames[]";
            protocols "spec.egress[].protocols[]";
        ),
    },
];
